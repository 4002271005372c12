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
 * A new buffer is linked under the receiver's @lock, where a receiver that is
 * being released says so (@dead). Release leaves the last buffer alone while a
 * sender may be copying into it: whichever end is released second frees it.
 */
#include <linux/uio.h>

#include "ferry.h"

/* How much of a buffer size may one buffer take, so that room comes in steps. */
#define FERRY_STREAM_STEPS	4

static bool ferry_may_append(const struct ferry_buf *buf,
			     const struct ferry_sender *from)
{
	return !buf->shut && !from->rights && !ferry_wants_txstamp(from) &&
	       buf->pid == from->pid && buf->secid == from->secid &&
	       buf->mark == from->mark &&
	       uid_eq(buf->uid, from->uid) && gid_eq(buf->gid, from->gid);
}

/**
 * struct ferry_piece - what a step of a send takes from the message
 * @iter: user memory
 * @left: bytes to take at most
 * @urgent: it is the one urgent byte
 * @final: with @left bytes taken the message is complete
 * @key: SOF_TIMESTAMPING_OPT_ID: the number that the last byte then has
 * @passed: a filter has seen it as one, and as one it is queued: there was room
 * @lend: refer to the pages in place of copying
 * @uarg: notification of MSG_ZEROCOPY, or NULL
 */
struct ferry_piece {
	struct iov_iter	*iter;
	size_t		left;
	bool		urgent;
	bool		final;
	u32		key;
	bool		passed;
	bool		lend;
	struct ubuf_info *uarg;
};

/* The bytes are in place: let the reader have them. */
static void ferry_stream_publish(struct ferry_sock *to, const u8 *data, size_t n,
				 const struct ferry_piece *piece)
{
	if (unlikely(piece->urgent))
		ferry_urg_mark(to, *data);
	/* Pairs with ferry_stream_avail(). */
	smp_store_release(&to->written, to->written + n);
	if (unlikely(piece->urgent))
		ferry_urg_signal(&to->sk);
}

/* Make room in a buffer that is completely read. */
static void ferry_stream_rewind(struct ferry_sock *to, struct ferry_buf *buf)
{
	/* Pairs with ferry_stream_consume(): the reader is done with it. */
	if (smp_load_acquire(&to->read) == to->written) {
		buf->off = 0;
		WRITE_ONCE(buf->len, 0);
	}
}

/* Append to the last buffer. Returns the bytes taken, 0 if it has no room. */
static ssize_t ferry_stream_append(struct ferry_sock *to,
				   const struct ferry_piece *piece)
{
	struct ferry_buf *buf = to->tail;
	u8 *data;
	size_t n;

	ferry_stream_rewind(to, buf);
	n = min_t(size_t, buf->cap - buf->len, piece->left);
	if (!n)
		return 0;

	data = buf->data + buf->len;
	n = ferry_copy_from(data, n, piece->iter);
	if (unlikely(!n))
		return -EFAULT;

	WRITE_ONCE(buf->len, buf->len + n);
	ferry_stream_publish(to, data, n, piece);
	return n;
}

/* Make a buffer of some of the message. */
static struct ferry_buf *ferry_stream_fill(struct sock *sk, struct ferry_sock *to,
					   const struct ferry_piece *piece)
{
	unsigned long unread = to->written - READ_ONCE(to->read);
	size_t want, n, step = min(READ_ONCE(sk->sk_sndbuf),
				   READ_ONCE(to->sk.sk_rcvbuf)) /
			       FERRY_STREAM_STEPS;
	struct ferry_buf *buf;

	if (unlikely(piece->lend)) {
		buf = ferry_pages_lend(sk, piece->iter, piece->left,
				       max_t(size_t, step / PAGE_SIZE, 1));
		if (buf)
			return buf;
	}

	/* Grow with what waits: memory stays in proportion to the bytes unread. */
	want = piece->left;
	if (likely(!piece->uarg))
		want = max_t(size_t, want, unread);
	buf = ferry_buf_alloc(sk, min_t(size_t, want, step));
	if (unlikely(!buf))
		return ERR_PTR(-ENOMEM);

	n = ferry_copy_from(buf->data, min_t(size_t, buf->cap, piece->left),
			    piece->iter);
	if (unlikely(!n)) {
		ferry_buf_put(buf);
		return ERR_PTR(-EFAULT);
	}
	buf->len = n;
	return buf;
}

