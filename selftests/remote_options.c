// SPDX-License-Identifier: GPL-2.0
/*
 * What options of the network do to streams and datagrams between hosts, and what a
 * stream's calls do there. F07, F08, E07, E10, I05, I06, O02, O08, O14,
 * O16-O20, O23, O24, O26, O28, O30, O33, O36, O37, O38, O40, O41, O43, O44, O46, P02, P03.
 */
#include "ferry_test.h"
#include "network.h"
#include "signals.h"
#include "kselftest_harness.h"

#include <linux/errqueue.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/net_tstamp.h>
#include <net/if.h>
#include <netinet/tcp.h>

#ifndef SIOCETHTOOL
#define SIOCETHTOOL	0x8946
#endif

/* Linux 6.17's, where the C library's headers are older. */
#define INQ		84

#define ONE_MIB		(ft_checks_itself() ? 128UL << 10 : 1UL << 20)

/* Sockets a of host 0 and b of host 1 that are connected, by the names of net_pair(). */
FIXTURE(remote_options)
{
	struct ft_leak leak;
	struct net net;
	long backlog, cost, burst;
	int fd[2];
	int a, b;
};

FIXTURE_VARIANT(remote_options)
{
	int type;
	const char *node;
};

FIXTURE_VARIANT_ADD(remote_options, FERRY_stream)
{
	.type = SOCK_STREAM,
	.node = "fd18::2",
};

FIXTURE_VARIANT_ADD(remote_options, FERRY_dgram)
{
	.type = SOCK_DGRAM,
	.node = "10.18.0.2",
};

/* The calls of a stream alone. */
FIXTURE(remote_calls)
{
	struct ft_leak leak;
	struct net net;
	int fd[2];
	int a, b;
};

FIXTURE_VARIANT(remote_calls)
{
	const char *node;
};

FIXTURE_VARIANT_ADD(remote_calls, FERRY_stream)
{
	.node = "10.18.0.2",
};

FIXTURE_SETUP(remote_options)
{
	FT_NEED(AF_FERRY, variant->type);
	ft_leak_start(&self->leak, AF_FERRY);
	self->backlog = net_core("netdev_max_backlog", -1);
	self->cost = net_core("message_cost", -1);
	self->burst = net_core("message_burst", -1);
	ASSERT_TRUE(net_up(&self->net));
	ASSERT_TRUE(net_pair(&self->net, variant->type, variant->node, self->fd));
	self->a = self->fd[0];
	self->b = self->fd[1];
}

FIXTURE_TEARDOWN(remote_options)
{
	net_core("netdev_max_backlog", self->backlog);
	net_core("message_cost", self->cost);
	net_core("message_burst", self->burst);
	ft_close(&self->a);
	ft_close(&self->b);
	net_down(&self->net);
	FT_NO_LEAK(&self->leak);
}

FIXTURE_SETUP(remote_calls)
{
	FT_NEED(AF_FERRY, SOCK_STREAM);
	ft_leak_start(&self->leak, AF_FERRY);
	ASSERT_TRUE(net_up(&self->net));
	ASSERT_TRUE(net_pair(&self->net, SOCK_STREAM, variant->node, self->fd));
	self->a = self->fd[0];
	self->b = self->fd[1];
}

FIXTURE_TEARDOWN(remote_calls)
{
	ft_close(&self->a);
	ft_close(&self->b);
	net_down(&self->net);
	FT_NO_LEAK(&self->leak);
}

#define NETEM(_net, _host, _how)						\
do {										\
	if (!net_run(_net, _host, "tc qdisc replace dev eth0 root netem " _how))	\
		SKIP(return, "no netem here");					\
} while (0)

/* A message and what came with it. */
struct got {
	struct msghdr msg;
	struct iovec iov;
	char buf[64];
	union {
		struct cmsghdr align;
		char bytes[512];
	} control;
};

static ssize_t get(int fd, struct got *got, int flags)
{
	got->iov = (struct iovec){ got->buf, sizeof(got->buf) };
	got->msg = (struct msghdr){
		.msg_iov = &got->iov, .msg_iovlen = 1,
		.msg_control = &got->control, .msg_controllen = sizeof(got->control),
	};
	return recvmsg(fd, &got->msg, flags);
}

/* The data of a control message, or NULL. */
static void *told(struct got *got, int level, int type)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(&got->msg); cmsg; cmsg = CMSG_NXTHDR(&got->msg, cmsg))
		if (cmsg->cmsg_level == level && cmsg->cmsg_type == type)
			return CMSG_DATA(cmsg);
	return NULL;
}

/* What the error queue says, of TCP or of the family. */
static struct sock_extended_err *error_of(struct got *got)
{
	struct sock_extended_err *ee = told(got, SOL_FERRY, FERRY_RECVERR);

	if (!ee)
		ee = told(got, SOL_IP, IP_RECVERR);
	return ee ? ee : told(got, SOL_IPV6, IPV6_RECVERR);
}

static long long real_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static bool crosses(int from, int to, const char *text)
{
	ssize_t len = strlen(text);
	char buf[64];

	return send(from, text, len, 0) == len &&
	       ft_poll(to, POLLIN, FT_LONG_MS) & POLLIN &&
	       recv(to, buf, sizeof(buf), 0) == len &&
	       !memcmp(buf, text, len);
}

/* ---- the device ---- */

static bool feature(const struct net *net, int host, unsigned int cmd, unsigned int on)
{
	struct ethtool_value value = { .cmd = cmd, .data = on };
	struct ifreq ifr = { .ifr_name = "eth0", .ifr_data = (void *)&value };
	int fd = net_socket(net, host, AF_INET, SOCK_DGRAM);
	bool ok = !ioctl(fd, SIOCETHTOOL, &ifr);

	ft_close(&fd);
	return ok;
}

/* What comes to host 1 comes by a queue of its device from now on. */
static bool use_napi(const struct net *net)
{
	return feature(net, 1, ETHTOOL_SGRO, 1) && feature(net, 0, ETHTOOL_STSO, 0);
}

