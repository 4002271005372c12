// SPDX-License-Identifier: GPL-2.0
/*
 * The urgent byte of a stream. What it means is what TCP says it means: most of
 * these tests do the same to a socket of the family and to TCP and compare
 * every answer. E09, O20, S05, I06, F07, F08.
 */

#include "passenger.h"
#include "stall.h"
#include "stream_fixture.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <linux/tcp.h>

/* TCP_ESTABLISHED, whose header does not go with <linux/tcp.h>. */
#define ESTABLISHED	1

/* A connection under comparison. */
struct line {
	int tx;
	int rx;
	bool tcp;
	uint64_t sent;
	bool shut;
};

/* What one step of a script had to say, and how the receiver looked then. */
struct seen {
	ssize_t ret;
	int err;
	int flags;
	char data[32];
	int mark;
	int unread;
	short events;
	int signals;
};

/*
 * A listener of TCP that lives for one test; each connection of it is closed by
 * a reset, so that thousands of them leave nothing behind.
 */
struct oracle {
	struct ft_addr addr;
	int listener;
};

static bool oracle_open(struct oracle *oracle)
{
	struct ft_kind kind = { AF_INET, SOCK_STREAM };

	oracle->listener = ft_listener(&kind, &oracle->addr, 16);
	return oracle->listener >= 0;
}

