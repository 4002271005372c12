// SPDX-License-Identifier: GPL-2.0
/*
 * Records: SEQPACKET and DGRAM, one implementation.
 *
 * A record is one buffer, or several in a row of which the last has @eor. The
 * sender fills them in private and links the whole record under the receiver's
 * @lock; the reader unlinks it under the same lock. Nobody holds anything while
 * copying from or to user memory.
 *
 * Local senders never lose a record for want of room, they wait: first for room in
 * their own buffer, which is charged as soon as the record is made, then with the
 * record in hand for the receiver's. On SEQPACKET
 * all that lies in the receiver's queue is the one peer's, so its own wake-up
 * for write space is enough. A datagram receiver has many senders: those that
 * found it full wait in its @senders queue, in person when they block, by their
 * @relay entry when they poll or got EAGAIN.
 */
#include <linux/uio.h>
#include <net/busy_poll.h>

#include "broadcast.h"
#include "buffer.h"
#include "carrier_tcp.h"
#include "cmsg.h"
#include "compat-scm.h"
#include "connection.h"
#include "ferry.h"
#include "filter.h"
#include "inflight.h"
#include "name.h"
#include "node.h"
#include "pages.h"
#include "poll.h"
#include "record.h"
#include "remote_dgram.h"
#include "timestamp.h"
#include "zerocopy.h"

/* No bound on what is charged to the sender. */
#define FERRY_NO_LIMIT	INT_MAX

/* Give back what was charged for @len bytes that are in no buffer, and for @bytes. */
static void ferry_record_uncharge(struct sock *sk, u32 bytes, u32 len)
{
	atomic_sub(len, &ferry_sk(sk)->unread);
	WARN_ON_ONCE(refcount_sub_and_test(bytes, &sk->sk_wmem_alloc));
	/* Others may have found no room because of it. */
	ferry_write_space(sk, ferry_connects(sk) ? ferry_sk(sk)->peer : NULL);
}

/*
 * Charge @bytes of memory to the sender of a record of @len bytes, if there is room.
 * What is charged for others is more than their bytes, so most often it tells that
 * these fit; else it must be below the limit and all bytes within.
 */
static inline bool ferry_record_charge(struct sock *sk, u32 bytes, u32 len, u32 limit)
{
	struct ferry_sock *fs = ferry_sk(sk);
	int others;

	atomic_add(len, &fs->unread);
	/*
	 * Of two senders at once one finds the memory of the other, and if it counts
	 * bytes, those too. Pairs with the barrier below.
	 */
	smp_mb__before_atomic();
	__refcount_add(bytes, &sk->sk_wmem_alloc, &others);
	/* One of it is the socket's own. */
	others--;
	if (likely(others + len <= limit))
		return true;
	/* Pairs with the barrier above. */
	smp_rmb();
	if (others < limit && atomic_read(&fs->unread) <= limit)
		return true;
	ferry_record_uncharge(sk, bytes, len);
	return false;
}

/*
 * Make one buffer of a message of which @len bytes are left. The @first is charged with
 * all bytes that are to follow, before any is copied, those with what they take beside.
 */
static __always_inline struct ferry_buf *ferry_record_fill(struct sock *sk,
							   struct msghdr *msg, size_t len,
							   bool first, int limit)
{
	struct ferry_buf *buf;
	size_t n;
	u32 bytes;

	buf = ferry_buf_alloc(sk, len);
	if (unlikely(!buf))
		return ERR_PTR(-ENOMEM);
	n = min_t(size_t, len, buf->cap);
	bytes = buf->truesize - n;
	if (!first) {
		refcount_add(bytes, &sk->sk_wmem_alloc);
	} else {
		bytes += len;
		if (unlikely(!ferry_record_charge(sk, bytes, len, limit))) {
			ferry_buf_put(buf);
			return ERR_PTR(-EAGAIN);
		}
	}
	if (unlikely(ferry_copy_from(buf->data, n, &msg->msg_iter) != n)) {
		ferry_buf_put(buf);
		ferry_record_uncharge(sk, bytes, first ? len : 0);
		return ERR_PTR(-EFAULT);
	}
	buf->sk = sk;
	buf->len = n;
	return buf;
}

/* Make the other buffers of a record, of which @len bytes are left. */
static noinline struct ferry_buf *ferry_record_make_rest(struct sock *sk,
							 struct msghdr *msg, size_t len,
							 struct ferry_buf *first)
{
	struct ferry_buf *last = first, *buf;

	do {
		buf = ferry_record_fill(sk, msg, len, false, 0);
		if (IS_ERR(buf)) {
			ferry_buf_put_list(first);
			ferry_record_uncharge(sk, len, len);
			return buf;
		}
		last->next = buf;
		last = buf;
		len -= buf->len;
	} while (len);

	last->eor = 1;
	return first;
}

/*
 * Make a record of the message, in no queue. Its sender is charged; -EAGAIN when
 * the sender's @limit is reached already.
 */
static struct ferry_buf *ferry_record_make(struct sock *sk, struct msghdr *msg,
					   size_t len, int limit)
{
	struct ferry_buf *first = ferry_record_fill(sk, msg, len, true, limit);

	if (IS_ERR(first))
		return first;
	if (unlikely(first->len < len))
		return ferry_record_make_rest(sk, msg, len - first->len, first);
	first->eor = 1;
	return first;
}

/* Is the message one for all sockets of a name? */
static bool ferry_sends_to_all(const struct msghdr *msg)
{
	return msg->msg_namelen >= FERRY_ADDR_HDR &&
	       ferry_is_broadcast(msg->msg_name);
}

/*
 * Make a record that refers to the message's pages, NULL if it cannot be, -EAGAIN
 * as ferry_record_make().
 */
static struct ferry_buf *ferry_record_lend(struct sock *sk, struct msghdr *msg,
					   size_t len, int limit)
{
	struct ferry_buf *buf;
	int err = 0;

	/* All receivers of a broadcast share one copy. */
	if (!ferry_lends(msg, len) || ferry_sends_to_all(msg))
		return NULL;

	buf = ferry_pages_lend(sk, &msg->msg_iter, len, UINT_MAX);
	if (!buf)
		return NULL;
	if (buf->len == len) {
		if (ferry_record_charge(sk, buf->truesize, len, limit)) {
			buf->sk = sk;
			buf->eor = 1;
			return buf;
		}
		err = -EAGAIN;
	}
	iov_iter_revert(&msg->msg_iter, buf->len);
	ferry_buf_put(buf);
	return ERR_PTR(err);
}

