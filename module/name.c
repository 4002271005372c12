// SPDX-License-Identifier: GPL-2.0
/*
 * Names: addresses, the name table, who may bind and who may reach a name.
 *
 * Each network namespace has one table, a rhashtable, with an entry for every
 * bound pair of type and name. An entry knows its owner, its mode and the
 * sockets that it leads to. Readers look up under RCU; sockets are freed after a
 * grace period (SOCK_RCU_FREE), so what a look-up finds can be tried for a
 * reference. Writers hold names_lock, for no longer however many sockets there are.
 *
 * Several sockets share a name by SO_REUSEPORT or by SO_REUSEADDR when each had it
 * before its bind, by the latter only while none listens; always of one effective
 * uid. A SO_REUSEPORT group is the core's: datagram sockets join it when bound,
 * others when they listen. At the same time they enter the entry's list by their
 * sk_node, as the core takes that for a sign that there is a group to find a
 * program in, or that there never will be one (reuseport_attach_prog()).
 */
#include <linux/cred.h>
#include <linux/fs_struct.h>
#include <linux/hash.h>
#include <linux/jhash.h>
#include <linux/random.h>
#include <linux/rculist.h>
#include <linux/rhashtable.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <net/sock_reuseport.h>

#include "buffer.h"
#include "cmsg.h"
#include "compat.h"
#include "ferry.h"
#include "filter.h"
#include "name.h"
#include "node.h"
#include "record.h"
#include "remote_dgram.h"

#define FERRY_RESERVED_PREFIX	"system/"

/* Bytes of a generated name: the prefix and 16 hexadecimal digits. */
#define FERRY_AUTO_LEN		21

/*
 * Buckets to begin with: 384 names need no larger table. With its head that is an
 * allocation of two pages for a namespace.
 */
#define FERRY_NAMES_MIN		512

/* struct ferry_key - what a name is looked up by; as in struct ferry_name */
struct ferry_key {
	u32		hash;
	u16		type;
	u16		len;
	const char	*name;
};

/**
 * struct ferry_name - a bound name
 * @node: in the table
 * @rcu: frees the entry after a grace period
 * @servers: sockets that it leads to, newest first: DGRAM all that are bound, of
 *	the others those that listen; written under names_lock, read under RCU
 * @bound: how many sockets are bound to it; guarded by names_lock
 * @uid: owner, the effective uid that bound it first
 * @gid: its group
 * @mode: permission bits; the write bits count
 * @reuseport: all its sockets had SO_REUSEPORT before their bind
 * @reuse: all its sockets had SO_REUSEADDR before their bind
 * @hash: of @type and @name, by the seed of the namespace
 * @type: socket type, as types have separate name spaces
 * @len: bytes of @name
 * @name: the name
 */
struct ferry_name {
	struct rhash_head	node;
	struct rcu_head		rcu;
	struct hlist_head	servers;
	unsigned int		bound;
	kuid_t			uid;
	kgid_t			gid;
	umode_t			mode;
	bool			reuseport;
	bool			reuse;
	u32			hash;
	u16			type;
	u16			len;
	char			name[];
};

/* The table's seed is mixed in anew whenever it grows: that must cost little. */
static u32 ferry_name_mix(u32 hash, u32 seed)
{
	return hash_64(hash ^ seed, 32);
}

static u32 ferry_name_hashfn(const void *data, u32 len, u32 seed)
{
	const struct ferry_key *key = data;

	return ferry_name_mix(key->hash, seed);
}

static u32 ferry_name_obj_hashfn(const void *data, u32 len, u32 seed)
{
	const struct ferry_name *name = data;

	return ferry_name_mix(name->hash, seed);
}

static int ferry_name_cmpfn(struct rhashtable_compare_arg *arg, const void *obj)
{
	const struct ferry_key *key = arg->key;
	const struct ferry_name *name = obj;

	return name->hash != key->hash ||
	       name->type != key->type || name->len != key->len ||
	       memcmp(name->name, key->name, key->len);
}

static const struct rhashtable_params ferry_name_params = {
	.head_offset		= offsetof(struct ferry_name, node),
	.hashfn			= ferry_name_hashfn,
	.obj_hashfn		= ferry_name_obj_hashfn,
	.obj_cmpfn		= ferry_name_cmpfn,
	.min_size		= FERRY_NAMES_MIN,
	.automatic_shrinking	= true,
};

