// SPDX-License-Identifier: GPL-2.0
/*
 * Every option, on every type, in every state: what is read at first, what a set
 * says and what is read then, whatever its length and pointer; afterwards the
 * socket goes on as if nothing had been. And what an accepted socket has from its
 * listener. O01-O46 and the family's own; what an option does is in other programs.
 *
 * One row is one option; further ones at the end.
 */

#include "bpf_helpers.h"
#include "kselftest_harness.h"

#include <limits.h>
#include <sys/stat.h>

/* The kernel's numbers, whatever the C library knows. */
#define TIMESTAMP_NEW		63
#define TIMESTAMPNS_NEW		64
#define TIMESTAMPING_OLD	37
#define TIMESTAMPING_NEW	65
#define RCVTIMEO_NEW		66
#define SNDTIMEO_NEW		67
#define PASSPIDFD		76
#define PEERPIDFD		77
#define RCVPRIORITY		82

/* An int that a test does not know. */
#define ANY			(INT_MIN + 12345)

enum state {
	FRESH,
	BOUND,
	LISTENING,
	CONNECTED,
	ACCEPTED,
	PAIR,
	SHUT,
	PEER_CLOSED,
	STATES
};

static const char * const names[STATES] = {
	"fresh", "bound", "listening", "connected", "accepted", "of a pair",
	"shut down", "left by its peer",
};

/* A socket in a state. */
struct here {
	const struct ft_kind *kind;
	enum state state;
	int fd, peer;
	struct ft_addr addr;
	int memory;		/* of a model; 0 at first */
};

/*
 * What is to be read at first, and what a set says and leaves: the result is 0 or
 * an errno, the value in *@value.
 */
typedef int first_fn(struct here *h, int *value);
typedef int set_fn(struct here *h, int v, int *value);

struct row {
	int level, option;
	first_fn *first;
	set_fn *set;
	int size;		/* of what is read: an int, and zeros if it is more */
	bool (*check)(struct here *h, const struct row *row);
};

static bool same(const struct here *h, const char *what, long want, long got)
{
	if (want == got || want == ANY)
		return true;
	fprintf(stderr, "# %s: %s: %ld, not %ld\n", names[h->state], what, got,
		want);
	return false;
}

/* Sockets in states. */

static bool has_state(const struct ft_kind *kind, enum state state)
{
	switch (state) {
	case LISTENING:
	case ACCEPTED:
		return kind->type != SOCK_DGRAM;
	case PAIR:
		return kind->domain != AF_INET;
	default:
		return true;
	}
}

static bool arrive(struct here *h, const struct ft_kind *kind, enum state state)
{
	struct ft_kind how = { kind->domain, kind->type,
			       state == PAIR ? FT_PAIR : FT_CONN };
	int a, b;

	memset(h, 0, sizeof(*h));
	h->kind = kind;
	h->state = state;
	h->peer = -1;
	switch (state) {
	case FRESH:
	case BOUND:
		h->fd = socket(kind->domain, kind->type, 0);
		if (h->fd >= 0 && state == BOUND &&
		    ft_bind_new(h->fd, kind->domain, &h->addr))
			ft_close(&h->fd);
		return h->fd >= 0;
	case LISTENING:
		h->fd = ft_listener(kind, &h->addr, 4);
		return h->fd >= 0;
	default:
		h->fd = -1;
		if (ft_pair(&how, &a, &b))
			return false;
	}
	h->fd = state == ACCEPTED ? b : a;
	h->peer = state == ACCEPTED ? a : b;
	if (state == SHUT)
		return !shutdown(h->fd, SHUT_RDWR);
	if (state == PEER_CLOSED)
		ft_close(&h->peer);
	return true;
}

static bool goes_through(int from, int to)
{
	char buf[8];

	return send(from, "ping", 4, MSG_NOSIGNAL) == 4 &&
	       ft_poll(to, POLLIN, FT_LONG_MS) & POLLIN &&
	       recv(to, buf, sizeof(buf), MSG_DONTWAIT) == 4 &&
	       !memcmp(buf, "ping", 4);
}

/* A listener takes a connection, and a bound datagram socket a message. */
static bool serves(struct here *h)
{
	int client = ft_connect(h->kind, &h->addr), server = h->fd;
	bool ok;

	if (client < 0)
		return false;
	if (h->kind->type != SOCK_DGRAM)
		server = accept(h->fd, NULL, NULL);
	ok = goes_through(client, server) &&
	     (server == h->fd || goes_through(server, client));
	if (server != h->fd)
		ft_close(&server);
	ft_close(&client);
	return ok;
}

