// SPDX-License-Identifier: GPL-2.0
/*
 * Receive stamps: SO_TIMESTAMP, SO_TIMESTAMPNS and SO_TIMESTAMPING, old and new,
 * SIOCGSTAMP and SIOCGSTAMPNS. Transmit stamps are in errqueue.c. O40, O41, O44,
 * O45, I01.
 */

#include "bpf_helpers.h"
#include "kselftest_harness.h"

#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <sys/syscall.h>

/* The kernel's numbers, whatever size of time the C library chose. */
#define TIMESTAMP_OLD		29
#define TIMESTAMPNS_OLD		35
#define TIMESTAMPING_OLD	37
#define TIMESTAMP_NEW		63
#define TIMESTAMPNS_NEW		64
#define TIMESTAMPING_NEW	65
#define GSTAMP_OLD		0x8906
#define GSTAMPNS_OLD		0x8907
#define GSTAMP_NEW		_IOR(0x89, 6, int64_t[2])
#define GSTAMPNS_NEW		_IOR(0x89, 7, int64_t[2])

#define RX_SOFTWARE	(SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE)

static int64_t real_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* A time as the kernel writes it, in nanoseconds. */
static int64_t decode(const void *data, bool wide, bool micro)
{
	int64_t sec, sub;

	if (wide) {
		sec = ((const int64_t *)data)[0];
		sub = ((const int64_t *)data)[1];
	} else {
		sec = ((const long *)data)[0];
		sub = ((const long *)data)[1];
	}
	return sec * 1000000000 + sub * (micro ? 1000 : 1);
}

static size_t time_size(bool wide)
{
	return 2 * (wide ? sizeof(int64_t) : sizeof(long));
}

/*
 * Receives up to @len bytes; returns the stamp of type @type in *@ns, 0 without
 * one, and how many control messages came.
 */
static ssize_t recv_stamp(int fd, size_t len, int flags, int type, int64_t *ns,
			  int *count)
{
	union {
		struct cmsghdr align;
		char buf[256];
	} control;
	char buf[256];
	struct iovec iov = { buf, len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	bool wide = type >= TIMESTAMP_NEW;
	bool micro = type == TIMESTAMP_OLD || type == TIMESTAMP_NEW;
	struct cmsghdr *cmsg;
	size_t want;
	ssize_t n;

	*ns = 0;
	*count = 0;
	/* With 32 bits the C library adds stamps of its own making. */
	n = syscall(SYS_recvmsg, fd, &msg, flags);
	if (n < 0)
		return n;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		(*count)++;
		want = time_size(wide);
		if (type == TIMESTAMPING_OLD || type == TIMESTAMPING_NEW)
			want *= 3;
		if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == type &&
		    cmsg->cmsg_len == CMSG_LEN(want))
			*ns = decode(CMSG_DATA(cmsg), wide, micro);
	}
	return n;
}

/* A stamp between two times; microseconds were cut. */
static bool between(int64_t from, int64_t ns, int64_t to)
{
	if (from - 1000 < ns && ns <= to)
		return true;
	fprintf(stderr, "# %lld not in %lld..%lld\n", (long long)ns,
		(long long)from, (long long)to);
	return false;
}

FIXTURE(stamp)
{
	struct ft_leak leak;
	int a, b;
	int clock;
};

FIXTURE_VARIANT(stamp)
{
	struct ft_kind kind;
};

#define STAMP_VARIANT(_name, _domain, _type, _how)			\
FIXTURE_VARIANT_ADD(stamp, _name)					\
{									\
	.kind = { _domain, _type, _how },				\
}

STAMP_VARIANT(FERRY_stream_pair, AF_FERRY, SOCK_STREAM, FT_PAIR);
STAMP_VARIANT(FERRY_stream_conn, AF_FERRY, SOCK_STREAM, FT_CONN);
STAMP_VARIANT(FERRY_seqpacket_pair, AF_FERRY, SOCK_SEQPACKET, FT_PAIR);
STAMP_VARIANT(FERRY_seqpacket_conn, AF_FERRY, SOCK_SEQPACKET, FT_CONN);
STAMP_VARIANT(FERRY_dgram_pair, AF_FERRY, SOCK_DGRAM, FT_PAIR);
STAMP_VARIANT(FERRY_dgram_conn, AF_FERRY, SOCK_DGRAM, FT_CONN);
STAMP_VARIANT(UDP_conn, AF_INET, SOCK_DGRAM, FT_CONN);

/*
 * The core begins to stamp packets a while after somebody has asked for it, and
 * goes on as long as that socket lives. Returns one whose packets are stamped.
 */
