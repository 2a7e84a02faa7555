/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where requests of PCP came from: the map `senders`, which a filter of the server's sockets fills, as a socket does
 * not tell the MAC address of who sent a packet.
 */
#ifndef DETNAT_PCP_SENDER_H
#define DETNAT_PCP_SENDER_H

#include <linux/types.h>

/* More than the packets that wait in all sockets. */
#define PCP_SENDERS 8192U

/* Octets of a request that tell it from others: nonce, protocol, and inside and suggested port, from this one on. */
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
