// SPDX-License-Identifier: GPL-2.0
/*
 * Nodes: which host an address means. A node is an IPv6 address, or an IPv4 address
 * mapped into one; all zero, in either form, is this host.
 */
#include <linux/inetdevice.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <net/addrconf.h>
#include <net/ip6_fib.h>
#include <net/ip6_route.h>
#include <net/route.h>
#include <net/sock.h>

#include "node.h"

/* What the routes say of an IPv4 address. */
static int ferry_node_kind4(struct net *net, __be32 node)
{
	switch (inet_addr_type(net, node)) {
	case RTN_LOCAL:
		return FERRY_NODE_HERE;
	case RTN_BROADCAST:
	case RTN_MULTICAST:
		return FERRY_NODE_LINK;
	default:
		return FERRY_NODE_REMOTE;
	}
}

/* A link-local address is this host's on its own link only, if that is known. */
static bool ferry_node_here6(struct net *net, const struct in6_addr *node, int link)
{
	const struct net_device *dev = NULL;
	bool here;

	/* With ipv6.disable=1 there are not even the lists to look at. */
	if (!ipv6_mod_enabled())
		return false;
	rcu_read_lock();
	if (ipv6_addr_type(node) & IPV6_ADDR_LINKLOCAL)
		dev = dev_get_by_index_rcu(net, link);
	here = ipv6_chk_addr(net, node, dev, 0);
	rcu_read_unlock();
	return here;
}

static int ferry_node_kind6(struct net *net, const struct in6_addr *node, int link)
{
	if (ipv6_addr_is_multicast(node))
		return FERRY_NODE_LINK;
	return ferry_node_here6(net, node, link) ? FERRY_NODE_HERE : FERRY_NODE_REMOTE;
}

/**
 * ferry_node_here() - is a node an address of this host?
 * @net: namespace
 * @node: node, not all zero
 * @link: device index of the link that a link-local address is of, or 0 for any
 *
 * Context: any.
 * Return: true if so.
 */
bool ferry_node_here(struct net *net, const struct in6_addr *node, int link)
{
	if (ipv6_addr_v4mapped(node))
		return ferry_node_kind4(net, node->s6_addr32[3]) == FERRY_NODE_HERE;
	return ferry_node_here6(net, node, link);
}

int __ferry_node_kind(const struct sock *sk, const struct sockaddr_ferry *sa)
{
	const struct in6_addr *node = ferry_node(sa);
	struct net *net = sock_net(sk);

	if (sa->sfy_scope == FERRY_SCOPE_HOST)
		return -EINVAL;
	if (ferry_node_any(sa))
		return FERRY_NODE_HERE;
	return ipv6_addr_v4mapped(node) ?
	       ferry_node_kind4(net, node->s6_addr32[3]) :
	       ferry_node_kind6(net, node, READ_ONCE(sk->sk_bound_dev_if));
}

/**
 * ferry_node_bind() - can a socket be bound to an address's node?
 * @sk: the socket
 * @sa: address that ferry_addr_check() accepted
 *
 * Return: 0, -EINVAL for a node with HOST scope, or -EADDRNOTAVAIL for one that is not
 * an address of this host.
 */
int ferry_node_bind(const struct sock *sk, const struct sockaddr_ferry *sa)
{
	int kind = ferry_node_kind(sk, sa);

	if (kind < 0)
		return kind;
	return kind == FERRY_NODE_HERE ? 0 : -EADDRNOTAVAIL;
}

/**
 * ferry_node_beyond() - does the way to a node lead by a gateway?
 * @csk: the kernel's socket that is to go there, with its options in place
 * @node: node of another host
 *
 * For SO_DONTROUTE and MSG_DONTROUTE, which IPv4 minds itself and IPv6 does not know.
 *
 * Context: process.
 * Return: true if so; false for any node of IPv4, and where there is no way.
 */
bool ferry_node_beyond(struct sock *csk, const struct in6_addr *node)
{
	bool beyond = false;

#if IS_ENABLED(CONFIG_IPV6)
	if (csk->sk_family == AF_INET6 && !ipv6_addr_v4mapped(node)) {
		struct flowi6 flow = {
			.daddr		= *node,
			.saddr		= csk->sk_v6_rcv_saddr,
			.flowi6_oif	= READ_ONCE(csk->sk_bound_dev_if),
			.flowi6_mark	= READ_ONCE(csk->sk_mark),
			.flowi6_proto	= csk->sk_protocol,
			.flowi6_uid	= sock_net_uid(sock_net(csk), csk),
		};
		struct dst_entry *dst = ip6_route_output(sock_net(csk), csk, &flow);
		const struct rt6_info *rt = container_of(dst, struct rt6_info, dst);

		beyond = !dst->error && rt->rt6i_flags & RTF_GATEWAY;
		dst_release(dst);
	}
#endif
	return beyond;
}
