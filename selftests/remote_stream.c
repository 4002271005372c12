// SPDX-License-Identifier: GPL-2.0
/*
 * STREAM to another host: connections, their calls, events and end.
 */
#include <net/if.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include "remote_fixture.h"
#include "tracefs.h"

/* How much is sent each way: FERRY_MIB, or what does not take long. */
static size_t big(void)
{
	const char *mib = getenv("FERRY_MIB");

	return (size_t)(mib ? atoi(mib) : ft_checks_itself() ? 2 : 8) << 20;
}

REMOTE_FIXTURE(remote_stream, SOCK_STREAM)
REMOTE_IPV4(remote_stream);
REMOTE_IPV6(remote_stream);

#define CONNECT()	CONNECT_TYPE(SOCK_STREAM)

TEST_F_TIMEOUT(remote_stream, F08_connect_and_talk, FT_SLOW_S)
{
	char buf[16];

	CONNECT();
	EXPECT_EQ(5, send(self->a, "hello", 5, 0));
	EXPECT_EQ(5, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(buf, "hello", 5));
	EXPECT_EQ(3, write(self->b, "you", 3));
	EXPECT_EQ(3, read(self->a, buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, "you", 3));
	EXPECT_ERR(EISCONN, connect(self->a, &self->addr.sa, self->addr.len));
	EXPECT_EQ(1, net_stat(&self->net, 1, "tcp_accepted"));
}

TEST_F_TIMEOUT(remote_stream, F12_names, FT_SLOW_S)
{
	struct ft_addr addr, own;

	self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM);
	net_addr(&own, NULL, "client");
	ASSERT_EQ(0, bind(self->a, &own.sa, own.len));
	ASSERT_EQ(0, connect(self->a, &self->addr.sa, self->addr.len));
	addr.len = sizeof(addr.ss);
	self->b = accept(self->listener, &addr.sa, &addr.len);
	ASSERT_LE(0, self->b);

	net_addr(&own, strchr(variant->node, ':') ? "fd18::1" : "10.18.0.1", "client");
	EXPECT_EQ(own.len, addr.len);
	EXPECT_EQ(0, memcmp(&own.sa, &addr.sa, own.len));

	addr.len = sizeof(addr.ss);
	EXPECT_EQ(0, getpeername(self->a, &addr.sa, &addr.len));
	EXPECT_EQ(self->addr.len, addr.len);
	EXPECT_EQ(0, memcmp(&self->addr.sa, &addr.sa, addr.len));
}

TEST_F_TIMEOUT(remote_stream, F18_connect_nonblock, FT_SLOW_S)
{
	self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM | SOCK_NONBLOCK);
	EXPECT_ERR(EINPROGRESS, connect(self->a, &self->addr.sa, self->addr.len));
	EXPECT_EQ(POLLOUT, ft_poll(self->a, POLLOUT, FT_LONG_MS) & ~(POLLWRNORM | POLLWRBAND));
	EXPECT_EQ(0, ft_getint(self->a, SO_ERROR));
	EXPECT_EQ(0, connect(self->a, &self->addr.sa, self->addr.len));
	EXPECT_ERR(EISCONN, connect(self->a, &self->addr.sa, self->addr.len));
	EXPECT_EQ(POLLIN, ft_poll(self->listener, POLLIN, FT_LONG_MS));
}

