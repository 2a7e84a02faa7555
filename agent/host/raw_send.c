/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/raw_send.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

int raw_send(int *fd, uint32_t ifindex, const void *packet, size_t length)
{
	const struct in_pktinfo by = { .ipi_ifindex = (int)ifindex };
	union {
		struct cmsghdr header;
		uint8_t octet[CMSG_SPACE(sizeof(by))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)packet, .iov_len = length };
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct msghdr message = { .msg_name = &to,
				  .msg_namelen = sizeof(to),
				  .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = control.octet,
				  .msg_controllen = sizeof(control) };

	if (length < sizeof(struct iphdr))
		return -EINVAL;
	/* The socket takes whole IP packets and receives none. */
	if (*fd < 0)
		*fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	if (*fd < 0)
		return -errno;
	memcpy(&to.sin_addr, (const uint8_t *)packet + offsetof(struct iphdr, daddr), sizeof(to.sin_addr));
	control.header.cmsg_level = IPPROTO_IP;
	control.header.cmsg_type = IP_PKTINFO;
	control.header.cmsg_len = CMSG_LEN(sizeof(by));
	memcpy(CMSG_DATA(&control.header), &by, sizeof(by));
	return sendmsg(*fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}
