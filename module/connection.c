// SPDX-License-Identifier: GPL-2.0
/*
 * Connections: listen, connect, accept, socketpair, shutdown and their end.
 *
 * States (sk_state): TCP_CLOSE, TCP_LISTEN, TCP_SYN_SENT (waits for a place in
 * a listener's queue) and TCP_ESTABLISHED. connect(2) makes the peer, the
 * child, itself. With a place in the queue both are linked at once; without,
 * the socket waits in the listener's connect_queue with its child in hand, and
 * whoever makes room (accept, listen with a larger backlog) links them. So no
 * step that completes a connection can fail.
 *
 * A socket enters TCP_SYN_SENT under its lock_sock() and the listener's @lock,
 * and leaves it under the listener's @lock alone. Who ends the wait drops the
 * reference on the listener.
 */
#include <linux/slab.h>

#include "af_ferry.h"
#include "buffer.h"
#include "carrier_tcp.h"
#include "carrier_udp.h"
#include "cmsg.h"
#include "compat-scm.h"
#include "compat.h"
#include "connection.h"
#include "ferry.h"
#include "inflight.h"
#include "name.h"
#include "node.h"
#include "poll.h"
#include "remote.h"
#include "remote_dgram.h"
#include "socklist.h"
#include "sockopt.h"
#include "stream.h"

/**
 * struct ferry_share - what one user has of a listener's queue
 * @node: in the listener's @shares, by @uid
 * @uid: the user, neither root nor the listener's owner
 * @held: connections that wait to be accepted
 * @refs: these, and those that wait for a place
 *
 * Guarded by the listener's @lock. Gone with the last connection.
 */
struct ferry_share {
	struct rb_node	node;
	kuid_t		uid;
	u32		held;
	u32		refs;
};

/**
 * ferry_set_peercred() - record what SO_PEERCRED tells
 * @sk: socket
 * @pid: process of the peer, or NULL
 * @cred: its credentials
 *
 * Context: process.
 */
void ferry_set_peercred(struct sock *sk, struct pid *pid, const struct cred *cred)
{
	const struct cred *old_cred;
	struct pid *old_pid;

	spin_lock(&sk->sk_peer_lock);
	old_pid = sk->sk_peer_pid;
	old_cred = sk->sk_peer_cred;
	sk->sk_peer_pid = get_pid(pid);
	sk->sk_peer_cred = get_cred(cred);
	spin_unlock(&sk->sk_peer_lock);

	put_pid(old_pid);
	put_cred(old_cred);
}

/* The same for a socket without, which nobody else asks yet. */
static void ferry_init_peercred(struct sock *sk)
{
	sk->sk_peer_pid = get_pid(task_tgid(current));
	sk->sk_peer_cred = get_current_cred();
}

static void ferry_copy_peercred(struct sock *sk, struct sock *from)
{
	const struct cred *cred;
	struct pid *pid;

	spin_lock(&from->sk_peer_lock);
	pid = get_pid(from->sk_peer_pid);
	cred = get_cred(from->sk_peer_cred);
	spin_unlock(&from->sk_peer_lock);

	ferry_set_peercred(sk, pid, cred);
	put_pid(pid);
	put_cred(cred);
}

/* Make two sockets each other's peer. */
static void ferry_link(struct sock *a, struct sock *b)
{
	sock_hold(a);
	sock_hold(b);
	ferry_sk(a)->peer = b;
	ferry_sk(b)->peer = a;
	/* Who sees the state may use the peer without a lock. */
	ferry_set_state(b, TCP_ESTABLISHED);
	ferry_set_state(a, TCP_ESTABLISHED);
}

/* Make the listener's end of a connection of @uid. */
static struct sock *ferry_child_alloc(struct sock *listener, kuid_t uid)
{
	struct ferry_addr *addr;
	struct sock *child;

	child = ferry_sock_alloc(sock_net(listener), NULL, listener->sk_type, 0);
	if (!child)
		return NULL;

	ferry_inherit(child, listener);
	security_sk_clone(listener, child);
	WRITE_ONCE(child->sk_uid, uid);
	/* The CPU of connect(2), until data comes by another. */
	WRITE_ONCE(child->sk_incoming_cpu, raw_smp_processor_id());
	/* A listener is bound, and its address outlives it. */
	addr = ferry_sk(listener)->addr;
	refcount_inc(&addr->refs);
	/* The child is in the list of sockets already. */
	smp_store_release(&ferry_sk(child)->addr, addr);
	return child;
}

/*
 * Let the security module note each end's label for the SO_PEERSEC of the other,
 * as it does for the ends of a socketpair. security_unix_stream_connect() is not
 * for us: Landlock takes the listener for one of AF_UNIX there. The child has no
 * struct socket yet; no module looks at more of it than its @sk.
 */
static int ferry_exchange_labels(struct socket *sock, struct sock *child)
{
	struct socket end = {
		.state = SS_CONNECTED,
		.type = child->sk_type,
		.ops = sock->ops,
		.sk = child,
	};

	return security_socket_socketpair(sock, &end);
}

