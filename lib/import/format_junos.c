// SPDX-License-Identifier: BSD-2-Clause
/*
 * Junos: services nat of MS cards (deterministic-port-block-allocation) and of MX-SPC3 (port deterministic). With N
 * inside and A outside addresses: R = ceil(N / A), P = block size, or 64512 / R where that is 0, by address from 1024.
 * The first and last addresses of prefixes are left out, unless boundary addresses are included.
 */
#include <string.h>

#include "base/text.h"
#include "import/import_build.h"
#include "import/import_formats.h"
#include "import/import_tree.h"

#define POOLS 256U
#define TERMS 4096U
#define PORTS 64512U

struct pool {
	char name[64];
	uint32_t line;
	struct import_range range;
	unsigned ranges;
	bool prefix;
	bool deterministic;
	bool boundaries;
	uint32_t block_size;	  /* 0: computed */
	struct import_range host; /* SPC3: the inside addresses that blocks are counted over */
	unsigned hosts;
	uint32_t host_line;
	char unread[64]; /* what may number the blocks otherwise, and is not read */
	uint32_t unread_line;
};

struct term {
	char rule[64];
	char name[64];
	uint32_t line;
	char pool[64];
	struct import_range from;
	unsigned sources;
	bool prefix;
	bool port_match;
	uint32_t match_line;
};

struct junos {
	struct import *m;
	const struct import_options *options;
	struct pool pool[POOLS];
	unsigned n_pools;
	struct term term[TERMS];
	unsigned n_terms;
};

static struct pool *pool_of(struct junos *j, const char *name, uint32_t line)
{
	for (unsigned i = 0; i < j->n_pools; i++)
		if (!strcmp(j->pool[i].name, name))
			return &j->pool[i];
	/* The last one takes what is too much; refused at the end. */
	if (j->n_pools == POOLS)
		return &j->pool[POOLS - 1];
	j->pool[j->n_pools] = (struct pool){ .line = line };
	snprintf(j->pool[j->n_pools].name, sizeof(j->pool->name), "%s", name);
	return &j->pool[j->n_pools++];
}

static struct term *term_of(struct junos *j, const char *rule, const char *name, uint32_t line)
{
	for (unsigned i = j->n_terms; i; i--)
		if (!strcmp(j->term[i - 1].rule, rule) && !strcmp(j->term[i - 1].name, name))
			return &j->term[i - 1];
	if (j->n_terms == TERMS)
		return &j->term[TERMS - 1];
	j->term[j->n_terms] = (struct term){ .line = line };
	snprintf(j->term[j->n_terms].rule, sizeof(j->term->rule), "%s", rule);
	snprintf(j->term[j->n_terms].name, sizeof(j->term->name), "%s", name);
	return &j->term[j->n_terms++];
}

static int add_pool_range(struct junos *j, struct pool *p, const char *first, const char *last, uint32_t line,
			  struct error *err)
{
	struct import_range a, b;

	if (import_range_parse(first, &a) || (last && import_range_parse(last, &b)) || (last && b.first < a.first))
		return import_fault(j->m, line, err, "pool %s: no address range: %s %s", QUOTED(p->name), QUOTED(first),
				    last ? QUOTED(last) : "");
	p->range = last ? (struct import_range){ a.first, b.first } : a;
	p->prefix = !last;
	p->ranges++;
	return 0;
}

static int add_host(struct junos *j, struct pool *p, const char *text, uint32_t line, struct error *err)
{
	if (import_range_parse(text, &p->host))
		return import_fault(j->m, line, err, "pool %s: host address: needs a prefix, not %s", QUOTED(p->name),
				    QUOTED(text));
	p->hosts++;
	p->host_line = line;
	return 0;
}

/* Of a pool's statements about ports, those that number no blocks are passed over; of any other it is not known. */
static void take_unread(struct pool *p, const struct import_tree *t, const struct import_statement *s)
{
	static const char *const known[] = { "automatic", "deterministic", "deterministic-port-block-allocation",
					     "preserve-parity", "preserve-range" };
	const char *w[IMPORT_TREE_WORDS];

	if (import_tree_is(t, s, "pool * host-address-base *", w)) {
		snprintf(p->unread, sizeof(p->unread), "host-address-base");
	} else if (import_tree_is(t, s, "pool * port * ...", w)) {
		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			if (!strcmp(w[1], known[i]))
				return;
		snprintf(p->unread, sizeof(p->unread), "port %.50s", w[1]);
	} else {
		return;
	}
	p->unread_line = s->line;
}

