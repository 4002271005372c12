// SPDX-License-Identifier: GPL-2.0
/*
 * Sending and receiving records, SEQPACKET and DGRAM alike: boundaries, flags,
 * sizes, buffers. F06-F08, F10, F16, F18, I05, N01, O28, O32, O33, O38, X06.
 */

#include "record_fixture.h"

#include <sched.h>

static ssize_t receive(int fd, void *buf, size_t len, int flags, int *out)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t ret = recvmsg(fd, &msg, flags);

	*out = msg.msg_flags;
	return ret;
}

/* Boundaries. */

TEST_F(record, F07_boundaries_are_kept)
{
	size_t size;
	int n = 0;

	for (size = 1; size <= 20000; size += size / 3 + 1, n++) {
		ASSERT_TRUE(ft_send_all(self->a, n, size, size));
		ASSERT_TRUE(record_next(self->b, n, size));
	}
	for (n = 0; n < 5; n++)
		ASSERT_TRUE(ft_send_all(self->a, n, 100 - n, 200));
	for (n = 0; n < 5; n++)
		ASSERT_TRUE(record_next(self->b, n, 100 - n));
}

/* Receives a record of one byte with its sender's name, by recvfrom and recvmsg. */
static bool is_from(int fd, const struct ft_addr *name, int flags)
{
	struct ft_addr from;
	struct msghdr msg = { .msg_name = &from.ss };
	char byte;

	from.len = sizeof(from.ss);
	if (recvfrom(fd, &byte, 1, flags | MSG_PEEK, &from.sa, &from.len) != 1 ||
	    from.len != name->len || memcmp(&from.sa, &name->sa, from.len))
		return false;
	msg.msg_namelen = sizeof(from.ss);
	msg.msg_iov = &(struct iovec){ .iov_base = &byte, .iov_len = 1 };
	msg.msg_iovlen = 1;
	return recvmsg(fd, &msg, flags) == 1 &&
	       msg.msg_namelen == name->len &&
	       !memcmp(&from.sa, &name->sa, name->len);
}

TEST_F(seqpacket, F08_name_of_the_sender)
{
	struct ft_addr server, client = { .len = sizeof(client.ss) };
	int listener, a, b;

	listener = ft_listener(&variant->kind, &server, 1);
	ASSERT_LE(0, listener);
	a = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, a);
	ASSERT_EQ(0, ft_bind_new(a, variant->kind.domain, &client));
	ASSERT_EQ(0, connect(a, &server.sa, server.len));
	b = accept(listener, NULL, NULL);
	ASSERT_LE(0, b);
	ASSERT_EQ(1, send(a, "x", 1, 0));
	EXPECT_TRUE(is_from(b, &client, 0));
	/* The accepted end has the name of the listener, closed or not. */
	ft_close(&listener);
	ASSERT_EQ(1, send(b, "x", 1, 0));
	ft_close(&b);
	EXPECT_TRUE(is_from(a, &server, MSG_DONTWAIT));
	ft_close(&a);
}

TEST_F(record, F07_both_directions_are_independent)
{
	ASSERT_TRUE(ft_send_all(self->a, 1, 500, 500));
	ASSERT_TRUE(ft_send_all(self->b, 2, 300, 300));
	EXPECT_TRUE(record_next(self->a, 2, 300));
	EXPECT_TRUE(record_next(self->b, 1, 500));
}

TEST_F(record, F07_empty_records_are_records)
{
	char buf[8];

	EXPECT_EQ(0, send(self->a, "", 0, 0));
	EXPECT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(0, send(self->a, NULL, 0, 0));
	EXPECT_EQ(1, send(self->a, "y", 1, 0));
	EXPECT_NE(0, ft_poll(self->b, POLLIN, FT_LONG_MS));
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(1, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ('x', buf[0]);
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(1, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ('y', buf[0]);
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
}

TEST_F(record, F07_sendmsg_scattered)
{
	struct iovec iov[1024];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1024 };
	static char data[8192];
	size_t i, at = 0;

	ft_pattern(data, 0, sizeof(data));
	for (i = 0; i < 1024; i++) {
		iov[i].iov_base = data + at;
		iov[i].iov_len = i % 5 ? i % 7 : 0;
		at += iov[i].iov_len;
	}
	EXPECT_EQ(at, sendmsg(self->a, &msg, 0));
	EXPECT_TRUE(record_next(self->b, 0, at));

	/* No piece at all is an empty record. */
	msg.msg_iovlen = 0;
	EXPECT_EQ(0, sendmsg(self->a, &msg, 0));
	EXPECT_NE(0, ft_poll(self->b, POLLIN, FT_LONG_MS));
	EXPECT_EQ(0, recv(self->b, data, sizeof(data), 0));
}

TEST_F(record, F08_recvmsg_scattered)
{
	char data[300], one[7], two[100], three[300];
	struct iovec iov[] = {
		{ one, sizeof(one) }, { NULL, 0 }, { two, sizeof(two) },
		{ three, sizeof(three) },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 4 };

	ASSERT_TRUE(ft_send_all(self->a, 0, 200, 200));
	EXPECT_EQ(200, recvmsg(self->b, &msg, 0));
	EXPECT_EQ(0, msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC | MSG_OOB));
	memcpy(data, one, 7);
	memcpy(data + 7, two, 100);
	memcpy(data + 107, three, 93);
	EXPECT_TRUE(ft_pattern_ok(data, 0, 200));
}

