// SPDX-License-Identifier: GPL-2.0
/*
 * Every call again with its n-th allocation or copy failing, n rising until the
 * call passes untouched. The kernel counts what could fail in this task
 * (/proc/thread-self/fail-nth): slab objects, pages, copies from and to user
 * memory, in the module as well as in the core around it.
 *
 * A call that fails says ENOMEM, ENOBUFS, ENFILE or EFAULT, leaves nothing behind and
 * works when it is repeated; one that succeeds all the same has its effect. The
 * rows are those of the calls. Skipped where the kernel injects no faults.
 *
 * AF_UNIX takes part where it promises the same, so that the sweep is proven.
 */
#define _GNU_SOURCE
#include "reuse_fixture.h"
#include "passenger.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <linux/errqueue.h>
#include <linux/ferry_diag.h>
#include <linux/net_tstamp.h>
#include <linux/netlink.h>
#include <linux/securebits.h>
#include <linux/sock_diag.h>

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY	60
#endif

/* More than any call here has; a sweep that comes so far would never end. */
#define SWEEP_MAX	2000

/* Of each class of buffer one, and records of several buffers. */
static const size_t sizes[] = { 1, 600, 4000, 8000, 30000, 100000 };

static char out[128 * 1024], in[128 * 1024];

/* What a call works on; make() fills it in, sweep() closes it. */
struct place {
	struct ft_kind kind;
	struct ft_addr addr;
	int a, b, c;
	int listener;
	size_t len;
	int option;
	struct pass pass;
	struct witness witness;
};

/* A call and what belongs to it. */
struct op {
	const char *what;
	/* What it needs, made without faults. */
	bool (*make)(struct place *p);
	/* The call under test: negative with errno, or what it returned. */
	long (*call)(struct place *p);
	/* After it returned @ret: has it done what it said? */
	bool (*done)(struct place *p, long ret);
};

static int fault_fd = -1;

static bool put(const char *dir, const char *file, const char *text)
{
	char path[128];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

/*
 * Everything may fail, also what may sleep. With FERRY_FAULT_TRACE set the
 * kernel log says where, which fault-sites.sh makes a list of.
 */
static bool faults_prepare(void)
{
	static const char * const kinds[] = {
		"failslab", "fail_page_alloc", "fail_usercopy",
	};
	const char *verbose = getenv("FERRY_FAULT_TRACE") ? "2" : "0";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!put(kinds[i], "probability", "0") ||
		    !put(kinds[i], "verbose_ratelimit_interval_ms", "0") ||
		    !put(kinds[i], "verbose", verbose))
			return false;
	}
	if (!put("failslab", "ignore-gfp-wait", "N") ||
	    !put("fail_page_alloc", "ignore-gfp-wait", "N") ||
	    !put("fail_page_alloc", "min-order", "0"))
		return false;
	fault_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return fault_fd >= 0;
}

/* Only what the module asks for fails, or everything again. */
static bool faults_of_module(bool only)
{
	unsigned long start = 0, size = 0;
	char line[256], from[32], to[32];
	FILE *f = fopen("/proc/modules", "re");

	while (f && fgets(line, sizeof(line), f) &&
	       sscanf(line, "ferry %lu %*d %*s %*s %lx", &size, &start) != 2)
		;
	if (f)
		fclose(f);
	snprintf(from, sizeof(from), "%#lx", only ? start : 0);
	snprintf(to, sizeof(to), "%#lx", only ? start + size : ~0UL);
	return start && put("failslab", "require-start", from) &&
	       put("failslab", "require-end", to) &&
	       put("fail_page_alloc", "require-start", from) &&
	       put("fail_page_alloc", "require-end", to);
}

static void faults_arm(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	/* The number is copied too, which may be what fails, once. */
	if (pwrite(fault_fd, text, len, 0) != len &&
	    pwrite(fault_fd, text, len, 0) != len)
		_exit(1);
}

/* Has one failed since? */
static bool faults_disarm(void)
{
	int saved = errno;
	char text[16] = "";
	bool hit;

	/* This copy counts too: where it is the one that fails, none had. */
	hit = pread(fault_fd, text, sizeof(text) - 1, 0) > 0 && text[0] == '0';
	faults_arm(0);
	errno = saved;
	return hit;
}

static void place_init(struct place *p)
{
	struct ft_kind kind = p->kind;

	memset(p, 0, sizeof(*p));
	p->kind = kind;
	p->a = -1;
	p->b = -1;
	p->c = -1;
	p->listener = -1;
	p->witness.in = -1;
	p->witness.out = -1;
}

static void place_close(struct place *p)
{
	pass_close(&p->pass);
	ft_close(&p->a);
	ft_close(&p->b);
	ft_close(&p->c);
	ft_close(&p->listener);
	ft_close(&p->witness.in);
	ft_close(&p->witness.out);
}

static bool sweep_failed(const struct op *op, int n, const char *why)
{
	fprintf(stderr, "# %s, fault %d: %s (%s)\n", op->what, n, why,
		strerror(errno));
	return false;
}

