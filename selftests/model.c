// SPDX-License-Identifier: GPL-2.0
/*
 * Random sequences of calls on a connection, each answer held against a model of
 * what the manual page says (model_stream.c, model_record.c), and how both ends
 * look after each. Where AF_UNIX or TCP promise the same they run as well: a model
 * that they fail is wrong.
 *
 * A seed makes the same sequences again; one that fails is made shorter as long as
 * it still fails, and printed. In the environment:
 *
 *   MODEL_SEED       the seed, else one by the clock
 *   MODEL_SEQUENCES  how many for each kind of connection
 *
 * Two threads that call at once are right when some order of their calls is.
 */

#include "model.h"
#include "kselftest_harness.h"

#include <sched.h>

/* Where all is checked each takes ten times as long. */
#define SEQUENCES	(ft_checks_itself() ? 60 : 300)
#define ROUNDS		(ft_checks_itself() ? 20 : 60)
/* For as many as one likes. */
#define TIMEOUT		36000

struct sequence {
	struct model_call call[MODEL_CALLS];
	int n;
};

static unsigned char memory[MODEL_LEN];
static uint64_t state;

static uint32_t any(void)
{
	state += 0x9e3779b97f4a7c15;
	uint64_t z = state;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) >> 32;
}

static int below(int n)
{
	return any() % n;
}

static bool one_in(int n)
{
	return !below(n);
}

/* What a sequence is about: so that what belongs together meets. */
struct mood {
	bool urgent;
	bool rights;
	bool offsets;
	bool tight;	/* small buffers and long messages */
	bool faults;
	bool ends;
};

static int some_len(const struct mood *mood)
{
	if (mood->tight && one_in(2))
		return one_in(4) ? below(60000) : below(6000);
	return one_in(8) ? below(300) : below(9);
}

static void make_send(struct model_call *call, const struct model_kind *kind,
		      const struct mood *mood)
{
	call->what = MODEL_SEND;
	call->len = some_len(mood);
	if (mood->urgent && one_in(2))
		call->flags |= MSG_OOB;
	if (one_in(4))
		call->flags |= MSG_EOR;
	if (mood->rights && one_in(3)) {
		call->fds = 1 + below(2);
		call->len = 1 + call->len % 200;
	}
	call->flags &= kind->send_flags;
	if (!kind->whole && !call->len)
		call->len = 1;
}

static void make_recv(struct model_call *call, const struct model_kind *kind,
		      const struct mood *mood)
{
	call->what = MODEL_RECV;
	call->len = one_in(4) ? MODEL_LEN : some_len(mood);
	if (one_in(mood->offsets ? 2 : 5))
		call->flags |= MSG_PEEK;
	if (one_in(10))
		call->flags |= MSG_TRUNC;
	if (one_in(10))
		call->flags |= MSG_WAITALL;
	if (one_in(mood->urgent ? 4 : 40))
		call->flags |= MSG_OOB;
	call->flags &= kind->recv_flags;
	if (!kind->whole && !call->len)
		call->len = 1;
}

static void make_other(struct model_call *call, const struct model_kind *kind,
		       const struct mood *mood)
{
	static const enum model_what plain[] = {
		MODEL_BIND, MODEL_ERROR, MODEL_LOWAT, MODEL_INQ, MODEL_PEEK_OFF,
		MODEL_INLINE,
	};

	if (mood->ends && one_in(2))
		call->what = one_in(2) ? MODEL_CLOSE : MODEL_SHUTDOWN;
	else if (mood->tight && one_in(2))
		call->what = one_in(2) ? MODEL_SNDBUF : MODEL_RCVBUF;
	else if (mood->offsets && one_in(2))
		call->what = MODEL_PEEK_OFF;
	else if (mood->urgent && one_in(2))
		call->what = MODEL_INLINE;
	else
		call->what = plain[below(ARRAY_SIZE(plain))];

	switch (call->what) {
	case MODEL_SHUTDOWN:
		do {
			call->arg = below(3);
		} while (!(kind->shutdowns & 1 << call->arg));
		break;
	case MODEL_LOWAT:
		call->arg = one_in(8) ? -1 : below(12);
		break;
	case MODEL_INLINE:
		call->arg = below(2);
		break;
	case MODEL_PEEK_OFF:
		call->arg = one_in(3) ? -1 : one_in(2) ? 0 : below(12);
		break;
	case MODEL_SNDBUF:
	case MODEL_RCVBUF:
		call->arg = one_in(2) ? 2304 + below(8000) : below(60000);
		break;
	default:
		break;
	}
	/* What is not promised there is a receive instead. */
	if (!(kind->calls & MODEL_CAN(call->what)))
		make_recv(call, kind, mood);
}

