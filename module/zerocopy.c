// SPDX-License-Identifier: GPL-2.0
/*
 * MSG_ZEROCOPY: the interface of the core's, completion notifications by the
 * error queue included.
 *
 * Bytes are copied into the queue, so the sender's memory is free again when
 * the call returns, and the notification says that they were copied
 * (SO_EE_CODE_ZEROCOPY_COPIED).
 */
#include <linux/skbuff.h>

#include "ferry.h"

/**
 * ferry_zerocopy_send() - send with MSG_ZEROCOPY
 * @sock: socket with SO_ZEROCOPY
 * @msg: message
 * @len: its bytes
 * @send: how the type sends
 *
 * Return: as @send, or -ENOBUFS when there is no memory for the notification.
 */
int ferry_zerocopy_send(struct socket *sock, struct msghdr *msg, size_t len,
			int (*send)(struct socket *sock, struct msghdr *msg,
				    size_t len))
{
	struct ubuf_info *uarg;
	int ret;

	msg->msg_flags &= ~MSG_ZEROCOPY;
	if (!len)
		return send(sock, msg, len);

	uarg = msg_zerocopy_realloc(sock->sk, len, NULL);
	if (!uarg)
		return -ENOBUFS;

	ret = send(sock, msg, len);
	if (ret < 0) {
		net_zcopy_put_abort(uarg, true);
		return ret;
	}
	uarg_to_msgzc(uarg)->zerocopy = 0;
	net_zcopy_put(uarg);
	return ret;
}
