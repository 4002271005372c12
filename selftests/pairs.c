// SPDX-License-Identifier: GPL-2.0
/*
 * Every pair of calls on one connection: the first is stopped in the middle of its
 * copy, by memory that is not there yet (stall.h), and the second runs meanwhile, or
 * begins to wait. With the answer of the second there somebody looks, or reads; then the
 * first goes on, or its memory is gone for good. What all returned, and how the ends
 * look, must follow from an order of them by the model of model.h.
 */

#include "model.h"
#include "stall.h"
#include "kselftest_harness.h"

#define ROOM	4096
/* The two of a pair and who looks. */
#define CALLS	3

/* What there is before: the calls of all states up to the one that is tried. */
struct before {
	const char *name;
	struct model_call call[4];
	int n;
};

static const struct before befores[] = {
	{ "nothing unread" },
	{
		"two messages each way",
		{
			{ MODEL_SEND, 0, 1, 40 }, { MODEL_SEND, 0, 2, 30 },
			{ MODEL_SEND, 1, 3, 40 }, { MODEL_SEND, 1, 4, 30 },
		}, 4
	},
	{
		"an urgent byte each way",
		{
			{ MODEL_SEND, 0, 1, 4, MSG_OOB }, { MODEL_SEND, 0, 2, 30 },
			{ MODEL_SEND, 1, 3, 4, MSG_OOB }, { MODEL_SEND, 1, 4, 30 },
		}, 4
	},
};

static const struct model_call firsts[] = {
	{ MODEL_SEND, .len = 8 },
	{ MODEL_SEND, .len = 8, .flags = MSG_OOB },
	{ MODEL_SEND, .len = 8, .fds = 1 },
	{ MODEL_RECV, .len = 10 },
	{ MODEL_RECV, .len = 10, .flags = MSG_PEEK },
	{ MODEL_RECV, .len = 1, .flags = MSG_OOB },
};

static const struct model_call seconds[] = {
	{ MODEL_SEND, .len = 5 },
	{ MODEL_SEND, .len = 2, .flags = MSG_OOB },
	{ MODEL_SEND, .len = 3, .fds = 2 },
	{ MODEL_SEND, .len = 0 },
	{ MODEL_RECV, .len = 10 },
	{ MODEL_RECV, .len = 64 },
	{ MODEL_RECV, .len = 10, .flags = MSG_PEEK },
	{ MODEL_RECV, .len = 4, .flags = MSG_TRUNC },
	{ MODEL_RECV, .len = 1, .flags = MSG_OOB },
	{ MODEL_SHUTDOWN, .arg = SHUT_RD },
	{ MODEL_SHUTDOWN, .arg = SHUT_WR },
	{ MODEL_SHUTDOWN, .arg = SHUT_RDWR },
	{ MODEL_CLOSE },
	{ MODEL_INQ },
	{ MODEL_LOOK },
	{ MODEL_ERROR },
	{ MODEL_SNDBUF, .arg = 2304 },
	{ MODEL_RCVBUF, .arg = 2304 },
	{ MODEL_PEEK_OFF, .arg = 2 },
	{ MODEL_LOWAT, .arg = 20 },
	{ MODEL_INLINE, .arg = 1 },
	{ MODEL_BIND },
};

/* A call in a thread of its own. */
struct party {
	struct ft_call call;
	struct model_line *line;
	struct model_past *past;
};

static ssize_t take_part(struct ft_call *call)
{
	struct party *party = (struct party *)call;

	model_line_call(party->line, &party->past->call, &party->past->answer);
	return 0;
}

static bool begin(struct party *party, struct model_line *line, struct model_past *past)
{
	*party = (struct party){ .call.fn = take_part, .line = line, .past = past };
	return !ft_start(&party->call);
}

/* Waits until the call is stuck in its copy, or over. */
static bool stuck(struct party *party, struct stall *stall)
{
	while (!atomic_load(&party->call.done))
		if (ft_poll(stall->fd, POLLIN, 1) & POLLIN)
			return stall_wait(stall);
	return false;
}

/* What the world sees of the second while the first is still stopped. */
static int glance(struct model_line *line, struct model_past *past)
{
	static struct model_view view[2];
	static unsigned char memory[ROOM];
	struct model_past *third = &past[2];

	/* A socket in use is closed when the call that uses it is over. */
	if (past[1].call.what == MODEL_CLOSE && !past[1].call.end)
		return 2;
	third->call = (struct model_call){ MODEL_LOOK };
	if (line->kind->kind.type != SOCK_STREAM) {
		if (past[0].call.what != MODEL_SEND || line->fd[1] < 0)
			return 2;
		third->call = (struct model_call){ MODEL_RECV, 1, .len = 64 };
	}
	third->answer = (struct model_answer){ .data = memory, .view = view };
	third->begin = 3;
	third->end = 4;
	model_line_call(line, &third->call, &third->answer);
	return 3;
}