static bool line_open_tcp(struct line *line, const struct oracle *oracle)
{
	struct ft_kind kind = { AF_INET, SOCK_STREAM };
	struct linger reset = { .l_onoff = 1 };
	int one = 1;

	*line = (struct line){ .tcp = true };
	line->tx = ft_connect(&kind, &oracle->addr);
	line->rx = accept(oracle->listener, NULL, NULL);
	if (line->tx < 0 || line->rx < 0)
		return false;
	setsockopt(line->tx, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(line->tx, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	setsockopt(line->rx, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	return true;
}

static bool line_open(struct line *line, const struct ft_kind *kind,
		      const struct oracle *oracle)
{
	if (kind->domain == AF_INET)
		return line_open_tcp(line, oracle);
	*line = (struct line){ 0 };
	return !ft_pair(kind, &line->tx, &line->rx);
}

static void line_close(struct line *line)
{
	ft_close(&line->tx);
	ft_close(&line->rx);
}

/* TCP's segments arrive by themselves: until they have. */
static bool line_settle(const struct line *line)
{
	int64_t end = ft_now_ms() + FT_LONG_MS;
	struct tcp_info info;
	socklen_t len;

	while (line->tcp) {
		len = sizeof(info);
		if (getsockopt(line->rx, IPPROTO_TCP, TCP_INFO, &info, &len))
			return false;
		/* The end counts as a byte. */
		if (info.tcpi_bytes_received >= line->sent &&
		    (!line->shut || info.tcpi_state != ESTABLISHED))
			break;
		if (ft_now_ms() > end)
			return false;
		sched_yield();
	}
	return true;
}

static void line_recv(const struct line *line, struct seen *seen, size_t len,
		      int flags)
{
	struct iovec iov = { .iov_base = seen->data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	seen->ret = recvmsg(line->rx, &msg, flags | MSG_DONTWAIT);
	seen->err = ft_err(seen->ret);
	if (seen->ret >= 0)
		seen->flags = msg.msg_flags & (MSG_OOB | MSG_TRUNC);
}

static void line_send(struct line *line, struct seen *seen, size_t len,
		      int flags)
{
	char data[32];
	size_t i;

	/* Every byte of a script is another letter. */
	for (i = 0; i < len; i++)
		data[i] = 'a' + (line->sent + i) % 26;
	seen->ret = send(line->tx, data, len, flags | MSG_NOSIGNAL);
	seen->err = ft_err(seen->ret);
	if (seen->ret > 0)
		line->sent += seen->ret;
}

/*
 * One step. The letters of a script:
 *
 *   s<n> send        o<n> send with MSG_OOB    F    shut down sending
 *   r<n> receive     p<n> peek                 w<n> receive with MSG_WAITALL
 *   u<n> receive the urgent byte               U<n> peek at it
 *   i    SO_OOBINLINE on                       j    and off
 *
 * Returns false when TCP did not deliver.
 */
static bool line_step(struct line *line, const char *op, struct seen *seen)
{
	int signals = ft_signals();
	size_t n = 1;

	memset(seen, 0, sizeof(*seen));
	if (op[1] >= '0' && op[1] <= '9')
		n = atoi(op + 1);
	switch (op[0]) {
	case 's':
		line_send(line, seen, n, 0);
		break;
	case 'o':
		line_send(line, seen, n, MSG_OOB);
		break;
	case 'F':
		seen->ret = shutdown(line->tx, SHUT_WR);
		line->shut = true;
		break;
	case 'r':
		line_recv(line, seen, n, 0);
		break;
	case 'p':
		line_recv(line, seen, n, MSG_PEEK);
		break;
	case 'w':
		line_recv(line, seen, n, MSG_WAITALL);
		break;
	case 'u':
		line_recv(line, seen, n, MSG_OOB);
		break;
	case 'U':
		line_recv(line, seen, n, MSG_OOB | MSG_PEEK);
		break;
	case 'i':
	case 'j':
		seen->ret = ft_setint(line->rx, SO_OOBINLINE, op[0] == 'i');
		break;
	}
	if (!line_settle(line))
		return false;
	seen->mark = -1;
	seen->unread = -1;
	ioctl(line->rx, SIOCATMARK, &seen->mark);
	ioctl(line->rx, SIOCINQ, &seen->unread);
	seen->events = ft_poll(line->rx, POLLIN | POLLPRI | POLLRDHUP, 0);
	seen->signals = ft_signals() - signals;
	return true;
}

static void show(const char *who, const struct seen *seen)
{
	fprintf(stderr,
		"#   %-5s returned %zd (%s) '%.*s' flags %#x; mark %d, unread %d, events %#x, %d signals\n",
		who, seen->ret, seen->err ? strerror(seen->err) : "ok",
		seen->ret > 0 ? (int)seen->ret : 0, seen->data, seen->flags,
		seen->mark, seen->unread, seen->events, seen->signals);
}

/* Runs a script on both; false where they differ first. */
static bool same_as_tcp(const struct ft_kind *kind,
			const struct oracle *oracle, const char *script)
{
	struct line line = { .tx = -1, .rx = -1 };
	struct line tcp = { .tx = -1, .rx = -1 };
	struct seen a, b;
	const char *op;
	bool ok;

	ok = line_open(&line, kind, oracle) && line_open_tcp(&tcp, oracle) &&
	     !fcntl(line.rx, F_SETOWN, getpid()) &&
	     !fcntl(tcp.rx, F_SETOWN, getpid());
	for (op = script; ok && *op; op++) {
		/* Digits and blanks belong to the letter before. */
		if (*op == ' ' || (*op >= '0' && *op <= '9'))
			continue;
		ok = line_step(&line, op, &a) && line_step(&tcp, op, &b) &&
		     !memcmp(&a, &b, sizeof(a));
		if (ok)
			continue;
		fprintf(stderr, "# script '%s', at '%s':\n", script, op);
		show("here", &a);
		show("TCP", &b);
	}
	line_close(&line);
	line_close(&tcp);
	return ok;
}

FIXTURE(oob)
{
	struct ft_leak leak;
	struct oracle oracle;
};

FIXTURE_VARIANT(oob)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(oob, FERRY_pair)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

/* The oracle against itself: it must be of one mind. */
FIXTURE_VARIANT_ADD(oob, TCP_conn)
{
	.kind = { AF_INET, SOCK_STREAM, FT_CONN },
};

FIXTURE_SETUP(oob)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	ASSERT_EQ(0, ft_catch(SIGURG, SA_RESTART));
	ASSERT_TRUE(oracle_open(&self->oracle));
}

FIXTURE_TEARDOWN(oob)
{
	ft_close(&self->oracle.listener);
	FT_NO_LEAK(&self->leak);
}

#define SAME(script)							\
	EXPECT_TRUE(same_as_tcp(&variant->kind, &self->oracle, script))

/* The cases that other local families are tested with. */

static const struct {
	const char *name;
	const char *plain;
	const char *peeking;
} cases[] = {
	{ "non_oob", "s1 u", "s1 U u" },
	{ "oob", "o1 u", "o1 U u" },
	{ "oob_drop", "o1 r1 u", "o1 p1 r1 U u" },
	{ "oob_ahead", "o5 u r4", "o5 U u p4 r4" },
	{ "oob_break", "o5 r5 u r1", "o5 p5 r5 U u p1 r1" },
	{ "oob_ahead_break", "o5 s5 u r9 r5", "o5 s5 U u p9 r9 p5 r5" },
	{ "oob_break_drop", "o5 s5 r10 r10 u", "o5 s5 p10 r10 p10 r10 U u" },
	{ "ex_oob_break", "o5 o3 s2 r10 u r2", "o5 o3 s2 p10 r10 U u p2 r2" },
	{ "ex_oob_drop", "o1 o1 r1 u", "o1 o1 p1 r1 U u" },
	{ "ex_oob_drop_2", "o1 o1 u r1", "o1 o1 U u p1 r1" },
	{ "ex_oob_oob", "o1 u o1 r1 u", "o1 U u o1 p1 r1 U u" },
	{ "ex_oob_ahead_break", "o5 o3 u o2 r10 u",
	  "o5 o3 U u o2 p10 r10 U u" },
	{ "ex_oob_siocatmark", "o5 u o5 r4", "o5 U u o5 p4 r4" },
	{ "inline_oob", "i o1 u r1", "i o1 U u p1 r1" },
	{ "inline_oob_break", "i o5 u r5 r1", "i o5 U u p5 r5 p1 r1" },
	{ "inline_oob_ahead_break", "o5 s5 u i r9 r6",
	  "o5 s5 U u i p9 r9 p6 r6" },
	{ "inline_ex_oob_break", "o5 o3 s2 i r10 r3",
	  "o5 o3 s2 i p10 r10 p3 r3" },
	{ "inline_ex_oob_no_drop", "o1 i o1 r1 r1", "o1 i o1 p1 r1 p1 r1" },
	{ "inline_ex_oob_drop", "o1 o1 i r1 r1", "o1 o1 i p1 r1 p1 r1" },
	{ "inline_ex_oob_siocatmark", "o5 u i o5 r4", "o5 U u i o5 p4 r4" },
};

TEST_F(oob, F08_cases_of_other_families)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT_TRUE(same_as_tcp(&variant->kind, &self->oracle,
					cases[i].plain)) {
			TH_LOG("case %s", cases[i].name);
		}
		EXPECT_TRUE(same_as_tcp(&variant->kind, &self->oracle,
					cases[i].peeking)) {
			TH_LOG("case %s, peeking", cases[i].name);
		}
	}
}

TEST_F(oob, F08_further_cases)
{
	/* No room for the byte; more room than it needs. */
	SAME("o1 u0 u1");
	SAME("o3 u10 r10");
	/* A wait for everything ends at the mark. */
	SAME("s3 o3 s3 w9 w9 w9");
	SAME("i s3 o3 s3 w9 w9 w9");
	/* The end, before and after it was reached. */
	SAME("o3 F r5 u r5 r5");
	SAME("o3 F u r5 r5");
	SAME("o1 F r5 u r5");
	SAME("F u U r1");
	SAME("o1 F i r5 u r5");
	/* Switched while the byte waits. */
	SAME("o1 i u j u r5");
	SAME("o1 i r5 j u r5");
	SAME("o3 u i r5 r5");
	SAME("i o3 j r5 u r5");
	/* Read three times, peeked at ever again. */
	SAME("o1 U U U u U u u r1 u");
	SAME("o2 p5 p5 r1 p5 r5 p5 r5");
	SAME("s5 r5 o1 s5 p5 r5 u");
}

/* Every short sequence there is; some of them where that would take minutes. */

#define SOME	7

static const char * const letters[] = {
	"s2", "o1", "o3", "r1", "r9", "p9", "u", "U", "i",
};

TEST_F_TIMEOUT(oob, F08_every_sequence_of_four, FT_SLOW_S)
{
	unsigned int total = 1, step = ft_checks_itself() ? SOME : 1, n, left;
	int failed = 0, i;
	char script[64];

	for (i = 0; i < 4; i++)
		total *= ARRAY_SIZE(letters);
	n = getpid() % step;
	if (step > 1)
		TH_LOG("every %uth from the %uth", step, n);
	for (; n < total && failed < 5; n += step) {
		script[0] = '\0';
		left = n;
		for (i = 0; i < 4; i++) {
			strcat(script, letters[left % ARRAY_SIZE(letters)]);
			strcat(script, " ");
			left /= ARRAY_SIZE(letters);
		}
		/* What nobody sent anything for says nothing. */
		if (!strchr(script, 'o'))
			continue;
		failed += !same_as_tcp(&variant->kind, &self->oracle, script);
	}
	EXPECT_EQ(0, failed);
}

TEST_F_TIMEOUT(oob, F08_long_sequences, FT_SLOW_S)
{
	static const char * const more[] = {
		"s2", "s1", "o1", "o3", "o2", "r1", "r2", "r9", "p9", "p2",
		"w3", "u", "U", "i", "j",
	};
	unsigned int count = ft_checks_itself() ? 1000 / SOME : 1000;
	unsigned int state = 22, length, i, n;
	int failed = 0;
	char script[256];

	/* A fixed seed: a failure can be repeated. */
	for (n = 0; n < count && failed < 5; n++) {
		script[0] = '\0';
		state = state * 1103515245 + 12345;
		length = 5 + (state >> 16) % 20;
		for (i = 0; i < length; i++) {
			state = state * 1103515245 + 12345;
			strcat(script, more[(state >> 16) % ARRAY_SIZE(more)]);
			strcat(script, " ");
		}
		if (n % 3 == 0)
			strcat(script, "F r9 r9 u r9");
		failed += !same_as_tcp(&variant->kind, &self->oracle, script);
	}
	EXPECT_EQ(0, failed);
}

/* Closing with something urgent unread. */

static int error_after_close(const struct ft_kind *kind,
			     const struct oracle *oracle, const char *script)
{
	struct linger linger = { 0 };
	struct seen seen;
	struct line line;
	const char *op;
	int err;

	if (!line_open(&line, kind, oracle))
		return -1;
	setsockopt(line.rx, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	for (op = script; *op; op++) {
		if (*op != ' ' && (*op < '0' || *op > '9') &&
		    !line_step(&line, op, &seen))
			return -1;
	}
	ft_close(&line.rx);
	ft_poll(line.tx, POLLRDHUP, FT_LONG_MS);
	err = ft_getint(line.tx, SO_ERROR);
	line_close(&line);
	return err;
}

TEST_F(oob, F15_close_with_an_urgent_byte_unread)
{
	static const char * const scripts[] = {
		"o1", "o1 U", "o1 u", "o3 r5", "o3 r5 u", "o1 r1", "o1 s1 r1",
		"i o1", "i o1 r1", "o1 o1 u",
	};
	struct ft_kind tcp = { AF_INET, SOCK_STREAM };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(scripts); i++)
		EXPECT_EQ(error_after_close(&tcp, &self->oracle, scripts[i]),
			  error_after_close(&variant->kind, &self->oracle,
					    scripts[i])) {
			TH_LOG("script '%s'", scripts[i]);
		}
}

/* Absolute: signals, events, marks. */

TEST_F(inet_stream, E09_is_an_event)
{
	ssize_t (*fn[])(struct ft_call *) = { ft_do_poll, ft_do_epoll };
	char byte;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fn); i++) {
		struct ft_call call = {
			.fn = fn[i], .fd = self->b, .events = POLLPRI,
			.timeout_ms = FT_LONG_MS,
		};

		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(ft_blocked(&call));
		/* What is not urgent wakes nobody who waits for that. */
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		ASSERT_NE(0, ft_poll(self->b, POLLIN, FT_LONG_MS));
		ASSERT_TRUE(ft_blocked(&call));
		ASSERT_EQ(1, send(self->a, "!", 1, MSG_OOB));
		ft_join(&call);
		EXPECT_EQ(1, call.ret);
		EXPECT_EQ(POLLPRI, call.revents);
		EXPECT_EQ(1, recv(self->b, &byte, 1, MSG_OOB));
		EXPECT_EQ('!', byte);
		EXPECT_EQ(0, ft_poll(self->b, POLLPRI, 0));
		EXPECT_EQ(1, recv(self->b, &byte, 1, 0));
		EXPECT_EQ('x', byte);
	}
}

