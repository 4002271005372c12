// SPDX-License-Identifier: GPL-2.0
/*
 * The table, the targets and the comparison of two runs.
 *
 * Ratios are to AF_UNIX of the same type, its time over the peer's: higher is
 * better and 1.0 is as fast as AF_UNIX.
 */
#include "bench.h"

#include <errno.h>
#include <error.h>
#include <math.h>
#include <string.h>

/* One column of the table. */
struct column {
	const char *cell;
	long parameter;
	const char *title;
};

static const struct column columns[] = {
	{ "throughput", 1, "1 B" },
	{ "throughput", 64, "64 B" },
	{ "throughput", 1024, "1 Ki" },
	{ "throughput", 4096, "4 Ki" },
	{ "throughput", 16384, "16 Ki" },
	{ "throughput", 65536, "64 Ki" },
	{ "throughput", 1048576, "1 Mi" },
	{ "zerocopy", 1048576, "1 Mi zc" },
	{ "roundtrip", 1, "rtt 1" },
	{ "roundtrip", 64, "rtt 64" },
	{ "roundtrip", 4096, "rtt 4Ki" },
	{ "connect", 0, "connect" },
	{ "socket", 0, "socket" },
	{ "socketpair", 0, "sockpair" },
	{ "senders", 64, "8 to 1" },
	{ "readers", 64, "1 to 8" },
	{ "pairs", 64, "pairs 64" },
	{ "pairs", 4096, "pairs 4Ki" },
};

static const struct column memory_columns[] = {
	{ "memory-idle", 0, "idle socket" },
	{ "memory-pair", 0, "connected pair" },
	{ "memory-unread", 0, "unread byte" },
};

static const long name_counts[] = { 10, 1000, 100000 };

/* What must be reached in counted mode, as a ratio to AF_UNIX. */
struct target {
	const char *peer;
	const char *cell;
	long parameter;
	double ratio;
};

static const struct target targets[] = {
	{ "ferry-stream", "throughput", 1, 2.4 },
	{ "ferry-stream", "throughput", 64, 2.2 },
	{ "ferry-stream", "throughput", 1024, 1.8 },
	{ "ferry-stream", "throughput", 4096, 1.8 },
	{ "ferry-stream", "throughput", 16384, 1.6 },
	{ "ferry-stream", "throughput", 65536, 1.8 },
	{ "ferry-stream", "throughput", 1048576, 2.0 },
	{ "ferry-stream", "zerocopy", 1048576, 2.5 },
	{ "ferry-stream", "roundtrip", 1, 1.3 },
	{ "ferry-stream", "roundtrip", 4096, 1.3 },
	{ "ferry-stream", "connect", 0, 1.2 },
	{ "ferry-stream", "socketpair", 0, 1.1 },
	{ "ferry-seqpacket", "throughput", 1, 1.5 },
	{ "ferry-seqpacket", "throughput", 64, 1.5 },
	{ "ferry-seqpacket", "throughput", 1024, 1.5 },
	{ "ferry-seqpacket", "throughput", 4096, 1.8 },
	{ "ferry-seqpacket", "throughput", 16384, 1.5 },
	{ "ferry-seqpacket", "throughput", 65536, 1.5 },
	{ "ferry-seqpacket", "roundtrip", 1, 1.2 },
	{ "ferry-seqpacket", "roundtrip", 4096, 1.2 },
	{ "ferry-seqpacket", "connect", 0, 1.2 },
	{ "ferry-seqpacket", "socketpair", 0, 1.1 },
	{ "ferry-dgram", "throughput", 1, 1.7 },
	{ "ferry-dgram", "throughput", 64, 1.7 },
	{ "ferry-dgram", "throughput", 1024, 1.7 },
	{ "ferry-dgram", "throughput", 4096, 1.8 },
	{ "ferry-dgram", "throughput", 16384, 1.5 },
	{ "ferry-dgram", "throughput", 65536, 1.5 },
	{ "ferry-dgram", "roundtrip", 1, 1.2 },
	{ "ferry-dgram", "roundtrip", 4096, 1.2 },
	{ "ferry-dgram", "socketpair", 0, 1.1 },
	/* To TCP or UDP; a round trip of 1.08 of TCP's time is a ratio of 0.926. */
	{ "veth-stream", "throughput", 64, 0.90 },
	{ "veth-stream", "throughput", 65536, 0.97 },
	{ "veth-stream", "roundtrip", 64, 0.93 },
	{ "veth-seqpacket", "throughput", 4096, 0.85 },
	{ "veth-dgram", "throughput", 64, 0.85 },
	{ "veth-dgram", "throughput", 4096, 0.85 },
};

