// SPDX-License-Identifier: GPL-2.0
/*
 * Groups of sockets that share a name: how connections and datagrams are
 * spread, by a hash or by a program. O05-O07, O15, O35.
 */

#include "reuse_fixture.h"

#include <sched.h>

FIXTURE(group)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int fd[GROUP_MAX];
};

FIXTURE_VARIANT(group)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(group, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(group, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(group, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM },
};

FIXTURE_VARIANT_ADD(group, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(group, UDP_dgram)
{
	.kind = { AF_INET, SOCK_DGRAM },
};

FIXTURE_SETUP(group)
{
	int i;

	for (i = 0; i < GROUP_MAX; i++)
		self->fd[i] = -1;
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	memset(&self->addr, 0, sizeof(self->addr));
}

FIXTURE_TEARDOWN(group)
{
	int i;

	for (i = 0; i < GROUP_MAX; i++)
		ft_close(&self->fd[i]);
	FT_NO_LEAK(&self->leak);
}

/* Makes members up to number @n. */
#define MEMBERS(n)							\
do {									\
	int _i;								\
									\
	for (_i = 0; _i < (n); _i++) {					\
		if (self->fd[_i] >= 0)					\
			continue;					\
		self->fd[_i] = group_join(&variant->kind, &self->addr); \
		ASSERT_LE(0, self->fd[_i]);				\
		ASSERT_LE(0, ft_nonblock(self->fd[_i], true));		\
	}								\
} while (0)

/* A knock with @byte must be heard by member @who of @n. */
#define KNOCK(byte, who, n)						\
do {									\
	ASSERT_EQ(0, group_knock(&variant->kind, &self->addr, byte));	\
	ASSERT_EQ(who, group_who(&variant->kind, self->fd, n));		\
} while (0)

/* Who may join. */

TEST_F(group, O35_flag_reads_back)
{
	int fd = socket(variant->kind.domain, variant->kind.type, 0);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, ft_getint(fd, SO_REUSEPORT));
	ASSERT_EQ(0, group_flag(fd, 1));
	EXPECT_EQ(1, ft_getint(fd, SO_REUSEPORT));
	ASSERT_EQ(0, group_flag(fd, 0));
	EXPECT_EQ(0, ft_getint(fd, SO_REUSEPORT));
	ft_close(&fd);
}

TEST_F(group, O35_every_member_needs_the_flag)
{
	int first, second, a, b;

	for (first = 0; first < 2; first++) {
		for (second = 0; second < 2; second++) {
			a = socket(variant->kind.domain, variant->kind.type, 0);
			b = socket(variant->kind.domain, variant->kind.type, 0);
			ASSERT_EQ(0, group_flag(a, first));
			ASSERT_EQ(0, group_flag(b, second));
			ASSERT_EQ(0, ft_bind_new(a, variant->kind.domain,
						 &self->addr));
			EXPECT_EQ(first && second ? 0 : EADDRINUSE,
				  ft_err(bind(b, &self->addr.sa,
					      self->addr.len)));
			ft_close(&a);
			ft_close(&b);
		}
	}
}

TEST_F(group, O35_set_after_bind_it_does_not_count)
{
	int a, b;

	/* INET takes it on the earlier socket when the later one is bound. */
	if (variant->kind.domain != AF_FERRY)
		SKIP(return, "not promised");
	a = socket(variant->kind.domain, variant->kind.type, 0);
	b = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_EQ(0, ft_bind_new(a, variant->kind.domain, &self->addr));
	group_flag(a, 1);
	ASSERT_EQ(0, group_flag(b, 1));
	EXPECT_ERR(EADDRINUSE, bind(b, &self->addr.sa, self->addr.len));
	/* No program either: there is no group and will be none. */
	if (variant->kind.type == SOCK_DGRAM)
		EXPECT_ERR(EINVAL, group_cbpf(a, SO_ATTACH_REUSEPORT_CBPF,
					      false, 0));
	ft_close(&a);
	ft_close(&b);
}

TEST_F(group, O35_same_effective_uid)
{
	struct ft_child child;
	int fd;

	if (geteuid())
		SKIP(return, "needs root to become somebody else");
	MEMBERS(1);
	if (!ft_fork(&child)) {
		if (seteuid(65534))
			_exit(255);
		fd = socket(variant->kind.domain, variant->kind.type, 0);
		if (group_flag(fd, 1))
			_exit(254);
		_exit(ft_err(bind(fd, &self->addr.sa, self->addr.len)));
	}
	EXPECT_EQ(EADDRINUSE, ft_wait_child(&child));
	/* The same user in another process may. */
	if (!ft_fork(&child)) {
		fd = group_join(&variant->kind, &self->addr);
		_exit(fd < 0 ? errno : 0);
	}
	EXPECT_EQ(0, ft_wait_child(&child));
}

/* Without a program. */

/* Which of the members has something, within @ms, or -1. */
static int group_ready(const int *fd, int ms)
{
	struct pollfd pfd[GROUP_MAX];
	int i;

	for (i = 0; i < GROUP_MAX; i++)
		pfd[i] = (struct pollfd){ .fd = fd[i], .events = POLLIN };
	if (poll(pfd, GROUP_MAX, ms) <= 0)
		return -1;
	for (i = 0; i < GROUP_MAX - 1 && !pfd[i].revents; i++)
		;
	return i;
}

TEST_F_TIMEOUT(group, O35_even_shares, FT_SLOW_S)
{
	bool tcp = variant->kind.domain == AF_INET &&
		   variant->kind.type == SOCK_STREAM;
	int wait_ms = tcp ? 0 : FT_LONG_MS;
	int count[GROUP_MAX] = { 0 };
	int rounds = 16000;
	int64_t start = ft_now_ms();
	int mean, slack, least, most;
	int i, j, done;

	MEMBERS(GROUP_MAX);
	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(0, group_knock(&variant->kind, &self->addr, 0));
		if (i % 64 != 63)
			continue;
		for (j = 0; j < GROUP_MAX; j++)
			while (group_take(&variant->kind, self->fd[j]))
				count[j]++;
		/* A slow machine is content with fewer of them. */
		if (i >= 999 && ft_now_ms() - start > 10000)
			break;
	}
	rounds = i < rounds ? i + 1 : rounds;
	done = 0;
	least = rounds;
	most = 0;
	for (j = 0; j < GROUP_MAX; j++)
		done += count[j];
	/* The last ones of UDP may be on their way yet. */
	while (done < rounds && (j = group_ready(self->fd, wait_ms)) >= 0)
		while (group_take(&variant->kind, self->fd[j])) {
			count[j]++;
			done++;
		}
	for (j = 0; j < GROUP_MAX; j++) {
		least = count[j] < least ? count[j] : least;
		most = count[j] > most ? count[j] : most;
	}
	TH_LOG("%d rounds in %lld ms: mean %d, least %d, most %d", rounds,
	       (long long)(ft_now_ms() - start), rounds / GROUP_MAX, least,
	       most);
	/*
	 * The reset of a TCP connection may overtake the end of its handshake,
	 * by the queue of another CPU: then nobody gets to accept it.
	 */
	EXPECT_LE(tcp ? rounds - rounds / 100 : rounds, done);
	EXPECT_GE(rounds, done);
	/*
	 * Within a quarter of the mean, or six standard deviations where these are
	 * more, as with less than 9216 rounds.
	 */
	mean = rounds / GROUP_MAX;
	slack = mean / 4;
	while (slack * slack < 36 * mean)
		slack++;
	EXPECT_LE(mean - slack, least);
	EXPECT_GE(mean + slack, most);
}

