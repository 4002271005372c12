// SPDX-License-Identifier: GPL-2.0
/*
 * MSG_ZEROCOPY and its notifications. F07, O46.
 *
 * TCP promises the interface too; over loopback it copies after all.
 */
#include "bpf_helpers.h"
#include "pages.h"
#include "kselftest_harness.h"

#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <sys/resource.h>

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY	60
#endif

#define PAGE		4096
#define MEM		(64 * PAGE)

/* Calls from @lo to @hi have ended. */
struct note {
	unsigned int lo, hi;
	bool copied;
};

/* Where the option is: before 6.7 the core knows it at SOL_SOCKET for INET only. */
static int zc_level(const struct ft_kind *kind, int *option)
{
	bool own = kind->domain == AF_FERRY && ft_kernel_before(6, 7);

	*option = own ? FERRY_ZEROCOPY : SO_ZEROCOPY;
	return own ? SOL_FERRY : SOL_SOCKET;
}

static int zc_enable(const struct ft_kind *kind, int fd)
{
	int option, level = zc_level(kind, &option), one = 1;

	return setsockopt(fd, level, option, &one, sizeof(one));
}

/* The next notification, if there is one. */
static bool zc_next(int fd, struct note *note)
{
	char control[256];
	struct msghdr msg = {
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct sock_extended_err ee;
	struct cmsghdr *cmsg;

	if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) != 0)
		return false;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_len < CMSG_LEN(sizeof(ee)))
			continue;
		memcpy(&ee, CMSG_DATA(cmsg), sizeof(ee));
		if (ee.ee_origin != SO_EE_ORIGIN_ZEROCOPY || ee.ee_errno)
			continue;
		note->lo = ee.ee_info;
		note->hi = ee.ee_data;
		note->copied = ee.ee_code & SO_EE_CODE_ZEROCOPY_COPIED;
		return true;
	}
	return false;
}

static bool zc_wait(int fd, struct note *note)
{
	return (ft_poll(fd, POLLERR, FT_LONG_MS) & POLLERR) && zc_next(fd, note);
}

static bool zc_none(int fd)
{
	struct note note;

	return !zc_next(fd, &note) && !(ft_poll(fd, POLLERR, 0) & POLLERR);
}

/* Receives @len patterned bytes, in one piece where it is a record. */
static bool zc_recv(const struct ft_kind *kind, int fd, uint64_t at, size_t len)
{
	char *buf = malloc(len + 1);
	bool ok;

	if (kind->type == SOCK_STREAM) {
		free(buf);
		return ft_recv_all(fd, at, len, 10000);
	}
	ok = recv(fd, buf, len + 1, 0) == (ssize_t)len && ft_pattern_ok(buf, at, len);
	free(buf);
	return ok;
}

#define ZC_SETUP()							\
do {									\
	FT_NEED(variant->kind.domain, variant->kind.type);		\
	ft_leak_start(&self->leak, variant->kind.domain);		\
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));	\
	ASSERT_EQ(0, zc_enable(&variant->kind, self->a));		\
	self->file = pages_new(MEM);					\
	ASSERT_LE(0, self->file);					\
	self->mem = pages_map(self->file, MEM);				\
	ASSERT_NE(NULL, self->mem);					\
} while (0)

#define ZC_TEARDOWN()							\
do {									\
	ft_close(&self->a);						\
	ft_close(&self->b);						\
	EXPECT_TRUE(pages_free(self->file));				\
	munmap(self->mem, MEM);						\
	ft_close(&self->file);						\
	FT_NO_LEAK(&self->leak);					\
} while (0)

/* Who promises the interface. */
FIXTURE(zerocopy)
{
	struct ft_leak leak;
	int a, b, file;
	char *mem;
};

