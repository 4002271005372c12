// SPDX-License-Identifier: GPL-2.0
/*
 * What opens a connection between hosts: its first bytes, and the door at which those
 * who connect are met.
 *
 * A door is the kernel's TCP listener of a namespace. Who has come to it has a few
 * seconds to say a whole hello, of which not one byte more is read: what follows is
 * the stream's. They are limited in number, in all and of each source; beyond that the
 * oldest goes, so that one who talks at once is heard whoever else keeps silent.
 *
 * The work of a connection is done in its @work, queued by what TCP tells and by the
 * time. Who takes it from the list at the door is the one who ends it; the door closes
 * when the list is empty and all work has been done.
 */
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <linux/workqueue.h>
#include <net/ipv6.h>
#include <net/tcp.h>

#include "carrier.h"
#include "carrier_tcp.h"
#include "compat.h"
#include "connection.h"
#include "ferry.h"
#include "handshake.h"
#include "name.h"
#include "node.h"

/* How many may be at a door without a whole hello, in all and of one source. */
#define FERRY_HALF_OPEN_MAX	128
#define FERRY_HALF_OPEN_SOURCE	16
/* How long each may take. */
#define FERRY_HELLO_TIME	(5 * HZ)
/* Connections that TCP keeps until the door has looked at them. */
#define FERRY_GATE_BACKLOG	256
/* How many are met in one go. */
#define FERRY_GATE_BATCH	64

static struct workqueue_struct *ferry_wq;

/**
 * struct ferry_gate - a door
 * @net: its namespace
 * @sock: the listener
 * @data_ready: the listener's own
 * @work: meets who has come
 * @lock: guards the rest
 * @half_open: who has come, the oldest first
 * @count: how many they are
 */
struct ferry_gate {
	struct net		*net;
	struct socket		*sock;
	void			(*data_ready)(struct sock *csk);
	struct delayed_work	work;
	spinlock_t		lock; /* the rest */
	struct list_head	half_open;
	unsigned int		count;
};

/**
 * struct ferry_handshake - a connection whose hello is awaited
 * @gate: where it came to; not to be looked at by @work after it left the list
 * @net: its namespace
 * @node: in the list there, guarded by its lock
 * @sock: the connection
 * @data_ready: its own
 * @state_change: likewise
 * @work: reads, and looks at the time
 * @deadline: when its time is over
 * @source: what counts as one source: an IPv4 address, or 64 bits of an IPv6 one
 * @hello: what has been read
 * @have: how much that is
 */
struct ferry_handshake {
	struct ferry_gate	*gate;
	struct net		*net;
	struct list_head	node;
	struct socket		*sock;
	void			(*data_ready)(struct sock *csk);
	void			(*state_change)(struct sock *csk);
	struct delayed_work	work;
	unsigned long		deadline;
	struct in6_addr		source;
	struct ferry_hello	hello;
	u32			have;
};

/**
 * ferry_hello_make() - write a hello
 * @hello: where to
 * @type: SOCK_STREAM or SOCK_SEQPACKET
 * @from: the name of who connects, or NULL
 * @to: the listener's name
 * @to_len: its bytes, 1 to FERRY_NAME_MAX
 *
 * Return: its bytes.
 */
size_t ferry_hello_make(struct ferry_hello *hello, int type,
			const struct ferry_addr *from, const char *to, u8 to_len)
{
	memcpy(hello->magic, FERRY_MAGIC, sizeof(hello->magic));
	hello->version = FERRY_HELLO_VERSION;
	hello->type = type == SOCK_STREAM ? FERRY_HELLO_STREAM : FERRY_HELLO_SEQPACKET;
	hello->from_len = from ? from->len - FERRY_ADDR_HDR : 0;
	hello->to_len = to_len;
	if (from)
		memcpy(hello->names, from->sa.sfy_name, hello->from_len);
	memcpy(hello->names + hello->from_len, to, to_len);
	return FERRY_HELLO_HDR + hello->from_len + to_len;
}

/**
 * ferry_answer_result() - what an answer means for connect(2)
 * @answer: the answer
 *
 * Return: 0 or an error.
 */