/* The socket does what is left for it to do in its state. */
static bool works(struct here *h)
{
	bool connects = h->kind->type != SOCK_DGRAM;
	char c;

	if (h->state == SHUT)
		return send(h->fd, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE;
	if (h->state == PEER_CLOSED && !connects)
		return recv(h->fd, &c, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN;
	if (h->state == PEER_CLOSED)
		return ft_poll(h->fd, POLLIN, FT_LONG_MS) & POLLIN &&
		       recv(h->fd, &c, 1, MSG_DONTWAIT) == 0;
	if (h->state > LISTENING)
		return goes_through(h->fd, h->peer) && goes_through(h->peer, h->fd);

	if (h->state == FRESH && ft_bind_new(h->fd, h->kind->domain, &h->addr))
		return false;
	if (h->state != LISTENING && connects && listen(h->fd, 4))
		return false;
	return serves(h);
}

/* What any option says to lengths and pointers. */

static int get(struct here *h, const struct row *row, void *buf, socklen_t *len)
{
	return ft_err(getsockopt(h->fd, row->level, row->option, buf, len));
}

static int set(struct here *h, const struct row *row, const void *buf,
	       socklen_t len)
{
	return ft_err(setsockopt(h->fd, row->level, row->option, buf, len));
}

/* Reads @size bytes that are @want, if it is known: whole, cut, and not at all. */
static bool reads(struct here *h, const struct row *row, const void *want,
		  socklen_t size)
{
	const socklen_t lens[] = { size, 64, size - 1, 1, 0 };
	unsigned char buf[64];
	socklen_t len, expect;
	bool ok = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		memset(buf, 0xa5, sizeof(buf));
		len = lens[i];
		expect = len < size ? len : size;
		ok &= same(h, "get", 0, get(h, row, buf, &len));
		ok &= same(h, "length of get", expect, len);
		if (want)
			ok &= same(h, "bytes of get", 0,
				   !!memcmp(buf, want, expect));
		if (expect < sizeof(buf))
			ok &= same(h, "byte behind", 0xa5, buf[expect]);
	}
	len = -1;
	ok &= same(h, "get of length -1", EINVAL, get(h, row, buf, &len));
	len = size;
	ok &= same(h, "get to nowhere", EFAULT, get(h, row, FT_WILD, &len));
	ok &= same(h, "get without length", EFAULT, get(h, row, buf, FT_WILD));
	return ok;
}

/* Sets with fewer than @size bytes, or from nowhere, change nothing. */
static bool refuses(struct here *h, const struct row *row, socklen_t size)
{
	const socklen_t lens[] = { 0, 1, size - 1, -1 };
	unsigned char buf[64] = { 0 };
	bool ok = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lens); i++)
		ok &= same(h, "set of a wrong length", EINVAL,
			   set(h, row, buf, lens[i]));
	ok &= same(h, "set from nowhere", EFAULT, set(h, row, FT_WILD, size));
	return ok;
}

/* Options that are an int. */

static const int edges[] = { 0, 1, -1, INT_MAX, INT_MIN };

static bool reads_int(struct here *h, const struct row *row, int err, int value)
{
	int size = row->size ? row->size : sizeof(int), buf[16] = { value };
	socklen_t len = sizeof(buf);

	if (err)
		return same(h, "get", err, get(h, row, buf, &len));
	return reads(h, row, value == ANY ? NULL : buf, size);
}

static bool sets_int(struct here *h, const struct row *row, int v)
{
	int before = ANY, back = ANY, now = ANY, err;
	char what[48];
	socklen_t len;
	bool ok;

	len = sizeof(before);
	get(h, row, &before, &len);
	err = row->set(h, v, &back);
	snprintf(what, sizeof(what), "set %d", v);
	ok = same(h, what, err, set(h, row, &v, sizeof(v)));
	len = sizeof(now);
	get(h, row, &now, &len);
	snprintf(what, sizeof(what), "get after set %d", v);
	return same(h, what, err == ANY ? ANY : err ? before : back, now) && ok;
}

static bool check_edges(struct here *h, const struct row *row)
{
	bool ok = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(edges); i++)
		ok &= sets_int(h, row, edges[i]);
	return ok;
}

static bool check_int(struct here *h, const struct row *row)
{
	int first = ANY, err = row->first(h, &first), value[16] = { 0 };
	socklen_t len = sizeof(first);
	bool ok = reads_int(h, row, err, first);

	/* What it was, to be again. */
	get(h, row, &first, &len);
	ok &= refuses(h, row, sizeof(int));
	ok &= reads_int(h, row, err, err ? ANY : first);
	ok &= check_edges(h, row);
	/* Bytes behind the int are nobody's. */
	value[0] = first;
	set(h, row, value, sizeof(value));
	len = sizeof(value[1]);
	get(h, row, &value[1], &len);
	return ok;
}

/* What is read at first. */

static int is_0(struct here *h, int *value)
{
	*value = 0;
	return 0;
}

static int is_1(struct here *h, int *value)
{
	*value = 1;
	return 0;
}

static int write_only(struct here *h, int *value)
{
	return ENOPROTOOPT;
}

/* What a set says and leaves. */

static int as_bool(struct here *h, int v, int *value)
{
	*value = !!v;
	return 0;
}

static int as_int(struct here *h, int v, int *value)
{
	*value = v;
	return 0;
}

static int as_0_or_1(struct here *h, int v, int *value)
{
	*value = v;
	return v == 0 || v == 1 ? 0 : EINVAL;
}

static int not_negative(struct here *h, int v, int *value)
{
	*value = v;
	return v < 0 ? EINVAL : 0;
}

static int ignored(struct here *h, int v, int *value)
{
	*value = 0;
	return 0;
}

static int accepted(struct here *h, int v, int *value)
{
	return 0;
}

static int read_only(struct here *h, int v, int *value)
{
	return ENOPROTOOPT;
}

/* Those that need more than one of these. */

static bool is_tcp(struct here *h)
{
	return h->kind->domain == AF_INET && h->kind->type == SOCK_STREAM;
}

static int is_listening(struct here *h, int *value)
{
	*value = h->state == LISTENING;
	return 0;
}

static int is_domain(struct here *h, int *value)
{
	*value = h->kind->domain;
	return 0;
}

static int is_type(struct here *h, int *value)
{
	*value = h->kind->type;
	return 0;
}

