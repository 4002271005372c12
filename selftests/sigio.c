// SPDX-License-Identifier: GPL-2.0
/*
 * Asynchronous notification: SIGIO, or another signal, for every event of
 * poll(2), to whom the owner is. E10, S03, S04, I02, I03, I04.
 */

#include "passenger.h"
#include "signals.h"
#include "kselftest_harness.h"

#include <linux/net_tstamp.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef FIOASYNC
#define FIOASYNC	0x5452
#endif
#ifndef FIOSETOWN
#define FIOSETOWN	0x8901
#define SIOCSPGRP	0x8902
#define FIOGETOWN	0x8903
#define SIOCGPGRP	0x8904
#endif

FIXTURE(async)
{
	struct ft_leak leak;
	int a, b;
	bool tcp, stream;
};

FIXTURE_VARIANT(async)
{
	struct ft_kind kind;
};

#define ASYNC_VARIANT(_name, _domain, _type, _how)			\
FIXTURE_VARIANT_ADD(async, _name)					\
{									\
	.kind = { _domain, _type, _how },				\
}

ASYNC_VARIANT(FERRY_stream_pair, AF_FERRY, SOCK_STREAM, FT_PAIR);
ASYNC_VARIANT(FERRY_stream_conn, AF_FERRY, SOCK_STREAM, FT_CONN);
ASYNC_VARIANT(FERRY_seqpacket_conn, AF_FERRY, SOCK_SEQPACKET, FT_CONN);
ASYNC_VARIANT(FERRY_dgram_pair, AF_FERRY, SOCK_DGRAM, FT_PAIR);
ASYNC_VARIANT(FERRY_dgram_conn, AF_FERRY, SOCK_DGRAM, FT_CONN);
ASYNC_VARIANT(UNIX_stream_conn, AF_UNIX, SOCK_STREAM, FT_CONN);
ASYNC_VARIANT(UNIX_seqpacket_conn, AF_UNIX, SOCK_SEQPACKET, FT_CONN);
ASYNC_VARIANT(UNIX_dgram_conn, AF_UNIX, SOCK_DGRAM, FT_CONN);
ASYNC_VARIANT(TCP_conn, AF_INET, SOCK_STREAM, FT_CONN);
ASYNC_VARIANT(UDP_conn, AF_INET, SOCK_DGRAM, FT_CONN);

FIXTURE_SETUP(async)
{
	sigset_t set = signals();

	FT_NEED(variant->kind.domain, variant->kind.type);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ft_leak_start(&self->leak, variant->kind.domain);
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
	self->stream = variant->kind.type == SOCK_STREAM;
	self->tcp = self->stream && variant->kind.domain == AF_INET;
}

FIXTURE_TEARDOWN(async)
{
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

#define NEED_CONNECTION()						\
do {									\
	if (variant->kind.type == SOCK_DGRAM)				\
		SKIP(return, "has no connection");			\
} while (0)

#define NOT_UNIX()							\
do {									\
	if (variant->kind.domain == AF_UNIX)				\
		SKIP(return, "not promised by AF_UNIX");		\
} while (0)

TEST_F(async, E10_data)
{
	/* Nobody asked. */
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, 3));
	EXPECT_TRUE(no_signal());
	ASSERT_TRUE(arm(self->b));
	EXPECT_TRUE(no_signal());
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	EXPECT_TRUE(expect_event(self->b, POLL_IN, POLLIN));
	forget_signals();
	/* No longer. */
	ASSERT_EQ(0, set_async(self->b, false));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	EXPECT_TRUE(no_signal());
}

TEST_F(async, E10_low_water_mark)
{
	if (!self->stream)
		SKIP(return, "records have no mark");
	NOT_UNIX();
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 4));
	ASSERT_TRUE(arm(self->b));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, 3));
	EXPECT_TRUE(no_signal());
	ASSERT_EQ(1, send(self->a, "d", 1, 0));
	EXPECT_TRUE(expect_event(self->b, POLL_IN, POLLIN));
}

TEST_F(async, E10_other_end_closed)
{
	NEED_CONNECTION();
	ASSERT_TRUE(arm(self->b));
	ft_close(&self->a);
	EXPECT_TRUE(expect_event(self->b, self->tcp ? POLL_IN : POLL_HUP,
				 self->tcp ? POLLIN : POLLHUP));
}

