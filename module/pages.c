// SPDX-License-Identifier: GPL-2.0
/*
 * Payload by reference: buffers that hold pages in place of bytes.
 *
 * A send with MSG_ZEROCOPY lends its pages, and what is spliced into a socket
 * comes in pages. Such a buffer keeps an array of struct bio_vec where others
 * keep bytes, is never appended to, and is charged with all of each page. The
 * reader copies from the pages, once. They go back with the last reference of
 * the buffer; on a byte stream, whose last buffer stays in the queue, as soon
 * as all is read.
 */
#include <linux/bvec.h>
#include <linux/highmem.h>
#include <linux/mm.h>

#include "buffer.h"
#include "compat.h"
#include "ferry.h"
#include "pages.h"
#include "zerocopy.h"

/* What one buffer of the largest class can hold. */
#define FERRY_PAGES_MAX		((SZ_32K - 512) / sizeof(struct bio_vec))

static struct bio_vec *ferry_segs(const struct ferry_buf *buf)
{
	return (struct bio_vec *)buf->data;
}

/* Does @len at offset @off of @page continue segment @bv? */
static bool ferry_seg_continues(const struct bio_vec *bv,
				const struct page *page, size_t off)
{
	size_t end = bv->bv_offset + bv->bv_len;

	return off == offset_in_page(end) &&
	       page == bv->bv_page + (end >> PAGE_SHIFT) &&
	       page_to_pfn(page) ==
	       page_to_pfn(bv->bv_page) + (end >> PAGE_SHIFT);
}

/* Take over a reference on @page, of which @len bytes at @off are payload. */
static void ferry_seg_add(struct ferry_buf *buf, struct page *page, size_t off,
			  size_t len)
{
	struct bio_vec *bv = ferry_segs(buf) + buf->segs;

	buf->len += len;
	if (buf->segs && ferry_seg_continues(bv - 1, page, off)) {
		bv[-1].bv_len += len;
		if (off) {
			/* The segment has a reference on this page. */
			put_page(page);
			return;
		}
	} else {
		bvec_set_page(bv, page, len, off);
		buf->segs++;
	}
	buf->truesize += PAGE_SIZE;
}

/* Give back the pages of a segment. Returns how many they were. */
static unsigned int ferry_seg_put(const struct bio_vec *bv)
{
	unsigned int i, n = DIV_ROUND_UP(bv->bv_offset + bv->bv_len, PAGE_SIZE);

	for (i = 0; i < n; ) {
		struct page *page = bv->bv_page + i;
		struct folio *folio = page_folio(page);
		unsigned int refs = 1;

		if (folio_test_large(folio) && !is_zone_device_page(page))
			refs = min_t(unsigned long, n - i,
				     folio_nr_pages(folio) -
				     folio_page_idx(folio, page));
		if (refs == 1)
			put_page(page);
		else
			folio_put_refs(folio, refs);
		i += refs;
	}
	return n;
}

/**
 * ferry_pages_worth() - is a message one whose pages are to be lent?
 * @msg: message with MSG_ZEROCOPY or MSG_SPLICE_PAGES
 * @len: its bytes
 *
 * At least a page, and at least half of what would be held is payload: for less
 * a copy costs less. The urgent byte is copied out of its place.
 *
 * Return: true if so.
 */
bool ferry_pages_worth(const struct msghdr *msg, size_t len)
{
	const struct iov_iter *iter = &msg->msg_iter;

	if (!msg->msg_ubuf && !(msg->msg_flags & MSG_SPLICE_PAGES))
		return false;
	if (len < PAGE_SIZE || msg->msg_flags & MSG_OOB)
		return false;
	if (!user_backed_iter(iter) && !iov_iter_is_bvec(iter))
		return false;
	return iov_iter_npages(iter, INT_MAX) <= 2 * len / PAGE_SIZE;
}

/* Pages of the kernel's, for as long as they may be referred to. */
static void ferry_pages_splice(struct ferry_buf *buf, struct iov_iter *iter,
			       size_t len, unsigned int max)
{
	while (len && max) {
		const struct bio_vec *bv = iter->bvec;
		size_t off = bv->bv_offset + iter->iov_offset;
		struct page *page = bv->bv_page + (off >> PAGE_SHIFT);
		size_t n = min3(len, bv->bv_len - iter->iov_offset,
				PAGE_SIZE - offset_in_page(off));

		if (n) {
			if (!sendpage_ok(page))
				break;
			get_page(page);
			ferry_seg_add(buf, page, offset_in_page(off), n);
			max--;
		}
		iov_iter_advance(iter, n);
		len -= n;
	}
}

