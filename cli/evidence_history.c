// SPDX-License-Identifier: BSD-2-Clause
/* The lines of the mapping history that decide an answer. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array_grow.h"
#include "base/cleanup.h"
#include "base/json_scan.h"
#include "base/withheld.h"
#include "evidence_decides.h"
#include "history/history_grant_days.h"
#include "json_get.h"

/* How much is looked at, in this order, until it gives the answer. */
enum reach {
	OF_THE_TIME,  /* what held around that second */
	WITH_LISTS,   /* and lists, which may say another name */
	OF_ALL_TIMES, /* what held at any time */
};

struct line {
	const char *text;
	size_t size;
};

struct choice {
	const struct evidence_question *q;
	const struct history_index *x;
	struct endpoint out;
	int64_t from, to;
	enum reach reach;
	struct line *line; /* of number i + 1 */
	size_t n;
	bool *keep;
	uint32_t *in; /* subscribers that the question may be about */
	size_t n_in, in_room;
};

/* ---- The lines, and what they are of */

static int split(struct choice *c)
{
	const char *at = c->q->files->text, *end = at + c->q->files->size - c->q->files->torn;

	c->line = calloc(c->x->lines + 1, sizeof(*c->line));
	c->keep = calloc(c->x->lines + 1, sizeof(*c->keep));
	if (!c->line || !c->keep)
		return -ENOMEM;
	for (const char *newline; at < end && c->n < c->x->lines; at = newline + 1) {
		newline = memchr(at, '\n', (size_t)(end - at));
		c->line[c->n++] = (struct line){ at, (size_t)(newline - at) };
	}
	return c->n == c->x->lines ? 0 : -EINVAL;
}

/* The word stands near the beginning, before any text of others. */
static bool is_event(struct line l, enum history_event event)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "\"event\":\"%s\"", history_event_word(event));

	return memmem(l.text, l.size < 120 ? l.size : 120, text, (size_t)n);
}

static bool is_list(struct line l)
{
	return is_event(l, EVENT_START) || is_event(l, EVENT_DAILY);
}

/* A part of a list of grants. */
static bool is_part(struct line l)
{
	return memmem(l.text, l.size < 120 ? l.size : 120, "\"event\":\"grants", 16);
}

