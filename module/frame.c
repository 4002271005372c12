// SPDX-License-Identifier: GPL-2.0
/*
 * Records on a TCP connection: four bytes of length, of which the top bit is MSG_EOR,
 * then so many bytes.
 *
 * In. What TCP has is taken at once, in its data_ready callback, as far as there is
 * room: records go whole to the core's sk_receive_queue, those of more than a few bytes
 * as references on the network's pages. Whether there is room is decided when the
 * length of a record is known, and then all of it is taken however slowly it comes: TCP
 * never has to hold a whole record. Without room the bytes stay where they are, so that
 * TCP's window closes, until a reader has made some.
 *
 * Out. A record is copied from the user first, without a lock, then handed to TCP under
 * TCP's lock. What TCP does not take of it is kept, and goes before anything else. So
 * no record is ever torn, and TCP's lock is never held over a page fault.
 */
#include <linux/bvec.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <net/tcp.h>

#include "carrier.h"
#include "carrier_tcp.h"
#include "compat.h"
#include "frame.h"
#include "poll.h"
#include "remote_dgram.h"

#define FERRY_FRAME_HDR		sizeof(__be32)
#define FERRY_FRAME_EOR		BIT(31)

/* A longer record is taken only by who has set so large an SO_RCVBUF. */
#define FERRY_FRAME_MAX		SZ_1M

/* Less than that is copied: a reference would hold more than it is worth, */
#define FERRY_FRAME_COPY	1024
/* as it would of what takes so many times its bytes: packets of a byte, put together. */
#define FERRY_FRAME_WASTE	4
/* Into buffers of so many bytes. */
#define FERRY_FRAME_BUF		SKB_WITH_OVERHEAD(SZ_4K)

/* What is to be sent lies in pieces that have at least so many bytes. */
#define FERRY_FRAME_PIECE	1024

/* What TCP is told of how to send; the pages are nobody else's. */
#define FERRY_FRAME_FLAGS	(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_SPLICE_PAGES | \
				 MSG_NO_SHARED_FRAGS)

/**
 * struct ferry_frame - a record that is to be sent, with its length before it
 * @len: bytes in all
 * @left: bytes that TCP has not taken
 * @at: the first piece with such
 * @nr: how many pieces there are
 * @bv: the pieces, with a reference on the page of each
 */
struct ferry_frame {
	u32		len;
	u32		left;
	u32		at;
	u32		nr;
	struct bio_vec	bv[];
};

/**
 * struct ferry_frame_cb - what is known of a record in sk_receive_queue
 * @eor: MSG_EOR
 */
struct ferry_frame_cb {
	bool	eor;
};

static struct ferry_frame_cb *ferry_frame_cb(const struct sk_buff *skb)
{
	return (struct ferry_frame_cb *)skb->cb;
}

/**
 * ferry_frame_eor() - did the sender set MSG_EOR?
 * @skb: record in sk_receive_queue
 *
 * Return: true if so.
 */
bool ferry_frame_eor(const struct sk_buff *skb)
{
	return ferry_frame_cb(skb)->eor;
}

/**
 * struct ferry_input - one go of taking what TCP has
 * @fr: the connection
 * @sk: the socket
 * @queued: something was queued
 */
struct ferry_input {
	struct ferry_frames	*fr;
	struct sock		*sk;
	bool			queued;
};

static u32 ferry_frames_len(const struct ferry_frames *fr)
{
	return be32_to_cpu(fr->header) & ~FERRY_FRAME_EOR;
}

/* Half of the buffer is for records; TCP has the other half, see carrier_sockopt.c. */
static u32 ferry_frames_limit(const struct sock *sk)
{
	return READ_ONCE(sk->sk_rcvbuf) / 2;
}

/* Is there room for the record that is coming? One comes alone, however long. */
static bool ferry_frames_fit(const struct ferry_frames *fr, const struct sock *sk)
{
	u32 charged = atomic_read(&sk->sk_rmem_alloc);

	return !ferry_remote_waits(sk) ||
	       charged + ferry_frames_len(fr) <= ferry_frames_limit(sk);
}

/**
 * ferry_frames_resumable() - is it time to go on after there was no room?
 * @fr: the connection
 * @sk: its socket, from which something was read
 *
 * Not for each record that is read, or TCP's lock would be taken each time.
 *
 * Context: any.
 * Return: true if so.
 */
