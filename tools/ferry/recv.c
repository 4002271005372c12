// SPDX-License-Identifier: GPL-2.0
/*
 * ferry recv: messages or a file from whoever sends to a name.
 */
#include "ferry.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

static const char help[] =
"usage: ferry recv [OPTIONS] ADDR\n"
"\n"
"Waits for a connection to the name and writes what it receives to standard\n"
"output, to the end of the connection. Of dgram it takes one message.\n"
"\n"
"  -t, --type TYPE     stream (default), seqpacket or dgram\n"
"  -c, --count N       end after so many messages (seqpacket, dgram) or\n"
"                      connections, one after the other (stream)\n"
"  -m, --mode MODE     access mode of the name, as 0666; others need write in it\n"
"  -r, --reuseport     share the name with others that say so too\n"
"  -T, --timestamps    print when each message was received\n"
"  -v, --verbose       say when it listens, and who connects\n";

static const struct option options[] = {
	OPT_TYPE, OPT_COUNT, OPT_MODE, OPT_REUSEPORT, OPT_TIMESTAMPS, OPT_VERBOSE, OPT_HELP,
	{}
};

static const struct syntax syntax = { ":t:c:m:rTvh", options, help };

static void receive_connection(const struct endpoint *e, int listener, uint64_t count)
{
	struct address peer;
	uint64_t n;
	int fd;

	fd = endpoint_accept(e, listener, &peer);
	n = transfer_receive(fd, e, count);
	if (n < count)
		fail(FERRY_ERROR, "the other end closed after %llu of %llu messages",
		     (unsigned long long)n, (unsigned long long)count);
	close(fd);
}

int cmd_recv(int argc, char **argv)
{
	struct endpoint e;
	uint64_t i;
	int fd;

	endpoint_init(&e);
	option_next(argc, argv, &syntax, &e);
	endpoint_address(&e, argc - optind, argv + optind);

	progress_start(false, true);
	fd = endpoint_bind(&e);
	switch (e.type) {
	case SOCK_STREAM:
		for (i = 0; i < (e.count ?: 1); i++)
			receive_connection(&e, fd, 0);
		break;
	case SOCK_SEQPACKET:
		receive_connection(&e, fd, e.count);
		break;
	default:
		transfer_receive(fd, &e, e.count ?: 1);
		break;
	}
	progress_end();
	return FERRY_OK;
}
