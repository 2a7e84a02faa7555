/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The addresses at the beginning of a frame. */
#ifndef DETNAT_ETHER_H
#define DETNAT_ETHER_H

#include "packet/parse.h"

/* The first twelve octets of a frame, written as words. */
struct ether_addresses {
	__u8 dmac[6];
	__u8 smac[6];
} __attribute__((aligned(4)));

static __always_inline void ether_addresses_set(struct ethhdr *eth, const struct ether_addresses *mac)
{
	*(struct ether_addresses *)eth = *mac;
}

#endif
