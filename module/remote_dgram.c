// SPDX-License-Identifier: GPL-2.0
/*
 * Datagrams to and from other hosts.
 *
 * What is sent goes by the socket's own UDP socket, with a header before it. What
 * arrives, in softirq, goes to the core's sk_receive_queue, with the core's limit,
 * filter, stamps and drop counter: record.c's queue is for process context only. A
 * reader takes from both in turn, and gets the payload from where the network put it;
 * the header still lies before it and tells who sent it.
 *
 * A socket connected to another host has @remote, and itself for its peer, so that
 * nobody of this host is taken for the one it listens to.
 */
#include <linux/errqueue.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/jhash.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/udp.h>
#include <net/busy_poll.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/route.h>

#include "buffer.h"
#include "carrier.h"
#include "carrier_sockopt.h"
#include "carrier_udp.h"
#include "cmsg.h"
#include "compat.h"
#include "frame.h"
#include "name.h"
#include "node.h"
#include "packet.h"
#include "remote_dgram.h"
#include "timestamp.h"

/* How many sockets of a name get what was sent to a whole link. */
#define FERRY_LINK_RECEIVERS	64

/* Messages up to so many bytes need no memory of their own on their way to UDP. */
#define FERRY_REMOTE_SMALL	128

/* What UDP is told of how to send. */
#define FERRY_REMOTE_FLAGS	(MSG_DONTROUTE | MSG_CONFIRM)

/**
 * struct ferry_remote - the socket of another host that one is connected to
 * @rcu: frees it
 * @kind: where it leads: FERRY_NODE_REMOTE or FERRY_NODE_LINK
 * @port: the port that the carrier is connected to there
 * @direct: the carrier is connected to it, and stays so for who is within
 *	ferry_remote_srcu and sees this. Written under lock_sock()
 * @len: length of the address
 * @sa: its address
 */
struct ferry_remote {
	struct rcu_head		rcu;
	int			kind;
	u16			port;
	bool			direct;
	int			len;
	struct sockaddr_ferry	sa;
};

/*
 * Who hands messages to a carrier without saying where to. It never waits there for
 * anything but memory.
 */
DEFINE_STATIC_SRCU(ferry_remote_srcu);

/* May @sk send to a node of another host, or of a link? */
static int ferry_remote_reach(const struct sock *sk, const struct in6_addr *node,
			      int kind)
{
	static const struct in6_addr all_nodes = IN6ADDR_LINKLOCAL_ALLNODES_INIT;
	int type = ipv6_addr_type(node);

	if (!ferry_port(sock_net(sk)))
		return -ENETUNREACH;
	if (kind == FERRY_NODE_LINK) {
		/* A link, or a broadcast address; other groups are not carried. */
		if (!(type & IPV6_ADDR_MAPPED) && !ipv6_addr_equal(node, &all_nodes))
			return -ENETUNREACH;
		if ((type & IPV6_ADDR_MAPPED) && ipv4_is_multicast(node->s6_addr32[3]))
			return -ENETUNREACH;
		if (!sock_flag(sk, SOCK_BROADCAST))
			return -EACCES;
	}
	if ((type & IPV6_ADDR_LINKLOCAL) && !READ_ONCE(sk->sk_bound_dev_if))
		return -EINVAL;
	return 0;
}

/* Control messages go to UDP as they are, but for what would cut the header off. */
static bool ferry_remote_cmsgs_ok(struct msghdr *msg)
{
	struct cmsghdr *cmsg;

	for_each_cmsghdr(cmsg, msg)
		if (cmsg->cmsg_level == SOL_UDP)
			return false;
	return true;
}

/*
 * Is the carrier connected to a node? Then UDP need not be told where to, and keeps the
 * route. Whose peer another thread may be changing is found out within ferry_remote_srcu.
 */
static bool ferry_remote_direct(const struct sock *sk, const struct in6_addr *node)
{
	const struct ferry_remote *remote;
	bool direct;

	RCU_LOCKDEP_WARN(!srcu_read_lock_held(&ferry_remote_srcu),
			 "the carrier may be led elsewhere");

	rcu_read_lock();
	remote = rcu_dereference(ferry_sk(sk)->remote);
	/* Pairs with ferry_remote_settled(). */
	direct = remote && smp_load_acquire(&remote->direct) &&
		 remote->port == ferry_port(sock_net(sk)) &&
		 ipv6_addr_equal(ferry_node(&remote->sa), node);
	rcu_read_unlock();
	return direct && ferry_udp_connected(ferry_sk(sk)->carrier->sk);
}

