// SPDX-License-Identifier: GPL-2.0
/*
 * Readiness in one place: what is readable and writable, who is woken when that
 * changes, and the poll mask. Blocking calls, poll, epoll and SIGIO all ask here.
 *
 * After it has queued a sender looks whether anybody sleeps (@waiting), has ever
 * polled (@polled) or wants signals; then it wakes, so that with an edge-triggered
 * epoll every message is an event. A blocked reader leaves the wait queue with the
 * first wake-up, so a burst costs one; of those who wait for a record one is woken
 * for each, and wakes the next if it leaves any (ferry_wake_next()). A reader looks
 * for a sleeper only when a sender said that it found no room (@nospace).
 */
#include <linux/poll.h>

#include "carrier_udp.h"
#include "compat.h"
#include "ferry.h"
#include "poll.h"
#include "remote.h"
#include "remote_dgram.h"
#include "stream.h"
#include "urgent.h"

/**
 * ferry_readable() - is there enough unread for a reader to go on?
 * @sk: receiver
 * @peer: who sends to it (byte stream)
 *
 * A record suffices. A byte stream's low-water mark can always be reached: it
 * counts as reached when the sender waits for room.
 *
 * Return: true if so.
 */
bool ferry_readable(struct sock *sk, const struct sock *peer)
{
	const struct ferry_sock *fs = ferry_sk(sk);
	unsigned long avail;

	if (sk->sk_type != SOCK_STREAM)
		return READ_ONCE(fs->head) || ferry_remote_waits(sk);

	avail = unlikely(READ_ONCE(fs->urg_state)) ? ferry_urg_readable(sk) :
						     ferry_stream_queued(fs);
	if (!avail)
		return false;
	if (likely(avail >= READ_ONCE(sk->sk_rcvlowat)))
		return true;
	return READ_ONCE(ferry_sk(peer)->nospace);
}

static void ferry_wake_sleepers(struct sock *sk, __poll_t mask)
{
	struct socket_wq *wq;

	/* Who waits on sets it again. */
	WRITE_ONCE(ferry_sk(sk)->waiting, 0);
	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	if (skwq_has_sleeper(wq))
		wake_up_interruptible_sync_poll(&wq->wait, mask);
	rcu_read_unlock();
}

static void ferry_wake(struct sock *sk, __poll_t mask, int how, int band)
{
	ferry_wake_sleepers(sk, mask);
	sk_wake_async(sk, how, band);
}

/**
 * ferry_wake_reader() - data or a connection arrived at @sk
 * @sk: receiver
 */
void ferry_wake_reader(struct sock *sk)
{
	ferry_wake(sk, EPOLLIN | EPOLLRDNORM | EPOLLRDBAND | EPOLLPRI,
		   SOCK_WAKE_WAITD, POLL_IN);
}

/**
 * ferry_wake_next() - wake one more of those who block until there is a record
 * @sk: receiver
 *
 * Who polls has heard of the record: the key is one that nobody polls for.
 */
void ferry_wake_next(struct sock *sk)
{
	wake_up_interruptible_poll(sk_sleep(sk), EPOLLMSG);
}

/**
 * ferry_wake_taker() - a record from another host waits for one of those who block
 * @sk: receiver
 *
 * Who polls is told when it has been taken: the key is one that nobody polls for.
 */
void ferry_wake_taker(struct sock *sk)
{
	ferry_wake_sleepers(sk, EPOLLMSG);
}

/**
 * ferry_wake_stream() - bytes arrived at a byte stream that somebody watches
 * @sk: receiver
 * @peer: who sends to it
 *
 * Below the low-water mark only those are woken who are in the middle of a read.
 * After the barrier of ferry_watched().
 */
void ferry_wake_stream(struct sock *sk, struct sock *peer)
{
	if (ferry_readable(sk, peer))
		ferry_wake_reader(sk);
	else if (READ_ONCE(ferry_sk(sk)->waiting))
		ferry_wake_sleepers(sk, EPOLLIN | EPOLLRDNORM);
}

/**
 * ferry_wake_writer() - wake those who wait for room, if there is enough
 * @sk: sender with @nospace set
 * @peer: reader, or NULL as for ferry_writable()
 */
void ferry_wake_writer(struct sock *sk, struct sock *peer)
{
	if (peer && !ferry_receiver_room(peer, 2))
		return;
	/* Who waits there with a record in hand looks at the peer's room alone. */
	if (sk->sk_type != SOCK_SEQPACKET && !ferry_writable(sk, peer, 0))
		return;

	WRITE_ONCE(ferry_sk(sk)->nospace, 0);
	ferry_wake(sk, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND, SOCK_WAKE_SPACE,
		   POLL_OUT);
}

/**
 * ferry_wake_space() - the network has taken what a carrier had to send
 * @sk: sender
 *
 * Its own memory has nothing to do with that, so there is nothing to ask.
 */
void ferry_wake_space(struct sock *sk)
{
	ferry_wake(sk, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND, SOCK_WAKE_SPACE,
		   POLL_OUT);
}

