/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/hops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum hop_state {
	HOP_FREE,
	HOP_USED,
	HOP_WAITING, /* in use; its new address is written once programs have ended */
	HOP_LEAVING, /* free once programs have ended */
};

int fib_hops_init(struct fib_hops *h, struct fib *fib, const struct device *device,
		  const struct fib_neighbours *neighbours)
{
	*h = (struct fib_hops){ .fib = fib, .device = device, .neighbours = neighbours, .end = FIB_HOP_FIRST };
	h->link = calloc(MAX_IFINDEX, sizeof(*h->link));
	h->list = calloc(FIB_HOPS, sizeof(*h->list));
	h->mtus = calloc(MAX_IFINDEX, sizeof(*h->mtus));
	h->free = calloc(FIB_HOPS, sizeof(*h->free));
	h->waiting = calloc(FIB_HOPS, sizeof(*h->waiting));
	if (!h->link || !h->mtus || !h->list || !h->free || !h->waiting) {
		fib_hops_free(h);
		return -ENOMEM;
	}
	for (uint32_t i = FIB_HOPS; i-- > FIB_HOP_FIRST;)
		h->free[h->n_free++] = (uint16_t)i;
	h->default_hop = FIB_HOP_KERNEL;
	for (uint32_t i = 0; i < FIB_HOP_FIRST; i++)
		h->list[i] = (struct fib_hop_state){ .state = HOP_USED, .way.kind = FIB_WAY_KERNEL };
	h->list[FIB_HOP_DISCARD].way.kind = FIB_WAY_DISCARD;
	fib->hop[FIB_HOP_LOCAL].flags = FIB_LOCAL;
	fib->hop[FIB_HOP_DISCARD].flags = FIB_DISCARD;
	return 0;
}

void fib_hops_free(struct fib_hops *h)
{
	free(h->link);
	free(h->mtus);
	free(h->list);
	hash_index_free(&h->by_gateway);
	free(h->free);
	free(h->waiting);
	*h = (struct fib_hops){ 0 };
}

static uint64_t hash_of_gateway(uint32_t ifindex, uint8_t family, const uint8_t addr[static 16])
{
	uint64_t words[2];

	memcpy(words, addr, sizeof(words));
	return HASH_OF((uint64_t)ifindex << 8 | family, words[0], words[1]);
}

static uint64_t hash_of(const struct fib_way *way)
{
	return hash_of_gateway(way->ifindex, way->family, way->addr);
}

/* Longest packet of IPv6 on an interface; 0: IPv6 is switched off there. */
static uint32_t mtu6_of(const struct fib_hops *h, uint32_t ifindex)
{
	uint32_t mtu = h->mtus[ifindex].ipv6, most = h->device[ifindex].mtu;

	return mtu < most ? mtu : most;
}

static void complete(const struct fib_hops *h, const struct fib_way *way, struct fib_hop *ret)
{
	const struct device *d = &h->device[way->ifindex];
	const struct fib_neighbour *n = fib_neighbours_find(h->neighbours, way->ifindex, way->family, way->addr);
	uint32_t mtu = way->growth ? mtu6_of(h, way->ifindex) : d->mtu;

	if (way->mtu && way->mtu < mtu)
		mtu = way->mtu;
	if (!d->roles || mtu <= way->growth || !n || !n->usable || h->link[way->ifindex] & FIB_LINK_NO_ARP)
		return;
	memcpy(ret->dmac, n->mac, sizeof(ret->dmac));
	memcpy(ret->smac, d->mac, sizeof(ret->smac));
	mtu -= way->growth;
	ret->mtu = mtu < UINT16_MAX ? (uint16_t)mtu : UINT16_MAX;
	ret->flags |= FIB_RESOLVED | (d->roles & DEVICE_INSIDE ? FIB_TC_IN : FIB_TC_OUT);
	if (d->flags & DEVICE_REDIRECT)
		ret->flags |= d->roles & DEVICE_INSIDE ? FIB_FAST_IN : FIB_FAST_OUT;
}

/* The intended record of a next hop; its invalid members stay unchanged. */
static struct fib_hop record_of(const struct fib_hops *h, const struct fib_hop_state *s, const struct fib_hop *have)
{
	struct fib_hop record = *have;
	const struct fib_way *way = &s->way;