/* Make a record of a message whose pages may be lent. */
static struct ferry_buf *ferry_record_make_lent(struct sock *sk,
						struct msghdr *msg, size_t len,
						int limit)
{
	struct ferry_buf *first;

	first = ferry_record_lend(sk, msg, len, limit);
	if (!first)
		first = ferry_record_make(sk, msg, len, limit);
	if (!IS_ERR(first) && msg->msg_ubuf)
		ferry_zerocopy_attach(first, msg->msg_ubuf);
	return first;
}

static __always_inline void __ferry_record_link(struct sock *to,
						struct ferry_buf *first)
{
	struct ferry_sock *tfs = ferry_sk(to);
	struct ferry_buf *buf, *last = first;

	lockdep_assert_held(&tfs->lock);

	for (buf = first; buf; buf = buf->next) {
		ferry_buf_charge_receiver(buf, to);
		last = buf;
	}
	if (unlikely(ferry_wants_extras(to))) {
		first->drops = atomic_read(&to->sk_drops);
		if (ferry_stamped(to))
			first->stamp = ktime_get_real();
	}
	if (tfs->head)
		tfs->tail->next = first;
	else
		WRITE_ONCE(tfs->head, first);
	tfs->tail = last;
	if (to->sk_state == TCP_ESTABLISHED)
		sk_incoming_cpu_update(to);
	WRITE_ONCE(tfs->written, tfs->written + 1);
}

/**
 * ferry_record_link() - put a record at the end of a queue
 * @to: receiver; the caller holds its @lock and has found it alive
 * @first: the record, now the queue's
 */
void ferry_record_link(struct sock *to, struct ferry_buf *first)
{
	__ferry_record_link(to, first);
}

/* What one struct sk_buff holds: no allocation is larger than 32 KiB. */
#define FERRY_SKB_MAX	SKB_WITH_OVERHEAD(SZ_32K)

/* Length of the record that begins with @buf; its last buffer in @last. */
static size_t ferry_record_len(struct ferry_buf *buf, struct ferry_buf **last)
{
	size_t len = buf->len;

	while (!buf->eor) {
		buf = buf->next;
		len += buf->len;
	}
	if (last)
		*last = buf;
	return len;
}

/* The next of the fragments of @head, for @len bytes. */
static struct sk_buff *ferry_skb_add(struct sk_buff *head, struct sk_buff *last,
				     size_t len, gfp_t gfp)
{
	struct sk_buff *skb = alloc_skb(len, gfp);

	if (!skb)
		return NULL;
	if (last == head)
		skb_shinfo(head)->frag_list = skb;
	else
		last->next = skb;
	head->truesize += skb->truesize;
	head->data_len += len;
	head->len += len;
	return skb;
}

/**
 * ferry_record_skb() - a copy of a record for the core's filters to look at
 * @first: record, or NULL for none
 * @headroom: bytes to leave free before the payload
 * @gfp: how to allocate
 *
 * What a single one does not hold is in its list of fragments.
 *
 * Return: a buffer with the payload from offset 0, or NULL without memory.
 */
struct sk_buff *ferry_record_skb(const struct ferry_buf *first,
				 unsigned int headroom, gfp_t gfp)
{
	const struct ferry_buf *buf;
	struct sk_buff *head, *skb;
	size_t len = 0, off, room;

	for (buf = first; buf; buf = buf->next)
		len += buf->len;
	room = min_t(size_t, len, FERRY_SKB_MAX - headroom);
	head = alloc_skb(headroom + room, gfp);
	if (!head)
		return NULL;
	skb_reserve(head, headroom);

	skb = head;
	for (buf = first, off = 0; len; ) {
		struct iov_iter iter;
		struct kvec vec;
		size_t n;

		if (!room) {
			room = min_t(size_t, len, FERRY_SKB_MAX);
			skb = ferry_skb_add(head, skb, room, gfp);
			if (!skb) {
				kfree_skb(head);
				return NULL;
			}
		}
		n = min_t(size_t, buf->len - off, room);
		vec.iov_base = skb_put(skb, n);
		vec.iov_len = n;
		iov_iter_kvec(&iter, ITER_DEST, &vec, 1, n);
		ferry_buf_copy_to(buf, off, n, &iter);
		room -= n;
		len -= n;
		off += n;
		if (off == buf->len) {
			buf = buf->next;
			off = 0;
		}
	}
	return head;
}

/*
 * Copy a record that refers to pages, in no queue: what a filter judges must
 * not change before it is read. The copy follows the buffer, now empty, that
 * all else belongs to.
 */
static int ferry_record_own(struct sock *sk, struct ferry_buf *first)
{
	struct msghdr msg = {};
	struct ferry_buf *copy;

	ferry_pages_iter(first, &msg.msg_iter);
	copy = ferry_record_make(sk, &msg, first->len, FERRY_NO_LIMIT);
	if (IS_ERR(copy))
		return PTR_ERR(copy);

	if (first->uarg)
		uarg_to_msgzc(first->uarg)->zerocopy = 0;
	ferry_pages_put(first);
	atomic_sub(first->len, &ferry_sk(sk)->unread);
	first->len = 0;
	first->eor = 0;
	first->next = copy;
	return 0;
}

/* How many buffers of a queue are looked at to find a little more room. */
#define FERRY_LOOK_MAX	64

/* Are there at most @most bytes in the queue of @to? No, if it takes long to tell. */
static bool ferry_queue_within(const struct sock *to, u32 most)
{
	const struct ferry_buf *buf;
	unsigned int n = 0;

	for (buf = ferry_sk(to)->head; buf; buf = buf->next) {
		if (buf->len > most || ++n > FERRY_LOOK_MAX)
			return false;
		most -= buf->len;
	}
	return true;
}