TEST_F(inet_stream, E09_is_an_edge)
{
	struct epoll_event event = { .events = EPOLLPRI | EPOLLET };
	int ep = epoll_create1(0);
	int i;

	ASSERT_LE(0, ep);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->b, &event));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, send(self->a, "!", 1, MSG_OOB));
		EXPECT_EQ(1, epoll_wait(ep, &event, 1, FT_LONG_MS));
		EXPECT_EQ(EPOLLPRI, event.events);
		EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
	}
	ft_close(&ep);
}

TEST_F(inet_stream, E09_select_calls_it_exceptional)
{
	struct timeval wait = { .tv_sec = 20 }, none = { 0 };
	fd_set except;
	char byte;

	FD_ZERO(&except);
	FD_SET(self->b, &except);
	EXPECT_EQ(0, select(self->b + 1, NULL, NULL, &except, &none));
	ASSERT_EQ(1, send(self->a, "!", 1, MSG_OOB));
	FD_SET(self->b, &except);
	EXPECT_EQ(1, select(self->b + 1, NULL, NULL, &except, &wait));
	EXPECT_EQ(1, recv(self->b, &byte, 1, MSG_OOB));
	FD_SET(self->b, &except);
	EXPECT_EQ(0, select(self->b + 1, NULL, NULL, &except, &none));
}

