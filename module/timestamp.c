// SPDX-License-Identifier: GPL-2.0
/*
 * Timestamps and what else a receiver may want to know of a message; the error
 * queue.
 *
 * A receive stamp is taken when the message is queued, if the receiver has
 * asked for any. The core formats it, from a struct sk_buff made for it.
 *
 * Transmit stamps (SO_TIMESTAMPING) come back by the sender's error queue: SCHED
 * and SND when the message is queued, ACK when it has been read. The queue is
 * bounded by the sender's receive buffer; what does not fit is lost.
 */
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <linux/skbuff.h>

#include "buffer.h"
#include "compat-scm.h"
#include "compat.h"
#include "ferry.h"
#include "name.h"
#include "record.h"
#include "sockopt.h"
#include "timestamp.h"
#include "urgent.h"

/**
 * struct ferry_offender - to whom a stamped message went
 * @len: length of the address, 0 when the receiver has none
 * @sa: the address
 *
 * Lies before the payload of a stamp; one without payload has none.
 */
struct ferry_offender {
	int			len;
	struct sockaddr_ferry	sa;
};

/* Where that is, or NULL. */
static struct ferry_offender *ferry_offender(const struct sk_buff *skb)
{
	if (skb_headroom(skb) < sizeof(struct ferry_offender))
		return NULL;
	return (struct ferry_offender *)skb->head;
}

/**
 * ferry_txstamp_prepare() - a message is to be stamped for its sender
 * @sk: sender
 * @buf: the message, or on a byte stream a part of it; in no queue
 * @tsflags: SO_TIMESTAMPING flags of the message, 0 when it is not known whether
 *	the stamp will be that of @buf
 *
 * What the stamp needs is charged with @buf.
 *
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM.
 */
int ferry_txstamp_prepare(struct sock *sk, struct ferry_buf *buf, u32 tsflags)
{
	struct ferry_offender *to;

	if (READ_ONCE(sk->sk_tsflags) & SOF_TIMESTAMPING_OPT_TSONLY)
		buf->txstamp = ferry_record_skb(NULL, 0, sk->sk_allocation);
	else
		buf->txstamp = ferry_record_skb(buf, sizeof(*to),
						sk->sk_allocation);
	if (!buf->txstamp)
		return -ENOMEM;

	to = ferry_offender(buf->txstamp);
	if (to)
		to->len = 0;
	buf->truesize += buf->txstamp->truesize;
	*ferry_txflags(buf) = tsflags & SOF_TIMESTAMPING_TX_RECORD_MASK;
	return 0;
}

/**
 * ferry_txstamp_key() - count a message for SOF_TIMESTAMPING_OPT_ID
 * @sk: sender
 * @len: bytes of a stream that were queued, or 1 for a record
 *
 * Return: the key of the message.
 */
u32 ferry_txstamp_key(struct sock *sk, u32 len)
{
	return atomic_add_return(len, &sk->sk_tskey) - 1;
}

/**
 * ferry_txstamp_queued() - a message with a stamp is about to be queued
 * @sk: sender
 * @to: receiver, or NULL when there are many
 * @buf: the buffer with the stamp
 * @key: of the message
 *
 * Before it can be read, so that ACK never overtakes.
 *
 * Context: any.
 */
void ferry_txstamp_queued(struct sock *sk, struct sock *to,
			  struct ferry_buf *buf, u32 key)
{
	const struct ferry_addr *addr = to ? ferry_own_addr(to) : NULL;
	struct ferry_offender *offender = ferry_offender(buf->txstamp);

	if (offender && addr) {
		offender->len = addr->len;
		memcpy(&offender->sa, &addr->sa, addr->len);
	}
	skb_shinfo(buf->txstamp)->tskey = key;
	ferry_txstamp_mark(buf->txstamp, *ferry_txflags(buf));
	if (*ferry_txflags(buf) & SOF_TIMESTAMPING_TX_SCHED)
		__skb_tstamp_tx(buf->txstamp, NULL, NULL, sk, SCM_TSTAMP_SCHED);
	if (*ferry_txflags(buf) & SOF_TIMESTAMPING_TX_SOFTWARE)
		__skb_tstamp_tx(buf->txstamp, NULL, NULL, sk, SCM_TSTAMP_SND);
}

