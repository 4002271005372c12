/* SPDX-License-Identifier: GPL-2.0 */
/* diag.c: what sock_diag and others tell of a socket */
#ifndef _FERRY_DIAG_H
#define _FERRY_DIAG_H

#include "ferry.h"

struct ferry_diag_rqlen;
struct in6_addr;

struct sock *ferry_diag_peer(struct sock *sk);
void ferry_diag_queues(struct sock *sk, struct sock *peer,
		       struct ferry_diag_rqlen *len);
void ferry_diag_info(struct sock *sk, struct ferry_info *info);
kuid_t ferry_diag_uid(struct sock *sk);
u8 ferry_diag_state(const struct sock *sk);
u8 ferry_diag_carrier(const struct sock *sk);
bool ferry_diag_node(const struct sock *sk, struct in6_addr *node);
u64 ferry_diag_cookie(const struct sock *sk);
unsigned long ferry_diag_ino(const struct sock *sk);
int ferry_diag_name(const struct sock *sk, char *text, size_t size);
int ferry_diag_init(void);
void ferry_diag_exit(void);

#endif /* _FERRY_DIAG_H */