TEST_F(group, O35_a_member_that_goes_gets_nothing)
{
	int i, who;

	MEMBERS(4);
	ft_close(&self->fd[2]);
	for (i = 0; i < 40; i++) {
		ASSERT_EQ(0, group_knock(&variant->kind, &self->addr, 0));
		who = group_who(&variant->kind, self->fd, 4);
		ASSERT_LE(0, who);
		ASSERT_NE(2, who);
	}
}

/* A member that listens, closes, listens ... */
struct comer {
	pthread_t thread;
	const struct ft_kind *kind;
	struct ft_addr addr;
	atomic_bool stop;
	atomic_int rounds;
	bool failed;
};

/* Whose queue is full keeps who comes waiting, and refuses it when it closes. */
#define STAY	32

static void *come_and_go(void *arg)
{
	struct comer *c = arg;

	while (!atomic_load(&c->stop)) {
		int fd = group_join(c->kind, &c->addr);

		c->failed |= fd < 0;
		ft_close(&fd);
		atomic_fetch_add(&c->rounds, 1);
	}
	return NULL;
}

TEST_F_TIMEOUT(group, O35_nobody_is_refused_while_a_member_listens, FT_SLOW_S)
{
	struct comer c = { .kind = &variant->kind };
	int64_t start = ft_now_ms();
	int i, rounds;

	if (variant->kind.domain == AF_INET &&
	    variant->kind.type == SOCK_STREAM)
		SKIP(return, "TCP resets who meets a closing member");
	MEMBERS(1);
	ASSERT_EQ(0, ft_nonblock(self->fd[0], true));
	c.addr = self->addr;
	ASSERT_EQ(0, pthread_create(&c.thread, NULL, come_and_go, &c));
	for (i = 0; i < 4000; i++) {
		if (group_knock(&variant->kind, &self->addr, 0))
			break;
		while (group_take(&variant->kind, self->fd[0]))
			;
		/* One that got no processor would fill up. */
		rounds = atomic_load(&c.rounds);
		while (i % STAY == 0 && atomic_load(&c.rounds) == rounds)
			sched_yield();
		/* A slow machine is content with fewer of them. */
		if (ft_now_ms() - start > 10000)
			i = 3999;
	}
	EXPECT_EQ(4000, i);
	atomic_store(&c.stop, true);
	pthread_join(c.thread, NULL);
	EXPECT_FALSE(c.failed);
}

