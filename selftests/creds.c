// SPDX-License-Identifier: GPL-2.0
/*
 * Who is at the other end: credentials of messages and of peers, and the
 * security label where there is one. O21, O22, O24, O25, O46, X02, X04.
 */

#include "passenger.h"
#include "kselftest_harness.h"

#include <grp.h>
#include <sched.h>
#include <sys/syscall.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS	59
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD	77
#endif

#define NOBODY		65534
#define CHILD_FAILED	255

FIXTURE(creds)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(creds)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(creds, FERRY_stream_pair)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(creds, FERRY_stream_conn)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(creds, FERRY_seqpacket_pair)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(creds, FERRY_seqpacket_conn)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(creds, FERRY_dgram_pair)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(creds, FERRY_dgram_conn)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(creds, UNIX_stream_pair)
{
	.kind = { AF_UNIX, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(creds, UNIX_seqpacket_pair)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(creds, UNIX_dgram_pair)
{
	.kind = { AF_UNIX, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_SETUP(creds)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	if (geteuid())
		SKIP(return, "needs root to become somebody else");
	ft_leak_start(&self->leak, variant->kind.domain);
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
	ASSERT_EQ(0, ft_setint(self->b, SO_PASSCRED, 1));
}

FIXTURE_TEARDOWN(creds)
{
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

static bool is_cred(const struct ucred *cred, pid_t pid, uid_t uid, gid_t gid)
{
	if (cred->pid == pid && cred->uid == uid && cred->gid == gid)
		return true;
	fprintf(stderr, "# pid %d, uid %u, gid %u, not %d, %u, %u\n",
		cred->pid, cred->uid, cred->gid, pid, uid, gid);
	return false;
}

/* SO_PASSCRED and its like as AF_FERRY tells it on every kernel. */
static int get_pass(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	if (ft_getint(fd, SO_DOMAIN) != AF_FERRY)
		return ft_getint(fd, option);
	if (getsockopt(fd, SOL_FERRY, option == SO_PASSCRED ? FERRY_PASSCRED :
				      option == SO_PASSSEC ? FERRY_PASSSEC :
							     FERRY_PASSPIDFD,
		       &value, &len))
		return -1;
	return value;
}

/* Credentials of messages. */

TEST_F(creds, O21_with_every_message)
{
	struct pass pass;
	char buf[8];
	int i;

	EXPECT_EQ(1, get_pass(self->b, SO_PASSCRED));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass,
				       i ? 0 : MSG_PEEK));
		if (!i)
			EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
		EXPECT_EQ(1, pass.creds);
		EXPECT_TRUE(is_cred(&pass.cred, getpid(), getuid(), getgid()));
	}
	/* Off, they stop. */
	ASSERT_EQ(0, ft_setint(self->b, SO_PASSCRED, 0));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_EQ(0, pass.creds);
	/* The other direction has not asked. */
	ASSERT_EQ(1, send(self->b, "x", 1, 0));
	EXPECT_EQ(1, pass_recv(self->a, buf, 8, &pass, 0));
	EXPECT_EQ(0, pass.creds);
}

TEST_F(creds, O21_by_the_option_of_the_family)
{
	struct pass pass;
	char buf[8];
	int value;

	if (variant->kind.domain != AF_FERRY)
		SKIP(return, "is AF_FERRY's own");
	for (value = 0; value < 2; value++) {
		ASSERT_EQ(0, setsockopt(self->b, SOL_FERRY, FERRY_PASSCRED, &value,
					sizeof(value)));
		EXPECT_EQ(value, get_pass(self->b, SO_PASSCRED));
		EXPECT_EQ(0, get_pass(self->b, SO_PASSSEC));
		EXPECT_EQ(ft_kernel_before(6, 16) ? value : -1,
			  ft_getint(self->b, SO_PASSCRED));
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
		EXPECT_EQ(value, pass.creds);
	}
}

TEST_F(creds, O21_asked_for_after_the_send)
{
	struct pass pass;
	char buf[8];

	if (variant->kind.domain != AF_FERRY)
		SKIP(return, "AF_UNIX has not kept them");
	ASSERT_EQ(0, ft_setint(self->b, SO_PASSCRED, 0));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ASSERT_EQ(0, ft_setint(self->b, SO_PASSCRED, 1));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_EQ(1, pass.creds);
	EXPECT_TRUE(is_cred(&pass.cred, getpid(), getuid(), getgid()));
}

TEST_F(creds, O21_of_the_one_who_sends)
{
	struct ft_child child;
	struct pass pass;
	char buf[8];

	/* Not of the one who made the socket. */
	if (!ft_fork(&child)) {
		if (!ft_become(NOBODY, NOBODY) || send(self->a, "x", 1, 0) != 1)
			_exit(1);
		_exit(0);
	}
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_TRUE(is_cred(&pass.cred, child.pid, NOBODY, NOBODY));
	EXPECT_EQ(0, ft_wait_child(&child));

	/* The real ids, as everywhere. */
	if (!ft_fork(&child)) {
		if (setresgid(11, 12, 13) || setresuid(21, 22, 23) ||
		    send(self->a, "x", 1, 0) != 1)
			_exit(1);
		_exit(0);
	}
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_TRUE(is_cred(&pass.cred, child.pid, 21, 11));
	EXPECT_EQ(0, ft_wait_child(&child));
}

TEST_F(creds, O21_explicit)
{
	struct ucred own = { getpid(), getuid(), getgid() };
	struct ucred other = { getpid(), 77, 88 };
	struct ft_child child;
	struct pass pass;
	char buf[8];

	ASSERT_EQ(1, pass_send(self->a, "x", 1, NULL, 0, &own, 0));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_TRUE(is_cred(&pass.cred, own.pid, own.uid, own.gid));

	/* Root may say what it likes, of processes that exist. */
	ASSERT_EQ(1, pass_send(self->a, "x", 1, NULL, 0, &other, 0));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_TRUE(is_cred(&pass.cred, other.pid, 77, 88));
	other.pid = getppid();
	ASSERT_EQ(1, pass_send(self->a, "x", 1, NULL, 0, &other, 0));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_TRUE(is_cred(&pass.cred, getppid(), 77, 88));
	if (!ft_fork(&child))
		_exit(0);
	other.pid = child.pid;
	ft_wait_child(&child);
	EXPECT_ERR(ESRCH, pass_send(self->a, "x", 1, NULL, 0, &other, 0));

	/* Any of the three ids will do for everybody. */
	if (!ft_fork(&child)) {
		struct ucred cred = { getpid(), 22, 13 };

		if (setgroups(0, NULL) || setresgid(11, 12, 13) ||
		    setresuid(21, 22, 23) ||
		    pass_send(self->a, "x", 1, NULL, 0, &cred, 0) != 1)
			_exit(1);
		_exit(0);
	}
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_TRUE(is_cred(&pass.cred, child.pid, 22, 13));
	EXPECT_EQ(0, ft_wait_child(&child));
}

TEST_F(creds, X02_forged)
{
	struct ft_child child;
	struct pass pass;
	char buf[8];

	if (!ft_fork(&child)) {
		pid_t pid = getpid();
		struct ucred forged[] = {
			{ 1, NOBODY, NOBODY }, { getppid(), NOBODY, NOBODY },
			{ pid, 0, NOBODY }, { pid, NOBODY, 0 },
			{ pid, NOBODY - 1, NOBODY }, { 0, NOBODY, NOBODY },
			{ -1, NOBODY, NOBODY },
		};
		struct ucred invalid[] = {
			{ pid, -1, NOBODY }, { pid, NOBODY, -1 },
		};
		size_t i;

		if (!ft_become(NOBODY, NOBODY))
			_exit(CHILD_FAILED);
		for (i = 0; i < ARRAY_SIZE(forged); i++)
			if (ft_err(pass_send(self->a, "x", 1, NULL, 0,
					     &forged[i], 0)) != EPERM)
				_exit(i + 1);
		for (i = 0; i < ARRAY_SIZE(invalid); i++)
			if (ft_err(pass_send(self->a, "x", 1, NULL, 0,
					     &invalid[i], 0)) != EINVAL)
				_exit(i + 100);
		_exit(send(self->a, "y", 1, 0) != 1);
	}
	EXPECT_EQ(0, ft_wait_child(&child));
	/* None of them arrived. */
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_EQ('y', buf[0]);
	EXPECT_TRUE(is_cred(&pass.cred, child.pid, NOBODY, NOBODY));
}

TEST_F(creds, O21_bad_headers)
{
	struct iovec iov = { "x", 1 };
	struct {
		struct cmsghdr header;
		struct ucred cred;
		long pad;
	} control = {
		.header = { .cmsg_level = SOL_SOCKET,
			    .cmsg_type = SCM_CREDENTIALS },
		.cred = { getpid(), getuid(), getgid() },
	};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	size_t len;

	for (len = 0; len < sizeof(struct ucred) + 4; len++) {
		if (len == sizeof(struct ucred))
			continue;
		control.header.cmsg_len = CMSG_LEN(len);
		EXPECT_ERR(EINVAL, sendmsg(self->a, &msg, 0)) {
			TH_LOG("%zu bytes of credentials", len);
		}
	}
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
}

TEST_F(creds, O21_beside_descriptors)
{
	struct ucred cred = { getpid(), 77, 88 };
	struct witness witness;
	struct pass pass;
	char buf[8];

	ASSERT_TRUE(witness_make(&witness));
	ASSERT_EQ(1, pass_send(self->a, "x", 1, &witness.out, 1, &cred, 0));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_EQ(1, pass.fds);
	EXPECT_EQ(1, pass.creds);
	EXPECT_TRUE(is_cred(&pass.cred, getpid(), 77, 88));
	pass_close(&pass);

	/* Forged ones take the descriptors down with them. */
	cred.pid = 1 << 29;
	EXPECT_ERR(ESRCH, pass_send(self->a, "x", 1, &witness.out, 1, &cred,
				    0));
	EXPECT_TRUE(witness_gone(&witness));
}

TEST_F(creds, F08_ctrunc)
{
	struct pass pass;
	char buf[8];

	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(1, pass_recv_room(self->b, buf, 8, &pass, 0, 0));
	EXPECT_EQ(MSG_CTRUNC, pass.flags & MSG_CTRUNC);
	EXPECT_EQ(0, pass.creds);
	/* Without control data there is nothing to say. */
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(1, read(self->b, buf, 8));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(1, recv(self->b, buf, 8, 0));
}

/* Records of several senders, and streams. */

/* Sends under a false uid, as only root can. */
static bool send_as(int fd, const char *text, uid_t uid)
{
	struct ucred cred = { getpid(), uid, 0 };
	ssize_t len = strlen(text);

	return pass_send(fd, text, len, NULL, 0, &cred, 0) == len;
}

TEST_F(creds, O21_never_merged)
{
	static const char * const text[] = { "aa", "bb", "cc" };
	static const int flags[] = { 0, MSG_WAITALL, MSG_PEEK };
	struct pass pass;
	char buf[16];
	size_t f;
	int i;

	for (f = 0; f < ARRAY_SIZE(flags); f++) {
		for (i = 0; i < 3; i++)
			ASSERT_TRUE(send_as(self->a, text[i], 100 + i));
		for (i = 0; i < 3; i++) {
			/* Nothing follows the last that could end a wait. */
			EXPECT_EQ(2, pass_recv(self->b, buf, i < 2 ? 16 : 2,
					       &pass, flags[f]));
			EXPECT_EQ(0, memcmp(buf, text[i], 2));
			EXPECT_TRUE(is_cred(&pass.cred, getpid(), 100 + i, 0));
			if (flags[f] & MSG_PEEK)
				EXPECT_EQ(2, recv(self->b, buf, 16, 0));
		}
	}
}

TEST_F(creds, O21_stream_of_one_sender_is_one)
{
	struct pass pass;
	char buf[16];

	if (variant->kind.type != SOCK_STREAM)
		SKIP(return, "records are never merged");
	ASSERT_TRUE(send_as(self->a, "aa", 100));
	ASSERT_TRUE(send_as(self->a, "bb", 100));
	ASSERT_TRUE(send_as(self->a, "cc", 101));
	EXPECT_EQ(4, pass_recv(self->b, buf, 16, &pass, 0));
	EXPECT_TRUE(is_cred(&pass.cred, getpid(), 100, 0));
	EXPECT_EQ(2, pass_recv(self->b, buf, 16, &pass, 0));
	EXPECT_TRUE(is_cred(&pass.cred, getpid(), 101, 0));

	/* Who does not ask does not care. */
	ASSERT_EQ(0, ft_setint(self->b, SO_PASSCRED, 0));
	ASSERT_TRUE(send_as(self->a, "aa", 100));
	ASSERT_TRUE(send_as(self->a, "bb", 101));
	EXPECT_EQ(4, pass_recv(self->b, buf, 16, &pass, 0));
	EXPECT_EQ(0, memcmp(buf, "aabb", 4));
}

TEST_F(creds, O21_stream_partly_read)
{
	struct pass pass;
	char buf[16];

	if (variant->kind.type != SOCK_STREAM)
		SKIP(return, "a record is read once");
	ASSERT_TRUE(send_as(self->a, "aaaa", 100));
	ASSERT_TRUE(send_as(self->a, "bb", 101));
	EXPECT_EQ(3, pass_recv(self->b, buf, 3, &pass, 0));
	EXPECT_TRUE(is_cred(&pass.cred, getpid(), 100, 0));
	EXPECT_EQ(1, pass_recv(self->b, buf, 16, &pass, 0));
	EXPECT_EQ('a', buf[0]);
	EXPECT_TRUE(is_cred(&pass.cred, getpid(), 100, 0));
	EXPECT_EQ(2, pass_recv(self->b, buf, 16, &pass, 0));
	EXPECT_TRUE(is_cred(&pass.cred, getpid(), 101, 0));
}

TEST_F(creds, O21_inherited_by_accept)
{
	struct ft_addr addr;
	struct pass pass;
	char buf[8];
	int listener, a, b;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "does not listen");
	listener = ft_listener(&variant->kind, &addr, 4);
	ASSERT_LE(0, listener);
	ASSERT_EQ(0, ft_setint(listener, SO_PASSCRED, 1));
	ASSERT_EQ(0, ft_setint(listener, SO_PASSSEC, 1));
	a = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, a);
	/* Sent before the accept, and told of all the same. */
	ASSERT_EQ(1, send(a, "x", 1, 0));
	b = accept(listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_EQ(1, get_pass(b, SO_PASSCRED));
	EXPECT_EQ(1, get_pass(b, SO_PASSSEC));
	EXPECT_EQ(1, pass_recv(b, buf, 8, &pass, 0));
	EXPECT_EQ(1, pass.creds);
	EXPECT_TRUE(is_cred(&pass.cred, getpid(), getuid(), getgid()));
	ft_close(&a);
	ft_close(&b);
	ft_close(&listener);
}

