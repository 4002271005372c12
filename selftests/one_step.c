// SPDX-License-Identifier: GPL-2.0
/*
 * What a stream promises of one message and of its two ends at once: a small one is
 * one step, nothing comes after the end, a copy that is stuck is nobody else's
 * concern, and who waits for room is told of it. F07, F08, F15, F16, E05, N01, X06,
 * X08.
 *
 * AF_UNIX queues a send of up to 32 KiB and half of SO_SNDBUF as one piece. TCP's
 * sends may always be cut.
 */

#include "events.h"
#include "bpf_helpers.h"
#include "passenger.h"
#include "stall.h"
#include "stream_fixture.h"

#include <sched.h>

#define SMALL	32768	/* as much is one step */

static int unread(int fd)
{
	int n = -1;

	return ioctl(fd, SIOCINQ, &n) ? -1 : n;
}

/* The largest message that is one step. AF_UNIX keeps 64 bytes of each half. */
static size_t largest(int domain, int a, int b)
{
	size_t half = ft_getint(a, SO_SNDBUF) / 2 - (domain == AF_UNIX ? 64 : 0);
	size_t rcvbuf = ft_getint(b, SO_RCVBUF);

	if (domain == AF_FERRY && rcvbuf < half)
		half = rcvbuf;
	return half < SMALL ? half : SMALL;
}

/* Sends @len patterned bytes. */
static ssize_t send_pattern(int fd, uint64_t at, size_t len, int flags)
{
	char *buf = malloc(len);
	ssize_t n;

	ft_pattern(buf, at, len);
	n = send(fd, buf, len, flags | MSG_NOSIGNAL);
	free(buf);
	return n;
}

/* Has the call returned by now, or soon? Joins it if so. */
static bool done_soon(struct ft_call *call)
{
	int64_t end = ft_now_ms() + FT_LONG_MS;

	while (!atomic_load(&call->done)) {
		if (ft_now_ms() > end)
			return false;
		sched_yield();
	}
	ft_join(call);
	return true;
}

/* A signal for a call that sleeps. */
static void interrupt(struct ft_call *call)
{
	pthread_kill(call->thread, SIGUSR1);
	ft_join(call);
}

/* Messages of @size until there is no room, each whole. Returns the bytes, or -1. */
static ssize_t fill_whole(int fd, uint64_t at, size_t size)
{
	ssize_t n, total = 0;

	while ((n = send_pattern(fd, at + total, size, MSG_DONTWAIT)) == size)
		total += n;
	if (n == -1 && errno == EAGAIN)
		return total;
	fprintf(stderr, "# %zd of %zu bytes, errno %d\n", n, size, errno);
	return -1;
}

TEST_F_TIMEOUT(local_stream, F07_small_message_is_whole_or_eagain, FT_SLOW_S)
{
	static const int buffers[] = { 0, 2336, 3000, 5456, 8192, 21600, 40000 };
	static const size_t sizes[] = {
		1, 24, 100, 300, 999, 1024, 1025, 2304, 3000, 4536, 10000, 10777,
		16384, 32624, 32625, 32768,
	};
	uint64_t written = 0, read = 0;
	size_t i, k, most;
	int round;
	ssize_t n;

	for (i = 0; i < ARRAY_SIZE(buffers); i++) {
		ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, buffers[i]));
		if (i % 2)
			ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, buffers[i]));
		most = largest(variant->kind.domain, self->a, self->b);
		for (k = 0; k <= ARRAY_SIZE(sizes); k++) {
			/* And the largest there is. */
			size_t size = k < ARRAY_SIZE(sizes) ? sizes[k] : most;

			if (size > most)
				continue;
			for (round = 0; round < 6; round++) {
				size_t odd = 1 + (round * 7919 + i * 331) %
						 (2 * size + 7);

				n = fill_whole(self->a, written, size);
				ASSERT_LE(0, n);
				written += n;
				/* The first always has room. */
				ASSERT_LT(read, written);
				if (odd > written - read)
					odd = written - read;
				ASSERT_TRUE(ft_recv_all(self->b, read, odd, odd));
				read += odd;
			}
			n = ft_drain(self->b, read);
			ASSERT_EQ(written - read, n);
			read += n;
		}
	}
}

/* Whatever is beside the bytes, and whoever asks for more than them. */
TEST_F(local_stream, F07_small_message_with_more_is_whole_or_eagain)
{
	static const size_t sizes[] = { 1, 300, 1025, 4536, 8000 };
	struct witness witness;
	char *buf = malloc(100000);
	size_t i, kind;
	ssize_t n;
	int sent;

	ft_pattern(buf, 0, 8000);
	for (kind = 0; kind < 3; kind++) {
		ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 8192));
		if (kind == 1)
			ASSERT_EQ(0, ft_setint(self->b, SO_TIMESTAMP, 1));
		if (kind == 2)
			ASSERT_EQ(0, ft_setint(self->b, SO_PASSCRED, 1));
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			ASSERT_TRUE(witness_make(&witness));
			for (sent = 0; ; sent++) {
				n = pass_send(self->a, buf, sizes[i],
					      &witness.out, !kind, NULL,
					      MSG_DONTWAIT);
				if (n != sizes[i])
					break;
			}
			EXPECT_EQ(-1, n);
			EXPECT_LT(0, sent);
			EXPECT_EQ(sent * sizes[i], unread(self->b));
			while (sent > 0) {
				n = recv(self->b, buf + 8000, sizes[i], 0);
				ASSERT_LT(0, n);
				/* One that carries descriptors may end a read. */
				if (n < sizes[i])
					n += recv(self->b, buf + 8000 + n,
						  sizes[i] - n, MSG_WAITALL);
				ASSERT_EQ(sizes[i], n);
				ASSERT_TRUE(ft_pattern_ok(buf + 8000, 0, n));
				sent--;
			}
			EXPECT_TRUE(witness_gone(&witness));
		}
	}
	free(buf);
}

