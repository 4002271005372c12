/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What poll, select and epoll say of a socket. Header only, as few programs need
 * it.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include "ferry_test.h"

#include <sys/epoll.h>
#include <sys/select.h>

#define ALL_EVENTS	(POLLIN | POLLOUT | POLLPRI | POLLRDHUP)

/* What select(2) says of one descriptor, as poll(2) would. */
static inline short select_now(int fd)
{
	struct timeval none = { 0 };
	fd_set in, out, except;
	short events = 0;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&except);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	FD_SET(fd, &except);
	if (select(fd + 1, &in, &out, &except, &none) < 0)
		return -1;
	if (FD_ISSET(fd, &in))
		events |= POLLIN;
	if (FD_ISSET(fd, &out))
		events |= POLLOUT;
	if (FD_ISSET(fd, &except))
		events |= POLLPRI;
	return events;
}

static inline int epoll_on(int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event))
		ft_close(&ep);
	return ep;
}

/* The events that epoll has now (or within @ms), 0 when none. */
static inline uint32_t epoll_events(int ep, int ms)
{
	struct epoll_event event;

	return epoll_wait(ep, &event, 1, ms) == 1 ? event.events : 0;
}

/* The three calls must say the same of a socket at rest. */
static inline bool agree(int fd, short expected)
{
	int ep = epoll_on(fd, ALL_EVENTS);
	short polled = ft_poll(fd, ALL_EVENTS, 0);
	short epolled = epoll_events(ep, 0);
	short selected = select_now(fd);
	short should = 0;

	ft_close(&ep);
	if (expected & (POLLIN | POLLHUP | POLLERR))
		should |= POLLIN;
	if (expected & (POLLOUT | POLLERR))
		should |= POLLOUT;
	if (expected & POLLPRI)
		should |= POLLPRI;
	if (polled == expected && epolled == expected && selected == should)
		return true;
	fprintf(stderr,
		"# expected %#x; poll %#x, epoll %#x, select %#x for %#x\n",
		expected, polled, epolled, selected, should);
	return false;
}

#endif /* EVENTS_H */
