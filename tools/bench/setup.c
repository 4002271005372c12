// SPDX-License-Identifier: GPL-2.0
/* Cells on making and ending: sockets, pairs, connections. */
#include "bench.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG	128

struct setup {
	const struct peer *peer;
	int listener;
	unsigned int id;
	unsigned int warm, count;
	uint64_t start, end;
};

/*
 * The client waits for the end of file that the server's close makes: a
 * connection counts when it was made, accepted and closed at both ends.
 */
static int connect_once(const struct setup *setup)
{
	int fd = peer_socket(setup->peer);
	char byte;

	if (fd < 0 || peer_connect(setup->peer, fd, setup->id))
		return errno;
	/* TIPC tells the end by a reset. */
	if (read(fd, &byte, 1) && errno != ECONNRESET)
		return errno;
	close(fd);
	return 0;
}

static int connect_role(int index, void *context)
{
	struct setup *setup = context;

	pin_to_cpu(index);
	for (unsigned int i = 0; i < setup->warm + setup->count; i++) {
		if (index) {
			int fd = accept(setup->listener, NULL, NULL);

			if (fd < 0)
				return errno;
			close(fd);
		} else {
			int error;

			if (i == setup->warm)
				setup->start = measure_start();
			error = connect_once(setup);
			if (error)
				return error;
		}
	}
	if (!index)
		setup->end = measure_stop();
	return 0;
}

void run_connect(const struct peer *peer, const struct cell *cell, struct sample *sample)
{
	struct setup *setup = shared_alloc(sizeof(*setup));
	int error;

	setup->peer = peer;
	setup->id = peer_new_id();
	setup->count = cell_count(cell);
	setup->warm = setup->count / 8 + 1;
	setup->listener = peer_socket(peer);
	if (setup->listener < 0 || peer_bind(peer, setup->listener, setup->id) ||
	    listen(setup->listener, BACKLOG)) {
		fail(sample, errno, "listen");
		return;
	}
	error = group_run(2, connect_role, setup);
	if (error)
		fail(sample, error, "connect");
	else
		sample->value = (double)(setup->end - setup->start) / setup->count;
	sample->operations = setup->count;
}

void run_socket(const struct peer *peer, const struct cell *cell, struct sample *sample)
{
	unsigned int count = cell_count(cell);
	uint64_t start = 0;

	pin_to_cpu(0);
	for (unsigned int i = 0; i < count + count / 8; i++) {
		int fd;

		if (i == count / 8)
			start = measure_start();
		fd = peer_socket(peer);
		if (fd < 0) {
			fail(sample, errno, "socket");
			return;
		}
		close(fd);
	}
	sample->value = (double)(measure_stop() - start) / count;
	sample->operations = count;
}

void run_socketpair(const struct peer *peer, const struct cell *cell, struct sample *sample)
{
	unsigned int count = cell_count(cell);
	uint64_t start = 0;

	pin_to_cpu(0);
	for (unsigned int i = 0; i < count + count / 8; i++) {
		struct link link;

		if (i == count / 8)
			start = measure_start();
		if (peer_pair(peer, &link, false)) {
			fail(sample, errno, "socketpair");
			return;
		}
		close(link.out[0]);
		close(link.in[1]);
	}
	sample->value = (double)(measure_stop() - start) / count;
	sample->operations = count;
}
