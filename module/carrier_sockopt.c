// SPDX-License-Identifier: GPL-2.0
/*
 * The options of a socket and of its carrier, in one place: which of SOL_SOCKET go to
 * the carrier and how, what only the carrier knows, and the levels of IP, IPv6 and TCP.
 *
 * All that differs is copied, when the carrier is made and after each change, with the
 * effect that the core's own setsockopt(2) has. The core has asked for permission when
 * the socket's option was set: it is not asked for again, as who makes the carrier may
 * be another process.
 *
 * SOL_SOCKET is always read from the socket, so what the carrier learns of the network
 * is copied back.
 */
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/tcp.h>
#include <net/sock.h>

#include "carrier_sockopt.h"
#include "cmsg.h"
#include "ferry.h"
#include "timestamp.h"

/* Options that are nothing but a flag, where the carrier has it. */
static const enum sock_flags ferry_carrier_flags[] = {
	SOCK_BROADCAST,			/* SO_BROADCAST */
	SOCK_LINGER,			/* SO_LINGER, with its time below */
	SOCK_URGINLINE,			/* SO_OOBINLINE */
	SOCK_RCVTSTAMP,			/* SO_TIMESTAMP, SO_TIMESTAMPNS */
	SOCK_RCVTSTAMPNS,		/* SO_TIMESTAMPNS */
	SOCK_TSTAMP_NEW,		/* both, SO_TIMESTAMPING: which layout */
	SOCK_TXTIME,			/* SO_TXTIME, with its values below */
	SOCK_ZEROCOPY,			/* SO_ZEROCOPY */
};

#define FERRY_BUF_LOCKS		(SOCK_SNDBUF_LOCK | SOCK_RCVBUF_LOCK)

static bool ferry_is_tcp(const struct sock *carrier)
{
	return carrier->sk_protocol == IPPROTO_TCP;
}

/* SO_BINDTODEVICE, SO_BINDTOIFINDEX, SO_MARK, SO_DONTROUTE: what chooses the route. */
static void ferry_mirror_route(struct sock *carrier, const struct sock *sk)
{
	bool direct = sock_flag(sk, SOCK_LOCALROUTE);
	int dev = READ_ONCE(sk->sk_bound_dev_if);
	u32 mark = READ_ONCE(sk->sk_mark);

	if (carrier->sk_bound_dev_if == dev && carrier->sk_mark == mark &&
	    sock_flag(carrier, SOCK_LOCALROUTE) == direct)
		return;
	if (carrier->sk_bound_dev_if != dev) {
		WRITE_ONCE(carrier->sk_bound_dev_if, dev);
		if (carrier->sk_prot->rehash)
			carrier->sk_prot->rehash(carrier);
	}
	WRITE_ONCE(carrier->sk_mark, mark);
	sock_valbool_flag(carrier, SOCK_LOCALROUTE, direct);
	sk_dst_reset(carrier);
}

/* SO_KEEPALIVE */
static void ferry_mirror_keepalive(struct sock *carrier, const struct sock *sk)
{
	bool on = sock_flag(sk, SOCK_KEEPOPEN);

	if (sock_flag(carrier, SOCK_KEEPOPEN) == on)
		return;
	if (carrier->sk_prot->keepalive)
		carrier->sk_prot->keepalive(carrier, on);
	sock_valbool_flag(carrier, SOCK_KEEPOPEN, on);
}

/*
 * SO_SNDBUF, SO_RCVBUF, SO_BUF_LOCK. TCP sizes what nobody has set; of UDP nothing
 * arrives at the carrier of a socket.
 */
