// SPDX-License-Identifier: GPL-2.0
/*
 * One message, with what comes with it: time, sender, descriptors.
 */
#include "ferry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* As many descriptors as one message can have. */
#define FDS_MAX		253

/* Aligned, as control messages have to be. */
union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(FDS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct timespec)) + 256];
};

/* What a stream is read by. */
#define STREAM_CHUNK	65536

/* message_init() - memory for messages, which grows with them */
void message_init(struct message *m, size_t size)
{
	memset(m, 0, sizeof(*m));
	m->size = size > STREAM_CHUNK ? size : STREAM_CHUNK;
	m->data = malloc(m->size);
	if (!m->data)
		fail_errno(ENOMEM, "a message of %zu bytes", m->size);
}

void message_free(struct message *m)
{
	free(m->data);
}

static const char *kind_text(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFCHR:
		return "character device";
	case S_IFBLK:
		return "block device";
	case S_IFIFO:
		return "pipe";
	case S_IFSOCK:
		return "socket";
	default:
		return "descriptor";
	}
}

static void print_descriptor(int fd)
{
	static const char * const access[] = { "read only", "write only", "read and write", "" };
	char link[64], path[1024];
	struct stat st = {};
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	fstat(fd, &st);
	note("received a descriptor: %s %s, %s, %lld bytes", kind_text(st.st_mode), path,
	     access[fcntl(fd, F_GETFL) & O_ACCMODE], (long long)st.st_size);
}

static void print_time(const struct timespec *ts, const struct message *m)
{
	char when[32], zone[8], text[ADDRESS_TEXT_SIZE];
	struct tm tm;

	localtime_r(&ts->tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	address_text(&m->from, text);
	note("%s.%09ld%s: %zu bytes%s%s", when, ts->tv_nsec, zone, m->len, *text ? " from " : "",
	     text);
}

static void take_control(struct msghdr *msg, const struct message *m)
{
	struct cmsghdr *cmsg;
	struct timespec ts;
	size_t i, n;
	int fd;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET)
			continue;
		if (cmsg->cmsg_type == SCM_TIMESTAMPNS) {
			memcpy(&ts, CMSG_DATA(cmsg), sizeof(ts));
			print_time(&ts, m);
		} else if (cmsg->cmsg_type == SCM_RIGHTS) {
			n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
			for (i = 0; i < n; i++) {
				memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
				print_descriptor(fd);
				close(fd);
			}
		}
	}
	if (msg->msg_flags & MSG_CTRUNC)
		note("some descriptors could not be received");
}

/*
 * So that the next record fits, however long it is. Returns false with errno: an
 * error that comes here does not come again.
 */
static bool make_room(int fd, struct message *m)
{
	ssize_t len = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC);

	if (len < 0)
		return false;
	if ((size_t)len <= m->size)
		return true;
	free(m->data);
	m->size = len;
	m->data = malloc(m->size);
	if (!m->data)
		fail_errno(ENOMEM, "a message of %zd bytes", len);
	return true;
}

/**
 * message_receive() - the next message, or what there is of a stream
 * @fd: socket
 * @e: endpoint
 * @m: the message
 *
 * Descriptors that came with it are told of and closed.
 *
 * Return: false at the end.
 */
bool message_receive(int fd, const struct endpoint *e, struct message *m)
{
	union control control;
	struct iovec iov;
	struct msghdr msg = {
		.msg_name = &m->from.sa, .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control,
	};
	ssize_t n;

	do {
		n = -1;
		if (e->type != SOCK_STREAM && !make_room(fd, m))
			continue;
		iov = (struct iovec){ .iov_base = m->data, .iov_len = m->size };
		msg.msg_namelen = sizeof(m->from.sa);
		msg.msg_controllen = sizeof(control);
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == ECONNRESET)
		fail(FERRY_ERROR, "the other end closed without reading all that it was sent");
	if (n < 0 && errno == ECONNREFUSED)
		fail(FERRY_NOBODY, "the other end has gone");
	if (n < 0)
		fail_errno(errno, "cannot receive");

	m->len = n;
	m->from.len = msg.msg_namelen > FERRY_ADDR_HDR ? msg.msg_namelen : 0;
	/* A record of zero bytes is not the end, and says so. */
	if (!n && !(msg.msg_flags & MSG_EOR))
		return false;
	take_control(&msg, m);
	if (msg.msg_flags & MSG_TRUNC)
		note("a message was longer than %zu bytes, the rest is lost", m->size);
	return true;
}

/* The descriptors of --pass, as a control message. */
static size_t put_descriptors(const struct endpoint *e, struct cmsghdr *cmsg, int *fds)
{
	unsigned int i;

	if (e->passes > FDS_MAX)
		fail(FERRY_USAGE, "at most %d descriptors go with a message", FDS_MAX);
	for (i = 0; i < e->passes; i++) {
		fds[i] = open(e->pass[i], O_RDONLY | O_CLOEXEC);
		if (fds[i] < 0)
			fail_errno(errno, "cannot open %s", e->pass[i]);
	}
	*cmsg = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(e->passes * sizeof(*fds)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	};
	memcpy(CMSG_DATA(cmsg), fds, e->passes * sizeof(*fds));
	return CMSG_SPACE(e->passes * sizeof(*fds));
}

static void send_failed(const struct endpoint *e, int err, size_t len, bool passes)
{
	switch (err) {
	case EPIPE:
	case ECONNRESET:
		fail(FERRY_ERROR, "the other end has closed the connection");
	case ECONNREFUSED:
		fail(FERRY_NOBODY, "nobody is at %s any more", e->text);
	case EMSGSIZE:
		fail(FERRY_ERROR,
		     "a message of %zu bytes is longer than the send buffer; see --size and net.core.wmem_default",
		     len);
	case EPERM:
		fail(FERRY_DENIED, passes ? "%s takes no descriptors" :
		     "%s is connected to somebody else", e->text);
	case EACCES:
		fail(FERRY_DENIED, "%s does not let you send to it: 'ferry ss -e' shows its mode",
		     e->text);
	default:
		fail_errno(err, "cannot send to %s", e->text);
	}
}

/**
 * message_send() - one message, or a part of a stream, whole
 * @fd: socket
 * @e: endpoint
 * @to: who gets it, NULL on a connected socket and for a broadcast
 * @data: the bytes
 * @len: how many
 * @first: the descriptors of --pass go with it
 */
void message_send(int fd, const struct endpoint *e, const struct address *to,
		  const void *data, size_t len, bool first)
{
	union control control = {};
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	bool passes = first && e->passes;
	int fds[FDS_MAX];
	unsigned int i;
	ssize_t n;

	if (e->broadcast)
		to = &e->addr;
	if (to) {
		msg.msg_name = (void *)&to->sa;
		msg.msg_namelen = to->len;
	}
	if (passes) {
		if (!len && e->type == SOCK_STREAM)
			fail(FERRY_ERROR,
			     "there is no byte for the descriptors to go with; see --message");
		msg.msg_control = &control;
		msg.msg_controllen = put_descriptors(e, &control.header, fds);
	}
	do {
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			send_failed(e, errno, len, passes);
		iov.iov_base += n;
		iov.iov_len -= n;
		msg.msg_controllen = 0;
		progress_sent(n);
	} while (n < 0 || iov.iov_len);
	if (!passes)
		return;
	for (i = 0; i < e->passes; i++)
		close(fds[i]);
}