/*
 * Hand a packet for a node to UDP, which does not wait. Where stamps are @numbered the
 * number @key is the socket's, which counts what it sends to this host too.
 */
static int ferry_remote_pass(struct sock *sk, struct msghdr *msg,
			     const struct in6_addr *node, void *packet, size_t len,
			     bool numbered, u32 key)
{
	struct socket *carrier = ferry_sk(sk)->carrier;
	struct kvec vec = { .iov_base = packet, .iov_len = len };
	int err, idx;

	if (likely(!numbered) && rcu_access_pointer(ferry_sk(sk)->remote)) {
		idx = srcu_read_lock(&ferry_remote_srcu);
		if (likely(ferry_remote_direct(sk, node))) {
			err = ferry_udp_send(carrier->sk, msg, &vec);
			srcu_read_unlock(&ferry_remote_srcu, idx);
			return err < 0 ? err : 0;
		}
		srcu_read_unlock(&ferry_remote_srcu, idx);
	}

	if (unlikely(numbered)) {
		lock_sock(sk);
		atomic_set(&carrier->sk->sk_tskey, key);
	}
	err = kernel_sendmsg(carrier, msg, &vec, 1, len);
	if (unlikely(numbered))
		release_sock(sk);
	return err < 0 ? err : 0;
}

/* Is who waits for room at the carrier to go on? */
static bool ferry_remote_awake(struct sock *sk)
{
	return !ferry_udp_full(sk) || READ_ONCE(sk->sk_err) ||
	       READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN;
}

/* So often in a row a sender may find that there is room after there was none. */
#define FERRY_REMOTE_TRIES	16

/*
 * The carrier has no room. Who waits does so where the socket's events come, not in UDP.
 * @tries counts what is tried again without waiting. Returns 0 to try again.
 */
static int ferry_remote_await(struct sock *sk, unsigned int *tries, long *timeo)
{
	long left;
	int err;

	/* That there is no port left for the carrier UDP says by the same error. */
	if (!inet_sk(ferry_sk(sk)->carrier->sk)->inet_num)
		return -EAGAIN;
	/* There is again; or it is not about room, and a BPF program has chosen the error. */
	if (!ferry_udp_full(sk))
		return ++*tries < FERRY_REMOTE_TRIES ? 0 : -EAGAIN;
	*tries = 0;
	if (!*timeo)
		return -EAGAIN;
	left = wait_event_interruptible_timeout(*sk_sleep(sk), ferry_remote_awake(sk),
						*timeo);
	if (left < 0)
		return sock_intr_errno(*timeo);
	if (*timeo != MAX_SCHEDULE_TIMEOUT)
		*timeo = left;
	if (READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN)
		return -EPIPE;
	err = sock_error(sk);
	if (err)
		return err;
	return left ? 0 : -EAGAIN;
}

