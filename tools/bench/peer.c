// SPDX-License-Identifier: GPL-2.0
/* The transports that are compared: how each is made, named and connected. */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tipc.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/ferry.h>

/* Older headers of the C library's kernel lack it. */
#ifndef VMADDR_CID_LOCAL
#define VMADDR_CID_LOCAL	1
#endif

#define TIPC_BENCH_TYPE		18888
#define CONNECT_TIMEOUT_MS	3000

#define LOCAL	(PEER_SOCKET | PEER_SOCKETPAIR)

const struct peer peers[] = {
	{ "ferry-stream", "unix-stream", AF_FERRY, SOCK_STREAM,
	  LOCAL | PEER_LISTENS | PEER_NAMES | PEER_ZEROCOPY },
	{ "ferry-seqpacket", "unix-seqpacket", AF_FERRY, SOCK_SEQPACKET,
	  LOCAL | PEER_LISTENS | PEER_RECORDS },
	{ "ferry-dgram", "unix-dgram", AF_FERRY, SOCK_DGRAM,
	  LOCAL | PEER_DGRAM | PEER_RECORDS | PEER_NAMES },
	{ "unix-stream", "unix-stream", AF_UNIX, SOCK_STREAM, LOCAL | PEER_LISTENS | PEER_NAMES },
	{ "unix-seqpacket", "unix-seqpacket", AF_UNIX, SOCK_SEQPACKET,
	  LOCAL | PEER_LISTENS | PEER_RECORDS },
	{ "unix-dgram", "unix-dgram", AF_UNIX, SOCK_DGRAM,
	  LOCAL | PEER_DGRAM | PEER_RECORDS | PEER_NAMES },
	{ "pipe", "unix-stream", AF_UNSPEC, 0, PEER_SOCKETPAIR | PEER_PIPE },
	{ "tcp", "unix-stream", AF_INET, SOCK_STREAM,
	  PEER_SOCKET | PEER_LISTENS | PEER_NAMES | PEER_ZEROCOPY },
	{ "udp", "unix-dgram", AF_INET, SOCK_DGRAM,
	  PEER_SOCKET | PEER_DGRAM | PEER_RECORDS | PEER_LOSSY | PEER_NAMES },
	{ "vsock-stream", "unix-stream", AF_VSOCK, SOCK_STREAM,
	  PEER_SOCKET | PEER_LISTENS | PEER_NAMES | PEER_ZEROCOPY },
	/* Breaks the connection when many small records wait: paced like the lossy ones. */
	{ "vsock-seqpacket", "unix-seqpacket", AF_VSOCK, SOCK_SEQPACKET,
	  PEER_SOCKET | PEER_LISTENS | PEER_RECORDS | PEER_LOSSY },
	{ "tipc-stream", "unix-stream", AF_TIPC, SOCK_STREAM, LOCAL | PEER_LISTENS },
	{ "tipc-seqpacket", "unix-seqpacket", AF_TIPC, SOCK_SEQPACKET,
	  LOCAL | PEER_LISTENS | PEER_RECORDS },
	{ "tipc-rdm", "unix-dgram", AF_TIPC, SOCK_RDM,
	  LOCAL | PEER_DGRAM | PEER_RECORDS | PEER_LOSSY | PEER_NAMES },
	/* Between hosts, against what carries them there. */
	{ "veth-stream", "veth-tcp", AF_FERRY, SOCK_STREAM, PEER_SOCKET | PEER_NETWORK },
	{ "veth-seqpacket", "veth-tcp", AF_FERRY, SOCK_SEQPACKET,
	  PEER_SOCKET | PEER_NETWORK | PEER_RECORDS },
	{ "veth-tcp", "veth-tcp", AF_INET, SOCK_STREAM, PEER_SOCKET | PEER_NETWORK },
	{ "veth-dgram", "veth-udp", AF_FERRY, SOCK_DGRAM,
	  PEER_SOCKET | PEER_NETWORK | PEER_RECORDS | PEER_LOSSY },
	{ "veth-udp", "veth-udp", AF_INET, SOCK_DGRAM,
	  PEER_SOCKET | PEER_NETWORK | PEER_RECORDS | PEER_LOSSY },
	{ "memcpy", "unix-stream", AF_UNSPEC, 0, PEER_MEMCPY },
};

