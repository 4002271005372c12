// SPDX-License-Identifier: GPL-2.0
/*
 * Broadcast on this host, node ff01::1. O09, O36, O44, F07, F09, F16, X02, X04, X08.
 */

#include "bpf_helpers.h"
#include "passenger.h"
#include "kselftest_harness.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/net_tstamp.h>

#define RECEIVERS	5

FIXTURE(broadcast)
{
	struct ft_leak leak;
	struct ft_addr name, all, from;
	int rx[RECEIVERS];
	int tx;
};

FIXTURE_VARIANT(broadcast)
{
	int type;
};

FIXTURE_VARIANT_ADD(broadcast, FERRY_dgram)
{
	.type = SOCK_DGRAM,
};

/* Further sockets that share the name. */
static int receiver(const struct ft_addr *name)
{
	int fd = socket(AF_FERRY, SOCK_DGRAM, 0);

	if (fd >= 0 && (ft_setint(fd, SO_REUSEADDR, 1) ||
			bind(fd, &name->sa, name->len)))
		ft_close(&fd);
	return fd;
}

FIXTURE_SETUP(broadcast)
{
	int i;

	FT_NEED(AF_FERRY, variant->type);
	ft_leak_start(&self->leak, AF_FERRY);
	umask(0);
	ft_addr_new(AF_FERRY, &self->name);
	self->all = self->name;
	self->all.ferry.sfy_node[0] = 0xff;
	self->all.ferry.sfy_node[1] = 0x01;
	self->all.ferry.sfy_node[15] = 1;
	for (i = 0; i < RECEIVERS; i++) {
		self->rx[i] = receiver(&self->name);
		ASSERT_LE(0, self->rx[i]);
	}
	self->tx = socket(AF_FERRY, SOCK_DGRAM, 0);
	ASSERT_EQ(0, ft_bind_new(self->tx, AF_FERRY, &self->from));
	ASSERT_EQ(0, ft_setint(self->tx, SO_BROADCAST, 1));
}

FIXTURE_TEARDOWN(broadcast)
{
	int i;

	for (i = 0; i < RECEIVERS; i++)
		ft_close(&self->rx[i]);
	ft_close(&self->tx);
	FT_NO_LEAK(&self->leak);
}

/* One record of @len patterned bytes, and whether it was taken. */
static bool shout(int fd, const struct ft_addr *to, int n, size_t len)
{
	char *buf = malloc(len);
	bool ok;

	ft_pattern(buf, n, len);
	ok = sendto(fd, buf, len, 0, &to->sa, to->len) == (ssize_t)len;
	free(buf);
	return ok;
}

static bool hear(int fd, int n, size_t len)
{
	char *buf = malloc(len + 1);
	bool ok;

	ok = recv(fd, buf, len + 1, MSG_DONTWAIT) == (ssize_t)len &&
	     ft_pattern_ok(buf, n, len);
	free(buf);
	return ok;
}