/* Namespaces. */

TEST_F(creds, X04_pid_namespace)
{
	struct ft_child child, inner;
	struct pass pass;
	char buf[8];

	ASSERT_EQ(0, ft_setint(self->a, SO_PASSCRED, 1));
	if (!ft_fork(&child)) {
		if (unshare(CLONE_NEWPID))
			_exit(CHILD_FAILED);
		if (!ft_fork(&inner)) {
			if (getpid() != 1 || send(self->a, "x", 1, 0) != 1)
				_exit(1);
			/* Who is outside cannot be seen from here. */
			if (pass_recv(self->a, buf, 8, &pass, 0) != 1 ||
			    pass.creds != 1 || pass.cred.pid)
				_exit(2);
			if (send(self->a, "y", 1, 0) != 1 ||
			    recv(self->a, buf, 8, 0) != 1)
				_exit(3);
			_exit(0);
		}
		snprintf(buf, sizeof(buf), "%d", inner.pid);
		ft_say(&child, buf);
		_exit(ft_wait_child(&inner));
	}
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_EQ(1, pass.creds);
	snprintf(buf, sizeof(buf), "%d", pass.cred.pid);
	EXPECT_NE(1, pass.cred.pid);
	EXPECT_TRUE(ft_expect(&child, buf));
	ASSERT_EQ(1, send(self->b, "x", 1, 0));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	ASSERT_EQ(1, send(self->b, "x", 1, 0));
	EXPECT_EQ(0, ft_wait_child(&child));
}