FIXTURE_VARIANT(zerocopy)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(zerocopy, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(zerocopy, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(zerocopy, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(zerocopy, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM, FT_CONN },
};

FIXTURE_SETUP(zerocopy)
{
	ZC_SETUP();
}

FIXTURE_TEARDOWN(zerocopy)
{
	ZC_TEARDOWN();
}

/* Who lends without copying. */
FIXTURE(lend)
{
	struct ft_leak leak;
	int a, b, file;
	char *mem;
};

FIXTURE_VARIANT(lend)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(lend, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(lend, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(lend, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_CONN },
};

FIXTURE_SETUP(lend)
{
	ZC_SETUP();
}

FIXTURE_TEARDOWN(lend)
{
	ZC_TEARDOWN();
}

TEST_F(zerocopy, F07_zerocopy_notifies)
{
	struct note note;

	for (unsigned int i = 0; i < 3; i++) {
		ASSERT_EQ(16384, send(self->a, self->mem, 16384, MSG_ZEROCOPY));
		EXPECT_TRUE(zc_recv(&variant->kind, self->b, 0, 16384));
		ASSERT_TRUE(zc_wait(self->a, &note));
		EXPECT_EQ(i, note.lo);
		EXPECT_EQ(i, note.hi);
		EXPECT_TRUE(zc_none(self->a));
	}
}

TEST_F(zerocopy, F07_zerocopy_of_every_size)
{
	static const size_t sizes[] = { 1, 4095, 4096, 4097, 8191, 40000 };
	static const size_t offsets[] = { 0, 1, 100, 4095 };
	unsigned int n = 0;
	struct note note;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(offsets); j++, n++) {
			ASSERT_EQ(sizes[i], send(self->a, self->mem + offsets[j],
						 sizes[i], MSG_ZEROCOPY));
			ASSERT_TRUE(zc_recv(&variant->kind, self->b, offsets[j],
					    sizes[i]));
			ASSERT_TRUE(zc_wait(self->a, &note));
			EXPECT_EQ(n, note.lo);
			EXPECT_EQ(n, note.hi);
		}
	}
}

TEST_F(zerocopy, F07_zerocopy_scattered)
{
	struct iovec iov[] = {
		{ self->mem + 4000, 5000 }, { self->mem + 9000, 1 },
		{ self->mem + 9001, 8000 }, { self->mem + 17001, 3000 },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 4 };
	struct note note;

	ASSERT_EQ(16001, sendmsg(self->a, &msg, MSG_ZEROCOPY));
	EXPECT_TRUE(zc_recv(&variant->kind, self->b, 4000, 16001));
	ASSERT_TRUE(zc_wait(self->a, &note));
	EXPECT_EQ(0, note.lo);
}

TEST_F(zerocopy, F07_zerocopy_ranges_in_order)
{
	struct note note;

	for (int i = 0; i < 6; i++)
		ASSERT_EQ(PAGE, send(self->a, self->mem + i * PAGE, PAGE,
				     MSG_ZEROCOPY));
	for (int i = 0; i < 6; i++)
		ASSERT_TRUE(zc_recv(&variant->kind, self->b, i * PAGE, PAGE));
	for (unsigned int next = 0; next < 6; next = note.hi + 1) {
		ASSERT_TRUE(zc_wait(self->a, &note));
		EXPECT_EQ(next, note.lo);
		EXPECT_LE(note.lo, note.hi);
	}
	EXPECT_TRUE(zc_none(self->a));
}

TEST_F(zerocopy, F07_zerocopy_failure_notifies_nobody)
{
	struct note note;

	EXPECT_ERR(EFAULT, send(self->a, FT_WILD, 2 * PAGE, MSG_ZEROCOPY));
	EXPECT_TRUE(zc_none(self->a));
	ASSERT_EQ(PAGE, send(self->a, self->mem, PAGE, MSG_ZEROCOPY));
	EXPECT_TRUE(zc_recv(&variant->kind, self->b, 0, PAGE));
	ASSERT_TRUE(zc_wait(self->a, &note));
	EXPECT_EQ(0, note.lo);
	EXPECT_EQ(0, note.hi);
}

/* TCP sends what it had taken; a small message of a local stream is whole or not at all. */
TEST_F(lend, F07_zerocopy_memory_ends_midway)
{
	long page = sysconf(_SC_PAGESIZE);
	struct note note;
	char *map;

	map = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	munmap(map + 2 * page, 2 * page);
	ft_pattern(map, 0, 2 * page);
	EXPECT_ERR(EFAULT, send(self->a, map, 4 * page, MSG_ZEROCOPY));
	EXPECT_TRUE(zc_none(self->a));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));

	ASSERT_EQ(2 * page, send(self->a, map, 2 * page, MSG_ZEROCOPY));
	EXPECT_TRUE(zc_recv(&variant->kind, self->b, 0, 2 * page));
	ASSERT_TRUE(zc_wait(self->a, &note));
	EXPECT_EQ(0, note.lo);
	EXPECT_EQ(0, note.hi);
	EXPECT_TRUE(zc_none(self->a));
	munmap(map, 2 * page);
}