#define WRITERS	4
#define LINES	250

static size_t line_len(int writer, int line)
{
	return line % 50 == 7 ? 7000 + writer : 2 + (line * 37 + writer * 101) % 1500;
}

struct line_writer {
	pthread_t thread;
	int number;
	int fd;
	bool ok;
};

static void *write_lines(void *arg)
{
	struct line_writer *writer = arg;
	bool wait = writer->number % 2;
	char line[8000];
	int i;

	for (i = 0; i < LINES; i++) {
		size_t len = line_len(writer->number, i);
		ssize_t n;

		memset(line, 'a' + writer->number, len);
		line[len - 1] = '\n';
		do {
			n = send(writer->fd, line, len,
				 MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
		} while (n < 0 && errno == EAGAIN &&
			 ft_poll(writer->fd, POLLOUT, FT_LONG_MS));
		if (n != len) {
			fprintf(stderr, "# writer %d: %zd of %zu bytes\n",
				writer->number, n, len);
			break;
		}
	}
	writer->ok = i == LINES;
	return NULL;
}

/* Takes the whole lines out of @buf; returns how many bytes, or -1. */
static ssize_t take_lines(char *buf, size_t have, int *lines)
{
	char *start = buf, *end;

	while ((end = memchr(start, '\n', buf + have - start))) {
		int writer = *start - 'a';
		char *p;

		if (writer < 0 || writer >= WRITERS ||
		    end - start + 1 != line_len(writer, lines[writer]++))
			return -1;
		for (p = start; p < end; p++)
			if (*p != *start)
				return -1;
		start = end + 1;
	}
	return start - buf;
}

TEST_F_TIMEOUT(local_stream, F07_lines_of_many_writers_are_whole, FT_SLOW_S)
{
	struct line_writer writers[WRITERS];
	int lines[WRITERS] = { 0 };
	static char buf[65536];
	size_t have = 0, turn = 0;
	int i, sum = 0;
	ssize_t n;

	ft_shrink(self->a, self->b);
	for (i = 0; i < WRITERS; i++) {
		writers[i].number = i;
		writers[i].fd = self->a;
		ASSERT_EQ(0, pthread_create(&writers[i].thread, NULL, write_lines,
					    &writers[i]));
	}
	while (sum < WRITERS * LINES) {
		n = recv(self->b, buf + have, 1 + turn++ * 997 % 9000, 0);
		ASSERT_LT(0, n);
		have += n;
		n = take_lines(buf, have, lines);
		ASSERT_LE(0, n) {
			TH_LOG("a torn line");
		}
		have -= n;
		memmove(buf, buf + n, have);
		for (i = 0, sum = 0; i < WRITERS; i++)
			sum += lines[i];
	}
	EXPECT_EQ(0, have);
	for (i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		EXPECT_TRUE(writers[i].ok);
	}
}

TEST_F(local_stream, X06_signal_does_not_cut_a_small_message)
{
	static const size_t sizes[] = { 2, 100, 1000, 4000, 10000, 16000 };
	uint64_t at = 0;
	ssize_t n;
	size_t i;

	ASSERT_EQ(0, ft_catch(SIGUSR1, 0));
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 16384));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 30000));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct ft_call call = {
			.fn = ft_do_send, .fd = self->a, .len = sizes[i],
			.flags = MSG_NOSIGNAL,
		};

		/* There is room, but not so much. */
		n = fill_whole(self->a, at, sizes[i]);
		ASSERT_LT(0, n);
		call.buf = malloc(sizes[i]);
		ft_pattern(call.buf, at + n, sizes[i]);
		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		interrupt(&call);
		EXPECT_EQ(-1, call.ret);
		EXPECT_EQ(EINTR, call.err);
		EXPECT_EQ(n, unread(self->b));

		/* And when it is not interrupted the whole of it comes. */
		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		EXPECT_EQ(n, unread(self->b));
		ASSERT_TRUE(ft_recv_all(self->b, at, n, 1000));
		ft_join(&call);
		EXPECT_EQ(sizes[i], call.ret);
		EXPECT_TRUE(ft_recv_all(self->b, at + n, sizes[i], 1000));
		EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
		at += n + sizes[i];
		free(call.buf);
	}
}

struct record_writer {
	int fd;
	size_t size;
	int count;
	bool ok;
};

static void *write_records(void *arg)
{
	struct record_writer *writer = arg;
	int i;

	for (i = 0; i < writer->count; i++)
		if (send_pattern(writer->fd, (uint64_t)i * writer->size,
				 writer->size, 0) != writer->size)
			break;
	writer->ok = i == writer->count;
	return NULL;
}

