// SPDX-License-Identifier: GPL-2.0
/*
 * A byte stream, as af_ferry(7) says it: Sending and receiving, Urgent byte,
 * SO_PEEK_OFF, SO_RCVLOWAT, SIOCINQ, SIOCOUTQ, SIOCATMARK, FERRY_INFO.
 */

#include "model.h"

/* Urgent bytes that reads leave out and that take no room, at the most. */
#define SPARED	17

/* Where reads go on, past urgent bytes that a newer one pushed out. */
static unsigned int position(const struct model_queue *queue)
{
	return queue->left_out > queue->read ? queue->left_out : queue->read;
}

static bool urgent_at(const struct model_queue *queue, unsigned int at)
{
	return queue->urgent != MODEL_NO_URGENT && queue->urgent_at == at;
}

/* Bytes that reads will give. */
static unsigned int readable(const struct model *model, int end)
{
	const struct model_queue *queue = &model->queue[end];
	unsigned int at = position(queue);

	if (at == queue->written)
		return 0;
	return queue->written - at -
	       (urgent_at(queue, at) && !model->end[end].urgent_inline);
}

static struct model_message *message_at(struct model_queue *queue, unsigned int at)
{
	struct model_message *message = &queue->message[queue->first];

	while (at >= message->at + message->len)
		message++;
	return message;
}

static unsigned char byte_at(struct model_queue *queue, unsigned int at)
{
	const struct model_message *message = message_at(queue, at);

	return model_bytes(message->id)[at - message->at];
}

/* The reader has passed everything before @at. */
static void passed(struct model_queue *queue, unsigned int at)
{
	queue->read = at;
	if (queue->urgent != MODEL_NO_URGENT && at > queue->urgent_at)
		queue->urgent = MODEL_NO_URGENT;
	while (queue->first < queue->next &&
	       at >= queue->message[queue->first].at + queue->message[queue->first].len)
		queue->first++;
}

/* recv() with MSG_OOB gives the urgent byte, once. */
static bool recv_urgent(struct model *model, const struct model_call *call,
			const struct model_answer *answer)
{
	struct model_queue *queue = &model->queue[call->end];

	if (queue->urgent != MODEL_URGENT || model->end[call->end].urgent_inline)
		return model_expect(model, answer, -1, EINVAL);
	if (call->bad && call->len && !(call->flags & MSG_TRUNC))
		return model_expect(model, answer, -1, EFAULT);
	if (!model_expect(model, answer, call->len ? 1 : 0, 0))
		return false;
	if (call->len && !(call->flags & MSG_TRUNC) &&
	    answer->data[0] != queue->urgent_byte)
		return MODEL_WRONG(model, "the urgent byte is %02x, not %02x",
				   answer->data[0], queue->urgent_byte);
	if (!(answer->flags & MSG_OOB))
		return MODEL_WRONG(model, "MSG_OOB is not set");
	if (!(call->flags & MSG_PEEK))
		queue->urgent = MODEL_URGENT_TAKEN;
	return true;
}

