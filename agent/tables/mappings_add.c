/* SPDX-License-Identifier: BSD-2-Clause */
/* Adds mappings. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "tables/mapping_bindings.h"
#include "base/virtual6.h"
#include "tables/mapping_changes.h"
#include "tables/mapping_drains.h"
#include "tables/mapping_hosts.h"
#include "tables/mapping_limits.h"

/* The most slots that `session_slots` may give a subscriber. */
#define MAX_SLOTS 2048U

/* Time for one slice of the preparation of an update. */
#define PREPARE_US 1000U

static int too_much(const struct mapping_job *t, uint64_t needed, struct error *err)
{
	const struct geometry *g = &t->record.geo;
	char in[INSIDE_TEXT];

	return error_set(err, -ENOMEM,
			 "the tables of mapping %s need %" PRIu64 " MiB more memory, %" PRIu64 " MiB are free",
			 inside_prefix_text(geometry_in(g), in), needed >> 20, memory_available() >> 20);
}

static uint64_t missing_memory(const struct mappings *m)
{
	return chunks_missing_memory(&m->subscribers) + chunks_missing_memory(&m->buckets) +
	       chunks_missing_memory(&m->hosts);
}

/* The kernel's figure is read anew after this long: a change may ask once for each of thousands of mappings. */
#define READING_US 100000U

/* Whether less memory is available than the tables lack. A figure from before more of them were made is too large. */
static bool lacks_memory(struct mappings *m)
{
	struct memory_reading *r = &m->memory;
	uint32_t chunks = m->subscribers.n_present + m->buckets.n_present + m->hosts.n_present;
	uint64_t now = monotonic_us();

	if (!r->read_us || r->chunks != chunks || now - r->read_us > READING_US)
		*r = (struct memory_reading){ .octets = memory_available(), .read_us = now, .chunks = chunks };
	return missing_memory(m) > r->octets;
}

int mapping_spec_geometry(const struct mapping_spec *spec, struct geometry *ret)
{
	struct geometry geo = spec->geo;

	if (!geo.ports_per_host && mapping_geometry(spec->in.base, spec->in.plen, spec->out.base, spec->out.plen, &geo))
		return -EINVAL;
	geo.flags &= MAPPING_NETMAP;
	if (mapping_spec_is_ipv6(spec))
		geo.flags |= MAPPING_IPV6;
	if (!prefix_equal(geometry_in(&geo), spec->in) || !prefix_equal(geometry_out(&geo), spec->out))
		return -EINVAL;
	*ret = geo;
	return 0;
}

static int check_spec(const struct mapping_spec *spec, struct geometry *ret)
{
	uint32_t slots = spec->session_slots;
	int r;

	if (prefix_is_none(spec->out)) {
		*ret = mapping_untranslated(spec->in.base, prefix_last(spec->in) - spec->in.base);
		return 0;
	}
	r = mapping_spec_geometry(spec, ret);
	if (r)
		return r;
	if (spec->open) {
		ret->flags = MAPPING_OPEN;
		return mapping_is_plain(ret) && ret->ratio == 1 ? 0 : -EINVAL;
	}
	if (slots < BUCKET_SLOTS || slots > MAX_SLOTS || slots & (slots - 1))
		return -EINVAL;
	return mapping_hosts_check(spec);
}

/* Gives up tables that were never used. */
static void release_unused(struct mapping_job *t)
{
	struct mappings *m = t->m;

	mapping_hosts_release_unused(t);
	mapping_limits_release_unused(t);
	mapping_bindings_release_unused(t);
	chunks_release_unused(&m->subscribers, t->record.first_subscriber, t->n_subscribers);
	if (t->n_buckets && t->record.first_bucket != NO_BUCKETS)
		chunks_release_unused(&m->buckets, t->record.first_bucket, t->n_buckets);
}

