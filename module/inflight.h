/* SPDX-License-Identifier: GPL-2.0 */
/* inflight.c: descriptors in flight */
#ifndef _FERRY_INFLIGHT_H
#define _FERRY_INFLIGHT_H

#include <linux/list.h>
#include <linux/refcount.h>
#include <net/scm.h>

#include "ferry.h"

struct ferry_vertex;
struct seq_file;

/**
 * struct ferry_rights - descriptors that travel with a message
 * @refs: the message, and those who peek at it
 * @fp: the files
 * @node: in the list of @at
 * @at: the receiver's vertex of the graph while they are in flight and have
 *	@sockets, else NULL; see inflight.c
 * @to: the receiver while they are in flight, else NULL; as @at, kept alive by its
 *	queue or by who is about to put them there
 * @uid: who pays for them
 * @count: how many they are
 * @sockets: sockets of the family are among them
 * @charged: @uid's account has them
 *
 * The sender's until it is part of a queued buffer, then whoever's takes it out.
 */
struct ferry_rights {
	refcount_t		refs;
	struct scm_fp_list	*fp;
	struct list_head	node;
	struct ferry_vertex	*at;
	struct ferry_sock	*to;
	unsigned long		uid;
	u16			count;
	bool			sockets;
	bool			charged;
};

struct ferry_rights *ferry_rights_alloc(void);
int ferry_rights_fget(struct ferry_rights *rights, int fd);
struct scm_fp_list *ferry_rights_take(struct ferry_rights *rights);
void ferry_rights_put(struct ferry_rights *rights);
int ferry_inflight_add(struct ferry_rights *rights, struct sock *to);
void ferry_inflight_del(struct ferry_rights *rights);
void ferry_inflight_accepted(struct sock *sk);
void ferry_inflight_forget(struct sock *sk);
void ferry_inflight_init(void);
void ferry_show_fdinfo(struct seq_file *m, struct socket *sock);

#endif /* _FERRY_INFLIGHT_H */
