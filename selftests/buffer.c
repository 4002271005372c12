// SPDX-License-Identifier: GPL-2.0
/*
 * What a buffer holds, and what tells how much it holds. O28, O38, N01, I05.
 *
 * AF_UNIX bounds a stream by the sender's buffer alone, TCP has both ends buffer:
 * each is where its promise is the one asserted.
 */

#include "stream_fixture.h"

/* AF_UNIX and TCP charge what they queue whole: the last may go over by this much. */
#define SLACK	32768

/* The most that may lie unread under a limit as it is read back. */
static ssize_t most_unread(int domain, int fd, int option)
{
	return ft_getint(fd, option) + (domain == AF_FERRY ? 0 : SLACK);
}

static int unread(int fd)
{
	int n = -1;

	return ioctl(fd, SIOCINQ, &n) ? -1 : n;
}

TEST_F(stream, O28_rcvbuf_doubled)
{
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 20000));
	EXPECT_EQ(40000, ft_getint(self->b, SO_RCVBUF));
	EXPECT_ERR(EINVAL, setsockopt(self->b, SOL_SOCKET, SO_RCVBUF, "", 1));
	EXPECT_ERR(EFAULT, setsockopt(self->b, SOL_SOCKET, SO_RCVBUF, FT_WILD,
				      sizeof(int)));
	EXPECT_EQ(40000, ft_getint(self->b, SO_RCVBUF));
}

TEST_F(stream, O38_sndbuf_doubled)
{
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 20000));
	EXPECT_EQ(40000, ft_getint(self->a, SO_SNDBUF));
	EXPECT_ERR(EINVAL, setsockopt(self->a, SOL_SOCKET, SO_SNDBUF, "", 1));
	EXPECT_ERR(EFAULT, setsockopt(self->a, SOL_SOCKET, SO_SNDBUF, FT_WILD,
				      sizeof(int)));
	EXPECT_EQ(40000, ft_getint(self->a, SO_SNDBUF));
}

TEST_F(stream, O28_rcvbuf_floor_and_cap)
{
	int udp, least, most;

	/* Whatever the core does for a socket that has no rules of its own. */
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	ASSERT_LE(0, udp);
	ASSERT_EQ(0, ft_setint(udp, SO_RCVBUF, 0));
	least = ft_getint(udp, SO_RCVBUF);
	ASSERT_EQ(0, ft_setint(udp, SO_RCVBUF, INT32_MAX));
	most = ft_getint(udp, SO_RCVBUF);
	ft_close(&udp);
	ASSERT_LE(256, least);
	ASSERT_LT(least, most);

	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 0));
	EXPECT_EQ(least, ft_getint(self->b, SO_RCVBUF));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, INT32_MAX));
	EXPECT_EQ(most, ft_getint(self->b, SO_RCVBUF));
}

TEST_F(stream, O38_sndbuf_floor_and_cap)
{
	int udp, least, most;

	udp = socket(AF_INET, SOCK_DGRAM, 0);
	ASSERT_LE(0, udp);
	ASSERT_EQ(0, ft_setint(udp, SO_SNDBUF, 0));
	least = ft_getint(udp, SO_SNDBUF);
	ASSERT_EQ(0, ft_setint(udp, SO_SNDBUF, INT32_MAX));
	most = ft_getint(udp, SO_SNDBUF);
	ft_close(&udp);
	ASSERT_LE(2048, least);
	ASSERT_LT(least, most);

	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 0));
	EXPECT_EQ(least, ft_getint(self->a, SO_SNDBUF));
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, INT32_MAX));
	EXPECT_EQ(most, ft_getint(self->a, SO_SNDBUF));
}

static void *send_hundred_thousand(void *arg)
{
	return ft_send_all(*(int *)arg, 0, 100000, 30000) ? arg : NULL;
}

TEST_F(stream, O28_smallest_buffers_still_carry)
{
	pthread_t thread;
	void *ok;

	/*
	 * Not TCP: its window of a few bytes would be updated by a timer, some
	 * 200 ms a time.
	 */
	if (variant->kind.domain != AF_INET) {
		ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 0));
		ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 0));
	}
	ASSERT_EQ(0, pthread_create(&thread, NULL, send_hundred_thousand,
				    &self->a));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 100000, 10000));
	pthread_join(thread, &ok);
	EXPECT_NE(NULL, ok);
}

