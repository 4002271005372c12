// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors in flight: who pays for them, and the rule that keeps the graph
 * of sockets in queues of sockets free of cycles.
 *
 * A socket that lies in a queue is kept alive by that queue. Were the queue's
 * own socket reachable only from there, nobody could ever close either: other
 * families need a garbage collector to find such cycles. Here a send that would
 * close one is refused with ELOOP, so there are none.
 *
 * The graph: an edge leads from the socket in whose queue a message lies to each
 * socket of the family in that message. A connection not yet accepted belongs
 * to its listener, so the listener stands for it: what lies in the child's
 * queue is reachable from the listener. Descriptors by which a cycle could pass
 * unseen (AF_UNIX sockets, io_uring) are refused.
 *
 * ferry_inflight_lock guards all edges and accounts. It is taken for messages
 * that carry descriptors, by the sender and by whoever takes them out. Under it
 * a listener's @lock may be taken.
 */
#include <linux/file.h>
#include <linux/magic.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "ferry.h"

/**
 * struct ferry_vertex - what the graph knows of a socket
 * @queue: &struct ferry_rights in the socket's queue that carry sockets
 * @todo: in the list of sockets that a search has still to visit
 * @round: the last search that came by, 0 when none did
 * @sk: the socket
 *
 * Made when a socket first takes part and freed with it; all guarded by
 * ferry_inflight_lock.
 */
struct ferry_vertex {
	struct list_head	queue;
	struct list_head	todo;
	u64			round;
	struct sock		*sk;
};

static DEFINE_MUTEX(ferry_inflight_lock);

/*
 * Descriptors in flight of each uid; a value of the array is their number.
 * Guarded by ferry_inflight_lock.
 */
static DEFINE_XARRAY(ferry_inflight_users);

/*
 * Count descriptors against the caller's limit, RLIMIT_NOFILE, which
 * CAP_SYS_RESOURCE and CAP_SYS_ADMIN lift.
 */
static int ferry_inflight_charge(struct ferry_rights *rights)
{
	unsigned long held;
	void *entry;
	int err;

	lockdep_assert_held(&ferry_inflight_lock);

	rights->uid = __kuid_val(current_uid());
	entry = xa_load(&ferry_inflight_users, rights->uid);
	held = entry ? xa_to_value(entry) : 0;
	if (held + rights->count > rlimit(RLIMIT_NOFILE) &&
	    !capable(CAP_SYS_RESOURCE) && !capable(CAP_SYS_ADMIN))
		return -ETOOMANYREFS;

	err = xa_err(xa_store(&ferry_inflight_users, rights->uid,
			      xa_mk_value(held + rights->count), GFP_KERNEL));
	rights->charged = !err;
	return err;
}

static void ferry_inflight_uncharge(struct ferry_rights *rights)
{
	unsigned long held;

	lockdep_assert_held(&ferry_inflight_lock);

	if (!rights->charged)
		return;
	rights->charged = false;

	/* Neither needs memory: the entry exists. */
	held = xa_to_value(xa_load(&ferry_inflight_users, rights->uid)) -
	       rights->count;
	if (held)
		xa_store(&ferry_inflight_users, rights->uid, xa_mk_value(held),
			 GFP_KERNEL);
	else
		xa_erase(&ferry_inflight_users, rights->uid);
}

/* The socket of the family behind a file, or NULL. */
static struct sock *ferry_file_sock(struct file *file)
{
	struct socket *sock = sock_from_file(file);

	return sock && sock->ops && sock->ops->family == PF_FERRY ? sock->sk :
								    NULL;
}

/*
 * Is it an io_uring instance? Its file operations are not exported; its inode
 * belongs to the anonymous file system, where only the kernel names files.
 */
static bool ferry_file_is_io_uring(const struct file *file)
{
	return file_inode(file)->i_sb->s_magic == ANON_INODE_FS_MAGIC &&
	       !strcmp(file->f_path.dentry->d_name.name, "[io_uring]");
}

