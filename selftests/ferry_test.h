/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every selftest needs: sockets of any family made the same way, calls
 * that block in a thread of their own, children with a control channel, and
 * leak checks. Nothing here asserts or exits; a test decides on the results.
 *
 * Nothing here sleeps in the hope that something has happened meanwhile:
 * ft_blocked() looks at the task, ft_expect() waits for a line, ft_poll()
 * waits for an event.
 */
#ifndef FERRY_TEST_H
#define FERRY_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <netinet/in.h>
#include <linux/ferry.h>
#include <linux/sock_diag.h>

/*
 * The kernel's ioctl numbers; <linux/sockios.h> takes them from headers that
 * do not live beside those of the C library.
 */
#ifndef SIOCINQ
#define SIOCINQ		FIONREAD
#endif
#ifndef SIOCOUTQ
#define SIOCOUTQ	TIOCOUTQ
#endif

#ifndef SO_MEMINFO
#define SO_MEMINFO	55
#endif

#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY	0x4000000
#endif

/* How long something that must happen may take, under emulation too. */
#define FT_LONG_MS	20000

/* What a long test may take, in seconds, where all is slow; see settings too. */
#define FT_SLOW_S	300

/*
 * The least that a timeout of @ms takes from ft_ticks_ms() to ft_now_ms(): it is counted in
 * ticks of up to 10 ms, and the first and the last may be parts of one.
 */
#define FT_WAITED(ms)	((ms) - 20)

/* How the two ends of a connection came to be. */
enum ft_how {
	FT_CONN,	/* bind, listen, connect, accept; DGRAM: bind, connect */
	FT_PAIR,	/* socketpair */
};

/* What a variant of a fixture runs on. */
struct ft_kind {
	int domain;
	int type;
	enum ft_how how;
};

struct ft_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_ferry ferry;
		struct sockaddr_un un;
		struct sockaddr_in in;
		struct sockaddr_storage ss;
	};
	socklen_t len;
};

/* Whether the running kernel has the family (and the type). */
bool ft_have(int domain, int type);

/* Whether the running kernel is built with what the option is about. */
bool ft_have_option(int level, int option);

/* Whether the running kernel is older than @major.@minor. */
bool ft_kernel_before(int major, int minor);

/* Does the kernel check itself (KASAN and its kin)? All takes many times as long there. */
bool ft_checks_itself(void);

/* A fresh address to bind: a new name, or 127.0.0.1 and port 0. */
void ft_addr_new(int domain, struct ft_addr *addr);

/* An AF_FERRY address of this host for a name of any bytes. */
void ft_addr_ferry(struct ft_addr *addr, const void *name, size_t len);

/* bind() to a fresh address, which is read back into @addr. */
int ft_bind_new(int fd, int domain, struct ft_addr *addr);

/* A socket bound to a fresh address and listening; negative on failure. */
int ft_listener(const struct ft_kind *kind, struct ft_addr *addr, int backlog);

/* A socket connected to @addr; negative, with errno, on failure. */
int ft_connect(const struct ft_kind *kind, const struct ft_addr *addr);

/* Two connected ends, made the way @kind says. 0, or -1 with errno. */
int ft_pair(const struct ft_kind *kind, int *a, int *b);

/* Closes *@fd unless it is closed already, and marks it as closed. */
void ft_close(int *fd);

int ft_nonblock(int fd, bool on);
int ft_setint(int fd, int option, int value);	/* SOL_SOCKET; 0 or -1 */
int ft_getint(int fd, int option);		/* SOL_SOCKET; value or -1 */
int ft_settimeo(int fd, int option, long ms);

/* One number of SO_MEMINFO, SK_MEMINFO_DROPS or another; -1 without. */
int64_t ft_meminfo(int fd, int what);

/* The events of one descriptor, waiting up to @ms for one of @events. */
short ft_poll(int fd, short events, int ms);

/* Waits until @fd has at least @bytes unread; false when it never does. */
bool ft_wait_inq(int fd, int bytes);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t ft_now_ms(void);
/*
 * The time of the last tick that the kernel has seen, by which its timeouts begin: a machine
 * that was kept from running is late with both alike. Not for their end: there the ticks may
 * have gone on, and this time not yet.
 */
int64_t ft_ticks_ms(void);

/*
 * Patterned data: byte n of a stream is a function of n, so that a loss, a
 * repetition or a swap shows wherever it happens.
 */
void ft_pattern(void *buf, uint64_t offset, size_t len);
bool ft_pattern_ok(const void *buf, uint64_t offset, size_t len);

/* Sends/receives exactly @len patterned bytes; false on any error. */
bool ft_send_all(int fd, uint64_t offset, size_t len, size_t chunk);
bool ft_recv_all(int fd, uint64_t offset, size_t len, size_t chunk);

