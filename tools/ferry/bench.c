// SPDX-License-Identifier: GPL-2.0
/* ferry bench: the program of tools/bench. */
#include "ferry.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

int cmd_bench(int argc, char **argv)
{
	char path[PATH_MAX];

	(void)argc;
	find_own("ferry-bench", path);
	argv[0] = "ferry bench";
	signal(SIGPIPE, sigpipe_before);
	execv(path, argv);
	fail_errno(errno, "cannot run %s", path);
}
