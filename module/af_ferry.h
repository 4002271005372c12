/* SPDX-License-Identifier: GPL-2.0 */
/* af_ferry.c: registration and the making of sockets */
#ifndef _FERRY_AF_FERRY_H
#define _FERRY_AF_FERRY_H

#include "ferry.h"

extern struct proto ferry_proto;
struct sock *ferry_sock_alloc(struct net *net, struct socket *sock, int type,
			      int kern);

#endif /* _FERRY_AF_FERRY_H */