/* A share for a connection of @uid, or NULL for who may have all places. */
static struct ferry_share *ferry_share_alloc(const struct sock *listener,
					     kuid_t uid)
{
	struct ferry_share *share;

	if (uid_eq(uid, listener->sk_uid) || uid_eq(uid, GLOBAL_ROOT_UID))
		return NULL;
	share = kmalloc(sizeof(*share), GFP_KERNEL_ACCOUNT);
	if (!share)
		return ERR_PTR(-ENOMEM);
	share->uid = uid;
	share->held = 0;
	share->refs = 0;
	return share;
}

static int ferry_share_cmp(struct rb_node *a, const struct rb_node *b)
{
	kuid_t one = rb_entry(a, struct ferry_share, node)->uid;
	kuid_t other = rb_entry(b, struct ferry_share, node)->uid;

	return uid_lt(one, other) ? -1 : uid_gt(one, other);
}

/* @child, a new one, counts in the share of its user, which may be @fresh. */
static void ferry_share_get(struct sock *listener, struct sock *child,
			    struct ferry_share *fresh)
{
	struct rb_node *node;

	lockdep_assert_held(&ferry_sk(listener)->lock);

	if (!fresh)
		return;
	node = rb_find_add(&fresh->node, &ferry_sk(listener)->shares,
			   ferry_share_cmp);
	if (node) {
		kfree(fresh);
		fresh = rb_entry(node, struct ferry_share, node);
	}
	fresh->refs++;
	ferry_sk(child)->share = fresh;
}

/* @child, which may be @unaccepted yet, waits no more and does not count. */
static void ferry_share_put(struct sock *listener, struct sock *child)
{
	struct ferry_share *share = ferry_sk(child)->share;

	lockdep_assert_held(&ferry_sk(listener)->lock);

	if (!share)
		return;
	ferry_sk(child)->share = NULL;
	share->held -= ferry_sk(child)->unaccepted;
	if (!--share->refs) {
		rb_erase(&share->node, &ferry_sk(listener)->shares);
		kfree(share);
	}
}

/*
 * Is there a place in the queue for a connection of the user who has @share? Beside
 * the backlog itself, nobody but root and the listener's owner may hold more than
 * half.
 */
static bool ferry_has_place(struct sock *listener,
			    const struct ferry_share *share)
{
	u32 half;

	lockdep_assert_held(&ferry_sk(listener)->lock);

	if (sk_acceptq_is_full(listener))
		return false;
	half = max(1U, (READ_ONCE(listener->sk_max_ack_backlog) + 1) / 2);
	return READ_ONCE(listener->sk_ack_backlog) < half ||
	       !share || share->held < half;
}

/* Put a child that is connected into the listener's queue. */
static void ferry_child_queue(struct sock *child, struct sock *listener)
{
	lockdep_assert_held(&ferry_sk(listener)->lock);

	list_add_tail(&ferry_sk(child)->node, &ferry_sk(listener)->accept_queue);
	sk_acceptq_added(listener);
}

/* It is about to wait there. */
static void ferry_child_begin(struct sock *child, struct sock *listener)
{
	lockdep_assert_held(&ferry_sk(listener)->lock);

	ferry_sk(child)->listener = listener;
	WRITE_ONCE(ferry_sk(child)->unaccepted, 1);
	if (ferry_sk(child)->share)
		ferry_sk(child)->share->held++;
}

/* Connect @sk and put its peer into the listener's queue. */
static void ferry_establish(struct sock *sk, struct sock *child,
			    struct sock *listener)
{
	lockdep_assert_held(&ferry_sk(listener)->lock);

	ferry_copy_peercred(sk, listener);
	ferry_child_begin(child, listener);
	ferry_link(sk, child);
	ferry_child_queue(child, listener);
}

/**
 * ferry_remote_child() - make the listener's end of a connection from another host
 * @listener: listener
 *
 * Who connects is nobody known here.
 *
 * Context: process, may sleep.
 * Return: the socket with one reference, or NULL without memory.
 */
struct sock *ferry_remote_child(struct sock *listener)
{
	return ferry_child_alloc(listener, INVALID_UID);
}

/**
 * ferry_remote_queue() - let a connection from another host wait to be accepted
 * @listener: listener
 * @child: its end, connected; the queue takes over a reference
 *
 * All other hosts together have the share of one user.
 *
 * Context: process, may sleep.
 * Return: 0, -ECONNREFUSED (it listens no more, or has a filter), -ENOBUFS (there is no place) or
 * -ENOMEM.
 */
