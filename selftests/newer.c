// SPDX-License-Identifier: GPL-2.0
/*
 * What kernels after 6.12 gave sockets beside the page: how much is left with each
 * receive, who may send descriptors, numbers of the sender's own. O46, O44, X01.
 */

#include "ferry_test.h"
#include "kselftest_harness.h"
#include "passenger.h"
#include "uring.h"

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>

/* Newer than the headers. */
#define PASSRIGHTS	83
#define INQ		84
#define RIGHTS_NOTRUNC	85
#define TS_OPT_ID	81
#define TIMESTAMPING	37

FIXTURE(newer)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(newer)
{
	struct ft_kind kind;
};

#define NEWER(_name, _domain, _type)					\
FIXTURE_VARIANT_ADD(newer, _name)					\
{									\
	.kind = { _domain, _type, FT_PAIR },				\
}

NEWER(FERRY_stream, AF_FERRY, SOCK_STREAM);
NEWER(FERRY_seqpacket, AF_FERRY, SOCK_SEQPACKET);
NEWER(FERRY_dgram, AF_FERRY, SOCK_DGRAM);
NEWER(UNIX_stream, AF_UNIX, SOCK_STREAM);
NEWER(UNIX_seqpacket, AF_UNIX, SOCK_SEQPACKET);
NEWER(UNIX_dgram, AF_UNIX, SOCK_DGRAM);

FIXTURE_SETUP(newer)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
}

FIXTURE_TEARDOWN(newer)
{
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

/* Receives; what the control message SCM_INQ says, -1 without. */
static int recv_inq(int fd, size_t len, int flags)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	char buf[64];
	struct iovec iov = { buf, len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int inq = -1;

	if (recvmsg(fd, &msg, flags) < 0)
		return -2;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg))
		if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == INQ)
			memcpy(&inq, CMSG_DATA(cmsg), sizeof(inq));
	return inq;
}

TEST_F(newer, O46_inq_tells_what_is_left)
{
	if (ft_kernel_before(6, 17))
		SKIP(return, "came with Linux 6.17");
	if (variant->kind.type != SOCK_STREAM)
		SKIP(return, "is for byte streams");
	ASSERT_EQ(10, send(self->a, "0123456789", 10, 0));
	EXPECT_EQ(-1, recv_inq(self->b, 1, 0));
	ASSERT_EQ(0, ft_setint(self->b, INQ, 1));
	EXPECT_EQ(9, recv_inq(self->b, 3, MSG_PEEK));
	EXPECT_EQ(6, recv_inq(self->b, 3, 0));
	ASSERT_EQ(2, send(self->a, "ab", 2, 0));
	EXPECT_EQ(4, recv_inq(self->b, 4, MSG_WAITALL));
	EXPECT_EQ(0, recv_inq(self->b, 64, 0));
	/* Nothing was received: nothing is said. */
	EXPECT_EQ(-2, recv_inq(self->b, 1, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_EQ(2, send(self->a, "ab", 2, 0));
	ASSERT_EQ(0, ft_setint(self->b, INQ, 0));
	EXPECT_EQ(-1, recv_inq(self->b, 1, 0));
	/* At the end of the stream there is 0. */
	ASSERT_EQ(0, ft_setint(self->b, INQ, 1));
	EXPECT_EQ(0, recv_inq(self->b, 1, 0));
	ft_close(&self->a);
	EXPECT_EQ(0, recv_inq(self->b, 1, 0));
}

/* Without being asked by SO_INQ; AF_UNIX since 6.17. */
TEST_F(newer, O46_inq_for_io_uring)
{
	static const struct {
		size_t len;
		bool more;
	} reads[] = { { 3, true }, { 6, true }, { 1, false }, { 8, false } };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;
	struct uring ring;
	char buf[16];
	size_t i;

	if (variant->kind.type != SOCK_STREAM)
		SKIP(return, "records are received whole");
	if (variant->kind.domain == AF_UNIX && ft_kernel_before(6, 17))
		SKIP(return, "AF_UNIX does not tell on this kernel");
	if (!uring_open(&ring))
		SKIP(return, "no io_uring: %s", strerror(errno));
	ASSERT_EQ(10, send(self->a, "0123456789", 10, 0));
	for (i = 0; i < ARRAY_SIZE(reads); i++) {
		/* The end of the stream is nothing left, too. */
		if (i == 3)
			ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
		sqe = uring_sqe(&ring, IORING_OP_RECV, self->b);
		sqe->addr = (uintptr_t)buf;
		sqe->len = reads[i].len;
		ASSERT_TRUE(uring_wait(&ring, &cqe));
		EXPECT_EQ(i == 3 ? 0 : reads[i].len, cqe.res);
		EXPECT_EQ(reads[i].more,
			  !!(cqe.flags & IORING_CQE_F_SOCK_NONEMPTY));
	}
	uring_close(&ring);
}

TEST_F(newer, O46_inq_values)
{
	int one[2] = { 1 };

	if (ft_kernel_before(6, 17)) {
		EXPECT_ERR(ENOPROTOOPT, ft_setint(self->b, INQ, 1));
		SKIP(return, "came with Linux 6.17");
	}
	if (variant->kind.type != SOCK_STREAM) {
		EXPECT_ERR(ENOPROTOOPT, ft_setint(self->b, INQ, 1));
		return;
	}
	EXPECT_ERR(EINVAL, ft_setint(self->b, INQ, 2));
	EXPECT_ERR(EINVAL, ft_setint(self->b, INQ, -1));
	EXPECT_ERR(EINVAL, setsockopt(self->b, SOL_SOCKET, INQ, one, 1));
	EXPECT_ERR(EINVAL, setsockopt(self->b, SOL_SOCKET, INQ, one, 8));
	EXPECT_ERR(EFAULT, setsockopt(self->b, SOL_SOCKET, INQ, FT_WILD, 4));
	/* It cannot be read. */
	EXPECT_ERR(ENOPROTOOPT, ft_getint(self->b, INQ));
}

TEST_F(newer, X01_passrights)
{
	int passed = STDIN_FILENO;
	struct pass pass;
	char buf[8];

	if (ft_kernel_before(6, 16))
		SKIP(return, "came with Linux 6.16");
	ASSERT_EQ(0, ft_setint(self->b, PASSRIGHTS, 0));
	EXPECT_ERR(EPERM, pass_send(self->a, "x", 1, &passed, 1, NULL, 0));
	EXPECT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(1, pass_recv(self->b, buf, sizeof(buf), &pass, 0));
	EXPECT_EQ(0, pass.fds);
	ASSERT_EQ(0, ft_setint(self->b, PASSRIGHTS, 1));
	EXPECT_EQ(1, pass_send(self->a, "x", 1, &passed, 1, NULL, 0));
	EXPECT_EQ(1, pass_recv(self->b, buf, sizeof(buf), &pass, 0));
	EXPECT_EQ(1, pass.fds);
	pass_close(&pass);
}

/* That a refused descriptor costs the rest nothing needs a security module. */
TEST_F(newer, X01_rights_notrunc)
{
	int passed = STDIN_FILENO, value;
	struct pass pass;
	char buf[8];

	if (ft_kernel_before(7, 3))
		SKIP(return, "came with Linux 7.3");
	for (value = 1; value >= 0; value--) {
		ASSERT_EQ(0, ft_setint(self->b, RIGHTS_NOTRUNC, value));
		EXPECT_EQ(1, pass_send(self->a, "x", 1, &passed, 1, NULL, 0));
		EXPECT_EQ(1, pass_recv(self->b, buf, sizeof(buf), &pass, 0));
		EXPECT_EQ(1, pass.fds);
		pass_close(&pass);
	}
	EXPECT_ERR(EINVAL, ft_setint(self->b, RIGHTS_NOTRUNC, 2));
	EXPECT_ERR(EINVAL, setsockopt(self->b, SOL_SOCKET, RIGHTS_NOTRUNC, &value, 1));
	EXPECT_ERR(ENOPROTOOPT, ft_getint(self->b, RIGHTS_NOTRUNC));
}

/* Sends with a number for SOF_TIMESTAMPING_OPT_ID; @size bytes of it. */
static ssize_t send_numbered(int fd, unsigned int number, size_t size)
{
	union {
		struct cmsghdr header;
		char buf[CMSG_SPACE(sizeof(number))];
	} control = {
		.header.cmsg_len = CMSG_LEN(size),
		.header.cmsg_level = SOL_SOCKET,
		.header.cmsg_type = TS_OPT_ID,
	};
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.header), &number, sizeof(number));
	return sendmsg(fd, &msg, 0);
}

