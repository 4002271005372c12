// SPDX-License-Identifier: GPL-2.0
/*
 * What the calls of calls.def do, each in a function of its own that needs nothing
 * but what comes first here: a reproducer has copies of those that it calls.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/ferry.h>
#include <linux/ferry_diag.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>

#include "steps.h"
#include "calls.h"

#define COUNT(array)	(sizeof(array) / sizeof(*(array)))
#define AT(array, i)	((array)[(unsigned long)(i) % COUNT(array)])
#define FD(i)		(slot[(unsigned long)(i) % STEP_SLOTS])

/* A descriptor's new owner is its place; what was there is closed. */
static inline long keep(long place, int fd)
{
	int old;

	if (fd < 0)
		return -1;
	old = __atomic_exchange_n(&FD(place), fd, __ATOMIC_ACQ_REL);
	if (old >= 0)
		close(old);
	return fd;
}

static inline size_t length(long n)
{
	return n < 0 ? (size_t)n : (size_t)n % (STEP_AREA + 1);
}

/* Memory of a length: usable, cut short, absent, of the kernel. */
static inline void *memory(long kind, size_t len)
{
	if (len > STEP_AREA)
		len = STEP_AREA;
	switch ((unsigned long)kind % 64) {
	case 1:
		return area + STEP_AREA - len / 2;
	case 2:
		return NULL;
	case 3:
		return area + STEP_AREA;
	case 4:
		return (void *)0xffff888000001000;
	case 5:
		return area + STEP_AREA - len;
	case 6:
		return area + 4096 - len % 4096;
	}
	return area;
}

static inline size_t make_name(long which, char *to)
{
	switch ((unsigned long)which % 16) {
	case 8:
		return 0;
	case 9:
		memcpy(to, "x\0y", 3);
		return 3;
	case 10:
		memset(to, 'L', FERRY_NAME_MAX);
		return FERRY_NAME_MAX;
	case 11:
		memset(to, 'M', FERRY_NAME_MAX + 1);
		return FERRY_NAME_MAX + 1;
	case 12:
		memcpy(to, "system/n", 8);
		return 8;
	case 13:
		memcpy(to, "auto/0123456789abcdef", 21);
		return 21;
	case 14:
		memset(to, 0xff, 7);
		return 7;
	case 15:
		*to = 0;
		return 1;
	}
	memcpy(to, "service", 7);
	to[7] = 'a' + (unsigned long)which % 16;
	return 8;
}

static inline void make_node(long which, unsigned char *node)
{
	static const char *const nodes[] = {
		"::", "::ffff:10.18.0.1", "::ffff:10.18.0.2", "fd12::1", "fd12::2",
		"::ffff:10.19.0.1", "::ffff:10.19.0.2", "fd13::1", "fd13::2",
		"ff01::1", "ff02::1", "::ffff:255.255.255.255", "::ffff:10.18.0.255",
		"::ffff:127.0.0.1", "::1", "::ffff:0.0.0.0", "fe80::1", "ff05::7",
		"::ffff:224.0.0.1", "2001:db8::1",
	};

	inet_pton(AF_INET6, AT(nodes, which), node);
}

/* The address of a name, length, scope and node; 256 bytes of room. */
static inline socklen_t make_address(char *to, const long *a)
{
	struct sockaddr_ferry *addr = (void *)to;
	static const int families[] = { AF_FERRY, AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX, 65535 };
	size_t len;

	memset(to, 0, 256);
	len = FERRY_ADDR_LEN(make_name(a[0], addr->sfy_name));
	addr->sfy_scope = (unsigned long)a[2] & 15;
	addr->sfy_family = AT(families, (unsigned long)a[2] >> 4 & 15);
	make_node(a[3], addr->sfy_node);
	switch ((unsigned long)a[1] % 16) {
	case 1:
		return len + 1;
	case 2:
		return len - 1;
	case 3:
		return FERRY_ADDR_HDR - 1;
	case 4:
		return FERRY_ADDR_HDR;
	case 5:
		return sizeof(*addr);
	case 6:
		return sizeof(*addr) + 1;
	case 7:
		return 2;
	case 8:
		return 0;
	case 9:
		return -1;
	case 10:
		return 0x7fffffff;
	case 11:
		return 1;
	}
	return len;
}

