// SPDX-License-Identifier: GPL-2.0
/*
 * SIGPIPE, and signals that interrupt. S01, S02, X06.
 *
 * Every blocking call is interrupted once with SA_RESTART, where it must go on
 * waiting and then succeed, and once without, where it must end with EINTR; a
 * call that has moved bytes says how many instead.
 */

#include "record_fixture.h"
#include "stream_fixture.h"

struct writer {
	const char *name;
	ssize_t (*fn)(struct ft_call *call);
};

static ssize_t do_sendmmsg(struct ft_call *call)
{
	struct iovec iov = { call->buf, call->len };
	struct mmsghdr msg = {
		.msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 },
	};

	return sendmmsg(call->fd, &msg, 1, call->flags);
}

static const struct writer writers[] = {
	{ "send", ft_do_send },
	{ "sendmsg", ft_do_sendmsg },
	{ "sendmmsg", do_sendmmsg },
	{ "write", ft_do_write },
	{ "writev", ft_do_writev },
};

static const struct writer readers[] = {
	{ "recv", ft_do_recv },
	{ "recvmsg", ft_do_recvmsg },
	{ "read", ft_do_read },
	{ "readv", ft_do_readv },
};

/* Has the kernel of @fd know that the other end is gone. */
static void let_it_break(int fd)
{
	/* TCP needs a write to be told; nobody counts its SIGPIPE. */
	if (ft_getint(fd, SO_DOMAIN) == AF_INET &&
	    !(ft_poll(fd, 0, 0) & POLLHUP))
		send(fd, "x", 1, MSG_NOSIGNAL);
	ft_poll(fd, 0, FT_LONG_MS);
}

TEST_F(stream, S01_peer_closed)
{
	struct ft_call call = { .fd = self->a, .buf = "x", .len = 1 };
	size_t i;

	ASSERT_EQ(0, ft_catch(SIGPIPE, 0));
	ft_close(&self->b);
	let_it_break(self->a);
	for (i = 0; i < ARRAY_SIZE(writers); i++) {
		ft_signals_reset();
		EXPECT_ERR(EPIPE, writers[i].fn(&call)) {
			TH_LOG("%s", writers[i].name);
		}
		EXPECT_EQ(1, ft_signals()) {
			TH_LOG("%s", writers[i].name);
		}
	}
}

TEST_F(stream, S01_own_shutdown)
{
	struct ft_call call = { .fd = self->a, .buf = "x", .len = 1 };
	size_t i;

	ASSERT_EQ(0, ft_catch(SIGPIPE, 0));
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	for (i = 0; i < ARRAY_SIZE(writers); i++) {
		ft_signals_reset();
		EXPECT_ERR(EPIPE, writers[i].fn(&call)) {
			TH_LOG("%s", writers[i].name);
		}
		EXPECT_EQ(1, ft_signals());
	}
}

TEST_F(local_stream, S01_peer_shut_down_reading)
{
	ASSERT_EQ(0, ft_catch(SIGPIPE, 0));
	ASSERT_EQ(0, shutdown(self->b, SHUT_RD));
	EXPECT_ERR(EPIPE, write(self->a, "x", 1));
	EXPECT_EQ(1, ft_signals());
}

