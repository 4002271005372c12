// SPDX-License-Identifier: GPL-2.0
/*
 * connect(2) and accept(2) while there is room for everybody. F02, F05, F18,
 * E02, F16 for listeners. What happens on a full backlog is in backlog.c.
 */

#include "ferry_test.h"
#include "kselftest_harness.h"

#include <sys/epoll.h>
#include <sys/stat.h>

FIXTURE(conn)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int listener;
};

FIXTURE_VARIANT(conn)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(conn, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(conn, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(conn, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(conn, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(conn, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_SETUP(conn)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->listener = ft_listener(&variant->kind, &self->addr, 16);
	ASSERT_LE(0, self->listener);
}

FIXTURE_TEARDOWN(conn)
{
	ft_close(&self->listener);
	FT_NO_LEAK(&self->leak);
}

TEST_F(conn, F02_connect_accept_echo)
{
	char buf[8];
	int a, b;

	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_EQ(4, send(a, "ping", 4, 0));
	EXPECT_EQ(4, recv(b, buf, sizeof(buf), 0));
	EXPECT_EQ(4, send(b, buf, 4, 0));
	memset(buf, 0, sizeof(buf));
	EXPECT_EQ(4, recv(a, buf, sizeof(buf), 0));
	EXPECT_STREQ("ping", buf);
	ft_close(&a);
	ft_close(&b);
}

TEST_F(conn, F02_data_before_accept)
{
	char buf[8] = "";
	int a, b;

	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	EXPECT_NE(0, ft_poll(a, POLLOUT, 0) & POLLOUT);
	EXPECT_EQ(5, send(a, "early", 5, 0));
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_EQ(5, recv(b, buf, sizeof(buf), 0));
	EXPECT_STREQ("early", buf);
	ft_close(&a);
	ft_close(&b);
}

TEST_F(conn, F02_nobody_there)
{
	struct ft_addr addr;
	int fd, gone;

	/* A name that was there a moment ago. */
	gone = ft_listener(&variant->kind, &addr, 1);
	ASSERT_LE(0, gone);
	ft_close(&gone);

	fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fd);
	EXPECT_ERR(ECONNREFUSED, connect(fd, &addr.sa, addr.len));

	/* The refusal leaves a socket that can try elsewhere. */
	EXPECT_EQ(0, connect(fd, &self->addr.sa, self->addr.len));
	ft_close(&fd);
}

TEST_F(conn, F02_bound_but_not_listening)
{
	struct ft_addr addr;
	int fd, other;

	other = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, ft_bind_new(other, variant->kind.domain, &addr));
	fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fd);
	EXPECT_ERR(ECONNREFUSED, connect(fd, &addr.sa, addr.len));
	ft_close(&fd);
	ft_close(&other);
}

TEST_F(conn, F02_already_connected)
{
	int fd, b;

	fd = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, fd);
	EXPECT_ERR(EISCONN, connect(fd, &self->addr.sa, self->addr.len));
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_ERR(EISCONN, connect(b, &self->addr.sa, self->addr.len));

	/* Neither attempt has left anything at the listener. */
	ASSERT_LE(0, ft_nonblock(self->listener, true));
	EXPECT_ERR(EAGAIN, accept(self->listener, NULL, NULL));
	ft_close(&fd);
	ft_close(&b);
}

TEST_F(conn, F02_bad_arguments)
{
	int fd;

	fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fd);
	EXPECT_ERR(EFAULT, connect(fd, FT_WILD, self->addr.len));
	EXPECT_ERR(EINVAL, connect(fd, &self->addr.sa, -1));
	EXPECT_ERR(EINVAL, connect(fd, &self->addr.sa, 1));
	EXPECT_ERR(EINVAL, connect(fd, &self->addr.sa,
				   sizeof(struct sockaddr_storage) + 1));
	EXPECT_ERR(EBADF, connect(-1, &self->addr.sa, self->addr.len));
	EXPECT_ERR(ENOTSOCK, connect(STDOUT_FILENO, &self->addr.sa,
				     self->addr.len));
	EXPECT_EQ(0, connect(fd, &self->addr.sa, self->addr.len));
	ft_close(&fd);
}

