// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors that travel: SCM_RIGHTS of every type. What is received, what is
 * dropped, and that nothing is kept. X01, X05, P04.
 */

#include "passenger.h"
#include "kselftest_harness.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* Connected ends of types that pass descriptors. */
FIXTURE(rights)
{
	struct ft_leak leak;
	struct witness witness;
	int a, b;
};

FIXTURE_VARIANT(rights)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(rights, FERRY_stream_pair)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(rights, FERRY_stream_conn)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(rights, FERRY_seqpacket_pair)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(rights, FERRY_seqpacket_conn)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(rights, FERRY_dgram_pair)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(rights, FERRY_dgram_conn)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(rights, UNIX_stream_pair)
{
	.kind = { AF_UNIX, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(rights, UNIX_seqpacket_pair)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(rights, UNIX_dgram_pair)
{
	.kind = { AF_UNIX, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_SETUP(rights)
{
	self->a = -1;
	self->b = -1;
	self->witness.in = -1;
	self->witness.out = -1;
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
	ASSERT_TRUE(witness_make(&self->witness));
}

FIXTURE_TEARDOWN(rights)
{
	ft_close(&self->a);
	ft_close(&self->b);
	ft_close(&self->witness.in);
	ft_close(&self->witness.out);
	FT_NO_LEAK(&self->leak);
}

/* Sends the witness along with @len bytes. */
#define SEND_WITNESS(text, len)						\
	ASSERT_EQ(len, pass_send(self->a, text, len, &self->witness.out, 1, \
				 NULL, 0))

static bool is_stream(const struct ft_kind *kind)
{
	return kind->type == SOCK_STREAM;
}

TEST_F(rights, X01_one_descriptor)
{
	struct pass pass;
	char buf[8];

	SEND_WITNESS("x", 1);
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	ASSERT_EQ(1, pass.fds);
	EXPECT_EQ(0, pass.flags & MSG_CTRUNC);
	EXPECT_NE(self->witness.out, pass.fd[0]);
	EXPECT_TRUE(pass_same(self->witness.out, pass.fd[0]));
	EXPECT_EQ(2, write(pass.fd[0], "hi", 2));
	EXPECT_EQ(2, read(self->witness.in, buf, 8));
	pass_close(&pass);
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, X01_how_many)
{
	static const int counts[] = { 1, 2, 3, 100, PASS_MAX_FDS };
	int fds[PASS_MAX_FDS + 1];
	struct pass pass;
	char buf[8];
	size_t i;
	int j;

	for (j = 0; j < PASS_MAX_FDS + 1; j++)
		fds[j] = self->witness.out;
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		ASSERT_EQ(1, pass_send(self->a, "x", 1, fds, counts[i], NULL,
				       0));
		EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
		EXPECT_EQ(counts[i], pass.fds);
		EXPECT_EQ(1, pass.messages);
		for (j = 0; j < pass.fds; j++)
			ASSERT_TRUE(pass_same(pass.fd[j], self->witness.out));
		pass_close(&pass);
	}
	EXPECT_ERR(EINVAL, pass_send(self->a, "x", 1, fds, PASS_MAX_FDS + 1,
				     NULL, 0));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, X01_order_is_kept)
{
	int fds[10], same[10], i;
	struct pass pass;
	char buf[8];

	for (i = 0; i < 10; i++) {
		fds[i] = eventfd(0, 0);
		ASSERT_LE(0, fds[i]);
		ASSERT_EQ(8, write(fds[i], &(uint64_t){ i + 1 }, 8));
	}
	ASSERT_EQ(1, pass_send(self->a, "x", 1, fds, 10, NULL, 0));
	for (i = 0; i < 10; i++)
		ft_close(&fds[i]);
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	ASSERT_EQ(10, pass.fds);
	for (i = 0; i < 10; i++) {
		uint64_t value = 0;

		same[i] = read(pass.fd[i], &value, 8) == 8 && value == i + 1;
		EXPECT_TRUE(same[i]);
	}
	pass_close(&pass);
}

TEST_F(rights, X01_several_headers_in_one_message)
{
	union {
		struct cmsghdr align;
		char buf[2 * CMSG_SPACE(127 * sizeof(int))];
	} control;
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
	};
	static const int counts[] = { 2, 126, 127 };
	struct cmsghdr *cmsg;
	struct pass pass;
	char buf[8];
	size_t i;
	int j, k;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		msg.msg_controllen = 2 * CMSG_SPACE(counts[i] * sizeof(int));
		memset(&control, 0, sizeof(control));
		cmsg = CMSG_FIRSTHDR(&msg);
		for (j = 0; j < 2; j++) {
			cmsg->cmsg_level = SOL_SOCKET;
			cmsg->cmsg_type = SCM_RIGHTS;
			cmsg->cmsg_len = CMSG_LEN(counts[i] * sizeof(int));
			for (k = 0; k < counts[i]; k++)
				((int *)CMSG_DATA(cmsg))[k] = self->witness.out;
			cmsg = CMSG_NXTHDR(&msg, cmsg);
		}
		if (2 * counts[i] > PASS_MAX_FDS) {
			EXPECT_ERR(EINVAL, sendmsg(self->a, &msg, 0));
			continue;
		}
		ASSERT_EQ(1, sendmsg(self->a, &msg, 0));
		EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
		EXPECT_EQ(2 * counts[i], pass.fds);
		pass_close(&pass);
	}
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, F08_cmsg_cloexec)
{
	struct pass pass;
	char buf[8];

	SEND_WITNESS("x", 1);
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, MSG_CMSG_CLOEXEC));
	ASSERT_EQ(1, pass.fds);
	EXPECT_EQ(FD_CLOEXEC, fcntl(pass.fd[0], F_GETFD));
	pass_close(&pass);
	SEND_WITNESS("x", 1);
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	ASSERT_EQ(1, pass.fds);
	EXPECT_EQ(0, fcntl(pass.fd[0], F_GETFD));
	pass_close(&pass);
}

