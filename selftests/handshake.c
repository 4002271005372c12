// SPDX-License-Identifier: GPL-2.0
/*
 * What comes to the door that is no honest client, and to a client that is no honest
 * server.
 */
#include <netinet/tcp.h>

#include "network.h"
#include "tracefs.h"
#include "kselftest_harness.h"

struct hello {
	char magic[4];
	uint8_t version;
	uint8_t type;
	uint8_t from_len;
	uint8_t to_len;
	char names[512];
};

struct answer {
	char magic[4];
	uint8_t version;
	uint8_t status;
	uint16_t zero;
};

/* A hello for the listener of the fixture; its bytes. */
static int hello_make(struct hello *hello)
{
	memset(hello, 0, sizeof(*hello));
	memcpy(hello->magic, "FRRY", 4);
	hello->version = 1;
	hello->type = 2;
	hello->to_len = 7;
	memcpy(hello->names, "service", 7);
	return 8 + 7;
}

/* To the door of host 1, from host @from. */
static int raw_connect_from(const struct net *net, int from)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(NET_PORT),
	};
	int fd = net_socket(net, from, AF_INET, SOCK_STREAM);

	inet_pton(AF_INET, "10.18.0.2", &in.sin_addr);
	ft_settimeo(fd, SO_RCVTIMEO, FT_LONG_MS);
	if (fd >= 0 && connect(fd, (void *)&in, sizeof(in)))
		ft_close(&fd);
	return fd;
}

static int raw_connect(const struct net *net)
{
	return raw_connect_from(net, 0);
}

/* The status of the answer; -1 when the connection ended without one. */
static int raw_status(int fd)
{
	struct answer answer;

	if (recv(fd, &answer, sizeof(answer), MSG_WAITALL) != sizeof(answer) ||
	    memcmp(answer.magic, "FRRY", 4) || answer.version != 1 || answer.zero)
		return -1;
	return answer.status;
}

/* Whether nothing more comes. */
static bool raw_ended(int fd)
{
	char c;
	ssize_t got = recv(fd, &c, 1, 0);

	return !got || (got < 0 && errno != EAGAIN);
}

FIXTURE(door)
{
	struct net net;
	struct ft_addr addr;
	int listener;
	struct hello hello;
	int len;
};

FIXTURE_SETUP(door)
{
	FT_NEED(AF_FERRY, SOCK_STREAM);
	ASSERT_TRUE(net_up(&self->net));
	self->listener = net_listener(&self->net, 1, SOCK_STREAM, "service");
	ASSERT_LE(0, self->listener);
	net_addr(&self->addr, "10.18.0.2", "service");
	self->len = hello_make(&self->hello);
}

FIXTURE_TEARDOWN(door)
{
	ft_close(&self->listener);
	net_down(&self->net);
}

/* An honest client is served. */
#define HONEST()								\
do {										\
	int _a = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM), _b;				\
										\
	EXPECT_EQ(0, connect(_a, &self->addr.sa, self->addr.len));		\
	_b = accept(self->listener, NULL, NULL);				\
	EXPECT_LE(0, _b);							\
	close(_a);								\
	close(_b);								\
} while (0)

/* Byte by byte, with the stream right behind: not one byte too many is read. */
TEST_F_TIMEOUT(door, pieces, FT_SLOW_S)
{
	int fd = raw_connect(&self->net), conn, i;
	char buf[4];

	ASSERT_LE(0, fd);
	memcpy(self->hello.names + self->len - 8, "data", 4);
	for (i = 0; i < self->len - 1; i++)
		ASSERT_EQ(1, send(fd, (char *)&self->hello + i, 1, 0));
	ASSERT_EQ(5, send(fd, (char *)&self->hello + i, 5, 0));
	EXPECT_EQ(0, raw_status(fd));
	conn = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, conn);
	EXPECT_EQ(4, recv(conn, buf, 4, MSG_WAITALL));
	EXPECT_EQ(0, memcmp(buf, "data", 4));
	close(conn);
	close(fd);
}

