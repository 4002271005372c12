// SPDX-License-Identifier: GPL-2.0
/*
 * The TCP connection behind a STREAM or SEQPACKET socket whose peer is on another host:
 * how it is made, what it tells, and its end.
 *
 * A connect goes on in a work item, whoever waits for it or does not: it says the hello
 * when TCP is connected, reads the answer, and then the socket is connected, or not. The
 * work holds lock_sock() of the socket, as does who gives the connect up.
 *
 * Whoever waits, polls or wants signals does so at the socket's own wait queue, before
 * there is a connection and afterwards. The connection's callbacks wake them; those of
 * TCP are called first, for the few who sleep inside of TCP. They run under TCP's lock,
 * in softirq too, and reach the socket by sk_user_data under sk_callback_lock.
 *
 * Of records (frame.c) the callbacks take what has come; what cannot be done there, or
 * not yet, is left to the work, which then serves the connection.
 *
 * Errors: what ends a connection is moved from TCP's sk_err to the socket's, where the
 * core looks for SO_ERROR, so that it is told once.
 */
#include <linux/cred.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/init_task.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <linux/workqueue.h>
#include <net/ipv6.h>
#include <net/tcp.h>

#include "carrier.h"
#include "carrier_sockopt.h"
#include "carrier_tcp.h"
#include "compat.h"
#include "connection.h"
#include "ferry.h"
#include "frame.h"
#include "handshake.h"
#include "name.h"
#include "node.h"
#include "poll.h"
#include "remote.h"
#include "remote_dgram.h"

/* How long the answer to a hello may take. */
#define FERRY_ANSWER_TIME	(30 * HZ)
/* After what time is tried again what lacked memory. */
#define FERRY_MEMORY_TIME	(HZ / 20)

/*
 * For connects alone: their work waits for lock_sock(), which a user may hold for long,
 * and the door waits for the work of its own connections.
 */
static struct workqueue_struct *ferry_connect_wq;

/* Who is at the other end of every connection: nobody known here. */
static struct cred *ferry_nobody;

/**
 * struct ferry_tcp - what is kept of a connection; sk_user_data of its TCP socket
 * @free: frees it after a grace period: error_report may come in a hard interrupt,
 *	where no lock helps
 * @sk: the socket, with a reference
 * @sock: the TCP socket, which is the socket's @carrier; NULL when it is no more
 * @refs: the TCP socket, and @work that is queued
 * @attached: the socket is connected; guarded by sk_callback_lock
 * @urg_seq: the urgent byte that was told of last; guarded by TCP's lock
 * @data_ready: TCP's own callbacks
 * @write_space: likewise
 * @state_change: likewise
 * @error_report: likewise
 * @work: of a connect; of records, serves the connection afterwards
 * @deadline: when the answer must be there, once the hello is @sent
 * @remote: address of the peer, to be the socket's
 * @sent: the hello is sent
 * @have: how much of the answer was read
 * @answer: the answer
 * @len: bytes of the hello
 * @hello: the hello
 * @frames: records on their way in and out
 */
struct ferry_tcp {
	struct rcu_work		free;
	struct sock		*sk;
	struct socket		*sock;
	refcount_t		refs;
	bool			attached;
	u32			urg_seq;
	void			(*data_ready)(struct sock *csk);
	void			(*write_space)(struct sock *csk);
	void			(*state_change)(struct sock *csk);
	void			(*error_report)(struct sock *csk);
	struct delayed_work	work;
	unsigned long		deadline;
	struct ferry_addr	*remote;
	bool			sent;
	u8			have;
	struct ferry_answer	answer;
	u16			len;
	struct ferry_hello	hello;
	struct ferry_frames	frames;
};

static bool ferry_tcp_framed(const struct ferry_tcp *tcp)
{
	return tcp->sk->sk_type == SOCK_SEQPACKET;
}

static void ferry_tcp_free(struct work_struct *work)
{
	struct ferry_tcp *tcp =
		container_of(to_rcu_work(work), struct ferry_tcp, free);

	if (tcp->remote)
		ferry_addr_put(tcp->remote);
	ferry_frames_free(&tcp->frames);
	sock_put(tcp->sk);
	kfree(tcp);
}

static void ferry_tcp_put(struct ferry_tcp *tcp)
{
	if (refcount_dec_and_test(&tcp->refs))
		queue_rcu_work(ferry_connect_wq, &tcp->free);
}

/* Look at a connect at once. Each queued work has a reference. */
static void ferry_tcp_event(struct ferry_tcp *tcp)
{
	if (!refcount_inc_not_zero(&tcp->refs))
		return;
	if (mod_delayed_work(ferry_connect_wq, &tcp->work, 0))
		/* It was queued already. */
		refcount_dec(&tcp->refs);
}