int mappings_add_begin(struct mappings *m, const struct mapping_spec *spec, struct mapping_job **ret, struct error *err)
{
	struct geometry geo;

	if (check_spec(spec, &geo) < 0)
		return error_set(err, -EINVAL, "the mapping's prefixes or slots are out of range");

	struct mapping_job *t = calloc(1, sizeof(*t));

	if (!t)
		return error_set(err, -ENOMEM, "out of memory");
	*t = (struct mapping_job){
		.m = m,
		.number = -1,
		.record = {
			.geo = geo,
			.sessions_per_user = spec->sessions_per_user,
			.first_bucket = NO_BUCKETS,
			.growth = spec->growth,
			.tenant = spec->tenant,
		},
		.n_subscribers = prefix_is_none(spec->out) ? 0 : geo.last_subscriber + 1ULL,
	};
	memcpy(t->record.timeout_ticks, spec->timeout_ticks, sizeof(t->record.timeout_ticks));
	if (!t->n_subscribers) {
		*ret = t;
		return 0;
	}
	if (!spec->open) {
		t->record.bucket_shift = (uint32_t)__builtin_ctz(spec->session_slots) - BUCKET_SLOTS_SHIFT;
		t->n_buckets = t->n_subscribers << t->record.bucket_shift;
	}

	int r = chunks_alloc(&m->subscribers, t->n_subscribers, 1, &t->record.first_subscriber);

	if (r < 0) {
		r = r == -ENOSPC ? too_much(t, mappings_memory(spec->in, spec->session_slots), err) : r;
		free(t);
		return r;
	}
	if (t->n_buckets)
		r = chunks_alloc(&m->buckets, t->n_buckets, 1U << t->record.bucket_shift, &t->record.first_bucket);
	if (r < 0) {
		r = r == -ENOSPC ? too_much(t, mappings_memory(spec->in, spec->session_slots), err) : r;
		release_unused(t);
		free(t);
		return r;
	}
	r = mapping_bindings_alloc(t, spec->bindings.mapping);
	if (!r)
		r = mapping_limits_alloc(t, &spec->limit);
	if (!r)
		r = mapping_hosts_alloc(t, spec, err);
	if (r < 0 || lacks_memory(m)) {
		r = r < 0 && r != -ENOSPC ? r : too_much(t, missing_memory(m), err);
		release_unused(t);
		free(t);
		return r;
	}
	t->record.bindings = mapping_bindings_layout(t, &spec->bindings);
	t->record.limit = mapping_limits_layout(t, &spec->limit, &t->record.limited);
	*ret = t;
	return 0;
}

int mappings_add_step(struct mapping_job *t, struct error *err)
{
	struct mappings *m = t->m;
	int r = 0;

	if (t->n_subscribers)
		r = chunks_make_step(&m->subscribers, t->record.first_subscriber, t->n_subscribers);
	if (!r && t->n_buckets)
		r = chunks_make_step(&m->buckets, t->record.first_bucket, t->n_buckets);
	if (!r)
		r = mapping_bindings_make_step(t, t->record.bindings.protocols);
	if (!r && t->record.limited)
		r = mapping_limits_make_step(t, &t->record.limit);
	if (!r)
		r = mapping_hosts_make_step(t);
	if (r == -ENOMEM)
		return too_much(t, missing_memory(m), err);
	if (r < 0)
		return error_set(err, r, "cannot make session tables: %s", strerror(-r));
	return r;
}