TEST_F(remote_options, O16_the_queue_of_the_device)
{
	FT_NEED_OPTION(SOL_SOCKET, SO_INCOMING_NAPI_ID);
	ASSERT_TRUE(crosses(self->a, self->b, "before"));
	EXPECT_EQ(0, ft_getint(self->b, SO_INCOMING_NAPI_ID));
	if (!use_napi(&self->net))
		SKIP(return, "veth without NAPI");
	ASSERT_TRUE(crosses(self->a, self->b, "after"));
	EXPECT_LT(0, ft_getint(self->b, SO_INCOMING_NAPI_ID));
}

/* Packets that who waits has fetched from a device of host 1 himself, or -1. */
static long fetched(const struct net *net)
{
	char names[4096], values[4096], *name, *value, *n = NULL, *v = NULL;
	long sum = -1;
	FILE *f = NULL;

	if (net_enter(net, 1))
		f = fopen("/proc/thread-self/net/netstat", "re");
	if (f && fgets(names, sizeof(names), f) && fgets(values, sizeof(values), f)) {
		name = strtok_r(names, "\n ", &n);
		value = strtok_r(values, "\n ", &v);
		for (; name && value && sum < 0; value = strtok_r(NULL, "\n ", &v)) {
			if (!strcmp(name, "BusyPollRxPackets"))
				sum = atol(value);
			name = strtok_r(NULL, "\n ", &n);
		}
	}
	if (f)
		fclose(f);
	net_enter(net, -1);
	return sum;
}

TEST_F(remote_options, O43_who_waits_polls_the_device)
{
	struct ft_call call = { .fn = ft_do_recv, .len = 1 };
	int64_t end = ft_now_ms() + FT_LONG_MS;
	long before;
	char c;

	FT_NEED_OPTION(SOL_SOCKET, SO_BUSY_POLL);
	if (!use_napi(&self->net))
		SKIP(return, "veth without NAPI");
	ASSERT_TRUE(crosses(self->a, self->b, "learn"));
	before = fetched(&self->net);
	ASSERT_LE(0, before);
	ASSERT_EQ(0, ft_setint(self->b, SO_BUSY_POLL, 1000000));
	call.fd = self->b;
	call.buf = &c;
	/* It may not have begun to poll when the message comes. */
	while (fetched(&self->net) == before && ft_now_ms() < end) {
		ASSERT_EQ(0, ft_start(&call));
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		ft_join(&call);
		ASSERT_EQ(1, call.ret);
	}
	EXPECT_LT(before, fetched(&self->net));
}

/* ---- stamps ---- */

/* Send until what comes says when it came: to stamp packets begins a little later. */
static void *stamped(int a, int b, struct got *got, int type)
{
	int64_t end = ft_now_ms() + FT_LONG_MS;
	void *stamp = NULL;

	while (!stamp && ft_now_ms() < end) {
		if (send(a, "time", 4, 0) != 4 || get(b, got, 0) != 4)
			return NULL;
		stamp = told(got, SOL_SOCKET, type);
	}
	return stamp;
}

TEST_F(remote_options, O40_when_it_came)
{
	long long before = real_ns(CLOCK_REALTIME), at;
	struct timeval *tv;
	struct got got;

	ASSERT_EQ(0, ft_setint(self->b, SO_TIMESTAMP, 1));
	tv = stamped(self->a, self->b, &got, SO_TIMESTAMP);
	ASSERT_NE(NULL, tv);
	at = tv->tv_sec * 1000000000LL + tv->tv_usec * 1000LL;
	EXPECT_LE(before / 1000 * 1000, at);
	EXPECT_GE(real_ns(CLOCK_REALTIME), at);
	EXPECT_EQ(NULL, told(&got, SOL_SOCKET, SO_TIMESTAMPNS));
}

TEST_F(remote_options, O41_when_it_came_in_nanoseconds)
{
	long long before = real_ns(CLOCK_REALTIME), at;
	struct timespec *ts;
	struct got got;

	ASSERT_EQ(0, ft_setint(self->b, SO_TIMESTAMP, 1));
	ASSERT_EQ(0, ft_setint(self->b, SO_TIMESTAMPNS, 1));
	ts = stamped(self->a, self->b, &got, SO_TIMESTAMPNS);
	ASSERT_NE(NULL, ts);
	at = ts->tv_sec * 1000000000LL + ts->tv_nsec;
	EXPECT_LE(before, at);
	EXPECT_GE(real_ns(CLOCK_REALTIME), at);
	EXPECT_EQ(NULL, told(&got, SOL_SOCKET, SO_TIMESTAMP));
}

TEST_F(remote_options, O44_stamps_of_a_receiver)
{
	long long before = real_ns(CLOCK_REALTIME), at;
	struct timespec *ts;
	struct got got;

	ASSERT_EQ(0, ft_setint(self->b, SO_TIMESTAMPING, SOF_TIMESTAMPING_RX_SOFTWARE |
							 SOF_TIMESTAMPING_SOFTWARE));
	ts = stamped(self->a, self->b, &got, SO_TIMESTAMPING);
	ASSERT_NE(NULL, ts);
	at = ts->tv_sec * 1000000000LL + ts->tv_nsec;
	EXPECT_LE(before, at);
	EXPECT_GE(real_ns(CLOCK_REALTIME), at);
}

/*
 * When the queueing discipline had it, when the driver, and of a stream when it was
 * acknowledged; the key is the number of the last byte, or of the message.
 */
