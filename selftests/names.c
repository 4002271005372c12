// SPDX-License-Identifier: GPL-2.0
/*
 * Who may bind a name, who may reach it, and who may share it. F02, F03, O34,
 * N02, X02, X04.
 */

#include "ferry_test.h"
#include "kselftest_harness.h"

#include <grp.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/capability.h>

#define NOBODY	65534

/* Exit statuses of children that are no errno. */
#define CHILD_FAILED	255

/* Takes one capability away from the calling process. */
static bool drop_cap(int cap)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return false;
	data[CAP_TO_INDEX(cap)].effective &= ~CAP_TO_MASK(cap);
	data[CAP_TO_INDEX(cap)].permitted &= ~CAP_TO_MASK(cap);
	return !syscall(SYS_capset, &header, data);
}

/* connect(), or sendto() on DGRAM: the error of reaching a name. */
static int reach(int type, const struct ft_addr *addr)
{
	int fd = socket(AF_FERRY, type, 0);
	int err;

	if (fd < 0)
		return CHILD_FAILED;
	err = ft_err(connect(fd, &addr->sa, addr->len));
	if (type == SOCK_DGRAM) {
		int sent = ft_err(sendto(fd, "x", 1, 0, &addr->sa, addr->len));

		if (sent != err)
			err = CHILD_FAILED;
	}
	close(fd);
	return err;
}

/* The same as another user. */
static int reach_as(int type, const struct ft_addr *addr, uid_t uid, gid_t gid)
{
	struct ft_child child;

	if (!ft_fork(&child)) {
		if (!ft_become(uid, gid))
			_exit(CHILD_FAILED);
		_exit(reach(type, addr));
	}
	return ft_wait_child(&child);
}

static int bind_as(int type, const struct ft_addr *addr, uid_t uid, int option)
{
	struct ft_child child;
	int fd;

	if (!ft_fork(&child)) {
		fd = socket(AF_FERRY, type, 0);
		if (!ft_become(uid, uid) || fd < 0)
			_exit(CHILD_FAILED);
		if (option && ft_setint(fd, option, 1))
			_exit(CHILD_FAILED);
		_exit(ft_err(bind(fd, &addr->sa, addr->len)));
	}
	return ft_wait_child(&child);
}

static int get_mode(int fd)
{
	unsigned int mode = -1;
	socklen_t len = sizeof(mode);

	if (getsockopt(fd, SOL_FERRY, FERRY_MODE, &mode, &len) ||
	    len != sizeof(mode))
		return -1;
	return mode;
}

static int set_mode(int fd, unsigned int mode)
{
	return setsockopt(fd, SOL_FERRY, FERRY_MODE, &mode, sizeof(mode));
}

/* self->fd is bound to self->addr, with mode 0666, and serves it. */
FIXTURE(owned)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int fd;
};

FIXTURE_VARIANT(owned)
{
	int type;
};

FIXTURE_VARIANT_ADD(owned, FERRY_stream)
{
	.type = SOCK_STREAM,
};

FIXTURE_VARIANT_ADD(owned, FERRY_seqpacket)
{
	.type = SOCK_SEQPACKET,
};

FIXTURE_VARIANT_ADD(owned, FERRY_dgram)
{
	.type = SOCK_DGRAM,
};

static int serve(int type, const struct ft_addr *addr)
{
	int fd = socket(AF_FERRY, type, 0);

	if (fd >= 0 && (bind(fd, &addr->sa, addr->len) ||
			(type != SOCK_DGRAM && listen(fd, 16))))
		ft_close(&fd);
	return fd;
}