/**
 * ferry_addr_make() - make a shareable address
 * @sa: address that ferry_addr_check() accepted
 * @len: its length
 *
 * Return: the address with one reference, or NULL without memory.
 */
struct ferry_addr *ferry_addr_make(const struct sockaddr_ferry *sa, int len)
{
	struct ferry_addr *addr;

	addr = kmalloc(offsetof(struct ferry_addr, sa) + len,
		       GFP_KERNEL_ACCOUNT);
	if (!addr)
		return NULL;
	refcount_set(&addr->refs, 1);
	addr->len = len;
	unsafe_memcpy(&addr->sa, sa, len,
		      /* allocated for just these bytes */);
	return addr;
}

/* ferry_addr_put() - drop a reference */
void ferry_addr_put(struct ferry_addr *addr)
{
	if (refcount_dec_and_test(&addr->refs))
		kfree(addr);
}

/* ferry_addr_get_own() - the bound address with a reference, or NULL */
struct ferry_addr *ferry_addr_get_own(struct sock *sk)
{
	struct ferry_addr *addr = ferry_own_addr(sk);

	if (addr)
		refcount_inc(&addr->refs);
	return addr;
}

/**
 * ferry_addr_check() - is it an address of the family?
 * @uaddr: address in kernel memory
 * @len: its length
 *
 * Return: 0, -EINVAL (length, reserved scope) or -EAFNOSUPPORT.
 */
int ferry_addr_check(const struct sockaddr_unsized *uaddr, int len)
{
	const struct sockaddr_ferry *sa = (const void *)uaddr;

	if (len < (int)offsetofend(struct sockaddr_ferry, sfy_family))
		return -EINVAL;
	if (sa->sfy_family != AF_FERRY)
		return -EAFNOSUPPORT;
	if (len < FERRY_ADDR_HDR || len > (int)sizeof(*sa))
		return -EINVAL;
	if (sa->sfy_scope != FERRY_SCOPE_HOST &&
	    sa->sfy_scope != FERRY_SCOPE_NETWORK)
		return -EINVAL;
	return 0;
}

/**
 * ferry_addr_copy() - give an address to user space
 * @uaddr: room for a struct sockaddr_storage
 * @addr: the address, or NULL for a socket without name
 *
 * Return: bytes written.
 */
int ferry_addr_copy(struct sockaddr *uaddr, const struct ferry_addr *addr)
{
	if (addr) {
		memcpy(uaddr, &addr->sa, addr->len);
		return addr->len;
	}
	memset(uaddr, 0, FERRY_ADDR_HDR);
	uaddr->sa_family = AF_FERRY;
	return FERRY_ADDR_HDR;
}

static struct ferry_key ferry_name_key(const struct ferry_net *fn, u16 type,
				       const char *name, int len)
{
	struct ferry_key key = {
		.type = type,
		.len = len,
		.name = name,
	};

	key.hash = jhash(key.name, key.len, fn->names_seed ^ type);
	return key;
}

static struct ferry_name *ferry_name_lookup(struct ferry_net *fn, u16 type,
					    const char *name, int len)
{
	struct ferry_key key = ferry_name_key(fn, type, name, len);

	return rhashtable_lookup(&fn->names, &key, ferry_name_params);
}

/* May the caller reach the name? As a file: owner, group, others. */
static bool ferry_name_permitted(struct net *net, const struct ferry_name *name)
{
	umode_t mode = READ_ONCE(name->mode);

	if (uid_eq(current_fsuid(), name->uid))
		mode >>= 6;
	else if (in_group_p(name->gid))
		mode >>= 3;

	return (mode & 2) || ns_capable(net->user_ns, CAP_DAC_OVERRIDE);
}

static bool ferry_name_reserved(const struct ferry_addr *addr)
{
	size_t n = strlen(FERRY_RESERVED_PREFIX);

	return addr->len >= FERRY_ADDR_HDR + (int)n &&
	       !memcmp(addr->sa.sfy_name, FERRY_RESERVED_PREFIX, n);
}