TEST_F(group, O35_last_one_out_frees_the_name)
{
	int fd = socket(variant->kind.domain, variant->kind.type, 0);
	int i;

	ASSERT_LE(0, fd);
	MEMBERS(3);
	for (i = 0; i < 3; i++) {
		EXPECT_ERR(EADDRINUSE, bind(fd, &self->addr.sa,
					    self->addr.len));
		ft_close(&self->fd[i]);
	}
	EXPECT_EQ(0, bind(fd, &self->addr.sa, self->addr.len));
	ft_close(&fd);
}

TEST_F(group, O35_order_of_a_senders_datagrams)
{
	int fd, i, who;
	char byte;

	if (variant->kind.type != SOCK_DGRAM)
		SKIP(return, "has no datagrams");
	/* One sender without peer: all it sends goes to one member. */
	MEMBERS(8);
	fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fd);
	for (i = 0; i < 30; i++) {
		byte = i;
		ASSERT_EQ(1, sendto(fd, &byte, 1, 0, &self->addr.sa,
				    self->addr.len));
	}
	for (who = 0; who < 7; who++)
		if (ft_poll(self->fd[who], POLLIN, 0))
			break;
	for (i = 0; i < 30; i++) {
		ASSERT_EQ(1, recv(self->fd[who], &byte, 1, 0));
		ASSERT_EQ(i, byte);
	}
	ft_close(&fd);
}

TEST_F(group, O35_a_connection_stays_where_it_is)
{
	int fd, other, i;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "has no connections");
	MEMBERS(4);
	fd = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, fd);
	other = -1;
	while (other < 0) {
		for (i = 0; i < 4 && other < 0; i++)
			other = accept(self->fd[i], NULL, NULL);
	}
	for (i = 0; i < 4; i++)
		ft_close(&self->fd[i]);
	EXPECT_TRUE(ft_send_all(fd, 0, 100, 100));
	EXPECT_TRUE(ft_recv_all(other, 0, 100, 100));
	ft_close(&fd);
	ft_close(&other);
}

