// SPDX-License-Identifier: GPL-2.0
/*
 * close(2), and everything that keeps a socket alive: dup, fork, exec, a
 * descriptor in flight. F15, X05.
 */

#include "stream_fixture.h"

TEST_F(stream, F15_delivered_data_outlives_the_sender)
{
	char byte;

	ASSERT_TRUE(ft_send_all(self->a, 0, 10000, 3000));
	ft_close(&self->a);
	EXPECT_TRUE(ft_recv_all(self->b, 0, 10000, 777));
	EXPECT_EQ(0, recv(self->b, &byte, 1, 0));
	EXPECT_EQ(0, recv(self->b, &byte, 1, 0));
}

TEST_F(stream, F15_wakes_a_reader)
{
	char byte;
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = &byte, .len = 1,
	};

	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ft_close(&self->a);
	ft_join(&call);
	EXPECT_EQ(0, call.ret);
}

TEST_F(stream, F15_wakes_a_writer)
{
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->a, .len = 1,
		.flags = MSG_NOSIGNAL, .buf = "x",
	};

	ft_shrink(self->a, self->b);
	ASSERT_LT(0, ft_fill(self->a, 0, 4096));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ft_close(&self->b);
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	/* Unread data was lost with the reader. */
	EXPECT_TRUE(call.err == ECONNRESET || call.err == EPIPE);
}

TEST_F(stream, F15_unread_data_resets_the_peer_once)
{
	char byte;

	ASSERT_TRUE(ft_send_all(self->a, 0, 100, 100));
	ASSERT_TRUE(ft_wait_inq(self->b, 100));
	ASSERT_TRUE(ft_send_all(self->b, 0, 5000, 5000));
	ASSERT_TRUE(ft_wait_inq(self->a, 5000));
	ft_close(&self->b);
	EXPECT_NE(0, ft_poll(self->a, 0, FT_LONG_MS) & POLLHUP);

	/* What came before stays readable. */
	EXPECT_TRUE(ft_recv_all(self->a, 0, 5000, 700));
	EXPECT_ERR(ECONNRESET, recv(self->a, &byte, 1, 0));
	EXPECT_EQ(0, recv(self->a, &byte, 1, 0));
	EXPECT_ERR(EPIPE, send(self->a, "x", 1, MSG_NOSIGNAL));
}

TEST_F(stream, F15_all_read_is_no_reset)
{
	char byte;

	ASSERT_TRUE(ft_send_all(self->a, 0, 100, 100));
	ASSERT_TRUE(ft_recv_all(self->b, 0, 100, 100));
	ft_close(&self->b);
	EXPECT_NE(0, ft_poll(self->a, POLLRDHUP, FT_LONG_MS));
	EXPECT_EQ(0, recv(self->a, &byte, 1, 0));
	EXPECT_EQ(0, ft_getint(self->a, SO_ERROR));
}

TEST_F(stream, F15_both_ends_at_once_with_data_in_both_directions)
{
	int i;

	ASSERT_TRUE(ft_send_all(self->a, 0, 9000, 3000));
	ASSERT_TRUE(ft_send_all(self->b, 0, 9000, 3000));
	ft_close(&self->a);
	ft_close(&self->b);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
		ASSERT_TRUE(ft_send_all(self->a, 0, 100, 100));
		ASSERT_TRUE(ft_send_all(self->b, 0, 100, 100));
		if (i & 1)
			ft_close(&self->a);
		ft_close(&self->b);
		ft_close(&self->a);
	}
}

TEST_F(stream, X05_dup)
{
	char byte;
	int copy;

	copy = dup(self->a);
	ASSERT_LE(0, copy);
	ft_close(&self->a);
	EXPECT_EQ(0, ft_poll(self->b, POLLIN | POLLRDHUP, 0));
	EXPECT_TRUE(ft_send_all(copy, 0, 10, 10));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 10, 10));
	self->a = dup(copy);
	ASSERT_LE(0, self->a);
	ft_close(&copy);
	EXPECT_EQ(0, ft_poll(self->b, POLLIN | POLLRDHUP, 0));
	ft_close(&self->a);
	EXPECT_NE(0, ft_poll(self->b, POLLIN, FT_LONG_MS));
	EXPECT_EQ(0, recv(self->b, &byte, 1, 0));
}

