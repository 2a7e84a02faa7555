/* SPDX-License-Identifier: BSD-2-Clause */
#include "history.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>

#include "history_file.h"
#include "history_pin.h"
#include "log.h"

#define DAY_S 86400
/* A change that takes place so many seconds after its record is written once more. */
#define LATE_S 2

struct history {
	struct history_file file;
	int pin;
	int64_t latest; /* that the clock has said; of the file's end where it was read */
	/* The tables as they were told last, and what is yet to be written of them. */
	struct history_mapping *present;
	size_t n_present;
	struct history_record *change; /* the last one, for history_confirm() */
	size_t n_change;
	bool taken_over;
	bool owes_start;
	bool owes_undo;
	bool failing; /* said already */
	bool head_failing;
};

static int64_t real_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec;
}

int64_t (*history_clock)(void) = real_clock;

/* ---- append ---- */

/* Remembers the end of the history in the other places. */
static void mark(struct history *h)
{
	int r = history_file_mark(&h->file, h->latest);

	if (r && !h->head_failing)
		log_warning("mapping history: %s cannot be written: %s", HISTORY_HEAD_FILE, strerror(-r));
	h->head_failing = r != 0;
	if (h->pin >= 0 && h->file.index.number)
		history_pin_write(h->pin, h->file.index.number, h->file.index.hash);
}

/* What has no time yet is of now. */
static void set_time(struct history_record *r, int64_t now)
{
	r->time = now;
	if (r->mapping.from == TIME_NONE)
		r->mapping.from = now;
	for (size_t i = 0; i < r->n_mappings; i++)
		if (r->mappings[i].from == TIME_NONE)
			r->mappings[i].from = now;
}

/* Appends records of now. Where the clock has been set back, a record of that comes before them. */
static int append(struct history *h, struct history_record *records, size_t n, struct error *err)
{
	struct history_index *x = &h->file.index;
	size_t n_damages = x->n_damages;
	int64_t now = history_clock();
	struct history_record *all = records;
	_cleanup_free_ struct history_record *more = NULL;
	bool back = x->number && now < h->latest;
	int r;

	if (back) {
		more = calloc(n + 1, sizeof(*more));
		if (!more)
			return error_set(err, -ENOMEM, "out of memory");
		more[0] = (struct history_record){ .event = EVENT_CLOCK, .since = h->latest };
		if (n)
			memcpy(more + 1, records, n * sizeof(*more));
		all = more;
		n++;
		log_warning("mapping history: the clock was set back by %" PRId64 " s", h->latest - now);
	}
	for (size_t i = 0; i < n; i++)
		set_time(&all[i], now);
	r = history_file_append(&h->file, all, n, err);
	if (r)
		return r;
	if (back && n > 1)
		memcpy(records, more + 1, (n - 1) * sizeof(*records));
	h->latest = now;
	mark(h);
	/* The log goes elsewhere often, so an end that is cut off here is still known there. */
	log_info("mapping history: line %" PRIu64 ", %s", x->number, x->hash);
	if (x->n_damages != n_damages)
		log_error("mapping history: line %" PRIu64 " %s", x->damages[n_damages].line,
			  x->damages[n_damages].text);
	return 0;
}

/* ---- comparison with the tables ---- */

static bool same(const struct history_mapping *m, struct prefix in, struct prefix out)
{
	return m->in.base == in.base && m->in.plen == in.plen && m->out.base == out.base && m->out.plen == out.plen;
}

static bool has(const struct history_mapping *list, size_t n, struct prefix in, struct prefix out)
{
	for (size_t i = 0; i < n; i++)
		if (same(&list[i], in, out))
			return true;
	return false;
}

static int keep_present(struct history *h, const struct history_mapping *present, size_t n)
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

static bool agrees(const struct history *h)
{
	const struct history_index *x = &h->file.index;

	if (x->lost || x->n_open != h->n_present)
		return false;
	for (size_t i = 0; i < h->n_present; i++)
		if (!history_index_find_open(x, h->present[i].in, h->present[i].out))
			return false;
	return true;
}

