// SPDX-License-Identifier: GPL-2.0
/*
 * Calls on a connection of records to another host. What is received lies in the
 * socket's own queue and is read as any record (record.c); what is sent goes to TCP
 * (frame.c). Whether this end or the other has closed is in sk_shutdown, which is
 * written under TCP's lock.
 */
#include <linux/compat.h>
#include <linux/net.h>
#include <linux/poll.h>
#include <asm/ioctls.h>
#include <net/tcp.h>

#include "af_ferry.h"
#include "carrier_sockopt.h"
#include "carrier_tcp.h"
#include "compat.h"
#include "frame.h"
#include "poll.h"
#include "record.h"
#include "remote.h"
#include "remote_dgram.h"
#include "remote_seqpacket.h"
#include "timestamp.h"
#include "zerocopy.h"

/* Can nothing more be sent? The error, if any, was set before. */
static bool ferry_remote_send_closed(const struct sock *sk)
{
	return ferry_shutdown_mask(sk) & SEND_SHUTDOWN;
}

/* Who waits for room is to be woken. To be followed by a last look. */
static void ferry_remote_ask(struct sock *sk, struct socket *carrier)
{
	set_bit(SOCK_NOSPACE, &carrier->flags);
	sk_set_bit(SOCKWQ_ASYNC_NOSPACE, sk);
	/* Pairs with tcp_check_space(), and with who has handed over the rest. */
	smp_mb__after_atomic();
}

/* Is there room for a record of @len bytes? */
static bool ferry_remote_room(const struct sock *sk, const struct socket *carrier,
			      size_t len)
{
	return ferry_frames_room(ferry_tcp_frames(carrier), sk, carrier->sk, len);
}

/* The same for a poll: a third of TCP's buffer, and what was refused if that is more. */
static bool ferry_remote_writable(const struct sock *sk, const struct socket *carrier)
{
	return sk_stream_is_writeable(carrier->sk) &&
	       ferry_remote_room(sk, carrier, READ_ONCE(ferry_sk(sk)->refused));
}

/**
 * ferry_remote_seqpacket_mask() - what of a connected socket is ready
 * @sock: the socket
 *
 * Return: the poll mask, without sk_err.
 */
__poll_t ferry_remote_seqpacket_mask(struct socket *sock)
{
	struct socket *carrier = ferry_carrier(sock);
	struct sock *sk = sock->sk;
	u8 shutdown = ferry_shutdown_mask(sk);
	__poll_t mask = 0;
	bool writable;

	if (shutdown & RCV_SHUTDOWN)
		mask |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
	else if (ferry_remote_waits(sk))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (shutdown == SHUTDOWN_MASK)
		mask |= EPOLLHUP;
	if (ferry_remote_send_closed(sk)) {
		mask |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
		goto out;
	}
	writable = ferry_remote_writable(sk, carrier);
	if (!writable) {
		ferry_remote_ask(sk, carrier);
		writable = ferry_remote_writable(sk, carrier);
	}
	if (writable) {
		mask |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
		if (READ_ONCE(ferry_sk(sk)->refused))
			WRITE_ONCE(ferry_sk(sk)->refused, 0);
	}
out:
	if (!skb_queue_empty_lockless(&sk->sk_error_queue) ||
	    !skb_queue_empty_lockless(&carrier->sk->sk_error_queue))
		mask |= EPOLLERR;
	return mask;
}

/**
 * ferry_remote_seqpacket_ioctl() - SIOCINQ, SIOCOUTQ
 * @sock: socket
 * @cmd: command
 * @arg: where the result goes
 *
 * What is sent and not acknowledged has four bytes more for each record.
 *
 * Return: 0 or an error.
 */
int ferry_remote_seqpacket_ioctl(struct socket *sock, unsigned int cmd,
				 unsigned long arg)
{
	struct sock *sk = sock->sk;

	if (cmd != SIOCOUTQ || !ferry_remote(sk))
		return ferry_stream_ops.ioctl(sock, cmd, arg);
	return put_user(min_t(u32, ferry_tcp_outq(ferry_carrier(sock)->sk), INT_MAX),
			(int __user *)arg);
}