int ferry_remote_queue(struct sock *listener, struct sock *child)
{
	struct ferry_sock *lfs = ferry_sk(listener);
	struct ferry_share *share;
	int err = 0;

	/* TCP's bytes are no messages that a filter could see. */
	if (listener->sk_type == SOCK_STREAM &&
	    rcu_access_pointer(listener->sk_filter))
		return -ECONNREFUSED;
	share = ferry_share_alloc(listener, INVALID_UID);
	if (IS_ERR(share))
		return PTR_ERR(share);

	spin_lock(&lfs->lock);
	if (listener->sk_state != TCP_LISTEN) {
		spin_unlock(&lfs->lock);
		kfree(share);
		return -ECONNREFUSED;
	}
	ferry_share_get(listener, child, share);
	if (ferry_has_place(listener, ferry_sk(child)->share)) {
		ferry_child_begin(child, listener);
		ferry_child_queue(child, listener);
	} else {
		ferry_share_put(listener, child);
		err = -ENOBUFS;
	}
	spin_unlock(&lfs->lock);
	if (!err)
		ferry_wake_reader(listener);
	return err;
}

/*
 * @waiter waits for @listener no more. Not the last reference: who calls this has
 * one of its own. After that the waiter, if refused, may wait for another listener;
 * who closes it looks no further when it finds none, so all else is done before.
 */
static void ferry_leave_listener(struct ferry_sock *waiter,
				 struct sock *listener)
{
	lockdep_assert_held(&ferry_sk(listener)->lock);

	/* Pairs with ferry_awaited(). */
	smp_store_release(&waiter->awaited, NULL);
	__sock_put(listener);
}

/* How many who wait may be passed over, and connected, in one hold of the lock. */
#define FERRY_PASS_OVER_MAX	16
#define FERRY_PLACE_MAX		16

/*
 * Connect the sockets that wait for a place as long as there are places. Those
 * who hold their share already go to the end: however many they are, all others
 * have come to the front after a few accepts. There will be some, as what makes
 * up a share lies in the queue. Returns true if there are more to connect.
 */
static bool ferry_promote(struct sock *listener)
{
	struct ferry_sock *fs = ferry_sk(listener), *waiter, *next;
	unsigned int passed = 0, placed = 0;
	LIST_HEAD(passed_over);

	lockdep_assert_held(&fs->lock);

	list_for_each_entry_safe(waiter, next, &fs->connect_queue, node) {
		struct sock *child = waiter->child;

		if (sk_acceptq_is_full(listener))
			break;
		if (!ferry_has_place(listener, ferry_sk(child)->share)) {
			list_move_tail(&waiter->node, &passed_over);
			if (++passed == FERRY_PASS_OVER_MAX)
				break;
			continue;
		}
		list_del_init(&waiter->node);
		waiter->child = NULL;
		/* Connected, it may be closed any time. */
		sock_hold(&waiter->sk);
		ferry_establish(&waiter->sk, child, listener);
		ferry_leave_listener(waiter, listener);
		ferry_wake_state(&waiter->sk, POLL_OUT);
		sock_put(&waiter->sk);
		ferry_wake_reader(listener);
		if (++placed == FERRY_PLACE_MAX)
			break;
	}
	list_splice_tail(&passed_over, &fs->connect_queue);
	return placed == FERRY_PLACE_MAX;
}

/* No connect is under way, or no longer. */
static bool ferry_settled(const struct sock *sk)
{
	int state = ferry_state(sk);

	return state != TCP_SYN_SENT && state != FERRY_REMOTE_CONNECTING;
}

/**
 * ferry_wait_settled() - wait for a connect under way
 * @sk: socket
 * @timeo: how long, updated
 *
 * Return: 0 when there is none any more, -EAGAIN or a signal's error.
 */
int ferry_wait_settled(struct sock *sk, long *timeo)
{
	long left;

	if (ferry_settled(sk))
		return 0;
	if (!*timeo)
		return -EAGAIN;
	left = wait_event_interruptible_timeout(*sk_sleep(sk), ferry_settled(sk),
						*timeo);
	if (left < 0)
		return sock_intr_errno(*timeo);
	if (!left)
		return -EAGAIN;
	if (*timeo != MAX_SCHEDULE_TIMEOUT)
		*timeo = left;
	return 0;
}

/**
 * ferry_wait_connected() - wait for a connect under way before data moves
 * @sk: a socket that is not connected
 * @timeo: how long, updated
 *
 * Return: 0 connected to a socket of this host, -EAGAIN, a signal's error, -ENOTCONN,
 * or the error the connect ended with.
 */
int ferry_wait_connected(struct sock *sk, long *timeo)
{
	int err = ferry_wait_settled(sk, timeo);

	if (err)
		return err;
	/* May have connected since ferry_settled() looked: @peer must be seen. */
	if (ferry_connected(sk))
		return 0;

	err = sock_error(sk);
	return err ? err : -ENOTCONN;
}

/* Begin to connect: afterwards the socket is connected or waits. */
static int ferry_connect_start(struct socket *sock,
			       struct sockaddr_unsized *uaddr, int len)
{
	struct sock *sk = sock->sk, *listener, *child;
	struct ferry_sock *fs = ferry_sk(sk), *lfs;
	struct ferry_share *share;
	int err;

	sock_owned_by_me(sk);

	err = ferry_addr_check(uaddr, len);
	if (err)
		return err;
	if (len == FERRY_ADDR_HDR)
		return -EINVAL;