/* Lines of the last changes, since any other record, that the tables say did not take place. */
static int undo(struct history *h, struct error *err)
{
	const struct history_index *x = &h->file.index;
	_cleanup_free_ struct history_record *records = calloc(x->n_intervals + 1, sizeof(*records));
	_cleanup_free_ struct history_mapping *seen = calloc(x->n_intervals + 1, sizeof(*seen));
	size_t n = 0;

	if (!records || !seen)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = x->n_intervals; i-- > 0;) {
		const struct history_interval *v = &x->intervals[i];
		bool present = has(h->present, h->n_present, v->in, v->out);
		uint64_t line = 0;

		/* Of a mapping that came and went several times the last change counts. */
		if (v->undone || has(seen, n, v->in, v->out))
			continue;
		if (v->to == TIME_OPEN && v->line > x->settled && !present)
			line = v->line;
		else if (v->to != TIME_OPEN && v->end_line > x->settled && present &&
			 !history_index_find_open(x, v->in, v->out))
			line = v->end_line;
		if (!line)
			continue;
		seen[n] = (struct history_mapping){ v->in, v->out, 0 };
		records[n++] = (struct history_record){ .event = EVENT_UNDO, .first = line, .last = line };
	}
	return n ? append(h, records, n, err) : 0;
}

/* ---- start ---- */