/* ferry_record_room() of a record of several buffers, or when memory does not tell. */
static noinline bool ferry_record_look(const struct sock *to, struct ferry_buf *first)
{
	u32 charged = atomic_read(&to->sk_rmem_alloc);
	u32 limit = READ_ONCE(to->sk_rcvbuf);
	u32 len = ferry_record_len(first, NULL);

	return charged + len <= limit || ferry_drained(to) ||
	       (charged < limit && len <= limit &&
		ferry_queue_within(to, limit - len));
}

static __always_inline bool __ferry_record_room(const struct sock *to,
						struct ferry_buf *first)
{
	u32 charged = atomic_read(&to->sk_rmem_alloc);

	lockdep_assert_held(&ferry_sk(to)->lock);

	if (likely(charged + first->len <= READ_ONCE(to->sk_rcvbuf) && first->eor))
		return true;
	return ferry_record_look(to, first);
}

/**
 * ferry_record_room() - is there room at a receiver for a record?
 * @to: receiver; the caller holds its @lock
 * @first: the record
 *
 * As ferry_record_charge() for the sender: the bytes unread never exceed the limit,
 * nor does the memory charged but for the last record's. A record that is longer comes
 * alone: its sender cannot know.
 *
 * Return: true if so.
 */
bool ferry_record_room(const struct sock *to, struct ferry_buf *first)
{
	return __ferry_record_room(to, first);
}

/*
 * Queue a record at @to. Returns 0, -EAGAIN without room there, or why it can never
 * be queued.
 */
static int ferry_record_queue(struct sock *sk, struct sock *to,
			      struct ferry_buf *first)
{
	struct ferry_sock *tfs = ferry_sk(to);
	int err = 0;

	spin_lock(&tfs->lock);
	if (unlikely(tfs->dead))
		err = ferry_connects(sk) ? -EPIPE : -ECONNREFUSED;
	else if (unlikely(ferry_send_closed(sk, to)))
		err = -EPIPE;
	else if (unlikely(tfs->peer && tfs->peer != sk))
		err = -EPERM;
	else if (unlikely(!__ferry_record_room(to, first)))
		err = -EAGAIN;
	if (unlikely(err))
		goto out;

	if (unlikely(first->txstamp))
		ferry_txstamp_record(sk, to, first);
	__ferry_record_link(to, first);
out:
	spin_unlock(&tfs->lock);
	return err;
}

/*
 * Is there an error for senders? What a datagram socket has pending is not theirs: it
 * missed a broadcast.
 */
static bool ferry_record_failed(const struct sock *sk)
{
	return ferry_connects(sk) && READ_ONCE(sk->sk_err);
}

/* Has @sk, or the receiver that is known, closed this direction? */
static inline bool ferry_record_closed(const struct sock *sk,
				       const struct sock *to)
{
	return to ? ferry_send_closed(sk, to) :
		    READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN;
}

/**
 * struct ferry_wait - what a sender waits for
 * @sk: sender
 * @to: receiver, or NULL if a datagram has no peer to go to
 * @len: bytes of the record
 * @in_hand: it is there and charged: @to alone lacks room
 */
struct ferry_wait {
	struct sock	*sk;
	struct sock	*to;
	u32		len;
	bool		in_hand;
};

/* Could a sender go on? If not it will be woken. */
static bool ferry_record_may_send(const struct ferry_wait *wait)
{
	struct sock *sk = wait->sk, *to = wait->to;

	if (to && !ferry_connects(sk))
		WRITE_ONCE(ferry_sk(to)->full, 1);
	return !ferry_ask_space(sk, to, wait->len) ||
	       (wait->in_hand && ferry_receiver_room(to, 2) &&
		ferry_receiver_fits(to, wait->len)) ||
	       ferry_record_closed(sk, to) || ferry_record_failed(sk);
}

/* Half of a buffer free, as a poll tells, is not enough for a record longer than it. */
static void ferry_record_remember(const struct ferry_wait *wait)
{
	bool large = wait->len > READ_ONCE(wait->sk->sk_sndbuf) / 2 ||
		     (wait->to && wait->len > READ_ONCE(wait->to->sk_rcvbuf) / 2);

	WRITE_ONCE(ferry_sk(wait->sk)->refused, large ? wait->len : 0);
}

/* Wait until there may be room. Returns 0 to try again. */
static int ferry_record_wait_room(const struct ferry_wait *wait, long *timeo)
{
	/* Both stay in their queues until the wait is over. */
	DECLARE_WAITQUEUE(at_receiver, current);
	DECLARE_WAITQUEUE(own, current);
	struct sock *sk = wait->sk;
	wait_queue_head_t *senders = NULL;
	int err = 0;

	if (!*timeo) {
		/* With a record in hand see ferry_record_refused(). */
		if (!wait->in_hand && ferry_record_may_send(wait))
			return 0;
		ferry_record_remember(wait);
		return -EAGAIN;
	}

	if (wait->to && !ferry_connects(sk))
		senders = &ferry_sk(wait->to)->senders;
	if (senders)
		add_wait_queue(senders, &at_receiver);
	add_wait_queue(sk_sleep(sk), &own);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (ferry_record_may_send(wait))
			break;
		if (signal_pending(current)) {
			err = sock_intr_errno(*timeo);
			break;
		}
		if (!*timeo) {
			ferry_record_remember(wait);
			err = -EAGAIN;
			break;
		}
		*timeo = schedule_timeout(*timeo);
	}
	__set_current_state(TASK_RUNNING);
	remove_wait_queue(sk_sleep(sk), &own);
	if (senders)
		remove_wait_queue(senders, &at_receiver);
	return err;
}

/*
 * A record was not sent: give it back. Who polls @sk after EAGAIN is told when there
 * is room, without asking again.
 */
static void ferry_record_refused(struct sock *sk, struct sock *to,
				 struct ferry_buf *first, int err)
{
	ferry_buf_put_list(first);
	if (ferry_connects(sk))
		/* Other threads may wait for what it took. */
		ferry_write_space(sk, to);
	if (err != -EAGAIN)
		return;
	if (!ferry_connects(sk))
		ferry_relay_start(sk, to);
	if (!ferry_ask_space(sk, to, READ_ONCE(ferry_sk(sk)->refused)))
		ferry_wake_writer(sk, to);
}

/*
 * The message was not sent: who has it may send it again. io_uring does, from
 * where it finds the iterator.
 */
