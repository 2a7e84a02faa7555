// SPDX-License-Identifier: BSD-2-Clause
/*
 * VyOS nat cgnat. A running port: a block begins after the one before; one that would pass the end of the range begins
 * the next outside address. Outside ranges go by seq, those without last; inside ranges in the order of the file.
 */
#include <string.h>

#include "base/text.h"
#include "import/import_build.h"
#include "import/import_formats.h"
#include "import/import_forward.h"
#include "import/import_tree.h"

#define POOLS	256U
#define RANGES	256U
#define SEQ_MAX 999999U

struct range {
	struct import_range range;
	uint32_t seq;
	char text[IMPORT_RANGE_TEXT];
};

struct pool {
	char name[64];
	bool outside;
	uint32_t lo, hi, limit;
	struct range range[RANGES];
	unsigned n;
};

struct rule {
	char name[32];
	char source[64];
	char translation[64];
	uint32_t line;
};

struct vyos {
	struct import *m;
	struct pool *pool;
	unsigned n_pools;
	struct rule rule[POOLS];
	unsigned n_rules;
};

static struct pool *pool_of(struct vyos *v, const char *name, bool outside)
{
	for (unsigned i = 0; i < v->n_pools; i++)
		if (v->pool[i].outside == outside && !strcmp(v->pool[i].name, name))
			return &v->pool[i];
	if (v->n_pools == POOLS)
		return NULL;
	struct pool *p = &v->pool[v->n_pools++];

	*p = (struct pool){ .outside = outside, .lo = 1024, .hi = 65535, .limit = 2000 };
	snprintf(p->name, sizeof(p->name), "%s", name);
	return p;
}

static struct rule *rule_of(struct vyos *v, const char *name, uint32_t line)
{
	for (unsigned i = 0; i < v->n_rules; i++)
		if (!strcmp(v->rule[i].name, name))
			return &v->rule[i];
	if (v->n_rules == POOLS)
		return NULL;
	struct rule *r = &v->rule[v->n_rules++];

	*r = (struct rule){ .line = line };
	snprintf(r->name, sizeof(r->name), "%s", name);
	return r;
}

static int add_range(struct vyos *v, struct pool *p, const char *text, const char *seq, uint32_t line,
		     struct error *err)
{
	struct range *r = NULL;
	uint32_t number = SEQ_MAX;

	for (unsigned i = 0; i < p->n; i++)
		if (!strcmp(p->range[i].text, text))
			r = &p->range[i];
	if (!r && p->n == RANGES)
		return import_fault(v->m, line, err, "pool %s has more than %u ranges", QUOTED(p->name), RANGES);
	if (!r) {
		r = &p->range[p->n++];
		*r = (struct range){ .seq = SEQ_MAX };
		snprintf(r->text, sizeof(r->text), "%s", text);
	}
	if (import_range_parse(text, &r->range))
		return import_fault(v->m, line, err, "range must be a prefix or A-B, not %s", QUOTED(text));
	if (seq && import_number(seq, SEQ_MAX, &number))
		return import_fault(v->m, line, err, "seq must be a number, not %s", QUOTED(seq));
	if (seq)
		r->seq = number;
	return 0;
}

static int take_pool(struct vyos *v, const struct import_tree *t, const struct import_statement *s, struct error *err)
{
	const char *w[IMPORT_TREE_WORDS];
	bool outside = import_tree_is(t, s, "nat cgnat pool external * ...", w);
	struct pool *p;

	if (!outside && !import_tree_is(t, s, "nat cgnat pool internal * ...", w))
		return 0;
	p = pool_of(v, w[0], outside);
	if (!p)
		return import_fault(v->m, s->line, err, "there are more than %u pools", POOLS);
	if (import_tree_is(t, s, "nat cgnat pool * * range * seq *", w))
		return add_range(v, p, w[2], w[3], s->line, err);
	if (import_tree_is(t, s, "nat cgnat pool * * range *", w))
		return add_range(v, p, w[2], NULL, s->line, err);
	if (import_tree_is(t, s, "nat cgnat pool * * external-port-range *", w))
		return import_ports_parse(w[2], &p->lo, &p->hi)
			       ? import_fault(v->m, s->line, err, "needs ports such as 1024-65535, not %s",
					      QUOTED(w[2]))
			       : 0;
	if (import_tree_is(t, s, "nat cgnat pool * * per-user-limit port *", w))
		return import_number(w[2], 65535, &p->limit) || !p->limit
			       ? import_fault(v->m, s->line, err, "needs a number of ports, not %s", QUOTED(w[2]))
			       : 0;
	return 0;
}

