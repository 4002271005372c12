// SPDX-License-Identifier: GPL-2.0
/*
 * poll, select, epoll and signals of records, and what a full receiver does to
 * its senders. F09, E01, E03-E05, E07, E08, S01, S02.
 */

#include "record_fixture.h"
#include "events.h"

TEST_F(record, E01_record)
{
	char buf[8];

	EXPECT_TRUE(agree(self->a, POLLOUT));
	EXPECT_TRUE(agree(self->b, POLLOUT));
	ASSERT_EQ(2, send(self->a, "ab", 2, 0));
	EXPECT_NE(0, ft_poll(self->b, POLLIN, FT_LONG_MS));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT));
	EXPECT_TRUE(agree(self->a, POLLOUT));
	EXPECT_EQ(2, recv(self->b, buf, sizeof(buf), MSG_PEEK));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT));
	EXPECT_EQ(2, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_TRUE(agree(self->b, POLLOUT));
}

TEST_F(record, E01_empty_record)
{
	char buf[8];

	ASSERT_EQ(0, send(self->a, "", 0, 0));
	EXPECT_NE(0, ft_poll(self->b, POLLIN, FT_LONG_MS));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT));
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_TRUE(agree(self->b, POLLOUT));
}

TEST_F(record, E01_wakes_every_kind_of_waiter)
{
	ssize_t (*fn[])(struct ft_call *) = {
		ft_do_poll, ft_do_select, ft_do_epoll,
	};
	char buf[8];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fn); i++) {
		struct ft_call call = {
			.fn = fn[i], .fd = self->b, .events = POLLIN,
			.timeout_ms = FT_LONG_MS,
		};

		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		ft_join(&call);
		EXPECT_EQ(1, call.ret);
		EXPECT_EQ(POLLIN, call.revents);
		EXPECT_EQ(1, recv(self->b, buf, sizeof(buf), 0));
	}
}

TEST_F(record, F09_every_record_is_an_edge)
{
	int ep = epoll_on(self->b, EPOLLIN | EPOLLET);
	char buf[8];
	int i;

	ASSERT_LE(0, ep);
	EXPECT_EQ(0, epoll_events(ep, 0));
	/* Nothing is read in between: it stays readable all the time. */
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(i & 1, send(self->a, "x", i & 1, 0));
		EXPECT_EQ(EPOLLIN, epoll_events(ep, FT_LONG_MS));
		EXPECT_EQ(0, epoll_events(ep, 0));
	}
	/* Neither peeking nor reading is an event. */
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), MSG_PEEK));
	EXPECT_EQ(0, epoll_events(ep, 0));
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(0, epoll_events(ep, 0));
	ft_close(&ep);
}

TEST_F(record, F09_oneshot)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };
	int ep = epoll_on(self->b, EPOLLIN | EPOLLONESHOT);

	ASSERT_LE(0, ep);
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, FT_LONG_MS));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(0, epoll_events(ep, 0));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_MOD, self->b, &event));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, FT_LONG_MS));
	ft_close(&ep);
}

TEST_F(record, F09_ping_pong_by_edges)
{
	struct ft_child child;
	char byte = 0;
	int i, ep;

	/* A lost wake-up hangs here, and the harness ends it. */
	if (!ft_fork(&child)) {
		ft_close(&self->a);
		ep = epoll_on(self->b, EPOLLIN | EPOLLET);
		for (i = 0; i < 200; i++) {
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
	for (i = 0; i < 200; i++) {
		byte = i;
		ASSERT_EQ(1, send(self->a, &byte, 1, 0));
		while (recv(self->a, &byte, 1, MSG_DONTWAIT) != 1)
			epoll_events(ep, -1);
		ASSERT_EQ((char)i, byte);
	}
	ft_close(&ep);
	EXPECT_EQ(0, ft_wait_child(&child));
}

/* Room. */

TEST_F(ferry_record, E05_full_is_not_writable)
{
	int n, i;

	ft_shrink(self->a, self->b);
	n = record_fill(self->a, 2000);
	ASSERT_LT(0, n);
	EXPECT_TRUE(agree(self->a, 0));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT));
	for (i = 0; i < n; i++)
		ASSERT_TRUE(record_next(self->b, i, 2000));
	EXPECT_TRUE(agree(self->a, POLLOUT));
}