static void ferry_record_unsent(struct msghdr *msg, size_t len)
{
	iov_iter_revert(&msg->msg_iter, len - iov_iter_count(&msg->msg_iter));
}

/*
 * Make a record complete with what belongs to it beside its bytes. -EAGAIN when its
 * sender has no room for it.
 */
static struct ferry_buf *ferry_record_prepare(struct sock *sk,
					      struct msghdr *msg, size_t len,
					      struct ferry_sender *from)
{
	int limit = READ_ONCE(sk->sk_sndbuf);
	struct ferry_buf *first;

again:
	if (unlikely(msg->msg_flags & FERRY_LEND_FLAGS))
		first = ferry_record_make_lent(sk, msg, len, limit);
	else
		first = ferry_record_make(sk, msg, len, limit);
	if (IS_ERR(first)) {
		if (first != ERR_PTR(-EAGAIN) || !ferry_sends_to_all(msg))
			return first;
		/* A broadcast waits for nobody. */
		limit = FERRY_NO_LIMIT;
		goto again;
	}
	ferry_cmsg_attach(first, from);
	if (ferry_own_addr(sk))
		first->from = ferry_addr_get_own(sk);
	if (unlikely(!len || (msg->msg_flags & MSG_EOR)))
		first->msg_eor = 1;
	if (unlikely(ferry_wants_txstamp(from))) {
		if (ferry_txstamp_prepare(sk, first, from->tsflags)) {
			ferry_buf_put_list(first);
			return ERR_PTR(-ENOMEM);
		}
		if (from->tsflags & FERRY_TS_OPT_ID) {
			*ferry_txflags(first) |= FERRY_TS_OPT_ID;
			skb_shinfo(first->txstamp)->tskey = from->key;
		}
		refcount_add(first->txstamp->truesize, &sk->sk_wmem_alloc);
	}
	return first;
}

/* Why can @sk not send any more, to @to if that is known? 0 if it can. */
static inline int ferry_record_ended(struct sock *sk, struct sock *to)
{
	/* In this order: who closes sets the error before. */
	bool closed = ferry_record_closed(sk, to);
	int err;

	if (unlikely(ferry_record_failed(sk))) {
		err = sock_error(sk);
		if (err)
			return err;
	}
	if (likely(!closed))
		return 0;
	if (ferry_connects(sk) || !to || !READ_ONCE(ferry_sk(to)->dead) ||
	    (READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN))
		return -EPIPE;
	return -ECONNREFUSED;
}

/* ferry_record_obtain() when there was no room. */
static noinline struct ferry_buf *ferry_record_obtain_later(struct sock *sk,
							    struct sock *peer,
							    struct msghdr *msg, size_t len,
							    struct ferry_sender *from,
							    long *timeo)
{
	const struct ferry_wait wait = { .sk = sk, .to = peer, .len = len };
	struct ferry_buf *first;
	int err;

	do {
		err = ferry_record_ended(sk, peer);
		/* It was lowered. */
		if (!err && len > READ_ONCE(sk->sk_sndbuf))
			err = -EMSGSIZE;
		if (!err)
			err = ferry_record_wait_room(&wait, timeo);
		if (err)
			return ERR_PTR(err);
		first = ferry_record_prepare(sk, msg, len, from);
	} while (first == ERR_PTR(-EAGAIN));
	return first;
}

/*
 * As ferry_record_prepare(), waiting for memory: what a sender holds while it waits
 * for the receiver is charged to it, so others of the socket wait without.
 */
static __always_inline struct ferry_buf *ferry_record_obtain(struct sock *sk,
							     struct sock *peer,
							     struct msghdr *msg,
							     size_t len,
							     struct ferry_sender *from,
							     long *timeo)
{
	struct ferry_buf *first = ferry_record_prepare(sk, msg, len, from);

	if (likely(first != ERR_PTR(-EAGAIN)))
		return first;
	return ferry_record_obtain_later(sk, peer, msg, len, from, timeo);
}

/* Queue a record at @to, waiting for room; it is used up unless that fails. */
static int ferry_record_deliver(struct sock *sk, struct sock *to,
				struct ferry_buf *first, long *timeo)
{
	bool filtered = false;
	int err;

	for (;;) {
		err = ferry_record_ended(sk, to);
		if (unlikely(err))
			return err;

		if (unlikely(rcu_access_pointer(to->sk_filter)) && !filtered) {
			filtered = true;
			err = first->paged ? ferry_record_own(sk, first) : 0;
			if (err)
				return err;
			err = ferry_filter_record(sk, to, first);
			if (err == -EPERM) {
				if (unlikely(first->txstamp))
					ferry_txstamp_record(sk, to, first);
				ferry_buf_put_list(first);
				if (ferry_connects(sk))
					ferry_write_space(sk, to);
				return 0;
			}
			if (err)
				return err;
		}
		err = ferry_record_queue(sk, to, first);
		if (likely(!err)) {
			ferry_record_ready(to);
			return 0;
		}
		if (err == -EAGAIN) {
			const struct ferry_wait wait = {
				.sk = sk, .to = to, .in_hand = true,
				.len = ferry_record_len(first, NULL),
			};

			err = ferry_record_wait_room(&wait, timeo);
		}
		if (err)
			return err;
	}
}

/* As ferry_record_send(), of a record with descriptors. */
static int ferry_record_send_rights(struct sock *sk, struct sock *to,
				    struct ferry_buf *first, long *timeo)
{
	int err;

	if (READ_ONCE(ferry_sk(to)->refuse_rights))
		return -EPERM;
	err = ferry_inflight_add(first->rights, to);
	if (err)
		return err;
	err = ferry_record_deliver(sk, to, first, timeo);
	/* While the caller still holds @to, whose list they are in. */
	if (err)
		ferry_inflight_del(first->rights);
	return err;
}

/* Send a record to @to, waiting for room; it is used up unless it fails. */
static inline int ferry_record_send(struct sock *sk, struct sock *to,
				    struct ferry_buf *first, long *timeo)
{
	if (unlikely(first->rights))
		return ferry_record_send_rights(sk, to, first, timeo);
	return ferry_record_deliver(sk, to, first, timeo);
}

/**
 * ferry_seqpacket_sendmsg() - send a record on a connection
 * @sock: socket
 * @msg: message
 * @len: its bytes
 *
 * Context: process, may sleep.
 * Return: @len or an error.
 */
