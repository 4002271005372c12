// SPDX-License-Identifier: GPL-2.0
/* Cells that move data: one way, to and fro, many to one, one to many, many pairs at once. */
#include "bench.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SENDERS		8
#define READERS		8
#define BUFFERS		4	/* lent at once by a zero-copy sender */

struct transfer {
	const struct peer *peer;
	struct link *links;
	pthread_barrier_t barrier;
	size_t size;
	unsigned int warm, count;	/* messages */
	unsigned int window;		/* of a paced sender, 0: not paced */
	unsigned int id;
	uint64_t start, end;
	unsigned int outstanding;	/* zero-copy sends */
	uint64_t copied, completed;	/* those that have ended */
	double rate[GROUP_MAX / 2];
	uint64_t *times;
	struct {
		unsigned int received;
		char pad[60];
	} progress[SENDERS];
};

static struct transfer *transfer_new(const struct peer *peer, const struct cell *cell, int parties)
{
	struct transfer *t = shared_alloc(sizeof(*t));
	pthread_barrierattr_t attr;

	t->peer = peer;
	t->size = cell->parameter;
	t->count = cell_count(cell);
	t->warm = t->count / 8 + 1;
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&t->barrier, &attr, parties);
	if (peer->flags & PEER_LOSSY) {
		/* A quarter of the usual receive buffer, by what the core charges. */
		t->window = 200 * 1024 / 4 / (t->size + 1024);
		if (!t->window)
			t->window = 1;
	}
	return t;
}

static char *buffer_new(size_t size)
{
	char *buffer = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (buffer == MAP_FAILED)
		_exit(ENOMEM);
	memset(buffer, 'f', size);
	return buffer;
}

static int write_all(int fd, const char *buffer, size_t size)
{
	while (size) {
		ssize_t done = write(fd, buffer, size);

		if (done < 0)
			return errno;
		buffer += done;
		size -= done;
	}
	return 0;
}

static int send_messages(struct transfer *t, int fd, const char *buffer, unsigned int count,
			 unsigned int sent, unsigned int *received)
{
	for (unsigned int i = 0; i < count; i++, sent++) {
		int error;

		while (t->window &&
		       sent - __atomic_load_n(received, __ATOMIC_RELAXED) >= t->window)
			sched_yield();
		error = write_all(fd, buffer, t->size);
		if (error)
			return error;
	}
	return 0;
}

/* A stream may return less than was asked for: bytes are counted, not reads. */
static int receive_messages(struct transfer *t, int fd, char *buffer, unsigned int count,
			    unsigned int *received)
{
	if (t->peer->flags & PEER_RECORDS) {
		for (unsigned int i = 0; i < count; i++) {
			ssize_t done = read(fd, buffer, t->size);

			if (done != (ssize_t)t->size)
				return done < 0 ? errno : EPROTO;
			if (t->window)
				__atomic_store_n(received, *received + 1, __ATOMIC_RELAXED);
		}
		return 0;
	}
	for (size_t left = count * t->size; left; ) {
		ssize_t done = read(fd, buffer, left < t->size ? left : t->size);

		if (done <= 0)
			return done < 0 ? errno : EPIPE;
		left -= done;
	}
	return 0;
}

static int throughput_role(int index, void *context)
{
	struct transfer *t = context;
	char *buffer = buffer_new(t->size);
	unsigned int *received = &t->progress[0].received;
	int error;

	pin_to_cpu(index);
	if (index) {
		int fd = t->links[0].in[1];

		error = receive_messages(t, fd, buffer, t->warm, received);
		if (error)
			return error;
		pthread_barrier_wait(&t->barrier);
		error = receive_messages(t, fd, buffer, t->count, received);
		t->end = measure_stop();
		return error;
	}
	error = send_messages(t, t->links[0].out[0], buffer, t->warm, 0, received);
	if (error)
		return error;
	pthread_barrier_wait(&t->barrier);
	t->start = measure_start();
	return send_messages(t, t->links[0].out[0], buffer, t->count, t->warm, received);
}

/*
 * The instruction that the kernel copies with when the processor does not
 * claim fast short ones: a limit that its copies can be held against.
 */