/* One round of a sweep; *@hit tells whether there was an n-th to fail. */
static bool sweep_once(struct place *p, const struct op *op, int n, bool *hit)
{
	long ret;

	if (op->make && !op->make(p))
		return sweep_failed(op, n, "cannot be prepared");
	faults_arm(n);
	errno = 0;
	ret = op->call(p);
	*hit = faults_disarm();
	if (ret < 0) {
		if (!*hit)
			return sweep_failed(op, n, "failed by itself");
		/* The core's socket(2) and accept(2) say ENFILE. */
		if (errno != ENOMEM && errno != ENOBUFS && errno != EFAULT &&
		    errno != ENFILE)
			return sweep_failed(op, n, "has the wrong error");
		ret = op->call(p);
		if (ret < 0)
			return sweep_failed(op, n, "fails when repeated");
	}
	if (op->done && !op->done(p, ret))
		return sweep_failed(op, n, "succeeded without effect");
	return true;
}

/* The whole sweep over one call. */
static bool sweep(struct ft_kind kind, size_t len, int option,
		  const struct op *op)
{
	struct place p = { .kind = kind };
	bool ok = true, hit = true;
	int n;

	for (n = 1; ok && hit && n < SWEEP_MAX; n++) {
		place_init(&p);
		p.len = len;
		p.option = option;
		ok = sweep_once(&p, op, n, &hit);
		place_close(&p);
	}
	if (ok && hit)
		ok = sweep_failed(op, n, "comes to no end");
	fprintf(stderr, "# %s, %zu bytes: %d faults\n", op->what, len, n - 2);
	return ok;
}

/* The connection of a place works, in both directions. */
static bool place_works(struct place *p)
{
	return ft_send_all(p->a, 0, 100, 100) && ft_recv_all(p->b, 0, 100, 100) &&
	       ft_send_all(p->b, 0, 100, 100) && ft_recv_all(p->a, 0, 100, 100);
}

static bool make_pair(struct place *p)
{
	return !ft_pair(&p->kind, &p->a, &p->b);
}

static bool make_socket(struct place *p)
{
	p->a = socket(p->kind.domain, p->kind.type, 0);
	return p->a >= 0;
}

static bool make_bound(struct place *p)
{
	return make_socket(p) && !ft_bind_new(p->a, p->kind.domain, &p->addr);
}

static bool make_listener(struct place *p)
{
	p->listener = ft_listener(&p->kind, &p->addr, 5);
	return p->listener >= 0 && make_socket(p);
}

/* Somebody answers to the address: a listener, or a bound datagram socket. */
static bool make_served(struct place *p)
{
	if (p->kind.type != SOCK_DGRAM)
		return make_listener(p);
	p->b = socket(p->kind.domain, p->kind.type, 0);
	return p->b >= 0 && !ft_bind_new(p->b, p->kind.domain, &p->addr) &&
	       make_socket(p);
}

static long call_socket(struct place *p)
{
	p->a = socket(p->kind.domain, p->kind.type, 0);
	return p->a;
}

static long call_socketpair(struct place *p)
{
	int fd[2];

	if (socketpair(p->kind.domain, p->kind.type, 0, fd))
		return -1;
	p->a = fd[0];
	p->b = fd[1];
	return 0;
}

static bool done_pair(struct place *p, long ret)
{
	return place_works(p);
}

static bool make_unbound(struct place *p)
{
	ft_addr_new(p->kind.domain, &p->addr);
	return make_socket(p);
}

static long call_bind(struct place *p)
{
	return bind(p->a, &p->addr.sa, p->addr.len);
}

static bool done_bind(struct place *p, long ret)
{
	struct ft_addr addr = { .len = sizeof(addr.ss) };

	return !getsockname(p->a, &addr.sa, &addr.len) &&
	       addr.len == p->addr.len &&
	       !memcmp(&addr.ss, &p->addr.ss, addr.len);
}

static bool make_autobind(struct place *p)
{
	ft_addr_ferry(&p->addr, "", 0);
	p->addr.len = FERRY_ADDR_HDR;
	return make_socket(p);
}

static bool done_autobind(struct place *p, long ret)
{
	struct ft_addr addr = { .len = sizeof(addr.ss) };

	return !getsockname(p->a, &addr.sa, &addr.len) &&
	       addr.len > FERRY_ADDR_HDR;
}

/* A further member of a group, not yet bound. */
static bool make_group(struct place *p)
{
	p->listener = group_join(&p->kind, &p->addr);
	return p->listener >= 0 && make_socket(p) && !group_flag(p->a, 1);
}

/* The first of a group: the core makes the group. */
static bool make_first_of_group(struct place *p)
{
	return make_unbound(p) && !group_flag(p->a, 1);
}

static bool make_bound_member(struct place *p)
{
	return make_first_of_group(p) && !call_bind(p);
}

static bool make_second_member(struct place *p)
{
	return make_group(p) && !call_bind(p);
}

static long call_listen(struct place *p)
{
	return listen(p->a, 5);
}

static bool done_listen(struct place *p, long ret)
{
	struct ft_addr addr = { .len = sizeof(addr.ss) };

	if (ft_getint(p->a, SO_ACCEPTCONN) != 1 ||
	    getsockname(p->a, &addr.sa, &addr.len))
		return false;
	p->b = ft_connect(&p->kind, &addr);
	return p->b >= 0;
}

static long call_connect(struct place *p)
{
	return connect(p->a, &p->addr.sa, p->addr.len);
}

/* Who is neither root nor the listener's owner has a share of its queue. */
static bool make_served_to_other(struct place *p)
{
	/* The capabilities stay, for the faults and the name's mode. */
	return !seteuid(0) && make_served(p) &&
	       !prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) &&
	       !seteuid(1000);
}

static bool done_connect(struct place *p, long ret)
{
	if (p->kind.type == SOCK_DGRAM)
		return ft_send_all(p->a, 0, 100, 100) &&
		       ft_recv_all(p->b, 0, 100, 100);
	p->b = accept(p->listener, NULL, NULL);
	return p->b >= 0 && place_works(p);
}