static bool write_file(pid_t pid, const char *name, const char *text)
{
	char path[64];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, text, strlen(text)) == strlen(text);
	ft_close(&fd);
	return ok;
}

TEST_F(creds, X04_user_namespace)
{
	struct ft_child child;
	struct pass pass;
	char buf[8];

	ASSERT_EQ(0, ft_setint(self->a, SO_PASSCRED, 1));
	if (!ft_fork(&child)) {
		if (unshare(CLONE_NEWUSER))
			_exit(errno == EPERM || errno == ENOSPC ? 77 :
							CHILD_FAILED);
		ft_say(&child, "unshared");
		/* 5000 outside is 0 here; nobody else is anybody. */
		if (!ft_expect(&child, "mapped") || setgid(0) || setuid(0) ||
		    send(self->a, "x", 1, 0) != 1)
			_exit(1);
		if (pass_recv(self->a, buf, 8, &pass, 0) != 1 ||
		    pass.cred.uid != NOBODY || pass.cred.gid != NOBODY)
			_exit(2);
		if (pass_recv(self->a, buf, 8, &pass, 0) != 1 ||
		    pass.cred.uid != 0 || pass.cred.gid != 0)
			_exit(3);
		_exit(0);
	}
	if (!ft_expect(&child, "unshared")) {
		EXPECT_EQ(77, ft_wait_child(&child));
		SKIP(return, "user namespaces are not allowed here");
	}
	ASSERT_TRUE(write_file(child.pid, "uid_map", "0 5000 1"));
	ASSERT_TRUE(write_file(child.pid, "gid_map", "0 6000 1"));
	ft_say(&child, "mapped");
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_TRUE(is_cred(&pass.cred, child.pid, 5000, 6000));
	ASSERT_EQ(1, send(self->b, "x", 1, 0));
	ASSERT_EQ(1, pass_send(self->b, "x", 1, NULL, 0,
			       &(struct ucred){ getpid(), 5000, 6000 }, 0));
	EXPECT_EQ(0, ft_wait_child(&child));
}