/* Node and port as an address of INET6 or INET. */
static inline socklen_t make_inet(long which, struct sockaddr_storage *to)
{
	struct sockaddr_in6 *v6 = (void *)to;
	struct sockaddr_in *v4 = (void *)to;
	unsigned char node[16];

	memset(to, 0, sizeof(*to));
	make_node(which, node);
	if (!memcmp(node, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(STEP_PORT);
		memcpy(&v4->sin_addr, node + 12, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(STEP_PORT);
	memcpy(&v6->sin6_addr, node, 16);
	return sizeof(*v6);
}

static inline size_t add_control(char *to, size_t at, int level, int type, const void *data,
				 size_t len)
{
	struct cmsghdr *cmsg = (void *)(to + at);

	cmsg->cmsg_level = level;
	cmsg->cmsg_type = type;
	cmsg->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(cmsg), data, len);
	return at + CMSG_SPACE(len);
}

/* Control messages of a kind; 2 KiB of room. */
static inline size_t make_control(long kind, int fd, int fd2, char *to)
{
	static const int levels[] = { SOL_SOCKET, SOL_FERRY, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP,
		17 };
	struct ucred who = { getpid(), geteuid(), getegid() };
	int many[254], both[] = { fd, fd2 }, i;
	unsigned long k = kind, value = k >> 4;
	size_t n = 0;

	memset(to, 0, 2048);
	switch (k % 24) {
	case 1:
		return add_control(to, 0, SOL_SOCKET, SCM_RIGHTS, &fd, 4);
	case 2:
		return add_control(to, 0, SOL_SOCKET, SCM_RIGHTS, both, 8);
	case 3:
		for (i = 0; i < 254; i++)
			many[i] = i & 1 ? fd : fd2;
		return add_control(to, 0, SOL_SOCKET, SCM_RIGHTS, many, 4 * (k & 32 ? 253 : 254));
	case 4:
		return add_control(to, 0, SOL_SOCKET, SCM_CREDENTIALS, &who, sizeof(who));
	case 5:
		who.pid = 1;
		who.uid = value;
		return add_control(to, 0, SOL_SOCKET, SCM_CREDENTIALS, &who, sizeof(who));
	case 6:
		return add_control(to, 0, SOL_SOCKET, SO_MARK, &value, 4);
	case 7:
		value = 1UL << (k >> 4 & 31);
		return add_control(to, 0, SOL_SOCKET, SO_TIMESTAMPING, &value, 4);
	case 8:
		return add_control(to, 0, SOL_SOCKET, SO_TXTIME, &value, 8);
	case 9:
		n = add_control(to, 0, SOL_SOCKET, SCM_RIGHTS, &fd, 4);
		((struct cmsghdr *)to)->cmsg_len = value & 1 ? (size_t)-1 : value & 15;
		return n;
	case 10:
		n = add_control(to, 0, SOL_SOCKET, SCM_RIGHTS, &fd, 4);
		n = add_control(to, n, SOL_SOCKET, SCM_CREDENTIALS, &who, sizeof(who));
		return add_control(to, n, SOL_SOCKET, SCM_RIGHTS, both, 8);
	case 11:
		n = add_control(to, 0, SOL_SOCKET, SO_TIMESTAMPING, (int []) { 0x1a }, 4);
		return add_control(to, n, SOL_SOCKET, 81, &value, 4);
	case 12:
		return add_control(to, 0, SOL_SOCKET, SO_PRIORITY, &value, 4);
	case 13:
		return add_control(to, 0, IPPROTO_IP, value % 12, &value, 4);
	case 14:
		return add_control(to, 0, IPPROTO_IPV6, value % 80, &value, 4);
	case 15:
		return add_control(to, 0, 17, 103 + value % 2, &value, 2);
	case 16:
	case 17:
	case 18:
		return add_control(to, 0, AT(levels, k >> 5), value % 90, both, 4 * (k & 1));
	case 19:
		return add_control(to, 0, SOL_SOCKET, SCM_RIGHTS, both, 0);
	case 20:
		return add_control(to, 0, IPPROTO_IP, 8, (int [3]) { 1, 0x0100007f }, 12);
	case 21:
		return add_control(to, 0, IPPROTO_IPV6, 50, (int [5]) { value, 0, 0, 0, 1 }, 20);
	}
	return 0;
}

/* Descriptors that came get places, the rest is closed. */
static inline void take_control(struct msghdr *msg)
{
	struct cmsghdr *cmsg;
	size_t i, n;
	int fd;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / 4;
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + 4 * i, 4);
			if (i < 2)
				keep(14 + i, fd);
			else
				close(fd);
		}
	}
}

static inline int scatter(struct iovec *iov, long how, void *from, size_t len)
{
	int n = 1 + (unsigned long)how % 5, i;

	for (i = 0; i < n; i++) {
		iov[i].iov_base = (char *)from + (len > STEP_AREA ? 0 : len / n * i);
		iov[i].iov_len = i < n - 1 ? len / n : len - len / n * (n - 1);
	}
	return n;
}

/* The next connection of a listener, which may take a while. */
static inline int await(int listener)
{
	int fd, tries;

	for (tries = 0; tries < 40; tries++) {
		fd = accept(listener, NULL, NULL);
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			return fd;
		poll(&(struct pollfd) { listener, POLLIN }, 1, 20);
	}
	return -1;
}

/* A listener for what comes from other hosts, that does not wait. */
static inline int listener_for_all(int type)
{
	struct sockaddr_ferry all = { .sfy_family = AF_FERRY, .sfy_scope = FERRY_SCOPE_NETWORK };
	int fd = socket(AF_FERRY, type | SOCK_NONBLOCK, 0);

	memcpy(all.sfy_name, "listener", 8);
	if (bind(fd, (void *)&all, FERRY_ADDR_LEN(8)) || listen(fd, 8)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The calls begin here. */

long do_socket(const long *a)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM, SOCK_RAW, 0, 10 };
	int flags = (a[2] & 3 ? SOCK_NONBLOCK : 0) | (a[2] & 4 ? SOCK_CLOEXEC : 0);

	return keep(a[0], socket(AF_FERRY, AT(types, a[1]) | flags, a[3] == 7 ? 1 : 0));
}

long do_pair(const long *a)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM, SOCK_RAW };
	int fds[2];

	if (socketpair(AF_FERRY, AT(types, a[2]) | (a[3] & 1 ? SOCK_NONBLOCK : 0), 0, fds))
		return -1;
	keep(a[0], fds[0]);
	return keep(a[1], fds[1]);
}

long do_bind(const long *a)
{
	char addr[256];
	socklen_t len = make_address(addr, a + 1);

	return bind(FD(a[0]), (void *)addr, len);
}