int ferry_answer_result(const struct ferry_answer *answer)
{
	if (memcmp(answer->magic, FERRY_MAGIC, sizeof(answer->magic)) ||
	    answer->version != FERRY_HELLO_VERSION ||
	    answer->zero[0] || answer->zero[1])
		return -EPROTO;

	switch (answer->status) {
	case FERRY_STATUS_ACCEPTED:
		return 0;
	case FERRY_STATUS_NOBODY:
	case FERRY_STATUS_FULL:
		return -ECONNREFUSED;
	case FERRY_STATUS_DENIED:
		return -EACCES;
	case FERRY_STATUS_TYPE:
		return -EPROTOTYPE;
	default:
		return -EPROTO;
	}
}

/* A few bytes, which a new connection takes at once, if TCP has memory. */
static void ferry_answer_send(struct socket *sock, enum ferry_status status)
{
	struct ferry_answer answer = {
		.magic = FERRY_MAGIC,
		.version = FERRY_HELLO_VERSION,
		.status = status,
	};
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	struct kvec vec = { .iov_base = &answer, .iov_len = sizeof(answer) };

	/* What follows is no answer: end it for both. */
	if (kernel_sendmsg(sock, &msg, &vec, 1, sizeof(answer)) != sizeof(answer))
		kernel_sock_shutdown(sock, SHUT_RDWR);
}

/* How many bytes the hello is known to have. */
static u32 ferry_hello_want(const struct ferry_handshake *hs)
{
	if (hs->have < FERRY_HELLO_HDR)
		return FERRY_HELLO_HDR;
	return FERRY_HELLO_HDR + hs->hello.from_len + hs->hello.to_len;
}

/* Can this be the beginning of a hello? */
static bool ferry_hello_valid(const struct ferry_hello *hello)
{
	return !memcmp(hello->magic, FERRY_MAGIC, sizeof(hello->magic)) &&
	       hello->version == FERRY_HELLO_VERSION &&
	       (hello->type == FERRY_HELLO_STREAM ||
		hello->type == FERRY_HELLO_SEQPACKET) &&
	       hello->from_len <= FERRY_NAME_MAX &&
	       hello->to_len && hello->to_len <= FERRY_NAME_MAX;
}

/*
 * Read more of the hello. Returns 0 when it is complete, -EAGAIN when there is
 * nothing more for now, -EPROTO when it is none, else why the connection ended.
 */
static int ferry_hello_read(struct ferry_handshake *hs)
{
	while (hs->have < ferry_hello_want(hs)) {
		u32 want = ferry_hello_want(hs) - hs->have;
		struct msghdr msg = { .msg_flags = MSG_DONTWAIT };
		struct kvec vec = {
			.iov_base = (u8 *)&hs->hello + hs->have,
			.iov_len = want,
		};
		int got;

		got = kernel_recvmsg(hs->sock, &msg, &vec, 1, want, MSG_DONTWAIT);
		if (got <= 0)
			return got ? got : -ECONNRESET;
		hs->have += got;
		if (hs->have == FERRY_HELLO_HDR && !ferry_hello_valid(&hs->hello))
			return -EPROTO;
	}
	return 0;
}

/* The two ends of a connection as nodes. */
static void ferry_ends(const struct sock *csk, struct in6_addr *here,
		       struct in6_addr *there)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (csk->sk_family == AF_INET6) {
		*here = csk->sk_v6_rcv_saddr;
		*there = csk->sk_v6_daddr;
		return;
	}
#endif
	ipv6_addr_set_v4mapped(csk->sk_rcv_saddr, here);
	ipv6_addr_set_v4mapped(csk->sk_daddr, there);
}

/* The listener that the hello asks for, with a reference. */
static struct sock *ferry_hello_find(struct ferry_handshake *hs,
				     const struct in6_addr *here,
				     const struct in6_addr *there)
{
	struct sock *csk = hs->sock->sk;
	struct ferry_arrival at = {
		.name = hs->hello.names + hs->hello.from_len,
		.len = hs->hello.to_len,
		.type = hs->hello.type == FERRY_HELLO_STREAM ? SOCK_STREAM :
							       SOCK_SEQPACKET,
		.node = here,
		.dif = READ_ONCE(csk->sk_rx_dst_ifindex),
		.hash = ipv6_addr_hash(there) ^ ntohs(csk->sk_dport),
	};

	return ferry_name_find_remote(hs->net, &at);
}

