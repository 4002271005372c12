/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory in which a call of the kernel's gets stuck: the first touch of its second
 * page waits until the test lets it go on (userfaultfd). Header only, as few programs
 * need it.
 */
#ifndef STALL_H
#define STALL_H

#include "ferry_test.h"

#include <sys/syscall.h>
#include <linux/userfaultfd.h>

struct stall {
	int fd;
	long page;
	char *mem;	/* two pages, the second is the one */
};

static inline void stall_close(struct stall *stall)
{
	/* Whoever is still stuck goes on. */
	ft_close(&stall->fd);
	munmap(stall->mem, 2 * stall->page);
}

/* -1 where there is no userfaultfd, or not for calls of the kernel's. */
static inline int stall_open(struct stall *stall)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	stall->page = sysconf(_SC_PAGESIZE);
	stall->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (stall->fd < 0)
		return -1;
	stall->mem = mmap(NULL, 2 * stall->page, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stall->mem == MAP_FAILED) {
		ft_close(&stall->fd);
		return -1;
	}
	memset(stall->mem, 0, stall->page);
	reg.range.start = (unsigned long)stall->mem + stall->page;
	reg.range.len = stall->page;
	if (!ioctl(stall->fd, UFFDIO_API, &api) &&
	    !ioctl(stall->fd, UFFDIO_REGISTER, &reg))
		return 0;
	stall_close(stall);
	return -1;
}

/* The last of @ready bytes that need no wait; what follows does. */
static inline char *stall_at(struct stall *stall, size_t ready)
{
	return stall->mem + stall->page - ready;
}

/* Waits until somebody is stuck. */
static inline bool stall_wait(struct stall *stall)
{
	struct uffd_msg msg;

	return ft_poll(stall->fd, POLLIN, FT_LONG_MS) == POLLIN &&
	       read(stall->fd, &msg, sizeof(msg)) == sizeof(msg) &&
	       msg.event == UFFD_EVENT_PAGEFAULT;
}

/* Lets it go on: the page is there, patterned from @offset. */
static inline bool stall_end(struct stall *stall, uint64_t offset)
{
	char *page = aligned_alloc(stall->page, stall->page);
	struct uffdio_copy copy = {
		.dst = (unsigned long)stall->mem + stall->page,
		.src = (unsigned long)page,
		.len = stall->page,
	};
	bool ok;

	ft_pattern(page, offset, stall->page);
	ok = !ioctl(stall->fd, UFFDIO_COPY, &copy);
	free(page);
	return ok;
}

/* Lets it fail: the page is gone for good. */
static inline bool stall_fail(struct stall *stall)
{
	struct uffdio_range range = {
		.start = (unsigned long)stall->mem + stall->page,
		.len = stall->page,
	};

	return !munmap((char *)stall->mem + stall->page, stall->page) &&
	       !ioctl(stall->fd, UFFDIO_WAKE, &range);
}

/* Use where a test needs it. */
#define STALL_NEED(_stall)						\
do {									\
	if (stall_open(_stall))						\
		SKIP(return, "no userfaultfd: %s", strerror(errno));	\
} while (0)

#endif /* STALL_H */
