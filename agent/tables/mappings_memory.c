/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory for tables, and the memory left on the machine. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "tables/mapping_tables.h"

uint64_t mappings_memory(struct prefix in, uint32_t session_slots)
{
	return prefix_count(in) * sizeof(struct subscriber) + mappings_slot_memory(in, session_slots);
}

uint64_t mappings_slot_memory(struct prefix in, uint32_t session_slots)
{
	return prefix_count(in) * session_slots * sizeof(struct slot);
}

/* The number after a word in a file of /proc; false if it is not there. */
static bool proc_number(const char *path, const char *word, uint64_t *ret)
{
	FILE *f = fopen(path, "re");
	bool found = false;
	char line[256];

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		found = !strncmp(line, word, strlen(word));
		if (found)
			*ret = strtoull(line + strlen(word), NULL, 10);
	}
	fclose(f);
	return found;
}

uint64_t memory_available(void)
{
	return memory_free("");
}

/* The memory of a map, according to the kernel. */
static uint64_t map_memory(int fd)
{
	uint64_t octets;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return fd >= 0 && proc_number(path, "memlock:", &octets) ? octets : 0;
}

uint64_t mappings_table_memory(const struct mappings *m)
{
	const struct datapath *d = m->d;
	const int fixed[] = { d->in_index,  d->out_index,  d->mappings, d->subscribers, d->buckets,
			      d->devices,   d->counters,   d->events,	d->records6,	d->indices6,
			      d->prefixes6, d->addresses6, d->hosts6 };
	uint64_t sum = chunks_memory(&m->subscribers) + chunks_memory(&m->buckets) + chunks_memory(&m->hosts);

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		sum += map_memory(fixed[i]);
	return sum;
}

/* Summaries of all mappings for the datapath, which save most packets a look into the prefix index. */

static uint32_t pool_end(const struct geometry *g)
{
	return g->out_base + g->last_out;
}

/* At any moment the datapath sees a range that contains every outside prefix in the index. */
void mappings_widen_pool(struct mappings *m, const struct geometry *g)
{
	struct globals *global = m->d->global;

	if (pool_end(g) > global->pool_last)
		__atomic_store_n(&global->pool_last, pool_end(g), __ATOMIC_RELEASE);
	if (g->out_base < global->pool_first)
		__atomic_store_n(&global->pool_first, g->out_base, __ATOMIC_RELEASE);
}

/* Without a mapping, the range contains hardly an address. */
void mappings_measure_pool(struct mappings *m)
{
	uint32_t first = ~0U, last = 0;

	for (int number = 0; number < (int)MAX_MAPPINGS; number++) {
		const struct mapping_job *t = m->table[number];
		const struct geometry *g = t ? &t->record.geo : NULL;

		if (!g || (t->stage != TABLE_LIVE && t->stage != TABLE_RETIRED) || g->out_plen == PLEN_NONE)
			continue;
		first = g->out_base < first ? g->out_base : first;
		last = pool_end(g) > last ? pool_end(g) : last;
	}
	__atomic_store_n(&m->d->global->pool_first, first, __ATOMIC_RELEASE);
	__atomic_store_n(&m->d->global->pool_last, last, __ATOMIC_RELEASE);
}

/* The largest prefix within first..last. */
static struct prefix largest_within(uint32_t first, uint32_t last)
{
	for (uint8_t plen = 0; plen < 32; plen++) {
		uint64_t size = prefix_size(plen), base = (first + size - 1) & ~(size - 1);

		if (base + size - 1 <= last)
			return (struct prefix){ (uint32_t)base, plen };
	}
	return (struct prefix){ first, 32 };
}

/* The largest prefix of a mapping in which no other mapping of its tenant lies. */
static uint64_t hint_inside(const struct mappings *m, int number, uint16_t leaf)
{
	struct prefix found = { 0 };
	bool any = false;

	for (size_t i = 0; i < m->n_runs; i++) {
		struct prefix p;

		if (m->run[i].number != number)
			continue;
		p = largest_within(inside_addr(m->run[i].first), inside_addr(m->run[i].last));
		if (!any || p.plen < found.plen)
			found = p;
		any = true;
	}
	return any ? fib_hint(found.base, found.plen, leaf) : FIB_NO_HINT;
}

