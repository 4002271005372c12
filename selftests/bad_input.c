// SPDX-License-Identifier: GPL-2.0
/*
 * Wild pointers, absurd lengths and calls in the wrong order, for every call.
 * Each has its documented errno and changes nothing. The rows are those of the
 * calls: F02-F05, F07, F08, F10, F16.
 */

#include "stream_fixture.h"

#include <limits.h>
#include <sys/syscall.h>

/* Proof that the connection is as it was. */
static bool still_works(int a, int b)
{
	return ft_poll(b, POLLIN, 0) == 0 && ft_poll(a, POLLIN, 0) == 0 &&
	       ft_send_all(a, 0, 100, 100) && ft_recv_all(b, 0, 100, 100) &&
	       ft_send_all(b, 0, 100, 100) && ft_recv_all(a, 0, 100, 100);
}

TEST_F(stream, F07_wild_pointers)
{
	struct iovec bad_base = { FT_WILD, 10 };
	struct msghdr msg = { .msg_iov = &bad_base, .msg_iovlen = 1 };
	struct iovec good = { "x", 1 };

	EXPECT_ERR(EFAULT, send(self->a, FT_WILD, 1, 0));
	EXPECT_ERR(EFAULT, send(self->a, FT_WILD, 100000, 0));
	EXPECT_ERR(EFAULT, write(self->a, FT_WILD, 1));
	EXPECT_ERR(EFAULT, writev(self->a, &bad_base, 1));
	EXPECT_ERR(EFAULT, writev(self->a, FT_WILD, 1));
	EXPECT_ERR(EFAULT, sendmsg(self->a, &msg, 0));
	EXPECT_ERR(EFAULT, sendmsg(self->a, FT_WILD, 0));
	msg.msg_iov = FT_WILD;
	EXPECT_ERR(EFAULT, sendmsg(self->a, &msg, 0));
	msg.msg_iov = &good;
	msg.msg_control = FT_WILD;
	msg.msg_controllen = 64;
	EXPECT_ERR(EFAULT, sendmsg(self->a, &msg, 0));
	msg.msg_control = NULL;
	msg.msg_controllen = 0;
	msg.msg_name = FT_WILD;
	msg.msg_namelen = 16;
	EXPECT_ERR(EFAULT, sendmsg(self->a, &msg, 0));
	EXPECT_ERR(EFAULT, sendmmsg(self->a, FT_WILD, 1, 0));
	EXPECT_ERR(EFAULT, sendto(self->a, "x", 1, 0, FT_WILD, 16));
	EXPECT_TRUE(still_works(self->a, self->b));
}

TEST_F(stream, F08_wild_pointers)
{
	struct iovec bad_base = { FT_WILD, 100 };
	struct msghdr msg = { .msg_iov = &bad_base, .msg_iovlen = 1 };

	ASSERT_TRUE(ft_send_all(self->a, 0, 60, 20));
	ASSERT_TRUE(ft_wait_inq(self->b, 60));
	EXPECT_ERR(EFAULT, recv(self->b, FT_WILD, 100, 0));
	EXPECT_ERR(EFAULT, recv(self->b, FT_WILD, 100, MSG_PEEK));
	EXPECT_ERR(EFAULT, recv(self->b, FT_WILD, 60, MSG_WAITALL));
	EXPECT_ERR(EFAULT, read(self->b, FT_WILD, 100));
	EXPECT_ERR(EFAULT, readv(self->b, &bad_base, 1));
	EXPECT_ERR(EFAULT, readv(self->b, FT_WILD, 1));
	EXPECT_ERR(EFAULT, recvmsg(self->b, &msg, 0));
	/* With 32 bits the C library itself looks at what it received. */
	EXPECT_ERR(EFAULT, syscall(SYS_recvmsg, self->b, FT_WILD, 0));
	EXPECT_ERR(EFAULT, syscall(SYS_recvmmsg, self->b, FT_WILD, 1,
				   MSG_DONTWAIT, NULL));
	msg.msg_iov = FT_WILD;
	EXPECT_ERR(EFAULT, recvmsg(self->b, &msg, 0));

	/* None of them has taken a byte. */
	EXPECT_TRUE(ft_recv_all(self->b, 0, 60, 60));
	EXPECT_TRUE(still_works(self->a, self->b));
}

