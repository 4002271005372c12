// SPDX-License-Identifier: GPL-2.0
/* The calls of a sequence on real sockets. */

#include "model.h"

#include <sched.h>
#include <sys/epoll.h>
#include <linux/tcp.h>

/* TCP_ESTABLISHED, whose header does not go with <linux/tcp.h>. */
#define ESTABLISHED	1

/* What all connections of a test share. */
static struct {
	int listener;
	struct ft_addr addr;
	int passenger;
	char *nowhere;		/* memory that cannot be touched */
	bool ready;
} shared;

static bool prepare(const struct model_kind *kind)
{
	if (shared.ready)
		return true;
	shared.ready = true;
	shared.listener = -1;
	shared.passenger = open("/dev/null", O_RDONLY | O_CLOEXEC);
	shared.nowhere = mmap(NULL, MODEL_LEN, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (kind->kind.how == FT_CONN && kind->kind.type != SOCK_DGRAM) {
		shared.listener = ft_listener(&kind->kind, &shared.addr, 8);
		if (shared.listener < 0)
			return false;
	}
	return shared.passenger >= 0 && shared.nowhere != MAP_FAILED;
}

void model_line_end(void)
{
	if (!shared.ready)
		return;
	ft_close(&shared.listener);
	ft_close(&shared.passenger);
	munmap(shared.nowhere, MODEL_LEN);
	shared.ready = false;
}

static bool connect_ends(struct model_line *line, struct model *model)
{
	const struct ft_kind *kind = &line->kind->kind;
	struct linger reset = { .l_onoff = 1 };
	int one = 1, i;

	if (kind->how == FT_PAIR)
		return !ft_pair(kind, &line->fd[0], &line->fd[1]);

	if (kind->type == SOCK_DGRAM) {
		for (i = 0; i < 2; i++) {
			line->fd[i] = socket(kind->domain, kind->type, 0);
			if (ft_bind_new(line->fd[i], kind->domain, &line->addr[i]))
				return false;
			model->end[i].named = true;
		}
		return !connect(line->fd[0], &line->addr[1].sa, line->addr[1].len) &&
		       !connect(line->fd[1], &line->addr[0].sa, line->addr[0].len);
	}

	line->fd[0] = ft_connect(kind, &shared.addr);
	line->fd[1] = accept(shared.listener, NULL, NULL);
	line->addr[1] = shared.addr;
	model->end[1].named = true;
	for (i = 0; i < 2 && kind->domain == AF_INET; i++) {
		/* Thousands of them are to leave nothing behind. */
		setsockopt(line->fd[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		setsockopt(line->fd[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
	return line->fd[0] >= 0 && line->fd[1] >= 0;
}

#define EVENTS	(POLLIN | POLLOUT | POLLPRI | POLLRDHUP)

/* What epoll has told since it was asked last, by end. */
static void edges(const struct model_line *line, short *woken)
{
	struct epoll_event event[2];
	int n;

	woken[0] = 0;
	woken[1] = 0;
	n = line->epoll < 0 ? 0 : epoll_wait(line->epoll, event, 2, 0);
	while (n-- > 0)
		woken[event[n].data.u32] |= event[n].events;
}

/* Let epoll tell of edges. The numbers of its events are those of poll. */
static int watch(struct model_line *line)
{
	struct epoll_event event;
	short woken[2];
	int i;

	if (!line->kind->whole)
		return 0;
	line->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (i = 0; i < 2; i++) {
		event.events = EPOLLET | EVENTS;
		event.data.u32 = i;
		if (epoll_ctl(line->epoll, EPOLL_CTL_ADD, line->fd[i], &event))
			return -1;
	}
	edges(line, woken);
	return 0;
}

int model_line_open(struct model_line *line, const struct model_kind *kind,
		    struct model *model)
{
	int i;

	*line = (struct model_line){
		.kind = kind, .fd = { -1, -1 }, .epoll = -1,
	};
	*model = (struct model){ .kind = kind };
	if (!prepare(kind) || !connect_ends(line, model)) {
		model_line_close(line);
		return -1;
	}
	for (i = 0; i < 2; i++) {
		model->end[i].open = true;
		model->end[i].peek_off = -1;
		model->end[i].lowat = 1;
		model->end[i].sndbuf = ft_getint(line->fd[i], SO_SNDBUF);
		model->end[i].rcvbuf = ft_getint(line->fd[i], SO_RCVBUF);
		model->end[i].promised = 1;
		model->end[i].events = POLLOUT;
	}
	return watch(line);
}

void model_line_close(struct model_line *line)
{
	ft_close(&line->fd[0]);
	ft_close(&line->fd[1]);
	ft_close(&line->epoll);
}

/* TCP's segments arrive by themselves: until they have. */
static bool settle(const struct model_line *line, int end)
{
	int64_t late = ft_now_ms() + FT_LONG_MS;
	struct tcp_info info;
	socklen_t len;

	for (;;) {
		len = sizeof(info);
		if (getsockopt(line->fd[end], IPPROTO_TCP, TCP_INFO, &info, &len))
			return false;
		/* The end counts as a byte. */
		if (info.tcpi_bytes_received >= line->sent[!end] + line->shut[!end])
			return true;
		if (ft_now_ms() > late)
			return false;
		sched_yield();
	}
}

/* Where the bytes of a call are, in one piece or two. */
static void point(struct msghdr *msg, const struct model_call *call, void *bytes)
{
	struct iovec *iov = msg->msg_iov;

	msg->msg_iovlen = 1;
	iov[0].iov_base = call->place ? : call->bad ? shared.nowhere : bytes;
	iov[0].iov_len = call->len;
	if (!call->two)
		return;
	msg->msg_iovlen = 2;
	iov[0].iov_len = call->len / 3;
	iov[1].iov_base = (char *)iov[0].iov_base + iov[0].iov_len;
	iov[1].iov_len = call->len - iov[0].iov_len;
}

static void do_send(struct model_line *line, const struct model_call *call,
		    struct model_answer *answer)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(4 * sizeof(int))];
	} control = {};
	struct iovec iov[2] = {};
	struct msghdr msg = { .msg_iov = iov };
	struct cmsghdr *cmsg;
	int i;

	point(&msg, call, (void *)model_bytes(call->id));
	if (call->fds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(call->fds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(call->fds * sizeof(int));
		for (i = 0; i < call->fds; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &shared.passenger,
			       sizeof(int));
		line->rights = true;
	}
	answer->ret = sendmsg(line->fd[call->end], &msg,
			      call->flags | MSG_NOSIGNAL |
			      (call->wait ? 0 : MSG_DONTWAIT));
	answer->err = ft_err(answer->ret);
	if (answer->ret > 0)
		line->sent[call->end] += answer->ret;
}

static int whose(const struct model_line *line, const struct ft_addr *addr)
{
	int i;

	for (i = 0; i < 2; i++)
		if (addr->len > FERRY_ADDR_HDR && addr->len == line->addr[i].len &&
		    !memcmp(&addr->ss, &line->addr[i].ss, addr->len))
			return i;
	return addr->len <= FERRY_ADDR_HDR ? MODEL_NOBODY : MODEL_SOMEBODY;
}

static void do_recv(struct model_line *line, const struct model_call *call,
		    struct model_answer *answer)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(64 * sizeof(int))];
	} control;
	struct iovec iov[2] = {};
	struct ft_addr from;
	struct msghdr msg = {
		.msg_name = &from.ss, .msg_namelen = sizeof(from.ss),
		.msg_iov = iov,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int fd, i, n;

	point(&msg, call, answer->data);
	answer->fds = 0;
	answer->ret = recvmsg(line->fd[call->end], &msg,
			      call->flags | (call->wait ? 0 : MSG_DONTWAIT));
	answer->err = ft_err(answer->ret);
	answer->flags = msg.msg_flags & ~MSG_CMSG_CLOEXEC;
	if (answer->ret < 0)
		return;
	from.len = msg.msg_namelen;
	answer->from = whose(line, &from);
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
			ft_close(&fd);
		}
		answer->fds += n;
	}
}