/* Credentials of the peer. */

static bool peercred(int fd, struct ucred *cred)
{
	socklen_t len = sizeof(*cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, cred, &len) &&
	       len == sizeof(*cred);
}

TEST_F(creds, O24_nobody)
{
	int fd = socket(variant->kind.domain, variant->kind.type, 0);
	struct ucred cred;

	ASSERT_LE(0, fd);
	ASSERT_TRUE(peercred(fd, &cred));
	EXPECT_TRUE(is_cred(&cred, 0, -1, -1));
	ft_close(&fd);
}

TEST_F(creds, O24_socketpair)
{
	struct ft_child child;
	struct ucred cred;

	if (variant->kind.how != FT_PAIR)
		SKIP(return, "another test has connections");
	ASSERT_TRUE(peercred(self->a, &cred));
	EXPECT_TRUE(is_cred(&cred, getpid(), geteuid(), getegid()));
	/* Of the time it was made, whoever has it now. */
	if (!ft_fork(&child)) {
		if (!ft_become(NOBODY, NOBODY))
			_exit(CHILD_FAILED);
		_exit(!peercred(self->b, &cred) ||
		      !is_cred(&cred, getppid(), 0, 0));
	}
	EXPECT_EQ(0, ft_wait_child(&child));
}

TEST_F(creds, O24_connect_and_listen)
{
	struct ft_child server, client;
	struct ucred cred;
	struct ft_addr addr;
	int listener, fd;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "does not listen");
	listener = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, listener);
	umask(0);
	ASSERT_EQ(0, ft_bind_new(listener, variant->kind.domain, &addr));

	/* Bound by one, made to listen by another: the latter counts. */
	if (!ft_fork(&server)) {
		if (setegid(31) || seteuid(32) || listen(listener, 4))
			_exit(1);
		ft_say(&server, "listening");
		_exit(!ft_expect(&server, "end"));
	}
	ASSERT_TRUE(ft_expect(&server, "listening"));
	if (!ft_fork(&client)) {
		fd = socket(variant->kind.domain, variant->kind.type, 0);
		if (setegid(41) || seteuid(42) ||
		    connect(fd, &addr.sa, addr.len))
			_exit(1);
		if (!peercred(fd, &cred) || !is_cred(&cred, server.pid, 32, 31))
			_exit(2);
		/* What it becomes afterwards does not show. */
		if (seteuid(0) || seteuid(43))
			_exit(3);
		ft_say(&client, "connected");
		_exit(!ft_expect(&client, "end"));
	}
	ASSERT_TRUE(ft_expect(&client, "connected"));
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	ASSERT_TRUE(peercred(fd, &cred));
	EXPECT_TRUE(is_cred(&cred, client.pid, 42, 41));
	ft_say(&client, "end");
	ft_say(&server, "end");
	EXPECT_EQ(0, ft_wait_child(&client));
	EXPECT_EQ(0, ft_wait_child(&server));
	/* And outlives its process. */
	ASSERT_TRUE(peercred(fd, &cred));
	EXPECT_EQ(42, cred.uid);
	ft_close(&fd);
	ft_close(&listener);
}