TEST_F_TIMEOUT(door, malformed, FT_SLOW_S)
{
	static const struct {
		int offset;
		uint8_t byte;
	} wrong[] = {
		{ 0, 'X' }, { 4, 0 }, { 4, 2 }, { 5, 0 }, { 5, 1 }, { 5, 4 },
		{ 6, 109 }, { 6, 255 }, { 7, 0 }, { 7, 109 }, { 7, 255 },
	};
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		self->len = hello_make(&self->hello);
		((uint8_t *)&self->hello)[wrong[i].offset] = wrong[i].byte;
		fd = raw_connect(&self->net);
		ASSERT_LE(0, fd);
		ASSERT_EQ(self->len, send(fd, &self->hello, self->len, 0));
		EXPECT_EQ(4, raw_status(fd)) {
			TH_LOG("offset %d is %d", wrong[i].offset, wrong[i].byte);
		}
		EXPECT_TRUE(raw_ended(fd));
		close(fd);
		EXPECT_EQ(i + 1, net_stat(&self->net, 1, "tcp_malformed"));
	}
	HONEST();
}

TEST_F_TIMEOUT(door, statuses, FT_SLOW_S)
{
	int fd = raw_connect(&self->net);

	ASSERT_LE(0, fd);
	self->hello.names[0] = 'S';
	ASSERT_EQ(self->len, send(fd, &self->hello, self->len, 0));
	EXPECT_EQ(1, raw_status(fd));
	EXPECT_TRUE(raw_ended(fd));
	close(fd);

	self->len = hello_make(&self->hello);
	self->hello.type = 3;
	fd = raw_connect(&self->net);
	ASSERT_EQ(self->len, send(fd, &self->hello, self->len, 0));
	EXPECT_EQ(3, raw_status(fd));
	close(fd);
	HONEST();
}

TEST_F_TIMEOUT(door, P05_refusals_are_traced, FT_SLOW_S)
{
	struct tracefs trace;
	int fd;

	if (!tracefs_start(&trace, "ferry_refused"))
		SKIP(return, "no tracefs in this kernel");
	self->hello.names[0] = 'S';
	fd = raw_connect(&self->net);
	ASSERT_LE(0, fd);
	ASSERT_EQ(self->len, send(fd, &self->hello, self->len, 0));
	EXPECT_EQ(1, raw_status(fd));
	close(fd);
	EXPECT_EQ(1, tracefs_lines(&trace, " reason=tcp_nobody ", "node=::ffff:10.18.0.1"));

	fd = raw_connect(&self->net);
	ASSERT_LE(0, fd);
	ASSERT_EQ(8, send(fd, "GET / HT", 8, 0));
	EXPECT_EQ(4, raw_status(fd));
	close(fd);
	EXPECT_EQ(1, tracefs_lines(&trace, " reason=tcp_malformed ", "node=::ffff:10.18.0.1"));
	tracefs_stop(&trace);
	HONEST();
}

/* Who is of this host has a user, and no business here. */
TEST_F_TIMEOUT(door, own_host, FT_SLOW_S)
{
	int fd = raw_connect_from(&self->net, 1);

	ASSERT_LE(0, fd);
	ASSERT_EQ(self->len, send(fd, &self->hello, self->len, 0));
	EXPECT_EQ(2, raw_status(fd));
	EXPECT_TRUE(raw_ended(fd));
	EXPECT_EQ(1, net_stat(&self->net, 1, "tcp_denied"));
	EXPECT_EQ(0, ft_poll(self->listener, POLLIN, 0));
	close(fd);
	HONEST();
}

/* Who leaves in the middle. */
TEST_F_TIMEOUT(door, truncated, FT_SLOW_S)
{
	int fd, i;

	for (i = 0; i < self->len; i += 5) {
		fd = raw_connect(&self->net);
		ASSERT_LE(0, fd);
		ASSERT_EQ(i, send(fd, &self->hello, i, 0));
		EXPECT_EQ(0, shutdown(fd, SHUT_WR));
		EXPECT_TRUE(raw_ended(fd));
		close(fd);
	}
	EXPECT_EQ(3, net_stat(&self->net, 1, "tcp_left"));
	HONEST();
}