/* Whoever looks, and takes only what is complete, never sees a part of a record. */
TEST_F_TIMEOUT(local_stream, F08_peek_and_inq_show_a_message_in_one_step, FT_SLOW_S)
{
	static const size_t sizes[] = { 24, 100, 1000, 1500, 2200, 5000 };
	static const int buffers[] = { 0, 8192, 16384 };
	static char buf[100000];
	struct record_writer writer = { .fd = self->a, .count = 150 };
	pthread_t thread;
	size_t i, k;
	int got;

	for (i = 0; i < ARRAY_SIZE(buffers); i++)
		for (k = 0; k < ARRAY_SIZE(sizes); k++) {
			ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, buffers[i]));
			if (sizes[k] > largest(variant->kind.domain, self->a,
					       self->b))
				continue;
			writer.size = sizes[k];
			ASSERT_EQ(0, pthread_create(&thread, NULL, write_records,
						    &writer));
			for (got = 0; got < writer.count; ) {
				ssize_t n = unread(self->b);

				ASSERT_EQ(0, n % sizes[k]);
				n = recv(self->b, buf, sizeof(buf),
					 MSG_PEEK | MSG_DONTWAIT);
				if (n < 0) {
					ASSERT_EQ(EAGAIN, errno);
					ASSERT_NE(0, ft_poll(self->b, POLLIN,
							     FT_LONG_MS));
					continue;
				}
				ASSERT_EQ(0, n % sizes[k]);
				ASSERT_TRUE(ft_recv_all(self->b,
							(uint64_t)got * sizes[k],
							sizes[k], sizes[k]));
				got++;
			}
			pthread_join(thread, NULL);
			ASSERT_TRUE(writer.ok);
		}
}

/* Memory that ends in a message, a few pages after its beginning. */
TEST_F(local_stream, F07_fault_in_a_small_message_queues_nothing)
{
	static const size_t ready[] = { 1, 100, 1025, 4096, 10000, 20000 };
	long page = sysconf(_SC_PAGESIZE);
	size_t room = 5 * page, i, kind;
	struct witness witness;
	uint64_t at = 0;
	char *map, *edge;
	int before;

	map = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	edge = map + room;
	munmap(edge, page);

	/* Nothing there yet, something, and buffers of which it needs many. */
	for (kind = 0; kind < 3; kind++) {
		if (kind)
			ASSERT_TRUE(ft_send_all(self->a, at, 700, 700));
		if (kind == 2)
			ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 30000));
		before = unread(self->b);
		for (i = 0; i < ARRAY_SIZE(ready); i++) {
			EXPECT_ERR(EFAULT, send(self->a, edge - ready[i],
						ready[i] + 500, 0));
			ASSERT_TRUE(witness_make(&witness));
			EXPECT_ERR(EFAULT, pass_send(self->a, edge - ready[i],
						     ready[i] + 1, &witness.out, 1,
						     NULL, 0));
			EXPECT_TRUE(witness_gone(&witness));
		}
		EXPECT_EQ(before, unread(self->b));
		ASSERT_TRUE(ft_send_all(self->a, at + before, 3000, 3000));
		EXPECT_TRUE(ft_recv_all(self->b, at, before + 3000, 10000));
		EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
		at += before + 3000;
	}
	munmap(map, room);
}

TEST_F(ferry_stream, F07_fault_before_an_urgent_byte_marks_nothing)
{
	char *edge, *map = ft_page_edge(&edge);
	int mark = -1;
	char byte;

	ASSERT_NE(NULL, map);
	ASSERT_EQ(0, ft_catch(SIGURG, 0));
	ft_signals_reset();
	ASSERT_EQ(0, fcntl(self->b, F_SETOWN, getpid()));
	EXPECT_ERR(EFAULT, send(self->a, edge - 10, 11, MSG_OOB));
	EXPECT_EQ(0, ft_signals());
	ASSERT_EQ(0, ioctl(self->b, SIOCATMARK, &mark));
	EXPECT_EQ(0, mark);
	EXPECT_ERR(EINVAL, recv(self->b, &byte, 1, MSG_OOB));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN | POLLPRI, 0));
	munmap(map, sysconf(_SC_PAGESIZE));
}

/* A sender that is stuck in its copy, in every way to send. */

enum how_sent {
	APPENDED,	/* behind what the last buffer holds */
	NEW,		/* in a buffer of its own */
	STAMPED,
	FILTERED,
	RIGHTS,
};

FIXTURE(stuck)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(stuck)
{
	struct ft_kind kind;
	enum how_sent how;
};

#define STUCK_VARIANT(_name, _domain, _type, _how)			\
FIXTURE_VARIANT_ADD(stuck, _name)					\
{									\
	.kind = { _domain, _type, FT_PAIR },				\
	.how = _how,							\
}

STUCK_VARIANT(FERRY_stream, AF_FERRY, SOCK_STREAM, APPENDED);
STUCK_VARIANT(FERRY_stream_new, AF_FERRY, SOCK_STREAM, NEW);
STUCK_VARIANT(FERRY_stream_stamped, AF_FERRY, SOCK_STREAM, STAMPED);
STUCK_VARIANT(FERRY_stream_filtered, AF_FERRY, SOCK_STREAM, FILTERED);
STUCK_VARIANT(FERRY_stream_rights, AF_FERRY, SOCK_STREAM, RIGHTS);
STUCK_VARIANT(FERRY_seqpacket, AF_FERRY, SOCK_SEQPACKET, NEW);
STUCK_VARIANT(FERRY_seqpacket_stamped, AF_FERRY, SOCK_SEQPACKET, STAMPED);
STUCK_VARIANT(FERRY_seqpacket_filtered, AF_FERRY, SOCK_SEQPACKET, FILTERED);
STUCK_VARIANT(UNIX_stream, AF_UNIX, SOCK_STREAM, NEW);
STUCK_VARIANT(UNIX_stream_rights, AF_UNIX, SOCK_STREAM, RIGHTS);
STUCK_VARIANT(UNIX_seqpacket, AF_UNIX, SOCK_SEQPACKET, NEW);

