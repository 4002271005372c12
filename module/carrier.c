// SPDX-License-Identifier: GPL-2.0
/*
 * What the carriers of a namespace share: net.ferry.port, which opens and closes the
 * door, and the counters in /proc/net/ferry_stat.
 *
 * The door is the kernel's sockets that others' messages and connections arrive at.
 * The port is one for all hosts: what is sent to another host goes to the same port
 * there. Without one nothing is sent either.
 */
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/sysctl.h>

#include "carrier.h"
#include "carrier_udp.h"
#include "compat.h"
#include "handshake.h"

/* Close what a door has open. */
static void ferry_door_close(struct ferry_door *door)
{
	ferry_gate_close(door->tcp);
	if (door->udp)
		ferry_udp_close(door->udp);
}

/* Open a door; nothing is open if that fails. */
static int ferry_door_open(struct net *net, struct ferry_door *door, u16 port)
{
	int err;

	err = ferry_gate_open(net, port, &door->tcp);
	if (err)
		return err;
	err = ferry_udp_open(net, port, &door->udp);
	if (err) {
		ferry_gate_close(door->tcp);
		return err;
	}
	door->port = port;
	return 0;
}

/*
 * Another port, or none. The old door stays open if the new one does not open, and
 * connections that came through it stay.
 */
static int ferry_door_move(struct net *net, u16 port)
{
	struct ferry_net *fn = ferry_pernet(net);
	struct ferry_door door = {};
	int err = 0;

	mutex_lock(&fn->door_lock);
	if (port == fn->door.port)
		goto out;
	if (port)
		err = ferry_door_open(net, &door, port);
	if (err)
		goto out;
	swap(fn->door.udp, door.udp);
	swap(fn->door.tcp, door.tcp);
	WRITE_ONCE(fn->door.port, port);
	ferry_door_close(&door);
out:
	mutex_unlock(&fn->door_lock);
	return err;
}

/* net.ferry.port: -EINVAL beyond 65535, -EADDRINUSE when another has the port. */
static int ferry_port_handler(FERRY_CTL_TABLE *table, int write, void *buffer,
			      size_t *lenp, loff_t *ppos)
{
	struct net *net = table->extra1;
	int max = U16_MAX, port = ferry_port(net);
	struct ctl_table here = {
		.procname	= table->procname,
		.data		= &port,
		.maxlen		= sizeof(port),
		.mode		= table->mode,
		.extra1		= SYSCTL_ZERO,
		.extra2		= &max,
	};
	int err;

	err = proc_dointvec_minmax(&here, write, buffer, lenp, ppos);
	return err || !write ? err : ferry_door_move(net, port);
}

/* One entry, and one of zeros that ends the table for older kernels. */
static const struct ctl_table ferry_sysctl[2] = {
	{
		.procname	= "port",
		.maxlen		= sizeof(int),
		.mode		= 0644,
		.proc_handler	= ferry_port_handler,
	},
};

static int ferry_sysctl_net_init(struct net *net)
{
	struct ferry_net *fn = ferry_pernet(net);
	struct ctl_table *table;

	if (!IS_ENABLED(CONFIG_SYSCTL))
		return 0;
	table = kmemdup(ferry_sysctl, sizeof(ferry_sysctl), GFP_KERNEL);
	if (!table)
		return -ENOMEM;
	table->extra1 = net;
	fn->sysctl = ferry_register_sysctl(net, "net/ferry", table, 1);
	if (fn->sysctl)
		return 0;
	kfree(table);
	return -ENOMEM;
}

static void ferry_sysctl_net_exit(struct net *net)
{
	struct ferry_net *fn = ferry_pernet(net);
	const struct ctl_table *table;

	if (!fn->sysctl)
		return;
	table = fn->sysctl->ctl_table_arg;
	unregister_net_sysctl_table(fn->sysctl);
	kfree(table);
}