TEST_F(rights, X01_every_kind_of_file)
{
	int fds[12], n = 0, i, sv[2];
	struct pass pass;
	char buf[8];

	fds[n++] = open("/proc/self/exe", O_RDONLY);
	fds[n++] = open("/", O_RDONLY | O_DIRECTORY);
	fds[n++] = open("/", O_PATH);
	fds[n++] = open("/dev/null", O_RDWR);
	fds[n++] = syscall(SYS_memfd_create, "x", 0);
	fds[n++] = eventfd(0, 0);
	fds[n++] = epoll_create1(0);
	fds[n++] = socket(AF_INET, SOCK_STREAM, 0);
	fds[n++] = socket(AF_INET, SOCK_DGRAM, 0);
	ASSERT_EQ(0, ft_pair(&variant->kind, &sv[0], &sv[1]));
	fds[n++] = sv[0];
	fds[n++] = sv[1];
	for (i = 0; i < n; i++)
		ASSERT_LE(0, fds[i]);
	ASSERT_EQ(1, pass_send(self->a, "x", 1, fds, n, NULL, 0));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	ASSERT_EQ(n, pass.fds);
	for (i = 0; i < n; i++) {
		EXPECT_TRUE(pass_same(fds[i], pass.fd[i])) {
			TH_LOG("file %d", i);
		}
		ft_close(&fds[i]);
	}
	/* The passed sockets live on. */
	EXPECT_TRUE(ft_send_all(pass.fd[n - 2], 0, 10, 10));
	EXPECT_TRUE(ft_recv_all(pass.fd[n - 1], 0, 10, 10));
	pass_close(&pass);
}

TEST_F(rights, X01_refused_kinds)
{
	char params[256] = "";
	int fds[2], uring;

	if (variant->kind.domain != AF_FERRY)
		SKIP(return, "AF_UNIX takes its own sockets");
	/* Not even hidden behind something that is fine. */
	fds[0] = self->witness.out;
	fds[1] = socket(AF_UNIX, SOCK_DGRAM, 0);
	ASSERT_LE(0, fds[1]);
	EXPECT_ERR(EINVAL, pass_send(self->a, "x", 1, &fds[1], 1, NULL, 0));
	EXPECT_ERR(EINVAL, pass_send(self->a, "x", 1, fds, 2, NULL, 0));
	ft_close(&fds[1]);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	EXPECT_ERR(EINVAL, pass_send(self->a, "x", 1, fds, 2, NULL, 0));
	ft_close(&fds[0]);
	ft_close(&fds[1]);

	uring = syscall(SYS_io_uring_setup, 4, params);
	if (uring >= 0) {
		EXPECT_ERR(EINVAL, pass_send(self->a, "x", 1, &uring, 1, NULL,
					     0));
		ft_close(&uring);
	} else {
		TH_LOG("no io_uring here: %s", strerror(errno));
	}
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	EXPECT_TRUE(witness_gone(&self->witness));
}

/* Truncation and those who do not look. */

TEST_F(rights, F08_ctrunc)
{
	struct witness rest;
	struct pass pass;
	int fds[5], i;
	char buf[8];

	ASSERT_TRUE(witness_make(&rest));
	for (i = 0; i < 5; i++)
		fds[i] = i < 2 ? self->witness.out : rest.out;
	ASSERT_EQ(1, pass_send(self->a, "x", 1, fds, 5, NULL, 0));
	EXPECT_EQ(1, pass_recv_room(self->b, buf, 8, &pass, 0,
				    CMSG_LEN(2 * sizeof(int))));
	EXPECT_EQ(MSG_CTRUNC, pass.flags & MSG_CTRUNC);
	EXPECT_EQ(2, pass.fds);
	EXPECT_TRUE(witness_gone(&rest));
	EXPECT_TRUE(witness_held(&self->witness));
	pass_close(&pass);
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, F08_ctrunc_without_room)
{
	static const size_t rooms[] = {
		0, 1, sizeof(struct cmsghdr) - 1, CMSG_LEN(0),
		CMSG_LEN(sizeof(int)) - 1,
	};
	struct pass pass;
	char buf[8];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rooms); i++) {
		SEND_WITNESS("x", 1);
		EXPECT_EQ(1, pass_recv_room(self->b, buf, 8, &pass, 0,
					    rooms[i]));
		EXPECT_EQ(0, pass.fds);
		EXPECT_EQ(MSG_CTRUNC, pass.flags & MSG_CTRUNC) {
			TH_LOG("room of %zu bytes", rooms[i]);
		}
	}
	EXPECT_TRUE(witness_gone(&self->witness));
}

static ssize_t by_recv(int fd, char *buf, size_t len)
{
	return recv(fd, buf, len, 0);
}

static ssize_t by_readv(int fd, char *buf, size_t len)
{
	struct iovec iov = { buf, len };

	return readv(fd, &iov, 1);
}

static ssize_t by_recvfrom(int fd, char *buf, size_t len)
{
	struct ft_addr from = { .len = sizeof(from.ss) };

	return recvfrom(fd, buf, len, 0, &from.sa, &from.len);
}

static ssize_t by_recvmmsg(int fd, char *buf, size_t len)
{
	struct iovec iov = { buf, len };
	struct mmsghdr msg = {
		.msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 },
	};

	return recvmmsg(fd, &msg, 1, 0, NULL) == 1 ? (ssize_t)msg.msg_len : -1;
}

static ssize_t by_splice(int fd, char *buf, size_t len)
{
	ssize_t n;
	int p[2];

	if (pipe(p))
		return -1;
	n = splice(fd, NULL, p[1], NULL, len, 0);
	if (n > 0)
		n = read(p[0], buf, len);
	else if (n < 0 && errno == EINVAL)
		/* Not every type and kernel has it. */
		n = recv(fd, buf, len, 0);
	close(p[0]);
	close(p[1]);
	return n;
}

TEST_F(rights, X01_paths_without_control_data_drop_them)
{
	ssize_t (*by[])(int fd, char *buf, size_t len) = {
		by_recv, by_readv, by_recvfrom, by_recvmmsg, by_splice,
	};
	char buf[8];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(by); i++) {
		struct witness witness;

		ASSERT_TRUE(witness_make(&witness));
		ASSERT_EQ(1, pass_send(self->a, "x", 1, &witness.out, 1, NULL,
				       0));
		EXPECT_TRUE(witness_held(&witness));
		EXPECT_EQ(1, by[i](self->b, buf, 8));
		EXPECT_EQ('x', buf[0]);
		EXPECT_TRUE(witness_gone(&witness)) {
			TH_LOG("path %zu", i);
		}
	}
}

/* Peeking. */

