/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The portmaps of a configuration are shared by its copies until one of them changes them, config_own_portmaps(); with
 * the list, its index by inside address.
 */
#ifndef DETNAT_CONFIG_PORTMAP_SHARE_H
#define DETNAT_CONFIG_PORTMAP_SHARE_H

#include "config/config.h"

struct portmap_place {
	uint32_t addr; /* inside, host byte order */
	uint32_t number;
};

struct portmap_share {
	uint32_t sharers;	     /* lists besides the first */
	uint32_t asked;		     /* looks at the list as it is */
	struct portmap_place *place; /* in order; NULL: not made */
	size_t n;
};

/* NULL: out of memory. */
struct portmap_share *portmap_share_new(void);

/* Ends one configuration's share; true if it was the last, whose list is to be freed. */
bool portmap_share_end(struct portmap_share *s);

/* The list is about to change: its index is for nothing. */
void portmap_share_changes(struct portmap_share *s);

/* A look at the portmaps of a range of inside addresses, in no order. */
struct portmap_look {
	const struct config *config;
	const struct portmap_share *index; /* NULL: all portmaps in turn */
	uint32_t first, last;
	size_t at;
};

struct portmap_look portmap_look_begin(const struct config *c, uint32_t first, uint32_t last);

/* The number of the next one; false: no more. */
bool portmap_look_next(struct portmap_look *l, size_t *ret);

#endif