	if (unlikely(ferry_node_kind(sk, (struct sockaddr_ferry *)uaddr) ==
		     FERRY_NODE_REMOTE)) {
		err = ferry_tcp_connect(sock, (struct sockaddr_ferry *)uaddr, len);
		if (!err)
			sock->state = SS_CONNECTING;
		return err;
	}

again:
	listener = ferry_name_find(sk, (struct sockaddr_ferry *)uaddr, len, NULL);
	if (IS_ERR(listener))
		return PTR_ERR(listener);
	lfs = ferry_sk(listener);

	err = -ENOMEM;
	child = ferry_child_alloc(listener, current_euid());
	if (!child)
		goto out_put;
	ferry_init_peercred(child);
	err = ferry_exchange_labels(sock, child);
	if (err)
		goto out_child;
	share = ferry_share_alloc(listener, child->sk_uid);
	err = PTR_ERR_OR_ZERO(share);
	if (err)
		goto out_child;

	spin_lock(&lfs->lock);
	if (listener->sk_state != TCP_LISTEN) {
		/* It has stopped since; another of the name may still listen. */
		spin_unlock(&lfs->lock);
		kfree(share);
		sock_put(child);
		sock_put(listener);
		goto again;
	}
	sock->state = SS_CONNECTING;
	ferry_share_get(listener, child, share);
	if (ferry_has_place(listener, ferry_sk(child)->share)) {
		ferry_establish(sk, child, listener);
		spin_unlock(&lfs->lock);
		ferry_wake_reader(listener);
		/* An event as any other, though the caller knows. */
		ferry_wake_state(sk, POLL_OUT);
		err = 0;
		goto out_put;
	}
	fs->child = child;
	WRITE_ONCE(fs->awaited, listener);
	list_add_tail(&fs->node, &lfs->connect_queue);
	ferry_set_state(sk, TCP_SYN_SENT);
	spin_unlock(&lfs->lock);
	return 0;

out_child:
	sock_put(child);
out_put:
	sock_put(listener);
	return err;
}

/**
 * ferry_connect() - connect(2) of STREAM and SEQPACKET
 * @sock: socket
 * @uaddr: address of a listener
 * @len: its length
 * @flags: O_NONBLOCK
 *
 * A signal or a timeout leaves the connect under way; the next call goes on
 * with it and learns the result, as for INET.
 *
 * Return: 0 or an error, see af_ferry(7).
 */
int ferry_connect(struct socket *sock, struct sockaddr_unsized *uaddr, int len,
		  int flags)
{
	struct sock *sk = sock->sk;
	int pending = -EALREADY;
	long timeo, left;
	int err;

	lock_sock(sk);
	if (sock->state != SS_CONNECTING) {
		err = -EISCONN;
		if (sk->sk_state == TCP_ESTABLISHED || ferry_remote(sk))
			goto out;
		err = -EINVAL;
		if (sk->sk_state == TCP_LISTEN)
			goto out;
		err = ferry_connect_start(sock, uaddr, len);
		if (err)
			goto out;
		pending = -EINPROGRESS;
	}

	timeo = sock_sndtimeo(sk, flags & O_NONBLOCK);
	/* Again: another thread may have learned the result and begun anew. */
	while (!ferry_settled(sk)) {
		err = pending;
		if (!timeo)
			goto out;
		release_sock(sk);
		left = wait_event_interruptible_timeout(*sk_sleep(sk),
							ferry_settled(sk),
							timeo);
		lock_sock(sk);
		if (left < 0)
			err = sock_intr_errno(timeo);
		if (left <= 0)
			goto out;
		if (timeo != MAX_SCHEDULE_TIMEOUT)
			timeo = left;
	}

	/* Another thread may have learned the result meanwhile. */
	err = -EISCONN;
	if (sock->state == SS_CONNECTED)
		goto out;
	err = 0;
	sock->state = SS_CONNECTED;
	if (sk->sk_state != TCP_ESTABLISHED && !ferry_remote(sk)) {
		sock->state = SS_UNCONNECTED;
		err = sock_error(sk);
		if (!err)
			err = -ECONNABORTED;
	}
out:
	release_sock(sk);
	ferry_debug(sk, "connect", err);
	return err;
}

/**
 * ferry_peer_get() - the connected peer with a reference
 * @sk: socket of any type
 *
 * Return: the peer, or NULL.
 */
struct sock *ferry_peer_get(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);
	struct sock *peer;

	spin_lock(&fs->lock);
	peer = fs->peer;
	if (peer)
		sock_hold(peer);
	spin_unlock(&fs->lock);
	return peer;
}

/*
 * Give a datagram socket another peer, or none; uses up a reference on @peer.
 * Returns the old one with its reference, or NULL.
 */
static struct sock *ferry_dgram_swap_peer(struct sock *sk, struct sock *peer)
{
	struct ferry_sock *fs = ferry_sk(sk);
	struct sock *old;

	spin_lock(&fs->lock);
	old = fs->peer;
	/* Before there can be an entry at the new peer. */
	ferry_relay_stop(sk);
	WRITE_ONCE(fs->peer, peer);
	WRITE_ONCE(sk->sk_state, peer ? TCP_ESTABLISHED : TCP_CLOSE);
	spin_unlock(&fs->lock);
	return old;
}

