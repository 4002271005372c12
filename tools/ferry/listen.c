// SPDX-License-Identifier: GPL-2.0
/*
 * ferry listen: a service on the command line.
 */
#include "ferry.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

static const char help[] =
"usage: ferry listen [OPTIONS] ADDR\n"
"\n"
"Waits for a connection to the name; sends it standard input and writes what it\n"
"receives to standard output. A datagram socket answers who has sent last.\n"
"\n"
"  -t, --type TYPE     stream (default), seqpacket or dgram\n"
"  -e, --exec CMD      the connection is standard input and output of a shell\n"
"                      command, which finds both names in FERRY_NAME, FERRY_PEER\n"
"  -k, --keep          accept again and again; with --exec each connection gets\n"
"                      its own command at once, else they wait for each other\n"
"                      and no input is read\n"
"  -m, --mode MODE     access mode of the name, as 0666; others need write in it\n"
"  -r, --reuseport     share the name with others that say so too\n"
"  -P, --pass FILE     send a descriptor of the file with the first message\n"
"  -s, --size BYTES    longest message that is made of input (32768)\n"
"  -T, --timestamps    print when each message was received\n"
"  -v, --verbose       say when it listens, and who connects\n";

static const struct option options[] = {
	OPT_TYPE, OPT_MODE, OPT_REUSEPORT, OPT_PASS, OPT_SIZE, OPT_TIMESTAMPS, OPT_VERBOSE,
	OPT_HELP,
	{ "exec", required_argument, NULL, 'e' },
	{ "keep", no_argument, NULL, 'k' },
	{}
};

static const struct syntax syntax = { ":t:e:km:rP:s:Tvh", options, help };

/* Connections one after the other, each with a command or to standard output. */
static void serve(const struct endpoint *e, int listener, const char *command)
{
	struct address peer;
	int fd;

	/* Nobody asks how the commands ended. */
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		fd = endpoint_accept(e, listener, &peer);
		if (command)
			transfer_exec(fd, command, e, &peer);
		else
			transfer_receive(fd, e, 0);
		close(fd);
	}
}

int cmd_listen(int argc, char **argv)
{
	const char *command = NULL;
	struct address peer;
	struct endpoint e;
	bool keep = false;
	int option, fd, listener;
	pid_t pid;

	endpoint_init(&e);
	while ((option = option_next(argc, argv, &syntax, &e)) != -1) {
		switch (option) {
		case 'e':
			command = optarg;
			break;
		case 'k':
			keep = true;
			break;
		}
	}
	endpoint_address(&e, argc - optind, argv + optind);
	if (command && e.type == SOCK_DGRAM)
		fail(FERRY_USAGE, "a datagram socket has no connections that --exec could serve");
	if (command && (e.passes || e.timestamps))
		fail(FERRY_USAGE, "--exec leaves all messages to the command: not with --%s",
		     e.passes ? "pass" : "timestamps");
	if (keep && e.passes)
		fail(FERRY_USAGE, "--keep sends nothing that a descriptor could go with");

	progress_start(!keep && !command, !command);
	listener = endpoint_bind(&e);
	if (e.type == SOCK_DGRAM && keep) {
		transfer_receive(listener, &e, 0);
	} else if (e.type == SOCK_DGRAM) {
		transfer_both(listener, &e);
	} else if (keep) {
		serve(&e, listener, command);
	} else {
		fd = endpoint_accept(&e, listener, &peer);
		/* Who comes now is told that nobody is there. */
		close(listener);
		if (command) {
			pid = transfer_exec(fd, command, &e, &peer);
			close(fd);
			return transfer_exec_wait(pid);
		}
		transfer_both(fd, &e);
	}
	progress_end();
	return FERRY_OK;
}
