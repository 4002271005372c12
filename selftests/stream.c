// SPDX-License-Identifier: GPL-2.0
/*
 * Sending and receiving on a byte stream: every call, every flag but MSG_OOB,
 * MSG_ZEROCOPY and MSG_ERRQUEUE. F07, F08, F10, F16 and what is left of F17.
 */

#include "stream_fixture.h"

TEST_F(stream, F07_pieces_of_every_size)
{
	size_t size, sent = 0, received = 0;

	for (size = 1; size <= 20000; size += size / 3 + 1) {
		ASSERT_TRUE(ft_send_all(self->a, sent, size, size));
		sent += size;
		ASSERT_TRUE(ft_recv_all(self->b, received, size, size));
		received += size;
	}
}

TEST_F(stream, F07_many_small_into_one_large)
{
	size_t i;

	/* AF_UNIX has room for some 270 of them: a buffer each. */
	for (i = 0; i < 200; i++)
		ASSERT_TRUE(ft_send_all(self->a, i * 3, 3, 3));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 600, 600));
}

TEST_F(stream, F07_one_large_into_many_small)
{
	ASSERT_TRUE(ft_send_all(self->a, 0, 9000, 9000));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 9000, 7));
}

TEST_F(stream, F07_both_directions_are_independent)
{
	ASSERT_TRUE(ft_send_all(self->a, 0, 5000, 1000));
	ASSERT_TRUE(ft_send_all(self->b, 7777, 5000, 1000));
	EXPECT_TRUE(ft_recv_all(self->a, 7777, 5000, 600));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 5000, 600));
}

struct mover {
	pthread_t thread;
	int fd;
	size_t len;
	size_t chunk;
	bool send;
	bool ok;
};

static void *move_data(void *arg)
{
	struct mover *mover = arg;

	if (mover->send)
		mover->ok = ft_send_all(mover->fd, 0, mover->len, mover->chunk);
	else
		mover->ok = ft_recv_all(mover->fd, 0, mover->len, mover->chunk);
	return NULL;
}

TEST_F_TIMEOUT(stream, F07_bulk_in_both_directions_at_once, FT_SLOW_S)
{
	struct mover mover[4] = {
		{ .fd = self->a, .len = 1 << 19, .chunk = 3001, .send = true },
		{ .fd = self->b, .len = 1 << 19, .chunk = 4096 },
		{ .fd = self->b, .len = 1 << 19, .chunk = 65536, .send = true },
		{ .fd = self->a, .len = 1 << 19, .chunk = 777 },
	};
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&mover[i].thread, NULL, move_data,
					    &mover[i]));
	for (i = 0; i < 4; i++) {
		pthread_join(mover[i].thread, NULL);
		EXPECT_TRUE(mover[i].ok);
	}
}

TEST_F(stream, F07_send_larger_than_all_buffers)
{
	struct ft_call call = { .fn = ft_do_send, .fd = self->a };
	size_t len = 300000;

	ft_shrink(self->a, self->b);
	call.buf = malloc(len);
	ASSERT_NE(NULL, call.buf);
	call.len = len;
	ft_pattern(call.buf, 0, len);
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	EXPECT_TRUE(ft_recv_all(self->b, 0, len, 5000));
	ft_join(&call);
	EXPECT_EQ(len, call.ret);
	free(call.buf);
}

TEST_F(stream, F07_dontwait)
{
	ssize_t total;
	char byte = 0;

	ft_shrink(self->a, self->b);
	total = ft_fill(self->a, 0, 4096);
	ASSERT_LT(0, total);
	EXPECT_ERR(EAGAIN, send(self->a, &byte, 1, MSG_DONTWAIT));
	EXPECT_TRUE(ft_recv_all(self->b, 0, total, 4096));
	EXPECT_NE(0, ft_poll(self->a, POLLOUT, FT_LONG_MS));
	EXPECT_EQ(1, send(self->a, &byte, 1, MSG_DONTWAIT));
}

