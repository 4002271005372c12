// SPDX-License-Identifier: GPL-2.0
/*
 * Datagrams between hosts: calls, names, errors, and options that are of them alone.
 */
#include "ferry_test.h"
#include "network.h"
#include "signals.h"
#include "tracefs.h"
#include "kselftest_harness.h"

#include <sys/mount.h>
#include <sys/syscall.h>
#include <linux/bpf.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/net_tstamp.h>

FIXTURE(remote_dgram)
{
	struct ft_leak leak;
	struct net net;
	struct ft_addr server, client;
	int tx;
	int rx;
};

FIXTURE_VARIANT(remote_dgram)
{
	const char *node[2];
	int family;
};

FIXTURE_VARIANT_ADD(remote_dgram, FERRY_ipv4)
{
	.node = { "10.18.0.1", "10.18.0.2" },
	.family = AF_INET,
};

FIXTURE_VARIANT_ADD(remote_dgram, FERRY_ipv6)
{
	.node = { "fd18::1", "fd18::2" },
	.family = AF_INET6,
};

FIXTURE_SETUP(remote_dgram)
{
	FT_NEED(AF_FERRY, SOCK_DGRAM);
	ft_leak_start(&self->leak, AF_FERRY);
	umask(0);
	ASSERT_TRUE(net_up(&self->net));
	net_addr(&self->server, variant->node[1], "server");
	net_addr(&self->client, variant->node[0], "client");
	self->rx = net_bound(&self->net, 1, SOCK_DGRAM, NULL, "server");
	ASSERT_LE(0, self->rx);
	self->tx = net_bound(&self->net, 0, SOCK_DGRAM, NULL, "client");
	ASSERT_LE(0, self->tx);
}

FIXTURE_TEARDOWN(remote_dgram)
{
	ft_close(&self->tx);
	ft_close(&self->rx);
	net_down(&self->net);
	FT_NO_LEAK(&self->leak);
}

static ssize_t say(int fd, const struct ft_addr *to, const char *text)
{
	return sendto(fd, text, strlen(text), 0, &to->sa, to->len);
}

/* Is @text the next message? */
static bool hears(int fd, const char *text)
{
	char buf[256];

	return ft_poll(fd, POLLIN, FT_LONG_MS) & POLLIN &&
	       recv(fd, buf, sizeof(buf), MSG_DONTWAIT) == (ssize_t)strlen(text) &&
	       !memcmp(buf, text, strlen(text));
}

static bool same(const struct ft_addr *a, const struct ft_addr *b)
{
	return a->len == b->len && !memcmp(&a->ss, &b->ss, a->len);
}

TEST_F(remote_dgram, F08_there_and_back_by_the_name_of_the_sender)
{
	struct ft_addr from = { .len = sizeof(from.ss) };
	char buf[16];

	ASSERT_EQ(5, say(self->tx, &self->server, "hello"));
	ASSERT_EQ(POLLIN, ft_poll(self->rx, POLLIN, FT_LONG_MS));
	EXPECT_EQ(5, recvfrom(self->rx, buf, sizeof(buf), 0, &from.sa, &from.len));
	EXPECT_EQ(0, memcmp(buf, "hello", 5));
	EXPECT_TRUE(same(&from, &self->client));
	EXPECT_EQ(6, say(self->rx, &from, "answer"));
	EXPECT_TRUE(hears(self->tx, "answer"));
	EXPECT_EQ(1, net_stat(&self->net, 0, "udp_sent"));
	/* It counts when it has queued. */
	EXPECT_TRUE(net_stat_wait(&self->net, 0, "udp_received", 1));
	EXPECT_EQ(1, net_stat(&self->net, 0, "udp_received"));
}

/* Nobody can answer: such a sender shows no name. */
TEST_F(remote_dgram, F12_a_sender_that_is_not_of_the_network_shows_no_name)
{
	struct ft_addr from, host;
	int fd = net_socket(&self->net, 0, AF_FERRY, SOCK_DGRAM), i;
	char buf[16];

	ft_addr_ferry(&host, "local", 5);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(1, say(fd, &self->server, "x"));
		ASSERT_EQ(POLLIN, ft_poll(self->rx, POLLIN, FT_LONG_MS));
		from.len = sizeof(from.ss);
		EXPECT_EQ(1, recvfrom(self->rx, buf, sizeof(buf), 0, &from.sa,
				      &from.len));
		EXPECT_EQ(FERRY_ADDR_HDR, from.len);
		EXPECT_EQ(0, memcmp(from.ferry.sfy_node, self->client.ferry.sfy_node,
				    16));
		if (!i)
			ASSERT_EQ(0, bind(fd, &host.sa, host.len));
	}
	ft_close(&fd);
}

TEST_F(remote_dgram, O21_what_a_reader_is_told)
{
	char buf[16], control[256];
	struct iovec iov = { buf, 4 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct ucred *creds = NULL;
	struct timeval *stamp = NULL;
	struct cmsghdr *cmsg;
	int n;

	ASSERT_EQ(0, ft_setint(self->rx, SO_PASSCRED, 1));
	ASSERT_EQ(0, ft_setint(self->rx, SO_TIMESTAMP, 1));
	ASSERT_EQ(6, say(self->tx, &self->server, "abcdef"));
	ASSERT_EQ(0, sendto(self->tx, "", 0, 0, &self->server.sa, self->server.len));
	ASSERT_TRUE(net_stat_wait(&self->net, 1, "udp_received", 2));
	ASSERT_EQ(0, ioctl(self->rx, SIOCINQ, &n));
	EXPECT_EQ(6, n);
	EXPECT_EQ(6, recv(self->rx, buf, 2, MSG_PEEK | MSG_TRUNC));
	EXPECT_EQ(4, recvmsg(self->rx, &msg, 0));
	EXPECT_EQ(0, memcmp(buf, "abcd", 4));
	EXPECT_TRUE(msg.msg_flags & MSG_TRUNC);
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_type == SCM_CREDENTIALS)
			creds = (struct ucred *)CMSG_DATA(cmsg);
		if (cmsg->cmsg_type == SO_TIMESTAMP)
			stamp = (struct timeval *)CMSG_DATA(cmsg);
	}
	ASSERT_NE(NULL, creds);
	EXPECT_EQ(0, creds->pid);
	EXPECT_EQ(65534, creds->uid);
	EXPECT_EQ(65534, creds->gid);
	ASSERT_NE(NULL, stamp);
	EXPECT_NE(0, stamp->tv_sec);
	EXPECT_EQ(0, recvmsg(self->rx, &msg, 0));
	EXPECT_TRUE(msg.msg_flags & MSG_EOR);
	EXPECT_ERR(EAGAIN, recv(self->rx, buf, 1, MSG_DONTWAIT));
}

