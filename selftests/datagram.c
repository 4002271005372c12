// SPDX-License-Identifier: GPL-2.0
/*
 * What only DGRAM has: destinations, the default peer, many senders, and
 * back-pressure between sockets that are not each other's only peer. F02, F04,
 * F07-F09, F12, F15, F16, E05, O38.
 */

#include "record_fixture.h"

#include <sched.h>
#include <sys/epoll.h>

/*
 * self->rx is bound to self->addr; self->tx is bound to self->from and sends to
 * it. Nobody is connected.
 */
FIXTURE(dgram)
{
	struct ft_leak leak;
	struct ft_addr addr, from;
	int rx, tx;
};

FIXTURE_VARIANT(dgram)
{
	int domain;
};

FIXTURE_VARIANT_ADD(dgram, FERRY_dgram)
{
	.domain = AF_FERRY,
};

FIXTURE_VARIANT_ADD(dgram, UNIX_dgram)
{
	.domain = AF_UNIX,
};

FIXTURE_VARIANT_ADD(dgram, UDP_dgram)
{
	.domain = AF_INET,
};

#define DGRAM_SETUP()							\
do {									\
	FT_NEED(variant->domain, SOCK_DGRAM);				\
	ft_leak_start(&self->leak, variant->domain);			\
	self->rx = socket(variant->domain, SOCK_DGRAM, 0);		\
	self->tx = socket(variant->domain, SOCK_DGRAM, 0);		\
	ASSERT_EQ(0, ft_bind_new(self->rx, variant->domain, &self->addr)); \
	ASSERT_EQ(0, ft_bind_new(self->tx, variant->domain, &self->from)); \
} while (0)

#define DGRAM_TEARDOWN()						\
do {									\
	ft_close(&self->rx);						\
	ft_close(&self->tx);						\
	FT_NO_LEAK(&self->leak);					\
} while (0)

FIXTURE_SETUP(dgram)
{
	DGRAM_SETUP();
}

FIXTURE_TEARDOWN(dgram)
{
	DGRAM_TEARDOWN();
}

FIXTURE(local_dgram)
{
	struct ft_leak leak;
	struct ft_addr addr, from;
	int rx, tx;
};

FIXTURE_VARIANT(local_dgram)
{
	int domain;
};

FIXTURE_VARIANT_ADD(local_dgram, FERRY_dgram)
{
	.domain = AF_FERRY,
};

FIXTURE_VARIANT_ADD(local_dgram, UNIX_dgram)
{
	.domain = AF_UNIX,
};

FIXTURE_SETUP(local_dgram)
{
	DGRAM_SETUP();
}

FIXTURE_TEARDOWN(local_dgram)
{
	DGRAM_TEARDOWN();
}

FIXTURE(ferry_dgram)
{
	struct ft_leak leak;
	struct ft_addr addr, from;
	int rx, tx;
};

FIXTURE_VARIANT(ferry_dgram)
{
	int domain;
};

FIXTURE_VARIANT_ADD(ferry_dgram, FERRY_dgram)
{
	.domain = AF_FERRY,
};

FIXTURE_SETUP(ferry_dgram)
{
	DGRAM_SETUP();
}

FIXTURE_TEARDOWN(ferry_dgram)
{
	DGRAM_TEARDOWN();
}

static bool same_addr(const struct ft_addr *one, const struct ft_addr *other)
{
	return one->len == other->len &&
	       !memcmp(&one->ss, &other->ss, one->len);
}

static ssize_t send_to(int fd, const struct ft_addr *addr)
{
	return sendto(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT, &addr->sa,
		      addr->len);
}

static ssize_t recv_from(int fd, struct ft_addr *from, int flags)
{
	char buf[8];

	memset(from, 0xa5, sizeof(*from));
	from->len = sizeof(from->ss);
	return recvfrom(fd, buf, sizeof(buf), flags, &from->sa, &from->len);
}

/* The error of a send without destination. */
static int no_destination(int domain)
{
	return domain == AF_UNIX ? ENOTCONN : EDESTADDRREQ;
}

/* Addresses. */

TEST_F(dgram, F08_sender_address)
{
	struct ft_addr from;

	ASSERT_EQ(1, send_to(self->tx, &self->addr));
	EXPECT_EQ(1, recv_from(self->rx, &from, MSG_PEEK));
	EXPECT_TRUE(same_addr(&self->from, &from));
	EXPECT_EQ(1, recv_from(self->rx, &from, 0));
	EXPECT_TRUE(same_addr(&self->from, &from));
	/* It is good for an answer. */
	EXPECT_EQ(1, send_to(self->rx, &from));
	EXPECT_EQ(1, recv_from(self->tx, &from, 0));
	EXPECT_TRUE(same_addr(&self->addr, &from));
}

TEST_F(dgram, F08_sender_address_truncated)
{
	struct ft_addr from;
	char buf[8];

	ASSERT_EQ(1, send_to(self->tx, &self->addr));
	memset(&from, 0xa5, sizeof(from));
	from.len = 5;
	EXPECT_EQ(1, recvfrom(self->rx, buf, 8, 0, &from.sa, &from.len));
	EXPECT_EQ(self->from.len, from.len);
	EXPECT_EQ(0, memcmp(&self->from.ss, &from.ss, 5));
	EXPECT_EQ(0xa5, ((unsigned char *)&from.ss)[5]);
}

TEST_F(dgram, F08_each_its_own_sender)
{
	struct ft_addr addr[5], from;
	int fd[5];
	int i;

	for (i = 0; i < 5; i++) {
		fd[i] = socket(variant->domain, SOCK_DGRAM, 0);
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(0, ft_bind_new(fd[i], variant->domain, &addr[i]));
		ASSERT_EQ(1, send_to(fd[i], &self->addr));
	}
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(1, recv_from(self->rx, &from, 0));
		EXPECT_TRUE(same_addr(&addr[i], &from));
	}
	for (i = 0; i < 5; i++)
		ft_close(&fd[i]);
}

