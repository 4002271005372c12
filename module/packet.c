// SPDX-License-Identifier: GPL-2.0
/*
 * The bytes of a datagram on the network: a header, the names of sender and receiver,
 * the payload. All that can be wrong with them is found here.
 */
#include <linux/skbuff.h>
#include <linux/string.h>

#include "packet.h"

/**
 * ferry_packet_build() - write a header
 * @to: room for FERRY_PACKET_HDR_MAX bytes
 * @src: sender's name
 * @src_len: its bytes
 * @dst: receiver's name
 * @dst_len: its bytes
 *
 * Return: bytes written.
 */
unsigned int ferry_packet_build(void *to, const char *src, u8 src_len,
				const char *dst, u8 dst_len)
{
	struct ferry_packet *packet = to;

	packet->version = FERRY_PACKET_VERSION;
	packet->type = FERRY_PACKET_DATAGRAM;
	packet->src_len = src_len;
	packet->dst_len = dst_len;
	memcpy(packet->names, src, src_len);
	memcpy(packet->names + src_len, dst, dst_len);
	return ferry_packet_len(packet);
}

/**
 * ferry_packet_valid() - is it the header of a datagram?
 * @packet: the first bytes
 * @len: how many are there, with the payload
 *
 * Return: false if it is of another version or type, or one of its lengths is wrong.
 */
bool ferry_packet_valid(const struct ferry_packet *packet, unsigned int len)
{
	return len >= sizeof(*packet) &&
	       packet->version == FERRY_PACKET_VERSION &&
	       packet->type == FERRY_PACKET_DATAGRAM &&
	       packet->src_len <= FERRY_NAME_MAX &&
	       packet->dst_len && packet->dst_len <= FERRY_NAME_MAX &&
	       len >= ferry_packet_len(packet) &&
	       len - ferry_packet_len(packet) <= FERRY_PACKET_MAX;
}

/**
 * ferry_packet_parse() - find the header in what has arrived
 * @skb: the message
 * @off: where its header begins
 *
 * Context: any. What @skb points to may move.
 * Return: the header with both names, or NULL if there is none.
 */
const struct ferry_packet *ferry_packet_parse(struct sk_buff *skb,
					      unsigned int off)
{
	const struct ferry_packet *packet;

	if (!pskb_may_pull(skb, off + sizeof(*packet)))
		return NULL;
	packet = (const void *)(skb->data + off);
	if (!ferry_packet_valid(packet, skb->len - off) ||
	    !pskb_may_pull(skb, off + ferry_packet_len(packet)))
		return NULL;
	return (const void *)(skb->data + off);
}
