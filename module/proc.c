// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/net/ferry: the sockets of a network namespace, one a line, for people.
 * Programs have more of it, and faster, from sock_diag (diag.c).
 */
#include <linux/ferry_diag.h>
#include <linux/inet.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/user_namespace.h>
#include <net/ipv6.h>
#include <net/tcp_states.h>

#include "diag.h"
#include "ferry.h"
#include "name.h"
#include "proc.h"
#include "socklist.h"

static const char *ferry_type_text(const struct sock *sk)
{
	switch (sk->sk_type) {
	case SOCK_STREAM:
		return "stream";
	case SOCK_SEQPACKET:
		return "seqpacket";
	default:
		return "dgram";
	}
}

static const char *ferry_state_text(const struct sock *sk)
{
	if (READ_ONCE(ferry_sk(sk)->unaccepted))
		return "unaccepted";

	switch (ferry_diag_state(sk)) {
	case TCP_LISTEN:
		return "listening";
	case TCP_SYN_SENT:
		return "connecting";
	case TCP_ESTABLISHED:
		return "connected";
	default:
		return "unconnected";
	}
}

/* By what the socket reaches another host, and which it is connected to. */
static void ferry_show_carrier(struct seq_file *m, struct sock *sk)
{
	static const char *const carriers[] = {
		[FERRY_CARRIER_NONE]	= "-",
		[FERRY_CARRIER_UDP]	= "udp",
		[FERRY_CARRIER_TCP]	= "tcp",
	};
	char text[INET6_ADDRSTRLEN] = "-";
	struct in6_addr node;

	if (ferry_diag_node(sk, &node)) {
		if (ipv6_addr_v4mapped(&node))
			snprintf(text, sizeof(text), "%pI4", &node.s6_addr32[3]);
		else
			snprintf(text, sizeof(text), "%pI6c", &node);
	}
	seq_printf(m, "%-7s %-15s ", carriers[ferry_diag_carrier(sk)], text);
}

static void ferry_show_name(struct seq_file *m, struct sock *sk)
{
	const struct ferry_addr *addr = ferry_own_addr(sk);
	size_t size, len;
	char *text;
	int mode;

	if (!addr) {
		seq_puts(m, "   - -\n");
		return;
	}

	mode = ferry_name_get_mode(sk);
	if (mode < 0)
		seq_puts(m, "   - ");
	else
		seq_printf(m, "%04o ", mode);
	seq_puts(m, addr->sa.sfy_scope == FERRY_SCOPE_NETWORK ?
		 "network " : "host    ");
	size = seq_get_buf(m, &text);
	len = ferry_diag_name(sk, text, size);
	seq_commit(m, len < size ? len : -1);
	seq_putc(m, '\n');
}

static int ferry_proc_show(struct seq_file *m, void *v)
{
	struct ferry_diag_rqlen len;
	struct sock *sk = v, *peer;

	if (v == SEQ_START_TOKEN) {
		seq_printf(m, "%10s %10s %-9s %-11s %10s %10s %10s %10s %10s %-7s %-15s %4s %-7s %s\n",
			   "Inode", "Peer", "Type", "State", "RecvQ", "SendQ",
			   "Drops", "UID", "Cookie", "Carrier", "Node", "Mode", "Scope",
			   "Name");
		return 0;
	}

	peer = ferry_diag_peer(sk);
	ferry_diag_queues(sk, peer, &len);
	seq_printf(m, "%10llu %10llu %-9s %-11s %10u %10u %10u %10u %10llu ",
		   (u64)sock_i_ino(sk), peer ? (u64)sock_i_ino(peer) : 0,
		   ferry_type_text(sk), ferry_state_text(sk),
		   len.fdiag_rqueue, len.fdiag_wqueue,
		   atomic_read(&sk->sk_drops),
		   from_kuid_munged(seq_user_ns(m), ferry_diag_uid(sk)),
		   ferry_diag_cookie(sk));
	ferry_show_carrier(m, sk);
	ferry_show_name(m, sk);
	if (peer)
		sock_put(peer);
	return 0;
}

/* Positions are places in the list of sockets, 0 is the header. */
static void *ferry_proc_find(struct seq_file *m, struct sock *prev, loff_t *pos)
{
	u64 place = *pos;
	struct sock *sk;

	sk = ferry_socklist_next(seq_file_net(m), prev, &place);
	*pos = place;
	return sk;
}

static void *ferry_proc_start(struct seq_file *m, loff_t *pos)
{
	return *pos ? ferry_proc_find(m, NULL, pos) : SEQ_START_TOKEN;
}

static void *ferry_proc_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return ferry_proc_find(m, v == SEQ_START_TOKEN ? NULL : v, pos);
}

static void ferry_proc_stop(struct seq_file *m, void *v)
{
	if (v && v != SEQ_START_TOKEN)
		sock_put(v);
}

static const struct seq_operations ferry_proc_ops = {
	.start	= ferry_proc_start,
	.next	= ferry_proc_next,
	.stop	= ferry_proc_stop,
	.show	= ferry_proc_show,
};

/**
 * ferry_proc_net_init() - make the file of a namespace
 * @net: namespace
 *
 * Return: 0 or -ENOMEM.
 */
int ferry_proc_net_init(struct net *net)
{
	if (!IS_ENABLED(CONFIG_PROC_FS))
		return 0;
	if (!proc_create_net("ferry", 0444, net->proc_net, &ferry_proc_ops,
			     sizeof(struct seq_net_private)))
		return -ENOMEM;
	return 0;
}

/* ferry_proc_net_exit() - remove it; those who read it are stopped */
void ferry_proc_net_exit(struct net *net)
{
	if (IS_ENABLED(CONFIG_PROC_FS))
		remove_proc_entry("ferry", net->proc_net);
}