TEST_F(group, O35_closing_member_leaves_nobody_hanging)
{
	int conn[20], served, reset, i, fd, n;
	char buf[8];

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "has no connections");
	MEMBERS(2);
	for (i = 0; i < 20; i++) {
		conn[i] = ft_connect(&variant->kind, &self->addr);
		ASSERT_LE(0, conn[i]);
	}
	ft_close(&self->fd[0]);
	/* Those it had not accepted are the other's now, or reset. */
	served = 0;
	while (ft_poll(self->fd[1], POLLIN, 100)) {
		fd = accept(self->fd[1], NULL, NULL);
		ASSERT_LE(0, fd);
		ft_close(&fd);
		served++;
	}
	reset = 0;
	for (i = 0; i < 20; i++) {
		EXPECT_NE(0, ft_poll(conn[i], POLLIN, FT_LONG_MS));
		n = recv(conn[i], buf, sizeof(buf), 0);
		EXPECT_GE(0, n);
		reset += n < 0 && errno == ECONNRESET;
		ft_close(&conn[i]);
	}
	EXPECT_EQ(20, served + reset);
	EXPECT_LT(0, served);
}

TEST_F(group, O35_closing_member_under_blocked_connects)
{
	struct ft_kind kind = variant->kind;
	struct ft_call call[8];
	struct ft_addr addr = { .len = 0 };
	int first, done = 0, i;

	if (variant->kind.domain != AF_FERRY ||
	    variant->kind.type == SOCK_DGRAM)
		SKIP(return, "a connect does not wait for a place");
	MEMBERS(1);
	addr = self->addr;
	ASSERT_EQ(0, listen(self->fd[0], 0));
	first = ft_connect(&kind, &addr);
	ASSERT_LE(0, first);
	for (i = 0; i < 8; i++) {
		call[i] = (struct ft_call){
			.fn = ft_do_connect, .addr = &addr,
			.fd = socket(kind.domain, kind.type, 0),
		};
		ASSERT_EQ(0, ft_start(&call[i]));
		ASSERT_TRUE(ft_blocked(&call[i]));
	}
	/* A second member comes, the first goes: none may sleep on. */
	self->fd[1] = group_join(&kind, &self->addr);
	ASSERT_LE(0, self->fd[1]);
	ft_close(&self->fd[0]);
	for (i = 0; i < 8; i++) {
		ft_join(&call[i]);
		EXPECT_TRUE(call[i].ret == 0 || call[i].err == ECONNREFUSED);
		done += call[i].ret == 0;
		ft_close(&call[i].fd);
	}
	TH_LOG("%d of 8 were handed on", done);
	ft_close(&first);
}

/* With one. */

TEST_F(group, O06_constant)
{
	int i;

	MEMBERS(8);
	for (i = 0; i < 8; i++) {
		/* Replaced at any time, through any member. */
		ASSERT_EQ(0, group_cbpf(self->fd[7 - i],
					SO_ATTACH_REUSEPORT_CBPF, false, i));
		KNOCK(0, i, 8);
		KNOCK(0, i, 8);
	}
}

TEST_F(group, O07_constant)
{
	int i;

	MEMBERS(8);
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, group_attach_ebpf(self->fd[7 - i], false, i));
		KNOCK(0, i, 8);
		KNOCK(0, i, 8);
	}
}

TEST_F(group, O07_classic_and_extended_replace_each_other)
{
	MEMBERS(4);
	ASSERT_EQ(0, group_attach_ebpf(self->fd[0], false, 3));
	KNOCK(0, 3, 4);
	ASSERT_EQ(0, group_cbpf(self->fd[1], SO_ATTACH_REUSEPORT_CBPF, false,
				1));
	KNOCK(0, 1, 4);
	ASSERT_EQ(0, group_attach_ebpf(self->fd[2], false, 2));
	KNOCK(0, 2, 4);
}

TEST_F(group, O06_sees_the_payload)
{
	int i, ebpf;

	if (variant->kind.type != SOCK_DGRAM)
		SKIP(return, "a connect has no payload");
	MEMBERS(GROUP_MAX);
	for (ebpf = 0; ebpf < 2; ebpf++) {
		if (ebpf) {
			ASSERT_EQ(0, group_attach_ebpf(self->fd[3], true, 0));
		} else {
			ASSERT_EQ(0, group_cbpf(self->fd[3],
						SO_ATTACH_REUSEPORT_CBPF,
						true, 0));
		}
		for (i = 0; i < 64; i++)
			KNOCK(i * 7 % GROUP_MAX, i * 7 % GROUP_MAX, GROUP_MAX);
	}
}

