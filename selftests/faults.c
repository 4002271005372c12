// SPDX-License-Identifier: GPL-2.0
/*
 * User memory that ends in the middle of a copy: for every call that takes or
 * gives something by a pointer, and every place at which it may happen. What
 * was sent arrives, what could not be copied out was not taken, and the socket
 * is as it was. One page is there and the next is not, may not be touched, or
 * cannot be written to.
 */

#include "ferry_test.h"
#include "kselftest_harness.h"

#include <linux/filter.h>

enum trouble {
	UNMAPPED,
	NO_ACCESS,
	READ_ONLY,		/* where the kernel writes */
	TROUBLES,
};

#define GOOD_PAGES	3

struct hole {
	size_t page;
	char *map;
	char *edge;		/* from here on */
};

static bool hole_make(struct hole *hole, enum trouble trouble)
{
	size_t good;

	hole->page = sysconf(_SC_PAGESIZE);
	good = GOOD_PAGES * hole->page;
	hole->map = mmap(NULL, good + hole->page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (hole->map == MAP_FAILED)
		return false;
	hole->edge = hole->map + good;
	if (trouble == UNMAPPED)
		return !munmap(hole->edge, hole->page);
	return !mprotect(hole->edge, hole->page,
			 trouble == READ_ONLY ? PROT_READ : PROT_NONE);
}

static void hole_end(struct hole *hole, enum trouble trouble)
{
	munmap(hole->map, (GOOD_PAGES + (trouble != UNMAPPED)) * hole->page);
}

/* All kinds of trouble, and those where the kernel reads. */
#define FOR_HOLES(_hole)						\
	for ((_hole) = self->holes; (_hole) < self->holes + TROUBLES; (_hole)++)
#define FOR_READ_HOLES(_hole)						\
	for ((_hole) = self->holes; (_hole) < self->holes + READ_ONLY; (_hole)++)

/* Copies @obj so that all but its first @good bytes lie behind the edge. */
static void *hole_put(const struct hole *hole, const void *obj, size_t good)
{
	return memcpy(hole->edge - good, obj, good);
}

/* Bytes before the trouble, and beginning with it. */
static const size_t goods[] = { 0, 1, 2, 100, 4095, 4096, 4097, 8192, 12288 };
static const size_t bads[] = { 1, 3000, 50000 };

FIXTURE(copy)
{
	struct ft_leak leak;
	struct hole holes[TROUBLES];
	int a, b;
};

FIXTURE_VARIANT(copy)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(copy, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(copy, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(copy, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM },
};

FIXTURE_VARIANT_ADD(copy, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(copy, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(copy, UNIX_dgram)
{
	.kind = { AF_UNIX, SOCK_DGRAM },
};

FIXTURE_VARIANT_ADD(copy, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(copy, UDP_dgram)
{
	.kind = { AF_INET, SOCK_DGRAM },
};

FIXTURE_SETUP(copy)
{
	int i;

	FT_NEED(variant->kind.domain, variant->kind.type);
	for (i = 0; i < TROUBLES; i++)
		ASSERT_TRUE(hole_make(&self->holes[i], i));
	ft_leak_start(&self->leak, variant->kind.domain);
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
}

FIXTURE_TEARDOWN(copy)
{
	int i;

	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
	for (i = 0; i < TROUBLES; i++)
		hole_end(&self->holes[i], i);
}

static bool is_stream(const struct ft_kind *kind)
{
	return kind->type == SOCK_STREAM;
}

/* A record that could not be copied out is AF_FERRY's to keep. */
static bool keeps_records(const struct ft_kind *kind)
{
	return is_stream(kind) || kind->domain == AF_FERRY;
}

/* Receives @len patterned bytes, as one record where there are records. */
static bool arrives(const struct ft_kind *kind, int fd, uint64_t at, size_t len)
{
	static char buf[70000];

	if (is_stream(kind))
		return ft_recv_all(fd, at, len, len);
	return recv(fd, buf, sizeof(buf), 0) == len && ft_pattern_ok(buf, at, len);
}

/* Proof that the connection is as it was. */
static bool still_works(const struct ft_kind *kind, int a, int b)
{
	return !ft_poll(b, POLLIN, 0) && !ft_poll(a, POLLIN, 0) &&
	       ft_send_all(a, 7, 100, 100) && arrives(kind, b, 7, 100) &&
	       ft_send_all(b, 9, 100, 100) && arrives(kind, a, 9, 100);
}

/* Ways to send @good bytes before the edge and @bad behind it. */

static ssize_t by_send(int fd, char *edge, size_t good, size_t bad)
{
	return send(fd, edge - good, good + bad, 0);
}

static ssize_t by_write(int fd, char *edge, size_t good, size_t bad)
{
	return write(fd, edge - good, good + bad);
}

static ssize_t by_urgent(int fd, char *edge, size_t good, size_t bad)
{
	return send(fd, edge - good, good + bad, MSG_OOB);
}

static ssize_t by_more(int fd, char *edge, size_t good, size_t bad)
{
	return send(fd, edge - good, good + bad, MSG_MORE | MSG_DONTWAIT);
}

/* Both sides of the edge apart, and in three pieces. */
static ssize_t by_sendmsg(int fd, char *edge, size_t good, size_t bad)
{
	struct iovec iov[3] = {
		{ edge - good, good / 2 },
		{ edge - good + good / 2, good - good / 2 },
		{ edge, bad },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };

	return sendmsg(fd, &msg, 0);
}

static ssize_t by_writev(int fd, char *edge, size_t good, size_t bad)
{
	struct iovec iov[2] = { { edge - good, good }, { FT_WILD, bad } };

	return writev(fd, iov, 2);
}

static const struct {
	ssize_t (*send)(int fd, char *edge, size_t good, size_t bad);
	bool stream_only;
} senders[] = {
	{ by_send }, { by_write }, { by_more }, { by_sendmsg }, { by_writev },
	{ by_urgent, true },
};

/* Sends across @edge; @at counts what was sent. A record goes whole or not at all. */
static void send_across(struct __test_metadata *_metadata, struct ft_kind kind,
			int a, int b, char *edge, size_t sender, uint64_t *at)
{
	size_t i, j;
	ssize_t n;

	for (i = 0; i < ARRAY_SIZE(goods); i++) {
		for (j = 0; j < ARRAY_SIZE(bads); j++) {
			ft_pattern(edge - goods[i], *at, goods[i]);
			errno = 0;
			n = senders[sender].send(a, edge, goods[i], bads[j]);
			if (n < 0) {
				EXPECT_EQ(EFAULT, errno);
				EXPECT_EQ(0, ft_poll(b, POLLIN, 0));
				continue;
			}
			EXPECT_TRUE(is_stream(&kind));
			EXPECT_LT(0, n);
			EXPECT_GE(goods[i], n);
			ASSERT_TRUE(arrives(&kind, b, *at, n));
			*at += n;
		}
	}
}

TEST_F(copy, F07_sent_is_what_was_taken)
{
	struct hole *hole;
	uint64_t at = 0;
	size_t i;

	FOR_READ_HOLES(hole) {
		for (i = 0; i < ARRAY_SIZE(senders); i++) {
			if (senders[i].stream_only && !is_stream(&variant->kind))
				continue;
			send_across(_metadata, variant->kind, self->a, self->b,
				    hole->edge, i, &at);
		}
	}
	EXPECT_TRUE(still_works(&variant->kind, self->a, self->b));
}

/* A structure by which a message is described. */
TEST_F(copy, F07_description_across_the_edge)
{
	struct iovec iov[2] = { { "a", 1 }, { "b", 1 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	struct {
		struct cmsghdr header;
		struct ucred creds;
	} control = {
		.header = {
			.cmsg_len = CMSG_LEN(sizeof(struct ucred)),
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS,
		},
		.creds = { getpid(), getuid(), getgid() },
	};
	struct mmsghdr many = { .msg_hdr = msg }, *first;
	struct msghdr copy;
	struct hole *hole;
	char buf[8];
	size_t good;

	FOR_READ_HOLES(hole) {
		for (good = 0; good < sizeof(msg); good += 4)
			EXPECT_ERR(EFAULT, sendmsg(self->a, hole_put(hole, &msg,
								     good), 0));
		for (good = 0; good < sizeof(iov); good += 4) {
			copy = msg;
			copy.msg_iov = hole_put(hole, iov, good);
			EXPECT_ERR(EFAULT, sendmsg(self->a, &copy, 0));
			EXPECT_ERR(EFAULT, writev(self->a, copy.msg_iov, 2));
		}
		for (good = 0; good < sizeof(control); good += 4) {
			copy = msg;
			copy.msg_control = hole_put(hole, &control, good);
			copy.msg_controllen = sizeof(control);
			EXPECT_ERR(EFAULT, sendmsg(self->a, &copy, 0));
		}
		EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
		/* The first of two is sent, the second not seen. */
		first = hole_put(hole, &many, sizeof(many));
		EXPECT_EQ(1, sendmmsg(self->a, first, 2, 0));
		EXPECT_EQ(2, recv(self->b, buf, sizeof(buf), 0));
		EXPECT_EQ(0, memcmp(buf, "ab", 2));
	}
	EXPECT_TRUE(still_works(&variant->kind, self->a, self->b));
}

/* Ways to receive. */

static ssize_t into_recv(int fd, char *edge, size_t good, size_t bad)
{
	return recv(fd, edge - good, good + bad, 0);
}

static ssize_t into_read(int fd, char *edge, size_t good, size_t bad)
{
	return read(fd, edge - good, good + bad);
}

static ssize_t into_waitall(int fd, char *edge, size_t good, size_t bad)
{
	return recv(fd, edge - good, good + bad, MSG_WAITALL);
}

static ssize_t into_peek(int fd, char *edge, size_t good, size_t bad)
{
	return recv(fd, edge - good, good + bad, MSG_PEEK);
}

static ssize_t into_recvmsg(int fd, char *edge, size_t good, size_t bad)
{
	struct iovec iov[3] = {
		{ edge - good, good / 2 },
		{ edge - good + good / 2, good - good / 2 },
		{ edge, bad },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };

	return recvmsg(fd, &msg, 0);
}

static ssize_t into_readv(int fd, char *edge, size_t good, size_t bad)
{
	struct iovec iov[2] = { { edge - good, good }, { FT_WILD, bad } };

	return readv(fd, iov, 2);
}

static const struct {
	ssize_t (*recv)(int fd, char *edge, size_t good, size_t bad);
	bool peeks;
} receivers[] = {
	{ into_recv }, { into_read }, { into_waitall }, { into_recvmsg },
	{ into_readv }, { into_peek, true },
};

/* Bytes: what was not given is still there. */
static void recv_bytes_across(struct __test_metadata *_metadata, int a, int b,
			      char *edge, size_t receiver)
{
	static const size_t chunks[] = { 1000, 5000, 40000 };
	size_t i, j, len = 60000;
	uint64_t at;
	ssize_t n;

	for (i = 0; i < ARRAY_SIZE(chunks); i++) {
		at = 0;
		ASSERT_TRUE(ft_send_all(a, 0, len, chunks[i]));
		ASSERT_TRUE(ft_wait_inq(b, len));
		for (j = 0; j < ARRAY_SIZE(goods); j++) {
			errno = 0;
			n = receivers[receiver].recv(b, edge, goods[j],
						     len - at - goods[j]);
			if (n < 0) {
				EXPECT_EQ(EFAULT, errno);
				continue;
			}
			EXPECT_LT(0, n);
			ASSERT_GE(goods[j], n);
			EXPECT_TRUE(ft_pattern_ok(edge - goods[j], at, n));
			if (!receivers[receiver].peeks)
				at += n;
		}
		ASSERT_TRUE(ft_recv_all(b, at, len - at, 4096));
	}
}

/* Records: it is still there, whole, and is the first. */
static void recv_record_across(struct __test_metadata *_metadata,
			       struct ft_kind kind, int a, int b, char *edge,
			       size_t receiver)
{
	static const size_t sizes[] = { 2, 101, 5000, 50000 };
	size_t i, j;
	ssize_t n;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_TRUE(ft_send_all(a, i, sizes[i], sizes[i]));
		ASSERT_TRUE(ft_send_all(a, 99, 10, 10));
		for (j = 0; j < ARRAY_SIZE(goods) && goods[j] < sizes[i]; j++) {
			n = receivers[receiver].recv(b, edge, goods[j], sizes[i]);
			EXPECT_ERR(EFAULT, n);
		}
		ASSERT_TRUE(arrives(&kind, b, i, sizes[i]));
		ASSERT_TRUE(arrives(&kind, b, 99, 10));
	}
}

TEST_F(copy, F08_received_is_what_was_given)
{
	struct hole *hole;
	size_t i;

	FOR_HOLES(hole) {
		for (i = 0; i < ARRAY_SIZE(receivers); i++) {
			if (is_stream(&variant->kind))
				recv_bytes_across(_metadata, self->a, self->b,
						  hole->edge, i);
			else if (receivers[i].peeks ||
				 keeps_records(&variant->kind))
				recv_record_across(_metadata, variant->kind,
						   self->a, self->b, hole->edge, i);
		}
	}
	EXPECT_TRUE(still_works(&variant->kind, self->a, self->b));
}

/* Room behind the edge that is not needed does no harm. */
TEST_F(copy, F08_what_ends_before_the_edge)
{
	char *edge = self->holes[UNMAPPED].edge;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(receivers); i++) {
		for (j = 1; j < ARRAY_SIZE(goods); j++) {
			/* Waits for what fills the rest. */
			if (receivers[i].recv == into_waitall &&
			    is_stream(&variant->kind))
				break;
			ASSERT_TRUE(ft_send_all(self->a, j, goods[j], goods[j]));
			ASSERT_TRUE(ft_wait_inq(self->b, goods[j]));
			EXPECT_EQ(goods[j], receivers[i].recv(self->b, edge,
							      goods[j], 1000));
			EXPECT_TRUE(ft_pattern_ok(edge - goods[j], j, goods[j]));
			if (receivers[i].peeks)
				ASSERT_TRUE(arrives(&variant->kind, self->b, j,
						    goods[j]));
		}
	}
	EXPECT_TRUE(still_works(&variant->kind, self->a, self->b));
}

TEST_F(copy, F08_description_across_the_edge)
{
	char buf[20], later[10];
	struct iovec iov[2] = { { buf, 5 }, { buf + 5, 15 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	struct mmsghdr many[2] = {};
	struct iovec second;
	struct msghdr copy;
	struct hole *hole;
	size_t good;

	ASSERT_TRUE(ft_send_all(self->a, 0, 20, 20));
	ASSERT_TRUE(ft_wait_inq(self->b, 20));
	FOR_READ_HOLES(hole) {
		for (good = 0; good < sizeof(msg); good += 4)
			EXPECT_ERR(EFAULT, recvmsg(self->b, hole_put(hole, &msg,
								     good), 0));
		for (good = 0; good < sizeof(iov); good += 4) {
			copy = msg;
			copy.msg_iov = hole_put(hole, iov, good);
			EXPECT_ERR(EFAULT, recvmsg(self->b, &copy, 0));
			EXPECT_ERR(EFAULT, readv(self->b, copy.msg_iov, 2));
		}
	}
	EXPECT_TRUE(arrives(&variant->kind, self->b, 0, 20));

	/* The first of two is received, the second stays where it can. */
	ASSERT_TRUE(ft_send_all(self->a, 0, 20, 20));
	ASSERT_TRUE(ft_send_all(self->a, 20, 10, 10));
	ASSERT_TRUE(ft_wait_inq(self->b, is_stream(&variant->kind) ? 30 : 20));
	many[0].msg_hdr = msg;
	second = (struct iovec){ self->holes[READ_ONLY].edge, 10 };
	many[1].msg_hdr.msg_iov = &second;
	many[1].msg_hdr.msg_iovlen = 1;
	EXPECT_EQ(1, recvmmsg(self->b, many, 2, MSG_DONTWAIT, NULL));
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 20));
	/* The core keeps the error for the next call. */
	EXPECT_EQ(EFAULT, ft_getint(self->b, SO_ERROR));
	if (keeps_records(&variant->kind)) {
		EXPECT_EQ(10, recv(self->b, later, sizeof(later), 0));
		EXPECT_TRUE(ft_pattern_ok(later, 20, 10));
	}
	EXPECT_TRUE(still_works(&variant->kind, self->a, self->b));
}

/*
 * What belongs to a message is written when it was taken: without room for its
 * control messages it is received without them; without room for its address
 * the call fails and it is lost, in all families.
 */
TEST_F(copy, F08_control_and_address_across_the_edge)
{
	struct ft_addr own = { .len = sizeof(own.ss) };
	char buf[20];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct hole *hole;
	size_t good;

	ASSERT_EQ(0, ft_setint(self->b, SO_TIMESTAMP, 1));
	FOR_HOLES(hole) {
		for (good = 0; good < 32; good += 4) {
			ASSERT_TRUE(ft_send_all(self->a, good, 20, 20));
			ASSERT_TRUE(ft_wait_inq(self->b, 20));
			msg.msg_control = hole->edge - good;
			msg.msg_controllen = 256;
			msg.msg_flags = 0;
			EXPECT_EQ(20, recvmsg(self->b, &msg, 0));
			EXPECT_TRUE(ft_pattern_ok(buf, good, 20));
		}
	}
	ASSERT_EQ(0, ft_setint(self->b, SO_TIMESTAMP, 0));
	msg.msg_control = NULL;
	msg.msg_controllen = 0;

	ASSERT_EQ(0, getsockname(self->a, &own.sa, &own.len));
	for (good = 0; good < own.len; good += 4) {
		ASSERT_TRUE(ft_send_all(self->a, good, 20, 20));
		ASSERT_TRUE(ft_wait_inq(self->b, 20));
		msg.msg_name = self->holes[READ_ONLY].edge - good;
		msg.msg_namelen = sizeof(own.ss);
		if (variant->kind.type == SOCK_STREAM ||
		    (variant->kind.type == SOCK_SEQPACKET &&
		     variant->kind.domain == AF_UNIX)) {
			/* A stream gives none, AF_UNIX none without a name. */
			EXPECT_EQ(20, recvmsg(self->b, &msg, 0));
			EXPECT_EQ(0, msg.msg_namelen);
			EXPECT_TRUE(ft_pattern_ok(buf, good, 20));
		} else {
			EXPECT_ERR(EFAULT, recvmsg(self->b, &msg, 0));
		}
	}
	EXPECT_TRUE(still_works(&variant->kind, self->a, self->b));
}

/* Options. */

static const struct {
	int level;
	int name;
	size_t size;
	bool no_get;
	bool no_set;
} options[] = {
	{ SOL_SOCKET, SO_REUSEADDR, sizeof(int) },
	{ SOL_SOCKET, SO_SNDBUF, sizeof(int) },
	{ SOL_SOCKET, SO_RCVBUF, sizeof(int) },
	{ SOL_SOCKET, SO_RCVBUFFORCE, sizeof(int), true },
	{ SOL_SOCKET, SO_RCVLOWAT, sizeof(int) },
	{ SOL_SOCKET, SO_KEEPALIVE, sizeof(int) },
	{ SOL_SOCKET, SO_BROADCAST, sizeof(int) },
	{ SOL_SOCKET, SO_OOBINLINE, sizeof(int) },
	{ SOL_SOCKET, SO_PRIORITY, sizeof(int) },
	{ SOL_SOCKET, SO_MARK, sizeof(int) },
	{ SOL_SOCKET, SO_TIMESTAMP, sizeof(int) },
	{ SOL_SOCKET, SO_TIMESTAMPNS, sizeof(int) },
	{ SOL_SOCKET, SO_TIMESTAMPING, sizeof(int) },
	{ SOL_SOCKET, SO_RXQ_OVFL, sizeof(int) },
	{ SOL_SOCKET, SO_INCOMING_CPU, sizeof(int) },
	{ SOL_SOCKET, SO_LINGER, sizeof(struct linger) },
	{ SOL_SOCKET, SO_RCVTIMEO, sizeof(struct timeval) },
	{ SOL_SOCKET, SO_SNDTIMEO, sizeof(struct timeval) },
	{ SOL_SOCKET, SO_ATTACH_FILTER, sizeof(struct sock_fprog), true },
	{ SOL_SOCKET, SO_ATTACH_BPF, sizeof(int), true },
	{ SOL_SOCKET, SO_TYPE, sizeof(int), false, true },
	{ SOL_SOCKET, SO_ERROR, sizeof(int), false, true },
	{ SOL_SOCKET, SO_COOKIE, sizeof(uint64_t), false, true },
	{ SOL_SOCKET, SO_MEMINFO, 9 * sizeof(uint32_t), false, true },
	{ SOL_FERRY, FERRY_MODE, sizeof(int) },
	{ SOL_FERRY, FERRY_PASSRIGHTS, sizeof(int) },
	{ SOL_FERRY, FERRY_BROADCAST_POLICY, sizeof(int) },
	{ SOL_FERRY, FERRY_REUSEPORT, sizeof(int) },
	{ SOL_FERRY, FERRY_ZEROCOPY, sizeof(int) },
	{ SOL_FERRY, FERRY_PASSCRED, sizeof(int) },
	{ SOL_FERRY, FERRY_PASSSEC, sizeof(int) },
	{ SOL_FERRY, FERRY_PASSPIDFD, sizeof(int) },
	{ SOL_FERRY, FERRY_INFO, sizeof(struct ferry_info), false, true },
};

/* Neither set nor told, and as it was. */
static void option_across(struct __test_metadata *_metadata, int fd,
			  const struct hole *holes, size_t i)
{
	int level = options[i].level, name = options[i].name;
	char before[256] = "", after[256] = "", value[256];
	socklen_t len = sizeof(before), *len_ptr;
	size_t good, size = options[i].size;
	int t;

	memset(value, 1, sizeof(value));
	if (!options[i].no_get)
		ASSERT_EQ(0, getsockopt(fd, level, name, before, &len));
	for (t = 0; t < TROUBLES; t++) {
		for (good = 0; good < size; good++) {
			char *across = hole_put(&holes[t], value, good);

			if (!options[i].no_set && t != READ_ONLY)
				EXPECT_ERR(EFAULT, setsockopt(fd, level, name,
							      across, size));
			len = size;
			if (!options[i].no_get)
				EXPECT_ERR(EFAULT, getsockopt(fd, level, name,
							      across, &len));
		}
	}
	if (options[i].no_get)
		return;
	/* The length is read and written. */
	for (good = 0; good < sizeof(len); good++) {
		len_ptr = hole_put(&holes[UNMAPPED], &len, good);
		EXPECT_ERR(EFAULT, getsockopt(fd, level, name, after, len_ptr));
	}
	memset(after, 0, sizeof(after));
	len = sizeof(after);
	EXPECT_EQ(0, getsockopt(fd, level, name, after, &len));
	EXPECT_EQ(0, memcmp(before, after, sizeof(before)))
		TH_LOG("option %d of level %d changed", name, level);
}

TEST_F(copy, F13_option_across_the_edge)
{
	socklen_t len;
	int value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		/* The older families know nothing of that level. */
		if (options[i].level == SOL_FERRY &&
		    variant->kind.domain != AF_FERRY)
			continue;
		/* The mode is that of a name, which a listener keeps for itself. */
		if (options[i].level == SOL_FERRY &&
		    options[i].name == FERRY_MODE &&
		    variant->kind.type != SOCK_DGRAM)
			continue;
		/* Not before Linux 6.7. */
		len = sizeof(value);
		if (options[i].level == SOL_FERRY &&
		    options[i].name == FERRY_PASSPIDFD &&
		    ft_err(getsockopt(self->b, SOL_FERRY, FERRY_PASSPIDFD,
				      &value, &len)) == ENOPROTOOPT)
			continue;
		option_across(_metadata, self->b, self->holes, i);
	}
	EXPECT_TRUE(still_works(&variant->kind, self->a, self->b));
}

/* A filter is read by the pointer in the option's value. */
TEST_F(copy, O02_program_across_the_edge)
{
	struct sock_filter pass[2] = {
		{ BPF_LD | BPF_W | BPF_LEN },
		{ BPF_RET | BPF_K, 0, 0, 0 },
	};
	struct sock_fprog prog = { .len = ARRAY_SIZE(pass) };
	struct hole *hole;
	size_t good;

	FOR_READ_HOLES(hole) {
		for (good = 0; good < sizeof(pass); good++) {
			prog.filter = hole_put(hole, pass, good);
			EXPECT_ERR(EFAULT, setsockopt(self->b, SOL_SOCKET,
						      SO_ATTACH_FILTER, &prog,
						      sizeof(prog)));
		}
	}
	/* It would have dropped everything. */
	EXPECT_TRUE(still_works(&variant->kind, self->a, self->b));
}

/* Addresses and numbers. */

TEST_F(copy, F12_address_across_the_edge)
{
	struct ft_addr addr = { .len = sizeof(addr.ss) }, other;
	socklen_t *len_ptr, len;
	struct hole *hole;
	size_t good;

	ASSERT_EQ(0, getsockname(self->b, &addr.sa, &addr.len));
	FOR_HOLES(hole) {
		for (good = 0; good < addr.len; good++) {
			void *across = hole->edge - good;

			len = addr.len;
			EXPECT_ERR(EFAULT, getsockname(self->b, across, &len));
			len = addr.len;
			EXPECT_ERR(EFAULT, getpeername(self->a, across, &len));
		}
		for (good = 0; good < sizeof(len); good++) {
			len_ptr = hole_put(hole, &addr.len, good);
			EXPECT_ERR(EFAULT, getsockname(self->b, &other.sa, len_ptr));
		}
	}
}

/* Nothing is bound, connected or sent by an address that is not all there. */
TEST_F(copy, F03_address_across_the_edge)
{
	struct ft_addr addr = { .len = sizeof(addr.ss) }, fresh;
	struct hole *hole;
	size_t good;
	int fd;

	ASSERT_EQ(0, getsockname(self->b, &addr.sa, &addr.len));
	fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fd);
	FOR_READ_HOLES(hole) {
		for (good = 0; good < addr.len; good++) {
			void *across = hole_put(hole, &addr.ss, good);

			EXPECT_ERR(EFAULT, bind(fd, across, addr.len));
			EXPECT_ERR(EFAULT, connect(fd, across, addr.len));
			EXPECT_ERR(EFAULT, sendto(fd, "x", 1, MSG_NOSIGNAL,
						  across, addr.len));
		}
	}
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	EXPECT_EQ(0, ft_bind_new(fd, variant->kind.domain, &fresh));
	ft_close(&fd);
}

TEST_F(copy, F05_address_of_an_accepted_across_the_edge)
{
	struct ft_addr addr, own;
	int listener, fd, accepted;
	struct hole *hole;
	socklen_t len;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "datagram sockets do not listen");
	listener = ft_listener(&variant->kind, &addr, 1);
	ASSERT_LE(0, listener);
	/* The connection is lost, its place in the backlog is not. */
	FOR_HOLES(hole) {
		void *across = hole->edge - 1;

		fd = socket(variant->kind.domain, variant->kind.type, 0);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, ft_bind_new(fd, variant->kind.domain, &own));
		ASSERT_EQ(0, connect(fd, &addr.sa, addr.len));
		len = sizeof(addr.ss);
		EXPECT_ERR(EFAULT, accept(listener, across, &len));
		EXPECT_EQ(POLLIN, ft_poll(fd, POLLIN, FT_LONG_MS) & POLLIN);
		ft_close(&fd);
	}
	fd = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, fd);
	accepted = accept(listener, NULL, NULL);
	ASSERT_LE(0, accepted);
	EXPECT_TRUE(still_works(&variant->kind, fd, accepted));
	ft_close(&accepted);
	ft_close(&fd);
	ft_close(&listener);
}