TEST_F(record, F07_sendmmsg_recvmmsg)
{
	static const size_t size[] = { 10, 0, 300, 1, 77 };
	struct mmsghdr out[5], in[5];
	struct iovec iov_out[5], iov_in[5];
	char data[400], got[5][100];
	int i;

	memset(out, 0, sizeof(out));
	memset(in, 0, sizeof(in));
	ft_pattern(data, 0, sizeof(data));
	for (i = 0; i < 5; i++) {
		iov_out[i].iov_base = data;
		iov_out[i].iov_len = size[i];
		out[i].msg_hdr.msg_iov = &iov_out[i];
		out[i].msg_hdr.msg_iovlen = 1;
		iov_in[i].iov_base = got[i];
		iov_in[i].iov_len = sizeof(got[i]);
		in[i].msg_hdr.msg_iov = &iov_in[i];
		in[i].msg_hdr.msg_iovlen = 1;
	}
	EXPECT_EQ(5, sendmmsg(self->a, out, 5, 0));
	for (i = 0; i < 5; i++)
		EXPECT_EQ(size[i], out[i].msg_len);
	EXPECT_EQ(5, recvmmsg(self->b, in, 5, 0, NULL));
	for (i = 0; i < 5; i++) {
		size_t len = size[i] < 100 ? size[i] : 100;

		EXPECT_EQ(len, in[i].msg_len);
		EXPECT_TRUE(ft_pattern_ok(got[i], 0, len));
		EXPECT_EQ(size[i] > 100 ? MSG_TRUNC : 0,
			  in[i].msg_hdr.msg_flags & MSG_TRUNC);
	}
	EXPECT_ERR(EAGAIN, recvmmsg(self->b, in, 5, MSG_DONTWAIT, NULL));
}

TEST_F(record, F07_sendmmsg_stops_at_the_first_failure)
{
	struct iovec iov[3] = {
		{ "abc", 3 }, { FT_WILD, 3 }, { "def", 3 },
	};
	struct mmsghdr out[3];
	char buf[8];
	int i;

	memset(out, 0, sizeof(out));
	for (i = 0; i < 3; i++) {
		out[i].msg_hdr.msg_iov = &iov[i];
		out[i].msg_hdr.msg_iovlen = 1;
	}
	EXPECT_EQ(1, sendmmsg(self->a, out, 3, 0));
	EXPECT_ERR(EFAULT, sendmmsg(self->a, out + 1, 2, 0));
	EXPECT_EQ(3, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
}

TEST_F(record, F10_read_and_write)
{
	char data[90], one[10], two[20], three[70], buf[16];
	struct iovec out[] = {
		{ data, 20 }, { data + 20, 0 }, { data + 20, 70 },
	};
	struct iovec in[] = {
		{ one, sizeof(one) }, { two, sizeof(two) },
		{ three, sizeof(three) },
	};

	ft_pattern(data, 0, sizeof(data));
	EXPECT_EQ(10, write(self->a, data, 10));
	EXPECT_EQ(90, writev(self->a, out, 3));

	/* A read of nothing takes nothing, a writev of nothing sends nothing. */
	EXPECT_EQ(0, read(self->b, buf, 0));
	EXPECT_EQ(0, writev(self->a, out + 1, 1));
	EXPECT_EQ(0, writev(self->a, out, 0));

	EXPECT_EQ(10, read(self->b, buf, sizeof(buf)));
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 10));
	EXPECT_EQ(90, readv(self->b, in, 3));
	EXPECT_TRUE(ft_pattern_ok(one, 0, 10));
	EXPECT_TRUE(ft_pattern_ok(two, 10, 20));
	EXPECT_TRUE(ft_pattern_ok(three, 30, 60));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
}

/* Truncation and peeking. */

TEST_F(record, F08_rest_of_a_record_is_gone)
{
	char buf[16];
	int flags;

	ASSERT_TRUE(ft_send_all(self->a, 0, 100, 100));
	ASSERT_TRUE(ft_send_all(self->a, 5, 10, 10));
	EXPECT_EQ(16, receive(self->b, buf, 16, 0, &flags));
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 16));
	EXPECT_EQ(MSG_TRUNC, flags & MSG_TRUNC);
	EXPECT_EQ(10, receive(self->b, buf, 10, 0, &flags));
	EXPECT_TRUE(ft_pattern_ok(buf, 5, 10));
	EXPECT_EQ(0, flags & MSG_TRUNC);
}

TEST_F(record, F08_trunc_tells_the_real_length)
{
	char buf[16];
	int flags;

	ASSERT_TRUE(ft_send_all(self->a, 0, 5000, 5000));
	ASSERT_TRUE(ft_send_all(self->a, 0, 5000, 5000));
	ASSERT_TRUE(ft_send_all(self->a, 1, 4, 4));
	EXPECT_EQ(5000, receive(self->b, buf, sizeof(buf),
				MSG_PEEK | MSG_TRUNC, &flags));
	EXPECT_EQ(MSG_TRUNC, flags & MSG_TRUNC);
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 16));
	EXPECT_EQ(5000, receive(self->b, buf, sizeof(buf), MSG_TRUNC, &flags));
	EXPECT_EQ(MSG_TRUNC, flags & MSG_TRUNC);
	/* Without room at all, too. */
	EXPECT_EQ(5000, recv(self->b, NULL, 0, MSG_TRUNC));
	EXPECT_EQ(4, receive(self->b, buf, sizeof(buf), MSG_TRUNC, &flags));
	EXPECT_EQ(0, flags & MSG_TRUNC);
	EXPECT_TRUE(ft_pattern_ok(buf, 1, 4));
}