/* Look at it in so many jiffies, or at the next event, which may be there. */
static void ferry_tcp_wait(struct ferry_tcp *tcp, long left)
{
	refcount_inc(&tcp->refs);
	if (!queue_delayed_work(ferry_connect_wq, &tcp->work, max(left, 1L)))
		refcount_dec(&tcp->refs);
}

static void ferry_tcp_wake(struct sock *sk, __poll_t mask, int band)
{
	struct socket_wq *wq;

	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	if (skwq_has_sleeper(wq))
		wake_up_interruptible_sync_poll(&wq->wait, mask);
	rcu_read_unlock();
	sk_wake_async(sk, SOCK_WAKE_IO, band);
}

/* Move what ended a connection, or an attempt to use it, to where it is asked for. */
static int ferry_tcp_move_error(struct sock *csk, struct sock *sk)
{
	int err = xchg(&csk->sk_err, 0);

	/* Its peer told the end before: a sender learns of it all the same. */
	if (err == EPIPE && sk->sk_type == SOCK_SEQPACKET)
		return 0;
	if (err)
		/* Pairs with ferry_error(). */
		smp_store_release(&sk->sk_err, err);
	return err;
}

/* Take the records that TCP has. TCP's lock is held. */
static void ferry_tcp_input(struct ferry_tcp *tcp)
{
	int err = ferry_frames_input(&tcp->frames, tcp->sk, tcp->sock->sk);

	if (err == -ENOMEM)
		ferry_tcp_wait(tcp, FERRY_MEMORY_TIME);
	else if (err)
		ferry_tcp_event(tcp);
}

/* Of records: TCP's state has changed. TCP's lock is held. */
static void ferry_tcp_look(struct ferry_tcp *tcp)
{
	struct sock *csk = tcp->sock->sk;

	/* What ended it is told by none but the first who asks after the end. */
	if (csk->sk_state == TCP_CLOSE && !tcp->frames.broken)
		ferry_tcp_move_error(csk, tcp->sk);
	ferry_frames_end(&tcp->frames, tcp->sk, csk);
	if (tcp->frames.broken && csk->sk_state != TCP_CLOSE)
		ferry_tcp_event(tcp);
	/* Who waits to send need not wait for what is still to be read. */
	if (csk->sk_shutdown & SEND_SHUTDOWN)
		ferry_wake_space(tcp->sk);
}

/*
 * Tell whom F_SETSIG made ask of an urgent byte that has come. SIGURG itself TCP sends,
 * by the file; but who else listens it looks for at its own socket.
 */
static void ferry_tcp_urgent(struct ferry_tcp *tcp)
{
	const struct tcp_sock *tp = tcp_sk(tcp->sock->sk);

	sock_owned_by_me(tcp->sock->sk);

	if (likely(!tp->urg_data) || tp->urg_seq == tcp->urg_seq)
		return;
	tcp->urg_seq = tp->urg_seq;
	sk_wake_async(tcp->sk, SOCK_WAKE_URG, POLL_PRI);
}

static void ferry_tcp_data_ready(struct sock *csk)
{
	struct ferry_tcp *tcp;

	read_lock_bh(&csk->sk_callback_lock);
	tcp = csk->sk_user_data;
	if (tcp) {
		tcp->data_ready(csk);
		if (tcp->attached) {
			ferry_carrier_learn(tcp->sk);
			if (ferry_tcp_framed(tcp)) {
				if (ferry_frames_defer(&tcp->frames, csk))
					ferry_wake_taker(tcp->sk);
				else
					ferry_tcp_input(tcp);
			} else {
				ferry_tcp_urgent(tcp);
				ferry_wake_reader(tcp->sk);
			}
		} else {
			ferry_tcp_event(tcp);
		}
	}
	read_unlock_bh(&csk->sk_callback_lock);
}

/* Called only after somebody found no room. */
static void ferry_tcp_write_space(struct sock *csk)
{
	struct ferry_tcp *tcp;

	read_lock_bh(&csk->sk_callback_lock);
	tcp = csk->sk_user_data;
	if (tcp) {
		tcp->write_space(csk);
		/* Its work tells when the rest has gone. */
		if (tcp->attached && READ_ONCE(tcp->frames.rest)) {
			if (!tcp->frames.pushing)
				ferry_tcp_event(tcp);
		} else if (tcp->attached && sk_stream_is_writeable(csk)) {
			ferry_tcp_wake(tcp->sk, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND,
				       POLL_OUT);
		}
	}
	read_unlock_bh(&csk->sk_callback_lock);
}

