/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes over the tables of an earlier agent, even in the middle of a change.
 *
 * A number is a mapping if one index maps its whole inside prefix to it, except for prefixes of others within it, the
 * other index its whole outside prefix, its record is valid and its tables exist. Everything else is a partial addition
 * or deletion and is removed. Without translation, only the record counts.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "datapath/map_keys.h"
#include "tables/extent_reuse.h"
#include "tables/mapping_bindings.h"
#include "tables/mapping_drains.h"
#include "tables/mapping_hosts.h"
#include "tables/mapping_limits.h"

/* Contents of the indexes. */
struct survey {
	const struct mapping *records;
	bool outside;
	uint64_t covered[MAX_MAPPINGS]; /* addresses within the record's prefix */
	bool strays[MAX_MAPPINGS];	/* whether there are addresses outside it */
	bool retired[MAX_MAPPINGS];	/* inside: it drains, and all its outside addresses lead to it */
	bool whole[MAX_MAPPINGS];	/* inside: every address without another mapping leads to it */
	struct inside_run run[INSIDE_RUNS(MAX_MAPPINGS)];
	size_t n_runs;
	uint64_t seen[256]; /* of each tenant: places below this one have been compared with the runs */
};

static void survey_leaf(uint32_t base, unsigned plen, int tenant, unsigned number, void *arg)
{
	struct survey *s = arg;
	const struct geometry *g = &s->records[number].geo;
	struct prefix own = s->outside ? geometry_out(g) : geometry_in(g);

	if (tenant >= 0 && tenant != s->records[number].tenant)
		s->strays[number] = true;
	else if (own.plen != PLEN_RANGE && own.plen > 32)
		s->strays[number] = true;
	else if (!prefix_within((struct prefix){ .base = base, .plen = (uint8_t)plen }, own))
		s->strays[number] = true;
	s->covered[number] += prefix_size(plen);
}

static bool is_untranslated(const struct mapping *record)
{
	return record->geo.out_plen == PLEN_NONE;
}

/*
 * Whether a retired mapping still, or again, has addresses of the one around it: an agent has ended while it retired
 * the mapping, or took it into use again. They are given back once all mappings are known.
 */
static bool is_to_give_back(const struct survey *s, int retired, unsigned around)
{
	return retired >= 0 && s->retired[retired] &&
	       s->records[around].geo.last_subscriber > s->records[retired].geo.last_subscriber;
}

/* Compares a tenant's addresses below `end`, which all lead to this number (-1: to none), with the runs. */
static void compare_until(struct survey *s, uint8_t tenant, uint64_t end, int number)
{
	uint64_t *seen = &s->seen[tenant];

	end += inside_place(tenant, 0);
	while (*seen < end) {
		size_t at = inside_run_at(s->run, s->n_runs, *seen);

		if (at == s->n_runs || s->run[at].first >= end)
			break;
		if (s->run[at].number != number && !is_to_give_back(s, number, s->run[at].number))
			s->whole[s->run[at].number] = false;
		*seen = s->run[at].last + 1;
	}
	*seen = end;
}

static void compare_leaf(uint32_t base, unsigned plen, int tenant, unsigned number, void *arg)
{
	struct survey *s = arg;
	uint8_t of = tenant < 0 ? s->records[number].tenant : (uint8_t)tenant;

	compare_until(s, of, base, -1);
	compare_until(s, of, base + prefix_size(plen), (int)number);
}

/* Compares all inside addresses with the runs. */
static void compare_all(const struct mappings *m, struct survey *s)
{
	for (unsigned tenant = 0; tenant < ARRAY_SIZE(s->seen); tenant++)
		s->seen[tenant] = inside_place((uint8_t)tenant, 0);
	prefix_index_walk(&m->in, compare_leaf, s);
	for (unsigned tenant = 0; tenant < ARRAY_SIZE(s->seen); tenant++)
		compare_until(s, (uint8_t)tenant, 1ULL << 32, -1);
}