TEST_F_TIMEOUT(remote_stream, F02_errors, FT_SLOW_S)
{
	struct ft_addr addr;
	int fd, dgram, mode = 0600;

	self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM);
	/* Nobody of that name. */
	net_addr(&addr, variant->node, "nobody");
	EXPECT_ERR(ECONNREFUSED, connect(self->a, &addr.sa, addr.len));
	EXPECT_EQ(1, net_stat(&self->net, 1, "tcp_nobody"));
	/* Not to the network. */
	fd = net_socket(&self->net, 1, AF_FERRY, SOCK_STREAM);
	ft_addr_ferry(&addr, "inner", 5);
	ASSERT_EQ(0, bind(fd, &addr.sa, addr.len));
	ASSERT_EQ(0, listen(fd, 1));
	net_addr(&addr, variant->node, "inner");
	EXPECT_ERR(ECONNREFUSED, connect(self->a, &addr.sa, addr.len));
	close(fd);
	/* Of another type. */
	dgram = net_socket(&self->net, 1, AF_FERRY, SOCK_DGRAM);
	net_addr(&addr, NULL, "datagrams");
	ASSERT_EQ(0, bind(dgram, &addr.sa, addr.len));
	net_addr(&addr, variant->node, "datagrams");
	EXPECT_ERR(EPROTOTYPE, connect(self->a, &addr.sa, addr.len));
	close(dgram);
	/* The mode. */
	ASSERT_EQ(0, setsockopt(self->listener, SOL_FERRY, FERRY_MODE, &mode, sizeof(mode)));
	EXPECT_ERR(EACCES, connect(self->a, &self->addr.sa, self->addr.len));
	mode = 0602;
	ASSERT_EQ(0, setsockopt(self->listener, SOL_FERRY, FERRY_MODE, &mode, sizeof(mode)));
	/* After all that it connects. */
	EXPECT_EQ(0, connect(self->a, &self->addr.sa, self->addr.len));
}

TEST_F_TIMEOUT(remote_stream, F02_no_port, FT_SLOW_S)
{
	self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM);
	ASSERT_EQ(0, net_port(&self->net, 0, 0));
	EXPECT_ERR(ENETUNREACH, connect(self->a, &self->addr.sa, self->addr.len));
	ASSERT_EQ(0, net_port(&self->net, 0, NET_PORT));
	ASSERT_EQ(0, net_port(&self->net, 1, 0));
	EXPECT_ERR(ECONNREFUSED, connect(self->a, &self->addr.sa, self->addr.len));
	/* A local connect is none of this. */
	ft_addr_ferry(&self->addr, "here", 4);
	EXPECT_ERR(ECONNREFUSED, connect(self->a, &self->addr.sa, self->addr.len));
}

/* Connections stay when the door is closed. */
TEST_F_TIMEOUT(remote_stream, X04_port_changes, FT_SLOW_S)
{
	char c;

	CONNECT();
	ASSERT_EQ(0, net_port(&self->net, 1, 0));
	ASSERT_EQ(0, net_port(&self->net, 0, 0));
	EXPECT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(1, recv(self->b, &c, 1, 0));
	EXPECT_EQ(1, send(self->b, "y", 1, 0));
	EXPECT_EQ(1, recv(self->a, &c, 1, 0));
	ASSERT_EQ(0, net_port(&self->net, 1, NET_PORT));
	ASSERT_EQ(0, net_port(&self->net, 0, NET_PORT));
}

struct sender {
	int fd;
	size_t len;
	bool ok;
	pthread_t thread;
};

static void *send_all(void *arg)
{
	struct sender *sender = arg;

	sender->ok = ft_send_all(sender->fd, 0, sender->len, 60000);
	return NULL;
}

TEST_F_TIMEOUT(remote_stream, F07_each_way, FT_SLOW_S)
{
	struct sender ab = { .len = big() }, ba = { .len = big() };

	CONNECT();
	ab.fd = self->a;
	ASSERT_EQ(0, pthread_create(&ab.thread, NULL, send_all, &ab));
	EXPECT_TRUE(ft_recv_all(self->b, 0, ab.len, 65536));
	pthread_join(ab.thread, NULL);
	EXPECT_TRUE(ab.ok);
	ba.fd = self->b;
	ASSERT_EQ(0, pthread_create(&ba.thread, NULL, send_all, &ba));
	EXPECT_TRUE(ft_recv_all(self->a, 0, ba.len, 65536));
	pthread_join(ba.thread, NULL);
	EXPECT_TRUE(ba.ok);
}

