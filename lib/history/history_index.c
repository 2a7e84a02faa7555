/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_gaps.h"
#include "history/history_index.h"

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
	free(x->pauses.at);
	free(x->open);
	history_portmaps_free(&x->portmaps);
	history_drains_free(&x->drains);
	history_times_free(&x->times);
	free(x->gaps.at);
	free(x->damages);
	history_index_init(x);
}

static int open_again(struct history_index *x, size_t number)
{
	if (history_grow(&x->open, x->n_open, sizeof(*x->open)))
		return -ENOMEM;
	x->intervals[number].to = TIME_OPEN;
	x->intervals[number].end = MOMENT_NONE;
	x->intervals[number].end_line = 0;
	x->open[x->n_open++] = number;
	return 0;
}

static int begin_interval(struct history_index *x, const struct history_mapping *m, uint32_t begin)
{
	if (history_grow(&x->intervals, x->n_intervals, sizeof(*x->intervals)))
		return -ENOMEM;
	x->intervals[x->n_intervals] = (struct history_interval){
		.in = m->in,
		.out = m->out,
		.open = m->open,
		.blocks = m->blocks,
		.begin = begin,
		.from = m->from,
		.line = x->number,
	};
	memcpy(x->intervals[x->n_intervals].name, m->name, sizeof(m->name));
	return open_again(x, x->n_intervals++);
}

static void end_interval(struct history_index *x, struct history_interval *v, struct history_at at)
{
	size_t number = (size_t)(v - x->intervals);

	v->to = at.time;
	v->end = at.moment;
	v->end_line = at.line;
	for (size_t i = 0; i < x->n_open; i++) {
		if (x->open[i] == number) {
			x->open[i] = x->open[--x->n_open];
			break;
		}
	}
}

/* Ends all intervals at a moment: events not known to have happened by then may have. */
static void end_all_at(struct history_index *x, int64_t time, uint32_t moment)
{
	struct history_at at = { x->number, time, moment };

	history_times_settle_at(&x->times, moment);
	while (x->n_open)
		end_interval(x, &x->intervals[x->open[x->n_open - 1]], at);
	history_portmaps_end(&x->portmaps, at);
	history_drains_end_all(&x->drains, at);
}

/* The same in the present reckoning of the clock. 0 or -ENOMEM. */
static int end_all(struct history_index *x, int64_t time)
{
	uint32_t moment;

	history_times_settle(&x->times, time);
	if (!x->n_open && !x->portmaps.open.n && !x->drains.n_open)
		return 0;
	moment = history_times_add(&x->times, time, time, x->number);
	if (moment == MOMENT_NONE)
		return -ENOMEM;
	end_all_at(x, time, moment);
	return 0;
}

/* Begins a gap at a time of the present reckoning. 0 or -ENOMEM. */
static int begin_gap(struct history_index *x, int64_t from, bool damage)
{
	return history_gaps_begin(&x->gaps, from, history_times_add(&x->times, from, from, x->number), damage);
}

int history_index_lose(struct history_index *x, int64_t since)
{
	return !x->lost && begin_gap(x, since, false) ? -ENOMEM : end_all(x, since);
}

static int end_gap(struct history_index *x, const struct history_record *r)
{
	return history_gaps_end(&x->gaps, r->time, history_times_add(&x->times, r->time, r->time, r->line));
}

/*
 * The last line cannot be trusted: mappings are assumed to have held until the last good line; the time after it is
 * unknown.
 */
static int __attribute__((format(printf, 2, 3))) note_damage(struct history_index *x, const char *format, ...)
{
	struct history_damage *d;
	va_list ap;

	if (history_grow(&x->damages, x->n_damages, sizeof(*x->damages)) ||
	    (!x->lost && begin_gap(x, x->last_time, true)))
		return -ENOMEM;
	d = &x->damages[x->n_damages++];
	d->line = x->lines;
	va_start(ap, format);
	vsnprintf(d->text, sizeof(d->text), format, ap);
	va_end(ap);
	x->lost = true;
	x->in_change = false;
	return end_all(x, x->last_time);
}