/* What a filter has seen is a copy, but not read earlier for that. */
TEST_F(lend, F07_zerocopy_notifications_in_order_under_a_filter)
{
	struct note note;

	ASSERT_EQ(2 * PAGE, send(self->a, self->mem, 2 * PAGE, MSG_ZEROCOPY));
	ASSERT_EQ(0, filter_constant(self->b, 0xffff));
	ASSERT_EQ(2 * PAGE, send(self->a, self->mem + 2 * PAGE, 2 * PAGE,
				 MSG_ZEROCOPY));
	EXPECT_TRUE(zc_none(self->a));
	EXPECT_TRUE(zc_recv(&variant->kind, self->b, 0, 2 * PAGE));
	ASSERT_TRUE(zc_wait(self->a, &note));
	EXPECT_EQ(0, note.lo);
	EXPECT_EQ(0, note.hi);
	EXPECT_TRUE(zc_none(self->a));
	EXPECT_TRUE(zc_recv(&variant->kind, self->b, 2 * PAGE, 2 * PAGE));
	ASSERT_TRUE(zc_wait(self->a, &note));
	EXPECT_EQ(1, note.lo);
	EXPECT_EQ(1, note.hi);
	EXPECT_TRUE(note.copied);
}

/* Pieces of memory that begin where another ends share a page. */
TEST_F(zerocopy, F07_zerocopy_pieces_of_one_page)
{
	struct iovec iov[3] = {
		{ self->mem, 2000 },
		{ self->mem + 2000, 6192 },
		{ self->mem + 2 * PAGE, 2 * PAGE },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };
	struct note note;

	ASSERT_EQ(4 * PAGE, sendmsg(self->a, &msg, MSG_ZEROCOPY));
	EXPECT_TRUE(zc_recv(&variant->kind, self->b, 0, 4 * PAGE));
	ASSERT_TRUE(zc_wait(self->a, &note));
	EXPECT_EQ(0, note.hi);
	EXPECT_TRUE(zc_none(self->a));
}

#define RING		65536

/* Memory of one compound page: the ring of a packet socket that hears nothing. */
static char *ring_map(int *fd)
{
	struct tpacket_req req = {
		.tp_block_size = RING, .tp_block_nr = 1,
		.tp_frame_size = RING, .tp_frame_nr = 1,
	};
	char *map;

	*fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (*fd < 0)
		return NULL;
	map = MAP_FAILED;
	if (!setsockopt(*fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)))
		map = mmap(NULL, RING, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (map != MAP_FAILED)
		return map;
	ft_close(fd);
	return NULL;
}

