/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of drains, and the map `drains` made from it: <detnat/drains.h>. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "datapath/map_keys.h"
#include "tables/mapping_drains.h"
#include "tables/mapping_tables.h"

uint32_t mapping_drain_left(const struct mapping_drain *d)
{
	uint64_t now = boottime_s();

	return d->until_s > now ? (uint32_t)(d->until_s - now) : 0;
}

bool mapping_drain_over(const struct mapping_drain *d)
{
	return !d->sessions || !mapping_drain_left(d);
}

void mappings_drain_swept(struct mappings *m, const struct mapping_drain *d, uint64_t sessions)
{
	m->drain[d - m->drain].sessions = sessions;
}

size_t mappings_drains(const struct mappings *m, const struct mapping_drain **ret)
{
	*ret = m->drain;
	return m->n_drains;
}

const struct mapping_drain *mappings_drain_of(const struct mappings *m, int number, uint32_t in_addr)
{
	for (unsigned i = 0; i < m->n_drains; i++)
		if (m->drain[i].number == number && prefix_holds(m->drain[i].in, in_addr))
			return &m->drain[i];
	return NULL;
}

struct prefix mappings_drain_out(const struct mappings *m, int number, struct prefix in)
{
	const struct geometry *g = &m->table[number]->record.geo;
	uint32_t of = mapping_subscriber(g, in.base), last = prefix_last(in) - in.base;
	uint32_t from = mapping_out_addr(g, of), to = mapping_out_addr(g, of + last);
	struct prefix out = { .plen = 32 };

	if (prefix_equal(in, geometry_in(g)))
		return geometry_out(g);
	/* In netmap order so many addresses come round to the first one again. */
	if (g->flags & MAPPING_NETMAP && (last >= g->last_out || to < from))
		return geometry_out(g);
	if (g->in_plen == PLEN_RANGE || g->out_plen == PLEN_RANGE || prefix_is_range(in))
		return prefix_of(from, to);
	while ((from ^ to) & prefix_mask(out.plen))
		out.plen--;
	out.base = from & prefix_mask(out.plen);
	return out;
}

const struct mapping_drain *mappings_find_drain(const struct mappings *m, struct prefix in, struct prefix out)
{
	for (unsigned i = 0; i < m->n_drains; i++)
		if (prefix_equal(m->drain[i].in, in) &&
		    prefix_equal(mappings_drain_out(m, m->drain[i].number, in), out))
			return &m->drain[i];
	return NULL;
}

bool mappings_serves(const struct mappings *m, int number, uint32_t in_addr)
{
	return number >= 0 && (prefix_index_find_inside(&m->in, m->table[number]->record.tenant, in_addr) == number ||
			       mappings_drain_of(m, number, in_addr));
}

bool mappings_drains_of(const struct mappings *m, struct prefix in, int number)
{
	for (unsigned i = 0; i < m->n_drains; i++)
		if (m->drain[i].number == number && prefix_within(in, m->drain[i].in))
			return true;
	return false;
}

/* The number of drains that the addresses of a prefix would have, with one more for `more`. */
static unsigned depth(const struct mappings *m, struct prefix of, struct prefix more)
{
	unsigned n = prefix_within(of, more);

	for (unsigned i = 0; i < m->n_drains; i++)
		n += prefix_within(of, m->drain[i].in);
	return n;
}

/* The keys of the map that a drain needs: a range that is no prefix has several. */
static unsigned keys_of(struct prefix in)
{
	uint32_t last = prefix_last(in);
	unsigned n = 0;

	for (uint64_t at = in.base; at <= last; at = (uint64_t)prefix_last(prefix_first_of((uint32_t)at, last)) + 1)
		n++;
	return n;
}