/* The vertex of a socket, made when it has none; NULL without memory. */
static struct ferry_vertex *ferry_vertex(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);

	lockdep_assert_held(&ferry_inflight_lock);

	if (!fs->vertex) {
		fs->vertex = kzalloc(sizeof(*fs->vertex), GFP_KERNEL_ACCOUNT);
		if (!fs->vertex)
			return NULL;
		INIT_LIST_HEAD(&fs->vertex->queue);
		fs->vertex->sk = sk;
	}
	return fs->vertex;
}

/* A search has come to @vertex: it is to be visited, once. */
static void ferry_visit_later(struct ferry_vertex *vertex,
			      struct list_head *todo, u64 round)
{
	if (vertex->round == round)
		return;
	vertex->round = round;
	list_add_tail(&vertex->todo, todo);
}

/* Mark the sockets among @rights as to be visited. Returns whether one is @to. */
static bool ferry_visit_rights(const struct ferry_rights *rights,
			       struct list_head *todo, u64 round,
			       const struct sock *to,
			       const struct sock *listener)
{
	int i;

	for (i = 0; i < rights->count; i++) {
		struct sock *sk = ferry_file_sock(rights->fp->fp[i]);

		if (!sk)
			continue;
		if (sk == to || sk == listener)
			return true;
		ferry_visit_later(ferry_sk(sk)->vertex, todo, round);
	}
	return false;
}

/*
 * Mark the children that a listener stands for. Those with nothing in their
 * queue lead nowhere; the others cannot go before that is taken out, which
 * needs ferry_inflight_lock.
 */
static void ferry_visit_children(struct ferry_sock *fs, struct list_head *todo,
				 u64 round)
{
	struct ferry_sock *child;

	spin_lock(&fs->lock);
	if (fs->sk.sk_state == TCP_LISTEN)
		list_for_each_entry(child, &fs->accept_queue, node)
			if (child->vertex && !list_empty(&child->vertex->queue))
				ferry_visit_later(child->vertex, todo, round);
	spin_unlock(&fs->lock);
}

/* Does a path of edges lead from one of @rights' sockets to @to? */
static bool ferry_reaches(const struct ferry_rights *rights,
			  const struct sock *to, const struct sock *listener)
{
	static u64 round;
	LIST_HEAD(todo);
	bool found;

	lockdep_assert_held(&ferry_inflight_lock);

	round++;
	found = ferry_visit_rights(rights, &todo, round, to, listener);
	while (!found && !list_empty(&todo)) {
		const struct ferry_rights *held;
		struct ferry_vertex *vertex;

		vertex = list_first_entry(&todo, struct ferry_vertex, todo);
		list_del(&vertex->todo);
		list_for_each_entry(held, &vertex->queue, node) {
			found = ferry_visit_rights(held, &todo, round, to,
						   listener);
			if (found)
				break;
			cond_resched();
		}
		ferry_visit_children(ferry_sk(vertex->sk), &todo, round);
		cond_resched();
	}
	return found;
}

/* Every socket that is sent and the receiver get a place in the graph. */
static int ferry_vertices_make(const struct ferry_rights *rights,
			       struct sock *to)
{
	int i;

	if (!ferry_vertex(to))
		return -ENOMEM;
	for (i = 0; i < rights->count; i++) {
		struct sock *sk = ferry_file_sock(rights->fp->fp[i]);

		if (sk && !ferry_vertex(sk))
			return -ENOMEM;
	}
	return 0;
}

/**
 * ferry_inflight_add() - descriptors go into the queue of a socket
 * @rights: the descriptors
 * @to: receiver, on which the caller holds a reference
 *
 * From here on until ferry_inflight_del() they are in flight, whether or not
 * the message is already in the queue.
 *
 * Context: process, may sleep.
 * Return: 0, -ETOOMANYREFS (the user's limit), -ELOOP (a cycle would close) or
 * -ENOMEM.
 */
int ferry_inflight_add(struct ferry_rights *rights, struct sock *to)
{
	const struct ferry_sock *fs = ferry_sk(to);
	int err;

	mutex_lock(&ferry_inflight_lock);
	err = ferry_inflight_charge(rights);
	if (err || !rights->sockets)
		goto out;

	err = ferry_vertices_make(rights, to);
	if (err)
		goto out_uncharge;
	/*
	 * A child that is accepted right now has no descriptor yet: either it
	 * still counts as its listener, or nothing can lead to it.
	 */
	err = -ELOOP;
	if (ferry_reaches(rights, to,
			  READ_ONCE(fs->unaccepted) ?
			  READ_ONCE(fs->listener) : NULL))
		goto out_uncharge;

	list_add_tail(&rights->node, &fs->vertex->queue);
	rights->queued = true;
	err = 0;
	goto out;

out_uncharge:
	ferry_inflight_uncharge(rights);
out:
	mutex_unlock(&ferry_inflight_lock);
	return err;
}

