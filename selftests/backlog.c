// SPDX-License-Identifier: GPL-2.0
/*
 * A listener with more callers than places. F02, F04, F07, F18, E06, F15, and the
 * rule that no uid takes all of a backlog.
 *
 * AF_UNIX waits like AF_FERRY but answers EAGAIN where AF_FERRY has
 * EINPROGRESS, so it is in the blocking tests only. TCP drops the SYN of a
 * caller too many and tries again after a second: it is where a retry of its
 * own leads to the same result.
 */

#include "ferry_test.h"
#include "kselftest_harness.h"

#include <sys/stat.h>

#define BACKLOG		2
#define MANY		64

/*
 * Connects until the backlog is full; returns how many it took, the sockets
 * in @fd, or -1. The one too many is left in progress in *@waiting.
 */
static int fill_backlog(const struct ft_kind *kind, const struct ft_addr *addr,
			int *fd, int *waiting)
{
	int n;

	for (n = 0; n < MANY; n++) {
		int s = socket(kind->domain, kind->type | SOCK_NONBLOCK, 0);

		if (s < 0)
			return -1;
		if (connect(s, &addr->sa, addr->len)) {
			if (errno == EAGAIN) {
				*waiting = s;
				return n;
			}
			if (errno != EINPROGRESS)
				return -1;
			/* TCP is always in progress, and soon done while there is room. */
			if (!(ft_poll(s, POLLOUT, kind->domain == AF_INET ?
						  300 : 0) & POLLOUT)) {
				*waiting = s;
				return n;
			}
		}
		fd[n] = s;
	}
	return -1;
}

FIXTURE(backlog)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int listener;
};

FIXTURE_VARIANT(backlog)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(backlog, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(backlog, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(backlog, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_SETUP(backlog)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->listener = ft_listener(&variant->kind, &self->addr, BACKLOG);
	ASSERT_LE(0, self->listener);
}

FIXTURE_TEARDOWN(backlog)
{
	ft_close(&self->listener);
	FT_NO_LEAK(&self->leak);
}

TEST_F(backlog, F02_blocking_connect_waits_for_a_place)
{
	struct ft_call call = { .fn = ft_do_connect, .addr = &self->addr };
	int fd[MANY], waiting, fresh, b, n;

	n = fill_backlog(&variant->kind, &self->addr, fd, &waiting);
	ASSERT_LT(0, n);
	ft_close(&waiting);

	fresh = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fresh);
	call.fd = fresh;
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	ft_join(&call);
	EXPECT_EQ(0, call.ret);
	EXPECT_TRUE(ft_send_all(fresh, 0, 10, 10));
	ft_close(&b);

	/* The fresh one stands behind those that were there before. */
	while (--n > 0) {
		b = accept(self->listener, NULL, NULL);
		ASSERT_LE(0, b);
		ft_close(&b);
		ft_close(&fd[n]);
	}
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_TRUE(ft_recv_all(b, 0, 10, 10));
	ft_close(&b);
	ft_close(&fd[0]);
	ft_close(&fresh);
}

TEST_F(backlog, F02_every_waiter_gets_in)
{
	struct ft_call call[6];
	int fd[MANY], waiting, b, n, i;

	n = fill_backlog(&variant->kind, &self->addr, fd, &waiting);
	ASSERT_LT(0, n);
	ft_close(&waiting);

	memset(call, 0, sizeof(call));
	for (i = 0; i < 6; i++) {
		call[i].fn = ft_do_connect;
		call[i].addr = &self->addr;
		call[i].fd = socket(variant->kind.domain, variant->kind.type,
				    0);
		ASSERT_LE(0, call[i].fd);
		ASSERT_EQ(0, ft_start(&call[i]));
		ASSERT_TRUE(ft_blocked(&call[i]));
	}
	for (i = 0; i < n + 6; i++) {
		b = accept(self->listener, NULL, NULL);
		ASSERT_LE(0, b);
		ft_close(&b);
	}
	for (i = 0; i < 6; i++) {
		ft_join(&call[i]);
		EXPECT_EQ(0, call[i].ret);
		ft_close(&call[i].fd);
	}
	while (n--)
		ft_close(&fd[n]);
}

TEST_F(backlog, F15_closing_listener_refuses_the_waiting)
{
	struct ft_call call[3];
	int fd[MANY], waiting, n, i;

	n = fill_backlog(&variant->kind, &self->addr, fd, &waiting);
	ASSERT_LT(0, n);
	ft_close(&waiting);

	memset(call, 0, sizeof(call));
	for (i = 0; i < 3; i++) {
		call[i].fn = ft_do_connect;
		call[i].addr = &self->addr;
		call[i].fd = socket(variant->kind.domain, variant->kind.type,
				    0);
		ASSERT_LE(0, call[i].fd);
		ASSERT_EQ(0, ft_start(&call[i]));
		ASSERT_TRUE(ft_blocked(&call[i]));
	}
	ft_close(&self->listener);
	for (i = 0; i < 3; i++) {
		ft_join(&call[i]);
		EXPECT_EQ(-1, call[i].ret);
		EXPECT_EQ(ECONNREFUSED, call[i].err);
		ft_close(&call[i].fd);
	}
	while (n--)
		ft_close(&fd[n]);
}

TEST_F(backlog, F04_listening_again_changes_the_backlog)
{
	struct ft_call call = { .fn = ft_do_connect, .addr = &self->addr };
	int fd[MANY], more[MANY], waiting, n, m;

	n = fill_backlog(&variant->kind, &self->addr, fd, &waiting);
	EXPECT_LE(BACKLOG, n);
	EXPECT_GE(BACKLOG + 1, n);
	ft_close(&waiting);

	/* A larger one lets in who waits already. */
	call.fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, call.fd);
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(0, listen(self->listener, BACKLOG + 4));
	ft_join(&call);
	EXPECT_EQ(0, call.ret);
	m = fill_backlog(&variant->kind, &self->addr, more, &waiting);
	EXPECT_EQ(3, m);
	ft_close(&waiting);
	ft_close(&call.fd);
	while (n > 0)
		ft_close(&fd[--n]);
	while (m > 0)
		ft_close(&more[--m]);
}