TEST_F(local_stream, O38_sndbuf_bounds_the_sender)
{
	ssize_t small, large;

	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 8192));
	small = ft_fill(self->a, 0, 4096);
	EXPECT_LT(0, small);
	EXPECT_GE(most_unread(variant->kind.domain, self->a, SO_SNDBUF), small);
	EXPECT_EQ(small, ft_drain(self->b, 0));

	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 80000));
	large = ft_fill(self->a, small, 4096);
	EXPECT_LT(2 * small, large);
	EXPECT_GE(most_unread(variant->kind.domain, self->a, SO_SNDBUF), large);
	EXPECT_EQ(large, ft_drain(self->b, small));
}

TEST_F(inet_stream, O28_rcvbuf_bounds_the_receiver)
{
	ssize_t small, most;

	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 4096));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 4096));
	small = ft_fill(self->a, 0, 4096);
	EXPECT_LT(0, small);
	/* TCP buffers at both ends. */
	most = variant->kind.domain == AF_FERRY ? 8192 : 8192 + 8192 + 2 * SLACK;
	EXPECT_GE(most, small);
}

TEST_F(ferry_stream, O28_rcvbuf_bounds_what_waits_unread)
{
	ssize_t small, large;

	/* A sender with all the room in the world. */
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 200000));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 8192));
	small = ft_fill(self->a, 0, 4096);
	EXPECT_LT(0, small);
	EXPECT_GE(16384, small);
	EXPECT_EQ(small, ft_drain(self->b, 0));

	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 80000));
	large = ft_fill(self->a, small, 4096);
	EXPECT_LE(80000, large);
	EXPECT_GE(160000, large);
	EXPECT_EQ(large, ft_drain(self->b, small));
}

/*
 * Whatever the messages' size and the limit, what is sent without waiting is never
 * more than the limit, whichever end has it; and it is something.
 */
static void never_more(struct __test_metadata *_metadata, int a, int b,
		       int limited, int option, int from, int to)
{
	static const int sizes[] = {
		1, 24, 100, 1000, 1024, 1025, 1500, 2304, 2305, 4000, 4096, 4536,
		4537, 9000, 10776, 10777, 16384, 32624, 32625, 32768, 32769, 50000,
		65536, 100000,
	};
	static const int limits[] = { 0, 2336, 4096, 5000, 10000, 21600, 32768 };
	uint64_t at = 0;
	size_t i, k;
	ssize_t n;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		ASSERT_EQ(0, ft_setint(limited, option, limits[i]));
		for (k = 0; k < ARRAY_SIZE(sizes); k++) {
			if (sizes[k] < from || sizes[k] > to)
				continue;
			n = ft_fill(a, at, sizes[k]);
			EXPECT_LT(0, n);
			EXPECT_GE(ft_getint(limited, option), n) {
				TH_LOG("limit %d, messages of %d", limits[i],
				       sizes[k]);
			}
			EXPECT_EQ(n, unread(b));
			ASSERT_EQ(n, ft_drain(b, at));
			at += n;
		}
	}
}

TEST_F(ferry_stream, O28_unread_never_exceeds_the_limit)
{
	never_more(_metadata, self->a, self->b, self->b, SO_RCVBUF, 1, 32768);
}

TEST_F(ferry_stream, O38_unread_never_exceeds_the_limit)
{
	never_more(_metadata, self->a, self->b, self->a, SO_SNDBUF, 1, 32768);
}

/* These go in pieces. */
TEST_F(ferry_stream, O28_long_messages_never_exceed_the_limit)
{
	never_more(_metadata, self->a, self->b, self->b, SO_RCVBUF, 32769, 100000);
}

TEST_F(ferry_stream, O38_long_messages_never_exceed_the_limit)
{
	never_more(_metadata, self->a, self->b, self->a, SO_SNDBUF, 32769, 100000);
}

