// SPDX-License-Identifier: GPL-2.0
/*
 * Socket filters: what they drop and cut, what is counted, traced and kept, and
 * who may change them. O02-O06, O36, O46, P04.
 *
 * A program sees the payload, that of UDP the header before it. AF_UNIX asks no
 * filter on a byte stream and counts nothing; TCP's sees segments.
 */

#include "bpf_helpers.h"
#include "passenger.h"
#include "reuse_fixture.h"
#include "tracefs.h"

#include <linux/net_tstamp.h>
#include <linux/unistd.h>

#define UDP_HEADER	8

#ifndef SO_GET_FILTER
#define SO_GET_FILTER	SO_ATTACH_FILTER
#endif
#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF	68
#endif

/* Sends @len patterned bytes, of which the first says how many to keep. */
static bool send_keep(int fd, int keep, size_t len)
{
	unsigned char *buf = malloc(len);
	bool ok;

	ft_pattern(buf, 0, len);
	buf[0] = keep;
	ok = send(fd, buf, len, MSG_NOSIGNAL) == (ssize_t)len;
	free(buf);
	return ok;
}

/* Receives exactly that: @len bytes of such a message. */
static bool recv_kept(int fd, int keep, size_t len)
{
	unsigned char *buf = malloc(len + 1);
	bool ok;

	ok = recv(fd, buf, len + 1, 0) == (ssize_t)len && buf[0] == keep &&
	     ft_pattern_ok(buf + 1, 1, len - 1);
	free(buf);
	return ok;
}

/* Every family that asks a filter about each message. */

FIXTURE(filter)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(filter)
{
	struct ft_kind kind;
	int base;
};