TEST_F(conn, F05_flags)
{
	int a, b;

	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	EXPECT_ERR(EINVAL, accept4(self->listener, NULL, NULL, 0x100));
	b = accept4(self->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ASSERT_LE(0, b);
	EXPECT_NE(0, fcntl(b, F_GETFL) & O_NONBLOCK);
	EXPECT_NE(0, fcntl(b, F_GETFD) & FD_CLOEXEC);
	ft_close(&a);
	ft_close(&b);

	/* O_NONBLOCK of the listener is not inherited. */
	ASSERT_LE(0, ft_nonblock(self->listener, true));
	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	EXPECT_NE(0, ft_poll(self->listener, POLLIN, FT_LONG_MS));
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_EQ(0, fcntl(b, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(0, fcntl(b, F_GETFD) & FD_CLOEXEC);
	ft_close(&a);
	ft_close(&b);
}

TEST_F(conn, F05_in_order)
{
	int a[5], b, i;
	char got;

	for (i = 0; i < 5; i++) {
		got = i;
		a[i] = ft_connect(&variant->kind, &self->addr);
		ASSERT_LE(0, a[i]);
		EXPECT_EQ(1, send(a[i], &got, 1, 0));
	}
	for (i = 0; i < 5; i++) {
		got = -1;

		b = accept(self->listener, NULL, NULL);
		ASSERT_LE(0, b);
		EXPECT_EQ(1, recv(b, &got, 1, 0));
		EXPECT_EQ(i, got);
		ft_close(&b);
		ft_close(&a[i]);
	}
}

TEST_F(conn, F05_would_block)
{
	ASSERT_LE(0, ft_nonblock(self->listener, true));
	EXPECT_ERR(EAGAIN, accept(self->listener, NULL, NULL));
}

TEST_F(conn, F05_not_listening)
{
	int fd;

	fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fd);
	EXPECT_ERR(EINVAL, accept(fd, NULL, NULL));
	ASSERT_EQ(0, connect(fd, &self->addr.sa, self->addr.len));
	EXPECT_ERR(EINVAL, accept(fd, NULL, NULL));
	ft_close(&fd);
}

TEST_F(conn, F05_blocks_until_somebody_comes)
{
	struct ft_call call = { .fn = ft_do_accept, .fd = self->listener };
	int a, b;

	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	ft_join(&call);
	ASSERT_LE(0, call.ret);
	b = call.ret;
	EXPECT_TRUE(ft_send_all(b, 0, 10, 10));
	EXPECT_TRUE(ft_recv_all(a, 0, 10, 10));
	ft_close(&a);
	ft_close(&b);
}

TEST_F(conn, F05_two_waiters_two_connections)
{
	struct ft_call call[2] = {
		{ .fn = ft_do_accept, .fd = self->listener },
		{ .fn = ft_do_accept, .fd = self->listener },
	};
	int a[2], i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ft_start(&call[i]));
		ASSERT_TRUE(ft_blocked(&call[i]));
	}
	for (i = 0; i < 2; i++) {
		a[i] = ft_connect(&variant->kind, &self->addr);
		ASSERT_LE(0, a[i]);
	}
	for (i = 0; i < 2; i++) {
		int b;

		ft_join(&call[i]);
		EXPECT_LE(0, call[i].ret);
		b = call[i].ret;
		ft_close(&b);
		ft_close(&a[i]);
	}
}

