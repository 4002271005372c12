/* SPDX-License-Identifier: GPL-2.0 */
/* packet.c: the bytes of a datagram on the network */
#ifndef _FERRY_PACKET_H
#define _FERRY_PACKET_H

#include <linux/ferry.h>
#include <linux/types.h>

struct sk_buff;

#define FERRY_PACKET_VERSION	1
#define FERRY_PACKET_DATAGRAM	1

/* Longest payload: with two names and all headers it fits IPv4's 65,535 bytes. */
#define FERRY_PACKET_MAX	65000

/**
 * struct ferry_packet - the header of a datagram; names follow, the source's first
 * @version: FERRY_PACKET_VERSION
 * @type: FERRY_PACKET_DATAGRAM
 * @src_len: bytes of the sender's name, 0 when it shows none
 * @dst_len: bytes of the receiver's name
 * @names: both
 */
struct ferry_packet {
	__u8	version;
	__u8	type;
	__u8	src_len;
	__u8	dst_len;
	char	names[];
};

/* Bytes of the longest header. */
#define FERRY_PACKET_HDR_MAX	(sizeof(struct ferry_packet) + 2 * FERRY_NAME_MAX)

/* ferry_packet_len() - bytes of a header with its names */
static inline unsigned int ferry_packet_len(const struct ferry_packet *packet)
{
	return sizeof(*packet) + packet->src_len + packet->dst_len;
}

unsigned int ferry_packet_build(void *to, const char *src, u8 src_len,
				const char *dst, u8 dst_len);
bool ferry_packet_valid(const struct ferry_packet *packet, unsigned int len);
const struct ferry_packet *ferry_packet_parse(struct sk_buff *skb,
					      unsigned int off);

#endif /* _FERRY_PACKET_H */