TEST_F(group, O06_payload_of_a_connect_is_empty)
{
	int i;

	/* TCP's program sees the segment's header. */
	if (variant->kind.type == SOCK_DGRAM ||
	    variant->kind.domain != AF_FERRY)
		SKIP(return, "not promised");
	/* Loading beyond the end ends the program, with 0. */
	MEMBERS(4);
	ASSERT_EQ(0, group_cbpf(self->fd[3], SO_ATTACH_REUSEPORT_CBPF, true,
				0));
	for (i = 0; i < 4; i++)
		KNOCK(0, 0, 4);
}

TEST_F(group, O06_invalid_index_falls_back_to_the_hash)
{
	int count[4] = { 0 };
	int i, who;

	MEMBERS(4);
	ASSERT_EQ(0, group_cbpf(self->fd[0], SO_ATTACH_REUSEPORT_CBPF, false,
				4));
	for (i = 0; i < 64; i++) {
		ASSERT_EQ(0, group_knock(&variant->kind, &self->addr, 0));
		who = group_who(&variant->kind, self->fd, 4);
		ASSERT_LE(0, who);
		count[who]++;
	}
	for (i = 0; i < 4; i++)
		EXPECT_LT(0, count[i]);
	ASSERT_EQ(0, group_attach_ebpf(self->fd[0], false, 0xffffffff));
	ASSERT_EQ(0, group_knock(&variant->kind, &self->addr, 0));
	EXPECT_LE(0, group_who(&variant->kind, self->fd, 4));
}

TEST_F(group, O07_the_last_takes_the_place_of_a_closed_one)
{
	int fd;

	MEMBERS(4);
	ft_close(&self->fd[1]);
	ASSERT_EQ(0, group_attach_ebpf(self->fd[0], false, 1));
	KNOCK(0, 3, 4);
	ASSERT_EQ(0, group_attach_ebpf(self->fd[0], false, 2));
	KNOCK(0, 2, 4);
	ASSERT_EQ(0, group_attach_ebpf(self->fd[0], false, 0));
	KNOCK(0, 0, 4);

	/* Who joins is the last again, and under the same program. */
	ASSERT_EQ(0, group_attach_ebpf(self->fd[0], false, 3));
	fd = group_join(&variant->kind, &self->addr);
	ASSERT_LE(0, fd);
	ASSERT_LE(0, ft_nonblock(fd, true));
	self->fd[1] = fd;
	KNOCK(0, 1, 4);
}

TEST_F(group, O07_new_members_inherit)
{
	MEMBERS(1);
	ASSERT_EQ(0, group_attach_ebpf(self->fd[0], false, 2));
	MEMBERS(3);
	KNOCK(0, 2, 3);
	/* Also when the one it was attached through is closed. */
	ft_close(&self->fd[0]);
	ASSERT_EQ(0, group_attach_ebpf(self->fd[1], false, 0));
	KNOCK(0, 2, 3);
}

TEST_F(group, O06_detach)
{
	int count[4] = { 0 };
	int i, who;

	MEMBERS(4);
	ASSERT_EQ(0, group_cbpf(self->fd[0], SO_ATTACH_REUSEPORT_CBPF, false,
				2));
	KNOCK(0, 2, 4);
	ASSERT_EQ(0, ft_setint(self->fd[1], SO_DETACH_REUSEPORT_BPF, 0));
	EXPECT_ERR(ENOENT, ft_setint(self->fd[1], SO_DETACH_REUSEPORT_BPF, 0));
	for (i = 0; i < 64; i++) {
		ASSERT_EQ(0, group_knock(&variant->kind, &self->addr, 0));
		who = group_who(&variant->kind, self->fd, 4);
		ASSERT_LE(0, who);
		count[who]++;
	}
	for (i = 0; i < 4; i++)
		EXPECT_LT(0, count[i]);
}

/* When a program can be attached. */
enum when {
	BEFORE_BIND,
	BEFORE_LISTEN,
	AFTER_LISTEN,
	WHEN_END,
};

static int attach(int fd, bool ebpf, unsigned int value)
{
	return ebpf ? group_attach_ebpf(fd, false, value) :
		      group_cbpf(fd, SO_ATTACH_REUSEPORT_CBPF, false, value);
}

