// SPDX-License-Identifier: GPL-2.0
/*
 * The byte stream: send and receive.
 *
 * Each direction of a connection has one producer side, whose calls take turns
 * by the sender's send_lock, and one consumer side, whose calls take turns by
 * the receiver's recv_lock. The sides share no lock while bytes move: the
 * producer fills the last buffer and publishes @written, the consumer reads
 * from the first and publishes @read, and none waits while the other copies.
 *
 * The consumer leaves the last buffer in the queue even when it has read all of
 * it, so the producer may append to it at any time; what the producer finds
 * completely read it fills again from the start. A conversation of small
 * messages therefore allocates nothing.
 *
 * New buffers are linked under the receiver's @lock, under which the end of the
 * stream is set (FERRY_STREAM_END). Release leaves the last buffer alone while a
 * sender may be copying into it: whichever end is released second frees it.
 */
#include <linux/uio.h>

#include "buffer.h"
#include "cmsg.h"
#include "compat-scm.h"
#include "compat.h"
#include "connection.h"
#include "ferry.h"
#include "filter.h"
#include "inflight.h"
#include "pages.h"
#include "poll.h"
#include "splice.h"
#include "stream.h"
#include "timestamp.h"
#include "urgent.h"
#include "zerocopy.h"

/* How much of a buffer size may one buffer take, so that room comes in steps. */
#define FERRY_STREAM_STEPS	4

/* More is in several buffers. */
#define FERRY_STREAM_PLAIN	SZ_32K

/*
 * Take the lock of one side of a stream: its holder may be stalled in a copy, so
 * who waits can be interrupted and who must not wait (@timeo 0) does not.
 */
static int ferry_stream_lock(struct mutex *lock, long timeo)
{
	if (!timeo)
		return mutex_trylock(lock) ? 0 : -EAGAIN;
	return mutex_lock_interruptible(lock) ? sock_intr_errno(timeo) : 0;
}

/*
 * Take the lock for a send. Who may not wait for it is told when it is free, as
 * if it had found no room.
 */
static int ferry_stream_lock_send(struct ferry_sock *fs, long timeo)
{
	int err = ferry_stream_lock(&fs->send_lock, timeo);

	if (likely(!err) || timeo)
		return err;
	WRITE_ONCE(fs->nospace, 1);
	sk_set_bit(SOCKWQ_ASYNC_NOSPACE, &fs->sk);
	/* Pairs with ferry_stream_unlock_send(). */
	smp_mb();
	return ferry_stream_lock(&fs->send_lock, 0);
}

/* Somebody found no room, or not the lock. */
static noinline void ferry_stream_tell_writer(struct ferry_sock *fs)
{
	if (likely(!ferry_stream_ended(ferry_sk(fs->peer))))
		ferry_wake_writer(&fs->sk, fs->peer);
	else
		ferry_wake_state(&fs->sk, POLL_OUT);
}

static __always_inline void ferry_stream_unlock_send(struct ferry_sock *fs)
{
	mutex_unlock(&fs->send_lock);
	/* The mutex ends with an atomic. */
	smp_mb__after_atomic();
	if (unlikely(READ_ONCE(fs->nospace)))
		ferry_stream_tell_writer(fs);
}

/* The same for a receive: who goes without is told when data is left. */
static int ferry_stream_lock_recv(struct ferry_sock *fs, long timeo)
{
	int err = ferry_stream_lock(&fs->recv_lock, timeo);

	if (likely(!err) || timeo)
		return err;
	WRITE_ONCE(fs->missed, 1);
	/* Pairs with ferry_stream_unlock_recv(). */
	smp_mb();
	return ferry_stream_lock(&fs->recv_lock, 0);
}

static void ferry_stream_unlock_recv(struct ferry_sock *fs)
{
	mutex_unlock(&fs->recv_lock);
	/* A peek frees buffers too. Has a barrier. */
	ferry_write_space(fs->peer, &fs->sk);
	if (likely(!READ_ONCE(fs->missed)))
		return;
	/* Whether for data or the end, they look for themselves. */
	WRITE_ONCE(fs->missed, 0);
	ferry_wake_reader(&fs->sk);
}

static bool ferry_may_append(const struct ferry_buf *buf,
			     const struct ferry_sender *from)
{
	return !buf->shut && !from->rights && !ferry_wants_txstamp(from) &&
	       buf->pid == from->pid && buf->secid == from->secid &&
	       buf->mark == from->mark &&
	       (!ferry_uses_priority() ||
		buf->priority == ferry_sender_priority(from, buf->sk)) &&
	       uid_eq(buf->uid, from->uid) && gid_eq(buf->gid, from->gid);
}

/**
 * struct ferry_piece - of what a step of a send is made
 * @iter: user memory; where it was when the step has failed
 * @left: bytes that are still to be sent
 * @whole: they are one step; otherwise it ends where a buffer does
 * @urgent: the last of them is the urgent byte
 * @final: with them the message is complete
 * @passed: a filter has seen them, after there was room
 * @lend: refer to the pages in place of copying
 * @key: SOF_TIMESTAMPING_OPT_ID: the number that the last of them has
 * @uarg: notification of MSG_ZEROCOPY, or NULL
 */
struct ferry_piece {
	struct iov_iter	*iter;
	size_t		left;
	bool		whole;
	bool		urgent;
	bool		final;
	bool		passed;
	bool		lend;
	u32		key;
	struct ubuf_info *uarg;
};

/**
 * struct ferry_step - what a step queues, all of it or nothing
 * @len: its bytes
 * @appended: how many of them lie behind those of the last buffer
 * @ends: they are all that was left
 * @first: new buffers with the rest, or NULL
 * @last: the last of these
 */
struct ferry_step {
	size_t			len;
	size_t			appended;
	bool			ends;
	struct ferry_buf	*first;
	struct ferry_buf	*last;
};