#define PARALLEL_TARGET		1.0	/* beyond the noise, in every cell */
#define NAMES_SLOPE_TARGET	1.2	/* from 10 to 100,000 names */
#define UNREAD_TARGET		2.0	/* bytes of one unread 1-byte write */
#define SCALING_TOLERANCE	0.9	/* of what pairs of pipes reach */

struct verdict {
	int met, missed, unmeasured;
};

static const char *baseline_of(const char *name)
{
	const struct peer *peer = peer_find(name);

	return peer ? peer->baseline : "unix-stream";
}

/* The zero-copy cell is held against AF_UNIX's plain send, it has no other. */
static const struct result *baseline_result(const struct results *results, const char *peer,
					    const char *cell, long parameter)
{
	if (!strcmp(cell, "zerocopy"))
		cell = "throughput";
	return results_find(results, baseline_of(peer), cell, parameter);
}

static double ratio_of(const struct results *results, const char *peer, const char *cell,
		       long parameter)
{
	double own = result_value(results_find(results, peer, cell, parameter));
	double unix_value = result_value(baseline_result(results, peer, cell, parameter));

	return own && unix_value ? unix_value / own : 0;
}

static bool is_network(const struct peer *peer)
{
	return peer->flags & PEER_NETWORK;
}

static bool column_used(const struct results *results, const struct column *column,
			bool network)
{
	for (size_t i = 0; i < peer_count; i++)
		if (is_network(&peers[i]) == network &&
		    results_find(results, peers[i].name, column->cell, column->parameter))
			return true;
	return false;
}

static bool peer_measured(const struct results *results, const char *peer)
{
	for (size_t i = 0; i < results->count; i++)
		if (!strcmp(results->list[i].peer, peer))
			return true;
	return false;
}

static bool any_measured(const struct results *results, bool network)
{
	for (size_t i = 0; i < peer_count; i++)
		if (is_network(&peers[i]) == network && peer_measured(results, peers[i].name))
			return true;
	return false;
}

/* "n/a" was tried and refused (a note says why), "-" does not apply. */
static void print_cell(FILE *file, const struct result *result, double value, const char *format)
{
	char text[32];

	if (!result)
		snprintf(text, sizeof(text), "-");
	else if (result->error[0])
		snprintf(text, sizeof(text), "n/a");
	else if (!value)
		snprintf(text, sizeof(text), "?");
	else
		snprintf(text, sizeof(text), format, value);
	fprintf(file, " %9s", text);
}

/* Of the peers on this host, or of those between hosts. */
static void print_columns(const struct results *results, FILE *file, const char *title,
			  bool ratios, bool network)
{
	fprintf(file, "\n%s\n\n%-16s", title, "");
	for (size_t c = 0; c < ARRAY_SIZE(columns); c++)
		if (column_used(results, &columns[c], network))
			fprintf(file, " %9s", columns[c].title);
	fputc('\n', file);
	for (size_t p = 0; p < peer_count; p++) {
		const char *peer = peers[p].name;

		if (!peer_measured(results, peer) || is_network(&peers[p]) != network)
			continue;
		fprintf(file, "%-16s", peer);
		for (size_t c = 0; c < ARRAY_SIZE(columns); c++) {
			const struct column *column = &columns[c];
			const struct result *result;
			double value;

			if (!column_used(results, column, network))
				continue;
			result = results_find(results, peer, column->cell, column->parameter);
			value = ratios ? ratio_of(results, peer, column->cell, column->parameter) :
					 result_value(result);
			print_cell(file, result, value, ratios ? "%.2f" : "%.0f");
		}
		fputc('\n', file);
	}
}

static bool any_result(const struct results *results, const char *cell)
{
	for (size_t i = 0; i < results->count; i++)
		if (!strcmp(results->list[i].cell, cell))
			return true;
	return false;
}

static void print_p99(const struct results *results, FILE *file, const char *unit)
{
	if (!any_result(results, "roundtrip"))
		return;
	fprintf(file, "\nRound trip, 99th percentile, %s\n\n%-16s %9s %9s %9s\n", unit, "", "1 B",
		"64 B", "4 Ki");
	for (size_t p = 0; p < peer_count; p++) {
		const char *peer = peers[p].name;

		if (!results_find(results, peer, "roundtrip", 1))
			continue;
		fprintf(file, "%-16s", peer);
		for (size_t c = 0; c < ARRAY_SIZE(columns); c++) {
			const struct result *result;

			if (strcmp(columns[c].cell, "roundtrip"))
				continue;
			result = results_find(results, peer, "roundtrip", columns[c].parameter);
			print_cell(file, result, result ? result->p99 : 0, "%.0f");
		}
		fputc('\n', file);
	}
}