/*
 * Sends patterned bytes in pieces of @chunk until @fd takes no more and does
 * not claim to; returns how many it took, or -1 on an error.
 */
ssize_t ft_fill(int fd, uint64_t offset, size_t chunk);

/*
 * Reads and checks what is there, to the end of file if it comes; returns how
 * much, or -1.
 */
ssize_t ft_drain(int fd, uint64_t offset);

/* Small fixed buffers, so that a stream is full soon. */
void ft_shrink(int sender, int receiver);

/*
 * A page that can be used followed by one that cannot: *@edge is where the
 * trouble begins. NULL when there is no memory.
 */
char *ft_page_edge(char **edge);

/* A pointer no process may use; a variable, so that no compiler looks into it. */
extern void *ft_wild;
#define FT_WILD		ft_wild

/*
 * One system call in a thread of its own.
 *
 * Fill the first group of fields, ft_start(), then either ft_blocked(), which
 * waits until the call sleeps and is false when it returned instead, or
 * ft_join(), which waits for its end and leaves the result in the last group.
 */
struct ft_call {
	ssize_t (*fn)(struct ft_call *call);
	int fd;
	void *buf;
	size_t len;
	int flags;
	short events;
	int timeout_ms;		/* 0: for ever */
	const struct ft_addr *addr;

	pthread_t thread;
	atomic_int tid;
	atomic_int done;

	ssize_t ret;
	int err;
	short revents;
};

int ft_start(struct ft_call *call);
bool ft_blocked(struct ft_call *call);
void ft_join(struct ft_call *call);

/* Whether the task sleeps, interruptibly, inside a system call. */
bool ft_task_blocked(pid_t pid, pid_t tid);

/* Functions for ft_call.fn */
ssize_t ft_do_recv(struct ft_call *call);
ssize_t ft_do_recvmsg(struct ft_call *call);
ssize_t ft_do_read(struct ft_call *call);
ssize_t ft_do_readv(struct ft_call *call);
ssize_t ft_do_send(struct ft_call *call);
ssize_t ft_do_sendmsg(struct ft_call *call);
ssize_t ft_do_write(struct ft_call *call);
ssize_t ft_do_writev(struct ft_call *call);
ssize_t ft_do_accept(struct ft_call *call);
ssize_t ft_do_connect(struct ft_call *call);
ssize_t ft_do_poll(struct ft_call *call);
ssize_t ft_do_select(struct ft_call *call);
ssize_t ft_do_epoll(struct ft_call *call);

/*
 * Counts what @sig does; 0 or -1. ft_signals() reads the count; ft_signalled() waits until
 * there is one, as another processor may first make readable and then signal.
 */
int ft_catch(int sig, int flags);
int ft_signals(void);
bool ft_signalled(void);
void ft_signals_reset(void);

/*
 * A child process and the channel to it. ft_fork() returns as fork() does; the
 * child must end with _exit(). Lines go both ways, so no end has to guess how
 * far the other has come.
 */
struct ft_child {
	pid_t pid;
	int in;
	int out;
};

pid_t ft_fork(struct ft_child *child);
bool ft_say(struct ft_child *child, const char *line);
bool ft_expect(struct ft_child *child, const char *line);
int ft_wait_child(struct ft_child *child);	/* exit status, or -1 */

/* Gives up root for good: in a child only. */
bool ft_become(uid_t uid, gid_t gid);

/* What must be the same at the end of a test as at its start. */
struct ft_leak {
	int domain;
	int fds;
	long sockets;
	long refs;
};

void ft_leak_start(struct ft_leak *leak, int domain);
bool ft_leak_check(struct ft_leak *leak);

/* The number in the line of a file of /proc that begins with @name, -1 without. */
long ft_proc_number(const char *path, const char *name);

/* Live AF_FERRY sockets of this network namespace, or -1. */
long ft_ferry_sockets(void);

/*
 * References on the module, or -1 where it is built in: each AF_FERRY socket of
 * whichever namespace has some for as long as there is memory of it.
 */
long ft_ferry_refs(void);

/* Use in FIXTURE_SETUP before anything else. */
#define FT_NEED(_domain, _type)						\
do {									\
	if ((_domain) != AF_FERRY && getenv("FT_FERRY_ONLY"))		\
		SKIP(return, "only AF_FERRY was asked for");		\
	if (!ft_have((_domain), (_type)))				\
		SKIP(return, "no socket of family %d, type %d here",	\
		     (_domain), (_type));				\
} while (0)

/* Takes "I/N" apart, which of how many shares; false if it is something else. */
bool ft_share(const char *share, int *which, int *of);

/*
 * Is a variant of this name not to be run? Those of the old families with FT_FERRY_ONLY,
 * or with FT_OLD_SHARE=I/N all but every N-th, which are counted in @old; and IPv4 on a
 * kernel that checks itself.
 */
bool ft_left_out(const char *variant, int *old);

