// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets and their addresses: socket, socketpair, bind, connect, accept,
 * getsockname and getpeername.
 */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* AF_UNIX takes its own number as a protocol, and SOCK_RAW for SOCK_DGRAM. */
static int unix_type(int type)
{
	return (type & 0xf) == SOCK_RAW ? (type & ~0xf) | SOCK_DGRAM : type;
}

static int unix_protocol(int protocol)
{
	return protocol == PF_UNIX ? 0 : protocol;
}

EXPORT int socket(int domain, int type, int protocol)
{
	if (domain != AF_UNIX)
		return real()->socket(domain, type, protocol);
	return real()->socket(AF_FERRY, unix_type(type), unix_protocol(protocol));
}

EXPORT int socketpair(int domain, int type, int protocol, int fds[2])
{
	if (domain != AF_UNIX)
		return real()->socketpair(domain, type, protocol, fds);
	return real()->socketpair(AF_FERRY, unix_type(type), unix_protocol(protocol), fds);
}

/* ---- names ---- */

/*
 * What the kernel gave, of whatever family, to where the program wants it. A
 * NULL is what the program asked for.
 */
static void give(struct address *from, struct sockaddr *addr, socklen_t *len)
{
	struct unix_name un;
	socklen_t room = *len;

	if (from->sa.sfy_family != AF_FERRY) {
		memcpy(addr, &from->sa, room < from->len ? room : from->len);
		*len = from->len;
		return;
	}
	address_to_unix(from, &un);
	unix_name_put(&un, addr, len);
}

/* Ask the kernel by one of the calls that take an address to fill in. */
static int ask(int fd, int (*call)(int fd, struct sockaddr *addr, socklen_t *len),
	       struct sockaddr *addr, socklen_t *len)
{
	struct address from = { .len = sizeof(from.sa) };
	int ret;

	if (!addr || !len || (int)*len < 0)
		return call(fd, addr, len);
	ret = call(fd, (struct sockaddr *)&from.sa, &from.len);
	if (ret >= 0)
		give(&from, addr, len);
	return ret;
}

EXPORT int getsockname(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	return ask(fd, real()->getsockname, addr.__sockaddr__, len);
}

EXPORT int getpeername(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	return ask(fd, real()->getpeername, addr.__sockaddr__, len);
}

EXPORT int accept(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	return ask(fd, real()->accept, addr.__sockaddr__, len);
}

EXPORT int accept4(int fd, __SOCKADDR_ARG addr, socklen_t *len, int flags)
{
	struct address from = { .len = sizeof(from.sa) };
	int ret;

	if (!addr.__sockaddr__ || !len || (int)*len < 0)
		return real()->accept4(fd, addr.__sockaddr__, len, flags);
	ret = real()->accept4(fd, (struct sockaddr *)&from.sa, &from.len, flags);
	if (ret >= 0)
		give(&from, addr.__sockaddr__, len);
	return ret;
}

/* ---- bind ---- */

static int bind_address(int fd, const struct address *addr, int mode)
{
	static const int off;
	socklen_t len = sizeof(int);
	int reuse = 0, ret;

	/* With it names are shared, which AF_UNIX never does. */
	real()->getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, &len);
	if (reuse)
		real()->setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &off, sizeof(off));
	ret = real()->bind(fd, (const struct sockaddr *)&addr->sa, addr->len);
	if (!ret && mode >= 0)
		ret = real()->setsockopt(fd, SOL_FERRY, FERRY_MODE, &mode, sizeof(mode));
	if (reuse)
		real()->setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
	return ret;
}

/* An abstract name of five hexadecimal digits, as AF_UNIX makes them up. */
static int bind_any(int fd)
{
	static const char digits[] = "0123456789abcdef";
	struct unix_name un = { .len = 6 };
	struct timespec now;
	struct address addr;
	uint32_t n, tries;
	int i;

	clock_gettime(CLOCK_MONOTONIC, &now);
	n = now.tv_nsec ^ getpid() * 0x9e3779b1u;
	for (tries = 0; tries <= 0xfffff; tries++, n++) {
		for (i = 0; i < 5; i++)
			un.bytes[1 + i] = digits[n >> (16 - 4 * i) & 0xf];
		address_of_name(&addr, &un);
		if (!bind_address(fd, &addr, 0666))
			return 0;
		if (errno != EADDRINUSE)
			return -1;
	}
	errno = ENOSPC;
	return -1;
}

