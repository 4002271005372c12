/* SPDX-License-Identifier: GPL-2.0 */
/* af_ferry.c: registration and the making of sockets */
#ifndef _FERRY_AF_FERRY_H
#define _FERRY_AF_FERRY_H

#include "compat.h"
#include "ferry.h"

extern struct proto ferry_proto;
extern const struct proto_ops ferry_stream_ops;
struct sock *ferry_sock_alloc(struct net *net, struct socket *sock, int type,
			      int kern);

#endif /* _FERRY_AF_FERRY_H */