/*
 * One pair. The first is stopped after @ready bytes; its memory comes then, or not if
 * it is bad. Returns 1 if it was stopped, 0 if it went through without, -1 when no order
 * explains what happened.
 */
static int try(const struct model_kind *kind, const struct before *before,
	       struct model_past *past, int ready)
{
	static unsigned char memory[ROOM];
	struct model_view seen[2] = {}, view[2];
	struct party first, second;
	struct model_line line;
	struct stall stall;
	struct model model;
	int i, n = 2, stopped = 0;
	bool ok;

	if (stall_open(&stall))
		return -1;
	if (model_line_open(&line, kind, &model)) {
		stall_close(&stall);
		return -1;
	}
	for (i = 0; i < before->n; i++) {
		struct model_answer answer = { .data = memory };

		model_line_call(&line, &before->call[i], &answer);
		if (!model_call(&model, &before->call[i], &answer))
			goto wrong;
	}
	for (i = 0; i < 2; i++)
		ft_settimeo(line.fd[i], SO_RCVTIMEO, FT_LONG_MS);

	past[0].call.place = stall_at(&stall, ready);
	past[0].answer.data = past[0].call.place;
	if (past[0].call.what == MODEL_SEND)
		memcpy(past[0].call.place, model_bytes(past[0].call.id), ready);
	past[1].answer.data = memory;
	past[1].answer.view = seen;

	if (!begin(&first, &line, &past[0]))
		goto wrong;
	if (stuck(&first, &stall)) {
		stopped = 1;
		past[0].begin = 0;
		past[1].begin = 1;
		past[1].end = 2;
		past[0].end = 5;
	} else {
		past[0].begin = 0;
		past[0].end = 1;
		past[1].begin = 2;
		past[1].end = 3;
	}
	ok = begin(&second, &line, &past[1]);
	/* It has its answer, or waits for the first. */
	if (ok && !ft_blocked(&second.call) && stopped)
		n = glance(&line, past);
	if (past[0].call.bad)
		ok &= stall_fail(&stall);
	else
		ok &= stall_end(&stall, model_offset(past[0].call.id) + ready);
	ft_join(&first.call);
	if (ok)
		ft_join(&second.call);
	/* Memory that is gone for good was asked for by nobody. */
	if (!stopped)
		past[0].call.bad = false;
	if (!ok || !model_line_view(&line, view) || !model_explains(&model, past, n, view))
		goto wrong;
	model_line_close(&line);
	stall_close(&stall);
	return stopped;
wrong:
	printf("# no order explains, after %s, %d bytes before the stop\n", before->name,
	       ready);
	model_print_past(past, n);
	model_line_close(&line);
	stall_close(&stall);
	return -1;
}

/* Is there something that a second call waits for, whatever the first does? */
static bool may_wait(const struct before *before, const struct model_call *first,
		     const struct model_call *second)
{
	if (second->flags & MSG_OOB)
		return false;
	if (second->what == MODEL_SEND)
		return true;
	/* What is there, or what the first sends. */
	return second->what == MODEL_RECV && second->len <= 10 && !first->bad &&
	       (before->n || (first->what == MODEL_SEND && second->end));
}

/* Where all is checked each takes ten times as long: one second call of four, by turns. */
#define STEP	(ft_checks_itself() ? 4 : 1)

struct sum {
	int from, pairs, stopped, wrong;
};

static void try_second(const struct model_kind *kind, const struct before *before,
		       const struct model_call *first, const struct model_call *second,
		       int ready, struct sum *sum)
{
	struct model_past past[CALLS];
	int end, wait, got;

	for (end = 0; end < 2; end++)
		for (wait = 0; wait < 2; wait++) {
			past[0] = (struct model_past){ .call = *first };
			past[1] = (struct model_past){ .call = *second };
			past[0].call.id = 5;
			past[1].call.id = 6;
			past[1].call.end = end;
			past[1].call.wait = wait;
			if (wait && !may_wait(before, &past[0].call, &past[1].call))
				continue;
			got = try(kind, before, past, ready);
			sum->pairs++;
			sum->stopped += got > 0;
			sum->wrong += got < 0;
		}
}

