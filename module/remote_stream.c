// SPDX-License-Identifier: GPL-2.0
/*
 * Calls on a byte stream to another host: they are TCP's, on the socket's carrier. The
 * bytes are queued, counted and waited for there alone.
 *
 * A socket gets these proto_ops when it begins to connect to another host, or when it
 * is accepted from there. The state FERRY_REMOTE says that there is a carrier; it stays
 * until the socket is released. In any other state the calls are those of a local
 * stream.
 */
#include <linux/compat.h>
#include <linux/net.h>
#include <linux/poll.h>
#include <linux/splice.h>
#include <asm/ioctls.h>
#include <net/tcp.h>

#include "af_ferry.h"
#include "carrier_sockopt.h"
#include "carrier_tcp.h"
#include "cmsg.h"
#include "compat-scm.h"
#include "compat.h"
#include "connection.h"
#include "ferry.h"
#include "poll.h"
#include "remote_stream.h"
#include "timestamp.h"
#include "urgent.h"

/* What TCP would take for its own: what it sends in place of a connect. */
#define FERRY_NOT_FOR_TCP	MSG_FASTOPEN

static struct socket *ferry_carrier(const struct socket *sock)
{
	return ferry_sk(sock->sk)->carrier;
}

static const struct proto_ops *ferry_carrier_ops(const struct socket *carrier)
{
	return READ_ONCE(carrier->ops);
}

/* Wait for a connect under way. Returns 1 when there is a carrier, 0 when there is none. */
static int ferry_remote_ready(struct sock *sk, bool nonblock, long timeo)
{
	int err;

	if (likely(ferry_remote(sk)))
		return 1;
	if (ferry_state(sk) != FERRY_REMOTE_CONNECTING)
		return 0;
	if (nonblock)
		return -EAGAIN;
	err = ferry_wait_settled(sk, &timeo);
	if (err)
		return err;
	return ferry_remote(sk);
}

/**
 * ferry_remote_release() - close(2)
 * @sock: socket
 *
 * Return: 0.
 */
int ferry_remote_release(struct socket *sock)
{
	if (sock->sk)
		ferry_tcp_end(sock->sk);
	return ferry_stream_ops.release(sock);
}

/**
 * ferry_remote_accept() - a connection from another host is accepted
 * @newsock: the core's new socket
 * @child: the connection
 *
 * Waits until the answer is sent that the other end begins with.
 *
 * Context: process, may sleep.
 */
void ferry_remote_accept(struct socket *newsock, struct sock *child)
{
	lock_sock(child);
	newsock->ops = &ferry_remote_stream_ops;
	sock_graft(child, newsock);
	ferry_tcp_accepted(newsock);
	release_sock(child);
}

/**
 * ferry_remote_poll() - the poll mask: TCP's
 * @file: file of the socket
 * @sock: the socket
 * @wait: poll table
 *
 * Return: the mask.
 */
__poll_t ferry_remote_poll(struct file *file, struct socket *sock,
			   struct poll_table_struct *wait)
{
	struct sock *sk = sock->sk;
	struct socket *carrier;
	__poll_t mask;

	/* Has a barrier: who changes the state wakes afterwards. */
	sock_poll_wait(file, sock, wait);
	switch (ferry_state(sk)) {
	case FERRY_REMOTE:
		break;
	case FERRY_REMOTE_CONNECTING:
		return READ_ONCE(sk->sk_err) ? EPOLLERR : 0;
	default:
		return ferry_stream_ops.poll(file, sock, NULL);
	}

	/* Who only waits from now on may want SO_KEEPALIVE meanwhile. */
	ferry_carrier_refresh(sk);
	carrier = ferry_carrier(sock);
	mask = ferry_carrier_ops(carrier)->poll(file, carrier, NULL);
	/* Last: it is moved there before what ends the connection is told. */
	if (READ_ONCE(sk->sk_err))
		mask |= EPOLLERR;
	if (mask & EPOLLERR && sock_flag(sk, SOCK_SELECT_ERR_QUEUE))
		mask |= EPOLLPRI;
	return mask;
}

/**
 * ferry_remote_ioctl() - SIOCINQ, SIOCOUTQ, SIOCATMARK
 * @sock: socket
 * @cmd: command
 * @arg: where the result goes
 *
 * Return: 0 or an error.
 */
int ferry_remote_ioctl(struct socket *sock, unsigned int cmd, unsigned long arg)
{
	struct socket *carrier;

	if (!ferry_remote(sock->sk) ||
	    (cmd != SIOCINQ && cmd != SIOCOUTQ && cmd != SIOCATMARK))
		return ferry_stream_ops.ioctl(sock, cmd, arg);
	carrier = ferry_carrier(sock);
	return ferry_carrier_ops(carrier)->ioctl(carrier, cmd, arg);
}

#ifdef CONFIG_COMPAT
/* ferry_remote_compat_ioctl() - the same for programs of 32 bits */
int ferry_remote_compat_ioctl(struct socket *sock, unsigned int cmd,
			      unsigned long arg)
{
	return ferry_remote_ioctl(sock, cmd, (unsigned long)compat_ptr(arg));
}
#endif