static void ferry_dgram_set_peer(struct sock *sk, struct sock *peer)
{
	struct sock *old;

	sock_owned_by_me(sk);

	/* Before it forgets whom it stands for: it would take itself for that. */
	old = ferry_dgram_swap_peer(sk, peer);
	if (unlikely(rcu_access_pointer(ferry_sk(sk)->remote)) && peer != sk)
		ferry_remote_disconnect(sk);
	/* Who waits for room at the old peer may have it at the new one. */
	ferry_wake_state(sk, POLL_OUT);
	if (old)
		sock_put(old);
}

/**
 * ferry_dgram_dissolve() - a datagram socket loses its peer
 * @sk: datagram socket
 * @peer: the peer that is meant; if it is no longer the peer nothing happens
 *
 * Context: process, no lock of @sk held.
 */
void ferry_dgram_dissolve(struct sock *sk, struct sock *peer)
{
	lock_sock(sk);
	if (ferry_sk(sk)->peer == peer)
		ferry_dgram_set_peer(sk, NULL);
	release_sock(sk);
}

/* As ferry_dgram_connect(), to another host. */
static int ferry_dgram_connect_remote(struct socket *sock,
				      const struct sockaddr_ferry *sa, int len, int kind)
{
	struct sock *sk = sock->sk;
	int err;

	err = ferry_udp_attach(sk);
	if (err)
		return err;
	lock_sock(sk);
	err = ferry_remote_connect(sk, sa, len, kind);
	if (!err) {
		/* Which no other socket of this host is. */
		sock_hold(sk);
		ferry_dgram_set_peer(sk, sk);
		sock->state = SS_CONNECTED;
	}
	release_sock(sk);
	return err;
}

/**
 * ferry_dgram_connect() - connect(2) of DGRAM
 * @sock: socket
 * @uaddr: default destination and only sender, or AF_UNSPEC to have none
 * @len: its length
 * @flags: of the file
 *
 * Return: 0 or an error, see af_ferry(7).
 */
int ferry_dgram_connect(struct socket *sock, struct sockaddr_unsized *uaddr,
			int len, int flags)
{
	struct sock *sk = sock->sk, *peer = NULL;
	int err, kind;

	if (len < (int)sizeof(uaddr->sa_family))
		return -EINVAL;
	if (uaddr->sa_family != AF_UNSPEC) {
		err = ferry_addr_check(uaddr, len);
		if (err)
			goto out;
		err = -EINVAL;
		if (len == FERRY_ADDR_HDR)
			goto out;
		kind = ferry_node_kind(sk, (struct sockaddr_ferry *)uaddr);
		if (unlikely(kind > FERRY_NODE_HERE)) {
			err = ferry_dgram_connect_remote(sock, (void *)uaddr, len,
							 kind);
			goto out;
		}
		peer = ferry_name_find(sk, (struct sockaddr_ferry *)uaddr, len, NULL);
		err = PTR_ERR_OR_ZERO(peer);
		if (err)
			goto out;
	}

	lock_sock(sk);
	if (peer == sk)
		/* Its own, and no longer in the place of one elsewhere. */
		ferry_dgram_set_peer(sk, NULL);
	ferry_dgram_set_peer(sk, peer);
	sock->state = peer ? SS_CONNECTED : SS_UNCONNECTED;
	release_sock(sk);
	err = 0;
out:
	ferry_debug(sk, "connect", err);
	return err;
}

/* The place of the listener's queues is free for what else lies there, all zero. */
static void ferry_unlisten(struct ferry_sock *fs)
{
	static_assert(offsetofend(struct ferry_sock, zerocopy_calls) <=
		      offsetofend(struct ferry_sock, connect_queue));
	lockdep_assert_held(&fs->lock);

	memset(&fs->accept_queue, 0, sizeof(fs->accept_queue));
	memset(&fs->connect_queue, 0, sizeof(fs->connect_queue));
}

/**
 * ferry_listen() - listen(2)
 * @sock: bound socket
 * @backlog: connections that may wait, already capped by somaxconn
 *
 * Return: 0, -EINVAL, -EADDRINUSE (another socket of the name listens) or
 * -ENOMEM.
 */
int ferry_listen(struct socket *sock, int backlog)
{
	struct sock *sk = sock->sk;
	struct ferry_sock *fs = ferry_sk(sk);
	int err = -EINVAL;
	bool more = false;

	lock_sock(sk);
	/* Unconnected is TCP_CLOSE or TCP_LISTEN. */
	if (!fs->addr || sock->state != SS_UNCONNECTED)
		goto out;

	ferry_set_peercred(sk, task_tgid(current), current_cred());
	spin_lock(&fs->lock);
	WRITE_ONCE(sk->sk_max_ack_backlog, backlog);
	if (sk->sk_state == TCP_LISTEN) {
		more = ferry_promote(sk);
	} else {
		INIT_LIST_HEAD(&fs->accept_queue);
		INIT_LIST_HEAD(&fs->connect_queue);
	}
	spin_unlock(&fs->lock);
	while (more) {
		cond_resched();
		spin_lock(&fs->lock);
		more = ferry_promote(sk);
		spin_unlock(&fs->lock);
	}
	err = ferry_name_listen(sk);
	if (err) {
		spin_lock(&fs->lock);
		ferry_unlisten(fs);
		spin_unlock(&fs->lock);
	}
out:
	release_sock(sk);
	ferry_debug(sk, "listen", err);
	return err;
}

