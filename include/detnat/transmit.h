/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames that XDP has made and cannot send, as their interface takes none from it: a veth whose peer has neither GRO
 * nor an XDP program, above all. The agent sends them.
 */
#ifndef DETNAT_TRANSMIT_H
#define DETNAT_TRANSMIT_H

#include <linux/types.h>

/* Longer frames are lost. */
#define TRANSMIT_FRAME_MAX 2040U

/* A record of the ring buffer `transmissions`, cut behind the frame. */
struct transmission {
	__u32 ifindex; /* to send by */
	__u32 length;  /* octets in frame[] */
	__u8 frame[TRANSMIT_FRAME_MAX];
};
_Static_assert(sizeof(struct transmission) == 8 + TRANSMIT_FRAME_MAX, "crosses the ring buffer");

#endif