static void ferry_mirror_buffers(struct sock *carrier, const struct sock *sk)
{
	int sndbuf = READ_ONCE(sk->sk_sndbuf);
	int rcvbuf = READ_ONCE(sk->sk_rcvbuf);
	u8 locks;

	/* Who changes it comes here afterwards. */
	locks = data_race(sk->sk_userlocks) & FERRY_BUF_LOCKS;
	/* Others read other bits of the byte. */
	data_race(({
		carrier->sk_userlocks = (carrier->sk_userlocks & ~FERRY_BUF_LOCKS) | locks;
		0;
	}));
	/* Half of it, as records wait in the socket's own queue too. */
	if (sk->sk_type == SOCK_SEQPACKET)
		rcvbuf = max_t(int, rcvbuf / 2, SOCK_MIN_RCVBUF);
	if (locks & SOCK_RCVBUF_LOCK)
		WRITE_ONCE(carrier->sk_rcvbuf, rcvbuf);
	if (carrier->sk_sndbuf == sndbuf ||
	    (ferry_is_tcp(carrier) && !(locks & SOCK_SNDBUF_LOCK)))
		return;
	WRITE_ONCE(carrier->sk_sndbuf, sndbuf);
	carrier->sk_write_space(carrier);
}

/*
 * SO_RCVLOWAT: of a byte stream; a record is whole or is not there. Once it is connected,
 * as TCP would not tell of an answer that is shorter.
 */
static void ferry_mirror_rcvlowat(struct socket *sock, const struct sock *sk)
{
	int lowat = READ_ONCE(sk->sk_rcvlowat);

	if (sk->sk_type == SOCK_STREAM && ferry_remote(sk) && sock->sk->sk_rcvlowat != lowat &&
	    sock->ops->set_rcvlowat)
		sock->ops->set_rcvlowat(sock->sk, lowat);
}

/*
 * SO_TIMESTAMPING, SO_TIMESTAMP, SO_TIMESTAMPNS. What opens a connection is nobody's
 * message: it is not stamped, nor counted by SOF_TIMESTAMPING_OPT_ID.
 */
static void ferry_mirror_stamps(struct sock *carrier, const struct sock *sk)
{
	unsigned long stamps = READ_ONCE(sk->sk_flags) & FERRY_STAMP_FLAGS;
	unsigned long now = carrier->sk_flags & FERRY_STAMP_FLAGS;
	u32 tsflags = READ_ONCE(sk->sk_tsflags);

	/* The core counts who wants every message stamped. */
	if (stamps && !now)
		net_enable_timestamp();
	else if (!stamps && now)
		net_disable_timestamp();
	carrier->sk_flags = (carrier->sk_flags & ~FERRY_STAMP_FLAGS) | stamps;

	if (ferry_connects(sk) && !ferry_remote(sk))
		return;
	if ((tsflags & SOF_TIMESTAMPING_OPT_ID) &&
	    !(carrier->sk_tsflags & SOF_TIMESTAMPING_OPT_ID))
		atomic_set(&carrier->sk_tskey, ferry_is_tcp(carrier) ?
			   tcp_sk(carrier)->write_seq : 0);
	WRITE_ONCE(carrier->sk_tsflags, tsflags);
}

/* SO_MAX_PACING_RATE */
static void ferry_mirror_pacing(struct sock *carrier, const struct sock *sk)
{
	unsigned long most = READ_ONCE(sk->sk_max_pacing_rate);

	if (carrier->sk_max_pacing_rate == most)
		return;
	if (most != ~0UL)
		cmpxchg(&carrier->sk_pacing_status, SK_PACING_NONE, SK_PACING_NEEDED);
	WRITE_ONCE(carrier->sk_max_pacing_rate, most);
	if (most < READ_ONCE(carrier->sk_pacing_rate))
		WRITE_ONCE(carrier->sk_pacing_rate, most);
}

/*
 * Options that are nothing but a value. Not SO_TXREHASH, which is TCP's alone: from 6.16 on
 * its place in another family's socket has the flags of SO_PASSCRED and its kin.
 */
