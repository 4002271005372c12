// SPDX-License-Identifier: GPL-2.0
/*
 * SO_PEEK_OFF: the offset at which a peek begins. O23.
 */

#include "ferry_test.h"
#include "kselftest_harness.h"

FIXTURE(peekoff)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(peekoff)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(peekoff, FERRY_stream_pair)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(peekoff, FERRY_stream_conn)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(peekoff, FERRY_seqpacket_pair)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(peekoff, FERRY_seqpacket_conn)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(peekoff, FERRY_dgram_pair)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(peekoff, FERRY_dgram_conn)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(peekoff, UNIX_stream_pair)
{
	.kind = { AF_UNIX, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(peekoff, UNIX_seqpacket_pair)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(peekoff, UNIX_dgram_pair)
{
	.kind = { AF_UNIX, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_SETUP(peekoff)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
}

FIXTURE_TEARDOWN(peekoff)
{
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

/* Does a call with @flags give exactly @expected? */
static bool gives(int fd, const char *expected, size_t len, int flags)
{
	char buf[64] = "";
	ssize_t n = recv(fd, buf, len, flags | MSG_DONTWAIT);

	if (n == (ssize_t)strlen(expected) && !memcmp(buf, expected, n))
		return true;
	fprintf(stderr, "# expected '%s', got '%s' (%zd, %s)\n", expected, buf,
		n, n < 0 ? strerror(errno) : "no error");
	return false;
}

static bool would_block(int fd, int flags)
{
	char buf[8];

	return recv(fd, buf, sizeof(buf), flags | MSG_DONTWAIT) < 0 &&
	       errno == EAGAIN;
}

/* "aabbccddeeff", a record a pair of letters. */
#define SEND_LETTERS()							\
do {									\
	int _i;								\
									\
	for (_i = 0; _i < 6; _i++)					\
		ASSERT_EQ(2, send(self->a, &"aabbccddeeff"[_i * 2], 2, 0)); \
} while (0)

#define SET(offset)	ASSERT_EQ(0, ft_setint(self->b, SO_PEEK_OFF, offset))
#define OFFSET(offset)	EXPECT_EQ(offset, ft_getint(self->b, SO_PEEK_OFF))
#define PEEK(text)	EXPECT_TRUE(gives(self->b, text, strlen(text), MSG_PEEK))
#define READ(text)	EXPECT_TRUE(gives(self->b, text, strlen(text), 0))

TEST_F(peekoff, O23_off_at_first)
{
	OFFSET(-1);
	SEND_LETTERS();
	PEEK("aa");
	PEEK("aa");
	OFFSET(-1);
	READ("aa");
	OFFSET(-1);
}

TEST_F(peekoff, O23_the_sequence_of_the_page)
{
	SEND_LETTERS();
	SET(4);
	OFFSET(4);
	PEEK("cc");
	OFFSET(6);
	PEEK("dd");
	OFFSET(8);
	READ("aa");
	OFFSET(6);
	PEEK("ee");
	OFFSET(8);

	/* And on to the end. */
	PEEK("ff");
	OFFSET(10);
	EXPECT_TRUE(would_block(self->b, MSG_PEEK));
	OFFSET(10);
	READ("bb");
	READ("cc");
	OFFSET(6);
	READ("dd");
	READ("ee");
	READ("ff");
	OFFSET(0);
}

TEST_F(peekoff, O23_never_below_zero)
{
	SEND_LETTERS();
	SET(1);
	READ("aa");
	OFFSET(0);
	READ("bb");
	OFFSET(0);
	PEEK("cc");
	OFFSET(2);
}

TEST_F(peekoff, O23_switched_off_again)
{
	SEND_LETTERS();
	SET(4);
	PEEK("cc");
	SET(-1);
	PEEK("aa");
	PEEK("aa");
	OFFSET(-1);
	SET(0);
	PEEK("aa");
	PEEK("bb");
	OFFSET(4);
	/* Set anew at any time. */
	SET(2);
	PEEK("bb");
	SET(10);
	PEEK("ff");
}

TEST_F(peekoff, O23_beyond_the_end)
{
	SEND_LETTERS();
	SET(12);
	EXPECT_TRUE(would_block(self->b, MSG_PEEK));
	OFFSET(12);
	ASSERT_EQ(2, send(self->a, "gg", 2, 0));
	PEEK("gg");
	OFFSET(14);
	SET(1000000);
	EXPECT_TRUE(would_block(self->b, MSG_PEEK));
	READ("aa");
	OFFSET(999998);
}

/* AF_UNIX streams that forget, over a sleep, that the offset has moved. */
#define STALE_UNIX_STREAM(variant)					\
	((variant)->kind.domain == AF_UNIX &&				\
	 (variant)->kind.type == SOCK_STREAM && ft_kernel_before(6, 12))

TEST_F(peekoff, O23_a_peek_waits_for_what_is_ahead)
{
	char buf[8] = "";
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = buf, .len = 2,
		.flags = MSG_PEEK,
	};

	if (STALE_UNIX_STREAM(variant))
		SKIP(return, "keeps the offset with which it fell asleep");
	ASSERT_EQ(2, send(self->a, "aa", 2, 0));
	SET(2);
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(2, send(self->a, "bb", 2, 0));
	ft_join(&call);
	EXPECT_EQ(2, call.ret);
	EXPECT_STREQ("bb", buf);
	OFFSET(4);
	/* Poll tells what read(2) finds, not what a peek does. */
	EXPECT_EQ(POLLIN, ft_poll(self->b, POLLIN, 0));
}

TEST_F(peekoff, O23_end_of_file_ahead)
{
	char buf[8];

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "has no end");
	ASSERT_EQ(2, send(self->a, "aa", 2, 0));
	SET(2);
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), MSG_PEEK));
	READ("aa");
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
}

