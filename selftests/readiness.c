// SPDX-License-Identifier: GPL-2.0
/*
 * poll, select, epoll: every event of a connected stream, level- and
 * edge-triggered, and the low-water mark. F09, E01, E03-E05, E07, E08, O13, O30.
 */

#include "stream_fixture.h"
#include "events.h"

TEST_F(stream, F09_idle)
{
	EXPECT_TRUE(agree(self->a, POLLOUT));
	EXPECT_TRUE(agree(self->b, POLLOUT));
}

TEST_F(stream, E01_data)
{
	char buf[8];

	ASSERT_TRUE(ft_send_all(self->a, 0, 1, 1));
	EXPECT_NE(0, ft_poll(self->b, POLLIN, FT_LONG_MS));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT));
	EXPECT_TRUE(agree(self->a, POLLOUT));
	EXPECT_NE(0, ft_poll(self->b, POLLRDNORM, 0) & POLLRDNORM);
	EXPECT_EQ(1, recv(self->b, buf, sizeof(buf), MSG_PEEK));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT));
	EXPECT_EQ(1, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_TRUE(agree(self->b, POLLOUT));
}

TEST_F(stream, E01_partly_read)
{
	ASSERT_TRUE(ft_send_all(self->a, 0, 100, 50));
	ASSERT_TRUE(ft_recv_all(self->b, 0, 99, 99));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT));
	ASSERT_TRUE(ft_recv_all(self->b, 99, 1, 1));
	EXPECT_TRUE(agree(self->b, POLLOUT));
}

TEST_F(stream, E05_room)
{
	ssize_t n;

	ft_shrink(self->a, self->b);
	n = ft_fill(self->a, 0, 4096);
	ASSERT_LT(0, n);
	EXPECT_TRUE(agree(self->a, 0));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT));
	ASSERT_TRUE(ft_recv_all(self->b, 0, n, 4096));
	EXPECT_NE(0, ft_poll(self->a, POLLOUT, FT_LONG_MS));
	EXPECT_TRUE(agree(self->a, POLLOUT));
	EXPECT_NE(0, ft_poll(self->a, POLLWRNORM, 0) & POLLWRNORM);
}

TEST_F(stream, F09_each_call_wakes_for_data)
{
	ssize_t (*fn[])(struct ft_call *) = {
		ft_do_poll, ft_do_select, ft_do_epoll,
	};
	char byte;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fn); i++) {
		struct ft_call call = {
			.fn = fn[i], .fd = self->b, .events = POLLIN,
		};

		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		ft_join(&call);
		EXPECT_EQ(1, call.ret);
		EXPECT_EQ(POLLIN, call.revents);
		ASSERT_EQ(1, recv(self->b, &byte, 1, 0));
	}
}

TEST_F(stream, F09_each_call_wakes_for_room)
{
	ssize_t (*fn[])(struct ft_call *) = {
		ft_do_poll, ft_do_select, ft_do_epoll,
	};
	uint64_t at = 0;
	ssize_t n;
	size_t i;

	ft_shrink(self->a, self->b);
	for (i = 0; i < ARRAY_SIZE(fn); i++) {
		struct ft_call call = {
			.fn = fn[i], .fd = self->a, .events = POLLOUT,
		};

		n = ft_fill(self->a, at, 4096);
		ASSERT_LT(0, n);
		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		ASSERT_TRUE(ft_recv_all(self->b, at, n, 4096));
		at += n;
		ft_join(&call);
		EXPECT_EQ(1, call.ret);
		EXPECT_EQ(POLLOUT, call.revents);
	}
}

TEST_F(stream, F09_each_call_wakes_for_the_end)
{
	ssize_t (*fn[])(struct ft_call *) = {
		ft_do_poll, ft_do_select, ft_do_epoll,
	};
	struct ft_call call[3];
	size_t i;

	memset(call, 0, sizeof(call));
	for (i = 0; i < ARRAY_SIZE(fn); i++) {
		call[i].fn = fn[i];
		call[i].fd = self->b;
		call[i].events = POLLIN;
		ASSERT_EQ(0, ft_start(&call[i]));
		ASSERT_TRUE(ft_blocked(&call[i]));
	}
	ft_close(&self->a);
	for (i = 0; i < ARRAY_SIZE(fn); i++) {
		ft_join(&call[i]);
		EXPECT_EQ(1, call[i].ret);
		EXPECT_NE(0, call[i].revents & POLLIN);
	}
}

