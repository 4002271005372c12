// SPDX-License-Identifier: GPL-2.0
/* Cells on names: what bind and connect cost when many names are taken. */
#include "bench.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

/* Spreads the names that are connected to; prime to every number of names. */
#define STRIDE	7919

/* Always the same names: some families' tables spread some names better. */
#define FIRST	1000000

/* Binds and, where that is possible, listens on @count names from id FIRST. */
static int hold_names(const struct peer *peer, unsigned int count, struct sample *sample)
{
	struct rlimit limit = { .rlim_cur = count + 4096, .rlim_max = count + 4096 };

	if (setrlimit(RLIMIT_NOFILE, &limit)) {
		fail(sample, errno, "RLIMIT_NOFILE");
		return -1;
	}
	for (unsigned int i = 0; i < count; i++) {
		int fd = peer_socket(peer);

		if (fd < 0) {
			fail(sample, errno, "socket");
			return -1;
		}
		if (peer_bind(peer, fd, FIRST + i)) {
			fail(sample, errno, "bind");
			return -1;
		}
		if (peer->flags & PEER_LISTENS && listen(fd, 4096)) {
			fail(sample, errno, "listen");
			return -1;
		}
	}
	return 0;
}

static int sockets_new(const struct peer *peer, int *fds, unsigned int count,
		       struct sample *sample)
{
	for (unsigned int i = 0; i < count; i++) {
		fds[i] = peer_socket(peer);
		if (fds[i] < 0) {
			fail(sample, errno, "socket");
			return -1;
		}
	}
	return 0;
}

/*
 * Calls @call for many sockets while the cell's number of names are held.
 * Twice: the first time fills the caches of the allocators, which few names
 * would leave colder than many.
 */
static void time_calls(const struct peer *peer, const struct cell *cell, struct sample *sample,
		       const char *what,
		       int (*call)(const struct peer *peer, const struct cell *cell, int fd,
				   unsigned int index))
{
	unsigned int count = cell_count(cell);
	int *fds = shared_alloc(count * sizeof(*fds));
	uint64_t start = 0;

	pin_to_cpu(0);
	if (hold_names(peer, cell->parameter, sample))
		return;
	for (int round = 0; round < 2; round++) {
		if (sockets_new(peer, fds, count, sample))
			return;
		/* A table that grows does so behind the calls' back. */
		machine_wait_idle(100, 30);
		if (round)
			start = measure_start();
		for (unsigned int i = 0; i < count; i++) {
			if (call(peer, cell, fds[i], round * count + i)) {
				fail(sample, errno, what);
				return;
			}
		}
		if (round)
			sample->value = (double)(measure_stop() - start) / count;
		for (unsigned int i = 0; i < count; i++)
			close(fds[i]);
	}
	sample->operations = count;
}

static int bind_one(const struct peer *peer, const struct cell *cell, int fd, unsigned int index)
{
	return peer_bind(peer, fd, FIRST + cell->parameter + index);
}

void run_bind(const struct peer *peer, const struct cell *cell, struct sample *sample)
{
	time_calls(peer, cell, sample, "bind", bind_one);
}

/* Connections are left unaccepted: what is measured ends with connect(2). */
static int connect_one(const struct peer *peer, const struct cell *cell, int fd,
		       unsigned int index)
{
	return peer_connect(peer, fd, FIRST + (uint64_t)index * STRIDE % cell->parameter);
}

void run_connect_name(const struct peer *peer, const struct cell *cell, struct sample *sample)
{
	time_calls(peer, cell, sample, "connect", connect_one);
}