static struct ferry_name *ferry_name_make(const struct sock *sk,
					  const struct ferry_key *key)
{
	struct ferry_name *name;

	name = kmalloc(struct_size(name, name, key->len), GFP_KERNEL_ACCOUNT);
	if (!name)
		return NULL;
	INIT_HLIST_HEAD(&name->servers);
	name->bound = 0;
	current_euid_egid(&name->uid, &name->gid);
	name->mode = 0666 & ~current_umask();
	name->reuseport = sk->sk_reuseport;
	name->reuse = sk->sk_reuse;
	name->hash = key->hash;
	name->type = key->type;
	name->len = key->len;
	memcpy(name->name, key->name, key->len);
	return name;
}

/* May @sk be bound to a name that others have? */
static bool ferry_name_shareable(const struct ferry_name *name,
				 const struct sock *sk)
{
	lockdep_assert_held(&ferry_pernet(sock_net(sk))->names_lock);

	if (!uid_eq(name->uid, current_euid()))
		return false;
	/* With a program it has a group of its own, and cannot be in two. */
	if (name->reuseport && sk->sk_reuseport &&
	    !rcu_access_pointer(sk->sk_reuseport_cb))
		return true;
	return name->reuse && sk->sk_reuse &&
	       (!ferry_connects(sk) || hlist_empty(&name->servers));
}

static struct sock *ferry_name_newest(const struct ferry_name *name)
{
	return hlist_entry_safe(name->servers.first, struct sock, sk_node);
}

/* Join the group of those who share the name by SO_REUSEPORT. */
static int ferry_group_join(struct ferry_name *name, struct sock *sk)
{
	struct sock *other = ferry_name_newest(name);

	lockdep_assert_held(&ferry_pernet(sock_net(sk))->names_lock);

	/* All of them are in the group; a program of @sk gives way to the group's. */
	return other ? reuseport_add_sock(sk, other, false) :
		       reuseport_alloc(sk, false);
}

static void ferry_group_leave(struct sock *sk)
{
	lockdep_assert_held(&ferry_pernet(sock_net(sk))->names_lock);

	if (rcu_access_pointer(sk->sk_reuseport_cb))
		reuseport_detach_sock(sk);
}

/* Enter a socket with its name, which is new or may be shared, into the table. */
static int ferry_name_enter(struct ferry_net *fn, struct ferry_name *name,
			    bool fresh, struct sock *sk)
{
	int err;

	lockdep_assert_held(&fn->names_lock);

	/* Readers that find the name must find the socket complete. */
	ferry_set_flag(sk, SOCK_RCU_FREE, true);
	name->reuseport &= sk->sk_reuseport;
	if (name->reuseport && sk->sk_type == SOCK_DGRAM) {
		err = ferry_group_join(name, sk);
		if (err)
			return err;
	}
	if (sk->sk_type == SOCK_DGRAM)
		hlist_add_head_rcu(&sk->sk_node, &name->servers);
	if (fresh) {
		err = rhashtable_insert_fast(&fn->names, &name->node,
					     ferry_name_params);
		if (err) {
			/* Nobody can have seen it. */
			INIT_HLIST_NODE(&sk->sk_node);
			ferry_group_leave(sk);
			return err;
		}
	}
	name->reuse = name->reuse && sk->sk_reuse;
	name->bound++;
	return 0;
}

/**
 * ferry_name_bind() - bind a socket to an address
 * @sk: unbound socket
 * @addr: its address with a name; on success the socket owns the reference
 *
 * Context: process, lock_sock(@sk) held.
 * Return: 0, -EADDRINUSE, -EACCES (reserved name), -EADDRNOTAVAIL (node),
 * -EINVAL or -ENOMEM.
 */
int ferry_name_bind(struct sock *sk, struct ferry_addr *addr)
{
	struct ferry_net *fn = ferry_pernet(sock_net(sk));
	struct ferry_sock *fs = ferry_sk(sk);
	struct ferry_name *name;
	struct ferry_key key;
	bool fresh;
	int err;

	sock_owned_by_me(sk);

	err = ferry_node_bind(sk, &addr->sa);
	if (err)
		return err;
	if (ferry_name_reserved(addr) &&
	    !ns_capable(sock_net(sk)->user_ns, CAP_NET_BIND_SERVICE))
		return -EACCES;

	key = ferry_name_key(fn, sk->sk_type, addr->sa.sfy_name,
			     addr->len - FERRY_ADDR_HDR);
	mutex_lock(&fn->names_lock);
	name = rhashtable_lookup_fast(&fn->names, &key, ferry_name_params);
	fresh = !name;
	err = -EADDRINUSE;
	if (name && !ferry_name_shareable(name, sk))
		goto out;
	err = -ENOMEM;
	if (fresh)
		name = ferry_name_make(sk, &key);
	if (!name)
		goto out;

	err = ferry_name_enter(fn, name, fresh, sk);
	if (err) {
		if (fresh)
			kfree(name);
		goto out;
	}
	fs->name = name;
	/* Pairs with the lockless readers of a socket's own address. */
	smp_store_release(&fs->addr, addr);
out:
	mutex_unlock(&fn->names_lock);
	return err;
}