FIXTURE_SETUP(stuck)
{
	char byte;

	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
	switch (variant->how) {
	case APPENDED:
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		ASSERT_EQ(1, recv(self->b, &byte, 1, 0));
		break;
	case STAMPED:
		ASSERT_EQ(0, ft_setint(self->b, SO_TIMESTAMP, 1));
		break;
	case FILTERED:
		ASSERT_EQ(0, filter_constant(self->b, 0xffff));
		break;
	default:
		break;
	}
}

FIXTURE_TEARDOWN(stuck)
{
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

#define STUCK_LEN	100	/* 60 of them are there */
#define STUCK_READY	60

static struct witness stuck_witness = { -1, -1 };

static ssize_t do_pass_send(struct ft_call *call)
{
	return pass_send(call->fd, call->buf, call->len, &stuck_witness.out,
			 stuck_witness.out >= 0, NULL, call->flags);
}

/* Begins a send, and is back when it is stuck. */
static bool stick_send(struct stall *stall, struct ft_call *call, int fd, bool rights)
{
	if (rights && !witness_make(&stuck_witness))
		return false;
	call->fn = do_pass_send;
	call->fd = fd;
	call->buf = stall_at(stall, STUCK_READY);
	call->len = STUCK_LEN;
	call->flags = MSG_NOSIGNAL;
	ft_pattern(call->buf, 0, STUCK_READY);
	return !ft_start(call) && stall_wait(stall);
}

/* A reader was shown the end; then the copy of a sender goes on. */
static void after_the_end(struct __test_metadata *_metadata, int a, int b, int shut,
			  int how, bool rights)
{
	struct ft_call call = { 0 };
	struct stall stall;
	char buf[200];

	STALL_NEED(&stall);
	ASSERT_TRUE(stick_send(&stall, &call, a, rights));
	ASSERT_EQ(0, shutdown(shut, how));
	EXPECT_EQ(0, recv(b, buf, sizeof(buf), MSG_DONTWAIT));
	ASSERT_TRUE(stall_end(&stall, STUCK_READY));
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(EPIPE, call.err);
	EXPECT_EQ(0, recv(b, buf, sizeof(buf), MSG_DONTWAIT));
	EXPECT_EQ(0, unread(b));
	if (rights)
		EXPECT_TRUE(witness_gone(&stuck_witness));
	EXPECT_ERR(EPIPE, send(a, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(0, recv(b, buf, sizeof(buf), MSG_DONTWAIT));
	stall_close(&stall);
}

TEST_F(stuck, F16_nothing_after_the_end)
{
	after_the_end(_metadata, self->a, self->b, self->a, SHUT_WR,
		      variant->how == RIGHTS);
}

TEST_F(stuck, F16_nothing_after_the_end_of_both)
{
	after_the_end(_metadata, self->a, self->b, self->a, SHUT_RDWR,
		      variant->how == RIGHTS);
}

TEST_F(stuck, F16_nothing_after_the_reader_ended_it)
{
	after_the_end(_metadata, self->a, self->b, self->b, SHUT_RD,
		      variant->how == RIGHTS);
}

/* What was sent before is read before the end. */
TEST_F(stuck, F16_the_end_comes_after_what_is_queued)
{
	struct ft_call call = { 0 };
	struct stall stall;
	char buf[200];

	STALL_NEED(&stall);
	ASSERT_TRUE(ft_send_all(self->a, 0, 50, 50));
	ASSERT_TRUE(stick_send(&stall, &call, self->a, variant->how == RIGHTS));
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_EQ(50, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 50));
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	ASSERT_TRUE(stall_end(&stall, STUCK_READY));
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(EPIPE, call.err);
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	if (variant->how == RIGHTS)
		EXPECT_TRUE(witness_gone(&stuck_witness));
	stall_close(&stall);
}

TEST_F(stuck, F15_send_into_closed_fails)
{
	struct ft_call call = { 0 };
	struct stall stall;

	STALL_NEED(&stall);
	ASSERT_TRUE(stick_send(&stall, &call, self->a, variant->how == RIGHTS));
	ft_close(&self->b);
	ASSERT_TRUE(stall_end(&stall, STUCK_READY));
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(EPIPE, call.err);
	EXPECT_EQ(0, ft_getint(self->a, SO_ERROR));
	if (variant->how == RIGHTS)
		EXPECT_TRUE(witness_gone(&stuck_witness));
	EXPECT_ERR(EPIPE, send(self->a, "x", 1, MSG_NOSIGNAL));
	stall_close(&stall);
}

/* Nothing ended: it arrives, whole. */
TEST_F(stuck, F07_a_stuck_send_goes_on)
{
	struct ft_call call = { 0 };
	struct stall stall;
	char buf[200];

	STALL_NEED(&stall);
	ASSERT_TRUE(stick_send(&stall, &call, self->a, variant->how == RIGHTS));
	EXPECT_EQ(0, unread(self->b));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	ASSERT_TRUE(stall_end(&stall, STUCK_READY));
	ft_join(&call);
	EXPECT_EQ(STUCK_LEN, call.ret);
	EXPECT_EQ(STUCK_LEN, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_TRUE(ft_pattern_ok(buf, 0, STUCK_LEN));
	if (variant->how == RIGHTS)
		EXPECT_TRUE(witness_gone(&stuck_witness));
	stall_close(&stall);
}

/*
 * AF_UNIX has nobody stuck before others when sending, and everybody behind a reader
 * that is: only here is there something to promise.
 */
TEST_F(ferry_stream, X08_stalled_copy_blocks_no_sender)
{
	struct ft_call stuck = { 0 };
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->a, .buf = "hello", .len = 5,
	};
	struct ft_child child;
	struct stall stall;
	char buf[200];
	int ep, n;

	STALL_NEED(&stall);
	ASSERT_EQ(0, ft_catch(SIGUSR1, 0));
	ep = epoll_on(self->a, EPOLLOUT | EPOLLET);
	ASSERT_LE(0, ep);
	EXPECT_EQ(EPOLLOUT, epoll_events(ep, 0));
	ASSERT_TRUE(stick_send(&stall, &stuck, self->a, false));

	EXPECT_ERR(EAGAIN, send(self->a, "x", 1, MSG_DONTWAIT));
	EXPECT_ERR(EAGAIN, send(self->a, "x", 1, MSG_DONTWAIT | MSG_OOB));
	if (!ft_fork(&child))
		_exit(ft_err(send(self->a, "x", 1, MSG_DONTWAIT)));
	EXPECT_EQ(EAGAIN, ft_wait_child(&child));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	interrupt(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(EINTR, call.err);

	/* Nor whoever does anything else. */
	EXPECT_EQ(5, send(self->b, "hello", 5, 0));
	EXPECT_EQ(5, recv(self->a, buf, sizeof(buf), 0));
	EXPECT_EQ(0, ioctl(self->a, SIOCOUTQ, &n));
	EXPECT_EQ(0, epoll_events(ep, 0));

	ASSERT_TRUE(stall_end(&stall, STUCK_READY));
	ft_join(&stuck);
	EXPECT_EQ(STUCK_LEN, stuck.ret);
	EXPECT_EQ(EPOLLOUT, epoll_events(ep, FT_LONG_MS));
	EXPECT_EQ(1, send(self->a, "x", 1, MSG_DONTWAIT));
	EXPECT_EQ(STUCK_LEN + 1, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_TRUE(ft_pattern_ok(buf, 0, STUCK_LEN));
	ft_close(&ep);
	stall_close(&stall);
}

TEST_F(ferry_stream, X08_stalled_copy_blocks_no_reader)
{
	struct ft_call stuck = { .fn = ft_do_recv, .fd = self->b, .len = STUCK_LEN };
	struct ft_call call = { .fn = ft_do_recv, .fd = self->b, .len = 10 };
	struct ft_child child;
	struct stall stall;
	char buf[200];
	int ep;

	STALL_NEED(&stall);
	stuck.buf = stall_at(&stall, STUCK_READY);
	call.buf = buf;
	ASSERT_EQ(0, ft_catch(SIGUSR1, 0));
	ep = epoll_on(self->b, EPOLLIN | EPOLLET);
	ASSERT_LE(0, ep);
	EXPECT_EQ(0, epoll_events(ep, 0));
	ASSERT_TRUE(ft_send_all(self->a, 0, STUCK_LEN + 20, STUCK_LEN + 20));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, 0));
	ASSERT_EQ(0, ft_start(&stuck));
	ASSERT_TRUE(stall_wait(&stall));

	EXPECT_ERR(EAGAIN, recv(self->b, buf, 10, MSG_DONTWAIT));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, 10, MSG_DONTWAIT | MSG_PEEK));
	if (!ft_fork(&child))
		_exit(ft_err(recv(self->b, buf, 10, MSG_DONTWAIT)));
	EXPECT_EQ(EAGAIN, ft_wait_child(&child));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	interrupt(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(EINTR, call.err);
	EXPECT_EQ(STUCK_LEN + 20, unread(self->b));
	EXPECT_EQ(5, send(self->b, "hello", 5, 0));
	EXPECT_EQ(0, epoll_events(ep, 0));

	/* The rest is an event. */
	ASSERT_TRUE(stall_end(&stall, 0));
	ft_join(&stuck);
	EXPECT_EQ(STUCK_LEN, stuck.ret);
	EXPECT_EQ(EPOLLIN, epoll_events(ep, FT_LONG_MS));
	EXPECT_EQ(20, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	EXPECT_TRUE(ft_pattern_ok(buf, STUCK_LEN, 20));
	EXPECT_EQ(0, epoll_events(ep, 0));
	ft_close(&ep);
	stall_close(&stall);
}

/* With no rest it is what comes next. */
TEST_F(ferry_stream, X08_stalled_copy_takes_all)
{
	struct ft_call stuck = { .fn = ft_do_recv, .fd = self->b, .len = STUCK_LEN };
	struct stall stall;
	char buf[200];
	int ep;

	STALL_NEED(&stall);
	stuck.buf = stall_at(&stall, STUCK_READY);
	ep = epoll_on(self->b, EPOLLIN | EPOLLET);
	ASSERT_LE(0, ep);
	ASSERT_TRUE(ft_send_all(self->a, 0, STUCK_LEN, STUCK_LEN));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, 0));
	ASSERT_EQ(0, ft_start(&stuck));
	ASSERT_TRUE(stall_wait(&stall));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, 10, MSG_DONTWAIT));
	ASSERT_TRUE(stall_end(&stall, 0));
	ft_join(&stuck);
	EXPECT_EQ(STUCK_LEN, stuck.ret);
	EXPECT_EQ(0, epoll_events(ep, 0));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, FT_LONG_MS));
	EXPECT_EQ(1, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	ft_close(&ep);
	stall_close(&stall);
}

