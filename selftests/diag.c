// SPDX-License-Identifier: GPL-2.0
/*
 * Introspection: sock_diag, /proc/net/ferry, /proc/net/protocols. P05.
 *
 * What sock_diag has in common with that of AF_UNIX is asserted of both.
 */

#include "ferry_test.h"
#include "kselftest_harness.h"

#include <netinet/tcp.h>
#include <sched.h>
#include <sys/stat.h>
#include <linux/ferry_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO	55
#endif
#ifndef SO_COOKIE
#define SO_COOKIE	57
#endif

#define ANY_STATE	(~0U)
#define ANY_COOKIE	(~0ULL)
#define SHOW_ALL	(~0U)

/* More than fit into one message of a dump, or one read. */
#define MANY		300

_Static_assert(sizeof(struct ferry_diag_req) == sizeof(struct unix_diag_req),
	       "the layout of unix_diag_req");
_Static_assert(sizeof(struct ferry_diag_msg) == sizeof(struct unix_diag_msg),
	       "the layout of unix_diag_msg");

/* A socket as sock_diag shows it; -1 or a length of 0 for what it does not. */
struct shown {
	int type;
	int state;
	int flags;
	uint32_t ino;
	uint64_t cookie;
	size_t name_len;
	char name[sizeof(struct sockaddr_ferry)];
	size_t peer_name_len;
	char peer_name[sizeof(struct sockaddr_ferry)];
	int64_t peer_ino;
	uint64_t peer_cookie;
	int icons;
	uint32_t icon[4];
	int64_t rqueue;
	int64_t wqueue;
	size_t mem_len;
	uint32_t mem[SK_MEMINFO_VARS];
	int shutdown;
	int64_t uid;
	int mode;
};

struct list {
	struct shown *socks;
	size_t n;
};

static size_t keep(char *to, size_t size, const void *from, size_t len)
{
	memcpy(to, from, len < size ? len : size);
	return len;
}

static uint64_t cookie_of(const uint32_t *cookie)
{
	return cookie[0] | (uint64_t)cookie[1] << 32;
}

static void parse_ferry(struct shown *s, const struct rtattr *attr)
{
	const struct ferry_diag_rqlen *len = RTA_DATA(attr);
	const struct ferry_diag_peer *peer = RTA_DATA(attr);
	const uint32_t *value = RTA_DATA(attr);
	size_t size = RTA_PAYLOAD(attr);

	switch (attr->rta_type) {
	case FERRY_DIAG_NAME:
		s->name_len = keep(s->name, sizeof(s->name), value, size);
		break;
	case FERRY_DIAG_PEER_NAME:
		s->peer_name_len = keep(s->peer_name, sizeof(s->peer_name),
					value, size);
		break;
	case FERRY_DIAG_PEER:
		s->peer_ino = peer->fdiag_ino;
		s->peer_cookie = cookie_of(peer->fdiag_cookie);
		break;
	case FERRY_DIAG_ICONS:
		s->icons = size / sizeof(*value);
		keep((char *)s->icon, sizeof(s->icon), value, size);
		break;
	case FERRY_DIAG_RQLEN:
		s->rqueue = len->fdiag_rqueue;
		s->wqueue = len->fdiag_wqueue;
		break;
	case FERRY_DIAG_MEMINFO:
		s->mem_len = keep((char *)s->mem, sizeof(s->mem), value, size);
		break;
	case FERRY_DIAG_SHUTDOWN:
		s->shutdown = *(uint8_t *)value;
		break;
	case FERRY_DIAG_UID:
		s->uid = *value;
		break;
	case FERRY_DIAG_MODE:
		s->mode = *value;
		break;
	}
}

static void parse_unix(struct shown *s, const struct rtattr *attr)
{
	const struct unix_diag_rqlen *len = RTA_DATA(attr);
	const uint32_t *value = RTA_DATA(attr);
	size_t size = RTA_PAYLOAD(attr);

	switch (attr->rta_type) {
	case UNIX_DIAG_NAME:
		s->name_len = keep(s->name, sizeof(s->name), value, size);
		break;
	case UNIX_DIAG_PEER:
		s->peer_ino = *value;
		break;
	case UNIX_DIAG_ICONS:
		s->icons = size / sizeof(*value);
		keep((char *)s->icon, sizeof(s->icon), value, size);
		break;
	case UNIX_DIAG_RQLEN:
		s->rqueue = len->udiag_rqueue;
		s->wqueue = len->udiag_wqueue;
		break;
	case UNIX_DIAG_MEMINFO:
		s->mem_len = keep((char *)s->mem, sizeof(s->mem), value, size);
		break;
	case UNIX_DIAG_SHUTDOWN:
		s->shutdown = *(uint8_t *)value;
		break;
	case UNIX_DIAG_UID:
		s->uid = *value;
		break;
	}
}

static void parse(struct shown *s, const struct nlmsghdr *nlh)
{
	const struct ferry_diag_msg *msg = NLMSG_DATA(nlh);
	const struct rtattr *attr = (const void *)(msg + 1);
	int left = NLMSG_PAYLOAD(nlh, sizeof(*msg));

	memset(s, 0, sizeof(*s));
	s->type = msg->fdiag_type;
	s->state = msg->fdiag_state;
	s->flags = msg->fdiag_flags;
	s->ino = msg->fdiag_ino;
	s->cookie = cookie_of(msg->fdiag_cookie);
	s->peer_ino = -1;
	s->icons = -1;
	s->rqueue = -1;
	s->wqueue = -1;
	s->shutdown = -1;
	s->uid = -1;
	s->mode = -1;
	for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left)) {
		if (msg->fdiag_family == AF_FERRY)
			parse_ferry(s, attr);
		else
			parse_unix(s, attr);
	}
}

static int diag_open(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
}

struct request {
	struct nlmsghdr nlh;
	struct ferry_diag_req req;
};