int ferry_seqpacket_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)
{
	struct sock *sk = sock->sk, *peer;
	struct ferry_sender from __uninitialized;
	struct ferry_buf *first;
	long timeo;
	int err;

	if (unlikely(msg->msg_flags & MSG_OOB))
		return -EOPNOTSUPP;
	if (ferry_wants_zerocopy(sk, msg))
		return ferry_zerocopy_send(sock, msg, len,
					   ferry_seqpacket_sendmsg);
	timeo = sock_sndtimeo(sk, msg->msg_flags & MSG_DONTWAIT);
	if (unlikely(!ferry_connected(sk))) {
		err = ferry_wait_connected(sk, &timeo);
		if (err)
			return err;
	}
	if (unlikely(msg->msg_namelen))
		return -EISCONN;
	if (unlikely(len > READ_ONCE(sk->sk_sndbuf)))
		return -EMSGSIZE;

	err = ferry_cmsg_send(sock, msg, &from);
	if (unlikely(err))
		return err;
	peer = ferry_sk(sk)->peer;

	/* Before the bytes are copied: a full peer is the common failure. */
	if (unlikely(!ferry_has_room(sk, peer))) {
		const struct ferry_wait wait = { .sk = sk, .to = peer, .len = len };

		err = ferry_record_wait_room(&wait, &timeo);
		if (err)
			goto out;
	}
	first = ferry_record_obtain(sk, peer, msg, len, &from, &timeo);
	err = PTR_ERR_OR_ZERO(first);
	if (unlikely(err)) {
		/* What was charged meanwhile. */
		ferry_write_space(sk, peer);
		goto out;
	}
	err = ferry_record_send(sk, peer, first, &timeo);
	if (unlikely(err))
		ferry_record_refused(sk, peer, first, err);
out:
	ferry_cmsg_sent(&from);
	ferry_debug(sk, "send", err ? err : len);
	if (likely(!err))
		return len;
	ferry_record_unsent(msg, len);
	if (err == -EPIPE && !(msg->msg_flags & MSG_NOSIGNAL))
		send_sig(SIGPIPE, current, 0);
	return err;
}

/* Send a datagram to the socket(s) an address means. */
static int ferry_dgram_sendto(struct sock *sk, struct msghdr *msg, size_t len,
			      struct ferry_sender *from)
{
	const struct sockaddr_ferry *sa = msg->msg_name;
	struct ferry_buf *first;
	struct sock *to;
	long timeo;
	bool gone, all;
	int err, kind;

	err = ferry_addr_check(msg->msg_name, msg->msg_namelen);
	if (err)
		return err;
	all = !likely(ipv6_addr_any(ferry_node(sa))) && ferry_is_broadcast(sa);
	if (!all) {
		kind = ferry_node_kind(sk, sa);
		if (unlikely(kind != FERRY_NODE_HERE))
			return kind < 0 ? kind :
			       ferry_remote_sendto(sk, msg, len, from, kind);
	}

	/* A steering program chooses the receiver by the bytes: copy first. */
	timeo = sock_sndtimeo(sk, msg->msg_flags & MSG_DONTWAIT);
	first = ferry_record_obtain(sk, NULL, msg, len, from, &timeo);
	if (IS_ERR(first))
		return PTR_ERR(first);
	if (unlikely(all)) {
		err = ferry_broadcast(sk, sa, msg->msg_namelen, first);
		ferry_buf_put_list(first);
		return err;
	}

	do {
		to = ferry_name_find(sk, sa, msg->msg_namelen, first);
		if (IS_ERR(to)) {
			ferry_buf_put_list(first);
			return PTR_ERR(to);
		}
		err = ferry_record_send(sk, to, first, &timeo);
		/*
		 * Closed meanwhile, it has left the name, which others may have.
		 * Not if its filter may have cut the record.
		 */
		gone = err == -ECONNREFUSED && READ_ONCE(ferry_sk(to)->dead) &&
		       !rcu_access_pointer(to->sk_filter);
		if (unlikely(err && !gone))
			ferry_record_refused(sk, to, first, err);
		sock_put(to);
	} while (unlikely(gone));
	return err;
}

/* Send a datagram to the connected peer. */
static int ferry_dgram_send(struct sock *sk, struct msghdr *msg, size_t len,
			    struct ferry_sender *from)
{
	struct ferry_buf *first;
	struct sock *to;
	long timeo;
	int err;

again:
	to = ferry_peer_get(sk);
	if (!to)
		return -EDESTADDRREQ;
	if (unlikely(to == sk)) {
		err = ferry_remote_send(sk, msg, len, from);
		if (err != -ENOTCONN)
			goto out;
		/* Unless it really is its own it has got another peer meanwhile. */
		if (READ_ONCE(ferry_sk(sk)->peer) != sk ||
		    rcu_access_pointer(ferry_sk(sk)->remote)) {
			sock_put(to);
			goto again;
		}
	}
	err = -ENETUNREACH;
	if (ferry_bound_elsewhere(sk))
		goto out;
	/* As absent, but still the peer: the device may change again. */
	err = -ECONNREFUSED;
	if (ferry_bound_elsewhere(to))
		goto out;

	timeo = sock_sndtimeo(sk, msg->msg_flags & MSG_DONTWAIT);
	first = ferry_record_obtain(sk, to, msg, len, from, &timeo);
	err = PTR_ERR_OR_ZERO(first);
	if (likely(!err)) {
		err = ferry_record_send(sk, to, first, &timeo);
		if (unlikely(err))
			ferry_record_refused(sk, to, first, err);
	}
	if (unlikely(err == -ECONNREFUSED))
		ferry_dgram_dissolve(sk, to);
out:
	sock_put(to);
	return err;
}

/**
 * ferry_dgram_sendmsg() - send a datagram
 * @sock: socket
 * @msg: message, with a destination or to the connected peer
 * @len: its bytes
 *
 * When the connected peer has gone the association is dissolved.
 *
 * Context: process, may sleep.
 * Return: @len or an error.
 */
