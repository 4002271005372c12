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

static int ferry_node_kind6(struct net *net, const struct in6_addr *node)
{
	if (ipv6_addr_is_multicast(node))
		return FERRY_NODE_LINK;
	/* With ipv6.disable=1 there are not even the lists to look at. */
	return ipv6_mod_enabled() && ipv6_chk_addr(net, node, NULL, 0) ?
	       FERRY_NODE_HERE : FERRY_NODE_REMOTE;
}

int __ferry_node_kind(struct net *net, const struct sockaddr_ferry *sa)
{
	const struct in6_addr *node = ferry_node(sa);

	if (sa->sfy_scope == FERRY_SCOPE_HOST)
		return -EINVAL;
	if (ferry_node_any(sa))
		return FERRY_NODE_HERE;
	return ipv6_addr_v4mapped(node) ?
	       ferry_node_kind4(net, node->s6_addr32[3]) :
	       ferry_node_kind6(net, node);
}

/**
 * ferry_node_bind() - can a socket be bound to an address's node?
 * @net: namespace
 * @sa: address that ferry_addr_check() accepted
 *
 * Return: 0, -EINVAL for a node with HOST scope, or -EADDRNOTAVAIL for one that is not
 * an address of this host.
 */
int ferry_node_bind(struct net *net, const struct sockaddr_ferry *sa)
{
	int kind = ferry_node_kind(net, sa);

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
