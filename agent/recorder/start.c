/* SPDX-License-Identifier: BSD-2-Clause */
/* Compares the history with the tables: at a start, and after a change that failed. */
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/log.h"
#include "recorder/history_private.h"

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
	bool any = false;

	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		any |= h->present[k].n_open > 0;
	return any;
}

/* Time since which the mappings are unknown, or TIME_NONE. */
static int64_t unknown_since(struct history *h)
{
	const struct history_index *x = &h->file.index;
	const struct history_facts *f = &h->present[FACT_MAPPING];

	if (h->was_early)
		return x->listed_time;
	/* Mappings that were added while no record could be written. */
	if (!h->taken_over && f->n_open)
		return history_index_empty(x) ? *history_fact_from(FACT_MAPPING, history_fact_of(f->interval))
					      : h->latest;
	/* The mappings of a datapath that was recorded elsewhere are known from now on. */
	if (history_index_empty(x))
		return has_anything(h) ? clock_second(clock_watch_last(&h->watch).real_ns) : TIME_NONE;
	if (h->taken_over ? is_of_datapath(h) && history_agrees(h)
			  : !x->mappings.n_open && !x->lost && !h->file.was.unrecorded)
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

	if (history_list_known(h, FACT_GRANT, list->since == TIME_NONE, &grants, &n))
		return error_set(err, -ENOMEM, "out of memory");
	list->n_listed = n;
	for (size_t i = 0; i < n; i++)
		list->days |= grants[i].day;
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
	struct history_record r = {
		.event = event, .since = since, .taken_over = h->taken_over, .days = h->file.grant_days
	};
	int ret = 0;

	if (by)
		r.by = *by;
	for (enum fact_kind k = 0; k < FACT_KINDS && !ret; k++)
		if (!fact_rows[k].apart)
			ret = history_list_known(h, k, since == TIME_NONE, &r.facts[k], &r.n_facts[k]);
	write_host(r.host);
	memcpy(r.gateway, h->file.gateway, GATEWAY_TEXT);
	ret = ret ? error_set(err, ret, "out of memory") : append_list(h, &r, err);
	history_record_free(&r);
	return ret;
}

/* Takes back records without effect, and adds those that the history lacks; mappings are in the list of a start. */
static int align(struct history *h, struct error *err)
{
	int r = history_undo(h, err);

	for (enum fact_kind k = FACT_MAPPING + 1; k < FACT_KINDS && !r; k++)
		r = history_align(h, k, err);
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
	return history_present(h, FACT_MAPPING, present, n);
}