#define LOWERED	8000	/* doubled */

/*
 * A limit is lowered below what lies unread already, under a sender that goes on:
 * nothing more comes until that is less.
 */
static void lowered(struct __test_metadata *_metadata, int a, int b, int limited,
		    int option)
{
	struct ft_call call = { .fn = ft_do_send, .fd = a, .len = 400000 };
	int limit, before, after;
	size_t done = 0;
	char buf[1501];

	call.buf = malloc(call.len);
	ASSERT_NE(NULL, call.buf);
	ft_pattern(call.buf, 0, call.len);
	ASSERT_EQ(0, ft_setint(limited, option, 50000));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(0, ft_setint(limited, option, LOWERED));
	limit = ft_getint(limited, option);
	before = unread(b);
	EXPECT_LT(limit, before);
	while (done < call.len) {
		ssize_t n = recv(b, buf, sizeof(buf), 0);

		ASSERT_LT(0, n);
		ASSERT_TRUE(ft_pattern_ok(buf, done, n));
		done += n;
		after = unread(b);
		ASSERT_GE(before - n > limit ? before - n : limit, after);
		before = after > before - n ? after : before - n;
		if (before < limit)
			before = limit;
	}
	ft_join(&call);
	EXPECT_EQ(call.len, call.ret);
	free(call.buf);
}

TEST_F(ferry_stream, O28_lowered_under_a_sender)
{
	lowered(_metadata, self->a, self->b, self->b, SO_RCVBUF);
}

TEST_F(ferry_stream, O38_lowered_under_a_sender)
{
	lowered(_metadata, self->a, self->b, self->a, SO_SNDBUF);
}

TEST_F(ferry_stream, N01_half_of_a_buffer_is_payload)
{
	static const int sizes[] = { 16384, 32768, 65536, 100000 };
	uint64_t at = 0;
	ssize_t n;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, sizes[i]));
		ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, sizes[i]));
		n = ft_fill(self->a, at, 4096);
		EXPECT_LE(sizes[i], n);
		EXPECT_EQ(n, ft_drain(self->b, at));
		at += n;
	}
}

TEST_F(ferry_stream, O38_one_byte_writes_share_buffers)
{
	ssize_t n;

	/* A buffer for each byte would end at a few hundred. */
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 16384));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 16384));
	n = ft_fill(self->a, 0, 1);
	EXPECT_LE(8192, n);
	EXPECT_EQ(n, ft_drain(self->b, 0));
}

TEST_F(ferry_stream, O28_more_room_wakes_a_sender)
{
	struct ft_call call = { .fn = ft_do_send, .fd = self->a, .len = 65536 };
	uint64_t at;

	if (ft_kernel_before(6, 7))
		SKIP(return, "before 6.7 the core sets SO_RCVBUF and tells nobody");
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 200000));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 4096));
	at = ft_fill(self->a, 0, 4096);
	call.buf = malloc(call.len);
	ASSERT_NE(NULL, call.buf);
	ft_pattern(call.buf, at, call.len);
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 200000));
	ft_join(&call);
	EXPECT_EQ(65536, call.ret);
	free(call.buf);
	EXPECT_TRUE(ft_recv_all(self->b, 0, at + 65536, 8192));
}

TEST_F(ferry_stream, O38_more_room_wakes_a_sender)
{
	struct ft_call call = { .fn = ft_do_send, .fd = self->a, .len = 65536 };
	uint64_t at;

	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 4096));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 200000));
	at = ft_fill(self->a, 0, 4096);
	call.buf = malloc(call.len);
	ASSERT_NE(NULL, call.buf);
	ft_pattern(call.buf, at, call.len);
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 200000));
	ft_join(&call);
	EXPECT_EQ(65536, call.ret);
	free(call.buf);
	EXPECT_TRUE(ft_recv_all(self->b, 0, at + 65536, 8192));
}

