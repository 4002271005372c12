// SPDX-License-Identifier: GPL-2.0
/*
 * Diagnosis: what can be told of a socket by somebody who does not own it, and
 * sock_diag for the family.
 *
 * A socket is looked at with a reference and nothing else held, while its owner
 * goes on: each value is true for some moment, not all for the same. Whatever
 * is behind a pointer is reached by a lock that the owner takes to change it.
 */
#include <linux/sock_diag.h>
#include <linux/string_helpers.h>
#include <linux/ferry_diag.h>
#include <net/ipv6.h>
#include <net/netlink.h>
#include <net/tcp_states.h>

#include "buffer.h"
#include "carrier_sockopt.h"
#include "carrier_tcp.h"
#include "diag.h"
#include "ferry.h"
#include "name.h"
#include "node.h"
#include "remote_dgram.h"
#include "socklist.h"
#include "stream.h"

/**
 * ferry_diag_peer() - the connected peer of somebody else's socket
 * @sk: socket of any type
 *
 * An owner's reference on its peer outlasts the moment it becomes @dead, so
 * before that the peer is there to be held.
 *
 * Return: the peer with a reference, or NULL.
 */
struct sock *ferry_diag_peer(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);
	struct sock *peer = NULL;

	/* Pairs with the link of two sockets, which takes no lock. */
	if (smp_load_acquire(&sk->sk_state) != TCP_ESTABLISHED)
		return NULL;

	spin_lock(&fs->lock);
	if (!fs->dead)
		peer = fs->peer;
	/* In the place of one on another host. */
	if (!ferry_connects(sk) && rcu_access_pointer(fs->remote))
		peer = NULL;
	if (peer)
		sock_hold(peer);
	spin_unlock(&fs->lock);
	return peer;
}

/**
 * ferry_diag_state() - the state of somebody else's socket
 * @sk: socket
 *
 * Return: TCP_CLOSE, TCP_LISTEN, TCP_SYN_SENT or TCP_ESTABLISHED, whether its peer is
 * on this host or on another.
 */
u8 ferry_diag_state(const struct sock *sk)
{
	int state = ferry_state(sk);

	switch (state) {
	case FERRY_REMOTE_CONNECTING:
		return TCP_SYN_SENT;
	case FERRY_REMOTE:
		return TCP_ESTABLISHED;
	default:
		return state;
	}
}

static u32 ferry_diag_records(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);
	const struct ferry_buf *buf;
	u32 len = 0;

	spin_lock(&fs->lock);
	if (!fs->dead)
		for (buf = fs->head; buf; buf = buf->next)
			len += buf->len;
	spin_unlock(&fs->lock);
	return len;
}

/**
 * ferry_diag_queues() - what waits at a socket, and of its own elsewhere
 * @sk: socket
 * @peer: its peer, held, or NULL
 * @len: the result
 */
void ferry_diag_queues(struct sock *sk, struct sock *peer,
		       struct ferry_diag_rqlen *len)
{
	struct sock *csk = ferry_tcp_get(sk);
	u32 messages;

	if (unlikely(csk)) {
		len->fdiag_rqueue = sk->sk_type == SOCK_STREAM ?
				    ferry_tcp_unread(csk) :
				    ferry_remote_queued(sk, &messages);
		len->fdiag_wqueue = ferry_tcp_outq(csk);
		sock_put(csk);
	} else if (READ_ONCE(sk->sk_state) == TCP_LISTEN) {
		len->fdiag_rqueue = READ_ONCE(sk->sk_ack_backlog);
		len->fdiag_wqueue = READ_ONCE(sk->sk_max_ack_backlog);
	} else if (sk->sk_type == SOCK_STREAM) {
		len->fdiag_rqueue = ferry_stream_queued(ferry_sk(sk));
		len->fdiag_wqueue = peer ? ferry_stream_queued(ferry_sk(peer)) : 0;
	} else {
		len->fdiag_rqueue = ferry_diag_records(sk) +
				    ferry_remote_queued(sk, &messages);
		len->fdiag_wqueue = atomic_read(&ferry_sk(sk)->unread);
	}
}