TEST_F(peekoff, O23_buffers_of_the_stream_do_not_matter)
{
	if (variant->kind.type != SOCK_STREAM)
		SKIP(return, "records have their own");
	SEND_LETTERS();
	SET(1);
	PEEK("abbccdd");
	OFFSET(8);
	PEEK("e");
	READ("aabb");
	OFFSET(5);
	PEEK("eff");
	OFFSET(8);
	EXPECT_TRUE(would_block(self->b, MSG_PEEK));
	SET(3);
	EXPECT_TRUE(gives(self->b, "deeff", 60, MSG_PEEK));
	OFFSET(8);
}

static int flags_of_peek(int fd, const char *expected, size_t len)
{
	char buf[64] = "";
	struct iovec iov = { buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n = recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT);

	if (n != (ssize_t)strlen(expected) || memcmp(buf, expected, n)) {
		fprintf(stderr, "# expected '%s', got '%s' (%zd)\n", expected,
			buf, n);
		return -1;
	}
	return msg.msg_flags & MSG_TRUNC;
}

TEST_F(peekoff, O23_inside_a_record)
{
	bool ferry = variant->kind.domain == AF_FERRY;

	if (variant->kind.type == SOCK_STREAM)
		SKIP(return, "has no records");
	ASSERT_EQ(6, send(self->a, "abcdef", 6, 0));
	ASSERT_EQ(3, send(self->a, "ghi", 3, 0));
	SET(0);
	EXPECT_EQ(0, flags_of_peek(self->b, "abcdef", 64));
	OFFSET(6);
	SET(0);
	EXPECT_EQ(MSG_TRUNC, flags_of_peek(self->b, "ab", 2));
	OFFSET(2);
	EXPECT_EQ(MSG_TRUNC, flags_of_peek(self->b, "cd", 2));
	OFFSET(4);
	/* To the record's end and no further, but begun in its middle. */
	EXPECT_EQ(ferry ? MSG_TRUNC : 0, flags_of_peek(self->b, "ef", 64));
	OFFSET(6);
	EXPECT_EQ(0, flags_of_peek(self->b, "ghi", 3));
	OFFSET(9);
	/* A record that is read is gone whole, whatever was peeked of it. */
	SET(2);
	READ("abcdef");
	OFFSET(0);
	EXPECT_EQ(0, flags_of_peek(self->b, "ghi", 3));
}

TEST_F(peekoff, O23_real_length_inside_a_record)
{
	char buf[8];

	if (variant->kind.type == SOCK_STREAM)
		SKIP(return, "has no records");
	ASSERT_EQ(6, send(self->a, "abcdef", 6, 0));
	SET(2);
	EXPECT_EQ(4, recv(self->b, buf, 1, MSG_PEEK | MSG_TRUNC));
	OFFSET(3);
	EXPECT_EQ(6, recv(self->b, buf, 1, MSG_TRUNC));
	OFFSET(0);
}

TEST_F(peekoff, O23_empty_records)
{
	char buf[8];

	if (variant->kind.type == SOCK_STREAM)
		SKIP(return, "has no records");
	/* Each is shown once, and none stands in the way. */
	ASSERT_EQ(0, send(self->a, "", 0, 0));
	ASSERT_EQ(2, send(self->a, "aa", 2, 0));
	ASSERT_EQ(0, send(self->a, "", 0, 0));
	ASSERT_EQ(2, send(self->a, "bb", 2, 0));
	SET(0);
	EXPECT_EQ(0, recv(self->b, buf, 8, MSG_PEEK | MSG_DONTWAIT));
	PEEK("aa");
	EXPECT_EQ(0, recv(self->b, buf, 8, 0));
	OFFSET(2);
	READ("aa");
	OFFSET(0);
	EXPECT_EQ(0, recv(self->b, buf, 8, 0));
	READ("bb");
}