/* The number in the next report of the error queue, or -1. */
static int64_t next_number(int fd)
{
	union {
		struct cmsghdr align;
		char buf[512];
	} control;
	struct msghdr msg = {
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct sock_extended_err err;
	struct cmsghdr *cmsg;

	if (!(ft_poll(fd, 0, FT_LONG_MS) & POLLERR) ||
	    recvmsg(fd, &msg, MSG_ERRQUEUE) < 0)
		return -1;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_level == SOL_FERRY &&
		    cmsg->cmsg_type == FERRY_RECVERR) {
			memcpy(&err, CMSG_DATA(cmsg), sizeof(err));
			return err.ee_data;
		}
	}
	return -1;
}

TEST_F(newer, O44_numbers_of_the_senders_own)
{
	int flags = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
	char buf[8];
	int i;

	if (ft_kernel_before(6, 13))
		SKIP(return, "came with Linux 6.13");
	if (variant->kind.domain != AF_FERRY)
		SKIP(return, "AF_UNIX has no transmit stamps");
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING, flags));
	/* Without SOF_TIMESTAMPING_OPT_ID there are no numbers. */
	EXPECT_ERR(EINVAL, send_numbered(self->a, 7, 4));
	flags |= SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING, flags));
	EXPECT_ERR(EINVAL, send_numbered(self->a, 7, 2));
	if (variant->kind.type == SOCK_STREAM) {
		EXPECT_ERR(EINVAL, send_numbered(self->a, 7, 4));
		EXPECT_EQ(-1, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
		return;
	}
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(1, send_numbered(self->a, 0x80000007, 4));
		EXPECT_EQ(0x80000007LL, next_number(self->a));
		/* It counts for itself, and those without by themselves. */
		EXPECT_EQ(1, send(self->a, "x", 1, 0));
		EXPECT_EQ(i, next_number(self->a));
	}
	for (i = 0; i < 4; i++)
		EXPECT_EQ(1, recv(self->b, buf, sizeof(buf), 0));
}

FT_HARNESS_MAIN