/**
 * ferry_txstamp_record() - the same for a record, which its sender has numbered or
 * which is counted
 * @sk: sender
 * @to: receiver, or NULL when there are many
 * @first: the record
 *
 * Context: any.
 */
void ferry_txstamp_record(struct sock *sk, struct sock *to,
			  struct ferry_buf *first)
{
	ferry_txstamp_queued(sk, to, first, *ferry_txflags(first) & FERRY_TS_OPT_ID ?
			     skb_shinfo(first->txstamp)->tskey :
			     ferry_txstamp_key(sk, 1));
}

/**
 * ferry_txstamp_dropped() - the receiver's filter left nothing of a message
 * @sk: sender
 * @tsflags: SO_TIMESTAMPING flags of the message
 * @key: of the message
 *
 * It was sent as far as the sender knows, and is never acknowledged. The bytes are
 * gone, and without memory the stamp is too.
 *
 * Context: process, may sleep.
 */
void ferry_txstamp_dropped(struct sock *sk, u32 tsflags, u32 key)
{
	struct ferry_buf none = {
		.txstamp = ferry_record_skb(NULL, 0, sk->sk_allocation),
	};

	if (!none.txstamp)
		return;
	*ferry_txflags(&none) = tsflags;
	ferry_txstamp_queued(sk, NULL, &none, key);
	consume_skb(none.txstamp);
}

/**
 * ferry_txstamp_read() - a message with a stamp has been read
 * @buf: the buffer with the stamp, still charged to the sender
 *
 * Context: any.
 */
void ferry_txstamp_read(struct ferry_buf *buf)
{
	if (*ferry_txflags(buf) & SOF_TIMESTAMPING_TX_ACK)
		__skb_tstamp_tx(buf->txstamp, NULL, NULL, buf->sk,
				SCM_TSTAMP_ACK);
}

static void ferry_recv_stamp(struct sock *sk, struct msghdr *msg, ktime_t stamp)
{
	struct sk_buff *skb = alloc_skb(0, GFP_KERNEL);

	/* Without memory this message goes without. */
	if (!skb)
		return;
	skb->tstamp = stamp;
	sock_recv_timestamp(msg, sk, skb);
	consume_skb(skb);
}

/* All but the stamp. */
static void ferry_recv_counts(struct sock *sk, struct msghdr *msg,
			      const struct ferry_extras *extras)
{
	u32 value;

	if (sock_flag(sk, SOCK_RXQ_OVFL) && extras->drops) {
		value = extras->drops;
		put_cmsg(msg, SOL_SOCKET, SO_RXQ_OVFL, sizeof(value), &value);
	}
#ifdef SO_RCVMARK
	if (sock_flag(sk, SOCK_RCVMARK)) {
		value = extras->mark;
		put_cmsg(msg, SOL_SOCKET, SO_MARK, sizeof(value), &value);
	}
#endif
	if (FERRY_RCVPRIORITY_FLAG & READ_ONCE(sk->sk_flags)) {
		value = extras->priority;
		put_cmsg(msg, SOL_SOCKET, SO_PRIORITY, sizeof(value), &value);
	}
}

/**
 * ferry_recv_extras() - control messages a receiver asked for by options
 * @sk: receiver
 * @msg: message
 * @extras: what they say
 *
 * Context: process, may sleep.
 */
void ferry_recv_extras(struct sock *sk, struct msghdr *msg,
		       const struct ferry_extras *extras)
{
	if (ferry_stamped(sk) || sock_flag(sk, SOCK_RCVTSTAMP))
		ferry_recv_stamp(sk, msg, extras->stamp);
	ferry_recv_counts(sk, msg, extras);
}

/**
 * ferry_recv_extras_skb() - the same of a message that came from another host
 * @sk: receiver
 * @msg: message
 * @skb: what came, with the device's stamp if it has any
 *
 * Context: process, may sleep.
 */