FIXTURE_SETUP(owned)
{
	FT_NEED(AF_FERRY, variant->type);
	if (geteuid())
		SKIP(return, "needs root to become somebody else");
	ft_leak_start(&self->leak, AF_FERRY);
	umask(0);
	ft_addr_new(AF_FERRY, &self->addr);
	self->fd = serve(variant->type, &self->addr);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(owned)
{
	ft_close(&self->fd);
	FT_NO_LEAK(&self->leak);
}

/* The mode. */

TEST_F(owned, F02_mode_follows_the_umask)
{
	static const int masks[] = { 0, 022, 077, 027, 0777, 0111 };
	struct ft_addr addr;
	size_t i;
	int fd;

	EXPECT_EQ(0666, get_mode(self->fd));
	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		umask(masks[i]);
		ft_addr_new(AF_FERRY, &addr);
		fd = serve(variant->type, &addr);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0666 & ~masks[i], get_mode(fd));
		ft_close(&fd);
	}
}

TEST_F(owned, F02_mode_decides_who_may_reach_a_name)
{
	static const struct {
		unsigned int mode;
		uid_t uid;
		gid_t gid;
		int expected;
	} cases[] = {
		{ 0666, NOBODY, NOBODY, 0 },
		{ 0660, NOBODY, NOBODY, EACCES },
		{ 0660, NOBODY, 0, 0 },
		{ 0606, NOBODY, NOBODY, 0 },
		/* The first class that fits decides, as with files. */
		{ 0606, NOBODY, 0, EACCES },
		{ 0600, NOBODY, NOBODY, EACCES },
		{ 0002, NOBODY, NOBODY, 0 },
		/* Reading and executing mean nothing. */
		{ 0555, NOBODY, NOBODY, EACCES },
		{ 0775, NOBODY, NOBODY, EACCES },
		{ 0777, NOBODY, NOBODY, 0 },
		{ 0, NOBODY, NOBODY, EACCES },
		{ 0, 0, 0, 0 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, set_mode(self->fd, cases[i].mode));
		EXPECT_EQ(cases[i].mode, get_mode(self->fd));
		EXPECT_EQ(cases[i].expected,
			  reach_as(variant->type, &self->addr, cases[i].uid,
				   cases[i].gid)) {
			TH_LOG("mode %#o, uid %u, gid %u", cases[i].mode,
			       cases[i].uid, cases[i].gid);
		}
	}
}

TEST_F(owned, F02_supplementary_groups_count)
{
	gid_t group = 0;
	struct ft_child child;

	ASSERT_EQ(0, set_mode(self->fd, 0060));
	if (!ft_fork(&child)) {
		if (setgroups(1, &group) || setgid(NOBODY) || setuid(NOBODY))
			_exit(CHILD_FAILED);
		_exit(reach(variant->type, &self->addr));
	}
	EXPECT_EQ(0, ft_wait_child(&child));
}

TEST_F(owned, F02_cap_dac_override_passes)
{
	struct ft_child child;

	ASSERT_EQ(0, set_mode(self->fd, 0));
	EXPECT_EQ(0, reach(variant->type, &self->addr));
	if (!ft_fork(&child)) {
		if (!drop_cap(CAP_DAC_OVERRIDE))
			_exit(CHILD_FAILED);
		_exit(reach(variant->type, &self->addr));
	}
	EXPECT_EQ(EACCES, ft_wait_child(&child));

	ASSERT_EQ(0, set_mode(self->fd, 0200));
	if (!ft_fork(&child)) {
		if (!drop_cap(CAP_DAC_OVERRIDE))
			_exit(CHILD_FAILED);
		_exit(reach(variant->type, &self->addr));
	}
	EXPECT_EQ(0, ft_wait_child(&child));
}