static uint64_t number_after(struct line l, const char *key)
{
	const char *at = memmem(l.text, l.size, key, strlen(key));

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static void keep(struct choice *c, uint64_t number)
{
	if (number && number <= c->n)
		c->keep[number - 1] = true;
}

/* ---- What the answer may follow from */

static bool touches(const struct choice *c, const struct history_span *v)
{
	const struct history_moment *m = c->x->times.moment;

	return c->reach == OF_ALL_TIMES ||
	       (m[v->begin].early <= c->to && (v->end == MOMENT_NONE || m[v->end].late >= c->from));
}

/* The last list before the end of a mapping says its name. */
static void keep_name(struct choice *c, const struct history_span *v)
{
	uint64_t number = v->end_line ? v->end_line - 1 : c->n;

	while (number > v->line && !is_list(c->line[number - 1]))
		number--;
	keep(c, number);
}

/* An end that was recorded and taken back is one of the changes up to the line that says so. */
static void keep_pause(struct choice *c, uint64_t number)
{
	for (; number && number <= c->n && !is_event(c->line[number - 1], EVENT_UNDO); number++)
		keep(c, number);
}

static void keep_span(struct choice *c, enum fact_kind kind, const struct history_facts *f, size_t i)
{
	const struct history_span *v = history_facts_number(kind, f, i);

	keep(c, v->line);
	keep(c, v->end_line);
	for (size_t k = 0; k < f->pauses.n; k++)
		if (f->pauses.at[k].of == i)
			keep_pause(c, c->x->times.moment[f->pauses.at[k].begin].line);
	if (kind == FACT_MAPPING && c->reach >= WITH_LISTS)
		keep_name(c, v);
}

static int note_inside(struct choice *c, uint32_t in)
{
	for (size_t i = 0; i < c->n_in; i++)
		if (c->in[i] == in)
			return 0;
	if (array_grow(&c->in, c->n_in, &c->in_room, sizeof(*c->in)))
		return -ENOMEM;
	c->in[c->n_in++] = in;
	return 0;
}

static bool has_inside(const struct choice *c, struct prefix p)
{
	for (size_t i = 0; i < c->n_in; i++)
		if (prefix_holds(p, c->in[i]))
			return true;
	return false;
}

/* A mapping that has the outside address, and the subscriber that has the port in it. */
static int note_mapping(struct choice *c, const struct history_mapping *m)
{
	struct geometry g;
	int64_t subscriber;

	if (prefix_is_none(m->out) || !prefix_holds(m->out, c->out.addr) ||
	    plan_blocks_geometry(m->in, m->out, &m->blocks, &g))
		return 0;
	subscriber = m->open ? (int64_t)c->out.addr - g.out_base : mapping_reverse(&g, c->out.addr, c->out.port);
	return subscriber < 0 ? 0 : note_inside(c, g.in_base + (uint32_t)subscriber);
}

static bool has_port(const struct choice *c, const struct history_grant *g)
{
	return g->out == c->out.addr && c->out.port >= g->port_lo && c->out.port - g->port_lo < g->ports;
}

static int note_subscribers(struct choice *c)
{
	const struct history_index *x = c->x;
	int r = 0;

	for (size_t i = 0; i < x->mappings.n && !r; i++)
		r = touches(c, &x->mappings.interval[i].span) ? note_mapping(c, &x->mappings.interval[i].mapping) : 0;
	for (size_t i = 0; i < x->portmaps.n && !r; i++) {
		const struct portmap_interval *v = &x->portmaps.interval[i];

		if (v->portmap.out.addr != c->out.addr || v->portmap.out.first != c->out.port || !touches(c, &v->span))
			continue;
		keep_span(c, FACT_PORTMAP, &x->portmaps.facts, i);
		r = note_inside(c, v->portmap.in.addr);
	}
	for (size_t i = 0; i < x->grants.n && !r; i++) {
		const struct grant_interval *v = &x->grants.interval[i];

		bool unknown = history_grant_unknown(&v->grant);

		if ((!unknown && !has_port(c, &v->grant)) || !touches(c, &v->span))
			continue;
		keep_span(c, FACT_GRANT, &x->grants.facts, i);
		r = unknown ? 0 : note_inside(c, v->grant.in);
	}
	return r;
}

/* The mappings of the address, exceptions that have the same subscriber, and drains of both. */
static void keep_mappings(struct choice *c)
{
	const struct history_index *x = c->x;

	for (size_t i = 0; i < x->mappings.n; i++) {
		const struct history_interval *v = &x->mappings.interval[i];
		bool outside = !prefix_is_none(v->mapping.out) && prefix_holds(v->mapping.out, c->out.addr);

		if ((outside || has_inside(c, v->mapping.in)) && touches(c, &v->span))
			keep_span(c, FACT_MAPPING, &x->mappings.facts, i);
	}
	for (size_t i = 0; i < x->drains.n; i++)
		if (has_inside(c, x->drains.interval[i].drain.of) && touches(c, &x->drains.interval[i].span))
			keep_span(c, FACT_DRAIN, &x->drains.facts, i);
	for (size_t i = 0; i < x->gaps.n; i++) {
		const struct history_gap *g = &x->gaps.at[i];

		if (c->reach < OF_ALL_TIMES && (g->from > c->to || g->to < c->from))
			continue;
		keep(c, x->times.moment[g->begin].line);
		keep(c, g->end == MOMENT_NONE ? 0 : x->times.moment[g->end].line);
	}
}

/* When a change took effect, by its confirmation, or at the latest when a list was made or something taken back. */
static void keep_confirmation(struct choice *c, size_t i)
{
	bool settled = false, confirmed = false;

	for (size_t k = i + 1; k < c->n && !confirmed; k++) {
		struct line l = c->line[k];
		bool undo = is_event(l, EVENT_UNDO), confirm = is_event(l, EVENT_CONFIRM);
		bool about = (undo || confirm) && number_after(l, "\"first\":") <= i + 1 &&
			     number_after(l, "\"last\":") >= i + 1;

		confirmed = confirm && about;
		if (about || (!settled && (undo || is_list(l))))
			keep(c, k + 1);
		settled |= undo || is_list(l);
	}
}

/* The parts of a list that have grants of the port, which are in the lines before it. */
static void keep_grants(struct choice *c, size_t list)
{
	for (size_t i = list; i-- > 0 && is_part(c->line[i]);) {
		struct history_record r = { 0 };
		struct error err;
		uint32_t missed;

		if (history_record_read(c->line[i].text, c->line[i].size, &r, &err))
			continue;
		grant_days_resolve(c->x->days, &r, &missed, &err);
		for (size_t k = 0; k < r.n_grants; k++)
			c->keep[i] |= has_port(c, &r.grants[k]);
		history_record_free(&r);
	}
}

static void keep_around(struct choice *c)
{
	_cleanup_free_ bool *first = malloc(c->n + 1);

	if (!first)
		return;
	memcpy(first, c->keep, c->n);
	for (size_t i = 0; i < c->n; i++) {
		if (is_event(c->line[i], EVENT_CLOCK))
			keep(c, i + 1);
		if (!first[i])
			continue;
		if (is_list(c->line[i]))
			keep_grants(c, i);
		else
			keep_confirmation(c, i);
	}
}

static int list(struct choice *c, enum reach reach)
{
	int r;

	c->reach = reach;
	c->n_in = 0;
	memset(c->keep, false, c->n);
	r = note_subscribers(c);
	if (r)
		return r;
	keep_mappings(c);
	if (reach == OF_ALL_TIMES) {
		keep(c, 1);
		keep(c, c->n);
		/* Of a port below all blocks the answer says whether any portmap was there. */
		keep(c, c->x->portmaps.n ? c->x->portmaps.interval[0].line : 0);
	}
	keep_around(c);
	return 0;
}

/* ---- Whether some of it is enough */

static int64_t time_of(struct line l)
{
	const char *at = memmem(l.text, l.size, "\"time\":\"", 8);
	char text[TIME_TEXT] = "";
	int64_t t = TIME_NONE;

	if (at && (size_t)(l.text + l.size - at) > 8 + TIME_TEXT)
		memcpy(text, at + 8, strlen("2026-01-31T10:00:00Z"));
	return time_parse(text, &t) ? TIME_NONE : t;
}

/* The clock was set back to the time of that line: a run of lines does not go beyond it, as all else is in order. */
static bool steps_back(const struct choice *c, size_t i)
{
	return i && i < c->n && time_of(c->line[i]) < time_of(c->line[i - 1]);
}

/* The lines from one to another, both included; they count from 0. */
static void withhold(const struct choice *c, FILE *out, size_t first, size_t last, bool *clock)
{
	struct withheld w = { .line = first + 1,
			      .lines = last - first + 1,
			      .from = time_of(c->line[first]),
			      .to = time_of(c->line[last]),
			      .set_back = steps_back(c, first) };

	if (!*clock)
		w.clock = history_clocks_at(&c->x->clocks, c->q->t);
	*clock = true;
	chain_check(c->line[last].text, c->line[last].size, HASH_NONE, w.hash);
	withheld_write(out, &w);
	fputc('\n', out);
}

/* The line that the head names ends what is withheld, so that it is found. */
static int write_text(const struct choice *c, char **ret, size_t *ret_size)
{
	FILE *out = open_memstream(ret, ret_size);
	bool clock = false;
	size_t begin = 0;

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i <= c->n; i++) {
		bool ends = i == c->n || c->keep[i] || i == c->q->files->head.line || steps_back(c, i);

		if (ends && begin < i)
			withhold(c, out, begin, i - 1, &clock);
		if (ends)
			begin = i;
		if (i == c->n || !c->keep[i])
			continue;
		fwrite(c->line[i].text, 1, c->line[i].size + 1, out);
		begin = i + 1;
	}
	return fclose(out) ? -ENOMEM : 0;
}