/* Silent, and slow: their time is over whether something comes or not. */
TEST_F_TIMEOUT(door, late, FT_SLOW_S)
{
	int64_t start = ft_ticks_ms();
	int silent = raw_connect(&self->net), slow = raw_connect(&self->net);

	ASSERT_LE(0, silent);
	ASSERT_LE(0, slow);
	ASSERT_EQ(3, send(slow, &self->hello, 3, 0));
	HONEST();
	EXPECT_TRUE(raw_ended(silent));
	EXPECT_TRUE(raw_ended(slow));
	EXPECT_LE(FT_WAITED(5000), ft_now_ms() - start);
	EXPECT_EQ(2, net_stat(&self->net, 1, "tcp_late"));
	close(silent);
	close(slow);
}

/* Many of them, while an honest client connects. */
TEST_F_TIMEOUT(door, flood, FT_SLOW_S)
{
	int fd[64], i;

	for (i = 0; i < 64; i++) {
		fd[i] = raw_connect(&self->net);
		if (i % 16 == 15)
			HONEST();
	}
	/* Or late, where this took longer than their time. */
	EXPECT_LE(48, net_stat(&self->net, 1, "tcp_crowded") +
		      net_stat(&self->net, 1, "tcp_late"));
	/* The oldest had to go. */
	EXPECT_TRUE(raw_ended(fd[0]));
	/* The door closes with the last of them inside. */
	EXPECT_EQ(0, net_port(&self->net, 1, 0));
	EXPECT_TRUE(raw_ended(fd[63]));
	for (i = 0; i < 64; i++)
		close(fd[i]);
	EXPECT_EQ(0, net_port(&self->net, 1, NET_PORT));
	HONEST();
}

/* A namespace that goes with some inside. */
TEST_F_TIMEOUT(door, namespace_goes, FT_SLOW_S)
{
	int fd = raw_connect(&self->net);

	ASSERT_LE(0, fd);
	ASSERT_EQ(3, send(fd, &self->hello, 3, 0));
	ft_close(&self->listener);
	net_down(&self->net);
	close(fd);
	ASSERT_TRUE(net_up(&self->net));
}

/* Forged answers. */
TEST_F_TIMEOUT(door, answers, FT_SLOW_S)
{
	static const struct {
		struct answer answer;
		int len;
		int err;
	} forged[] = {
		{ { "FRRY", 1, 0, 0 }, 8, 0 },
		{ { "FRRY", 1, 1, 0 }, 8, ECONNREFUSED },
		{ { "FRRY", 1, 2, 0 }, 8, EACCES },
		{ { "FRRY", 1, 3, 0 }, 8, EPROTOTYPE },
		{ { "FRRY", 1, 4, 0 }, 8, EPROTO },
		{ { "FRRY", 1, 5, 0 }, 8, ECONNREFUSED },
		{ { "FRRY", 1, 77, 0 }, 8, EPROTO },
		{ { "FRRY", 2, 0, 0 }, 8, EPROTO },
		{ { "FRRX", 1, 0, 0 }, 8, EPROTO },
		{ { "FRRY", 1, 0, 1 }, 8, EPROTO },
		{ { "FRRY", 1, 0, 0 }, 7, ECONNRESET },
		{ { "FRRY", 1, 0, 0 }, 0, ECONNRESET },
	};
	struct ft_call call = { .fn = ft_do_connect, .addr = &self->addr };
	int server, conn;
	struct hello hello;
	unsigned int i;

	server = net_impostor(&self->net, 1);
	ASSERT_LE(0, server);
	for (i = 0; i < ARRAY_SIZE(forged); i++) {
		call.fd = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM);
		ASSERT_EQ(0, ft_start(&call));
		conn = accept(server, NULL, NULL);
		ASSERT_LE(0, conn);
		EXPECT_EQ(self->len, recv(conn, &hello, self->len, MSG_WAITALL));
		EXPECT_EQ(0, memcmp(&hello, &self->hello, self->len));
		EXPECT_EQ(forged[i].len, send(conn, &forged[i].answer, forged[i].len, 0));
		close(conn);
		ft_join(&call);
		EXPECT_EQ(forged[i].err, call.ret ? call.err : 0) {
			TH_LOG("answer %u", i);
		}
		close(call.fd);
	}
	close(server);
}

