/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/paths.h"
#include "recorder/history.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "recorder/grant_files.h"
#include "recorder/history_private.h"
#include "recorder/pin.h"

static bool on_earlier_day(int64_t then, int64_t now)
{
	return then == TIME_NONE || then / DAY_S < now / DAY_S;
}

/* Once a day, files of grants that are older than they may be go. What could not be done is tried again. */
static void expire_grants(struct history *h)
{
	struct clock_reading now = clock_watch_last(&h->watch);
	int64_t s = clock_second(now.real_ns);
	struct error err = { 0 };
	unsigned n = 0;

	grant_files_forget(&h->file);
	if (!h->file.grant_days || !expiry_due(&h->retention, s, clock_second(now.steady_ns)))
		return;
	if (grant_files_expire(&h->file, s - (int64_t)h->file.grant_days * DAY_S, s, &n, &err))
		log_error("grants that are older than grant_retention: %s", err.text);
	else
		expiry_done(&h->retention, s);
	if (n)
		log_info("%u file%s of grants older than grant_retention removed", n, n == 1 ? "" : "s");
}

int history_tick(struct history *h, struct error *err)
{
	const struct history_index *x = &h->file.index;
	int r = history_settle(h, err);
	int64_t now;

	/* Records any step of the clock. */
	if (!r)
		r = history_append(h, NULL, 0, err);
	now = clock_second(clock_watch_last(&h->watch).real_ns);
	/* A list of mappings that are about to change would make the change final. */
	if (!r && on_earlier_day(x->listed_time, now) && history_agrees(h) && !history_waits(h))
		r = history_write_list(h, EVENT_DAILY, TIME_NONE, NULL, err);
	if (!r)
		r = history_file_probe(&h->file, err);
	if (!r)
		r = history_file_sync(&h->file, err);
	if (r)
		return r;
	h->latest = now > h->latest ? now : h->latest;
	history_mark(h);
	if (h->quiet)
		history_log_end(h);
	expire_grants(h);
	history_file_cache(&h->file);
	return h->head_r ? error_set(err, h->head_r, "mapping history: %s/" HISTORY_HEAD_FILE " cannot be written: %s",
				     h->dir, strerror(-h->head_r))
			 : 0;
}

static void write_end(struct history *h, enum history_event event)
{
	struct history_record r = { .event = event };
	struct error err = { 0 };

	/* An unrecorded start needs no end. */
	if (h->owes_start)
		return;
	if (history_settle(h, &err) || history_append(h, &r, 1, &err))
		log_error("%s; it does not record that the %s", err.text,
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

int history_detach_at(const char *dir, const struct history_pin *of, struct error *err)
{
	_cleanup_rights_ struct rights lesser = path_rights(dir);
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
	if (of && of->line && !history_has_hash(h->file.chain.fd, of->hash)) {
		history_close(h);
		return error_set(err, -ESTALE, "the history of that datapath is not in %s", dir);
	}
	history_continue_clock(h, true);
	/* Without a record of them, the former mappings are unknown. */
	r = h->file.index.mappings.n_open && !h->file.was.unrecorded ? history_append(h, &record, 1, err) : 0;
	history_close(h);
	return r;
}
