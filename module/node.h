/* SPDX-License-Identifier: GPL-2.0 */
/* node.c: which host an address means */
#ifndef _FERRY_NODE_H
#define _FERRY_NODE_H

#include <linux/ferry.h>
#include <net/ipv6.h>

struct net;
struct sock;

/**
 * enum ferry_node - where an address leads
 * @FERRY_NODE_HERE: to this host
 * @FERRY_NODE_REMOTE: to another one
 * @FERRY_NODE_LINK: to all hosts of a link: broadcast or all nodes' multicast
 */
enum ferry_node {
	FERRY_NODE_HERE,
	FERRY_NODE_REMOTE,
	FERRY_NODE_LINK,
};

int __ferry_node_kind(const struct sock *sk, const struct sockaddr_ferry *sa);
int ferry_node_bind(const struct sock *sk, const struct sockaddr_ferry *sa);
bool ferry_node_here(struct net *net, const struct in6_addr *node, int link);
bool ferry_node_beyond(struct sock *csk, const struct in6_addr *node);

/* ferry_node() - the node of an address as the kernel has it; 4 bytes aligned */
static inline const struct in6_addr *ferry_node(const struct sockaddr_ferry *sa)
{
	return (const struct in6_addr *)sa->sfy_node;
}

/* ferry_node_any() - does the address name no node, which is this host? */
static inline bool ferry_node_any(const struct sockaddr_ferry *sa)
{
	const struct in6_addr *node = ferry_node(sa);

	return ipv6_addr_any(node) ||
	       (ipv6_addr_v4mapped(node) && !node->s6_addr32[3]);
}

/**
 * ferry_node_kind() - where does an address lead?
 * @sk: who asks; SO_BINDTODEVICE says of which link a link-local address is
 * @sa: address that ferry_addr_check() accepted
 *
 * Context: any.
 * Return: enum ferry_node; -EINVAL for a node with HOST scope.
 */
static inline int ferry_node_kind(const struct sock *sk,
				  const struct sockaddr_ferry *sa)
{
	return likely(ipv6_addr_any(ferry_node(sa))) ? FERRY_NODE_HERE :
						       __ferry_node_kind(sk, sa);
}

#endif /* _FERRY_NODE_H */
