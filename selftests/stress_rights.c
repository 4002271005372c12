// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that pass each other descriptors, close at random and are killed at
 * random. Afterwards no open file, no socket, no buffer and no descriptor in flight
 * may be left. Nothing else may open files or use the family meanwhile.
 *
 *	stress_rights [-t SECONDS] [-n PROCESSES] [-s SEED]
 */

#define _GNU_SOURCE
#include "passenger.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <linux/capability.h>

#define SHARED		24	/* sockets every process begins with */
#define OWN		32	/* descriptors a process may collect */
#define LISTENERS	4

static int shared[SHARED];
static int listeners[LISTENERS];
static struct ft_addr names[LISTENERS];

/* What the processes did, in memory they share. */
struct counts {
	atomic_long sent, received, looped, refused, connected, killed;
};

static struct counts *counts;

static void fail(const char *what)
{
	fprintf(stderr, "stress_rights: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned int random_below(unsigned int *state, unsigned int n)
{
	*state = *state * 1103515245 + 12345;
	return (*state >> 16 & 0x7fff) % n;
}

static struct ft_kind random_kind(unsigned int *state, bool connects)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	struct ft_kind kind = { .domain = AF_FERRY, .how = FT_PAIR };

	kind.type = types[random_below(state, connects ? 2 : 3)];
	return kind;
}

/* A descriptor of the process: shared, or collected. */
static int pick(unsigned int *state, const int *own)
{
	unsigned int i = random_below(state, SHARED + OWN);

	return i < SHARED ? shared[i] : own[i - SHARED];
}

static void keep(unsigned int *state, int *own, int fd)
{
	unsigned int i = random_below(state, OWN);

	ft_close(&own[i]);
	own[i] = fd;
}

static void send_some(unsigned int *state, const int *own)
{
	int fds[4], n = 1 + random_below(state, 4), i;
	int to = pick(state, own);

	for (i = 0; i < n; i++)
		fds[i] = pick(state, own);
	if (pass_send(to, "x", 1, fds, n, NULL, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	    1)
		atomic_fetch_add(&counts->sent, 1);
	else if (errno == ELOOP)
		atomic_fetch_add(&counts->looped, 1);
	else
		atomic_fetch_add(&counts->refused, 1);
}

static void receive_some(unsigned int *state, int *own, int flags)
{
	struct pass pass;
	char buf[4];
	int i;

	if (pass_recv(pick(state, own), buf, sizeof(buf), &pass,
		      flags | MSG_DONTWAIT) < 0)
		return;
	atomic_fetch_add(&counts->received, 1);
	for (i = 0; i < pass.fds; i++)
		keep(state, own, pass.fd[i]);
}

static void connect_some(unsigned int *state, int *own)
{
	unsigned int i = random_below(state, LISTENERS);
	int type = ft_getint(listeners[i], SO_TYPE);
	int fd;

	if (random_below(state, 2)) {
		fd = accept4(listeners[i], NULL, NULL, SOCK_NONBLOCK);
	} else {
		fd = socket(AF_FERRY, type | SOCK_NONBLOCK, 0);
		if (fd >= 0 && connect(fd, &names[i].sa, names[i].len) &&
		    errno != EINPROGRESS)
			ft_close(&fd);
		else
			atomic_fetch_add(&counts->connected, 1);
	}
	if (fd >= 0)
		keep(state, own, fd);
}

static void make_some(unsigned int *state, int *own)
{
	struct ft_kind kind = random_kind(state, false);
	int a, b;

	if (random_below(state, 4) == 0) {
		int fd[2];

		if (!pipe(fd)) {
			keep(state, own, fd[0]);
			keep(state, own, fd[1]);
		}
		return;
	}
	if (ft_pair(&kind, &a, &b))
		return;
	keep(state, own, a);
	keep(state, own, b);
}

static void child(unsigned int seed)
{
	unsigned int state = seed;
	int own[OWN];
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < OWN; i++)
		own[i] = -1;
	for (;;) {
		switch (random_below(&state, 12)) {
		case 0 ... 3:
			send_some(&state, own);
			break;
		case 4 ... 6:
			receive_some(&state, own, 0);
			break;
		case 7:
			receive_some(&state, own, MSG_PEEK);
			break;
		case 8:
			i = random_below(&state, OWN);
			ft_close(&own[i]);
			break;
		case 9:
			connect_some(&state, own);
			break;
		default:
			make_some(&state, own);
		}
		/* No descriptor may pile up in what all of them share. */
		if (random_below(&state, 64) == 0)
			while (recv(shared[random_below(&state, SHARED)], &i,
				    sizeof(i), MSG_DONTWAIT) >= 0)
				;
	}
}

static pid_t spawn(unsigned int seed)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (!pid)
		child(seed);
	return pid;
}