TEST_F(remote_dgram, F08_a_blocked_reader_is_woken)
{
	char buf[16];
	struct ft_call call = {
		.fn = ft_do_recv, .fd = self->rx, .buf = buf, .len = sizeof(buf),
	};

	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	ASSERT_EQ(4, say(self->tx, &self->server, "wake"));
	ft_join(&call);
	EXPECT_EQ(4, call.ret);
	EXPECT_EQ(0, memcmp(buf, "wake", 4));
}

TEST_F(remote_dgram, O23_peek_offset_goes_through_what_waits)
{
	char buf[8];

	ASSERT_EQ(0, ft_setint(self->rx, SO_PEEK_OFF, 0));
	ASSERT_EQ(4, say(self->tx, &self->server, "abcd"));
	ASSERT_EQ(2, say(self->tx, &self->server, "ef"));
	ASSERT_TRUE(net_stat_wait(&self->net, 1, "udp_received", 2));
	EXPECT_EQ(2, recv(self->rx, buf, 2, MSG_PEEK));
	EXPECT_EQ(2, recv(self->rx, buf, 8, MSG_PEEK));
	EXPECT_EQ(0, memcmp(buf, "cd", 2));
	EXPECT_EQ(2, recv(self->rx, buf, 8, MSG_PEEK));
	EXPECT_EQ(0, memcmp(buf, "ef", 2));
	EXPECT_ERR(EAGAIN, recv(self->rx, buf, 8, MSG_PEEK | MSG_DONTWAIT));
	EXPECT_EQ(4, recv(self->rx, buf, 8, 0));
	EXPECT_EQ(2, recv(self->rx, buf, 8, 0));
}

/* Who floods from here does not keep a reader from what comes from there. */
TEST_F(remote_dgram, F08_local_and_remote_take_turns)
{
	int near = net_socket(&self->net, 1, AF_FERRY, SOCK_DGRAM), i;
	struct ft_addr here;
	char got[8];

	net_addr(&here, NULL, "server");
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, say(near, &here, "l"));
		ASSERT_EQ(1, say(self->tx, &self->server, "r"));
	}
	ASSERT_TRUE(net_stat_wait(&self->net, 1, "udp_received", 3));
	for (i = 0; i < 6; i++)
		ASSERT_EQ(1, recv(self->rx, got + i, 1, MSG_DONTWAIT));
	for (i = 1; i < 6; i++)
		EXPECT_NE(got[i - 1], got[i]);
	ft_close(&near);
}

/* What a peek has shown is what the next read takes, whatever has come meanwhile. */
TEST_F(remote_dgram, F08_a_peek_settles_whose_turn_it_is)
{
	int near = net_socket(&self->net, 1, AF_FERRY, SOCK_DGRAM), n;
	struct ft_addr here;
	char buf[8];

	net_addr(&here, NULL, "server");
	/* From here, then the same from there. */
	ASSERT_EQ(2, say(near, &here, "ll"));
	EXPECT_EQ(2, recv(self->rx, buf, sizeof(buf), MSG_PEEK));
	ASSERT_EQ(1, say(self->tx, &self->server, "r"));
	ASSERT_TRUE(net_stat_wait(&self->net, 1, "udp_received", 1));
	ASSERT_EQ(0, ioctl(self->rx, SIOCINQ, &n));
	EXPECT_EQ(2, n);
	EXPECT_TRUE(hears(self->rx, "ll"));
	EXPECT_EQ(1, recv(self->rx, buf, sizeof(buf), MSG_PEEK));
	ASSERT_EQ(2, say(near, &here, "ll"));
	ASSERT_EQ(0, ioctl(self->rx, SIOCINQ, &n));
	EXPECT_EQ(1, n);
	EXPECT_TRUE(hears(self->rx, "r"));
	EXPECT_TRUE(hears(self->rx, "ll"));
	ft_close(&near);
}

TEST_F(remote_dgram, F08_a_peek_shows_a_message_without_bytes_again)
{
	char buf[8];

	ASSERT_EQ(0, sendto(self->tx, "", 0, 0, &self->server.sa, self->server.len));
	ASSERT_EQ(1, say(self->tx, &self->server, "x"));
	ASSERT_TRUE(net_stat_wait(&self->net, 1, "udp_received", 2));
	EXPECT_EQ(0, recv(self->rx, buf, sizeof(buf), MSG_PEEK));
	EXPECT_EQ(0, recv(self->rx, buf, sizeof(buf), MSG_PEEK));
	/* With SO_PEEK_OFF once, until that is set anew. */
	ASSERT_EQ(0, ft_setint(self->rx, SO_PEEK_OFF, 0));
	EXPECT_EQ(0, recv(self->rx, buf, sizeof(buf), MSG_PEEK));
	EXPECT_EQ(1, recv(self->rx, buf, sizeof(buf), MSG_PEEK));
	EXPECT_EQ(0, recv(self->rx, buf, sizeof(buf), 0));
	EXPECT_EQ(1, recv(self->rx, buf, sizeof(buf), 0));
}