TEST_F(stream, F09_pollers_and_a_reader_at_once)
{
	struct ft_call poller[4], reader = { .fn = ft_do_recv, .len = 8 };
	char buf[8];
	int i;

	/* A blocked reader does not keep the news from those who poll. */
	memset(poller, 0, sizeof(poller));
	for (i = 0; i < 4; i++) {
		poller[i].fn = i % 2 ? ft_do_epoll : ft_do_poll;
		poller[i].fd = self->b;
		poller[i].events = POLLRDHUP;
		ASSERT_EQ(0, ft_start(&poller[i]));
		ASSERT_TRUE(ft_blocked(&poller[i]));
	}
	reader.fd = self->b;
	reader.buf = buf;
	ASSERT_EQ(0, ft_start(&reader));
	ASSERT_TRUE(ft_blocked(&reader));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ft_join(&reader);
	EXPECT_EQ(1, reader.ret);
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	for (i = 0; i < 4; i++) {
		ft_join(&poller[i]);
		EXPECT_EQ(1, poller[i].ret);
		EXPECT_EQ(POLLRDHUP, poller[i].revents);
	}
}

TEST_F(stream, F09_level_triggered_repeats)
{
	int ep = epoll_on(self->b, EPOLLIN);
	int i;

	ASSERT_LE(0, ep);
	EXPECT_EQ(0, epoll_events(ep, 0));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, FT_LONG_MS));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(EPOLLIN, epoll_events(ep, 0));
	ASSERT_EQ(1, recv(self->b, &i, 1, 0));
	EXPECT_EQ(0, epoll_events(ep, 0));
	ft_close(&ep);
}

TEST_F(stream, F09_every_message_is_an_edge)
{
	int ep = epoll_on(self->b, EPOLLIN | EPOLLET);
	char buf[64];
	int i;

	ASSERT_LE(0, ep);
	EXPECT_EQ(0, epoll_events(ep, 0));

	/* Also while the earlier ones are still unread. */
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		ASSERT_EQ(EPOLLIN, epoll_events(ep, FT_LONG_MS)) {
			TH_LOG("message %d", i);
		}
		EXPECT_EQ(0, epoll_events(ep, 0));
	}

	/* And after a partial read, and after a complete one. */
	ASSERT_EQ(4, recv(self->b, buf, 4, 0));
	EXPECT_EQ(0, epoll_events(ep, 0));
	ASSERT_EQ(1, send(self->a, "y", 1, 0));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, FT_LONG_MS));
	ASSERT_EQ(7, recv(self->b, buf, sizeof(buf), 0));
	ASSERT_EQ(1, send(self->a, "z", 1, 0));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, FT_LONG_MS));
	EXPECT_EQ(0, epoll_events(ep, 0));
	ft_close(&ep);
}

TEST_F(stream, F09_edge_is_not_lost_to_a_blocked_reader)
{
	int ep = epoll_on(self->b, EPOLLIN | EPOLLET);
	char buf[8];
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = buf,
		.len = sizeof(buf),
	};

	ASSERT_LE(0, ep);
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ft_join(&call);
	EXPECT_EQ(1, call.ret);
	ASSERT_EQ(1, send(self->a, "y", 1, 0));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, FT_LONG_MS));
	EXPECT_EQ(1, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	ft_close(&ep);
}

TEST_F(stream, F09_room_is_an_edge)
{
	uint64_t at = 0;
	ssize_t n;
	int ep, i;

	ft_shrink(self->a, self->b);
	ep = epoll_on(self->a, EPOLLOUT | EPOLLET);
	ASSERT_LE(0, ep);
	EXPECT_EQ(EPOLLOUT, epoll_events(ep, FT_LONG_MS));
	for (i = 0; i < 3; i++) {
		n = ft_fill(self->a, at, 4096);
		ASSERT_LT(0, n);
		while (epoll_events(ep, 0))
			;
		ASSERT_TRUE(ft_recv_all(self->b, at, n, 4096));
		at += n;
		EXPECT_EQ(EPOLLOUT, epoll_events(ep, FT_LONG_MS));
	}
	ft_close(&ep);
}

TEST_F(stream, F09_oneshot_and_rearm)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };
	int ep = epoll_on(self->b, EPOLLIN | EPOLLONESHOT);

	ASSERT_LE(0, ep);
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, FT_LONG_MS));
	ASSERT_EQ(1, send(self->a, "y", 1, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, 2));
	EXPECT_EQ(0, epoll_events(ep, 0));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_MOD, self->b, &event));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, 0));
	ft_close(&ep);
}

