// SPDX-License-Identifier: GPL-2.0
/*
 * The error queue and transmit stamps: SCHED, SND and ACK, keys, what they
 * belong to, also where a filter drops. O44, O37, F08, E07; receive stamps are in
 * timestamp.c.
 */

#include "bpf_helpers.h"
#include "kselftest_harness.h"

#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/net_tstamp.h>
#include <sys/epoll.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO	55
#endif
#define MEMINFO_RMEM	0

#define TIMESTAMPING	37
#define TX_ALL	(SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_SOFTWARE | \
		 SOF_TIMESTAMPING_TX_ACK)
#define REPORT	(SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID)

/* Options of older headers. */
#define OPT_ID_TCP	0x10000

/* What one message of the error queue says. */
struct report {
	int type;		/* SCM_TSTAMP_*, -1 when it is no stamp */
	unsigned int key;
	bool timed;
	struct ft_addr offender;
	char data[64];
	ssize_t len;
	int flags;
};

static int next_report(int fd, struct report *report)
{
	union {
		struct cmsghdr align;
		char buf[512];
	} control;
	struct iovec iov = { report->data, sizeof(report->data) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct sock_extended_err err;
	struct cmsghdr *cmsg;

	report->len = recvmsg(fd, &msg, MSG_ERRQUEUE);
	if (report->len < 0)
		return -1;
	report->type = -1;
	report->timed = false;
	report->flags = msg.msg_flags;
	memset(&report->offender, 0, sizeof(report->offender));
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_level == SOL_SOCKET &&
		    cmsg->cmsg_type == TIMESTAMPING)
			report->timed = true;
		if ((cmsg->cmsg_level == SOL_FERRY &&
		     cmsg->cmsg_type == FERRY_RECVERR) ||
		    (cmsg->cmsg_level == SOL_IP &&
		     cmsg->cmsg_type == IP_RECVERR)) {
			memcpy(&err, CMSG_DATA(cmsg), sizeof(err));
			report->offender.len = cmsg->cmsg_len - CMSG_LEN(sizeof(err));
			memcpy(&report->offender.ss, CMSG_DATA(cmsg) + sizeof(err),
			       report->offender.len);
			if (err.ee_errno == ENOMSG &&
			    err.ee_origin == SO_EE_ORIGIN_TIMESTAMPING)
				report->type = err.ee_info;
			report->key = err.ee_data;
		}
	}
	return 0;
}

/* Waits for a report, which must be of that type and have that key. */
static bool expect_report(int fd, int type, unsigned int key)
{
	struct report report;

	if (!(ft_poll(fd, 0, FT_LONG_MS) & POLLERR) ||
	    next_report(fd, &report)) {
		fprintf(stderr, "# no report of type %d\n", type);
		return false;
	}
	if (report.type == type && report.key == key && report.timed &&
	    report.flags & MSG_ERRQUEUE)
		return true;
	fprintf(stderr, "# type %d, key %u, timed %d, flags %#x; not %d, %u\n",
		report.type, report.key, report.timed, report.flags, type, key);
	return false;
}

static bool no_report(int fd)
{
	struct report report;

	return next_report(fd, &report) && errno == EAGAIN &&
	       !(ft_poll(fd, 0, 0) & POLLERR);
}

/* Sends with the transmit stamps @tsflags for this message only. */
static ssize_t send_with(int fd, const void *buf, size_t len, unsigned int tsflags)
{
	union {
		struct cmsghdr header;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {
		.header.cmsg_len = CMSG_LEN(sizeof(int)),
		.header.cmsg_level = SOL_SOCKET,
		.header.cmsg_type = TIMESTAMPING,
	};
	struct iovec iov = { (void *)buf, len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.header), &tsflags, sizeof(tsflags));
	return sendmsg(fd, &msg, 0);
}

FIXTURE(tx)
{
	struct ft_leak leak;
	int a, b;
	bool stream;
};

