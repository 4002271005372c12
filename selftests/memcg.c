// SPDX-License-Identifier: GPL-2.0
/*
 * What waits unread is memory of the sender's cgroup: it shows there, a limit
 * bites, and it is given back when it is read.
 */

#define _GNU_SOURCE
#include "ferry_test.h"
#include "kselftest_harness.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define MIB		(1024 * 1024)
#define CHUNK		16384
#define QUEUED		(8 * MIB)	/* what is sent */
#define LIMIT		(4 * MIB)	/* what the limit allows beyond the start */

FIXTURE(memcg)
{
	struct ft_leak leak;
	char dir[64];
	char group[80];
};

FIXTURE_VARIANT(memcg)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(memcg, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(memcg, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(memcg, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(memcg, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(memcg, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET, FT_PAIR },
};

static bool group_write(const char *dir, const char *file, const char *value)
{
	char path[160];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = write(fd, value, strlen(value));
		close(fd);
	}
	return n == (ssize_t)strlen(value);
}

static long group_read(const char *dir, const char *file)
{
	char path[160];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "re");
	if (f) {
		if (fscanf(f, "%ld", &value) != 1)
			value = -1;
		fclose(f);
	}
	return value;
}

FIXTURE_SETUP(memcg)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	/* A mount of this process's own, gone with it. */
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	strcpy(self->dir, "/tmp/ferry-memcg-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	if (mount("ferry", self->dir, "cgroup2", 0, NULL)) {
		rmdir(self->dir);
		SKIP(return, "no cgroup2: %s", strerror(errno));
	}
	if (!group_write(self->dir, "cgroup.subtree_control", "+memory")) {
		umount2(self->dir, MNT_DETACH);
		rmdir(self->dir);
		SKIP(return, "no memory controller: %s", strerror(errno));
	}
	snprintf(self->group, sizeof(self->group), "%s/ferry-%d", self->dir,
		 getpid());
	ASSERT_EQ(0, mkdir(self->group, 0755));
}

FIXTURE_TEARDOWN(memcg)
{
	/* Busy until the last of its processes is gone for good. */
	int64_t end = ft_now_ms() + 5000;

	while (rmdir(self->group) && errno == EBUSY && ft_now_ms() < end)
		sched_yield();
	umount2(self->dir, MNT_DETACH);
	rmdir(self->dir);
	FT_NO_LEAK(&self->leak);
}