/* What has been queued for a socket since it was made, and how much of it waits. */
static u64 ferry_diag_total(struct sock *sk, u32 *records)
{
	struct ferry_sock *fs = ferry_sk(sk);
	const struct ferry_buf *buf;
	u64 total;

	*records = 0;
	if (sk->sk_type == SOCK_STREAM)
		return READ_ONCE(fs->written) / 2;

	spin_lock(&fs->lock);
	/* What a reader put back was counted again. */
	total = fs->written - fs->read;
	if (!fs->dead)
		for (buf = fs->head; buf; buf = buf->next)
			*records += buf->eor;
	spin_unlock(&fs->lock);
	return total;
}

/**
 * ferry_diag_carrier() - what takes a socket's messages to another host
 * @sk: socket
 *
 * Return: enum ferry_carrier.
 */
u8 ferry_diag_carrier(const struct sock *sk)
{
	if (ferry_remote(sk))
		return FERRY_CARRIER_TCP;
	return sk->sk_type == SOCK_DGRAM && ferry_carried(sk) ?
	       FERRY_CARRIER_UDP : FERRY_CARRIER_NONE;
}

/**
 * ferry_diag_node() - the host that a socket is connected to
 * @sk: socket
 * @node: the result
 *
 * Return: false without a peer on another host.
 */
bool ferry_diag_node(const struct sock *sk, struct in6_addr *node)
{
	struct sockaddr_ferry sa;

	if (ferry_remote(sk)) {
		/* Set before the state, and kept as long as the socket. */
		*node = *ferry_node(&ferry_sk(sk)->far_addr->sa);
		return true;
	}
	if (!ferry_remote_peer(sk, &sa))
		return false;
	*node = *ferry_node(&sa);
	return true;
}

/**
 * ferry_diag_info() - FERRY_INFO
 * @sk: socket
 * @info: the result
 *
 * Context: process.
 */
void ferry_diag_info(struct sock *sk, struct ferry_info *info)
{
	const struct ferry_addr *addr = ferry_own_addr(sk);
	struct sock *peer = ferry_diag_peer(sk);
	struct ferry_diag_rqlen len;
	u32 unread, messages;

	ferry_diag_queues(sk, peer, &len);
	memset(info, 0, sizeof(*info));
	info->fi_state = ferry_diag_state(sk);
	info->fi_carrier = ferry_diag_carrier(sk);
	info->fi_scope = addr ? addr->sa.sfy_scope : FERRY_SCOPE_HOST;
	info->fi_drops = atomic_read(&sk->sk_drops);
	info->fi_rqueue = len.fdiag_rqueue;
	info->fi_wqueue = len.fdiag_wqueue;
	info->fi_rtotal = ferry_diag_total(sk, &info->fi_rmessages);
	ferry_remote_queued(sk, &messages);
	info->fi_rmessages += messages;
	if (!peer)
		return;
	if (ferry_connects(sk))
		info->fi_wtotal = ferry_diag_total(peer, &unread);
	sock_put(peer);
}

/**
 * ferry_diag_uid() - who has a socket
 * @sk: socket
 *
 * Return: the owner; before the socket is accepted, who connected.
 */
kuid_t ferry_diag_uid(struct sock *sk)
{
	return READ_ONCE(sk->sk_uid);
}

/**
 * ferry_diag_cookie() - SO_COOKIE, by which all tools know a socket
 * @sk: socket; gets one if nobody has asked before
 *
 * Context: any.
 * Return: the cookie.
 */
u64 ferry_diag_cookie(const struct sock *sk)
{
	u32 half[2];

	sock_diag_save_cookie((struct sock *)sk, half);
	return (u64)half[1] << 32 | half[0];
}

/**
 * ferry_diag_ino() - sock_i_ino() without its lock
 * @sk: socket
 *
 * Context: any; tracepoints come here with preemption off, where a kernel with
 * PREEMPT_RT can take no lock.
 * Return: the inode, or 0 while there is none.
 */
