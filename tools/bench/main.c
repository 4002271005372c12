// SPDX-License-Identifier: GPL-2.0
/* ferry-bench: AF_FERRY against the other local transports. */
#include "bench.h"

#include <errno.h>
#include <error.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CELL_TIMEOUT	300	/* seconds; a cell takes one or two */

struct options options = { .scale = 1 };

/*
 * Iterations: enough that the timer tick and the scheduler's whims stay below
 * 1 %, few enough that a run under emulation ends within minutes.
 */
static const struct cell cells[] = {
	{ "throughput", "ns", 1, 20000, 0, 0, run_throughput },
	{ "throughput", "ns", 64, 20000, 0, 0, run_throughput },
	{ "throughput", "ns", 1024, 16000, 0, 0, run_throughput },
	{ "throughput", "ns", 4096, 12000, 0, 0, run_throughput },
	{ "throughput", "ns", 16384, 6000, 0, 0, run_throughput },
	{ "throughput", "ns", 65536, 2000, 0, 0, run_throughput },
	{ "throughput", "ns", 1048576, 160, 0, 0, run_throughput },
	{ "zerocopy", "ns", 1048576, 160, PEER_ZEROCOPY, 0, run_zerocopy },
	{ "roundtrip", "ns", 1, 4000, 0, PEER_MEMCPY, run_roundtrip },
	{ "roundtrip", "ns", 64, 4000, 0, PEER_MEMCPY, run_roundtrip },
	{ "roundtrip", "ns", 4096, 4000, 0, PEER_MEMCPY, run_roundtrip },
	{ "connect", "ns", 0, 4000, PEER_LISTENS, 0, run_connect },
	{ "socket", "ns", 0, 16000, PEER_SOCKET, 0, run_socket },
	{ "socketpair", "ns", 0, 8000, PEER_SOCKETPAIR, 0, run_socketpair },
	{ "senders", "ns", 64, 16000, PEER_DGRAM, 0, run_senders },
	{ "readers", "ns", 64, 16000, PEER_RECORDS, 0, run_readers },
	{ "pairs", "ns", 64, 20000, 0, PEER_MEMCPY, run_pairs },
	{ "pairs", "ns", 4096, 10000, 0, PEER_MEMCPY, run_pairs },
	{ "memory-idle", "bytes", 0, 4000, PEER_SOCKET, 0, run_memory_idle },
	{ "memory-pair", "bytes", 0, 4000, 0, PEER_MEMCPY, run_memory_pair },
	{ "memory-unread", "bytes", 0, 24, 0, PEER_MEMCPY, run_memory_unread },
	{ "bind", "ns", 10, 1000, PEER_NAMES, 0, run_bind },
	{ "bind", "ns", 1000, 1000, PEER_NAMES, 0, run_bind },
	{ "bind", "ns", 100000, 1000, PEER_NAMES, 0, run_bind },
	{ "connect-name", "ns", 10, 1000, PEER_NAMES, 0, run_connect_name },
	{ "connect-name", "ns", 1000, 1000, PEER_NAMES, 0, run_connect_name },
	{ "connect-name", "ns", 100000, 1000, PEER_NAMES, 0, run_connect_name },
};

unsigned int cell_count(const struct cell *cell)
{
	unsigned int count = cell->count * options.scale;

	return count < 8 ? 8 : count;
}

static void usage(void)
{
	printf("usage: %s [options]\n", program_invocation_name);
	fputs("Measures AF_FERRY and the other local transports of the running kernel.\n"
	      "\n"
	      "  -o, --only WORD[,WORD...]  only these peers and cells (cell, cell/parameter);\n"
	      "                             a word that is no name: all that begin with it\n"
	      "  -q, --quick                a tenth of the iterations, at most 1,000 names\n"
	      "  -r, --repeat N             rounds over all cells; the median counts; default\n"
	      "                             1 in counted mode, else 5\n"
	      "  -s, --scale X              times the iterations\n"
	      "  -j, --json FILE            write the results, - for standard output\n"
	      "  -f, --from FILE            measure nothing, read results of an earlier run\n"
	      "  -c, --compare FILE         more than 3 % from an earlier run is a failure\n"
	      "  -p, --plot-data FILE       write the columns that plot.gp draws\n"
	      "  -t, --no-table             do not print the table\n"
	      "  -T, --targets              exit with 1 when a target is missed\n"
	      "  -m, --command TEXT         the command to name in the results\n"
	      "      --force                measure even if the machine never gets idle\n"
	      "  -l, --list                 list peers and cells\n"
	      "  -h, --help\n"
	      "\n"
	      "On one CPU whose clock counts instructions (QEMU, -icount shift=0) time is\n"
	      "counted: what is measured repeats within 3 %, and knows no caches or locks.\n",
	      stdout);
}