TEST_F(creds, O24_lengths)
{
	struct ucred cred = { -5, -5, -5 };
	socklen_t len = 4;

	ASSERT_EQ(0, getsockopt(self->a, SOL_SOCKET, SO_PEERCRED, &cred, &len));
	EXPECT_EQ(4, len);
	EXPECT_EQ(-5, cred.uid);
	len = 100;
	ASSERT_EQ(0, getsockopt(self->a, SOL_SOCKET, SO_PEERCRED, &cred, &len));
	EXPECT_EQ(sizeof(cred), len);
	EXPECT_ERR(ENOPROTOOPT, setsockopt(self->a, SOL_SOCKET, SO_PEERCRED,
					   &cred, sizeof(cred)));
}

/* What came after the page. */

TEST_F(creds, O46_peergroups)
{
	gid_t groups[3] = { 51, 52, 53 }, seen[8];
	socklen_t len = sizeof(seen);
	struct ft_child child;
	struct ft_addr addr;
	int listener, fd;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "does not listen");
	listener = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, listener);
	EXPECT_ERR(ENODATA, getsockopt(listener, SOL_SOCKET, SO_PEERGROUPS,
				       seen, &len));
	umask(0);
	ASSERT_EQ(0, ft_bind_new(listener, variant->kind.domain, &addr));
	ASSERT_EQ(0, listen(listener, 4));
	if (!ft_fork(&child)) {
		fd = socket(variant->kind.domain, variant->kind.type, 0);
		_exit(setgroups(3, groups) ||
		      connect(fd, &addr.sa, addr.len) || setgroups(0, NULL));
	}
	EXPECT_EQ(0, ft_wait_child(&child));
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	len = sizeof(gid_t);
	EXPECT_ERR(ERANGE, getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, seen,
				      &len));
	EXPECT_EQ(sizeof(groups), len);
	len = sizeof(seen);
	ASSERT_EQ(0, getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, seen, &len));
	EXPECT_EQ(sizeof(groups), len);
	EXPECT_EQ(0, memcmp(seen, groups, sizeof(groups)));
	ft_close(&fd);
	ft_close(&listener);
}