TEST_F(async, E10_shutdown)
{
	NEED_CONNECTION();
	ASSERT_TRUE(arm(self->b));
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_TRUE(expect_event(self->b, POLL_IN, POLLIN));
	ASSERT_EQ(0, set_async(self->b, false));
	forget_signals();
	NOT_UNIX();
	/* Now both directions are down. */
	ASSERT_TRUE(arm(self->a));
	ASSERT_EQ(0, shutdown(self->b, SHUT_WR));
	EXPECT_TRUE(expect_event(self->a, POLL_HUP, POLLHUP));
}

TEST_F(async, E10_shutdown_of_both)
{
	NEED_CONNECTION();
	if (self->tcp)
		SKIP(return, "a FIN says nothing of the other direction");
	ASSERT_TRUE(arm(self->b));
	ASSERT_EQ(0, shutdown(self->a, SHUT_RDWR));
	EXPECT_TRUE(expect_event(self->b, POLL_HUP, POLLHUP));
}

TEST_F(async, E10_receiver_takes_no_more)
{
	NEED_CONNECTION();
	if (variant->kind.domain != AF_FERRY)
		SKIP(return, "the other end is not told");
	ASSERT_TRUE(arm(self->b));
	ASSERT_EQ(0, shutdown(self->a, SHUT_RD));
	EXPECT_TRUE(expect_event(self->b, POLL_OUT, POLLOUT));
}

TEST_F(async, E10_room)
{
	char buf[4096] = "";

	if (variant->kind.domain != AF_FERRY && !self->stream)
		SKIP(return, "no event for a full receiver");
	ft_shrink(self->a, self->b);
	ASSERT_TRUE(arm(self->a));
	ASSERT_EQ(0, ft_nonblock(self->a, true));
	EXPECT_TRUE(no_signal());
	while (send(self->a, buf, sizeof(buf), 0) > 0)
		;
	ASSERT_EQ(EAGAIN, errno);
	if (!self->tcp)
		EXPECT_TRUE(no_signal());
	while (recv(self->b, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	if (self->tcp)
		ft_drain(self->b, 0);
	EXPECT_TRUE(expect_event(self->a, POLL_OUT, POLLOUT));
}

TEST_F(async, E10_error)
{
	NEED_CONNECTION();
	NOT_UNIX();
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, 3));
	ASSERT_TRUE(arm(self->a));
	ft_close(&self->b);
	EXPECT_TRUE(expect_event(self->a, POLL_ERR, POLLERR));
}

TEST_F(async, E10_report_in_the_error_queue)
{
	NOT_UNIX();
	ASSERT_TRUE(arm(self->a));
	ASSERT_EQ(0, ft_setint(self->a, SO_TIMESTAMPING,
			       SOF_TIMESTAMPING_SOFTWARE |
			       SOF_TIMESTAMPING_TX_SOFTWARE));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	EXPECT_TRUE(expect_event(self->a, POLL_ERR, POLLERR));
}

TEST_F(async, E10_urgent_byte)
{
	siginfo_t info;

	if (!self->stream)
		SKIP(return, "streams have urgent bytes");
	NOT_UNIX();
	/* An owner suffices for SIGURG. */
	ASSERT_EQ(0, fcntl(self->b, F_SETOWN, getpid()));
	ASSERT_EQ(1, send(self->a, "!", 1, MSG_OOB));
	ASSERT_TRUE(next_signal(&info, FT_LONG_MS));
	EXPECT_EQ(SIGURG, info.si_signo);
	EXPECT_TRUE(no_signal());
	/* With F_SETSIG there is the event too. */
	ASSERT_TRUE(arm(self->b));
	ASSERT_EQ(1, send(self->a, "!", 1, MSG_OOB));
	EXPECT_TRUE(expect_urgent(self->b));
}

TEST_F(async, E10_connections)
{
	struct ft_kind kind = variant->kind;
	struct ft_addr addr;
	int listener, a, b;

	NEED_CONNECTION();
	listener = ft_listener(&kind, &addr, 4);
	ASSERT_LE(0, listener);
	ASSERT_TRUE(arm(listener));
	a = socket(kind.domain, kind.type, 0);
	ASSERT_LE(0, a);
	ASSERT_EQ(0, connect(a, &addr.sa, addr.len));
	EXPECT_TRUE(expect_event(listener, POLL_IN, POLLIN));
	b = accept(listener, NULL, NULL);
	ASSERT_LE(0, b);
	/* What was accepted is not armed. */
	forget_signals();
	ASSERT_EQ(1, send(a, "x", 1, 0));
	ASSERT_TRUE(ft_wait_inq(b, 1));
	EXPECT_TRUE(no_signal());
	ft_close(&a);
	ft_close(&b);

	if (kind.domain != AF_UNIX) {
		a = socket(kind.domain, kind.type, 0);
		ASSERT_LE(0, a);
		ASSERT_EQ(0, set_async(listener, false));
		ASSERT_TRUE(arm(a));
		ASSERT_EQ(0, connect(a, &addr.sa, addr.len));
		EXPECT_TRUE(expect_event(a, POLL_OUT, POLLOUT));
		ft_close(&a);
	}
	ft_close(&listener);
}

