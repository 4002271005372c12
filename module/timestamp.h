/* SPDX-License-Identifier: GPL-2.0 */
/* timestamp.c: stamps, and what else a receiver is told of a message */
#ifndef _FERRY_TIMESTAMP_H
#define _FERRY_TIMESTAMP_H

#include <linux/ktime.h>
#include <linux/net_tstamp.h>
#include <linux/skbuff.h>

#include "buffer.h"
#include "cmsg.h"
#include "compat.h"

/**
 * struct ferry_extras - what a receiver is told of a message, if it asked
 * @stamp: when it was queued, or 0
 * @drops: what the receiver had lost when it was
 * @mark: sender's SO_MARK
 * @priority: sender's SO_PRIORITY
 */
struct ferry_extras {
	ktime_t			stamp;
	u32			drops;
	u32			mark;
	u32			priority;
};

/*
 * ferry_txflags() - which stamps a buffer with one is to give, where the packet has
 * room: SOF_TIMESTAMPING_TX_RECORD_MASK flags and FERRY_TS_OPT_ID. None on a byte
 * stream in the middle of a message. Guarded by the queue's @lock.
 */
static inline u32 *ferry_txflags(const struct ferry_buf *buf)
{
	return &buf->txstamp->mark;
}

int ferry_txstamp_prepare(struct sock *sk, struct ferry_buf *buf, u32 tsflags);
u32 ferry_txstamp_key(struct sock *sk, u32 len);
void ferry_txstamp_queued(struct sock *sk, struct sock *to,
			  struct ferry_buf *buf, u32 key);
void ferry_txstamp_record(struct sock *sk, struct sock *to,
			  struct ferry_buf *first);
void ferry_txstamp_dropped(struct sock *sk, u32 tsflags, u32 key);
void ferry_txstamp_read(struct ferry_buf *buf);
void ferry_recv_extras(struct sock *sk, struct msghdr *msg,
		       const struct ferry_extras *extras);
void ferry_recv_extras_skb(struct sock *sk, struct msghdr *msg, struct sk_buff *skb);
void ferry_queue_error(struct sock *sk, const struct sk_buff *skb, unsigned int off,
		       const struct sockaddr_ferry *sa, int sa_len);
void ferry_recv_inq(struct msghdr *msg, int inq);
int ferry_recv_errors(struct sock *sk, struct msghdr *msg, size_t len);

/* What a receiver can ask for beside the payload; see ferry_recv_extras(). */
#define FERRY_STAMP_FLAGS	(BIT(SOCK_TIMESTAMP) | \
				 BIT(SOCK_TIMESTAMPING_RX_SOFTWARE))
#define FERRY_EXTRA_FLAGS	(FERRY_STAMP_FLAGS | BIT(SOCK_RCVTSTAMP) | \
				 BIT(SOCK_RXQ_OVFL) | BIT(SOCK_RCVMARK) | \
				 FERRY_RCVPRIORITY_FLAG)

/* ferry_stamped() - must every message to @sk be stamped when it is queued? */
static inline bool ferry_stamped(const struct sock *sk)
{
	return READ_ONCE(sk->sk_flags) & FERRY_STAMP_FLAGS;
}

/* ferry_wants_extras() - does @sk want to know more of each message? */
static inline bool ferry_wants_extras(const struct sock *sk)
{
	return READ_ONCE(sk->sk_flags) & FERRY_EXTRA_FLAGS;
}

/* ferry_wants_txstamp() - does the sender of a message want to be told of it? */
static inline bool ferry_wants_txstamp(const struct ferry_sender *from)
{
	return from->tsflags & SOF_TIMESTAMPING_TX_RECORD_MASK;
}

#endif /* _FERRY_TIMESTAMP_H */