/* A listener whose queue is full: who connects waits with its child in hand. */
static bool make_full_listener(struct place *p)
{
	struct ft_addr addr;

	p->listener = ft_listener(&p->kind, &addr, 0);
	p->addr = addr;
	p->c = ft_connect(&p->kind, &addr);
	return p->listener >= 0 && p->c >= 0 && make_socket(p) &&
	       !ft_nonblock(p->a, true);
}

static long call_connect_waiting(struct place *p)
{
	long ret = call_connect(p);

	return ret && errno == EINPROGRESS ? 0 : ret;
}

static bool done_connect_waiting(struct place *p, long ret)
{
	int first = accept(p->listener, NULL, NULL);

	ft_close(&first);
	return ft_poll(p->a, POLLOUT, FT_LONG_MS) & POLLOUT &&
	       !ft_nonblock(p->a, false) && done_connect(p, ret);
}

static bool make_caller(struct place *p)
{
	return make_listener(p) && !call_connect(p);
}

static long call_accept(struct place *p)
{
	p->b = accept(p->listener, NULL, NULL);
	return p->b;
}

static bool make_message(struct place *p)
{
	ft_pattern(out, 0, p->len);
	return make_pair(p);
}

static long call_send(struct place *p)
{
	return send(p->a, out, p->len, MSG_NOSIGNAL);
}

/* A stream may have taken a part; the rest is sent now. */
static bool done_send(struct place *p, long ret)
{
	if (p->kind.type != SOCK_STREAM)
		return ret == p->len &&
		       recv(p->b, in, sizeof(in), 0) == p->len &&
		       ft_pattern_ok(in, 0, p->len) && place_works(p);
	return ft_send_all(p->a, ret, p->len - ret, sizeof(out)) &&
	       ft_recv_all(p->b, 0, p->len, sizeof(in)) && place_works(p);
}

/* A byte is there already; a stream appends to it. */
static bool make_begun(struct place *p)
{
	return make_message(p) && send(p->a, "x", 1, MSG_NOSIGNAL) == 1;
}

static bool done_begun(struct place *p, long ret)
{
	return recv(p->b, in, 1, 0) == 1 && done_send(p, ret);
}

/* In many pieces of user memory, as a stream buffer is appended to. */
static long call_writev(struct place *p)
{
	struct iovec iov[4];
	size_t i, at = 0;

	for (i = 0; i < ARRAY_SIZE(iov); i++) {
		iov[i].iov_base = out + at;
		iov[i].iov_len = i < 3 ? p->len / 4 : p->len - at;
		at += iov[i].iov_len;
	}
	return writev(p->a, iov, ARRAY_SIZE(iov));
}

static bool make_unread(struct place *p)
{
	return make_message(p) && call_send(p) == p->len;
}

static long call_recv(struct place *p)
{
	return recv(p->b, in, sizeof(in), 0);
}

static bool done_recv(struct place *p, long ret)
{
	if (ret > p->len || !ft_pattern_ok(in, 0, ret))
		return false;
	if (p->kind.type != SOCK_STREAM)
		return ret == p->len && place_works(p);
	return ft_recv_all(p->b, ret, p->len - ret, sizeof(in)) &&
	       place_works(p);
}

static long call_peek(struct place *p)
{
	return recv(p->b, in, sizeof(in), MSG_PEEK);
}

/* A peek takes nothing, whether or not it came to its end. */
static bool done_peek(struct place *p, long ret)
{
	if (ret > p->len || !ft_pattern_ok(in, 0, ret))
		return false;
	return done_recv(p, call_recv(p));
}

static bool make_peek_offset(struct place *p)
{
	return make_unread(p) && !ft_setint(p->b, SO_PEEK_OFF, 0);
}

/* After a part the next peek goes on, so that all is seen once. */
static bool done_peek_offset(struct place *p, long ret)
{
	size_t seen = ret;

	if (!ft_pattern_ok(in, 0, ret))
		return false;
	while (p->kind.type == SOCK_STREAM && seen < p->len) {
		ret = recv(p->b, in, sizeof(in), MSG_PEEK | MSG_DONTWAIT);
		if (ret <= 0 || !ft_pattern_ok(in, seen, ret))
			return false;
		seen += ret;
	}
	return seen == p->len && !ft_setint(p->b, SO_PEEK_OFF, -1) &&
	       done_recv(p, call_recv(p));
}

/* To an address, by sendmsg(2). */
static long call_sendto(struct place *p)
{
	return sendto(p->a, out, p->len, 0, &p->addr.sa, p->addr.len);
}

static bool done_sendto(struct place *p, long ret)
{
	return ret == p->len && recv(p->b, in, sizeof(in), 0) == p->len &&
	       ft_pattern_ok(in, 0, p->len);
}

static bool make_sendto(struct place *p)
{
	ft_pattern(out, 0, p->len);
	return make_served(p);
}

/* Descriptors: @option 0 a pipe, 1 a socket of the family as well. */
static bool make_rights(struct place *p)
{
	if (!witness_make(&p->witness) || !make_pair(p))
		return false;
	p->c = socket(AF_FERRY, SOCK_STREAM, 0);
	return p->c >= 0 || p->kind.domain != AF_FERRY;
}

static long call_send_rights(struct place *p)
{
	int fds[2] = { p->witness.out, p->c };

	return pass_send(p->a, "12345", 5, fds, 1 + p->option, NULL,
			 MSG_NOSIGNAL);
}

