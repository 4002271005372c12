// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that pass each other descriptors, close at random and are killed at
 * random. Afterwards no open file, no socket and no buffer may be left.
 *
 *	stress_rights [-t SECONDS] [-n PROCESSES] [-s SEED]
 */

#include "passenger.h"

#include <sys/prctl.h>

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

/* Open files of the whole machine. */
static long open_files(void)
{
	FILE *f = fopen("/proc/sys/fs/file-nr", "re");
	long n = -1;

	if (f) {
		if (fscanf(f, "%ld", &n) != 1)
			n = -1;
		fclose(f);
	}
	return n;
}

/* Asks the allocator to give back what it keeps for later. */
static void shrink_slabs(void)
{
	FILE *f;

	f = fopen("/proc/sys/vm/drop_caches", "we");
	if (f) {
		fputs("2", f);
		fclose(f);
	}
}

/* Objects in the caches of the family, and the largest number a page holds. */
static long slab_objects(void)
{
	FILE *f = fopen("/proc/slabinfo", "re");
	long active, total, sum = 0;
	char line[256], name[64];

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %ld %ld", name, &active, &total) == 3 &&
		    (!strncmp(name, "ferry", 5) || !strcmp(name, "FERRY")))
			sum += active;
	}
	fclose(f);
	return sum;
}

int main(int argc, char **argv)
{
	long files, sockets, slab, files_end, slab_end;
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
	shrink_slabs();
	files = open_files();
	sockets = ft_ferry_sockets();
	slab = slab_objects();
	if (sockets < 0)
		fail("no FERRY in /proc/net/protocols");

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
	while (ft_ferry_sockets() != sockets && ft_now_ms() < end)
		nanosleep(&pause, NULL);
	while (open_files() > files && ft_now_ms() < end)
		nanosleep(&pause, NULL);
	shrink_slabs();
	files_end = open_files();
	slab_end = slab_objects();
	printf("stress_rights: files %ld to %ld, sockets %ld to %ld, slab objects %ld to %ld\n",
	       files, files_end, sockets, ft_ferry_sockets(), slab, slab_end);
	if (ft_ferry_sockets() != sockets) {
		fprintf(stderr, "stress_rights: sockets are left\n");
		return 1;
	}
	/*
	 * Files are the whole machine's, and a processor keeps some pages of
	 * each cache whose free objects count as used.
	 */
	if (files_end > files + 16 ||
	    slab_end > slab + 256 * sysconf(_SC_NPROCESSORS_ONLN)) {
		fprintf(stderr, "stress_rights: files or buffers are left\n");
		return 1;
	}
	return 0;
}