TEST_F(stream, F07_fault_in_the_middle)
{
	static const size_t lengths[] = { 10, 4000, 5000, 40000 };
	char *edge, *map = ft_page_edge(&edge);
	uint64_t at = 0;
	ssize_t n;
	size_t i;

	ASSERT_NE(NULL, map);
	/* From a page that is there into one that is not. */
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		ft_pattern(edge - 1000, at, 1000);
		errno = 0;
		n = send(self->a, edge - 1000, 1000 + lengths[i], 0);
		if (n < 0) {
			EXPECT_EQ(EFAULT, errno);
			continue;
		}
		/* What it took before the hole is sent, once. */
		EXPECT_GE(1000, n);
		EXPECT_TRUE(ft_recv_all(self->b, at, n, 1000));
		at += n;
	}
	EXPECT_TRUE(still_works(self->a, self->b));
	munmap(map, edge - map);
}

TEST_F(stream, F08_fault_in_the_middle)
{
	static const size_t room[] = { 1, 10, 60, 99 };
	char *edge, *map = ft_page_edge(&edge);
	uint64_t at = 0;
	ssize_t n;
	size_t i;

	ASSERT_NE(NULL, map);
	ASSERT_TRUE(ft_send_all(self->a, 0, 1000, 50));
	ASSERT_TRUE(ft_wait_inq(self->b, 1000));
	for (i = 0; i < ARRAY_SIZE(room); i++) {
		errno = 0;
		n = recv(self->b, edge - room[i], 100, 0);
		if (n < 0) {
			EXPECT_EQ(EFAULT, errno);
			continue;
		}
		EXPECT_GE(room[i], n);
		EXPECT_TRUE(ft_pattern_ok(edge - room[i], at, n));
		at += n;
	}
	/* Whatever was said to be read is read, the rest is still there. */
	EXPECT_TRUE(ft_recv_all(self->b, at, 1000 - at, 100));
	EXPECT_TRUE(still_works(self->a, self->b));
	munmap(map, edge - map);
}

TEST_F(stream, F07_absurd_lengths)
{
	struct iovec huge[2] = { { "x", SSIZE_MAX }, { "y", SSIZE_MAX } };
	struct msghdr msg = { .msg_iov = huge, .msg_iovlen = 2 };
	struct iovec many[UIO_MAXIOV + 1];
	int negative = atoi("-1");	/* gcc warns of a plain one */
	size_t i;

	for (i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct iovec){ "x", 0 };
	EXPECT_ERR(EINVAL, writev(self->a, many, UIO_MAXIOV + 1));
	EXPECT_ERR(EINVAL, writev(self->a, many, negative));
	msg.msg_iov = many;
	msg.msg_iovlen = UIO_MAXIOV + 1;
	EXPECT_ERR(EMSGSIZE, sendmsg(self->a, &msg, 0));
	msg.msg_iovlen = SIZE_MAX;
	EXPECT_ERR(EMSGSIZE, sendmsg(self->a, &msg, 0));
	msg.msg_iovlen = 1;
	many[0].iov_len = -1;
	EXPECT_ERR(EINVAL, sendmsg(self->a, &msg, 0));
	EXPECT_ERR(EINVAL, writev(self->a, many, 1));
	EXPECT_ERR(EFAULT, send(self->a, FT_WILD, SIZE_MAX, 0));
	EXPECT_ERR(EINVAL, sendto(self->a, "x", 1, 0, (void *)huge, -1));
	EXPECT_ERR(EINVAL, sendto(self->a, "x", 1, 0, (void *)huge,
				  sizeof(struct sockaddr_storage) + 1));
	msg.msg_iov = huge;
	huge[0].iov_len = 1;
	huge[1].iov_len = 1;
	msg.msg_controllen = (size_t)INT_MAX + 1;
	msg.msg_control = &msg;
	EXPECT_ERR(ENOBUFS, sendmsg(self->a, &msg, 0));
	EXPECT_TRUE(still_works(self->a, self->b));
}

TEST_F(stream, F08_absurd_lengths)
{
	struct iovec many[UIO_MAXIOV + 1];
	int negative = atoi("-1");	/* gcc warns of a plain one */
	struct msghdr msg = { .msg_iov = many };
	static char buf[100];
	size_t i;

	ASSERT_TRUE(ft_send_all(self->a, 0, 60, 60));
	ASSERT_TRUE(ft_wait_inq(self->b, 60));
	for (i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct iovec){ buf, sizeof(buf) };
	EXPECT_ERR(EINVAL, readv(self->b, many, UIO_MAXIOV + 1));
	EXPECT_ERR(EINVAL, readv(self->b, many, negative));
	msg.msg_iovlen = UIO_MAXIOV + 1;
	EXPECT_ERR(EMSGSIZE, recvmsg(self->b, &msg, 0));
	many[0].iov_len = -1;
	msg.msg_iovlen = 1;
	EXPECT_ERR(EINVAL, recvmsg(self->b, &msg, 0));

	/* More room than there is (far from the stack), less data: no harm. */
	EXPECT_EQ(60, recv(self->b, buf, 1UL << 28, 0));
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 60));
	EXPECT_TRUE(still_works(self->a, self->b));
}