/**
 * ferry_name_autobind() - bind a socket to a fresh name
 * @sk: unbound socket
 * @empty: address without a name, whose scope and node it gets
 *
 * The name is random: nobody can take it beforehand, and if somebody has, the
 * next one is tried.
 *
 * Context: process, lock_sock(@sk) held.
 * Return: 0 or -ENOMEM.
 */
int ferry_name_autobind(struct sock *sk, const struct sockaddr_ferry *empty)
{
	struct sockaddr_ferry sa;
	struct ferry_addr *addr;
	char name[FERRY_AUTO_LEN + 1];
	int err;

	memcpy(&sa, empty, FERRY_ADDR_HDR);
	do {
		snprintf(name, sizeof(name), "auto/%016llx", get_random_u64());
		memcpy(sa.sfy_name, name, FERRY_AUTO_LEN);
		addr = ferry_addr_make(&sa, FERRY_ADDR_LEN(FERRY_AUTO_LEN));
		if (!addr)
			return -ENOMEM;
		err = ferry_name_bind(sk, addr);
		if (err)
			ferry_addr_put(addr);
	} while (err == -EADDRINUSE);
	return err;
}

/**
 * ferry_name_unbind() - free the name of a socket that is being released
 * @sk: socket, bound or not
 *
 * Context: process, may sleep.
 */
void ferry_name_unbind(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);
	struct ferry_name *name = fs->name;
	struct ferry_net *fn;

	if (!name)
		return;

	fn = ferry_pernet(sock_net(sk));
	mutex_lock(&fn->names_lock);
	ferry_group_leave(sk);
	hlist_del_init_rcu(&sk->sk_node);
	fs->name = NULL;
	if (!--name->bound) {
		rhashtable_remove_fast(&fn->names, &name->node,
				       ferry_name_params);
		kfree_rcu(name, rcu);
	}
	mutex_unlock(&fn->names_lock);
}

/* Is the name bound by a socket of another type? */
static bool ferry_name_other_type(struct ferry_net *fn, u16 type,
				  const char *name, int len)
{
	static const u16 types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i] != type &&
		    ferry_name_lookup(fn, types[i], name, len))
			return true;
	return false;
}

/**
 * ferry_name_listen() - a bound socket begins to listen
 * @sk: the socket
 *
 * Context: process, lock_sock(@sk) held.
 * Return: 0; -EADDRINUSE when another socket of the name listens and they are
 * no group; -ENOMEM.
 */
int ferry_name_listen(struct sock *sk)
{
	struct ferry_net *fn = ferry_pernet(sock_net(sk));
	struct ferry_sock *fs = ferry_sk(sk);
	struct ferry_name *name;
	int err = 0;

	sock_owned_by_me(sk);

	if (sk->sk_state == TCP_LISTEN)
		return 0;

	mutex_lock(&fn->names_lock);
	name = fs->name;
	if (name->reuseport)
		err = ferry_group_join(name, sk);
	else if (!hlist_empty(&name->servers))
		err = -EADDRINUSE;
	if (!err) {
		spin_lock(&fs->lock);
		WRITE_ONCE(sk->sk_state, TCP_LISTEN);
		spin_unlock(&fs->lock);
		hlist_add_head_rcu(&sk->sk_node, &name->servers);
	}
	mutex_unlock(&fn->names_lock);
	return err;
}

/**
 * ferry_name_unlisten() - a socket listens no more, but keeps its name
 * @sk: the socket
 */
void ferry_name_unlisten(struct sock *sk)
{
	struct ferry_net *fn = ferry_pernet(sock_net(sk));

	mutex_lock(&fn->names_lock);
	ferry_group_leave(sk);
	hlist_del_init_rcu(&sk->sk_node);
	mutex_unlock(&fn->names_lock);
}