/* How many reports of the error queue there are to read. */
static int reports(int fd)
{
	char control[512];
	struct msghdr msg = {
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int n = 0;

	while (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
		msg.msg_controllen = sizeof(control);
		n++;
	}
	return n;
}

/* As many may read it, or nobody: it is sent, and never acknowledged. */
TEST_F(broadcast, O44_sent_once_and_never_acknowledged)
{
	int i;

	ASSERT_EQ(0, ft_setint(self->tx, SO_TIMESTAMPING,
			       SOF_TIMESTAMPING_SOFTWARE |
			       SOF_TIMESTAMPING_TX_SCHED |
			       SOF_TIMESTAMPING_TX_SOFTWARE |
			       SOF_TIMESTAMPING_TX_ACK));
	ASSERT_TRUE(shout(self->tx, &self->all, 0, 100));
	EXPECT_EQ(2, reports(self->tx));
	for (i = 0; i < RECEIVERS; i++)
		EXPECT_TRUE(hear(self->rx[i], 0, 100));
	EXPECT_EQ(0, reports(self->tx));
	/* Nor is what could not be sent. */
	ASSERT_EQ(0, ft_setint(self->tx, SO_BROADCAST, 0));
	EXPECT_FALSE(shout(self->tx, &self->all, 0, 100));
	EXPECT_EQ(0, reports(self->tx));
}

TEST_F(broadcast, O09_needs_the_flag)
{
	int i;

	ASSERT_EQ(0, ft_setint(self->tx, SO_BROADCAST, 0));
	EXPECT_ERR(EACCES, sendto(self->tx, "x", 1, 0, &self->all.sa,
				  self->all.len));
	for (i = 0; i < RECEIVERS; i++)
		EXPECT_EQ(0, ft_poll(self->rx[i], POLLIN, 0));
	/* Unicast needs none. */
	EXPECT_EQ(1, sendto(self->tx, "x", 1, 0, &self->name.sa,
			    self->name.len));
	/* Nor does the receiver. */
	EXPECT_EQ(0, ft_getint(self->rx[0], SO_BROADCAST));
	ASSERT_EQ(0, ft_setint(self->tx, SO_BROADCAST, 1));
	EXPECT_EQ(1, ft_getint(self->tx, SO_BROADCAST));
	EXPECT_TRUE(shout(self->tx, &self->all, 0, 10));
}

TEST_F(broadcast, F16_not_after_a_shutdown)
{
	int i;

	EXPECT_ERR(ENOTCONN, shutdown(self->tx, SHUT_WR));
	EXPECT_ERR(EPIPE, sendto(self->tx, "x", 1, 0, &self->all.sa,
				 self->all.len));
	for (i = 0; i < RECEIVERS; i++)
		EXPECT_EQ(0, ft_poll(self->rx[i], POLLIN, 0));
}

TEST_F(broadcast, O09_every_socket_of_the_name_gets_a_copy)
{
	static const size_t sizes[] = { 1, 100, 5000, 0, 60000 };
	size_t s;
	int i;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		ASSERT_TRUE(shout(self->tx, &self->all, s, sizes[s]));
		for (i = 0; i < RECEIVERS; i++)
			EXPECT_TRUE(hear(self->rx[i], s, sizes[s]));
	}
	for (i = 0; i < RECEIVERS; i++)
		EXPECT_EQ(0, ft_poll(self->rx[i], POLLIN, 0));
	EXPECT_EQ(0, ft_poll(self->tx, POLLIN, 0));
}

TEST_F(broadcast, O09_members_of_a_reuseport_group_too)
{
	struct ft_addr name, all;
	int fd[3], one = 1;
	int i;

	ft_addr_new(AF_FERRY, &name);
	all = name;
	memcpy(all.ferry.sfy_node, self->all.ferry.sfy_node, 16);
	for (i = 0; i < 3; i++) {
		fd[i] = socket(AF_FERRY, SOCK_DGRAM, 0);
		ASSERT_EQ(0, setsockopt(fd[i], SOL_FERRY, FERRY_REUSEPORT, &one,
					sizeof(one)));
		ASSERT_EQ(0, bind(fd[i], &name.sa, name.len));
	}
	ASSERT_TRUE(shout(self->tx, &all, 1, 20));
	for (i = 0; i < 3; i++) {
		EXPECT_TRUE(hear(fd[i], 1, 20));
		ft_close(&fd[i]);
	}
}

TEST_F(broadcast, O09_the_sender_is_told_of)
{
	struct pass pass;
	char buf[8];
	int i;

	ASSERT_TRUE(shout(self->tx, &self->all, 0, 1));
	for (i = 0; i < RECEIVERS; i++) {
		EXPECT_EQ(1, pass_recv(self->rx[i], buf, 8, &pass, 0));
		EXPECT_EQ(self->from.len, pass.from.len);
		EXPECT_EQ(0, memcmp(&self->from.ss, &pass.from.ss,
				    self->from.len));
	}
}

TEST_F(broadcast, O09_the_sender_hears_itself_when_it_has_the_name)
{
	ASSERT_EQ(0, ft_setint(self->rx[0], SO_BROADCAST, 1));
	ASSERT_TRUE(shout(self->rx[0], &self->all, 3, 10));
	EXPECT_TRUE(hear(self->rx[0], 3, 10));
	EXPECT_TRUE(hear(self->rx[1], 3, 10));
}

TEST_F(broadcast, O09_nobody_listens)
{
	struct ft_addr all;

	ft_addr_new(AF_FERRY, &all);
	memcpy(all.ferry.sfy_node, self->all.ferry.sfy_node, 16);
	EXPECT_TRUE(shout(self->tx, &all, 0, 10));
}

TEST_F(broadcast, O09_as_the_default_destination)
{
	int i;

	/* What INET lets one do with a broadcast address. */
	if (connect(self->tx, &self->all.sa, self->all.len)) {
		EXPECT_NE(0, errno);
		SKIP(return, "connect to a broadcast node is refused");
	}
	EXPECT_EQ(1, send(self->tx, "x", 1, 0));
	for (i = 0; i < RECEIVERS; i++)
		EXPECT_NE(0, ft_poll(self->rx[i], POLLIN, 0));
}

