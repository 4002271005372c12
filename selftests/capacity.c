// SPDX-License-Identifier: GPL-2.0
/*
 * How much records the buffers hold: never more bytes than their limits, at every
 * length as many as AF_UNIX takes, and what a record does that finds no room because
 * it is long. N01, O28, O38, E05, F07.
 */

#include "record_fixture.h"
#include "events.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/sockios.h>

/* Around what the module's buffers hold, and others. */
static const int lengths[] = {
	0, 1, 9, 112, 113, 192, 193, 368, 369, 704, 705, 1000, 1024, 1025, 1500, 1728, 1904, 1905,
	2000, 3776, 3952, 3953, 4096, 4536, 4537, 7872, 8048, 8049, 10776, 10777, 16064, 16065,
	16240, 16241, 19362, 20160, 20161, 26624, 27152, 27153, 28352, 32448, 32624, 32625, 37120,
	50000, 65536, 100000, 150000, 212000,
};

/* Reads @n records as record_fill() sends them. */
static bool drained(int fd, int n, int len)
{
	int i;

	for (i = 0; i < n; i++)
		if (!record_next(fd, i, len))
			return false;
	return true;
}

/*
 * Records of every length, until no more are taken: they are never more bytes than
 * the limit of @limited, and at least one is taken.
 */
static void never_more(struct __test_metadata *_metadata, int a, int b, int limited,
		       int option)
{
	static const int limits[] = { 0, 2336, 4096, 10000, 21600, 50000, 106496 };
	size_t i, k;
	int n, value;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		ASSERT_EQ(0, ft_setint(limited, option, limits[i]));
		value = ft_getint(limited, option);
		for (k = 0; k < ARRAY_SIZE(lengths) && lengths[k] <= value; k++) {
			if (!lengths[k])
				continue;
			n = record_fill(a, lengths[k]);
			EXPECT_LT(0, n);
			EXPECT_GE(value, n * lengths[k]) {
				TH_LOG("%d records of %d", n, lengths[k]);
			}
			ASSERT_TRUE(drained(b, n, lengths[k]));
		}
	}
}

TEST_F(ferry_record, O28_unread_never_exceeds_the_limit)
{
	never_more(_metadata, self->a, self->b, self->b, SO_RCVBUF);
}

TEST_F(ferry_record, O38_unread_never_exceeds_the_limit)
{
	never_more(_metadata, self->a, self->b, self->a, SO_SNDBUF);
}

/* Nor when short ones fill what a long one left, or a long one comes last. */
TEST_F(ferry_record, O38_records_of_many_lengths_never_exceed_the_limit)
{
	char *buf = calloc(1, 250000);
	int i, k, n, sum, value;

	ASSERT_NE(NULL, buf);
	for (i = 0; i < 40; i++) {
		ASSERT_EQ(0, ft_setint(i % 2 ? self->a : self->b, i % 2 ? SO_SNDBUF : SO_RCVBUF,
				       4096 << i % 5));
		value = ft_getint(self->a, SO_SNDBUF);
		if (value > ft_getint(self->b, SO_RCVBUF))
			value = ft_getint(self->b, SO_RCVBUF);
		for (sum = n = k = 0; k < 200; k++) {
			int len = lengths[(i * 31 + k * 17) % ARRAY_SIZE(lengths)];

			if (len > value || send(self->a, buf, len, MSG_DONTWAIT) < 0)
				continue;
			sum += len;
			n++;
		}
		EXPECT_GE(value, sum);
		EXPECT_LT(0, n);
		while (n--)
			ASSERT_LE(0, recv(self->b, buf, 250000, 0));
	}
	free(buf);
}

/* What a pair of the kind takes in records of a length; nothing is read. */
static int taken(const struct ft_kind *kind, int len, int *limit)
{
	int a, b, n;

	if (ft_pair(kind, &a, &b))
		return -1;
	*limit = ft_getint(a, SO_SNDBUF);
	n = record_fill(a, len);
	ft_close(&a);
	ft_close(&b);
	return n;
}

TEST_F(ferry_record, N01_at_every_length_as_many_as_AF_UNIX)
{
	struct ft_kind old = variant->kind;
	int n, most, limit;
	size_t k;

	old.domain = AF_UNIX;
	for (k = 0; k < ARRAY_SIZE(lengths); k++) {
		most = taken(&old, lengths[k], &limit);
		n = taken(&variant->kind, lengths[k], &limit);
		/* As far as they are bytes within the limit, and AF_UNIX counts ten datagrams. */
		if (lengths[k] && most > limit / lengths[k])
			most = limit / lengths[k];
		EXPECT_LE(most, n) {
			TH_LOG("records of %d", lengths[k]);
		}
	}
}