bool ferry_frames_resumable(const struct ferry_frames *fr, const struct sock *sk)
{
	/* Pairs with ferry_frames_admit(): it sees the room or we that it is paused. */
	smp_mb();
	if (likely(!READ_ONCE(fr->paused)))
		return false;
	return !ferry_remote_waits(sk) ||
	       2 * (u32)atomic_read(&sk->sk_rmem_alloc) <= ferry_frames_limit(sk);
}

/**
 * ferry_frames_defer() - leave a record to a reader that sleeps until there is one
 * @fr: the connection
 * @csk: TCP's socket, to which something came
 *
 * What is taken at once TCP acknowledges at once, each record, and it is work done in
 * the sender's time. Readers take all that has come until they run, and that is
 * acknowledged together. Only a record that is there whole is worth to be woken for.
 *
 * Context: any; TCP's lock is held.
 * Return: true if it is left: one of the sleepers is to be woken.
 */
bool ferry_frames_defer(struct ferry_frames *fr, struct sock *csk)
{
	const struct sk_buff *skb;
	__be32 header;
	u32 off, len;

	sock_owned_by_me(csk);

	if (!atomic_read(&fr->sleepers) || fr->have || READ_ONCE(fr->paused))
		return false;
	skb = skb_peek(&csk->sk_receive_queue);
	if (!skb)
		return false;
	off = tcp_sk(csk)->copied_seq - TCP_SKB_CB(skb)->seq;
	if (off >= skb->len || skb->len - off < sizeof(header) ||
	    skb_copy_bits(skb, off, &header, sizeof(header)))
		return false;
	len = be32_to_cpu(header) & ~FERRY_FRAME_EOR;
	if ((u32)tcp_inq(csk) < sizeof(header) + len)
		return false;

	WRITE_ONCE(fr->paused, 1);
	/* Pairs with ferry_frames_resumable() of who no longer sleeps. */
	smp_mb();
	if (atomic_read(&fr->sleepers))
		return true;
	WRITE_ONCE(fr->paused, 0);
	return false;
}

/* May the record whose length is known be taken? 0, 1 to wait for room, or an error. */
static int ferry_frames_admit(struct ferry_input *in)
{
	struct ferry_frames *fr = in->fr;
	u32 len = ferry_frames_len(fr);

	if (len > max_t(u32, READ_ONCE(in->sk->sk_rcvbuf), FERRY_FRAME_MAX))
		return -EPROTO;
	if (!(READ_ONCE(in->sk->sk_shutdown) & RCV_SHUTDOWN) &&
	    !ferry_frames_fit(fr, in->sk)) {
		WRITE_ONCE(fr->paused, 1);
		/* Pairs with ferry_frames_resumable(). */
		smp_mb();
		if (!ferry_frames_fit(fr, in->sk))
			return 1;
		WRITE_ONCE(fr->paused, 0);
	}
	if (!len) {
		fr->first = alloc_skb(0, GFP_ATOMIC);
		if (!fr->first)
			return -ENOMEM;
	}
	fr->left = len;
	fr->admitted = 1;
	return 0;
}

/* More of the record has come. */
static void ferry_frames_append(struct ferry_frames *fr, struct sk_buff *part)
{
	struct sk_buff *first = fr->first;

	if (!first) {
		fr->first = part;
	} else {
		if (fr->last == first)
			skb_shinfo(first)->frag_list = part;
		else
			fr->last->next = part;
		first->len += part->len;
		first->data_len += part->len;
		first->truesize += part->truesize;
	}
	fr->last = part;
}

/* Take @n bytes of what TCP has by copying them. */
static int ferry_frames_copy(struct ferry_frames *fr, const struct sk_buff *skb,
			     u32 off, u32 n)
{
	struct sk_buff *first, *last;

	while (n) {
		u32 part;

		if (!fr->room) {
			u32 size = min_t(u32, fr->left, FERRY_FRAME_BUF);

			last = alloc_skb(size, GFP_ATOMIC);
			if (!last)
				return -ENOMEM;
			ferry_frames_append(fr, last);
			fr->room = size;
		}
		first = fr->first;
		last = fr->last;
		part = min(n, fr->room);
		if (skb_copy_bits(skb, off, skb_put(last, part), part))
			return -EPROTO;
		if (last != first) {
			first->len += part;
			first->data_len += part;
		}
		fr->room -= part;
		fr->left -= part;
		off += part;
		n -= part;
	}
	return 0;
}

