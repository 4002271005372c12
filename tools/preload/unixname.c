// SPDX-License-Identifier: GPL-2.0
/*
 * struct sockaddr_un as the kernel reads and writes it: a path ends with its
 * first NUL, an abstract name with the address.
 */
#include "preload.h"

#include <errno.h>
#include <string.h>

#define HEADER	offsetof(struct sockaddr_un, sun_path)

/**
 * unix_name_get() - read an address
 * @un: the name
 * @addr: address of AF_UNIX
 * @len: its length as the program gave it
 *
 * Return: 0, or -1 and EINVAL.
 */
int unix_name_get(struct unix_name *un, const struct sockaddr *addr, socklen_t len)
{
	if (len < HEADER || len > sizeof(struct sockaddr_un) || addr->sa_family != AF_UNIX) {
		errno = EINVAL;
		return -1;
	}
	un->len = len - HEADER;
	memcpy(un->bytes, (const char *)addr + HEADER, un->len);
	un->bytes[un->len] = '\0';
	if (un->bytes[0])
		un->len = strlen(un->bytes);
	return 0;
}

/* The address: its length counts the NUL of a path, also where that does not fit. */
static socklen_t fill(const struct unix_name *un, char *to, size_t size)
{
	const sa_family_t family = AF_UNIX;
	size_t len = un->len + is_path(un);

	memcpy(to, &family, size < HEADER ? size : HEADER);
	if (size > HEADER)
		memcpy(to + HEADER, un->bytes, size - HEADER < len ? size - HEADER : len);
	return HEADER + len;
}

/**
 * unix_name_put() - write an address to where the program wants it
 * @un: the name
 * @addr: where to
 * @len: in: room there; out: length of the address, which may be more
 */
void unix_name_put(const struct unix_name *un, struct sockaddr *addr, socklen_t *len)
{
	*len = fill(un, (char *)addr, *len);
}

/**
 * unix_name_sockaddr() - the address to give to the kernel
 * @un: the name
 * @sun: where to
 *
 * Return: its length; the NUL of the longest path is left out.
 */
socklen_t unix_name_sockaddr(const struct unix_name *un, struct sockaddr_un *sun)
{
	socklen_t len = fill(un, (char *)sun, sizeof(*sun));

	return len < sizeof(*sun) ? len : sizeof(*sun);
}