/* Can the socket take what @sk sends, or its connection? */
static bool ferry_name_serves(const struct sock *to, const struct sock *sk)
{
	const struct sock *peer = READ_ONCE(ferry_sk(to)->peer);

	if (unlikely(ferry_bound_elsewhere(to)))
		return false;
	if (sk->sk_type == SOCK_DGRAM)
		return !peer || peer == sk;
	return READ_ONCE(to->sk_state) == TCP_LISTEN;
}

/* Does a program choose among the group of @sk? Needs RCU. */
static bool ferry_group_steered(const struct sock *sk)
{
	const struct sock_reuseport *reuse = rcu_dereference(sk->sk_reuseport_cb);

	return reuse && rcu_access_pointer(reuse->prog);
}

/*
 * The socket of a name that takes what comes from @sk, or NULL. Where a program
 * chooses and there is no @skb to show it, -EAGAIN.
 */
static struct sock *ferry_name_pick(const struct ferry_name *name,
				    struct sock *sk, struct sk_buff *skb)
{
	struct sock *to, *member, *any = NULL;
	bool serves = false;
	u32 hash;

	hlist_for_each_entry_rcu(to, &name->servers, sk_node) {
		any = to;
		serves = ferry_name_serves(to, sk);
		if (serves)
			break;
	}
	if (!any)
		return NULL;
	if (!serves)
		/* A datagram socket with another peer will say so itself. */
		return sk->sk_type == SOCK_DGRAM &&
		       !ferry_bound_elsewhere(any) ? any : NULL;
	if (!rcu_access_pointer(any->sk_reuseport_cb))
		return any;

	if (!skb && ferry_group_steered(any))
		return ERR_PTR(-EAGAIN);
	/* A datagram's sender keeps its receiver, so its order is kept. */
	hash = sk->sk_type == SOCK_DGRAM ?
		hash_64(ferry_sk(sk)->place, 32) : get_random_u32();
	member = reuseport_select_sock(any, hash, skb, 0);
	/* It may be bound elsewhere, or join the group before it listens. */
	if (!IS_ERR_OR_NULL(member) && ferry_name_serves(member, sk))
		return member;
	return any;
}

static struct sock *ferry_name_try(struct sock *sk,
				   const struct sockaddr_ferry *sa, int len,
				   struct sk_buff *skb)
{
	struct ferry_net *fn = ferry_pernet(sock_net(sk));
	struct sock *other = ERR_PTR(-ECONNREFUSED);
	struct ferry_name *name;

	rcu_read_lock();
	len -= FERRY_ADDR_HDR;
	name = ferry_name_lookup(fn, sk->sk_type, sa->sfy_name, len);
	if (!name) {
		if (ferry_name_other_type(fn, sk->sk_type, sa->sfy_name, len))
			other = ERR_PTR(-EPROTOTYPE);
	} else if (!ferry_name_permitted(sock_net(sk), name)) {
		other = ERR_PTR(-EACCES);
	} else {
		/* One that is being freed has left the name: look again. */
		do {
			other = ferry_name_pick(name, sk, skb);
		} while (!IS_ERR_OR_NULL(other) &&
			 !refcount_inc_not_zero(&other->sk_refcnt));
		if (!other)
			other = ERR_PTR(-ECONNREFUSED);
	}
	rcu_read_unlock();
	return other;
}

/**
 * ferry_name_find() - find the socket that serves an address
 * @sk: the caller's socket: its namespace and type are searched
 * @sa: address that ferry_addr_check() accepted
 * @len: its length
 * @payload: the datagram, for a program to choose by; NULL for a connect
 *
 * Context: process, may sleep.
 * Return: the socket with a reference, -ECONNREFUSED (nobody there),
 * -EPROTOTYPE (only of another type), -EACCES (the name's mode), -ENETUNREACH or
 * -EINVAL (the node), or -ENOMEM.
 */