TEST_F(broadcast, O09_no_effect_on_connections)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	struct ft_addr all;
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		struct ft_kind kind = { AF_FERRY, types[i] };
		int listener = ft_listener(&kind, &all, 4);

		ASSERT_LE(0, listener);
		memcpy(all.ferry.sfy_node, self->all.ferry.sfy_node, 16);
		fd = socket(AF_FERRY, types[i], 0);
		ASSERT_EQ(0, ft_setint(fd, SO_BROADCAST, 1));
		EXPECT_NE(0, ft_err(connect(fd, &all.sa, all.len)));
		ft_close(&fd);
		ft_close(&listener);
	}
}

TEST_F(broadcast, O09_connected_receivers_hear_their_peer_only)
{
	ASSERT_EQ(0, connect(self->rx[0], &self->from.sa, self->from.len));
	ASSERT_EQ(0, connect(self->rx[1], &self->name.sa, self->name.len));
	ASSERT_TRUE(shout(self->tx, &self->all, 1, 10));
	EXPECT_TRUE(hear(self->rx[0], 1, 10));
	EXPECT_EQ(0, ft_poll(self->rx[1], POLLIN, 0));
	EXPECT_TRUE(hear(self->rx[2], 1, 10));
}

TEST_F(broadcast, O02_who_does_not_hear_it_does_not_drop_it)
{
	struct sock_filter code = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog none = { .len = 1, .filter = &code };
	struct ft_addr addr;
	int i, other;

	other = socket(AF_FERRY, SOCK_DGRAM, 0);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, ft_bind_new(other, AF_FERRY, &addr));
	ASSERT_EQ(0, connect(self->rx[0], &addr.sa, addr.len));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, setsockopt(self->rx[i], SOL_SOCKET,
					SO_ATTACH_FILTER, &none, sizeof(none)));
	ASSERT_TRUE(shout(self->tx, &self->all, 0, 10));
	EXPECT_EQ(0, ft_meminfo(self->rx[0], SK_MEMINFO_DROPS));
	EXPECT_EQ(1, ft_meminfo(self->rx[1], SK_MEMINFO_DROPS));
	EXPECT_TRUE(hear(self->rx[2], 0, 10));
	ft_close(&other);
}

TEST_F(broadcast, O09_a_receiver_that_hears_nothing)
{
	/* Shut down for reading, it does not count as slow either. */
	ASSERT_EQ(0, connect(self->rx[0], &self->from.sa, self->from.len));
	ASSERT_EQ(0, shutdown(self->rx[0], SHUT_RD));
	ft_close(&self->rx[1]);
	ASSERT_TRUE(shout(self->tx, &self->all, 1, 10));
	EXPECT_EQ(0, ft_meminfo(self->rx[0], SK_MEMINFO_DROPS));
	EXPECT_TRUE(hear(self->rx[2], 1, 10));
}

/* A slow receiver. */

TEST_F(broadcast, O36_a_slow_receiver_loses_and_counts)
{
	int sent = 200, got = 0, last = -1, next;
	struct pass pass;
	int message[250];
	int i, j;

	ASSERT_EQ(0, ft_setint(self->rx[0], SO_RCVBUF, 8192));
	ASSERT_EQ(0, ft_setint(self->rx[0], SO_RXQ_OVFL, 1));
	for (i = 0; i < sent; i++) {
		message[0] = i;
		/* Never stalls, never fails, whoever sleeps. */
		ASSERT_EQ(sizeof(message),
			  sendto(self->tx, message, sizeof(message),
				 MSG_DONTWAIT, &self->all.sa, self->all.len));
		for (j = 1; j < RECEIVERS; j++) {
			ASSERT_EQ(sizeof(message),
				  recv(self->rx[j], message, sizeof(message),
				       MSG_DONTWAIT));
			ASSERT_EQ(i, message[0]);
		}
	}
	for (;;) {
		if (pass_recv(self->rx[0], message, sizeof(message), &pass,
			      MSG_DONTWAIT) < 0)
			break;
		next = message[0];
		ASSERT_LT(last, next);
		last = next;
		got++;
	}
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_LT(0, got);
	EXPECT_GT(sent, got);
	EXPECT_EQ(sent - got, ft_meminfo(self->rx[0], SK_MEMINFO_DROPS));
	for (j = 1; j < RECEIVERS; j++)
		EXPECT_EQ(0, ft_meminfo(self->rx[j], SK_MEMINFO_DROPS));

	/* The count comes with whatever is received after the loss. */
	ASSERT_TRUE(shout(self->tx, &self->all, 0, 10));
	ASSERT_EQ(10, pass_recv(self->rx[0], message, sizeof(message), &pass,
				0));
	EXPECT_EQ(1, pass.overflow);
	EXPECT_EQ(sent - got, pass.dropped);
	/* And not at all to those who lost nothing. */
	ASSERT_EQ(0, ft_setint(self->rx[1], SO_RXQ_OVFL, 1));
	ASSERT_EQ(10, pass_recv(self->rx[1], message, sizeof(message), &pass,
				0));
	EXPECT_EQ(0, pass.overflow);
}