static int take_pool(struct junos *j, const struct import_tree *t, const struct import_statement *s, struct error *err)
{
	const char *w[IMPORT_TREE_WORDS];
	struct pool *p;

	if (!import_tree_is(t, s, "nat pool * ...", w) && !import_tree_is(t, s, "nat source pool * ...", w))
		return 0;
	p = pool_of(j, w[0], s->line);
	take_unread(p, t, s);
	if (import_tree_is(t, s, "pool * address * to *", w) ||
	    import_tree_is(t, s, "pool * address-range low * high *", w))
		return add_pool_range(j, p, w[1], w[2], s->line, err);
	if (import_tree_is(t, s, "pool * address *", w))
		return add_pool_range(j, p, w[1], NULL, s->line, err);
	if (import_tree_is(t, s, "port deterministic-port-block-allocation ...", w))
		p->deterministic = true;
	if (import_tree_is(t, s, "port deterministic ...", w)) {
		/* Of SPC3, whose block size has a default. */
		p->block_size = p->deterministic ? p->block_size : 256;
		p->deterministic = true;
	}
	if (import_tree_is(t, s, "deterministic host address *", w))
		return add_host(j, p, w[0], s->line, err);
	if (import_tree_is(t, s, "block-size * ...", w) && import_number(w[0], PORTS, &p->block_size))
		return import_fault(j->m, s->line, err, "block-size must be 0 to 64512, not %s", QUOTED(w[0]));
	if (import_tree_is(t, s, "include-boundary-addresses", w) ||
	    import_tree_is(t, s, "include-boundary-address", w))
		p->boundaries = true;
	if (import_tree_is(t, s, "port automatic random-allocation", w))
		import_note(j->m, IMPORT_TAKEN, s->line,
			    "random-allocation: outside ports are chosen by the inside port here, in the same block");
	return 0;
}

static void add_source(struct junos *j, struct term *term, const char *text, uint32_t line, struct error *err, int *r)
{
	term->sources++;
	term->prefix = strchr(text, '/');
	if (import_range_parse(text, &term->from))
		*r = import_fault(j->m, line, err, "needs a prefix, not %s", QUOTED(text));
}

static int take_term(struct junos *j, const struct import_tree *t, const struct import_statement *s, struct error *err)
{
	const char *w[IMPORT_TREE_WORDS], *v[IMPORT_TREE_WORDS];
	struct term *term;
	int r = 0;

	if (!import_tree_is(t, s, "nat rule * term * ...", w) && !import_tree_is(t, s, "rule-set * rule * ...", w)) {
		if (import_tree_is(t, s, "rule-set * from routing-instance *", w))
			import_note(j->m, IMPORT_VRF, s->line, "routing instance %s: not kept", QUOTED(w[1]));
		return 0;
	}
	term = term_of(j, w[0], w[1], s->line);
	if (import_tree_is(t, s, "from source-address *", v) || import_tree_is(t, s, "match source-address *", v)) {
		add_source(j, term, v[0], s->line, err, &r);
	} else if (import_tree_is(t, s, "from source-address-range low * high *", v)) {
		char text[64];

		snprintf(text, sizeof(text), "%.30s-%.30s", v[0], v[1]);
		add_source(j, term, text, s->line, err, &r);
	} else if (import_tree_is(t, s, "translated source-pool *", v) ||
		   import_tree_is(t, s, "source-nat pool *", v)) {
		snprintf(term->pool, sizeof(term->pool), "%s", v[0]);
	} else if (import_tree_is(t, s, "mapping-type endpoint-independent", v)) {
		j->m->eim = 1;
		import_note(j->m, IMPORT_TAKEN, s->line, "mapping-type endpoint-independent: taken, for tcp and udp");
	} else if (import_tree_is(t, s, "filtering-type endpoint-independent ...", v) ||
		   import_tree_is(t, s, "filtering-type endpoint-independent", v)) {
		j->m->eif = 1;
		import_note(j->m, IMPORT_TAKEN, s->line, "filtering-type endpoint-independent: taken, for tcp and udp");
	} else if (import_tree_is(t, s, "from destination-address any-ipv4", v) ||
		   import_tree_is(t, s, "match destination-address 0.0.0.0/0", v)) {
		return 0;
	} else if (import_tree_is(t, s, "from * ...", v) || import_tree_is(t, s, "match * ...", v)) {
		term->port_match = true;
		term->match_line = s->line;
	} else if (import_tree_is(t, s, "then no-translation", v)) {
		import_note(j->m, IMPORT_EXCEPTION, s->line,
			    "term %.40s is not translated: not kept; write a mapping "
			    "with \"out\": null",
			    term->name);
	}
	return r;
}

/* A prefix without its first and last addresses. */
static struct import_range inner(struct import_range r)
{
	return import_range_size(r) > 2 ? (struct import_range){ r.first + 1, r.last - 1 } : r;
}

/* Refuses a pool whose blocks Junos may number otherwise than its documents say here. */
static int check_numbering(struct junos *j, const struct pool *p, const struct term *term, struct error *err)
{
	char host[IMPORT_RANGE_TEXT], from[IMPORT_RANGE_TEXT];

	if (*p->unread)
		return import_fault(j->m, p->unread_line, err,
				    "pool %s: %s: how the blocks are numbered with that is not documented; import the "
				    "blocks that Junos shows as table",
				    QUOTED(p->name), QUOTED(p->unread));
	if (!p->hosts || (p->hosts == 1 && p->host.first == term->from.first && p->host.last == term->from.last))
		return 0;
	return import_fault(
		j->m, p->host_line, err,
		"pool %s counts its blocks over %s%s, and term %s translates %s: how they are numbered then is not "
		"documented; import the blocks that Junos shows as table",
		QUOTED(p->name), p->hosts > 1 ? "several host addresses, the last one " : "host address ",
		import_range_format(p->host, host), QUOTED(term->name), import_range_format(term->from, from));
}