#ifdef CONFIG_COMPAT
/* ferry_remote_seqpacket_compat_ioctl() - the same for programs of 32 bits */
int ferry_remote_seqpacket_compat_ioctl(struct socket *sock, unsigned int cmd,
					unsigned long arg)
{
	return ferry_remote_seqpacket_ioctl(sock, cmd, (unsigned long)compat_ptr(arg));
}
#endif

/**
 * ferry_remote_seqpacket_shutdown() - before TCP's connection is shut down
 * @sk: connected socket
 * @how: SHUT_RD, SHUT_WR or SHUT_RDWR
 *
 * What was sent goes before the end. What comes after SHUT_RD is dropped.
 *
 * Context: process, may sleep; lock_sock(@sk) held.
 * Return: 0, or -ENOBUFS without memory.
 */
int ferry_remote_seqpacket_shutdown(struct sock *sk, int how)
{
	struct socket *carrier = ferry_sk(sk)->carrier;
	struct sock *csk = carrier->sk;
	int err = 0;

	sock_owned_by_me(sk);

	/* As everywhere: RCV_SHUTDOWN 1, SEND_SHUTDOWN 2 */
	how++;
	lock_sock(csk);
	if (how & SEND_SHUTDOWN)
		err = ferry_frames_flush(ferry_tcp_frames(carrier), csk);
	if (err != -EAGAIN)
		ferry_set_shutdown(sk, sk->sk_shutdown | how);
	release_sock(csk);
	if (err == -EAGAIN)
		return -ENOBUFS;
	if (how & RCV_SHUTDOWN)
		ferry_tcp_resume(sk);
	ferry_wake_state(sk, sk->sk_shutdown == SHUTDOWN_MASK ? POLL_HUP :
			     how & RCV_SHUTDOWN ? POLL_IN : POLL_OUT);
	return 0;
}

/* Why can nothing be sent any more? 0 if it can. */
static int ferry_remote_send_ended(struct sock *sk)
{
	/* In this order: who closes sets the error before. */
	bool closed = ferry_remote_send_closed(sk);
	int err = 0;

	if (unlikely(READ_ONCE(sk->sk_err)))
		err = sock_error(sk);
	return err ? err : closed ? -EPIPE : 0;
}

/* Wait until there is room for a record of @len bytes, or an error. */
static int ferry_remote_wait_room(struct sock *sk, struct socket *carrier, size_t len,
				  long *timeo)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	int err = 0;

	if (likely(ferry_remote_room(sk, carrier, len)))
		return 0;
	add_wait_queue(sk_sleep(sk), &wait);
	for (;;) {
		ferry_remote_ask(sk, carrier);
		if (ferry_remote_room(sk, carrier, len))
			break;
		err = ferry_remote_send_ended(sk);
		if (err)
			break;
		err = -EAGAIN;
		if (!*timeo) {
			/* What has room whenever a poll tells of any is not remembered. */
			if (len <= READ_ONCE(sk->sk_sndbuf) / 4)
				len = 0;
			WRITE_ONCE(ferry_sk(sk)->refused, len);
			break;
		}
		err = sock_intr_errno(*timeo);
		if (signal_pending(current))
			break;
		*timeo = wait_woken(&wait, TASK_INTERRUPTIBLE, *timeo);
		err = 0;
	}
	remove_wait_queue(sk_sleep(sk), &wait);
	return err;
}

/*
 * Send a record, if there is still room, which others may have taken. Returns 0, 1
 * to wait for room again, or an error.
 */
static int ferry_remote_try_send(struct sock *sk, struct socket *carrier,
				 struct ferry_frame *frame, size_t len,
				 const struct msghdr *msg)
{
	struct ferry_frames *fr = ferry_tcp_frames(carrier);
	struct sock *csk = carrier->sk;
	int err;

	lock_sock(csk);
	/* Under the lock: nothing comes behind the end. */
	err = ferry_remote_send_ended(sk);
	if (!err && !ferry_frames_room(fr, sk, csk, len))
		err = 1;
	if (!err)
		err = ferry_frames_send(fr, csk, frame, msg);
	else
		ferry_frame_free(frame);
	if (err == -EAGAIN) {
		/* When TCP has room again, or, if it lacked memory, a little later. */
		ferry_tcp_later(carrier);
		err = 0;
	}
	release_sock(csk);
	return err;
}

