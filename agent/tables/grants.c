// SPDX-License-Identifier: BSD-2-Clause
/* Granted blocks in the datapath: made, closed, taken back. */
#include <bpf/bpf.h>
#include <errno.h>

#include "tables/grants_private.h"

struct grant_key grant_key_of(const struct grant *grant, enum grant_direction direction)
{
	if (direction == GRANT_OF_INSIDE)
		return (struct grant_key){ .addr = grant->in_addr,
					   .at = grant->number,
					   .direction = GRANT_OF_INSIDE,
					   .tenant = grant->tenant };
	return (struct grant_key){ .addr = grant->out_addr, .at = grant->port_lo, .direction = GRANT_OF_OUTSIDE };
}

struct grant_value grant_value_of(const struct grant *grant, enum grant_direction direction)
{
	return (struct grant_value){
		.addr = direction == GRANT_OF_INSIDE ? grant->out_addr : grant->in_addr,
		.port_lo = grant->port_lo,
		.ports = grant->ports,
		.from = grant->from,
		.until_s = grant->until_s,
		.stamp = grant->stamp,
		.peer = grant->peer,
		.pad[IDLE_PAD] = grant->idle,
		.rest_s = grant->rest_s,
	};
}

void grant_taken_away(const struct grants *g)
{
	__atomic_fetch_add(&mappings_datapath(g->table.m)->table->limits.grants_epoch, 1, __ATOMIC_RELEASE);
}

/* 0 or -errno. Blocks rest where no mapping grows, too. */
static int put(const struct grants *g, const struct grant_key *key, const struct grant_value *value)
{
	struct datapath *d = mappings_datapath(g->table.m);
	int r = bpf_map_update_elem(g->table.map, key, value, BPF_ANY);

	/* A load in progress takes the size of what is pinned. */
	if (r != -E2BIG || d->loading || datapath_features_grow(d, &(struct settings){ .growth = 1 }, NULL))
		return r;
	return bpf_map_update_elem(g->table.map, key, value, BPF_ANY);
}

int grant_write(const struct assignments *s, const void *grant, unsigned direction)
{
	const struct grants *g = (const struct grants *)s;
	struct grant_key key = grant_key_of(grant, direction);
	struct grant_value value = grant_value_of(grant, direction), former;
	bool taken = direction == GRANT_OF_OUTSIDE && !bpf_map_lookup_elem(s->map, &key, &former) && former.addr &&
		     former.addr != value.addr;
	int r = put(g, &key, &value);

	if (!r && taken)
		grant_taken_away(g);
	return r;
}

static void set_state(struct grants *g, struct grant *grant, enum grant_state state)
{
	grant_tally(&g->table, grant, -1);
	grant->state = (uint8_t)state;
	grant_tally(&g->table, grant, 1);
}

struct grant *grants_reserve(struct grants *g, const struct grant *like)
{
	struct grant model = *like, *former = grants_find(g, like->out_addr, like->port_lo);

	if (g->table.records.n - g->figures.free >= MAX_GRANTS)
		return NULL;
	if (former && former->state == GRANT_FREE) {
		model.idle = !model.stamp && former->idle;
		model.stamp = model.stamp ? model.stamp : former->stamp;
		grants_drop(g, former);
	}
	model.state = GRANT_ASKED;
	return assignments_add(&g->table, &model);
}

/* The next packet of the subscriber looks for a port again, although a search of this tick was in vain. */
static void forget_search(const struct grants *g, uint8_t tenant, uint32_t in_addr)
{
	int number = mappings_find_inside(g->table.m, tenant, in_addr);
	struct subscriber *s =
		number < 0 ? NULL
			   : mappings_subscriber(g->table.m, number,
						 mapping_subscriber(&mappings_get(g->table.m, number)->geo, in_addr));

	if (s)
		__atomic_store_n(&s->growth_vain, 0, __ATOMIC_RELEASE);
}

int grants_make(struct grants *g, struct grant *grant)
{
	int r;

	grant->until_s = 0;
	grant->tenant = mappings_outside_tenant(g->table.m, grant->out_addr);
	r = grant_write(&g->table, grant, GRANT_OF_OUTSIDE);
	if (r)
		return r;
	r = grant_write(&g->table, grant, GRANT_OF_INSIDE);
	if (r) {
		assignments_erase(&g->table, grant, GRANT_OF_OUTSIDE);
		return r;
	}
	set_state(g, grant, GRANT_OPEN);
	forget_search(g, grant->tenant, grant->in_addr);
	return 0;
}

int grants_shut(struct grants *g, struct grant *grant, uint64_t until_s)
{
	uint64_t before = grant->until_s;
	int r;

	grant->until_s = until_s;
	r = grant_write(&g->table, grant, GRANT_OF_OUTSIDE);
	if (r) {
		grant->until_s = before;
		return r;
	}
	if (grant->state == GRANT_OPEN)
		assignments_erase(&g->table, grant, GRANT_OF_INSIDE);
	set_state(g, grant, GRANT_CLOSED);
	return 0;
}

int grants_touch(struct grants *g, const struct grant *grant)
{
	return grant->state == GRANT_ASKED ? 0 : grant_write(&g->table, grant, GRANT_OF_OUTSIDE);
}

int grants_reopen(struct grants *g, struct grant *grant, uint32_t max)
{
	int number = grants_number(g, grant->in_addr, grant->out_addr, max);

	if (number < 0)
		return -ENOSPC;
	grant->number = (uint8_t)number;
	return grants_make(g, grant);
}