TEST_F(local_dgram, F08_sender_without_a_name)
{
	int fd = socket(variant->domain, SOCK_DGRAM, 0);
	struct ft_addr from;

	ASSERT_LE(0, fd);
	ASSERT_EQ(1, send_to(fd, &self->addr));
	EXPECT_EQ(1, recv_from(self->rx, &from, 0));
	if (variant->domain == AF_UNIX) {
		EXPECT_EQ(0, from.len);
	} else {
		EXPECT_EQ(FERRY_ADDR_HDR, from.len);
		EXPECT_EQ(AF_FERRY, from.sa.sa_family);
	}
	ft_close(&fd);
}

TEST_F(local_dgram, F08_address_outlives_the_sender)
{
	struct ft_addr from;

	ASSERT_EQ(1, send_to(self->tx, &self->addr));
	ft_close(&self->tx);
	EXPECT_EQ(1, recv_from(self->rx, &from, 0));
	EXPECT_TRUE(same_addr(&self->from, &from));
	EXPECT_ERR(ECONNREFUSED, send_to(self->rx, &from));
}

TEST_F(dgram, F07_no_destination)
{
	int err = no_destination(variant->domain);

	EXPECT_ERR(err, send(self->tx, "x", 1, 0));
	EXPECT_ERR(err, write(self->tx, "x", 1));
	EXPECT_ERR(err, sendto(self->tx, "x", 1, 0, NULL, 0));
}

TEST_F(dgram, F07_bad_destination)
{
	struct ft_addr wrong = self->addr;

	EXPECT_ERR(EINVAL, sendto(self->tx, "x", 1, 0, &self->addr.sa, 1));
	EXPECT_ERR(EINVAL, sendto(self->tx, "x", 1, 0, &self->addr.sa, 200));
	EXPECT_ERR(EINVAL, sendto(self->tx, "x", 1, 0, &self->addr.sa, -1));
	EXPECT_ERR(EFAULT, sendto(self->tx, "x", 1, 0, FT_WILD,
				  self->addr.len));
	wrong.sa.sa_family = AF_APPLETALK;
	/* Smack looks at INET addresses before UDP does. */
	EXPECT_ERR(variant->domain == AF_UNIX ||
		   (variant->domain == AF_INET &&
		    !access("/sys/fs/smackfs/load2", F_OK)) ? EINVAL :
							      EAFNOSUPPORT,
		   send_to(self->tx, &wrong));
	EXPECT_EQ(0, ft_poll(self->rx, POLLIN, 0));
}

TEST_F(ferry_dgram, F07_bad_destination_of_the_family)
{
	struct ft_addr wrong = self->addr;

	EXPECT_ERR(EINVAL, sendto(self->tx, "x", 1, 0, &wrong.sa,
				  FERRY_ADDR_HDR - 1));
	/* A name must be given. */
	EXPECT_NE(0, ft_err(sendto(self->tx, "x", 1, 0, &wrong.sa,
				   FERRY_ADDR_HDR)));
	wrong.ferry.sfy_scope = 2;
	EXPECT_ERR(EINVAL, send_to(self->tx, &wrong));
}

TEST_F(dgram, F07_to_oneself)
{
	struct ft_addr from;

	ASSERT_EQ(1, send_to(self->rx, &self->addr));
	EXPECT_EQ(1, recv_from(self->rx, &from, 0));
	EXPECT_TRUE(same_addr(&self->addr, &from));
	ASSERT_EQ(0, connect(self->rx, &self->addr.sa, self->addr.len));
	ASSERT_EQ(1, send(self->rx, "x", 1, 0));
	EXPECT_EQ(1, recv_from(self->rx, &from, 0));
	EXPECT_TRUE(same_addr(&self->addr, &from));
}

/* The default peer. */

TEST_F(dgram, F02_default_peer)
{
	struct ft_addr addr = { .len = sizeof(addr.ss) };
	struct ft_addr from;

	EXPECT_ERR(ENOTCONN, getpeername(self->tx, &addr.sa, &addr.len));
	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	ASSERT_EQ(0, getpeername(self->tx, &addr.sa, &addr.len));
	EXPECT_TRUE(same_addr(&self->addr, &addr));
	EXPECT_EQ(1, send(self->tx, "x", 1, 0));
	EXPECT_EQ(1, write(self->tx, "x", 1));
	EXPECT_EQ(1, recv_from(self->rx, &from, 0));
	EXPECT_TRUE(same_addr(&self->from, &from));
	EXPECT_EQ(1, recv_from(self->rx, &from, 0));
}

TEST_F(dgram, F02_destination_beside_the_default_peer)
{
	struct ft_addr other_addr, from;
	int other = socket(variant->domain, SOCK_DGRAM, 0);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, ft_bind_new(other, variant->domain, &other_addr));
	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	EXPECT_EQ(1, send_to(self->tx, &other_addr));
	EXPECT_EQ(1, recv_from(other, &from, 0));
	EXPECT_EQ(0, ft_poll(self->rx, POLLIN, 0));
	/* And the default stays. */
	EXPECT_EQ(1, send(self->tx, "x", 1, 0));
	EXPECT_EQ(1, recv_from(self->rx, &from, 0));
	ft_close(&other);
}

TEST_F(dgram, F02_peer_can_be_replaced_and_dissolved)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	struct ft_addr other_addr, addr, from;
	int other = socket(variant->domain, SOCK_DGRAM, 0);
	int i;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, ft_bind_new(other, variant->domain, &other_addr));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
		EXPECT_EQ(1, send(self->tx, "x", 1, 0));
		EXPECT_EQ(1, recv_from(self->rx, &from, 0));
		ASSERT_EQ(0, connect(self->tx, &other_addr.sa, other_addr.len));
		EXPECT_EQ(1, send(self->tx, "x", 1, 0));
		EXPECT_EQ(1, recv_from(other, &from, 0));
		ASSERT_EQ(0, connect(self->tx, &unspec, sizeof(unspec)));
		EXPECT_ERR(no_destination(variant->domain),
			   send(self->tx, "x", 1, 0));
		addr.len = sizeof(addr.ss);
		EXPECT_ERR(ENOTCONN, getpeername(self->tx, &addr.sa,
						 &addr.len));
	}
	EXPECT_EQ(1, send_to(self->tx, &other_addr));
	EXPECT_EQ(1, recv_from(other, &from, 0));
	ft_close(&other);
}

