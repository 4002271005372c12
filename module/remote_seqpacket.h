/* SPDX-License-Identifier: GPL-2.0 */
/* remote_seqpacket.c: calls on a connection of records to another host */
#ifndef _FERRY_REMOTE_SEQPACKET_H
#define _FERRY_REMOTE_SEQPACKET_H

#include <linux/poll.h>

#include "ferry.h"

extern const struct proto_ops ferry_remote_seqpacket_ops;

__poll_t ferry_remote_seqpacket_mask(struct socket *sock);
int ferry_remote_seqpacket_ioctl(struct socket *sock, unsigned int cmd,
				 unsigned long arg);
int ferry_remote_seqpacket_compat_ioctl(struct socket *sock, unsigned int cmd,
					unsigned long arg);
int ferry_remote_seqpacket_shutdown(struct sock *sk, int how);
int ferry_remote_seqpacket_sendmsg(struct socket *sock, struct msghdr *msg, size_t len);
int ferry_remote_seqpacket_recvmsg(struct socket *sock, struct msghdr *msg, size_t size,
				   int flags);

#endif /* _FERRY_REMOTE_SEQPACKET_H */
