/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether a frame is for the station that received it. */
#ifndef DETNAT_STATION_H
#define DETNAT_STATION_H

#include <linux/if_packet.h>

#include "packet/parse.h"

/* Returns 1 if the frame is addressed to the interface itself, whose record is `in`. At tc the kernel has found out. */
static __always_inline int frame_is_for(const ctx_t *ctx, const struct ethhdr *eth, const struct device *in)
{
#if HOOK_XDP
	return mac_equal(eth->h_dest, in->mac);
#else
	return ctx->pkt_type == PACKET_HOST;
#endif
}

#endif
