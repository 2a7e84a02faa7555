// SPDX-License-Identifier: BSD-2-Clause
/* Endpoint-independent mapping in a replay: the steps of bpf/session/bind_port.h on the entries of <detnat/binding.h>.
 */
#include "planner/replay_private.h"

struct bind {
	struct replay *r;
	struct binding_line *line; /* the protocol's first */
	uint8_t proto;
	uint16_t in_port;
	uint32_t now, seen, life;
};

/* The ports of a group on which sessions are in slots, a bit each. */
static uint32_t held(const struct bind *b, uint32_t group)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < 1U << b->r->shift; i++) {
		for (uint32_t k = 0; k < BUCKET_SLOTS; k++) {
			uint64_t word = b->r->bucket[i].slot[k].truth;
			uint32_t at = word_out_port(word) - (group << PORT_GROUP_SHIFT);

			if (word_is_live(word) && word_proto(word) == b->proto && at < PORT_GROUP &&
			    !word_expired(word, b->now, b->r->timeout_ticks))
				mask |= 1U << at;
		}
	}
	return mask;
}

static int32_t bound(const struct bind *b, uint32_t group, uint32_t at, uint32_t flags)
{
	__u64 *entry = &b->line[group].entry[at];

	flags |= BINDING_BOUND | (binding_flags(*entry) & BINDING_OF_LINE);
	*entry = binding_entry(b->in_port, flags, b->seen);
	return (int32_t)((group << PORT_GROUP_SHIFT) + at);
}

/* Binds a port of a group that is free or, if there is none, expired without sessions; -1: none. */
static int32_t bind_in(const struct bind *b, uint32_t group, uint32_t first, uint32_t flags)
{
	struct binding_line *line = &b->line[group];
	uint32_t size = group_size(group << PORT_GROUP_SHIFT, b->r->plan.ports), expired = 0;

	for (uint32_t k = 0; k < size; k++) {
		uint32_t at = (first + k) % PORT_GROUP;

		if (at >= size)
			at = (at + PORT_GROUP - size) % size;
		if (!binding_is_bound(line->entry[at]))
			return bound(b, group, at, flags);
		if (binding_expired(line->entry[at], b->now, b->life))
			expired |= 1U << at;
	}
	if (expired)
		expired &= ~held(b, group);
	return expired ? bound(b, group, (uint32_t)__builtin_ctz(expired), flags) : -1;
}

/* The own entry of a group; NULL: it has none. */
static __u64 *own(const struct bind *b, uint32_t group, uint32_t flags)
{
	uint32_t size = group_size(group << PORT_GROUP_SHIFT, b->r->plan.ports);

	for (uint32_t k = 0; k < size; k++)
		if (binding_is_of(b->line[group].entry[k], b->in_port) &&
		    (binding_flags(b->line[group].entry[k]) & flags) == flags)
			return &b->line[group].entry[k];
	return NULL;
}

static int32_t kept(const struct bind *b, uint32_t group, __u64 *entry)
{
	*entry = binding_raised(*entry, b->seen);
	return (int32_t)((group << PORT_GROUP_SHIFT) + (uint32_t)(entry - b->line[group].entry));
}

static int32_t bind_in_block(struct replay *r, uint8_t proto, uint16_t in_port, uint32_t now, uint32_t seen)
{
	uint32_t protocol = (uint32_t)__builtin_ctz(binding_protocol(proto));
	struct bind b = {
		.r = r,
		.line = r->line + (size_t)protocol * r->groups,
		.proto = proto,
		.in_port = in_port,
		.now = now,
		.seen = seen,
		.life = r->timeout_ticks[binding_timeout(proto)],
	};
	uint32_t first = mapping_first_choice(&r->geo, in_port), home = first >> PORT_GROUP_SHIFT;
	__u64 *entry;
	int32_t at;

	r->line_used[protocol] = 1;
	entry = own(&b, home, 0);
	if (entry)
		return kept(&b, home, entry);
	if (binding_flags(b.line[home].entry[0]) & BINDING_AWAY) {
		for (uint32_t i = 1; i < r->groups; i++) {
			uint32_t group = (home + i) % r->groups;

			entry = own(&b, group, BINDING_STRAYED);
			if (entry)
				return kept(&b, group, entry);
		}
	}
	at = bind_in(&b, home, first & (PORT_GROUP - 1), 0);
	for (uint32_t i = 1; at < 0 && i < r->groups; i++) {
		at = bind_in(&b, (home + i) % r->groups, 0, BINDING_STRAYED);
		if (at >= 0)
			b.line[home].entry[0] |= (uint64_t)BINDING_AWAY << 32;
	}
	return at;
}

/* A granted port that the inside endpoint has is its own until it expires; a new one it gets once the block is full. */
int32_t replay_bind(struct replay *r, uint8_t proto, uint16_t in_port, uint32_t now, uint32_t seen)
{
	unsigned protocol = (unsigned)__builtin_ctz(binding_protocol(proto));
	uint32_t life = r->timeout_ticks[binding_timeout(proto)];
	int32_t port = r->plan.grow_blocks ? grown_bound(r, protocol, in_port, now, seen, life) : -1;

	if (port < 0)
		port = bind_in_block(r, proto, in_port, now, seen);
	if (port < 0 && r->plan.grow_blocks)
		port = grown_bind(r, protocol, in_port, now, seen, life);
	return port;
}