static void list(void)
{
	puts("peers:");
	for (size_t i = 0; i < peer_count; i++)
		printf("  %s\n", peers[i].name);
	puts("cells:");
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
		if (cells[i].parameter)
			printf("  %s/%ld\n", cells[i].name, cells[i].parameter);
		else
			printf("  %s\n", cells[i].name);
	}
}

/*
 * A word is a whole name ("connect", "throughput/64"), or the beginning of some
 * when there is none of that name: "connect" does not mean connect-name too.
 */
static bool word_matches(const char *word, size_t len, const char *name)
{
	if (strncmp(word, name, len))
		return false;
	if (name[len] == '\0' || name[len] == '/')
		return true;
	if (memchr(word, '/', len))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
		if (strlen(cells[i].name) == len && !strncmp(word, cells[i].name, len))
			return false;
	return true;
}

enum word_kind { WORD_UNKNOWN, WORD_PEER, WORD_CELL };

static void cell_label(const struct cell *cell, char *to, size_t size)
{
	if (cell->parameter)
		snprintf(to, size, "%s/%ld", cell->name, cell->parameter);
	else
		snprintf(to, size, "%s", cell->name);
}

static enum word_kind word_kind(const char *word, size_t len)
{
	char label[48];

	for (size_t i = 0; i < peer_count; i++)
		if (word_matches(word, len, peers[i].name))
			return WORD_PEER;
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
		cell_label(&cells[i], label, sizeof(label));
		if (word_matches(word, len, label))
			return WORD_CELL;
	}
	return WORD_UNKNOWN;
}

/* Words that name peers narrow the peers, words that name cells the cells. */
static bool selected(const char *name, enum word_kind kind)
{
	const char *word = options.only;
	bool narrowed = false;

	while (word && *word) {
		size_t len = strcspn(word, ",");

		if (len && word_kind(word, len) == kind) {
			narrowed = true;
			if (word_matches(word, len, name))
				return true;
		}
		word += len + (word[len] == ',');
	}
	return !narrowed;
}

static int check_words(void)
{
	const char *word = options.only;

	while (word && *word) {
		size_t len = strcspn(word, ",");

		if (len && word_kind(word, len) == WORD_UNKNOWN) {
			error(0, 0, "no peer or cell begins with '%.*s'; --list has them all",
			      (int)len, word);
			return -1;
		}
		word += len + (word[len] == ',');
	}
	return 0;
}

/* Measures one cell of one peer in a process group that is gone afterwards. */
static void measure(const struct peer *peer, const struct cell *cell, struct sample *sample)
{
	struct sample *shared = shared_alloc(sizeof(*shared));
	pid_t parent = getpid();
	pid_t child = fork();
	int status;

	if (child < 0) {
		fail(sample, errno, "fork");
		return;
	}
	if (!child) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		alarm(CELL_TIMEOUT);
		cell->run(peer, cell, shared);
		_exit(0);
	}
	setpgid(child, child);
	waitpid(child, &status, 0);
	kill(-child, SIGKILL);
	*sample = *shared;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(sample->error, sizeof(sample->error), "not done in %d s", CELL_TIMEOUT);
	else if (WIFSIGNALED(status))
		snprintf(sample->error, sizeof(sample->error), "killed by signal %d",
			 WTERMSIG(status));
	else if (!sample->error[0] && !sample->value)
		snprintf(sample->error, sizeof(sample->error), "no value");
}

