/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small model of a connection, as the manual page describes it, and what is
 * needed to hold sockets against it.
 *
 *   model.c         tests: makes up sequences of calls, shrinks one that fails
 *   pairs.c         tests: every pair of calls, the first stopped in its copy
 *   model_line.c    makes the calls on real sockets
 *   model_stream.c  what a byte stream answers
 *   model_record.c  what SEQPACKET and DGRAM answer
 *   model_common.c  what both do
 *   model_order.c   finds an order for calls that overlapped
 *
 * A model is asked whether an answer is right, and learns from it: where the page
 * leaves a choice (how much a nearly full buffer takes) several are. It is a plain
 * structure: a copy of it is another possible past.
 */
#ifndef MODEL_H
#define MODEL_H

#include "ferry_test.h"

#include <limits.h>

/* Calls in one sequence, and the longest message in it. */
#define MODEL_CALLS	24
#define MODEL_LEN	(96 * 1024)

enum model_what {
	MODEL_SEND,
	MODEL_RECV,
	MODEL_SHUTDOWN,
	MODEL_CLOSE,
	MODEL_BIND,
	MODEL_ERROR,	/* SO_ERROR */
	MODEL_PEEK_OFF,
	MODEL_LOWAT,
	MODEL_INLINE,	/* SO_OOBINLINE */
	MODEL_SNDBUF,
	MODEL_RCVBUF,
	MODEL_INQ,	/* SIOCINQ, which is also looked at after each call */
	MODEL_LOOK,	/* at both ends, as a call */
	MODEL_WHATS
};

#define MODEL_CAN(_what)	(1U << (_what))

/* One call, by end 0 or 1. */
struct model_call {
	enum model_what what;
	int end;
	int id;		/* of its message: tells the bytes apart */
	int len;	/* bytes to send or to ask for */
	int flags;	/* of send or recv; MSG_DONTWAIT is always there */
	int arg;	/* SHUT_..., or the value of an option */
	int fds;	/* descriptors that go along */
	bool bad;	/* its memory cannot be touched */
	bool two;	/* it lies in two pieces */
	bool wait;	/* without MSG_DONTWAIT */
	void *place;	/* where its memory is, if that matters */
};

struct model_view;

/* What the call said. */
struct model_answer {
	long ret;
	int err;
	int flags;		/* recvmsg: MSG_TRUNC, MSG_EOR, MSG_OOB, MSG_CTRUNC */
	int fds;		/* descriptors that came */
	int from;		/* whose name came: an end, or MODEL_NOBODY */
	unsigned char *data;	/* MODEL_LEN bytes, those received first */
	struct model_view *view;	/* MODEL_LOOK: of both ends */
};

#define MODEL_NOBODY	(-1)
#define MODEL_SOMEBODY	(-2)
#define MODEL_NOT_CONNECTED	(-3)

/* How one end looks between two calls. */
struct model_view {
	short events;
	short woken;		/* edges that epoll told of since the last look */
	int inq;
	int outq;
	int mark;
	int peek_off;
	int scm_fds;
	int own;		/* whose name getsockname() and getpeername() give */
	int peer;
	struct ferry_info info;
};

/* A family on which a sequence runs, and what of it is promised there. */
struct model_kind {
	struct ft_kind kind;
	unsigned int calls;	/* MODEL_CAN() */
	int send_flags;
	int recv_flags;
	int shutdowns;		/* bits: 1 << SHUT_RD, ... */
	bool rights;
	bool whole;		/* everything: AF_FERRY */
};

/* A message in a queue: with a byte stream, where in it. */
struct model_message {
	int id;
	unsigned int at;
	unsigned int len;
	int fds;
	int from;
	bool eor;
	bool peeked;
};