/* The moment for the time of a beginning that a record names and earlier records lack. MOMENT_NONE if out of memory. */
static uint32_t past(struct history_index *x, int64_t from, struct history_at at)
{
	return from == at.time ? at.moment : history_times_add_past(&x->times, from, at.time, at.line);
}

static int take_add(struct history_index *x, const struct history_record *r, struct history_at at)
{
	if (!history_index_find_open(x, &r->mapping))
		return begin_interval(x, &r->mapping, at.moment);
	return x->lost ? 0 : note_damage(x, "adds a mapping that is there already");
}

/* A del record also contains the beginning of its mapping. Ends the drains from it. */
static int take_del(struct history_index *x, const struct history_record *r, struct history_at at)
{
	struct history_interval *v = history_index_find_open(x, &r->mapping);

	if (!v && !x->lost)
		return note_damage(x, "deletes a mapping that is not there");
	if (!v) {
		uint32_t begin = past(x, r->mapping.from, at);

		if (begin == MOMENT_NONE || begin_interval(x, &r->mapping, begin))
			return -ENOMEM;
		v = &x->intervals[x->n_intervals - 1];
	}
	end_interval(x, v, at);
	history_drains_end_of(&x->drains, r->mapping.in, r->mapping.out, at);
	return 0;
}

static int take_portmap(struct history_index *x, const struct history_record *r, struct history_at at)
{
	uint32_t begin = r->ends && x->lost ? past(x, r->portmap.from, at) : at.moment;

	return begin == MOMENT_NONE ? -ENOMEM : history_portmaps_take(&x->portmaps, &r->portmap, r->ends, begin, at);
}

static int take_drained(struct history_index *x, const struct history_record *r, struct history_at at)
{
	uint32_t begin = x->lost ? past(x, r->drain.from, at) : at.moment;

	return begin == MOMENT_NONE ? -ENOMEM : history_drains_end(&x->drains, &r->drain, begin, at);
}

/* The agent lists mappings in the order of this index, but any order is accepted. */
static bool lists_what_is_open(const struct history_index *x, const struct history_record *r)
{
	if (r->n_mappings != x->n_open)
		return false;
	for (size_t i = 0; i < r->n_mappings; i++) {
		const struct history_mapping *m = &r->mappings[i];

		if (!history_interval_is(m, &x->intervals[x->open[i]]) && !history_index_find_open(x, m))
			return false;
	}
	return true;
}

/* Mappings may have been renamed since the last list. */
static void take_names(struct history_index *x, const struct history_record *r)
{
	for (size_t i = 0; i < r->n_mappings; i++) {
		const struct history_mapping *m = &r->mappings[i];
		struct history_interval *v = &x->intervals[x->open[i]];

		if (!history_interval_is(m, v))
			v = history_index_find_open(x, m);
		if (v)
			memcpy(v->name, m->name, sizeof(v->name));
	}
}

/* Begins the listed mappings; none holds before. */
static int take_list(struct history_index *x, const struct history_record *r)
{
	struct history_at at = { r->line, r->time, history_times_add(&x->times, r->time, r->time, r->line) };
	int ret = at.moment == MOMENT_NONE ? -ENOMEM : 0;

	for (size_t i = 0; i < r->n_mappings && !ret; i++) {
		uint32_t begin = past(x, r->mappings[i].from, at);

		ret = begin == MOMENT_NONE ? -ENOMEM : begin_interval(x, &r->mappings[i], begin);
	}
	for (size_t i = 0; i < r->n_portmaps && !ret; i++) {
		uint32_t begin = past(x, r->portmaps[i].from, at);

		ret = begin == MOMENT_NONE ? -ENOMEM
					   : history_portmaps_take(&x->portmaps, &r->portmaps[i], false, begin, at);
	}
	for (size_t i = 0; i < r->n_drains && !ret; i++) {
		uint32_t begin = past(x, r->drains[i].from, at);

		ret = begin == MOMENT_NONE ? -ENOMEM : history_drains_begin(&x->drains, &r->drains[i], begin, at);
	}
	return ret;
}