/* Send a datagram to an address, that of the connected peer too. */
static int ferry_remote_xmit(struct sock *sk, struct msghdr *msg, size_t len,
			     const struct ferry_sender *from,
			     const struct sockaddr_ferry *sa, int sa_len)
{
	const struct ferry_addr *own = ferry_own_addr(sk);
	struct sockaddr_storage addr __uninitialized;
	struct msghdr out = {};
	struct sock *carrier;
	char small[FERRY_PACKET_HDR_MAX + FERRY_REMOTE_SMALL] __uninitialized;
	unsigned int tries = 0;
	char *packet = small;
	bool numbered;
	u8 src_len = 0;
	u32 key = 0;
	int err, addr_len;
	size_t hdr, n;
	long timeo;

	if (unlikely(READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN))
		return -EPIPE;
	if (from->rights)
		return -EOPNOTSUPP;
	if (len > FERRY_PACKET_MAX)
		return -EMSGSIZE;
	if (unlikely(msg->msg_controllen) && !ferry_remote_cmsgs_ok(msg))
		return -EINVAL;
	if (unlikely(!ferry_carried(sk))) {
		err = ferry_udp_attach(sk);
		if (err)
			return err;
	}
	ferry_carrier_refresh(sk);
	carrier = ferry_sk(sk)->carrier->sk;
	if (unlikely(ferry_udp_strays(carrier)))
		ferry_udp_drain(sk);
	addr_len = ferry_udp_addr(carrier, ferry_node(sa), ferry_port(sock_net(sk)),
				  &addr);
	if (addr_len < 0)
		return addr_len;
	if (unlikely((sock_flag(sk, SOCK_LOCALROUTE) || msg->msg_flags & MSG_DONTROUTE) &&
		     ferry_node_beyond(carrier, ferry_node(sa))))
		return -ENETUNREACH;

	if (len > FERRY_REMOTE_SMALL) {
		packet = kvmalloc(FERRY_PACKET_HDR_MAX + len, sk->sk_allocation);
		if (!packet)
			return -ENOMEM;
	}
	/* Only who can be reached from there is anybody there. */
	if (own && own->sa.sfy_scope == FERRY_SCOPE_NETWORK)
		src_len = own->len - FERRY_ADDR_HDR;
	hdr = ferry_packet_build(packet, own ? own->sa.sfy_name : NULL, src_len,
				 sa->sfy_name, sa_len - FERRY_ADDR_HDR);
	n = ferry_copy_from(packet + hdr, len, &msg->msg_iter);
	if (unlikely(n != len)) {
		iov_iter_revert(&msg->msg_iter, n);
		err = -EFAULT;
		goto out;
	}
	if (msg->msg_ubuf)
		uarg_to_msgzc(msg->msg_ubuf)->zerocopy = 0;

	numbered = ferry_wants_txstamp(from) && !(from->tsflags & FERRY_TS_OPT_ID);
	if (unlikely(numbered))
		key = ferry_txstamp_key(sk, 1);
	timeo = sock_sndtimeo(sk, msg->msg_flags & MSG_DONTWAIT);
	out.msg_flags = (msg->msg_flags & FERRY_REMOTE_FLAGS) | MSG_DONTWAIT |
			MSG_NOSIGNAL;
	out.msg_control = msg->msg_control;
	out.msg_controllen = msg->msg_controllen;
	for (;;) {
		out.msg_name = &addr;
		out.msg_namelen = addr_len;
		err = ferry_remote_pass(sk, &out, ferry_node(sa), packet, hdr + len,
					numbered, key);
		if (likely(err != -EAGAIN))
			break;
		err = ferry_remote_await(sk, &tries, &timeo);
		if (err)
			break;
	}
	if (!err)
		ferry_count(sock_net(sk), FERRY_STAT_UDP_SENT);
out:
	if (packet != small)
		kvfree(packet);
	return err;
}

/**
 * ferry_remote_sendto() - send a datagram to an address of another host
 * @sk: sender
 * @msg: message with the address, which ferry_addr_check() accepted
 * @len: its bytes
 * @from: who sends
 * @kind: where the address leads: FERRY_NODE_REMOTE or FERRY_NODE_LINK
 *
 * Context: process, may sleep.
 * Return: 0 or an error, see af_ferry(7).
 */
int ferry_remote_sendto(struct sock *sk, struct msghdr *msg, size_t len,
			const struct ferry_sender *from, int kind)
{
	const struct sockaddr_ferry *sa = msg->msg_name;
	int err;

	if (msg->msg_namelen == FERRY_ADDR_HDR)
		return -ECONNREFUSED;
	err = ferry_remote_reach(sk, ferry_node(sa), kind);
	if (err)
		return err;
	return ferry_remote_xmit(sk, msg, len, from, sa, msg->msg_namelen);
}

/* The address of the peer, and where it leads. Returns its length, or 0. */
static int ferry_remote_whom(const struct sock *sk, struct sockaddr_ferry *sa,
			     int *kind)
{
	const struct ferry_remote *remote;
	int len = 0;

	rcu_read_lock();
	remote = rcu_dereference(ferry_sk(sk)->remote);
	if (remote) {
		*kind = remote->kind;
		len = remote->len;
		memcpy(sa, &remote->sa, len);
	}
	rcu_read_unlock();
	return len;
}

/**
 * ferry_remote_peer() - the address of the peer on another host
 * @sk: datagram socket
 * @sa: the result
 *
 * Return: its length, or 0 without such a peer.
 */