TEST_F(backlog, F04_zero_and_negative)
{
	int fd[MANY], waiting, n;

	/* listen(2): at least one may come in, whatever was asked for. */
	ASSERT_EQ(0, listen(self->listener, 0));
	n = fill_backlog(&variant->kind, &self->addr, fd, &waiting);
	EXPECT_EQ(1, n);
	ft_close(&waiting);
	while (n > 0)
		ft_close(&fd[--n]);

	/* The core takes a negative one for the largest there is. */
	ASSERT_EQ(0, listen(self->listener, -1));
	for (n = 0; n < MANY; n++) {
		fd[n] = ft_connect(&variant->kind, &self->addr);
		ASSERT_LE(0, fd[n]);
	}
	while (n > 0)
		ft_close(&fd[--n]);
}

TEST_F(backlog, F04_capped_by_somaxconn)
{
	int fd[MANY], waiting, n, f;
	char old[16] = "";

	/* Per network namespace, and the tests run in one of their own. */
	f = open("/proc/sys/net/core/somaxconn", O_RDWR);
	if (f < 0)
		SKIP(return, "somaxconn cannot be opened: %s", strerror(errno));
	ASSERT_LT(0, read(f, old, sizeof(old) - 1));
	ASSERT_EQ(2, pwrite(f, "3\n", 2, 0));
	ASSERT_EQ(0, listen(self->listener, 1000));
	ASSERT_LT(0, pwrite(f, old, strlen(old), 0));
	ft_close(&f);
	n = fill_backlog(&variant->kind, &self->addr, fd, &waiting);
	EXPECT_LE(3, n);
	EXPECT_GE(4, n);
	ft_close(&waiting);
	while (n > 0)
		ft_close(&fd[--n]);
}

TEST_F(backlog, F04_place_of_the_dead_is_given_back)
{
	int fd[MANY], waiting, b, n, i;

	/* Who queues and leaves keeps the place until accept() sees it. */
	n = fill_backlog(&variant->kind, &self->addr, fd, &waiting);
	ASSERT_LT(0, n);
	ft_close(&waiting);
	for (i = 0; i < n; i++)
		ft_close(&fd[i]);
	for (i = 0; i < n; i++) {
		b = accept(self->listener, NULL, NULL);
		ASSERT_LE(0, b);
		ft_close(&b);
	}
	EXPECT_EQ(n, fill_backlog(&variant->kind, &self->addr, fd, &waiting));
	ft_close(&waiting);
	while (n > 0)
		ft_close(&fd[--n]);
}

