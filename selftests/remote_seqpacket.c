// SPDX-License-Identifier: GPL-2.0
/*
 * SEQPACKET to another host: F02, F07-F09, F12, F16, E01-E08, O02, O18, O21, O23, O28,
 * O30, O32, O33, O38, O40, I05, S01, X01.
 */
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include "remote_fixture.h"

#define MANY	(ft_checks_itself() ? 200 : 1000)

/* What may depend on the network; the rest is the same on both. */
REMOTE_FIXTURE(remote_seqpacket_ip, SOCK_SEQPACKET)
REMOTE_IPV4(remote_seqpacket_ip);
REMOTE_IPV6(remote_seqpacket_ip);

REMOTE_FIXTURE(remote_seqpacket, SOCK_SEQPACKET)
REMOTE_IPV6(remote_seqpacket);

#define CONNECT()	CONNECT_TYPE(SOCK_SEQPACKET)

/* As sendmsg(2) and recvmsg(2) of one buffer; the flags of the message in *flags. */
static ssize_t receive(int fd, void *buf, size_t len, int *flags)
{
	struct iovec iov = { buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t ret = recvmsg(fd, &msg, *flags);

	*flags = msg.msg_flags;
	return ret;
}

/* Sends records of @len bytes, the first one @n; how many were taken, or -1. */
static int fill(int fd, size_t len, int n)
{
	static char buf[1 << 20];

	for (;; n++) {
		ft_pattern(buf, n, len);
		if (send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) == len)
			continue;
		return errno == EAGAIN ? n : -1;
	}
}

/* Receives record @n of those. */
static bool next(int fd, size_t len, int n)
{
	static char buf[1 << 20];

	return recv(fd, buf, len + 1, 0) == len && ft_pattern_ok(buf, n, len);
}

TEST_F_TIMEOUT(remote_seqpacket_ip, F02_connect_and_talk, FT_SLOW_S)
{
	int flags = 0;
	char buf[16];

	CONNECT();
	EXPECT_EQ(5, send(self->a, "hello", 5, 0));
	EXPECT_EQ(3, send(self->a, "you", 3, MSG_EOR));
	EXPECT_EQ(5, receive(self->b, buf, sizeof(buf), &flags));
	EXPECT_EQ(0, memcmp(buf, "hello", 5));
	EXPECT_EQ(0, flags & (MSG_EOR | MSG_TRUNC));
	flags = 0;
	EXPECT_EQ(3, receive(self->b, buf, sizeof(buf), &flags));
	EXPECT_EQ(0, memcmp(buf, "you", 3));
	EXPECT_EQ(MSG_EOR, flags & (MSG_EOR | MSG_TRUNC));
	EXPECT_EQ(2, write(self->b, "me", 2));
	EXPECT_EQ(2, read(self->a, buf, sizeof(buf)));
	EXPECT_ERR(EISCONN, connect(self->a, &self->addr.sa, self->addr.len));
	EXPECT_ERR(EISCONN, sendto(self->a, "x", 1, 0, &self->addr.sa, self->addr.len));
	EXPECT_ERR(EOPNOTSUPP, send(self->a, "x", 1, MSG_OOB));
	EXPECT_ERR(EOPNOTSUPP, recv(self->a, buf, 1, MSG_OOB));
}

/* Each type has names of its own, there too. */
TEST_F_TIMEOUT(remote_seqpacket, F02_types, FT_SLOW_S)
{
	int stream = net_listener(&self->net, 1, SOCK_STREAM, "stream");
	struct ft_addr addr;

	ASSERT_LE(0, stream);
	self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_SEQPACKET);
	net_addr(&addr, variant->node, "stream");
	EXPECT_ERR(EPROTOTYPE, connect(self->a, &addr.sa, addr.len));
	ft_close(&self->a);
	self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM);
	EXPECT_ERR(EPROTOTYPE, connect(self->a, &self->addr.sa, self->addr.len));
	ft_close(&stream);
	ft_close(&self->a);
	self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_SEQPACKET);
	EXPECT_ERR(ECONNREFUSED, connect(self->a, &addr.sa, addr.len));
	ASSERT_EQ(0, net_port(&self->net, 0, 0));
	EXPECT_ERR(ENETUNREACH, connect(self->a, &self->addr.sa, self->addr.len));
	ASSERT_EQ(0, net_port(&self->net, 0, NET_PORT));
	EXPECT_EQ(0, connect(self->a, &self->addr.sa, self->addr.len));
}