int ferry_dgram_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)
{
	struct ferry_sender from __uninitialized;
	struct sock *sk = sock->sk;
	int err;

	if (unlikely(msg->msg_flags & MSG_OOB))
		return -EOPNOTSUPP;
	if (ferry_wants_zerocopy(sk, msg))
		return ferry_zerocopy_send(sock, msg, len, ferry_dgram_sendmsg);
	if (unlikely(len > READ_ONCE(sk->sk_sndbuf)))
		return -EMSGSIZE;

	err = ferry_cmsg_send(sock, msg, &from);
	if (unlikely(err))
		return err;

	if (msg->msg_namelen)
		err = ferry_dgram_sendto(sk, msg, len, &from);
	else
		err = ferry_dgram_send(sk, msg, len, &from);
	ferry_cmsg_sent(&from);
	ferry_debug(sk, "send", err ? err : len);
	if (likely(!err))
		return len;
	ferry_record_unsent(msg, len);
	return err;
}

/**
 * ferry_record_next_len() - length of the record that is next to be read
 * @sk: a SEQPACKET or DGRAM socket
 *
 * Return: its bytes, 0 without one.
 */
size_t ferry_record_next_len(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);
	size_t len = 0;

	if (unlikely(ferry_remote_waits(sk)) && ferry_remote_turn(sk, MSG_PEEK))
		return ferry_remote_queued(sk, NULL);
	spin_lock(&fs->lock);
	if (fs->head)
		len = ferry_record_len(fs->head, NULL);
	spin_unlock(&fs->lock);
	return len;
}

/**
 * struct ferry_view - a record as a reader wants to see it
 * @first: its first buffer, or NULL; referenced with the whole record and its
 *	@rights when peeked at
 * @rights: descriptors, when peeked at
 * @len: bytes of the record
 * @skip: bytes to leave out at its start
 * @seen: records that had been queued when this was looked for
 * @peek_off: SO_PEEK_OFF before the record was taken out
 * @last: the last of sk_receive_queue when that was looked at, itself when it was empty
 */
struct ferry_view {
	struct ferry_buf	*first;
	struct ferry_rights	*rights;
	size_t			len;
	size_t			skip;
	unsigned long		seen;
	int			peek_off;
	const void		*last;
};

/* Take the first record out of the queue, NULL if there is none. */
static __always_inline bool ferry_record_unlink(struct ferry_sock *fs,
						struct ferry_view *view)
{
	struct ferry_buf *last;

	spin_lock(&fs->lock);
	view->seen = fs->written;
	view->first = fs->head;
	if (view->first) {
		view->len = ferry_record_len(view->first, &last);
		view->skip = 0;
		WRITE_ONCE(fs->head, last->next);
		last->next = NULL;
		view->peek_off = READ_ONCE(fs->sk.sk_peek_off);
		if (unlikely(READ_ONCE(fs->sk.sk_peek_off) >= 0))
			sk_peek_offset_bwd(&fs->sk, view->len);
	}
	spin_unlock(&fs->lock);
	return view->first;
}

/* The record could not be copied out: nothing is lost, put it back. */
static void ferry_record_relink(struct ferry_sock *fs,
				const struct ferry_view *view)
{
	struct ferry_buf *last;

	spin_lock(&fs->lock);
	ferry_record_len(view->first, &last);
	last->next = fs->head;
	if (!fs->head)
		fs->tail = last;
	WRITE_ONCE(fs->head, view->first);
	WRITE_ONCE(fs->sk.sk_peek_off, view->peek_off);
	/* For those who began to wait meanwhile it is a new one. */
	WRITE_ONCE(fs->written, fs->written + 1);
	fs->read++;
	spin_unlock(&fs->lock);
	ferry_record_ready(&fs->sk);
}

/*
 * Find the record that a peek shows, and move the peek offset past what will
 * be shown of it: under the one lock, so that a reader between does not leave
 * the offset pointing elsewhere.
 */
static bool ferry_record_peek(struct ferry_sock *fs, size_t size, int flags,
			      struct ferry_view *view)
{
	struct ferry_buf *buf, *last;
	size_t off;

	spin_lock(&fs->lock);
	view->seen = fs->written;
	off = max(sk_peek_offset(&fs->sk, flags), 0);
	for (buf = fs->head; buf; buf = last->next) {
		view->len = ferry_record_len(buf, &last);
		if (off < view->len || (!off && !buf->peeked))
			break;
		off -= view->len;
	}
	view->first = buf;
	if (buf) {
		view->skip = off;
		buf->peeked = READ_ONCE(fs->sk.sk_peek_off) >= 0;
		sk_peek_offset_fwd(&fs->sk, min(size, view->len - off));
		view->rights = buf->rights;
		if (view->rights)
			refcount_inc(&view->rights->refs);
		for (;; buf = buf->next) {
			refcount_inc(&buf->refs);
			if (buf == last)
				break;
		}
	}
	spin_unlock(&fs->lock);
	return view->first;
}

/**
 * ferry_record_set_peek_off() - SO_PEEK_OFF of records
 * @sk: a SEQPACKET or DGRAM socket
 * @val: where the next peek begins, or -1
 *
 * A peek begins anew there: records without bytes have not been shown.
 *
 * Return: 0.
 */
int ferry_record_set_peek_off(struct sock *sk, int val)
{
	struct ferry_sock *fs = ferry_sk(sk);
	struct ferry_buf *buf;

	spin_lock(&fs->lock);
	WRITE_ONCE(sk->sk_peek_off, val);
	for (buf = fs->head; buf; buf = buf->next)
		buf->peeked = 0;
	spin_unlock(&fs->lock);
	ferry_remote_peek_anew(sk);
	return 0;
}

/* Drop the references of a view on a record that may still be queued. */
static void ferry_view_put(struct ferry_view *view)
{
	struct ferry_buf *buf = view->first, *next;

	do {
		/* Within a record the links never change; the last one's does. */
		next = buf->eor ? NULL : buf->next;
		ferry_buf_put(buf);
		buf = next;
	} while (buf);
	if (view->rights)
		ferry_rights_put(view->rights);
}

/* As ferry_record_copy(), of a record that may have many buffers. */
static int ferry_record_copy_list(const struct ferry_view *view,
				  struct msghdr *msg, size_t n)
{
	const struct ferry_buf *buf = view->first;
	size_t off = view->skip;

