// SPDX-License-Identifier: GPL-2.0
/*
 * UDP as a carrier: the socket of a namespace that datagrams arrive at, and the one
 * that each sending socket has, to which the network's errors and stamps come back.
 *
 * One socket is for IPv6 and IPv4, where there is IPv6. They are the kernel's own and
 * hold no reference on the namespace: the first is closed when that ends, the others
 * with their sockets, which do hold one.
 *
 * The carrier's callbacks find its socket by sk_user_data under RCU. Who has a carrier
 * is freed after a grace period.
 */
#include <linux/errqueue.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/udp.h>
#include <net/ipv6.h>
#include <net/udp.h>
#include <net/udp_tunnel.h>

#include "carrier_sockopt.h"
#include "carrier_udp.h"
#include "compat.h"
#include "ferry.h"
#include "name.h"
#include "node.h"
#include "packet.h"
#include "poll.h"
#include "remote_dgram.h"
#include "timestamp.h"

/* How much of what strangers send is dropped at once; more than a default SO_RCVBUF. */
#define FERRY_UDP_DRAIN		1024

/**
 * struct ferry_udp - what a carrier knows of its socket, in sk_user_data
 * @rcu: frees it
 * @sk: the socket
 * @error_report: UDP's own callback
 * @write_space: UDP's own callback
 */
struct ferry_udp {
	struct rcu_head	rcu;
	struct sock	*sk;
	void		(*error_report)(struct sock *carrier);
	void		(*write_space)(struct sock *carrier);
};

/* A UDP socket for both, or for IPv4 where there is no IPv6. */
static int ferry_udp_make(struct net *net, struct socket **sockp)
{
	int err = -EAFNOSUPPORT;

	if (IS_ENABLED(CONFIG_IPV6))
		err = sock_create_kern(net, AF_INET6, SOCK_DGRAM, IPPROTO_UDP, sockp);
	if (err == -EAFNOSUPPORT)
		return sock_create_kern(net, AF_INET, SOCK_DGRAM, IPPROTO_UDP, sockp);
	/* Whatever net.ipv6.bindv6only says. */
	if (!err)
		(*sockp)->sk->sk_ipv6only = 0;
	return err;
}

/**
 * ferry_udp_addr() - where a carrier sends to
 * @sk: the UDP socket
 * @node: node
 * @port: port there
 * @addr: the result
 *
 * Return: its length, or -ENETUNREACH for IPv6 where there is none.
 */
int ferry_udp_addr(const struct sock *sk, const struct in6_addr *node, u16 port,
		   struct sockaddr_storage *addr)
{
	struct sockaddr_in6 *sin6 = (void *)addr;
	struct sockaddr_in *sin = (void *)addr;

	if (sk->sk_family == AF_INET) {
		if (!ipv6_addr_v4mapped(node) && !ipv6_addr_any(node))
			return -ENETUNREACH;
		memset(sin, 0, sizeof(*sin));
		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
		sin->sin_addr.s_addr = node->s6_addr32[3];
		return sizeof(*sin);
	}
	memset(sin6, 0, sizeof(*sin6));
	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(port);
	sin6->sin6_addr = *node;
	if (ipv6_addr_type(node) & (IPV6_ADDR_LINKLOCAL | IPV6_ADDR_MULTICAST))
		sin6->sin6_scope_id = READ_ONCE(sk->sk_bound_dev_if);
	return sizeof(*sin6);
}

/**
 * ferry_udp_nodes() - where a datagram came from, and to which address
 * @skb: datagram that UDP has received
 * @src: sender's address
 * @dst: the address it was sent to
 */
void ferry_udp_nodes(const struct sk_buff *skb, struct in6_addr *src,
		     struct in6_addr *dst)
{
	if (skb->protocol == htons(ETH_P_IPV6)) {
		*src = ipv6_hdr(skb)->saddr;
		*dst = ipv6_hdr(skb)->daddr;
	} else {
		ipv6_addr_set_v4mapped(ip_hdr(skb)->saddr, src);
		ipv6_addr_set_v4mapped(ip_hdr(skb)->daddr, dst);
	}
}