FIXTURE_VARIANT_ADD(filter, FERRY_stream_pair)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(filter, FERRY_stream_conn)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(filter, FERRY_seqpacket_pair)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(filter, FERRY_seqpacket_conn)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(filter, FERRY_dgram_pair)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(filter, FERRY_dgram_conn)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(filter, UNIX_seqpacket)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(filter, UNIX_dgram)
{
	.kind = { AF_UNIX, SOCK_DGRAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(filter, UDP_dgram)
{
	.kind = { AF_INET, SOCK_DGRAM, FT_CONN },
	.base = UDP_HEADER,
};

FIXTURE_SETUP(filter)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
}

FIXTURE_TEARDOWN(filter)
{
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

/* What a program that goes by the first byte does to messages at @b. */
static void goes_by_byte(struct __test_metadata *_metadata, int a, int b,
			 int base)
{
	int short_keep = base + 4, long_keep = base + 200;

	/* Dropped: sent as far as the sender knows. */
	ASSERT_TRUE(send_keep(a, 0, 100));
	ASSERT_TRUE(send_keep(a, short_keep, 100));
	EXPECT_TRUE(recv_kept(b, short_keep, 4));
	ASSERT_TRUE(send_keep(a, long_keep, 100));
	EXPECT_TRUE(recv_kept(b, long_keep, 100));
	EXPECT_EQ(0, ft_poll(b, POLLIN, 0));
	/* The other direction has no filter. */
	ASSERT_TRUE(send_keep(b, 0, 100));
	EXPECT_TRUE(recv_kept(a, 0, 100));
}

static void passes_all(struct __test_metadata *_metadata, int a, int b)
{
	ASSERT_TRUE(send_keep(a, 0, 100));
	EXPECT_TRUE(recv_kept(b, 0, 100));
}

TEST_F(filter, O02_drops_and_cuts)
{
	passes_all(_metadata, self->a, self->b);
	ASSERT_EQ(0, filter_by_byte(self->b, variant->base));
	goes_by_byte(_metadata, self->a, self->b, variant->base);
}

TEST_F(filter, O03_drops_and_cuts)
{
	passes_all(_metadata, self->a, self->b);
	ASSERT_EQ(0, filter_attach_bpf(self->b,
				       filter_load_by_byte(variant->base)));
	goes_by_byte(_metadata, self->a, self->b, variant->base);
}

TEST_F(filter, O03_one_kind_replaces_the_other)
{
	ASSERT_EQ(0, filter_constant(self->b, 0));
	ASSERT_EQ(0, filter_attach_bpf(self->b,
				       filter_load_by_byte(variant->base)));
	goes_by_byte(_metadata, self->a, self->b, variant->base);
	ASSERT_EQ(0, filter_constant(self->b, variant->base + 3));
	ASSERT_TRUE(send_keep(self->a, 0, 100));
	EXPECT_TRUE(recv_kept(self->b, 0, 3));
	ASSERT_EQ(0, filter_by_byte(self->b, variant->base));
	goes_by_byte(_metadata, self->a, self->b, variant->base);
}

TEST_F(filter, O04_detach)
{
	EXPECT_ERR(ENOENT, filter_detach(self->b));
	ASSERT_EQ(0, filter_constant(self->b, 0));
	ASSERT_TRUE(send_keep(self->a, 1, 100));
	ASSERT_EQ(0, filter_detach(self->b));
	passes_all(_metadata, self->a, self->b);
	EXPECT_ERR(ENOENT, filter_detach(self->b));

	ASSERT_EQ(0, filter_attach_bpf(self->b,
				       filter_load_constant(BPF_PROG_TYPE_SOCKET_FILTER,
							    0)));
	ASSERT_TRUE(send_keep(self->a, 1, 100));
	ASSERT_EQ(0, ft_setint(self->b, SO_DETACH_BPF, 0));
	passes_all(_metadata, self->a, self->b);
	EXPECT_ERR(ENOENT, ft_setint(self->b, SO_DETACH_BPF, 0));

	EXPECT_ERR(EINVAL, setsockopt(self->b, SOL_SOCKET, SO_DETACH_FILTER,
				      "", 1));
	EXPECT_ERR(EFAULT, setsockopt(self->b, SOL_SOCKET, SO_DETACH_FILTER,
				      FT_WILD, sizeof(int)));
}

TEST_F(filter, O05_lock)
{
	int prog = filter_load_by_byte(variant->base);

	ASSERT_LE(0, prog);
	EXPECT_EQ(0, ft_getint(self->b, SO_LOCK_FILTER));
	ASSERT_EQ(0, filter_by_byte(self->b, variant->base));
	/* Not locked: it may be set to what it is. */
	ASSERT_EQ(0, ft_setint(self->b, SO_LOCK_FILTER, 0));
	ASSERT_EQ(0, filter_by_byte(self->b, variant->base));
	EXPECT_ERR(EINVAL, setsockopt(self->b, SOL_SOCKET, SO_LOCK_FILTER, "",
				      1));
	EXPECT_ERR(EFAULT, setsockopt(self->b, SOL_SOCKET, SO_LOCK_FILTER,
				      FT_WILD, sizeof(int)));

	ASSERT_EQ(0, ft_setint(self->b, SO_LOCK_FILTER, 1));
	EXPECT_EQ(1, ft_getint(self->b, SO_LOCK_FILTER));
	EXPECT_ERR(EPERM, filter_constant(self->b, 0));
	EXPECT_ERR(EPERM, ft_setint(self->b, SO_ATTACH_BPF, prog));
	EXPECT_ERR(EPERM, filter_detach(self->b));
	EXPECT_ERR(EPERM, ft_setint(self->b, SO_DETACH_BPF, 0));
	EXPECT_ERR(EPERM, ft_setint(self->b, SO_LOCK_FILTER, 0));
	ASSERT_EQ(0, ft_setint(self->b, SO_LOCK_FILTER, 1));
	goes_by_byte(_metadata, self->a, self->b, variant->base);
	/* The other end is not locked. */
	EXPECT_EQ(0, filter_constant(self->a, -1));
	EXPECT_EQ(0, filter_detach(self->a));
	ft_close(&prog);
}

TEST_F(filter, O05_lock_without_a_filter)
{
	ASSERT_EQ(0, ft_setint(self->b, SO_LOCK_FILTER, 1));
	EXPECT_ERR(EPERM, filter_constant(self->b, 0));
	EXPECT_ERR(EPERM, filter_detach(self->b));
	passes_all(_metadata, self->a, self->b);
}

TEST_F(filter, O02_invalid_programs_change_nothing)
{
	static const struct sock_filter no_return[] = {
		{ BPF_LD | BPF_W | BPF_IMM, 0, 0, 0 },
	};
	static const struct sock_filter wild_jump[] = {
		{ BPF_JMP | BPF_JA, 0, 0, 1000 },
		{ BPF_RET | BPF_K, 0, 0, 0 },
	};
	static const struct sock_filter divides_by_zero[] = {
		{ BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0 },
		{ BPF_RET | BPF_K, 0, 0, 0 },
	};
	static const struct sock_filter no_opcode[] = {
		{ 0xffff, 0, 0, 0 },
		{ BPF_RET | BPF_K, 0, 0, 0 },
	};
	static const struct sock_filter memory_never_written[] = {
		{ BPF_LD | BPF_MEM, 0, 0, 3 },
		{ BPF_RET | BPF_A, 0, 0, 0 },
	};
	struct sock_filter *many = calloc(5000, sizeof(*many));
	struct sock_fprog wild = { .len = 1, .filter = FT_WILD };
	int i;

	ASSERT_EQ(0, filter_by_byte(self->b, variant->base));
	EXPECT_ERR(EINVAL, filter_attach(self->b, no_return, 1));
	EXPECT_ERR(EINVAL, filter_attach(self->b, wild_jump, 2));
	EXPECT_ERR(EINVAL, filter_attach(self->b, divides_by_zero, 2));
	EXPECT_ERR(EINVAL, filter_attach(self->b, no_opcode, 2));
	EXPECT_ERR(EINVAL, filter_attach(self->b, memory_never_written, 2));
	EXPECT_ERR(EINVAL, filter_attach(self->b, no_return, 0));
	EXPECT_ERR(EINVAL, filter_attach(self->b, NULL, 1));
	for (i = 0; i < 5000; i++)
		many[i].code = BPF_RET | BPF_K;
	EXPECT_ERR(EINVAL, filter_attach(self->b, many, BPF_MAXINSNS + 1));
	EXPECT_ERR(EFAULT, setsockopt(self->b, SOL_SOCKET, SO_ATTACH_FILTER,
				      &wild, sizeof(wild)));
	EXPECT_ERR(EFAULT, setsockopt(self->b, SOL_SOCKET, SO_ATTACH_FILTER,
				      FT_WILD, sizeof(wild)));
	EXPECT_ERR(EINVAL, setsockopt(self->b, SOL_SOCKET, SO_ATTACH_FILTER,
				      &wild, sizeof(wild) - 1));
	EXPECT_ERR(EINVAL, setsockopt(self->b, SOL_SOCKET, SO_ATTACH_FILTER,
				      &wild, 1));
	free(many);
	goes_by_byte(_metadata, self->a, self->b, variant->base);
}

TEST_F(filter, O03_invalid_programs_change_nothing)
{
	int prog, fd = open("/dev/null", O_RDONLY);

	ASSERT_EQ(0, filter_by_byte(self->b, variant->base));
	EXPECT_ERR(EBADF, ft_setint(self->b, SO_ATTACH_BPF, -1));
	EXPECT_ERR(EBADF, ft_setint(self->b, SO_ATTACH_BPF, 1000000));
	EXPECT_ERR(EINVAL, ft_setint(self->b, SO_ATTACH_BPF, fd));
	EXPECT_ERR(EINVAL, ft_setint(self->b, SO_ATTACH_BPF, self->b));
	prog = filter_load_constant(BPF_PROG_TYPE_CGROUP_SKB, 1);
	ASSERT_LE(0, prog);
	EXPECT_ERR(EINVAL, ft_setint(self->b, SO_ATTACH_BPF, prog));
	EXPECT_ERR(EINVAL, setsockopt(self->b, SOL_SOCKET, SO_ATTACH_BPF,
				      &prog, 2));
	EXPECT_ERR(EFAULT, setsockopt(self->b, SOL_SOCKET, SO_ATTACH_BPF,
				      FT_WILD, sizeof(int)));
	ft_close(&prog);
	ft_close(&fd);
	goes_by_byte(_metadata, self->a, self->b, variant->base);
}

/* The core gives and takes numbers of instructions here. */
TEST_F(filter, O46_get_filter)
{
	struct sock_filter code[] = {
		{ BPF_LD | BPF_B | BPF_ABS, 0, 0, variant->base },
		{ BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 9 },
		{ BPF_RET | BPF_K, 0, 0, 0 },
		{ BPF_RET | BPF_K, 0, 0, 0xffff },
	}, back[8];
	socklen_t len = 8;

	EXPECT_EQ(0, getsockopt(self->b, SOL_SOCKET, SO_GET_FILTER, back,
				&len));
	EXPECT_EQ(0, len);
	ASSERT_EQ(0, filter_attach(self->b, code, 4));
	len = 0;
	EXPECT_EQ(0, getsockopt(self->b, SOL_SOCKET, SO_GET_FILTER, NULL,
				&len));
	EXPECT_EQ(4, len);
	len = 8;
	memset(back, 0xa5, sizeof(back));
	ASSERT_EQ(0, getsockopt(self->b, SOL_SOCKET, SO_GET_FILTER, back,
				&len));
	EXPECT_EQ(4, len);
	EXPECT_EQ(0, memcmp(code, back, sizeof(code)));
	EXPECT_EQ(0xa5a5, back[4].code);
	len = 3;
	EXPECT_ERR(EINVAL, getsockopt(self->b, SOL_SOCKET, SO_GET_FILTER, back,
				      &len));
	len = 8;
	EXPECT_ERR(EFAULT, getsockopt(self->b, SOL_SOCKET, SO_GET_FILTER,
				      FT_WILD, &len));
	/* Of an extended program nobody knows the source. */
	ASSERT_EQ(0, filter_attach_bpf(self->b, filter_load_by_byte(0)));
	EXPECT_ERR(EACCES, getsockopt(self->b, SOL_SOCKET, SO_GET_FILTER, back,
				      &len));
}

TEST_F(filter, O02_by_somebody_without_privileges)
{
	int prog = filter_load_by_byte(variant->base);
	struct ft_child child;

	ASSERT_LE(0, prog);
	if (!ft_fork(&child)) {
		if (!ft_become(65534, 65534))
			_exit(255);
		if (filter_constant(self->b, 0) || filter_detach(self->b) ||
		    ft_setint(self->b, SO_ATTACH_BPF, prog) ||
		    ft_setint(self->b, SO_LOCK_FILTER, 1))
			_exit(errno);
		_exit(0);
	}
	EXPECT_EQ(0, ft_wait_child(&child));
	goes_by_byte(_metadata, self->a, self->b, variant->base);
	ft_close(&prog);
}

TEST_F(filter, P04_filter_larger_than_optmem_max)
{
	struct sock_filter *code = calloc(BPF_MAXINSNS, sizeof(*code));
	int i, attached = 0, fd[16];

	for (i = 0; i < BPF_MAXINSNS; i++)
		code[i].code = BPF_RET | BPF_K;
	/* optmem_max bounds a socket's filters: one at a time, and the old one
	 * is there until the new one is.
	 */
	EXPECT_EQ(0, ft_meminfo(self->b, SK_MEMINFO_OPTMEM));
	for (i = 1; i <= BPF_MAXINSNS; i *= 2) {
		if (filter_attach(self->b, code, i)) {
			EXPECT_EQ(ENOMEM, errno);
			break;
		}
		attached = i;
		EXPECT_LE((int64_t)(i * sizeof(*code)),
			  ft_meminfo(self->b, SK_MEMINFO_OPTMEM));
	}
	EXPECT_LE(64, attached);
	EXPECT_EQ(0, filter_detach(self->b));
	EXPECT_EQ(0, ft_meminfo(self->b, SK_MEMINFO_OPTMEM));
	passes_all(_metadata, self->a, self->b);
	for (i = 0; i < 16; i++) {
		fd[i] = socket(variant->kind.domain, variant->kind.type, 0);
		EXPECT_EQ(0, filter_attach(fd[i], code, 64));
	}
	for (i = 0; i < 16; i++)
		ft_close(&fd[i]);
	free(code);
}

/* Attached and detached while messages come. */

#define FLIPPED	2000

struct flipper {
	pthread_t thread;
	int fd;
	int prog;
	atomic_bool stop;
	atomic_int rounds;
	int errors;
};

static void *flip(void *arg)
{
	struct flipper *flipper = arg;

	while (!atomic_load(&flipper->stop)) {
		flipper->errors += filter_constant(flipper->fd, 0) != 0;
		flipper->errors += ft_setint(flipper->fd, SO_ATTACH_BPF,
					     flipper->prog) != 0;
		flipper->errors += filter_detach(flipper->fd) != 0;
		atomic_fetch_add(&flipper->rounds, 1);
	}
	return NULL;
}

/* Receives numbers that rise; counts them. */
static void *count_numbers(void *arg)
{
	uint64_t last = 0, number, seen = 0;
	int fd = *(int *)arg;

	do {
		if (recv(fd, &number, sizeof(number), MSG_WAITALL) !=
			    sizeof(number) || number <= last)
			return NULL;
		last = number;
		seen++;
	} while (number != UINT64_MAX);
	return (void *)(uintptr_t)seen;
}

TEST_F(filter, O02_flipped_under_traffic)
{
	struct flipper flipper = { .fd = self->b };
	uint64_t number, end = UINT64_MAX, seen, least = FLIPPED;
	pthread_t reader;
	int left = 1;
	void *result;

	flipper.prog = filter_load_constant(BPF_PROG_TYPE_SOCKET_FILTER, 0xffff);
	ASSERT_LE(0, flipper.prog);
	ASSERT_EQ(0, pthread_create(&reader, NULL, count_numbers, &self->b));
	ASSERT_EQ(0, pthread_create(&flipper.thread, NULL, flip, &flipper));
	for (number = 1; number < least || atomic_load(&flipper.rounds) < 20;
	     number++)
		if (send(self->a, &number, sizeof(number), 0) !=
		    sizeof(number))
			break;
	atomic_store(&flipper.stop, true);
	pthread_join(flipper.thread, NULL);
	/* UDP loses what finds the queue full. */
	while (left && !ioctl(self->b, FIONREAD, &left))
		sched_yield();
	EXPECT_EQ(8, send(self->a, &end, sizeof(end), 0));
	pthread_join(reader, &result);
	ft_close(&flipper.prog);
	EXPECT_LE(least, number);
	EXPECT_EQ(0, flipper.errors);
	seen = (uintptr_t)result;
	EXPECT_LT(0, seen);
	/* Each was either received or counted. */
	if (variant->kind.domain != AF_UNIX)
		EXPECT_EQ(number, seen + ft_meminfo(self->b, SK_MEMINFO_DROPS));
}

/* Descriptors and credentials that ride on what a filter drops or cuts. */

TEST_F(filter, X01_descriptors_of_a_dropped_message)
{
	struct witness witness;
	struct pass pass;
	char buf[64] = { 0 };

	if (variant->kind.domain == AF_INET)
		SKIP(return, "no descriptors");
	ASSERT_TRUE(witness_make(&witness));
	ASSERT_EQ(0, filter_by_byte(self->b, 0));
	ASSERT_EQ(64, pass_send(self->a, buf, 64, &witness.out, 1, NULL, 0));
	EXPECT_TRUE(witness_gone(&witness));
	/* They do not turn up with the next message. */
	ASSERT_TRUE(send_keep(self->a, 10, 64));
	EXPECT_EQ(10, pass_recv(self->b, buf, 64, &pass, 0));
	EXPECT_EQ(0, pass.fds);
}

TEST_F(filter, O02_passengers_of_a_cut_message)
{
	struct witness witness;
	struct pass pass;
	char buf[64] = { 5 };

	if (variant->kind.domain == AF_INET)
		SKIP(return, "no descriptors");
	ASSERT_TRUE(witness_make(&witness));
	ASSERT_EQ(0, ft_setint(self->b, SO_PASSCRED, 1));
	ASSERT_EQ(0, filter_by_byte(self->b, 0));
	ASSERT_EQ(64, pass_send(self->a, buf, 64, &witness.out, 1, NULL, 0));
	EXPECT_EQ(5, pass_recv(self->b, buf, 64, &pass, 0));
	EXPECT_EQ(0, pass.flags & (MSG_TRUNC | MSG_CTRUNC));
	EXPECT_EQ(1, pass.fds);
	EXPECT_TRUE(pass_same(pass.fd[0], witness.out));
	EXPECT_EQ(1, pass.creds);
	EXPECT_EQ(getpid(), pass.cred.pid);
	pass_close(&pass);
	EXPECT_TRUE(witness_gone(&witness));
}

/* What is dropped is counted, where it is counted. */

FIXTURE(counted)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(counted)
{
	struct ft_kind kind;
	int base;
};

FIXTURE_VARIANT_ADD(counted, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(counted, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(counted, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(counted, UDP_dgram)
{
	.kind = { AF_INET, SOCK_DGRAM, FT_CONN },
	.base = UDP_HEADER,
};

FIXTURE_SETUP(counted)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
}

FIXTURE_TEARDOWN(counted)
{
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

TEST_F(counted, O02_drops_are_counted)
{
	int i, base = variant->base;

	EXPECT_EQ(0, ft_meminfo(self->b, SK_MEMINFO_DROPS));
	ASSERT_EQ(0, filter_by_byte(self->b, base));
	for (i = 0; i < 7; i++)
		ASSERT_TRUE(send_keep(self->a, 0, 100));
	/* What is cut is not lost. */
	ASSERT_TRUE(send_keep(self->a, base + 3, 100));
	EXPECT_TRUE(recv_kept(self->b, base + 3, 3));
	EXPECT_EQ(7, ft_meminfo(self->b, SK_MEMINFO_DROPS));
	EXPECT_EQ(0, ft_meminfo(self->a, SK_MEMINFO_DROPS));
}

TEST_F(counted, O36_rxq_ovfl)
{
	struct pass pass;
	char buf[128];
	int base = variant->base, keep = base + 5;

	EXPECT_EQ(0, ft_getint(self->b, SO_RXQ_OVFL));
	EXPECT_ERR(EINVAL, setsockopt(self->b, SOL_SOCKET, SO_RXQ_OVFL, "", 1));
	EXPECT_ERR(EFAULT, setsockopt(self->b, SOL_SOCKET, SO_RXQ_OVFL,
				      FT_WILD, sizeof(int)));
	ASSERT_EQ(0, filter_by_byte(self->b, base));

	/* Off: nothing, whatever is lost. */
	ASSERT_TRUE(send_keep(self->a, 0, 10));
	ASSERT_TRUE(send_keep(self->a, keep, 10));
	EXPECT_EQ(5, pass_recv(self->b, buf, sizeof(buf), &pass, 0));
	EXPECT_EQ(0, pass.overflow);

	ASSERT_EQ(0, ft_setint(self->b, SO_RXQ_OVFL, 1));
	EXPECT_EQ(1, ft_getint(self->b, SO_RXQ_OVFL));
	ASSERT_TRUE(send_keep(self->a, keep, 10));
	EXPECT_EQ(5, pass_recv(self->b, buf, sizeof(buf), &pass, MSG_PEEK));
	EXPECT_EQ(1, pass.overflow);
	EXPECT_EQ(1, pass.dropped);
	EXPECT_EQ(5, pass_recv(self->b, buf, sizeof(buf), &pass, 0));
	EXPECT_EQ(1, pass.overflow);
	EXPECT_EQ(1, pass.dropped);
	ASSERT_TRUE(send_keep(self->a, 0, 10));
	ASSERT_TRUE(send_keep(self->a, 0, 10));
	ASSERT_TRUE(send_keep(self->a, keep, 10));
	EXPECT_EQ(5, pass_recv(self->b, buf, sizeof(buf), &pass, 0));
	EXPECT_EQ(1, pass.overflow);
	EXPECT_EQ(3, pass.dropped);
	/* No room for it. */
	ASSERT_TRUE(send_keep(self->a, keep, 10));
	EXPECT_EQ(5, pass_recv_room(self->b, buf, sizeof(buf), &pass, 0, 4));
	EXPECT_EQ(0, pass.overflow);
	EXPECT_EQ(MSG_CTRUNC, pass.flags & MSG_CTRUNC);

	ASSERT_EQ(0, ft_setint(self->b, SO_RXQ_OVFL, 0));
	ASSERT_TRUE(send_keep(self->a, keep, 10));
	EXPECT_EQ(5, pass_recv(self->b, buf, sizeof(buf), &pass, 0));
	EXPECT_EQ(0, pass.overflow);
}

TEST_F(counted, O36_nothing_before_the_first_loss)
{
	struct pass pass;
	char buf[128];

	ASSERT_EQ(0, ft_setint(self->b, SO_RXQ_OVFL, 1));
	ASSERT_TRUE(send_keep(self->a, 0, 10));
	EXPECT_EQ(10, pass_recv(self->b, buf, sizeof(buf), &pass, 0));
	EXPECT_EQ(0, pass.overflow);
}

/* AF_FERRY alone. */

FIXTURE(ferry)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(ferry)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(ferry, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(ferry, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(ferry, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_CONN },
};

FIXTURE_SETUP(ferry)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
}

FIXTURE_TEARDOWN(ferry)
{
	ft_close(&self->a);
	ft_close(&self->b);
	FT_NO_LEAK(&self->leak);
}

TEST_F(ferry, O02_drops_are_traced)
{
	struct tracefs trace;
	uint64_t cookie = tracefs_cookie(self->b);

	ASSERT_NE(0, cookie);
	if (!tracefs_start(&trace, "ferry_drop"))
		SKIP(return, "no tracefs in this kernel");
	ASSERT_EQ(0, filter_by_byte(self->b, 0));
	ASSERT_TRUE(send_keep(self->a, 20, 20));
	EXPECT_EQ(0, tracefs_count(&trace, cookie, "ferry_drop"));
	ASSERT_TRUE(send_keep(self->a, 0, 20));
	ASSERT_TRUE(send_keep(self->a, 0, 20));
	EXPECT_EQ(2, tracefs_count(&trace, cookie, " reason=filter "));
	EXPECT_EQ(1, tracefs_count(&trace, cookie, " drops=2"));
	EXPECT_EQ(0, tracefs_count(&trace, tracefs_cookie(self->a), ""));
	tracefs_stop(&trace);
}

/* From an event to the line of /proc/net/ferry, by whatever tool records it. */
TEST_F(ferry, O02_a_drop_leads_to_its_socket)
{
	uint64_t cookie = tracefs_cookie(self->b);
	char text[64], line[512], *name;
	struct ft_addr addr;
	struct tracefs trace;
	struct stat st;
	bool found = false;
	FILE *f;

	addr.len = sizeof(addr.ferry);
	ASSERT_EQ(0, getsockname(self->b, &addr.sa, &addr.len));
	ASSERT_LT(FERRY_ADDR_HDR, addr.len);
	ASSERT_EQ(0, fstat(self->b, &st));
	snprintf(line, sizeof(line), "name=%.*s", (int)addr.len - FERRY_ADDR_HDR,
		 addr.ferry.sfy_name);
	name = strdup(line);

	if (!tracefs_start(&trace, "ferry_drop"))
		SKIP(return, "no tracefs in this kernel");
	ASSERT_EQ(0, filter_by_byte(self->b, 0));
	ASSERT_TRUE(send_keep(self->a, 0, 20));
	snprintf(text, sizeof(text), " ino=%lu ", st.st_ino);
	EXPECT_EQ(1, tracefs_count(&trace, cookie, text));
	EXPECT_EQ(1, tracefs_count(&trace, cookie, name));
	EXPECT_TRUE(tracefs_recorded(&trace, "filter"));
	ASSERT_TRUE(send_keep(self->a, 0, 20));
	EXPECT_TRUE(tracefs_recorded(&trace, name + strlen("name=")));
	tracefs_stop(&trace);

	f = fopen("/proc/net/ferry", "re");
	ASSERT_NE(NULL, f);
	snprintf(text, sizeof(text), "%10llu ", (unsigned long long)cookie);
	while (!found && fgets(line, sizeof(line), f))
		found = strtoul(line, NULL, 10) == st.st_ino &&
			strstr(line, text) &&
			strstr(line, name + strlen("name="));
	EXPECT_TRUE(found);
	fclose(f);
	free(name);
}

/*
 * Who looks for lost packets (dropwatch, perf) must not find the copies that the
 * core's filters, stamps and error queue are shown.
 */
TEST_F(ferry, O02_only_what_is_dropped_counts_as_a_lost_packet)
{
	bool records = variant->kind.type != SOCK_STREAM;
	struct tracefs trace;
	char buf[64], pid[16];

	if (!tracefs_start_any(&trace, "skb/kfree_skb"))
		SKIP(return, "no tracefs in this kernel");
	snprintf(pid, sizeof(pid), "%d", getpid());
	ASSERT_TRUE(tracefs_write(&trace, "set_event_pid", pid));
	ASSERT_EQ(0, ft_setint(self->b, SO_TIMESTAMP, 1));
	ASSERT_EQ(0, ft_setint(self->a, SO_TIMESTAMPING,
			       SOF_TIMESTAMPING_TX_ACK |
			       SOF_TIMESTAMPING_SOFTWARE |
			       SOF_TIMESTAMPING_OPT_TSONLY));
	if (records)
		ASSERT_EQ(0, filter_by_byte(self->b, 0));
	ASSERT_TRUE(send_keep(self->a, 20, 20));
	EXPECT_EQ(20, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(0, recv(self->a, buf, sizeof(buf), MSG_ERRQUEUE));
	EXPECT_EQ(0, tracefs_lines(&trace, " kfree_skb: ", ""));
	if (records) {
		ASSERT_TRUE(send_keep(self->a, 0, 20));
		EXPECT_EQ(1, tracefs_lines(&trace, " kfree_skb: ", ""));
		EXPECT_EQ(1, tracefs_lines(&trace, " kfree_skb: ",
					   "SOCKET_FILTER"));
	}
	tracefs_stop(&trace);
}

/* Whatever a program may ask about, and the kernel says nothing. */
TEST_F(ferry, O02_every_load)
{
	static const int ancillary[] = {
		SKF_AD_PROTOCOL, SKF_AD_PKTTYPE, SKF_AD_IFINDEX, SKF_AD_NLATTR,
		SKF_AD_NLATTR_NEST, SKF_AD_MARK, SKF_AD_QUEUE, SKF_AD_HATYPE,
		SKF_AD_RXHASH, SKF_AD_CPU, SKF_AD_ALU_XOR_X, SKF_AD_VLAN_TAG,
		SKF_AD_VLAN_TAG_PRESENT, SKF_AD_PAY_OFFSET, SKF_AD_RANDOM,
		SKF_AD_VLAN_TPID,
	};
	struct sock_filter code[] = {
		{ BPF_LD | BPF_W | BPF_ABS, 0, 0, 0 },
		{ BPF_RET | BPF_K, 0, 0, 0xffff },
	};
	struct sock_filter by_byte[] = {
		{ BPF_LD | BPF_B | BPF_ABS, 0, 0, 0 },
		{ BPF_RET | BPF_A, 0, 0, 0 },
	};
	struct sock_filter device[] = {
		{ BPF_LD | BPF_W | BPF_ABS, 0, 0, SKF_AD_OFF + SKF_AD_IFINDEX },
		{ BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 1 },
		{ BPF_RET | BPF_K, 0, 0, 7 },
		{ BPF_RET | BPF_K, 0, 0, 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ancillary); i++) {
		code[0].k = SKF_AD_OFF + ancillary[i];
		ASSERT_EQ(0, filter_attach(self->b, code, 2)) {
			TH_LOG("ancillary load %d", ancillary[i]);
		}
		ASSERT_TRUE(send_keep(self->a, 100, 100));
		EXPECT_TRUE(recv_kept(self->b, 100, 100)) {
			TH_LOG("ancillary load %d", ancillary[i]);
		}
	}
	/* The payload is what lies at the headers. */
	by_byte[0].k = SKF_NET_OFF;
	ASSERT_EQ(0, filter_attach(self->b, by_byte, 2));
	goes_by_byte(_metadata, self->a, self->b, 0);
	by_byte[0].k = SKF_LL_OFF;
	ASSERT_EQ(0, filter_attach(self->b, by_byte, 2));
	goes_by_byte(_metadata, self->a, self->b, 0);
	/* Beyond the end: dropped. */
	by_byte[0].k = 1000;
	ASSERT_EQ(0, filter_attach(self->b, by_byte, 2));
	ASSERT_TRUE(send_keep(self->a, 1, 100));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	/* Local messages come by the loopback device, number 1. */
	ASSERT_EQ(0, filter_attach(self->b, device, 4));
	ASSERT_TRUE(send_keep(self->a, 1, 100));
	EXPECT_TRUE(recv_kept(self->b, 1, 7));
}

/* Receives @keep bytes, which are the message from byte @at on. */
static bool recv_cut(int fd, uint64_t at, size_t keep)
{
	char *buf = malloc(keep + 1);
	bool ok;

	ok = recv(fd, buf, keep + 1, 0) == (ssize_t)keep &&
	     ft_pattern_ok(buf, at, keep);
	free(buf);
	return ok;
}

TEST_F(ferry, O02_large_messages_are_cut)
{
	static const int keep[] = { 1, 4000, 4096, 20000, 32000, 32767 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keep); i++) {
		ASSERT_EQ(0, filter_constant(self->b, keep[i]));
		ASSERT_TRUE(ft_send_all(self->a, 0, 32768, 32768));
		EXPECT_TRUE(recv_cut(self->b, 0, keep[i]));
		EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	}
	if (variant->kind.type == SOCK_STREAM)
		return;
	/* More than the largest buffer. */
	ASSERT_EQ(0, filter_constant(self->b, 70000));
	ASSERT_TRUE(ft_send_all(self->a, 0, 100000, 100000));
	EXPECT_TRUE(recv_cut(self->b, 0, 70000));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
}

/* Larger than the kernel gives in one piece; the program looks at its last byte. */
TEST_F_TIMEOUT(ferry, O02_records_of_many_mebibytes, FT_SLOW_S)
{
	static const size_t sizes[] = { 5000000, 32768, 40000, 65536, 1000000 };
	int room = 16 << 20;
	unsigned char *buf;
	size_t i, len;

	if (variant->kind.type == SOCK_STREAM)
		SKIP(return, "a stream is shown in pieces");
	if (setsockopt(self->a, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) ||
	    setsockopt(self->b, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		SKIP(return, "needs root for buffers of this size");
	buf = malloc(sizes[0] + 1);
	ASSERT_NE(NULL, buf);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		len = sizes[i];
		ASSERT_EQ(0, filter_by_byte(self->b, len - 1));
		ft_pattern(buf, 0, len);
		buf[len - 1] = 77;
		ASSERT_EQ(len, send(self->a, buf, len, 0));
		memset(buf, 0, 100);
		ASSERT_EQ(77, recv(self->b, buf, len, 0));
		EXPECT_TRUE(ft_pattern_ok(buf, 0, 77));

		/* Cut behind the first fragment, and not at all. */
		ASSERT_EQ(0, filter_constant(self->b, len - 1000));
		ft_pattern(buf, 0, len);
		ASSERT_EQ(len, send(self->a, buf, len, 0));
		memset(buf, 0, len);
		ASSERT_EQ(len - 1000, recv(self->b, buf, len, 0));
		EXPECT_TRUE(ft_pattern_ok(buf, 0, len - 1000));
		ASSERT_EQ(0, filter_constant(self->b, -1));
		ft_pattern(buf, 0, len);
		ASSERT_EQ(len, send(self->a, buf, len, 0));
		memset(buf, 0, len);
		ASSERT_EQ(len, recv(self->b, buf, len, 0));
		EXPECT_TRUE(ft_pattern_ok(buf, 0, len));
	}
	free(buf);
}

TEST_F(ferry, O02_queues_of_what_is_left)
{
	int n;

	ASSERT_EQ(0, filter_constant(self->b, 10));
	ASSERT_TRUE(ft_send_all(self->a, 0, 20000, 20000));
	ASSERT_EQ(0, ioctl(self->b, SIOCINQ, &n));
	EXPECT_EQ(10, n);
	ASSERT_EQ(0, ioctl(self->a, SIOCOUTQ, &n));
	EXPECT_EQ(10, n);
	ASSERT_EQ(0, filter_constant(self->b, 0));
	ASSERT_TRUE(ft_send_all(self->a, 0, 20000, 20000));
	ASSERT_EQ(0, ioctl(self->a, SIOCOUTQ, &n));
	EXPECT_EQ(10, n);
	EXPECT_TRUE(recv_cut(self->b, 0, 10));
	ASSERT_EQ(0, ioctl(self->a, SIOCOUTQ, &n));
	EXPECT_EQ(0, n);
}

/*
 * A send of up to 32 KiB is one to the program; on a stream as far as half of
 * SO_SNDBUF and SO_RCVBUF go.
 */
TEST_F(ferry, O02_one_send_is_one)
{
	char *buf = calloc(1, 32768);
	int kept = -1;
	ssize_t n;
	size_t i;

	ft_pattern(buf, 0, 32768);
	ASSERT_EQ(0, filter_constant(self->b, 20000));
	EXPECT_EQ(32768, send(self->a, buf, 32768, MSG_DONTWAIT));
	EXPECT_TRUE(recv_cut(self->b, 0, 20000));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	if (variant->kind.type != SOCK_STREAM) {
		free(buf);
		return;
	}

	/* Beyond that they are pieces. */
	ASSERT_EQ(0, filter_constant(self->b, 100));
	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 65536));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 65536));
	ASSERT_TRUE(ft_send_all(self->a, 0, 65536 + 50, 65536 + 50));
	n = recv(self->b, buf, 32768, 0);
	EXPECT_EQ(250, n);
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 100));
	EXPECT_TRUE(ft_pattern_ok(buf + 100, 32768, 100));
	EXPECT_TRUE(ft_pattern_ok(buf + 200, 65536, 50));

	/* With small buffers smaller ones. */
	ASSERT_EQ(0, filter_constant(self->b, 2000));
	ft_pattern(buf, 0, 32768);
	for (i = 0; i < 2; i++) {
		int piece = i ? 5000 : 6000;

		ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, i ? 50000 : piece));
		ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, i ? piece / 2 : 50000));
		n = send(self->a, buf, 32768, MSG_DONTWAIT);
		EXPECT_LT(0, n);
		EXPECT_EQ(0, n % piece);
		ASSERT_EQ(0, ioctl(self->b, SIOCINQ, &kept));
		EXPECT_EQ(n / piece * 2000, kept);
		EXPECT_EQ(kept, recv(self->b, buf + 16384, 16384, 0));
		EXPECT_TRUE(ft_pattern_ok(buf + 16384, 0, 2000));
	}
	free(buf);
}