TEST_F(record, F08_recv_of_no_bytes_takes_the_record)
{
	char buf[4];
	int flags;

	/* Unlike read(2), of which F10 tells. */
	ASSERT_EQ(2, send(self->a, "ab", 2, 0));
	ASSERT_EQ(2, send(self->a, "cd", 2, 0));
	EXPECT_EQ(0, receive(self->b, buf, 0, 0, &flags));
	EXPECT_EQ(MSG_TRUNC, flags & MSG_TRUNC);
	EXPECT_EQ(2, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(buf, "cd", 2));
}

TEST_F(record, F08_peek_takes_nothing)
{
	char buf[32];
	int flags;
	int i;

	ASSERT_TRUE(ft_send_all(self->a, 0, 20, 20));
	ASSERT_TRUE(ft_send_all(self->a, 9, 7, 7));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(4, receive(self->b, buf, 4, MSG_PEEK, &flags));
		EXPECT_TRUE(ft_pattern_ok(buf, 0, 4));
		EXPECT_EQ(MSG_TRUNC, flags & MSG_TRUNC);
		EXPECT_EQ(20, receive(self->b, buf, 32, MSG_PEEK, &flags));
		EXPECT_TRUE(ft_pattern_ok(buf, 0, 20));
		EXPECT_EQ(0, flags & MSG_TRUNC);
	}
	EXPECT_TRUE(record_next(self->b, 0, 20));
	EXPECT_TRUE(record_next(self->b, 9, 7));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, 1, MSG_PEEK | MSG_DONTWAIT));
}

TEST_F(record, F08_waiting)
{
	static const int flags[] = { 0, MSG_PEEK, MSG_WAITALL, MSG_TRUNC };
	char buf[16];
	size_t i;

	/* MSG_WAITALL does not mean more than one record. */
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		struct ft_call call = {
			.fn = ft_do_recv, .fd = self->b, .buf = buf,
			.len = sizeof(buf), .flags = flags[i],
		};

		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		ASSERT_TRUE(ft_send_all(self->a, i, 8, 8));
		ft_join(&call);
		EXPECT_EQ(8, call.ret);
		EXPECT_TRUE(ft_pattern_ok(buf, i, 8));
		if (flags[i] == MSG_PEEK)
			EXPECT_TRUE(record_next(self->b, i, 8));
	}
}

TEST_F(record, F08_waits_for_an_empty_record)
{
	char buf[16];
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = buf,
		.len = sizeof(buf),
	};

	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(0, send(self->a, "", 0, 0));
	ft_join(&call);
	EXPECT_EQ(0, call.ret);
}

TEST_F(record, O32_receive_timeout)
{
	int64_t start = ft_ticks_ms();
	char buf[8];

	ASSERT_EQ(0, ft_settimeo(self->b, SO_RCVTIMEO, 100));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_LE(FT_WAITED(100), ft_now_ms() - start);
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(1, recv(self->b, buf, sizeof(buf), 0));
	/* It does not touch poll. */
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
}

TEST_F(record, F18_nonblocking)
{
	char buf[8];

	ASSERT_LE(0, ft_nonblock(self->b, true));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_ERR(EAGAIN, read(self->b, buf, sizeof(buf)));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_NE(0, ft_poll(self->b, POLLIN, FT_LONG_MS));
	EXPECT_EQ(1, read(self->b, buf, sizeof(buf)));
}

/* Flags of a send, and what cannot be sent. */