TEST_F(creds, O46_peerpidfd)
{
	socklen_t len = sizeof(int);
	struct ft_child child;
	struct ft_addr addr;
	int listener, fd, pidfd = -1;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "does not listen");
	listener = ft_listener(&variant->kind, &addr, 4);
	ASSERT_LE(0, listener);
	if (!ft_fork(&child)) {
		fd = ft_connect(&variant->kind, &addr);
		if (fd < 0)
			_exit(1);
		pause();
	}
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	ft_close(&listener);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len)) {
		EXPECT_EQ(ENOPROTOOPT, errno);
		kill(child.pid, SIGKILL);
		ft_wait_child(&child);
		ft_close(&fd);
		SKIP(return, "this kernel has no SO_PEERPIDFD");
	}
	ASSERT_LE(0, pidfd);
	EXPECT_EQ(0, ft_poll(pidfd, POLLIN, 0));
	EXPECT_EQ(0, syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0));
	ft_wait_child(&child);
	EXPECT_NE(0, ft_poll(pidfd, POLLIN, FT_LONG_MS));
	ft_close(&pidfd);
	ft_close(&fd);
}

/* Has this kernel SO_PASSPIDFD, for modules too? It is set at @fd then. */
static bool set_passpidfd(int fd)
{
	int err = ft_err(ft_setint(fd, SO_PASSPIDFD, 1));

	if (err)
		errno = err;
	return !err;
}

#define NEED_PASSPIDFD(_fd) do {						\
	if (!set_passpidfd(_fd)) {						\
		EXPECT_EQ(ft_kernel_before(6, 5) ? ENOPROTOOPT : EOPNOTSUPP,	\
			  errno);						\
		EXPECT_TRUE(ft_kernel_before(6, 7));				\
		SKIP(return, "this kernel has no SO_PASSPIDFD");		\
	}									\
} while (0)

/* Is @pidfd of a process that waits to be killed? It does no more. */
static bool kills(int pidfd, struct ft_child *child)
{
	bool ok = pidfd >= 0 && !ft_poll(pidfd, POLLIN, 0) &&
		  !syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);

	if (!ok)
		kill(child->pid, SIGKILL);
	ft_wait_child(child);
	return ok && ft_poll(pidfd, POLLIN, FT_LONG_MS);
}

TEST_F(creds, O46_passpidfd)
{
	struct ft_child child;
	struct pass pass;
	int peeked;
	char buf[8];

	NEED_PASSPIDFD(self->b);
	EXPECT_EQ(1, get_pass(self->b, SO_PASSPIDFD));
	if (!ft_fork(&child)) {
		if (send(self->a, "x", 1, 0) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	ASSERT_EQ(1, pass_recv(self->b, buf, 8, &pass, MSG_PEEK));
	EXPECT_EQ(1, pass.pidfds);
	peeked = pass.pidfd;
	ASSERT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_EQ(0, pass.flags & MSG_CTRUNC);
	EXPECT_EQ(1, pass.creds);
	EXPECT_EQ(1, pass.pidfds);
	EXPECT_LE(0, peeked);
	EXPECT_NE(peeked, pass.pidfd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(pass.pidfd, F_GETFD));
	EXPECT_TRUE(kills(pass.pidfd, &child));
	close(peeked);
	close(pass.pidfd);

	ASSERT_EQ(0, ft_setint(self->b, SO_PASSPIDFD, 0));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ASSERT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_EQ(0, pass.pidfds);
}

/* Alone, and with descriptors beside it. */
TEST_F(creds, O46_passpidfd_and_descriptors)
{
	struct pass pass;
	char buf[8];
	int fd = 0;

	NEED_PASSPIDFD(self->b);
	ASSERT_EQ(0, ft_setint(self->b, SO_PASSCRED, 0));
	ASSERT_EQ(1, pass_send(self->a, "x", 1, &fd, 1, NULL, 0));
	ASSERT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_EQ(0, pass.creds);
	EXPECT_EQ(1, pass.fds);
	EXPECT_EQ(1, pass.pidfds);
	EXPECT_LE(0, pass.pidfd);
	close(pass.pidfd);
	pass_close(&pass);
}

/* What finds no room leaves no descriptor behind. */
TEST_F(creds, O46_passpidfd_without_room)
{
	size_t room[] = { 0, CMSG_LEN(sizeof(int)) - 1 };
	int before, after;
	struct pass pass;
	unsigned int i;
	char buf[8];

	NEED_PASSPIDFD(self->b);
	ASSERT_EQ(0, ft_setint(self->b, SO_PASSCRED, 0));
	for (i = 0; i < 2; i++) {
		before = dup(0);
		close(before);
		ASSERT_EQ(1, send(self->a, "x", 1, 0));
		ASSERT_EQ(1, pass_recv_room(self->b, buf, 8, &pass, 0, room[i]));
		EXPECT_EQ(MSG_CTRUNC, pass.flags & MSG_CTRUNC);
		EXPECT_EQ(0, pass.pidfds);
		after = dup(0);
		close(after);
		EXPECT_EQ(before, after);
	}
}

/* As with SO_PASSCRED, who asks at the listener asks for all connections. */
TEST_F(creds, O46_passpidfd_of_a_listener)
{
	struct ft_addr addr;
	struct pass pass;
	int listener;
	char buf[8];

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "does not listen");
	NEED_PASSPIDFD(self->b);
	ft_close(&self->a);
	ft_close(&self->b);
	listener = ft_listener(&variant->kind, &addr, 4);
	ASSERT_LE(0, listener);
	ASSERT_TRUE(set_passpidfd(listener));
	self->a = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, self->a);
	self->b = accept(listener, NULL, NULL);
	ASSERT_LE(0, self->b);
	ft_close(&listener);
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	ASSERT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_EQ(1, pass.pidfds);
	close(pass.pidfd);
}