TEST_F_TIMEOUT(remote_stream, E03_end_of_stream, FT_SLOW_S)
{
	char c;

	CONNECT();
	EXPECT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_ERR(EPIPE, send(self->a, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(1, recv(self->b, &c, 1, 0));
	EXPECT_EQ(0, recv(self->b, &c, 1, 0));
	EXPECT_EQ(POLLIN | POLLRDHUP,
		  ft_poll(self->b, POLLRDHUP | POLLIN, FT_LONG_MS));
	/* The other direction is open. */
	EXPECT_EQ(1, send(self->b, "y", 1, 0));
	EXPECT_EQ(1, recv(self->a, &c, 1, 0));
	ft_close(&self->b);
	EXPECT_EQ(0, recv(self->a, &c, 1, 0));
	EXPECT_NE(0, ft_poll(self->a, POLLHUP, FT_LONG_MS) & POLLHUP);
}

TEST_F_TIMEOUT(remote_stream, S01_reset, FT_SLOW_S)
{
	struct linger linger = { .l_onoff = 1 };
	char c;

	CONNECT();
	ASSERT_EQ(0, setsockopt(self->b, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	ft_close(&self->b);
	EXPECT_NE(0, ft_poll(self->a, POLLHUP, FT_LONG_MS) & (POLLERR | POLLHUP));
	/* Told once. */
	EXPECT_ERR(ECONNRESET, recv(self->a, &c, 1, 0));
	EXPECT_EQ(0, recv(self->a, &c, 1, 0));
	EXPECT_EQ(0, ft_getint(self->a, SO_ERROR));
	ASSERT_EQ(0, ft_catch(SIGPIPE, 0));
	EXPECT_ERR(EPIPE, send(self->a, "x", 1, 0));
	EXPECT_EQ(1, ft_signals());
}

TEST_F_TIMEOUT(remote_stream, O13_reset_by_SO_ERROR, FT_SLOW_S)
{
	struct linger linger = { .l_onoff = 1 };
	char c;

	CONNECT();
	ASSERT_EQ(0, setsockopt(self->b, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	ft_close(&self->b);
	EXPECT_NE(0, ft_poll(self->a, POLLHUP, FT_LONG_MS) & (POLLERR | POLLHUP));
	EXPECT_EQ(ECONNRESET, ft_getint(self->a, SO_ERROR));
	EXPECT_EQ(0, recv(self->a, &c, 1, 0));
}

/* Blocked calls end when the other end does. */
TEST_F_TIMEOUT(remote_stream, F08_blocked_recv, FT_SLOW_S)
{
	struct ft_call call = { .fn = ft_do_recv, .len = 1 };
	char c;

	CONNECT();
	call.fd = self->a;
	call.buf = &c;
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	EXPECT_EQ(1, send(self->b, "x", 1, 0));
	ft_join(&call);
	EXPECT_EQ(1, call.ret);

	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	EXPECT_EQ(0, shutdown(self->a, SHUT_RD));
	ft_join(&call);
	EXPECT_EQ(0, call.ret);
}

/* Who polls before there is a connection is told of it, and of what comes then. */
TEST_F_TIMEOUT(remote_stream, E01_epoll_before_connect, FT_SLOW_S)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM | SOCK_NONBLOCK);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->a, &event));
	/* Unconnected. */
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, 0));
	EXPECT_ERR(EINPROGRESS, connect(self->a, &self->addr.sa, self->addr.len));
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, FT_LONG_MS));
	ASSERT_EQ(EPOLLOUT, event.events & (EPOLLIN | EPOLLOUT | EPOLLHUP));
	self->b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, self->b);
	EXPECT_EQ(1, send(self->b, "x", 1, 0));
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, FT_LONG_MS));
	EXPECT_NE(0, event.events & EPOLLIN);
	ft_close(&self->b);
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, FT_LONG_MS));
	EXPECT_NE(0, event.events & EPOLLRDHUP);
	close(ep);
}

