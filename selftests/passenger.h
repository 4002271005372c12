/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Messages with something beside the payload: descriptors, credentials, a
 * drop counter. Header only, as few programs need it.
 */
#ifndef PASSENGER_H
#define PASSENGER_H

#include "ferry_test.h"

#include <sys/stat.h>

#ifndef SCM_SECURITY
#define SCM_SECURITY	3
#endif
#ifndef SCM_PIDFD
#define SCM_PIDFD	4
#endif
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD	76
#endif

/* The most descriptors one message may carry. */
#define PASS_MAX_FDS	253

/* What came beside the payload. */
struct pass {
	int flags;		/* msg_flags */
	int fds;		/* descriptors received, in @fd */
	int fd[PASS_MAX_FDS + 1];
	int messages;		/* SCM_RIGHTS messages */
	int creds;		/* SCM_CREDENTIALS messages, the last in @cred */
	struct ucred cred;
	int pidfds;		/* SCM_PIDFD messages, the last in @pidfd */
	int pidfd;
	int overflow;		/* SO_RXQ_OVFL messages, the last in @dropped */
	uint32_t dropped;
	char label[64];		/* of the last SCM_SECURITY message */
	int other;		/* anything else, and SCM_SECURITY messages */
	struct ft_addr from;
};

/* Sends with @n descriptors, and with credentials unless @cred is NULL. */
static inline ssize_t pass_send(int fd, const void *data, size_t len,
				const int *fds, int n,
				const struct ucred *cred, int flags)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * (PASS_MAX_FDS + 3)) +
			 CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	size_t used = 0;

	memset(&control, 0, sizeof(control));
	if (n) {
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n);
		used += CMSG_SPACE(sizeof(int) * n);
	}
	if (cred) {
		cmsg = (void *)(control.buf + used);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_CREDENTIALS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(*cred));
		memcpy(CMSG_DATA(cmsg), cred, sizeof(*cred));
		used += CMSG_SPACE(sizeof(*cred));
	}
	msg.msg_controllen = used;
	if (!used)
		msg.msg_control = NULL;
	return sendmsg(fd, &msg, flags);
}

/*
 * Receives, with room for @control bytes of control data, and for the sender's
 * address if @name.
 */
static inline ssize_t pass_recv_parts(int fd, void *data, size_t len,
				      struct pass *pass, int flags,
				      size_t control, bool name)
{
	union {
		struct cmsghdr align;
		char buf[2048];
	} room;
	struct iovec iov = { .iov_base = data, .iov_len = len };
	struct msghdr msg = {
		.msg_name = name ? &pass->from.ss : NULL,
		.msg_namelen = name ? sizeof(pass->from.ss) : 0,
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = room.buf, .msg_controllen = control,
	};
	struct cmsghdr *cmsg;
	ssize_t ret;
	int n;

	memset(&room, 0, sizeof(room));
	memset(pass, 0, sizeof(*pass));
	ret = recvmsg(fd, &msg, flags);
	if (ret < 0)
		return ret;
	pass->flags = msg.msg_flags;
	pass->from.len = msg.msg_namelen;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET) {
			pass->other++;
			continue;
		}
		switch (cmsg->cmsg_type) {
		case SCM_RIGHTS:
			n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(pass->fd + pass->fds, CMSG_DATA(cmsg),
			       n * sizeof(int));
			pass->fds += n;
			pass->messages++;
			break;
		case SCM_CREDENTIALS:
			memcpy(&pass->cred, CMSG_DATA(cmsg),
			       sizeof(pass->cred));
			pass->creds++;
			break;
		case SCM_PIDFD:
			memcpy(&pass->pidfd, CMSG_DATA(cmsg), sizeof(pass->pidfd));
			pass->pidfds++;
			break;
		case SO_RXQ_OVFL:
			memcpy(&pass->dropped, CMSG_DATA(cmsg),
			       sizeof(pass->dropped));
			pass->overflow++;
			break;
		case SCM_SECURITY:
			n = cmsg->cmsg_len - CMSG_LEN(0);
			snprintf(pass->label, sizeof(pass->label), "%.*s", n,
				 (char *)CMSG_DATA(cmsg));
			pass->other++;
			break;
		default:
			pass->other++;
		}
	}
	return ret;
}

static inline ssize_t pass_recv_room(int fd, void *data, size_t len,
				     struct pass *pass, int flags,
				     size_t control)
{
	return pass_recv_parts(fd, data, len, pass, flags, control, true);
}

static inline ssize_t pass_recv(int fd, void *data, size_t len,
				struct pass *pass, int flags)
{
	return pass_recv_room(fd, data, len, pass, flags, 2048);
}

/* Closes what came. */
static inline void pass_close(struct pass *pass)
{
	while (pass->fds)
		close(pass->fd[--pass->fds]);
}

/* Do both descriptors mean the same file? */
static inline bool pass_same(int one, int other)
{
	struct stat a, b;

	return !fstat(one, &a) && !fstat(other, &b) && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/*
 * A witness: a pipe whose writing end is passed on. While anybody holds that,
 * be it a queue of the kernel's, the reading end reports no hang-up.
 */
struct witness {
	int in;
	int out;
};

static inline bool witness_make(struct witness *witness)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC))
		return false;
	witness->in = fd[0];
	witness->out = fd[1];
	return true;
}

/* With the own writing end closed: does somebody hold another? */
static inline bool witness_held(struct witness *witness)
{
	ft_close(&witness->out);
	return !ft_poll(witness->in, POLLIN, 0);
}

/* Nobody holds it, or soon will not: the last reference may go later. */
static inline bool witness_gone(struct witness *witness)
{
	bool gone;

	ft_close(&witness->out);
	gone = ft_poll(witness->in, POLLIN, 5000) & POLLHUP;
	ft_close(&witness->in);
	return gone;
}

#endif /* PASSENGER_H */