FIXTURE_VARIANT(tx)
{
	struct ft_kind kind;
};

#define TX_VARIANT(_name, _domain, _type, _how)				\
FIXTURE_VARIANT_ADD(tx, _name)						\
{									\
	.kind = { _domain, _type, _how },				\
}

TX_VARIANT(FERRY_stream_pair, AF_FERRY, SOCK_STREAM, FT_PAIR);
TX_VARIANT(FERRY_stream_conn, AF_FERRY, SOCK_STREAM, FT_CONN);
TX_VARIANT(FERRY_seqpacket_pair, AF_FERRY, SOCK_SEQPACKET, FT_PAIR);
TX_VARIANT(FERRY_seqpacket_conn, AF_FERRY, SOCK_SEQPACKET, FT_CONN);
TX_VARIANT(FERRY_dgram_pair, AF_FERRY, SOCK_DGRAM, FT_PAIR);
TX_VARIANT(FERRY_dgram_conn, AF_FERRY, SOCK_DGRAM, FT_CONN);
TX_VARIANT(TCP_conn, AF_INET, SOCK_STREAM, FT_CONN);
TX_VARIANT(UDP_conn, AF_INET, SOCK_DGRAM, FT_CONN);

FIXTURE_SETUP(tx)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
	self->stream = variant->kind.type == SOCK_STREAM;
}

FIXTURE_TEARDOWN(tx)
{
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

#define FERRY_ONLY(_why)						\
do {									\
	if (variant->kind.domain != AF_FERRY)				\
		SKIP(return, _why);					\
} while (0)

TEST_F(tx, O44_off_no_reports)
{
	EXPECT_TRUE(no_report(self->a));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	EXPECT_TRUE(no_report(self->a));
	/* Reporting alone asks for none. */
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING, REPORT));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	EXPECT_TRUE(no_report(self->a));
}

TEST_F(tx, O44_snd)
{
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING,
			       REPORT | SOF_TIMESTAMPING_TX_SOFTWARE));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SND, self->stream ? 2 : 0));
	ASSERT_EQ(4, send(self->a, "defg", 4, 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SND, self->stream ? 6 : 1));
	EXPECT_TRUE(no_report(self->a));
	/* The receiver is told of none of them. */
	EXPECT_TRUE(no_report(self->b));
}

TEST_F(tx, O44_sched_before_snd)
{
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING,
			       REPORT | SOF_TIMESTAMPING_TX_SCHED |
			       SOF_TIMESTAMPING_TX_SOFTWARE));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SCHED, self->stream ? 2 : 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SND, self->stream ? 2 : 0));
}

TEST_F(tx, O44_ack)
{
	char buf[8];

	if (variant->kind.domain != AF_FERRY && !self->stream)
		SKIP(return, "UDP acknowledges nothing");
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING,
			       REPORT | SOF_TIMESTAMPING_TX_ACK));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	if (variant->kind.domain == AF_FERRY) {
		/* When it has been read, and a peek is no read. */
		ASSERT_EQ(3, recv(self->b, buf, 8, MSG_PEEK));
		EXPECT_TRUE(no_report(self->a));
		if (self->stream) {
			ASSERT_EQ(2, recv(self->b, buf, 2, 0));
			EXPECT_TRUE(no_report(self->a));
			ASSERT_EQ(1, recv(self->b, buf, 8, 0));
		} else {
			ASSERT_EQ(2, recv(self->b, buf, 2, 0));
		}
	}
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_ACK, self->stream ? 2 : 0));
}

TEST_F(tx, O44_no_ack_of_what_is_left_unread)
{
	FERRY_ONLY("TCP acknowledges what arrived");
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING, REPORT | TX_ALL));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	ft_close(&self->b);
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SCHED, self->stream ? 2 : 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SND, self->stream ? 2 : 0));
	EXPECT_EQ(variant->kind.type == SOCK_DGRAM ? 0 : ECONNRESET,
		  ft_getint(self->a, SO_ERROR));
	EXPECT_TRUE(no_report(self->a));
}

