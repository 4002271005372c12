// SPDX-License-Identifier: GPL-2.0
/* SO_RCVTIMEO and SO_SNDTIMEO. O32, O33; connect's is in backlog.c. */

#include "stream_fixture.h"

#define SHORT_MS	60

/* Whether a call that began at @start took its time instead of failing at once. */
static bool long_enough(int64_t start)
{
	return ft_now_ms() - start >= FT_WAITED(SHORT_MS);
}

TEST_F(stream, O32_get_and_set)
{
	static const int options[] = { SO_RCVTIMEO, SO_SNDTIMEO };
	struct timeval tv, bad;
	socklen_t len;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		len = sizeof(tv);
		memset(&tv, 0xff, sizeof(tv));
		ASSERT_EQ(0, getsockopt(self->a, SOL_SOCKET, options[i], &tv,
					&len));
		EXPECT_EQ(sizeof(tv), len);
		EXPECT_EQ(0, tv.tv_sec);
		EXPECT_EQ(0, tv.tv_usec);

		ASSERT_EQ(0, ft_settimeo(self->a, options[i], 2500));
		ASSERT_EQ(0, getsockopt(self->a, SOL_SOCKET, options[i], &tv,
					&len));
		EXPECT_EQ(2, tv.tv_sec);
		EXPECT_EQ(500000, tv.tv_usec);

		bad = (struct timeval){ .tv_usec = 1000000 };
		EXPECT_ERR(EDOM, setsockopt(self->a, SOL_SOCKET, options[i],
					    &bad, sizeof(bad)));
		bad = (struct timeval){ .tv_usec = -1 };
		EXPECT_ERR(EDOM, setsockopt(self->a, SOL_SOCKET, options[i],
					    &bad, sizeof(bad)));
		EXPECT_ERR(EINVAL, setsockopt(self->a, SOL_SOCKET, options[i],
					      &bad, sizeof(int)));
		EXPECT_ERR(EFAULT, setsockopt(self->a, SOL_SOCKET, options[i],
					      FT_WILD, sizeof(bad)));
		ASSERT_EQ(0, getsockopt(self->a, SOL_SOCKET, options[i], &tv,
					&len));
		EXPECT_EQ(2, tv.tv_sec);
	}
}

TEST_F(stream, O32_nothing_received)
{
	int64_t start;
	char buf[8];

	ASSERT_EQ(0, ft_settimeo(self->b, SO_RCVTIMEO, SHORT_MS));
	start = ft_ticks_ms();
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_TRUE(long_enough(start));
	start = ft_ticks_ms();
	EXPECT_ERR(EAGAIN, read(self->b, buf, sizeof(buf)));
	EXPECT_TRUE(long_enough(start));
	start = ft_ticks_ms();
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), MSG_PEEK));
	EXPECT_TRUE(long_enough(start));

	/* Nothing is broken by it, and it is not in the way of data. */
	ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 5, 5));
}

TEST_F(stream, O32_partly_received)
{
	int64_t start;
	char buf[8];

	ASSERT_EQ(0, ft_settimeo(self->b, SO_RCVTIMEO, SHORT_MS));
	ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
	start = ft_ticks_ms();
	EXPECT_EQ(5, recv(self->b, buf, sizeof(buf), MSG_WAITALL));
	EXPECT_TRUE(long_enough(start));
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 5));
}

TEST_F(stream, O32_low_water_mark_not_reached)
{
	char buf[8];

	ASSERT_EQ(0, ft_settimeo(self->b, SO_RCVTIMEO, SHORT_MS));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 8));
	ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
	EXPECT_EQ(5, recv(self->b, buf, sizeof(buf), 0));
}

TEST_F(stream, O32_zero_is_for_ever)
{
	char buf[8];
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = buf,
		.len = sizeof(buf),
	};

	ASSERT_EQ(0, ft_settimeo(self->b, SO_RCVTIMEO, SHORT_MS));
	ASSERT_EQ(0, ft_settimeo(self->b, SO_RCVTIMEO, 0));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
	ft_join(&call);
	EXPECT_EQ(5, call.ret);
}