TEST_F(stream, S01_kills_by_default)
{
	struct ft_child child;
	int status;

	if (!ft_fork(&child)) {
		signal(SIGPIPE, SIG_DFL);
		shutdown(self->a, SHUT_WR);
		send(self->a, "x", 1, 0);
		_exit(0);
	}
	ft_close(&child.in);
	ft_close(&child.out);
	ASSERT_EQ(child.pid, waitpid(child.pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

TEST_F(stream, S02_no_signal_wanted)
{
	struct ft_call call = {
		.fd = self->a, .buf = "x", .len = 1, .flags = MSG_NOSIGNAL,
	};
	size_t i;

	ASSERT_EQ(0, ft_catch(SIGPIPE, 0));
	ft_close(&self->b);
	let_it_break(self->a);
	for (i = 0; i < 3; i++) {
		EXPECT_ERR(EPIPE, writers[i].fn(&call)) {
			TH_LOG("%s", writers[i].name);
		}
	}
	EXPECT_EQ(0, ft_signals());
}

TEST_F(stream, S02_own_shutdown)
{
	ASSERT_EQ(0, ft_catch(SIGPIPE, 0));
	ASSERT_EQ(0, shutdown(self->a, SHUT_RDWR));
	EXPECT_ERR(EPIPE, send(self->a, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(0, ft_signals());
}

TEST_F(stream, S01_partial_count_first)
{
	struct ft_call call = { .fn = ft_do_send, .fd = self->a };

	/* A writer that waits when the reader goes: first the count, then it. */
	ASSERT_EQ(0, ft_catch(SIGPIPE, 0));
	ft_shrink(self->a, self->b);
	call.len = 1 << 20;
	call.buf = malloc(call.len);
	ASSERT_NE(NULL, call.buf);
	ft_pattern(call.buf, 0, call.len);
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_TRUE(ft_recv_all(self->b, 0, 3000, 3000));
	ft_close(&self->b);
	ft_join(&call);
	EXPECT_LE(3000, call.ret);
	EXPECT_GT(1 << 20, call.ret);
	EXPECT_EQ(0, ft_signals());

	/* The reset is told once (AF_UNIX: not to writers), then the pipe. */
	if (variant->kind.domain != AF_UNIX)
		EXPECT_ERR(ECONNRESET, write(self->a, "x", 1));
	EXPECT_ERR(EPIPE, write(self->a, "x", 1));
	EXPECT_EQ(1, ft_signals());
	free(call.buf);
}

/* Interrupts @call, which sleeps, and waits until the handler has run. */
static void interrupt(struct ft_call *call)
{
	int before = ft_signals();

	pthread_kill(call->thread, SIGUSR1);
	while (ft_signals() == before)
		sched_yield();
}

/* A signal ends every way to receive from @fd. */
static void receive_eintr(struct __test_metadata *_metadata, int fd)
{
	char buf[16];
	size_t i;

	ASSERT_EQ(0, ft_catch(SIGUSR1, 0));
	for (i = 0; i < ARRAY_SIZE(readers); i++) {
		struct ft_call call = {
			.fn = readers[i].fn, .fd = fd, .buf = buf,
			.len = sizeof(buf),
		};

		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		interrupt(&call);
		ft_join(&call);
		EXPECT_EQ(-1, call.ret);
		EXPECT_EQ(EINTR, call.err) {
			TH_LOG("%s", readers[i].name);
		}
	}
}

/* Unless it is to be restarted: then it goes on, here with what comes from @from. */
static void receive_restarts(struct __test_metadata *_metadata, int from, int fd)
{
	char buf[16];
	size_t i;

	ASSERT_EQ(0, ft_catch(SIGUSR1, SA_RESTART));
	for (i = 0; i < ARRAY_SIZE(readers); i++) {
		struct ft_call call = {
			.fn = readers[i].fn, .fd = fd, .buf = buf,
			.len = sizeof(buf),
		};

		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		interrupt(&call);
		ASSERT_TRUE(ft_blocked(&call)) {
			TH_LOG("%s returned", readers[i].name);
		}
		ASSERT_TRUE(ft_send_all(from, 0, 5, 5));
		ft_join(&call);
		EXPECT_EQ(5, call.ret);
	}
}

TEST_F(stream, X06_receive_eintr)
{
	receive_eintr(_metadata, self->b);
	ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 5, 5));
}

TEST_F(stream, X06_receive_restarts)
{
	receive_restarts(_metadata, self->a, self->b);
}

TEST_F(stream, X06_receive_with_a_timeout_is_not_restarted)
{
	char buf[16];
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = buf,
		.len = sizeof(buf),
	};

	ASSERT_EQ(0, ft_catch(SIGUSR1, SA_RESTART));
	ASSERT_EQ(0, ft_settimeo(self->b, SO_RCVTIMEO, 600000));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	interrupt(&call);
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(EINTR, call.err);
}

TEST_F(stream, X06_receive_keeps_the_partial_count)
{
	static const int flags[] = { 0, SA_RESTART };
	char buf[16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		struct ft_call call = {
			.fn = ft_do_recv, .fd = self->b, .buf = buf,
			.len = sizeof(buf), .flags = MSG_WAITALL,
		};

		ASSERT_EQ(0, ft_catch(SIGUSR1, flags[i]));
		ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
		ASSERT_TRUE(ft_wait_inq(self->b, 5));
		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		interrupt(&call);
		ft_join(&call);
		EXPECT_EQ(5, call.ret);
		EXPECT_TRUE(ft_pattern_ok(buf, 0, 5));
	}
}

TEST_F(stream, X06_send_eintr)
{
	char buf[16];
	ssize_t n;
	size_t i;

	ASSERT_EQ(0, ft_catch(SIGUSR1, 0));
	ft_shrink(self->a, self->b);
	n = ft_fill(self->a, 0, 4096);
	ASSERT_LT(0, n);
	ft_pattern(buf, n, sizeof(buf));
	for (i = 0; i < ARRAY_SIZE(writers); i++) {
		struct ft_call call = {
			.fn = writers[i].fn, .fd = self->a, .buf = buf,
			.len = sizeof(buf),
		};

		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		interrupt(&call);
		ft_join(&call);
		EXPECT_EQ(-1, call.ret);
		EXPECT_EQ(EINTR, call.err) {
			TH_LOG("%s", writers[i].name);
		}
	}
	/* None of those bytes went out. */
	EXPECT_TRUE(ft_recv_all(self->b, 0, n, 10000));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
}

TEST_F(stream, X06_send_restarts)
{
	uint64_t at = 0;
	char buf[16];
	ssize_t n;
	size_t i;

	ASSERT_EQ(0, ft_catch(SIGUSR1, SA_RESTART));
	ft_shrink(self->a, self->b);
	for (i = 0; i < ARRAY_SIZE(writers); i++) {
		struct ft_call call = {
			.fn = writers[i].fn, .fd = self->a, .buf = buf,
			.len = sizeof(buf),
		};

		n = ft_fill(self->a, at, 4096);
		ASSERT_LT(0, n);
		ft_pattern(buf, at + n, sizeof(buf));
		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		interrupt(&call);
		ASSERT_TRUE(ft_blocked(&call)) {
			TH_LOG("%s returned", writers[i].name);
		}
		ASSERT_TRUE(ft_recv_all(self->b, at, n + sizeof(buf), 10000));
		at += n + sizeof(buf);
		ft_join(&call);
		EXPECT_EQ(call.fn == do_sendmmsg ? 1 : sizeof(buf), call.ret);
	}
}

TEST_F(stream, X06_send_keeps_the_partial_count)
{
	static const int flags[] = { 0, SA_RESTART };
	uint64_t at = 0;
	size_t i;

	ft_shrink(self->a, self->b);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		struct ft_call call = {
			.fn = ft_do_send, .fd = self->a, .len = 1 << 20,
		};

		call.buf = malloc(call.len);
		ASSERT_NE(NULL, call.buf);
		ft_pattern(call.buf, at, call.len);
		ASSERT_EQ(0, ft_catch(SIGUSR1, flags[i]));
		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		interrupt(&call);
		ft_join(&call);
		ASSERT_LT(0, call.ret);
		EXPECT_GT(1 << 20, call.ret);
		EXPECT_TRUE(ft_recv_all(self->b, at, call.ret, 10000));
		EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
		at += call.ret;
		free(call.buf);
	}
}

TEST_F(stream, X06_waiting_for_events_is_never_restarted)
{
	static const struct writer waits[] = {
		{ "poll", ft_do_poll },
		{ "select", ft_do_select },
		{ "epoll_wait", ft_do_epoll },
	};
	size_t i;

	ASSERT_EQ(0, ft_catch(SIGUSR1, SA_RESTART));
	for (i = 0; i < ARRAY_SIZE(waits); i++) {
		struct ft_call call = {
			.fn = waits[i].fn, .fd = self->b, .events = POLLIN,
		};

		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		interrupt(&call);
		ft_join(&call);
		EXPECT_EQ(-1, call.ret);
		/* epoll's helper closes a descriptor on its way out. */
		EXPECT_EQ(EINTR, call.err) {
			TH_LOG("%s", waits[i].name);
		}
	}
}

/* The same for records. */

TEST_F(record, X06_receive_eintr)
{
	receive_eintr(_metadata, self->b);
	ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
	EXPECT_TRUE(record_next(self->b, 0, 5));
}

TEST_F(record, X06_receive_restarts)
{
	receive_restarts(_metadata, self->a, self->b);
}

/* UDP drops in place of waiting. */
TEST_F(local_record, X06_send_eintr)
{
	char buf[16];
	size_t i;
	int n;

	ASSERT_EQ(0, ft_catch(SIGUSR1, 0));
	ft_shrink(self->a, self->b);
	n = record_fill(self->a, 2000);
	ASSERT_LT(0, n);
	ft_pattern(buf, n, sizeof(buf));
	for (i = 0; i < ARRAY_SIZE(writers); i++) {
		struct ft_call call = {
			.fn = writers[i].fn, .fd = self->a, .buf = buf,
			.len = sizeof(buf),
		};

		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		interrupt(&call);
		ft_join(&call);
		EXPECT_EQ(-1, call.ret);
		EXPECT_EQ(EINTR, call.err) {
			TH_LOG("%s", writers[i].name);
		}
	}
	/* None of them went out. */
	for (i = 0; i < n; i++)
		EXPECT_TRUE(record_next(self->b, i, 2000));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
}

TEST_F(local_record, X06_send_restarts)
{
	char buf[16];
	size_t i;
	int j, n;

	ASSERT_EQ(0, ft_catch(SIGUSR1, SA_RESTART));
	ft_shrink(self->a, self->b);
	for (i = 0; i < ARRAY_SIZE(writers); i++) {
		struct ft_call call = {
			.fn = writers[i].fn, .fd = self->a, .buf = buf,
			.len = sizeof(buf),
		};

		n = record_fill(self->a, 2000);
		ASSERT_LT(0, n);
		ft_pattern(buf, 7, sizeof(buf));
		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		interrupt(&call);
		ASSERT_TRUE(ft_blocked(&call)) {
			TH_LOG("%s returned", writers[i].name);
		}
		for (j = 0; j < n; j++)
			ASSERT_TRUE(record_next(self->b, j, 2000));
		ASSERT_TRUE(record_next(self->b, 7, sizeof(buf)));
		ft_join(&call);
		EXPECT_EQ(call.fn == do_sendmmsg ? 1 : sizeof(buf), call.ret);
	}
}

/* accept and connect. */

FIXTURE(caller)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int listener;
};