	if (!n)
		return 0;
	for (; off >= buf->len; buf = buf->next)
		off -= buf->len;
	for (;;) {
		size_t part = min(n, buf->len - off);

		if (ferry_buf_copy_to(buf, off, part, &msg->msg_iter) != part)
			return -EFAULT;
		n -= part;
		off = 0;
		/* Not what comes behind the last, which a reader may be cutting off. */
		if (!n)
			return 0;
		buf = buf->next;
	}
}

/* Copy @n bytes of the record to the reader. */
static __always_inline int ferry_record_copy(const struct ferry_view *view,
					     struct msghdr *msg, size_t n)
{
	const struct ferry_buf *buf = view->first;

	if (unlikely(!buf->eor || buf->paged))
		return ferry_record_copy_list(view, msg, n);
	return likely(ferry_copy_to(buf->data + view->skip, n,
				    &msg->msg_iter) == n) ? 0 : -EFAULT;
}

/* Has something come since a reader has found nothing? */
static bool ferry_record_came(const struct sock *sk, const struct ferry_view *view)
{
	return READ_ONCE(ferry_sk(sk)->written) != view->seen ||
	       READ_ONCE(sk->sk_receive_queue.prev) != view->last;
}

/* Is there something to read, or something that ends the wait for it? */
static bool ferry_record_settled(struct sock *sk, struct sock *peer,
				 const struct ferry_view *view)
{
	ferry_ask_data(sk);
	return ferry_record_came(sk, view) ||
	       (unlikely(ferry_remote(sk)) && ferry_tcp_waits(sk)) ||
	       READ_ONCE(sk->sk_err) ||
	       (READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN) ||
	       (peer && ferry_recv_closed(sk, peer));
}

/*
 * Sleep until there may be something to read. One reader is woken for a record;
 * who peeks leaves it to the others, and is woken beside them.
 *
 * Whoever is woken first hides from senders that others sleep on, so it tells
 * them, before it looks for a record. Returns 0 to look, or a signal's error.
 */
static int ferry_record_sleep(struct sock *sk, struct sock *peer,
			      const struct ferry_view *view, bool peek,
			      long *timeo)
{
	wait_queue_head_t *wq = sk_sleep(sk);
	DEFINE_WAIT(wait);
	int err = 0;

	if (peek)
		prepare_to_wait(wq, &wait, TASK_INTERRUPTIBLE);
	else
		prepare_to_wait_exclusive(wq, &wait, TASK_INTERRUPTIBLE);
	if (!ferry_record_settled(sk, peer, view)) {
		if (signal_pending(current))
			err = sock_intr_errno(*timeo);
		else
			*timeo = schedule_timeout(*timeo);
	}
	finish_wait(wq, &wait);
	/* Who queued before the wake-up is seen; who queues later tells by itself. */
	if (!peek && waitqueue_active(wq))
		ferry_ask_data(sk);
	return err;
}

/* No record was found: 0 at the end, 1 to look again, or an error. */
static int ferry_record_wait(struct sock *sk, struct sock *peer,
			     const struct ferry_view *view, bool peek, long *timeo)
{
	bool closed, remote;
	int err;

	/* What another host sent may still lie at TCP, while another reads the last. */
	if (unlikely(ferry_remote(sk)))
		ferry_tcp_read(sk);
	closed = (ferry_shutdown_mask(sk) & RCV_SHUTDOWN) ||
		 (peer && ferry_recv_closed(sk, peer));
	/*
	 * In this order: who closes sets the error before, and what was queued
	 * before either is read before it.
	 */
	err = ferry_error(sk);
	if (ferry_record_came(sk, view))
		return 1;
	if (err) {
		err = sock_error(sk);
		if (err)
			return err;
	}
	if (closed)
		return 0;
	/* What the network has is fetched, for a while, before it comes by itself. */
	if (sk_can_busy_loop(sk)) {
		sk_busy_loop(sk, !*timeo);
		if (ferry_record_came(sk, view))
			return 1;
	}
	if (!*timeo)
		return -EAGAIN;

	remote = ferry_remote(sk);
	if (unlikely(remote))
		ferry_tcp_sleep(sk);
	err = ferry_record_sleep(sk, peer, view, peek, timeo);
	if (unlikely(remote))
		ferry_tcp_slept(sk);
	return err ? err : 1;
}

/*
 * A reader that slept is done with looking: what is left there may have come while
 * it was the one woken.
 */
static void ferry_record_pass_on(struct sock *sk)
{
	if (READ_ONCE(ferry_sk(sk)->head) || ferry_remote_waits(sk))
		ferry_wake_next(sk);
}

/* Readers have dropped buffers: tell the senders that found no room. */
static inline void ferry_record_write_space(struct sock *sk, struct sock *peer)
{
	struct ferry_sock *fs = ferry_sk(sk);

	if (peer) {
		ferry_write_space(peer, sk);
		return;
	}
	/* Pairs with the barriers of those who find no room and set @full. */
	smp_mb();
	if (likely(!READ_ONCE(fs->full)) || !ferry_receiver_room(sk, 2))
		return;
	/* Who waits on sets it again. */
	WRITE_ONCE(fs->full, 0);
	wake_up_interruptible_poll(&fs->senders, EPOLLOUT | EPOLLWRNORM |
						 EPOLLWRBAND);
}

/* The reader is done with a record it took out of the queue. */
static void ferry_record_consume(struct sock *sk, struct sock *peer,
				 struct ferry_buf *first)
{
	if (unlikely(first->txstamp))
		ferry_txstamp_read(first);
	/* This tells a datagram's sender. */
	if (likely(first->eor))
		ferry_buf_put(first);
	else
		ferry_buf_put_list(first);
	ferry_record_write_space(sk, peer);
}

/* Fill in everything about a record but its bytes. */
static __always_inline void ferry_record_describe(struct socket *sock,
						  struct msghdr *msg,
						  const struct ferry_buf *first)
{
	if (unlikely(msg->msg_name))
		msg->msg_namelen = ferry_addr_copy(msg->msg_name, first->from);
	if (unlikely(ferry_wants_extras(sock->sk))) {
		struct ferry_extras extras = {
			.stamp = first->stamp,
			.drops = first->drops,
			.mark = first->mark,
			.priority = first->priority,
		};

		ferry_recv_extras(sock->sk, msg, &extras);
	}
	if (unlikely(first->msg_eor) &&
	    (sock->type == SOCK_SEQPACKET || (first->eor && !first->len)))
		msg->msg_flags |= MSG_EOR;
}