/* Make the listener's end of the connection, and queue it there. */
static int ferry_hello_accept(struct ferry_handshake *hs, struct sock *listener,
			      const struct in6_addr *there)
{
	struct sockaddr_ferry sa = {
		.sfy_family = AF_FERRY,
		.sfy_scope = FERRY_SCOPE_NETWORK,
	};
	struct ferry_addr *remote;
	struct sock *child;
	int err;

	memcpy(sa.sfy_node, there, sizeof(sa.sfy_node));
	memcpy(sa.sfy_name, hs->hello.names, hs->hello.from_len);
	remote = ferry_addr_make(&sa, FERRY_ADDR_LEN(hs->hello.from_len));
	if (!remote)
		return -ENOMEM;
	child = ferry_remote_child(listener);
	if (!child) {
		ferry_addr_put(remote);
		return -ENOMEM;
	}

	/* One for the listener's queue. */
	sock_hold(child);
	/* Who accepts it waits for this lock, so that the answer is the first to go. */
	lock_sock(child);
	err = ferry_tcp_adopt(child, hs->sock, remote);
	if (err) {
		ferry_addr_put(remote);
		goto out;
	}
	err = ferry_remote_queue(listener, child);
	if (err) {
		/* The connection is still ours, to be told. */
		ferry_tcp_disown(child);
		goto out;
	}
	/* Counted before anybody can know. */
	ferry_count(hs->net, FERRY_STAT_TCP_ACCEPTED);
	ferry_answer_send(hs->sock, FERRY_STATUS_ACCEPTED);
	ferry_tcp_fresh(hs->sock->sk);
	hs->sock = NULL;
out:
	release_sock(child);
	if (err)
		sock_put(child);
	sock_put(child);
	return err;
}

/* What is told, and counted, of each error. */
static enum ferry_stat ferry_handshake_stat(int err, enum ferry_status *status)
{
	switch (err) {
	case -ECONNREFUSED:
		*status = FERRY_STATUS_NOBODY;
		return FERRY_STAT_TCP_NOBODY;
	case -EACCES:
		*status = FERRY_STATUS_DENIED;
		return FERRY_STAT_TCP_DENIED;
	case -EPROTOTYPE:
		*status = FERRY_STATUS_TYPE;
		return FERRY_STAT_TCP_TYPE;
	case -EPROTO:
		*status = FERRY_STATUS_BAD;
		return FERRY_STAT_TCP_MALFORMED;
	case -ENOBUFS:
		*status = FERRY_STATUS_FULL;
		return FERRY_STAT_TCP_FULL;
	default:
		*status = FERRY_STATUS_FULL;
		return FERRY_STAT_TCP_FAILED;
	}
}

/* TCP tells nothing more of the connection. */
static void ferry_handshake_unhook(struct ferry_handshake *hs)
{
	struct sock *csk = hs->sock->sk;

	write_lock_bh(&csk->sk_callback_lock);
	csk->sk_user_data = NULL;
	csk->sk_data_ready = hs->data_ready;
	csk->sk_state_change = hs->state_change;
	write_unlock_bh(&csk->sk_callback_lock);
}

/* Whoever takes it from the list ends it. */
static bool ferry_handshake_take(struct ferry_handshake *hs)
{
	struct ferry_gate *gate = hs->gate;
	bool taken = false;

	spin_lock(&gate->lock);
	if (!list_empty(&hs->node)) {
		list_del_init(&hs->node);
		gate->count--;
		taken = true;
	}
	spin_unlock(&gate->lock);
	return taken;
}

/* Free it; a connection that is still there is cut off. */
static void ferry_handshake_free(struct ferry_handshake *hs)
{
	if (hs->sock) {
		sock_no_linger(hs->sock->sk);
		sock_release(hs->sock);
	}
	kfree(hs);
}