/* Both ends of a connection between the first two namespaces. */
long do_far(const long *a)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	int home = open("/proc/thread-self/ns/net", O_RDONLY), fd, l, end = -1;
	int type = AT(types, a[2]);
	const long address[] = { 0, 0, 1, a[3] & 1 ? 2 : 4 };
	char addr[256];
	socklen_t len;

	setns(host[1], CLONE_NEWNET);
	l = listener_for_all(type);
	setns(host[0], CLONE_NEWNET);
	fd = socket(AF_FERRY, type | SOCK_NONBLOCK, 0);
	len = make_address(addr, address);
	memcpy(((struct sockaddr_ferry *)addr)->sfy_name, "listener", 8);
	if (l >= 0 && (!connect(fd, (void *)addr, len) || errno == EINPROGRESS))
		end = await(l);
	if (a[3] & 2)
		poll(&(struct pollfd) { fd, POLLOUT }, 1, 100);
	setns(home, CLONE_NEWNET);
	if (!(a[3] & 4))
		close(l);
	close(home);
	keep(a[0], fd);
	return keep(a[1], end);
}

/* A connection of records or bytes whose other end is one of TCP, of another host. */
long do_stranger(const long *a)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY);
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	char hello[16] = "FRRY\1\2\0\10listener";
	struct sockaddr_in6 where = {
		.sin6_family = AF_INET6, .sin6_port = htons(STEP_PORT),
	};
	int type = AT(types, a[2]), l, fd, end = -1;

	make_node(4, where.sin6_addr.s6_addr);
	hello[5] = type == SOCK_STREAM ? 2 : 3;
	setns(host[1], CLONE_NEWNET);
	l = listener_for_all(type);
	setns(host[0], CLONE_NEWNET);
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	if (l >= 0 && !connect(fd, (void *)&where, sizeof(where)) &&
	    send(fd, hello, sizeof(hello), MSG_NOSIGNAL) == sizeof(hello))
		end = await(l);
	close(l);
	setns(home, CLONE_NEWNET);
	close(home);
	recv(fd, area, 8, 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	keep(a[0], fd);
	return keep(a[1], end);
}

/* A bound socket, which listens where it can. */
long do_serve(const long *a)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	const long address[] = { a[2], 0, a[3], a[4] };
	int fd = socket(AF_FERRY, AT(types, a[1]) | (a[5] & 1 ? SOCK_NONBLOCK : 0), 0), on = 1;
	char addr[256];
	socklen_t len = make_address(addr, address);

	if (a[5] & 2)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (a[5] & 4)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	bind(fd, (void *)addr, len);
	if (AT(types, a[1]) != SOCK_DGRAM)
		listen(fd, a[5] >> 3 & 7);
	return keep(a[0], fd);
}

long do_listen(const long *a)
{
	static const int backlogs[] = { 0, 1, 2, 5, 128, -1, 0x7fffffff, 1 << 31 };

	return listen(FD(a[0]), AT(backlogs, a[1]));
}

long do_connect(const long *a)
{
	char addr[256];
	socklen_t len = make_address(addr, a + 1);

	return connect(FD(a[0]), (void *)addr, len);
}

long do_accept(const long *a)
{
	socklen_t len = a[2] & 8 ? a[2] : 128;
	char addr[256];

	return keep(a[0], accept4(FD(a[1]), a[2] & 2 ? (void *)addr : NULL, &len,
				  a[2] & 1 ? SOCK_NONBLOCK : 0));
}

long do_send(const long *a)
{
	size_t len = length(a[1]);

	return send(FD(a[0]), memory(a[3], len), len, a[2]);
}

long do_sendto(const long *a)
{
	char addr[256];
	size_t len = length(a[1]);
	socklen_t addr_len = make_address(addr, a + 3);

	return sendto(FD(a[0]), memory(a[7], len), len, a[2], (void *)addr, addr_len);
}

long do_sendmsg(const long *a)
{
	struct msghdr msg = { .msg_iov = NULL };
	size_t len = length(a[1]);
	struct iovec iov[5];
	char control[2048];

	msg.msg_iov = iov;
	msg.msg_iovlen = scatter(iov, a[6], memory(a[7], len), len);
	msg.msg_control = control;
	msg.msg_controllen = make_control(a[3], FD(a[4]), FD(a[5]), control);
	return sendmsg(FD(a[0]), &msg, a[2]);
}

long do_sendmsgto(const long *a)
{
	const long address[] = { a[3], 0, a[4] != 0, a[4] };
	struct msghdr msg = { .msg_iov = NULL };
	size_t len = length(a[1]);
	char control[2048], addr[256];
	struct iovec iov[5];

	msg.msg_iov = iov;
	msg.msg_iovlen = scatter(iov, a[5] >> 5, memory(a[7], len), len);
	msg.msg_control = control;
	msg.msg_controllen = make_control(a[5], FD(a[6]), FD(a[6]), control);
	msg.msg_name = addr;
	msg.msg_namelen = make_address(addr, address);
	return sendmsg(FD(a[0]), &msg, a[2]);
}

