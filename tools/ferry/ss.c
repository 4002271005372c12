// SPDX-License-Identifier: GPL-2.0
/*
 * ferry ss: the sockets of the namespace, in the manner of ss(8).
 */
#include "ferry.h"

#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

static const char help[] =
"usage: ferry ss [OPTIONS] [NAME...]\n"
"\n"
"Shows the AF_FERRY sockets of the network namespace, or those with such a name\n"
"at either end; * and ? in a NAME stand for any text and any character.\n"
"\n"
"  -l, --listening     only those that wait for connections\n"
"  -S, --state STATE   only those that are listening, connecting, established,\n"
"                      unaccepted or unconnected; can be given again\n"
"  -t, --type TYPE     only stream, seqpacket or dgram; can be given again\n"
"  -e, --extended      owner, mode of the name, cookie, and open directions\n"
"  -m, --memory        memory and messages lost, as ss(8) shows them\n"
"  -p, --processes     who has them\n"
"  -o, --options       scope of the name, and messages lost\n"
"  -H, --no-header     no first line\n"
"  -j, --json          all of it as JSON\n"
"  -w, --watch[=SECONDS]  again and again\n";

static const struct option options[] = {
	{ "listening", no_argument, NULL, 'l' },
	{ "state", required_argument, NULL, 'S' },
	OPT_TYPE,
	{ "extended", no_argument, NULL, 'e' },
	{ "memory", no_argument, NULL, 'm' },
	{ "processes", no_argument, NULL, 'p' },
	{ "options", no_argument, NULL, 'o' },
	{ "no-header", no_argument, NULL, 'H' },
	{ "json", no_argument, NULL, 'j' },
	{ "watch", optional_argument, NULL, 'w' },
	OPT_HELP,
	{}
};

static const struct syntax syntax = { ":lS:t:empoHjw::h", options, help };

enum { LISTENING, CONNECTING, ESTABLISHED, UNACCEPTED, UNCONNECTED };

/* The words of --state and of JSON, and those of ss(8). */
static const struct {
	const char *name;
	const char *shown;
} states[] = {
	[LISTENING]	= { "listening", "LISTEN" },
	[CONNECTING]	= { "connecting", "SYN-SENT" },
	[ESTABLISHED]	= { "established", "ESTAB" },
	[UNACCEPTED]	= { "unaccepted", "UNACC" },
	[UNCONNECTED]	= { "unconnected", "UNCONN" },
};

/* What is shown of which sockets. */
struct view {
	unsigned int states;	/* bits, 0 for any */
	unsigned int types;	/* the same */
	char **names;
	int n_names;
	bool extended;
	bool memory;
	bool processes;
	bool options;
	bool header;
	bool json;
};

enum { TYPE, STATE, RECV_Q, SEND_Q, LOCAL, INODE, PEER, PEER_INODE, MORE, COLUMNS };

static const struct {
	const char *title;
	bool right;
} columns[] = {
	[TYPE]		= { "Type" },
	[STATE]		= { "State" },
	[RECV_Q]	= { "Recv-Q", true },
	[SEND_Q]	= { "Send-Q", true },
	[LOCAL]		= { "Local Name", true },
	[INODE]		= { "Inode" },
	[PEER]		= { "Peer Name", true },
	[PEER_INODE]	= { "Inode" },
	[MORE]		= { "Process" },
};

struct row {
	char *cell[COLUMNS];
};

static int state_of(const struct sock_info *s)
{
	switch (s->state) {
	case TCP_LISTEN:
		return LISTENING;
	case TCP_SYN_SENT:
		return CONNECTING;
	case TCP_ESTABLISHED:
		return s->unaccepted ? UNACCEPTED : ESTABLISHED;
	default:
		return s->unaccepted ? UNACCEPTED : UNCONNECTED;
	}
}

static int state_parse(const char *text)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(states); i++)
		if (!strcasecmp(text, states[i].name) || !strcasecmp(text, states[i].shown))
			return i;
	fail(FERRY_USAGE,
	     "--state is listening, connecting, established, unaccepted or unconnected, not '%s'",
	     text);
}

static bool text_matches(const char *text, const char *pattern)
{
	/* A backslash begins a byte. */
	return !strcmp(pattern, text) || !fnmatch(pattern, text, FNM_NOESCAPE);
}

static bool name_matches(const struct address *addr, const char *pattern)
{
	char text[ADDRESS_TEXT_SIZE];

	if (!*address_text(addr, text))
		return false;
	return text_matches(text, pattern) || text_matches(address_name(addr, text), pattern);
}

