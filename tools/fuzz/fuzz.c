// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes AF_FERRY by sequences of calls, guided by what they reach in the module.
 * Runs in the virtual machine, started by run.sh.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define BATCH		16
#define BATCHES_KEPT	4
#define SLOW_MS		4000	/* a sequence is killed then */
#define STUCK_MS	30000	/* and is to be gone by then */
#define EXIT_FOUND	3

struct shared *shared;

static const char *dir = ".";

void shared_lock(void)
{
	while (__atomic_exchange_n(&shared->lock, 1, __ATOMIC_ACQUIRE))
		sched_yield();
}

void shared_unlock(void)
{
	__atomic_store_n(&shared->lock, 0, __ATOMIC_RELEASE);
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static FILE *open_file(const char *mode, const char *fmt, ...)
{
	char path[512];
	va_list args;
	FILE *file;
	int n;

	n = snprintf(path, sizeof(path), "%s/", dir);
	va_start(args, fmt);
	vsnprintf(path + n, sizeof(path) - n, fmt, args);
	va_end(args);
	file = fopen(path, mode);
	if (!file)
		fprintf(stderr, "fuzz: %s: %s\n", path, strerror(errno));
	return file;
}

/* On the host's disk when this returns, whatever becomes of the machine. */
static void close_file(FILE *file)
{
	if (!file)
		return;
	fflush(file);
	fsync(fileno(file));
	fclose(file);
}

static void save_program(const struct program *p, const char *name)
{
	FILE *file = open_file("w", "%s", name);

	if (file)
		program_write(p, file);
	close_file(file);
}

static void show_stacks(int pid)
{
	char path[300], text[512];
	struct dirent *entry;
	FILE *file;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks))) {
		if (*entry->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/stack", pid, entry->d_name);
		file = fopen(path, "r");
		fprintf(stderr, "thread %.20s\n", entry->d_name);
		while (file && fgets(text, sizeof(text), file))
			fputs(text, stderr);
		if (file)
			fclose(file);
	}
	if (tasks)
		closedir(tasks);
}

static bool ends_within(int pidfd, int ms)
{
	struct pollfd end = { pidfd, POLLIN, 0 };
	long until = now_ms() + ms, left;

	while ((left = until - now_ms()) > 0)
		if (poll(&end, 1, left) > 0)
			return true;
	return false;
}

static bool has_call(const struct program *p, const char *name)
{
	int i;

	for (i = 0; i < p->n; i++)
		if (!strcmp(calls[p->lines[i].call].name, name))
			return true;
	return false;
}