/* Queue a new buffer. Returns the bytes taken. */
static ssize_t ferry_stream_add(struct sock *sk, struct ferry_sock *to,
				const struct ferry_piece *piece,
				struct ferry_sender *from)
{
	struct ferry_buf *buf, *last = NULL;
	size_t n;
	int err;

	buf = ferry_stream_fill(sk, to, piece);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	n = buf->len;
	buf->sk = sk;
	if (unlikely(piece->uarg))
		ferry_zerocopy_attach(buf, piece->uarg);
	if (unlikely(from->rights)) {
		err = ferry_inflight_add(from->rights, &to->sk);
		if (err) {
			ferry_buf_put(buf);
			return err;
		}
		buf->shut = 1;
	}
	ferry_cmsg_attach(buf, from);
	if (unlikely(ferry_wants_txstamp(from))) {
		bool final = piece->final && n == piece->left;

		if (ferry_txstamp_prepare(sk, buf, final ? from->tsflags : 0)) {
			ferry_buf_put(buf);
			return -ENOMEM;
		}
		buf->shut = 1;
	}

	spin_lock(&to->lock);
	if (unlikely(to->dead)) {
		spin_unlock(&to->lock);
		ferry_buf_put(buf);
		return -EPIPE;
	}
	ferry_buf_charge(buf, &to->sk);
	if (unlikely(ferry_stamped(&to->sk)))
		buf->stamp = ktime_get_real();
	if (unlikely(buf->txstamp)) {
		refcount_inc(&buf->refs);
		last = from->last;
		from->last = buf;
		ferry_txstamp_queued(sk, &to->sk, buf, piece->key);
	}
	if (to->tail) {
		/* Pairs with ferry_stream_next(): nothing more is appended. */
		smp_store_release(&to->tail->next, buf);
	} else {
		WRITE_ONCE(to->head, buf);
	}
	to->tail = buf;
	spin_unlock(&to->lock);

	ferry_stream_publish(to, buf->data, n, piece);
	if (unlikely(last))
		ferry_buf_put(last);
	return n;
}

/* Queue some of the message. Returns the bytes taken, -EAGAIN without room. */
static ssize_t ferry_stream_push(struct sock *sk, struct sock *peer,
				 const struct ferry_piece *piece,
				 struct ferry_sender *from)
{
	struct ferry_sock *to = ferry_sk(peer);
	ssize_t n;

	lockdep_assert_held(&ferry_sk(sk)->send_lock);

	if (to->tail && ferry_may_append(to->tail, from) &&
	    likely(!ferry_stamped(peer) && !piece->lend && !piece->uarg)) {
		n = ferry_stream_append(to, piece);
		if (n)
			return n;
	}
	if (!piece->passed && !ferry_has_room(sk, peer))
		return -EAGAIN;
	return ferry_stream_add(sk, to, piece, from);
}

/*
 * Queue some of the message as the receiver's filter lets it pass: the filter
 * sees what a send queues in pieces of 32 KiB, before anything is merged.
 */
static ssize_t ferry_stream_push_filtered(struct sock *sk, struct sock *peer,
					  const struct ferry_piece *piece,
					  struct ferry_sender *from)
{
	size_t len = min_t(size_t, piece->left, SZ_32K);
	struct ferry_piece passed = {
		.urgent = piece->urgent,
		.final = piece->final && len == piece->left,
		.key = piece->key,
		.passed = true,
		.uarg = piece->uarg,
	};
	struct sk_buff *skb;
	struct iov_iter iter;
	struct kvec vec;
	ssize_t n = 0;

	if (!ferry_has_room(sk, peer))
		return -EAGAIN;
	skb = ferry_filter_bytes(sk, peer, from->mark, piece->iter, len);
	if (IS_ERR(skb))
		return PTR_ERR(skb);
	if (unlikely(piece->uarg))
		uarg_to_msgzc(piece->uarg)->zerocopy = 0;
	/* Descriptors go with the first byte, wherever that goes. */
	if (!skb->len && from->rights) {
		ferry_rights_put(from->rights);
		from->rights = NULL;
	}