/* The first of a group, with a program. */
static int first_member(const struct ft_kind *kind, struct ft_addr *addr,
			enum when when, bool ebpf, unsigned int value)
{
	int fd = socket(kind->domain, kind->type, 0);

	if (fd < 0)
		return -1;
	if (group_flag(fd, 1) ||
	    (when == BEFORE_BIND && attach(fd, ebpf, value)) ||
	    ft_bind_new(fd, kind->domain, addr) ||
	    (when == BEFORE_LISTEN && attach(fd, ebpf, value)) ||
	    (kind->type != SOCK_DGRAM && listen(fd, 100)) ||
	    (when == AFTER_LISTEN && attach(fd, ebpf, value)) ||
	    ft_nonblock(fd, true))
		ft_close(&fd);
	return fd;
}

TEST_F(group, O07_attached_at_any_time)
{
	int when, ebpf, i;

	for (when = BEFORE_BIND; when < WHEN_END; when++) {
		for (ebpf = 0; ebpf < 2; ebpf++) {
			memset(&self->addr, 0, sizeof(self->addr));
			self->fd[0] = first_member(&variant->kind, &self->addr,
						   when, ebpf, 2);
			ASSERT_LE(0, self->fd[0]) {
				TH_LOG("when %d, extended %d", when, ebpf);
			}
			/* All who join have it, and may replace it. */
			MEMBERS(4);
			for (i = 0; i < 8; i++)
				KNOCK(0, 2, 4);
			ASSERT_EQ(0, attach(self->fd[3], !ebpf, 1));
			for (i = 0; i < 8; i++)
				KNOCK(0, 1, 4);
			for (i = 0; i < 4; i++)
				ft_close(&self->fd[i]);
		}
	}
}

TEST_F(group, O07_attached_before_bind_it_is_the_only_one)
{
	int a = socket(variant->kind.domain, variant->kind.type, 0);

	MEMBERS(2);
	ASSERT_LE(0, a);
	ASSERT_EQ(0, group_flag(a, 1));
	ASSERT_EQ(0, attach(a, true, 0));
	/* A socket with a program cannot join those who have a group. */
	EXPECT_ERR(EADDRINUSE, bind(a, &self->addr.sa, self->addr.len));
	ASSERT_EQ(0, attach(a, false, 1));
	EXPECT_ERR(EADDRINUSE, bind(a, &self->addr.sa, self->addr.len));
	/* But be the first elsewhere. */
	ASSERT_EQ(0, ft_bind_new(a, variant->kind.domain, &self->addr));
	ft_close(&a);
}

TEST_F(group, O07_attached_and_never_bound)
{
	int a = socket(variant->kind.domain, variant->kind.type, 0);
	int b = socket(variant->kind.domain, variant->kind.type, 0);

	ASSERT_EQ(0, group_flag(a, 1));
	ASSERT_EQ(0, group_flag(b, 1));
	EXPECT_EQ(0, attach(a, true, 10));
	EXPECT_EQ(0, attach(b, false, 10));
	EXPECT_EQ(0, ft_setint(b, SO_DETACH_REUSEPORT_BPF, 0));
	EXPECT_ERR(ENOENT, ft_setint(b, SO_DETACH_REUSEPORT_BPF, 0));
	ft_close(&a);
	ft_close(&b);
}

TEST_F(group, O06_needs_the_flag)
{
	int fd = socket(variant->kind.domain, variant->kind.type, 0);

	ASSERT_LE(0, fd);
	EXPECT_ERR(EINVAL, group_cbpf(fd, SO_ATTACH_REUSEPORT_CBPF, false, 0));
	ft_close(&fd);
}

TEST_F(group, O06_bad_programs)
{
	struct sock_filter bad = { BPF_JMP | BPF_JA, 0, 0, 100 };
	struct sock_fprog prog = { .len = 1, .filter = &bad };

	MEMBERS(2);
	EXPECT_ERR(EINVAL, setsockopt(self->fd[0], SOL_SOCKET,
				      SO_ATTACH_REUSEPORT_CBPF, &prog,
				      sizeof(prog)));
	EXPECT_ERR(EINVAL, setsockopt(self->fd[0], SOL_SOCKET,
				      SO_ATTACH_REUSEPORT_CBPF, &prog, 1));
	EXPECT_NE(0, ft_err(ft_setint(self->fd[0], SO_ATTACH_REUSEPORT_EBPF,
				      self->fd[0])));
	EXPECT_NE(0, ft_err(ft_setint(self->fd[0], SO_ATTACH_REUSEPORT_EBPF,
				      -1)));
	ASSERT_EQ(0, group_knock(&variant->kind, &self->addr, 0));
	EXPECT_LE(0, group_who(&variant->kind, self->fd, 2));
}