/* Several buffers, all of which must be read. */
TEST_F(tx, O44_ack_of_a_long_message)
{
	size_t len = 100000;
	char *buf = malloc(len);

	FERRY_ONLY("TCP acknowledges what arrived");
	ASSERT_NE(NULL, buf);
	memset(buf, 'x', len);
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING, REPORT | TX_ALL |
			       SOF_TIMESTAMPING_OPT_TSONLY));
	ASSERT_EQ(len, send(self->a, buf, len, 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SCHED,
				  self->stream ? len - 1 : 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SND,
				  self->stream ? len - 1 : 0));
	if (self->stream) {
		ASSERT_EQ(len - 1, recv(self->b, buf, len - 1, MSG_WAITALL));
		EXPECT_TRUE(no_report(self->a));
	}
	ASSERT_EQ(self->stream ? 1 : len, recv(self->b, buf, len, 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_ACK,
				  self->stream ? len - 1 : 0));
	free(buf);
}

/* What a filter drops was sent, and nobody will read it. */
TEST_F(tx, O44_no_ack_of_what_a_filter_drops)
{
	struct sock_filter drop = { BPF_RET | BPF_K, 0, 0, 0 };
	struct sock_fprog prog = { .len = 1, .filter = &drop };

	FERRY_ONLY("a filter of theirs comes after the device");
	if (self->stream)
		SKIP(return, "what is dropped of a stream is no message");
	ASSERT_EQ(0, setsockopt(self->b, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
				sizeof(prog)));
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING, REPORT | TX_ALL));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SCHED, 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SND, 0));
	EXPECT_TRUE(no_report(self->a));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
}

/* The key is that of the last byte queued when a send ends early. */
TEST_F(tx, O44_key_of_a_send_that_ended_early)
{
	size_t len = 1 << 20;
	char *buf = calloc(1, len);
	ssize_t n, more;

	if (!self->stream)
		SKIP(return, "a record is sent or not");
	ASSERT_NE(NULL, buf);
	ft_shrink(self->a, self->b);
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING,
			       REPORT | SOF_TIMESTAMPING_TX_ACK |
			       SOF_TIMESTAMPING_OPT_TSONLY));
	n = send(self->a, buf, len, MSG_DONTWAIT);
	ASSERT_LT(0, n);
	ASSERT_GT(len, n);
	EXPECT_EQ(n, recv(self->b, buf, n, MSG_WAITALL));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_ACK, n - 1));
	/* TCP stamps nothing if all has left its queue when the time is over. */
	if (variant->kind.domain == AF_INET) {
		free(buf);
		return;
	}

	/* By a timeout, with the reader at work meanwhile. */
	ASSERT_EQ(0, ft_settimeo(self->a, SO_SNDTIMEO, 50));
	more = send(self->a, buf, len, 0);
	ASSERT_LT(0, more);
	ASSERT_GT(len, more);
	EXPECT_EQ(more, recv(self->b, buf, more, MSG_WAITALL));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_ACK, n + more - 1));
	/* And what follows goes on from there. */
	EXPECT_EQ(5, send(self->a, buf, 5, 0));
	EXPECT_EQ(5, recv(self->b, buf, 5, MSG_WAITALL));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_ACK, n + more + 4));
	free(buf);
}

TEST_F(tx, O44_key_begins_when_the_option_is_set)
{
	if (self->stream && variant->kind.domain == AF_INET &&
	    ft_kernel_before(6, 2))
		SKIP(return, "SOF_TIMESTAMPING_OPT_ID_TCP is of Linux 6.2");
	ASSERT_EQ(7, send(self->a, "1234567", 7, 0));
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING, REPORT |
			       (ft_kernel_before(6, 2) ? 0 : OPT_ID_TCP) |
			       SOF_TIMESTAMPING_TX_SOFTWARE));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SND, self->stream ? 2 : 0));
}