TEST_F(broadcast, O09_the_senders_buffer_is_no_limit)
{
	int i;

	/* A slow receiver must not stall the sender through its own buffer. */
	ASSERT_EQ(0, ft_setint(self->tx, SO_SNDBUF, 8192));
	for (i = 0; i < 100; i++) {
		ASSERT_TRUE(shout(self->tx, &self->all, i, 4000));
		ASSERT_TRUE(hear(self->rx[1], i, 4000));
	}
	EXPECT_EQ(POLLOUT, ft_poll(self->tx, POLLOUT, 0));
}

TEST_F(broadcast, O09_policy_disconnect)
{
	int value = FERRY_BROADCAST_DISCONNECT;
	int policy = -1, i;
	socklen_t len = sizeof(policy);
	char buf[8];

	ASSERT_EQ(0, getsockopt(self->rx[0], SOL_FERRY, FERRY_BROADCAST_POLICY,
				&policy, &len));
	EXPECT_EQ(FERRY_BROADCAST_DROP, policy);
	ASSERT_EQ(0, setsockopt(self->rx[0], SOL_FERRY, FERRY_BROADCAST_POLICY,
				&value, sizeof(value)));
	ASSERT_EQ(0, getsockopt(self->rx[0], SOL_FERRY, FERRY_BROADCAST_POLICY,
				&policy, &len));
	EXPECT_EQ(FERRY_BROADCAST_DISCONNECT, policy);
	value = 2;
	EXPECT_ERR(EINVAL, setsockopt(self->rx[0], SOL_FERRY,
				      FERRY_BROADCAST_POLICY, &value,
				      sizeof(value)));

	ASSERT_EQ(0, ft_setint(self->rx[0], SO_RCVBUF, 8192));
	for (i = 0; i < 200; i++) {
		ASSERT_TRUE(shout(self->tx, &self->all, i, 1000));
		ASSERT_TRUE(hear(self->rx[1], i, 1000));
		if (ft_poll(self->rx[0], 0, 0) & POLLERR)
			break;
	}
	ASSERT_GT(200, i);
	EXPECT_LT(0, ft_meminfo(self->rx[0], SK_MEMINFO_DROPS));
	EXPECT_EQ(ENOBUFS, ft_getint(self->rx[0], SO_ERROR));
	EXPECT_EQ(0, ft_getint(self->rx[0], SO_ERROR));
	/* What came before stays readable. */
	EXPECT_TRUE(hear(self->rx[0], 0, 1000));

	/* Without SO_ERROR the next read tells, once, before what waits. */
	while (!(ft_poll(self->rx[0], 0, 0) & POLLERR))
		ASSERT_TRUE(shout(self->tx, &self->all, 0, 1000));
	EXPECT_ERR(ENOBUFS, recv(self->rx[0], buf, sizeof(buf), MSG_DONTWAIT));
	EXPECT_TRUE(hear(self->rx[0], 1, 1000));
}

