/* SPDX-License-Identifier: BSD-2-Clause */
/* Portmaps in the datapath: added, removed, read. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/address.h"
#include "tables/portmap_table.h"
#include "tables/portmaps_private.h"

struct portmap_key portmap_key_of(const struct portmap *m, enum portmap_direction direction)
{
	if (direction == PORTMAP_IN2OUT)
		return portmap_key_inside(m->tenant, m->in.addr, m->in.port, m->proto);
	return (struct portmap_key){
		.addr = m->out.addr, .port = m->out.port, .proto = m->proto, .direction = PORTMAP_OUT2IN
	};
}

struct portmap_value portmap_value_of(const struct portmap *m, enum portmap_direction direction)
{
	struct endpoint other = direction == PORTMAP_OUT2IN ? m->in : m->out;
	struct portmap_value v = {
		.addr = other.addr,
		.port = other.port,
		.origin = m->origin,
		.filtered = m->filters.n != 0,
		.peer = m->peer,
		.expires_s = m->expires_s,
	};

	memcpy(v.nonce, m->nonce, sizeof(v.nonce));
	return v;
}

/* The record of the subscriber of a place, whose outside address is *ret_out; NULL: no mapping. */
static struct subscriber *record_of(const struct mappings *m, uint64_t place, uint32_t *ret_out)
{
	uint32_t in_addr = inside_addr(place);
	int number = mappings_find_inside(m, inside_tenant(place), in_addr);
	const struct geometry *g = number < 0 ? NULL : &mappings_get(m, number)->geo;

	if (!g)
		return NULL;
	*ret_out = mapping_out_addr(g, mapping_subscriber(g, in_addr));
	return mappings_subscriber(m, number, mapping_subscriber(g, in_addr));
}

uint8_t portmap_tenant(const struct assignments *s, const void *portmap)
{
	const struct portmaps *p = (const struct portmaps *)s;
	const struct portmap *m = portmap;
	int number = mappings_find_any(p->table.m, m->in.addr);

	/* Of tenants that share the inside address, only one has the outside address. */
	if (number == -EEXIST)
		number = mappings_find_outside(p->table.m, m->out.addr);
	return number < 0 ? m->tenant : mappings_get(p->table.m, number)->tenant;
}

/* More portmaps than this are taken to have every bit. */
#define PORTMAPS_READ 128

/* The bits of the ports of a subscriber's portmaps. */
static void bits_of(const struct portmaps *p, uint64_t place, uint16_t *ret_in, uint16_t *ret_out)
{
	size_t n = 0;

	*ret_in = *ret_out = 0;
	for (const struct portmap *m = portmaps_of(p, place, NULL); m; m = portmaps_of(p, place, m)) {
		*ret_in |= n < PORTMAPS_READ ? portmap_bit(m->proto, m->in.port) : 0xffff;
		*ret_out |= n < PORTMAPS_READ ? portmap_bit(m->proto, m->out.port) : 0xffff;
		if (n++ == PORTMAPS_READ)
			break;
	}
}

/* Before a portmap is in the tables: its bits in the record of its subscriber. */
static void announce(const struct portmaps *p, const struct portmap *m)
{
	uint32_t out;
	struct subscriber *s = record_of(p->table.m, portmap_place(m), &out);

	if (!s)
		return;
	__atomic_fetch_or(&s->portmap_in, portmap_bit(m->proto, m->in.port), __ATOMIC_RELEASE);
	__atomic_fetch_or(&s->portmap_out, portmap_bit(m->proto, m->out.port), __ATOMIC_RELEASE);
}

void portmap_flag(const struct portmaps *p, uint64_t place)
{
	uint32_t out;
	uint16_t in_bits, out_bits;
	struct subscriber *s = record_of(p->table.m, place, &out);

	if (!s)
		return;
	bits_of(p, place, &in_bits, &out_bits);
	__atomic_store_n(&s->portmap_in, in_bits, __ATOMIC_RELEASE);
	__atomic_store_n(&s->portmap_out, out_bits, __ATOMIC_RELEASE);
	if (portmaps_of(p, place, NULL))
		__atomic_fetch_or(&s->beyond, SUBSCRIBER_PORTMAPS, __ATOMIC_RELEASE);
	else
		__atomic_fetch_and(&s->beyond, ~SUBSCRIBER_PORTMAPS, __ATOMIC_RELEASE);
}

bool portmap_is_flagged(const struct portmaps *p, uint64_t place)
{
	uint32_t out;
	uint16_t in_bits, out_bits;
	const struct subscriber *s = record_of(p->table.m, place, &out);

	bits_of(p, place, &in_bits, &out_bits);
	return s && __atomic_load_n(&s->beyond, __ATOMIC_ACQUIRE) & SUBSCRIBER_PORTMAPS &&
	       !(in_bits & ~__atomic_load_n(&s->portmap_in, __ATOMIC_ACQUIRE)) &&
	       !(out_bits & ~__atomic_load_n(&s->portmap_out, __ATOMIC_ACQUIRE));
}