TEST_F(tx, O44_no_key_without_opt_id)
{
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING, SOF_TIMESTAMPING_SOFTWARE |
			       SOF_TIMESTAMPING_TX_SOFTWARE));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SND, 0));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SND, 0));
}

TEST_F(tx, O44_by_control_message)
{
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING, REPORT));
	ASSERT_EQ(3, send_with(self->a, "abc", 3, SOF_TIMESTAMPING_TX_SOFTWARE));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SND, self->stream ? 2 : 0));
	/* For that message alone. */
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	EXPECT_TRUE(no_report(self->a));
	/* And away from what the socket wants. */
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING,
			       REPORT | SOF_TIMESTAMPING_TX_SOFTWARE));
	ASSERT_EQ(3, send_with(self->a, "abc", 3, 0));
	EXPECT_TRUE(no_report(self->a));
	EXPECT_ERR(EINVAL, send_with(self->a, "abc", 3, SOF_TIMESTAMPING_OPT_ID));
}

TEST_F(tx, O44_payload_or_stamp_only)
{
	struct report report;

	FERRY_ONLY("packets have headers as well");
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING,
			       REPORT | SOF_TIMESTAMPING_TX_SOFTWARE));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	ASSERT_EQ(0, next_report(self->a, &report));
	EXPECT_EQ(3, report.len);
	EXPECT_EQ(0, memcmp(report.data, "abc", 3));
	EXPECT_EQ(0, report.flags & MSG_TRUNC);
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING,
			       REPORT | SOF_TIMESTAMPING_TX_SOFTWARE |
			       SOF_TIMESTAMPING_OPT_TSONLY |
			       SOF_TIMESTAMPING_OPT_CMSG));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	ASSERT_EQ(0, next_report(self->a, &report));
	EXPECT_EQ(0, report.len);
	EXPECT_EQ(SCM_TSTAMP_SND, report.type);
	EXPECT_TRUE(report.timed);
	/* No address then. */
	EXPECT_EQ(FERRY_ADDR_HDR, report.offender.len);
	EXPECT_EQ(AF_UNSPEC, report.offender.sa.sa_family);
}

TEST_F(tx, F08_offender)
{
	struct ft_addr name = { .len = sizeof(name.ss) };
	struct report report;

	FERRY_ONLY("the address is that of an error there");
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING,
			       REPORT | SOF_TIMESTAMPING_TX_SOFTWARE));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	ASSERT_EQ(0, next_report(self->a, &report));
	if (variant->kind.how == FT_PAIR) {
		EXPECT_EQ(FERRY_ADDR_HDR, report.offender.len);
		EXPECT_EQ(AF_UNSPEC, report.offender.sa.sa_family);
	} else {
		ASSERT_EQ(0, getsockname(self->b, &name.sa, &name.len));
		EXPECT_EQ(name.len, report.offender.len);
		EXPECT_EQ(0, memcmp(&name.ss, &report.offender.ss, name.len));
	}
}

TEST_F(tx, F08_bad_buffers)
{
	struct msghdr msg = {};
	struct iovec iov = { FT_WILD, 8 };
	char buf[2];

	FERRY_ONLY("packets have headers as well");
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING,
			       REPORT | SOF_TIMESTAMPING_TX_SOFTWARE));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	/* As in other families the report is lost. */
	EXPECT_ERR(EFAULT, recvmsg(self->a, &msg, MSG_ERRQUEUE));
	EXPECT_TRUE(no_report(self->a));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	iov.iov_base = buf;
	iov.iov_len = sizeof(buf);
	EXPECT_EQ(2, recvmsg(self->a, &msg, MSG_ERRQUEUE));
	EXPECT_EQ(MSG_TRUNC | MSG_CTRUNC | MSG_ERRQUEUE,
		  msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC | MSG_ERRQUEUE));
}

