// SPDX-License-Identifier: GPL-2.0
/*
 * Records, SEQPACKET and DGRAM, as af_ferry(7) says it: Types, Sending and receiving,
 * SO_PEEK_OFF, SIOCINQ, SIOCOUTQ, FERRY_INFO.
 */

#include "model.h"

static bool dgram(const struct model *model)
{
	return model->kind->kind.type == SOCK_DGRAM;
}

/* Bytes that @end has to read. */
static unsigned int unread(const struct model *model, int end)
{
	const struct model_queue *queue = &model->queue[end];
	unsigned int i, n = 0;

	for (i = queue->first; i < queue->next; i++)
		n += queue->message[i].len;
	return n;
}

/* Why nothing can be sent any more, 0 if it can. */
static int send_error(struct model *model, const struct model_call *call)
{
	struct model_end *end = &model->end[call->end];
	const struct model_end *peer = &model->end[!call->end];
	int err = end->error;

	if (!dgram(model)) {
		end->error = 0;
		return err ? err : model->queue[!call->end].ended ? EPIPE : 0;
	}
	if ((end->shut & 2) || (peer->open && peer->shut & 1))
		return EPIPE;
	if (peer->open)
		return 0;
	/* The receiver has gone: it is told once, and no peer any more. */
	end->apart = true;
	return ECONNREFUSED;
}

static bool record_send(struct model *model, const struct model_call *call,
			const struct model_answer *answer)
{
	struct model_end *end = &model->end[call->end], *peer = &model->end[!call->end];
	struct model_queue *queue = &model->queue[!call->end];
	unsigned int before = unread(model, !call->end);
	int err;

	if (call->flags & MSG_OOB)
		return model_expect(model, answer, -1, EOPNOTSUPP);
	if (call->len > end->sndbuf)
		return model_expect(model, answer, -1, EMSGSIZE);
	if (end->apart)
		return model_expect(model, answer, -1,
				    model->kind->whole ? EDESTADDRREQ : ENOTCONN);
	/* Of two errors either may come. */
	if (call->bad && call->len && answer->ret < 0 && answer->err == EFAULT)
		return true;
	err = send_error(model, call);
	if (err)
		return model_expect(model, answer, -1, err);

	if (answer->ret < 0 && answer->err == EAGAIN) {
		if (end->promised && call->len <= end->promised)
			return MODEL_WRONG(model, "EAGAIN after POLLOUT");
		if (queue->first == queue->next)
			return MODEL_WRONG(model, "EAGAIN with nothing unread");
		end->refused = call->len;
		end->crowded = true;
		return true;
	}
	if (!model_expect(model, answer, call->len, 0))
		return false;
	queue->message[queue->next++] = (struct model_message){
		.id = call->id, .len = call->len, .fds = call->fds,
		.from = end->named ? call->end : MODEL_NOBODY,
		/* An empty record is told from the end by it. */
		.eor = !call->len || (call->flags & MSG_EOR && !dgram(model)),
	};
	queue->written++;
	end->refused = 0;
	end->promised = 0;
	/* One longer than the receiver's buffer is taken alone. */
	if (before + call->len > end->sndbuf ||
	    (before && before + call->len > peer->rcvbuf))
		return MODEL_WRONG(model, "%u bytes are unread of %d and %d",
				   before + call->len, end->sndbuf, peer->rcvbuf);
	return true;
}

/* The record that a peek shows; *@off is where it begins in it. */
static struct model_message *peeked(const struct model_end *end,
				    struct model_queue *queue, int *off)
{
	struct model_message *message;
	unsigned int i;

	*off = end->peek_off > 0 ? end->peek_off : 0;
	for (i = queue->first; i < queue->next; i++) {
		message = &queue->message[i];
		/* An offset goes past an empty record once it was shown. */
		if (*off < message->len ||
		    (!*off && !(message->peeked && end->peek_off >= 0)))
			return message;
		*off -= message->len;
	}
	return NULL;
}

