// SPDX-License-Identifier: GPL-2.0
/*
 * Calls on a byte stream to another host: they are TCP's, on the socket's carrier. The
 * bytes are queued, counted and waited for there alone.
 */
#include <linux/compat.h>
#include <linux/net.h>
#include <linux/splice.h>
#include <asm/ioctls.h>
#include <net/tcp.h>

#include "af_ferry.h"
#include "carrier_sockopt.h"
#include "cmsg.h"
#include "compat-scm.h"
#include "compat.h"
#include "ferry.h"
#include "remote.h"
#include "remote_stream.h"
#include "timestamp.h"
#include "urgent.h"

/* What TCP would take for its own: what it sends in place of a connect. */
#define FERRY_NOT_FOR_TCP	MSG_FASTOPEN

/**
 * ferry_remote_stream_mask() - what of a connected stream is ready: TCP's
 * @file: file of the socket
 * @sock: the socket
 *
 * Return: the poll mask.
 */
__poll_t ferry_remote_stream_mask(struct file *file, struct socket *sock)
{
	struct socket *carrier = ferry_carrier(sock);

	return ferry_carrier_ops(carrier)->poll(file, carrier, NULL);
}

/**
 * ferry_remote_stream_ioctl() - SIOCINQ, SIOCOUTQ, SIOCATMARK
 * @sock: socket
 * @cmd: command
 * @arg: where the result goes
 *
 * Return: 0 or an error.
 */
int ferry_remote_stream_ioctl(struct socket *sock, unsigned int cmd, unsigned long arg)
{
	struct socket *carrier;

	if (!ferry_remote(sock->sk) ||
	    (cmd != SIOCINQ && cmd != SIOCOUTQ && cmd != SIOCATMARK))
		return ferry_stream_ops.ioctl(sock, cmd, arg);
	carrier = ferry_carrier(sock);
	return ferry_carrier_ops(carrier)->ioctl(carrier, cmd, arg);
}

#ifdef CONFIG_COMPAT
/* ferry_remote_stream_compat_ioctl() - the same for programs of 32 bits */
int ferry_remote_stream_compat_ioctl(struct socket *sock, unsigned int cmd,
				     unsigned long arg)
{
	return ferry_remote_stream_ioctl(sock, cmd, (unsigned long)compat_ptr(arg));
}
#endif

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