TEST_F_TIMEOUT(remote_stream, E10_sigio, FT_SLOW_S)
{
	char c;

	self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM);
	ASSERT_EQ(0, ft_catch(SIGIO, 0));
	ASSERT_EQ(0, fcntl(self->a, F_SETOWN, getpid()));
	ASSERT_EQ(0, fcntl(self->a, F_SETFL, O_ASYNC));
	ASSERT_EQ(0, connect(self->a, &self->addr.sa, self->addr.len));
	self->b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, self->b);
	ft_signals_reset();
	EXPECT_EQ(1, send(self->b, "x", 1, 0));
	EXPECT_EQ(POLLIN, ft_poll(self->a, POLLIN, FT_LONG_MS));
	EXPECT_TRUE(ft_signalled());
	EXPECT_EQ(1, recv(self->a, &c, 1, 0));
}

TEST_F_TIMEOUT(remote_stream, E09_urgent, FT_SLOW_S)
{
	char c;

	CONNECT();
	ASSERT_EQ(0, ft_catch(SIGURG, 0));
	ASSERT_EQ(0, fcntl(self->b, F_SETOWN, getpid()));
	EXPECT_EQ(2, send(self->a, "ab", 2, MSG_OOB));
	EXPECT_NE(0, ft_poll(self->b, POLLPRI, FT_LONG_MS) & POLLPRI);
	EXPECT_TRUE(ft_signalled());
	EXPECT_EQ(1, recv(self->b, &c, 1, MSG_OOB));
	EXPECT_EQ('b', c);
	EXPECT_EQ(1, recv(self->b, &c, 1, 0));
	EXPECT_EQ('a', c);
}

TEST_F_TIMEOUT(remote_stream, E05_room, FT_SLOW_S)
{
	char c[4096];

	CONNECT();
	ASSERT_EQ(0, ft_nonblock(self->a, true));
	/* What is acknowledged late makes room once more, but not for ever. */
	do {
		ASSERT_LE(0, ft_fill(self->a, 0, sizeof(c)));
	} while (ft_poll(self->a, POLLOUT, 0) ||
		 ft_err(send(self->a, c, sizeof(c), MSG_DONTWAIT)) != EAGAIN);
	ASSERT_EQ(0, ft_nonblock(self->b, true));
	/* Not all may have arrived yet. */
	while (!ft_poll(self->a, POLLOUT, 0))
		if (ft_poll(self->b, POLLIN, FT_LONG_MS))
			ASSERT_LT(0, recv(self->b, c, sizeof(c), 0));
	EXPECT_LT(0, send(self->a, c, 1, MSG_DONTWAIT));
}

TEST_F_TIMEOUT(remote_stream, O32_timeouts, FT_SLOW_S)
{
	char c;

	CONNECT();
	ASSERT_EQ(0, ft_settimeo(self->a, SO_RCVTIMEO, 50));
	EXPECT_ERR(EAGAIN, recv(self->a, &c, 1, 0));
}

/* The mark is for what is read: not for what opens the connection, which is less. */
TEST_F_TIMEOUT(remote_stream, O30_a_mark_before_the_connect, FT_SLOW_S)
{
	self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM);
	ASSERT_EQ(0, ft_setint(self->a, SO_RCVLOWAT, 100));
	/* Less than the time for an answer. */
	ASSERT_EQ(0, ft_settimeo(self->a, SO_SNDTIMEO, FT_LONG_MS));
	ASSERT_EQ(0, connect(self->a, &self->addr.sa, self->addr.len));
	self->b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, self->b);
	ASSERT_TRUE(ft_send_all(self->b, 0, 100, 99));
	EXPECT_EQ(POLLIN, ft_poll(self->a, POLLIN, FT_LONG_MS));
	EXPECT_TRUE(ft_recv_all(self->a, 0, 100, 100));
}