/*
 * What is left over is counted exactly, though the kernel keeps its counts by
 * the processor: each part is made to give up what it holds back.
 */

/*
 * Open files of the whole machine, without those of this function. A processor
 * adds its share to the sum when it has changed by a batch of at least 32: open
 * files there until the sum moves, and its share is 0.
 */
static long open_files(void)
{
	int sum = open("/proc/sys/fs/file-nr", O_RDONLY | O_CLOEXEC);
	int cpus = sysconf(_SC_NPROCESSORS_CONF), cpu, opened = 0, i;
	static int fd[4096];
	cpu_set_t all, one;
	long files = -1;

	if (sum < 0 || sched_getaffinity(0, sizeof(all), &all))
		fail("open files");
	for (cpu = 0; cpu < cpus; cpu++) {
		long before = -1;

		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one))
			continue;
		for (;;) {
			char text[64] = "";

			if (pread(sum, text, sizeof(text) - 1, 0) <= 0)
				fail("file-nr");
			files = atol(text);
			if (before >= 0 && files != before)
				break;
			before = files;
			fd[opened] = open("/dev/null", O_RDONLY | O_CLOEXEC);
			if (fd[opened++] < 0 || opened == 4096)
				fail("files to count files");
		}
	}
	sched_setaffinity(0, sizeof(all), &all);
	for (i = 0; i < opened; i++)
		close(fd[i]);
	close(sum);
	return files - opened - 1;
}

/* Objects in the caches of the family: sockets and buffers. */
static long slab_objects(void)
{
	long active, total, sum = 0;
	char line[256], name[64], path[128];
	FILE *f, *shrink;

	f = fopen("/proc/slabinfo", "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %ld %ld", name, &active, &total) != 3 ||
		    (strncmp(name, "ferry", 5) && strcmp(name, "FERRY")))
			continue;
		/* Processors keep pages of their own, and sanitizers objects. */
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink",
			 name);
		shrink = fopen(path, "we");
		if (shrink) {
			fputs("1", shrink);
			fclose(shrink);
		}
	}
	rewind(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %ld %ld", name, &active, &total) == 3 &&
		    (!strncmp(name, "ferry", 5) || !strcmp(name, "FERRY")))
			sum += active;
	fclose(f);
	return sum;
}

#define IN_FLIGHT_LIMIT	64

/*
 * Descriptors in flight that the family still counts against this user: with a
 * limit and without the right to exceed it, so many fewer can be sent.
 */
static int in_flight(void)
{
	struct rlimit limit = { IN_FLIGHT_LIMIT, IN_FLIGHT_LIMIT };
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[2] = {};
	int pair[2], sent = 0, status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (!pid) {
		if (socketpair(AF_FERRY, SOCK_STREAM, 0, pair) ||
		    setrlimit(RLIMIT_NOFILE, &limit) ||
		    syscall(SYS_capset, &head, none))
			_exit(255);
		while (sent <= IN_FLIGHT_LIMIT &&
		       pass_send(pair[0], "x", 1, &pair[0], 1, NULL,
				 MSG_DONTWAIT) == 1)
			sent++;
		_exit(errno == ETOOMANYREFS && sent <= IN_FLIGHT_LIMIT ?
		      IN_FLIGHT_LIMIT - sent : 255);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) == 255)
		fail("descriptors in flight");
	return WEXITSTATUS(status);
}

