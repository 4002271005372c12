// SPDX-License-Identifier: GPL-2.0
/*
 * ferry(1): AF_FERRY from the command line.
 */
#include "ferry.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct command {
	const char *name;
	const char *full_name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "listen", "ferry listen", cmd_listen },
	{ "connect", "ferry connect", cmd_connect },
	{ "send", "ferry send", cmd_send },
	{ "recv", "ferry recv", cmd_recv },
	{ "ss", "ferry ss", cmd_ss },
	{ "doctor", "ferry doctor", cmd_doctor },
	{ "run", "ferry run", cmd_run },
	{ "bench", "ferry bench", cmd_bench },
};

static const char help[] =
"usage: ferry COMMAND [OPTIONS] [ADDRESS]\n"
"\n"
"  listen ADDR    wait for a connection and join it to standard input and output\n"
"  connect ADDR   the same at the other end\n"
"  send ADDR      send standard input, or a message, and end\n"
"  recv ADDR      receive it on standard output\n"
"  ss [NAME...]   show sockets: state, queues, names, and who has them\n"
"  run PROGRAM    run a program of AF_UNIX over AF_FERRY\n"
"  bench          measure AF_FERRY beside the other local transports\n"
"  doctor         tell what keeps AF_FERRY from working here, and the cure\n"
"\n"
"  ADDR is a service name of 1 to 108 bytes, or ferry://NODE/NAME with an IPv4\n"
"  address or an IPv6 address in brackets; \\xNN is any byte.\n"
"\n"
"  ferry COMMAND --help tells the options, ferry --version the version.\n"
"  More is in ferry(1); for programs there is af_ferry(7).\n"
"\n"
"  For example:   ferry listen --exec 'tr a-z A-Z' demo/upper &\n"
"                 echo hello | ferry connect --wait 5 demo/upper\n";

void (*sigpipe_before)(int signal);

/* So that no socket becomes a standard stream that was closed: its use fails. */
static void reserve_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_PATH);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
}

int main(int argc, char **argv)
{
	size_t i;

	reserve_streams();
	/* Reported where the write fails. */
	sigpipe_before = signal(SIGPIPE, SIG_IGN);
	/* Every subcommand begins its options with a colon and says itself what is wrong. */
	opterr = 0;
	if (argc < 2) {
		fputs(help, stderr);
		return FERRY_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		fputs(help, stdout);
		return output_end(FERRY_OK);
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("ferry " FERRY_VERSION);
		return output_end(FERRY_OK);
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		command_name = commands[i].full_name;
		return commands[i].run(argc - 1, argv + 1);
	}
	fail(FERRY_USAGE, "there is no %s '%s'; ferry --help lists what there is",
	     argv[1][0] == '-' ? "option" : "command", argv[1]);
}