/* Labels, where a security module gives them. */

TEST_F(creds, O22_passsec)
{
	struct pass pass;
	char buf[8];

	EXPECT_EQ(0, get_pass(self->b, SO_PASSSEC));
	ASSERT_EQ(0, ft_setint(self->b, SO_PASSSEC, 1));
	EXPECT_EQ(1, get_pass(self->b, SO_PASSSEC));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_EQ(1, pass.creds);
	if (!pass.other)
		SKIP(return, "no security module here gives labels");
	EXPECT_EQ(1, pass.other);
	ASSERT_EQ(0, ft_setint(self->b, SO_PASSSEC, 0));
	ASSERT_EQ(1, send(self->a, "x", 1, 0));
	EXPECT_EQ(1, pass_recv(self->b, buf, 8, &pass, 0));
	EXPECT_EQ(0, pass.other);
}

TEST_F(creds, O25_peersec)
{
	socklen_t len = 256;
	char label[256];

	if (getsockopt(self->a, SOL_SOCKET, SO_PEERSEC, label, &len)) {
		EXPECT_EQ(ENOPROTOOPT, errno);
		SKIP(return, "no security module here labels this family");
	}
	EXPECT_LT(0, len);
	/* Too little room: the length needed. */
	len = 0;
	EXPECT_ERR(ERANGE, getsockopt(self->a, SOL_SOCKET, SO_PEERSEC, label,
				      &len));
	EXPECT_LT(0, len);
	EXPECT_ERR(EFAULT, getsockopt(self->a, SOL_SOCKET, SO_PEERSEC, FT_WILD,
				      &len));
	EXPECT_ERR(EFAULT, getsockopt(self->a, SOL_SOCKET, SO_PEERSEC, label,
				      FT_WILD));
	EXPECT_ERR(ENOPROTOOPT, ft_setint(self->a, SO_PEERSEC, 0));
}

/*
 * Who has which label: with Smack, which lets a privileged task label itself and
 * labels sockets of every family. A task keeps its label to its end, and every
 * test is a process.
 */

#define SMACK_LABEL	"/proc/thread-self/attr/smack/current"

static bool set_label(const char *label)
{
	int fd = open(SMACK_LABEL, O_WRONLY);
	ssize_t ret = -1;

	if (fd >= 0) {
		ret = write(fd, label, strlen(label));
		close(fd);
	}
	return ret == (ssize_t)strlen(label);
}

static bool peer_label_is(int fd, const char *want)
{
	char label[256] = "";
	socklen_t len = sizeof(label) - 1;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERSEC, label, &len)) {
		fprintf(stderr, "# SO_PEERSEC: %s\n", strerror(errno));
		return false;
	}
	if (len == strlen(want) + 1 && !strcmp(label, want))
		return true;
	fprintf(stderr, "# peer is '%s', length %u, not '%s'\n", label, len,
		want);
	return false;
}

