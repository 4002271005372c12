/* SPDX-License-Identifier: GPL-2.0 */
/* handshake.c: what opens a connection, and the door at which it is awaited */
#ifndef _FERRY_HANDSHAKE_H
#define _FERRY_HANDSHAKE_H

#include <linux/ferry.h>
#include <linux/types.h>

#include "name.h"

struct ferry_gate;
struct net;

/**
 * struct ferry_hello - the first bytes of a connection, from who connects
 * @magic: FERRY_MAGIC
 * @version: FERRY_HELLO_VERSION
 * @type: enum ferry_hello_type
 * @from_len: length of the name that the sender is bound to, or 0
 * @to_len: length of the listener's name
 * @names: both, one after the other
 */
struct ferry_hello {
	u8	magic[4];
	u8	version;
	u8	type;
	u8	from_len;
	u8	to_len;
	char	names[2 * FERRY_NAME_MAX];
};

#define FERRY_MAGIC		"FRRY"
#define FERRY_HELLO_VERSION	1
#define FERRY_HELLO_HDR		offsetof(struct ferry_hello, names)

/**
 * enum ferry_hello_type - what is connected
 * @FERRY_HELLO_STREAM: SOCK_STREAM
 * @FERRY_HELLO_SEQPACKET: SOCK_SEQPACKET
 */
enum ferry_hello_type {
	FERRY_HELLO_STREAM	= 2,
	FERRY_HELLO_SEQPACKET	= 3,
};

/**
 * struct ferry_answer - the first bytes from who listens
 * @magic: FERRY_MAGIC
 * @version: FERRY_HELLO_VERSION
 * @status: enum ferry_status
 * @zero: 0
 */
struct ferry_answer {
	u8	magic[4];
	u8	version;
	u8	status;
	u8	zero[2];
};

static_assert(sizeof(struct ferry_answer) == 8 && FERRY_HELLO_HDR == 8);

/**
 * enum ferry_status - what became of a hello
 * @FERRY_STATUS_ACCEPTED: the connection waits to be accepted
 * @FERRY_STATUS_NOBODY: nobody listens at the name
 * @FERRY_STATUS_DENIED: the name's mode forbids it
 * @FERRY_STATUS_TYPE: the name is one of another type
 * @FERRY_STATUS_BAD: the hello is not understood
 * @FERRY_STATUS_FULL: no place for it in the listener's queue
 */
enum ferry_status {
	FERRY_STATUS_ACCEPTED	= 0,
	FERRY_STATUS_NOBODY	= 1,
	FERRY_STATUS_DENIED	= 2,
	FERRY_STATUS_TYPE	= 3,
	FERRY_STATUS_BAD	= 4,
	FERRY_STATUS_FULL	= 5,
};

size_t ferry_hello_make(struct ferry_hello *hello, int type,
			const struct ferry_addr *from, const char *to, u8 to_len);
int ferry_answer_result(const struct ferry_answer *answer);
int ferry_gate_open(struct net *net, u16 port, struct ferry_gate **to);
void ferry_gate_close(struct ferry_gate *gate);
int ferry_handshake_init(void);
void ferry_handshake_exit(void);

#endif /* _FERRY_HANDSHAKE_H */
