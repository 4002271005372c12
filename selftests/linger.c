// SPDX-License-Identifier: GPL-2.0
/*
 * SO_LINGER. O18.
 *
 * AF_UNIX ignores it; TCP waits for the other machine, not for its reader.
 */

#include "ferry_test.h"
#include "kselftest_harness.h"

static int set_linger(int fd, int on, int seconds)
{
	struct linger linger = { .l_onoff = on, .l_linger = seconds };

	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static ssize_t do_close(struct ft_call *call)
{
	return close(call->fd);
}

static ssize_t do_shutdown(struct ft_call *call)
{
	return shutdown(call->fd, call->flags);
}

#define LINGER_SETUP()							\
do {									\
	FT_NEED(variant->kind.domain, variant->kind.type);		\
	ft_leak_start(&self->leak, variant->kind.domain);		\
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));	\
} while (0)

#define LINGER_TEARDOWN()						\
do {									\
	ft_close(&self->a);						\
	ft_close(&self->b);						\
	FT_NO_LEAK(&self->leak);					\
} while (0)

/* Families that have the option. */

FIXTURE(lingering)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(lingering)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(lingering, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(lingering, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(lingering, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM, FT_CONN },
};

FIXTURE_SETUP(lingering)
{
	LINGER_SETUP();
}

FIXTURE_TEARDOWN(lingering)
{
	LINGER_TEARDOWN();
}

TEST_F(lingering, O18_round_trip)
{
	struct linger back = { 7, 7 };
	socklen_t len = sizeof(back);

	ASSERT_EQ(0, getsockopt(self->a, SOL_SOCKET, SO_LINGER, &back, &len));
	EXPECT_EQ(0, back.l_onoff);
	EXPECT_EQ(sizeof(back), len);
	ASSERT_EQ(0, set_linger(self->a, 5, 12));
	ASSERT_EQ(0, getsockopt(self->a, SOL_SOCKET, SO_LINGER, &back, &len));
	EXPECT_EQ(1, back.l_onoff);
	EXPECT_EQ(12, back.l_linger);
	EXPECT_ERR(EINVAL, setsockopt(self->a, SOL_SOCKET, SO_LINGER, &back,
				      sizeof(int)));
	EXPECT_ERR(EINVAL, setsockopt(self->a, SOL_SOCKET, SO_LINGER, &back,
				      1));
	EXPECT_ERR(EFAULT, setsockopt(self->a, SOL_SOCKET, SO_LINGER, FT_WILD,
				      sizeof(back)));
	ASSERT_EQ(0, set_linger(self->a, 0, 3));
	ASSERT_EQ(0, getsockopt(self->a, SOL_SOCKET, SO_LINGER, &back, &len));
	EXPECT_EQ(0, back.l_onoff);
	len = sizeof(int);
	ASSERT_EQ(0, getsockopt(self->a, SOL_SOCKET, SO_LINGER, &back, &len));
	EXPECT_EQ(sizeof(int), len);
}

TEST_F(lingering, O18_zero_resets_the_peer)
{
	char buf[16];

	ASSERT_EQ(0, set_linger(self->a, 1, 0));
	ft_close(&self->a);
	EXPECT_NE(0, POLLHUP & ft_poll(self->b, POLLIN, FT_LONG_MS));
	EXPECT_ERR(ECONNRESET, recv(self->b, buf, sizeof(buf), 0));
	/* Told once. */
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
}

TEST_F(lingering, O18_off_does_not_reset)
{
	char buf[16];

	ASSERT_EQ(0, set_linger(self->a, 0, 0));
	ft_close(&self->a);
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
}

TEST_F(lingering, O18_nothing_unread_does_not_wait)
{
	char buf[16];

	ASSERT_EQ(0, set_linger(self->a, 1, 600));
	ASSERT_EQ(4, send(self->a, "ping", 4, 0));
	ASSERT_EQ(4, recv(self->b, buf, sizeof(buf), 0));
	/* Else the test runs out of time. */
	ft_close(&self->a);
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
}

/* AF_FERRY alone: the wait is for the reader. */

FIXTURE(linger)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(linger)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(linger, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(linger, FERRY_stream_pair)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(linger, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_SETUP(linger)
{
	LINGER_SETUP();
}

FIXTURE_TEARDOWN(linger)
{
	LINGER_TEARDOWN();
}

TEST_F(linger, O18_close_waits_for_the_reader)
{
	struct ft_call call = { .fn = do_close, .fd = self->a };
	char buf[16];

	ASSERT_EQ(0, set_linger(self->a, 1, 600));
	ASSERT_EQ(4, send(self->a, "ping", 4, 0));
	ASSERT_EQ(4, send(self->a, "pong", 4, 0));
	self->a = -1;
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(4, recv(self->b, buf, 4, MSG_PEEK));
	ASSERT_EQ(4, recv(self->b, buf, 4, 0));
	EXPECT_TRUE(ft_blocked(&call));
	ASSERT_EQ(4, recv(self->b, buf, 4, 0));
	EXPECT_EQ(0, memcmp(buf, "pong", 4));
	ft_join(&call);
	EXPECT_EQ(0, call.ret);
	EXPECT_EQ(0, recv(self->b, buf, 4, 0));
}

TEST_F(linger, O18_off_close_does_not_wait)
{
	char buf[16];

	ASSERT_EQ(0, set_linger(self->a, 0, 600));
	ASSERT_EQ(4, send(self->a, "ping", 4, 0));
	ft_close(&self->a);
	ASSERT_EQ(4, recv(self->b, buf, 16, 0));
	EXPECT_EQ(0, recv(self->b, buf, 16, 0));
}

TEST_F(linger, O18_an_empty_record_is_waited_for)
{
	struct ft_call call = { .fn = do_close, .fd = self->a };
	char buf[16];

	if (variant->kind.type == SOCK_STREAM)
		SKIP(return, "a stream has no records");
	ASSERT_EQ(0, set_linger(self->a, 1, 600));
	ASSERT_EQ(0, send(self->a, "", 0, 0));
	self->a = -1;
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(0, recv(self->b, buf, 16, 0));
	ft_join(&call);
	EXPECT_EQ(0, call.ret);
}

TEST_F(linger, O18_until_the_reader_closes)
{
	struct ft_call call = { .fn = do_close, .fd = self->a };

	ASSERT_EQ(0, set_linger(self->a, 1, 600));
	ASSERT_EQ(4, send(self->a, "ping", 4, 0));
	self->a = -1;
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ft_close(&self->b);
	ft_join(&call);
	EXPECT_EQ(0, call.ret);
}

TEST_F(linger, O18_until_the_time_is_over)
{
	int64_t start = ft_ticks_ms();
	char buf[16];

	ASSERT_EQ(0, set_linger(self->a, 1, 1));
	ASSERT_EQ(4, send(self->a, "ping", 4, 0));
	ft_close(&self->a);
	EXPECT_LE(FT_WAITED(1000), ft_now_ms() - start);
	/* The rest goes on in the background. */
	EXPECT_EQ(4, recv(self->b, buf, 16, 0));
	EXPECT_EQ(0, recv(self->b, buf, 16, 0));
}

TEST_F(linger, O18_until_a_signal)
{
	struct ft_call call = { .fn = do_close, .fd = self->a };
	char buf[16];

	ASSERT_EQ(0, ft_catch(SIGUSR1, 0));
	ASSERT_EQ(0, set_linger(self->a, 1, 600));
	ASSERT_EQ(4, send(self->a, "ping", 4, 0));
	self->a = -1;
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	pthread_kill(call.thread, SIGUSR1);
	ft_join(&call);
	EXPECT_EQ(0, call.ret);
	EXPECT_EQ(4, recv(self->b, buf, 16, 0));
	EXPECT_EQ(0, recv(self->b, buf, 16, 0));
}

TEST_F(linger, O18_shutdown_waits_too)
{
	struct ft_call call = {
		.fn = do_shutdown, .fd = self->a, .flags = SHUT_WR,
	};
	char buf[16];

	ASSERT_EQ(0, set_linger(self->a, 1, 600));
	ASSERT_EQ(4, send(self->a, "ping", 4, 0));
	/* Not for the other direction. */
	ASSERT_EQ(0, shutdown(self->a, SHUT_RD));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(4, recv(self->b, buf, 16, 0));
	ft_join(&call);
	EXPECT_EQ(0, call.ret);
	EXPECT_EQ(0, recv(self->b, buf, 16, 0));
}

TEST_F(linger, O18_shutdown_with_zero_neither_waits_nor_resets)
{
	char buf[16];

	ASSERT_EQ(0, set_linger(self->a, 1, 0));
	ASSERT_EQ(4, send(self->a, "ping", 4, 0));
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_EQ(4, recv(self->b, buf, 16, 0));
	EXPECT_EQ(0, recv(self->b, buf, 16, 0));
}

TEST_F(linger, O18_zero_leaves_what_was_sent)
{
	char buf[16];

	ASSERT_EQ(0, set_linger(self->a, 1, 0));
	ASSERT_EQ(4, send(self->a, "ping", 4, 0));
	ft_close(&self->a);
	EXPECT_EQ(4, recv(self->b, buf, 16, 0));
	EXPECT_ERR(ECONNRESET, recv(self->b, buf, 16, 0));
	EXPECT_EQ(0, recv(self->b, buf, 16, 0));
}

TEST_F(linger, O18_exit_does_not_wait)
{
	struct ft_child child;
	char buf[16];

	ASSERT_EQ(0, set_linger(self->a, 1, 600));
	ASSERT_EQ(4, send(self->a, "ping", 4, 0));
	if (!ft_fork(&child)) {
		/* The last to hold it, after the parent has closed it. */
		ft_close(&self->b);
		_exit(ft_expect(&child, "go") ? 0 : 1);
	}
	ft_close(&self->a);
	ASSERT_TRUE(ft_say(&child, "go"));
	EXPECT_EQ(0, ft_wait_child(&child));
	EXPECT_EQ(4, recv(self->b, buf, 16, 0));
	EXPECT_EQ(0, recv(self->b, buf, 16, 0));
}

TEST_F(linger, O18_only_the_last_close_waits)
{
	char buf[16];
	int copy = dup(self->a);

	ASSERT_EQ(0, set_linger(self->a, 1, 600));
	ASSERT_EQ(4, send(self->a, "ping", 4, 0));
	ft_close(&copy);
	EXPECT_EQ(4, recv(self->b, buf, 16, 0));
}

TEST_F(linger, O18_until_the_listener_closes)
{
	struct ft_call call = { .fn = do_close };
	struct ft_addr addr;
	int listener;

	listener = ft_listener(&variant->kind, &addr, 4);
	ASSERT_LE(0, listener);
	call.fd = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, call.fd);
	ASSERT_EQ(0, set_linger(call.fd, 1, 600));
	ASSERT_EQ(4, send(call.fd, "ping", 4, 0));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ft_close(&listener);
	ft_join(&call);
	EXPECT_EQ(0, call.ret);
}

FT_HARNESS_MAIN
