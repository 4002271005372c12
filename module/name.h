/* SPDX-License-Identifier: GPL-2.0 */
/* name.c: addresses, the name table, who may bind and who may reach a name */
#ifndef _FERRY_NAME_H
#define _FERRY_NAME_H

#include <linux/refcount.h>

#include "compat.h"
#include "ferry.h"

struct ferry_buf;

/**
 * struct ferry_addr - an address, never changed once made
 * @refs: references; freed by the last ferry_addr_put()
 * @len: address length, FERRY_ADDR_HDR and more
 * @sa: the address itself, @len bytes
 *
 * Allocated for @len bytes only: never read past @len.
 */
struct ferry_addr {
	refcount_t		refs;
	int			len;
	struct sockaddr_ferry	sa;
};

/* ferry_own_addr() - the bound address, or NULL; stays as long as the socket */
static inline struct ferry_addr *ferry_own_addr(const struct sock *sk)
{
	/* Pairs with ferry_name_bind(). */
	return smp_load_acquire(&ferry_sk(sk)->addr);
}

/**
 * ferry_bound_elsewhere() - is @sk bound to a device that local messages do not use?
 * @sk: socket
 *
 * Local messages go out and come in by the loopback device.
 *
 * Return: true if SO_BINDTODEVICE names another one.
 */
static inline bool ferry_bound_elsewhere(const struct sock *sk)
{
	int dev = READ_ONCE(sk->sk_bound_dev_if);

	return unlikely(dev) && dev != sock_net(sk)->loopback_dev->ifindex;
}

struct ferry_addr *ferry_addr_make(const struct sockaddr_ferry *sa, int len);
void ferry_addr_put(struct ferry_addr *addr);
struct ferry_addr *ferry_addr_get_own(struct sock *sk);
int ferry_addr_check(const struct sockaddr_unsized *uaddr, int len);
int ferry_addr_copy(struct sockaddr *uaddr, const struct ferry_addr *addr);
int ferry_name_bind(struct sock *sk, struct ferry_addr *addr);
int ferry_name_autobind(struct sock *sk, const struct sockaddr_ferry *empty);
void ferry_name_unbind(struct sock *sk);
int ferry_name_listen(struct sock *sk);
void ferry_name_unlisten(struct sock *sk);
/**
 * struct ferry_arrival - what came from another host, to be led to a socket
 * @name: destination
 * @len: its bytes
 * @type: socket type
 * @node: the address of this host that it came to
 * @dif: device that it came by
 * @src: sender's name
 * @src_len: its bytes
 * @src_node: sender's address
 * @hash: the same for all of one sender, to choose in a group by
 * @skb: the message, for a program to choose by, or NULL
 */
struct ferry_arrival {
	const char		*name;
	u16			len;
	u16			type;
	const struct in6_addr	*node;
	int			dif;
	u16			src_len;
	const char		*src;
	const struct in6_addr	*src_node;
	u32			hash;
	struct sk_buff		*skb;
};

struct sock *ferry_name_find_remote(struct net *net,
				    const struct ferry_arrival *at);
int ferry_name_each_remote(struct net *net, const struct ferry_arrival *at,
			   bool (*fn)(struct sock *to, void *arg), void *arg);
struct sock *ferry_name_find(struct sock *sk, const struct sockaddr_ferry *sa,
			     int len, const struct ferry_buf *payload);
int ferry_name_get_mode(struct sock *sk);
int ferry_name_set_mode(struct sock *sk, u32 mode);
int ferry_name_for_each(struct sock *sk, const struct sockaddr_ferry *sa,
			int len, void (*fn)(struct sock *to, void *arg),
			void *arg);
int ferry_name_net_init(struct ferry_net *fn);
void ferry_name_net_exit(struct ferry_net *fn);

#endif /* _FERRY_NAME_H */