static void do_option(struct model_line *line, const struct model_call *call,
		      struct model_answer *answer, int option)
{
	answer->ret = ft_setint(line->fd[call->end], option, call->arg);
	answer->err = ft_err(answer->ret);
	if (!answer->ret && (option == SO_SNDBUF || option == SO_RCVBUF))
		answer->ret = ft_getint(line->fd[call->end], option);
}

void model_line_call(struct model_line *line, const struct model_call *call,
		     struct model_answer *answer)
{
	int *fd = &line->fd[call->end], value;

	switch (call->what) {
	case MODEL_SEND:
		do_send(line, call, answer);
		return;
	case MODEL_RECV:
		do_recv(line, call, answer);
		return;
	case MODEL_SHUTDOWN:
		answer->ret = shutdown(*fd, call->arg);
		line->shut[call->end] = true;
		break;
	case MODEL_CLOSE:
		answer->ret = close(*fd);
		*fd = -1;
		break;
	case MODEL_BIND:
		answer->ret = -1;
		errno = EINVAL;
		if (line->addr[call->end].len) {
			struct ft_addr another;

			ft_addr_new(line->kind->kind.domain, &another);
			answer->ret = bind(*fd, &another.sa, another.len);
			break;
		}
		answer->ret = ft_bind_new(*fd, line->kind->kind.domain,
					  &line->addr[call->end]);
		break;
	case MODEL_ERROR:
		answer->ret = ft_getint(*fd, SO_ERROR);
		break;
	case MODEL_INQ:
		answer->ret = ioctl(*fd, SIOCINQ, &value) ? -1 : value;
		break;
	case MODEL_PEEK_OFF:
		do_option(line, call, answer, SO_PEEK_OFF);
		return;
	case MODEL_LOWAT:
		do_option(line, call, answer, SO_RCVLOWAT);
		return;
	case MODEL_INLINE:
		do_option(line, call, answer, SO_OOBINLINE);
		return;
	case MODEL_SNDBUF:
		do_option(line, call, answer, SO_SNDBUF);
		return;
	case MODEL_RCVBUF:
		do_option(line, call, answer, SO_RCVBUF);
		return;
	case MODEL_LOOK:
		answer->ret = model_line_view(line, answer->view) ? 0 : -1;
		break;
	case MODEL_WHATS:
		break;
	}
	answer->err = ft_err(answer->ret);
}

