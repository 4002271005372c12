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
#include "rtnl.h"

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

/*
 * A number of /proc/sys/net/core that only the first namespace has: the old one, or -1.
 * A negative @value leaves it.
 */
static inline long net_core(const char *name, long value)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int first = open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC);
	FILE *f = NULL;
	char path[128];
	long old = -1;

	snprintf(path, sizeof(path), "/proc/sys/net/core/%s", name);
	if (!setns(first, CLONE_NEWNET))
		f = fopen(path, "r+e");
	if (f && fscanf(f, "%ld", &old) != 1)
		old = -1;
	if (f && value >= 0) {
		rewind(f);
		fprintf(f, "%ld\n", value);
	}
	if (f && fclose(f))
		old = -1;
	setns(home, CLONE_NEWNET);
	close(first);
	close(home);
	return old;
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

/*
 * Waits until @sent datagrams are with their socket, or lost, in a host: none of them is
 * still on its way there.
 */
static inline bool net_arrived(const struct net *net, int host, long sent)
{
	int64_t end = ft_now_ms() + FT_LONG_MS;

	while (net_stat(net, host, "udp_received") + net_stat(net, host, "udp_dropped") < sent) {
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
 * Two connected sockets: fd[0] of host 0, "client", and fd[1] of host 1, "server", at
 * @node of it.
 */
static inline bool net_pair(const struct net *net, int type, const char *node, int fd[2])
{
	bool stream = type != SOCK_DGRAM;
	struct ft_addr server;
	int listener;
	bool ok;

	umask(0);
	net_addr(&server, node, "server");
	listener = net_bound(net, 1, type, NULL, "server");
	fd[0] = net_bound(net, 0, type, NULL, "client");
	fd[1] = -1;
	ok = !(stream && listen(listener, 8)) && !connect(fd[0], &server.sa, server.len);
	if (ok)
		fd[1] = stream ? accept(listener, NULL, NULL) : dup(listener);
	ft_close(&listener);
	return fd[1] >= 0;
}

/* Packets that each band of the prio qdisc of a host's eth0 has passed. */
static inline bool net_bands(const struct net *net, int host, long bands[3])
{
	char line[256];
	int n = 0;
	FILE *f;

	if (!net_enter(net, host))
		return false;
	f = popen("tc -s class show dev eth0", "r");
	while (f && n < 3 && fgets(line, sizeof(line), f))
		n += sscanf(line, " Sent %*d bytes %ld pkt", &bands[n]) == 1;
	if (f)
		pclose(f);
	return net_enter(net, -1) && n == 3;
}

/* What a host has on a link: it is up, and so is its loopback. */
static inline bool net_configure(int rtnl, const char *dev, int subnet, int host)
{
	unsigned char v4[4] = { 10, 18, subnet, host + 1 };
	unsigned char v6[16] = { 0xfd, 0x18, 0, subnet, [15] = host + 1 };

	return rtnl_up(rtnl, "lo") && rtnl_up(rtnl, dev) &&
	       rtnl_addr(rtnl, dev, AF_INET, v4) && rtnl_addr(rtnl, dev, AF_INET6, v6);
}

/*
 * Waits until a host listens to who looks for its IPv6 address: the kernel sees to that
 * in a work of its own, which may come late, and what nobody answers is lost.
 */
static inline bool net_listens(const struct net *net, int host, const char *dev)
{
	char line[128], name[16], group[33], own[33];
	int64_t end = ft_now_ms() + FT_LONG_MS;
	bool found = false;
	FILE *f;

	snprintf(own, sizeof(own), "ff0200000000000000000001ff%06x", host + 1);
	while (!found && ft_now_ms() < end && net_enter(net, host)) {
		f = fopen("/proc/thread-self/net/igmp6", "r");
		while (f && !found && fgets(line, sizeof(line), f))
			found = sscanf(line, "%*d %15s %32s", name, group) == 2 &&
				!strcmp(name, dev) && !strcmp(group, own);
		if (f)
			fclose(f);
		net_enter(net, -1);
		sched_yield();
	}
	return found;
}

/*
 * Join two hosts by a link, device @dev at both: host i is 10.18.@subnet.(i + 1) and
 * fd18:@subnet::(i + 1).
 */
static inline bool net_link(const struct net *net, int a, int b, const char *dev,
			    int subnet)
{
	int at[2] = {
		net_socket(net, a, AF_NETLINK, SOCK_RAW),
		net_socket(net, b, AF_NETLINK, SOCK_RAW),
	};
	bool ok;

	ok = rtnl_veth(at[0], dev, net->ns[b]) &&
	     net_configure(at[0], dev, subnet, a) && net_configure(at[1], dev, subnet, b);
	close(at[0]);
	close(at[1]);
	return ok && net_listens(net, a, dev) && net_listens(net, b, dev);
}

/* One more host, without a link and with its door closed. */
static inline bool net_host(struct net *net)
{
	if (unshare(CLONE_NEWNET))
		return false;
	net->ns[net->hosts++] = open("/proc/thread-self/ns/net", O_RDONLY);
	return net_enter(net, -1) &&
	       !net_sysctl(net, net->hosts - 1, "ipv6/conf/default/accept_dad", "0");
}

/* Two hosts on a link, with their doors open at NET_PORT. False where there is no veth. */
static inline bool net_up(struct net *net)
{
	net->hosts = 0;
	net->home = open("/proc/thread-self/ns/net", O_RDONLY);
	return net_host(net) && net_host(net) &&
	       net_link(net, 0, 1, "eth0", 0) &&
	       !net_port(net, 0, NET_PORT) && !net_port(net, 1, NET_PORT);
}

static inline void net_down(struct net *net)
{
	while (net->hosts)
		close(net->ns[--net->hosts]);
	close(net->home);
}

#endif /* FERRY_NETWORK_H */