TEST_F(remote_options, O44_stamps_of_a_sender_with_keys)
{
	bool stream = variant->type == SOCK_STREAM;
	int wanted = stream ? 3 : 2, seen[3], round, i;
	struct sock_extended_err *ee;
	struct scm_timestamping *ts;
	struct got got;

	ASSERT_EQ(0, ft_setint(self->a, SO_TIMESTAMPING,
			       SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_SOFTWARE |
			       (stream ? SOF_TIMESTAMPING_TX_ACK : 0) |
			       SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID |
			       SOF_TIMESTAMPING_OPT_TSONLY));
	for (round = 0; round < 2; round++) {
		memset(seen, 0, sizeof(seen));
		ASSERT_TRUE(crosses(self->a, self->b, "12345"));
		for (i = 0; i < wanted; i++) {
			ASSERT_EQ(POLLERR, ft_poll(self->a, 0, FT_LONG_MS));
			ASSERT_EQ(0, get(self->a, &got, MSG_ERRQUEUE));
			ee = error_of(&got);
			ASSERT_NE(NULL, ee);
			EXPECT_EQ(SO_EE_ORIGIN_TIMESTAMPING, ee->ee_origin);
			EXPECT_EQ(stream ? 5 * round + 4 : round, ee->ee_data);
			ASSERT_GT(3, ee->ee_info);
			seen[ee->ee_info]++;
			ts = told(&got, SOL_SOCKET, SO_TIMESTAMPING);
			ASSERT_NE(NULL, ts);
			EXPECT_NE(0, ts->ts[0].tv_sec);
		}
		EXPECT_EQ(1, seen[SCM_TSTAMP_SCHED]);
		EXPECT_EQ(1, seen[SCM_TSTAMP_SND]);
		EXPECT_EQ(stream, seen[SCM_TSTAMP_ACK]);
	}
	EXPECT_ERR(EAGAIN, get(self->a, &got, MSG_ERRQUEUE));
}

TEST_F(remote_options, O37_what_is_in_the_error_queue_is_urgent)
{
	struct got got;

	ASSERT_EQ(0, ft_setint(self->a, SO_SELECT_ERR_QUEUE, 1));
	ASSERT_EQ(0, ft_setint(self->a, SO_TIMESTAMPING,
			       SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE));
	EXPECT_EQ(0, ft_poll(self->a, POLLPRI, 0));
	ASSERT_TRUE(crosses(self->a, self->b, "x"));
	EXPECT_EQ(POLLPRI | POLLERR, ft_poll(self->a, POLLPRI, FT_LONG_MS));
	EXPECT_LE(0, get(self->a, &got, MSG_ERRQUEUE));
	EXPECT_EQ(0, ft_poll(self->a, POLLPRI, 0));
}

/* ---- the core's input ---- */

/* What the input queues of all processors had no room for. */
static long overflown(void)
{
	FILE *f = fopen("/proc/net/softnet_stat", "re");
	unsigned int n;
	char line[512];
	long sum = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*x %x", &n) == 1)
			sum += n;
	if (f)
		fclose(f);
	return sum;
}

static bool waits_for_loss(long before)
{
	int64_t end = ft_now_ms() + FT_LONG_MS;

	while (overflown() == before && ft_now_ms() < end)
		sched_yield();
	return overflown() > before;
}

struct sender {
	int fd;
	size_t len;
	bool ok;
};

static void *send_all(void *arg)
{
	struct sender *sender = arg;

	sender->ok = ft_send_all(sender->fd, 0, sender->len, 1000);
	return NULL;
}

#define P03_MESSAGES	40

TEST_F_TIMEOUT(remote_options, P03_a_full_input_queue_loses_and_counts, FT_SLOW_S)
{
	struct sender sender = { .fd = self->a, .len = 48000 };
	int received = 0, i;
	pthread_t thread;
	long before;
	char c;

	if (self->backlog < 0)
		SKIP(return, "not the first host's");
	/* All that is sent within a tenth of a second comes at once, and in packets. */
	NETEM(&self->net, 0, "delay 1ms slot 100ms 100ms");
	ASSERT_TRUE(feature(&self->net, 0, ETHTOOL_STSO, 0));
	feature(&self->net, 0, ETHTOOL_SGSO, 0);
	ASSERT_TRUE(crosses(self->a, self->b, "a"));
	before = overflown();
	ASSERT_LE(0, net_core("netdev_max_backlog", 1));
	if (variant->type == SOCK_STREAM) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, send_all, &sender));
		EXPECT_TRUE(waits_for_loss(before));
		net_core("netdev_max_backlog", self->backlog);
		/* TCP brings it again. */
		EXPECT_TRUE(ft_recv_all(self->b, 0, sender.len, 1000));
		pthread_join(thread, NULL);
		EXPECT_TRUE(sender.ok);
		return;
	}
	for (i = 0; i < P03_MESSAGES; i++)
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_TRUE(waits_for_loss(before));
	net_core("netdev_max_backlog", self->backlog);
	/* Nothing overtakes: what follows comes last. */
	ASSERT_EQ(1, send(self->a, "z", 1, 0));
	for (c = 0; c != 'z'; received++) {
		ASSERT_EQ(POLLIN, ft_poll(self->b, POLLIN, FT_LONG_MS));
		ASSERT_EQ(1, recv(self->b, &c, 1, 0));
	}
	EXPECT_GT(P03_MESSAGES, received - 1);
	EXPECT_LE(P03_MESSAGES - (received - 1), overflown() - before);
}

/* Lines of the kernel log about what was malformed. */
static int warnings(int log)
{
	char line[8192];
	ssize_t len;
	int n = 0;

	while ((len = read(log, line, sizeof(line) - 1)) > 0 ||
	       (len < 0 && errno == EPIPE)) {
		line[len > 0 ? len : 0] = '\0';
		n += !!strstr(line, "ferry: malformed ");
	}
	return n;
}

/* Says to host 1 what no host says. */
static bool says_nonsense(const struct net *net, int type)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(NET_PORT) };
	int fd = net_socket(net, 0, AF_INET, type);
	bool ok;

	inet_pton(AF_INET, "10.18.0.2", &to.sin_addr);
	ok = fd >= 0 && !connect(fd, (void *)&to, sizeof(to)) &&
	     send(fd, "nonsense", 8, MSG_NOSIGNAL) == 8;
	ft_close(&fd);
	return ok;
}

#define P02_TIMES	12