TEST_F(remote_dgram, F07_messages_up_to_65000_bytes)
{
	static char out[65001], in[65001];

	ft_pattern(out, 0, sizeof(out));
	ASSERT_EQ(0, ft_setint(self->tx, SO_SNDBUFFORCE, 400000));
	ASSERT_EQ(0, ft_setint(self->rx, SO_RCVBUFFORCE, 400000));
	EXPECT_ERR(EMSGSIZE, sendto(self->tx, out, 65001, 0, &self->server.sa,
				    self->server.len));
	ASSERT_EQ(65000, sendto(self->tx, out, 65000, 0, &self->server.sa,
				self->server.len));
	ASSERT_EQ(POLLIN, ft_poll(self->rx, POLLIN, FT_LONG_MS));
	EXPECT_EQ(65000, recv(self->rx, in, sizeof(in), 0));
	EXPECT_TRUE(ft_pattern_ok(in, 0, 65000));
}

TEST_F(remote_dgram, F03_only_names_of_the_network_are_reached)
{
	int fd = net_socket(&self->net, 1, AF_FERRY, SOCK_DGRAM);
	struct ft_addr host, to;

	ft_addr_ferry(&host, "hidden", 6);
	ASSERT_EQ(0, bind(fd, &host.sa, host.len));
	net_addr(&to, variant->node[1], "hidden");
	EXPECT_EQ(1, say(self->tx, &to, "x"));
	net_addr(&to, variant->node[1], "nobody");
	EXPECT_EQ(1, say(self->tx, &to, "x"));
	EXPECT_TRUE(net_stat_wait(&self->net, 1, "udp_nobody", 2));
	EXPECT_EQ(0, ft_poll(fd, POLLIN, 0) & POLLIN);
	/* No answer either. */
	EXPECT_EQ(0, net_stat(&self->net, 1, "udp_sent"));
	ft_close(&fd);
}

TEST_F(remote_dgram, X02_from_elsewhere_is_as_other)
{
	int mode = 0660;

	ASSERT_EQ(0, setsockopt(self->rx, SOL_FERRY, FERRY_MODE, &mode, sizeof(mode)));
	EXPECT_EQ(1, say(self->tx, &self->server, "x"));
	EXPECT_TRUE(net_stat_wait(&self->net, 1, "udp_denied", 1));
	mode = 0602;
	ASSERT_EQ(0, setsockopt(self->rx, SOL_FERRY, FERRY_MODE, &mode, sizeof(mode)));
	EXPECT_EQ(2, say(self->tx, &self->server, "in"));
	EXPECT_TRUE(hears(self->rx, "in"));
}

TEST_F(remote_dgram, X04_the_port_opens_and_closes_the_door)
{
	struct sockaddr_in6 sin6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(NET_PORT + 1),
	};
	int fd;

	ASSERT_EQ(0, net_port(&self->net, 0, 0));
	EXPECT_ERR(ENETUNREACH, say(self->tx, &self->server, "x"));
	/* Both go to another one. */
	ASSERT_EQ(0, net_port(&self->net, 0, NET_PORT + 2));
	ASSERT_EQ(0, net_port(&self->net, 1, NET_PORT + 2));
	EXPECT_EQ(4, say(self->tx, &self->server, "port"));
	EXPECT_TRUE(hears(self->rx, "port"));
	/* Where another is the old one stays. */
	fd = net_socket(&self->net, 1, AF_INET6, SOCK_DGRAM);
	ASSERT_EQ(0, bind(fd, (void *)&sin6, sizeof(sin6)));
	EXPECT_EQ(EADDRINUSE, net_port(&self->net, 1, NET_PORT + 1));
	EXPECT_EQ(EINVAL, net_port(&self->net, 1, 65536));
	EXPECT_EQ(5, say(self->tx, &self->server, "still"));
	EXPECT_TRUE(hears(self->rx, "still"));
	ft_close(&fd);
	EXPECT_EQ(0, net_port(&self->net, 1, NET_PORT + 1));
}

TEST_F(remote_dgram, F02_connect_takes_one_sender_only)
{
	int other = net_bound(&self->net, 0, SOCK_DGRAM, NULL, "other");
	int near = net_socket(&self->net, 1, AF_FERRY, SOCK_DGRAM);
	struct ft_addr peer = { .len = sizeof(peer.ss) }, here;
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };

	net_addr(&here, NULL, "server");
	EXPECT_ERR(ENOTCONN, getpeername(self->rx, &peer.sa, &peer.len));
	ASSERT_EQ(0, connect(self->rx, &self->client.sa, self->client.len));
	ASSERT_EQ(0, getpeername(self->rx, &peer.sa, &peer.len));
	EXPECT_TRUE(same(&peer, &self->client));
	EXPECT_EQ(1, say(other, &self->server, "x"));
	EXPECT_TRUE(net_stat_wait(&self->net, 1, "udp_nobody", 1));
	EXPECT_ERR(EPERM, say(near, &here, "x"));
	EXPECT_EQ(2, say(self->tx, &self->server, "me"));
	EXPECT_TRUE(hears(self->rx, "me"));
	EXPECT_EQ(4, send(self->rx, "back", 4, 0));
	EXPECT_TRUE(hears(self->tx, "back"));
	ASSERT_EQ(0, connect(self->rx, &unspec, sizeof(unspec)));
	EXPECT_ERR(EDESTADDRREQ, send(self->rx, "x", 1, 0));
	EXPECT_EQ(5, say(other, &self->server, "again"));
	EXPECT_TRUE(hears(self->rx, "again"));
	ft_close(&near);
	ft_close(&other);
}

TEST_F(remote_dgram, E07_a_connected_sender_learns_that_the_door_is_closed)
{
	ASSERT_EQ(0, connect(self->tx, &self->server.sa, self->server.len));
	ASSERT_EQ(0, net_port(&self->net, 1, 0));
	ASSERT_EQ(1, send(self->tx, "x", 1, 0));
	EXPECT_EQ(POLLERR, ft_poll(self->tx, 0, FT_LONG_MS));
	EXPECT_EQ(ECONNREFUSED, ft_getint(self->tx, SO_ERROR));
	ASSERT_EQ(1, send(self->tx, "x", 1, 0));
	EXPECT_EQ(POLLERR, ft_poll(self->tx, 0, FT_LONG_MS));
	EXPECT_ERR(ECONNREFUSED, send(self->tx, "x", 1, 0));
	/* Still the peer. */
	ASSERT_EQ(0, net_port(&self->net, 1, NET_PORT));
	EXPECT_EQ(4, send(self->tx, "open", 4, 0));
	EXPECT_TRUE(hears(self->rx, "open"));
}