static uint16_t leaf_of(const struct mapping_job *t)
{
	return (uint16_t)(INDEX_LEAF | (unsigned)t->number);
}

static void note_largest(const struct mapping_job **largest, const struct mapping_job *t)
{
	if (!*largest || t->n_subscribers > (*largest)->n_subscribers)
		*largest = t;
}

/* Finds the live mappings with the most subscribers, of those with slots; among those of IPv4 only, and among all. */
static void find_largest(struct mappings *m)
{
	m->largest[0] = m->largest[1] = NULL;
	for (unsigned k = 0; k < m->n_live; k++) {
		const struct mapping_job *t = m->table[m->order[k].number];

		if (!mapping_has_slots(&t->record))
			continue;
		note_largest(&m->largest[1], t);
		if (!mapping_is_ipv6(&t->record))
			note_largest(&m->largest[0], t);
	}
	m->knows_largest = true;
}

void mappings_choose_hints(struct mappings *m)
{
	const struct mapping_job *of_ipv4, *of_all;
	uint64_t inside = FIB_NO_HINT, outside = FIB_NO_HINT;

	if (!m->knows_largest)
		find_largest(m);
	of_ipv4 = m->largest[0];
	of_all = m->largest[1];
	if (of_ipv4 && !m->unsettled)
		inside = hint_inside(m, of_ipv4->number, leaf_of(of_ipv4));
	if (of_all) {
		const struct geometry *g = &of_all->record.geo;
		struct prefix out = largest_within(g->out_base, g->out_base + g->last_out);

		outside = fib_hint(out.base, out.plen, leaf_of(of_all));
	}
	if (!m->d->fib)
		return;
	__atomic_store_n(&m->d->fib->inside, inside, __ATOMIC_RELEASE);
	__atomic_store_n(&m->d->fib->outside, outside, __ATOMIC_RELEASE);
}

void mappings_unsettle(struct mappings *m)
{
	m->unsettled = true;
	mappings_choose_hints(m);
}

void mappings_settled(struct mappings *m)
{
	m->unsettled = false;
	mappings_choose_hints(m);
}

/* The map `untranslated` of <detnat/tables.h>: the prefixes of mappings without an outside one. */

/*
 * The key of the prefix, of those that the addresses are cut into, that begins at an address; UINT64_MAX: there is
 * none.
 */
static uint64_t next_untranslated(const struct mapping *record, uint64_t first, struct tenant_prefix_key *ret)
{
	uint64_t last = (uint64_t)record->geo.in_base + record->geo.last_subscriber;
	struct prefix p;

	if (first > last)
		return UINT64_MAX;
	p = prefix_first_of((uint32_t)first, (uint32_t)last);
	*ret = (struct tenant_prefix_key){ TENANT_BITS + p.plen, htonl(record->tenant), htonl(p.base) };
	return (uint64_t)prefix_last(p) + 1;
}

bool mappings_untranslated_key(const struct mapping *record, const struct tenant_prefix_key *key)
{
	struct tenant_prefix_key own;

	for (uint64_t at = record->geo.in_base; (at = next_untranslated(record, at, &own)) != UINT64_MAX;)
		if (own.addr == key->addr && own.tenant == key->tenant && own.plen == key->plen)
			return true;
	return false;
}

int mappings_show_untranslated(const struct mappings *m, const struct mapping *record)
{
	const uint32_t none = 0;
	struct tenant_prefix_key key;
	int r = 0;

	if (record->geo.out_plen != PLEN_NONE)
		return 0;
	for (uint64_t at = record->geo.in_base; !r && (at = next_untranslated(record, at, &key)) != UINT64_MAX;)
		r = bpf_map_update_elem(m->d->untranslated, &key, &none, BPF_ANY);
	return r;
}

void mappings_hide_untranslated(const struct mappings *m, const struct mapping *record)
{
	struct tenant_prefix_key key;

	if (record->geo.out_plen != PLEN_NONE)
		return;
	for (uint64_t at = record->geo.in_base; (at = next_untranslated(record, at, &key)) != UINT64_MAX;)
		bpf_map_delete_elem(m->d->untranslated, &key);
}