	record.flags = 0;
	if (s->retired || way->kind == FIB_WAY_KERNEL)
		return record;
	if (way->kind == FIB_WAY_DISCARD) {
		record.flags = FIB_DISCARD;
		return record;
	}
	if (!way->ifindex || way->ifindex >= MAX_IFINDEX || !(h->link[way->ifindex] & FIB_LINK_RUNS))
		return record;
	record.ifindex = way->ifindex;
	record.flags = FIB_ROUTED;
	if (way->family)
		complete(h, way, &record);
	return record;
}

static void set_flags(struct fib_hop *record, uint8_t flags)
{
	__atomic_store_n(&record->flags, flags, __ATOMIC_RELEASE);
}

static void wait_for_programs(struct fib_hops *h, uint32_t number, uint8_t state)
{
	struct fib_hop_state *s = &h->list[number];

	set_flags(&h->fib->hop[number], 0);
	if (s->state == HOP_USED)
		h->waiting[h->n_waiting++] = (uint16_t)number;
	else
		s->left_late = state == HOP_LEAVING;
	s->state = state;
}

/* `from`: the next hop whose way counts; differs from number only for number 0. */
static void write_record(struct fib_hops *h, uint32_t number, uint32_t from)
{
	struct fib_hop_state *s = &h->list[number];
	struct fib_hop *have = &h->fib->hop[number], want = record_of(h, &h->list[from], have);

	if (s->state != HOP_USED)
		return;
	if (memcmp(have, &want, offsetof(struct fib_hop, flags))) {
		if (s->exposed) {
			wait_for_programs(h, number, HOP_WAITING);
			return;
		}
		memcpy(have, &want, offsetof(struct fib_hop, flags));
	}
	s->exposed |= want.flags != 0;
	if (have->flags != want.flags)
		set_flags(have, want.flags);
}

static void remake(struct fib_hops *h, uint32_t number)
{
	write_record(h, number, number ? number : h->default_hop);
	if (number && number == h->default_hop)
		write_record(h, FIB_HOP_DEFAULT, number);
}

/* 0: there is none. */
static uint32_t find(const struct fib_hops *h, const struct fib_way *way)
{
	uint64_t hash = hash_of(way);
	uint32_t number;

	for (uint32_t step = 0; hash_index_next(&h->by_gateway, hash, &step, &number);)
		if (!memcmp(&h->list[number].way, way, sizeof(*way)))
			return number;
	return 0;
}

uint32_t fib_hops_take(struct fib_hops *h, const struct fib_way *way)
{
	uint32_t number = find(h, way);

	if (!number) {
		if (!h->n_free || hash_index_add(&h->by_gateway, hash_of(way), h->free[h->n_free - 1])) {
			h->too_many++;
			return FIB_HOP_KERNEL;
		}
		number = h->free[--h->n_free];
		h->list[number] = (struct fib_hop_state){ .way = *way, .state = HOP_USED };
		if (number >= h->end)
			h->end = number + 1;
		remake(h, number);
	}
	h->list[number].refs++;
	return number;
}

void fib_hops_drop(struct fib_hops *h, uint32_t number)
{
	struct fib_hop_state *s = &h->list[number];

	if (number < FIB_HOP_FIRST || --s->refs)
		return;
	if (!s->retired)
		hash_index_del(&h->by_gateway, hash_of(&s->way), number);
	wait_for_programs(h, number, HOP_LEAVING);
}

void fib_hops_set_default(struct fib_hops *h, uint32_t number)
{
	h->default_hop = number;
	write_record(h, FIB_HOP_DEFAULT, number);
}

const struct fib_way *fib_hops_way(const struct fib_hops *h, uint32_t number)
{
	return &h->list[number].way;
}

bool fib_hops_is_on_link(const struct fib_hops *h, uint32_t number)
{
	const struct fib_hop_state *s = &h->list[number];

	return number >= FIB_HOP_FIRST && s->way.kind == FIB_WAY_VIA && !s->way.family && !s->retired;
}

bool fib_hops_is_retired(const struct fib_hops *h, uint32_t number)
{
	return h->list[number].retired;
}

static bool in_use(const struct fib_hop_state *s)
{
	return s->state == HOP_USED || s->state == HOP_WAITING;
}