/*
 * The bytes are in place: let the reader have them. Fails when the stream has
 * ended: who ends it sets a bit of the very word.
 */
static bool ferry_stream_publish(struct ferry_sock *to, unsigned long written,
				 size_t n)
{
	/* Pairs with ferry_stream_avail(); a full barrier for ferry_watched(). */
	return cmpxchg(&to->written, written, written + 2 * n) == written;
}

/* Make room in a buffer that is completely read. */
static void ferry_stream_rewind(struct ferry_buf *buf)
{
	buf->off = 0;
	WRITE_ONCE(buf->len, 0);
}

/* How many bytes of a piece can be appended to the last buffer? */
static size_t ferry_stream_spare(const struct ferry_sock *to,
				 const struct ferry_piece *piece,
				 const struct ferry_sender *from)
{
	const struct ferry_buf *buf = to->tail;

	if (!buf || !ferry_may_append(buf, from) ||
	    unlikely(ferry_stamped(&to->sk) || piece->lend || piece->uarg))
		return 0;
	return buf->cap - buf->len;
}

/* Make a buffer of some of the @n bytes. */
static struct ferry_buf *ferry_stream_fill(struct sock *sk, struct ferry_sock *to,
					   const struct ferry_piece *piece,
					   const struct ferry_sender *from,
					   size_t limit, size_t n)
{
	size_t step = limit / FERRY_STREAM_STEPS, want = n;
	struct ferry_buf *buf;

	if (unlikely(piece->lend)) {
		buf = ferry_pages_lend(sk, piece->iter, n,
				       max_t(size_t, step / PAGE_SIZE, 1));
		if (buf)
			return buf;
	}

	/*
	 * One that is appended to grows with what waits: memory stays in
	 * proportion to the bytes unread, and room comes in steps.
	 */
	if (likely(!piece->uarg && !from->rights && !ferry_wants_txstamp(from) &&
		   !ferry_stamped(&to->sk)))
		want = max_t(size_t, piece->left, ferry_stream_queued(to));
	want = min(want, step);
	if (piece->whole)
		want = max(want, n);
	buf = ferry_buf_alloc_stream(sk, want, limit);
	if (unlikely(!buf))
		return ERR_PTR(-ENOMEM);

	n = min_t(size_t, buf->cap, n);
	if (unlikely(ferry_copy_from(buf->data, n, piece->iter) != n)) {
		ferry_buf_put(buf);
		return ERR_PTR(-EFAULT);
	}
	buf->len = n;
	return buf;
}

/* Make the new buffers of a step, with all that belongs to them. */
static int ferry_stream_make(struct sock *sk, struct ferry_sock *to,
			     const struct ferry_piece *piece,
			     struct ferry_sender *from, size_t limit,
			     struct ferry_step *step)
{
	size_t n = step->len - step->appended;
	bool rights = from->rights;
	struct ferry_buf *buf;
	int err;

	while (n) {
		buf = ferry_stream_fill(sk, to, piece, from, limit, n);
		if (IS_ERR(buf))
			return PTR_ERR(buf);
		/* Another buffer is another step, where it need not be this one. */
		if (!piece->whole)
			step->len = buf->len;
		n = piece->whole ? n - buf->len : 0;
		buf->sk = sk;
		if (step->first)
			step->last->next = buf;
		else
			step->first = buf;
		step->last = buf;
		if (unlikely(piece->uarg))
			ferry_zerocopy_attach(buf, piece->uarg);
		/* Descriptors go with the first byte. */
		if (unlikely(from->rights)) {
			err = ferry_inflight_add(from->rights, &to->sk);
			if (err)
				return err;
		}
		if (unlikely(rights)) {
			buf->shut = 1;
			buf->more = n > 0;
		}
		ferry_cmsg_attach(buf, from);
	}
	step->ends = step->len == piece->left;
	if (unlikely(ferry_wants_txstamp(from))) {
		bool final = piece->final && step->ends;

		if (ferry_txstamp_prepare(sk, step->last, final ? from->tsflags : 0))
			return -ENOMEM;
		step->last->shut = 1;
	}
	return 0;
}

/* Put new buffers at the end of the queue. */
static void ferry_stream_link(struct ferry_sock *to, const struct ferry_step *step)
{
	ktime_t stamp = ferry_stamped(&to->sk) ? ktime_get_real() : 0;
	struct ferry_buf *buf;

	lockdep_assert_held(&to->lock);

	for (buf = step->first; buf; buf = buf->next) {
		ferry_buf_charge(buf, &to->sk);
		buf->stamp = stamp;
	}
	if (to->tail) {
		/* Pairs with ferry_stream_next(): nothing more is appended. */
		smp_store_release(&to->tail->next, step->first);
	} else {
		WRITE_ONCE(to->head, step->first);
	}
	to->tail = step->last;
}

/*
 * Queue a step whose bytes are all in place. Returns whether it is queued: not when
 * the stream has ended, which is said under the receiver's lock too.
 */
static bool ferry_stream_commit(struct sock *sk, struct ferry_sock *to,
				const struct ferry_piece *piece,
				struct ferry_sender *from,
				const struct ferry_step *step)
{
	struct ferry_buf *tail = to->tail, *last = step->last, *before = NULL;
	bool urgent = piece->urgent && step->ends;
	u8 byte = 0;

	/* Bytes with an urgent one are never lent. */
	if (unlikely(urgent))
		byte = last ? last->data[last->len - 1] :
			      tail->data[tail->len + step->len - 1];

	spin_lock(&to->lock);
	if (unlikely(ferry_stream_ended(to))) {
		spin_unlock(&to->lock);
		return false;
	}
	if (step->appended)
		WRITE_ONCE(tail->len, tail->len + step->appended);
	if (last)
		ferry_stream_link(to, step);
	if (unlikely(last && last->txstamp)) {
		refcount_inc(&last->refs);
		before = from->last;
		from->last = last;
		ferry_txstamp_queued(sk, &to->sk, last, piece->key);
	}
	if (unlikely(urgent))
		ferry_urg_mark(to, to->written + 2 * (step->len - 1), byte);
	ferry_stream_publish(to, to->written, step->len);
	spin_unlock(&to->lock);

	if (unlikely(before))
		ferry_buf_put(before);
	if (unlikely(urgent))
		ferry_urg_signal(&to->sk);
	return true;
}

