/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/raw_send.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define NO_SOCKETS ((struct raw_sockets){ -1, -1 })

struct raw_sockets raw_sockets_none(void)
{
	return NO_SOCKETS;
}

static void close_one(int fd)
{
	if (fd >= 0)
		close(fd);
}

void raw_sockets_close(struct raw_sockets *s)
{
	close_one(s->ipv4);
	close_one(s->ipv6);
	*s = NO_SOCKETS;
}

/*
 * Through the given interface. level, type: of the control message that names it in *by. The socket takes whole packets
 * and receives none.
 */
static int send_by(int *fd, int family, void *to, socklen_t to_size, int level, int type, const void *by,
		   size_t by_size, const void *packet, size_t length)
{
	union {
		struct cmsghdr header;
		uint8_t octet[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)packet, .iov_len = length };
	struct msghdr message = { .msg_name = to,
				  .msg_namelen = to_size,
				  .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = control.octet,
				  .msg_controllen = CMSG_SPACE(by_size) };

	if (*fd < 0)
		*fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	if (*fd < 0)
		return -errno;
	control.header.cmsg_level = level;
	control.header.cmsg_type = type;
	control.header.cmsg_len = CMSG_LEN(by_size);
	memcpy(CMSG_DATA(&control.header), by, by_size);
	return sendmsg(*fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int send_ipv6(int *fd, uint32_t ifindex, const void *packet, size_t length)
{
	const struct in6_pktinfo by = { .ipi6_ifindex = ifindex };
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };

	if (length < sizeof(struct ip6_hdr))
		return -EINVAL;
	memcpy(&to.sin6_addr, (const uint8_t *)packet + offsetof(struct ip6_hdr, ip6_dst), sizeof(to.sin6_addr));
	return send_by(fd, AF_INET6, &to, sizeof(to), IPPROTO_IPV6, IPV6_PKTINFO, &by, sizeof(by), packet, length);
}

int raw_send(struct raw_sockets *s, uint32_t ifindex, const void *packet, size_t length)
{
	const struct in_pktinfo by = { .ipi_ifindex = (int)ifindex };
	struct sockaddr_in to = { .sin_family = AF_INET };

	if (length < sizeof(struct iphdr))
		return -EINVAL;
	if (*(const uint8_t *)packet >> 4 == 6)
		return send_ipv6(&s->ipv6, ifindex, packet, length);
	memcpy(&to.sin_addr, (const uint8_t *)packet + offsetof(struct iphdr, daddr), sizeof(to.sin_addr));
	return send_by(&s->ipv4, AF_INET, &to, sizeof(to), IPPROTO_IP, IP_PKTINFO, &by, sizeof(by), packet, length);
}