static void ferry_tcp_state_change(struct sock *csk)
{
	struct ferry_tcp *tcp;
	u8 shutdown;

	read_lock_bh(&csk->sk_callback_lock);
	tcp = csk->sk_user_data;
	if (tcp) {
		tcp->state_change(csk);
		shutdown = READ_ONCE(csk->sk_shutdown);
		if (!tcp->attached)
			ferry_tcp_event(tcp);
		else if (ferry_tcp_framed(tcp))
			ferry_tcp_look(tcp);
		else if (shutdown == SHUTDOWN_MASK)
			ferry_wake_state(tcp->sk, POLL_HUP);
		else
			ferry_wake_state(tcp->sk, shutdown & RCV_SHUTDOWN ?
						  POLL_IN : POLL_OUT);
	}
	read_unlock_bh(&csk->sk_callback_lock);
}

/* A device's stamp may come in a hard interrupt. */
static void ferry_tcp_error_report(struct sock *csk)
{
	struct ferry_tcp *tcp;

	rcu_read_lock();
	tcp = rcu_dereference(__sk_user_data(csk));
	if (tcp) {
		tcp->error_report(csk);
		if (READ_ONCE(tcp->attached)) {
			if (!READ_ONCE(tcp->frames.broken))
				ferry_tcp_move_error(csk, tcp->sk);
			sk_error_report(tcp->sk);
		} else {
			ferry_tcp_event(tcp);
		}
	}
	rcu_read_unlock();
}

/* TCP's callbacks come here from now on. */
static void ferry_tcp_hook(struct ferry_tcp *tcp)
{
	struct sock *csk = tcp->sock->sk;

	write_lock_bh(&csk->sk_callback_lock);
	tcp->data_ready = csk->sk_data_ready;
	tcp->write_space = csk->sk_write_space;
	tcp->state_change = csk->sk_state_change;
	tcp->error_report = csk->sk_error_report;
	csk->sk_data_ready = ferry_tcp_data_ready;
	csk->sk_write_space = ferry_tcp_write_space;
	csk->sk_state_change = ferry_tcp_state_change;
	rcu_assign_pointer(__sk_user_data(csk), tcp);
	csk->sk_error_report = ferry_tcp_error_report;
	write_unlock_bh(&csk->sk_callback_lock);
}

/* And no longer. */
static void ferry_tcp_unhook(struct ferry_tcp *tcp)
{
	struct sock *csk = tcp->sock->sk;

	write_lock_bh(&csk->sk_callback_lock);
	csk->sk_data_ready = tcp->data_ready;
	csk->sk_write_space = tcp->write_space;
	csk->sk_state_change = tcp->state_change;
	csk->sk_error_report = tcp->error_report;
	rcu_assign_pointer(__sk_user_data(csk), NULL);
	write_unlock_bh(&csk->sk_callback_lock);
}

static void ferry_tcp_work(struct work_struct *work);

static struct ferry_tcp *ferry_tcp_alloc(struct sock *sk, struct socket *sock)
{
	struct ferry_tcp *tcp;

	tcp = kzalloc(sizeof(*tcp), GFP_KERNEL_ACCOUNT);
	if (!tcp)
		return NULL;
	sock_hold(sk);
	tcp->sk = sk;
	tcp->sock = sock;
	refcount_set(&tcp->refs, 1);
	INIT_DELAYED_WORK(&tcp->work, ferry_tcp_work);
	INIT_RCU_WORK(&tcp->free, ferry_tcp_free);
	return tcp;
}

/*
 * The file that TCP finds who is to have SIGURG by, and whether a splice may wait. It
 * is there until the socket is released.
 */
static void ferry_tcp_set_file(struct socket *sock, struct file *file)
{
	lock_sock(sock->sk);
	sock->file = file;
	release_sock(sock->sk);
}

/**
 * ferry_tcp_fresh() - what opened a connection was no conversation
 * @csk: TCP's socket
 *
 * TCP would take it for one, and have acknowledgements wait for an answer to go with.
 *
 * Context: process, may sleep.
 */
void ferry_tcp_fresh(struct sock *csk)
{
	tcp_sock_set_quickack(csk, 1);
}

/* What becomes of a connection, for those who watch. */
static void ferry_tcp_trace(const struct ferry_tcp *tcp, const char *event, int err)
{
	const struct ferry_addr *remote = tcp->remote ?: ferry_sk(tcp->sk)->far_addr;

	trace_ferry_carrier(tcp->sk, event, ferry_node(&remote->sa), err);
}

