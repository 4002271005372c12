/* SPDX-License-Identifier: GPL-2.0 */
/* poll.c: readiness, room and who is woken */
#ifndef _FERRY_POLL_H
#define _FERRY_POLL_H

#include <linux/poll.h>

#include "stream.h"
#include "urgent.h"

bool ferry_readable(struct sock *sk, const struct sock *peer);
bool ferry_ask_space(struct sock *sk, struct sock *peer, u32 need);
void ferry_wake_reader(struct sock *sk);
void ferry_wake_next(struct sock *sk);
void ferry_wake_taker(struct sock *sk);
void ferry_wake_stream(struct sock *sk, struct sock *peer);
void ferry_wake_writer(struct sock *sk, struct sock *peer);
void ferry_wake_space(struct sock *sk);
void ferry_wake_state(struct sock *sk, int band);
void ferry_relay_start(struct sock *sk, struct sock *to);
void ferry_relay_stop(struct sock *sk);
__poll_t ferry_poll(struct file *file, struct socket *sock,
		    struct poll_table_struct *wait);

/* More urgent bytes than that, which reads leave out, count as unread like others. */
#define FERRY_URG_SPARED	16

/*
 * ferry_stream_unread() - bytes at @peer that reads will take. A few that they leave
 * out do not keep a sender waiting for ever: no read makes them go.
 */
static inline unsigned long ferry_stream_unread(const struct sock *peer)
{
	unsigned long queued = ferry_stream_queued(ferry_sk(peer)), readable;

	if (likely(!queued || !READ_ONCE(ferry_sk(peer)->urg_state)))
		return queued;
	readable = ferry_urg_readable(peer);
	return queued > readable + FERRY_URG_SPARED ? queued : readable;
}

/*
 * Is nothing left at @peer that could be read? What is charged then goes away by
 * no read: a byte stream's last buffer, or what waits in the error queue.
 */
static inline bool ferry_drained(const struct sock *peer)
{
	if (peer->sk_type != SOCK_STREAM)
		return !READ_ONCE(ferry_sk(peer)->head);
	return !ferry_stream_unread(peer);
}

/*
 * Has @sk room for its part of what it sends: is @times its charge in bounds?
 * Unsigned, as twice the largest charge is no int.
 */
static inline bool ferry_sender_room(const struct sock *sk,
				     const struct sock *peer, unsigned int times)
{
	return times * sk_wmem_alloc_get(sk) < READ_ONCE(sk->sk_sndbuf) ||
	       (sk->sk_type == SOCK_STREAM && ferry_drained(peer));
}

/**
 * ferry_receiver_room() - may more be queued at a receiver?
 * @peer: receiver
 * @times: its charge so often must be below its buffer: 1 to go on, 2 to begin
 *	again after there was none
 *
 * Return: true if so.
 */
static inline bool ferry_receiver_room(const struct sock *peer,
				       unsigned int times)
{
	return times * atomic_read(&peer->sk_rmem_alloc) <
	       READ_ONCE(peer->sk_rcvbuf) || ferry_drained(peer);
}

/**
 * ferry_has_room() - may @sk queue one more buffer at @peer?
 * @sk: sender
 * @peer: receiver
 *
 * On a byte stream both limits may be exceeded by the memory of the one buffer that
 * reaches them; for a record this is a first look. Neither is an obstacle once
 * everything is read.
 *
 * Return: true if so.
 */
static inline bool ferry_has_room(const struct sock *sk, const struct sock *peer)
{
	return ferry_sender_room(sk, peer, 1) && ferry_receiver_room(peer, 1);
}

/* ferry_stream_limit() - how many bytes may @sk have unread at @peer? */
static inline size_t ferry_stream_limit(const struct sock *sk,
					const struct sock *peer)
{
	return min(READ_ONCE(sk->sk_sndbuf), READ_ONCE(peer->sk_rcvbuf));
}

/*
 * ferry_stream_whole() - how much is queued whole or not at all: what AF_UNIX
 * queues as one piece, as far as the receiver takes so much
 */
