/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses that no mapping uses, out of which edits (<config/pools.h>) give subscribers others. */
#ifndef DETNAT_FREE_ADDRESSES_H
#define DETNAT_FREE_ADDRESSES_H

#include "config/pools.h"

/* Where new addresses come from. */
struct address_source {
	const struct prefix *from;
	uint32_t n;
	struct prefix drained; /* never used */
	const char *tenant;    /* of the inside addresses; "": there are none */
	const struct pool_users *users;
};

/* The free addresses of p, for these inside addresses. */
uint64_t count_free_addresses(const struct config *c, const struct address_source *s, struct prefix p,
			      struct prefix in);

/* The first free prefix of a length, for these inside addresses. Whether there is one. */
bool find_free_prefix(const struct config *c, const struct address_source *s, struct prefix in, unsigned plen,
		      struct prefix *ret);

#endif