static void print_memory(const struct results *results, FILE *file)
{
	if (!any_result(results, "memory-idle"))
		return;
	fprintf(file, "\nMemory, bytes\n\n%-16s", "");
	for (size_t c = 0; c < ARRAY_SIZE(memory_columns); c++)
		fprintf(file, " %14s", memory_columns[c].title);
	fputc('\n', file);
	for (size_t p = 0; p < peer_count; p++) {
		if (!results_find(results, peers[p].name, "memory-pair", 0))
			continue;
		fprintf(file, "%-16s", peers[p].name);
		for (size_t c = 0; c < ARRAY_SIZE(memory_columns); c++) {
			const struct result *result;

			result = results_find(results, peers[p].name, memory_columns[c].cell, 0);
			fputs("     ", file);
			print_cell(file, result, result_value(result), "%.1f");
		}
		fputc('\n', file);
	}
}

static double names_slope(const struct results *results, const char *peer, const char *cell)
{
	double few = result_value(results_find(results, peer, cell, 10));
	double many = result_value(results_find(results, peer, cell, 100000));

	return few && many ? many / few : 0;
}

static void print_names(const struct results *results, FILE *file, const char *unit)
{
	static const char * const cells[] = { "bind", "connect-name" };

	if (!any_result(results, "bind") && !any_result(results, "connect-name"))
		return;
	fprintf(file, "\nNames taken, %s\n\n%-16s", unit, "");
	for (size_t c = 0; c < ARRAY_SIZE(cells); c++)
		fprintf(file, " %9s %9s %9s %9s", c ? "connect10" : "bind 10", "1,000", "100,000",
			"slope");
	fputc('\n', file);
	for (size_t p = 0; p < peer_count; p++) {
		const char *peer = peers[p].name;

		if (!results_find(results, peer, "bind", 10) &&
		    !results_find(results, peer, "connect-name", 10))
			continue;
		fprintf(file, "%-16s", peer);
		for (size_t c = 0; c < ARRAY_SIZE(cells); c++) {
			double slope = names_slope(results, peer, cells[c]);

			for (size_t n = 0; n < ARRAY_SIZE(name_counts); n++) {
				const struct result *result;

				result = results_find(results, peer, cells[c], name_counts[n]);
				print_cell(file, result, result_value(result), "%.0f");
			}
			if (slope)
				fprintf(file, " %9.2f", slope);
			else
				fprintf(file, " %9s", "-");
		}
		fputc('\n', file);
	}
}

static void print_scaling(const struct results *results, FILE *file)
{
	if (!any_result(results, "pairs"))
		return;
	fprintf(file, "\nPairs on %d CPUs, times the messages of one pair on one CPU\n\n",
		results->machine.cpus);
	fprintf(file, "%-16s %9s %9s\n", "", "64 B", "4 Ki");
	for (size_t p = 0; p < peer_count; p++) {
		static const long sizes[] = { 64, 4096 };

		if (!results_find(results, peers[p].name, "pairs", 64))
			continue;
		fprintf(file, "%-16s", peers[p].name);
		for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
			const struct result *result;

			result = results_find(results, peers[p].name, "pairs", sizes[s]);
			print_cell(file, result, result ? result->extra : 0, "%.2f");
		}
		fputc('\n', file);
	}
}

static void judge(struct verdict *verdict, FILE *file, const char *what, double value,
		  const char *relation, double target, bool met)
{
	fprintf(file, "%-38s", what);
	if (!value) {
		verdict->unmeasured++;
		fprintf(file, " %8s  target %s %-8.2f not measured\n", "-", relation, target);
		return;
	}
	if (met)
		verdict->met++;
	else
		verdict->missed++;
	fprintf(file, " %8.2f  target %s %-8.2f %s\n", value, relation, target,
		met ? "met" : "MISSED");
}