unsigned long ferry_diag_ino(const struct sock *sk)
{
	struct socket *sock;
	unsigned long ino;

	rcu_read_lock();
	/* Freed with its inode, a grace period after release has cut it off. */
	sock = READ_ONCE(sk->sk_socket);
	ino = sock ? SOCK_INODE(sock)->i_ino : 0;
	rcu_read_unlock();
	return ino;
}

/**
 * ferry_diag_name() - the bound address as text
 * @sk: socket
 * @text: where to, or NULL when @size is 0
 * @size: bytes there; what does not fit is cut, the NUL is always there
 *
 * The name, or ferry://node/name under scope network. Bytes that do not print are
 * \xNN, and so is the backslash: the text leads back to the address.
 *
 * Context: any.
 * Return: length of the whole text; 0 without an address.
 */
int ferry_diag_name(const struct sock *sk, char *text, size_t size)
{
	static const char scheme[] = "ferry://";
	const struct ferry_addr *addr = ferry_own_addr(sk);
	const struct sockaddr_ferry *sa;
	const struct in6_addr *node;
	size_t n = 0, len;
	const char *name;

	if (size)
		*text = '\0';
	if (!addr)
		return 0;

	sa = &addr->sa;
	name = sa->sfy_name;
	len = addr->len - FERRY_ADDR_HDR;
	node = (const void *)sa->sfy_node;
	if (sa->sfy_scope == FERRY_SCOPE_NETWORK) {
		if (ipv6_addr_v4mapped(node))
			n = snprintf(text, size, "%s%pI4/", scheme,
				     &sa->sfy_node[12]);
		else
			n = snprintf(text, size, "%s[%pI6c]/", scheme, node);
	} else if (len >= strlen(scheme) &&
		   !memcmp(name, scheme, strlen(scheme))) {
		/* A name that only looks like one with a node. */
		n = string_escape_mem(name++, 1, text, size, ESCAPE_HEX, NULL);
		len--;
	}
	n += string_escape_mem(name, len, text + n, size - min(n, size),
			       ESCAPE_HEX | ESCAPE_NAP | ESCAPE_APPEND, "\\");
	if (size)
		text[min(n, size - 1)] = '\0';
	return n;
}

static int ferry_diag_put_name(struct sk_buff *skb, int attr,
			       const struct ferry_addr *addr)
{
	return addr ? nla_put(skb, attr, addr->len, &addr->sa) : 0;
}

static int ferry_diag_put_peer(struct sk_buff *skb, struct sock *peer)
{
	struct ferry_diag_peer id = { .fdiag_ino = sock_i_ino(peer) };

	sock_diag_save_cookie(peer, id.fdiag_cookie);
	return nla_put(skb, FERRY_DIAG_PEER, sizeof(id), &id);
}

static int ferry_diag_put_icons(struct sk_buff *skb, struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk), *child;
	unsigned int n = 0, i = 0;
	struct nlattr *attr;
	u32 *ino;

	spin_lock(&fs->lock);
	/* The queue is there while the socket listens. */
	if (sk->sk_state != TCP_LISTEN) {
		spin_unlock(&fs->lock);
		return 0;
	}
	list_for_each_entry(child, &fs->accept_queue, node)
		if (++n == FERRY_DIAG_ICONS_MAX)
			break;
	attr = nla_reserve(skb, FERRY_DIAG_ICONS, n * sizeof(*ino));
	if (attr) {
		ino = nla_data(attr);
		list_for_each_entry(child, &fs->accept_queue, node) {
			if (i == n)
				break;
			/* A child in the queue has its peer, if here, and keeps it. */
			ino[i++] = child->peer ? sock_i_ino(child->peer) : 0;
		}
	}
	spin_unlock(&fs->lock);
	return attr ? 0 : -EMSGSIZE;
}

static int ferry_diag_put_queues(struct sk_buff *skb, struct sock *sk,
				 struct sock *peer)
{
	struct ferry_diag_rqlen len;

	ferry_diag_queues(sk, peer, &len);
	return nla_put(skb, FERRY_DIAG_RQLEN, sizeof(len), &len);
}