/* Never read, the reports are bounded and in nobody's way. */
TEST_F(tx, F08_reports_never_read)
{
	int before, n, i;
	char buf[8];

	FERRY_ONLY("loopback loses datagrams");
	ASSERT_EQ(0, ft_setint(self->a, SO_RCVBUF, 8192));
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING, REPORT | TX_ALL));
	for (i = 0; i < 500; i++) {
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		ASSERT_EQ(1, recv(self->b, buf, sizeof(buf), 0));
	}
	/* The other direction goes on. */
	ASSERT_EQ(3, send(self->b, "abc", 3, MSG_DONTWAIT));
	ASSERT_EQ(3, recv(self->a, buf, sizeof(buf), 0));
	before = ft_getint(self->a, SO_RCVBUF);
	for (n = 0; ; n++) {
		struct report report;

		if (next_report(self->a, &report))
			break;
	}
	EXPECT_LT(0, n);
	EXPECT_GT(before / 100, n);
	/* With room again there are more. */
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(POLLERR, ft_poll(self->a, 0, 0) & POLLERR);
}

TEST_F(tx, E07_a_report_is_an_error_event)
{
	struct epoll_event event = { .events = EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	ASSERT_LE(0, ep);
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING,
			       REPORT | SOF_TIMESTAMPING_TX_SOFTWARE));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->a, &event));
	EXPECT_EQ(0, epoll_wait(ep, &event, 1, 0));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	ASSERT_EQ(1, epoll_wait(ep, &event, 1, FT_LONG_MS));
	EXPECT_EQ(EPOLLERR, event.events);
	/* SO_ERROR is another matter. */
	EXPECT_EQ(0, ft_getint(self->a, SO_ERROR));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SND, self->stream ? 2 : 0));
	EXPECT_EQ(0, ft_poll(self->a, POLLPRI, 0));
	ft_close(&ep);
}

TEST_F(tx, O37_priority_beside_the_error)
{
	socklen_t len = 1;
	char byte;
	int on = 1;

	if (self->stream && variant->kind.domain == AF_INET)
		SKIP(return, "TCP does not heed it");

	EXPECT_EQ(0, ft_getint(self->a, SO_SELECT_ERR_QUEUE));
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING,
			       REPORT | SOF_TIMESTAMPING_TX_SOFTWARE));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	EXPECT_EQ(POLLERR, ft_poll(self->a, POLLPRI, FT_LONG_MS));
	ASSERT_EQ(0, ft_setint(self->a, SO_SELECT_ERR_QUEUE, 7));
	EXPECT_EQ(1, ft_getint(self->a, SO_SELECT_ERR_QUEUE));
	EXPECT_EQ(POLLERR | POLLPRI, ft_poll(self->a, POLLPRI, 0));
	EXPECT_EQ(POLLERR, ft_poll(self->a, 0, 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SND, self->stream ? 2 : 0));
	EXPECT_EQ(0, ft_poll(self->a, POLLPRI, 0));

	ASSERT_EQ(0, getsockopt(self->a, SOL_SOCKET, SO_SELECT_ERR_QUEUE, &byte, &len));
	EXPECT_EQ(1, len);
	EXPECT_ERR(EINVAL, setsockopt(self->a, SOL_SOCKET, SO_SELECT_ERR_QUEUE, &on, 3));
	EXPECT_ERR(EFAULT, setsockopt(self->a, SOL_SOCKET, SO_SELECT_ERR_QUEUE,
				      FT_WILD, 4));
}

