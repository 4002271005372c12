// SPDX-License-Identifier: GPL-2.0
/*
 * Options whose effect is in the socket layer itself: who may set them, what is
 * read back, and what is refused. O08, O10, O11, O14, O16, O17, O19, O26, O29, O31,
 * O39, O43.
 */

#include "ferry_test.h"
#include "kselftest_harness.h"

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
	int usual = ft_getint(self->fd, SO_BUSY_POLL);
	int inet, allowed;

	if (usual < 0)
		SKIP(return, "the kernel has no busy polling");
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

TEST_HARNESS_MAIN
