// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers: payload that waits in a queue, from allocation to the last reference.
 *
 * A buffer is one object, header and payload together, from one of a few
 * caches. The caches have a constructor, which does nothing but tell the
 * allocator that the objects need no zeroing under init_on_alloc: what a reader
 * gets was written by the sender, never what lay in the memory before.
 *
 * Charges: a queued buffer counts in the sender's sk_wmem_alloc, which also
 * keeps the sender's struct sock alive, and in the receiver's sk_rmem_alloc. A
 * record counts at the sender from the start: it may have to wait for room.
 * The memory itself belongs to the sender's memory cgroup (SLAB_ACCOUNT).
 */
#include <linux/slab.h>

#include "buffer.h"
#include "ferry.h"
#include "inflight.h"
#include "name.h"
#include "pages.h"
#include "poll.h"
#include "stream.h"

/*
 * Objects sizes. A cache with a constructor keeps the free pointer behind the
 * object, 8 bytes; with it 1, 2, 3, 4, 7, 8, 16, 28, 64 and 128 objects fill eight
 * pages. One holds a record of 1 KiB and not a byte more, one a page, and for each
 * length there is one that takes less than AF_UNIX's memory for it.
 */
static const struct {
	const char	*name;
	unsigned int	size;
} ferry_buf_classes[] = {
	{ "ferry_buf_248",	248 },
	{ "ferry_buf_504",	504 },
	{ "ferry_buf_1160",	1160 },
	{ "ferry_buf_2040",	2040 },
	{ "ferry_buf_4088",	4088 },
	{ "ferry_buf_4672",	4672 },
	{ "ferry_buf_8184",	8184 },
	{ "ferry_buf_10912",	10912 },
	{ "ferry_buf_16376",	16376 },
	{ "ferry_buf_32760",	32760 },
};

/* A byte stream, whose buffers grow with what waits, does with every second. */
static const u8 ferry_buf_steps[] = { 0, 2, 5, 7, 9 };

/*
 * A record of no more than FERRY_BUF_LEAST bytes, header included, that does not fit the
 * class before the last takes less memory in one of that and one of another.
 */
#define FERRY_BUF_LAST	(ARRAY_SIZE(ferry_buf_classes) - 1)
#define FERRY_BUF_LEAST	(16376 + 10912)

/*
 * The smallest class that holds more than a multiple of 256 bytes, for all but the
 * last. Up to the next multiple there is at most one more.
 */
static u8 ferry_buf_class[SZ_16K / SZ_256] __ro_after_init;

static struct kmem_cache *ferry_buf_caches[ARRAY_SIZE(ferry_buf_classes)];

static void ferry_buf_ctor(void *obj)
{
}

static __always_inline struct ferry_buf *ferry_buf_make(struct sock *sk,
							unsigned int i)
{
	struct ferry_buf *buf;

	buf = kmem_cache_alloc(ferry_buf_caches[i], sk->sk_allocation);
	if (!buf)
		return NULL;

	memset(buf, 0, sizeof(*buf));
	buf->cap = ferry_buf_classes[i].size - sizeof(*buf);
	buf->truesize = ferry_buf_classes[i].size;
	buf->cache = i;
	buf->data = buf->room;
	refcount_set(&buf->refs, 1);
	return buf;
}

/**
 * ferry_buf_alloc() - make an empty buffer
 * @sk: the sender that asks
 * @want: bytes it would like to fit
 *
 * The buffer holds @want bytes, or as many as fit well. It belongs to the caller,
 * with one reference, and is charged to nobody.
 *
 * Context: process, may sleep.
 * Return: the buffer, or NULL without memory.
 */
struct ferry_buf *ferry_buf_alloc(struct sock *sk, size_t want)
{
	unsigned int i;

	want += sizeof(struct ferry_buf);
	if (likely(want <= ferry_buf_classes[FERRY_BUF_LAST - 1].size)) {
		i = ferry_buf_class[(want - 1) / SZ_256];
		i += want > ferry_buf_classes[i].size;
	} else {
		i = FERRY_BUF_LAST - (want <= FERRY_BUF_LEAST);
	}
	return ferry_buf_make(sk, i);
}

/**
 * ferry_buf_alloc_stream() - make an empty buffer of a byte stream
 * @sk: the sender that asks
 * @want: bytes it would like to fit
 * @max: more memory it may not take, if there is a class so small
 *
 * The buffer holds @want bytes, or as many as the largest class does that may be,
 * and is otherwise as that of ferry_buf_alloc().
 *
 * Context: process, may sleep.
 * Return: the buffer, or NULL without memory.
 */
struct ferry_buf *ferry_buf_alloc_stream(struct sock *sk, size_t want, size_t max)
{
	unsigned int i;

