// SPDX-License-Identifier: GPL-2.0
/*
 * Names: addresses, the name table, who may bind and who may reach a name.
 *
 * Each network namespace has one table, a rhashtable, with an entry for every
 * bound pair of type and name. An entry knows its owner, its mode and the
 * sockets bound to it. Readers look up under RCU; sockets are freed after a
 * grace period (SOCK_RCU_FREE), so what a look-up finds can be tried for a
 * reference. Writers hold names_lock.
 */
#include <linux/cred.h>
#include <linux/fs_struct.h>
#include <linux/jhash.h>
#include <linux/random.h>
#include <linux/rculist.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>

#include "ferry.h"

#define FERRY_RESERVED_PREFIX	"system/"

/* Bytes of a generated name: the prefix and 16 hexadecimal digits. */
#define FERRY_AUTO_LEN		21

struct ferry_key {
	u16		type;
	u16		len;
	const char	*name;
};

/**
 * struct ferry_name - a bound name
 * @node: in the table
 * @rcu: frees the entry after a grace period
 * @socks: sockets bound to it, oldest first; written under names_lock, read
 *	under RCU
 * @uid: owner, the effective uid that bound it first
 * @gid: its group
 * @mode: permission bits; the write bits count
 * @type: socket type, as types have separate name spaces
 * @len: bytes of @name
 * @name: the name
 */
struct ferry_name {
	struct rhash_head	node;
	struct rcu_head		rcu;
	struct list_head	socks;
	kuid_t			uid;
	kgid_t			gid;
	umode_t			mode;
	u16			type;
	u16			len;
	char			name[];
};

static u32 ferry_key_hash(u16 type, const char *name, u16 len, u32 seed)
{
	return jhash(name, len, seed ^ type);
}

static u32 ferry_name_hashfn(const void *data, u32 len, u32 seed)
{
	const struct ferry_key *key = data;

	return ferry_key_hash(key->type, key->name, key->len, seed);
}

static u32 ferry_name_obj_hashfn(const void *data, u32 len, u32 seed)
{
	const struct ferry_name *name = data;

	return ferry_key_hash(name->type, name->name, name->len, seed);
}

static int ferry_name_cmpfn(struct rhashtable_compare_arg *arg, const void *obj)
{
	const struct ferry_key *key = arg->key;
	const struct ferry_name *name = obj;

	return name->type != key->type || name->len != key->len ||
	       memcmp(name->name, key->name, key->len);
}

