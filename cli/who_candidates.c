// SPDX-License-Identifier: BSD-2-Clause
/*
 * Each port is asked about as by itself, and ports in a row with the same holder are one candidate: so the list names
 * for each port exactly those that its own question does.
 */
#include "who_candidates.h"

#include <stdlib.h>
#include <string.h>

#include "base/array_grow.h"
#include "base/text.h"
#include "base/virtual6.h"
#include "json_get.h"
#include "proto/words.h"
#include "who_view.h"

struct candidate {
	struct who_holder holder; /* of a claim: the inside address alone */
	struct who_claimed claim; /* with `claimed` */
	bool claimed;
	struct portmap_interval portmap; /* with `mapped`, if it is known */
	bool mapped;
	uint32_t lo, hi;
};

struct candidates {
	struct candidate *row; /* in the order of their first ports */
	size_t n, room;
	size_t *open; /* rows that have the last port */
	size_t n_open, open_room;
	uint32_t unknown;	/* ports of which there is no record */
	struct error no_record; /* why, of the first */
};

static void free_candidates(struct candidates *c)
{
	free(c->row);
	free(c->open);
}

static bool same_holder(const struct candidate *a, const struct candidate *b)
{
	const struct who_holder *x = &a->holder, *y = &b->holder;

	if (a->mapped || b->mapped || a->claimed != b->claimed || !who_same_subscriber(x, y))
		return false;
	if (a->claimed)
		return a->claim.answer.claim == b->claim.answer.claim;
	return prefix_equal(x->in, y->in) && prefix_equal(x->out, y->out) && !strcmp(x->name, y->name) &&
	       x->from == y->from && x->to == y->to && x->by == y->by && x->port_lo == y->port_lo &&
	       x->ports == y->ports;
}

/* Adds the holder of a port: the row of the port before goes on, or one begins. */
static int add(struct candidates *c, uint32_t port, struct candidate one)
{
	for (size_t i = 0; i < c->n_open; i++) {
		struct candidate *before = &c->row[c->open[i]];

		if (before->hi + 1 != port || !same_holder(before, &one))
			continue;
		before->hi = port;
		return 0;
	}
	one.lo = one.hi = port;
	if (array_grow(&c->row, c->n, &c->room, sizeof(*c->row)) ||
	    array_grow(&c->open, c->n_open, &c->open_room, sizeof(*c->open)))
		return -ENOMEM;
	c->row[c->n] = one;
	c->open[c->n_open++] = c->n++;
	return 0;
}

static void close_rows(struct candidates *c, uint32_t port)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_open; i++)
		if (c->row[c->open[i]].hi == port)
			c->open[n++] = c->open[i];
	c->n_open = n;
}

/* Portmaps of a port to an inside address, or the holder alone where none is known to be his. */
static int add_portmaps(struct candidates *c, uint32_t port, const struct who_holder *h, const struct who_answer *a)
{
	struct candidate one = { .holder = *h, .mapped = true };
	unsigned n = 0;
	int r = 0;

	for (unsigned i = 0; i < a->n_portmaps && !r; i++) {
		if (a->portmap[i].portmap.in.addr != h->in_addr)
			continue;
		one.portmap = a->portmap[i];
		r = add(c, port, one);
		n++;
	}
	return n || r || h->by >= BY_GRANT ? r : add(c, port, one);
}

static int add_answer(struct candidates *c, uint32_t port, const struct who_answer *a, bool found)
{
	int r = 0;

	for (size_t i = 0; i < a->n_holders && !r; i++) {
		const struct who_holder *h = &a->holders[i];

		if (h->by >= BY_GRANT)
			r = add(c, port, (struct candidate){ .holder = *h });
		if (!r && (h->by < BY_GRANT || (found && who_same_subscriber(h, &a->best))))
			r = add_portmaps(c, port, h, a);
	}
	return r;
}

static int ask_port(struct candidates *c, const struct who_source *s, struct endpoint out, int64_t t)
{
	struct candidate one = { .claimed = true };
	struct who_answer a;
	struct error why;
	enum who_result result = who_ask(s->who, out, t, &a, &why);
	const struct who_claimed *claimed = who_claims_ask(s->claims, s->index, out, t, &result, &one.claim, &why);
	int r = add_answer(c, out.port, &a, result == WHO_FOUND);

	if (!r && claimed && claimed->answer.held) {
		one.holder.in_addr = claimed->answer.in_addr;
		return add(c, out.port, one);
	}
	if (result == WHO_NO_RECORD && !c->unknown++)
		c->no_record = why;
	return r;
}

