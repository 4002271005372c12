// SPDX-License-Identifier: GPL-2.0
/*
 * MSG_ZEROCOPY: the sender's notifications.
 *
 * The notification is the core's struct ubuf_info, one for each call. The call
 * has a reference on it and each buffer that the call queued has one, so it is
 * put into the error queue when the call has ended and all is read. A buffer
 * whose bytes were copied after all has a reference too: notifications come in
 * the order of the bytes.
 *
 * The core numbers a notification when it is allocated, and takes the number
 * back when the call fails; with two senders on one socket numbers would be
 * lost or given twice. Here a call gets its number when it has succeeded. Until
 * then it counts as aborted (a length of 0), which notifies nobody.
 */
#include <linux/skbuff.h>

#include "buffer.h"
#include "compat.h"
#include "ferry.h"
#include "zerocopy.h"

/**
 * ferry_zerocopy_send() - send with MSG_ZEROCOPY
 * @sock: socket with SO_ZEROCOPY
 * @msg: message
 * @len: its bytes
 * @send: how the type sends; finds the notification in msg_ubuf
 *
 * Return: as @send, or -ENOBUFS when there is no memory for the notification or
 * the caller may not pin as much.
 */
int ferry_zerocopy_send(struct socket *sock, struct msghdr *msg, size_t len,
			int (*send)(struct socket *sock, struct msghdr *msg,
				    size_t len))
{
	struct ferry_sock *fs = ferry_sk(sock->sk);
	struct ubuf_info *uarg;
	int ret;

	uarg = ferry_zerocopy_alloc(sock->sk, len);
	if (!uarg)
		return -ENOBUFS;
	uarg_to_msgzc(uarg)->len = 0;

	msg->msg_ubuf = uarg;
	ret = send(sock, msg, len);
	msg->msg_ubuf = NULL;
	if (ret > 0) {
		uarg_to_msgzc(uarg)->id =
			(u32)atomic_inc_return(&fs->zerocopy_calls) - 1;
		uarg_to_msgzc(uarg)->len = 1;
	}
	ferry_zerocopy_put(uarg);
	return ret;
}

/**
 * ferry_zerocopy_attach() - a buffer belongs to a call that wants to be notified
 * @buf: the buffer, in no queue; nothing will be appended to it
 * @uarg: the notification; the buffer gets a reference of its own
 *
 * Context: the sending call, which has its own reference.
 */
void ferry_zerocopy_attach(struct ferry_buf *buf, struct ubuf_info *uarg)
{
	if (!buf->paged)
		uarg_to_msgzc(uarg)->zerocopy = 0;
	net_zcopy_get(uarg);
	buf->uarg = uarg;
	buf->shut = 1;
}

/**
 * ferry_zerocopy_put() - drop a reference on a notification; the last queues it
 * @uarg: the notification
 *
 * Context: any.
 */
void ferry_zerocopy_put(struct ubuf_info *uarg)
{
	/* Only the last may write to what the sending call writes. */
	if (!refcount_dec_not_one(&uarg->refcnt))
		net_zcopy_put(uarg);
}
