// SPDX-License-Identifier: GPL-2.0
/*
 * Where a name of AF_UNIX is now. The name of a path has in it what the server
 * gave to bind(2). Most clients say the same, so that is tried first; for those
 * that come by a symbolic link or a relative path, or to a file that was renamed,
 * the key is looked for among the names there are.
 */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include <linux/ferry_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>

struct search {
	const struct key *key;
	int type;
	struct address *addr;
	bool found;		/* of any type */
	bool right;		/* of the type asked for */
};

/*
 * One socket. The owner of the file or root has bound it, as another could not
 * have made the file.
 */
static void look_at(struct nlmsghdr *nlh, struct search *s)
{
	const struct ferry_diag_msg *msg = NLMSG_DATA(nlh);
	int len = NLMSG_PAYLOAD(nlh, sizeof(*msg));
	struct rtattr *attr = (struct rtattr *)(msg + 1);
	struct address addr = {};
	uint32_t uid = -1;

	for (; RTA_OK(attr, len); attr = RTA_NEXT(attr, len)) {
		if (attr->rta_type == FERRY_DIAG_NAME && RTA_PAYLOAD(attr) <= sizeof(addr.sa)) {
			addr.len = RTA_PAYLOAD(attr);
			memcpy(&addr.sa, RTA_DATA(attr), addr.len);
		} else if (attr->rta_type == FERRY_DIAG_UID) {
			memcpy(&uid, RTA_DATA(attr), sizeof(uid));
		}
	}
	if (s->right || !address_has_key(&addr, s->key) || (uid && uid != s->key->owner))
		return;
	*s->addr = addr;
	s->found = true;
	s->right = msg->fdiag_type == s->type;
}

/* One packet; false: it was the last. */
static bool look_through(char *buf, int n, struct search *s)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)buf;

	for (; NLMSG_OK(nlh, (unsigned int)n); nlh = NLMSG_NEXT(nlh, n)) {
		if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
			return false;
		look_at(nlh, s);
	}
	return true;
}

/* The bound sockets that connect(2) could mean. */
static bool search_names(struct search *s)
{
	struct {
		struct nlmsghdr nlh;
		struct ferry_diag_req req;
	} request = {
		.nlh = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.req = {
			.sdiag_family = AF_FERRY,
			.fdiag_states = 1 << TCP_LISTEN | 1 << TCP_CLOSE,
			.fdiag_show = FERRY_DIAG_SHOW_NAME | FERRY_DIAG_SHOW_UID,
		},
	};
	char buf[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t n;
	int fd;

	/* Others are connections. */
	if (s->type == SOCK_DGRAM)
		request.req.fdiag_states |= 1 << TCP_ESTABLISHED;
	fd = real()->socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0)
		return false;
	n = real()->sendto(fd, &request, sizeof(request), 0, NULL, 0);
	while (n > 0) {
		n = real()->recvfrom(fd, buf, sizeof(buf), 0, NULL, NULL);
		if (n < 0 && errno == EINTR) {
			n = 1;
			continue;
		}
		if (n > 0 && !look_through(buf, n, s))
			break;
	}
	close(fd);
	return s->found;
}

/**
 * find_and_do() - do something with the socket that has a name
 * @un: name
 * @type: of the socket that asks
 * @attempt: what to do, with the address; sets errno
 * @data: for it
 *
 * Return: what @attempt returned, or -1 and the errno of connect(2). Of
 * ECONNREFUSED nothing was done.
 */
int find_and_do(const struct unix_name *un, int type,
		int (*attempt)(const struct address *addr, void *data), void *data)
{
	struct address addr;
	struct search search = { .type = type, .addr = &addr };
	struct key key;
	int ret;

	if (!un->len) {
		errno = EINVAL;
		return -1;
	}
	if (map_to_address(un, &addr) || address_of_name(&addr, un))
		return attempt(&addr, data);

	if (faccessat(AT_FDCWD, un->bytes, W_OK, AT_EACCESS) ||
	    key_of_path(AT_FDCWD, un->bytes, &key))
		return -1;
	address_of_path(&addr, &key, un);
	ret = attempt(&addr, data);
	if (ret != -1 || errno != ECONNREFUSED)
		return ret;
	search.key = &key;
	if (search_names(&search))
		return attempt(&addr, data);
	errno = ECONNREFUSED;
	return -1;
}
