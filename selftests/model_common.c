// SPDX-License-Identifier: GPL-2.0
/* What the models of a byte stream and of records have in common. */

#include "model.h"

/* Messages are windows on one pattern. */
#define SHIFT	61

uint64_t model_offset(int id)
{
	return id * SHIFT;
}

const unsigned char *model_bytes(int id)
{
	static unsigned char pattern[MODEL_LEN + (MODEL_CALLS + 1) * SHIFT];

	if (!pattern[1])
		ft_pattern(pattern, 0, sizeof(pattern));
	return pattern + model_offset(id);
}

/* Are the @n bytes received at @at those of message @id from @off on? */
bool model_same(struct model *model, const struct model_answer *answer, int at,
		int id, unsigned int off, unsigned int n)
{
	const unsigned char *want = model_bytes(id) + off, *got = answer->data + at;
	unsigned int i;

	if (!memcmp(got, want, n))
		return true;
	for (i = 0; got[i] == want[i]; i++)
		;
	return MODEL_WRONG(model, "byte %u is %02x, not %02x", at + i, got[i], want[i]);
}

bool model_expect(struct model *model, const struct model_answer *answer,
		  long ret, int err)
{
	if (answer->ret == ret && (ret >= 0 || answer->err == err))
		return true;
	return MODEL_WRONG(model, "returned %ld (%s), not %ld (%s)",
			   answer->ret, answer->ret < 0 ? strerror(answer->err) : "",
			   ret, ret < 0 ? strerror(err) : "");
}

/* Does nothing come any more to who reads? Datagrams know of themselves only. */
bool model_ended(const struct model *model, int reader)
{
	if (model->kind->kind.type == SOCK_DGRAM)
		return model->end[reader].shut & 1;
	return model->queue[reader].ended;
}

static bool model_set_buffer(struct model *model, const struct model_call *call,
			     const struct model_answer *answer, int *size)
{
	/* Doubled, within the bounds of the core. */
	if (answer->ret < 2 * call->arg)
		return MODEL_WRONG(model, "reads back as %ld", answer->ret);
	*size = answer->ret;
	return true;
}

static bool model_shutdown(struct model *model, const struct model_call *call,
			   const struct model_answer *answer)
{
	struct model_end *end = &model->end[call->end];
	int how = call->arg + 1;

	/* With both directions down TCP is no connection any more. */
	if (!model->kind->whole && model->queue[0].ended && model->queue[1].ended &&
	    answer->ret < 0 && answer->err == ENOTCONN)
		return true;
	/* A datagram socket that lost its peer shuts down all the same. */
	if (end->apart ? !model_expect(model, answer, -1, ENOTCONN) :
			 !model_expect(model, answer, 0, 0))
		return false;
	end->shut |= how;
	if (how & 1)
		model->queue[call->end].ended = true;
	if (how & 2)
		model->queue[!call->end].ended = true;
	return true;
}

static bool model_close(struct model *model, const struct model_call *call,
			const struct model_answer *answer)
{
	struct model_end *end = &model->end[call->end], *peer = &model->end[!call->end];
	struct model_queue *queue = &model->queue[call->end];

	if (!model_expect(model, answer, 0, 0))
		return false;
	if (model->kind->kind.type != SOCK_DGRAM) {
		/* Input was left unread: the peer is told, once. */
		if (queue->read != queue->written)
			peer->error = ECONNRESET;
		model->queue[!call->end].ended = true;
	}
	queue->ended = true;
	queue->read = queue->written;
	queue->first = queue->next;
	end->open = false;
	return true;
}

/* The calls that are no send and no receive. */
bool model_option(struct model *model, const struct model_call *call,
		  const struct model_answer *answer)
{
	struct model_end *end = &model->end[call->end];
	unsigned int i;

	switch (call->what) {
	case MODEL_SHUTDOWN:
		return model_shutdown(model, call, answer);
	case MODEL_CLOSE:
		return model_close(model, call, answer);
	case MODEL_BIND:
		/* A name once. */
		if (end->named)
			return model_expect(model, answer, -1, EINVAL);
		end->named = true;
		return model_expect(model, answer, 0, 0);
	case MODEL_ERROR:
		if (!model_expect(model, answer, end->error, 0))
			return false;
		end->error = 0;
		return true;
	case MODEL_SNDBUF:
		return model_set_buffer(model, call, answer, &end->sndbuf);
	case MODEL_RCVBUF:
		model->end[!call->end].grown = true;
		model->silent = true;
		return model_set_buffer(model, call, answer, &end->rcvbuf);
	case MODEL_PEEK_OFF:
		end->peek_off = call->arg;
		for (i = 0; i < MODEL_CALLS; i++)
			model->queue[call->end].message[i].peeked = false;
		break;
	case MODEL_LOWAT:
		end->lowat = call->arg < 0 ? INT_MAX : call->arg ? call->arg : 1;
		break;
	case MODEL_INLINE:
		end->urgent_inline = call->arg;
		model->silent = true;
		break;
	default:
		return MODEL_WRONG(model, "no such call");
	}
	return model_expect(model, answer, 0, 0);
}

