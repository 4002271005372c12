// SPDX-License-Identifier: GPL-2.0
/*
 * Socket options: what the core will not do for the family at SOL_SOCKET, and
 * the family's own level SOL_FERRY.
 *
 * Sockets carry SOCK_CUSTOM_SOCKOPT, so that setting at SOL_SOCKET comes here
 * first; getting goes to the core directly.
 */
#include "carrier_sockopt.h"
#include "carrier_tcp.h"
#include "cmsg.h"
#include "compat-scm.h"
#include "diag.h"
#include "ferry.h"
#include "filter.h"
#include "name.h"
#include "poll.h"
#include "sockopt.h"
#include "timestamp.h"

/**
 * ferry_buffer_resized() - there may be more room: in a larger buffer, or in one
 * from which something went that was no message
 * @sk: socket; it and those who send to it may go on
 */
void ferry_buffer_resized(struct sock *sk)
{
	struct sock *peer;

	if (!ferry_connects(sk)) {
		ferry_write_space(sk, NULL);
		wake_up_interruptible_all(&ferry_sk(sk)->senders);
		return;
	}
	if (unlikely(ferry_remote(sk)))
		ferry_tcp_read(sk);
	if (!ferry_connected(sk))
		return;
	peer = ferry_sk(sk)->peer;
	ferry_write_space(sk, peer);
	ferry_write_space(peer, sk);
}

/* SOL_FERRY */
static int ferry_set_family(struct socket *sock, int optname, sockptr_t optval,
			    unsigned int optlen)
{
	struct sock *sk = sock->sk;
	struct ferry_sock *fs = ferry_sk(sk);
	int val, err = 0;

	if (optlen < sizeof(val))
		return -EINVAL;
	if (copy_from_sockptr(&val, optval, sizeof(val)))
		return -EFAULT;

	lock_sock(sk);
	switch (optname) {
	case FERRY_MODE:
		err = ferry_name_set_mode(sk, val);
		break;
	case FERRY_PASSRIGHTS:
		WRITE_ONCE(fs->refuse_rights, !val);
		break;
	case FERRY_BROADCAST_POLICY:
		if (val != FERRY_BROADCAST_DROP &&
		    val != FERRY_BROADCAST_DISCONNECT)
			err = -EINVAL;
		else
			WRITE_ONCE(fs->broadcast_policy, val);
		break;
	case FERRY_REUSEPORT:
		sk->sk_reuseport = !!val;
		break;
	case FERRY_ZEROCOPY:
		if (val < 0 || val > 1)
			err = -EINVAL;
		else
			ferry_set_flag(sk, SOCK_ZEROCOPY, val);
		break;
	case FERRY_PASSCRED:
		ferry_set_passcred(sock, val);
		break;
	case FERRY_PASSSEC:
		ferry_set_passsec(sock, val);
		ferry_passsec_changed(sock);
		break;
#ifdef FERRY_HAS_PASSPIDFD
	case FERRY_PASSPIDFD:
		ferry_set_passpidfd(sock, val);
		break;
#endif
	default:
		err = -ENOPROTOOPT;
	}
	release_sock(sk);
	return err;
}

/* As AF_UNIX's own: an int, and nothing but 0 or 1. */
static int __maybe_unused ferry_set_0_or_1(u8 *to, sockptr_t optval,
					   unsigned int optlen)
{
	int val;

	if (optlen != sizeof(val))
		return -EINVAL;
	if (copy_from_sockptr(&val, optval, sizeof(val)))
		return -EFAULT;
	if (val < 0 || val > 1)
		return -EINVAL;
	WRITE_ONCE(*to, val);
	return 0;
}

