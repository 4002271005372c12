/* SPDX-License-Identifier: GPL-2.0 */
/* sockopt.c: options, and what a child takes over */
#ifndef _FERRY_SOCKOPT_H
#define _FERRY_SOCKOPT_H

#include <linux/sockptr.h>

#include "ferry.h"

int ferry_setsockopt(struct socket *sock, int level, int optname,
		     sockptr_t optval, unsigned int optlen);
int ferry_getsockopt(struct socket *sock, int level, int optname,
		     char __user *optval, int __user *optlen);
void ferry_buffer_resized(struct sock *sk);
int ferry_set_rcvlowat(struct sock *sk, int val);
void ferry_inherit(struct sock *child, const struct sock *listener);

#endif /* _FERRY_SOCKOPT_H */