TEST_F(record, F07_flags_that_change_nothing)
{
	char buf[8];

	EXPECT_EQ(2, send(self->a, "ab", 2, MSG_DONTROUTE));
	EXPECT_EQ(2, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(2, send(self->a, "cd", 2, MSG_CONFIRM));
	EXPECT_EQ(2, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(2, send(self->a, "ef", 2, MSG_NOSIGNAL));
	EXPECT_EQ(2, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(buf, "ef", 2));
}

TEST_F(local_record, F07_more_is_ignored)
{
	char buf[8];

	EXPECT_EQ(2, send(self->a, "ab", 2, MSG_MORE));
	EXPECT_EQ(2, send(self->a, "cd", 2, MSG_MORE));
	EXPECT_EQ(2, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	EXPECT_EQ(0, memcmp(buf, "ab", 2));
	EXPECT_EQ(2, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	EXPECT_EQ(0, memcmp(buf, "cd", 2));
}

TEST_F(record, F07_oob_is_refused)
{
	char buf[8];

	EXPECT_ERR(EOPNOTSUPP, send(self->a, "x", 1, MSG_OOB));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
}

TEST_F(local_record, F08_oob_is_refused)
{
	char buf[8];

	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_ERR(EOPNOTSUPP, recv(self->b, buf, 1, MSG_OOB | MSG_DONTWAIT));
	EXPECT_EQ(1, recv(self->b, buf, sizeof(buf), 0));
}

TEST_F(record, F07_too_large)
{
	int len = ft_getint(self->a, SO_SNDBUF) + 1;
	char *buf;

	ASSERT_LT(0, len);
	buf = calloc(1, len);
	ASSERT_NE(NULL, buf);
	EXPECT_ERR(EMSGSIZE, send(self->a, buf, len, 0));
	EXPECT_ERR(EMSGSIZE, send(self->a, buf, len, MSG_DONTWAIT));
	EXPECT_ERR(EMSGSIZE, write(self->a, buf, len));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, len, MSG_DONTWAIT));
	/* And nothing is broken by it. */
	EXPECT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(1, recv(self->b, buf, len, 0));
	free(buf);
}

TEST_F(ferry_record, F07_as_large_as_the_buffer)
{
	int len;

	len = ft_getint(self->a, SO_SNDBUF);
	ASSERT_TRUE(ft_send_all(self->a, 0, len, len));
	EXPECT_TRUE(record_next(self->b, 0, len));

	ft_shrink(self->a, self->b);
	len = ft_getint(self->a, SO_SNDBUF);
	ASSERT_TRUE(ft_send_all(self->a, 0, len, len));
	EXPECT_TRUE(record_next(self->b, 0, len));
}

TEST_F(record, F07_fault_sends_nothing)
{
	char *edge, *map = ft_page_edge(&edge);
	static const int sizes[] = { 1, 100, 4000, 20000 };
	struct iovec iov[2];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	static char data[20000];
	char buf[8];
	size_t i;

	ASSERT_NE(NULL, map);
	EXPECT_ERR(EFAULT, send(self->a, FT_WILD, 10, 0));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		iov[0].iov_base = data;
		iov[0].iov_len = sizes[i];
		iov[1].iov_base = edge - 5;
		iov[1].iov_len = 10;
		EXPECT_ERR(EFAULT, sendmsg(self->a, &msg, 0));
	}
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	EXPECT_TRUE(ft_send_all(self->a, 0, 5, 5));
	EXPECT_TRUE(record_next(self->b, 0, 5));
	munmap(map, edge - map);
}

TEST_F(ferry_record, F08_fault_loses_nothing)
{
	char *edge, *map = ft_page_edge(&edge);
	int i;

	/* Whether it is the only one, the first, or of several buffers. */
	ASSERT_NE(NULL, map);
	ASSERT_TRUE(ft_send_all(self->a, 0, 100, 100));
	EXPECT_ERR(EFAULT, recv(self->b, FT_WILD, 100, 0));
	EXPECT_ERR(EFAULT, recv(self->b, edge - 50, 100, 0));
	ASSERT_TRUE(ft_send_all(self->a, 1, 50000, 50000));
	EXPECT_ERR(EFAULT, recv(self->b, edge - 99, 100, 0));
	EXPECT_ERR(EFAULT, recv(self->b, edge - 99, 100, MSG_PEEK));
	EXPECT_TRUE(record_next(self->b, 0, 100));
	for (i = 0; i < 3; i++)
		EXPECT_ERR(EFAULT, recv(self->b, edge - 300, 50000, 0));
	ASSERT_TRUE(ft_send_all(self->a, 2, 7, 7));
	EXPECT_ERR(EFAULT, recv(self->b, edge - 300, 50000, 0));
	EXPECT_TRUE(record_next(self->b, 1, 50000));
	EXPECT_TRUE(record_next(self->b, 2, 7));
	munmap(map, edge - map);
}

/* The end. */

TEST_F(local_record, F15_what_was_delivered_stays)
{
	ASSERT_TRUE(ft_send_all(self->a, 0, 10, 10));
	ASSERT_TRUE(ft_send_all(self->a, 1, 3000, 3000));
	ft_close(&self->a);
	EXPECT_TRUE(record_next(self->b, 0, 10));
	EXPECT_TRUE(record_next(self->b, 1, 3000));
}

TEST_F(local_record, F15_unread_records_are_freed)
{
	ASSERT_TRUE(ft_send_all(self->a, 0, 50000, 5000));
	ft_close(&self->b);
	/* The teardown counts sockets: a's buffers kept none alive. */
}

TEST_F(seqpacket, F16_wr_is_eof_for_the_peer)
{
	char buf[8];

	ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
	EXPECT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_TRUE(record_next(self->b, 0, 5));
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_ERR(EPIPE, send(self->a, buf, 1, MSG_NOSIGNAL));
	EXPECT_TRUE(ft_send_all(self->b, 9, 50, 50));
	EXPECT_TRUE(record_next(self->a, 9, 50));
}

TEST_F(seqpacket, F16_rd_is_eof_for_oneself)
{
	char buf[8];

	EXPECT_EQ(0, shutdown(self->b, SHUT_RD));
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_ERR(EPIPE, send(self->a, buf, 1, MSG_NOSIGNAL));
	EXPECT_TRUE(ft_send_all(self->b, 0, 5, 5));
	EXPECT_TRUE(record_next(self->a, 0, 5));
}

TEST_F(local_record, F16_rdwr)
{
	char buf[8];

	EXPECT_EQ(0, shutdown(self->a, SHUT_RDWR));
	EXPECT_EQ(0, recv(self->a, buf, 1, 0));
	EXPECT_ERR(EPIPE, send(self->a, buf, 1, MSG_NOSIGNAL));
	EXPECT_ERR(EPIPE, send(self->b, buf, 1, MSG_NOSIGNAL));
}

TEST_F(local_record, F16_wakes_who_waits_on_the_same_socket)
{
	char byte;
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->a, .buf = &byte, .len = 1,
	};

	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	EXPECT_EQ(0, shutdown(self->a, SHUT_RD));
	ft_join(&call);
	EXPECT_EQ(0, call.ret);
}