TEST_F(local_dgram, F02_only_the_peer_may_send)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	int other = socket(variant->domain, SOCK_DGRAM, 0);
	struct ft_addr from;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, connect(self->rx, &self->from.sa, self->from.len));
	EXPECT_ERR(EPERM, send_to(other, &self->addr));
	EXPECT_EQ(0, ft_poll(self->rx, POLLIN, 0));
	EXPECT_EQ(1, send_to(self->tx, &self->addr));
	EXPECT_EQ(1, recv_from(self->rx, &from, 0));
	ASSERT_EQ(0, connect(self->rx, &unspec, sizeof(unspec)));
	EXPECT_EQ(1, send_to(other, &self->addr));
	EXPECT_EQ(1, recv_from(self->rx, &from, 0));
	ft_close(&other);
}

TEST_F(dgram, F02_strangers_are_not_heard)
{
	int other = socket(variant->domain, SOCK_DGRAM, 0);
	struct ft_addr from;

	/* UDP does not tell the sender. */
	ASSERT_LE(0, other);
	ASSERT_EQ(0, connect(self->rx, &self->from.sa, self->from.len));
	send_to(other, &self->addr);
	EXPECT_EQ(1, send_to(self->tx, &self->addr));
	EXPECT_EQ(1, recv_from(self->rx, &from, 0));
	EXPECT_TRUE(same_addr(&self->from, &from));
	EXPECT_EQ(0, ft_poll(self->rx, POLLIN, 0));
	ft_close(&other);
}

TEST_F(local_dgram, F02_nobody_there)
{
	struct ft_addr nobody;

	ft_addr_new(variant->domain, &nobody);
	EXPECT_ERR(ECONNREFUSED, connect(self->tx, &nobody.sa, nobody.len));
	EXPECT_ERR(ECONNREFUSED, send_to(self->tx, &nobody));
	/* An earlier peer stays when a connect fails. */
	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	EXPECT_ERR(ECONNREFUSED, connect(self->tx, &nobody.sa, nobody.len));
	EXPECT_EQ(1, send(self->tx, "x", 1, 0));
}

TEST_F(local_dgram, F02_receiver_has_gone)
{
	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	ASSERT_EQ(1, send(self->tx, "x", 1, 0));
	ft_close(&self->rx);
	EXPECT_ERR(ECONNREFUSED, send(self->tx, "x", 1, 0));
	/* With that the association is dissolved. */
	EXPECT_ERR(no_destination(variant->domain), send(self->tx, "x", 1, 0));
	EXPECT_ERR(ECONNREFUSED, send_to(self->tx, &self->addr));
}

TEST_F(local_dgram, F15_name_can_be_bound_again_under_a_peer)
{
	struct ft_addr from;

	/* The association is with the socket, not with its name. */
	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	ft_close(&self->rx);
	self->rx = socket(variant->domain, SOCK_DGRAM, 0);
	ASSERT_EQ(0, bind(self->rx, &self->addr.sa, self->addr.len));
	EXPECT_ERR(ECONNREFUSED, send(self->tx, "x", 1, 0));
	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	EXPECT_EQ(1, send(self->tx, "x", 1, 0));
	EXPECT_EQ(1, recv_from(self->rx, &from, 0));
}

TEST_F(ferry_dgram, F02_other_type)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	struct ft_addr addr;
	size_t i, j;
	int fd, other;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		other = socket(AF_FERRY, types[i], 0);
		ASSERT_LE(0, other);
		ASSERT_EQ(0, ft_bind_new(other, AF_FERRY, &addr));
		if (types[i] != SOCK_DGRAM)
			ASSERT_EQ(0, listen(other, 1));
		for (j = 0; j < ARRAY_SIZE(types); j++) {
			if (i == j)
				continue;
			fd = socket(AF_FERRY, types[j], 0);
			ASSERT_LE(0, fd);
			EXPECT_ERR(EPROTOTYPE,
				   connect(fd, &addr.sa, addr.len));
			if (types[j] == SOCK_DGRAM)
				EXPECT_ERR(EPROTOTYPE, send_to(fd, &addr));
			ft_close(&fd);
		}
		ft_close(&other);
	}
}

TEST_F(dgram, F04_no_connections_to_wait_for)
{
	EXPECT_ERR(EOPNOTSUPP, listen(self->rx, 1));
	EXPECT_ERR(EOPNOTSUPP, accept(self->rx, NULL, NULL));
}

/* A full receiver. */

TEST_F(local_dgram, F07_full_receiver_makes_every_sender_wait)
{
	struct ft_call call[6];
	int i, n, fd[6];
	char buf[3000];

	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	ft_setint(self->rx, SO_RCVBUF, 8192);
	n = record_fill(self->tx, 2000);
	ASSERT_LT(0, n);
	for (i = 0; i < 6; i++) {
		fd[i] = socket(variant->domain, SOCK_DGRAM, 0);
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(0, connect(fd[i], &self->addr.sa, self->addr.len));
		EXPECT_ERR(EAGAIN, send(fd[i], "x", 1, MSG_DONTWAIT));
		call[i] = (struct ft_call){
			.fn = ft_do_send, .fd = fd[i], .buf = buf, .len = 2000,
		};
		ASSERT_EQ(0, ft_start(&call[i]));
		ASSERT_TRUE(ft_blocked(&call[i]));
	}
	/* None is lost and none sleeps on. */
	for (i = 0; i < n + 6; i++) {
		ASSERT_NE(0, ft_poll(self->rx, POLLIN, FT_LONG_MS));
		ASSERT_EQ(2000, recv(self->rx, buf, sizeof(buf), 0));
	}
	for (i = 0; i < 6; i++) {
		ft_join(&call[i]);
		EXPECT_EQ(2000, call[i].ret);
		ft_close(&fd[i]);
	}
	EXPECT_EQ(0, ft_poll(self->rx, POLLIN, 0));
}

