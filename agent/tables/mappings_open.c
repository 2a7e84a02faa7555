/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes over the tables as an earlier agent left them, even in the middle of a change.
 *
 * A number is a mapping if one index maps all of its inside prefix to it, the other index all of its outside prefix,
 * its record is valid and its tables exist. Everything else is a partial addition or deletion and is removed.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "tables/mapping_bindings.h"

/* What an index holds for each number. */
struct survey {
	const struct mapping *records;
	bool outside;
	uint64_t covered[MAX_MAPPINGS]; /* addresses within the record's prefix */
	bool strays[MAX_MAPPINGS];	/* whether there are any outside it */
};

static void survey_leaf(uint32_t base, unsigned plen, unsigned number, void *arg)
{
	struct survey *s = arg;
	const struct geometry *g = &s->records[number].geo;
	uint32_t own = s->outside ? g->out_base : g->in_base;
	unsigned own_plen = s->outside ? g->out_plen : g->in_plen;

	if (own_plen > 32 || own_plen > plen || !prefix_contains(own, own_plen, base))
		s->strays[number] = true;
	s->covered[number] += prefix_size(plen);
}

/* Takes the ranges named in a mapping's record. */
static int take_tables(struct mappings *m, struct mapping_job *t)
{
	int r = chunks_take(&m->subscribers, t->record.first_subscriber, t->n_subscribers);

	if (r < 0)
		return r;
	r = chunks_take(&m->buckets, t->record.first_bucket, t->n_buckets);
	if (r < 0) {
		chunks_give(&m->subscribers, t->record.first_subscriber, t->n_subscribers);
		return r;
	}
	r = mapping_bindings_take(t);
	if (r < 0) {
		chunks_give(&m->buckets, t->record.first_bucket, t->n_buckets);
		chunks_give(&m->subscribers, t->record.first_subscriber, t->n_subscribers);
	}
	return r;
}

/* -ESTALE if the number is not a mapping. */
static int take_over(struct mappings *m, int number, const struct survey *in, const struct survey *out)
{
	const struct mapping *record = &m->d->mapping[number];

	if (in->strays[number] || out->strays[number] || !mapping_record_valid(record) ||
	    in->covered[number] != prefix_size(record->geo.in_plen) ||
	    out->covered[number] != prefix_size(record->geo.out_plen))
		return -ESTALE;

	_cleanup_free_ struct mapping_job *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	*t = (struct mapping_job){ .m = m, .record = *record, .n_subscribers = prefix_size(record->geo.in_plen) };
	t->n_buckets = t->n_subscribers << record->bucket_shift;

	int r = take_tables(m, t);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return -ESTALE;
	mappings_set_live(m, take_pointer(t), number);
	return 0;
}

static void remove_number(struct mappings *m, int number)
{
	prefix_index_remove_number(&m->in, (unsigned)number);
	prefix_index_remove_number(&m->out, (unsigned)number);
}

static int take_over_all(struct mappings *m)
{
	_cleanup_free_ struct survey *in = calloc(1, sizeof(*in)), *out = calloc(1, sizeof(*out));
	unsigned removed = 0;

	if (!in || !out)
		return -ENOMEM;
	in->records = out->records = m->d->mapping;
	out->outside = true;
	removed += prefix_index_open(&m->in, m->d->in_nodes);
	removed += prefix_index_open(&m->out, m->d->out_nodes);
	prefix_index_walk(&m->in, survey_leaf, in);
	prefix_index_walk(&m->out, survey_leaf, out);
	for (int number = 0; number < (int)MAX_MAPPINGS; number++) {
		if (!in->covered[number] && !out->covered[number])
			continue;

		int r = take_over(m, number, in, out);

		if (r == -ESTALE) {
			log_warning("mapping %d was left incomplete by an earlier agent: removed", number);
			remove_number(m, number);
			removed++;
		} else if (r < 0) {
			return r;
		}
	}
	mappings_measure_pool(m);
	if (removed)
		datapath_raise_epoch(m->d);
	return 0;
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

		/* A record of zeroes is valid for the mapping of /0, which no machine has memory for. */
		if (!mapping_record_valid(record) || !record->geo.in_plen)
			continue;
		subscribers = prefix_size(record->geo.in_plen);
		r = chunks_find(&m->subscribers, record->first_subscriber, subscribers, err);
		if (!r)
			r = chunks_find(&m->buckets, record->first_bucket, subscribers << record->bucket_shift, err);
		if (!r && record->bindings.protocols)
			r = chunks_find(&m->buckets, record->bindings.first, mapping_record_binding_buckets(record),
					err);
		r = r < 0 ? r : 1;
	}
	return r < 0 ? r : 0;
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

	/* Packets in flight may still use what was removed, now or by an agent that was killed right afterwards. */
	datapath_grace_period(d);
	prefix_index_settle(&m->in);
	prefix_index_settle(&m->out);
	mappings_purge_overflow(m);
	chunks_clear_unused(&m->subscribers);
	chunks_clear_unused(&m->buckets);
	*ret = m;
	return 0;
}

void mappings_close(struct mappings *m)
{
	if (!m)
		return;
	background_wait(&m->grace);
	for (unsigned number = 0; number < MAX_MAPPINGS; number++)
		if (m->table[number] && m->table[number]->stage == TABLE_LIVE)
			mapping_job_free(m->table[number]);
	while (m->leaving) {
		struct mapping_job *t = m->leaving;

		m->leaving = t->next;
		mapping_job_free(t);
	}
	overflow_scan_end(&m->scan);
	chunks_close(&m->subscribers);
	chunks_close(&m->buckets);
	table_types_close(&m->types);
	free(m);
}