/* The socket is connected by what is its @carrier: data may move. */
static void ferry_tcp_attach(struct ferry_tcp *tcp)
{
	struct ferry_sock *fs = ferry_sk(tcp->sk);
	struct sock *csk = tcp->sock->sk;

	sock_owned_by_me(tcp->sk);

	fs->far_addr = tcp->remote;
	tcp->remote = NULL;
	ferry_set_peercred(tcp->sk, NULL, ferry_nobody);
	ferry_carrier_attach(tcp->sk, tcp->sock);
	write_lock_bh(&csk->sk_callback_lock);
	/* None that can still come. */
	tcp->urg_seq = READ_ONCE(tcp_sk(csk)->copied_seq) - 1;
	WRITE_ONCE(tcp->attached, true);
	write_unlock_bh(&csk->sk_callback_lock);
	ferry_tcp_fresh(csk);
	ferry_set_state(tcp->sk, FERRY_REMOTE);
	/* Stamps and SO_RCVLOWAT, which are for a connection only. */
	ferry_carrier_configure(tcp->sk);
	/* SO_PEEK_OFF, where TCP has it. */
	if (tcp->sock->ops->set_peek_off)
		tcp->sock->ops->set_peek_off(csk, READ_ONCE(tcp->sk->sk_peek_off));
	ferry_carrier_learn(tcp->sk);
	/* What was told before it was attached. */
	if (ferry_tcp_move_error(csk, tcp->sk))
		sk_error_report(tcp->sk);
	/* And what came before. */
	if (!ferry_tcp_framed(tcp) && ferry_tcp_unread(csk))
		ferry_wake_reader(tcp->sk);
	lock_sock(csk);
	if (ferry_tcp_framed(tcp))
		ferry_tcp_input(tcp);
	else
		ferry_tcp_urgent(tcp);
	release_sock(csk);
}

/*
 * The socket has its carrier no more: nobody else finds it there. The socket is left
 * unconnected; what it was connected to is told until the end.
 */
static struct socket *ferry_tcp_detach(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);
	struct ferry_tcp *tcp = fs->carrier->sk->sk_user_data;
	struct socket *sock = fs->carrier;

	sock_owned_by_me(sk);

	ferry_tcp_unhook(tcp);
	ferry_tcp_set_file(sock, NULL);
	tcp->sock = NULL;
	ferry_tcp_trace(tcp, "closed", sk->sk_err);
	spin_lock(&fs->lock);
	fs->carrier = NULL;
	spin_unlock(&fs->lock);
	if (cancel_delayed_work(&tcp->work))
		refcount_dec(&tcp->refs);
	ferry_set_state(sk, TCP_CLOSE);
	ferry_tcp_put(tcp);
	return sock;
}

/* Give up a connect under way, with @err as its result. */
static void ferry_tcp_fail(struct sock *sk, int err)
{
	struct socket *sock;

	/* Before the state that ends the wait for it. */
	WRITE_ONCE(sk->sk_err, err);
	sock = ferry_tcp_detach(sk);
	sock_no_linger(sock->sk);
	sock_release(sock);
}

/**
 * ferry_tcp_cancel() - give up a connect under way
 * @sk: socket; its lock_sock() is held
 * @err: the result for who asks
 *
 * Context: process, may sleep.
 * Return: false when there was none.
 */
bool ferry_tcp_cancel(struct sock *sk, int err)
{
	if (ferry_state(sk) != FERRY_REMOTE_CONNECTING)
		return false;
	ferry_tcp_fail(sk, err);
	return true;
}

/* Say hello, as TCP is connected. It takes so few bytes whole. */
static int ferry_tcp_hello(struct ferry_tcp *tcp)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	struct kvec vec = { .iov_base = &tcp->hello, .iov_len = tcp->len };
	int sent;

	sent = kernel_sendmsg(tcp->sock, &msg, &vec, 1, tcp->len);
	if (sent < 0 && sent != -EAGAIN)
		return sent == -EPIPE ? -ECONNRESET : sent;
	/* TCP has no memory. */
	if (sent != tcp->len)
		return -ENOBUFS;
	tcp->sent = true;
	tcp->deadline = jiffies + FERRY_ANSWER_TIME;
	return 0;
}

/* Read the answer and not a byte more. */
static int ferry_tcp_answer(struct ferry_tcp *tcp)
{
	while (tcp->have < sizeof(tcp->answer)) {
		u32 want = sizeof(tcp->answer) - tcp->have;
		struct msghdr msg = { .msg_flags = MSG_DONTWAIT };
		struct kvec vec = {
			.iov_base = (u8 *)&tcp->answer + tcp->have,
			.iov_len = want,
		};
		int got;

		got = kernel_recvmsg(tcp->sock, &msg, &vec, 1, want, MSG_DONTWAIT);
		if (got <= 0)
			return got ? got : -ECONNRESET;
		tcp->have += got;
	}
	return ferry_answer_result(&tcp->answer);
}

