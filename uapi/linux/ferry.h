/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _UAPI_LINUX_FERRY_H
#define _UAPI_LINUX_FERRY_H

#include <linux/socket.h>
#include <linux/types.h>

/*
 * The number of AF_ASH, which Linux reserves and never implemented: a module
 * cannot raise AF_MAX, so the family takes a number below it.
 */
#define AF_FERRY	18
#define PF_FERRY	AF_FERRY

/* Level of the family's own socket options and of its control messages. */
#define SOL_FERRY	400

/* Longest service name in bytes. */
#define FERRY_NAME_MAX	108

/**
 * enum ferry_scope - from where a bound name can be reached
 * @FERRY_SCOPE_HOST: from sockets of the same network namespace only
 * @FERRY_SCOPE_NETWORK: also by the carriers that arrive at sfy_node
 */
enum ferry_scope {
	FERRY_SCOPE_HOST	= 0,
	FERRY_SCOPE_NETWORK	= 1,
};

/**
 * struct sockaddr_ferry - address of a service
 * @sfy_family: AF_FERRY
 * @sfy_scope: one of enum ferry_scope
 * @sfy_node: IPv6 or v4-mapped address in network byte order; all zero means
 *	this host (connect, sendto) or any local address (bind)
 * @sfy_name: the name, any bytes; it is as long as the address length given to
 *	the system call says, see FERRY_ADDR_LEN(). No NUL is needed or stripped.
 *
 * 128 bytes without padding, the same for 32- and 64-bit programs.
 */
struct sockaddr_ferry {
	__kernel_sa_family_t	sfy_family;
	__u16			sfy_scope;
	__u8			sfy_node[16];
	char			sfy_name[FERRY_NAME_MAX];
};

/* Bytes before the name: the address length of an empty name. */
#define FERRY_ADDR_HDR	20

/* Address length to pass for a name of @name_len bytes. */
#define FERRY_ADDR_LEN(name_len)	(FERRY_ADDR_HDR + (name_len))

/* Options of level SOL_FERRY. */
#define FERRY_MODE		1	/* int: access mode of the bound name, 0..0777 */
#define FERRY_PASSRIGHTS	2	/* int: 0 makes senders of descriptors fail with EPERM */
#define FERRY_BROADCAST_POLICY	3	/* int: enum ferry_broadcast_policy */
#define FERRY_INFO		4	/* struct ferry_info, read only */

/*
 * Options of SOL_SOCKET (int) under the family's own level, where the core lets
 * no module have them: before 6.7 it refuses to set the first two outside INET,
 * from 6.16 on to read the others outside the families it names. Elsewhere they
 * are the same options. The last is there from 6.7 on.
 */
#define FERRY_REUSEPORT		6
#define FERRY_ZEROCOPY		7
#define FERRY_PASSCRED		8
#define FERRY_PASSSEC		9
#define FERRY_PASSPIDFD		10

/*
 * Control message of level SOL_FERRY that comes with MSG_ERRQUEUE: a struct
 * sock_extended_err, then the address of the socket that the message went to, as
 * long as cmsg_len says (SO_EE_OFFENDER()). Where that has no name, or the stamp
 * no payload, it is AF_UNSPEC with FERRY_ADDR_HDR bytes.
 */
#define FERRY_RECVERR		5

/**
 * enum ferry_broadcast_policy - what a broadcast does to a receiver without room
 * @FERRY_BROADCAST_DROP: the message is dropped and counted (default)
 * @FERRY_BROADCAST_DISCONNECT: the receiver gets the error ENOBUFS
 */
enum ferry_broadcast_policy {
	FERRY_BROADCAST_DROP		= 0,
	FERRY_BROADCAST_DISCONNECT	= 1,
};

/**
 * enum ferry_carrier - what takes a socket's messages to its peer
 * @FERRY_CARRIER_NONE: nothing, both are on this host
 * @FERRY_CARRIER_UDP: a UDP socket; it has sent to another host, or connected there
 * @FERRY_CARRIER_TCP: a connection of TCP
 */
enum ferry_carrier {
	FERRY_CARRIER_NONE	= 0,
	FERRY_CARRIER_UDP	= 1,
	FERRY_CARRIER_TCP	= 2,
};

/**
 * struct ferry_info - FERRY_INFO: what a socket is doing
 * @fi_state: TCP_CLOSE, TCP_LISTEN, TCP_SYN_SENT (waits for a place in a
 *	listener's queue, or for another host) or TCP_ESTABLISHED (has a peer)
 * @fi_carrier: enum ferry_carrier
 * @fi_scope: enum ferry_scope of the bound address, FERRY_SCOPE_HOST without
 * @fi_drops: messages this socket has lost
 * @fi_rqueue: bytes to be read; of a listener, connections to be accepted
 * @fi_wqueue: bytes sent and not yet read; of a listener, its backlog
 * @fi_rmessages: records to be read; 0 on SOCK_STREAM
 * @fi_pad: 0
 * @fi_rtotal: what has been queued for this socket since it was made: bytes on
 *	SOCK_STREAM, else records of this host; 0 with a connection of TCP, which has
 *	TCP_INFO
 * @fi_wtotal: what it has queued for its peer, counted alike; 0 on SOCK_DGRAM,
 *	where nobody counts, and without a peer
 *
 * Extended only at its end: getsockopt(2) writes as much as both sides know,
 * and says how much.
 */
struct ferry_info {
	__u8		fi_state;
	__u8		fi_carrier;
	__u16		fi_scope;
	__u32		fi_drops;
	__u32		fi_rqueue;
	__u32		fi_wqueue;
	__u32		fi_rmessages;
	__u32		fi_pad;
	__aligned_u64	fi_rtotal;
	__aligned_u64	fi_wtotal;
};

#endif /* _UAPI_LINUX_FERRY_H */