int ferry_remote_peer(const struct sock *sk, struct sockaddr_ferry *sa)
{
	int kind;

	return ferry_connects(sk) ? 0 : ferry_remote_whom(sk, sa, &kind);
}

/**
 * ferry_remote_send() - send a datagram to the peer on another host
 * @sk: sender
 * @msg: message without an address
 * @len: its bytes
 * @from: who sends
 *
 * What the network has told of earlier ones is told first, as UDP does.
 *
 * Context: process, may sleep.
 * Return: 0, -ENOTCONN when the peer, if any, is of this host, or an error.
 */
int ferry_remote_send(struct sock *sk, struct msghdr *msg, size_t len,
		      const struct ferry_sender *from)
{
	struct sockaddr_ferry sa __uninitialized;
	int err, kind, sa_len;

	sa_len = ferry_remote_whom(sk, &sa, &kind);
	if (!sa_len)
		return -ENOTCONN;
	err = sock_error(sk);
	if (err)
		return err;
	err = ferry_remote_reach(sk, ferry_node(&sa), kind);
	if (err)
		return err;
	err = ferry_remote_xmit(sk, msg, len, from, &sa, sa_len);
	/* Not for the reason that the caller would take it for. */
	return err == -ENOTCONN ? -EPERM : err;
}

/* The carrier is going to be no longer connected to @remote: nobody counts on it. */
static void ferry_remote_unsettle(struct ferry_remote *remote)
{
	WRITE_ONCE(remote->direct, false);
	synchronize_srcu_expedited(&ferry_remote_srcu);
}

/* It is connected to @remote again; to those of a link each message tells where to. */
static void ferry_remote_settled(struct ferry_remote *remote, u16 port)
{
	remote->port = port;
	/* Pairs with ferry_remote_direct(). */
	smp_store_release(&remote->direct, remote->kind == FERRY_NODE_REMOTE);
}

/**
 * ferry_remote_connect() - connect to a socket of another host
 * @sk: datagram socket
 * @sa: its address, which ferry_addr_check() accepted and which has a name
 * @len: its length
 * @kind: where it leads
 *
 * Nothing is sent. To be followed by the socket's becoming its own peer.
 *
 * Context: process, may sleep; lock_sock(@sk) held, and a carrier there.
 * Return: 0 or an error.
 */
int ferry_remote_connect(struct sock *sk, const struct sockaddr_ferry *sa, int len,
			 int kind)
{
	struct ferry_remote *remote, *old;
	u16 port = ferry_port(sock_net(sk));
	int err;

	sock_owned_by_me(sk);

	err = ferry_remote_reach(sk, ferry_node(sa), kind);
	if (err)
		return err;
	old = rcu_dereference_protected(ferry_sk(sk)->remote, lockdep_sock_is_held(sk));
	remote = kzalloc(sizeof(*remote), GFP_KERNEL_ACCOUNT);
	if (!remote)
		return -ENOMEM;
	remote->kind = kind;
	remote->len = len;
	memcpy(&remote->sa, sa, len);
	ferry_carrier_refresh(sk);
	/* UDP keeps its own address of a connect, which is of one of the two families. */
	if (old) {
		ferry_remote_unsettle(old);
		ferry_udp_disconnect(sk);
	}
	err = ferry_udp_connect(sk, ferry_node(sa), port);
	if (err) {
		/* It went there before. */
		if (old && !ferry_udp_connect(sk, ferry_node(&old->sa), port))
			ferry_remote_settled(old, port);
		kfree(remote);
		return err;
	}
	ferry_remote_settled(remote, port);
	rcu_assign_pointer(ferry_sk(sk)->remote, remote);
	if (old)
		kfree_rcu(old, rcu);
	return 0;
}

/**
 * ferry_remote_forget() - a socket has no peer on another host any more
 * @sk: datagram socket
 *
 * Context: process, may sleep; lock_sock(@sk) held or nobody else uses it.
 */
void ferry_remote_forget(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);
	struct ferry_remote *remote;

	remote = rcu_replace_pointer(fs->remote, NULL, true);
	kfree_rcu(remote, rcu);
}

/**
 * ferry_remote_disconnect() - the same, and its carrier leads nowhere
 * @sk: datagram socket with a peer on another host
 *
 * Context: process, may sleep; lock_sock(@sk) held.
 */