TEST_F(local_dgram, F07_receiver_goes_while_senders_wait)
{
	struct ft_call call[3];
	int i, fd[3];

	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	ft_setint(self->rx, SO_RCVBUF, 8192);
	ASSERT_LT(0, record_fill(self->tx, 2000));
	for (i = 0; i < 3; i++) {
		fd[i] = socket(variant->domain, SOCK_DGRAM, 0);
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(0, connect(fd[i], &self->addr.sa, self->addr.len));
		call[i] = (struct ft_call){
			.fn = ft_do_send, .fd = fd[i], .buf = "x", .len = 1,
		};
		ASSERT_EQ(0, ft_start(&call[i]));
		ASSERT_TRUE(ft_blocked(&call[i]));
	}
	ft_close(&self->rx);
	for (i = 0; i < 3; i++) {
		ft_join(&call[i]);
		EXPECT_EQ(-1, call[i].ret);
		EXPECT_EQ(ECONNREFUSED, call[i].err);
		ft_close(&fd[i]);
	}
}

TEST_F(local_dgram, E05_writability_of_a_connected_sender)
{
	struct ft_call call = {
		.fn = ft_do_poll, .fd = self->tx, .events = POLLOUT,
		.timeout_ms = FT_LONG_MS,
	};
	int i, n;

	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	EXPECT_EQ(POLLOUT, ft_poll(self->tx, POLLOUT, 0));
	ft_setint(self->rx, SO_RCVBUF, 8192);
	n = record_fill(self->tx, 2000);
	ASSERT_LT(0, n);
	EXPECT_EQ(0, ft_poll(self->tx, POLLOUT, 0));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	for (i = 0; i < n; i++)
		ASSERT_TRUE(record_next(self->rx, i, 2000));
	ft_join(&call);
	EXPECT_EQ(1, call.ret);
	EXPECT_EQ(POLLOUT, call.revents);
}

TEST_F(local_dgram, E05_filled_by_somebody_else)
{
	int other = socket(variant->domain, SOCK_DGRAM, 0);
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	int ep = epoll_create1(0);
	int i, n;

	/* Not this sender's data, all the same it has no room. */
	ASSERT_LE(0, other);
	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	ASSERT_EQ(0, connect(other, &self->addr.sa, self->addr.len));
	ft_setint(self->rx, SO_RCVBUF, 8192);
	n = record_fill(other, 2000);
	ASSERT_LT(0, n);
	EXPECT_EQ(0, ft_poll(self->tx, POLLOUT, 0));
	EXPECT_ERR(EAGAIN, send(self->tx, "x", 1, MSG_DONTWAIT));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->tx, &event));
	EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
	for (i = 0; i < n; i++)
		ASSERT_TRUE(record_next(self->rx, i, 2000));
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, FT_LONG_MS));
	EXPECT_EQ(EPOLLOUT, event.events);
	EXPECT_EQ(1, send(self->tx, "x", 1, MSG_DONTWAIT));
	ft_close(&ep);
	ft_close(&other);
}

TEST_F(ferry_dgram, E05_every_epoll_hears_of_room)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	int i, n, round, fd[8], ep[8];

	ft_setint(self->rx, SO_RCVBUF, 8192);
	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	for (i = 0; i < 8; i++) {
		fd[i] = socket(AF_FERRY, SOCK_DGRAM, 0);
		ep[i] = epoll_create1(0);
		ASSERT_EQ(0, connect(fd[i], &self->addr.sa, self->addr.len));
		ASSERT_EQ(0, epoll_ctl(ep[i], EPOLL_CTL_ADD, fd[i], &event));
		EXPECT_EQ(1, epoll_wait(ep[i], &event, 1, 0));
	}
	for (round = 0; round < 3; round++) {
		n = record_fill(self->tx, 2000);
		ASSERT_LT(0, n);
		for (i = 0; i < 8; i++) {
			EXPECT_ERR(EAGAIN, send(fd[i], "x", 1, MSG_DONTWAIT));
			EXPECT_EQ(0, epoll_wait(ep[i], &event, 1, 0));
		}
		for (i = 0; i < n; i++)
			ASSERT_TRUE(record_next(self->rx, i, 2000));
		for (i = 0; i < 8; i++)
			EXPECT_EQ(1, epoll_wait(ep[i], &event, 1, FT_LONG_MS));
	}
	for (i = 0; i < 8; i++) {
		ft_close(&fd[i]);
		ft_close(&ep[i]);
	}
}

TEST_F(local_dgram, E05_change_of_the_peer_is_seen)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };

	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	ft_setint(self->rx, SO_RCVBUF, 8192);
	ASSERT_LT(0, record_fill(self->tx, 1000));
	EXPECT_EQ(0, ft_poll(self->tx, POLLOUT, 0));
	ASSERT_EQ(0, connect(self->tx, &unspec, sizeof(unspec)));
	EXPECT_EQ(POLLOUT, ft_poll(self->tx, POLLOUT, 0));
}

TEST_F(local_dgram, E05_receiver_has_gone)
{
	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	ft_setint(self->rx, SO_RCVBUF, 8192);
	ASSERT_LT(0, record_fill(self->tx, 1000));
	EXPECT_EQ(0, ft_poll(self->tx, POLLOUT, 0));
	ft_close(&self->rx);
	EXPECT_NE(0, ft_poll(self->tx, POLLOUT, FT_LONG_MS) & POLLOUT);
	EXPECT_ERR(ECONNREFUSED, send(self->tx, "x", 1, 0));
}

/* As record_fill(), to a destination. */
static int fill_to(int fd, const struct ft_addr *addr, size_t len)
{
	char *buf = malloc(len);
	int n;

	for (n = 0; buf; n++) {
		ft_pattern(buf, n, len);
		if (sendto(fd, buf, len, MSG_DONTWAIT, &addr->sa, addr->len) ==
		    (ssize_t)len)
			continue;
		if (errno != EAGAIN)
			n = -1;
		break;
	}
	free(buf);
	return n;
}