TEST_F(async, E10_connect_that_waited)
{
	struct ft_kind kind = variant->kind;
	struct ft_addr addr;
	int listener, a[3], b, i;

	NEED_CONNECTION();
	if (kind.domain != AF_FERRY)
		SKIP(return, "a full backlog is another matter there");
	listener = ft_listener(&kind, &addr, 0);
	ASSERT_LE(0, listener);
	a[0] = ft_connect(&kind, &addr);
	ASSERT_LE(0, a[0]);
	for (i = 1; i < 3; i++) {
		a[i] = socket(kind.domain, kind.type | SOCK_NONBLOCK, 0);
		ASSERT_LE(0, a[i]);
		ASSERT_TRUE(arm(a[i]));
		ASSERT_ERR(EINPROGRESS, connect(a[i], &addr.sa, addr.len));
	}
	EXPECT_TRUE(no_signal());
	b = accept(listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_TRUE(expect_event(a[1], POLL_OUT, POLLOUT));
	forget_signals();
	/* It has taken the place; the other is refused. */
	ft_close(&listener);
	EXPECT_TRUE(expect_event(a[2], POLL_ERR, POLLERR));
	EXPECT_TRUE(expect_event(a[2], POLL_HUP, POLLHUP));
	ft_close(&a[1]);
	forget_signals();
	ft_close(&a[0]);
	ft_close(&a[2]);
	ft_close(&b);
}

TEST_F(async, S04_every_event_is_queued)
{
	siginfo_t info;
	int i;

	EXPECT_EQ(0, fcntl(self->b, F_GETSIG));
	ASSERT_TRUE(arm(self->b));
	EXPECT_EQ(SIGRTMIN, fcntl(self->b, F_GETSIG));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		ASSERT_TRUE(expect_event(self->b, POLL_IN, POLLIN));
	}
	for (i = 0; i < 3; i++)
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(next_signal(&info, FT_LONG_MS));
		EXPECT_EQ(SIGRTMIN, info.si_signo);
		EXPECT_EQ(self->b, info.si_fd);
		EXPECT_EQ(POLL_IN, info.si_code);
	}
	EXPECT_ERR(EINVAL, fcntl(self->b, F_SETSIG, 1000));
}

TEST_F(async, S03_plain_signal)
{
	siginfo_t info;

	ASSERT_TRUE(arm(self->b));
	ASSERT_EQ(0, fcntl(self->b, F_SETSIG, 0));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ASSERT_TRUE(next_signal(&info, FT_LONG_MS));
	EXPECT_EQ(SIGIO, info.si_signo);
	/* Without an owner there is nobody to tell. */
	ASSERT_EQ(0, fcntl(self->b, F_SETOWN, 0));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, 1));
	EXPECT_TRUE(no_signal());
}

TEST_F(async, I02_I03_owner)
{
	static const int set[] = { FIOSETOWN, SIOCSPGRP };
	static const int get[] = { FIOGETOWN, SIOCGPGRP };
	int owner, i;

	for (i = 0; i < 2; i++) {
		owner = -1;
		ASSERT_EQ(0, ioctl(self->b, get[i], &owner));
		EXPECT_EQ(0, owner);
		owner = getpid();
		ASSERT_EQ(0, ioctl(self->b, set[i], &owner));
		EXPECT_EQ(getpid(), fcntl(self->b, F_GETOWN));
		owner = -getpgrp();
		ASSERT_EQ(0, ioctl(self->b, set[i], &owner));
		owner = 0;
		ASSERT_EQ(0, ioctl(self->b, get[i], &owner));
		EXPECT_EQ(-getpgrp(), owner);
		EXPECT_ERR(EFAULT, ioctl(self->b, set[i], FT_WILD));
		EXPECT_ERR(EFAULT, ioctl(self->b, get[i], FT_WILD));
		owner = 1 << 30;
		EXPECT_ERR(ESRCH, ioctl(self->b, set[i], &owner));
		owner = 0;
		ASSERT_EQ(0, ioctl(self->b, set[i], &owner));
	}
}