static int is_protocol(struct here *h, int *value)
{
	*value = 0;
	if (h->kind->domain == AF_INET)
		*value = h->kind->type == SOCK_DGRAM ? IPPROTO_UDP : IPPROTO_TCP;
	return 0;
}

/* INET has seen packets before there is a connection, AF_FERRY a connect. */
static int is_no_cpu(struct here *h, int *value)
{
	*value = h->kind->domain == AF_INET ||
		 (h->kind->domain == AF_FERRY && h->state == ACCEPTED) ? ANY : -1;
	return 0;
}

static int is_no_offset(struct here *h, int *value)
{
	*value = -1;
	return is_tcp(h) && ft_kernel_before(6, 9) ? EOPNOTSUPP : 0;
}

static int as_offset(struct here *h, int v, int *value)
{
	*value = v;
	return is_tcp(h) && ft_kernel_before(6, 9) ? EOPNOTSUPP : 0;
}

static int of_udp(int option)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int value = ft_getint(fd, option);

	ft_close(&fd);
	return value;
}

/* The setting of the core; TCP has its own, and changes both. */
static int is_rmem_default(struct here *h, int *value)
{
	*value = is_tcp(h) ? ANY : of_udp(SO_RCVBUF);
	return 0;
}

static int is_wmem_default(struct here *h, int *value)
{
	*value = is_tcp(h) ? ANY : of_udp(SO_SNDBUF);
	return 0;
}

/* The core doubles, caps and has a floor: what it does to UDP. */
static int as_udp(int option, int v, int *value)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int err = ft_err(ft_setint(fd, option, v));

	*value = ft_getint(fd, option);
	ft_close(&fd);
	return err;
}

static int as_rcvbuf(struct here *h, int v, int *value)
{
	return as_udp(SO_RCVBUF, v, value);
}

static int as_sndbuf(struct here *h, int v, int *value)
{
	return as_udp(SO_SNDBUF, v, value);
}

static int as_low_water(struct here *h, int v, int *value)
{
	*value = v < 0 ? INT_MAX : v ? v : 1;
	/* TCP clamps. */
	if (*value == INT_MAX && is_tcp(h))
		*value = ANY;
	return 0;
}

/* AF_UNIX has none, and before 6.7 the core asks no family but INET. */
static bool no_reuseport(struct here *h)
{
	return h->kind->domain == AF_UNIX ||
	       (h->kind->domain == AF_FERRY && ft_kernel_before(6, 7));
}

static int as_reuseport(struct here *h, int v, int *value)
{
	*value = !!v;
	return v && no_reuseport(h) ? EOPNOTSUPP : 0;
}

static int as_zerocopy(struct here *h, int v, int *value)
{
	return no_reuseport(h) ? EOPNOTSUPP : as_0_or_1(h, v, value);
}

/* Unknown flags; 0 and 1 are known. */
static int as_stamping(struct here *h, int v, int *value)
{
	return as_0_or_1(h, v, value);
}

static int is_busy_read(struct here *h, int *value)
{
	*value = of_udp(SO_BUSY_POLL);
	return 0;
}

static int as_budget(struct here *h, int v, int *value)
{
	return v < 0 || v > USHRT_MAX ? EINVAL : 0;
}

static int as_buf_lock(struct here *h, int v, int *value)
{
	*value = v;
	return v & ~3 ? EINVAL : 0;
}

static int as_locked(struct here *h, int v, int *value)
{
	*value = !!v;
	if (!v && h->memory)
		return EPERM;
	h->memory |= *value;
	return 0;
}

/* No descriptor of a program. */
static int as_program(struct here *h, int v, int *value)
{
	return v < 0 || v > 1 ? EBADF : EINVAL;
}

static int no_filter(struct here *h, int v, int *value)
{
	return ENOENT;
}

static int no_group(struct here *h, int v, int *value)
{
	return EINVAL;
}

static bool no_rcvpriority(void)
{
	return ft_kernel_before(6, 14);
}

static int is_rcvpriority(struct here *h, int *value)
{
	*value = 0;
	return no_rcvpriority() ? ENOPROTOOPT : 0;
}

static int as_rcvpriority(struct here *h, int v, int *value)
{
	*value = !!v;
	return no_rcvpriority() ? ENOPROTOOPT : 0;
}

/* From 6.16 on the core reads these of the families it names only. */
static int is_passing(struct here *h, int *value)
{
	*value = 0;
	return h->kind->domain == AF_FERRY && !ft_kernel_before(6, 16) ?
	       EOPNOTSUPP : 0;
}

static int as_passing(struct here *h, int v, int *value)
{
	int unread = is_passing(h, value);

	*value = unread ? ANY : !!v;
	return 0;
}

static int is_passpidfd(struct here *h, int *value)
{
	return ft_kernel_before(6, 5) ? ENOPROTOOPT : is_passing(h, value);
}

static int as_passpidfd(struct here *h, int v, int *value)
{
	if (ft_kernel_before(6, 5))
		return ENOPROTOOPT;
	return as_passing(h, v, value);
}

static int is_ferry_passpidfd(struct here *h, int *value)
{
	*value = 0;
	return ft_kernel_before(6, 7) ? ENOPROTOOPT : 0;
}

static int as_ferry_passpidfd(struct here *h, int v, int *value)
{
	*value = !!v;
	return ft_kernel_before(6, 7) ? ENOPROTOOPT : 0;
}

/* Options that are more than an int. */