TEST_F(stream, F07_unknown_flags_and_bad_descriptors)
{
	char byte;

	EXPECT_ERR(EBADF, send(-1, "x", 1, 0));
	EXPECT_ERR(EBADF, recv(-1, &byte, 1, 0));
	EXPECT_ERR(ENOTSOCK, send(STDOUT_FILENO, "x", 1, 0));
	EXPECT_ERR(ENOTSOCK, recv(STDOUT_FILENO, &byte, 1, 0));
	EXPECT_ERR(EINVAL, listen(self->a, 1));
	EXPECT_ERR(EINVAL, accept(self->b, NULL, NULL));
	EXPECT_TRUE(still_works(self->a, self->b));
}

/* Every call on a socket in every state it is not meant for. */

enum state {
	FRESH,
	BOUND,
	LISTENING,
	CONNECTED,
	SHUT_DOWN,
	PEER_GONE,
	NR_STATES,
};

FIXTURE(order)
{
	struct ft_leak leak;
	struct ft_addr addr, server;
	int listener, fd, other;
};

FIXTURE_VARIANT(order)
{
	struct ft_kind kind;
	enum state state;
};

FIXTURE_VARIANT_ADD(order, FERRY_fresh)
{
	.kind = { AF_FERRY, SOCK_STREAM }, .state = FRESH,
};

FIXTURE_VARIANT_ADD(order, FERRY_bound)
{
	.kind = { AF_FERRY, SOCK_STREAM }, .state = BOUND,
};

FIXTURE_VARIANT_ADD(order, FERRY_listening)
{
	.kind = { AF_FERRY, SOCK_STREAM }, .state = LISTENING,
};

FIXTURE_VARIANT_ADD(order, FERRY_connected)
{
	.kind = { AF_FERRY, SOCK_STREAM }, .state = CONNECTED,
};

FIXTURE_VARIANT_ADD(order, FERRY_shut_down)
{
	.kind = { AF_FERRY, SOCK_STREAM }, .state = SHUT_DOWN,
};

FIXTURE_VARIANT_ADD(order, FERRY_peer_gone)
{
	.kind = { AF_FERRY, SOCK_STREAM }, .state = PEER_GONE,
};

FIXTURE_VARIANT_ADD(order, UNIX_fresh)
{
	.kind = { AF_UNIX, SOCK_STREAM }, .state = FRESH,
};

FIXTURE_VARIANT_ADD(order, UNIX_bound)
{
	.kind = { AF_UNIX, SOCK_STREAM }, .state = BOUND,
};

FIXTURE_VARIANT_ADD(order, UNIX_listening)
{
	.kind = { AF_UNIX, SOCK_STREAM }, .state = LISTENING,
};

FIXTURE_VARIANT_ADD(order, UNIX_connected)
{
	.kind = { AF_UNIX, SOCK_STREAM }, .state = CONNECTED,
};

FIXTURE_VARIANT_ADD(order, UNIX_shut_down)
{
	.kind = { AF_UNIX, SOCK_STREAM }, .state = SHUT_DOWN,
};

FIXTURE_VARIANT_ADD(order, UNIX_peer_gone)
{
	.kind = { AF_UNIX, SOCK_STREAM }, .state = PEER_GONE,
};

FIXTURE_SETUP(order)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->other = -1;
	self->listener = ft_listener(&variant->kind, &self->server, 4);
	ASSERT_LE(0, self->listener);
	self->fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, self->fd);
	if (variant->state == FRESH)
		return;
	ASSERT_EQ(0, ft_bind_new(self->fd, variant->kind.domain, &self->addr));
	if (variant->state == BOUND)
		return;
	if (variant->state == LISTENING) {
		ASSERT_EQ(0, listen(self->fd, 4));
		ASSERT_LE(0, ft_nonblock(self->fd, true));
		return;
	}
	ASSERT_EQ(0, connect(self->fd, &self->server.sa, self->server.len));
	self->other = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, self->other);
	if (variant->state == PEER_GONE)
		ft_close(&self->other);
	if (variant->state == SHUT_DOWN)
		ASSERT_EQ(0, shutdown(self->fd, SHUT_RDWR));
}