long do_sendmmsg(const long *a)
{
	struct mmsghdr msgs[8];
	struct iovec iov[8];
	int i;

	memset(msgs, 0, sizeof(msgs));
	for (i = 0; i < 8; i++) {
		iov[i].iov_base = area;
		iov[i].iov_len = length(a[1]);
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	return sendmmsg(FD(a[0]), msgs, 1 + (unsigned long)a[3] % 8, a[2]);
}

long do_recv(const long *a)
{
	size_t len = length(a[1]);

	return recv(FD(a[0]), memory(a[3], len), len, a[2]);
}

long do_recvfrom(const long *a)
{
	static const socklen_t lengths[] = { 128, 0, 1, 20, 21, 127, 256, -1, 0x7fffffff };
	socklen_t len = AT(lengths, a[3]);
	char addr[256];

	return recvfrom(FD(a[0]), area, length(a[1]), a[2], (void *)addr, &len);
}

long do_recvmsg(const long *a)
{
	static const size_t lengths[] = { 0, 1, 15, 16, 20, 24, 28, 32, 64, 256, 1040, 2048 };
	struct msghdr msg = { .msg_iov = NULL };
	size_t len = length(a[1]);
	char control[2048], addr[256];
	struct iovec iov[5];
	long n;

	msg.msg_iov = iov;
	msg.msg_iovlen = scatter(iov, a[3], memory(a[5], len), len);
	msg.msg_control = control;
	msg.msg_controllen = AT(lengths, a[4]);
	msg.msg_name = a[3] & 8 ? addr : NULL;
	msg.msg_namelen = a[3] & 16 ? 128 : a[3];
	n = recvmsg(FD(a[0]), &msg, a[2]);
	if (n >= 0)
		take_control(&msg);
	return n;
}

long do_recvmmsg(const long *a)
{
	struct timespec soon = { .tv_nsec = 1000000 };
	struct mmsghdr msgs[8];
	struct iovec iov[8];
	int i;

	memset(msgs, 0, sizeof(msgs));
	for (i = 0; i < 8; i++) {
		iov[i].iov_base = area;
		iov[i].iov_len = length(a[1]);
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	return recvmmsg(FD(a[0]), msgs, 1 + (unsigned long)a[3] % 8, a[2], a[3] & 8 ? &soon : NULL);
}

long do_read(const long *a)
{
	size_t len = length(a[1]);
	struct iovec iov[5];
	int n;

	if (!(a[3] & 1))
		return read(FD(a[0]), memory(a[2], len), len);
	n = scatter(iov, a[3] >> 3, memory(a[2], len), len);
	return preadv2(FD(a[0]), iov, n, a[3] & 2 ? 0 : -1, a[3] & 4 ? RWF_NOWAIT : 0);
}

long do_write(const long *a)
{
	size_t len = length(a[1]);
	struct iovec iov[5];
	int n;

	if (!(a[3] & 1))
		return write(FD(a[0]), memory(a[2], len), len);
	n = scatter(iov, a[3] >> 3, memory(a[2], len), len);
	return pwritev2(FD(a[0]), iov, n, a[3] & 2 ? 0 : -1, a[3] & 4 ? RWF_NOWAIT : 0);
}

/* Level in the high byte of the option; the value is a pair, as for linger. */
long do_setsockopt(const long *a)
{
	static const int levels[] = { SOL_SOCKET, SOL_FERRY, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP,
		17, 999 };
	static const socklen_t lengths[] = { 4, 4, 4, 4, 8, 8, 16, 1, 0, 3, 2, -1, 64, 0x7fffffff };
	int pair[16] = { a[2], a[3], 0, a[3] };

	return setsockopt(FD(a[0]), AT(levels, a[1] >> 8), a[1] & 255, pair, AT(lengths, a[4]));
}

long do_getsockopt(const long *a)
{
	static const int levels[] = { SOL_SOCKET, SOL_FERRY, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP,
		17, 999 };
	static const socklen_t lengths[] = { 4, 8, 256, 4096, 1, 0, 3, 47, -1, 0x7fffffff };
	socklen_t len = AT(lengths, a[2]);

	return getsockopt(FD(a[0]), AT(levels, a[1] >> 8), a[1] & 255, memory(a[3], 256), &len);
}

long do_settime(const long *a)
{
	struct timeval time = { a[2] == 255 ? -1 : 0, a[2] * 100 };

	return setsockopt(FD(a[0]), SOL_SOCKET, a[1] & 1 ? SO_RCVTIMEO : SO_SNDTIMEO, &time,
			  sizeof(time));
}

long do_linger(const long *a)
{
	struct linger linger = { a[1] & 1, a[2] & 1 };

	return setsockopt(FD(a[0]), SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

long do_device(const long *a)
{
	static const char *const devices[] = { "lo", "eth0", "eth1", "", "nosuch",
		"a-name-that-is-too-long" };
	const char *device = AT(devices, a[1]);

	return setsockopt(FD(a[0]), SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device) + 1);
}

/* Classic programs: of the socket or of the group; pass, drop, cut, look. */
long do_filter(const long *a)
{
	static const int options[] = { SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF, SO_DETACH_FILTER,
		SO_DETACH_REUSEPORT_BPF, SO_LOCK_FILTER };
	static const int looks[] = { 0, 1, 5, 100, 0x7fffffff, SKF_AD_OFF + SKF_AD_PROTOCOL,
		SKF_AD_OFF + SKF_AD_MARK, SKF_AD_OFF + SKF_AD_PKTTYPE, SKF_AD_OFF + SKF_AD_IFINDEX,
		SKF_AD_OFF + SKF_AD_NLATTR, SKF_NET_OFF, SKF_LL_OFF, SKF_AD_OFF + SKF_AD_RANDOM,
		SKF_AD_OFF + SKF_AD_PAY_OFFSET };
	static const int rets[] = { 0, -1, 1, 3, 0xffff, 5 };
	struct sock_filter code[] = {
		{ BPF_LD | BPF_ABS | (a[3] & 1 ? BPF_B : BPF_W), 0, 0, AT(looks, a[2]) },
		{ (a[3] & 2 ? BPF_RET | BPF_A : BPF_RET | BPF_K), 0, 0, AT(rets, a[3] >> 2) },
	};
	struct sock_fprog prog = { 2, code };

	return setsockopt(FD(a[0]), SOL_SOCKET, AT(options, a[1]), &prog, sizeof(prog));
}

/* The same by eBPF: a program that returns a constant. */
long do_bpf(const long *a)
{
	static const int rets[] = { 0, -1, 1, 3, 0xffff, 5 };
	struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = AT(rets, a[2]) },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER };
	int prog;
	long ret;

	attr.insns = (uintptr_t)code;
	attr.insn_cnt = 2;
	attr.license = (uintptr_t)"GPL";
	prog = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	ret = setsockopt(FD(a[0]), SOL_SOCKET,
			 a[1] & 1 ? SO_ATTACH_BPF : SO_ATTACH_REUSEPORT_EBPF, &prog, sizeof(prog));
	if (prog >= 0)
		close(prog);
	return ret;
}

long do_stamping(const long *a)
{
	int flags = a[1];

	return setsockopt(FD(a[0]), SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags));
}