/* They go back in one, also when all others have let go of them. */
TEST_F(zerocopy, F07_zerocopy_compound_pages)
{
	struct note note;
	char *ring;
	int fd, i;

	ring = ring_map(&fd);
	if (!ring)
		SKIP(return, "no packet sockets with a ring here");
	ft_pattern(ring, 0, RING);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(4 * PAGE, send(self->a, ring + 3 * PAGE, 4 * PAGE,
					 MSG_ZEROCOPY));
		/* Only the last page of it. */
		ASSERT_EQ(PAGE, send(self->a, ring + RING - PAGE, PAGE,
				     MSG_ZEROCOPY));
		if (i) {
			munmap(ring, RING);
			ft_close(&fd);
		}
		EXPECT_TRUE(zc_recv(&variant->kind, self->b, 3 * PAGE, 4 * PAGE));
		EXPECT_TRUE(zc_recv(&variant->kind, self->b, RING - PAGE, PAGE));
	}
	while (zc_wait(self->a, &note) && note.hi != 3)
		;
	EXPECT_EQ(3, note.hi);
	EXPECT_TRUE(zc_none(self->a));
}

TEST_F(zerocopy, F07_zerocopy_ignored_without_the_option)
{
	int option, level = zc_level(&variant->kind, &option), zero = 0;

	ASSERT_EQ(0, setsockopt(self->a, level, option, &zero, sizeof(zero)));
	ASSERT_EQ(PAGE, send(self->a, self->mem, PAGE, MSG_ZEROCOPY));
	EXPECT_TRUE(pages_free(self->file));
	EXPECT_TRUE(zc_recv(&variant->kind, self->b, 0, PAGE));
	EXPECT_TRUE(zc_none(self->a));
}

TEST_F(zerocopy, O46_zerocopy_option)
{
	int option, level = zc_level(&variant->kind, &option);
	socklen_t len = sizeof(int);
	char small[2] = { 9, 9 };
	int val = -1;

	/* The other end did not ask. */
	EXPECT_EQ(0, getsockopt(self->b, level, option, &val, &len));
	EXPECT_EQ(0, val);
	EXPECT_EQ(0, getsockopt(self->a, level, option, &val, &len));
	EXPECT_EQ(1, val);
	EXPECT_EQ(sizeof(int), len);
	val = 0;
	EXPECT_EQ(0, setsockopt(self->a, level, option, &val, sizeof(val)));
	EXPECT_EQ(0, getsockopt(self->a, level, option, &val, &len));
	EXPECT_EQ(0, val);

	val = 2;
	EXPECT_ERR(EINVAL, setsockopt(self->a, level, option, &val, sizeof(val)));
	val = -1;
	EXPECT_ERR(EINVAL, setsockopt(self->a, level, option, &val, sizeof(val)));
	EXPECT_ERR(EINVAL, setsockopt(self->a, level, option, &val, 3));
	EXPECT_ERR(EFAULT, setsockopt(self->a, level, option, FT_WILD, sizeof(val)));
	len = 1;
	EXPECT_EQ(0, getsockopt(self->a, level, option, small, &len));
	EXPECT_EQ(1, len);
	EXPECT_EQ(0, small[0]);
	EXPECT_EQ(9, small[1]);
	len = sizeof(val);
	EXPECT_ERR(EFAULT, getsockopt(self->a, level, option, FT_WILD, &len));
}

TEST_F(zerocopy, F07_zerocopy_memlock_limit)
{
	struct rlimit none = { 0, 0 };
	struct ft_child child;

	if (!ft_fork(&child)) {
		int status = 1;

		if (!setrlimit(RLIMIT_MEMLOCK, &none) && ft_become(65534, 65534))
			status = send(self->a, self->mem, PAGE, MSG_ZEROCOPY) != -1 ||
				 errno != ENOBUFS;
		_exit(status);
	}
	EXPECT_EQ(0, ft_wait_child(&child));
	EXPECT_TRUE(zc_none(self->a));
}