/* A result of its own for the conformance page. */
TEST_F(async, I03_none_and_after_the_owner)
{
	int owner = -1;

	ASSERT_EQ(0, fcntl(self->b, F_SETOWN, getpid()));
	ASSERT_EQ(0, ioctl(self->b, FIOGETOWN, &owner));
	EXPECT_EQ(getpid(), owner);
	ASSERT_EQ(0, ioctl(self->b, SIOCGPGRP, &owner));
	EXPECT_EQ(getpid(), owner);
	ASSERT_EQ(0, ioctl(self->a, SIOCGPGRP, &owner));
	EXPECT_EQ(0, owner);
}

TEST_F(async, I04_fioasync)
{
	int on = 1;

	ASSERT_EQ(0, fcntl(self->b, F_SETOWN, getpid()));
	ASSERT_EQ(0, fcntl(self->b, F_SETSIG, SIGRTMIN));
	ASSERT_EQ(0, ioctl(self->b, FIOASYNC, &on));
	EXPECT_EQ(O_ASYNC, fcntl(self->b, F_GETFL) & O_ASYNC);
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_TRUE(expect_event(self->b, POLL_IN, POLLIN));
	on = 0;
	ASSERT_EQ(0, ioctl(self->b, FIOASYNC, &on));
	EXPECT_EQ(0, fcntl(self->b, F_GETFL) & O_ASYNC);
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, 1));
	EXPECT_TRUE(no_signal());
	EXPECT_ERR(EFAULT, ioctl(self->b, FIOASYNC, FT_WILD));
}

TEST_F(async, S03_after_dup)
{
	int fd = self->b, copy;

	ASSERT_TRUE(arm(self->b));
	copy = dup(self->b);
	ASSERT_LE(0, copy);
	/* The number is that by which it was asked for. */
	ft_close(&self->b);
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_TRUE(expect_event(fd, POLL_IN, POLLIN));
	ft_close(&copy);
}

/* In a child: become the owner, tell, and wait for an event. */
static int child_owner(struct ft_child *child, int fd)
{
	if (!arm(fd) || !ft_say(child, "armed"))
		return 1;
	return expect_event(fd, POLL_IN, POLLIN) ? 0 : 2;
}

TEST_F(async, S03_a_child_is_the_owner)
{
	struct ft_child child;

	ASSERT_LE(0, ft_fork(&child));
	if (!child.pid)
		_exit(child_owner(&child, self->b));
	EXPECT_TRUE(ft_expect(&child, "armed"));
	EXPECT_EQ(child.pid, fcntl(self->b, F_GETOWN));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(0, ft_wait_child(&child));
	EXPECT_TRUE(no_signal());
}

TEST_F(async, S03_after_passing_the_socket)
{
	struct ft_child child;
	struct pass pass;
	int pair[2];
	char byte;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	ASSERT_LE(0, ft_fork(&child));
	if (!child.pid) {
		if (pass_recv(pair[1], &byte, 1, &pass, 0) != 1 ||
		    pass.fds != 1)
			_exit(3);
		_exit(child_owner(&child, pass.fd[0]));
	}
	ASSERT_EQ(1, pass_send(pair[0], "x", 1, &self->b, 1, NULL, 0));
	EXPECT_TRUE(ft_expect(&child, "armed"));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(0, ft_wait_child(&child));
	ft_close(&pair[0]);
	ft_close(&pair[1]);
}

TEST_F(async, S03_process_group)
{
	struct ft_child child;

	ASSERT_LE(0, ft_fork(&child));
	if (!child.pid) {
		setpgid(0, 0);
		if (fcntl(self->b, F_SETOWN, -getpgrp()) ||
		    fcntl(self->b, F_SETSIG, SIGRTMIN) || set_async(self->b, true) ||
		    fcntl(self->b, F_GETOWN) != -getpgrp())
			_exit(1);
		ft_say(&child, "armed");
		_exit(expect_event(self->b, POLL_IN, POLLIN) ? 0 : 2);
	}
	EXPECT_TRUE(ft_expect(&child, "armed"));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(0, ft_wait_child(&child));
	EXPECT_TRUE(no_signal());
}

struct waiter {
	pthread_t thread;
	atomic_int tid;
	int fd;
	bool ok;
};

