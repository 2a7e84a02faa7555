/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's records of all portmaps: by outside endpoint, by inside endpoint and by inside address. */
#include <errno.h>

#include "tables/portmaps_private.h"

struct place {
	struct hash_entry entry;
	struct hash_links links; /* with those of the inside address */
	struct portmap portmap;
};

static uint64_t hash_of(uint8_t proto, struct endpoint e)
{
	return HASH_OF((uint64_t)e.addr << 32 | (uint64_t)e.port << 8 | proto);
}

static uint64_t hash_by_out(const void *entry)
{
	const struct place *place = entry;

	return hash_of(place->portmap.proto, place->portmap.out);
}

static bool same_out(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->portmap.proto == y->portmap.proto && endpoint_equal(x->portmap.out, y->portmap.out);
}

static const struct hash_type places = { sizeof(struct place), 0, hash_by_out, same_out };

static const struct place *place_of(const struct portmap *m)
{
	return (const struct place *)((const char *)m - offsetof(struct place, portmap));
}

static struct place *place_at(const struct portmaps *p, uint32_t number)
{
	return hash_at(&places, &p->by_out, number);
}

static uint64_t hash_by_addr(const void *entry)
{
	const struct place *place = entry;

	return HASH_OF(place->portmap.in.addr);
}

static bool same_addr(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->portmap.in.addr == y->portmap.in.addr;
}

static const struct hash_list_type of_address = { &places, offsetof(struct place, links), hash_by_addr, same_addr };

int portmap_store(struct portmaps *p, const struct portmap *m)
{
	const struct place like = { .portmap = *m };
	struct place *place = hash_add(&places, &p->by_out, &like);
	uint64_t by_in = hash_of(m->proto, m->in);

	if (!place)
		return -ENOMEM;
	if (hash_index_add(&p->by_in, by_in, place->entry.number)) {
		hash_del(&places, &p->by_out, place);
		return -ENOMEM;
	}
	if (hash_list_add(&of_address, &p->by_out, &p->by_addr, place)) {
		hash_index_del(&p->by_in, by_in, place->entry.number);
		hash_del(&places, &p->by_out, place);
		return -ENOMEM;
	}
	p->n++;
	p->n_of[m->origin]++;
	return 0;
}

struct portmap *portmap_find(const struct portmaps *p, uint8_t proto, struct endpoint out)
{
	const struct place like = { .portmap = { .proto = proto, .out = out } };
	struct place *place = hash_find(&places, &p->by_out, &like);

	return place ? &place->portmap : NULL;
}

struct portmap *portmap_find_inside(const struct portmaps *p, uint8_t tenant, uint8_t proto, struct endpoint in)
{
	uint64_t hash = hash_of(proto, in);
	uint32_t number;

	for (uint32_t step = 0; hash_index_next(&p->by_in, hash, &step, &number);) {
		struct portmap *m = &place_at(p, number)->portmap;

		if (m->proto == proto && endpoint_equal(m->in, in) && (!tenant || m->tenant == tenant))
			return m;
	}
	return NULL;
}

void portmap_forget(struct portmaps *p, uint8_t proto, struct endpoint out)
{
	struct portmap *m = portmap_find(p, proto, out);
	struct place *place;

	if (!m)
		return;
	place = place_at(p, place_of(m)->entry.number);
	hash_list_del(&of_address, &p->by_out, &p->by_addr, place);
	hash_index_del(&p->by_in, hash_of(m->proto, m->in), place->entry.number);
	p->n--;
	p->n_of[m->origin]--;
	hash_del(&places, &p->by_out, place);
}

void portmap_store_free(struct portmaps *p)
{
	hash_free(&p->by_out);
	hash_index_free(&p->by_in);
	hash_index_free(&p->by_addr);
}

const struct portmap *portmaps_by_out(const struct portmaps *p, uint8_t proto, struct endpoint out)
{
	return portmap_find(p, proto, out);
}

const struct portmap *portmaps_by_in(const struct portmaps *p, uint8_t tenant, uint8_t proto, struct endpoint in)
{
	return portmap_find_inside(p, tenant, proto, in);
}

const struct portmap *portmaps_of(const struct portmaps *p, uint64_t place, const struct portmap *before)
{
	const struct place like = { .portmap.in.addr = inside_addr(place) };
	const struct place *at = before ? hash_list_next(&of_address, &p->by_out, place_of(before))
					: hash_list_first(&of_address, &p->by_out, &p->by_addr, &like);

	while (at && inside_tenant(place) && at->portmap.tenant != inside_tenant(place))
		at = hash_list_next(&of_address, &p->by_out, at);
	return at ? &at->portmap : NULL;
}

const struct portmap *portmaps_next(const struct portmaps *p, const struct portmap *before)
{
	uint32_t at = before ? place_of(before)->entry.number + 1 : 0;
	const struct place *place = hash_walk(&places, &p->by_out, &at);

	return place ? &place->portmap : NULL;
}

const struct portmap *portmaps_walk(const struct portmaps *p, uint32_t *place, uint32_t end)
{
	while (*place < p->by_out.end && *place < end) {
		const struct place *at = hash_get(&places, &p->by_out, (*place)++);

		if (at)
			return &at->portmap;
	}
	if (*place >= p->by_out.end)
		*place = 0;
	return NULL;
}

size_t portmaps_lease_room(const struct portmaps *p)
{
	return p->lease_room;
}

size_t portmaps_count(const struct portmaps *p, enum portmap_origin origin)
{
	return p->n_of[origin];
}