TEST_F(lend, F07_zerocopy_lends_until_read)
{
	struct note note;

	ASSERT_EQ(32768, send(self->a, self->mem, 32768, MSG_ZEROCOPY));
	EXPECT_TRUE(pages_held(self->file));
	EXPECT_TRUE(zc_none(self->a));
	EXPECT_TRUE(zc_recv(&variant->kind, self->b, 0, 32768));
	/* At once: the reader gives back before it returns. */
	ASSERT_TRUE(zc_next(self->a, &note));
	EXPECT_EQ(0, note.lo);
	EXPECT_EQ(0, note.hi);
	EXPECT_FALSE(note.copied);
	EXPECT_TRUE(pages_free(self->file));
}

TEST_F(lend, F07_zerocopy_ranges_coalesce)
{
	struct note note;

	for (int i = 0; i < 5; i++)
		ASSERT_EQ(PAGE, send(self->a, self->mem, PAGE, MSG_ZEROCOPY));
	for (int i = 0; i < 5; i++)
		ASSERT_TRUE(zc_recv(&variant->kind, self->b, 0, PAGE));
	ASSERT_TRUE(zc_next(self->a, &note));
	EXPECT_EQ(0, note.lo);
	EXPECT_EQ(4, note.hi);
	EXPECT_FALSE(note.copied);
	EXPECT_TRUE(zc_none(self->a));
}

TEST_F(lend, F07_zerocopy_small_is_copied_and_told)
{
	struct note note;

	ASSERT_EQ(100, send(self->a, self->mem, 100, MSG_ZEROCOPY));
	EXPECT_TRUE(pages_free(self->file));
	EXPECT_TRUE(zc_recv(&variant->kind, self->b, 0, 100));
	ASSERT_TRUE(zc_next(self->a, &note));
	EXPECT_EQ(0, note.hi);
	EXPECT_TRUE(note.copied);
}

TEST_F(lend, F07_zerocopy_copied_keeps_its_turn)
{
	struct note note;

	ASSERT_EQ(PAGE, send(self->a, self->mem, PAGE, MSG_ZEROCOPY));
	ASSERT_EQ(100, send(self->a, self->mem, 100, MSG_ZEROCOPY));
	EXPECT_TRUE(zc_none(self->a));
	EXPECT_TRUE(zc_recv(&variant->kind, self->b, 0, PAGE));
	ASSERT_TRUE(zc_next(self->a, &note));
	EXPECT_EQ(0, note.hi);
	EXPECT_FALSE(note.copied);
	EXPECT_TRUE(zc_recv(&variant->kind, self->b, 0, 100));
	ASSERT_TRUE(zc_next(self->a, &note));
	EXPECT_EQ(1, note.lo);
	EXPECT_TRUE(note.copied);
}

TEST_F(lend, O02_zerocopy_past_a_filter_is_copied)
{
	struct sock_filter cut = BPF_STMT(BPF_RET | BPF_K, 5000);
	struct sock_fprog prog = { 1, &cut };
	struct note note;

	ASSERT_EQ(0, setsockopt(self->b, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
				sizeof(prog)));
	ASSERT_EQ(16384, send(self->a, self->mem, 16384, MSG_ZEROCOPY));
	EXPECT_TRUE(pages_free(self->file));
	EXPECT_TRUE(zc_recv(&variant->kind, self->b, 0, 5000));
	ASSERT_TRUE(zc_next(self->a, &note));
	EXPECT_EQ(0, note.hi);
	EXPECT_TRUE(note.copied);
}

TEST_F(lend, O02_zerocopy_dropped_by_a_filter)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { 1, &drop };
	struct note note;

	ASSERT_EQ(0, setsockopt(self->b, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
				sizeof(prog)));
	ASSERT_EQ(16384, send(self->a, self->mem, 16384, MSG_ZEROCOPY));
	ASSERT_TRUE(zc_next(self->a, &note));
	EXPECT_EQ(0, note.hi);
	EXPECT_TRUE(note.copied);
}

