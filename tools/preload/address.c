// SPDX-License-Identifier: GPL-2.0
/*
 * Names of AF_UNIX as names of AF_FERRY:
 *
 *	a path			unix:KEY:path, cut at FERRY_NAME_MAX
 *	an abstract name	the same bytes, which begin with a NUL
 *	ferry:NAME		NAME, whatever it is
 *
 * The key alone finds the socket of a path; the path is there for those who ask
 * for the address, as it was given to bind(2). The last line is for the names of
 * programs that use the family by itself, so that they can be answered.
 */
#include "preload.h"

#include <string.h>

static const char foreign[] = "ferry:";

#define FOREIGN_LEN	(sizeof(foreign) - 1)

static void set_name(struct address *addr, size_t len)
{
	addr->sa.sfy_family = AF_FERRY;
	addr->len = FERRY_ADDR_LEN(len);
}

/**
 * address_of_path() - the name that a socket of this file has
 * @addr: the result
 * @key: of the file
 * @un: the path that the socket is bound to
 */
void address_of_path(struct address *addr, const struct key *key, const struct unix_name *un)
{
	size_t len = un->len < FERRY_NAME_MAX - PATH_START ? un->len : FERRY_NAME_MAX - PATH_START;
	char *name = addr->sa.sfy_name;

	memset(addr, 0, sizeof(*addr));
	memcpy(name, PATH_PREFIX, PATH_PREFIX_LEN);
	memcpy(name + PATH_PREFIX_LEN, key->text, KEY_LEN);
	name[PATH_START - 1] = ':';
	memcpy(name + PATH_START, un->bytes, len);
	set_name(addr, PATH_START + len);
}

/* address_of_name() - the same of a name that no file stands for; false: it is a path */
bool address_of_name(struct address *addr, const struct unix_name *un)
{
	size_t skip = 0;

	if (is_path(un)) {
		if (un->len <= FOREIGN_LEN || memcmp(un->bytes, foreign, FOREIGN_LEN))
			return false;
		skip = FOREIGN_LEN;
	}
	memset(addr, 0, sizeof(*addr));
	memcpy(addr->sa.sfy_name, un->bytes + skip, un->len - skip);
	set_name(addr, un->len - skip);
	return true;
}

/* address_has_key() - is this a socket of the file? */
bool address_has_key(const struct address *addr, const struct key *key)
{
	const char *name = addr->sa.sfy_name;

	return addr->len >= FERRY_ADDR_LEN(PATH_START) &&
	       !memcmp(name, PATH_PREFIX, PATH_PREFIX_LEN) &&
	       !memcmp(name + PATH_PREFIX_LEN, key->text, KEY_LEN);
}

/**
 * address_to_unix() - what a program sees
 * @addr: address as the kernel gave it
 * @un: the name; none when there is none, or where it is too long to be shown
 */
void address_to_unix(const struct address *addr, struct unix_name *un)
{
	size_t len = addr->len > FERRY_ADDR_HDR ? addr->len - FERRY_ADDR_HDR : 0;
	size_t skip = 0, add = 0;

	memset(un, 0, sizeof(*un));
	if (!len || map_to_unix(addr, un))
		return;
	if (len >= PATH_START && !memcmp(addr->sa.sfy_name, PATH_PREFIX, PATH_PREFIX_LEN))
		skip = PATH_START;
	else if (addr->sa.sfy_name[0])
		add = FOREIGN_LEN;
	len -= skip;
	if (add + len >= sizeof(un->bytes))
		return;
	memcpy(un->bytes, foreign, add);
	memcpy(un->bytes + add, addr->sa.sfy_name + skip, len);
	un->len = add + len;
}
