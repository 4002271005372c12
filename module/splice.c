// SPDX-License-Identifier: GPL-2.0
/*
 * splice(2) and sendfile(2).
 *
 * What goes in are messages with MSG_SPLICE_PAGES; see pages.c. What comes out of
 * a byte stream goes into the pipe by reference where it came in so; all else is
 * copied into fresh pages. The user's own pages (MSG_ZEROCOPY) are never handed
 * on: a pipe may keep them for ever.
 *
 * Records come out by the core's fallback, one for each call.
 */
#include <linux/mm.h>
#include <linux/pipe_fs_i.h>
#include <linux/splice.h>

#include "buffer.h"
#include "compat.h"
#include "ferry.h"
#include "pages.h"
#include "splice.h"
#include "stream.h"

/**
 * ferry_splice_out() - move bytes of a buffer into a pipe
 * @pipe: the pipe, locked
 * @buf: the buffer
 * @off: where in it
 * @len: bytes at most
 *
 * Context: process, may sleep.
 * Return: bytes moved, at most a page; -EAGAIN when the pipe is full, -EPIPE
 * when nobody reads it, or -ENOMEM.
 */
ssize_t ferry_splice_out(struct pipe_inode_info *pipe,
			 const struct ferry_buf *buf, size_t off, size_t len)
{
	struct pipe_buffer slot = { .ops = &nosteal_pipe_buf_ops };
	size_t at = 0;

	if (buf->paged && !buf->uarg) {
		slot.page = ferry_pages_find(buf, off, &len, &at);
		get_page(slot.page);
	} else {
		struct iov_iter iter;
		struct bio_vec bv;

		/* As for what is written into a pipe, whoever has it pays. */
		slot.page = alloc_page(GFP_HIGHUSER | __GFP_ACCOUNT);
		if (!slot.page)
			return -ENOMEM;
		len = min(len, PAGE_SIZE);
		bvec_set_page(&bv, slot.page, len, 0);
		iov_iter_bvec(&iter, ITER_DEST, &bv, 1, len);
		ferry_buf_copy_to(buf, off, len, &iter);
	}
	slot.offset = at;
	slot.len = len;
	return add_to_pipe(pipe, &slot);
}

/**
 * ferry_stream_splice_read() - splice(2) out of a byte stream
 * @sock: socket
 * @ppos: of no use
 * @pipe: pipe, locked
 * @len: bytes, no more than the pipe has room for
 * @flags: SPLICE_F_NONBLOCK
 *
 * As recvmsg(2) without control messages, low-water mark included.
 *
 * Context: process, may sleep.
 * Return: bytes moved, 0 at the end of the stream, or an error.
 */
ssize_t ferry_stream_splice_read(struct socket *sock, loff_t *ppos,
				 struct pipe_inode_info *pipe, size_t len,
				 unsigned int flags)
{
	struct msghdr msg = {};
	bool nonblock = (sock->file->f_flags & O_NONBLOCK) ||
			(flags & SPLICE_F_NONBLOCK);

	return ferry_stream_recv(sock, &msg, len, nonblock ? MSG_DONTWAIT : 0,
				 pipe);
}

#ifdef FERRY_SENDPAGE
/**
 * ferry_sendpage() - splice(2) and sendfile(2) into a socket, page by page
 * @sock: socket
 * @page: page
 * @offset: where in it
 * @size: bytes
 * @flags: MSG_DONTWAIT, MSG_MORE
 *
 * Context: process, may sleep.
 * Return: bytes queued, or an error.
 */
ssize_t ferry_sendpage(struct socket *sock, struct page *page, int offset,
		       size_t size, int flags)
{
	struct msghdr msg = { .msg_flags = flags | MSG_SPLICE_PAGES };
	struct bio_vec bv;

	bvec_set_page(&bv, page, size, offset);
	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, &bv, 1, size);
	return sock_sendmsg(sock, &msg);
}
#endif