/* Take @n bytes of what TCP has by reference. */
static int ferry_frames_refer(struct ferry_frames *fr, struct sk_buff *skb, u32 off,
			      u32 n)
{
	struct sk_buff *part;

	part = pskb_extract(skb, off, n, GFP_ATOMIC);
	if (!part)
		return -ENOMEM;
	/* All records of a packet have their share of what they hold together. */
	part->truesize = SKB_TRUESIZE(skb_end_offset(part)) +
			 mult_frac(skb->truesize, n, skb->len);
	skb_dst_drop(part);
	skb_ext_reset(part);
	part->dev = NULL;
	ferry_frames_append(fr, part);
	fr->room = 0;
	fr->left -= n;
	return 0;
}

/* Returns how many bytes were taken, at least one, or an error. */
static int ferry_frames_gather(struct ferry_frames *fr, struct sk_buff *skb, u32 off,
			       u32 n)
{
	u32 left = fr->left;
	int err;

	n = min(n, left);
	/* Fragments do not have fragments. */
	if (n < FERRY_FRAME_COPY || skb->truesize / FERRY_FRAME_WASTE > skb->len ||
	    skb_has_frag_list(skb))
		err = ferry_frames_copy(fr, skb, off, n);
	else
		err = ferry_frames_refer(fr, skb, off, n);
	/* What was copied before memory was short is taken. */
	return left > fr->left ? left - fr->left : err;
}

/* The record is complete: let it be read. @skb brought its end, if anything did. */
static void ferry_frames_deliver(struct ferry_input *in, struct sk_buff *skb)
{
	struct ferry_frames *fr = in->fr;
	struct sk_buff *rec = fr->first;
	struct sock *sk = in->sk;

	fr->first = NULL;
	fr->last = NULL;
	fr->room = 0;
	fr->have = 0;
	fr->admitted = 0;
	/* Who reads no more is told the end, and nothing after it. */
	if (unlikely(READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN)) {
		consume_skb(rec);
		return;
	}

	memset(rec->cb, 0, sizeof(rec->cb));
	ferry_frame_cb(rec)->eor = be32_to_cpu(fr->header) & FERRY_FRAME_EOR;
	rec->next = NULL;
	rec->tstamp = 0;
	if (skb) {
		rec->tstamp = skb->tstamp;
		/* Not what a driver has only a pointer to, into the packet. */
		if (skb_shinfo(skb)->tx_flags & SKBTX_HW_TSTAMP_NETDEV)
			memset(skb_hwtstamps(rec), 0, sizeof(*skb_hwtstamps(rec)));
		else
			*skb_hwtstamps(rec) = *skb_hwtstamps(skb);
		skb_shinfo(rec)->tx_flags &= ~SKBTX_HW_TSTAMP_NETDEV;
		rec->mark = skb->mark;
		rec->priority = skb->priority;
	}
	if (unlikely(rcu_access_pointer(sk->sk_filter))) {
		skb_reset_mac_header(rec);
		skb_reset_network_header(rec);
		skb_reset_transport_header(rec);
		if (sk_filter(sk, rec)) {
			ferry_dropped(sk, "filter");
			kfree_skb_reason(rec, SKB_DROP_REASON_SOCKET_FILTER);
			return;
		}
	}
	skb_set_owner_r(rec, sk);
	sock_skb_set_dropcount(sk, rec);
	skb_queue_tail(&sk->sk_receive_queue, rec);
	in->queued = true;
}

/*
 * Take what there is of one record: @n bytes at @off of @skb, or none. Returns how
 * many bytes were taken; there is more to do if these are all that were asked for.
 */
static u32 ferry_frames_step(struct ferry_input *in, struct sk_buff *skb, u32 off,
			     u32 n, int *err)
{
	struct ferry_frames *fr = in->fr;
	u32 taken = 0;
	int got;

	if (fr->have < FERRY_FRAME_HDR) {
		taken = min_t(u32, n, FERRY_FRAME_HDR - fr->have);
		if (!taken)
			return 0;
		*err = skb_copy_bits(skb, off, (u8 *)&fr->header + fr->have, taken);
		if (*err)
			return 0;
		fr->have += taken;
		if (fr->have < FERRY_FRAME_HDR)
			return taken;
	}
	if (!fr->admitted) {
		*err = ferry_frames_admit(in);
		if (*err)
			return taken;
	}
	while (fr->left && taken < n) {
		got = ferry_frames_gather(fr, skb, off + taken, n - taken);
		if (got < 0) {
			*err = got;
			return taken;
		}
		taken += got;
	}
	if (!fr->left)
		ferry_frames_deliver(in, skb);
	return taken;
}

