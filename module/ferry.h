/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The socket of AF_FERRY, its states, and the order of locks. What a file offers to
 * the others is in the header of its name.
 *
 * Objects
 *	struct ferry_sock	a socket. Its first member is the core's struct sock.
 *	struct ferry_buf	payload in a queue, charged to sender and receiver (buffer.h).
 *	struct ferry_addr	an immutable address, shared by reference (name.h).
 *	struct ferry_name	an entry of the name table (name.c).
 *
 * References
 *	A connected socket holds a reference on its peer from the moment both are
 *	linked until its own release. What is queued holds the sender through
 *	sk_wmem_alloc. A listener's queue owns the sockets that wait in it.
 *	A socket that waits for a full listener holds a reference on it, and its child.
 *	A datagram socket that is connected to another host is its own peer.
 *
 * Locks, outermost first
 *	ferry_net->door_lock	who moves the door (mutex)
 *	lock_sock(sk)		calls that change one socket: bind, listen, connect,
 *				shutdown, options
 *	lock_sock(carrier)	the core's, of the carrier of a socket
 *	ferry_net->names_lock	the name table's writers (mutex)
 *	ferry_sock->send_lock	one sender of a byte stream at a time (mutex); held
 *				while it copies from user memory
 *	ferry_sock->recv_lock	one reader of a byte stream at a time (mutex); held
 *				while it copies to user memory
 *	ferry_searchers		whose turn it is to search them (mutexes, inflight.c)
 *	ferry_inflight_lock	sockets of the family in flight (mutex, inflight.c)
 *	ferry_sock->lock	queue and list of waiting connections (spinlock, process
 *				context only); no two sockets' are held together
 *	ferry_bucket->lock	the list of all sockets (spinlock, process context only);
 *				nothing else is taken under it
 *	senders.lock		who waits for a datagram receiver (spinlock)
 *	sk_callback_lock, sk_peer_lock	the core's, innermost
 * Nobody ever holds two locks of one kind.
 */
#ifndef _FERRY_H
#define _FERRY_H

#include <linux/ferry.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/rbtree.h>
#include <linux/rhashtable.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/sock.h>

#include "trace.h"

struct ferry_addr;
struct ferry_buf;
struct ferry_gate;
struct ferry_stats;
struct ferry_name;
struct ferry_remote;
struct ferry_share;
struct ferry_vertex;