TEST_F(rights, X01_peek_gives_further_descriptors)
{
	struct pass pass[3];
	char buf[8];
	int i;

	SEND_WITNESS("x", 1);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass[i],
				       i < 2 ? MSG_PEEK : 0));
		ASSERT_EQ(1, pass[i].fds);
		EXPECT_TRUE(pass_same(self->witness.out, pass[i].fd[0]));
	}
	EXPECT_NE(pass[0].fd[0], pass[1].fd[0]);
	for (i = 0; i < 3; i++) {
		EXPECT_TRUE(witness_held(&self->witness));
		pass_close(&pass[i]);
	}
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, X01_peek_without_room)
{
	struct pass pass;
	char buf[8];

	SEND_WITNESS("x", 1);
	EXPECT_EQ(1, recv(self->b, buf, 8, MSG_PEEK));
	EXPECT_EQ(1, pass_recv_room(self->b, buf, 8, &pass, MSG_PEEK, 0));
	EXPECT_EQ(MSG_CTRUNC, pass.flags & MSG_CTRUNC);
	EXPECT_TRUE(witness_held(&self->witness));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_EQ(1, pass.fds);
	pass_close(&pass);
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, X01_peeked_and_never_read)
{
	struct pass pass;
	char buf[8];

	SEND_WITNESS("x", 1);
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, MSG_PEEK));
	ft_close(&self->b);
	EXPECT_TRUE(witness_held(&self->witness));
	pass_close(&pass);
	EXPECT_TRUE(witness_gone(&self->witness));
}

/* The end of those who hold them. */

TEST_F(rights, X01_close_with_mail_in_the_queue)
{
	SEND_WITNESS("x", 1);
	EXPECT_TRUE(witness_held(&self->witness));
	ft_close(&self->b);
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, X01_sender_gone)
{
	struct pass pass;
	char buf[8];

	SEND_WITNESS("x", 1);
	ft_close(&self->a);
	EXPECT_TRUE(witness_held(&self->witness));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_EQ(1, pass.fds);
	EXPECT_TRUE(witness_held(&self->witness));
	pass_close(&pass);
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, X01_process_death)
{
	struct ft_child child;
	int a, b;

	if (!ft_fork(&child)) {
		if (ft_pair(&variant->kind, &a, &b) ||
		    pass_send(a, "x", 1, &self->witness.out, 1, NULL, 0) != 1)
			_exit(1);
		ft_say(&child, "sent");
		pause();
	}
	ASSERT_TRUE(ft_expect(&child, "sent"));
	EXPECT_TRUE(witness_held(&self->witness));
	kill(child.pid, SIGKILL);
	ft_wait_child(&child);
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, X05_the_socket_itself)
{
	struct pass pass;
	char buf[8];
	int c, d;

	/* An end that exists in a queue only, then nowhere else. */
	ASSERT_EQ(0, ft_pair(&variant->kind, &c, &d));
	ASSERT_EQ(1, pass_send(self->a, "x", 1, &d, 1, NULL, 0));
	ft_close(&d);
	ASSERT_TRUE(ft_send_all(c, 0, 5, 5));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	ASSERT_EQ(1, pass.fds);
	EXPECT_TRUE(ft_recv_all(pass.fd[0], 0, 5, 5));
	pass_close(&pass);
	EXPECT_NE(0, ft_err(send(c, "x", 1, MSG_NOSIGNAL)));
	ft_close(&c);
}

TEST_F(rights, X05_a_socket_with_mail_of_its_own)
{
	struct pass pass, inner;
	char buf[8];
	int c, d;

	ASSERT_EQ(0, ft_pair(&variant->kind, &c, &d));
	ASSERT_EQ(1, pass_send(c, "y", 1, &self->witness.out, 1, NULL, 0));
	ASSERT_EQ(1, pass_send(self->a, "x", 1, &d, 1, NULL, 0));
	ft_close(&c);
	ft_close(&d);
	EXPECT_TRUE(witness_held(&self->witness));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	ASSERT_EQ(1, pass.fds);
	EXPECT_EQ(1, pass_recv(pass.fd[0], buf, 8, &inner, 0));
	EXPECT_EQ('y', buf[0]);
	ASSERT_EQ(1, inner.fds);
	pass_close(&inner);
	pass_close(&pass);
	EXPECT_TRUE(witness_gone(&self->witness));
}

/* Sends that fail keep nothing. */

TEST_F(rights, X01_bad_descriptors)
{
	int fds[3] = { self->witness.out, self->witness.out, -1 };

	EXPECT_ERR(EBADF, pass_send(self->a, "x", 1, fds, 3, NULL, 0));
	fds[2] = 1 << 20;
	EXPECT_ERR(EBADF, pass_send(self->a, "x", 1, fds, 3, NULL, 0));
	fds[2] = dup(0);
	close(fds[2]);
	EXPECT_ERR(EBADF, pass_send(self->a, "x", 1, fds, 3, NULL, 0));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, X01_bad_headers)
{
	union {
		struct cmsghdr header;
		char buf[256];
	} control;
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
		.msg_controllen = CMSG_SPACE(sizeof(int)),
	};
	char buf[8];
	size_t len;

	memset(&control, 0, sizeof(control));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	*(int *)CMSG_DATA(&control.header) = self->witness.out;
	/* A header shorter than itself, or longer than all there is. */
	for (len = 0; len < sizeof(struct cmsghdr); len++) {
		control.header.cmsg_len = len;
		EXPECT_ERR(EINVAL, sendmsg(self->a, &msg, 0));
	}
	control.header.cmsg_len = CMSG_SPACE(sizeof(int)) + 1;
	EXPECT_ERR(EINVAL, sendmsg(self->a, &msg, 0));
	control.header.cmsg_len = (size_t)-1;
	EXPECT_ERR(EINVAL, sendmsg(self->a, &msg, 0));
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	control.header.cmsg_type = 99;
	EXPECT_ERR(EINVAL, sendmsg(self->a, &msg, 0));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));

	/* Control data of other levels is none of the family's business. */
	control.header.cmsg_level = SOL_IP;
	EXPECT_EQ(1, sendmsg(self->a, &msg, 0));
	EXPECT_EQ(1, recv(self->b, buf, 8, 0));
	/* Too short for a header at all: nothing is there. */
	control.header.cmsg_level = SOL_SOCKET;
	msg.msg_controllen = sizeof(struct cmsghdr) - 1;
	if (sizeof(long) == 4) {
		/* The core translates headers, and wants one. */
		EXPECT_ERR(EINVAL, sendmsg(self->a, &msg, 0));
	} else {
		EXPECT_EQ(1, sendmsg(self->a, &msg, 0));
		EXPECT_EQ(1, recv(self->b, buf, 8, 0));
	}
	/* Not a whole descriptor. */
	msg.msg_controllen = CMSG_SPACE(sizeof(int));
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(3);
	EXPECT_EQ(1, sendmsg(self->a, &msg, 0));
	EXPECT_EQ(1, recv(self->b, buf, 8, 0));
	EXPECT_TRUE(witness_gone(&self->witness));
}

