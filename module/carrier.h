/* SPDX-License-Identifier: GPL-2.0 */
/* carrier.c: what the carriers of a namespace share: the door, and what is counted */
#ifndef _FERRY_CARRIER_H
#define _FERRY_CARRIER_H

#include <linux/percpu.h>

#include "ferry.h"

struct in6_addr;

/**
 * enum ferry_stat - counters of /proc/net/ferry_stat
 * @FERRY_STAT_UDP_RECEIVED: datagrams queued at a socket
 * @FERRY_STAT_UDP_SENT: datagrams sent
 * @FERRY_STAT_UDP_MALFORMED: too short, of another version or type, wrong lengths
 * @FERRY_STAT_UDP_NOBODY: for a name that is not bound, or not to the network
 * @FERRY_STAT_UDP_DENIED: for a name whose mode forbids others to send
 * @FERRY_STAT_UDP_DROPPED: not taken by the socket: no room, filter, another peer
 * @FERRY_STAT_TCP_ACCEPTED: connections queued at a listener
 * @FERRY_STAT_TCP_MALFORMED: a hello of another kind or version, with wrong lengths
 * @FERRY_STAT_TCP_NOBODY: for a name at which nobody listens, or not to the network
 * @FERRY_STAT_TCP_DENIED: for a name whose mode forbids others to connect
 * @FERRY_STAT_TCP_TYPE: for a name of another type
 * @FERRY_STAT_TCP_FULL: for a listener whose queue has no place for the network
 * @FERRY_STAT_TCP_FAILED: there was no memory
 * @FERRY_STAT_TCP_LEFT: closed or reset before the hello was complete
 * @FERRY_STAT_TCP_LATE: the hello was not complete in time
 * @FERRY_STAT_TCP_CROWDED: the oldest without a hello, ended for a newer one
 * @FERRY_STAT_TCP_BROKEN: connections cut because what came was no record
 * @FERRY_STAT_MAX: how many they are
 */
enum ferry_stat {
	FERRY_STAT_UDP_RECEIVED,
	FERRY_STAT_UDP_SENT,
	FERRY_STAT_UDP_MALFORMED,
	FERRY_STAT_UDP_NOBODY,
	FERRY_STAT_UDP_DENIED,
	FERRY_STAT_UDP_DROPPED,
	FERRY_STAT_TCP_ACCEPTED,
	FERRY_STAT_TCP_MALFORMED,
	FERRY_STAT_TCP_NOBODY,
	FERRY_STAT_TCP_DENIED,
	FERRY_STAT_TCP_TYPE,
	FERRY_STAT_TCP_FULL,
	FERRY_STAT_TCP_FAILED,
	FERRY_STAT_TCP_LEFT,
	FERRY_STAT_TCP_LATE,
	FERRY_STAT_TCP_CROWDED,
	FERRY_STAT_TCP_BROKEN,
	FERRY_STAT_MAX,
};

/**
 * struct ferry_stats - the counters of one processor
 * @events: by enum ferry_stat; they wrap around
 */
struct ferry_stats {
	unsigned long	events[FERRY_STAT_MAX];
};

/* ferry_count() - count an event; any context */
static inline void ferry_count(struct net *net, enum ferry_stat event)
{
	this_cpu_inc(ferry_pernet(net)->stats->events[event]);
}

/* ferry_port() - the port that this namespace and its peers use, or 0: no network */
static inline u16 ferry_port(const struct net *net)
{
	return READ_ONCE(ferry_pernet(net)->door.port);
}

void ferry_refuse(struct net *net, enum ferry_stat reason,
		  const struct in6_addr *node);
int ferry_carrier_net_init(struct net *net);
void ferry_carrier_net_exit(struct net *net);

#endif /* _FERRY_CARRIER_H */