/**
 * struct ferry_sock - a socket of the family
 * @sk: the core's part; must be first. Its sk_bind_node is in the list of all
 *	sockets, guarded by the bucket's lock; its sk_node, which tells the core
 *	that others find the socket, in @name's list, guarded by names_lock, read
 *	under RCU
 * @addr: bound address, or NULL. Set once under lock_sock(), released with the socket
 * @name: entry of the name table this socket is bound to; guarded by names_lock
 * @peer: the connected peer with a reference. On STREAM and SEQPACKET set once
 *	before the socket becomes TCP_ESTABLISHED and dropped by release; on DGRAM
 *	written under @lock, and until release under lock_sock() too, read under @lock
 * @listener: a child: its listener while @unaccepted, without a reference; guarded by
 *	that listener's @lock
 * @awaited: a socket that waits to be connected: the listener it waits for, with a
 *	reference; guarded by that listener's @lock
 * @child: while waiting, in the place of the urgent byte: the peer made for this
 *	socket; guarded like @awaited
 * @node: in the listener's @accept_queue (a child) or @connect_queue (a waiting
 *	socket); guarded by the listener's @lock
 * @accept_queue: listener, in the place of the urgent byte: children ready for
 *	accept(2); guarded by @lock
 * @relay_at: DGRAM, in the place of the urgent byte: in whose @senders @relay is,
 *	without a reference, or NULL. Set under @lock and that queue's lock, cleared
 *	under the latter
 * @carrier: there too, of a DGRAM socket and of a connection to another host, if
 *	@carried: the kernel's socket that its messages go by. Set once under
 *	lock_sock(), released with the socket
 * @far_addr: a connection to another host, there too: the address of the other end. Set
 *	before the state is FERRY_REMOTE, released with the socket
 * @remote: DGRAM, there too: the peer on another host, or NULL; @peer is this socket
 *	itself then. Written under lock_sock(), read under RCU
 * @zerocopy_pad: DGRAM, there too: the place of @zerocopy_calls
 * @local_next: DGRAM, there too: of what waits the next to be read is of this host
 * @cut_off: DGRAM, there too: it lost a broadcast, was told, and got none since;
 *	guarded by @lock
 * @connect_queue: listener: sockets that wait for a place; guarded by @lock
 * @vertex: what inflight.c knows of the socket, or NULL; set once
 * @place: where in the list of all sockets, never changes; see socklist.c
 * @unread: records: bytes of those that are charged to this sender, sent and not yet
 *	read or waiting for room
 * @zerocopy_calls: sends with MSG_ZEROCOPY that succeeded
 * @lock: guards the queue's links, @dead and the listener's queues
 * @dead: released; nothing may be queued any more. Guarded by @lock
 * @unaccepted: in a listener's queue, whose @lock guards it
 * @finished: not DGRAM: the peer is released; nothing will be queued any more. Guarded
 *	by @lock
 * @own_pid: process that was the first to send here, with a reference that all its
 *	buffers borrow; NULL before, never changed after
 * @nospace: a sender or a poll found no room and wants to be woken; any context
 *
 * @waiting: a reader sleeps until something arrives, whatever the low-water mark, and
 *	was not woken since; any context
 * @polled: somebody has waited by poll or epoll, ever
 * @full: DGRAM: a sender in @senders found no room and was not told since; any context
 * @refuse_rights: FERRY_PASSRIGHTS is 0
 * @broadcast_policy: enum ferry_broadcast_policy
 * @send_lock: serialises senders of a byte stream; of records to another host, guards
 *	the pages that they are copied into
 * @recv_lock: serialises readers of a byte stream
 * @senders: DGRAM: who found this receiver full
 * @shares: listener: the users who have connections in its queues and can have half
 *	of the places only; guarded by @lock
 * @share: a child in a listener's queues: its user's share, or NULL; guarded by the
 *	listener's @lock
 * @labels: SO_PASSSEC is counted in ferry_passsec_used; guarded by lock_sock()
 * @inq: SO_INQ
 * @notrunc: SO_RIGHTS_NOTRUNC
 * @carried: there is a @carrier; published with release
 * @refused: records: bytes of the last one that found no room and was longer than half
 *	of it, else 0, until a poll tells of so much room; any context
 * @rights_queued: descriptors that are in flight to this socket
 * @relay: DGRAM: this socket's entry in the @senders of its peer, or without one of
 *	whoever refused a datagram last; wakes those who poll it. Guarded by that
 *	queue's lock; made by the first use, its func guarded by @lock
 *
 * The receive queue. On a byte stream it has one producer (the peer, under its
 * @send_lock) and one consumer (under @recv_lock); they meet in @written and
 * @read alone. On records everything is guarded by @lock.
 *
 * Positions in a byte stream are bytes since the socket was made, times two: bit
 * 0 of @written is FERRY_STREAM_END.
 *
 * @head: first buffer; the consumer's
 * @read: byte stream: position of the reader; the consumer's, published with
 *	release after the last touch of a buffer. Records: how often a reader
 *	put one back, so that @written counted it again
 * @urg_at: position of the urgent byte; guarded by @lock
 * @urg_drop: position up to which older urgent bytes are to be left out, when it
 *	lies ahead of @read; guarded by @lock
 * @urg_state: enum ferry_urg; guarded by @lock
 * @urg_byte: the urgent byte; guarded by @lock
 * @missed: a reader that may not wait for @recv_lock went without; any context
 * @tail: last buffer; the producer's
 * @written: position of the writer (byte stream), or records queued since the
 *	socket was made; the producer's, published with release
 */
struct ferry_sock {
	struct sock		sk;

	struct ferry_addr	*addr;
	struct ferry_name	*name;
	struct sock		*listener;
	struct ferry_vertex	*vertex;
	u64			place;
	struct list_head	node;