/* With IP_RECVERR an error names whom it is about, as UDP's does. */
TEST_F(remote_dgram, E07_an_error_names_where_the_message_went)
{
	bool v4 = variant->family == AF_INET;
	char buf[16], control[512];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct sock_extended_err *ee = NULL;
	struct cmsghdr *cmsg;
	int one = 1;

	EXPECT_ERR(ENOPROTOOPT, setsockopt(self->tx, IPPROTO_IP, IP_RECVERR, &one,
					   sizeof(one)));
	ASSERT_EQ(1, say(self->tx, &self->server, "x"));
	ASSERT_EQ(0, setsockopt(self->tx, v4 ? IPPROTO_IP : IPPROTO_IPV6,
				v4 ? IP_RECVERR : IPV6_RECVERR, &one, sizeof(one)));
	ASSERT_EQ(0, net_port(&self->net, 1, 0));
	ASSERT_EQ(4, say(self->tx, &self->server, "lost"));
	ASSERT_EQ(POLLERR, ft_poll(self->tx, 0, FT_LONG_MS));
	ASSERT_EQ(4, recvmsg(self->tx, &msg, MSG_ERRQUEUE));
	EXPECT_EQ(0, memcmp(buf, "lost", 4));
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg))
		if (cmsg->cmsg_level == SOL_FERRY && cmsg->cmsg_type == FERRY_RECVERR)
			ee = (void *)CMSG_DATA(cmsg);
	ASSERT_NE(NULL, ee);
	EXPECT_EQ(ECONNREFUSED, ee->ee_errno);
	EXPECT_EQ(v4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6, ee->ee_origin);
	EXPECT_EQ(0, memcmp(SO_EE_OFFENDER(ee), &self->server.sa, self->server.len));
}

/* A socket that sends is at a port of UDP, to which strangers may send what they like. */
TEST_F(remote_dgram, strangers_take_no_room_from_errors)
{
	bool v4 = variant->family == AF_INET;
	struct sockaddr_storage from, here = { .ss_family = variant->family };
	socklen_t from_len = sizeof(from);
	char buf[1400] = "";
	int stranger, one = 1, i;

	ASSERT_EQ(0, net_port(&self->net, 1, 0));
	stranger = net_socket(&self->net, 1, variant->family, SOCK_DGRAM);
	((struct sockaddr_in *)&here)->sin_port = htons(NET_PORT);
	ASSERT_EQ(0, bind(stranger, (void *)&here, sizeof(here)));
	ASSERT_EQ(1, say(self->tx, &self->server, "x"));
	ASSERT_EQ(0, setsockopt(self->tx, v4 ? IPPROTO_IP : IPPROTO_IPV6,
				v4 ? IP_RECVERR : IPV6_RECVERR, &one, sizeof(one)));
	ASSERT_LT(0, recvfrom(stranger, buf, sizeof(buf), 0, (void *)&from, &from_len));
	/* More than SO_RCVBUF. */
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(sizeof(buf), sendto(stranger, buf, sizeof(buf), 0, (void *)&from,
					      from_len));
	close(stranger);
	EXPECT_EQ(4, say(self->tx, &self->server, "lost"));
	ASSERT_EQ(POLLERR, ft_poll(self->tx, 0, FT_LONG_MS));
	EXPECT_EQ(4, recv(self->tx, buf, sizeof(buf), MSG_ERRQUEUE));
}

/* Whatever lies at the port. */
TEST_F(remote_dgram, P05_malformed_bytes_are_counted)
{
	static const struct {
		int len;
		unsigned char bytes[8];
	} bad[] = {
		{ 0, {} }, { 1, { 1 } }, { 3, { 1, 1, 0 } },
		{ 4, { 1, 1, 0, 0 } }, { 6, { 2, 1, 0, 1, 's' } },
		{ 6, { 1, 2, 0, 1, 's' } }, { 6, { 1, 1, 109, 1, 's' } },
		{ 6, { 1, 1, 0, 109, 's' } }, { 6, { 1, 1, 0, 3, 's', 'e' } },
		{ 6, { 1, 1, 255, 255, 's', 'e' } },
	};
	int fd = net_socket(&self->net, 0, variant->family, SOCK_DGRAM);
	struct ft_addr to = {};
	struct sockaddr_in6 *sin6 = (void *)&to.ss;
	unsigned int i;

	if (variant->family == AF_INET) {
		to.in.sin_family = AF_INET;
		to.in.sin_port = htons(NET_PORT);
		inet_pton(AF_INET, variant->node[1], &to.in.sin_addr);
		to.len = sizeof(to.in);
	} else {
		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(NET_PORT);
		inet_pton(AF_INET6, variant->node[1], &sin6->sin6_addr);
		to.len = sizeof(*sin6);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_EQ(bad[i].len, sendto(fd, bad[i].bytes, bad[i].len, 0, &to.sa,
					     to.len));
		/* UDP keeps what has no payload at all to itself. */
		EXPECT_TRUE(net_stat_wait(&self->net, 1, "udp_malformed", i));
	}
	EXPECT_EQ(0, net_stat(&self->net, 1, "udp_received"));
	EXPECT_EQ(2, say(self->tx, &self->server, "ok"));
	EXPECT_TRUE(hears(self->rx, "ok"));
	ft_close(&fd);
}