/* The same of @n bytes that only lie behind those of the last buffer. */
static bool ferry_stream_append(struct ferry_sock *to, struct ferry_buf *buf,
				unsigned long written, size_t n)
{
	u32 len = buf->len;

	WRITE_ONCE(buf->len, len + n);
	if (likely(ferry_stream_publish(to, written, n)))
		return true;
	WRITE_ONCE(buf->len, len);
	return false;
}

/*
 * Queue a piece of the message. Returns its bytes, -EAGAIN without room, -EPIPE
 * when the stream has ended, or another error; then nothing is taken.
 */
static ssize_t ferry_stream_push(struct sock *sk, struct sock *peer,
				 const struct ferry_piece *piece,
				 struct ferry_sender *from)
{
	size_t count = iov_iter_count(piece->iter), spare;
	size_t limit = ferry_stream_limit(sk, peer);
	struct ferry_sock *to = ferry_sk(peer);
	struct ferry_buf *tail = to->tail;
	struct ferry_step step = {};
	unsigned long read, written, unread;
	ssize_t err;

	lockdep_assert_held(&ferry_sk(sk)->send_lock);

	written = READ_ONCE(to->written);
	if (unlikely(written & FERRY_STREAM_END))
		return -EPIPE;
	/* Pairs with ferry_stream_consume(): the reader is done with it. */
	read = smp_load_acquire(&to->read);
	unread = (written - read) / 2;
	/* What is shut is never filled again, and its reader still looks at it. */
	if (tail && !tail->shut && !unread)
		ferry_stream_rewind(tail);
	if (unlikely(READ_ONCE(to->urg_state)))
		unread = ferry_stream_unread(peer);

	spare = ferry_stream_spare(to, piece, from);
	step.len = piece->left;
	if (!piece->whole) {
		step.len = min(step.len, unread < limit ? limit - unread : 0);
		if (spare)
			step.len = min(step.len, spare);
	}
	step.appended = min(step.len, spare);
	step.ends = step.len == piece->left;
	if (!piece->passed &&
	    (!step.len || unread + step.len > limit ||
	     (step.len > spare && !ferry_has_room(sk, peer))))
		return -EAGAIN;

	err = -EFAULT;
	if (step.appended &&
	    unlikely(ferry_copy_from(tail->data + tail->len, step.appended,
				     piece->iter) != step.appended))
		goto revert;
	if (step.len > step.appended) {
		err = ferry_stream_make(sk, to, piece, from, limit, &step);
		if (unlikely(err))
			goto revert;
	}

	if (likely(!step.first && !piece->urgent) ?
	    ferry_stream_append(to, tail, written, step.len) :
	    ferry_stream_commit(sk, to, piece, from, &step))
		return step.len;
	err = -EPIPE;
revert:
	ferry_buf_put_list(step.first);
	iov_iter_revert(piece->iter, count - iov_iter_count(piece->iter));
	return err;
}

/*
 * Queue a piece of the message as the receiver's filter lets it pass: the filter
 * sees it before anything is merged.
 */
static ssize_t ferry_stream_push_filtered(struct sock *sk, struct sock *peer,
					  const struct ferry_piece *piece,
					  struct ferry_sender *from)
{
	size_t len = min(piece->left, ferry_stream_whole(sk, peer));
	bool end = len == piece->left;
	struct ferry_piece passed = {
		.whole = true,
		.final = end,
		.passed = true,
		.key = piece->key,
		.uarg = piece->uarg,
	};
	struct iov_iter iter;
	struct sk_buff *skb;
	struct kvec vec;
	ssize_t n = 0;

	if (!ferry_has_room(sk, peer) ||
	    ferry_stream_unread(peer) + len > ferry_stream_limit(sk, peer))
		return -EAGAIN;
	skb = ferry_filter_bytes(sk, peer, from, piece->iter, len);
	if (IS_ERR(skb))
		return PTR_ERR(skb);
	if (unlikely(piece->uarg))
		uarg_to_msgzc(piece->uarg)->zerocopy = 0;

	if (skb->len) {
		vec.iov_base = skb->data;
		vec.iov_len = skb->len;
		iov_iter_kvec(&iter, ITER_SOURCE, &vec, 1, skb->len);
		passed.iter = &iter;
		passed.left = skb->len;
		passed.urgent = piece->urgent && end && skb->len == len;
		n = ferry_stream_push(sk, peer, &passed, from);
	} else if (from->rights) {
		/* Descriptors go with the first byte, wherever that goes. */
		ferry_rights_put(from->rights);
		from->rights = NULL;
	}
	consume_skb(skb);
	if (likely(n >= 0))
		return len;
	iov_iter_revert(piece->iter, len);
	return n;
}

/* A send with a stamp is over: the stamp is that of the last byte queued. */
static void ferry_stream_stamp(struct sock *sk, struct ferry_sock *to,
			       const struct ferry_sender *from)
{
	struct ferry_buf *buf = from->last;

	/* It ended early. */
	if (!*ferry_txflags(buf)) {
		spin_lock(&to->lock);
		*ferry_txflags(buf) = from->tsflags & SOF_TIMESTAMPING_TX_RECORD_MASK;
		ferry_txstamp_queued(sk, &to->sk, buf, from->key);
		if (buf->off == buf->len)
			ferry_txstamp_read(buf);
		spin_unlock(&to->lock);
	}
	ferry_buf_put(buf);
}