int mappings_drain_check(const struct mappings *m, struct prefix in)
{
	unsigned keys = keys_of(in);

	for (unsigned i = 0; i < m->n_drains; i++)
		keys += keys_of(m->drain[i].in);
	if (m->n_drains == MAX_DRAINS || keys > MAX_DRAINS)
		return -ENOSPC;
	if (depth(m, in, in) > DRAIN_DEPTH)
		return -EMLINK;
	for (unsigned i = 0; i < m->n_drains; i++)
		if (depth(m, m->drain[i].in, in) > DRAIN_DEPTH)
			return -EMLINK;
	return 0;
}

void mappings_forget_drain(struct mappings *m, unsigned at)
{
	m->n_drains--;
	memmove(&m->drain[at], &m->drain[at + 1], (m->n_drains - at) * sizeof(m->drain[0]));
}

void mappings_add_drain(struct mappings *m, const struct mapping_drain *drain)
{
	struct mapping_drain added = *drain;

	for (unsigned i = m->n_drains; i-- > 0;)
		if (m->drain[i].number == added.number && prefix_within(m->drain[i].in, added.in))
			mappings_forget_drain(m, i);
	added.sessions = UINT64_MAX;
	m->drain[m->n_drains++] = added;
}

int mappings_drains_check(const struct mappings *m, const struct mapping_drain *ended, size_t n_ended,
			  const struct mapping_drain *begun, size_t n_begun, size_t *ret_failed)
{
	/* Only the list of drains matters here. */
	_cleanup_free_ struct mappings *then = n_begun ? calloc(1, sizeof(*then)) : NULL;
	int r = 0;

	*ret_failed = 0;
	if (!then)
		return n_begun ? -ENOMEM : 0;
	for (unsigned i = 0; i < m->n_drains; i++) {
		bool stays = true;

		for (size_t k = 0; k < n_ended; k++)
			stays &= ended[k].number != m->drain[i].number || !prefix_within(m->drain[i].in, ended[k].in);
		if (stays)
			then->drain[then->n_drains++] = m->drain[i];
	}
	for (size_t i = 0; i < n_begun && !r; i++) {
		r = mappings_drain_check(then, begun[i].in);
		*ret_failed = i;
		if (!r)
			mappings_add_drain(then, &begun[i]);
	}
	return r;
}

void mappings_forget_drains(struct mappings *m, int number)
{
	for (unsigned i = m->n_drains; i-- > 0;)
		if (m->drain[i].number == number)
			mappings_forget_drain(m, i);
}

static uint8_t tenant_of(const struct mappings *m, int number)
{
	return m->table[number]->record.tenant;
}

static bool has_inside(const struct inside_range *p, uint8_t tenant, struct prefix in)
{
	return p->first <= inside_place(tenant, in.base) && p->last >= inside_place(tenant, prefix_last(in));
}

/* Whether a mapping in use has the addresses of a prefix, other than those of exceptions within it. */
static bool has_itself(const struct mappings *m, int number, struct prefix in)
{
	const uint8_t tenant = tenant_of(m, number);
	const struct inside_range *found = NULL;

	for (unsigned k = 0; k < m->n_live; k++) {
		const struct inside_range *p = &m->order[k];

		if (has_inside(p, tenant, in) && (!found || p->last - p->first < found->last - found->first))
			found = p;
	}
	return found && found->number == number;
}

/* Whether a prefix in use lies directly in another one of its tenant: there is none between the two. */
static bool lies_directly_in(const struct mappings *m, const struct inside_range *range, struct prefix in)
{
	struct prefix p = inside_range_prefix(range);

	if (!prefix_inside(p, in))
		return false;
	for (unsigned k = 0; k < m->n_live; k++) {
		struct prefix q = inside_range_prefix(&m->order[k]);

		if (inside_tenant(m->order[k].first) == inside_tenant(range->first) && prefix_inside(q, in) &&
		    prefix_inside(p, q))
			return false;
	}
	return true;
}