static int name_of(const struct model_line *line, int fd,
		   int (*get)(int fd, struct sockaddr *sa, socklen_t *len))
{
	struct ft_addr addr = { .len = sizeof(addr.ss) };

	return get(fd, &addr.sa, &addr.len) ? MODEL_NOT_CONNECTED : whose(line, &addr);
}

/* getsockname() and getpeername() as the headers declare them are not quite alike. */
static int own_name(int fd, struct sockaddr *sa, socklen_t *len)
{
	return getsockname(fd, sa, len);
}

static int peer_name(int fd, struct sockaddr *sa, socklen_t *len)
{
	return getpeername(fd, sa, len);
}

static bool look_whole(struct model_line *line, int fd, struct model_view *view)
{
	socklen_t len = sizeof(view->info);
	char path[64];

	view->peek_off = ft_getint(fd, SO_PEEK_OFF);
	view->own = name_of(line, fd, own_name);
	view->peer = name_of(line, fd, peer_name);
	view->scm_fds = -1;
	if (line->rights) {
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		view->scm_fds = ft_proc_number(path, "scm_fds:");
	}
	return !ioctl(fd, SIOCOUTQ, &view->outq) &&
	       !getsockopt(fd, SOL_FERRY, FERRY_INFO, &view->info, &len);
}

/*
 * Looks at both ends. Each is polled after the other: to poll a sender that has no
 * room is to wait for some, which its reader sees.
 */
bool model_line_view(struct model_line *line, struct model_view *view)
{
	struct pollfd fds[3];
	short woken[2];
	int i;

	for (i = 0; i < 2 && line->kind->kind.domain == AF_INET; i++)
		if (!settle(line, i))
			return false;
	for (i = 0; i < 3; i++)
		fds[i] = (struct pollfd){ .fd = line->fd[i % 2], .events = EVENTS };
	if (poll(fds, 3, 0) < 0)
		return false;
	view[0].events = fds[2].revents;
	view[1].events = fds[1].revents;
	edges(line, woken);
	view[0].woken = woken[0];
	view[1].woken = woken[1];
	for (i = 0; i < 2; i++) {
		if (line->fd[i] < 0)
			continue;
		view[i].inq = 0;
		if (line->kind->calls & MODEL_CAN(MODEL_INQ) &&
		    ioctl(line->fd[i], SIOCINQ, &view[i].inq))
			return false;
		view[i].mark = 0;
		if (line->kind->kind.type == SOCK_STREAM &&
		    line->kind->kind.domain != AF_UNIX &&
		    ioctl(line->fd[i], SIOCATMARK, &view[i].mark))
			return false;
		if (line->kind->whole && !look_whole(line, line->fd[i], &view[i]))
			return false;
	}
	return true;
}