/* Nobody is connected. What poll knows is who refused last. */

TEST_F(ferry_dgram, E05_refused_without_a_peer)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	struct ft_call call = {
		.fn = ft_do_poll, .fd = self->tx, .events = POLLOUT,
		.timeout_ms = FT_LONG_MS,
	};
	int other = socket(AF_FERRY, SOCK_DGRAM, 0);
	int ep = epoll_create1(0);
	int i, n, round;

	ASSERT_LE(0, other);
	ft_setint(self->rx, SO_RCVBUF, 8192);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->tx, &event));
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, 0));
	for (round = 0; round < 3; round++) {
		n = fill_to(other, &self->addr, 2000);
		ASSERT_LT(0, n);
		/* Full, but this socket was not refused. */
		EXPECT_EQ(POLLOUT, ft_poll(self->tx, POLLOUT, 0));
		EXPECT_ERR(EAGAIN, send_to(self->tx, &self->addr));
		EXPECT_EQ(0, ft_poll(self->tx, POLLOUT, 0));
		EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		for (i = 0; i < n; i++)
			ASSERT_TRUE(record_next(self->rx, i, 2000));
		ft_join(&call);
		EXPECT_EQ(POLLOUT, call.revents);
		EXPECT_EQ(1, epoll_wait(ep, &event, 1, FT_LONG_MS));
		EXPECT_EQ(EPOLLOUT, event.events);
		EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
		EXPECT_EQ(1, send_to(self->tx, &self->addr));
		EXPECT_EQ(1, recv(self->rx, &i, 1, 0));
	}
	/* An edge without another look at poll before. */
	n = fill_to(other, &self->addr, 2000);
	ASSERT_LT(0, n);
	EXPECT_ERR(EAGAIN, send_to(self->tx, &self->addr));
	for (i = 0; i < n; i++)
		ASSERT_TRUE(record_next(self->rx, i, 2000));
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, FT_LONG_MS));
	ft_close(&ep);
	ft_close(&other);
}

TEST_F(ferry_dgram, E05_refused_by_its_own_messages)
{
	int i, n;

	ft_setint(self->rx, SO_RCVBUF, 8192);
	n = fill_to(self->tx, &self->addr, 1000);
	ASSERT_LT(0, n);
	EXPECT_EQ(0, ft_poll(self->tx, POLLOUT, 0));
	for (i = 0; i < n; i++)
		ASSERT_TRUE(record_next(self->rx, i, 1000));
	EXPECT_EQ(POLLOUT, ft_poll(self->tx, POLLOUT, 0));
}

TEST_F(ferry_dgram, E05_refused_after_a_timeout)
{
	int other = socket(AF_FERRY, SOCK_DGRAM, 0);

	ASSERT_LE(0, other);
	ft_setint(self->rx, SO_RCVBUF, 8192);
	ASSERT_LT(0, fill_to(other, &self->addr, 2000));
	ASSERT_EQ(0, ft_settimeo(self->tx, SO_SNDTIMEO, 50));
	EXPECT_ERR(EAGAIN, sendto(self->tx, "x", 1, 0, &self->addr.sa,
				  self->addr.len));
	EXPECT_EQ(0, ft_poll(self->tx, POLLOUT, 0));
	ft_close(&other);
}

TEST_F(ferry_dgram, E05_the_last_that_refused_counts)
{
	int other = socket(AF_FERRY, SOCK_DGRAM, 0);
	int rx = socket(AF_FERRY, SOCK_DGRAM, 0);
	struct ft_addr addr;
	int i, n, m;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, ft_bind_new(rx, AF_FERRY, &addr));
	ft_setint(self->rx, SO_RCVBUF, 8192);
	ft_setint(rx, SO_RCVBUF, 8192);
	n = fill_to(other, &self->addr, 2000);
	m = fill_to(other, &addr, 2000);
	ASSERT_LT(0, n);
	ASSERT_LT(0, m);
	EXPECT_ERR(EAGAIN, send_to(self->tx, &self->addr));
	EXPECT_ERR(EAGAIN, send_to(self->tx, &addr));
	for (i = 0; i < n; i++)
		ASSERT_TRUE(record_next(self->rx, i, 2000));
	EXPECT_EQ(0, ft_poll(self->tx, POLLOUT, 0));
	/* It can be sent to meanwhile, and that changes nothing. */
	EXPECT_EQ(1, send_to(self->tx, &self->addr));
	EXPECT_EQ(0, ft_poll(self->tx, POLLOUT, 0));
	for (i = 0; i < m; i++)
		ASSERT_TRUE(record_next(rx, i, 2000));
	EXPECT_EQ(POLLOUT, ft_poll(self->tx, POLLOUT, 0));
	/* And never does who refused a socket that has a peer by now. */
	m = fill_to(other, &addr, 2000);
	EXPECT_ERR(EAGAIN, send_to(self->tx, &addr));
	EXPECT_EQ(0, ft_poll(self->tx, POLLOUT, 0));
	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	EXPECT_EQ(POLLOUT, ft_poll(self->tx, POLLOUT, 0));
	EXPECT_ERR(EAGAIN, send_to(self->tx, &addr));
	EXPECT_EQ(POLLOUT, ft_poll(self->tx, POLLOUT, 0));
	ft_close(&rx);
	ft_close(&other);
}

TEST_F(ferry_dgram, E05_who_refused_has_gone)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	int other = socket(AF_FERRY, SOCK_DGRAM, 0);
	int ep = epoll_create1(0);

	ASSERT_LE(0, other);
	ft_setint(self->rx, SO_RCVBUF, 8192);
	ASSERT_LT(0, fill_to(other, &self->addr, 2000));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->tx, &event));
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, 0));
	EXPECT_ERR(EAGAIN, send_to(self->tx, &self->addr));
	EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
	ft_close(&self->rx);
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, FT_LONG_MS));
	EXPECT_EQ(POLLOUT, ft_poll(self->tx, POLLOUT, 0));
	EXPECT_ERR(ECONNREFUSED, send_to(self->tx, &self->addr));
	ft_close(&ep);
	ft_close(&other);
}

