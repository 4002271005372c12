// SPDX-License-Identifier: GPL-2.0
/* See ferry_test.h for what each function promises. */

#include "ferry_test.h"

#include <dirent.h>
#include <grp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

void *ft_wild = (void *)16;

bool ft_share(const char *share, int *which, int *of)
{
	char end;

	return sscanf(share, "%d/%d%c", which, of, &end) == 2 && *which >= 0 && *of >= 1;
}

bool ft_left_out(const char *variant, int *old)
{
	int which, of;

	if (!strncmp(variant, "UNIX", 4) || !strncmp(variant, "TCP", 3) ||
	    !strncmp(variant, "UDP", 3)) {
		const char *share = getenv("FT_OLD_SHARE");

		return getenv("FT_FERRY_ONLY") ||
		       (share && ft_share(share, &which, &of) &&
			(*old)++ % of != which % of);
	}
	/* What differs from IPv6 is TCP's and UDP's, and hosts take long there. */
	return !strcmp(variant, "FERRY_ipv4") && ft_checks_itself();
}

bool ft_have(int domain, int type)
{
	int fd = socket(domain, type, 0);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

bool ft_have_option(int level, int option)
{
	bool have;
	int fd;

	/* All others exist in every configuration. */
	if (level != SOL_SOCKET ||
	    (option != SO_BUSY_POLL && option != SO_PREFER_BUSY_POLL &&
	     option != SO_BUSY_POLL_BUDGET && option != SO_INCOMING_NAPI_ID))
		return true;
	/* INET tells: AF_FERRY must not hide by refusing what there is. */
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	have = ft_getint(fd, SO_BUSY_POLL) >= 0;
	ft_close(&fd);
	return have;
}

bool ft_kernel_before(int major, int minor)
{
	struct utsname name;
	int have_major, have_minor;

	if (uname(&name) ||
	    sscanf(name.release, "%d.%d", &have_major, &have_minor) != 2)
		return false;
	return have_major < major ||
	       (have_major == major && have_minor < minor);
}

bool ft_checks_itself(void)
{
	return !access("/sys/kernel/debug/kmemleak", F_OK) ||
	       !access("/sys/kernel/debug/kcsan", F_OK);
}

void ft_addr_ferry(struct ft_addr *addr, const void *name, size_t len)
{
	memset(addr, 0, sizeof(*addr));
	addr->ferry.sfy_family = AF_FERRY;
	addr->ferry.sfy_scope = FERRY_SCOPE_HOST;
	memcpy(addr->ferry.sfy_name, name, len);
	addr->len = FERRY_ADDR_LEN(len);
}

void ft_addr_new(int domain, struct ft_addr *addr)
{
	static atomic_int serial;
	char name[64];
	int len;

	len = snprintf(name, sizeof(name), "test/%d/%d", getpid(),
		       atomic_fetch_add(&serial, 1));
	memset(addr, 0, sizeof(*addr));
	switch (domain) {
	case AF_FERRY:
		ft_addr_ferry(addr, name, len);
		break;
	case AF_UNIX:
		/* An abstract name: nothing to clean up. */
		addr->un.sun_family = AF_UNIX;
		memcpy(addr->un.sun_path + 1, name, len);
		addr->len = offsetof(struct sockaddr_un, sun_path) + 1 + len;
		break;
	default:
		addr->in.sin_family = AF_INET;
		addr->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		addr->len = sizeof(addr->in);
	}
}

int ft_bind_new(int fd, int domain, struct ft_addr *addr)
{
	ft_addr_new(domain, addr);
	if (bind(fd, &addr->sa, addr->len))
		return -1;
	addr->len = sizeof(addr->ss);
	return getsockname(fd, &addr->sa, &addr->len);
}

int ft_listener(const struct ft_kind *kind, struct ft_addr *addr, int backlog)
{
	int fd;

	fd = socket(kind->domain, kind->type, 0);
	if (fd < 0)
		return -1;
	if (ft_bind_new(fd, kind->domain, addr) || listen(fd, backlog)) {
		ft_close(&fd);
		return -1;
	}
	return fd;
}

int ft_connect(const struct ft_kind *kind, const struct ft_addr *addr)
{
	int fd;

	fd = socket(kind->domain, kind->type, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, &addr->sa, addr->len)) {
		ft_close(&fd);
		return -1;
	}
	return fd;
}