TEST_F(remote_dgram, O02_a_filter_sees_the_payload)
{
	/* Accepts two bytes of what begins with 'y'. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'y', 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 2),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { 4, code };

	ASSERT_EQ(0, setsockopt(self->rx, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
				sizeof(prog)));
	ASSERT_EQ(3, say(self->tx, &self->server, "not"));
	ASSERT_EQ(3, say(self->tx, &self->server, "yes"));
	EXPECT_TRUE(hears(self->rx, "ye"));
	EXPECT_EQ(1, ft_meminfo(self->rx, SK_MEMINFO_DROPS));
	EXPECT_EQ(1, net_stat(&self->net, 1, "udp_dropped"));
}

TEST_F(remote_dgram, O28_what_finds_no_room_is_lost_and_counted)
{
	char buf[1000] = {};
	int sent = 1;

	ASSERT_EQ(0, ft_setint(self->rx, SO_RCVBUF, 4000));
	/* Nothing is lost any more for want of the neighbour. */
	ASSERT_EQ(5, say(self->tx, &self->server, "first"));
	ASSERT_TRUE(hears(self->rx, "first"));
	for (; net_stat(&self->net, 1, "udp_dropped") < 2 && sent < 10000; sent++)
		ASSERT_EQ(1000, sendto(self->tx, buf, 1000, 0, &self->server.sa,
				       self->server.len));
	ASSERT_TRUE(net_arrived(&self->net, 1, sent));
	EXPECT_LE(2, ft_meminfo(self->rx, SK_MEMINFO_DROPS));
	while (recv(self->rx, buf, sizeof(buf), MSG_DONTWAIT) == 1000)
		;
	EXPECT_EQ(5, say(self->tx, &self->server, "again"));
	EXPECT_TRUE(hears(self->rx, "again"));
	EXPECT_EQ(0, ft_meminfo(self->rx, SK_MEMINFO_RMEM_ALLOC));
}

/* One after the other, of either family, as with a socket of its own for each. */
TEST_F(remote_dgram, F02_another_peer_of_the_other_family)
{
	static const char *const node[] = { "10.18.0.2", "fd18::2", "10.18.0.2" };
	struct ft_addr addr;
	int i;

	for (i = 0; i < 3; i++) {
		net_addr(&addr, node[i], "server");
		ASSERT_EQ(0, connect(self->tx, &addr.sa, addr.len));
		ASSERT_EQ(2, send(self->tx, "to", 2, 0));
		EXPECT_TRUE(hears(self->rx, "to"));
	}
	/* What the network says of the last one comes back. */
	ASSERT_EQ(0, net_port(&self->net, 1, 0));
	ASSERT_EQ(1, send(self->tx, "x", 1, 0));
	EXPECT_EQ(POLLERR, ft_poll(self->tx, 0, FT_LONG_MS));
	EXPECT_EQ(ECONNREFUSED, ft_getint(self->tx, SO_ERROR));
}

/* Host 1 has two addresses; by the second one it is known to the client. */
static bool second_node(const struct net *net, int family, struct ft_addr *second)
{
	bool v4 = family == AF_INET;

	net_addr(second, v4 ? "10.18.0.77" : "fd18::77", "second");
	return net_run(net, 1, "ip addr add %s dev eth0%s",
		       v4 ? "10.18.0.77/24" : "fd18::77/64",
		       /* Not what routing would choose. */
		       v4 ? "" : " nodad preferred_lft 0");
}

TEST_F(remote_dgram, F03_what_is_sent_leaves_from_the_node)
{
	struct ft_addr second, from = { .len = sizeof(from.ss) };
	char buf[16];
	int fd;

	ASSERT_TRUE(second_node(&self->net, variant->family, &second));
	fd = net_socket(&self->net, 1, AF_FERRY, SOCK_DGRAM);
	ASSERT_EQ(0, bind(fd, &second.sa, second.len));
	ASSERT_EQ(0, connect(self->tx, &second.sa, second.len));
	ASSERT_EQ(3, send(self->tx, "ask", 3, 0));
	EXPECT_TRUE(hears(fd, "ask"));
	/* By address, and connected. */
	ASSERT_EQ(6, say(fd, &self->client, "answer"));
	EXPECT_TRUE(hears(self->tx, "answer"));
	ASSERT_EQ(0, connect(fd, &self->client.sa, self->client.len));
	ASSERT_EQ(4, send(fd, "more", 4, 0));
	ASSERT_EQ(POLLIN, ft_poll(self->tx, POLLIN, FT_LONG_MS));
	EXPECT_EQ(4, recvfrom(self->tx, buf, sizeof(buf), 0, &from.sa, &from.len));
	EXPECT_TRUE(same(&from, &second));
	/* With no peer any more it still does. */
	ASSERT_EQ(0, connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC },
			     sizeof(struct sockaddr)));
	ASSERT_EQ(4, say(fd, &self->client, "last"));
	EXPECT_TRUE(hears(self->tx, "last"));
	ft_close(&fd);
}

/* One that has sent, or is connected, before it is bound. */
TEST_F(remote_dgram, F03_the_node_may_come_later)
{
	struct ft_addr second, other;
	int fd, i;

	ASSERT_TRUE(second_node(&self->net, variant->family, &second));
	ASSERT_EQ(0, connect(self->tx, &second.sa, second.len));
	net_addr(&other, variant->node[0], "other");
	for (i = 0; i < 2; i++) {
		fd = net_socket(&self->net, 1, AF_FERRY, SOCK_DGRAM);
		ASSERT_EQ(1, say(fd, &other, "x"));
		if (i)
			ASSERT_EQ(0, connect(fd, &self->client.sa, self->client.len));
		ASSERT_EQ(0, bind(fd, &second.sa, second.len));
		ASSERT_EQ(6, i ? send(fd, "answer", 6, 0) :
				 say(fd, &self->client, "answer"));
		EXPECT_TRUE(hears(self->tx, "answer"));
		ft_close(&fd);
	}
}

