// SPDX-License-Identifier: GPL-2.0
/*
 * Connections that begin and end while something else happens to them: the
 * listener closes, a signal arrives, an end shuts down under blocked calls.
 * Whoever is told that it is connected is, and gets all it was sent.
 */

#include "stress_main.h"

#define CLIENTS		3

/* What one client and the server say to each other. */
struct note {
	uint32_t client;
	uint32_t sum;
	uint64_t n;
};

static struct note note_make(int client, uint64_t n)
{
	struct note note = { .client = client, .n = n };

	note.sum = stress_sum((unsigned char *)&note, sizeof(note));
	return note;
}

static bool note_ok(const struct note *note)
{
	struct note again = note_make(note->client, note->n);

	return note->sum == again.sum;
}

static bool one_of(int err, const int *errs)
{
	while (*errs)
		if (err == *errs++)
			return true;
	return false;
}

FIXTURE(calls)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(calls)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(calls, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(calls, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(calls, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(calls, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET },
};

FIXTURE_SETUP(calls)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	signal(SIGPIPE, SIG_IGN);
}

FIXTURE_TEARDOWN(calls)
{
	FT_NO_LEAK(&self->leak);
}

/* Clients against a server that opens and closes. */

struct opening {
	const struct ft_kind *kind;
	struct ft_addr addr;
	atomic_int stop;
	atomic_long served;	/* answers sent whole */
	atomic_long answered;	/* answers received whole */
	atomic_long connected;
	atomic_long refused;
	const char *wrong;
};

struct client {
	struct opening *opening;
	pthread_t thread;
	int number;
};

/* Connects, without waiting every other time; the errno, or 0. */
static int client_connect(struct opening *opening, int fd, bool wait)
{
	static const int reset[] = { ECONNREFUSED, ECONNRESET, 0 };
	int err;

	if (wait || opening->kind->domain == AF_UNIX)
		return ft_err(connect(fd, &opening->addr.sa,
				      opening->addr.len));
	ft_nonblock(fd, true);
	err = ft_err(connect(fd, &opening->addr.sa, opening->addr.len));
	if (err == EINPROGRESS) {
		if (!ft_poll(fd, POLLOUT, FT_LONG_MS))
			opening->wrong = "a connect under way never ends";
		err = ft_err(connect(fd, &opening->addr.sa,
				     opening->addr.len));
		if (err && !one_of(err, reset))
			opening->wrong = "a finished connect has no result";
	}
	ft_nonblock(fd, false);
	return err;
}

static void client_talk(struct client *client, int fd, uint64_t n)
{
	static const int broken[] = { EPIPE, ECONNRESET, 0 };
	struct opening *opening = client->opening;
	struct note note = note_make(client->number, n), back;
	ssize_t len;

	len = send(fd, &note, sizeof(note), MSG_NOSIGNAL);
	if (len != sizeof(note) && !one_of(ft_err(len), broken))
		opening->wrong = "send";
	len = recv(fd, &back, sizeof(back), MSG_WAITALL);
	if (len < 0 && !one_of(errno, broken))
		opening->wrong = "recv";
	if (len <= 0)
		return;
	if (len != sizeof(back) || memcmp(&note, &back, sizeof(note)))
		opening->wrong = "an answer is not to the question";
	else
		atomic_fetch_add(&opening->answered, 1);
}

static void *client_thread(void *arg)
{
	static const int refused[] = { ECONNREFUSED, ECONNRESET, 0 };
	struct client *client = arg;
	struct opening *opening = client->opening;
	uint64_t n;
	int fd, err;

	for (n = 0; !atomic_load(&opening->stop); n++) {
		fd = socket(opening->kind->domain, opening->kind->type, 0);
		err = client_connect(opening, fd, n & 1);
		if (!err) {
			atomic_fetch_add(&opening->connected, 1);
			client_talk(client, fd, n);
		} else if (one_of(err, refused)) {
			atomic_fetch_add(&opening->refused, 1);
		} else {
			opening->wrong = strerror(err);
		}
		close(fd);
	}
	return NULL;
}

/* Answers one client, or closes without having read. */
static void serve(struct opening *opening, int listener, bool answer)
{
	struct note note;
	int fd = accept(listener, NULL, NULL);

	if (fd < 0) {
		opening->wrong = "accept";
		return;
	}
	if (answer && recv(fd, &note, sizeof(note), MSG_WAITALL) ==
			      sizeof(note)) {
		if (!note_ok(&note))
			opening->wrong = "a question is damaged";
		if (send(fd, &note, sizeof(note), MSG_NOSIGNAL) == sizeof(note))
			atomic_fetch_add(&opening->served, 1);
	}
	close(fd);
}

TEST_F_TIMEOUT(calls, F15_connects_against_closing_listeners, STRESS_LIMIT)
{
	struct opening opening = { .kind = &variant->kind };
	int64_t end = stress_end(variant->kind.domain);
	struct client client[CLIENTS];
	unsigned int random = 1, i;
	int fd, rounds = 0;

	ft_addr_new(variant->kind.domain, &opening.addr);
	for (i = 0; i < CLIENTS; i++) {
		client[i].opening = &opening;
		client[i].number = i;
		ASSERT_EQ(0, pthread_create(&client[i].thread, NULL,
					    client_thread, &client[i]));
	}
	while (ft_now_ms() < end && !opening.wrong) {
		fd = socket(variant->kind.domain, variant->kind.type, 0);
		ASSERT_LE(0, fd);
		/* What is closed has no name any more. */
		ASSERT_EQ(0, bind(fd, &opening.addr.sa, opening.addr.len));
		ASSERT_EQ(0, listen(fd, stress_below(&random, 4)));
		for (i = stress_below(&random, 5); i; i--)
			if (ft_poll(fd, POLLIN, 2))
				serve(&opening, fd, stress_below(&random, 4));
		if (stress_below(&random, 2))
			EXPECT_EQ(0, shutdown(fd, SHUT_RDWR));
		close(fd);
		rounds++;
	}
	atomic_store(&opening.stop, 1);
	for (i = 0; i < CLIENTS; i++)
		ASSERT_TRUE(stress_join(client[i].thread));
	TH_LOG("%d listeners, %ld connects, %ld refused, %ld answers", rounds,
	       opening.connected, opening.refused, opening.answered);
	if (opening.wrong)
		TH_LOG("%s", opening.wrong);
	EXPECT_EQ(NULL, opening.wrong);
	/* What was sent before the close is there after it. */
	EXPECT_EQ(opening.served, opening.answered);
}

/* A timer's signal swept over the whole of connect. */

struct server {
	int listener;
	atomic_int stop;
	atomic_long accepted;
	const char *wrong;
	pthread_t thread;
};

static void *server_thread(void *arg)
{
	struct server *server = arg;
	struct note note;
	int fd;

	while (!atomic_load(&server->stop)) {
		/* Busy elsewhere for a while, so that callers have to wait. */
		sched_yield();
		if (!ft_poll(server->listener, POLLIN, 5))
			continue;
		fd = accept(server->listener, NULL, NULL);
		if (fd < 0)
			server->wrong = "accept";
		atomic_fetch_add(&server->accepted, 1);
		if (recv(fd, &note, sizeof(note), MSG_WAITALL) !=
		    sizeof(note) || !note_ok(&note))
			server->wrong = "a connection without a question";
		else if (send(fd, &note, sizeof(note), MSG_NOSIGNAL) !=
			 sizeof(note))
			server->wrong = "no answer";
		close(fd);
	}
	return NULL;
}

/* Others who keep the listener's queue full. */
struct crowd {
	const struct ft_kind *kind;
	const struct ft_addr *addr;
	atomic_int *stop;
	atomic_long connected;
	pthread_t thread;
};

static bool ask(int fd, int client, uint64_t n)
{
	struct note note = note_make(client, n), back;

	return send(fd, &note, sizeof(note), MSG_NOSIGNAL) == sizeof(note) &&
	       recv(fd, &back, sizeof(back), MSG_WAITALL) == sizeof(back) &&
	       !memcmp(&note, &back, sizeof(back));
}

static void *crowd_thread(void *arg)
{
	struct crowd *crowd = arg;
	uint64_t n;
	int fd;

	for (n = 0; !atomic_load(crowd->stop); n++) {
		fd = ft_connect(crowd->kind, crowd->addr);
		if (fd >= 0) {
			atomic_fetch_add(&crowd->connected, 1);
			ask(fd, 1, n);
			close(fd);
		}
	}
	return NULL;
}

/* Connects with a signal after @us; false when that ends badly. */
static bool connect_signalled(const struct ft_kind *kind,
			      const struct ft_addr *addr, int us, uint64_t n)
{
	struct itimerval timer = { .it_value = { .tv_usec = us } };
	struct itimerval off = {};
	int fd = socket(kind->domain, kind->type, 0);
	int err;
	bool ok;

	setitimer(ITIMER_REAL, &timer, NULL);
	do {
		err = ft_err(connect(fd, &addr->sa, addr->len));
	} while (err == EINTR);
	setitimer(ITIMER_REAL, &off, NULL);
	/* It was connected meanwhile: then it must be so still. */
	ok = !err || err == EISCONN;
	if (!ok)
		fprintf(stderr, "# connect: %s\n", strerror(err));
	else
		ok = ask(fd, 0, n);
	close(fd);
	return ok;
}

TEST_F_TIMEOUT(calls, X06_a_signal_swept_over_connect, STRESS_LIMIT)
{
	int64_t end = stress_end(variant->kind.domain);
	struct server server = {};
	struct crowd crowd[2];
	atomic_int stop = 0;
	struct ft_addr addr;
	sigset_t set;
	long connects = 0, others = 0;
	int64_t start;
	int i, us = 1, most = 0;

	server.listener = ft_listener(&variant->kind, &addr, 0);
	ASSERT_LE(0, server.listener);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	ASSERT_EQ(0, pthread_sigmask(SIG_BLOCK, &set, NULL));
	memset(crowd, 0, sizeof(crowd));
	ASSERT_EQ(0, pthread_create(&server.thread, NULL, server_thread,
				    &server));
	for (i = 0; i < 2; i++) {
		crowd[i].kind = &variant->kind;
		crowd[i].addr = &addr;
		crowd[i].stop = &stop;
		ASSERT_EQ(0, pthread_create(&crowd[i].thread, NULL,
					    crowd_thread, &crowd[i]));
	}
	ASSERT_EQ(0, pthread_sigmask(SIG_UNBLOCK, &set, NULL));

	while (ft_now_ms() < end) {
		/* With SA_RESTART the call goes on by itself. */
		ASSERT_EQ(0, ft_catch(SIGALRM, connects & 1 ? SA_RESTART : 0));
		start = ft_now_ms();
		ASSERT_TRUE(connect_signalled(&variant->kind, &addr, us,
					      connects));
		connects++;
		/* As far as a connect has ever taken, and from the start. */
		if (most < (ft_now_ms() - start) * 1000)
			most = (ft_now_ms() - start) * 1000;
		us += 1 + us / 16;
		if (us > most + 1000 || us > 100000)
			us = 1;
	}

	TH_LOG("%ld connects, %d signals, the longest %d us", connects,
	       ft_signals(), most);
	/* The server still serves those who wait. */
	atomic_store(&stop, 1);
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(stress_join(crowd[i].thread));
		others += crowd[i].connected;
	}
	atomic_store(&server.stop, 1);
	ASSERT_TRUE(stress_join(server.thread));
	EXPECT_EQ(NULL, server.wrong);
	ft_close(&server.listener);
	/* Nobody is connected twice, and nobody who gave up. */
	EXPECT_EQ(connects + others, server.accepted);
}