	/* Written by who sends to this socket. */
	struct ferry_buf	*tail ____cacheline_aligned_in_smp;
	unsigned long		written;
	spinlock_t		lock;
	atomic_t		unread;
	struct sock		*peer;
	union {
		struct {
			struct list_head	accept_queue;
			struct list_head	connect_queue;
		};
		struct {
			unsigned long		urg_at;
			unsigned long		urg_drop;
			u8			urg_state;
			u8			urg_byte;
			u8			missed;
			atomic_t		zerocopy_calls;
		};
		struct sock			*child;
		struct {
			union {
				struct sock		*relay_at;
				struct ferry_addr	*far_addr;
			};
			struct socket		*carrier;
			u8			cut_off;
			u8			local_next;
			u32			zerocopy_pad;
			struct ferry_remote __rcu *remote;
		};
	};

	/* Written by the reader. */
	struct ferry_buf	*head ____cacheline_aligned_in_smp;
	unsigned long		read;
	struct pid		*own_pid;
	u8			dead;
	union {
		u8		finished;
		u8		full;
	};
	u8			unaccepted;
	u8			nospace;
	u8			waiting;
	u8			polled;
	u8			refuse_rights;
	u8			broadcast_policy;

	/* The reader's too, then the line of who sends at this end. */
	union {
		struct {
			struct mutex		recv_lock;
			struct mutex		send_lock;
		};
		struct {
			wait_queue_head_t	senders;
			wait_queue_entry_t	relay;
		};
	};

	union {
		struct rb_root		shares;
		struct ferry_share	*share;
	};
	struct sock		*awaited;
	u8			labels;
	u8			inq;
	u8			notrunc;
	u8			carried;
	u32			refused;
	atomic_t		rights_queued;
};

/* A datagram socket has both, and no urgent byte. */
static_assert(offsetof(struct ferry_sock, remote) >=
	      offsetofend(struct ferry_sock, zerocopy_calls));
static_assert(offsetofend(struct ferry_sock, local_next) <=
	      offsetof(struct ferry_sock, zerocopy_calls));

/*
 * Each side writes to one cache line, as long as the kernel's locks do not look
 * after themselves, and lines are not the short ones of old processors.
 */
static_assert(SMP_CACHE_BYTES < 64 || sizeof(spinlock_t) > sizeof(u32) ||
	      offsetofend(struct ferry_sock, zerocopy_calls) -
	      offsetof(struct ferry_sock, tail) <= SMP_CACHE_BYTES);
static_assert(SMP_CACHE_BYTES < 64 || sizeof(struct mutex) > 4 * sizeof(u64) ||
	      offsetofend(struct ferry_sock, recv_lock) -
	      offsetof(struct ferry_sock, head) <= SMP_CACHE_BYTES);

static inline struct ferry_sock *ferry_sk(const struct sock *sk)
{
	return (struct ferry_sock *)sk;
}

#define FERRY_BUCKET_BITS	6
#define FERRY_BUCKETS		BIT(FERRY_BUCKET_BITS)

/**
 * struct ferry_bucket - some of the sockets of a network namespace
 * @lock: guards the rest
 * @socks: the sockets, newest first
 * @added: how many were ever added
 */
struct ferry_bucket {
	spinlock_t		lock;
	struct hlist_head	socks;
	u64			added;
};

/**
 * struct ferry_door - what others' messages and connections arrive at; see carrier.c
 * @port: of UDP and TCP; 0: closed
 * @udp: the kernel's UDP socket, or NULL
 * @tcp: the kernel's TCP listener and who has come to it, or NULL
 */
struct ferry_door {
	u16			port;
	struct socket		*udp;
	struct ferry_gate	*tcp;
};

/**
 * struct ferry_net - what the family keeps in each network namespace
 * @names: the name table; see name.c
 * @names_lock: serialises its writers
 * @names_seed: of the hashes of names; never changes
 * @buckets: all sockets; see socklist.c
 * @door: guarded by @door_lock; its port is read by all
 * @door_lock: serialises who moves it (mutex)
 * @sysctl: net.ferry, or NULL
 * @stats: counters of the carriers
 */
struct ferry_net {
	struct rhashtable	names;
	struct mutex		names_lock;
	u32			names_seed;
	struct ferry_bucket	buckets[FERRY_BUCKETS];
	struct ferry_door	door;
	struct mutex		door_lock;
	struct ctl_table_header	*sysctl;
	struct ferry_stats __percpu *stats;
};

extern unsigned int ferry_net_id;

static inline struct ferry_net *ferry_pernet(const struct net *net)
{
	return net_generic(net, ferry_net_id);
}