TEST_F(remote_options, P02_warnings_are_limited)
{
	const char *stat = variant->type == SOCK_DGRAM ? "udp_malformed" :
							 "tcp_malformed";
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK), i;

	if (log < 0 || lseek(log, 0, SEEK_END) < 0 || self->cost < 0) {
		ft_close(&log);
		SKIP(return, "no kernel log");
	}
	ASSERT_LE(0, net_core("message_cost", 0));
	for (i = 1; i <= P02_TIMES; i++) {
		ASSERT_TRUE(says_nonsense(&self->net, variant->type));
		ASSERT_TRUE(net_stat_wait(&self->net, 1, stat, i));
	}
	EXPECT_EQ(P02_TIMES, warnings(log));
	ASSERT_LE(0, net_core("message_burst", 3));
	ASSERT_LE(0, net_core("message_cost", 3600));
	for (; i <= 2 * P02_TIMES; i++) {
		ASSERT_TRUE(says_nonsense(&self->net, variant->type));
		ASSERT_TRUE(net_stat_wait(&self->net, 1, stat, i));
	}
	EXPECT_GE(3, warnings(log));
	ft_close(&log);
}

/* ---- the route ---- */

/* A listener, or a datagram socket, of a host beyond host 1, which is a gateway. */
static int far_host(struct net *net, int type)
{
	int fd;

	if (!net_host(net) || !net_link(net, 1, 2, "eth1", 1) ||
	    net_sysctl(net, 1, "ipv4/ip_forward", "1") ||
	    net_sysctl(net, 1, "ipv6/conf/all/forwarding", "1") ||
	    net_port(net, 2, NET_PORT) ||
	    !net_run(net, 0, "printf 'route add 10.18.1.0/24 via 10.18.0.2\\n"
			     "route add fd18:1::/64 via fd18::2\\n' | ip -b -") ||
	    !net_run(net, 2, "printf 'route add 10.18.0.0/24 via 10.18.1.2\\n"
			     "route add fd18::/64 via fd18:1::2\\n' | ip -b -"))
		return -1;
	fd = net_bound(net, 2, type, NULL, "far");
	if (type == SOCK_STREAM && fd >= 0 && listen(fd, 8))
		ft_close(&fd);
	return fd;
}

/* Sends a message there, or connects; 0 or the error. */
static int reaches(const struct net *net, int type, const char *node, const char *name,
		   bool direct, int flags)
{
	int fd = net_socket(net, 0, AF_FERRY, type), err = 0;
	struct ft_addr to;

	net_addr(&to, node, name);
	if (ft_setint(fd, SO_DONTROUTE, direct))
		err = errno;
	else if (type == SOCK_STREAM)
		err = ft_err(connect(fd, &to.sa, to.len));
	else if (sendto(fd, "x", 1, flags, &to.sa, to.len) != 1)
		err = errno;
	ft_close(&fd);
	return err;
}

TEST_F_TIMEOUT(remote_options, O14_no_gateway, FT_SLOW_S)
{
	static const char * const far[] = { "10.18.1.3", "fd18:1::3" };
	static const char * const near[] = { "10.18.0.2", "fd18::2" };
	int fd = far_host(&self->net, variant->type), here, i;
	char c;

	ASSERT_LE(0, fd);
	here = net_bound(&self->net, 1, variant->type, NULL, "near");
	if (variant->type == SOCK_STREAM)
		ASSERT_EQ(0, listen(here, 8));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, reaches(&self->net, variant->type, far[i], "far", false, 0));
		EXPECT_EQ(POLLIN, ft_poll(fd, POLLIN, FT_LONG_MS));
		EXPECT_EQ(ENETUNREACH, reaches(&self->net, variant->type, far[i], "far",
					       true, 0));
		EXPECT_EQ(0, reaches(&self->net, variant->type, near[i], "near",
				     true, 0));
		EXPECT_EQ(POLLIN, ft_poll(here, POLLIN, FT_LONG_MS));
		if (variant->type != SOCK_DGRAM)
			continue;
		EXPECT_EQ(ENETUNREACH, reaches(&self->net, SOCK_DGRAM, far[i], "far",
					       false, MSG_DONTROUTE));
		EXPECT_EQ(0, reaches(&self->net, SOCK_DGRAM, near[i], "near", false,
				     MSG_DONTROUTE));
		EXPECT_EQ(1, recv(fd, &c, 1, 0));
	}
	ft_close(&here);
	ft_close(&fd);
}

/* Both links, both families: where a device is chosen nothing goes by the other. */
TEST_F_TIMEOUT(remote_calls, O08_a_device_is_the_only_one, FT_SLOW_S)
{
	static const char * const first[] = { "10.18.0.2", "fd18::2" };
	static const char * const second[] = { "10.18.1.2", "fd18:1::2" };
	int fd = net_bound(&self->net, 1, SOCK_STREAM, NULL, "second"), client, i;
	struct ft_addr to;

	ASSERT_TRUE(net_link(&self->net, 0, 1, "eth1", 1));
	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "eth1", 5));
	ASSERT_EQ(0, listen(fd, 8));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(ECONNREFUSED, reaches(&self->net, SOCK_STREAM, first[i],
						"second", false, 0));
		EXPECT_EQ(0, reaches(&self->net, SOCK_STREAM, second[i], "second",
				     false, 0));
		client = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM);
		ASSERT_EQ(0, setsockopt(client, SOL_SOCKET, SO_BINDTODEVICE, "eth0", 5));
		ASSERT_EQ(0, ft_settimeo(client, SO_SNDTIMEO, 100));
		net_addr(&to, second[i], "second");
		/* Nobody on that link, or no way at all. */
		EXPECT_EQ(-1, connect(client, &to.sa, to.len));
		ft_close(&client);
	}
	ft_close(&fd);
}