static bool lists_anything(const struct history_record *r)
{
	return r->n_mappings || r->n_portmaps || r->n_drains;
}

/* Earlier intervals ended at an unknown time, between the one that the record names and now. 0 or -ENOMEM. */
static int take_unknown(struct history_index *x, const struct history_record *r)
{
	struct history_times *t = &x->times;
	uint32_t moment = history_times_add_past(t, r->since, r->time, r->line);

	if (moment == MOMENT_NONE)
		return -ENOMEM;
	end_all_at(x, r->since, moment);
	if (x->lost || (r->since >= r->time && t->moment[moment].epoch == t->n_epochs - 1))
		return 0;
	return history_gaps_begin(&x->gaps, r->since, moment, false) || end_gap(x, r) ? -ENOMEM : 0;
}

static int take_start_or_daily(struct history_index *x, const struct history_record *r)
{
	bool unknown = r->event == EVENT_START && r->since != TIME_NONE, first = x->lines == 1;
	int ret = 0;

	x->listed_time = r->time;
	x->format = r->event == EVENT_START ? r->format : x->format;
	if (!unknown && !x->lost && !first) {
		if (lists_what_is_open(x, r)) {
			take_names(x, r);
			history_times_settle(&x->times, r->time);
			return 0;
		}
		ret = note_damage(x, "lists other mappings than the lines before it");
	} else if (first && lists_anything(r)) {
		/* It existed before, since an unknown time. */
		ret = begin_gap(x, TIME_NONE, false) || end_gap(x, r) ? -ENOMEM : 0;
	}
	if (!ret)
		ret = unknown ? take_unknown(x, r) : end_all(x, first ? r->time : x->last_time);
	if (!ret && x->lost)
		ret = end_gap(x, r);
	if (ret)
		return ret;
	x->lost = false;
	return take_list(x, r);
}

/* Undoes the beginning of an interval, or its end. */
static int undo_interval(struct history_index *x, size_t number, bool begun, struct history_at at)
{
	struct history_interval *v = &x->intervals[number];

	at.moment = history_times_undo(&x->times, begun ? v->begin : v->end, at.time, at.line);
	if (at.moment == MOMENT_NONE)
		return -ENOMEM;
	if (!begun)
		return history_pauses_add(&x->pauses, number, v->end, at.moment) ? -ENOMEM : open_again(x, number);
	end_interval(x, v, at);
	v->undone = true;
	return 0;
}

/* Undoes the change recorded in one line. Returns false if that line has no such change. */
static bool undo_line(struct history_index *x, uint64_t line, struct history_at at, int *ret)
{
	/* The end of a mapping also ends its drains. */
	bool found = history_drains_undo(&x->drains, &x->times, line, at, ret);

	if (*ret)
		return found;
	at.line = line;
	for (size_t i = x->n_intervals; i-- > 0;) {
		const struct history_interval *v = &x->intervals[i];
		bool begun = v->line == line && v->to == TIME_OPEN;

		if (v->undone || (!begun && v->end_line != line))
			continue;
		*ret = undo_interval(x, i, begun, at);
		return true;
	}
	return history_portmaps_undo(&x->portmaps, &x->times, line, at, ret) || found;
}

/* After damage, known lines are also taken back: nothing else shows that they did not take effect. */
static int take_undo(struct history_index *x, const struct history_record *r, struct history_at at)
{
	int ret = 0;

	/* The tables were compared with the records. */
	at.time = r->until;
	history_times_settle(&x->times, r->until);
	if (!r->first || r->last < r->first || r->last >= x->number)
		return x->lost ? 0 : note_damage(x, "takes back lines that are not before it");
	for (uint64_t line = r->last; line >= r->first && !ret; line--)
		if (!undo_line(x, line, at, &ret) && !x->lost)
			return note_damage(x, "takes back line %" PRIu64 ", which is no change that holds", line);
	return ret;
}