static bool is_retiring(const struct mappings *m, int number)
{
	for (unsigned i = 0; i < m->n_drains; i++)
		if (m->drain[i].number == number && m->drain[i].whole)
			return true;
	return false;
}

/*
 * Determines which mappings the indexes hold as a whole, judging by the records and the outside: one that was being
 * added or deleted lacks some of its addresses, or those around it have some.
 */
static void survey_whole(struct mappings *m, struct survey *in, const struct survey *out)
{
	struct inside_range prefix[MAX_MAPPINGS];
	size_t n = 0;

	for (unsigned number = 0; number < MAX_MAPPINGS; number++) {
		const struct mapping *record = &m->d->mapping[number];
		const struct geometry *g = &record->geo;

		if (!mapping_record_valid(record))
			continue;
		if (!is_untranslated(record) && (in->strays[number] || out->strays[number] || !out->covered[number] ||
						 out->covered[number] != g->last_out + 1ULL))
			continue;
		/* The configuration decides whether to give back its inside addresses, unless it has lost them. */
		in->retired[number] = is_retiring(m, (int)number);
		if (in->retired[number])
			continue;
		in->whole[number] = true;
		prefix[n++] = inside_range_of(record->tenant, geometry_in(g), number);
	}
	in->n_runs = inside_runs(prefix, n, in->run);
	compare_all(m, in);
	/* Mappings without translation have no entries, only their record. */
	for (size_t i = 0; i < n; i++) {
		const int number = prefix[i].number;

		if (is_untranslated(&m->d->mapping[number]))
			in->whole[number] = true;
		else if (mapping_is_ipv6(&m->d->mapping[number]))
			in->whole[number] = mapping_hosts_indexed(m, number);
	}
}

/* Takes the ranges named in a mapping's record. */
static int take_tables(struct mappings *m, struct mapping_job *t)
{
	int r = t->n_subscribers ? chunks_take(&m->subscribers, t->record.first_subscriber, t->n_subscribers) : 0;

	if (r < 0 || !t->n_buckets)
		return r;
	r = chunks_take(&m->buckets, t->record.first_bucket, t->n_buckets);
	if (r < 0) {
		chunks_give(&m->subscribers, t->record.first_subscriber, t->n_subscribers);
		return r;
	}
	r = mapping_bindings_take(t);
	if (!r) {
		r = mapping_limits_take(t);
		if (r < 0)
			mapping_bindings_give(t);
	}
	if (!r) {
		r = mapping_hosts_take(t);
		if (r < 0) {
			mapping_limits_give(t);
			mapping_bindings_give(t);
		}
	}
	if (r < 0) {
		chunks_give(&m->buckets, t->record.first_bucket, t->n_buckets);
		chunks_give(&m->subscribers, t->record.first_subscriber, t->n_subscribers);
	}
	return r;
}

/* -ESTALE if its tables are not there. */
static int take_over(struct mappings *m, int number, bool retired)
{
	struct mapping *record = &m->d->mapping[number];
	_cleanup_free_ struct mapping_job *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	*t = (struct mapping_job){ .m = m, .record = *record };
	t->n_subscribers = is_untranslated(record) ? 0 : record->geo.last_subscriber + 1ULL;
	t->n_buckets = mapping_has_slots(record) ? t->n_subscribers << record->bucket_shift : 0;

	int r = take_tables(m, t);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return -ESTALE;
	/* An earlier agent may not have counted all. */
	m->uncounted |= t->record.limited;
	mappings_enter(m, t, number);
	if (retired) {
		mappings_set_retired(m, take_pointer(t));
		return 0;
	}
	t->record.geo.flags &= (uint8_t)~MAPPING_RETIRED;
	record->geo.flags = t->record.geo.flags;
	prefix_index_own(&m->in, (unsigned)number, record->tenant, geometry_in(&record->geo),
			 mapping_is_hidden(record));
	mappings_note_live(m, take_pointer(t));
	return 0;
}

