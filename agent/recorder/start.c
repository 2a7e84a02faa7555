/* SPDX-License-Identifier: BSD-2-Clause */
/* Compares the history with the tables: at a start, and after a change that failed. */
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/log.h"
#include "recorder/history_private.h"

bool history_list_has(const struct history_mapping *list, size_t n, const struct history_mapping *m)
{
	for (size_t i = 0; i < n; i++)
		if (history_same(&list[i], m))
			return true;
	return false;
}

int history_keep_present(struct history *h, const struct history_mapping *present, size_t n)
{
	struct history_mapping *copy = calloc(n + 1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	if (n)
		memcpy(copy, present, n * sizeof(*copy));
	free(h->present);
	h->present = copy;
	h->n_present = n;
	return 0;
}

bool history_agrees(const struct history *h)
{
	const struct history_index *x = &h->file.index;

	if (x->lost || x->n_open != h->n_present || !history_portmaps_agree(h) || !history_grants_agree(h))
		return false;
	for (size_t i = 0; i < h->n_present; i++)
		if (!history_index_find_open(x, &h->present[i]))
			return false;
	return true;
}

/*
 * Adds lines about drains, portmaps and grants to those to take back: once each, and the last first, as they may depend
 * on each other.
 */
static size_t add_others(const struct history *h, const struct history_ends *ends, size_t n_late,
			 struct history_record *records, size_t n)
{
	size_t of_mappings = n, found = history_drains_wrong(h, ends, &records[n]);

	found += history_portmaps_wrong(h, &records[n + found]);
	found += history_grants_wrong(h, ends, records, n, n_late, &records[n + found]);

	for (size_t i = 0; i < found; i++) {
		struct history_record r = records[of_mappings + i];
		bool known = false;

		for (size_t k = 0; k < n; k++)
			known |= records[k].first == r.first;
		if (!known)
			records[n++] = r;
	}
	for (size_t i = 1; i < n; i++) {
		struct history_record r = records[i];
		size_t k = i;

		for (; k && records[k - 1].first < r.first; k--)
			records[k] = records[k - 1];
		records[k] = r;
	}
	return n;
}

int history_undo(struct history *h, struct error *err)
{
	const struct history_index *x = &h->file.index;
	_cleanup_free_ struct history_mapping *seen = calloc(x->n_intervals + 1, sizeof(*seen));
	_cleanup_free_ struct history_record *records = NULL;
	struct history_ends ends;
	size_t n = 0, n_late;

	if (!seen || history_ends_list(x, &ends))
		return error_set(err, -ENOMEM, "out of memory");
	n_late = history_grants_late(h, &ends);
	records = calloc(x->n_intervals + x->drains.n + x->portmaps.n + n_late + 1, sizeof(*records));
	if (!records) {
		free(ends.line);
		return error_set(err, -ENOMEM, "out of memory");
	}
	for (size_t i = x->n_intervals; i-- > 0;) {
		const struct history_interval *v = &x->intervals[i];
		struct history_mapping m = history_mapping_of(v);
		bool present = history_list_has(h->present, h->n_present, &m);
		uint64_t line = 0;

		/* Only the last change of a mapping counts. */
		if (v->undone || history_list_has(seen, n, &m))
			continue;
		if (v->to == TIME_OPEN && v->line > x->settled && !present)
			line = v->line;
		else if (v->to != TIME_OPEN && v->end_line > x->settled && present && !history_index_find_open(x, &m))
			line = v->end_line;
		if (!line)
			continue;
		seen[n] = m;
		records[n++] = (struct history_record){ .event = EVENT_UNDO, .first = line, .last = line };
	}
	n = add_others(h, &ends, n_late, records, n);
	free(ends.line);
	return n ? history_append(h, records, n, err) : 0;
}

static void write_host(char text[static HOST_TEXT])
{
	struct utsname name;
	size_t i = 0;

	if (uname(&name))
		name.nodename[0] = '\0';
	for (; i < HOST_TEXT - 1 && name.nodename[i]; i++) {
		char c = name.nodename[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
			     c == '-' || c == '_';

		text[i] = (char)(plain ? c : '?');
	}
	text[i] = '\0';
}

/* Whether the existing datapath was recorded in this history: the line that its pinned map names is in the file. */
static bool is_of_datapath(const struct history *h)
{
	struct history_pin pin = { 0 };

	return h->pin >= 0 && !history_pin_read(h->pin, &pin) && pin.line &&
	       history_has_hash(h->file.chain.fd, pin.hash);
}

static bool has_anything(const struct history *h)
{
	return h->n_present || h->portmaps.n_open || h->n_drains || h->grants.n_open;
}

/* Time since which the mappings are unknown, or TIME_NONE. */
static int64_t unknown_since(struct history *h)
{
	const struct history_index *x = &h->file.index;

	if (h->was_early)
		return x->listed_time;
	/* Mappings that were added while no record could be written. */
	if (!h->taken_over && h->n_present)
		return history_index_empty(x) ? h->present[0].from : h->latest;
	/* The mappings of a datapath that was recorded elsewhere are known from now on. */
	if (history_index_empty(x))
		return has_anything(h) ? clock_second(clock_watch_last(&h->watch).real_ns) : TIME_NONE;
	if (h->taken_over ? is_of_datapath(h) && history_agrees(h) : !x->n_open && !x->lost && !h->file.was.unrecorded)
		return TIME_NONE;
	return h->latest;
}

static void tell_unknown(const struct history *h, int64_t since)
{
	char text[TIME_TEXT];

	if (h->taken_over && h->file.index.lost)
		log_error("mapping history %s: its end is damaged; the present mappings are recorded anew",
			  h->file.path);
	else if (h->taken_over)
		log_error("mapping history %s: does not belong to the existing datapath; mappings "
			  "since %s are not in it",
			  h->file.path, time_format(since, text));
	else
		log_warning(
			"mapping history: the datapath has gone since %s, at an unknown time; there is no record from "
			"then until now",
			time_format(since, text));
}

size_t history_list_open(const struct history_index *x, struct history_mapping *ret)
{
	for (size_t i = 0; i < x->n_open; i++)
		ret[i] = history_mapping_of(&x->intervals[x->open[i]]);
	return x->n_open;
}

/* Splits the grants of a list into lines before it; returns their number. ret: NULL, or room for them. */
static size_t grant_lines(struct history_grant *grants, size_t n, struct history_record *ret)
{
	size_t lines = 0;

	for (size_t i = 0; i < n; i += GRANTS_OF_LINE, lines++)
		if (ret)
			ret[lines] =
				(struct history_record){ .event = EVENT_GRANTS,
							 .part = lines + 1,
							 .grants = &grants[i],
							 .n_grants = n - i < GRANTS_OF_LINE ? n - i : GRANTS_OF_LINE };
	return lines;
}

/* Appends a list, and the lines of its grants before it. */
static int append_list(struct history *h, struct history_record *list, struct error *err)
{
	_cleanup_free_ struct history_grant *grants = NULL;
	_cleanup_free_ struct history_record *records = NULL;
	size_t n = 0, lines;

	if (history_grants_copy(h, &grants, &n))
		return error_set(err, -ENOMEM, "out of memory");
	list->n_listed = n;
	records = calloc(grant_lines(grants, n, NULL) + 1, sizeof(*records));
	if (!records)
		return error_set(err, -ENOMEM, "out of memory");
	lines = grant_lines(grants, n, records);
	records[lines] = *list;
	return history_append(h, records, lines + 1, err);
}

int history_write_list(struct history *h, enum history_event event, int64_t since, const struct history_by *by,
		       struct error *err)
{
	const struct history_index *x = &h->file.index;
	size_t room = x->n_open > h->n_present ? x->n_open : h->n_present;
	_cleanup_free_ struct history_mapping *list = calloc(room + 1, sizeof(*list));
	_cleanup_free_ struct history_portmap *portmaps = NULL;
	_cleanup_free_ struct history_drain *drains = calloc(x->drains.n_open + h->n_drains + 1, sizeof(*drains));
	struct history_record r = { .event = event, .since = since, .taken_over = h->taken_over, .mappings = list };

	if (!list || !drains ||
	    history_facts_list(FACT_PORTMAP, history_agrees(h) ? &x->portmaps.facts : &h->portmaps.facts, &portmaps,
			       &r.n_portmaps))
		return error_set(err, -ENOMEM, "out of memory");
	if (by)
		r.by = *by;
	r.portmaps = portmaps;
	r.drains = drains;
	r.n_drains = history_drains_copy(h, drains);
	if (since == TIME_NONE && history_agrees(h)) {
		r.n_mappings = history_list_open(x, list);
	} else {
		for (size_t i = 0; i < h->n_present; i++)
			list[i] = h->present[i];
		r.n_mappings = h->n_present;
	}
	write_host(r.host);
	memcpy(r.gateway, h->file.gateway, GATEWAY_TEXT);
	return append_list(h, &r, err);
}

/* Takes back records without effect, and adds those that the history lacks. */
static int align(struct history *h, struct error *err)
{
	const struct history_by by = h->by;
	int r;

	h->by = history_by(BY_TABLES);
	r = history_undo(h, err);

	if (!r)
		r = history_portmaps_align(h, err);
	if (!r)
		r = history_grants_align(h, err);
	if (!r)
		r = history_drains_align(h, err);
	h->by = by;
	return r;
}

static int write_start(struct history *h, struct error *err)
{
	int64_t since;
	int r = 0;

	history_continue_clock(h, h->taken_over);
	if (h->taken_over && !h->file.index.lost && is_of_datapath(h))
		r = align(h, err);
	if (r)
		return r;
	since = unknown_since(h);
	if (since != TIME_NONE)
		tell_unknown(h, since);
	return history_write_list(h, EVENT_START, since, NULL, err);
}

int history_settle(struct history *h, struct error *err)
{
	int r = history_try_open(h, err);

	if (!r && h->owes_start) {
		r = write_start(h, err);
		h->owes_start = r != 0;
		h->was_early = h->was_early && r;
	}
	if (!r && h->owes_undo) {
		r = align(h, err);
		h->owes_undo = r != 0;
		h->owes_confirm |= !r;
	}
	return !r && h->owes_confirm ? history_write_confirm(h, err) : r;
}

int history_begin(struct history *h, bool taken_over, const struct history_mapping *present, size_t n)
{
	h->taken_over = taken_over;
	h->owes_start = true;
	clock_watch_look(&h->watch);
	return history_keep_present(h, present, n);
}