TEST_F(local_record, F16_bad_arguments)
{
	EXPECT_ERR(EINVAL, shutdown(self->a, 3));
	EXPECT_ERR(EINVAL, shutdown(self->a, -1));
}

TEST_F(seqpacket, F16_peer_close_wakes_a_reader)
{
	char byte;
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = &byte, .len = 1,
	};

	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ft_close(&self->a);
	ft_join(&call);
	EXPECT_EQ(0, call.ret);
}

TEST_F(seqpacket, F15_close_with_unread_records_resets_the_peer)
{
	char buf[8];

	ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
	ASSERT_TRUE(ft_send_all(self->b, 3, 6, 6));
	ft_close(&self->b);
	EXPECT_ERR(ECONNRESET, send(self->a, "x", 1, MSG_NOSIGNAL));
	EXPECT_ERR(EPIPE, send(self->a, "x", 1, MSG_NOSIGNAL));
	EXPECT_TRUE(record_next(self->a, 3, 6));
	EXPECT_EQ(0, recv(self->a, buf, sizeof(buf), 0));
}

/* The end of a record, and the end of everything. */

TEST_F(ferry_seqpacket, F07_eor_is_seen_by_the_receiver)
{
	char buf[8];
	int flags;

	ASSERT_EQ(2, send(self->a, "ab", 2, MSG_EOR));
	ASSERT_EQ(2, send(self->a, "cd", 2, 0));
	ASSERT_EQ(2, send(self->a, "ef", 2, MSG_EOR));
	EXPECT_EQ(2, receive(self->b, buf, 8, MSG_PEEK, &flags));
	EXPECT_EQ(MSG_EOR, flags & MSG_EOR);
	EXPECT_EQ(2, receive(self->b, buf, 8, 0, &flags));
	EXPECT_EQ(MSG_EOR, flags & MSG_EOR);
	EXPECT_EQ(2, receive(self->b, buf, 8, 0, &flags));
	EXPECT_EQ(0, flags & MSG_EOR);
	/* Also when the record is cut. */
	EXPECT_EQ(1, receive(self->b, buf, 1, 0, &flags));
	EXPECT_EQ(MSG_EOR | MSG_TRUNC, flags & (MSG_EOR | MSG_TRUNC));
}

TEST_F(ferry_seqpacket, F10_write_is_a_whole_record)
{
	char buf[8];
	int flags;

	/* The core adds MSG_EOR to a write(2) on this type. */
	ASSERT_EQ(2, write(self->a, "ab", 2));
	EXPECT_EQ(2, receive(self->b, buf, 8, 0, &flags));
	EXPECT_EQ(MSG_EOR, flags & MSG_EOR);
}

TEST_F(ferry_seqpacket, F08_empty_record_is_not_the_end)
{
	char buf[8];
	int flags;

	ASSERT_EQ(0, send(self->a, "", 0, 0));
	ASSERT_EQ(0, send(self->a, "", 0, MSG_EOR));
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_EQ(0, receive(self->b, buf, 8, MSG_PEEK, &flags));
	EXPECT_EQ(MSG_EOR, flags & MSG_EOR);
	EXPECT_EQ(0, receive(self->b, buf, 8, 0, &flags));
	EXPECT_EQ(MSG_EOR, flags & MSG_EOR);
	EXPECT_EQ(0, receive(self->b, buf, 8, 0, &flags));
	EXPECT_EQ(MSG_EOR, flags & MSG_EOR);
	EXPECT_EQ(0, receive(self->b, buf, 8, 0, &flags));
	EXPECT_EQ(0, flags & MSG_EOR);
	EXPECT_EQ(0, receive(self->b, buf, 8, MSG_PEEK, &flags));
	EXPECT_EQ(0, flags & MSG_EOR);
}

TEST_F(ferry_record, F08_empty_record_has_eor)
{
	char buf[8];
	int flags;

	ASSERT_EQ(0, send(self->a, "", 0, 0));
	EXPECT_EQ(0, receive(self->b, buf, 8, 0, &flags));
	EXPECT_EQ(MSG_EOR, flags & MSG_EOR);
	ASSERT_EQ(0, shutdown(self->b, SHUT_RD));
	EXPECT_EQ(0, receive(self->b, buf, 8, 0, &flags));
	EXPECT_EQ(0, flags & MSG_EOR);
}

TEST_F(ferry_seqpacket, F07_destination_on_a_connection)
{
	struct ft_addr addr;

	ft_addr_new(AF_FERRY, &addr);
	EXPECT_ERR(EISCONN, sendto(self->a, "x", 1, 0, &addr.sa, addr.len));
}

/* Buffers. */

TEST_F(record, O28_rcvbuf_doubled)
{
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 20000));
	EXPECT_EQ(40000, ft_getint(self->b, SO_RCVBUF));
}

TEST_F(record, O38_sndbuf_doubled)
{
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 20000));
	EXPECT_EQ(40000, ft_getint(self->a, SO_SNDBUF));
}

