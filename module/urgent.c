// SPDX-License-Identifier: GPL-2.0
/*
 * The urgent byte of a byte stream, with TCP's semantics: the last byte of a
 * send with MSG_OOB is urgent, a newer one makes the older an ordinary byte, a
 * read stops before it and, unless SO_OOBINLINE is set, the next read leaves it
 * out; MSG_OOB reads it once.
 *
 * All that is kept is its position in the stream. The sender sets it before it
 * publishes the byte, so a reader never runs over it.
 */
#include "ferry.h"
#include "poll.h"
#include "stream.h"
#include "urgent.h"

static bool ferry_urg_inline(const struct sock *sk)
{
	return sock_flag(sk, SOCK_URGINLINE);
}

/* Where a reader that stands at @at goes on, past older urgent bytes it leaves out. */
static unsigned long ferry_urg_position(const struct ferry_sock *fs,
					unsigned long at)
{
	lockdep_assert_held(&fs->lock);

	return (long)(fs->urg_drop - at) > 0 ? fs->urg_drop : at;
}

/**
 * ferry_urg_mark() - a byte about to be queued is urgent
 * @to: receiver; the caller holds its @lock and its peer's send_lock
 * @at: position of the byte
 * @byte: the byte
 *
 * A reader that stands right before an older urgent byte has seen the mark: it
 * leaves that byte out, as TCP's does.
 */
void ferry_urg_mark(struct ferry_sock *to, unsigned long at, u8 byte)
{
	unsigned long read = READ_ONCE(to->read);

	lockdep_assert_held(&to->lock);

	/* Positions wrap: an old one would lie ahead some day. */
	if (to->urg_state == FERRY_URG_NONE)
		to->urg_drop = read;
	else if (!ferry_urg_inline(&to->sk) &&
		 to->urg_at == ferry_urg_position(to, read))
		to->urg_drop = to->urg_at + 2;
	to->urg_at = at;
	to->urg_byte = byte;
	WRITE_ONCE(to->urg_state, FERRY_URG_VALID);
}

/**
 * ferry_urg_signal() - the urgent byte is queued: raise SIGURG and POLLPRI
 * @sk: receiver
 */
void ferry_urg_signal(struct sock *sk)
{
	/* For those who poll for it, whatever else is readable. */
	ferry_wake_reader(sk);
	/* Keeps sk_socket and its file from going away. */
	read_lock_bh(&sk->sk_callback_lock);
	sk_send_sigurg(sk);
	read_unlock_bh(&sk->sk_callback_lock);
}

/**
 * ferry_urg_recv() - recv(2) with MSG_OOB
 * @sk: receiver
 * @msg: where to
 * @len: bytes that fit
 * @flags: MSG_PEEK, MSG_TRUNC
 *
 * Return: bytes received; -EINVAL without an urgent byte, when it was taken, or
 * when it is part of the stream; -EFAULT, after which it can be read again.
 */
int ferry_urg_recv(struct sock *sk, struct msghdr *msg, size_t len, int flags)
{
	struct ferry_sock *fs = ferry_sk(sk);
	unsigned long at;
	bool valid;
	u8 byte;

	if (ferry_urg_inline(sk))
		return -EINVAL;

	spin_lock(&fs->lock);
	at = fs->urg_at;
	byte = fs->urg_byte;
	valid = fs->urg_state == FERRY_URG_VALID;
	if (valid && !(flags & MSG_PEEK))
		WRITE_ONCE(fs->urg_state, FERRY_URG_TAKEN);
	spin_unlock(&fs->lock);
	if (!valid)
		return -EINVAL;

	msg->msg_flags |= MSG_OOB;
	if (!len) {
		msg->msg_flags |= MSG_TRUNC;
		return 0;
	}
	if (flags & MSG_TRUNC || copy_to_iter(&byte, 1, &msg->msg_iter) == 1)
		return 1;

	/* Who peeks has taken nothing, but another may have meanwhile. */
	if (flags & MSG_PEEK)
		return -EFAULT;
	/* Unless a newer one has taken its place. */
	spin_lock(&fs->lock);
	if (fs->urg_at == at && fs->urg_state == FERRY_URG_TAKEN)
		WRITE_ONCE(fs->urg_state, FERRY_URG_VALID);
	spin_unlock(&fs->lock);
	return -EFAULT;
}

/**
 * ferry_urg_dropped() - is the next byte an urgent one that was replaced?
 * @fs: receiver; the caller holds recv_lock
 * @skip: bytes ahead of what is read from which to look
 *
 * Return: true if it is to be left out.
 */
