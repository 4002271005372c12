/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hosts for tests of the carriers: network namespaces with veth links between them.
 *
 * A host is a namespace held by a descriptor. A socket made by net_socket() stays in
 * its host, wherever the test goes on. A host is gone when net_down() has closed its
 * descriptor and the last of its sockets is closed.
 */
#ifndef FERRY_NETWORK_H
#define FERRY_NETWORK_H

#include "ferry_test.h"

#include <arpa/inet.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/stat.h>

#define NET_HOSTS	3
#define NET_PORT	1818

/* struct net - the hosts of a test; those of net_up() are linked by eth0, subnet 0 */
struct net {
	int home;
	int hosts;
	int ns[NET_HOSTS];
};

static inline bool net_enter(const struct net *net, int host)
{
	return !setns(host < 0 ? net->home : net->ns[host], CLONE_NEWNET);
}

/* A shell command in a host; true if it succeeds. */
static inline bool net_run(const struct net *net, int host, const char *fmt, ...)
{
	char command[512];
	va_list args;
	bool ok;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	ok = net_enter(net, host) && !system(command);
	return net_enter(net, -1) && ok;
}

/* Write to a file below /proc/sys/net of a host; 0 or the error. */
static inline int net_sysctl(const struct net *net, int host, const char *name,
			     const char *value)
{
	char path[128];
	int err = 0, fd;

	if (!net_enter(net, host))
		return errno;
	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		err = errno;
	if (fd >= 0)
		close(fd);
	net_enter(net, -1);
	return err;
}

/* Open the door of a host at @port, or close it by 0; 0 or the error. */
static inline int net_port(const struct net *net, int host, int port)
{
	char value[16];

	snprintf(value, sizeof(value), "%d", port);
	return net_sysctl(net, host, "ferry/port", value);
}

/* A counter of /proc/net/ferry_stat of a host, or -1. */
static inline long net_stat(const struct net *net, int host, const char *name)
{
	long value = -1;

	if (net_enter(net, host))
		value = ft_proc_number("/proc/thread-self/net/ferry_stat", name);
	net_enter(net, -1);
	return value;
}

/* Waits until a counter of a host has reached @least. */
static inline bool net_stat_wait(const struct net *net, int host, const char *name,
				 long least)
{
	int64_t end = ft_now_ms() + FT_LONG_MS;

	while (net_stat(net, host, name) < least) {
		if (ft_now_ms() > end)
			return false;
		sched_yield();
	}
	return true;
}

static inline int net_socket(const struct net *net, int host, int domain, int type)
{
	int fd = -1;

	if (net_enter(net, host))
		fd = socket(domain, type, 0);
	net_enter(net, -1);
	return fd;
}

/* The address of a name at a node, IPv4 or IPv6 as text; NULL for any node. */
static inline void net_addr(struct ft_addr *addr, const char *node, const char *name)
{
	ft_addr_ferry(addr, name, strlen(name));
	addr->ferry.sfy_scope = FERRY_SCOPE_NETWORK;
	if (node && !inet_pton(AF_INET6, node, addr->ferry.sfy_node) &&
	    inet_pton(AF_INET, node, addr->ferry.sfy_node + 12))
		memset(addr->ferry.sfy_node + 10, 0xff, 2);
}

/* A socket of a host that is bound to a name with scope network, or -1. */
static inline int net_bound(const struct net *net, int host, int type,
			    const char *node, const char *name)
{
	int fd = net_socket(net, host, AF_FERRY, type);
	struct ft_addr addr;

	net_addr(&addr, node, name);
	if (fd >= 0 && bind(fd, &addr.sa, addr.len))
		ft_close(&fd);
	return fd;
}

/* A socket of a host that listens at a name all may connect to, or -1. */
static inline int net_listener(const struct net *net, int host, int type,
			       const char *name)
{
	int fd;

	umask(0);
	fd = net_bound(net, host, type, NULL, name);
	if (fd >= 0 && listen(fd, 8))
		ft_close(&fd);
	return fd;
}

/* In the place of a host's door: a plain listener of TCP, or -1. */
static inline int net_impostor(const struct net *net, int host)
{
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(NET_PORT),
	};
	int fd = -1;

	if (net_port(net, host, 0))
		return -1;
	fd = net_socket(net, host, AF_INET6, SOCK_STREAM);
	ft_setint(fd, SO_REUSEADDR, 1);
	if (bind(fd, (void *)&in6, sizeof(in6)) || listen(fd, 8))
		ft_close(&fd);
	return fd;
}

/*
 * Join two hosts by a link, device @dev at both: host i is 10.18.@subnet.(i + 1) and
 * fd18:@subnet::(i + 1). One ip(8) for each, as they take long under emulation.
 */
static inline bool net_link(const struct net *net, int a, int b, const char *dev,
			    int subnet)
{
	static const char up[] = "link set lo up\\n"
				 "link set %1$s up\\n"
				 "addr add 10.18.%2$d.%3$d/24 brd + dev %1$s\\n"
				 "addr add fd18:%2$d::%3$d/64 dev %1$s nodad\\n";
	char text[2][256], peer[64];

	snprintf(text[0], sizeof(text[0]), up, dev, subnet, a + 1);
	snprintf(text[1], sizeof(text[1]), up, dev, subnet, b + 1);
	snprintf(peer, sizeof(peer), "%s netns /proc/%d/fd/%d", dev, getpid(), net->ns[b]);
	return net_run(net, a, "printf 'link add %s type veth peer name %s\\n%s' | ip -b -",
		       dev, peer, text[0]) &&
	       net_run(net, b, "printf '%s' | ip -b -", text[1]);
}

/*
 * Two hosts on a link, with their doors open at NET_PORT. False where the kernel has
 * no veth, or there is no ip(8).
 */
static inline bool net_up(struct net *net)
{
	int i;

	net->hosts = 0;
	net->home = open("/proc/thread-self/ns/net", O_RDONLY);
	for (i = 0; i < 2; i++) {
		if (unshare(CLONE_NEWNET))
			return false;
		net->ns[i] = open("/proc/thread-self/ns/net", O_RDONLY);
		net->hosts++;
		if (!net_enter(net, -1) ||
		    net_sysctl(net, i, "ipv6/conf/default/accept_dad", "0"))
			return false;
	}
	return net_link(net, 0, 1, "eth0", 0) &&
	       !net_port(net, 0, NET_PORT) && !net_port(net, 1, NET_PORT);
}

static inline void net_down(struct net *net)
{
	while (net->hosts)
		close(net->ns[--net->hosts]);
	close(net->home);
}

#endif /* FERRY_NETWORK_H */