TEST_F(broadcast, O09_always_behind_is_told_each_time)
{
	int value = FERRY_BROADCAST_DISCONNECT;
	int i, round, lost, n = 0;
	char buf[8];

	ASSERT_EQ(0, setsockopt(self->rx[0], SOL_FERRY, FERRY_BROADCAST_POLICY,
				&value, sizeof(value)));
	ASSERT_EQ(0, ft_setint(self->rx[0], SO_RCVBUF, 8192));
	for (round = 0; round < 20; round++) {
		/* Read one of many that are sent: there is always something. */
		lost = ft_meminfo(self->rx[0], SK_MEMINFO_DROPS);
		do {
			ASSERT_TRUE(shout(self->tx, &self->all, n, 1000));
			n++;
			ASSERT_GT(1000, n);
		} while (lost == ft_meminfo(self->rx[0], SK_MEMINFO_DROPS));
		EXPECT_EQ(POLLIN | POLLERR, ft_poll(self->rx[0], POLLIN, 0));
		EXPECT_ERR(ENOBUFS, recv(self->rx[0], buf, sizeof(buf),
					 MSG_PEEK | MSG_DONTWAIT));
		/* Contact is still lost: nothing new to tell. */
		for (i = 0; i < 3; i++, n++)
			ASSERT_TRUE(shout(self->tx, &self->all, n, 1000));
		EXPECT_EQ(POLLIN, ft_poll(self->rx[0], POLLIN, 0));
		EXPECT_EQ(0, ft_getint(self->rx[0], SO_ERROR));
		EXPECT_LT(0, recv(self->rx[0], buf, sizeof(buf), MSG_DONTWAIT));
		EXPECT_EQ(POLLIN, ft_poll(self->rx[0], POLLIN, 0));
	}
}

TEST_F(broadcast, O09_what_was_lost_fails_no_send)
{
	int value = FERRY_BROADCAST_DISCONNECT;
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->rx[0], .buf = "x", .len = 1,
	};
	struct ft_addr addr;
	char buf[1000] = "";
	int fd;

	fd = socket(AF_FERRY, SOCK_DGRAM, 0);
	ASSERT_EQ(0, ft_bind_new(fd, AF_FERRY, &addr));
	ASSERT_EQ(0, setsockopt(self->rx[0], SOL_FERRY, FERRY_BROADCAST_POLICY,
				&value, sizeof(value)));
	ASSERT_EQ(0, ft_setint(self->rx[0], SO_RCVBUF, 8192));
	while (!(ft_poll(self->rx[0], 0, 0) & POLLERR))
		ASSERT_TRUE(shout(self->tx, &self->all, 0, 1000));
	EXPECT_EQ(1, sendto(self->rx[0], "x", 1, 0, &addr.sa, addr.len));
	EXPECT_EQ(1, recv(fd, buf, sizeof(buf), 0));
	/* Nor does one that has to wait. */
	ASSERT_EQ(0, ft_setint(fd, SO_RCVBUF, 4096));
	while (sendto(self->tx, buf, sizeof(buf), MSG_DONTWAIT, &addr.sa,
		      addr.len) > 0)
		;
	ASSERT_EQ(0, connect(self->rx[0], &addr.sa, addr.len));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	ft_join(&call);
	EXPECT_EQ(1, call.ret);
	/* It is still to be told. */
	EXPECT_ERR(ENOBUFS, recv(self->rx[0], buf, sizeof(buf), MSG_DONTWAIT));
	ft_close(&fd);
}

TEST_F(broadcast, O09_room_is_looked_for_first)
{
	int value = FERRY_BROADCAST_DISCONNECT;

	ASSERT_EQ(0, setsockopt(self->rx[0], SOL_FERRY, FERRY_BROADCAST_POLICY,
				&value, sizeof(value)));
	ASSERT_EQ(0, ft_setint(self->rx[0], SO_RCVBUF, 8192));
	while (!ft_meminfo(self->rx[0], SK_MEMINFO_DROPS))
		ASSERT_TRUE(shout(self->tx, &self->all, 0, 1000));
	EXPECT_EQ(ENOBUFS, ft_getint(self->rx[0], SO_ERROR));
	EXPECT_TRUE(hear(self->rx[0], 0, 1000));
	ASSERT_TRUE(shout(self->tx, &self->all, 0, 1000));
	/* Full again: what is lost now the filter never saw. */
	ASSERT_EQ(0, filter_constant(self->rx[0], 0));
	ASSERT_TRUE(shout(self->tx, &self->all, 0, 1000));
	EXPECT_EQ(ENOBUFS, ft_getint(self->rx[0], SO_ERROR));
	EXPECT_TRUE(hear(self->rx[0], 0, 1000));
	ASSERT_TRUE(shout(self->tx, &self->all, 0, 1000));
	EXPECT_EQ(0, ft_getint(self->rx[0], SO_ERROR));
}

#define MANY	100