bool ferry_urg_dropped(struct ferry_sock *fs, size_t skip)
{
	unsigned long at = fs->read + 2 * skip;
	bool dropped;

	lockdep_assert_held(&fs->recv_lock);

	spin_lock(&fs->lock);
	dropped = ferry_urg_position(fs, at) != at;
	spin_unlock(&fs->lock);
	return dropped;
}

/**
 * ferry_urg_ahead() - how far is it to the urgent byte?
 * @fs: receiver; the caller holds recv_lock
 * @skip: bytes ahead of what is read from which to count
 *
 * Return: bytes before it, 0 at the mark, LONG_MAX when there is none ahead.
 */
long ferry_urg_ahead(struct ferry_sock *fs, size_t skip)
{
	long ahead = LONG_MAX;

	lockdep_assert_held(&fs->recv_lock);

	spin_lock(&fs->lock);
	if (fs->urg_state != FERRY_URG_NONE)
		ahead = (long)(fs->urg_at - (fs->read + 2 * skip)) / 2;
	spin_unlock(&fs->lock);
	return ahead < 0 ? LONG_MAX : ahead;
}

/**
 * ferry_urg_passed() - the reader has moved on: forget an urgent byte behind
 * @fs: receiver; the caller holds recv_lock
 */
void ferry_urg_passed(struct ferry_sock *fs)
{
	lockdep_assert_held(&fs->recv_lock);

	spin_lock(&fs->lock);
	if ((long)(fs->read - fs->urg_at) > 0)
		WRITE_ONCE(fs->urg_state, FERRY_URG_NONE);
	spin_unlock(&fs->lock);
}

/*
 * Unread bytes of @fs, and in @ahead how many of them lie before the urgent byte,
 * all from one look at where the reader stands. Those that reads leave out are not
 * counted.
 */
static unsigned long ferry_urg_unread(const struct ferry_sock *fs,
				      unsigned long *ahead)
{
	unsigned long read, pos, end;

	lockdep_assert_held(&fs->lock);

	/* In this order: the reader never overtakes the writer. */
	read = smp_load_acquire(&fs->read);
	end = READ_ONCE(fs->written) & ~FERRY_STREAM_END;
	pos = ferry_urg_position(fs, read);
	*ahead = ULONG_MAX;
	/* One that is marked may not be published yet. */
	if ((long)(end - pos) <= 0)
		return 0;
	if (fs->urg_state != FERRY_URG_NONE && (long)(fs->urg_at - pos) >= 0)
		*ahead = (fs->urg_at - pos) / 2;
	return (end - pos) / 2;
}

/**
 * ferry_urg_inq() - SIOCINQ where there is an urgent byte
 * @sk: byte stream
 *
 * Return: bytes a read would give before it stops at the mark.
 */
unsigned long ferry_urg_inq(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);
	unsigned long unread, ahead;

	spin_lock(&fs->lock);
	unread = ferry_urg_unread(fs, &ahead);
	spin_unlock(&fs->lock);
	return ferry_urg_inline(sk) ? unread : min(unread, ahead);
}

/**
 * ferry_urg_readable() - what a read would find where there is an urgent byte
 * @sk: byte stream
 *
 * Return: unread bytes without those that reads leave out.
 */
unsigned long ferry_urg_readable(const struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);
	unsigned long unread, ahead;

	spin_lock(&fs->lock);
	unread = ferry_urg_unread(fs, &ahead);
	spin_unlock(&fs->lock);
	return unread - (unread && !ahead && !ferry_urg_inline(sk));
}

/**
 * ferry_urg_at_mark() - SIOCATMARK, and whether a read would begin at the mark
 * @sk: byte stream
 *
 * Return: true if so.
 */
bool ferry_urg_at_mark(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);
	bool at;

	if (likely(READ_ONCE(fs->urg_state) == FERRY_URG_NONE))
		return false;
	spin_lock(&fs->lock);
	at = fs->urg_state != FERRY_URG_NONE &&
	     fs->urg_at == ferry_urg_position(fs, READ_ONCE(fs->read));
	spin_unlock(&fs->lock);
	return at;
}

/**
 * ferry_urg_pending() - is there an urgent byte for MSG_OOB?
 * @sk: byte stream
 *
 * Return: true if so.
 */
bool ferry_urg_pending(struct sock *sk)
{
	return READ_ONCE(ferry_sk(sk)->urg_state) == FERRY_URG_VALID;
}