/* The same node on two links: each answer goes back by its own. */
TEST_F_TIMEOUT(remote_stream, O08_link_local_on_two_links, FT_SLOW_S)
{
	static const char *const dev[] = { "eth0", "eth1" };
	struct ft_addr addr;
	int i, index, told;

	if (!strchr(variant->node, ':'))
		SKIP(return, "IPv4 has no such nodes");
	ASSERT_TRUE(net_link(&self->net, 0, 1, dev[1], 1));
	net_addr(&addr, "fe80::18:2", "service");
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(net_run(&self->net, 1,
				    "ip address add fe80::18:2/64 dev %s nodad", dev[i]));
		self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM);
		ASSERT_EQ(0, setsockopt(self->a, SOL_SOCKET, SO_BINDTODEVICE, dev[i], 5));
		ASSERT_EQ(0, ft_settimeo(self->a, SO_SNDTIMEO, FT_LONG_MS));
		ASSERT_EQ(0, connect(self->a, &addr.sa, addr.len));
		self->b = accept(self->listener, NULL, NULL);
		ASSERT_LE(0, self->b);
		EXPECT_TRUE(ft_send_all(self->b, 0, 1, 1));
		EXPECT_TRUE(ft_recv_all(self->a, 0, 1, 1));
		/* As TCP's accepted sockets. */
		ASSERT_TRUE(net_enter(&self->net, 1));
		index = if_nametoindex(dev[i]);
		ASSERT_TRUE(net_enter(&self->net, -1));
		told = ft_getint(self->b, SO_BINDTOIFINDEX);
		EXPECT_EQ(index, told);
		ft_close(&self->a);
		ft_close(&self->b);
	}
}

/* What is this host's own on one link is another's on the next. */
TEST_F_TIMEOUT(remote_stream, O08_link_local_of_both_hosts, FT_SLOW_S)
{
	struct ft_addr addr;

	if (!strchr(variant->node, ':'))
		SKIP(return, "IPv4 has no such nodes");
	ASSERT_TRUE(net_link(&self->net, 0, 1, "eth1", 1));
	ASSERT_TRUE(net_run(&self->net, 0, "ip address add fe80::18:2/64 dev eth1 nodad"));
	ASSERT_TRUE(net_run(&self->net, 1, "ip address add fe80::18:2/64 dev eth0 nodad"));
	net_addr(&addr, "fe80::18:2", "service");
	self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM);
	/* Nobody here has the name. */
	ASSERT_EQ(0, setsockopt(self->a, SOL_SOCKET, SO_BINDTODEVICE, "eth1", 5));
	EXPECT_EQ(-1, connect(self->a, &addr.sa, addr.len));
	ASSERT_EQ(0, setsockopt(self->a, SOL_SOCKET, SO_BINDTODEVICE, "eth0", 5));
	ASSERT_EQ(0, connect(self->a, &addr.sa, addr.len));
	self->b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, self->b);
	EXPECT_TRUE(ft_send_all(self->b, 0, 1, 1));
	EXPECT_TRUE(ft_recv_all(self->a, 0, 1, 1));
}

/* The answer never comes: the time is over, or a signal, or it is given up. */
TEST_F_TIMEOUT(remote_stream, F02_silent_server, FT_SLOW_S)
{
	struct ft_call call = { .fn = ft_do_connect };
	int server, conn;

	server = net_impostor(&self->net, 1);
	ASSERT_LE(0, server);

	/* The port is taken. */
	EXPECT_EQ(EADDRINUSE, net_port(&self->net, 1, NET_PORT));

	self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM);
	ASSERT_EQ(0, ft_settimeo(self->a, SO_SNDTIMEO, 50));
	EXPECT_ERR(EINPROGRESS, connect(self->a, &self->addr.sa, self->addr.len));
	EXPECT_ERR(EALREADY, connect(self->a, &self->addr.sa, self->addr.len));
	ASSERT_EQ(0, ft_settimeo(self->a, SO_SNDTIMEO, 0));

	/* It is shut down meanwhile. */
	call.fd = self->a;
	call.addr = &self->addr;
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	/* Now it does not wait for TCP. */
	conn = accept(server, NULL, NULL);
	ASSERT_LE(0, conn);
	EXPECT_EQ(0, shutdown(self->a, SHUT_RDWR));
	ft_join(&call);
	close(conn);
	EXPECT_EQ(-1, call.ret);
	EXPECT_TRUE(call.err == ECONNRESET || call.err == ECONNABORTED);

	/* The server closes. */
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	conn = accept(server, NULL, NULL);
	ASSERT_LE(0, conn);
	close(conn);
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(ECONNRESET, call.err);

	/* Closed while it waits. */
	ASSERT_EQ(0, ft_nonblock(self->a, true));
	EXPECT_ERR(EINPROGRESS, connect(self->a, &self->addr.sa, self->addr.len));
	ft_close(&self->a);
	close(server);
}

