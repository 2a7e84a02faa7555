/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bindings in the way of a session that a peer announces (docs/internals/OWNERSHIP.md): a binding that no session here
 * uses gives way to the one with which the peer translates packets. Sessions keep theirs.
 */
#include <detnat/binding.h>
#include <detnat/extents.h>

#include "copies/ownership.h"

/* The bindings of a session's subscriber and protocol. */
struct bound {
	struct copying *c;
	const struct mapping *map;
	int number;
	uint32_t subscriber;
	uint8_t proto;
	uint32_t now;
	uint32_t life; /* ticks for which a binding outlives its stamp */
};

static __u64 *entry_at(const struct bound *b, uint32_t offset)
{
	return (__u64 *)mappings_binding(b->c->m, b->number, b->subscriber, b->proto, offset);
}

static bool is_used_in(const struct bound *b, const struct slot *slots, uint32_t n, uint16_t port)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t word = load_word(&slots[i]);

		if (word_is_live(word) && word_proto(word) == b->proto && word_out_port(word) == port &&
		    !word_expired(word, b->now, b->map->timeout_ticks))
			return true;
	}
	return false;
}

/* Whether a session uses a port. */
static bool is_used(const struct bound *b, uint32_t offset)
{
	const struct slot *own = (const struct slot *)mappings_buckets(b->c->m, b->number, b->subscriber), *more;
	uint16_t port = (uint16_t)(mapping_port_lo(&b->map->geo, b->subscriber) + offset);
	uint32_t n, extent = subscriber_extent(mappings_subscriber(b->c->m, b->number, b->subscriber));

	if (is_used_in(b, own, b->c->mapping[b->number].tables.n_slots, port))
		return true;
	more = datapath_extent(mappings_datapath(b->c->m), extent, &n);
	return more && is_used_in(b, more, n, port);
}

/*
 * The port belongs to another inside port: makes that binding as good as expired, so that the program, which looks at
 * sessions under the lock, may bind the port, and a packet of the inside port may yet revive the binding.
 */
static void port_expires(const struct bound *b, uint32_t offset, uint16_t in_port)
{
	__u64 *at = entry_at(b, offset), entry = at ? LOAD(*at) : 0;

	if (binding_holds(entry, b->now, b->life) && binding_in_port(entry) != in_port && !is_used(b, offset))
		binding_change(at, entry,
			       binding_entry(binding_in_port(entry), binding_flags(entry), b->now - b->life - 1));
}

/* The port of an inside port, among `n` from `first` on; -1: none. */
static int32_t find_own(const struct bound *b, uint32_t first, uint32_t n, uint16_t in_port)
{
	for (uint32_t offset = first; offset < first + n; offset++) {
		const __u64 *at = entry_at(b, offset);

		if (at && binding_is_of(LOAD(*at), in_port))
			return (int32_t)offset;
	}
	return -1;
}

/* The inside port has another port, expired or not, as its packets would revive it. */
static void other_port_goes(const struct bound *b, uint32_t offset, uint16_t in_port)
{
	const struct geometry *geo = &b->map->geo;
	uint32_t home = mapping_first_choice(geo, in_port) & ~(PORT_GROUP - 1);
	const __u64 *first = entry_at(b, home);
	int32_t other = find_own(b, home, group_size(home, geo->ports_per_host), in_port);
	__u64 *at, entry;

	if (other < 0 && first && binding_flags(LOAD(*first)) & BINDING_AWAY)
		other = find_own(b, 0, geo->ports_per_host, in_port);
	if (other < 0 || (uint32_t)other == offset)
		return;
	at = entry_at(b, (uint32_t)other);
	entry = LOAD(*at);
	if (!binding_is_of(entry, in_port) || is_used(b, (uint32_t)other) ||
	    !binding_change(at, entry, binding_freed(entry)))
		return;
	/* Opened just now. */
	if (is_used(b, (uint32_t)other))
		binding_change(at, binding_freed(entry), entry);
}

void bindings_give_way(struct copying *c, const struct session_copy *r)
{
	const struct mapping *map = mappings_get(c->m, r->mapping);
	uint8_t proto = word_proto(r->word);
	uint32_t offset = word_out_port(r->word) - mapping_port_lo(&map->geo, r->subscriber);
	const struct bound b = {
		.c = c,
		.map = map,
		.number = r->mapping,
		.subscriber = r->subscriber,
		.proto = proto,
		.now = datapath_ticks(mappings_datapath(c->m)),
		.life = map->timeout_ticks[binding_timeout(proto)],
	};

	if (!(map->bindings.mapping & binding_protocol(proto)) || offset >= map->geo.ports_per_host)
		return;
	port_expires(&b, offset, key_in_port(r->key));
	other_port_goes(&b, offset, key_in_port(r->key));
}
