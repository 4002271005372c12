// SPDX-License-Identifier: GPL-2.0
/*
 * What /proc/sys/net/core says and who obeys it. P01-P04, and FERRY_INFO. The
 * values of the machine are changed for a moment; a test that fails leaves them
 * to the machine, which is one of our own.
 */

#include "bpf_helpers.h"
#include "kselftest_harness.h"

#include <limits.h>
#include <sched.h>
#include <netinet/tcp.h>
#include <sys/utsname.h>

/* Runs in a child, so that the namespace of the test stays. */
static long sysctl_in(const char *ns, const char *name, const char *text)
{
	char path[PATH_MAX], old[64] = "";
	int fd, pfd[2], status;
	long value = -1;
	ssize_t n;
	pid_t pid;

	if (pipe(pfd))
		return -1;
	pid = fork();
	if (!pid) {
		fd = ns ? open(ns, O_RDONLY) : -1;
		if (ns && setns(fd, CLONE_NEWNET))
			_exit(1);
		snprintf(path, sizeof(path), "/proc/sys/net/core/%s", name);
		fd = open(path, text ? O_RDWR : O_RDONLY);
		n = read(fd, old, sizeof(old) - 1);
		if (n <= 0 || write(pfd[1], old, n) != n)
			_exit(1);
		if (text && pwrite(fd, text, strlen(text), 0) !=
				    (ssize_t)strlen(text))
			_exit(1);
		_exit(0);
	}
	close(pfd[1]);
	n = read(pfd[0], old, sizeof(old) - 1);
	close(pfd[0]);
	if (waitpid(pid, &status, 0) == pid && !status && n > 0)
		value = strtol(old, NULL, 10);
	return value;
}

/* Reads a value, and changes it unless @value is negative. -1: cannot. */
static long sysctl(const char *name, long value)
{
	char text[32];
	long old;

	snprintf(text, sizeof(text), "%ld", value);
	/* Of the network namespace, else of the whole machine. */
	old = sysctl_in(NULL, name, value < 0 ? NULL : text);
	if (old < 0)
		old = sysctl_in("/proc/1/ns/net", name,
				value < 0 ? NULL : text);
	return old;
}