/*
 * A reader that frees a buffer, be it only by looking for the next bytes, tells who
 * waits for room.
 */
TEST_F(local_stream, E05_peek_that_frees_a_buffer_wakes_the_sender)
{
	static const size_t sizes[] = { 1000, 4500, 32000 };
	uint64_t written = 0, read = 0;
	char byte;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct ft_call call = { .fn = ft_do_send, .fd = self->a, .len = sizes[i] };
		bool done = false;

		call.buf = malloc(sizes[i]);
		written += fill_whole(self->a, written, sizes[i]);
		ft_pattern(call.buf, written, sizes[i]);
		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		while (!done && read < written) {
			ASSERT_TRUE(ft_recv_all(self->b, read, sizes[i], sizes[i]));
			read += sizes[i];
			if (read < written)
				EXPECT_EQ(1, recv(self->b, &byte, 1, MSG_PEEK));
			if (ft_poll(self->a, POLLOUT, 0)) {
				ASSERT_TRUE(done_soon(&call)) {
					TH_LOG("asleep, with room");
				}
				done = true;
			}
		}
		ASSERT_TRUE(done);
		EXPECT_EQ(sizes[i], call.ret);
		written += sizes[i];
		ASSERT_TRUE(ft_recv_all(self->b, read, written - read, 4096));
		read = written;
		free(call.buf);
	}
}

