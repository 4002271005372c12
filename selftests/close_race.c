// SPDX-License-Identifier: GPL-2.0
/*
 * close(2) against every call, many times over. What is asserted is little: only
 * documented errors, nothing that hangs, nothing that leaks, and of a stream
 * that what arrives is what was sent. The kernel's own checks do the rest.
 */

#include "stream_fixture.h"

#include <sys/epoll.h>

/* Enough to hit windows by chance, few enough for an emulated machine. */
#define ROUNDS	30

struct racer {
	pthread_t thread;
	pthread_barrier_t *start;
	const struct ft_addr *addr;
	int fd;
	int unexpected;		/* an errno that is not documented */
	size_t moved;
};

/* Notes an error; true when the call need not be tried again. */
static bool failed(struct racer *racer, ssize_t ret, const int *allowed)
{
	if (ret >= 0)
		return false;
	while (*allowed) {
		if (errno == *allowed++)
			return true;
	}
	racer->unexpected = errno;
	return true;
}

static void *race_recv(void *arg)
{
	static const int allowed[] = { ECONNRESET, EBADF, EAGAIN, 0 };
	struct racer *racer = arg;
	char buf[512];
	ssize_t n;

	pthread_barrier_wait(racer->start);
	do {
		n = recv(racer->fd, buf, sizeof(buf), 0);
		if (n > 0 && !ft_pattern_ok(buf, racer->moved, n))
			racer->unexpected = EILSEQ;
		racer->moved += n > 0 ? n : 0;
	} while (!failed(racer, n, allowed) && n > 0);
	return NULL;
}

static void *race_send(void *arg)
{
	static const int allowed[] = { ECONNRESET, EPIPE, EBADF, 0 };
	struct racer *racer = arg;
	char buf[700];
	ssize_t n;

	pthread_barrier_wait(racer->start);
	do {
		ft_pattern(buf, racer->moved, sizeof(buf));
		n = send(racer->fd, buf, sizeof(buf), MSG_NOSIGNAL);
		racer->moved += n > 0 ? n : 0;
	} while (!failed(racer, n, allowed) && racer->moved < 50000);
	return NULL;
}

static void *race_events(void *arg)
{
	static const int allowed[] = { EBADF, EPERM, 0 };
	struct racer *racer = arg;
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int ep = epoll_create1(0);
	int i;

	pthread_barrier_wait(racer->start);
	for (i = 0; i < 5; i++) {
		if (failed(racer, epoll_ctl(ep, EPOLL_CTL_ADD, racer->fd,
					    &event), allowed))
			break;
		epoll_wait(ep, &event, 1, 0);
		ft_poll(racer->fd, POLLIN, 0);
		epoll_ctl(ep, EPOLL_CTL_DEL, racer->fd, NULL);
	}
	close(ep);
	return NULL;
}

static void *race_small_calls(void *arg)
{
	static const int allowed[] = { EBADF, ENOTCONN, EINVAL, 0 };
	struct racer *racer = arg;
	struct ft_addr addr;
	int i, n;

	pthread_barrier_wait(racer->start);
	for (i = 0; i < 5; i++) {
		addr.len = sizeof(addr.ss);
		failed(racer, getsockname(racer->fd, &addr.sa, &addr.len),
		       allowed);
		addr.len = sizeof(addr.ss);
		failed(racer, getpeername(racer->fd, &addr.sa, &addr.len),
		       allowed);
		failed(racer, ioctl(racer->fd, FIONREAD, &n), allowed);
		failed(racer, ioctl(racer->fd, SIOCOUTQ, &n), allowed);
		failed(racer, ft_setint(racer->fd, SO_RCVLOWAT, i), allowed);
		failed(racer, ft_setint(racer->fd, SO_RCVBUF, i * 5000),
		       allowed);
		n = ft_getint(racer->fd, SO_ERROR);
	}
	return NULL;
}