/* Go on with a connect. Returns -EAGAIN when there is nothing to do for now. */
static int ferry_tcp_step(struct ferry_tcp *tcp)
{
	struct sock *csk = tcp->sock->sk;
	int err;

	switch (READ_ONCE(csk->sk_state)) {
	case TCP_SYN_SENT:
	case TCP_SYN_RECV:
		return -EAGAIN;
	case TCP_CLOSE:
		/* Unless an answer, and why, came before the end. */
		if (tcp->sent && ferry_tcp_unread(csk))
			break;
		err = sock_error(csk);
		return err ? err : -ECONNRESET;
	}
	err = tcp->sent ? 0 : ferry_tcp_hello(tcp);
	if (!err)
		err = ferry_tcp_answer(tcp);
	if (err == -EAGAIN && tcp->sent && time_after_eq(jiffies, tcp->deadline))
		err = -ETIMEDOUT;
	return err;
}

/*
 * TCP has not taken all of a record, and its lock is still held. When it has room it
 * tells; but not when it has memory.
 */
static void ferry_tcp_retry(struct ferry_tcp *tcp)
{
	sock_owned_by_me(tcp->sock->sk);

	if (sk_stream_memory_free(tcp->sock->sk))
		ferry_tcp_wait(tcp, FERRY_MEMORY_TIME);
}

/* What the callbacks of a connection of records have left to be done. */
static void ferry_tcp_serve(struct ferry_tcp *tcp)
{
	struct sock *csk = tcp->sock->sk;
	int err;

	sock_owned_by_me(tcp->sk);

	if (READ_ONCE(tcp->frames.broken)) {
		if (READ_ONCE(csk->sk_state) != TCP_CLOSE)
			tcp_abort(csk, ECONNABORTED);
		return;
	}
	lock_sock(csk);
	err = ferry_frames_push(&tcp->frames, csk);
	if (err == -EAGAIN)
		ferry_tcp_retry(tcp);
	ferry_tcp_input(tcp);
	release_sock(csk);
	if (err != -EAGAIN)
		ferry_wake_space(tcp->sk);
}

static void ferry_tcp_work(struct work_struct *work)
{
	struct ferry_tcp *tcp =
		container_of(to_delayed_work(work), struct ferry_tcp, work);
	struct sock *sk = tcp->sk;
	int err;

	/* A worker is not for waiting while a call on the socket waits for its user. */
	if (sock_owned_by_user_nocheck(sk)) {
		ferry_tcp_wait(tcp, 1);
		goto out;
	}
	lock_sock(sk);
	/* Given up meanwhile, or done by an earlier one. */
	if (!tcp->sock || tcp->attached) {
		if (tcp->sock && ferry_tcp_framed(tcp))
			ferry_tcp_serve(tcp);
		release_sock(sk);
		goto out;
	}
	err = ferry_tcp_step(tcp);
	/* One that came while this was under way, see ferry_tcp_connect(). */
	if (!err && !ferry_tcp_framed(tcp) && rcu_access_pointer(sk->sk_filter))
		err = -EOPNOTSUPP;
	if (err == -EAGAIN) {
		if (tcp->sent)
			ferry_tcp_wait(tcp, tcp->deadline - jiffies);
	} else if (err) {
		ferry_tcp_fail(sk, -err);
	} else {
		ferry_tcp_attach(tcp);
		ferry_tcp_trace(tcp, "connected", 0);
	}
	release_sock(sk);

	if (err && err != -EAGAIN) {
		sk_error_report(sk);
		ferry_wake_state(sk, POLL_HUP);
	} else if (!err) {
		ferry_wake_state(sk, POLL_OUT);
	}
out:
	ferry_tcp_put(tcp);
}

/* Of an address of this host, what TCP's socket is bound to; port 0 is any. */
static int ferry_tcp_sockaddr(const struct sock *sk, const struct sockaddr_ferry *sa,
			      u16 port, struct sockaddr_storage *to)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;
	struct sockaddr_in *in = (struct sockaddr_in *)to;
	const struct in6_addr *node = ferry_node(sa);

	memset(to, 0, sizeof(*to));
	if (ipv6_addr_v4mapped(node)) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		in->sin_addr.s_addr = node->s6_addr32[3];
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	in6->sin6_addr = *node;
	if (ipv6_addr_type(node) & IPV6_ADDR_LINKLOCAL)
		in6->sin6_scope_id = READ_ONCE(sk->sk_bound_dev_if);
	return sizeof(*in6);
}

