/* SPDX-License-Identifier: GPL-2.0 */
/* cmsg.c: what travels beside the payload */
#ifndef _FERRY_CMSG_H
#define _FERRY_CMSG_H

#include <linux/jump_label_ratelimit.h>
#include <linux/net_tstamp.h>
#include <linux/sched.h>

#include "buffer.h"
#include "compat-scm.h"
#include "compat.h"
#include "inflight.h"
#include "pidfd.h"

/**
 * struct ferry_sender - who sends a message, and what beside the payload
 * @pid: process; valid for the call
 * @uid: its uid
 * @gid: its gid
 * @secid: its security label
 * @mark: SO_MARK of the message
 * @priority: SO_PRIORITY of the message, if FERRY_OWN_PRIORITY is in @tsflags
 * @tsflags: its SO_TIMESTAMPING flags for this message
 * @key: for SOF_TIMESTAMPING_OPT_ID, on a byte stream the number of the last byte
 *	queued, else what SCM_TS_OPT_ID says
 * @last: byte stream: the last buffer queued, with a reference, when a stamp is
 *	wanted
 * @rights: descriptors, until a buffer takes them over
 * @pid_ref: reference behind @pid when it is not the caller's own
 */
struct ferry_sender {
	struct pid		*pid;
	kuid_t			uid;
	kgid_t			gid;
	u32			secid;
	u32			mark;
	u32			priority;
	u32			tsflags;
	u32			key;
	struct ferry_buf	*last;
	struct ferry_rights	*rights;
	struct pid		*pid_ref;
};

/* In tsflags, where SO_TIMESTAMPING has no flag: the message has its own @priority. */
#define FERRY_OWN_PRIORITY	BIT(30)
static_assert(!((SOF_TIMESTAMPING_MASK | FERRY_TS_OPT_ID) & FERRY_OWN_PRIORITY));

extern struct static_key_false_deferred ferry_passsec_used;
DECLARE_STATIC_KEY_FALSE(ferry_priority_used);
void ferry_priority_seen(u32 priority);
void ferry_passsec_changed(struct socket *sock);
void ferry_passsec_forget(struct sock *sk);
struct pid *ferry_cmsg_pid(struct ferry_sock *fs, struct pid *pid);
int ferry_cmsg_parse(struct socket *sock, struct msghdr *msg,
		     struct ferry_sender *from);
void ferry_cmsg_take(struct ferry_buf *buf, struct msghdr *msg,
		     struct scm_cookie *scm);
void ferry_cmsg_peek(const struct ferry_buf *buf,
		     const struct ferry_rights *rights, struct msghdr *msg,
		     struct scm_cookie *scm);

/**
 * ferry_cmsg_recv() - give a receiver what ferry_cmsg_take() or _peek() found
 * @sock: receiver
 * @msg: where to
 * @scm: what; empty afterwards
 * @flags: the call's
 */
static inline void ferry_cmsg_recv(struct socket *sock, struct msghdr *msg,
				   struct scm_cookie *scm, int flags)
{
	struct pid *pid = NULL;

	if (unlikely(ferry_passpidfd(sock)))
		pid = get_pid(scm->pid);
	ferry_scm_recv(sock, msg, scm, flags,
		       READ_ONCE(ferry_sk(sock->sk)->notrunc));
	if (unlikely(pid))
		ferry_pidfd_recv(sock, msg, pid);
}

/**
 * ferry_cmsg_send() - learn who sends, and what beside the payload
 * @sock: sender's socket
 * @msg: message
 * @from: filled in; to be ended with ferry_cmsg_sent()
 *
 * Context: process, may sleep.
 * Return: as ferry_cmsg_parse().
 */
static inline int ferry_cmsg_send(struct socket *sock, struct msghdr *msg,
				  struct ferry_sender *from)
{
	from->pid = task_tgid(current);
	from->pid_ref = NULL;
	current_uid_gid(&from->uid, &from->gid);
	from->secid = static_branch_unlikely(&ferry_passsec_used.key) ?
		      ferry_current_secid() : 0;
	from->mark = READ_ONCE(sock->sk->sk_mark);
	from->tsflags = READ_ONCE(sock->sk->sk_tsflags);
	from->rights = NULL;
	return unlikely(msg->msg_controllen) ?
	       ferry_cmsg_parse(sock, msg, from) : 0;
}

/**
 * ferry_cmsg_sent() - the send is over
 * @from: what ferry_cmsg_send() filled; descriptors still there are dropped
 */
static inline void ferry_cmsg_sent(struct ferry_sender *from)
{
	if (unlikely(from->pid_ref))
		put_pid(from->pid_ref);
	if (unlikely(from->rights))
		ferry_rights_put(from->rights);
}

/*
 * ferry_uses_priority() - has any message on this machine a priority? While none has,
 * that of a buffer is 0 as it was made. Where no receiver can ask, a filter looks at
 * the sender's socket.
 */
static inline bool ferry_uses_priority(void)
{
	return FERRY_TELLS_PRIORITY && static_branch_unlikely(&ferry_priority_used);
}

/* ferry_sender_priority() - SO_PRIORITY of the message that @from sends by @sk */
static inline u32 ferry_sender_priority(const struct ferry_sender *from,
					const struct sock *sk)
{
	return from->tsflags & FERRY_OWN_PRIORITY ? from->priority :
						    READ_ONCE(sk->sk_priority);
}

/* ferry_buf_priority() - SO_PRIORITY of the message in @buf, sent by @sk */
static inline u32 ferry_buf_priority(const struct ferry_buf *buf, const struct sock *sk)
{
	return FERRY_TELLS_PRIORITY ? buf->priority : READ_ONCE(sk->sk_priority);
}

/**
 * ferry_cmsg_attach() - give a new buffer what belongs to its message
 * @buf: first buffer of the message, with @sk set, in no queue yet
 * @from: the sender; its descriptors move to @buf
 */
static inline void ferry_cmsg_attach(struct ferry_buf *buf,
				     struct ferry_sender *from)
{
	/* Without a reference of its own in what all sockets of a process share. */
	if (likely(from->pid == READ_ONCE(ferry_sk(buf->sk)->own_pid)))
		buf->pid = from->pid;
	else
		buf->pid = ferry_cmsg_pid(ferry_sk(buf->sk), from->pid);
	buf->uid = from->uid;
	buf->gid = from->gid;
	buf->secid = from->secid;
	buf->mark = from->mark;
	if (ferry_uses_priority())
		buf->priority = ferry_sender_priority(from, buf->sk);
	buf->rights = from->rights;
	from->rights = NULL;
}

#endif /* _FERRY_CMSG_H */