static void make_sequence(struct sequence *sequence, const struct model_kind *kind)
{
	struct mood mood = {
		.urgent = one_in(2),
		.rights = kind->rights && one_in(3),
		.offsets = one_in(3),
		.tight = kind->whole && one_in(3),
		.faults = one_in(3),
		.ends = one_in(2),
	};
	int i, both = one_in(2), kinds;

	sequence->n = 3 + below(MODEL_CALLS - 3);
	for (i = 0; i < sequence->n; i++) {
		struct model_call *call = &sequence->call[i];

		*call = (struct model_call){
			.id = i + 1, .two = one_in(3),
			.end = both ? below(2) : 0,
		};
		kinds = below(10);
		if (kinds < 4) {
			make_send(call, kind, &mood);
		} else if (kinds < 8) {
			call->end = both ? call->end : 1;
			make_recv(call, kind, &mood);
		} else {
			call->end = below(2);
			make_other(call, kind, &mood);
		}
		if (mood.faults && one_in(5) &&
		    (call->what == MODEL_SEND || kind->recv_flags & MSG_ERRQUEUE))
			call->bad = true;
	}
}

static bool step(struct model *model, struct model_line *line,
		 const struct model_call *call)
{
	struct model_answer answer = { .data = memory };
	struct model_view view[2];

	model_line_call(line, call, &answer);
	if (!model_call(model, call, &answer))
		return false;
	if (!model_line_view(line, view))
		return MODEL_WRONG(model, "cannot look: %s", strerror(errno));
	return model_looks(model, view);
}

/*
 * Runs a sequence. Returns how many calls were right, all of them or fewer; @why
 * tells what the first wrong one was.
 */
static int run(const struct sequence *sequence, const struct model_kind *kind,
	       char *why, size_t size)
{
	struct model_line line;
	struct model model;
	int i;

	if (model_line_open(&line, kind, &model)) {
		snprintf(why, size, "no connection: %s", strerror(errno));
		return 0;
	}
	for (i = 0; i < sequence->n; i++) {
		/* A descriptor that is closed is no socket any more. */
		if (!model.end[sequence->call[i].end].open)
			continue;
		if (!step(&model, &line, &sequence->call[i]))
			break;
	}
	snprintf(why, size, "%s", model.why);
	model_line_close(&line);
	return i;
}

static bool fails(struct sequence *sequence, const struct model_kind *kind)
{
	char why[sizeof(((struct model *)0)->why)];
	int right = run(sequence, kind, why, sizeof(why));

	if (right == sequence->n)
		return false;
	sequence->n = right + 1 < sequence->n ? right + 1 : sequence->n;
	return true;
}

static void without(struct sequence *to, const struct sequence *from, int at, int n)
{
	*to = *from;
	memmove(&to->call[at], &to->call[at + n],
		(from->n - at - n) * sizeof(to->call[0]));
	to->n -= n;
}

