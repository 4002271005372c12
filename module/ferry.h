/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Private types of AF_FERRY and what its files offer to each other.
 *
 * Objects
 *	struct ferry_sock	a socket. Its first member is the core's struct sock.
 *	struct ferry_buf	payload in a queue, charged to sender and receiver.
 *	struct ferry_addr	an immutable address, shared by reference.
 *	struct ferry_name	an entry of the name table (name.c).
 *
 * References
 *	A connected socket holds a reference on its peer from the moment both are
 *	linked until its own release. What is queued holds the sender through
 *	sk_wmem_alloc. A listener's queue owns the sockets that wait in it.
 *	A socket that waits for a full listener holds a reference on it, and its child.
 *
 * Locks, outermost first
 *	lock_sock(sk)		calls that change one socket: bind, listen, connect,
 *				shutdown, options
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

#include <linux/jump_label_ratelimit.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/net_tstamp.h>
#include <linux/net.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/rhashtable.h>
#include <linux/security.h>
#include <linux/spinlock.h>
#include <linux/uio.h>
#include <linux/ferry.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/scm.h>
#include <net/sock.h>

#include "compat-scm.h"
#include "compat.h"
#include "trace.h"

struct ferry_name;
struct ferry_share;
struct ferry_vertex;

/**
 * struct ferry_addr - an address, never changed once made
 * @refs: references; freed by the last ferry_addr_put()
 * @len: address length, FERRY_ADDR_HDR and more
 * @sa: the address itself, @len bytes
 *
 * Allocated for @len bytes only: never read past @len.
 */
struct ferry_addr {
	refcount_t		refs;
	int			len;
	struct sockaddr_ferry	sa;
};

/**
 * struct ferry_rights - descriptors that travel with a message
 * @refs: the message, and those who peek at it
 * @fp: the files
 * @node: in the list of @at
 * @at: the receiver's vertex of the graph while they are in flight and have
 *	@sockets, else NULL; see inflight.c
 * @uid: who pays for them
 * @count: how many they are
 * @sockets: sockets of the family are among them
 * @charged: @uid's account has them
 *
 * The sender's until it is part of a queued buffer, then whoever's takes it out.
 */
struct ferry_rights {
	refcount_t		refs;
	struct scm_fp_list	*fp;
	struct list_head	node;
	struct ferry_vertex	*at;
	unsigned long		uid;
	u16			count;
	bool			sockets;
	bool			charged;
};

/**
 * struct ferry_sender - who sends a message, and what beside the payload
 * @pid: process; valid for the call
 * @uid: its uid
 * @gid: its gid
 * @secid: its security label
 * @mark: SO_MARK of the message
 * @tsflags: its SO_TIMESTAMPING flags for this message
 * @key: for SOF_TIMESTAMPING_OPT_ID, on a byte stream the number of the last byte, else
 *	what SCM_TS_OPT_ID says
 *	queued
 * @last: byte stream: the last buffer queued, with a reference, when a stamp is
 *	wanted
 * @rights: descriptors, until a buffer takes them over
 * @pid_ref: reference behind @pid when it is not the caller's own
 */
struct ferry_sender {
	struct pid		*pid;
	kuid_t			uid;
	kgid_t			gid;
	u32			secid;
	u32			mark;
	u32			tsflags;
	u32			key;
	struct ferry_buf	*last;
	struct ferry_rights	*rights;
	struct pid		*pid_ref;
};

