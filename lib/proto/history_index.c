/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/history_index.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

void history_index_init(struct history_index *x)
{
	*x = (struct history_index){
		.first_time = TIME_OPEN,
		.last_time = TIME_NONE,
		.listed_time = TIME_NONE,
		.hash = HASH_NONE,
	};
}

void history_index_free(struct history_index *x)
{
	free(x->intervals);
	free(x->open);
	history_portmaps_free(&x->portmaps);
	history_drains_free(&x->drains);
	free(x->gaps);
	free(x->damages);
	history_index_init(x);
}

/* Makes room for one more element; arrays grow at powers of two. */
static int make_room(void *array, size_t n, size_t size)
{
	void **at = array, *larger;

	if (n & (n - 1) || (n && n < 8))
		return 0;
	larger = realloc(*at, (n ? n * 2 : 8) * size);
	if (!larger)
		return -ENOMEM;
	*at = larger;
	return 0;
}

static bool same_mapping(const struct history_mapping *m, const struct history_interval *v)
{
	struct history_mapping of = history_mapping_of(v);

	return history_same(m, &of);
}

struct history_interval *history_index_find_open(const struct history_index *x, const struct history_mapping *m)
{
	for (size_t i = 0; i < x->n_open; i++) {
		struct history_interval *v = &x->intervals[x->open[i]];

		if (same_mapping(m, v))
			return v;
	}
	return NULL;
}

static int open_again(struct history_index *x, size_t number)
{
	if (make_room(&x->open, x->n_open, sizeof(*x->open)))
		return -ENOMEM;
	x->intervals[number].to = TIME_OPEN;
	x->intervals[number].end_line = 0;
	x->open[x->n_open++] = number;
	return 0;
}

static int begin_interval(struct history_index *x, const struct history_mapping *m)
{
	if (make_room(&x->intervals, x->n_intervals, sizeof(*x->intervals)))
		return -ENOMEM;
	x->intervals[x->n_intervals] = (struct history_interval){
		.in = m->in,
		.out = m->out,
		.open = m->open,
		.from = m->from,
		.reached = m->from,
		.line = x->number,
	};
	memcpy(x->intervals[x->n_intervals].name, m->name, sizeof(m->name));
	return open_again(x, x->n_intervals++);
}

static void end_interval(struct history_index *x, struct history_interval *v, int64_t to)
{
	size_t number = (size_t)(v - x->intervals);

	v->to = to > v->reached ? to : v->reached;
	v->end_line = x->number;
	for (size_t i = 0; i < x->n_open; i++) {
		if (x->open[i] == number) {
			x->open[i] = x->open[--x->n_open];
			break;
		}
	}
}

static void end_all(struct history_index *x, int64_t to)
{
	while (x->n_open)
		end_interval(x, &x->intervals[x->open[x->n_open - 1]], to);
}

static int add_gap(struct history_index *x, int64_t from, int64_t to, bool damage)
{
	if (make_room(&x->gaps, x->n_gaps, sizeof(*x->gaps)))
		return -ENOMEM;
	x->gaps[x->n_gaps++] = (struct history_gap){ from, to, damage };
	return 0;
}

/*
 * The last line cannot be trusted: mappings are taken to have held until the last good line; what follows is unknown.
 */
static int __attribute__((format(printf, 2, 3))) note_damage(struct history_index *x, const char *format, ...)
{
	struct history_damage *d;
	va_list ap;

	if (make_room(&x->damages, x->n_damages, sizeof(*x->damages)) ||
	    (!x->lost && add_gap(x, x->last_time, TIME_OPEN, true)))
		return -ENOMEM;
	d = &x->damages[x->n_damages++];
	d->line = x->lines;
	va_start(ap, format);
	vsnprintf(d->text, sizeof(d->text), format, ap);
	va_end(ap);
	end_all(x, x->last_time);
	history_portmaps_end(&x->portmaps, x->last_time, x->number);
	history_drains_end_all(&x->drains, x->last_time, x->number);
	x->lost = true;
	return 0;
}

static int take_add(struct history_index *x, const struct history_record *r)
{
	if (!history_index_find_open(x, &r->mapping))
		return begin_interval(x, &r->mapping);
	return x->lost ? 0 : note_damage(x, "adds a mapping that is there already");
}

/* A del record also says when its mapping began. What drained from it has ended. */
static int take_del(struct history_index *x, const struct history_record *r)
{
	struct history_interval *v = history_index_find_open(x, &r->mapping);
	int ret = 0;

	if (!v && !x->lost)
		return note_damage(x, "deletes a mapping that is not there");
	if (!v) {
		ret = begin_interval(x, &r->mapping);
		v = ret ? NULL : &x->intervals[x->n_intervals - 1];
	}
	if (v)
		end_interval(x, v, r->time);
	history_drains_end_of(&x->drains, r->mapping.in, r->mapping.out, r->time, x->number);
	return ret;
}

