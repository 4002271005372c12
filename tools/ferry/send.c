// SPDX-License-Identifier: GPL-2.0
/*
 * ferry send: messages or a file, and the end.
 */
#include "ferry.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
"usage: ferry send [OPTIONS] ADDR\n"
"\n"
"Sends standard input to the name, or each --message, and ends when all of it is\n"
"in the receiver's queue. On seqpacket and dgram the input is cut into messages.\n"
"To ferry://[ff01::1]/NAME it is a broadcast.\n"
"\n"
"  -t, --type TYPE     stream (default), seqpacket or dgram\n"
"  -M, --message TEXT  send this, and no input; can be given again\n"
"  -w, --wait SECONDS  wait so long for the name to be there\n"
"  -P, --pass FILE     send a descriptor of the file with the first message\n"
"  -s, --size BYTES    longest message that is made of input (32768)\n"
"  -v, --verbose       say when it is connected\n";

static const struct option options[] = {
	OPT_TYPE, OPT_WAIT, OPT_PASS, OPT_SIZE, OPT_VERBOSE, OPT_HELP,
	{ "message", required_argument, NULL, 'M' },
	{}
};

static const struct syntax syntax = { ":t:M:w:P:s:vh", options, help };

/* An empty input is an empty message, where there are messages. */
static void send_input(int fd, const struct endpoint *e)
{
	struct message m;
	bool first = true;
	size_t n;

	message_init(&m, e->size);
	while ((n = input_read(m.data, e->size, true))) {
		message_send(fd, e, NULL, m.data, n, first);
		first = false;
	}
	if (first)
		message_send(fd, e, NULL, m.data, 0, true);
	message_free(&m);
}

int cmd_send(int argc, char **argv)
{
	const char **messages = NULL;
	size_t n_messages = 0, i;
	struct endpoint e;
	int fd;

	endpoint_init(&e);
	/* There is but one of its own. */
	while (option_next(argc, argv, &syntax, &e) != -1) {
		messages = reallocarray(messages, n_messages + 1, sizeof(*messages));
		if (!messages)
			fail(FERRY_ERROR, "no memory for so many messages");
		messages[n_messages++] = optarg;
	}
	endpoint_address(&e, argc - optind, argv + optind);

	progress_start(!n_messages, false);
	fd = endpoint_connect(&e);
	for (i = 0; i < n_messages; i++)
		message_send(fd, &e, NULL, messages[i], strlen(messages[i]), i == 0);
	if (!n_messages)
		send_input(fd, &e);
	close(fd);
	free(messages);
	progress_end();
	return FERRY_OK;
}
