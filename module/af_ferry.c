// SPDX-License-Identifier: GPL-2.0
/*
 * AF_FERRY: registration, creation and release of sockets, and the tables that
 * lead from system calls to the other files.
 */
#include <linux/compat.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <asm/ioctls.h>

#include "af_ferry.h"
#include "buffer.h"
#include "carrier.h"
#include "carrier_tcp.h"
#include "cmsg.h"
#include "compat.h"
#include "connection.h"
#include "diag.h"
#include "ferry.h"
#include "handshake.h"
#include "inflight.h"
#include "name.h"
#include "poll.h"
#include "proc.h"
#include "record.h"
#include "remote.h"
#include "remote_dgram.h"
#include "remote_seqpacket.h"
#include "remote_stream.h"
#include "socklist.h"
#include "sockopt.h"
#include "splice.h"
#include "stream.h"
#include "urgent.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

unsigned int ferry_net_id;

struct proto ferry_proto = {
	.name		= "FERRY",
	.owner		= THIS_MODULE,
	.obj_size	= sizeof(struct ferry_sock),
};

/*
 * The core clears a new socket. With a constructor the cache leaves it to that
 * and does not do the same before, under init_on_alloc.
 */
static void ferry_sock_ctor(void *obj)
{
	memset(obj, 0, sizeof(struct ferry_sock));
}

static int __init ferry_proto_init(void)
{
	int err;

	ferry_proto.slab = kmem_cache_create(ferry_proto.name,
					     ferry_proto.obj_size, 0,
					     SLAB_HWCACHE_ALIGN | SLAB_ACCOUNT,
					     ferry_sock_ctor);
	if (!ferry_proto.slab)
		return -ENOMEM;
	err = proto_register(&ferry_proto, 0);
	if (err)
		kmem_cache_destroy(ferry_proto.slab);
	return err;
}

static void ferry_sock_destruct(struct sock *sk)
{
	struct ferry_sock *fs = ferry_sk(sk);

	/* A stamp of what was read after the release, and what came since. */
	if (unlikely(!skb_queue_empty(&sk->sk_error_queue)))
		skb_queue_purge(&sk->sk_error_queue);
	if (unlikely(!skb_queue_empty(&sk->sk_receive_queue)))
		skb_queue_purge(&sk->sk_receive_queue);
	WARN_ON_ONCE(fs->head);
	WARN_ON_ONCE(atomic_read(&sk->sk_rmem_alloc));
	WARN_ON_ONCE(refcount_read(&sk->sk_wmem_alloc));
	ferry_socklist_del(sk);
	if (unlikely(fs->vertex))
		ferry_inflight_forget(sk);
	if (fs->addr)
		ferry_addr_put(fs->addr);
	if (unlikely(fs->carried) && ferry_connects(sk))
		ferry_addr_put(fs->far_addr);
	put_pid(fs->own_pid);
}

/**
 * ferry_sock_alloc() - make a socket
 * @net: its namespace
 * @sock: the core's socket, or NULL for one that waits to be accepted
 * @type: SOCK_STREAM, SOCK_SEQPACKET or SOCK_DGRAM
 * @kern: made by the kernel for itself
 *
 * Return: the socket with one reference, or NULL without memory.
 */
struct sock *ferry_sock_alloc(struct net *net, struct socket *sock, int type,
			      int kern)
{
	struct ferry_sock *fs;
	struct sock *sk;

	sk = sk_alloc(net, PF_FERRY, GFP_KERNEL, &ferry_proto, kern);
	if (!sk)
		return NULL;

	sock_init_data(sock, sk);
	sk->sk_type = type;
	sk->sk_allocation = GFP_KERNEL_ACCOUNT;
	sk->sk_destruct = ferry_sock_destruct;

	fs = ferry_sk(sk);
	INIT_LIST_HEAD(&fs->node);
	spin_lock_init(&fs->lock);
	if (type == SOCK_DGRAM) {
		init_waitqueue_head(&fs->senders);
	} else {
		mutex_init(&fs->send_lock);
		mutex_init(&fs->recv_lock);
	}

	ferry_socklist_add(sk);
	return sk;
}