static void *waiter_main(void *arg)
{
	struct waiter *waiter = arg;

	atomic_store(&waiter->tid, syscall(SYS_gettid));
	waiter->ok = expect_event(waiter->fd, POLL_IN, POLLIN);
	return NULL;
}

TEST_F(async, S03_thread)
{
	struct waiter waiter = { .fd = self->b };
	struct f_owner_ex owner = { .type = F_OWNER_TID }, got;
	siginfo_t info;

	ASSERT_EQ(0, pthread_create(&waiter.thread, NULL, waiter_main, &waiter));
	while (!atomic_load(&waiter.tid))
		sched_yield();
	owner.pid = atomic_load(&waiter.tid);
	ASSERT_TRUE(arm(self->b));
	ASSERT_EQ(0, fcntl(self->b, F_SETOWN_EX, &owner));
	ASSERT_EQ(0, fcntl(self->b, F_GETOWN_EX, &got));
	EXPECT_EQ(F_OWNER_TID, got.type);
	EXPECT_EQ(owner.pid, got.pid);
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	/* Not to this thread, nor to the process. */
	pthread_join(waiter.thread, NULL);
	EXPECT_TRUE(waiter.ok);
	EXPECT_FALSE(next_signal(&info, 0));
}

/* Whoever set the owner must be allowed to signal it. */
TEST_F(async, S03_owner_of_another_user)
{
	struct ft_child child;

	ASSERT_LE(0, ft_fork(&child));
	if (!child.pid) {
		if (!ft_become(65534, 65534) || fcntl(self->b, F_SETOWN, getppid()) ||
		    fcntl(self->b, F_SETSIG, SIGRTMIN) || set_async(self->b, true))
			_exit(1);
		_exit(send(self->a, "x", 1, 0) == 1 ? 0 : 2);
	}
	EXPECT_EQ(0, ft_wait_child(&child));
	ASSERT_TRUE(ft_wait_inq(self->b, 1));
	EXPECT_EQ(getpid(), fcntl(self->b, F_GETOWN));
	EXPECT_TRUE(no_signal());
	/* Set by its own user it is. */
	ASSERT_EQ(0, fcntl(self->b, F_SETOWN, getpid()));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_TRUE(expect_event(self->b, POLL_IN, POLLIN));
}

/*
 * Who set the owner must be allowed to signal it, by the user IDs that it had then
 * and those that the owner has now.
 */
struct ids {
	uid_t real, effective, saved;
};

static const struct rule {
	struct ids setter, owner;
	bool allowed;
} rules[] = {
	{ { 100, 100, 100 }, { 100, 100, 100 }, true },
	{ { 100, 100, 100 }, { 200, 200, 200 }, false },
	{ { 0, 0, 0 }, { 200, 200, 200 }, true },
	/* A program that runs set-user-ID is still its caller's. */
	{ { 100, 100, 100 }, { 100, 0, 0 }, true },
	{ { 100, 100, 100 }, { 0, 0, 100 }, true },
	/* That it acts for somebody does not make it theirs. */
	{ { 100, 100, 100 }, { 200, 100, 200 }, false },
	/* Of the setter both count, */
	{ { 200, 100, 200 }, { 100, 100, 100 }, true },
	{ { 100, 200, 200 }, { 100, 100, 100 }, true },
	/* but not what it could become, and of root only what it acts as. */
	{ { 200, 200, 100 }, { 100, 100, 100 }, false },
	{ { 0, 100, 0 }, { 200, 200, 200 }, false },
};

static bool become(const struct ids *ids)
{
	return !setresuid(ids->real, ids->effective, ids->saved);
}

/* The owner: 0 when the signal of an event came before SIGURG, which is the end. */
static int owner_main(int ready)
{
	siginfo_t info;
	bool came = false;

	if (write(ready, "", 1) != 1)
		return 3;
	while (next_signal(&info, FT_LONG_MS)) {
		came |= info.si_signo == SIGRTMIN;
		if (info.si_signo != SIGURG)
			continue;
		/* Those with higher numbers come later. */
		return came || next_signal(&info, 0) ? 0 : 1;
	}
	return 2;
}

/*
 * What an owner gets that @setter has set, when @from sends to @fd: 0 the signal, 1
 * none. Either it takes its user IDs itself or, as @owner's real one, runs @program,
 * which is set-user-ID.
 */
