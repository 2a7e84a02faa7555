/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets that the datapath has built but cannot send itself, so it hands them to the agent: frames for an interface
 * that takes none from XDP (usually a veth whose peer has neither GRO nor an XDP program), packets longer than the MTU
 * of their egress, and ICMP errors and TCP resets built at tc.
 */
#ifndef DETNAT_TRANSMIT_H
#define DETNAT_TRANSMIT_H

#include <linux/types.h>

/* Longest frame in octets; longer ones are lost. Jumbo frames fit. */
#define TRANSMIT_FRAME_MAX 9240U
/* Longest packet without an Ethernet header. */
#define TRANSMIT_PACKET_MAX 9216U

enum transmission_kind {
	TRANSMISSION_FRAME,  /* sent unchanged or in fragments */
	TRANSMISSION_PACKET, /* the same for an IP packet without Ethernet header: the kernel finds the neighbour */
};

/* A record of the ring buffer `transmissions`, cut off after the frame. */
struct transmission {
	__u32 ifindex; /* output interface */
	__u16 length;  /* octets in frame[] */
	__u8 kind;     /* enum transmission_kind */
	__u8 pad;
	__u32 mtu; /* of the egress, octets of an IP packet: longer packets are fragmented; 0: never */
	__u8 frame[TRANSMIT_FRAME_MAX];
};
_Static_assert(sizeof(struct transmission) == 12 + TRANSMIT_FRAME_MAX, "crosses the ring buffer");

#endif
