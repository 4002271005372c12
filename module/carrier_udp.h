/* SPDX-License-Identifier: GPL-2.0 */
/* carrier_udp.c: the UDP sockets that datagrams come and go by */
#ifndef _FERRY_CARRIER_UDP_H
#define _FERRY_CARRIER_UDP_H

#include <linux/in6.h>
#include <linux/udp.h>

#include "ferry.h"

struct sk_buff;

int ferry_udp_open(struct net *net, u16 port, struct socket **sockp);
void ferry_udp_close(struct socket *sock);
int ferry_udp_attach(struct sock *sk);
void ferry_udp_release(struct sock *sk);
int ferry_udp_addr(const struct sock *sk, const struct in6_addr *node, u16 port,
		   struct sockaddr_storage *addr);
int ferry_udp_connect(struct sock *sk, const struct in6_addr *node, u16 port);
void ferry_udp_disconnect(struct sock *sk);
const struct in6_addr *ferry_udp_source(const struct sock *sk);
void ferry_udp_leave_from(struct sock *sk);
int ferry_udp_send(struct sock *carrier, struct msghdr *msg, struct kvec *vec);
void ferry_udp_drain(struct sock *sk);
bool ferry_udp_full(struct sock *sk);
void ferry_udp_nodes(const struct sk_buff *skb, struct in6_addr *src,
		     struct in6_addr *dst);

/* ferry_udp_strays() - have others sent something to the carrier? */
static inline bool ferry_udp_strays(const struct sock *carrier)
{
	return !skb_queue_empty_lockless(&carrier->sk_receive_queue) ||
	       !skb_queue_empty_lockless(&udp_sk(carrier)->reader_queue);
}

/* ferry_udp_connected() - is it still? Who may destroy sockets may have */
static inline bool ferry_udp_connected(const struct sock *carrier)
{
	return READ_ONCE(carrier->sk_state) == TCP_ESTABLISHED;
}

#endif /* _FERRY_CARRIER_UDP_H */