FIXTURE_TEARDOWN(order)
{
	ft_close(&self->fd);
	ft_close(&self->other);
	ft_close(&self->listener);
	FT_NO_LEAK(&self->leak);
}

static bool once_connected(enum state state)
{
	return state >= CONNECTED;
}

TEST_F(order, F03_bind)
{
	struct ft_addr addr;

	ft_addr_new(variant->kind.domain, &addr);
	EXPECT_EQ(variant->state == FRESH ? 0 : EINVAL,
		  ft_err(bind(self->fd, &addr.sa, addr.len)));
}

TEST_F(order, F04_listen)
{
	int expected = 0;

	if (variant->state == FRESH || once_connected(variant->state))
		expected = EINVAL;
	EXPECT_EQ(expected, ft_err(listen(self->fd, 1)));
}

TEST_F(order, F05_accept)
{
	int expected = variant->state == LISTENING ? EAGAIN : EINVAL;

	EXPECT_ERR(expected, accept(self->fd, NULL, NULL));
}

TEST_F(order, F02_connect)
{
	int expected = 0;

	if (variant->state == LISTENING)
		expected = EINVAL;
	else if (once_connected(variant->state))
		expected = EISCONN;
	EXPECT_EQ(expected, ft_err(connect(self->fd, &self->server.sa,
					   self->server.len)));
}

TEST_F(order, F07_send)
{
	int expected;

	if (variant->state == CONNECTED)
		expected = 0;
	else if (once_connected(variant->state))
		expected = EPIPE;
	else
		expected = ENOTCONN;
	EXPECT_EQ(expected, ft_err(send(self->fd, "x", 1, MSG_NOSIGNAL)));
	EXPECT_EQ(expected, ft_err(send(self->fd, "x", 1, MSG_NOSIGNAL |
							 MSG_DONTWAIT)));
}

TEST_F(order, F08_recv)
{
	int expected, n;
	char byte;

	if (variant->state == CONNECTED)
		expected = EAGAIN;
	else if (once_connected(variant->state))
		expected = 0;
	else
		expected = variant->kind.domain == AF_UNIX ? EINVAL : ENOTCONN;
	n = recv(self->fd, &byte, 1, MSG_DONTWAIT);
	EXPECT_EQ(expected, ft_err(n));
	if (!expected)
		EXPECT_EQ(0, n);
}

TEST_F(order, F16_shutdown)
{
	int expected = 0;

	/* A listener can be shut down; AF_UNIX lets anything be. */
	if (variant->state <= BOUND && variant->kind.domain != AF_UNIX)
		expected = ENOTCONN;
	EXPECT_EQ(expected, ft_err(shutdown(self->fd, SHUT_WR)));
}

TEST_F(order, F12_getpeername)
{
	struct ft_addr addr = { .len = sizeof(addr.ss) };
	int expected = ENOTCONN;

	if (once_connected(variant->state))
		expected = 0;
	EXPECT_EQ(expected, ft_err(getpeername(self->fd, &addr.sa,
					       &addr.len)));
}

TEST_F(order, F09_poll)
{
	static const short expected[NR_STATES] = {
		[FRESH] = POLLOUT | POLLHUP,
		[BOUND] = POLLOUT | POLLHUP,
		[LISTENING] = 0,
		[CONNECTED] = POLLOUT,
		[SHUT_DOWN] = POLLIN | POLLOUT | POLLHUP | POLLRDHUP,
		[PEER_GONE] = POLLIN | POLLOUT | POLLHUP | POLLRDHUP,
	};
	short events = ft_poll(self->fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI,
			       0);

	/* A listener of AF_UNIX can be written to, it says. */
	if (variant->kind.domain == AF_UNIX && variant->state == LISTENING)
		events &= ~POLLOUT;
	EXPECT_EQ(expected[variant->state], events);
}

TEST_F(order, I05_ioctls)
{
	int expected = 0, n = -1;

	if (variant->state == LISTENING)
		expected = EINVAL;
	EXPECT_EQ(expected, ft_err(ioctl(self->fd, FIONREAD, &n)));
	if (!expected)
		EXPECT_EQ(0, n);
}

FT_HARNESS_MAIN