static bool sets(struct here *h, const struct row *row, const void *value,
		 const void *back, int err)
{
	unsigned char room[64];
	bool ok;

	ok = same(h, "set", err, set(h, row, value, row->size));
	ok &= reads(h, row, back, row->size);
	/* Bytes behind it are nobody's. */
	memset(room, 0xa5, sizeof(room));
	memcpy(room, value, row->size);
	ok &= same(h, "set of more bytes", err, set(h, row, room, sizeof(room)));
	return reads(h, row, back, row->size) && ok;
}

static bool check_linger(struct here *h, const struct row *row)
{
	static const struct linger values[][2] = {
		{ { 1, 5 }, { 1, 5 } },
		{ { -2, 0 }, { 1, 0 } },
		{ { 1, INT_MAX }, { 1, INT_MAX } },
		/* Off, the time stays. */
		{ { 0, 9 }, { 0, INT_MAX } },
		{ { 1, 3 }, { 1, 3 } },
		{ { 0, 0 }, { 0, 3 } },
	};
	static const struct linger zero;
	bool ok = reads(h, row, &zero, sizeof(zero));
	size_t i;

	ok &= refuses(h, row, sizeof(zero));
	ok &= reads(h, row, &zero, sizeof(zero));
	for (i = 0; i < ARRAY_SIZE(values); i++)
		ok &= sets(h, row, &values[i][0], &values[i][1], 0);
	return ok;
}

/* struct timeval, and __kernel_sock_timeval. */
static bool check_timeout(struct here *h, const struct row *row)
{
	static const struct {
		long long set[2], back[2];
		int err;
	} values[] = {
		{ { 1, 500000 }, { 1, 500000 }, 0 },
		{ { 0, 1000000 }, { 1, 500000 }, EDOM },
		{ { 0, -1 }, { 1, 500000 }, EDOM },
		{ { INT_MAX, 0 }, { INT_MAX, 0 }, 0 },
		/* For ever, and not at all; read alike. */
		{ { LONG_MAX, 999999 }, { 0, 0 }, 0 },
		{ { -1, 0 }, { 0, 0 }, 0 },
		{ { 0, 0 }, { 0, 0 }, 0 },
	};
	static const long long zero[2];
	bool ok = reads(h, row, zero, row->size);
	size_t i;

	ok &= refuses(h, row, row->size);
	ok &= reads(h, row, zero, row->size);
	for (i = 0; i < ARRAY_SIZE(values); i++)
		ok &= sets(h, row, values[i].set, values[i].back, values[i].err);
	return ok;
}

/* Only to be read. */
static bool check_bytes(struct here *h, const struct row *row)
{
	bool ok = reads(h, row, NULL, row->size);

	ok &= refuses(h, row, sizeof(int));
	return same(h, "set", ENOPROTOOPT, set(h, row, "0123", 4)) && ok;
}

/* A number, which is not to be cut. */
static bool check_cookie(struct here *h, const struct row *row)
{
	bool exact = row->option == SO_NETNS_COOKIE;
	uint64_t one = 0, again = 0;
	socklen_t len = sizeof(one);
	char room[64];
	bool ok;

	ok = same(h, "get", 0, get(h, row, &one, &len));
	ok &= same(h, "get again", 0, get(h, row, &again, &len));
	ok &= same(h, "length", sizeof(one), len);
	ok &= same(h, "known", true, one && one == again);
	len = sizeof(one) - 1;
	ok &= same(h, "get of less", EINVAL, get(h, row, room, &len));
	len = sizeof(room);
	ok &= same(h, "get of more", exact ? EINVAL : 0, get(h, row, room, &len));
	ok &= same(h, "length of more", exact ? sizeof(room) : sizeof(one), len);
	len = sizeof(one);
	ok &= same(h, "get to nowhere", EFAULT, get(h, row, FT_WILD, &len));
	ok &= refuses(h, row, sizeof(int));
	return same(h, "set", ENOPROTOOPT, set(h, row, "0123", 4)) && ok;
}

static bool check_device(struct here *h, const struct row *row)
{
	char buf[64] = "", room[64] = "lo";
	socklen_t len = 16;
	bool ok;

	ok = same(h, "get", 0, get(h, row, buf, &len));
	ok &= same(h, "length without", 0, len);
	ok &= same(h, "no such device", ENODEV, set(h, row, "nodev", 6));
	ok &= same(h, "set from nowhere", EFAULT, set(h, row, FT_WILD, 3));
	ok &= same(h, "set of length -1", EINVAL, set(h, row, room, -1));
	/* With its end, without, and with what lies behind. */
	for (len = 2; len <= sizeof(room); len *= len) {
		socklen_t room_for = 16;

		ok &= same(h, "set lo", 0, set(h, row, room, len));
		ok &= same(h, "get lo", 0, get(h, row, buf, &room_for));
		ok &= same(h, "length of lo", 3, room_for);
		ok &= same(h, "name", 0, strcmp(buf, "lo"));
		if (len == 16)
			break;
	}
	len = 15;
	ok &= same(h, "get of less", EINVAL, get(h, row, buf, &len));
	len = 16;
	ok &= same(h, "get to nowhere", EFAULT, get(h, row, FT_WILD, &len));
	ok &= same(h, "unbind", 0, set(h, row, "", 1));
	ok &= same(h, "set lo", 0, set(h, row, "lo", 3));
	ok &= same(h, "unbind by length", 0, set(h, row, FT_WILD, 0));
	len = 16;
	ok &= same(h, "get", 0, get(h, row, buf, &len));
	return same(h, "length without", 0, len) && ok;
}