static int start_clock(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int64_t ns = 0, end = ft_now_ms() + FT_LONG_MS;
	socklen_t len = sizeof(addr);
	int count, fd = socket(AF_INET, SOCK_DGRAM, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) ||
	    connect(fd, (struct sockaddr *)&addr, len) ||
	    ft_setint(fd, TIMESTAMPING_OLD, RX_SOFTWARE))
		return -1;
	while (!ns && ft_now_ms() < end)
		if (send(fd, "", 1, 0) != 1 ||
		    recv_stamp(fd, 1, 0, TIMESTAMPING_OLD, &ns, &count) != 1)
			return -1;
	return ns ? fd : -1;
}

FIXTURE_SETUP(stamp)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
	self->clock = -1;
	if (variant->kind.domain == AF_INET) {
		self->clock = start_clock();
		ASSERT_LE(0, self->clock);
	}
}

FIXTURE_TEARDOWN(stamp)
{
	if (self->clock >= 0)
		close(self->clock);
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

#define EXPECT_STAMPED(_type)						\
do {									\
	int64_t _from = real_ns(), _to, _ns;				\
	int _count;							\
									\
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));			\
	ASSERT_TRUE(ft_wait_inq(self->b, 3));				\
	_to = real_ns();						\
	ASSERT_EQ(3, recv_stamp(self->b, 256, 0, (_type), &_ns, &_count)); \
	EXPECT_EQ(1, _count);						\
	EXPECT_TRUE(between(_from, _ns, _to));				\
} while (0)

#define EXPECT_NO_STAMP()						\
do {									\
	int64_t _ns;							\
	int _count;							\
									\
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));			\
	ASSERT_EQ(3, recv_stamp(self->b, 256, 0, 0, &_ns, &_count));	\
	EXPECT_EQ(0, _count);						\
} while (0)

TEST_F(stamp, O40_timestamp_old)
{
	EXPECT_NO_STAMP();
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMP_OLD, 1));
	EXPECT_EQ(1, ft_getint(self->b, TIMESTAMP_OLD));
	EXPECT_STAMPED(TIMESTAMP_OLD);
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMP_OLD, 0));
	EXPECT_EQ(0, ft_getint(self->b, TIMESTAMP_OLD));
	EXPECT_NO_STAMP();
}

TEST_F(stamp, O45_timestamp_new)
{
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMP_NEW, 1));
	EXPECT_EQ(1, ft_getint(self->b, TIMESTAMP_NEW));
	EXPECT_STAMPED(TIMESTAMP_NEW);
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMP_NEW, 0));
	EXPECT_NO_STAMP();
}

TEST_F(stamp, O41_timestampns_old)
{
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMPNS_OLD, 1));
	EXPECT_EQ(1, ft_getint(self->b, TIMESTAMPNS_OLD));
	EXPECT_STAMPED(TIMESTAMPNS_OLD);
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMPNS_OLD, 0));
	EXPECT_NO_STAMP();
}

TEST_F(stamp, O45_timestampns_new)
{
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMPNS_NEW, 1));
	EXPECT_EQ(1, ft_getint(self->b, TIMESTAMPNS_NEW));
	EXPECT_STAMPED(TIMESTAMPNS_NEW);
}

TEST_F(stamp, O41_excludes_timestamp)
{
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMP_OLD, 1));
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMPNS_OLD, 1));
	EXPECT_EQ(0, ft_getint(self->b, TIMESTAMP_OLD));
	EXPECT_STAMPED(TIMESTAMPNS_OLD);
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMP_OLD, 1));
	EXPECT_EQ(0, ft_getint(self->b, TIMESTAMPNS_OLD));
	EXPECT_STAMPED(TIMESTAMP_OLD);
}

TEST_F(stamp, O44_receive_in_software)
{
	int value = 0;

	EXPECT_NO_STAMP();
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMPING_OLD, RX_SOFTWARE));
	EXPECT_STAMPED(TIMESTAMPING_OLD);
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMPING_NEW, RX_SOFTWARE));
	value = RX_SOFTWARE;
	EXPECT_STAMPED(TIMESTAMPING_NEW);
	/* Taken, and not reported. */
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMPING_NEW, SOF_TIMESTAMPING_RX_HARDWARE));
	EXPECT_NO_STAMP();
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMPING_OLD, value));
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMPING_OLD, 0));
	EXPECT_NO_STAMP();
}