/* Small writes are filtered one by one, before they share a buffer. */
TEST_F(ferry, O02_before_merging)
{
	unsigned char buf[64];
	int i;

	if (variant->kind.type != SOCK_STREAM)
		SKIP(return, "records never merge");
	ASSERT_TRUE(send_keep(self->a, 9, 3));
	ASSERT_EQ(0, filter_by_byte(self->b, 0));
	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(send_keep(self->a, 0, 4));
		ASSERT_TRUE(send_keep(self->a, 2, 4));
	}
	EXPECT_EQ(3 + 3 * 2, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(9, buf[0]);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(2, buf[3 + 2 * i]);
}

TEST_F(ferry, O02_to_a_full_receiver)
{
	ssize_t sent;

	/*
	 * A connection looks for room first. What a datagram's receiver drops needs
	 * none there, but memory of the sender's until then.
	 */
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVBUF, 8192));
	sent = ft_fill(self->a, 0, 1000);
	ASSERT_LT(0, sent);
	ASSERT_LE(0, ft_fill(self->a, sent, 1));
	ASSERT_EQ(0, filter_constant(self->b, 0));
	EXPECT_EQ(variant->kind.type == SOCK_DGRAM ? 1 : -1,
		  send(self->a, "x", 1, MSG_DONTWAIT));
	ASSERT_EQ(0, filter_detach(self->b));
	EXPECT_ERR(EAGAIN, send(self->a, "x", 1, MSG_DONTWAIT));
}

