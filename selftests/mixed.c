// SPDX-License-Identifier: GPL-2.0
/*
 * Every way to send against every way to receive, one thread each or several on
 * one socket: blocking calls, poll, select, epoll of either kind, splice,
 * sendmmsg and recvmmsg, io_uring. The traffic is finite and nothing else
 * happens, so a wake-up that is lost is a thread that never ends.
 */

#include "stress.h"
#include "uring.h"
#include "kselftest_harness.h"

#include <sys/epoll.h>
#include <sys/select.h>

#define MESSAGES	48	/* of one sender */
#define THREADS		4	/* of each kind, one for each lane */

struct side {
	struct ft_kind kind;
	int fd;
	const struct way *way;
	pthread_t thread;
	int lane;
	unsigned int random;
	uint64_t sent;
	struct stress_tally got;
	/* What the way of waiting needs. */
	int epoll;
	int pipe[2];
	struct uring uring;
	bool armed;
	const char *wrong;
	atomic_int done;
};

/* One or more messages; their bytes, 0 at the end of file, or -1 and errno. */
struct way {
	const char *name;
	ssize_t (*fn)(struct side *side, unsigned char *buf, size_t len);
	bool uring;
};

#define BATCH	3	/* messages of one sendmmsg() or recvmmsg() */
#define ROOM	(2 * STRESS_MSG)

static bool prepare(struct side *side)
{
	struct uring none = URING_NONE;

	side->uring = none;
	side->epoll = -1;
	if (side->way->uring && !uring_open(&side->uring))
		return false;
	return !pipe2(side->pipe, O_CLOEXEC);
}

static void finish(struct side *side)
{
	uring_close(&side->uring);
	ft_close(&side->epoll);
	ft_close(&side->pipe[0]);
	ft_close(&side->pipe[1]);
}

/* Waiting until something can be done; each returns when it may be tried. */

static void wait_poll(struct side *side, short events)
{
	struct pollfd pfd = { .fd = side->fd, .events = events };

	poll(&pfd, 1, -1);
}

static void wait_select(struct side *side, short events)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(side->fd, &set);
	select(side->fd + 1, events & POLLIN ? &set : NULL,
	       events & POLLOUT ? &set : NULL, NULL, NULL);
}

static void wait_epoll(struct side *side, uint32_t events)
{
	struct epoll_event event = { .events = events };

	if (side->epoll < 0) {
		side->epoll = epoll_create1(EPOLL_CLOEXEC);
		if (epoll_ctl(side->epoll, EPOLL_CTL_ADD, side->fd, &event))
			side->wrong = "epoll_ctl";
	}
	epoll_wait(side->epoll, &event, 1, -1);
}

static void wait_uring(struct side *side, short events)
{
	struct io_uring_sqe *sqe = uring_sqe(&side->uring, IORING_OP_POLL_ADD,
					     side->fd);

	sqe->poll32_events = events;
	if (uring_do(&side->uring) < 0)
		side->wrong = "poll of the ring";
}

/* One request that reports every event, as long as it says so. */
static void wait_uring_multi(struct side *side, short events)
{
	struct io_uring_cqe cqe;

	if (!side->armed) {
		struct io_uring_sqe *sqe;

		sqe = uring_sqe(&side->uring, IORING_OP_POLL_ADD, side->fd);
		sqe->poll32_events = events;
		sqe->len = IORING_POLL_ADD_MULTI;
		side->armed = true;
	}
	if (!uring_wait(&side->uring, &cqe) || cqe.res < 0)
		side->wrong = "multishot poll of the ring";
	side->armed = cqe.flags & IORING_CQE_F_MORE;
}

/* Ways to send. */

static ssize_t send_blocking(struct side *side, unsigned char *buf, size_t len)
{
	return send(side->fd, buf, len, MSG_NOSIGNAL);
}