TEST_F(owned, F13_mode_bad_arguments)
{
	int fd = socket(AF_FERRY, variant->type, 0);
	unsigned int mode = 0600;
	socklen_t len = 2;

	ASSERT_LE(0, fd);
	EXPECT_ERR(EINVAL, set_mode(fd, 0600));
	EXPECT_ERR(EINVAL, getsockopt(fd, SOL_FERRY, FERRY_MODE, &mode, &len));
	EXPECT_ERR(EINVAL, set_mode(self->fd, 01000));
	EXPECT_ERR(EINVAL, set_mode(self->fd, 0x80000000));
	EXPECT_ERR(EINVAL, setsockopt(self->fd, SOL_FERRY, FERRY_MODE, &mode,
				      sizeof(mode) - 1));
	EXPECT_ERR(EFAULT, setsockopt(self->fd, SOL_FERRY, FERRY_MODE, FT_WILD,
				      sizeof(mode)));
	EXPECT_ERR(ENOPROTOOPT, setsockopt(self->fd, SOL_FERRY, 9999, &mode,
					   sizeof(mode)));
	EXPECT_ERR(ENOPROTOOPT, getsockopt(self->fd, SOL_FERRY, 9999, &mode,
					   &len));
	EXPECT_EQ(0666, get_mode(self->fd));
	/* A short buffer gets what fits. */
	mode = 0xffffffff;
	ASSERT_EQ(0, getsockopt(self->fd, SOL_FERRY, FERRY_MODE, &mode, &len));
	EXPECT_EQ(2, len);
	EXPECT_EQ(0xffff0000 | 0666, mode);
	ft_close(&fd);
}

TEST_F(owned, X02_mode_is_the_owners)
{
	struct ft_child child;

	/* Somebody else has the socket, by fork, but not the right. */
	if (!ft_fork(&child)) {
		if (!ft_become(NOBODY, NOBODY))
			_exit(CHILD_FAILED);
		_exit(ft_err(set_mode(self->fd, 0777)));
	}
	EXPECT_EQ(EPERM, ft_wait_child(&child));
	EXPECT_EQ(0666, get_mode(self->fd));
	if (!ft_fork(&child)) {
		if (seteuid(NOBODY))
			_exit(CHILD_FAILED);
		_exit(ft_err(set_mode(self->fd, 0777)));
	}
	EXPECT_EQ(EPERM, ft_wait_child(&child));
}

TEST_F(owned, F02_mode_changed_while_a_connect_waits)
{
	struct ft_child child;
	int first, fd;

	if (variant->type == SOCK_DGRAM)
		SKIP(return, "no backlog");
	ASSERT_EQ(0, listen(self->fd, 0));
	first = socket(AF_FERRY, variant->type, 0);
	ASSERT_EQ(0, connect(first, &self->addr.sa, self->addr.len));
	if (!ft_fork(&child)) {
		fd = socket(AF_FERRY, variant->type, 0);
		if (!ft_become(NOBODY, NOBODY) || ft_nonblock(fd, true) < 0 ||
		    ft_err(connect(fd, &self->addr.sa, self->addr.len)) !=
		    EINPROGRESS)
			_exit(CHILD_FAILED);
		ft_say(&child, "waiting");
		/* It was permitted when it began: it may end either way. */
		if (!(ft_poll(fd, POLLOUT, FT_LONG_MS)))
			_exit(1);
		fd = ft_getint(fd, SO_ERROR);
		_exit(fd && fd != EACCES);
	}
	ASSERT_TRUE(ft_expect(&child, "waiting"));
	ASSERT_EQ(0, set_mode(self->fd, 0600));
	fd = accept(self->fd, NULL, NULL);
	ASSERT_LE(0, fd);
	ft_close(&fd);
	EXPECT_EQ(0, ft_wait_child(&child));
	ft_close(&first);
}

/* Names cannot be taken. */

TEST_F(owned, X02_a_name_of_somebody_else)
{
	int options[] = { 0, SO_REUSEADDR, SO_REUSEPORT };
	struct ft_addr addr;
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		/* Set on both sides: only the user is wrong. */
		fd = socket(AF_FERRY, variant->type, 0);
		ASSERT_LE(0, fd);
		if (options[i] && ft_setint(fd, options[i], 1)) {
			EXPECT_EQ(EOPNOTSUPP, errno);
			ft_close(&fd);
			continue;
		}
		ft_addr_new(AF_FERRY, &addr);
		ASSERT_EQ(0, bind(fd, &addr.sa, addr.len));
		EXPECT_EQ(EADDRINUSE, bind_as(variant->type, &addr, NOBODY,
					      options[i]));
		ft_close(&fd);
		EXPECT_EQ(0, bind_as(variant->type, &addr, NOBODY,
				     options[i]));
	}
}