/* Take the first connection of the queue, NULL if there is none. */
static struct sock *ferry_accept_first(struct sock *listener)
{
	struct ferry_sock *fs = ferry_sk(listener), *child;

	spin_lock(&fs->lock);
	child = NULL;
	if (listener->sk_state == TCP_LISTEN)
		child = list_first_entry_or_null(&fs->accept_queue,
						 struct ferry_sock, node);
	if (child) {
		list_del_init(&child->node);
		ferry_share_put(listener, &child->sk);
		WRITE_ONCE(child->unaccepted, 0);
		WRITE_ONCE(child->listener, NULL);
		sk_acceptq_removed(listener);
		ferry_promote(listener);
	}
	spin_unlock(&fs->lock);
	if (!child)
		return NULL;
	ferry_inflight_accepted(&child->sk);
	return &child->sk;
}

/* Is there something for accept(2) to return? */
static bool ferry_acceptable(const struct sock *listener)
{
	return READ_ONCE(listener->sk_ack_backlog) ||
	       READ_ONCE(listener->sk_state) != TCP_LISTEN;
}

/*
 * Wait for a connection; one waiter is woken for each. It takes one only when it
 * has left the wait queue: a wake-up that hits it after it took another would be
 * lost, and who sleeps behind it would not learn of that connection.
 */
static struct sock *ferry_accept_wait(struct sock *listener, long timeo)
{
	struct sock *child;

	for (;;) {
		DEFINE_WAIT(wait);

		child = ferry_accept_first(listener);
		if (child)
			return child;
		if (READ_ONCE(listener->sk_state) != TCP_LISTEN)
			return ERR_PTR(-EINVAL);
		if (!timeo)
			return ERR_PTR(-EAGAIN);
		if (signal_pending(current))
			return ERR_PTR(sock_intr_errno(timeo));

		prepare_to_wait_exclusive(sk_sleep(listener), &wait,
					  TASK_INTERRUPTIBLE);
		if (!ferry_acceptable(listener))
			timeo = schedule_timeout(timeo);
		finish_wait(sk_sleep(listener), &wait);
	}
}

/**
 * ferry_accept() - accept(2)
 * @sock: listener
 * @newsock: socket to fill
 * @flags: O_NONBLOCK
 *
 * Return: 0, -EINVAL (not a listener), -EAGAIN, or a signal's error.
 */
int ferry_accept(struct socket *sock, struct socket *newsock, int flags)
{
	struct sock *listener = sock->sk, *child;
	long timeo;

	timeo = sock_rcvtimeo(listener, flags & O_NONBLOCK);
	child = ferry_accept_wait(listener, timeo);
	if (IS_ERR(child))
		return PTR_ERR(child);

	ferry_custom_sockopt(newsock);
	newsock->state = SS_CONNECTED;
	if (unlikely(ferry_sk(child)->carried))
		ferry_remote_accept(newsock, child);
	else
		sock_graft(child, newsock);
	/* As AF_UNIX: who asks for credentials asks for all connections. */
	if (unlikely(ferry_cmsg_wanted(sock))) {
		lock_sock(child);
		ferry_set_passcred(newsock, ferry_passcred(sock));
		ferry_set_passsec(newsock, ferry_passsec(sock));
		ferry_passsec_changed(newsock);
		ferry_set_passpidfd(newsock, ferry_passpidfd(sock));
		release_sock(child);
	}
	ferry_debug(child, "accept", 0);
	return 0;
}

/**
 * ferry_socketpair() - socketpair(2)
 * @a: one socket
 * @b: the other
 *
 * Return: 0.
 */
int ferry_socketpair(struct socket *a, struct socket *b)
{
	ferry_init_peercred(a->sk);
	ferry_init_peercred(b->sk);
	ferry_link(a->sk, b->sk);
	a->state = SS_CONNECTED;
	b->state = SS_CONNECTED;
	return 0;
}

/*
 * Refuse the first of those who waited for a listener that has stopped; its child
 * goes to @children. Returns it with a reference, as it may be closed any time,
 * or NULL when there is none: they also go by themselves.
 */
static struct sock *ferry_refuse_first(struct ferry_sock *fs,
				       struct list_head *waiters,
				       struct list_head *children)
{
	struct ferry_sock *waiter;