TEST_F_TIMEOUT(remote_seqpacket_ip, F12_names, FT_SLOW_S)
{
	struct ft_addr own, addr = { .len = sizeof(addr.ss) };
	char c;

	self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_SEQPACKET);
	net_addr(&own, NULL, "client");
	ASSERT_EQ(0, bind(self->a, &own.sa, own.len));
	ASSERT_EQ(0, connect(self->a, &self->addr.sa, self->addr.len));
	self->b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, self->b);
	/* A record tells its sender. */
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ASSERT_EQ(1, recvfrom(self->b, &c, 1, 0, &addr.sa, &addr.len));
	net_addr(&own, strchr(variant->node, ':') ? "fd18::1" : "10.18.0.1", "client");
	EXPECT_EQ(own.len, addr.len);
	EXPECT_EQ(0, memcmp(&own.sa, &addr.sa, own.len));
	addr.len = sizeof(addr.ss);
	EXPECT_EQ(0, getpeername(self->b, &addr.sa, &addr.len));
	EXPECT_EQ(0, memcmp(&own.sa, &addr.sa, own.len));
}

TEST_F_TIMEOUT(remote_seqpacket, F18_connect_nonblock, FT_SLOW_S)
{
	char c;

	self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_SEQPACKET | SOCK_NONBLOCK);
	EXPECT_ERR(EINPROGRESS, connect(self->a, &self->addr.sa, self->addr.len));
	EXPECT_EQ(POLLOUT, ft_poll(self->a, POLLOUT, FT_LONG_MS) & ~(POLLWRNORM | POLLWRBAND));
	EXPECT_EQ(0, ft_getint(self->a, SO_ERROR));
	EXPECT_EQ(0, connect(self->a, &self->addr.sa, self->addr.len));
	/* Before it is accepted. */
	EXPECT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(POLLIN, ft_poll(self->listener, POLLIN, FT_LONG_MS));
	self->b = accept(self->listener, NULL, NULL);
	EXPECT_EQ(1, recv(self->b, &c, 1, 0));
}

TEST_F_TIMEOUT(remote_seqpacket, F08_shorter_buffer, FT_SLOW_S)
{
	int flags = 0, n;
	char buf[16];

	CONNECT();
	ASSERT_EQ(6, send(self->a, "abcdef", 6, 0));
	ASSERT_EQ(0, send(self->a, "", 0, 0));
	ASSERT_EQ(2, send(self->a, "gh", 2, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, 6));
	/* That of the next record. */
	EXPECT_EQ(0, ioctl(self->b, SIOCINQ, &n));
	EXPECT_EQ(6, n);
	flags = MSG_PEEK | MSG_TRUNC;
	EXPECT_EQ(6, receive(self->b, buf, 4, &flags));
	EXPECT_EQ(MSG_TRUNC, flags & MSG_TRUNC);
	flags = 0;
	EXPECT_EQ(4, receive(self->b, buf, 4, &flags));
	EXPECT_EQ(MSG_TRUNC, flags & MSG_TRUNC);
	flags = 0;
	EXPECT_EQ(0, receive(self->b, buf, 4, &flags));
	EXPECT_EQ(MSG_EOR, flags & MSG_EOR);
	/* MSG_WAITALL waits for no more than a record. */
	EXPECT_EQ(2, recv(self->b, buf, sizeof(buf), MSG_WAITALL));
	EXPECT_EQ(0, memcmp(buf, "gh", 2));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, 1, MSG_DONTWAIT));
}

