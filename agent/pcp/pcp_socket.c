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

/* Adds a home unless it is there already. */
static size_t add_home(struct pcp_home ret[static PCP_PLACES], size_t n, struct pcp_home home)
{
	for (size_t i = 0; i < n; i++)
		if (ret[i].addr == home.addr && ret[i].vrf == home.vrf)
			return n;
	if (n < PCP_PLACES)
		ret[n++] = home;
	return n;
}

/* Where an interface with the address is; a VRF's own addresses are in it. */
static struct pcp_home home_of(struct netlink *n, const struct address *a)
{
	struct pcp_home home = { .addr = a->addr };
	struct link l;

	if (link_by_index(n, a->ifindex, &l))
		return home;
	if (!l.vrf_table && (!link_vrf(&l) || link_by_index(n, link_vrf(&l), &l)))
		return home;
	home.vrf = l.ifindex;
	memcpy(home.name, l.name, sizeof(home.name));
	return home;
}

static size_t homes_of(struct netlink *n, const struct address *all, size_t count, uint32_t addr,
		       struct pcp_home ret[static PCP_PLACES], size_t found)
{
	const size_t before = found;

	for (size_t i = 0; i < count; i++)
		if (all[i].addr == addr)
			found = add_home(ret, found, home_of(n, &all[i]));
	/* An address that no interface has is refused when it is bound. */
	return found > before ? found : add_home(ret, found, (struct pcp_home){ .addr = addr });
}

size_t pcp_socket_homes(const struct config_pcp *rules, struct pcp_home ret[static PCP_PLACES])
{
	_cleanup_netlink_ struct netlink *n = NULL;
	_cleanup_free_ struct address *all = NULL;
	size_t count = 0, found = 0;

	if (netlink_new(&n) || addresses_read(n, &all, &count))
		count = 0;
	for (uint32_t i = 0; rules->enabled && i < rules->n_listen; i++)
		found = homes_of(n, all, count, rules->listen[i], ret, found);
	return found;
}

int pcp_socket_share(int fd)
{
	const int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ? -errno : 0;
}

/* An address in a VRF is an address of the machine only for sockets that are bound to the VRF. */
static int bind_to_vrf(int fd, const struct pcp_home *home)
{
	return home->vrf ? setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, home->name, sizeof(home->name)) : 0;
}

int pcp_socket_open(const struct pcp_home *home, bool shared)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr_in at = { .sin_family = AF_INET,
					.sin_port = htons(PCP_SERVER_PORT),
					.sin_addr.s_addr = htonl(home->addr) };
	const int on = 1, off = 0;

	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &off, sizeof(off)) || bind_to_vrf(fd, home) ||
	    (shared && pcp_socket_share(fd)) || bind(fd, (const struct sockaddr *)&at, sizeof(at)))
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
