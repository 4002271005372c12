/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Records, as fixtures. A test stands in the fixture whose families all
 * promise what it asserts:
 *
 *   record        two connected ends: SEQPACKET and DGRAM of AF_FERRY and
 *                 AF_UNIX, UDP
 *   local_record  the same without UDP
 *   ferry_record  AF_FERRY alone
 *   seqpacket     SEQPACKET of AF_FERRY and AF_UNIX
 *   ferry_seqpacket  AF_FERRY alone
 *
 * self->a connected (where somebody did), self->b accepted. Ends of DGRAM that
 * were not made as a pair are bound, and connected to each other.
 */
#ifndef RECORD_FIXTURE_H
#define RECORD_FIXTURE_H

#include "ferry_test.h"
#include "kselftest_harness.h"

/*
 * Sends records of @len patterned bytes until no more are taken; returns how
 * many were, or -1.
 */
static inline int record_fill(int fd, size_t len)
{
	char *buf = malloc(len);
	int n;

	for (n = 0; buf; n++) {
		ft_pattern(buf, n, len);
		if (send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) == len)
			continue;
		if (errno != EAGAIN)
			n = -1;
		break;
	}
	free(buf);
	return n;
}

/* Receives record @n of those: its length and its bytes must be right. */
static inline bool record_next(int fd, int n, size_t len)
{
	char *buf = malloc(len + 1);
	bool ok;

	ok = buf && recv(fd, buf, len + 1, 0) == len &&
	     ft_pattern_ok(buf, n, len);
	free(buf);
	return ok;
}

#define RECORD_SETUP()							\
do {									\
	FT_NEED(variant->kind.domain, variant->kind.type);		\
	ft_leak_start(&self->leak, variant->kind.domain);		\
	ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));	\
} while (0)

#define RECORD_TEARDOWN()						\
do {									\
	ft_close(&self->a);						\
	ft_close(&self->b);						\
	FT_NO_LEAK(&self->leak);					\
} while (0)

FIXTURE(record)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(record)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(record, FERRY_seqpacket_pair)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(record, FERRY_seqpacket_conn)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(record, FERRY_dgram_pair)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(record, FERRY_dgram_conn)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(record, UNIX_seqpacket_pair)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(record, UNIX_seqpacket_conn)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(record, UNIX_dgram_pair)
{
	.kind = { AF_UNIX, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(record, UNIX_dgram_conn)
{
	.kind = { AF_UNIX, SOCK_DGRAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(record, UDP_conn)
{
	.kind = { AF_INET, SOCK_DGRAM, FT_CONN },
};

FIXTURE_SETUP(record)
{
	RECORD_SETUP();
}

FIXTURE_TEARDOWN(record)
{
	RECORD_TEARDOWN();
}

FIXTURE(local_record)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(local_record)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(local_record, FERRY_seqpacket_pair)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(local_record, FERRY_seqpacket_conn)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(local_record, FERRY_dgram_pair)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(local_record, FERRY_dgram_conn)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_CONN },
};

FIXTURE_VARIANT_ADD(local_record, UNIX_seqpacket_pair)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(local_record, UNIX_seqpacket_conn)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(local_record, UNIX_dgram_pair)
{
	.kind = { AF_UNIX, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(local_record, UNIX_dgram_conn)
{
	.kind = { AF_UNIX, SOCK_DGRAM, FT_CONN },
};

FIXTURE_SETUP(local_record)
{
	RECORD_SETUP();
}

FIXTURE_TEARDOWN(local_record)
{
	RECORD_TEARDOWN();
}

FIXTURE(ferry_record)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(ferry_record)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(ferry_record, FERRY_seqpacket_pair)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(ferry_record, FERRY_seqpacket_conn)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(ferry_record, FERRY_dgram_pair)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(ferry_record, FERRY_dgram_conn)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_CONN },
};

FIXTURE_SETUP(ferry_record)
{
	RECORD_SETUP();
}

FIXTURE_TEARDOWN(ferry_record)
{
	RECORD_TEARDOWN();
}

FIXTURE(seqpacket)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(seqpacket)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(seqpacket, FERRY_seqpacket_pair)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(seqpacket, FERRY_seqpacket_conn)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_VARIANT_ADD(seqpacket, UNIX_seqpacket_pair)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(seqpacket, UNIX_seqpacket_conn)
{
	.kind = { AF_UNIX, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_SETUP(seqpacket)
{
	RECORD_SETUP();
}

FIXTURE_TEARDOWN(seqpacket)
{
	RECORD_TEARDOWN();
}

FIXTURE(ferry_seqpacket)
{
	struct ft_leak leak;
	int a, b;
};

FIXTURE_VARIANT(ferry_seqpacket)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(ferry_seqpacket, FERRY_seqpacket_pair)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(ferry_seqpacket, FERRY_seqpacket_conn)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_CONN },
};

FIXTURE_SETUP(ferry_seqpacket)
{
	RECORD_SETUP();
}

FIXTURE_TEARDOWN(ferry_seqpacket)
{
	RECORD_TEARDOWN();
}

#endif /* RECORD_FIXTURE_H */