TEST_F_TIMEOUT(remote_seqpacket, F08_record_stays_when_memory_faults, FT_SLOW_S)
{
	char buf[8];

	CONNECT();
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	EXPECT_ERR(EFAULT, recv(self->b, FT_WILD, 8, 0));
	EXPECT_EQ(3, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_ERR(EFAULT, send(self->a, FT_WILD, 8, 0));
	/* Nothing of it was sent. */
	EXPECT_EQ(2, send(self->a, "de", 2, 0));
	EXPECT_EQ(2, recv(self->b, buf, sizeof(buf), 0));
}

TEST_F_TIMEOUT(remote_seqpacket, O23_peek_offset, FT_SLOW_S)
{
	char buf[8];
	int flags;

	CONNECT();
	ASSERT_EQ(0, ft_setint(self->b, SO_PEEK_OFF, 0));
	ASSERT_EQ(4, send(self->a, "abcd", 4, 0));
	ASSERT_EQ(2, send(self->a, "ef", 2, 0));
	EXPECT_EQ(2, recv(self->b, buf, 2, MSG_PEEK));
	flags = MSG_PEEK;
	EXPECT_EQ(2, receive(self->b, buf, 8, &flags));
	EXPECT_EQ(0, memcmp(buf, "cd", 2));
	EXPECT_EQ(MSG_TRUNC, flags & MSG_TRUNC);
	EXPECT_EQ(2, recv(self->b, buf, 8, MSG_PEEK));
	EXPECT_EQ(0, memcmp(buf, "ef", 2));
	EXPECT_EQ(4, recv(self->b, buf, 8, 0));
	EXPECT_EQ(2, recv(self->b, buf, 8, 0));
}

/* Of every length, over more than one packet, some of them by reference. */
TEST_F_TIMEOUT(remote_seqpacket_ip, F07_lengths, FT_SLOW_S)
{
	static const size_t len[] = {
		0, 1, 3, 4, 5, 1023, 1024, 1025, 1444, 1448, 4091, 4092, 4096, 4100,
		32764, 32768, 65532, 65536, 70001, 106000, 200000,
	};
	int i, round;

	CONNECT();
	for (round = 0; round < 2; round++)
		for (i = 0; i < ARRAY_SIZE(len); i++) {
			struct ft_call call = {
				.fn = ft_do_send, .fd = self->a, .len = len[i],
			};
			char *buf = malloc(len[i] + 1);

			ft_pattern(buf, i, len[i]);
			call.buf = buf;
			ASSERT_EQ(0, ft_start(&call));
			EXPECT_TRUE(next(self->b, len[i], i)) {
				TH_LOG("of %zu bytes", len[i]);
			}
			ft_join(&call);
			EXPECT_EQ(len[i], call.ret);
			free(buf);
		}
}

TEST_F_TIMEOUT(remote_seqpacket, F07_too_long, FT_SLOW_S)
{
	int limit;
	char *buf;

	CONNECT();
	limit = ft_getint(self->a, SO_SNDBUF);
	buf = calloc(1, limit + 1);
	EXPECT_ERR(EMSGSIZE, send(self->a, buf, limit + 1, 0));
	EXPECT_EQ(limit, send(self->a, buf, limit, 0));
	EXPECT_EQ(limit, recv(self->b, buf, limit + 1, 0));
	free(buf);
}

/* A small buffer takes a longer record alone, as the sender cannot know. */
TEST_F_TIMEOUT(remote_seqpacket, O28_longer_than_the_buffer, FT_SLOW_S)
{
	static char buf[150000];

	CONNECT();
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 16384));
	ft_pattern(buf, 3, sizeof(buf));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ASSERT_EQ(sizeof(buf), send(self->a, buf, sizeof(buf), 0));
	EXPECT_EQ(1, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_TRUE(next(self->b, sizeof(buf), 3));
	ASSERT_EQ(1, send(self->a, "y", 1, 0));
	EXPECT_EQ(1, recv(self->b, buf, sizeof(buf), 0));
}

/*
 * A full receiver: nothing is lost nor torn, the sender is told, what waits unread
 * is bounded, and goes on.
 */
TEST_F_TIMEOUT(remote_seqpacket, E05_full, FT_SLOW_S)
{
	static const size_t lens[] = { 100, 4000, 15000 };
	struct ferry_info info;
	int i, n, got;

	CONNECT();
	ft_shrink(self->a, self->b);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		int limit = ft_getint(self->a, SO_SNDBUF);
		size_t len = lens[i] < limit ? lens[i] : limit;
		socklen_t size = sizeof(info);

		n = 0;
		/* Until nothing more goes, nor will. */
		do {
			got = n;
			n = fill(self->a, len, n);
			ASSERT_LE(0, n);
		} while (n != got || ft_poll(self->a, POLLOUT, 200));
		ASSERT_LT(0, n);
		EXPECT_EQ(0, ft_poll(self->a, POLLOUT, 0));
		ASSERT_EQ(0, getsockopt(self->b, SOL_FERRY, FERRY_INFO, &info, &size));
		if (info.fi_rmessages > 1)
			EXPECT_GE(ft_getint(self->b, SO_RCVBUF), info.fi_rqueue);
		size = sizeof(info);
		ASSERT_EQ(0, getsockopt(self->a, SOL_FERRY, FERRY_INFO, &info, &size));
		EXPECT_GE(ft_getint(self->a, SO_SNDBUF), info.fi_wqueue);
		for (got = 0; got < n; got++)
			ASSERT_TRUE(next(self->b, len, got));
		EXPECT_ERR(EAGAIN, recv(self->b, &n, 1, MSG_DONTWAIT));
		EXPECT_NE(0, ft_poll(self->a, POLLOUT, FT_LONG_MS) & POLLOUT);
	}
}