TEST_F(ferry, O02_empty_messages)
{
	char byte;

	if (variant->kind.type == SOCK_STREAM) {
		ASSERT_EQ(0, filter_constant(self->b, 0));
		EXPECT_EQ(0, send(self->a, "", 0, 0));
		EXPECT_EQ(0, ft_meminfo(self->b, SK_MEMINFO_DROPS));
		return;
	}
	ASSERT_EQ(0, filter_constant(self->b, 1));
	EXPECT_EQ(0, send(self->a, "", 0, 0));
	EXPECT_EQ(POLLIN, ft_poll(self->b, POLLIN, 0));
	EXPECT_EQ(0, recv(self->b, &byte, 1, 0));
	ASSERT_EQ(0, filter_by_byte(self->b, 0));
	EXPECT_EQ(0, send(self->a, "", 0, 0));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	EXPECT_EQ(1, ft_meminfo(self->b, SK_MEMINFO_DROPS));
}

TEST_F(ferry, F07_faults_under_a_filter)
{
	char *edge, *map = ft_page_edge(&edge);

	ASSERT_NE(NULL, map);
	ASSERT_EQ(0, filter_constant(self->b, 0xffff));
	EXPECT_ERR(EFAULT, send(self->a, edge - 100, 200, 0));
	EXPECT_ERR(EFAULT, send(self->a, FT_WILD, 200, 0));
	EXPECT_EQ(0, ft_poll(self->b, POLLIN, 0));
	passes_all(_metadata, self->a, self->b);
	EXPECT_EQ(0, ft_meminfo(self->b, SK_MEMINFO_DROPS));
	munmap(map, sysconf(_SC_PAGESIZE));
}

