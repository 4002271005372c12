/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Connections between two hosts, as a fixture for any type: a listener "service" at
 * host 1, which all may connect to, reached as its variants say; a of host 0 and b
 * accepted, once CONNECT_TYPE() has made them.
 */
#ifndef REMOTE_FIXTURE_H
#define REMOTE_FIXTURE_H

#include "network.h"
#include "kselftest_harness.h"

#define REMOTE_FIXTURE(_fixture, _type)						\
FIXTURE(_fixture)								\
{										\
	struct net net;								\
	struct ft_addr addr;							\
	int listener;								\
	int a, b;								\
};										\
										\
FIXTURE_VARIANT(_fixture)							\
{										\
	const char *node;							\
};										\
										\
FIXTURE_SETUP(_fixture)								\
{										\
	FT_NEED(AF_FERRY, (_type));						\
	self->a = -1;								\
	self->b = -1;								\
	self->listener = -1;							\
	ASSERT_TRUE(net_up(&self->net));					\
	self->listener = net_listener(&self->net, 1, (_type), "service");	\
	ASSERT_LE(0, self->listener);						\
	net_addr(&self->addr, variant->node, "service");			\
}										\
										\
FIXTURE_TEARDOWN(_fixture)							\
{										\
	ft_close(&self->a);							\
	ft_close(&self->b);							\
	ft_close(&self->listener);						\
	net_down(&self->net);							\
}

#define REMOTE_IPV4(_fixture)							\
FIXTURE_VARIANT_ADD(_fixture, FERRY_ipv4)					\
{										\
	.node = "10.18.0.2",							\
}

#define REMOTE_IPV6(_fixture)							\
FIXTURE_VARIANT_ADD(_fixture, FERRY_ipv6)					\
{										\
	.node = "fd18::2",							\
}

/* A connection of this type. */
#define CONNECT_TYPE(_type)							\
do {										\
	self->a = net_socket(&self->net, 0, AF_FERRY, (_type));			\
	ASSERT_LE(0, self->a);							\
	ASSERT_EQ(0, connect(self->a, &self->addr.sa, self->addr.len));		\
	self->b = accept(self->listener, NULL, NULL);				\
	ASSERT_LE(0, self->b);							\
} while (0)

#endif /* REMOTE_FIXTURE_H */