TEST_F(stamp, O44_get_and_set)
{
	int values[4] = { RX_SOFTWARE | SOF_TIMESTAMPING_OPT_ID };
	socklen_t len;

	ASSERT_EQ(0, setsockopt(self->b, SOL_SOCKET, TIMESTAMPING_OLD, values, 4));
	len = sizeof(values);
	memset(values, 0xff, sizeof(values));
	ASSERT_EQ(0, getsockopt(self->b, SOL_SOCKET, TIMESTAMPING_OLD, values, &len));
	EXPECT_EQ(8, len);
	EXPECT_EQ(RX_SOFTWARE | SOF_TIMESTAMPING_OPT_ID, values[0]);
	EXPECT_EQ(0, values[1]);
	len = 2;
	EXPECT_EQ(0, getsockopt(self->b, SOL_SOCKET, TIMESTAMPING_OLD, values, &len));
	EXPECT_EQ(2, len);
	EXPECT_ERR(EINVAL, setsockopt(self->b, SOL_SOCKET, TIMESTAMPING_OLD, values, 3));
	EXPECT_ERR(EFAULT, setsockopt(self->b, SOL_SOCKET, TIMESTAMPING_OLD,
				      FT_WILD, 4));
	EXPECT_ERR(EINVAL, ft_setint(self->b, TIMESTAMPING_OLD, 1 << 30));
	/* Statistics are TCP's, and take the place of the payload. */
	EXPECT_ERR(EINVAL, ft_setint(self->b, TIMESTAMPING_OLD,
				     SOF_TIMESTAMPING_OPT_STATS));
}

TEST_F(stamp, O40_get_and_set)
{
	static const int options[] = {
		TIMESTAMP_OLD, TIMESTAMP_NEW, TIMESTAMPNS_OLD, TIMESTAMPNS_NEW,
	};
	socklen_t len;
	char byte;
	int on = 1;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		EXPECT_EQ(0, ft_getint(self->b, options[i]));
		EXPECT_ERR(EINVAL, setsockopt(self->b, SOL_SOCKET, options[i], &on, 3));
		EXPECT_ERR(EFAULT, setsockopt(self->b, SOL_SOCKET, options[i],
					      FT_WILD, 4));
		ASSERT_EQ(0, ft_setint(self->b, options[i], 5));
		len = 1;
		ASSERT_EQ(0, getsockopt(self->b, SOL_SOCKET, options[i], &byte, &len));
		EXPECT_EQ(1, len);
		EXPECT_EQ(1, byte);
		ASSERT_EQ(0, ft_setint(self->b, options[i], 0));
	}
}

TEST_F(stamp, O40_peek_shows_the_same)
{
	int64_t first, second;
	int count;

	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMPNS_NEW, 1));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	ASSERT_EQ(3, recv_stamp(self->b, 256, MSG_PEEK, TIMESTAMPNS_NEW, &first, &count));
	EXPECT_NE(0, first);
	ASSERT_EQ(3, recv_stamp(self->b, 256, 0, TIMESTAMPNS_NEW, &second, &count));
	EXPECT_EQ(first, second);
}

/* Each message keeps its own, however short they are. */
TEST_F(stamp, O40_of_each_message)
{
	int64_t before[3], after[3], ns;
	int count, i;

	if (variant->kind.domain == AF_INET)
		SKIP(return, "the core begins to stamp packets a while later");
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMPNS_OLD, 1));
	for (i = 0; i < 3; i++) {
		before[i] = real_ns();
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		after[i] = real_ns();
	}
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, recv_stamp(self->b, 1, 0, TIMESTAMPNS_OLD, &ns, &count));
		EXPECT_TRUE(between(before[i], ns, after[i]));
	}
}

TEST_F(stamp, O40_a_read_has_that_of_the_last_message)
{
	int64_t before, after, ns;
	int count;

	if (variant->kind.type != SOCK_STREAM)
		SKIP(return, "a read has one record");
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMPNS_OLD, 1));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	before = real_ns();
	ASSERT_EQ(1, send(self->a, "y", 1, 0));
	after = real_ns();
	ASSERT_EQ(2, recv_stamp(self->b, 9, 0, TIMESTAMPNS_OLD, &ns, &count));
	EXPECT_EQ(1, count);
	EXPECT_TRUE(between(before, ns, after));
}

/* Queued before anybody asked: the core takes the time of the read. */
TEST_F(stamp, O40_asked_for_after_it_was_queued)
{
	int64_t before, ns;
	int count;

	if (variant->kind.domain != AF_FERRY)
		SKIP(return, "packets may have a stamp by somebody else's wish");
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMPNS_OLD, 1));
	before = real_ns();
	ASSERT_EQ(1, send(self->a, "y", 1, 0));
	ASSERT_EQ(1, recv_stamp(self->b, 1, 0, TIMESTAMPNS_OLD, &ns, &count));
	EXPECT_TRUE(between(before, ns, real_ns()));
	ASSERT_EQ(1, recv_stamp(self->b, 1, 0, TIMESTAMPNS_OLD, &ns, &count));
	EXPECT_TRUE(between(before, ns, real_ns()));
}