/*
 * Tell why, and close in good order: that takes TCP some time, for which it needs a
 * namespace that does not go away.
 */
static void ferry_handshake_refuse(struct ferry_handshake *hs,
				   enum ferry_status status)
{
	struct net *net = maybe_get_net(hs->net);
	struct sock *csk = hs->sock->sk;

	if (!net)
		return;
	if (!csk->sk_net_refcnt)
		ferry_hold_net(csk);
	put_net(net);
	/* The listener's, if it was adopted: nobody waits here. */
	lock_sock(csk);
	sock_reset_flag(csk, SOCK_LINGER);
	release_sock(csk);
	ferry_answer_send(hs->sock, status);
	sock_release(hs->sock);
	hs->sock = NULL;
}

/* Nothing has come of it: count why. */
static void ferry_handshake_count(const struct ferry_handshake *hs,
				  enum ferry_stat stat)
{
	struct in6_addr here, there;

	ferry_ends(hs->sock->sk, &here, &there);
	if (stat == FERRY_STAT_TCP_MALFORMED)
		net_warn_ratelimited("ferry: malformed request from %pI6c\n", &there);
	ferry_refuse(hs->net, stat, &there);
}

/* The whole hello is there. */
static int ferry_handshake_finish(struct ferry_handshake *hs)
{
	struct sock *csk = hs->sock->sk, *listener;
	struct in6_addr here, there;
	bool again;
	int err;

	ferry_ends(csk, &here, &there);
	/*
	 * The family's sockets of this host reach each other without the door. Who comes
	 * this way has no credentials, nor a user whose share of a queue is bounded.
	 */
	if (ferry_node_here(hs->net, &there, READ_ONCE(csk->sk_bound_dev_if)))
		return -EACCES;
	do {
		listener = ferry_hello_find(hs, &here, &there);
		if (IS_ERR(listener))
			return PTR_ERR(listener);
		err = ferry_hello_accept(hs, listener, &there);
		/* It has stopped since; another of the name may still listen. */
		again = err == -ECONNREFUSED && ferry_state(listener) != TCP_LISTEN;
		sock_put(listener);
	} while (again);
	return err;
}

static void ferry_handshake_work(struct work_struct *work)
{
	struct ferry_handshake *hs =
		container_of(to_delayed_work(work), struct ferry_handshake, work);
	enum ferry_status status;
	enum ferry_stat stat;
	long left;
	int err;

	err = ferry_hello_read(hs);
	left = hs->deadline - jiffies;
	if (err == -EAGAIN && left > 0) {
		queue_delayed_work(ferry_wq, &hs->work, left);
		return;
	}
	if (!ferry_handshake_take(hs))
		return;

	ferry_handshake_unhook(hs);
	/* Nobody queues it again, and it is not to run again. */
	cancel_delayed_work(&hs->work);
	if (!err)
		err = ferry_handshake_finish(hs);
	else if (err != -EPROTO)
		goto unheard;
	if (err) {
		stat = ferry_handshake_stat(err, &status);
		ferry_handshake_count(hs, stat);
		ferry_handshake_refuse(hs, status);
	}
	goto out;

unheard:
	ferry_handshake_count(hs, err == -EAGAIN ? FERRY_STAT_TCP_LATE :
						   FERRY_STAT_TCP_LEFT);
out:
	ferry_handshake_free(hs);
}

/* TCP tells of data, or of the end: look at once. */
static void ferry_handshake_event(struct sock *csk)
{
	struct ferry_handshake *hs;

	read_lock_bh(&csk->sk_callback_lock);
	hs = csk->sk_user_data;
	if (hs)
		mod_delayed_work(ferry_wq, &hs->work, 0);
	read_unlock_bh(&csk->sk_callback_lock);
}

/* End one that has not ended itself. */
static void ferry_handshake_end(struct ferry_handshake *hs)
{
	ferry_handshake_unhook(hs);
	cancel_delayed_work_sync(&hs->work);
	ferry_handshake_free(hs);
}