void ferry_remote_disconnect(struct sock *sk)
{
	sock_owned_by_me(sk);

	ferry_remote_unsettle(rcu_dereference_protected(ferry_sk(sk)->remote,
							lockdep_sock_is_held(sk)));
	ferry_udp_disconnect(sk);
	ferry_remote_forget(sk);
}

/**
 * ferry_remote_bound() - what a socket sends leaves from the node it is now bound to
 * @sk: socket
 *
 * Context: process, may sleep; lock_sock(@sk) held.
 */
void ferry_remote_bound(struct sock *sk)
{
	u16 port = ferry_port(sock_net(sk));
	struct ferry_remote *remote;

	sock_owned_by_me(sk);

	if (likely(ferry_connects(sk) || !ferry_carried(sk)) || !ferry_udp_source(sk))
		return;
	remote = rcu_dereference_protected(ferry_sk(sk)->remote,
					   lockdep_sock_is_held(sk));
	if (!remote) {
		ferry_udp_leave_from(sk);
		return;
	}
	/* It has a source of UDP's choice. */
	ferry_remote_unsettle(remote);
	ferry_udp_disconnect(sk);
	/* If that fails sending tells why. */
	if (!ferry_udp_connect(sk, ferry_node(&remote->sa), port))
		ferry_remote_settled(remote, port);
}

/**
 * ferry_remote_takes() - is a datagram from whom a socket is connected to?
 * @to: datagram socket that is its own peer
 * @at: what came; RCU is held
 *
 * Return: true if so.
 */
bool ferry_remote_takes(const struct sock *to, const struct ferry_arrival *at)
{
	const struct ferry_remote *remote = rcu_dereference(ferry_sk(to)->remote);

	return remote && remote->len == FERRY_ADDR_LEN(at->src_len) &&
	       ipv6_addr_equal(ferry_node(&remote->sa), at->src_node) &&
	       !memcmp(remote->sa.sfy_name, at->src, at->src_len);
}

/* The header of a message in sk_receive_queue: it lies behind UDP's. */
static const struct ferry_packet *ferry_remote_packet(const struct sk_buff *skb)
{
	return (const void *)(skb_transport_header(skb) + sizeof(struct udphdr));
}

/* Was it sent to all hosts of a link? */
static bool ferry_remote_to_link(const struct sk_buff *skb,
				 const struct in6_addr *dst)
{
	const struct rtable *rt;

	if (!ipv6_addr_v4mapped(dst))
		return ipv6_addr_is_multicast(dst);
	rt = skb_rtable(skb);
	return !rt || (rt->rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST));
}

/* Queue a message, whose reference is used up, at a socket. */
static void ferry_remote_queue(struct sock *to, struct sk_buff *skb)
{
	struct net *net = sock_net(to);
	int err = -EPIPE;

	/* Of the network only who sent it is of interest from here on. */
	skb_dst_drop(skb);
	skb_ext_reset(skb);
	nf_reset_ct(skb);
	sk_mark_napi_id(to, skb);
	if (READ_ONCE(to->sk_state) == TCP_ESTABLISHED)
		sk_incoming_cpu_update(to);
	if (!READ_ONCE(ferry_sk(to)->dead) &&
	    !(READ_ONCE(to->sk_shutdown) & RCV_SHUTDOWN))
		err = sock_queue_rcv_skb(to, skb);
	if (likely(!err)) {
		ferry_count(net, FERRY_STAT_UDP_RECEIVED);
		return;
	}
	ferry_count(net, FERRY_STAT_UDP_DROPPED);
	if (err == -ENOMEM || err == -ENOBUFS)
		/* The core has counted it at the socket. */
		trace_ferry_drop(to, "rcvbuf");
	else if (err != -EPIPE)
		ferry_dropped(to, "filter");
	kfree_skb(skb);
}

/**
 * struct ferry_link - a message to all sockets of a name
 * @skb: the message
 * @left: how many more may get it
 */
struct ferry_link {
	struct sk_buff	*skb;
	unsigned int	left;
};

