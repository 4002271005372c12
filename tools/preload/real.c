// SPDX-License-Identifier: GPL-2.0
/*
 * The C library's own functions, and questions to the kernel.
 */
#include "preload.h"

#include <dlfcn.h>
#include <errno.h>

static struct real functions;

static const struct {
	const char *name;
	size_t offset;
} table[] = {
	{ "socketpair", offsetof(struct real, socketpair) },
	{ "bind", offsetof(struct real, bind) },
	{ "connect", offsetof(struct real, connect) },
	{ "accept", offsetof(struct real, accept) },
	{ "accept4", offsetof(struct real, accept4) },
	{ "getsockname", offsetof(struct real, getsockname) },
	{ "getpeername", offsetof(struct real, getpeername) },
	{ "sendto", offsetof(struct real, sendto) },
	{ "sendmsg", offsetof(struct real, sendmsg) },
	{ "sendmmsg", offsetof(struct real, sendmmsg) },
	{ "recvfrom", offsetof(struct real, recvfrom) },
	{ "recvmsg", offsetof(struct real, recvmsg) },
	{ "recvmmsg", offsetof(struct real, recvmmsg) },
	{ "getsockopt", offsetof(struct real, getsockopt) },
	{ "setsockopt", offsetof(struct real, setsockopt) },
	{ "chmod", offsetof(struct real, chmod) },
	{ "fchmodat", offsetof(struct real, fchmodat) },
	/* The last one, see real(). */
	{ "socket", offsetof(struct real, socket) },
};

/* Before the program begins, so that nobody does it in a signal handler. */
static __attribute__((constructor)) void find_functions(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++)
		__atomic_store_n((void **)((char *)&functions + table[i].offset),
				 dlsym(RTLD_NEXT, table[i].name), __ATOMIC_RELEASE);
}

/* real() - them; also for constructors of other libraries, which may come first */
const struct real *real(void)
{
	if (!__atomic_load_n(&functions.socket, __ATOMIC_ACQUIRE))
		find_functions();
	return &functions;
}

/* An int of SOL_SOCKET, or -1. errno stays. */
static int socket_option(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value = -1, err = errno;

	if (real()->getsockopt(fd, SOL_SOCKET, option, &value, &len))
		errno = err;
	return value;
}

/* is_ferry() - is this a socket of ours? errno stays. */
bool is_ferry(int fd)
{
	return socket_option(fd, SO_DOMAIN) == AF_FERRY;
}

/* socket_type() - SOCK_STREAM and so on, or -1; errno stays */
int socket_type(int fd)
{
	return socket_option(fd, SO_TYPE);
}