static ssize_t send_writev(struct side *side, unsigned char *buf, size_t len)
{
	struct iovec iov[2] = { { buf, len / 2 }, { buf + len / 2,
						    len - len / 2 } };

	return writev(side->fd, iov, 2);
}

static ssize_t try_send(struct side *side, unsigned char *buf, size_t len)
{
	return send(side->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t send_poll(struct side *side, unsigned char *buf, size_t len)
{
	ssize_t n;

	while ((n = try_send(side, buf, len)) < 0 && errno == EAGAIN)
		wait_poll(side, POLLOUT);
	return n;
}

static ssize_t send_select(struct side *side, unsigned char *buf, size_t len)
{
	ssize_t n;

	while ((n = try_send(side, buf, len)) < 0 && errno == EAGAIN)
		wait_select(side, POLLOUT);
	return n;
}

static ssize_t send_epoll(struct side *side, unsigned char *buf, size_t len)
{
	ssize_t n;

	while ((n = try_send(side, buf, len)) < 0 && errno == EAGAIN)
		wait_epoll(side, EPOLLOUT);
	return n;
}

static ssize_t send_edge(struct side *side, unsigned char *buf, size_t len)
{
	ssize_t n;

	while ((n = try_send(side, buf, len)) < 0 && errno == EAGAIN)
		wait_epoll(side, EPOLLOUT | EPOLLET);
	return n;
}

static ssize_t send_splice(struct side *side, unsigned char *buf, size_t len)
{
	size_t done = 0;
	ssize_t n;

	if (write(side->pipe[1], buf, len) != (ssize_t)len)
		return -1;
	while (done < len) {
		n = splice(side->pipe[0], NULL, side->fd, NULL, len - done, 0);
		if (n <= 0)
			return -1;
		done += n;
	}
	return len;
}

static ssize_t send_uring(struct side *side, unsigned char *buf, size_t len)
{
	return uring_rw(&side->uring, IORING_OP_SEND, side->fd, buf, len,
			MSG_NOSIGNAL);
}

static ssize_t send_uring_poll(struct side *side, unsigned char *buf,
			       size_t len)
{
	ssize_t n;

	while ((n = try_send(side, buf, len)) < 0 && errno == EAGAIN)
		wait_uring(side, POLLOUT);
	return n;
}

static const struct way senders[] = {
	{ "send", send_blocking },
	{ "writev", send_writev },
	{ "poll", send_poll },
	{ "select", send_select },
	{ "epoll", send_epoll },
	{ "epoll ET", send_edge },
	{ "splice", send_splice },
	{ "sendmmsg", NULL },
	{ "io_uring send", send_uring, true },
	{ "io_uring poll", send_uring_poll, true },
};

/* Ways to receive. */

static ssize_t recv_blocking(struct side *side, unsigned char *buf, size_t len)
{
	return recv(side->fd, buf, len, 0);
}

static ssize_t recv_readv(struct side *side, unsigned char *buf, size_t len)
{
	struct iovec iov[2] = { { buf, 10 }, { buf + 10, len - 10 } };

	return readv(side->fd, iov, 2);
}

static ssize_t try_recv(struct side *side, unsigned char *buf, size_t len)
{
	return recv(side->fd, buf, len, MSG_DONTWAIT);
}

static ssize_t recv_poll(struct side *side, unsigned char *buf, size_t len)
{
	ssize_t n;

	while ((n = try_recv(side, buf, len)) < 0 && errno == EAGAIN)
		wait_poll(side, POLLIN);
	return n;
}

static ssize_t recv_select(struct side *side, unsigned char *buf, size_t len)
{
	ssize_t n;

	while ((n = try_recv(side, buf, len)) < 0 && errno == EAGAIN)
		wait_select(side, POLLIN);
	return n;
}

static ssize_t recv_epoll(struct side *side, unsigned char *buf, size_t len)
{
	ssize_t n;

	while ((n = try_recv(side, buf, len)) < 0 && errno == EAGAIN)
		wait_epoll(side, EPOLLIN);
	return n;
}

static ssize_t recv_edge(struct side *side, unsigned char *buf, size_t len)
{
	ssize_t n;

	while ((n = try_recv(side, buf, len)) < 0 && errno == EAGAIN)
		wait_epoll(side, EPOLLIN | EPOLLRDHUP | EPOLLET);
	return n;
}

static ssize_t recv_splice(struct side *side, unsigned char *buf, size_t len)
{
	ssize_t n = splice(side->fd, NULL, side->pipe[1], NULL, len, 0);

	return n > 0 ? read(side->pipe[0], buf, n) : n;
}

static ssize_t recv_uring(struct side *side, unsigned char *buf, size_t len)
{
	return uring_rw(&side->uring, IORING_OP_RECV, side->fd, buf, len, 0);
}

static ssize_t recv_uring_read(struct side *side, unsigned char *buf,
			       size_t len)
{
	return uring_rw(&side->uring, IORING_OP_READ, side->fd, buf, len, 0);
}

static ssize_t recv_uring_poll(struct side *side, unsigned char *buf,
			       size_t len)
{
	ssize_t n;

	while ((n = try_recv(side, buf, len)) < 0 && errno == EAGAIN)
		wait_uring(side, POLLIN);
	return n;
}

static ssize_t recv_uring_multi(struct side *side, unsigned char *buf,
				size_t len)
{
	ssize_t n;

	while ((n = try_recv(side, buf, len)) < 0 && errno == EAGAIN)
		wait_uring_multi(side, POLLIN);
	return n;
}

static const struct way receivers[] = {
	{ "recv", recv_blocking },
	{ "readv", recv_readv },
	{ "poll", recv_poll },
	{ "select", recv_select },
	{ "epoll", recv_epoll },
	{ "epoll ET", recv_edge },
	{ "splice", recv_splice },
	{ "recvmmsg", NULL },
	{ "io_uring recv", recv_uring, true },
	{ "io_uring read", recv_uring_read, true },
	{ "io_uring poll", recv_uring_poll, true },
	{ "io_uring multishot poll", recv_uring_multi, true },
};

/* Messages, the first byte or record of which is number @n of the lane. */
static void fill(struct side *side, unsigned char buf[BATCH][ROOM],
		 size_t *len, int batch)
{
	uint64_t n = side->sent;
	int i;

	for (i = 0; i < batch; i++) {
		len[i] = stress_fill(side->kind.type, buf[i], side->lane, n,
				     1 + stress_below(&side->random,
						      STRESS_MSG));
		n += side->kind.type == SOCK_STREAM ? len[i] : 1;
	}
}

static bool send_mmsg(struct side *side)
{
	unsigned char buf[BATCH][ROOM];
	struct mmsghdr msg[BATCH] = {};
	struct iovec iov[BATCH];
	size_t len[BATCH];
	int i, n;

	fill(side, buf, len, BATCH);
	for (i = 0; i < BATCH; i++) {
		iov[i].iov_base = buf[i];
		iov[i].iov_len = len[i];
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
	}
	n = sendmmsg(side->fd, msg, BATCH, MSG_NOSIGNAL);
	for (i = 0; i < n; i++) {
		side->sent += side->kind.type == SOCK_STREAM ? msg[i].msg_len :
								1;
		/* What follows a part is none of the lane's. */
		if (msg[i].msg_len != len[i])
			return false;
	}
	return n > 0;
}

static bool send_one(struct side *side)
{
	unsigned char buf[BATCH][ROOM];
	size_t len, done = 0;
	ssize_t n;

	fill(side, buf, &len, 1);
	while (done < len) {
		n = side->way->fn(side, buf[0] + done, len - done);
		if (n <= 0)
			return false;
		done += n;
	}
	side->sent += side->kind.type == SOCK_STREAM ? len : 1;
	return true;
}

static void *sender_thread(void *arg)
{
	struct side *side = arg;
	int i;

	for (i = 0; i < MESSAGES; i++)
		if (side->way->fn ? !send_one(side) : !send_mmsg(side)) {
			side->wrong = strerror(errno);
			break;
		}
	return NULL;
}

/* At least one message; false at the end of file or after an error. */
static bool recv_mmsg(struct side *side)
{
	unsigned char buf[BATCH][ROOM];
	struct mmsghdr msg[BATCH] = {};
	struct iovec iov[BATCH];
	int i, n;

	for (i = 0; i < BATCH; i++) {
		iov[i].iov_base = buf[i];
		iov[i].iov_len = ROOM;
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(side->fd, msg, BATCH, MSG_WAITFORONE, NULL);
	for (i = 0; i < n && msg[i].msg_len; i++)
		stress_check(&side->got, side->kind.type, buf[i],
			     msg[i].msg_len, true);
	if (n < 0)
		side->wrong = strerror(errno);
	return n > 0 && i == n;
}

static bool recv_one(struct side *side)
{
	unsigned char buf[ROOM];
	ssize_t n = side->way->fn(side, buf, sizeof(buf));

	if (n < 0)
		side->wrong = strerror(errno);
	if (n > 0 && side->way->fn == recv_splice)
		stress_check_spliced(&side->got, &side->kind, buf, n);
	else if (n > 0)
		stress_check(&side->got, side->kind.type, buf, n, true);
	return n > 0;
}

static void *receiver_thread(void *arg)
{
	struct side *side = arg;

	while (side->way->fn ? recv_one(side) : recv_mmsg(side))
		;
	atomic_store(&side->done, 1);
	return NULL;
}

FIXTURE(mix)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(mix)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(mix, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(mix, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(mix, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(mix, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(mix, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(mix, UNIX_dgram)
{
	.kind = { AF_UNIX, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(mix, TCP_conn)
{
	.kind = { AF_INET, SOCK_STREAM, FT_CONN },
};

FIXTURE_SETUP(mix)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
}

FIXTURE_TEARDOWN(mix)
{
	FT_NO_LEAK(&self->leak);
}

/* Tells the receivers that this was all: datagrams by an empty one for each. */
static bool end(int fd, int type, struct side *receiver, int n)
{
	int64_t last = ft_now_ms() + 60000;
	int i, marks, done;

	if (type != SOCK_DGRAM)
		return !shutdown(fd, SHUT_WR);
	for (marks = 1; marks <= n; marks++) {
		if (send(fd, "", 0, 0))
			return false;
		/* recvmmsg() would take two of them. */
		do {
			for (i = done = 0; i < n; i++)
				done += atomic_load(&receiver[i].done);
			sched_yield();
			if (ft_now_ms() > last)
				return false;
		} while (done < marks);
	}
	return true;
}

/*
 * @n senders on one end, @n receivers on the other. NULL, or what was wrong.
 */
static const char *run(const struct ft_kind *kind,
		       const struct way *const *send_way,
		       const struct way *const *recv_way, int n)
{
	struct side sender[THREADS], receiver[THREADS];
	struct stress_tally got = {};
	const char *wrong = NULL;
	int a, b, i;

	if (ft_pair(kind, &a, &b))
		return "no pair";
	ft_shrink(a, b);
	memset(sender, 0, sizeof(sender));
	memset(receiver, 0, sizeof(receiver));
	for (i = 0; i < n; i++) {
		sender[i].kind = *kind;
		sender[i].fd = a;
		sender[i].lane = i;
		sender[i].random = i;
		sender[i].way = send_way[i];
		receiver[i] = sender[i];
		receiver[i].fd = b;
		receiver[i].way = recv_way[i];
		if (!prepare(&sender[i]) || !prepare(&receiver[i]))
			return "no ring or pipe";
	}
	for (i = 0; i < n; i++)
		if (pthread_create(&receiver[i].thread, NULL, receiver_thread,
				   &receiver[i]) ||
		    pthread_create(&sender[i].thread, NULL, sender_thread,
				   &sender[i]))
			return "no thread";
	for (i = 0; i < n; i++)
		if (!stress_join(sender[i].thread))
			return "a sender hangs";
	if (!end(a, kind->type, receiver, n))
		return "a receiver does not see the end";
	for (i = 0; i < n; i++)
		if (!stress_join(receiver[i].thread))
			return "a receiver hangs";
	for (i = 0; i < n; i++) {
		stress_add(&got, &receiver[i].got);
		if (sender[i].wrong)
			wrong = sender[i].wrong;
		if (receiver[i].wrong)
			wrong = receiver[i].wrong;
		finish(&sender[i]);
		finish(&receiver[i]);
	}
	if (got.wrong)
		wrong = got.wrong;
	for (i = 0; i < n; i++)
		if (!stress_complete(&got, kind->type, i, sender[i].sent))
			wrong = "not all has arrived";
	close(a);
	close(b);
	return wrong;
}

static void judge(struct __test_metadata *_metadata, const char *wrong,
		  const struct way *const *out, const struct way *const *in,
		  int n)
{
	int i;

	for (i = 0; wrong && i < n; i++)
		TH_LOG("%s to %s", out[i]->name, in[i]->name);
	if (wrong)
		TH_LOG("%s", wrong);
	EXPECT_EQ(NULL, wrong);
}

/* TCP waits for its timers when buffers are small: not all of it there. */
static bool left_out(const struct ft_kind *kind, int i, int j)
{
	return kind->domain == AF_INET && (i + j) % 4;
}

TEST_F_TIMEOUT(mix, X03_every_way_to_send_and_receive, FT_SLOW_S)
{
	const struct way *in, *out;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(senders); i++) {
		for (j = 0; j < ARRAY_SIZE(receivers); j++) {
			out = &senders[i];
			in = &receivers[j];
			if (out->uring || in->uring ||
			    left_out(&variant->kind, i, j))
				continue;
			judge(_metadata, run(&variant->kind, &out, &in, 1),
			      &out, &in, 1);
		}
	}
}

static bool have_uring(void)
{
	struct uring uring;

	if (!uring_open(&uring))
		return false;
	uring_close(&uring);
	return true;
}

TEST_F_TIMEOUT(mix, X03_io_uring_to_and_from_everything, FT_SLOW_S)
{
	const struct way *in, *out;
	size_t i, j;

	if (!have_uring())
		SKIP(return, "no io_uring: %s", strerror(errno));
	for (i = 0; i < ARRAY_SIZE(senders); i++) {
		for (j = 0; j < ARRAY_SIZE(receivers); j++) {
			out = &senders[i];
			in = &receivers[j];
			if ((!out->uring && !in->uring) ||
			    left_out(&variant->kind, i, j))
				continue;
			judge(_metadata, run(&variant->kind, &out, &in, 1),
			      &out, &in, 1);
		}
	}
}

TEST_F_TIMEOUT(mix, X03_many_threads_each_in_its_own_way, FT_SLOW_S)
{
	const struct way *in[THREADS], *out[THREADS];
	unsigned int random = 1;
	bool uring = have_uring();
	int round, i;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < THREADS; i++) {
			do {
				out[i] = &senders[stress_below(&random,
						ARRAY_SIZE(senders))];
			} while (out[i]->uring && !uring);
			do {
				in[i] = &receivers[stress_below(&random,
						ARRAY_SIZE(receivers))];
			} while (in[i]->uring && !uring);
		}
		judge(_metadata, run(&variant->kind, out, in, THREADS), out,
		      in, THREADS);
	}
}

/* Connections by way of io_uring. */

FIXTURE(ring)
{
	struct ft_leak leak;
	struct uring one, other;
	struct ft_addr addr;
	int listener;
};

FIXTURE_VARIANT(ring)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(ring, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(ring, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(ring, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(ring, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_SETUP(ring)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	if (!have_uring())
		SKIP(return, "no io_uring: %s", strerror(errno));
	ft_leak_start(&self->leak, variant->kind.domain);
	ASSERT_TRUE(uring_open(&self->one));
	ASSERT_TRUE(uring_open(&self->other));
	self->listener = ft_listener(&variant->kind, &self->addr, 0);
	ASSERT_LE(0, self->listener);
}

FIXTURE_TEARDOWN(ring)
{
	uring_close(&self->one);
	uring_close(&self->other);
	ft_close(&self->listener);
	FT_NO_LEAK(&self->leak);
}

static void ring_connect(struct uring *u, int fd, const struct ft_addr *addr)
{
	struct io_uring_sqe *sqe = uring_sqe(u, IORING_OP_CONNECT, fd);

	sqe->addr = (uintptr_t)&addr->sa;
	sqe->off = addr->len;
}

static void ring_recv(struct uring *u, int fd, void *buf, size_t len)
{
	struct io_uring_sqe *sqe = uring_sqe(u, IORING_OP_RECV, fd);

	sqe->addr = (uintptr_t)buf;
	sqe->len = len;
}

TEST_F(ring, X03_io_uring_accepts_and_connects)
{
	char buf[8];
	int a, b;

	/* The accept waits before anybody connects. */
	uring_sqe(&self->one, IORING_OP_ACCEPT, self->listener);
	ASSERT_EQ(1, uring_enter(&self->one, 0));
	a = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, a);
	ring_connect(&self->other, a, &self->addr);
	ASSERT_EQ(0, uring_do(&self->other));
	b = uring_do(&self->one);
	ASSERT_LE(0, b);
	EXPECT_EQ(3, uring_rw(&self->one, IORING_OP_SEND, a, "abc", 3, 0));
	EXPECT_EQ(3, uring_rw(&self->other, IORING_OP_RECV, b, buf, 8, 0));
	/* A receive that waits hears of the end. */
	ring_recv(&self->one, b, buf, sizeof(buf));
	ASSERT_EQ(1, uring_enter(&self->one, 0));
	ft_close(&a);
	EXPECT_EQ(0, uring_do(&self->one));
	ft_close(&b);
}

TEST_F(ring, X03_io_uring_connect_waits_for_a_place)
{
	int first, second, b;

	if (variant->kind.domain != AF_FERRY)
		SKIP(return, "a full backlog cannot be waited for");
	first = ft_connect(&variant->kind, &self->addr);
	ASSERT_LE(0, first);
	second = socket(variant->kind.domain, variant->kind.type, 0);
	ring_connect(&self->one, second, &self->addr);
	ASSERT_EQ(1, uring_enter(&self->one, 0));
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_EQ(0, uring_do(&self->one));
	ft_close(&b);
	ft_close(&first);

	/* The next one waits for the second's, until nobody is there. */
	first = socket(variant->kind.domain, variant->kind.type, 0);
	ring_connect(&self->one, first, &self->addr);
	ASSERT_EQ(1, uring_enter(&self->one, 0));
	ft_close(&self->listener);
	EXPECT_ERR(ECONNREFUSED, uring_do(&self->one));
	ft_close(&first);
	ft_close(&second);
}

/* Requests that wait keep their sockets no longer than the ring lives. */
TEST_F(ring, X03_io_uring_goes_while_requests_wait)
{
	struct ft_kind kind = variant->kind;
	char buf[8];
	int a, b;

	ASSERT_EQ(0, ft_pair(&kind, &a, &b));
	uring_sqe(&self->one, IORING_OP_ACCEPT, self->listener);
	uring_sqe(&self->one, IORING_OP_POLL_ADD, a)->poll32_events = POLLIN;
	ring_recv(&self->one, a, buf, sizeof(buf));
	ASSERT_EQ(3, uring_enter(&self->one, 0));
	uring_close(&self->one);
	ft_close(&a);
	ft_close(&b);
}

FT_HARNESS_MAIN