static int ferry_release(struct socket *sock)
{
	struct sock *sk = sock->sk;

	if (!sk)
		return 0;

	if (unlikely(sock_flag(sk, SOCK_LINGER) && sk->sk_lingertime) &&
	    ferry_connects(sk) &&
	    ferry_connected(sk)) {
		ferry_set_shutdown(sk, SHUTDOWN_MASK);
		ferry_wake_state(ferry_sk(sk)->peer, POLL_HUP);
		ferry_linger(sk);
	}
	ferry_debug(sk, "close", 0);
	ferry_disconnect(sk);
	if (!skb_queue_empty_lockless(&sk->sk_error_queue))
		skb_queue_purge(&sk->sk_error_queue);
	if (ferry_remote_waits(sk))
		skb_queue_purge(&sk->sk_receive_queue);
	/*
	 * The core's sk_callback_lock orders it against whoever asks for sk_socket
	 * or signals; those who look at single flags take either answer.
	 */
	data_race(({ sock_orphan(sk); 0; }));
	ferry_passsec_forget(sk);
	sock->sk = NULL;
	sock_put(sk);
	return 0;
}

static int ferry_bind(struct socket *sock, struct sockaddr_unsized *uaddr,
		      int len)
{
	struct sock *sk = sock->sk;
	struct ferry_addr *addr;
	int err;

	err = ferry_addr_check(uaddr, len);
	if (err)
		return err;

	lock_sock(sk);
	err = -EINVAL;
	if (ferry_sk(sk)->addr)
		goto out;
	if (len == FERRY_ADDR_HDR) {
		err = ferry_name_autobind(sk, (struct sockaddr_ferry *)uaddr);
		goto out;
	}

	err = -ENOMEM;
	addr = ferry_addr_make((struct sockaddr_ferry *)uaddr, len);
	if (!addr)
		goto out;
	err = ferry_name_bind(sk, addr);
	if (err)
		ferry_addr_put(addr);
out:
	if (!err)
		ferry_remote_bound(sk);
	release_sock(sk);
	ferry_debug(sk, "bind", err);
	return err;
}

static int ferry_accept_op(struct socket *sock, struct socket *newsock,
			   FERRY_ACCEPT_PARAMS)
{
	return ferry_accept(sock, newsock, FERRY_ACCEPT_FLAGS);
}

static int ferry_getname(struct socket *sock, struct sockaddr *uaddr, int peer)
{
	struct sock *sk = sock->sk;
	int len;

	if (!peer)
		return ferry_addr_copy(uaddr,
				       ferry_own_addr(sk));

	/* Here too: accept(2) asks by the listener's proto_ops. */
	if (ferry_remote(sk))
		return ferry_addr_copy(uaddr, ferry_sk(sk)->far_addr);
	if (!ferry_connected(sk))
		return -ENOTCONN;
	len = ferry_remote_peer(sk, (struct sockaddr_ferry *)uaddr);
	if (len)
		return len;
	sk = ferry_peer_get(sk);
	if (!sk)
		return -ENOTCONN;
	len = ferry_addr_copy(uaddr, ferry_own_addr(sk));
	sock_put(sk);
	return len;
}

static int ferry_ioctl(struct socket *sock, unsigned int cmd, unsigned long arg)
{
	struct sock *sk = sock->sk;
	const struct ferry_sock *fs = ferry_sk(sk);
	unsigned long n = 0;

	if (cmd != SIOCINQ && cmd != SIOCOUTQ &&
	    (cmd != SIOCATMARK || sk->sk_type != SOCK_STREAM))
		return -ENOIOCTLCMD;
	if (READ_ONCE(sk->sk_state) == TCP_LISTEN)
		return -EINVAL;
	if (cmd == SIOCATMARK)
		return put_user(ferry_urg_at_mark(sk), (int __user *)arg);

	if (cmd == SIOCINQ) {
		n = sk->sk_type == SOCK_STREAM ? ferry_stream_inq(sk) :
						 ferry_record_next_len(sk);
	} else if (sk->sk_type == SOCK_STREAM) {
		if (ferry_connected(sk))
			n = ferry_stream_queued(ferry_sk(fs->peer));
	} else {
		n = atomic_read(&fs->unread);
	}
	return put_user(min_t(unsigned long, n, INT_MAX), (int __user *)arg);
}

#ifdef CONFIG_COMPAT
static int ferry_compat_ioctl(struct socket *sock, unsigned int cmd,
			      unsigned long arg)
{
	return ferry_ioctl(sock, cmd, (unsigned long)compat_ptr(arg));
}
#endif

