// SPDX-License-Identifier: GPL-2.0
/*
 * bind(2) and the two name getters: explicit names, autobind, names in use,
 * malformed addresses. F03, F12.
 */

#include "ferry_test.h"
#include "kselftest_harness.h"

FIXTURE(name)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int fd;
};

FIXTURE_VARIANT(name)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(name, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(name, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(name, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM },
};

FIXTURE_VARIANT_ADD(name, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(name, UNIX_dgram)
{
	.kind = { AF_UNIX, SOCK_DGRAM },
};

FIXTURE_VARIANT_ADD(name, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(name, UDP_dgram)
{
	.kind = { AF_INET, SOCK_DGRAM },
};

FIXTURE_SETUP(name)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, self->fd);
	ft_addr_new(variant->kind.domain, &self->addr);
}

FIXTURE_TEARDOWN(name)
{
	ft_close(&self->fd);
	FT_NO_LEAK(&self->leak);
}

TEST_F(name, F03_bind_and_read_back)
{
	struct ft_addr seen = { .len = sizeof(seen.ss) };

	ASSERT_EQ(0, bind(self->fd, &self->addr.sa, self->addr.len));
	ASSERT_EQ(0, getsockname(self->fd, &seen.sa, &seen.len));
	EXPECT_EQ(self->addr.len, seen.len);
	if (variant->kind.domain == AF_INET) {
		EXPECT_NE(0, seen.in.sin_port);
		seen.in.sin_port = 0;
	}
	EXPECT_EQ(0, memcmp(&self->addr.ss, &seen.ss, seen.len));
}

TEST_F(name, F03_name_in_use)
{
	struct ft_addr addr;
	int other;

	ASSERT_EQ(0, ft_bind_new(self->fd, variant->kind.domain, &addr));
	other = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, other);
	EXPECT_ERR(EADDRINUSE, bind(other, &addr.sa, addr.len));

	/* The failure leaves the socket as it was. */
	EXPECT_EQ(0, ft_bind_new(other, variant->kind.domain, &addr));
	ft_close(&other);
}

TEST_F(name, F03_bind_twice)
{
	struct ft_addr addr, seen = { .len = sizeof(seen.ss) };

	ASSERT_EQ(0, ft_bind_new(self->fd, variant->kind.domain, &addr));
	ft_addr_new(variant->kind.domain, &self->addr);
	EXPECT_ERR(EINVAL, bind(self->fd, &self->addr.sa, self->addr.len));
	EXPECT_ERR(EINVAL, bind(self->fd, &addr.sa, addr.len));
	ASSERT_EQ(0, getsockname(self->fd, &seen.sa, &seen.len));
	EXPECT_EQ(addr.len, seen.len);
	EXPECT_EQ(0, memcmp(&addr.ss, &seen.ss, seen.len));
}

TEST_F(name, F03_bad_arguments)
{
	struct ft_addr wrong = self->addr;

	EXPECT_ERR(EFAULT, bind(self->fd, FT_WILD, self->addr.len));
	EXPECT_ERR(EINVAL, bind(self->fd, &self->addr.sa, -1));
	EXPECT_ERR(EINVAL, bind(self->fd, &self->addr.sa,
				sizeof(struct sockaddr_storage) + 1));
	EXPECT_ERR(EINVAL, bind(self->fd, &self->addr.sa, 0));
	EXPECT_ERR(EINVAL, bind(self->fd, &self->addr.sa, 1));
	EXPECT_ERR(EBADF, bind(-1, &self->addr.sa, self->addr.len));
	EXPECT_ERR(ENOTSOCK, bind(STDOUT_FILENO, &self->addr.sa,
				  self->addr.len));

	wrong.sa.sa_family = AF_APPLETALK;
	EXPECT_ERR(variant->kind.domain == AF_UNIX ? EINVAL : EAFNOSUPPORT,
		   bind(self->fd, &wrong.sa, wrong.len));

	/* None of this has bound it. */
	EXPECT_EQ(0, bind(self->fd, &self->addr.sa, self->addr.len));
}

TEST_F(name, F15_close_frees_the_name)
{
	struct ft_addr addr;
	int i;

	ASSERT_EQ(0, ft_bind_new(self->fd, variant->kind.domain, &addr));
	for (i = 0; i < 20; i++) {
		ft_close(&self->fd);
		self->fd = socket(variant->kind.domain, variant->kind.type, 0);
		ASSERT_LE(0, self->fd);
		ASSERT_EQ(0, bind(self->fd, &addr.sa, addr.len));
	}
}

