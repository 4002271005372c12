// SPDX-License-Identifier: GPL-2.0
/*
 * Runs a sequence of calls: namespaces, threads, and the signals that wake who sleeps.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "../../selftests/rtnl.h"
#include "steps.h"

#define TICK_US		4000
#define PATIENCE	6	/* ticks that a call may sleep for, */
#define SETUP_PATIENCE	25	/* and before the threads start */
#define LIFE		400	/* ticks that a sequence may take */
#define HIGH_FD		300	/* descriptors that are not the sequence's */

struct runner {
	pthread_t thread;
	const struct step *steps;
	int n, setup, id;
	unsigned int places;
	bool ended;
	unsigned long done;
};

int slot[STEP_SLOTS];
int host[STEP_HOSTS];
char *area;
void (*step_begin)(int thread);

static struct runner runners[STEP_THREADS];
static bool started;

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) >= 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

bool steps_port(int where, int port)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", port);
	return !setns(host[where], CLONE_NEWNET) &&
	       write_file("/proc/sys/net/ferry/port", text);
}

/* An IPv4 and an IPv6 address in each of two hosts that share a link. */
static bool make_link(int a, int b, const char *dev, int net)
{
	unsigned char v4[4] = { 10, net, 0, 0 }, v6[16] = { 0xfd, net };
	int end, fd;
	bool ok;

	if (setns(host[a], CLONE_NEWNET))
		return false;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ok = rtnl_veth(fd, dev, host[b]);
	close(fd);
	for (end = 0; ok && end < 2; end++) {
		ok = !setns(host[end ? b : a], CLONE_NEWNET);
		fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
		v4[3] = end + 1;
		v6[15] = end + 1;
		ok = ok && rtnl_up(fd, dev) && rtnl_addr(fd, dev, AF_INET, v4) &&
		     rtnl_addr(fd, dev, AF_INET6, v6);
		close(fd);
	}
	return ok;
}

bool steps_setup(void)
{
	int i, fd;

	for (i = 0; i < STEP_HOSTS; i++) {
		fd = unshare(CLONE_NEWNET) ? -1 : open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		host[i] = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
		close(fd);
		fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
		if (host[i] < 0 || !rtnl_up(fd, "lo")) {
			perror("network namespace");
			return false;
		}
		close(fd);
	}
	if (!make_link(0, 1, "eth0", 18) || !make_link(0, 2, "eth1", 19)) {
		perror("link between the namespaces");
		return false;
	}
	if (!steps_port(0, STEP_PORT) || !steps_port(1, STEP_PORT)) {
		perror("/proc/sys/net/ferry/port");
		return false;
	}
	/* Where the kernel can, an allocation that may sleep fails too. */
	write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/failslab/verbose", "0");
	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	write_file("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	write_file("/sys/kernel/debug/fail_usercopy/verbose", "0");
	return true;
}

static void nothing(int sig)
{
	(void)sig;
}

void steps_wake(int thread)
{
	if (runners[thread].thread && !__atomic_load_n(&runners[thread].ended, __ATOMIC_ACQUIRE))
		pthread_kill(runners[thread].thread, SIGUSR1);
}

static void go_to(struct runner *r, int thread, int *at)
{
	int where = (r->places >> 2 * thread) & 3;

	if (where < STEP_HOSTS && where != *at && !setns(host[where], CLONE_NEWNET))
		*at = where;
}

static void run_steps(struct runner *r, int from, int to, bool all, int fail, int *at)
{
	const struct step *step;
	char number[16];
	int i;

	for (i = from; i < to; i++) {
		step = &r->steps[i];
		if (!all && step->thread != r->id)
			continue;
		if (all)
			go_to(r, step->thread, at);
		if (step->fail && fail >= 0) {
			snprintf(number, sizeof(number), "%d", step->fail);
			if (write(fail, number, strlen(number)) < 0)
				fail = -1;
		}
		step->call(step->a);
		if (step->fail && fail >= 0 && write(fail, "0", 1) < 0)
			fail = -1;
		__atomic_add_fetch(&r->done, 1, __ATOMIC_RELAXED);
	}
}

/* What makes allocations of this thread fail, if it has calls that want it; else -1. */
static int open_fail(const struct runner *r)
{
	int fd, high, i;

	for (i = 0; i < r->n && !r->steps[i].fail; i++)
		;
	if (i == r->n)
		return -1;
	fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
	close(fd);
	return high;
}

static void *runner_main(void *arg)
{
	struct runner *r = arg;
	int at = -1, high = open_fail(r);

	if (step_begin)
		step_begin(r->id);
	go_to(r, r->id, &at);
	if (!r->id) {
		run_steps(r, 0, r->setup, true, high, &at);
		__atomic_store_n(&started, true, __ATOMIC_RELEASE);
		go_to(r, 0, &at);
	}
	while (!__atomic_load_n(&started, __ATOMIC_ACQUIRE))
		usleep(300);
	run_steps(r, r->setup, r->n, false, high, &at);
	__atomic_store_n(&r->ended, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool make_runner(int id, const struct step *steps, int n, int setup, unsigned int places)
{
	struct runner *r = &runners[id];
	int i;

	/* Without calls of its own there is no need for it. */
	for (i = setup; i < n && steps[i].thread != id; i++)
		;
	if (id && i == n)
		return false;
	r->steps = steps;
	r->n = n;
	r->setup = setup;
	r->places = places;
	r->id = id;
	return !pthread_create(&r->thread, NULL, runner_main, r);
}

static void prepare(void)
{
	const int signals[] = { SIGUSR1, SIGPIPE, SIGIO, SIGURG, SIGALRM, SIGRTMIN + 2 };
	struct sigaction quiet = { .sa_handler = nothing };
	struct rlimit files = { 400, 400 };
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &quiet, NULL);
	/* Names that other hosts may connect to. */
	umask(0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_NOFILE, &files);
	for (i = 0; i < STEP_SLOTS; i++)
		slot[i] = -1;
	area = mmap(NULL, STEP_AREA + 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		_exit(2);
	mprotect(area + STEP_AREA, 4096, PROT_NONE);
}

void steps_run(const struct step *steps, int n, int setup, unsigned int places)
{
	unsigned long seen[STEP_THREADS] = { 0 };
	int slept[STEP_THREADS] = { 0 }, id, tick, alive;
	bool there[STEP_THREADS];

	prepare();
	for (id = STEP_THREADS - 1; id >= 0; id--)
		there[id] = make_runner(id, steps, n, setup, places);
	for (tick = 0; tick < LIFE; tick++) {
		bool begun = __atomic_load_n(&started, __ATOMIC_ACQUIRE);

		alive = 0;
		for (id = 0; id < STEP_THREADS; id++) {
			struct runner *r = &runners[id];
			unsigned long done = __atomic_load_n(&r->done, __ATOMIC_RELAXED);

			if (!there[id] || __atomic_load_n(&r->ended, __ATOMIC_ACQUIRE))
				continue;
			alive++;
			slept[id] = done == seen[id] ? slept[id] + 1 : 0;
			seen[id] = done;
			if (slept[id] < (begun ? PATIENCE : SETUP_PATIENCE) || (id && !begun))
				continue;
			pthread_kill(r->thread, SIGUSR1);
		}
		if (!alive)
			break;
		usleep(tick ? TICK_US : TICK_US / 4);
	}
}