/* Wait until @sk may send more. Returns 0 to try again. */
static int ferry_stream_wait_room(struct sock *sk, struct sock *peer,
				  long *timeo)
{
	long left;

	if (!*timeo) {
		/* A poll after EAGAIN is told when there is room again. */
		return ferry_ask_space(sk, peer, 0) ? -EAGAIN : 0;
	}

	left = wait_event_interruptible_timeout(*sk_sleep(sk),
						!ferry_ask_space(sk, peer, 0) ||
						ferry_stream_ended(ferry_sk(peer)) ||
						READ_ONCE(sk->sk_err),
						*timeo);
	if (left < 0)
		return sock_intr_errno(*timeo);
	if (!left)
		return -EAGAIN;
	if (*timeo != MAX_SCHEDULE_TIMEOUT)
		*timeo = left;
	return 0;
}

/*
 * Send a message that needs nothing but to be appended to the last buffer.
 * Returns the bytes sent, 0 when the message is not of that kind.
 */
static ssize_t ferry_stream_send_plain(struct sock *sk, struct msghdr *msg,
				       size_t len)
{
	struct ferry_sock *fs = ferry_sk(sk), *to;
	struct sock *peer = fs->peer;
	unsigned long read, written, unread;
	struct ferry_buf *buf;
	size_t n = 0;

	if (unlikely(msg->msg_flags & (MSG_OOB | MSG_ZEROCOPY |
				       MSG_SPLICE_PAGES) ||
		     len > FERRY_STREAM_PLAIN || msg->msg_controllen || msg->msg_namelen ||
		     READ_ONCE(sk->sk_tsflags)) ||
	    static_branch_unlikely(&ferry_passsec_used.key))
		return 0;

	if (ferry_stream_lock(&fs->send_lock,
			      msg->msg_flags & MSG_DONTWAIT ? 0 : MAX_SCHEDULE_TIMEOUT))
		return 0;
	to = ferry_sk(peer);
	buf = to->tail;
	written = READ_ONCE(to->written);
	if (unlikely(!buf || buf->shut || (written & FERRY_STREAM_END) ||
		     ferry_stamped(peer) || rcu_access_pointer(peer->sk_filter) ||
		     buf->pid != task_tgid(current) ||
		     buf->mark != READ_ONCE(sk->sk_mark) ||
		     (ferry_uses_priority() &&
		      buf->priority != READ_ONCE(sk->sk_priority)) ||
		     !uid_eq(buf->uid, current_uid()) ||
		     !gid_eq(buf->gid, current_gid())))
		goto out;

	/* Pairs with ferry_stream_consume(): the reader is done with it. */
	read = smp_load_acquire(&to->read);
	unread = (written - read) / 2;
	if (!unread)
		ferry_stream_rewind(buf);
	if (len > buf->cap - buf->len ||
	    unread + len > ferry_stream_limit(sk, peer))
		goto out;
	n = ferry_copy_from(buf->data + buf->len, len, &msg->msg_iter);
	if (unlikely(n != len) || !ferry_stream_append(to, buf, written, n)) {
		/* Whose end it is, or what faults, is found again. */
		iov_iter_revert(&msg->msg_iter, n);
		n = 0;
	}
out:
	ferry_stream_unlock_send(fs);
	if (likely(n))
		ferry_stream_ready(peer, sk);
	return n;
}

/*
 * Queue some of the @left bytes that are still to be sent; the last byte of a
 * message with MSG_OOB is the urgent one. Returns as ferry_stream_push().
 */
static ssize_t ferry_stream_send_some(struct sock *sk, struct sock *peer,
				      struct ferry_piece *piece, size_t left,
				      bool urgent, struct ferry_sender *from)
{
	ssize_t n;

	piece->left = left;
	piece->urgent = urgent;
	piece->final = true;
	if (unlikely(from->tsflags & SOF_TIMESTAMPING_OPT_ID))
		piece->key = atomic_read(&sk->sk_tskey) + left - 1;

	if (unlikely(rcu_access_pointer(peer->sk_filter)))
		n = ferry_stream_push_filtered(sk, peer, piece, from);
	else
		n = ferry_stream_push(sk, peer, piece, from);

	if (unlikely(from->tsflags & SOF_TIMESTAMPING_OPT_ID) && n > 0)
		from->key = ferry_txstamp_key(sk, n);
	return n;
}

/* Send @len bytes, waiting for room. Returns how many, and in @err why no more. */
static size_t ferry_stream_send_all(struct sock *sk, struct sock *peer,
				    struct ferry_piece *piece, size_t len,
				    bool urgent, struct ferry_sender *from,
				    long timeo, int *err)
{
	struct ferry_sock *fs = ferry_sk(sk);
	size_t sent = 0;
	bool apart = false, ended, one;
	ssize_t n;

	*err = ferry_stream_lock_send(fs, timeo);
	if (unlikely(*err))
		return 0;
	for (;;) {
		/* In this order: who closes sets the error before. */
		ended = ferry_stream_ended(ferry_sk(peer));
		if (unlikely(READ_ONCE(sk->sk_err))) {
			/* With bytes sent the error is the next call's. */
			*err = sent ? 0 : sock_error(sk);
			if (*err || sent)
				break;
		}
		*err = ended ? -EPIPE : 0;
		if (unlikely(ended) || sent == len)
			break;

		/* What AF_UNIX queues as one piece nobody finds torn. */
		one = !sent && len <= ferry_stream_whole(sk, peer);
		/* So is the end of a longer one, if there is room: a step costs. */
		piece->whole = one || (!apart && len - sent <=
				       ferry_stream_limit(sk, peer) / FERRY_STREAM_STEPS);
		n = ferry_stream_send_some(sk, peer, piece, len - sent, urgent,
					   from);
		if (likely(n > 0)) {
			sent += n;
			ferry_stream_ready(peer, sk);
			continue;
		}
		*err = n;
		if (n == -EPIPE)
			continue;
		if (n != -EAGAIN)
			break;
		if (piece->whole && !one) {
			apart = true;
			continue;
		}

		apart = false;
		ferry_stream_unlock_send(fs);
		*err = ferry_stream_wait_room(sk, peer, &timeo);
		if (!*err)
			*err = ferry_stream_lock_send(fs, timeo);
		if (*err)
			return sent;
	}
	ferry_stream_unlock_send(fs);
	return sent;
}

