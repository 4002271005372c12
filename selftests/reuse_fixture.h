/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Groups of sockets that share a name by SO_REUSEPORT, and programs that choose
 * among them.
 */
#ifndef REUSE_FIXTURE_H
#define REUSE_FIXTURE_H

#include "ferry_test.h"
#include "kselftest_harness.h"

#include <sys/syscall.h>
#include <linux/bpf.h>
#include <linux/filter.h>

#define GROUP_MAX	16

/* Before 6.7 the core refuses the option outside INET: the family has it too. */
static inline int group_flag(int fd, int on)
{
	if (!ft_setint(fd, SO_REUSEPORT, on))
		return 0;
	if (errno != EOPNOTSUPP || ft_getint(fd, SO_DOMAIN) != AF_FERRY)
		return -1;
	return setsockopt(fd, SOL_FERRY, FERRY_REUSEPORT, &on, sizeof(on));
}

/*
 * A further member of the group at @addr, or its first when addr->len is 0. Its
 * queue has room for all that a test makes: who waits for a place when the member
 * closes is refused, and a member may not run for as long as the host likes.
 */
static inline int group_join(const struct ft_kind *kind, struct ft_addr *addr)
{
	int fd = socket(kind->domain, kind->type, 0);

	if (fd < 0)
		return -1;
	if (group_flag(fd, 1) ||
	    (addr->len ? bind(fd, &addr->sa, addr->len) :
			 ft_bind_new(fd, kind->domain, addr)) ||
	    (kind->type != SOCK_DGRAM && listen(fd, 4096)))
		ft_close(&fd);
	return fd;
}

/*
 * One knock at the door: a connection that is reset again, or a datagram of one
 * byte, from a socket of its own.
 */
static inline int group_knock(const struct ft_kind *kind,
			      const struct ft_addr *addr, unsigned char byte)
{
	struct linger reset = { .l_onoff = 1 };
	int fd = socket(kind->domain, kind->type, 0);
	int err;

	if (fd < 0)
		return -1;
	/* No port may wait for the last segments of 16,000 connections. */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (kind->type == SOCK_DGRAM)
		err = sendto(fd, &byte, 1, 0, &addr->sa, addr->len) == 1 ? 0 :
									   -1;
	else
		err = connect(fd, &addr->sa, addr->len);
	ft_close(&fd);
	return err;
}

/* Takes one connection or datagram; false when there is none. */
static inline bool group_take(const struct ft_kind *kind, int fd)
{
	char buf[8];
	int conn;

	if (kind->type == SOCK_DGRAM)
		return recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0;
	conn = accept(fd, NULL, NULL);
	if (conn >= 0)
		close(conn);
	return conn >= 0;
}

/* Waits until one of @n has something, and takes it: which one, or -1. */
static inline int group_who(const struct ft_kind *kind, const int *fd, int n)
{
	struct pollfd pfd[GROUP_MAX];
	int i;

	for (i = 0; i < n; i++)
		pfd[i] = (struct pollfd){ .fd = fd[i], .events = POLLIN };
	if (poll(pfd, n, FT_LONG_MS) <= 0)
		return -1;
	for (i = 0; i < n; i++)
		if (pfd[i].revents & POLLIN && group_take(kind, fd[i]))
			return i;
	return -1;
}

/* Classic programs: a constant, and the first byte of the message. */
static inline int group_cbpf(int fd, int option, bool byte, unsigned int value)
{
	struct sock_filter code[] = {
		{ BPF_LD | BPF_W | BPF_IMM, 0, 0, value },
		{ BPF_RET | BPF_A, 0, 0, 0 },
	};
	struct sock_fprog prog = { .len = 2, .filter = code };

	if (byte)
		code[0] = (struct sock_filter){ BPF_LD | BPF_B | BPF_ABS,
						0, 0, 0 };
	return setsockopt(fd, SOL_SOCKET, option, &prog, sizeof(prog));
}

/* The same as an extended program; its descriptor, or -1. */
static inline int group_ebpf(bool byte, unsigned int value)
{
	struct bpf_insn constant[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0,
		  .imm = value },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct bpf_insn load[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_6,
		  .src_reg = BPF_REG_1 },
		{ .code = BPF_LD | BPF_ABS | BPF_B },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	char license[] = "GPL";
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = (uintptr_t)(byte ? load : constant);
	attr.insn_cnt = byte ? 3 : 2;
	attr.license = (uintptr_t)license;
	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

static inline int group_attach_ebpf(int fd, bool byte, unsigned int value)
{
	int prog = group_ebpf(byte, value);
	int err;

	if (prog < 0)
		return -1;
	err = ft_setint(fd, SO_ATTACH_REUSEPORT_EBPF, prog);
	ft_close(&prog);
	return err;
}

#endif /* REUSE_FIXTURE_H */