static int ferry_record_peekmsg(struct socket *sock, struct sock *peer,
				struct msghdr *msg, size_t size, int flags,
				struct ferry_view *view)
{
	size_t left = view->len - view->skip, n = min(size, left);
	int err;

	err = ferry_record_copy_list(view, msg, n);
	if (!err) {
		if (n < left || view->skip)
			msg->msg_flags |= MSG_TRUNC;
		ferry_record_describe(sock, msg, view->first);
		if (view->rights || ferry_cmsg_wanted(sock)) {
			struct scm_cookie scm = {};

			ferry_cmsg_peek(view->first, view->rights, msg, &scm);
			ferry_cmsg_recv(sock, msg, &scm, flags);
		}
		err = flags & MSG_TRUNC ? left : n;
	} else {
		spin_lock(&ferry_sk(sock->sk)->lock);
		sk_peek_offset_bwd(sock->sk, n);
		spin_unlock(&ferry_sk(sock->sk)->lock);
	}
	/* The record may have been read meanwhile: then this was the last. */
	ferry_view_put(view);
	ferry_record_write_space(sock->sk, peer);
	ferry_debug(sock->sk, "receive", err);
	return err;
}

/* Receive a record, if there is a @peer from it, waiting for as long as @timeo. */
static __always_inline int ferry_record_recv(struct socket *sock, struct sock *peer,
					     struct msghdr *msg, size_t size, int flags,
					     long timeo)
{
	struct sock *sk = sock->sk;
	struct ferry_sock *fs = ferry_sk(sk);
	struct ferry_view view __uninitialized;
	bool slept = false, passed;
	size_t n;
	int err;

	for (;;) {
		passed = false;
		view.last = READ_ONCE(sk->sk_receive_queue.prev);
		if (unlikely(view.last != &sk->sk_receive_queue)) {
			passed = !ferry_remote_turn(sk, flags);
			err = passed ? -EAGAIN :
				       ferry_remote_recvmsg(sock, msg, size, flags);
			if (err != -EAGAIN) {
				ferry_record_write_space(sk, NULL);
				if (slept)
					ferry_record_pass_on(sk);
				ferry_debug(sk, "receive", err);
				return err;
			}
			/* Others may have taken it: what is there is new. */
			if (!(flags & MSG_PEEK))
				view.last = &sk->sk_receive_queue;
		}
		if (unlikely(flags & MSG_PEEK)) {
			if (ferry_record_peek(fs, size, flags, &view)) {
				ferry_remote_local_next(sk, true);
				return ferry_record_peekmsg(sock, peer, msg,
							    size, flags, &view);
			}
			/* Another has read that which came first. */
			if (unlikely(passed) && !READ_ONCE(fs->head))
				continue;
		} else {
			if (likely(ferry_record_unlink(fs, &view)))
				break;
		}
		err = ferry_record_wait(sk, peer, &view, flags & MSG_PEEK, &timeo);
		slept = true;
		if (err <= 0) {
			ferry_record_pass_on(sk);
			ferry_debug(sk, "receive", err);
			return err;
		}
	}
	if (unlikely(slept))
		ferry_record_pass_on(sk);

	n = min(size, view.len);
	err = ferry_record_copy(&view, msg, n);
	if (unlikely(err)) {
		ferry_record_relink(fs, &view);
		ferry_debug(sk, "receive", err);
		return err;
	}
	if (n < view.len)
		msg->msg_flags |= MSG_TRUNC;
	ferry_record_describe(sock, msg, view.first);
	if (unlikely(view.first->rights || ferry_cmsg_wanted(sock))) {
		struct scm_cookie scm = {};

		ferry_cmsg_take(view.first, msg, &scm);
		ferry_cmsg_recv(sock, msg, &scm, flags);
	}
	ferry_record_consume(sk, peer, view.first);
	ferry_debug(sk, "receive", n);
	return flags & MSG_TRUNC ? view.len : n;
}

/**
 * ferry_record_recvmsg() - receive a record
 * @sock: SEQPACKET or DGRAM socket
 * @msg: where to
 * @size: bytes that fit
 * @flags: MSG_PEEK, MSG_TRUNC, MSG_DONTWAIT, MSG_CMSG_CLOEXEC
 *
 * A record without bytes is told from the end of the connection by MSG_EOR.
 * When user memory faults the record stays the next to be read.
 *
 * Context: process, may sleep.
 * Return: bytes received (with MSG_TRUNC the record's), or an error.
 */
int ferry_record_recvmsg(struct socket *sock, struct msghdr *msg, size_t size,
			 int flags)
{
	struct sock *sk = sock->sk, *peer = NULL;
	long timeo;
	int err;

	if (unlikely(flags & MSG_OOB))
		return -EOPNOTSUPP;
	if (unlikely(flags & MSG_ERRQUEUE))
		return ferry_recv_errors(sk, msg, size);

	timeo = sock_rcvtimeo(sk, flags & MSG_DONTWAIT);
	if (ferry_connects(sk)) {
		if (unlikely(!ferry_connected(sk))) {
			err = ferry_wait_connected(sk, &timeo);
			if (err)
				return err;
		}
		peer = ferry_sk(sk)->peer;
	} else if (unlikely(READ_ONCE(sk->sk_err))) {
		/* As UDP: a receiver that is always behind would not learn of it. */
		err = sock_error(sk);
		if (err) {
			ferry_debug(sk, "receive", err);
			return err;
		}
	}
	return ferry_record_recv(sock, peer, msg, size, flags, timeo);
}

/**
 * ferry_record_recv_remote() - receive a record from another host
 * @sock: SEQPACKET socket that is connected there
 * @msg: where to
 * @size: bytes that fit
 * @flags: as ferry_record_recvmsg()
 *
 * Context: process, may sleep.
 * Return: as ferry_record_recvmsg().
 */
int ferry_record_recv_remote(struct socket *sock, struct msghdr *msg, size_t size,
			     int flags)
{
	return ferry_record_recv(sock, NULL, msg, size, flags,
				 sock_rcvtimeo(sock->sk, flags & MSG_DONTWAIT));
}