TEST_F(stream, F18_nonblocking_send)
{
	ssize_t total, n;
	char buf[4096];
	char *large;

	ft_shrink(self->a, self->b);
	ASSERT_LE(0, ft_nonblock(self->a, true));
	ASSERT_LE(0, ft_nonblock(self->b, true));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_ERR(EAGAIN, read(self->b, buf, sizeof(buf)));
	total = ft_fill(self->a, 0, 4096);
	ASSERT_LT(0, total);
	EXPECT_ERR(EAGAIN, write(self->a, buf, sizeof(buf)));
	ASSERT_LE(0, ft_nonblock(self->b, false));
	EXPECT_TRUE(ft_recv_all(self->b, 0, total, 4096));

	/* More than fits: as much as fits is taken, and that is kept. */
	EXPECT_NE(0, ft_poll(self->a, POLLOUT, FT_LONG_MS));
	large = malloc(1 << 20);
	ASSERT_NE(NULL, large);
	ft_pattern(large, 0, 1 << 20);
	n = write(self->a, large, 1 << 20);
	ASSERT_LT(0, n);
	EXPECT_GT(1 << 20, n);
	EXPECT_TRUE(ft_recv_all(self->b, 0, n, 4096));
	free(large);
}

TEST_F(stream, F07_zero_bytes_are_nothing)
{
	EXPECT_EQ(0, send(self->a, "", 0, 0));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	EXPECT_EQ(0, write(self->a, "", 0));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	EXPECT_TRUE(ft_send_all(self->a, 0, 5, 5));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 5, 5));
}

TEST_F(stream, F07_eor_and_dontroute_change_nothing)
{
	char buf[8] = "";

	EXPECT_EQ(2, send(self->a, "ab", 2, MSG_EOR));
	EXPECT_EQ(2, send(self->a, "cd", 2, MSG_DONTROUTE));
	EXPECT_EQ(2, send(self->a, "ef", 2, MSG_CONFIRM));
	EXPECT_EQ(6, recv(self->b, buf, 6, MSG_WAITALL));
	EXPECT_STREQ("abcdef", buf);
}

TEST_F(stream, F07_more_loses_nothing)
{
	char buf[8] = "";

	EXPECT_EQ(2, send(self->a, "ab", 2, MSG_MORE));
	EXPECT_EQ(2, send(self->a, "cd", 2, 0));
	EXPECT_EQ(4, recv(self->b, buf, 4, MSG_WAITALL));
	EXPECT_STREQ("abcd", buf);

	/* Nothing follows: it arrives all the same. */
	EXPECT_EQ(2, send(self->a, "ef", 2, MSG_MORE));
	EXPECT_EQ(2, recv(self->b, buf, 2, MSG_WAITALL));
	EXPECT_EQ(0, memcmp(buf, "ef", 2));

	EXPECT_EQ(2, send(self->a, "gh", 2, MSG_MORE));
	EXPECT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_EQ(2, recv(self->b, buf, 4, MSG_WAITALL));
	EXPECT_EQ(0, memcmp(buf, "gh", 2));
}

TEST_F(stream, F07_sendmsg_scattered)
{
	struct iovec iov[1024];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1024 };
	static char data[8192];
	size_t i, at = 0;

	/* With empty pieces at both ends and in between. */
	ft_pattern(data, 0, sizeof(data));
	for (i = 0; i < 1024; i++) {
		iov[i].iov_base = data + at;
		iov[i].iov_len = i % 5 ? i % 7 : 0;
		at += iov[i].iov_len;
	}
	iov[1023].iov_len = 0;
	at = 0;
	for (i = 0; i < 1024; i++)
		at += iov[i].iov_len;
	EXPECT_EQ(at, sendmsg(self->a, &msg, 0));
	EXPECT_TRUE(ft_recv_all(self->b, 0, at, at));

	msg.msg_iovlen = 0;
	EXPECT_EQ(0, sendmsg(self->a, &msg, 0));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
}