/* Send a record of @len bytes, waiting for room. */
static int ferry_remote_send_record(struct sock *sk, struct socket *carrier,
				    struct msghdr *msg, size_t len)
{
	long timeo = sock_sndtimeo(sk, msg->msg_flags & MSG_DONTWAIT);
	struct ferry_frame *frame;
	int err;

	do {
		/* Before the bytes are copied: a full peer is the common failure. */
		err = ferry_remote_wait_room(sk, carrier, len, &timeo);
		if (err)
			return err;
		frame = ferry_frame_make(ferry_tcp_frames(carrier), sk, msg, len);
		if (IS_ERR(frame))
			return PTR_ERR(frame);
		err = ferry_remote_try_send(sk, carrier, frame, len, msg);
		if (err)
			iov_iter_revert(&msg->msg_iter, len);
	} while (err > 0);
	return err;
}

/**
 * ferry_remote_seqpacket_sendmsg() - send a record
 * @sock: socket
 * @msg: message
 * @len: its bytes
 *
 * Context: process, may sleep.
 * Return: @len or an error.
 */
int ferry_remote_seqpacket_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)
{
	struct sock *sk = sock->sk;
	int err;

	if (unlikely(msg->msg_flags & MSG_OOB))
		return -EOPNOTSUPP;
	err = ferry_remote_ready(sk, msg->msg_flags & MSG_DONTWAIT,
				 READ_ONCE(sk->sk_sndtimeo));
	if (unlikely(err <= 0))
		return err ? err : ferry_seqpacket_sendmsg(sock, msg, len);
	if (ferry_wants_zerocopy(sk, msg))
		return ferry_zerocopy_send(sock, msg, len,
					   ferry_remote_seqpacket_sendmsg);
	if (unlikely(msg->msg_namelen))
		return -EISCONN;
	if (unlikely(len > READ_ONCE(sk->sk_sndbuf)))
		return -EMSGSIZE;
	if (unlikely(msg->msg_controllen)) {
		err = ferry_remote_cmsg(msg);
		if (err)
			return err;
	}

	ferry_carrier_refresh(sk);
	if (msg->msg_ubuf)
		uarg_to_msgzc(msg->msg_ubuf)->zerocopy = 0;
	err = ferry_remote_send_record(sk, ferry_carrier(sock), msg, len);
	ferry_debug(sk, "send", err ? err : len);
	if (likely(!err))
		return len;
	if (err == -EPIPE) {
		/* What ended the connection a moment ago. */
		err = sock_error(sk) ? : -EPIPE;
		if (err == -EPIPE && !(msg->msg_flags & MSG_NOSIGNAL))
			send_sig(SIGPIPE, current, 0);
	}
	return err;
}

/**
 * ferry_remote_seqpacket_recvmsg() - receive a record
 * @sock: socket
 * @msg: where to
 * @size: bytes that fit
 * @flags: those of any record
 *
 * Context: process, may sleep.
 * Return: bytes received (with MSG_TRUNC the record's), 0 at the end, or an error.
 */
int ferry_remote_seqpacket_recvmsg(struct socket *sock, struct msghdr *msg, size_t size,
				   int flags)
{
	struct sock *sk = sock->sk;
	int ret;

	if (unlikely(flags & MSG_OOB))
		return -EOPNOTSUPP;
	ret = ferry_remote_ready(sk, flags & MSG_DONTWAIT, READ_ONCE(sk->sk_rcvtimeo));
	if (unlikely(ret <= 0))
		return ret ? ret : ferry_record_recvmsg(sock, msg, size, flags);
	/* TCP's stamps are there; the notifications of MSG_ZEROCOPY are the socket's. */
	if (unlikely(flags & MSG_ERRQUEUE)) {
		struct socket *carrier = ferry_carrier(sock);

		ret = ferry_recv_errors(sk, msg, size);
		return ret != -EAGAIN ? ret :
		       ferry_carrier_ops(carrier)->recvmsg(carrier, msg, size, flags);
	}

	ferry_carrier_refresh(sk);
	/* Nobody has told of a larger buffer. */
	if (!FERRY_SEES_SOL_SOCKET)
		ferry_tcp_read(sk);
	ret = ferry_record_recv_remote(sock, msg, size, flags);
	ferry_tcp_read(sk);
	return ret;
}
