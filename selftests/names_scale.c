// SPDX-License-Identifier: GPL-2.0
/*
 * What a name costs among ten and among 100,000: bind and connect; and a name of as
 * many sockets, or of a listener with as many connections. F02, F03, F15.
 *
 * FERRY_NAMES sets another number than 100,000.
 */

#include "ferry_test.h"
#include "kselftest_harness.h"

#include <sched.h>
#include <sys/resource.h>

#define FEW		10
#define BATCH		100
#define BATCHES		101

/*
 * How many times the cost among few the cost among many may be. Time tells no more:
 * what caches and the host make of 100,000 sockets differs by machine (1.9 was seen),
 * and the bench counts instructions. A search through all names costs thousands.
 */
#define LIMIT		10

FIXTURE(scale)
{
	struct ft_leak leak;
	int names;
	int bound;
	int *fd;
};

FIXTURE_VARIANT(scale)
{
	int type;
};

FIXTURE_VARIANT_ADD(scale, FERRY_stream)
{
	.type = SOCK_STREAM,
};

static void numbered(struct ft_addr *addr, const char *what, int n)
{
	char name[48];

	snprintf(name, sizeof(name), "scale/%d/%s/%d", getpid(), what, n);
	ft_addr_ferry(addr, name, strlen(name));
}

FIXTURE_SETUP(scale)
{
	const char *number = getenv("FERRY_NAMES");
	struct rlimit limit;

	FT_NEED(AF_FERRY, variant->type);
	self->names = number ? atoi(number) : 100000;
	limit.rlim_cur = self->names + 1000;
	limit.rlim_max = limit.rlim_cur;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		SKIP(return, "cannot have %d descriptors", self->names + 1000);
	ft_leak_start(&self->leak, AF_FERRY);
	self->fd = calloc(self->names, sizeof(int));
	ASSERT_NE(NULL, self->fd);
	self->bound = 0;
}

