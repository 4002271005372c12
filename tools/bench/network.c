// SPDX-License-Identifier: GPL-2.0
/*
 * Pairs between two hosts: the network namespaces bench1 and bench2, which guest.sh has
 * joined by a veth link, and whose port for AF_FERRY it has opened.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/ferry.h>

/* Those that say how much of TCP and UDP is left; records up to what UDP takes. */
bool network_cell(const struct peer *peer, const char *cell, long parameter)
{
	if (!strcmp(cell, "roundtrip"))
		return parameter == 64;
	if (strcmp(cell, "throughput"))
		return false;
	return parameter == 64 || parameter == 4096 ||
	       (parameter == 65536 && peer->type == SOCK_STREAM);
}

static int enter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error = fd < 0 || setns(fd, CLONE_NEWNET) ? errno : 0;

	if (fd >= 0)
		close(fd);
	errno = error;
	return error ? -1 : 0;
}

/* A socket of host 1 or 2. */
static int socket_at(const struct peer *peer, int host)
{
	char path[32];
	int error, fd;

	snprintf(path, sizeof(path), "/run/netns/bench%d", host);
	if (enter(path))
		return -1;
	fd = peer_socket(peer);
	error = errno;
	enter("/proc/1/ns/net");
	errno = error;
	return fd;
}

/* An address of a host. */
static socklen_t address_at(const struct peer *peer, int host, unsigned int id,
			    struct sockaddr_storage *addr)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)addr;
	uint32_t node = htonl((10 << 24) + (18 << 16) + host);
	socklen_t len = peer_address(peer, id, addr, true);

	if (peer->family == AF_FERRY) {
		struct sockaddr_ferry *sfy = (struct sockaddr_ferry *)addr;

		sfy->sfy_scope = FERRY_SCOPE_NETWORK;
		memset(sfy->sfy_node + 10, 0xff, 2);
		memcpy(sfy->sfy_node + 12, &node, sizeof(node));
	} else {
		sin->sin_addr.s_addr = node;
	}
	return len;
}

/* fd[0] of host 1 and fd[1] of host 2, connected. Returns 0, or -1 with errno. */
int network_pair(const struct peer *peer, int fd[2])
{
	struct sockaddr_storage addr[2];
	socklen_t len[2];

	/* To the name of AF_FERRY who comes from another host is anybody. */
	umask(0);
	for (int i = 0; i < 2; i++) {
		len[i] = address_at(peer, i + 1, peer_new_id(), &addr[i]);
		fd[i] = socket_at(peer, i + 1);
		if (fd[i] < 0 || bind(fd[i], (struct sockaddr *)&addr[i], len[i]))
			return -1;
	}
	if (peer->type != SOCK_DGRAM) {
		int listener = fd[1];

		if (listen(listener, 8) ||
		    connect(fd[0], (struct sockaddr *)&addr[1], len[1]))
			return -1;
		fd[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		close(listener);
		return fd[1] < 0 ? -1 : 0;
	}
	return connect(fd[0], (struct sockaddr *)&addr[1], len[1]) ||
	       connect(fd[1], (struct sockaddr *)&addr[0], len[0]) ? -1 : 0;
}
