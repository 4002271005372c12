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
 * unseen (AF_UNIX sockets, io_uring) are refused, unless the administrator allows
 * the former.
 *
 * ferry_inflight_lock guards all edges, of all network namespaces: sockets of
 * one can lie in queues of another, and so can a cycle. What is done under it is
 * bounded: the descriptors of one message, and at most FERRY_SEARCH_MAX steps of
 * a search. It is taken for messages that carry sockets of the family, by the
 * sender and by whoever takes them out; for other descriptors there is only the
 * account.
 */
#include <linux/file.h>
#include <linux/hash.h>
#include <linux/magic.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "ferry.h"
#include "inflight.h"

/**
 * struct ferry_vertex - what the graph knows of a socket
 * @queue: &struct ferry_rights in the socket's queue that carry sockets
 * @children: listener: the unaccepted children with something in @queue
 * @sibling: child: in the listener's @children
 * @todo: in the list of sockets that a search has still to visit
 * @round: the last search that came by, 0 when none did
 * @in_flight: how often the socket lies in a queue
 * @sk: the socket
 *
 * Made when a socket first takes part and freed with it; all guarded by
 * ferry_inflight_lock.
 */
struct ferry_vertex {
	struct list_head	queue;
	struct list_head	children;
	struct list_head	sibling;
	struct list_head	todo;
	u64			round;
	unsigned long		in_flight;
	struct sock		*sk;
};

/**
 * struct ferry_search - a search for a path to the receiver of a message
 * @todo: sockets to visit
 * @to: the receiver's place in the graph: itself, or its listener
 * @round: number of the search
 * @steps: descriptors and children looked at
 */
struct ferry_search {
	struct list_head	todo;
	const struct sock	*to;
	u64			round;
	unsigned int		steps;
};

/*
 * More is refused. A message has up to SCM_MAX_FD descriptors; who nests them
 * has some tens.
 */
#define FERRY_SEARCH_MAX	4096

#define FERRY_SEARCHER_BITS	6

static DEFINE_MUTEX(ferry_inflight_lock);

/*
 * Those of one uid search one at a time. So whoever waits for ferry_inflight_lock
 * finds one search of each other user before it, however many threads they have.
 */
static struct mutex ferry_searchers[1 << FERRY_SEARCHER_BITS];

/* Descriptors in flight of each uid; a value of the array is their number. */
static DEFINE_XARRAY(ferry_inflight_users);

/*
 * A cycle through AF_UNIX sockets is seen by nobody and stays for ever. Each has
 * a descriptor in flight here, so a uid can make no more than its limit says.
 */
static bool ferry_pass_unix;
module_param_named(pass_unix, ferry_pass_unix, bool, 0644);
MODULE_PARM_DESC(pass_unix, "allow to pass AF_UNIX sockets, see af_ferry(7)");

/*
 * Add to a uid's account, unless it would exceed @max. It has no lock beyond the
 * array's own: who finds it changed tries again, as somebody else got through.
 */
static int ferry_inflight_account(unsigned long uid, long n, unsigned long max)
{
	void *old, *new, *entry = xa_load(&ferry_inflight_users, uid);

	do {
		unsigned long held = entry ? xa_to_value(entry) : 0;

		if (n > 0 && held + n > max)
			return -ETOOMANYREFS;
		old = entry;
		new = held + n ? xa_mk_value(held + n) : NULL;
		entry = xa_cmpxchg(&ferry_inflight_users, uid, old, new,
				   GFP_KERNEL);
		if (xa_is_err(entry))
			return xa_err(entry);
	} while (entry != old);
	return 0;
}

/*
 * Count descriptors against the caller's limit, RLIMIT_NOFILE, which
 * CAP_SYS_RESOURCE and CAP_SYS_ADMIN lift.
 */