int portmap_write(const struct assignments *s, const void *portmap, unsigned direction)
{
	const struct portmaps *p = (const struct portmaps *)s;
	const struct portmap *m = portmap;
	struct portmap_key key = portmap_key_of(m, direction);
	struct portmap_value value = portmap_value_of(m, direction), known;

	int r;

	if (!bpf_map_lookup_elem(p->table.map, &key, &known))
		value.packets = known.packets;
	if (!portmap_has_lines(m))
		value.packets += portmap_line_remove(p, m, direction);
	r = bpf_map_update_elem(p->table.map, &key, &value, BPF_ANY);
	if (!r && portmap_has_lines(m))
		portmap_line_put(p, m, direction);
	return r;
}

int portmap_write_filters(const struct portmaps *p, const struct portmap *m)
{
	struct portmap_key key = portmap_key_of(m, PORTMAP_OUT2IN);

	return m->filters.n ? bpf_map_update_elem(filters_of(&p->table), &key, &m->filters, BPF_ANY) : 0;
}

bool portmap_filters_differ(const struct portmaps *p, const struct portmap *m)
{
	struct portmap_key key = portmap_key_of(m, PORTMAP_OUT2IN);
	struct portmap_value value;
	struct portmap_filters f;

	if (bpf_map_lookup_elem(p->table.map, &key, &value))
		return false;
	return value.filtered != (m->filters.n != 0) ||
	       (m->filters.n &&
		(bpf_map_lookup_elem(filters_of(&p->table), &key, &f) || !portmap_filters_equal(&f, &m->filters)));
}

static void erase_filters(const struct portmaps *p, const struct portmap *m)
{
	struct portmap_key key = portmap_key_of(m, PORTMAP_OUT2IN);

	if (m->filters.n)
		bpf_map_delete_elem(filters_of(&p->table), &key);
}

static void erase_all(const struct portmaps *p, const struct portmap *m)
{
	for (unsigned direction = PORTMAP_IN2OUT; direction <= PORTMAP_OUT2IN; direction++) {
		portmap_line_remove(p, m, direction);
		assignments_erase(&p->table, m, direction);
	}
	erase_filters(p, m);
}

/*
 * Packets from inside use it once the flag is set, and those from outside before. Its filters exist before any packet
 * needs them.
 */
static int write_all(struct portmaps *p, const struct portmap *m)
{
	int r = portmap_write_filters(p, m);

	if (!r)
		r = portmap_write(&p->table, m, PORTMAP_OUT2IN);
	if (!r)
		r = portmap_write(&p->table, m, PORTMAP_IN2OUT);
	return r;
}

/* Sets the other properties of an existing portmap. */
static int renew(struct portmaps *p, struct portmap *known, const struct portmap *m)
{
	struct portmap renewed = *m;
	int r;

	if (!endpoint_equal(known->in, m->in))
		return -EEXIST;
	r = write_all(p, m);
	if (r) {
		write_all(p, known);
		if (!known->filters.n)
			erase_filters(p, m);
		return r;
	}
	if (!m->filters.n)
		erase_filters(p, known);
	p->n_of[known->origin]--;
	p->n_of[m->origin]++;
	renewed.entry = known->entry;
	memcpy(renewed.links, known->links, sizeof(renewed.links));
	*known = renewed;
	return 0;
}

void portmaps_on_change(struct portmaps *p, portmap_visit changed, void *arg)
{
	p->changed = changed;
	p->changed_arg = arg;
}

static void tell(const struct portmaps *p, const struct portmap *m, bool made)
{
	if (p->changed)
		p->changed(p->changed_arg, m, made);
}

/* The two kinds have separate room. */
static size_t room_of(const struct portmaps *p, uint8_t origin)
{
	return origin == PORTMAP_STATIC ? MAX_PORTMAPS : p->lease_room;
}

void portmaps_on_act(struct portmaps *p, lease_visit acted, void *arg)
{
	p->acted = acted;
	p->acted_arg = arg;
}

static void tell_act(const struct portmaps *p, const struct portmap *m, bool ends)
{
	if (p->acted && m->origin == PORTMAP_PCP && (ends || !m->peer))
		p->acted(p->acted_arg, m, ends);
}

