// SPDX-License-Identifier: GPL-2.0
/*
 * ferry connect: a client on the command line.
 */
#include "ferry.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

static const char help[] =
"usage: ferry connect [OPTIONS] ADDR\n"
"\n"
"Connects to the name; sends standard input and writes what it receives to\n"
"standard output. The end of the input is passed on, and the other end can still\n"
"answer. A datagram socket knows no end: see --count.\n"
"\n"
"  -t, --type TYPE     stream (default), seqpacket or dgram\n"
"  -e, --exec CMD      the connection is standard input and output of a shell\n"
"                      command\n"
"  -c, --count N       end when so many messages came (seqpacket, dgram)\n"
"  -w, --wait SECONDS  wait so long for the name to be there\n"
"  -P, --pass FILE     send a descriptor of the file with the first message\n"
"  -s, --size BYTES    longest message that is made of input (32768)\n"
"  -T, --timestamps    print when each message was received\n"
"  -v, --verbose       say when it is connected\n";

static const struct option options[] = {
	OPT_TYPE, OPT_COUNT, OPT_WAIT, OPT_PASS, OPT_SIZE, OPT_TIMESTAMPS, OPT_VERBOSE, OPT_HELP,
	{ "exec", required_argument, NULL, 'e' },
	{}
};

static const struct syntax syntax = { ":t:e:c:w:P:s:Tvh", options, help };

int cmd_connect(int argc, char **argv)
{
	const char *command = NULL;
	struct endpoint e;
	pid_t pid;
	int fd;

	endpoint_init(&e);
	/* There is but one of its own. */
	while (option_next(argc, argv, &syntax, &e) != -1)
		command = optarg;
	endpoint_address(&e, argc - optind, argv + optind);
	if (e.count && e.type == SOCK_STREAM)
		fail(FERRY_USAGE, "a stream has no messages that --count could count");
	if (command && (e.passes || e.timestamps || e.count))
		fail(FERRY_USAGE, "--exec leaves all messages to the command: not with --%s",
		     e.passes ? "pass" : e.timestamps ? "timestamps" : "count");

	progress_start(!command, !command);
	fd = endpoint_connect(&e);
	if (command) {
		pid = transfer_exec(fd, command, &e, &e.addr);
		close(fd);
		return transfer_exec_wait(pid);
	}
	transfer_both(fd, &e);
	progress_end();
	return FERRY_OK;
}