struct closer {
	pthread_t thread;
	pthread_barrier_t gate;
	int fd;
	int rounds;
};

static void *say_and_close(void *arg)
{
	struct closer *closer = arg;
	int i, k;

	for (i = 0; i < closer->rounds; i++) {
		pthread_barrier_wait(&closer->gate);
		for (k = 0; k < i * 7 % 300; k++)
			__asm__ volatile("" ::: "memory");
		send(closer->fd, "R", 1, MSG_NOSIGNAL);
		close(closer->fd);
		pthread_barrier_wait(&closer->gate);
	}
	return NULL;
}

FIXTURE(reset)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(reset)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(reset, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(reset, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_PAIR },
};

/* Its SEQPACKET tells the error first. */
FIXTURE_VARIANT_ADD(reset, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM, FT_PAIR },
};

FIXTURE_SETUP(reset)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
}

FIXTURE_TEARDOWN(reset)
{
	FT_NO_LEAK(&self->leak);
}

TEST_F(reset, F08_queued_before_a_reset_is_read_first)
{
	char buf[8];
	int a, b;

	ASSERT_EQ(0, ft_pair(&variant->kind, &a, &b));
	ASSERT_EQ(1, send(a, "x", 1, 0));
	ASSERT_EQ(1, send(b, "R", 1, 0));
	ft_close(&b);
	EXPECT_EQ(1, recv(a, buf, sizeof(buf), MSG_PEEK));
	EXPECT_EQ(1, recv(a, buf, sizeof(buf), 0));
	EXPECT_ERR(ECONNRESET, recv(a, buf, sizeof(buf), 0));
	EXPECT_EQ(0, recv(a, buf, sizeof(buf), 0));
	ft_close(&a);
}

TEST_F_TIMEOUT(reset, F08_queued_before_a_reset_is_read_first_in_a_race, FT_SLOW_S)
{
	struct closer closer = { .rounds = 1500 };
	int early = 0, missing = 0;
	char buf[8];
	ssize_t n;
	int i, a;

	ASSERT_EQ(0, pthread_barrier_init(&closer.gate, NULL, 2));
	ASSERT_EQ(0, pthread_create(&closer.thread, NULL, say_and_close, &closer));
	for (i = 0; i < closer.rounds; i++) {
		int got = 0, errors = 0;

		ASSERT_EQ(0, ft_pair(&variant->kind, &a, &closer.fd));
		ASSERT_EQ(1, send(a, "x", 1, 0));
		pthread_barrier_wait(&closer.gate);
		while ((n = recv(a, buf, sizeof(buf), MSG_DONTWAIT))) {
			if (n > 0) {
				early += errors;
				got++;
			} else if (errno != EAGAIN) {
				errors++;
			}
		}
		missing += got != 1 || errors != 1;
		pthread_barrier_wait(&closer.gate);
		ft_close(&a);
	}
	pthread_join(closer.thread, NULL);
	pthread_barrier_destroy(&closer.gate);
	EXPECT_EQ(0, early);
	EXPECT_EQ(0, missing);
}