TEST_F(ferry, O02_an_urgent_byte_is_a_message)
{
	char buf[8];
	int mark = -1;

	if (variant->kind.type != SOCK_STREAM)
		SKIP(return, "streams only");
	ASSERT_EQ(0, ft_catch(SIGURG, 0));
	ft_signals_reset();
	ASSERT_EQ(0, fcntl(self->b, F_SETOWN, getpid()));
	/* One byte alone, as the last of a message always is. */
	ASSERT_EQ(0, filter_by_byte(self->b, 0));
	ASSERT_EQ(1, send(self->a, "", 1, MSG_OOB));
	EXPECT_EQ(0, ft_signals());
	EXPECT_EQ(0, ft_poll(self->b, POLLIN | POLLPRI, 0));
	ASSERT_EQ(0, ioctl(self->b, SIOCATMARK, &mark));
	EXPECT_EQ(0, mark);
	EXPECT_EQ(1, ft_meminfo(self->b, SK_MEMINFO_DROPS));
	ASSERT_EQ(1, send(self->a, "\1", 1, MSG_OOB));
	EXPECT_EQ(1, ft_signals());
	EXPECT_EQ(1, recv(self->b, buf, 1, MSG_OOB));
	EXPECT_EQ(1, buf[0]);
}

TEST_F(ferry, O02_every_receiver_of_a_broadcast_has_its_own)
{
	struct ft_addr addr, all;
	int tx, rx[3], i;
	char buf[16];

	if (variant->kind.type != SOCK_DGRAM)
		SKIP(return, "datagrams only");
	ft_addr_new(AF_FERRY, &addr);
	all = addr;
	all.ferry.sfy_node[0] = 0xff;
	all.ferry.sfy_node[1] = 0x01;
	all.ferry.sfy_node[15] = 1;
	for (i = 0; i < 3; i++) {
		rx[i] = socket(AF_FERRY, SOCK_DGRAM, 0);
		ASSERT_EQ(0, ft_setint(rx[i], SO_REUSEADDR, 1));
		ASSERT_EQ(0, bind(rx[i], &addr.sa, addr.len));
	}
	tx = socket(AF_FERRY, SOCK_DGRAM, 0);
	ASSERT_EQ(0, ft_setint(tx, SO_BROADCAST, 1));
	ASSERT_EQ(0, filter_constant(rx[0], 0));
	ASSERT_EQ(0, filter_constant(rx[1], 4));
	EXPECT_EQ(10, sendto(tx, "0123456789", 10, 0, &all.sa, all.len));
	EXPECT_EQ(0, ft_poll(rx[0], POLLIN, 0));
	EXPECT_EQ(1, ft_meminfo(rx[0], SK_MEMINFO_DROPS));
	EXPECT_EQ(4, recv(rx[1], buf, sizeof(buf), MSG_DONTWAIT));
	EXPECT_EQ(10, recv(rx[2], buf, sizeof(buf), MSG_DONTWAIT));
	EXPECT_EQ(0, memcmp(buf, "0123456789", 10));
	EXPECT_EQ(0, ft_meminfo(rx[1], SK_MEMINFO_DROPS) +
		     ft_meminfo(rx[2], SK_MEMINFO_DROPS));
	ft_close(&tx);
	for (i = 0; i < 3; i++)
		ft_close(&rx[i]);
}

