// SPDX-License-Identifier: BSD-2-Clause
/*
 * The pass: counts the sessions on each granted block, closes those of blocks whose time is up, and finds blocks to
 * take back. A session that opened while its block was being closed is seen by the next pass, as no packet is under way
 * for that long; so a block is taken back by a pass that began after it was closed.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "growth/growth_private.h"
#include "sessions/granted_ports.h"
#include "sessions/sessions.h"

#define SLICE_US 1000
/* A pass takes at most a twentieth of the time. */
#define REST_OF_PASS 20U
/*
 * So long a peer must have been away, in seconds, before its blocks are judged here: a start and a link that was lost
 * for a moment are over by then.
 */
#define AWAY_S 10U
/* Blocks judged between two looks at the clock. */
#define LOOK_INTERVAL 256U

void growth_hurry(struct growth *g)
{
	g->due_us = 0;
	evtimer_add(g->slice, &(struct timeval){ 0 });
}

/* Whether this gateway decides when a block is idle: it has granted it, or the gateway that did so is away. */
static bool is_ours(const struct growth *g, const struct grant *grant)
{
	return !grant->peer || !(g->peers_up & 1U << grant->peer);
}

/* A peer may have sessions that are not known here: its block is idle since it was last heard, at the earliest. */
static void judge_open(struct growth *g, struct grant *grant)
{
	uint32_t idle_s = growth_figures_at(g, grant->out_addr)->idle_s;

	if (grant->peer && idle_s < AWAY_S)
		idle_s = AWAY_S;
	if (grant->sessions || !grant->seen_s || !is_ours(g, grant))
		grant->seen_s = g->now_s;
	if (grant->sessions || g->now_s - grant->seen_s < idle_s)
		return;
	growth_close_idle(g, grant);
}

static uint32_t max_of(const struct growth *g, const struct grant *grant)
{
	return growth_figures_at(g, grant->out_addr)->wanted.max_blocks;
}

/*
 * A block that was thought to be idle has sessions. A gateway may have announced its end: a later act undoes that end,
 * but is just so much later that it undoes no act that has followed the end.
 */
static void open_again(struct growth *g, struct grant *grant)
{
	const struct grant was = *grant;

	grant->idle = false;
	grant->stamp++;
	grant->peer = 0;
	if (grants_reopen(g->grants, grant, was.yields ? GROWTH_MAX_BLOCKS : max_of(g, grant))) {
		grant->idle = true;
		grant->stamp = was.stamp;
		grant->peer = was.peer;
		return;
	}
	grant->yields = false;
	growth_tell_act(g, grant);
	/* The end has been reported where it was announced. */
	if (was.yields && g->changed)
		g->changed(g->changed_arg, grant, true);
}

static void judge_closed(struct growth *g, struct grant *grant)
{
	if (grant->until_s > g->now_s && grant->until_s < g->end_s)
		g->end_s = grant->until_s;
	if (grant->closed == g->pass)
		return;
	if (grant->sessions) {
		grant->seen_s = g->now_s;
		if (grant->idle)
			open_again(g, grant);
		return;
	}
	if (growth_record(g, grant, true))
		log_error("no memory to take a granted block back");
}

static void end_rest(struct growth *g, struct grant *grant)
{
	grants_tell_none_left(g->grants, grant->out_addr, false);
	if (!growth_remembers(g, grant) || grants_free(g->grants, grant))
		grants_drop(g->grants, grant);
}

static void judge(struct growth *g, struct grant *grant)
{
	const struct granted_block block = {
		.out_addr = grant->out_addr,
		.in_addr = grant->in_addr,
		.port_lo = grant->port_lo,
		.ports = grant->ports,
		.ends = grant->state == GRANT_CLOSED && grant->until_s <= g->now_s,
	};

	grant->sessions =
		grant->state == GRANT_OPEN || grant->state == GRANT_CLOSED ? granted_sessions(g->m, &block) : 0;
	if (grant->recorded)
		return;
	switch (grant->state) {
	case GRANT_OPEN:
		judge_open(g, grant);
		break;
	case GRANT_CLOSED:
		judge_closed(g, grant);
		break;
	case GRANT_RESTS:
		if (grant->until_s <= g->now_s)
			end_rest(g, grant);
		break;
	case GRANT_FREE:
		if (!growth_remembers(g, grant))
			grants_drop(g->grants, grant);
		break;
	}
}