/* What an end has to read. Positions count the bytes, or the records. */
struct model_queue {
	struct model_message message[MODEL_CALLS];
	unsigned int first, next;
	unsigned int read, written;
	bool ended;		/* stream: no more comes */
	/* The urgent byte. */
	enum { MODEL_NO_URGENT, MODEL_URGENT, MODEL_URGENT_TAKEN } urgent;
	unsigned int urgent_at;
	unsigned int left_out;	/* reads begin here, past older ones */
	unsigned char urgent_byte;
};

struct model_end {
	bool open;
	int shut;		/* 1: no more is read, 2: no more is sent */
	int error;
	int peek_off;
	int lowat;
	bool urgent_inline;
	int sndbuf, rcvbuf;	/* as read back */
	bool named;
	bool apart;		/* DGRAM: the peer has gone */
	bool crowded;		/* the last look said that there is no room */
	bool grown;		/* SO_RCVBUF of the reader has been raised since */
	short events;		/* as last seen */
	int promised;		/* POLLOUT: so long a message has room, or 0 */
	int refused;		/* a record longer than what POLLOUT promises was */
};

struct model {
	const struct model_kind *kind;
	struct model_end end[2];
	struct model_queue queue[2];	/* [e] is what end e reads */
	bool silent;	/* an option was set since that changes events and tells nobody */
	char why[200];	/* the answer that was wrong */
};

/* The real thing. */
struct model_line {
	const struct model_kind *kind;
	int fd[2];
	int epoll;
	struct ft_addr addr[2];
	bool rights;		/* descriptors were sent: count them */
	uint64_t sent[2];
	bool shut[2];
};

#define MODEL_WRONG(_model, ...)					\
	(snprintf((_model)->why, sizeof((_model)->why), __VA_ARGS__), false)

/* The bytes of a message, MODEL_LEN of them. */
const unsigned char *model_bytes(int id);
/* Where they begin in ft_pattern(). */
uint64_t model_offset(int id);
bool model_same(struct model *model, const struct model_answer *answer, int at,
		int id, unsigned int off, unsigned int n);
bool model_expect(struct model *model, const struct model_answer *answer,
		  long ret, int err);
bool model_option(struct model *model, const struct model_call *call,
		  const struct model_answer *answer);
bool model_ended(const struct model *model, int reader);
bool model_room(struct model *model, int end, short events, unsigned int unread,
		bool closed, int whole);
bool model_view_names(struct model *model, int end, const struct model_view *view);

/* Is the answer right? The model goes on from there. */
bool model_call(struct model *model, const struct model_call *call,
		const struct model_answer *answer);
bool model_stream_call(struct model *model, const struct model_call *call,
		       const struct model_answer *answer);
bool model_record_call(struct model *model, const struct model_call *call,
		       const struct model_answer *answer);

/* Do both ends look right? What POLLOUT says is taken first. */
bool model_looks(struct model *model, const struct model_view *view);
bool model_stream_room(struct model *model, int end, const struct model_view *view);
bool model_record_room(struct model *model, int end, const struct model_view *view);
bool model_stream_view(struct model *model, int end, const struct model_view *view);
bool model_record_view(struct model *model, int end, const struct model_view *view);

/* The call as a line of text. */
void model_print(const struct model_call *call);

/* A call that was made, from when to when by a counter of such moments. */
struct model_past {
	struct model_call call;
	struct model_answer answer;
	int begin, end;
};

/* model_order.c: does any order of the calls explain them and the look at the end? */
bool model_explains(const struct model *model, const struct model_past *past, int n,
		    const struct model_view *view);
void model_print_past(const struct model_past *past, int n);

/* model_line.c: 0 or -1 with errno */
int model_line_open(struct model_line *line, const struct model_kind *kind,
		    struct model *model);
void model_line_close(struct model_line *line);
void model_line_call(struct model_line *line, const struct model_call *call,
		     struct model_answer *answer);
bool model_line_view(struct model_line *line, struct model_view *view);
void model_line_end(void);

#endif /* MODEL_H */
