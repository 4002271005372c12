/* SPDX-License-Identifier: GPL-2.0 */
/* urgent.c: the urgent byte of a byte stream */
#ifndef _FERRY_URGENT_H
#define _FERRY_URGENT_H

#include "stream.h"

/**
 * enum ferry_urg - what is known of the urgent byte
 * @FERRY_URG_NONE: there is none, or it lies behind
 * @FERRY_URG_VALID: it can be taken by MSG_OOB
 * @FERRY_URG_TAKEN: it was; its place still marks the stream
 */
enum ferry_urg {
	FERRY_URG_NONE,
	FERRY_URG_VALID,
	FERRY_URG_TAKEN,
};

void ferry_urg_mark(struct ferry_sock *to, unsigned long at, u8 byte);
void ferry_urg_signal(struct sock *sk);
int ferry_urg_recv(struct sock *sk, struct msghdr *msg, size_t len, int flags);
bool ferry_urg_dropped(struct ferry_sock *fs, size_t skip);
long ferry_urg_ahead(struct ferry_sock *fs, size_t skip);
void ferry_urg_passed(struct ferry_sock *fs);
unsigned long ferry_urg_inq(struct sock *sk);
unsigned long ferry_urg_readable(const struct sock *sk);
bool ferry_urg_at_mark(struct sock *sk);
bool ferry_urg_pending(struct sock *sk);

/* ferry_wants_inq() - SO_INQ: does the receiver want to know how much is left? */
static inline bool ferry_wants_inq(const struct ferry_sock *fs)
{
#ifdef SO_INQ
	return READ_ONCE(fs->inq);
#else
	return false;
#endif
}

/* ferry_stream_inq() - bytes that a read of a byte stream would give, for SIOCINQ */
static inline int ferry_stream_inq(struct sock *sk)
{
	unsigned long n = 0;

	if (unlikely(READ_ONCE(ferry_sk(sk)->urg_state)))
		n = ferry_urg_inq(sk);
	else if (ferry_connected(sk))
		n = ferry_stream_queued(ferry_sk(sk));
	return min_t(unsigned long, n, INT_MAX);
}

#endif /* _FERRY_URGENT_H */