FIXTURE(core)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(core)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(core, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(core, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(core, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM },
};

FIXTURE_VARIANT_ADD(core, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(core, UDP_dgram)
{
	.kind = { AF_INET, SOCK_DGRAM },
};

FIXTURE_SETUP(core)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
}

FIXTURE_TEARDOWN(core)
{
	FT_NO_LEAK(&self->leak);
}

static int new_socket_has(const struct ft_kind *kind, int option)
{
	int fd = socket(kind->domain, kind->type, 0);
	int value = ft_getint(fd, option);

	ft_close(&fd);
	return value;
}

TEST_F(core, P01_defaults)
{
	long rmem, wmem;

	rmem = sysctl("rmem_default", 98304);
	wmem = sysctl("wmem_default", 81920);
	if (rmem < 0 || wmem < 0)
		SKIP(return, "cannot change the defaults here");
	EXPECT_EQ(98304, new_socket_has(&variant->kind, SO_RCVBUF));
	EXPECT_EQ(81920, new_socket_has(&variant->kind, SO_SNDBUF));
	EXPECT_EQ(98304, sysctl("rmem_default", rmem));
	EXPECT_EQ(81920, sysctl("wmem_default", wmem));
	EXPECT_EQ(rmem, new_socket_has(&variant->kind, SO_RCVBUF));
	EXPECT_EQ(wmem, new_socket_has(&variant->kind, SO_SNDBUF));
}

TEST_F(core, P01_caps)
{
	int fd = socket(variant->kind.domain, variant->kind.type, 0);
	long rmem, wmem;

	rmem = sysctl("rmem_max", 50000);
	wmem = sysctl("wmem_max", 60000);
	if (rmem < 0 || wmem < 0) {
		ft_close(&fd);
		SKIP(return, "cannot change the caps here");
	}
	EXPECT_EQ(0, ft_setint(fd, SO_RCVBUF, 90000));
	EXPECT_EQ(0, ft_setint(fd, SO_SNDBUF, 90000));
	EXPECT_EQ(100000, ft_getint(fd, SO_RCVBUF));
	EXPECT_EQ(120000, ft_getint(fd, SO_SNDBUF));
	/* O29, O39: the privileged are not bound by them. */
	EXPECT_EQ(0, ft_setint(fd, SO_RCVBUFFORCE, 90000));
	EXPECT_EQ(180000, ft_getint(fd, SO_RCVBUF));
	EXPECT_EQ(0, ft_setint(fd, SO_SNDBUFFORCE, 90000));
	EXPECT_EQ(180000, ft_getint(fd, SO_SNDBUF));
	EXPECT_EQ(50000, sysctl("rmem_max", rmem));
	EXPECT_EQ(60000, sysctl("wmem_max", wmem));
	EXPECT_EQ(0, ft_setint(fd, SO_RCVBUF, 90000));
	EXPECT_EQ(180000, ft_getint(fd, SO_RCVBUF));
	ft_close(&fd);
}

TEST_F(core, P04_optmem_max_bounds_a_filter)
{
	struct sock_filter *code = calloc(BPF_MAXINSNS, sizeof(*code));
	int fd = socket(variant->kind.domain, variant->kind.type, 0);
	int i, large, small;
	long old;

	for (i = 0; i < BPF_MAXINSNS; i++)
		code[i].code = BPF_RET | BPF_K;
	old = sysctl("optmem_max", 4096);
	if (old < 0) {
		ft_close(&fd);
		free(code);
		SKIP(return, "cannot change optmem_max here");
	}
	large = ft_err(filter_attach(fd, code, BPF_MAXINSNS));
	small = ft_err(filter_attach(fd, code, 16));
	EXPECT_EQ(4096, sysctl("optmem_max", old));
	EXPECT_EQ(ENOMEM, large);
	EXPECT_EQ(0, small);
	EXPECT_EQ(0, filter_detach(fd));
	ft_close(&fd);
	free(code);
}

/*
 * Lines about the family in the kernel's log, from where @fd stands. Not those of
 * a checker's report, which fails the whole run: they have the module in brackets,
 * and the kernel's release, which may be named after the family.
 */
static int log_lines(int fd)
{
	struct utsname name;
	char line[8192];
	int n = 0;
	ssize_t len;

	if (uname(&name))
		return -1;
	while ((len = read(fd, line, sizeof(line) - 1)) > 0 ||
	       (len < 0 && errno == EPIPE)) {
		line[len > 0 ? len : 0] = '\0';
		if (!strstr(line, "[ferry]") && !strstr(line, name.release))
			n += strstr(line, "ferry") || strstr(line, "FERRY");
	}
	return n;
}

TEST_F(core, P02_nothing_that_a_peer_can_flood)
{
	struct ft_addr addr, nobody;
	int i, fd, peer, log;

	if (variant->kind.domain != AF_FERRY)
		SKIP(return, "about this module's messages");
	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (log < 0 || lseek(log, 0, SEEK_END) < 0) {
		ft_close(&log);
		SKIP(return, "no kernel log");
	}
	ft_addr_new(AF_FERRY, &nobody);
	for (i = 0; i < 1000; i++) {
		fd = socket(AF_FERRY, variant->kind.type, 0);
		EXPECT_ERR(ECONNREFUSED, connect(fd, &nobody.sa, nobody.len));
		EXPECT_ERR(EINVAL, connect(fd, &nobody.sa, 7));
		EXPECT_ERR(ENOPROTOOPT, ft_setint(fd, 9999, 1));
		if (variant->kind.type == SOCK_DGRAM) {
			EXPECT_EQ(0, ft_bind_new(fd, AF_FERRY, &addr));
			EXPECT_EQ(0, filter_constant(fd, 0));
			peer = ft_connect(&variant->kind, &addr);
			EXPECT_EQ(1, send(peer, "x", 1, 0));
			ft_close(&peer);
		}
		ft_close(&fd);
	}
	EXPECT_EQ(0, log_lines(log));
	ft_close(&log);
}

/* What the cores' input queues have processed, all processors together. */
static long input_queue(void)
{
	FILE *f = fopen("/proc/net/softnet_stat", "re");
	unsigned int n;
	char line[512];
	long sum = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%x", &n) == 1)
			sum += n;
	fclose(f);
	return sum;
}

/* Local messages do not pass the queue; there is no other input yet. */
TEST_F(core, P03_input_queue)
{
	struct ft_kind kind = variant->kind;
	long before, passed;
	int a, b, i;
	char byte;

	ASSERT_EQ(0, ft_pair(&kind, &a, &b));
	before = input_queue();
	ASSERT_LE(0, before);
	for (i = 0; i < 2000; i++) {
		ASSERT_EQ(1, send(a, "x", 1, 0));
		ASSERT_EQ(1, recv(b, &byte, 1, 0));
	}
	passed = input_queue() - before;
	/* Two thousand of UDP, few of anybody else's. */
	EXPECT_EQ(kind.domain == AF_INET, passed >= 2000);
	ft_close(&a);
	ft_close(&b);
}

/* FERRY_INFO */

FIXTURE(info)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(info)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(info, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(info, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(info, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_CONN },
};

FIXTURE_SETUP(info)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
}

FIXTURE_TEARDOWN(info)
{
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

static struct ferry_info info_of(int fd)
{
	struct ferry_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0xa5, sizeof(info));
	getsockopt(fd, SOL_FERRY, FERRY_INFO, &info, &len);
	return info;
}

TEST_F(info, P05_ferry_info_form)
{
	unsigned char raw[sizeof(struct ferry_info) + 8];
	socklen_t len = sizeof(raw);
	int value = 1;

	EXPECT_EQ(40, sizeof(struct ferry_info));
	memset(raw, 0xa5, sizeof(raw));
	ASSERT_EQ(0, getsockopt(self->a, SOL_FERRY, FERRY_INFO, raw, &len));
	EXPECT_EQ(sizeof(struct ferry_info), len);
	EXPECT_EQ(0xa5, raw[sizeof(struct ferry_info)]);
	memset(raw, 0xa5, sizeof(raw));
	len = 4;
	ASSERT_EQ(0, getsockopt(self->a, SOL_FERRY, FERRY_INFO, raw, &len));
	EXPECT_EQ(4, len);
	EXPECT_EQ(TCP_ESTABLISHED, raw[0]);
	EXPECT_EQ(0xa5, raw[4]);
	len = -1;
	EXPECT_ERR(EINVAL, getsockopt(self->a, SOL_FERRY, FERRY_INFO, raw,
				      &len));
	len = sizeof(raw);
	EXPECT_ERR(EFAULT, getsockopt(self->a, SOL_FERRY, FERRY_INFO, FT_WILD,
				      &len));
	EXPECT_ERR(ENOPROTOOPT, setsockopt(self->a, SOL_FERRY, FERRY_INFO,
					   &value, sizeof(value)));
}

TEST_F(info, P05_ferry_info_queues_and_totals)
{
	bool stream = variant->kind.type == SOCK_STREAM;
	bool dgram = variant->kind.type == SOCK_DGRAM;
	struct ferry_info a, b;
	char buf[16];

	ASSERT_EQ(5, send(self->a, "hello", 5, 0));
	ASSERT_EQ(3, send(self->a, "you", 3, 0));
	a = info_of(self->a);
	b = info_of(self->b);
	EXPECT_EQ(TCP_ESTABLISHED, a.fi_state);
	EXPECT_EQ(FERRY_CARRIER_NONE, a.fi_carrier);
	EXPECT_EQ(FERRY_SCOPE_HOST, a.fi_scope);
	EXPECT_EQ(8, a.fi_wqueue);
	EXPECT_EQ(0, a.fi_rqueue);
	EXPECT_EQ(8, b.fi_rqueue);
	EXPECT_EQ(0, b.fi_wqueue);
	EXPECT_EQ(stream ? 0 : 2, b.fi_rmessages);
	EXPECT_EQ(stream ? 8 : 2, b.fi_rtotal);
	EXPECT_EQ(dgram ? 0 : b.fi_rtotal, a.fi_wtotal);
	EXPECT_EQ(0, a.fi_rtotal + b.fi_wtotal);
	EXPECT_EQ(0, a.fi_drops + b.fi_drops);
	EXPECT_EQ(0, a.fi_pad);

	/* What a fault puts back does not count again. */
	EXPECT_ERR(EFAULT, recv(self->b, FT_WILD, 5, 0));
	ASSERT_EQ(5, recv(self->b, buf, 5, 0));
	a = info_of(self->a);
	b = info_of(self->b);
	EXPECT_EQ(3, a.fi_wqueue);
	EXPECT_EQ(3, b.fi_rqueue);
	EXPECT_EQ(stream ? 0 : 1, b.fi_rmessages);
	EXPECT_EQ(stream ? 8 : 2, b.fi_rtotal);

	ASSERT_EQ(0, filter_constant(self->b, 0));
	ASSERT_EQ(3, send(self->a, "you", 3, 0));
	b = info_of(self->b);
	EXPECT_EQ(1, b.fi_drops);
	EXPECT_EQ(stream ? 8 : 2, b.fi_rtotal);
	ft_close(&self->b);
	a = info_of(self->a);
	EXPECT_EQ(0, a.fi_wqueue);
}

TEST_F(info, P05_ferry_info_states)
{
	struct ft_addr addr;
	int fd, client;

	fd = socket(AF_FERRY, variant->kind.type, 0);
	EXPECT_EQ(TCP_CLOSE, info_of(fd).fi_state);
	ft_addr_new(AF_FERRY, &addr);
	addr.ferry.sfy_scope = FERRY_SCOPE_NETWORK;
	ASSERT_EQ(0, bind(fd, &addr.sa, addr.len));
	EXPECT_EQ(FERRY_SCOPE_NETWORK, info_of(fd).fi_scope);
	if (variant->kind.type != SOCK_DGRAM) {
		ASSERT_EQ(0, listen(fd, 7));
		client = ft_connect(&variant->kind, &addr);
		ASSERT_LE(0, client);
		EXPECT_EQ(TCP_LISTEN, info_of(fd).fi_state);
		EXPECT_EQ(1, info_of(fd).fi_rqueue);
		EXPECT_EQ(7, info_of(fd).fi_wqueue);
		EXPECT_EQ(0, info_of(fd).fi_rtotal);
		ft_close(&client);
	}
	ft_close(&fd);
}

FT_HARNESS_MAIN