/* The child: in the group, sends as much as it can, tells how much. */
static void send_in_group(const char *group, const struct ft_kind *kind,
			  int fd, atomic_long *sent)
{
	static char buf[CHUNK];
	ssize_t n;

	if (!group_write(group, "cgroup.procs", "0"))
		_exit(2);
	memset(buf, 7, sizeof(buf));
	while (*sent < QUEUED) {
		n = send(fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			break;
		atomic_fetch_add(sent, n);
	}
	_exit(0);
}

/* Queues what a child in the group sends; its wait status. */
static int queue_all(const char *group, const struct ft_kind *kind, int a,
		     int b, atomic_long *sent)
{
	int size = 4 * QUEUED, status = -1;
	pid_t pid;

	setsockopt(a, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	setsockopt(b, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	atomic_store(sent, 0);
	fflush(NULL);
	pid = fork();
	if (!pid)
		send_in_group(group, kind, a, sent);
	waitpid(pid, &status, 0);
	return status;
}

TEST_F(memcg, O38_unread_messages_are_the_senders_memory)
{
	atomic_long *sent;
	char buf[CHUNK];
	long full, before, left = 0;
	int64_t end;
	int a, b, status;

	sent = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)sent);
	ASSERT_EQ(0, ft_pair(&variant->kind, &a, &b));

	/* Without a limit all of it is queued, and stays charged. */
	EXPECT_EQ(0, queue_all(self->group, &variant->kind, a, b, sent));
	EXPECT_EQ(QUEUED, *sent);
	full = group_read(self->group, "memory.current");
	EXPECT_LE(QUEUED, full);
	while (recv(b, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	/* Given back in batches, and by other processors. */
	end = ft_now_ms() + 5000;
	do {
		left = group_read(self->group, "memory.current");
	} while (left > QUEUED / 2 && ft_now_ms() < end);
	EXPECT_GT(QUEUED / 2, left);
	TH_LOG("%d bytes queued: %ld charged, %ld when read", QUEUED, full,
	       left);

	/* With one, much less is: the sender fails, or is killed for it. */
	before = left;
	snprintf(buf, sizeof(buf), "%ld", before + LIMIT);
	ASSERT_TRUE(group_write(self->group, "memory.max", buf));
	group_write(self->group, "memory.swap.max", "0");
	status = queue_all(self->group, &variant->kind, a, b, sent);
	TH_LOG("a limit of %d: %ld queued, status %#x", LIMIT, (long)*sent,
	       status);
	EXPECT_GT(QUEUED, *sent);
	EXPECT_TRUE(status == 0 || (WIFSIGNALED(status) &&
				    WTERMSIG(status) == SIGKILL));
	EXPECT_LE(group_read(self->group, "memory.current"), before + LIMIT);

	/* Nothing is broken by it. */
	while (recv(b, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	EXPECT_EQ(5, send(a, "after", 5, 0));
	EXPECT_EQ(5, recv(b, buf, sizeof(buf), 0));
	ft_close(&a);
	ft_close(&b);
	munmap(sent, 4096);
}

#define PIPE_SIZE	MIB

/* The child: in the group, splices what comes into pipes, and keeps them. */
static void splice_in_group(const char *group, int fd, int done, int go)
{
	int pipes[QUEUED / PIPE_SIZE][2];
	char c = 0;
	size_t i;

	if (!group_write(group, "cgroup.procs", "0"))
		_exit(2);
	for (i = 0; i < QUEUED / PIPE_SIZE; i++) {
		if (pipe(pipes[i]) ||
		    fcntl(pipes[i][0], F_SETPIPE_SZ, PIPE_SIZE) < PIPE_SIZE)
			_exit(3);
		/* Full when it has so many pages, however much is in them. */
		while (ft_poll(pipes[i][1], POLLOUT, 0) == POLLOUT)
			if (splice(fd, NULL, pipes[i][1], NULL, 4096, 0) <= 0)
				_exit(4);
	}
	/* The sender ends. */
	close(fd);
	_exit(write(done, &c, 1) != 1 || read(go, &c, 1) != 0);
}

/* Copied into a pipe they are memory of who has the pipe, as what is written to it. */
TEST_F(memcg, F11_spliced_bytes_are_the_readers_memory)
{
	int done[2], go[2], a, b, status = -1;
	static char buf[CHUNK];
	long before, full;
	pid_t pid;
	char c;

	if (variant->kind.domain != AF_FERRY || variant->kind.type != SOCK_STREAM)
		SKIP(return, "gives its own pages, or goes by the core's copy");
	ASSERT_EQ(0, ft_pair(&variant->kind, &a, &b));
	ASSERT_EQ(0, pipe(done));
	ASSERT_EQ(0, pipe(go));
	before = group_read(self->group, "memory.current");
	fflush(NULL);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(a);
		close(go[1]);
		splice_in_group(self->group, b, done[1], go[0]);
	}
	ft_close(&b);
	ft_close(&done[1]);
	/* The buffers are ours: this process is not in the group. */
	while (send(a, buf, sizeof(buf), MSG_NOSIGNAL) > 0)
		;
	EXPECT_EQ(1, read(done[0], &c, 1));
	full = group_read(self->group, "memory.current");
	TH_LOG("%d bytes in pipes: %ld charged", QUEUED, full - before);
	EXPECT_LE(QUEUED, full - before);
	ft_close(&go[1]);
	waitpid(pid, &status, 0);
	EXPECT_EQ(0, status);
	ft_close(&go[0]);
	ft_close(&done[0]);
	ft_close(&a);
}

FT_HARNESS_MAIN
