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
	for (uint32_t i = 0; i < p->n_shown; i++) {
		bool known = copied_ours_of(c, &p->shown[i]);

		both += known;
		ret->common += p->shown[i].ours >= 0;
		ret->differs += known && p->shown[i].ours < 0;
		ret->lacking += !known;
	}
	for (unsigned i = 0; i < MAX_MAPPINGS; i++)
		here += c->mapping[i].used;
	ret->lacking += here - both;
}

/* Whether a peer's previous table had this mapping, and nothing announced can have been lost since. */
static bool had(const struct copying_peer *p, const struct shown_mapping *s)
{
	for (uint32_t i = 0; i < p->n_shown; i++)
		if (prefix_equal(p->shown[i].in, s->in) && prefix_equal(p->shown[i].out, s->out) &&
		    p->shown[i].digest == s->digest && p->shown[i].begun == s->begun)
			return true;
	return false;
}

/* 0; -EPROTO, -ENOMEM. */
static int read_table(const struct wire_mapping *w, size_t n, struct shown_mapping **ret)
{
	_cleanup_free_ struct shown_mapping *shown = calloc(n ? n : 1, sizeof(*shown));
	uint8_t used[MAX_MAPPINGS] = { 0 };

	if (!shown)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		shown[i] = (struct shown_mapping){
			.in = { be32toh(w[i].in_base), w[i].in_plen },
			.out = { be32toh(w[i].out_base), w[i].out_plen },
			.digest = be64toh(w[i].digest),
			.begun = be32toh(w[i].begun),
			.number = be16toh(w[i].number),
			.ours = -1,
		};
		if (shown[i].number >= MAX_MAPPINGS || used[shown[i].number]++)
			return -EPROTO;
		/* Compares one prefix of each pair, so that no two numbers lead to one mapping. */
		for (size_t k = 0; k < i; k++)
			if (prefix_equal(shown[k].in, shown[i].in) && prefix_equal(shown[k].out, shown[i].out))
				return -EPROTO;
	}
	*ret = take_pointer(shown);
	return 0;
}

int copying_mappings(struct copying *c, unsigned peer, const void *payload, size_t length,
		     struct copying_table_report *ret)
{
	struct copying_peer *p = &c->peer[peer];
	size_t n = length / sizeof(struct wire_mapping);
	struct shown_mapping *shown;
	bool gained = false;
	int r;

	copied_mappings_sync(c);
	if (length % sizeof(struct wire_mapping) || n > MAX_MAPPINGS)
		return -EPROTO;
	r = read_table(payload, n, &shown);
	if (r)
		return r;
	for (size_t i = 0; i < n; i++) {
		const struct copied_mapping *cm = copied_ours_of(c, &shown[i]);

		gained |= cm && cm->tables.digest == shown[i].digest && !had(p, &shown[i]);
	}
	free(p->shown);
	p->shown = shown;
	p->n_shown = (uint32_t)n;
	p->has_shown = true;
	p->whole_generation = 0;
	/* A whole copy begins with a table: sessions missing from it have ended. */
	copied_overflow_whole_began(c, peer);
	copied_tables_link(c, peer);
	copying_report(c, peer, ret);
	ret->whole = gained;
	return 0;
}

bool copying_difference(struct copying *c, unsigned peer, unsigned n, struct prefix *ret_in, struct prefix *ret_out,
			enum copying_difference *ret_why)
{
	const struct copying_peer *p = &c->peer[peer];

	copied_mappings_sync(c);
	if (!p->has_shown)
		return false;
	for (uint32_t i = 0; i < p->n_shown; i++) {
		const struct shown_mapping *s = &p->shown[i];

		if (s->ours >= 0 || n--)
			continue;
		*ret_in = s->in;
		*ret_out = s->out;
		*ret_why = copied_ours_of(c, s) ? COPYING_DIFFERS : COPYING_LACKING_HERE;
		return true;
	}
	for (unsigned i = 0; i < MAX_MAPPINGS; i++) {
		const struct copied_mapping *cm = &c->mapping[i];
		bool shown = false;

		for (uint32_t k = 0; cm->used && k < p->n_shown; k++)
			shown |= prefix_begins_alike(p->shown[k].in, cm->in) &&
				 prefix_begins_alike(p->shown[k].out, cm->out);
		if (!cm->used || shown || n--)
			continue;
		*ret_in = cm->in;
		*ret_out = cm->out;
		*ret_why = COPYING_LACKING_THERE;
		return true;
	}
	return false;
}

int copied_tables_tell(struct copying *c, copying_emit emit, void *arg)
{
	_cleanup_free_ struct wire_mapping *table = calloc(MAX_MAPPINGS, sizeof(*table));
	size_t n = 0;

	if (!table)
		return -ENOMEM;
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
	return emit(WIRE_MAPPINGS, table, n * sizeof(*table), arg);
}

uint64_t copying_digest(struct copying *c)
{
	copied_rules_sync(c);
	return c->digest;
}
