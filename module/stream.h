/* SPDX-License-Identifier: GPL-2.0 */
/* stream.c: the byte stream, and positions in it */
#ifndef _FERRY_STREAM_H
#define _FERRY_STREAM_H

#include "ferry.h"

struct pipe_inode_info;

/*
 * In @written: nothing more is ever queued. It is set for good, under @lock, by who
 * shuts down or releases either end. A sender publishes with compare and swap, or
 * under @lock: so none publishes after it, and who has seen it has seen all bytes.
 */
#define FERRY_STREAM_END_BIT	0
#define FERRY_STREAM_END	BIT(FERRY_STREAM_END_BIT)

/* ferry_stream_ended() - is what @fs was sent so far all it will ever get? */
static inline bool ferry_stream_ended(const struct ferry_sock *fs)
{
	/* Pairs with ferry_queue_end() and what the ends did before. */
	return smp_load_acquire(&fs->written) & FERRY_STREAM_END;
}

/**
 * ferry_stream_queued() - bytes that wait to be read on a byte stream
 * @fs: receiver
 *
 * Return: 0 as well when it is released and nobody will read them.
 */
static inline unsigned long ferry_stream_queued(const struct ferry_sock *fs)
{
	unsigned long read;

	if (READ_ONCE(fs->dead))
		return 0;
	/* In this order: the reader never overtakes the writer. */
	read = smp_load_acquire(&fs->read);
	return (READ_ONCE(fs->written) - read) / 2;
}

int ferry_stream_sendmsg(struct socket *sock, struct msghdr *msg, size_t len);
int ferry_stream_recvmsg(struct socket *sock, struct msghdr *msg, size_t len,
			 int flags);
ssize_t ferry_stream_recv(struct socket *sock, struct msghdr *msg, size_t len,
			  int flags, struct pipe_inode_info *pipe);

#endif /* _FERRY_STREAM_H */