/* A socket that is bound to an address of this host connects from there. */
static int ferry_tcp_bind(struct sock *sk, struct socket *sock)
{
	const struct ferry_addr *own = ferry_own_addr(sk);
	bool v4 = sock->sk->sk_family == AF_INET;
	struct sockaddr_storage addr;
	int on = 1, len, err;

	if (!own || own->sa.sfy_scope != FERRY_SCOPE_NETWORK ||
	    ferry_node_any(&own->sa))
		return 0;
	if (ipv6_addr_v4mapped(ferry_node(&own->sa)) != v4)
		return -EADDRNOTAVAIL;
	/* The port is chosen by connect, for this peer. */
	err = sock->ops->setsockopt(sock, SOL_IP, IP_BIND_ADDRESS_NO_PORT,
				    KERNEL_SOCKPTR(&on), sizeof(on));
	if (err)
		return err;
	len = ferry_tcp_sockaddr(sk, &own->sa, 0, &addr);
	return kernel_bind(sock, (struct sockaddr_unsized *)&addr, len);
}

/**
 * ferry_tcp_connect() - begin to connect to another host
 * @sock: unconnected STREAM or SEQPACKET socket
 * @sa: address of a listener, with the node of another host
 * @len: its length
 *
 * Afterwards the connect is under way, and ends by itself or by ferry_tcp_cancel().
 *
 * Context: process, may sleep, lock_sock() held.
 * Return: 0, -ENETUNREACH (net.ferry.port is not set), -EOPNOTSUPP (a filter is
 * attached to a stream), -EADDRNOTAVAIL, -ENOMEM, or an error of TCP's connect(2).
 */
int ferry_tcp_connect(struct socket *sock, const struct sockaddr_ferry *sa,
		      int len)
{
	struct sock *sk = sock->sk;
	struct ferry_sock *fs = ferry_sk(sk);
	u16 port = ferry_port(sock_net(sk));
	const struct ferry_addr *own;
	struct sockaddr_storage addr;
	struct ferry_tcp *tcp;
	struct socket *csock;
	int addr_len, err;

	sock_owned_by_me(sk);

	if (!port)
		return -ENETUNREACH;
	if (sk->sk_type == SOCK_STREAM && rcu_access_pointer(sk->sk_filter))
		return -EOPNOTSUPP;

	addr_len = ferry_tcp_sockaddr(sk, sa, port, &addr);
	err = sock_create_kern(sock_net(sk), addr.ss_family, SOCK_STREAM,
			       IPPROTO_TCP, &csock);
	if (err)
		return err == -EAFNOSUPPORT ? -ENETUNREACH : err;
	ferry_hold_net(csock->sk);
	err = -ENOMEM;
	tcp = ferry_tcp_alloc(sk, csock);
	if (!tcp)
		goto err_sock;
	tcp->remote = ferry_addr_make(sa, len);
	if (!tcp->remote)
		goto err_tcp;
	/* A name that is not for other hosts is not told there. */
	own = ferry_own_addr(sk);
	if (own && own->sa.sfy_scope != FERRY_SCOPE_NETWORK)
		own = NULL;
	tcp->len = ferry_hello_make(&tcp->hello, sk->sk_type, own, sa->sfy_name,
				    len - FERRY_ADDR_HDR);
	/* A connection of records has no urgent byte that SIGURG could tell of. */
	if (!ferry_tcp_framed(tcp))
		ferry_tcp_set_file(csock, sock->file);

	spin_lock(&fs->lock);
	fs->carrier = csock;
	spin_unlock(&fs->lock);
	ferry_carrier_configure(sk);
	ferry_tcp_hook(tcp);
	/* From here on calls on the socket are those for other hosts. */
	ferry_set_state(sk, FERRY_REMOTE_CONNECTING);
	ferry_tcp_trace(tcp, "connecting", 0);
	WRITE_ONCE(sock->ops, ferry_remote_ops(sk));

	err = ferry_tcp_bind(sk, csock);
	if (!err && sock_flag(sk, SOCK_LOCALROUTE) &&
	    ferry_node_beyond(csock->sk, ferry_node(sa)))
		err = -ENETUNREACH;
	if (!err)
		err = kernel_connect(csock, (struct sockaddr_unsized *)&addr,
				     addr_len, O_NONBLOCK);
	if (err && err != -EINPROGRESS) {
		ferry_tcp_fail(sk, 0);
		return err;
	}
	return 0;

err_tcp:
	ferry_tcp_put(tcp);
err_sock:
	sock_release(csock);
	return err;
}