/* For tcp_read_sock(): take what can be taken of @len bytes at @off of @skb. */
static int ferry_frames_take(read_descriptor_t *desc, struct sk_buff *skb,
			     unsigned int off, size_t len)
{
	struct ferry_input *in = desc->arg.data;
	u32 taken = 0;

	while (taken < len && !desc->error)
		taken += ferry_frames_step(in, skb, off + taken, len - taken,
					   &desc->error);
	if (desc->error)
		/* Without this TCP would come again. */
		desc->count = 0;
	return taken;
}

/* What came is no record: nothing more is taken, and the connection is to be cut. */
static void ferry_frames_break(struct ferry_frames *fr, struct sock *sk, int err)
{
	fr->ended = 1;
	WRITE_ONCE(fr->broken, 1);
	ferry_count(sock_net(sk), FERRY_STAT_TCP_BROKEN);
	trace_ferry_drop(sk, "frame");
	/* Pairs with ferry_error(). */
	smp_store_release(&sk->sk_err, err);
	ferry_set_shutdown(sk, SHUTDOWN_MASK);
	sk_error_report(sk);
	ferry_wake_state(sk, POLL_HUP);
}

/**
 * ferry_frames_end() - look whether more can come, and whether anything can be sent
 * @fr: the connection
 * @sk: its socket; what ended the connection is in its sk_err already
 * @csk: TCP's socket
 *
 * The end of what comes is told when all that came before has been taken.
 *
 * Context: any; TCP's lock is held.
 */
void ferry_frames_end(struct ferry_frames *fr, struct sock *sk, struct sock *csk)
{
	bool closed = csk->sk_state == TCP_CLOSE;
	u8 was = sk->sk_shutdown, mask = was;

	sock_owned_by_me(csk);

	if (fr->broken)
		return;
	if (closed)
		mask |= SEND_SHUTDOWN;
	if (!fr->ended && (closed || sock_flag(csk, SOCK_DONE)) &&
	    skb_queue_empty(&csk->sk_receive_queue) &&
	    (fr->have < FERRY_FRAME_HDR || fr->admitted)) {
		/* In the middle of a record, and not because of a reset. */
		if (fr->have && sock_flag(csk, SOCK_DONE) && !(was & RCV_SHUTDOWN)) {
			ferry_frames_break(fr, sk, ECONNRESET);
			return;
		}
		fr->ended = 1;
		mask |= RCV_SHUTDOWN;
	}
	if (mask == was)
		return;
	ferry_set_shutdown(sk, mask);
	ferry_wake_state(sk, mask == SHUTDOWN_MASK ? POLL_HUP :
			     mask & RCV_SHUTDOWN ? POLL_IN : POLL_OUT);
}

/**
 * ferry_frames_input() - take what TCP has, as far as there is room
 * @fr: the connection
 * @sk: its socket
 * @csk: TCP's socket
 *
 * Context: any; TCP's lock is held.
 * Return: 0; -ENOMEM to come again a little later; or another error: the connection is
 * to be cut.
 */
int ferry_frames_input(struct ferry_frames *fr, struct sock *sk, struct sock *csk)
{
	struct ferry_input in = { .fr = fr, .sk = sk };
	read_descriptor_t desc = { .arg.data = &in, .count = 1 };

	sock_owned_by_me(csk);

	/* Who makes room goes on. */
	if (fr->ended || READ_ONCE(fr->paused))
		return 0;
	/* A record without bytes may wait for room with nothing behind it. */
	if (fr->have == FERRY_FRAME_HDR)
		ferry_frames_step(&in, NULL, 0, 0, &desc.error);
	if (!desc.error)
		tcp_read_sock(csk, &desc, ferry_frames_take);
	/* Nobody of us sends such; TCP would not go past it. */
	if (unlikely(tcp_sk(csk)->urg_data))
		desc.error = -EPROTO;
	if (in.queued)
		ferry_wake_reader(sk);
	if (desc.error == -ENOMEM)
		return -ENOMEM;
	if (desc.error < 0) {
		ferry_frames_break(fr, sk, EPROTO);
		return desc.error;
	}
	ferry_frames_end(fr, sk, csk);
	return fr->broken ? -ECONNRESET : 0;
}