TEST_F(ferry_record, E05_either_buffer_counts)
{
	int n, i, round;

	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, round ? 1 << 20 :
								   8192));
		ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, round ? 8192 :
								   1 << 20));
		n = record_fill(self->a, 1000);
		ASSERT_LT(0, n);
		EXPECT_EQ(0, ft_poll(self->a, POLLOUT, 0));
		for (i = 0; i < n; i++)
			ASSERT_TRUE(record_next(self->b, i, 1000));
		EXPECT_EQ(POLLOUT, ft_poll(self->a, POLLOUT, 0));
	}
}

TEST_F(ferry_record, E05_room_wakes_every_kind_of_waiter)
{
	ssize_t (*fn[])(struct ft_call *) = {
		ft_do_poll, ft_do_select, ft_do_epoll,
	};
	size_t round;
	int n, i;

	ft_shrink(self->a, self->b);
	for (round = 0; round < ARRAY_SIZE(fn); round++) {
		struct ft_call call = {
			.fn = fn[round], .fd = self->a, .events = POLLOUT,
			.timeout_ms = FT_LONG_MS,
		};

		n = record_fill(self->a, 2000);
		ASSERT_LT(0, n);
		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		for (i = 0; i < n; i++)
			ASSERT_TRUE(record_next(self->b, i, 2000));
		ft_join(&call);
		EXPECT_EQ(1, call.ret);
		EXPECT_EQ(POLLOUT, call.revents);
	}
}

TEST_F(ferry_record, E05_room_is_an_edge)
{
	int ep = epoll_on(self->a, EPOLLOUT | EPOLLET);
	int round, n, i;

	ASSERT_LE(0, ep);
	EXPECT_EQ(EPOLLOUT, epoll_events(ep, 0));
	ft_shrink(self->a, self->b);
	for (round = 0; round < 3; round++) {
		n = record_fill(self->a, 2000);
		ASSERT_LT(0, n);
		/* The last try got EAGAIN: from here on an event is due. */
		EXPECT_EQ(0, epoll_events(ep, 0));
		for (i = 0; i < n; i++)
			ASSERT_TRUE(record_next(self->b, i, 2000));
		EXPECT_EQ(EPOLLOUT, epoll_events(ep, FT_LONG_MS));
		EXPECT_EQ(0, epoll_events(ep, 0));
	}
	ft_close(&ep);
}

TEST_F(ferry_record, E05_another_peer_with_room_is_an_event)
{
	struct ft_call call = { .fn = ft_do_poll, .events = POLLOUT };
	struct ft_addr addr;
	int other;

	if (variant->kind.type != SOCK_DGRAM)
		SKIP(return, "a connection keeps its peer");
	other = socket(variant->kind.domain, SOCK_DGRAM, 0);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, ft_bind_new(other, variant->kind.domain, &addr));
	/* The receiver's buffer is the one that is full. */
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 1));
	while (send(self->a, "x", 1, MSG_DONTWAIT) == 1)
		;
	ASSERT_EQ(EAGAIN, errno);
	call.fd = self->a;
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(0, connect(self->a, &addr.sa, addr.len));
	ft_join(&call);
	EXPECT_EQ(1, call.ret);
	EXPECT_EQ(POLLOUT, call.revents);
	EXPECT_EQ(1, send(self->a, "y", 1, MSG_DONTWAIT));
	ft_close(&other);
}

TEST_F(ferry_record, E05_shutdown_of_the_receiver_is_an_event)
{
	struct ft_call call = {
		.fn = ft_do_poll, .fd = self->a, .events = POLLOUT,
		.timeout_ms = FT_LONG_MS,
	};

	ft_shrink(self->a, self->b);
	ASSERT_LT(0, record_fill(self->a, 2000));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(0, shutdown(self->b, SHUT_RD));
	ft_join(&call);
	EXPECT_EQ(1, call.ret);
	EXPECT_NE(0, call.revents & POLLOUT);
	EXPECT_ERR(EPIPE, send(self->a, "x", 1, MSG_NOSIGNAL));
}