/* An empty name asks for any: autobind. */

FIXTURE(autobind)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(autobind)
{
	struct ft_kind kind;
	socklen_t empty;
};

FIXTURE_VARIANT_ADD(autobind, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
	.empty = FERRY_ADDR_HDR,
};

FIXTURE_VARIANT_ADD(autobind, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
	.empty = FERRY_ADDR_HDR,
};

FIXTURE_VARIANT_ADD(autobind, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM },
	.empty = FERRY_ADDR_HDR,
};

FIXTURE_VARIANT_ADD(autobind, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
	.empty = sizeof(sa_family_t),
};

FIXTURE_VARIANT_ADD(autobind, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
	.empty = sizeof(struct sockaddr_in),
};

FIXTURE_SETUP(autobind)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
}

FIXTURE_TEARDOWN(autobind)
{
	FT_NO_LEAK(&self->leak);
}

TEST_F(autobind, F03_autobind_names_are_unique)
{
	struct ft_addr addr[64], empty;
	int fd[64];
	int i, j;

	ft_addr_new(variant->kind.domain, &empty);
	for (i = 0; i < 64; i++) {
		fd[i] = socket(variant->kind.domain, variant->kind.type, 0);
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(0, bind(fd[i], &empty.sa, variant->empty));
		addr[i].len = sizeof(addr[i].ss);
		ASSERT_EQ(0, getsockname(fd[i], &addr[i].sa, &addr[i].len));
		ASSERT_LE(variant->empty, addr[i].len);
		for (j = 0; j < i; j++)
			ASSERT_FALSE(addr[i].len == addr[j].len &&
				     !memcmp(&addr[i].ss, &addr[j].ss,
					     addr[i].len));
	}
	for (i = 0; i < 64; i++)
		ft_close(&fd[i]);
}

TEST_F(autobind, F03_autobind_name_can_be_reached)
{
	struct ft_addr empty, addr = { .len = sizeof(addr.ss) };
	int listener, a, b;

	ft_addr_new(variant->kind.domain, &empty);
	listener = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, listener);
	ASSERT_EQ(0, bind(listener, &empty.sa, variant->empty));
	ASSERT_EQ(0, getsockname(listener, &addr.sa, &addr.len));
	if (variant->kind.type == SOCK_DGRAM) {
		a = ft_connect(&variant->kind, &addr);
		ASSERT_LE(0, a);
		EXPECT_TRUE(ft_send_all(a, 0, 100, 100));
		EXPECT_TRUE(ft_recv_all(listener, 0, 100, 100));
		ft_close(&a);
		ft_close(&listener);
		return;
	}
	ASSERT_EQ(0, listen(listener, 1));
	a = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, a);
	b = accept(listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_TRUE(ft_send_all(a, 0, 100, 100));
	EXPECT_TRUE(ft_recv_all(b, 0, 100, 100));
	ft_close(&a);
	ft_close(&b);
	ft_close(&listener);
}

/* Both names of a connection. */

FIXTURE(names)
{
	struct ft_leak leak;
	struct ft_addr server, client;
	int listener, a, b;
};

