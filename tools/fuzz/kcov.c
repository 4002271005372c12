// SPDX-License-Identifier: GPL-2.0
/*
 * Coverage by KCOV: a buffer for each thread of a sequence. Without KCOV there is none,
 * and nothing is new.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kcov.h>

#include "fuzz.h"

#define ENTRIES	(32 << 10)

static int fds[STEP_THREADS] = { -1, -1, -1 };
static uint64_t *buffers[STEP_THREADS];

static uint64_t module_text(void)
{
	FILE *file = fopen("/sys/module/ferry/sections/.text", "r");
	unsigned long at = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%lx", &at) != 1)
		at = 0;
	fclose(file);
	return at;
}

bool kcov_open(void)
{
	int i, fd;

	for (i = 0; i < STEP_THREADS; i++) {
		fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return false;
		fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, 310);
		close(fd);
		if (ioctl(fds[i], KCOV_INIT_TRACE, (unsigned long)ENTRIES))
			return false;
		buffers[i] = mmap(NULL, ENTRIES * sizeof(uint64_t), PROT_READ | PROT_WRITE,
				  MAP_SHARED, fds[i], 0);
		if (buffers[i] == MAP_FAILED)
			return false;
		/* A sequence needs the descriptor only; to copy the mapping takes long. */
		madvise(buffers[i], ENTRIES * sizeof(uint64_t), MADV_DONTFORK);
	}
	return true;
}

void kcov_begin(int thread)
{
	if (fds[thread] >= 0)
		ioctl(fds[thread], KCOV_ENABLE, KCOV_TRACE_PC);
}

void kcov_reset(void)
{
	int i;

	for (i = 0; i < STEP_THREADS; i++)
		if (buffers[i])
			__atomic_store_n(buffers[i], 0, __ATOMIC_RELAXED);
}

static void add_block(uint64_t at)
{
	uint32_t i = at * 0x9e3779b1 >> 8 & (BLOCKS - 1);

	while (shared->blocks[i] && shared->blocks[i] != at)
		i = (i + 1) & (BLOCKS - 1);
	if (!shared->blocks[i] && shared->block_count < BLOCKS / 2) {
		shared->blocks[i] = at;
		shared->block_count++;
	}
}

bool kcov_collect(void)
{
	uint64_t n, j, last, at;
	bool new = false;
	uint32_t edge;
	int i;

	for (i = 0; i < STEP_THREADS; i++) {
		if (!buffers[i])
			continue;
		n = __atomic_load_n(buffers[i], __ATOMIC_RELAXED);
		if (n >= ENTRIES)
			n = ENTRIES - 1;
		last = 0;
		for (j = 1; j <= n; j++) {
			at = buffers[i][j];
			edge = (at * 0x9e3779b1 ^ last * 0x85ebca6b) >> 7 & (EDGES - 1);
			last = at;
			if (shared->edges[edge])
				continue;
			shared_lock();
			if (!shared->edges[edge]) {
				shared->edges[edge] = 1;
				shared->edge_count++;
				new = true;
			}
			add_block(at);
			shared_unlock();
		}
	}
	return new;
}

void kcov_write(FILE *to)
{
	uint64_t text = module_text();
	int i;

	for (i = 0; i < BLOCKS; i++)
		if (shared->blocks[i])
			fprintf(to, "%lx\n", (unsigned long)(shared->blocks[i] - text));
}