/* A classic program; what is read is the program, counted in instructions. */
static bool check_filter(struct here *h, const struct row *row)
{
	struct sock_filter all = { BPF_RET | BPF_K, 0, 0, UINT_MAX }, got[8];
	struct sock_fprog prog = { .len = 1, .filter = &all };
	struct sock_fprog nowhere = { .len = 1, .filter = FT_WILD };
	socklen_t len = 8;
	bool ok;

	ok = same(h, "get without", 0, get(h, row, got, &len));
	ok &= same(h, "length without", 0, len);
	ok &= refuses(h, row, sizeof(prog));
	ok &= same(h, "longer", EINVAL, set(h, row, &prog, sizeof(prog) + 1));
	ok &= same(h, "program nowhere", EFAULT,
		   set(h, row, &nowhere, sizeof(prog)));
	ok &= same(h, "set", 0, set(h, row, &prog, sizeof(prog)));
	len = 0;
	ok &= same(h, "get length", 0, get(h, row, NULL, &len));
	ok &= same(h, "length", 1, len);
	ok &= same(h, "get", 0, get(h, row, got, &len));
	ok &= same(h, "program", 0, memcmp(got, &all, sizeof(all)));
	ok &= same(h, "get to nowhere", EFAULT, get(h, row, FT_WILD, &len));
	return works(h) && ok;
}

static bool check_bpf(struct here *h, const struct row *row)
{
	int prog = filter_load_constant(BPF_PROG_TYPE_SOCKET_FILTER, INT_MAX);
	int room[2] = { prog };
	bool ok = check_int(h, row);

	ok &= same(h, "loaded", true, prog >= 0);
	ok &= same(h, "longer", EINVAL, set(h, row, room, sizeof(room)));
	ok &= same(h, "set", 0, set(h, row, &prog, sizeof(prog)));
	ft_close(&prog);
	return works(h) && ok;
}

/* Without SO_REUSEPORT there is no group to steer. */
static bool check_steering(struct here *h, const struct row *row)
{
	struct sock_filter all = { BPF_RET | BPF_K, 0, 0, 0 };
	struct sock_fprog prog = { .len = 1, .filter = &all };
	socklen_t len = sizeof(prog);
	bool ok;

	ok = same(h, "get", ENOPROTOOPT, get(h, row, &prog, &len));
	ok &= refuses(h, row, sizeof(prog));
	return same(h, "set", EINVAL, set(h, row, &prog, sizeof(prog))) && ok;
}

static bool check_peername(struct here *h, const struct row *row)
{
	struct ft_addr addr = { .len = sizeof(addr.ss) }, read = {};
	bool none = getpeername(h->fd, &addr.sa, &addr.len);
	socklen_t len = none ? 4 : addr.len;
	bool ok;

	ok = same(h, "get", none ? ENOTCONN : 0, get(h, row, &read.ss, &len));
	if (!none) {
		ok &= same(h, "name", 0, memcmp(&addr.ss, &read.ss, len));
		len = addr.len + 1;
		ok &= same(h, "get of more", EINVAL, get(h, row, &read, &len));
	}
	ok &= refuses(h, row, sizeof(int));
	return same(h, "set", ENOPROTOOPT, set(h, row, "0123", 4)) && ok;
}

/* The security module's word on the peer, if it labels sockets of the family. */
static bool check_peersec(struct here *h, const struct row *row)
{
	char label[256];
	socklen_t len = sizeof(label);
	int err = get(h, row, label, &len);
	bool ok = refuses(h, row, sizeof(int));

	ok &= same(h, "set", ENOPROTOOPT, set(h, row, "0123", 4));
	return same(h, "get", err ? ENOPROTOOPT : 0, err) && ok;
}

static bool check_passpidfd(struct here *h, const struct row *row)
{
	int value = ANY, err = is_passpidfd(h, &value);
	bool ok = reads_int(h, row, err, value);

	return check_edges(h, row) && ok;
}

/* The family's own. */

static bool has_name(struct here *h)
{
	return h->state == BOUND || h->state == LISTENING ||
	       (h->kind->type == SOCK_DGRAM && h->state != FRESH &&
		h->state != PAIR);
}

static int is_mode(struct here *h, int *value)
{
	*value = 0640;
	return has_name(h) ? 0 : EINVAL;
}

static int as_mode(struct here *h, int v, int *value)
{
	*value = v;
	return has_name(h) && !(v & ~0777) ? 0 : EINVAL;
}

static bool every_state(const struct ft_kind *kind, const struct row *row)
{
	enum state state;
	struct here h;
	bool ok = true;

	for (state = FRESH; state < STATES; state++) {
		if (!has_state(kind, state))
			continue;
		if (!arrive(&h, kind, state)) {
			ok = same(&h, "is there", true, false);
		} else {
			ok &= row->check ? row->check(&h, row) :
					   check_int(&h, row);
			/* Some have asked already, which can be done once. */
			ok &= row->check == check_filter ||
			      row->check == check_bpf ||
			      same(&h, "works", true, works(&h));
		}
		ft_close(&h.fd);
		ft_close(&h.peer);
	}
	return ok;
}

/* Of all families, of those that pass credentials, and of AF_FERRY alone. */

#define STATES_OF(_fixture)						\
FIXTURE(_fixture)							\
{									\
	struct ft_leak leak;						\
};									\
									\
FIXTURE_VARIANT(_fixture)						\
{									\
	struct ft_kind kind;						\
};									\
									\
