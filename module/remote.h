/* SPDX-License-Identifier: GPL-2.0 */
/* remote.c: what is the same on every connection to another host */
#ifndef _FERRY_REMOTE_H
#define _FERRY_REMOTE_H

#include <linux/poll.h>

#include "ferry.h"

const struct proto_ops *ferry_remote_ops(const struct sock *sk);
int __ferry_remote_ready(struct sock *sk, bool nonblock, long timeo);
int ferry_remote_release(struct socket *sock);
void ferry_remote_accept(struct socket *newsock, struct sock *child);
__poll_t ferry_remote_poll(struct file *file, struct socket *sock,
			   struct poll_table_struct *wait);
int ferry_remote_shutdown(struct socket *sock, int how);
int ferry_remote_cmsg(struct msghdr *msg);

/* ferry_carrier() - TCP's socket of one that is connected */
static inline struct socket *ferry_carrier(const struct socket *sock)
{
	return ferry_sk(sock->sk)->carrier;
}

static inline const struct proto_ops *ferry_carrier_ops(const struct socket *carrier)
{
	return READ_ONCE(carrier->ops);
}

/**
 * ferry_remote_ready() - wait for a connect under way
 * @sk: socket
 * @nonblock: do not wait
 * @timeo: how long to wait
 *
 * Context: process, may sleep.
 * Return: 1 when there is a carrier, 0 when there is none, or an error.
 */
static inline int ferry_remote_ready(struct sock *sk, bool nonblock, long timeo)
{
	return likely(ferry_remote(sk)) ? 1 : __ferry_remote_ready(sk, nonblock, timeo);
}

#endif /* _FERRY_REMOTE_H */