FIXTURE_VARIANT(caller)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(caller, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(caller, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(caller, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(caller, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_SETUP(caller)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->listener = ft_listener(&variant->kind, &self->addr, 0);
	ASSERT_LE(0, self->listener);
}

FIXTURE_TEARDOWN(caller)
{
	ft_close(&self->listener);
	FT_NO_LEAK(&self->leak);
}

TEST_F(caller, X06_accept_eintr)
{
	struct ft_call call = { .fn = ft_do_accept, .fd = self->listener };

	ASSERT_EQ(0, ft_catch(SIGUSR1, 0));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	interrupt(&call);
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(EINTR, call.err);
}

TEST_F(caller, X06_accept_restarts)
{
	struct ft_call call = { .fn = ft_do_accept, .fd = self->listener };
	int a, b;

	ASSERT_EQ(0, ft_catch(SIGUSR1, SA_RESTART));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	interrupt(&call);
	ASSERT_TRUE(ft_blocked(&call));
	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	ft_join(&call);
	ASSERT_LE(0, call.ret);
	b = call.ret;
	ft_close(&a);
	ft_close(&b);
}

TEST_F(caller, X06_connect_restarts)
{
	struct ft_call call = { .fn = ft_do_connect, .addr = &self->addr };
	int first, b;

	ASSERT_EQ(0, ft_catch(SIGUSR1, SA_RESTART));
	first = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, first);
	call.fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, call.fd);
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	interrupt(&call);
	ASSERT_TRUE(ft_blocked(&call));
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	ft_close(&b);
	ft_join(&call);
	EXPECT_EQ(0, call.ret);

	/* One connection came of it, not two. */
	ASSERT_NE(0, ft_poll(self->listener, POLLIN, FT_LONG_MS));
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_TRUE(ft_send_all(call.fd, 0, 5, 5));
	EXPECT_TRUE(ft_recv_all(b, 0, 5, 5));
	ft_close(&b);
	ASSERT_LE(0, ft_nonblock(self->listener, true));
	EXPECT_ERR(EAGAIN, accept(self->listener, NULL, NULL));
	ft_close(&call.fd);
	ft_close(&first);
}

TEST_F(caller, X06_connect_eintr)
{
	struct ft_call call = { .fn = ft_do_connect, .addr = &self->addr };
	int first, b, ret;

	ASSERT_EQ(0, ft_catch(SIGUSR1, 0));
	first = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, first);
	call.fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, call.fd);
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	interrupt(&call);
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(EINTR, call.err);

	/*
	 * POSIX: it goes on by itself. AF_UNIX gives up. Either way the next
	 * call leads to one connection.
	 */
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	ft_close(&b);
	ret = connect(call.fd, &self->addr.sa, self->addr.len);
	if (ret)
		EXPECT_TRUE(errno == EISCONN || errno == EALREADY);
	EXPECT_NE(0, ft_poll(call.fd, POLLOUT, FT_LONG_MS) & POLLOUT);
	EXPECT_EQ(0, ft_getint(call.fd, SO_ERROR));
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_TRUE(ft_send_all(call.fd, 0, 5, 5));
	EXPECT_TRUE(ft_recv_all(b, 0, 5, 5));
	ft_close(&b);
	ASSERT_LE(0, ft_nonblock(self->listener, true));
	EXPECT_ERR(EAGAIN, accept(self->listener, NULL, NULL));
	ft_close(&call.fd);
	ft_close(&first);
}

FT_HARNESS_MAIN
