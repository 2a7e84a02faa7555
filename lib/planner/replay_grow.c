// SPDX-License-Identifier: BSD-2-Clause
/*
 * Blocks that grow in a replay: the steps of bpf/slow/open_grant.h and bpf/session/grant_bind.h, with an agent that
 * grants a block as soon as one is asked for. Granted ports are offsets beyond the block: those of the subscriber's
 * first grant, then those of the second, and so on.
 */
#include "planner/replay_private.h"

#include <detnat/growth.h>
#include <detnat/slots.h>

#include <stdlib.h>
#include <string.h>

/* An inside endpoint on a granted port. */
struct grown_binding {
	uint32_t seen;
	uint16_t in_port;
	bool bound;
};

int grown_new(struct replay *r)
{
	const struct replay_plan *p = &r->plan;

	if (p->grow_blocks > GROWTH_MAX_BLOCKS || p->ports + p->grow_blocks * p->grow_block > 65536)
		return -1;
	for (unsigned i = 0; i < N_PROTOCOLS && p->bindings && p->grow_blocks; i++) {
		r->grown.binding[i] = calloc((size_t)p->grow_blocks * p->grow_block, sizeof(struct grown_binding));
		if (!r->grown.binding[i])
			return -1;
	}
	return 0;
}

void grown_free(struct replay *r)
{
	for (unsigned i = 0; i < N_PROTOCOLS; i++)
		free(r->grown.binding[i]);
}

static uint32_t idle_end(const struct replay *r, const struct grown_block *b)
{
	return b->busy_until + r->plan.grow_idle_ticks;
}

/* Takes a block back. */
static void give_back(struct replay *r, uint32_t number, replay_grant told, void *arg)
{
	struct grown_block *b = &r->grown.block[number];
	size_t size = r->plan.grow_block * sizeof(struct grown_binding);

	b->held = false;
	for (unsigned i = 0; i < N_PROTOCOLS; i++)
		if (r->grown.binding[i])
			memset(r->grown.binding[i] + (size_t)number * r->plan.grow_block, 0, size);
	if (told)
		told(arg, number, b->from, idle_end(r, b));
}

void grown_sweep(struct replay *r, uint32_t now, replay_grant told, void *arg)
{
	for (uint32_t k = 0; k < r->plan.grow_blocks; k++)
		if (r->grown.block[k].held && (int32_t)(now - idle_end(r, &r->grown.block[k])) >= 0)
			give_back(r, k, told, arg);
}

void grown_end(struct replay *r, replay_grant told, void *arg)
{
	for (uint32_t k = 0; k < r->plan.grow_blocks; k++)
		if (r->grown.block[k].held)
			give_back(r, k, told, arg);
}

void grown_used(struct replay *r, uint32_t offset, uint32_t until)
{
	struct grown_block *b;

	if (offset < r->plan.ports)
		return;
	b = &r->grown.block[(offset - r->plan.ports) / r->plan.grow_block];
	if ((int32_t)(until - b->busy_until) > 0)
		b->busy_until = until;
}

/* Grants one more block; -1: the subscriber has as many as he may. */
static int32_t grant(struct replay *r, uint32_t now)
{
	for (uint32_t k = 0; k < r->plan.grow_blocks; k++) {
		if (r->grown.block[k].held)
			continue;
		r->grown.block[k] = (struct grown_block){ .held = true, .from = now, .busy_until = now };
		return (int32_t)k;
	}
	return -1;
}

/* The offset of a port of a block: the i-th one tried for an inside port. */
static uint32_t offset_of(const struct replay *r, uint32_t number, uint16_t in_port, uint32_t i)
{
	uint32_t size = r->plan.grow_block;

	return r->plan.ports + number * size + (i + in_port % size) % size;
}

/* The port of a group of a block: the group of the first choice is group 0, the next one 1, and so on. */
static int32_t port_in(struct replay *r, uint32_t number, uint32_t group, uint64_t key, uint8_t proto, uint16_t in_port,
		       uint32_t now, bool take_reset)
{
	uint32_t size = r->plan.grow_block, groups = (size + PORT_GROUP - 1) / PORT_GROUP;
	uint32_t choice = growth_first_choice(size, in_port), at = (choice / PORT_GROUP + group) % groups;
	uint32_t first = group ? at * PORT_GROUP : choice, n = group_size(first, size);

	for (uint32_t k = 0; k < n; k++) {
		uint32_t offset = r->plan.ports + number * size + group_candidate(first, n, k);

		if (!beyond_port_held(r, key, proto, offset, now, take_reset))
			return (int32_t)offset;
	}
	return -1;
}

/* A port of one of the blocks. */
static int32_t port_among(struct replay *r, uint64_t key, uint8_t proto, uint16_t in_port, uint32_t now,
			  bool take_reset)
{
	uint32_t groups = (r->plan.grow_block + PORT_GROUP - 1) / PORT_GROUP;
	int32_t port = -1;

	for (uint32_t k = 0; k < r->plan.grow_blocks && port < 0; k++)
		for (uint32_t group = 0; group < groups && port < 0 && r->grown.block[k].held; group++)
			port = port_in(r, k, group, key, proto, in_port, now, take_reset);
	return port;
}

int32_t grown_port(struct replay *r, uint64_t key, uint8_t proto, uint16_t in_port, uint32_t now)
{
	int32_t port = port_among(r, key, proto, in_port, now, false);

	if (port < 0)
		port = port_among(r, key, proto, in_port, now, true);
	return port >= 0 || grant(r, now) < 0 ? port : port_among(r, key, proto, in_port, now, false);
}

/* ---- Endpoint-independent mapping */

static struct grown_binding *binding_at(struct replay *r, unsigned protocol, uint32_t offset)
{
	return &r->grown.binding[protocol][offset - r->plan.ports];
}

static int32_t bind(struct replay *r, unsigned protocol, uint32_t number, uint16_t in_port, uint32_t now, uint32_t seen,
		    uint32_t life)
{
	for (uint32_t i = 0; i < r->plan.grow_block; i++) {
		uint32_t offset = offset_of(r, number, in_port, i);
		struct grown_binding *b = binding_at(r, protocol, offset);

		if (b->bound && (int32_t)(now - b->seen) <= (int32_t)life)
			continue;
		*b = (struct grown_binding){ seen, in_port, true };
		return (int32_t)offset;
	}
	return -1;
}

int32_t grown_bound(struct replay *r, unsigned protocol, uint16_t in_port, uint32_t now, uint32_t seen, uint32_t life)
{
	for (uint32_t k = 0; k < r->plan.grow_blocks; k++) {
		for (uint32_t i = 0; i < r->plan.grow_block && r->grown.block[k].held; i++) {
			uint32_t offset = offset_of(r, k, in_port, i);
			struct grown_binding *b = binding_at(r, protocol, offset);

			if (!b->bound || b->in_port != in_port || (int32_t)(now - b->seen) > (int32_t)life)
				continue;
			b->seen = (int32_t)(seen - b->seen) > 0 ? seen : b->seen;
			return (int32_t)offset;
		}
	}
	return -1;
}

int32_t grown_bind(struct replay *r, unsigned protocol, uint16_t in_port, uint32_t now, uint32_t seen, uint32_t life)
{
	int32_t port = -1, number;

	for (uint32_t k = 0; k < r->plan.grow_blocks && port < 0; k++)
		if (r->grown.block[k].held)
			port = bind(r, protocol, k, in_port, now, seen, life);
	if (port >= 0)
		return port;
	number = grant(r, now);
	return number < 0 ? -1 : bind(r, protocol, (uint32_t)number, in_port, now, seen, life);
}