/* Sessions that a subscriber had in an enclosing mapping end, if an earlier agent did not get that far. */
static void end_parts(struct mappings *m)
{
	for (unsigned k = 0; k < m->n_live; k++) {
		const struct mapping *record = &m->table[m->order[k].number]->record;

		mappings_part(m, mappings_around(m, record->tenant, geometry_in(&record->geo)), &record->geo);
	}
}

/* Ends drains of mappings that could not be taken over, and those of addresses that their mapping has itself. */
static void settle_drains(struct mappings *m)
{
	for (unsigned i = m->n_drains; i-- > 0;) {
		const struct mapping_drain *d = &m->drain[i];
		const struct mapping *record = mappings_get(m, d->number);

		if (!record || !mapping_has_slots(record) || d->whole != mappings_is_retired(m, d->number) ||
		    !prefix_within(d->in, geometry_in(&record->geo)))
			mappings_forget_drain(m, i);
	}
	mappings_forget_needless_drains(m);
	if (m->d->drains >= 0)
		mappings_publish_drains(m);
}

/* Whether a key of the map is one of the prefixes of a mapping that is not translated. */
static bool is_untranslated_piece(const void *key, const void *arg)
{
	const struct mappings *m = arg;

	for (unsigned k = 0; k < m->n_live; k++) {
		const struct mapping *record = &m->table[m->order[k].number]->record;

		if (record->geo.out_plen == PLEN_NONE && mappings_untranslated_key(record, key))
			return true;
	}
	return false;
}

/* Removes prefixes without a mapping from the map `untranslated`, and enters missing ones. Returns 0 or -errno. */
static int settle_untranslated(const struct mappings *m)
{
	int r = map_keep(m->d->untranslated, sizeof(struct tenant_prefix_key), is_untranslated_piece, m);

	for (int number = mappings_next(m, 0); !r && number >= 0; number = mappings_next(m, number + 1))
		r = mappings_show_untranslated(m, mappings_get(m, number));
	return r;
}

static int take_over_all(struct mappings *m)
{
	_cleanup_free_ struct survey *in = calloc(1, sizeof(*in)), *out = calloc(1, sizeof(*out));
	unsigned removed = 0;

	if (!in || !out)
		return -ENOMEM;
	in->records = out->records = m->d->mapping;
	out->outside = true;
	removed += prefix_index_open(&m->in, m->d->in_nodes, true);
	removed += prefix_index_open(&m->out, m->d->out_nodes, false);
	mappings_read_drains(m);
	mappings_unsettle(m);
	prefix_index_walk(&m->in, survey_leaf, in);
	prefix_index_walk(&m->out, survey_leaf, out);
	survey_whole(m, in, out);
	for (int number = 0; number < (int)MAX_MAPPINGS; number++) {
		if (!in->covered[number] && !out->covered[number] && !in->whole[number])
			continue;

		int r = in->whole[number] || in->retired[number] ? take_over(m, number, in->retired[number]) : -ESTALE;

		if (r == -ESTALE) {
			log_warning("mapping %d was left incomplete by an earlier agent: removed", number);
			prefix_index_remove_number(&m->out, (unsigned)number);
			removed++;
		} else if (r < 0) {
			return r;
		}
	}
	removed += prefix_index_repaint(&m->in);
	mappings_settled(m);
	mappings_measure_pool(m);
	settle_drains(m);
	end_parts(m);
	if (removed)
		datapath_raise_epoch(m->d);
	m->index6_stale = true;
	m->index6_read = true; /* by whatever ran before */
	mappings_index6_publish(m);
	return settle_untranslated(m);
}