/*
 * Without an address: the core copies it after the message was taken, and loses
 * the message when that fails.
 */
static long recv_pass(int fd, struct pass *pass, int flags)
{
	return pass_recv_parts(fd, in, sizeof(in), pass, flags, 2048, false);
}

static long call_recv_rights(struct place *p)
{
	return recv_pass(p->b, &p->pass, 0);
}

/* All descriptors came, and afterwards nobody holds the pipe. */
static bool done_recv_rights(struct place *p, long ret)
{
	bool same;

	if (ret != 5 || memcmp(in, "12345", 5))
		return false;
	/* No room in the table of descriptors: the reader is told. */
	if (p->pass.fds != 1 + p->option) {
		if (p->pass.flags & MSG_CTRUNC)
			same = true;
		else
			return false;
	} else {
		same = pass_same(p->pass.fd[0], p->witness.out);
	}
	pass_close(&p->pass);
	return same && witness_gone(&p->witness) && place_works(p);
}

static bool done_send_rights(struct place *p, long ret)
{
	ret = call_recv_rights(p);
	return p->pass.fds == 1 + p->option && done_recv_rights(p, ret);
}

static bool make_rights_unread(struct place *p)
{
	return make_rights(p) && call_send_rights(p) == 5;
}

static long call_peek_rights(struct place *p)
{
	return recv_pass(p->b, &p->pass, MSG_PEEK);
}

static bool done_peek_rights(struct place *p, long ret)
{
	bool told = p->pass.fds == 1 + p->option ||
		    p->pass.flags & MSG_CTRUNC;

	pass_close(&p->pass);
	return ret == 5 && told && done_send_rights(p, ret);
}

/* Credentials of somebody else: the core makes a reference to that process. */
static bool make_creds(struct place *p)
{
	return make_pair(p) && !ft_setint(p->b, SO_PASSCRED, 1);
}

static long call_send_creds(struct place *p)
{
	struct ucred cred = { .pid = getppid(), .uid = 7, .gid = 8 };

	return pass_send(p->a, "12345", 5, NULL, 0, &cred, MSG_NOSIGNAL);
}

static bool done_send_creds(struct place *p, long ret)
{
	return ret == 5 && call_recv_rights(p) == 5 && p->pass.creds == 1 &&
	       p->pass.cred.uid == 7 && p->pass.cred.gid == 8;
}

static bool make_creds_unread(struct place *p)
{
	return make_creds(p) && call_send_creds(p) == 5;
}

static bool done_recv_creds(struct place *p, long ret)
{
	return ret == 5 && p->pass.creds == 1 && p->pass.cred.uid == 7;
}

/* A filter that keeps the first @keep bytes. */
static long attach(struct place *p, int keep)
{
	struct sock_filter code[] = {
		{ BPF_RET | BPF_K, 0, 0, keep },
	};
	struct sock_fprog prog = { .len = 1, .filter = code };

	return setsockopt(p->b, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
			  sizeof(prog));
}

static long call_attach(struct place *p)
{
	return attach(p, 700);
}

static bool done_attach(struct place *p, long ret)
{
	ft_pattern(out, 0, 1000);
	return send(p->a, out, 1000, 0) == 1000 &&
	       recv(p->b, in, sizeof(in), 0) == 700;
}

static bool make_filtered(struct place *p)
{
	return make_message(p) && !call_attach(p);
}

static bool done_filtered(struct place *p, long ret)
{
	size_t len = p->len < 700 ? p->len : 700;

	return ret > 0 && recv(p->b, in, sizeof(in), 0) == len &&
	       ft_pattern_ok(in, 0, len);
}

/* A filter that a connection takes over from its listener. */
static bool make_filtered_listener(struct place *p)
{
	if (!make_listener(p))
		return false;
	p->b = dup(p->listener);
	if (call_attach(p))
		return false;
	ft_close(&p->b);
	return true;
}

static bool done_filtered_connect(struct place *p, long ret)
{
	p->b = accept(p->listener, NULL, NULL);
	return p->b >= 0 && done_attach(p, ret);
}

/* A group whose program chooses the only member by the first byte. */
static bool make_steered(struct place *p)
{
	memset(out, 0, p->len);
	p->b = group_join(&p->kind, &p->addr);
	return p->b >= 0 &&
	       !group_cbpf(p->b, SO_ATTACH_REUSEPORT_CBPF, true, 0) &&
	       make_socket(p);
}

static long call_attach_group(struct place *p)
{
	return group_cbpf(p->listener, SO_ATTACH_REUSEPORT_CBPF, false, 0);
}

static bool done_steered(struct place *p, long ret)
{
	return ret == p->len && recv(p->b, in, sizeof(in), 0) == p->len;
}

static bool done_steered_connect(struct place *p, long ret)
{
	int fd = accept(p->b, NULL, NULL);

	ft_close(&fd);
	return fd == -1 && !ret;
}

/* One datagram to two receivers. */
static bool make_broadcast(struct place *p)
{
	static const unsigned char all[16] = { 0xff, 0x01, [15] = 1 };

	ft_addr_new(p->kind.domain, &p->addr);
	ft_pattern(out, 0, p->len);
	p->b = socket(p->kind.domain, p->kind.type, 0);
	p->c = socket(p->kind.domain, p->kind.type, 0);
	if (!make_socket(p) || ft_setint(p->a, SO_BROADCAST, 1) ||
	    ft_setint(p->b, SO_REUSEADDR, 1) ||
	    ft_setint(p->c, SO_REUSEADDR, 1) ||
	    bind(p->b, &p->addr.sa, p->addr.len) ||
	    bind(p->c, &p->addr.sa, p->addr.len))
		return false;
	p->addr.ferry.sfy_scope = FERRY_SCOPE_NETWORK;
	memcpy(p->addr.ferry.sfy_node, all, sizeof(all));
	return true;
}

