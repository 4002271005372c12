// SPDX-License-Identifier: GPL-2.0
/*
 * Writes a program as a C file that needs nothing else: what runs it and the calls that
 * it has, by copies of the sources, which sources.S makes part of the fuzzer.
 */
#include <string.h>

#include "fuzz.h"

extern const char rtnl_text[], steps_h_text[], steps_text[], calls_text[];

static const char begin[] = "/* The calls begin here. */\n";

/* A source without its licence and without what it includes of ours, up to an end. */
static void emit_source(const char *text, const char *end, FILE *to)
{
	const char *line, *next;

	for (line = text; line < end && *line; line = next) {
		next = strchr(line, '\n');
		next = next ? next + 1 : line + strlen(line);
		if (!strstr(line, "SPDX-License-Identifier") || strstr(line, "SPDX-") >= next)
			if (strncmp(line, "#include \"", 10))
				fwrite(line, 1, next - line, to);
	}
}

/* A function with the comment, or the structure, that belongs to it. */
static void emit_call(const char *name, FILE *to)
{
	const char *at, *end, *from = strstr(calls_text, begin) + strlen(begin);
	char head[64];

	snprintf(head, sizeof(head), "\nlong do_%s(const long *a)\n", name);
	at = strstr(from, head);
	if (!at)
		return;
	end = strstr(at, "\n}\n") + 3;
	/* Back to the end of the function before. */
	for (; at > from && strncmp(at, "\n}\n", 3); at--)
		;
	if (at > from)
		at += 3;
	fwrite(at, 1, end - at, to);
}

void emit_program(const struct program *p, FILE *to)
{
	static const char ring[] = "struct fuzz_ring {";
	const char *at, *end;
	bool rings = false;
	int i, j, k;

	fputs("// SPDX-License-Identifier: GPL-2.0\n"
	      "/*\n"
	      " * Made by tools/fuzz: a sequence of calls that the kernel had trouble with.\n"
	      " * cc -D_GNU_SOURCE -pthread -Iuapi FILE.c; run it as root, with the module\n"
	      " * loaded; an argument says how often. What it does is in steps[].\n"
	      " */\n", to);
	emit_source(rtnl_text, rtnl_text + strlen(rtnl_text), to);
	emit_source(steps_h_text, steps_h_text + strlen(steps_h_text), to);
	emit_source(steps_text, steps_text + strlen(steps_text), to);
	emit_source(calls_text, strstr(calls_text, begin), to);
	for (i = 0; i < p->n; i++)
		rings |= !!strstr(calls[p->lines[i].call].name, "ring");
	if (rings) {
		at = strstr(calls_text, ring);
		end = strstr(strstr(at, "ring_of("), "\n}\n") + 3;
		fwrite(at, 1, end - at, to);
	}
	for (i = 0; i < call_count; i++) {
		for (j = 0; j < p->n && p->lines[j].call != i; j++)
			;
		if (j == p->n)
			continue;
		if (strcmp(calls[i].name, "ring")) {
			emit_call(calls[i].name, to);
		} else {
			at = strstr(calls_text, "\nlong do_ring(");
			fwrite(at, 1, strstr(at, "\n}\n") + 3 - at, to);
		}
	}
	fputs("\nstatic const struct step steps[] = {\n", to);
	for (i = 0; i < p->n; i++) {
		fprintf(to, "\t{ %d, %d, do_%s, {", p->lines[i].thread, p->lines[i].fail,
			calls[p->lines[i].call].name);
		for (k = 0; calls[p->lines[i].call].args[k]; k++)
			fprintf(to, "%s %ld", k ? "," : "", p->lines[i].a[k]);
		fputs(" } },\n", to);
	}
	fprintf(to, "};\n\nint main(int argc, char **argv)\n{\n"
		"\tint n = argc > 1 ? atoi(argv[1]) : 1, i;\n\n"
		"\tif (!steps_setup())\n\t\treturn 1;\n"
		"\tfor (i = 0; i < n; i++) {\n\t\tif (!fork()) {\n\t\t\tsetpgid(0, 0);\n"
		"\t\t\tsteps_run(steps, %d, %d, %u);\n\t\t\t_exit(0);\n\t\t}\n"
		"\t\twait(NULL);\n\t}\n\treturn 0;\n}\n", p->n, p->setup, p->places);
}