/* Finds the chunks of an earlier agent: all of them, or on a slow kernel those named in the records of mappings. */
static int find_chunks(struct mappings *m, struct error *err)
{
	int r = chunks_find_all(&m->subscribers, err);

	if (!r)
		r = chunks_find_all(&m->buckets, err);
	for (unsigned i = 0; r > 0 && i < MAX_MAPPINGS; i++) {
		const struct mapping *record = &m->d->mapping[i];
		uint64_t subscribers;

		/* A record of zeroes is valid for a mapping of /0, for which no machine has memory. */
		if (!mapping_record_valid(record) || !record->geo.in_plen || is_untranslated(record))
			continue;
		subscribers = record->geo.last_subscriber + 1ULL;
		r = chunks_find(&m->subscribers, record->first_subscriber, subscribers, err);
		if (!r && mapping_has_slots(record))
			r = chunks_find(&m->buckets, record->first_bucket, subscribers << record->bucket_shift, err);
		if (!r && record->limited)
			r = chunks_find(&m->subscribers, record->limit.first, subscribers, err);
		if (!r && record->bindings.protocols)
			r = chunks_find(&m->buckets, record->bindings.first, mapping_record_binding_buckets(record),
					err);
		r = r < 0 ? r : 1;
	}
	return r < 0 ? r : mapping_hosts_find(m, err);
}

/* Types and names serve dumps of the maps, pins serve the next agent. */
static void describe_chunks(struct mappings *m)
{
	m->subscribers.pin_dir = m->buckets.pin_dir = m->d->pin_dir;
	m->types = table_types_load();
	m->subscribers.types = &m->types;
	m->subscribers.type = m->types.subscriber;
	m->subscribers.name = CHUNK_SUBSCRIBER;
	m->buckets.types = &m->types;
	m->buckets.type = m->types.bucket;
	m->buckets.name = CHUNK_BUCKET;
}

int mappings_open(struct datapath *d, struct mappings **ret, struct error *err)
{
	struct mappings *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return error_set(err, -ENOMEM, "out of memory");
	m->d = d;
	m->types.fd = -1;
	r = chunks_open(&m->subscribers, d->subscribers, SUBSCRIBER_CHUNK_SHIFT, sizeof(struct subscriber),
			MAX_SUBSCRIBER_CHUNKS, err);
	if (r < 0) {
		free(m);
		return r;
	}
	r = chunks_open(&m->buckets, d->buckets, BUCKET_CHUNK_SHIFT, sizeof(struct bucket), MAX_BUCKET_CHUNKS, err);
	describe_chunks(m);
	if (r >= 0 && d->reused)
		r = find_chunks(m, err);
	if (r >= 0) {
		r = take_over_all(m);
		if (r < 0)
			error_set(err, r, "cannot take over the mappings: %s", strerror(-r));
	}
	if (r < 0) {
		mappings_close(m);
		return r;
	}

	/*
	 * Packets in flight may still use the removed memory, also if an agent was killed right after it removed some.
	 */
	datapath_grace_period(d);
	prefix_index_settle(&m->in);
	prefix_index_settle(&m->out);
	chunks_clear_unused(&m->subscribers);
	chunks_clear_unused(&m->buckets);
	r = mapping_hosts_settle(m);
	if (r < 0) {
		mappings_close(m);
		return error_set(err, r, "cannot take over the mappings of IPv6: %s", strerror(-r));
	}
	extents_recover(m);
	*ret = m;
	return 0;
}

void mappings_close(struct mappings *m)
{
	if (!m)
		return;
	background_wait(&m->grace);
	for (unsigned number = 0; number < MAX_MAPPINGS; number++)
		if (m->table[number] &&
		    (m->table[number]->stage == TABLE_LIVE || m->table[number]->stage == TABLE_RETIRED))
			mapping_job_free(m->table[number]);
	while (m->leaving) {
		struct mapping_job *t = m->leaving;

		m->leaving = t->next;
		mapping_job_free(t);
	}
	chunks_close(&m->subscribers);
	chunks_close(&m->buckets);
	mappings_close_hosts(m);
	table_types_close(&m->types);
	free(m);
}
