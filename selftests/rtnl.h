/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Links and addresses by rtnetlink(7): to run ip(8) takes long under emulation.
 * A request goes by a socket, which is of the network namespace it was made in.
 */
#ifndef FERRY_RTNL_H
#define FERRY_RTNL_H

#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

/* struct rtnl - a request, built by the functions below */
struct rtnl {
	struct nlmsghdr h;
	char room[512];
};

static inline void *rtnl_add(struct rtnl *r, size_t len)
{
	void *to = (char *)r + NLMSG_ALIGN(r->h.nlmsg_len);

	r->h.nlmsg_len = NLMSG_ALIGN(r->h.nlmsg_len) + len;
	return to;
}

static inline struct rtattr *rtnl_attr(struct rtnl *r, int type, const void *data,
				       size_t len)
{
	struct rtattr *attr = rtnl_add(r, RTA_LENGTH(len));

	attr->rta_type = type;
	attr->rta_len = RTA_LENGTH(len);
	memcpy(RTA_DATA(attr), data, len);
	return attr;
}

/* An attribute of attributes: those added until rtnl_end(). */
static inline struct rtattr *rtnl_begin(struct rtnl *r, int type)
{
	return rtnl_attr(r, type, "", 0);
}

static inline void rtnl_end(struct rtnl *r, struct rtattr *attr)
{
	attr->rta_len = (char *)r + r->h.nlmsg_len - (char *)attr;
}

static inline void *rtnl_start(struct rtnl *r, int type, int flags, size_t len)
{
	memset(r, 0, sizeof(*r));
	r->h.nlmsg_type = type;
	r->h.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	r->h.nlmsg_len = NLMSG_HDRLEN;
	return rtnl_add(r, len);
}

/* Send it; true if the kernel has done so. */
static inline bool rtnl_ask(int fd, struct rtnl *r)
{
	struct {
		struct nlmsghdr h;
		struct nlmsgerr err;
		char room[512];
	} answer;

	return send(fd, r, r->h.nlmsg_len, 0) == (ssize_t)r->h.nlmsg_len &&
	       recv(fd, &answer, sizeof(answer), 0) >=
	       (ssize_t)NLMSG_LENGTH(sizeof(answer.err)) &&
	       answer.h.nlmsg_type == NLMSG_ERROR && !answer.err.error;
}

/* A pair of devices of one name, one of them in the namespace @peer. */
static inline bool rtnl_veth(int fd, const char *dev, int peer)
{
	struct rtattr *info, *data, *other;
	struct rtnl r;

	rtnl_start(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	rtnl_attr(&r, IFLA_IFNAME, dev, strlen(dev) + 1);
	info = rtnl_begin(&r, IFLA_LINKINFO);
	rtnl_attr(&r, IFLA_INFO_KIND, "veth", 4);
	data = rtnl_begin(&r, IFLA_INFO_DATA);
	other = rtnl_begin(&r, VETH_INFO_PEER);
	memset(rtnl_add(&r, sizeof(struct ifinfomsg)), 0, sizeof(struct ifinfomsg));
	rtnl_attr(&r, IFLA_IFNAME, dev, strlen(dev) + 1);
	rtnl_attr(&r, IFLA_NET_NS_FD, &peer, sizeof(peer));
	rtnl_end(&r, other);
	rtnl_end(&r, data);
	rtnl_end(&r, info);
	return rtnl_ask(fd, &r);
}

static inline bool rtnl_up(int fd, const char *dev)
{
	struct ifinfomsg *ifi;
	struct rtnl r;

	ifi = rtnl_start(&r, RTM_NEWLINK, 0, sizeof(*ifi));
	ifi->ifi_flags = IFF_UP;
	ifi->ifi_change = IFF_UP;
	rtnl_attr(&r, IFLA_IFNAME, dev, strlen(dev) + 1);
	return rtnl_ask(fd, &r);
}

/* An address of a device, usable at once; of IPv4 with the broadcast address of its /24. */
static inline bool rtnl_addr(int fd, const char *dev, int family, const void *addr)
{
	size_t len = family == AF_INET ? 4 : 16;
	struct ifreq ifr = { .ifr_ifindex = 0 };
	unsigned char all[4];
	struct ifaddrmsg *ifa;
	struct rtnl r;

	strncpy(ifr.ifr_name, dev, IFNAMSIZ - 1);
	if (ioctl(fd, SIOCGIFINDEX, &ifr))
		return false;
	ifa = rtnl_start(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*ifa));
	ifa->ifa_family = family;
	ifa->ifa_prefixlen = family == AF_INET ? 24 : 64;
	ifa->ifa_flags = family == AF_INET ? 0 : IFA_F_NODAD;
	ifa->ifa_index = ifr.ifr_ifindex;
	rtnl_attr(&r, IFA_LOCAL, addr, len);
	rtnl_attr(&r, IFA_ADDRESS, addr, len);
	if (family == AF_INET) {
		memcpy(all, addr, 4);
		all[3] = 255;
		rtnl_attr(&r, IFA_BROADCAST, all, 4);
	}
	return rtnl_ask(fd, &r);
}

#endif /* FERRY_RTNL_H */