TEST_F(remote_calls, O19_a_mark_chooses_the_route)
{
	int mark[2] = { 7, 0 }, i, client;
	struct ft_addr to;

	ASSERT_TRUE(net_run(&self->net, 0, "ip rule add fwmark 7 pref 10 prohibit"));
	ft_close(&self->b);
	self->b = net_bound(&self->net, 1, SOCK_STREAM, NULL, "marked");
	ASSERT_EQ(0, listen(self->b, 1));
	net_addr(&to, "10.18.0.2", "marked");
	for (i = 0; i < 2; i++) {
		client = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM);
		ASSERT_EQ(0, ft_setint(client, SO_MARK, mark[i]));
		EXPECT_EQ(mark[i] ? EACCES : 0,
			  ft_err(connect(client, &to.sa, to.len)));
		ft_close(&client);
	}
}

/* Packets of each band of the prio qdisc of host 0. */
TEST_F_TIMEOUT(remote_calls, O26_a_priority_chooses_the_band, FT_SLOW_S)
{
	long before[3], after[3];
	int i;

	if (!net_run(&self->net, 0, "tc qdisc add dev eth0 root handle 1: prio"))
		SKIP(return, "no prio qdisc here");
	ASSERT_EQ(0, ft_setint(self->a, SO_PRIORITY, 2));
	ASSERT_TRUE(crosses(self->a, self->b, "a"));
	ASSERT_TRUE(net_bands(&self->net, 0, before));
	for (i = 0; i < 10; i++)
		ASSERT_TRUE(crosses(self->a, self->b, "b"));
	ASSERT_TRUE(net_bands(&self->net, 0, after));
	EXPECT_LE(before[2] + 10, after[2]);
	EXPECT_GT(before[0] + 10, after[0]);
	ASSERT_EQ(0, ft_setint(self->a, SO_PRIORITY, 6));
	for (i = 0; i < 10; i++)
		ASSERT_TRUE(crosses(self->a, self->b, "c"));
	ASSERT_TRUE(net_bands(&self->net, 0, before));
	EXPECT_LE(after[0] + 10, before[0]);
	EXPECT_GT(after[2] + 10, before[2]);
}

/* ---- a bad link ---- */

TEST_F_TIMEOUT(remote_options, F07_lost_doubled_and_out_of_order, FT_SLOW_S)
{
	struct sender sender = { .fd = self->a, .len = ONE_MIB / 4 };
	char out[1000], in[1000];
	pthread_t thread;
	int i, n;

	NETEM(&self->net, 0, "delay 2ms 1ms loss 3%% duplicate 5%% reorder 20%% 50%%");
	if (variant->type == SOCK_STREAM) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, send_all, &sender));
		EXPECT_TRUE(ft_recv_all(self->b, 0, sender.len, 4000));
		pthread_join(thread, NULL);
		EXPECT_TRUE(sender.ok);
		return;
	}
	/* Each that comes is whole: its number, and bytes that follow from it. */
	for (i = 0; i < 100; i++) {
		memcpy(out, &i, sizeof(i));
		ft_pattern(out + sizeof(i), i, sizeof(out) - sizeof(i));
		ASSERT_EQ(sizeof(out), send(self->a, out, sizeof(out), 0));
	}
	ASSERT_TRUE(net_run(&self->net, 0, "tc qdisc replace dev eth0 root pfifo"));
	do {
		i = -1;
		ASSERT_EQ(sizeof(i), send(self->a, &i, sizeof(i), 0));
		ASSERT_EQ(POLLIN, ft_poll(self->b, POLLIN, FT_LONG_MS));
		n = recv(self->b, in, sizeof(in), 0);
		ASSERT_LE((int)sizeof(i), n);
		memcpy(&i, in, sizeof(i));
		if (n == sizeof(in)) {
			ASSERT_TRUE(i >= 0 && i < 100);
			ASSERT_TRUE(ft_pattern_ok(in + sizeof(i), i, n - sizeof(i)));
		}
	} while (n == sizeof(in));
	EXPECT_EQ(-1, i);
}

TEST_F_TIMEOUT(remote_options, F07_packets_of_any_size, FT_SLOW_S)
{
	static const int mtus[] = { 1280, 9000 };
	static char out[60000], in[60000];
	struct sender sender = { .fd = self->a, .len = ONE_MIB };
	pthread_t thread;
	unsigned int i;

	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUFFORCE, 400000));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUFFORCE, 400000));
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(net_run(&self->net, 0, "ip link set eth0 mtu %d", mtus[i]));
		ASSERT_TRUE(net_run(&self->net, 1, "ip link set eth0 mtu %d", mtus[i]));
		if (variant->type == SOCK_STREAM) {
			ASSERT_EQ(0, pthread_create(&thread, NULL, send_all, &sender));
			EXPECT_TRUE(ft_recv_all(self->b, 0, sender.len, 65536));
			pthread_join(thread, NULL);
			EXPECT_TRUE(sender.ok);
			continue;
		}
		ft_pattern(out, i, sizeof(out));
		ASSERT_EQ(sizeof(out), send(self->a, out, sizeof(out), 0));
		ASSERT_EQ(POLLIN, ft_poll(self->b, POLLIN, FT_LONG_MS));
		ASSERT_EQ(sizeof(in), recv(self->b, in, sizeof(in), 0));
		EXPECT_TRUE(ft_pattern_ok(in, i, sizeof(in)));
	}
}

#define CUT	"loss 100%%"

TEST_F_TIMEOUT(remote_calls, O17_a_cut_link_is_found, FT_SLOW_S)
{
	int one = 1, two = 2;
	char c;

	ASSERT_EQ(0, ft_setint(self->a, SO_KEEPALIVE, 1));
	ASSERT_EQ(0, setsockopt(self->a, SOL_TCP, TCP_KEEPIDLE, &one, sizeof(one)));
	ASSERT_EQ(0, setsockopt(self->a, SOL_TCP, TCP_KEEPINTVL, &one, sizeof(one)));
	ASSERT_EQ(0, setsockopt(self->a, SOL_TCP, TCP_KEEPCNT, &two, sizeof(two)));
	NETEM(&self->net, 1, CUT);
	EXPECT_NE(0, ft_poll(self->a, POLLHUP, FT_LONG_MS) & POLLERR);
	EXPECT_ERR(ETIMEDOUT, recv(self->a, &c, 1, 0));
}