static bool is_enough(void *arg)
{
	const struct choice *c = arg;
	_cleanup_free_ char *text = NULL;
	size_t size;

	return !write_text(c, &text, &size) && evidence_same_history(c->q, text, size);
}

/* Lists, which name all that there is, go first; then those of subscribers. */
static int reduce(struct choice *c)
{
	_cleanup_free_ size_t *order = calloc(c->n + 1, sizeof(*order));
	size_t n = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < c->n; i++)
		if (c->keep[i] && (is_list(c->line[i]) || is_part(c->line[i])))
			order[n++] = i;
	evidence_reduce(order, n, c->keep, is_enough, c);
	n = 0;
	for (size_t i = 0; i < c->n; i++)
		if (c->keep[i])
			order[n++] = i;
	evidence_reduce(order, n, c->keep, is_enough, c);
	return 0;
}

static int choose(struct choice *c, bool *ret_enough)
{
	int r = split(c);

	*ret_enough = false;
	for (enum reach reach = OF_THE_TIME; reach <= OF_ALL_TIMES && !r && !*ret_enough; reach++) {
		r = list(c, reach);
		*ret_enough = !r && is_enough(c);
	}
	return r || !*ret_enough ? r : reduce(c);
}

static int copy(const struct history_files *f, char **ret, size_t *ret_size)
{
	*ret_size = f->size - f->torn;
	*ret = malloc(*ret_size + 1);
	if (!*ret)
		return -ENOMEM;
	memcpy(*ret, f->text, *ret_size);
	return 0;
}

int evidence_grants(const struct evidence_question *q, const char *text, size_t size, char **ret, size_t *ret_size)
{
	FILE *out = open_memstream(ret, ret_size);
	const char *at = text, *newline;
	int r = 0;

	if (!out)
		return -ENOMEM;
	for (; !r && (newline = memchr(at, '\n', size - (size_t)(at - text))); at = newline + 1) {
		struct history_record record = { 0 };
		struct error ignored;

		if (!history_record_read(at, (size_t)(newline - at), &record, &ignored))
			r = grant_days_copy(q->files->days, &record, out);
		history_record_free(&record);
	}
	return fclose(out) && !r ? -ENOMEM : r;
}

int evidence_history(const struct evidence_question *q, char **ret, size_t *ret_size)
{
	_cleanup_json_ cJSON *answer = cJSON_Parse(q->answer);
	const struct history_index *x = &q->files->index;
	int64_t margin = evidence_margin(answer);
	struct choice c = { .q = q, .x = x, .from = q->t - margin, .to = q->t + margin };
	bool enough = false;
	int r = 0;

	/* Damage has its place among all lines. */
	if (!x->n_damages && x->lines == x->number && !endpoint_parse(q->endpoint, &c.out))
		r = choose(&c, &enough);
	if (!r)
		r = enough ? write_text(&c, ret, ret_size) : copy(q->files, ret, ret_size);
	free(c.line);
	free(c.keep);
	free(c.in);
	return r;
}