static bool cell_applies(const struct peer *peer, const struct cell *cell, int cpus)
{
	char label[48];

	cell_label(cell, label, sizeof(label));
	if ((peer->flags & cell->needs) != cell->needs || peer->flags & cell->never)
		return false;
	if (!strcmp(cell->name, "pairs") && cpus < 2)
		return false;
	if (peer->flags & PEER_NETWORK && !network_cell(peer, cell->name, cell->parameter))
		return false;
	if (options.quick && cell->parameter == 100000)
		return false;
	return selected(peer->name, WORD_PEER) && selected(label, WORD_CELL);
}

static void record(struct results *results, const struct peer *peer, const struct cell *cell,
		   const struct sample *sample)
{
	struct result *result = results_find(results, peer->name, cell->name, cell->parameter);

	if (!result)
		result = results_add(results, peer->name, cell->name, cell->parameter);
	snprintf(result->unit, sizeof(result->unit), "%s", cell->unit);
	if (sample->error[0]) {
		snprintf(result->error, sizeof(result->error), "%s", sample->error);
		return;
	}
	if (result->count < REPEAT_MAX)
		result->values[result->count++] = sample->value;
	/* Of several rounds the best: percentiles only ever get worse by noise. */
	if (!result->p99 || sample->p99 < result->p99)
		result->p99 = sample->p99;
	result->operations = sample->operations;
	result->extra = sample->extra;
	snprintf(result->extra_name, sizeof(result->extra_name), "%s", sample->extra_name);
}

static void measure_all(struct results *results, const bool *present)
{
	int cpus = results->machine.cpus;
	unsigned int total = 0, done = 0;

	for (size_t c = 0; c < ARRAY_SIZE(cells); c++)
		for (size_t p = 0; p < peer_count; p++)
			if (present[p] && cell_applies(&peers[p], &cells[c], cpus))
				total += options.repeat;
	/* Peers change fastest, so that a slow drift meets all of them alike. */
	for (int round = 0; round < options.repeat; round++) {
		for (size_t c = 0; c < ARRAY_SIZE(cells); c++) {
			for (size_t p = 0; p < peer_count; p++) {
				struct sample sample = {};
				char label[48];

				if (!present[p] || !cell_applies(&peers[p], &cells[c], cpus))
					continue;
				/* What the cell before left to be freed goes first. */
				machine_wait_idle(100, 30);
				measure(&peers[p], &cells[c], &sample);
				record(results, &peers[p], &cells[c], &sample);
				cell_label(&cells[c], label, sizeof(label));
				fprintf(stderr, "[%3u/%u] %-20s %-16s ", ++done, total, label,
					peers[p].name);
				if (sample.error[0])
					fprintf(stderr, "n/a (%s)\n", sample.error);
				else
					fprintf(stderr, "%.1f %s\n", sample.value, cells[c].unit);
			}
		}
	}
}

static void probe_peers(struct results *results, bool *present)
{
	for (size_t i = 0; i < peer_count; i++) {
		size_t n = results->absent_count;
		int error;

		if (!selected(peers[i].name, WORD_PEER))
			continue;
		error = peer_probe(&peers[i]);
		present[i] = !error;
		if (!error)
			continue;
		snprintf(results->absent[n].peer, sizeof(results->absent[n].peer), "%s",
			 peers[i].name);
		snprintf(results->absent[n].why, sizeof(results->absent[n].why), "%s",
			 strerror(error));
		results->absent_count++;
		fprintf(stderr, "absent: %s (%s)\n", peers[i].name, strerror(error));
	}
}

static int run(struct results *results)
{
	bool present[32] = {};
	time_t now = time(NULL);
	int busy;

	machine_describe(&results->machine);
	strftime(results->date, sizeof(results->date), "%Y-%m-%d", gmtime(&now));
	fprintf(stderr, "Kernel %s, %d CPU(s), clock %s, %.3f ns an instruction: %s mode\n",
		results->machine.kernel, results->machine.cpus, results->machine.clocksource,
		results->machine.ns_per_instruction,
		results->machine.counted ? "counted" : "parallel");
	if (!options.repeat)
		options.repeat = results->machine.counted ? 1 : 5;
	if (options.quick)
		options.scale /= 10;
	peer_new_id();
	probe_peers(results, present);
	busy = machine_wait_idle(400, 150);
	if (busy) {
		error(0, 0, "the machine is not idle; --force measures all the same");
		if (!options.force)
			return -1;
	}
	measure_all(results, present);
	return 0;
}

