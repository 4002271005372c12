// SPDX-License-Identifier: GPL-2.0
/*
 * Broadcast: one datagram to every socket bound to a name.
 *
 * The payload is allocated once; each receiver gets a small buffer that shows
 * it, charged to that receiver alone. Nobody waits: a receiver without room
 * loses the message, which is counted, and is told so if it wants to be
 * (FERRY_BROADCAST_POLICY); the others never notice.
 */
#include <linux/in6.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "broadcast.h"
#include "buffer.h"
#include "ferry.h"
#include "filter.h"
#include "name.h"
#include "poll.h"
#include "record.h"
#include "timestamp.h"

/* ff01::1, all nodes of the interface-local scope: every socket of this host. */
static const u8 ferry_all_here[16] = { 0xff, 0x01, [15] = 1 };

/* ferry_is_broadcast() - does the address mean many receivers? */
bool ferry_is_broadcast(const struct sockaddr_ferry *sa)
{
	return !memcmp(sa->sfy_node, ferry_all_here, sizeof(ferry_all_here));
}

/* A record of its own for one receiver, NULL without memory. */
static struct ferry_buf *ferry_broadcast_share(struct ferry_buf *buf)
{
	struct ferry_buf *first = NULL, **link = &first;

	for (; buf; buf = buf->next) {
		*link = ferry_buf_share(buf);
		if (!*link) {
			ferry_buf_put_list(first);
			return NULL;
		}
		link = &(*link)->next;
	}
	return first;
}

/**
 * struct ferry_audience - who is to get a broadcast
 * @sk: sender
 * @socks: the receivers, each with a reference
 * @size: how many fit
 * @count: how many were found
 * @few: room for as many as most names have
 */
struct ferry_audience {
	struct sock	*sk;
	struct sock	**socks;
	unsigned int	size;
	unsigned int	count;
	struct sock	*few[16];
};

/* Does @to take datagrams of @sk? For sure only under the @lock of @to. */
static bool ferry_broadcast_wanted(const struct sock *to, const struct sock *sk)
{
	const struct ferry_sock *tfs = ferry_sk(to);
	const struct sock *peer = READ_ONCE(tfs->peer);

	return !READ_ONCE(tfs->dead) && (!peer || peer == sk) &&
	       !(READ_ONCE(to->sk_shutdown) & RCV_SHUTDOWN);
}

static void ferry_audience_add(struct sock *to, void *arg)
{
	struct ferry_audience *audience = arg;

	if (!ferry_broadcast_wanted(to, audience->sk))
		return;
	if (audience->count >= audience->size) {
		audience->count++;
		return;
	}
	if (refcount_inc_not_zero(&to->sk_refcnt))
		audience->socks[audience->count++] = to;
}

static void ferry_audience_put(struct ferry_audience *audience)
{
	unsigned int i, n = min(audience->count, audience->size);

	for (i = 0; i < n; i++) {
		sock_put(audience->socks[i]);
		cond_resched();
	}
	if (audience->socks != audience->few)
		kvfree(audience->socks);
}

/*
 * Find all receivers. Under RCU no more is done than that: however many they
 * are and whatever their filters do, nobody waits for the end of it.
 */
static int ferry_audience_get(struct ferry_audience *audience,
			      const struct sockaddr_ferry *sa, int len)
{
	int err;

	audience->socks = audience->few;
	audience->size = ARRAY_SIZE(audience->few);
	for (;;) {
		audience->count = 0;
		err = ferry_name_for_each(audience->sk, sa, len,
					  ferry_audience_add, audience);
		if (err || likely(audience->count <= audience->size))
			break;

		ferry_audience_put(audience);
		/* Some may be bound meanwhile. */
		audience->size = audience->count + audience->count / 4;
		audience->socks = kvmalloc_array(audience->size,
						 sizeof(*audience->socks),
						 GFP_KERNEL_ACCOUNT);
		if (!audience->socks)
			return -ENOMEM;
	}
	if (err)
		ferry_audience_put(audience);
	return err;
}