TEST_F(peekoff, O23_set_anew_shows_an_empty_record_again)
{
	char buf[8];

	if (variant->kind.domain != AF_FERRY || variant->kind.type == SOCK_STREAM)
		SKIP(return, "has no records, or shows an empty one once");
	ASSERT_EQ(0, send(self->a, "", 0, 0));
	ASSERT_EQ(2, send(self->a, "aa", 2, 0));
	SET(0);
	EXPECT_EQ(0, recv(self->b, buf, 8, MSG_PEEK | MSG_DONTWAIT));
	PEEK("aa");
	SET(0);
	EXPECT_EQ(0, recv(self->b, buf, 8, MSG_PEEK | MSG_DONTWAIT));
	SET(-1);
	EXPECT_EQ(0, recv(self->b, buf, 8, MSG_PEEK | MSG_DONTWAIT));
	EXPECT_EQ(0, recv(self->b, buf, 8, 0));
	READ("aa");
}

TEST_F(peekoff, O23_a_fault_moves_nothing)
{
	char buf[8];

	SEND_LETTERS();
	SET(2);
	EXPECT_ERR(EFAULT, recv(self->b, FT_WILD, 2, MSG_PEEK));
	OFFSET(2);
	/* AF_UNIX loses a record then. */
	if (variant->kind.domain == AF_FERRY) {
		EXPECT_ERR(EFAULT, recv(self->b, FT_WILD, 2, 0));
		OFFSET(2);
	}
	EXPECT_EQ(2, recv(self->b, buf, 2, MSG_PEEK));
	EXPECT_EQ(0, memcmp(buf, "bb", 2));
}

TEST_F(peekoff, O23_bad_arguments)
{
	EXPECT_ERR(EINVAL, setsockopt(self->b, SOL_SOCKET, SO_PEEK_OFF,
				      &(int){ 0 }, 3));
	EXPECT_ERR(EFAULT, setsockopt(self->b, SOL_SOCKET, SO_PEEK_OFF,
				      FT_WILD, 4));
	OFFSET(-1);
	SET(INT32_MAX);
	ASSERT_EQ(2, send(self->a, "aa", 2, 0));
	EXPECT_TRUE(would_block(self->b, MSG_PEEK));
	READ("aa");
}

/*
 * A peek sleeps with an offset; another thread reads and writes meanwhile, so
 * that the offset it woke up with is stale.
 */
TEST_F(peekoff, O23_offset_changed_while_a_peek_sleeps)
{
	int round;

	if (STALE_UNIX_STREAM(variant))
		SKIP(return, "keeps the offset with which it fell asleep");
	for (round = 0; round < 20; round++) {
		char buf[8] = "";
		struct ft_call call = {
			.fn = ft_do_recv, .fd = self->b, .buf = buf, .len = 2,
			.flags = MSG_PEEK,
		};

		ASSERT_EQ(2, send(self->a, "aa", 2, 0));
		ASSERT_EQ(2, send(self->a, "bb", 2, 0));
		SET(4);
		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		/* Now offset 2, with nothing there. */
		READ("aa");
		ASSERT_EQ(2, send(self->a, "cc", 2, 0));
		ft_join(&call);
		EXPECT_EQ(2, call.ret);
		EXPECT_STREQ("cc", buf);
		OFFSET(4);
		READ("bb");
		READ("cc");
		OFFSET(0);
	}
}

struct peeker {
	pthread_t thread;
	atomic_bool stop;
	int fd;
	bool ok;
};

static void *peek_on(void *arg)
{
	struct peeker *peeker = arg;
	char buf[16];
	ssize_t n;

	peeker->ok = true;
	while (!atomic_load(&peeker->stop)) {
		n = recv(peeker->fd, buf, 4, MSG_PEEK | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			peeker->ok = false;
		/* Four bytes of one number, or the rest of one. */
		if (n > 4)
			peeker->ok = false;
	}
	return NULL;
}

TEST_F(peekoff, O23_peek_races_read)
{
	struct peeker peeker[2];
	int i, number, seen = 0;

	SET(0);
	for (i = 0; i < 2; i++) {
		peeker[i] = (struct peeker){ .fd = self->b };
		ASSERT_EQ(0, pthread_create(&peeker[i].thread, NULL, peek_on,
					    &peeker[i]));
	}
	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(4, send(self->a, &i, 4, 0));
		if (i % 4)
			continue;
		/* Reads that may wait: a peek that is not done makes others EAGAIN. */
		do {
			ASSERT_EQ(4, recv(self->b, &number, 4, 0));
			ASSERT_EQ(seen, number);
			seen++;
		} while (i > 100 && seen <= i);
	}
	while (seen < 1000) {
		ASSERT_EQ(4, recv(self->b, &number, 4, 0));
		ASSERT_EQ(seen, number);
		seen++;
	}
	ASSERT_EQ(-1, recv(self->b, &number, 4, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
	for (i = 0; i < 2; i++) {
		atomic_store(&peeker[i].stop, true);
		pthread_join(peeker[i].thread, NULL);
		EXPECT_TRUE(peeker[i].ok);
	}
	/* All is read: whatever the race did, the offset is none too far. */
	OFFSET(0);
}

FT_HARNESS_MAIN
