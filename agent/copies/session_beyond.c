/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/session_beyond.h"

#include <bpf/bpf.h>

#include <detnat/extents.h>

#include "copies/ownership.h"
#include "tables/extent_signposts.h"

unsigned session_beyond_owner(const struct session_beyond *b)
{
	return beyond_owner(b->mark, b->word);
}

/* Whether a slot of an extent has the session of an id: by its key, or with `by_port` by its outside port. */
static bool is_in(struct slot *s, const struct overflow_id *id, bool by_port, struct session_beyond *ret)
{
	uint64_t word = load_word(s), key;

	if (!word_is_open(word) || word_proto(word) != id->proto || !read_slot(s, word, &key) ||
	    (key ^ id->key) >> 16 || (by_port ? word_out_port(word) != id->out_port : key != id->key))
		return false;
	*ret = (struct session_beyond){ .key = key, .word = word, .slot = s };
	return true;
}

/* Looks into the two buckets of a session in an extent, by its offset there. */
static bool find_in(const struct copying *c, uint32_t extent, const struct overflow_id *id, uint32_t offset,
		    bool by_port, struct session_beyond *ret)
{
	const struct bucket_pair pair = extent_pair(extent, id->key, id->proto, offset);
	const uint32_t buckets[] = { pair.first, pair.second };
	uint32_t n;
	struct slot *slots = datapath_extent(mappings_datapath(c->m), extent, &n);

	for (unsigned i = 0; slots && i < 2 * BUCKET_SLOTS; i++) {
		uint32_t bucket = buckets[i / BUCKET_SLOTS] - extent_first(extent);

		if (is_in(&slots[bucket * BUCKET_SLOTS + i % BUCKET_SLOTS], id, by_port, ret))
			return true;
	}
	return false;
}

/* The session to which a signpost in the extent leads. */
static bool find_strayed(const struct copying *c, uint32_t extent, const struct overflow_id *id,
			 struct session_beyond *ret)
{
	struct extent_slots slots = { .map = mappings_get(c->m, id->mapping), .subscriber = id->subscriber };
	int port;

	slots.slot = datapath_extent(mappings_datapath(c->m), extent, &slots.n);
	port = slots.slot ? signpost_port(&slots, id->key, id->proto) : -1;
	return port >= 0 && find_in(c, extent, id,
				    growth_offset(&slots.map->geo, slots.map->growth.block,
						  mapping_port_lo(&slots.map->geo, id->subscriber), (uint32_t)port),
				    false, ret);
}

static bool find_in_extent(const struct copying *c, const struct overflow_id *id, bool by_port,
			   struct session_beyond *ret)
{
	const struct mapping *m = mappings_get(c->m, id->mapping);
	const struct subscriber *s = mappings_subscriber(c->m, id->mapping, id->subscriber);
	uint32_t in_port = key_in_port(id->key), first = mapping_first_choice(&m->geo, in_port),
		 block = m->growth.block;
	uint32_t offset =
		by_port ? growth_offset(&m->geo, block, mapping_port_lo(&m->geo, id->subscriber), id->out_port) : first;
	bool apart = !by_port && growth_is_apart(block, first, in_port);
	uint32_t extent = 0, seen;

	/* Once more if its sessions have moved to another one meanwhile. */
	do {
		seen = extent;
		extent = subscriber_extent(s);
		if (extent && (find_in(c, extent, id, offset, by_port, ret) ||
			       (apart && find_in(c, extent, id, growth_first_choice(block, in_port), false, ret)) ||
			       (!by_port && find_strayed(c, extent, id, ret))))
			return true;
	} while (extent != seen);
	return false;
}

static bool find_in_overflow(const struct copying *c, const struct overflow_key *in, struct session_beyond *ret)
{
	struct overflow_session s;

	if (!overflow_any(mappings_datapath(c->m)) || bpf_map_lookup_elem(mappings_datapath(c->m)->overflow, in, &s))
		return false;
	*ret = (struct session_beyond){
		.key = slot_key(in->ext_addr, in->ext_port, in->port), .word = s.truth, .mark = s.mark, .in = *in
	};
	return true;
}

bool session_beyond_find(const struct copying *c, const struct overflow_id *id, struct session_beyond *ret)
{
	const struct overflow_key in = beyond_key_of(c, id);

	return find_in_overflow(c, &in, ret) || find_in_extent(c, id, false, ret);
}

bool session_beyond_find_port(const struct copying *c, const struct overflow_id *id, struct session_beyond *ret)
{
	const struct geometry *geo = &mappings_get(c->m, id->mapping)->geo;
	struct overflow_key key = overflow_key_out(geo, geo->in_base + id->subscriber, id->out_port,
						   key_ext_addr(id->key), key_ext_port(id->key), id->proto);
	struct overflow_session s;

	if (overflow_any(mappings_datapath(c->m)) &&
	    !bpf_map_lookup_elem(mappings_datapath(c->m)->overflow, &key, &s)) {
		key = overflow_key_reverse(&key, s.in_port);
		if (find_in_overflow(c, &key, ret))
			return true;
	}
	return find_in_extent(c, id, true, ret);
}

bool session_beyond_end(const struct copying *c, const struct overflow_id *id, const struct session_beyond *b)
{
	if (b->slot)
		return end_session_at(c, &c->mapping[id->mapping], id->subscriber, b->slot, b->word);
	return overflow_delete(mappings_datapath(c->m), &b->in, b->word,
			       mappings_subscriber(c->m, id->mapping, id->subscriber),
			       mappings_limit_line(c->m, id->mapping, id->subscriber));
}
