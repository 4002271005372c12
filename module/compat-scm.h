/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between kernels in credentials, labels and descriptors; see
 * compat.h.
 */
#ifndef _FERRY_COMPAT_SCM_H
#define _FERRY_COMPAT_SCM_H

#include <linux/net.h>
#include <linux/security.h>
#include <linux/version.h>
#include <net/scm.h>
#include <net/sock.h>

/*
 * 6.5 has SO_PASSPIDFD, and 6.7 all that SCM_PIDFD is made by, see pidfd.c. Between
 * them the option is refused.
 */
#if defined(SO_PASSPIDFD) && LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#define FERRY_HAS_PASSPIDFD
#endif

/*
 * 6.16, which has SO_PASSRIGHTS, moved what a receiver wants to know of senders
 * from the flags of its socket to its struct sock. There the core sets it for the
 * families it names only, which this one is not among; getsockopt(2) says
 * EOPNOTSUPP for it, and no module can mend that.
 */
#ifdef SO_PASSRIGHTS
/* ferry_cmsg_wanted() - does the receiver want to know who sent each message? */
static inline bool ferry_cmsg_wanted(const struct socket *sock)
{
	return READ_ONCE(sock->sk->sk_scm_recv_flags);
}

static inline bool ferry_passcred(const struct socket *sock)
{
	/* A bit of a byte, which cannot be marked: either answer will do. */
	return data_race((bool)sock->sk->sk_scm_credentials);
}

static inline bool ferry_passsec(const struct socket *sock)
{
	/* As above. */
	return data_race((bool)sock->sk->sk_scm_security);
}

static inline bool ferry_passpidfd(const struct socket *sock)
{
	/* As above. */
	return data_race((bool)sock->sk->sk_scm_pidfd);
}

/* SO_PASSCRED; lock_sock() is held, as its byte has other bits. */
static inline void ferry_set_passcred(struct socket *sock, bool on)
{
	sock_owned_by_me(sock->sk);
	sock->sk->sk_scm_credentials = on;
}

/* SO_PASSSEC; likewise. */
static inline void ferry_set_passsec(struct socket *sock, bool on)
{
	sock_owned_by_me(sock->sk);
	sock->sk->sk_scm_security = on;
}

/* SO_PASSPIDFD; likewise. */
static inline void ferry_set_passpidfd(struct socket *sock, bool on)
{
	sock_owned_by_me(sock->sk);
	sock->sk->sk_scm_pidfd = on;
}
#else
#ifdef FERRY_HAS_PASSPIDFD
#define FERRY_PASSPIDFD_BIT	BIT(SOCK_PASSPIDFD)

static inline void ferry_set_passpidfd(struct socket *sock, bool on)
{
	assign_bit(SOCK_PASSPIDFD, &sock->flags, on);
}
#else
#define FERRY_PASSPIDFD_BIT	0UL

static inline void ferry_set_passpidfd(struct socket *sock, bool on)
{
}
#endif

static inline bool ferry_cmsg_wanted(const struct socket *sock)
{
	return READ_ONCE(sock->flags) &
	       (BIT(SOCK_PASSCRED) | BIT(SOCK_PASSSEC) | FERRY_PASSPIDFD_BIT);
}

static inline bool ferry_passpidfd(const struct socket *sock)
{
	return READ_ONCE(sock->flags) & FERRY_PASSPIDFD_BIT;
}

static inline bool ferry_passcred(const struct socket *sock)
{
	return test_bit(SOCK_PASSCRED, &sock->flags);
}

static inline bool ferry_passsec(const struct socket *sock)
{
	return test_bit(SOCK_PASSSEC, &sock->flags);
}

static inline void ferry_set_passcred(struct socket *sock, bool on)
{
	assign_bit(SOCK_PASSCRED, &sock->flags, on);
}

static inline void ferry_set_passsec(struct socket *sock, bool on)
{
	assign_bit(SOCK_PASSSEC, &sock->flags, on);
}
#endif

/*
 * 7.3, which has SO_RIGHTS_NOTRUNC, took the descriptors out of scm_recv(); what
 * delivers them for AF_UNIX is not exported and reads AF_UNIX's socket.
 */
static inline void ferry_scm_recv(struct socket *sock, struct msghdr *msg,
				  struct scm_cookie *scm, int flags, bool notrunc)
{
	scm_recv(sock, msg, scm, flags);
#ifdef SO_RIGHTS_NOTRUNC
	if (scm->fp)
		scm_detach_fds(msg, scm, notrunc);
#endif
}

/*
 * 6.13 lets a sender number its message for SOF_TIMESTAMPING_OPT_ID: this is said by
 * a bit beside the flags of the message.
 */
#ifdef SOCKCM_FLAG_TS_OPT_ID
#define FERRY_TS_OPT_ID		SOCKCM_FLAG_TS_OPT_ID

static inline u32 ferry_ts_opt_id(const struct sockcm_cookie *sockc)
{
	return sockc->ts_opt_id;
}
#else
#define FERRY_TS_OPT_ID		0U

static inline u32 ferry_ts_opt_id(const struct sockcm_cookie *sockc)
{
	return 0;
}
#endif

/*
 * The label of the running task as one number, or 0. 6.13 took away the direct way
 * to it; what is left for credentials does not answer for AppArmor. There the label
 * goes by its text, for which 6.18 has all that is needed.
 */
static inline u32 ferry_current_secid(void)
{
	u32 secid = 0;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
	struct lsm_context ctx;
	struct lsm_prop prop;

	security_cred_getsecid(current_cred(), &secid);
	if (secid)
		return secid;
	security_current_getlsmprop_subj(&prop);
	if (security_lsmprop_to_secctx(&prop, &ctx, LSM_ID_UNDEF) < 0)
		return 0;
	if (security_secctx_to_secid(ctx.context, ctx.len, &secid))
		secid = 0;
	security_release_secctx(&ctx);
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
	security_cred_getsecid(current_cred(), &secid);
#else
	security_current_getsecid_subj(&secid);
#endif
	return secid;
}

#endif /* _FERRY_COMPAT_SCM_H */
