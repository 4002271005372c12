/* SPDX-License-Identifier: GPL-2.0 */
/* connection.c: listen, connect, accept, shutdown and the end */
#ifndef _FERRY_CONNECTION_H
#define _FERRY_CONNECTION_H

#include "compat.h"
#include "ferry.h"

int ferry_connect(struct socket *sock, struct sockaddr_unsized *uaddr, int len,
		  int flags);
int ferry_dgram_connect(struct socket *sock, struct sockaddr_unsized *uaddr,
			int len, int flags);
void ferry_dgram_dissolve(struct sock *sk, struct sock *peer);
void ferry_set_peercred(struct sock *sk, struct pid *pid, const struct cred *cred);
struct sock *ferry_peer_get(struct sock *sk);
int ferry_listen(struct socket *sock, int backlog);
int ferry_accept(struct socket *sock, struct socket *newsock, int flags);
int ferry_socketpair(struct socket *a, struct socket *b);
int ferry_shutdown(struct socket *sock, int how);
void ferry_linger(struct sock *sk);
void ferry_disconnect(struct sock *sk);
struct sock *ferry_remote_child(struct sock *listener);
int ferry_remote_queue(struct sock *listener, struct sock *child);
int ferry_wait_settled(struct sock *sk, long *timeo);
int ferry_wait_connected(struct sock *sk, long *timeo);

#endif /* _FERRY_CONNECTION_H */