TEST_F(tx, O37_whichever_error_it_is)
{
	if (variant->kind.domain == AF_INET)
		SKIP(return, "TCP does not heed it");
	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "a connection is needed to be reset");
	ASSERT_EQ(0, ft_setint(self->a, SO_SELECT_ERR_QUEUE, 1));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	ASSERT_TRUE(ft_wait_inq(self->b, 3));
	ft_close(&self->b);
	EXPECT_EQ(POLLERR | POLLPRI,
		  ft_poll(self->a, POLLPRI, FT_LONG_MS) & (POLLERR | POLLPRI));
	EXPECT_EQ(ECONNRESET, ft_getint(self->a, SO_ERROR));
	EXPECT_EQ(0, ft_poll(self->a, POLLPRI, 0) & (POLLERR | POLLPRI));
}

TEST_F(tx, F08_an_empty_error_queue)
{
	struct ft_kind kind = variant->kind;
	struct report report;
	int fd;

	EXPECT_ERR(EAGAIN, next_report(self->a, &report));
	fd = socket(kind.domain, kind.type, 0);
	ASSERT_LE(0, fd);
	EXPECT_ERR(EAGAIN, next_report(fd, &report));
	ft_close(&fd);
}

/* The urgent byte a reader leaves out is behind it as any other. */
TEST_F(tx, O44_ack_of_an_urgent_byte)
{
	char buf[8];

	FERRY_ONLY("TCP acknowledges what arrived");
	if (!self->stream)
		SKIP(return, "streams have urgent bytes");
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING,
			       REPORT | SOF_TIMESTAMPING_TX_ACK));
	ASSERT_EQ(3, send(self->a, "abc", 3, MSG_OOB));
	ASSERT_EQ(2, send_with(self->a, "de", 2, 0));
	ASSERT_EQ(2, recv(self->b, buf, 8, 0));
	EXPECT_TRUE(no_report(self->a));
	ASSERT_EQ(2, recv(self->b, buf, 8, 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_ACK, 2));
}

/* A filter sees the header of UDP before the payload. */
#define HEADER		(variant->kind.domain == AF_INET ? 8 : 0)
#define NOT_TCP()							\
do {									\
	if (self->stream && variant->kind.domain == AF_INET)		\
		SKIP(return, "a filter of TCP sees segments");		\
} while (0)

/* Sends @len bytes, of which the filter is to keep @keep. */
static bool send_kept(int fd, int keep, size_t len)
{
	char buf[64] = { keep };

	return send(fd, buf, len, 0) == len;
}

TEST_F(tx, O44_of_a_message_that_a_filter_drops)
{
	char buf[8];

	NOT_TCP();
	ASSERT_EQ(0, filter_by_byte(self->b, HEADER));
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING, REPORT | TX_ALL));
	/* Sent as far as the sender knows, and by nobody read. */
	ASSERT_TRUE(send_kept(self->a, 0, 3));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SCHED, self->stream ? 2 : 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SND, self->stream ? 2 : 0));
	EXPECT_ERR(EAGAIN, recv(self->b, buf, sizeof(buf), MSG_DONTWAIT));
	EXPECT_TRUE(no_report(self->a));
	/* It counts. */
	ASSERT_TRUE(send_kept(self->a, 100, 3));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SCHED, self->stream ? 5 : 1));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SND, self->stream ? 5 : 1));
	ASSERT_EQ(3, recv(self->b, buf, sizeof(buf), 0));
	if (variant->kind.domain == AF_FERRY)
		EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_ACK,
					  self->stream ? 5 : 1));
	EXPECT_TRUE(no_report(self->a));
	/* Nor is one reported that asks for none. */
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING, REPORT));
	ASSERT_TRUE(send_kept(self->a, 0, 3));
	EXPECT_TRUE(no_report(self->a));
}