static const struct rhashtable_params ferry_name_params = {
	.head_offset		= offsetof(struct ferry_name, node),
	.hashfn			= ferry_name_hashfn,
	.obj_hashfn		= ferry_name_obj_hashfn,
	.obj_cmpfn		= ferry_name_cmpfn,
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
	struct ferry_addr *addr = smp_load_acquire(&ferry_sk(sk)->addr);

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
int ferry_addr_check(const struct sockaddr *uaddr, int len)
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

static struct ferry_name *ferry_name_lookup(struct ferry_net *fn, u16 type,
					    const struct sockaddr_ferry *sa,
					    int len)
{
	struct ferry_key key = {
		.type = type,
		.len = len - FERRY_ADDR_HDR,
		.name = sa->sfy_name,
	};

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
					  const struct ferry_addr *addr)
{
	int len = addr->len - FERRY_ADDR_HDR;
	struct ferry_name *name;

	name = kmalloc(struct_size(name, name, len), GFP_KERNEL_ACCOUNT);
	if (!name)
		return NULL;
	INIT_LIST_HEAD(&name->socks);
	current_euid_egid(&name->uid, &name->gid);
	name->mode = 0666 & ~current_umask();
	name->type = sk->sk_type;
	name->len = len;
	memcpy(name->name, addr->sa.sfy_name, len);
	return name;
}

/**
 * ferry_name_bind() - bind a socket to an address
 * @sk: unbound socket
 * @addr: its address with a name; on success the socket owns the reference
 *
 * Context: process, lock_sock(@sk) held.
 * Return: 0, -EADDRINUSE, -EACCES (reserved name) or -ENOMEM.
 */
int ferry_name_bind(struct sock *sk, struct ferry_addr *addr)
{
	struct ferry_net *fn = ferry_pernet(sock_net(sk));
	struct ferry_sock *fs = ferry_sk(sk);
	struct ferry_name *name;
	int err;

	sock_owned_by_me(sk);

	if (ferry_name_reserved(addr) &&
	    !ns_capable(sock_net(sk)->user_ns, CAP_NET_BIND_SERVICE))
		return -EACCES;

	mutex_lock(&fn->names_lock);
	rcu_read_lock();
	name = ferry_name_lookup(fn, sk->sk_type, &addr->sa, addr->len);
	rcu_read_unlock();
	err = -EADDRINUSE;
	if (name)
		goto out;

	err = -ENOMEM;
	name = ferry_name_make(sk, addr);
	if (!name)
		goto out;

	/* Readers that find the name must find the socket complete. */
	sock_set_flag(sk, SOCK_RCU_FREE);
	list_add_tail_rcu(&fs->name_node, &name->socks);
	err = rhashtable_insert_fast(&fn->names, &name->node, ferry_name_params);
	if (err) {
		INIT_LIST_HEAD(&fs->name_node);
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
 *
 * The name is random: nobody can take it beforehand, and if somebody has, the
 * next one is tried.
 *
 * Context: process, lock_sock(@sk) held.
 * Return: 0 or -ENOMEM.
 */
int ferry_name_autobind(struct sock *sk)
{
	struct sockaddr_ferry sa = { .sfy_family = AF_FERRY };
	struct ferry_addr *addr;
	char name[FERRY_AUTO_LEN + 1];
	int err;

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
	struct ferry_net *fn = ferry_pernet(sock_net(sk));
	struct ferry_sock *fs = ferry_sk(sk);
	struct ferry_name *name = fs->name;

	if (!name)
		return;

	mutex_lock(&fn->names_lock);
	list_del_rcu(&fs->name_node);
	fs->name = NULL;
	if (list_empty(&name->socks)) {
		rhashtable_remove_fast(&fn->names, &name->node,
				       ferry_name_params);
		kfree_rcu(name, rcu);
	}
	mutex_unlock(&fn->names_lock);
}

/* Is the name bound by a socket of another type? */
static bool ferry_name_other_type(struct ferry_net *fn, u16 type,
				  const struct sockaddr_ferry *sa, int len)
{
	static const u16 types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i] != type && ferry_name_lookup(fn, types[i], sa, len))
			return true;
	return false;
}

/* The socket of a name that takes what comes. */
static struct sock *ferry_name_pick(const struct ferry_name *name)
{
	struct ferry_sock *fs;

	list_for_each_entry_rcu(fs, &name->socks, name_node)
		if (name->type == SOCK_DGRAM ||
		    READ_ONCE(fs->sk.sk_state) == TCP_LISTEN)
			return &fs->sk;
	return NULL;
}

/**
 * ferry_name_find() - find the socket that serves an address
 * @sk: the caller's socket: its namespace and type are searched
 * @sa: address that ferry_addr_check() accepted
 * @len: its length
 *
 * Context: process.
 * Return: the socket with a reference, -ECONNREFUSED (nobody there),
 * -EPROTOTYPE (only of another type) or -EACCES (the name's mode).
 */
struct sock *ferry_name_find(struct sock *sk, const struct sockaddr_ferry *sa,
			     int len)
{
	struct ferry_net *fn = ferry_pernet(sock_net(sk));
	int err = -ECONNREFUSED;
	struct ferry_name *name;
	struct sock *other;

	rcu_read_lock();
	name = ferry_name_lookup(fn, sk->sk_type, sa, len);
	if (!name) {
		if (ferry_name_other_type(fn, sk->sk_type, sa, len))
			err = -EPROTOTYPE;
		goto err_unlock;
	}
	if (!ferry_name_permitted(sock_net(sk), name)) {
		err = -EACCES;
		goto err_unlock;
	}
	other = ferry_name_pick(name);
	if (!other || !refcount_inc_not_zero(&other->sk_refcnt))
		goto err_unlock;
	rcu_read_unlock();
	return other;

err_unlock:
	rcu_read_unlock();
	return ERR_PTR(err);
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
	return rhashtable_init(&fn->names, &ferry_name_params);
}

/* ferry_name_net_exit() - free it; no socket of the namespace is left */
void ferry_name_net_exit(struct ferry_net *fn)
{
	rhashtable_destroy(&fn->names);
}