TEST_F(ferry_dgram, E05_who_was_refused_has_gone)
{
	int other = socket(AF_FERRY, SOCK_DGRAM, 0);
	int i, n;

	ASSERT_LE(0, other);
	ft_setint(self->rx, SO_RCVBUF, 8192);
	n = fill_to(other, &self->addr, 2000);
	ASSERT_LT(0, n);
	EXPECT_ERR(EAGAIN, send_to(self->tx, &self->addr));
	EXPECT_EQ(0, ft_poll(self->tx, POLLOUT, 0));
	ft_close(&self->tx);
	for (i = 0; i < n; i++)
		ASSERT_TRUE(record_next(self->rx, i, 2000));
	ft_close(&other);
}

struct refuser {
	pthread_t thread;
	const struct ft_addr *addr;
	int rounds;
};

/* Receivers that come, fill up and go. */
static void *refuse(void *arg)
{
	struct refuser *refuser = arg;
	char buf[2000] = "";
	int i, fd;

	for (i = 0; i < refuser->rounds; i++) {
		fd = socket(AF_FERRY, SOCK_DGRAM, 0);
		ft_setint(fd, SO_RCVBUF, 4096);
		bind(fd, &refuser->addr->sa, refuser->addr->len);
		while (sendto(fd, buf, sizeof(buf), MSG_DONTWAIT,
			      &refuser->addr->sa, refuser->addr->len) > 0)
			;
		sched_yield();
		if (i & 1)
			while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
				;
		close(fd);
	}
	return NULL;
}

TEST_F_TIMEOUT(ferry_dgram, F15_refusers_come_and_go, FT_SLOW_S)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	struct ft_addr addr[2];
	struct refuser refuser[2];
	int i, fd;

	for (i = 0; i < 2; i++) {
		ft_addr_new(AF_FERRY, &addr[i]);
		refuser[i] = (struct refuser){ .addr = &addr[i], .rounds = 200 };
		ASSERT_EQ(0, pthread_create(&refuser[i].thread, NULL, refuse,
					    &refuser[i]));
	}
	for (i = 0; i < 2000; i++) {
		send_to(self->tx, &addr[i & 1]);
		ft_poll(self->tx, POLLOUT, 0);
		if (i % 3)
			continue;
		fd = socket(AF_FERRY, SOCK_DGRAM, 0);
		send_to(fd, &addr[i & 1]);
		ft_poll(fd, POLLOUT, 0);
		if (i & 1)
			connect(fd, &self->addr.sa, self->addr.len);
		connect(fd, &unspec, sizeof(unspec));
		ft_close(&fd);
	}
	for (i = 0; i < 2; i++)
		pthread_join(refuser[i].thread, NULL);
	/* None of them is left, so nobody can be waited for. */
	EXPECT_EQ(POLLOUT, ft_poll(self->tx, POLLOUT, 0));
}

/* Shut down without a peer: an error to UDP, which does it all the same. */
static int shutdown_error(int domain)
{
	return domain == AF_UNIX ? 0 : ENOTCONN;
}

TEST_F(dgram, F16_shutdown_without_a_peer_wakes_readers)
{
	struct ft_call call[2];
	char buf[2][8];
	int i;

	for (i = 0; i < 2; i++) {
		call[i] = (struct ft_call){
			.fn = ft_do_recv, .fd = self->rx, .buf = buf[i],
			.len = sizeof(buf[i]),
		};
		ASSERT_EQ(0, ft_start(&call[i]));
		ASSERT_TRUE(ft_blocked(&call[i]));
	}
	EXPECT_EQ(shutdown_error(variant->domain),
		  ft_err(shutdown(self->rx, SHUT_RDWR)));
	for (i = 0; i < 2; i++) {
		ft_join(&call[i]);
		EXPECT_EQ(0, call[i].ret);
	}
	EXPECT_EQ(POLLIN | POLLHUP, ft_poll(self->rx, POLLIN, 0));
	EXPECT_ERR(EPIPE, sendto(self->rx, "x", 1, MSG_NOSIGNAL,
				 &self->from.sa, self->from.len));
}

/* AF_UNIX lets them wait on. */
TEST_F(ferry_dgram, F16_shutdown_without_a_peer_ends_senders)
{
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->tx, .buf = "x", .len = 1,
	};

	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	ft_setint(self->rx, SO_RCVBUF, 8192);
	ASSERT_LT(0, record_fill(self->tx, 1000));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	EXPECT_ERR(ENOTCONN, shutdown(self->rx, SHUT_RD));
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(EPIPE, call.err);
}

TEST_F(ferry_dgram, F16_what_was_queued_is_read_first)
{
	char buf[8];

	ASSERT_EQ(1, send_to(self->tx, &self->addr));
	EXPECT_ERR(ENOTCONN, shutdown(self->rx, SHUT_RD));
	EXPECT_EQ(POLLIN | POLLRDHUP, ft_poll(self->rx, POLLIN | POLLRDHUP, 0));
	EXPECT_EQ(1, recv(self->rx, buf, sizeof(buf), 0));
	EXPECT_EQ(0, recv(self->rx, buf, sizeof(buf), 0));
	EXPECT_ERR(EPIPE, send_to(self->tx, &self->addr));
	/* The other direction goes on. */
	EXPECT_EQ(1, send_to(self->rx, &self->from));
	EXPECT_ERR(EINVAL, shutdown(self->rx, 3));
}