static bool stream_recv(struct model *model, const struct model_call *call,
			const struct model_answer *answer)
{
	struct model_end *end = &model->end[call->end];
	struct model_queue *queue = &model->queue[call->end];
	bool peek = call->flags & MSG_PEEK, trunc = call->flags & MSG_TRUNC;
	unsigned int start = queue->read, at, until = UINT_MAX;
	struct model_message *message;
	int n = 0, fds = 0, err = 0, run;

	if (call->flags & MSG_OOB)
		return recv_urgent(model, call, answer);

	if (peek && end->peek_off > 0)
		start += end->peek_off;
	at = start;
	while (n < call->len && at < queue->written && at < until) {
		/* A read stops before the urgent byte, the next leaves it out. */
		if (urgent_at(queue, at) && n)
			break;
		message = message_at(queue, at);
		if ((urgent_at(queue, at) && !end->urgent_inline) ||
		    at < queue->left_out) {
			at++;
			/* What went with this byte alone goes with it. */
			if (!peek && at == message->at + message->len)
				message->fds = 0;
			continue;
		}
		if (call->bad && !trunc)
			break;
		/* A read that receives descriptors takes no bytes sent later. */
		if (message->fds) {
			fds += message->fds;
			until = message->at + message->len;
			if (!peek)
				message->fds = 0;
		}
		run = message->at + message->len - at;
		if (run > call->len - n)
			run = call->len - n;
		if (queue->urgent != MODEL_NO_URGENT && queue->urgent_at > at &&
		    run > queue->urgent_at - at)
			run = queue->urgent_at - at;
		if (!trunc && n + run <= answer->ret &&
		    !model_same(model, answer, n, message->id, at - message->at, run))
			return false;
		n += run;
		at += run;
	}
	/* Descriptors that wait there come also when no byte is asked for. */
	if (!call->len && at < queue->written) {
		message = message_at(queue, at);
		fds = message->fds;
		if (!peek)
			message->fds = 0;
	}

	if (!n && call->len && call->bad && !trunc && at < queue->written) {
		err = EFAULT;
	} else if (!n && (call->len || at >= queue->written)) {
		/* Data first, then the error, then the end. */
		err = end->error;
		if (!err && !queue->ended)
			err = EAGAIN;
		end->error = 0;
	}
	if (!model_expect(model, answer, err ? -1 : n, err))
		return false;
	if (answer->fds != fds)
		return MODEL_WRONG(model, "%d descriptors came, not %d", answer->fds, fds);
	if (!err && answer->flags)
		return MODEL_WRONG(model, "flags %#x", answer->flags);

	if (peek) {
		if (end->peek_off >= 0)
			end->peek_off += at - start;
		return true;
	}
	if (end->peek_off >= 0)
		end->peek_off = end->peek_off > at - start ?
				end->peek_off - (at - start) : 0;
	if (at != start)
		model->end[!call->end].grown = false;
	passed(queue, at);
	return true;
}

/* The last byte of what was queued is urgent. */
static void mark_urgent(struct model *model, int reader)
{
	struct model_queue *queue = &model->queue[reader];

	/* The older one becomes ordinary, unless the reader stands at it. */
	if (queue->urgent == MODEL_NO_URGENT)
		queue->left_out = queue->read;
	else if (!model->end[reader].urgent_inline &&
		 queue->urgent_at == position(queue))
		queue->left_out = queue->urgent_at + 1;
	queue->urgent = MODEL_URGENT;
	queue->urgent_at = queue->written - 1;
	queue->urgent_byte = byte_at(queue, queue->written - 1);
}

static int limit(const struct model *model, int sender)
{
	int sndbuf = model->end[sender].sndbuf, rcvbuf = model->end[!sender].rcvbuf;

	return sndbuf < rcvbuf ? sndbuf : rcvbuf;
}

/* So long a message is queued whole or not at all. */
static int whole(const struct model *model, int sender)
{
	int most = limit(model, sender);

	if (most > model->end[sender].sndbuf / 2)
		most = model->end[sender].sndbuf / 2;
	return most < 32768 ? most : 32768;
}

static bool stream_send(struct model *model, const struct model_call *call,
			const struct model_answer *answer)
{
	struct model_end *end = &model->end[call->end];
	struct model_queue *queue = &model->queue[!call->end];
	int small = call->len <= whole(model, call->end);
	int err;

	if (model->kind->whole && end->error) {
		err = end->error;
		end->error = 0;
		return model_expect(model, answer, -1, err);
	}
	if (queue->ended)
		return model_expect(model, answer, -1, EPIPE);
	if (!call->len)
		return call->fds ? model_expect(model, answer, -1, EINVAL) :
				   model_expect(model, answer, 0, 0);

	if (answer->ret < 0 && answer->err == EAGAIN) {
		if (end->promised && small)
			return MODEL_WRONG(model, "EAGAIN after POLLOUT");
		if (!readable(model, !call->end) &&
		    queue->written - queue->read < SPARED)
			return MODEL_WRONG(model, "EAGAIN with nothing unread");
		end->crowded = true;
		return true;
	}
	if (call->bad)
		return model_expect(model, answer, -1, EFAULT);
	if (answer->ret < 0 || answer->ret > call->len ||
	    (small ? answer->ret != call->len : !answer->ret))
		return model_expect(model, answer, call->len, 0);

	queue->message[queue->next++] = (struct model_message){
		.id = call->id, .at = queue->written, .len = answer->ret,
		.fds = call->fds,
	};
	queue->written += answer->ret;
	end->promised = 0;
	if ((call->flags & MSG_OOB) && answer->ret == call->len)
		mark_urgent(model, !call->end);
	if (queue->written - queue->read > limit(model, call->end) + SPARED)
		return MODEL_WRONG(model, "%u bytes are unread, more than %d",
				   queue->written - queue->read,
				   limit(model, call->end));
	return true;
}