/* Lets addresses of exceptions continue to drain from a mapping that has regained the other addresses of a drain. */
static void keep_exceptions(struct mappings *m, const struct mapping_drain *of)
{
	for (unsigned k = 0; k < m->n_live; k++) {
		const struct prefix in = inside_range_prefix(&m->order[k]);

		/* If there are too many, the sessions are left to expire; see MAX_DRAINS. */
		if (inside_tenant(m->order[k].first) == tenant_of(m, of->number) &&
		    lies_directly_in(m, &m->order[k], of->in) && !mappings_drains_of(m, in, of->number) &&
		    mappings_drain_check(m, in) == 0)
			mappings_add_drain(
				m, &(struct mapping_drain){ .in = in, .number = of->number, .until_s = of->until_s });
	}
}

void mappings_forget_needless_drains(struct mappings *m)
{
	for (unsigned i = m->n_drains; i-- > 0;) {
		const struct mapping_drain d = m->drain[i];

		if (!has_itself(m, d.number, d.in))
			continue;
		mappings_forget_drain(m, i);
		keep_exceptions(m, &d);
		i = m->n_drains;
	}
}

/* Smaller ranges first, and the latest first among equal ones. */
static bool comes_before(const struct mapping_drain *a, const struct mapping_drain *b)
{
	return prefix_count(a->in) != prefix_count(b->in) ? prefix_count(a->in) < prefix_count(b->in) : a > b;
}

static struct drain_from from_of(const struct mapping_drain *d, struct prefix piece)
{
	bool range = prefix_is_range(d->in);

	struct drain_from from = {
		.until_s = d->until_s,
		.mapping = (uint16_t)d->number,
		.plen = range ? piece.base == d->in.base ? DRAIN_RANGE : DRAIN_REST : d->in.plen,
		.whole = d->whole,
	};

	if (range)
		memcpy(from.pad, &d->in.last, sizeof(from.pad));
	return from;
}

/* The entry of a prefix: all drains of its addresses. */
static struct drain_entry entry_of(const struct mappings *m, struct prefix piece)
{
	const struct mapping_drain *chosen[DRAIN_DEPTH], *before = NULL;
	struct drain_entry e = { 0 };

	while (e.n < DRAIN_DEPTH) {
		const struct mapping_drain *next = NULL;

		for (unsigned i = 0; i < m->n_drains; i++) {
			const struct mapping_drain *d = &m->drain[i];

			if (prefix_within(piece, d->in) && (!before || comes_before(before, d)) &&
			    (!next || comes_before(d, next)))
				next = d;
		}
		if (!next)
			break;
		before = chosen[e.n] = next;
		e.from[e.n] = from_of(chosen[e.n], piece);
		e.n++;
	}
	return e;
}

static struct drain_key key_of(struct prefix in)
{
	return (struct drain_key){ .plen = in.plen, .addr = htonl(in.base) };
}

/* The prefix, of those that a drain's addresses are cut into, that begins at an address; false: there is none. */
static bool next_piece(const struct mapping_drain *d, uint64_t *at, struct prefix *ret)
{
	uint32_t last = prefix_last(d->in);

	if (*at > last)
		return false;
	*ret = prefix_first_of((uint32_t)*at, last);
	*at = (uint64_t)prefix_last(*ret) + 1;
	return true;
}

static bool is_drained(const void *entry, const void *arg)
{
	const struct drain_key *key = entry;
	const struct mappings *m = arg;
	const uint32_t addr = ntohl(key->addr);

	for (unsigned i = 0; i < m->n_drains; i++) {
		uint64_t at = m->drain[i].in.base;

		if (!prefix_holds(m->drain[i].in, addr))
			continue;
		for (struct prefix piece; next_piece(&m->drain[i], &at, &piece);)
			if (piece.base == addr && piece.plen == key->plen)
				return true;
	}
	return false;
}

/* Whether addresses of a mapping in use may have sessions in a draining one. */
static bool succeeds(const struct mappings *m, const struct mapping *record)
{
	for (unsigned i = 0; i < m->n_drains; i++)
		if (tenant_of(m, m->drain[i].number) == record->tenant &&
		    prefixes_overlap(geometry_in(&record->geo), m->drain[i].in))
			return true;
	return false;
}

