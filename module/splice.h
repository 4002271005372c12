/* SPDX-License-Identifier: GPL-2.0 */
/* splice.c: pages between pipes and sockets */
#ifndef _FERRY_SPLICE_H
#define _FERRY_SPLICE_H

#include "ferry.h"

struct ferry_buf;
struct pipe_inode_info;

ssize_t ferry_splice_out(struct pipe_inode_info *pipe,
			 const struct ferry_buf *buf, size_t off, size_t len);
ssize_t ferry_stream_splice_read(struct socket *sock, loff_t *ppos,
				 struct pipe_inode_info *pipe, size_t len,
				 unsigned int flags);
ssize_t ferry_sendpage(struct socket *sock, struct page *page, int offset,
		       size_t size, int flags);

#endif /* _FERRY_SPLICE_H */