void fib_hops_of_interface(struct fib_hops *h, uint32_t ifindex)
{
	for (uint32_t i = FIB_HOP_FIRST; i < h->end; i++)
		if (in_use(&h->list[i]) && h->list[i].way.ifindex == ifindex)
			remake(h, i);
}

uint32_t fib_hops_next(const struct fib_hops *h, uint32_t ifindex, uint8_t family, const uint8_t addr[static 16],
		       uint32_t *step)
{
	uint64_t hash = hash_of_gateway(ifindex, family, addr);
	uint32_t number;

	while (hash_index_next(&h->by_gateway, hash, step, &number)) {
		const struct fib_way *w = &h->list[number].way;

		if (w->ifindex == ifindex && w->family == family && !memcmp(w->addr, addr, sizeof(w->addr)))
			return number;
	}
	return 0;
}

void fib_hops_of_neighbour(struct fib_hops *h, const struct fib_neighbour *n)
{
	uint32_t step = 0, number;

	while ((number = fib_hops_next(h, n->ifindex, n->family, n->addr, &step)))
		remake(h, number);
}

void fib_hops_of_object(struct fib_hops *h, uint32_t object, const struct fib_way *way)
{
	for (uint32_t i = FIB_HOP_FIRST; i < h->end; i++) {
		struct fib_hop_state *s = &h->list[i];
		uint32_t mtu = s->way.mtu;
		uint8_t growth = s->way.growth;

		if (!in_use(s) || s->retired || s->way.object != object)
			continue;
		hash_index_del(&h->by_gateway, hash_of(&s->way), i);
		s->way = *way;
		s->way.object = object;
		s->way.mtu = mtu;
		s->way.growth = growth;
		/* Reuses the room of the former entry. */
		hash_index_add(&h->by_gateway, hash_of(&s->way), i);
		remake(h, i);
	}
}

static bool retire(struct fib_hops *h, uint32_t number)
{
	struct fib_hop_state *s = &h->list[number];

	if (!in_use(s) || s->retired)
		return false;
	hash_index_del(&h->by_gateway, hash_of(&s->way), number);
	s->retired = true;
	remake(h, number);
	return true;
}

bool fib_hops_retire_interface(struct fib_hops *h, uint32_t ifindex, bool objects)
{
	bool any = false;

	for (uint32_t i = FIB_HOP_FIRST; i < h->end; i++)
		if (h->list[i].way.ifindex == ifindex && (objects || !h->list[i].way.object))
			any |= retire(h, i);
	return any;
}

bool fib_hops_retire_object(struct fib_hops *h, uint32_t object)
{
	bool any = false;

	for (uint32_t i = FIB_HOP_FIRST; i < h->end; i++)
		if (h->list[i].way.object == object)
			any |= retire(h, i);
	return any;
}

void fib_hops_settle_begin(struct fib_hops *h)
{
	h->n_settling = h->n_waiting;
	for (size_t i = 0; i < h->n_settling; i++)
		h->list[h->waiting[i]].left_late = false;
}

void fib_hops_settle_end(struct fib_hops *h)
{
	size_t n = h->n_settling, kept = 0;

	h->n_settling = 0;
	/* Hops released meanwhile wait another grace period, ahead of new ones. */
	for (size_t i = 0; i < n; i++) {
		uint32_t number = h->waiting[i];
		struct fib_hop_state *s = &h->list[number];

		if (s->state == HOP_LEAVING && s->left_late) {
			h->waiting[kept++] = (uint16_t)number;
		} else if (s->state == HOP_LEAVING) {
			*s = (struct fib_hop_state){ 0 };
			h->free[h->n_free++] = (uint16_t)number;
		} else {
			s->state = HOP_USED;
			s->exposed = false;
			remake(h, number);
		}
	}
	/* remake() may have added to the end: only exposed hops wait, but next hop 0 may be one. */
	memmove(&h->waiting[kept], &h->waiting[n], (h->n_waiting - n) * sizeof(*h->waiting));
	h->n_waiting -= n - kept;
}

size_t fib_hops_count(const struct fib_hops *h)
{
	return FIB_HOPS - FIB_HOP_FIRST - h->n_free;
}