static void copy_once(char *to, const char *from, size_t size)
{
#ifdef __x86_64__
	size_t words = size / 8, bytes = size % 8;

	asm volatile("rep movsq\n\t"
		     "mov %3, %%rcx\n\t"
		     "rep movsb"
		     : "+D" (to), "+S" (from), "+c" (words)
		     : "r" (bytes)
		     : "memory");
#else
	memcpy(to, from, size);
	asm volatile("" : : "r" (to) : "memory");
#endif
}

static void run_memcpy(const struct cell *cell, struct sample *sample)
{
	unsigned int count = cell_count(cell);
	char *from = buffer_new(cell->parameter);
	char *to = buffer_new(cell->parameter);
	uint64_t start;

	pin_to_cpu(0);
	start = measure_start();
	for (unsigned int i = 0; i < count; i++)
		copy_once(to, from, cell->parameter);
	sample->value = (double)(measure_stop() - start) / count;
	sample->operations = count;
}

void run_throughput(const struct peer *peer, const struct cell *cell, struct sample *sample)
{
	struct link link;
	struct transfer *t;
	int error;

	if (peer->flags & PEER_MEMCPY) {
		run_memcpy(cell, sample);
		return;
	}
	if (peer_pair(peer, &link, false)) {
		fail(sample, errno, "pair");
		return;
	}
	t = transfer_new(peer, cell, 2);
	t->links = &link;
	error = group_run(2, throughput_role, t);
	if (error)
		fail(sample, error, "transfer");
	else
		sample->value = (double)(t->end - t->start) / t->count;
	sample->operations = t->count;
}

/* Takes the completions that are there. Returns 0 or an errno. */
static int reap_completions(struct transfer *t, int fd)
{
	for (;;) {
		char control[256];
		struct msghdr msg = { .msg_control = control, .msg_controllen = sizeof(control) };
		struct cmsghdr *cmsg;

		if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return errno == EAGAIN ? 0 : errno;
		/* The level differs with the family, the payload does not. */
		for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
			struct sock_extended_err err;
			unsigned int range;

			if (cmsg->cmsg_len < CMSG_LEN(sizeof(err)))
				continue;
			memcpy(&err, CMSG_DATA(cmsg), sizeof(err));
			if (err.ee_origin != SO_EE_ORIGIN_ZEROCOPY || err.ee_errno)
				continue;
			range = err.ee_data - err.ee_info + 1;
			t->completed += range;
			/* VSOCK completes each of its packets. */
			t->outstanding -= range < t->outstanding ? range : t->outstanding;
			if (err.ee_code & SO_EE_CODE_ZEROCOPY_COPIED)
				t->copied += range;
		}
	}
}

static int lend_messages(struct transfer *t, int fd, char *buffer, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		const char *data = buffer + (i % BUFFERS) * t->size;
		int error = reap_completions(t, fd);

		/* A buffer that is still lent must not be written to again. */
		while (!error && t->outstanding >= BUFFERS) {
			struct pollfd pollfd = { .fd = fd };

			if (poll(&pollfd, 1, -1) < 0)
				return errno;
			error = reap_completions(t, fd);
		}
		if (error)
			return error;
		for (size_t left = t->size; left; ) {
			ssize_t done = send(fd, data + t->size - left, left, MSG_ZEROCOPY);

			if (done < 0)
				return errno;
			t->outstanding++;
			left -= done;
		}
	}
	return 0;
}

static int zerocopy_role(int index, void *context)
{
	struct transfer *t = context;
	char *buffer;
	int one = 1;
	int error;

	if (index)
		return throughput_role(index, context);
	pin_to_cpu(0);
	buffer = buffer_new(t->size * BUFFERS);
	if (setsockopt(t->links[0].out[0], SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)))
		return errno;
	error = lend_messages(t, t->links[0].out[0], buffer, t->warm);
	if (error)
		return error;
	pthread_barrier_wait(&t->barrier);
	t->start = measure_start();
	return lend_messages(t, t->links[0].out[0], buffer, t->count);
}