static void *race_shutdown(void *arg)
{
	static const int allowed[] = { EBADF, ENOTCONN, 0 };
	struct racer *racer = arg;

	pthread_barrier_wait(racer->start);
	failed(racer, shutdown(racer->fd, SHUT_RD), allowed);
	failed(racer, shutdown(racer->fd, SHUT_WR), allowed);
	return NULL;
}

static void *race_close(void *arg)
{
	struct racer *racer = arg;

	pthread_barrier_wait(racer->start);
	close(racer->fd);
	return NULL;
}

/*
 * One round: @fn on one end against a close of the other. Returns the errno
 * that should not have been, or 0.
 */
static int against_peer_close(const struct ft_kind *kind, void *(*fn)(void *),
			      int round)
{
	pthread_barrier_t start;
	struct racer racer[2];
	int a, b, i;

	if (ft_pair(kind, &a, &b))
		return errno;
	ft_shrink(a, b);
	memset(racer, 0, sizeof(racer));
	pthread_barrier_init(&start, NULL, 2);
	racer[0].fd = a;
	racer[1].fd = b;
	/* Sometimes with something to read, sometimes with unread data left. */
	if (round & 1)
		ft_send_all(b, 0, 300, 100);
	if (round & 2)
		ft_send_all(a, 0, 300, 100);
	if (fn == race_send && (round & 2))
		racer[0].moved = 300;
	racer[0].start = &start;
	racer[1].start = &start;
	pthread_create(&racer[0].thread, NULL, fn, &racer[0]);
	pthread_create(&racer[1].thread, NULL, race_close, &racer[1]);
	for (i = 0; i < 2; i++)
		pthread_join(racer[i].thread, NULL);
	pthread_barrier_destroy(&start);
	close(a);
	return racer[0].unexpected;
}

static int rounds_of_peer_close(const struct ft_kind *kind, void *(*fn)(void *))
{
	int err = 0;
	int i;

	for (i = 0; i < ROUNDS && !err; i++)
		err = against_peer_close(kind, fn, i);
	return err;
}

TEST_F_TIMEOUT(stream, F15_peer_close_against_recv, FT_SLOW_S)
{
	EXPECT_EQ(0, rounds_of_peer_close(&variant->kind, race_recv));
}

TEST_F_TIMEOUT(stream, F15_peer_close_against_send, FT_SLOW_S)
{
	EXPECT_EQ(0, rounds_of_peer_close(&variant->kind, race_send));
}

TEST_F_TIMEOUT(stream, F15_peer_close_against_poll_and_epoll, FT_SLOW_S)
{
	EXPECT_EQ(0, rounds_of_peer_close(&variant->kind, race_events));
}

TEST_F_TIMEOUT(stream, F15_peer_close_against_names_options_ioctls, FT_SLOW_S)
{
	EXPECT_EQ(0, rounds_of_peer_close(&variant->kind, race_small_calls));
}

TEST_F_TIMEOUT(stream, F15_peer_close_against_shutdown, FT_SLOW_S)
{
	EXPECT_EQ(0, rounds_of_peer_close(&variant->kind, race_shutdown));
}

TEST_F_TIMEOUT(stream, F15_peer_close_against_close, FT_SLOW_S)
{
	EXPECT_EQ(0, rounds_of_peer_close(&variant->kind, race_close));
}

/* The same descriptor closed under the calls of other threads. */
TEST_F_TIMEOUT(stream, F15_own_close_against_calls, FT_SLOW_S)
{
	void *(*fn[])(void *) = {
		race_send, race_events, race_small_calls, race_shutdown,
	};
	pthread_barrier_t start;
	struct racer racer[5];
	int a, b, i, j;

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, ft_pair(&variant->kind, &a, &b));
		memset(racer, 0, sizeof(racer));
		pthread_barrier_init(&start, NULL, 5);
		for (j = 0; j < 5; j++) {
			racer[j].start = &start;
			racer[j].fd = a;
			ASSERT_EQ(0, pthread_create(&racer[j].thread, NULL,
						    j < 4 ? fn[j] : race_close,
						    &racer[j]));
		}
		for (j = 0; j < 5; j++) {
			pthread_join(racer[j].thread, NULL);
			/* epoll may have the number for itself meanwhile. */
			if (racer[j].unexpected == ENOTSOCK ||
			    racer[j].unexpected == EEXIST ||
			    racer[j].unexpected == ENOENT)
				racer[j].unexpected = 0;
			EXPECT_EQ(0, racer[j].unexpected);
		}
		pthread_barrier_destroy(&start);
		close(b);
	}
}