TEST_F(owned, F03_reserved_names_by_capability)
{
	struct ft_child child;
	struct ft_addr addr;
	int fd;

	ft_addr_ferry(&addr, "system/", 7);
	fd = serve(variant->type, &addr);
	EXPECT_LE(0, fd);
	ft_close(&fd);
	if (!ft_fork(&child)) {
		if (!drop_cap(CAP_NET_BIND_SERVICE))
			_exit(CHILD_FAILED);
		_exit(serve(variant->type, &addr) < 0 ? errno : 0);
	}
	EXPECT_EQ(EACCES, ft_wait_child(&child));
}

TEST_F(owned, F03_host_scope_has_no_node)
{
	struct ft_addr addr;
	int fd = socket(AF_FERRY, variant->type, 0);
	int i;

	ASSERT_LE(0, fd);
	ft_addr_new(AF_FERRY, &addr);
	for (i = 0; i < 16; i++) {
		addr.ferry.sfy_node[i] = 1;
		EXPECT_ERR(EINVAL, bind(fd, &addr.sa, addr.len));
		addr.ferry.sfy_node[i] = 0;
	}
	EXPECT_EQ(0, bind(fd, &addr.sa, addr.len));
	/* Nor is a bound socket bound again, to any name or to one. */
	EXPECT_ERR(EINVAL, bind(fd, &addr.sa, FERRY_ADDR_HDR));
	ft_addr_new(AF_FERRY, &addr);
	EXPECT_ERR(EINVAL, bind(fd, &addr.sa, addr.len));
	ft_close(&fd);
}

TEST_F(owned, F15_death_frees_the_name)
{
	struct ft_child child;
	struct ft_addr addr;
	int i, fd;

	ft_addr_new(AF_FERRY, &addr);
	for (i = 0; i < 5; i++) {
		if (!ft_fork(&child)) {
			if (serve(variant->type, &addr) < 0)
				_exit(CHILD_FAILED);
			ft_say(&child, "bound");
			pause();
			_exit(0);
		}
		ASSERT_TRUE(ft_expect(&child, "bound"));
		fd = socket(AF_FERRY, variant->type, 0);
		EXPECT_ERR(EADDRINUSE, bind(fd, &addr.sa, addr.len));
		kill(child.pid, SIGKILL);
		ft_wait_child(&child);
		EXPECT_EQ(0, bind(fd, &addr.sa, addr.len));
		ft_close(&fd);
	}
}

struct binder {
	pthread_t thread;
	pthread_barrier_t *barrier;
	const struct ft_addr *addr;
	int type;
	int fd;
	int err;
};

static void *bind_at_once(void *arg)
{
	struct binder *binder = arg;

	pthread_barrier_wait(binder->barrier);
	binder->err = ft_err(bind(binder->fd, &binder->addr->sa,
				  binder->addr->len));
	return NULL;
}

TEST_F(owned, F03_one_of_many_gets_the_name)
{
	pthread_barrier_t barrier;
	struct binder binder[4];
	struct ft_addr addr;
	int round, i, won;

	pthread_barrier_init(&barrier, NULL, 4);
	for (round = 0; round < 30; round++) {
		ft_addr_new(AF_FERRY, &addr);
		for (i = 0; i < 4; i++) {
			binder[i] = (struct binder){
				.barrier = &barrier, .addr = &addr,
				.fd = socket(AF_FERRY, variant->type, 0),
			};
			ASSERT_LE(0, binder[i].fd);
			ASSERT_EQ(0, pthread_create(&binder[i].thread, NULL,
						    bind_at_once, &binder[i]));
		}
		won = 0;
		for (i = 0; i < 4; i++) {
			pthread_join(binder[i].thread, NULL);
			EXPECT_TRUE(!binder[i].err ||
				    binder[i].err == EADDRINUSE);
			won += !binder[i].err;
		}
		/* Only now: a closed one would let the next in. */
		for (i = 0; i < 4; i++)
			ft_close(&binder[i].fd);
		ASSERT_EQ(1, won);
	}
	pthread_barrier_destroy(&barrier);
}