TEST_F(tx, O44_of_a_message_that_a_filter_cuts)
{
	char buf[8];

	NOT_TCP();
	ASSERT_EQ(0, filter_by_byte(self->b, HEADER));
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING, REPORT | TX_ALL));
	ASSERT_TRUE(send_kept(self->a, HEADER + 2, 5));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SCHED, self->stream ? 4 : 0));
	EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_SND, self->stream ? 4 : 0));
	EXPECT_TRUE(no_report(self->a));
	/* Read is what was left. */
	ASSERT_EQ(2, recv(self->b, buf, sizeof(buf), 0));
	if (variant->kind.domain == AF_FERRY)
		EXPECT_TRUE(expect_report(self->a, SCM_TSTAMP_ACK,
					  self->stream ? 4 : 0));
	EXPECT_TRUE(no_report(self->a));
}

/* What reports hold, never read, stays within the receive buffer. */
TEST_F(tx, O44_unread_reports_stay_within_the_buffer)
{
	unsigned int info[9], bound, most = 0;
	struct report report;
	socklen_t len;
	char buf[2000] = "";
	int i, n;

	if (self->stream && variant->kind.domain == AF_INET)
		SKIP(return, "TCP acknowledges later");
	ASSERT_EQ(0, ft_setint(self->a, SO_RCVBUF, 10000));
	bound = ft_getint(self->a, SO_RCVBUF);
	ASSERT_EQ(0, ft_setint(self->a, TIMESTAMPING, REPORT | TX_ALL));
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(sizeof(buf), send(self->a, buf, sizeof(buf), 0));
		ASSERT_EQ(sizeof(buf), recv(self->b, buf, sizeof(buf), 0));
		len = sizeof(info);
		ASSERT_EQ(0, getsockopt(self->a, SOL_SOCKET, SO_MEMINFO, info,
					&len));
		if (info[MEMINFO_RMEM] > most)
			most = info[MEMINFO_RMEM];
	}
	EXPECT_LT(0, most);
	EXPECT_GT(bound, most);
	for (n = 0; !next_report(self->a, &report); n++)
		EXPECT_NE(-1, report.type);
	/* Most were lost, and nothing is left. */
	EXPECT_LT(1, n);
	EXPECT_GT(100, n);
	len = sizeof(info);
	ASSERT_EQ(0, getsockopt(self->a, SOL_SOCKET, SO_MEMINFO, info, &len));
	EXPECT_EQ(0, info[MEMINFO_RMEM]);
}

/* A stamp takes the payload along, however much that is. */
TEST(O44_record_of_many_mebibytes)
{
	int room = 16 << 20, n = 0, fd[2];
	size_t len = 5000000;
	char *buf, *back;
	ssize_t got;

	FT_NEED(AF_FERRY, SOCK_SEQPACKET);
	ASSERT_EQ(0, socketpair(AF_FERRY, SOCK_SEQPACKET, 0, fd));
	if (setsockopt(fd[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) ||
	    setsockopt(fd[0], SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
	    setsockopt(fd[1], SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room))) {
		ft_close(&fd[0]);
		ft_close(&fd[1]);
		SKIP(return, "needs root for buffers of this size");
	}
	ASSERT_EQ(0, ft_setint(fd[0], TIMESTAMPING,
			       SOF_TIMESTAMPING_SOFTWARE |
			       SOF_TIMESTAMPING_TX_SOFTWARE));
	buf = malloc(len);
	back = malloc(len);
	ASSERT_NE(NULL, buf);
	ASSERT_NE(NULL, back);
	ft_pattern(buf, 0, len);
	ASSERT_EQ(len, send(fd[0], buf, len, 0));
	ASSERT_EQ(len, recv(fd[1], back, len, 0));
	EXPECT_TRUE(ft_pattern_ok(back, 0, len));
	memset(back, 0, len);
	while ((got = recv(fd[0], back, len, MSG_ERRQUEUE | MSG_DONTWAIT)) >= 0) {
		EXPECT_EQ(len, got);
		EXPECT_TRUE(ft_pattern_ok(back, 0, len));
		n++;
	}
	EXPECT_EQ(1, n);
	free(buf);
	free(back);
	ft_close(&fd[0]);
	ft_close(&fd[1]);
}

FT_HARNESS_MAIN