TEST_F(backlog, F02_failures_cost_no_place)
{
	int fd[MANY], waiting, b, n, i;

	/* Many that do not get in, then exactly as many that do. */
	n = fill_backlog(&variant->kind, &self->addr, fd, &waiting);
	ASSERT_LT(0, n);
	ft_close(&waiting);
	for (i = 0; i < 4 * BACKLOG; i++) {
		waiting = socket(variant->kind.domain,
				 variant->kind.type | SOCK_NONBLOCK, 0);
		ASSERT_LE(0, waiting);
		EXPECT_EQ(-1, connect(waiting, &self->addr.sa,
				      self->addr.len));
		ft_close(&waiting);
	}
	for (i = 0; i < n; i++) {
		b = accept(self->listener, NULL, NULL);
		ASSERT_LE(0, b);
		ft_close(&b);
		ft_close(&fd[i]);
	}
	ASSERT_LE(0, ft_nonblock(self->listener, true));
	EXPECT_ERR(EAGAIN, accept(self->listener, NULL, NULL));
	EXPECT_EQ(n, fill_backlog(&variant->kind, &self->addr, fd, &waiting));
	ft_close(&waiting);
	while (n > 0)
		ft_close(&fd[--n]);
}

#define SERVERS		2
#define ROUNDS		300

struct greeting {
	pthread_t thread;
	pthread_barrier_t *start;
	const struct ft_kind *kind;
	const struct ft_addr *addr;
	int listener;
	int done;
};

/* Greets one caller a round. */
static void *greet(void *arg)
{
	struct greeting *server = arg;
	int i, fd;

	for (i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(server->start);
		fd = accept(server->listener, NULL, NULL);
		if (fd >= 0 && send(fd, "x", 1, MSG_NOSIGNAL) == 1)
			server->done++;
		ft_close(&fd);
	}
	return NULL;
}

/* Calls once a round and waits to be greeted. */
static void *be_greeted(void *arg)
{
	struct greeting *caller = arg;
	char byte;
	int i, fd;

	for (i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(caller->start);
		fd = ft_connect(caller->kind, caller->addr);
		if (fd >= 0 && ft_poll(fd, POLLIN, FT_LONG_MS) & POLLIN &&
		    recv(fd, &byte, 1, 0) == 1)
			caller->done++;
		else
			/* Whoever waits to accept must not wait for ever. */
			shutdown(caller->listener, SHUT_RDWR);
		ft_close(&fd);
	}
	return NULL;
}

/*
 * Each connection wakes one of those who wait in accept, and not one that has
 * got another already: in a round nobody accepts twice.
 */
TEST_F_TIMEOUT(backlog, F02_every_connection_finds_one_that_accepts, FT_SLOW_S)
{
	struct greeting servers[SERVERS] = {}, callers[SERVERS] = {};
	pthread_barrier_t start;
	int i;

	pthread_barrier_init(&start, NULL, 2 * SERVERS);
	for (i = 0; i < SERVERS; i++) {
		servers[i].start = &start;
		servers[i].listener = self->listener;
		callers[i] = servers[i];
		callers[i].kind = &variant->kind;
		callers[i].addr = &self->addr;
		ASSERT_EQ(0, pthread_create(&servers[i].thread, NULL, greet,
					    &servers[i]));
		ASSERT_EQ(0, pthread_create(&callers[i].thread, NULL,
					    be_greeted, &callers[i]));
	}
	for (i = 0; i < SERVERS; i++) {
		pthread_join(servers[i].thread, NULL);
		pthread_join(callers[i].thread, NULL);
		EXPECT_EQ(ROUNDS, servers[i].done);
		EXPECT_EQ(ROUNDS, callers[i].done);
	}
	pthread_barrier_destroy(&start);
}

/* A connect that cannot finish at once. */

FIXTURE(in_progress)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int listener;
	int fd[MANY];
	int n;
	int waiting;
};

