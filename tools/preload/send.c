// SPDX-License-Identifier: GPL-2.0
/*
 * Messages that go to an address: sendto, sendmsg and sendmmsg.
 */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

struct message {
	int fd;
	const struct msghdr *msg;
	int flags;
};

static bool is_to_unix(int fd, const void *addr, socklen_t len)
{
	const struct sockaddr *sa = addr;

	return sa && len >= sizeof(sa->sa_family) && sa->sa_family == AF_UNIX && is_ferry(fd);
}

static int send_to(const struct address *addr, void *data)
{
	const struct message *m = data;
	struct msghdr msg = *m->msg;

	msg.msg_name = (void *)&addr->sa;
	msg.msg_namelen = addr->len;
	return real()->sendmsg(m->fd, &msg, m->flags);
}

/*
 * Nobody is there: it may be somebody outside, who has an AF_UNIX socket, such as
 * a service manager that waits for notifications. A socket of that kind is made
 * for this message; it has no name, so there is no answer.
 */
static ssize_t send_outside(const struct message *m, const struct unix_name *un)
{
	int flags = m->flags, fd, err;
	struct msghdr msg = *m->msg;
	struct sockaddr_un sun;
	ssize_t ret;

	fd = real()->socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		errno = ECONNREFUSED;
		return -1;
	}
	if (fcntl(m->fd, F_GETFL) & O_NONBLOCK)
		flags |= MSG_DONTWAIT;
	msg.msg_namelen = unix_name_sockaddr(un, &sun);
	msg.msg_name = &sun;
	ret = real()->sendmsg(fd, &msg, flags);
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

/* On a connection no address is looked at: records go to the peer all the same. */
static ssize_t send_on_connection(struct message *m, int type)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	struct msghdr msg = *m->msg;

	if (type == SOCK_SEQPACKET) {
		msg.msg_name = NULL;
		msg.msg_namelen = 0;
		return real()->sendmsg(m->fd, &msg, m->flags);
	}
	errno = real()->getpeername(m->fd, (struct sockaddr *)&peer, &len) ? EOPNOTSUPP : EISCONN;
	return -1;
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct message m = { fd, msg, flags };
	struct unix_name un;
	ssize_t ret;
	int type;

	if (!msg || !is_to_unix(fd, msg->msg_name, msg->msg_namelen))
		return real()->sendmsg(fd, msg, flags);
	type = socket_type(fd);
	if (type != SOCK_DGRAM)
		return send_on_connection(&m, type);
	if (unix_name_get(&un, msg->msg_name, msg->msg_namelen))
		return -1;
	ret = find_and_do(&un, type, send_to, &m);
	if (ret < 0 && errno == ECONNREFUSED)
		ret = send_outside(&m, &un);
	return ret;
}

EXPORT ssize_t sendto(int fd, const void *buf, size_t n, int flags, __CONST_SOCKADDR_ARG addr,
		      socklen_t len)
{
	struct sockaddr *to = (struct sockaddr *)addr.__sockaddr__;
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = n };
	struct msghdr msg = {
		.msg_name = to, .msg_namelen = len,
		.msg_iov = &iov, .msg_iovlen = 1,
	};

	if (!to || len < sizeof(to->sa_family) || to->sa_family != AF_UNIX)
		return real()->sendto(fd, buf, n, flags, to, len);
	return sendmsg(fd, &msg, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags)
{
	unsigned int i;
	ssize_t ret;

	for (i = 0; i < n && i < IOV_MAX; i++)
		if (is_to_unix(fd, msgs[i].msg_hdr.msg_name, msgs[i].msg_hdr.msg_namelen))
			break;
	if (i == n || i == IOV_MAX)
		return real()->sendmmsg(fd, msgs, n, flags);
	for (i = 0; i < n && i < IOV_MAX; i++) {
		ret = sendmsg(fd, &msgs[i].msg_hdr, flags);
		if (ret < 0)
			return i ? (int)i : -1;
		msgs[i].msg_len = ret;
	}
	return i;
}
