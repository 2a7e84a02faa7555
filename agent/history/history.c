/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "history/pin.h"
#include "history/history_private.h"
#include "base/log.h"

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
	h->head_r = history_file_mark(&h->file, h->latest);
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

int history_append(struct history *h, struct history_record *records, size_t n, struct error *err)
{
	return history_append_at(h, history_clock(), records, n, err);
}

int history_append_at(struct history *h, int64_t now, struct history_record *records, size_t n, struct error *err)
{
	struct history_index *x = &h->file.index;
	size_t n_damages = x->n_damages;
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

int history_begin(struct history *h, bool taken_over, const struct history_mapping *present, size_t n)
{
	h->taken_over = taken_over;
	h->owes_start = true;
	return history_keep_present(h, present, n);
}

/* ---- time goes by ---- */

static bool on_earlier_day(int64_t then, int64_t now)
{
	return then == TIME_NONE || then / DAY_S < now / DAY_S;
}

/* The clock has been set back: written down at once, while it is known how far it had come. */
static int write_clock(struct history *h, struct error *err)
{
	return history_append(h, NULL, 0, err);
}

int history_tick(struct history *h, struct error *err)
{
	const struct history_index *x = &h->file.index;
	int64_t now = history_clock();
	int r = history_settle(h, err);

	if (!r && now < h->latest)
		r = write_clock(h, err);
	if (!r && on_earlier_day(x->listed_time, now) && history_agrees(h))
		r = history_write_list(h, EVENT_DAILY, TIME_NONE, err);
	if (!r)
		r = history_file_probe(&h->file, err);
	if (r)
		return r;
	h->latest = now > h->latest ? now : h->latest;
	mark(h);
	return h->head_r ? error_set(err, h->head_r, "mapping history: %s/" HISTORY_HEAD_FILE " cannot be written: %s",
				     h->dir, strerror(-h->head_r))
			 : 0;
}

static void write_end(struct history *h, enum history_event event)
{
	struct history_record r = { .event = event };
	struct error err = { 0 };

	/* Of a start that came to nothing there is nothing to end. */
	if (h->owes_start)
		return;
	if (history_settle(h, &err) || history_append(h, &r, 1, &err))
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

int history_new(const char *dir, int pin, struct history **ret, struct error *err)
{
	_cleanup_close_ int own_pin = pin;
	struct history *h = calloc(1, sizeof(*h));

	if (h)
		h->dir = strdup(dir);
	if (!h || !h->dir) {
		free(h);
		return error_set(err, -ENOMEM, "out of memory");
	}
	h->pin = take_fd(own_pin);
	history_file_init(&h->file);
	h->latest = TIME_NONE;
	*ret = h;
	return 0;
}

int history_try_open(struct history *h, struct error *err)
{
	int r = h->opened ? 0 : history_file_open(h->dir, &h->file, err);

	if (r || h->opened)
		return r;
	h->opened = true;
	h->latest = h->file.known_until;
	return 0;
}

int history_open(const char *dir, int pin, struct history **ret, struct error *err)
{
	struct history *h;
	int r = history_new(dir, pin, &h, err);

	if (r)
		return r;
	r = history_try_open(h, err);
	if (r) {
		history_close(h);
		return r;
	}
	*ret = h;
	return 0;
}

void history_close(struct history *h)
{
	if (!h)
		return;
	history_file_close(&h->file);
	close_fd(&h->pin);
	free(h->dir);
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
	r = h->file.index.n_open ? history_append(h, &record, 1, err) : 0;
	history_close(h);
	return r;
}