/* A poll that tells of room is to be believed, for the record that was refused. */
TEST_F_TIMEOUT(remote_seqpacket, E05_refused_record, FT_SLOW_S)
{
	static char buf[1 << 20];
	size_t len;
	int i;

	CONNECT();
	ft_shrink(self->a, self->b);
	ASSERT_EQ(0, ft_nonblock(self->a, true));
	ASSERT_EQ(0, ft_settimeo(self->b, SO_RCVTIMEO, FT_LONG_MS));
	len = ft_getint(self->a, SO_SNDBUF);
	for (i = 0; i < 50; i++) {
		while (send(self->a, buf, len, 0) == len)
			;
		ASSERT_EQ(EAGAIN, errno);
		while (!(ft_poll(self->a, POLLOUT, 0) & POLLOUT))
			if (ft_poll(self->b, POLLIN, 10))
				ASSERT_EQ(len, recv(self->b, buf, sizeof(buf), 0));
		ASSERT_EQ(len, send(self->a, buf, len, 0));
	}
}

struct sender {
	int fd;
	int first;
	bool ok;
	pthread_t thread;
};

/* Records of changing lengths, which the first byte tells. */
static size_t length(int n)
{
	return 1 + n * 7919 % 9000;
}

static void *send_many(void *arg)
{
	struct sender *sender = arg;
	char buf[9001];
	int n;

	sender->ok = true;
	for (n = 0; n < MANY; n++) {
		memset(buf, sender->first, sizeof(buf));
		memcpy(buf + 1, &n, sizeof(n));
		if (send(sender->fd, buf, length(n) + 5, 0) != length(n) + 5)
			sender->ok = false;
	}
	return NULL;
}

/* Several at once: each in order, none mixed. */
TEST_F_TIMEOUT(remote_seqpacket, F07_many_senders, FT_SLOW_S)
{
	struct sender sender[3];
	int i, n, seen[3] = {}, bad = 0;
	char buf[9100];
	ssize_t got;

	CONNECT();
	ft_shrink(self->a, self->b);
	for (i = 0; i < 3; i++) {
		sender[i] = (struct sender){ .fd = self->a, .first = i };
		ASSERT_EQ(0, pthread_create(&sender[i].thread, NULL, send_many, &sender[i]));
	}
	while (seen[0] + seen[1] + seen[2] < 3 * MANY) {
		got = recv(self->b, buf, sizeof(buf), 0);
		ASSERT_LT(5, got);
		i = buf[0];
		ASSERT_GT(3, i);
		memcpy(&n, buf + 1, sizeof(n));
		ASSERT_EQ(seen[i], n);
		ASSERT_EQ(length(n) + 5, got);
		seen[i]++;
		for (n = 5; n < got; n++)
			bad += buf[n] != i;
	}
	EXPECT_EQ(0, bad);
	for (i = 0; i < 3; i++) {
		pthread_join(sender[i].thread, NULL);
		EXPECT_TRUE(sender[i].ok);
	}
}

/* Who leaves has sent all, whatever TCP had no room for. */
TEST_F_TIMEOUT(remote_seqpacket, F15_close_sends_the_rest, FT_SLOW_S)
{
	static char buf[150000];
	int i, n, flags = 0;

	CONNECT();
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUFFORCE, 80000));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 16384));
	n = fill(self->a, sizeof(buf), 0);
	ASSERT_LT(0, n);
	n = fill(self->a, 1000, n);
	ft_close(&self->a);
	for (i = 0; i < n; i++)
		ASSERT_LT(0, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(0, receive(self->b, buf, 1, &flags));
	EXPECT_EQ(0, flags & MSG_EOR);
}