static int ferry_diag_put_mode(struct sk_buff *skb, struct sock *sk)
{
	int mode = ferry_name_get_mode(sk);

	return mode < 0 ? 0 : nla_put_u32(skb, FERRY_DIAG_MODE, mode);
}

/* The attributes asked for; nonzero when they do not fit. */
static int ferry_diag_put(struct sk_buff *skb, struct sock *sk, u32 show,
			  struct user_namespace *user_ns)
{
	struct sock *peer = ferry_diag_peer(sk);
	struct sockaddr_ferry sa;
	int err, len;

	err = nla_put_u8(skb, FERRY_DIAG_SHUTDOWN, READ_ONCE(sk->sk_shutdown));
	if (!err)
		err = nla_put_u8(skb, FERRY_DIAG_CARRIER, ferry_diag_carrier(sk));
	if (!err && (show & FERRY_DIAG_SHOW_NAME))
		err = ferry_diag_put_name(skb, FERRY_DIAG_NAME, ferry_own_addr(sk));
	if (!err && (show & FERRY_DIAG_SHOW_NAME) && peer)
		err = ferry_diag_put_name(skb, FERRY_DIAG_PEER_NAME,
					  ferry_own_addr(peer));
	/* Set before the state, and kept as long as the socket. */
	if (!err && (show & FERRY_DIAG_SHOW_NAME) && ferry_remote(sk))
		err = ferry_diag_put_name(skb, FERRY_DIAG_PEER_NAME,
					  ferry_sk(sk)->far_addr);
	len = ferry_remote_peer(sk, &sa);
	if (!err && (show & FERRY_DIAG_SHOW_NAME) && len)
		err = nla_put(skb, FERRY_DIAG_PEER_NAME, len, &sa);
	if (!err && (show & FERRY_DIAG_SHOW_PEER) && peer)
		err = ferry_diag_put_peer(skb, peer);
	if (!err && (show & FERRY_DIAG_SHOW_ICONS) &&
	    READ_ONCE(sk->sk_state) == TCP_LISTEN)
		err = ferry_diag_put_icons(skb, sk);
	if (!err && (show & FERRY_DIAG_SHOW_RQLEN))
		err = ferry_diag_put_queues(skb, sk, peer);
	if (!err && (show & FERRY_DIAG_SHOW_MEMINFO))
		err = sock_diag_put_meminfo(sk, skb, FERRY_DIAG_MEMINFO);
	if (!err && (show & FERRY_DIAG_SHOW_UID))
		err = nla_put_u32(skb, FERRY_DIAG_UID,
				  from_kuid_munged(user_ns, ferry_diag_uid(sk)));
	if (!err && (show & FERRY_DIAG_SHOW_MODE))
		err = ferry_diag_put_mode(skb, sk);

	if (peer)
		sock_put(peer);
	return err;
}

/* One socket as a message, whole or not at all. */
static int ferry_diag_fill(struct sk_buff *skb, struct sock *sk,
			   const struct nlmsghdr *request, u32 portid, int flags,
			   struct user_namespace *user_ns)
{
	const struct ferry_diag_req *req = nlmsg_data(request);
	struct ferry_diag_msg *msg;
	struct nlmsghdr *nlh;

	nlh = nlmsg_put(skb, portid, request->nlmsg_seq, SOCK_DIAG_BY_FAMILY,
			sizeof(*msg), flags);
	if (!nlh)
		return -EMSGSIZE;

	msg = nlmsg_data(nlh);
	msg->fdiag_family = AF_FERRY;
	msg->fdiag_type = sk->sk_type;
	msg->fdiag_state = ferry_diag_state(sk);
	msg->fdiag_flags = READ_ONCE(ferry_sk(sk)->unaccepted) ?
			   FERRY_DIAG_F_UNACCEPTED : 0;
	msg->fdiag_ino = sock_i_ino(sk);
	sock_diag_save_cookie(sk, msg->fdiag_cookie);

	if (ferry_diag_put(skb, sk, req->fdiag_show, user_ns)) {
		nlmsg_cancel(skb, nlh);
		return -EMSGSIZE;
	}
	nlmsg_end(skb, nlh);
	return 0;
}