/**
 * struct ferry_buf - payload that waits to be read
 * @next: following buffer of the queue; on a byte stream its publication tells
 *	the reader that the writer has done with this buffer
 * @len: bytes filled. Written by the writer; on a byte stream the reader trusts
 *	it only up to what the queue's @written says
 * @off: bytes consumed. Written by the reader
 * @cap: bytes that fit in @data
 * @segs: in its place, of a buffer that holds pages: how many bio_vecs it owns
 * @truesize: memory charged
 * @cache: index of the allocation class, see buffer.c
 * @refs: holders; a record that is peeked at has more than one
 * @eor: last buffer of a record
 * @msg_eor: the sender gave MSG_EOR, or the record is empty
 * @shut: nothing may be appended (it carries descriptors, or holds pages)
 * @paged: @data is an array of struct bio_vec, see pages.c
 * @more: byte stream: the descriptors belong to the bytes of the next one too
 * @peeked: a peek with an offset has shown it (records); guarded by the queue's @lock
 * @sk: sender, kept alive by the charge to its sk_wmem_alloc
 *	(ferry_buf_charged()); NULL for a broadcast, which is charged to the
 *	receiver only
 * @to: receiver, charged in sk_rmem_alloc
 * @pid: sender's process, with a reference unless it is the @own_pid of @sk
 * @uid: sender's uid
 * @gid: sender's gid
 * @secid: sender's security label
 * @rights: descriptors, or NULL
 * @from: sender's address, or NULL when it has none (records)
 * @drops: what the receiver had lost when this was queued, for SO_RXQ_OVFL
 * @mark: sender's SO_MARK
 * @txflags: SOF_TIMESTAMPING_TX_RECORD_MASK flags of @txstamp; 0 on a byte stream
 *	in the middle of a message. Guarded by the queue's @lock
 * @stamp: when it was queued, if the receiver asked; else 0
 * @txstamp: what the sender is told when it was read, or NULL; see timestamp.c
 * @uarg: MSG_ZEROCOPY: its notification with a reference, or NULL; see zerocopy.c
 * @shared: buffer with a reference whose payload this one shows, or NULL
 * @data: the payload, in this buffer or in @shared
 * @room: where the payload of a buffer of its own lies
 */
struct ferry_buf {
	struct ferry_buf	*next;
	u32			len;
	u32			off;
	union {
		u32		cap;
		u32		segs;
	};
	u32			truesize;
	refcount_t		refs;
	u8			cache;
	u8			eor:1,
				msg_eor:1,
				shut:1,
				paged:1,
				more:1;
	u8			peeked;
	u32			secid;
	u32			txflags;
	struct sock		*sk;
	struct sock		*to;
	struct pid		*pid;
	kuid_t			uid;
	kgid_t			gid;
	struct ferry_rights	*rights;
	struct ferry_addr	*from;
	u32			drops;
	u32			mark;
	ktime_t			stamp;
	struct sk_buff		*txstamp;
	struct ubuf_info	*uarg;
	struct ferry_buf	*shared;
	u8			*data;
	u8			room[];
};

/**
 * struct ferry_extras - what a receiver is told of a message, if it asked
 * @stamp: when it was queued, or 0
 * @drops: what the receiver had lost when it was
 * @mark: sender's SO_MARK
 */
struct ferry_extras {
	ktime_t			stamp;
	u32			drops;
	u32			mark;
};

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
 * @cut_off: DGRAM, there too: it lost a broadcast, was told, and got none since;
 *	guarded by @lock
 * @connect_queue: listener: sockets that wait for a place; guarded by @lock
 * @vertex: what inflight.c knows of the socket, or NULL; set once
 * @place: where in the list of all sockets, never changes; see socklist.c
 * @unread: records: bytes sent and not yet read
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
 * @send_lock: serialises senders of a byte stream
 * @recv_lock: serialises readers of a byte stream
 * @senders: DGRAM: who found this receiver full
 * @shares: listener: the users who have connections in its queues and can have half
 *	of the places only; guarded by @lock
 * @share: a child in a listener's queues: its user's share, or NULL; guarded by the
 *	listener's @lock
 * @labels: SO_PASSSEC is counted in ferry_passsec_used; guarded by lock_sock()
 * @inq: SO_INQ
 * @notrunc: SO_RIGHTS_NOTRUNC
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
			struct sock		*relay_at;
			u8			cut_off;
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
};

/*
 * Each side writes to one cache line, as long as the kernel's locks do not look
 * after themselves.
 */
static_assert(sizeof(spinlock_t) > sizeof(u32) ||
	      offsetofend(struct ferry_sock, zerocopy_calls) -
	      offsetof(struct ferry_sock, tail) <= SMP_CACHE_BYTES);