TEST_F(owned, F03_types_have_separate_names)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	int fd[3];
	int i;

	for (i = 0; i < 3; i++) {
		fd[i] = types[i] == variant->type ? -1 :
			serve(types[i], &self->addr);
		if (types[i] != variant->type)
			EXPECT_LE(0, fd[i]);
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, reach(types[i], &self->addr));
	/* One gone, the others stay. */
	ft_close(&self->fd);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(types[i] == variant->type ? EPROTOTYPE : 0,
			  reach(types[i], &self->addr));
	}
	for (i = 0; i < 3; i++)
		ft_close(&fd[i]);
	EXPECT_EQ(ECONNREFUSED, reach(variant->type, &self->addr));
}

/* Namespaces. */

TEST_F(owned, X04_names_are_per_network_namespace)
{
	struct ft_child child;
	int old, fd;

	if (!ft_fork(&child)) {
		old = socket(AF_FERRY, variant->type, 0);
		if (unshare(CLONE_NEWNET))
			_exit(CHILD_FAILED);
		if (reach(variant->type, &self->addr) != ECONNREFUSED)
			_exit(1);
		/* The name is free here. */
		fd = serve(variant->type, &self->addr);
		if (fd < 0 || reach(variant->type, &self->addr))
			_exit(2);
		/* A socket belongs to where it was made. */
		if (ft_err(bind(old, &self->addr.sa, self->addr.len)) !=
		    EADDRINUSE)
			_exit(3);
		if (connect(old, &self->addr.sa, self->addr.len))
			_exit(4);
		_exit(0);
	}
	EXPECT_EQ(0, ft_wait_child(&child));
	/* What came from there came here. */
	if (variant->type != SOCK_DGRAM)
		EXPECT_EQ(POLLIN, ft_poll(self->fd, POLLIN, FT_LONG_MS));
	EXPECT_EQ(0, reach(variant->type, &self->addr));
}

TEST_F(owned, X04_root_of_a_user_namespace_is_not_root)
{
	struct ft_child child;
	struct ft_addr addr;

	ASSERT_EQ(0, set_mode(self->fd, 0600));
	ft_addr_ferry(&addr, "system/userns", 13);
	if (!ft_fork(&child)) {
		if (!ft_become(NOBODY, NOBODY))
			_exit(CHILD_FAILED);
		if (unshare(CLONE_NEWUSER))
			_exit(errno == EPERM || errno == ENOSPC ? 77 :
							CHILD_FAILED);
		/* All capabilities, but not over this network namespace. */
		if (reach(variant->type, &self->addr) != EACCES)
			_exit(1);
		if (serve(variant->type, &addr) >= 0 || errno != EACCES)
			_exit(2);
		/* Over one of its own it has them. */
		if (unshare(CLONE_NEWNET))
			_exit(CHILD_FAILED);
		if (serve(variant->type, &addr) < 0)
			_exit(3);
		_exit(0);
	}
	switch (ft_wait_child(&child)) {
	case 0:
		break;
	case 77:
		SKIP(return, "user namespaces are not allowed here");
	default:
		EXPECT_TRUE(false);
	}
}