TEST_F(local_dgram, O38_one_buffer_for_all_receivers)
{
	struct ft_call call = {
		.fn = ft_do_poll, .fd = self->tx, .events = POLLOUT,
		.timeout_ms = FT_LONG_MS,
	};
	struct ft_addr addr[40];
	int rx[40], sent = 0;
	char buf[2000] = "";
	int i, n = 0;

	ft_setint(self->tx, SO_SNDBUF, 8192);
	for (i = 0; i < 40; i++) {
		rx[i] = socket(variant->domain, SOCK_DGRAM, 0);
		ASSERT_LE(0, rx[i]);
		ASSERT_EQ(0, ft_bind_new(rx[i], variant->domain, &addr[i]));
	}
	for (i = 0; i < 40; i++) {
		if (sendto(self->tx, buf, 2000, MSG_DONTWAIT, &addr[i].sa,
			   addr[i].len) != 2000)
			break;
		sent++;
	}
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_LT(0, sent);
	ASSERT_GT(40, sent);
	EXPECT_EQ(0, ft_poll(self->tx, POLLOUT, 0));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	for (i = 0; i < sent; i++)
		n += recv(rx[i], buf, sizeof(buf), 0) == 2000;
	EXPECT_EQ(sent, n);
	ft_join(&call);
	EXPECT_EQ(POLLOUT, call.revents);
	for (i = 0; i < 40; i++)
		ft_close(&rx[i]);
}

static void *read_on(void *arg)
{
	char buf[4096];

	/* Ends at the message of one byte. */
	while (recv(*(int *)arg, buf, sizeof(buf), 0) > 1)
		;
	return NULL;
}

/* Room may come between any two looks of a sender that finds none. */
TEST_F(local_dgram, O38_who_waits_for_its_own_room_is_woken)
{
	int64_t start = ft_now_ms();
	pthread_t reader;
	char buf[4000];
	ssize_t n;

	memset(buf, 0, sizeof(buf));
	ASSERT_EQ(0, ft_setint(self->tx, SO_SNDBUF, 1));
	ASSERT_EQ(0, ft_settimeo(self->tx, SO_SNDTIMEO, FT_LONG_MS));
	ASSERT_EQ(0, pthread_create(&reader, NULL, read_on, &self->rx));
	do {
		n = sendto(self->tx, buf, sizeof(buf), 0, &self->addr.sa,
			   self->addr.len);
		ASSERT_EQ(sizeof(buf), n);
	} while (ft_now_ms() - start < 3000);
	ASSERT_EQ(1, sendto(self->tx, buf, 1, 0, &self->addr.sa,
			    self->addr.len));
	pthread_join(reader, NULL);
}

TEST_F(local_dgram, O38_a_receiver_that_goes_gives_room_back)
{
	struct ft_addr other_addr;
	int other = socket(variant->domain, SOCK_DGRAM, 0);
	char buf[2000] = "";
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->tx, .buf = buf, .len = 2000,
	};
	int n;

	/* What fills the sender's buffer lies in somebody else's queue. */
	ASSERT_LE(0, other);
	ASSERT_EQ(0, ft_bind_new(other, variant->domain, &other_addr));
	ft_setint(self->tx, SO_SNDBUF, 8192);
	ASSERT_EQ(0, connect(self->tx, &other_addr.sa, other_addr.len));
	n = record_fill(self->tx, 1500);
	ASSERT_LT(0, n);
	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	while (send(self->tx, buf, 1500, MSG_DONTWAIT) == 1500)
		;
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ft_close(&other);
	ft_join(&call);
	EXPECT_EQ(2000, call.ret);
}

#define BLOCKED	20

/* By many calls of one socket, which is not worth more memory for it. */
TEST_F_TIMEOUT(local_dgram, O38_what_blocked_senders_hold_is_charged, FT_SLOW_S)
{
	int other = socket(variant->domain, SOCK_DGRAM, 0);
	struct ft_call call[BLOCKED];
	int i, n, sndbuf, got = 0;
	char *buf;

	buf = malloc(50001);
	ASSERT_NE(NULL, buf);
	ft_pattern(buf, 7, 50000);
	ASSERT_LE(0, other);
	ft_setint(self->rx, SO_RCVBUF, 8192);
	ft_setint(self->tx, SO_SNDBUF, 50000);
	sndbuf = ft_getint(self->tx, SO_SNDBUF);
	n = fill_to(other, &self->addr, 2000);
	ASSERT_LT(0, n);
	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	EXPECT_EQ(0, ft_meminfo(self->tx, SK_MEMINFO_WMEM_ALLOC));
	for (i = 0; i < BLOCKED; i++) {
		call[i] = (struct ft_call){
			.fn = ft_do_send, .fd = self->tx, .buf = buf,
			.len = 50000,
		};
		ASSERT_EQ(0, ft_start(&call[i]));
		ASSERT_TRUE(ft_blocked(&call[i]));
		EXPECT_LE(50000, ft_meminfo(self->tx, SK_MEMINFO_WMEM_ALLOC));
		EXPECT_GE(sndbuf + 60000,
			  ft_meminfo(self->tx, SK_MEMINFO_WMEM_ALLOC));
	}
	for (i = 0; i < n; i++)
		ASSERT_TRUE(record_next(self->rx, i, 2000));
	for (i = 0; i < BLOCKED; i++)
		got += record_next(self->rx, 7, 50000);
	EXPECT_EQ(BLOCKED, got);
	for (i = 0; i < BLOCKED; i++) {
		ft_join(&call[i]);
		EXPECT_EQ(50000, call[i].ret);
	}
	EXPECT_EQ(0, ft_meminfo(self->tx, SK_MEMINFO_WMEM_ALLOC));
	free(buf);
	ft_close(&other);
}

/* What is held is all there was: that is no reason to wait for it. */
TEST_F(local_dgram, O38_a_record_as_large_as_the_buffer_waits)
{
	int other = socket(variant->domain, SOCK_DGRAM, 0);
	struct ft_call call = { .fn = ft_do_send, .fd = self->tx };
	int i, n;
	char *buf;

	ASSERT_LE(0, other);
	ft_setint(self->rx, SO_RCVBUF, 8192);
	ft_setint(self->tx, SO_SNDBUF, 20000);
	call.len = 39000;
	buf = malloc(call.len);
	ASSERT_NE(NULL, buf);
	ft_pattern(buf, 7, call.len);
	call.buf = buf;
	n = fill_to(other, &self->addr, 2000);
	ASSERT_LT(0, n);
	ASSERT_EQ(0, connect(self->tx, &self->addr.sa, self->addr.len));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	for (i = 0; i < n; i++)
		ASSERT_TRUE(record_next(self->rx, i, 2000));
	ft_join(&call);
	EXPECT_EQ(call.len, call.ret);
	EXPECT_TRUE(record_next(self->rx, 7, call.len));
	/* Nor does one that gives up leave anything. */
	n = fill_to(other, &self->addr, 2000);
	ASSERT_LT(0, n);
	ASSERT_EQ(0, ft_settimeo(self->tx, SO_SNDTIMEO, 50));
	EXPECT_ERR(EAGAIN, send(self->tx, buf, call.len, 0));
	EXPECT_EQ(0, ft_meminfo(self->tx, SK_MEMINFO_WMEM_ALLOC));
	free(buf);
	ft_close(&other);
}