FIXTURE_TEARDOWN(scale)
{
	while (self->bound)
		ft_close(&self->fd[--self->bound]);
	free(self->fd);
	FT_NO_LEAK(&self->leak);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Binds and listens until @n names are there. */
static bool fill(int type, int *fd, int *bound, int n)
{
	struct ft_addr addr;

	for (; *bound < n; ++*bound) {
		numbered(&addr, "name", *bound);
		fd[*bound] = socket(AF_FERRY, type, 0);
		if (fd[*bound] < 0)
			return false;
		if (bind(fd[*bound], &addr.sa, addr.len) ||
		    listen(fd[*bound], BATCH)) {
			ft_close(&fd[*bound]);
			return false;
		}
	}
	return true;
}

struct cost {
	int64_t bind;
	int64_t connect;
};

/*
 * Nanoseconds of one bind and of one connect to the first @targets names, from the
 * quickest of many batches: whatever the machine and its host do beside this can
 * only add to one. Negative on failure.
 */
static struct cost measure(int type, const int *fd, int targets)
{
	struct cost least = { INT64_MAX, INT64_MAX }, failed = { -1, -1 };
	static struct ft_addr addr[BATCH];
	unsigned int state = 1;
	int64_t start, took;
	int own[BATCH];
	int batch, i, n;

	for (batch = 0; batch < BATCHES; batch++) {
		for (i = 0; i < BATCH; i++) {
			own[i] = socket(AF_FERRY, type, 0);
			numbered(&addr[i], "new", i);
		}
		start = now_ns();
		for (i = 0; i < BATCH; i++)
			if (bind(own[i], &addr[i].sa, addr[i].len))
				return failed;
		took = (now_ns() - start) / BATCH;
		if (took < least.bind)
			least.bind = took;
		for (i = 0; i < BATCH; i++) {
			ft_close(&own[i]);
			own[i] = socket(AF_FERRY, type, 0);
			state = state * 1103515245 + 12345;
			numbered(&addr[i], "name", (state >> 8) % targets);
		}
		start = now_ns();
		for (i = 0; i < BATCH; i++)
			if (connect(own[i], &addr[i].sa, addr[i].len))
				return failed;
		took = (now_ns() - start) / BATCH;
		if (took < least.connect)
			least.connect = took;
		for (i = 0; i < BATCH; i++) {
			ft_close(&own[i]);
			n = atoi(strrchr(addr[i].ferry.sfy_name, '/') + 1);
			own[i] = accept(fd[n], NULL, NULL);
			if (own[i] < 0)
				return failed;
			ft_close(&own[i]);
		}
	}
	return least;
}

static void report(struct __test_metadata *_metadata, const char *what,
		   int64_t before, int64_t many, int64_t after)
{
	int64_t few = before > after ? before : after;

	TH_LOG("%s: %lld ns with few, %lld ns with many, %lld ns with few again; ratio %.2f",
	       what, (long long)before, (long long)many, (long long)after,
	       (double)many / few);
	EXPECT_LE(many, few * LIMIT);
}

TEST_F_TIMEOUT(scale, F03_cost_of_a_name_among_many, FT_SLOW_S)
{
	struct cost before, many, any, after;
	int64_t start;
	bool ok;

	if (ft_checks_itself())
		SKIP(return, "a kernel that checks itself would take minutes");
	ASSERT_TRUE(fill(variant->type, self->fd, &self->bound, FEW));
	/* The first time only warms the machine up. */
	before = measure(variant->type, self->fd, FEW);
	ASSERT_LE(0, before.bind);
	before = measure(variant->type, self->fd, FEW);
	ASSERT_LE(0, before.bind);
	start = now_ns();
	ok = fill(variant->type, self->fd, &self->bound, self->names / 20);
	if (now_ns() - start > 2 * 1000000000LL)
		SKIP(return, "too slow here: %d names took %lld ms",
		     self->bound, (long long)(now_ns() - start) / 1000000);
	if (!ok || !fill(variant->type, self->fd, &self->bound, self->names)) {
		EXPECT_TRUE(errno == ENOMEM || errno == ENFILE ||
			    errno == ENOBUFS);
		SKIP(return, "no room for more than %d sockets", self->bound);
	}
	many = measure(variant->type, self->fd, FEW);
	ASSERT_LE(0, many.bind);
	any = measure(variant->type, self->fd, self->names);
	ASSERT_LE(0, any.bind);
	while (self->bound > FEW)
		ft_close(&self->fd[--self->bound]);
	after = measure(variant->type, self->fd, FEW);
	ASSERT_LE(0, after.bind);
	report(_metadata, "bind", before.bind, many.bind, after.bind);
	report(_metadata, "connect", before.connect, many.connect,
	       after.connect);
	/* This is what caches cost: listeners nobody has touched for long. */
	TH_LOG("connect to any of %d: %lld ns", self->names,
	       (long long)any.connect);
}

/* The least time of one bind to a shared name, of many batches; negative on failure. */
static int64_t share(int type, const struct ft_addr *addr)
{
	int64_t least = INT64_MAX, start, took;
	int own[BATCH], batch, i;

	for (batch = 0; batch < BATCHES; batch++) {
		for (i = 0; i < BATCH; i++) {
			own[i] = socket(AF_FERRY, type, 0);
			if (own[i] < 0 || ft_setint(own[i], SO_REUSEADDR, 1))
				return -1;
		}
		start = now_ns();
		for (i = 0; i < BATCH; i++)
			if (bind(own[i], &addr->sa, addr->len))
				return -1;
		took = (now_ns() - start) / BATCH;
		if (took < least)
			least = took;
		for (i = 0; i < BATCH; i++)
			ft_close(&own[i]);
	}
	return least;
}

/* A tenth of the names: before, the time grew with the square. */
TEST_F_TIMEOUT(scale, F03_cost_of_a_bind_to_a_name_of_many, FT_SLOW_S)
{
	int64_t before, many, after;
	int n = self->names / 10;
	struct ft_addr addr;

	if (ft_checks_itself())
		SKIP(return, "a kernel that checks itself would take minutes");
	ft_addr_new(AF_FERRY, &addr);
	self->fd[0] = socket(AF_FERRY, variant->type, 0);
	ASSERT_LE(0, self->fd[0]);
	self->bound = 1;
	ASSERT_EQ(0, ft_setint(self->fd[0], SO_REUSEADDR, 1));
	ASSERT_EQ(0, bind(self->fd[0], &addr.sa, addr.len));
	ASSERT_LT(0, share(variant->type, &addr));
	before = share(variant->type, &addr);
	for (; self->bound < n; self->bound++) {
		int fd = socket(AF_FERRY, variant->type, 0);

		ASSERT_LE(0, fd);
		self->fd[self->bound] = fd;
		ASSERT_EQ(0, ft_setint(fd, SO_REUSEADDR, 1));
		ASSERT_EQ(0, bind(fd, &addr.sa, addr.len));
	}
	many = share(variant->type, &addr);
	ASSERT_LT(0, many);
	while (self->bound > 1)
		ft_close(&self->fd[--self->bound]);
	after = share(variant->type, &addr);
	report(_metadata, "bind to a shared name", before, many, after);
}

/* What a child that is neither root nor the listener's owner has seen. */
struct seen {
	int64_t few;
	int64_t many;
	int connected;
};

/* Connects @n times and closes at once: the time of each, or negative. */
static int64_t knock(const struct ft_addr *addr, int type, int n)
{
	int64_t start = now_ns();
	int i, fd;

	for (i = 0; i < n; i++) {
		fd = socket(AF_FERRY, type | SOCK_NONBLOCK, 0);
		if (fd < 0 || connect(fd, &addr->sa, addr->len)) {
			ft_close(&fd);
			return -1;
		}
		ft_close(&fd);
	}
	return (now_ns() - start) / n;
}

static void knock_as(const struct ft_addr *addr, int type, int n, uid_t uid,
		     struct seen *seen)
{
	int64_t took;
	int done;

	if (!ft_become(uid, uid))
		_exit(1);
	seen->few = INT64_MAX;
	seen->many = INT64_MAX;
	for (done = 0; done < n; done += BATCH) {
		took = knock(addr, type, BATCH);
		if (took < 0)
			_exit(2);
		if (done < 20 * BATCH && took < seen->few)
			seen->few = took;
		if (done >= n - 20 * BATCH && took < seen->many)
			seen->many = took;
		seen->connected += BATCH;
	}
	_exit(0);
}

/* A listener with places for @n, which the limit of the namespace may not allow. */
static int long_queue(int type, struct ft_addr *addr, int n)
{
	int fd, mode = 0666, limit = open("/proc/sys/net/core/somaxconn", O_WRONLY);

	if (limit < 0 || dprintf(limit, "%d", n) < 0) {
		ft_close(&limit);
		return -1;
	}
	ft_close(&limit);
	fd = socket(AF_FERRY, type, 0);
	if (fd >= 0 && (ft_bind_new(fd, AF_FERRY, addr) ||
			setsockopt(fd, SOL_FERRY, FERRY_MODE, &mode, sizeof(mode)) ||
			listen(fd, n)))
		ft_close(&fd);
	return fd;
}

#define QUEUE	20000

/*
 * Two users whose connections fill a queue to more than half: for the second each
 * connect is one for which the share is looked at.
 */
TEST_F_TIMEOUT(scale, F02_cost_of_a_connect_to_a_long_queue, FT_SLOW_S)
{
	struct seen *seen;
	struct ft_child child;
	struct ft_addr addr;
	int i;

	if (ft_checks_itself())
		SKIP(return, "a kernel that checks itself would take minutes");
	self->fd[0] = long_queue(variant->type, &addr, 2 * QUEUE);
	if (self->fd[0] < 0)
		SKIP(return, "no network namespace of its own");
	self->bound = 1;
	seen = mmap(NULL, 2 * sizeof(*seen), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, seen);
	for (i = 0; i < 2; i++) {
		pid_t pid = ft_fork(&child);

		ASSERT_LE(0, pid);
		if (!pid)
			knock_as(&addr, variant->type, QUEUE - BATCH, 1000 + i,
				 &seen[i]);
		ASSERT_EQ(0, ft_wait_child(&child));
	}
	report(_metadata, "connect to a queue", seen[0].few, seen[1].many,
	       seen[0].few);
	munmap(seen, 2 * sizeof(*seen));
	ft_close(&self->fd[0]);
	self->bound = 0;
}

/* One that gets the processor when the kernel lets go of it, and not before. */
struct other {
	atomic_int stop;
	atomic_int closing;
	atomic_int runs;
};

static bool run_here(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

static void *run_when_possible(void *arg)
{
	struct timespec pause = { .tv_nsec = 20 * 1000 };
	struct sched_param first = { .sched_priority = 1 };
	struct other *other = arg;

	if (!run_here() || sched_setscheduler(0, SCHED_FIFO, &first))
		return "cannot be first";
	while (!atomic_load(&other->stop)) {
		nanosleep(&pause, NULL);
		if (atomic_load(&other->closing))
			atomic_fetch_add(&other->runs, 1);
	}
	return NULL;
}

TEST_F_TIMEOUT(scale, F15_closing_a_long_queue_lets_others_run, FT_SLOW_S)
{
	int n = ft_checks_itself() ? QUEUE / 10 : QUEUE;
	struct other other = { 0 };
	struct ft_addr addr;
	pthread_t thread;
	void *problem;

	self->fd[0] = long_queue(variant->type, &addr, n);
	if (self->fd[0] < 0)
		SKIP(return, "no network namespace of its own");
	self->bound = 1;
	ASSERT_LT(0, knock(&addr, variant->type, n));
	ASSERT_TRUE(run_here());
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_when_possible, &other));
	atomic_store(&other.closing, 1);
	ft_close(&self->fd[0]);
	atomic_store(&other.closing, 0);
	self->bound = 0;
	atomic_store(&other.stop, 1);
	pthread_join(thread, &problem);
	if (problem)
		SKIP(return, "%s", (char *)problem);
	TH_LOG("ran %d times", atomic_load(&other.runs));
	/* A few come by chance; each of the children is an occasion. */
	EXPECT_LT(n / 200, atomic_load(&other.runs));
}

FT_HARNESS_MAIN
