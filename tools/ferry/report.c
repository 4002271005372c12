// SPDX-License-Identifier: GPL-2.0
/*
 * What is said on standard error: one line each, which begins with the command
 * and says what can be done about it.
 */
#include "ferry.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *command_name = "ferry";

/* In one write, so that lines of several processes do not mix; progress waits. */
static void say(const char *format, va_list args, const char *reason)
{
	char line[2048];
	size_t n;

	progress_pause();
	n = snprintf(line, sizeof(line), "%s: ", command_name);
	n += vsnprintf(line + n, sizeof(line) - n, format, args);
	if (n < sizeof(line) && reason)
		n += snprintf(line + n, sizeof(line) - n, ": %s", reason);
	if (n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	/* Nobody is left to be told that this fails. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

/* note() - a line that is no error */
void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args, NULL);
	va_end(args);
	progress_resume();
}

/* fail() - a line, and the end */
void fail(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args, NULL);
	va_end(args);
	exit(status);
}

/* fail_errno() - the same with the reason, from which the status follows */
void fail_errno(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args, strerror(err));
	va_end(args);
	exit(err == EACCES || err == EPERM ? FERRY_DENIED : FERRY_ERROR);
}

/**
 * output_end() - the end of what went to stdout
 * @status: of the command so far
 *
 * Return: @status; does not when not all could be written.
 */
int output_end(int status)
{
	if (fflush(stdout) || ferror(stdout))
		fail_errno(errno, "cannot write to standard output");
	return status;
}