	vec.iov_base = skb->data;
	vec.iov_len = skb->len;
	iov_iter_kvec(&iter, ITER_SOURCE, &vec, 1, skb->len);
	passed.iter = &iter;
	while ((passed.left = iov_iter_count(&iter))) {
		n = ferry_stream_push(sk, peer, &passed, from);
		if (n < 0)
			break;
	}
	/* After an error the rest was not taken. */
	if (n < 0) {
		size_t taken = skb->len - passed.left;

		iov_iter_revert(piece->iter, len - taken);
		len = taken;
	}
	kfree_skb(skb);
	return len ? len : n;
}

/* A send with a stamp is over: the stamp is that of the last byte queued. */
static void ferry_stream_stamp(struct sock *sk, struct ferry_sock *to,
			       const struct ferry_sender *from)
{
	struct ferry_buf *buf = from->last;

	/* It ended early. */
	if (!buf->txflags) {
		spin_lock(&to->lock);
		buf->txflags = from->tsflags & SOF_TIMESTAMPING_TX_RECORD_MASK;
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
		return ferry_nospace(sk, peer) ? -EAGAIN : 0;
	}

	left = wait_event_interruptible_timeout(*sk_sleep(sk),
						!ferry_nospace(sk, peer) ||
						ferry_send_closed(sk, peer) ||
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
	struct ferry_buf *buf;
	size_t n = 0;

	if (unlikely(msg->msg_flags & (MSG_OOB | MSG_ZEROCOPY |
				       MSG_SPLICE_PAGES) ||
		     msg->msg_controllen || msg->msg_namelen ||
		     READ_ONCE(sk->sk_tsflags)) ||
	    static_branch_unlikely(&ferry_passsec_used))
		return 0;

	to = ferry_sk(peer);
	mutex_lock(&fs->send_lock);
	buf = to->tail;
	if (unlikely(!buf || buf->shut ||
		     ferry_send_closed(sk, peer) || ferry_stamped(peer) ||
		     rcu_access_pointer(peer->sk_filter) ||
		     buf->pid != task_tgid(current) ||
		     buf->mark != READ_ONCE(sk->sk_mark) ||
		     !uid_eq(buf->uid, current_uid()) ||
		     !gid_eq(buf->gid, current_gid())))
		goto out;

	ferry_stream_rewind(to, buf);
	if (len <= buf->cap - buf->len) {
		n = ferry_copy_from(buf->data + buf->len, len, &msg->msg_iter);
		WRITE_ONCE(buf->len, buf->len + n);
		/* Pairs with ferry_stream_avail(). */
		smp_store_release(&to->written, to->written + n);
	}
out:
	mutex_unlock(&fs->send_lock);
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
	piece->final = true;
	if (unlikely(urgent)) {
		piece->urgent = left == 1;
		piece->final = piece->urgent;
		piece->left -= !piece->urgent;
	}
	if (unlikely(from->tsflags & SOF_TIMESTAMPING_OPT_ID))
		piece->key = atomic_read(&sk->sk_tskey) + piece->left - 1;

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
	bool closed;
	ssize_t n;

	mutex_lock(&fs->send_lock);
	for (;;) {
		/* In this order: who closes sets the error before. */
		closed = ferry_send_closed(sk, peer);
		if (unlikely(READ_ONCE(sk->sk_err))) {
			/* With bytes sent the error is the next call's. */
			*err = sent ? 0 : sock_error(sk);
			if (*err || sent)
				break;
		}
		*err = closed ? -EPIPE : 0;
		if (unlikely(closed) || sent == len)
			break;

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

		mutex_unlock(&fs->send_lock);
		*err = ferry_stream_wait_room(sk, peer, &timeo);
		mutex_lock(&fs->send_lock);
		if (*err)
			break;
	}
	mutex_unlock(&fs->send_lock);
	return sent;
}

/*
 * Send a message of any kind. A call is one piece as long as it need not wait
 * for room. Apart from ferry_stream_sendmsg(), which would pay for its frame.
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
	if (unlikely(from.rights && READ_ONCE(ferry_sk(peer)->refuse_rights))) {
		ferry_cmsg_sent(&from);
		return -EPERM;
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
	return smp_load_acquire(&fs->written) - fs->read;
}

/* The following buffer; where there is one, the length of @buf is final. */
static struct ferry_buf *ferry_stream_next(const struct ferry_buf *buf)
{
	/* Pairs with ferry_stream_add(). */
	return smp_load_acquire(&buf->next);
}

/*
 * First buffer with unread bytes; frees those read to their end. To be called
 * with unread bytes only.
 */
static struct ferry_buf *ferry_stream_first(struct ferry_sock *fs)
{
	struct ferry_buf *buf = READ_ONCE(fs->head);

	lockdep_assert_held(&fs->recv_lock);

	for (;;) {
		struct ferry_buf *next = ferry_stream_next(buf);

		if (buf->off < READ_ONCE(buf->len) || !next)
			return buf;
		WRITE_ONCE(fs->head, next);
		ferry_buf_put(buf);
		buf = next;
	}
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

/* Find the bytes @skip bytes ahead; @avail is what may be read in all. */
static struct ferry_span ferry_stream_find(struct ferry_sock *fs,
					   unsigned long avail, size_t skip)
{
	struct ferry_span span = { .buf = ferry_stream_first(fs) };

	avail -= skip;
	for (;;) {
		struct ferry_buf *next = ferry_stream_next(span.buf);

		span.off = span.buf->off;
		span.len = READ_ONCE(span.buf->len) - span.off;
		if (skip < span.len)
			break;
		skip -= span.len;
		span.buf = next;
	}
	span.off += skip;
	span.len = min_t(unsigned long, span.len - skip, avail);
	return span;
}

/* The reader has done with @n bytes of the first buffer. */
static void ferry_stream_consume(struct ferry_sock *fs, struct ferry_buf *buf,
				 u32 n)
{
	lockdep_assert_held(&fs->recv_lock);

	buf->off += n;
	if (unlikely(buf->shut) && buf->off == READ_ONCE(buf->len))
		ferry_pages_return(buf);
	/* Pairs with ferry_stream_rewind(): last touch of the buffer. */
	smp_store_release(&fs->read, fs->read + n);
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

/* Leave out the urgent byte, which is the next. */
static void ferry_stream_skip(struct sock *sk, struct sock *peer,
			      unsigned long avail, size_t skip, bool peek)
{
	struct ferry_sock *fs = ferry_sk(sk);

	if (peek) {
		sk_peek_offset_fwd(sk, 1);
		return;
	}
	ferry_stream_consume_stamped(fs, ferry_stream_find(fs, avail, skip).buf,
				     1);
	ferry_urg_passed(fs);
	ferry_write_space(peer, sk);
}

/* A peek that shows something can show no more: the sender found no room. */
static bool ferry_stream_peeked_all(const struct sock *peer, size_t peeked)
{
	return peeked && READ_ONCE(ferry_sk(peer)->nospace);
}

/* Are there unread bytes behind position @at of the stream? */
static bool ferry_stream_more(const struct ferry_sock *fs, unsigned long at)
{
	unsigned long written = READ_ONCE(fs->written);

	return written != READ_ONCE(fs->read) && (long)(written - at) > 0;
}

/* The same, and who sends more wakes the reader. */
static bool ferry_stream_await(struct ferry_sock *fs, unsigned long at)
{
	ferry_await(&fs->sk);
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
						ferry_recv_closed(sk, peer) ||
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
static int ferry_stream_no_data(struct sock *sk, struct sock *peer, size_t skip,
				size_t copied)
{
	bool closed = ferry_recv_closed(sk, peer);

	/* In this order: who closes sets the error before. */
	if (READ_ONCE(sk->sk_err)) {
		/* With bytes received the error is the next call's. */
		int err = copied ? 0 : sock_error(sk);

		if (err || copied)
			return err;
	}
	if (!closed)
		return 1;

	/* What was queued before the end is read before the end. */
	return ferry_stream_avail(ferry_sk(sk)) > skip;
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
		     READ_ONCE(sk->sk_rcvlowat) != 1 ||
		     READ_ONCE(sk->sk_peek_off) >= 0 ||
		     ferry_wants_extras(sk) || ferry_cmsg_wanted(sock)))
		return 0;

	mutex_lock(&fs->recv_lock);
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
	mutex_unlock(&fs->recv_lock);
	if (likely(n))
		ferry_write_space(fs->peer, sk);
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
 * @err: why the receive ended
 * @last: of the last buffer, what ferry_recv_extras() tells
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
	int			err;
	struct ferry_buf	last;
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
	bool peek = rx->flags & MSG_PEEK;

	if (!ahead && rx->copied)
		return -1;
	if ((!ahead && !sock_flag(sk, SOCK_URGINLINE)) ||
	    ferry_urg_dropped(fs, rx->skip)) {
		ferry_stream_skip(sk, rx->peer, *avail, rx->skip, peek);
		rx->skip += peek;
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
	rx->err = ferry_stream_no_data(sk, rx->peer, rx->skip, rx->copied);
	if (rx->err <= 0)
		return false;
	rx->err = -EAGAIN;
	if (!*timeo)
		return false;

	at = fs->read + rx->skip;
	mutex_unlock(&fs->recv_lock);
	rx->err = ferry_stream_wait_data(sk, rx->peer, at,
					 peek ? rx->copied : 0, timeo);
	mutex_lock(&fs->recv_lock);
	/* Another reader may have taken what was peeked at. */
	rx->skip = max_t(long, at - fs->read, 0);
	if (peek && !rx->copied)
		rx->skip = max(sk_peek_offset(sk, rx->flags), 0);
	return !rx->err;
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
	}
	ferry_stream_consume_stamped(fs, buf, n);
	if (unlikely(READ_ONCE(fs->urg_state)))
		ferry_urg_passed(fs);
	if (READ_ONCE(sk->sk_peek_off) >= 0)
		sk_peek_offset_bwd(sk, n);
	ferry_write_space(rx->peer, sk);
}

/* Receive from the first buffer with unread bytes. Returns whether to go on. */
static bool ferry_stream_recv_some(struct ferry_receive *rx,
				   unsigned long avail)
{
	struct ferry_span span;
	ssize_t n;

	span = ferry_stream_find(ferry_sk(rx->sock->sk), avail, rx->skip);
	if (unlikely(rx->creds && rx->copied &&
		     !ferry_same_sender(span.buf, &rx->scm)))
		return false;
	n = ferry_stream_recv_copy(rx, &span);
	if (unlikely(n < 0 || (rx->pipe && !n))) {
		rx->err = n;
		return false;
	}
	rx->copied += n;
	if (unlikely(rx->flags & MSG_PEEK))
		ferry_stream_recv_peeked(rx, span.buf, n);
	else
		ferry_stream_recv_taken(rx, span.buf, n);
	/* One message's descriptors are never mixed with another's. */
	return likely(!rx->scm.fp && !(rx->msg->msg_flags & MSG_CTRUNC));
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

	mutex_lock(&fs->recv_lock);
	if (unlikely(flags & MSG_PEEK))
		rx.skip = max(sk_peek_offset(sk, flags), 0);
	do {
		unsigned long avail = ferry_stream_avail(fs);

		if (unlikely(READ_ONCE(fs->urg_state)) && avail > rx.skip) {
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
	mutex_unlock(&fs->recv_lock);

	if (unlikely(rx.extras && rx.copied)) {
		rx.last.drops = atomic_read(&sk->sk_drops);
		ferry_recv_extras(sk, msg, &rx.last);
	}
	if (unlikely(rx.scm.pid))
		scm_recv(sock, msg, &rx.scm, flags);
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

	if (unlikely(!ferry_connected(sk)))
		return ferry_stream_recv(sock, msg, len, flags, NULL);
	copied = ferry_stream_recv_plain(sock, msg, len, flags);
	if (unlikely(!copied))
		return ferry_stream_recv(sock, msg, len, flags, NULL);
	ferry_debug(sk, "receive", copied);
	return copied;
}