static bool wanted(const struct view *v, const struct sock_info *s)
{
	int i;

	if (v->states && !(v->states & 1U << state_of(s)))
		return false;
	if (v->types && !(v->types & 1U << s->type))
		return false;
	for (i = 0; i < v->n_names; i++)
		if (name_matches(&s->name, v->names[i]) || name_matches(&s->peer_name, v->names[i]))
			return true;
	return !v->n_names;
}

__attribute__((format(printf, 1, 2)))
static char *text(const char *format, ...)
{
	va_list args;
	char *s;

	va_start(args, format);
	if (vasprintf(&s, format, args) < 0)
		fail(FERRY_ERROR, "no memory for the table");
	va_end(args);
	return s;
}

/* Adds to a text that ends where a word may follow. */
__attribute__((format(printf, 2, 3)))
static void append(char **to, const char *format, ...)
{
	char *more, *whole;
	va_list args;

	va_start(args, format);
	if (vasprintf(&more, format, args) < 0)
		fail(FERRY_ERROR, "no memory for the table");
	va_end(args);
	whole = text("%s%s%s", *to, **to ? " " : "", more);
	free(*to);
	free(more);
	*to = whole;
}

/* NUL bytes at the end are counted: they are most of the name, by mistake. */
static char *name_cell(const struct address *addr)
{
	size_t tail = address_nul_tail(addr);
	struct address shorter = *addr;
	char name[ADDRESS_TEXT_SIZE];

	if (!addr->len)
		return text("*");
	shorter.len -= tail;
	address_text(&shorter, name);
	return tail ? text("%s(+%zu NUL)", name, tail) : text("%s", name);
}

static void put_processes(char **cell, const struct sock_info *s, const struct holders *holders)
{
	const struct holder *h;
	size_t n, i;
	char *list;

	h = holders_of(holders, s->ino, &n);
	if (!h)
		return;
	list = text("users:(");
	for (i = 0; i < n; i++) {
		char *longer = text("%s%s(\"%s\",pid=%d,fd=%d)", list, i ? "," : "", h[i].comm,
				    h[i].pid, h[i].fd);

		free(list);
		list = longer;
	}
	append(cell, "%s)", list);
	free(list);
}

static uint32_t drops_of(const struct sock_info *s)
{
	return s->mem[SK_MEMINFO_DROPS];
}

static const char *scope_of(const struct sock_info *s)
{
	return s->name.sa.sfy_scope == FERRY_SCOPE_NETWORK ? "network" : "host";
}

/* What takes messages to other hosts; NULL for nothing. */
static const char *carrier_of(const struct sock_info *s)
{
	switch (s->carrier) {
	case FERRY_CARRIER_UDP:
		return "udp";
	case FERRY_CARRIER_TCP:
		return "tcp";
	default:
		return NULL;
	}
}

static char *more_cell(const struct view *v, const struct sock_info *s,
		       const struct holders *holders)
{
	const uint32_t *mem = s->mem;
	char *cell = text("%s", "");

	if (v->processes)
		put_processes(&cell, s, holders);
	if (v->extended) {
		append(&cell, "uid:%u", s->uid);
		if (s->mode >= 0)
			append(&cell, "mode:%04o", s->mode);
		append(&cell, "sk:%llx %c-%c", (unsigned long long)s->cookie,
		       s->shutdown & 1 ? '-' : '<', s->shutdown & 2 ? '-' : '>');
	}
	if (v->options) {
		if (s->name.len)
			append(&cell, "scope:%s", scope_of(s));
		if (carrier_of(s))
			append(&cell, "carrier:%s", carrier_of(s));
		append(&cell, "drops:%u", drops_of(s));
	}
	if (v->memory && s->has_mem)
		append(&cell, "skmem:(r%u,rb%u,t%u,tb%u,f%u,w%u,o%u,bl%u,d%u)",
		       mem[SK_MEMINFO_RMEM_ALLOC], mem[SK_MEMINFO_RCVBUF],
		       mem[SK_MEMINFO_WMEM_ALLOC], mem[SK_MEMINFO_SNDBUF],
		       mem[SK_MEMINFO_FWD_ALLOC], mem[SK_MEMINFO_WMEM_QUEUED],
		       mem[SK_MEMINFO_OPTMEM], mem[SK_MEMINFO_BACKLOG], mem[SK_MEMINFO_DROPS]);
	return cell;
}

