// SPDX-License-Identifier: GPL-2.0
/*
 * Cells on memory: what many objects take away from the machine, divided by
 * their number. Free pages are counted and not the slab, since buffers may be
 * pages; what the CPUs hoard counts as free, page cache is left out. What
 * earlier cells freed may still be on its way, so a figure counts when it has
 * stood still. As many objects are made before the count as in it: they fill
 * the holes in slabs.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SETTLE_MS	100
#define SETTLE_KIB	16
#define SETTLE_STILL	3	/* in a row */
#define SETTLE_TRIES	100

static long meminfo_kib(const char *key)
{
	FILE *file = fopen("/proc/meminfo", "re");
	size_t len = strlen(key);
	long value = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, len) && line[len] == ':')
			value = atol(line + len + 1);
	if (file)
		fclose(file);
	return value;
}

/* Those of the zones and those on the CPUs' lists. */
static long free_pages(void)
{
	FILE *file = fopen("/proc/zoneinfo", "re");
	long value, pages = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, " pages free %ld", &value) == 1 ||
		    sscanf(line, " count: %ld", &value) == 1)
			pages += value;
	if (file)
		fclose(file);
	return pages;
}

static long used_kib(void)
{
	/* Reading it folds the CPUs' own differences into the counters. */
	FILE *refresh = fopen("/proc/sys/vm/stat_refresh", "re");

	if (refresh) {
		while (fgetc(refresh) != EOF)
			;
		fclose(refresh);
	}
	return meminfo_kib("MemTotal") - free_pages() * (sysconf(_SC_PAGESIZE) / 1024) -
	       meminfo_kib("Buffers") - meminfo_kib("Cached");
}

static double used_bytes(void)
{
	const struct timespec pause = { .tv_nsec = SETTLE_MS * 1000000L };
	long used = used_kib();
	int still = 0;

	for (int i = 0; i < SETTLE_TRIES && still < SETTLE_STILL; i++) {
		long before = used;

		nanosleep(&pause, NULL);
		used = used_kib();
		still = labs(used - before) <= SETTLE_KIB ? still + 1 : 0;
	}
	return used * 1024.0;
}

/* The descriptor table takes its final size now, not while memory is counted. */
static int *descriptors_new(unsigned int count)
{
	struct rlimit limit = { .rlim_cur = count + 64, .rlim_max = count + 64 };
	int *fds = shared_alloc(count * sizeof(*fds));
	int fd;

	if (setrlimit(RLIMIT_NOFILE, &limit))
		return NULL;
	fd = fcntl(0, F_DUPFD, count + 60);
	if (fd >= 0)
		close(fd);
	return fds;
}

void run_memory_idle(const struct peer *peer, const struct cell *cell, struct sample *sample)
{
	unsigned int count = cell_count(cell);
	int *fds = descriptors_new(2 * count);
	double before = 0;

	if (!fds) {
		fail(sample, errno, "RLIMIT_NOFILE");
		return;
	}
	for (unsigned int i = 0; i < 2 * count; i++) {
		if (i == count)
			before = used_bytes();
		fds[i] = peer_socket(peer);
		if (fds[i] < 0) {
			fail(sample, errno, "socket");
			return;
		}
	}
	sample->value = (used_bytes() - before) / count;
}

void run_memory_pair(const struct peer *peer, const struct cell *cell, struct sample *sample)
{
	unsigned int count = cell_count(cell) / 2;
	int *fds = descriptors_new(4 * count);
	double before = 0;

	if (!fds) {
		fail(sample, errno, "RLIMIT_NOFILE");
		return;
	}
	for (unsigned int i = 0; i < 2 * count; i++) {
		struct link link;

		if (i == count)
			before = used_bytes();
		if (peer_pair(peer, &link, false)) {
			fail(sample, errno, "pair");
			return;
		}
	}
	sample->value = (used_bytes() - before) / count;
}

/* Single bytes, as many as a pair takes; the cell's count is of pairs. */
void run_memory_unread(const struct peer *peer, const struct cell *cell, struct sample *sample)
{
	unsigned int count = cell_count(cell);
	int *fds = descriptors_new(4 * count);
	double before = 0;
	uint64_t writes = 0;

	if (!fds) {
		fail(sample, errno, "RLIMIT_NOFILE");
		return;
	}
	for (unsigned int i = 0; i < 2 * count; i++) {
		struct link link;

		if (peer_pair(peer, &link, false)) {
			fail(sample, errno, "pair");
			return;
		}
		peer_no_delay(peer, &link);
		fcntl(link.out[0], F_SETFL, O_NONBLOCK);
		fds[i] = link.out[0];
	}
	for (unsigned int i = 0; i < 2 * count; i++) {
		if (i == count) {
			before = used_bytes();
			writes = 0;
		}
		/* UDP and its like would go on for ever, dropping. */
		for (unsigned int n = 0; n < 65536; n++) {
			if (peer->flags & PEER_LOSSY && n == 128)
				break;
			if (write(fds[i], "f", 1) < 0) {
				if (errno == EAGAIN)
					break;
				fail(sample, errno, "write");
				return;
			}
			writes++;
		}
	}
	sample->value = (used_bytes() - before) / writes;
	sample->extra = (double)writes / count;
	snprintf(sample->extra_name, sizeof(sample->extra_name), "writes per pair");
}
