/* SPDX-License-Identifier: BSD-2-Clause */
#include "service/housekeeping.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <detnat/extents.h>

#include "base/log.h"
#include "base/trouble.h"
#include "guard/guard.h"
#include "host/service_manager.h"
#include "host/timer.h"
#include "punt/event_ring.h"
#include "recorder/queue.h"
#include "sessions/check.h"
#include "sessions/limit_count.h"
#include "sessions/sessions.h"
#include "tables/mapping_changes.h"

#define SLICE_US 1000
/* Microseconds between two polls of the threads that reclaim memory. */
#define WAIT_US 2000

struct housekeeping {
	struct event_base *base;
	const struct parts *parts;
	struct event *second;
	struct event *slice; /* pending while there is work */
	struct event *watchdog;
	struct session_sweep *sweep; /* under way, or NULL */
	struct table_check *check;   /* of tables taken over from another layout, or NULL */
	struct findings findings;
	struct limit_count *limits; /* of sessions before the first limit, or NULL */
	uint64_t sweep_began_us;
	uint32_t seconds;    /* since the last sweep began */
	uint64_t lines_lost; /* of the log, as of a second ago */
	uint64_t dropped;    /* packets refused for lack of room, as of a second ago */
	uint64_t refused;    /* extents that were not to be had, as of the last sweep for one */
};

/* 1: more to do, 0: done. */
static int sweep_slice(struct housekeeping *h)
{
	const struct parts *c = h->parts;
	bool report = c->active->config->ipfix.enabled && c->active->config->ipfix.events & IPFIX_SESSIONS;
	uint64_t begin_us = monotonic_us(), end_us;
	int r;

	if (!h->sweep)
		return 0;
	r = session_sweep_step(h->sweep, SLICE_US, report ? events_session_closed : NULL, c->ipfix);
	end_us = monotonic_us();
	c->sweeps->busy_us += end_us - begin_us;
	if (r > 0)
		return 1;
	c->sweeps->count++;
	c->sweeps->last_us = end_us - h->sweep_began_us;
	if (r < 0)
		log_warning("the sweep of expired sessions was aborted: %s; the next one is due in %u seconds",
			    strerror(-r), c->active->config->sweep_interval);
	session_sweep_free(take_pointer(h->sweep));
	return 0;
}

/* After tables of another layout were taken over: removes that layout's pins once all counts have been compared. */
static enum table_check_progress check_slice(struct housekeeping *h)
{
	int r;

	if (!h->check)
		return TABLE_CHECK_DONE;
	r = table_check_step(h->check, SLICE_US);
	if (r > 0)
		return r;
	if (r < 0)
		log_warning("the tables taken over cannot be compared: %s", strerror(-r));
	if (h->findings.total)
		log_info("%" PRIu64 " counts of the tables taken over were corrected, among them that of %s",
			 h->findings.total, h->findings.n ? h->findings.finding[0].where : "one");
	table_check_free(take_pointer(h->check));
	findings_free(&h->findings);
	datapath_migrated(h->parts->datapath);
	return TABLE_CHECK_DONE;
}

static enum limit_count_progress count_slice(struct housekeeping *h)
{
	enum limit_count_progress progress;

	if (!h->limits)
		h->limits = limit_count_new(h->parts->mappings);
	if (!h->limits)
		return LIMIT_COUNT_DONE;
	progress = limit_count_step(h->limits, SLICE_US);
	if (progress == LIMIT_COUNT_DONE)
		limit_count_free(take_pointer(h->limits));
	return progress;
}

static void on_slice(evutil_socket_t fd, short what, void *arg)
{
	struct housekeeping *h = arg;
	bool more = sweep_slice(h) > 0;
	enum table_check_progress check = check_slice(h);
	enum limit_count_progress limits = count_slice(h);
	enum reclaim reclaim = mappings_reclaim_step(h->parts->mappings);

	if (more || reclaim == RECLAIM_MORE || check == TABLE_CHECK_MORE || limits == LIMIT_COUNT_MORE)
		evtimer_add(h->slice, &(struct timeval){ 0 });
	else if (reclaim == RECLAIM_WAITS || check == TABLE_CHECK_WAITS || limits == LIMIT_COUNT_WAITS)
		evtimer_add(h->slice, &(struct timeval){ .tv_usec = WAIT_US });
}