/* Accepted sockets. */

FIXTURE(accepted)
{
	struct ft_leak leak;
	struct ft_addr addr;
	int listener;
};

FIXTURE_VARIANT(accepted)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(accepted, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM },
};

FIXTURE_VARIANT_ADD(accepted, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET },
};

FIXTURE_VARIANT_ADD(accepted, TCP_stream)
{
	.kind = { AF_INET, SOCK_STREAM },
};

FIXTURE_SETUP(accepted)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, variant->kind.domain);
	self->listener = ft_listener(&variant->kind, &self->addr, 4);
	ASSERT_LE(0, self->listener);
}

FIXTURE_TEARDOWN(accepted)
{
	ft_close(&self->listener);
	FT_NO_LEAK(&self->leak);
}

TEST_F(accepted, O05_inherited)
{
	struct sock_filter back[4];
	socklen_t len = 4;
	int a, b;

	ASSERT_EQ(0, filter_constant(self->listener, 0xffff));
	ASSERT_EQ(0, ft_setint(self->listener, SO_LOCK_FILTER, 1));
	a = ft_connect(&variant->kind, &self->addr);
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_EQ(1, ft_getint(b, SO_LOCK_FILTER));
	EXPECT_EQ(0, ft_getint(a, SO_LOCK_FILTER));
	EXPECT_ERR(EPERM, filter_detach(b));
	EXPECT_ERR(EPERM, filter_constant(b, 1));
	EXPECT_ERR(EPERM, ft_setint(b, SO_LOCK_FILTER, 0));
	ASSERT_EQ(0, getsockopt(b, SOL_SOCKET, SO_GET_FILTER, back, &len));
	EXPECT_EQ(1, len);
	EXPECT_EQ(0xffff, back[0].k);
	EXPECT_LT(0, ft_meminfo(b, SK_MEMINFO_OPTMEM));
	EXPECT_EQ(4, send(a, "ping", 4, 0));
	EXPECT_EQ(4, recv(b, back, 4, MSG_WAITALL));
	ft_close(&a);
	ft_close(&b);
}

