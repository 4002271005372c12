// SPDX-License-Identifier: GPL-2.0
/*
 * A socket before it does anything: creation, flags, read-only options, the
 * generic rules of getsockopt, setsockopt and ioctl. F01, F06, F12-F14, F17,
 * A01, A02, I07, O01, O12, O27, O42.
 */

#include "ferry_test.h"
#include "kselftest_harness.h"

#include <netinet/tcp.h>
#include <sys/stat.h>

FIXTURE(kind)
{
	struct ft_leak leak;
	int fd;
};

FIXTURE_VARIANT(kind)
{
	struct ft_kind kind;
	int protocol;
};

FIXTURE_VARIANT_ADD(kind, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(kind, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(kind, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM },
};

FIXTURE_VARIANT_ADD(kind, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(kind, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(kind, UNIX_dgram)
{
	.kind = { AF_UNIX, SOCK_DGRAM },
};

FIXTURE_VARIANT_ADD(kind, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
	.protocol = IPPROTO_TCP,
};

FIXTURE_VARIANT_ADD(kind, UDP_dgram)
{
	.kind = { AF_INET, SOCK_DGRAM },
	.protocol = IPPROTO_UDP,
};

FIXTURE_SETUP(kind)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(kind)
{
	ft_close(&self->fd);
	FT_NO_LEAK(&self->leak);
}

TEST_F(kind, F01_socket_is_a_socket)
{
	struct stat st;

	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_TRUE(S_ISSOCK(st.st_mode));
	EXPECT_EQ(0, fcntl(self->fd, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(0, fcntl(self->fd, F_GETFD) & FD_CLOEXEC);
}

TEST_F(kind, F01_nonblock_cloexec)
{
	int fd;

	fd = socket(variant->kind.domain,
		    variant->kind.type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ASSERT_LE(0, fd);
	EXPECT_NE(0, fcntl(fd, F_GETFL) & O_NONBLOCK);
	EXPECT_NE(0, fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ft_close(&fd);

	fd = socket(variant->kind.domain,
		    variant->kind.type | SOCK_CLOEXEC, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, fcntl(fd, F_GETFL) & O_NONBLOCK);
	EXPECT_NE(0, fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ft_close(&fd);
}

TEST_F(kind, F01_wrong_protocol)
{
	EXPECT_ERR(EPROTONOSUPPORT,
		   socket(variant->kind.domain, variant->kind.type, 99));
}

TEST_F(kind, F01_wrong_type)
{
	EXPECT_ERR(ESOCKTNOSUPPORT,
		   socket(variant->kind.domain, SOCK_RDM, 0));
	EXPECT_ERR(EINVAL, socket(variant->kind.domain, 11, 0));
	EXPECT_ERR(EINVAL, socket(variant->kind.domain, -1, 0));
	EXPECT_ERR(EINVAL, socket(variant->kind.domain,
				  variant->kind.type | 0x100, 0));
}

TEST_F(kind, F12_getpeername_unconnected)
{
	struct ft_addr addr = { .len = sizeof(addr.ss) };

	EXPECT_ERR(ENOTCONN, getpeername(self->fd, &addr.sa, &addr.len));
}

TEST_F(kind, F12_getsockname_unbound)
{
	struct ft_addr addr = { .len = sizeof(addr.ss) };

	ASSERT_EQ(0, getsockname(self->fd, &addr.sa, &addr.len));
	EXPECT_EQ(variant->kind.domain, addr.sa.sa_family);
	if (variant->kind.domain == AF_FERRY)
		EXPECT_EQ(FERRY_ADDR_HDR, addr.len);
}

TEST_F(kind, F12_getsockname_bad_arguments)
{
	struct ft_addr addr = { .len = sizeof(addr.ss) };
	socklen_t len = -1;

	EXPECT_ERR(EFAULT, getsockname(self->fd, FT_WILD, &addr.len));
	EXPECT_ERR(EFAULT, getsockname(self->fd, &addr.sa, FT_WILD));
	EXPECT_ERR(EINVAL, getsockname(self->fd, &addr.sa, &len));
}

TEST_F(kind, F12_getsockname_truncates)
{
	struct ft_addr full, cut;

	ASSERT_EQ(0, ft_bind_new(self->fd, variant->kind.domain, &full));
	memset(&cut, 0xa5, sizeof(cut));
	cut.len = 4;
	ASSERT_EQ(0, getsockname(self->fd, &cut.sa, &cut.len));
	EXPECT_EQ(full.len, cut.len);
	EXPECT_EQ(0, memcmp(&full.ss, &cut.ss, 4));
	EXPECT_EQ(0xa5, ((unsigned char *)&cut.ss)[4]);
	EXPECT_EQ(0xa5, ((unsigned char *)&cut.ss)[sizeof(cut.ss) - 1]);

	cut.len = 0;
	ASSERT_EQ(0, getsockname(self->fd, FT_WILD, &cut.len));
	EXPECT_EQ(full.len, cut.len);
}

TEST_F(kind, F13_unknown_option)
{
	socklen_t len = sizeof(int);
	int value = 1;

	EXPECT_ERR(ENOPROTOOPT, setsockopt(self->fd, SOL_SOCKET, 9999,
					   &value, sizeof(value)));
	EXPECT_ERR(ENOPROTOOPT, getsockopt(self->fd, SOL_SOCKET, 9999,
					   &value, &len));
	EXPECT_EQ(sizeof(int), len);
}

TEST_F(kind, F13_bad_length)
{
	socklen_t len = -1;
	int value = 1;

	EXPECT_ERR(EINVAL, setsockopt(self->fd, SOL_SOCKET, SO_RCVBUF,
				      &value, sizeof(value) - 1));
	EXPECT_ERR(EINVAL, setsockopt(self->fd, SOL_SOCKET, SO_RCVBUF,
				      &value, 0));
	EXPECT_ERR(EINVAL, setsockopt(self->fd, SOL_SOCKET, SO_RCVBUF,
				      &value, -1));
	EXPECT_ERR(EINVAL, getsockopt(self->fd, SOL_SOCKET, SO_RCVBUF,
				      &value, &len));
}

TEST_F(kind, F13_bad_pointer)
{
	socklen_t len = sizeof(int);
	int value;

	EXPECT_ERR(EFAULT, setsockopt(self->fd, SOL_SOCKET, SO_RCVBUF,
				      FT_WILD, sizeof(int)));
	EXPECT_ERR(EFAULT, getsockopt(self->fd, SOL_SOCKET, SO_RCVBUF,
				      FT_WILD, &len));
	EXPECT_ERR(EFAULT, getsockopt(self->fd, SOL_SOCKET, SO_RCVBUF,
				      &value, FT_WILD));
}

TEST_F(kind, F13_getsockopt_reports_length)
{
	unsigned char raw[16];
	socklen_t len;
	int value;

	value = ft_getint(self->fd, SO_TYPE);

	memset(raw, 0xa5, sizeof(raw));
	len = sizeof(raw);
	ASSERT_EQ(0, getsockopt(self->fd, SOL_SOCKET, SO_TYPE, raw, &len));
	EXPECT_EQ(sizeof(int), len);
	EXPECT_EQ(0, memcmp(raw, &value, sizeof(int)));
	EXPECT_EQ(0xa5, raw[sizeof(int)]);

	memset(raw, 0xa5, sizeof(raw));
	len = 2;
	ASSERT_EQ(0, getsockopt(self->fd, SOL_SOCKET, SO_TYPE, raw, &len));
	EXPECT_EQ(2, len);
	EXPECT_EQ(0, memcmp(raw, &value, 2));
	EXPECT_EQ(0xa5, raw[2]);
}

TEST_F(kind, F14_unknown_ioctl)
{
	int value = 0;

	EXPECT_ERR(ENOTTY, ioctl(self->fd, 0x7eadbee, &value));
}

TEST_F(kind, F17_no_seeking)
{
	struct iovec iov;
	char byte = 'x';

	iov.iov_base = &byte;
	iov.iov_len = 1;
	EXPECT_ERR(ESPIPE, lseek(self->fd, 0, SEEK_SET));
	EXPECT_ERR(ESPIPE, lseek(self->fd, 1, SEEK_CUR));
	EXPECT_ERR(ESPIPE, pread(self->fd, &byte, 1, 1));
	EXPECT_ERR(ESPIPE, pwrite(self->fd, &byte, 1, 1));
	EXPECT_ERR(ESPIPE, preadv(self->fd, &iov, 1, 1));
	EXPECT_ERR(ESPIPE, pwritev(self->fd, &iov, 1, 1));
}

TEST_F(kind, I07_fionbio)
{
	int on = 1, off = 0;

	ASSERT_EQ(0, ioctl(self->fd, FIONBIO, &on));
	EXPECT_NE(0, fcntl(self->fd, F_GETFL) & O_NONBLOCK);
	ASSERT_EQ(0, ioctl(self->fd, FIONBIO, &off));
	EXPECT_EQ(0, fcntl(self->fd, F_GETFL) & O_NONBLOCK);
	EXPECT_ERR(EFAULT, ioctl(self->fd, FIONBIO, FT_WILD));
}

TEST_F(kind, O12_so_domain)
{
	EXPECT_EQ(variant->kind.domain, ft_getint(self->fd, SO_DOMAIN));
	EXPECT_ERR(ENOPROTOOPT, ft_setint(self->fd, SO_DOMAIN, AF_INET));
}

TEST_F(kind, O27_so_protocol)
{
	EXPECT_EQ(variant->protocol, ft_getint(self->fd, SO_PROTOCOL));
	EXPECT_ERR(ENOPROTOOPT, ft_setint(self->fd, SO_PROTOCOL, 1));
}

TEST_F(kind, O42_so_type)
{
	EXPECT_EQ(variant->kind.type, ft_getint(self->fd, SO_TYPE));
	EXPECT_ERR(ENOPROTOOPT, ft_setint(self->fd, SO_TYPE, SOCK_DGRAM));
}

TEST_F(kind, O01_not_listening)
{
	struct ft_addr addr;

	EXPECT_EQ(0, ft_getint(self->fd, SO_ACCEPTCONN));
	EXPECT_ERR(ENOPROTOOPT, ft_setint(self->fd, SO_ACCEPTCONN, 1));
	ASSERT_EQ(0, ft_bind_new(self->fd, variant->kind.domain, &addr));
	EXPECT_EQ(0, ft_getint(self->fd, SO_ACCEPTCONN));
}

/* Types that listen. */

FIXTURE(listening)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int fd;
};

FIXTURE_VARIANT(listening)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(listening, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(listening, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(listening, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(listening, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(listening, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_SETUP(listening)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->fd = ft_listener(&variant->kind, &self->addr, 4);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(listening)
{
	ft_close(&self->fd);
	FT_NO_LEAK(&self->leak);
}

TEST_F(listening, O01_listening)
{
	int a, b;

	EXPECT_EQ(1, ft_getint(self->fd, SO_ACCEPTCONN));
	EXPECT_ERR(ENOPROTOOPT, ft_setint(self->fd, SO_ACCEPTCONN, 0));

	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	b = accept(self->fd, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_EQ(0, ft_getint(a, SO_ACCEPTCONN));
	EXPECT_EQ(0, ft_getint(b, SO_ACCEPTCONN));
	ft_close(&a);
	ft_close(&b);
}

TEST_F(listening, O42_accepted_socket_is_of_the_same_kind)
{
	int a, b;

	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, a);
	b = accept(self->fd, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_EQ(variant->kind.domain, ft_getint(b, SO_DOMAIN));
	EXPECT_EQ(variant->kind.type, ft_getint(b, SO_TYPE));
	EXPECT_EQ(ft_getint(a, SO_PROTOCOL), ft_getint(b, SO_PROTOCOL));
	ft_close(&a);
	ft_close(&b);
}

TEST_F(listening, I05_no_queue_on_a_listener)
{
	int n;

	EXPECT_ERR(EINVAL, ioctl(self->fd, FIONREAD, &n));
}

/* socketpair(2), where it exists. */

FIXTURE(pair)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(pair)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(pair, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(pair, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(pair, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM },
};

FIXTURE_VARIANT_ADD(pair, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(pair, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(pair, UNIX_dgram)
{
	.kind = { AF_UNIX, SOCK_DGRAM },
};

FIXTURE_SETUP(pair)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
}

FIXTURE_TEARDOWN(pair)
{
	FT_NO_LEAK(&self->leak);
}

TEST_F(pair, F06_both_directions)
{
	char buf[8];
	int sv[2];

	ASSERT_EQ(0, socketpair(variant->kind.domain, variant->kind.type, 0,
				sv));
	EXPECT_EQ(4, send(sv[0], "ping", 4, 0));
	EXPECT_EQ(4, send(sv[1], "pong", 4, 0));
	EXPECT_EQ(4, recv(sv[1], buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(buf, "ping", 4));
	EXPECT_EQ(4, recv(sv[0], buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(buf, "pong", 4));
	ft_close(&sv[0]);
	ft_close(&sv[1]);
}

TEST_F(pair, F06_flags)
{
	int sv[2], i;

	ASSERT_EQ(0, socketpair(variant->kind.domain, variant->kind.type |
				SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv));
	for (i = 0; i < 2; i++) {
		EXPECT_NE(0, fcntl(sv[i], F_GETFL) & O_NONBLOCK);
		EXPECT_NE(0, fcntl(sv[i], F_GETFD) & FD_CLOEXEC);
		ft_close(&sv[i]);
	}
}

TEST_F(pair, F06_names_are_empty)
{
	struct ft_addr name;
	int sv[2], i;

	ASSERT_EQ(0, socketpair(variant->kind.domain, variant->kind.type, 0,
				sv));
	for (i = 0; i < 2; i++) {
		name.len = sizeof(name.ss);
		EXPECT_EQ(0, getsockname(sv[i], &name.sa, &name.len));
		EXPECT_EQ(variant->kind.domain, name.sa.sa_family);
		if (variant->kind.domain == AF_FERRY)
			EXPECT_EQ(FERRY_ADDR_HDR, name.len);
		name.len = sizeof(name.ss);
		EXPECT_EQ(0, getpeername(sv[i], &name.sa, &name.len));
		EXPECT_EQ(variant->kind.domain, name.sa.sa_family);
		ft_close(&sv[i]);
	}
}

TEST_F(pair, F06_bad_arguments)
{
	int sv[2];

	EXPECT_ERR(EFAULT, socketpair(variant->kind.domain,
				      variant->kind.type, 0, FT_WILD));
	EXPECT_ERR(EPROTONOSUPPORT, socketpair(variant->kind.domain,
					       variant->kind.type, 99, sv));
	EXPECT_ERR(EINVAL, socketpair(variant->kind.domain,
				      variant->kind.type | 0x100, 0, sv));
}

/* What only AF_FERRY says of itself. */

FIXTURE(ferry)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(ferry)
{
	int type;
};

FIXTURE_VARIANT_ADD(ferry, FERRY_stream)
{
	.type = SOCK_STREAM,
};

FIXTURE_VARIANT_ADD(ferry, FERRY_seqpacket)
{
	.type = SOCK_SEQPACKET,
};

FIXTURE_VARIANT_ADD(ferry, FERRY_dgram)
{
	.type = SOCK_DGRAM,
};

FIXTURE_SETUP(ferry)
{
	FT_NEED(AF_FERRY, variant->type);
	ft_leak_start(&self->leak, AF_FERRY);
}

FIXTURE_TEARDOWN(ferry)
{
	FT_NO_LEAK(&self->leak);
}

TEST_F(ferry, F01_every_other_type_and_protocol)
{
	static const int protocols[] = { 1, 6, 17, AF_FERRY, 255, -1 };
	size_t i;
	int type;

	for (type = 0; type < 16; type++) {
		switch (type) {
		case SOCK_STREAM:
		case SOCK_DGRAM:
		case SOCK_SEQPACKET:
			continue;
		}
		EXPECT_ERR(type < 11 ? ESOCKTNOSUPPORT : EINVAL,
			   socket(AF_FERRY, type, 0)) {
			TH_LOG("type %d", type);
		}
	}
	for (i = 0; i < ARRAY_SIZE(protocols); i++)
		EXPECT_ERR(EPROTONOSUPPORT,
			   socket(AF_FERRY, variant->type, protocols[i])) {
			TH_LOG("protocol %d", protocols[i]);
		}
}

TEST_F(ferry, F13_levels_of_a_carrier)
{
	static const int levels[] = { IPPROTO_IP, IPPROTO_TCP, IPPROTO_IPV6 };
	socklen_t len = sizeof(int);
	int value = 1;
	size_t i;
	int fd;

	fd = socket(AF_FERRY, variant->type, 0);
	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(levels); i++) {
		EXPECT_ERR(ENOPROTOOPT, setsockopt(fd, levels[i], 1, &value,
						   sizeof(value)));
		EXPECT_ERR(ENOPROTOOPT, getsockopt(fd, levels[i], 1, &value,
						   &len));
	}
	EXPECT_ERR(ENOPROTOOPT, setsockopt(fd, SOL_FERRY, 9999, &value,
					   sizeof(value)));
	EXPECT_ERR(ENOPROTOOPT, getsockopt(fd, SOL_FERRY, 9999, &value, &len));
	ft_close(&fd);
}

TEST_F(ferry, A01_layout)
{
	EXPECT_EQ(128, sizeof(struct sockaddr_ferry));
	EXPECT_EQ(0, offsetof(struct sockaddr_ferry, sfy_family));
	EXPECT_EQ(sizeof(sa_family_t),
		  sizeof(((struct sockaddr_ferry *)0)->sfy_family));
	EXPECT_EQ(2, offsetof(struct sockaddr_ferry, sfy_scope));
	EXPECT_EQ(4, offsetof(struct sockaddr_ferry, sfy_node));
	EXPECT_EQ(20, offsetof(struct sockaddr_ferry, sfy_name));
	EXPECT_EQ(108, sizeof(((struct sockaddr_ferry *)0)->sfy_name));
	EXPECT_LE(sizeof(struct sockaddr_ferry),
		  sizeof(struct sockaddr_storage));
	EXPECT_LE(_Alignof(struct sockaddr_ferry),
		  _Alignof(struct sockaddr_storage));
}

TEST_F(ferry, A02_through_sockaddr_and_storage)
{
	struct sockaddr_storage storage;
	socklen_t len = sizeof(storage);
	struct sockaddr_ferry mine;
	struct sockaddr cut;
	char name[FERRY_NAME_MAX];
	int fd;

	memset(name, 0x81, sizeof(name));
	memset(&mine, 0, sizeof(mine));
	mine.sfy_family = AF_FERRY;
	memcpy(mine.sfy_name, name, sizeof(name));

	memset(&storage, 0, sizeof(storage));
	memcpy(&storage, &mine, sizeof(mine));
	fd = socket(AF_FERRY, variant->type, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, bind(fd, (struct sockaddr *)&storage, sizeof(storage)));

	memset(&storage, 0xa5, sizeof(storage));
	ASSERT_EQ(0, getsockname(fd, (struct sockaddr *)&storage, &len));
	EXPECT_EQ(sizeof(mine), len);
	EXPECT_EQ(AF_FERRY, storage.ss_family);
	EXPECT_EQ(0, memcmp(&storage, &mine, sizeof(mine)));

	len = sizeof(cut);
	ASSERT_EQ(0, getsockname(fd, &cut, &len));
	EXPECT_EQ(sizeof(mine), len);
	EXPECT_EQ(AF_FERRY, cut.sa_family);
	ft_close(&fd);
}

FT_HARNESS_MAIN
