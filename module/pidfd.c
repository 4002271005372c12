// SPDX-License-Identifier: GPL-2.0
/*
 * SCM_PIDFD: a descriptor of the process that sent a message.
 *
 * What makes such a descriptor is not for modules. But getsockopt(2) of SO_PEERPIDFD
 * is, and makes one of the process that a socket says its peer was: here a socket made
 * for this alone, that nobody else sees.
 */
#include <linux/fdtable.h>
#include <linux/security.h>
#include <net/compat.h>

#include "af_ferry.h"
#include "compat.h"
#include "ferry.h"
#include "pidfd.h"

#ifdef FERRY_HAS_PASSPIDFD
/* Returns the descriptor, which is the caller's process's already, or an error. */
static int ferry_pidfd_open(struct socket *sock, struct pid *pid)
{
	struct socket asked = { .type = sock->type, .ops = sock->ops };
	int fd = -1, len = sizeof(fd);
	struct sock *sk;
	int err;

	sk = sk_alloc(sock_net(sock->sk), PF_FERRY, GFP_KERNEL, &ferry_proto, 0);
	if (!sk)
		return -ENOMEM;
	sock_init_data(NULL, sk);
	/* To security modules it is the receiver. */
	sk->sk_type = sock->sk->sk_type;
	security_sk_clone(sock->sk, sk);
	sk->sk_peer_pid = get_pid(pid);
	asked.sk = sk;
	/* Of any kind, as the core's hooks for programs of BPF are not for this. */
	err = do_sock_getsockopt(&asked, true, SOL_SOCKET, SO_PEERPIDFD,
				 KERNEL_SOCKPTR(&fd), KERNEL_SOCKPTR(&len));
	sock_put(sk);
	return err ? err : fd;
}

/**
 * ferry_pidfd_recv() - tell a receiver that set SO_PASSPIDFD who sent a message
 * @sock: receiver
 * @msg: where to
 * @pid: sender; the reference is used up
 *
 * A sender that was waited for already has none: -ESRCH stands there, as AF_UNIX has it
 * before 6.16.
 *
 * Context: process, may sleep.
 */
void ferry_pidfd_recv(struct socket *sock, struct msghdr *msg, struct pid *pid)
{
	size_t need = CMSG_LEN(sizeof(int));
	int fd;

#ifdef CONFIG_COMPAT
	if (msg->msg_flags & MSG_CMSG_COMPAT)
		need = sizeof(struct compat_cmsghdr) + sizeof(int);
#endif
	if (!msg->msg_control || msg->msg_controllen < need) {
		msg->msg_flags |= MSG_CTRUNC;
		goto out;
	}
	fd = ferry_pidfd_open(sock, pid);
	if (put_cmsg(msg, SOL_SOCKET, SCM_PIDFD, sizeof(fd), &fd) && fd >= 0)
		close_fd(fd);
out:
	put_pid(pid);
}
#endif