TEST_F(local_record, O38_sndbuf_bounds_the_sender)
{
	int n, i;

	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 16384));
	n = record_fill(self->a, 2000);
	EXPECT_LT(0, n);
	/* Twice the value set, and the record that went over it. */
	EXPECT_GE(2 * 16384 / 2000 + 1, n);
	for (i = 0; i < n; i++)
		ASSERT_TRUE(record_next(self->b, i, 2000));
	ASSERT_EQ(1, send(self->a, "x", 1, MSG_DONTWAIT));
}

TEST_F(ferry_record, O28_rcvbuf_bounds_what_waits_unread)
{
	int n, i;

	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 16384));
	n = record_fill(self->a, 2000);
	EXPECT_LT(0, n);
	EXPECT_GE(2 * 16384 / 2000 + 1, n);
	for (i = 0; i < n; i++)
		ASSERT_TRUE(record_next(self->b, i, 2000));
	ASSERT_EQ(1, send(self->a, "x", 1, MSG_DONTWAIT));
}

TEST_F(ferry_record, O28_smallest_buffers_still_carry)
{
	int i;

	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 1));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 1));
	for (i = 0; i < 20; i++) {
		ASSERT_TRUE(ft_send_all(self->a, i, 1000, 1000));
		ASSERT_TRUE(record_next(self->b, i, 1000));
	}
}

TEST_F(ferry_record, N01_half_of_a_buffer_is_payload)
{
	int size, n, i;

	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 65536));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 65536));
	size = ft_getint(self->b, SO_RCVBUF);
	ASSERT_EQ(131072, size);
	n = record_fill(self->a, 4096);
	EXPECT_LE(size / 2, n * 4096);
	for (i = 0; i < n; i++)
		ASSERT_TRUE(record_next(self->b, i, 4096));
}

TEST_F(local_record, O33_send_timeout)
{
	int64_t start;
	char byte = 0;

	ft_shrink(self->a, self->b);
	ASSERT_LT(0, record_fill(self->a, 2000));
	ASSERT_EQ(0, ft_settimeo(self->a, SO_SNDTIMEO, 100));
	start = ft_ticks_ms();
	EXPECT_ERR(EAGAIN, send(self->a, &byte, 1, 0));
	EXPECT_LE(FT_WAITED(100), ft_now_ms() - start);
}

TEST_F(local_record, F07_a_full_receiver_makes_the_sender_wait)
{
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->a, .buf = "last", .len = 4,
	};
	char buf[8];
	int n, i;

	ft_shrink(self->a, self->b);
	n = record_fill(self->a, 2000);
	ASSERT_LT(0, n);
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	for (i = 0; i < n; i++)
		ASSERT_TRUE(record_next(self->b, i, 2000));
	ft_join(&call);
	EXPECT_EQ(4, call.ret);
	EXPECT_EQ(4, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(buf, "last", 4));
}

#define BLOCKED	12

/* Calls that wait on one socket, with records that are large for its buffer. */
TEST_F_TIMEOUT(local_record, O38_many_blocked_senders, FT_SLOW_S)
{
	struct ft_call call[BLOCKED];
	int i, n, sndbuf, round, got;
	char *buf = malloc(20001);

	ASSERT_NE(NULL, buf);
	ft_pattern(buf, 7, 20000);
	ft_shrink(self->a, self->b);
	ft_setint(self->a, SO_SNDBUF, 16384);
	sndbuf = ft_getint(self->a, SO_SNDBUF);
	for (round = 0; round < 3; round++) {
		n = record_fill(self->a, 2000);
		ASSERT_LT(0, n);
		for (i = 0; i < BLOCKED; i++) {
			call[i] = (struct ft_call){
				.fn = ft_do_send, .fd = self->a, .buf = buf,
				.len = 20000,
			};
			ASSERT_EQ(0, ft_start(&call[i]));
			ASSERT_TRUE(ft_blocked(&call[i]));
			EXPECT_GE(sndbuf + 24000,
				  ft_meminfo(self->a, SK_MEMINFO_WMEM_ALLOC));
		}
		for (i = 0; i < n; i++)
			ASSERT_TRUE(record_next(self->b, i, 2000));
		for (i = 0, got = 0; i < BLOCKED; i++)
			got += record_next(self->b, 7, 20000);
		EXPECT_EQ(BLOCKED, got);
		for (i = 0; i < BLOCKED; i++) {
			ft_join(&call[i]);
			EXPECT_EQ(20000, call[i].ret);
		}
		EXPECT_EQ(0, ft_meminfo(self->a, SK_MEMINFO_WMEM_ALLOC));
	}
	free(buf);
}

TEST_F(ferry_record, O28_more_room_wakes_a_sender)
{
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->a, .buf = "last", .len = 4,
	};

	if (ft_kernel_before(6, 7))
		SKIP(return, "before 6.7 the core sets SO_RCVBUF and tells nobody");
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 16384));
	ASSERT_LT(0, record_fill(self->a, 2000));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 100000));
	ft_join(&call);
	EXPECT_EQ(4, call.ret);
}

TEST_F(ferry_record, O38_more_room_wakes_a_sender)
{
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->a, .buf = "last", .len = 4,
	};

	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 16384));
	ASSERT_LT(0, record_fill(self->a, 2000));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 100000));
	ft_join(&call);
	EXPECT_EQ(4, call.ret);
}