static int ask_ports(struct candidates *c, const struct who_source *s, uint32_t addr, int64_t t)
{
	int r = 0;

	for (uint32_t port = 0; port <= UINT16_MAX && !r; port++) {
		r = ask_port(c, s, (struct endpoint){ addr, (uint16_t)port }, t);
		close_rows(c, port);
	}
	return r;
}

struct subscriber_name {
	uint32_t in_addr;
	const char *tenant;
};

static int by_subscriber(const void *pa, const void *pb)
{
	const struct subscriber_name *a = pa, *b = pb;

	if (a->in_addr != b->in_addr)
		return a->in_addr < b->in_addr ? -1 : 1;
	return strcmp(a->tenant, b->tenant);
}

/* Subscribers in n rows. 0 or -ENOMEM. */
static int count_subscribers(const struct candidate *row, size_t n, size_t *ret)
{
	_cleanup_free_ struct subscriber_name *list = calloc(n + 1, sizeof(*list));
	size_t count = n > 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		list[i] = (struct subscriber_name){ row[i].holder.in_addr, row[i].holder.tenant };
	qsort(list, n, sizeof(*list), by_subscriber);
	for (size_t i = 1; i < n; i++)
		count += by_subscriber(&list[i - 1], &list[i]) != 0;
	*ret = count;
	return 0;
}

/* ---- As JSON and as text */

/* What is shown of a list. */
struct page {
	const struct who_source *s;
	const struct candidates *c;
	uint32_t addr;
	int64_t t;
	size_t from, to;	   /* rows */
	size_t subscribers, shown; /* of all rows, and of these */
};

static void find_customer(struct who_source *s, const struct candidate *c, int64_t t, struct customer *ret)
{
	const struct who_holder *h = &c->holder;

	if (c->claimed)
		customer_of(&s->customers, h->in_addr, NULL, c->claim.answer.claim->origin.from, c->claim.to, t, ret);
	else
		customer_of(&s->customers, h->in_addr, *h->tenant ? h->tenant : NULL, h->from, h->to, t, ret);
}

static void print_candidate(FILE *out, const struct who_source *s, const struct candidate *c,
			    const struct customer *customer)
{
	fputc('{', out);
	if (c->claimed)
		who_claimed_json(out, &c->claim);
	else
		who_print_holder(out, &c->holder);
	fprintf(out, ",\"port_lo\":%u,\"port_hi\":%u,\"gateway\":", c->lo, c->hi);
	if (*s->index->gateway)
		fprintf(out, "\"%s\"", s->index->gateway);
	else
		fputs("null", out);
	if (c->portmap.portmap.proto)
		who_print_portmap(out, "portmap", &c->portmap);
	if (s->customers.days)
		customer_print(out, &s->customers, customer);
	else
		fputs(",\"customer\":null", out);
	fputc('}', out);
}

static int show_json(struct writer *w, const struct page *p, struct who_source *s)
{
	_cleanup_free_ char *text = NULL;
	char addr[INSIDE_TEXT], when[TIME_TEXT];
	struct customer customer;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return -ENOMEM;
	fprintf(out, "{\"out_addr\":\"%s\",\"time\":\"%s\",\"total\":%zu,\"subscribers\":%zu,\"candidates\":[",
		addr_format(p->addr, addr), time_format(p->t, when), p->c->n, p->subscribers);
	for (size_t i = p->from; i < p->to; i++) {
		if (s->customers.days)
			find_customer(s, &p->c->row[i], p->t, &customer);
		fputs(i > p->from ? "," : "", out);
		print_candidate(out, s, &p->c->row[i], &customer);
	}
	fputs("],\"next\":", out);
	if (p->to < p->c->n)
		fprintf(out, "%zu", p->to);
	else
		fputs("null", out);
	fprintf(out, ",\"complete\":%s", p->c->unknown ? "false" : "true");
	who_print_source(out, s);
	fputc('}', out);
	if (fclose(out))
		return -ENOMEM;
	writer_json(w, text, size);
	return 0;
}

#define N_CELLS 4U
#define CELLS(ports, inside, from, to)                                                                       \
	(const struct cell[N_CELLS])                                                                         \
	{                                                                                                    \
		{ (ports), 11, false }, { (inside), 15, false }, { (from), 20, false }, { (to), 20, false }, \
	}