/* shutdown(2) against calls that are blocked. */

struct pump {
	int fd;
	int type;
	uint64_t moved;
	struct stress_tally got;
	int err;
	pthread_t thread;
};

static void *pump_out(void *arg)
{
	struct pump *pump = arg;
	unsigned char buf[STRESS_MSG];
	ssize_t n;
	size_t len;

	for (;;) {
		len = stress_fill(pump->type, buf, 0, pump->moved, 700);
		n = send(pump->fd, buf, len, MSG_NOSIGNAL);
		if (n < 0)
			break;
		pump->moved += pump->type == SOCK_STREAM ? n : 1;
	}
	pump->err = errno;
	return NULL;
}

static void *pump_in(void *arg)
{
	struct pump *pump = arg;
	unsigned char buf[2 * STRESS_MSG];
	ssize_t n;

	for (;;) {
		n = recv(pump->fd, buf, sizeof(buf), 0);
		if (n <= 0)
			break;
		stress_check(&pump->got, pump->type, buf, n, true);
	}
	pump->err = n < 0 ? errno : 0;
	return NULL;
}

FIXTURE(shut)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(shut)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(shut, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(shut, FERRY_stream_conn)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(shut, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(shut, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(shut, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(shut, TCP_conn)
{
	.kind = { AF_INET, SOCK_STREAM, FT_CONN },
};

FIXTURE_SETUP(shut)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
}

FIXTURE_TEARDOWN(shut)
{
	FT_NO_LEAK(&self->leak);
}

/* One or two calls that end both directions of the socket with the callers. */
static void shut(const struct ft_kind *kind, int a, int b, unsigned int way)
{
	/* Datagrams know no end of the other side's, TCP no end of its reading. */
	unsigned int ways = kind->type == SOCK_DGRAM ? 2 :
			    kind->domain == AF_INET ? 3 : 6;

	switch (way % ways) {
	case 0:
		shutdown(a, SHUT_RDWR);
		break;
	case 1:
		shutdown(a, SHUT_WR);
		shutdown(a, SHUT_RD);
		break;
	case 2:
		shutdown(a, SHUT_WR);
		shutdown(b, SHUT_WR);
		break;
	case 3:
		shutdown(b, SHUT_RDWR);
		break;
	case 4:
		shutdown(b, SHUT_RD);
		shutdown(b, SHUT_WR);
		break;
	case 5:
		shutdown(b, SHUT_RD);
		shutdown(a, SHUT_RD);
		break;
	}
}

TEST_F_TIMEOUT(shut, F16_shutdown_against_blocked_calls, STRESS_LIMIT)
{
	int64_t end = stress_end(variant->kind.domain);
	int type = variant->kind.type;
	unsigned char buf[2 * STRESS_MSG];
	struct pump out, in;
	unsigned int round, random = 1, i;
	ssize_t n;
	int a, b;

	for (round = 0; ft_now_ms() < end || round < 6; round++) {
		struct stress_tally got = {};

		ASSERT_EQ(0, ft_pair(&variant->kind, &a, &b));
		ft_shrink(a, b);
		out = (struct pump){ .fd = a, .type = type };
		in = out;
		ASSERT_EQ(0, pthread_create(&out.thread, NULL, pump_out, &out));
		ASSERT_EQ(0, pthread_create(&in.thread, NULL, pump_in, &in));
		/* Some is read meanwhile; where the others are is left to chance. */
		for (i = stress_below(&random, 20); i; i--) {
			n = recv(b, buf, sizeof(buf), MSG_DONTWAIT);
			if (n > 0)
				stress_check(&got, type, buf, n, true);
			else
				sched_yield();
		}
		shut(&variant->kind, a, b, round);
		ASSERT_TRUE(stress_join(out.thread));
		ASSERT_TRUE(stress_join(in.thread));
		EXPECT_EQ(EPIPE, out.err);
		EXPECT_EQ(0, in.err);
		while ((n = recv(b, buf, sizeof(buf),
				 type == SOCK_DGRAM ? MSG_DONTWAIT : 0)) > 0)
			stress_check(&got, type, buf, n, true);
		EXPECT_EQ(NULL, got.wrong);
		ASSERT_TRUE(stress_complete(&got, type, 0, out.moved));
		close(a);
		close(b);
	}
	TH_LOG("%u rounds", round);
}

STRESS_MAIN