/**
 * struct ferry_diag_cursor - how far a dump is, in netlink_callback.ctx
 * @place: where to go on, see ferry_socklist_next()
 */
struct ferry_diag_cursor {
	u64	place;
};

static int ferry_diag_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	const struct ferry_diag_req *req = nlmsg_data(cb->nlh);
	struct ferry_diag_cursor *cursor = (void *)cb->ctx;
	struct net *net = sock_net(skb->sk);
	struct sock *sk = NULL;

	BUILD_BUG_ON(sizeof(*cursor) > sizeof(cb->ctx));

	for (;; cursor->place++) {
		sk = ferry_socklist_next(net, sk, &cursor->place);
		if (!sk)
			break;
		if (!(req->fdiag_states & BIT(ferry_diag_state(sk))))
			continue;
		if (ferry_diag_fill(skb, sk, cb->nlh, NETLINK_CB(cb->skb).portid,
				    NLM_F_MULTI, sk_user_ns(skb->sk))) {
			/* This one begins the next message. */
			sock_put(sk);
			break;
		}
	}
	return skb->len;
}

/* The one socket that is meant, with a reference. */
static struct sock *ferry_diag_find(struct net *net,
				    const struct ferry_diag_req *req)
{
	struct sock *sk = NULL;
	u64 place = 0;
	int err;

	if (!req->fdiag_ino && req->fdiag_cookie[0] == U32_MAX &&
	    req->fdiag_cookie[1] == U32_MAX)
		return ERR_PTR(-EINVAL);

	for (;; place++) {
		sk = ferry_socklist_next(net, sk, &place);
		if (!sk)
			return ERR_PTR(-ENOENT);
		if (req->fdiag_ino && (u32)sock_i_ino(sk) != req->fdiag_ino)
			continue;
		err = sock_diag_check_cookie(sk, req->fdiag_cookie);
		if (!err)
			return sk;
		if (!req->fdiag_ino)
			continue;
		sock_put(sk);
		return ERR_PTR(err);
	}
}

static int ferry_diag_get(struct sk_buff *skb, const struct nlmsghdr *nlh)
{
	struct net *net = sock_net(skb->sk);
	struct sk_buff *answer;
	struct sock *sk;
	int err;

	sk = ferry_diag_find(net, nlmsg_data(nlh));
	if (IS_ERR(sk))
		return PTR_ERR(sk);

	err = -ENOMEM;
	answer = nlmsg_new(NLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!answer)
		goto out;
	err = ferry_diag_fill(answer, sk, nlh, NETLINK_CB(skb).portid, 0,
			      sk_user_ns(NETLINK_CB(skb).sk));
	if (err) {
		nlmsg_free(answer);
		goto out;
	}
	err = nlmsg_unicast(net->diag_nlsk, answer, NETLINK_CB(skb).portid);
out:
	sock_put(sk);
	return err;
}

static int ferry_diag_request(struct sk_buff *skb, struct nlmsghdr *nlh)
{
	struct netlink_dump_control control = { .dump = ferry_diag_dump };
	const struct ferry_diag_req *req = nlmsg_data(nlh);

	if (nlmsg_len(nlh) < (int)sizeof(*req) || req->sdiag_protocol || req->pad)
		return -EINVAL;
	if (nlh->nlmsg_flags & NLM_F_DUMP)
		return netlink_dump_start(sock_net(skb->sk)->diag_nlsk, skb, nlh,
					  &control);
	return ferry_diag_get(skb, nlh);
}

static const struct sock_diag_handler ferry_diag_handler = {
	.owner	= THIS_MODULE,
	.family	= AF_FERRY,
	.dump	= ferry_diag_request,
};

/**
 * ferry_diag_init() - answer requests
 *
 * Return: 0 or -EBUSY.
 */
int ferry_diag_init(void)
{
	return sock_diag_register(&ferry_diag_handler);
}

/* ferry_diag_exit() - answer no more; a dump under way keeps the module */
void ferry_diag_exit(void)
{
	sock_diag_unregister(&ferry_diag_handler);
}