/* Nor what it was to keep back. */
TEST_F_TIMEOUT(remote_seqpacket, F15_close_sends_what_a_mark_keeps_back, FT_SLOW_S)
{
	static char buf[150000];
	int i, n, mark = 1000;

	CONNECT();
	ASSERT_EQ(0, setsockopt(self->a, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &mark, sizeof(mark)));
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUFFORCE, 80000));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 16384));
	n = fill(self->a, sizeof(buf), 0);
	ASSERT_LT(0, n);
	ft_close(&self->a);
	for (i = 0; i < n; i++)
		ASSERT_TRUE(next(self->b, sizeof(buf), i));
	EXPECT_EQ(0, recv(self->b, buf, 1, 0));
}

TEST_F_TIMEOUT(remote_seqpacket, F16_shutdown_sends_the_rest, FT_SLOW_S)
{
	static char buf[150000];
	int i, n;

	CONNECT();
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUFFORCE, 80000));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 16384));
	n = fill(self->a, sizeof(buf), 0);
	ASSERT_LT(0, n);
	EXPECT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_ERR(EPIPE, send(self->a, "x", 1, MSG_NOSIGNAL));
	for (i = 0; i < n; i++)
		ASSERT_TRUE(next(self->b, sizeof(buf), i));
	EXPECT_EQ(POLLIN | POLLRDHUP, ft_poll(self->b, POLLIN | POLLRDHUP, FT_LONG_MS));
	EXPECT_EQ(0, recv(self->b, buf, 1, 0));
	/* The other direction is open. */
	EXPECT_EQ(1, send(self->b, "y", 1, 0));
	EXPECT_EQ(1, recv(self->a, buf, 8, 0));
	ft_close(&self->b);
	EXPECT_NE(0, ft_poll(self->a, POLLHUP, FT_LONG_MS) & POLLHUP);
	EXPECT_EQ(0, recv(self->a, buf, 1, 0));
}

TEST_F_TIMEOUT(remote_seqpacket, F16_shutdown_of_reading, FT_SLOW_S)
{
	struct ft_call call = { .fn = ft_do_recv, .len = 8 };
	char buf[8];

	CONNECT();
	call.fd = self->a;
	call.buf = buf;
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	EXPECT_EQ(0, shutdown(self->a, SHUT_RD));
	ft_join(&call);
	EXPECT_EQ(0, call.ret);
	/* What comes now is dropped, and keeps nobody waiting. */
	ASSERT_EQ(0, ft_settimeo(self->b, SO_SNDTIMEO, FT_LONG_MS));
	for (int i = 0; i < 1000; i++)
		ASSERT_EQ(1, send(self->b, "x", 1, 0));
	EXPECT_EQ(0, recv(self->a, buf, 8, 0));
	EXPECT_EQ(1, send(self->a, "y", 1, 0));
	EXPECT_EQ(1, recv(self->b, buf, 8, 0));
}

/* What was queued before a reset is read, then it is told once. */
TEST_F_TIMEOUT(remote_seqpacket_ip, S01_reset, FT_SLOW_S)
{
	struct linger linger = { .l_onoff = 1 };
	char buf[8];

	CONNECT();
	ASSERT_EQ(1, send(self->b, "1", 1, 0));
	ASSERT_EQ(2, send(self->b, "22", 2, 0));
	ASSERT_TRUE(ft_wait_inq(self->a, 1));
	ASSERT_EQ(0, setsockopt(self->b, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	EXPECT_EQ(1, recv(self->a, buf, 8, 0));
	EXPECT_EQ(POLLIN, ft_poll(self->a, POLLIN, FT_LONG_MS));
	ft_close(&self->b);
	EXPECT_NE(0, ft_poll(self->a, POLLHUP, FT_LONG_MS) & (POLLERR | POLLHUP));
	EXPECT_EQ(2, recv(self->a, buf, 8, 0));
	EXPECT_ERR(ECONNRESET, recv(self->a, buf, 8, 0));
	EXPECT_EQ(0, recv(self->a, buf, 8, 0));
	EXPECT_EQ(0, ft_getint(self->a, SO_ERROR));
	ASSERT_EQ(0, ft_catch(SIGPIPE, 0));
	EXPECT_ERR(EPIPE, send(self->a, "x", 1, 0));
	EXPECT_EQ(1, ft_signals());
}

/* A close with something unread, in the socket's own queue, resets. */
TEST_F_TIMEOUT(remote_seqpacket, S01_close_with_unread_records, FT_SLOW_S)
{
	char c;

	CONNECT();
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, 1));
	ft_close(&self->b);
	EXPECT_ERR(ECONNRESET, recv(self->a, &c, 1, 0));
	EXPECT_EQ(0, recv(self->a, &c, 1, 0));
}