/**
 * ferry_ask_space() - @sk is about to wait for room
 * @sk: sender
 * @peer: receiver, or NULL as for ferry_writable()
 * @need: bytes of the record, or 0
 *
 * Return: true if there is none, and @sk will be woken.
 */
bool ferry_ask_space(struct sock *sk, struct sock *peer, u32 need)
{
	bool dgram = sk->sk_type == SOCK_DGRAM;

	if (!dgram)
		WRITE_ONCE(ferry_sk(sk)->nospace, 1);
	sk_set_bit(SOCKWQ_ASYNC_NOSPACE, sk);
	/* Pairs with ferry_write_space(). */
	smp_mb();
	if (ferry_writable(sk, peer, need))
		return false;
	if (dgram) {
		/*
		 * A datagram's receiver tells of its room itself. If that alone lacks,
		 * own memory that is given back is no news. It is asked and not guessed
		 * from room here, which may have come since the look above.
		 */
		if (ferry_sender_room(sk, peer, 2) &&
		    peer && !ferry_receiver_room(peer, 2))
			return true;
		WRITE_ONCE(ferry_sk(sk)->nospace, 1);
		/* As above. */
		smp_mb();
		return !ferry_writable(sk, peer, need);
	}

	/* More than what is there now may never come: see ferry_readable(). */
	if (unlikely(peer && (READ_ONCE(peer->sk_rcvlowat) > 1 ||
			      READ_ONCE(ferry_sk(peer)->waiting))))
		ferry_wake_reader(peer);
	return true;
}

/**
 * ferry_wake_state() - the connection of @sk changed
 * @sk: socket whose peer shut down, closed, accepted or refused
 * @band: what SIGIO tells, POLL_IN, POLL_OUT or POLL_HUP
 *
 * All who wait are woken whatever they wait for.
 */
void ferry_wake_state(struct sock *sk, int band)
{
	struct socket_wq *wq;

	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	if (skwq_has_sleeper(wq))
		wake_up_interruptible_all(&wq->wait);
	rcu_read_unlock();
	sk_wake_async(sk, SOCK_WAKE_IO, band);
}

/* A receiver that was full has room: tell those who poll its sender. */
static int ferry_relay(wait_queue_entry_t *entry, unsigned int mode, int flags,
		       void *key)
{
	struct ferry_sock *fs = container_of(entry, struct ferry_sock, relay);

	list_del_init(&entry->entry);
	ferry_wake(&fs->sk, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND,
		   SOCK_WAKE_SPACE, POLL_OUT);
	/* Pairs with ferry_relay_stop(): last touch of the socket. */
	smp_store_release(&fs->relay_at, NULL);
	return 0;
}

/**
 * ferry_relay_start() - be told when a datagram's receiver has room again
 * @sk: sender
 * @to: receiver, with a reference; nothing happens if it is not the peer of a
 *	connected @sk, nor bound
 *
 * There is one entry: a socket without peer is told of the receiver that refused
 * last.
 */
void ferry_relay_start(struct sock *sk, struct sock *to)
{
	struct ferry_sock *fs = ferry_sk(sk), *tfs = ferry_sk(to);
	unsigned long flags;

	spin_lock(&fs->lock);
	/*
	 * The entry holds no reference on @to. A peer is held until the entry was
	 * taken out; others are bound, and so freed after a grace period.
	 */
	if (fs->peer ? fs->peer == to : sock_flag(to, SOCK_RCU_FREE)) {
		/* The first time. */
		if (!fs->relay.func) {
			init_waitqueue_func_entry(&fs->relay, ferry_relay);
			INIT_LIST_HEAD(&fs->relay.entry);
		}
		if (READ_ONCE(fs->relay_at) != to)
			ferry_relay_stop(sk);
		spin_lock_irqsave(&tfs->senders.lock, flags);
		/* Its release empties the queue after it has set @dead. */
		if (list_empty(&fs->relay.entry) && !READ_ONCE(tfs->dead)) {
			__add_wait_queue(&tfs->senders, &fs->relay);
			WRITE_ONCE(fs->relay_at, to);
		}
		WRITE_ONCE(tfs->full, 1);
		spin_unlock_irqrestore(&tfs->senders.lock, flags);
	}
	spin_unlock(&fs->lock);
	/* Pairs with the reader's look for sleepers after it made room. */
	smp_mb();
}

/**
 * ferry_relay_stop() - @sk is no longer to be told of any receiver's room
 * @sk: datagram socket; the caller holds its @lock
 */
void ferry_relay_stop(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);
	struct sock *at;

	lockdep_assert_held(&fs->lock);

	rcu_read_lock();
	/* Pairs with ferry_relay(), which may be at work until it is NULL. */
	at = smp_load_acquire(&fs->relay_at);
	if (at) {
		wait_queue_head_t *senders = &ferry_sk(at)->senders;
		unsigned long flags;

		spin_lock_irqsave(&senders->lock, flags);
		list_del_init(&fs->relay.entry);
		WRITE_ONCE(fs->relay_at, NULL);
		spin_unlock_irqrestore(&senders->lock, flags);
	}
	rcu_read_unlock();
}

