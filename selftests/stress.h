/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the stress programs share: how long they go on, and messages that are
 * numbered and checksummed, so that one that is lost, doubled, moved or damaged
 * shows whoever sent and whoever received it.
 *
 *	stress_... [-s SECONDS] [options of the harness]
 *
 * SECONDS, or FERRY_STRESS_SECONDS of the environment, are shared among the
 * variants of AF_FERRY that run; the others only prove the test and take no
 * more than they would by default.
 */
#ifndef STRESS_H
#define STRESS_H

#include "ferry_test.h"

#include <sched.h>

#define STRESS_SECONDS	4	/* by default, a program */
#define STRESS_LIMIT	1200	/* for the harness: seconds a test may take */

#define STRESS_MSG	1500	/* the longest message */
#define STRESS_LANES	4	/* senders that one receiver can tell apart */

/* A sequence of numbers that is the same in every run. */
static inline unsigned int stress_below(unsigned int *state, unsigned int n)
{
	*state = *state * 1103515245 + 12345;
	return (*state >> 16 & 0x7fff) % n;
}

/*
 * Bytes of a stream: lane and number in each. Sixty-one is prime, so what is
 * lost or doubled by the page or the buffer shows as well.
 */
#define LANE_CYCLE	61

static inline unsigned char lane_byte(int lane, uint64_t n)
{
	return lane * LANE_CYCLE + n % LANE_CYCLE;
}

/* The head of a record. */
struct stress_record {
	uint32_t sum;		/* of all that follows */
	uint16_t lane;
	uint16_t len;		/* of the record */
	uint64_t n;		/* its number in the lane */
};

static inline uint32_t stress_sum(const unsigned char *p, size_t len)
{
	uint32_t sum = 2166136261u;

	while (len--)
		sum = (sum ^ *p++) * 16777619;
	return sum;
}

/* Fills in bytes or the record that come next in a lane; returns the length. */
static inline size_t stress_fill(int type, unsigned char *buf, int lane,
				 uint64_t n, size_t len)
{
	struct stress_record head = { .lane = lane, .n = n };
	size_t i;

	if (type == SOCK_STREAM) {
		for (i = 0; i < len; i++)
			buf[i] = lane_byte(lane, n + i);
		return len;
	}
	if (len < sizeof(head))
		len = sizeof(head);
	head.len = len;
	memset(buf + sizeof(head), n, len - sizeof(head));
	memcpy(buf, &head, sizeof(head));
	head.sum = stress_sum(buf + sizeof(head.sum), len - sizeof(head.sum));
	memcpy(buf, &head, sizeof(head));
	return len;
}

/* What one reader received. */
struct stress_tally {
	uint64_t count[STRESS_LANES];	/* bytes or records */
	uint64_t sum[STRESS_LANES];	/* of bytes' or records' numbers */
	uint64_t last[STRESS_LANES];	/* highest number of a record, plus 1 */
	const char *wrong;		/* the first thing that was */
};

/*
 * Looks at what one call received. With @count it was taken, not only seen. The
 * bytes of a lane follow each other within a call, if nobody else takes some out
 * between.
 */
static inline void stress_check(struct stress_tally *tally, int type,
				const unsigned char *buf, size_t len,
				bool count)
{
	struct stress_record head;
	int next[STRESS_LANES];
	size_t i;

	if (type != SOCK_STREAM) {
		if (len < sizeof(head)) {
			tally->wrong = "a record is cut short";
			return;
		}
		memcpy(&head, buf, sizeof(head));
		if (head.len != len || head.lane >= STRESS_LANES ||
		    head.sum != stress_sum(buf + sizeof(head.sum),
					   len - sizeof(head.sum))) {
			tally->wrong = "a record is damaged";
			return;
		}
		if (!count)
			return;
		if (head.n + 1 <= tally->last[head.lane])
			tally->wrong = "a record came twice or out of order";
		tally->last[head.lane] = head.n + 1;
		tally->count[head.lane]++;
		tally->sum[head.lane] += head.n;
		return;
	}

	memset(next, -1, sizeof(next));
	for (i = 0; i < len; i++) {
		int lane = buf[i] / LANE_CYCLE, n = buf[i] % LANE_CYCLE;

		if (lane >= STRESS_LANES) {
			tally->wrong = "a byte is damaged";
			return;
		}
		if (next[lane] >= 0 && next[lane] != n)
			tally->wrong = "bytes are lost, doubled or moved";
		next[lane] = (n + 1) % LANE_CYCLE;
		if (count) {
			tally->count[lane]++;
			tally->sum[lane] += n;
		}
	}
}

/*
 * The same for what splice() took. TCP lets go of the socket between two
 * buffers of one call, and other readers take bytes there.
 */
static inline void stress_check_spliced(struct stress_tally *tally,
					const struct ft_kind *kind,
					const unsigned char *buf, size_t len)
{
	size_t part = kind->domain == AF_INET ? 1 : len, i;

	for (i = 0; i < len; i += part)
		stress_check(tally, kind->type, buf + i, part, true);
}

/* Adds up what several readers received of one queue. */
static inline void stress_add(struct stress_tally *to,
			      const struct stress_tally *from)
{
	int i;

	for (i = 0; i < STRESS_LANES; i++) {
		to->count[i] += from->count[i];
		to->sum[i] += from->sum[i];
	}
	if (from->wrong)
		to->wrong = from->wrong;
}

/* Is what was received of a lane all of the @sent first bytes or records? */
static inline bool stress_complete(const struct stress_tally *tally, int type,
				   int lane, uint64_t sent)
{
	uint64_t rest = sent % LANE_CYCLE;
	uint64_t sum;

	if (type == SOCK_STREAM)
		sum = sent / LANE_CYCLE * (LANE_CYCLE * (LANE_CYCLE - 1) / 2) +
		      rest * (rest ? rest - 1 : 0) / 2;
	else
		sum = sent * (sent ? sent - 1 : 0) / 2;
	if (tally->count[lane] == sent && tally->sum[lane] == sum)
		return true;
	fprintf(stderr, "# lane %d: %llu sent, %llu received, sum %llu not %llu\n",
		lane, (unsigned long long)sent,
		(unsigned long long)tally->count[lane],
		(unsigned long long)tally->sum[lane], (unsigned long long)sum);
	return false;
}

/* Waits for a thread; false when it does not come to its end. */
static inline bool stress_join(pthread_t thread)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	/* Far longer than the slowest machine needs. */
	end.tv_sec += 60;
	return !pthread_timedjoin_np(thread, NULL, &end);
}

#endif /* STRESS_H */
