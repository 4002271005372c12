// SPDX-License-Identifier: GPL-2.0
/*
 * What tells one socket file from all others: device, inode, and the time it was
 * made, since inodes are used again. It is the same by whatever path, link or
 * mount the file is reached, stays so when it is renamed, and that of another file
 * when somebody has replaced it.
 */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

/* FNV-1a, by bytes. */
static uint64_t hash(uint64_t h, uint64_t value)
{
	int i;

	for (i = 0; i < 8; i++, value >>= 8)
		h = (h ^ (value & 0xff)) * 0x100000001b3;
	return h;
}

/**
 * key_of_path() - the key of a socket file
 * @dirfd: as for statx(2)
 * @path: as for statx(2); symbolic links are followed
 * @key: the result
 *
 * Return: 0, or -1 with the errno of connect(2): ECONNREFUSED when the file is no
 * socket.
 */
int key_of_path(int dirfd, const char *path, struct key *key)
{
	static const char digits[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
	uint64_t h = 0xcbf29ce484222325;
	struct statx st;
	int i;

	if (statx(dirfd, path, 0, STATX_TYPE | STATX_INO | STATX_UID | STATX_BTIME, &st))
		return -1;
	if (!S_ISSOCK(st.stx_mode)) {
		errno = ECONNREFUSED;
		return -1;
	}
	h = hash(h, makedev(st.stx_dev_major, st.stx_dev_minor));
	h = hash(h, st.stx_ino);
	if (st.stx_mask & STATX_BTIME) {
		h = hash(h, st.stx_btime.tv_sec);
		h = hash(h, st.stx_btime.tv_nsec);
	}
	for (i = 0; i < KEY_LEN; i++, h >>= 6)
		key->text[i] = digits[h & 63];
	key->owner = st.stx_uid;
	return 0;
}
