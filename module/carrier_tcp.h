/* SPDX-License-Identifier: GPL-2.0 */
/* carrier_tcp.c: the TCP connection behind a socket, from connect to the end */
#ifndef _FERRY_CARRIER_TCP_H
#define _FERRY_CARRIER_TCP_H

#include <linux/tcp.h>

#include "ferry.h"

struct ferry_addr;
struct ferry_frames;

void ferry_tcp_fresh(struct sock *csk);
int ferry_tcp_init(void);
void ferry_tcp_exit(void);
int ferry_tcp_connect(struct socket *sock, const struct sockaddr_ferry *sa,
		      int len);
bool ferry_tcp_cancel(struct sock *sk, int err);
int ferry_tcp_adopt(struct sock *sk, struct socket *carrier,
		    struct ferry_addr *remote);
void ferry_tcp_end(struct sock *sk);
void ferry_tcp_reset(struct sock *sk);
struct sock *ferry_tcp_get(struct sock *sk);
struct ferry_frames *ferry_tcp_frames(const struct socket *carrier);
void ferry_tcp_resume(struct sock *sk);
void ferry_tcp_sleep(struct sock *sk);
void ferry_tcp_slept(struct sock *sk);
bool ferry_tcp_waits(const struct sock *sk);
void ferry_tcp_read(struct sock *sk);
void ferry_tcp_later(const struct socket *carrier);
u32 ferry_tcp_outq(const struct sock *csk);
void ferry_tcp_accepted(struct socket *newsock);
void ferry_tcp_disown(struct sock *sk);

/* ferry_tcp_unread() - bytes to be read; may be asked without a lock */
static inline u32 ferry_tcp_unread(const struct sock *csk)
{
	const struct tcp_sock *tp = tcp_sk(csk);
	int n = READ_ONCE(tp->rcv_nxt) - READ_ONCE(tp->copied_seq);

	/* The end counts as a byte. */
	if (n > 0 && sock_flag(csk, SOCK_DONE))
		n--;
	return max(n, 0);
}

/* ferry_tcp_unacked() - bytes sent that the other host has not acknowledged */
static inline u32 ferry_tcp_unacked(const struct sock *csk)
{
	const struct tcp_sock *tp = tcp_sk(csk);

	return READ_ONCE(tp->write_seq) - READ_ONCE(tp->snd_una);
}

#endif /* _FERRY_CARRIER_TCP_H */
