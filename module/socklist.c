// SPDX-License-Identifier: GPL-2.0
/*
 * All sockets of a network namespace, for diagnosis (diag.c, proc.c).
 *
 * Sockets are in hashed buckets, so that those who create and close sockets
 * rarely meet. A socket is listed from its creation until its release; one that
 * is freed without a release, as a child that was never connected, until then.
 * /proc/net/protocols counts those that are listed.
 *
 * The list is by sk_bind_node, which the core leaves to each family. It does look at
 * sk_node, and takes a socket that has it in a list for a bound one; see name.c.
 *
 * Each listed socket has a place that never changes and that nobody else gets:
 * its bucket in the upper bits, below them a number that falls with every socket
 * added. A bucket begins with its newest socket, so places rise along a walk.
 * A walk is resumed by place: whatever comes and goes meanwhile, it shows a
 * socket that was there all the time exactly once, and it ends.
 */
#include <linux/hash.h>
#include <linux/sched.h>

#include "ferry.h"
#include "socklist.h"

/* So many bits count the sockets added to a bucket. */
#define FERRY_PLACE_BITS	48

/* Behind the last place. */
#define FERRY_PLACE_END		((u64)FERRY_BUCKETS << FERRY_PLACE_BITS)

static struct ferry_bucket *ferry_bucket(struct net *net, u64 place)
{
	return &ferry_pernet(net)->buckets[place >> FERRY_PLACE_BITS];
}

/**
 * ferry_socklist_add() - enter a new socket
 * @sk: complete but for what it is bound and connected to
 */
void ferry_socklist_add(struct sock *sk)
{
	u64 base = (u64)hash_ptr(sk, FERRY_BUCKET_BITS) << FERRY_PLACE_BITS;
	struct ferry_bucket *bucket = ferry_bucket(sock_net(sk), base);
	struct ferry_sock *fs = ferry_sk(sk);

	spin_lock(&bucket->lock);
	fs->place = base + BIT_ULL(FERRY_PLACE_BITS) - ++bucket->added;
	sk_add_bind_node(sk, &bucket->socks);
	spin_unlock(&bucket->lock);
	sock_prot_inuse_add(sock_net(sk), sk->sk_prot, 1);
}

/**
 * ferry_socklist_del() - a socket is no longer anybody's
 * @sk: socket, perhaps not listed any more; only its last owner calls this
 *
 * Context: process. A datagram socket, which is freed by RCU, left when it was
 * released.
 */
void ferry_socklist_del(struct sock *sk)
{
	struct ferry_bucket *bucket;

	if (hlist_unhashed_lockless(&sk->sk_bind_node))
		return;

	bucket = ferry_bucket(sock_net(sk), ferry_sk(sk)->place);
	spin_lock(&bucket->lock);
	hlist_del_init(&sk->sk_bind_node);
	spin_unlock(&bucket->lock);
	sock_prot_inuse_add(sock_net(sk), sk->sk_prot, -1);
}

/* The first socket at @place or behind it; @prev, if listed, comes before. */
static struct sock *ferry_bucket_next(struct ferry_bucket *bucket,
				      struct sock *prev, u64 place)
{
	struct sock *sk = prev;

	spin_lock(&bucket->lock);
	if (!sk || hlist_unhashed(&sk->sk_bind_node))
		sk = hlist_entry_safe(bucket->socks.first, struct sock,
				      sk_bind_node);
	hlist_for_each_entry_from(sk, sk_bind_node)
		/* One that is being freed has not left yet. */
		if (ferry_sk(sk)->place >= place &&
		    refcount_inc_not_zero(&sk->sk_refcnt))
			break;
	spin_unlock(&bucket->lock);
	return sk;
}

/**
 * ferry_socklist_next() - walk the sockets of a namespace
 * @net: namespace
 * @prev: socket that this gave before, whose reference is used up, or NULL
 * @place: where to go on, 0 at first; updated to the place of what is returned.
 *	One more is where to go on behind it
 *
 * The socket returned may be released at any time, but stays in memory.
 *
 * Context: process, may sleep.
 * Return: the next socket with a reference, or NULL at the end.
 */
struct sock *ferry_socklist_next(struct net *net, struct sock *prev, u64 *place)
{
	struct sock *from = prev, *sk = NULL;

	while (*place < FERRY_PLACE_END) {
		u64 next = ((*place >> FERRY_PLACE_BITS) + 1) << FERRY_PLACE_BITS;
		struct ferry_bucket *bucket = ferry_bucket(net, *place);

		if (from && ferry_bucket(net, ferry_sk(from)->place) != bucket)
			from = NULL;
		sk = ferry_bucket_next(bucket, from, *place);
		if (sk) {
			*place = ferry_sk(sk)->place;
			break;
		}
		*place = next;
		cond_resched();
	}
	if (prev)
		sock_put(prev);
	return sk;
}

/* ferry_socklist_net_init() - an empty list for a namespace */
void ferry_socklist_net_init(struct ferry_net *fn)
{
	unsigned int i;

	for (i = 0; i < FERRY_BUCKETS; i++) {
		spin_lock_init(&fn->buckets[i].lock);
		INIT_HLIST_HEAD(&fn->buckets[i].socks);
	}
}
