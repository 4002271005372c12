/* SPDX-License-Identifier: GPL-2.0 */
/* remote_dgram.c: datagrams to and from other hosts */
#ifndef _FERRY_REMOTE_DGRAM_H
#define _FERRY_REMOTE_DGRAM_H

#include <linux/skbuff.h>

#include "ferry.h"

struct ferry_arrival;
struct ferry_sender;

int ferry_remote_sendto(struct sock *sk, struct msghdr *msg, size_t len,
			const struct ferry_sender *from, int kind);
int ferry_remote_send(struct sock *sk, struct msghdr *msg, size_t len,
		      const struct ferry_sender *from);
int ferry_remote_connect(struct sock *sk, const struct sockaddr_ferry *sa, int len,
			 int kind);
void ferry_remote_forget(struct sock *sk);
void ferry_remote_disconnect(struct sock *sk);
void ferry_remote_bound(struct sock *sk);
int ferry_remote_peer(const struct sock *sk, struct sockaddr_ferry *sa);
bool ferry_remote_takes(const struct sock *to, const struct ferry_arrival *at);
void ferry_remote_rcv(struct net *net, struct sk_buff *skb);
void ferry_remote_error(struct sock *sk, const struct sk_buff *skb);
int ferry_remote_recvmsg(struct socket *sock, struct msghdr *msg, size_t size,
			 int flags);
bool ferry_remote_turn(struct sock *sk, int flags);
void ferry_remote_peek_anew(struct sock *sk);
u32 ferry_remote_queued(struct sock *sk, u32 *messages);

/* ferry_remote_waits() - is there something to read from another host? */
static inline bool ferry_remote_waits(const struct sock *sk)
{
	return !skb_queue_empty_lockless(&sk->sk_receive_queue);
}

/* ferry_remote_local_next() - a peek has shown what the next read is to take */
static inline void ferry_remote_local_next(struct sock *sk, bool local)
{
	struct ferry_sock *fs = ferry_sk(sk);

	/* Others have other things in its place. */
	if (sk->sk_type == SOCK_DGRAM && READ_ONCE(fs->local_next) != local)
		WRITE_ONCE(fs->local_next, local);
}

#endif /* _FERRY_REMOTE_DGRAM_H */