static void request_init(struct request *r, int family)
{
	memset(r, 0, sizeof(*r));
	r->nlh.nlmsg_len = sizeof(*r);
	r->nlh.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	r->nlh.nlmsg_flags = NLM_F_REQUEST;
	r->req.sdiag_family = family;
	r->req.fdiag_states = ANY_STATE;
	r->req.fdiag_show = SHOW_ALL;
	r->req.fdiag_cookie[0] = ~0U;
	r->req.fdiag_cookie[1] = ~0U;
}

/*
 * Sends a request and takes what is answered, to the end of a dump or the one
 * message. Returns 0 or the negative errno that the kernel answered.
 */
static int transact(int fd, const struct request *r, struct list *list)
{
	/* 32 KiB, aligned. */
	static struct nlmsghdr buf[2048];
	const struct nlmsghdr *nlh;
	struct shown *grown;
	ssize_t n;

	list->socks = NULL;
	list->n = 0;
	if (send(fd, r, r->nlh.nlmsg_len, 0) != r->nlh.nlmsg_len)
		return -errno;
	for (;;) {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0)
			return -errno;
		for (nlh = buf; NLMSG_OK(nlh, n);
		     nlh = NLMSG_NEXT(nlh, n)) {
			if (nlh->nlmsg_type == NLMSG_DONE)
				return 0;
			if (nlh->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(nlh))->error;
			grown = realloc(list->socks,
					(list->n + 1) * sizeof(*grown));
			if (!grown)
				return -ENOMEM;
			list->socks = grown;
			parse(&list->socks[list->n++], nlh);
			if (!(nlh->nlmsg_flags & NLM_F_MULTI))
				return 0;
		}
	}
}

static int dump(int fd, int family, uint32_t states, struct list *list)
{
	struct request r;

	request_init(&r, family);
	r.nlh.nlmsg_flags |= NLM_F_DUMP;
	r.req.fdiag_states = states;
	return transact(fd, &r, list);
}

/* Looks for one socket. Returns 0 or a negative errno. */
static int lookup(int fd, int family, uint32_t ino, uint64_t cookie,
		  struct shown *s)
{
	struct request r;
	struct list list;
	int err;

	request_init(&r, family);
	r.req.fdiag_ino = ino;
	r.req.fdiag_cookie[0] = cookie;
	r.req.fdiag_cookie[1] = cookie >> 32;
	err = transact(fd, &r, &list);
	if (!err && list.n == 1)
		*s = list.socks[0];
	else if (!err)
		err = -EBADMSG;
	free(list.socks);
	return err;
}

/* AF_UNIX has it in a module of its own, which need not be installed. */
static bool have_diag(int fd, int family)
{
	struct list list;
	int err = dump(fd, family, 0, &list);

	free(list.socks);
	return err != -ENOENT || family != AF_UNIX;
}

static uint32_t inode(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

static uint64_t cookie(int fd)
{
	uint64_t value = 0;
	socklen_t len = sizeof(value);

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &value, &len);
	return value;
}

/* How often a list has a socket. */
static int times(const struct list *list, uint32_t ino)
{
	size_t i;
	int n = 0;

	for (i = 0; i < list->n; i++)
		n += list->socks[i].ino == ino;
	return n;
}

/* A line of /proc/net/ferry; @name is empty without one. */
struct line {
	unsigned long ino;
	unsigned long peer;
	char type[16];
	char state[16];
	unsigned int rqueue;
	unsigned int wqueue;
	unsigned int drops;
	unsigned int uid;
	unsigned long long cookie;
	char carrier[8];
	char node[48];
	char mode[8];
	char scope[8];
	char name[4 * FERRY_NAME_MAX + 64];
};

static bool parse_line(char *text, struct line *line)
{
	int scope = 0;
	char *name;

	memset(line, 0, sizeof(*line));
	text[strcspn(text, "\n")] = '\0';
	if (sscanf(text, "%lu %lu %15s %15s %u %u %u %u %llu %7s %47s %7s %n%7s",
		   &line->ino, &line->peer, line->type, line->state,
		   &line->rqueue, &line->wqueue, &line->drops, &line->uid,
		   &line->cookie, line->carrier, line->node, line->mode, &scope,
		   line->scope) != 13)
		return false;
	name = text + scope + strlen(line->scope);
	if (*name) {
		/* The scope's column, and one space. */
		if (strlen(text) < (size_t)scope + 8)
			return false;
		snprintf(line->name, sizeof(line->name), "%s", text + scope + 8);
	}
	return true;
}

/* The line of an inode, or with inode 0 of a name and a state. */
static bool proc_find(uint32_t ino, const char *name, const char *state,
		      struct line *line)
{
	FILE *f = fopen("/proc/net/ferry", "re");
	bool found = false;
	char text[1024];

	if (!f)
		return false;
	if (fgets(text, sizeof(text), f)) {
		while (!found && fgets(text, sizeof(text), f)) {
			found = parse_line(text, line) && line->ino == ino &&
				(!name || !strcmp(line->name, name)) &&
				(!state || !strcmp(line->state, state));
		}
	}
	fclose(f);
	return found;
}

static long proc_count(void)
{
	FILE *f = fopen("/proc/net/ferry", "re");
	char text[1024];
	long n = -1;

	if (!f)
		return -1;
	while (fgets(text, sizeof(text), f))
		n++;
	fclose(f);
	return n;
}

static const char *type_text(int type)
{
	return type == SOCK_STREAM ? "stream" :
	       type == SOCK_SEQPACKET ? "seqpacket" : "dgram";
}

/* Both families. */

FIXTURE(diag)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int nl;
	int fd;
	int a;
	int b;
};

