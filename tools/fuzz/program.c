// SPDX-License-Identifier: GPL-2.0
/*
 * Programs: making them up by the types of arguments, changing them, text and back.
 */
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "calls.h"
#include "fuzz.h"

#define COUNT(array)	(sizeof(array) / sizeof(*(array)))
#define PICK(array)	((array)[random_below(COUNT(array))])

#define CALL(name, weight, args) { #name, do_##name, weight, args },
const struct call calls[] = {
#include "calls.def"
};

#undef CALL

const int call_count = COUNT(calls);

static uint64_t state;

void random_seed(uint64_t seed)
{
	state = seed;
}

/* splitmix64 */
static uint64_t random_next(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t random_below(uint64_t n)
{
	return random_next() % n;
}

static bool chance(int in)
{
	return !random_below(in);
}

/* What a call puts into a place, by the types of descriptors of calls.def. */
static const struct {
	const char *call;
	char kind;
} makers[] = {
	{ "socket", 's' }, { "pair", 's' }, { "serve", 's' }, { "accept", 's' },
	{ "far", 's' },
	{ "pipe", 'p' }, { "epoll", 'e' }, { "file", 'm' }, { "tcp", 'r' },
	{ "answer", 'r' }, { "forge", 'r' },
};

/* Which places hold a kind of descriptor after the first n lines. */
static int find_places(const struct program *p, int n, char kind, int *places)
{
	char holds[STEP_SLOTS] = { 0 };
	const struct call *call;
	int i, j, found = 0;
	size_t m;

	for (i = 0; i < n; i++) {
		call = &calls[p->lines[i].call];
		for (m = 0; m < COUNT(makers); m++)
			if (!strcmp(makers[m].call, call->name))
				break;
		for (j = 0; call->args[j]; j++)
			if (call->args[j] == 'o')
				holds[(unsigned long)p->lines[i].a[j] % STEP_SLOTS] =
					m < COUNT(makers) ? makers[m].kind : 'x';
	}
	for (i = 0; i < STEP_SLOTS; i++)
		if (holds[i] && (holds[i] == kind || kind == 'f'))
			places[found++] = i;
	return found;
}

static long make_length(void)
{
	static const long lengths[] = { 0, 1, 2, 4, 8, 20, 100, 1000, 1023, 1024, 4095, 4096, 4097,
		8192, 16384, 32767, 32768, 32769, 65000, 65001, 65536, 106496, 212992, 425984,
		1 << 20, STEP_AREA, -1, INT_MAX };

	return chance(3) ? (long)random_below(70000) : PICK(lengths);
}

static long make_integer(void)
{
	static const long integers[] = { 0, 1, -1, 2, 3, 7, 64, 255, 256, 511, 0777, 01000, 2303,
		2304, 4096, 4608, 65535, 65536, 212992, INT_MAX, INT_MIN, 1L << 32, -2,
		0xffffffff };

	return chance(4) ? (long)(random_next() >> random_below(64)) : PICK(integers);
}

static long make_flags(void)
{
	static const long flags[] = { MSG_OOB, MSG_PEEK, MSG_DONTROUTE, MSG_TRUNC, MSG_DONTWAIT,
		MSG_EOR, MSG_WAITALL, MSG_ERRQUEUE, MSG_NOSIGNAL, MSG_MORE, MSG_WAITFORONE,
		MSG_ZEROCOPY, MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_CONFIRM, MSG_FASTOPEN };
	long all = chance(2) ? MSG_DONTWAIT : 0;

	if (chance(40))
		return random_next() & 0xffffffff;
	while (chance(2))
		all |= PICK(flags);
	return all;
}

/* Level, by its place in do_setsockopt(), and option. */
static long make_option(void)
{
	static const long known[] = { 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 15, 16, 17, 18, 19, 20,
		21, 29, 34, 35,
		36, 37, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 55, 56, 57, 58,
		59, 60, 61, 62, 63, 64, 65, 67, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81,
		82, 83, 84 };

	switch (random_below(12)) {
	case 0:
	case 1:
	case 2:
		return 1 << 8 | random_below(12);
	case 3:
		return 2 << 8 | random_below(53);
	case 4:
		return 3 << 8 | random_below(80);
	case 5:
		return 4 << 8 | random_below(46);
	case 6:
		return (5 + random_below(2)) << 8 | random_below(256);
	}
	return PICK(known);
}

static long make_node(const struct program *p, int thread)
{
	/* By where the thread is: the other end of a link. */
	static const long far[][6] = {
		{ 2, 4, 6, 8, 2, 4 }, { 1, 3, 1, 3, 1, 3 }, { 5, 7, 5, 7, 5, 7 },
		{ 0, 0, 0, 0, 0, 0 },
	};

	if (chance(3))
		return 0;
	if (chance(3))
		return random_below(20);
	return far[p->places >> 2 * thread & 3][random_below(6)];
}

static long make_arg(const struct program *p, int at, int thread, char type)
{
	int places[STEP_SLOTS], n;

	switch (type) {
	case 's':
	case 'p':
	case 'e':
	case 'r':
	case 'm':
	case 'f':
		n = find_places(p, at, type, places);
		if (n && !chance(24))
			return places[random_below(n)];
		return random_below(STEP_SLOTS);
	case 'o':
		return random_below(STEP_SLOTS);
	case 'T':
		return chance(24) ? random_below(6) : random_below(3);
	case 'N':
		return chance(8) ? random_below(16) : random_below(2);
	case 'A':
		return chance(12) ? random_below(16) : 0;
	case 'C':
		return chance(16) ? random_below(256) : random_below(2);
	case 'D':
		return make_node(p, thread);
	case 'F':
		return make_flags();
	case 'l':
		return make_length();
	case 'b':
		return chance(10) ? random_below(7) : 0;
	case 'O':
		return make_option();
	case 'i':
		return make_integer();
	}
	return random_below(256);
}

static void make_line(const struct program *p, int at, struct line *line)
{
	int threads = STEP_THREADS, i, j, pick, sum = 0;
	const struct call *call;

	memset(line, 0, sizeof(*line));
	line->thread = random_below(threads);
	for (i = 0; i < call_count; i++)
		sum += calls[i].weight;
	pick = random_below(sum);
	for (i = 0; pick >= calls[i].weight; i++)
		pick -= calls[i].weight;
	line->call = i;
	if (chance(20))
		line->fail = 1 + random_below(chance(2) ? 6 : 30);
	call = &calls[i];
	for (j = 0; call->args[j]; j++) {
		line->a[j] = make_arg(p, at, line->thread, call->args[j]);
		/* What is sent to another host by an address needs its scope. */
		if (call->args[j] == 'D' && j && call->args[j - 1] == 'C' && line->a[j] &&
		    !chance(8))
			line->a[j - 1] = 1;
		if (call->args[j] == 'C' && !strcmp(call->name, "serve"))
			line->a[j] = chance(4) ? 0 : 1;
		if (call->args[j] == 'D' && (!strcmp(call->name, "serve") ||
					     !strcmp(call->name, "bind")) && !chance(4))
			line->a[j] = 0;
	}
}

static void insert(struct program *p, int at, const struct line *line)
{
	if (p->n == PROGRAM_MAX)
		return;
	memmove(&p->lines[at + 1], &p->lines[at], (p->n - at) * sizeof(*line));
	p->lines[at] = *line;
	p->n++;
	if (at < p->setup)
		p->setup++;
}

void program_cut(struct program *p, int from, int n)
{
	if (n > p->n - from)
		n = p->n - from;
	memmove(&p->lines[from], &p->lines[from + n], (p->n - from - n) * sizeof(*p->lines));
	p->n -= n;
	if (from < p->setup)
		p->setup = p->setup - from < n ? from : p->setup - n;
}

static unsigned int make_places(void)
{
	/* All in one, client and server, with one who is not of the family. */
	static const unsigned int places[] = { 0x00, 0x00, 0x04, 0x10, 0x11, 0x20, 0x08, 0x24,
		0x3f };

	return PICK(places);
}

void program_make(struct program *p)
{
	int n = 6 + random_below(26);
	struct line line;

	memset(p, 0, sizeof(*p));
	p->places = make_places();
	while (p->n < n) {
		make_line(p, p->n, &line);
		insert(p, p->n, &line);
	}
	p->setup = n * random_below(8) / 10;
}

static void change_arg(struct program *p)
{
	int at = random_below(p->n), j;
	struct line *line = &p->lines[at];
	const char *args = calls[line->call].args;

	if (!*args)
		return;
	j = random_below(strlen(args));
	if (chance(6))
		line->a[j] += chance(2) ? 1 : -1;
	else if (chance(8))
		line->a[j] ^= 1UL << random_below(8);
	else
		line->a[j] = make_arg(p, at, line->thread, args[j]);
}

void program_change(struct program *p, const struct program *other)
{
	struct line line;
	int at, n;

	do {
		switch (p->n ? random_below(12) : 0) {
		case 0:
		case 1:
		case 2:
			at = random_below(p->n + 1);
			make_line(p, at, &line);
			insert(p, at, &line);
			break;
		case 3:
			program_cut(p, random_below(p->n), 1 + random_below(3));
			break;
		case 4:
		case 5:
		case 6:
			change_arg(p);
			break;
		case 7:
			at = random_below(p->n);
			p->lines[at].thread = random_below(STEP_THREADS);
			break;
		case 8:
			p->setup = random_below(p->n + 1);
			if (chance(4))
				p->places = make_places();
			break;
		case 9:
			at = random_below(p->n);
			line = p->lines[at];
			insert(p, random_below(p->n + 1), &line);
			break;
		case 10:
			at = random_below(p->n);
			p->lines[at].fail = chance(2) ? 0 : 1 + random_below(20);
			break;
		case 11:
			if (!other || !other->n)
				break;
			at = random_below(other->n);
			for (n = 1 + random_below(other->n - at); n; n--, at++)
				insert(p, chance(2) ? p->n : (int)random_below(p->n + 1),
				       &other->lines[at]);
			break;
		}
	} while (chance(2));
	if (p->setup > p->n)
		p->setup = p->n;
}

void program_write(const struct program *p, FILE *to)
{
	const struct line *line;
	int i, j;

	fprintf(to, "program places %u setup %d\n", p->places, p->setup);
	for (i = 0; i < p->n; i++) {
		line = &p->lines[i];
		fprintf(to, "%d %s", line->thread, calls[line->call].name);
		for (j = 0; calls[line->call].args[j]; j++)
			fprintf(to, " %ld", line->a[j]);
		if (line->fail)
			fprintf(to, " fail %d", line->fail);
		fputc('\n', to);
	}
	fputs("end\n", to);
}

static int find_call(const char *name)
{
	int i;

	for (i = 0; i < call_count; i++)
		if (!strcmp(calls[i].name, name))
			return i;
	return -1;
}

bool program_read(struct program *p, FILE *from, const char *name)
{
	char text[512], *word, *save;
	struct line *line;
	int call, j;

	memset(p, 0, sizeof(*p));
	p->setup = -1;
	while (fgets(text, sizeof(text), from)) {
		word = strtok_r(text, " \t\n", &save);
		if (!word || *word == '#')
			continue;
		if (!strcmp(word, "program")) {
			if (sscanf(save, "places %u setup %d", &p->places, &p->setup) != 2)
				break;
			continue;
		}
		if (!strcmp(word, "end")) {
			if (p->setup < 0 || p->setup > p->n)
				p->setup = p->n;
			return true;
		}
		if (!isdigit(*word) || p->n == PROGRAM_MAX) {
			fprintf(stderr, "fuzz: %s: %s: no program\n", name, word);
			exit(2);
		}
		line = &p->lines[p->n++];
		line->thread = atoi(word) % STEP_THREADS;
		word = strtok_r(NULL, " \t\n", &save);
		call = word ? find_call(word) : -1;
		if (call < 0) {
			fprintf(stderr, "fuzz: %s: %s: no call\n", name, word ? word : "nothing");
			exit(2);
		}
		line->call = call;
		for (j = 0; (word = strtok_r(NULL, " \t\n", &save)); j++) {
			if (!strcmp(word, "fail")) {
				word = strtok_r(NULL, " \t\n", &save);
				line->fail = word ? atoi(word) : 0;
				break;
			}
			if (j < STEP_ARGS)
				line->a[j] = strtol(word, NULL, 0);
		}
	}
	return false;
}

int program_steps(const struct program *p, struct step *steps)
{
	int i;

	for (i = 0; i < p->n; i++) {
		steps[i].thread = p->lines[i].thread;
		steps[i].fail = p->lines[i].fail;
		steps[i].call = calls[p->lines[i].call].run;
		memcpy(steps[i].a, p->lines[i].a, sizeof(steps[i].a));
	}
	return p->n;
}
