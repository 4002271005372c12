// SPDX-License-Identifier: GPL-2.0
/* Processes that take part in a measurement, and what they share. */
#include "bench.h"

#include <errno.h>
#include <error.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

/*
 * Instructions that do nothing, with a number in them that profile.c finds:
 * it counts between the two. Any processor passes over them.
 */
#ifdef __x86_64__
#define MARK(number)	({ asm volatile("nopl %c0(%%rax,%%rax)" : : "i" (number) : "memory"); })
#else
#define MARK(number)	({ asm volatile("" : : "i" (number) : "memory"); })
#endif

uint64_t measure_start(void)
{
	MARK(0x46455201);
	return now_ns();
}

uint64_t measure_stop(void)
{
	uint64_t now = now_ns();

	MARK(0x46455202);
	return now;
}

void fail(struct sample *sample, int error, const char *what)
{
	const char *name = strerrorname_np(error);

	snprintf(sample->error, sizeof(sample->error), "%s: %s", what, name ? name : "error");
}

/* Zeroed, touched, shared with the children to come. */
void *shared_alloc(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED) {
		error(0, errno, "mmap");
		exit(1);
	}
	return memory;
}

void pin_to_cpu(int cpu)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % cpus, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/*
 * Runs @role in @count processes and waits for all. When one fails the others
 * are killed, they may wait for it for ever. Returns 0 or the first errno.
 */
int group_run(int count, int (*role)(int index, void *context), void *context)
{
	pid_t children[GROUP_MAX];
	pid_t parent = getpid();
	int first_error = 0;

	for (int i = 0; i < count; i++) {
		children[i] = fork();
		if (children[i] < 0) {
			first_error = errno;
			count = i;
			break;
		}
		if (!children[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				_exit(1);
			_exit(role(i, context));
		}
	}
	for (int left = first_error ? 0 : count; left > 0; left--) {
		int status;

		if (wait(&status) < 0)
			return errno;
		if (WIFEXITED(status) && !WEXITSTATUS(status))
			continue;
		first_error = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
		break;
	}
	if (first_error) {
		for (int i = 0; i < count; i++)
			kill(children[i], SIGKILL);
		while (wait(NULL) > 0)
			;
	}
	return first_error;
}