TEST_F(inet_stream, S05_sigurg_to_the_owner)
{
	struct ft_child child;
	int option, pid;

	ASSERT_EQ(0, ft_catch(SIGURG, SA_RESTART));
	/* Nobody owns it: nobody is told. */
	ASSERT_EQ(1, send(self->a, "!", 1, MSG_OOB));
	EXPECT_EQ(POLLPRI, ft_poll(self->b, POLLPRI, FT_LONG_MS));
	EXPECT_EQ(0, ft_signals());

	for (option = 0; option < 4; option++) {
		ft_signals_reset();
		pid = option == 3 ? -getpgrp() : getpid();
		switch (option) {
		case 0:
			ASSERT_EQ(0, fcntl(self->b, F_SETOWN, pid));
			break;
		case 1:
			ASSERT_EQ(0, ioctl(self->b, FIOSETOWN, &pid));
			break;
		default:
			ASSERT_EQ(0, setpgid(0, 0));
			pid = option == 3 ? -getpgrp() : getpid();
			ASSERT_EQ(0, ioctl(self->b, SIOCSPGRP, &pid));
		}
		/* Ordinary data is no reason. */
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		ASSERT_NE(0, ft_poll(self->b, POLLIN, FT_LONG_MS));
		EXPECT_EQ(0, ft_signals());
		ASSERT_EQ(1, send(self->a, "!", 1, MSG_OOB));
		while (!ft_signals())
			sched_yield();
		EXPECT_EQ(1, ft_signals());
	}

	/* Also when it is another process that sends. */
	ft_signals_reset();
	if (!ft_fork(&child))
		_exit(send(self->a, "!", 1, MSG_OOB) != 1);
	while (!ft_signals())
		sched_yield();
	EXPECT_EQ(0, ft_wait_child(&child));

	/* And no longer when it is given up. */
	ASSERT_EQ(0, fcntl(self->b, F_SETOWN, 0));
	ft_signals_reset();
	ASSERT_EQ(1, send(self->a, "?", 1, MSG_OOB));
	do {
		char byte = 0;

		recv(self->b, &byte, 1, MSG_OOB | MSG_PEEK);
		if (byte == '?')
			break;
	} while (1);
	EXPECT_EQ(0, ft_signals());
}