struct sock *ferry_name_find(struct sock *sk, const struct sockaddr_ferry *sa,
			     int len, const struct ferry_buf *payload)
{
	struct sk_buff *skb;
	struct sock *other;
	int kind;

	kind = ferry_node_kind(sk, sa);
	if (unlikely(kind != FERRY_NODE_HERE))
		return ERR_PTR(kind < 0 ? kind : -ENETUNREACH);
	if (unlikely(ferry_bound_elsewhere(sk)))
		return ERR_PTR(-ENETUNREACH);

	other = ferry_name_try(sk, sa, len, NULL);
	if (likely(other != ERR_PTR(-EAGAIN)))
		return other;

	skb = ferry_record_skb(payload, 0, GFP_KERNEL);
	if (!skb)
		return ERR_PTR(-ENOMEM);
	if (payload)
		ferry_filter_dress(skb, sk, payload->mark, ferry_buf_priority(payload, sk));
	else
		ferry_filter_dress(skb, sk, READ_ONCE(sk->sk_mark), READ_ONCE(sk->sk_priority));
	other = ferry_name_try(sk, sa, len, skb);
	consume_skb(skb);
	return other;
}

/* How many sockets of a name are looked at, in softirq, for whom a message is. */
#define FERRY_REMOTE_LOOK	256

/* May what came from another host be given to the socket? */
static bool ferry_name_serves_remote(const struct sock *to,
				     const struct ferry_arrival *at)
{
	const struct sockaddr_ferry *sa = &ferry_own_addr(to)->sa;
	int dev = READ_ONCE(to->sk_bound_dev_if);

	if (sa->sfy_scope != FERRY_SCOPE_NETWORK || (dev && dev != at->dif))
		return false;
	if (!ferry_node_any(sa) &&
	    !ipv6_addr_equal(ferry_node(sa), at->node))
		return false;
	if (to->sk_type == SOCK_DGRAM)
		return !READ_ONCE(ferry_sk(to)->peer) ||
		       ferry_remote_takes(to, at);
	return READ_ONCE(to->sk_state) == TCP_LISTEN;
}

/* The socket of a name that takes what comes from another host, or NULL. */
static struct sock *ferry_name_pick_remote(const struct ferry_name *name,
					   const struct ferry_arrival *at)
{
	unsigned int left = FERRY_REMOTE_LOOK;
	struct sock *to, *member;

	hlist_for_each_entry_rcu(to, &name->servers, sk_node) {
		if (!left--)
			break;
		if (!ferry_name_serves_remote(to, at))
			continue;
		if (!rcu_access_pointer(to->sk_reuseport_cb))
			return to;
		member = reuseport_select_sock(to, at->hash, at->skb, 0);
		return !IS_ERR_OR_NULL(member) &&
		       ferry_name_serves_remote(member, at) ? member : to;
	}
	return NULL;
}

/**
 * ferry_name_find_remote() - find the socket for what came from another host
 * @net: namespace
 * @at: what came
 *
 * Only sockets bound with NETWORK scope are found; whoever comes from another host
 * counts as other.
 *
 * Context: any but hard interrupts.
 * Return: the socket with a reference, -ECONNREFUSED (nobody there), -EPROTOTYPE
 * (only of another type) or -EACCES (the name's mode).
 */
struct sock *ferry_name_find_remote(struct net *net,
				    const struct ferry_arrival *at)
{
	static const u16 types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	struct ferry_net *fn = ferry_pernet(net);
	struct sock *to = NULL;
	struct ferry_name *name;
	unsigned int i;

	rcu_read_lock();
	name = ferry_name_lookup(fn, at->type, at->name, at->len);
	/* One that is being freed has left the name: look again. */
	do {
		if (name)
			to = ferry_name_pick_remote(name, at);
	} while (to && !refcount_inc_not_zero(&to->sk_refcnt));
	if (to && !(READ_ONCE(name->mode) & 2)) {
		sock_put(to);
		to = ERR_PTR(-EACCES);
	}
	for (i = 0; !to && i < ARRAY_SIZE(types); i++) {
		struct ferry_arrival other = *at;

		if (types[i] == at->type)
			continue;
		other.type = types[i];
		name = ferry_name_lookup(fn, other.type, at->name, at->len);
		if (name && ferry_name_pick_remote(name, &other))
			to = ERR_PTR(-EPROTOTYPE);
	}
	rcu_read_unlock();
	return to ? to : ERR_PTR(-ECONNREFUSED);
}

/**
 * ferry_name_each_remote() - call a function for every socket that takes what
 * came from another host
 * @net: namespace
 * @at: what came
 * @fn: function, called under RCU; must not sleep; false to end
 * @arg: its second argument
 *
 * Context: any but hard interrupts.
 * Return: 0, -ECONNREFUSED (the name is not bound) or -EACCES (its mode).
 */