TEST_F(broadcast, O09_many_receivers)
{
	int fd[MANY];
	int i, round;

	for (i = 0; i < MANY; i++) {
		fd[i] = receiver(&self->name);
		ASSERT_LE(0, fd[i]);
	}
	for (round = 0; round < 3; round++) {
		ASSERT_TRUE(shout(self->tx, &self->all, round, 300));
		for (i = 0; i < MANY; i++)
			EXPECT_TRUE(hear(fd[i], round, 300));
		for (i = 0; i < RECEIVERS; i++)
			EXPECT_TRUE(hear(self->rx[i], round, 300));
	}
	for (i = 0; i < MANY; i++)
		ft_close(&fd[i]);
}

/* Looks through a message of attributes, @ops times. */
static int attach_slow(int fd, int ops)
{
	struct sock_filter *code = calloc(2 * ops + 2, sizeof(*code));
	int i, n = 0, err;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LDX | BPF_IMM, 0x3fff);
	for (i = 0; i < ops; i++) {
		code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, 0);
		code[n++] = (struct sock_filter)
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
				 SKF_AD_OFF + SKF_AD_NLATTR);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	err = filter_attach(fd, code, n);
	free(code);
	return err;
}

static atomic_bool rival_stop;

static void *rival(void *arg)
{
	while (!atomic_load(&rival_stop))
		;
	return arg;
}

/*
 * Filters that keep a broadcast going for many slices of time, and somebody else
 * on the same processor: it gets its turns in between. Counted are the turns, not
 * the time.
 */
TEST_F_TIMEOUT(broadcast, X08_a_long_one_lets_others_run, FT_SLOW_S)
{
	struct rusage before, after;
	__u16 attrs[8192];
	pthread_t thread;
	cpu_set_t cpus;
	int fd[90];
	long turns;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(attrs); i += 2) {
		attrs[i] = 4;
		attrs[i + 1] = 1;
	}
	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = receiver(&self->name);
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(0, attach_slow(fd[i], 300));
	}
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpus), &cpus));
	atomic_store(&rival_stop, false);
	ASSERT_EQ(0, pthread_create(&thread, NULL, rival, NULL));
	getrusage(RUSAGE_THREAD, &before);
	EXPECT_EQ(sizeof(attrs), sendto(self->tx, attrs, sizeof(attrs), 0,
					&self->all.sa, self->all.len));
	getrusage(RUSAGE_THREAD, &after);
	atomic_store(&rival_stop, true);
	pthread_join(thread, NULL);
	turns = after.ru_nvcsw + after.ru_nivcsw -
		before.ru_nvcsw - before.ru_nivcsw;
	/* One may be on the way in, one on the way out. */
	EXPECT_LT(3, turns);
	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		EXPECT_EQ(1, ft_meminfo(fd[i], SK_MEMINFO_DROPS));
		ft_close(&fd[i]);
	}
}

TEST_F(broadcast, F09_wakes_every_receiver)
{
	struct ft_call call[RECEIVERS];
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	char buf[RECEIVERS][8];
	int i, ep[RECEIVERS];

	for (i = 0; i < RECEIVERS; i++) {
		ep[i] = epoll_create1(0);
		ASSERT_EQ(0, epoll_ctl(ep[i], EPOLL_CTL_ADD, self->rx[i],
				       &event));
		call[i] = (struct ft_call){
			.fn = ft_do_recv, .fd = self->rx[i], .buf = buf[i],
			.len = 8, .flags = MSG_PEEK,
		};
		ASSERT_EQ(0, ft_start(&call[i]));
		ASSERT_TRUE(ft_blocked(&call[i]));
	}
	ASSERT_TRUE(shout(self->tx, &self->all, 0, 3));
	for (i = 0; i < RECEIVERS; i++) {
		ft_join(&call[i]);
		EXPECT_EQ(3, call[i].ret);
		EXPECT_EQ(1, epoll_wait(ep[i], &event, 1, FT_LONG_MS));
		EXPECT_EQ(0, epoll_wait(ep[i], &event, 1, 0));
	}
	/* Readable already: every message is an event all the same. */
	ASSERT_TRUE(shout(self->tx, &self->all, 0, 3));
	for (i = 0; i < RECEIVERS; i++) {
		EXPECT_EQ(1, epoll_wait(ep[i], &event, 1, FT_LONG_MS));
		ft_close(&ep[i]);
	}
}

/* Payload is shared: what one does must not show to another. */

