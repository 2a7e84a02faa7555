/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Source MAC addresses of PCP requests: the map `senders`. A filter on the server's sockets fills it, because a socket
 * does not report the MAC address from which a packet came.
 */
#ifndef DETNAT_PCP_SENDER_H
#define DETNAT_PCP_SENDER_H

#include <linux/types.h>

/* More than the packets that can wait in all sockets. */
#define PCP_SENDERS 8192U

/* The part of a request that identifies it: from this octet on, nonce, protocol, inside port and suggested port. */
#define PCP_SENDER_FROM	 24U
#define PCP_SENDER_WHICH 20U

struct pcp_sender_key {
	__be32 addr;
	__be16 port;
	__u16 pad;
	__u8 which[PCP_SENDER_WHICH];
};
_Static_assert(sizeof(struct pcp_sender_key) == 28, "no hidden padding");

struct pcp_sender {
	__u8 mac[6];
	__u8 pad[2];
};

#endif