TEST_F(owned, X04_a_namespace_dies_with_sockets_in_it)
{
	struct ft_child child;
	struct ft_addr addr;
	int i, fd;

	ft_addr_new(AF_FERRY, &addr);
	for (i = 0; i < 3; i++) {
		if (!ft_fork(&child)) {
			if (unshare(CLONE_NEWNET))
				_exit(CHILD_FAILED);
			fd = serve(variant->type, &addr);
			if (fd < 0 || reach(variant->type, &addr))
				_exit(CHILD_FAILED);
			fd = socket(AF_FERRY, variant->type, 0);
			if (connect(fd, &addr.sa, addr.len) ||
			    send(fd, "unread", 6, 0) != 6)
				_exit(CHILD_FAILED);
			ft_say(&child, "ready");
			pause();
		}
		EXPECT_TRUE(ft_expect(&child, "ready"));
		kill(child.pid, SIGKILL);
		ft_wait_child(&child);
	}
}

/* SO_REUSEADDR. */

FIXTURE(reuse)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int fd[3];
};

FIXTURE_VARIANT(reuse)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(reuse, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(reuse, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(reuse, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM },
};

FIXTURE_VARIANT_ADD(reuse, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(reuse, UDP_dgram)
{
	.kind = { AF_INET, SOCK_DGRAM },
};

FIXTURE_SETUP(reuse)
{
	int i;

	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	for (i = 0; i < 3; i++) {
		self->fd[i] = socket(variant->kind.domain, variant->kind.type,
				     0);
		ASSERT_LE(0, self->fd[i]);
	}
}

FIXTURE_TEARDOWN(reuse)
{
	int i;

	for (i = 0; i < 3; i++)
		ft_close(&self->fd[i]);
	FT_NO_LEAK(&self->leak);
}

TEST_F(reuse, N02_both_sockets_need_the_flag)
{
	int first, second, a, b;

	for (first = 0; first < 2; first++) {
		for (second = 0; second < 2; second++) {
			a = socket(variant->kind.domain, variant->kind.type, 0);
			b = socket(variant->kind.domain, variant->kind.type, 0);
			ASSERT_EQ(0, ft_setint(a, SO_REUSEADDR, first));
			ASSERT_EQ(0, ft_setint(b, SO_REUSEADDR, second));
			ASSERT_EQ(0, ft_bind_new(a, variant->kind.domain,
						 &self->addr));
			EXPECT_EQ(first && second ? 0 : EADDRINUSE,
				  ft_err(bind(b, &self->addr.sa,
					      self->addr.len)));
			ft_close(&a);
			ft_close(&b);
		}
	}
}

TEST_F(reuse, O34_every_earlier_socket_needs_the_flag)
{
	ASSERT_EQ(0, ft_setint(self->fd[0], SO_REUSEADDR, 1));
	ASSERT_EQ(0, ft_setint(self->fd[1], SO_REUSEADDR, 1));
	ASSERT_EQ(0, ft_setint(self->fd[2], SO_REUSEADDR, 1));
	ASSERT_EQ(0, ft_bind_new(self->fd[0], variant->kind.domain,
				 &self->addr));
	ASSERT_EQ(0, bind(self->fd[1], &self->addr.sa, self->addr.len));
	EXPECT_EQ(0, bind(self->fd[2], &self->addr.sa, self->addr.len));
}

TEST_F(reuse, O34_the_flag_counts_as_it_was_at_bind)
{
	/* UDP looks at it again when the later one is bound, as TCP may. */
	if (variant->kind.domain != AF_FERRY)
		SKIP(return, "not promised");
	ASSERT_EQ(0, ft_setint(self->fd[0], SO_REUSEADDR, 1));
	ASSERT_EQ(0, ft_setint(self->fd[1], SO_REUSEADDR, 1));
	ASSERT_EQ(0, ft_setint(self->fd[2], SO_REUSEADDR, 1));
	ASSERT_EQ(0, ft_bind_new(self->fd[0], variant->kind.domain,
				 &self->addr));
	ASSERT_EQ(0, bind(self->fd[1], &self->addr.sa, self->addr.len));
	ASSERT_EQ(0, ft_setint(self->fd[0], SO_REUSEADDR, 0));
	EXPECT_EQ(0, bind(self->fd[2], &self->addr.sa, self->addr.len));
}

TEST_F(reuse, O34_set_after_bind_it_does_not_count)
{
	/* TCP takes it on the earlier socket when the later one is bound. */
	if (variant->kind.domain != AF_FERRY)
		SKIP(return, "not promised");
	ASSERT_EQ(0, ft_bind_new(self->fd[0], variant->kind.domain,
				 &self->addr));
	ASSERT_EQ(0, ft_setint(self->fd[0], SO_REUSEADDR, 1));
	ASSERT_EQ(0, ft_setint(self->fd[1], SO_REUSEADDR, 1));
	EXPECT_ERR(EADDRINUSE, bind(self->fd[1], &self->addr.sa,
				    self->addr.len));
	/* Once it has gone, it has. */
	ft_close(&self->fd[0]);
	EXPECT_EQ(0, bind(self->fd[1], &self->addr.sa, self->addr.len));
}

TEST_F(reuse, O34_a_listener_is_the_exception)
{
	int i;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "does not listen");
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, ft_setint(self->fd[i], SO_REUSEADDR, 1));
	ASSERT_EQ(0, ft_bind_new(self->fd[0], variant->kind.domain,
				 &self->addr));
	ASSERT_EQ(0, bind(self->fd[1], &self->addr.sa, self->addr.len));
	ASSERT_EQ(0, listen(self->fd[0], 4));
	EXPECT_ERR(EADDRINUSE, bind(self->fd[2], &self->addr.sa,
				    self->addr.len));
	EXPECT_ERR(EADDRINUSE, listen(self->fd[1], 4));
	/* Once it has gone, the other may. */
	ft_close(&self->fd[0]);
	EXPECT_EQ(0, bind(self->fd[2], &self->addr.sa, self->addr.len));
	EXPECT_EQ(0, listen(self->fd[1], 4));
}

