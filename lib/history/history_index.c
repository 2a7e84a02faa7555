/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_index_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int take_add(struct history_index *x, const struct history_record *r, struct history_at at)
{
	if (!history_index_find_open(x, &r->mapping))
		return history_index_begin(x, &r->mapping, at.moment);
	return x->lost ? 0 : history_index_damage(x, "adds a mapping that is there already");
}

/* A del record also contains the beginning of its mapping. Ends the drains from it, and its grants. */
static int take_del(struct history_index *x, const struct history_record *r, struct history_at at)
{
	struct history_interval *v = history_index_find_open(x, &r->mapping);

	if (!v && !x->lost)
		return history_index_damage(x, "deletes a mapping that is not there");
	if (!v) {
		uint32_t begin = history_index_past(x, r->mapping.from, at);

		if (begin == MOMENT_NONE || history_index_begin(x, &r->mapping, begin))
			return -ENOMEM;
		v = &x->intervals[x->n_intervals - 1];
	}
	history_index_end(x, v, at);
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		if (fact_rows[k].mapped)
			history_facts_end_of(k, &x->facts[k], r->mapping.in, r->mapping.out, at);
	return 0;
}

/* Where lines are lost, the record of an end shows since when it was. */
static int take_fact(struct history_index *x, struct history_record *r, struct history_at at)
{
	enum fact_kind kind;
	void *fact = history_record_fact(r, &kind);
	bool ends = history_record_ends(r);
	uint32_t begin = ends && x->lost ? history_index_past(x, *history_fact_from(kind, fact), at) : at.moment;

	return begin == MOMENT_NONE ? -ENOMEM : history_facts_take(kind, &x->facts[kind], fact, ends, begin, at);
}

/* Undoes the beginning of an interval, or its end. */
static int undo_interval(struct history_index *x, size_t number, bool begun, struct history_at at)
{
	struct history_interval *v = &x->intervals[number];

	at.moment = history_times_undo(&x->times, begun ? v->begin : v->end, at.time, at.line);
	if (at.moment == MOMENT_NONE)
		return -ENOMEM;
	if (!begun)
		return history_pauses_add(&x->pauses, number, v->end, at.moment) ? -ENOMEM
										 : history_index_reopen(x, number);
	history_index_end(x, v, at);
	v->undone = true;
	return 0;
}

static bool undo_facts(struct history_index *x, bool mapped, uint64_t line, struct history_at at, int *ret)
{
	bool found = false;

	*ret = 0;
	for (enum fact_kind k = 0; k < FACT_KINDS && !*ret; k++)
		if (fact_rows[k].mapped == mapped)
			found |= history_facts_undo(k, &x->facts[k], &x->times, line, at, ret);
	return found;
}

/* Undoes the change recorded in one line. Returns false if that line has no such change. */
static bool undo_line(struct history_index *x, uint64_t line, struct history_at at, int *ret)
{
	/* The end of a mapping also ends its drains and grants. */
	bool found = undo_facts(x, true, line, at, ret);

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
	return undo_facts(x, false, line, at, ret) || found;
}

/* After damage, known lines are also taken back: nothing else shows that they did not take effect. */
static int take_undo(struct history_index *x, const struct history_record *r, struct history_at at)
{
	int ret = 0;

	/* The tables were compared with the records. */
	at.time = r->until;
	history_times_settle(&x->times, r->until);
	if (!r->first || r->last < r->first || r->last >= x->number)
		return x->lost ? 0 : history_index_damage(x, "takes back lines that are not before it");
	for (uint64_t line = r->last; line >= r->first && !ret; line--)
		if (!undo_line(x, line, at, &ret) && !x->lost)
			return history_index_damage(x, "takes back line %" PRIu64 ", which is no change that holds",
						    line);
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
	history_times_confirm(&x->times, r->first, r->last, r->until);
	return 0;
}

static int take(struct history_index *x, struct history_record *r, struct history_at at)
{
	switch (r->event) {
	case EVENT_START:
	case EVENT_DAILY:
		return history_index_take_list(x, r);
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
	case EVENT_GRANT:
	case EVENT_RETIRE:
	case EVENT_DRAINED:
		return take_fact(x, r, at);
	case EVENT_DETACH:
		return history_index_end_all(x, r->time);
	case EVENT_STOP:
	case EVENT_GRANTS:
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

bool history_is_change(enum history_event e)
{
	return e == EVENT_ADD || e == EVENT_DEL || e == EVENT_PORTMAP || e == EVENT_RETIRE || e == EVENT_DRAINED ||
	       e == EVENT_GRANT;
}

/* The moment of a record. Records of one change share it if the change's confirmation separates it from the next. */
static int moment_of(struct history_index *x, const struct history_record *r, bool goes_on, uint32_t *ret)
{
	struct history_times *t = &x->times;

	if (goes_on) {
		*ret = x->moment;
		return 0;
	}
	*ret = history_times_add(t, r->time, TIME_OPEN, r->line);
	if (*ret == MOMENT_NONE)
		return -ENOMEM;
	x->moment = *ret;
	return 0;
}

static int take_record(struct history_index *x, struct history_record *r)
{
	struct history_at at = { r->line, r->time, MOMENT_NONE };
	bool change = history_is_change(r->event), goes_on = change && x->in_change && r->time == x->last_time;
	int ret = 0;

	/* A part of a list is nothing before the list is complete. */
	if (r->event == EVENT_GRANTS) {
		x->in_change = false;
		return history_index_take_grants(x, r);
	}
	if (change && !goes_on)
		x->last_change = r->line;
	if (change)
		x->change_end = r->line;
	if (!change && r->event != EVENT_CLOCK)
		x->settled = r->line;
	x->replicated |= r->event == EVENT_GRANT && !strcmp(r->by.what, BY_REPLICATION);
	if (*r->gateway)
		memcpy(x->gateway, r->gateway, GATEWAY_TEXT);
	if (change)
		ret = moment_of(x, r, goes_on, &at.moment);
	x->in_change = change;
	ret = ret ? ret : take(x, r, at);
	ret = ret ? ret : history_clocks_take(&x->clocks, r);
	x->last_time = r->time;
	if (x->first_time > r->time)
		x->first_time = r->time;
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
	int hash = chain_check(line, size, x->hash, x->hash);
	int ret = history_record_read(line, size, &r, &err);
	bool wrong = ret || misplaced(x, &r, hash, &err);

	if (ret == -ENOMEM)
		return ret;
	x->lines++;
	x->number = ret ? x->number + 1 : r.line;
	ret = wrong ? history_index_damage(x, "%s", err.text) : take_record(x, &r);
	if (wrong || r.event != EVENT_GRANTS)
		history_index_forget_listed(x);
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
