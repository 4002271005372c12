/* SPDX-License-Identifier: GPL-2.0 */
/* remote_stream.c: calls on a byte stream to another host */
#ifndef _FERRY_REMOTE_STREAM_H
#define _FERRY_REMOTE_STREAM_H

#include <linux/poll.h>

#include "ferry.h"

extern const struct proto_ops ferry_remote_stream_ops;

__poll_t ferry_remote_stream_mask(struct file *file, struct socket *sock);
int ferry_remote_stream_ioctl(struct socket *sock, unsigned int cmd, unsigned long arg);
int ferry_remote_stream_compat_ioctl(struct socket *sock, unsigned int cmd,
				     unsigned long arg);
int ferry_remote_stream_sendmsg(struct socket *sock, struct msghdr *msg, size_t len);
int ferry_remote_stream_recvmsg(struct socket *sock, struct msghdr *msg, size_t len,
				int flags);
ssize_t ferry_remote_splice_read(struct socket *sock, loff_t *ppos,
				 struct pipe_inode_info *pipe, size_t len,
				 unsigned int flags);
int ferry_remote_set_peek_off(struct sock *sk, int val);
int ferry_remote_set_rcvlowat(struct sock *sk, int val);

#endif /* _FERRY_REMOTE_STREAM_H */