/* False when no more get it. */
static bool ferry_link_queue(struct sock *to, void *arg)
{
	struct ferry_link *link = arg;
	struct sk_buff *skb = NULL;

	if (link->left) {
		link->left--;
		skb = skb_clone(link->skb, GFP_ATOMIC);
	}
	if (skb) {
		ferry_remote_queue(to, skb);
		return true;
	}
	ferry_count(sock_net(to), FERRY_STAT_UDP_DROPPED);
	ferry_dropped(to, "broadcast");
	return link->left;
}

/* Why nobody gets a message, as a counter. */
static enum ferry_stat ferry_remote_reason(int err)
{
	return err == -EACCES ? FERRY_STAT_UDP_DENIED : FERRY_STAT_UDP_NOBODY;
}

static void ferry_remote_deliver_link(struct net *net, struct sk_buff *skb,
				      const struct ferry_arrival *at)
{
	struct ferry_link link = { .skb = skb, .left = FERRY_LINK_RECEIVERS };
	int err;

	err = ferry_name_each_remote(net, at, ferry_link_queue, &link);
	if (err)
		ferry_refuse(net, ferry_remote_reason(err), at->src_node);
	consume_skb(skb);
}

/*
 * Can an address be that of another host? What IPv6 itself brings with an IPv4 address
 * mapped into one, or with none, would be taken for somebody else's.
 */
static bool ferry_remote_source_ok(const struct sk_buff *skb,
				   const struct in6_addr *src)
{
	if (skb->protocol == htons(ETH_P_IPV6))
		return !ipv6_addr_any(src) && !ipv6_addr_v4mapped(src);
	return src->s6_addr32[3];
}

/**
 * ferry_remote_rcv() - a datagram has arrived
 * @net: namespace
 * @skb: what UDP has received, from its header on; used up
 *
 * Nothing is ever answered.
 *
 * Context: softirq, RCU is held.
 */
void ferry_remote_rcv(struct net *net, struct sk_buff *skb)
{
	const struct ferry_packet *packet;
	struct ferry_arrival at = {};
	struct in6_addr src, dst;
	struct sock *to;

	packet = ferry_packet_parse(skb, sizeof(struct udphdr));
	ferry_udp_nodes(skb, &src, &dst);
	if (unlikely(!packet || !ferry_remote_source_ok(skb, &src))) {
		net_warn_ratelimited("ferry: malformed datagram from %pI6c\n", &src);
		ferry_refuse(net, FERRY_STAT_UDP_MALFORMED, &src);
		kfree_skb(skb);
		return;
	}
	at.type = SOCK_DGRAM;
	at.src = packet->names;
	at.src_len = packet->src_len;
	at.src_node = &src;
	at.name = packet->names + packet->src_len;
	at.len = packet->dst_len;
	at.node = &dst;
	at.dif = skb->dev->ifindex;
	at.hash = jhash(packet->names, packet->src_len, ipv6_addr_hash(&src));
	at.skb = skb;
	__skb_pull(skb, sizeof(struct udphdr) + ferry_packet_len(packet));

	if (unlikely(ferry_remote_to_link(skb, &dst))) {
		ferry_remote_deliver_link(net, skb, &at);
		return;
	}
	to = ferry_name_find_remote(net, &at);
	if (IS_ERR(to)) {
		ferry_refuse(net, ferry_remote_reason(PTR_ERR(to)), &src);
		kfree_skb(skb);
		return;
	}
	ferry_remote_queue(to, skb);
	sock_put(to);
}

/* The address of a message's sender. Returns its length. */
static int ferry_remote_sender(const struct sk_buff *skb, struct sockaddr_ferry *sa)
{
	const struct ferry_packet *packet = ferry_remote_packet(skb);
	struct in6_addr src, dst;

	ferry_udp_nodes(skb, &src, &dst);
	memset(sa, 0, sizeof(*sa));
	sa->sfy_family = AF_FERRY;
	sa->sfy_scope = FERRY_SCOPE_NETWORK;
	memcpy(sa->sfy_node, &src, sizeof(src));
	memcpy(sa->sfy_name, packet->names, packet->src_len);
	return FERRY_ADDR_LEN(packet->src_len);
}

/**
 * ferry_remote_turn() - is it the turn of what came from other hosts?
 * @sk: datagram socket
 * @flags: of the call
 *
 * A peek shows what the next read takes. With SO_PEEK_OFF, whose offset is one for
 * both, what is of this host comes first.
 *
 * Return: true if so, or if there is nothing of this host.
 */