static int expand(struct junos *j, const struct term *term, struct error *err)
{
	struct pool *p = pool_of(j, term->pool, term->line);
	struct import *m = j->m;
	struct import_range in = term->from, out = p->range;
	bool pool_ends = !p->prefix;
	char from[IMPORT_RANGE_TEXT], to[IMPORT_RANGE_TEXT];
	uint64_t inside, outside, ratio;
	uint32_t ports;

	if (!p->deterministic) {
		import_note(m, IMPORT_DYNAMIC, term->line, "term %s: pool %s is not deterministic: not kept",
			    QUOTED(term->name), QUOTED(p->name));
		return 0;
	}
	if (term->port_match) {
		import_note(m, IMPORT_EXCEPTION, term->match_line, "term %s matches more than the source: not kept",
			    QUOTED(term->name));
		return 0;
	}
	if (term->sources != 1 || p->ranges != 1)
		return import_fault(
			m, term->line, err,
			"term %s: the order of %u sources and %u address ranges of pool %s is not documented; "
			"import the output of show services nat deterministic-nat nat-port-block as table",
			term->name, term->sources, p->ranges, p->name);
	if (check_numbering(j, p, term, err))
		return -EINVAL;
	if (p->prefix && p->boundaries && j->options->junos_pool_boundaries < 0)
		return import_fault(
			m, p->line, err,
			"pool %s: whether include-boundary-addresses adds the first and last address of the "
			"pool is not documented; say --junos-pool-boundaries yes or no, or import the output "
			"of show services nat deterministic-nat nat-port-block as table",
			p->name);
	if (p->prefix && p->boundaries)
		pool_ends = j->options->junos_pool_boundaries == 1;
	if (term->prefix && !p->boundaries)
		in = inner(in);
	if (!pool_ends)
		out = inner(out);
	inside = import_range_size(in);
	outside = import_range_size(out);
	ratio = (inside + outside - 1) / outside;
	if (inside > IMPORT_MAX_ROWS || ratio > PORTS)
		return import_fault(m, term->line, err, "term %s: too many inside addresses for pool %s",
				    QUOTED(term->name), QUOTED(p->name));
	ports = p->block_size ? p->block_size : PORTS / (uint32_t)ratio;
	if (ports * ratio > PORTS)
		return import_fault(
			m, term->line, err,
			"term %s: %llu blocks of %u ports are more than an address has; Junos refuses this, too",
			term->name, (unsigned long long)ratio, ports);
	import_note(m, IMPORT_TAKEN, term->line, "term %s: %s to %s, %llu an address, %u ports each",
		    QUOTED(term->name), import_range_format(in, from), import_range_format(out, to),
		    (unsigned long long)ratio, ports);
	if (in.first != term->from.first) {
		char last[ADDR_TEXT];

		import_note(m, IMPORT_TAKEN, term->line,
			    "%s and %s are not translated there: left out (boundary addresses)",
			    addr_format(term->from.first, from), addr_format(term->from.last, last));
	}
	import_by_address(m, &(struct import_formula){ .in = &(struct import_ranges){ &in, 1, 0 },
						       .out = &(struct import_ranges){ &out, 1, 0 },
						       .ratio = (uint32_t)ratio,
						       .first_port = 1024,
						       .ports = ports,
						       .pitch = ports,
						       .protos = IMPORT_ALL,
						       .line = term->line });
	return 0;
}

int import_read_junos(struct import *m, const struct import_text *text, const struct import_options *options,
		      struct error *err)
{
	_cleanup_free_ struct junos *j = calloc(1, sizeof(*j));
	struct import_tree t = {};
	int r;

	if (!j)
		return error_set(err, -ENOMEM, "out of memory");
	j->m = m;
	j->options = options;
	r = import_tree_read(m, text, &t, err);
	for (size_t i = 0; i < t.n && !r; i++) {
		if (t.statement[i].inactive) {
			import_note(m, IMPORT_DISABLED, t.statement[i].line, "is inactive: not taken");
			continue;
		}
		r = take_pool(j, &t, &t.statement[i], err);
		r = r ? r : take_term(j, &t, &t.statement[i], err);
	}
	if (!r && (j->n_pools == POOLS || j->n_terms == TERMS))
		r = import_fault(m, 0, err, "has too many pools (%u) or terms (%u)", POOLS, TERMS);
	for (unsigned i = 0; i < j->n_terms && !r && !m->failed; i++)
		if (*j->term[i].pool)
			r = expand(j, &j->term[i], err);
	import_tree_free(&t);
	return r;
}