TEST_F(stamp, F08_no_room_for_the_stamp)
{
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	char buf[8];

	iov = (struct iovec){ buf, sizeof(buf) };
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMP_OLD, 1));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	ASSERT_EQ(3, recvmsg(self->b, &msg, 0));
	EXPECT_EQ(MSG_CTRUNC, msg.msg_flags & MSG_CTRUNC);
}

static int get_stamp(int fd, unsigned long cmd, int64_t *ns)
{
	bool wide = cmd == GSTAMP_NEW || cmd == GSTAMPNS_NEW;
	bool micro = cmd == GSTAMP_OLD || cmd == GSTAMP_NEW;
	int64_t data[2];
	int ret;

	ret = ioctl(fd, cmd, data);
	*ns = ret ? 0 : decode(data, wide, micro);
	return ret;
}

TEST_F(stamp, I01_stamp_of_the_last_message)
{
	static const unsigned long cmds[] = {
		GSTAMP_OLD, GSTAMPNS_OLD, GSTAMP_NEW, GSTAMPNS_NEW,
	};
	int64_t from, to, ns;
	char buf[8];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cmds); i++)
		EXPECT_ERR(ENOENT, get_stamp(self->b, cmds[i], &ns));
	from = real_ns();
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, 3));
	to = real_ns();
	/* Not before it is read. */
	EXPECT_ERR(ENOENT, get_stamp(self->b, GSTAMP_OLD, &ns));
	ASSERT_EQ(3, recv(self->b, buf, sizeof(buf), 0));
	if (variant->kind.domain == AF_INET) {
		/* An unstamped packet has the time of the first question. */
		ASSERT_EQ(0, get_stamp(self->b, GSTAMP_OLD, &ns));
		to = real_ns();
	}
	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		ASSERT_EQ(0, get_stamp(self->b, cmds[i], &ns));
		EXPECT_TRUE(between(from, ns, to));
		EXPECT_ERR(EFAULT, ioctl(self->b, cmds[i], FT_WILD));
	}
	/* The sender has received nothing. */
	EXPECT_ERR(ENOENT, get_stamp(self->a, GSTAMP_OLD, &ns));
}

TEST_F(stamp, I01_not_while_it_comes_as_a_control_message)
{
	int64_t ns;
	char buf[8];

	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMP_OLD, 1));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	ASSERT_EQ(3, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_ERR(ENOENT, get_stamp(self->b, GSTAMP_OLD, &ns));
}

/* A filter sees the header of UDP before the payload. */
#define HEADER		(variant->kind.domain == AF_INET ? 8 : 0)

static bool send_kept(int fd, int keep, size_t len)
{
	char buf[64] = { keep };

	return send(fd, buf, len, 0) == len;
}

TEST_F(stamp, O40_of_what_a_filter_leaves)
{
	int64_t from, to, ns;
	int count;

	ASSERT_EQ(0, filter_by_byte(self->b, HEADER));
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMP_OLD, 1));
	/* Dropped, it leaves no stamp to the one that follows, which is cut. */
	ASSERT_TRUE(send_kept(self->a, 0, 5));
	from = real_ns();
	ASSERT_TRUE(send_kept(self->a, HEADER + 3, 5));
	ASSERT_TRUE(ft_wait_inq(self->b, 3));
	to = real_ns();
	ASSERT_EQ(3, recv_stamp(self->b, 256, 0, TIMESTAMP_OLD, &ns, &count));
	EXPECT_EQ(1, count);
	EXPECT_TRUE(between(from, ns, to));
	/* Nor one to ask for. */
	ASSERT_TRUE(send_kept(self->a, 0, 5));
	EXPECT_ERR(EAGAIN, recv_stamp(self->b, 256, MSG_DONTWAIT, TIMESTAMP_OLD,
				      &ns, &count));
}

/* All that a receiver may ask for, of one message. */
TEST_F(stamp, O40_beside_drops_and_mark)
{
	int64_t from, ns;
	int count;

	ASSERT_EQ(0, filter_by_byte(self->b, HEADER));
	ASSERT_EQ(0, ft_setint(self->b, TIMESTAMP_OLD, 1));
	ASSERT_EQ(0, ft_setint(self->b, SO_RXQ_OVFL, 1));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVMARK, 1));
	ASSERT_TRUE(send_kept(self->a, 100, 3));
	ASSERT_EQ(3, recv_stamp(self->b, 256, 0, TIMESTAMP_OLD, &ns, &count));
	EXPECT_EQ(2, count);
	ASSERT_TRUE(send_kept(self->a, 0, 3));
	from = real_ns();
	ASSERT_TRUE(send_kept(self->a, 100, 3));
	ASSERT_EQ(3, recv_stamp(self->b, 256, 0, TIMESTAMP_OLD, &ns, &count));
	EXPECT_EQ(3, count);
	EXPECT_TRUE(between(from, ns, real_ns()));
}

FT_HARNESS_MAIN
