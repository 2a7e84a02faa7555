/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks that each extent is one subscriber's, <detnat/extents.h>. */
#include <stdlib.h>

#include <detnat/extents.h>

#include "sessions/check_private.h"
#include "base/virtual6.h"
#include "tables/extent_reuse.h"

/* The subscriber whose record was seen to lead to a bucket. */
struct bucket_claim {
	uint32_t in_addr;
	uint32_t number; /* of the mapping, plus one; 0: nobody's */
};

static bool claimed_by(const struct bucket_claim *claim, const struct subscriber_iterator *it)
{
	return claim->in_addr == it->in_addr && claim->number == (uint32_t)it->number + 1;
}

/*
 * Whether the record of another subscriber, `claim`, leads to a bucket at the same time as that of the one visited,
 * which has `extent`: neither is used again before this pass goes on.
 */
static bool is_twice(struct table_check *c, const struct bucket_claim *claim, uint64_t bucket,
		     const struct subscriber_iterator *it, uint32_t extent)
{
	struct subscriber_iterator other;
	uint32_t another;

	if (check_find(c, &other, (int)claim->number - 1, claim->in_addr))
		return false;
	another = subscriber_extent(other.subscriber);
	return bucket - extent_first(another) < extent_buckets(another) && subscriber_extent(it->subscriber) == extent;
}

/* In a repair: takes an extent from the subscriber visited. */
static bool leave(const struct table_check *c, const struct subscriber_iterator *it, uint32_t extent)
{
	return c->repair && extent_leave(mappings_datapath(c->m), it->number,
					 mapping_subscriber(&it->map->geo, it->in_addr), extent);
}

bool check_extent(struct table_check *c, const struct subscriber_iterator *it)
{
	const struct datapath *d = mappings_datapath(c->m);
	uint32_t extent = subscriber_extent(it->subscriber), n;
	char text[INSIDE_TEXT], other[INSIDE_TEXT];
	bool left;

	if (!extent)
		return false;
	inside_text(it->in_addr, text);
	if (!datapath_extent(d, extent, &n)) {
		left = leave(c, it, extent);
		findings_add(c->findings, FINDING_PLACE, left, text,
			     "its record leads to %u buckets from number %u on, which do not exist",
			     extent_buckets(extent), extent_first(extent));
		return left;
	}
	if (!c->claims)
		c->claims = calloc(datapath_extent_buckets(d), sizeof(*c->claims));
	for (uint32_t i = 0; c->claims && i < n / BUCKET_SLOTS; i++) {
		struct bucket_claim *claim = &c->claims[extent_first(extent) + i];

		if (claim->number && !claimed_by(claim, it) &&
		    is_twice(c, claim, extent_first(extent) + i, it, extent)) {
			left = leave(c, it, extent);
			findings_add(c->findings, FINDING_PLACE, left, text,
				     "its record leads to a bucket beyond its slots, number %u, as that of %s does",
				     extent_first(extent) + i, inside_text(claim->in_addr, other));
			return left;
		}
		*claim = (struct bucket_claim){ it->in_addr, (uint32_t)it->number + 1 };
	}
	return false;
}
