/* SPDX-License-Identifier: GPL-2.0 */
/*
 * io_uring by its system calls: one ring, filled and emptied by one thread.
 * Header only, as few programs need it.
 */
#ifndef URING_H
#define URING_H

#include "ferry_test.h"

#include <sys/syscall.h>
#include <linux/io_uring.h>

#define URING_ENTRIES	16

struct uring {
	int fd;
	char *rings;
	size_t rings_len;
	struct io_uring_sqe *sqes;
	struct io_uring_params p;
	unsigned int filled;	/* not yet submitted */
};

#define URING_NONE	{ .fd = -1 }

/* Makes a ring; false, with errno, where there is none or it is forbidden. */
static inline bool uring_open(struct uring *u)
{
	memset(u, 0, sizeof(*u));
	u->fd = syscall(SYS_io_uring_setup, URING_ENTRIES, &u->p);
	if (u->fd < 0)
		return false;
	/* Both rings are one mapping on every kernel that is tested. */
	u->rings_len = u->p.cq_off.cqes +
		       u->p.cq_entries * sizeof(struct io_uring_cqe);
	if (u->rings_len < u->p.sq_off.array + u->p.sq_entries * 4)
		u->rings_len = u->p.sq_off.array + u->p.sq_entries * 4;
	u->rings = mmap(NULL, u->rings_len, PROT_READ | PROT_WRITE, MAP_SHARED,
			u->fd, IORING_OFF_SQ_RING);
	u->sqes = mmap(NULL, u->p.sq_entries * sizeof(*u->sqes),
		       PROT_READ | PROT_WRITE, MAP_SHARED, u->fd,
		       IORING_OFF_SQES);
	return u->rings != MAP_FAILED && u->sqes != MAP_FAILED;
}

static inline void uring_close(struct uring *u)
{
	if (u->fd < 0)
		return;
	munmap(u->rings, u->rings_len);
	munmap(u->sqes, u->p.sq_entries * sizeof(*u->sqes));
	ft_close(&u->fd);
}

static inline uint32_t *uring_field(struct uring *u, uint32_t offset)
{
	return (uint32_t *)(u->rings + offset);
}

/* The next request to fill in; there is room for URING_ENTRIES of them. */
static inline struct io_uring_sqe *uring_sqe(struct uring *u, int op, int fd)
{
	uint32_t tail = *uring_field(u, u->p.sq_off.tail) + u->filled++;
	uint32_t i = tail & (u->p.sq_entries - 1);
	struct io_uring_sqe *sqe = &u->sqes[i];

	uring_field(u, u->p.sq_off.array)[i] = i;
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = op;
	sqe->fd = fd;
	return sqe;
}

/* Submits what was filled in, and waits for @wait results. */
static inline int uring_enter(struct uring *u, unsigned int wait)
{
	uint32_t *tail = uring_field(u, u->p.sq_off.tail);
	unsigned int n = u->filled;

	u->filled = 0;
	__atomic_store_n(tail, *tail + n, __ATOMIC_RELEASE);
	return syscall(SYS_io_uring_enter, u->fd, n, wait,
		       wait ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
}

/* Takes a result; false when there is none. */
static inline bool uring_cqe(struct uring *u, struct io_uring_cqe *cqe)
{
	uint32_t *head = uring_field(u, u->p.cq_off.head);
	uint32_t tail = __atomic_load_n(uring_field(u, u->p.cq_off.tail),
					__ATOMIC_ACQUIRE);
	struct io_uring_cqe *cqes = (void *)(u->rings + u->p.cq_off.cqes);

	if (*head == tail)
		return false;
	*cqe = cqes[*head & (u->p.cq_entries - 1)];
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return true;
}

/* Waits for a result. */
static inline bool uring_wait(struct uring *u, struct io_uring_cqe *cqe)
{
	while (!uring_cqe(u, cqe))
		if (uring_enter(u, 1) < 0 && errno != EINTR)
			return false;
	return true;
}

/* One request and its result; -1 with errno as a system call has it. */
static inline ssize_t uring_do(struct uring *u)
{
	struct io_uring_cqe cqe;

	if (!uring_wait(u, &cqe))
		return -1;
	if (cqe.res >= 0)
		return cqe.res;
	errno = -cqe.res;
	return -1;
}

static inline ssize_t uring_rw(struct uring *u, int op, int fd,
			       const void *buf, size_t len, int flags)
{
	struct io_uring_sqe *sqe = uring_sqe(u, op, fd);

	sqe->addr = (uintptr_t)buf;
	sqe->len = len;
	sqe->msg_flags = flags;
	return uring_do(u);
}

static inline ssize_t uring_msg(struct uring *u, int op, int fd,
				struct msghdr *msg, int flags)
{
	return uring_rw(u, op, fd, msg, 1, flags);
}

#endif /* URING_H */