FIXTURE_SETUP(_fixture)							\
{									\
	FT_NEED(variant->kind.domain, variant->kind.type);		\
	ft_leak_start(&self->leak, variant->kind.domain);		\
	umask(0026);							\
}									\
									\
FIXTURE_TEARDOWN(_fixture)						\
{									\
	FT_NO_LEAK(&self->leak);					\
}

#define KIND_OF(_fixture, _name, _domain, _type)			\
FIXTURE_VARIANT_ADD(_fixture, _name)					\
{									\
	.kind = { _domain, _type },					\
}

STATES_OF(every)
KIND_OF(every, FERRY_stream, AF_FERRY, SOCK_STREAM);
KIND_OF(every, FERRY_seqpacket, AF_FERRY, SOCK_SEQPACKET);
KIND_OF(every, FERRY_dgram, AF_FERRY, SOCK_DGRAM);
KIND_OF(every, UNIX_stream, AF_UNIX, SOCK_STREAM);
KIND_OF(every, UNIX_seqpacket, AF_UNIX, SOCK_SEQPACKET);
KIND_OF(every, UNIX_dgram, AF_UNIX, SOCK_DGRAM);
KIND_OF(every, TCP_stream, AF_INET, SOCK_STREAM);
KIND_OF(every, UDP_dgram, AF_INET, SOCK_DGRAM);

STATES_OF(local)
KIND_OF(local, FERRY_stream, AF_FERRY, SOCK_STREAM);
KIND_OF(local, FERRY_seqpacket, AF_FERRY, SOCK_SEQPACKET);
KIND_OF(local, FERRY_dgram, AF_FERRY, SOCK_DGRAM);
KIND_OF(local, UNIX_stream, AF_UNIX, SOCK_STREAM);
KIND_OF(local, UNIX_seqpacket, AF_UNIX, SOCK_SEQPACKET);
KIND_OF(local, UNIX_dgram, AF_UNIX, SOCK_DGRAM);

STATES_OF(own)
KIND_OF(own, FERRY_stream, AF_FERRY, SOCK_STREAM);
KIND_OF(own, FERRY_seqpacket, AF_FERRY, SOCK_SEQPACKET);
KIND_OF(own, FERRY_dgram, AF_FERRY, SOCK_DGRAM);

#define OPTION_OF(_fixture, _level, _name, _option, ...)		\
TEST_F(_fixture, _name)							\
{									\
	static const struct row row = { _level, _option, __VA_ARGS__ };	\
									\
	FT_NEED_OPTION(_level, _option);				\
	EXPECT_TRUE(every_state(&variant->kind, &row));			\
}

#define OPTION(...)	OPTION_OF(every, SOL_SOCKET, __VA_ARGS__)
#define LOCAL(...)	OPTION_OF(local, SOL_SOCKET, __VA_ARGS__)
#define OWN(...)	OPTION_OF(own, SOL_FERRY, __VA_ARGS__)
#define CHECK(_fn)	NULL, NULL, 0, _fn
#define CHECK_SIZE(_fn, _size)	NULL, NULL, _size, _fn