TEST_F(seqpacket, F16_shutdown_wakes_a_sender)
{
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->a, .buf = "last", .len = 4,
		.flags = MSG_NOSIGNAL,
	};

	ft_shrink(self->a, self->b);
	ASSERT_LT(0, record_fill(self->a, 2000));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	EXPECT_EQ(0, shutdown(self->b, SHUT_RD));
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(EPIPE, call.err);
}

/* Many who read one socket. */

/* How often a thread of this process has gone to sleep. */
static long sleeps(pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	return ft_proc_number(path, "voluntary_ctxt_switches:");
}

#define WORKERS	6

TEST_F(record, F08_one_message_wakes_one_reader)
{
	struct ft_call call[WORKERS];
	char buf[WORKERS][8];
	long before[WORKERS];
	int i, j, woken = 0;

	for (i = 0; i < WORKERS; i++) {
		call[i] = (struct ft_call){
			.fn = ft_do_recv, .fd = self->b, .buf = buf[i],
			.len = sizeof(buf[i]),
		};
		ASSERT_EQ(0, ft_start(&call[i]));
		ASSERT_TRUE(ft_blocked(&call[i]));
		before[i] = sleeps(call[i].tid);
		EXPECT_LT(0, before[i]);
	}
	/* The first to wait is the first to be woken, the others sleep on. */
	for (i = 0; i < WORKERS; i++) {
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		ft_join(&call[i]);
		EXPECT_EQ(1, call[i].ret);
		for (j = i + 1; j < WORKERS; j++) {
			ASSERT_TRUE(ft_blocked(&call[j]));
			woken += sleeps(call[j].tid) != before[j];
		}
	}
	EXPECT_EQ(0, woken);
}

TEST_F(local_record, F16_wakes_all_readers)
{
	struct ft_call call[WORKERS];
	char buf[WORKERS][8];
	int i;

	for (i = 0; i < WORKERS; i++) {
		call[i] = (struct ft_call){
			.fn = ft_do_recv, .fd = self->b, .buf = buf[i],
			.len = sizeof(buf[i]),
		};
		ASSERT_EQ(0, ft_start(&call[i]));
		ASSERT_TRUE(ft_blocked(&call[i]));
	}
	ASSERT_EQ(0, shutdown(self->b, SHUT_RD));
	for (i = 0; i < WORKERS; i++) {
		ft_join(&call[i]);
		EXPECT_EQ(0, call[i].ret);
	}
}

/* Who peeks does not keep a record from who waits for it, and both hear of it. */
TEST_F(ferry_record, F08_readers_beside_those_who_peek)
{
	struct ft_call call[4];
	char buf[4][8];
	int i;

	for (i = 0; i < 4; i++) {
		call[i] = (struct ft_call){
			.fn = ft_do_recv, .fd = self->b, .buf = buf[i],
			.len = sizeof(buf[i]), .flags = i % 2 ? 0 : MSG_PEEK,
		};
		ASSERT_EQ(0, ft_start(&call[i]));
		ASSERT_TRUE(ft_blocked(&call[i]));
	}
	for (i = 0; i < 4; i++)
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
	/* Two are taken, so two stay for whoever peeks. */
	for (i = 0; i < 4; i++) {
		ft_join(&call[i]);
		EXPECT_EQ(1, call[i].ret);
	}
	for (i = 0; i < 2; i++)
		EXPECT_EQ(1, recv(self->b, buf[0], 8, MSG_DONTWAIT));
	EXPECT_ERR(EAGAIN, recv(self->b, buf[0], 8, MSG_DONTWAIT));
}

static void no_action(int sig)
{
}

/*
 * A signal hits the reader that a record wakes: it takes the record, or the next
 * reader does.
 */
TEST_F_TIMEOUT(local_record, X06_a_signal_passes_the_wake_up_on, FT_SLOW_S)
{
	struct sigaction action = { .sa_handler = no_action }, old;
	struct ft_call call[2];
	char buf[2][8];
	int i, round;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, &old));
	for (round = 0; round < 200; round++) {
		for (i = 0; i < 2; i++) {
			call[i] = (struct ft_call){
				.fn = ft_do_recv, .fd = self->b, .buf = buf[i],
				.len = sizeof(buf[i]),
			};
			ASSERT_EQ(0, ft_start(&call[i]));
			ASSERT_TRUE(ft_blocked(&call[i]));
		}
		if (round & 1)
			pthread_kill(call[0].thread, SIGUSR1);
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		if (!(round & 1))
			pthread_kill(call[0].thread, SIGUSR1);
		ft_join(&call[0]);
		if (call[0].ret == 1)
			ASSERT_EQ(1, send(self->a, "x", 1, 0));
		ft_join(&call[1]);
		ASSERT_EQ(1, call[1].ret);
		ASSERT_TRUE(call[0].ret == 1 || call[0].err == EINTR);
	}
	sigaction(SIGUSR1, &old, NULL);
}

struct pool {
	pthread_t thread;
	atomic_int *left;
	int fd;
};

/* Takes records until there are none to come; a timeout sends it back in line. */
static void *work(void *arg)
{
	struct pool *pool = arg;
	char buf[8];

	while (atomic_load(pool->left) > 0) {
		if (recv(pool->fd, buf, sizeof(buf), 0) == 1 && buf[0] != 'q')
			atomic_fetch_sub(pool->left, 1);
	}
	return NULL;
}