/* A sender that waits is told of the end. */
TEST_F_TIMEOUT(remote_seqpacket, S01_blocked_sender, FT_SLOW_S)
{
	char buf[4000] = "";
	struct ft_call call = {
		.fn = ft_do_send, .buf = buf, .len = sizeof(buf), .flags = MSG_NOSIGNAL,
	};

	CONNECT();
	ft_shrink(self->a, self->b);
	call.fd = self->a;
	ASSERT_EQ(0, ft_settimeo(self->a, SO_SNDTIMEO, 50));
	/* TCP may take one more a while after it was full. */
	while (send(self->a, buf, sizeof(buf), 0) > 0)
		;
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_EQ(0, ft_settimeo(self->a, SO_SNDTIMEO, 0));
	for (;;) {
		ASSERT_EQ(0, ft_start(&call));
		if (ft_blocked(&call))
			break;
		ft_join(&call);
	}
	ft_close(&self->b);
	ft_join(&call);
	if (call.ret > 0) {
		/* It went a moment before. */
		call.ret = send(self->a, buf, sizeof(buf), MSG_NOSIGNAL);
		call.err = errno;
	}
	EXPECT_EQ(-1, call.ret);
	EXPECT_TRUE(call.err == ECONNRESET || call.err == EPIPE);
}

TEST_F_TIMEOUT(remote_seqpacket, E01_blocked_waiters, FT_SLOW_S)
{
	ssize_t (*fn[])(struct ft_call *) = {
		ft_do_recv, ft_do_poll, ft_do_select, ft_do_epoll,
	};
	char buf[8];
	int i;

	CONNECT();
	for (i = 0; i < ARRAY_SIZE(fn); i++) {
		struct ft_call call = {
			.fn = fn[i], .fd = self->b, .buf = buf, .len = sizeof(buf),
			.events = POLLIN, .timeout_ms = i ? FT_LONG_MS : 0,
		};

		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		ft_join(&call);
		EXPECT_EQ(1, call.ret);
		if (i)
			EXPECT_EQ(1, recv(self->b, buf, sizeof(buf), 0));
	}
}

/* What is left to a reader that sleeps, others hear of as soon as it has been taken. */
TEST_F_TIMEOUT(remote_seqpacket, E01_poll_beside_a_sleeping_reader, FT_SLOW_S)
{
	struct ft_call reader = { .fn = ft_do_recv, .len = 8 };
	struct ft_call poller = { .fn = ft_do_poll, .events = POLLIN };
	char first[8], second[8];
	int i;

	CONNECT();
	reader.fd = self->b;
	reader.buf = first;
	poller.fd = self->b;
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, ft_start(&reader));
		ASSERT_TRUE(ft_blocked(&reader));
		ASSERT_EQ(0, ft_start(&poller));
		ASSERT_TRUE(ft_blocked(&poller));
		ASSERT_EQ(1, send(self->a, "1", 1, 0));
		ASSERT_EQ(2, send(self->a, "22", 2, 0));
		ft_join(&reader);
		ft_join(&poller);
		EXPECT_EQ(1, reader.ret);
		EXPECT_EQ(1, poller.ret);
		EXPECT_EQ(2, recv(self->b, second, sizeof(second), 0));
		reader.done = 0;
		poller.done = 0;
	}
}

TEST_F_TIMEOUT(remote_seqpacket, X03_each_sleeping_reader_gets_one, FT_SLOW_S)
{
	struct ft_call reader[4];
	char buf[4][8];
	int i, round;

	CONNECT();
	for (round = 0; round < 10; round++) {
		memset(reader, 0, sizeof(reader));
		for (i = 0; i < 4; i++) {
			reader[i].fn = ft_do_recv;
			reader[i].fd = self->b;
			reader[i].buf = buf[i];
			reader[i].len = sizeof(buf[i]);
			ASSERT_EQ(0, ft_start(&reader[i]));
			ASSERT_TRUE(ft_blocked(&reader[i]));
		}
		for (i = 0; i < 4; i++)
			ASSERT_EQ(2, send(self->a, "xy", 2, 0));
		for (i = 0; i < 4; i++) {
			ft_join(&reader[i]);
			EXPECT_EQ(2, reader[i].ret);
		}
		EXPECT_ERR(EAGAIN, recv(self->b, buf[0], 8, MSG_DONTWAIT));
	}
}