TEST_F(group, O05_locked)
{
	MEMBERS(2);
	ASSERT_EQ(0, group_attach_ebpf(self->fd[0], false, 1));
	ASSERT_EQ(0, ft_setint(self->fd[0], SO_LOCK_FILTER, 1));
	EXPECT_ERR(EPERM, group_cbpf(self->fd[0], SO_ATTACH_REUSEPORT_CBPF,
				     false, 0));
	EXPECT_ERR(EPERM, group_attach_ebpf(self->fd[0], false, 0));
	KNOCK(0, 1, 2);
}

/* The processor. */

static bool run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

TEST_F(group, O15_preferred_member)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int i;

	MEMBERS(4);
	for (i = 0; i < 2 && i < cpus; i++)
		ASSERT_EQ(0, ft_setint(self->fd[2 - i], SO_INCOMING_CPU, i));
	for (i = 0; i < 20; i++) {
		int cpu = i % 2 < cpus ? i % 2 : 0;

		ASSERT_TRUE(run_on(cpu));
		KNOCK(0, 2 - cpu, 4);
	}
}

TEST_F(group, O15_cpu_of_connect)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int i, fd, other;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "is not accepted");
	MEMBERS(1);
	for (i = 0; i < 4; i++) {
		int cpu = i % 2 < cpus ? i % 2 : 0;

		ASSERT_TRUE(run_on(cpu));
		fd = ft_connect(&variant->kind, &self->addr);
		ASSERT_LE(0, fd);
		ASSERT_TRUE(run_on(cpus > 1 ? 1 - cpu : 0));
		ASSERT_NE(0, ft_poll(self->fd[0], POLLIN, FT_LONG_MS));
		other = accept(self->fd[0], NULL, NULL);
		ASSERT_LE(0, other);
		EXPECT_EQ(cpu, ft_getint(other, SO_INCOMING_CPU));
		ft_close(&fd);
		ft_close(&other);
	}
}

TEST_F(group, O15_last_cpu)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int i, fd, other;

	/* TCP and UDP tell it of connected sockets. */
	MEMBERS(1);
	fd = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, fd);
	other = self->fd[0];
	if (variant->kind.type != SOCK_DGRAM) {
		ASSERT_NE(0, ft_poll(self->fd[0], POLLIN, FT_LONG_MS));
		other = accept(self->fd[0], NULL, NULL);
	} else {
		struct ft_addr addr = { .len = sizeof(addr.ss) };

		if (variant->kind.domain == AF_FERRY) {
			ft_close(&fd);
			fd = socket(AF_FERRY, SOCK_DGRAM, 0);
			ASSERT_EQ(0, ft_bind_new(fd, AF_FERRY, &addr));
			ASSERT_EQ(0, connect(fd, &self->addr.sa,
					     self->addr.len));
		} else {
			ASSERT_EQ(0, getsockname(fd, &addr.sa, &addr.len));
		}
		ASSERT_EQ(0, connect(other, &addr.sa, addr.len));
	}
	for (i = 0; i < 6; i++) {
		int cpu = i % 2 < cpus ? i % 2 : 0;

		ASSERT_TRUE(run_on(cpu));
		ASSERT_TRUE(ft_send_all(fd, 0, 10, 10));
		ASSERT_NE(0, ft_poll(other, POLLIN, FT_LONG_MS));
		ASSERT_TRUE(ft_recv_all(other, 0, 10, 10));
		ASSERT_EQ(cpu, ft_getint(other, SO_INCOMING_CPU));
	}
	ft_close(&fd);
	if (other != self->fd[0])
		ft_close(&other);
}

FT_HARNESS_MAIN