TEST_F(inet_stream, I06_mark)
{
	char buf[16];
	int mark;

	ASSERT_EQ(0, ioctl(self->b, SIOCATMARK, &mark));
	EXPECT_EQ(0, mark);
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	ASSERT_EQ(1, send(self->a, "!", 1, MSG_OOB));
	ASSERT_EQ(3, send(self->a, "def", 3, 0));
	EXPECT_EQ(POLLPRI, ft_poll(self->b, POLLPRI, FT_LONG_MS));
	ASSERT_EQ(0, ioctl(self->b, SIOCATMARK, &mark));
	EXPECT_EQ(0, mark);
	EXPECT_EQ(3, recv(self->b, buf, 16, 0));
	EXPECT_EQ(0, memcmp(buf, "abc", 3));
	ASSERT_EQ(0, ioctl(self->b, SIOCATMARK, &mark));
	EXPECT_EQ(1, mark);
	EXPECT_EQ(3, recv(self->b, buf, 3, MSG_WAITALL));
	EXPECT_EQ(0, memcmp(buf, "def", 3));
	ASSERT_EQ(0, ioctl(self->b, SIOCATMARK, &mark));
	EXPECT_EQ(0, mark);
	EXPECT_ERR(EFAULT, ioctl(self->b, SIOCATMARK, FT_WILD));
}

TEST_F(inet_stream, O20_inline)
{
	char buf[16];
	int mark;

	EXPECT_EQ(0, ft_getint(self->b, SO_OOBINLINE));
	ASSERT_EQ(0, ft_setint(self->b, SO_OOBINLINE, 1));
	EXPECT_EQ(1, ft_getint(self->b, SO_OOBINLINE));
	ASSERT_EQ(3, send(self->a, "ab!", 3, MSG_OOB));
	ASSERT_EQ(2, send(self->a, "cd", 2, 0));
	EXPECT_EQ(POLLPRI, ft_poll(self->b, POLLPRI, FT_LONG_MS));
	EXPECT_ERR(EINVAL, recv(self->b, buf, 1, MSG_OOB));
	EXPECT_EQ(2, recv(self->b, buf, 16, 0));
	ASSERT_EQ(0, ioctl(self->b, SIOCATMARK, &mark));
	EXPECT_EQ(1, mark);
	EXPECT_EQ(3, recv(self->b, buf, 3, MSG_WAITALL));
	EXPECT_EQ(0, memcmp(buf, "!cd", 3));
	EXPECT_EQ(0, ft_poll(self->b, POLLPRI, 0));
}

TEST_F(inet_stream, O20_out_of_line)
{
	char buf[16];

	ASSERT_EQ(3, send(self->a, "ab!", 3, MSG_OOB));
	ASSERT_EQ(2, send(self->a, "cd", 2, 0));
	EXPECT_EQ(POLLPRI, ft_poll(self->b, POLLPRI, FT_LONG_MS));
	EXPECT_EQ(1, recv(self->b, buf, 16, MSG_OOB));
	EXPECT_EQ('!', buf[0]);
	/* Once, and never in the stream. */
	EXPECT_ERR(EINVAL, recv(self->b, buf, 16, MSG_OOB));
	EXPECT_EQ(2, recv(self->b, buf, 16, 0));
	EXPECT_EQ(0, memcmp(buf, "ab", 2));
	EXPECT_EQ(2, recv(self->b, buf, 2, MSG_WAITALL));
	EXPECT_EQ(0, memcmp(buf, "cd", 2));
}

TEST_F(inet_stream, O20_inherited_by_accept)
{
	struct ft_addr addr;
	int listener, a, b;

	listener = ft_listener(&variant->kind, &addr, 2);
	ASSERT_LE(0, listener);
	ASSERT_EQ(0, ft_setint(listener, SO_OOBINLINE, 1));
	a = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, a);
	b = accept(listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_EQ(1, ft_getint(b, SO_OOBINLINE));
	EXPECT_EQ(0, ft_getint(a, SO_OOBINLINE));
	ft_close(&a);
	ft_close(&b);
	ft_close(&listener);
}

TEST_F(inet_stream, F08_a_read_that_waits_passes_the_byte)
{
	char buf[8];
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = buf, .len = 8,
	};

	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(1, send(self->a, "!", 1, MSG_OOB));
	ASSERT_EQ(1, send(self->a, "y", 1, 0));
	ft_join(&call);
	EXPECT_EQ(1, call.ret);
	EXPECT_EQ('y', buf[0]);
}

TEST_F(inet_stream, F08_nothing_urgent)
{
	char byte;

	/* It never waits, and never looks into the stream. */
	EXPECT_ERR(EINVAL, recv(self->b, &byte, 1, MSG_OOB));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, 1));
	EXPECT_ERR(EINVAL, recv(self->b, &byte, 1, MSG_OOB));
	EXPECT_EQ(1, recv(self->b, &byte, 1, 0));
	ft_close(&self->a);
	EXPECT_NE(0, ft_poll(self->b, POLLRDHUP, FT_LONG_MS));
	EXPECT_ERR(EINVAL, recv(self->b, &byte, 1, MSG_OOB));
}