TEST_F_TIMEOUT(remote_stream, O21_credentials, FT_SLOW_S)
{
	char c, control[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct ucred *ucred;
	int one = 1;

	CONNECT();
	ASSERT_EQ(0, setsockopt(self->b, SOL_FERRY, FERRY_PASSCRED, &one, sizeof(one)));
	EXPECT_EQ(1, send(self->a, "x", 1, 0));
	ASSERT_EQ(1, recvmsg(self->b, &msg, 0));
	ASSERT_NE(NULL, CMSG_FIRSTHDR(&msg));
	ucred = (void *)CMSG_DATA(CMSG_FIRSTHDR(&msg));
	EXPECT_EQ(0, ucred->pid);
	EXPECT_EQ(65534, ucred->uid);
	EXPECT_EQ(65534, ucred->gid);
}

TEST_F_TIMEOUT(remote_stream, X01_descriptors, FT_SLOW_S)
{
	char c = 'x', control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	CONNECT();
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &self->a, sizeof(int));
	EXPECT_ERR(EOPNOTSUPP, sendmsg(self->a, &msg, 0));
}

TEST_F_TIMEOUT(remote_stream, F11_splice, FT_SLOW_S)
{
	char buf[4096];
	int p[2];

	CONNECT();
	ASSERT_EQ(0, pipe(p));
	ft_pattern(buf, 0, sizeof(buf));
	ASSERT_EQ(sizeof(buf), write(p[1], buf, sizeof(buf)));
	EXPECT_EQ(sizeof(buf), splice(p[0], NULL, self->a, NULL, sizeof(buf), 0));
	ASSERT_TRUE(ft_wait_inq(self->b, sizeof(buf)));
	EXPECT_EQ(sizeof(buf), splice(self->b, NULL, p[1], NULL, sizeof(buf), 0));
	EXPECT_EQ(sizeof(buf), read(p[0], buf, sizeof(buf)));
	EXPECT_TRUE(ft_pattern_ok(buf, 0, sizeof(buf)));
	close(p[0]);
	close(p[1]);
}

TEST_F_TIMEOUT(remote_stream, O18_linger, FT_SLOW_S)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 20 };
	size_t len = 100000;

	CONNECT();
	ASSERT_EQ(0, setsockopt(self->a, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	ASSERT_TRUE(ft_send_all(self->a, 0, len, len));
	ft_close(&self->a);
	/* All is acknowledged, so all is there. */
	EXPECT_TRUE(ft_recv_all(self->b, 0, len, len));
	EXPECT_EQ(0, recv(self->b, &len, 1, 0));
}

TEST_F_TIMEOUT(remote_stream, O17_keepalive, FT_SLOW_S)
{
	int value = 1, count = 2;
	char c;

	CONNECT();
	ASSERT_EQ(0, ft_setint(self->a, SO_KEEPALIVE, 1));
	ASSERT_EQ(0, setsockopt(self->a, IPPROTO_TCP, TCP_KEEPIDLE, &value, sizeof(value)));
	ASSERT_EQ(0, setsockopt(self->a, IPPROTO_TCP, TCP_KEEPINTVL, &value, sizeof(value)));
	ASSERT_EQ(0, setsockopt(self->a, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count)));
	ASSERT_TRUE(net_run(&self->net, 0, "ip link set eth0 down"));
	EXPECT_NE(0, ft_poll(self->a, POLLHUP, FT_LONG_MS) & POLLERR);
	EXPECT_EQ(-1, recv(self->a, &c, 1, 0));
	EXPECT_TRUE(errno == ETIMEDOUT || errno == EHOSTUNREACH || errno == ENETUNREACH);
}

