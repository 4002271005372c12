// SPDX-License-Identifier: GPL-2.0
/*
 * Two threads on one socket, in every pair of calls, on a socket that is
 * connected, listens, or is neither yet. Nothing hangs, no errno comes that is
 * not documented, what was sent arrives once and in order, nothing leaks.
 */

#include "stress_main.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

/* Calls of one kind that a thread makes in a round. */
#define CALLS	6

/* The lane of the other end; the two threads have 0 and 1. */
#define PEER_LANE	2

enum state {
	CONNECTED,
	FRESH,
	LISTENING,
	STATES
};

/* What both threads and the other end have in common. */
struct round {
	const struct ft_kind *kind;
	enum state state;
	int fd;			/* the socket of the two threads */
	int peer;		/* its other end, or -1 */
	int listener;		/* FRESH: where to connect */
	struct ft_addr addr;	/* of it, or of the listener itself */
	int nothing;		/* put in the socket's place by a close */
	uint64_t peer_sent;
	struct stress_tally peer_got;
	pthread_barrier_t start;
};

struct party {
	struct round *round;
	const struct call *call;
	pthread_t thread;
	int lane;
	unsigned int random;
	uint64_t sent;
	struct stress_tally got;
	int pipe[2];
	atomic_int done;
	int unexpected;
};

struct call {
	const char *name;
	void (*fn)(struct party *party);
};

static void judge(struct party *party, ssize_t ret)
{
	static const int documented[] = {
		EAGAIN, EPIPE, ECONNRESET, ENOTCONN, EBADF, ENOTSOCK, EINVAL,
		EISCONN, EALREADY, EINPROGRESS, ECONNREFUSED, ECONNABORTED,
		EDESTADDRREQ, EOPNOTSUPP, ENOPROTOOPT, ENOTTY, EADDRINUSE,
	};
	size_t i;

	if (ret >= 0)
		return;
	for (i = 0; i < sizeof(documented) / sizeof(*documented); i++)
		if (errno == documented[i])
			return;
	party->unexpected = errno;
}

/* Counts what was sent: a record is one, of a stream every byte. */
static void sent(struct party *party, ssize_t n)
{
	judge(party, n);
	if (n > 0)
		party->sent += party->round->kind->type == SOCK_STREAM ? n : 1;
}

static size_t next_message(struct party *party, unsigned char *buf)
{
	return stress_fill(party->round->kind->type, buf, party->lane,
			   party->sent,
			   1 + stress_below(&party->random, STRESS_MSG));
}

static void call_send(struct party *party)
{
	unsigned char buf[STRESS_MSG];
	size_t len = next_message(party, buf);

	sent(party, send(party->round->fd, buf, len,
			 MSG_NOSIGNAL |
			 (stress_below(&party->random, 2) ? MSG_DONTWAIT : 0)));
}

static void receive(struct party *party, int flags)
{
	unsigned char buf[2 * STRESS_MSG];
	ssize_t n;

	if (stress_below(&party->random, 2))
		flags |= MSG_DONTWAIT;
	n = recv(party->round->fd, buf, sizeof(buf), flags);
	judge(party, n);
	if (n > 0)
		stress_check(&party->got, party->round->kind->type, buf, n,
			     !(flags & MSG_PEEK));
}

static void call_recv(struct party *party)
{
	receive(party, 0);
}

static void call_peek(struct party *party)
{
	struct stress_tally saved = party->got;

	/* Somebody may read on between two parts of a peek. */
	receive(party, MSG_PEEK);
	if (party->round->kind->type == SOCK_STREAM)
		party->got = saved;
}

static void call_shutdown(struct party *party)
{
	judge(party, shutdown(party->round->fd,
			      stress_below(&party->random, 3)));
}

/* Closes it as dup2() does: the number is nobody else's afterwards. */
static void call_close(struct party *party)
{
	if (stress_below(&party->random, 3) == 0)
		judge(party, dup2(party->round->nothing, party->round->fd));
}

static void call_poll(struct party *party)
{
	static const short events[] = { 0, POLLIN, POLLOUT, POLLIN | POLLOUT };
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	int ep;

	ft_poll(party->round->fd, events[stress_below(&party->random, 4)],
		stress_below(&party->random, 2));
	ep = epoll_create1(EPOLL_CLOEXEC);
	judge(party, epoll_ctl(ep, EPOLL_CTL_ADD, party->round->fd, &event));
	epoll_wait(ep, &event, 1, 0);
	close(ep);
}