FIXTURE_VARIANT(in_progress)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(in_progress, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(in_progress, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(in_progress, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_SETUP(in_progress)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->listener = ft_listener(&variant->kind, &self->addr, BACKLOG);
	ASSERT_LE(0, self->listener);
	self->n = fill_backlog(&variant->kind, &self->addr, self->fd,
			       &self->waiting);
	ASSERT_LE(1, self->n);
}

FIXTURE_TEARDOWN(in_progress)
{
	while (self->n > 0)
		ft_close(&self->fd[--self->n]);
	ft_close(&self->waiting);
	ft_close(&self->listener);
	FT_NO_LEAK(&self->leak);
}

TEST_F(in_progress, F18_einprogress_then_connected)
{
	int b;

	/* fill_backlog() has seen EINPROGRESS and no POLLOUT. */
	EXPECT_ERR(EALREADY, connect(self->waiting, &self->addr.sa,
				     self->addr.len));
	EXPECT_EQ(0, ft_getint(self->waiting, SO_ERROR));
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	ft_close(&b);
	EXPECT_EQ(POLLOUT, ft_poll(self->waiting, POLLIN | POLLOUT,
				   FT_LONG_MS));
	EXPECT_EQ(0, ft_getint(self->waiting, SO_ERROR));
	if (connect(self->waiting, &self->addr.sa, self->addr.len))
		EXPECT_EQ(EISCONN, errno);
	EXPECT_ERR(EISCONN, connect(self->waiting, &self->addr.sa,
				    self->addr.len));
	EXPECT_TRUE(ft_send_all(self->waiting, 0, 10, 10));
	while (self->n-- > 1) {
		b = accept(self->listener, NULL, NULL);
		ASSERT_LE(0, b);
		ft_close(&b);
		ft_close(&self->fd[self->n]);
	}
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_TRUE(ft_recv_all(b, 0, 10, 10));
	ft_close(&b);
	ft_close(&self->fd[0]);
}

TEST_F(in_progress, E06_failure_is_an_event)
{
	short events;

	ft_close(&self->listener);
	events = ft_poll(self->waiting, POLLIN | POLLOUT, FT_LONG_MS);
	EXPECT_EQ(POLLERR | POLLHUP, events & (POLLERR | POLLHUP));
	EXPECT_EQ(ECONNREFUSED, ft_getint(self->waiting, SO_ERROR));
	EXPECT_EQ(0, ft_getint(self->waiting, SO_ERROR));
	EXPECT_EQ(0, ft_poll(self->waiting, POLLOUT, 0) & POLLERR);
}

TEST_F(in_progress, F16_shutdown_of_the_listener_refuses_the_waiting)
{
	EXPECT_EQ(0, shutdown(self->listener, SHUT_RDWR));
	EXPECT_NE(0, ft_poll(self->waiting, POLLOUT, FT_LONG_MS) & POLLHUP);
	EXPECT_EQ(ECONNREFUSED, ft_getint(self->waiting, SO_ERROR));
}

TEST_F(in_progress, F16_shutdown_gives_up)
{
	int how, b;

	for (how = SHUT_RD; how <= SHUT_RDWR; how++) {
		struct ft_call call = {
			.fn = ft_do_poll, .fd = self->waiting, .events = POLLOUT,
		};

		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		EXPECT_EQ(0, shutdown(self->waiting, how));
		ft_join(&call);
		EXPECT_EQ(POLLERR | POLLHUP,
			  call.revents & (POLLERR | POLLHUP));
		EXPECT_EQ(ECONNRESET, ft_getint(self->waiting, SO_ERROR));
		EXPECT_EQ(0, ft_getint(self->waiting, SO_ERROR));
		EXPECT_ERR(ENOTCONN, getpeername(self->waiting,
						 &(struct sockaddr){ 0 },
						 &(socklen_t){ 0 }));
		/* And may begin again. */
		EXPECT_ERR(EINPROGRESS, connect(self->waiting, &self->addr.sa,
						self->addr.len));
	}
	EXPECT_EQ(0, shutdown(self->waiting, SHUT_RDWR));
	EXPECT_EQ(ECONNRESET, ft_getint(self->waiting, SO_ERROR));
	EXPECT_ERR(ENOTCONN, shutdown(self->waiting, SHUT_RDWR));

	/* Nothing of it is left with the listener. */
	ASSERT_LE(0, ft_nonblock(self->listener, true));
	while (self->n > 0) {
		ASSERT_NE(0, ft_poll(self->listener, POLLIN, FT_LONG_MS));
		b = accept(self->listener, NULL, NULL);
		ASSERT_LE(0, b);
		ft_close(&b);
		ft_close(&self->fd[--self->n]);
	}
	EXPECT_ERR(EAGAIN, accept(self->listener, NULL, NULL));
}

TEST_F(in_progress, F16_shutdown_ends_a_blocked_connect)
{
	struct ft_call call = { .fn = ft_do_connect, .addr = &self->addr };
	int fd = socket(variant->kind.domain, variant->kind.type, 0);

	ASSERT_LE(0, fd);
	call.fd = fd;
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	EXPECT_EQ(0, shutdown(fd, SHUT_WR));
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(ECONNRESET, call.err);
	EXPECT_EQ(0, ft_getint(fd, SO_ERROR));
	ft_close(&fd);
}

/* Waits until the module has @refs references; returns how many it has. */
static long wait_refs(long refs)
{
	int64_t end = ft_now_ms() + FT_LONG_MS;
	long now;

	while ((now = ft_ferry_refs()) != refs && ft_now_ms() < end)
		poll(NULL, 0, 10);
	return now;
}

TEST_F(in_progress, F15_who_waited_keeps_nothing_of_the_listener)
{
	int accepted[MANY], i, fd;
	long refs, per_socket;

	if (variant->kind.domain != AF_FERRY)
		SKIP(return, "counts the family's sockets");
	if (ft_ferry_refs() < 0)
		SKIP(return, "the kernel does not count references");
	refs = ft_ferry_refs();
	fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fd);
	per_socket = ft_ferry_refs() - refs;
	EXPECT_LT(0, per_socket);
	ft_close(&fd);
	ASSERT_EQ(refs, wait_refs(refs));

	/* By poll alone it learns that it is connected. */
	for (i = 0; i <= self->n; i++) {
		accepted[i] = accept(self->listener, NULL, NULL);
		ASSERT_LE(0, accepted[i]);
	}
	EXPECT_EQ(POLLOUT, ft_poll(self->waiting, POLLOUT, FT_LONG_MS));
	refs = ft_ferry_refs();
	ft_close(&self->listener);
	EXPECT_EQ(refs - per_socket, wait_refs(refs - per_socket));
	EXPECT_TRUE(ft_send_all(self->waiting, 0, 10, 10));
	EXPECT_TRUE(ft_recv_all(accepted[self->n], 0, 10, 10));
	for (i = 0; i <= self->n; i++)
		ft_close(&accepted[i]);
}

TEST_F(in_progress, F02_second_connect_fetches_the_failure)
{
	ft_close(&self->listener);
	EXPECT_NE(0, ft_poll(self->waiting, POLLOUT, FT_LONG_MS));
	EXPECT_ERR(ECONNREFUSED, connect(self->waiting, &self->addr.sa,
					 self->addr.len));
}

TEST_F(in_progress, E06_wakes_poll_select_epoll)
{
	ssize_t (*fn[])(struct ft_call *) = {
		ft_do_poll, ft_do_select, ft_do_epoll,
	};
	struct ft_call call[3];
	size_t i;
	int b;

	memset(call, 0, sizeof(call));
	for (i = 0; i < ARRAY_SIZE(fn); i++) {
		call[i].fn = fn[i];
		call[i].fd = self->waiting;
		call[i].events = POLLOUT;
		ASSERT_EQ(0, ft_start(&call[i]));
		ASSERT_TRUE(ft_blocked(&call[i]));
	}
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	ft_close(&b);
	for (i = 0; i < ARRAY_SIZE(fn); i++) {
		ft_join(&call[i]);
		EXPECT_EQ(1, call[i].ret);
		EXPECT_EQ(POLLOUT, call[i].revents);
	}
}

TEST_F(in_progress, F15_close_gives_up)
{
	int b;

	ft_close(&self->waiting);
	while (self->n > 0) {
		b = accept(self->listener, NULL, NULL);
		ASSERT_LE(0, b);
		ft_close(&b);
		ft_close(&self->fd[--self->n]);
	}
	ASSERT_LE(0, ft_nonblock(self->listener, true));
	EXPECT_ERR(EAGAIN, accept(self->listener, NULL, NULL));
}

/* Calls that move data wait until it is known whether they can. */
static const struct {
	ssize_t (*fn)(struct ft_call *call);
	int timeout;
} movers[] = {
	{ ft_do_send, SO_SNDTIMEO },
	{ ft_do_recv, SO_RCVTIMEO },
};

TEST_F(in_progress, F07_data_waits_for_the_connection)
{
	char sent[10], buf[10];
	struct ft_call call[2] = {
		{ .fn = ft_do_send, .fd = self->waiting, .buf = sent, .len = 10 },
		{ .fn = ft_do_recv, .fd = self->waiting, .buf = buf, .len = 10 },
	};
	int b, i;

	ft_pattern(sent, 0, sizeof(sent));
	ASSERT_LE(0, ft_nonblock(self->waiting, false));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ft_start(&call[i]));
		ASSERT_TRUE(ft_blocked(&call[i]));
	}
	for (i = 0; i <= self->n; i++) {
		ASSERT_NE(0, ft_poll(self->listener, POLLIN, FT_LONG_MS));
		b = accept(self->listener, NULL, NULL);
		ASSERT_LE(0, b);
		if (i < self->n)
			ft_close(&b);
	}
	ft_join(&call[0]);
	EXPECT_EQ(10, call[0].ret);
	EXPECT_TRUE(ft_recv_all(b, 0, 10, 10));
	EXPECT_TRUE(ft_send_all(b, 0, 10, 10));
	ft_join(&call[1]);
	EXPECT_EQ(10, call[1].ret);
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 10));
	ft_close(&b);
}

