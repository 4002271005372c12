// SPDX-License-Identifier: GPL-2.0
/*
 * The mode of a path is that of its name, too: chmod and fchmodat. Whoever changes
 * the mode has the socket, as a rule; only with it can that of the name be changed.
 */
#include "preload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

/* Is this descriptor bound to the file? */
static bool is_bound_to(int fd, const struct key *key)
{
	struct address own = { .len = sizeof(own.sa) };

	return !real()->getsockname(fd, (struct sockaddr *)&own.sa, &own.len) &&
	       own.sa.sfy_family == AF_FERRY && address_has_key(&own, key);
}

/* Any descriptor will do, as the mode is the name's. */
static void change_mode(int dirfd, const char *path, int mode)
{
	int err = errno, fd;
	struct dirent *entry;
	struct key key;
	DIR *dir;

	dir = key_of_path(dirfd, path, &key) ? NULL : opendir("/proc/self/fd");
	while (dir && (entry = readdir(dir))) {
		fd = atoi(entry->d_name);
		if (!is_bound_to(fd, &key))
			continue;
		real()->setsockopt(fd, SOL_FERRY, FERRY_MODE, &mode, sizeof(mode));
		break;
	}
	if (dir)
		closedir(dir);
	errno = err;
}

EXPORT int chmod(const char *path, mode_t mode)
{
	int ret = real()->chmod(path, mode);

	if (!ret)
		change_mode(AT_FDCWD, path, mode & 0777);
	return ret;
}

EXPORT int fchmodat(int dirfd, const char *path, mode_t mode, int flags)
{
	int ret = real()->fchmodat(dirfd, path, mode, flags);

	if (!ret)
		change_mode(dirfd, path, mode & 0777);
	return ret;
}