TEST_F(stream, F08_recvmsg_scattered)
{
	char data[300], one[7], two[100], three[300];
	struct iovec iov[] = {
		{ one, sizeof(one) }, { NULL, 0 }, { two, sizeof(two) },
		{ three, sizeof(three) },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 4 };

	ASSERT_TRUE(ft_send_all(self->a, 0, 200, 50));
	ASSERT_TRUE(ft_wait_inq(self->b, 200));
	EXPECT_EQ(200, recvmsg(self->b, &msg, 0));
	EXPECT_EQ(0, msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC | MSG_OOB));
	memcpy(data, one, 7);
	memcpy(data + 7, two, 100);
	memcpy(data + 107, three, 93);
	EXPECT_TRUE(ft_pattern_ok(data, 0, 200));
}

TEST_F(stream, F07_sendmmsg_recvmmsg)
{
	struct mmsghdr out[4], in[4];
	struct iovec iov_out[4], iov_in[4];
	char data[40], got[4][10];
	int i;

	memset(out, 0, sizeof(out));
	memset(in, 0, sizeof(in));
	ft_pattern(data, 0, sizeof(data));
	for (i = 0; i < 4; i++) {
		iov_out[i].iov_base = data + i * 10;
		iov_out[i].iov_len = 10;
		out[i].msg_hdr.msg_iov = &iov_out[i];
		out[i].msg_hdr.msg_iovlen = 1;
		iov_in[i].iov_base = got[i];
		iov_in[i].iov_len = 10;
		in[i].msg_hdr.msg_iov = &iov_in[i];
		in[i].msg_hdr.msg_iovlen = 1;
	}
	EXPECT_EQ(4, sendmmsg(self->a, out, 4, 0));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(10, out[i].msg_len);
	ASSERT_TRUE(ft_wait_inq(self->b, 40));

	/* All but the last, and then no waiting for the fourth after it. */
	EXPECT_EQ(3, recvmmsg(self->b, in, 3, 0, NULL));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(10, in[i].msg_len);
		EXPECT_TRUE(ft_pattern_ok(got[i], i * 10, 10));
	}
	EXPECT_EQ(1, recvmmsg(self->b, in, 4, MSG_WAITFORONE, NULL));
	EXPECT_TRUE(ft_pattern_ok(got[0], 30, 10));
	EXPECT_ERR(EAGAIN, recvmmsg(self->b, in, 4, MSG_DONTWAIT, NULL));
}

TEST_F(stream, F07_sendmmsg_stops_at_the_first_failure)
{
	struct iovec iov[3] = {
		{ "abc", 3 }, { FT_WILD, 3 }, { "def", 3 },
	};
	struct mmsghdr out[3];
	char buf[8] = "";
	int i;

	memset(out, 0, sizeof(out));
	for (i = 0; i < 3; i++) {
		out[i].msg_hdr.msg_iov = &iov[i];
		out[i].msg_hdr.msg_iovlen = 1;
	}
	EXPECT_EQ(1, sendmmsg(self->a, out, 3, 0));
	EXPECT_ERR(EFAULT, sendmmsg(self->a, out + 1, 2, 0));
	EXPECT_EQ(3, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_STREQ("abc", buf);
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
}

TEST_F(stream, F08_peek_takes_nothing)
{
	char buf[16];
	int i;

	ASSERT_TRUE(ft_send_all(self->a, 0, 10, 5));
	ASSERT_TRUE(ft_wait_inq(self->b, 10));
	for (i = 0; i < 3; i++) {
		memset(buf, 0, sizeof(buf));
		EXPECT_EQ(4, recv(self->b, buf, 4, MSG_PEEK));
		EXPECT_TRUE(ft_pattern_ok(buf, 0, 4));
		EXPECT_EQ(10, recv(self->b, buf, sizeof(buf), MSG_PEEK));
		EXPECT_TRUE(ft_pattern_ok(buf, 0, 10));
	}
	EXPECT_TRUE(ft_recv_all(self->b, 0, 10, 10));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, 1, MSG_PEEK | MSG_DONTWAIT));
}