/*
 * POLLOUT, with @unread bytes of this end's at its peer: at most half of either
 * buffer is in use, memory counting more than bytes; nothing unread is room. What
 * it says then holds for the sends that follow.
 */
bool model_room(struct model *model, int end, short events, unsigned int unread,
		bool closed, int whole)
{
	struct model_end *self = &model->end[end];
	int limit = self->sndbuf < model->end[!end].rcvbuf ?
		    self->sndbuf : model->end[!end].rcvbuf;
	bool writable = events & POLLOUT;

	if (!writable && (closed || !unread))
		return MODEL_WRONG(model, "no POLLOUT with %u bytes unread", unread);
	if (writable && !closed && unread && 2 * (int64_t)unread >= limit &&
	    model->kind->whole)
		return MODEL_WRONG(model, "POLLOUT with %u bytes unread of %d",
				   unread, limit);
	self->crowded = !writable;
	self->promised = writable ? whole : 0;
	if (writable && self->refused) {
		if (self->refused > self->promised)
			self->promised = self->refused;
		self->refused = 0;
	}
	return true;
}

/* The names that both ends have, and what else is the same for all types. */
bool model_view_names(struct model *model, int end, const struct model_view *view)
{
	const struct model_end *self = &model->end[end];
	int own = self->named ? end : MODEL_NOBODY;
	int peer = self->apart ? MODEL_NOT_CONNECTED :
		   model->end[!end].named ? !end : MODEL_NOBODY;

	if (view->own != own || view->peer != peer)
		return MODEL_WRONG(model, "names are %d and %d, not %d and %d",
				   view->own, view->peer, own, peer);
	if (view->peek_off != self->peek_off)
		return MODEL_WRONG(model, "SO_PEEK_OFF is %d, not %d",
				   view->peek_off, self->peek_off);
	return true;
}

bool model_call(struct model *model, const struct model_call *call,
		const struct model_answer *answer)
{
	if (call->what == MODEL_LOOK)
		return model_looks(model, answer->view);
	/* A descriptor that is closed is no socket any more. */
	if (!model->end[call->end].open)
		return model_expect(model, answer, -1, EBADF);
	return model->kind->kind.type == SOCK_STREAM ?
	       model_stream_call(model, call, answer) :
	       model_record_call(model, call, answer);
}

/* What was not there at the last look is an event for those who wait. */
static bool model_woken(struct model *model, int end, const struct model_view *view)
{
	struct model_end *self = &model->end[end];
	short fresh = view->events & ~self->events;

	self->events = view->events;
	if (model->kind->whole && !model->silent && fresh & ~view->woken)
		return MODEL_WRONG(model, "end %d: nobody was woken for %#x", end,
				   fresh & ~view->woken);
	return true;
}

bool model_looks(struct model *model, const struct model_view *view)
{
	bool stream = model->kind->kind.type == SOCK_STREAM;
	int i;

	for (i = 0; i < 2; i++)
		if (model->end[i].open &&
		    !(stream ? model_stream_room : model_record_room)(model, i, &view[i]))
			return false;
	for (i = 0; i < 2; i++)
		if (model->end[i].open &&
		    (!model_woken(model, i, &view[i]) ||
		     !(stream ? model_stream_view : model_record_view)(model, i, &view[i])))
			return false;
	model->silent = false;
	return true;
}

static const char *const what_names[MODEL_WHATS] = {
	[MODEL_SEND] = "send", [MODEL_RECV] = "recv",
	[MODEL_SHUTDOWN] = "shutdown", [MODEL_CLOSE] = "close",
	[MODEL_BIND] = "bind", [MODEL_ERROR] = "SO_ERROR",
	[MODEL_PEEK_OFF] = "SO_PEEK_OFF", [MODEL_LOWAT] = "SO_RCVLOWAT",
	[MODEL_INLINE] = "SO_OOBINLINE", [MODEL_SNDBUF] = "SO_SNDBUF",
	[MODEL_RCVBUF] = "SO_RCVBUF", [MODEL_INQ] = "SIOCINQ",
	[MODEL_LOOK] = "look",
};

void model_print(const struct model_call *call)
{
	static const struct {
		int flag;
		const char *name;
	} flags[] = {
		{ MSG_OOB, "OOB" }, { MSG_PEEK, "PEEK" }, { MSG_TRUNC, "TRUNC" },
		{ MSG_WAITALL, "WAITALL" }, { MSG_EOR, "EOR" }, { 0, NULL },
	};
	int i;

	printf("%c: %s(", "ab"[call->end], what_names[call->what]);
	if (call->what != MODEL_SEND && call->what != MODEL_RECV) {
		printf("%d)\n", call->arg);
		return;
	}
	printf("%d", call->len);
	for (i = 0; flags[i].name; i++)
		if (call->flags & flags[i].flag)
			printf(", %s", flags[i].name);
	printf("%s%s%s", call->bad ? ", bad memory" : "",
	       call->two ? ", two pieces" : "", call->wait ? ", may wait" : "");
	if (call->fds)
		printf(", %d descriptors", call->fds);
	printf(")\n");
}