TEST_F(ferry_record, E05_close_of_the_receiver_is_an_event)
{
	struct ft_call call = {
		.fn = ft_do_poll, .fd = self->a, .events = POLLOUT,
		.timeout_ms = FT_LONG_MS,
	};

	ft_shrink(self->a, self->b);
	ASSERT_LT(0, record_fill(self->a, 2000));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ft_close(&self->b);
	ft_join(&call);
	EXPECT_EQ(1, call.ret);
	EXPECT_NE(0, call.revents & (POLLOUT | POLLERR));
	/* Nobody blocks for a receiver that has gone. */
	EXPECT_NE(0, ft_err(send(self->a, "x", 1, MSG_NOSIGNAL)));
}

/* The end of a connection. */

TEST_F(seqpacket, E03_peer_closed)
{
	char buf[8];

	ASSERT_EQ(2, send(self->a, "ab", 2, 0));
	ft_close(&self->a);
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
	EXPECT_EQ(2, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
	EXPECT_EQ(POLLHUP, ft_poll(self->b, 0, 0));
	EXPECT_EQ(0, ft_getint(self->b, SO_ERROR));
}

TEST_F(seqpacket, E03_is_an_edge)
{
	int ep = epoll_on(self->b, EPOLLIN | EPOLLRDHUP | EPOLLET);

	ASSERT_LE(0, ep);
	EXPECT_EQ(0, epoll_events(ep, 0));
	ft_close(&self->a);
	EXPECT_EQ(EPOLLIN | EPOLLRDHUP | EPOLLHUP,
		  epoll_events(ep, FT_LONG_MS));
	ft_close(&ep);
}

TEST_F(seqpacket, E08_one_direction_and_both)
{
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT | POLLRDHUP));
	EXPECT_TRUE(agree(self->a, POLLOUT));
	ASSERT_EQ(0, shutdown(self->b, SHUT_WR));
	EXPECT_TRUE(agree(self->b, POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
	EXPECT_TRUE(agree(self->a, POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
}

TEST_F(seqpacket, E08_is_an_edge)
{
	int ep = epoll_on(self->b, EPOLLIN | EPOLLRDHUP | EPOLLET);

	ASSERT_LE(0, ep);
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, FT_LONG_MS));
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_EQ(EPOLLIN | EPOLLRDHUP, epoll_events(ep, FT_LONG_MS));
	ft_close(&ep);
}

TEST_F(seqpacket, E07_reset_is_an_error_event)
{
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ft_close(&self->b);
	EXPECT_TRUE(agree(self->a, POLLIN | POLLOUT | POLLERR | POLLHUP |
				   POLLRDHUP));
	EXPECT_EQ(ECONNRESET, ft_getint(self->a, SO_ERROR));
	/* Once. */
	EXPECT_EQ(0, ft_getint(self->a, SO_ERROR));
	EXPECT_TRUE(agree(self->a, POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
}

TEST_F(ferry_seqpacket, S01_peer_closed)
{
	ASSERT_EQ(0, ft_catch(SIGPIPE, 0));
	ft_close(&self->b);
	EXPECT_NE(0, ft_poll(self->a, 0, FT_LONG_MS) & POLLHUP);
	EXPECT_EQ(0, ft_signals());
	EXPECT_ERR(EPIPE, write(self->a, "x", 1));
	EXPECT_EQ(1, ft_signals());
	EXPECT_ERR(EPIPE, send(self->a, "x", 1, 0));
	EXPECT_EQ(2, ft_signals());
	/* A record without bytes cannot be sent either. */
	EXPECT_ERR(EPIPE, send(self->a, "", 0, 0));
	EXPECT_EQ(3, ft_signals());
}

TEST_F(ferry_seqpacket, S01_shut_down_by_either_end)
{
	ASSERT_EQ(0, ft_catch(SIGPIPE, 0));
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_ERR(EPIPE, send(self->a, "x", 1, 0));
	EXPECT_EQ(1, ft_signals());
	ASSERT_EQ(0, shutdown(self->a, SHUT_RD));
	EXPECT_ERR(EPIPE, send(self->b, "x", 1, 0));
	EXPECT_EQ(2, ft_signals());
}

TEST_F(local_record, S02_nosignal)
{
	ASSERT_EQ(0, ft_catch(SIGPIPE, 0));
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_ERR(EPIPE, send(self->a, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(0, ft_signals());
}

TEST_F(seqpacket, S01_one_signal_for_many)
{
	struct ft_call call[3];
	int i;

	/* Each blocked sender has EPIPE when the receiver closes. */
	ASSERT_EQ(0, ft_catch(SIGPIPE, SA_RESTART));
	ft_shrink(self->a, self->b);
	ASSERT_LT(0, record_fill(self->a, 2000));
	for (i = 0; i < 3; i++) {
		call[i] = (struct ft_call){
			.fn = ft_do_send, .fd = self->a, .buf = "x", .len = 1,
			.flags = MSG_NOSIGNAL,
		};
		ASSERT_EQ(0, ft_start(&call[i]));
		ASSERT_TRUE(ft_blocked(&call[i]));
	}
	ASSERT_EQ(0, shutdown(self->b, SHUT_RD));
	for (i = 0; i < 3; i++) {
		ft_join(&call[i]);
		EXPECT_EQ(-1, call[i].ret);
		EXPECT_EQ(EPIPE, call[i].err);
	}
	EXPECT_EQ(0, ft_signals());
}

/* A connection that is not yet there, or never. */

TEST_F(seqpacket, E02_connection_to_accept)
{
	struct ft_addr addr;
	int listener, a, b;

	listener = ft_listener(&variant->kind, &addr, 2);
	ASSERT_LE(0, listener);
	EXPECT_EQ(0, ft_poll(listener, POLLIN, 0));
	a = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, a);
	EXPECT_EQ(POLLIN, ft_poll(listener, POLLIN, FT_LONG_MS));
	b = accept(listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_EQ(0, ft_poll(listener, POLLIN, 0));
	EXPECT_TRUE(agree(a, POLLOUT));
	EXPECT_TRUE(agree(b, POLLOUT));
	ft_close(&a);
	ft_close(&b);
	ft_close(&listener);
}

TEST_F(ferry_seqpacket, E06_connect_finishes)
{
	struct ft_addr addr;
	int listener, a, b, c;

	listener = ft_listener(&variant->kind, &addr, 0);
	ASSERT_LE(0, listener);
	a = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, a);
	b = socket(AF_FERRY, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	ASSERT_LE(0, b);
	EXPECT_ERR(EINPROGRESS, connect(b, &addr.sa, addr.len));
	EXPECT_EQ(0, ft_poll(b, POLLIN | POLLOUT, 0));
	EXPECT_ERR(EAGAIN, send(b, "x", 1, 0));
	c = accept(listener, NULL, NULL);
	ASSERT_LE(0, c);
	EXPECT_EQ(POLLOUT, ft_poll(b, POLLIN | POLLOUT, FT_LONG_MS));
	EXPECT_EQ(0, ft_getint(b, SO_ERROR));
	EXPECT_EQ(1, send(b, "x", 1, 0));
	ft_close(&a);
	ft_close(&b);
	ft_close(&c);
	ft_close(&listener);
}

TEST_F(ferry_seqpacket, E06_connect_fails)
{
	struct ft_addr addr;
	int listener, a, b;

	listener = ft_listener(&variant->kind, &addr, 0);
	ASSERT_LE(0, listener);
	a = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, a);
	b = socket(AF_FERRY, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	ASSERT_LE(0, b);
	EXPECT_ERR(EINPROGRESS, connect(b, &addr.sa, addr.len));
	ft_close(&listener);
	EXPECT_EQ(POLLERR | POLLHUP,
		  ft_poll(b, POLLOUT, FT_LONG_MS) & (POLLERR | POLLHUP));
	EXPECT_EQ(ECONNREFUSED, ft_getint(b, SO_ERROR));
	ft_close(&a);
	ft_close(&b);
}

FT_HARNESS_MAIN