bool ferry_remote_turn(struct sock *sk, int flags)
{
	struct ferry_sock *fs = ferry_sk(sk);
	bool local;

	if (!READ_ONCE(fs->head))
		return true;
	if (READ_ONCE(fs->sk.sk_peek_off) >= 0)
		return false;
	local = READ_ONCE(fs->local_next);
	if (!(flags & MSG_PEEK))
		WRITE_ONCE(fs->local_next, !local);
	return !local;
}

/* Fill in everything about a message but its bytes. */
static void ferry_remote_describe(struct socket *sock, struct msghdr *msg,
				  struct sk_buff *skb, int flags)
{
	bool connects = ferry_connects(sock->sk);
	struct sock *sk = sock->sk;

	if (msg->msg_name)
		msg->msg_namelen = connects ?
				   ferry_addr_copy(msg->msg_name, ferry_sk(sk)->far_addr) :
				   ferry_remote_sender(skb, msg->msg_name);
	ferry_recv_extras_skb(sk, msg, skb);
	if (!skb->len || (connects && ferry_frame_eor(skb)))
		msg->msg_flags |= MSG_EOR;
	if (ferry_cmsg_wanted(sock)) {
		struct scm_cookie scm = {};

		/* Nobody here. */
		scm_set_cred(&scm, NULL, INVALID_UID, INVALID_GID);
		ferry_cmsg_recv(sock, msg, &scm, flags);
	}
}

/*
 * The message that a peek shows, with a reference; from where on in @off. The core's
 * own function has an error come before what was received.
 */
static struct sk_buff *ferry_remote_shown(struct sock *sk, int *off)
{
	struct sk_buff_head *queue = &sk->sk_receive_queue;
	struct sk_buff *skb, *shown = NULL;
	int left;

	spin_lock_bh(&queue->lock);
	/* Without SO_PEEK_OFF it is negative, which shows the first one each time. */
	left = sk_peek_offset(sk, MSG_PEEK);
	skb_queue_walk(queue, skb) {
		if (left < 0 || left < (int)skb->len || (!left && !skb->peeked)) {
			shown = skb_get(skb);
			/* One without bytes is shown once. */
			if (left >= 0 && !skb->len)
				skb->peeked = 1;
			break;
		}
		left -= skb->len;
	}
	spin_unlock_bh(&queue->lock);
	*off = max(left, 0);
	return shown;
}

/* As skb_copy_datagram_msg(), which looks for the fragments of each one first. */
static int ferry_remote_copy(const struct sk_buff *skb, int off, struct msghdr *msg,
			     size_t len)
{
	size_t n;

	if (unlikely(off + len > skb_headlen(skb)))
		return skb_copy_datagram_msg(skb, off, msg, len);
	n = ferry_copy_to(skb->data + off, len, &msg->msg_iter);
	if (likely(n == len))
		return 0;
	iov_iter_revert(&msg->msg_iter, n);
	return -EFAULT;
}

/**
 * ferry_remote_recvmsg() - receive a record that came from another host
 * @sock: DGRAM or SEQPACKET socket
 * @msg: where to
 * @size: bytes that fit
 * @flags: of the call
 *
 * Context: process, may sleep, but does not wait.
 * Return: bytes received (with MSG_TRUNC the message's), -EAGAIN when there is none, or
 * an error.
 */
int ferry_remote_recvmsg(struct socket *sock, struct msghdr *msg, size_t size,
			 int flags)
{
	bool peek = flags & MSG_PEEK;
	struct sock *sk = sock->sk;
	struct sk_buff *skb;
	size_t left, n;
	int off = 0, err;

	skb = peek ? ferry_remote_shown(sk, &off) : skb_dequeue(&sk->sk_receive_queue);
	if (!skb)
		return -EAGAIN;

	left = skb->len - off;
	n = min(size, left);
	err = ferry_remote_copy(skb, off, msg, n);
	if (unlikely(err)) {
		if (peek) {
			consume_skb(skb);
		} else {
			/* Nothing is lost. */
			skb_queue_head(&sk->sk_receive_queue, skb);
			sk->sk_data_ready(sk);
		}
		return err;
	}
	if (n < left || off)
		msg->msg_flags |= MSG_TRUNC;
	if (peek) {
		sk_peek_offset_fwd(sk, n);
		ferry_remote_local_next(sk, false);
	} else {
		sk_peek_offset_bwd(sk, skb->len);
	}
	ferry_remote_describe(sock, msg, skb, flags);
	consume_skb(skb);
	return flags & MSG_TRUNC ? left : n;
}