static int take_clock(struct history_index *x, const struct history_record *r)
{
	if (x->listed_time > r->time)
		x->listed_time = r->time;
	return history_times_set(&x->times, r->since, r->after);
}

static int take_confirm(struct history_index *x, const struct history_record *r)
{
	x->format = x->format > HISTORY_FORMAT_CONFIRMS ? x->format : HISTORY_FORMAT_CONFIRMS;
	history_times_confirm(&x->times, r->first, r->last, r->until);
	return 0;
}

static int take(struct history_index *x, const struct history_record *r, struct history_at at)
{
	switch (r->event) {
	case EVENT_START:
	case EVENT_DAILY:
		return take_start_or_daily(x, r);
	case EVENT_ADD:
		return take_add(x, r, at);
	case EVENT_DEL:
		return take_del(x, r, at);
	case EVENT_UNDO:
		return take_undo(x, r, at);
	case EVENT_CONFIRM:
		return take_confirm(x, r);
	case EVENT_CLOCK:
		return take_clock(x, r);
	case EVENT_PORTMAP:
		return take_portmap(x, r, at);
	case EVENT_RETIRE:
		return history_drains_begin(&x->drains, &r->drain, at.moment, at);
	case EVENT_DRAINED:
		return take_drained(x, r, at);
	case EVENT_DETACH:
		return end_all(x, r->time);
	case EVENT_STOP:
		break;
	}
	return 0;
}

/* Checks the position of a record. Returns 0, or 1 with err naming the fault. */
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

/* Whether an event records a change, which a kill may prevent. */
static bool is_change(enum history_event e)
{
	return e == EVENT_ADD || e == EVENT_DEL || e == EVENT_PORTMAP || e == EVENT_RETIRE || e == EVENT_DRAINED;
}

/* Before format 3, the time of a change that took effect in the second after its record was not corrected. */
#define UNCONFIRMED_S 1

/* The moment of a record. Records of one change share it if the change's confirmation separates it from the next. */
static int moment_of(struct history_index *x, const struct history_record *r, bool goes_on, uint32_t *ret)
{
	struct history_times *t = &x->times;
	bool confirms = x->format >= HISTORY_FORMAT_CONFIRMS;

	if (goes_on && confirms) {
		*ret = x->moment;
		return 0;
	}
	*ret = history_times_add(t, r->time, confirms ? TIME_OPEN : r->time + UNCONFIRMED_S, r->line);
	if (*ret == MOMENT_NONE)
		return -ENOMEM;
	if (goes_on)
		t->moment[*ret].run = t->moment[x->moment].run;
	x->moment = *ret;
	return 0;
}

static int take_record(struct history_index *x, const struct history_record *r)
{
	struct history_at at = { r->line, r->time, MOMENT_NONE };
	bool change = is_change(r->event), goes_on = change && x->in_change && r->time == x->last_time;
	int ret = 0;

	if (x->first_time > r->time)
		x->first_time = r->time;
	if (change && !goes_on)
		x->last_change = r->line;
	if (change)
		x->change_end = r->line;
	if (!change && r->event != EVENT_CLOCK)
		x->settled = r->line;
	if (change)
		ret = moment_of(x, r, goes_on, &at.moment);
	x->in_change = change;
	ret = ret ? ret : take(x, r, at);
	x->last_time = r->time;
	return ret;
}

bool history_index_waits(const struct history_index *x, uint64_t *ret_first, uint64_t *ret_last)
{
	const struct history_times *t = &x->times;

	for (uint32_t i = t->n_settled; i < t->n; i++) {
		if (t->moment[i].late != TIME_OPEN)
			continue;
		*ret_first = t->moment[i].line;
		*ret_last = x->change_end;
		return true;
	}
	return false;
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