static void write_host(char text[static HOST_TEXT])
{
	struct utsname name;
	size_t i = 0;

	if (uname(&name))
		name.nodename[0] = '\0';
	for (; name.nodename[i] && i < HOST_TEXT - 1; i++) {
		char c = name.nodename[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
			     c == '-' || c == '_';

		text[i] = plain ? c : '?';
	}
	text[i] = '\0';
}

/* Whether the datapath that was taken over had this history, up to its end or a little less. */
static bool is_of_datapath(const struct history *h)
{
	struct history_pin pin = { 0 };

	return h->pin >= 0 && !history_pin_read(h->pin, &pin) && pin.line && history_has_hash(h->file.fd, pin.hash);
}

/* From when on it is not known what was mapped; TIME_NONE: it is. */
static int64_t unknown_since(const struct history *h)
{
	const struct history_index *x = &h->file.index;

	if (!x->number)
		return TIME_NONE;
	if (h->taken_over ? is_of_datapath(h) && agrees(h) : !x->n_open && !x->lost)
		return TIME_NONE;
	return h->latest;
}

static void tell_unknown(const struct history *h, int64_t since)
{
	char text[TIME_TEXT];

	if (h->taken_over && h->file.index.lost)
		log_error("mapping history %s: its end is damaged; what is mapped is written down anew", h->file.path);
	else if (h->taken_over)
		log_error(
			"mapping history %s: is not the one that was written for the datapath that is there; what was "
			"mapped since %s is not in it",
			h->file.path, time_format(since, text));
	else
		log_warning("mapping history: the datapath has gone since %s, it is not known when; until now "
			    "there is no record",
			    time_format(since, text));
}

/* What the index has open, with the times since when. */
static size_t list_open(const struct history_index *x, struct history_mapping *ret)
{
	for (size_t i = 0; i < x->n_open; i++) {
		const struct history_interval *v = &x->intervals[x->open[i]];

		ret[i] = (struct history_mapping){ v->in, v->out, v->from };
	}
	return x->n_open;
}

/* Writes what is mapped: as it was written before, or as it is seen now. */
static int write_list(struct history *h, enum history_event event, int64_t since, struct error *err)
{
	const struct history_index *x = &h->file.index;
	size_t room = x->n_open > h->n_present ? x->n_open : h->n_present;
	_cleanup_free_ struct history_mapping *list = calloc(room + 1, sizeof(*list));
	struct history_record r = { .event = event, .since = since, .taken_over = h->taken_over, .mappings = list };

	if (!list)
		return error_set(err, -ENOMEM, "out of memory");
	if (since == TIME_NONE && agrees(h)) {
		r.n_mappings = list_open(x, list);
	} else {
		for (size_t i = 0; i < h->n_present; i++)
			list[i] = (struct history_mapping){ h->present[i].in, h->present[i].out, TIME_NONE };
		r.n_mappings = h->n_present;
	}
	write_host(r.host);
	return append(h, &r, 1, err);
}

static int write_start(struct history *h, struct error *err)
{
	int64_t since;
	int r = 0;

	if (h->taken_over && !h->file.index.lost && is_of_datapath(h))
		r = undo(h, err);
	if (r)
		return r;
	since = unknown_since(h);
	if (since != TIME_NONE)
		tell_unknown(h, since);
	return write_list(h, EVENT_START, since, err);
}

/* Writes what could not be written before. */
static int settle(struct history *h, struct error *err)
{
	int r = 0;

	if (h->owes_start) {
		r = write_start(h, err);
		h->owes_start = r != 0;
	}
	if (!r && h->owes_undo) {
		r = undo(h, err);
		h->owes_undo = r != 0;
	}
	return r;
}

int history_begin(struct history *h, bool taken_over, const struct history_mapping *present, size_t n)
{
	h->taken_over = taken_over;
	h->owes_start = true;
	return keep_present(h, present, n);
}

int history_ready(struct history *h, struct error *err)
{
	int r = settle(h, err);

	if (!r || !h->taken_over)
		return r;
	log_error("%s; no mapping can be changed until this is mended", err->text);
	h->failing = true;
	return 0;
}

/* ---- changes ---- */

/* Keeps the records of a change for history_confirm(). */
static int append_change(struct history *h, const struct history_record *records, size_t n, struct error *err)
{
	struct history_record *copy = calloc(n, sizeof(*copy));
	int r;

	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	memcpy(copy, records, n * sizeof(*copy));
	r = append(h, copy, n, err);
	if (r) {
		free(copy);
		return r;
	}
	free(h->change);
	h->change = copy;
	h->n_change = n;
	return 0;
}

void history_confirm(struct history *h)
{
	_cleanup_free_ struct history_record *again = calloc(h->n_change + 1, sizeof(*again));
	int64_t late = h->n_change ? history_clock() - h->change[0].time : 0;
	struct error err = { 0 };

	if (late < LATE_S)
		return;
	log_warning("mapping history: a change took %" PRId64 " s from its record on; it is written once more", late);
	if (!again) {
		log_error("no memory to write it");
		return;
	}
	memcpy(again + 1, h->change, h->n_change * sizeof(*again));
	again[0] = (struct history_record){
		.event = EVENT_UNDO,
		.first = h->change[0].line,
		.last = h->change[h->n_change - 1].line,
	};
	for (size_t i = 1; i <= h->n_change; i++)
		if (again[i].event == EVENT_ADD)
			again[i].mapping.from = TIME_NONE;
	if (append(h, again, h->n_change + 1, &err))
		log_error("%s; the change has the time of before", err.text);
}

/* The tables are about to be as the history says. */
static void expect_open(struct history *h)
{
	struct history_mapping *list = calloc(h->file.index.n_open + 1, sizeof(*list));

	if (!list) {
		log_error("no memory to follow the mapping history");
		return;
	}
	h->n_present = list_open(&h->file.index, list);
	free(h->present);
	h->present = list;
}

int history_change(struct history *h, const struct history_mapping *del, size_t n_del,
		   const struct history_mapping *add, size_t n_add, struct error *err)
{
	const struct history_index *x = &h->file.index;
	_cleanup_free_ struct history_record *records = calloc(n_del + n_add + 1, sizeof(*records));
	size_t n = 0;
	int r = records ? settle(h, err) : error_set(err, -ENOMEM, "out of memory");

	if (r)
		return r;
	for (size_t i = 0; i < n_del; i++) {
		const struct history_interval *v = history_index_find_open(x, del[i].in, del[i].out);

		if (!v || has(add, n_add, del[i].in, del[i].out))
			continue;
		records[n].event = EVENT_DEL;
		records[n++].mapping = (struct history_mapping){ v->in, v->out, v->from };
	}
	for (size_t i = 0; i < n_add; i++) {
		if (history_index_find_open(x, add[i].in, add[i].out))
			continue;
		records[n].event = EVENT_ADD;
		records[n++].mapping = (struct history_mapping){ add[i].in, add[i].out, TIME_NONE };
	}
	h->n_change = 0;
	r = n ? append_change(h, records, n, err) : 0;
	if (!r)
		expect_open(h);
	return r;
}

void history_reconcile(struct history *h, const struct history_mapping *present, size_t n)
{
	struct error err = { 0 };

	if (keep_present(h, present, n)) {
		log_error("no memory to take the change back in the mapping history");
		return;
	}
	h->owes_undo = true;
	if (settle(h, &err))
		log_error("%s; it says of a change that it took place, and it did not", err.text);
}

/* ---- time goes by ---- */

static bool on_earlier_day(int64_t then, int64_t now)
{
	return then == TIME_NONE || then / DAY_S < now / DAY_S;
}

/* The clock has been set back: written down at once, while it is known how far it had come. */
static int write_clock(struct history *h, struct error *err)
{
	return append(h, NULL, 0, err);
}

void history_tick(struct history *h)
{
	const struct history_index *x = &h->file.index;
	int64_t now = history_clock();
	struct error err = { 0 };
	int r = settle(h, &err);

	if (!r && now < h->latest)
		r = write_clock(h, &err);
	if (!r && on_earlier_day(x->listed_time, now) && agrees(h))
		r = write_list(h, EVENT_DAILY, TIME_NONE, &err);
	if (r && !h->failing)
		log_error("%s; tried again every %u s", err.text, HISTORY_TICK_S);
	else if (!r && h->failing)
		log_info("the mapping history can be written again");
	h->failing = r != 0;
	if (r)
		return;
	h->latest = now > h->latest ? now : h->latest;
	mark(h);
}

static void write_end(struct history *h, enum history_event event)
{
	struct history_record r = { .event = event };
	struct error err = { 0 };

	/* Of a start that came to nothing there is nothing to end. */
	if (h->owes_start)
		return;
	if (settle(h, &err) || append(h, &r, 1, &err))
		log_error("%s; it lacks that the %s", err.text,
			  event == EVENT_STOP ? "agent ended" : "datapath was removed");
}

void history_stop(struct history *h)
{
	write_end(h, EVENT_STOP);
}

void history_detach(struct history *h)
{
	write_end(h, EVENT_DETACH);
}

uint64_t history_end(const struct history *h, char ret_hash[static HASH_TEXT])
{
	memcpy(ret_hash, h->file.index.hash, HASH_TEXT);
	return h->file.index.number;
}

/* ---- open ---- */

int history_open(const char *dir, int pin, struct history **ret, struct error *err)
{
	_cleanup_close_ int own_pin = pin;
	struct history *h = calloc(1, sizeof(*h));
	int r = h ? history_file_open(dir, &h->file, err) : error_set(err, -ENOMEM, "out of memory");

	if (r) {
		free(h);
		return r;
	}
	h->pin = take_fd(own_pin);
	h->latest = h->file.known_until;
	*ret = h;
	return 0;
}

void history_close(struct history *h)
{
	if (!h)
		return;
	history_file_close(&h->file);
	close_fd(&h->pin);
	free(h->present);
	free(h->change);
	free(h);
}

int history_detach_at(const char *dir, struct error *err)
{
	struct history_record record = { .event = EVENT_DETACH };
	_cleanup_free_ char *path = NULL;
	struct history *h;
	int r;

	if (asprintf(&path, "%s/" HISTORY_FILE, dir) < 0) {
		path = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	if (access(path, F_OK))
		return 0;
	r = history_open(dir, -1, &h, err);
	if (r)
		return r;
	r = h->file.index.n_open ? append(h, &record, 1, err) : 0;
	history_close(h);
	return r;
}