/* The queue of a listener, and its end. */
TEST_F_TIMEOUT(remote_stream, F04_backlog, FT_SLOW_S)
{
	int fd[4], i;
	char c;

	/* Half of it, at least one place. */
	ASSERT_EQ(0, listen(self->listener, 2));
	for (i = 0; i < 4; i++)
		fd[i] = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM);
	ASSERT_EQ(0, connect(fd[0], &self->addr.sa, self->addr.len));
	EXPECT_ERR(ECONNREFUSED, connect(fd[1], &self->addr.sa, self->addr.len));
	EXPECT_EQ(1, net_stat(&self->net, 1, "tcp_full"));
	self->b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, self->b);
	EXPECT_EQ(0, connect(fd[1], &self->addr.sa, self->addr.len));
	/* Nobody will accept it. */
	ft_close(&self->listener);
	EXPECT_ERR(ECONNRESET, recv(fd[1], &c, 1, 0));
	EXPECT_EQ(1, send(self->b, "x", 1, 0));
	EXPECT_EQ(1, recv(fd[0], &c, 1, 0));
	for (i = 0; i < 4; i++)
		close(fd[i]);
}

/* The far host goes with all that is open there. */
TEST_F_TIMEOUT(remote_stream, X04_namespace_goes, FT_SLOW_S)
{
	CONNECT();
	EXPECT_EQ(1, send(self->a, "x", 1, 0));
	ft_close(&self->b);
	ft_close(&self->listener);
}

TEST_F_TIMEOUT(remote_stream, P05_info, FT_SLOW_S)
{
	struct ferry_info info;
	socklen_t len = sizeof(info);

	CONNECT();
	EXPECT_EQ(5, send(self->a, "hello", 5, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, 5));
	ASSERT_EQ(0, getsockopt(self->b, SOL_FERRY, FERRY_INFO, &info, &len));
	EXPECT_EQ(1, info.fi_state);
	EXPECT_EQ(5, info.fi_rqueue);
}

TEST_F_TIMEOUT(remote_stream, P05_a_connection_is_traced, FT_SLOW_S)
{
	struct tracefs trace;
	uint64_t a, b;
	char node[64];

	if (!tracefs_start(&trace, "ferry_carrier"))
		SKIP(return, "no tracefs in this kernel");
	CONNECT();
	a = tracefs_cookie(self->a);
	b = tracefs_cookie(self->b);
	EXPECT_EQ(1, tracefs_count(&trace, a, " event=connecting err=0 "));
	EXPECT_EQ(1, tracefs_count(&trace, a, " event=connected err=0 "));
	EXPECT_EQ(1, tracefs_count(&trace, b, " event=accepted err=0 "));
	snprintf(node, sizeof(node), " node=%s%s ",
		 strchr(variant->node, ':') ? "" : "::ffff:", variant->node);
	EXPECT_EQ(2, tracefs_count(&trace, a, node));
	ft_close(&self->a);
	EXPECT_EQ(1, tracefs_count(&trace, a, " event=closed "));
	EXPECT_EQ(0, tracefs_count(&trace, b, " event=closed "));
	/* And why there is none. */
	ft_close(&self->listener);
	self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM);
	EXPECT_ERR(ECONNREFUSED, connect(self->a, &self->addr.sa, self->addr.len));
	snprintf(node, sizeof(node), " event=closed err=%d ", ECONNREFUSED);
	EXPECT_EQ(1, tracefs_count(&trace, tracefs_cookie(self->a), node));
	tracefs_stop(&trace);
}

FT_HARNESS_MAIN
