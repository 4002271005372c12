// SPDX-License-Identifier: GPL-2.0
/*
 * What a name costs among ten and among 100,000: bind and connect. F02, F03.
 *
 * FERRY_NAMES sets another number than 100,000.
 */

#include "ferry_test.h"
#include "kselftest_harness.h"

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

	if (!access("/sys/kernel/debug/kmemleak", F_OK) ||
	    !access("/sys/kernel/debug/kcsan", F_OK))
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

TEST_HARNESS_MAIN
