/* SPDX-License-Identifier: BSD-2-Clause */
/* What identifies a session wherever it is, and at every gateway that has the mapping. */
#ifndef DETNAT_SESSION_TUPLE_H
#define DETNAT_SESSION_TUPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

struct session_tuple {
	uint64_t key; /* slot_key() */
	uint32_t subscriber;
	uint16_t mapping; /* number */
	uint16_t out_port;
	uint8_t proto;
};

static inline bool tuple_equal(const struct session_tuple *a, const struct session_tuple *b)
{
	return a->key == b->key && a->subscriber == b->subscriber && a->mapping == b->mapping &&
	       a->out_port == b->out_port && a->proto == b->proto;
}

static inline uint64_t tuple_hash(const struct session_tuple *id)
{
	return HASH_OF(id->key, (uint64_t)id->subscriber << 32 | id->proto, (uint64_t)id->mapping << 16 | id->out_port);
}

#endif