static inline size_t ferry_stream_whole(const struct sock *sk,
					const struct sock *peer)
{
	return min3(SZ_32K, READ_ONCE(sk->sk_sndbuf) / 2,
		    READ_ONCE(peer->sk_rcvbuf));
}

/*
 * Is there room in @limit for @len bytes beside what is @charged? For more than the
 * limit there is when nothing is: a receiver takes them alone, and a sender is told
 * that its buffer was lowered.
 */
static inline bool ferry_fits(u32 charged, u32 len, u32 limit)
{
	return charged + min(len, limit) <= limit;
}

/* ferry_receiver_fits() - the same of a record and its receiver */
static inline bool ferry_receiver_fits(const struct sock *to, u32 len)
{
	return ferry_fits(atomic_read(&to->sk_rmem_alloc), len,
			  READ_ONCE(to->sk_rcvbuf)) || ferry_drained(to);
}

/**
 * ferry_writable() - is there enough room that a waiting sender should go on?
 * @sk: sender
 * @peer: receiver, or NULL to ask for the sender's own buffer only (DGRAM)
 * @need: bytes of the record it is about, or 0
 *
 * Half of both buffers is free, so that a sender which outruns its reader is
 * woken once for many buffers, and any message that a byte stream queues whole has
 * room, as has any record but a longer one; or nothing is left that could be read.
 *
 * Return: true if so.
 */
static inline bool ferry_writable(const struct sock *sk, const struct sock *peer,
				  u32 need)
{
	if (!ferry_sender_room(sk, peer, 2) ||
	    (peer && !ferry_receiver_room(peer, 2)))
		return false;
	if (unlikely(need) &&
	    (!ferry_fits(sk_wmem_alloc_get(sk), need, READ_ONCE(sk->sk_sndbuf)) ||
	     (peer && !ferry_receiver_fits(peer, need))))
		return false;
	return sk->sk_type != SOCK_STREAM ||
	       ferry_stream_unread(peer) + ferry_stream_whole(sk, peer) <=
	       ferry_stream_limit(sk, peer);
}

/*
 * Is there anybody to tell of what was queued at @sk? To be called after a full
 * barrier, which pairs with ferry_ask_data() and ferry_poll(): they see the data or we
 * them.
 */
static inline bool ferry_watched(const struct sock *sk)
{
	const struct ferry_sock *fs = ferry_sk(sk);

	return READ_ONCE(fs->waiting) || READ_ONCE(fs->polled) ||
	       sock_flag(sk, SOCK_FASYNC);
}

/* A reader in the wait queue of @sk is about to look for data a last time. */
static inline void ferry_ask_data(struct sock *sk)
{
	WRITE_ONCE(ferry_sk(sk)->waiting, 1);
	/* Pairs with ferry_watched(). */
	smp_mb();
}

/**
 * ferry_stream_ready() - bytes were queued at a byte stream
 * @sk: receiver
 * @peer: who sends to it
 */
static inline void ferry_stream_ready(struct sock *sk, struct sock *peer)
{
	sk_incoming_cpu_update(sk);
	/* After the barrier of ferry_stream_publish(). */
	if (unlikely(ferry_watched(sk)))
		ferry_wake_stream(sk, peer);
}

/**
 * ferry_record_ready() - a record was queued
 * @sk: receiver
 */
static inline void ferry_record_ready(struct sock *sk)
{
	/* Pairs with ferry_ask_data() and ferry_poll(). */
	smp_mb();
	if (unlikely(ferry_watched(sk)))
		ferry_wake_reader(sk);
}

/**
 * ferry_write_space() - @peer has read from what @sk sent
 * @sk: sender; woken if it waits and there is room again
 * @peer: reader, or NULL as for ferry_writable()
 *
 * To be called after the room was made.
 */
static inline void ferry_write_space(struct sock *sk, struct sock *peer)
{
	/* Pairs with ferry_ask_space(): either it sees the room or we see it. */
	smp_mb();
	if (unlikely(READ_ONCE(ferry_sk(sk)->nospace)))
		ferry_wake_writer(sk, peer);
}

#endif /* _FERRY_POLL_H */
