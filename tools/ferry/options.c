// SPDX-License-Identifier: GPL-2.0
/*
 * Options: what all subcommands do alike with them.
 */
#include "ferry.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

/* An option that there is not; ':' when its value is missing. */
static noreturn void fail_option(int option, char **argv)
{
	if (option == ':')
		fail(FERRY_USAGE, "'%s' needs a value; see %s --help", argv[optind - 1],
		     command_name);
	fail(FERRY_USAGE, "there is no option '%s'; see %s --help", argv[optind - 1],
	     command_name);
}

/**
 * option_next() - the next option of a subcommand
 * @argc: the command line
 * @argv: the same
 * @syntax: its options
 * @e: takes those that several subcommands have, or NULL
 *
 * --help and what is wrong end the program.
 *
 * Return: one of the subcommand's own, whose value is in optarg; -1 at the end.
 */
int option_next(int argc, char **argv, const struct syntax *syntax, struct endpoint *e)
{
	int option;

	for (;;) {
		option = getopt_long(argc, argv, syntax->letters, syntax->options, NULL);
		switch (option) {
		case 'h':
			fputs(syntax->help, stdout);
			exit(output_end(FERRY_OK));
		case ':':
		case '?':
			fail_option(option, argv);
		}
		if (option < 0 || !e || !endpoint_option(e, option, optarg))
			return option;
	}
}