/*
 * Send a message of any kind. Apart from ferry_stream_sendmsg(), which would pay for its frame.
 */
static noinline int ferry_stream_send(struct socket *sock, struct msghdr *msg,
				      size_t len)
{
	struct ferry_piece piece = { .iter = &msg->msg_iter };
	bool urgent = len && (msg->msg_flags & MSG_OOB);
	struct sock *sk = sock->sk, *peer;
	struct ferry_sender from;
	size_t sent;
	long timeo;
	int err;

	if (ferry_wants_zerocopy(sk, msg))
		return ferry_zerocopy_send(sock, msg, len, ferry_stream_send);

	piece.lend = ferry_lends(msg, len);
	piece.uarg = msg->msg_ubuf;
	timeo = sock_sndtimeo(sk, msg->msg_flags & MSG_DONTWAIT);
	if (unlikely(!ferry_connected(sk))) {
		err = ferry_wait_connected(sk, &timeo);
		if (err)
			return err;
	}
	if (unlikely(msg->msg_namelen))
		return -EISCONN;

	from.last = NULL;
	from.key = 0;
	err = ferry_cmsg_send(sock, msg, &from);
	if (unlikely(err))
		return err;
	peer = ferry_sk(sk)->peer;
	if (unlikely(from.rights &&
		     (!len || READ_ONCE(ferry_sk(peer)->refuse_rights)))) {
		ferry_cmsg_sent(&from);
		/* They travel with a byte. */
		return len ? -EPERM : -EINVAL;
	}

	sent = ferry_stream_send_all(sk, peer, &piece, len, urgent, &from,
				     timeo, &err);
	if (unlikely(from.last))
		ferry_stream_stamp(sk, ferry_sk(peer), &from);
	else if (unlikely(sent && ferry_wants_txstamp(&from)))
		ferry_txstamp_dropped(sk, from.tsflags, from.key);
	ferry_cmsg_sent(&from);
	ferry_debug(sk, "send", sent ? sent : err);

	if (unlikely(err == -EPIPE) && !sent &&
	    !(msg->msg_flags & MSG_NOSIGNAL))
		send_sig(SIGPIPE, current, 0);
	return sent ? sent : err;
}

/**
 * ferry_stream_sendmsg() - send bytes
 * @sock: socket
 * @msg: message
 * @len: its bytes
 *
 * Context: process, may sleep.
 * Return: bytes queued, or an error when there are none.
 */
int ferry_stream_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)
{
	struct sock *sk = sock->sk;
	ssize_t sent;

	if (unlikely(!ferry_connected(sk)))
		return ferry_stream_send(sock, msg, len);
	sent = ferry_stream_send_plain(sk, msg, len);
	if (unlikely(!sent))
		return ferry_stream_send(sock, msg, len);
	ferry_debug(sk, "send", sent);
	return sent;
}

/* Unread bytes. What they are made of may be looked at. */
static unsigned long ferry_stream_avail(const struct ferry_sock *fs)
{
	/* Pairs with ferry_stream_publish(). */
	return (smp_load_acquire(&fs->written) - fs->read) / 2;
}

/* The following buffer; where there is one, the length of @buf is final. */
static struct ferry_buf *ferry_stream_next(const struct ferry_buf *buf)
{
	/* Pairs with ferry_stream_add(). */
	return smp_load_acquire(&buf->next);
}

/* Free the first buffers, which are read to their end. */
static noinline struct ferry_buf *ferry_stream_advance(struct ferry_sock *fs,
						       struct ferry_buf *buf)
{
	struct ferry_buf *next;

	while (buf->off == READ_ONCE(buf->len)) {
		next = ferry_stream_next(buf);
		if (!next)
			break;
		WRITE_ONCE(fs->head, next);
		ferry_buf_put(buf);
		buf = next;
	}
	return buf;
}

/* First buffer with unread bytes, of which there are some. */
static __always_inline struct ferry_buf *ferry_stream_first(struct ferry_sock *fs)
{
	struct ferry_buf *buf = READ_ONCE(fs->head);

	lockdep_assert_held(&fs->recv_lock);

	return likely(buf->off < READ_ONCE(buf->len)) ?
	       buf : ferry_stream_advance(fs, buf);
}

/**
 * struct ferry_span - unread bytes of one buffer
 * @buf: the buffer
 * @off: where they begin in it
 * @len: how many they are
 */
struct ferry_span {
	struct ferry_buf	*buf;
	u32			off;
	u32			len;
};

/* The reader has done with @n bytes of the first buffer. */
static void ferry_stream_consume(struct ferry_sock *fs, struct ferry_buf *buf,
				 u32 n)
{
	lockdep_assert_held(&fs->recv_lock);

	buf->off += n;
	if (unlikely(buf->shut) && buf->off == READ_ONCE(buf->len))
		ferry_pages_return(buf);
	/* Pairs with ferry_stream_rewind(): last touch of the buffer. */
	smp_store_release(&fs->read, fs->read + 2 * n);
}

/* The same for a buffer that may have a stamp. */
static void ferry_stream_consume_stamped(struct ferry_sock *fs,
					 struct ferry_buf *buf, u32 n)
{
	if (likely(!buf->txstamp)) {
		ferry_stream_consume(fs, buf, n);
		return;
	}
	/* Against ferry_stream_stamp(). */
	spin_lock(&fs->lock);
	ferry_stream_consume(fs, buf, n);
	if (buf->off == buf->len)
		ferry_txstamp_read(buf);
	spin_unlock(&fs->lock);
}

