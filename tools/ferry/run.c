// SPDX-License-Identifier: GPL-2.0
/*
 * ferry run: a program of AF_UNIX over AF_FERRY, by the library of tools/preload.
 */
#include "ferry.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As env(1) and shells have it. */
#define CANNOT_RUN	126
#define NOT_FOUND	127

static const char library[] = "libferry-preload.so";

static const char help[] =
"usage: ferry run [OPTIONS] [--] PROGRAM [ARGUMENT...]\n"
"\n"
"Runs a program that knows nothing of AF_FERRY: its AF_UNIX sockets, and those\n"
"of the programs that it runs, are AF_FERRY sockets. What is different then, and\n"
"which programs it cannot reach, is told in ferry(1).\n"
"\n"
"  -m, --map PATH=ADDR   the path, or @ and an abstract name, means this address\n"
"                        of AF_FERRY; can be given again\n";

static const struct option options[] = {
	{ "map", required_argument, NULL, 'm' },
	OPT_HELP,
	{}
};

/* What follows the program are options of its own. */
static const struct syntax syntax = { "+:m:h", options, help };

static noreturn void fail_memory(void)
{
	fail_errno(ENOMEM, "cannot run a program");
}

/* A list in an environment variable becomes longer by one. */
static void add_to_environment(const char *name, char separator, const char *value)
{
	const char *old = getenv(name);
	char *list;

	if (!old || !*old)
		list = strdup(value);
	else if (asprintf(&list, "%s%c%s", old, separator, value) < 0)
		list = NULL;
	if (!list || setenv(name, list, 1))
		fail_memory();
	free(list);
}

/* --map: a line as tools/preload/map.c reads it. */
static void add_map(const char *text)
{
	const char *name = strchr(text, '='), *why;
	char directory[PATH_MAX] = "", *line, *to;
	struct address addr;
	socklen_t i;

	if (strchr(text, '\n'))
		fail(FERRY_USAGE, "--map: no path with a newline");
	if (!name || name == text)
		fail(FERRY_USAGE, "--map is PATH=ADDRESS, not '%s'", text);
	why = address_parse(name + 1, &addr);
	if (why)
		fail(FERRY_USAGE, "--map: '%s' is no address: %s", name + 1, why);
	if (addr.device[0])
		fail(FERRY_USAGE, "--map: '%s' has an interface, which only the program can choose",
		     name + 1);
	if (*text != '/' && *text != '@') {
		if (!getcwd(directory, sizeof(directory) - 1))
			fail_errno(errno, "--map: cannot tell which directory this is");
		if (directory[1])
			strcat(directory, "/");
		if (!strncmp(text, "./", 2))
			text += 2;
	}
	line = malloc(2 * addr.len + 1 + strlen(directory) + (name - text) + 1);
	if (!line)
		fail_memory();
	for (i = 0, to = line; i < addr.len; i++)
		to += sprintf(to, "%02x", ((const uint8_t *)&addr.sa)[i]);
	sprintf(to, "=%s%.*s", directory, (int)(name - text), text);
	add_to_environment("FERRY_RUN_MAP", '\n', line);
	free(line);
}

static void find_library(char path[PATH_MAX])
{
	find_own(library, path);
	if (strpbrk(path, " :"))
		fail(FERRY_ERROR, "the path of the library, %s, has a space or a colon", path);
}

/* The file that execvp(3) will find, or false. */
static bool find_program(const char *name, char path[PATH_MAX])
{
	const char *list = getenv("PATH") ?: "/bin:/usr/bin", *end;

	if (strchr(name, '/'))
		return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
	for (;; list = end + 1) {
		end = strchrnul(list, ':');
		if (snprintf(path, PATH_MAX, "%.*s/%s", (int)(end - list), list, name) < PATH_MAX &&
		    !access(path, X_OK))
			return true;
		if (!*end)
			return false;
	}
}

/* Why the dynamic linker will not load the library, or NULL. */
static const char *out_of_reach(const char *path)
{
	const char *why = NULL;
	struct stat st;
	Elf64_Phdr ph;
	Elf64_Ehdr eh;
	int fd, i;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st))
		st.st_mode = 0;
	if (((st.st_mode & S_ISUID) && st.st_uid != getuid()) ||
	    ((st.st_mode & S_ISGID) && st.st_gid != getgid())) {
		why = "changes its user or group ID";
	} else if (read(fd, &eh, sizeof(eh)) == sizeof(eh) &&
		   !memcmp(eh.e_ident, ELFMAG, SELFMAG)) {
		why = "is linked statically";
		if (eh.e_ident[EI_CLASS] != ELFCLASS64)
			why = "is of another word size";
		for (i = 0; i < eh.e_phnum && eh.e_ident[EI_CLASS] == ELFCLASS64; i++)
			if (pread(fd, &ph, sizeof(ph), eh.e_phoff + i * sizeof(ph)) == sizeof(ph) &&
			    ph.p_type == PT_INTERP)
				why = NULL;
	}
	close(fd);
	return why;
}

int cmd_run(int argc, char **argv)
{
	char path[PATH_MAX];
	const char *why;
	int option, err;

	while ((option = option_next(argc, argv, &syntax, NULL)) != -1)
		add_map(optarg);
	argv += optind;
	if (!*argv)
		fail(FERRY_USAGE, "a program is missing; see ferry run --help");
	close(endpoint_socket(SOCK_STREAM));

	why = find_program(*argv, path) ? out_of_reach(path) : NULL;
	if (why)
		fail(CANNOT_RUN, "%s %s: its sockets would stay AF_UNIX ones", path, why);
	find_library(path);
	add_to_environment("LD_PRELOAD", ':', path);
	signal(SIGPIPE, sigpipe_before);
	execvp(*argv, argv);
	err = errno;
	signal(SIGPIPE, SIG_IGN);
	fail(err == ENOENT ? NOT_FOUND : CANNOT_RUN, "cannot run %s: %s", *argv, strerror(err));
}
