/* SPDX-License-Identifier: GPL-2.0 */
/* socklist.c: the list of all sockets */
#ifndef _FERRY_SOCKLIST_H
#define _FERRY_SOCKLIST_H

#include "ferry.h"

void ferry_socklist_add(struct sock *sk);
void ferry_socklist_del(struct sock *sk);
struct sock *ferry_socklist_next(struct net *net, struct sock *prev, u64 *place);
void ferry_socklist_net_init(struct ferry_net *fn);

#endif /* _FERRY_SOCKLIST_H */