/* The oldest that has to go before one more of @source may come, out of the list. */
static struct ferry_handshake *ferry_gate_crowded(struct ferry_gate *gate,
						  const struct in6_addr *source)
{
	struct ferry_handshake *hs, *oldest = NULL;
	unsigned int same = 0;

	lockdep_assert_held(&gate->lock);

	list_for_each_entry(hs, &gate->half_open, node) {
		if (!ipv6_addr_equal(&hs->source, source))
			continue;
		if (!same++)
			oldest = hs;
	}
	if (same < FERRY_HALF_OPEN_SOURCE) {
		if (gate->count < FERRY_HALF_OPEN_MAX)
			return NULL;
		oldest = list_first_entry(&gate->half_open, struct ferry_handshake,
					  node);
	}
	list_del_init(&oldest->node);
	gate->count--;
	return oldest;
}

/* Begin to wait for the hello of a new connection. */
static void ferry_handshake_begin(struct ferry_gate *gate, struct socket *sock)
{
	struct sock *csk = sock->sk;
	struct ferry_handshake *hs, *crowded;
	struct in6_addr here;

	hs = kzalloc(sizeof(*hs), GFP_KERNEL);
	if (!hs) {
		ferry_count(gate->net, FERRY_STAT_TCP_FAILED);
		sock_no_linger(csk);
		sock_release(sock);
		return;
	}
	hs->gate = gate;
	hs->net = gate->net;
	hs->sock = sock;
	hs->deadline = jiffies + FERRY_HELLO_TIME;
	INIT_DELAYED_WORK(&hs->work, ferry_handshake_work);
	ferry_ends(csk, &here, &hs->source);
	if (!ipv6_addr_v4mapped(&hs->source))
		memset(&hs->source.s6_addr32[2], 0, 2 * sizeof(u32));

	spin_lock(&gate->lock);
	crowded = ferry_gate_crowded(gate, &hs->source);
	list_add_tail(&hs->node, &gate->half_open);
	gate->count++;
	spin_unlock(&gate->lock);
	if (crowded) {
		ferry_handshake_count(crowded, FERRY_STAT_TCP_CROWDED);
		ferry_handshake_end(crowded);
	}

	write_lock_bh(&csk->sk_callback_lock);
	/* It was made with the listener's. */
	hs->data_ready = gate->data_ready;
	hs->state_change = csk->sk_state_change;
	csk->sk_data_ready = ferry_handshake_event;
	csk->sk_state_change = ferry_handshake_event;
	csk->sk_user_data = hs;
	/*
	 * What came before. Under the lock: without it a callback's work could come first,
	 * unhook, and free what is queued here.
	 */
	queue_delayed_work(ferry_wq, &hs->work, 0);
	write_unlock_bh(&csk->sk_callback_lock);
}

static void ferry_gate_work(struct work_struct *work)
{
	struct ferry_gate *gate =
		container_of(to_delayed_work(work), struct ferry_gate, work);
	struct socket *sock;
	unsigned int i;
	int err = 0;

	for (i = 0; i < FERRY_GATE_BATCH && !err; i++) {
		err = kernel_accept(gate->sock, &sock, O_NONBLOCK);
		if (!err)
			ferry_handshake_begin(gate, sock);
	}
	/* Without memory or a file they stay there: a little later. */
	if (err != -EAGAIN && err != -EINVAL)
		queue_delayed_work(ferry_wq, &gate->work, err ? HZ / 10 : 0);
}

/* A connection has come. What comes from the listener has its function, not its data. */
static void ferry_gate_data_ready(struct sock *csk)
{
	struct ferry_gate *gate;

	read_lock_bh(&csk->sk_callback_lock);
	gate = csk->sk_state == TCP_LISTEN ? csk->sk_user_data : NULL;
	if (gate)
		queue_delayed_work(ferry_wq, &gate->work, 0);
	read_unlock_bh(&csk->sk_callback_lock);
}

/* A listener at the port, for IPv4 too where it is one of IPv6. */
static int ferry_gate_listen(struct net *net, int family, u16 port,
			     struct socket **to)
{
	struct sockaddr_storage addr = { .ss_family = family };
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr;
	struct sockaddr_in *in = (struct sockaddr_in *)&addr;
	struct socket *sock;
	int len, err;

