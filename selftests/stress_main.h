/* SPDX-License-Identifier: GPL-2.0 */
/* The frame of a stress program; to be included after the harness. */
#ifndef STRESS_MAIN_H
#define STRESS_MAIN_H

#include "stress.h"
#include "kselftest_harness.h"

static int64_t stress_share_ms = 100;
static int64_t stress_short_ms = 100;

/* When a test of this variant has gone on for long enough. */
static inline int64_t stress_end(int domain)
{
	return ft_now_ms() + (domain == AF_FERRY ? stress_share_ms :
						   stress_short_ms);
}

/* How many tests of AF_FERRY the harness will run. */
static inline int stress_tests(int argc, char **argv)
{
	struct __fixture_variant_metadata *v;
	struct __fixture_metadata *f;
	struct __test_metadata *t;
	int n = 0;

	for (f = __fixture_list; f; f = f->next)
		for (v = f->variant; v; v = v->next)
			for (t = f->tests; t; t = t->next)
				n += !strncmp(v->name, "FERRY", 5) &&
				     test_enabled(argc, argv, f, v, t);
	optind = 1;
	return n ? n : 1;
}

static inline int stress_main(int argc, char **argv)
{
	const char *seconds = getenv("FERRY_STRESS_SECONDS");
	int tests;

	if (argc > 2 && !strcmp(argv[1], "-s")) {
		seconds = argv[2];
		argv[2] = argv[0];
		argv += 2;
		argc -= 2;
	}
	FT_HARNESS_PREPARE();
	tests = stress_tests(argc, argv);
	stress_short_ms = STRESS_SECONDS * 1000 / tests;
	stress_share_ms = stress_short_ms;
	if (seconds)
		stress_share_ms = atol(seconds) * 1000 / tests;
	return test_harness_run(argc, argv);
}

#define STRESS_MAIN							\
int main(int argc, char **argv)						\
{									\
	return stress_main(argc, argv);					\
}

#endif /* STRESS_MAIN_H */