TEST_F(inet_stream, F08_no_byte_asked_for_leaves_none_out)
{
	char byte;
	int mark;

	ASSERT_EQ(2, send(self->a, "ab", 2, MSG_OOB));
	ASSERT_EQ(POLLPRI, ft_poll(self->b, POLLPRI, FT_LONG_MS));
	ASSERT_EQ(1, recv(self->b, &byte, 1, 0));
	EXPECT_EQ(0, recv(self->b, &byte, 0, MSG_DONTWAIT));
	ASSERT_EQ(0, ioctl(self->b, SIOCATMARK, &mark));
	EXPECT_EQ(1, mark);
	EXPECT_EQ(1, recv(self->b, &byte, 1, MSG_OOB));
	EXPECT_EQ('b', byte);
}

TEST_F(inet_stream, F08_fault)
{
	char byte;

	ASSERT_EQ(1, send(self->a, "!", 1, MSG_OOB));
	EXPECT_EQ(POLLPRI, ft_poll(self->b, POLLPRI, FT_LONG_MS));
	EXPECT_ERR(EFAULT, recv(self->b, FT_WILD, 1, MSG_OOB | MSG_PEEK));
	EXPECT_EQ(1, recv(self->b, &byte, 1, MSG_OOB | MSG_PEEK));
	EXPECT_EQ('!', byte);
	EXPECT_ERR(EFAULT, send(self->a, FT_WILD, 1, MSG_OOB));
	EXPECT_EQ(1, recv(self->b, &byte, 1, MSG_OOB));
	EXPECT_EQ('!', byte);
}

TEST_F(stream, F07_oob_on_a_broken_connection)
{
	ASSERT_EQ(0, ft_catch(SIGPIPE, 0));
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_ERR(EPIPE, send(self->a, "!", 1, MSG_OOB | MSG_NOSIGNAL));
	EXPECT_EQ(0, ft_signals());
	EXPECT_ERR(EPIPE, send(self->a, "!", 1, MSG_OOB));
	EXPECT_EQ(1, ft_signals());
}

TEST_F(inet_stream, F07_oob_on_a_full_connection)
{
	ssize_t n, got;
	char byte;

	ft_shrink(self->a, self->b);
	n = ft_fill(self->a, 0, 4096);
	ASSERT_LT(0, n);
	/* It waits its turn as all bytes do. */
	EXPECT_ERR(EAGAIN, send(self->a, "!", 1, MSG_OOB | MSG_DONTWAIT));
	got = ft_drain(self->b, 0);
	EXPECT_EQ(n, got);
	EXPECT_NE(0, ft_poll(self->a, POLLOUT, FT_LONG_MS));
	EXPECT_EQ(1, send(self->a, "!", 1, MSG_OOB | MSG_DONTWAIT));
	EXPECT_EQ(POLLPRI, ft_poll(self->b, POLLPRI, FT_LONG_MS));
	EXPECT_EQ(1, recv(self->b, &byte, 1, MSG_OOB));
}

TEST_F(inet_stream, F07_oob_of_many_bytes)
{
	size_t len = 100000;
	char *buf = malloc(len);
	char byte;

	/* The last byte is the urgent one, however many buffers they fill. */
	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 1 << 20));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 1 << 20));
	ft_pattern(buf, 0, len);
	ASSERT_EQ(len, send(self->a, buf, len, MSG_OOB));
	ASSERT_TRUE(ft_wait_inq(self->b, len - 1));
	EXPECT_EQ(1, recv(self->b, &byte, 1, MSG_OOB));
	EXPECT_EQ(buf[len - 1], byte);
	EXPECT_TRUE(ft_recv_all(self->b, 0, len - 1, 5000));
	EXPECT_ERR(EAGAIN, recv(self->b, &byte, 1, MSG_DONTWAIT));
	free(buf);
}

/* Descriptors that come with an urgent byte. */

TEST_F(ferry_stream, X01_with_an_urgent_byte)
{
	struct witness witness;
	struct pass pass;
	char buf[8];
	int round;

	for (round = 0; round < 6; round++) {
		ssize_t n;

		ASSERT_TRUE(witness_make(&witness));
		n = pass_send(self->a, "ab", 2, &witness.out, 1, NULL,
			      MSG_OOB);
		if (n < 0) {
			EXPECT_EQ(EOPNOTSUPP, errno);
			EXPECT_TRUE(witness_gone(&witness));
			SKIP(return, "an urgent byte travels alone");
		}
		EXPECT_TRUE(witness_held(&witness));
		if (round & 1) {
			pass_recv(self->b, buf, 1, &pass, MSG_OOB);
			pass_close(&pass);
		}
		switch (round / 2) {
		case 0:
			/* Another urgent byte takes its place. */
			ASSERT_EQ(1, send(self->a, "c", 1, MSG_OOB));
			while (pass_recv(self->b, buf, 8, &pass,
					 MSG_DONTWAIT) > 0)
				pass_close(&pass);
			break;
		case 1:
			while (recv(self->b, buf, 8, MSG_DONTWAIT) > 0)
				;
			break;
		default:
			ft_close(&self->a);
			ft_close(&self->b);
			ASSERT_EQ(0, ft_pair(&variant->kind, &self->a,
					     &self->b));
		}
		EXPECT_TRUE(witness_gone(&witness)) {
			TH_LOG("round %d", round);
		}
	}
}