/* Control messages of every kind, good ones and bad ones. */
enum header {
	H_RIGHTS, H_NO_RIGHTS, H_CREDS, H_OTHER_LEVEL, H_UNKNOWN,
	H_SHORT, H_BAD_FD, H_SHORT_CREDS, H_FORGED, H_KINDS,
};

static const int header_err[H_KINDS] = {
	[H_UNKNOWN] = EINVAL, [H_SHORT] = EINVAL, [H_BAD_FD] = EBADF,
	[H_SHORT_CREDS] = EINVAL, [H_FORGED] = ESRCH,
};

/* Writes one; how much room it takes. */
static size_t header_put(struct cmsghdr *cmsg, enum header kind, int fd)
{
	struct ucred cred = { getpid(), getuid(), getgid() };
	size_t len = 0;

	cmsg->cmsg_level = kind == H_OTHER_LEVEL ? SOL_IP : SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	switch (kind) {
	case H_RIGHTS:
	case H_BAD_FD:
		fd = kind == H_RIGHTS ? fd : -1;
		len = sizeof(fd);
		memcpy(CMSG_DATA(cmsg), &fd, len);
		break;
	case H_CREDS:
	case H_SHORT_CREDS:
	case H_FORGED:
		if (kind == H_FORGED)
			cred.pid = 1 << 29;
		cmsg->cmsg_type = SCM_CREDENTIALS;
		len = sizeof(cred) - (kind == H_SHORT_CREDS);
		memcpy(CMSG_DATA(cmsg), &cred, len);
		break;
	case H_UNKNOWN:
		cmsg->cmsg_type = 99;
		break;
	default:
		break;
	}
	cmsg->cmsg_len = CMSG_LEN(len);
	if (kind == H_SHORT)
		cmsg->cmsg_len = sizeof(*cmsg) - 1;
	return CMSG_SPACE(len);
}

/* The first that is bad decides, and what came before it is let go. */
TEST_F(rights, X01_every_order_of_headers)
{
	union {
		struct cmsghdr align;
		char buf[256];
	} control;
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
	};
	unsigned int order, i;
	struct pass pass;
	char buf[8];

	if (geteuid())
		SKIP(return, "only root gets to know that there is no such process");
	for (order = 0; order < H_KINDS * H_KINDS * H_KINDS; order++) {
		enum header kind[3] = {
			order % H_KINDS, order / H_KINDS % H_KINDS,
			order / H_KINDS / H_KINDS,
		};
		int err = 0, fds = 0;

		memset(&control, 0, sizeof(control));
		msg.msg_controllen = 0;
		for (i = 0; i < 3; i++) {
			msg.msg_controllen +=
				header_put((void *)(control.buf +
						    msg.msg_controllen),
					   kind[i], self->witness.out);
			fds += kind[i] == H_RIGHTS;
			err = err ?: header_err[kind[i]];
			/* The core translates all headers before it looks. */
			if (sizeof(long) == 4 && kind[i] == H_SHORT) {
				err = EINVAL;
				break;
			}
		}
		ASSERT_EQ(err, ft_err(sendmsg(self->a, &msg, 0))) {
			TH_LOG("%d, %d, %d", kind[0], kind[1], kind[2]);
		}
		if (err)
			continue;
		ASSERT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
		ASSERT_EQ(fds, pass.fds) {
			TH_LOG("%d, %d, %d", kind[0], kind[1], kind[2]);
		}
		pass_close(&pass);
	}
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, X01_faults_while_sending)
{
	char *edge, *map = ft_page_edge(&edge);
	struct iovec iov = { "x", 1 };
	struct cmsghdr header = {
		.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = FT_WILD, .msg_controllen = 64,
	};

	ASSERT_NE(NULL, map);
	EXPECT_ERR(EFAULT, sendmsg(self->a, &msg, 0));
	memcpy(edge - sizeof(header), &header, sizeof(header));
	msg.msg_control = edge - sizeof(header);
	msg.msg_controllen = CMSG_SPACE(sizeof(int));
	EXPECT_ERR(EFAULT, sendmsg(self->a, &msg, 0));
	/* The descriptors are taken by then, the data is not. */
	EXPECT_ERR(EFAULT, pass_send(self->a, FT_WILD, 10, &self->witness.out,
				     1, NULL, 0));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	EXPECT_TRUE(witness_gone(&self->witness));
	munmap(map, edge - map);
}