	want += sizeof(struct ferry_buf);
	for (i = 0; i < ARRAY_SIZE(ferry_buf_steps) - 1; i++)
		if (want <= ferry_buf_classes[ferry_buf_steps[i]].size)
			break;
	while (unlikely(ferry_buf_classes[ferry_buf_steps[i]].size > max) && i)
		i--;
	return ferry_buf_make(sk, ferry_buf_steps[i]);
}

/**
 * ferry_buf_share() - make a buffer that shows another's payload
 * @buf: buffer that is complete
 *
 * Context: process, may sleep.
 * Return: a buffer as ferry_buf_alloc() makes, or NULL without memory.
 */
struct ferry_buf *ferry_buf_share(struct ferry_buf *buf)
{
	struct ferry_buf *view;

	view = kmem_cache_alloc(ferry_buf_caches[0], GFP_KERNEL_ACCOUNT);
	if (!view)
		return NULL;

	memset(view, 0, sizeof(*view));
	refcount_set(&view->refs, 1);
	view->len = buf->len;
	view->eor = buf->eor;
	view->msg_eor = buf->msg_eor;
	view->truesize = buf->truesize;
	view->pid = get_pid(buf->pid);
	view->uid = buf->uid;
	view->gid = buf->gid;
	view->secid = buf->secid;
	view->mark = buf->mark;
	view->priority = buf->priority;
	view->from = buf->from;
	if (view->from)
		refcount_inc(&view->from->refs);
	refcount_inc(&buf->refs);
	view->shared = buf;
	view->data = buf->data;
	return view;
}

/**
 * ferry_buf_shrink() - a buffer holds less memory than it did
 * @buf: buffer, charged or not
 * @bytes: how much less; never all
 */
void ferry_buf_shrink(struct ferry_buf *buf, u32 bytes)
{
	buf->truesize -= bytes;
	if (buf->to)
		atomic_sub(bytes, &buf->to->sk_rmem_alloc);
	if (ferry_buf_charged(buf))
		WARN_ON_ONCE(refcount_sub_and_test(bytes,
						   &buf->sk->sk_wmem_alloc));
}

static void ferry_buf_uncharge(struct ferry_buf *buf)
{
	struct sock *sk = buf->sk;

	if (likely(buf->to)) {
		atomic_sub(buf->truesize, &buf->to->sk_rmem_alloc);
		if (!sk)
			return;
	} else if (!ferry_buf_charged(buf)) {
		return;
	}
	if (sk->sk_type != SOCK_STREAM)
		atomic_sub(buf->len, &ferry_sk(sk)->unread);
	/* sk_free() gives back the last byte, and the socket if it was its last. */
	WARN_ON_ONCE(refcount_sub_and_test(buf->truesize - 1,
					   &sk->sk_wmem_alloc));
	/* Only here a datagram's sender is sure to exist. */
	if (sk->sk_type == SOCK_DGRAM)
		ferry_write_space(sk, NULL);
	sk_free(sk);
}

/* Is its sender's socket what keeps the process that @buf names? */
static bool ferry_buf_borrows_pid(const struct ferry_buf *buf)
{
	return buf->sk && buf->pid == READ_ONCE(ferry_sk(buf->sk)->own_pid);
}

/**
 * ferry_buf_disown() - let a record outlive its sender, which is not charged any more
 * @first: datagram in no queue
 *
 * Context: the sending call.
 */
void ferry_buf_disown(struct ferry_buf *first)
{
	struct sock *sk = first->sk;
	struct ferry_buf *buf;

	for (buf = first; buf; buf = buf->next) {
		if (ferry_buf_borrows_pid(buf))
			get_pid(buf->pid);
		buf->sk = NULL;
		atomic_sub(buf->len, &ferry_sk(sk)->unread);
		WARN_ON_ONCE(refcount_sub_and_test(buf->truesize,
						   &sk->sk_wmem_alloc));
	}
	ferry_write_space(sk, NULL);
}

/**
 * ferry_buf_put() - drop a reference
 * @buf: buffer in no queue; freed with all it carries when this was the last
 *
 * Context: process; may sleep only if @buf carries descriptors.
 */
void ferry_buf_put(struct ferry_buf *buf)
{
	if (!refcount_dec_and_test(&buf->refs))
		return;

	if (buf->rights)
		ferry_rights_put(buf->rights);
	if (unlikely(!ferry_buf_borrows_pid(buf)))
		put_pid(buf->pid);
	if (buf->from)
		ferry_addr_put(buf->from);
	if (unlikely(buf->shut))
		ferry_pages_return(buf);
	ferry_buf_uncharge(buf);
	if (buf->shared)
		ferry_buf_put(buf->shared);
	if (unlikely(buf->txstamp))
		consume_skb(buf->txstamp);
	kmem_cache_free(ferry_buf_caches[buf->cache], buf);
}

/**
 * ferry_buf_put_list() - drop a reference on every buffer of a list
 * @buf: first buffer, or NULL
 */