/* Has the other host acknowledged all, the end included? Or will it never? */
static bool ferry_remote_lingered(const struct sock *csk)
{
	switch (READ_ONCE(csk->sk_state)) {
	case TCP_FIN_WAIT1:
	case TCP_CLOSING:
	case TCP_LAST_ACK:
		return false;
	default:
		return true;
	}
}

/**
 * ferry_remote_shutdown() - shutdown(2)
 * @sock: socket
 * @how: SHUT_RD, SHUT_WR or SHUT_RDWR
 *
 * As TCP's; and with SO_LINGER it waits until all is acknowledged, as close(2) does.
 *
 * Return: 0, -EINVAL or -ENOTCONN.
 */
int ferry_remote_shutdown(struct socket *sock, int how)
{
	struct sock *sk = sock->sk;
	struct socket *carrier;
	int err;

	if (how < SHUT_RD || how > SHUT_RDWR)
		return -EINVAL;

	lock_sock(sk);
	if (ferry_tcp_cancel(sk, ECONNRESET)) {
		/* Another connect may follow. */
		sock->state = SS_UNCONNECTED;
		release_sock(sk);
		sk_error_report(sk);
		ferry_wake_state(sk, POLL_HUP);
		err = 0;
		goto out;
	}
	if (!ferry_remote(sk)) {
		release_sock(sk);
		return ferry_stream_ops.shutdown(sock, how);
	}
	carrier = ferry_carrier(sock);
	err = ferry_carrier_ops(carrier)->shutdown(carrier, how);
	release_sock(sk);

	if (!err && how != SHUT_RD && sock_flag(sk, SOCK_LINGER) &&
	    sk->sk_lingertime && !(current->flags & (PF_EXITING | PF_KTHREAD)))
		wait_event_interruptible_timeout(*sk_sleep(sk),
						 ferry_remote_lingered(carrier->sk),
						 sk->sk_lingertime);
out:
	ferry_debug(sk, "shutdown", err);
	return err;
}

/* Descriptors do not travel to other hosts. */
static int ferry_remote_cmsg(struct msghdr *msg)
{
	struct cmsghdr *cmsg;

	for_each_cmsghdr(cmsg, msg) {
		if (!CMSG_OK(msg, cmsg))
			return -EINVAL;
		if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
			return -EOPNOTSUPP;
	}
	return 0;
}

/**
 * ferry_remote_stream_sendmsg() - send bytes
 * @sock: socket
 * @msg: message
 * @len: its bytes
 *
 * Context: process, may sleep.
 * Return: bytes queued, or an error when there are none.
 */
int ferry_remote_stream_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)
{
	bool nosignal = msg->msg_flags & MSG_NOSIGNAL;
	bool nonblock = msg->msg_flags & MSG_DONTWAIT;
	struct sock *sk = sock->sk;
	struct socket *carrier;
	int ret, err;

	ret = ferry_remote_ready(sk, nonblock, READ_ONCE(sk->sk_sndtimeo));
	if (unlikely(ret <= 0))
		return ret ? ret : ferry_stream_ops.sendmsg(sock, msg, len);
	if (unlikely(msg->msg_namelen))
		return -EISCONN;
	if (unlikely(msg->msg_controllen)) {
		err = ferry_remote_cmsg(msg);
		if (err)
			return err;
	}

	ferry_carrier_refresh(sk);
	carrier = ferry_carrier(sock);
	msg->msg_flags = (msg->msg_flags & ~FERRY_NOT_FOR_TCP) | MSG_NOSIGNAL;
	ret = ferry_carrier_ops(carrier)->sendmsg(carrier, msg, len);
	if (unlikely(ret == -EPIPE)) {
		/* What ended the connection, once. */
		err = sock_error(sk);
		if (err)
			ret = err;
		if (ret == -EPIPE && !nosignal)
			send_sig(SIGPIPE, current, 0);
	}
	ferry_debug(sk, "send", ret);
	return ret;
}

/*
 * What ended the connection, once, or what the network has told of it; but not after
 * its end in good order, as TCP.
 */
static int ferry_remote_ended(struct sock *sk, const struct socket *carrier, int ret)
{
	return ret || !sock_flag(carrier->sk, SOCK_DONE) ? sock_error(sk) : 0;
}

/* Who sent it is nobody known here. */
static void ferry_remote_creds(struct socket *sock, struct msghdr *msg, int flags)
{
	struct scm_cookie scm = {
		.creds = { .uid = INVALID_UID, .gid = INVALID_GID },
	};

	ferry_cmsg_recv(sock, msg, &scm, flags);
}

/* SO_PEEK_OFF moves with what is read, where the core looks for it too. */
static void ferry_remote_peeked(struct sock *sk, const struct sock *csk)
{
	if (unlikely(READ_ONCE(sk->sk_peek_off) >= 0))
		WRITE_ONCE(sk->sk_peek_off, READ_ONCE(csk->sk_peek_off));
}