TEST_F(in_progress, F07_data_does_not_wait_for_ever)
{
	char buf[10] = "";
	int64_t start;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(movers); i++) {
		struct ft_call call = {
			.fn = movers[i].fn, .fd = self->waiting, .buf = buf,
			.len = 10,
		};

		EXPECT_ERR(EAGAIN, movers[i].fn(&call));
		ASSERT_LE(0, ft_nonblock(self->waiting, false));
		ASSERT_EQ(0, ft_settimeo(self->waiting, movers[i].timeout, 60));
		start = ft_ticks_ms();
		EXPECT_ERR(EAGAIN, movers[i].fn(&call));
		EXPECT_LE(FT_WAITED(60), ft_now_ms() - start);

		/* What is left of the time, and a signal ends it. */
		ASSERT_EQ(0, ft_catch(SIGUSR1, 0));
		ASSERT_EQ(0, ft_settimeo(self->waiting, movers[i].timeout,
					 600000));
		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		pthread_kill(call.thread, SIGUSR1);
		ft_join(&call);
		EXPECT_EQ(-1, call.ret);
		EXPECT_EQ(EINTR, call.err);
		ASSERT_LE(0, ft_nonblock(self->waiting, true));
	}
}

TEST_F(in_progress, F07_data_learns_of_the_failure)
{
	char buf[10] = "";
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->waiting, .buf = buf, .len = 10,
		.flags = MSG_NOSIGNAL,
	};

	ASSERT_LE(0, ft_nonblock(self->waiting, false));
	/* Some of the time is left when the connection fails. */
	ASSERT_EQ(0, ft_settimeo(self->waiting, SO_SNDTIMEO, 600000));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ft_close(&self->listener);
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(ECONNREFUSED, call.err);
}