static void try_first(const struct model_kind *kind, const struct before *before,
		      const struct model_call *first, struct sum *sum)
{
	bool records = kind->kind.type != SOCK_STREAM, peek = first->flags & MSG_PEEK;
	struct model_call bad = *first;
	int i;

	bad.bad = true;
	for (i = sum->from; i < ARRAY_SIZE(seconds); i += STEP) {
		/* A record in the middle of a copy is charged and in no queue. */
		if (records && seconds[i].what == MODEL_LOOK)
			continue;
		/* An offset set in the middle of a receive may be moved by it or not. */
		if (first->what == MODEL_RECV && seconds[i].what == MODEL_PEEK_OFF)
			continue;
		try_second(kind, before, first, &seconds[i], first->len > 3 ? 3 : 0, sum);
		/* What is received is away meanwhile, and comes back when the copy fails. */
		if (first->what == MODEL_SEND || peek || (!records && !first->flags))
			try_second(kind, before, &bad, &seconds[i], 0, sum);
	}
}

FIXTURE(pairs)
{
	struct ft_leak leak;
	struct sum sum;
};

FIXTURE_VARIANT(pairs)
{
	struct model_kind kind;
};

#define PAIRS_VARIANT(_name, _type, _how)				\
FIXTURE_VARIANT_ADD(pairs, _name)					\
{									\
	.kind = {							\
		.kind = { AF_FERRY, _type, _how },			\
		.calls = MODEL_CAN(MODEL_INQ),				\
		.whole = true,						\
	},								\
}

PAIRS_VARIANT(FERRY_stream_pair, SOCK_STREAM, FT_PAIR);
PAIRS_VARIANT(FERRY_seqpacket_pair, SOCK_SEQPACKET, FT_PAIR);
PAIRS_VARIANT(FERRY_dgram_pair, SOCK_DGRAM, FT_PAIR);

FIXTURE_SETUP(pairs)
{
	struct stall stall;

	FT_NEED(variant->kind.kind.domain, variant->kind.kind.type);
	STALL_NEED(&stall);
	stall_close(&stall);
	self->sum.from = time(NULL) % STEP;
	ft_leak_start(&self->leak, variant->kind.kind.domain);
}

FIXTURE_TEARDOWN(pairs)
{
	model_line_end();
	printf("# %d pairs, %d of them with the first stopped, from second call %d\n",
	       self->sum.pairs, self->sum.stopped, self->sum.from);
	FT_NO_LEAK(&self->leak);
}

#define TRY(_first)							\
do {									\
	int _i;								\
									\
	for (_i = 0; _i < ARRAY_SIZE(befores); _i++)			\
		if (!befores[_i].n || variant->kind.kind.type == SOCK_STREAM || \
		    !befores[_i].call[0].flags)				\
			try_first(&variant->kind, &befores[_i],		\
				  &firsts[_first], &self->sum);		\
	EXPECT_EQ(0, self->sum.wrong);					\
} while (0)

TEST_F_TIMEOUT(pairs, X03_a_send_is_stopped, FT_SLOW_S)
{
	TRY(0);
	EXPECT_NE(0, self->sum.stopped);
}

TEST_F_TIMEOUT(pairs, X03_an_urgent_send_is_stopped, FT_SLOW_S)
{
	if (variant->kind.kind.type != SOCK_STREAM)
		SKIP(return, "has no urgent byte");
	TRY(1);
	EXPECT_NE(0, self->sum.stopped);
}

TEST_F_TIMEOUT(pairs, X03_a_send_with_a_descriptor_is_stopped, FT_SLOW_S)
{
	TRY(2);
	EXPECT_NE(0, self->sum.stopped);
}

TEST_F_TIMEOUT(pairs, X03_a_receive_is_stopped, FT_SLOW_S)
{
	TRY(3);
	EXPECT_NE(0, self->sum.stopped);
}

TEST_F_TIMEOUT(pairs, X03_a_peek_is_stopped, FT_SLOW_S)
{
	TRY(4);
	EXPECT_NE(0, self->sum.stopped);
}

TEST_F_TIMEOUT(pairs, X03_a_receive_of_the_urgent_byte_is_stopped, FT_SLOW_S)
{
	if (variant->kind.kind.type != SOCK_STREAM)
		SKIP(return, "has no urgent byte");
	TRY(5);
	EXPECT_NE(0, self->sum.stopped);
}

FT_HARNESS_MAIN