/* The agent lists mappings in the order they have here, but any order is accepted. */
static bool lists_what_is_open(const struct history_index *x, const struct history_record *r)
{
	if (r->n_mappings != x->n_open)
		return false;
	for (size_t i = 0; i < r->n_mappings; i++) {
		const struct history_mapping *m = &r->mappings[i];

		if (!same_mapping(m, &x->intervals[x->open[i]]) && !history_index_find_open(x, m))
			return false;
	}
	return true;
}

/* Mappings may have got other names since the last list. */
static void take_names(struct history_index *x, const struct history_record *r)
{
	for (size_t i = 0; i < r->n_mappings; i++) {
		const struct history_mapping *m = &r->mappings[i];
		struct history_interval *v = &x->intervals[x->open[i]];

		if (!same_mapping(m, v))
			v = history_index_find_open(x, m);
		if (v)
			memcpy(v->name, m->name, sizeof(v->name));
	}
}

/* Opens an interval for each listed mapping; none is open before. */
static int take_list(struct history_index *x, const struct history_record *r)
{
	int ret = 0;

	for (size_t i = 0; i < r->n_mappings && !ret; i++)
		ret = begin_interval(x, &r->mappings[i]);
	return ret;
}

static int take_snapshot(struct history_index *x, const struct history_record *r)
{
	bool unknown = r->event == EVENT_START && r->since != TIME_NONE;
	int ret = 0;

	x->listed_time = r->time;
	if (!unknown && !x->lost) {
		if (lists_what_is_open(x, r)) {
			take_names(x, r);
			return 0;
		}
		ret = note_damage(x, "lists other mappings than the lines before it");
	} else if (unknown && !x->lost && r->since < r->time) {
		ret = add_gap(x, r->since, r->time, false);
	}
	if (ret)
		return ret;
	end_all(x, unknown ? r->since : x->last_time);
	if (x->lost)
		x->gaps[x->n_gaps - 1].to = r->time;
	x->lost = false;
	return take_list(x, r);
}

/* Where what was mapped is not known, the list alone tells of portmaps and drains; elsewhere it says nothing new. */
static int take_listed_others(struct history_index *x, const struct history_record *r, bool was_lost)
{
	bool unknown = r->event == EVENT_START && r->since != TIME_NONE;
	int ret = 0;

	if (!unknown && !was_lost)
		return 0;
	history_portmaps_end(&x->portmaps, unknown ? r->since : x->last_time, r->line);
	for (size_t i = 0; i < r->n_portmaps && !ret; i++)
		ret = history_portmaps_take(&x->portmaps, &r->portmaps[i], TIME_OPEN, r->line);
	history_drains_end_all(&x->drains, unknown ? r->since : x->last_time, r->line);
	for (size_t i = 0; i < r->n_drains && !ret; i++)
		ret = history_drains_begin(&x->drains, &r->drains[i], r->line);
	return ret;
}

static int take_start_or_daily(struct history_index *x, const struct history_record *r)
{
	bool was_lost = x->lost;
	int ret = take_snapshot(x, r);

	return ret ? ret : take_listed_others(x, r, was_lost);
}

/* Undoes the change recorded in one line. Returns false if that line has no such change. */
static bool undo_line(struct history_index *x, uint64_t line, int *ret)
{
	/* The end of a mapping ends what drained from it, too. */
	bool found = history_drains_undo(&x->drains, line, ret);

	if (*ret)
		return found;
	for (size_t i = x->n_intervals; i-- > 0;) {
		struct history_interval *v = &x->intervals[i];

		if (v->line == line && !v->undone && v->to == TIME_OPEN) {
			end_interval(x, v, v->from);
			v->undone = true;
			return true;
		}
		if (v->end_line == line && !v->undone) {
			*ret = open_again(x, i);
			return true;
		}
	}
	return history_portmaps_undo(&x->portmaps, line) || found;
}

static int take_undo(struct history_index *x, const struct history_record *r)
{
	int ret = 0;

	if (x->lost)
		return 0;
	if (!r->first || r->last < r->first || r->last >= x->number)
		return note_damage(x, "takes back lines that are not before it");
	for (uint64_t line = r->last; line >= r->first && !ret; line--)
		if (!undo_line(x, line, &ret))
			return note_damage(x, "takes back line %" PRIu64 ", which is no change that holds", line);
	return ret;
}