/* Both bound, and each the other's peer. */
static int ft_dgram_pair(const struct ft_kind *kind, int *a, int *b)
{
	struct ft_addr addr_a, addr_b;

	*a = socket(kind->domain, kind->type, 0);
	*b = socket(kind->domain, kind->type, 0);
	if (*a >= 0 && *b >= 0 && !ft_bind_new(*a, kind->domain, &addr_a) &&
	    !ft_bind_new(*b, kind->domain, &addr_b) &&
	    !connect(*a, &addr_b.sa, addr_b.len) &&
	    !connect(*b, &addr_a.sa, addr_a.len))
		return 0;
	ft_close(a);
	ft_close(b);
	return -1;
}

int ft_pair(const struct ft_kind *kind, int *a, int *b)
{
	struct ft_addr addr;
	int listener;
	int fd[2];

	*a = -1;
	*b = -1;
	if (kind->how == FT_PAIR) {
		if (socketpair(kind->domain, kind->type, 0, fd))
			return -1;
		*a = fd[0];
		*b = fd[1];
		return 0;
	}

	if (kind->type == SOCK_DGRAM)
		return ft_dgram_pair(kind, a, b);

	listener = ft_listener(kind, &addr, 1);
	if (listener < 0)
		return -1;
	*a = ft_connect(kind, &addr);
	if (*a >= 0)
		*b = accept(listener, NULL, NULL);
	ft_close(&listener);
	if (*b >= 0)
		return 0;
	ft_close(a);
	return -1;
}

void ft_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int ft_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -1;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags);
}

int ft_setint(int fd, int option, int value)
{
	return setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value));
}

int ft_getint(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value = -1;

	if (getsockopt(fd, SOL_SOCKET, option, &value, &len) ||
	    len != sizeof(value))
		return -1;
	return value;
}

int ft_settimeo(int fd, int option, long ms)
{
	struct timeval tv = {
		.tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000,
	};

	return setsockopt(fd, SOL_SOCKET, option, &tv, sizeof(tv));
}

int64_t ft_meminfo(int fd, int what)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) ||
	    len != sizeof(info))
		return -1;
	return info[what];
}

short ft_poll(int fd, short events, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int n;

	do {
		n = poll(&pfd, 1, ms);
	} while (n < 0 && errno == EINTR);
	return n > 0 ? pfd.revents : 0;
}

int64_t ft_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t ft_ticks_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void ft_pause(void)
{
	struct timespec ts = { .tv_nsec = 200 * 1000 };

	/* Between two looks at a state that announces itself to nobody. */
	nanosleep(&ts, NULL);
}

bool ft_wait_inq(int fd, int bytes)
{
	int64_t end = ft_now_ms() + FT_LONG_MS;
	int n;

	for (;;) {
		if (ioctl(fd, FIONREAD, &n))
			return false;
		if (n >= bytes)
			return true;
		if (ft_now_ms() > end)
			return false;
		ft_pause();
	}
}

static unsigned char ft_byte(uint64_t offset)
{
	return (offset * 31 + (offset >> 8) * 7 + (offset >> 16) * 13) & 0xff;
}

void ft_pattern(void *buf, uint64_t offset, size_t len)
{
	unsigned char *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = ft_byte(offset + i);
}

bool ft_pattern_ok(const void *buf, uint64_t offset, size_t len)
{
	const unsigned char *p = buf;
	size_t i;

	for (i = 0; i < len; i++) {
		if (p[i] == ft_byte(offset + i))
			continue;
		fprintf(stderr, "# byte %llu of the stream is %02x, not %02x\n",
			(unsigned long long)(offset + i), p[i],
			ft_byte(offset + i));
		return false;
	}
	return true;
}