TEST_F(stream, O32_no_effect_on_poll_or_dontwait)
{
	int64_t start;
	char buf[8];

	/* Long, so that a poll which heeds it would be seen. */
	ASSERT_EQ(0, ft_settimeo(self->b, SO_RCVTIMEO, 600000));
	start = ft_ticks_ms();
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 1));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	EXPECT_GT(FT_LONG_MS, ft_now_ms() - start);

	ASSERT_EQ(0, ft_settimeo(self->b, SO_RCVTIMEO, 1));
	/* poll() counts no ticks. */
	start = ft_now_ms();
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, SHORT_MS));
	EXPECT_LE(SHORT_MS - 1, ft_now_ms() - start);
}

TEST_F(stream, O32_of_the_receiver_only)
{
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->a, .len = 200000,
	};

	/* A receive timeout is none for sending. */
	ft_shrink(self->a, self->b);
	ASSERT_EQ(0, ft_settimeo(self->a, SO_RCVTIMEO, 1));
	call.buf = malloc(call.len);
	ASSERT_NE(NULL, call.buf);
	ft_pattern(call.buf, 0, call.len);
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	EXPECT_EQ(0, ft_poll(-1, 0, SHORT_MS));
	EXPECT_EQ(0, atomic_load(&call.done));
	EXPECT_TRUE(ft_recv_all(self->b, 0, call.len, 10000));
	ft_join(&call);
	EXPECT_EQ(200000, call.ret);
	free(call.buf);
}

TEST_F(stream, O33_no_room)
{
	int64_t start;
	ssize_t n;
	char byte;

	ft_shrink(self->a, self->b);
	n = ft_fill(self->a, 0, 4096);
	ASSERT_LT(0, n);
	ASSERT_EQ(0, ft_settimeo(self->a, SO_SNDTIMEO, SHORT_MS));
	start = ft_ticks_ms();
	EXPECT_ERR(EAGAIN, send(self->a, &byte, 1, 0));
	EXPECT_TRUE(long_enough(start));
	start = ft_ticks_ms();
	EXPECT_ERR(EAGAIN, write(self->a, &byte, 1));
	EXPECT_TRUE(long_enough(start));
	EXPECT_TRUE(ft_recv_all(self->b, 0, n, 10000));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
}

TEST_F(stream, O33_partly_sent)
{
	size_t len = 1 << 20;
	int64_t start;
	ssize_t n;
	char *buf;

	ft_shrink(self->a, self->b);
	ASSERT_EQ(0, ft_settimeo(self->a, SO_SNDTIMEO, SHORT_MS));
	buf = malloc(len);
	ASSERT_NE(NULL, buf);
	ft_pattern(buf, 0, len);
	start = ft_ticks_ms();
	n = send(self->a, buf, len, 0);
	EXPECT_TRUE(long_enough(start));
	EXPECT_LT(0, n);
	EXPECT_GT(len, n);

	/* What was counted arrives, and nothing else. */
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_TRUE(ft_recv_all(self->b, 0, n, 10000));
	EXPECT_EQ(0, recv(self->b, buf, 1, 0));
	free(buf);
}

FIXTURE(acceptor)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int listener;
};

FIXTURE_VARIANT(acceptor)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(acceptor, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(acceptor, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(acceptor, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(acceptor, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_SETUP(acceptor)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->listener = ft_listener(&variant->kind, &self->addr, 4);
	ASSERT_LE(0, self->listener);
}

FIXTURE_TEARDOWN(acceptor)
{
	ft_close(&self->listener);
	FT_NO_LEAK(&self->leak);
}

TEST_F(acceptor, O32_accept)
{
	int64_t start;
	int a, b;

	ASSERT_EQ(0, ft_settimeo(self->listener, SO_RCVTIMEO, SHORT_MS));
	start = ft_ticks_ms();
	EXPECT_ERR(EAGAIN, accept(self->listener, NULL, NULL));
	EXPECT_TRUE(long_enough(start));
	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	ft_close(&a);
	ft_close(&b);
}

TEST_F(acceptor, O33_of_no_effect_on_a_connect_with_room)
{
	int a;

	a = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, a);
	ASSERT_EQ(0, ft_settimeo(a, SO_SNDTIMEO, 20000));
	EXPECT_EQ(0, connect(a, &self->addr.sa, self->addr.len));
	ft_close(&a);
}

FT_HARNESS_MAIN