/* Nanoseconds that so many @looks at @n buffers take, at best. */
static int64_t peek_time(int fd, char *buf, size_t n, int looks)
{
	int64_t best = INT64_MAX, ns;
	struct timespec from, to;
	int i, j;

	for (i = 0; i < 9; i++) {
		clock_gettime(CLOCK_MONOTONIC, &from);
		for (j = 0; j < looks; j++)
			if (recv(fd, buf, n, MSG_PEEK) != n)
				return -1;
		clock_gettime(CLOCK_MONOTONIC, &to);
		ns = (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec -
		     from.tv_nsec;
		if (ns < best)
			best = ns;
	}
	return best;
}

#define FEW		250
#define TIMES		16	/* so many more; 16 times the time if it is quadratic */

TEST_F_TIMEOUT(local_stream, F08_peek_over_many_buffers_is_linear, FT_SLOW_S)
{
	char *buf = malloc(FEW * TIMES);
	int64_t few, many;
	int sent = 0;

	/* A message with a stamp has a buffer of its own. */
	ASSERT_EQ(0, ft_setint(self->b, SO_TIMESTAMP, 1));
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUFFORCE, 100 << 20));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUFFORCE, 100 << 20));
	while (sent < FEW * TIMES && send(self->a, "x", 1, MSG_DONTWAIT) == 1)
		sent++;
	ASSERT_EQ(FEW * TIMES, sent);
	/* As long as each other, so that a busy machine disturbs both alike. */
	few = peek_time(self->b, buf, FEW, TIMES);
	many = peek_time(self->b, buf, FEW * TIMES, 1);
	ASSERT_LT(0, few);
	EXPECT_GT(4 * few, many) {
		TH_LOG("%d looks at %d: %lld ns, one at %d: %lld ns", TIMES, FEW,
		       (long long)few, FEW * TIMES, (long long)many);
	}
	free(buf);
}

/*
 * How many bytes in messages of @size one direction takes, and the other then; @limit
 * is its SO_SNDBUF.
 */
static ssize_t capacity(int domain, size_t size, ssize_t *limit)
{
	struct ft_kind kind = { domain, SOCK_STREAM, FT_PAIR };
	ssize_t total = -1;
	int a, b;

	if (ft_pair(&kind, &a, &b))
		return -1;
	*limit = ft_getint(a, SO_SNDBUF);
	total = ft_fill(a, 0, size);
	if (send_pattern(b, 0, size, MSG_DONTWAIT) != size)
		total = -1;
	ft_close(&a);
	ft_close(&b);
	return total;
}

/* What AF_UNIX takes, but never more than SO_SNDBUF: AF_UNIX's last message may be. */
static void no_less(struct __test_metadata *_metadata, const size_t *sizes, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		ssize_t limit, theirs, ours, least;

		theirs = capacity(AF_UNIX, sizes[i], &limit);
		ours = capacity(AF_FERRY, sizes[i], &limit);
		ASSERT_LT(0, theirs);
		least = theirs * 9 / 10;
		if (sizes[i] <= SMALL)
			limit -= limit % sizes[i];
		EXPECT_LE(least < limit ? least : limit, ours) {
			TH_LOG("messages of %zu bytes: %zd, AF_UNIX %zd", sizes[i],
			       ours, theirs);
		}
	}
}

TEST(N01_no_less_than_af_unix)
{
	static const size_t sizes[] = {
		1, 9, 100, 500, 1000, 1024, 1025, 1500, 2000, 4096, 4537, 4600, 8192,
		9000, 10777, 11000, 16384, 32624, 32625, 32768,
	};

	FT_NEED(AF_FERRY, SOCK_STREAM);
	FT_NEED(AF_UNIX, SOCK_STREAM);
	no_less(_metadata, sizes, ARRAY_SIZE(sizes));
}

TEST(N01_no_less_than_af_unix_in_long_messages)
{
	static const size_t sizes[] = { 32769, 40000, 65536, 100000, 200000 };

	FT_NEED(AF_FERRY, SOCK_STREAM);
	FT_NEED(AF_UNIX, SOCK_STREAM);
	no_less(_metadata, sizes, ARRAY_SIZE(sizes));
}

/* A send that must return, in a thread; whatever happens, it ends. */
static ssize_t send_returns(struct __test_metadata *_metadata, int a, int b, char *buf,
			    size_t len)
{
	struct ft_call call = {
		.fn = ft_do_send, .fd = a, .buf = buf, .len = len,
		.flags = MSG_DONTWAIT | MSG_NOSIGNAL,
	};

	if (ft_start(&call))
		return -1;
	if (!done_soon(&call)) {
		EXPECT_TRUE(false) {
			TH_LOG("a send of %zu bytes neither waits nor ends", len);
		}
		shutdown(b, SHUT_RDWR);
		ft_join(&call);
	}
	errno = call.err;
	return call.ret;
}

/*
 * A long message into what room another has left: there is always an answer, and where
 * it is that there is no room poll says the same.
 */
TEST_F(local_stream, F07_long_message_beside_unread_bytes)
{
	static const int buffers[] = { 0, 2336, 3000, 4096, 5456, 10000, 21600, 32768 };
	static const size_t first[] = { 100, 1000, 1024, 4536, 10776, 12000 };
	static char buf[40000];
	size_t i, k;
	ssize_t n;

	for (i = 0; i < ARRAY_SIZE(buffers); i++) {
		for (k = 0; k < ARRAY_SIZE(first); k++) {
			ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, buffers[i]));
			if (first[k] > largest(variant->kind.domain, self->a, self->b))
				continue;
			ASSERT_EQ(first[k], send(self->a, buf, first[k], MSG_DONTWAIT));
			do {
				n = send_returns(_metadata, self->a, self->b, buf,
						 sizeof(buf) - first[k]);
			} while (n > 0);
			ASSERT_EQ(-1, n);
			ASSERT_EQ(EAGAIN, errno);
			EXPECT_EQ(0, ft_poll(self->a, POLLOUT, 0));
			while (recv(self->b, buf, sizeof(buf), MSG_DONTWAIT) > 0)
				;
		}
	}
}

