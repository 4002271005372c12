// SPDX-License-Identifier: GPL-2.0
/*
 * How far a transfer is, on a terminal, and what is said when a signal ends it.
 *
 * One thread does both: signals are blocked in all threads and it waits for
 * them, so that nothing has to be done in a handler.
 */
#include "ferry.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const int ends[] = { SIGINT, SIGTERM, SIGHUP };

/* What is worth a line: shorter transfers are over before it is read. */
#define QUIET_SECONDS	1.0

static atomic_uint_least64_t sent, received;
static pthread_once_t start = PTHREAD_ONCE_INIT;
static struct timespec started;	/* with the first byte */
static sigset_t watched, old_mask;
static bool to_output, showing;

/* Who holds it may write to standard error. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool shown;	/* a line stands there */
static bool over;

static double elapsed(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec - started.tv_sec + (ts.tv_nsec - started.tv_nsec) / 1e9;
}

static void print_bytes(char *to, size_t size, double n)
{
	static const char units[][4] = { "B", "KiB", "MiB", "GiB", "TiB" };
	size_t i = 0;

	while (n >= 1024 && i < ARRAY_SIZE(units) - 1) {
		n /= 1024;
		i++;
	}
	snprintf(to, size, i ? "%.1f %s" : "%.0f %s", n, units[i]);
}

static void put(const char *text)
{
	/* A terminal that is gone is not worth more words. */
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

static void draw(void)
{
	char line[128], bytes[32], rate[32];
	uint64_t n = sent + received;
	double seconds = n ? elapsed() : 0;

	if (seconds < QUIET_SECONDS)
		return;
	print_bytes(bytes, sizeof(bytes), n);
	print_bytes(rate, sizeof(rate), n / seconds);
	snprintf(line, sizeof(line), "\r%s, %s/s\033[K", bytes, rate);
	pthread_mutex_lock(&lock);
	if (!over) {
		put(line);
		shown = true;
	}
	pthread_mutex_unlock(&lock);
}

/**
 * output_file() - what standard output goes to
 *
 * Return: the path when it is a file, else NULL.
 */
const char *output_file(void)
{
	static char path[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fstat(STDOUT_FILENO, &st) || !S_ISREG(st.st_mode))
		return NULL;
	n = readlink("/proc/self/fd/1", path, sizeof(path) - 1);
	if (n <= 0)
		return NULL;
	path[n] = '\0';
	return path;
}

static void interrupted(int sig)
{
	const char *path = to_output ? output_file() : NULL;
	char kept[PATH_MAX + 64] = "";
	struct stat st;
	sigset_t set;

	/* The file knows better than a counter that follows it. */
	if (path && !fstat(STDOUT_FILENO, &st))
		snprintf(kept, sizeof(kept), "; %s has %lld bytes and may be incomplete", path,
			 (long long)st.st_size);
	note("ended by SIG%s after %llu bytes sent and %llu received%s", sigabbrev_np(sig),
	     (unsigned long long)sent, (unsigned long long)received, kept);
	/* The caller sees a command that was ended by a signal. */
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(sig);
}

static void *watch(void *unused)
{
	static const struct timespec tick = { .tv_nsec = 500000000 };
	int sig;

	(void)unused;
	for (;;) {
		sig = sigtimedwait(&watched, NULL, showing ? &tick : NULL);
		if (sig > 0)
			interrupted(sig);
		else if (errno == EAGAIN)
			draw();
	}
	return NULL;
}

/**
 * progress_start() - from now on progress is shown and signals are explained
 * @input: bytes come from standard input
 * @output: they go to standard output
 *
 * Nothing is shown when a person types or reads what is transferred.
 */
void progress_start(bool input, bool output)
{
	struct sigaction action;
	pthread_t thread;
	size_t i;
	int err;

	to_output = output;
	showing = isatty(STDERR_FILENO) && !(input && isatty(STDIN_FILENO)) &&
		  !(output && isatty(STDOUT_FILENO));
	sigemptyset(&watched);
	/* Those that nohup(1) and its like took away stay ignored. */
	for (i = 0; i < ARRAY_SIZE(ends); i++)
		if (!sigaction(ends[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(&watched, ends[i]);
	pthread_sigmask(SIG_BLOCK, &watched, &old_mask);
	err = pthread_create(&thread, NULL, watch, NULL);
	if (err)
		fail_errno(err, "cannot start a thread");
	pthread_detach(thread);
}

/* progress_old_mask() - the signals that were blocked before, for children */
const sigset_t *progress_old_mask(void)
{
	return &old_mask;
}

static void start_clock(void)
{
	clock_gettime(CLOCK_MONOTONIC, &started);
}

void progress_sent(size_t n)
{
	pthread_once(&start, start_clock);
	sent += n;
}

void progress_received(size_t n)
{
	pthread_once(&start, start_clock);
	received += n;
}

/* progress_pause() - standard error is the caller's, at the start of a line */
void progress_pause(void)
{
	pthread_mutex_lock(&lock);
	if (shown)
		put("\r\033[K");
	shown = false;
}

void progress_resume(void)
{
	pthread_mutex_unlock(&lock);
}

/* progress_end() - the transfer is over; its last numbers stay on the screen */
void progress_end(void)
{
	if (showing)
		draw();
	pthread_mutex_lock(&lock);
	if (shown)
		put("\n");
	shown = false;
	over = true;
	pthread_mutex_unlock(&lock);
}