/* Leaves out calls, and makes those that stay smaller, while it still fails. */
static void shrink(struct sequence *sequence, const struct model_kind *kind)
{
	struct sequence less;
	bool better = true;
	int n, i;

	while (better) {
		better = false;
		for (n = sequence->n / 2; n; n /= 2)
			for (i = 0; i + n <= sequence->n; i++) {
				without(&less, sequence, i, n);
				if (!fails(&less, kind))
					continue;
				*sequence = less;
				better = true;
			}
		for (i = 0; i < sequence->n; i++) {
			less = *sequence;
			less.call[i].len = (less.call[i].len + !kind->whole) / 2;
			less.call[i].two = false;
			if ((less.call[i].len == sequence->call[i].len &&
			     !sequence->call[i].two) || !fails(&less, kind))
				continue;
			*sequence = less;
			better = true;
		}
	}
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* Runs as many as were asked for; false, and tells, when one is wrong. */
static bool run_all(const struct model_kind *kind)
{
	uint64_t seed = number("MODEL_SEED", time(NULL));
	uint64_t most = number("MODEL_SEQUENCES", SEQUENCES), n, calls = 0;
	char why[sizeof(((struct model *)0)->why)];
	struct sequence sequence;
	bool ok = true;
	int i;

	for (n = 0; n < most && ok; n++) {
		state = seed + n * 1000003;
		make_sequence(&sequence, kind);
		ok = !fails(&sequence, kind);
		calls += sequence.n;
	}
	printf("# seed %llu: %llu sequences, %llu calls\n", (unsigned long long)seed,
	       (unsigned long long)n, (unsigned long long)calls);
	if (ok)
		goto out;

	shrink(&sequence, kind);
	run(&sequence, kind, why, sizeof(why));
	for (i = 0; i < sequence.n; i++) {
		printf("# ");
		model_print(&sequence.call[i]);
	}
	printf("# the last is wrong: %s\n", why);
out:
	model_line_end();
	return ok;
}

/* How many calls each of two threads makes at once, and how many come before. */
#define EACH	4
#define BEFORE	4
/* More than any of their messages. */
#define ROOM	4096

struct room {
	unsigned char bytes[ROOM];
};

struct hand {
	pthread_t thread;
	struct model_line *line;
	struct model_past past[EACH];
	int n;
	atomic_int *ready;	/* hands that may begin */
	atomic_int *clock;
};

static void *work(void *arg)
{
	struct hand *hand = arg;
	int i;

	atomic_fetch_add(hand->ready, 1);
	while (atomic_load(hand->ready) < 2)
		sched_yield();
	for (i = 0; i < hand->n; i++) {
		hand->past[i].begin = atomic_fetch_add(hand->clock, 1);
		model_line_call(hand->line, &hand->past[i].call, &hand->past[i].answer);
		hand->past[i].end = atomic_fetch_add(hand->clock, 1);
	}
	return NULL;
}

/* A call that threads may make at once: none that is not one step. */
static void make_overlapping(struct model_call *call, const struct model_kind *kind,
			     const struct mood *mood, int id)
{
	int kinds = below(20);

	*call = (struct model_call){ .id = id, .end = below(2), .two = one_in(3) };
	if (kinds < 9) {
		make_send(call, kind, mood);
	} else if (kinds < 17) {
		make_recv(call, kind, mood);
		call->len %= ROOM;
	} else if (kinds < 18 && mood->ends) {
		call->what = MODEL_SHUTDOWN;
		do {
			call->arg = below(3);
		} while (!(kind->shutdowns & 1 << call->arg));
	} else {
		call->what = kind->calls & MODEL_CAN(MODEL_INQ) ? MODEL_INQ : MODEL_ERROR;
	}
}

/* One round: a few calls, then both threads at once. False when no order explains it. */
static bool overlap(const struct model_kind *kind, struct room *data)
{
	/* A send of AF_UNIX may come to its end after the end of the stream. */
	struct mood mood = { .urgent = one_in(2), .ends = kind->whole && one_in(2) };
	struct model_past past[2 * EACH];
	atomic_int ready = 0, clock = 0;
	struct model_view view[2];
	struct hand hand[2] = {};
	struct model_line line;
	struct model model;
	struct model_call before[BEFORE];
	int id = 1, i, j, n = below(BEFORE + 1);
	bool ok = true;

	if (model_line_open(&line, kind, &model))
		return false;
	for (i = 0; i < n && ok; i++) {
		make_overlapping(&before[i], kind, &mood, id++);
		ok = step(&model, &line, &before[i]);
	}
	if (!ok) {
		printf("# %s\n", model.why);
		goto out;
	}
	for (i = 0; i < 2; i++) {
		hand[i].line = &line;
		hand[i].ready = &ready;
		hand[i].clock = &clock;
		hand[i].n = 3 + below(EACH - 2);
		for (j = 0; j < hand[i].n; j++) {
			make_overlapping(&hand[i].past[j].call, kind, &mood, id++);
			hand[i].past[j].answer.data = data[i * EACH + j].bytes;
		}
	}
	for (i = 0; i < 2; i++)
		if (pthread_create(&hand[i].thread, NULL, work, &hand[i]))
			abort();
	for (i = j = 0; i < 2; i++) {
		pthread_join(hand[i].thread, NULL);
		memcpy(&past[j], hand[i].past, hand[i].n * sizeof(past[0]));
		j += hand[i].n;
	}
	ok = model_line_view(&line, view) && model_explains(&model, past, j, view);
	if (!ok) {
		printf("# no order explains\n");
		for (i = 0; i < n; i++) {
			printf("# before: ");
			model_print(&before[i]);
		}
		model_print_past(past, j);
	}
out:
	model_line_close(&line);
	return ok;
}

static bool overlap_all(const struct model_kind *kind)
{
	uint64_t seed = number("MODEL_SEED", time(NULL));
	uint64_t most = number("MODEL_SEQUENCES", ROUNDS), n;
	struct room *data = calloc(2 * EACH, sizeof(*data));
	bool ok = data;

	for (n = 0; n < most && ok; n++) {
		state = seed + n * 1000003;
		ok = overlap(kind, data);
	}
	printf("# seed %llu: %llu rounds\n", (unsigned long long)seed,
	       (unsigned long long)n);
	free(data);
	model_line_end();
	return ok;
}

/* What a call on an AF_FERRY socket may be. MSG_ERRQUEUE: memory may be bad. */
#define EVERY_CALL	(MODEL_CAN(MODEL_LOOK) - 1)
#define EVERY_FLAG	(MSG_PEEK | MSG_TRUNC | MSG_WAITALL | MSG_OOB | MSG_ERRQUEUE)
#define SOME_CALLS	(MODEL_CAN(MODEL_SEND) | MODEL_CAN(MODEL_RECV) |	\
			 MODEL_CAN(MODEL_SHUTDOWN) | MODEL_CAN(MODEL_ERROR))