TEST_F(in_progress, O33_sndtimeo_ends_a_connect)
{
	int64_t start;
	int fd;

	fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ft_settimeo(fd, SO_SNDTIMEO, 60));
	start = ft_ticks_ms();
	EXPECT_ERR(EINPROGRESS, connect(fd, &self->addr.sa, self->addr.len));
	EXPECT_LE(FT_WAITED(60), ft_now_ms() - start);
	EXPECT_ERR(EALREADY, connect(fd, &self->addr.sa, self->addr.len));
	ft_close(&fd);
}

/*
 * A design decision of AF_FERRY alone: a uid other than root and the
 * listener's own gets at most half of the backlog.
 */

FIXTURE(quota)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int listener;
};

FIXTURE_VARIANT(quota)
{
	struct ft_kind kind;
	int backlog;
};

FIXTURE_VARIANT_ADD(quota, FERRY_stream_8)
{
	.kind = { AF_FERRY, SOCK_STREAM },
	.backlog = 8,
};

FIXTURE_VARIANT_ADD(quota, FERRY_seqpacket_8)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
	.backlog = 8,
};

FIXTURE_VARIANT_ADD(quota, FERRY_stream_1)
{
	.kind = { AF_FERRY, SOCK_STREAM },
	.backlog = 1,
};

FIXTURE_SETUP(quota)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	if (geteuid())
		SKIP(return, "needs root to become somebody else");
	ft_leak_start(&self->leak, variant->kind.domain);
	/* The mode of a name is 0666 without the umask. */
	umask(0);
	self->listener = ft_listener(&variant->kind, &self->addr,
				     variant->backlog);
	ASSERT_LE(0, self->listener);
}