static int take(struct vyos *v, const struct import_tree *t, const struct import_statement *s, struct error *err)
{
	const char *w[IMPORT_TREE_WORDS];
	struct rule *r;

	if (import_tree_is(t, s, "nat cgnat rule * source pool *", w) && (r = rule_of(v, w[0], s->line)))
		snprintf(r->source, sizeof(r->source), "%s", w[1]);
	else if (import_tree_is(t, s, "nat cgnat rule * translation pool *", w) && (r = rule_of(v, w[0], s->line)))
		snprintf(r->translation, sizeof(r->translation), "%s", w[1]);
	else if (import_tree_is(t, s, "ip adjust-mss *", w))
		import_mss_take(v->m, strcmp(w[0], "clamp-mss-to-pmtu") ? w[0] : "clamp", s->line);
	else if (import_tree_is(t, s, "nat source rule * ...", w) ||
		 import_tree_is(t, s, "nat destination rule * ...", w))
		import_note(v->m, IMPORT_EXCEPTION, s->line, "rule %s beside cgnat: not kept", QUOTED(w[0]));
	return take_pool(v, t, s, err);
}

static int by_seq(const void *a, const void *b)
{
	const struct range *x = *(const struct range *const *)a, *y = *(const struct range *const *)b;

	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return x < y ? -1 : x > y;
}

static int expand(struct vyos *v, const struct rule *r, struct error *err)
{
	struct pool *in = pool_of(v, r->source, false), *out = pool_of(v, r->translation, true);
	struct import_ranges inside = {}, outside = {};
	const struct range *order[RANGES];
	struct import *m = v->m;
	uint64_t subscribers, places;
	uint32_t ratio;
	unsigned unordered = 0;

	if (!in || !out || !in->n || !out->n)
		return import_fault(m, r->line, err,
				    "rule %s: source pool %s or translation pool %s has no range; is the "
				    "file whole?",
				    r->name, r->source, r->translation);
	for (unsigned i = 0; i < in->n; i++)
		import_ranges_add(m, &inside, in->range[i].range);
	for (unsigned i = 0; i < out->n; i++) {
		order[i] = &out->range[i];
		unordered += out->range[i].seq == SEQ_MAX;
	}
	qsort(order, out->n, sizeof(*order), by_seq); /* NOLINT(bugprone-sizeof-expression): an array of pointers */
	for (unsigned i = 0; i < out->n; i++)
		import_ranges_add(m, &outside, order[i]->range);
	if (unordered > 1)
		import_note(m, IMPORT_ASSUMED, r->line,
			    "pool %s: ranges without seq are taken in the order of the file; compare show nat cgnat "
			    "allocation",
			    out->name);
	ratio = (out->hi - out->lo + 1) / out->limit;
	subscribers = import_ranges_size(&inside);
	places = import_ranges_size(&outside) * ratio;
	if (subscribers <= places && subscribers <= IMPORT_MAX_ROWS)
		import_by_address(m, &(struct import_formula){ .in = &inside,
							       .out = &outside,
							       .ratio = ratio,
							       .first_port = out->lo,
							       .ports = out->limit,
							       .pitch = out->limit,
							       .protos = IMPORT_ALL,
							       .line = r->line });
	import_ranges_free(&inside);
	import_ranges_free(&outside);
	if (subscribers > IMPORT_MAX_ROWS)
		return import_fault(m, r->line, err, "more than %u inside addresses", IMPORT_MAX_ROWS);
	if (subscribers > places)
		return import_fault(m, r->line, err,
				    "rule %s: %llu subscribers, but room for %llu: VyOS refuses this, too", r->name,
				    (unsigned long long)subscribers, (unsigned long long)places);
	if (ratio > 1)
		import_note(m, IMPORT_IMPLIED, r->line,
			    "other protocols are translated to the same address there; here they are dropped");
	return 0;
}

int import_read_vyos(struct import *m, const struct import_text *text, const struct import_options *options,
		     struct error *err)
{
	_cleanup_free_ struct pool *pools = calloc(POOLS, sizeof(*pools));
	_cleanup_free_ struct vyos *v = calloc(1, sizeof(*v));
	struct import_tree t = {};
	int r;

	if (!v || !pools)
		return error_set(err, -ENOMEM, "out of memory");
	v->m = m;
	v->pool = pools;
	r = import_tree_read(m, text, &t, err);
	for (size_t i = 0; i < t.n && !r; i++)
		r = take(v, &t, &t.statement[i], err);
	for (unsigned i = 0; i < v->n_rules && !r && !m->failed; i++)
		r = expand(v, &v->rule[i], err);
	import_tree_free(&t);
	return r;
}