/* SOL_SOCKET: what the core refuses outside INET, and what follows from it. */
static int ferry_set_socket(struct socket *sock, int optname, sockptr_t optval,
			    unsigned int optlen)
{
	struct ferry_sock __maybe_unused *fs = ferry_sk(sock->sk);
	int err;

	switch (optname) {
	case SO_REUSEPORT:
		return ferry_set_family(sock, FERRY_REUSEPORT, optval, optlen);
	case SO_ZEROCOPY:
		return ferry_set_family(sock, FERRY_ZEROCOPY, optval, optlen);
#ifdef SO_PASSRIGHTS
	case SO_PASSRIGHTS:
		return ferry_set_family(sock, FERRY_PASSRIGHTS, optval, optlen);
#endif
#ifdef SO_INQ
	case SO_INQ:
		if (sock->sk->sk_type != SOCK_STREAM)
			return -ENOPROTOOPT;
		return ferry_set_0_or_1(&fs->inq, optval, optlen);
#endif
#ifdef SO_RIGHTS_NOTRUNC
	case SO_RIGHTS_NOTRUNC:
		return ferry_set_0_or_1(&fs->notrunc, optval, optlen);
#endif
	case SO_ATTACH_FILTER:
	case SO_ATTACH_BPF:
		/* TCP's bytes are no messages that a filter could see. */
		if (sock->type == SOCK_STREAM &&
		    (ferry_remote(sock->sk) ||
		     ferry_state(sock->sk) == FERRY_REMOTE_CONNECTING))
			return -EOPNOTSUPP;
		break;
	case SO_PASSCRED:
		return ferry_set_family(sock, FERRY_PASSCRED, optval, optlen);
	case SO_PASSSEC:
		return ferry_set_family(sock, FERRY_PASSSEC, optval, optlen);
	case SO_DETACH_REUSEPORT_BPF:
		/* The core forgets to ask. */
		if (sock_flag(sock->sk, SOCK_FILTER_LOCKED))
			return -EPERM;
		break;
#ifdef FERRY_HAS_PASSPIDFD
	case SO_PASSPIDFD:
		return ferry_set_family(sock, FERRY_PASSPIDFD, optval, optlen);
#elif defined(SO_PASSPIDFD)
	case SO_PASSPIDFD:
		/* Better refused than without effect. */
		return -EOPNOTSUPP;
#endif
	}

	err = sock_setsockopt(sock, SOL_SOCKET, optname, optval, optlen);
	if (err)
		return err;

	switch (optname) {
	case SO_RCVBUF:
	case SO_SNDBUF:
	case SO_RCVBUFFORCE:
	case SO_SNDBUFFORCE:
		ferry_buffer_resized(sock->sk);
		break;
	case SO_PRIORITY:
		ferry_priority_seen(READ_ONCE(sock->sk->sk_priority));
		break;
	}
	return 0;
}

/**
 * ferry_setsockopt() - setsockopt(2)
 * @sock: socket
 * @level: SOL_SOCKET or SOL_FERRY, or a level of the carrier
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

	switch (level) {
	case SOL_SOCKET:
		err = ferry_set_socket(sock, optname, optval, optlen);
		break;
	case SOL_FERRY:
		err = ferry_set_family(sock, optname, optval, optlen);
		break;
	default:
		return ferry_carrier_setsockopt(sock->sk, level, optname, optval,
						optlen);
	}
	if (!err)
		ferry_carrier_changed(sock->sk);
	return err;
}

/**
 * ferry_getsockopt() - getsockopt(2) of levels other than SOL_SOCKET
 * @sock: socket
 * @level: SOL_FERRY, or a level of the carrier
 * @optname: option
 * @optval: room for the value
 * @optlen: its size, updated
 *
 * Return: 0 or an error, -ENOPROTOOPT for unknown ones.
 */