/* A window that shrinks below what is in it already (VSOCK wrapped there). */
TEST_F(ferry_stream, O28_shrinking_under_unread_data)
{
	ssize_t n;
	char byte;

	n = ft_fill(self->a, 0, 4096);
	ASSERT_LT(0, n);
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 0));
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 0));
	EXPECT_ERR(EAGAIN, send(self->a, &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ(0, ft_poll(self->a, POLLOUT, 0));
	EXPECT_EQ(n, ft_drain(self->b, 0));
	EXPECT_EQ(POLLOUT, ft_poll(self->a, POLLOUT, FT_LONG_MS));
	EXPECT_TRUE(ft_send_all(self->a, 0, 100, 100));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 100, 100));
}

TEST_F(stream, I05_inq)
{
	char buf[64];
	int n = -1;

	ASSERT_EQ(0, ioctl(self->b, SIOCINQ, &n));
	EXPECT_EQ(0, n);
	ASSERT_TRUE(ft_send_all(self->a, 0, 50, 10));
	ASSERT_TRUE(ft_wait_inq(self->b, 50));
	ASSERT_EQ(0, ioctl(self->b, FIONREAD, &n));
	EXPECT_EQ(50, n);
	ASSERT_EQ(0, ioctl(self->a, FIONREAD, &n));
	EXPECT_EQ(0, n);

	EXPECT_EQ(50, recv(self->b, buf, sizeof(buf), MSG_PEEK));
	ASSERT_EQ(0, ioctl(self->b, FIONREAD, &n));
	EXPECT_EQ(50, n);
	EXPECT_EQ(20, recv(self->b, buf, 20, 0));
	ASSERT_EQ(0, ioctl(self->b, FIONREAD, &n));
	EXPECT_EQ(30, n);
	EXPECT_EQ(30, recv(self->b, buf, sizeof(buf), 0));
	ASSERT_EQ(0, ioctl(self->b, FIONREAD, &n));
	EXPECT_EQ(0, n);
	EXPECT_ERR(EFAULT, ioctl(self->b, FIONREAD, FT_WILD));
	EXPECT_ERR(EFAULT, ioctl(self->b, SIOCOUTQ, FT_WILD));
}

TEST_F(stream, I05_inq_after_the_peer_closed)
{
	int n = -1;

	ASSERT_TRUE(ft_send_all(self->a, 0, 50, 50));
	ft_close(&self->a);
	EXPECT_NE(0, ft_poll(self->b, POLLRDHUP, FT_LONG_MS));
	ASSERT_EQ(0, ioctl(self->b, FIONREAD, &n));
	EXPECT_EQ(50, n);
	EXPECT_TRUE(ft_recv_all(self->b, 0, 50, 50));
}

TEST_F(local_stream, I05_outq)
{
	int n = -1;

	ASSERT_EQ(0, ioctl(self->a, SIOCOUTQ, &n));
	EXPECT_EQ(0, n);
	ASSERT_TRUE(ft_send_all(self->a, 0, 500, 100));
	ASSERT_EQ(0, ioctl(self->a, SIOCOUTQ, &n));
	EXPECT_LE(500, n);
	ASSERT_EQ(0, ioctl(self->b, SIOCOUTQ, &n));
	EXPECT_EQ(0, n);
	EXPECT_TRUE(ft_recv_all(self->b, 0, 500, 500));
	ASSERT_EQ(0, ioctl(self->a, TIOCOUTQ, &n));
	EXPECT_EQ(0, n);
}

/* AF_UNIX counts the memory, AF_FERRY the bytes. */
TEST_F(ferry_stream, I05_outq_in_bytes)
{
	int n = -1;

	ASSERT_TRUE(ft_send_all(self->a, 0, 500, 100));
	ASSERT_EQ(0, ioctl(self->a, SIOCOUTQ, &n));
	EXPECT_EQ(500, n);
	EXPECT_TRUE(ft_recv_all(self->b, 0, 123, 123));
	ASSERT_EQ(0, ioctl(self->a, SIOCOUTQ, &n));
	EXPECT_EQ(377, n);
	ft_close(&self->b);
	ASSERT_EQ(0, ioctl(self->a, SIOCOUTQ, &n));
	EXPECT_EQ(0, n);
}

FT_HARNESS_MAIN