/* Has the kernel something to report since the last time? */
static bool kernel_reports(void)
{
	static const char *const signs[] = { "WARNING:", "BUG:", "BUG ", "UBSAN:", "KASAN:",
		"ODEBUG:", "INFO: task", "INFO: trying", "INFO: lockdep", "INFO: rcu", "Oops",
		"ref_tracker:",
		"self-detected stall", "still has objects", "Objects remaining",
		"Attempt to release", "possible circular", "suspected memory leaks" };
	static int log = -1;
	char line[2048];
	bool found = false;
	ssize_t n;
	size_t i;

	if (log < 0) {
		log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (log >= 0)
			lseek(log, 0, SEEK_END);
	}
	while ((n = read(log, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		line[n < 0 ? 0 : n] = 0;
		for (i = 0; i < sizeof(signs) / sizeof(*signs); i++)
			found |= !!strstr(line, signs[i]);
	}
	return found;
}

/* What a sequence can leave behind in the namespaces. */
static void reset_ports(void)
{
	int i;

	for (i = 0; i < STEP_HOSTS; i++)
		steps_port(i, i < 2 ? STEP_PORT : 0);
}

/* Runs a program in a process of its own; true if it reached something new. */
static bool run_program(const struct program *p, int worker)
{
	static struct step steps[PROGRAM_MAX];
	int n = program_steps(p, steps), pid, pidfd;

	kcov_reset();
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (!pid) {
		setpgid(0, 0);
		steps_run(steps, n, p->setup, p->places);
		_exit(0);
	}
	setpgid(pid, pid);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (!ends_within(pidfd, SLOW_MS)) {
		shared->late[worker]++;
		kill(-pid, SIGKILL);
		if (!ends_within(pidfd, STUCK_MS)) {
			fprintf(stderr, "fuzz: found: a process does not end\n");
			show_stacks(pid);
			save_program(p, "found-hang");
			exit(EXIT_FOUND);
		}
	}
	/* Children of it too. */
	kill(-pid, SIGKILL);
	close(pidfd);
	waitpid(pid, NULL, 0);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (kernel_reports()) {
		char name[32];

		fprintf(stderr, "fuzz: found: the kernel has a report\n");
		program_write(p, stderr);
		snprintf(name, sizeof(name), "found-report-%d", worker);
		save_program(p, name);
		exit(EXIT_FOUND);
	}
	if (has_call(p, "port"))
		reset_ports();
	__atomic_add_fetch(&shared->ran[worker], 1, __ATOMIC_RELAXED);
	return kcov_collect();
}

/* Sockets of the family in a namespace; -1 where there is no telling. */
static int count_sockets(int where)
{
	int size, n = -1;
	char line[256];
	FILE *file;

	if (setns(host[where], CLONE_NEWNET))
		return -1;
	file = fopen("/proc/thread-self/net/protocols", "r");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "FERRY ", 6) && sscanf(line + 6, "%d %d", &size, &n) != 2)
			n = -1;
	if (file)
		fclose(file);
	return n;
}

static int module_references(void)
{
	FILE *file = fopen("/sys/module/ferry/refcnt", "r");
	int n = -1;

	if (file && fscanf(file, "%d", &n) != 1)
		n = -1;
	if (file)
		fclose(file);
	return n;
}

static int left_over(bool alone)
{
	int i, n, sum = 0;

	for (i = 0; i < STEP_HOSTS; i++) {
		n = count_sockets(i);
		sum += n > 0 ? n : 0;
	}
	n = alone ? module_references() : 0;
	return sum + (n > 0 ? n : 0);
}

/* Is everything that sequences made gone, if not now then soon? */
static bool nothing_left(bool alone)
{
	long until = now_ms() + 20000;

	while (left_over(alone)) {
		if (now_ms() > until)
			return false;
		usleep(20000);
	}
	return true;
}

/* Something is left of a batch: which program leaves more? */
static void find_leak(const struct program *batch, int n, int worker, bool alone)
{
	int i, had, left = left_over(alone);

	fprintf(stderr, "fuzz: found: %d sockets or references are left\n", left);
	for (i = 0; i < n; i++) {
		had = left;
		run_program(&batch[i], worker);
		sleep(3);
		left = left_over(alone);
		if (left <= had)
			continue;
		fprintf(stderr, "fuzz: by this\n");
		program_write(&batch[i], stderr);
		save_program(&batch[i], "found-leak");
		exit(EXIT_FOUND);
	}
	save_program(&batch[n - 1], "found-leak-in-batch");
	exit(EXIT_FOUND);
}

static void keep_program(const struct program *p)
{
	shared_lock();
	if (shared->count < CORPUS_MAX)
		shared->corpus[shared->count++] = *p;
	else
		shared->corpus[random_below(CORPUS_MAX)] = *p;
	shared_unlock();
}

static void copy_program(struct program *to)
{
	shared_lock();
	/* The newest are tried more. */
	if (random_below(3))
		*to = shared->corpus[random_below(shared->count)];
	else
		*to = shared->corpus[shared->count - 1 -
				     random_below(shared->count < 32 ? shared->count : 32)];
	shared_unlock();
}

static void next_program(struct program *p)
{
	static struct program other;

	if (!shared->count || !random_below(8)) {
		program_make(p);
		return;
	}
	copy_program(p);
	copy_program(&other);
	program_change(p, &other);
}

