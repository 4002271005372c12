/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Diagnosis of AF_FERRY sockets by NETLINK_SOCK_DIAG: requests are of the type
 * SOCK_DIAG_BY_FAMILY, answers are a struct ferry_diag_msg and attributes.
 */
#ifndef _UAPI_LINUX_FERRY_DIAG_H
#define _UAPI_LINUX_FERRY_DIAG_H

#include <linux/types.h>

/**
 * struct ferry_diag_req - what to tell of which sockets
 * @sdiag_family: AF_FERRY
 * @sdiag_protocol: 0
 * @pad: 0
 * @fdiag_states: dump: a bit for each TCP_* state that is of interest
 * @fdiag_ino: one socket: its inode; 0 to look for the cookie alone
 * @fdiag_show: FERRY_DIAG_SHOW_* of the attributes wanted
 * @fdiag_cookie: one socket: its SO_COOKIE, lower half first. Beside an inode
 *	it must fit, else the error is ESTALE; all ones fit anything
 *
 * With NLM_F_DUMP the answer is every socket of the network namespace in one of
 * the states, without it the one socket or ENOENT. The same layout and the same
 * bits as struct unix_diag_req.
 */
struct ferry_diag_req {
	__u8	sdiag_family;
	__u8	sdiag_protocol;
	__u16	pad;
	__u32	fdiag_states;
	__u32	fdiag_ino;
	__u32	fdiag_show;
	__u32	fdiag_cookie[2];
};

#define FERRY_DIAG_SHOW_NAME	0x00000001	/* FERRY_DIAG_NAME, _PEER_NAME */
#define FERRY_DIAG_SHOW_PEER	0x00000004	/* FERRY_DIAG_PEER */
#define FERRY_DIAG_SHOW_ICONS	0x00000008	/* FERRY_DIAG_ICONS */
#define FERRY_DIAG_SHOW_RQLEN	0x00000010	/* FERRY_DIAG_RQLEN */
#define FERRY_DIAG_SHOW_MEMINFO	0x00000020	/* FERRY_DIAG_MEMINFO */
#define FERRY_DIAG_SHOW_UID	0x00000040	/* FERRY_DIAG_UID */
#define FERRY_DIAG_SHOW_MODE	0x00000080	/* FERRY_DIAG_MODE */

/* Bits of fdiag_flags. */
#define FERRY_DIAG_F_UNACCEPTED	0x01	/* waits in a listener's queue */

/**
 * struct ferry_diag_msg - a socket
 * @fdiag_family: AF_FERRY
 * @fdiag_type: SOCK_STREAM, SOCK_SEQPACKET or SOCK_DGRAM
 * @fdiag_state: TCP_CLOSE, TCP_LISTEN, TCP_SYN_SENT (waits for a place in a
 *	listener's queue) or TCP_ESTABLISHED (has a peer)
 * @fdiag_flags: FERRY_DIAG_F_*
 * @fdiag_ino: inode, 0 when it has none because nobody has accepted it yet
 * @fdiag_cookie: SO_COOKIE, lower half first
 */
struct ferry_diag_msg {
	__u8	fdiag_family;
	__u8	fdiag_type;
	__u8	fdiag_state;
	__u8	fdiag_flags;

	__u32	fdiag_ino;
	__u32	fdiag_cookie[2];
};

/**
 * enum ferry_diag_attr - attributes of an answer
 * @FERRY_DIAG_UNSPEC: never used
 * @FERRY_DIAG_NAME: struct sockaddr_ferry of the bound address, as long as
 *	getsockname(2) says; absent without one
 * @FERRY_DIAG_PEER_NAME: the same of the peer; of one on another host, with its node
 * @FERRY_DIAG_PEER: struct ferry_diag_peer; absent without a peer on this host
 * @FERRY_DIAG_ICONS: __u32 inodes of the sockets whose connections wait to be
 *	accepted, FERRY_DIAG_ICONS_MAX of them at most; of a listener
 * @FERRY_DIAG_RQLEN: struct ferry_diag_rqlen
 * @FERRY_DIAG_MEMINFO: __u32[SK_MEMINFO_VARS] as SO_MEMINFO gives it
 * @FERRY_DIAG_SHUTDOWN: __u8, RCV_SHUTDOWN 1 | SEND_SHUTDOWN 2; always there
 * @FERRY_DIAG_UID: __u32, the socket's owner in the caller's user namespace;
 *	before it is accepted, who connected
 * @FERRY_DIAG_MODE: __u32, access mode of the name; absent unless the socket
 *	itself is bound
 * @FERRY_DIAG_CARRIER: __u8, enum ferry_carrier of <linux/ferry.h>; always there
 * @__FERRY_DIAG_MAX: one more than the last
 */
enum ferry_diag_attr {
	FERRY_DIAG_UNSPEC,
	FERRY_DIAG_NAME,
	FERRY_DIAG_PEER_NAME,
	FERRY_DIAG_PEER,
	FERRY_DIAG_ICONS,
	FERRY_DIAG_RQLEN,
	FERRY_DIAG_MEMINFO,
	FERRY_DIAG_SHUTDOWN,
	FERRY_DIAG_UID,
	FERRY_DIAG_MODE,
	FERRY_DIAG_CARRIER,

	__FERRY_DIAG_MAX,
};

#define FERRY_DIAG_MAX (__FERRY_DIAG_MAX - 1)

#define FERRY_DIAG_ICONS_MAX	512

/**
 * struct ferry_diag_peer - the connected peer
 * @fdiag_ino: its inode, 0 when it is not accepted yet
 * @fdiag_cookie: its SO_COOKIE, lower half first
 */
struct ferry_diag_peer {
	__u32	fdiag_ino;
	__u32	fdiag_cookie[2];
};

/**
 * struct ferry_diag_rqlen - what waits
 * @fdiag_rqueue: bytes to be read; of a listener, connections to be accepted
 * @fdiag_wqueue: bytes sent and not yet read; of a listener, its backlog
 */
struct ferry_diag_rqlen {
	__u32	fdiag_rqueue;
	__u32	fdiag_wqueue;
};

#endif /* _UAPI_LINUX_FERRY_DIAG_H */
