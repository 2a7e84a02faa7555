/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the datapath has made and cannot send, the agent sends: frames for an interface that takes none from XDP (a veth
 * whose peer has neither GRO nor an XDP program, above all), packets that are longer than the MTU of their egress, and
 * answers made at tc.
 */
#ifndef DETNAT_TRANSMIT_H
#define DETNAT_TRANSMIT_H

#include <linux/types.h>

/* Longer frames are lost: jumbo frames pass. */
#define TRANSMIT_FRAME_MAX 9240U

enum transmission_kind {
	TRANSMISSION_FRAME,  /* to be sent as it is, or in fragments */
	TRANSMISSION_PACKET, /* an IP packet without a frame: the kernel knows its receiver's station */
};

/* A record of the ring buffer `transmissions`, cut behind the frame. */
struct transmission {
	__u32 ifindex; /* to send by */
	__u16 length;  /* octets in frame[] */
	__u8 kind;     /* enum transmission_kind */
	__u8 pad;
	__u32 mtu; /* of the egress, octets of an IP packet: a longer one goes in fragments; 0: sent as it is */
	__u8 frame[TRANSMIT_FRAME_MAX];
};
_Static_assert(sizeof(struct transmission) == 12 + TRANSMIT_FRAME_MAX, "crosses the ring buffer");

#endif