/* Pages of the user's. Their array lies behind the segments not yet in use. */
static void ferry_pages_get(struct ferry_buf *buf, struct iov_iter *iter,
			    size_t len, unsigned int max)
{
	struct page **end = (struct page **)(ferry_segs(buf) + max);

	while (len && max) {
		struct page **pages = end - max;
		size_t off;
		ssize_t got;

		got = iov_iter_get_pages2(iter, pages, len, max, &off);
		if (got <= 0)
			return;
		len -= got;
		for (; got; off = 0, max--) {
			size_t n = min_t(size_t, got, PAGE_SIZE - off);

			ferry_seg_add(buf, *pages++, off, n);
			got -= n;
		}
	}
}

/**
 * ferry_pages_lend() - make a buffer that refers to pages of a message
 * @sk: the sender
 * @iter: the message, moved on by what the buffer holds
 * @len: bytes of it at most
 * @max: pages at most
 *
 * Context: process, may sleep.
 * Return: a buffer as ferry_buf_alloc_stream() makes, with its bytes; NULL when there is
 * none that can be referred to or no memory: a copy may succeed, or tells why not.
 */
struct ferry_buf *ferry_pages_lend(struct sock *sk, struct iov_iter *iter,
				   size_t len, unsigned int max)
{
	struct ferry_buf *buf;

	max = iov_iter_npages(iter, min_t(unsigned int, max, FERRY_PAGES_MAX));
	buf = ferry_buf_alloc_stream(sk, max * sizeof(struct bio_vec), SIZE_MAX);
	if (!buf)
		return NULL;

	buf->paged = 1;
	buf->shut = 1;
	buf->segs = 0;
	if (iov_iter_is_bvec(iter))
		ferry_pages_splice(buf, iter, len, max);
	else
		ferry_pages_get(buf, iter, len, max);
	if (likely(buf->len))
		return buf;
	ferry_buf_put(buf);
	return NULL;
}

/**
 * ferry_pages_copy_to() - copy payload of a buffer that holds pages
 * @buf: the buffer
 * @off: where to begin
 * @n: bytes, no more than there are
 * @iter: where to
 *
 * Return: bytes copied, fewer when @iter faults.
 */
size_t ferry_pages_copy_to(const struct ferry_buf *buf, size_t off, size_t n,
			   struct iov_iter *iter)
{
	const struct bio_vec *bv = ferry_segs(buf);
	size_t copied = 0;

	for (; off >= bv->bv_len; bv++)
		off -= bv->bv_len;
	while (copied < n) {
		size_t at = bv->bv_offset + off;
		size_t part = min3(n - copied, bv->bv_len - off,
				   PAGE_SIZE - offset_in_page(at));
		size_t done = copy_page_to_iter(bv->bv_page + (at >> PAGE_SHIFT),
						offset_in_page(at), part, iter);

		copied += done;
		if (unlikely(done != part))
			break;
		off += part;
		if (off == bv->bv_len) {
			bv++;
			off = 0;
		}
	}
	return copied;
}

/**
 * ferry_pages_find() - the page in which a byte of a buffer lies
 * @buf: buffer that holds pages
 * @off: the byte
 * @len: bytes from there on; reduced to those in the page
 * @page_off: where in the page
 *
 * Return: the page, held by the buffer.
 */
struct page *ferry_pages_find(const struct ferry_buf *buf, size_t off,
			      size_t *len, size_t *page_off)
{
	const struct bio_vec *bv = ferry_segs(buf);
	size_t at;

	for (; off >= bv->bv_len; bv++)
		off -= bv->bv_len;
	at = bv->bv_offset + off;
	*page_off = offset_in_page(at);
	*len = min3(*len, bv->bv_len - off, PAGE_SIZE - *page_off);
	return bv->bv_page + (at >> PAGE_SHIFT);
}

/**
 * ferry_pages_iter() - look at all payload of a buffer that holds pages
 * @buf: the buffer
 * @iter: made to read it
 */
void ferry_pages_iter(const struct ferry_buf *buf, struct iov_iter *iter)
{
	iov_iter_bvec(iter, ITER_SOURCE, ferry_segs(buf), buf->segs, buf->len);
}

/**
 * ferry_pages_put() - give back the pages of a buffer
 * @buf: buffer whose payload nobody will read again; it has none afterwards
 *
 * Their part of the charge goes with them. May be called again.
 *
 * Context: any.
 */
void ferry_pages_put(struct ferry_buf *buf)
{
	unsigned int i, n = 0;

	if (!buf->paged || !buf->segs)
		return;
	for (i = 0; i < buf->segs; i++)
		n += ferry_seg_put(ferry_segs(buf) + i);
	buf->segs = 0;
	ferry_buf_shrink(buf, n * PAGE_SIZE);
}

/**
 * ferry_pages_return() - give back what a buffer was lent, and tell the sender
 * @buf: as for ferry_pages_put()
 *
 * Context: any.
 */
void ferry_pages_return(struct ferry_buf *buf)
{
	ferry_pages_put(buf);
	if (buf->uarg) {
		ferry_zerocopy_put(buf->uarg);
		buf->uarg = NULL;
	}
}