bool ft_send_all(int fd, uint64_t offset, size_t len, size_t chunk)
{
	char *buf = malloc(chunk);
	size_t done = 0;
	ssize_t n = 0;

	while (buf && done < len) {
		size_t piece = len - done < chunk ? len - done : chunk;

		ft_pattern(buf, offset + done, piece);
		n = send(fd, buf, piece, MSG_NOSIGNAL);
		if (n <= 0)
			break;
		done += n;
	}
	free(buf);
	return done == len;
}

bool ft_recv_all(int fd, uint64_t offset, size_t len, size_t chunk)
{
	char *buf = malloc(chunk);
	size_t done = 0;
	ssize_t n = 0;

	while (buf && done < len) {
		size_t piece = len - done < chunk ? len - done : chunk;

		n = recv(fd, buf, piece, 0);
		if (n <= 0 || !ft_pattern_ok(buf, offset + done, n))
			break;
		done += n;
	}
	free(buf);
	return done == len;
}

ssize_t ft_fill(int fd, uint64_t offset, size_t chunk)
{
	int settle = ft_getint(fd, SO_DOMAIN) == AF_INET ? 50 : 0;
	char *buf = malloc(chunk);
	ssize_t total = 0;
	ssize_t n;

	while (buf) {
		ft_pattern(buf, offset + total, chunk);
		n = send(fd, buf, chunk, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			total += n;
			continue;
		}
		if (n == 0 || errno != EAGAIN) {
			total = -1;
			break;
		}
		/* TCP frees its buffer again when the ACKs come. */
		if (!ft_poll(fd, POLLOUT, settle))
			break;
	}
	free(buf);
	return total;
}

ssize_t ft_drain(int fd, uint64_t offset)
{
	int settle = ft_getint(fd, SO_DOMAIN) == AF_INET ? 1000 : 0;
	ssize_t total = 0;
	char buf[4096];
	ssize_t n;

	for (;;) {
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n > 0) {
			if (!ft_pattern_ok(buf, offset + total, n))
				return -1;
			total += n;
			continue;
		}
		if (n == 0)
			return total;
		if (errno != EAGAIN)
			return -1;
		if (!ft_poll(fd, POLLIN, settle))
			return total;
	}
}

void ft_shrink(int sender, int receiver)
{
	ft_setint(sender, SO_SNDBUF, 16384);
	ft_setint(receiver, SO_RCVBUF, 16384);
}

char *ft_page_edge(char **edge)
{
	long page = sysconf(_SC_PAGESIZE);
	char *map;

	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	munmap(map + page, page);
	*edge = map + page;
	return map;
}

/* Calls in threads. */

static void *ft_call_thread(void *arg)
{
	struct ft_call *call = arg;

	atomic_store(&call->tid, syscall(SYS_gettid));
	errno = 0;
	call->ret = call->fn(call);
	call->err = call->ret < 0 ? errno : 0;
	atomic_store(&call->done, 1);
	return NULL;
}

int ft_start(struct ft_call *call)
{
	atomic_store(&call->tid, 0);
	atomic_store(&call->done, 0);
	return pthread_create(&call->thread, NULL, ft_call_thread, call);
}

static bool ft_read_file(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, len - 1);
	close(fd);
	if (n < 0)
		return false;
	buf[n] = '\0';
	return true;
}

bool ft_task_blocked(pid_t pid, pid_t tid)
{
	char path[64];
	char buf[512];
	char *p;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	if (!ft_read_file(path, buf, sizeof(buf)))
		return false;
	p = strrchr(buf, ')');
	if (!p || p[1] != ' ' || p[2] != 'S')
		return false;

	/* "running" unless the task is off the CPU, "-1" outside of a call. */
	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
	if (!ft_read_file(path, buf, sizeof(buf)))
		return false;
	return buf[0] >= '0' && buf[0] <= '9';
}

bool ft_blocked(struct ft_call *call)
{
	while (!atomic_load(&call->done)) {
		pid_t tid = atomic_load(&call->tid);

		if (tid && ft_task_blocked(getpid(), tid))
			return true;
		ft_pause();
	}
	return false;
}

void ft_join(struct ft_call *call)
{
	pthread_join(call->thread, NULL);
}