/*
 * Whose room counts for @sk beside its own: its peer's, or without one that of the
 * receiver which refused last and has told of no room since. With a reference, or
 * NULL.
 */
static struct sock *ferry_dgram_awaited(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);
	struct sock *to;

	spin_lock(&fs->lock);
	to = fs->peer;
	if (unlikely(to == sk) && rcu_access_pointer(fs->remote)) {
		to = NULL;
	} else if (to) {
		sock_hold(to);
	} else {
		rcu_read_lock();
		to = READ_ONCE(fs->relay_at);
		if (to && !refcount_inc_not_zero(&to->sk_refcnt))
			to = NULL;
		rcu_read_unlock();
	}
	spin_unlock(&fs->lock);
	return to;
}

static bool ferry_dgram_writable(struct sock *sk)
{
	u32 need = READ_ONCE(ferry_sk(sk)->refused);
	struct sock *to;
	bool writable;

	if (ferry_udp_full(sk))
		return false;
	to = ferry_dgram_awaited(sk);
	if (!to)
		return !ferry_ask_space(sk, NULL, need);

	writable = ferry_writable(sk, to, need);
	if (!writable) {
		ferry_relay_start(sk, to);
		/* A receiver that takes no more wakes nobody: sending tells. */
		writable = !ferry_ask_space(sk, to, need) || ferry_send_closed(sk, to);
	}
	sock_put(to);
	return writable;
}

/* Who polls is told that there is room: what was refused may be sent now. */
static bool ferry_told_writable(struct sock *sk, bool writable)
{
	struct ferry_sock *fs = ferry_sk(sk);

	if (writable && unlikely(READ_ONCE(fs->refused)))
		WRITE_ONCE(fs->refused, 0);
	return writable;
}

static __poll_t ferry_poll_dgram(struct sock *sk)
{
	u8 shutdown = READ_ONCE(sk->sk_shutdown);
	__poll_t mask = 0;

	if (shutdown & RCV_SHUTDOWN)
		mask |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
	else if (ferry_readable(sk, NULL))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (shutdown == SHUTDOWN_MASK)
		mask |= EPOLLHUP;
	if (ferry_told_writable(sk, ferry_dgram_writable(sk)))
		mask |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
	return mask;
}

static __poll_t ferry_poll_connected(struct sock *sk, struct sock *peer)
{
	bool in_closed = ferry_recv_closed(sk, peer);
	bool out_closed = ferry_send_closed(sk, peer);
	u32 need = READ_ONCE(ferry_sk(sk)->refused);
	__poll_t mask = 0;

	if (in_closed)
		mask |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
	else if (ferry_readable(sk, peer))
		mask |= EPOLLIN | EPOLLRDNORM;

	if (in_closed && out_closed)
		mask |= EPOLLHUP;

	if (ferry_told_writable(sk, out_closed || ferry_writable(sk, peer, need) ||
				!ferry_ask_space(sk, peer, need)))
		mask |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
	return mask;
}

/**
 * ferry_poll() - the poll mask, see rows E01-E09 of the contract
 * @file: file of the socket
 * @sock: the socket
 * @wait: poll table
 *
 * Return: the mask.
 */
__poll_t ferry_poll(struct file *file, struct socket *sock,
		    struct poll_table_struct *wait)
{
	struct sock *sk = sock->sk;
	struct ferry_sock *fs = ferry_sk(sk);
	__poll_t mask = 0;

	/* Before sock_poll_wait(), whose barrier pairs with ferry_watched(). */
	if (ferry_poll_waits(wait) && !READ_ONCE(fs->polled))
		WRITE_ONCE(fs->polled, 1);
	sock_poll_wait(file, sock, wait);

	if (sk->sk_type == SOCK_DGRAM) {
		mask = ferry_poll_dgram(sk);
		goto errors;
	}

	switch (ferry_state(sk)) {
	case TCP_LISTEN:
		if (READ_ONCE(sk->sk_ack_backlog))
			mask |= EPOLLIN | EPOLLRDNORM;
		break;
	case TCP_ESTABLISHED:
		mask |= ferry_poll_connected(sk, fs->peer);
		if (unlikely(ferry_urg_pending(sk)))
			mask |= EPOLLPRI;
		break;
	case FERRY_REMOTE:
		/* It was connected while this call came here. */
		return ferry_remote_poll(file, sock, NULL);
	case TCP_CLOSE:
		mask |= EPOLLHUP | EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
		break;
	}
errors:
	/* Last: who ends a connection sets the error before. */
	if (READ_ONCE(sk->sk_err) || !skb_queue_empty_lockless(&sk->sk_error_queue))
		mask |= EPOLLERR |
			(sock_flag(sk, SOCK_SELECT_ERR_QUEUE) ? EPOLLPRI : 0);
	return mask;
}
