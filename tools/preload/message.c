// SPDX-License-Identifier: GPL-2.0
/*
 * Messages that come with an address: recvfrom, recvmsg and recvmmsg. The buffer
 * for the address is ours, as those of AF_FERRY are longer.
 */
#include "preload.h"

#include <errno.h>
#include <string.h>

/* Messages of recvmmsg(2) whose addresses are kept at a time. */
#define BATCH	32

/* What the C library calls when a buffer is too short. */
__attribute__((noreturn)) void __chk_fail(void);

/* The peer of a connection: streams of AF_UNIX tell it with each message. */
static void peer_address(int fd, struct address *from)
{
	int err = errno;

	from->len = sizeof(from->sa);
	if (real()->getpeername(fd, (struct sockaddr *)&from->sa, &from->len) ||
	    from->sa.sfy_family != AF_FERRY)
		from->len = 0;
	errno = err;
}

/*
 * The address to where the program wants it; nothing of a sender without a name.
 * @n is what the call has returned.
 */
static void give(int fd, struct address *from, ssize_t n, void *addr, socklen_t *len)
{
	socklen_t room = *len;
	struct unix_name un;

	if (!from->len && n > 0)
		peer_address(fd, from);
	if (!from->len || from->sa.sfy_family != AF_FERRY) {
		memcpy(addr, &from->sa, room < from->len ? room : from->len);
		*len = from->len;
		return;
	}
	address_to_unix(from, &un);
	if (un.len)
		unix_name_put(&un, addr, len);
	else
		*len = 0;
}

EXPORT ssize_t recvfrom(int fd, void *buf, size_t n, int flags, __SOCKADDR_ARG addr,
			socklen_t *len)
{
	struct address from = { .len = sizeof(from.sa) };
	struct sockaddr *to = addr.__sockaddr__;
	ssize_t ret;

	if (!to || !len || (int)*len < 0)
		return real()->recvfrom(fd, buf, n, flags, to, len);
	ret = real()->recvfrom(fd, buf, n, flags, (struct sockaddr *)&from.sa, &from.len);
	if (ret >= 0)
		give(fd, &from, ret, to, len);
	return ret;
}

/* What recvfrom() is in a program that was compiled with _FORTIFY_SOURCE. */
EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags,
			      __SOCKADDR_ARG addr, socklen_t *len)
{
	if (n > size)
		__chk_fail();
	return recvfrom(fd, buf, n, flags, addr, len);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct address from = {};
	struct msghdr own;
	ssize_t ret;

	if (!msg || !msg->msg_name || (int)msg->msg_namelen < 0)
		return real()->recvmsg(fd, msg, flags);
	own = *msg;
	own.msg_name = &from.sa;
	own.msg_namelen = sizeof(from.sa);
	ret = real()->recvmsg(fd, &own, flags);
	if (ret < 0)
		return ret;
	from.len = own.msg_namelen;
	give(fd, &from, ret, msg->msg_name, &msg->msg_namelen);
	msg->msg_controllen = own.msg_controllen;
	msg->msg_flags = own.msg_flags;
	return ret;
}

/* recvmmsg() of at most BATCH messages. */
static int receive_batch(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
			 struct timespec *timeout)
{
	struct address from[BATCH] = {};
	struct msghdr saved[BATCH], *msg;
	int i, ret;

	for (i = 0; i < (int)n; i++) {
		saved[i] = msgs[i].msg_hdr;
		if (!saved[i].msg_name)
			continue;
		msgs[i].msg_hdr.msg_name = &from[i].sa;
		msgs[i].msg_hdr.msg_namelen = sizeof(from[i].sa);
	}
	ret = real()->recvmmsg(fd, msgs, n, flags, timeout);
	for (i = 0; i < (int)n; i++) {
		msg = &msgs[i].msg_hdr;
		from[i].len = msg->msg_namelen;
		msg->msg_name = saved[i].msg_name;
		msg->msg_namelen = saved[i].msg_namelen;
		if (msg->msg_name && i < ret)
			give(fd, &from[i], msgs[i].msg_len, msg->msg_name, &msg->msg_namelen);
	}
	return ret;
}

EXPORT int recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
		    struct timespec *timeout)
{
	unsigned int done = 0, batch;
	int ret;

	do {
		batch = n - done < BATCH ? n - done : BATCH;
		ret = receive_batch(fd, msgs + done, batch, flags, timeout);
		if (ret < 0)
			return done ? (int)done : ret;
		done += ret;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
	} while (ret == BATCH && done < n);
	return done;
}