static void judge_counted(const struct results *results, FILE *file, struct verdict *verdict)
{
	static const char * const named[] = { "ferry-stream", "ferry-dgram" };
	static const char * const cells[] = { "bind", "connect-name" };
	static const char * const idle[] = { "ferry-stream", "ferry-seqpacket", "ferry-dgram" };
	const struct result *lent;
	char what[96];
	double value;

	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		const struct target *t = &targets[i];

		/* Met when it is met as printed: the third digit is noise. */
		value = round(ratio_of(results, t->peer, t->cell, t->parameter) * 100) / 100;
		if (t->parameter)
			snprintf(what, sizeof(what), "%s %s/%ld", t->peer, t->cell, t->parameter);
		else
			snprintf(what, sizeof(what), "%s %s", t->peer, t->cell);
		judge(verdict, file, what, value, ">=", t->ratio, value >= t->ratio);
	}
	lent = results_find(results, "ferry-stream", "zerocopy", 1048576);
	if (lent && !lent->error[0] && lent->extra) {
		fprintf(file, "%-38s %7.0f%%  of the sends were copied: MISSED\n",
			"ferry-stream zerocopy/1048576", lent->extra * 100);
		verdict->missed++;
	}
	for (size_t p = 0; p < ARRAY_SIZE(named); p++) {
		for (size_t c = 0; c < ARRAY_SIZE(cells); c++) {
			value = names_slope(results, named[p], cells[c]);
			snprintf(what, sizeof(what), "%s %s slope", named[p], cells[c]);
			judge(verdict, file, what, value, "<=", NAMES_SLOPE_TARGET,
			      value <= NAMES_SLOPE_TARGET);
		}
	}
	for (size_t p = 0; p < ARRAY_SIZE(idle); p++) {
		double unix_value = result_value(results_find(results, baseline_of(idle[p]),
							      "memory-idle", 0));

		value = result_value(results_find(results, idle[p], "memory-idle", 0));
		snprintf(what, sizeof(what), "%s memory-idle, bytes", idle[p]);
		/* The method's own grain is about one byte in a hundred. */
		judge(verdict, file, what, unix_value ? value : 0, "<=", unix_value,
		      value <= unix_value * 1.01);
	}
	value = result_value(results_find(results, "ferry-stream", "memory-unread", 0));
	judge(verdict, file, "ferry-stream memory-unread, bytes", value, "<=", UNREAD_TARGET,
	      value <= UNREAD_TARGET);
}

/* Missed only when no value of the peer reaches any of AF_UNIX. */
static void judge_parallel(const struct results *results, FILE *file, struct verdict *verdict)
{
	char what[96];

	for (size_t i = 0; i < results->count; i++) {
		const struct result *own = &results->list[i];
		const struct result *other;
		double least = HUGE_VAL, most = 0, ratio;

		if (strncmp(own->peer, "ferry-", 6) || own->error[0] ||
		    strcmp(own->unit, "ns"))
			continue;
		other = baseline_result(results, own->peer, own->cell, own->parameter);
		if (!other || !other->count)
			continue;
		for (int v = 0; v < own->count; v++)
			least = fmin(least, own->values[v]);
		for (int v = 0; v < other->count; v++)
			most = fmax(most, other->values[v]);
		ratio = ratio_of(results, own->peer, own->cell, own->parameter);
		snprintf(what, sizeof(what), "%s %s/%ld", own->peer, own->cell, own->parameter);
		judge(verdict, file, what, ratio, ">=", PARALLEL_TARGET,
		      ratio >= PARALLEL_TARGET || least <= most);
	}
	for (size_t i = 0; i < results->count; i++) {
		const struct result *own = &results->list[i];
		const struct result *pipe;
		double share;

		if (strncmp(own->peer, "ferry-", 6) || strcmp(own->cell, "pairs"))
			continue;
		pipe = results_find(results, "pipe", "pairs", own->parameter);
		share = pipe && pipe->extra ? own->extra / pipe->extra : 0;
		snprintf(what, sizeof(what), "%s scaling/%ld, of pipe's", own->peer,
			 own->parameter);
		judge(verdict, file, what, share, ">=", SCALING_TOLERANCE,
		      share >= SCALING_TOLERANCE);
	}
}

static void print_notes(const struct results *results, FILE *file)
{
	bool first = true;

	for (size_t i = 0; i < results->absent_count; i++)
		fprintf(file, "%sabsent: %s (%s)\n", i ? "" : "\n", results->absent[i].peer,
			results->absent[i].why);
	for (size_t i = 0; i < results->count; i++) {
		const struct result *result = &results->list[i];

		if (!result->error[0])
			continue;
		fprintf(file, "%sn/a: %s %s", first ? "\n" : "", result->peer, result->cell);
		if (result->parameter)
			fprintf(file, "/%ld", result->parameter);
		fprintf(file, " (%s)\n", result->error);
		first = false;
	}
	for (size_t i = 0; i < results->count; i++) {
		const struct result *result = &results->list[i];

		if (!strcmp(result->cell, "zerocopy") && !result->error[0])
			fprintf(file, "zero-copy: %s copied %.0f %% of its sends after all\n",
				result->peer, result->extra * 100);
	}
}

