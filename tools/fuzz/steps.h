/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A sequence of calls, how it is run, and what its calls share. A reproducer holds a
 * copy of this file.
 */
#ifndef FUZZ_STEPS_H
#define FUZZ_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STEP_ARGS	8
#define STEP_SLOTS	16
#define STEP_THREADS	3
#define STEP_HOSTS	3
#define STEP_PORT	1818
#define STEP_AREA	(2 << 20)

/**
 * struct step - a call
 * @thread: who makes it; its namespace counts in the part before the threads start too
 * @fail: which allocation or copy of the call fails, 0 for none
 * @call: the function in calls.c
 * @a: its arguments; every value is good, the function takes it modulo
 */
struct step {
	int thread;
	int fail;
	long (*call)(const long *a);
	long a[STEP_ARGS];
};

/* Descriptors, which calls name by their place here. */
extern int slot[STEP_SLOTS];
/* Network namespaces: 0 and 1 have the port and a link, 0 and 2 another link. */
extern int host[STEP_HOSTS];
/* Memory that calls read and write; what follows it is not there. */
extern char *area;
/* Called by each thread before its first call, if set. */
extern void (*step_begin)(int thread);

/* Makes the namespaces; false, with a message, if that fails. */
bool steps_setup(void);
/* The port of a namespace's carriers; false if it cannot be set. */
bool steps_port(int where, int port);
/*
 * Runs a sequence in this process, which should end then: the first @setup calls one
 * after the other, the rest in a thread each. Two bits of @places for each thread say
 * in which namespace. Whoever sleeps for long is woken by a signal.
 */
void steps_run(const struct step *steps, int n, int setup, unsigned int places);
/* Wakes a thread by a signal. */
void steps_wake(int thread);

#endif /* FUZZ_STEPS_H */
