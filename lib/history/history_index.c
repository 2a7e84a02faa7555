/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_index_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/withheld.h"
#include "history/history_grant_days.h"

/* The end of a mapping is that of its drains and its grants. */
static void end_of_mapping(struct history_index *x, const struct history_mapping *m, struct history_at at)
{
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		history_facts_end_of(k, &x->facts[k], m, at);
}

/* Lines are not there: they were lost, or are withheld. */
static bool is_partial(const struct history_index *x)
{
	return x->lost || x->withheld;
}

/* Where lines are not there, the record of an end shows since when it was. */
static int take_fact(struct history_index *x, struct history_record *r, struct history_at at)
{
	enum fact_kind kind = FACT_KINDS;
	void *fact = history_record_fact(r, &kind);
	bool ends = history_record_ends(r), strict = fact_rows[kind].strict;
	bool known = strict && history_facts_find(kind, &x->facts[kind], fact);
	uint32_t begin = at.moment;

	if (strict && !is_partial(x) && known != ends)
		return history_index_damage(
			x, known ? "adds a %s that is there already" : "deletes a %s that is not there",
			fact_rows[kind].name);
	if (ends && is_partial(x) && !known)
		begin = history_index_past(x, *history_fact_from(kind, fact), at);
	if (begin == MOMENT_NONE || history_facts_take(kind, &x->facts[kind], fact, ends, begin, at))
		return -ENOMEM;
	if (kind == FACT_MAPPING && ends)
		end_of_mapping(x, fact, at);
	return 0;
}

/* Undoes the change recorded in one line. Returns false if that line has no such change. */
static bool undo_line(struct history_index *x, uint64_t line, struct history_at at, int *ret)
{
	bool found = false;

	for (enum fact_kind k = 0; k < FACT_KINDS && !*ret; k++)
		found |= history_facts_undo(k, &x->facts[k], &x->times, line, at, ret);
	return found;
}

/* After damage, known lines are also taken back: nothing else shows that they did not take effect. */
static int take_undo(struct history_index *x, const struct history_record *r, struct history_at at)
{
	int ret = 0;

	/* The tables were compared with the records. */
	at.time = r->until;
	history_times_settle(&x->times, r->until);
	if (!r->first || r->last < r->first || r->last >= x->number)
		return is_partial(x) ? 0 : history_index_damage(x, "takes back lines that are not before it");
	for (uint64_t line = r->last; line >= r->first && !ret; line--)
		if (!undo_line(x, line, at, &ret) && !is_partial(x))
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

static int take(struct history_index *x, struct history_record *r, struct history_at at)
{
	switch (r->event) {
	case EVENT_START:
	case EVENT_DAILY:
		return history_index_take_list(x, r);
	case EVENT_UNDO:
		return take_undo(x, r, at);
	case EVENT_CONFIRM:
		history_times_confirm(&x->times, r->first, r->last, r->until);
		return 0;
	case EVENT_CLOCK:
		return take_clock(x, r);
	case EVENT_DETACH:
		return history_index_end_all(x, r->time);
	case EVENT_STOP:
	case EVENT_GRANTS:
		return 0;
	default:
		return take_fact(x, r, at);
	}
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

static bool is_change(enum history_event e)
{
	enum fact_kind kind;
	struct history_record r = { .event = e };

	return history_record_fact(&r, &kind);
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
	bool change = is_change(r->event), goes_on = change && x->in_change && r->time == x->last_time;
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
	ret = ret || x->withheld ? ret : history_clocks_take(&x->clocks, r);
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

/* Who made the evidence says of what time the lines are, and how the clock was in the second that was asked about. */
static int take_withheld(struct history_index *x, const struct withheld *w)
{
	if (w->line != x->number + 1)
		return history_index_damage(x, "is number %" PRIu64 ", and %" PRIu64 " belongs here", w->line,
					    x->number + 1);
	if (!w->lines || w->from == TIME_NONE || w->to < w->from || (w->lines == 1 && w->to != w->from) ||
	    (w->line > 1 && (w->from < x->last_time) != w->set_back))
		return history_index_damage(x, "withholds lines of times that do not belong here");
	x->lines += w->lines;
	x->number += w->lines;
	x->withheld += w->lines;
	memcpy(x->hash, w->hash, HASH_TEXT);
	if (w->from != TIME_NONE && w->from < x->first_time)
		x->first_time = w->from;
	x->last_time = w->to != TIME_NONE ? w->to : x->last_time;
	return history_clocks_state(&x->clocks, w->clock);
}

/* Where it is not known who began a grant, its end is that of the same. */
static void end_unknown(const struct history_index *x, struct history_grant *g)
{
	struct history_grant unknown = *g;

	unknown.in = unknown.port_lo = unknown.ports = 0;
	if (history_facts_at(FACT_GRANT, &x->grants.facts, &unknown))
		*g = unknown;
}

/* Who had the grants of a record. Where that is not known any more, the record is good all the same. */
static int resolve(struct history_index *x, struct history_record *r)
{
	struct error why = { 0 };
	uint32_t missed;
	int ret = grant_days_resolve(x->days, r, &missed, &why);

	if (ret == -EBADMSG) {
		ret = missed != x->missed ? history_index_note(x, "%s", why.text) : 0;
		x->missed = missed;
	}
	if (r->event == EVENT_GRANT && r->grant.day && history_grant_unknown(&r->grant))
		history_grant_recall(&x->grants, &r->grant);
	else if (r->event == EVENT_GRANT && r->grant.day && r->ends)
		end_unknown(x, &r->grant);
	return ret;
}

static int take_line(struct history_index *x, const char *line, size_t size)
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
	ret = wrong ? 0 : resolve(x, &r);
	if (ret) {
		history_record_free(&r);
		return ret;
	}
	ret = wrong ? history_index_damage(x, "%s", err.text) : take_record(x, &r);
	if (wrong || r.event != EVENT_GRANTS)
		history_index_forget_listed(x);
	history_record_free(&r);
	return ret;
}

int history_index_feed(struct history_index *x, const char *line, size_t size)
{
	struct withheld w;

	return x->evidence && withheld_read(line, size, &w) ? take_withheld(x, &w) : take_line(x, line, size);
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