static void fill_row(struct row *row, const struct view *v, const struct sock_info *s,
		     const struct holders *holders)
{
	row->cell[TYPE] = text("%s", type_text(s->type));
	row->cell[STATE] = text("%s", states[state_of(s)].shown);
	row->cell[RECV_Q] = text("%u", s->rqueue);
	row->cell[SEND_Q] = text("%u", s->wqueue);
	row->cell[LOCAL] = name_cell(&s->name);
	row->cell[INODE] = text("%u", s->ino);
	row->cell[PEER] = name_cell(&s->peer_name);
	row->cell[PEER_INODE] = s->has_peer ? text("%u", s->peer_ino) : text("*");
	row->cell[MORE] = more_cell(v, s, holders);
}

static void print_row(const struct row *row, const int *width)
{
	int i;

	for (i = 0; i < MORE; i++)
		printf("%s%*s", i ? " " : "", columns[i].right ? width[i] : -width[i],
		       row->cell[i]);
	printf("%s%s\n", *row->cell[MORE] ? " " : "", row->cell[MORE]);
}

static void print_table(const struct view *v, const struct sock_list *list,
			const struct holders *holders)
{
	struct row *rows = calloc(list->n + 1, sizeof(*rows));
	int width[COLUMNS] = {};
	size_t n = 0, i, tails = 0;
	int column;

	if (!rows)
		fail(FERRY_ERROR, "no memory for the table");
	if (v->header) {
		for (column = 0; column < MORE; column++)
			rows[n].cell[column] = text("%s", columns[column].title);
		rows[n++].cell[MORE] = text("%s", v->processes ? columns[MORE].title : "");
	}
	for (i = 0; i < list->n; i++) {
		fill_row(&rows[n++], v, &list->socks[i], holders);
		tails += !!address_nul_tail(&list->socks[i].name);
	}
	for (i = 0; i < n; i++) {
		for (column = 0; column < COLUMNS; column++) {
			int len = strlen(rows[i].cell[column]);

			if (width[column] < len)
				width[column] = len;
		}
	}
	for (i = 0; i < n; i++) {
		print_row(&rows[i], width);
		for (column = 0; column < COLUMNS; column++)
			free(rows[i].cell[column]);
	}
	free(rows);
	output_end(FERRY_OK);
	if (tails)
		note("NUL bytes at the end of a name are part of it; see 'ferry doctor'");
}

static struct json_object *json_text(const struct address *addr)
{
	char name[ADDRESS_TEXT_SIZE];

	return addr->len ? json_object_new_string(address_text(addr, name)) : NULL;
}

static struct json_object *json_memory(const struct sock_info *s)
{
	static const char * const names[SK_MEMINFO_VARS] = {
		[SK_MEMINFO_RMEM_ALLOC] = "rmem_alloc",
		[SK_MEMINFO_RCVBUF] = "rcvbuf",
		[SK_MEMINFO_WMEM_ALLOC] = "wmem_alloc",
		[SK_MEMINFO_SNDBUF] = "sndbuf",
		[SK_MEMINFO_FWD_ALLOC] = "fwd_alloc",
		[SK_MEMINFO_WMEM_QUEUED] = "wmem_queued",
		[SK_MEMINFO_OPTMEM] = "optmem",
		[SK_MEMINFO_BACKLOG] = "backlog",
		[SK_MEMINFO_DROPS] = "drops",
	};
	struct json_object *o = json_object_new_object();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i])
			json_object_object_add(o, names[i], json_object_new_int64(s->mem[i]));
	return o;
}