TEST_F(conn, F05_bad_arguments)
{
	struct ft_addr addr = { .len = -1 };
	int a, b;

	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	EXPECT_ERR(EBADF, accept(-1, NULL, NULL));
	EXPECT_ERR(ENOTSOCK, accept(STDOUT_FILENO, NULL, NULL));

	/* The core takes the connection before it looks at the address. */
	EXPECT_ERR(EINVAL, accept(self->listener, &addr.sa, &addr.len));
	EXPECT_NE(0, ft_poll(a, POLLIN, FT_LONG_MS) & POLLIN);
	ft_close(&a);

	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	addr.len = sizeof(addr.ss);
	EXPECT_ERR(EFAULT, accept(self->listener, FT_WILD, &addr.len));
	ft_close(&a);

	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	EXPECT_ERR(EFAULT, accept(self->listener, &addr.sa, FT_WILD));
	ft_close(&a);

	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	b = accept(self->listener, NULL, NULL);
	EXPECT_LE(0, b);
	ft_close(&a);
	ft_close(&b);
}

TEST_F(conn, F05_client_gone_before_accept)
{
	char buf[8] = "";
	int a, b;

	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	EXPECT_EQ(4, send(a, "last", 4, 0));
	ft_close(&a);
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_EQ(4, recv(b, buf, sizeof(buf), 0));
	EXPECT_STREQ("last", buf);
	EXPECT_EQ(0, recv(b, buf, sizeof(buf), 0));
	ft_close(&b);
}

TEST_F(conn, E02_pollin_when_one_waits)
{
	int a, b;

	EXPECT_EQ(0, ft_poll(self->listener, POLLIN | POLLOUT | POLLPRI, 0));
	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	EXPECT_NE(0, ft_poll(self->listener, POLLIN, FT_LONG_MS) & POLLIN);
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_EQ(0, ft_poll(self->listener, POLLIN, 0));
	ft_close(&a);
	ft_close(&b);
}

TEST_F(conn, E02_wakes_poll_select_epoll)
{
	ssize_t (*fn[])(struct ft_call *) = {
		ft_do_poll, ft_do_select, ft_do_epoll,
	};
	struct ft_call call;
	size_t i;
	int a, b;

	for (i = 0; i < ARRAY_SIZE(fn); i++) {
		memset(&call, 0, sizeof(call));
		call.fn = fn[i];
		call.fd = self->listener;
		call.events = POLLIN;
		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		a = ft_connect(&variant->kind, &self->addr);
		ASSERT_LE(0, a);
		ft_join(&call);
		EXPECT_EQ(1, call.ret);
		EXPECT_EQ(POLLIN, call.revents);
		b = accept(self->listener, NULL, NULL);
		ASSERT_LE(0, b);
		ft_close(&a);
		ft_close(&b);
	}
}

TEST_F(conn, F09_every_connection_is_an_edge)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int a[3], b, ep, i;

	ep = epoll_create1(0);
	ASSERT_LE(0, ep);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->listener, &event));
	for (i = 0; i < 3; i++) {
		a[i] = ft_connect(&variant->kind, &self->addr);
		ASSERT_LE(0, a[i]);
		EXPECT_EQ(1, epoll_wait(ep, &event, 1, FT_LONG_MS));
		EXPECT_EQ(EPOLLIN, event.events);
		EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
	}
	for (i = 0; i < 3; i++) {
		b = accept(self->listener, NULL, NULL);
		ASSERT_LE(0, b);
		ft_close(&b);
		ft_close(&a[i]);
	}
	ft_close(&ep);
}

TEST_F(conn, F16_shutdown_of_a_listener_ends_accept)
{
	struct ft_call call = { .fn = ft_do_accept, .fd = self->listener };

	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	EXPECT_EQ(0, shutdown(self->listener, SHUT_RDWR));
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(EINVAL, call.err);
	EXPECT_ERR(EINVAL, accept(self->listener, NULL, NULL));
}

TEST_F(conn, F16_shutdown_listener_refuses)
{
	int fd;

	EXPECT_EQ(0, shutdown(self->listener, SHUT_RDWR));
	fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fd);
	EXPECT_ERR(ECONNREFUSED, connect(fd, &self->addr.sa, self->addr.len));
	ft_close(&fd);
}