/* Milliseconds that a call takes. */
#define TAKES(_call)								\
({										\
	int64_t _start = ft_ticks_ms();						\
										\
	ASSERT_EQ(0, _call);							\
	ft_now_ms() - _start;							\
})

TEST_F_TIMEOUT(remote_calls, O18_close_waits_for_a_slow_link, FT_SLOW_S)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 60 };
	char buf[1000];

	/* So late is what says that all has come. */
	NETEM(&self->net, 1, "delay 400ms");
	ASSERT_EQ(0, setsockopt(self->a, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	ASSERT_TRUE(ft_send_all(self->a, 0, sizeof(buf), sizeof(buf)));
	EXPECT_LE(FT_WAITED(400), TAKES(close(self->a)));
	self->a = -1;
	EXPECT_EQ(sizeof(buf), recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	EXPECT_TRUE(ft_pattern_ok(buf, 0, sizeof(buf)));
	EXPECT_EQ(0, recv(self->b, buf, 1, MSG_DONTWAIT));
}

TEST_F_TIMEOUT(remote_calls, O18_shutdown_waits_too, FT_SLOW_S)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 60 };
	int left;

	NETEM(&self->net, 1, "delay 400ms");
	ASSERT_EQ(0, setsockopt(self->a, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	ASSERT_TRUE(ft_send_all(self->a, 0, 1000, 1000));
	EXPECT_LE(FT_WAITED(400), TAKES(shutdown(self->a, SHUT_WR)));
	ASSERT_EQ(0, ioctl(self->a, SIOCOUTQ, &left));
	EXPECT_EQ(0, left);
}

TEST_F_TIMEOUT(remote_calls, O18_no_longer_than_it_is_told, FT_SLOW_S)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 1 };
	int left;

	NETEM(&self->net, 0, CUT);
	ASSERT_EQ(0, setsockopt(self->a, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	ASSERT_TRUE(ft_send_all(self->a, 0, 1000, 1000));
	/* Sent, and not there. */
	ASSERT_EQ(0, ioctl(self->a, SIOCOUTQ, &left));
	EXPECT_EQ(1000, left);
	EXPECT_LE(FT_WAITED(1000), TAKES(close(self->a)));
	self->a = -1;
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	/* It goes on by itself. */
	ASSERT_TRUE(net_run(&self->net, 0, "tc qdisc del dev eth0 root"));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 1000, 1000));
	EXPECT_EQ(0, recv(self->b, &left, 1, 0));
}

/* ---- datagrams alone ---- */

TEST_F(remote_options, O36_what_was_lost_is_told)
{
	struct got got;
	char buf[500] = {};
	unsigned int *lost;
	long sent;

	if (variant->type != SOCK_DGRAM)
		SKIP(return, "a stream loses nothing");
	ASSERT_EQ(0, ft_setint(self->b, SO_RXQ_OVFL, 1));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 3000));
	/* Nothing is lost any more for want of the neighbour. */
	ASSERT_TRUE(crosses(self->a, self->b, "first"));
	ASSERT_TRUE(net_stat_wait(&self->net, 1, "udp_received", 1));
	sent = net_stat(&self->net, 1, "udp_received");
	for (; net_stat(&self->net, 1, "udp_dropped") < 3; sent++)
		ASSERT_EQ(sizeof(buf), send(self->a, buf, sizeof(buf), 0));
	ASSERT_TRUE(net_arrived(&self->net, 1, sent));
	while (get(self->b, &got, MSG_DONTWAIT) > 0)
		;
	ASSERT_TRUE(send(self->a, "x", 1, 0) == 1);
	ASSERT_EQ(POLLIN, ft_poll(self->b, POLLIN, FT_LONG_MS));
	ASSERT_EQ(1, get(self->b, &got, 0));
	lost = told(&got, SOL_SOCKET, SO_RXQ_OVFL);
	ASSERT_NE(NULL, lost);
	EXPECT_EQ(ft_meminfo(self->b, SK_MEMINFO_DROPS), *lost);
	EXPECT_LE(3, *lost);
}