void run_zerocopy(const struct peer *peer, const struct cell *cell, struct sample *sample)
{
	struct link link;
	struct transfer *t;
	int error;

	if (peer_pair(peer, &link, false)) {
		fail(sample, errno, "pair");
		return;
	}
	t = transfer_new(peer, cell, 2);
	t->links = &link;
	error = group_run(2, zerocopy_role, t);
	if (error) {
		fail(sample, error, "zerocopy");
		return;
	}
	sample->value = (double)(t->end - t->start) / t->count;
	sample->operations = t->count;
	sample->extra = t->completed ? (double)t->copied / t->completed : 0;
	snprintf(sample->extra_name, sizeof(sample->extra_name), "copied");
}

static int roundtrip_role(int index, void *context)
{
	struct transfer *t = context;
	char *buffer = buffer_new(t->size);
	int in = t->links[0].in[index], out = t->links[0].out[index];
	unsigned int received = 0;
	unsigned int total = t->warm + t->count;

	pin_to_cpu(index);
	pthread_barrier_wait(&t->barrier);
	for (unsigned int i = 0; i <= total; i++) {
		int error;

		if (!index && i == t->warm)
			t->times[0] = measure_start();
		else if (!index && i == total)
			t->times[i - t->warm] = measure_stop();
		else if (!index && i > t->warm)
			t->times[i - t->warm] = now_ns();
		if (i == total)
			break;
		if (!index) {
			error = write_all(out, buffer, t->size);
			if (error)
				return error;
		}
		error = receive_messages(t, in, buffer, 1, &received);
		if (error)
			return error;
		if (index) {
			error = write_all(out, buffer, t->size);
			if (error)
				return error;
		}
	}
	return 0;
}

