// SPDX-License-Identifier: GPL-2.0
/* Files that belong to the command. */
#include "ferry.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/**
 * find_own() - a file that comes with the command
 * @name: its name
 * @path: the result: beside the command, as it is built, or where it is installed
 *
 * Ends the program when there is none.
 */
void find_own(const char *name, char path[PATH_MAX])
{
	static const char *const places[] = { "", "../bench/", "../lib/ferry/" };
	char self[PATH_MAX], *end;
	ssize_t n;
	size_t i;

	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n < 0 ? 0 : n] = '\0';
	end = strrchr(self, '/');
	for (i = 0; end && i < ARRAY_SIZE(places); i++) {
		n = snprintf(path, PATH_MAX, "%.*s%s%s", (int)(end + 1 - self), self, places[i],
			     name);
		if (n < PATH_MAX && !access(path, R_OK))
			return;
	}
	fail(FERRY_ERROR, "%s is neither beside this command nor in ../lib/ferry", name);
}