TEST_F(rights, X01_faults_while_receiving)
{
	struct iovec iov = { FT_WILD, 8 };
	char control[64];
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct pass pass;
	char buf[8];

	/* AF_UNIX loses a record that cannot be copied out. */
	SEND_WITNESS("x", 1);
	EXPECT_ERR(EFAULT, recvmsg(self->b, &msg, 0));
	if (variant->kind.domain == AF_FERRY) {
		EXPECT_TRUE(witness_held(&self->witness));
		EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
		ASSERT_EQ(1, pass.fds);
		self->witness.out = dup(pass.fd[0]);
		pass_close(&pass);
	} else {
		recv(self->b, buf, 8, MSG_DONTWAIT);
	}

	/* Data arrives, descriptors cannot: they are dropped. */
	SEND_WITNESS("x", 1);
	iov.iov_base = buf;
	msg.msg_control = FT_WILD;
	msg.msg_controllen = 64;
	recvmsg(self->b, &msg, 0);
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, X01_no_free_descriptor)
{
	struct rlimit old, limit;
	struct pass pass;
	char buf[8];
	int next;

	SEND_WITNESS("x", 1);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	next = dup(0);
	ASSERT_LE(0, next);
	close(next);
	limit = old;
	limit.rlim_cur = next;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_EQ(0, pass.fds);
	EXPECT_EQ(MSG_CTRUNC, pass.flags & MSG_CTRUNC);
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, X01_full_queue)
{
	char buf[1000] = "";
	struct ft_call call = {
		.fn = ft_do_send, .fd = self->a, .buf = buf, .len = 1,
	};
	int fds[2] = { self->witness.out, self->witness.out };

	ft_shrink(self->a, self->b);
	while (send(self->a, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	EXPECT_EQ(EAGAIN, errno);
	/* Where so much has no room a byte may. */
	while (send(self->a, buf, 1, MSG_DONTWAIT) > 0)
		;
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_ERR(EAGAIN, pass_send(self->a, "x", 1, fds, 2, NULL,
				     MSG_DONTWAIT));
	ASSERT_EQ(0, ft_settimeo(self->a, SO_SNDTIMEO, 50));
	EXPECT_ERR(EAGAIN, pass_send(self->a, "x", 1, fds, 2, NULL, 0));
	EXPECT_TRUE(witness_gone(&self->witness));
	ASSERT_EQ(0, ft_settimeo(self->a, SO_SNDTIMEO, 0));
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	while (!atomic_load(&call.done))
		recv(self->b, buf, sizeof(buf), MSG_DONTWAIT);
	ft_join(&call);
	EXPECT_EQ(1, call.ret);
}

static ssize_t do_pass_send(struct ft_call *call)
{
	return pass_send(call->fd, "x", 1, call->buf, 1, NULL, MSG_NOSIGNAL);
}

TEST_F(rights, X01_receiver_goes_while_the_sender_waits)
{
	char buf[1000] = "";
	struct ft_call call = {
		.fn = do_pass_send, .fd = self->a, .buf = &self->witness.out,
	};
	int fd;

	ft_shrink(self->a, self->b);
	while (send(self->a, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	fd = self->witness.out;
	EXPECT_EQ(0, close(fd));
	self->witness.out = -1;
	EXPECT_TRUE(witness_held(&self->witness));
	ft_close(&self->b);
	ft_join(&call);
	EXPECT_EQ(-1, call.ret);
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, X01_too_large_or_broken)
{
	int len = ft_getint(self->a, SO_SNDBUF) + 1;
	char *buf = calloc(1, len);

	ASSERT_NE(NULL, buf);
	if (!is_stream(&variant->kind))
		EXPECT_ERR(EMSGSIZE, pass_send(self->a, buf, len,
					       &self->witness.out, 1, NULL,
					       MSG_DONTWAIT));
	free(buf);
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	EXPECT_ERR(EPIPE, pass_send(self->a, "x", 1, &self->witness.out, 1,
				    NULL, MSG_NOSIGNAL));
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, X01_message_without_bytes)
{
	struct pass pass;
	char buf[8];

	ssize_t ret;

	ret = pass_send(self->a, "", 0, &self->witness.out, 1, NULL, 0);
	if (is_stream(&variant->kind)) {
		/* There is nothing they could come with: AF_UNIX says nothing. */
		if (variant->kind.domain == AF_FERRY) {
			EXPECT_EQ(-1, ret);
			EXPECT_EQ(EINVAL, errno);
		}
		EXPECT_TRUE(witness_gone(&self->witness));
		EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
		return;
	}
	EXPECT_EQ(0, ret);
	EXPECT_TRUE(witness_held(&self->witness));
	EXPECT_EQ(0, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_EQ(1, pass.fds);
	pass_close(&pass);
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, F08_rest_of_a_record_takes_none_with_it)
{
	struct pass pass;
	char buf[8];

	/* Cut or not, the descriptors come with the first bytes. */
	SEND_WITNESS("abcdef", 6);
	EXPECT_EQ(2, pass_recv(self->b, buf, 2, &pass, 0));
	EXPECT_EQ(1, pass.fds);
	EXPECT_EQ(is_stream(&variant->kind) ? 0 : MSG_TRUNC,
		  pass.flags & MSG_TRUNC);
	pass_close(&pass);
	if (is_stream(&variant->kind)) {
		EXPECT_EQ(4, pass_recv(self->b, buf, 8, &pass, 0));
		EXPECT_EQ(0, pass.fds);
	}
	EXPECT_TRUE(witness_gone(&self->witness));
}

/* A stream is cut where descriptors are. */

TEST_F(rights, X01_stream_never_merges_descriptors)
{
	int first = eventfd(0, 0), second = eventfd(0, 0);
	struct pass pass;
	char buf[16];

	if (!is_stream(&variant->kind))
		SKIP(return, "records are never merged");
	ASSERT_EQ(4, send(self->a, "aaaa", 4, 0));
	ASSERT_EQ(1, pass_send(self->a, "b", 1, &first, 1, NULL, 0));
	ASSERT_EQ(4, send(self->a, "cccc", 4, 0));
	ASSERT_EQ(1, pass_send(self->a, "d", 1, &second, 1, NULL, 0));
	ASSERT_EQ(1, pass_send(self->a, "e", 1, &first, 1, NULL, 0));

	/* The example of unix(7). */
	EXPECT_EQ(5, pass_recv(self->b, buf, 20 - 4, &pass, 0));
	EXPECT_EQ(0, memcmp(buf, "aaaab", 5));
	EXPECT_EQ(1, pass.fds);
	EXPECT_TRUE(pass_same(first, pass.fd[0]));
	pass_close(&pass);
	EXPECT_EQ(5, pass_recv(self->b, buf, sizeof(buf), &pass, MSG_WAITALL));
	EXPECT_EQ(0, memcmp(buf, "ccccd", 5));
	EXPECT_EQ(1, pass.fds);
	EXPECT_TRUE(pass_same(second, pass.fd[0]));
	pass_close(&pass);
	EXPECT_EQ(1, pass_recv(self->b, buf, sizeof(buf), &pass, 0));
	EXPECT_EQ('e', buf[0]);
	EXPECT_EQ(1, pass.fds);
	pass_close(&pass);
	ft_close(&first);
	ft_close(&second);
}

TEST_F(rights, X01_stream_nothing_is_appended_to_them)
{
	struct pass pass;
	char buf[16];

	if (!is_stream(&variant->kind))
		SKIP(return, "records are never merged");
	SEND_WITNESS("ab", 2);
	ASSERT_EQ(2, send(self->a, "cd", 2, 0));
	EXPECT_EQ(2, pass_recv(self->b, buf, 16, &pass, MSG_PEEK));
	EXPECT_EQ(1, pass.fds);
	pass_close(&pass);
	EXPECT_EQ(2, pass_recv(self->b, buf, 4, &pass, MSG_WAITALL));
	EXPECT_EQ(1, pass.fds);
	pass_close(&pass);
	EXPECT_EQ(2, pass_recv(self->b, buf, 16, &pass, 0));
	EXPECT_EQ(0, pass.fds);
	EXPECT_EQ(0, memcmp(buf, "cd", 2));
}

TEST_F(rights, X01_stream_long_message)
{
	size_t len = 200000, got = 0;
	char *buf = malloc(len);
	struct pass pass;
	int fds = 0;
	ssize_t n;

	if (!is_stream(&variant->kind))
		SKIP(return, "records have their own");
	/* More buffers than one, one message: the descriptors come once. */
	ASSERT_NE(NULL, buf);
	ft_pattern(buf, 0, len);
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 1 << 20));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 1 << 20));
	n = pass_send(self->a, buf, len, &self->witness.out, 1, NULL,
		      MSG_DONTWAIT);
	ASSERT_LT(0, n);
	len = n;
	while (got < len) {
		n = pass_recv(self->b, buf, len, &pass, MSG_DONTWAIT);
		ASSERT_LT(0, n);
		ASSERT_TRUE(ft_pattern_ok(buf, got, n));
		EXPECT_EQ(got ? 0 : 1, pass.fds);
		fds += pass.fds;
		pass_close(&pass);
		got += n;
	}
	EXPECT_EQ(1, fds);
	EXPECT_TRUE(witness_gone(&self->witness));
	free(buf);
}

/* Limits. */

TEST_F(rights, X01_in_flight_limit_of_a_user)
{
	/* Somebody whom no other test has in flight. */
	uid_t uid = 40000 + getpid() % 20000;
	struct rlimit limit = { 40, 40 };
	struct ft_child child;
	struct pass pass;
	int fds[10], i, n;
	char buf[8];

	if (geteuid())
		SKIP(return, "needs root to become somebody else");
	if (!ft_fork(&child)) {
		for (i = 0; i < 10; i++)
			fds[i] = self->witness.out;
		if (setrlimit(RLIMIT_NOFILE, &limit) || !ft_become(uid, uid))
			_exit(255);
		n = 0;
		while (pass_send(self->a, "x", 1, fds, 10, NULL,
				 MSG_DONTWAIT) == 1)
			n++;
		if (errno != ETOOMANYREFS)
			_exit(1);
		/* AF_UNIX looks before it adds. */
		if (n < 4 || n > 5)
			_exit(2);
		/* Reading makes room. */
		for (i = 0; i < n; i++) {
			if (pass_recv(self->b, buf, 8, &pass, 0) != 1)
				_exit(3);
			pass_close(&pass);
		}
		for (i = 0; i < n; i++)
			if (pass_send(self->a, "x", 1, fds, 10, NULL, 0) != 1)
				_exit(4);
		if (ft_err(pass_send(self->a, "x", 1, fds, 10, NULL, 0)) !=
		    ETOOMANYREFS)
			_exit(5);
		ft_say(&child, "full");
		pause();
	}
	ASSERT_TRUE(ft_expect(&child, "full"));
	/* Another user, and root at that, is not concerned. */
	EXPECT_EQ(1, pass_send(self->a, "x", 1, &self->witness.out, 1, NULL,
			       MSG_DONTWAIT));
	kill(child.pid, SIGKILL);
	ft_wait_child(&child);

	/* Nor is what was in flight charged for ever. */
	ft_close(&self->a);
	ft_close(&self->b);
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
	if (!ft_fork(&child)) {
		if (setrlimit(RLIMIT_NOFILE, &limit) || !ft_become(uid, uid))
			_exit(255);
		n = 0;
		while (pass_send(self->a, "x", 1, &self->witness.out, 1, NULL,
				 MSG_DONTWAIT) == 1)
			n++;
		_exit(n);
	}
	n = ft_wait_child(&child);
	EXPECT_LE(40, n);
	EXPECT_GE(41, n);
	ft_close(&self->b);
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, P04_optmem)
{
	int optmem, n = 0, len;
	char *control;
	struct iovec iov = { "x", 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	FILE *f = fopen("/proc/sys/net/core/optmem_max", "re");

	if (f) {
		n = fscanf(f, "%d", &optmem);
		fclose(f);
	}
	if (n != 1 || optmem > 1 << 20)
		SKIP(return, "optmem_max cannot be read, or is very large");
	len = optmem + 4096;
	control = calloc(1, len);
	ASSERT_NE(NULL, control);
	((struct cmsghdr *)control)->cmsg_len = len;
	((struct cmsghdr *)control)->cmsg_level = SOL_IP;
	msg.msg_control = control;
	msg.msg_controllen = len;
	/* The core's errno differs for programs of 32 bits. */
	EXPECT_ERR(sizeof(long) == 4 ? ENOMEM : ENOBUFS,
		   sendmsg(self->a, &msg, 0));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	free(control);
}

/* Those who do not want any. */

TEST_F(rights, X01_refused_by_the_receiver)
{
	int off = 0, on = 1, value = -1;
	socklen_t len = sizeof(value);
	struct pass pass;
	char buf[8];

	if (variant->kind.domain != AF_FERRY)
		SKIP(return, "an option of AF_FERRY");
	ASSERT_EQ(0, getsockopt(self->b, SOL_FERRY, FERRY_PASSRIGHTS, &value,
				&len));
	EXPECT_EQ(1, value);
	ASSERT_EQ(0, setsockopt(self->b, SOL_FERRY, FERRY_PASSRIGHTS, &off,
				sizeof(off)));
	ASSERT_EQ(0, getsockopt(self->b, SOL_FERRY, FERRY_PASSRIGHTS, &value,
				&len));
	EXPECT_EQ(0, value);
	EXPECT_ERR(EPERM, pass_send(self->a, "x", 1, &self->witness.out, 1,
				    NULL, 0));
	/* Bytes alone are welcome, and the other direction is its own. */
	EXPECT_EQ(1, send(self->a, "y", 1, 0));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_EQ('y', buf[0]);
	EXPECT_EQ(1, pass_send(self->b, "z", 1, &self->witness.out, 1, NULL,
			       0));
	EXPECT_EQ(1, pass_recv(self->a, buf, 8, &pass, 0));
	EXPECT_EQ(1, pass.fds);
	pass_close(&pass);
	ASSERT_EQ(0, setsockopt(self->b, SOL_FERRY, FERRY_PASSRIGHTS, &on,
				sizeof(on)));
	EXPECT_EQ(1, pass_send(self->a, "x", 1, &self->witness.out, 1, NULL,
			       0));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_EQ(1, pass.fds);
	pass_close(&pass);
	EXPECT_TRUE(witness_gone(&self->witness));
}

/* What /proc says waits for a socket, -1 if it says nothing. */
static long fdinfo_fds(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return ft_proc_number(path, "scm_fds:");
}

TEST_F(rights, X01_fdinfo_tells_how_many_wait)
{
	int two[2] = { self->witness.out, STDIN_FILENO };
	struct pass pass;
	char buf[8];

	EXPECT_EQ(0, fdinfo_fds(self->b));
	SEND_WITNESS("x", 1);
	EXPECT_EQ(1, fdinfo_fds(self->b));
	ASSERT_EQ(1, pass_send(self->a, "y", 1, two, 2, NULL, 0));
	EXPECT_EQ(3, fdinfo_fds(self->b));
	EXPECT_EQ(0, fdinfo_fds(self->a));
	/* Those of a peek are further ones. */
	ASSERT_EQ(1, pass_recv(self->b, buf, 1, &pass, MSG_PEEK));
	EXPECT_EQ(1, pass.fds);
	pass_close(&pass);
	EXPECT_EQ(3, fdinfo_fds(self->b));
	ASSERT_EQ(1, pass_recv(self->b, buf, 1, &pass, 0));
	pass_close(&pass);
	EXPECT_EQ(2, fdinfo_fds(self->b));
	/* A message that does not come leaves none. */
	EXPECT_EQ(-1, pass_send(self->a, "z", 1, (int[]){ STDIN_FILENO, 999 }, 2, NULL, 0));
	if (variant->kind.domain == AF_FERRY)
		EXPECT_ERR(ELOOP, pass_send(self->a, "z", 1, &self->b, 1, NULL, 0));
	EXPECT_EQ(2, fdinfo_fds(self->b));
	ASSERT_EQ(1, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(0, fdinfo_fds(self->b));
}

/* Those of connections in its queue are a listener's. */
TEST_F(rights, X01_fdinfo_of_a_listener)
{
	struct ft_addr addr;
	int listener, a, b;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "has no connection");
	listener = ft_listener(&variant->kind, &addr, 2);
	ASSERT_LE(0, listener);
	EXPECT_EQ(0, fdinfo_fds(listener));
	a = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, a);
	ASSERT_EQ(1, pass_send(a, "x", 1, &self->witness.out, 1, NULL, 0));
	EXPECT_EQ(1, fdinfo_fds(listener));
	b = accept(listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_EQ(0, fdinfo_fds(listener));
	EXPECT_EQ(1, fdinfo_fds(b));
	ft_close(&a);
	ft_close(&b);
	ft_close(&listener);
}

TEST_F(rights, X01_refused_before_accept)
{
	struct ft_addr addr;
	socklen_t len = sizeof(int);
	int off = 0, value = -1, l, a, b;
	char c;

	if (variant->kind.domain != AF_FERRY ||
	    variant->kind.type == SOCK_DGRAM || variant->kind.how != FT_CONN)
		SKIP(return, "a connection of AF_FERRY to accept");
	l = ft_listener(&variant->kind, &addr, 2);
	ASSERT_LE(0, l);
	ASSERT_EQ(0, setsockopt(l, SOL_FERRY, FERRY_PASSRIGHTS, &off,
				sizeof(off)));
	a = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, a);
	/* What the listener refuses its connections refuse from the start. */
	EXPECT_ERR(EPERM, pass_send(a, "x", 1, &self->witness.out, 1, NULL, 0));
	EXPECT_EQ(1, send(a, "y", 1, 0));
	b = accept(l, NULL, NULL);
	ASSERT_LE(0, b);
	ASSERT_EQ(0, getsockopt(b, SOL_FERRY, FERRY_PASSRIGHTS, &value, &len));
	EXPECT_EQ(0, value);
	EXPECT_EQ(1, recv(b, &c, 1, 0));
	ft_close(&a);
	ft_close(&b);
	ft_close(&l);
	EXPECT_TRUE(witness_gone(&self->witness));
}

/* Peek, read, close and send at once. */

struct churner {
	pthread_t thread;
	int fd;
	int flags;
	int own;
	atomic_bool *stop;
};

static void *churn_receive(void *arg)
{
	struct churner *churner = arg;
	struct pass pass;
	char buf[8];

	while (!atomic_load(churner->stop)) {
		if (pass_recv(churner->fd, buf, 8, &pass,
			      churner->flags | MSG_DONTWAIT) > 0)
			pass_close(&pass);
	}
	return NULL;
}

TEST_F(rights, X01_peek_and_read_race)
{
	struct churner churner[3];
	atomic_bool stop = false;
	int i;

	for (i = 0; i < 3; i++) {
		churner[i] = (struct churner){
			.fd = self->b, .flags = i < 2 ? MSG_PEEK : 0,
			.stop = &stop,
		};
		ASSERT_EQ(0, pthread_create(&churner[i].thread, NULL,
					    churn_receive, &churner[i]));
	}
	for (i = 0; i < 300; i++)
		ASSERT_EQ(1, pass_send(self->a, "x", 1, &self->witness.out, 1,
				       NULL, 0));
	atomic_store(&stop, true);
	for (i = 0; i < 3; i++)
		pthread_join(churner[i].thread, NULL);
	ft_close(&self->b);
	EXPECT_TRUE(witness_gone(&self->witness));
}

TEST_F(rights, X01_peek_close_pass_race)
{
	atomic_bool stop;
	int round, i;

	for (round = 0; round < 30; round++) {
		struct churner churner = { .flags = MSG_PEEK, .stop = &stop };
		struct pass pass;
		char buf[8];
		int c, d, copy;

		/* A socket in a queue is peeked at while its own goes away. */
		atomic_store(&stop, false);
		ASSERT_EQ(0, ft_pair(&variant->kind, &c, &d));
		ASSERT_EQ(1, pass_send(c, "y", 1, &self->witness.out, 1, NULL,
				       0));
		churner.fd = dup(self->b);
		ASSERT_EQ(0, pthread_create(&churner.thread, NULL,
					    churn_receive, &churner));
		for (i = 0; i < 5; i++) {
			copy = dup(d);
			ASSERT_EQ(1, pass_send(self->a, "x", 1, &copy, 1, NULL,
					       0));
			ft_close(&copy);
			ASSERT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
			pass_close(&pass);
		}
		ASSERT_EQ(1, pass_send(self->a, "x", 1, &d, 1, NULL, 0));
		ft_close(&d);
		ft_close(&c);
		ASSERT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
		pass_close(&pass);
		atomic_store(&stop, true);
		pthread_join(churner.thread, NULL);
		ft_close(&churner.fd);
	}
	EXPECT_TRUE(witness_gone(&self->witness));
}

/* Sockets of AF_UNIX, which the administrator can allow by a parameter. */

#define PASS_UNIX	"/sys/module/ferry/parameters/pass_unix"

static bool allow_unix(bool allow)
{
	int fd = open(PASS_UNIX, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, allow ? "Y" : "N", 1) == 1;

	ft_close(&fd);
	return done;
}

FIXTURE(pass_unix)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(pass_unix)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(pass_unix, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(pass_unix, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(pass_unix, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_SETUP(pass_unix)
{
	self->a = -1;
	self->b = -1;
	FT_NEED(AF_FERRY, variant->kind.type);
	if (geteuid())
		SKIP(return, "needs root to allow it");
	ft_leak_start(&self->leak, AF_FERRY);
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
	ASSERT_TRUE(allow_unix(true));
}

FIXTURE_TEARDOWN(pass_unix)
{
	allow_unix(false);
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

TEST_F(pass_unix, X01_when_it_is_allowed)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	char params[256] = "", buf[8];
	struct pass pass;
	int fds[2], uring;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		ASSERT_EQ(0, socketpair(AF_UNIX, types[i], 0, fds));
		ASSERT_EQ(1, pass_send(self->a, "x", 1, fds, 2, NULL, 0));
		/* What is on its way stays so. */
		ASSERT_TRUE(allow_unix(false));
		EXPECT_ERR(EINVAL, pass_send(self->a, "x", 1, fds, 2, NULL, 0));
		ASSERT_TRUE(allow_unix(true));
		EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
		ASSERT_EQ(2, pass.fds);
		EXPECT_TRUE(pass_same(fds[0], pass.fd[0]));
		ft_close(&fds[0]);
		ft_close(&fds[1]);
		EXPECT_TRUE(ft_send_all(pass.fd[0], 0, 10, 10));
		EXPECT_TRUE(ft_recv_all(pass.fd[1], 0, 10, 10));
		pass_close(&pass);
	}

	uring = syscall(SYS_io_uring_setup, 4, params);
	if (uring < 0)
		SKIP(return, "no io_uring here: %s", strerror(errno));
	EXPECT_ERR(EINVAL, pass_send(self->a, "x", 1, &uring, 1, NULL, 0));
	ft_close(&uring);
}

/* A socket in its own queue, beside a witness, with no descriptor left. */
static bool make_garbage(int fds[2], struct witness *witness)
{
	int both[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) || !witness_make(witness))
		return false;
	both[0] = fds[1];
	both[1] = witness->out;
	return pass_send(fds[0], "u", 1, both, 2, NULL, 0) == 1;
}

/* Its collector begins when a socket of the family is closed. */
static bool collected(struct witness *witness)
{
	int64_t end = ft_now_ms() + FT_LONG_MS;
	int fd;

	ft_close(&witness->out);
	while (!(ft_poll(witness->in, POLLIN, 10) & POLLHUP)) {
		if (ft_now_ms() > end)
			return false;
		fd = socket(AF_UNIX, SOCK_DGRAM, 0);
		ft_close(&fd);
	}
	ft_close(&witness->in);
	return true;
}

TEST_F(pass_unix, X01_no_garbage_of_the_other_family)
{
	struct witness witness, other;
	struct pass pass, inner;
	int fds[2], i;
	char buf[8];

	/* Its collector knows of this one only that somebody has it open. */
	ASSERT_TRUE(make_garbage(fds, &witness));
	ASSERT_EQ(1, pass_send(self->a, "x", 1, &fds[1], 1, NULL, 0));
	ft_close(&fds[0]);
	ft_close(&fds[1]);

	/* It has run when another circle is gone. */
	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(make_garbage(fds, &other));
		ft_close(&fds[0]);
		ft_close(&fds[1]);
		EXPECT_TRUE(collected(&other));
	}
	EXPECT_TRUE(witness_held(&witness));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	ASSERT_EQ(1, pass.fds);
	EXPECT_EQ(1, pass_recv(pass.fd[0], buf, 8, &inner, 0));
	EXPECT_EQ('u', buf[0]);
	EXPECT_EQ(2, inner.fds);
	pass_close(&inner);
	pass_close(&pass);
	EXPECT_TRUE(witness_gone(&witness));

	/* And it collects this one when it is dropped unread. */
	ASSERT_TRUE(make_garbage(fds, &witness));
	ASSERT_EQ(1, pass_send(self->a, "x", 1, &fds[1], 1, NULL, 0));
	ft_close(&fds[0]);
	ft_close(&fds[1]);
	ft_close(&self->b);
	EXPECT_TRUE(collected(&witness));
}

#define CIRCLES		20

/* One socket of each family, each in the queue of the other. */
struct circle {
	int in, out;
	int unix_in, unix_out;
};

/* How many circles @uid, who may have CIRCLES in flight, can close, or 255. */
static int close_circles(struct circle *circle, int n, uid_t uid)
{
	struct rlimit limit = { CIRCLES, CIRCLES };
	struct ft_child child;
	int i;

	if (!ft_fork(&child)) {
		if (setrlimit(RLIMIT_NOFILE, &limit) || !ft_become(uid, uid))
			_exit(255);
		for (i = 0; i < n; i++) {
			if (pass_send(circle[i].in, "x", 1, &circle[i].unix_out,
				      1, NULL, 0) != 1)
				_exit(errno == ETOOMANYREFS ? i : 255);
			if (pass_send(circle[i].unix_in, "x", 1, &circle[i].out,
				      1, NULL, 0) != 1)
				_exit(255);
		}
		_exit(n);
	}
	return ft_wait_child(&child);
}

TEST_F(pass_unix, X01_circles_are_bounded)
{
	struct circle circle[CIRCLES + 2];
	uid_t uid = 40000 + getpid() % 10000;
	struct pass pass;
	int fds[2], i, n;
	char buf[8];

	for (i = 0; i < (int)ARRAY_SIZE(circle); i++) {
		ASSERT_EQ(0, ft_pair(&variant->kind, &circle[i].in,
				     &circle[i].out));
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
		circle[i].unix_in = fds[0];
		circle[i].unix_out = fds[1];
	}
	/* Each costs a descriptor in flight: here the last but two. */
	EXPECT_EQ(CIRCLES, close_circles(circle, CIRCLES + 2, uid));

	/*
	 * But for the descriptors that this test keeps to take it apart again,
	 * it is there for ever: so there will be no more by this user,
	 */
	for (i = 0; i < CIRCLES; i++) {
		ft_close(&circle[i].in);
		ft_close(&circle[i].unix_in);
		ft_close(&circle[i].unix_out);
	}
	EXPECT_EQ(0, close_circles(&circle[CIRCLES], 1, uid));
	/* and nobody else is concerned. */
	EXPECT_EQ(1, close_circles(&circle[CIRCLES], 1, uid + 10000));

	for (i = 0; i <= CIRCLES; i++) {
		EXPECT_EQ(1, pass_recv(circle[i].out, buf, 8, &pass, 0));
		EXPECT_EQ(1, pass.fds);
		pass_close(&pass);
		ft_close(&circle[i].out);
	}
	n = CIRCLES + 1;
	EXPECT_EQ(1, close_circles(&circle[n], 1, uid));
	EXPECT_EQ(1, pass_recv(circle[n].out, buf, 8, &pass, 0));
	pass_close(&pass);
	for (i = CIRCLES; i <= n; i++) {
		ft_close(&circle[i].in);
		ft_close(&circle[i].out);
		ft_close(&circle[i].unix_in);
		ft_close(&circle[i].unix_out);
	}
}

FT_HARNESS_MAIN
