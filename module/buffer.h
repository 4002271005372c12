/* SPDX-License-Identifier: GPL-2.0 */
/* buffer.c: payload in queues, and its charges */
#ifndef _FERRY_BUFFER_H
#define _FERRY_BUFFER_H

#include <linux/ktime.h>
#include <linux/refcount.h>
#include <linux/uio.h>

#include "ferry.h"

struct ferry_addr;
struct ferry_rights;

/**
 * struct ferry_buf - payload that waits to be read
 * @next: following buffer of the queue; on a byte stream its publication tells
 *	the reader that the writer has done with this buffer
 * @len: bytes filled. Written by the writer; on a byte stream the reader trusts
 *	it only up to what the queue's @written says
 * @off: bytes consumed. Written by the reader
 * @cap: bytes that fit in @data
 * @segs: in its place, of a buffer that holds pages: how many bio_vecs it owns
 * @truesize: memory charged
 * @cache: index of the allocation class, see buffer.c
 * @refs: holders; a record that is peeked at has more than one
 * @eor: last buffer of a record
 * @msg_eor: the sender gave MSG_EOR, or the record is empty
 * @shut: nothing may be appended (it carries descriptors, or holds pages)
 * @paged: @data is an array of struct bio_vec, see pages.c
 * @more: byte stream: the descriptors belong to the bytes of the next one too
 * @peeked: a peek with an offset has shown it (records); guarded by the queue's @lock
 * @sk: sender, kept alive by the charge to its sk_wmem_alloc
 *	(ferry_buf_charged()); NULL for a broadcast, which is charged to the
 *	receiver only
 * @to: receiver, charged in sk_rmem_alloc
 * @pid: sender's process, with a reference unless it is the @own_pid of @sk
 * @uid: sender's uid
 * @gid: sender's gid
 * @secid: sender's security label
 * @rights: descriptors, or NULL
 * @from: sender's address, or NULL when it has none (records)
 * @drops: what the receiver had lost when this was queued, for SO_RXQ_OVFL
 * @mark: sender's SO_MARK
 * @priority: sender's SO_PRIORITY; see ferry_priority_used
 * @stamp: when it was queued, if the receiver asked; else 0
 * @txstamp: what the sender is told when it was read, or NULL; see timestamp.c
 * @uarg: MSG_ZEROCOPY: its notification with a reference, or NULL; see zerocopy.c
 * @shared: buffer with a reference whose payload this one shows, or NULL
 * @data: the payload, in this buffer or in @shared
 * @room: where the payload of a buffer of its own lies
 */
struct ferry_buf {
	struct ferry_buf	*next;
	u32			len;
	u32			off;
	union {
		u32		cap;
		u32		segs;
	};
	u32			truesize;
	refcount_t		refs;
	u8			cache;
	u8			eor:1,
				msg_eor:1,
				shut:1,
				paged:1,
				more:1;
	u8			peeked;
	u32			secid;
	u32			priority;
	struct sock		*sk;
	struct sock		*to;
	struct pid		*pid;
	kuid_t			uid;
	kgid_t			gid;
	struct ferry_rights	*rights;
	struct ferry_addr	*from;
	u32			drops;
	u32			mark;
	ktime_t			stamp;
	struct sk_buff		*txstamp;
	struct ubuf_info	*uarg;
	struct ferry_buf	*shared;
	u8			*data;
	u8			room[];
};

/*
 * ferry_copy_from(), ferry_copy_to() - copy_from_iter() and copy_to_iter() for
 * the payload of buffers. The bounds are a buffer's own @cap and @len; without
 * the usercopy check, which would find the slab object of every message again.
 * @n is at most what @iter has. One range of user memory, what read(2), write(2)
 * and their kin give, needs no loop.
 */
static inline size_t ferry_copy_from(u8 *data, size_t n, struct iov_iter *iter)
{
	if (unlikely(!iter_is_ubuf(iter)))
		return _copy_from_iter(data, n, iter);

	n -= _copy_from_user(data, iter->ubuf + iter->iov_offset, n);
	iter->iov_offset += n;
	iter->count -= n;
	return n;
}

static inline size_t ferry_copy_to(const u8 *data, size_t n,
				   struct iov_iter *iter)
{
	if (unlikely(!iter_is_ubuf(iter)))
		return _copy_to_iter(data, n, iter);

	n -= _copy_to_user(iter->ubuf + iter->iov_offset, data, n);
	iter->iov_offset += n;
	iter->count -= n;
	return n;
}

struct ferry_buf *ferry_buf_alloc(struct sock *sk, size_t want);
struct ferry_buf *ferry_buf_alloc_stream(struct sock *sk, size_t want, size_t max);
struct ferry_buf *ferry_buf_share(struct ferry_buf *buf);
void ferry_buf_disown(struct ferry_buf *first);
void ferry_buf_shrink(struct ferry_buf *buf, u32 bytes);
void ferry_buf_put(struct ferry_buf *buf);
void ferry_buf_put_list(struct ferry_buf *buf);
bool ferry_queue_purge(struct sock *sk);
void ferry_queue_finish(struct sock *sk);
void ferry_queue_shutdown(struct sock *sk, struct sock *to, u8 mask);
int ferry_buf_init(void);
void ferry_buf_exit(void);

/**
 * ferry_buf_charge_receiver() - charge a buffer to its receiver
 * @buf: buffer, charged to its sender if it has one
 * @to: receiver, kept alive by the queue that @buf goes to
 */
static inline void ferry_buf_charge_receiver(struct ferry_buf *buf,
					     struct sock *to)
{
	atomic_add(buf->truesize, &to->sk_rmem_alloc);
	buf->to = to;
}

/**
 * ferry_buf_charge() - charge a byte stream's buffer to its sender and its receiver
 * @buf: buffer with @sk set
 * @to: receiver, kept alive by the queue that @buf goes to
 */
static inline void ferry_buf_charge(struct ferry_buf *buf, struct sock *to)
{
	refcount_add(buf->truesize, &buf->sk->sk_wmem_alloc);
	ferry_buf_charge_receiver(buf, to);
}

/*
 * ferry_buf_charged() - is @buf charged to its sender? A record is as soon as there
 * is memory for it, a part of a byte stream when it is queued.
 */
static inline bool ferry_buf_charged(const struct ferry_buf *buf)
{
	return buf->sk && (buf->to || buf->sk->sk_type != SOCK_STREAM);
}

#endif /* _FERRY_BUFFER_H */
