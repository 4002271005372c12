/* SPDX-License-Identifier: GPL-2.0 */
/* record.c: SEQPACKET and DGRAM */
#ifndef _FERRY_RECORD_H
#define _FERRY_RECORD_H

#include "ferry.h"

struct ferry_buf;

int ferry_seqpacket_sendmsg(struct socket *sock, struct msghdr *msg,
			    size_t len);
int ferry_dgram_sendmsg(struct socket *sock, struct msghdr *msg, size_t len);
int ferry_record_recvmsg(struct socket *sock, struct msghdr *msg, size_t size,
			 int flags);
int ferry_record_recv_remote(struct socket *sock, struct msghdr *msg, size_t size,
			     int flags);
size_t ferry_record_next_len(struct sock *sk);
int ferry_record_set_peek_off(struct sock *sk, int val);
struct sk_buff *ferry_record_skb(const struct ferry_buf *first,
				 unsigned int headroom, gfp_t gfp);
bool ferry_record_room(const struct sock *to, struct ferry_buf *first);
void ferry_record_link(struct sock *to, struct ferry_buf *first);

#endif /* _FERRY_RECORD_H */