/* SO_INQ: what is left, as SIOCINQ tells it. */
static void ferry_remote_inq(struct sock *csk, struct msghdr *msg)
{
	int inq;

	lock_sock(csk);
	inq = tcp_inq(csk);
	release_sock(csk);
	ferry_recv_inq(msg, inq);
}

/**
 * ferry_remote_stream_recvmsg() - receive bytes
 * @sock: socket
 * @msg: where to
 * @len: bytes wanted
 * @flags: those of TCP
 *
 * Context: process, may sleep.
 * Return: bytes received, 0 at the end of the stream, or an error.
 */
int ferry_remote_stream_recvmsg(struct socket *sock, struct msghdr *msg, size_t len,
				int flags)
{
	struct sock *sk = sock->sk;
	struct socket *carrier;
	int ret, err;

	ret = ferry_remote_ready(sk, flags & MSG_DONTWAIT,
				 READ_ONCE(sk->sk_rcvtimeo));
	if (unlikely(ret <= 0))
		return ret ? ret : ferry_stream_ops.recvmsg(sock, msg, len, flags);

	ferry_carrier_refresh(sk);
	carrier = ferry_carrier(sock);
	ret = ferry_carrier_ops(carrier)->recvmsg(carrier, msg, len, flags);
	if (unlikely(flags & MSG_ERRQUEUE))
		return ret;
	ferry_remote_peeked(sk, carrier->sk);
	if (unlikely((!ret && len) || ret == -EAGAIN)) {
		err = ferry_remote_ended(sk, carrier, ret);
		if (err)
			ret = err;
	}
	if (unlikely(ret > 0 && ferry_cmsg_wanted(sock)))
		ferry_remote_creds(sock, msg, flags);
	if (unlikely(ret >= 0 && ferry_wants_inq(ferry_sk(sk))))
		ferry_remote_inq(carrier->sk, msg);
	ferry_debug(sk, "receive", ret);
	return ret;
}

/**
 * ferry_remote_splice_read() - splice(2) out of the stream
 * @sock: socket
 * @ppos: of no use
 * @pipe: pipe, locked
 * @len: bytes
 * @flags: SPLICE_F_NONBLOCK
 *
 * Context: process, may sleep.
 * Return: bytes moved, 0 at the end of the stream, or an error.
 */
ssize_t ferry_remote_splice_read(struct socket *sock, loff_t *ppos,
				 struct pipe_inode_info *pipe, size_t len,
				 unsigned int flags)
{
	bool nonblock = (sock->file->f_flags & O_NONBLOCK) ||
			(flags & SPLICE_F_NONBLOCK);
	struct sock *sk = sock->sk;
	struct socket *carrier;
	ssize_t ret;
	int err;

	ret = ferry_remote_ready(sk, nonblock, READ_ONCE(sk->sk_rcvtimeo));
	if (unlikely(ret <= 0))
		return ret ? ret : ferry_stream_ops.splice_read(sock, ppos, pipe, len,
								flags);

	ferry_carrier_refresh(sk);
	carrier = ferry_carrier(sock);
	ret = ferry_carrier_ops(carrier)->splice_read(carrier, ppos, pipe, len, flags);
	ferry_remote_peeked(sk, carrier->sk);
	if (unlikely((!ret && len) || ret == -EAGAIN)) {
		err = ferry_remote_ended(sk, carrier, ret);
		if (err)
			ret = err;
	}
	return ret;
}

/**
 * ferry_remote_set_peek_off() - SO_PEEK_OFF
 * @sk: socket; its lock_sock() may be held
 * @val: offset, or negative for none
 *
 * Return: 0, or -EOPNOTSUPP where TCP has none.
 */
int ferry_remote_set_peek_off(struct sock *sk, int val)
{
	struct socket *carrier;
	int err;

	if (!ferry_remote(sk))
		return ferry_stream_ops.set_peek_off(sk, val);
	carrier = ferry_sk(sk)->carrier;
	if (!ferry_carrier_ops(carrier)->set_peek_off)
		return -EOPNOTSUPP;
	err = ferry_carrier_ops(carrier)->set_peek_off(carrier->sk, val);
	/* Where the core looks for it. */
	return err ? err : sk_set_peek_off(sk, val);
}

/**
 * ferry_remote_set_rcvlowat() - SO_RCVLOWAT
 * @sk: socket; its lock_sock() is held
 * @val: bytes
 *
 * Return: 0 or an error.
 */
int ferry_remote_set_rcvlowat(struct sock *sk, int val)
{
	struct socket *carrier;
	int err;

	if (!ferry_remote(sk))
		return ferry_stream_ops.set_rcvlowat(sk, val);
	carrier = ferry_sk(sk)->carrier;
	lock_sock(carrier->sk);
	err = ferry_carrier_ops(carrier)->set_rcvlowat(carrier->sk, val);
	release_sock(carrier->sk);
	if (err)
		return err;
	WRITE_ONCE(sk->sk_rcvlowat, val ? : 1);
	return 0;
}
