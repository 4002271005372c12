// SPDX-License-Identifier: GPL-2.0
/*
 * Addresses as text: "name", or "ferry://node/name" under scope network, where
 * the node is an IPv4 address or an IPv6 one in brackets. Bytes that do not
 * print, and the backslash, are \xNN. It is what the module writes to
 * /proc/net/ferry, and leads back to the same address.
 */
#include "ferry.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char scheme[] = "ferry://";

#define SCHEME_LEN	(sizeof(scheme) - 1)

static bool is_v4mapped(const uint8_t *node)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(node, prefix, sizeof(prefix));
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return p ? p - digits : -1;
}

/* The bytes of a name. Returns what is wrong with it, or NULL. */
static const char *parse_name(const char *text, struct address *addr)
{
	size_t n = 0;
	int high, low;

	for (; *text; n++) {
		if (n == FERRY_NAME_MAX)
			return "the name is longer than 108 bytes";
		if (*text != '\\') {
			addr->sa.sfy_name[n] = *text++;
			continue;
		}
		high = text[1] == 'x' ? hex_digit(text[2]) : -1;
		low = high < 0 ? -1 : hex_digit(text[3]);
		if (low < 0)
			return "a backslash begins a byte \\xNN; itself it is \\x5c";
		addr->sa.sfy_name[n] = high << 4 | low;
		text += 4;
	}
	if (!n)
		return "the name is empty";
	addr->len = FERRY_ADDR_LEN(n);
	return NULL;
}

static const char *parse_v6(char *node, struct address *addr)
{
	char *device = strchr(node, '%');

	if (device) {
		*device++ = '\0';
		if (!*device || strlen(device) >= sizeof(addr->device))
			return "what follows the % is not the name of a network interface";
		strcpy(addr->device, device);
	}
	if (inet_pton(AF_INET6, node, addr->sa.sfy_node) != 1)
		return "what stands in brackets is not an IPv6 address";
	return NULL;
}

static const char *parse_v4(const char *node, struct address *addr)
{
	addr->sa.sfy_node[10] = 0xff;
	addr->sa.sfy_node[11] = 0xff;
	if (inet_pton(AF_INET, node, &addr->sa.sfy_node[12]) != 1)
		return "the node is neither an IPv4 address nor an IPv6 address in brackets";
	return NULL;
}

/**
 * address_parse() - an address from its text
 * @text: the text
 * @addr: the result
 *
 * Return: what is wrong with it, or NULL.
 */
const char *address_parse(const char *text, struct address *addr)
{
	const char *end, *why;
	char node[64];

	memset(addr, 0, sizeof(*addr));
	addr->sa.sfy_family = AF_FERRY;
	if (strncmp(text, scheme, SCHEME_LEN))
		return parse_name(text, addr);

	addr->sa.sfy_scope = FERRY_SCOPE_NETWORK;
	text += SCHEME_LEN;
	end = *text == '[' ? strstr(text, "]/") : strchr(text, '/');
	if (!end)
		return "after ferry:// comes a node, a slash and a name";
	if (*text == '[')
		text++;
	if ((size_t)(end - text) >= sizeof(node))
		return "the node is too long";
	memcpy(node, text, end - text);
	node[end - text] = '\0';

	why = *end == ']' ? parse_v6(node, addr) : parse_v4(node, addr);
	return why ?: parse_name(end + (*end == ']' ? 2 : 1), addr);
}

static char *put_byte(char *to, unsigned char c, bool escape)
{
	if (escape || !isascii(c) || !isprint(c) || c == '\\')
		return to + sprintf(to, "\\x%02x", c);
	*to++ = c;
	*to = '\0';
	return to;
}

/**
 * address_text() - an address as text
 * @addr: address as the kernel gave it
 * @text: where to
 *
 * Return: @text, which is empty without a name.
 */
const char *address_text(const struct address *addr, char text[ADDRESS_TEXT_SIZE])
{
	const struct sockaddr_ferry *sa = &addr->sa;
	size_t i, len = addr->len > FERRY_ADDR_HDR ? addr->len - FERRY_ADDR_HDR : 0;
	char *to = text, node[INET6_ADDRSTRLEN];
	bool looks_like = false;

	*to = '\0';
	if (!len)
		return text;
	if (sa->sfy_scope != FERRY_SCOPE_NETWORK) {
		/* A name that only looks like one with a node. */
		looks_like = len >= SCHEME_LEN && !memcmp(sa->sfy_name, scheme, SCHEME_LEN);
	} else if (is_v4mapped(sa->sfy_node)) {
		inet_ntop(AF_INET, &sa->sfy_node[12], node, sizeof(node));
		to += sprintf(to, "%s%s/", scheme, node);
	} else {
		inet_ntop(AF_INET6, sa->sfy_node, node, sizeof(node));
		to += sprintf(to, "%s[%s]/", scheme, node);
	}
	for (i = 0; i < len; i++)
		to = put_byte(to, sa->sfy_name[i], looks_like && i == 0);
	return text;
}

/**
 * address_name() - the name in the text of an address
 * @addr: address
 * @text: what address_text() has made of it
 *
 * Return: where in @text the name begins, after the node if there is one.
 */
const char *address_name(const struct address *addr, const char *text)
{
	if (!addr->len || addr->sa.sfy_scope != FERRY_SCOPE_NETWORK)
		return text;
	return strchr(text + SCHEME_LEN, '/') + 1;
}

/**
 * address_nul_tail() - the sign of an address length that was wrong
 * @addr: address
 *
 * Return: how many NUL bytes the name ends in. They are part of it, which
 * programs rarely mean.
 */
size_t address_nul_tail(const struct address *addr)
{
	size_t len = addr->len > FERRY_ADDR_HDR ? addr->len - FERRY_ADDR_HDR : 0;
	size_t n = 0;

	while (n < len && !addr->sa.sfy_name[len - 1 - n])
		n++;
	return n;
}
