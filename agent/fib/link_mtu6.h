/* SPDX-License-Identifier: BSD-2-Clause */
/* The longest packets of IPv6 on an interface: its own MTU, or what a router's advertisement or an operator has set. */
#ifndef DETNAT_FIB_LINK_MTU6_H
#define DETNAT_FIB_LINK_MTU6_H

#include <libmnl/libmnl.h>
#include <stdint.h>

/* In octets; 0: not known, or IPv6 is not on that interface. */
struct link_mtus {
	uint32_t link, ipv6;
};

/*
 * Reads both from an RTM_NEWLINK of AF_UNSPEC or of AF_INET6, where `before` was known. A change of the link's MTU is
 * told before the kernel has made it that of IPv6 as well. Of a change of the latter by sysctl there is no message: the
 * next reading sees it.
 */
struct link_mtus link_mtus_told(const struct nlmsghdr *h, struct link_mtus before);

#endif
