// SPDX-License-Identifier: GPL-2.0
/*
 * Broadcast: one datagram to every socket bound to a name.
 *
 * The payload is allocated once; each receiver gets a small buffer that shows
 * it, charged to that receiver alone. Nobody waits: a receiver without room
 * loses the message, which is counted, or is told so (FERRY_BROADCAST_POLICY),
 * and the others never notice.
 */
#include <linux/in6.h>

#include "ferry.h"

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

struct ferry_broadcast {
	struct sock		*sk;
	struct ferry_buf	*first;
};

static void ferry_broadcast_lost(struct sock *to)
{
	ferry_dropped(to, "rcvbuf");
	if (READ_ONCE(ferry_sk(to)->broadcast_policy) ==
	    FERRY_BROADCAST_DISCONNECT) {
		WRITE_ONCE(to->sk_err, ENOBUFS);
		sk_error_report(to);
	}
}

/* Does @to take datagrams of @sk? For sure only under the @lock of @to. */
static bool ferry_broadcast_wanted(const struct sock *to, const struct sock *sk)
{
	const struct ferry_sock *tfs = ferry_sk(to);
	const struct sock *peer = READ_ONCE(tfs->peer);

	return !READ_ONCE(tfs->dead) && (!peer || peer == sk) &&
	       !(READ_ONCE(to->sk_shutdown) & RCV_SHUTDOWN);
}

static void ferry_broadcast_one(struct sock *to, void *arg)
{
	const struct ferry_broadcast *bc = arg;
	struct ferry_sock *tfs = ferry_sk(to);
	struct ferry_buf *first;
	bool room, wanted;

	if (!ferry_broadcast_wanted(to, bc->sk))
		return;
	first = ferry_broadcast_share(bc->first);
	if (first && unlikely(rcu_access_pointer(to->sk_filter))) {
		int err = ferry_filter_record(bc->sk, to, first, GFP_ATOMIC);

		if (err) {
			ferry_buf_put_list(first);
			if (err != -EPERM)
				ferry_broadcast_lost(to);
			return;
		}
	}

	spin_lock(&tfs->lock);
	wanted = ferry_broadcast_wanted(to, bc->sk);
	room = first && atomic_read(&to->sk_rmem_alloc) <
			READ_ONCE(to->sk_rcvbuf);
	if (wanted && room)
		ferry_record_link(to, first);
	spin_unlock(&tfs->lock);

	if (wanted && room) {
		ferry_record_ready(to);
		return;
	}
	if (wanted)
		ferry_broadcast_lost(to);
	ferry_buf_put_list(first);
}

/**
 * ferry_broadcast() - send a datagram to all sockets of a name
 * @sk: sender
 * @sa: address with a broadcast node
 * @len: its length
 * @first: the record, complete and charged to nobody; stays the caller's
 *
 * That nobody is there is no error.
 *
 * Context: process.
 * Return: 0; -EPIPE after SHUT_WR; -EACCES without SO_BROADCAST or against the name's mode;
 * -EOPNOTSUPP with descriptors.
 */
int ferry_broadcast(struct sock *sk, const struct sockaddr_ferry *sa, int len,
		    struct ferry_buf *first)
{
	struct ferry_broadcast bc = { .sk = sk, .first = first };
	int err;

	if (READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN)
		return -EPIPE;
	if (!sock_flag(sk, SOCK_BROADCAST))
		return -EACCES;
	if (first->rights)
		return -EOPNOTSUPP;
	/* The receivers' buffers show it as long as they like. */
	ferry_buf_disown(first);
	err = ferry_name_for_each(sk, sa, len, ferry_broadcast_one, &bc);
	/* As many may read it, or nobody: it is sent, and never acknowledged. */
	if (unlikely(first->txstamp) && !err)
		ferry_txstamp_record(sk, NULL, first);
	return err;
}
