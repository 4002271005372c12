// SPDX-License-Identifier: GPL-2.0
/*
 * Paths that "ferry run --map" gave a name. They come in the environment variable
 * FERRY_RUN_MAP, each a line of the address in hexadecimal digits, '=' and the
 * absolute path, or '@' and an abstract name.
 */
#include "preload.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mapping {
	struct address addr;
	char *path;
	struct mapping *next;
};

static struct mapping *mappings;

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse(char *line, struct mapping *m)
{
	uint8_t *to = (uint8_t *)&m->addr.sa;
	char *end = strchr(line, '=');
	size_t n;

	if (!end || end - line > 2 * (ptrdiff_t)sizeof(m->addr.sa))
		return false;
	for (n = 0; line + 2 * n < end; n++) {
		int high = hex_digit(line[2 * n]), low = hex_digit(line[2 * n + 1]);

		if (high < 0 || low < 0)
			return false;
		to[n] = high << 4 | low;
	}
	m->addr.len = n;
	m->path = end + 1;
	return n > FERRY_ADDR_HDR;
}

/* A copy, as the program may change its environment. */
static __attribute__((constructor)) void read_environment(void)
{
	const char *text = getenv("FERRY_RUN_MAP");
	struct mapping *m;
	char *line, *rest;

	rest = text ? strdup(text) : NULL;
	while ((line = strsep(&rest, "\n"))) {
		m = calloc(1, sizeof(*m));
		if (!m)
			return;
		if (!parse(line, m)) {
			free(m);
			continue;
		}
		m->next = mappings;
		mappings = m;
	}
}

static bool is_mapped(const struct mapping *m, const struct unix_name *un)
{
	char path[PATH_MAX];

	if (!is_path(un))
		return m->path[0] == '@' && strlen(m->path) == un->len &&
		       !memcmp(m->path + 1, un->bytes + 1, un->len - 1);
	if (un->bytes[0] == '/')
		return !strcmp(m->path, un->bytes);
	/* A relative path. */
	if (!getcwd(path, sizeof(path) - sizeof(un->bytes) - 1))
		return false;
	if (path[1])
		strcat(path, "/");
	strcat(path, un->bytes + (strncmp(un->bytes, "./", 2) ? 0 : 2));
	return !strcmp(m->path, path);
}

/* map_to_address() - the name that was given for this path; false: none */
bool map_to_address(const struct unix_name *un, struct address *addr)
{
	const struct mapping *m;

	for (m = mappings; m; m = m->next) {
		if (un->len && is_mapped(m, un)) {
			*addr = m->addr;
			return true;
		}
	}
	return false;
}

/* map_to_unix() - the path that has this name; false: none */
bool map_to_unix(const struct address *addr, struct unix_name *un)
{
	const struct mapping *m;
	size_t len;

	for (m = mappings; m; m = m->next) {
		len = strlen(m->path);
		if (m->addr.len != addr->len || memcmp(&m->addr.sa, &addr->sa, addr->len) ||
		    len >= sizeof(un->bytes))
			continue;
		memcpy(un->bytes, m->path, len + 1);
		un->len = len;
		if (un->bytes[0] == '@')
			un->bytes[0] = '\0';
		return true;
	}
	return false;
}
