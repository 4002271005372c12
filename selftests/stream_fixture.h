/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Connected byte streams, as fixtures. A test stands in the fixture whose
 * families all promise what it asserts:
 *
 *   stream        AF_FERRY, AF_UNIX, TCP
 *   local_stream  AF_FERRY, AF_UNIX: TCP's answer differs, or comes later
 *   inet_stream   AF_FERRY, TCP: AF_UNIX lacks it
 *   ferry_stream  AF_FERRY alone
 *
 * self->a connected (where somebody did), self->b accepted.
 * The variant's name begins with the family, for the conformance page.
 */
#ifndef STREAM_FIXTURE_H
#define STREAM_FIXTURE_H

#include "ferry_test.h"
#include "kselftest_harness.h"

#define STREAM_SETUP()							\
do {									\
	FT_NEED(variant->kind.domain, variant->kind.type);		\
	ft_leak_start(&self->leak, variant->kind.domain);		\
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));	\
} while (0)

#define STREAM_TEARDOWN()						\
do {									\
	ft_close(&self->a);						\
	ft_close(&self->b);						\
	FT_NO_LEAK(&self->leak);					\
} while (0)

FIXTURE(stream)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(stream)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(stream, FERRY_pair)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(stream, FERRY_conn)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(stream, UNIX_pair)
{
	.kind = { AF_UNIX, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(stream, UNIX_conn)
{
	.kind = { AF_UNIX, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(stream, TCP_conn)
{
	.kind = { AF_INET, SOCK_STREAM, FT_CONN },
};

FIXTURE_SETUP(stream)
{
	STREAM_SETUP();
}

FIXTURE_TEARDOWN(stream)
{
	STREAM_TEARDOWN();
}

FIXTURE(local_stream)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(local_stream)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(local_stream, FERRY_pair)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(local_stream, FERRY_conn)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(local_stream, UNIX_pair)
{
	.kind = { AF_UNIX, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(local_stream, UNIX_conn)
{
	.kind = { AF_UNIX, SOCK_STREAM, FT_CONN },
};

FIXTURE_SETUP(local_stream)
{
	STREAM_SETUP();
}

FIXTURE_TEARDOWN(local_stream)
{
	STREAM_TEARDOWN();
}

FIXTURE(inet_stream)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(inet_stream)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(inet_stream, FERRY_pair)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(inet_stream, FERRY_conn)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(inet_stream, TCP_conn)
{
	.kind = { AF_INET, SOCK_STREAM, FT_CONN },
};

FIXTURE_SETUP(inet_stream)
{
	STREAM_SETUP();
}

FIXTURE_TEARDOWN(inet_stream)
{
	STREAM_TEARDOWN();
}

FIXTURE(ferry_stream)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(ferry_stream)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(ferry_stream, FERRY_pair)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(ferry_stream, FERRY_conn)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_CONN },
};

FIXTURE_SETUP(ferry_stream)
{
	STREAM_SETUP();
}

FIXTURE_TEARDOWN(ferry_stream)
{
	STREAM_TEARDOWN();
}

#endif /* STREAM_FIXTURE_H */