static bool record_recv(struct model *model, const struct model_call *call,
			const struct model_answer *answer)
{
	bool peek = call->flags & MSG_PEEK, trunc = call->flags & MSG_TRUNC;
	struct model_end *end = &model->end[call->end];
	struct model_queue *queue = &model->queue[call->end];
	struct model_message *message = NULL;
	int off = 0, n, left, err, flags = 0;

	if (call->flags & MSG_OOB)
		return model_expect(model, answer, -1, EOPNOTSUPP);

	if (peek)
		message = peeked(end, queue, &off);
	else if (queue->first < queue->next)
		message = &queue->message[queue->first];
	if (!message) {
		/* What was queued before comes before the error, and that before the end. */
		err = end->error;
		end->error = 0;
		if (!err && !model_ended(model, call->end))
			err = EAGAIN;
		return model_expect(model, answer, err ? -1 : 0, err);
	}

	left = message->len - off;
	n = call->len < left ? call->len : left;
	if (peek && end->peek_off >= 0)
		message->peeked = true;
	/* It stays the next to be read. */
	if (call->bad && n)
		return model_expect(model, answer, -1, EFAULT);
	if (!model_expect(model, answer, trunc ? left : n, 0))
		return false;
	if (!model_same(model, answer, 0, message->id, off, n))
		return false;

	if (n < left || (off && model->kind->whole))
		flags |= MSG_TRUNC;
	if (message->eor && model->kind->whole)
		flags |= MSG_EOR;
	if ((answer->flags & (model->kind->whole ? ~0 : ~MSG_EOR)) != flags)
		return MODEL_WRONG(model, "flags %#x, not %#x", answer->flags, flags);
	if (answer->fds != message->fds)
		return MODEL_WRONG(model, "%d descriptors came, not %d", answer->fds,
				   message->fds);
	if (model->kind->whole && answer->from != message->from)
		return MODEL_WRONG(model, "it is from %d, not %d", answer->from,
				   message->from);

	if (peek) {
		if (end->peek_off >= 0)
			end->peek_off += n;
		return true;
	}
	if (end->peek_off >= 0)
		end->peek_off = end->peek_off > message->len ?
				end->peek_off - message->len : 0;
	queue->first++;
	queue->read++;
	return true;
}

static int record_inq(const struct model *model, int end)
{
	const struct model_queue *queue = &model->queue[end];

	return queue->first < queue->next ? queue->message[queue->first].len : 0;
}

bool model_record_call(struct model *model, const struct model_call *call,
		       const struct model_answer *answer)
{
	switch (call->what) {
	case MODEL_SEND:
		return record_send(model, call, answer);
	case MODEL_RECV:
		return record_recv(model, call, answer);
	case MODEL_INQ:
		return model_expect(model, answer, record_inq(model, call->end), 0);
	default:
		return model_option(model, call, answer);
	}
}

static short record_events(const struct model *model, int end)
{
	const struct model_end *self = &model->end[end];
	bool in_closed = model_ended(model, end);
	bool out_closed = dgram(model) ? self->shut & 2 : model->queue[!end].ended;
	short events = 0;

	if (in_closed)
		events |= POLLIN | POLLRDHUP;
	if (model->queue[end].first < model->queue[end].next)
		events |= POLLIN;
	if (in_closed && out_closed)
		events |= POLLHUP;
	if (self->error)
		events |= POLLERR;
	return events;
}

bool model_record_view(struct model *model, int end, const struct model_view *view)
{
	const struct model_queue *in = &model->queue[end], *out = &model->queue[!end];
	short expected = record_events(model, end);
	int fds = 0, outq = unread(model, !end);
	unsigned int i;

	if ((view->events & ~POLLOUT) != expected)
		return MODEL_WRONG(model, "end %d: events %#x, not %#x", end,
				   view->events & ~POLLOUT, expected);
	if (model->kind->calls & MODEL_CAN(MODEL_INQ) &&
	    view->inq != record_inq(model, end))
		return MODEL_WRONG(model, "end %d: SIOCINQ %d, not %d", end,
				   view->inq, record_inq(model, end));
	if (!model->kind->whole)
		return true;

	for (i = in->first; i < in->next; i++)
		fds += in->message[i].fds;
	if (view->scm_fds >= 0 && view->scm_fds != fds)
		return MODEL_WRONG(model, "end %d: %d descriptors wait, not %d",
				   end, view->scm_fds, fds);
	if (view->outq != outq)
		return MODEL_WRONG(model, "end %d: SIOCOUTQ %d, not %d", end,
				   view->outq, outq);
	if (view->info.fi_rqueue != unread(model, end) ||
	    view->info.fi_wqueue != outq ||
	    view->info.fi_rmessages != in->written - in->read ||
	    view->info.fi_rtotal != in->written ||
	    view->info.fi_wtotal != (dgram(model) ? 0 : out->written))
		return MODEL_WRONG(model, "end %d: FERRY_INFO %u %u %u %llu %llu", end,
				   view->info.fi_rqueue, view->info.fi_wqueue,
				   view->info.fi_rmessages,
				   (unsigned long long)view->info.fi_rtotal,
				   (unsigned long long)view->info.fi_wtotal);
	return model_view_names(model, end, view);
}

bool model_record_room(struct model *model, int end, const struct model_view *view)
{
	const struct model_end *self = &model->end[end], *peer = &model->end[!end];
	int half = self->sndbuf < peer->rcvbuf ? self->sndbuf / 2 : peer->rcvbuf / 2;

	unsigned int bytes = unread(model, !end);
	bool closed = dgram(model) ? self->shut & 2 || (peer->open && peer->shut & 1) :
				     model->queue[!end].ended;

	/* An empty record waits too. */
	if (!bytes && model->queue[!end].first < model->queue[!end].next)
		bytes = 1;
	return model_room(model, end, view->events, bytes, closed, half);
}
