// SPDX-License-Identifier: GPL-2.0
/*
 * What travels beside the payload: credentials, descriptors and the security
 * label, from the sender's control messages to the receiver's.
 */
#include "buffer.h"
#include "cmsg.h"
#include "compat-scm.h"
#include "compat.h"
#include "ferry.h"
#include "inflight.h"

DEFINE_STATIC_KEY_DEFERRED_FALSE(ferry_passsec_used, HZ);

/**
 * ferry_passsec_changed() - count who wants the senders' labels
 * @sock: socket; its lock_sock() is held
 *
 * While nobody does, senders do not look for theirs. Before 6.7 the family is not
 * told of the option, and they always do.
 *
 * Context: process, may sleep.
 */
void ferry_passsec_changed(struct socket *sock)
{
	struct ferry_sock *fs = ferry_sk(sock->sk);
	bool wanted = ferry_passsec(sock);

	sock_owned_by_me(sock->sk);
	if (!FERRY_SEES_SOL_SOCKET || wanted == fs->labels)
		return;
	fs->labels = wanted;
	if (wanted)
		static_branch_deferred_inc(&ferry_passsec_used);
	else
		static_branch_slow_dec_deferred(&ferry_passsec_used);
}

/**
 * ferry_passsec_forget() - the socket is closed, and wants no labels any more
 * @sk: socket that nobody else can call
 */
void ferry_passsec_forget(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);

	if (likely(!fs->labels))
		return;
	fs->labels = 0;
	static_branch_slow_dec_deferred(&ferry_passsec_used);
}

DEFINE_STATIC_KEY_FALSE(ferry_priority_used);

/**
 * ferry_priority_seen() - a socket or a message has got a priority
 * @priority: the priority
 *
 * From the first one on that is not 0 all messages have theirs.
 *
 * Context: process, may sleep; no lock held.
 */
void ferry_priority_seen(u32 priority)
{
	might_sleep();
	/* Switching it takes locks of all the machine, even to what it is. */
	if (FERRY_TELLS_PRIORITY && priority && !ferry_uses_priority())
		static_branch_enable(&ferry_priority_used);
}

static int ferry_cmsg_rights(const struct cmsghdr *cmsg,
			     struct ferry_sender *from)
{
	const int *fds = (const int *)CMSG_DATA(cmsg);
	size_t i, n;
	int err;

	n = (cmsg->cmsg_len - sizeof(*cmsg)) / sizeof(int);
	if (n > SCM_MAX_FD)
		return -EINVAL;
	if (n && !from->rights) {
		from->rights = ferry_rights_alloc();
		if (!from->rights)
			return -ENOMEM;
	}
	for (i = 0; i < n; i++) {
		err = ferry_rights_fget(from->rights, fds[i]);
		if (err)
			return err;
	}
	return 0;
}

/* The core checks and translates credentials, given nothing but them. */
static int ferry_cmsg_creds(struct socket *sock, struct cmsghdr *cmsg,
			    struct ferry_sender *from)
{
	struct msghdr one = {
		.msg_control = cmsg,
		.msg_control_is_user = false,
		.msg_controllen = cmsg->cmsg_len,
	};
	struct scm_cookie scm = {};
	int err;

	err = __scm_send(sock, &one, &scm);
	if (err)
		return err;

	put_pid(from->pid_ref);
	from->pid_ref = scm.pid;
	from->pid = scm.pid;
	from->uid = scm.creds.uid;
	from->gid = scm.creds.gid;
	return 0;
}

/**
 * ferry_cmsg_pid() - a process for a buffer to name
 * @fs: sender's socket; the first process becomes its @own_pid
 * @pid: process that sends, not known as @own_pid yet
 *
 * Return: @pid, with a reference unless it is @own_pid now.
 */
struct pid *ferry_cmsg_pid(struct ferry_sock *fs, struct pid *pid)
{
	get_pid(pid);
	if (!READ_ONCE(fs->own_pid) && !cmpxchg(&fs->own_pid, NULL, pid))
		return pid;
	/* Another thread of it was first. */
	if (READ_ONCE(fs->own_pid) == pid)
		put_pid(pid);
	return pid;
}