TEST_F(accepted, O02_inherited_and_changed)
{
	char buf[8];
	int a, b;

	ASSERT_EQ(0, filter_constant(self->listener, 0xffff));
	a = ft_connect(&variant->kind, &self->addr);
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_EQ(0, filter_detach(b));
	EXPECT_EQ(0, ft_meminfo(b, SK_MEMINFO_OPTMEM));
	/* Only its own. */
	EXPECT_LT(0, ft_meminfo(self->listener, SK_MEMINFO_OPTMEM));
	EXPECT_EQ(0, filter_detach(self->listener));
	EXPECT_EQ(4, send(a, "ping", 4, 0));
	EXPECT_EQ(4, recv(b, buf, 4, MSG_WAITALL));
	ft_close(&a);
	ft_close(&b);
}

TEST_F(accepted, O02_what_was_sent_before_accept)
{
	char buf[8];
	int a, b;

	if (variant->kind.domain == AF_INET)
		SKIP(return, "a segment dropped comes again");
	ASSERT_EQ(0, filter_by_byte(self->listener, 0));
	a = ft_connect(&variant->kind, &self->addr);
	ASSERT_TRUE(send_keep(a, 0, 8));
	ASSERT_TRUE(send_keep(a, 3, 8));
	b = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, b);
	EXPECT_EQ(3, recv(b, buf, sizeof(buf), 0));
	EXPECT_EQ(1, ft_meminfo(b, SK_MEMINFO_DROPS));
	ft_close(&a);
	ft_close(&b);
}