TEST_F(broadcast, O09_copies_are_independent)
{
	char buf[5000];
	int i;

	ASSERT_TRUE(shout(self->tx, &self->all, 1, 5000));
	ASSERT_EQ(10, recv(self->rx[0], buf, 10, 0));
	ASSERT_EQ(5000, recv(self->rx[1], buf, 10, MSG_TRUNC | MSG_PEEK));
	ft_close(&self->rx[2]);
	ASSERT_EQ(0, ft_setint(self->rx[3], SO_PEEK_OFF, 100));
	ASSERT_EQ(10, recv(self->rx[3], buf, 10, MSG_PEEK));
	EXPECT_TRUE(ft_pattern_ok(buf, 101, 10));
	for (i = 1; i < RECEIVERS; i++) {
		if (i != 2)
			EXPECT_TRUE(hear(self->rx[i], 1, 5000));
	}
	EXPECT_EQ(0, ft_poll(self->rx[0], POLLIN, 0));
}

TEST_F(broadcast, O09_sender_gone_before_it_is_read)
{
	int i;

	ASSERT_TRUE(shout(self->tx, &self->all, 1, 5000));
	ft_close(&self->tx);
	for (i = 0; i < RECEIVERS; i++)
		EXPECT_TRUE(hear(self->rx[i], 1, 5000));
}

TEST_F(broadcast, X01_descriptors_are_refused)
{
	struct iovec iov = { "x", 1 };
	struct {
		struct cmsghdr header;
		int fd;
	} control = {
		.header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS },
		.fd = self->tx,
	};
	struct msghdr msg = {
		.msg_name = &self->all.ss, .msg_namelen = self->all.len,
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int i;

	EXPECT_ERR(EOPNOTSUPP, sendmsg(self->tx, &msg, 0));
	for (i = 0; i < RECEIVERS; i++)
		EXPECT_EQ(0, ft_poll(self->rx[i], POLLIN, 0));
}

TEST_F(broadcast, O21_credentials)
{
	struct pass pass;
	char buf[8];

	ASSERT_EQ(0, ft_setint(self->rx[0], SO_PASSCRED, 1));
	ASSERT_TRUE(shout(self->tx, &self->all, 0, 1));
	EXPECT_EQ(1, pass_recv(self->rx[0], buf, 8, &pass, 0));
	EXPECT_EQ(1, pass.creds);
	EXPECT_EQ(getpid(), pass.cred.pid);
	EXPECT_EQ(1, pass_recv(self->rx[1], buf, 8, &pass, 0));
	EXPECT_EQ(0, pass.creds);
}

TEST_F(broadcast, F07_too_large_and_faults)
{
	int len = ft_getint(self->tx, SO_SNDBUF) + 1;
	char *buf = calloc(1, len);
	int i;

	ASSERT_NE(NULL, buf);
	EXPECT_ERR(EMSGSIZE, sendto(self->tx, buf, len, 0, &self->all.sa,
				    self->all.len));
	EXPECT_ERR(EFAULT, sendto(self->tx, FT_WILD, 100, 0, &self->all.sa,
				  self->all.len));
	EXPECT_ERR(EOPNOTSUPP, sendto(self->tx, buf, 1, MSG_OOB, &self->all.sa,
				      self->all.len));
	for (i = 0; i < RECEIVERS; i++)
		EXPECT_EQ(0, ft_poll(self->rx[i], POLLIN, 0));
	free(buf);
}

TEST_F(broadcast, X02_against_the_mode)
{
	unsigned int mode = 0600;
	struct ft_child child;
	int i;

	if (geteuid())
		SKIP(return, "needs root to become somebody else");
	ASSERT_EQ(0, setsockopt(self->rx[0], SOL_FERRY, FERRY_MODE, &mode,
				sizeof(mode)));
	if (!ft_fork(&child)) {
		if (!ft_become(65534, 65534))
			_exit(255);
		_exit(ft_err(sendto(self->tx, "x", 1, 0, &self->all.sa,
				    self->all.len)));
	}
	EXPECT_EQ(EACCES, ft_wait_child(&child));
	for (i = 0; i < RECEIVERS; i++)
		EXPECT_EQ(0, ft_poll(self->rx[i], POLLIN, 0));
}

TEST_F(broadcast, X04_ends_at_the_namespace)
{
	struct ft_child child;
	int fd, tx;

	if (!ft_fork(&child)) {
		if (unshare(CLONE_NEWNET))
			_exit(255);
		fd = receiver(&self->name);
		tx = socket(AF_FERRY, SOCK_DGRAM, 0);
		if (fd < 0 || ft_setint(tx, SO_BROADCAST, 1) ||
		    !shout(tx, &self->all, 1, 10) || !hear(fd, 1, 10))
			_exit(1);
		_exit(ft_poll(self->rx[0], POLLIN, 0) ? 2 : 0);
	}
	EXPECT_EQ(0, ft_wait_child(&child));
}