int ferry_getsockopt(struct socket *sock, int level, int optname,
		     char __user *optval, int __user *optlen)
{
	const struct ferry_sock *fs = ferry_sk(sock->sk);
	union {
		int val;
		struct ferry_info info;
	} v;
	int len, size = sizeof(v.val);

	if (level != SOL_FERRY)
		return ferry_carrier_getsockopt(sock->sk, level, optname, optval,
						optlen);
	if (get_user(len, optlen))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;

	switch (optname) {
	case FERRY_MODE:
		v.val = ferry_name_get_mode(sock->sk);
		if (v.val < 0)
			return v.val;
		break;
	case FERRY_PASSRIGHTS:
		v.val = !READ_ONCE(fs->refuse_rights);
		break;
	case FERRY_BROADCAST_POLICY:
		v.val = READ_ONCE(fs->broadcast_policy);
		break;
	case FERRY_INFO:
		ferry_diag_info(sock->sk, &v.info);
		size = sizeof(v.info);
		break;
	case FERRY_REUSEPORT:
		/* A bit of a byte, which cannot be marked. */
		v.val = data_race((int)sock->sk->sk_reuseport);
		break;
	case FERRY_ZEROCOPY:
		v.val = sock_flag(sock->sk, SOCK_ZEROCOPY);
		break;
	case FERRY_PASSCRED:
		v.val = ferry_passcred(sock);
		break;
	case FERRY_PASSSEC:
		v.val = ferry_passsec(sock);
		break;
#ifdef FERRY_HAS_PASSPIDFD
	case FERRY_PASSPIDFD:
		v.val = ferry_passpidfd(sock);
		break;
#endif
	default:
		return -ENOPROTOOPT;
	}

	len = min(len, size);
	if (put_user(len, optlen) || copy_to_user(optval, &v, len))
		return -EFAULT;
	return 0;
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
	    ferry_connected(sk) &&
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
#ifdef SO_RCVPRIORITY
	SOCK_RCVPRIORITY,
#endif
};

/**
 * ferry_inherit() - give a new connection its listener's options
 * @child: socket nobody else uses yet
 * @listener: its listener
 */
void ferry_inherit(struct sock *child, const struct sock *listener)
{
	unsigned long stamps = READ_ONCE(listener->sk_flags) & FERRY_STAMP_FLAGS;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ferry_inherited_flags); i++)
		if (sock_flag(listener, ferry_inherited_flags[i]))
			sock_set_flag(child, ferry_inherited_flags[i]);

	/* A dump may ask for these: the child is in the list of sockets already. */
	WRITE_ONCE(child->sk_rcvbuf, READ_ONCE(listener->sk_rcvbuf));
	WRITE_ONCE(child->sk_sndbuf, READ_ONCE(listener->sk_sndbuf));
	child->sk_rcvlowat = READ_ONCE(listener->sk_rcvlowat);
	child->sk_rcvtimeo = READ_ONCE(listener->sk_rcvtimeo);
	child->sk_sndtimeo = READ_ONCE(listener->sk_sndtimeo);
	child->sk_lingertime = READ_ONCE(listener->sk_lingertime);
	/* The child's messages need stamps; the core counts who does. */
	if (stamps) {
		child->sk_flags |= stamps;
		net_enable_timestamp();
	}
	child->sk_tsflags = READ_ONCE(listener->sk_tsflags);
	child->sk_peek_off = READ_ONCE(listener->sk_peek_off);
	/* Bits of a byte, or were on 6.1: as before or after a setsockopt(2). */
	data_race(({
		child->sk_userlocks = listener->sk_userlocks & ~SOCK_BINDPORT_LOCK;
		child->sk_reuse = listener->sk_reuse;
		child->sk_reuseport = listener->sk_reuseport;
		0;
	}));
#ifdef CONFIG_NET_RX_BUSY_POLL
	child->sk_ll_usec = READ_ONCE(listener->sk_ll_usec);
	child->sk_prefer_busy_poll = READ_ONCE(listener->sk_prefer_busy_poll);
	child->sk_busy_poll_budget = READ_ONCE(listener->sk_busy_poll_budget);
#endif
	child->sk_mark = READ_ONCE(listener->sk_mark);
	child->sk_max_pacing_rate = READ_ONCE(listener->sk_max_pacing_rate);
	ferry_filter_inherit(child, listener);
	child->sk_bound_dev_if = READ_ONCE(listener->sk_bound_dev_if);
	ferry_sk(child)->refuse_rights = READ_ONCE(ferry_sk(listener)->refuse_rights);
	ferry_sk(child)->notrunc = READ_ONCE(ferry_sk(listener)->notrunc);
}