static int ferry_inflight_charge(struct ferry_rights *rights)
{
	int err;

	rights->uid = __kuid_val(current_uid());
	err = ferry_inflight_account(rights->uid, rights->count,
				     rlimit(RLIMIT_NOFILE));
	if (err == -ETOOMANYREFS &&
	    (capable(CAP_SYS_RESOURCE) || capable(CAP_SYS_ADMIN)))
		err = ferry_inflight_account(rights->uid, rights->count,
					     LONG_MAX);
	rights->charged = !err;
	return err;
}

static void ferry_inflight_uncharge(struct ferry_rights *rights)
{
	if (!rights->charged)
		return;
	rights->charged = false;
	/* Needs no memory: the entry exists. */
	ferry_inflight_account(rights->uid, -(long)rights->count, 0);
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

/* Give a socket its place in the graph, if it has none. */
static int ferry_vertex_make(struct sock *sk)
{
	struct ferry_vertex *vertex;

	if (READ_ONCE(ferry_sk(sk)->vertex))
		return 0;
	vertex = kzalloc(sizeof(*vertex), GFP_KERNEL_ACCOUNT);
	if (!vertex)
		return -ENOMEM;
	INIT_LIST_HEAD(&vertex->queue);
	INIT_LIST_HEAD(&vertex->children);
	INIT_LIST_HEAD(&vertex->sibling);
	vertex->sk = sk;
	/* Another sender may be first. */
	if (cmpxchg(&ferry_sk(sk)->vertex, NULL, vertex))
		kfree(vertex);
	return 0;
}

/* The receiver, its listener if any, and every socket that is sent get one. */
static int ferry_vertices_make(const struct ferry_rights *rights,
			       struct sock *to, struct sock *listener)
{
	int i, err;

	err = ferry_vertex_make(to);
	if (!err && listener)
		err = ferry_vertex_make(listener);
	for (i = 0; !err && i < rights->count; i++) {
		struct sock *sk = ferry_file_sock(rights->fp->fp[i]);

		if (sk)
			err = ferry_vertex_make(sk);
	}
	return err;
}

/* A search has come to @vertex: it is to be visited, once, if it leads on. */
static void ferry_visit_later(struct ferry_vertex *vertex,
			      struct ferry_search *search)
{
	if (vertex->round == search->round ||
	    (list_empty(&vertex->queue) && list_empty(&vertex->children)))
		return;
	vertex->round = search->round;
	list_add_tail(&vertex->todo, &search->todo);
}

/* Go on to the sockets among @rights. */
static int ferry_visit_rights(const struct ferry_rights *rights,
			      struct ferry_search *search)
{
	int i;

	for (i = 0; i < rights->count; i++) {
		struct sock *sk = ferry_file_sock(rights->fp->fp[i]);

		if (search->steps == FERRY_SEARCH_MAX)
			return -ETOOMANYREFS;
		search->steps++;
		if (!sk)
			continue;
		if (sk == search->to)
			return -ELOOP;
		ferry_visit_later(ferry_sk(sk)->vertex, search);
	}
	return 0;
}

/* Go on to the children that a listener stands for. */
static int ferry_visit_children(const struct ferry_vertex *vertex,
				struct ferry_search *search)
{
	struct ferry_vertex *child;

	list_for_each_entry(child, &vertex->children, sibling) {
		if (search->steps == FERRY_SEARCH_MAX)
			return -ETOOMANYREFS;
		search->steps++;
		/* One that was accepted a moment ago is no longer the listener's. */
		if (READ_ONCE(ferry_sk(child->sk)->unaccepted))
			ferry_visit_later(child, search);
	}
	return 0;
}

/* Go on from all that is still to be visited. */
static int ferry_visit(struct ferry_search *search)
{
	const struct ferry_rights *rights;
	struct ferry_vertex *vertex;
	int err = 0;

	lockdep_assert_held(&ferry_inflight_lock);

	while (!err && !list_empty(&search->todo)) {
		vertex = list_first_entry(&search->todo, struct ferry_vertex,
					  todo);
		list_del(&vertex->todo);
		err = ferry_visit_children(vertex, search);
		if (err)
			break;
		list_for_each_entry(rights, &vertex->queue, node) {
			err = ferry_visit_rights(rights, search);
			if (err)
				break;
		}
	}
	return err;
}

/* Enter the edges from @to, in the place of its listener while there is one. */
static void ferry_edges_add(struct ferry_rights *rights, struct sock *to,
			    struct sock *listener)
{
	struct ferry_vertex *vertex = ferry_sk(to)->vertex;
	int i;

	lockdep_assert_held(&ferry_inflight_lock);

	list_add_tail(&rights->node, &vertex->queue);
	rights->at = vertex;
	for (i = 0; i < rights->count; i++) {
		struct sock *sk = ferry_file_sock(rights->fp->fp[i]);

		if (sk)
			ferry_sk(sk)->vertex->in_flight++;
	}
	if (!listener || !list_empty(&vertex->sibling))
		return;

	/* Who ends this state does it under the same lock and sees the entry. */
	spin_lock(&ferry_sk(listener)->lock);
	if (ferry_sk(to)->unaccepted && listener->sk_state == TCP_LISTEN)
		list_add_tail(&vertex->sibling,
			      &ferry_sk(listener)->vertex->children);
	spin_unlock(&ferry_sk(listener)->lock);
}

static void ferry_edges_del(struct ferry_rights *rights)
{
	int i;

	lockdep_assert_held(&ferry_inflight_lock);

	for (i = 0; i < rights->count; i++) {
		struct sock *sk = ferry_file_sock(rights->fp->fp[i]);

		if (sk)
			ferry_sk(sk)->vertex->in_flight--;
	}
	list_del(&rights->node);
	if (list_empty(&rights->at->queue))
		list_del_init(&rights->at->sibling);
	rights->at = NULL;
}

/*
 * Enter the edges of a message unless they close a cycle. Only if there are ways
 * on from what is sent, and one to the receiver, that takes a search: -EAGAIN
 * without @steps, which is told how long it was.
 */
static int ferry_graph_add(struct ferry_rights *rights, struct sock *to,
			   struct sock *listener, unsigned int *steps)
{
	struct ferry_search search = { .todo = LIST_HEAD_INIT(search.todo) };
	static u64 round;
	int err;

	err = mutex_lock_killable(&ferry_inflight_lock);
	if (err)
		return err;
	search.round = ++round;
	/*
	 * A child that is accepted from here on counts as its listener all the
	 * same: to itself nothing can lead before it has been sent, which needs
	 * the lock.
	 */
	if (listener && !READ_ONCE(ferry_sk(to)->unaccepted))
		listener = NULL;
	search.to = listener ?: to;

	err = ferry_visit_rights(rights, &search);
	if (!err && !list_empty(&search.todo) &&
	    ferry_sk(search.to)->vertex->in_flight)
		err = steps ? ferry_visit(&search) : -EAGAIN;
	if (!err)
		ferry_edges_add(rights, to, listener);
	mutex_unlock(&ferry_inflight_lock);
	if (steps)
		*steps = search.steps;
	return err;
}

/* As ferry_graph_add(), with a search, when it is the turn of the caller's uid. */
static int ferry_graph_search(struct ferry_rights *rights, struct sock *to,
			      struct sock *listener)
{
	struct mutex *turn = &ferry_searchers[hash_32(rights->uid,
						      FERRY_SEARCHER_BITS)];
	unsigned int steps = 0;
	int err;

	err = mutex_lock_killable(turn);
	if (err)
		return err;
	err = ferry_graph_add(rights, to, listener, &steps);
	mutex_unlock(turn);
	ferry_debug(to, "search", steps);
	return err;
}

/*
 * The listener of an unaccepted child, with a reference, or NULL. Its children
 * have none on it, but forget it before it goes; it is bound, so it goes after a
 * grace period.
 */
static struct sock *ferry_listener_get(struct sock *sk)
{
	struct sock *listener;

	rcu_read_lock();
	listener = READ_ONCE(ferry_sk(sk)->listener);
	if (listener && !refcount_inc_not_zero(&listener->sk_refcnt))
		listener = NULL;
	rcu_read_unlock();
	return listener;
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
 * Return: 0, -ETOOMANYREFS (the user's limit, or a search that takes too long),
 * -ELOOP (a cycle would close), -EINTR (the caller is being killed) or -ENOMEM.
 */
int ferry_inflight_add(struct ferry_rights *rights, struct sock *to)
{
	struct sock *listener;
	int err;

	err = ferry_inflight_charge(rights);
	if (err)
		return err;
	rights->to = ferry_sk(to);
	atomic_add(rights->count, &rights->to->rights_queued);
	if (!rights->sockets)
		return 0;

	listener = ferry_listener_get(to);
	err = ferry_vertices_make(rights, to, listener);
	if (!err)
		err = ferry_graph_add(rights, to, listener, NULL);
	if (err == -EAGAIN)
		err = ferry_graph_search(rights, to, listener);
	if (err)
		ferry_inflight_del(rights);
	if (listener)
		sock_put(listener);
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
	if (rights->at) {
		mutex_lock(&ferry_inflight_lock);
		ferry_edges_del(rights);
		mutex_unlock(&ferry_inflight_lock);
	}
	if (rights->to) {
		atomic_sub(rights->count, &rights->to->rights_queued);
		rights->to = NULL;
	}
	ferry_inflight_uncharge(rights);
}

/**
 * ferry_show_fdinfo() - what /proc/PID/fdinfo/FD tells of a socket
 * @m: where to
 * @sock: socket, kept open by the reader
 *
 * "scm_fds: N", as AF_UNIX: the descriptors that were sent to it and not yet
 * received; of a listener, those sent to the connections in its queue.
 *
 * Context: process.
 */
void ferry_show_fdinfo(struct seq_file *m, struct socket *sock)
{
	struct ferry_sock *fs = ferry_sk(sock->sk), *child;
	unsigned int n = atomic_read(&fs->rights_queued);

	spin_lock(&fs->lock);
	/* The queue is there while the socket listens. */
	if (fs->sk.sk_state == TCP_LISTEN)
		list_for_each_entry(child, &fs->accept_queue, node)
			n += atomic_read(&child->rights_queued);
	spin_unlock(&fs->lock);
	seq_printf(m, "scm_fds: %u\n", n);
}

/**
 * ferry_inflight_accepted() - a child is no longer its listener's
 * @sk: the child, not @unaccepted since the caller last had the listener's @lock,
 *	or the listener has stopped then
 *
 * Context: process, may sleep.
 */
void ferry_inflight_accepted(struct sock *sk)
{
	struct ferry_vertex *vertex = READ_ONCE(ferry_sk(sk)->vertex);

	/* Made since, it is in no list. */
	if (likely(!vertex))
		return;
	mutex_lock(&ferry_inflight_lock);
	list_del_init(&vertex->sibling);
	mutex_unlock(&ferry_inflight_lock);
}

/**
 * ferry_inflight_forget() - a socket is destroyed
 * @sk: the socket; it lies in no queue and nothing lies in its
 */
void ferry_inflight_forget(struct sock *sk)
{
	struct ferry_vertex *vertex = ferry_sk(sk)->vertex;

	WARN_ON_ONCE(vertex->in_flight || !list_empty(&vertex->queue) ||
		     !list_empty(&vertex->children) ||
		     !list_empty(&vertex->sibling));
	kfree(vertex);
}

/* ferry_inflight_init() - once, before there are sockets */
void ferry_inflight_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(ferry_searchers); i++)
		mutex_init(&ferry_searchers[i]);
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
 * io_uring instances are refused, and so are AF_UNIX sockets unless pass_unix is
 * set: both keep files alive in a way the graph cannot see.
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
	if ((sock && sock->ops && sock->ops->family == PF_UNIX &&
	     !READ_ONCE(ferry_pass_unix)) ||
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