/* Of the other family no node is the socket's: routing chooses. */
TEST_F(remote_dgram, F03_to_the_other_family_routing_chooses)
{
	bool v4 = variant->family == AF_INET;
	struct ft_addr other, second;
	int fd;

	ASSERT_TRUE(second_node(&self->net, variant->family, &second));
	net_addr(&other, v4 ? "fd18::1" : "10.18.0.1", "client");
	fd = net_socket(&self->net, 1, AF_FERRY, SOCK_DGRAM);
	ASSERT_EQ(0, bind(fd, &second.sa, second.len));
	EXPECT_EQ(2, say(fd, &other, "to"));
	EXPECT_TRUE(hears(self->tx, "to"));
	ASSERT_EQ(0, connect(fd, &other.sa, other.len));
	EXPECT_EQ(5, send(fd, "again", 5, 0));
	EXPECT_TRUE(hears(self->tx, "again"));
	ASSERT_EQ(0, connect(fd, &self->client.sa, self->client.len));
	EXPECT_EQ(4, send(fd, "back", 4, 0));
	EXPECT_TRUE(hears(self->tx, "back"));
	ft_close(&fd);
}

TEST_F(remote_dgram, O08_a_device_is_the_only_one)
{
	static const char dev[] = "eth1";
	struct ft_addr second;

	ASSERT_TRUE(net_link(&self->net, 0, 1, dev, 1));
	net_addr(&second, variant->family == AF_INET ? "10.18.1.2" : "fd18:1::2",
		 "server");
	ASSERT_EQ(0, setsockopt(self->rx, SOL_SOCKET, SO_BINDTODEVICE, dev,
				sizeof(dev)));
	ASSERT_EQ(5, say(self->tx, &self->server, "first"));
	ASSERT_TRUE(net_stat_wait(&self->net, 1, "udp_nobody", 1));
	ASSERT_EQ(6, say(self->tx, &second, "second"));
	EXPECT_TRUE(hears(self->rx, "second"));
	/* The sender's: a carrier that is there already follows, and keeps it. */
	ASSERT_EQ(0, setsockopt(self->tx, SOL_SOCKET, SO_BINDTODEVICE, dev,
				sizeof(dev)));
	ASSERT_EQ(0, connect(self->tx, &second.sa, second.len));
	ASSERT_EQ(0, connect(self->tx, &(struct sockaddr){ .sa_family = AF_UNSPEC },
			     sizeof(struct sockaddr)));
	ASSERT_TRUE(net_run(&self->net, 0, "ip link set eth1 down"));
	EXPECT_ERR(ENETUNREACH, say(self->tx, &self->server, "x"));
}

TEST_F(remote_dgram, O14_no_gateway)
{
	bool v4 = variant->family == AF_INET;
	struct ft_addr far;

	ASSERT_TRUE(net_run(&self->net, 0, "ip %s route add %s via %s", v4 ? "-4" : "-6",
			    v4 ? "10.99.0.0/16" : "fd99::/16", variant->node[1]));
	net_addr(&far, v4 ? "10.99.0.1" : "fd99::1", "server");
	EXPECT_EQ(1, say(self->tx, &far, "x"));
	if (v4) {
		EXPECT_ERR(ENETUNREACH, sendto(self->tx, "x", 1, MSG_DONTROUTE, &far.sa,
					       far.len));
		ASSERT_EQ(0, ft_setint(self->tx, SO_DONTROUTE, 1));
		EXPECT_ERR(ENETUNREACH, say(self->tx, &far, "x"));
	}
	EXPECT_EQ(4, say(self->tx, &self->server, "near"));
	EXPECT_TRUE(hears(self->rx, "near"));
}

TEST_F(remote_dgram, O19_a_mark_chooses_the_route)
{
	ASSERT_TRUE(net_run(&self->net, 0, "ip %s rule add fwmark 7 pref 10 prohibit",
			    variant->family == AF_INET ? "-4" : "-6"));
	ASSERT_EQ(1, say(self->tx, &self->server, "a"));
	ASSERT_EQ(0, ft_setint(self->tx, SO_MARK, 7));
	EXPECT_ERR(EACCES, say(self->tx, &self->server, "b"));
	ASSERT_EQ(0, ft_setint(self->tx, SO_MARK, 0));
	ASSERT_EQ(1, say(self->tx, &self->server, "c"));
	EXPECT_TRUE(hears(self->rx, "a"));
	EXPECT_TRUE(hears(self->rx, "c"));
}

/* More than what IPv6 itself has to say, which is of no band that is asked for. */
TEST_F_TIMEOUT(remote_dgram, O26_a_priority_chooses_the_band, FT_SLOW_S)
{
	long before[3], after[3];
	int i;

	if (!net_run(&self->net, 0, "tc qdisc add dev eth0 root handle 1: prio"))
		SKIP(return, "no prio qdisc here");
	ASSERT_EQ(0, ft_setint(self->tx, SO_PRIORITY, 2));
	ASSERT_EQ(1, say(self->tx, &self->server, "a"));
	EXPECT_TRUE(hears(self->rx, "a"));
	ASSERT_TRUE(net_bands(&self->net, 0, before));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(1, say(self->tx, &self->server, "b"));
		EXPECT_TRUE(hears(self->rx, "b"));
	}
	ASSERT_TRUE(net_bands(&self->net, 0, after));
	EXPECT_LE(before[2] + 20, after[2]);
	EXPECT_GT(before[0] + 20, after[0]);
	ASSERT_EQ(0, ft_setint(self->tx, SO_PRIORITY, 6));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(1, say(self->tx, &self->server, "c"));
		EXPECT_TRUE(hears(self->rx, "c"));
	}
	ASSERT_TRUE(net_bands(&self->net, 0, before));
	EXPECT_LE(after[0] + 20, before[0]);
	EXPECT_GT(after[2] + 20, before[2]);
}