int mappings_update_begin(struct mappings *m, const struct mapping_spec *spec, struct error *err)
{
	int number = mappings_find_kept(m, spec), r;

	if (number < 0)
		return number;
	r = mapping_bindings_alloc(m->table[number], spec->bindings.mapping);
	if (!r)
		r = mapping_limits_alloc(m->table[number], &spec->limit);
	if (r == -ENOSPC || (!r && lacks_memory(m)))
		return too_much(m->table[number], missing_memory(m), err);
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

int mappings_update_step(struct mappings *m, const struct mapping_spec *spec, struct error *err)
{
	int number = mappings_find_kept(m, spec), r;

	if (number < 0)
		return number;
	r = mapping_bindings_make_step(m->table[number], spec->bindings.mapping);
	if (!r)
		r = mapping_limits_make_step(m->table[number], &spec->limit);
	if (r == -ENOMEM)
		return too_much(m->table[number], missing_memory(m), err);
	return r < 0 ? error_set(err, r, "cannot make the tables of bindings or limits: %s", strerror(-r)) : r;
}

int mappings_update_prepare(struct mappings *m, const struct mapping_spec *spec, struct error *err)
{
	int number = mappings_find_kept(m, spec), r;
	struct binding_layout wanted;

	if (number < 0)
		return number;
	wanted = mapping_bindings_layout(m->table[number], &spec->bindings);
	if (mapping_limits_prepare(m->table[number], &spec->limit, monotonic_us() + PREPARE_US))
		return 1;
	r = binding_preparation_step(m->table[number], &wanted, monotonic_us() + PREPARE_US);
	return r < 0 ? error_set(err, r, "out of memory") : r;
}

void mappings_update_abort(struct mappings *m, const struct mapping_spec *spec)
{
	int number = mappings_find_kept(m, spec);

	if (number < 0)
		return;
	binding_preparation_end(m->table[number]);
	m->table[number]->limits.marked = 0;
}

void mappings_add_abort(struct mapping_job *t)
{
	mappings_leave(t->m, t, TABLE_CLEARING);
}

static int free_number(const struct mappings *m)
{
	for (int number = 0; number < (int)MAX_MAPPINGS; number++)
		if (!m->table[number])
			return number;
	return -ENOSPC;
}

bool mappings_full(const struct mappings *m)
{
	return free_number(m) < 0;
}

/* The number of the mapping to be replaced: -1: none; -ENOENT if it does not exist. */
static int replaced_by(const struct mappings *m, const struct geometry *g, const struct mapping_handover *how)
{
	int number = how->replaces ? mappings_find(m, geometry_in(g), how->from) : -1;

	return how->replaces && number < 0 ? -ENOENT : number;
}

/* Whether the mapping around an exception has sessions that may drain. */
static bool drains_from(const struct mappings *m, int around)
{
	return around >= 0 && mapping_has_slots(&m->table[around]->record);
}

/* Whether the prefixes fit the index, and the mapping to be replaced can drain. */
static int check_link(const struct mappings *m, const struct mapping *record, const struct mapping_handover *how,
		      bool revive)
{
	const struct geometry *g = &record->geo;
	int replaced = replaced_by(m, g, how), r = replaced < -1 ? replaced : 0;

	if (!r && replaced < 0)
		r = prefix_index_check(&m->in, record->tenant, geometry_in(g));
	if (!r && mapping_is_ipv6(record) && replaced < 0 && !mappings_index6_has_room(m, geometry_in(g)))
		r = -ENOSPC;
	if (!r && g->out_plen != PLEN_NONE && !revive)
		r = prefix_index_check(&m->out, 0, geometry_out(g));
	if (!r && how->drain_s && (replaced >= 0 || drains_from(m, mappings_around(m, record->tenant, geometry_in(g)))))
		r = mappings_drain_check(m, geometry_in(g));
	return r;
}

static uint64_t until(uint32_t seconds)
{
	return boottime_s() + seconds;
}

/* Notes that the addresses of a prefix drain from a mapping, and informs the datapath. */
static void begin_drain(struct mappings *m, struct prefix in, int number, bool whole, uint32_t seconds)
{
	mappings_add_drain(
		m, &(struct mapping_drain){ .in = in, .number = number, .whole = whole, .until_s = until(seconds) });
	mappings_publish_drains(m);
}

/*
 * Gives the inside addresses to tables whose number, record and outside addresses the datapath knows. Sessions are
 * opened there from then on. The mapping of their present sessions begins to drain before, so that the datapath finds
 * these at any time.
 */
static void link_inside(struct mappings *m, struct mapping_job *t, const struct mapping_handover *how)
{
	const struct geometry *g = &t->record.geo;
	const struct prefix in = geometry_in(g);
	int around = mappings_around(m, t->record.tenant, in), replaced = replaced_by(m, g, how);
	bool hidden = mapping_is_hidden(&t->record);

	if (replaced >= 0) {
		struct mapping_job *old = m->table[replaced];
		bool unsettled = m->unsettled;

		begin_drain(m, in, replaced, true, how->drain_s);
		prefix_index_replace(&m->in, (unsigned)replaced, (unsigned)t->number, hidden);
		mappings_unsettle(m);
		mappings_unset_live(m, old);
		mappings_note_live(m, t);
		if (!unsettled)
			mappings_settled(m);
		mappings_set_retired(m, old);
	} else {
		bool drains = how->drain_s && drains_from(m, around);

		if (drains)
			begin_drain(m, in, around, false, how->drain_s);
		if (hidden)
			prefix_index_insert_hidden(&m->in, t->record.tenant, in, (unsigned)t->number);
		else
			prefix_index_insert(&m->in, t->record.tenant, in, (unsigned)t->number);
		mappings_note_live(m, t);
		if (!drains)
			mappings_part(m, around, g);
	}
	if (m->n_drains) {
		mappings_forget_needless_drains(m);
		mappings_publish_drains(m);
	}
	if (hidden)
		mappings_index6_changed(m);
	datapath_raise_epoch(m->d);
}

int mappings_add_commit_with(struct mapping_job *t, const struct mapping_handover *how)
{
	struct mappings *m = t->m;
	const struct geometry *g = &t->record.geo;
	int r = check_link(m, &t->record, how, false), number = r ? r : free_number(m);

	if (number == -ENOSPC) {
		mappings_settle_index(m);
		r = check_link(m, &t->record, how, false);
		number = r ? r : free_number(m);
	}
	if (number < 0)
		return number;
	if ((t->n_subscribers && !chunks_complete(&m->subscribers, t->record.first_subscriber, t->n_subscribers)) ||
	    (t->n_buckets && !chunks_complete(&m->buckets, t->record.first_bucket, t->n_buckets)) ||
	    !mapping_bindings_complete(t) || !mapping_limits_complete(t) || !mapping_hosts_complete(t))
		return -ENOMEM;
	/* Before they leave the index: no packet may be dropped for lack of a mapping. */
	r = mappings_show_untranslated(m, &t->record);
	if (!r)
		r = mapping_hosts_enter(t, number);
	if (r)
		return r;

	/* Inside last: sessions are opened from then on, and their replies must be accepted. */
	m->d->mapping[number] = t->record;
	if (g->out_plen != PLEN_NONE) {
		mappings_widen_pool(m, g);
		prefix_index_insert(&m->out, 0, geometry_out(g), (unsigned)number);
	}
	mappings_enter(m, t, number);
	/* From its first session on, it looks for sessions elsewhere. */
	if (how->replaces || how->drain_s || m->n_drains) {
		t->record.geo.flags |= MAPPING_SUCCEEDS;
		m->d->mapping[number].geo.flags |= MAPPING_SUCCEEDS;
	}
	link_inside(m, t, how);
	return 0;
}

int mappings_retire(struct mappings *m, struct prefix in, struct prefix out, uint32_t drain_s)
{
	int number = mappings_find(m, in, out), r = number < 0 ? number : mappings_drain_check(m, in);
	struct mapping_job *t = r ? NULL : m->table[number];

	if (r)
		return r;
	begin_drain(m, in, number, true, drain_s);
	mapping_limits_returned(m, mappings_around(m, t->record.tenant, in));
	prefix_index_remove(&m->in, in, (unsigned)number);
	mappings_unset_live(m, t);
	mappings_set_retired(m, t);
	/* Drains of addresses of exceptions from it stay with it; theirs may drain from others. */
	mappings_forget_needless_drains(m);
	mappings_publish_drains(m);
	if (mapping_is_hidden(&t->record))
		mappings_index6_changed(m);
	datapath_raise_epoch(m->d);
	return 0;
}

int mappings_revive(struct mappings *m, struct prefix in, struct prefix out, const struct mapping_handover *how)
{
	const struct mapping_handover none = { 0 };
	int number = mappings_find_retired(m, in, out), r;
	struct mapping_job *t = number < 0 ? NULL : m->table[number];

	if (!t)
		return number;
	how = how ? how : &none;
	r = check_link(m, &t->record, how, true);
	if (r)
		return r;
	t->record.geo.flags = (uint8_t)((t->record.geo.flags & ~MAPPING_RETIRED) | MAPPING_SUCCEEDS);
	__atomic_store_n(&m->d->mapping[number].geo.flags, t->record.geo.flags, __ATOMIC_RELEASE);
	link_inside(m, t, how);
	mapping_limits_returned(m, number);
	return 0;
}

void mappings_end_drain(struct mappings *m, struct prefix in, int number)
{
	struct geometry part = mapping_untranslated(in.base, prefix_last(in) - in.base);
	unsigned at = 0;

	while (at < m->n_drains &&
	       (m->drain[at].whole || m->drain[at].number != number || !prefix_equal(m->drain[at].in, in)))
		at++;
	if (at == m->n_drains)
		return;
	mappings_forget_drain(m, at);
	mappings_publish_drains(m);
	mappings_part(m, number, &part);
	datapath_raise_epoch(m->d);
}
