/* SPDX-License-Identifier: GPL-2.0 */
/* filter.c: socket filters */
#ifndef _FERRY_FILTER_H
#define _FERRY_FILTER_H

#include "ferry.h"

struct ferry_buf;
struct ferry_sender;

void ferry_filter_dress(struct sk_buff *skb, const struct sock *sk, u32 mark,
			u32 priority);
int ferry_filter_record(struct sock *sk, struct sock *to,
			struct ferry_buf *first);
struct sk_buff *ferry_filter_bytes(struct sock *sk, struct sock *to,
				   const struct ferry_sender *from,
				   struct iov_iter *iter, size_t len);
void ferry_filter_inherit(struct sock *child, const struct sock *listener);

#endif /* _FERRY_FILTER_H */