TEST_F(lend, F15_zerocopy_unread_when_the_receiver_closes)
{
	struct note note;

	ASSERT_EQ(16384, send(self->a, self->mem, 16384, MSG_ZEROCOPY));
	ASSERT_EQ(16384, send(self->a, self->mem, 16384, MSG_ZEROCOPY));
	EXPECT_TRUE(pages_held(self->file));
	ft_close(&self->b);
	ASSERT_TRUE(zc_next(self->a, &note));
	EXPECT_EQ(0, note.lo);
	EXPECT_EQ(1, note.hi);
	EXPECT_TRUE(pages_free(self->file));
}

TEST_F(lend, F15_zerocopy_unread_when_the_sender_closes)
{
	ASSERT_EQ(16384, send(self->a, self->mem, 16384, MSG_ZEROCOPY));
	ft_close(&self->a);
	EXPECT_TRUE(pages_held(self->file));
	EXPECT_TRUE(zc_recv(&variant->kind, self->b, 0, 16384));
	EXPECT_TRUE(pages_free(self->file));
}

TEST_F(lend, F08_zerocopy_peek_keeps_it_lent)
{
	struct note note;
	char buf[8192];

	ASSERT_EQ(8192, send(self->a, self->mem, 8192, MSG_ZEROCOPY));
	EXPECT_EQ(8192, recv(self->b, buf, 8192, MSG_PEEK));
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 8192));
	EXPECT_TRUE(zc_none(self->a));
	EXPECT_TRUE(pages_held(self->file));
	EXPECT_EQ(8192, recv(self->b, NULL, variant->kind.type == SOCK_STREAM ? 8192 : 0,
			     MSG_TRUNC));
	EXPECT_TRUE(zc_next(self->a, &note));
}

TEST_F(lend, O23_zerocopy_peek_offset)
{
	char buf[3000];

	ASSERT_EQ(0, ft_setint(self->b, SO_PEEK_OFF, 2000));
	ASSERT_EQ(16384, send(self->a, self->mem, 16384, MSG_ZEROCOPY));
	for (int at = 2000; at + 3000 <= 16384; at += 3000) {
		ASSERT_EQ(3000, recv(self->b, buf, 3000, MSG_PEEK));
		ASSERT_TRUE(ft_pattern_ok(buf, at, 3000));
	}
	EXPECT_TRUE(zc_recv(&variant->kind, self->b, 0, 16384));
}

TEST_F(lend, O30_zerocopy_low_water_mark)
{
	if (variant->kind.type != SOCK_STREAM)
		SKIP(return, "records have no low-water mark");
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 8192));
	ASSERT_EQ(PAGE, send(self->a, self->mem, PAGE, MSG_ZEROCOPY));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	ASSERT_EQ(PAGE, send(self->a, self->mem + PAGE, PAGE, MSG_ZEROCOPY));
	EXPECT_EQ(POLLIN, ft_poll(self->b, POLLIN, 0));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 8192, 8192));
}

TEST_F(lend, O38_sndbuf_bounds_what_is_lent)
{
	unsigned int sends = 0, next = 0;
	size_t total = 0;
	struct note note;
	ssize_t n;

	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 32768));
	while ((n = send(self->a, self->mem + total, 16384,
			 MSG_ZEROCOPY | MSG_DONTWAIT)) > 0) {
		sends++;
		total += n;
		ASSERT_GE(MEM - 16384, total);
	}
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_LE(32768, total);
	EXPECT_GE(65536 + 16384, total);
	EXPECT_TRUE(zc_none(self->a));
	if (variant->kind.type == SOCK_STREAM) {
		EXPECT_TRUE(ft_recv_all(self->b, 0, total, 5000));
	} else {
		for (size_t at = 0; at < total; at += 16384)
			EXPECT_TRUE(zc_recv(&variant->kind, self->b, at, 16384));
	}
	for (; next < sends; next = note.hi + 1) {
		ASSERT_TRUE(zc_next(self->a, &note));
		EXPECT_EQ(next, note.lo);
	}
	EXPECT_EQ(sends, next);
	EXPECT_TRUE(zc_none(self->a));
	/* What was pinned counts no longer. */
	EXPECT_EQ(PAGE, send(self->a, self->mem, PAGE, MSG_DONTWAIT));
}

