/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Signals for the events of a socket, queued and looked at one by one. Header only, as
 * few programs need it; they block those of signals() first.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include "ferry_test.h"

#ifndef F_SETSIG
#define F_SETSIG	10
#define F_GETSIG	11
#endif

static inline sigset_t signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGIO);
	sigaddset(&set, SIGURG);
	return set;
}

/* The next of those signals; false when none comes in time. */
static inline bool next_signal(siginfo_t *info, int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };
	sigset_t set = signals();
	int sig;

	do {
		sig = sigtimedwait(&set, info, &ts);
	} while (sig < 0 && errno == EINTR);
	return sig > 0;
}

static inline bool no_signal(void)
{
	siginfo_t info;

	if (!next_signal(&info, 0))
		return true;
	fprintf(stderr, "# signal %d, code %d, band %#lx\n", info.si_signo,
		info.si_code, (long)info.si_band);
	return false;
}

static inline void forget_signals(void)
{
	siginfo_t info;

	while (next_signal(&info, 0))
		;
}

/*
 * Waits for the queued signal of an event; others that go with it may come
 * before. Every one must be of @fd.
 */
static inline bool expect_event(int fd, int code, int band)
{
	siginfo_t info;

	while (next_signal(&info, FT_LONG_MS)) {
		if (info.si_signo != SIGRTMIN || info.si_fd != fd)
			break;
		if (info.si_code == code)
			return info.si_band & band;
	}
	fprintf(stderr, "# no signal with code %d and descriptor %d\n", code, fd);
	return false;
}

static inline int set_async(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	return fcntl(fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC);
}

/* Events of @fd queue a signal to this process. */
static inline bool arm(int fd)
{
	return !fcntl(fd, F_SETOWN, getpid()) && !fcntl(fd, F_SETSIG, SIGRTMIN) &&
	       !set_async(fd, true);
}

/* Waits for the event of an urgent byte, beside which there is SIGURG. */
static inline bool expect_urgent(int fd)
{
	siginfo_t info;

	do {
		if (!next_signal(&info, FT_LONG_MS))
			return false;
	} while (info.si_signo != SIGRTMIN || info.si_code != POLL_PRI);
	return info.si_band & POLLPRI && info.si_fd == fd;
}

#endif /* SIGNALS_H */
