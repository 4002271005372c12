/* SPDX-License-Identifier: GPL-2.0 */
/* pidfd.c: SCM_PIDFD */
#ifndef _FERRY_PIDFD_H
#define _FERRY_PIDFD_H

#include <linux/pid.h>
#include <linux/socket.h>

#include "compat-scm.h"

#ifdef FERRY_HAS_PASSPIDFD
void ferry_pidfd_recv(struct socket *sock, struct msghdr *msg, struct pid *pid);
#else
static inline void ferry_pidfd_recv(struct socket *sock, struct msghdr *msg,
				    struct pid *pid)
{
}
#endif

#endif /* _FERRY_PIDFD_H */