long do_ioctl(const long *a)
{
	static const unsigned int requests[] = { FIONREAD, TIOCOUTQ, SIOCATMARK, 0x8906, 0x8907,
		FIOASYNC, FIOSETOWN, SIOCSPGRP, FIOGETOWN, SIOCGPGRP, FIONBIO, SIOCGIFINDEX,
		SIOCOUTQNSD, 0x89e0, TCGETS, 0xffffffff };
	long value[8] = { a[2] };

	return ioctl(FD(a[0]), AT(requests, a[1]), a[3] & 60 ? value : memory(a[3], 8));
}

long do_fcntl(const long *a)
{
	static const int owners[] = { F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP, 9 };
	struct f_owner_ex owner = { AT(owners, a[2]), getpid() };
	int fd = FD(a[0]);

	switch ((unsigned long)a[1] % 8) {
	case 0:
		return fcntl(fd, F_SETFL, O_NONBLOCK);
	case 1:
		return fcntl(fd, F_SETFL, a[2] & 1 ? O_ASYNC | O_NONBLOCK : 0);
	case 2:
		return fcntl(fd, F_SETOWN, a[2] & 1 ? getpid() : a[2] & 2 ? -getpid() : 0);
	case 3:
		return fcntl(fd, F_SETSIG, a[2] & 1 ? SIGRTMIN + 2 : SIGIO);
	case 4:
		return fcntl(fd, F_SETOWN_EX, &owner);
	case 5:
		return fcntl(fd, F_GETOWN);
	case 6:
		return fcntl(fd, F_SETFL, O_ASYNC);
	}
	return fcntl(fd, F_SETPIPE_SZ, a[2]);
}

long do_shutdown(const long *a)
{
	static const int hows[] = { SHUT_RD, SHUT_WR, SHUT_RDWR, 3, -1 };

	return shutdown(FD(a[0]), AT(hows, a[1]));
}

long do_close(const long *a)
{
	int fd = a[1] & 1 ? FD(a[0]) : __atomic_exchange_n(&FD(a[0]), -1, __ATOMIC_ACQ_REL);

	/* Odd: the place keeps the number, which others may use meanwhile. */
	return fd < 0 ? -1 : close(fd);
}

long do_dup(const long *a)
{
	return a[0] & 1 ? dup2(FD(a[1]), FD(a[2])) : keep(a[0], dup(FD(a[1])));
}

long do_poll(const long *a)
{
	struct pollfd fds[] = {
		{ FD(a[0]), a[3] & 1 ? POLLIN : -1 },
		{ FD(a[1]), a[3] & 2 ? POLLOUT : POLLIN },
		{ FD(a[2]), a[3] & 4 ? POLLPRI | POLLRDHUP : 0 },
	};

	return poll(fds, 3, a[4] & 7);
}

long do_select(const long *a)
{
	int one = FD(a[0]), two = FD(a[1]);
	struct timeval time = { 0, (a[2] & 7) * 500 };
	fd_set in, out, urgent;

	FD_ZERO(&in);
	if (one < 0 || two < 0)
		return -1;
	FD_SET(one, &in);
	FD_SET(two, &in);
	out = in;
	urgent = in;
	return select((one > two ? one : two) + 1, &in, a[2] & 8 ? &out : NULL, &urgent, &time);
}

long do_epoll(const long *a)
{
	return keep(a[0], epoll_create1(0));
}

long do_epoll_ctl(const long *a)
{
	static const unsigned int events[] = { EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLOUT | EPOLLET,
		EPOLLPRI | EPOLLRDHUP, EPOLLIN | EPOLLONESHOT, EPOLLIN | EPOLLEXCLUSIVE, 0 };
	struct epoll_event event = { AT(events, a[3]), { 0 } };

	return epoll_ctl(FD(a[0]), 1 + (unsigned long)a[2] % 3, FD(a[1]), &event);
}

long do_epoll_wait(const long *a)
{
	struct epoll_event events[4];

	return epoll_wait(FD(a[0]), events, 1 + (a[1] & 3), a[1] >> 2 & 7);
}

long do_name(const long *a)
{
	socklen_t len = a[1] & 2 ? a[2] : 128;

	if (a[1] & 1)
		return getpeername(FD(a[0]), memory(a[3], 128), &len);
	return getsockname(FD(a[0]), memory(a[3], 128), &len);
}

long do_pipe(const long *a)
{
	int fds[2];

	if (pipe2(fds, O_NONBLOCK))
		return -1;
	keep(a[0], fds[0]);
	return keep(a[1], fds[1]);
}

long do_file(const long *a)
{
	int fd = memfd_create("fuzz", 0);

	if (ftruncate(fd, length(a[1])))
		return -1;
	return keep(a[0], fd);
}

long do_splice(const long *a)
{
	return splice(FD(a[0]), NULL, FD(a[1]), NULL, length(a[2]), a[3] & 15);
}

long do_tee(const long *a)
{
	return tee(FD(a[0]), FD(a[1]), length(a[2]), a[3] & 15);
}

long do_vmsplice(const long *a)
{
	struct iovec iov = { area, length(a[1]) };

	return vmsplice(FD(a[0]), &iov, 1, a[2] & 15);
}

long do_sendfile(const long *a)
{
	off_t at = length(a[3]);

	return sendfile(FD(a[0]), FD(a[1]), a[3] & 1 ? &at : NULL, length(a[2]));
}