	err = sock_create_kern(net, family, SOCK_STREAM, IPPROTO_TCP, &sock);
	if (err)
		return err;
	if (family == AF_INET6) {
		in6->sin6_port = htons(port);
		len = sizeof(*in6);
		sock->sk->sk_ipv6only = false;
	} else {
		in->sin_port = htons(port);
		len = sizeof(*in);
	}
	/* Connections that came through the door before it was closed may be there. */
	sock_set_reuseaddr(sock->sk);
	err = kernel_bind(sock, (struct sockaddr_unsized *)&addr, len);
	if (!err)
		err = kernel_listen(sock, FERRY_GATE_BACKLOG);
	if (err)
		sock_release(sock);
	else
		*to = sock;
	return err;
}

/**
 * ferry_gate_open() - open a door to those who connect
 * @net: namespace
 * @port: TCP's
 * @to: the door
 *
 * Context: process, may sleep.
 * Return: 0, -EADDRINUSE when another listens there, or another error of TCP.
 */
int ferry_gate_open(struct net *net, u16 port, struct ferry_gate **to)
{
	struct ferry_gate *gate;
	struct sock *csk;
	int err;

	gate = kzalloc(sizeof(*gate), GFP_KERNEL);
	if (!gate)
		return -ENOMEM;
	gate->net = net;
	INIT_DELAYED_WORK(&gate->work, ferry_gate_work);
	spin_lock_init(&gate->lock);
	INIT_LIST_HEAD(&gate->half_open);

	err = ferry_gate_listen(net, AF_INET6, port, &gate->sock);
	if (err == -EAFNOSUPPORT)
		err = ferry_gate_listen(net, AF_INET, port, &gate->sock);
	if (err) {
		kfree(gate);
		return err;
	}

	csk = gate->sock->sk;
	write_lock_bh(&csk->sk_callback_lock);
	gate->data_ready = csk->sk_data_ready;
	csk->sk_data_ready = ferry_gate_data_ready;
	csk->sk_user_data = gate;
	write_unlock_bh(&csk->sk_callback_lock);
	/* Who came before. */
	queue_delayed_work(ferry_wq, &gate->work, 0);
	*to = gate;
	return 0;
}

/**
 * ferry_gate_close() - close a door, and end whoever has not said a hello
 * @gate: the door, or NULL
 *
 * Connections that were queued at their listeners stay.
 *
 * Context: process, may sleep.
 */
void ferry_gate_close(struct ferry_gate *gate)
{
	struct ferry_handshake *hs;
	struct sock *csk;

	if (!gate)
		return;
	csk = gate->sock->sk;
	write_lock_bh(&csk->sk_callback_lock);
	csk->sk_data_ready = gate->data_ready;
	csk->sk_user_data = NULL;
	write_unlock_bh(&csk->sk_callback_lock);
	cancel_delayed_work_sync(&gate->work);
	sock_release(gate->sock);

	spin_lock(&gate->lock);
	while ((hs = list_first_entry_or_null(&gate->half_open,
					      struct ferry_handshake, node))) {
		list_del_init(&hs->node);
		spin_unlock(&gate->lock);
		ferry_handshake_end(hs);
		spin_lock(&gate->lock);
	}
	spin_unlock(&gate->lock);
	/* Those that took themselves from the list. */
	flush_workqueue(ferry_wq);
	kfree(gate);
}

/**
 * ferry_handshake_init() - prepare for doors
 *
 * Return: 0 or -ENOMEM.
 */
int ferry_handshake_init(void)
{
	ferry_wq = alloc_workqueue("ferry", WQ_UNBOUND, 0);
	return ferry_wq ? 0 : -ENOMEM;
}

/* ferry_handshake_exit() - no door and no socket is left, but their last work may be */
void ferry_handshake_exit(void)
{
	destroy_workqueue(ferry_wq);
	/* Nor does TCP call any more what was its callback a moment ago. */
	synchronize_net();
}
