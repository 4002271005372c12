/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Socket filters, classic and extended, that say how much of a message to keep.
 */
#ifndef BPF_HELPERS_H
#define BPF_HELPERS_H

#include "ferry_test.h"

#include <sys/syscall.h>
#include <linux/bpf.h>
#include <linux/filter.h>

#ifndef SO_DETACH_BPF
#define SO_DETACH_BPF	SO_DETACH_FILTER
#endif
#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF	50
#endif

/* A classic program. */
static inline int filter_attach(int fd, const struct sock_filter *code,
				unsigned short len)
{
	struct sock_fprog prog = {
		.len = len, .filter = (struct sock_filter *)code,
	};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
			  sizeof(prog));
}

/* Keeps @keep bytes of every message, 0 none. */
static inline int filter_constant(int fd, unsigned int keep)
{
	struct sock_filter code[] = {
		{ BPF_RET | BPF_K, 0, 0, keep },
	};

	return filter_attach(fd, code, 1);
}

/* Keeps as many bytes as the byte at @at says. */
static inline int filter_by_byte(int fd, unsigned int at)
{
	struct sock_filter code[] = {
		{ BPF_LD | BPF_B | BPF_ABS, 0, 0, at },
		{ BPF_RET | BPF_A, 0, 0, 0 },
	};

	return filter_attach(fd, code, 2);
}

/* The descriptor of an extended program, or -1. */
static inline int filter_load(int type, const struct bpf_insn *code, int len)
{
	char license[] = "GPL";
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = type;
	attr.insns = (uintptr_t)code;
	attr.insn_cnt = len;
	attr.license = (uintptr_t)license;
	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

static inline int filter_load_constant(int type, unsigned int keep)
{
	struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0,
		  .imm = keep },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return filter_load(type, code, 2);
}

static inline int filter_load_by_byte(unsigned int at)
{
	struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_6,
		  .src_reg = BPF_REG_1 },
		{ .code = BPF_LD | BPF_ABS | BPF_B, .imm = at },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return filter_load(BPF_PROG_TYPE_SOCKET_FILTER, code, 3);
}

/* Attaches an extended program and closes its descriptor. */
static inline int filter_attach_bpf(int fd, int prog)
{
	int err;

	if (prog < 0)
		return -1;
	err = ft_setint(fd, SO_ATTACH_BPF, prog);
	ft_close(&prog);
	return err;
}

static inline int filter_detach(int fd)
{
	return ft_setint(fd, SO_DETACH_FILTER, 0);
}

#endif /* BPF_HELPERS_H */