/*
 * The file comes first, as in AF_UNIX: it tells that the path is in use, and the
 * name needs its key. Its mode is that of the socket, which fchmod(2) may have
 * changed, less the umask.
 */
static int bind_path(int fd, const struct unix_name *un)
{
	struct address addr;
	struct stat st;
	struct key key;
	int err;

	if (fstat(fd, &st))
		return -1;
	if (mknod(un->bytes, S_IFSOCK | (st.st_mode & 0777), 0)) {
		if (errno == EEXIST)
			errno = EADDRINUSE;
		return -1;
	}
	if (!key_of_path(AT_FDCWD, un->bytes, &key) && !stat(un->bytes, &st)) {
		if (!map_to_address(un, &addr))
			address_of_path(&addr, &key, un);
		if (!bind_address(fd, &addr, st.st_mode & 0777))
			return 0;
	}
	err = errno;
	unlink(un->bytes);
	errno = err;
	return -1;
}

EXPORT int bind(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
	struct address own = { .len = sizeof(own.sa) };
	struct unix_name un;

	if (!addr.__sockaddr__ || !is_ferry(fd))
		return real()->bind(fd, addr.__sockaddr__, len);
	if (unix_name_get(&un, addr.__sockaddr__, len))
		return -1;
	if (real()->getsockname(fd, (struct sockaddr *)&own.sa, &own.len))
		return -1;
	if (own.len > FERRY_ADDR_HDR) {
		errno = EINVAL;
		return -1;
	}
	if (!un.len)
		return bind_any(fd);
	if (is_path(&un) && !address_of_name(&own, &un))
		return bind_path(fd, &un);
	if (!map_to_address(&un, &own))
		address_of_name(&own, &un);
	/* An abstract name is for everybody. */
	return bind_address(fd, &own, un.bytes[0] ? -1 : 0666);
}

/* ---- connect ---- */

static int connect_to(const struct address *addr, void *data)
{
	const int *fd = data;

	return real()->connect(*fd, (const struct sockaddr *)&addr->sa, addr->len);
}

static void copy_option(int from, int to, int option)
{
	struct timeval value;	/* the longest */
	socklen_t len = sizeof(value);

	if (!getsockopt(from, SOL_SOCKET, option, &value, &len))
		real()->setsockopt(to, SOL_SOCKET, option, &value, len);
}

/* An AF_UNIX socket like this one, unconnected and without a name. */
static int real_socket_like(int fd)
{
	static const int options[] = { SO_PASSCRED, SO_RCVTIMEO, SO_SNDTIMEO };
	int flags = fcntl(fd, F_GETFL), to;
	size_t i;

	to = real()->socket(AF_UNIX, socket_type(fd) | SOCK_CLOEXEC | (flags & O_NONBLOCK), 0);
	for (i = 0; to >= 0 && i < ARRAY_SIZE(options); i++)
		copy_option(fd, to, options[i]);
	return to;
}

/*
 * Nobody is there: it may be somebody outside, who has an AF_UNIX socket. Then
 * this descriptor becomes one too. Other descriptors of the same socket, and
 * epoll sets that it is in, do not change.
 */
static int connect_outside(int fd, const struct unix_name *un)
{
	int to = real_socket_like(fd), ret = -1, err, cloexec;
	struct sockaddr_un sun;
	socklen_t len;

	if (to < 0) {
		errno = ECONNREFUSED;
		return -1;
	}
	len = unix_name_sockaddr(un, &sun);
	ret = real()->connect(to, (const struct sockaddr *)&sun, len);
	err = errno;
	cloexec = fcntl(fd, F_GETFD) & FD_CLOEXEC ? O_CLOEXEC : 0;
	if (!ret && dup3(to, fd, cloexec) < 0) {
		ret = -1;
		err = errno;
	}
	close(to);
	errno = err;
	return ret;
}

EXPORT int connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
	const struct sockaddr *sa = addr.__sockaddr__;
	struct unix_name un;
	int ret;

	if (!sa || len < sizeof(sa->sa_family) || sa->sa_family != AF_UNIX || !is_ferry(fd)) {
		ret = real()->connect(fd, sa, len);
		if (ret && errno == EAFNOSUPPORT && is_ferry(fd))
			errno = EINVAL;
		return ret;
	}
	if (unix_name_get(&un, sa, len))
		return -1;
	ret = find_and_do(&un, socket_type(fd), connect_to, &fd);
	if (ret && errno == ECONNREFUSED)
		ret = connect_outside(fd, &un);
	return ret;
}