FIXTURE_VARIANT(names)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(names, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(names, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(names, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(names, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(names, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_SETUP(names)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->listener = ft_listener(&variant->kind, &self->server, 4);
	ASSERT_LE(0, self->listener);
	self->a = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, self->a);
	ASSERT_EQ(0, ft_bind_new(self->a, variant->kind.domain,
				 &self->client));
	ASSERT_EQ(0, connect(self->a, &self->server.sa, self->server.len));
	self->b = -1;
}

FIXTURE_TEARDOWN(names)
{
	ft_close(&self->a);
	ft_close(&self->b);
	ft_close(&self->listener);
	FT_NO_LEAK(&self->leak);
}

static bool same_name(const struct ft_addr *one, const struct ft_addr *other)
{
	return one->len == other->len &&
	       !memcmp(&one->ss, &other->ss, one->len);
}

TEST_F(names, F12_names_of_both_ends)
{
	struct ft_addr seen;

	self->b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, self->b);

	seen.len = sizeof(seen.ss);
	ASSERT_EQ(0, getsockname(self->a, &seen.sa, &seen.len));
	EXPECT_TRUE(same_name(&self->client, &seen));
	seen.len = sizeof(seen.ss);
	ASSERT_EQ(0, getpeername(self->a, &seen.sa, &seen.len));
	EXPECT_TRUE(same_name(&self->server, &seen));
	seen.len = sizeof(seen.ss);
	ASSERT_EQ(0, getsockname(self->b, &seen.sa, &seen.len));
	EXPECT_TRUE(same_name(&self->server, &seen));
	seen.len = sizeof(seen.ss);
	ASSERT_EQ(0, getpeername(self->b, &seen.sa, &seen.len));
	EXPECT_TRUE(same_name(&self->client, &seen));
	seen.len = sizeof(seen.ss);
	EXPECT_ERR(ENOTCONN, getpeername(self->listener, &seen.sa, &seen.len));
}

TEST_F(names, F05_accept_tells_the_peer)
{
	struct ft_addr seen = { .len = sizeof(seen.ss) };

	self->b = accept(self->listener, &seen.sa, &seen.len);
	ASSERT_LE(0, self->b);
	EXPECT_TRUE(same_name(&self->client, &seen));
}

TEST_F(names, F05_accept_truncates_the_peer)
{
	struct ft_addr seen;

	memset(&seen, 0xa5, sizeof(seen));
	seen.len = 3;
	self->b = accept4(self->listener, &seen.sa, &seen.len, SOCK_CLOEXEC);
	ASSERT_LE(0, self->b);
	EXPECT_EQ(self->client.len, seen.len);
	EXPECT_EQ(0, memcmp(&self->client.ss, &seen.ss, 3));
	EXPECT_EQ(0xa5, ((unsigned char *)&seen.ss)[3]);
}

TEST_F(names, F12_names_outlive_the_listener)
{
	struct ft_addr seen = { .len = sizeof(seen.ss) };

	self->b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, self->b);
	ft_close(&self->listener);
	ASSERT_EQ(0, getpeername(self->a, &seen.sa, &seen.len));
	EXPECT_TRUE(same_name(&self->server, &seen));
	EXPECT_TRUE(ft_send_all(self->a, 0, 10, 10));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 10, 10));
}

/* Addresses of AF_FERRY: what they may and may not look like. */

FIXTURE(ferry_addr)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int fd;
};

FIXTURE_VARIANT(ferry_addr)
{
	int type;
};

FIXTURE_VARIANT_ADD(ferry_addr, FERRY_stream)
{
	.type = SOCK_STREAM,
};

FIXTURE_VARIANT_ADD(ferry_addr, FERRY_seqpacket)
{
	.type = SOCK_SEQPACKET,
};

FIXTURE_VARIANT_ADD(ferry_addr, FERRY_dgram)
{
	.type = SOCK_DGRAM,
};

FIXTURE_SETUP(ferry_addr)
{
	FT_NEED(AF_FERRY, variant->type);
	ft_leak_start(&self->leak, AF_FERRY);
	self->fd = socket(AF_FERRY, variant->type, 0);
	ASSERT_LE(0, self->fd);
	ft_addr_new(AF_FERRY, &self->addr);
}

FIXTURE_TEARDOWN(ferry_addr)
{
	ft_close(&self->fd);
	FT_NO_LEAK(&self->leak);
}

TEST_F(ferry_addr, F03_too_short)
{
	socklen_t len;

	for (len = 0; len < FERRY_ADDR_HDR; len++) {
		EXPECT_ERR(EINVAL, bind(self->fd, &self->addr.sa, len)) {
			TH_LOG("length %u", len);
		}
		EXPECT_ERR(EINVAL, connect(self->fd, &self->addr.sa, len)) {
			TH_LOG("length %u", len);
		}
	}
}

TEST_F(ferry_addr, F03_too_long)
{
	EXPECT_ERR(EINVAL, bind(self->fd, &self->addr.sa, 129));
	EXPECT_ERR(EINVAL, connect(self->fd, &self->addr.sa, 129));
	EXPECT_ERR(EINVAL, bind(self->fd, &self->addr.sa, INT32_MAX));
	EXPECT_ERR(EINVAL, bind(self->fd, &self->addr.sa, INT32_MIN));
}

TEST_F(ferry_addr, F03_reserved_scope)
{
	static const unsigned short scopes[] = { 2, 3, 0x100, 0x8000, 0xffff };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(scopes); i++) {
		self->addr.ferry.sfy_scope = scopes[i];
		EXPECT_ERR(EINVAL, bind(self->fd, &self->addr.sa,
					self->addr.len));
		EXPECT_ERR(EINVAL, connect(self->fd, &self->addr.sa,
					   self->addr.len));
	}
}