/* A record that came before the connection was cut is read before that is told. */
TEST_F_TIMEOUT(remote_seqpacket, S01_record_then_reset_to_a_sleeping_reader, FT_SLOW_S)
{
	struct ft_call reader = { .fn = ft_do_recv, .len = 8 };
	struct linger cut = { .l_onoff = 1 };
	struct sched_param first = { .sched_priority = 1 };
	cpu_set_t cpus;
	char buf[8];

	CONNECT();
	reader.fd = self->b;
	reader.buf = buf;
	/* On the same processor, where the reader runs when both have come. */
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpus), &cpus));
	ASSERT_EQ(0, ft_start(&reader));
	ASSERT_TRUE(ft_blocked(&reader));
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_FIFO, &first));
	ASSERT_EQ(4, send(self->a, "last", 4, 0));
	ASSERT_EQ(0, setsockopt(self->a, SOL_SOCKET, SO_LINGER, &cut, sizeof(cut)));
	ft_close(&self->a);
	ft_join(&reader);
	EXPECT_EQ(4, reader.ret);
	EXPECT_ERR(ECONNRESET, recv(self->b, buf, sizeof(buf), 0));
}

/* Every record is an event, though it was readable already. */
TEST_F_TIMEOUT(remote_seqpacket, F09_edges, FT_SLOW_S)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC), i;

	CONNECT();
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->b, &event));
	EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		EXPECT_EQ(1, epoll_wait(ep, &event, 1, FT_LONG_MS));
		EXPECT_EQ(EPOLLIN, event.events);
		EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
	}
	ft_close(&self->a);
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, FT_LONG_MS));
	EXPECT_NE(0, event.events & EPOLLRDHUP);
	close(ep);
}

TEST_F_TIMEOUT(remote_seqpacket, E10_sigio, FT_SLOW_S)
{
	CONNECT();
	ASSERT_EQ(0, ft_catch(SIGIO, 0));
	ASSERT_EQ(0, fcntl(self->b, F_SETOWN, getpid()));
	ASSERT_EQ(0, fcntl(self->b, F_SETFL, O_ASYNC));
	ft_signals_reset();
	EXPECT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(POLLIN, ft_poll(self->b, POLLIN, FT_LONG_MS));
	EXPECT_TRUE(ft_signalled());
}

/* A record is enough, however short. */
TEST_F_TIMEOUT(remote_seqpacket, O30_low_water_mark, FT_SLOW_S)
{
	char c;

	CONNECT();
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 1000));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(POLLIN, ft_poll(self->b, POLLIN, FT_LONG_MS));
	EXPECT_EQ(1, recv(self->b, &c, 1, 0));
}

/* That a record comes slowly has nothing to do with how long a read waits. */
TEST_F_TIMEOUT(remote_seqpacket, O32_receive_timeout, FT_SLOW_S)
{
	char c;

	CONNECT();
	ASSERT_EQ(0, ft_settimeo(self->b, SO_RCVTIMEO, 50));
	EXPECT_ERR(EAGAIN, recv(self->b, &c, 1, 0));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ASSERT_EQ(0, ft_settimeo(self->b, SO_RCVTIMEO, 0));
	EXPECT_EQ(1, recv(self->b, &c, 1, 0));
}

TEST_F_TIMEOUT(remote_seqpacket, O02_filter, FT_SLOW_S)
{
	/* Of those that begin with 'd' nothing, of the others three bytes. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'd', 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, 3),
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };
	static char big[5000];
	char buf[16];

	CONNECT();
	ASSERT_EQ(0, setsockopt(self->b, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
	ASSERT_EQ(4, send(self->a, "drop", 4, 0));
	ASSERT_EQ(4, send(self->a, "keep", 4, 0));
	ASSERT_EQ(sizeof(big), send(self->a, big, sizeof(big), 0));
	EXPECT_EQ(3, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(buf, "kee", 3));
	EXPECT_EQ(3, recv(self->b, buf, sizeof(buf), MSG_TRUNC));
	EXPECT_EQ(1, ft_meminfo(self->b, SK_MEMINFO_DROPS));
}

TEST_F_TIMEOUT(remote_seqpacket, O21_what_a_reader_is_told, FT_SLOW_S)
{
	char c, control[256];
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int64_t end = ft_now_ms() + FT_LONG_MS;
	struct timeval *stamp = NULL;
	struct ucred *creds = NULL;
	struct cmsghdr *cmsg;
	int one = 1;

	CONNECT();
	ASSERT_EQ(0, setsockopt(self->b, SOL_FERRY, FERRY_PASSCRED, &one, sizeof(one)));
	ASSERT_EQ(0, ft_setint(self->b, SO_TIMESTAMP, 1));
	/* To stamp packets begins a little later. */
	while (!stamp && ft_now_ms() < end) {
		msg.msg_controllen = sizeof(control);
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		ASSERT_EQ(1, recvmsg(self->b, &msg, 0));
		for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
			if (cmsg->cmsg_type == SCM_CREDENTIALS)
				creds = (struct ucred *)CMSG_DATA(cmsg);
			if (cmsg->cmsg_type == SO_TIMESTAMP)
				stamp = (struct timeval *)CMSG_DATA(cmsg);
		}
	}
	ASSERT_NE(NULL, creds);
	EXPECT_EQ(0, creds->pid);
	EXPECT_EQ(65534, creds->uid);
	ASSERT_NE(NULL, stamp);
	EXPECT_NE(0, stamp->tv_sec);
}