/* Each has it, or has lost one and counts that. */
static bool done_broadcast(struct place *p, long ret)
{
	int fd[2] = { p->b, p->c };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		ssize_t n = recv(fd[i], in, sizeof(in), MSG_DONTWAIT);
		int64_t drops = ft_meminfo(fd[i], SK_MEMINFO_DROPS);

		if (n != p->len ? drops != 1 :
				  drops || !ft_pattern_ok(in, 0, n))
			return false;
	}
	return ret == p->len;
}

/* One of them has a filter: without memory to have it judged it is lost. */
static bool make_broadcast_filtered(struct place *p)
{
	return make_broadcast(p) && !call_attach(p);
}

/* A stamp for what is received; without memory a message goes without. */
static bool make_stamped(struct place *p)
{
	return make_message(p) && !ft_setint(p->b, SO_TIMESTAMP, 1) &&
	       call_send(p) == p->len;
}

static long call_recvmsg(struct place *p)
{
	return recv_pass(p->b, &p->pass, 0);
}

static bool make_txstamped(struct place *p)
{
	return make_message(p) &&
	       !ft_setint(p->a, SO_TIMESTAMPING,
			  SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID |
			  SOF_TIMESTAMPING_TX_SCHED |
			  SOF_TIMESTAMPING_TX_SOFTWARE |
			  SOF_TIMESTAMPING_TX_ACK);
}