/* Records of somebody who is no AF_FERRY: a raw client, and the listener's end. */
FIXTURE(frames)
{
	struct net net;
	int listener;
	int raw;
	int fd;
};

FIXTURE_SETUP(frames)
{
	struct hello hello;
	int len = hello_make(&hello);

	FT_NEED(AF_FERRY, SOCK_SEQPACKET);
	ASSERT_TRUE(net_up(&self->net));
	self->listener = net_listener(&self->net, 1, SOCK_SEQPACKET, "service");
	ASSERT_LE(0, self->listener);
	self->raw = raw_connect(&self->net);
	ASSERT_LE(0, self->raw);
	hello.type = 3;
	ASSERT_EQ(len, send(self->raw, &hello, len, 0));
	ASSERT_EQ(0, raw_status(self->raw));
	self->fd = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(frames)
{
	ft_close(&self->raw);
	ft_close(&self->fd);
	ft_close(&self->listener);
	net_down(&self->net);
}

static bool raw_frame(int fd, uint32_t len, const void *data, size_t n)
{
	struct iovec iov[] = {
		{ &(uint32_t){ htonl(len) }, 4 }, { (void *)data, n },
	};

	return writev(fd, iov, 2) == 4 + n;
}

/* Byte by byte, several at once, and without bytes. */
TEST_F_TIMEOUT(frames, pieces, FT_SLOW_S)
{
	static const char wire[] = "\0\0\0\3one\200\0\0\3two\0\0\0\0\0\0\0\1x";
	char buf[8];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int round, i;

	for (round = 0; round < 2; round++) {
		/* All of it, then byte by byte. */
		size_t n = round ? 1 : sizeof(wire) - 1;

		for (i = 0; i < sizeof(wire) - 1; i += n)
			ASSERT_EQ(n, send(self->raw, wire + i, n, 0));
		ASSERT_EQ(3, recvmsg(self->fd, &msg, 0));
		EXPECT_EQ(0, memcmp(buf, "one", 3));
		EXPECT_EQ(0, msg.msg_flags & MSG_EOR);
		ASSERT_EQ(3, recvmsg(self->fd, &msg, 0));
		EXPECT_EQ(0, memcmp(buf, "two", 3));
		EXPECT_EQ(MSG_EOR, msg.msg_flags & MSG_EOR);
		ASSERT_EQ(0, recvmsg(self->fd, &msg, 0));
		EXPECT_EQ(MSG_EOR, msg.msg_flags & MSG_EOR);
		ASSERT_EQ(1, recvmsg(self->fd, &msg, 0));
		EXPECT_EQ(0, msg.msg_flags & MSG_EOR);
	}
}

/* What came before what is no record is read, then the error once, then the end. */
#define EXPECT_BROKEN(_errno)							\
do {										\
	char _buf[8];								\
										\
	EXPECT_NE(0, ft_poll(self->fd, POLLHUP, FT_LONG_MS) & POLLHUP);		\
	EXPECT_EQ(5, recv(self->fd, _buf, sizeof(_buf), 0));			\
	EXPECT_ERR((_errno), recv(self->fd, _buf, sizeof(_buf), 0));		\
	EXPECT_EQ(0, recv(self->fd, _buf, sizeof(_buf), 0));			\
	EXPECT_EQ(0, ft_getint(self->fd, SO_ERROR));				\
	EXPECT_ERR(EPIPE, send(self->fd, "x", 1, MSG_NOSIGNAL));		\
	EXPECT_EQ(1, net_stat(&self->net, 1, "tcp_broken"));			\
	EXPECT_TRUE(raw_ended(self->raw));					\
} while (0)

TEST_F_TIMEOUT(frames, longest_length, FT_SLOW_S)
{
	ASSERT_TRUE(raw_frame(self->raw, 5, "first", 5));
	ASSERT_TRUE(raw_frame(self->raw, UINT32_MAX, "more", 4));
	EXPECT_BROKEN(EPROTO);
}

TEST_F_TIMEOUT(frames, longer_than_the_limit, FT_SLOW_S)
{
	ASSERT_TRUE(raw_frame(self->raw, 5, "first", 5));
	ASSERT_TRUE(raw_frame(self->raw, (1 << 20) + 1, "more", 4));
	EXPECT_BROKEN(EPROTO);
}

TEST_F_TIMEOUT(frames, cut_off_in_a_record, FT_SLOW_S)
{
	ASSERT_TRUE(raw_frame(self->raw, 5, "first", 5));
	ASSERT_TRUE(raw_frame(self->raw, 5, "half", 4));
	ASSERT_EQ(0, shutdown(self->raw, SHUT_WR));
	EXPECT_BROKEN(ECONNRESET);
}

TEST_F_TIMEOUT(frames, cut_off_in_a_length, FT_SLOW_S)
{
	ASSERT_TRUE(raw_frame(self->raw, 5, "first", 5));
	ASSERT_EQ(3, send(self->raw, "\0\0\0", 3, 0));
	ASSERT_EQ(0, shutdown(self->raw, SHUT_WR));
	EXPECT_BROKEN(ECONNRESET);
}

TEST_F_TIMEOUT(frames, urgent_data, FT_SLOW_S)
{
	ASSERT_TRUE(raw_frame(self->raw, 5, "first", 5));
	ASSERT_TRUE(ft_wait_inq(self->fd, 5));
	ASSERT_EQ(1, send(self->raw, "!", 1, MSG_OOB));
	EXPECT_BROKEN(EPROTO);
}

/* A length within the limit takes no memory before there are bytes. */
TEST_F_TIMEOUT(frames, announced_and_left, FT_SLOW_S)
{
	int n = -1;

	ASSERT_TRUE(raw_frame(self->raw, 1 << 20, "a", 1));
	/* It is no record yet, and nothing else. */
	EXPECT_EQ(0, ft_poll(self->fd, POLLIN, 0) & POLLIN);
	EXPECT_EQ(0, ioctl(self->fd, SIOCINQ, &n));
	EXPECT_EQ(0, n);
	ft_close(&self->fd);
	EXPECT_TRUE(raw_ended(self->raw));
	EXPECT_EQ(0, net_stat(&self->net, 1, "tcp_broken"));
}

/* In packets of a byte: the socket's memory is that of the bytes. */
TEST_F_TIMEOUT(frames, one_byte_at_a_time, FT_SLOW_S)
{
	static char out[20000], in[sizeof(out)];
	int i, one = 1, len = ft_checks_itself() ? 5000 : sizeof(out);

	ASSERT_EQ(0, setsockopt(self->raw, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	ft_pattern(out, 0, len);
	ASSERT_TRUE(raw_frame(self->raw, len, NULL, 0));
	for (i = 0; i < len; i++)
		ASSERT_EQ(1, send(self->raw, out + i, 1, 0));
	ASSERT_TRUE(ft_wait_inq(self->fd, len));
	EXPECT_GT(2 * len, ft_meminfo(self->fd, SK_MEMINFO_RMEM_ALLOC));
	ASSERT_EQ(len, recv(self->fd, in, sizeof(in), 0));
	EXPECT_TRUE(ft_pattern_ok(in, 0, len));
}

FT_HARNESS_MAIN