/*
 * Before test_harness_run(). The 30 seconds that the harness gives a test are too few on
 * a slow machine. Variants that are not to be run are left out here: to skip each of
 * their tests would take a process of its own, which is half of the time on a debug
 * kernel.
 */
#define FT_HARNESS_PREPARE()						\
do {									\
	struct __fixture_variant_metadata **v;				\
	struct __fixture_metadata *f;					\
	struct __test_metadata *t;					\
	int out, old;							\
									\
	for (f = __fixture_list; f; f = f->next) {			\
		for (t = f->tests; t; t = t->next)			\
			if (t->timeout < FT_SLOW_S)			\
				t->timeout = FT_SLOW_S;			\
		out = 0;						\
		old = 0;						\
		for (v = &f->variant; *v;) {				\
			if (ft_left_out((*v)->name, &old)) {		\
				*v = (*v)->next;			\
				out++;					\
			} else {					\
				v = &(*v)->next;			\
			}						\
		}							\
		if (out && !f->variant)					\
			f->tests = NULL;				\
	}								\
} while (0)

/* More than any program has tests, each in its variants. */
#define FT_SHARE_MAX	1000

/*
 * In main(): with FT_SHARE=I/N, and no arguments of its own, a program runs each test in
 * every N-th of its variants, or in one if it has fewer: which, changes from one test to
 * the next, and with I = 0 to N - 1 all have their turn. For kernels on which a process
 * costs a second.
 */
#define FT_HARNESS_SHARE(_argc, _argv)					\
do {									\
	static char _names[FT_SHARE_MAX][200];				\
	static char *_args[2 * FT_SHARE_MAX + 2];			\
	static struct __fixture_variant_metadata _none = { .name = "" };\
	const char *_share = getenv("FT_SHARE");			\
	struct __fixture_variant_metadata *_v;				\
	struct __fixture_metadata *_f;					\
	struct __test_metadata *_t;					\
	int _turn, _of, _step, _k, _n = 0;				\
									\
	if (!_share || (_argc) > 1)					\
		break;							\
	if (!ft_share(_share, &_turn, &_of)) {				\
		puts("Bail out! FT_SHARE is not I/N");			\
		return KSFT_FAIL;					\
	}								\
	_args[0] = (_argv)[0];						\
	for (_f = __fixture_list; _f; _f = _f->next) {			\
		_step = 0;						\
		for (_v = _f->variant; _v; _v = _v->next)		\
			_step++;					\
		_step = _step > _of ? _of : _step ? _step : 1;		\
		for (_t = _f->tests; _t; _t = _t->next, _turn++) {	\
			_v = _f->variant ? _f->variant : &_none;	\
			for (_k = 0; _v; _v = _v->next, _k++) {		\
				if (_k % _step != _turn % _step)	\
					continue;			\
				if (_n == FT_SHARE_MAX ||		\
				    snprintf(_names[_n], sizeof(_names[0]),	\
					     "%s.%s%s%s", _f->name, _v->name,	\
					     *_v->name ? "." : "", _t->name) >=	\
				    (int)sizeof(_names[0])) {		\
					puts("Bail out! FT_SHARE_MAX");	\
					return KSFT_FAIL;		\
				}					\
				_args[2 * _n + 1] = "-r";		\
				_args[2 * _n + 2] = _names[_n];		\
				_n++;					\
			}						\
		}							\
	}								\
	(_argc) = 2 * _n + 1;						\
	(_argv) = _args;						\
} while (0)

/* Use instead of TEST_HARNESS_MAIN. */
#define FT_HARNESS_MAIN							\
int main(int argc, char **argv)						\
{									\
	FT_HARNESS_PREPARE();						\
	FT_HARNESS_SHARE(argc, argv);					\
	return test_harness_run(argc, argv);				\
}

/* Skips where the kernel is built without what the option is about. */
#define FT_NEED_OPTION(_level, _option)					\
do {									\
	if (!ft_have_option((_level), (_option)))			\
		SKIP(return, "the kernel has no option %d", (_option));	\
} while (0)

/*
 * Use at the end of FIXTURE_TEARDOWN. A test that failed half-way has left
 * its descriptors open: that is no leak of the kernel's.
 */
#define FT_NO_LEAK(_leak)						\
do {									\
	if (_metadata->exit_code == KSFT_PASS)				\
		EXPECT_TRUE(ft_leak_check(_leak));			\
} while (0)

/* The error of a call that just returned @ret; 0 when it was none. */
static inline int ft_err(long ret)
{
	return ret == -1 ? errno : 0;
}

/* A call that must fail, and how. */
#define EXPECT_ERR(_errno, _call)	EXPECT_EQ((_errno), ft_err(_call))
#define ASSERT_ERR(_errno, _call)	ASSERT_EQ((_errno), ft_err(_call))

#endif /* FERRY_TEST_H */