/**
 * ferry_cmsg_parse() - what a sender says in control messages
 * @sock: sender's socket
 * @msg: message
 * @from: filled in for a message without; to be ended with ferry_cmsg_sent()
 *
 * Context: process, may sleep.
 * Return: 0; -EINVAL, -EBADF, -EPERM, -ESRCH or -ENOMEM with nothing to undo.
 */
int ferry_cmsg_parse(struct socket *sock, struct msghdr *msg,
		     struct ferry_sender *from)
{
	struct sockcm_cookie sockc;
	struct cmsghdr *cmsg;
	int err = 0;

	sockcm_init(&sockc, sock->sk);
	sockc.mark = from->mark;
	for_each_cmsghdr(cmsg, msg) {
		err = -EINVAL;
		if (!CMSG_OK(msg, cmsg))
			break;
		err = 0;
		if (cmsg->cmsg_level != SOL_SOCKET)
			continue;
		switch (cmsg->cmsg_type) {
		case SCM_RIGHTS:
			err = ferry_cmsg_rights(cmsg, from);
			break;
		case SCM_CREDENTIALS:
			err = ferry_cmsg_creds(sock, cmsg, from);
			break;
#ifdef SCM_TS_OPT_ID
		case SCM_TS_OPT_ID:
			/* Bytes are numbered by themselves. */
			err = -EINVAL;
			if (sock->sk->sk_type == SOCK_STREAM)
				break;
			fallthrough;
#endif
		default:
			err = ferry_sock_cmsg(sock->sk, msg, cmsg, &sockc);
		}
		if (err)
			break;
	}
	from->mark = sockc.mark;
	from->tsflags = sockc.tsflags;
	if (FERRY_TELLS_PRIORITY) {
		from->tsflags |= FERRY_OWN_PRIORITY;
		from->priority = ferry_cookie_priority(&sockc);
		ferry_priority_seen(from->priority);
	}
	from->key = ferry_ts_opt_id(&sockc);
	if (err)
		ferry_cmsg_sent(from);
	return err;
}

static void ferry_cmsg_describe(const struct ferry_buf *buf,
				struct scm_cookie *scm)
{
	if (!scm->pid)
		scm_set_cred(scm, buf->pid, buf->uid, buf->gid);
#ifdef CONFIG_SECURITY_NETWORK
	scm->secid = buf->secid;
#endif
}

/**
 * ferry_cmsg_take() - take over what a buffer carries
 * @buf: buffer that is being read for good
 * @msg: gets MSG_CTRUNC when its descriptors are lost for want of memory
 * @scm: for ferry_cmsg_recv(), filled in
 *
 * Context: process, may sleep. The reader owns @buf, or holds recv_lock.
 */
void ferry_cmsg_take(struct ferry_buf *buf, struct msghdr *msg,
		     struct scm_cookie *scm)
{
	ferry_cmsg_describe(buf, scm);
	if (likely(!buf->rights))
		return;
	scm->fp = ferry_rights_take(buf->rights);
	if (!scm->fp)
		msg->msg_flags |= MSG_CTRUNC;
	buf->rights = NULL;
}

/**
 * ferry_cmsg_peek() - hand out what a buffer carries and leave it there
 * @buf: buffer that is peeked at
 * @rights: its descriptors, or NULL; the caller keeps them from going away
 * @msg: gets MSG_CTRUNC when there is no memory to share them
 * @scm: for ferry_cmsg_recv(), filled in
 *
 * Context: process, may sleep.
 */
void ferry_cmsg_peek(const struct ferry_buf *buf,
		     const struct ferry_rights *rights, struct msghdr *msg,
		     struct scm_cookie *scm)
{
	ferry_cmsg_describe(buf, scm);
	if (!rights)
		return;
	scm->fp = scm_fp_dup(rights->fp);
	if (!scm->fp)
		msg->msg_flags |= MSG_CTRUNC;
}
