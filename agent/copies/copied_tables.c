/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of mappings that gateways show each other. */
#include <errno.h>
#include <string.h>

#include "copies/copying_private.h"

void copying_report(struct copying *c, unsigned peer, struct copying_table_report *ret)
{
	const struct copying_peer *p = &c->peer[peer];
	unsigned here = 0, both = 0;

	copied_mappings_sync(c);
	*ret = (struct copying_table_report){ 0 };
	if (!p->has_shown)
		return;
	for (uint32_t i = 0; i < p->shown.n; i++) {
		const struct shown_mapping *s = &p->shown.item[i];
		bool known = copied_ours_of(c, s);

		both += known;
		ret->common += s->ours >= 0;
		ret->differs += known && s->ours < 0;
		ret->lacking += !known;
	}
	for (unsigned i = 0; i < MAX_MAPPINGS; i++)
		here += c->mapping[i].used;
	ret->lacking += here - both;
}

static void shown_free(struct shown_table *t)
{
	free(t->item);
	hash_index_free(&t->at);
	*t = (struct shown_table){ 0 };
}

/* The mapping with these beginnings in a table, or NULL. */
static const struct shown_mapping *shown_find(const struct shown_table *t, struct prefix in, struct prefix out)
{
	uint32_t i;

	for (uint32_t step = 0; hash_index_next(&t->at, prefixes_hash(in, out), &step, &i);)
		if (prefix_begins_alike(t->item[i].in, in) && prefix_begins_alike(t->item[i].out, out))
			return &t->item[i];
	return NULL;
}

/* Whether a peer's previous table had this mapping, and nothing announced can have been lost since. */
static bool had(const struct copying_peer *p, const struct shown_mapping *s)
{
	const struct shown_mapping *before = shown_find(&p->shown, s->in, s->out);

	return before && before->digest == s->digest && before->begun == s->begun;
}

/* Fills an empty table. 0; -EPROTO, -ENOMEM. */
static int read_table(const struct wire_mapping *w, size_t n, struct shown_table *t)
{
	uint8_t used[MAX_MAPPINGS] = { 0 };

	t->item = calloc(n ? n : 1, sizeof(*t->item));
	if (!t->item)
		return -ENOMEM;
	for (; t->n < n; t->n++, w++) {
		struct shown_mapping *s = &t->item[t->n];

		*s = (struct shown_mapping){
			.in = { be32toh(w->in_base), w->in_plen },
			.out = { be32toh(w->out_base), w->out_plen },
			.digest = be64toh(w->digest),
			.begun = be32toh(w->begun),
			.number = be16toh(w->number),
			.ours = -1,
		};
		/* No two numbers lead to one mapping. */
		if (s->number >= MAX_MAPPINGS || used[s->number]++ || shown_find(t, s->in, s->out))
			return -EPROTO;
		if (hash_index_add(&t->at, prefixes_hash(s->in, s->out), t->n))
			return -ENOMEM;
	}
	return 0;
}

int copying_mappings(struct copying *c, unsigned peer, const void *payload, size_t length,
		     struct copying_table_report *ret)
{
	struct copying_peer *p = &c->peer[peer];
	size_t n = length / sizeof(struct wire_mapping);
	struct shown_table shown = { 0 };
	bool gained = false;
	int r;

	copied_mappings_sync(c);
	if (length % sizeof(struct wire_mapping) || n > MAX_MAPPINGS)
		return -EPROTO;
	r = read_table(payload, n, &shown);
	if (r) {
		shown_free(&shown);
		return r;
	}
	for (size_t i = 0; i < n; i++) {
		const struct copied_mapping *cm = copied_ours_of(c, &shown.item[i]);

		gained |= cm && cm->tables.digest == shown.item[i].digest && !had(p, &shown.item[i]);
	}
	shown_free(&p->shown);
	p->shown = shown;
	p->has_shown = true;
	p->whole_generation = 0;
	/* A whole copy begins with a table: sessions missing from it have ended. */
	c->peer[peer].complete = false;
	c->peer[peer].round++;
	copied_tables_link(c, peer);
	copying_report(c, peer, ret);
	ret->whole = gained;
	return 0;
}

static void coming_free(struct coming_table *t)
{
	free(t->record);
	*t = (struct coming_table){ 0 };
}

void copied_tables_free(struct copying_peer *p)
{
	shown_free(&p->shown);
	coming_free(&p->coming_table);
}

