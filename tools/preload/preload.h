/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libferry-preload.so: what a program asks of AF_UNIX is done with AF_FERRY.
 *
 * Nothing is remembered of descriptors: the kernel tells which family one is of,
 * so those that were duplicated, inherited or received are right as well. Calls
 * without an address, read(2), write(2), send(2) and recv(2) among them, are not
 * even seen.
 *
 * There are no locks and there is no memory from malloc(3) on the way of a
 * message, so what a program may do in a signal handler it still may.
 */
#ifndef FERRY_PRELOAD_H
#define FERRY_PRELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>

#include <linux/ferry.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* A function that takes the place of the C library's. */
#define EXPORT	__attribute__((visibility("default")))

/* ---- real.c: the C library's own ---- */

struct real {
	int (*socket)(int domain, int type, int protocol);
	int (*socketpair)(int domain, int type, int protocol, int fds[2]);
	int (*bind)(int fd, const struct sockaddr *addr, socklen_t len);
	int (*connect)(int fd, const struct sockaddr *addr, socklen_t len);
	int (*accept)(int fd, struct sockaddr *addr, socklen_t *len);
	int (*accept4)(int fd, struct sockaddr *addr, socklen_t *len, int flags);
	int (*getsockname)(int fd, struct sockaddr *addr, socklen_t *len);
	int (*getpeername)(int fd, struct sockaddr *addr, socklen_t *len);
	ssize_t (*sendto)(int fd, const void *buf, size_t n, int flags,
			  const struct sockaddr *addr, socklen_t len);
	ssize_t (*sendmsg)(int fd, const struct msghdr *msg, int flags);
	int (*sendmmsg)(int fd, struct mmsghdr *msgs, unsigned int n, int flags);
	ssize_t (*recvfrom)(int fd, void *buf, size_t n, int flags, struct sockaddr *addr,
			    socklen_t *len);
	ssize_t (*recvmsg)(int fd, struct msghdr *msg, int flags);
	int (*recvmmsg)(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
			struct timespec *timeout);
	int (*getsockopt)(int fd, int level, int option, void *value, socklen_t *len);
	int (*setsockopt)(int fd, int level, int option, const void *value, socklen_t len);
	int (*chmod)(const char *path, mode_t mode);
	int (*fchmodat)(int dirfd, const char *path, mode_t mode, int flags);
};

const struct real *real(void);
bool is_ferry(int fd);
int socket_type(int fd);

/* ---- unixname.c: what a struct sockaddr_un says ---- */

/**
 * struct unix_name - a name of AF_UNIX
 * @len: bytes, the NUL at the end of a path not counted; 0: none
 * @bytes: a path, or a NUL and the bytes of an abstract name; a NUL follows
 */
struct unix_name {
	size_t len;
	char bytes[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
};

static inline bool is_path(const struct unix_name *un)
{
	return un->len && un->bytes[0];
}

int unix_name_get(struct unix_name *un, const struct sockaddr *addr, socklen_t len);
void unix_name_put(const struct unix_name *un, struct sockaddr *addr, socklen_t *len);
socklen_t unix_name_sockaddr(const struct unix_name *un, struct sockaddr_un *sun);

/* ---- key.c: what tells one socket file from all others ---- */

/* Characters of a key. */
#define KEY_LEN		11

struct key {
	char text[KEY_LEN];
	uid_t owner;
};

int key_of_path(int dirfd, const char *path, struct key *key);

/* ---- address.c: names of AF_UNIX as names of AF_FERRY and back ---- */

struct address {
	struct sockaddr_ferry sa;
	socklen_t len;
};

/* What the name of a path begins with, before the key. */
#define PATH_PREFIX	"unix:"
#define PATH_PREFIX_LEN	(sizeof(PATH_PREFIX) - 1)

/* Where the path begins in such a name. */
#define PATH_START	(PATH_PREFIX_LEN + KEY_LEN + 1)

void address_of_path(struct address *addr, const struct key *key, const struct unix_name *un);
bool address_of_name(struct address *addr, const struct unix_name *un);
bool address_has_key(const struct address *addr, const struct key *key);
void address_to_unix(const struct address *addr, struct unix_name *un);

/* ---- map.c: paths that "ferry run --map" gave a name ---- */

bool map_to_address(const struct unix_name *un, struct address *addr);
bool map_to_unix(const struct address *addr, struct unix_name *un);

/* ---- find.c: where a name of AF_UNIX is now ---- */

int find_and_do(const struct unix_name *un, int type,
		int (*attempt)(const struct address *addr, void *data), void *data);

#endif /* FERRY_PRELOAD_H */