TEST_F(lend, O20_zerocopy_urgent_byte_is_copied)
{
	struct note note;
	char c;

	if (variant->kind.type != SOCK_STREAM)
		SKIP(return, "records have no urgent byte");
	ASSERT_EQ(8193, send(self->a, self->mem, 8193, MSG_ZEROCOPY | MSG_OOB));
	EXPECT_EQ(1, recv(self->b, &c, 1, MSG_OOB));
	EXPECT_TRUE(ft_pattern_ok(&c, 8192, 1));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 8192, 8192));
	EXPECT_ERR(EAGAIN, recv(self->b, &c, 1, MSG_DONTWAIT));
	ASSERT_TRUE(zc_next(self->a, &note));
	EXPECT_TRUE(note.copied);
}

struct lender {
	int fd;
	const char *mem;
	unsigned int sent;
	atomic_int *running;
};

static void *lend_some(void *arg)
{
	struct lender *l = arg;

	for (int i = 0; i < 300; i++)
		if (send(l->fd, l->mem, 8192, MSG_ZEROCOPY | MSG_DONTWAIT) > 0)
			l->sent++;
	atomic_fetch_sub(l->running, 1);
	return NULL;
}

/* Each call that succeeded is told of once, whatever calls failed beside it. */
TEST_F(lend, F07_zerocopy_exact_with_two_senders)
{
	atomic_int running = 2;
	struct lender lenders[2];
	unsigned char seen[600] = {};
	unsigned int told = 0;
	pthread_t threads[2];
	struct note note;
	char buf[8192];

	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 20000));
	for (int i = 0; i < 2; i++) {
		lenders[i] = (struct lender){ self->a, self->mem, 0, &running };
		pthread_create(&threads[i], NULL, lend_some, &lenders[i]);
	}
	while (atomic_load(&running)) {
		recv(self->b, buf, sizeof(buf), MSG_DONTWAIT);
		while (zc_next(self->a, &note)) {
			ASSERT_GT(600, note.hi);
			for (unsigned int i = note.lo; i <= note.hi; i++, told++)
				EXPECT_EQ(0, seen[i]++);
		}
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	while (recv(self->b, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	while (zc_next(self->a, &note)) {
		ASSERT_GT(600, note.hi);
		for (unsigned int i = note.lo; i <= note.hi; i++, told++)
			EXPECT_EQ(0, seen[i]++);
	}
	EXPECT_EQ(lenders[0].sent + lenders[1].sent, told);
	for (unsigned int i = 0; i < told; i++)
		EXPECT_EQ(1, seen[i]);
}

/* All receivers of a broadcast share one copy. */
TEST_F(lend, O09_zerocopy_broadcast_is_copied)
{
	struct ft_addr addr;
	struct note note;
	int to;

	if (variant->kind.type != SOCK_DGRAM)
		SKIP(return, "no broadcast");
	to = socket(AF_FERRY, SOCK_DGRAM, 0);
	ASSERT_LE(0, to);
	ASSERT_EQ(0, ft_bind_new(to, AF_FERRY, &addr));
	ASSERT_EQ(0, ft_setint(self->a, SO_BROADCAST, 1));
	addr.ferry.sfy_node[0] = 0xff;
	addr.ferry.sfy_node[1] = 0x01;
	addr.ferry.sfy_node[15] = 1;
	ASSERT_EQ(8192, sendto(self->a, self->mem, 8192, MSG_ZEROCOPY, &addr.sa,
			       addr.len));
	EXPECT_TRUE(pages_free(self->file));
	EXPECT_TRUE(zc_recv(&variant->kind, to, 0, 8192));
	ASSERT_TRUE(zc_next(self->a, &note));
	EXPECT_TRUE(note.copied);
	ft_close(&to);
}

FT_HARNESS_MAIN