long do_map(const long *a)
{
	void *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, FD(a[0]), a[1] & ~4095L);

	return at == MAP_FAILED ? -1 : munmap(at, 4096);
}

struct fuzz_ring {
	bool ready;
	int fd;
	char *rings;
	struct io_uring_sqe *sqes;
	struct io_uring_params p;
	struct msghdr msg;
	struct iovec iov[5];
	char control[2048], addr[256];
	socklen_t addr_len;
};

static inline struct fuzz_ring *ring_of(long which)
{
	static struct fuzz_ring rings[2];

	return &rings[which & 1];
}

long do_ring(const long *a)
{
	static const unsigned int flags[] = { 0, IORING_SETUP_IOPOLL, IORING_SETUP_SQPOLL,
		IORING_SETUP_COOP_TASKRUN,
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN };
	struct fuzz_ring *r = ring_of(a[0]);
	struct io_uring_params p = { .flags = a[1] & 64 ? AT(flags, a[1]) : 0 };
	void *rings, *sqes;
	size_t len;
	int fd;

	if (r->ready)
		return -1;
	fd = syscall(SYS_io_uring_setup, 16, &p);
	if (fd < 0)
		return -1;
	len = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	rings = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	sqes = mmap(NULL, p.sq_entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    IORING_OFF_SQES);
	if (rings == MAP_FAILED || sqes == MAP_FAILED)
		return close(fd);
	r->fd = fd;
	r->p = p;
	r->rings = rings;
	r->sqes = sqes;
	__atomic_store_n(&r->ready, true, __ATOMIC_RELEASE);
	return keep(a[2], dup(fd));
}

long do_uring(const long *a)
{
	static const unsigned char operations[] = { IORING_OP_SEND, IORING_OP_RECV,
		IORING_OP_SENDMSG,
		IORING_OP_RECVMSG, IORING_OP_ACCEPT, IORING_OP_CONNECT, IORING_OP_SHUTDOWN,
		IORING_OP_CLOSE, IORING_OP_POLL_ADD, IORING_OP_POLL_REMOVE, IORING_OP_READ,
		IORING_OP_WRITE, IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_SPLICE, IORING_OP_TEE,
		IORING_OP_SEND_ZC, IORING_OP_SENDMSG_ZC, IORING_OP_ASYNC_CANCEL, IORING_OP_SOCKET,
		IORING_OP_FILES_UPDATE, IORING_OP_PROVIDE_BUFFERS, IORING_OP_LINK_TIMEOUT, 46 };
	const long address[] = { a[5], 0, a[5] & 1, a[5] >> 4 };
	struct fuzz_ring *r = ring_of(a[0]);
	struct io_uring_sqe *sqe;
	unsigned int *tail, i;
	size_t len = length(a[3]);

	if (!__atomic_load_n(&r->ready, __ATOMIC_ACQUIRE))
		return -1;
	tail = (void *)(r->rings + r->p.sq_off.tail);
	i = *tail & (r->p.sq_entries - 1);
	((unsigned int *)(r->rings + r->p.sq_off.array))[i] = i;
	sqe = &r->sqes[i];
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = AT(operations, a[1]);
	sqe->fd = FD(a[2]);
	sqe->addr = (uintptr_t)area;
	sqe->len = len;
	sqe->msg_flags = a[4];
	sqe->off = -1;
	sqe->user_data = a[5] & 3;
	sqe->flags = a[7] & (IOSQE_ASYNC | IOSQE_IO_LINK | IOSQE_IO_DRAIN | IOSQE_CQE_SKIP_SUCCESS);
	sqe->ioprio = a[5] & 128 ? a[5] & 15 : 0;
	r->msg.msg_iov = r->iov;
	r->msg.msg_iovlen = scatter(r->iov, a[5], area, len);
	r->msg.msg_control = r->control;
	switch (sqe->opcode) {
	case IORING_OP_SENDMSG:
	case IORING_OP_SENDMSG_ZC:
		r->msg.msg_controllen = make_control(a[5], FD(a[6]), FD(a[2]), r->control);
		sqe->addr = (uintptr_t)&r->msg;
		sqe->len = 1;
		break;
	case IORING_OP_RECVMSG:
		r->msg.msg_controllen = a[5] & 1 ? sizeof(r->control) : 0;
		sqe->addr = (uintptr_t)&r->msg;
		sqe->len = 1;
		break;
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
		sqe->addr = (uintptr_t)r->iov;
		sqe->len = r->msg.msg_iovlen;
		break;
	case IORING_OP_CONNECT:
		sqe->off = make_address(r->addr, address);
		sqe->addr = (uintptr_t)r->addr;
		sqe->len = 0;
		break;
	case IORING_OP_ACCEPT:
		sqe->len = 0;
		sqe->addr = 0;
		sqe->off = 0;
		break;
	case IORING_OP_SOCKET:
		sqe->fd = AF_FERRY;
		sqe->off = 1 + a[5] % 5;
		sqe->len = 0;
		sqe->msg_flags = 0;
		break;
	case IORING_OP_SPLICE:
	case IORING_OP_TEE:
		sqe->splice_fd_in = FD(a[6]);
		sqe->splice_off_in = -1;
		break;
	case IORING_OP_SHUTDOWN:
		sqe->len = a[3] & 3;
		break;
	case IORING_OP_ASYNC_CANCEL:
		sqe->addr = a[5] & 3;
		sqe->off = 0;
		sqe->len = 0;
		break;
	case IORING_OP_POLL_ADD:
		sqe->poll32_events = a[4] & 0xffff;
		sqe->len = a[3] & 1;
		break;
	}
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	return syscall(SYS_io_uring_enter, r->fd, a[7] & 128 ? 0 : 16, 0, 0, NULL, 0);
}