/**
 * ferry_frame_free() - drop a record that is not sent
 * @frame: the record
 */
void ferry_frame_free(struct ferry_frame *frame)
{
	u32 i;

	for (i = 0; i < frame->nr; i++)
		put_page(frame->bv[i].bv_page);
	kvfree(frame);
}

/* Get memory for at most @want bytes, which the caller's memory cgroup pays. */
static bool ferry_frames_carve(struct ferry_frames *fr, struct sock *sk, u32 want,
			       struct bio_vec *bv)
{
	struct page_frag *pages = &fr->pages;
	struct mutex *lock = &ferry_sk(sk)->send_lock;
	bool ok;

	mutex_lock(lock);
	ok = skb_page_frag_refill(min_t(u32, want, FERRY_FRAME_PIECE), pages,
				  sk->sk_allocation);
	if (ok) {
		want = min_t(u32, want, pages->size - pages->offset);
		bvec_set_page(bv, pages->page, want, pages->offset);
		get_page(pages->page);
		pages->offset += want;
	}
	mutex_unlock(lock);
	return ok;
}

/**
 * ferry_frame_make() - make a record of a message
 * @fr: the connection
 * @sk: its socket
 * @msg: the message
 * @len: its bytes, no more than INT_MAX
 *
 * Context: process, may sleep; no lock is held while user memory is read.
 * Return: the record, -EFAULT or -ENOMEM.
 */
struct ferry_frame *ferry_frame_make(struct ferry_frames *fr, struct sock *sk,
				     struct msghdr *msg, size_t len)
{
	__be32 header = cpu_to_be32(len | (msg->msg_flags & MSG_EOR ? FERRY_FRAME_EOR : 0));
	u32 total = FERRY_FRAME_HDR + len, done = 0, skip = FERRY_FRAME_HDR;
	struct ferry_frame *frame;
	struct bio_vec *bv;
	int err = -ENOMEM;

	frame = kvmalloc(struct_size(frame, bv, DIV_ROUND_UP(total, FERRY_FRAME_PIECE)),
			 sk->sk_allocation);
	if (!frame)
		return ERR_PTR(-ENOMEM);
	frame->len = total;
	frame->left = total;
	frame->at = 0;
	frame->nr = 0;
	while (done < total) {
		u8 *to;

		bv = &frame->bv[frame->nr];
		if (!ferry_frames_carve(fr, sk, total - done, bv))
			goto err_frame;
		frame->nr++;
		to = page_address(bv->bv_page) + bv->bv_offset;
		if (skip)
			memcpy(to, &header, sizeof(header));
		err = -EFAULT;
		if (!copy_from_iter_full(to + skip, bv->bv_len - skip, &msg->msg_iter))
			goto err_frame;
		err = -ENOMEM;
		done += bv->bv_len;
		skip = 0;
	}
	return frame;

err_frame:
	ferry_frame_free(frame);
	return ERR_PTR(err);
}

/**
 * ferry_frames_room() - may one more record be sent?
 * @fr: the connection
 * @sk: its socket
 * @csk: TCP's socket
 * @len: bytes of the record
 *
 * What is sent and not acknowledged never exceeds SO_SNDBUF, or what TCP has made of
 * it.
 *
 * Context: any; the answer holds as long as TCP's lock is held.
 * Return: true if so.
 */
bool ferry_frames_room(const struct ferry_frames *fr, const struct sock *sk,
		       const struct sock *csk, size_t len)
{
	u32 limit = max(READ_ONCE(sk->sk_sndbuf), READ_ONCE(csk->sk_sndbuf));
	u32 queued = ferry_tcp_unacked(csk);

	if (READ_ONCE(fr->rest))
		return false;
	return !queued || (queued + FERRY_FRAME_HDR + len <= limit &&
			   sk_stream_memory_free(csk));
}

/* TCP has taken @n bytes. */
static void ferry_frame_advance(struct ferry_frame *frame, u32 n)
{
	frame->left -= n;
	while (n) {
		struct bio_vec *bv = &frame->bv[frame->at];
		u32 part = min(n, bv->bv_len);

		bv->bv_offset += part;
		bv->bv_len -= part;
		n -= part;
		if (!bv->bv_len)
			frame->at++;
	}
}