/* True for the types that connect. */
static inline bool ferry_connects(const struct sock *sk)
{
	return sk->sk_type != SOCK_DGRAM;
}

/* ferry_state() - sk_state; who sees it may use what was set up before it */
static inline int ferry_state(const struct sock *sk)
{
	/* Pairs with ferry_set_state(). */
	return smp_load_acquire((unsigned char *)&sk->sk_state);
}

/* ferry_set_state() - enter a state that others may act on without a lock */
static inline void ferry_set_state(struct sock *sk, int state)
{
	/* Pairs with ferry_state(). */
	smp_store_release(&sk->sk_state, state);
}

static inline bool ferry_connected(const struct sock *sk)
{
	return ferry_state(sk) == TCP_ESTABLISHED;
}

/*
 * States of a STREAM or SEQPACKET socket with a carrier. They are not those of a local
 * connection: a call on the socket that began before it had the carrier, and its
 * proto_ops, takes it for unconnected, as it was then, and looks for no @peer.
 */
#define FERRY_REMOTE_CONNECTING	TCP_SYN_RECV
#define FERRY_REMOTE		TCP_CLOSE_WAIT

/* ferry_remote() - is the socket connected to another host? */
static inline bool ferry_remote(const struct sock *sk)
{
	return ferry_state(sk) == FERRY_REMOTE;
}

/* ferry_shutdown_mask() - what a socket shut down; what it did before is seen */
static inline u8 ferry_shutdown_mask(const struct sock *sk)
{
	/* Pairs with ferry_set_shutdown(). */
	return smp_load_acquire(&sk->sk_shutdown);
}

/* ferry_set_shutdown() - shut down, after all that was sent before */
static inline void ferry_set_shutdown(struct sock *sk, u8 mask)
{
	/* Pairs with ferry_shutdown_mask(). */
	smp_store_release(&sk->sk_shutdown, mask);
}

/**
 * ferry_send_closed() - may @sk never again send to @peer?
 * @sk: a connected socket
 * @peer: its peer
 *
 * Each socket writes its own sk_shutdown only, release included, so a direction
 * is closed when either of its ends says so.
 *
 * Return: true if so.
 */
static inline bool ferry_send_closed(const struct sock *sk,
				     const struct sock *peer)
{
	return (READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN) ||
	       (ferry_shutdown_mask(peer) & RCV_SHUTDOWN);
}

/* Will nothing more than what is queued come from @peer to @sk? */
static inline bool ferry_recv_closed(const struct sock *sk,
				     const struct sock *peer)
{
	return (ferry_shutdown_mask(sk) & RCV_SHUTDOWN) ||
	       (ferry_shutdown_mask(peer) & SEND_SHUTDOWN);
}

/* ferry_error() - the pending error, which what was queued before it comes before */
static inline int ferry_error(const struct sock *sk)
{
	/* Pairs with ferry_queue_purge(). */
	return smp_load_acquire(&sk->sk_err);
}

/**
 * ferry_set_flag() - set or clear one of the core's flags
 * @sk: socket
 * @flag: flag
 * @on: set it
 *
 * Context: process, lock_sock(@sk) held or @sk without a descriptor yet, so that
 * nobody else writes them.
 */
static inline void ferry_set_flag(struct sock *sk, enum sock_flags flag, bool on)
{
	if (sk->sk_socket)
		sock_owned_by_me(sk);
	/*
	 * The core writes the word of all flags unmarked, and so must we: those
	 * who look at a single one without the lock take either answer.
	 */
	data_race(({ sock_valbool_flag(sk, flag, on); 0; }));
}

/**
 * ferry_debug() - an event of a socket, traced under SO_DEBUG
 * @sk: socket
 * @event: what happened, a string constant
 * @value: bytes, a descriptor's number or an error
 */
static inline void ferry_debug(const struct sock *sk, const char *event,
			       long value)
{
	if (unlikely(sock_flag(sk, SOCK_DBG)))
		trace_ferry_debug(sk, event, value);
}

/* ferry_dropped() - a message for @sk is lost: count it and trace the reason */
static inline void ferry_dropped(struct sock *sk, const char *reason)
{
	atomic_inc(&sk->sk_drops);
	trace_ferry_drop(sk, reason);
}

#endif /* _FERRY_H */