/* A peek that shows something can show no more: the sender found no room. */
static bool ferry_stream_peeked_all(const struct sock *peer, size_t peeked)
{
	return peeked && READ_ONCE(ferry_sk(peer)->nospace);
}

/* Are there unread bytes behind position @at of the stream? */
static bool ferry_stream_more(const struct ferry_sock *fs, unsigned long at)
{
	unsigned long written = READ_ONCE(fs->written) & ~FERRY_STREAM_END;

	return written != READ_ONCE(fs->read) && (long)(written - at) > 0;
}

/* The same, and who sends more wakes the reader. */
static bool ferry_stream_await(struct ferry_sock *fs, unsigned long at)
{
	ferry_ask_data(&fs->sk);
	return ferry_stream_more(fs, at);
}

/*
 * Wait for unread bytes behind position @at; @peeked were shown by this call.
 * Returns 0 to try again.
 */
static int ferry_stream_wait_data(struct sock *sk, struct sock *peer,
				  unsigned long at, size_t peeked, long *timeo)
{
	wait_queue_head_t *wq = sk_sleep(sk);
	struct ferry_sock *fs = ferry_sk(sk);
	long left;

	left = wait_event_interruptible_timeout(*wq,
						ferry_stream_await(fs, at) ||
						ferry_stream_peeked_all(peer, peeked) ||
						ferry_stream_ended(fs) ||
						READ_ONCE(sk->sk_err),
						*timeo);
	if (left < 0)
		return sock_intr_errno(*timeo);
	if (*timeo != MAX_SCHEDULE_TIMEOUT)
		*timeo = left;
	return 0;
}

/*
 * Why can a reader that found no data not have any? Returns 0 at the end of
 * the stream, 1 to look again or wait.
 */
static int ferry_stream_no_data(struct sock *sk, size_t skip, size_t copied)
{
	const struct ferry_sock *fs = ferry_sk(sk);
	bool ended = ferry_stream_ended(fs);
	int err = ferry_error(sk);

	/*
	 * In this order: who closes sets the error before, and what was queued
	 * before either is read before it.
	 */
	if (ferry_stream_avail(fs) > skip)
		return 1;
	if (err) {
		/* With bytes received the error is the next call's. */
		err = copied ? 0 : sock_error(sk);
		if (err || copied)
			return err;
	}
	return !ended;
}

/*
 * Receive from the first buffer alone, when all that is wanted or all there is
 * lies in it and nothing beside the bytes is asked for. Returns the bytes
 * received, 0 when that is not so.
 */
static ssize_t ferry_stream_recv_plain(struct socket *sock, struct msghdr *msg,
				       size_t len, int flags)
{
	struct sock *sk = sock->sk;
	struct ferry_sock *fs = ferry_sk(sk);
	struct ferry_buf *buf;
	unsigned long avail;
	size_t n = 0;

	if (unlikely(flags & (MSG_PEEK | MSG_WAITALL | MSG_TRUNC | MSG_OOB |
			      MSG_ERRQUEUE) ||
		     (len > FERRY_STREAM_PLAIN &&
		      ferry_stream_queued(fs) > FERRY_STREAM_PLAIN) ||
		     READ_ONCE(sk->sk_rcvlowat) != 1 ||
		     READ_ONCE(sk->sk_peek_off) >= 0 ||
		     ferry_wants_extras(sk) || ferry_cmsg_wanted(sock) ||
		     ferry_wants_inq(fs)))
		return 0;

	if (ferry_stream_lock(&fs->recv_lock,
			      flags & MSG_DONTWAIT ? 0 : MAX_SCHEDULE_TIMEOUT))
		return 0;
	avail = ferry_stream_avail(fs);
	/* The mark is set before the urgent byte is published. */
	if (!avail || unlikely(READ_ONCE(fs->urg_state)))
		goto out;

	buf = ferry_stream_first(fs);
	avail = min_t(unsigned long, avail, len);
	/* One with descriptors or a stamp is shut. */
	if (unlikely(buf->shut || READ_ONCE(buf->len) - buf->off < avail))
		goto out;
	n = avail;
	n = ferry_copy_to(buf->data + buf->off, n, &msg->msg_iter);
	ferry_stream_consume(fs, buf, n);
out:
	ferry_stream_unlock_recv(fs);
	return n;
}

/**
 * struct ferry_receive - a receive of any kind under way
 * @sock: socket
 * @peer: its peer
 * @msg: where to
 * @pipe: where to instead, or NULL
 * @len: bytes wanted
 * @flags: the call's
 * @creds: the receiver wants to know who sent the bytes
 * @extras: it wants what ferry_recv_extras() tells
 * @copied: bytes received
 * @skip: unread bytes before the next: those that a peek leaves out
 * @buf: a peek: the buffer it has come to, or NULL when that may be gone
 * @before: a peek: unread bytes before that buffer's
 * @locked: recv_lock is held
 * @err: why the receive ended
 * @last: what is told of the last bytes
 * @scm: control messages
 */
struct ferry_receive {
	struct socket		*sock;
	struct sock		*peer;
	struct msghdr		*msg;
	struct pipe_inode_info	*pipe;
	size_t			len;
	int			flags;
	bool			creds;
	bool			extras;
	size_t			copied;
	size_t			skip;
	struct ferry_buf	*buf;
	size_t			before;
	bool			locked;
	int			err;
	struct ferry_extras	last;
	struct scm_cookie	scm;
};

/* Did the sender that @scm tells of send these bytes as well? */
static bool ferry_same_sender(const struct ferry_buf *buf,
			      const struct scm_cookie *scm)
{
#ifdef CONFIG_SECURITY_NETWORK
	if (buf->secid != scm->secid)
		return false;
#endif
	return buf->pid == scm->pid && uid_eq(buf->uid, scm->creds.uid) &&
	       gid_eq(buf->gid, scm->creds.gid);
}