TEST_F(stream, F09_epoll_in_epoll)
{
	int inner = epoll_on(self->b, EPOLLIN | EPOLLET);
	struct ft_call call = { .fn = ft_do_poll, .events = POLLIN };
	int outer;

	ASSERT_LE(0, inner);
	outer = epoll_on(inner, EPOLLIN);
	ASSERT_LE(0, outer);
	call.fd = outer;
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ft_join(&call);
	EXPECT_EQ(1, call.ret);
	EXPECT_EQ(EPOLLIN, epoll_events(inner, 0));
	ft_close(&outer);
	ft_close(&inner);
}

TEST_F(stream, F09_ping_pong_by_edges)
{
	struct ft_child child;
	char byte = 0;
	int i, ep;

	/* A lost wake-up hangs here, and the harness ends it. */
	if (!ft_fork(&child)) {
		ft_close(&self->a);
		ep = epoll_on(self->b, EPOLLIN | EPOLLET);
		for (i = 0; i < 300; i++) {
			while (recv(self->b, &byte, 1, MSG_DONTWAIT) != 1)
				epoll_events(ep, -1);
			if (byte != (char)i || send(self->b, &byte, 1, 0) != 1)
				_exit(1);
		}
		_exit(0);
	}
	ft_close(&self->b);
	ep = epoll_on(self->a, EPOLLIN | EPOLLET);
	ASSERT_LE(0, ep);
	for (i = 0; i < 300; i++) {
		byte = i;
		ASSERT_EQ(1, send(self->a, &byte, 1, 0));
		while (recv(self->a, &byte, 1, MSG_DONTWAIT) != 1)
			epoll_events(ep, -1);
		ASSERT_EQ((char)i, byte);
	}
	ft_close(&ep);
	EXPECT_EQ(0, ft_wait_child(&child));
}

TEST_F(local_stream, E03_peer_closed)
{
	char buf[8];

	ft_close(&self->a);
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
	/* POLLHUP is not asked for, it comes. */
	EXPECT_EQ(POLLHUP, ft_poll(self->b, 0, 0));
	EXPECT_EQ(0, ft_getint(self->b, SO_ERROR));
}

TEST_F(local_stream, E03_peer_closed_with_data_before)
{
	ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
	ft_close(&self->a);
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 5, 5));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
}

TEST_F(stream, E03_peer_closed_rdhup)
{
	ft_close(&self->a);
	EXPECT_NE(0, ft_poll(self->b, POLLRDHUP, FT_LONG_MS) & POLLRDHUP);
	EXPECT_NE(0, ft_poll(self->b, POLLIN, 0) & POLLIN);
}

TEST_F(stream, E03_is_an_edge)
{
	int ep = epoll_on(self->b, EPOLLIN | EPOLLRDHUP | EPOLLET);
	uint32_t seen;

	ASSERT_LE(0, ep);
	EXPECT_EQ(0, epoll_events(ep, 0));
	ft_close(&self->a);
	seen = epoll_events(ep, FT_LONG_MS);
	EXPECT_EQ(EPOLLIN | EPOLLRDHUP, seen & (EPOLLIN | EPOLLRDHUP));
	ft_close(&ep);
}

