// SPDX-License-Identifier: GPL-2.0
/*
 * The sockets of the network namespace, from sock_diag.
 */
#include "ferry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/ferry_diag.h>
#include <linux/netlink.h>

static uint64_t cookie_of(const uint32_t *half)
{
	return half[0] | (uint64_t)half[1] << 32;
}

/* An attribute, as far as both sides know its structure. */
static void copy(void *to, size_t size, const struct nlattr *attr)
{
	size_t len = mnl_attr_get_payload_len(attr);

	memcpy(to, mnl_attr_get_payload(attr), len < size ? len : size);
}

static void copy_address(struct address *addr, const struct nlattr *attr)
{
	size_t len = mnl_attr_get_payload_len(attr);

	copy(&addr->sa, sizeof(addr->sa), attr);
	addr->len = len < sizeof(addr->sa) ? len : sizeof(addr->sa);
}

static int parse_attr(const struct nlattr *attr, void *data)
{
	struct ferry_diag_rqlen queues = {};
	struct ferry_diag_peer peer = {};
	struct sock_info *s = data;
	uint8_t shutdown = 0, carrier = 0;
	uint32_t mode = 0;

	switch (mnl_attr_get_type(attr)) {
	case FERRY_DIAG_NAME:
		copy_address(&s->name, attr);
		break;
	case FERRY_DIAG_PEER_NAME:
		copy_address(&s->peer_name, attr);
		break;
	case FERRY_DIAG_PEER:
		copy(&peer, sizeof(peer), attr);
		s->has_peer = true;
		s->peer_ino = peer.fdiag_ino;
		break;
	case FERRY_DIAG_RQLEN:
		copy(&queues, sizeof(queues), attr);
		s->rqueue = queues.fdiag_rqueue;
		s->wqueue = queues.fdiag_wqueue;
		break;
	case FERRY_DIAG_MEMINFO:
		copy(s->mem, sizeof(s->mem), attr);
		s->has_mem = true;
		break;
	case FERRY_DIAG_SHUTDOWN:
		copy(&shutdown, sizeof(shutdown), attr);
		s->shutdown = shutdown;
		break;
	case FERRY_DIAG_CARRIER:
		copy(&carrier, sizeof(carrier), attr);
		s->carrier = carrier;
		break;
	case FERRY_DIAG_UID:
		copy(&s->uid, sizeof(s->uid), attr);
		break;
	case FERRY_DIAG_MODE:
		copy(&mode, sizeof(mode), attr);
		s->mode = mode;
		break;
	}
	return MNL_CB_OK;
}

static int parse_sock(const struct nlmsghdr *nlh, void *data)
{
	const struct ferry_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	struct sock_list *list = data;
	struct sock_info *s;

	s = reallocarray(list->socks, list->n + 1, sizeof(*s));
	if (!s)
		return MNL_CB_ERROR;
	list->socks = s;
	s += list->n++;
	*s = (struct sock_info){
		.type = msg->fdiag_type,
		.state = msg->fdiag_state,
		.unaccepted = msg->fdiag_flags & FERRY_DIAG_F_UNACCEPTED,
		.ino = msg->fdiag_ino,
		.cookie = cookie_of(msg->fdiag_cookie),
		.mode = -1,
	};
	return mnl_attr_parse(nlh, sizeof(*msg), parse_attr, s);
}

static int transact(struct mnl_socket *nl, struct sock_list *list)
{
	char buf[MNL_SOCKET_BUFFER_SIZE * 4];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ferry_diag_req *req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	unsigned int seq = time(NULL);
	int status = MNL_CB_OK;
	ssize_t n;

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	req->sdiag_family = AF_FERRY;
	req->fdiag_states = ~0U;
	req->fdiag_show = FERRY_DIAG_SHOW_NAME | FERRY_DIAG_SHOW_PEER | FERRY_DIAG_SHOW_RQLEN |
			  FERRY_DIAG_SHOW_MEMINFO | FERRY_DIAG_SHOW_UID | FERRY_DIAG_SHOW_MODE;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return errno;
	while (status == MNL_CB_OK) {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0)
			return errno;
		status = mnl_cb_run(buf, n, seq, mnl_socket_get_portid(nl), parse_sock, list);
	}
	return status < 0 ? errno ?: EBADMSG : 0;
}

/**
 * sock_list_get() - every socket of the family in the network namespace
 * @list: the result, for sock_list_free()
 *
 * Return: 0 or an errno; ENOENT when the module is not loaded.
 */
int sock_list_get(struct sock_list *list)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	int err;

	memset(list, 0, sizeof(*list));
	if (!nl)
		return errno;
	err = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ? errno : transact(nl, list);
	mnl_socket_close(nl);
	if (err)
		sock_list_free(list);
	return err;
}

/* sock_list_free() - give the memory back; the list is empty */
void sock_list_free(struct sock_list *list)
{
	free(list->socks);
	memset(list, 0, sizeof(*list));
}