/* Traffic in both directions when one end goes: no byte wrong, none twice. */
TEST_F_TIMEOUT(stream, F15_close_in_full_traffic, FT_SLOW_S)
{
	pthread_barrier_t start;
	struct racer racer[4];
	int a, b, i, j;

	for (i = 0; i < ROUNDS / 2; i++) {
		ASSERT_EQ(0, ft_pair(&variant->kind, &a, &b));
		ft_shrink(a, b);
		memset(racer, 0, sizeof(racer));
		pthread_barrier_init(&start, NULL, 4);
		for (j = 0; j < 4; j++) {
			racer[j].start = &start;
			racer[j].fd = j & 1 ? b : a;
		}
		ASSERT_EQ(0, pthread_create(&racer[0].thread, NULL, race_send,
					    &racer[0]));
		ASSERT_EQ(0, pthread_create(&racer[1].thread, NULL, race_recv,
					    &racer[1]));
		ASSERT_EQ(0, pthread_create(&racer[2].thread, NULL, race_recv,
					    &racer[2]));
		ASSERT_EQ(0, pthread_create(&racer[3].thread, NULL,
					    race_shutdown, &racer[3]));
		for (j = 0; j < 4; j++) {
			if (j == 1)
				shutdown(a, SHUT_RDWR);
			pthread_join(racer[j].thread, NULL);
			EXPECT_EQ(0, racer[j].unexpected);
		}
		EXPECT_LE(racer[1].moved, racer[0].moved);
		pthread_barrier_destroy(&start);
		close(a);
		close(b);
	}
}

/*
 * Listeners. Not TCP's: there a SYN that meets the close is sent again a second
 * later, and a client may think for as long that it is connected.
 */