FIXTURE(labels)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(labels)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(labels, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(labels, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(labels, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM },
};

FIXTURE_VARIANT_ADD(labels, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(labels, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(labels, UNIX_dgram)
{
	.kind = { AF_UNIX, SOCK_DGRAM },
};

FIXTURE_SETUP(labels)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	if (access(SMACK_LABEL, W_OK))
		SKIP(return, "Smack, which labels any family, is not active");
	ft_leak_start(&self->leak, variant->kind.domain);
}

FIXTURE_TEARDOWN(labels)
{
	FT_NO_LEAK(&self->leak);
}

TEST_F(labels, O25_each_end_sees_the_label_of_the_other)
{
	int listener, fd, child;
	struct ft_addr addr;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "does not listen");
	ASSERT_TRUE(set_label("Server"));
	listener = ft_listener(&variant->kind, &addr, 4);
	ASSERT_LE(0, listener);
	ASSERT_TRUE(set_label("Client"));
	fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, fd);
	/* There is no peer yet. */
	EXPECT_TRUE(peer_label_is(fd, ""));
	/* The label is that of who made the socket, as AF_UNIX has it. */
	ASSERT_TRUE(set_label("Other"));
	ASSERT_EQ(0, connect(fd, &addr.sa, addr.len));
	EXPECT_TRUE(peer_label_is(fd, "Server"));
	ASSERT_TRUE(set_label("Worker"));
	child = accept(listener, NULL, NULL);
	ASSERT_LE(0, child);
	EXPECT_TRUE(peer_label_is(child, "Client"));
	EXPECT_TRUE(peer_label_is(fd, "Server"));
	/* The listener itself has none, and hands none on. */
	EXPECT_TRUE(peer_label_is(listener, ""));
	ft_close(&child);
	EXPECT_TRUE(peer_label_is(fd, "Server"));
	ft_close(&fd);
	ft_close(&listener);
}

TEST_F(labels, O25_of_a_connect_that_waited)
{
	struct ft_call call = { .fn = ft_do_connect };
	int listener, first, second, child;
	struct ft_addr addr;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "does not listen");
	ASSERT_TRUE(set_label("Server"));
	listener = ft_listener(&variant->kind, &addr, 0);
	ASSERT_LE(0, listener);
	ASSERT_TRUE(set_label("First"));
	first = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, first);
	ASSERT_TRUE(set_label("Second"));
	second = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, second);
	call.fd = second;
	call.addr = &addr;
	ASSERT_EQ(0, ft_start(&call));
	ASSERT_TRUE(ft_blocked(&call));
	child = accept(listener, NULL, NULL);
	ASSERT_LE(0, child);
	EXPECT_TRUE(peer_label_is(child, "First"));
	ft_close(&child);
	ft_join(&call);
	ASSERT_EQ(0, call.ret);
	EXPECT_TRUE(peer_label_is(second, "Server"));
	child = accept(listener, NULL, NULL);
	ASSERT_LE(0, child);
	EXPECT_TRUE(peer_label_is(child, "Second"));
	ft_close(&child);
	ft_close(&second);
	ft_close(&first);
	ft_close(&listener);
}

TEST_F(labels, O25_socketpair)
{
	struct ft_kind kind = variant->kind;
	int a, b;

	kind.how = FT_PAIR;
	ASSERT_TRUE(set_label("Pair"));
	ASSERT_EQ(0, ft_pair(&kind, &a, &b));
	ASSERT_TRUE(set_label("Other"));
	EXPECT_TRUE(peer_label_is(a, "Pair"));
	EXPECT_TRUE(peer_label_is(b, "Pair"));
	ft_close(&a);
	ft_close(&b);
}

/*
 * AF_UNIX gives the label of the socket, here it is that of the process: so a
 * socket that was handed on does not speak for who made it.
 */
TEST_F(labels, O22_label_of_the_sender)
{
	struct ft_kind kind = variant->kind;
	bool ferry = kind.domain == AF_FERRY;
	struct pass pass;
	char buf[8];
	int a, b;

	kind.how = FT_PAIR;
	ASSERT_TRUE(set_label("Maker"));
	ASSERT_EQ(0, ft_pair(&kind, &a, &b));
	ASSERT_EQ(0, ft_setint(b, SO_PASSSEC, 1));
	/* A stream of AF_UNIX forgets the label unless it is asked for these. */
	if (!ferry)
		ASSERT_EQ(0, ft_setint(b, SO_PASSCRED, 1));
	ASSERT_EQ(1, send(a, "x", 1, 0));
	ASSERT_TRUE(set_label("User"));
	ASSERT_EQ(1, send(a, "y", 1, 0));
	ASSERT_TRUE(set_label("Reader"));
	ASSERT_EQ(1, pass_recv_room(b, buf, 1, &pass, MSG_PEEK, 2048));
	EXPECT_EQ('x', buf[0]);
	EXPECT_STREQ("Maker", pass.label);
	/* Of different labels a stream never makes one read, as AF_UNIX. */
	EXPECT_EQ(ferry || kind.type != SOCK_STREAM ? 1 : 2,
		  pass_recv(b, buf, 8, &pass, 0));
	EXPECT_STREQ("Maker", pass.label);
	if (ferry || kind.type != SOCK_STREAM) {
		EXPECT_EQ(1, pass_recv(b, buf, 8, &pass, 0));
		EXPECT_EQ('y', buf[0]);
		EXPECT_STREQ(ferry ? "User" : "Maker", pass.label);
	}
	ft_close(&a);
	ft_close(&b);
}

FT_HARNESS_MAIN
