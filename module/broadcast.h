/* SPDX-License-Identifier: GPL-2.0 */
/* broadcast.c: a datagram for all sockets of a name */
#ifndef _FERRY_BROADCAST_H
#define _FERRY_BROADCAST_H

#include "ferry.h"

struct ferry_buf;

bool ferry_is_broadcast(const struct sockaddr_ferry *sa);
int ferry_broadcast(struct sock *sk, const struct sockaddr_ferry *sa, int len,
		    struct ferry_buf *first);

#endif /* _FERRY_BROADCAST_H */