TEST_F(stream, F08_peek_waits)
{
	char buf[16];
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = buf,
		.len = sizeof(buf), .flags = MSG_PEEK,
	};

	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_TRUE(ft_send_all(self->a, 0, 6, 6));
	ft_join(&call);
	EXPECT_EQ(6, call.ret);
	EXPECT_TRUE(ft_recv_all(self->b, 0, 6, 6));
}

TEST_F(stream, F08_peek_after_a_partial_read)
{
	char buf[64];

	ASSERT_TRUE(ft_send_all(self->a, 0, 60, 20));
	ASSERT_TRUE(ft_wait_inq(self->b, 60));
	ASSERT_TRUE(ft_recv_all(self->b, 0, 27, 27));
	EXPECT_EQ(33, recv(self->b, buf, sizeof(buf), MSG_PEEK));
	EXPECT_TRUE(ft_pattern_ok(buf, 27, 33));
	EXPECT_TRUE(ft_recv_all(self->b, 27, 33, 33));
}

TEST_F(stream, F08_waitall)
{
	char buf[100];
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = buf,
		.len = sizeof(buf), .flags = MSG_WAITALL,
	};

	ASSERT_TRUE(ft_send_all(self->a, 0, 30, 30));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_TRUE(ft_send_all(self->a, 30, 30, 30));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_TRUE(ft_send_all(self->a, 60, 50, 50));
	ft_join(&call);
	EXPECT_EQ(100, call.ret);
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 100));
	EXPECT_TRUE(ft_recv_all(self->b, 100, 10, 10));
}

TEST_F(stream, F08_waitall_ends_with_the_stream)
{
	char buf[100];
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = buf,
		.len = sizeof(buf), .flags = MSG_WAITALL,
	};

	ASSERT_TRUE(ft_send_all(self->a, 0, 30, 30));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ft_close(&self->a);
	ft_join(&call);
	EXPECT_EQ(30, call.ret);
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 30));
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), MSG_WAITALL));
}

TEST_F(stream, F08_waitall_dontwait)
{
	char buf[100];

	ASSERT_TRUE(ft_send_all(self->a, 0, 30, 30));
	ASSERT_TRUE(ft_wait_inq(self->b, 30));
	EXPECT_EQ(30, recv(self->b, buf, sizeof(buf),
			   MSG_WAITALL | MSG_DONTWAIT));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf),
				MSG_WAITALL | MSG_DONTWAIT));
}

TEST_F(stream, F08_waitall_larger_than_the_buffer)
{
	size_t len = 300000;
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .len = len,
		.flags = MSG_WAITALL,
	};

	ft_shrink(self->a, self->b);
	call.buf = malloc(len);
	ASSERT_NE(NULL, call.buf);
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	EXPECT_TRUE(ft_send_all(self->a, 0, len, 10000));
	ft_join(&call);
	EXPECT_EQ(len, call.ret);
	EXPECT_TRUE(ft_pattern_ok(call.buf, 0, len));
	free(call.buf);
}

TEST_F(stream, F08_dontwait)
{
	char buf[8];

	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	ASSERT_TRUE(ft_send_all(self->a, 0, 3, 3));
	ASSERT_TRUE(ft_wait_inq(self->b, 3));
	EXPECT_EQ(3, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
}

TEST_F(stream, F08_blocks_until_data_comes)
{
	ssize_t (*fn[])(struct ft_call *) = {
		ft_do_recv, ft_do_recvmsg, ft_do_read, ft_do_readv,
	};
	char buf[16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fn); i++) {
		struct ft_call call = {
			.fn = fn[i], .fd = self->b, .buf = buf,
			.len = sizeof(buf),
		};

		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		ASSERT_TRUE(ft_send_all(self->a, i, 8, 8));
		ft_join(&call);
		EXPECT_EQ(8, call.ret);
		EXPECT_TRUE(ft_pattern_ok(buf, i, 8));
	}
}

