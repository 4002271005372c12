// SPDX-License-Identifier: GPL-2.0
/*
 * Messages under way while something changes around them: options are flipped,
 * sockets listed, namespaces end, processes that pass descriptors are killed.
 */

#define _GNU_SOURCE
#include "passenger.h"
#include "stress_main.h"

#include <sched.h>
#include <linux/errqueue.h>
#include <linux/ferry_diag.h>
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/net_tstamp.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#define DATA_LANE	0
#define END_LANE	1	/* the last message of all */

struct flow {
	struct ft_kind kind;
	int a, b;
	unsigned char *ring;	/* what is sent lies in it */
	atomic_int stop;
	uint64_t sent;
	struct stress_tally got;
	const char *wrong;
	pthread_t sender, reader;
};

/*
 * Of what MSG_ZEROCOPY sends the pages may be used until it is read. All that
 * the buffers can hold is less than the ring.
 */
#define RING	(1024 * STRESS_MSG)

/* Sends on until all of it is gone, as the options of the moment say. */
static bool flow_send(struct flow *flow, unsigned char *buf, size_t len,
		      int flags)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = send(flow->a, buf + done, len - done, flags | MSG_NOSIGNAL);
		if (n > 0)
			done += n;
		else if (errno == ENOBUFS)
			/* No place for a notification. */
			flags &= ~MSG_ZEROCOPY;
		else if (errno != EAGAIN)
			return false;
	}
	return true;
}

static void *flow_sender(void *arg)
{
	struct flow *flow = arg;
	bool stream = flow->kind.type == SOCK_STREAM;
	unsigned int random = 1, place = 0;
	unsigned char *buf;
	size_t len;

	while (!atomic_load(&flow->stop)) {
		buf = flow->ring + place++ % 1024 * STRESS_MSG;
		len = stress_fill(flow->kind.type, buf, DATA_LANE, flow->sent,
				  1 + stress_below(&random, STRESS_MSG));
		if (!flow_send(flow, buf, len, stress_below(&random, 4) ?
			       0 : MSG_ZEROCOPY)) {
			flow->wrong = "send";
			break;
		}
		flow->sent += stream ? len : 1;
	}
	/* Not where the last message lies, whose pages may be lent. */
	buf = flow->ring + place % 1024 * STRESS_MSG;
	len = stress_fill(flow->kind.type, buf, END_LANE, 0, 1);
	if (!flow_send(flow, buf, len, 0))
		flow->wrong = "the last send";
	return NULL;
}

static void *flow_reader(void *arg)
{
	struct flow *flow = arg;
	unsigned char buf[4 * STRESS_MSG];
	struct pass pass;
	ssize_t n;

	while (!flow->got.count[END_LANE]) {
		n = pass_recv(flow->b, buf, sizeof(buf), &pass, 0);
		if (n > 0)
			stress_check(&flow->got, flow->kind.type, buf, n, true);
		else if (n == 0 || errno != EAGAIN)
			break;
		if (pass.flags & MSG_CTRUNC)
			flow->wrong = "control data was cut short";
	}
	return NULL;
}

struct option {
	int level, name;
	int off, on;
};

/* Filters that let everything pass. */
static void flip_filter(int fd, bool on)
{
	struct sock_filter all[] = {
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
	};
	struct sock_fprog prog = { .len = 1, .filter = all };

	if (on)
		setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
			   sizeof(prog));
	else
		ft_setint(fd, SO_DETACH_FILTER, 0);
}