/* Find the next bytes; @avail is what may be read in all, more than @skip. */
static struct ferry_span ferry_stream_find(struct ferry_receive *rx,
					   unsigned long avail)
{
	struct ferry_span span;
	size_t skip;

	/* Only a peek goes on from where it was: a read frees buffers. */
	if (!rx->buf || !(rx->flags & MSG_PEEK)) {
		rx->buf = ferry_stream_first(ferry_sk(rx->sock->sk));
		rx->before = 0;
	}
	for (;;) {
		skip = rx->skip - rx->before;
		span.buf = rx->buf;
		span.off = span.buf->off;
		span.len = READ_ONCE(span.buf->len) - span.off;
		if (skip < span.len)
			break;
		rx->before += span.len;
		rx->buf = ferry_stream_next(span.buf);
	}
	span.off += skip;
	span.len = min_t(unsigned long, span.len - skip, avail - rx->skip);
	return span;
}

/* Leave out the urgent byte, which is the next. */
static void ferry_stream_skip(struct ferry_receive *rx, unsigned long avail)
{
	struct sock *sk = rx->sock->sk;
	struct ferry_sock *fs = ferry_sk(sk);
	struct ferry_rights *rights = NULL;
	struct ferry_buf *buf;

	if (rx->flags & MSG_PEEK) {
		rx->skip++;
		sk_peek_offset_fwd(sk, 1);
		return;
	}
	buf = ferry_stream_find(rx, avail).buf;
	/* What went with this byte alone goes with it. */
	if (unlikely(buf->rights) && buf->off + 1 == buf->len)
		swap(rights, buf->rights);
	ferry_stream_consume_stamped(fs, buf, 1);
	ferry_urg_passed(fs);
	if (READ_ONCE(sk->sk_peek_off) >= 0)
		sk_peek_offset_bwd(sk, 1);
	if (unlikely(rights))
		ferry_rights_put(rights);
	ferry_write_space(rx->peer, sk);
}

/*
 * There is an urgent byte: a read stops at it, so @avail may become less.
 * Returns 1 to read, 0 to look again as the byte was left out, -1 at its place.
 */
static int ferry_stream_recv_urgent(struct ferry_receive *rx,
				    unsigned long *avail)
{
	struct sock *sk = rx->sock->sk;
	struct ferry_sock *fs = ferry_sk(sk);
	unsigned long ahead = ferry_urg_ahead(fs, rx->skip);

	if (!ahead && rx->copied)
		return -1;
	if ((!ahead && !sock_flag(sk, SOCK_URGINLINE)) ||
	    ferry_urg_dropped(fs, rx->skip)) {
		ferry_stream_skip(rx, *avail);
		return 0;
	}
	if (ahead)
		*avail = min(*avail, rx->skip + ahead);
	return 1;
}

/* Nothing more is there: wait for it. Returns whether to look again. */
static bool ferry_stream_recv_wait(struct ferry_receive *rx, size_t target,
				   long *timeo)
{
	struct sock *sk = rx->sock->sk;
	struct ferry_sock *fs = ferry_sk(sk);
	bool peek = rx->flags & MSG_PEEK;
	unsigned long at;

	if (rx->copied >= target ||
	    (peek && ferry_stream_peeked_all(rx->peer, rx->copied)))
		return false;
	rx->err = ferry_stream_no_data(sk, rx->skip, rx->copied);
	if (rx->err <= 0)
		return false;
	rx->err = -EAGAIN;
	if (!*timeo)
		return false;

	at = fs->read + 2 * rx->skip;
	ferry_stream_unlock_recv(fs);
	rx->locked = false;
	rx->err = ferry_stream_wait_data(sk, rx->peer, at,
					 peek ? rx->copied : 0, timeo);
	if (!rx->err)
		rx->err = ferry_stream_lock_recv(fs, *timeo);
	if (rx->err)
		return false;
	rx->locked = true;
	/* Another reader may have taken what was peeked at. */
	rx->buf = NULL;
	rx->skip = max_t(long, (long)(at - fs->read) / 2, 0);
	if (peek && !rx->copied)
		rx->skip = max(sk_peek_offset(sk, rx->flags), 0);
	return true;
}

/* Give bytes of one buffer to the reader. Returns how many, or an error. */
static ssize_t ferry_stream_recv_copy(const struct ferry_receive *rx,
				      const struct ferry_span *span)
{
	size_t n = min_t(size_t, span->len, rx->len - rx->copied);

	if (unlikely(rx->pipe))
		return ferry_splice_out(rx->pipe, span->buf, span->off, n);
	if (likely(!(rx->flags & MSG_TRUNC)))
		n = ferry_buf_copy_to(span->buf, span->off, n,
				      &rx->msg->msg_iter);
	return likely(n || !rx->len) ? n : -EFAULT;
}

/* A peek has shown @n bytes of @buf. */
static void ferry_stream_recv_peeked(struct ferry_receive *rx,
				     struct ferry_buf *buf, size_t n)
{
	rx->last.stamp = buf->stamp;
	rx->last.mark = buf->mark;
	rx->last.priority = buf->priority;
	if (rx->creds || buf->rights)
		ferry_cmsg_peek(buf, buf->rights, rx->msg, &rx->scm);
	rx->skip += n;
	sk_peek_offset_fwd(rx->sock->sk, n);
}

/* The reader has @n bytes of @buf: they go. */
static void ferry_stream_recv_taken(struct ferry_receive *rx,
				    struct ferry_buf *buf, size_t n)
{
	struct sock *sk = rx->sock->sk;
	struct ferry_sock *fs = ferry_sk(sk);