/*
 * A receiver loses a broadcast. Returns whether it is to be told: once, until it
 * has got another.
 */
static bool ferry_broadcast_lost(struct sock *to)
{
	struct ferry_sock *tfs = ferry_sk(to);

	lockdep_assert_held(&tfs->lock);

	ferry_dropped(to, "rcvbuf");
	if (tfs->cut_off || READ_ONCE(tfs->broadcast_policy) !=
			    FERRY_BROADCAST_DISCONNECT)
		return false;
	tfs->cut_off = 1;
	WRITE_ONCE(to->sk_err, ENOBUFS);
	return true;
}

/* What @to gets to see of @first: NULL without room or memory, or -EPERM. */
static struct ferry_buf *ferry_broadcast_copy(struct sock *sk, struct sock *to,
					      struct ferry_buf *first)
{
	struct ferry_buf *copy;
	int err;

	/* Before a filter is given work. */
	if (!ferry_receiver_room(to, 1))
		return NULL;
	copy = ferry_broadcast_share(first);
	if (!copy || likely(!rcu_access_pointer(to->sk_filter)))
		return copy;

	err = ferry_filter_record(sk, to, copy);
	if (likely(!err))
		return copy;
	ferry_buf_put_list(copy);
	return err == -EPERM ? ERR_PTR(err) : NULL;
}

static void ferry_broadcast_one(struct sock *sk, struct sock *to,
				struct ferry_buf *first)
{
	struct ferry_sock *tfs = ferry_sk(to);
	bool queued = false, told = false;
	struct ferry_buf *copy;

	if (!ferry_broadcast_wanted(to, sk))
		return;
	copy = ferry_broadcast_copy(sk, to, first);
	if (IS_ERR(copy))
		return;

	spin_lock(&tfs->lock);
	if (likely(ferry_broadcast_wanted(to, sk))) {
		queued = copy && ferry_record_room(to, copy);
		if (queued) {
			ferry_record_link(to, copy);
			tfs->cut_off = 0;
		} else {
			told = ferry_broadcast_lost(to);
		}
	}
	spin_unlock(&tfs->lock);

	if (likely(queued)) {
		ferry_record_ready(to);
		return;
	}
	ferry_buf_put_list(copy);
	if (told)
		sk_error_report(to);
}

/**
 * ferry_broadcast() - send a datagram to all sockets of a name
 * @sk: sender
 * @sa: address with a broadcast node
 * @len: its length
 * @first: the record, complete; stays the caller's
 *
 * That nobody is there is no error. Who is being killed sends to no more of them.
 *
 * Context: process, may sleep.
 * Return: 0; -EPIPE after SHUT_WR; -EACCES without SO_BROADCAST or against the
 * name's mode; -EOPNOTSUPP with descriptors; -ENOMEM.
 */
int ferry_broadcast(struct sock *sk, const struct sockaddr_ferry *sa, int len,
		    struct ferry_buf *first)
{
	struct ferry_audience audience __uninitialized;
	unsigned int i;
	int err;

	if (READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN)
		return -EPIPE;
	if (!sock_flag(sk, SOCK_BROADCAST))
		return -EACCES;
	if (first->rights)
		return -EOPNOTSUPP;

	audience.sk = sk;
	err = ferry_audience_get(&audience, sa, len);
	if (err)
		return err;
	/* The receivers' buffers show it as long as they like. */
	ferry_buf_disown(first);
	for (i = 0; i < audience.count; i++) {
		if (unlikely(fatal_signal_pending(current)))
			break;
		ferry_broadcast_one(sk, audience.socks[i], first);
		cond_resched();
	}
	ferry_audience_put(&audience);
	/* As many may read it, or nobody: it is sent, and never acknowledged. */
	if (unlikely(first->txstamp))
		ferry_txstamp_record(sk, NULL, first);
	return 0;
}
