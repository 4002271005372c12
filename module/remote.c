// SPDX-License-Identifier: GPL-2.0
/*
 * What is the same on every connection to another host, whatever its type.
 *
 * A socket gets the remote proto_ops of its type when it begins to connect to another
 * host, or when it is accepted from there. The state FERRY_REMOTE says that there is a
 * carrier; it stays until the socket is released. In any other state the calls are
 * those of a local socket.
 */
#include <linux/net.h>
#include <linux/poll.h>
#include <net/tcp.h>

#include "af_ferry.h"
#include "carrier_sockopt.h"
#include "carrier_tcp.h"
#include "compat.h"
#include "connection.h"
#include "ferry.h"
#include "poll.h"
#include "remote.h"
#include "remote_seqpacket.h"
#include "remote_stream.h"

/**
 * ferry_remote_ops() - the calls on a connection to another host
 * @sk: STREAM or SEQPACKET socket
 *
 * Return: those of its type.
 */
const struct proto_ops *ferry_remote_ops(const struct sock *sk)
{
	return sk->sk_type == SOCK_STREAM ? &ferry_remote_stream_ops :
					    &ferry_remote_seqpacket_ops;
}

/**
 * __ferry_remote_ready() - ferry_remote_ready() of a socket that may be connecting
 * @sk: socket
 * @nonblock: do not wait
 * @timeo: how long to wait
 *
 * Return: as ferry_remote_ready().
 */
int __ferry_remote_ready(struct sock *sk, bool nonblock, long timeo)
{
	int err;

	if (ferry_remote(sk))
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
	newsock->ops = ferry_remote_ops(child);
	sock_graft(child, newsock);
	ferry_tcp_accepted(newsock);
	release_sock(child);
}

/**
 * ferry_remote_poll() - the poll mask
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
	mask = sk->sk_type == SOCK_STREAM ? ferry_remote_stream_mask(file, sock) :
					    ferry_remote_seqpacket_mask(sock);
	/* Last: it is moved there before what ends the connection is told. */
	if (READ_ONCE(sk->sk_err))
		mask |= EPOLLERR;
	if (mask & EPOLLERR && sock_flag(sk, SOCK_SELECT_ERR_QUEUE))
		mask |= EPOLLPRI;
	return mask;
}

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
 * Return: 0, -EINVAL, -ENOTCONN, or -ENOBUFS without memory for what is to go before.
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
	err = sk->sk_type == SOCK_STREAM ? 0 : ferry_remote_seqpacket_shutdown(sk, how);
	if (!err)
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

/**
 * ferry_remote_cmsg() - check control messages: descriptors do not travel
 * @msg: message
 *
 * Return: 0, -EINVAL or -EOPNOTSUPP.
 */
int ferry_remote_cmsg(struct msghdr *msg)
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
