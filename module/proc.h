/* SPDX-License-Identifier: GPL-2.0 */
/* proc.c: /proc/net/ferry */
#ifndef _FERRY_PROC_H
#define _FERRY_PROC_H

struct net;

int ferry_proc_net_init(struct net *net);
void ferry_proc_net_exit(struct net *net);

#endif /* _FERRY_PROC_H */