TEST_F(conn, F15_closed_listener_resets_the_unaccepted)
{
	int a[3], i;
	char byte;

	for (i = 0; i < 3; i++) {
		a[i] = ft_connect(&variant->kind, &self->addr);
		ASSERT_LE(0, a[i]);
	}
	EXPECT_EQ(1, send(a[1], "x", 1, 0));
	ft_close(&self->listener);
	for (i = 0; i < 3; i++) {
		EXPECT_NE(0, ft_poll(a[i], 0, FT_LONG_MS) & POLLHUP);
		EXPECT_ERR(ECONNRESET, recv(a[i], &byte, 1, 0));
		EXPECT_EQ(0, recv(a[i], &byte, 1, 0));
		EXPECT_ERR(EPIPE, send(a[i], &byte, 1, MSG_NOSIGNAL));
		ft_close(&a[i]);
	}
}

TEST_F(conn, F15_close_of_a_listener_wakes_a_waiting_client)
{
	struct ft_call call = { .fn = ft_do_recv, .len = 1 };
	char byte;
	int a;

	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	call.fd = a;
	call.buf = &byte;
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ft_close(&self->listener);
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(ECONNRESET, call.err);
	ft_close(&a);
}

/* What TCP does otherwise. */

FIXTURE(local_conn)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int listener;
};

FIXTURE_VARIANT(local_conn)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(local_conn, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(local_conn, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(local_conn, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(local_conn, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET },
};

FIXTURE_SETUP(local_conn)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->listener = ft_listener(&variant->kind, &self->addr, 16);
	ASSERT_LE(0, self->listener);
}

FIXTURE_TEARDOWN(local_conn)
{
	ft_close(&self->listener);
	FT_NO_LEAK(&self->leak);
}

TEST_F(local_conn, F02_to_oneself)
{
	struct ft_addr addr;
	int fd;

	fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ft_bind_new(fd, variant->kind.domain, &addr));
	EXPECT_ERR(ECONNREFUSED, connect(fd, &addr.sa, addr.len));
	ft_close(&fd);
}

TEST_F(local_conn, F02_from_a_listener)
{
	EXPECT_ERR(EINVAL, connect(self->listener, &self->addr.sa,
				   self->addr.len));
}

TEST_F(local_conn, F04_unbound)
{
	int fd;

	fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fd);
	EXPECT_ERR(EINVAL, listen(fd, 1));
	ft_close(&fd);
}

TEST_F(local_conn, F04_connected)
{
	int a, b;

	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_ERR(EINVAL, listen(a, 1));
	EXPECT_ERR(EINVAL, listen(b, 1));
	ft_close(&a);
	ft_close(&b);
}

TEST_F(local_conn, F02_nonblocking_connect_is_done_at_once)
{
	int fd, b;

	fd = socket(variant->kind.domain, variant->kind.type | SOCK_NONBLOCK,
		    0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, connect(fd, &self->addr.sa, self->addr.len));
	EXPECT_EQ(POLLOUT, ft_poll(fd, POLLIN | POLLOUT, 0));
	b = accept(self->listener, NULL, NULL);
	EXPECT_LE(0, b);
	ft_close(&fd);
	ft_close(&b);
}

TEST_F(local_conn, F09_unconnected)
{
	short events;
	int fd;

	fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fd);
	events = ft_poll(fd, POLLIN | POLLOUT, 0);
	EXPECT_EQ(0, events & POLLIN);
	EXPECT_NE(0, events & POLLHUP);
	ft_close(&fd);
}

/* Names with permissions: who may not write to the name may not connect. */

FIXTURE(permission)
{
	struct ft_leak leak;
	struct ft_addr addr;
	mode_t umask;
	int listener;
};

FIXTURE_VARIANT(permission)
{
	struct ft_kind kind;
	mode_t umask;
	int expected;
};

FIXTURE_VARIANT_ADD(permission, FERRY_stream_0022)
{
	.kind = { AF_FERRY, SOCK_STREAM }, .umask = 0022, .expected = EACCES,
};

FIXTURE_VARIANT_ADD(permission, FERRY_seqpacket_0022)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET }, .umask = 0022, .expected = EACCES,
};

