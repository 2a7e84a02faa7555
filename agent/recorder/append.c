/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening and closing a history, and appending records with the current time. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "recorder/history_private.h"

void history_set_audit(struct history *h, bool on)
{
	h->audit = on ? 1 : -1;
}

void history_set_grants(struct history *h, uint32_t days)
{
	/* A day is looked after again if they are kept for another time now. */
	if (h->file.grant_days != days)
		h->retention.day = 0;
	h->file.grant_days = days;
}

void history_mark(struct history *h)
{
	if (h->audit)
		h->file.audit_queries = h->audit > 0;
	h->head_r = history_file_mark(&h->file, h->latest, clock_watch_last(&h->watch), clock_watch_worst(&h->watch),
				      false);
	if (h->pin >= 0 && h->file.index.number)
		history_pin_write(h->pin, h->file.index.number, h->file.index.hash);
}

void history_mark_unrecorded(struct history *h)
{
	/* For an empty history, the record of the start contains it. */
	if (!h->opened || !h->file.index.number)
		return;
	if (history_file_mark(&h->file, h->latest, clock_watch_last(&h->watch), clock_watch_worst(&h->watch), true))
		log_error("mapping history: cannot even note that mappings exist without a record");
}

void history_continue_clock(struct history *h, bool on_datapath)
{
	const struct history_head *was = &h->file.was;
	const struct clock_reading before = { was->real_ms * 1000000, was->boot_ms * 1000000, 1000000 };

	clock_watch_look(&h->watch);
	if (h->continued)
		return;
	h->continued = true;
	if (!on_datapath || !was->real_ms || !history_head_of_this_boot(was)) {
		clock_watch_begin(&h->watch, h->latest + h->later, h->latest);
		return;
	}
	clock_watch_continue(&h->watch, before);
	h->later = 0;
}

static void date(enum fact_kind kind, void *list, size_t n, int64_t now)
{
	char *fact = list;

	for (; n; n--, fact += fact_rows[kind].size)
		if (*history_fact_from(kind, fact) == TIME_NONE)
			*history_fact_from(kind, fact) = now;
}

/* Records and facts without a time get the current one. */
static void complete(struct history_record *r, int64_t now_ns)
{
	int64_t now = clock_second(now_ns);
	enum fact_kind kind;
	void *fact;

	r->time = now;
	if (r->event == EVENT_UNDO)
		r->until = clock_second(now_ns + HISTORY_UNDER_WAY_NS);
	fact = history_record_fact(r, &kind);
	if (fact)
		date(kind, fact, 1, now);
	for (kind = 0; kind < FACT_KINDS; kind++)
		date(kind, r->facts[kind], r->n_facts[kind], now);
}

/* Whether records of an event say how right the clock was. */
static bool tells_clock(enum history_event e)
{
	return e == EVENT_START || e == EVENT_DAILY || e == EVENT_CONFIRM || e == EVENT_STOP || e == EVENT_DETACH;
}

/* Records of changes of the clock, first those of the steps taken. Returns their number. */
static size_t clock_records(const struct history *h, const struct clock_step *steps, unsigned n_steps, int64_t now,
			    struct history_record ret[static CLOCK_STEPS + 1])
{
	size_t n = 0;

	if (!h->file.index.number)
		return 0;
	for (unsigned i = 0; i < n_steps; i++) {
		log_warning("mapping history: the clock was set by %.1f s", steps[i].by);
		ret[n++] = (struct history_record){ .event = EVENT_CLOCK,
						    .time = steps[i].noticed,
						    .since = steps[i].before,
						    .after = steps[i].after };
	}
	/* It is behind the end of the file, or was set back by less than the watch detects. */
	if (now < (n ? ret[n - 1].time : h->latest)) {
		log_warning("mapping history: the clock was set back by %" PRId64 " s", h->latest - now);
		ret[n++] = (struct history_record){
			.event = EVENT_CLOCK, .time = now, .since = h->latest + h->later, .after = now
		};
	}
	return n;
}