/* UDP has received a datagram at the port of the namespace; RCU is held. */
static int ferry_udp_rcv(struct sock *door, struct sk_buff *skb)
{
	ferry_remote_rcv(sock_net(door), skb);
	return 0;
}

/**
 * ferry_udp_open() - receive what comes for a port
 * @net: namespace
 * @port: port, not 0
 * @sockp: the result
 *
 * Context: process, may sleep.
 * Return: 0, -EADDRINUSE when another has it, or -ENOMEM.
 */
int ferry_udp_open(struct net *net, u16 port, struct socket **sockp)
{
	struct udp_tunnel_sock_cfg cfg = {
		.encap_type	= 1,
		.encap_rcv	= ferry_udp_rcv,
		.sk_user_data	= ferry_pernet(net),
	};
	struct sockaddr_storage addr;
	struct socket *sock;
	int err, len;

	err = ferry_udp_make(net, &sock);
	if (err)
		return err;
	len = ferry_udp_addr(sock->sk, &in6addr_any, port, &addr);
	err = kernel_bind(sock, (struct sockaddr_unsized *)&addr, len);
	if (err) {
		sock_release(sock);
		return err;
	}
	setup_udp_tunnel_sock(net, FERRY_UDP_TUNNEL(sock), &cfg);
	*sockp = sock;
	return 0;
}

/**
 * ferry_udp_close() - receive no more
 * @sock: what ferry_udp_open() gave
 *
 * When this returns no datagram is on its way through it.
 *
 * Context: process, may sleep.
 */
void ferry_udp_close(struct socket *sock)
{
	udp_tunnel_sock_release(FERRY_UDP_TUNNEL(sock));
	synchronize_rcu();
}

/* The network had something to say of what a carrier has sent. */
static void ferry_udp_error_report(struct sock *carrier)
{
	const struct ferry_udp *udp;
	struct sk_buff *skb;
	int err;

	rcu_read_lock();
	udp = rcu_dereference(__sk_user_data(carrier));
	if (udp) {
		while ((skb = skb_dequeue(&carrier->sk_error_queue))) {
			ferry_remote_error(udp->sk, skb);
			/* A device's stamp may come in a hard interrupt. */
			dev_consume_skb_any(skb);
		}
		err = sock_error(carrier);
		if (err) {
			WRITE_ONCE(udp->sk->sk_err, -err);
			sk_error_report(udp->sk);
		}
		udp->error_report(carrier);
	}
	rcu_read_unlock();
}

/* What a carrier has sent has left the host. */
static void ferry_udp_write_space(struct sock *carrier)
{
	const struct ferry_udp *udp;

	rcu_read_lock();
	udp = rcu_dereference(__sk_user_data(carrier));
	if (udp) {
		udp->write_space(carrier);
		if (sock_writeable(carrier))
			ferry_wake_space(udp->sk);
	}
	rcu_read_unlock();
}

/* Take a new carrier's callbacks over. */
static void ferry_udp_hook(struct sock *carrier, struct ferry_udp *udp)
{
	write_lock_bh(&carrier->sk_callback_lock);
	udp->error_report = carrier->sk_error_report;
	udp->write_space = carrier->sk_write_space;
	rcu_assign_pointer(__sk_user_data(carrier), udp);
	carrier->sk_error_report = ferry_udp_error_report;
	carrier->sk_write_space = ferry_udp_write_space;
	write_unlock_bh(&carrier->sk_callback_lock);
}