	spin_lock(&fs->lock);
	waiter = list_first_entry_or_null(waiters, struct ferry_sock, node);
	if (waiter) {
		list_del_init(&waiter->node);
		list_add_tail(&ferry_sk(waiter->child)->node, children);
		waiter->child = NULL;
		sock_hold(&waiter->sk);
		WRITE_ONCE(waiter->sk.sk_err, ECONNREFUSED);
		ferry_leave_listener(waiter, &fs->sk);
		ferry_set_state(&waiter->sk, TCP_CLOSE);
	}
	spin_unlock(&fs->lock);
	return waiter ? &waiter->sk : NULL;
}

/* Nobody will accept these: reset them, and refuse those who wait. */
static void ferry_listen_stop(struct sock *listener)
{
	struct ferry_sock *fs = ferry_sk(listener), *child, *next;
	LIST_HEAD(children);
	LIST_HEAD(waiters);
	struct sock *waiter;

	spin_lock(&fs->lock);
	WRITE_ONCE(listener->sk_state, TCP_CLOSE);
	list_splice_init(&fs->accept_queue, &children);
	list_splice_init(&fs->connect_queue, &waiters);
	WRITE_ONCE(listener->sk_ack_backlog, 0);
	ferry_unlisten(fs);
	spin_unlock(&fs->lock);

	/* However many they are, the lock is held for one at a time. */
	while ((waiter = ferry_refuse_first(fs, &waiters, &children))) {
		sk_error_report(waiter);
		ferry_wake_state(waiter, POLL_HUP);
		sock_put(waiter);
		cond_resched();
	}

	list_for_each_entry_safe(child, next, &children, node) {
		list_del_init(&child->node);
		/* Who still waits, in vain, may give up and count no more meanwhile. */
		spin_lock(&fs->lock);
		ferry_share_put(listener, &child->sk);
		spin_unlock(&fs->lock);
		WRITE_ONCE(child->unaccepted, 0);
		WRITE_ONCE(child->listener, NULL);
		ferry_inflight_accepted(&child->sk);
		/* As a linger time of zero: the client is reset. */
		ferry_set_flag(&child->sk, SOCK_LINGER, true);
		child->sk.sk_lingertime = 0;
		ferry_disconnect(&child->sk);
		sock_put(&child->sk);
		cond_resched();
	}
}

/*
 * The listener that @sk waits for with a reference, or NULL once the wait is over:
 * then all is seen that came of it. What drops the last reference may do so
 * meanwhile, but a listener is freed after a grace period.
 */
static struct sock *ferry_awaited(struct sock *sk)
{
	struct sock *listener;

	rcu_read_lock();
	/* Pairs with ferry_leave_listener(). */
	listener = smp_load_acquire(&ferry_sk(sk)->awaited);
	if (listener && !refcount_inc_not_zero(&listener->sk_refcnt)) {
		/* The reference of @sk was dropped. */
		smp_acquire__after_ctrl_dep();
		listener = NULL;
	}
	rcu_read_unlock();
	return listener;
}

/*
 * Give up a connect under way, with @err as its result, or 0 when nobody will ask.
 * Returns false when it was over already.
 */
static bool ferry_connect_cancel(struct sock *sk, int err)
{
	struct sock *listener = ferry_awaited(sk), *child = NULL;
	struct ferry_sock *fs = ferry_sk(sk), *lfs;

	if (!listener)
		return false;

	lfs = ferry_sk(listener);
	spin_lock(&lfs->lock);
	if (sk->sk_state == TCP_SYN_SENT) {
		child = fs->child;
		list_del_init(&fs->node);
		fs->child = NULL;
		ferry_share_put(listener, child);
		ferry_leave_listener(fs, listener);
		WRITE_ONCE(sk->sk_err, err);
		ferry_set_state(sk, TCP_CLOSE);
	}
	spin_unlock(&lfs->lock);

	sock_put(listener);
	if (!child)
		return false;
	sock_put(child);
	return true;
}

/* Has the peer read all that @sk sent, or gone? */
static bool ferry_lingered(struct sock *sk, struct sock *peer)
{
	/* Every read tells a sender that waits for room. */
	WRITE_ONCE(ferry_sk(sk)->nospace, 1);
	/* Pairs with ferry_write_space(). */
	smp_mb();
	if (READ_ONCE(ferry_sk(peer)->dead))
		return true;
	if (sk->sk_type == SOCK_STREAM)
		return !ferry_stream_queued(ferry_sk(peer));
	/* Empty records too. */
	return !sk_wmem_alloc_get(sk);
}

/**
 * ferry_linger() - SO_LINGER: wait until the peer has read everything
 * @sk: connected socket that is shut down for sending
 *
 * A signal or the timeout ends the wait; the peer may read on all the same. A
 * process that exits does not wait.
 */
void ferry_linger(struct sock *sk)
{
	struct sock *peer = ferry_sk(sk)->peer;

	if (!sock_flag(sk, SOCK_LINGER) || !sk->sk_lingertime ||
	    current->flags & (PF_EXITING | PF_KTHREAD))
		return;
	wait_event_interruptible_timeout(*sk_sleep(sk), ferry_lingered(sk, peer),
					 sk->sk_lingertime);
}