/**
 * ferry_inflight_del() - descriptors are no longer in flight
 * @rights: the descriptors
 *
 * Context: process, may sleep.
 */
void ferry_inflight_del(struct ferry_rights *rights)
{
	mutex_lock(&ferry_inflight_lock);
	if (rights->queued)
		list_del(&rights->node);
	rights->queued = false;
	ferry_inflight_uncharge(rights);
	mutex_unlock(&ferry_inflight_lock);
}

/**
 * ferry_inflight_forget() - a socket is destroyed
 * @sk: the socket; it lies in no queue and nothing lies in its
 */
void ferry_inflight_forget(struct sock *sk)
{
	kfree(ferry_sk(sk)->vertex);
}

/**
 * ferry_rights_alloc() - make an empty list of descriptors
 *
 * Return: the list, or NULL without memory.
 */
struct ferry_rights *ferry_rights_alloc(void)
{
	struct ferry_rights *rights;

	rights = kzalloc(sizeof(*rights), GFP_KERNEL_ACCOUNT);
	if (!rights)
		return NULL;
	rights->fp = kzalloc(sizeof(*rights->fp), GFP_KERNEL_ACCOUNT);
	if (!rights->fp) {
		kfree(rights);
		return NULL;
	}
	refcount_set(&rights->refs, 1);
	rights->fp->max = SCM_MAX_FD;
	rights->fp->user = get_uid(current_user());
#if IS_ENABLED(CONFIG_UNIX)
	INIT_LIST_HEAD(&rights->fp->vertices);
#endif
	return rights;
}

/**
 * ferry_rights_fget() - add a descriptor of the caller
 * @rights: list
 * @fd: descriptor
 *
 * AF_UNIX sockets and io_uring instances are refused: both keep files alive in
 * a way the graph cannot see.
 *
 * Return: 0, -EBADF, or -EINVAL (too many, or refused).
 */
int ferry_rights_fget(struct ferry_rights *rights, int fd)
{
	struct socket *sock;
	struct file *file;

	if (rights->count == SCM_MAX_FD)
		return -EINVAL;
	file = fd < 0 ? NULL : fget_raw(fd);
	if (!file)
		return -EBADF;

	sock = sock_from_file(file);
	if ((sock && sock->ops && sock->ops->family == PF_UNIX) ||
	    ferry_file_is_io_uring(file)) {
		fput(file);
		return -EINVAL;
	}
	if (ferry_file_sock(file))
		rights->sockets = true;
	rights->fp->fp[rights->count++] = file;
	rights->fp->count = rights->count;
	return 0;
}

/**
 * ferry_rights_put() - drop a reference
 * @rights: list; no longer in flight when it was the last
 *
 * Context: process, may sleep; closes files.
 */
void ferry_rights_put(struct ferry_rights *rights)
{
	struct scm_cookie scm = { .fp = rights->fp };

	if (!refcount_dec_and_test(&rights->refs))
		return;
	ferry_inflight_del(rights);
	kfree(rights);
	__scm_destroy(&scm);
}

/**
 * ferry_rights_take() - take the files of a message that was read
 * @rights: list of a message in no queue; the caller's reference is used up
 *
 * Context: process, may sleep.
 * Return: the files, to be dropped by __scm_destroy(), or NULL without memory
 * to share them with one who peeks.
 */
struct scm_fp_list *ferry_rights_take(struct ferry_rights *rights)
{
	struct scm_fp_list *fp;

	ferry_inflight_del(rights);
	/* Out of the queue nobody can get a further reference. */
	if (refcount_read(&rights->refs) > 1) {
		fp = scm_fp_dup(rights->fp);
		ferry_rights_put(rights);
		return fp;
	}
	fp = rights->fp;
	kfree(rights);
	return fp;
}