/* Records that only add to lines on the disk may come later. */
static bool may_come_later(const struct history_record *records, size_t n)
{
	return n == 1 && records[0].event == EVENT_CONFIRM;
}

/* Returns whether they are on the disk, or -errno with err. */
static int append(struct history *h, struct history_record *all, size_t n_clock, struct history_record *records,
		  size_t n, struct error *err)
{
	bool sync = n_clock || !may_come_later(records, n);
	int r;

	if (n)
		memcpy(all + n_clock, records, n * sizeof(*all));
	r = history_file_append(&h->file, all, n_clock + n, sync, err);
	if (r)
		return r;
	if (n)
		memcpy(records, all + n_clock, n * sizeof(*records));
	return sync;
}

/* The log is often stored elsewhere, where the checksum reveals that the file was truncated. */
void history_log_end(struct history *h)
{
	log_info("mapping history: line %" PRIu64 ", %s", h->file.index.number, h->file.index.hash);
	h->quiet = false;
}

/* Records of grants, with the confirmation after them, may come many times a second. */
static bool is_of_grants(const struct history *h, const struct history_record *records, size_t n)
{
	return n && (records[0].event == EVENT_GRANT || (records[0].event == EVENT_CONFIRM && h->quiet));
}

int history_append(struct history *h, struct history_record *records, size_t n, struct error *err)
{
	struct history_index *x = &h->file.index;
	size_t n_damages = x->n_damages, n_clock;
	int64_t now_ns = clock_watch_look(&h->watch).real_ns, now = clock_second(now_ns);
	struct clock_step steps[CLOCK_STEPS];
	unsigned n_steps = clock_watch_take(&h->watch, steps);
	_cleanup_free_ struct history_record *all = calloc(CLOCK_STEPS + 1 + n, sizeof(*all));
	int r = all ? 0 : error_set(err, -ENOMEM, "out of memory");
	bool told = false;

	if (!r) {
		n_clock = clock_records(h, steps, n_steps, now, all);
		if (!n_clock && !n)
			return 0;
		for (size_t i = 0; i < n; i++) {
			complete(&records[i], now_ns);
			if (tells_clock(records[i].event))
				records[i].clock = clock_watch_worst(&h->watch);
			told |= tells_clock(records[i].event);
		}
		r = append(h, all, n_clock, records, n, err);
	}
	if (r < 0) {
		clock_watch_give_back(&h->watch, steps, n_steps);
		return r;
	}
	if (told)
		clock_watch_worst_told(&h->watch);
	h->latest = now;
	h->later = 0;
	if (r)
		history_mark(h);
	h->quiet = is_of_grants(h, records, n);
	if (!h->quiet)
		history_log_end(h);
	if (x->n_damages != n_damages)
		log_error("mapping history: line %" PRIu64 " %s", x->damages[n_damages].line,
			  x->damages[n_damages].text);
	return 0;
}

bool history_waits(const struct history *h)
{
	uint64_t first, last;

	return history_index_waits(&h->file.index, &first, &last);
}

int history_write_confirm(struct history *h, struct error *err)
{
	struct clock_reading now = clock_watch_look(&h->watch);
	struct history_record confirm = { .event = EVENT_CONFIRM };
	int r;

	/* By the present clock: the records before contain its steps since then. */
	confirm.until = clock_second(now.real_ns - (now.steady_ns - h->effect_ns) + HISTORY_UNDER_WAY_NS);
	r = history_index_waits(&h->file.index, &confirm.first, &confirm.last) ? history_append(h, &confirm, 1, err)
									       : 0;
	h->owes_confirm = r != 0;
	return r;
}

struct clock_watch *history_clock_watch(struct history *h)
{
	return &h->watch;
}

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
	clock_watch_init(&h->watch);
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
	h->later = HISTORY_TICK_S;
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
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		history_facts_free(&h->present[k]);
	free(h);
}
