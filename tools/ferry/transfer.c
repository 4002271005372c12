// SPDX-License-Identifier: GPL-2.0
/*
 * Between a socket and the standard streams, or a program's.
 *
 * Each direction has a thread of its own and may wait as long as it likes: the
 * streams are not made non-blocking, others have them too.
 */
#include "ferry.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* One end of a conversation whose input is sent by a thread. */
struct conversation {
	int fd;
	const struct endpoint *e;
	/* A bound datagram socket answers who has spoken last. */
	bool answers;
	/* Input is taken that is not sent yet. */
	atomic_bool sending;
	pthread_mutex_t lock;
	pthread_cond_t spoken;
	struct address peer;
};

/**
 * input_read() - bytes of standard input
 * @data: where to
 * @size: how many at most
 * @full: wait for all of them instead of taking what there is
 *
 * Return: how many; 0 at the end.
 */
size_t input_read(void *data, size_t size, bool full)
{
	size_t have = 0;
	ssize_t n;

	do {
		n = read(STDIN_FILENO, (char *)data + have, size - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			fail_errno(errno, "cannot read standard input");
		have += n;
	} while (n < 0 || (full && n && have < size));
	return have;
}

/* Until there is some, or its end. */
static void input_wait(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

	while (poll(&in, 1, -1) < 0 && errno == EINTR)
		;
}

static void output_write(const void *data, size_t len)
{
	const char *path;
	ssize_t n;

	while (len) {
		n = write(STDOUT_FILENO, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EPIPE)
			fail(FERRY_ERROR, "standard output was closed by its reader");
		if (n < 0) {
			int err = errno;

			path = output_file();
			fail_errno(err, "cannot write to %s, which is incomplete",
				   path ?: "standard output");
		}
		data = (const char *)data + n;
		len -= n;
		progress_received(n);
	}
}

/* Who is to be answered, once somebody is. */
static const struct address *wait_for_peer(struct conversation *c, struct address *peer)
{
	if (!c->answers)
		return NULL;
	pthread_mutex_lock(&c->lock);
	while (!c->peer.len)
		pthread_cond_wait(&c->spoken, &c->lock);
	*peer = c->peer;
	pthread_mutex_unlock(&c->lock);
	return peer;
}

static void *send_input(void *arg)
{
	struct conversation *c = arg;
	struct address peer;
	struct message m;
	bool first = true;
	size_t n;

	message_init(&m, c->e->size);
	for (;;) {
		input_wait();
		/* Before it is taken: what is not taken nobody misses. */
		c->sending = true;
		n = input_read(m.data, c->e->size, false);
		if (!n)
			break;
		message_send(c->fd, c->e, wait_for_peer(c, &peer), m.data, n, first);
		c->sending = false;
		first = false;
	}
	if (first && c->e->passes)
		fail(FERRY_ERROR, "the input is empty: there is no message for %s to go with",
		     c->e->pass[0]);
	message_free(&m);
	/* The other end may be gone already. */
	if (c->e->type != SOCK_DGRAM)
		shutdown(c->fd, SHUT_WR);
	return NULL;
}

static void remember_peer(struct conversation *c, const struct address *from)
{
	if (!c->answers || !from->len)
		return;
	pthread_mutex_lock(&c->lock);
	c->peer = *from;
	pthread_cond_signal(&c->spoken);
	pthread_mutex_unlock(&c->lock);
}

/* Receives to the end, or @count messages. Returns how many there were. */
static uint64_t receive(struct conversation *c, uint64_t count)
{
	struct message m;
	uint64_t n = 0;

	message_init(&m, 0);
	while ((!count || n < count) && message_receive(c->fd, c->e, &m)) {
		output_write(m.data, m.len);
		/* Who has the answer knows that the question has come through. */
		remember_peer(c, &m.from);
		n++;
	}
	message_free(&m);
	return n;
}

/**
 * transfer_both() - join a socket to standard input and output
 * @fd: socket, connected or a bound datagram socket
 * @e: endpoint; its count of messages ends it
 *
 * The end of the input is the end of what is sent, not of what is received; it
 * is over when both are, or when the other end has closed.
 */
void transfer_both(int fd, const struct endpoint *e)
{
	/* Not on a stack: the thread may outlive this call, until the program ends. */
	static struct endpoint own;
	static struct conversation c = {
		.e = &own,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.spoken = PTHREAD_COND_INITIALIZER,
	};
	struct sockaddr_ferry peer;
	socklen_t len = sizeof(peer);
	struct pollfd closed = { .fd = fd };
	pthread_t sender;
	int err;

	own = *e;
	c.fd = fd;
	c.answers = e->type == SOCK_DGRAM && !e->broadcast &&
		    getpeername(fd, (struct sockaddr *)&peer, &len);
	err = pthread_create(&sender, NULL, send_input, &c);
	if (err)
		fail_errno(err, "cannot start a thread");
	receive(&c, e->count);
	/* What was asked for is there, whatever the input still has. */
	if (e->count)
		return;
	/* POLLHUP: nothing comes any more, and nothing can be sent. */
	while (poll(&closed, 1, -1) < 0 && errno == EINTR)
		;
	/* It fails, and says so. */
	if (c.sending)
		pthread_join(sender, NULL);
}

/**
 * transfer_receive() - what a socket receives goes to standard output
 * @fd: socket
 * @e: endpoint
 * @count: how many messages, 0 to the end
 *
 * Return: how many there were.
 */
uint64_t transfer_receive(int fd, const struct endpoint *e, uint64_t count)
{
	struct conversation c = { .fd = fd, .e = e };

	return receive(&c, count);
}

/* The environment of a program: ours, and who is at the other end. */
static char **make_environment(const struct endpoint *e, const struct address *peer)
{
	static char name[ADDRESS_TEXT_SIZE + 16], from[ADDRESS_TEXT_SIZE + 16];
	char text[ADDRESS_TEXT_SIZE];
	size_t n = 0, i, out = 0;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + 3, sizeof(*env));
	if (!env)
		fail_errno(ENOMEM, "no memory for a command");
	for (i = 0; i < n; i++)
		if (strncmp(environ[i], "FERRY_NAME=", 11) &&
		    strncmp(environ[i], "FERRY_PEER=", 11))
			env[out++] = environ[i];
	snprintf(name, sizeof(name), "FERRY_NAME=%s", e->text);
	snprintf(from, sizeof(from), "FERRY_PEER=%s", address_text(peer, text));
	env[out++] = name;
	env[out++] = from;
	return env;
}

/**
 * transfer_exec() - a shell command whose standard input and output is a socket
 * @fd: socket
 * @command: for sh -c
 * @e: endpoint
 * @peer: the address of the other end
 *
 * Return: its process.
 */
pid_t transfer_exec(int fd, const char *command, const struct endpoint *e,
		    const struct address *peer)
{
	char *argv[4] = { "sh", "-c", (char *)command };
	char **env = make_environment(e, peer);
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t defaults;
	pid_t pid;
	int err;

	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	sigaddset(&defaults, SIGCHLD);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, fd, STDOUT_FILENO);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setsigmask(&attr, progress_old_mask());
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	err = posix_spawn(&pid, "/bin/sh", &files, &attr, argv, env);
	if (err)
		fail_errno(err, "cannot run a shell");
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	free(env);
	return pid;
}

/* transfer_exec_wait() - the exit status of such a command, as a shell tells it */
int transfer_exec_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fail_errno(errno, "cannot wait for the command");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
