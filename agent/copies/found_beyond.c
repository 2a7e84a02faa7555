/* SPDX-License-Identifier: BSD-2-Clause */
#include <detnat/extents.h>

#include "copies/found_session.h"
#include "tables/extent_signposts.h"

/* Whether a slot of an extent has the session of an id: by its key, or with `by_port` by its outside port. */
static bool is_in(struct copying *c, struct slot *s, const struct session_tuple *id, bool by_port,
		  struct found_session *ret)
{
	struct copied_mapping *cm = &c->mapping[id->mapping];
	uint64_t word = load_word(s), key;

	if (!word_is_open(word) || word_proto(word) != id->proto || !read_slot(s, word, &key) ||
	    (key ^ id->key) >> 16 || (by_port ? word_out_port(word) != id->out_port : key != id->key))
		return false;
	*ret = (struct found_session){
		cm, slot_session_id(cm, id->subscriber, key, word), s, word, -1, word_owner(word)
	};
	return true;
}

/* Looks into the two buckets of a session in an extent, by its offset there. */
static bool find_in(struct copying *c, uint32_t extent, const struct session_tuple *id, uint32_t offset, bool by_port,
		    struct found_session *ret)
{
	const struct bucket_pair pair = extent_pair(extent, id->key, id->proto, offset);
	const uint32_t buckets[] = { pair.first, pair.second };
	uint32_t n;
	struct slot *slots = datapath_extent(mappings_datapath(c->m), extent, &n);

	for (unsigned i = 0; slots && i < 2 * BUCKET_SLOTS; i++) {
		uint32_t bucket = buckets[i / BUCKET_SLOTS] - extent_first(extent);

		if (is_in(c, &slots[bucket * BUCKET_SLOTS + i % BUCKET_SLOTS], id, by_port, ret))
			return true;
	}
	return false;
}

/* The session to which a signpost in the extent leads. */
static bool find_strayed(struct copying *c, uint32_t extent, const struct session_tuple *id, struct found_session *ret)
{
	struct extent_slots slots = { .map = mappings_get(c->m, id->mapping), .subscriber = id->subscriber };
	int port;

	slots.slot = datapath_extent(mappings_datapath(c->m), extent, &slots.n);
	port = slots.slot ? signpost_port(&slots, id->key, state_word(0, id->proto, 0, 0)) : -1;
	return port >= 0 && find_in(c, extent, id,
				    growth_far_offset(&slots.map->geo, slots.map->growth.block,
						      mapping_port_lo(&slots.map->geo, id->subscriber), (uint32_t)port),
				    false, ret);
}

static bool find_beyond(struct copying *c, const struct session_tuple *id, bool by_port, struct found_session *ret)
{
	const struct mapping *m = mappings_get(c->m, id->mapping);
	const struct subscriber *s = mappings_subscriber(c->m, id->mapping, id->subscriber);
	uint32_t in_port = key_in_port(id->key), first = mapping_first_choice(&m->geo, in_port),
		 block = m->growth.block;
	uint32_t port_lo = mapping_port_lo(&m->geo, id->subscriber);
	uint32_t offset = by_port ? growth_offset(&m->geo, block, port_lo, id->out_port) : first;
	uint32_t far = growth_far_offset(&m->geo, block, port_lo, id->out_port);
	bool apart = !by_port && growth_is_apart(block, first, in_port);
	uint32_t extent = 0, seen;

	/* Once more if its sessions have moved to another one meanwhile. */
	do {
		seen = extent;
		extent = subscriber_extent(s);
		if (extent && (find_in(c, extent, id, offset, by_port, ret) ||
			       (apart && find_in(c, extent, id, growth_first_choice(block, in_port), false, ret)) ||
			       (by_port ? far != offset && find_in(c, extent, id, far, true, ret)
					: find_strayed(c, extent, id, ret))))
			return true;
	} while (extent != seen);
	return false;
}

bool found_beyond(struct copying *c, const struct session_tuple *id, struct found_session *ret)
{
	return find_beyond(c, id, false, ret);
}

bool found_beyond_port(struct copying *c, const struct session_tuple *id, struct found_session *ret)
{
	return find_beyond(c, id, true, ret);
}