static void ferry_udp_unhook(struct sock *carrier)
{
	struct ferry_udp *udp;

	write_lock_bh(&carrier->sk_callback_lock);
	udp = rcu_dereference_protected(__sk_user_data(carrier),
					lockdep_is_held(&carrier->sk_callback_lock));
	carrier->sk_error_report = udp->error_report;
	carrier->sk_write_space = udp->write_space;
	rcu_assign_pointer(__sk_user_data(carrier), NULL);
	write_unlock_bh(&carrier->sk_callback_lock);
	kfree_rcu(udp, rcu);
}

/**
 * ferry_udp_source() - the node that what a socket sends leaves from
 * @sk: datagram socket
 *
 * Context: process, lock_sock(@sk) held.
 * Return: the node that it is bound to, or NULL when routing chooses.
 */
const struct in6_addr *ferry_udp_source(const struct sock *sk)
{
	const struct ferry_addr *own = ferry_own_addr(sk);

	sock_owned_by_me(sk);

	if (!own || own->sa.sfy_scope != FERRY_SCOPE_NETWORK || ferry_node_any(&own->sa))
		return NULL;
	return ferry_node(&own->sa);
}

/*
 * Tell a carrier where to send from. Not where it receives: it does not, and what the
 * network says of its messages it is to hear in either family.
 */
static void ferry_udp_set_source(struct sock *carrier, const struct in6_addr *node)
{
	if (!node)
		return;
	if (ipv6_addr_v4mapped(node))
		inet_sk(carrier)->inet_saddr = node->s6_addr32[3];
#if IS_ENABLED(CONFIG_IPV6)
	else if (carrier->sk_family == AF_INET6)
		inet6_sk(carrier)->saddr = *node;
#endif
	sk_dst_reset(carrier);
}

/* ferry_udp_leave_from() - @sk is bound now; its lock_sock() held, and a carrier there */
void ferry_udp_leave_from(struct sock *sk)
{
	struct sock *carrier = ferry_sk(sk)->carrier->sk;

	sock_owned_by_me(sk);

	lock_sock(carrier);
	ferry_udp_set_source(carrier, ferry_udp_source(sk));
	release_sock(carrier);
}

/**
 * ferry_udp_attach() - give a socket its carrier
 * @sk: datagram socket
 *
 * Context: process, may sleep; takes lock_sock(@sk).
 * Return: 0, also when it has one, or -ENOMEM.
 */
int ferry_udp_attach(struct sock *sk)
{
	struct socket *sock;
	struct ferry_udp *udp;
	int err = 0;

	lock_sock(sk);
	if (ferry_sk(sk)->carried)
		goto out;
	udp = kzalloc(sizeof(*udp), GFP_KERNEL_ACCOUNT);
	err = -ENOMEM;
	if (!udp)
		goto out;
	err = ferry_udp_make(sock_net(sk), &sock);
	if (err) {
		kfree(udp);
		goto out;
	}
	/* The callbacks find it under RCU. */
	ferry_set_flag(sk, SOCK_RCU_FREE, true);
	sock->sk->sk_allocation = GFP_KERNEL_ACCOUNT;
	udp->sk = sk;
	ferry_udp_set_source(sock->sk, ferry_udp_source(sk));
	ferry_udp_hook(sock->sk, udp);
	ferry_carrier_attach(sk, sock);
	trace_ferry_carrier(sk, "udp", &in6addr_any, 0);
out:
	release_sock(sk);
	return err;
}

/**
 * ferry_udp_release() - a socket is being released: so is its carrier
 * @sk: datagram socket that nobody uses any more
 *
 * What it has sent goes on.
 *
 * Context: process, may sleep.
 */
void ferry_udp_release(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);

	if (likely(!fs->carried))
		return;
	trace_ferry_carrier(sk, "closed", &in6addr_any, 0);
	ferry_udp_unhook(fs->carrier->sk);
	sock_release(fs->carrier);
	fs->carrier = NULL;
	fs->carried = 0;
}

