// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that overlapped: is there an order in which the model explains all that they
 * returned, and how the ends looked afterwards?
 */

#include "model.h"

/* One end in the middle of a copy keeps others of its kind out: EAGAIN, nothing done. */
static bool in_the_way(const struct model_past *past, int n, int which)
{
	const struct model_past *self = &past[which], *other;
	int i;

	if (self->answer.ret >= 0 || self->answer.err != EAGAIN || self->call.wait ||
	    (self->call.what != MODEL_SEND && self->call.what != MODEL_RECV))
		return false;
	for (i = 0; i < n; i++) {
		other = &past[i];
		if (i != which && other->call.what == self->call.what &&
		    other->call.end == self->call.end &&
		    other->begin < self->end && self->begin < other->end)
			return true;
	}
	return false;
}

/*
 * Who reads a stream looks how much there is, copies, and takes it out: what is sent
 * meanwhile may be left to the next read, and no more than that, as if no more had
 * been asked for.
 */
static bool overtaken(const struct model *model, const struct model_past *past, int n,
		      unsigned int done, int which)
{
	const struct model_past *self = &past[which], *other;
	const struct model_queue *queue = &model->queue[self->call.end];
	unsigned int sent = 0, from = queue->read;
	int i;

	if (model->kind->kind.type != SOCK_STREAM || self->call.what != MODEL_RECV ||
	    self->answer.ret <= 0 || self->answer.ret >= self->call.len)
		return false;
	for (i = 0; i < n; i++) {
		other = &past[i];
		if (done & 1U << i && other->answer.ret > 0 &&
		    other->call.what == MODEL_SEND && other->call.end != self->call.end &&
		    other->begin < self->end && self->begin < other->end)
			sent += other->answer.ret;
	}
	if (self->call.flags & MSG_PEEK && model->end[self->call.end].peek_off > 0)
		from += model->end[self->call.end].peek_off;
	/* Urgent bytes may be left out besides. */
	return sent && (queue->urgent != MODEL_NO_URGENT ||
			queue->written - from - self->answer.ret <= sent);
}

static bool explain(const struct model *model, const struct model_past *past, int n,
		    unsigned int done, const struct model_view *view)
{
	struct model next;
	bool first;
	int i, j;

	if (done == (1U << n) - 1) {
		next = *model;
		return model_looks(&next, view);
	}
	for (i = 0; i < n; i++) {
		if (done & 1U << i)
			continue;
		/* One that had ended before this began comes before. */
		first = true;
		for (j = 0; j < n; j++)
			if (!(done & 1U << j) && past[j].end < past[i].begin)
				first = false;
		if (!first)
			continue;
		next = *model;
		if (model_call(&next, &past[i].call, &past[i].answer) &&
		    explain(&next, past, n, done | 1U << i, view))
			return true;
		if (overtaken(model, past, n, done, i)) {
			struct model_call less = past[i].call;

			less.len = past[i].answer.ret;
			next = *model;
			if (model_call(&next, &less, &past[i].answer) &&
			    explain(&next, past, n, done | 1U << i, view))
				return true;
		}
		if (in_the_way(past, n, i) &&
		    explain(model, past, n, done | 1U << i, view))
			return true;
	}
	return false;
}

bool model_explains(const struct model *model, const struct model_past *past, int n,
		    const struct model_view *view)
{
	return explain(model, past, n, 0, view);
}

void model_print_past(const struct model_past *past, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		printf("# [%d, %d] ", past[i].begin, past[i].end);
		model_print(&past[i].call);
		printf("#       = %ld%s%s\n", past[i].answer.ret,
		       past[i].answer.ret < 0 ? ", " : "",
		       past[i].answer.ret < 0 ? strerror(past[i].answer.err) : "");
	}
}