const size_t peer_count = ARRAY_SIZE(peers);

const struct peer *peer_find(const char *name)
{
	for (size_t i = 0; i < peer_count; i++)
		if (!strcmp(peers[i].name, name))
			return &peers[i];
	return NULL;
}

/* Ids must not come twice: what a closed socket leaves behind may hold them. */
unsigned int peer_new_id(void)
{
	static unsigned int *next;

	if (!next)
		next = shared_alloc(sizeof(*next));
	return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
}

int peer_socket(const struct peer *peer)
{
	int fd = socket(peer->family, peer->type | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd >= 0 && peer->family == AF_INET)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

/*
 * The @id-th address of the family. Every family gets explicit ones, so that
 * binding costs the search for a name and not the choice of one.
 */
socklen_t peer_address(const struct peer *peer, unsigned int id, struct sockaddr_storage *addr,
		       bool to_connect)
{
	memset(addr, 0, sizeof(*addr));
	addr->ss_family = peer->family;
	switch (peer->family) {
	case AF_FERRY: {
		struct sockaddr_ferry *sfy = (struct sockaddr_ferry *)addr;

		return FERRY_ADDR_LEN(snprintf(sfy->sfy_name, sizeof(sfy->sfy_name),
					       "bench/%08x", id));
	}
	case AF_UNIX: {
		struct sockaddr_un *sun = (struct sockaddr_un *)addr;

		/* Abstract: a file system's cost is not the socket's. */
		return offsetof(struct sockaddr_un, sun_path) + 1 +
		       snprintf(sun->sun_path + 1, sizeof(sun->sun_path) - 1, "bench/%08x", id);
	}
	case AF_INET: {
		struct sockaddr_in *sin = (struct sockaddr_in *)addr;

		/* Below the ephemeral ports. */
		sin->sin_port = htons(10000 + id % 20000);
		sin->sin_addr.s_addr = htonl((127 << 24) + 1 + id / 20000);
		return sizeof(*sin);
	}
	case AF_VSOCK: {
		struct sockaddr_vm *svm = (struct sockaddr_vm *)addr;

		svm->svm_cid = to_connect ? VMADDR_CID_LOCAL : VMADDR_CID_ANY;
		svm->svm_port = 0x10000 + id;
		return sizeof(*svm);
	}
	case AF_TIPC: {
		struct sockaddr_tipc *st = (struct sockaddr_tipc *)addr;

		if (to_connect) {
			st->addrtype = TIPC_SERVICE_ADDR;
			st->addr.name.name.type = TIPC_BENCH_TYPE;
			st->addr.name.name.instance = id;
		} else {
			st->addrtype = TIPC_SERVICE_RANGE;
			st->addr.nameseq.type = TIPC_BENCH_TYPE;
			st->addr.nameseq.lower = id;
			st->addr.nameseq.upper = id;
		}
		st->scope = TIPC_NODE_SCOPE;
		return sizeof(*st);
	}
	}
	return 0;
}

int peer_bind(const struct peer *peer, int fd, unsigned int id)
{
	struct sockaddr_storage addr;
	socklen_t len = peer_address(peer, id, &addr, false);

	return bind(fd, (struct sockaddr *)&addr, len);
}

int peer_connect(const struct peer *peer, int fd, unsigned int id)
{
	struct sockaddr_storage addr;
	socklen_t len = peer_address(peer, id, &addr, true);

	return connect(fd, (struct sockaddr *)&addr, len);
}

/* Some families finish a connect only in accept(2): start it without waiting. */
static int connected_pair(const struct peer *peer, int fd[2])
{
	struct pollfd pollfd = { .events = POLLIN };
	unsigned int id = peer_new_id();
	int listener = peer_socket(peer);
	int error = 0;
	socklen_t len = sizeof(error);

	fd[0] = peer_socket(peer);
	fd[1] = -1;
	if (listener < 0 || fd[0] < 0)
		return -1;
	if (peer_bind(peer, listener, id) || listen(listener, 8))
		return -1;
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	if (peer_connect(peer, fd[0], id) && errno != EINPROGRESS)
		return -1;
	/* VSOCK without its loopback accepts the connect and forgets it. */
	pollfd.fd = listener;
	if (poll(&pollfd, 1, CONNECT_TIMEOUT_MS) != 1) {
		errno = ETIMEDOUT;
		return -1;
	}
	fd[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd[1] < 0)
		return -1;
	pollfd = (struct pollfd){ .fd = fd[0], .events = POLLOUT };
	if (poll(&pollfd, 1, -1) < 0)
		return -1;
	if (getsockopt(fd[0], SOL_SOCKET, SO_ERROR, &error, &len) || error) {
		errno = error;
		return -1;
	}
	fcntl(fd[0], F_SETFL, 0);
	close(listener);
	return 0;
}

static int dgram_pair(const struct peer *peer, int fd[2])
{
	unsigned int id[2] = { peer_new_id(), peer_new_id() };

	for (int i = 0; i < 2; i++) {
		fd[i] = peer_socket(peer);
		if (fd[i] < 0 || peer_bind(peer, fd[i], id[i]))
			return -1;
	}
	return peer_connect(peer, fd[0], id[1]) || peer_connect(peer, fd[1], id[0]) ? -1 : 0;
}

/* A connected pair, by socketpair(2) where the family has it. */
int peer_pair(const struct peer *peer, struct link *link, bool duplex)
{
	int fd[2], back[2] = { -1, -1 };

	if (peer->flags & PEER_PIPE) {
		if (pipe2(fd, O_CLOEXEC) || (duplex && pipe2(back, O_CLOEXEC)))
			return -1;
		*link = (struct link){ .out = { fd[1], back[1] }, .in = { back[0], fd[0] } };
		return 0;
	}
	if (peer->flags & PEER_NETWORK) {
		if (network_pair(peer, fd))
			return -1;
	} else if (peer->flags & PEER_SOCKETPAIR) {
		if (socketpair(peer->family, peer->type | SOCK_CLOEXEC, 0, fd))
			return -1;
	} else if (peer->flags & PEER_LISTENS) {
		if (connected_pair(peer, fd))
			return -1;
	} else if (dgram_pair(peer, fd)) {
		return -1;
	}
	*link = (struct link){ .out = { fd[0], fd[1] }, .in = { fd[0], fd[1] } };
	return 0;
}

void peer_no_delay(const struct peer *peer, const struct link *link)
{
	int one = 1;

	if ((peer->family == AF_INET && peer->type == SOCK_STREAM) ||
	    (peer->flags & PEER_NETWORK && peer->type != SOCK_DGRAM))
		for (int i = 0; i < 2; i++)
			setsockopt(link->out[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (peer->family == AF_TIPC && peer->type == SOCK_STREAM)
		for (int i = 0; i < 2; i++)
			setsockopt(link->out[i], SOL_TIPC, TIPC_NODELAY, &one, sizeof(one));
}

/* 0 when the kernel has the peer, else the error that says it has not. */
int peer_probe(const struct peer *peer)
{
	struct link link;
	int fd;

	if (!(peer->flags & PEER_SOCKET))
		return 0;
	fd = peer_socket(peer);
	if (fd < 0)
		return errno;
	close(fd);
	/* A family may be there and have no local transport (VSOCK). */
	if (peer_pair(peer, &link, true))
		return errno;
	close(link.out[0]);
	close(link.out[1]);
	return 0;
}