int ferry_name_each_remote(struct net *net, const struct ferry_arrival *at,
			   bool (*fn)(struct sock *to, void *arg),
			   void *arg)
{
	unsigned int left = FERRY_REMOTE_LOOK;
	struct ferry_name *name;
	int err = -ECONNREFUSED;
	struct sock *to;

	rcu_read_lock();
	name = ferry_name_lookup(ferry_pernet(net), at->type, at->name, at->len);
	if (name && !(READ_ONCE(name->mode) & 2)) {
		err = -EACCES;
	} else if (name) {
		err = 0;
		hlist_for_each_entry_rcu(to, &name->servers, sk_node) {
			if (!left--)
				break;
			if (ferry_name_serves_remote(to, at) && !fn(to, arg))
				break;
		}
	}
	rcu_read_unlock();
	return err;
}

/**
 * ferry_name_for_each() - call a function for every socket of a name
 * @sk: the caller's socket: its namespace and type are searched
 * @sa: address; its node is not looked at
 * @len: its length
 * @fn: function, called under RCU; must not sleep
 * @arg: its second argument
 *
 * Return: 0, also when the name is not bound, -EACCES (the name's mode) or
 * -ENETUNREACH (@sk is bound to a device that local messages do not use).
 */
int ferry_name_for_each(struct sock *sk, const struct sockaddr_ferry *sa,
			int len, void (*fn)(struct sock *to, void *arg),
			void *arg)
{
	struct ferry_name *name;
	struct sock *to;
	int err = 0;

	if (unlikely(ferry_bound_elsewhere(sk)))
		return -ENETUNREACH;

	rcu_read_lock();
	name = ferry_name_lookup(ferry_pernet(sock_net(sk)), sk->sk_type,
				 sa->sfy_name, len - FERRY_ADDR_HDR);
	if (name && !ferry_name_permitted(sock_net(sk), name))
		err = -EACCES;
	else if (name)
		hlist_for_each_entry_rcu(to, &name->servers, sk_node)
			if (likely(!ferry_bound_elsewhere(to)))
				fn(to, arg);
	rcu_read_unlock();
	return err;
}

/**
 * ferry_name_get_mode() - FERRY_MODE
 * @sk: the socket
 *
 * Return: the mode of its name, or -EINVAL without one.
 */
int ferry_name_get_mode(struct sock *sk)
{
	struct ferry_net *fn = ferry_pernet(sock_net(sk));
	const struct ferry_name *name;
	int mode = -EINVAL;

	mutex_lock(&fn->names_lock);
	name = ferry_sk(sk)->name;
	if (name)
		mode = name->mode;
	mutex_unlock(&fn->names_lock);
	return mode;
}

/**
 * ferry_name_set_mode() - FERRY_MODE
 * @sk: the socket
 * @mode: permission bits
 *
 * Return: 0, -EINVAL without a name or with other bits, or -EPERM when the
 * caller neither owns the name nor has CAP_FOWNER.
 */
int ferry_name_set_mode(struct sock *sk, u32 mode)
{
	struct ferry_net *fn = ferry_pernet(sock_net(sk));
	struct ferry_name *name;
	int err = -EINVAL;

	if (mode & ~0777)
		return err;

	mutex_lock(&fn->names_lock);
	name = ferry_sk(sk)->name;
	if (name) {
		err = -EPERM;
		if (uid_eq(current_euid(), name->uid) ||
		    ns_capable(sock_net(sk)->user_ns, CAP_FOWNER)) {
			WRITE_ONCE(name->mode, mode);
			err = 0;
		}
	}
	mutex_unlock(&fn->names_lock);
	return err;
}

/**
 * ferry_name_net_init() - make the table of a namespace
 * @fn: what the family keeps there
 *
 * Return: 0 or -ENOMEM.
 */
int ferry_name_net_init(struct ferry_net *fn)
{
	mutex_init(&fn->names_lock);
	fn->names_seed = get_random_u32();
	return rhashtable_init(&fn->names, &ferry_name_params);
}

/* ferry_name_net_exit() - free it; no socket of the namespace is left */
void ferry_name_net_exit(struct ferry_net *fn)
{
	rhashtable_destroy(&fn->names);
}