/* Memory of a record that was refused is given back: that is no event. */
TEST_F(ferry_dgram, E05_refusals_are_no_events)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	int other = socket(AF_FERRY, SOCK_DGRAM, 0);
	int ep = epoll_create1(0);
	struct ft_call call = {
		.fn = ft_do_poll, .fd = self->tx, .events = POLLOUT,
		.timeout_ms = FT_LONG_MS,
	};
	char *buf = calloc(1, 150000);
	int i, n;

	ASSERT_NE(NULL, buf);
	ft_setint(self->rx, SO_RCVBUF, 8192);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->tx, &event));
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, 0));
	n = fill_to(other, &self->addr, 2000);
	ASSERT_LT(0, n);
	for (i = 0; i < 5; i++) {
		EXPECT_ERR(EAGAIN, sendto(self->tx, buf, 150000, MSG_DONTWAIT,
					  &self->addr.sa, self->addr.len));
		EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
	}
	EXPECT_EQ(0, ft_meminfo(self->tx, SK_MEMINFO_WMEM_ALLOC));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	for (i = 0; i < n; i++)
		ASSERT_TRUE(record_next(self->rx, i, 2000));
	ft_join(&call);
	EXPECT_EQ(POLLOUT, call.revents);
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, FT_LONG_MS));
	free(buf);
	ft_close(&ep);
	ft_close(&other);
}

/* Many senders. */

#define SENDERS		4
#define EACH		400

struct sender {
	pthread_t thread;
	const struct ft_addr *addr;
	int domain;
	int id;
	bool ok;
};

static void *send_numbers(void *arg)
{
	struct sender *sender = arg;
	int fd = socket(sender->domain, SOCK_DGRAM, 0);
	int message[64] = { sender->id };
	int i;

	for (i = 0; i < EACH; i++) {
		message[1] = i;
		if (sendto(fd, message, sizeof(message), 0, &sender->addr->sa,
			   sender->addr->len) != sizeof(message))
			break;
	}
	sender->ok = i == EACH;
	close(fd);
	return NULL;
}

TEST_F_TIMEOUT(local_dgram, F07_order_per_sender_and_no_loss, FT_SLOW_S)
{
	struct sender sender[SENDERS];
	int next[SENDERS] = { 0 };
	int message[64];
	int i;

	ft_setint(self->rx, SO_RCVBUF, 8192);
	for (i = 0; i < SENDERS; i++) {
		sender[i] = (struct sender){
			.addr = &self->addr, .domain = variant->domain,
			.id = i,
		};
		ASSERT_EQ(0, pthread_create(&sender[i].thread, NULL,
					    send_numbers, &sender[i]));
	}
	for (i = 0; i < SENDERS * EACH; i++) {
		ASSERT_EQ(sizeof(message), recv(self->rx, message,
						sizeof(message), 0));
		ASSERT_LE(0, message[0]);
		ASSERT_GT(SENDERS, message[0]);
		ASSERT_EQ(next[message[0]], message[1]);
		next[message[0]]++;
	}
	for (i = 0; i < SENDERS; i++) {
		pthread_join(sender[i].thread, NULL);
		EXPECT_TRUE(sender[i].ok);
	}
	EXPECT_EQ(0, ft_poll(self->rx, POLLIN, 0));
}

struct churner {
	pthread_t thread;
	const struct ft_addr *addr[2];
	int domain;
	int fd;
};

/* Connects one socket here and there while another thread sends with it. */
static void *churn_peer(void *arg)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	struct churner *churner = arg;
	int i;

	for (i = 0; i < 300; i++) {
		const struct ft_addr *addr = churner->addr[i & 1];

		connect(churner->fd, &addr->sa, addr->len);
		if (i % 3 == 0)
			connect(churner->fd, &unspec, sizeof(unspec));
	}
	return NULL;
}

TEST_F(local_dgram, F02_reconnecting_under_a_sender)
{
	struct ft_addr other_addr;
	struct churner churner = {
		.addr = { &self->addr, &other_addr }, .domain = variant->domain,
		.fd = self->tx,
	};
	int other = socket(variant->domain, SOCK_DGRAM, 0);
	int sent = 0, got = 0, i;
	char buf[8];

	ASSERT_LE(0, other);
	ASSERT_EQ(0, ft_bind_new(other, variant->domain, &other_addr));
	ASSERT_EQ(0, pthread_create(&churner.thread, NULL, churn_peer,
				    &churner));
	for (i = 0; i < 300; i++) {
		ssize_t n = send(self->tx, "x", 1, MSG_DONTWAIT);

		ASSERT_TRUE(n == 1 || errno == no_destination(variant->domain) ||
			    errno == EAGAIN);
		sent += n == 1;
		got += recv(self->rx, buf, sizeof(buf), MSG_DONTWAIT) == 1;
		got += recv(other, buf, sizeof(buf), MSG_DONTWAIT) == 1;
	}
	pthread_join(churner.thread, NULL);
	while (recv(self->rx, buf, sizeof(buf), MSG_DONTWAIT) == 1)
		got++;
	while (recv(other, buf, sizeof(buf), MSG_DONTWAIT) == 1)
		got++;
	EXPECT_EQ(sent, got);
	ft_close(&other);
}

FT_HARNESS_MAIN
