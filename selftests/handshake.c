// SPDX-License-Identifier: GPL-2.0
/*
 * What comes to the door that is no honest client, and to a client that is no honest
 * server.
 */
#include <sys/stat.h>

#include "network.h"
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

static int raw_connect(const struct net *net)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(NET_PORT),
	};
	int fd = net_socket(net, 0, AF_INET, SOCK_STREAM);

	inet_pton(AF_INET, "10.18.0.2", &in.sin_addr);
	ft_settimeo(fd, SO_RCVTIMEO, FT_LONG_MS);
	if (fd >= 0 && connect(fd, (void *)&in, sizeof(in)))
		ft_close(&fd);
	return fd;
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

/* The listener of the other host, which all may connect to. */
static int listen_at(const struct net *net)
{
	int fd;

	umask(0);
	fd = net_bound(net, 1, SOCK_STREAM, NULL, "service");
	if (fd >= 0 && listen(fd, 8))
		ft_close(&fd);
	return fd;
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
	self->listener = listen_at(&self->net);
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
	int silent = raw_connect(&self->net), slow = raw_connect(&self->net);
	int64_t start = ft_now_ms();

	ASSERT_LE(0, silent);
	ASSERT_LE(0, slow);
	ASSERT_EQ(3, send(slow, &self->hello, 3, 0));
	HONEST();
	EXPECT_TRUE(raw_ended(silent));
	EXPECT_TRUE(raw_ended(slow));
	EXPECT_LE(FT_WAITED(5000), ft_now_ms() - start + 1000);
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
	EXPECT_LE(16, net_stat(&self->net, 1, "tcp_crowded"));
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
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(NET_PORT),
	};
	struct ft_call call = { .fn = ft_do_connect, .addr = &self->addr };
	int server, conn, one = 1;
	struct hello hello;
	unsigned int i;

	ASSERT_EQ(0, net_port(&self->net, 1, 0));
	server = net_socket(&self->net, 1, AF_INET6, SOCK_STREAM);
	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	ASSERT_EQ(0, bind(server, (void *)&in6, sizeof(in6)));
	ASSERT_EQ(0, listen(server, 8));
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

TEST_HARNESS_MAIN