/* With nothing else in the message it is in flight no longer than the byte. */
TEST_F(ferry_stream, X01_descriptor_on_a_skipped_urgent_byte_is_closed)
{
	struct witness witness;
	struct pass pass;
	char buf[8];
	int round;

	for (round = 0; round < 4; round++) {
		ASSERT_TRUE(witness_make(&witness));
		ASSERT_EQ(1, pass_send(self->a, "U", 1, &witness.out, 1, NULL,
				       MSG_OOB));
		EXPECT_TRUE(witness_held(&witness));
		if (round % 2)
			EXPECT_EQ(1, recv(self->b, buf, 1, MSG_OOB));
		if (round / 2)
			ASSERT_EQ(1, send(self->a, "x", 1, 0));
		EXPECT_EQ(round / 2 ? 1 : -1,
			  pass_recv(self->b, buf, 8, &pass, MSG_DONTWAIT));
		EXPECT_EQ(0, pass.fds);
		EXPECT_TRUE(witness_gone(&witness)) {
			TH_LOG("round %d", round);
		}
	}
}

TEST_F(ferry_stream, O23_peek_off_beside_a_skipped_urgent_byte)
{
	char buf[8];
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, ft_setint(self->b, SO_PEEK_OFF, 0));
		ASSERT_EQ(1, send(self->a, "U", 1, MSG_OOB));
		if (round == 1)
			EXPECT_EQ(1, recv(self->b, buf, 1, MSG_OOB));
		if (round != 2)
			EXPECT_ERR(EAGAIN, recv(self->b, buf, 8,
						MSG_PEEK | MSG_DONTWAIT));
		EXPECT_ERR(EAGAIN, recv(self->b, buf, 8, MSG_DONTWAIT));
		EXPECT_EQ(0, ft_getint(self->b, SO_PEEK_OFF));
		ASSERT_EQ(3, send(self->a, "xyz", 3, 0));
		EXPECT_EQ(3, recv(self->b, buf, 8, MSG_PEEK | MSG_DONTWAIT));
		EXPECT_EQ(0, memcmp(buf, "xyz", 3));
		EXPECT_EQ(3, recv(self->b, buf, 8, MSG_DONTWAIT));
	}
}

/* The byte goes to a reader whose memory turns out to be none, after a newer one came. */
TEST_F(ferry_stream, F08_fault_on_oob_revives_nothing)
{
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .len = 1, .flags = MSG_OOB,
	};
	struct stall stall;
	char byte;
	int round;

	for (round = 0; round < 3; round++) {
		STALL_NEED(&stall);
		call.buf = stall_at(&stall, 0);
		ASSERT_EQ(1, send(self->a, "U", 1, MSG_OOB));
		ASSERT_EQ(0, ft_start(&call));
		ASSERT_TRUE(stall_wait(&stall));
		EXPECT_ERR(EINVAL, recv(self->b, &byte, 1, MSG_OOB));
		if (round) {
			ASSERT_EQ(1, send(self->a, "V", 1, MSG_OOB));
			EXPECT_EQ(POLLPRI, ft_poll(self->b, POLLPRI, 0));
		}
		if (round == 2) {
			EXPECT_EQ(1, recv(self->b, &byte, 1, MSG_OOB));
			EXPECT_EQ('V', byte);
		}
		ASSERT_TRUE(stall_fail(&stall));
		ft_join(&call);
		EXPECT_EQ(-1, call.ret);
		EXPECT_EQ(EFAULT, call.err);

		/* Alone it can be read again. */
		if (round < 2) {
			EXPECT_EQ(1, recv(self->b, &byte, 1, MSG_OOB));
			EXPECT_EQ(round ? 'V' : 'U', byte);
		}
		EXPECT_ERR(EINVAL, recv(self->b, &byte, 1, MSG_OOB));
		EXPECT_EQ(0, ft_poll(self->b, POLLPRI, 0));
		while (recv(self->b, &byte, 1, MSG_DONTWAIT) > 0)
			;
		stall_close(&stall);
	}
}

/* A peek that fails gives back nothing: another has read the byte meanwhile. */
TEST_F(ferry_stream, F08_fault_on_an_oob_peek_revives_nothing)
{
	char byte;
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .len = 1,
		.flags = MSG_OOB | MSG_PEEK,
	};
	struct stall stall;

	STALL_NEED(&stall);
	call.buf = stall_at(&stall, 0);
	ASSERT_EQ(1, send(self->a, "U", 1, MSG_OOB));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(stall_wait(&stall));
	EXPECT_EQ(1, recv(self->b, &byte, 1, MSG_OOB));
	EXPECT_EQ('U', byte);
	ASSERT_TRUE(stall_fail(&stall));
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(EFAULT, call.err);
	EXPECT_ERR(EINVAL, recv(self->b, &byte, 1, MSG_OOB));
	EXPECT_EQ(0, ft_poll(self->b, POLLPRI, 0));
	stall_close(&stall);
}

