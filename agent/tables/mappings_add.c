/* SPDX-License-Identifier: BSD-2-Clause */
/* Adds mappings. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "tables/mapping_bindings.h"

/* The most slots that `session_slots` may give a subscriber. */
#define MAX_SLOTS 2048U

static int too_much(const struct mapping_job *t, uint64_t needed, struct error *err)
{
	const struct geometry *g = &t->record.geo;
	char in[ADDR_TEXT];

	return error_set(err, -ENOMEM,
			 "the tables of mapping %s need %" PRIu64 " MiB more memory, %" PRIu64 " MiB are free",
			 prefix_format(g->in_base, g->in_plen, in), needed >> 20, memory_available() >> 20);
}

static uint64_t missing_memory(const struct mappings *m)
{
	return chunks_missing_memory(&m->subscribers) + chunks_missing_memory(&m->buckets);
}

static int check_spec(const struct mapping_spec *spec, struct geometry *ret)
{
	uint32_t slots = spec->session_slots;
	int r;

	if (prefix_is_none(spec->out)) {
		*ret = (struct geometry){ .in_base = spec->in.base, .in_plen = spec->in.plen, .out_plen = PLEN_NONE };
		return 0;
	}
	r = mapping_geometry(spec->in.base, spec->in.plen, spec->out.base, spec->out.plen, ret) ? -EINVAL : 0;
	if (spec->open) {
		ret->flags = MAPPING_OPEN;
		return ret->ratio_shift ? -EINVAL : r;
	}
	if (slots < BUCKET_SLOTS || slots > MAX_SLOTS || slots & (slots - 1))
		return -EINVAL;
	return r;
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
		},
		.n_subscribers = prefix_is_none(spec->out) ? 0 : prefix_size(geo.in_plen),
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
		chunks_release_unused(&m->subscribers, t->record.first_subscriber, t->n_subscribers);
		free(t);
		return r;
	}
	r = mapping_bindings_alloc(t, spec->bindings.mapping);
	if (r < 0 || missing_memory(m) > memory_available()) {
		r = r < 0 && r != -ENOSPC ? r : too_much(t, missing_memory(m), err);
		mapping_bindings_release_unused(t);
		chunks_release_unused(&m->subscribers, t->record.first_subscriber, t->n_subscribers);
		if (t->n_buckets)
			chunks_release_unused(&m->buckets, t->record.first_bucket, t->n_buckets);
		free(t);
		return r;
	}
	t->record.bindings = mapping_bindings_layout(t, &spec->bindings);
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
	if (r == -ENOMEM)
		return too_much(t, missing_memory(m), err);
	if (r < 0)
		return error_set(err, r, "cannot make session tables: %s", strerror(-r));
	if (!r && mappings_left_of_overlaps(m, &t->record.geo)) {
		mappings_reclaim_step(m);
		return 1;
	}
	return r;
}

int mappings_update_begin(struct mappings *m, const struct mapping_spec *spec, struct error *err)
{
	int number = mappings_find(m, spec->in, spec->out), r;

	if (number < 0)
		return number;
	r = mapping_bindings_alloc(m->table[number], spec->bindings.mapping);
	if (r == -ENOSPC || (!r && missing_memory(m) > memory_available()))
		return too_much(m->table[number], missing_memory(m), err);
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

int mappings_update_step(struct mappings *m, const struct mapping_spec *spec, struct error *err)
{
	int number = mappings_find(m, spec->in, spec->out), r;

	if (number < 0)
		return number;
	r = mapping_bindings_make_step(m->table[number], spec->bindings.mapping);
	if (r == -ENOMEM)
		return too_much(m->table[number], missing_memory(m), err);
	return r < 0 ? error_set(err, r, "cannot make the tables of bindings: %s", strerror(-r)) : r;
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

/* A number for a mapping whose prefixes fit the index, or -errno. */
static int check_commit(const struct mappings *m, const struct geometry *g)
{
	int r = prefix_index_check(&m->in, g->in_base, g->in_plen);

	if (!r && g->out_plen != PLEN_NONE)
		r = prefix_index_check(&m->out, g->out_base, g->out_plen);
	return r ? r : free_number(m);
}

int mappings_add_commit(struct mapping_job *t)
{
	struct mappings *m = t->m;
	const struct geometry *g = &t->record.geo;
	int number = check_commit(m, g);

	if (number == -ENOSPC) {
		mappings_settle(m);
		number = check_commit(m, g);
	}
	if (number < 0)
		return number;
	if ((t->n_subscribers && !chunks_complete(&m->subscribers, t->record.first_subscriber, t->n_subscribers)) ||
	    (t->n_buckets && !chunks_complete(&m->buckets, t->record.first_bucket, t->n_buckets)) ||
	    !mapping_bindings_complete(t))
		return -ENOMEM;
	mappings_settle_overlaps(m, g);

	/* Inside last: sessions are opened from then on, and their replies must be accepted. */
	m->d->mapping[number] = t->record;
	if (g->out_plen == PLEN_NONE) {
		prefix_index_insert_hidden(&m->in, g->in_base, g->in_plen, (unsigned)number);
	} else {
		mappings_widen_pool(m, g);
		prefix_index_insert(&m->out, g->out_base, g->out_plen, (unsigned)number);
		prefix_index_insert(&m->in, g->in_base, g->in_plen, (unsigned)number);
	}
	mappings_set_live(m, t, number);
	mappings_part(m, prefix_index_around(&m->in, g->in_base, g->in_plen), g);
	datapath_raise_epoch(m->d);
	return 0;
}