static void call_setsockopt(struct party *party)
{
	static const struct {
		int option, off, on;
	} options[] = {
		{ SO_RCVBUF, 2048, 65536 },
		{ SO_SNDBUF, 4608, 65536 },
		{ SO_RCVLOWAT, 1, 400 },
		{ SO_PASSCRED, 0, 1 },
		{ SO_TIMESTAMP, 0, 1 },
		{ SO_RXQ_OVFL, 0, 1 },
		{ SO_OOBINLINE, 0, 1 },
		{ SO_PRIORITY, 0, 6 },
		{ SO_REUSEADDR, 0, 1 },
		{ SO_REUSEPORT, 0, 1 },
		{ SO_MARK, 0, 7 },
		{ SO_PEEK_OFF, -1, 0 },
		{ SO_KEEPALIVE, 0, 1 },
	};
	unsigned int i = stress_below(&party->random,
				      sizeof(options) / sizeof(*options));

	judge(party, ft_setint(party->round->fd, options[i].option,
			       stress_below(&party->random, 2) ?
			       options[i].on : options[i].off));
}

static void call_getsockname(struct party *party)
{
	struct ft_addr addr;

	addr.len = sizeof(addr.ss);
	judge(party, getsockname(party->round->fd, &addr.sa, &addr.len));
	addr.len = sizeof(addr.ss);
	judge(party, getpeername(party->round->fd, &addr.sa, &addr.len));
	judge(party, ft_getint(party->round->fd, SO_TYPE));
}

static void call_ioctl(struct party *party)
{
	static const unsigned long requests[] = {
		SIOCINQ, SIOCOUTQ, SIOCATMARK, FIOGETOWN,
	};
	int n;

	judge(party, ioctl(party->round->fd,
			   requests[stress_below(&party->random, 4)], &n));
}

/* In both directions, with an empty pipe before and after. */
static void call_splice(struct party *party)
{
	unsigned char buf[2 * STRESS_MSG];
	int fd = party->round->fd;
	size_t len;
	ssize_t n;

	if (stress_below(&party->random, 2)) {
		len = next_message(party, buf);
		if (write(party->pipe[1], buf, len) != (ssize_t)len)
			return;
		n = splice(party->pipe[0], NULL, fd, NULL, len, 0);
		sent(party, n);
		if (n < 0)
			n = 0;
		if ((size_t)n < len &&
		    read(party->pipe[0], buf, len - n) != (ssize_t)len - n)
			party->unexpected = EIO;
		return;
	}
	n = splice(fd, NULL, party->pipe[1], NULL, sizeof(buf), 0);
	judge(party, n);
	if (n <= 0)
		return;
	if (read(party->pipe[0], buf, n) != n)
		party->unexpected = EIO;
	else
		stress_check_spliced(&party->got, party->round->kind, buf, n);
}

static void call_accept(struct party *party)
{
	int fd = accept4(party->round->fd, NULL, NULL, SOCK_CLOEXEC);

	judge(party, fd);
	ft_close(&fd);
}

static void call_connect(struct party *party)
{
	judge(party, connect(party->round->fd, &party->round->addr.sa,
			     party->round->addr.len));
}

static void call_listen(struct party *party)
{
	judge(party, listen(party->round->fd,
			    stress_below(&party->random, 5)));
}

static const struct call calls[] = {
	{ "send", call_send },
	{ "recv", call_recv },
	{ "peek", call_peek },
	{ "shutdown", call_shutdown },
	{ "close", call_close },
	{ "poll", call_poll },
	{ "setsockopt", call_setsockopt },
	{ "getsockname", call_getsockname },
	{ "ioctl", call_ioctl },
	{ "splice", call_splice },
	{ "accept", call_accept },
	{ "connect", call_connect },
	{ "listen", call_listen },
};

#define N_CALLS		(sizeof(calls) / sizeof(*calls))

static void *party_thread(void *arg)
{
	struct party *party = arg;
	int i;

	pthread_barrier_wait(&party->round->start);
	for (i = 0; i < CALLS; i++)
		party->call->fn(party);
	atomic_store(&party->done, 1);
	return NULL;
}

