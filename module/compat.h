/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernels the module is built for, and nothing else:
 * here the core's functions and the socket, in compat-scm.h what travels beside
 * the payload. No other file asks for the kernel's version.
 */
#ifndef _FERRY_COMPAT_H
#define _FERRY_COMPAT_H

#include <linux/net.h>
#include <linux/poll.h>
#include <linux/skbuff.h>
#include <linux/sysctl.h>
#include <linux/version.h>
#include <net/sock.h>
#include <net/tcp.h>

/* 6.19 gave addresses of bind and connect a type of their own. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
#define sockaddr_unsized	sockaddr
#endif

/* Does the caller wait? 6.14 took away poll_does_not_wait(). */
static inline bool ferry_poll_waits(const poll_table *table)
{
	return table && table->_qproc;
}

/* 6.10 gathered the arguments of proto_ops.accept in a structure. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
#define FERRY_ACCEPT_PARAMS	struct proto_accept_arg *arg
#define FERRY_ACCEPT_FLAGS	(arg->flags)
#else
#define FERRY_ACCEPT_PARAMS	int flags, bool kern
#define FERRY_ACCEPT_FLAGS	(flags)
#endif

/*
 * Before 6.7 the core does SOL_SOCKET itself for every family but MPTCP.
 * ferry_custom_sockopt() asks it to let the family look at it first.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#define FERRY_SEES_SOL_SOCKET	true

static inline void ferry_custom_sockopt(struct socket *sock)
{
	set_bit(SOCK_CUSTOM_SOCKOPT, &sock->flags);
}
#else
#define FERRY_SEES_SOL_SOCKET	false

static inline void ferry_custom_sockopt(struct socket *sock)
{
}
#endif

/* 6.16 gave msg_zerocopy_realloc() an argument for device memory. */
static inline struct ubuf_info *ferry_zerocopy_alloc(struct sock *sk, size_t len)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
	return msg_zerocopy_realloc(sk, len, NULL, false);
#else
	return msg_zerocopy_realloc(sk, len, NULL);
#endif
}

/*
 * From 6.15 on __skb_tstamp_tx() reports only what the packet itself asks for: for
 * SOF_TIMESTAMPING_TX_ACK where TCP keeps that, for the others as any packet does.
 */
static inline void ferry_txstamp_mark(struct sk_buff *skb, u32 tsflags)
{
	__sock_tx_timestamp(tsflags, &skb_shinfo(skb)->tx_flags);
	TCP_SKB_CB(skb)->txstamp_ack = !!(tsflags & SOF_TIMESTAMPING_TX_ACK);
}

/* 6.6 dropped the message from the arguments of __sock_cmsg_send(). */
static inline int ferry_sock_cmsg(struct sock *sk, struct msghdr *msg,
				  struct cmsghdr *cmsg,
				  struct sockcm_cookie *sockc)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	return __sock_cmsg_send(sk, cmsg, sockc);
#else
	return __sock_cmsg_send(sk, msg, cmsg, sockc);
#endif
}

/*
 * 6.14 tells a receiver the priority of each message, which may have one of its own.
 * Before, only a socket filter can see it.
 */
#ifdef SO_RCVPRIORITY
#define FERRY_RCVPRIORITY_FLAG	BIT(SOCK_RCVPRIORITY)
#define FERRY_TELLS_PRIORITY	true

static inline u32 ferry_cookie_priority(const struct sockcm_cookie *sockc)
{
	return sockc->priority;
}
#else
#define FERRY_RCVPRIORITY_FLAG	0UL
#define FERRY_TELLS_PRIORITY	false

static inline u32 ferry_cookie_priority(const struct sockcm_cookie *sockc)
{
	return 0;
}
#endif

/* 6.11 gave the handlers of sysctl a table that does not change, 6.6 its length. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
#define FERRY_CTL_TABLE		const struct ctl_table
#else
#define FERRY_CTL_TABLE		struct ctl_table
#endif

static inline struct ctl_table_header *
ferry_register_sysctl(struct net *net, const char *path, struct ctl_table *table,
		      size_t entries)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	return register_net_sysctl_sz(net, path, table, entries);
#else
	/* It ends at an entry of zeros. */
	return register_net_sysctl(net, path, table);
#endif
}

/*
 * A kernel socket does not keep its namespace, and TCP's timers need one for as long
 * as the connection takes to end. 6.12 has a function for that.
 */
static inline void ferry_hold_net(struct sock *sk)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	sk_net_refcnt_upgrade(sk);
#else
	sk->sk_net_refcnt = 1;
	get_net_track(sock_net(sk), &sk->ns_tracker, GFP_KERNEL);
	sock_inuse_add(sock_net(sk), 1);
#endif
}

/* By 7.3 the helpers of UDP tunnels take the struct sock of their socket. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define FERRY_UDP_TUNNEL(sock)	((sock)->sk)
#else
#define FERRY_UDP_TUNNEL(sock)	(sock)
#endif

/* 6.10 dropped the source, which __string() knows, from the arguments. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
#define ferry_assign_str(dst, src)		\
	do {					\
		(void)(src);			\
		__assign_str(dst);		\
	} while (0)
#else
#define ferry_assign_str(dst, src)	__assign_str(dst, src)
#endif

/* Before 6.5 pages are spliced into a socket one by one, by proto_ops.sendpage. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#define FERRY_SENDPAGE_OP
#else
#define FERRY_SENDPAGE
#define FERRY_SENDPAGE_OP	.sendpage = ferry_sendpage,
#ifndef MSG_SPLICE_PAGES
#define MSG_SPLICE_PAGES	0x8000000
#endif
#endif

#endif /* _FERRY_COMPAT_H */