static int stream_inq(const struct model *model, int end)
{
	const struct model_queue *queue = &model->queue[end];
	unsigned int at = position(queue);

	/* Up to the urgent byte. */
	if (!model->end[end].urgent_inline && queue->urgent != MODEL_NO_URGENT &&
	    queue->urgent_at >= at)
		return queue->urgent_at - at;
	return queue->written - at;
}

bool model_stream_call(struct model *model, const struct model_call *call,
		       const struct model_answer *answer)
{
	switch (call->what) {
	case MODEL_SEND:
		return stream_send(model, call, answer);
	case MODEL_RECV:
		return stream_recv(model, call, answer);
	case MODEL_INQ:
		return model_expect(model, answer, stream_inq(model, call->end), 0);
	default:
		return model_option(model, call, answer);
	}
}

static bool stream_events(struct model *model, int end, short events)
{
	struct model_end *self = &model->end[end], *peer = &model->end[!end];
	bool in_closed = model->queue[end].ended;
	bool out_closed = model->queue[!end].ended;
	unsigned int unread = readable(model, end);
	short expected = 0, sure = POLLIN | POLLRDHUP | POLLHUP | POLLERR | POLLPRI;

	if (in_closed)
		expected |= POLLIN | POLLRDHUP;
	/* Fewer than the mark are enough when the sender waits for room. */
	if (unread >= self->lowat || (unread && peer->crowded))
		expected |= POLLIN;
	else if (unread && peer->grown && !in_closed)
		sure &= ~POLLIN;
	if (in_closed && out_closed)
		expected |= POLLHUP;
	if (self->error)
		expected |= POLLERR;
	if (model->queue[end].urgent == MODEL_URGENT)
		expected |= POLLPRI;
	if ((events & sure) != (expected & sure))
		return MODEL_WRONG(model, "end %d: events %#x, not %#x", end,
				   events & sure, expected & sure);
	return true;
}

bool model_stream_view(struct model *model, int end, const struct model_view *view)
{
	const struct model_queue *in = &model->queue[end], *out = &model->queue[!end];
	unsigned int i;
	int fds = 0;

	if (!stream_events(model, end, view->events))
		return false;
	if (view->inq != stream_inq(model, end))
		return MODEL_WRONG(model, "end %d: SIOCINQ %d, not %d", end,
				   view->inq, stream_inq(model, end));
	if (view->mark != urgent_at(in, position(in)))
		return MODEL_WRONG(model, "end %d: SIOCATMARK %d", end, view->mark);
	if (!model->kind->whole)
		return true;

	for (i = in->first; i < in->next; i++)
		fds += in->message[i].fds;
	if (view->scm_fds >= 0 && view->scm_fds != fds)
		return MODEL_WRONG(model, "end %d: %d descriptors wait, not %d",
				   end, view->scm_fds, fds);
	if (view->outq != out->written - out->read)
		return MODEL_WRONG(model, "end %d: SIOCOUTQ %d, not %d", end,
				   view->outq, out->written - out->read);
	if (view->info.fi_rqueue != in->written - in->read ||
	    view->info.fi_wqueue != view->outq || view->info.fi_rmessages ||
	    view->info.fi_rtotal != in->written ||
	    view->info.fi_wtotal != out->written)
		return MODEL_WRONG(model, "end %d: FERRY_INFO %u %u %u %llu %llu", end,
				   view->info.fi_rqueue, view->info.fi_wqueue,
				   view->info.fi_rmessages,
				   (unsigned long long)view->info.fi_rtotal,
				   (unsigned long long)view->info.fi_wtotal);
	return model_view_names(model, end, view);
}

bool model_stream_room(struct model *model, int end, const struct model_view *view)
{
	const struct model_queue *out = &model->queue[!end];
	unsigned int unread = readable(model, !end);

	if (out->written - out->read > unread + SPARED)
		unread = out->written - out->read;
	return model_room(model, end, view->events, unread, out->ended,
			  whole(model, end));
}