/**
 * ferry_remote_peek_anew() - messages without bytes have not been shown yet
 * @sk: socket whose SO_PEEK_OFF was set
 */
void ferry_remote_peek_anew(struct sock *sk)
{
	struct sk_buff *skb;

	if (likely(!ferry_remote_waits(sk)))
		return;
	spin_lock_bh(&sk->sk_receive_queue.lock);
	skb_queue_walk(&sk->sk_receive_queue, skb)
		if (skb->peeked)
			skb->peeked = 0;
	spin_unlock_bh(&sk->sk_receive_queue.lock);
}

/**
 * ferry_remote_queued() - how much from other hosts waits to be read
 * @sk: socket
 * @messages: how many messages that is; NULL to ask for the first one only
 *
 * Return: bytes.
 */
u32 ferry_remote_queued(struct sock *sk, u32 *messages)
{
	const struct sk_buff *skb;
	u32 len = 0;

	if (messages)
		*messages = 0;
	if (likely(!ferry_remote_waits(sk)))
		return 0;
	spin_lock_bh(&sk->sk_receive_queue.lock);
	skb_queue_walk(&sk->sk_receive_queue, skb) {
		len += skb->len;
		if (!messages)
			break;
		++*messages;
	}
	spin_unlock_bh(&sk->sk_receive_queue.lock);
	return len;
}

/* To which node went what a carrier is told of? False if that is not known. */
static bool ferry_remote_error_node(const struct sk_buff *skb, struct in6_addr *node)
{
	const struct sock_exterr_skb *serr = SKB_EXT_ERR(skb);
	const u8 *at = skb_network_header(skb) + serr->addr_offset;
	struct in6_addr src;

	switch (serr->ee.ee_origin) {
	case SO_EE_ORIGIN_ICMP:
		ipv6_addr_set_v4mapped(get_unaligned((const __be32 *)at), node);
		return true;
	case SO_EE_ORIGIN_ICMP6:
		memcpy(node, at, sizeof(*node));
		return true;
	case SO_EE_ORIGIN_TIMESTAMPING:
		if (!skb->len)
			return false;
		ferry_udp_nodes(skb, &src, node);
		return true;
	default:
		return false;
	}
}

/**
 * ferry_remote_error() - what the network says of a message goes to its sender
 * @sk: sender
 * @skb: what the carrier was told, with the message or a part of it
 *
 * Its payload and where it went are told without any header.
 *
 * Context: any, RCU is held.
 */
void ferry_remote_error(struct sock *sk, const struct sk_buff *skb)
{
	u8 bytes[FERRY_PACKET_HDR_MAX];
	const struct ferry_packet *packet = (void *)bytes;
	struct sockaddr_ferry sa = { .sfy_family = AF_FERRY };
	unsigned int off = 0, n;
	struct in6_addr node;
	int sa_len = 0;

	/* A stamp comes with all headers. */
	if (SKB_EXT_ERR(skb)->ee.ee_origin == SO_EE_ORIGIN_TIMESTAMPING && skb->len)
		off = skb_transport_offset(skb) + sizeof(struct udphdr);
	if (off > skb->len)
		off = skb->len;
	n = min_t(unsigned int, skb->len - off, sizeof(bytes));
	if (ferry_remote_error_node(skb, &node)) {
		sa.sfy_scope = FERRY_SCOPE_NETWORK;
		memcpy(sa.sfy_node, &node, sizeof(node));
		sa_len = FERRY_ADDR_HDR;
	}
	/* ICMP may quote no more than its beginning. */
	if (!skb_copy_bits(skb, off, bytes, n) &&
	    ferry_packet_valid(packet, skb->len - off)) {
		memcpy(sa.sfy_name, packet->names + packet->src_len, packet->dst_len);
		off += ferry_packet_len(packet);
		if (sa_len)
			sa_len = FERRY_ADDR_LEN(packet->dst_len);
	} else {
		off = skb->len;
	}
	ferry_queue_error(sk, skb, off, &sa, sa_len);
}