TEST_F(stream, E08_peer_shut_down_writing)
{
	char buf[8];

	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_NE(0, ft_poll(self->b, POLLRDHUP, FT_LONG_MS));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT | POLLRDHUP));
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT | POLLRDHUP));
	EXPECT_TRUE(agree(self->a, POLLOUT));

	/* Now both directions are down. */
	ASSERT_EQ(0, shutdown(self->b, SHUT_WR));
	EXPECT_NE(0, ft_poll(self->a, POLLRDHUP, FT_LONG_MS));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
	EXPECT_TRUE(agree(self->a, POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
}

TEST_F(stream, E08_own_shutdown)
{
	ASSERT_EQ(0, shutdown(self->a, SHUT_RD));
	EXPECT_TRUE(agree(self->a, POLLIN | POLLOUT | POLLRDHUP));
}

TEST_F(stream, E04_broken_connection)
{
	ASSERT_EQ(0, ft_catch(SIGPIPE, 0));
	ft_close(&self->b);

	/* TCP finds out by the first write; the others know already. */
	if (variant->kind.domain == AF_INET)
		EXPECT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_NE(0, ft_poll(self->a, 0, FT_LONG_MS) & POLLHUP);
	EXPECT_EQ(0, ft_signals());
	EXPECT_ERR(EPIPE, write(self->a, "x", 1));
	EXPECT_EQ(1, ft_signals());
	EXPECT_NE(0, ft_poll(self->a, 0, 0) & POLLHUP);
}

TEST_F(stream, E07_reset_is_an_error_event)
{
	char buf[8];

	/* Closed with something unread: the sender of it is told. */
	ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
	ASSERT_TRUE(ft_wait_inq(self->b, 5));
	ft_close(&self->b);
	EXPECT_EQ(POLLERR | POLLHUP,
		  ft_poll(self->a, 0, FT_LONG_MS) & (POLLERR | POLLHUP));
	EXPECT_TRUE(agree(self->a, POLLIN | POLLOUT | POLLERR | POLLHUP |
				   POLLRDHUP));
	EXPECT_EQ(ECONNRESET, ft_getint(self->a, SO_ERROR));
	EXPECT_EQ(0, ft_getint(self->a, SO_ERROR));
	EXPECT_TRUE(agree(self->a, POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
	EXPECT_EQ(0, recv(self->a, buf, sizeof(buf), 0));
}

TEST_F(stream, E07_wakes_who_polls_for_nothing)
{
	struct ft_call call = { .fn = ft_do_poll, .fd = self->a };

	ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
	ASSERT_TRUE(ft_wait_inq(self->b, 5));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ft_close(&self->b);
	ft_join(&call);
	EXPECT_EQ(1, call.ret);
	EXPECT_NE(0, call.revents & POLLHUP);
}

/* O30: the low-water mark. AF_UNIX has it in blocking reads only. */

TEST_F(stream, O30_rcvlowat_get_and_set)
{
	EXPECT_EQ(1, ft_getint(self->b, SO_RCVLOWAT));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 100));
	EXPECT_EQ(100, ft_getint(self->b, SO_RCVLOWAT));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 0));
	EXPECT_EQ(1, ft_getint(self->b, SO_RCVLOWAT));
	EXPECT_ERR(EINVAL, setsockopt(self->b, SOL_SOCKET, SO_RCVLOWAT, "", 1));
	EXPECT_ERR(EFAULT, setsockopt(self->b, SOL_SOCKET, SO_RCVLOWAT,
				      FT_WILD, sizeof(int)));
}

TEST_F(stream, O30_rcvlowat_blocks_read)
{
	char buf[200];
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = buf,
		.len = sizeof(buf),
	};

	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 100));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_TRUE(ft_send_all(self->a, 0, 99, 99));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_TRUE(ft_send_all(self->a, 99, 1, 1));
	ft_join(&call);
	EXPECT_EQ(100, call.ret);
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 100));

	/* A read that wants less than the mark is not kept waiting for it. */
	ASSERT_TRUE(ft_send_all(self->a, 0, 10, 10));
	ASSERT_TRUE(ft_wait_inq(self->b, 10));
	EXPECT_EQ(10, recv(self->b, buf, 10, 0));
}

/*
 * A reader that has taken some already, or wants less than the mark, is woken
 * when it has what it wants. TCP sleeps on: it compares what is queued, not
 * what the reader lacks.
 */
TEST_F(local_stream, O30_rcvlowat_counts_what_the_reader_has)
{
	char buf[200];
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = buf,
		.len = sizeof(buf),
	};

	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 100));
	ASSERT_TRUE(ft_send_all(self->a, 0, 99, 99));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_TRUE(ft_send_all(self->a, 99, 1, 1));
	ft_join(&call);
	EXPECT_EQ(100, call.ret);
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 100));
}

TEST_F(local_stream, O30_rcvlowat_wakes_a_smaller_read)
{
	char buf[10];
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = buf,
		.len = sizeof(buf),
	};

	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 100));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_TRUE(ft_send_all(self->a, 0, 10, 10));
	ft_join(&call);
	EXPECT_EQ(10, call.ret);
}

TEST_F(local_stream, O30_rcvlowat_peek_sees_what_is_there)
{
	char buf[10];

	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 100));
	ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
	EXPECT_EQ(5, recv(self->b, buf, 5, MSG_PEEK));
	EXPECT_EQ(5, recv(self->b, buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT));
}

TEST_F(stream, O30_rcvlowat_read_ends_with_the_stream)
{
	char buf[200];
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = buf,
		.len = sizeof(buf),
	};

	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 100));
	ASSERT_TRUE(ft_send_all(self->a, 0, 50, 50));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	ft_join(&call);
	EXPECT_EQ(50, call.ret);
}

TEST_F(inet_stream, O30_rcvlowat_gates_poll)
{
	char buf[200];

	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 100));
	ASSERT_TRUE(ft_send_all(self->a, 0, 99, 33));
	ASSERT_TRUE(ft_wait_inq(self->b, 99));
	EXPECT_TRUE(agree(self->b, POLLOUT));
	/* Who asks without waiting gets what there is. */
	EXPECT_EQ(99, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	ASSERT_TRUE(ft_send_all(self->a, 0, 100, 50));
	ASSERT_TRUE(ft_wait_inq(self->b, 100));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT));
	ASSERT_TRUE(ft_recv_all(self->b, 0, 1, 1));
	EXPECT_TRUE(agree(self->b, POLLOUT));
}