static int gets_signal(int from, int fd, const struct ids *setter,
		       const struct ids *owner, const char *program)
{
	int ready[2], status = -1;
	char number[16], c;
	pid_t pid, who;

	if (pipe(ready))
		return -1;
	pid = fork();
	if (!pid) {
		if (!program)
			_exit(become(owner) ? owner_main(ready[1]) : 4);
		snprintf(number, sizeof(number), "%d", ready[1]);
		if (ft_become(owner->real, owner->real))
			execl(program, program, "--owner", number, NULL);
		_exit(5);
	}
	close(ready[1]);
	if (pid < 0 || read(ready[0], &c, 1) != 1)
		goto out;
	who = fork();
	if (!who)
		_exit(become(setter) && !fcntl(fd, F_SETOWN, pid) &&
		      !fcntl(fd, F_SETSIG, SIGRTMIN) && !set_async(fd, true) ?
		      0 : 6);
	if (waitpid(who, &status, 0) != who || status)
		goto out;
	if (send(from, "x", 1, 0) == 1 && ft_wait_inq(fd, 1) &&
	    recv(fd, &c, 1, 0) == 1)
		kill(pid, SIGURG);
out:
	close(ready[0]);
	set_async(fd, false);
	if (pid > 0 && waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(async, S03_who_may_signal_whom)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rules); i++)
		EXPECT_EQ(!rules[i].allowed,
			  gets_signal(self->a, self->b, &rules[i].setter,
				      &rules[i].owner, NULL)) {
			TH_LOG("rule %zu", i);
		}
	EXPECT_TRUE(no_signal());
}

/* Copies this program to a file that runs as root, whoever starts it. */
static bool make_setuid(char *path)
{
	char buf[65536];
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = mkstemp(path);
	ssize_t n;
	bool ok;

	while ((n = read(from, buf, sizeof(buf))) > 0)
		if (write(to, buf, n) != n)
			n = -1;
	ok = !n && !fchmod(to, 04755);
	ft_close(&from);
	ft_close(&to);
	return ok;
}

TEST_F(async, S03_a_set_user_id_program_is_the_owner)
{
	static const struct ids caller = { 100, 100, 100 }, root;
	static const struct ids other = { 200, 200, 200 };
	char path[] = "/tmp/ferry-sigio-XXXXXX";

	ASSERT_TRUE(make_setuid(path));
	EXPECT_EQ(0, gets_signal(self->a, self->b, &caller, &caller, path));
	EXPECT_EQ(1, gets_signal(self->a, self->b, &other, &caller, path));
	EXPECT_EQ(0, gets_signal(self->a, self->b, &root, &caller, path));
	EXPECT_EQ(0, unlink(path));
}

/* Armed, it stays so while nobody but a message has it. */
TEST_F(async, S03_armed_and_in_flight)
{
	int pair[2], number = self->b;
	struct pass pass;
	char byte;

	ASSERT_EQ(0, socketpair(variant->kind.domain == AF_FERRY ? AF_FERRY :
				AF_UNIX, SOCK_STREAM, 0, pair));
	ASSERT_TRUE(arm(self->b));
	ASSERT_EQ(1, pass_send(pair[0], "x", 1, &self->b, 1, NULL, 0));
	/* The descriptor goes, the socket does not. */
	ft_close(&self->b);
	forget_signals();
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_TRUE(expect_event(number, POLL_IN, POLLIN));

	ASSERT_EQ(1, pass_recv(pair[1], &byte, 1, &pass, 0));
	ASSERT_EQ(1, pass.fds);
	self->b = pass.fd[0];
	EXPECT_EQ(getpid(), fcntl(self->b, F_GETOWN));
	EXPECT_NE(0, fcntl(self->b, F_GETFL) & O_ASYNC);
	ASSERT_EQ(0, set_async(self->b, false));
	forget_signals();
	ASSERT_EQ(1, send(self->a, "y", 1, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, self->stream ? 2 : 1));
	EXPECT_TRUE(no_signal());
	/* It was asked for with that number, and is now with this one. */
	ASSERT_EQ(0, set_async(self->b, true));
	ASSERT_EQ(1, send(self->a, "z", 1, 0));
	EXPECT_TRUE(expect_event(self->b, POLL_IN, POLLIN));
	ft_close(&pair[0]);
	ft_close(&pair[1]);
}

static void __attribute__((constructor)) run_as_owner(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--owner"))
		_exit(owner_main(atoi(argv[2])));
}

FT_HARNESS_MAIN