TEST_F(remote_dgram, O44_the_device_tells_when_it_sent)
{
	char buf[16], control[512];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct sock_extended_err *ee = NULL;
	struct cmsghdr *cmsg;
	unsigned int key;

	ASSERT_EQ(0, ft_setint(self->tx, SO_TIMESTAMPING,
			       SOF_TIMESTAMPING_TX_SOFTWARE |
			       SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID));
	for (key = 0; key < 2; key++) {
		ASSERT_EQ(5, say(self->tx, &self->server, "stamp"));
		ASSERT_EQ(POLLERR, ft_poll(self->tx, 0, FT_LONG_MS));
		msg.msg_controllen = sizeof(control);
		ASSERT_EQ(5, recvmsg(self->tx, &msg, MSG_ERRQUEUE));
		EXPECT_EQ(0, memcmp(buf, "stamp", 5));
		ee = NULL;
		for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg))
			if (cmsg->cmsg_level == SOL_FERRY)
				ee = (void *)CMSG_DATA(cmsg);
		ASSERT_NE(NULL, ee);
		EXPECT_EQ(SO_EE_ORIGIN_TIMESTAMPING, ee->ee_origin);
		EXPECT_EQ(SCM_TSTAMP_SND, ee->ee_info);
		EXPECT_EQ(key, ee->ee_data);
		EXPECT_EQ(0, memcmp(SO_EE_OFFENDER(ee), &self->server.sa,
				    self->server.len));
	}
}

TEST_F(remote_dgram, O09_all_of_a_link)
{
	static const char dev[] = "eth0";
	bool v4 = variant->family == AF_INET;
	struct ft_addr all, one;
	int second = net_socket(&self->net, 1, AF_FERRY, SOCK_DGRAM);

	net_addr(&one, NULL, "both");
	ASSERT_EQ(0, ft_setint(second, SO_REUSEADDR, 1));
	ASSERT_EQ(0, bind(second, &one.sa, one.len));
	ft_close(&self->rx);
	self->rx = net_socket(&self->net, 1, AF_FERRY, SOCK_DGRAM);
	ASSERT_EQ(0, ft_setint(self->rx, SO_REUSEADDR, 1));
	ASSERT_EQ(0, bind(self->rx, &one.sa, one.len));

	net_addr(&all, v4 ? "10.18.0.255" : "ff02::1", "both");
	EXPECT_ERR(EACCES, say(self->tx, &all, "x"));
	ASSERT_EQ(0, ft_setint(self->tx, SO_BROADCAST, 1));
	if (!v4) {
		EXPECT_ERR(EINVAL, say(self->tx, &all, "x"));
		ASSERT_EQ(0, setsockopt(self->tx, SOL_SOCKET, SO_BINDTODEVICE, dev,
					sizeof(dev)));
	}
	EXPECT_EQ(3, say(self->tx, &all, "all"));
	EXPECT_TRUE(hears(self->rx, "all"));
	EXPECT_TRUE(hears(second, "all"));
	ft_close(&second);
}

TEST_F(remote_dgram, F07_what_cannot_go)
{
	char control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_name = &self->server.sa, .msg_namelen = self->server.len,
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	struct ft_addr to;

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	EXPECT_ERR(EOPNOTSUPP, sendmsg(self->tx, &msg, 0));
	/* UDP_SEGMENT */
	cmsg->cmsg_level = IPPROTO_UDP;
	cmsg->cmsg_type = 103;
	EXPECT_ERR(EINVAL, sendmsg(self->tx, &msg, 0));
	/* Of this link, of which? */
	net_addr(&to, "fe80::1", "server");
	EXPECT_ERR(EINVAL, say(self->tx, &to, "x"));
	net_addr(&to, "ff05::1", "server");
	EXPECT_ERR(ENETUNREACH, say(self->tx, &to, "x"));
	to = self->server;
	to.ferry.sfy_scope = FERRY_SCOPE_HOST;
	EXPECT_ERR(EINVAL, say(self->tx, &to, "x"));
}

TEST_F(remote_dgram, F07_the_own_address_is_here)
{
	struct ft_addr own;

	net_addr(&own, variant->node[1], "server");
	EXPECT_EQ(4, say(self->rx, &own, "self"));
	EXPECT_TRUE(hears(self->rx, "self"));
	EXPECT_EQ(0, net_stat(&self->net, 1, "udp_sent"));
}

TEST_F(remote_dgram, P05_a_carrier_is_traced)
{
	struct tracefs trace;
	uint64_t tx = tracefs_cookie(self->tx);

	if (!tracefs_start(&trace, "ferry_carrier"))
		SKIP(return, "no tracefs in this kernel");
	ASSERT_EQ(1, say(self->tx, &self->server, "x"));
	ASSERT_EQ(1, say(self->tx, &self->server, "y"));
	EXPECT_EQ(1, tracefs_count(&trace, tx, " event=udp "));
	ft_close(&self->tx);
	EXPECT_EQ(1, tracefs_count(&trace, tx, " event=closed "));
	tracefs_stop(&trace);
}

TEST_F(remote_dgram, P05_who_is_refused_is_traced)
{
	struct tracefs trace;
	struct ft_addr to;
	char node[64];

	if (!tracefs_start(&trace, "ferry_refused"))
		SKIP(return, "no tracefs in this kernel");
	net_addr(&to, variant->node[1], "nobody");
	ASSERT_EQ(1, say(self->tx, &to, "x"));
	ASSERT_TRUE(net_stat_wait(&self->net, 1, "udp_nobody", 1));
	snprintf(node, sizeof(node), "node=%s%s\n", variant->family == AF_INET ? "::ffff:" : "",
		 variant->node[0]);
	EXPECT_EQ(1, tracefs_lines(&trace, " reason=udp_nobody ", node));
	EXPECT_TRUE(tracefs_recorded(&trace, "udp_nobody"));
	tracefs_stop(&trace);
}

/*
 * What tx sends stays at its host, and there is no room for more of it. Not the first
 * message, before which the hosts look for each other.
 */
#define FILL()									\
do {										\
	char _bytes[1000] = "";							\
										\
	ASSERT_EQ(0, connect(self->tx, &self->server.sa, self->server.len));	\
	ASSERT_EQ(1, send(self->tx, "1", 1, 0));				\
	ASSERT_EQ(1, recv(self->rx, _bytes, 1, 0));				\
	/* netem would not count what it keeps as the sender's. */		\
	if (!net_run(&self->net, 0,						\
		     "tc qdisc add dev eth0 root tbf rate 100bit burst 1600 limit 1mb"))	\
		SKIP(return, "no tbf here");					\
	ASSERT_EQ(0, ft_setint(self->tx, SO_SNDBUF, 4096));			\
	while (send(self->tx, _bytes, sizeof(_bytes), MSG_DONTWAIT) > 0)		\
		;								\
	ASSERT_EQ(EAGAIN, errno);						\
} while (0)