/* What must be the same afterwards. */
struct left {
	long sockets;
	long files;
	long slab;
	int in_flight;
};

static struct left look(void)
{
	struct left left;

	left.in_flight = in_flight();
	left.sockets = ft_ferry_sockets();
	left.files = open_files();
	left.slab = slab_objects();
	return left;
}

static bool same(const struct left *a, const struct left *b)
{
	return a->sockets == b->sockets && a->files == b->files &&
	       a->slab == b->slab && a->in_flight == b->in_flight;
}

int main(int argc, char **argv)
{
	struct left before, after;
	int seconds = 10, processes = 8, option, i;
	unsigned int state = 1;
	struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	int64_t end;
	pid_t *pid;

	while ((option = getopt(argc, argv, "n:s:t:")) != -1) {
		switch (option) {
		case 'n':
			processes = atoi(optarg);
			break;
		case 's':
			state = atoi(optarg);
			break;
		case 't':
			seconds = atoi(optarg);
			break;
		default:
			fprintf(stderr,
				"usage: stress_rights [-t SECONDS] [-n PROCESSES] [-s SEED]\n");
			return 2;
		}
	}
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid = calloc(processes, sizeof(*pid));
	if (counts == MAP_FAILED || !pid)
		fail("memory");
	before = look();
	if (before.sockets < 0)
		fail("no FERRY in /proc/net/protocols");
	/* The socket of the first look goes a grace period later. */
	end = ft_now_ms() + 15000;
	do {
		after = before;
		nanosleep(&pause, NULL);
		before = look();
	} while (!same(&before, &after) && ft_now_ms() < end);

	for (i = 0; i < SHARED; i += 2) {
		struct ft_kind kind = random_kind(&state, false);

		if (ft_pair(&kind, &shared[i], &shared[i + 1]))
			fail("socketpair");
	}
	for (i = 0; i < LISTENERS; i++) {
		struct ft_kind kind = random_kind(&state, true);

		listeners[i] = ft_listener(&kind, &names[i], 8);
		if (listeners[i] < 0 || ft_nonblock(listeners[i], true))
			fail("listen");
	}
	for (i = 0; i < processes; i++)
		pid[i] = spawn(state + i);

	end = ft_now_ms() + seconds * 1000LL;
	while (ft_now_ms() < end) {
		nanosleep(&pause, NULL);
		i = random_below(&state, processes);
		kill(pid[i], SIGKILL);
		if (waitpid(pid[i], NULL, 0) != pid[i])
			fail("waitpid");
		atomic_fetch_add(&counts->killed, 1);
		pid[i] = spawn(state);
	}
	for (i = 0; i < processes; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	printf("stress_rights: %ld sent, %ld refused as cycles, %ld otherwise\n",
	       counts->sent, counts->looped, counts->refused);
	printf("stress_rights: %ld received, %ld connected, %ld killed\n",
	       counts->received, counts->connected, counts->killed);
	printf("stress_rights: before the end %ld files, %ld sockets\n",
	       open_files(), ft_ferry_sockets());
	for (i = 0; i < SHARED; i++)
		ft_close(&shared[i]);
	for (i = 0; i < LISTENERS; i++)
		ft_close(&listeners[i]);

	/* The last references go a grace period later. */
	end = ft_now_ms() + 15000;
	do {
		nanosleep(&pause, NULL);
		after = look();
	} while (!same(&before, &after) && ft_now_ms() < end);
	printf("stress_rights: files %ld to %ld, sockets %ld to %ld\n",
	       before.files, after.files, before.sockets, after.sockets);
	printf("stress_rights: objects in slabs %ld to %ld, in flight %d to %d\n",
	       before.slab, after.slab, before.in_flight, after.in_flight);
	if (!same(&before, &after)) {
		fprintf(stderr, "stress_rights: something is left\n");
		return 1;
	}
	return 0;
}
