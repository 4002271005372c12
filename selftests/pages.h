/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages that can be watched: a memfd takes F_SEAL_WRITE only when nobody but
 * the page cache and mappings refers to its pages. While a message refers to
 * them it says EBUSY: so no copy was made, and afterwards no reference leaked.
 */
#ifndef PAGES_H
#define PAGES_H

#include "ferry_test.h"

#include <sys/mman.h>

#ifndef F_ADD_SEALS
#define F_ADD_SEALS	1033
#define F_SEAL_WRITE	0x0008
#endif

/* A file in memory with @size patterned bytes, or -1. */
static inline int pages_new(size_t size)
{
	char *buf = malloc(size);
	int fd = memfd_create("pages", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ft_pattern(buf, 0, size);
	if (fd >= 0 && pwrite(fd, buf, size, 0) != (ssize_t)size)
		ft_close(&fd);
	free(buf);
	return fd;
}

/* The same pages as memory of this process. */
static inline char *pages_map(int fd, size_t size)
{
	char *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);

	return map == MAP_FAILED ? NULL : map;
}

/* Does anybody refer to them? To be asked once more only after a true. */
static inline bool pages_held(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) && errno == EBUSY;
}

/* Sealed now, so nobody refers to them any more. */
static inline bool pages_free(int fd)
{
	return !fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE);
}

#endif /* PAGES_H */