TEST_F(stream, F08_cmsg_space_stays_empty)
{
	char buf[8], control[64];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};

	/* Nothing was asked for, so nothing comes, truncated or not. */
	ASSERT_TRUE(ft_send_all(self->a, 0, 4, 4));
	EXPECT_EQ(4, recvmsg(self->b, &msg, MSG_CMSG_CLOEXEC));
	EXPECT_EQ(0, msg.msg_controllen);
	EXPECT_EQ(0, msg.msg_flags & MSG_CTRUNC);
}

TEST_F(stream, F10_read_and_write)
{
	char buf[16];

	ft_pattern(buf, 0, 10);
	EXPECT_EQ(10, write(self->a, buf, 10));
	ASSERT_TRUE(ft_wait_inq(self->b, 10));
	EXPECT_EQ(0, read(self->b, buf, 0));
	memset(buf, 0, sizeof(buf));
	EXPECT_EQ(10, read(self->b, buf, sizeof(buf)));
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 10));
	/* A read of nothing does not wait for something. */
	EXPECT_EQ(0, read(self->b, buf, 0));
}

TEST_F(stream, F10_readv_and_writev)
{
	char data[90], one[10], two[20], three[70];
	struct iovec out[] = {
		{ data, 20 }, { data + 20, 0 }, { data + 20, 70 },
	};
	struct iovec in[] = {
		{ one, sizeof(one) }, { two, sizeof(two) },
		{ three, sizeof(three) },
	};

	ft_pattern(data, 0, sizeof(data));
	EXPECT_EQ(90, writev(self->a, out, 3));
	ASSERT_TRUE(ft_wait_inq(self->b, 90));
	EXPECT_EQ(90, readv(self->b, in, 3));
	EXPECT_TRUE(ft_pattern_ok(one, 0, 10));
	EXPECT_TRUE(ft_pattern_ok(two, 10, 20));
	EXPECT_TRUE(ft_pattern_ok(three, 30, 60));

	EXPECT_EQ(0, writev(self->a, out + 1, 1));
	EXPECT_EQ(0, writev(self->a, out, 0));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
}

TEST_F(stream, F16_wr_is_eof_for_the_peer)
{
	char buf[8];

	ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
	EXPECT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 5, 5));
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_ERR(EPIPE, send(self->a, buf, 1, MSG_NOSIGNAL));

	/* The other direction lives on. */
	EXPECT_TRUE(ft_send_all(self->b, 9, 50, 50));
	EXPECT_TRUE(ft_recv_all(self->a, 9, 50, 50));
}

TEST_F(stream, F16_rd_is_eof_for_oneself)
{
	char buf[8];

	ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
	ASSERT_TRUE(ft_wait_inq(self->b, 5));
	EXPECT_EQ(0, shutdown(self->b, SHUT_RD));
	/* What was there stays readable. */
	EXPECT_TRUE(ft_recv_all(self->b, 0, 5, 5));
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_TRUE(ft_send_all(self->b, 0, 5, 5));
	EXPECT_TRUE(ft_recv_all(self->a, 0, 5, 5));
}

TEST_F(stream, F16_rdwr)
{
	char buf[8];

	EXPECT_EQ(0, shutdown(self->a, SHUT_RDWR));
	EXPECT_EQ(0, recv(self->a, buf, 1, 0));
	EXPECT_EQ(0, recv(self->b, buf, 1, 0));
	EXPECT_ERR(EPIPE, send(self->a, buf, 1, MSG_NOSIGNAL));
}

TEST_F(stream, F16_wakes_who_waits_on_the_same_socket)
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