#define ANY_WAY		7	/* a bit each: SHUT_RD, SHUT_WR, SHUT_RDWR */

FIXTURE(sequences)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(sequences)
{
	struct model_kind kind;
};

#define FERRY_VARIANT(_name, _type, _how)				\
FIXTURE_VARIANT_ADD(sequences, _name)					\
{									\
	.kind = {							\
		.kind = { AF_FERRY, _type, _how },			\
		.calls = EVERY_CALL,					\
		.send_flags = MSG_OOB | MSG_EOR,			\
		.recv_flags = EVERY_FLAG,				\
		.shutdowns = ANY_WAY,						\
		.rights = true,						\
		.whole = true,						\
	},								\
}

FERRY_VARIANT(FERRY_stream_pair, SOCK_STREAM, FT_PAIR);
FERRY_VARIANT(FERRY_stream_conn, SOCK_STREAM, FT_CONN);
FERRY_VARIANT(FERRY_seqpacket_pair, SOCK_SEQPACKET, FT_PAIR);
FERRY_VARIANT(FERRY_seqpacket_conn, SOCK_SEQPACKET, FT_CONN);
FERRY_VARIANT(FERRY_dgram_pair, SOCK_DGRAM, FT_PAIR);
FERRY_VARIANT(FERRY_dgram_conn, SOCK_DGRAM, FT_CONN);

/*
 * AF_UNIX has an urgent byte of its own kind; the low-water mark gates no poll there,
 * a read that goes on for more loses a reset, and a peek brings descriptors of what
 * it does not show.
 */
FIXTURE_VARIANT_ADD(sequences, UNIX_stream_pair)
{
	.kind = {
		.kind = { AF_UNIX, SOCK_STREAM, FT_PAIR },
		.calls = SOME_CALLS | MODEL_CAN(MODEL_CLOSE) |
			 MODEL_CAN(MODEL_PEEK_OFF) | MODEL_CAN(MODEL_INQ),
		.recv_flags = MSG_PEEK | MSG_ERRQUEUE,
		.shutdowns = ANY_WAY,
	},
};

/*
 * Of AF_UNIX a record is lost when its reader's memory faults, and a reset comes
 * before what was queued; SIOCINQ is all.
 */
FIXTURE_VARIANT_ADD(sequences, UNIX_seqpacket_pair)
{
	.kind = {
		.kind = { AF_UNIX, SOCK_SEQPACKET, FT_PAIR },
		.calls = SOME_CALLS | MODEL_CAN(MODEL_PEEK_OFF),
		.recv_flags = MSG_PEEK | MSG_TRUNC,
		.rights = true,
		.shutdowns = ANY_WAY,
	},
};

/* One that was shut down for reading has no end; one whose peer went is emptied. */
FIXTURE_VARIANT_ADD(sequences, UNIX_dgram_pair)
{
	.kind = {
		.kind = { AF_UNIX, SOCK_DGRAM, FT_PAIR },
		.calls = SOME_CALLS | MODEL_CAN(MODEL_PEEK_OFF) | MODEL_CAN(MODEL_INQ),
		.recv_flags = MSG_PEEK | MSG_TRUNC,
		.rights = true,
		.shutdowns = 1 << SHUT_WR,
	},
};

/* The urgent byte is TCP's; who closes tells the peer later, in segments. */
FIXTURE_VARIANT_ADD(sequences, TCP_conn)
{
	.kind = {
		.kind = { AF_INET, SOCK_STREAM, FT_CONN },
		.calls = SOME_CALLS | MODEL_CAN(MODEL_INLINE) | MODEL_CAN(MODEL_INQ),
		.send_flags = MSG_OOB,
		.recv_flags = MSG_PEEK | MSG_TRUNC | MSG_WAITALL | MSG_OOB,
		.shutdowns = 1 << SHUT_WR,
	},
};

FIXTURE_SETUP(sequences)
{
	FT_NEED(variant->kind.kind.domain, variant->kind.kind.type);
	ft_leak_start(&self->leak, variant->kind.kind.domain);
}

FIXTURE_TEARDOWN(sequences)
{
	FT_NO_LEAK(&self->leak);
}

TEST_F_TIMEOUT(sequences, F08_every_answer_is_the_models, TIMEOUT)
{
	EXPECT_TRUE(run_all(&variant->kind));
}

TEST_F_TIMEOUT(sequences, X03_some_order_explains_two_threads, TIMEOUT)
{
	if (variant->kind.kind.domain == AF_INET)
		SKIP(return, "what was sent arrives later there");
	EXPECT_TRUE(overlap_all(&variant->kind));
}

FT_HARNESS_MAIN