static const char * const ferry_stat_names[FERRY_STAT_MAX] = {
	[FERRY_STAT_UDP_RECEIVED]	= "udp_received",
	[FERRY_STAT_UDP_SENT]		= "udp_sent",
	[FERRY_STAT_UDP_MALFORMED]	= "udp_malformed",
	[FERRY_STAT_UDP_NOBODY]		= "udp_nobody",
	[FERRY_STAT_UDP_DENIED]		= "udp_denied",
	[FERRY_STAT_UDP_DROPPED]	= "udp_dropped",
	[FERRY_STAT_TCP_ACCEPTED]	= "tcp_accepted",
	[FERRY_STAT_TCP_MALFORMED]	= "tcp_malformed",
	[FERRY_STAT_TCP_NOBODY]		= "tcp_nobody",
	[FERRY_STAT_TCP_DENIED]		= "tcp_denied",
	[FERRY_STAT_TCP_TYPE]		= "tcp_type",
	[FERRY_STAT_TCP_FULL]		= "tcp_full",
	[FERRY_STAT_TCP_FAILED]		= "tcp_failed",
	[FERRY_STAT_TCP_LEFT]		= "tcp_left",
	[FERRY_STAT_TCP_LATE]		= "tcp_late",
	[FERRY_STAT_TCP_CROWDED]	= "tcp_crowded",
	[FERRY_STAT_TCP_BROKEN]		= "tcp_broken",
};

/**
 * ferry_refuse() - what came from another host met no socket: count it and tell why
 * @net: namespace
 * @reason: the counter
 * @node: where it came from
 *
 * Context: any.
 */
void ferry_refuse(struct net *net, enum ferry_stat reason,
		  const struct in6_addr *node)
{
	trace_ferry_refused(net, ferry_stat_names[reason], node);
	ferry_count(net, reason);
}

/* /proc/net/ferry_stat: a counter a line. */
static int ferry_stat_show(struct seq_file *m, void *v)
{
	struct ferry_stats __percpu *stats = ferry_pernet(m->private)->stats;
	unsigned long sum;
	unsigned int i;
	int cpu;

	for (i = 0; i < FERRY_STAT_MAX; i++) {
		sum = 0;
		for_each_possible_cpu(cpu)
			sum += READ_ONCE(per_cpu_ptr(stats, cpu)->events[i]);
		seq_printf(m, "%s %lu\n", ferry_stat_names[i], sum);
	}
	return 0;
}

static int ferry_stat_net_init(struct net *net)
{
	struct ferry_net *fn = ferry_pernet(net);

	fn->stats = alloc_percpu(struct ferry_stats);
	if (!fn->stats)
		return -ENOMEM;
	if (IS_ENABLED(CONFIG_PROC_FS) &&
	    !proc_create_net_single("ferry_stat", 0444, net->proc_net,
				    ferry_stat_show, NULL)) {
		free_percpu(fn->stats);
		return -ENOMEM;
	}
	return 0;
}

static void ferry_stat_net_exit(struct net *net)
{
	if (IS_ENABLED(CONFIG_PROC_FS))
		remove_proc_entry("ferry_stat", net->proc_net);
	free_percpu(ferry_pernet(net)->stats);
}

/**
 * ferry_carrier_net_init() - prepare a namespace; its door is closed
 * @net: namespace
 *
 * Return: 0 or -ENOMEM.
 */
int ferry_carrier_net_init(struct net *net)
{
	int err;

	mutex_init(&ferry_pernet(net)->door_lock);
	err = ferry_stat_net_init(net);
	if (err)
		return err;
	err = ferry_sysctl_net_init(net);
	if (err)
		ferry_stat_net_exit(net);
	return err;
}

/* ferry_carrier_net_exit() - a namespace goes: close its door */
void ferry_carrier_net_exit(struct net *net)
{
	/* Nobody opens it again. */
	ferry_sysctl_net_exit(net);
	ferry_door_move(net, 0);
	ferry_stat_net_exit(net);
}