/**
 * ferry_tcp_adopt() - a connection that was accepted becomes a socket's
 * @sk: the listener's end, which nobody else uses; its lock_sock() is held
 * @carrier: the connection, without callbacks of others; the socket's if all goes well
 * @remote: address of the peer, likewise
 *
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM.
 */
int ferry_tcp_adopt(struct sock *sk, struct socket *carrier,
		    struct ferry_addr *remote)
{
	struct ferry_tcp *tcp = ferry_tcp_alloc(sk, carrier);

	sock_owned_by_me(sk);

	if (!tcp)
		return -ENOMEM;
	if (!carrier->sk->sk_net_refcnt)
		ferry_hold_net(carrier->sk);
	/*
	 * What TCP has found the way back by: the link of a link-local address, a VRF
	 * (tcp_l3mdev_accept), the mark of the first packet (tcp_fwmark_accept).
	 */
	if (!sk->sk_bound_dev_if)
		WRITE_ONCE(sk->sk_bound_dev_if, carrier->sk->sk_bound_dev_if);
	if (!sk->sk_mark)
		WRITE_ONCE(sk->sk_mark, carrier->sk->sk_mark);
	tcp->remote = remote;
	/* What nobody has accepted has no more than TCP gives it. */
	tcp->frames.paused = 1;
	ferry_sk(sk)->carrier = carrier;
	ferry_tcp_hook(tcp);
	ferry_tcp_attach(tcp);
	ferry_tcp_trace(tcp, "accepted", 0);
	return 0;
}

/**
 * ferry_tcp_accepted() - a connection has got its file, and somebody who reads
 * @newsock: the accepted socket
 *
 * Context: process, may sleep.
 */
void ferry_tcp_accepted(struct socket *newsock)
{
	if (newsock->type == SOCK_SEQPACKET)
		ferry_tcp_resume(newsock->sk);
	else
		ferry_tcp_set_file(ferry_sk(newsock->sk)->carrier, newsock->file);
}

/**
 * ferry_tcp_disown() - take the carrier back from a socket that nobody else uses
 * @sk: the socket; its lock_sock() is held
 */
void ferry_tcp_disown(struct sock *sk)
{
	ferry_tcp_detach(sk);
}

/**
 * ferry_tcp_end() - a socket is released: so is its carrier
 * @sk: the socket
 *
 * As close(2) of TCP's socket, SO_LINGER included, but that a kernel thread does not
 * wait. Of records TCP is given first what it had no room for; and what is unread, if
 * it lies in the socket's own queue, resets the connection too.
 *
 * Context: process, may sleep.
 */
void ferry_tcp_end(struct sock *sk)
{
	struct socket *sock = NULL;
	struct ferry_tcp *tcp;
	bool reset = false;

	lock_sock(sk);
	if (!ferry_tcp_cancel(sk, 0) && ferry_remote(sk)) {
		/* SO_LINGER, set a moment ago. */
		ferry_carrier_refresh(sk);
		tcp = ferry_sk(sk)->carrier->sk->sk_user_data;
		refcount_inc(&tcp->refs);
		sock = ferry_tcp_detach(sk);
	}
	release_sock(sk);
	if (!sock)
		return;

	lock_sock(sock->sk);
	if (current->flags & PF_KTHREAD && sock->sk->sk_lingertime)
		sock_reset_flag(sock->sk, SOCK_LINGER);
	if (ferry_tcp_framed(tcp)) {
		/* What lies unread at TCP itself is TCP's to look for. */
		reset = ferry_remote_waits(sk) || tcp->frames.have ||
			tcp->frames.broken;
		if (!reset)
			reset = ferry_frames_flush(&tcp->frames, sock->sk) == -EAGAIN;
	}
	release_sock(sock->sk);
	ferry_tcp_put(tcp);
	if (reset)
		sock_no_linger(sock->sk);
	sock_release(sock);
}

/**
 * ferry_tcp_reset() - cut off a connection that nobody accepted
 * @sk: the child, out of the listener's queue
 *
 * Context: process, may sleep; lock_sock() of its listener may be held.
 */
void ferry_tcp_reset(struct sock *sk)
{
	struct socket *sock = NULL;

	lock_sock_nested(sk, SINGLE_DEPTH_NESTING);
	if (ferry_remote(sk))
		sock = ferry_tcp_detach(sk);
	release_sock(sk);
	if (sock) {
		sock_no_linger(sock->sk);
		sock_release(sock);
	}
}

/**
 * ferry_tcp_get() - the carrier of somebody else's socket
 * @sk: socket
 *
 * Return: TCP's socket with a reference, or NULL.
 */