TEST_F(reuse, O34_connections_do_not_hold_the_name)
{
	struct ft_addr addr;
	int a, b;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "does not listen");
	ASSERT_EQ(0, ft_setint(self->fd[0], SO_REUSEADDR, 1));
	ASSERT_EQ(0, ft_bind_new(self->fd[0], variant->kind.domain, &addr));
	ASSERT_EQ(0, listen(self->fd[0], 4));
	a = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, a);
	b = accept(self->fd[0], NULL, NULL);
	ASSERT_LE(0, b);
	ft_close(&self->fd[0]);
	ASSERT_EQ(0, ft_setint(self->fd[1], SO_REUSEADDR, 1));
	EXPECT_EQ(0, bind(self->fd[1], &addr.sa, addr.len));
	EXPECT_EQ(0, listen(self->fd[1], 4));
	EXPECT_TRUE(ft_send_all(a, 0, 10, 10));
	EXPECT_TRUE(ft_recv_all(b, 0, 10, 10));
	ft_close(&a);
	ft_close(&b);
}

TEST_F(reuse, O34_unicast_goes_to_the_newest)
{
	char buf[8];
	int tx, i;

	if (variant->kind.type != SOCK_DGRAM)
		SKIP(return, "listens");
	tx = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, tx);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, ft_setint(self->fd[i], SO_REUSEADDR, 1));
		if (!i) {
			ASSERT_EQ(0, ft_bind_new(self->fd[0],
						 variant->kind.domain,
						 &self->addr));
		} else {
			ASSERT_EQ(0, bind(self->fd[i], &self->addr.sa,
					  self->addr.len));
		}
		ASSERT_EQ(1, sendto(tx, "x", 1, 0, &self->addr.sa,
				    self->addr.len));
		EXPECT_EQ(1, recv(self->fd[i], buf, 8, 0));
	}
	/* And back again as they close. */
	for (i = 2; i >= 0; i--) {
		ASSERT_EQ(1, sendto(tx, "x", 1, 0, &self->addr.sa,
				    self->addr.len));
		EXPECT_EQ(1, recv(self->fd[i], buf, 8, 0));
		ft_close(&self->fd[i]);
	}
	ft_close(&tx);
}

FT_HARNESS_MAIN