/* Keeps what reached something new, and all of them if told to. */
static void run_batch(const struct program *batch, int n, int worker, bool alone, int number,
		      bool keep)
{
	FILE *file = open_file("w", "last-%d-%d", worker, number % BATCHES_KEPT);
	int i;

	for (i = 0; file && i < n; i++)
		program_write(&batch[i], file);
	close_file(file);
	for (i = 0; i < n && !shared->stop; i++)
		if (run_program(&batch[i], worker) || keep)
			keep_program(&batch[i]);
	if (!nothing_left(alone))
		find_leak(batch, n, worker, alone);
}

static void read_seeds(char **files, int n, int workers, int worker)
{
	static struct program batch[BATCH];
	int i, count = 0, at = 0, number = 0;
	FILE *file;

	for (i = 0; i < n; i++) {
		file = fopen(files[i], "r");
		if (!file) {
			perror(files[i]);
			continue;
		}
		while (program_read(&batch[count], file, files[i])) {
			if (at++ % workers != worker)
				continue;
			if (++count < BATCH)
				continue;
			run_batch(batch, count, worker, workers == 1, number++,
				  true);
			count = 0;
		}
		fclose(file);
	}
	if (count)
		run_batch(batch, count, worker, workers == 1, number, true);
}

static int work(int worker, int workers, uint64_t seed, char **files, int n)
{
	static struct program batch[BATCH];
	int i, number = 0;

	random_seed(seed * 0x9e3779b97f4a7c15 + worker);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!steps_setup())
		return 1;
	if (!kcov_open() && !worker)
		fprintf(stderr, "fuzz: this kernel has no KCOV: nothing guides\n");
	step_begin = kcov_begin;
	kernel_reports();
	read_seeds(files, n, workers, worker);
	while (!shared->stop) {
		for (i = 0; i < BATCH; i++)
			next_program(&batch[i]);
		run_batch(batch, BATCH, worker, workers == 1, number++, false);
	}
	return 0;
}

/* Also what they reached. */
static void save_corpus(void)
{
	FILE *file = open_file("w", "corpus.new");
	char from[512], to[512];
	int i;

	for (i = 0; file && i < shared->count; i++)
		program_write(&shared->corpus[i], file);
	close_file(file);
	snprintf(from, sizeof(from), "%s/corpus.new", dir);
	snprintf(to, sizeof(to), "%s/corpus", dir);
	rename(from, to);
	file = open_file("w", "blocks");
	if (file)
		kcov_write(file);
	close_file(file);
}

static void tell(long ms)
{
	unsigned long ran = 0, late = 0;
	int i;

	for (i = 0; i < WORKERS_MAX; i++) {
		ran += shared->ran[i];
		late += shared->late[i];
	}
	printf("fuzz: %ld s: %lu sequences, %.1f a second, %lu late", ms / 1000, ran,
	       ran * 1000.0 / (ms ? ms : 1), late);
	printf("; %d kept, %d blocks, %d edges\n", shared->count, shared->block_count,
	       shared->edge_count);
	fflush(stdout);
}

static int fuzz(int workers, uint64_t seed, long seconds, char **files, int n)
{
	long begin = now_ms(), next = begin + 30000;
	int i, status, found = 0, alive = workers;

	printf("fuzz: seed %lu, %d workers, %ld s\n", (unsigned long)seed, workers, seconds);
	fflush(stdout);
	for (i = 0; i < workers; i++)
		if (!fork())
			exit(work(i, workers, seed, files, n));
	while (alive) {
		if (waitpid(-1, &status, WNOHANG) > 0) {
			alive--;
			if (!WIFEXITED(status) || WEXITSTATUS(status)) {
				found = WIFEXITED(status) ? WEXITSTATUS(status) : 4;
				shared->stop = true;
			}
			continue;
		}
		if (now_ms() - begin > seconds * 1000)
			shared->stop = true;
		if (now_ms() > next) {
			next += 30000;
			tell(now_ms() - begin);
			save_corpus();
		}
		usleep(100000);
	}
	tell(now_ms() - begin);
	save_corpus();
	for (i = 0; i < 200 && module_references() > 0; i++)
		usleep(100000);
	if (module_references() > 0) {
		fprintf(stderr, "fuzz: found: %d references on the module are left\n",
			module_references());
		found = EXIT_FOUND;
	}
	if (!found)
		printf("fuzz: ended with nothing found so far\n");
	return found;
}