static void on_leave(void *arg)
{
	struct housekeeping *h = arg;

	if (!evtimer_pending(h->slice, NULL))
		evtimer_add(h->slice, &(struct timeval){ 0 });
}

/* Seconds between sweeps for want of an extent of which no packet has told: for larger ones, and for copies. */
#define SWEEP_FOR_EXTENTS 5U

/*
 * Whether sessions are being refused for want of an extent. The datapath itself reuses a subscriber's slots of expired
 * sessions, but only the sweep gives up extents in which all have ended.
 */
static bool sweep_is_urgent(struct housekeeping *h)
{
	const struct datapath *d = h->parts->datapath;
	uint64_t refused = d->pool ? __atomic_load_n(&d->pool->refused, __ATOMIC_RELAXED) : 0, dropped = h->dropped;
	struct counters c;

	if (!datapath_counters(d, &c))
		h->dropped = c.drop_overflow_full;
	if (h->dropped == dropped && (refused == h->refused || h->seconds < SWEEP_FOR_EXTENTS))
		return false;
	h->refused = refused;
	return true;
}

static void watch_log(struct housekeeping *h)
{
	bool waiting;
	uint64_t lost = log_lost(&waiting);

	if (lost != h->lines_lost)
		trouble_set(TROUBLE_LOG, "standard error is not read: lines of the log are lost");
	else if (!waiting)
		trouble_clear(TROUBLE_LOG);
	h->lines_lost = lost;
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct housekeeping *h = arg;

	bool urgent = sweep_is_urgent(h);

	guard_count(h->parts->guard, h->parts->datapath);

	/* Counts seconds, so that a shorter interval takes effect at once. */
	if ((++h->seconds >= h->parts->active->config->sweep_interval || urgent) && !h->sweep) {
		h->seconds = 0;
		h->sweep_began_us = monotonic_us();
		if (session_sweep_new(h->parts->mappings, &h->sweep))
			log_warning("no memory to sweep expired sessions");
	}
	history_queue_second(h->parts->history);
	watch_log(h);
	trouble_tick();
	log_tick();
	if (!evtimer_pending(h->slice, NULL))
		on_slice(-1, 0, h);
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	notify_watchdog();
}

static int start_watchdog(struct housekeeping *h)
{
	uint64_t half_ms = notify_watchdog_interval_us() / 2000;

	if (!half_ms)
		return 0;
	h->watchdog = timer_every(h->base, (unsigned)half_ms, on_watchdog, NULL);
	return h->watchdog ? 0 : -ENOMEM;
}

int housekeeping_new(struct event_base *base, const struct parts *parts, struct housekeeping **ret, struct error *err)
{
	struct housekeeping *h = calloc(1, sizeof(*h));

	if (!h)
		return error_set(err, -ENOMEM, "out of memory");
	h->base = base;
	h->parts = parts;
	h->second = timer_each_second(base, on_second, h);
	h->slice = evtimer_new(base, on_slice, h);
	if (!h->second || !h->slice || start_watchdog(h)) {
		housekeeping_free(h);
		return error_set(err, -ENOMEM, "the timers cannot be set up");
	}
	mappings_on_leave(parts->mappings, on_leave, h);
	if (parts->datapath->migration) {
		if (table_check_new(parts->mappings, true, &h->findings, &h->check)) {
			housekeeping_free(h);
			return error_set(err, -ENOMEM, "out of memory");
		}
	}
	/* An earlier agent may have left tables to end. */
	on_leave(h);
	*ret = h;
	return 0;
}

void housekeeping_free(struct housekeeping *h)
{
	if (!h)
		return;

	mappings_on_leave(h->parts->mappings, NULL, NULL);
	struct event *const timers[] = { h->second, h->slice, h->watchdog };

	for (size_t i = 0; i < ARRAY_SIZE(timers); i++)
		if (timers[i])
			event_free(timers[i]);
	if (h->sweep)
		session_sweep_free(h->sweep);
	table_check_free(h->check);
	limit_count_free(h->limits);
	findings_free(&h->findings);
	free(h);
}
