/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the subcommands of ferry(1) share. Each of them is a file and a function
 * that gets its own argc and argv and returns the exit status.
 */
#ifndef FERRY_COMMAND_H
#define FERRY_COMMAND_H

#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <limits.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <linux/ferry.h>
#include <linux/sock_diag.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Exit statuses, as ferry(1) has them. */
enum {
	FERRY_OK	= 0,
	FERRY_ERROR	= 1,	/* what has no number of its own */
	FERRY_USAGE	= 2,	/* options, arguments, addresses */
	FERRY_NO_MODULE	= 3,	/* AF_FERRY is not there */
	FERRY_NOBODY	= 4,	/* no socket by that name */
	FERRY_DENIED	= 5,	/* not permitted */
};

int cmd_listen(int argc, char **argv);
int cmd_connect(int argc, char **argv);
int cmd_send(int argc, char **argv);
int cmd_recv(int argc, char **argv);
int cmd_ss(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_bench(int argc, char **argv);

/* ---- main.c ---- */

/* What SIGPIPE did before this command ignored it. */
extern void (*sigpipe_before)(int signal);

/* ---- report.c: what is said on standard error ---- */

extern const char *command_name;

void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
noreturn void fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
noreturn void fail_errno(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));
int output_end(int status);

/* ---- own.c: files that belong to the command ---- */

void find_own(const char *name, char path[PATH_MAX]);

/* ---- options.c: options of subcommands ---- */

struct endpoint;
struct option;

struct syntax {
	const char *letters;	/* for getopt_long(), begins with a colon */
	const struct option *options;
	const char *help;
};

int option_next(int argc, char **argv, const struct syntax *syntax, struct endpoint *e);

/* ---- address.c: the text form of addresses ---- */

struct address {
	struct sockaddr_ferry sa;
	socklen_t len;			/* 0: there is none */
	char device[IFNAMSIZ];		/* of fe80::1%eth0 */
};

/* Longest text: ferry://[node]/ and every byte of the name as \xNN, and a NUL. */
#define ADDRESS_TEXT_SIZE	(8 + 2 + 46 + 1 + 4 * FERRY_NAME_MAX + 1)

const char *address_parse(const char *text, struct address *addr);
const char *address_text(const struct address *addr, char text[ADDRESS_TEXT_SIZE]);
const char *address_name(const struct address *addr, const char *text);
size_t address_nul_tail(const struct address *addr);

/* ---- endpoint.c: sockets as the command line wants them ---- */

struct endpoint {
	struct address addr;
	char text[ADDRESS_TEXT_SIZE];	/* the same, to be printed */
	int type;
	int mode;			/* -1: as the umask says */
	bool broadcast;			/* to an address of many: nothing to connect to */
	bool reuseport;
	bool timestamps;
	bool verbose;
	uint64_t count;			/* messages to receive, 0 without end */
	size_t size;			/* of a message that is cut from the input */
	double wait;			/* seconds that connect waits for the name */
	const char **pass;		/* files to pass descriptors of */
	unsigned int passes;
};

/* Options that several subcommands have, for endpoint_option(). */
#define OPT_TYPE	{ "type", required_argument, NULL, 't' }
#define OPT_MODE	{ "mode", required_argument, NULL, 'm' }
#define OPT_REUSEPORT	{ "reuseport", no_argument, NULL, 'r' }
#define OPT_TIMESTAMPS	{ "timestamps", no_argument, NULL, 'T' }
#define OPT_VERBOSE	{ "verbose", no_argument, NULL, 'v' }
#define OPT_COUNT	{ "count", required_argument, NULL, 'c' }
#define OPT_SIZE	{ "size", required_argument, NULL, 's' }
#define OPT_WAIT	{ "wait", required_argument, NULL, 'w' }
#define OPT_PASS	{ "pass", required_argument, NULL, 'P' }
#define OPT_HELP	{ "help", no_argument, NULL, 'h' }

void endpoint_init(struct endpoint *e);
bool endpoint_option(struct endpoint *e, int option, const char *value);
void endpoint_address(struct endpoint *e, int argc, char **argv);
int endpoint_socket(int type);
int endpoint_bind(const struct endpoint *e);
int endpoint_accept(const struct endpoint *e, int listener, struct address *peer);
int endpoint_connect(const struct endpoint *e);
const char *type_text(int type);
bool type_parse(const char *text, int *type);

/* ---- message.c: one message and what comes with it ---- */

struct message {
	char *data;
	size_t size;		/* of the memory */
	size_t len;
	struct address from;	/* len 0: unknown, or without a name */
};

void message_init(struct message *m, size_t size);
void message_free(struct message *m);
bool message_receive(int fd, const struct endpoint *e, struct message *m);
void message_send(int fd, const struct endpoint *e, const struct address *to,
		  const void *data, size_t len, bool first);

/* ---- transfer.c: between a socket and the standard streams ---- */

void transfer_both(int fd, const struct endpoint *e);
uint64_t transfer_receive(int fd, const struct endpoint *e, uint64_t count);
size_t input_read(void *data, size_t size, bool full);
pid_t transfer_exec(int fd, const char *command, const struct endpoint *e,
		    const struct address *peer);
int transfer_exec_wait(pid_t pid);

/* ---- progress.c: how far a transfer is, and signals in its middle ---- */

void progress_start(bool input, bool output);
void progress_sent(size_t n);
void progress_received(size_t n);
void progress_end(void);
void progress_pause(void);
void progress_resume(void);
const sigset_t *progress_old_mask(void);
const char *output_file(void);

/* ---- diag.c: the sockets of the namespace ---- */

struct sock_info {
	int type;
	int state;		/* TCP_* */
	bool unaccepted;
	uint32_t ino;		/* 0: nobody has accepted it yet */
	uint64_t cookie;
	struct address name;
	struct address peer_name;
	bool has_peer;
	uint32_t peer_ino;
	uint32_t rqueue;
	uint32_t wqueue;
	bool has_mem;
	uint32_t mem[SK_MEMINFO_VARS];
	unsigned int shutdown;	/* 1: receiving, 2: sending */
	int carrier;		/* enum ferry_carrier */
	uint32_t uid;
	int mode;		/* -1: is not bound itself */
};

struct sock_list {
	struct sock_info *socks;
	size_t n;
};

int sock_list_get(struct sock_list *list);
void sock_list_free(struct sock_list *list);

/* ---- process.c: who has a socket ---- */

struct holder {
	uint64_t ino;
	int pid;
	int fd;
	char comm[16];
};

struct holders {
	struct holder *holders;	/* sorted by inode */
	size_t n;
	bool incomplete;	/* some processes could not be looked at */
};

void holders_get(struct holders *h);
void holders_free(struct holders *h);
const struct holder *holders_of(const struct holders *h, uint64_t ino, size_t *n);

#endif /* FERRY_COMMAND_H */