/* 1: more to do, 0: done. */
static int step(struct growth *g, uint64_t deadline_us)
{
	struct grant *grant;

	for (unsigned n = 1; (grant = grants_walk(g->grants, &g->at)); n++) {
		judge(g, grant);
		if (!(n % LOOK_INTERVAL) && monotonic_us() >= deadline_us)
			return 1;
	}
	return 0;
}

static void begin(struct growth *g)
{
	g->under_way = true;
	g->pass++;
	g->at = 0;
	g->began_us = monotonic_us();
	g->now_s = boottime_s();
	g->end_s = UINT64_MAX;
	g->due_us = UINT64_MAX;
}

/* Those who wait for a count that began after they asked. */
static void tell_waiting(struct growth *g)
{
	struct counting **at = &g->waiting;

	while (*at) {
		struct counting *c = *at;

		if ((int32_t)(g->pass - c->pass) < 0) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		c->done(c->arg);
		free(c);
	}
}

/* Microseconds until the second in which sessions of a closed block are to end. */
static uint64_t until_end_us(const struct growth *g)
{
	uint64_t now = clock_ns(CLOCK_BOOTTIME);

	return g->end_s * NS_PER_S > now ? (g->end_s * NS_PER_S - now) / 1000 + 1 : 0;
}

/* The next pass is due after the interval, or where sessions are to end before that. */
static void set_due(struct growth *g)
{
	uint64_t now = monotonic_us(), interval = (uint64_t)g->interval_s * 1000000;
	uint64_t took = (now - g->began_us) * REST_OF_PASS, wait = took > interval ? took : interval, ends;
	struct timeval pause;

	g->due_us = g->began_us + wait;
	ends = g->end_s == UINT64_MAX ? UINT64_MAX : until_end_us(g);
	if (ends >= wait || now + ends >= g->due_us)
		return;
	g->due_us = now + ends > g->began_us + took ? now + ends : g->began_us + took;
	ends = g->due_us - now;
	pause.tv_sec = (time_t)(ends / 1000000);
	pause.tv_usec = (suseconds_t)(ends % 1000000);
	evtimer_add(g->slice, &pause);
}

static void end(struct growth *g)
{
	g->under_way = false;
	/* Else it was hurried meanwhile. */
	if (g->due_us)
		set_due(g);
	if (g->unsettled)
		growth_lay_out(g);
	tell_waiting(g);
}

void growth_pass_slice(struct growth *g)
{
	uint64_t deadline_us = monotonic_us() + SLICE_US;

	/* Without the configuration, a block would be idle at once. */
	if (!g->settled)
		return;
	if (!g->under_way && monotonic_us() >= g->due_us)
		begin(g);
	else if (g->under_way && !step(g, deadline_us))
		end(g);
	if (g->under_way || !g->due_us)
		evtimer_add(g->slice, &(struct timeval){ 0 });
}

void growth_pass_second(struct growth *g)
{
	struct grant_figures figures;

	grants_count(g->grants, &figures);
	if ((figures.grants || figures.rests || g->waiting || g->unsettled) && !g->under_way &&
	    monotonic_us() >= g->due_us && !evtimer_pending(g->slice, NULL))
		growth_pass_slice(g);
}

void growth_pass_end(struct growth *g)
{
	g->under_way = false;
}

int growth_count(struct growth *g, growth_counted done, void *arg)
{
	struct counting *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = (struct counting){ .next = g->waiting, .done = done, .arg = arg, .pass = g->pass + 1 };
	g->waiting = c;
	growth_hurry(g);
	return 0;
}

void growth_forget(struct growth *g, const void *arg)
{
	struct counting **at = &g->waiting;

	while (*at) {
		struct counting *c = *at;

		if (c->arg != arg) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		free(c);
	}
}