FIXTURE_VARIANT(diag)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(diag, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(diag, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(diag, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM },
};

FIXTURE_VARIANT_ADD(diag, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(diag, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(diag, UNIX_dgram)
{
	.kind = { AF_UNIX, SOCK_DGRAM },
};

FIXTURE_SETUP(diag)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->fd = -1;
	self->a = -1;
	self->b = -1;
	self->nl = diag_open();
	ASSERT_LE(0, self->nl);
	if (!have_diag(self->nl, variant->kind.domain))
		SKIP(return, "no unix_diag here");
	self->fd = socket(variant->kind.domain, variant->kind.type, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(diag)
{
	ft_close(&self->nl);
	ft_close(&self->fd);
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

TEST_F(diag, P05_lookup_by_inode_and_cookie)
{
	int domain = variant->kind.domain;
	uint64_t own = cookie(self->fd);
	uint32_t ino = inode(self->fd);
	struct shown s;

	ASSERT_EQ(0, lookup(self->nl, domain, ino, ANY_COOKIE, &s));
	EXPECT_EQ(variant->kind.type, s.type);
	EXPECT_EQ(TCP_CLOSE, s.state);
	EXPECT_EQ(0, s.flags);
	EXPECT_EQ(ino, s.ino);
	EXPECT_EQ(own, s.cookie);

	EXPECT_EQ(0, lookup(self->nl, domain, ino, own, &s));
	EXPECT_EQ(-ESTALE, lookup(self->nl, domain, ino, own + 1, &s));
	EXPECT_EQ(-ESTALE, lookup(self->nl, domain, ino, own + (1ULL << 32), &s));
	EXPECT_EQ(-EINVAL, lookup(self->nl, domain, 0, ANY_COOKIE, &s));
	EXPECT_EQ(-ENOENT, lookup(self->nl, domain, inode(self->nl), ANY_COOKIE,
				  &s));

	ft_close(&self->fd);
	EXPECT_EQ(-ENOENT, lookup(self->nl, domain, ino, own, &s));
}

TEST_F(diag, P05_attributes_of_an_unbound_socket)
{
	struct shown s;

	ASSERT_EQ(0, lookup(self->nl, variant->kind.domain, inode(self->fd),
			    ANY_COOKIE, &s));
	EXPECT_EQ(0, s.name_len);
	EXPECT_EQ(0, s.peer_name_len);
	EXPECT_EQ(-1, s.peer_ino);
	EXPECT_EQ(-1, s.icons);
	EXPECT_EQ(0, s.rqueue);
	EXPECT_EQ(0, s.wqueue);
	EXPECT_EQ(0, s.shutdown);
	EXPECT_EQ(getuid(), s.uid);
	EXPECT_EQ(-1, s.mode);
}

TEST_F(diag, P05_attributes_come_when_asked_for)
{
	struct request r;
	struct list list;

	ASSERT_EQ(0, ft_bind_new(self->fd, variant->kind.domain, &self->addr));
	request_init(&r, variant->kind.domain);
	r.req.fdiag_ino = inode(self->fd);
	r.req.fdiag_show = 0;
	ASSERT_EQ(0, transact(self->nl, &r, &list));
	ASSERT_EQ(1, list.n);
	EXPECT_EQ(0, list.socks[0].name_len);
	EXPECT_EQ(-1, list.socks[0].rqueue);
	EXPECT_EQ(0, list.socks[0].mem_len);
	EXPECT_EQ(-1, list.socks[0].uid);
	EXPECT_EQ(-1, list.socks[0].mode);
	EXPECT_EQ(0, list.socks[0].shutdown);
	free(list.socks);
}

TEST_F(diag, P05_memory_as_SO_MEMINFO)
{
	uint32_t mem[SK_MEMINFO_VARS] = {};
	char data[1000] = "";
	socklen_t len = sizeof(mem);
	struct shown s;
	int sv[2];

	ASSERT_EQ(0, socketpair(variant->kind.domain, variant->kind.type, 0, sv));
	self->a = sv[0];
	self->b = sv[1];
	ASSERT_EQ(1000, send(self->a, data, sizeof(data), 0));
	ASSERT_EQ(0, getsockopt(self->b, SOL_SOCKET, SO_MEMINFO, mem, &len));
	ASSERT_EQ(0, lookup(self->nl, variant->kind.domain, inode(self->b),
			    ANY_COOKIE, &s));
	ASSERT_EQ(sizeof(mem), s.mem_len);
	EXPECT_EQ(0, memcmp(mem, s.mem, sizeof(mem)));
	EXPECT_LT(0, s.mem[SK_MEMINFO_RCVBUF]);
	if (variant->kind.domain == AF_FERRY)
		EXPECT_LE(1000, s.mem[SK_MEMINFO_RMEM_ALLOC]);
}

TEST_F(diag, P05_pair)
{
	int domain = variant->kind.domain;
	char byte[100] = "";
	struct shown a, b;
	int sv[2];

	ASSERT_EQ(0, socketpair(domain, variant->kind.type, 0, sv));
	self->a = sv[0];
	self->b = sv[1];
	ASSERT_EQ(100, send(self->a, byte, 100, 0));
	ASSERT_EQ(0, lookup(self->nl, domain, inode(sv[0]), ANY_COOKIE, &a));
	ASSERT_EQ(0, lookup(self->nl, domain, inode(sv[1]), ANY_COOKIE, &b));
	EXPECT_EQ(TCP_ESTABLISHED, a.state);
	EXPECT_EQ(inode(sv[1]), a.peer_ino);
	EXPECT_EQ(inode(sv[0]), b.peer_ino);
	EXPECT_EQ(0, a.rqueue);
	EXPECT_EQ(100, b.rqueue);
	EXPECT_LE(100, a.wqueue);
	EXPECT_EQ(0, b.wqueue);
	if (domain == AF_FERRY) {
		EXPECT_EQ(100, a.wqueue);
		EXPECT_EQ(b.cookie, a.peer_cookie);
	}

	/* Two messages of 20; a stream read to the middle of the first. */
	ASSERT_EQ(100, recv(self->b, byte, 100, 0));
	ASSERT_EQ(20, send(self->b, byte, 20, 0));
	ASSERT_EQ(20, send(self->b, byte, 20, 0));
	if (variant->kind.type == SOCK_STREAM)
		ASSERT_EQ(5, recv(self->a, byte, 5, 0));
	ASSERT_EQ(0, lookup(self->nl, domain, inode(sv[0]), ANY_COOKIE, &a));
	/* Of datagrams unix_diag counts the first alone. */
	if (domain == AF_FERRY || variant->kind.type != SOCK_DGRAM)
		EXPECT_EQ(variant->kind.type == SOCK_STREAM ? 35 : 40, a.rqueue);

	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	ASSERT_EQ(0, lookup(self->nl, domain, inode(sv[0]), ANY_COOKIE, &a));
	EXPECT_EQ(2, a.shutdown);

	ft_close(&self->a);
	ASSERT_EQ(0, lookup(self->nl, domain, inode(sv[1]), ANY_COOKIE, &b));
	EXPECT_GE(0, b.peer_ino);
}

TEST_F(diag, P05_dump_has_every_socket_once)
{
	int domain = variant->kind.domain;
	struct list list;
	int fds[MANY];
	int i;

	for (i = 0; i < MANY; i++) {
		fds[i] = socket(domain, variant->kind.type, 0);
		ASSERT_LE(0, fds[i]);
		/* Long answers and short ones. */
		if (i % 3 == 0)
			ASSERT_EQ(0, ft_bind_new(fds[i], domain, &self->addr));
	}
	ASSERT_EQ(0, dump(self->nl, domain, ANY_STATE, &list));
	EXPECT_EQ(MANY + 1, list.n);
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(1, times(&list, inode(fds[i])));
	EXPECT_EQ(1, times(&list, inode(self->fd)));
	free(list.socks);

	for (i = 0; i < MANY; i += 2)
		ft_close(&fds[i]);
	ASSERT_EQ(0, dump(self->nl, domain, ANY_STATE, &list));
	EXPECT_EQ(MANY / 2 + 1, list.n);
	for (i = 1; i < MANY; i += 2) {
		EXPECT_EQ(1, times(&list, inode(fds[i])));
		ft_close(&fds[i]);
	}
	free(list.socks);
}

TEST_F(diag, P05_dump_filters_by_state)
{
	int domain = variant->kind.domain;
	struct list list;
	int sv[2];

	ASSERT_EQ(0, socketpair(domain, variant->kind.type, 0, sv));
	self->a = sv[0];
	self->b = sv[1];
	ASSERT_EQ(0, dump(self->nl, domain, 1 << TCP_ESTABLISHED, &list));
	EXPECT_EQ(2, list.n);
	EXPECT_EQ(1, times(&list, inode(sv[0])));
	EXPECT_EQ(1, times(&list, inode(sv[1])));
	free(list.socks);
	ASSERT_EQ(0, dump(self->nl, domain, 1 << TCP_CLOSE, &list));
	EXPECT_EQ(1, list.n);
	EXPECT_EQ(1, times(&list, inode(self->fd)));
	free(list.socks);
	ASSERT_EQ(0, dump(self->nl, domain, 0, &list));
	EXPECT_EQ(0, list.n);
	free(list.socks);
}

TEST_F(diag, P05_needs_no_privilege)
{
	int domain = variant->kind.domain;
	uint32_t ino = inode(self->fd);
	struct ft_child child;

	if (!ft_fork(&child)) {
		struct shown s;
		bool ok;
		int nl;

		ok = ft_become(1000, 1000);
		nl = diag_open();
		ok = ok && !lookup(nl, domain, ino, ANY_COOKIE, &s) && !s.uid;
		_exit(!ok);
	}
	EXPECT_EQ(0, ft_wait_child(&child));
}

TEST_F(diag, P05_bad_requests)
{
	int domain = variant->kind.domain;
	struct request r;
	struct list list;

	/* Shorter than what every family's requests begin with, and than its own. */
	request_init(&r, domain);
	r.nlh.nlmsg_len = NLMSG_LENGTH(1);
	EXPECT_EQ(-EINVAL, transact(self->nl, &r, &list));
	request_init(&r, domain);
	r.nlh.nlmsg_len = sizeof(r) - 4;
	EXPECT_EQ(-EINVAL, transact(self->nl, &r, &list));
	r.nlh.nlmsg_flags |= NLM_F_DUMP;
	EXPECT_EQ(-EINVAL, transact(self->nl, &r, &list));

	request_init(&r, domain);
	r.nlh.nlmsg_type = SOCK_DESTROY;
	r.req.fdiag_ino = inode(self->fd);
	EXPECT_EQ(-EOPNOTSUPP, transact(self->nl, &r, &list));
}

/* What listens, of both families. */

FIXTURE(listening)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int nl;
	int fd;
	int a;
	int b;
};

FIXTURE_VARIANT(listening)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(listening, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(listening, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(listening, UNIX_stream)
{
	.kind = { AF_UNIX, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(listening, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET },
};

FIXTURE_SETUP(listening)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->fd = -1;
	self->a = -1;
	self->b = -1;
	self->nl = diag_open();
	ASSERT_LE(0, self->nl);
	if (!have_diag(self->nl, variant->kind.domain))
		SKIP(return, "no unix_diag here");
}

FIXTURE_TEARDOWN(listening)
{
	ft_close(&self->nl);
	ft_close(&self->fd);
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

TEST_F(listening, P05_listener)
{
	struct ft_kind kind = variant->kind;
	struct shown s;

	self->fd = ft_listener(&kind, &self->addr, 5);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, lookup(self->nl, kind.domain, inode(self->fd), ANY_COOKIE,
			    &s));
	EXPECT_EQ(TCP_LISTEN, s.state);
	EXPECT_EQ(0, s.icons);
	EXPECT_EQ(0, s.rqueue);
	EXPECT_EQ(5, s.wqueue);
	if (kind.domain == AF_FERRY) {
		EXPECT_EQ(self->addr.len, s.name_len);
		EXPECT_EQ(0, memcmp(s.name, &self->addr, self->addr.len));
	}

	self->a = ft_connect(&kind, &self->addr);
	self->b = ft_connect(&kind, &self->addr);
	ASSERT_LE(0, self->a);
	ASSERT_LE(0, self->b);
	ASSERT_EQ(0, lookup(self->nl, kind.domain, inode(self->fd), ANY_COOKIE,
			    &s));
	EXPECT_EQ(2, s.rqueue);
	ASSERT_EQ(2, s.icons);
	EXPECT_EQ(inode(self->a), s.icon[0]);
	EXPECT_EQ(inode(self->b), s.icon[1]);
}

/* Listeners of AF_FERRY tell more. */

FIXTURE(ferry_listening)
{
	struct ft_leak leak;
	struct ft_kind kind;
	struct ft_addr addr;
	char name[FERRY_NAME_MAX + 1];
	int nl;
	int fd;
	int a;
	int b;
};

FIXTURE_VARIANT(ferry_listening)
{
	int type;
};

FIXTURE_VARIANT_ADD(ferry_listening, FERRY_stream)
{
	.type = SOCK_STREAM,
};

FIXTURE_VARIANT_ADD(ferry_listening, FERRY_seqpacket)
{
	.type = SOCK_SEQPACKET,
};

FIXTURE_SETUP(ferry_listening)
{
	FT_NEED(AF_FERRY, variant->type);
	ft_leak_start(&self->leak, AF_FERRY);
	self->kind = (struct ft_kind){ AF_FERRY, variant->type };
	self->a = -1;
	self->b = -1;
	self->nl = diag_open();
	ASSERT_LE(0, self->nl);
	umask(0);
	/* Backlog 0 is one place. */
	self->fd = ft_listener(&self->kind, &self->addr, 0);
	ASSERT_LE(0, self->fd);
	snprintf(self->name, sizeof(self->name), "%.*s",
		 (int)(self->addr.len - FERRY_ADDR_HDR),
		 self->addr.ferry.sfy_name);
}

FIXTURE_TEARDOWN(ferry_listening)
{
	ft_close(&self->nl);
	ft_close(&self->fd);
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

TEST_F(ferry_listening, P05_states_of_connections)
{
	const char *name = self->name;
	struct shown s, child;
	struct line line;

	ASSERT_TRUE(proc_find(inode(self->fd), name, "listening", &line));
	EXPECT_EQ(0, line.rqueue);
	EXPECT_EQ(0, line.wqueue);

	self->a = ft_connect(&self->kind, &self->addr);
	ASSERT_LE(0, self->a);
	ASSERT_EQ(4, send(self->a, "data", 4, 0));
	ASSERT_TRUE(proc_find(inode(self->fd), name, "listening", &line));
	EXPECT_EQ(1, line.rqueue);

	/* The child has no inode, but a line, a cookie and a peer. */
	ASSERT_TRUE(proc_find(0, name, "unaccepted", &line));
	EXPECT_EQ(inode(self->a), line.peer);
	EXPECT_EQ(4, line.rqueue);
	EXPECT_STREQ("-", line.mode);
	ASSERT_EQ(0, lookup(self->nl, AF_FERRY, inode(self->a), ANY_COOKIE, &s));
	EXPECT_EQ(TCP_ESTABLISHED, s.state);
	EXPECT_EQ(0, s.peer_ino);
	ASSERT_EQ(0, lookup(self->nl, AF_FERRY, 0, s.peer_cookie, &child));
	EXPECT_EQ(s.peer_cookie, line.cookie);
	EXPECT_EQ(FERRY_DIAG_F_UNACCEPTED, child.flags);
	EXPECT_EQ(TCP_ESTABLISHED, child.state);
	EXPECT_EQ(0, child.ino);
	EXPECT_EQ(inode(self->a), child.peer_ino);
	EXPECT_EQ(4, child.rqueue);
	EXPECT_EQ(-1, child.mode);

	/* No place: it connects still. */
	self->b = socket(AF_FERRY, variant->type | SOCK_NONBLOCK, 0);
	ASSERT_LE(0, self->b);
	ASSERT_ERR(EINPROGRESS, connect(self->b, &self->addr.sa,
					self->addr.len));
	EXPECT_TRUE(proc_find(inode(self->b), "", "connecting", &line));
	ASSERT_EQ(0, lookup(self->nl, AF_FERRY, inode(self->b), ANY_COOKIE, &s));
	EXPECT_EQ(TCP_SYN_SENT, s.state);
	EXPECT_EQ(-1, s.peer_ino);
	EXPECT_EQ(proc_count(), ft_ferry_sockets());
	ft_close(&self->b);

	/* Accepted, it is the same socket with an inode. */
	self->b = accept(self->fd, NULL, NULL);
	ASSERT_LE(0, self->b);
	EXPECT_EQ(child.cookie, cookie(self->b));
	ASSERT_EQ(0, lookup(self->nl, AF_FERRY, 0, child.cookie, &child));
	EXPECT_EQ(inode(self->b), child.ino);
	EXPECT_EQ(0, child.flags);
	EXPECT_TRUE(proc_find(inode(self->b), name, "connected", &line));
	EXPECT_FALSE(proc_find(0, name, "unaccepted", &line));
}

TEST_F(ferry_listening, P05_uid_of_who_connects)
{
	struct ft_child child;
	struct list list;
	size_t i;

	if (!ft_fork(&child)) {
		bool ok = ft_become(1000, 1000) &&
			  ft_connect(&self->kind, &self->addr) >= 0;

		ft_say(&child, ok ? "connected" : "failed");
		ft_expect(&child, "end");
		_exit(0);
	}
	ASSERT_TRUE(ft_expect(&child, "connected"));
	ASSERT_EQ(0, dump(self->nl, AF_FERRY, 1 << TCP_ESTABLISHED, &list));
	EXPECT_EQ(2, list.n);
	for (i = 0; i < list.n; i++)
		EXPECT_EQ(1000, list.socks[i].uid);
	free(list.socks);

	self->b = accept(self->fd, NULL, NULL);
	ASSERT_LE(0, self->b);
	ASSERT_EQ(0, dump(self->nl, AF_FERRY, 1 << TCP_ESTABLISHED, &list));
	for (i = 0; i < list.n; i++)
		EXPECT_EQ(list.socks[i].ino == inode(self->b) ? 0 : 1000,
			  list.socks[i].uid);
	free(list.socks);
	ASSERT_TRUE(ft_say(&child, "end"));
	EXPECT_EQ(0, ft_wait_child(&child));
}

/* Every type of AF_FERRY. */

FIXTURE(ferry_diag)
{
	struct ft_leak leak;
	struct ft_kind kind;
	struct ft_addr addr;
	int nl;
	int fd;
	int a;
	int b;
};

FIXTURE_VARIANT(ferry_diag)
{
	int type;
};

FIXTURE_VARIANT_ADD(ferry_diag, FERRY_stream)
{
	.type = SOCK_STREAM,
};

FIXTURE_VARIANT_ADD(ferry_diag, FERRY_seqpacket)
{
	.type = SOCK_SEQPACKET,
};

FIXTURE_VARIANT_ADD(ferry_diag, FERRY_dgram)
{
	.type = SOCK_DGRAM,
};

FIXTURE_SETUP(ferry_diag)
{
	FT_NEED(AF_FERRY, variant->type);
	ft_leak_start(&self->leak, AF_FERRY);
	self->kind = (struct ft_kind){ AF_FERRY, variant->type };
	self->a = -1;
	self->b = -1;
	self->nl = diag_open();
	ASSERT_LE(0, self->nl);
	self->fd = socket(AF_FERRY, variant->type, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(ferry_diag)
{
	ft_close(&self->nl);
	ft_close(&self->fd);
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

TEST_F(ferry_diag, P05_lookup_by_cookie_alone)
{
	uint64_t own = cookie(self->fd);
	struct shown s;

	ASSERT_EQ(0, lookup(self->nl, AF_FERRY, 0, own, &s));
	EXPECT_EQ(inode(self->fd), s.ino);
	EXPECT_EQ(own, s.cookie);
	EXPECT_EQ(-ENOENT, lookup(self->nl, AF_FERRY, 0, own + (1ULL << 40), &s));
	EXPECT_EQ(-ENOENT, lookup(self->nl, AF_FERRY, 0, 0, &s));
	ft_close(&self->fd);
	EXPECT_EQ(-ENOENT, lookup(self->nl, AF_FERRY, 0, own, &s));
}

TEST_F(ferry_diag, P05_reserved_fields_must_be_zero)
{
	struct request r;
	struct list list;

	request_init(&r, AF_FERRY);
	r.req.fdiag_ino = inode(self->fd);
	r.req.pad = 1;
	EXPECT_EQ(-EINVAL, transact(self->nl, &r, &list));
	r.req.pad = 0;
	r.req.sdiag_protocol = 1;
	EXPECT_EQ(-EINVAL, transact(self->nl, &r, &list));
	r.req.sdiag_protocol = 0;
	EXPECT_EQ(0, transact(self->nl, &r, &list));
	free(list.socks);
}

TEST_F(ferry_diag, P05_names_and_mode)
{
	mode_t mask = umask(027);
	__u32 mode = 0604;
	struct shown s;

	ASSERT_EQ(0, ft_bind_new(self->fd, AF_FERRY, &self->addr));
	umask(mask);
	ASSERT_EQ(0, lookup(self->nl, AF_FERRY, inode(self->fd), ANY_COOKIE, &s));
	EXPECT_EQ(self->addr.len, s.name_len);
	EXPECT_EQ(0, memcmp(s.name, &self->addr, self->addr.len));
	EXPECT_EQ(0640, s.mode);
	ASSERT_EQ(0, setsockopt(self->fd, SOL_FERRY, FERRY_MODE, &mode,
				sizeof(mode)));
	ASSERT_EQ(0, lookup(self->nl, AF_FERRY, inode(self->fd), ANY_COOKIE, &s));
	EXPECT_EQ(0604, s.mode);

	if (variant->type != SOCK_DGRAM)
		ASSERT_EQ(0, listen(self->fd, 1));
	self->a = ft_connect(&self->kind, &self->addr);
	ASSERT_LE(0, self->a);
	ASSERT_EQ(0, lookup(self->nl, AF_FERRY, inode(self->a), ANY_COOKIE, &s));
	EXPECT_EQ(0, s.name_len);
	EXPECT_EQ(self->addr.len, s.peer_name_len);
	EXPECT_EQ(0, memcmp(s.peer_name, &self->addr, self->addr.len));
	EXPECT_EQ(-1, s.mode);
}

TEST_F(ferry_diag, P05_proc_unbound_bound_and_paired)
{
	struct line line;
	int sv[2];

	ASSERT_TRUE(proc_find(inode(self->fd), NULL, NULL, &line));
	EXPECT_STREQ(type_text(variant->type), line.type);
	EXPECT_STREQ("unconnected", line.state);
	EXPECT_STREQ("-", line.mode);
	EXPECT_STREQ("-", line.scope);
	EXPECT_STREQ("", line.name);
	EXPECT_EQ(0, line.peer);
	EXPECT_EQ(getuid(), line.uid);
	EXPECT_NE(0, line.cookie);
	EXPECT_EQ(cookie(self->fd), line.cookie);

	ft_addr_ferry(&self->addr, "proc name", 9);
	ASSERT_EQ(0, bind(self->fd, &self->addr.sa, self->addr.len));
	ASSERT_TRUE(proc_find(inode(self->fd), NULL, NULL, &line));
	EXPECT_STREQ("unconnected", line.state);
	EXPECT_STREQ("host", line.scope);
	EXPECT_STREQ("proc name", line.name);
	EXPECT_EQ('0', line.mode[0]);

	ASSERT_EQ(0, socketpair(AF_FERRY, variant->type, 0, sv));
	self->a = sv[0];
	self->b = sv[1];
	ASSERT_EQ(3, send(sv[0], "abc", 3, 0));
	ASSERT_TRUE(proc_find(inode(sv[0]), NULL, NULL, &line));
	EXPECT_STREQ("connected", line.state);
	EXPECT_EQ(inode(sv[1]), line.peer);
	EXPECT_EQ(0, line.rqueue);
	EXPECT_EQ(3, line.wqueue);
	ASSERT_TRUE(proc_find(inode(sv[1]), NULL, NULL, &line));
	EXPECT_EQ(inode(sv[0]), line.peer);
	EXPECT_EQ(3, line.rqueue);
	EXPECT_EQ(0, line.wqueue);

	ft_close(&self->b);
	EXPECT_TRUE(proc_find(inode(sv[0]), NULL, NULL, &line));
	EXPECT_EQ(0, line.peer);
}

TEST_F(ferry_diag, P05_proc_escapes_names)
{
	static const char name[] = "a\\b\0\xe9\x7f\n c ";
	static const char fake[] = "ferry://[::1]/x";
	static const char zeros[FERRY_NAME_MAX];
	struct line line;

	ft_addr_ferry(&self->addr, name, sizeof(name) - 1);
	ASSERT_EQ(0, bind(self->fd, &self->addr.sa, self->addr.len));
	ASSERT_TRUE(proc_find(inode(self->fd), NULL, NULL, &line));
	EXPECT_STREQ("a\\x5cb\\x00\\xe9\\x7f\\x0a c ", line.name);

	/* A name that looks like one with a node does not read like one. */
	ft_close(&self->fd);
	self->fd = socket(AF_FERRY, variant->type, 0);
	ft_addr_ferry(&self->addr, fake, sizeof(fake) - 1);
	ASSERT_EQ(0, bind(self->fd, &self->addr.sa, self->addr.len));
	ASSERT_TRUE(proc_find(inode(self->fd), NULL, NULL, &line));
	EXPECT_STREQ("\\x66erry://[::1]/x", line.name);

	/* The longest there is, all of it escaped. */
	ft_close(&self->fd);
	self->fd = socket(AF_FERRY, variant->type, 0);
	ft_addr_ferry(&self->addr, zeros, sizeof(zeros));
	ASSERT_EQ(0, bind(self->fd, &self->addr.sa, self->addr.len));
	ASSERT_TRUE(proc_find(inode(self->fd), NULL, NULL, &line));
	EXPECT_EQ(4 * FERRY_NAME_MAX, strlen(line.name));
}

TEST_F(ferry_diag, P05_proc_network_scope)
{
	struct line line;

	ft_addr_ferry(&self->addr, "service", 7);
	self->addr.ferry.sfy_scope = FERRY_SCOPE_NETWORK;
	ASSERT_EQ(0, bind(self->fd, &self->addr.sa, self->addr.len));
	ASSERT_TRUE(proc_find(inode(self->fd), NULL, NULL, &line));
	EXPECT_STREQ("network", line.scope);
	EXPECT_STREQ("ferry://[::]/service", line.name);
}

TEST_F(ferry_diag, P05_header_and_columns)
{
	FILE *f = fopen("/proc/net/ferry", "re");
	char text[1024], *name;

	ASSERT_NE(NULL, f);
	ASSERT_EQ(0, ft_bind_new(self->fd, AF_FERRY, &self->addr));
	ASSERT_NE(NULL, fgets(text, sizeof(text), f));
	name = strstr(text, "Name\n");
	ASSERT_NE(NULL, name);
	EXPECT_NE(NULL, strstr(text, "Inode"));
	ASSERT_NE(NULL, fgets(name + 8, sizeof(text) - (name + 8 - text), f));
	EXPECT_EQ(0, memcmp(name + 8 + (name - text), self->addr.ferry.sfy_name,
			    self->addr.len - FERRY_ADDR_HDR));
	fclose(f);
}

TEST_F(ferry_diag, P05_protocols_counts_what_is_listed)
{
	long before = ft_ferry_sockets();
	int fds[20];
	int i;

	EXPECT_EQ(before, proc_count());
	for (i = 0; i < 20; i++) {
		struct ft_addr addr;

		fds[i] = socket(AF_FERRY, variant->type, 0);
		ASSERT_LE(0, fds[i]);
		EXPECT_EQ(before + i + 1, ft_ferry_sockets());
		/* Those with a name stay in memory for a grace period. */
		if (i % 2)
			ASSERT_EQ(0, ft_bind_new(fds[i], AF_FERRY, &addr));
	}
	EXPECT_EQ(before + 20, proc_count());
	for (i = 0; i < 20; i++) {
		ft_close(&fds[i]);
		EXPECT_EQ(before + 19 - i, ft_ferry_sockets());
	}
	EXPECT_EQ(before, proc_count());
}

/* Reads the whole file in pieces, perturbing the list after each. */
static char *proc_read(size_t piece, int type)
{
	size_t size = 1 << 20, used = 0;
	char *text = malloc(size);
	int fd = open("/proc/net/ferry", O_RDONLY | O_CLOEXEC);
	int other[8], i = 0;
	ssize_t n;

	memset(other, -1, sizeof(other));
	while (text && used + piece < size) {
		n = read(fd, text + used, piece);
		if (n <= 0)
			break;
		used += n;
		ft_close(&other[i % 8]);
		other[i++ % 8] = socket(AF_FERRY, type, 0);
	}
	for (i = 0; i < 8; i++)
		ft_close(&other[i]);
	close(fd);
	if (text)
		text[used] = '\0';
	return text;
}

TEST_F_TIMEOUT(ferry_diag, P05_proc_in_pieces_while_others_come_and_go, FT_SLOW_S)
{
	size_t piece;
	int fds[MANY];
	int i;

	for (i = 0; i < MANY; i++) {
		fds[i] = socket(AF_FERRY, variant->type, 0);
		ASSERT_LE(0, fds[i]);
	}
	for (piece = 61; piece < 10000; piece = piece * 5 + 3) {
		char *text = proc_read(piece, variant->type);
		char *next, *at;
		int seen[MANY] = {};
		struct line line;

		ASSERT_NE(NULL, text);
		next = strchr(text, '\n');
		ASSERT_NE(NULL, next);
		while (next && next[1]) {
			at = next + 1;
			next = strchr(at, '\n');
			ASSERT_TRUE(parse_line(at, &line));
			for (i = 0; i < MANY; i++)
				seen[i] += line.ino == inode(fds[i]);
		}
		for (i = 0; i < MANY; i++)
			EXPECT_EQ(1, seen[i]);
		free(text);
	}
	for (i = 0; i < MANY; i++)
		ft_close(&fds[i]);
}

TEST_F(ferry_diag, P05_namespaces)
{
	uint32_t ino = inode(self->fd);
	uint64_t own = cookie(self->fd);
	struct ft_child child;
	struct list list;
	char number[32];

	if (!ft_fork(&child)) {
		struct shown s;
		int fd, nl, err;
		bool ok;

		ok = !unshare(CLONE_NEWNET);
		nl = diag_open();
		fd = socket(AF_FERRY, variant->type, 0);
		ok = ok && proc_count() == 1 && ft_ferry_sockets() == 1;
		ok = ok && !dump(nl, AF_FERRY, ANY_STATE, &list) &&
		     list.n == 1 && list.socks[0].ino == inode(fd);
		err = lookup(nl, AF_FERRY, ino, own, &s);
		ok = ok && err == -ENOENT;
		err = lookup(nl, AF_FERRY, 0, own, &s);
		ok = ok && err == -ENOENT;
		ft_say(&child, ok ? "made" : "failed");
		ft_expect(&child, "end");
		_exit(0);
	}
	ASSERT_TRUE(ft_expect(&child, "made"));
	/* The child's copy of the fixture is the same socket. */
	EXPECT_EQ(1, proc_count());
	ASSERT_EQ(0, dump(self->nl, AF_FERRY, ANY_STATE, &list));
	EXPECT_EQ(1, list.n);
	EXPECT_EQ(1, times(&list, ino));
	free(list.socks);

	/* Its own /proc shows what it has, to whoever may look. */
	snprintf(number, sizeof(number), "/proc/%d/net/ferry", child.pid);
	EXPECT_EQ(0, access(number, R_OK));
	ASSERT_TRUE(ft_say(&child, "end"));
	EXPECT_EQ(0, ft_wait_child(&child));
}

/* Sockets in every state come and go until told to stop. */
struct churn {
	pthread_t thread;
	struct ft_kind kind;
	atomic_bool *stop;
	int rounds;
};

static void *churn(void *arg)
{
	struct churn *c = arg;
	int listener, a, b, waiting, sv[2];
	struct ft_addr addr;
	char byte;

	do {
		if (!socketpair(AF_FERRY, c->kind.type, 0, sv)) {
			send(sv[0], "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
			ft_close(&sv[c->rounds & 1]);
			recv(sv[!(c->rounds & 1)], &byte, 1, MSG_DONTWAIT);
			ft_close(&sv[!(c->rounds & 1)]);
		}
		if (c->kind.type == SOCK_DGRAM) {
			a = socket(AF_FERRY, SOCK_DGRAM, 0);
			ft_bind_new(a, AF_FERRY, &addr);
			b = ft_connect(&c->kind, &addr);
			send(b, "x", 1, MSG_DONTWAIT);
			ft_close(&a);
			ft_close(&b);
			continue;
		}
		listener = ft_listener(&c->kind, &addr, 0);
		a = ft_connect(&c->kind, &addr);
		waiting = socket(AF_FERRY, c->kind.type | SOCK_NONBLOCK, 0);
		connect(waiting, &addr.sa, addr.len);
		b = -1;
		if (c->rounds & 2)
			b = accept(listener, NULL, NULL);
		send(a, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (c->rounds & 1)
			ft_close(&a);
		ft_close(&listener);
		ft_close(&waiting);
		ft_close(&b);
		ft_close(&a);
	} while (++c->rounds && !atomic_load(c->stop));
	return NULL;
}

TEST_F(ferry_diag, P05_dump_while_sockets_come_and_go)
{
	struct churn threads[2] = {};
	atomic_bool stop = false;
	uint32_t inos[64];
	int fds[64];
	struct list list;
	int i, n, round;

	for (i = 0; i < 64; i++) {
		fds[i] = socket(AF_FERRY, variant->type, 0);
		ASSERT_LE(0, fds[i]);
		inos[i] = inode(fds[i]);
	}
	for (i = 0; i < 2; i++) {
		threads[i].kind = self->kind;
		threads[i].stop = &stop;
		ASSERT_EQ(0, pthread_create(&threads[i].thread, NULL, churn,
					    &threads[i]));
	}
	for (round = 0; round < 60; round++) {
		EXPECT_EQ(0, dump(self->nl, AF_FERRY, ANY_STATE, &list));
		for (i = n = 0; i < 64; i++)
			n += times(&list, inos[i]) == 1;
		EXPECT_EQ(64, n);
		free(list.socks);
		EXPECT_LE(64, proc_count());
	}
	atomic_store(&stop, true);
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i].thread, NULL);
		EXPECT_LT(0, threads[i].rounds);
	}
	for (i = 0; i < 64; i++)
		ft_close(&fds[i]);
}

FT_HARNESS_MAIN