/*
 * The clock was set back, so times from now on occur for a second time. A mapping that holds by the old and the new
 * clock goes on; one that began at a time that is now in the future ends, and begins anew.
 */
static int take_clock(struct history_index *x, const struct history_record *r)
{
	size_t n = x->n_open;
	int ret = 0;

	for (size_t i = 0; i < n; i++) {
		struct history_interval *v = &x->intervals[x->open[i]];

		if (r->since > v->reached)
			v->reached = r->since;
	}
	for (size_t i = n; i-- > 0 && !ret;) {
		struct history_interval *v = &x->intervals[x->open[i]];
		struct history_mapping again = history_mapping_of(v);

		if (v->from <= r->time)
			continue;
		again.from = r->time;
		end_interval(x, v, r->since);
		ret = begin_interval(x, &again);
	}
	if (!ret)
		ret = history_drains_set_back(&x->drains, r->since, r->time, x->number);
	if (x->listed_time > r->time)
		x->listed_time = r->time;
	return ret;
}

static int take(struct history_index *x, const struct history_record *r)
{
	switch (r->event) {
	case EVENT_START:
	case EVENT_DAILY:
		return take_start_or_daily(x, r);
	case EVENT_ADD:
		return take_add(x, r);
	case EVENT_DEL:
		return take_del(x, r);
	case EVENT_UNDO:
		return take_undo(x, r);
	case EVENT_CLOCK:
		return take_clock(x, r);
	case EVENT_PORTMAP:
		return history_portmaps_take(&x->portmaps, &r->portmap, r->ends ? r->time : TIME_OPEN, x->number);
	case EVENT_RETIRE:
		return history_drains_begin(&x->drains, &r->drain, x->number);
	case EVENT_DRAINED:
		return history_drains_end(&x->drains, &r->drain, r->time, x->number);
	case EVENT_DETACH:
		end_all(x, r->time);
		history_drains_end_all(&x->drains, r->time, x->number);
		history_portmaps_end(&x->portmaps, r->time, x->number);
		break;
	case EVENT_STOP:
		break;
	}
	return 0;
}

/* Checks the position of a record. Returns 0, or 1 with err saying what is wrong. */
static int misplaced(const struct history_index *x, const struct history_record *r, int hash, struct error *err)
{
	uint64_t expected = x->number + 1;

	if (hash == -EINVAL)
		return error_set(err, 1, "has no checksum");
	if (hash && r->line > expected)
		return error_set(err, 1, "is number %" PRIu64 ": %" PRIu64 " before it %s missing", r->line,
				 r->line - expected, r->line - expected == 1 ? "is" : "are");
	if (r->line != expected)
		return error_set(err, 1, "is number %" PRIu64 ", and %" PRIu64 " belongs here", r->line, expected);
	if (hash)
		return error_set(err, 1, "was changed, or the end of the line before it: its checksum is wrong");
	if (r->time < x->last_time && r->event != EVENT_CLOCK && !x->lost)
		return error_set(err, 1, "is of an earlier time than the line before it");
	return 0;
}

/* Whether an event says that something changes, which a kill may prevent. */
static bool is_change(enum history_event e)
{
	return e == EVENT_ADD || e == EVENT_DEL || e == EVENT_PORTMAP || e == EVENT_RETIRE || e == EVENT_DRAINED;
}

static int take_record(struct history_index *x, const struct history_record *r)
{
	int ret;

	if (x->first_time > r->time)
		x->first_time = r->time;
	if (is_change(r->event) && (x->last_change <= x->settled || r->time != x->last_time))
		x->last_change = r->line;
	if (!is_change(r->event) && r->event != EVENT_CLOCK)
		x->settled = r->line;
	ret = take(x, r);
	x->last_time = r->time;
	return ret;
}

int history_index_feed(struct history_index *x, const char *line, size_t size)
{
	struct history_record r = { 0 };
	struct error err = { 0 };
	int hash = history_hash_check(line, size, x->hash, x->hash);
	int ret = history_record_read(line, size, &r, &err);
	bool wrong = ret || misplaced(x, &r, hash, &err);

	if (ret == -ENOMEM)
		return ret;
	x->lines++;
	x->number = ret ? x->number + 1 : r.line;
	ret = wrong ? note_damage(x, "%s", err.text) : take_record(x, &r);
	history_record_free(&r);
	return ret;
}

int history_index_feed_all(struct history_index *x, const char *text, size_t size, size_t *ret_used)
{
	const char *at = text, *end = text + size, *newline;
	int r = 0;

	while (!r && at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
		r = history_index_feed(x, at, (size_t)(newline - at));
		at = newline + 1;
	}
	if (ret_used)
		*ret_used = (size_t)(at - text);
	return r;
}
