/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of ferry-bench share.
 *
 * A cell is one thing that is measured ("throughput/64"), a peer one transport
 * ("unix-stream"). Every cell of every peer is measured in a process of its
 * own: what one of them leaks, breaks or hangs in cannot reach the next.
 */
#ifndef FERRY_BENCH_H
#define FERRY_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* ---- peer.c: the transports ---- */

enum peer_flags {
	PEER_SOCKET	= 1 << 0,	/* made by socket(2) */
	PEER_RECORDS	= 1 << 1,	/* keeps boundaries */
	PEER_LISTENS	= 1 << 2,	/* listen, connect, accept */
	PEER_DGRAM	= 1 << 3,	/* connectionless */
	PEER_LOSSY	= 1 << 4,	/* drops what finds no room: the sender is paced */
	PEER_SOCKETPAIR	= 1 << 5,
	PEER_NAMES	= 1 << 6,	/* part of the cells on names */
	PEER_ZEROCOPY	= 1 << 7,
	PEER_MEMCPY	= 1 << 8,	/* no transport, the limit */
	PEER_PIPE	= 1 << 9,
	PEER_NETWORK	= 1 << 10,	/* between hosts: namespaces and a veth link */
};

struct peer {
	const char *name;
	const char *baseline;	/* the AF_UNIX peer it is compared with */
	int family;
	int type;
	unsigned int flags;
};

/* Two ends; those of a pipe differ for the two directions. */
struct link {
	int in[2];
	int out[2];
};

extern const struct peer peers[];
extern const size_t peer_count;

const struct peer *peer_find(const char *name);
int peer_probe(const struct peer *peer);
int peer_socket(const struct peer *peer);
socklen_t peer_address(const struct peer *peer, unsigned int id, struct sockaddr_storage *addr,
		       bool to_connect);
int peer_bind(const struct peer *peer, int fd, unsigned int id);
int peer_connect(const struct peer *peer, int fd, unsigned int id);
int peer_pair(const struct peer *peer, struct link *link, bool duplex);
void peer_no_delay(const struct peer *peer, const struct link *link);
unsigned int peer_new_id(void);

/* ---- network.c: pairs between hosts ---- */

int network_pair(const struct peer *peer, int fd[2]);
bool network_cell(const struct peer *peer, const char *cell, long parameter);

/* ---- process.c: measuring in processes of their own ---- */

#define GROUP_MAX	64

struct sample {
	double value;		/* time in ns of one operation, or bytes */
	double p99;		/* round trips only, else 0 */
	double extra;		/* what it is depends on the cell, see extra_name */
	char extra_name[24];
	unsigned int operations;	/* between measure_start() and measure_stop() */
	char error[96];		/* why there is no value; empty when there is one */
};

void fail(struct sample *sample, int error, const char *what);
void *shared_alloc(size_t size);
int group_run(int count, int (*role)(int index, void *context), void *context);
void pin_to_cpu(int cpu);
uint64_t now_ns(void);
uint64_t measure_start(void);
uint64_t measure_stop(void);

/* ---- the cells ---- */

struct options {
	bool quick;
	bool force;
	int repeat;
	double scale;		/* of iteration counts */
	const char *only;
};

extern struct options options;

struct cell {
	const char *name;	/* "throughput" */
	const char *unit;	/* of the value */
	long parameter;		/* size, number of names or of pairs; 0: none */
	unsigned int count;	/* iterations */
	unsigned int needs;	/* peer flags that must be there */
	unsigned int never;	/* peer flags that must not */
	void (*run)(const struct peer *peer, const struct cell *cell, struct sample *sample);
};

unsigned int cell_count(const struct cell *cell);

void run_throughput(const struct peer *peer, const struct cell *cell, struct sample *sample);
void run_zerocopy(const struct peer *peer, const struct cell *cell, struct sample *sample);
void run_roundtrip(const struct peer *peer, const struct cell *cell, struct sample *sample);
void run_senders(const struct peer *peer, const struct cell *cell, struct sample *sample);
void run_readers(const struct peer *peer, const struct cell *cell, struct sample *sample);
void run_pairs(const struct peer *peer, const struct cell *cell, struct sample *sample);
void run_connect(const struct peer *peer, const struct cell *cell, struct sample *sample);
void run_socket(const struct peer *peer, const struct cell *cell, struct sample *sample);
void run_socketpair(const struct peer *peer, const struct cell *cell, struct sample *sample);
void run_memory_idle(const struct peer *peer, const struct cell *cell, struct sample *sample);
void run_memory_pair(const struct peer *peer, const struct cell *cell, struct sample *sample);
void run_memory_unread(const struct peer *peer, const struct cell *cell, struct sample *sample);
void run_bind(const struct peer *peer, const struct cell *cell, struct sample *sample);
void run_connect_name(const struct peer *peer, const struct cell *cell, struct sample *sample);

/* ---- machine.c ---- */

struct machine {
	bool counted;		/* the clock counts instructions */
	double ns_per_instruction;
	double clock_cost;	/* ns of one clock_gettime() */
	int cpus;
	char kernel[128];
	char version[128];
	char cpu[128];
	char cmdline[512];
	char clocksource[32];
};

void machine_describe(struct machine *machine);
int machine_wait_idle(int window_ms, int windows);

/* ---- result.c: what was measured, and its file ---- */

#define REPEAT_MAX	32

struct result {
	char peer[32];
	char cell[32];
	char unit[24];
	long parameter;
	int count;		/* of values */
	double values[REPEAT_MAX];
	double p99;
	double extra;
	char extra_name[24];
	unsigned int operations;
	char error[96];
};

struct results {
	struct machine machine;
	char command[512];
	char date[32];
	struct result *list;
	size_t count;
	struct {
		char peer[32];
		char why[96];
	} absent[32];
	size_t absent_count;
};

double result_value(const struct result *result);
double result_spread(const struct result *result);
struct result *results_find(const struct results *results, const char *peer, const char *cell,
			    long parameter);
struct result *results_add(struct results *results, const char *peer, const char *cell,
			   long parameter);
int results_save(const struct results *results, FILE *file);
int results_load(struct results *results, const char *path);

/* ---- report.c: table, targets, comparison of two runs, data of the plot ---- */

int report_table(const struct results *results, FILE *file);
int report_compare(const struct results *results, const struct results *before, FILE *file);
int report_plot(const struct results *results, const char *path);

#endif /* FERRY_BENCH_H */
