/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fuzzer: programs, which are sequences of calls that can be changed and written,
 * the coverage that they have, and the corpus of those that found some.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "steps.h"

#define PROGRAM_MAX	48
#define CORPUS_MAX	3000
#define BLOCKS		65536
#define EDGES		262144
#define WORKERS_MAX	4

/**
 * struct call - a line of calls.def
 * @name: its name
 * @run: what does it
 * @weight: how often it is chosen
 * @args: the type of each argument
 */
struct call {
	const char *name;
	long (*run)(const long *a);
	int weight;
	const char *args;
};

extern const struct call calls[];
extern const int call_count;

/**
 * struct line - a call of a program
 * @call: which of calls[]
 * @thread: who makes it
 * @fail: see struct step
 * @a: arguments
 */
struct line {
	uint16_t call;
	uint8_t thread;
	uint8_t fail;
	long a[STEP_ARGS];
};

/**
 * struct program - a sequence
 * @places: namespace of each thread
 * @setup: how many lines come before the threads start
 * @n: how many lines
 * @lines: the lines
 */
struct program {
	unsigned int places;
	int setup;
	int n;
	struct line lines[PROGRAM_MAX];
};

/**
 * struct shared - what the workers share
 * @lock: guards the corpus and the blocks
 * @count: programs in the corpus
 * @corpus: these
 * @block_count: blocks of the module that were reached
 * @blocks: their addresses, a hash table
 * @edges: pairs of blocks, one after the other, by hash
 * @edge_count: how many
 * @ran: sequences that ran, by worker
 * @late: those that were killed at the end of their time
 * @stop: workers are to end
 */
struct shared {
	int lock;
	int count;
	struct program corpus[CORPUS_MAX];
	int block_count;
	uint64_t blocks[BLOCKS];
	uint8_t edges[EDGES];
	int edge_count;
	unsigned long ran[WORKERS_MAX];
	unsigned long late[WORKERS_MAX];
	bool stop;
};

extern struct shared *shared;
void shared_lock(void);
void shared_unlock(void);

/* program.c */
void random_seed(uint64_t seed);
uint64_t random_below(uint64_t n);
void program_make(struct program *p);
void program_change(struct program *p, const struct program *other);
void program_write(const struct program *p, FILE *to);
/* The next program of a file; false at its end. An error ends the process. */
bool program_read(struct program *p, FILE *from, const char *name);
void program_cut(struct program *p, int from, int n);
int program_steps(const struct program *p, struct step *steps);

/* kcov.c */
bool kcov_open(void);
void kcov_begin(int thread);
void kcov_reset(void);
/* Adds what the last sequence reached; true if some of it is new. */
bool kcov_collect(void);
/* Offsets in the module's text of all blocks reached, one a line. */
void kcov_write(FILE *to);

/* emit.c */
void emit_program(const struct program *p, FILE *to);

#endif /* FUZZ_H */
