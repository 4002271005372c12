// SPDX-License-Identifier: GPL-2.0
/*
 * What went wrong in other families, as far as no other program looks for it.
 * The table in Documentation/testing.md tells which test is about what.
 */

#define _GNU_SOURCE
#include "passenger.h"
#include "uring.h"
#include "kselftest_harness.h"

#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <sys/epoll.h>

FIXTURE(kinds)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(kinds)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(kinds, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(kinds, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(kinds, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(kinds, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(kinds, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_SETUP(kinds)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	signal(SIGPIPE, SIG_IGN);
}

FIXTURE_TEARDOWN(kinds)
{
	FT_NO_LEAK(&self->leak);
}

/* A reference of the bind's must survive a connect that fails. */
TEST_F(kinds, F02_a_failed_connect_keeps_the_name)
{
	struct ft_kind *kind = &((struct ft_kind){ variant->kind.domain,
						   variant->kind.type });
	struct ft_addr own, nobody, server, read;
	int fd, listener, other, i;

	fd = socket(kind->domain, kind->type, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ft_bind_new(fd, kind->domain, &own));
	ft_addr_new(kind->domain, &nobody);
	for (i = 0; i < 3; i++)
		EXPECT_ERR(ECONNREFUSED, connect(fd, &nobody.sa, nobody.len));

	if (kind->type == SOCK_DGRAM) {
		listener = socket(kind->domain, kind->type, 0);
		ASSERT_EQ(0, ft_bind_new(listener, kind->domain, &server));
	} else {
		listener = ft_listener(kind, &server, 1);
	}
	ASSERT_LE(0, listener);
	ASSERT_EQ(0, connect(fd, &server.sa, server.len));
	/* Still there, still the same, and not to be had twice. */
	EXPECT_ERR(EINVAL, bind(fd, &nobody.sa, nobody.len));
	read.len = sizeof(read.ss);
	ASSERT_EQ(0, getsockname(fd, &read.sa, &read.len));
	EXPECT_EQ(own.len, read.len);
	EXPECT_EQ(0, memcmp(&own.ss, &read.ss, own.len));
	other = socket(kind->domain, kind->type, 0);
	EXPECT_ERR(EADDRINUSE, bind(other, &own.sa, own.len));
	ft_close(&listener);
	ft_close(&fd);
	EXPECT_EQ(0, bind(other, &own.sa, own.len));
	ft_close(&other);
}

/* Descriptors closed by one thread while another sends them. */

struct closer {
	pthread_t thread;
	atomic_int stop;
	int fd;
	int other;
};

static void *closer_thread(void *arg)
{
	struct closer *closer = arg;

	while (!atomic_load(&closer->stop)) {
		dup2(closer->other, closer->fd);
		sched_yield();
		close(closer->fd);
		sched_yield();
	}
	return NULL;
}

TEST_F(kinds, X01_descriptors_closed_meanwhile)
{
	struct closer closer = {};
	struct witness witness;
	struct pass pass;
	int a, b, i, fds[3], sent = 0;
	char buf[4];

	ASSERT_EQ(0, ft_pair(&variant->kind, &a, &b));
	ASSERT_TRUE(witness_make(&witness));
	/* A number nobody else gets. */
	closer.fd = 200;
	closer.other = witness.out;
	fds[0] = witness.out;
	fds[1] = closer.fd;
	fds[2] = witness.out;
	ASSERT_EQ(0, pthread_create(&closer.thread, NULL, closer_thread,
				    &closer));
	for (i = 0; i < 1000 || (sent < 20 && i < 1000000); i++) {
		if (pass_send(a, "x", 1, fds, 3, NULL, MSG_DONTWAIT) != 1) {
			EXPECT_EQ(EBADF, errno);
			continue;
		}
		sent++;
		EXPECT_EQ(1, pass_recv(b, buf, sizeof(buf), &pass, 0));
		EXPECT_EQ(3, pass.fds);
		pass_close(&pass);
	}
	atomic_store(&closer.stop, 1);
	pthread_join(closer.thread, NULL);
	TH_LOG("%d of %d were sent", sent, i);
	EXPECT_TRUE(witness_gone(&witness));
	ft_close(&a);
	ft_close(&b);
}

/* Splices against the close of either end. */

struct splicer {
	pthread_t thread;
	pthread_barrier_t *start;
	int in, out;
	int err;
};

static void *splicer_thread(void *arg)
{
	struct splicer *splicer = arg;
	ssize_t n;

	pthread_barrier_wait(splicer->start);
	do {
		n = splice(splicer->in, NULL, splicer->out, NULL, 65536, 0);
	} while (n > 0);
	splicer->err = n < 0 ? errno : 0;
	return NULL;
}

TEST_F(kinds, F15_splice_against_a_close_of_either_end)
{
	static char page[4096];
	struct splicer in = {}, out = {};
	pthread_barrier_t start;
	int a, b, i, into[2], from[2], round;

	for (round = 0; round < 60; round++) {
		ASSERT_EQ(0, ft_pair(&variant->kind, &a, &b));
		ft_shrink(a, b);
		ASSERT_EQ(0, pipe2(into, O_CLOEXEC));
		ASSERT_EQ(0, pipe2(from, O_CLOEXEC));
		for (i = 0; i < 12; i++)
			ASSERT_EQ(4096, write(into[1], page, 4096));
		ft_close(&into[1]);
		in.in = into[0];
		in.out = a;
		out.in = b;
		out.out = from[1];
		pthread_barrier_init(&start, NULL, 3);
		in.start = &start;
		out.start = &start;
		ASSERT_EQ(0, pthread_create(&in.thread, NULL, splicer_thread,
					    &in));
		ASSERT_EQ(0, pthread_create(&out.thread, NULL, splicer_thread,
					    &out));
		pthread_barrier_wait(&start);
		for (i = round % 7; i; i--)
			sched_yield();
		/* A datagram socket has no end of the other side's. */
		if (variant->kind.type == SOCK_DGRAM)
			shutdown(b, SHUT_RDWR);
		/* The number lives on: no thread meets another file there. */
		if (round & 1)
			dup2(into[0], a);
		else
			dup2(into[0], b);
		/* Whoever still waits does so for this end. */
		shutdown(round & 1 ? b : a, SHUT_RDWR);
		ft_close(&from[0]);
		pthread_join(in.thread, NULL);
		pthread_join(out.thread, NULL);
		pthread_barrier_destroy(&start);
		ft_close(&a);
		ft_close(&b);
		ft_close(&into[0]);
		ft_close(&from[1]);
	}
}

/* Every ioctl, in every state. */

#define SIOCUNIXFILE_NR		0x89e0
#define UNKNOWN_NR		0x8972

enum state {
	FRESH,
	BOUND,
	LISTENING,
	CONNECTED,
	PEER_CLOSED,
	SHUT,
	STATES
};

/* A socket in that state; @peer is its other end if it has one. */
static int in_state(const struct ft_kind *kind, enum state state, int *peer)
{
	struct ft_addr addr;
	int fd = -1;

	*peer = -1;
	switch (state) {
	case FRESH:
		return socket(kind->domain, kind->type, 0);
	case BOUND:
		fd = socket(kind->domain, kind->type, 0);
		if (ft_bind_new(fd, kind->domain, &addr))
			ft_close(&fd);
		return fd;
	case LISTENING:
		return ft_listener(kind, &addr, 1);
	default:
		if (ft_pair(kind, peer, &fd))
			return -1;
		if (state == PEER_CLOSED)
			ft_close(peer);
		else if (state == SHUT)
			shutdown(fd, SHUT_RDWR);
		return fd;
	}
}

static int queue_errno(const struct ft_kind *kind, enum state state)
{
	return state == LISTENING ? EINVAL : 0;
}

static int mark_errno(const struct ft_kind *kind, enum state state)
{
	return kind->type == SOCK_STREAM ? queue_errno(kind, state) : ENOTTY;
}

static int no_stamp(const struct ft_kind *kind, enum state state)
{
	return ENOENT;
}

static int fine(const struct ft_kind *kind, enum state state)
{
	return 0;
}

static int unknown(const struct ft_kind *kind, enum state state)
{
	return ENOTTY;
}

/* As <asm/sockios.h> has them, which does not live beside the C library. */
#define STAMP_OLD		0x8906
#define STAMPNS_OLD		0x8907
#define STAMP_NEW		_IOR(0x89, 0x06, long long[2])
#define STAMPNS_NEW		_IOR(0x89, 0x07, long long[2])
#define GETOWN			0x8903
#define GETPGRP			0x8904

static const struct {
	const char *name;
	unsigned long request;
	int (*err)(const struct ft_kind *kind, enum state state);
	bool fills;
} ioctls[] = {
	{ "SIOCINQ", SIOCINQ, queue_errno, true },
	{ "SIOCOUTQ", SIOCOUTQ, queue_errno, true },
	{ "SIOCATMARK", SIOCATMARK, mark_errno, true },
	{ "FIOGETOWN", GETOWN, fine, true },
	{ "SIOCGPGRP", GETPGRP, fine, true },
	{ "FIONBIO", FIONBIO, fine },
	{ "FIOASYNC", FIOASYNC, fine },
	{ "SIOCGSTAMP", STAMP_OLD, no_stamp },
	{ "SIOCGSTAMPNS", STAMPNS_OLD, no_stamp },
	{ "SIOCGSTAMP_NEW", STAMP_NEW, no_stamp },
	{ "SIOCGSTAMPNS_NEW", STAMPNS_NEW, no_stamp },
	{ "SIOCUNIXFILE", SIOCUNIXFILE_NR, unknown },
	{ "TCGETS", 0x5401, unknown },
	{ "unknown", UNKNOWN_NR, unknown },
};

TEST_F(kinds, F14_every_ioctl_in_every_state)
{
	const struct ft_kind *kind = &variant->kind;
	int fd, peer, err, zero[8];
	enum state state;
	size_t i;

	if (kind->domain != AF_FERRY)
		SKIP(return, "has other ioctls");
	for (state = FRESH; state < STATES; state++) {
		if (state == LISTENING && kind->type == SOCK_DGRAM)
			continue;
		fd = in_state(kind, state, &peer);
		ASSERT_LE(0, fd);
		for (i = 0; i < ARRAY_SIZE(ioctls); i++) {
			memset(zero, 0, sizeof(zero));
			err = ft_err(ioctl(fd, ioctls[i].request, zero));
			if (err != ioctls[i].err(kind, state))
				TH_LOG("%s in state %d", ioctls[i].name,
				       state);
			EXPECT_EQ(ioctls[i].err(kind, state), err);
			if (!ioctls[i].fills || err)
				continue;
			EXPECT_ERR(EFAULT, ioctl(fd, ioctls[i].request,
						 FT_WILD));
		}
		ft_close(&fd);
		ft_close(&peer);
	}
}

/* Every option, in every state: what is asked for later decides nothing now. */

#define OPTIONS		90	/* numbers of SOL_SOCKET that are tried */
#define PEERPIDFD	77	/* SO_PEERPIDFD: returns a new descriptor */

static bool locks(int option)
{
	/* What can be set but never again. */
	return option == SO_LOCK_FILTER;
}

TEST_F(kinds, F13_every_option_in_every_state)
{
	static const int values[] = { 0, 1, -1, INT_MAX, INT_MIN };
	const struct ft_kind *kind = &variant->kind;
	int fd, peer, option;
	enum state state;
	char buf[512] __attribute__((aligned(8)));
	socklen_t len;
	size_t i;

	for (state = FRESH; state < STATES; state++) {
		if (state == LISTENING && kind->type == SOCK_DGRAM)
			continue;
		fd = in_state(kind, state, &peer);
		ASSERT_LE(0, fd);
		for (option = 0; option < OPTIONS; option++) {
			for (i = 0; i < ARRAY_SIZE(values); i++)
				if (!locks(option))
					ft_setint(fd, option, values[i]);
			memset(buf, 0, sizeof(buf));
			setsockopt(fd, SOL_SOCKET, option, buf, 16);
			setsockopt(fd, SOL_SOCKET, option, buf, 1);
			EXPECT_NE(0, setsockopt(fd, SOL_SOCKET, option,
						FT_WILD, 16));
			for (len = 0; len <= 64; len += 4) {
				socklen_t real = len;

				if (!getsockopt(fd, SOL_SOCKET, option, buf,
						&real) &&
				    option == PEERPIDFD)
					close(*(int *)buf);
			}
		}
		ft_close(&fd);
		ft_close(&peer);
	}
}

/* Accepted sockets are no other sockets than those of socket(2). */
TEST_F(kinds, F13_accepted_sockets_have_the_same_options)
{
	const struct ft_kind *kind = &variant->kind;
	int fresh, a, b, option, err_fresh, err;
	socklen_t len;
	char buf[256];

	ASSERT_EQ(0, ft_pair(kind, &a, &b));
	fresh = socket(kind->domain, kind->type, 0);
	ASSERT_LE(0, fresh);
	for (option = 1; option < OPTIONS; option++) {
		if (locks(option) || option == SO_BINDTODEVICE)
			continue;
		err_fresh = ft_err(ft_setint(fresh, option, 0));
		err = ft_err(ft_setint(b, option, 0));
		if (err != err_fresh)
			TH_LOG("set option %d", option);
		EXPECT_EQ(err_fresh, err);
		/* A peer's are there only when there is one. */
		if (option == SO_PEERNAME || option == SO_PEERGROUPS ||
		    option == SO_PEERSEC || option == PEERPIDFD)
			continue;
		len = sizeof(buf);
		err_fresh = ft_err(getsockopt(fresh, SOL_SOCKET, option, buf,
					      &len));
		len = sizeof(buf);
		err = ft_err(getsockopt(b, SOL_SOCKET, option, buf, &len));
		if (err != err_fresh)
			TH_LOG("get option %d", option);
		EXPECT_EQ(err_fresh, err);
	}
	ft_close(&fresh);
	ft_close(&a);
	ft_close(&b);
}

/* Values at the edge of what an option takes, then what uses them. */
TEST_F(kinds, F13_values_at_the_edge_then_traffic)
{
	static const int options[] = {
		SO_RCVBUF, SO_SNDBUF, SO_RCVBUFFORCE, SO_SNDBUFFORCE,
		SO_RCVLOWAT, SO_PEEK_OFF, SO_PRIORITY, SO_MARK,
		SO_INCOMING_CPU, SO_BUSY_POLL, SO_BUSY_POLL_BUDGET,
	};
	static const int values[] = { INT_MIN, -1, 0, 1, 2, INT_MAX - 1,
				      INT_MAX };
	struct linger linger = {};
	struct timeval tv = {};
	char buf[64];
	size_t i, j;
	int a, b, n;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		for (j = 0; j < ARRAY_SIZE(values); j++) {
			ASSERT_EQ(0, ft_pair(&variant->kind, &a, &b));
			ft_setint(a, options[i], values[j]);
			ft_setint(b, options[i], values[j]);
			EXPECT_EQ(9, send(a, "some data", 9, MSG_DONTWAIT));
			n = recv(b, buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT);
			EXPECT_TRUE(n == 9 || n < 9);
			ft_poll(b, POLLIN, 0);
			ft_poll(a, POLLOUT, 0);
			EXPECT_EQ(9, recv(b, buf, sizeof(buf), MSG_DONTWAIT));
			EXPECT_EQ(0, memcmp(buf, "some data", 9));
			ft_close(&a);
			ft_close(&b);
		}
	}
	for (j = 0; j < ARRAY_SIZE(values); j++) {
		ASSERT_EQ(0, ft_pair(&variant->kind, &a, &b));
		tv.tv_sec = values[j];
		setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		setsockopt(a, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
		EXPECT_EQ(9, send(a, "some data", 9, 0));
		EXPECT_EQ(9, recv(b, buf, sizeof(buf), 0));
		linger.l_onoff = 1;
		linger.l_linger = values[j];
		setsockopt(a, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		ft_close(&a);
		ft_close(&b);
	}
}

/*
 * A peek with an offset that waits, while a second reader takes what it has
 * shown: afterwards it shows what follows, nothing twice and nothing else.
 */
TEST_F(kinds, O23_a_second_reader_while_a_peek_waits)
{
	char buf[16] = "", other[16];
	struct ft_call peek = {
		.fn = ft_do_recv, .buf = buf, .len = sizeof(buf),
		.flags = MSG_PEEK,
	};
	int a, b, round;

	if (variant->kind.domain == AF_UNIX)
		SKIP(return, "a peek that waits does not look again");
	ASSERT_EQ(0, ft_pair(&variant->kind, &a, &b));
	peek.fd = b;
	for (round = 0; round < 20; round++) {
		ASSERT_EQ(0, ft_setint(b, SO_PEEK_OFF, 0));
		ASSERT_EQ(4, send(a, "aaaa", 4, 0));
		ASSERT_EQ(4, recv(b, other, sizeof(other), MSG_PEEK));
		ASSERT_EQ(0, ft_start(&peek));
		ASSERT_TRUE(ft_blocked(&peek));
		EXPECT_EQ(4, recv(b, other, sizeof(other), 0));
		EXPECT_EQ(4, send(a, "bbbb", 4, 0));
		ft_join(&peek);
		EXPECT_EQ(4, peek.ret);
		EXPECT_EQ(0, memcmp(buf, "bbbb", 4));
		EXPECT_EQ(4, recv(b, other, sizeof(other), 0));
		EXPECT_EQ(0, memcmp(other, "bbbb", 4));
	}
	ft_close(&a);
	ft_close(&b);
}

/* Every ancillary item by every path that receives. */

enum item {
	RIGHTS = 1,
	CREDS = 2,
	STAMP = 4,
	MARK = 8,
	ITEMS = 16
};

static struct uring ring = URING_NONE;

/* What came; @items only where the path can tell. */
struct came {
	ssize_t len;
	char data[64];
	int items;
	int fds;
	int fd[4];
	bool twice;
};

static void look(struct came *came, struct msghdr *msg)
{
	struct cmsghdr *cmsg;
	int item, n;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		switch (cmsg->cmsg_type) {
		case SCM_RIGHTS:
			item = RIGHTS;
			n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(came->fd, CMSG_DATA(cmsg), n * sizeof(int));
			came->fds = n;
			break;
		case SCM_CREDENTIALS:
			item = CREDS;
			break;
		case SO_TIMESTAMP:
			item = STAMP;
			break;
		case SO_MARK:
			item = MARK;
			break;
		default:
			item = ITEMS;
		}
		came->twice |= came->items & item;
		came->items |= item;
	}
}

static void by_recvmsg(int fd, struct came *came, int op, int flags)
{
	union {
		struct cmsghdr align;
		char buf[512];
	} control;
	struct iovec iov = { came->data, 3 };
	struct mmsghdr mm = {
		.msg_hdr = {
			.msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = control.buf,
			.msg_controllen = sizeof(control.buf),
		},
	};

	if (op == IORING_OP_RECVMSG)
		came->len = uring_msg(&ring, op, fd, &mm.msg_hdr, flags);
	else if (op)
		came->len = recvmmsg(fd, &mm, 1, flags, NULL) == 1 ?
			    mm.msg_len : -1;
	else
		came->len = recvmsg(fd, &mm.msg_hdr, flags);
	if (came->len >= 0)
		look(came, &mm.msg_hdr);
}

static void path_recvmsg(int fd, struct came *came)
{
	by_recvmsg(fd, came, 0, 0);
}

static void path_recvmmsg(int fd, struct came *came)
{
	by_recvmsg(fd, came, -1, 0);
}

static void path_uring_recvmsg(int fd, struct came *came)
{
	by_recvmsg(fd, came, IORING_OP_RECVMSG, 0);
}

static void path_peek_first(int fd, struct came *came)
{
	struct came peeked = {};

	by_recvmsg(fd, &peeked, 0, MSG_PEEK);
	while (peeked.fds)
		close(peeked.fd[--peeked.fds]);
	by_recvmsg(fd, came, 0, 0);
	/* Both show the same. */
	came->twice |= peeked.items != came->items;
}

static void path_recv(int fd, struct came *came)
{
	came->len = recv(fd, came->data, 3, 0);
}

static void path_read(int fd, struct came *came)
{
	came->len = read(fd, came->data, 3);
}

static void path_readv(int fd, struct came *came)
{
	struct iovec iov[2] = { { came->data, 1 }, { came->data + 1, 2 } };

	came->len = readv(fd, iov, 2);
}

static void path_splice(int fd, struct came *came)
{
	int pipes[2];

	came->len = -1;
	if (pipe2(pipes, O_CLOEXEC))
		return;
	came->len = splice(fd, NULL, pipes[1], NULL, 3, 0);
	if (came->len > 0)
		came->len = read(pipes[0], came->data, came->len);
	close(pipes[0]);
	close(pipes[1]);
}

static void path_uring_recv(int fd, struct came *came)
{
	came->len = uring_rw(&ring, IORING_OP_RECV, fd, came->data, 3, 0);
}

static void path_uring_read(int fd, struct came *came)
{
	came->len = uring_rw(&ring, IORING_OP_READ, fd, came->data, 3, 0);
}

static const struct path {
	const char *name;
	void (*fn)(int fd, struct came *came);
	bool tells;		/* has control data */
	bool uring;
} paths[] = {
	{ "recvmsg", path_recvmsg, true },
	{ "recvmmsg", path_recvmmsg, true },
	{ "peek, then recvmsg", path_peek_first, true },
	{ "io_uring recvmsg", path_uring_recvmsg, true, true },
	{ "recv", path_recv },
	{ "read", path_read },
	{ "readv", path_readv },
	{ "splice", path_splice },
	{ "io_uring recv", path_uring_recv, false, true },
	{ "io_uring read", path_uring_read, false, true },
};

TEST_F(kinds, X01_every_item_by_every_path)
{
	int known = variant->kind.domain == AF_FERRY ? ITEMS - 1 :
						       RIGHTS | CREDS;
	struct came first, second;
	struct witness witness;
	bool have_ring;
	int a, b, items;
	size_t i;

	have_ring = uring_open(&ring);
	if (!have_ring)
		TH_LOG("without io_uring: %s", strerror(errno));
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		if (paths[i].uring && !have_ring)
			continue;
		for (items = 0; items < ITEMS; items++) {
			if (items & ~known)
				continue;
			ASSERT_EQ(0, ft_pair(&variant->kind, &a, &b));
			ASSERT_TRUE(witness_make(&witness));
			ft_setint(b, SO_PASSCRED, !!(items & CREDS));
			ft_setint(b, SO_TIMESTAMP, !!(items & STAMP));
			if (items & MARK &&
			    (ft_setint(a, SO_MARK, 7) ||
			     ft_setint(b, SO_RCVMARK, 1)))
				TH_LOG("no mark: %s", strerror(errno));
			ASSERT_EQ(3, pass_send(a, "one", 3, &witness.out,
					       !!(items & RIGHTS), NULL, 0));
			ASSERT_EQ(3, send(a, "two", 3, 0));
			memset(&first, 0, sizeof(first));
			memset(&second, 0, sizeof(second));
			paths[i].fn(b, &first);
			path_recvmsg(b, &second);
			if (first.twice || first.len != 3 ||
			    (paths[i].tells && first.items != items) ||
			    second.items != (items & ~RIGHTS))
				TH_LOG("%s, items %#x: %#x, then %#x",
				       paths[i].name, items, first.items,
				       second.items);
			EXPECT_EQ(3, first.len);
			EXPECT_EQ(0, memcmp(first.data, "one", 3));
			EXPECT_FALSE(first.twice);
			EXPECT_EQ(paths[i].tells ? items : 0, first.items);
			/* Nothing of it on the message that follows. */
			EXPECT_EQ(3, second.len);
			EXPECT_EQ(0, memcmp(second.data, "two", 3));
			EXPECT_EQ(items & ~RIGHTS, second.items);
			while (first.fds)
				close(first.fd[--first.fds]);
			EXPECT_TRUE(witness_gone(&witness));
			ft_close(&a);
			ft_close(&b);
		}
	}
	uring_close(&ring);
}

FT_HARNESS_MAIN