static void ferry_mirror_values(struct sock *carrier, const struct sock *sk)
{
	/* SO_PRIORITY */
	WRITE_ONCE(carrier->sk_priority, READ_ONCE(sk->sk_priority));
	/* SO_LINGER */
	WRITE_ONCE(carrier->sk_lingertime, READ_ONCE(sk->sk_lingertime));
	/* SO_RCVTIMEO, SO_SNDTIMEO */
	WRITE_ONCE(carrier->sk_rcvtimeo, READ_ONCE(sk->sk_rcvtimeo));
	WRITE_ONCE(carrier->sk_sndtimeo, READ_ONCE(sk->sk_sndtimeo));
#ifdef CONFIG_NET_RX_BUSY_POLL
	/* SO_BUSY_POLL, SO_PREFER_BUSY_POLL, SO_BUSY_POLL_BUDGET */
	WRITE_ONCE(carrier->sk_ll_usec, READ_ONCE(sk->sk_ll_usec));
	WRITE_ONCE(carrier->sk_prefer_busy_poll, READ_ONCE(sk->sk_prefer_busy_poll));
	WRITE_ONCE(carrier->sk_busy_poll_budget, READ_ONCE(sk->sk_busy_poll_budget));
#endif
	/* Bits of bytes, which cannot be marked. */
	data_race(({
		/* SO_NO_CHECK */
		carrier->sk_no_check_tx = sk->sk_no_check_tx;
		/* SO_TXTIME */
		carrier->sk_clockid = sk->sk_clockid;
		carrier->sk_txtime_deadline_mode = sk->sk_txtime_deadline_mode;
		carrier->sk_txtime_report_errors = sk->sk_txtime_report_errors;
		0;
	}));
}

/**
 * ferry_carrier_configure() - give a carrier the options of its socket
 * @sk: socket with a carrier
 *
 * Of two that run at once the second one sees what both were called for: they read
 * the options under the carrier's lock. To be called once more when a connection is
 * established, for its stamps and SO_RCVLOWAT.
 *
 * Context: process, may sleep; takes lock_sock() of the carrier.
 */
void ferry_carrier_configure(struct sock *sk)
{
	struct socket *sock = ferry_sk(sk)->carrier;
	struct sock *carrier = sock->sk;
	unsigned int i;

	lock_sock(carrier);
	ferry_mirror_route(carrier, sk);
	ferry_mirror_keepalive(carrier, sk);
	ferry_mirror_buffers(carrier, sk);
	ferry_mirror_rcvlowat(sock, sk);
	ferry_mirror_stamps(carrier, sk);
	ferry_mirror_pacing(carrier, sk);
	ferry_mirror_values(carrier, sk);
	for (i = 0; i < ARRAY_SIZE(ferry_carrier_flags); i++)
		sock_valbool_flag(carrier, ferry_carrier_flags[i],
				  sock_flag(sk, ferry_carrier_flags[i]));
	release_sock(carrier);
}

/**
 * ferry_carrier_attach() - a socket has got its carrier
 * @sk: socket without one
 * @carrier: the kernel's socket, now owned by @sk
 *
 * Context: process, may sleep, lock_sock(@sk) held.
 */
void ferry_carrier_attach(struct sock *sk, struct socket *carrier)
{
	struct ferry_sock *fs = ferry_sk(sk);

	fs->carrier = carrier;
	ferry_carrier_configure(sk);
	/* Pairs with ferry_carried(). */
	smp_store_release(&fs->carried, 1);
	/* What was set meanwhile. Pairs with ferry_carrier_changed(). */
	smp_mb();
	ferry_carrier_configure(sk);
}

/**
 * ferry_carrier_learn() - tell of a socket what its carrier has found out
 * @sk: socket with a carrier that has received or sent
 *
 * SO_INCOMING_NAPI_ID, SO_INCOMING_CPU, and the buffers that TCP sizes by itself.
 *
 * Context: any.
 */