int copying_mappings_part(struct copying *c, unsigned peer, const void *payload, size_t length,
			  struct copying_table_report *ret)
{
	struct coming_table *t = &c->peer[peer].coming_table;
	const struct wire_part *part = payload;
	size_t n = (length - sizeof(*part)) / sizeof(*t->record);
	uint32_t first, total;
	int r;

	if (length < sizeof(*part) || (length - sizeof(*part)) % sizeof(*t->record))
		return -EPROTO;
	first = be32toh(part->first);
	total = be32toh(part->total);
	if (!n || total > MAX_MAPPINGS || first > total || n > total - first)
		return -EPROTO;
	if (!first) {
		coming_free(t);
		t->record = calloc(total, sizeof(*t->record));
		if (!t->record)
			return -ENOMEM;
		t->total = total;
	}
	/* What does not continue a table is of an older one: the newer is sent from its beginning. */
	if (!t->record || first != t->n || total != t->total)
		return 1;
	memcpy(t->record + first, part + 1, n * sizeof(*t->record));
	t->n += (uint32_t)n;
	if (t->n < t->total)
		return 1;
	r = copying_mappings(c, peer, t->record, t->total * sizeof(*t->record), ret);
	coming_free(t);
	return r;
}

bool copying_difference(struct copying *c, unsigned peer, unsigned n, struct prefix *ret_in, struct prefix *ret_out,
			enum copying_difference *ret_why)
{
	const struct copying_peer *p = &c->peer[peer];

	copied_mappings_sync(c);
	if (!p->has_shown)
		return false;
	for (uint32_t i = 0; i < p->shown.n; i++) {
		const struct shown_mapping *s = &p->shown.item[i];

		if (s->ours >= 0 || n--)
			continue;
		*ret_in = s->in;
		*ret_out = s->out;
		*ret_why = copied_ours_of(c, s) ? COPYING_DIFFERS : COPYING_LACKING_HERE;
		return true;
	}
	for (unsigned i = 0; i < MAX_MAPPINGS; i++) {
		const struct copied_mapping *cm = &c->mapping[i];

		if (!cm->used || shown_find(&p->shown, cm->in, cm->out) || n--)
			continue;
		*ret_in = cm->in;
		*ret_out = cm->out;
		*ret_why = COPYING_LACKING_THERE;
		return true;
	}
	return false;
}

static size_t write_table(const struct copying *c, struct wire_mapping *table)
{
	size_t n = 0;

	for (unsigned i = 0; i < MAX_MAPPINGS; i++) {
		const struct copied_mapping *cm = &c->mapping[i];

		if (!cm->used)
			continue;
		table[n++] = (struct wire_mapping){
			.number = htobe16((uint16_t)i),
			.in_plen = cm->in.plen,
			.out_plen = cm->out.plen,
			.in_base = htobe32(cm->in.base),
			.out_base = htobe32(cm->out.base),
			.begun = htobe32(cm->begun),
			.digest = htobe64(cm->tables.digest),
		};
	}
	return n;
}

int copied_tables_tell(struct copying *c, uint32_t *at, copying_emit emit, void *arg)
{
	const uint32_t most = WIRE_AT_ONCE(sizeof(struct wire_part), sizeof(struct wire_mapping));
	_cleanup_free_ struct wire_mapping *table = calloc(MAX_MAPPINGS, sizeof(*table));
	_cleanup_free_ struct draft *o = malloc(sizeof(*o));
	uint32_t total;
	int r = 0;

	if (!table || !o)
		return -ENOMEM;
	total = (uint32_t)write_table(c, table);
	/* Gateways that know no parts understand a table that needs none. */
	if (total <= most)
		return emit(WIRE_MAPPINGS, table, total * sizeof(*table), arg);
	while (!r && *at < total) {
		uint32_t n = total - *at < most ? total - *at : most;

		o->type = WIRE_MAPPINGS_PART;
		o->length = 0;
		*(struct wire_part *)draft_take(o, sizeof(struct wire_part)) =
			(struct wire_part){ .first = htobe32(*at), .total = htobe32(total) };
		memcpy(draft_take(o, n * sizeof(*table)), table + *at, n * sizeof(*table));
		r = draft_flush(o, emit, arg);
		*at += r ? 0 : n;
	}
	*at = r ? *at : 0;
	return r;
}

uint64_t copying_digest(struct copying *c)
{
	copied_rules_sync(c);
	return c->digest;
}