static FILE *open_programs(const char *name)
{
	FILE *file = fopen(name, "r");

	if (!file) {
		perror(name);
		exit(2);
	}
	return file;
}

/* Each program of a file so many times; the one that runs is in "current". */
static int replay(const char *name, int times)
{
	FILE *file = open_programs(name);
	static struct program p;
	int i, count = 0;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!steps_setup())
		return 1;
	kernel_reports();
	while (program_read(&p, file, name)) {
		count++;
		save_program(&p, "current");
		for (i = 0; i < times; i++)
			run_program(&p, 0);
		if (!nothing_left(true))
			find_leak(&p, 1, 0, true);
	}
	fclose(file);
	printf("fuzz: %d programs, %d times each: nothing found\n", count, times);
	return 0;
}

/*
 * Tries what is left of a program without a part of it. Each attempt is in "current"
 * first, so whoever finds the machine dead goes on from there.
 */
static int shorten(const char *name, int times)
{
	FILE *file = open_programs(name);
	static struct program p, q;
	int size, at, i;

	if (!program_read(&p, file, name))
		return 2;
	fclose(file);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!steps_setup())
		return 1;
	kernel_reports();
	for (size = (p.n + 1) / 2; size; size /= 2) {
		for (at = 0; at < p.n; at += size) {
			q = p;
			program_cut(&q, at, size);
			if (!q.n)
				continue;
			save_program(&q, "current");
			for (i = 0; i < times; i++)
				run_program(&q, 0);
			if (!nothing_left(true))
				find_leak(&q, 1, 0, true);
		}
	}
	for (at = 0; at < p.n; at++) {
		if (!p.lines[at].fail)
			continue;
		q = p;
		q.lines[at].fail = 0;
		save_program(&q, "current");
		for (i = 0; i < times; i++)
			run_program(&q, 0);
	}
	printf("fuzz: nothing shorter does it\n");
	return 0;
}

static void usage(void)
{
	fprintf(stderr,
		"usage: fuzz [-s SEED] [-t SECONDS] [-j WORKERS] [-d DIR] [FILE...]\n"
		"                         fuzz, from the programs of the files; save in DIR\n"
		"       fuzz -r FILE [-n TIMES] [-d DIR]   run the programs of a file\n"
		"       fuzz -m FILE [-n TIMES] [-d DIR]   try what is shorter than its first\n"
		"       fuzz -e FILE                       its first as a C file\n");
	exit(2);
}

int main(int argc, char **argv)
{
	const char *again = NULL, *shorter = NULL, *emit = NULL;
	static struct program p;
	int c, workers = 2, times = 1;
	uint64_t seed = time(NULL);
	long seconds = 60;

	while ((c = getopt(argc, argv, "s:t:j:d:r:m:e:n:")) != -1) {
		switch (c) {
		case 's':
			seed = strtoul(optarg, NULL, 0);
			break;
		case 't':
			seconds = atol(optarg);
			break;
		case 'j':
			workers = atoi(optarg);
			break;
		case 'd':
			dir = optarg;
			break;
		case 'r':
			again = optarg;
			break;
		case 'm':
			shorter = optarg;
			break;
		case 'e':
			emit = optarg;
			break;
		case 'n':
			times = atoi(optarg);
			break;
		default:
			usage();
		}
	}
	if (workers < 1 || workers > WORKERS_MAX || times < 1)
		usage();
	if (emit) {
		if (!program_read(&p, open_programs(emit), emit))
			return 2;
		emit_program(&p, stdout);
		return 0;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	if (again)
		return replay(again, times);
	if (shorter)
		return shorten(shorter, times);
	return fuzz(workers, seed, seconds, argv + optind, argc - optind);
}