TEST_F(remote_options, O46_a_message_leaves_when_it_is_told)
{
	struct sock_txtime txtime = { .clockid = CLOCK_MONOTONIC };
	union {
		struct cmsghdr cmsg;
		char buf[CMSG_SPACE(8)];
	} control = {};
	struct iovec iov = { "later", 5 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	uint64_t when;
	char buf[8];

	if (variant->type != SOCK_DGRAM)
		SKIP(return, "TCP has a pace of its own");
	if (!net_run(&self->net, 0, "tc qdisc add dev eth0 root fq"))
		SKIP(return, "no fq here");
	ASSERT_EQ(0, setsockopt(self->a, SOL_SOCKET, SO_TXTIME, &txtime, sizeof(txtime)));
	ASSERT_TRUE(crosses(self->a, self->b, "now"));
	when = real_ns(CLOCK_MONOTONIC) + 500000000;
	control.cmsg.cmsg_level = SOL_SOCKET;
	control.cmsg.cmsg_type = SCM_TXTIME;
	control.cmsg.cmsg_len = CMSG_LEN(sizeof(when));
	memcpy(CMSG_DATA(&control.cmsg), &when, sizeof(when));
	ASSERT_EQ(5, sendmsg(self->a, &msg, 0));
	ASSERT_EQ(POLLIN, ft_poll(self->b, POLLIN, FT_LONG_MS));
	EXPECT_LE(when, real_ns(CLOCK_MONOTONIC));
	EXPECT_EQ(5, recv(self->b, buf, sizeof(buf), 0));
}

/* ---- calls on a stream ---- */

TEST_F(remote_calls, O24_who_connected_is_nobody_here)
{
	int fd[2] = { self->a, self->b }, i;
	struct ucred ucred;
	socklen_t len;

	for (i = 0; i < 2; i++) {
		len = sizeof(ucred);
		ASSERT_EQ(0, getsockopt(fd[i], SOL_SOCKET, SO_PEERCRED, &ucred, &len));
		EXPECT_EQ(0, ucred.pid);
		EXPECT_EQ(65534, ucred.uid);
		EXPECT_EQ(65534, ucred.gid);
	}
}

TEST_F(remote_calls, F07_zerocopy_is_told_when_it_is_done)
{
	struct sock_extended_err *ee;
	static char data[32768];
	unsigned int next = 0;
	struct got got;
	int one = 1, i;

	ft_pattern(data, 0, sizeof(data));
	ASSERT_EQ(0, setsockopt(self->a, SOL_FERRY, FERRY_ZEROCOPY, &one, sizeof(one)));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(sizeof(data) / 2, send(self->a, data + i * sizeof(data) / 2,
						 sizeof(data) / 2, MSG_ZEROCOPY));
	EXPECT_TRUE(ft_recv_all(self->b, 0, sizeof(data), 4096));
	while (next < 2) {
		ASSERT_EQ(POLLERR, ft_poll(self->a, 0, FT_LONG_MS));
		ASSERT_EQ(0, get(self->a, &got, MSG_ERRQUEUE));
		ee = error_of(&got);
		ASSERT_NE(NULL, ee);
		EXPECT_EQ(SO_EE_ORIGIN_ZEROCOPY, ee->ee_origin);
		EXPECT_EQ(0, ee->ee_errno);
		EXPECT_EQ(next, ee->ee_info);
		next = ee->ee_data + 1;
	}
	EXPECT_EQ(2, next);
}

TEST_F(remote_calls, O23_peek_offset)
{
	char buf[16];

	if (ft_setint(self->b, SO_PEEK_OFF, 0)) {
		EXPECT_EQ(EOPNOTSUPP, errno);
		SKIP(return, "TCP of this kernel has none");
	}
	ASSERT_EQ(12, send(self->a, "aabbccddeeff", 12, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, 12));
	EXPECT_EQ(2, recv(self->b, buf, 2, MSG_PEEK));
	EXPECT_EQ(2, recv(self->b, buf, 2, MSG_PEEK));
	EXPECT_EQ(0, memcmp(buf, "bb", 2));
	EXPECT_EQ(4, ft_getint(self->b, SO_PEEK_OFF));
	EXPECT_EQ(2, recv(self->b, buf, 2, 0));
	EXPECT_EQ(0, memcmp(buf, "aa", 2));
	EXPECT_EQ(2, recv(self->b, buf, 2, MSG_PEEK));
	EXPECT_EQ(0, memcmp(buf, "cc", 2));
}

TEST_F(remote_calls, F08_waitall_waits_for_all)
{
	char buf[8];
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = buf, .len = 8, .flags = MSG_WAITALL,
	};

	ASSERT_EQ(4, send(self->a, "half", 4, 0));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(4, send(self->a, "rest", 4, 0));
	ft_join(&call);
	EXPECT_EQ(8, call.ret);
	EXPECT_EQ(0, memcmp(buf, "halfrest", 8));
}

TEST_F(remote_calls, O30_less_than_the_mark_is_nothing_to_read)
{
	char buf[16];
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->b, .buf = buf, .len = sizeof(buf),
	};

	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 6));
	EXPECT_EQ(6, ft_getint(self->b, SO_RCVLOWAT));
	ASSERT_EQ(5, send(self->a, "12345", 5, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, 5));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	/* TCP counts from what was read: as many as the mark again. */
	ASSERT_EQ(6, send(self->a, "6789ab", 6, 0));
	ft_join(&call);
	EXPECT_EQ(11, call.ret);
	ASSERT_EQ(6, send(self->a, "123456", 6, 0));
	EXPECT_EQ(POLLIN, ft_poll(self->b, POLLIN, FT_LONG_MS));
}

/* A connection of TCP between the hosts, on another port. */
static bool tcp_pair(const struct net *net, int fd[2])
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_port = htons(NET_PORT + 1),
	};
	int listener = net_socket(net, 1, AF_INET, SOCK_STREAM);

	fd[0] = net_socket(net, 0, AF_INET, SOCK_STREAM);
	inet_pton(AF_INET, "10.18.0.2", &addr.sin_addr);
	fd[1] = -1;
	if (!bind(listener, (void *)&addr, sizeof(addr)) && !listen(listener, 1) &&
	    !connect(fd[0], (void *)&addr, sizeof(addr)))
		fd[1] = accept(listener, NULL, NULL);
	ft_close(&listener);
	return fd[1] >= 0;
}

/* How many bytes wait between two ends with buffers of that size, or -1. */
static ssize_t waits(int a, int b, int size)
{
	ssize_t n, total = 0;

	if (ft_setint(a, SO_SNDBUF, size) || ft_setint(b, SO_RCVBUF, size) ||
	    ft_getint(a, SO_SNDBUF) != 2 * size || ft_getint(b, SO_RCVBUF) != 2 * size ||
	    ft_nonblock(a, true))
		return -1;
	/* Before 6.7 an option has its effect from the next call on. */
	ft_poll(b, POLLIN, 0);
	do {
		n = ft_fill(a, total, 1024);
		if (n < 0)
			return -1;
		total += n;
	} while (n && ft_poll(a, POLLOUT, 200));
	return total;
}

/* As much as of TCP, which has announced a window before it is told. */
TEST_F(remote_calls, O28_buffers_bound_what_waits)
{
	ssize_t ours = waits(self->a, self->b, 4608), tcp;
	int fd[2];

	ASSERT_TRUE(tcp_pair(&self->net, fd));
	tcp = waits(fd[0], fd[1], 4608);
	EXPECT_LT(0, ours);
	EXPECT_LT(0, tcp);
	EXPECT_GE(tcp + tcp / 2, ours) {
		TH_LOG("%zd bytes, not about %zd", ours, tcp);
	}
	close(fd[0]);
	close(fd[1]);
}

