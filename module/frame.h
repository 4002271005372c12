/* SPDX-License-Identifier: GPL-2.0 */
/* frame.c: records on a TCP connection */
#ifndef _FERRY_FRAME_H
#define _FERRY_FRAME_H

#include <linux/mm_types.h>
#include <linux/skbuff.h>

#include "ferry.h"

struct ferry_frame;

/**
 * struct ferry_frames - how far a connection is in what comes and in what goes
 * @first: what there is of the record that is coming, or NULL
 * @last: the last of its fragments, maybe itself
 * @room: bytes that may still be put into @last
 * @left: bytes of the record that have not come
 * @header: of the record, as on the wire
 * @have: bytes of @header
 * @admitted: there is room for the record
 * @paused: there is none, or nobody has accepted the connection: nothing is taken from
 *	TCP until somebody reads. Or a record is left to who sleeps until there is one.
 *	Any context
 * @sleepers: how many of those; any context
 * @ended: nothing more will come
 * @broken: it ended because what came was no record: the connection is to be cut
 * @pushing: something is being handed to TCP
 * @rest: the record that TCP has not taken whole, or NULL; read by all
 * @unsent: bytes of it that TCP has not taken; read by all
 * @pages: what records are copied into; guarded by the socket's send_lock
 *
 * But for what is said above, all is guarded by TCP's lock of the connection.
 */
struct ferry_frames {
	struct sk_buff		*first;
	struct sk_buff		*last;
	u32			room;
	u32			left;
	__be32			header;
	u8			have;
	u8			admitted;
	u8			paused;
	u8			ended;
	u8			broken;
	u8			pushing;
	atomic_t		sleepers;
	struct ferry_frame	*rest;
	u32			unsent;
	struct page_frag	pages;
};

void ferry_frames_free(struct ferry_frames *fr);
int ferry_frames_input(struct ferry_frames *fr, struct sock *sk, struct sock *csk);
void ferry_frames_end(struct ferry_frames *fr, struct sock *sk, struct sock *csk);
bool ferry_frames_resumable(const struct ferry_frames *fr, const struct sock *sk);
bool ferry_frames_defer(struct ferry_frames *fr, struct sock *csk);
bool ferry_frame_eor(const struct sk_buff *skb);
struct ferry_frame *ferry_frame_make(struct ferry_frames *fr, struct sock *sk,
				     struct msghdr *msg, size_t len);
void ferry_frame_free(struct ferry_frame *frame);
bool ferry_frames_room(const struct ferry_frames *fr, const struct sock *sk,
		       const struct sock *csk, size_t len);
int ferry_frames_send(struct ferry_frames *fr, struct sock *csk,
		      struct ferry_frame *frame, const struct msghdr *beside);
int ferry_frames_push(struct ferry_frames *fr, struct sock *csk);
int ferry_frames_flush(struct ferry_frames *fr, struct sock *csk);

#endif /* _FERRY_FRAME_H */
