/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The part of a mapping's record that describes its bindings, <detnat/binding.h>. */
#ifndef DETNAT_BINDING_LAYOUT_H
#define DETNAT_BINDING_LAYOUT_H

#include <linux/types.h>

/* Protocols, as bits. */
#define BINDING_UDP	  0x01U
#define BINDING_TCP	  0x02U
#define BINDING_ICMP	  0x04U
#define BINDING_PROTOCOLS 0x07U

/* Part of a mapping's record, read and written as a whole. */
struct binding_layout {
	__u32 first;	/* bucket at which the first subscriber's table begins, numbered across all mappings */
	__u8 protocols; /* those with entries; 0: no tables */
	__u8 mapping;	/* those with endpoint-independent mapping; a subset of `protocols` */
	__u8 filtering; /* those with endpoint-independent filtering; a subset of `mapping` */
	__u8 inbound;	/* percent of the quota that sessions opened from outside may take */
};
_Static_assert(sizeof(struct binding_layout) == 8, "read and written as one word");

#endif
