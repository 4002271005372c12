/* SPDX-License-Identifier: GPL-2.0 */
/* zerocopy.c: MSG_ZEROCOPY */
#ifndef _FERRY_ZEROCOPY_H
#define _FERRY_ZEROCOPY_H

#include <linux/uio.h>

#include "ferry.h"

struct ferry_buf;

int ferry_zerocopy_send(struct socket *sock, struct msghdr *msg, size_t len,
			int (*send)(struct socket *sock, struct msghdr *msg,
				    size_t len));
void ferry_zerocopy_attach(struct ferry_buf *buf, struct ubuf_info *uarg);
void ferry_zerocopy_put(struct ubuf_info *uarg);

/* ferry_wants_zerocopy() - is this send one with completion notification? */
static inline bool ferry_wants_zerocopy(const struct sock *sk,
					const struct msghdr *msg)
{
	return unlikely(msg->msg_flags & MSG_ZEROCOPY) &&
	       sock_flag(sk, SOCK_ZEROCOPY) && !msg->msg_ubuf &&
	       iov_iter_count(&msg->msg_iter);
}

#endif /* _FERRY_ZEROCOPY_H */