TEST_F_TIMEOUT(remote_seqpacket, X01_descriptors, FT_SLOW_S)
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

TEST_F_TIMEOUT(remote_seqpacket, O18_linger, FT_SLOW_S)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 20 };
	static char buf[100000];
	int n;

	CONNECT();
	ASSERT_EQ(0, setsockopt(self->a, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	ft_pattern(buf, 7, sizeof(buf));
	ASSERT_EQ(sizeof(buf), send(self->a, buf, sizeof(buf), 0));
	ft_close(&self->a);
	/* All is acknowledged, so all is there. */
	EXPECT_EQ(0, ioctl(self->b, SIOCINQ, &n));
	EXPECT_EQ(sizeof(buf), n);
	EXPECT_TRUE(next(self->b, sizeof(buf), 7));
	EXPECT_EQ(0, recv(self->b, buf, 1, 0));
}

/* A dead peer, whether anybody reads or not. */
TEST_F_TIMEOUT(remote_seqpacket, O17_keepalive, FT_SLOW_S)
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

/* Losses and a late order are TCP's to mend. */
TEST_F_TIMEOUT(remote_seqpacket, F07_over_a_bad_link, FT_SLOW_S)
{
	struct sender sender = {};
	char buf[9100];
	int n;

	if (!net_run(&self->net, 0, "tc qdisc add dev eth0 root netem %s 2>/dev/null",
		     "loss 2% duplicate 2% reorder 10% delay 1ms"))
		SKIP(return, "no netem here");
	CONNECT();
	sender.fd = self->a;
	ASSERT_EQ(0, pthread_create(&sender.thread, NULL, send_many, &sender));
	for (n = 0; n < MANY; n++)
		ASSERT_EQ(length(n) + 5, recv(self->b, buf, sizeof(buf), 0));
	pthread_join(sender.thread, NULL);
	EXPECT_TRUE(sender.ok);
}

TEST_F_TIMEOUT(remote_seqpacket, P05_info, FT_SLOW_S)
{
	struct ferry_info info;
	socklen_t len = sizeof(info);

	CONNECT();
	EXPECT_EQ(5, send(self->a, "hello", 5, 0));
	EXPECT_EQ(1, send(self->a, "x", 1, 0));
	ASSERT_EQ(POLLIN, ft_poll(self->b, POLLIN, FT_LONG_MS));
	do {
		ASSERT_EQ(0, getsockopt(self->b, SOL_FERRY, FERRY_INFO, &info, &len));
	} while (info.fi_rqueue < 6);
	EXPECT_EQ(1, info.fi_state);
	EXPECT_EQ(FERRY_CARRIER_TCP, info.fi_carrier);
	EXPECT_EQ(6, info.fi_rqueue);
	EXPECT_EQ(2, info.fi_rmessages);
}

/* Records at a listener that goes, and at a host that goes. */
TEST_F_TIMEOUT(remote_seqpacket, F04_listener_closes, FT_SLOW_S)
{
	char c;

	self->a = net_socket(&self->net, 0, AF_FERRY, SOCK_SEQPACKET);
	ASSERT_EQ(0, connect(self->a, &self->addr.sa, self->addr.len));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ft_close(&self->listener);
	EXPECT_ERR(ECONNRESET, recv(self->a, &c, 1, 0));
}

FT_HARNESS_MAIN