/* Copied half, it was charged whole: nothing of that stays. */
TEST_F(ferry_record, O38_a_fault_leaves_nothing_charged)
{
	size_t page = sysconf(_SC_PAGESIZE), len = 25 * page;
	int n, k, left;
	char *buf;

	buf = mmap(NULL, len + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, buf);
	n = record_fill(self->a, 16000);
	ASSERT_TRUE(drained(self->b, n, 16000));
	for (k = 0; k < 25; k++) {
		ASSERT_EQ(0, mprotect(buf + k * page, page, PROT_NONE));
		EXPECT_ERR(EFAULT, send(self->a, buf, len, MSG_DONTWAIT));
		ASSERT_EQ(0, mprotect(buf + k * page, page, PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, ioctl(self->a, SIOCOUTQ, &left));
		EXPECT_EQ(0, left);
	}
	EXPECT_EQ(n, record_fill(self->a, 16000));
	munmap(buf, len + page);
}

/* Half of a buffer is free, and that is not enough: no room for who was refused. */
static void long_refused(struct __test_metadata *_metadata, int a, int b, int value)
{
	int half = value / 2, len = half + half / 2, i;
	struct ft_call call = {
		.fn = ft_do_epoll, .fd = a, .events = POLLOUT, .timeout_ms = FT_LONG_MS,
	};
	char *buf = calloc(1, len);

	ASSERT_NE(NULL, buf);
	/* Four of an eighth: with their memory a little more than half. */
	for (i = 0; i < 4; i++)
		ASSERT_EQ(value / 8, send(a, buf, value / 8, MSG_DONTWAIT));
	ASSERT_ERR(EAGAIN, send(a, buf, len, MSG_DONTWAIT));
	EXPECT_EQ(0, ft_poll(a, POLLOUT, 0));
	/* Now short ones have room, and are taken. */
	ASSERT_EQ(value / 8, recv(b, buf, len, 0));
	EXPECT_EQ(0, ft_poll(a, POLLOUT, 0));
	ASSERT_EQ(1, send(a, "x", 1, MSG_DONTWAIT));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(value / 8, recv(b, buf, len, 0));
	ft_join(&call);
	EXPECT_EQ(1, call.ret);
	EXPECT_EQ(POLLOUT, call.revents);
	EXPECT_EQ(len, send(a, buf, len, MSG_DONTWAIT));
	ASSERT_EQ(1, recv(b, buf, len, 0));
	ASSERT_EQ(len, recv(b, buf, len, 0));
	/* Who was told has had its turn: half is enough for the next. */
	for (i = 0; i < 3; i++)
		ASSERT_EQ(value / 8, send(a, buf, value / 8, MSG_DONTWAIT));
	EXPECT_EQ(POLLOUT, ft_poll(a, POLLOUT, 0));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(value / 8, recv(b, buf, len, 0));
	free(buf);
}

TEST_F(ferry_record, E05_a_long_record_that_its_sender_has_no_room_for)
{
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 40000));
	long_refused(_metadata, self->a, self->b, ft_getint(self->a, SO_SNDBUF));
}

TEST_F(ferry_record, E05_a_long_record_that_its_receiver_has_no_room_for)
{
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 40000));
	long_refused(_metadata, self->a, self->b, ft_getint(self->b, SO_RCVBUF));
}

/* A limit that is lowered after a refusal does not make its sender wait for ever. */
TEST_F(ferry_record, E05_lowered_after_a_long_record_was_refused)
{
	char *buf = calloc(1, 150000);

	ASSERT_NE(NULL, buf);
	ASSERT_EQ(100000, send(self->a, buf, 100000, 0));
	ASSERT_ERR(EAGAIN, send(self->a, buf, 150000, MSG_DONTWAIT));
	EXPECT_EQ(0, ft_poll(self->a, POLLOUT, 0));
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 20000));
	EXPECT_EQ(0, ft_poll(self->a, POLLOUT, 0));
	ASSERT_EQ(100000, recv(self->b, buf, 150000, 0));
	EXPECT_EQ(POLLOUT, ft_poll(self->a, POLLOUT, FT_LONG_MS));
	EXPECT_ERR(EMSGSIZE, send(self->a, buf, 150000, MSG_DONTWAIT));
	free(buf);
}

/* The same of one who waits in the call. */
TEST_F(ferry_record, O38_lowered_under_a_blocked_sender)
{
	char *buf = calloc(1, 150000);
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->a, .buf = buf, .len = 150000,
	};

	ASSERT_NE(NULL, buf);
	ASSERT_EQ(100000, send(self->a, buf, 100000, 0));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 20000));
	ASSERT_EQ(100000, recv(self->b, buf, 100000, 0));
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(EMSGSIZE, call.err);
	free(buf);
}

TEST_F(ferry_record, F07_a_long_record_waits_for_its_room)
{
	int len = ft_getint(self->a, SO_SNDBUF) / 8, i;
	char *buf = calloc(1, 8 * len);
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->a, .buf = buf, .len = 6 * len,
	};

	ASSERT_NE(NULL, buf);
	for (i = 0; i < 6; i++)
		ASSERT_EQ(len, send(self->a, buf, len, 0));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	/* Half is free before it has its room. */
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(len, recv(self->b, buf, 8 * len, 0));
		if (i < 3)
			EXPECT_TRUE(ft_blocked(&call));
	}
	ASSERT_EQ(len, recv(self->b, buf, 8 * len, 0));
	ft_join(&call);
	EXPECT_EQ(6 * len, call.ret);
	ASSERT_EQ(len, recv(self->b, buf, 8 * len, 0));
	EXPECT_EQ(6 * len, recv(self->b, buf, 8 * len, 0));
	free(buf);
}

FT_HARNESS_MAIN