FIXTURE_VARIANT_ADD(permission, FERRY_stream_0000)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(permission, UNIX_stream_0022)
{
	.kind = { AF_UNIX, SOCK_STREAM }, .umask = 0022, .expected = EACCES,
};

FIXTURE_VARIANT_ADD(permission, UNIX_stream_0000)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_SETUP(permission)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	if (geteuid())
		SKIP(return, "needs root to become somebody else");
	ft_leak_start(&self->leak, variant->kind.domain);
	ft_addr_new(variant->kind.domain, &self->addr);
	if (variant->kind.domain == AF_UNIX) {
		/* Only names in the file system have a mode. */
		self->addr.len = sizeof(self->addr.un);
		snprintf(self->addr.un.sun_path,
			 sizeof(self->addr.un.sun_path),
			 "/tmp/ferry-test-%d", getpid());
	}
	self->listener = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, self->listener);
	self->umask = umask(variant->umask);
	ASSERT_EQ(0, bind(self->listener, &self->addr.sa, self->addr.len));
	umask(self->umask);
	ASSERT_EQ(0, listen(self->listener, 4));
}

FIXTURE_TEARDOWN(permission)
{
	if (variant->kind.domain == AF_UNIX)
		unlink(self->addr.un.sun_path);
	ft_close(&self->listener);
	FT_NO_LEAK(&self->leak);
}

TEST_F(permission, F02_by_the_mode_of_the_name)
{
	struct ft_child child;
	int fd;

	if (!ft_fork(&child)) {
		fd = socket(variant->kind.domain, variant->kind.type, 0);
		if (!ft_become(65534, 65534))
			_exit(255);
		_exit(ft_err(connect(fd, &self->addr.sa, self->addr.len)));
	}
	EXPECT_EQ(variant->expected, ft_wait_child(&child));

	/* The owner has the permission either way. */
	fd = ft_connect(&variant->kind, &self->addr);
	EXPECT_LE(0, fd);
	ft_close(&fd);
}

/* EINPROGRESS, where a connect can be in progress. */

FIXTURE(asynchronous)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int listener;
};

FIXTURE_VARIANT(asynchronous)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(asynchronous, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(asynchronous, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(asynchronous, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_SETUP(asynchronous)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->listener = ft_listener(&variant->kind, &self->addr, 16);
	ASSERT_LE(0, self->listener);
}

FIXTURE_TEARDOWN(asynchronous)
{
	ft_close(&self->listener);
	FT_NO_LEAK(&self->leak);
}

TEST_F(asynchronous, E06_pollout_when_connected)
{
	int fd, b, ret;

	fd = socket(variant->kind.domain, variant->kind.type | SOCK_NONBLOCK,
		    0);
	ASSERT_LE(0, fd);
	ret = connect(fd, &self->addr.sa, self->addr.len);
	if (ret)
		EXPECT_EQ(EINPROGRESS, errno);
	EXPECT_EQ(POLLOUT, ft_poll(fd, POLLIN | POLLOUT, FT_LONG_MS));
	EXPECT_EQ(0, ft_getint(fd, SO_ERROR));

	/* INET lets the second connect fetch the result of the first. */
	ret = connect(fd, &self->addr.sa, self->addr.len);
	if (ret)
		EXPECT_EQ(EISCONN, errno);
	EXPECT_ERR(EISCONN, connect(fd, &self->addr.sa, self->addr.len));
	b = accept(self->listener, NULL, NULL);
	EXPECT_LE(0, b);
	ft_close(&fd);
	ft_close(&b);
}

TEST_F(asynchronous, F16_not_connected)
{
	int fd;

	fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fd);
	EXPECT_ERR(ENOTCONN, shutdown(fd, SHUT_RD));
	EXPECT_ERR(ENOTCONN, shutdown(fd, SHUT_WR));
	EXPECT_ERR(ENOTCONN, shutdown(fd, SHUT_RDWR));
	EXPECT_ERR(EINVAL, shutdown(fd, 3));
	EXPECT_ERR(EINVAL, shutdown(fd, -1));
	ft_close(&fd);
}

FT_HARNESS_MAIN