static void show_row(struct writer *w, const struct candidate *c, const char *customer)
{
	const struct who_holder *h = &c->holder;
	char addr[INSIDE_TEXT], ports[16], to[TIME_TEXT], from[TIME_TEXT], in[PLAN_RANGE_TEXT], out[PLAN_RANGE_TEXT],
		subscriber[WHO_SUBSCRIBER_TEXT], portmap[INSIDE_TEXT + 32] = "";

	snprintf(ports, sizeof(ports), c->lo < c->hi ? "%u-%u" : "%u", c->lo, c->hi);
	who_subscriber(h, subscriber);
	if (c->claimed) {
		writer_row(w,
			   CELLS(ports, subscriber, time_format(c->claim.answer.claim->origin.from, from),
				 time_or(c->claim.to, "not known", to)),
			   N_CELLS, "%s to %s (claimed from %s)%s",
			   plan_range_format(c->claim.answer.in.first, c->claim.answer.in.last, in),
			   plan_range_format(c->claim.answer.out.first, c->claim.answer.out.last, out),
			   QUOTED(c->claim.answer.claim->origin.source), customer);
		return;
	}
	if (c->mapped)
		snprintf(portmap, sizeof(portmap), " (portmap)");
	if (c->portmap.portmap.proto)
		snprintf(portmap, sizeof(portmap), " (portmap %s to %s:%u)",
			 word_text(proto_words, c->portmap.portmap.proto),
			 addr_format(c->portmap.portmap.in.addr, addr), c->portmap.portmap.in.first);
	writer_row(w, CELLS(ports, subscriber, time_format(h->from, from), time_or(h->to, "still", to)), N_CELLS,
		   "%s to %s%s%s%s%s%s", inside_prefix_text(h->in, in), prefix_text(h->out, out), *h->name ? ", " : "",
		   h->name, h->ports ? " (grant)" : "", portmap, customer);
}

static void show_text(struct writer *w, const struct page *p, struct who_source *s)
{
	struct customer customer = { 0 };

	writer_line(w, "%zu subscriber%s may have had it, %zu shown", p->subscribers, p->subscribers == 1 ? "" : "s",
		    p->shown);
	if (p->from < p->to)
		writer_row(w, CELLS("PORTS", "INSIDE", "FROM", "TO"), N_CELLS, "MAPPING");
	for (size_t i = p->from; i < p->to; i++) {
		_cleanup_free_ char *text = NULL;

		if (s->customers.days)
			find_customer(s, &p->c->row[i], p->t, &customer);
		text = customer_row(&s->customers, &customer);
		show_row(w, &p->c->row[i], text ? text : "; out of memory");
	}
	if (p->to < p->c->n)
		writer_line(w, "More rows:      --offset %zu", p->to);
}

static int show(struct who_source *s, struct page *p, const cJSON *args, struct writer *w)
{
	size_t limit = cJSON_HasObjectItem(args, "limit") ? (size_t)json_number(args, "limit") : CANDIDATES_SHOWN;
	size_t from = cJSON_HasObjectItem(args, "offset") ? (size_t)json_number(args, "offset") : 0;

	p->from = from < p->c->n ? from : p->c->n;
	p->to = p->c->n - p->from < limit ? p->c->n : p->from + limit;
	if (count_subscribers(p->c->row, p->c->n, &p->subscribers) ||
	    count_subscribers(&p->c->row[p->from], p->to - p->from, &p->shown))
		return -ENOMEM;
	if (w->json)
		return show_json(w, p, s);
	if (p->c->n)
		show_text(w, p, s);
	return 0;
}

int who_candidates(struct who_source *s, uint32_t addr, int64_t t, const cJSON *args, struct writer *w,
		   struct error *err)
{
	__attribute__((cleanup(free_candidates))) struct candidates c = { 0 };
	struct page p = { .s = s, .c = &c, .addr = addr, .t = t };
	char text[INSIDE_TEXT], when[TIME_TEXT];

	customers_set_margin(&s->customers, history_clocks_at(&s->index->clocks, t));
	if (ask_ports(&c, s, addr, t) || show(s, &p, args, w))
		return error_set(err, EXIT_REFUSED, "out of memory");
	inside_text(addr, text);
	time_format(t, when);
	if (c.unknown)
		return error_set(err, EXIT_REFUSED, "no record of %s%s at %s: %.400s", c.n ? "some ports of " : "",
				 text, when, c.no_record.text);
	if (!c.n)
		return error_set(err, EXIT_REFUSED, "no subscriber held %s at %s: nobody had a port of it", text, when);
	return EXIT_DONE;
}