ssize_t ft_do_recv(struct ft_call *call)
{
	return recv(call->fd, call->buf, call->len, call->flags);
}

ssize_t ft_do_recvmsg(struct ft_call *call)
{
	struct iovec iov = { .iov_base = call->buf, .iov_len = call->len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return recvmsg(call->fd, &msg, call->flags);
}

ssize_t ft_do_read(struct ft_call *call)
{
	return read(call->fd, call->buf, call->len);
}

ssize_t ft_do_readv(struct ft_call *call)
{
	struct iovec iov = { .iov_base = call->buf, .iov_len = call->len };

	return readv(call->fd, &iov, 1);
}

ssize_t ft_do_send(struct ft_call *call)
{
	return send(call->fd, call->buf, call->len, call->flags);
}

ssize_t ft_do_sendmsg(struct ft_call *call)
{
	struct iovec iov = { .iov_base = call->buf, .iov_len = call->len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return sendmsg(call->fd, &msg, call->flags);
}

ssize_t ft_do_write(struct ft_call *call)
{
	return write(call->fd, call->buf, call->len);
}

ssize_t ft_do_writev(struct ft_call *call)
{
	struct iovec iov = { .iov_base = call->buf, .iov_len = call->len };

	return writev(call->fd, &iov, 1);
}

ssize_t ft_do_accept(struct ft_call *call)
{
	return accept(call->fd, NULL, NULL);
}

ssize_t ft_do_connect(struct ft_call *call)
{
	return connect(call->fd, &call->addr->sa, call->addr->len);
}

ssize_t ft_do_poll(struct ft_call *call)
{
	struct pollfd pfd = { .fd = call->fd, .events = call->events };
	int n = poll(&pfd, 1, call->timeout_ms ? call->timeout_ms : -1);

	call->revents = pfd.revents;
	return n;
}

ssize_t ft_do_select(struct ft_call *call)
{
	struct timeval tv = {
		.tv_sec = call->timeout_ms / 1000,
		.tv_usec = call->timeout_ms % 1000 * 1000,
	};
	fd_set in, out;
	int n;

	FD_ZERO(&in);
	FD_ZERO(&out);
	if (call->events & POLLIN)
		FD_SET(call->fd, &in);
	if (call->events & POLLOUT)
		FD_SET(call->fd, &out);
	n = select(call->fd + 1, &in, &out, NULL,
		   call->timeout_ms ? &tv : NULL);
	call->revents = 0;
	if (n > 0 && FD_ISSET(call->fd, &in))
		call->revents |= POLLIN;
	if (n > 0 && FD_ISSET(call->fd, &out))
		call->revents |= POLLOUT;
	return n;
}

ssize_t ft_do_epoll(struct ft_call *call)
{
	struct epoll_event event = { .events = call->events };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	int saved;
	int n;

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, call->fd, &event))
		return -1;
	n = epoll_wait(ep, &event, 1, call->timeout_ms ? call->timeout_ms : -1);
	saved = errno;
	call->revents = n > 0 ? event.events : 0;
	close(ep);
	errno = saved;
	return n;
}

/* Signals. */

static atomic_int ft_signal_count;

static void ft_signal_handler(int sig)
{
	atomic_fetch_add(&ft_signal_count, 1);
}

int ft_catch(int sig, int flags)
{
	struct sigaction action = {
		.sa_handler = ft_signal_handler,
		.sa_flags = flags,
	};

	return sigaction(sig, &action, NULL);
}

int ft_signals(void)
{
	return atomic_load(&ft_signal_count);
}

bool ft_signalled(void)
{
	int64_t end = ft_now_ms() + FT_LONG_MS;

	while (!ft_signals() && ft_now_ms() < end)
		sched_yield();
	return ft_signals();
}

void ft_signals_reset(void)
{
	atomic_store(&ft_signal_count, 0);
}

/* Children. */