/* No record lies there while all sleep. */
TEST_F_TIMEOUT(local_record, F08_many_readers_lose_no_wake_up, FT_SLOW_S)
{
	struct pool pool[WORKERS];
	atomic_int left = 2000;
	int i, n = 0;

	for (i = 0; i < WORKERS; i++) {
		pool[i] = (struct pool){ .left = &left, .fd = self->b };
		ASSERT_EQ(0, pthread_create(&pool[i].thread, NULL, work,
					    &pool[i]));
	}
	while (n < 2000) {
		int64_t end = ft_now_ms() + FT_LONG_MS;

		/* A few at once, and the next when they are taken. */
		for (i = 0; i <= n % 4 && n < 2000; i++, n++)
			ASSERT_EQ(1, send(self->a, "x", 1, 0));
		while (atomic_load(&left) > 2000 - n && ft_now_ms() < end)
			sched_yield();
		ASSERT_EQ(2000 - n, atomic_load(&left));
	}
	for (i = 0; i < WORKERS; i++)
		ASSERT_EQ(1, send(self->a, "q", 1, 0));
	for (i = 0; i < WORKERS; i++)
		pthread_join(pool[i].thread, NULL);
	while (recv(self->b, &i, 1, MSG_DONTWAIT) == 1)
		;
}

/* Queue lengths. */

TEST_F(ferry_record, I05_inq_is_the_next_record)
{
	char buf[8];
	int n;

	ASSERT_EQ(0, ioctl(self->b, SIOCINQ, &n));
	EXPECT_EQ(0, n);
	ASSERT_TRUE(ft_send_all(self->a, 0, 100, 100));
	ASSERT_EQ(0, send(self->a, "", 0, 0));
	ASSERT_TRUE(ft_send_all(self->a, 0, 30000, 30000));
	ASSERT_EQ(0, ioctl(self->b, SIOCINQ, &n));
	EXPECT_EQ(100, n);
	EXPECT_TRUE(record_next(self->b, 0, 100));
	ASSERT_EQ(0, ioctl(self->b, FIONREAD, &n));
	EXPECT_EQ(0, n);
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
	ASSERT_EQ(0, ioctl(self->b, SIOCINQ, &n));
	EXPECT_EQ(30000, n);
}

TEST_F(ferry_record, I05_outq_in_bytes)
{
	char buf[5];
	int n;

	ASSERT_EQ(0, ioctl(self->a, SIOCOUTQ, &n));
	EXPECT_EQ(0, n);
	ASSERT_TRUE(ft_send_all(self->a, 0, 100, 100));
	ASSERT_TRUE(ft_send_all(self->a, 1, 30000, 30000));
	ASSERT_EQ(0, ioctl(self->a, TIOCOUTQ, &n));
	EXPECT_EQ(30100, n);
	ASSERT_TRUE(record_next(self->b, 0, 100));
	ASSERT_EQ(0, ioctl(self->a, SIOCOUTQ, &n));
	EXPECT_EQ(30000, n);
	/* What is cut off is read as well. */
	ASSERT_EQ(5, recv(self->b, buf, sizeof(buf), 0));
	ASSERT_EQ(0, ioctl(self->a, SIOCOUTQ, &n));
	EXPECT_EQ(0, n);
	/* The other direction is not counted. */
	ASSERT_TRUE(ft_send_all(self->b, 1, 300, 300));
	ASSERT_EQ(0, ioctl(self->a, SIOCOUTQ, &n));
	EXPECT_EQ(0, n);
}

TEST_F(ferry_record, I05_outq_after_the_receiver_has_gone)
{
	int n;

	ASSERT_TRUE(ft_send_all(self->a, 0, 100, 100));
	ft_close(&self->b);
	ASSERT_EQ(0, ioctl(self->a, SIOCOUTQ, &n));
	EXPECT_EQ(0, n);
}

TEST_F(ferry_record, I06_no_mark_on_records)
{
	int n = 7;

	EXPECT_NE(0, ft_err(ioctl(self->b, SIOCATMARK, &n)));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_NE(0, ft_err(ioctl(self->b, SIOCATMARK, &n)));
	EXPECT_EQ(7, n);
}

/* Before there is a connection, and other abuse. */

TEST_F(seqpacket, F07_unconnected)
{
	int fd = socket(variant->kind.domain, variant->kind.type, 0);
	char buf[8];

	ASSERT_LE(0, fd);
	EXPECT_ERR(ENOTCONN, send(fd, "x", 1, 0));
	EXPECT_ERR(ENOTCONN, recv(fd, buf, sizeof(buf), 0));
	if (variant->kind.domain == AF_FERRY)
		EXPECT_ERR(ENOTCONN, shutdown(fd, SHUT_RDWR));
	ft_close(&fd);
}

TEST_F(local_record, F08_unknown_flags_and_lengths)
{
	char buf[8];

	EXPECT_ERR(EFAULT, send(self->a, FT_WILD, 1, MSG_DONTWAIT));
	EXPECT_ERR(EBADF, send(-1, "x", 1, 0));
	EXPECT_ERR(EMSGSIZE, send(self->a, "x", INT32_MAX, MSG_DONTWAIT));
	ASSERT_EQ(1, send(self->a, "x", 1, MSG_BATCH));
	EXPECT_EQ(1, recv(self->b, buf, sizeof(buf), 0));
}

FT_HARNESS_MAIN