void ferry_buf_put_list(struct ferry_buf *buf)
{
	struct ferry_buf *next;

	for (; buf; buf = next) {
		next = buf->next;
		ferry_buf_put(buf);
	}
}

/* Let no sender publish any more. */
static void ferry_queue_end(struct ferry_sock *fs)
{
	lockdep_assert_held(&fs->lock);

	if (fs->sk.sk_type == SOCK_STREAM)
		set_bit(FERRY_STREAM_END_BIT, &fs->written);
}

/**
 * ferry_queue_purge() - @sk is being released: drop what is unread
 * @sk: a socket nobody reads any more
 *
 * The last buffer of a byte stream stays while the peer may still be copying
 * into it; the peer's ferry_queue_finish() frees it. What it carries goes now.
 *
 * A peer whose bytes are lost, or that a linger time of zero cuts off, gets
 * ECONNRESET, before it can see the end of the connection.
 *
 * Return: true if the peer was reset.
 */
bool ferry_queue_purge(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);
	struct ferry_buf *buf, *next, *last = NULL, *held = NULL;
	struct ferry_rights *rights = NULL;
	bool unread, reset;

	spin_lock(&fs->lock);
	buf = fs->head;
	unread = buf;
	if (sk->sk_type == SOCK_STREAM) {
		/* Who sends from here on fails: all others are counted. */
		ferry_queue_end(fs);
		unread = (READ_ONCE(fs->written) - fs->read) / 2;
		last = fs->finished ? NULL : fs->tail;
	}
	if (last) {
		swap(last->rights, rights);
		if (last->shut) {
			refcount_inc(&last->refs);
			held = last;
		}
	}
	WRITE_ONCE(fs->head, last);

	reset = ferry_connects(sk) && fs->peer &&
		(unread || (sock_flag(sk, SOCK_LINGER) && !sk->sk_lingertime));
	if (reset)
		/* Pairs with ferry_error(). */
		smp_store_release(&fs->peer->sk_err, ECONNRESET);
	WRITE_ONCE(fs->dead, 1);
	/* After @dead: who finds that nobody reads finds out why. */
	ferry_set_shutdown(sk, SHUTDOWN_MASK);
	spin_unlock(&fs->lock);

	for (; buf && buf != last; buf = next) {
		next = buf->next;
		ferry_buf_put(buf);
	}
	if (held) {
		ferry_pages_return(held);
		ferry_buf_put(held);
	}
	if (rights)
		ferry_rights_put(rights);
	return reset;
}

/**
 * ferry_queue_shutdown() - a connection is shut down
 * @sk: socket that says so; the caller holds lock_sock()
 * @to: who receives what no longer comes: @sk, or its peer
 * @mask: what @sk has shut down now
 *
 * Under the lock that senders publish under: what is not queued now never will be.
 */
void ferry_queue_shutdown(struct sock *sk, struct sock *to, u8 mask)
{
	struct ferry_sock *fs = ferry_sk(to);

	sock_owned_by_me(sk);

	spin_lock(&fs->lock);
	ferry_queue_end(fs);
	ferry_set_shutdown(sk, sk->sk_shutdown | mask);
	spin_unlock(&fs->lock);
}

/**
 * ferry_queue_finish() - nothing will ever be sent to @sk again
 * @sk: the peer of a stream that is being released
 */
void ferry_queue_finish(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);
	struct ferry_buf *buf = NULL;

	spin_lock(&fs->lock);
	ferry_queue_end(fs);
	fs->finished = 1;
	if (fs->dead)
		swap(buf, fs->head);
	spin_unlock(&fs->lock);

	ferry_buf_put_list(buf);
}

/**
 * ferry_buf_init() - create the caches
 *
 * Return: 0 or -ENOMEM.
 */
int ferry_buf_init(void)
{
	unsigned int i, class = 0;

	BUILD_BUG_ON(sizeof(struct ferry_buf) + SZ_1K > 1160);

	for (i = 0; i < ARRAY_SIZE(ferry_buf_class); i++) {
		while (ferry_buf_classes[class].size <= i * SZ_256)
			class++;
		ferry_buf_class[i] = class;
	}
	for (i = 0; i < ARRAY_SIZE(ferry_buf_classes); i++) {
		unsigned int size = ferry_buf_classes[i].size;

		ferry_buf_caches[i] =
			kmem_cache_create_usercopy(ferry_buf_classes[i].name,
						   size, 0, SLAB_ACCOUNT,
						   sizeof(struct ferry_buf),
						   size - sizeof(struct ferry_buf),
						   ferry_buf_ctor);
		if (!ferry_buf_caches[i]) {
			ferry_buf_exit();
			return -ENOMEM;
		}
	}
	return 0;
}

/* ferry_buf_exit() - destroy the caches; no buffer may be left */
void ferry_buf_exit(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ferry_buf_classes); i++) {
		kmem_cache_destroy(ferry_buf_caches[i]);
		ferry_buf_caches[i] = NULL;
	}
}