/**
 * ferry_udp_connect() - errors of what a socket sends to one node are its own
 * @sk: datagram socket with a carrier
 * @node: node
 * @port: port there
 *
 * Context: process, lock_sock(@sk) held.
 * Return: 0 or an error of connect(2).
 */
int ferry_udp_connect(struct sock *sk, const struct in6_addr *node, u16 port)
{
	struct socket *carrier = ferry_sk(sk)->carrier;
	struct sockaddr_storage addr;
	int len;

	sock_owned_by_me(sk);

	len = ferry_udp_addr(carrier->sk, node, port, &addr);
	if (len < 0)
		return len;
	return kernel_connect(carrier, (struct sockaddr_unsized *)&addr, len, 0);
}

/* ferry_udp_disconnect() - no more; lock_sock(@sk) held */
void ferry_udp_disconnect(struct sock *sk)
{
	struct sock *carrier = ferry_sk(sk)->carrier->sk;

	sock_owned_by_me(sk);

	lock_sock(carrier);
	__udp_disconnect(carrier, 0);
	/* It forgets SO_BINDTODEVICE too. */
	WRITE_ONCE(carrier->sk_bound_dev_if, READ_ONCE(sk->sk_bound_dev_if));
	ferry_udp_set_source(carrier, ferry_udp_source(sk));
	release_sock(carrier);
}

/**
 * ferry_udp_send() - send to where a carrier is connected
 * @carrier: the UDP socket, connected
 * @msg: message without its bytes
 * @vec: its bytes
 *
 * Context: process, may sleep.
 * Return: bytes sent or an error.
 */
int ferry_udp_send(struct sock *carrier, struct msghdr *msg, struct kvec *vec)
{
	size_t len = vec->iov_len;

	iov_iter_kvec(&msg->msg_iter, ITER_SOURCE, vec, 1, len);
	msg->msg_name = NULL;
	msg->msg_namelen = 0;
#if IS_ENABLED(CONFIG_IPV6)
	/* To IPv4 it would give the address once more, and the route would be looked up. */
	if (carrier->sk_family == AF_INET6 && !ipv6_addr_v4mapped(&carrier->sk_v6_daddr))
		return carrier->sk_prot->sendmsg(carrier, msg, len);
#endif
	return udp_sendmsg(carrier, msg, len);
}

/**
 * ferry_udp_drain() - drop what others have sent to a carrier, as nobody reads it
 * @sk: datagram socket with a carrier
 *
 * It would take up the room that errors and stamps come in. Those who send faster than
 * this drops have at most SO_RCVBUF of it.
 *
 * Context: process, may sleep.
 */
void ferry_udp_drain(struct sock *sk)
{
	struct socket *carrier = ferry_sk(sk)->carrier;
	struct kvec none = {};
	unsigned int i;
	int err;

	for (i = 0; i < FERRY_UDP_DRAIN; i++) {
		struct msghdr msg = { .msg_flags = MSG_DONTWAIT };

		err = kernel_recvmsg(carrier, &msg, &none, 1, 0, MSG_DONTWAIT);
		if (err >= 0)
			continue;
		if (err == -EAGAIN)
			return;
		/* An error that its callback was about to move. */
		WRITE_ONCE(sk->sk_err, -err);
		sk_error_report(sk);
	}
}

/**
 * ferry_udp_full() - is there no room for more at the carrier?
 * @sk: datagram socket
 *
 * Return: false if there is room, or no carrier. True if not: who polls, waits or has
 * asked for signals is told when there is.
 */
bool ferry_udp_full(struct sock *sk)
{
	const struct sock *carrier;

	if (likely(!ferry_carried(sk)))
		return false;
	carrier = ferry_sk(sk)->carrier->sk;
	if (likely(sock_writeable(carrier)))
		return false;
	sk_set_bit(SOCKWQ_ASYNC_NOSPACE, sk);
	/* Pairs with that of ferry_wake_space(): it sees the bit or we see the room. */
	smp_mb();
	return !sock_writeable(carrier);
}