/* Notifications that nobody reads take up the buffer. */
static void drain_errors(int fd)
{
	struct pass pass;
	char buf[64];

	while (pass_recv(fd, buf, sizeof(buf), &pass,
			 MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
		;
}

static void flip(struct flow *flow, unsigned int *random)
{
	static const struct option options[] = {
		{ SOL_SOCKET, SO_RCVBUF, 2048, 40000 },
		{ SOL_SOCKET, SO_SNDBUF, 4608, 40000 },
		{ SOL_SOCKET, SO_RCVLOWAT, 1, 900 },
		{ SOL_SOCKET, SO_PASSCRED, 0, 1 },
		{ SOL_SOCKET, SO_PASSSEC, 0, 1 },
		{ SOL_SOCKET, SO_TIMESTAMP, 0, 1 },
		{ SOL_SOCKET, SO_TIMESTAMPNS, 0, 1 },
		{ SOL_SOCKET, SO_TIMESTAMPING, 0,
		  SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE },
		{ SOL_SOCKET, SO_TIMESTAMPING, 0,
		  SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_ACK |
		  SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
		  SOF_TIMESTAMPING_OPT_TSONLY },
		{ SOL_SOCKET, SO_RXQ_OVFL, 0, 1 },
		{ SOL_SOCKET, SO_RCVMARK, 0, 1 },
		{ SOL_SOCKET, SO_OOBINLINE, 0, 1 },
		{ SOL_SOCKET, SO_PRIORITY, 0, 6 },
		{ SOL_SOCKET, SO_MARK, 0, 7 },
		{ SOL_SOCKET, SO_PEEK_OFF, -1, 0 },
		{ SOL_SOCKET, SO_KEEPALIVE, 0, 1 },
		{ SOL_SOCKET, SO_DEBUG, 0, 1 },
		{ SOL_SOCKET, SO_ZEROCOPY, 0, 1 },
		{ SOL_SOCKET, SO_BUSY_POLL, 0, 1 },
		{ SOL_SOCKET, SO_INCOMING_CPU, 0, 1 },
		{ SOL_SOCKET, SO_SELECT_ERR_QUEUE, 0, 1 },
		{ SOL_FERRY, FERRY_ZEROCOPY, 0, 1 },
		{ SOL_FERRY, FERRY_PASSCRED, 0, 1 },
		{ SOL_FERRY, FERRY_PASSSEC, 0, 1 },
		{ SOL_FERRY, FERRY_PASSRIGHTS, 0, 1 },
		{ SOL_FERRY, FERRY_BROADCAST_POLICY, 0, 1 },
	};
	static const int n = sizeof(options) / sizeof(*options);
	const struct option *option;
	int fd = stress_below(random, 2) ? flow->a : flow->b;
	bool on = stress_below(random, 2);
	int i = stress_below(random, n + 4);

	switch (i - n) {
	case 0:
		flip_filter(fd, on);
		return;
	case 1:
		/* A wait that times out loses nothing. */
		ft_settimeo(fd, SO_RCVTIMEO, on ? 1 : 0);
		return;
	case 2:
		ft_settimeo(fd, SO_SNDTIMEO, on ? 1 : 0);
		return;
	case 3:
		fcntl(fd, F_SETFL, on ? O_ASYNC : 0);
		return;
	}
	option = &options[i];
	if (option->level == SOL_FERRY && flow->kind.domain != AF_FERRY)
		return;
	setsockopt(fd, option->level, option->name,
		   on ? &option->on : &option->off, sizeof(int));
}

/* At first and at last: nothing that could keep the end from coming. */
static void flip_back(int fd)
{
	ft_setint(fd, SO_RCVLOWAT, 1);
	ft_setint(fd, SO_RCVBUF, 40000);
	ft_setint(fd, SO_SNDBUF, 40000);
}

FIXTURE(flow)
{
	struct ft_leak leak;
	struct flow flow;
};

FIXTURE_VARIANT(flow)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(flow, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(flow, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(flow, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(flow, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(flow, UNIX_dgram)
{
	.kind = { AF_UNIX, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(flow, TCP_conn)
{
	.kind = { AF_INET, SOCK_STREAM, FT_CONN },
};

FIXTURE_SETUP(flow)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	memset(&self->flow, 0, sizeof(self->flow));
	self->flow.kind = variant->kind;
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->flow.a, &self->flow.b));
	flip_back(self->flow.a);
	flip_back(self->flow.b);
	self->flow.ring = malloc(RING);
	ASSERT_NE(NULL, self->flow.ring);
	ASSERT_EQ(0, pthread_create(&self->flow.sender, NULL, flow_sender,
				    &self->flow));
	ASSERT_EQ(0, pthread_create(&self->flow.reader, NULL, flow_reader,
				    &self->flow));
}

FIXTURE_TEARDOWN(flow)
{
	ft_close(&self->flow.a);
	ft_close(&self->flow.b);
	free(self->flow.ring);
	FT_NO_LEAK(&self->leak);
}

TEST_F_TIMEOUT(flow, O28_options_flipped_under_traffic, STRESS_LIMIT)
{
	struct flow *flow = &self->flow;
	int64_t end = stress_end(variant->kind.domain);
	unsigned int random = 1;
	long flips;

	signal(SIGIO, SIG_IGN);
	for (flips = 0; ft_now_ms() < end && !flow->wrong; flips++) {
		flip(flow, &random);
		/* AF_UNIX would take messages. */
		if (variant->kind.domain == AF_UNIX)
			continue;
		drain_errors(flow->a);
		drain_errors(flow->b);
	}
	atomic_store(&flow->stop, 1);
	flip_back(flow->a);
	flip_back(flow->b);
	ASSERT_TRUE(stress_join(flow->sender));
	/* A read begun with a larger low-water mark may still want more. */
	if (variant->kind.type != SOCK_DGRAM)
		shutdown(flow->a, SHUT_WR);
	ASSERT_TRUE(stress_join(flow->reader));
	TH_LOG("%ld options set, %llu %s", flips,
	       (unsigned long long)flow->sent,
	       variant->kind.type == SOCK_STREAM ? "bytes" : "records");
	EXPECT_EQ(NULL, flow->wrong);
	EXPECT_EQ(NULL, flow->got.wrong);
	EXPECT_TRUE(stress_complete(&flow->got, variant->kind.type, DATA_LANE,
				    flow->sent));
}

/* Lists of sockets while they come and go. */

struct churn {
	int type;
	atomic_int *stop;
	long rounds;
	const char *wrong;
	pthread_t thread;
};

static void *churn_thread(void *arg)
{
	struct churn *churn = arg;
	struct ft_kind kind = { AF_FERRY, churn->type };
	struct ft_addr addr, own;
	int fd, a, b;

	while (!atomic_load(churn->stop)) {
		a = ft_listener(&kind, &addr, 2);
		if (churn->type == SOCK_DGRAM) {
			a = socket(AF_FERRY, SOCK_DGRAM, 0);
			ft_bind_new(a, AF_FERRY, &addr);
		}
		fd = socket(AF_FERRY, churn->type | SOCK_NONBLOCK, 0);
		if (churn->rounds & 1)
			ft_bind_new(fd, AF_FERRY, &own);
		b = socket(AF_FERRY, churn->type | SOCK_NONBLOCK, 0);
		if (connect(fd, &addr.sa, addr.len) ||
		    send(fd, "queued", 6, MSG_NOSIGNAL) != 6)
			churn->wrong = "a connection of the churn's own";
		connect(b, &addr.sa, addr.len);
		close(churn->rounds & 2 ? a : fd);
		close(churn->rounds & 2 ? fd : a);
		close(b);
		churn->rounds++;
	}
	return NULL;
}

struct request {
	struct nlmsghdr nlh;
	struct ferry_diag_req req;
};

/* How often a dump has a socket; -1 when the dump does not end well. */
static int dump_times(int nl, uint32_t ino)
{
	static struct nlmsghdr buf[2048];
	struct request request = {
		.nlh = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.req = {
			.sdiag_family = AF_FERRY,
			.fdiag_states = ~0U,
			.fdiag_show = ~0U,
		},
	};
	const struct nlmsghdr *nlh;
	int times = 0;
	ssize_t n;

	if (send(nl, &request, sizeof(request), 0) != sizeof(request))
		return -1;
	for (;;) {
		n = recv(nl, buf, sizeof(buf), 0);
		if (n <= 0)
			return -1;
		for (nlh = buf; NLMSG_OK(nlh, n); nlh = NLMSG_NEXT(nlh, n)) {
			const struct ferry_diag_msg *msg = NLMSG_DATA(nlh);

			if (nlh->nlmsg_type == NLMSG_DONE)
				return times;
			if (nlh->nlmsg_type == NLMSG_ERROR)
				return -1;
			times += msg->fdiag_ino == ino;
		}
	}
}

/* The same of /proc/net/ferry, read in small pieces. */
static int proc_lines(unsigned int *random)
{
	int fd = open("/proc/thread-self/net/ferry", O_RDONLY | O_CLOEXEC);
	char buf[256];
	ssize_t n;
	int lines = 0;

	if (fd < 0)
		return -1;
	while ((n = read(fd, buf, 32 + stress_below(random, 224))) > 0)
		while (n)
			lines += buf[--n] == '\n';
	close(fd);
	return n < 0 ? -1 : lines;
}

FIXTURE(listed)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(listed)
{
	int type;
};

FIXTURE_VARIANT_ADD(listed, FERRY_stream)
{
	.type = SOCK_STREAM,
};

FIXTURE_VARIANT_ADD(listed, FERRY_seqpacket)
{
	.type = SOCK_SEQPACKET,
};

FIXTURE_VARIANT_ADD(listed, FERRY_dgram)
{
	.type = SOCK_DGRAM,
};

FIXTURE_SETUP(listed)
{
	FT_NEED(AF_FERRY, variant->type);
	ft_leak_start(&self->leak, AF_FERRY);
}

FIXTURE_TEARDOWN(listed)
{
	FT_NO_LEAK(&self->leak);
}

TEST_F_TIMEOUT(listed, P05_dumps_against_bind_and_close, STRESS_LIMIT)
{
	int nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int64_t end = stress_end(AF_FERRY);
	struct churn churn[3];
	unsigned int random = 1;
	atomic_int stop = 0;
	struct stat st;
	long dumps;
	int fd, i;

	ASSERT_LE(0, nl);
	fd = socket(AF_FERRY, variant->type, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fstat(fd, &st));
	memset(churn, 0, sizeof(churn));
	for (i = 0; i < 3; i++) {
		churn[i].type = variant->type;
		churn[i].stop = &stop;
		ASSERT_EQ(0, pthread_create(&churn[i].thread, NULL,
					    churn_thread, &churn[i]));
	}
	for (dumps = 0; ft_now_ms() < end || dumps < 5; dumps++) {
		/* What is there all the time is there once. */
		ASSERT_EQ(1, dump_times(nl, st.st_ino));
		ASSERT_LE(2, proc_lines(&random));
	}
	atomic_store(&stop, 1);
	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(stress_join(churn[i].thread));
		EXPECT_LT(0, churn[i].rounds);
		EXPECT_EQ(NULL, churn[i].wrong);
	}
	TH_LOG("%ld dumps, %ld rounds", dumps, churn[0].rounds +
	       churn[1].rounds + churn[2].rounds);
	close(fd);
	close(nl);
}

/*
 * Namespaces that end with mail in flight. One end of a connection is sent out
 * of them first: what was sent to it is still read, all of it.
 */

#define MAIL	20	/* messages */

static bool ns_mail(int fd, int type)
{
	unsigned char buf[STRESS_MSG];
	uint64_t n = 0;
	size_t len;
	int i;

	for (i = 0; i < MAIL; i++) {
		len = stress_fill(type, buf, DATA_LANE, n, 100 + i);
		if (send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) != len)
			return false;
		n += type == SOCK_STREAM ? len : 1;
	}
	return true;
}

/* Sockets in every state, and descriptors in their queues. */
static bool ns_fill(int type, int witness)
{
	struct ft_kind kind = { AF_FERRY, type, FT_CONN };
	struct ft_addr addr;
	int listener, fd, fds[2];
	int i;

	if (socketpair(AF_FERRY, type, 0, fds) || !ns_mail(fds[0], type) ||
	    pass_send(fds[0], "w", 1, &witness, 1, NULL, MSG_DONTWAIT) != 1)
		return false;
	if (type == SOCK_DGRAM)
		return true;
	listener = ft_listener(&kind, &addr, 2);
	for (i = 0; i < 6; i++) {
		fd = socket(AF_FERRY, type | SOCK_NONBLOCK, 0);
		/* Three get a place, the others wait for one. */
		if (connect(fd, &addr.sa, addr.len)) {
			if (errno != EINPROGRESS)
				return false;
			continue;
		}
		if (!ns_mail(fd, type) ||
		    pass_send(fd, "w", 1, &witness, 1, NULL, MSG_DONTWAIT) != 1)
			return false;
	}
	return listener >= 0;
}

static void ns_child(int out, int type, int witness, bool killed)
{
	int fds[2];

	if (unshare(CLONE_NEWNET) || !ns_fill(type, witness))
		_exit(1);
	if (socketpair(AF_FERRY, type, 0, fds) || !ns_mail(fds[1], type) ||
	    pass_send(out, "out", 3, &fds[0], 1, NULL, 0) != 3)
		_exit(2);
	if (killed)
		kill(getpid(), SIGKILL);
	_exit(0);
}

TEST_F_TIMEOUT(listed, X04_namespaces_end_with_mail_in_flight, STRESS_LIMIT)
{
	int64_t end = stress_end(AF_FERRY);
	unsigned char buf[2 * STRESS_MSG];
	uint64_t mail = MAIL;
	struct witness witness;
	struct pass pass;
	int rounds, status, i;
	ssize_t n;
	int a, b;
	pid_t pid;

	if (variant->type == SOCK_STREAM)
		for (i = mail = 0; i < MAIL; i++)
			mail += 100 + i;
	for (rounds = 0; ft_now_ms() < end || rounds < 2; rounds++) {
		struct stress_tally got = {};
		struct ft_kind pair = { AF_FERRY, SOCK_SEQPACKET, FT_PAIR };

		ASSERT_TRUE(witness_make(&witness));
		ASSERT_EQ(0, ft_pair(&pair, &a, &b));
		fflush(NULL);
		pid = fork();
		if (!pid)
			ns_child(a, variant->type, witness.out, rounds & 1);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(rounds & 1 ? SIGKILL : 0, status);
		ASSERT_EQ(3, pass_recv(b, buf, 3, &pass, 0));
		ASSERT_EQ(1, pass.fds);
		/* Of all that was in there, this socket is left. */
		EXPECT_TRUE(witness_gone(&witness));
		while ((n = recv(pass.fd[0], buf, sizeof(buf),
				 MSG_DONTWAIT)) > 0)
			stress_check(&got, variant->type, buf, n, true);
		EXPECT_EQ(NULL, got.wrong);
		EXPECT_TRUE(stress_complete(&got, variant->type, DATA_LANE,
					    mail));
		pass_close(&pass);
		close(a);
		close(b);
	}
	TH_LOG("%d namespaces", rounds);
}

/* stress_rights judges itself: files, sockets and buffers at its end. */
TEST_F_TIMEOUT(listed, X01_descriptors_and_sigkill, STRESS_LIMIT)
{
	char path[4096], seconds[32], seed[16];
	char *slash;
	ssize_t n;
	int status;
	pid_t pid;

	n = readlink("/proc/self/exe", path, sizeof(path) - 32);
	ASSERT_LT(0, n);
	path[n] = '\0';
	slash = strrchr(path, '/');
	ASSERT_NE(NULL, slash);
	strcpy(slash + 1, "stress_rights");
	snprintf(seconds, sizeof(seconds), "%lld",
		 (long long)(stress_share_ms + 999) / 1000);
	snprintf(seed, sizeof(seed), "%d", variant->type);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		execl(path, path, "-t", seconds, "-s", seed, NULL);
		_exit(127);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

STRESS_MAIN