pid_t ft_fork(struct ft_child *child)
{
	int down[2], up[2];

	if (pipe(down))
		return -1;
	if (pipe(up)) {
		close(down[0]);
		close(down[1]);
		return -1;
	}
	fflush(NULL);
	child->pid = fork();
	if (child->pid == 0) {
		/* No child outlives a test that was aborted. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		child->in = down[0];
		child->out = up[1];
		close(down[1]);
		close(up[0]);
	} else {
		child->in = up[0];
		child->out = down[1];
		close(down[0]);
		close(up[1]);
	}
	return child->pid;
}

bool ft_say(struct ft_child *child, const char *line)
{
	size_t len = strlen(line);

	return write(child->out, line, len) == (ssize_t)len &&
	       write(child->out, "\n", 1) == 1;
}

bool ft_expect(struct ft_child *child, const char *line)
{
	char buf[128];
	size_t n = 0;

	while (n < sizeof(buf) - 1) {
		if (!ft_poll(child->in, POLLIN, FT_LONG_MS) ||
		    read(child->in, buf + n, 1) != 1)
			break;
		if (buf[n] == '\n') {
			buf[n] = '\0';
			if (!strcmp(buf, line))
				return true;
			break;
		}
		n++;
	}
	buf[n] = '\0';
	fprintf(stderr, "# expected the line '%s', got '%s'\n", line, buf);
	return false;
}

int ft_wait_child(struct ft_child *child)
{
	int status;

	ft_close(&child->in);
	ft_close(&child->out);
	if (waitpid(child->pid, &status, 0) != child->pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool ft_become(uid_t uid, gid_t gid)
{
	return !setgroups(0, NULL) && !setgid(gid) && !setuid(uid);
}

/* Leaks. */

static int ft_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

long ft_proc_number(const char *path, const char *name)
{
	FILE *f = fopen(path, "re");
	char line[256];
	long n = -1;

	if (!f)
		return -1;
	while (n < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			n = atol(line + strlen(name));
	fclose(f);
	return n;
}

long ft_ferry_sockets(void)
{
	FILE *f = fopen("/proc/net/protocols", "re");
	char name[32];
	char line[256];
	long sockets = -1;
	long n;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		/* protocol size sockets ... */
		if (sscanf(line, "%31s %*d %ld", name, &n) == 2 &&
		    !strcmp(name, "FERRY"))
			sockets = n;
	}
	fclose(f);
	return sockets;
}

long ft_ferry_refs(void)
{
	FILE *f = fopen("/sys/module/ferry/refcnt", "re");
	long refs = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &refs) != 1)
		refs = -1;
	fclose(f);
	return refs;
}

void ft_leak_start(struct ft_leak *leak, int domain)
{
	int64_t end = ft_now_ms() + 1000;

	leak->domain = domain;
	leak->fds = ft_count_fds();
	if (domain != AF_FERRY)
		return;
	leak->sockets = ft_ferry_sockets();
	/*
	 * Those of ft_have() and of the test before go a grace period later. If that
	 * takes longer, or others use the module, the check sees less.
	 */
	do {
		leak->refs = ft_ferry_refs();
		if (leak->refs <= 0)
			break;
		ft_pause();
	} while (ft_now_ms() < end);
}

bool ft_leak_check(struct ft_leak *leak)
{
	int64_t end = ft_now_ms() + FT_LONG_MS;
	int fds = ft_count_fds();
	long sockets, refs;

	if (fds != leak->fds) {
		fprintf(stderr, "# %d descriptors open, %d at the start\n",
			fds, leak->fds);
		return false;
	}
	if (leak->domain != AF_FERRY)
		return true;
	if (leak->sockets < 0) {
		fprintf(stderr, "# FERRY is not in /proc/net/protocols\n");
		return false;
	}
	/*
	 * The last reference may go a grace period after the close. Others may use
	 * the module too, and have let it go meanwhile.
	 */
	for (;;) {
		sockets = ft_ferry_sockets();
		refs = ft_ferry_refs();
		if (sockets == leak->sockets && refs <= leak->refs)
			return true;
		if (ft_now_ms() > end)
			break;
		ft_pause();
	}
	fprintf(stderr, "# %ld FERRY sockets live, %ld at the start\n",
		sockets, leak->sockets);
	fprintf(stderr, "# %ld references on the module, %ld at the start\n",
		refs, leak->refs);
	return false;
}