/* Programs of groups. */

TEST_F(ferry, O05_locks_the_program_of_a_group)
{
	struct ft_addr addr = { .len = 0 };
	int fd;

	fd = group_join(&variant->kind, &addr);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, group_cbpf(fd, SO_ATTACH_REUSEPORT_CBPF, false, 0));
	ASSERT_EQ(0, ft_setint(fd, SO_LOCK_FILTER, 1));
	EXPECT_ERR(EPERM, group_cbpf(fd, SO_ATTACH_REUSEPORT_CBPF, false, 0));
	EXPECT_ERR(EPERM, group_attach_ebpf(fd, false, 0));
	/* Before 6.7 the core detaches without asking anybody. */
	EXPECT_ERR(ft_kernel_before(6, 7) ? 0 : EPERM,
		   ft_setint(fd, SO_DETACH_REUSEPORT_BPF, 0));
	ft_close(&fd);

	addr.len = 0;
	fd = group_join(&variant->kind, &addr);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, group_cbpf(fd, SO_ATTACH_REUSEPORT_CBPF, false, 0));
	EXPECT_EQ(0, ft_setint(fd, SO_DETACH_REUSEPORT_BPF, 0));
	EXPECT_ERR(ENOENT, ft_setint(fd, SO_DETACH_REUSEPORT_BPF, 0));
	ft_close(&fd);
}

TEST_F(ferry, O06_every_load)
{
	static const int ancillary[] = {
		SKF_AD_PROTOCOL, SKF_AD_PKTTYPE, SKF_AD_IFINDEX, SKF_AD_NLATTR,
		SKF_AD_MARK, SKF_AD_HATYPE, SKF_AD_RXHASH, SKF_AD_CPU,
		SKF_AD_VLAN_TAG, SKF_AD_PAY_OFFSET, SKF_AD_RANDOM,
	};
	struct sock_filter code[] = {
		{ BPF_LD | BPF_W | BPF_ABS, 0, 0, 0 },
		{ BPF_RET | BPF_K, 0, 0, 1 },
	};
	struct sock_fprog prog = { .len = 2, .filter = code };
	struct ft_addr addr = { .len = 0 };
	unsigned int i;
	int fd[2];

	fd[0] = group_join(&variant->kind, &addr);
	fd[1] = group_join(&variant->kind, &addr);
	ASSERT_LE(0, fd[1]);
	for (i = 0; i < ARRAY_SIZE(ancillary); i++) {
		code[0].k = SKF_AD_OFF + ancillary[i];
		ASSERT_EQ(0, setsockopt(fd[0], SOL_SOCKET,
					SO_ATTACH_REUSEPORT_CBPF, &prog,
					sizeof(prog)));
		ASSERT_EQ(0, group_knock(&variant->kind, &addr, 1));
		/* NLATTR finds none and ends the program: the hash decides. */
		if (ancillary[i] == SKF_AD_NLATTR) {
			EXPECT_LE(0, group_who(&variant->kind, fd, 2));
			continue;
		}
		EXPECT_EQ(1, group_who(&variant->kind, fd, 2)) {
			TH_LOG("ancillary load %d", ancillary[i]);
		}
	}
	ft_close(&fd[0]);
	ft_close(&fd[1]);
}

FT_HARNESS_MAIN