static int save(const struct results *results, const char *path)
{
	FILE *file = strcmp(path, "-") ? fopen(path, "we") : stdout;
	int err;

	if (!file) {
		error(0, errno, "%s", path);
		return -1;
	}
	err = results_save(results, file);
	if (file != stdout ? fclose(file) : fflush(file))
		err = -1;
	if (err)
		error(0, 0, "%s: not written", path);
	return err;
}

static void join_arguments(char *to, size_t size, char **argv)
{
	size_t used = 0;

	for (int i = 0; argv[i] && used < size; i++)
		used += snprintf(to + used, size - used, "%s%s", i ? " " : "", argv[i]);
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "only", required_argument, NULL, 'o' },
		{ "quick", no_argument, NULL, 'q' },
		{ "repeat", required_argument, NULL, 'r' },
		{ "scale", required_argument, NULL, 's' },
		{ "json", required_argument, NULL, 'j' },
		{ "from", required_argument, NULL, 'f' },
		{ "compare", required_argument, NULL, 'c' },
		{ "plot-data", required_argument, NULL, 'p' },
		{ "no-table", no_argument, NULL, 't' },
		{ "targets", no_argument, NULL, 'T' },
		{ "command", required_argument, NULL, 'm' },
		{ "force", no_argument, NULL, 'F' },
		{ "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	const char *json = NULL, *from = NULL, *compare = NULL, *plot = NULL;
	static struct results results, before;
	bool table = true, targets = false;
	int missed = 0;
	int option;

	join_arguments(results.command, sizeof(results.command), argv);
	/* Said here, in one line. */
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":o:qr:s:j:f:c:p:tTm:lh", long_options,
				     NULL)) != -1) {
		switch (option) {
		case 'o':
			options.only = optarg;
			break;
		case 'q':
			options.quick = true;
			break;
		case 'r':
			options.repeat = atoi(optarg);
			if (options.repeat < 1 || options.repeat > REPEAT_MAX)
				error(2, 0, "--repeat is 1 to %d, not '%s'", REPEAT_MAX, optarg);
			break;
		case 's':
			options.scale = atof(optarg);
			if (!(options.scale > 0))
				error(2, 0, "--scale is above 0, not '%s'", optarg);
			break;
		case 'j':
			json = optarg;
			break;
		case 'f':
			from = optarg;
			break;
		case 'c':
			compare = optarg;
			break;
		case 'p':
			plot = optarg;
			break;
		case 't':
			table = false;
			break;
		case 'T':
			targets = true;
			break;
		case 'm':
			snprintf(results.command, sizeof(results.command), "%s", optarg);
			break;
		case 'F':
			options.force = true;
			break;
		case 'l':
			list();
			return 0;
		case 'h':
			usage();
			return 0;
		case ':':
			error(2, 0, "'%s' needs a value; see %s --help", argv[optind - 1],
			      program_invocation_name);
			break;
		default:
			error(2, 0, "there is no option '%s'; see %s --help", argv[optind - 1],
			      program_invocation_name);
		}
	}
	if (optind != argc)
		error(2, 0, "'%s' is left over; see %s --help", argv[optind],
		      program_invocation_name);
	if (check_words())
		return 2;
	/* A closed peer is an error of the cell, not the end of the program. */
	signal(SIGPIPE, SIG_IGN);
	if (from ? results_load(&results, from) : run(&results))
		return 1;
	if (json && save(&results, json))
		return 1;
	if (plot && report_plot(&results, plot))
		return 1;
	if (table)
		missed = report_table(&results, stdout);
	if (compare) {
		if (results_load(&before, compare))
			return 1;
		if (report_compare(&results, &before, stdout))
			return 1;
	}
	return targets && missed ? 1 : 0;
}