/* Returns how many targets were missed. */
int report_table(const struct results *results, FILE *file)
{
	const struct machine *machine = &results->machine;
	const char *unit = machine->counted ? "instructions" : "ns";
	struct verdict verdict = {};
	char title[96];

	fprintf(file, "Kernel %s, %d CPU%s, %s mode, %s\n", machine->kernel, machine->cpus,
		machine->cpus == 1 ? "" : "s", machine->counted ? "counted" : "parallel",
		results->date);
	fprintf(file, "Made by: %s\n", results->command);
	snprintf(title, sizeof(title), "One operation, %s (both ends together)", unit);
	if (any_measured(results, false)) {
		print_columns(results, file,
			      "Ratio to AF_UNIX of the same type, higher is better", true, false);
		print_columns(results, file, title, false, false);
	}
	if (any_measured(results, true)) {
		print_columns(results, file,
			      "Between hosts: ratio to TCP or UDP, higher is better", true, true);
		print_columns(results, file, title, false, true);
	}
	print_p99(results, file, unit);
	print_scaling(results, file);
	print_memory(results, file);
	print_names(results, file, unit);
	print_notes(results, file);
	if (!peer_measured(results, "ferry-stream") && !peer_measured(results, "ferry-seqpacket") &&
	    !peer_measured(results, "ferry-dgram") && !any_measured(results, true)) {
		fputs("\nTargets: AF_FERRY was not measured.\n", file);
		return 0;
	}
	fputs("\nTargets\n\n", file);
	if (machine->counted)
		judge_counted(results, file, &verdict);
	else
		judge_parallel(results, file, &verdict);
	fprintf(file, "\n%d met, %d missed, %d not measured\n", verdict.met, verdict.missed,
		verdict.unmeasured);
	return verdict.missed;
}

/* What the targets are made of; the loopbacks of others fall into one rhythm or another. */
static bool must_repeat(const char *peer)
{
	return !strncmp(peer, "ferry-", 6) || !strncmp(peer, "unix-", 5) || !strcmp(peer, "pipe");
}

/* Cells of @results that differ from @before; returns how many must not. */
int report_compare(const struct results *results, const struct results *before, FILE *file)
{
	const double limit = 0.03;
	int compared = 0, differ = 0;
	double worst = 0;

	for (size_t i = 0; i < results->count; i++) {
		const struct result *now = &results->list[i];
		double a = result_value(now);
		double b = result_value(results_find(before, now->peer, now->cell,
						     now->parameter));
		bool counts = must_repeat(now->peer);
		double change;

		if (!a || !b)
			continue;
		change = a / b - 1;
		compared += counts;
		if (counts)
			worst = fmax(worst, fabs(change));
		if (fabs(change) <= limit)
			continue;
		differ += counts;
		fprintf(file, "%-16s %s/%ld: %.1f, before %.1f (%+.1f %%)%s\n", now->peer,
			now->cell, now->parameter, a, b, change * 100,
			counts ? "" : ", not counted");
	}
	fprintf(file, "%d cells of AF_FERRY, AF_UNIX and pipe compared: ", compared);
	fprintf(file, "%d differ by more than %.0f %%, at most %.1f %%\n", differ, limit * 100,
		worst * 100);
	return differ;
}

/* A block a peer, two empty lines between, as gnuplot's index wants it. */
int report_plot(const struct results *results, const char *path)
{
	FILE *file = fopen(path, "we");
	bool first = true;

	if (!file) {
		error(0, errno, "%s", path);
		return -1;
	}
	for (size_t p = 0; p < peer_count; p++) {
		const char *peer = peers[p].name;

		if (!results_find(results, peer, "throughput", 64))
			continue;
		fprintf(file, "%s\"%s\"\n", first ? "" : "\n\n", peer);
		first = false;
		for (size_t c = 0; c < ARRAY_SIZE(columns); c++) {
			double ns;

			if (strcmp(columns[c].cell, "throughput"))
				continue;
			ns = result_value(results_find(results, peer, "throughput",
						       columns[c].parameter));
			if (ns)
				fprintf(file, "%ld %.3f %.3f\n", columns[c].parameter, ns,
					ratio_of(results, peer, "throughput",
						 columns[c].parameter));
		}
	}
	return fclose(file) ? -1 : 0;
}