	if (unlikely(rx->creds || buf->rights))
		ferry_cmsg_take(buf, rx->msg, &rx->scm);
	if (unlikely(rx->extras)) {
		rx->last.stamp = buf->stamp;
		rx->last.mark = buf->mark;
		rx->last.priority = buf->priority;
	}
	ferry_stream_consume_stamped(fs, buf, n);
	if (unlikely(READ_ONCE(fs->urg_state)))
		ferry_urg_passed(fs);
	if (READ_ONCE(sk->sk_peek_off) >= 0)
		sk_peek_offset_bwd(sk, n);
	/* Who has all that is wanted tells of the room with the lock. */
	if (rx->copied < rx->len)
		ferry_write_space(rx->peer, sk);
}

/* Receive from the first buffer with unread bytes. Returns whether to go on. */
static bool ferry_stream_recv_some(struct ferry_receive *rx,
				   unsigned long avail)
{
	struct ferry_span span;
	bool more;
	ssize_t n;

	span = ferry_stream_find(rx, avail);
	if (unlikely(rx->creds && rx->copied &&
		     !ferry_same_sender(span.buf, &rx->scm)))
		return false;
	n = ferry_stream_recv_copy(rx, &span);
	if (unlikely(n < 0 || (rx->pipe && !n))) {
		rx->err = n;
		return false;
	}
	rx->copied += n;
	more = span.buf->more;
	if (unlikely(rx->flags & MSG_PEEK))
		ferry_stream_recv_peeked(rx, span.buf, n);
	else
		ferry_stream_recv_taken(rx, span.buf, n);
	/* One message's descriptors are never mixed with another's. */
	return more || likely(!rx->scm.fp && !(rx->msg->msg_flags & MSG_CTRUNC));
}

/**
 * ferry_stream_recv() - receive bytes, or move them into a pipe
 * @sock: socket
 * @msg: where to
 * @len: bytes wanted
 * @flags: as ferry_stream_recvmsg()
 * @pipe: where to instead, locked, or NULL
 *
 * Apart from ferry_stream_recvmsg(), which would pay for its frame.
 *
 * Context: process, may sleep.
 * Return: bytes received, 0 at the end of the stream, or an error.
 */
noinline ssize_t ferry_stream_recv(struct socket *sock, struct msghdr *msg,
				   size_t len, int flags,
				   struct pipe_inode_info *pipe)
{
	struct sock *sk = sock->sk;
	struct ferry_sock *fs = ferry_sk(sk);
	struct ferry_receive rx = {
		.sock = sock,
		.msg = msg,
		.pipe = pipe,
		.len = len,
		.flags = flags,
		.extras = ferry_wants_extras(sk),
	};
	size_t target;
	long timeo;
	int err;

	if (unlikely(flags & MSG_ERRQUEUE))
		return ferry_recv_errors(sk, msg, len);

	timeo = sock_rcvtimeo(sk, flags & MSG_DONTWAIT);
	if (unlikely(!ferry_connected(sk))) {
		err = ferry_wait_connected(sk, &timeo);
		if (err)
			return err;
	}
	if (unlikely(flags & MSG_OOB))
		return ferry_urg_recv(sk, msg, len, flags);
	rx.peer = fs->peer;
	rx.creds = ferry_cmsg_wanted(sock);
	target = sock_rcvlowat(sk, flags & MSG_WAITALL, len);

	err = ferry_stream_lock_recv(fs, timeo);
	if (unlikely(err))
		return err;
	rx.locked = true;
	if (unlikely(flags & MSG_PEEK))
		rx.skip = max(sk_peek_offset(sk, flags), 0);
	do {
		unsigned long avail = ferry_stream_avail(fs);

		/* To receive no bytes is to leave out none. */
		if (unlikely(READ_ONCE(fs->urg_state)) && avail > rx.skip && len) {
			int step = ferry_stream_recv_urgent(&rx, &avail);

			if (step < 0)
				break;
			if (!step)
				continue;
		}
		if (avail <= rx.skip ?
		    !ferry_stream_recv_wait(&rx, target, &timeo) :
		    !ferry_stream_recv_some(&rx, avail))
			break;
	} while (rx.copied < len);
	if (likely(rx.locked))
		ferry_stream_unlock_recv(fs);

	if (unlikely(rx.extras && rx.copied)) {
		rx.last.drops = atomic_read(&sk->sk_drops);
		ferry_recv_extras(sk, msg, &rx.last);
	}
	if (unlikely(rx.scm.pid))
		ferry_cmsg_recv(sock, msg, &rx.scm, flags);
	if (unlikely(ferry_wants_inq(fs) && !pipe && (rx.copied || !rx.err)))
		ferry_recv_inq(msg, ferry_stream_inq(sk));
	ferry_debug(sk, "receive", rx.copied ? rx.copied : rx.err);
	return rx.copied ? rx.copied : rx.err;
}

/**
 * ferry_stream_recvmsg() - receive bytes
 * @sock: socket
 * @msg: where to
 * @len: bytes wanted
 * @flags: MSG_PEEK, MSG_WAITALL, MSG_DONTWAIT, MSG_TRUNC, MSG_OOB
 *
 * With MSG_TRUNC bytes are taken and thrown away, as TCP does.
 *
 * Context: process, may sleep.
 * Return: bytes received, 0 at the end of the stream, or an error.
 */
int ferry_stream_recvmsg(struct socket *sock, struct msghdr *msg, size_t len,
			 int flags)
{
	struct sock *sk = sock->sk;
	ssize_t copied;

	copied = likely(ferry_connected(sk)) ?
		 ferry_stream_recv_plain(sock, msg, len, flags) : 0;
	if (likely(copied))
		ferry_debug(sk, "receive", copied);
	else
		copied = ferry_stream_recv(sock, msg, len, flags, NULL);
	/* io_uring asks, to know whether to come again at once. */
	if (unlikely(msg->msg_get_inq && copied >= 0))
		msg->msg_inq = ferry_stream_inq(sk);
	return copied;
}
