/* SPDX-License-Identifier: BSD-2-Clause */
#include "metrics/usage_monitor.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/virtual6.h"
#include "suspects/suspects.h"

#define SLICE_US 1000U

/* Microseconds of pause for each of work, which bounds the share of a core that passes take; and the shortest pause. */
#define SERVED_PAUSE	    20U
#define UNSERVED_PAUSE	    100U
#define UNSERVED_INTERVAL_S 60U

/*
 * A mapping is near exhaustion if at least NEAR_SUBSCRIBERS subscribers, and one in NEAR_SHARE of those with sessions,
 * use more than NEAR_BOUND of their ports towards one destination. It is well again below half of both.
 */
#define NEAR_BOUND	 4U /* of usage_bounds: 90 % */
#define NEAR_SUBSCRIBERS 10U
#define NEAR_SHARE	 10U

/* The room for extents is near its end from the first percentage on, and well again below the second. */
#define EXTENTS_NEAR_PERCENT 90U
#define EXTENTS_WELL_PERCENT 75U

/*
 * The agent warns of a mapping if at least this many of its TCP sessions, and this share of them, were never answered.
 * It is well again below the second share.
 */
#define SILENT_SESSIONS 10U
#define SILENT_PERCENT	90U
#define HEARD_PERCENT	50U

struct usage {
	const struct active_config *active;
	struct mappings *mappings;
	struct suspects *suspects; /* or NULL */
	struct event *timer;
	struct session_usage *pass; /* under way, or NULL */
	struct session_usage *last;
	struct pool_states *pools; /* the end of a pass, which counts outside addresses, or NULL */
	uint64_t pool_addresses[N_POOL_STATES];
	uint64_t pass_us; /* work on the pass so far */
	struct usage_figures figures;
	usage_notify ended;
	void *arg;
	bool extents_told;
	struct geometry told[MAX_MAPPINGS];   /* by number, the mappings in warnings; ports_per_host 0: none */
	struct geometry silent[MAX_MAPPINGS]; /* the same, of those whose sessions are not answered */
};

const struct session_usage *usage_last(const struct usage *u)
{
	return u->last;
}

struct usage_figures usage_figures(const struct usage *u)
{
	return u->figures;
}

void usage_on_end(struct usage *u, usage_notify ended, void *arg)
{
	u->ended = ended;
	u->arg = arg;
}

static bool is_told(const struct usage *u, int number, const struct geometry *geo)
{
	return !memcmp(&u->told[number], geo, sizeof(*geo));
}

static void warn_of_mapping(struct usage *u, int number)
{
	const struct mapping_usage m = session_usage_of(u->last, number);
	uint64_t near = usage_above(&m.destination, NEAR_BOUND);
	char title[MAPPING_TITLE];

	/* It is translated, so its outside prefix tells the tenant. */
	config_mapping_title(u->active->config, "", geometry_in(&m.geo), geometry_out(&m.geo), title);
	if (!is_told(u, number, &m.geo)) {
		if (near < NEAR_SUBSCRIBERS || near * NEAR_SHARE < m.subscribers)
			return;
		u->told[number] = m.geo;
		log_warning("mapping %s is near exhaustion: of %" PRIu64 " subscribers with sessions, %" PRIu64
			    " use more than %u %% of their %u ports towards one destination, and %" PRIu64
			    " all; a mapping to more outside addresses gives each more ports",
			    title, m.subscribers, near, usage_bounds[NEAR_BOUND], m.geo.ports_per_host, m.exhausted);
	} else if (near < NEAR_SUBSCRIBERS / 2 || near * NEAR_SHARE * 2 < m.subscribers) {
		u->told[number] = (struct geometry){ 0 };
		log_info("mapping %s is no longer near exhaustion: of %" PRIu64 " subscribers with sessions, %" PRIu64
			 " use more than %u %% of their %u ports towards one destination",
			 title, m.subscribers, near, usage_bounds[NEAR_BOUND], m.geo.ports_per_host);
	}
}

bool usage_is_silent(const struct usage *u, int number)
{
	return u->silent[number].ports_per_host &&
	       !memcmp(&u->silent[number], &mappings_get(u->mappings, number)->geo, sizeof(u->silent[number]));
}

static void warn_of_no_answers(struct usage *u, int number)
{
	const struct mapping_usage m = session_usage_of(u->last, number);
	uint64_t tcp = m.sessions[USAGE_TCP];
	char in[INSIDE_TEXT], out[INSIDE_TEXT];

	inside_prefix_text(geometry_in(&m.geo), in);
	prefix_text(geometry_out(&m.geo), out);
	if (memcmp(&u->silent[number], &m.geo, sizeof(m.geo))) {
		if (m.unanswered < SILENT_SESSIONS || m.unanswered * 100 < tcp * SILENT_PERCENT)
			return;
		u->silent[number] = m.geo;
		log_warning("mapping %s: %" PRIu64 " of %" PRIu64
			    " TCP sessions were never answered; does the upstream route %s here?",
			    in, m.unanswered, tcp, out);
	} else if (tcp && m.unanswered * 100 < tcp * HEARD_PERCENT) {
		u->silent[number] = (struct geometry){ 0 };
		log_info("mapping %s: TCP sessions are answered again, %" PRIu64 " of %" PRIu64 " are not", in,
			 m.unanswered, tcp);
	}
}

