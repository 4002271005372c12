/* SPDX-License-Identifier: GPL-2.0 */
/* pages.c: buffers that hold pages instead of bytes */
#ifndef _FERRY_PAGES_H
#define _FERRY_PAGES_H

#include <linux/uio.h>

#include "buffer.h"
#include "compat.h"

bool ferry_pages_worth(const struct msghdr *msg, size_t len);
struct ferry_buf *ferry_pages_lend(struct sock *sk, struct iov_iter *iter,
				   size_t len, unsigned int max);
size_t ferry_pages_copy_to(const struct ferry_buf *buf, size_t off, size_t n,
			   struct iov_iter *iter);
struct page *ferry_pages_find(const struct ferry_buf *buf, size_t off,
			      size_t *len, size_t *page_off);
void ferry_pages_iter(const struct ferry_buf *buf, struct iov_iter *iter);
void ferry_pages_put(struct ferry_buf *buf);
void ferry_pages_return(struct ferry_buf *buf);

/* Flags of messages whose pages may be lent. */
#define FERRY_LEND_FLAGS	(MSG_ZEROCOPY | MSG_SPLICE_PAGES)

/* ferry_lends() - is this a message whose pages are to be lent? */
static inline bool ferry_lends(const struct msghdr *msg, size_t len)
{
	return unlikely(msg->msg_flags & FERRY_LEND_FLAGS) &&
	       ferry_pages_worth(msg, len);
}

/* ferry_buf_copy_to() - copy @n bytes at @off of a buffer's payload */
static inline size_t ferry_buf_copy_to(const struct ferry_buf *buf, size_t off,
				       size_t n, struct iov_iter *iter)
{
	if (unlikely(buf->paged))
		return ferry_pages_copy_to(buf, off, n, iter);
	return ferry_copy_to(buf->data + off, n, iter);
}

#endif /* _FERRY_PAGES_H */