static void drain_errors(int fd)
{
	struct pass pass;

	while (recv_pass(fd, &pass, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
		;
}

static bool done_txstamped(struct place *p, long ret)
{
	if (p->kind.type == SOCK_STREAM)
		ret = ft_send_all(p->a, ret, p->len - ret, sizeof(out)) &&
		      ft_recv_all(p->b, 0, p->len, sizeof(in));
	else
		ret = ret == p->len && recv(p->b, in, sizeof(in), 0) == p->len;
	drain_errors(p->a);
	return ret && ft_poll(p->a, 0, 0) == 0;
}

/* Nothing of it passes the filter; the stamp of its sending goes on. */
static bool make_txstamped_dropped(struct place *p)
{
	return make_txstamped(p) && !attach(p, 0);
}

static bool done_txstamped_dropped(struct place *p, long ret)
{
	drain_errors(p->a);
	return ret == p->len && recv(p->b, in, 1, MSG_DONTWAIT) == -1 &&
	       errno == EAGAIN && ft_poll(p->a, 0, 0) == 0;
}

static bool make_txstamped_unread(struct place *p)
{
	return make_txstamped(p) && call_send(p) == p->len;
}

static bool done_txstamped_read(struct place *p, long ret)
{
	if (p->kind.type == SOCK_STREAM &&
	    !ft_recv_all(p->b, ret, p->len - ret, sizeof(in)))
		return false;
	drain_errors(p->a);
	return ft_poll(p->a, 0, 0) == 0;
}

/* What lies in the error queue. */
static long call_recv_errors(struct place *p)
{
	return recv_pass(p->a, &p->pass, MSG_ERRQUEUE | MSG_DONTWAIT);
}

static bool done_recv_errors(struct place *p, long ret)
{
	return done_recv(p, call_recv(p));
}

static bool make_zerocopy(struct place *p)
{
	int on = 1;

	return make_message(p) &&
	       (p->kind.domain != AF_FERRY ||
		!setsockopt(p->a, SOL_FERRY, FERRY_ZEROCOPY, &on, sizeof(on)));
}

static long call_zerocopy(struct place *p)
{
	return send(p->a, out, p->len, MSG_ZEROCOPY | MSG_NOSIGNAL);
}

static bool done_zerocopy(struct place *p, long ret)
{
	bool ok = p->kind.type == SOCK_STREAM || ret == p->len;

	ok = ok && recv(p->b, in, sizeof(in), 0) > 0;
	drain_errors(p->a);
	return ok && ft_poll(p->a, 0, 0) == 0;
}

/* What a filter judges is copied first. */
static bool make_zerocopy_filtered(struct place *p)
{
	return make_zerocopy(p) && !call_attach(p);
}

static bool done_zerocopy_filtered(struct place *p, long ret)
{
	bool ok = done_filtered(p, ret);

	drain_errors(p->a);
	return ok && ft_poll(p->a, 0, 0) == 0;
}

/* From a file, through a pipe of the kernel's. */
static bool make_file(struct place *p)
{
	ft_pattern(out, 0, p->len);
	p->c = memfd_create("fail_nth", MFD_CLOEXEC);
	return p->c >= 0 && make_pair(p) &&
	       pwrite(p->c, out, p->len, 0) == p->len;
}

static long call_sendfile(struct place *p)
{
	off_t at = 0;

	return sendfile(p->a, p->c, &at, p->len);
}

static bool make_splice(struct place *p)
{
	return witness_make(&p->witness) && make_unread(p);
}

static long call_splice(struct place *p)
{
	return splice(p->b, NULL, p->witness.out, NULL, p->len, 0);
}

/* Read out of the pipe what came through it, the rest from the socket. */
static bool done_splice(struct place *p, long ret)
{
	return ret > 0 && read(p->witness.in, in, ret) == ret &&
	       ft_pattern_ok(in, 0, ret) &&
	       (p->kind.type != SOCK_STREAM ||
		ft_recv_all(p->b, ret, p->len - ret, sizeof(in))) &&
	       place_works(p);
}

static long call_urgent(struct place *p)
{
	return send(p->a, out, p->len, MSG_OOB | MSG_NOSIGNAL);
}

static bool make_urgent(struct place *p)
{
	return make_message(p) && call_urgent(p) == p->len;
}

static bool done_urgent(struct place *p, long ret)
{
	if (ret < p->len && send(p->a, out + ret, p->len - ret, MSG_OOB) !=
			    p->len - ret)
		return false;
	return recv(p->b, in, 1, MSG_OOB) == 1 && in[0] == out[p->len - 1] &&
	       ft_recv_all(p->b, 0, p->len - 1, sizeof(in)) && place_works(p);
}

static long call_recv_urgent(struct place *p)
{
	return recv(p->b, in, 1, MSG_OOB);
}

static bool done_recv_urgent(struct place *p, long ret)
{
	return ret == 1 && in[0] == out[p->len - 1] &&
	       ft_recv_all(p->b, 0, p->len - 1, sizeof(in)) && place_works(p);
}

/* Options: what they copy can fail as well. */
static long call_set_option(struct place *p)
{
	int on = 1;

	return setsockopt(p->a, SOL_FERRY, p->option, &on, sizeof(on));
}

static long call_get_option(struct place *p)
{
	socklen_t len = sizeof(int);
	int value;

	return getsockopt(p->a, SOL_FERRY, p->option, &value, &len);
}

static long call_set_buffer(struct place *p)
{
	return ft_setint(p->a, SO_RCVBUF, 50000);
}

static long call_peer_name(struct place *p)
{
	struct ft_addr addr = { .len = sizeof(addr.ss) };
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockname(p->a, &addr.sa, &addr.len))
		return -1;
	addr.len = sizeof(addr.ss);
	if (getpeername(p->a, &addr.sa, &addr.len))
		return -1;
	return getsockopt(p->a, SOL_SOCKET, SO_PEERCRED, &cred, &len);
}

/* Diagnosis. The answer is there, or the request failed. */
static bool make_diag(struct place *p)
{
	struct timeval soon = { .tv_usec = 200 * 1000 };

	p->c = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
	return p->c >= 0 && make_pair(p) &&
	       !setsockopt(p->c, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
}

static long call_diag(struct place *p)
{
	struct {
		struct nlmsghdr nlh;
		struct ferry_diag_req req;
	} request = {
		.nlh = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST |
				       (p->option ? NLM_F_DUMP : 0),
		},
		.req = {
			.sdiag_family = AF_FERRY,
			.fdiag_states = -1,
			.fdiag_show = -1,
			.fdiag_cookie = { -1, -1 },
		},
	};
	const struct nlmsghdr *answer = (void *)in;
	const struct nlmsgerr *error = (void *)(in + NLMSG_HDRLEN);
	struct stat st;
	ssize_t n;

	if (fstat(p->a, &st))
		return -1;
	request.req.fdiag_ino = st.st_ino;
	/* What an earlier request has left to read. */
	while (recv(p->c, in, sizeof(in), MSG_DONTWAIT) > 0)
		;
	if (send(p->c, &request, sizeof(request), 0) < 0)
		return -1;
	n = recv(p->c, in, sizeof(in), 0);
	if (n < 0 && errno == EAGAIN)
		/* The answer was lost: nothing was said of that but this. */
		errno = ENOBUFS;
	if (n > 0 && answer->nlmsg_type == NLMSG_ERROR) {
		errno = -error->error;
		return -1;
	}
	return n;
}

static bool done_diag(struct place *p, long ret)
{
	return ret > 0 && place_works(p);
}

static long call_proc(struct place *p)
{
	int fd = open("/proc/thread-self/net/ferry", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, in, sizeof(in) - 1);
	ft_close(&fd);
	return n;
}

static bool done_proc(struct place *p, long ret)
{
	in[ret] = '\0';
	return strstr(in, "connected") && place_works(p);
}

/* A network namespace of its own, with all that the module keeps there. */
static long call_unshare(struct place *p)
{
	return unshare(CLONE_NEWNET);
}

static bool done_unshare(struct place *p, long ret)
{
	return make_pair(p) && place_works(p);
}

FIXTURE(fail)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(fail)
{
	struct ft_kind kind;
};

#define FAIL_SETUP()							\
do {									\
	FT_NEED(variant->kind.domain, variant->kind.type);		\
	if (!faults_prepare())						\
		SKIP(return, "this kernel cannot inject faults");	\
	memset(in, 1, sizeof(in));					\
	memset(out, 1, sizeof(out));					\
	ft_leak_start(&self->leak, variant->kind.domain);		\
} while (0)

FIXTURE_VARIANT_ADD(fail, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(fail, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(fail, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(fail, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_SETUP(fail)
{
	FAIL_SETUP();
}

FIXTURE_TEARDOWN(fail)
{
	FT_NO_LEAK(&self->leak);
}

/* What AF_FERRY alone has, or promises. */
FIXTURE(ferry_fail)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(ferry_fail)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(ferry_fail, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(ferry_fail, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(ferry_fail, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_CONN },
};

FIXTURE_SETUP(ferry_fail)
{
	FAIL_SETUP();
}

FIXTURE_TEARDOWN(ferry_fail)
{
	FT_NO_LEAK(&self->leak);
}

/* Many rounds, each with a connection of its own, on a slow machine. */
#define FAIL_TEST(_fixture, _name)	TEST_F_TIMEOUT(_fixture, _name, 300)

#define CONNECTS()							\
do {									\
	if (variant->kind.type == SOCK_DGRAM)				\
		SKIP(return, "datagram sockets do not listen");		\
} while (0)

/* A record whose copy fails is lost on AF_UNIX. */
#define KEEPS_RECORDS()							\
do {									\
	if (variant->kind.domain == AF_UNIX)				\
		SKIP(return, "AF_UNIX loses the record");		\
} while (0)

#define DGRAM_ONLY()							\
do {									\
	if (variant->kind.type != SOCK_DGRAM)				\
		SKIP(return, "datagram sockets only");			\
} while (0)

#define SWEEP(_len, _option, ...)					\
	EXPECT_TRUE(sweep(variant->kind, _len, _option,			\
			  &(struct op){ __VA_ARGS__ }))

FAIL_TEST(fail, F01_socket)
{
	SWEEP(0, 0, "socket", NULL, call_socket, NULL);
}

FAIL_TEST(fail, F06_socketpair)
{
	SWEEP(0, 0, "socketpair", NULL, call_socketpair, done_pair);
}

FAIL_TEST(fail, F03_bind)
{
	SWEEP(0, 0, "bind", make_unbound, call_bind, done_bind);
}

FAIL_TEST(ferry_fail, F03_autobind)
{
	SWEEP(0, 0, "autobind", make_autobind, call_bind, done_autobind);
}

FAIL_TEST(ferry_fail, O35_bind_to_a_group)
{
	SWEEP(0, 0, "bind, first of a group", make_first_of_group, call_bind,
	      done_bind);
	SWEEP(0, 0, "bind, member of a group", make_group, call_bind,
	      done_bind);
}

FAIL_TEST(fail, F04_listen)
{
	CONNECTS();
	SWEEP(0, 0, "listen", make_bound, call_listen, done_listen);
}

FAIL_TEST(ferry_fail, O35_listen_in_a_group)
{
	CONNECTS();
	SWEEP(0, 0, "listen, first of a group", make_bound_member, call_listen,
	      done_listen);
	SWEEP(0, 0, "listen, member of a group", make_second_member,
	      call_listen, done_listen);
}

FAIL_TEST(fail, F02_connect)
{
	SWEEP(0, 0, "connect", make_served, call_connect, done_connect);
}

FAIL_TEST(ferry_fail, F02_connect_of_another_user)
{
	CONNECTS();
	SWEEP(0, 0, "connect, another user", make_served_to_other,
	      call_connect, done_connect);
}

FAIL_TEST(ferry_fail, F02_connect_that_waits)
{
	CONNECTS();
	SWEEP(0, 0, "connect, full queue", make_full_listener,
	      call_connect_waiting, done_connect_waiting);
}

FAIL_TEST(fail, F05_accept)
{
	CONNECTS();
	SWEEP(0, 0, "accept", make_caller, call_accept, done_pair);
}

FAIL_TEST(fail, F07_send)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		SWEEP(sizes[i], 0, "send", make_message, call_send, done_send);
	SWEEP(100, 0, "send after a byte", make_begun, call_send, done_begun);
	SWEEP(600, 0, "send after a byte", make_begun, call_send, done_begun);
}

FAIL_TEST(fail, F10_writev)
{
	SWEEP(40000, 0, "writev", make_message, call_writev, done_send);
}

FAIL_TEST(fail, F07_sendto)
{
	DGRAM_ONLY();
	SWEEP(1000, 0, "sendto", make_sendto, call_sendto, done_sendto);
}

FAIL_TEST(fail, F08_recv)
{
	size_t i;

	KEEPS_RECORDS();
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		SWEEP(sizes[i], 0, "recv", make_unread, call_recv, done_recv);
}

FAIL_TEST(fail, F08_peek)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		SWEEP(sizes[i], 0, "peek", make_unread, call_peek, done_peek);
}

FAIL_TEST(ferry_fail, O23_peek_offset)
{
	SWEEP(100, 0, "peek with an offset", make_peek_offset, call_peek,
	      done_peek_offset);
	SWEEP(100000, 0, "peek with an offset", make_peek_offset, call_peek,
	      done_peek_offset);
}

FAIL_TEST(fail, X01_send)
{
	SWEEP(0, 0, "send a descriptor", make_rights, call_send_rights,
	      done_send_rights);
}

FAIL_TEST(ferry_fail, X01_send_a_socket)
{
	SWEEP(0, 1, "send a socket", make_rights, call_send_rights,
	      done_send_rights);
}

FAIL_TEST(fail, X01_recv)
{
	KEEPS_RECORDS();
	SWEEP(0, 0, "receive a descriptor", make_rights_unread,
	      call_recv_rights, done_recv_rights);
}

FAIL_TEST(ferry_fail, X01_peek)
{
	SWEEP(0, 1, "peek at descriptors", make_rights_unread,
	      call_peek_rights, done_peek_rights);
}

FAIL_TEST(fail, O21_send_credentials)
{
	SWEEP(0, 0, "send credentials", make_creds, call_send_creds,
	      done_send_creds);
}

FAIL_TEST(fail, O21_recv_credentials)
{
	KEEPS_RECORDS();
	SWEEP(0, 0, "receive credentials", make_creds_unread, call_recv_rights,
	      done_recv_creds);
}

FAIL_TEST(fail, O02_attach)
{
	SWEEP(0, 0, "attach a filter", make_pair, call_attach, done_attach);
}

FAIL_TEST(fail, O02_send_to_a_filter)
{
	size_t i;

	if (variant->kind.domain == AF_UNIX)
		SKIP(return, "AF_UNIX connections filter nothing");
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		/* A stream is filtered in pieces of 32 KiB. */
		if (variant->kind.type == SOCK_STREAM && sizes[i] > 32768)
			continue;
		SWEEP(sizes[i], 0, "send to a filter", make_filtered,
		      call_send, done_filtered);
	}
}

FAIL_TEST(ferry_fail, O02_inherited)
{
	CONNECTS();
	SWEEP(0, 0, "connect to a filter", make_filtered_listener,
	      call_connect, done_filtered_connect);
}

FAIL_TEST(ferry_fail, O06_steered)
{
	SWEEP(0, 0, "attach a program to a group", make_group,
	      call_attach_group, NULL);
	if (variant->kind.type == SOCK_DGRAM) {
		SWEEP(5000, 0, "send to a steered group", make_steered,
		      call_sendto, done_steered);
	} else {
		SWEEP(0, 0, "connect to a steered group", make_steered,
		      call_connect, done_steered_connect);
	}
}

FAIL_TEST(ferry_fail, O09_broadcast)
{
	DGRAM_ONLY();
	SWEEP(100, 0, "broadcast", make_broadcast, call_sendto,
	      done_broadcast);
	SWEEP(100000, 0, "broadcast", make_broadcast, call_sendto,
	      done_broadcast);
	SWEEP(600, 0, "broadcast to a filter", make_broadcast_filtered,
	      call_sendto, done_broadcast);
}

FAIL_TEST(ferry_fail, O40_receive_stamp)
{
	SWEEP(1000, 0, "receive with a stamp", make_stamped, call_recvmsg,
	      done_recv);
}

FAIL_TEST(ferry_fail, O44_transmit_stamp)
{
	SWEEP(1000, 0, "send with a stamp", make_txstamped, call_send,
	      done_txstamped);
	SWEEP(1000, 0, "send with a stamp to a filter", make_txstamped_dropped,
	      call_send, done_txstamped_dropped);
	SWEEP(1000, 0, "receive what the sender has stamped",
	      make_txstamped_unread, call_recv, done_txstamped_read);
	SWEEP(1000, 0, "receive a transmit stamp", make_txstamped_unread,
	      call_recv_errors, done_recv_errors);
}

FAIL_TEST(ferry_fail, F07_zerocopy)
{
	SWEEP(1000, 0, "send with MSG_ZEROCOPY", make_zerocopy, call_zerocopy,
	      done_zerocopy);
	SWEEP(20000, 0, "lend pages", make_zerocopy, call_zerocopy,
	      done_zerocopy);
	SWEEP(20000, 0, "lend pages to a filter", make_zerocopy_filtered,
	      call_zerocopy, done_zerocopy_filtered);
}

FAIL_TEST(fail, F11_sendfile)
{
	SWEEP(6000, 0, "sendfile", make_file, call_sendfile, done_send);
}

FAIL_TEST(ferry_fail, X03_splice)
{
	SWEEP(3000, 0, "splice", make_splice, call_splice, done_splice);
}

FAIL_TEST(ferry_fail, F07_urgent_byte)
{
	if (variant->kind.type != SOCK_STREAM)
		SKIP(return, "byte streams only");
	SWEEP(1000, 0, "send an urgent byte", make_message, call_urgent,
	      done_urgent);
	SWEEP(1000, 0, "receive an urgent byte", make_urgent, call_recv_urgent,
	      done_recv_urgent);
}

FAIL_TEST(ferry_fail, F13_options)
{
	static const int options[] = {
		FERRY_PASSRIGHTS, FERRY_REUSEPORT, FERRY_ZEROCOPY,
		FERRY_BROADCAST_POLICY, FERRY_MODE, FERRY_PASSCRED,
		FERRY_PASSSEC, FERRY_PASSPIDFD,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		SWEEP(0, options[i], "setsockopt", make_bound, call_set_option,
		      NULL);
		SWEEP(0, options[i], "getsockopt", make_bound, call_get_option,
		      NULL);
	}
	SWEEP(0, 0, "SO_RCVBUF", make_bound, call_set_buffer, NULL);
}

FAIL_TEST(fail, F12_names)
{
	SWEEP(0, 0, "getsockname, getpeername, SO_PEERCRED", make_pair,
	      call_peer_name, done_pair);
}

FAIL_TEST(ferry_fail, P05_sock_diag)
{
	SWEEP(0, 0, "sock_diag", make_diag, call_diag, done_diag);
	SWEEP(0, 1, "sock_diag, dump", make_diag, call_diag, done_diag);
}

FAIL_TEST(ferry_fail, P05_proc)
{
	SWEEP(0, 0, "/proc/net/ferry", make_pair, call_proc, done_proc);
}

/* The core's part of a namespace is large, and not ours. */
FAIL_TEST(ferry_fail, X04_namespace)
{
	if (!faults_of_module(true))
		SKIP(return, "the module's place in memory is not told");
	SWEEP(0, 0, "unshare", NULL, call_unshare, done_unshare);
	EXPECT_TRUE(faults_of_module(false));
}

FT_HARNESS_MAIN
