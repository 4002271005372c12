// SPDX-License-Identifier: GPL-2.0
/*
 * Socket options: what the core will not do for the family at SOL_SOCKET, and
 * the family's own level SOL_FERRY.
 *
 * Sockets carry SOCK_CUSTOM_SOCKOPT, so that setting at SOL_SOCKET comes here
 * first; getting goes to the core directly.
 */
#include "ferry.h"

/* More room may let a sender go on: this socket's own, or its peer. */
static void ferry_buffer_resized(struct sock *sk)
{
	struct sock *peer;

	if (!ferry_connects(sk) ||
	    smp_load_acquire(&sk->sk_state) != TCP_ESTABLISHED)
		return;
	peer = ferry_sk(sk)->peer;
	ferry_write_space(sk, peer);
	ferry_write_space(peer, sk);
}

/**
 * ferry_setsockopt() - setsockopt(2)
 * @sock: socket
 * @level: SOL_SOCKET or SOL_FERRY
 * @optname: option
 * @optval: value
 * @optlen: its length
 *
 * Return: 0 or an error, -ENOPROTOOPT for unknown ones.
 */
int ferry_setsockopt(struct socket *sock, int level, int optname,
		     sockptr_t optval, unsigned int optlen)
{
	int err;

	if (level != SOL_SOCKET)
		return -ENOPROTOOPT;

#ifdef SO_PASSPIDFD
	/* Its helper is not exported: better refused than without effect. */
	if (optname == SO_PASSPIDFD)
		return -EOPNOTSUPP;
#endif
	err = sock_setsockopt(sock, level, optname, optval, optlen);
	if (err)
		return err;

	switch (optname) {
	case SO_RCVBUF:
	case SO_SNDBUF:
	case SO_RCVBUFFORCE:
	case SO_SNDBUFFORCE:
		ferry_buffer_resized(sock->sk);
		break;
	case SO_PASSSEC:
		/* From the first user on senders leave their label. */
		if (!static_branch_unlikely(&ferry_passsec_used))
			static_branch_enable(&ferry_passsec_used);
		break;
	}
	return 0;
}

/**
 * ferry_getsockopt() - getsockopt(2) of levels other than SOL_SOCKET
 * @sock: socket
 * @level: SOL_FERRY
 * @optname: option
 * @optval: room for the value
 * @optlen: its size, updated
 *
 * Return: 0 or an error, -ENOPROTOOPT for unknown ones.
 */
int ferry_getsockopt(struct socket *sock, int level, int optname,
		     char __user *optval, int __user *optlen)
{
	return -ENOPROTOOPT;
}

/**
 * ferry_set_rcvlowat() - SO_RCVLOWAT
 * @sk: socket
 * @val: bytes; the core has turned a negative one into INT_MAX
 *
 * Return: 0.
 */
int ferry_set_rcvlowat(struct sock *sk, int val)
{
	WRITE_ONCE(sk->sk_rcvlowat, val ? : 1);
	/* What waits may be enough now. */
	if (sk->sk_type == SOCK_STREAM &&
	    smp_load_acquire(&sk->sk_state) == TCP_ESTABLISHED &&
	    ferry_readable(sk, ferry_sk(sk)->peer))
		ferry_wake_reader(sk);
	return 0;
}

/* Flags that an accepted socket takes over, as sk_clone_lock() does for TCP. */
static const enum sock_flags ferry_inherited_flags[] = {
	SOCK_KEEPOPEN, SOCK_URGINLINE, SOCK_LINGER, SOCK_BROADCAST, SOCK_DBG,
	SOCK_RCVTSTAMP, SOCK_RCVTSTAMPNS, SOCK_LOCALROUTE, SOCK_RXQ_OVFL,
	SOCK_SELECT_ERR_QUEUE, SOCK_FILTER_LOCKED, SOCK_TSTAMP_NEW,
	SOCK_RCVMARK, SOCK_ZEROCOPY,
};

/**
 * ferry_inherit() - give a new connection its listener's options
 * @child: socket nobody else knows yet
 * @listener: its listener
 */
void ferry_inherit(struct sock *child, const struct sock *listener)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ferry_inherited_flags); i++)
		if (sock_flag(listener, ferry_inherited_flags[i]))
			sock_set_flag(child, ferry_inherited_flags[i]);

	child->sk_userlocks = listener->sk_userlocks & ~SOCK_BINDPORT_LOCK;
	child->sk_rcvbuf = READ_ONCE(listener->sk_rcvbuf);
	child->sk_sndbuf = READ_ONCE(listener->sk_sndbuf);
	child->sk_rcvlowat = READ_ONCE(listener->sk_rcvlowat);
	child->sk_rcvtimeo = READ_ONCE(listener->sk_rcvtimeo);
	child->sk_sndtimeo = READ_ONCE(listener->sk_sndtimeo);
	child->sk_lingertime = READ_ONCE(listener->sk_lingertime);
	child->sk_mark = READ_ONCE(listener->sk_mark);
	child->sk_bound_dev_if = READ_ONCE(listener->sk_bound_dev_if);
}