const struct proto_ops ferry_stream_ops = {
	.family		= PF_FERRY,
	.owner		= THIS_MODULE,
	.release	= ferry_release,
	.bind		= ferry_bind,
	.connect	= ferry_connect,
	.socketpair	= ferry_socketpair,
	.accept		= ferry_accept_op,
	.getname	= ferry_getname,
	.poll		= ferry_poll,
	.ioctl		= ferry_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl	= ferry_compat_ioctl,
#endif
	.gettstamp	= sock_gettstamp,
	.listen		= ferry_listen,
	.shutdown	= ferry_shutdown,
	.setsockopt	= ferry_setsockopt,
	.getsockopt	= ferry_getsockopt,
	.show_fdinfo	= ferry_show_fdinfo,
	.sendmsg	= ferry_stream_sendmsg,
	.recvmsg	= ferry_stream_recvmsg,
	FERRY_SENDPAGE_OP
	.mmap		= sock_no_mmap,
	.set_peek_off	= sk_set_peek_off,
	.set_rcvlowat	= ferry_set_rcvlowat,
	.splice_read	= ferry_stream_splice_read,
};

/* Of a stream that is, or was to be, connected to another host. */
const struct proto_ops ferry_remote_stream_ops = {
	.family		= PF_FERRY,
	.owner		= THIS_MODULE,
	.release	= ferry_remote_release,
	.bind		= ferry_bind,
	.connect	= ferry_connect,
	.socketpair	= ferry_socketpair,
	.accept		= ferry_accept_op,
	.getname	= ferry_getname,
	.poll		= ferry_remote_poll,
	.ioctl		= ferry_remote_stream_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl	= ferry_remote_stream_compat_ioctl,
#endif
	.gettstamp	= sock_gettstamp,
	.listen		= ferry_listen,
	.shutdown	= ferry_remote_shutdown,
	.setsockopt	= ferry_setsockopt,
	.getsockopt	= ferry_getsockopt,
	.show_fdinfo	= ferry_show_fdinfo,
	.sendmsg	= ferry_remote_stream_sendmsg,
	.recvmsg	= ferry_remote_stream_recvmsg,
	FERRY_SENDPAGE_OP
	.mmap		= sock_no_mmap,
	.set_peek_off	= ferry_remote_set_peek_off,
	.set_rcvlowat	= ferry_remote_set_rcvlowat,
	.splice_read	= ferry_remote_splice_read,
};

static const struct proto_ops ferry_seqpacket_ops = {
	.family		= PF_FERRY,
	.owner		= THIS_MODULE,
	.release	= ferry_release,
	.bind		= ferry_bind,
	.connect	= ferry_connect,
	.socketpair	= ferry_socketpair,
	.accept		= ferry_accept_op,
	.getname	= ferry_getname,
	.poll		= ferry_poll,
	.ioctl		= ferry_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl	= ferry_compat_ioctl,
#endif
	.gettstamp	= sock_gettstamp,
	.listen		= ferry_listen,
	.shutdown	= ferry_shutdown,
	.setsockopt	= ferry_setsockopt,
	.getsockopt	= ferry_getsockopt,
	.show_fdinfo	= ferry_show_fdinfo,
	.sendmsg	= ferry_seqpacket_sendmsg,
	.recvmsg	= ferry_record_recvmsg,
	FERRY_SENDPAGE_OP
	.mmap		= sock_no_mmap,
	.set_peek_off	= ferry_record_set_peek_off,
};

/* Of records, likewise. */
const struct proto_ops ferry_remote_seqpacket_ops = {
	.family		= PF_FERRY,
	.owner		= THIS_MODULE,
	.release	= ferry_remote_release,
	.bind		= ferry_bind,
	.connect	= ferry_connect,
	.socketpair	= ferry_socketpair,
	.accept		= ferry_accept_op,
	.getname	= ferry_getname,
	.poll		= ferry_remote_poll,
	.ioctl		= ferry_remote_seqpacket_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl	= ferry_remote_seqpacket_compat_ioctl,
#endif
	.gettstamp	= sock_gettstamp,
	.listen		= ferry_listen,
	.shutdown	= ferry_remote_shutdown,
	.setsockopt	= ferry_setsockopt,
	.getsockopt	= ferry_getsockopt,
	.show_fdinfo	= ferry_show_fdinfo,
	.sendmsg	= ferry_remote_seqpacket_sendmsg,
	.recvmsg	= ferry_remote_seqpacket_recvmsg,
	FERRY_SENDPAGE_OP
	.mmap		= sock_no_mmap,
	.set_peek_off	= ferry_record_set_peek_off,
};