TEST_F(remote_calls, O33_a_full_stream_keeps_a_sender_so_long)
{
	char buf[65536];
	int64_t start;
	ssize_t n;

	NETEM(&self->net, 0, CUT);
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 16384));
	ASSERT_EQ(0, ft_settimeo(self->a, SO_SNDTIMEO, 100));
	memset(buf, 0, sizeof(buf));
	start = ft_ticks_ms();
	EXPECT_LT(0, send(self->a, buf, sizeof(buf), 0));
	EXPECT_LE(FT_WAITED(100), ft_now_ms() - start);
	/* TCP may still take a little. */
	do {
		start = ft_ticks_ms();
		n = send(self->a, buf, sizeof(buf), 0);
		EXPECT_LE(FT_WAITED(100), ft_now_ms() - start);
	} while (n > 0);
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_TRUE(net_run(&self->net, 0, "tc qdisc del dev eth0 root"));
}

TEST_F(remote_calls, O20_an_urgent_byte_in_line)
{
	int mark = -1;
	char buf[8];

	ASSERT_EQ(0, ft_setint(self->b, SO_OOBINLINE, 1));
	ASSERT_EQ(2, send(self->a, "ab", 2, 0));
	ASSERT_EQ(1, send(self->a, "u", 1, MSG_OOB));
	ASSERT_EQ(1, send(self->a, "c", 1, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, 2));
	EXPECT_NE(0, ft_poll(self->b, POLLPRI, FT_LONG_MS) & POLLPRI);
	EXPECT_EQ(2, recv(self->b, buf, sizeof(buf), 0));
	ASSERT_EQ(0, ioctl(self->b, SIOCATMARK, &mark));
	EXPECT_EQ(1, mark);
	EXPECT_ERR(EINVAL, recv(self->b, buf, 1, MSG_OOB));
	EXPECT_EQ(2, recv(self->b, buf, 2, MSG_WAITALL));
	EXPECT_EQ(0, memcmp(buf, "uc", 2));
}

/* A stream of TCP has no messages for a filter to see. */
TEST_F(remote_calls, O02_no_filter)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, 65535);
	struct sock_fprog prog = { 1, &all };
	int fd = net_socket(&self->net, 0, AF_FERRY, SOCK_STREAM);
	struct ft_addr to;

	if (!ft_kernel_before(6, 7))
		EXPECT_ERR(EOPNOTSUPP, setsockopt(self->a, SOL_SOCKET, SO_ATTACH_FILTER,
						  &prog, sizeof(prog)));
	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
	net_addr(&to, variant->node, "server");
	EXPECT_ERR(EOPNOTSUPP, connect(fd, &to.sa, to.len));
	ft_close(&fd);
	EXPECT_TRUE(crosses(self->a, self->b, "as before"));
}

TEST_F(remote_calls, O46_inq_tells_what_is_left)
{
	struct got got;
	int *inq;

	if (ft_kernel_before(6, 17))
		SKIP(return, "came with Linux 6.17");
	ASSERT_EQ(0, ft_setint(self->b, INQ, 1));
	ASSERT_EQ(sizeof(got.buf) + 9, send(self->a, &got, sizeof(got.buf) + 9, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, sizeof(got.buf) + 9));
	ASSERT_EQ(sizeof(got.buf), get(self->b, &got, 0));
	inq = told(&got, SOL_SOCKET, INQ);
	ASSERT_NE(NULL, inq);
	EXPECT_EQ(9, *inq);
}

/* The columns of a socket in a host's /proc/net/ferry; false if it is not there. */
static bool carrier_of(const struct net *net, int host, int fd, char carrier[8], char node[48])
{
	bool found = false;
	unsigned long ino;
	char line[1024];
	struct stat st;
	FILE *f;

	if (fstat(fd, &st) || !net_enter(net, host))
		return false;
	f = fopen("/proc/thread-self/net/ferry", "re");
	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%lu %*u %*s %*s %*u %*u %*u %*u %*u %7s %47s",
			       &ino, carrier, node) == 3 && ino == st.st_ino;
	if (f)
		fclose(f);
	return net_enter(net, -1) && found;
}

TEST_F(remote_options, P05_what_carries_it_is_shown)
{
	bool stream = variant->type == SOCK_STREAM;
	struct ferry_info info;
	socklen_t len = sizeof(info);
	char carrier[8], node[48];

	ASSERT_TRUE(carrier_of(&self->net, 0, self->a, carrier, node));
	EXPECT_STREQ(stream ? "tcp" : "udp", carrier);
	EXPECT_STREQ(variant->node, node);
	ASSERT_TRUE(carrier_of(&self->net, 1, self->b, carrier, node));
	EXPECT_STREQ(stream ? "tcp" : "-", carrier);
	EXPECT_STREQ(stream ? "fd18::1" : "-", node);
	ASSERT_EQ(0, getsockopt(self->a, SOL_FERRY, FERRY_INFO, &info, &len));
	EXPECT_EQ(stream ? FERRY_CARRIER_TCP : FERRY_CARRIER_UDP, info.fi_carrier);
	/* And as any socket of TCP and UDP. */
	EXPECT_TRUE(net_run(&self->net, 0, "ss -Hna%s dport = :%d | grep -q ESTAB",
			    stream ? "t" : "u", NET_PORT));
}

/* With F_SETSIG there is an event beside SIGURG. */
TEST_F(remote_calls, E10_urgent_byte)
{
	sigset_t set = signals();
	int n;

	sigprocmask(SIG_BLOCK, &set, NULL);
	ASSERT_TRUE(arm(self->b));
	for (n = 0; n < 2; n++) {
		ASSERT_EQ(1, send(self->a, "!", 1, MSG_OOB));
		EXPECT_TRUE(expect_urgent(self->b));
	}
}

FT_HARNESS_MAIN
