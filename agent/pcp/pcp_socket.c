/* SPDX-License-Identifier: BSD-2-Clause */
#include "pcp/pcp_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/base.h"
#include "host/netlink.h"
#include "pcp/pcp_message.h"

/* The VRF of an address; ifindex 0: none. */
static struct link vrf_of(struct netlink *n, uint32_t addr)
{
	_cleanup_free_ struct address *all = NULL;
	struct link l, vrf;
	size_t count = 0;

	if (addresses_read(n, &all, &count))
		return (struct link){ 0 };
	for (size_t i = 0; i < count; i++)
		if (all[i].addr == addr && !link_by_index(n, all[i].ifindex, &l))
			return link_vrf(&l) && !link_by_index(n, link_vrf(&l), &vrf) ? vrf : (struct link){ 0 };
	return (struct link){ 0 };
}

uint32_t pcp_socket_vrf(uint32_t addr)
{
	_cleanup_netlink_ struct netlink *n = NULL;

	return netlink_new(&n) ? 0 : vrf_of(n, addr).ifindex;
}

/* An address in a VRF is an address of the machine only for sockets that are bound to the VRF. */
static int bind_to_vrf(int fd, uint32_t addr, uint32_t *ret_vrf)
{
	_cleanup_netlink_ struct netlink *n = NULL;
	struct link vrf = { 0 };

	if (!netlink_new(&n))
		vrf = vrf_of(n, addr);
	*ret_vrf = vrf.ifindex;
	return vrf.ifindex ? setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, vrf.name, sizeof(vrf.name)) : 0;
}

int pcp_socket_open(uint32_t addr, uint32_t *ret_vrf)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr_in at = { .sin_family = AF_INET,
					.sin_port = htons(PCP_SERVER_PORT),
					.sin_addr.s_addr = htonl(addr) };
	const int on = 1, off = 0;

	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &off, sizeof(off)) || bind_to_vrf(fd, addr, ret_vrf) ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)))
		return -errno;
	return take_fd(fd);
}

static uint32_t interface_of(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct in_pktinfo by;

		if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_PKTINFO)
			continue;
		memcpy(&by, CMSG_DATA(c), sizeof(by));
		return (uint32_t)by.ipi_ifindex;
	}
	return 0;
}

ssize_t pcp_socket_receive(int fd, uint8_t *data, size_t size, struct pcp_arrival *ret)
{
	struct sockaddr_in from = { 0 };
	union {
		struct cmsghdr header;
		uint8_t octet[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control;
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr m = { .msg_name = &from,
			    .msg_namelen = sizeof(from),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.octet,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	*ret = (struct pcp_arrival){ ntohl(from.sin_addr.s_addr), ntohs(from.sin_port), interface_of(&m) };
	return n;
}

int pcp_socket_answer(int fd, const struct pcp_arrival *to, const uint8_t *data, size_t size)
{
	const struct sockaddr_in sa = { .sin_family = AF_INET,
					.sin_port = htons(to->port),
					.sin_addr.s_addr = htonl(to->source) };

	return sendto(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&sa, sizeof(sa)) < 0
		       ? -errno
		       : 0;
}