OPTION(O01_acceptconn, SO_ACCEPTCONN, is_listening, read_only)
OPTION(O02_attach_filter, SO_ATTACH_FILTER, CHECK(check_filter))
OPTION(O03_attach_bpf, SO_ATTACH_BPF, write_only, as_program, 0, check_bpf)
OPTION(O04_detach_filter, SO_DETACH_FILTER, write_only, no_filter)
OPTION(O05_lock_filter, SO_LOCK_FILTER, is_0, as_locked)
OPTION(O06_attach_reuseport_cbpf, SO_ATTACH_REUSEPORT_CBPF, CHECK(check_steering))
OPTION(O06_detach_reuseport_bpf, SO_DETACH_REUSEPORT_BPF, write_only, no_group)
OPTION(O07_attach_reuseport_ebpf, SO_ATTACH_REUSEPORT_EBPF, write_only, as_program)
OPTION(O08_bindtodevice, SO_BINDTODEVICE, CHECK(check_device))
OPTION(O08_bindtoifindex, SO_BINDTOIFINDEX, is_0, not_negative)
OPTION(O09_broadcast, SO_BROADCAST, is_0, as_bool)
OPTION(O10_bsdcompat, SO_BSDCOMPAT, is_0, ignored)
OPTION(O11_debug, SO_DEBUG, is_0, as_bool)
OPTION(O12_domain, SO_DOMAIN, is_domain, read_only)
OPTION(O13_error, SO_ERROR, is_0, read_only)
OPTION(O14_dontroute, SO_DONTROUTE, is_0, as_bool)
OPTION(O15_incoming_cpu, SO_INCOMING_CPU, is_no_cpu, as_int)
OPTION(O16_incoming_napi_id, SO_INCOMING_NAPI_ID, is_0, read_only)
OPTION(O17_keepalive, SO_KEEPALIVE, is_0, as_bool)
OPTION(O18_linger, SO_LINGER, CHECK_SIZE(check_linger, sizeof(struct linger)))
OPTION(O19_mark, SO_MARK, is_0, as_int)
OPTION(O20_oobinline, SO_OOBINLINE, is_0, as_bool)
LOCAL(O21_passcred, SO_PASSCRED, is_passing, as_passing)
LOCAL(O22_passsec, SO_PASSSEC, is_passing, as_passing)
OPTION(O23_peek_off, SO_PEEK_OFF, is_no_offset, as_offset)
OPTION(O24_peercred, SO_PEERCRED, CHECK_SIZE(check_bytes, 12))
OPTION(O25_peersec, SO_PEERSEC, CHECK(check_peersec))
OPTION(O26_priority, SO_PRIORITY, is_0, as_int)
OPTION(O27_protocol, SO_PROTOCOL, is_protocol, read_only)
OPTION(O28_rcvbuf, SO_RCVBUF, is_rmem_default, as_rcvbuf)
OPTION(O29_rcvbufforce, SO_RCVBUFFORCE, write_only, accepted)
OPTION(O30_rcvlowat, SO_RCVLOWAT, is_1, as_low_water)
OPTION(O31_sndlowat, SO_SNDLOWAT, is_1, read_only)
OPTION(O32_rcvtimeo, SO_RCVTIMEO, CHECK_SIZE(check_timeout, 2 * sizeof(long)))
OPTION(O33_sndtimeo, SO_SNDTIMEO, CHECK_SIZE(check_timeout, 2 * sizeof(long)))
OPTION(O34_reuseaddr, SO_REUSEADDR, is_0, as_bool)
OPTION(O35_reuseport, SO_REUSEPORT, is_0, as_reuseport)
OPTION(O36_rxq_ovfl, SO_RXQ_OVFL, is_0, as_bool)
OPTION(O37_select_err_queue, SO_SELECT_ERR_QUEUE, is_0, as_bool)
OPTION(O38_sndbuf, SO_SNDBUF, is_wmem_default, as_sndbuf)
OPTION(O39_sndbufforce, SO_SNDBUFFORCE, write_only, accepted)
OPTION(O40_timestamp, SO_TIMESTAMP, is_0, as_bool)
OPTION(O41_timestampns, SO_TIMESTAMPNS, is_0, as_bool)
OPTION(O42_type, SO_TYPE, is_type, read_only)
OPTION(O43_busy_poll, SO_BUSY_POLL, is_busy_read, not_negative)
OPTION(O44_timestamping, TIMESTAMPING_OLD, is_0, as_stamping, 8)
OPTION(O44_timestamping_new, TIMESTAMPING_NEW, is_0, as_stamping, 8)
OPTION(O45_timestamp_new, TIMESTAMP_NEW, is_0, as_bool)
OPTION(O45_timestampns_new, TIMESTAMPNS_NEW, is_0, as_bool)
OPTION(O45_rcvtimeo_new, RCVTIMEO_NEW, CHECK_SIZE(check_timeout, 16))
OPTION(O45_sndtimeo_new, SNDTIMEO_NEW, CHECK_SIZE(check_timeout, 16))
OPTION(O46_cookie, SO_COOKIE, CHECK(check_cookie))
OPTION(O46_netns_cookie, SO_NETNS_COOKIE, CHECK(check_cookie))
OPTION(O46_meminfo, SO_MEMINFO, CHECK_SIZE(check_bytes, 36))
OPTION(O46_peername, SO_PEERNAME, CHECK(check_peername))
LOCAL(O46_passpidfd, PASSPIDFD, is_passpidfd, as_passpidfd, 0, check_passpidfd)
OPTION(O46_rcvmark, SO_RCVMARK, is_0, as_bool)
OPTION(O46_rcvpriority, RCVPRIORITY, is_rcvpriority, as_rcvpriority)
OPTION(O46_zerocopy, SO_ZEROCOPY, is_0, as_zerocopy)
OPTION(O46_buf_lock, SO_BUF_LOCK, is_0, as_buf_lock)
OPTION(O46_prefer_busy_poll, SO_PREFER_BUSY_POLL, is_0, as_bool)
OPTION(O46_busy_poll_budget, SO_BUSY_POLL_BUDGET, write_only, as_budget)

OWN(X02_mode, FERRY_MODE, is_mode, as_mode)
OWN(X01_passrights, FERRY_PASSRIGHTS, is_1, as_bool)
OWN(O09_broadcast_policy, FERRY_BROADCAST_POLICY, is_0, as_0_or_1)
OWN(O35_ferry_reuseport, FERRY_REUSEPORT, is_0, as_bool)
OWN(O46_ferry_zerocopy, FERRY_ZEROCOPY, is_0, as_0_or_1)
OWN(O21_ferry_passcred, FERRY_PASSCRED, is_0, as_bool)
OWN(O22_ferry_passsec, FERRY_PASSSEC, is_0, as_bool)
OWN(O46_ferry_passpidfd, FERRY_PASSPIDFD, is_ferry_passpidfd, as_ferry_passpidfd)
OWN(P05_ferry_info, FERRY_INFO, CHECK_SIZE(check_bytes, sizeof(struct ferry_info)))

/* What an accepted socket has from its listener. TCP takes all, as it clones it. */

FIXTURE(heir)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int listener;
};

