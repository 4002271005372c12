// SPDX-License-Identifier: GPL-2.0
/*
 * Many connections open at once between two processes: all connect, all echo,
 * all close. Not part of a normal run; 10,000 of them want some memory.
 *
 *	many [-n CONNECTIONS] [-f FAMILY]
 *
 * FAMILY is 18 (AF_FERRY), 1 (AF_UNIX) or 2 (TCP on loopback).
 */

#include "ferry_test.h"

#include <sys/epoll.h>
#include <sys/resource.h>

#define DEFAULT_CONNECTIONS	10000

static void fail(const char *what)
{
	fprintf(stderr, "many: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void raise_limit(int connections)
{
	rlim_t need = connections + 64;
	struct rlimit limit = { need, need };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		fail("RLIMIT_NOFILE");
}

/* The child: accepts all of them, and echoes until each is closed. */
static void serve(int listener, int connections)
{
	struct epoll_event event, events[64];
	int open = 0, accepted = 0;
	char buf[256];
	ssize_t len;
	int ep, n, i, fd;

	ep = epoll_create1(0);
	event.events = EPOLLIN;
	event.data.fd = listener;
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &event))
		fail("epoll");
	while (open || accepted < connections) {
		n = epoll_wait(ep, events, 64, -1);
		for (i = 0; i < n; i++) {
			fd = events[i].data.fd;
			if (fd == listener) {
				fd = accept(listener, NULL, NULL);
				if (fd < 0)
					fail("accept");
				event.data.fd = fd;
				if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event))
					fail("epoll_ctl");
				accepted++;
				open++;
				continue;
			}
			len = recv(fd, buf, sizeof(buf), 0);
			if (len < 0)
				fail("recv");
			if (len && send(fd, buf, len, 0) != len)
				fail("send");
			if (!len) {
				close(fd);
				open--;
			}
		}
	}
	printf("many: server accepted %d, all closed\n", accepted);
	exit(0);
}

int main(int argc, char **argv)
{
	struct ft_kind kind = { AF_FERRY, SOCK_STREAM };
	int connections = DEFAULT_CONNECTIONS;
	struct ft_addr addr;
	int listener, option, status, i;
	struct ft_leak leak;
	int64_t start;
	char out[100];
	pid_t server;
	int *fd;

	while ((option = getopt(argc, argv, "f:n:")) != -1) {
		switch (option) {
		case 'f':
			kind.domain = atoi(optarg);
			break;
		case 'n':
			connections = atoi(optarg);
			break;
		default:
			fprintf(stderr, "usage: many [-n N] [-f FAMILY]\n");
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	raise_limit(connections);
	fd = calloc(connections, sizeof(*fd));
	if (!fd)
		fail("calloc");
	ft_leak_start(&leak, kind.domain);
	listener = ft_listener(&kind, &addr, 128);
	if (listener < 0)
		fail("listen");
	server = fork();
	if (server < 0)
		fail("fork");
	if (!server)
		serve(listener, connections);
	close(listener);

	start = ft_now_ms();
	for (i = 0; i < connections; i++) {
		fd[i] = ft_connect(&kind, &addr);
		if (fd[i] < 0)
			fail("connect");
	}
	printf("many: %d connections open after %lld ms\n", connections,
	       (long long)(ft_now_ms() - start));
	if (kind.domain == AF_FERRY)
		printf("many: %ld FERRY sockets live\n", ft_ferry_sockets());

	/* All at once: every request is out before the first answer is read. */
	for (i = 0; i < connections; i++) {
		ft_pattern(out, i, sizeof(out));
		if (send(fd[i], out, sizeof(out), 0) != sizeof(out))
			fail("send");
	}
	for (i = 0; i < connections; i++) {
		if (!ft_recv_all(fd[i], i, sizeof(out), sizeof(out)))
			fail("echo");
	}
	printf("many: %d echoes after %lld ms\n", connections,
	       (long long)(ft_now_ms() - start));

	for (i = 0; i < connections; i++)
		close(fd[i]);
	if (waitpid(server, &status, 0) != server || status)
		fail("server");
	if (!ft_leak_check(&leak))
		fail("leak");
	printf("many: all closed after %lld ms, nothing left\n",
	       (long long)(ft_now_ms() - start));
	free(fd);
	return 0;
}