TEST_F(stream, F16_wakes_the_reader_at_the_other_end)
{
	char byte;
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = &byte, .len = 1,
	};

	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	EXPECT_EQ(0, shutdown(self->a, SHUT_WR));
	ft_join(&call);
	EXPECT_EQ(0, call.ret);
}

TEST_F(stream, F16_wakes_a_writer_on_the_same_socket)
{
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->a, .len = 1 << 20,
		.flags = MSG_NOSIGNAL,
	};
	ssize_t got;

	ft_shrink(self->a, self->b);
	call.buf = malloc(call.len);
	ASSERT_NE(NULL, call.buf);
	ft_pattern(call.buf, 0, call.len);
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	EXPECT_EQ(0, shutdown(self->a, SHUT_WR));
	ft_join(&call);

	/* It says how much went out, and that much arrives. */
	EXPECT_LT(0, call.ret);
	got = ft_drain(self->b, 0);
	EXPECT_EQ(call.ret, got);
	free(call.buf);
}

TEST_F(stream, F16_wrong_how)
{
	EXPECT_ERR(EINVAL, shutdown(self->a, 3));
	EXPECT_ERR(EINVAL, shutdown(self->a, -1));
	EXPECT_ERR(EBADF, shutdown(-1, SHUT_RD));
	EXPECT_ERR(ENOTSOCK, shutdown(STDOUT_FILENO, SHUT_RD));
	EXPECT_TRUE(ft_send_all(self->a, 0, 5, 5));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 5, 5));
}

TEST_F(local_stream, F16_rd_breaks_the_pipe_of_the_peer)
{
	char byte = 0;

	EXPECT_EQ(0, shutdown(self->b, SHUT_RD));
	EXPECT_ERR(EPIPE, send(self->a, &byte, 1, MSG_NOSIGNAL));
	EXPECT_TRUE(ft_send_all(self->b, 0, 5, 5));
	EXPECT_TRUE(ft_recv_all(self->a, 0, 5, 5));
}

TEST_F(local_stream, F16_rd_wakes_the_writer_at_the_other_end)
{
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->a, .len = 1 << 20,
		.flags = MSG_NOSIGNAL,
	};

	ft_shrink(self->a, self->b);
	call.buf = calloc(1, call.len);
	ASSERT_NE(NULL, call.buf);
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	EXPECT_EQ(0, shutdown(self->b, SHUT_RD));
	ft_join(&call);
	EXPECT_LT(0, call.ret);
	EXPECT_GT(1 << 20, call.ret);
	free(call.buf);
}

TEST_F(local_stream, F16_twice_is_as_good)
{
	EXPECT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_EQ(0, shutdown(self->a, SHUT_RD));
	EXPECT_EQ(0, shutdown(self->a, SHUT_RDWR));
	EXPECT_EQ(0, shutdown(self->b, SHUT_RDWR));
}

TEST_F(local_stream, F07_address_on_a_connected_stream)
{
	struct ft_addr addr;
	char byte = 'x';

	ft_addr_new(variant->kind.domain, &addr);
	EXPECT_ERR(EISCONN, sendto(self->a, &byte, 1, 0, &addr.sa, addr.len));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
}

TEST_F(local_stream, F07_not_connected)
{
	char byte = 'x';
	int fd;

	fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fd);
	EXPECT_ERR(ENOTCONN, send(fd, &byte, 1, MSG_NOSIGNAL));
	EXPECT_ERR(ENOTCONN, write(fd, &byte, 1));
	ft_close(&fd);
}

TEST_F(inet_stream, F08_not_connected)
{
	char byte;
	int fd;

	fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fd);
	EXPECT_ERR(ENOTCONN, recv(fd, &byte, 1, 0));
	EXPECT_ERR(ENOTCONN, recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK));
	EXPECT_ERR(ENOTCONN, read(fd, &byte, 1));
	ft_close(&fd);
}

FT_HARNESS_MAIN