void grants_settle_tenants(struct grants *g)
{
	assignments_settle_tenants(&g->table);
}

int grants_rest(struct grants *g, struct grant *grant, uint64_t ended, uint64_t until_s)
{
	struct grant rests = *grant;
	int r;

	rests.in_addr = 0;
	rests.from = ended;
	rests.until_s = until_s;
	r = grant_write(&g->table, &rests, GRANT_OF_OUTSIDE);
	if (r)
		return r;
	assignments_leave(&g->table, grant);
	grant->from = ended;
	grant->until_s = until_s;
	set_state(g, grant, GRANT_RESTS);
	return 0;
}

int grants_free(struct grants *g, struct grant *grant)
{
	if (g->figures.free >= FREE_MAX)
		return -ENOSPC;
	set_state(g, grant, GRANT_FREE);
	return 0;
}

/* Adds a block that is not granted. */
static int hold(struct grants *g, const struct grant *like, enum grant_state state)
{
	struct grant model = *like, *grant;
	int r;

	model.state = (uint8_t)state;
	model.in_addr = 0;
	grant = assignments_add(&g->table, &model);
	r = grant ? grant_write(&g->table, grant, GRANT_OF_OUTSIDE) : -ENOMEM;
	if (grant && r)
		assignments_del(&g->table, grant);
	return r;
}

int grants_hold(struct grants *g, const struct grant *like)
{
	return hold(g, like, GRANT_RESTS);
}

int grants_remember(struct grants *g, const struct grant *like)
{
	return g->figures.free >= FREE_MAX ? -ENOSPC : hold(g, like, GRANT_FREE);
}

void grants_drop(struct grants *g, struct grant *grant)
{
	if (grant->state == GRANT_OPEN)
		assignments_erase(&g->table, grant, GRANT_OF_INSIDE);
	if (grant->state != GRANT_ASKED)
		assignments_erase(&g->table, grant, GRANT_OF_OUTSIDE);
	assignments_del(&g->table, grant);
}

int grants_number(const struct grants *g, uint32_t in_addr, uint32_t out_addr, uint32_t max)
{
	const uint64_t place = inside_place(mappings_outside_tenant(g->table.m, out_addr), in_addr);
	uint32_t used = 0;

	for (const struct grant *i = grants_of(g, place, NULL); i; i = grants_of(g, place, i))
		if (i->state == GRANT_ASKED || i->state == GRANT_OPEN)
			used |= 1U << i->number;
	for (uint32_t k = 0; k < max && k < GROWTH_MAX_BLOCKS; k++)
		if (!(used & 1U << k))
			return (int)k;
	return -1;
}

/* Blocks of the smallest size in all ports. */
#define BLOCKS_MAX (65536U / GROWTH_MIN_BLOCK)

/* Marks the blocks of a layout that a grant has a port of; it may be of another size. */
static void mark_used(uint8_t *used, const struct mapping *m, const struct grant *grant)
{
	uint32_t block = m->growth.block, port = grant->port_lo, end = port + grant->ports;

	while (port < end) {
		int number = growth_block_of(&m->geo, block, port);

		if (number < 0) {
			port++;
			continue;
		}
		used[number / 8] |= (uint8_t)(1U << (number % 8));
		port = growth_port_lo(&m->geo, block, (uint32_t)number) + block;
	}
}

int grants_free_block(const struct grants *g, const struct mapping *m, uint32_t out_addr, uint32_t first,
		      uint32_t *ret_free)
{
	uint8_t used[BLOCKS_MAX / 8] = { 0 };
	uint32_t n = m->growth.block ? growth_blocks(&m->geo, m->growth.block) : 0, n_free = 0;
	int found = -1;

	for (const struct grant *i = grants_on(g, out_addr, NULL); n && i; i = grants_on(g, out_addr, i))
		if (i->state != GRANT_FREE)
			mark_used(used, m, i);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = (first + i) % n;

		if (used[k / 8] & 1U << (k % 8))
			continue;
		n_free++;
		found = found < 0 ? (int)k : found;
	}
	if (ret_free)
		*ret_free = n_free;
	return found;
}

bool grants_none_left(const struct grants *g, uint32_t out_addr)
{
	return assignments_has_other(&g->table, out_addr);
}

void grants_tell_none_left(struct grants *g, uint32_t out_addr, bool none)
{
	const struct grant_key key = { .addr = out_addr, .direction = GRANT_NONE_LEFT };
	const struct grant_value value = { 0 };

	if (none == grants_none_left(g, out_addr))
		return;
	/* Without the entry the agent is asked once more, which costs time but is right. */
	if (none && (hash_index_add(&g->table.others, HASH_OF(out_addr), out_addr) || put(g, &key, &value)))
		return;
	if (!none) {
		bpf_map_delete_elem(g->table.map, &key);
		hash_index_del(&g->table.others, HASH_OF(out_addr), out_addr);
	}
}

void grants_prune_none_left(struct grants *g, bool (*keep)(void *arg, uint32_t out_addr), void *arg)
{
	uint32_t at = 0, out_addr;

	while (hash_index_walk(&g->table.others, &at, &out_addr))
		if (!keep(arg, out_addr)) {
			grants_tell_none_left(g, out_addr, false);
			at = 0;
		}
}

void grants_serve_until(struct grants *g, uint32_t tick)
{
	__atomic_store_n(&mappings_datapath(g->table.m)->table->limits.growth_until, tick, __ATOMIC_RELEASE);
}

void grants_count(const struct grants *g, struct grant_figures *ret)
{
	*ret = g->figures;
	ret->addresses_full = g->table.others.n;
}