static struct json_object *json_processes(const struct sock_info *s,
					  const struct holders *holders)
{
	struct json_object *list = json_object_new_array(), *o;
	const struct holder *h;
	size_t n, i;

	h = holders_of(holders, s->ino, &n);
	for (i = 0; h && i < n; i++) {
		o = json_object_new_object();
		json_object_object_add(o, "name", json_object_new_string(h[i].comm));
		json_object_object_add(o, "pid", json_object_new_int(h[i].pid));
		json_object_object_add(o, "fd", json_object_new_int(h[i].fd));
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *json_sock(const struct view *v, const struct sock_info *s,
				     const struct holders *holders)
{
	struct json_object *o = json_object_new_object();
	char mode[8];

	json_object_object_add(o, "type", json_object_new_string(type_text(s->type)));
	json_object_object_add(o, "state", json_object_new_string(states[state_of(s)].name));
	json_object_object_add(o, "recv_q", json_object_new_int64(s->rqueue));
	json_object_object_add(o, "send_q", json_object_new_int64(s->wqueue));
	json_object_object_add(o, "name", json_text(&s->name));
	json_object_object_add(o, "nul_bytes_at_end",
			       json_object_new_int(address_nul_tail(&s->name)));
	json_object_object_add(o, "inode", json_object_new_int64(s->ino));
	json_object_object_add(o, "peer_name", json_text(&s->peer_name));
	json_object_object_add(o, "peer_inode",
			       s->has_peer ? json_object_new_int64(s->peer_ino) : NULL);
	json_object_object_add(o, "cookie", json_object_new_int64(s->cookie));
	json_object_object_add(o, "uid", json_object_new_int64(s->uid));
	snprintf(mode, sizeof(mode), "%04o", s->mode);
	json_object_object_add(o, "mode", s->mode >= 0 ? json_object_new_string(mode) : NULL);
	json_object_object_add(o, "scope",
			       s->name.len ? json_object_new_string(scope_of(s)) : NULL);
	json_object_object_add(o, "carrier",
			       carrier_of(s) ? json_object_new_string(carrier_of(s)) : NULL);
	json_object_object_add(o, "can_receive", json_object_new_boolean(!(s->shutdown & 1)));
	json_object_object_add(o, "can_send", json_object_new_boolean(!(s->shutdown & 2)));
	json_object_object_add(o, "drops", json_object_new_int64(drops_of(s)));
	json_object_object_add(o, "memory", json_memory(s));
	if (v->processes)
		json_object_object_add(o, "processes", json_processes(s, holders));
	return o;
}

static void print_json(const struct view *v, const struct sock_list *list,
		       const struct holders *holders)
{
	struct json_object *all = json_object_new_array();
	size_t i;

	for (i = 0; i < list->n; i++)
		json_object_array_add(all, json_sock(v, &list->socks[i], holders));
	puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(all);
	output_end(FERRY_OK);
}

/* Shows it once. Returns how many sockets there were. */
static size_t show(const struct view *v)
{
	struct holders holders = {};
	struct sock_list list;
	size_t i, n = 0;
	int err;

	err = sock_list_get(&list);
	if (err == ENOENT)
		fail(FERRY_NO_MODULE,
		     "ferry.ko is not loaded; 'ferry doctor' tells what is missing");
	if (err)
		fail_errno(err, "cannot ask the kernel for its sockets");
	for (i = 0; i < list.n; i++)
		if (wanted(v, &list.socks[i]))
			list.socks[n++] = list.socks[i];
	list.n = n;
	if (v->processes)
		holders_get(&holders);
	if (v->json)
		print_json(v, &list, &holders);
	else
		print_table(v, &list, &holders);
	if (holders.incomplete && !v->json)
		note("the processes of other users are shown to root only");
	holders_free(&holders);
	sock_list_free(&list);
	return n;
}

static void watch(const struct view *v, double seconds)
{
	const struct timespec pause = {
		.tv_sec = seconds,
		.tv_nsec = (seconds - (time_t)seconds) * 1e9,
	};
	bool clear = isatty(STDOUT_FILENO) && !v->json;

	for (;;) {
		if (clear)
			fputs("\033[H\033[2J", stdout);
		show(v);
		if (!clear && !v->json)
			putchar('\n');
		output_end(FERRY_OK);
		nanosleep(&pause, NULL);
	}
}

int cmd_ss(int argc, char **argv)
{
	struct view v = { .header = true };
	double seconds = 0;
	int option, type;
	char *end;

	while ((option = option_next(argc, argv, &syntax, NULL)) != -1) {
		switch (option) {
		case 'l':
			v.states |= 1U << LISTENING;
			break;
		case 'S':
			v.states |= 1U << state_parse(optarg);
			break;
		case 't':
			if (!type_parse(optarg, &type))
				fail(FERRY_USAGE, "--type is stream, seqpacket or dgram, not '%s'",
				     optarg);
			v.types |= 1U << type;
			break;
		case 'e':
			v.extended = true;
			break;
		case 'm':
			v.memory = true;
			break;
		case 'p':
			v.processes = true;
			break;
		case 'o':
			v.options = true;
			break;
		case 'H':
			v.header = false;
			break;
		case 'j':
			v.json = true;
			break;
		case 'w':
			seconds = optarg ? strtod(optarg, &end) : 1;
			if (optarg && (end == optarg || *end || !(seconds >= 0.1 && seconds < 1e6)))
				fail(FERRY_USAGE,
				     "--watch is a number of seconds from 0.1, not '%s'", optarg);
			break;
		}
	}
	v.names = argv + optind;
	v.n_names = argc - optind;

	if (seconds > 0)
		watch(&v, seconds);
	if (!show(&v) && v.n_names)
		fail(FERRY_NOBODY, "there is no such socket; without a NAME all are shown");
	return FERRY_OK;
}