/* Room for as much as the receiver ever takes, but for a byte that nobody will read. */
TEST_F(ferry_stream, F07_message_beside_a_taken_urgent_byte)
{
	static char buf[4096];
	ssize_t n;

	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 8192));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 2048));
	ASSERT_EQ(1, send(self->a, "U", 1, MSG_OOB));
	ASSERT_EQ(1, recv(self->b, buf, 1, MSG_OOB));
	n = send_returns(_metadata, self->a, self->b, buf, 4096);
	EXPECT_TRUE(n > 0 || ft_poll(self->b, POLLIN, 0));
}

/* Some that were taken. */
TEST_F(ferry_stream, E05_taken_urgent_bytes_are_no_obstacle)
{
	static const int buffers[] = { 0, 2336, 2600, 8192 };
	static char buf[8192];
	size_t i;
	int k;

	for (i = 0; i < ARRAY_SIZE(buffers); i++) {
		ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, buffers[i]));
		ASSERT_LT(0, send(self->a, buf, 4000, MSG_DONTWAIT));
		while (recv(self->b, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
		for (k = 0; k < 5; k++) {
			if (send(self->a, "U", 1, MSG_OOB | MSG_DONTWAIT) == 1)
				EXPECT_EQ(1, recv(self->b, buf, 1, MSG_OOB));
			EXPECT_TRUE(ft_poll(self->a, POLLOUT, 0) ||
				    ft_poll(self->b, POLLIN, 0)) {
				TH_LOG("SO_SNDBUF %d, %d bytes", buffers[i], k + 1);
			}
		}
		while (recv(self->b, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
	}
}

/* The end of a stream is an event too for who was told to come again. */
TEST_F(ferry_stream, X08_end_behind_a_stalled_reader)
{
	struct ft_call stuck = { .fn = ft_do_recv, .fd = self->b, .len = STUCK_LEN };
	struct stall stall;
	char buf[200];
	int ep;

	STALL_NEED(&stall);
	stuck.buf = stall_at(&stall, STUCK_READY);
	ep = epoll_on(self->b, EPOLLIN | EPOLLRDHUP | EPOLLET);
	ASSERT_LE(0, ep);
	ASSERT_TRUE(ft_send_all(self->a, 0, STUCK_LEN, STUCK_LEN));
	ASSERT_EQ(0, ft_start(&stuck));
	ASSERT_TRUE(stall_wait(&stall));
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_EQ(EPOLLIN | EPOLLRDHUP, epoll_events(ep, FT_LONG_MS));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, 10, MSG_DONTWAIT));
	ASSERT_TRUE(stall_end(&stall, 0));
	ft_join(&stuck);
	EXPECT_EQ(STUCK_LEN, stuck.ret);
	EXPECT_EQ(EPOLLIN | EPOLLRDHUP, epoll_events(ep, FT_LONG_MS));
	EXPECT_EQ(0, recv(self->b, buf, 10, MSG_DONTWAIT));
	ft_close(&ep);
	stall_close(&stall);
}

TEST_F(ferry_stream, X08_end_behind_a_stalled_sender)
{
	struct ft_call stuck = { 0 };
	struct stall stall;
	int ep;

	STALL_NEED(&stall);
	ft_shrink(self->a, self->b);
	/* More than half, so that it is no event for the room. */
	ASSERT_TRUE(ft_send_all(self->a, 0, 20000, 1000));
	ep = epoll_on(self->a, EPOLLOUT | EPOLLET);
	ASSERT_LE(0, ep);
	EXPECT_EQ(0, epoll_events(ep, 0));
	ASSERT_TRUE(stick_send(&stall, &stuck, self->a, false));
	ASSERT_EQ(0, shutdown(self->b, SHUT_RD));
	EXPECT_EQ(EPOLLOUT, epoll_events(ep, FT_LONG_MS));
	if (send(self->a, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EAGAIN) {
		ASSERT_TRUE(stall_end(&stall, STUCK_READY));
		EXPECT_EQ(EPOLLOUT, epoll_events(ep, FT_LONG_MS));
	} else {
		EXPECT_EQ(EPIPE, errno);
		ASSERT_TRUE(stall_end(&stall, STUCK_READY));
	}
	ft_join(&stuck);
	EXPECT_EQ(EPIPE, stuck.err);
	EXPECT_ERR(EPIPE, send(self->a, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL));
	ft_close(&ep);
	stall_close(&stall);
}

/* However many buffers it lies in. */
TEST_F(local_stream, F08_message_with_descriptors_in_one_step)
{
	static char buf[40000];
	struct witness witness;
	struct pass pass;
	int round;

	for (round = 0; round < 2; round++) {
		ssize_t len = round ? 2200 : 32768;

		if (round)
			ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 0));
		ASSERT_TRUE(witness_make(&witness));
		ASSERT_EQ(len, pass_send(self->a, buf, len, &witness.out, 1, NULL, 0));
		EXPECT_EQ(len, unread(self->b));
		EXPECT_EQ(len, pass_recv(self->b, buf, sizeof(buf), &pass, MSG_PEEK));
		EXPECT_EQ(1, pass.fds);
		pass_close(&pass);
		EXPECT_EQ(len, pass_recv(self->b, buf, sizeof(buf), &pass, 0));
		EXPECT_EQ(1, pass.fds);
		pass_close(&pass);
		EXPECT_TRUE(witness_gone(&witness));
		while (recv(self->b, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
	}
}

FT_HARNESS_MAIN
