// SPDX-License-Identifier: GPL-2.0
/*
 * Options whose effect is in the socket layer itself: who may set them, what they
 * do, and what is refused. O08, O10, O11, O14, O16, O17, O19, O26, O29, O31, O39, O43,
 * O46.
 */

#include "bpf_helpers.h"
#include "reuse_fixture.h"
#include "tracefs.h"

#include <net/if.h>

#define NOBODY	65534

FIXTURE(option)
{
	struct ft_leak leak;
	int fd;
};

FIXTURE_VARIANT(option)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(option, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(option, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(option, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM },
};

FIXTURE_VARIANT_ADD(option, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(option, UNIX_dgram)
{
	.kind = { AF_UNIX, SOCK_DGRAM },
};

FIXTURE_VARIANT_ADD(option, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(option, UDP_dgram)
{
	.kind = { AF_INET, SOCK_DGRAM },
};

FIXTURE_SETUP(option)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(option)
{
	ft_close(&self->fd);
	FT_NO_LEAK(&self->leak);
}

/* Sets an option as somebody without capabilities; 0 or the error. */
static int set_as_nobody(int fd, int option, int value)
{
	int err;

	if (seteuid(NOBODY))
		return -1;
	err = ft_setint(fd, option, value) ? errno : 0;
	if (seteuid(0))
		_exit(1);
	return err;
}

TEST_F(option, O10_bsdcompat_is_ignored)
{
	EXPECT_EQ(0, ft_setint(self->fd, SO_BSDCOMPAT, 1));
	EXPECT_EQ(0, ft_getint(self->fd, SO_BSDCOMPAT));
}

TEST_F(option, O11_debug_is_for_the_administrator)
{
	EXPECT_EQ(0, ft_getint(self->fd, SO_DEBUG));
	EXPECT_EQ(EACCES, set_as_nobody(self->fd, SO_DEBUG, 1));
	EXPECT_EQ(0, ft_getint(self->fd, SO_DEBUG));
	EXPECT_EQ(0, ft_setint(self->fd, SO_DEBUG, 1));
	EXPECT_EQ(1, ft_getint(self->fd, SO_DEBUG));
	EXPECT_EQ(0, set_as_nobody(self->fd, SO_DEBUG, 0));
	EXPECT_EQ(0, ft_getint(self->fd, SO_DEBUG));
}

TEST_F(option, O14_dontroute_set_and_get)
{
	EXPECT_EQ(0, ft_getint(self->fd, SO_DONTROUTE));
	EXPECT_EQ(0, ft_setint(self->fd, SO_DONTROUTE, 1));
	EXPECT_EQ(1, ft_getint(self->fd, SO_DONTROUTE));
	EXPECT_EQ(0, ft_setint(self->fd, SO_DONTROUTE, 0));
	EXPECT_EQ(0, ft_getint(self->fd, SO_DONTROUTE));
}

TEST_F(option, O16_no_napi_id_without_a_device)
{
	FT_NEED_OPTION(SOL_SOCKET, SO_INCOMING_NAPI_ID);
	EXPECT_EQ(0, ft_getint(self->fd, SO_INCOMING_NAPI_ID));
	EXPECT_ERR(ENOPROTOOPT, ft_setint(self->fd, SO_INCOMING_NAPI_ID, 1));
}

TEST_F(option, O17_keepalive_set_and_get)
{
	EXPECT_EQ(0, ft_getint(self->fd, SO_KEEPALIVE));
	EXPECT_EQ(0, ft_setint(self->fd, SO_KEEPALIVE, 1));
	EXPECT_EQ(1, ft_getint(self->fd, SO_KEEPALIVE));
	EXPECT_EQ(0, ft_setint(self->fd, SO_KEEPALIVE, 0));
	EXPECT_EQ(0, ft_getint(self->fd, SO_KEEPALIVE));
}

TEST_F(option, O19_mark_is_for_the_administrator)
{
	EXPECT_EQ(0, ft_getint(self->fd, SO_MARK));
	EXPECT_EQ(EPERM, set_as_nobody(self->fd, SO_MARK, 7));
	EXPECT_EQ(0, ft_getint(self->fd, SO_MARK));
	EXPECT_EQ(0, ft_setint(self->fd, SO_MARK, 7));
	EXPECT_EQ(7, ft_getint(self->fd, SO_MARK));
}

TEST_F(option, O26_priority_outside_0_to_6_is_for_the_administrator)
{
	EXPECT_EQ(0, ft_getint(self->fd, SO_PRIORITY));
	EXPECT_EQ(0, set_as_nobody(self->fd, SO_PRIORITY, 6));
	EXPECT_EQ(6, ft_getint(self->fd, SO_PRIORITY));
	EXPECT_EQ(EPERM, set_as_nobody(self->fd, SO_PRIORITY, 7));
	EXPECT_EQ(EPERM, set_as_nobody(self->fd, SO_PRIORITY, -1));
	EXPECT_EQ(6, ft_getint(self->fd, SO_PRIORITY));
	EXPECT_EQ(0, ft_setint(self->fd, SO_PRIORITY, 7));
	EXPECT_EQ(7, ft_getint(self->fd, SO_PRIORITY));
}

TEST_F(option, O29_rcvbufforce_passes_the_limit)
{
	int max;

	/* Capped at the limit, and doubled as always. */
	ASSERT_EQ(0, ft_setint(self->fd, SO_RCVBUF, 1 << 28));
	max = ft_getint(self->fd, SO_RCVBUF) / 2;
	ASSERT_LT(0, max);
	ASSERT_GT(1 << 28, max);
	EXPECT_EQ(EPERM, set_as_nobody(self->fd, SO_RCVBUFFORCE, 2 * max));
	EXPECT_EQ(2 * max, ft_getint(self->fd, SO_RCVBUF));
	EXPECT_EQ(0, ft_setint(self->fd, SO_RCVBUFFORCE, 2 * max));
	EXPECT_EQ(4 * max, ft_getint(self->fd, SO_RCVBUF));
}

TEST_F(option, O39_sndbufforce_passes_the_limit)
{
	int max;

	/* Capped at the limit, and doubled as always. */
	ASSERT_EQ(0, ft_setint(self->fd, SO_SNDBUF, 1 << 28));
	max = ft_getint(self->fd, SO_SNDBUF) / 2;
	ASSERT_LT(0, max);
	ASSERT_GT(1 << 28, max);
	EXPECT_EQ(EPERM, set_as_nobody(self->fd, SO_SNDBUFFORCE, 2 * max));
	EXPECT_EQ(2 * max, ft_getint(self->fd, SO_SNDBUF));
	EXPECT_EQ(0, ft_setint(self->fd, SO_SNDBUFFORCE, 2 * max));
	EXPECT_EQ(4 * max, ft_getint(self->fd, SO_SNDBUF));
}

TEST_F(option, O31_sndlowat_is_1_and_stays)
{
	EXPECT_EQ(1, ft_getint(self->fd, SO_SNDLOWAT));
	EXPECT_ERR(ENOPROTOOPT, ft_setint(self->fd, SO_SNDLOWAT, 2));
	EXPECT_EQ(1, ft_getint(self->fd, SO_SNDLOWAT));
}

/* Who may poll longer differs between kernels: the rule is that of INET. */
TEST_F(option, O43_who_may_poll_longer)
{
	int usual, inet, allowed;

	FT_NEED_OPTION(SOL_SOCKET, SO_BUSY_POLL);
	usual = ft_getint(self->fd, SO_BUSY_POLL);
	inet = socket(AF_INET, SOCK_DGRAM, 0);
	ASSERT_LE(0, inet);
	allowed = set_as_nobody(inet, SO_BUSY_POLL, usual + 10);
	ft_close(&inet);
	EXPECT_TRUE(!allowed || allowed == EPERM);

	EXPECT_EQ(allowed, set_as_nobody(self->fd, SO_BUSY_POLL, usual + 10));
	EXPECT_EQ(allowed ? usual : usual + 10, ft_getint(self->fd, SO_BUSY_POLL));
	EXPECT_EQ(0, ft_setint(self->fd, SO_BUSY_POLL, usual + 20));
	EXPECT_EQ(usual + 20, ft_getint(self->fd, SO_BUSY_POLL));
	EXPECT_EQ(0, set_as_nobody(self->fd, SO_BUSY_POLL, usual));
	EXPECT_ERR(EINVAL, ft_setint(self->fd, SO_BUSY_POLL, -1));
}

TEST_F(option, O08_bound_to_a_device)
{
	char name[32];
	socklen_t len = sizeof(name);

	ASSERT_EQ(0, getsockopt(self->fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len));
	EXPECT_EQ(0, len);
	ASSERT_EQ(0, setsockopt(self->fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	len = sizeof(name);
	ASSERT_EQ(0, getsockopt(self->fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len));
	EXPECT_EQ(3, len);
	EXPECT_STREQ("lo", name);
	EXPECT_ERR(ENODEV, setsockopt(self->fd, SOL_SOCKET, SO_BINDTODEVICE, "nodev", 6));
	ASSERT_EQ(0, setsockopt(self->fd, SOL_SOCKET, SO_BINDTODEVICE, "", 0));
	len = sizeof(name);
	ASSERT_EQ(0, getsockopt(self->fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len));
	EXPECT_EQ(0, len);
}

/* Who may bind and who may change it: the core's rule. */
TEST_F(option, O08_changed_by_the_administrator_only)
{
	char name[32];
	socklen_t len = sizeof(name);

	ASSERT_EQ(0, seteuid(NOBODY));
	EXPECT_EQ(0, setsockopt(self->fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	EXPECT_ERR(EPERM, setsockopt(self->fd, SOL_SOCKET, SO_BINDTODEVICE, "", 1));
	EXPECT_ERR(EPERM, setsockopt(self->fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	ASSERT_EQ(0, seteuid(0));
	ASSERT_EQ(0, getsockopt(self->fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len));
	EXPECT_EQ(3, len);
	EXPECT_EQ(0, setsockopt(self->fd, SOL_SOCKET, SO_BINDTODEVICE, "", 1));
}

TEST_F(option, O46_preferring_to_poll_is_for_the_administrator)
{
	FT_NEED_OPTION(SOL_SOCKET, SO_PREFER_BUSY_POLL);
	EXPECT_EQ(EPERM, set_as_nobody(self->fd, SO_PREFER_BUSY_POLL, 1));
	EXPECT_EQ(0, ft_getint(self->fd, SO_PREFER_BUSY_POLL));
	EXPECT_EQ(0, ft_setint(self->fd, SO_PREFER_BUSY_POLL, 1));
	EXPECT_EQ(1, ft_getint(self->fd, SO_PREFER_BUSY_POLL));
	EXPECT_EQ(0, set_as_nobody(self->fd, SO_PREFER_BUSY_POLL, 0));
	EXPECT_EQ(0, ft_getint(self->fd, SO_PREFER_BUSY_POLL));
	/* Less of it anybody may ask for. */
	EXPECT_EQ(0, ft_setint(self->fd, SO_BUSY_POLL_BUDGET, 5));
	EXPECT_EQ(0, set_as_nobody(self->fd, SO_BUSY_POLL_BUDGET, 4));
	EXPECT_EQ(EPERM, set_as_nobody(self->fd, SO_BUSY_POLL_BUDGET, 5));
}

/* Which buffers were set by hand, so that nothing changes them by itself. */
TEST_F(option, O46_buf_lock_tells_what_was_set)
{
	int size;

	EXPECT_EQ(0, ft_getint(self->fd, SO_BUF_LOCK));
	ASSERT_EQ(0, ft_setint(self->fd, SO_SNDBUF, 20000));
	EXPECT_EQ(1, ft_getint(self->fd, SO_BUF_LOCK));
	ASSERT_EQ(0, ft_setint(self->fd, SO_RCVBUF, 20000));
	EXPECT_EQ(3, ft_getint(self->fd, SO_BUF_LOCK));
	size = ft_getint(self->fd, SO_RCVBUF);
	EXPECT_EQ(0, ft_setint(self->fd, SO_BUF_LOCK, 0));
	EXPECT_EQ(0, ft_getint(self->fd, SO_BUF_LOCK));
	EXPECT_EQ(size, ft_getint(self->fd, SO_RCVBUF));
}

static uint64_t netns_cookie(int fd)
{
	socklen_t len = sizeof(uint64_t);
	uint64_t cookie = 0;

	getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len);
	return cookie;
}

TEST_F(option, O46_netns_cookie_tells_namespaces)
{
	struct ft_child child;
	int other;

	other = socket(AF_INET, SOCK_DGRAM, 0);
	EXPECT_NE(0, netns_cookie(self->fd));
	EXPECT_EQ(netns_cookie(other), netns_cookie(self->fd));
	ft_close(&other);

	ASSERT_LE(0, ft_fork(&child));
	if (!child.pid) {
		int there, inet;

		if (unshare(CLONE_NEWNET))
			_exit(1);
		there = socket(variant->kind.domain, variant->kind.type, 0);
		inet = socket(AF_INET, SOCK_DGRAM, 0);
		if (there < 0 || netns_cookie(there) != netns_cookie(inet))
			_exit(2);
		/* A socket stays in its namespace, whoever uses it. */
		_exit(netns_cookie(there) == netns_cookie(self->fd) ? 3 : 0);
	}
	EXPECT_EQ(0, ft_wait_child(&child));
}

/* Effects on traffic within this host. */

FIXTURE(traffic)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(traffic)
{
	struct ft_kind kind;
};

#define TRAFFIC_VARIANT(_name, _domain, _type, _how)			\
FIXTURE_VARIANT_ADD(traffic, _name)					\
{									\
	.kind = { _domain, _type, _how },				\
}

TRAFFIC_VARIANT(FERRY_stream_pair, AF_FERRY, SOCK_STREAM, FT_PAIR);
TRAFFIC_VARIANT(FERRY_stream_conn, AF_FERRY, SOCK_STREAM, FT_CONN);
TRAFFIC_VARIANT(FERRY_seqpacket_conn, AF_FERRY, SOCK_SEQPACKET, FT_CONN);
TRAFFIC_VARIANT(FERRY_dgram_conn, AF_FERRY, SOCK_DGRAM, FT_CONN);
TRAFFIC_VARIANT(UNIX_stream_conn, AF_UNIX, SOCK_STREAM, FT_CONN);
TRAFFIC_VARIANT(UNIX_dgram_conn, AF_UNIX, SOCK_DGRAM, FT_CONN);
TRAFFIC_VARIANT(TCP_stream_conn, AF_INET, SOCK_STREAM, FT_CONN);
TRAFFIC_VARIANT(UDP_dgram_conn, AF_INET, SOCK_DGRAM, FT_CONN);

FIXTURE_SETUP(traffic)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
}

FIXTURE_TEARDOWN(traffic)
{
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

static bool passes(int from, int to, int flags)
{
	char buf[8];

	return send(from, "ping", 4, flags) == 4 &&
	       ft_poll(to, POLLIN, FT_LONG_MS) & POLLIN &&
	       recv(to, buf, sizeof(buf), MSG_DONTWAIT) == 4 &&
	       !memcmp(buf, "ping", 4);
}

/* This host is reached without a gateway. */
TEST_F(traffic, O14_dontroute_reaches_this_host)
{
	EXPECT_TRUE(passes(self->a, self->b, MSG_DONTROUTE));
	ASSERT_EQ(0, ft_setint(self->a, SO_DONTROUTE, 1));
	EXPECT_TRUE(passes(self->a, self->b, 0));
	EXPECT_TRUE(passes(self->a, self->b, MSG_DONTROUTE));
	EXPECT_TRUE(passes(self->b, self->a, 0));
}

/* What came by no device's queue has none. */
TEST_F(traffic, O16_no_napi_id_after_traffic)
{
	FT_NEED_OPTION(SOL_SOCKET, SO_INCOMING_NAPI_ID);
	ASSERT_TRUE(passes(self->a, self->b, 0));
	EXPECT_EQ(0, ft_getint(self->b, SO_INCOMING_NAPI_ID));
	ASSERT_EQ(0, ft_setint(self->b, SO_BUSY_POLL, 50));
	ASSERT_TRUE(passes(self->a, self->b, 0));
	EXPECT_EQ(0, ft_getint(self->b, SO_INCOMING_NAPI_ID));
}

/* Nothing has to be asked for a peer on this host that died to be known. */
TEST_F(traffic, O17_a_dead_peer_is_known_at_once)
{
	struct ft_child child;
	char c;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "has no connection");
	ASSERT_EQ(0, ft_setint(self->a, SO_KEEPALIVE, 1));
	ASSERT_LE(0, ft_fork(&child));
	if (!child.pid) {
		ft_close(&self->a);
		ft_say(&child, "alive");
		pause();
		_exit(1);
	}
	EXPECT_TRUE(ft_expect(&child, "alive"));
	ft_close(&self->b);
	EXPECT_ERR(EAGAIN, recv(self->a, &c, 1, MSG_DONTWAIT));
	ASSERT_EQ(0, kill(child.pid, SIGKILL));
	EXPECT_EQ(-1, ft_wait_child(&child));
	EXPECT_NE(0, ft_poll(self->a, POLLIN, FT_LONG_MS) & POLLIN);
}

/* Marks, which filters see, and receivers that ask. */

/* A filter that keeps as many bytes as the mark says. */
static int filter_by_mark(int fd)
{
	struct sock_filter code[] = {
		{ BPF_LD | BPF_W | BPF_ABS, 0, 0, SKF_AD_OFF + SKF_AD_MARK },
		{ BPF_RET | BPF_A, 0, 0, 0 },
	};

	return filter_attach(fd, code, 2);
}

/* And as many as the priority. */
static int filter_by_priority(int fd)
{
	struct bpf_insn code[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_0,
		  .src_reg = BPF_REG_1,
		  .off = offsetof(struct __sk_buff, priority) },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return filter_attach_bpf(fd, filter_load(BPF_PROG_TYPE_SOCKET_FILTER,
						 code, 2));
}

/* Sends ten bytes, with SO_MARK or SO_PRIORITY of their own unless it is negative. */
static bool send_with(int fd, int option, int value)
{
	union {
		struct cmsghdr header;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {
		.header.cmsg_len = CMSG_LEN(sizeof(int)),
		.header.cmsg_level = SOL_SOCKET,
		.header.cmsg_type = option,
	};
	struct iovec iov = { "0123456789", 10 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (value >= 0) {
		memcpy(CMSG_DATA(&control.header), &value, sizeof(value));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	return sendmsg(fd, &msg, 0) == 10;
}

static bool send_marked(int fd, int mark)
{
	return send_with(fd, SO_MARK, mark);
}

/* What came with ten bytes, and nothing else; -1 if nothing, -2 without bytes. */
static int recv_with(int fd, int option, int flags)
{
	union {
		struct cmsghdr header;
		char buf[256];
	} control;
	char buf[10];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int value = -1;

	if (recvmsg(fd, &msg, flags) != 10)
		return -2;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != option ||
		    cmsg->cmsg_len != CMSG_LEN(sizeof(value)) || value != -1)
			return -3;
		memcpy(&value, CMSG_DATA(cmsg), sizeof(value));
	}
	return value;
}

static int recv_mark(int fd)
{
	return recv_with(fd, SO_MARK, 0);
}

/* What the header of UDP takes of what a filter keeps. */
#define HEADER	(variant->kind.domain == AF_INET ? 8 : 0)

#define NEED_MARKS()							\
do {									\
	if (variant->kind.domain == AF_UNIX ||				\
	    (variant->kind.domain == AF_INET &&				\
	     variant->kind.type == SOCK_STREAM))			\
		SKIP(return, "has no marks of messages");		\
} while (0)

TEST_F(traffic, O19_mark_seen_by_a_filter)
{
	char buf[16];

	NEED_MARKS();
	ASSERT_EQ(0, filter_by_mark(self->b));
	/* Without a mark it is 0: dropped. */
	ASSERT_TRUE(send_marked(self->a, -1));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	ASSERT_EQ(0, ft_setint(self->a, SO_MARK, HEADER + 4));
	ASSERT_TRUE(send_marked(self->a, -1));
	EXPECT_EQ(4, recv(self->b, buf, sizeof(buf), 0));
	/* One message may have another. */
	ASSERT_TRUE(send_marked(self->a, HEADER + 7));
	EXPECT_EQ(7, recv(self->b, buf, sizeof(buf), 0));
	ASSERT_TRUE(send_marked(self->a, -1));
	EXPECT_EQ(4, recv(self->b, buf, sizeof(buf), 0));
	/* The receiver's own is nobody's. */
	ASSERT_EQ(0, ft_setint(self->b, SO_MARK, HEADER + 9));
	ASSERT_EQ(0, ft_setint(self->a, SO_MARK, 1000));
	ASSERT_TRUE(send_marked(self->a, -1));
	EXPECT_EQ(10, recv(self->b, buf, sizeof(buf), 0));
}

TEST_F(traffic, O26_priority_seen_by_a_program)
{
	char buf[16];

	NEED_MARKS();
	ASSERT_EQ(0, filter_by_priority(self->b));
	ASSERT_TRUE(send_marked(self->a, -1));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	ASSERT_EQ(0, ft_setint(self->a, SO_PRIORITY, HEADER + 4));
	ASSERT_TRUE(send_marked(self->a, -1));
	EXPECT_EQ(4, recv(self->b, buf, sizeof(buf), 0));
}

TEST_F(traffic, O19_mark_seen_by_a_receiver_that_asks)
{
	NEED_MARKS();
	ASSERT_EQ(0, ft_setint(self->a, SO_MARK, 7));
	/* Not without asking. */
	ASSERT_TRUE(send_marked(self->a, -1));
	EXPECT_EQ(-1, recv_mark(self->b));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVMARK, 1));
	ASSERT_TRUE(send_marked(self->a, -1));
	EXPECT_EQ(7, recv_mark(self->b));
	ASSERT_TRUE(send_marked(self->a, 8));
	EXPECT_EQ(8, recv_mark(self->b));
	ASSERT_EQ(0, ft_setint(self->a, SO_MARK, 0));
	ASSERT_TRUE(send_marked(self->a, -1));
	EXPECT_EQ(0, recv_mark(self->b));
	/* Of the time of the send. */
	ASSERT_TRUE(send_marked(self->a, -1));
	ASSERT_EQ(0, ft_setint(self->a, SO_MARK, 9));
	EXPECT_EQ(0, recv_mark(self->b));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVMARK, 0));
	ASSERT_TRUE(send_marked(self->a, -1));
	EXPECT_EQ(-1, recv_mark(self->b));
}

TEST_F(traffic, O19_a_message_marked_by_nobody)
{
	NEED_MARKS();
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVMARK, 1));
	ASSERT_EQ(0, seteuid(NOBODY));
	EXPECT_FALSE(send_marked(self->a, 8));
	EXPECT_EQ(EPERM, errno);
	EXPECT_TRUE(send_marked(self->a, -1));
	ASSERT_EQ(0, seteuid(0));
	EXPECT_EQ(0, recv_mark(self->b));
}

/* As that of the mark, from Linux 6.14 on. */

#define RCVPRIORITY	82

#define NEED_PRIORITIES()						\
do {									\
	NEED_MARKS();							\
	if (ft_kernel_before(6, 14))					\
		SKIP(return, "came with Linux 6.14");			\
} while (0)

TEST_F(traffic, O46_priority_seen_by_a_receiver_that_asks)
{
	NEED_PRIORITIES();
	/* Of the time of the send, whoever asks later; 0 is told too. */
	ASSERT_TRUE(send_marked(self->a, -1));
	ASSERT_EQ(0, ft_setint(self->a, SO_PRIORITY, 5));
	ASSERT_TRUE(send_marked(self->a, -1));
	ASSERT_EQ(0, ft_setint(self->a, SO_PRIORITY, 6));
	ASSERT_EQ(0, ft_setint(self->b, RCVPRIORITY, 1));
	EXPECT_EQ(0, recv_with(self->b, SO_PRIORITY, MSG_PEEK));
	EXPECT_EQ(0, recv_with(self->b, SO_PRIORITY, 0));
	EXPECT_EQ(5, recv_with(self->b, SO_PRIORITY, MSG_PEEK));
	EXPECT_EQ(5, recv_with(self->b, SO_PRIORITY, 0));
	/* One message may have another. */
	ASSERT_TRUE(send_with(self->a, SO_PRIORITY, 3));
	ASSERT_TRUE(send_marked(self->a, -1));
	ASSERT_TRUE(send_with(self->a, SO_PRIORITY, 0));
	EXPECT_EQ(3, recv_with(self->b, SO_PRIORITY, 0));
	EXPECT_EQ(6, recv_with(self->b, SO_PRIORITY, 0));
	EXPECT_EQ(0, recv_with(self->b, SO_PRIORITY, 0));
	/* Beside the mark, not in its place. */
	ASSERT_EQ(0, ft_setint(self->a, SO_MARK, 9));
	ASSERT_TRUE(send_marked(self->a, -1));
	EXPECT_EQ(6, recv_with(self->b, SO_PRIORITY, 0));
	ASSERT_EQ(0, ft_setint(self->b, RCVPRIORITY, 0));
	ASSERT_TRUE(send_marked(self->a, -1));
	EXPECT_EQ(-1, recv_with(self->b, SO_PRIORITY, 0));
}

TEST_F(traffic, O46_priority_of_a_message_seen_by_a_filter)
{
	char buf[16];

	NEED_PRIORITIES();
	ASSERT_EQ(0, filter_by_priority(self->b));
	ASSERT_EQ(0, ft_setint(self->a, SO_PRIORITY, HEADER + 4));
	ASSERT_TRUE(send_with(self->a, SO_PRIORITY, HEADER + 6));
	EXPECT_EQ(6, recv(self->b, buf, sizeof(buf), 0));
	ASSERT_TRUE(send_with(self->a, SO_PRIORITY, -1));
	EXPECT_EQ(4, recv(self->b, buf, sizeof(buf), 0));
}

/* Who may not set it for a socket may not for a message. */
TEST_F(traffic, O46_priority_of_a_message_by_nobody)
{
	NEED_PRIORITIES();
	ASSERT_EQ(0, ft_setint(self->b, RCVPRIORITY, 1));
	ASSERT_EQ(0, seteuid(NOBODY));
	EXPECT_FALSE(send_with(self->a, SO_PRIORITY, 7));
	EXPECT_EQ(EPERM, errno);
	EXPECT_TRUE(send_with(self->a, SO_PRIORITY, 6));
	ASSERT_EQ(0, seteuid(0));
	EXPECT_EQ(6, recv_with(self->b, SO_PRIORITY, 0));
}

/* An accepted socket asks as its listener does. */
TEST_F(traffic, O46_rcvpriority_of_an_accepted_socket)
{
	struct ft_addr addr;
	int listener, a, b;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "has no connection");
	if (ft_kernel_before(6, 14))
		SKIP(return, "came with Linux 6.14");
	listener = ft_listener(&variant->kind, &addr, 1);
	ASSERT_LE(0, listener);
	ASSERT_EQ(0, ft_setint(listener, RCVPRIORITY, 1));
	a = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, a);
	b = accept(listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_EQ(variant->kind.domain != AF_UNIX, ft_getint(b, RCVPRIORITY));
	ft_close(&b);
	ft_close(&a);
	ft_close(&listener);
}

/* SO_DEBUG, as the tracepoint shows it. */

FIXTURE(traced)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(traced)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(traced, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(traced, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(traced, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM },
};

FIXTURE_SETUP(traced)
{
	FT_NEED(AF_FERRY, variant->kind.type);
	ft_leak_start(&self->leak, AF_FERRY);
}

FIXTURE_TEARDOWN(traced)
{
	FT_NO_LEAK(&self->leak);
}

#define EXPECT_TRACED(_n, _cookie, _what)				\
	EXPECT_EQ((_n), tracefs_count(&trace, (_cookie), (_what))) {	\
		TH_LOG("%s", (_what));					\
	}

TEST_F(traced, O11_events_are_traced)
{
	const struct ft_kind *kind = &variant->kind;
	bool connects = kind->type != SOCK_DGRAM;
	uint64_t server_cookie, client_cookie, child_cookie;
	struct ft_addr addr, nobody;
	int server, client, child;
	struct tracefs trace;
	char buf[8], type[16];

	if (!tracefs_start(&trace, "ferry_debug"))
		SKIP(return, "no tracefs in this kernel");
	server = socket(AF_FERRY, kind->type, 0);
	client = socket(AF_FERRY, kind->type, 0);
	server_cookie = tracefs_cookie(server);
	client_cookie = tracefs_cookie(client);
	ASSERT_NE(server_cookie, client_cookie);
	ASSERT_EQ(0, ft_setint(server, SO_DEBUG, 1));
	ASSERT_EQ(0, ft_setint(client, SO_DEBUG, 1));

	ft_addr_new(AF_FERRY, &nobody);
	EXPECT_ERR(ECONNREFUSED, connect(client, &nobody.sa, nobody.len));
	ASSERT_EQ(0, ft_bind_new(server, AF_FERRY, &addr));
	EXPECT_ERR(EINVAL, bind(server, &nobody.sa, nobody.len));
	if (connects)
		ASSERT_EQ(0, listen(server, 4));
	ASSERT_EQ(0, connect(client, &addr.sa, addr.len));
	child = connects ? accept(server, NULL, NULL) : server;
	ASSERT_LE(0, child);
	child_cookie = tracefs_cookie(child);
	ASSERT_EQ(5, send(client, "hello", 5, 0));
	ASSERT_EQ(5, recv(child, buf, sizeof(buf), 0));
	EXPECT_ERR(EAGAIN, recv(child, buf, sizeof(buf), MSG_DONTWAIT));
	ASSERT_EQ(0, shutdown(client, SHUT_WR));
	EXPECT_ERR(EPIPE, send(client, "hello", 5, MSG_NOSIGNAL));
	ft_close(&client);
	if (child != server)
		ft_close(&child);
	ft_close(&server);

	snprintf(type, sizeof(type), " type=%d ", kind->type);
	EXPECT_TRACED(1, client_cookie, " event=connect value=-111 name=");
	EXPECT_TRACED(1, client_cookie, " event=connect value=0 name=");
	EXPECT_TRACED(1, client_cookie, " event=send value=5 name=");
	EXPECT_TRACED(1, client_cookie, " event=shutdown value=0 name=");
	EXPECT_TRACED(1, client_cookie, " event=send value=-32 name=");
	EXPECT_TRACED(1, client_cookie, " event=close value=0 name=");
	EXPECT_TRACED(6, client_cookie, type);
	EXPECT_TRACED(1, server_cookie, " event=bind value=0 name=");
	EXPECT_TRACED(1, server_cookie, " event=bind value=-22 name=");
	EXPECT_TRACED(connects, server_cookie, " event=listen value=0 name=");
	EXPECT_TRACED(connects, child_cookie, " event=accept value=0 name=");
	EXPECT_TRACED(1, child_cookie, " event=receive value=5 name=");
	EXPECT_TRACED(1, child_cookie, " event=receive value=-11 name=");
	EXPECT_TRACED(1, child_cookie, " event=close value=0 name=");
	tracefs_stop(&trace);
}

TEST_F(traced, O11_nothing_without_it)
{
	uint64_t a_cookie, b_cookie;
	struct tracefs trace;
	int pair[2];
	char c;

	if (!tracefs_start(&trace, "ferry_debug"))
		SKIP(return, "no tracefs in this kernel");
	ASSERT_EQ(0, socketpair(AF_FERRY, variant->kind.type, 0, pair));
	a_cookie = tracefs_cookie(pair[0]);
	b_cookie = tracefs_cookie(pair[1]);
	ASSERT_EQ(1, send(pair[0], "x", 1, 0));
	ASSERT_EQ(1, recv(pair[1], &c, 1, 0));
	EXPECT_TRACED(0, a_cookie, "");
	EXPECT_TRACED(0, b_cookie, "");
	/* Only the socket that was asked about, and as long as it is. */
	ASSERT_EQ(0, ft_setint(pair[0], SO_DEBUG, 1));
	ASSERT_EQ(1, send(pair[0], "x", 1, 0));
	ASSERT_EQ(1, recv(pair[1], &c, 1, 0));
	EXPECT_TRACED(1, a_cookie, "");
	EXPECT_TRACED(0, b_cookie, "");
	ASSERT_EQ(0, ft_setint(pair[0], SO_DEBUG, 0));
	ASSERT_EQ(1, send(pair[0], "x", 1, 0));
	ft_close(&pair[0]);
	ft_close(&pair[1]);
	EXPECT_TRACED(1, a_cookie, "");
	EXPECT_TRACED(0, b_cookie, "");
	tracefs_stop(&trace);
}

/* A device beside the loopback, which what stays on this host does not come by. */

#define DEVICE	"ferry-other"

FIXTURE(device)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int fd;
};

FIXTURE_VARIANT(device)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(device, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(device, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(device, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM },
};

FIXTURE_VARIANT_ADD(device, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(device, UDP_dgram)
{
	.kind = { AF_INET, SOCK_DGRAM },
};

static int bind_to(int fd, const char *name)
{
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, strlen(name) + 1);
}

/* Takes connections or datagrams at @addr, or at a fresh one when it is empty. */
static int server_at(const struct ft_kind *kind, struct ft_addr *addr,
		     const char *device, bool shared)
{
	int fd = socket(kind->domain, kind->type | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if ((device && bind_to(fd, device)) || (shared && group_flag(fd, 1)) ||
	    (addr->len ? bind(fd, &addr->sa, addr->len) :
			 ft_bind_new(fd, kind->domain, addr)) ||
	    (kind->type != SOCK_DGRAM && listen(fd, 64)))
		ft_close(&fd);
	return fd;
}

/* Knocks at @addr until it is known whether @server hears it: 0, or the error. */
static int knock(const struct ft_kind *kind, const struct ft_addr *addr, int server)
{
	struct pollfd pfd[2];
	socklen_t len = sizeof(int);
	int fd, err = 0;

	fd = ft_connect(kind, addr);
	if (fd < 0)
		return errno;
	if (kind->type == SOCK_DGRAM && send(fd, "x", 1, 0) != 1)
		err = errno;
	if (!err) {
		pfd[0] = (struct pollfd){ .fd = server, .events = POLLIN };
		pfd[1] = (struct pollfd){ .fd = fd };
		if (poll(pfd, 2, FT_LONG_MS) <= 0)
			err = ETIMEDOUT;
		else if (pfd[1].revents)
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
		else if (!group_take(kind, server))
			err = EAGAIN;
	}
	ft_close(&fd);
	return err;
}

FIXTURE_SETUP(device)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	self->fd = -1;
	self->addr.len = 0;
	if (!if_nametoindex(DEVICE) &&
	    system("ip link add " DEVICE " up type dummy"))
		SKIP(return, "no dummy devices in this kernel");
	ft_leak_start(&self->leak, variant->kind.domain);
	self->fd = server_at(&variant->kind, &self->addr, NULL, false);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(device)
{
	ft_close(&self->fd);
	FT_NO_LEAK(&self->leak);
}

/* It stays until the program ends: to make and remove one takes a second. */
static void __attribute__((destructor)) remove_device(void)
{
	if (if_nametoindex(DEVICE) && system("ip link del " DEVICE))
		fprintf(stderr, "# " DEVICE " stays\n");
}

TEST_F(device, O08_a_receiver_bound_elsewhere_is_absent)
{
	const struct ft_kind *kind = &variant->kind;

	EXPECT_EQ(0, knock(kind, &self->addr, self->fd));
	ASSERT_EQ(0, bind_to(self->fd, DEVICE));
	EXPECT_EQ(ECONNREFUSED, knock(kind, &self->addr, self->fd));
	ASSERT_EQ(0, bind_to(self->fd, "lo"));
	EXPECT_EQ(0, knock(kind, &self->addr, self->fd));
	ASSERT_EQ(0, bind_to(self->fd, DEVICE));
	EXPECT_EQ(ECONNREFUSED, knock(kind, &self->addr, self->fd));
	ASSERT_EQ(0, bind_to(self->fd, ""));
	EXPECT_EQ(0, knock(kind, &self->addr, self->fd));
	EXPECT_FALSE(group_take(kind, self->fd));
}

TEST_F(device, O08_by_the_number_of_the_device)
{
	const struct ft_kind *kind = &variant->kind;
	char name[IF_NAMESIZE];
	socklen_t len = sizeof(name);

	ASSERT_EQ(0, ft_setint(self->fd, SO_BINDTOIFINDEX, if_nametoindex(DEVICE)));
	ASSERT_EQ(0, getsockopt(self->fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len));
	EXPECT_STREQ(DEVICE, name);
	EXPECT_EQ(ECONNREFUSED, knock(kind, &self->addr, self->fd));
	ASSERT_EQ(0, ft_setint(self->fd, SO_BINDTOIFINDEX, 0));
	EXPECT_EQ(0, knock(kind, &self->addr, self->fd));
}

/* Of those who share a name it goes to the ones that it comes by. */
TEST_F(device, O08_of_those_who_share_a_name)
{
	const struct ft_kind *kind = &variant->kind;
	int here, there, i;

	self->addr.len = 0;
	there = server_at(kind, &self->addr, DEVICE, true);
	ASSERT_LE(0, there);
	here = server_at(kind, &self->addr, "lo", true);
	ASSERT_LE(0, here);
	for (i = 0; i < 32; i++) {
		EXPECT_EQ(0, knock(kind, &self->addr, here));
		EXPECT_FALSE(group_take(kind, there));
	}
	/* The other way round. */
	ASSERT_EQ(0, bind_to(here, DEVICE));
	if (kind->domain == AF_FERRY) {
		ASSERT_EQ(0, bind_to(there, "lo"));
		for (i = 0; i < 32; i++) {
			EXPECT_EQ(0, knock(kind, &self->addr, there));
			EXPECT_FALSE(group_take(kind, here));
		}
	}
	ft_close(&here);
	ft_close(&there);
}

TEST_F(device, O08_a_device_that_goes)
{
	const struct ft_kind *kind = &variant->kind;
	char name[IF_NAMESIZE];
	socklen_t len = sizeof(name);

	ASSERT_EQ(0, bind_to(self->fd, DEVICE));
	ASSERT_EQ(0, system("ip link del " DEVICE));
	EXPECT_ERR(ENODEV, getsockopt(self->fd, SOL_SOCKET, SO_BINDTODEVICE, name,
				      &len));
	EXPECT_EQ(ECONNREFUSED, knock(kind, &self->addr, self->fd));
	ASSERT_EQ(0, bind_to(self->fd, ""));
	EXPECT_EQ(0, knock(kind, &self->addr, self->fd));
}

#define FERRY_ONLY(_why)						\
do {									\
	if (variant->kind.domain != AF_FERRY)				\
		SKIP(return, _why);					\
} while (0)

TEST_F(device, O08_a_sender_bound_elsewhere)
{
	const struct ft_kind *kind = &variant->kind;
	int fd;

	FERRY_ONLY("sends by the device, to nobody");
	fd = socket(kind->domain, kind->type, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, bind_to(fd, DEVICE));
	EXPECT_ERR(ENETUNREACH, connect(fd, &self->addr.sa, self->addr.len));
	if (kind->type == SOCK_DGRAM)
		EXPECT_ERR(ENETUNREACH, sendto(fd, "x", 1, 0, &self->addr.sa,
					       self->addr.len));
	EXPECT_FALSE(group_take(kind, self->fd));
	ASSERT_EQ(0, bind_to(fd, "lo"));
	EXPECT_EQ(0, connect(fd, &self->addr.sa, self->addr.len));
	if (kind->type == SOCK_DGRAM) {
		EXPECT_EQ(1, send(fd, "x", 1, 0));
		EXPECT_TRUE(group_take(kind, self->fd));
		/* Either end elsewhere; they stay each other's peers. */
		ASSERT_EQ(0, bind_to(fd, DEVICE));
		EXPECT_ERR(ENETUNREACH, send(fd, "x", 1, 0));
		ASSERT_EQ(0, bind_to(fd, ""));
		ASSERT_EQ(0, bind_to(self->fd, DEVICE));
		EXPECT_ERR(ECONNREFUSED, send(fd, "x", 1, 0));
		EXPECT_FALSE(group_take(kind, self->fd));
		ASSERT_EQ(0, bind_to(self->fd, ""));
		EXPECT_EQ(1, send(fd, "x", 1, 0));
	}
	EXPECT_TRUE(group_take(kind, self->fd));
	ft_close(&fd);
}

TEST_F(device, O08_a_connection_goes_on)
{
	int a, b;

	FERRY_ONLY("asks for the device of every packet");
	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "has no connection");
	ASSERT_EQ(0, ft_pair(&variant->kind, &a, &b));
	ASSERT_EQ(0, bind_to(a, DEVICE));
	ASSERT_EQ(0, bind_to(b, DEVICE));
	EXPECT_TRUE(passes(a, b, 0));
	EXPECT_TRUE(passes(b, a, 0));
	ft_close(&a);
	ft_close(&b);
}

TEST_F(device, O08_broadcasts)
{
	const struct ft_kind *kind = &variant->kind;
	struct ft_addr all = { .len = 0 };
	int here, there, fd;

	FERRY_ONLY("broadcasts are for the link");
	if (kind->type != SOCK_DGRAM)
		SKIP(return, "has no broadcast");
	here = server_at(kind, &all, "lo", true);
	there = server_at(kind, &all, DEVICE, true);
	fd = socket(AF_FERRY, SOCK_DGRAM, 0);
	ASSERT_LE(0, here);
	ASSERT_LE(0, there);
	all.ferry.sfy_scope = FERRY_SCOPE_NETWORK;
	all.ferry.sfy_node[0] = 0xff;
	all.ferry.sfy_node[1] = 0x01;
	all.ferry.sfy_node[15] = 1;
	ASSERT_EQ(0, ft_setint(fd, SO_BROADCAST, 1));
	EXPECT_EQ(1, sendto(fd, "x", 1, 0, &all.sa, all.len));
	EXPECT_TRUE(group_take(kind, here));
	EXPECT_FALSE(group_take(kind, there));
	ASSERT_EQ(0, bind_to(fd, DEVICE));
	EXPECT_ERR(ENETUNREACH, sendto(fd, "x", 1, 0, &all.sa, all.len));
	EXPECT_FALSE(group_take(kind, here));
	ft_close(&here);
	ft_close(&there);
	ft_close(&fd);
}

FT_HARNESS_MAIN