/* It is gone. */
#define EMPTY()									\
	ASSERT_TRUE(net_run(&self->net, 0, "tc qdisc del dev eth0 root"))

TEST_F_TIMEOUT(remote_dgram, E05_no_room_at_the_carrier, FT_SLOW_S)
{
	FILL();
	EXPECT_EQ(0, ft_poll(self->tx, POLLOUT, 0));
	EMPTY();
	EXPECT_EQ(POLLOUT, ft_poll(self->tx, POLLOUT, FT_LONG_MS) & POLLOUT);
	EXPECT_EQ(1, send(self->tx, "x", 1, MSG_DONTWAIT));
}

TEST_F_TIMEOUT(remote_dgram, E10_room_at_the_carrier, FT_SLOW_S)
{
	sigset_t set = signals();
	siginfo_t info = {};

	sigprocmask(SIG_BLOCK, &set, NULL);
	ASSERT_TRUE(arm(self->tx));
	FILL();
	forget_signals();
	/* Nobody polls here: what asks for the signal is that there was no room. */
	EXPECT_ERR(EAGAIN, send(self->tx, "x", 1, MSG_DONTWAIT));
	EMPTY();
	EXPECT_TRUE(next_signal(&info, FT_LONG_MS));
	EXPECT_EQ(SIGRTMIN, info.si_signo);
	EXPECT_EQ(POLL_OUT, info.si_code);
	EXPECT_EQ(self->tx, info.si_fd);
}

TEST_F_TIMEOUT(remote_dgram, F16_shutdown_ends_a_blocked_send, FT_SLOW_S)
{
	char bytes[1000] = "";
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->tx, .buf = bytes, .len = sizeof(bytes),
		.flags = MSG_NOSIGNAL,
	};

	FILL();
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	EXPECT_EQ(0, shutdown(self->tx, SHUT_WR));
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_EQ(EPIPE, call.err);
	EMPTY();
}

/*
 * As long as the descriptor that this returns is open UDP answers EAGAIN to all of the
 * control group who send somewhere. -1 where there is no such thing.
 */
static int udp_again(int group, enum bpf_attach_type type)
{
	struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .imm = -EAGAIN },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_set_retval },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
		.expected_attach_type = type,
		.insns = (uintptr_t)code,
		.insn_cnt = ARRAY_SIZE(code),
		.license = (uintptr_t)"GPL",
	};
	int program = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)), link;

	if (program < 0)
		return -1;
	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = program;
	attr.link_create.target_fd = group;
	attr.link_create.attach_type = type;
	link = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	close(program);
	return link;
}

/* An EAGAIN that is not about room comes to an end, for who would wait for room too. */
TEST_F(remote_dgram, F07_udp_says_again_though_there_is_room)
{
	char dir[] = "/tmp/ferry-cgroup-XXXXXX";
	int group, link[2];

	/* A mount of this process's own, gone with it. */
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_NE(NULL, mkdtemp(dir));
	if (mount("ferry", dir, "cgroup2", 0, NULL)) {
		rmdir(dir);
		SKIP(return, "no cgroup2: %s", strerror(errno));
	}
	group = open(dir, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, group);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	link[0] = udp_again(group, BPF_CGROUP_UDP4_SENDMSG);
	link[1] = udp_again(group, BPF_CGROUP_UDP6_SENDMSG);
	close(group);
	if (link[0] < 0 || link[1] < 0)
		SKIP(return, "no such BPF program here: %s", strerror(errno));
	EXPECT_ERR(EAGAIN, say(self->tx, &self->server, "not sent"));
	EXPECT_ERR(EAGAIN, sendto(self->tx, "nor this", 8, MSG_DONTWAIT, &self->server.sa,
				  self->server.len));
	close(link[0]);
	close(link[1]);
	EXPECT_EQ(4, say(self->tx, &self->server, "sent"));
	EXPECT_TRUE(hears(self->rx, "sent"));
}

/* Numbered stamps are given out in order, and nobody else waits for who has no room. */
TEST_F_TIMEOUT(remote_dgram, O33_a_blocked_send_with_stamps, FT_SLOW_S)
{
	char bytes[1000] = "";
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->tx, .buf = bytes, .len = sizeof(bytes),
		.flags = MSG_NOSIGNAL,
	};

	ASSERT_EQ(0, ft_setint(self->tx, SO_TIMESTAMPING,
			       SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
			       SOF_TIMESTAMPING_OPT_ID));
	FILL();
	ASSERT_EQ(0, ft_settimeo(self->tx, SO_SNDTIMEO, FT_LONG_MS));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	/* An option is set meanwhile, which needs the socket's lock. */
	EXPECT_EQ(0, ft_setint(self->tx, SO_PRIORITY, 1));
	EXPECT_EQ(0, shutdown(self->tx, SHUT_WR));
	ft_join(&call);
	EXPECT_EQ(EPIPE, call.err);
	EMPTY();
}

/* Sockets outlive the descriptors of their namespace, with messages underway. */
TEST_F(remote_dgram, X04_hosts_end_in_any_order)
{
	ASSERT_EQ(0, connect(self->tx, &self->server.sa, self->server.len));
	ASSERT_EQ(1, send(self->tx, "a", 1, 0));
	ASSERT_EQ(1, send(self->tx, "b", 1, 0));
	net_down(&self->net);
	EXPECT_TRUE(hears(self->rx, "a"));
	ft_close(&self->rx);
	send(self->tx, "c", 1, 0);
	send(self->tx, "d", 1, 0);
	ft_close(&self->tx);
	self->net.home = open("/proc/thread-self/ns/net", O_RDONLY);
}

FT_HARNESS_MAIN
