// SPDX-License-Identifier: GPL-2.0
/*
 * Who has a socket: the descriptors of all processes that may be looked at.
 */
#include "ferry.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void read_comm(int pid, char comm[16])
{
	char path[32];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	comm[0] = '\0';
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(comm, 16, f))
		comm[strcspn(comm, "\n")] = '\0';
	fclose(f);
}

static void add(struct holders *h, uint64_t ino, int pid, int fd)
{
	struct holder *grown;

	grown = reallocarray(h->holders, h->n + 1, sizeof(*grown));
	if (!grown)
		fail_errno(ENOMEM, "the list of descriptors");
	h->holders = grown;
	grown += h->n++;
	*grown = (struct holder){ .ino = ino, .pid = pid, .fd = fd };
	read_comm(pid, grown->comm);
}

static void look_at(struct holders *h, int pid)
{
	unsigned long long ino;
	char path[32], link[64];
	struct dirent *entry;
	ssize_t n;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir) {
		/* It may also have ended. */
		h->incomplete |= errno == EACCES || errno == EPERM;
		return;
	}
	while ((entry = readdir(dir))) {
		n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		if (n < 0)
			continue;
		link[n] = '\0';
		if (sscanf(link, "socket:[%llu]", &ino) == 1)
			add(h, ino, pid, atoi(entry->d_name));
	}
	closedir(dir);
}

static int compare(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	if (x->pid != y->pid)
		return x->pid - y->pid;
	return x->fd - y->fd;
}

/**
 * holders_get() - every descriptor of a socket, of any family
 * @h: the result, for holders_free()
 */
void holders_get(struct holders *h)
{
	struct dirent *entry;
	DIR *proc;

	memset(h, 0, sizeof(*h));
	proc = opendir("/proc");
	if (!proc)
		fail_errno(errno, "cannot read /proc");
	while ((entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			look_at(h, atoi(entry->d_name));
	closedir(proc);
	if (h->n)
		qsort(h->holders, h->n, sizeof(*h->holders), compare);
}

void holders_free(struct holders *h)
{
	free(h->holders);
	memset(h, 0, sizeof(*h));
}

/**
 * holders_of() - the descriptors of one socket
 * @h: all of them
 * @ino: its inode
 * @n: how many there are
 *
 * Return: the first, or NULL.
 */
const struct holder *holders_of(const struct holders *h, uint64_t ino, size_t *n)
{
	size_t low = 0, high = h->n, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (h->holders[middle].ino < ino)
			low = middle + 1;
		else
			high = middle;
	}
	for (*n = 0; low + *n < h->n && h->holders[low + *n].ino == ino; ++*n)
		;
	return *n && ino ? &h->holders[low] : NULL;
}