static const struct proto_ops ferry_dgram_ops = {
	.family		= PF_FERRY,
	.owner		= THIS_MODULE,
	.release	= ferry_release,
	.bind		= ferry_bind,
	.connect	= ferry_dgram_connect,
	.socketpair	= ferry_socketpair,
	.accept		= sock_no_accept,
	.getname	= ferry_getname,
	.poll		= ferry_poll,
	.ioctl		= ferry_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl	= ferry_compat_ioctl,
#endif
	.gettstamp	= sock_gettstamp,
	.listen		= sock_no_listen,
	.shutdown	= ferry_shutdown,
	.setsockopt	= ferry_setsockopt,
	.getsockopt	= ferry_getsockopt,
	.show_fdinfo	= ferry_show_fdinfo,
	.sendmsg	= ferry_dgram_sendmsg,
	.recvmsg	= ferry_record_recvmsg,
	FERRY_SENDPAGE_OP
	.mmap		= sock_no_mmap,
	.set_peek_off	= ferry_record_set_peek_off,
};

static int ferry_create(struct net *net, struct socket *sock, int protocol,
			int kern)
{
	const struct proto_ops *ops;

	switch (sock->type) {
	case SOCK_STREAM:
		ops = &ferry_stream_ops;
		break;
	case SOCK_SEQPACKET:
		ops = &ferry_seqpacket_ops;
		break;
	case SOCK_DGRAM:
		ops = &ferry_dgram_ops;
		break;
	default:
		return -ESOCKTNOSUPPORT;
	}
	if (protocol)
		return -EPROTONOSUPPORT;

	sock->ops = ops;
	ferry_custom_sockopt(sock);
	return ferry_sock_alloc(net, sock, sock->type, kern) ? 0 : -ENOMEM;
}

static const struct net_proto_family ferry_family = {
	.family	= PF_FERRY,
	.create	= ferry_create,
	.owner	= THIS_MODULE,
};

static int __net_init ferry_net_init(struct net *net)
{
	struct ferry_net *fn = ferry_pernet(net);
	int err;

	ferry_socklist_net_init(fn);
	err = ferry_name_net_init(fn);
	if (err)
		return err;
	err = ferry_proc_net_init(net);
	if (err)
		goto err_name;
	err = ferry_carrier_net_init(net);
	if (err)
		goto err_proc;
	return 0;

err_proc:
	ferry_proc_net_exit(net);
err_name:
	ferry_name_net_exit(fn);
	return err;
}

static void __net_exit ferry_net_exit(struct net *net)
{
	ferry_carrier_net_exit(net);
	ferry_proc_net_exit(net);
	ferry_name_net_exit(ferry_pernet(net));
}

static struct pernet_operations ferry_net_ops = {
	.init	= ferry_net_init,
	.exit	= ferry_net_exit,
	.id	= &ferry_net_id,
	.size	= sizeof(struct ferry_net),
};

static int __init ferry_init(void)
{
	int err;

	BUILD_BUG_ON(sizeof(struct sockaddr_ferry) != 128);
	BUILD_BUG_ON(offsetof(struct sockaddr_ferry, sfy_name) != FERRY_ADDR_HDR);

	/* Who is never told of SO_PASSSEC must always expect it. */
	if (!FERRY_SEES_SOL_SOCKET)
		static_branch_enable(&ferry_passsec_used.key);

	ferry_inflight_init();
	err = ferry_buf_init();
	if (err)
		return err;
	err = ferry_handshake_init();
	if (err)
		goto err_buf;
	err = ferry_tcp_init();
	if (err)
		goto err_handshake;
	err = ferry_proto_init();
	if (err)
		goto err_tcp;
	err = register_pernet_subsys(&ferry_net_ops);
	if (err)
		goto err_proto;
	err = ferry_diag_init();
	if (err)
		goto err_pernet;
	err = sock_register(&ferry_family);
	if (err)
		goto err_diag;
	return 0;

err_diag:
	ferry_diag_exit();
err_pernet:
	unregister_pernet_subsys(&ferry_net_ops);
err_proto:
	proto_unregister(&ferry_proto);
err_tcp:
	ferry_tcp_exit();
err_handshake:
	ferry_handshake_exit();
err_buf:
	ferry_buf_exit();
	return err;
}

static void __exit ferry_exit(void)
{
	sock_unregister(PF_FERRY);
	ferry_diag_exit();
	unregister_pernet_subsys(&ferry_net_ops);
	ferry_handshake_exit();
	ferry_tcp_exit();
	proto_unregister(&ferry_proto);
	ferry_buf_exit();
	static_key_deferred_flush(&ferry_passsec_used);
	/* Callbacks of carriers that are no more. */
	synchronize_rcu();
}

module_init(ferry_init);
module_exit(ferry_exit);

MODULE_AUTHOR("The AF_FERRY developers");
MODULE_DESCRIPTION("Sockets that meet by service name");
MODULE_LICENSE("GPL");
MODULE_ALIAS_NETPROTO(AF_FERRY);