TEST_F(copy, F06_pair_across_the_edge)
{
	size_t good;

	if (variant->kind.domain == AF_INET)
		SKIP(return, "the family makes no pairs");
	/* The leak check at the end counts what was made and not told. */
	for (good = 0; good < 2 * sizeof(int); good++)
		EXPECT_ERR(EFAULT, socketpair(variant->kind.domain,
					      variant->kind.type, 0,
					      (int *)(self->holes[READ_ONLY].edge -
						      good)));
}

TEST_F(copy, I05_number_across_the_edge)
{
	struct hole *hole;
	size_t good;
	int n = 0;

	ASSERT_TRUE(ft_send_all(self->a, 0, 20, 20));
	ASSERT_TRUE(ft_wait_inq(self->b, 20));
	FOR_HOLES(hole) {
		for (good = 0; good < sizeof(n); good++) {
			EXPECT_ERR(EFAULT, ioctl(self->b, SIOCINQ, hole->edge - good));
			EXPECT_ERR(EFAULT, ioctl(self->a, SIOCOUTQ, hole->edge - good));
		}
	}
	EXPECT_EQ(0, ioctl(self->b, SIOCINQ, &n));
	EXPECT_EQ(20, n);
	EXPECT_TRUE(arrives(&variant->kind, self->b, 0, 20));
	EXPECT_TRUE(still_works(&variant->kind, self->a, self->b));
}

FT_HARNESS_MAIN