FIXTURE_TEARDOWN(quota)
{
	ft_close(&self->listener);
	FT_NO_LEAK(&self->leak);
}

TEST_F(quota, F04_one_uid_gets_half_of_a_backlog)
{
	struct ft_child child;
	int fd[MANY], waiting, n;
	int most = variant->backlog / 2;

	if (most < 1)
		most = 1;
	if (!ft_fork(&child)) {
		n = ft_become(65534, 65534) ?
		    fill_backlog(&variant->kind, &self->addr, fd, &waiting) :
		    -1;
		ft_say(&child, n >= 1 && n <= most ? "half" : "more");
		ft_expect(&child, "go");
		_exit(0);
	}
	EXPECT_TRUE(ft_expect(&child, "half"));
	/* Who owns the listener still gets in. */
	if (variant->backlog > 1) {
		fd[0] = ft_connect(&variant->kind, &self->addr);
		EXPECT_LE(0, fd[0]);
		ft_close(&fd[0]);
	}
	EXPECT_TRUE(ft_say(&child, "go"));
	EXPECT_EQ(0, ft_wait_child(&child));
}

/* @n sockets of somebody else that have to wait, in a child that says so. */
static pid_t waiters(struct ft_child *child, const struct ft_kind *kind,
		     const struct ft_addr *addr, int n)
{
	pid_t pid = ft_fork(child);
	int waiting = 0, s;

	if (pid)
		return pid;
	if (!ft_become(65534, 65534))
		_exit(1);
	while (waiting < n) {
		s = socket(kind->domain, kind->type | SOCK_NONBLOCK, 0);
		if (s < 0)
			_exit(1);
		if (!connect(s, &addr->sa, addr->len))
			continue;
		if (errno != EINPROGRESS)
			_exit(1);
		waiting++;
	}
	ft_say(child, "waiting");
	ft_expect(child, "go");
	_exit(0);
}

/* Those with their share already do not stand in the way of others. */
TEST_F(quota, F04_who_has_its_share_is_passed_over)
{
	/* More than are passed over with one place. */
	static const int crowd[] = { 1, 20 };
	struct ft_child child;
	int first[2], own[MANY], b, waiting, n;
	size_t i;

	if (variant->backlog < 8)
		SKIP(return, "too few places");
	for (i = 0; i < ARRAY_SIZE(crowd); i++) {
		first[0] = ft_connect(&variant->kind, &self->addr);
		ASSERT_LE(0, first[0]);
		first[1] = ft_connect(&variant->kind, &self->addr);
		ASSERT_LE(0, first[1]);
		ASSERT_LT(0, waiters(&child, &variant->kind, &self->addr,
				     crowd[i]));
		ASSERT_TRUE(ft_expect(&child, "waiting"));
		n = fill_backlog(&variant->kind, &self->addr, own, &waiting);
		ASSERT_LE(0, n);
		EXPECT_EQ(0, ft_poll(waiting, POLLOUT, 0) & POLLOUT);
		b = accept(self->listener, NULL, NULL);
		ASSERT_LE(0, b);
		ft_close(&b);
		/* At least the second time all who hold their share are behind. */
		if (crowd[i] > 1) {
			b = accept(self->listener, NULL, NULL);
			ASSERT_LE(0, b);
			ft_close(&b);
		}
		EXPECT_EQ(POLLOUT, ft_poll(waiting, POLLOUT, 0) & POLLOUT);
		ft_say(&child, "go");
		EXPECT_EQ(0, ft_wait_child(&child));
		ft_close(&first[0]);
		ft_close(&first[1]);
		ft_close(&waiting);
		while (n > 0)
			ft_close(&own[--n]);
		/* What the ends that are gone have left behind. */
		ASSERT_LE(0, ft_nonblock(self->listener, true));
		while ((b = accept(self->listener, NULL, NULL)) >= 0)
			ft_close(&b);
	}
}

TEST_F(quota, F04_the_owner_gets_all_of_it)
{
	int fd[MANY], waiting, n;

	n = fill_backlog(&variant->kind, &self->addr, fd, &waiting);
	EXPECT_LE(variant->backlog, n);
	ft_close(&waiting);
	while (n > 0)
		ft_close(&fd[--n]);
}

FT_HARNESS_MAIN
