/* SPDX-License-Identifier: GPL-2.0 */
/* carrier_sockopt.c: the options of a socket and of its carrier */
#ifndef _FERRY_CARRIER_SOCKOPT_H
#define _FERRY_CARRIER_SOCKOPT_H

#include <linux/sockptr.h>

#include "compat.h"
#include "ferry.h"

void ferry_carrier_attach(struct sock *sk, struct socket *carrier);
void ferry_carrier_configure(struct sock *sk);
void ferry_carrier_learn(struct sock *sk);
int ferry_carrier_setsockopt(struct sock *sk, int level, int optname,
			     sockptr_t optval, unsigned int optlen);
int ferry_carrier_getsockopt(struct sock *sk, int level, int optname,
			     char __user *optval, int __user *optlen);

/* ferry_carried() - is there a carrier? What was set up before it is seen */
static inline bool ferry_carried(const struct sock *sk)
{
	/* Pairs with ferry_carrier_attach(). */
	return smp_load_acquire(&ferry_sk(sk)->carried);
}

/* ferry_carrier_changed() - an option of @sk has changed: so has the carrier's */
static inline void ferry_carrier_changed(struct sock *sk)
{
	/* Pairs with ferry_carrier_attach(): it sees the option or we the carrier. */
	smp_mb();
	if (unlikely(ferry_carried(sk)))
		ferry_carrier_configure(sk);
}

/*
 * ferry_carrier_refresh() - before the carrier of @sk is used, where the core sets
 * options without telling the family
 */
static inline void ferry_carrier_refresh(struct sock *sk)
{
	if (!FERRY_SEES_SOL_SOCKET)
		ferry_carrier_configure(sk);
}

#endif /* _FERRY_CARRIER_SOCKOPT_H */
