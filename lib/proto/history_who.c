/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intervals are sorted by outside prefix and start time. For each prefix length in use, a question looks up the prefix
 * around the address and searches it backwards from the last interval that had begun; the latest end of all intervals
 * up to each one bounds how far back the search goes.
 */
#include "base/address.h"
#include "proto/history_pieces.h"
#include "proto/history_who.h"
#include "proto/history_who_portmaps.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <detnat/mapping.h>
#include <detnat/tables.h>

struct who {
	struct held *held; /* sorted by outside prefix */
	size_t n_held;
	uint64_t lengths;	  /* bit n: there is an outside prefix of length n */
	struct holdings holdings; /* all of them, and those without an outside prefix */
	bool any_open;
	struct who_portmaps portmaps;
	struct history_gap *gaps;
	size_t n_gaps;
	int64_t first_time;
};

void who_free(struct who *w)
{
	if (!w)
		return;
	free(w->held);
	holdings_free(&w->holdings);
	who_portmaps_free(&w->portmaps);
	free(w->gaps);
	free(w);
}

static int compare_number(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_held(const void *pa, const void *pb)
{
	const struct held *a = pa, *b = pb;
	int r = prefix_order(a->out, b->out);

	if (!r)
		r = (a->from > b->from) - (a->from < b->from);
	return r ? r : compare_number(a->line, b->line);
}

static int prepare(struct who *w, const struct history_index *x)
{
	struct holdings *all = &w->holdings;

	for (size_t i = 0; i < x->n_intervals; i++) {
		const struct history_interval *v = &x->intervals[i];

		if (v->undone)
			continue;
		all->inner[all->n] = (struct held){ .in = v->in,
						    .out = v->out,
						    .from = v->from,
						    .to = v->to,
						    .latest = v->to,
						    .line = v->line,
						    .open = v->open };
		memcpy(all->inner[all->n++].name, v->name, sizeof(v->name));
		all->lengths |= 1ULL << v->in.plen;
		w->any_open |= v->open;
		if (prefix_is_none(v->out))
			continue;
		w->held[w->n_held++] = all->inner[all->n - 1];
		w->lengths |= 1ULL << v->out.plen;
	}
	qsort(w->held, w->n_held, sizeof(*w->held), compare_held);
	for (size_t i = 1; i < w->n_held; i++)
		if (!prefix_order(w->held[i].out, w->held[i - 1].out) && w->held[i].latest < w->held[i - 1].latest)
			w->held[i].latest = w->held[i - 1].latest;
	if (x->n_gaps)
		memcpy(w->gaps, x->gaps, x->n_gaps * sizeof(*w->gaps));
	w->n_gaps = x->n_gaps;
	w->first_time = x->first_time;
	return holdings_init(all, &x->drains);
}

int who_new(const struct history_index *x, struct who **ret)
{
	struct who *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->held = calloc(x->n_intervals + 1, sizeof(*w->held));
	w->holdings.inner = calloc(x->n_intervals + 1, sizeof(*w->holdings.inner));
	w->gaps = calloc(x->n_gaps + 1, sizeof(*w->gaps));
	if (!w->held || !w->holdings.inner || !w->gaps || who_portmaps_new(&x->portmaps, &w->portmaps) ||
	    prepare(w, x)) {
		who_free(w);
		return -ENOMEM;
	}
	*ret = w;
	return 0;
}

/* Counts the intervals of lesser prefixes, and those of this prefix that began at t or before. */
static size_t count_until(const struct who *w, struct prefix out, int64_t t)
{
	size_t low = 0, high = w->n_held;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct held *h = &w->held[middle];
		int r = prefix_order(h->out, out);

		if (r < 0 || (!r && h->from <= t))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What a search has found so far. */
struct search {
	const struct who *w;
	uint32_t port;
	uint32_t addr;
	int64_t t;
	unsigned found;		   /* intervals that hold the port, even for only part of the second t */
	const struct held *best;   /* the last to begin of those with from <= t < to */
	const struct held *other;  /* the last one of another subscriber */
	const struct held *covers; /* holds the address, but the port belongs to no subscriber */
	const struct held *ended;  /* the last one of which this was so until within the second t */
	const struct held *kept;   /* the exception because of which the port's subscriber did not use it */
	uint32_t kept_in;
	uint32_t best_in;
	uint32_t other_in;
	struct piece best_piece;
	struct piece other_piece;
	bool others; /* second pass: the best is known */
};

/* Number of the subscriber that has the port, or -1. */
static int64_t subscriber_of(const struct search *s, const struct held *h, const struct geometry *g)
{
	return h->open ? (int64_t)s->addr - g->out_base : mapping_reverse(g, s->addr, s->port);
}

static void consider(struct search *s, const struct held *h)
{
	struct geometry g;
	struct piece p;
	int64_t subscriber;
	uint32_t in_addr;

	/* One that ended in this second, or began and ended in it, held the port for part of the second. */
	if (h->to < s->t || mapping_geometry(h->in.base, h->in.plen, h->out.base, h->out.plen, &g))
		return;
	subscriber = subscriber_of(s, h, &g);
	in_addr = g.in_base + (uint32_t)subscriber;
	if (subscriber < 0) {
		if (h->to > s->t)
			s->covers = h;
		else if (!s->ended || h->line > s->ended->line)
			s->ended = h;
		return;
	}
	p = held_piece(&s->w->holdings, h, in_addr, s->t);
	if (p.exception && h->to > s->t) {
		s->kept = p.exception;
		s->kept_in = in_addr;
	}
	if (p.to < s->t)
		return;
	if (!s->others) {
		s->found++;
		if (p.to > s->t && (!s->best || h->line > s->best->line)) {
			s->best = h;
			s->best_in = in_addr;
			s->best_piece = p;
		}
	} else if ((!s->best || in_addr != s->best_in) && (!s->other || h->line > s->other->line)) {
		s->other = h;
		s->other_in = in_addr;
		s->other_piece = p;
	}
}

static void look_in(const struct who *w, struct search *s, struct prefix out)
{

	for (size_t i = count_until(w, out, s->t); i-- > 0;) {
		const struct held *h = &w->held[i];

		if (prefix_order(h->out, out) || h->latest < s->t)
			return;
		consider(s, h);
	}
}

static void look(const struct who *w, struct search *s)
{
	for (uint64_t lengths = w->lengths; lengths; lengths &= lengths - 1) {
		unsigned plen = (unsigned)__builtin_ctzll(lengths);

		look_in(w, s, (struct prefix){ s->addr & prefix_mask(plen), (uint8_t)plen });
	}
}

static enum who_result nobody(const struct search *s, struct error *why)
{
	char out[ADDR_TEXT], in[ADDR_TEXT];

	if (s->port < MAPPING_FIRST_PORT)
		return (enum who_result)error_set(why, WHO_NOBODY, "ports below %u are never given out%s",
						  MAPPING_FIRST_PORT,
						  s->w->portmaps.n ? ", and no portmap had this one" : "");
	if (!s->covers)
		return (enum who_result)error_set(why, WHO_NOBODY, "the address was in no mapping");
	return (enum who_result)error_set(why, WHO_NOBODY,
					  "the port is one of the remainder of mapping %s to %s, which nobody has",
					  prefix_format(s->covers->in.base, s->covers->in.plen, in),
					  prefix_format(s->covers->out.base, s->covers->out.plen, out));
}

/* The port was in the block of a subscriber that had another mapping. */
static enum who_result kept(const struct search *s, struct error *why)
{
	const struct held *e = s->kept;
	struct geometry g;
	char in[ADDR_TEXT], out[ADDR_TEXT];

	addr_format(s->kept_in, in);
	if (e == &held_retired)
		return (enum who_result)error_set(why, WHO_NOBODY,
						  "the port was kept for %s, whose mapping was retired", in);
	if (mapping_geometry(e->in.base, e->in.plen, e->out.base, e->out.plen, &g))
		return (enum who_result)error_set(why, WHO_NOBODY, "the port was kept for %s, which was not translated",
						  in);
	return (enum who_result)error_set(why, WHO_NOBODY, "the port was kept for %s, which was mapped to %s", in,
					  addr_format(mapping_forward(&g, s->kept_in).out_addr, out));
}

static enum who_result explain(const struct who *w, const struct search *s, struct error *why)
{
	char from[TIME_TEXT], to[TIME_TEXT];

	if (s->kept)
		return kept(s, why);
	if (s->covers || (s->port < MAPPING_FIRST_PORT && !w->any_open && !w->portmaps.n))
		return nobody(s, why);
	if (w->first_time == TIME_OPEN)
		return (enum who_result)error_set(why, WHO_NO_RECORD,
						  "the history has no record; --state-dir names another directory");
	if (s->t < w->first_time)
		return (enum who_result)error_set(why, WHO_NO_RECORD, "the history begins at %s",
						  time_format(w->first_time, from));
	for (size_t i = 0; i < w->n_gaps; i++) {
		const struct history_gap *gap = &w->gaps[i];

		if (s->t < gap->from || s->t >= gap->to)
			continue;
		time_format(gap->from, from);
		time_format(gap->to, to);
		return (enum who_result)error_set(
			why, WHO_NO_RECORD, "from %s to %s %s", gap->from == TIME_NONE ? "the beginning" : from,
			gap->to == TIME_OPEN ? "the end" : to,
			gap->damage ? "the history is damaged"
				    : "the datapath was lost, by a reboot for example, and it is not known when");
	}
	return nobody(s, why);
}

static const uint8_t portmap_protos[] = { IPPROTO_TCP, IPPROTO_UDP };

/* Adds the portmaps of the endpoint. One of a port of no block answers the question. */
static bool ask_portmaps(const struct who *w, const struct search *s, struct who_answer *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(portmap_protos); i++) {
		const struct portmap_interval *v = who_portmap(&w->portmaps, portmap_protos[i],
							       (struct endpoint){ s->addr, (uint16_t)s->port }, s->t);

		if (v && (!s->best || v->in.addr == s->best_in))
			a->portmap[a->n_portmaps++] = *v;
	}
	if (s->best || !s->covers || !a->n_portmaps)
		return s->best;
	a->in_addr = a->portmap[0].in.addr;
	a->in = s->covers->in;
	a->out = s->covers->out;
	memcpy(a->name, s->covers->name, sizeof(a->name));
	a->from = a->portmap[0].from;
	a->to = a->portmap[0].to;
	return true;
}

/* A port of no block: the last subscriber whose portmap of it ended in this second, if the answer does not name it. */
static void mention_ended(const struct who *w, const struct search *s, struct who_answer *a)
{
	const struct held *around = s->covers ? s->covers : s->ended;
	const uint32_t named[] = { a->portmap[0].in.addr, a->portmap[1].in.addr };
	const struct portmap_interval *last = NULL;

	if (s->best || a->ambiguous || !around)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(portmap_protos); i++) {
		const struct portmap_interval *v =
			who_portmap_ended(&w->portmaps, portmap_protos[i],
					  (struct endpoint){ s->addr, (uint16_t)s->port }, s->t, named, a->n_portmaps);

		if (v && (!last || v->line > last->line))
			last = v;
	}
	if (!last)
		return;
	a->ambiguous = true;
	a->other_addr = last->in.addr;
	a->other_in = around->in;
	a->other_out = around->out;
	a->other_from = last->from;
	a->other_to = last->to;
	memcpy(a->other_name, around->name, sizeof(a->other_name));
}

enum who_result who_ask(const struct who *w, struct endpoint out, int64_t t, struct who_answer *ret, struct error *why)
{
	struct search s = { .w = w, .port = out.port, .addr = out.addr, .t = t };
	struct who_answer answer = { 0 };
	bool found;

	look(w, &s);
	s.others = true;
	if (s.found > 1 || (s.found && !s.best))
		look(w, &s);
	if (s.other) {
		answer.ambiguous = true;
		answer.other_addr = s.other_in;
		answer.other_in = s.other->in;
		answer.other_out = s.other->out;
		answer.other_from = s.other_piece.from;
		answer.other_to = s.other_piece.to;
		memcpy(answer.other_name, s.other->name, sizeof(answer.other_name));
	}
	if (s.best) {
		answer.in_addr = s.best_in;
		answer.in = s.best->in;
		answer.out = s.best->out;
		answer.from = s.best_piece.from;
		answer.to = s.best_piece.to;
		memcpy(answer.name, s.best->name, sizeof(answer.name));
	}
	found = ask_portmaps(w, &s, &answer);
	mention_ended(w, &s, &answer);
	*ret = answer;
	return found ? WHO_FOUND : explain(w, &s, why);
}