/**
 * ferry_disconnect() - end all that a socket has to do with others
 * @sk: socket being released, or a child never accepted
 *
 * The peer finds the end of the stream, or ECONNRESET if something it sent was
 * not read; what it was sent stays readable. The name is free afterwards.
 *
 * Context: process; nobody else uses @sk any more.
 */
void ferry_disconnect(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);
	struct sock *peer;
	bool reset;

	ferry_socklist_del(sk);
	ferry_name_unbind(sk);
	if (sk->sk_state == TCP_LISTEN)
		ferry_listen_stop(sk);
	/* Of a child. */
	if (unlikely(ferry_remote(sk)))
		ferry_tcp_reset(sk);
	/* If it waited. */
	ferry_connect_cancel(sk, 0);

	reset = ferry_queue_purge(sk);
	if (!ferry_connects(sk)) {
		/*
		 * Also when nobody seems to sleep: relay entries, which hold no
		 * reference, come under its lock as long as we are not dead.
		 */
		wake_up_interruptible_all(&fs->senders);
		peer = ferry_dgram_swap_peer(sk, NULL);
		if (peer)
			sock_put(peer);
		ferry_remote_forget(sk);
		ferry_udp_release(sk);
		return;
	}

	peer = fs->peer;
	if (!peer)
		return;
	fs->peer = NULL;
	ferry_queue_finish(peer);
	if (reset)
		sk_error_report(peer);
	ferry_wake_state(peer, POLL_HUP);
	sock_put(peer);
}

/*
 * What SIGIO tells @sk when the directions @how, as @sk sees them, were shut
 * down: both are down now, nothing more comes, or nothing more can be sent.
 */
static int ferry_shutdown_band(const struct sock *sk, const struct sock *peer,
			       int how)
{
	u8 mask = READ_ONCE(sk->sk_shutdown);

	if (peer)
		mask = (ferry_recv_closed(sk, peer) ? RCV_SHUTDOWN : 0) |
		       (ferry_send_closed(sk, peer) ? SEND_SHUTDOWN : 0);
	if (mask == SHUTDOWN_MASK)
		return POLL_HUP;
	return how & RCV_SHUTDOWN ? POLL_IN : POLL_OUT;
}

/**
 * ferry_shutdown() - shutdown(2)
 * @sock: connected or datagram socket, one that connects, or a listener
 * @how: SHUT_RD, SHUT_WR or SHUT_RDWR
 *
 * A listener that is shut down for reading stops to listen, as TCP's. A connect
 * that waits is given up, whichever direction is shut down, as TCP's too. A datagram
 * socket without peer is shut down, and told -ENOTCONN, as UDP's.
 *
 * Return: 0, -EINVAL or -ENOTCONN.
 */
int ferry_shutdown(struct socket *sock, int how)
{
	struct sock *sk = sock->sk;
	struct sock *peer = NULL;
	int err = 0, band = 0;

	if (how < SHUT_RD || how > SHUT_RDWR)
		return -EINVAL;
	/* SHUT_RD 0, SHUT_WR 1, SHUT_RDWR 2 to RCV_SHUTDOWN 1 | SEND_SHUTDOWN 2 */
	how++;

	lock_sock(sk);
	if (ferry_state(sk) == TCP_SYN_SENT &&
	    ferry_connect_cancel(sk, ECONNRESET)) {
		/* Another connect may follow. */
		sock->state = SS_UNCONNECTED;
		release_sock(sk);
		sk_error_report(sk);
		ferry_wake_state(sk, POLL_HUP);
		goto out;
	}
	switch (ferry_state(sk)) {
	case TCP_LISTEN:
		if (how & RCV_SHUTDOWN) {
			ferry_name_unlisten(sk);
			ferry_listen_stop(sk);
			band = POLL_HUP;
		}
		break;
	default:
		err = -ENOTCONN;
		/* As UDP: who waits on a datagram socket is to stop all the same. */
		if (ferry_connects(sk))
			break;
		fallthrough;
	case TCP_ESTABLISHED:
		if (ferry_connects(sk)) {
			peer = ferry_sk(sk)->peer;
			if (how & RCV_SHUTDOWN)
				ferry_queue_shutdown(sk, sk, RCV_SHUTDOWN);
			if (how & SEND_SHUTDOWN)
				ferry_queue_shutdown(sk, peer, SEND_SHUTDOWN);
		} else {
			ferry_set_shutdown(sk, sk->sk_shutdown | how);
			wake_up_interruptible_all(&ferry_sk(sk)->senders);
		}
		band = ferry_shutdown_band(sk, peer, how);
		break;
	}
	release_sock(sk);

	if (band)
		ferry_wake_state(sk, band);
	if (peer) {
		/* Its other direction. */
		band = ferry_shutdown_band(peer, sk, how ^ SHUTDOWN_MASK ?:
						     SHUTDOWN_MASK);
		ferry_wake_state(peer, band);
	}
	if (peer && how & SEND_SHUTDOWN)
		ferry_linger(sk);
out:
	ferry_debug(sk, "shutdown", err);
	return err;
}