/* A reader that comes nearer to the mark, and somebody who asks meanwhile. */

#define BEFORE	12000

static void *read_to_the_mark(void *arg)
{
	int fd = *(int *)arg, i;
	char byte;

	for (i = 0; i < BEFORE - 1; i++)
		if (recv(fd, &byte, 1, MSG_DONTWAIT) != 1)
			return NULL;
	return arg;
}

TEST_F(inet_stream, E01_readiness_beside_an_urgent_byte)
{
	int not_readable = 0, none = 0, round, n = -1;
	static char buf[2 * BEFORE];
	pthread_t thread;
	void *ok;

	for (round = 0; round < 6; round++) {
		ASSERT_EQ(BEFORE, send(self->a, buf, BEFORE, 0));
		ASSERT_EQ(1, send(self->a, "U", 1, MSG_OOB));
		ASSERT_EQ(2000, send(self->a, buf, 2000, 0));
		ASSERT_TRUE(ft_wait_inq(self->b, BEFORE));
		ASSERT_NE(0, ft_poll(self->b, POLLPRI, FT_LONG_MS));
		ASSERT_EQ(0, pthread_create(&thread, NULL, read_to_the_mark,
					    &self->b));
		do {
			not_readable += !ft_poll(self->b, POLLIN, 0);
			ioctl(self->b, SIOCINQ, &n);
			none += n <= 0;
		} while (n > 1);
		pthread_join(thread, &ok);
		ASSERT_NE(NULL, ok);
		EXPECT_EQ(1, recv(self->b, buf, sizeof(buf), 0));
		EXPECT_EQ(2000, recv(self->b, buf, 2000, MSG_WAITALL));
	}
	EXPECT_EQ(0, not_readable);
	EXPECT_EQ(0, none);
}

/* One that was taken and lies unread lets not both ends wait for the other. */
TEST_F(ferry_stream, E05_taken_urgent_byte_is_no_obstacle)
{
	static const int lens[] = { 1, 500, 1024, 1025, 2304, 3000, 4096, 4536, 4608 };
	static const int buffers[] = { 0, 2336, 4096, 8192, 16384 };
	static char buf[8192];
	size_t i, k;
	ssize_t n;

	for (i = 0; i < ARRAY_SIZE(buffers); i++)
		for (k = 0; k < ARRAY_SIZE(lens); k++) {
			ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, buffers[i]));
			if (i % 2)
				ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, buffers[i]));
			n = send(self->a, buf, lens[k], MSG_OOB | MSG_DONTWAIT);
			ASSERT_LT(0, n);
			/* A read at the mark would leave it out. */
			if (n > 1)
				recv(self->b, buf, sizeof(buf), MSG_DONTWAIT);
			recv(self->b, buf, 1, MSG_OOB);
			EXPECT_TRUE(ft_poll(self->a, POLLOUT, 0) ||
				    ft_poll(self->b, POLLIN, 0)) {
				TH_LOG("SO_SNDBUF %d, %d bytes", buffers[i], lens[k]);
			}
			ft_close(&self->a);
			ft_close(&self->b);
			ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
		}
}

/* Everything at once. */

struct mob {
	pthread_t thread;
	atomic_bool *stop;
	int fd;
	int flags;
};

static void *mob_receive(void *arg)
{
	struct mob *mob = arg;
	char buf[8];
	int mark;

	while (!atomic_load(mob->stop)) {
		recv(mob->fd, buf, sizeof(buf), mob->flags | MSG_DONTWAIT);
		ioctl(mob->fd, SIOCATMARK, &mark);
		ft_poll(mob->fd, POLLPRI, 0);
	}
	return NULL;
}

TEST_F(inet_stream, F08_threads_on_one_socket)
{
	static const int flags[] = { 0, MSG_PEEK, MSG_OOB, MSG_OOB | MSG_PEEK };
	atomic_bool stop = false;
	struct mob mob[4];
	char buf[8];
	int i;

	for (i = 0; i < 4; i++) {
		mob[i] = (struct mob){
			.fd = self->b, .flags = flags[i], .stop = &stop,
		};
		ASSERT_EQ(0, pthread_create(&mob[i].thread, NULL, mob_receive,
					    &mob[i]));
	}
	for (i = 0; i < 2000; i++) {
		ASSERT_EQ(2, send(self->a, "ab", 2, i % 3 ? MSG_OOB : 0));
		if (i % 100 == 0)
			ASSERT_EQ(0, ft_setint(self->b, SO_OOBINLINE,
					       i / 100 % 2));
	}
	atomic_store(&stop, true);
	for (i = 0; i < 4; i++)
		pthread_join(mob[i].thread, NULL);
	ASSERT_EQ(0, ft_setint(self->b, SO_OOBINLINE, 0));
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	while (recv(self->b, buf, sizeof(buf), 0) > 0)
		;
	EXPECT_EQ(0, recv(self->b, buf, sizeof(buf), 0));
}

FT_HARNESS_MAIN