/* Hand a record to TCP, with what its sender says @beside it. */
static int ferry_frames_hand(struct ferry_frames *fr, struct sock *csk,
			     struct ferry_frame *frame, const struct msghdr *beside)
{
	while (frame->left) {
		struct msghdr msg = { .msg_flags = FERRY_FRAME_FLAGS };
		int n;

		if (beside) {
			msg.msg_control = beside->msg_control;
			msg.msg_controllen = beside->msg_controllen;
			beside = NULL;
		}
		iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, frame->bv + frame->at,
			      frame->nr - frame->at, frame->left);
		fr->pushing = 1;
		n = tcp_sendmsg_locked(csk, &msg, frame->left);
		fr->pushing = 0;
		if (n > 0) {
			ferry_frame_advance(frame, n);
			continue;
		}
		/* As long as there is a connection no record is torn. */
		if (n != -EAGAIN && frame->left < frame->len &&
		    !(csk->sk_shutdown & SEND_SHUTDOWN))
			n = -EAGAIN;
		return n ? n : -EAGAIN;
	}
	return 0;
}

/**
 * ferry_frames_push() - hand TCP the rest of the record that it has not taken whole
 * @fr: the connection
 * @csk: TCP's socket
 *
 * Context: process, may sleep; TCP's lock is held.
 * Return: 0 when there is no rest, -EAGAIN when there is, or why the connection ended.
 */
int ferry_frames_push(struct ferry_frames *fr, struct sock *csk)
{
	struct ferry_frame *frame = fr->rest;
	int err;

	sock_owned_by_me(csk);

	if (!frame)
		return 0;
	err = ferry_frames_hand(fr, csk, frame, NULL);
	WRITE_ONCE(fr->unsent, err == -EAGAIN ? frame->left : 0);
	if (err != -EAGAIN) {
		WRITE_ONCE(fr->rest, NULL);
		ferry_frame_free(frame);
	}
	return err;
}

/**
 * ferry_frames_send() - send a record for which there is room
 * @fr: the connection
 * @csk: TCP's socket
 * @frame: the record; used up
 * @beside: the message, for its control messages
 *
 * Context: process, may sleep; TCP's lock is held.
 * Return: as ferry_frames_push(); with -EAGAIN the record is sent.
 */
int ferry_frames_send(struct ferry_frames *fr, struct sock *csk,
		      struct ferry_frame *frame, const struct msghdr *beside)
{
	int err;

	sock_owned_by_me(csk);

	err = ferry_frames_hand(fr, csk, frame, beside);
	if (err != -EAGAIN) {
		ferry_frame_free(frame);
		return err;
	}
	/* Not before: who sees a rest waits for TCP to have room for it. */
	WRITE_ONCE(fr->unsent, frame->left);
	WRITE_ONCE(fr->rest, frame);
	return err;
}

/**
 * ferry_frames_flush() - hand TCP what it has not taken, whether it has room or not
 * @fr: the connection, by which nothing more is to be sent
 * @csk: TCP's socket
 *
 * Context: process, may sleep; TCP's lock is held.
 * Return: as ferry_frames_push(), but -EAGAIN for want of memory only.
 */
int ferry_frames_flush(struct ferry_frames *fr, struct sock *csk)
{
	u32 lowat = tcp_sk(csk)->notsent_lowat;
	int sndbuf = csk->sk_sndbuf, err;

	sock_owned_by_me(csk);

	if (!fr->rest)
		return 0;
	WRITE_ONCE(csk->sk_sndbuf, INT_MAX / 2);
	WRITE_ONCE(tcp_sk(csk)->notsent_lowat, UINT_MAX);
	err = ferry_frames_push(fr, csk);
	WRITE_ONCE(tcp_sk(csk)->notsent_lowat, lowat);
	WRITE_ONCE(csk->sk_sndbuf, sndbuf);
	return err;
}

/**
 * ferry_frames_free() - forget what has not come, or gone
 * @fr: a connection that is no more
 */
void ferry_frames_free(struct ferry_frames *fr)
{
	kfree_skb(fr->first);
	if (fr->rest)
		ferry_frame_free(fr->rest);
	if (fr->pages.page)
		put_page(fr->pages.page);
}