FIXTURE(listener)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(listener)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(listener, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(listener, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(listener, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_SETUP(listener)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
}

FIXTURE_TEARDOWN(listener)
{
	FT_NO_LEAK(&self->leak);
}

static void *race_connect(void *arg)
{
	static const int allowed[] = { ECONNREFUSED, ECONNRESET, 0 };
	struct racer *racer = arg;
	char byte;

	pthread_barrier_wait(racer->start);
	if (failed(racer, connect(racer->fd, &racer->addr->sa,
				  racer->addr->len), allowed)) {
		close(racer->fd);
		return NULL;
	}
	/* Connected: then it must end, by a reset or an end of file. */
	if (failed(racer, recv(racer->fd, &byte, 1, 0), allowed))
		racer->moved = 1;
	close(racer->fd);
	return NULL;
}

static void *race_accept(void *arg)
{
	static const int allowed[] = { EINVAL, EBADF, 0 };
	struct racer *racer = arg;
	int fd;

	pthread_barrier_wait(racer->start);
	fd = accept(racer->fd, NULL, NULL);
	if (!failed(racer, fd, allowed))
		close(fd);
	return NULL;
}

TEST_F_TIMEOUT(listener, F15_listener_close_against_connects, FT_SLOW_S)
{
	pthread_barrier_t start;
	struct racer racer[5];
	struct ft_addr addr;
	int fd, i, j;

	for (i = 0; i < ROUNDS; i++) {
		fd = ft_listener(&variant->kind, &addr, i & 1 ? 16 : 3);
		ASSERT_LE(0, fd);
		memset(racer, 0, sizeof(racer));
		pthread_barrier_init(&start, NULL, 5);
		for (j = 0; j < 5; j++) {
			racer[j].start = &start;
			racer[j].addr = &addr;
			racer[j].fd = j ? socket(variant->kind.domain,
						 variant->kind.type, 0) : fd;
			ASSERT_LE(0, racer[j].fd);
		}
		for (j = 0; j < 5; j++)
			ASSERT_EQ(0, pthread_create(&racer[j].thread, NULL,
						    j ? race_connect :
							race_close,
						    &racer[j]));
		for (j = 0; j < 5; j++) {
			pthread_join(racer[j].thread, NULL);
			EXPECT_EQ(0, racer[j].unexpected);
		}
		pthread_barrier_destroy(&start);
	}
}

static void *race_stop(void *arg)
{
	struct racer *racer = arg;

	pthread_barrier_wait(racer->start);
	shutdown(racer->fd, SHUT_RDWR);
	return NULL;
}

TEST_F_TIMEOUT(listener, F15_accepts_and_connects_against_a_stop, FT_SLOW_S)
{
	void *(*fn[])(void *) = {
		race_accept, race_accept, race_connect, race_connect, race_stop,
	};
	pthread_barrier_t start;
	struct racer racer[5];
	struct ft_addr addr;
	int fd, i, j;

	for (i = 0; i < ROUNDS; i++) {
		fd = ft_listener(&variant->kind, &addr, 16);
		ASSERT_LE(0, fd);
		memset(racer, 0, sizeof(racer));
		pthread_barrier_init(&start, NULL, 5);
		for (j = 0; j < 5; j++) {
			racer[j].start = &start;
			racer[j].addr = &addr;
			racer[j].fd = fn[j] == race_connect ?
				      socket(variant->kind.domain,
					     variant->kind.type, 0) : fd;
			ASSERT_LE(0, racer[j].fd);
		}
		for (j = 0; j < 5; j++)
			ASSERT_EQ(0, pthread_create(&racer[j].thread, NULL,
						    fn[j], &racer[j]));
		/* The accepts end by a connection or by the stop. */
		pthread_join(racer[4].thread, NULL);
		for (j = 0; j < 2; j++)
			pthread_join(racer[j].thread, NULL);
		ft_close(&fd);
		for (j = 2; j < 4; j++)
			pthread_join(racer[j].thread, NULL);
		for (j = 0; j < 5; j++)
			EXPECT_EQ(0, racer[j].unexpected);
		pthread_barrier_destroy(&start);
	}
}

TEST_F_TIMEOUT(listener, F15_close_of_a_socket_that_connects, FT_SLOW_S)
{
	pthread_barrier_t start;
	struct racer racer[3];
	struct ft_addr addr;
	int fd, i, j;

	/* One place, taken: the second waits in connect while all is closed. */
	for (i = 0; i < ROUNDS; i++) {
		struct ft_call call = { .fn = ft_do_connect, .addr = &addr };
		int first;

		fd = ft_listener(&variant->kind, &addr, 0);
		ASSERT_LE(0, fd);
		first = ft_connect(&variant->kind, &addr);
		ASSERT_LE(0, first);
		call.fd = socket(variant->kind.domain, variant->kind.type, 0);
		ASSERT_LE(0, call.fd);
		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		memset(racer, 0, sizeof(racer));
		pthread_barrier_init(&start, NULL, 3);
		racer[0].fd = fd;
		racer[1].fd = call.fd;
		racer[2].fd = first;
		for (j = 0; j < 3; j++) {
			racer[j].start = &start;
			ASSERT_EQ(0, pthread_create(&racer[j].thread, NULL,
						    race_close, &racer[j]));
		}
		for (j = 0; j < 3; j++)
			pthread_join(racer[j].thread, NULL);
		ft_join(&call);
		EXPECT_EQ(-1, call.ret);
		EXPECT_EQ(ECONNREFUSED, call.err);
		pthread_barrier_destroy(&start);
	}
}

FT_HARNESS_MAIN
