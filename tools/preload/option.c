// SPDX-License-Identifier: GPL-2.0
/*
 * Options where the two families differ.
 */
#include "preload.h"

#include <errno.h>

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD	76
#endif

/* From Linux 6.16 on the core reads these of AF_UNIX only. */
static int own_option(int option)
{
	switch (option) {
	case SO_PASSCRED:
		return FERRY_PASSCRED;
	case SO_PASSSEC:
		return FERRY_PASSSEC;
	case SO_PASSPIDFD:
		return FERRY_PASSPIDFD;
	}
	return -1;
}

/* AF_UNIX has no options of its own, which is another error than an unknown one. */
static void change_error(int fd, int level)
{
	if (errno == ENOPROTOOPT && level != SOL_SOCKET && level != SOL_FERRY && is_ferry(fd))
		errno = EOPNOTSUPP;
}

EXPORT int getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	int ret = real()->getsockopt(fd, level, option, value, len);

	if (ret && errno == EOPNOTSUPP && level == SOL_SOCKET && own_option(option) >= 0 &&
	    is_ferry(fd))
		ret = real()->getsockopt(fd, SOL_FERRY, own_option(option), value, len);
	if (ret)
		change_error(fd, level);
	else if (level == SOL_SOCKET && option == SO_DOMAIN && *len == sizeof(int) &&
		 *(int *)value == AF_FERRY)
		*(int *)value = AF_UNIX;
	return ret;
}

EXPORT int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	int ret;

	/* A program may do without what AF_UNIX does not have; it need not know ours. */
	if (level == SOL_SOCKET && (option == SO_REUSEPORT || option == SO_ZEROCOPY) &&
	    is_ferry(fd)) {
		errno = EOPNOTSUPP;
		return -1;
	}
	ret = real()->setsockopt(fd, level, option, value, len);
	if (ret)
		change_error(fd, level);
	return ret;
}