struct sock *ferry_tcp_get(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);
	struct sock *csk = NULL;

	if (!ferry_remote(sk))
		return NULL;
	spin_lock(&fs->lock);
	if (fs->carrier) {
		csk = fs->carrier->sk;
		sock_hold(csk);
	}
	spin_unlock(&fs->lock);
	return csk;
}

/**
 * ferry_tcp_frames() - the records of a connection
 * @carrier: TCP's socket of a SEQPACKET socket that is connected, and is not released
 *	meanwhile
 *
 * Return: the records.
 */
struct ferry_frames *ferry_tcp_frames(const struct socket *carrier)
{
	struct ferry_tcp *tcp = carrier->sk->sk_user_data;

	return &tcp->frames;
}

/**
 * ferry_tcp_resume() - take records from TCP again
 * @sk: as for ferry_tcp_frames(), the socket itself
 *
 * Context: process, may sleep.
 */
void ferry_tcp_resume(struct sock *sk)
{
	struct sock *csk = ferry_sk(sk)->carrier->sk;
	struct ferry_tcp *tcp = csk->sk_user_data;

	lock_sock(csk);
	WRITE_ONCE(tcp->frames.paused, 0);
	ferry_tcp_input(tcp);
	release_sock(csk);
}

/**
 * ferry_tcp_sleep() - a reader is about to sleep until there is a record
 * @sk: as for ferry_tcp_frames(), the socket itself
 *
 * It is in the queue of those who wait before it looks at ferry_tcp_waits(), and calls
 * ferry_tcp_slept() whatever it was woken by.
 */
void ferry_tcp_sleep(struct sock *sk)
{
	atomic_inc(&ferry_tcp_frames(ferry_sk(sk)->carrier)->sleepers);
}

/* ferry_tcp_slept() - it does not sleep: what was left to it is taken */
void ferry_tcp_slept(struct sock *sk)
{
	atomic_dec(&ferry_tcp_frames(ferry_sk(sk)->carrier)->sleepers);
	/* Has a barrier. */
	ferry_tcp_read(sk);
}

/* ferry_tcp_waits() - is there something that was left at TCP? */
bool ferry_tcp_waits(const struct sock *sk)
{
	return ferry_frames_resumable(ferry_tcp_frames(ferry_sk(sk)->carrier), sk);
}

/**
 * ferry_tcp_read() - there may be room for records again
 * @sk: connected socket of either type, from which something was read
 *
 * Context: process, may sleep.
 */
void ferry_tcp_read(struct sock *sk)
{
	if (sk->sk_type == SOCK_SEQPACKET &&
	    ferry_frames_resumable(ferry_tcp_frames(ferry_sk(sk)->carrier), sk))
		ferry_tcp_resume(sk);
}

/**
 * ferry_tcp_later() - TCP has not taken all of a record
 * @carrier: as for ferry_tcp_frames(); TCP's lock is held
 */
void ferry_tcp_later(const struct socket *carrier)
{
	ferry_tcp_retry(carrier->sk->sk_user_data);
}

/**
 * ferry_tcp_outq() - how much was sent and is not acknowledged
 * @csk: TCP's socket, with a reference
 *
 * Context: any.
 * Return: bytes.
 */
u32 ferry_tcp_outq(const struct sock *csk)
{
	const struct ferry_tcp *tcp;
	u32 unsent = 0;

	rcu_read_lock();
	tcp = rcu_dereference(__sk_user_data(csk));
	if (tcp)
		unsent = READ_ONCE(tcp->frames.unsent);
	rcu_read_unlock();
	return ferry_tcp_unacked(csk) + unsent;
}

/**
 * ferry_tcp_init() - prepare for connects
 *
 * Return: 0 or -ENOMEM.
 */
int ferry_tcp_init(void)
{
	ferry_nobody = prepare_kernel_cred(&init_task);
	if (!ferry_nobody)
		return -ENOMEM;
	ferry_nobody->uid = INVALID_UID;
	ferry_nobody->euid = INVALID_UID;
	ferry_nobody->gid = INVALID_GID;
	ferry_nobody->egid = INVALID_GID;
	ferry_connect_wq = alloc_workqueue("ferry_connect", WQ_UNBOUND, 0);
	if (ferry_connect_wq)
		return 0;
	put_cred(ferry_nobody);
	return -ENOMEM;
}

/* ferry_tcp_exit() - no socket is left, but the last work may be */
void ferry_tcp_exit(void)
{
	destroy_workqueue(ferry_connect_wq);
	put_cred(ferry_nobody);
	/* Nor does TCP call any more what was its callback a moment ago. */
	synchronize_net();
}