void ferry_carrier_learn(struct sock *sk)
{
	const struct sock *carrier = ferry_sk(sk)->carrier->sk;
	int sndbuf = READ_ONCE(sk->sk_sndbuf), rcvbuf = READ_ONCE(sk->sk_rcvbuf);
	u8 locks;

	/* Who sets a size locks it first: either is seen here or fails the exchange. */
	smp_rmb();
	/* Bits of a byte, or were on 6.1: as before or after a setsockopt(2). */
	locks = data_race(sk->sk_userlocks);
#ifdef CONFIG_NET_RX_BUSY_POLL
	if (READ_ONCE(sk->sk_napi_id) != READ_ONCE(carrier->sk_napi_id))
		WRITE_ONCE(sk->sk_napi_id, READ_ONCE(carrier->sk_napi_id));
#endif
	if (READ_ONCE(sk->sk_incoming_cpu) != READ_ONCE(carrier->sk_incoming_cpu))
		WRITE_ONCE(sk->sk_incoming_cpu, READ_ONCE(carrier->sk_incoming_cpu));
	/* To records they are limits of the socket's own. */
	if (sk->sk_type != SOCK_STREAM)
		return;
	if (!(locks & SOCK_SNDBUF_LOCK) && sndbuf != READ_ONCE(carrier->sk_sndbuf))
		cmpxchg(&sk->sk_sndbuf, sndbuf, READ_ONCE(carrier->sk_sndbuf));
	if (!(locks & SOCK_RCVBUF_LOCK) && rcvbuf != READ_ONCE(carrier->sk_rcvbuf))
		cmpxchg(&sk->sk_rcvbuf, rcvbuf, READ_ONCE(carrier->sk_rcvbuf));
}

/* Those that would make the carrier another kind of socket, or take its bytes away. */
static const struct {
	int	level;
	int	optname;
} ferry_carrier_refused[] = {
	{ SOL_IPV6, IPV6_ADDRFORM },
	{ SOL_TCP, TCP_ULP },
	{ SOL_TCP, TCP_REPAIR },
	{ SOL_TCP, TCP_ZEROCOPY_RECEIVE },
};

/* Does an option of another level go to the carrier of @sk? */
static bool ferry_carrier_passes(const struct sock *sk, int level, int optname)
{
	unsigned int i;

	if (!ferry_carried(sk))
		return false;
	if (level != SOL_IP && level != SOL_IPV6 &&
	    (level != SOL_TCP || !ferry_is_tcp(ferry_sk(sk)->carrier->sk)))
		return false;
	for (i = 0; i < ARRAY_SIZE(ferry_carrier_refused); i++)
		if (level == ferry_carrier_refused[i].level &&
		    optname == ferry_carrier_refused[i].optname)
			return false;
	return true;
}

/**
 * ferry_carrier_setsockopt() - setsockopt(2) of the levels of IP, IPv6 and TCP
 * @sk: socket
 * @level: level
 * @optname: option
 * @optval: value
 * @optlen: its length
 *
 * Context: process, may sleep.
 * Return: 0 or an error, -ENOPROTOOPT without a carrier.
 */
int ferry_carrier_setsockopt(struct sock *sk, int level, int optname,
			     sockptr_t optval, unsigned int optlen)
{
	struct socket *carrier;
	int err;

	if (!ferry_carrier_passes(sk, level, optname))
		return -ENOPROTOOPT;

	carrier = ferry_sk(sk)->carrier;
	err = sock_common_setsockopt(carrier, level, optname, optval, optlen);
	if (!err && level == SOL_IP && optname == IP_TOS) {
		u32 priority = READ_ONCE(carrier->sk->sk_priority);

		WRITE_ONCE(sk->sk_priority, priority);
		ferry_priority_seen(priority);
	}
	return err;
}

/**
 * ferry_carrier_getsockopt() - getsockopt(2) of the levels of IP, IPv6 and TCP
 * @sk: socket
 * @level: level
 * @optname: option
 * @optval: room for the value
 * @optlen: its size, updated
 *
 * Context: process, may sleep.
 * Return: 0 or an error, -ENOPROTOOPT without a carrier.
 */
int ferry_carrier_getsockopt(struct sock *sk, int level, int optname,
			     char __user *optval, int __user *optlen)
{
	if (!ferry_carrier_passes(sk, level, optname))
		return -ENOPROTOOPT;
	return sock_common_getsockopt(ferry_sk(sk)->carrier, level, optname,
				      optval, optlen);
}