/* Receivers come and go while it rains. */

struct visitor {
	pthread_t thread;
	const struct ft_addr *name;
	atomic_bool stop;
	int heard;
};

static void *visit(void *arg)
{
	struct visitor *visitor = arg;
	char buf[3000];

	while (!atomic_load(&visitor->stop)) {
		int fd = receiver(visitor->name);

		while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			visitor->heard++;
		ft_close(&fd);
	}
	return NULL;
}

TEST_F(broadcast, F15_receivers_come_and_go)
{
	struct visitor visitor = { .name = &self->name };
	int i;

	ASSERT_EQ(0, pthread_create(&visitor.thread, NULL, visit, &visitor));
	for (i = 0; i < 500; i++) {
		ASSERT_TRUE(shout(self->tx, &self->all, i, 2000));
		ASSERT_TRUE(hear(self->rx[0], i, 2000));
	}
	atomic_store(&visitor.stop, true);
	pthread_join(visitor.thread, NULL);
}

/* The next message of the error queue: its ee_info, or -1; *@to is the offender. */
static int next_stamp(int fd, struct ft_addr *to)
{
	union {
		struct cmsghdr align;
		char buf[512];
	} control;
	char buf[256];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct sock_extended_err err;
	struct cmsghdr *cmsg;
	int info = -1;

	if (recvmsg(fd, &msg, MSG_ERRQUEUE) < 0)
		return -1;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_FERRY ||
		    cmsg->cmsg_type != FERRY_RECVERR)
			continue;
		memcpy(&err, CMSG_DATA(cmsg), sizeof(err));
		to->len = cmsg->cmsg_len - CMSG_LEN(sizeof(err));
		memcpy(&to->ss, CMSG_DATA(cmsg) + sizeof(err), to->len);
		info = err.ee_info;
	}
	return info;
}

TEST_F(broadcast, O44_stamps_of_sender_and_receivers)
{
	struct ft_addr to;
	struct pass pass;
	char buf[64];
	int i;

	ASSERT_EQ(0, ft_setint(self->tx, SO_TIMESTAMPING,
			       SOF_TIMESTAMPING_SOFTWARE |
			       SOF_TIMESTAMPING_TX_SCHED |
			       SOF_TIMESTAMPING_TX_SOFTWARE |
			       SOF_TIMESTAMPING_TX_ACK));
	/* Asked for, not asked for, cut, and dropped. */
	ASSERT_EQ(0, ft_setint(self->rx[0], SO_TIMESTAMP, 1));
	ASSERT_EQ(0, ft_setint(self->rx[2], SO_TIMESTAMP, 1));
	ASSERT_EQ(0, filter_constant(self->rx[2], 5));
	ASSERT_EQ(0, ft_setint(self->rx[3], SO_TIMESTAMP, 1));
	ASSERT_EQ(0, filter_constant(self->rx[3], 0));
	ASSERT_TRUE(shout(self->tx, &self->all, 1, 20));

	/* Sent once, to nobody in particular. */
	EXPECT_EQ(SCM_TSTAMP_SCHED, next_stamp(self->tx, &to));
	EXPECT_EQ(FERRY_ADDR_HDR, to.len);
	EXPECT_EQ(SCM_TSTAMP_SND, next_stamp(self->tx, &to));
	EXPECT_EQ(FERRY_ADDR_HDR, to.len);
	EXPECT_ERR(EAGAIN, next_stamp(self->tx, &to));

	for (i = 0; i < RECEIVERS; i++) {
		int len = i == 2 ? 5 : 20;

		if (i == 3) {
			EXPECT_ERR(EAGAIN, pass_recv(self->rx[i], buf, sizeof(buf),
						     &pass, MSG_DONTWAIT));
			continue;
		}
		EXPECT_EQ(len, pass_recv(self->rx[i], buf, sizeof(buf), &pass,
					 MSG_DONTWAIT));
		EXPECT_TRUE(ft_pattern_ok(buf, 1, len));
		EXPECT_EQ(i == 0 || i == 2, pass.other);
	}
	/* Whoever has read it, it is not acknowledged. */
	EXPECT_ERR(EAGAIN, next_stamp(self->tx, &to));
}

FT_HARNESS_MAIN
