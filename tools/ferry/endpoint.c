// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets as the command line wants them, and what it means when the kernel
 * refuses: the error says where to look.
 */
#include "ferry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Bytes of a message that is cut from the input: fits into default buffers. */
#define DEFAULT_SIZE	32768

static const struct {
	const char *name;
	int type;
} types[] = {
	{ "stream", SOCK_STREAM },
	{ "seqpacket", SOCK_SEQPACKET },
	{ "dgram", SOCK_DGRAM },
};

/* type_text() - the name of a socket type */
const char *type_text(int type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].type == type)
			return types[i].name;
	return "unknown";
}

/* type_parse() - a socket type by its name; false: there is none */
bool type_parse(const char *text, int *type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		if (strcmp(types[i].name, text))
			continue;
		*type = types[i].type;
		return true;
	}
	return false;
}

static uint64_t parse_number(const char *what, const char *text, int base, uint64_t min,
			     uint64_t max)
{
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, base);
	if (errno || end == text || *end || *text == '-' || value < min || value > max)
		fail(FERRY_USAGE, base == 8 ? "%s is an octal number from %llo to %llo, not '%s'" :
		     "%s is a number from %llu to %llu, not '%s'", what,
		     (unsigned long long)min, (unsigned long long)max, text);
	return value;
}

static double parse_seconds(const char *what, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0 && value < 1e9))
		fail(FERRY_USAGE, "%s is a number of seconds, not '%s'", what, text);
	return value;
}

/* endpoint_init() - before any option */
void endpoint_init(struct endpoint *e)
{
	memset(e, 0, sizeof(*e));
	e->type = SOCK_STREAM;
	e->mode = -1;
	e->size = DEFAULT_SIZE;
}

/**
 * endpoint_option() - an option that several subcommands have
 * @e: endpoint
 * @option: what getopt_long() found, see OPT_TYPE and those after it
 * @value: its argument
 *
 * Return: false when it is none of them.
 */
bool endpoint_option(struct endpoint *e, int option, const char *value)
{
	switch (option) {
	case 't':
		if (!type_parse(value, &e->type))
			fail(FERRY_USAGE, "--type is stream, seqpacket or dgram, not '%s'", value);
		return true;
	case 'm':
		e->mode = parse_number("--mode", value, 8, 0, 0777);
		return true;
	case 'r':
		e->reuseport = true;
		return true;
	case 'T':
		e->timestamps = true;
		return true;
	case 'v':
		e->verbose = true;
		return true;
	case 'c':
		e->count = parse_number("--count", value, 10, 1, INT64_MAX);
		return true;
	case 's':
		e->size = parse_number("--size", value, 10, 1, 1 << 30);
		return true;
	case 'w':
		e->wait = parse_seconds("--wait", value);
		return true;
	case 'P':
		e->pass = reallocarray(e->pass, e->passes + 1, sizeof(*e->pass));
		if (!e->pass)
			fail_errno(ENOMEM, "--pass");
		e->pass[e->passes++] = value;
		return true;
	}
	return false;
}

/* endpoint_address() - the one argument that is left is the address */
void endpoint_address(struct endpoint *e, int argc, char **argv)
{
	const char *why;

	if (argc < 1)
		fail(FERRY_USAGE, "an address is missing; see %s --help", command_name);
	if (argc > 1)
		fail(FERRY_USAGE, "one address is enough: '%s' is left over", argv[1]);
	why = address_parse(argv[0], &e->addr);
	if (why)
		fail(FERRY_USAGE, "'%s' is no address: %s", argv[0], why);
	address_text(&e->addr, e->text);
	e->broadcast = e->type == SOCK_DGRAM && e->addr.sa.sfy_scope == FERRY_SCOPE_NETWORK &&
		       e->addr.sa.sfy_node[0] == 0xff;
}

static void set_option(int fd, int level, int option, int value, const char *what)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		fail_errno(errno, "cannot set %s", what);
}

/* endpoint_socket() - a socket that has nothing yet */
int endpoint_socket(int type)
{
	int fd = socket(AF_FERRY, type | SOCK_CLOEXEC, 0);

	if (fd < 0 && errno == EAFNOSUPPORT)
		fail(FERRY_NO_MODULE,
		     "this kernel has no AF_FERRY; 'ferry doctor' tells what is missing");
	if (fd < 0)
		fail_errno(errno, "cannot make a socket");
	return fd;
}

static int open_socket(const struct endpoint *e)
{
	const char *device = e->addr.device;
	int fd = endpoint_socket(e->type);

	if (*device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device)))
		fail_errno(errno, "cannot use the network interface '%s'", device);
	if (e->timestamps)
		set_option(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS");
	if (e->broadcast)
		set_option(fd, SOL_SOCKET, SO_BROADCAST, 1, "SO_BROADCAST");
	return fd;
}

static void bind_failed(const struct endpoint *e, int err)
{
	switch (err) {
	case EADDRINUSE:
		fail(FERRY_ERROR, "%s is in use; 'ferry ss -p' shows by whom%s", e->text,
		     e->reuseport ? ", all of whom must have --reuseport" : "");
	case EACCES:
		fail(FERRY_DENIED,
		     "%s: names that begin with system/ need CAP_NET_BIND_SERVICE", e->text);
	case EADDRNOTAVAIL:
		fail(FERRY_ERROR, "%s: the node is no address of this host", e->text);
	default:
		fail_errno(err, "cannot bind %s", e->text);
	}
}