static int put(struct portmaps *p, const struct portmap *m)
{
	uint32_t out;
	struct portmap *known = assignments_find(&p->table, m->proto, m->out);
	int r;

	if (!record_of(p->table.m, portmap_place(m), &out) || out != m->out.addr)
		return -EADDRNOTAVAIL;
	if (known)
		return renew(p, known, m);
	if (portmaps_by_in(p, m->tenant, m->proto, m->in))
		return -EEXIST;
	if (p->n_of[m->origin] >= room_of(p, m->origin))
		return -ENOSPC;
	known = assignments_add(&p->table, m);
	if (!known)
		return -ENOMEM;
	announce(p, m);
	r = write_all(p, m);
	if (r) {
		erase_all(p, m);
		assignments_del(&p->table, known);
		portmap_flag(p, portmap_place(m));
		return r;
	}
	portmap_flag(p, portmap_place(m));
	tell(p, m, true);
	return 0;
}

int portmaps_put(struct portmaps *p, const struct portmap *m)
{
	struct portmap of = *m;
	int r;

	of.tenant = portmap_tenant(&p->table, m);
	r = put(p, &of);
	if (!r)
		tell_act(p, &of, false);
	return r;
}

int portmaps_end(struct portmaps *p, uint8_t proto, struct endpoint out)
{
	const struct portmap *known = assignments_find(&p->table, proto, out);

	if (known)
		tell_act(p, known, true);
	return portmaps_del(p, proto, out);
}

int portmaps_del(struct portmaps *p, uint8_t proto, struct endpoint out)
{
	struct portmap *known = assignments_find(&p->table, proto, out), m;

	if (!known)
		return -ENOENT;
	m = *known;
	erase_all(p, &m);
	assignments_del(&p->table, known);
	portmap_flag(p, portmap_place(&m));
	tell(p, &m, false);
	return 0;
}

void portmaps_settle_tenants(struct portmaps *p)
{
	assignments_settle_tenants(&p->table);
}

void portmaps_traffic(const struct portmaps *p, const struct portmap *m, struct portmap_traffic *ret)
{
	struct portmap_key in = portmap_key_of(m, PORTMAP_OUT2IN), out = portmap_key_of(m, PORTMAP_IN2OUT);
	struct portmap_value value;

	ret->packets_in = bpf_map_lookup_elem(p->table.map, &in, &value) ? 0 : value.packets;
	ret->packets_out = bpf_map_lookup_elem(p->table.map, &out, &value) ? 0 : value.packets;
	ret->packets_in += portmap_line_packets(p, m, PORTMAP_OUT2IN);
	ret->packets_out += portmap_line_packets(p, m, PORTMAP_IN2OUT);
}

/* Those of an inside address, of each tenant. */
static void mark_address(const struct portmaps *p, uint32_t addr)
{
	for (const struct portmap *m = portmaps_of(p, addr, NULL); m; m = portmaps_of(p, addr, m))
		portmap_flag(p, portmap_place(m));
}

void portmaps_mark(const struct portmaps *p, struct prefix in)
{
	uint64_t n = prefix_count(in);

	/* There may be thousands of mappings: each looks at its addresses or at all portmaps, whichever are fewer. */
	if (n < p->table.records.n) {
		for (uint64_t i = 0; i < n; i++)
			mark_address(p, (uint32_t)(in.base + i));
		return;
	}
	for (const struct portmap *m = portmaps_next(p, NULL); m; m = portmaps_next(p, m))
		if (prefix_holds(in, m->in.addr))
			portmap_flag(p, portmap_place(m));
}

bool portmap_filters_add(struct portmap_filters *f, uint32_t addr, uint8_t plen, uint16_t port)
{
	const struct portmap_filter added = { .addr = addr & prefix_mask(plen), .port = port, .plen = plen };

	for (uint32_t i = 0; i < f->n; i++)
		if (!memcmp(&f->filter[i], &added, sizeof(added)))
			return true;
	if (f->n == MAX_PORTMAP_FILTERS)
		return false;
	f->filter[f->n++] = added;
	return true;
}

bool portmap_filters_equal(const struct portmap_filters *a, const struct portmap_filters *b)
{
	return !memcmp(a, b, sizeof(*a));
}

bool portmap_filters_valid(const struct portmap_filters *f)
{
	struct portmap_filters again = { 0 };

	if (!f->n || f->n > MAX_PORTMAP_FILTERS)
		return false;
	for (uint32_t i = 0; i < f->n; i++) {
		const struct portmap_filter *one = &f->filter[i];

		if (one->plen > 32 || !portmap_filters_add(&again, one->addr, one->plen, one->port))
			return false;
	}
	return portmap_filters_equal(f, &again);
}

const char *portmap_filter_format(const struct portmap_filter *f, char text[static PORTMAP_FILTER_TEXT])
{
	char addr[ADDR_TEXT];

	if (f->plen == 32)
		addr_format(f->addr, addr);
	else
		prefix_format(f->addr, f->plen, addr);
	if (f->port)
		snprintf(text, PORTMAP_FILTER_TEXT, "%s:%u", addr, f->port);
	else
		snprintf(text, PORTMAP_FILTER_TEXT, "%s", addr);
	return text;
}