static int compare_times(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void run_roundtrip(const struct peer *peer, const struct cell *cell, struct sample *sample)
{
	struct link link;
	struct transfer *t;
	int error;

	if (peer_pair(peer, &link, true)) {
		fail(sample, errno, "pair");
		return;
	}
	peer_no_delay(peer, &link);
	t = transfer_new(peer, cell, 2);
	t->links = &link;
	t->window = 0;
	t->times = shared_alloc((t->count + 1) * sizeof(*t->times));
	error = group_run(2, roundtrip_role, t);
	if (error) {
		fail(sample, error, "transfer");
		return;
	}
	for (unsigned int i = 0; i < t->count; i++)
		t->times[i] = t->times[i + 1] - t->times[i];
	qsort(t->times, t->count, sizeof(*t->times), compare_times);
	sample->value = t->times[t->count / 2];
	sample->operations = t->count;
	sample->p99 = t->times[(uint64_t)t->count * 99 / 100];
}

/* Eight senders, each with its own socket, and the receiver they share. */
static int senders_role(int index, void *context)
{
	struct transfer *t = context;
	char *buffer = buffer_new(t->size);
	unsigned int each = t->count / SENDERS;
	unsigned int *received;
	int fd, error;

	if (index == SENDERS) {
		fd = t->links[0].in[1];
		pthread_barrier_wait(&t->barrier);
		for (unsigned int i = 0; i < each * SENDERS; i++) {
			ssize_t done = read(fd, buffer, t->size);

			if (done != (ssize_t)t->size)
				return done < 0 ? errno : EPROTO;
			received = &t->progress[(unsigned char)buffer[0] % SENDERS].received;
			__atomic_store_n(received, *received + 1, __ATOMIC_RELAXED);
		}
		t->end = measure_stop();
		return 0;
	}
	fd = peer_socket(t->peer);
	if (fd < 0 || peer_connect(t->peer, fd, t->id))
		return errno;
	buffer[0] = index;
	pthread_barrier_wait(&t->barrier);
	if (!index)
		t->start = measure_start();
	error = send_messages(t, fd, buffer, each, 0, &t->progress[index].received);
	return error;
}

void run_senders(const struct peer *peer, const struct cell *cell, struct sample *sample)
{
	struct transfer *t = transfer_new(peer, cell, SENDERS + 1);
	struct link link = {};
	int error;

	t->id = peer_new_id();
	t->links = &link;
	if (t->window)
		t->window = t->window / SENDERS ? t->window / SENDERS : 1;
	link.in[1] = peer_socket(peer);
	if (link.in[1] < 0 || peer_bind(peer, link.in[1], t->id)) {
		fail(sample, errno, "bind");
		return;
	}
	error = group_run(SENDERS + 1, senders_role, t);
	if (error)
		fail(sample, error, "transfer");
	else
		sample->value = (double)(t->end - t->start) / (t->count / SENDERS * SENDERS);
	sample->operations = t->count / SENDERS * SENDERS;
}

/* One sender, and eight readers that wait for its messages on one socket. */
static int readers_role(int index, void *context)
{
	struct transfer *t = context;
	char *buffer = buffer_new(t->size);
	unsigned int *received = &t->progress[0].received;
	unsigned int *ended = &t->progress[1].received;
	int error;

	pthread_barrier_wait(&t->barrier);
	if (index == READERS) {
		t->start = measure_start();
		error = send_messages(t, t->links[0].out[0], buffer, t->count, 0, received);
		/* The last ones, one for each, are told by their first byte. */
		buffer[0] = 0;
		return error ? error : send_messages(t, t->links[0].out[0], buffer, READERS,
						     t->count, received);
	}
	do {
		ssize_t done = read(t->links[0].in[1], buffer, t->size);

		if (done != (ssize_t)t->size)
			return done < 0 ? errno : EPROTO;
		__atomic_fetch_add(received, 1, __ATOMIC_RELAXED);
	} while (buffer[0]);
	if (__atomic_add_fetch(ended, 1, __ATOMIC_RELAXED) == READERS)
		t->end = measure_stop();
	return 0;
}

void run_readers(const struct peer *peer, const struct cell *cell, struct sample *sample)
{
	struct link link;
	struct transfer *t;
	int error;

	if (peer_pair(peer, &link, false)) {
		fail(sample, errno, "pair");
		return;
	}
	t = transfer_new(peer, cell, READERS + 1);
	t->links = &link;
	error = group_run(READERS + 1, readers_role, t);
	if (error)
		fail(sample, error, "transfer");
	else
		sample->value = (double)(t->end - t->start) / t->count;
	sample->operations = t->count;
}

/* Pair i lives on CPU i, both ends: what slows it down is what pairs share. */
static int pairs_role(int index, void *context)
{
	struct transfer *t = context;
	char *buffer = buffer_new(t->size);
	struct link *link = &t->links[index / 2];
	unsigned int *received = &t->progress[index / 2 % SENDERS].received;
	uint64_t start;
	int error;

	pin_to_cpu(index / 2);
	if (index % 2) {
		pthread_barrier_wait(&t->barrier);
		start = now_ns();
		error = receive_messages(t, link->in[1], buffer, t->count, received);
		t->rate[index / 2] = (double)t->count / (now_ns() - start);
		return error;
	}
	pthread_barrier_wait(&t->barrier);
	return send_messages(t, link->out[0], buffer, t->count, 0, received);
}

static double pairs_rate(struct transfer *t, int pairs, struct sample *sample)
{
	pthread_barrierattr_t attr;
	double rate = 0;
	int error;

	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&t->barrier, &attr, 2 * pairs);
	memset(t->progress, 0, sizeof(t->progress));
	error = group_run(2 * pairs, pairs_role, t);
	if (error) {
		fail(sample, error, "transfer");
		return 0;
	}
	for (int i = 0; i < pairs; i++)
		rate += t->rate[i];
	return rate;
}

void run_pairs(const struct peer *peer, const struct cell *cell, struct sample *sample)
{
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct link links[SENDERS];
	struct transfer *t;
	double alone, together;

	if (cpus > SENDERS)
		cpus = SENDERS;
	for (int i = 0; i < cpus; i++) {
		if (peer_pair(peer, &links[i], false)) {
			fail(sample, errno, "pair");
			return;
		}
	}
	t = transfer_new(peer, cell, 2);
	t->links = links;
	alone = pairs_rate(t, 1, sample);
	if (!alone)
		return;
	together = pairs_rate(t, cpus, sample);
	if (!together)
		return;
	sample->value = 1 / together;
	sample->extra = together / alone;
	snprintf(sample->extra_name, sizeof(sample->extra_name), "scaling");
}