long do_uring_wait(const long *a)
{
	struct fuzz_ring *r = ring_of(a[0]);
	unsigned int *head;
	long n;

	if (!__atomic_load_n(&r->ready, __ATOMIC_ACQUIRE))
		return -1;
	if (a[1] == 255) {
		r->ready = false;
		return close(r->fd);
	}
	n = syscall(SYS_io_uring_enter, r->fd, 16, a[1] & 1, IORING_ENTER_GETEVENTS, NULL, 0);
	head = (void *)(r->rings + r->p.cq_off.head);
	*head = *(unsigned int *)(r->rings + r->p.cq_off.tail);
	return n;
}

long do_signal(const long *a)
{
	struct itimerval soon = { { 0, 0 }, { 0, 1 + (a[1] & 255) * 20 } };

	if (a[0] & 8)
		return setitimer(ITIMER_REAL, &soon, NULL);
	steps_wake((unsigned long)a[0] % STEP_THREADS);
	return 0;
}

long do_wait(const long *a)
{
	return a[0] ? usleep((a[0] & 63) * 50) : sched_yield();
}

/* A child that uses the descriptors and is gone, one way or another. */
long do_fork(const long *a)
{
	int one = FD(a[0]), two = FD(a[1]), pid = fork();

	if (pid)
		return pid < 0 ? -1 : a[2] & 1 ? waitpid(pid, NULL, 0) : 0;
	alarm(1);
	if (a[2] & 2)
		send(one, area, 100, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (a[2] & 4)
		recv(two, area, 100, MSG_DONTWAIT);
	if (a[2] & 8)
		close(one);
	if (a[2] & 16)
		shutdown(two, SHUT_RDWR);
	if (a[2] & 32)
		usleep(2000);
	if (a[2] & 64)
		kill(getpid(), SIGKILL);
	_exit(0);
}

long do_user(const long *a)
{
	/* Of this thread alone. */
	return syscall(SYS_setresuid, -1, a[0] & 3 ? 1000 + (a[0] & 1) : 0, -1);
}

long do_unshare(const long *a)
{
	static const int flags[] = { CLONE_NEWNET, CLONE_NEWNS, CLONE_FILES, CLONE_NEWUTS };
	int fd, i;

	if (a[0] & 8)
		return setns(host[(unsigned long)a[0] % STEP_HOSTS], CLONE_NEWNET);
	if (unshare(AT(flags, a[0])) || AT(flags, a[0]) != CLONE_NEWNET)
		return 0;
	fd = open("/proc/thread-self/ns/net", O_RDONLY);
	i = keep(a[0] >> 4, fd);
	fd = open("/proc/sys/net/ferry/port", O_WRONLY);
	if (fd >= 0) {
		i = write(fd, "1818", 4);
		close(fd);
	}
	return i;
}

long do_limit(const long *a)
{
	struct rlimit limit = { a[1], 400 };

	return setrlimit(a[0] & 1 ? RLIMIT_NOFILE : RLIMIT_MEMLOCK, &limit);
}

long do_port(const long *a)
{
	static const char *const ports[] = { "0", "1818", "1819", "65536", "-1", "x", "" };
	int fd = open("/proc/sys/net/ferry/port", O_RDWR);
	char text[16];
	long n;

	if (fd < 0)
		return -1;
	n = a[1] & 8 ? read(fd, text, sizeof(text)) :
		       write(fd, AT(ports, a[0]), strlen(AT(ports, a[0])));
	close(fd);
	return n;
}

/* One socket, a dump, or what is no request. */
long do_diag(const long *a)
{
	struct {
		struct nlmsghdr h;
		struct ferry_diag_req req;
	} ask = {
		.h = { sizeof(ask), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST },
		.req = { .sdiag_family = AF_FERRY, .fdiag_states = a[4], .fdiag_show = a[1] },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
	unsigned long cookie = 0;
	socklen_t len = sizeof(cookie);
	int i;

	if (a[0] & 1)
		ask.h.nlmsg_flags |= NLM_F_DUMP;
	else if (!getsockopt(FD(a[2]), SOL_SOCKET, SO_COOKIE, &cookie, &len))
		memcpy(ask.req.fdiag_cookie, &cookie, 8);
	if (a[0] & 2)
		memset(ask.req.fdiag_cookie, 0xff, 8);
	if (a[0] & 4)
		ask.req.fdiag_ino = a[4];
	if (a[0] & 8)
		ask.h.nlmsg_type = SOCK_DESTROY;
	if (a[0] & 16)
		ask.h.nlmsg_len = a[3];
	if (a[0] & 32)
		ask.req.sdiag_protocol = a[3];
	i = send(fd, &ask, sizeof(ask), 0);
	for (i = 0; i < 4; i++)
		if (recv(fd, area, a[0] & 64 ? 300 : 32768, 0) <= 0)
			break;
	close(fd);
	return i;
}

long do_proc(const long *a)
{
	static const char *const files[] = { "/proc/thread-self/net/ferry",
		"/proc/thread-self/net/ferry_stat", "/proc/thread-self/net/protocols" };
	char path[64];
	long n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", FD(a[1]));
	fd = open(a[0] & 4 ? path : AT(files, a[0]), O_RDONLY);
	if (fd < 0)
		return -1;
	while ((n = read(fd, area, a[0] & 8 ? 100 : 4096)) > 0 && !(a[0] & 16))
		;
	close(fd);
	return n;
}

/* A packet of UDP to the port: version, type, lengths, names, payload. */
long do_packet(const long *a)
{
	int fd = socket(AF_INET6, SOCK_DGRAM, 0), on = 1, off = 0;
	size_t n = 4, from, to;
	struct sockaddr_storage where;
	unsigned char packet[2048];
	socklen_t len = make_inet(a[0], &where);
	long ret;

	if (where.ss_family == AF_INET) {
		close(fd);
		fd = socket(AF_INET, SOCK_DGRAM, 0);
	}
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	memset(packet, 'p', sizeof(packet));
	packet[0] = a[1] & 15 ? 1 : a[1] >> 4;
	packet[1] = a[1] & 15 ? 1 : a[5];
	from = make_name(a[2], (char *)packet + n);
	n += from;
	to = make_name(a[3], (char *)packet + n);
	n += to + length(a[4]) % 1200;
	packet[2] = from;
	packet[3] = to;
	if (a[5] & 1)
		packet[2 + (a[5] >> 1 & 1)] = a[1];
	if ((a[5] & 12) == 12)
		n = (size_t)a[5] % (n + 1);
	ret = sendto(fd, packet, n, MSG_DONTWAIT, (void *)&where, len);
	close(fd);
	return ret;
}

/* A connection of TCP to the port. */
long do_tcp(const long *a)
{
	struct timeval soon = { 0, 200000 };
	struct sockaddr_storage where;
	socklen_t len = make_inet(a[1], &where);
	int fd = socket(where.ss_family, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	if (connect(fd, (void *)&where, len)) {
		close(fd);
		return -1;
	}
	if (a[2] & 1)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	return keep(a[0], fd);
}

/* What opens a connection, good or not quite; then maybe the answer is read. */
long do_hello(const long *a)
{
	unsigned char hello[512] = "FRRY\1";
	size_t n = 8, from, to, i;
	long ret;

	hello[5] = a[1] & 1 ? 2 : 3;
	from = make_name(a[2], (char *)hello + n);
	n += from;
	to = make_name(a[3], (char *)hello + n);
	n += to;
	hello[6] = from;
	hello[7] = to;
	if (a[4] & 1)
		hello[(a[4] >> 1) % 8] = a[5];
	if (a[1] & 2)
		n = (size_t)a[5] % (n + 1);
	if (a[1] & 4)
		n += a[5];
	if (a[1] & 8) {
		for (i = 0; i < n; i++)
			send(FD(a[0]), hello + i, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		ret = n;
	} else {
		ret = send(FD(a[0]), hello, n, MSG_NOSIGNAL | (a[1] & 16 ? MSG_OOB : 0));
	}
	return a[1] & 32 ? ret : recv(FD(a[0]), hello, 8, 0);
}

/* A record that announces one length and has another. */
long do_record(const long *a)
{
	size_t len = length(a[2]) % 0x40000, said = a[3] & 1 ? (size_t)a[1] : len;
	uint32_t head = htonl(said | (a[3] & 2 ? 0x80000000 : 0));
	int i, flags = MSG_NOSIGNAL | (a[3] & 4 ? MSG_DONTWAIT : 0), n = a[3] & 8 ? 20 : 1;
	long ret = 0;

	for (i = 0; i < n && ret >= 0; i++) {
		ret = send(FD(a[0]), &head, a[3] & 16 ? a[3] >> 5 & 3 : 4,
			   flags | (a[3] & 128 ? MSG_MORE : 0));
		if (len && ret >= 0)
			ret = send(FD(a[0]), area, len, flags);
	}
	return ret;
}

/* A listener of TCP at the port, where the family has none. */
long do_forge(const long *a)
{
	struct sockaddr_storage where;
	socklen_t len = make_inet(a[1], &where);
	int on = 1, fd = socket(where.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (void *)&where, len) || listen(fd, 4)) {
		close(fd);
		return -1;
	}
	return keep(a[0], fd);
}

/* Accepts there, reads the request and answers it. */
long do_answer(const long *a)
{
	unsigned char answer[8] = "FRRY\1", hello[512];
	struct pollfd ready = { FD(a[1]), POLLIN };
	struct timeval soon = { 0, 200000 };
	int fd;

	poll(&ready, 1, 10);
	fd = accept(FD(a[1]), NULL, NULL);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	if (!(a[2] & 1) && recv(fd, hello, sizeof(hello), 0) < 0) {
		close(fd);
		return -1;
	}
	answer[5] = a[2] & 2 ? a[3] & 7 : 0;
	if (a[2] & 4)
		answer[a[3] & 7] = a[3];
	send(fd, answer, a[2] & 8 ? a[3] & 7 : 8, MSG_NOSIGNAL);
	return keep(a[0], fd);
}

long do_bytes(const long *a)
{
	size_t len = length(a[1]);

	if (a[3] & 1)
		return recv(FD(a[0]), area, len, a[2] | MSG_DONTWAIT);
	return send(FD(a[0]), area, len, a[2] | MSG_NOSIGNAL);
}

/* The end of a connection of TCP: by a reset, or of one direction. */
long do_reset(const long *a)
{
	struct linger now = { 1, 0 };

	if (a[1] & 1)
		return shutdown(FD(a[0]), (a[1] >> 1) % 3);
	setsockopt(FD(a[0]), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	return close(__atomic_exchange_n(&FD(a[0]), -1, __ATOMIC_ACQ_REL));
}

/* Many who come and say little or nothing. */
long do_flood(const long *a)
{
	struct sockaddr_storage where;
	socklen_t len = make_inet(a[0], &where);
	int i, fd, n = a[1] & 127;

	for (i = 0; i < n; i++) {
		fd = socket(where.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (fd < 0)
			return -1;
		connect(fd, (void *)&where, len);
		if (a[2] & 1)
			send(fd, "FRRY\1\2", a[2] >> 1 & 7, MSG_NOSIGNAL);
		if (a[2] & 16)
			close(fd);
	}
	return n;
}