static void set_flag(struct mappings *m, int number, uint8_t flag, bool on)
{
	struct mapping *shared = &m->d->mapping[number];
	uint8_t flags = m->table[number]->record.geo.flags;

	flags = (uint8_t)(on ? flags | flag : flags & ~flag);
	m->table[number]->record.geo.flags = flags;
	__atomic_store_n(&shared->geo.flags, flags, __ATOMIC_RELEASE);
}

static void set_succeeding(struct mappings *m, bool on)
{
	for (unsigned k = 0; k < m->n_live; k++) {
		int number = m->order[k].number;

		if (succeeds(m, &m->table[number]->record) == on)
			set_flag(m, number, MAPPING_SUCCEEDS, on);
	}
}

void mappings_publish_drains(struct mappings *m)
{
	/* A mapping asks for sessions elsewhere before there can be any, and as long as there can. */
	set_succeeding(m, true);
	for (unsigned i = 0; i < m->n_drains; i++) {
		uint64_t at = m->drain[i].in.base;

		for (struct prefix piece; next_piece(&m->drain[i], &at, &piece);) {
			struct drain_key key = key_of(piece);
			struct drain_entry e = entry_of(m, piece);

			if (bpf_map_update_elem(m->d->drains, &key, &e, BPF_ANY))
				log_warning("the map of drains cannot be written: %s", strerror(errno));
		}
	}
	if (m->d->drains >= 0)
		map_keep(m->d->drains, sizeof(struct drain_key), is_drained, m);
	set_succeeding(m, false);
}

static bool is_known(const struct mappings *m, const struct drain_from *from, struct prefix in)
{
	for (unsigned i = 0; i < m->n_drains; i++)
		if (m->drain[i].number == from->mapping && prefix_equal(m->drain[i].in, in))
			return true;
	return false;
}

static void read_entry(struct mappings *m, const struct drain_key *key, const struct drain_entry *e)
{
	/* The oldest last, to keep the order. */
	for (uint32_t i = e->n < DRAIN_DEPTH ? e->n : DRAIN_DEPTH; i-- > 0;) {
		const struct drain_from *from = &e->from[i];
		uint32_t addr = ntohl(key->addr), last;
		struct prefix in = { .plen = from->plen };

		memcpy(&last, from->pad, sizeof(last));
		if ((from->plen > 32 && from->plen != DRAIN_RANGE) || from->mapping >= MAX_MAPPINGS ||
		    m->n_drains == MAX_DRAINS || (from->plen == DRAIN_RANGE && last < addr))
			continue;
		if (from->plen == DRAIN_RANGE)
			in = prefix_of(addr, last);
		else
			in.base = addr & prefix_mask(from->plen);
		if (!is_known(m, from, in))
			m->drain[m->n_drains++] =
				(struct mapping_drain){ in, from->mapping, from->whole, from->until_s, UINT64_MAX };
	}
}

void mappings_read_drains(struct mappings *m)
{
	size_t n;
	_cleanup_free_ struct drain_key *keys = map_keys(m->d->drains, sizeof(*keys), &n);
	struct drain_entry e;

	for (size_t i = 0; keys && i < n; i++)
		if (!bpf_map_lookup_elem(m->d->drains, &keys[i], &e))
			read_entry(m, &keys[i], &e);
}

void mappings_set_retired(struct mappings *m, struct mapping_job *t)
{
	mapping_job_note_stage(t, TABLE_RETIRED);
	set_flag(m, t->number, MAPPING_RETIRED, true);
	set_flag(m, t->number, MAPPING_SUCCEEDS, false);
}

void mappings_time_drain(struct mappings *m, struct prefix in, int number, uint32_t seconds)
{
	for (unsigned i = 0; i < m->n_drains; i++)
		if (m->drain[i].number == number && prefix_equal(m->drain[i].in, in))
			m->drain[i].until_s = seconds ? boottime_s() + seconds : 0;
	mappings_publish_drains(m);
}