/* Takes what is there at the other end, to the end of file if it comes. */
static void drain(struct round *round, int fd, struct stress_tally *tally)
{
	unsigned char buf[2 * STRESS_MSG];
	ssize_t n;

	for (;;) {
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n > 0)
			stress_check(tally, round->kind->type, buf, n, true);
		else if (n == 0 || errno != ECONNRESET)
			break;
	}
}

/*
 * The other end does its part, so that no call hangs for want of it: it
 * reads, sends, accepts and connects.
 */
static void feed(struct round *round)
{
	unsigned char buf[64];
	size_t len;
	int fd;

	if (round->state == LISTENING) {
		fd = socket(round->kind->domain,
			    round->kind->type | SOCK_NONBLOCK, 0);
		connect(fd, &round->addr.sa, round->addr.len);
		ft_poll(fd, POLLOUT, 1);
		ft_close(&fd);
		return;
	}
	if (round->peer < 0)
		round->peer = accept4(round->listener, NULL, NULL,
				      SOCK_NONBLOCK);
	if (round->peer < 0) {
		ft_poll(round->listener, POLLIN, 1);
		return;
	}
	drain(round, round->peer, &round->peer_got);
	len = stress_fill(round->kind->type, buf, PEER_LANE, round->peer_sent,
			  40);
	len = send(round->peer, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if ((ssize_t)len > 0)
		round->peer_sent += round->kind->type == SOCK_STREAM ? len : 1;
	ft_poll(round->peer, POLLIN, 1);
}

static int make_fresh(struct round *round)
{
	struct ft_addr own;

	round->fd = socket(round->kind->domain, round->kind->type, 0);
	if (round->kind->type == SOCK_DGRAM) {
		round->peer = socket(round->kind->domain,
				     SOCK_DGRAM | SOCK_NONBLOCK, 0);
		if (ft_bind_new(round->fd, round->kind->domain, &own) ||
		    ft_bind_new(round->peer, round->kind->domain,
				&round->addr) ||
		    connect(round->peer, &own.sa, own.len))
			return -1;
		return 0;
	}
	round->listener = ft_listener(round->kind, &round->addr, 2);
	if (round->listener < 0 || ft_nonblock(round->listener, true))
		return -1;
	return 0;
}

static int make(struct round *round)
{
	round->fd = -1;
	round->peer = -1;
	round->listener = -1;
	ft_addr_new(round->kind->domain, &round->addr);
	switch (round->state) {
	case FRESH:
		return make_fresh(round);
	case LISTENING:
		round->fd = ft_listener(round->kind, &round->addr, 3);
		return round->fd < 0 ? -1 : 0;
	default:
		if (ft_pair(round->kind, &round->fd, &round->peer))
			return -1;
		ft_shrink(round->fd, round->peer);
		/* For who connects again. */
		if (round->kind->type == SOCK_DGRAM) {
			round->addr.len = sizeof(round->addr.ss);
			getsockname(round->peer, &round->addr.sa,
				    &round->addr.len);
		}
		return ft_nonblock(round->peer, true);
	}
}

/* Whatever was sent has to be there, whatever has become of the socket. */
static bool account(struct round *round, struct party *party)
{
	const struct ft_kind *kind = round->kind;
	struct stress_tally got = {};
	bool closed, ok = true;
	int i;

	closed = fcntl(round->fd, F_GETFD) < 0 ||
		 ft_getint(round->fd, SO_TYPE) < 0;
	if (!closed) {
		/* On TCP this is not the end of what was shut down before. */
		if (kind->domain == AF_INET)
			shutdown(round->fd, SHUT_WR);
		ft_setint(round->fd, SO_RCVLOWAT, 1);
		drain(round, round->fd, &got);
	}
	if (round->peer < 0 && round->listener >= 0)
		round->peer = accept4(round->listener, NULL, NULL,
				      SOCK_NONBLOCK);
	if (round->peer >= 0)
		drain(round, round->peer, &round->peer_got);
	for (i = 0; i < 2; i++)
		stress_add(&got, &party[i].got);
	if (got.wrong || round->peer_got.wrong) {
		fprintf(stderr, "# %s\n", got.wrong ? got.wrong :
						      round->peer_got.wrong);
		ok = false;
	}
	/* A reset of TCP's throws away what was delivered; it arrives later. */
	if (kind->domain == AF_INET)
		return ok;
	for (i = 0; i < 2; i++)
		ok &= stress_complete(&round->peer_got, kind->type, i,
				      party[i].sent);
	if (!closed)
		ok &= stress_complete(&got, kind->type, PEER_LANE,
				      round->peer_sent);
	return ok;
}

/* One round. NULL, or what was wrong. */
static const char *run(const struct ft_kind *kind, enum state state,
		       const struct call *one, const struct call *other,
		       unsigned int seed)
{
	struct round round = { .kind = kind, .state = state };
	struct party party[2];
	const char *wrong = NULL;
	int64_t end;
	int i;

	if (make(&round))
		return "no sockets";
	round.nothing = eventfd(0, EFD_CLOEXEC);
	pthread_barrier_init(&round.start, NULL, 2);
	memset(party, 0, sizeof(party));
	for (i = 0; i < 2; i++) {
		party[i].round = &round;
		party[i].call = i ? other : one;
		party[i].lane = i;
		party[i].random = seed + i;
		if (pipe2(party[i].pipe, O_CLOEXEC) ||
		    pthread_create(&party[i].thread, NULL, party_thread,
				   &party[i]))
			return "no thread";
	}
	end = ft_now_ms() + 60000;
	while (!atomic_load(&party[0].done) || !atomic_load(&party[1].done)) {
		feed(&round);
		if (ft_now_ms() > end)
			return "a call hangs";
	}
	for (i = 0; i < 2; i++) {
		pthread_join(party[i].thread, NULL);
		close(party[i].pipe[0]);
		close(party[i].pipe[1]);
		if (party[i].unexpected)
			wrong = strerror(party[i].unexpected);
	}
	if (state != LISTENING && !account(&round, party))
		wrong = "the messages are not what was sent";
	pthread_barrier_destroy(&round.start);
	ft_close(&round.fd);
	ft_close(&round.peer);
	ft_close(&round.listener);
	ft_close(&round.nothing);
	return wrong;
}

/*
 * AF_UNIX: a listener that connects waits for a place in its own queue. TCP: an
 * unbound socket can listen, and nobody knows where to connect to.
 */
static bool waits_for_ever(const struct ft_kind *kind, enum state state,
			   const struct call *one, const struct call *other)
{
	if (kind->domain == AF_UNIX && state == LISTENING)
		return one->fn == call_connect || other->fn == call_connect;
	if (kind->domain == AF_INET && state == FRESH)
		return one->fn == call_listen || other->fn == call_listen;
	return false;
}

FIXTURE(pairs)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(pairs)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(pairs, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(pairs, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(pairs, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM },
};

FIXTURE_VARIANT_ADD(pairs, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(pairs, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(pairs, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_SETUP(pairs)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
}

FIXTURE_TEARDOWN(pairs)
{
	FT_NO_LEAK(&self->leak);
}

TEST_F_TIMEOUT(pairs, X03_every_pair_of_calls, STRESS_LIMIT)
{
	int64_t end = stress_end(variant->kind.domain);
	unsigned int round, pass;
	const char *wrong;
	enum state state;
	size_t i, j;

	signal(SIGPIPE, SIG_IGN);
	for (round = 0; ; round++) {
		i = round % N_CALLS;
		j = round / N_CALLS % N_CALLS;
		pass = round / (N_CALLS * N_CALLS);
		/* All of them in every state that the type has, at least once. */
		if (pass >= STATES && ft_now_ms() > end)
			break;
		state = pass % (variant->kind.type == SOCK_DGRAM ? LISTENING :
								   STATES);
		if (waits_for_ever(&variant->kind, state, &calls[i], &calls[j]))
			continue;
		wrong = run(&variant->kind, state, &calls[i], &calls[j], round);
		if (wrong)
			TH_LOG("%s and %s, state %u, round %u: %s",
			       calls[i].name, calls[j].name, state, round,
			       wrong);
		ASSERT_EQ(NULL, wrong);
	}
	TH_LOG("%u rounds", round);
}

STRESS_MAIN