static_assert(sizeof(struct mutex) > 4 * sizeof(u64) ||
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
 * struct ferry_net - what the family keeps in each network namespace
 * @names: the name table; see name.c
 * @names_lock: serialises its writers
 * @names_seed: of the hashes of names; never changes
 * @buckets: all sockets; see socklist.c
 */
struct ferry_net {
	struct rhashtable	names;
	struct mutex		names_lock;
	u32			names_seed;
	struct ferry_bucket	buckets[FERRY_BUCKETS];
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

/* ferry_own_addr() - the bound address, or NULL; stays as long as the socket */
static inline struct ferry_addr *ferry_own_addr(const struct sock *sk)
{
	/* Pairs with ferry_name_bind(). */
	return smp_load_acquire(&ferry_sk(sk)->addr);
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

/*
 * In @written: nothing more is ever queued. It is set for good, under @lock, by who
 * shuts down or releases either end. A sender publishes with compare and swap, or
 * under @lock: so none publishes after it, and who has seen it has seen all bytes.
 */
#define FERRY_STREAM_END_BIT	0
#define FERRY_STREAM_END	BIT(FERRY_STREAM_END_BIT)

/* ferry_stream_ended() - is what @fs was sent so far all it will ever get? */
static inline bool ferry_stream_ended(const struct ferry_sock *fs)
{
	/* Pairs with ferry_queue_end() and what the ends did before. */
	return smp_load_acquire(&fs->written) & FERRY_STREAM_END;
}

/**
 * ferry_stream_queued() - bytes that wait to be read on a byte stream
 * @fs: receiver
 *
 * Return: 0 as well when it is released and nobody will read them.
 */
static inline unsigned long ferry_stream_queued(const struct ferry_sock *fs)
{
	unsigned long read;

	if (READ_ONCE(fs->dead))
		return 0;
	/* In this order: the reader never overtakes the writer. */
	read = smp_load_acquire(&fs->read);
	return (READ_ONCE(fs->written) - read) / 2;
}

/* ferry_error() - the pending error, which what was queued before it comes before */
static inline int ferry_error(const struct sock *sk)
{
	/* Pairs with ferry_queue_purge(). */
	return smp_load_acquire(&sk->sk_err);
}

/* af_ferry.c */
extern struct proto ferry_proto;
struct sock *ferry_sock_alloc(struct net *net, struct socket *sock, int type,
			      int kern);

/* socklist.c */
void ferry_socklist_add(struct sock *sk);
void ferry_socklist_del(struct sock *sk);
struct sock *ferry_socklist_next(struct net *net, struct sock *prev, u64 *place);
void ferry_socklist_net_init(struct ferry_net *fn);

/* diag.c */
struct ferry_diag_rqlen;
struct sock *ferry_diag_peer(struct sock *sk);
void ferry_diag_queues(struct sock *sk, struct sock *peer,
		       struct ferry_diag_rqlen *len);
void ferry_diag_info(struct sock *sk, struct ferry_info *info);
kuid_t ferry_diag_uid(struct sock *sk);
u64 ferry_diag_cookie(const struct sock *sk);
unsigned long ferry_diag_ino(const struct sock *sk);
int ferry_diag_name(const struct sock *sk, char *text, size_t size);
int ferry_diag_init(void);
void ferry_diag_exit(void);

/* proc.c */
int ferry_proc_net_init(struct net *net);
void ferry_proc_net_exit(struct net *net);

/*
 * ferry_copy_from(), ferry_copy_to() - copy_from_iter() and copy_to_iter() for
 * the payload of buffers. The bounds are a buffer's own @cap and @len; without
 * the usercopy check, which would find the slab object of every message again.
 * @n is at most what @iter has. One range of user memory, what read(2), write(2)
 * and their kin give, needs no loop.
 */
static inline size_t ferry_copy_from(u8 *data, size_t n, struct iov_iter *iter)
{
	if (unlikely(!iter_is_ubuf(iter)))
		return _copy_from_iter(data, n, iter);

	n -= _copy_from_user(data, iter->ubuf + iter->iov_offset, n);
	iter->iov_offset += n;
	iter->count -= n;
	return n;
}

static inline size_t ferry_copy_to(const u8 *data, size_t n,
				   struct iov_iter *iter)
{
	if (unlikely(!iter_is_ubuf(iter)))
		return _copy_to_iter(data, n, iter);

	n -= _copy_to_user(iter->ubuf + iter->iov_offset, data, n);
	iter->iov_offset += n;
	iter->count -= n;
	return n;
}

/* pages.c */
bool ferry_pages_worth(const struct msghdr *msg, size_t len);
struct ferry_buf *ferry_pages_lend(struct sock *sk, struct iov_iter *iter,
				   size_t len, unsigned int max);
size_t ferry_pages_copy_to(const struct ferry_buf *buf, size_t off, size_t n,
			   struct iov_iter *iter);
struct page *ferry_pages_find(const struct ferry_buf *buf, size_t off,
			      size_t *len, size_t *page_off);
void ferry_pages_iter(const struct ferry_buf *buf, struct iov_iter *iter);
void ferry_pages_put(struct ferry_buf *buf);
void ferry_pages_return(struct ferry_buf *buf);

/* Flags of messages whose pages may be lent. */
#define FERRY_LEND_FLAGS	(MSG_ZEROCOPY | MSG_SPLICE_PAGES)

/* ferry_lends() - is this a message whose pages are to be lent? */
static inline bool ferry_lends(const struct msghdr *msg, size_t len)
{
	return unlikely(msg->msg_flags & FERRY_LEND_FLAGS) &&
	       ferry_pages_worth(msg, len);
}

/* ferry_buf_copy_to() - copy @n bytes at @off of a buffer's payload */
static inline size_t ferry_buf_copy_to(const struct ferry_buf *buf, size_t off,
				       size_t n, struct iov_iter *iter)
{
	if (unlikely(buf->paged))
		return ferry_pages_copy_to(buf, off, n, iter);
	return ferry_copy_to(buf->data + off, n, iter);
}

/* buffer.c */
struct ferry_buf *ferry_buf_alloc(struct sock *sk, size_t want, size_t max);
struct ferry_buf *ferry_buf_share(struct ferry_buf *buf);
void ferry_buf_disown(struct ferry_buf *first);
void ferry_buf_shrink(struct ferry_buf *buf, u32 bytes);
void ferry_buf_put(struct ferry_buf *buf);
void ferry_buf_put_list(struct ferry_buf *buf);
bool ferry_queue_purge(struct sock *sk);
void ferry_queue_finish(struct sock *sk);
void ferry_queue_shutdown(struct sock *sk, struct sock *to, u8 mask);
int ferry_buf_init(void);
void ferry_buf_exit(void);

/**
 * ferry_buf_charge_receiver() - charge a buffer to its receiver
 * @buf: buffer, charged to its sender if it has one
 * @to: receiver, kept alive by the queue that @buf goes to
 */
static inline void ferry_buf_charge_receiver(struct ferry_buf *buf,
					     struct sock *to)
{
	atomic_add(buf->truesize, &to->sk_rmem_alloc);
	buf->to = to;
}

/**
 * ferry_buf_charge() - charge a byte stream's buffer to its sender and its receiver
 * @buf: buffer with @sk set
 * @to: receiver, kept alive by the queue that @buf goes to
 */
static inline void ferry_buf_charge(struct ferry_buf *buf, struct sock *to)
{
	refcount_add(buf->truesize, &buf->sk->sk_wmem_alloc);
	ferry_buf_charge_receiver(buf, to);
}

/*
 * ferry_buf_charged() - is @buf charged to its sender? A record is as soon as there
 * is memory for it, a part of a byte stream when it is queued.
 */
static inline bool ferry_buf_charged(const struct ferry_buf *buf)
{
	return buf->sk && (buf->to || buf->sk->sk_type != SOCK_STREAM);
}

/* cmsg.c */
extern struct static_key_false_deferred ferry_passsec_used;
void ferry_passsec_changed(struct socket *sock);
void ferry_passsec_forget(struct sock *sk);
struct pid *ferry_cmsg_pid(struct ferry_sock *fs, struct pid *pid);
int ferry_cmsg_parse(struct socket *sock, struct msghdr *msg,
		     struct ferry_sender *from);
void ferry_cmsg_take(struct ferry_buf *buf, struct msghdr *msg,
		     struct scm_cookie *scm);
void ferry_cmsg_peek(const struct ferry_buf *buf,
		     const struct ferry_rights *rights, struct msghdr *msg,
		     struct scm_cookie *scm);

/**
 * ferry_cmsg_recv() - give a receiver what ferry_cmsg_take() or _peek() found
 * @sock: receiver
 * @msg: where to
 * @scm: what; empty afterwards
 * @flags: the call's
 */
static inline void ferry_cmsg_recv(struct socket *sock, struct msghdr *msg,
				   struct scm_cookie *scm, int flags)
{
	ferry_scm_recv(sock, msg, scm, flags,
		       READ_ONCE(ferry_sk(sock->sk)->notrunc));
}

/* inflight.c */
struct ferry_rights *ferry_rights_alloc(void);
int ferry_rights_fget(struct ferry_rights *rights, int fd);
struct scm_fp_list *ferry_rights_take(struct ferry_rights *rights);
void ferry_rights_put(struct ferry_rights *rights);
int ferry_inflight_add(struct ferry_rights *rights, struct sock *to);
void ferry_inflight_del(struct ferry_rights *rights);
void ferry_inflight_accepted(struct sock *sk);
void ferry_inflight_forget(struct sock *sk);
void ferry_inflight_init(void);

/**
 * ferry_cmsg_send() - learn who sends, and what beside the payload
 * @sock: sender's socket
 * @msg: message
 * @from: filled in; to be ended with ferry_cmsg_sent()
 *
 * Context: process, may sleep.
 * Return: as ferry_cmsg_parse().
 */
static inline int ferry_cmsg_send(struct socket *sock, struct msghdr *msg,
				  struct ferry_sender *from)
{
	from->pid = task_tgid(current);
	from->pid_ref = NULL;
	current_uid_gid(&from->uid, &from->gid);
	from->secid = static_branch_unlikely(&ferry_passsec_used.key) ?
		      ferry_current_secid() : 0;
	from->mark = READ_ONCE(sock->sk->sk_mark);
	from->tsflags = READ_ONCE(sock->sk->sk_tsflags);
	from->rights = NULL;
	return unlikely(msg->msg_controllen) ?
	       ferry_cmsg_parse(sock, msg, from) : 0;
}

/**
 * ferry_cmsg_sent() - the send is over
 * @from: what ferry_cmsg_send() filled; descriptors still there are dropped
 */
static inline void ferry_cmsg_sent(struct ferry_sender *from)
{
	if (unlikely(from->pid_ref))
		put_pid(from->pid_ref);
	if (unlikely(from->rights))
		ferry_rights_put(from->rights);
}

/**
 * ferry_cmsg_attach() - give a new buffer what belongs to its message
 * @buf: first buffer of the message, with @sk set, in no queue yet
 * @from: the sender; its descriptors move to @buf
 */
static inline void ferry_cmsg_attach(struct ferry_buf *buf,
				     struct ferry_sender *from)
{
	/* Without a reference of its own in what all sockets of a process share. */
	if (likely(from->pid == READ_ONCE(ferry_sk(buf->sk)->own_pid)))
		buf->pid = from->pid;
	else
		buf->pid = ferry_cmsg_pid(ferry_sk(buf->sk), from->pid);
	buf->uid = from->uid;
	buf->gid = from->gid;
	buf->secid = from->secid;
	buf->mark = from->mark;
	buf->rights = from->rights;
	from->rights = NULL;
}

/* filter.c */
void ferry_filter_dress(struct sk_buff *skb, const struct sock *sk, u32 mark);
int ferry_filter_record(struct sock *sk, struct sock *to,
			struct ferry_buf *first);
struct sk_buff *ferry_filter_bytes(struct sock *sk, struct sock *to, u32 mark,
				   struct iov_iter *iter, size_t len);
void ferry_filter_inherit(struct sock *child, const struct sock *listener);

/* timestamp.c */
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
void ferry_recv_inq(struct sock *sk, struct msghdr *msg);
int ferry_recv_errors(struct sock *sk, struct msghdr *msg, size_t len);

/* zerocopy.c */
int ferry_zerocopy_send(struct socket *sock, struct msghdr *msg, size_t len,
			int (*send)(struct socket *sock, struct msghdr *msg,
				    size_t len));
void ferry_zerocopy_attach(struct ferry_buf *buf, struct ubuf_info *uarg);
void ferry_zerocopy_put(struct ubuf_info *uarg);

/* ferry_wants_zerocopy() - is this send one with completion notification? */
static inline bool ferry_wants_zerocopy(const struct sock *sk,
					const struct msghdr *msg)
{
	return unlikely(msg->msg_flags & MSG_ZEROCOPY) &&
	       sock_flag(sk, SOCK_ZEROCOPY) && !msg->msg_ubuf &&
	       iov_iter_count(&msg->msg_iter);
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

/* What a receiver can ask for beside the payload; see ferry_recv_extras(). */
#define FERRY_STAMP_FLAGS	(BIT(SOCK_TIMESTAMP) | \
				 BIT(SOCK_TIMESTAMPING_RX_SOFTWARE))
#define FERRY_EXTRA_FLAGS	(FERRY_STAMP_FLAGS | BIT(SOCK_RCVTSTAMP) | \
				 BIT(SOCK_RXQ_OVFL) | BIT(SOCK_RCVMARK))

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

/**
 * ferry_bound_elsewhere() - is @sk bound to a device that local messages do not use?
 * @sk: socket
 *
 * Local messages go out and come in by the loopback device.
 *
 * Return: true if SO_BINDTODEVICE names another one.
 */
static inline bool ferry_bound_elsewhere(const struct sock *sk)
{
	int dev = READ_ONCE(sk->sk_bound_dev_if);

	return unlikely(dev) && dev != sock_net(sk)->loopback_dev->ifindex;
}

/* name.c */
struct ferry_addr *ferry_addr_make(const struct sockaddr_ferry *sa, int len);
void ferry_addr_put(struct ferry_addr *addr);
struct ferry_addr *ferry_addr_get_own(struct sock *sk);
int ferry_addr_check(const struct sockaddr_unsized *uaddr, int len);
int ferry_addr_copy(struct sockaddr *uaddr, const struct ferry_addr *addr);
int ferry_name_bind(struct sock *sk, struct ferry_addr *addr);
int ferry_name_autobind(struct sock *sk, const struct sockaddr_ferry *empty);
void ferry_name_unbind(struct sock *sk);
int ferry_name_listen(struct sock *sk);
void ferry_name_unlisten(struct sock *sk);
struct sock *ferry_name_find(struct sock *sk, const struct sockaddr_ferry *sa,
			     int len, const struct ferry_buf *payload);
int ferry_name_get_mode(struct sock *sk);
int ferry_name_set_mode(struct sock *sk, u32 mode);
int ferry_name_for_each(struct sock *sk, const struct sockaddr_ferry *sa,
			int len, void (*fn)(struct sock *to, void *arg),
			void *arg);
int ferry_name_net_init(struct ferry_net *fn);
void ferry_name_net_exit(struct ferry_net *fn);

/* connection.c */
int ferry_connect(struct socket *sock, struct sockaddr_unsized *uaddr, int len,
		  int flags);
int ferry_dgram_connect(struct socket *sock, struct sockaddr_unsized *uaddr,
			int len, int flags);
void ferry_dgram_dissolve(struct sock *sk, struct sock *peer);
struct sock *ferry_peer_get(struct sock *sk);
int ferry_listen(struct socket *sock, int backlog);
int ferry_accept(struct socket *sock, struct socket *newsock, int flags);
int ferry_socketpair(struct socket *a, struct socket *b);
int ferry_shutdown(struct socket *sock, int how);
void ferry_linger(struct sock *sk);
void ferry_disconnect(struct sock *sk);
int ferry_wait_connected(struct sock *sk, long *timeo);

/* stream.c */
int ferry_stream_sendmsg(struct socket *sock, struct msghdr *msg, size_t len);
int ferry_stream_recvmsg(struct socket *sock, struct msghdr *msg, size_t len,
			 int flags);
ssize_t ferry_stream_recv(struct socket *sock, struct msghdr *msg, size_t len,
			  int flags, struct pipe_inode_info *pipe);

/* splice.c */
ssize_t ferry_splice_out(struct pipe_inode_info *pipe,
			 const struct ferry_buf *buf, size_t off, size_t len);
ssize_t ferry_stream_splice_read(struct socket *sock, loff_t *ppos,
				 struct pipe_inode_info *pipe, size_t len,
				 unsigned int flags);
ssize_t ferry_sendpage(struct socket *sock, struct page *page, int offset,
		       size_t size, int flags);

/* urgent.c */
void ferry_urg_mark(struct ferry_sock *to, unsigned long at, u8 byte);
void ferry_urg_signal(struct sock *sk);
int ferry_urg_recv(struct sock *sk, struct msghdr *msg, size_t len, int flags);
bool ferry_urg_dropped(struct ferry_sock *fs, size_t skip);
long ferry_urg_ahead(struct ferry_sock *fs, size_t skip);
void ferry_urg_passed(struct ferry_sock *fs);
unsigned long ferry_urg_inq(struct sock *sk);

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

unsigned long ferry_urg_readable(const struct sock *sk);
bool ferry_urg_at_mark(struct sock *sk);
bool ferry_urg_pending(struct sock *sk);

/* record.c */
int ferry_seqpacket_sendmsg(struct socket *sock, struct msghdr *msg,
			    size_t len);
int ferry_dgram_sendmsg(struct socket *sock, struct msghdr *msg, size_t len);
int ferry_record_recvmsg(struct socket *sock, struct msghdr *msg, size_t size,
			 int flags);
size_t ferry_record_next_len(struct sock *sk);
struct sk_buff *ferry_record_skb(const struct ferry_buf *first,
				 unsigned int headroom, gfp_t gfp);
void ferry_record_link(struct sock *to, struct ferry_buf *first);

/* broadcast.c */
bool ferry_is_broadcast(const struct sockaddr_ferry *sa);
int ferry_broadcast(struct sock *sk, const struct sockaddr_ferry *sa, int len,
		    struct ferry_buf *first);

/* poll.c */
bool ferry_readable(struct sock *sk, const struct sock *peer);
bool ferry_ask_space(struct sock *sk, struct sock *peer);
void ferry_wake_reader(struct sock *sk);
void ferry_wake_next(struct sock *sk);
void ferry_wake_stream(struct sock *sk, struct sock *peer);
void ferry_wake_writer(struct sock *sk, struct sock *peer);
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
 * Both limits may be exceeded by the one buffer that reaches them, and are no
 * obstacle once everything is read.
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

/**
 * ferry_writable() - is there enough room that a waiting sender should go on?
 * @sk: sender
 * @peer: receiver, or NULL to ask for the sender's own buffer only (DGRAM)
 *
 * Half of both buffers is free, so that a sender which outruns its reader is
 * woken once for many buffers, and any message that a byte stream queues whole has
 * room; or nothing is left that could be read.
 *
 * Return: true if so.
 */
static inline bool ferry_writable(const struct sock *sk, const struct sock *peer)
{
	if (!ferry_sender_room(sk, peer, 2) ||
	    (peer && !ferry_receiver_room(peer, 2)))
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

/* sockopt.c */
int ferry_setsockopt(struct socket *sock, int level, int optname,
		     sockptr_t optval, unsigned int optlen);
int ferry_getsockopt(struct socket *sock, int level, int optname,
		     char __user *optval, int __user *optlen);
void ferry_buffer_resized(struct sock *sk);
int ferry_set_rcvlowat(struct sock *sk, int val);
void ferry_inherit(struct sock *child, const struct sock *listener);

#endif /* _FERRY_H */