FIXTURE_VARIANT(heir)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(heir, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(heir, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(heir, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_SETUP(heir)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->listener = ft_listener(&variant->kind, &self->addr, 4);
	ASSERT_LE(0, self->listener);
}

FIXTURE_TEARDOWN(heir)
{
	ft_close(&self->listener);
	FT_NO_LEAK(&self->leak);
}

/*
 * Sets @size bytes at the listener; those of the accepted socket must be the same,
 * and those of the connecting one as ever.
 */
static bool inherits(const struct ft_kind *kind, int listener,
		     const struct ft_addr *addr, int option, const void *value,
		     socklen_t size)
{
	unsigned char want[64] = "", before[64] = "", got[64] = "";
	socklen_t want_len, len;
	int a, b, fresh;
	bool ok;

	fresh = socket(kind->domain, kind->type, 0);
	len = sizeof(before);
	ok = !getsockopt(fresh, SOL_SOCKET, option, before, &len);
	ft_close(&fresh);

	want_len = sizeof(want);
	if (setsockopt(listener, SOL_SOCKET, option, value, size) ||
	    getsockopt(listener, SOL_SOCKET, option, want, &want_len) || !ok) {
		fprintf(stderr, "# option %d: %s\n", option, strerror(errno));
		return false;
	}
	/* Else nothing is shown. */
	ok = len != want_len || memcmp(before, want, len);

	a = ft_connect(kind, addr);
	b = accept(listener, NULL, NULL);
	len = sizeof(got);
	ok &= !getsockopt(b, SOL_SOCKET, option, got, &len) && len == want_len &&
	      !memcmp(want, got, len);
	if (!ok)
		fprintf(stderr, "# option %d: listener %d, accepted %d\n", option,
			*(int *)want, *(int *)got);
	/* TCP's buffers change by themselves. */
	if (kind->domain == AF_FERRY) {
		len = sizeof(got);
		ok &= !getsockopt(a, SOL_SOCKET, option, got, &len) &&
		      !memcmp(before, got, len);
	}
	ft_close(&a);
	ft_close(&b);
	return ok;
}

#define HEIR_OF(_name, _option, ...)					\
TEST_F(heir, _name)							\
{									\
	static const __VA_ARGS__;					\
									\
	FT_NEED_OPTION(SOL_SOCKET, _option);				\
	EXPECT_TRUE(inherits(&variant->kind, self->listener, &self->addr, \
			     _option, &value, sizeof(value)));		\
}

#define HEIR(_name, _option, _value)					\
	HEIR_OF(_name, _option, int value = _value)

HEIR(O05_lock_filter, SO_LOCK_FILTER, 1)
HEIR(O08_bindtoifindex, SO_BINDTOIFINDEX, 1)
HEIR(O09_broadcast, SO_BROADCAST, 1)
HEIR(O11_debug, SO_DEBUG, 1)
HEIR(O14_dontroute, SO_DONTROUTE, 1)
HEIR(O17_keepalive, SO_KEEPALIVE, 1)
HEIR_OF(O18_linger, SO_LINGER, struct linger value = { 1, 7 })
HEIR(O19_mark, SO_MARK, 7)
HEIR(O20_oobinline, SO_OOBINLINE, 1)
HEIR(O28_rcvbuf, SO_RCVBUF, 10000)
HEIR(O30_rcvlowat, SO_RCVLOWAT, 9)
HEIR_OF(O32_rcvtimeo, SO_RCVTIMEO, struct timeval value = { 20, 0 })
HEIR_OF(O33_sndtimeo, SO_SNDTIMEO, struct timeval value = { 20, 0 })
HEIR(O34_reuseaddr, SO_REUSEADDR, 1)
HEIR(O36_rxq_ovfl, SO_RXQ_OVFL, 1)
HEIR(O37_select_err_queue, SO_SELECT_ERR_QUEUE, 1)
HEIR(O38_sndbuf, SO_SNDBUF, 10000)
HEIR(O40_timestamp, SO_TIMESTAMP, 1)
HEIR(O41_timestampns, SO_TIMESTAMPNS, 1)
HEIR(O43_busy_poll, SO_BUSY_POLL, 5)
HEIR(O44_timestamping, TIMESTAMPING_OLD, 24)
HEIR(O44_timestamping_new, TIMESTAMPING_NEW, 24)
HEIR(O45_timestamp_new, TIMESTAMP_NEW, 1)
HEIR(O45_timestampns_new, TIMESTAMPNS_NEW, 1)
HEIR(O46_rcvmark, SO_RCVMARK, 1)
HEIR(O46_buf_lock, SO_BUF_LOCK, 3)
HEIR(O46_prefer_busy_poll, SO_PREFER_BUSY_POLL, 1)

/* A priority is for what the listener itself sends: the core takes none over. */
TEST_F(heir, O26_priority_is_not)
{
	int a, b;

	ASSERT_EQ(0, ft_setint(self->listener, SO_PRIORITY, 5));
	a = ft_connect(&variant->kind, &self->addr);
	b = accept(self->listener, NULL, NULL);
	EXPECT_EQ(0, ft_getint(b, SO_PRIORITY));
	EXPECT_EQ(5, ft_getint(self->listener, SO_PRIORITY));
	ft_close(&a);
	ft_close(&b);
}

TEST_F(heir, O23_peek_off)
{
	static const int value = 2;

	if (variant->kind.domain == AF_INET && ft_kernel_before(6, 9))
		SKIP(return, "TCP has none before 6.9");
	EXPECT_TRUE(inherits(&variant->kind, self->listener, &self->addr,
			     SO_PEEK_OFF, &value, sizeof(value)));
}

TEST_F(heir, O35_reuseport)
{
	int one = 1, a, b;

	if (ft_setint(self->listener, SO_REUSEPORT, 1))
		ASSERT_EQ(0, setsockopt(self->listener, SOL_FERRY, FERRY_REUSEPORT,
					&one, sizeof(one)));
	a = ft_connect(&variant->kind, &self->addr);
	b = accept(self->listener, NULL, NULL);
	EXPECT_EQ(1, ft_getint(b, SO_REUSEPORT));
	EXPECT_EQ(0, ft_getint(a, SO_REUSEPORT));
	ft_close(&a);
	ft_close(&b);
}

FT_HARNESS_MAIN