/**
 * endpoint_bind() - the socket of a service
 * @e: endpoint
 *
 * Return: it, bound, and listening unless its type has no connections.
 */
int endpoint_bind(const struct endpoint *e)
{
	int fd = open_socket(e);
	mode_t mask = 0;

	if (e->reuseport)
		set_option(fd, SOL_FERRY, FERRY_REUSEPORT, 1, "FERRY_REUSEPORT");
	/* There is no moment at which the name has more rights than are wanted. */
	if (e->mode >= 0)
		mask = umask(0777);
	if (bind(fd, (const struct sockaddr *)&e->addr.sa, e->addr.len))
		bind_failed(e, errno);
	if (e->mode >= 0) {
		umask(mask);
		set_option(fd, SOL_FERRY, FERRY_MODE, e->mode, "FERRY_MODE");
	}
	if (e->type != SOCK_DGRAM && listen(fd, SOMAXCONN)) {
		if (errno == EADDRINUSE)
			bind_failed(e, errno);
		fail_errno(errno, "cannot listen on %s", e->text);
	}
	if (e->verbose)
		note("%s on %s", e->type == SOCK_DGRAM ? "receiving" : "listening", e->text);
	return fd;
}

/**
 * endpoint_accept() - the next connection
 * @e: endpoint
 * @listener: its socket
 * @peer: the address of who connected
 *
 * Return: the connection.
 */
int endpoint_accept(const struct endpoint *e, int listener, struct address *peer)
{
	char text[ADDRESS_TEXT_SIZE];
	int fd;

	memset(peer, 0, sizeof(*peer));
	peer->len = sizeof(peer->sa);
	fd = accept4(listener, (struct sockaddr *)&peer->sa, &peer->len, SOCK_CLOEXEC);
	if (fd < 0)
		fail_errno(errno, "cannot accept a connection");
	if (e->verbose)
		note("a connection from %s",
		     *address_text(peer, text) ? text : "a socket without a name");
	return fd;
}

/* Whether two names are the same but for NUL bytes at the end of the first. */
static bool same_but_nul(const struct address *bound, const struct address *addr)
{
	size_t tail = address_nul_tail(bound);

	return tail && bound->len - tail == addr->len &&
	       !memcmp(bound->sa.sfy_name, addr->sa.sfy_name, addr->len - FERRY_ADDR_HDR);
}

static bool same_name(const struct address *a, const struct address *b)
{
	return a->len == b->len &&
	       !memcmp(a->sa.sfy_name, b->sa.sfy_name, a->len - FERRY_ADDR_HDR);
}

/*
 * Nobody is there. The commonest reason that a program finds nobody although
 * the other one runs is a name that was bound with the length of the structure.
 */
static void explain_nobody(const struct endpoint *e)
{
	struct sock_list list;
	size_t i;

	if (sock_list_get(&list))
		list.n = 0;
	for (i = 0; i < list.n; i++) {
		const struct sock_info *s = &list.socks[i];

		if (s->type != e->type && same_name(&s->name, &e->addr))
			fail(FERRY_NOBODY, "%s is not of this type; try --type %s", e->text,
			     type_text(s->type));
		if (s->type == e->type && same_but_nul(&s->name, &e->addr))
			fail(FERRY_NOBODY,
			     "nobody is at %s, but at that name and %zu NUL bytes: see 'ferry doctor'",
			     e->text, address_nul_tail(&s->name));
	}
	fail(FERRY_NOBODY, "nobody is at %s (%s); 'ferry ss' lists the names there are", e->text,
	     type_text(e->type));
}

static void connect_failed(const struct endpoint *e, int err)
{
	switch (err) {
	case ECONNREFUSED:
	case EPROTOTYPE:
		explain_nobody(e);
		break;
	case EACCES:
		fail(FERRY_DENIED,
		     "%s does not let you in: 'ferry ss -e' shows its mode", e->text);
	case EPERM:
		fail(FERRY_DENIED, "%s is connected to somebody else", e->text);
	case ENETUNREACH:
		fail(FERRY_ERROR, "%s: there is no way to that node; see 'ferry doctor'", e->text);
	default:
		fail_errno(err, "cannot connect to %s", e->text);
	}
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/**
 * endpoint_connect() - a socket that is connected to the service
 * @e: endpoint
 *
 * A datagram socket gets a made-up name, so that it can be answered. One for
 * broadcasts is not connected.
 *
 * Return: it.
 */
int endpoint_connect(const struct endpoint *e)
{
	static const struct timespec pause = { .tv_nsec = 20000000 };
	const struct sockaddr_ferry unnamed = { .sfy_family = AF_FERRY };
	double end = now() + e->wait;
	int fd = open_socket(e);

	if (e->type == SOCK_DGRAM &&
	    bind(fd, (const struct sockaddr *)&unnamed, FERRY_ADDR_HDR))
		fail_errno(errno, "cannot get a name to be answered at");
	if (e->broadcast)
		return fd;
	while (connect(fd, (const struct sockaddr *)&e->addr.sa, e->addr.len)) {
		/* Nothing tells that a name appears, so look now and then. */
		if ((errno != ECONNREFUSED && errno != EPROTOTYPE) || now() >= end)
			connect_failed(e, errno);
		nanosleep(&pause, NULL);
	}
	if (e->verbose)
		note("connected to %s", e->text);
	return fd;
}