void ferry_recv_extras_skb(struct sock *sk, struct msghdr *msg, struct sk_buff *skb)
{
	const struct ferry_extras extras = {
		.drops = SOCK_SKB_CB(skb)->dropcount,
		.mark = skb->mark,
		.priority = skb->priority,
	};

	sock_recv_timestamp(msg, sk, skb);
	ferry_recv_counts(sk, msg, &extras);
}

/* More of a message does not come back with what the network says of it. */
#define FERRY_QUOTE_MAX	(SKB_MAX_ORDER(0, 0) - sizeof(struct ferry_offender))

/**
 * ferry_queue_error() - put what a carrier was told into the socket's error queue
 * @sk: socket
 * @skb: what it was told
 * @off: where the payload begins in it
 * @sa: address that the message was sent to
 * @sa_len: its length, or 0 if it is not known
 *
 * Without memory or room it is lost.
 *
 * Context: any.
 */
void ferry_queue_error(struct sock *sk, const struct sk_buff *skb, unsigned int off,
		       const struct sockaddr_ferry *sa, int sa_len)
{
	unsigned int n = min_t(unsigned int, skb->len - off, FERRY_QUOTE_MAX);
	struct ferry_offender *to;
	struct sk_buff *err;

	err = alloc_skb(sizeof(*to) + n, GFP_ATOMIC);
	if (!err)
		return;
	skb_reserve(err, sizeof(*to));
	to = ferry_offender(err);
	to->len = sa_len;
	memcpy(&to->sa, sa, sa_len);
	if (skb_copy_bits(skb, off, skb_put(err, n), n)) {
		kfree_skb(err);
		return;
	}
	err->tstamp = skb->tstamp;
	*skb_hwtstamps(err) = *skb_hwtstamps((struct sk_buff *)skb);
	SKB_EXT_ERR(err)->ee = SKB_EXT_ERR(skb)->ee;
	if (sock_queue_err_skb(sk, err))
		kfree_skb(err);
}

/**
 * ferry_recv_inq() - SO_INQ: tell a receiver of a byte stream how much is left
 * @msg: message
 * @inq: bytes
 *
 * Context: process, may sleep.
 */
void ferry_recv_inq(struct msghdr *msg, int inq)
{
#ifdef SO_INQ
	put_cmsg(msg, SOL_SOCKET, SCM_INQ, sizeof(inq), &inq);
#endif
}

/**
 * ferry_recv_errors() - recv(2) with MSG_ERRQUEUE
 * @sk: socket
 * @msg: where to
 * @len: bytes that fit
 *
 * Context: process, may sleep.
 * Return: bytes received, -EAGAIN when the queue is empty, or -EFAULT.
 */
int ferry_recv_errors(struct sock *sk, struct msghdr *msg, size_t len)
{
	struct sk_buff *skb = sock_dequeue_err_skb(sk);
	struct {
		struct sock_extended_err	ee;
		struct sockaddr_ferry		sa;
	} err = {};
	struct ferry_offender *offender;
	int addrlen = FERRY_ADDR_HDR;
	int ret, copied;

	if (!skb)
		return -EAGAIN;

	copied = min_t(size_t, skb->len, len);
	if (copied < skb->len)
		msg->msg_flags |= MSG_TRUNC;
	ret = skb_copy_datagram_msg(skb, 0, msg, copied);
	if (ret)
		goto out;

	sock_recv_timestamp(msg, sk, skb);
	err.ee = SKB_EXT_ERR(skb)->ee;
	offender = ferry_offender(skb);
	if (offender && offender->len) {
		addrlen = offender->len;
		memcpy(&err.sa, &offender->sa, addrlen);
	}
	put_cmsg(msg, SOL_FERRY, FERRY_RECVERR, sizeof(err.ee) + addrlen, &err);
	msg->msg_flags |= MSG_ERRQUEUE;
	ret = copied;
out:
	consume_skb(skb);
	/* What lay there was charged to the receive buffer. */
	ferry_buffer_resized(sk);
	return ret;
}