TEST_F(stream, X05_fork)
{
	struct ft_child child;
	char byte;

	if (!ft_fork(&child)) {
		bool ok;

		ft_close(&self->b);
		ok = ft_expect(&child, "go") &&
		     ft_send_all(self->a, 0, 10, 10);
		ft_say(&child, ok ? "sent" : "failed");
		ft_expect(&child, "end");
		_exit(0);
	}
	ft_close(&self->a);
	EXPECT_EQ(0, ft_poll(self->b, POLLIN | POLLRDHUP, 0));
	ASSERT_TRUE(ft_say(&child, "go"));
	ASSERT_TRUE(ft_expect(&child, "sent"));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 10, 10));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN | POLLRDHUP, 0));
	ASSERT_TRUE(ft_say(&child, "end"));
	EXPECT_EQ(0, ft_wait_child(&child));
	EXPECT_NE(0, ft_poll(self->b, POLLIN, FT_LONG_MS));
	EXPECT_EQ(0, recv(self->b, &byte, 1, 0));
}

TEST_F(stream, X05_process_death)
{
	struct ft_child child;
	char byte;
	int status;

	if (!ft_fork(&child)) {
		ft_close(&self->b);
		send(self->a, "x", 1, 0);
		ft_say(&child, "sent");
		recv(self->a, &byte, 1, 0);
		_exit(0);
	}
	ft_close(&self->a);
	ASSERT_TRUE(ft_expect(&child, "sent"));
	kill(child.pid, SIGKILL);
	ft_close(&child.in);
	ft_close(&child.out);
	ASSERT_EQ(child.pid, waitpid(child.pid, &status, 0));
	EXPECT_EQ(1, recv(self->b, &byte, 1, 0));
	EXPECT_EQ('x', byte);
	EXPECT_EQ(0, recv(self->b, &byte, 1, 0));
}

TEST_F(stream, X05_exec)
{
	char buf[16] = "", echo[32];
	pid_t pid;
	int status;

	/* Without FD_CLOEXEC it survives, ... */
	snprintf(echo, sizeof(echo), "echo hello >&%d", self->a);
	pid = fork();
	if (!pid) {
		execl("/bin/sh", "sh", "-c", echo, NULL);
		_exit(127);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(6, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_STREQ("hello\n", buf);

	/* ... with it, it does not. */
	ASSERT_EQ(0, fcntl(self->a, F_SETFD, FD_CLOEXEC));
	snprintf(echo, sizeof(echo), "[ ! -e /proc/self/fd/%d ]", self->a);
	pid = fork();
	if (!pid) {
		execl("/bin/sh", "sh", "-c", echo, NULL);
		_exit(127);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

static int send_fd(int through, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { "f", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(through, &msg, 0) == 1 ? 0 : -1;
}

static int recv_fd(int through)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(through, &msg, 0) != 1)
		return -1;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

TEST_F(stream, X05_in_flight)
{
	char byte;
	int sv[2];

	/* Passed over AF_UNIX; in flight it is nobody's and lives. */
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	ASSERT_EQ(0, send_fd(sv[0], self->a));
	ft_close(&self->a);
	EXPECT_EQ(0, ft_poll(self->b, POLLIN | POLLRDHUP, 0));
	EXPECT_TRUE(ft_send_all(self->b, 0, 10, 10));
	self->a = recv_fd(sv[1]);
	ASSERT_LE(0, self->a);
	EXPECT_TRUE(ft_recv_all(self->a, 0, 10, 10));
	EXPECT_TRUE(ft_send_all(self->a, 0, 10, 10));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 10, 10));

	/* Dropped while in flight, it is closed. */
	ASSERT_EQ(0, send_fd(sv[0], self->a));
	ft_close(&self->a);
	ft_close(&sv[0]);
	ft_close(&sv[1]);
	EXPECT_NE(0, ft_poll(self->b, POLLIN, FT_LONG_MS));
	EXPECT_EQ(0, recv(self->b, &byte, 1, 0));
}

TEST_F(stream, X05_blocked_call_keeps_it_alive)
{
	char byte;
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = &byte, .len = 1,
	};

	/* Closed by number while another thread waits on it. */
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ft_close(&self->b);
	EXPECT_EQ(0, ft_poll(self->a, POLLRDHUP, 0));
	EXPECT_EQ(1, send(self->a, "x", 1, 0));
	ft_join(&call);
	EXPECT_EQ(1, call.ret);
	EXPECT_EQ('x', byte);
	EXPECT_NE(0, ft_poll(self->a, POLLRDHUP, FT_LONG_MS));
}

FT_HARNESS_MAIN