TEST_F(ferry_addr, F03_wrong_family)
{
	static const unsigned short families[] = {
		AF_UNSPEC, AF_UNIX, AF_INET, AF_FERRY + 1, 0x1200, 0xffff,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		self->addr.ferry.sfy_family = families[i];
		EXPECT_ERR(EAFNOSUPPORT, bind(self->fd, &self->addr.sa,
					      self->addr.len));
		/* AF_UNSPEC dissolves the association of a datagram socket. */
		if (!families[i] && variant->type == SOCK_DGRAM)
			continue;
		EXPECT_ERR(EAFNOSUPPORT, connect(self->fd, &self->addr.sa,
						 self->addr.len)) {
			TH_LOG("family %u", families[i]);
		}
	}
}

TEST_F(ferry_addr, F03_connect_to_the_empty_name)
{
	EXPECT_ERR(EINVAL, connect(self->fd, &self->addr.sa, FERRY_ADDR_HDR));
}

TEST_F(ferry_addr, F03_every_length_of_name)
{
	char name[FERRY_NAME_MAX];
	struct ft_addr addr, seen;
	size_t len;
	int fd;

	/* Binary, without a NUL at the end, and each a prefix of the next. */
	memset(name, 0xfe, sizeof(name));
	for (len = 1; len <= sizeof(name); len++) {
		fd = socket(AF_FERRY, variant->type, 0);
		ASSERT_LE(0, fd);
		ft_addr_ferry(&addr, name, len);
		ASSERT_EQ(0, bind(fd, &addr.sa, addr.len)) {
			TH_LOG("name of %zu bytes", len);
		}
		memset(&seen, 0xa5, sizeof(seen));
		seen.len = sizeof(seen.ss);
		ASSERT_EQ(0, getsockname(fd, &seen.sa, &seen.len));
		ASSERT_TRUE(same_name(&addr, &seen));
		ft_close(&fd);
	}
}

TEST_F(ferry_addr, F03_nul_is_a_byte_of_the_name)
{
	static const char * const names[] = { "x\0y", "x\0z", "x\0\0", "\0\0x" };
	struct ft_addr addr;
	int fd[8];
	size_t i;

	/* Lengths 1 and 2 of the first, then four names of length 3. */
	for (i = 0; i < 2 + ARRAY_SIZE(names); i++) {
		if (i < 2)
			ft_addr_ferry(&addr, names[0], i + 1);
		else
			ft_addr_ferry(&addr, names[i - 2], 3);
		fd[i] = socket(AF_FERRY, variant->type, 0);
		ASSERT_LE(0, fd[i]);
		EXPECT_EQ(0, bind(fd[i], &addr.sa, addr.len));
		EXPECT_ERR(EADDRINUSE, bind(self->fd, &addr.sa, addr.len));
	}
	while (i--)
		ft_close(&fd[i]);
}

TEST_F(ferry_addr, F03_reserved_name)
{
	struct ft_child child;
	struct ft_addr addr;
	int fd;

	ft_addr_ferry(&addr, "system/test", 11);
	if (!ft_fork(&child)) {
		bool ok = ft_become(65534, 65534);

		fd = socket(AF_FERRY, variant->type, 0);
		ok = ok && bind(fd, &addr.sa, addr.len) == -1 &&
		     errno == EACCES;
		/* The prefix without the slash is nobody's. */
		ft_addr_ferry(&addr, "system", 6);
		ok = ok && !bind(fd, &addr.sa, addr.len);
		_exit(!ok);
	}
	EXPECT_EQ(0, ft_wait_child(&child));
	EXPECT_EQ(0, bind(self->fd, &addr.sa, addr.len));
}

TEST_F(ferry_addr, F03_autobind_does_not_take_given_names)
{
	struct ft_addr seen = { .len = sizeof(seen.ss) };
	int other;

	ASSERT_EQ(0, bind(self->fd, &self->addr.sa, FERRY_ADDR_HDR));
	ASSERT_EQ(0, getsockname(self->fd, &seen.sa, &seen.len));
	EXPECT_EQ(AF_FERRY, seen.ferry.sfy_family);
	EXPECT_EQ(FERRY_SCOPE_HOST, seen.ferry.sfy_scope);
	EXPECT_LT(FERRY_ADDR_HDR, seen.len);
	other = socket(AF_FERRY, variant->type, 0);
	ASSERT_LE(0, other);
	EXPECT_ERR(EADDRINUSE, bind(other, &seen.sa, seen.len));
	ft_close(&other);
}

FT_HARNESS_MAIN
