/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts of leases. Those that many leases share are kept once. */
#ifndef DETNAT_LEASE_POOL_H
#define DETNAT_LEASE_POOL_H

#include "base/hash.h"

/* Zero-initialised. */
struct lease_pool {
	char *text; /* size octets; the one at 0 is "" */
	size_t size;
	size_t room;
	struct hash_index index;
};

/* The offset of a text, which is added if need be; *ret_offset is 0 for "". 0 or -ENOMEM. */
int lease_pool_add(struct lease_pool *p, const char *text, uint32_t *ret_offset);

static inline const char *lease_pool_text(const struct lease_pool *p, uint32_t offset)
{
	return offset ? p->text + offset : "";
}

/* The text after another one, the first of all after NULL; NULL: there is none. */
const char *lease_pool_next(const struct lease_pool *p, const char *text);

void lease_pool_free(struct lease_pool *p);

#endif
