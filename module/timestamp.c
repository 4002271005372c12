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

#include "ferry.h"

/**
 * ferry_txstamp_prepare() - a message is to be stamped for its sender
 * @sk: sender
 * @first: the message, in no queue
 * @last: its last buffer, to which the stamp belongs
 * @tsflags: SO_TIMESTAMPING flags of the message
 *
 * Under SOF_TIMESTAMPING_OPT_ID the key counts messages, and on a byte stream the
 * bytes, so that it is that of the last byte, as TCP's.
 *
 * Return: 0 or -ENOMEM.
 */
int ferry_txstamp_prepare(struct sock *sk, struct ferry_buf *first,
			  struct ferry_buf *last, u32 tsflags)
{
	bool tsonly = READ_ONCE(sk->sk_tsflags) & SOF_TIMESTAMPING_OPT_TSONLY;

	last->txstamp = ferry_record_skb(tsonly ? NULL : first, GFP_KERNEL);
	if (!last->txstamp)
		return -ENOMEM;
	last->txflags = tsflags & SOF_TIMESTAMPING_TX_RECORD_MASK;
	return 0;
}

/**
 * ferry_txstamp_key() - count a message for SOF_TIMESTAMPING_OPT_ID
 * @sk: sender
 * @len: bytes of a stream, or 1 for a record
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
 * @buf: its last buffer
 * @key: of ferry_txstamp_key()
 *
 * Before it can be read, so that ACK never overtakes.
 *
 * Context: any.
 */
void ferry_txstamp_queued(struct sock *sk, struct ferry_buf *buf, u32 key)
{
	skb_shinfo(buf->txstamp)->tskey = key;
	if (buf->txflags & SOF_TIMESTAMPING_TX_SCHED)
		__skb_tstamp_tx(buf->txstamp, NULL, NULL, sk, SCM_TSTAMP_SCHED);
	if (buf->txflags & SOF_TIMESTAMPING_TX_SOFTWARE)
		__skb_tstamp_tx(buf->txstamp, NULL, NULL, sk, SCM_TSTAMP_SND);
}

/**
 * ferry_txstamp_read() - a message with a stamp has been read
 * @buf: its last buffer, still charged to the sender
 */
void ferry_txstamp_read(struct ferry_buf *buf)
{
	if (buf->txflags & SOF_TIMESTAMPING_TX_ACK)
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
	kfree_skb(skb);
}

/**
 * ferry_recv_extras() - control messages a receiver asked for by options
 * @sk: receiver
 * @msg: message
 * @buf: the last buffer of what was received
 *
 * Context: process, may sleep.
 */
void ferry_recv_extras(struct sock *sk, struct msghdr *msg,
		       const struct ferry_buf *buf)
{
	u32 value;

	if (ferry_stamped(sk) || sock_flag(sk, SOCK_RCVTSTAMP))
		ferry_recv_stamp(sk, msg, buf->stamp);
	if (sock_flag(sk, SOCK_RXQ_OVFL) && buf->drops) {
		value = buf->drops;
		put_cmsg(msg, SOL_SOCKET, SO_RXQ_OVFL, sizeof(value), &value);
	}
#ifdef SO_RCVMARK
	if (sock_flag(sk, SOCK_RCVMARK)) {
		value = buf->mark;
		put_cmsg(msg, SOL_SOCKET, SO_MARK, sizeof(value), &value);
	}
#endif
}

/**
 * ferry_recv_errors() - recv(2) with MSG_ERRQUEUE
 * @sk: socket
 * @msg: where to
 * @len: bytes that fit
 *
 * Return: bytes received, -EAGAIN when the queue is empty, or -EFAULT.
 */
int ferry_recv_errors(struct sock *sk, struct msghdr *msg, size_t len)
{
	int ret = sock_recv_errqueue(sk, msg, len, SOL_FERRY, FERRY_RECVERR);

	/* What lay there was charged to the receive buffer. */
	if (ret >= 0)
		ferry_buffer_resized(sk);
	return ret;
}