TEST_F(inet_stream, O30_rcvlowat_gates_waiting_calls)
{
	ssize_t (*fn[])(struct ft_call *) = {
		ft_do_poll, ft_do_select, ft_do_epoll,
	};
	size_t i;

	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 100));
	for (i = 0; i < ARRAY_SIZE(fn); i++) {
		struct ft_call call = {
			.fn = fn[i], .fd = self->b, .events = POLLIN,
		};

		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		ASSERT_TRUE(ft_send_all(self->a, 0, 99, 99));
		ASSERT_TRUE(ft_wait_inq(self->b, 99));
		ASSERT_TRUE(ft_blocked(&call));
		ASSERT_TRUE(ft_send_all(self->a, 99, 1, 1));
		ft_join(&call);
		EXPECT_EQ(1, call.ret);
		EXPECT_EQ(POLLIN, call.revents);
		ASSERT_TRUE(ft_recv_all(self->b, 0, 100, 100));
	}
}

TEST_F(inet_stream, O30_rcvlowat_gates_edges)
{
	int ep = epoll_on(self->b, EPOLLIN | EPOLLET);

	ASSERT_LE(0, ep);
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 100));
	ASSERT_TRUE(ft_send_all(self->a, 0, 99, 99));
	ASSERT_TRUE(ft_wait_inq(self->b, 99));
	EXPECT_EQ(0, epoll_events(ep, 0));
	ASSERT_TRUE(ft_send_all(self->a, 99, 1, 1));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, FT_LONG_MS));
	EXPECT_EQ(0, epoll_events(ep, 0));
	ft_close(&ep);
}

TEST_F(inet_stream, O30_rcvlowat_end_and_error_pass)
{
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 100));
	ASSERT_TRUE(ft_send_all(self->a, 0, 10, 10));
	ASSERT_TRUE(ft_wait_inq(self->b, 10));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_NE(0, ft_poll(self->b, POLLIN, FT_LONG_MS) & POLLIN);
}

TEST_F(inet_stream, O30_lowering_wakes)
{
	struct ft_call call = {
		.fn = ft_do_poll, .fd = self->b, .events = POLLIN,
	};

	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 100));
	ASSERT_TRUE(ft_send_all(self->a, 0, 50, 50));
	ASSERT_TRUE(ft_wait_inq(self->b, 50));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 50));
	ft_join(&call);
	EXPECT_EQ(1, call.ret);
	EXPECT_EQ(POLLIN, call.revents);
}

TEST_F(inet_stream, O30_never_higher_than_the_buffer)
{
	struct ft_call call = { .fn = ft_do_send, .fd = self->a };

	/* A mark that cannot be reached would leave both ends waiting. */
	ft_shrink(self->a, self->b);
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, INT32_MAX));
	call.len = 400000;
	call.buf = malloc(call.len);
	ASSERT_NE(NULL, call.buf);
	ft_pattern(call.buf, 0, call.len);
	ASSERT_EQ(0, ft_start(&call));
	EXPECT_EQ(POLLIN, ft_poll(self->b, POLLIN, FT_LONG_MS));
	/* At the end less than the mark is left: the end of file shows it. */
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 1));
	EXPECT_TRUE(ft_recv_all(self->b, 0, call.len, 50000));
	ft_join(&call);
	EXPECT_EQ(400000, call.ret);
	free(call.buf);
}

TEST_F(stream, O13_error_is_read_once)
{
	socklen_t len = sizeof(int);
	char byte;
	int value;

	EXPECT_EQ(0, ft_getint(self->a, SO_ERROR));
	EXPECT_ERR(ENOPROTOOPT, ft_setint(self->a, SO_ERROR, 1));
	ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
	ASSERT_TRUE(ft_wait_inq(self->b, 5));
	ft_close(&self->b);
	EXPECT_NE(0, ft_poll(self->a, 0, FT_LONG_MS) & POLLERR);
	EXPECT_ERR(EFAULT, getsockopt(self->a, SOL_SOCKET, SO_ERROR, &value,
				      FT_WILD));
	ASSERT_EQ(0, getsockopt(self->a, SOL_SOCKET, SO_ERROR, &value, &len));
	EXPECT_EQ(ECONNRESET, value);
	EXPECT_EQ(0, recv(self->a, &byte, 1, 0));
}

FT_HARNESS_MAIN