static uint64_t count_beyond(const struct usage *u)
{
	uint64_t n = 0;

	for (int number = mappings_next(u->mappings, 0); number >= 0; number = mappings_next(u->mappings, number + 1))
		n += session_usage_of(u->last, number).beyond;
	return n;
}

static void warn_of_extents(struct usage *u)
{
	const struct datapath *d = mappings_datapath(u->mappings);
	uint64_t room = d->settings.extent_buckets, used = datapath_extents_used(d);

	if (u->extents_told && (!room || used * 100 < room * EXTENTS_WELL_PERCENT)) {
		u->extents_told = false;
		log_info("the room beyond the slots is no longer near its end: %" PRIu64 " of %" PRIu64
			 " buckets are in use",
			 used, room);
	} else if (!u->extents_told && room && used * 100 >= room * EXTENTS_NEAR_PERCENT) {
		u->extents_told = true;
		log_warning("the room beyond the slots is near its end: %" PRIu64 " of %" PRIu64
			    " buckets are in use, with %" PRIu64 " sessions; subscribers whose slots are full will "
			    "be refused further ones; raise overflow_sessions, or session_slots of their mapping",
			    used, room, u->figures.beyond);
	}
}

static void schedule(struct usage *u, uint64_t delay_us)
{
	const struct timeval delay = { (time_t)(delay_us / 1000000), (suseconds_t)(delay_us % 1000000) };

	evtimer_add(u->timer, &delay);
}

static uint64_t pause_us(const struct usage *u)
{
	const struct config *c = u->active->config;
	bool served = c->metrics_enabled || c->suspects.enabled;
	uint64_t interval = (served ? c->sweep_interval : UNSERVED_INTERVAL_S) * 1000000ULL;
	uint64_t rest = u->pass_us * (served ? SERVED_PAUSE : UNSERVED_PAUSE);

	return interval > rest ? interval : rest;
}

static double wall_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void end_pass(struct usage *u)
{
	const struct mappings *m = u->mappings;

	session_usage_free(u->last);
	u->last = take_pointer(u->pass);
	pool_states_free(take_pointer(u->pools));
	memcpy(u->figures.pool_addresses, u->pool_addresses, sizeof(u->pool_addresses));
	u->figures.passes++;
	u->figures.ended = wall_seconds();
	u->figures.table_memory = mappings_table_memory(m);
	for (int number = mappings_next(m, 0); number >= 0; number = mappings_next(m, number + 1)) {
		warn_of_mapping(u, number);
		warn_of_no_answers(u, number);
	}
	u->figures.beyond = count_beyond(u);
	warn_of_extents(u);
	if (u->suspects)
		suspects_end(u->suspects, monotonic_us());
	if (u->ended)
		u->ended(u->arg);
}

/* Counts outside addresses by their state: 1: more to do, 0: done, -ENOMEM. */
static int count_pools(struct usage *u)
{
	uint64_t until = monotonic_us() + SLICE_US;
	struct pool_address a;

	if (!u->pools) {
		memset(u->pool_addresses, 0, sizeof(u->pool_addresses));
		if (pool_states_new(u->mappings, u->active->config, NULL, &u->pools))
			return -ENOMEM;
	}
	for (;;) {
		uint64_t in_use = pool_states_pass(u->pools);

		u->pool_addresses[POOL_IN_USE] += in_use;
		if (monotonic_us() >= until)
			return 1;
		if (in_use)
			continue;
		if (!pool_states_next(u->pools, &a))
			return 0;
		u->pool_addresses[a.state]++;
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct usage *u = arg;
	uint64_t begin = monotonic_us(), spent;
	int r = 0;

	if (!u->pass) {
		u->pass_us = 0;
		r = session_usage_new(u->mappings, u->suspects ? suspects_begin(u->suspects, begin) : NULL, &u->pass);
	}
	if (!r && !u->pools)
		r = session_usage_step(u->pass, SLICE_US);
	if (!r)
		r = count_pools(u);
	if (!r && u->suspects)
		r = suspects_step(u->suspects, monotonic_us(), SLICE_US);
	spent = monotonic_us() - begin;
	u->pass_us += spent;
	u->figures.busy_us += spent;
	if (r > 0) {
		schedule(u, 0);
		return;
	}
	if (r < 0) {
		log_warning("the walk of the sessions for usage figures was aborted: %s", strerror(-r));
		session_usage_free(take_pointer(u->pass));
		pool_states_free(take_pointer(u->pools));
		if (u->suspects)
			suspects_abort(u->suspects);
	} else {
		end_pass(u);
	}
	schedule(u, pause_us(u));
}

void usage_hurry(struct usage *u)
{
	if (!u->pass)
		schedule(u, 0);
}

int usage_new(struct event_base *base, const struct active_config *active, struct mappings *m,
	      struct suspects *suspects, struct usage **ret, struct error *err)
{
	struct usage *u = calloc(1, sizeof(*u));

	if (!u)
		return error_set(err, -ENOMEM, "out of memory");
	u->active = active;
	u->mappings = m;
	u->suspects = suspects;
	u->timer = evtimer_new(base, on_timer, u);
	if (!u->timer) {
		usage_free(u);
		return error_set(err, -ENOMEM, "out of memory");
	}
	*ret = u;
	return 0;
}

void usage_free(struct usage *u)
{
	if (!u)
		return;
	if (u->timer)
		event_free(u->timer);
	session_usage_free(u->pass);
	session_usage_free(u->last);
	pool_states_free(u->pools);
	free(u);
}
