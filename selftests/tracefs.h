/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events as tracefs shows them, in a trace instance of the test's own. Those of the
 * family know a socket by its SO_COOKIE.
 */
#ifndef TRACEFS_H
#define TRACEFS_H

#include "ferry_test.h"

#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#ifndef SO_COOKIE
#define SO_COOKIE	57
#endif

#define TRACEFS		"/sys/kernel/tracing"

struct tracefs {
	char dir[PATH_MAX / 2];
};

static inline bool tracefs_write(struct tracefs *trace, const char *name,
				 const char *text)
{
	char path[PATH_MAX];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", trace->dir, name);
	fd = open(path, O_WRONLY | O_TRUNC);
	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

/* Begins to trace an event, SYSTEM/NAME; false where there is no tracefs. */
static inline bool tracefs_start_any(struct tracefs *trace, const char *event)
{
	char name[96];

	snprintf(trace->dir, sizeof(trace->dir), "%s/instances/ferry-%d",
		 TRACEFS, getpid());
	if (mkdir(trace->dir, 0700)) {
		/* For this process alone. */
		if (unshare(CLONE_NEWNS) ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("tracefs", TRACEFS, "tracefs", 0, NULL) ||
		    mkdir(trace->dir, 0700))
			return false;
	}
	snprintf(name, sizeof(name), "events/%s/enable", event);
	return tracefs_write(trace, name, "1");
}

/* One event of the family. */
static inline bool tracefs_start(struct tracefs *trace, const char *event)
{
	char name[64];

	snprintf(name, sizeof(name), "ferry/%s", event);
	return tracefs_start_any(trace, name);
}

static inline void tracefs_stop(struct tracefs *trace)
{
	tracefs_write(trace, "events/enable", "0");
	rmdir(trace->dir);
}

static inline uint64_t tracefs_cookie(int fd)
{
	socklen_t len = sizeof(uint64_t);
	uint64_t cookie = 0;

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	return cookie;
}

/* How many lines there are that contain both. */
static inline int tracefs_lines(struct tracefs *trace, const char *key,
				const char *what)
{
	char path[PATH_MAX], line[512];
	int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/trace", trace->dir);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		n += strstr(line, key) && strstr(line, what);
	fclose(f);
	return n;
}

/* How many lines there are of the socket that contain @what. */
static inline int tracefs_count(struct tracefs *trace, uint64_t cookie,
				const char *what)
{
	char key[48];

	snprintf(key, sizeof(key), " cookie=%llu ", (unsigned long long)cookie);
	return tracefs_lines(trace, key, what);
}

/*
 * Whether the records themselves, as perf and trace-cmd store them, contain @text.
 * Takes out what it looks at.
 */
static inline bool tracefs_recorded(struct tracefs *trace, const char *text)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char path[PATH_MAX], buf[page];
	bool found = false;
	int cpu, fd;
	ssize_t n;

	for (cpu = 0; !found; cpu++) {
		snprintf(path, sizeof(path), "%s/per_cpu/cpu%d/trace_pipe_raw",
			 trace->dir, cpu);
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			break;
		while (!found && (n = read(fd, buf, page)) > 0)
			found = memmem(buf, n, text, strlen(text) + 1);
		close(fd);
	}
	return found;
}

#endif /* TRACEFS_H */
