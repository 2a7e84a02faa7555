// SPDX-License-Identifier: BSD-2-Clause
#include "growth/block_growth.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/trouble.h"
#include "growth/growth_private.h"
#include "host/timer.h"
#include "tables/mapping_drains.h"

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct growth *g = arg;

	growth_serve(g, growth_serves(g));
	growth_pass_second(g);
}

static void on_group(evutil_socket_t fd, short what, void *arg)
{
	growth_write(arg);
}

static void on_slice(evutil_socket_t fd, short what, void *arg)
{
	growth_pass_slice(arg);
}

int growth_new(struct event_base *base, struct mappings *m, struct grants *grants, struct history_queue *history,
	       struct growth **ret, struct error *err)
{
	struct growth *g = calloc(1, sizeof(*g));

	if (!g)
		return error_set(err, -ENOMEM, "out of memory");
	g->base = base;
	g->m = m;
	g->grants = grants;
	g->history = history;
	g->interval_s = 1;
	/* Until the configuration is known, nothing is forgotten. */
	g->exchanges = true;
	g->second = timer_each_second(base, on_second, g);
	g->group = evtimer_new(base, on_group, g);
	g->slice = evtimer_new(base, on_slice, g);
	if (!g->second || !g->group || !g->slice) {
		growth_free(g);
		return error_set(err, -ENOMEM, "the timers cannot be set up");
	}
	*ret = g;
	return 0;
}

void growth_free(struct growth *g)
{
	if (!g)
		return;

	struct event *const timers[] = { g->second, g->group, g->slice };

	growth_serve(g, false);
	history_queue_forget(g->history, g);
	growth_pass_end(g);
	for (size_t i = 0; i < ARRAY_SIZE(timers); i++)
		if (timers[i])
			event_free(timers[i]);
	while (g->waiting) {
		struct counting *c = g->waiting;

		g->waiting = c->next;
		free(c);
	}
	free(g->batch.change);
	free(g);
}

/* Whether an event has been answered already: a block was granted since, or is about to be. */
static bool is_answered(const struct growth *g, uint64_t place, uint64_t time_ns)
{
	for (const struct grant *i = grants_of(g->grants, place, NULL); i; i = grants_of(g->grants, place, i))
		if (i->state == GRANT_ASKED || i->made_ns > time_ns)
			return true;
	return false;
}

/* Where the search for a free block begins: a guess at one that was not in use lately, and that cannot be foreseen. */
static uint32_t first_block(uint32_t in_addr, uint64_t time_ns)
{
	return (uint32_t)HASH_OF(in_addr, time_ns) & 0xffff;
}

void growth_ask(struct growth *g, uint64_t place, uint64_t time_ns)
{
	const uint32_t in_addr = inside_addr(place);
	int number = mappings_find_inside(g->m, inside_tenant(place), in_addr), n, block;
	const struct mapping *m = number < 0 ? NULL : mappings_get(g->m, number);
	struct grant like = { .in_addr = in_addr }, *grant;
	uint32_t n_free;

	if (!m || !growth_serves(g) || !m->growth.block || is_answered(g, place, time_ns))
		return;
	like.out_addr = mapping_out_addr(&m->geo, mapping_subscriber(&m->geo, in_addr));
	n = grants_number(g->grants, in_addr, like.out_addr, m->growth.max_blocks);
	if (n < 0)
		return;
	block = grants_free_block(g->grants, m, like.out_addr, first_block(in_addr, time_ns), &n_free);
	if (n_free <= 1)
		grants_tell_none_left(g->grants, like.out_addr, true);
	if (block < 0)
		return;
	like.number = (uint8_t)n;
	like.ports = m->growth.block;
	like.port_lo = (uint16_t)growth_port_lo(&m->geo, m->growth.block, (uint32_t)block);
	grant = grants_reserve(g->grants, &like);
	if (grant && growth_record(g, grant, false))
		grants_drop(g->grants, grant);
}

int growth_revoke(struct growth *g, uint32_t out_addr, uint16_t port, uint32_t drain_s)
{
	struct grant *grant = grants_at(g->grants, out_addr, port);

	if (!grant || grant->state == GRANT_RESTS)
		return -ENOENT;
	if (grant->recorded)
		return -EBUSY;
	if (growth_close(g, grant, boottime_s() + drain_s))
		return -EIO;
	growth_hurry(g);
	return 0;
}

void growth_on_change(struct growth *g, grant_visit changed, void *arg)
{
	g->changed = changed;
	g->changed_arg = arg;
}

void growth_on_act(struct growth *g, grant_acted acted, void *arg)
{
	g->acted = acted;
	g->acted_arg = arg;
}

void growth_on_layout(struct growth *g, void (*laid_out)(void *arg), void *arg)
{
	g->laid_out = laid_out;
	g->laid_out_arg = arg;
}

void growth_set_peers(struct growth *g, uint8_t up)
{
	g->peers_up = up;
}

void growth_adopt(struct growth *g, unsigned peer)
{
	uint32_t at = 0;

	for (struct grant *i; (i = grants_walk(g->grants, &at));) {
		if (i->peer != peer)
			continue;
		i->peer = 0;
		grants_touch(g->grants, i);
	}
}

/* A subscriber's block gives way to an act of a peer: its sessions end, and then it does. */
static void yield(struct growth *g, struct grant *grant, uint64_t stamp)
{
	grant->stamp = stamp;
	grant->yields = true;
	growth_close(g, grant, boottime_s());
	growth_hurry(g);
}

/*
 * The same of an end by idleness, which is no end where the block has sessions: the next pass finds them. One that is
 * to end here anyway does so by this gateway's own act, which is later.
 */
static int yield_if_idle(struct growth *g, struct grant *grant, uint64_t stamp)
{
	const uint64_t before = grant->stamp;
	bool ends = grant->state == GRANT_CLOSED && !grant->idle;

	grant->stamp = stamp;
	if (ends ? grants_touch(g->grants, grant) : growth_close_idle(g, grant)) {
		grant->stamp = before;
		return -EAGAIN;
	}
	grant->yields |= !ends;
	growth_hurry(g);
	return 0;
}

/* A peer has granted it to the subscriber who has it here. */
static int take_again(struct growth *g, struct grant *grant, unsigned peer, uint64_t stamp)
{
	bool idle = grant->state == GRANT_CLOSED && grant->idle;

	/* It ends here first. */
	if (grant->yields && !idle)
		return -EAGAIN;
	grant->stamp = stamp;
	grant->peer = (uint8_t)peer;
	if (!idle)
		return grants_touch(g->grants, grant) ? -EAGAIN : 0;
	grant->idle = grant->yields = false;
	if (!grants_reopen(g->grants, grant, GROWTH_MAX_BLOCKS))
		return 0;
	grant->idle = true;
	return -EAGAIN;
}

/* Another block that has a port of the act's, or NULL. */
static struct grant *in_its_way(const struct growth *g, const struct grant_act *act)
{
	struct grant *i;

	for (i = grants_on(g->grants, act->out_addr, NULL); i; i = grants_on(g->grants, act->out_addr, i))
		if (i->state != GRANT_FREE && i->port_lo != act->port_lo && i->port_lo < act->port_lo + act->ports &&
		    act->port_lo < i->port_lo + i->ports)
			return i;
	return NULL;
}

static int apply_begin(struct growth *g, unsigned peer, const struct grant_act *act, struct grant *here)
{
	struct grant like = { .in_addr = act->in_addr,
			      .out_addr = act->out_addr,
			      .port_lo = act->port_lo,
			      .ports = act->ports,
			      .peer = (uint8_t)peer,
			      .stamp = act->stamp };
	int number, n;
	const struct mapping *m;

	if (!growth_holds(g, &like, &number))
		return -EINVAL;
	m = mappings_get(g->m, number);
	if (!growth_is_home(g, number, act->in_addr) || m->growth.block != act->ports || in_its_way(g, act))
		return -EINVAL;
	n = grants_number(g->grants, act->in_addr, act->out_addr, GROWTH_MAX_BLOCKS);
	if (n < 0)
		return -EINVAL;
	/* Nothing can be recorded at present. */
	if (trouble_get(TROUBLE_HISTORY))
		return -EAGAIN;
	if (here)
		grants_drop(g->grants, here);
	like.number = (uint8_t)n;
	here = grants_reserve(g->grants, &like);
	if (!here)
		return -EAGAIN;
	if (growth_record(g, here, false))
		grants_drop(g->grants, here);
	return -EAGAIN;
}

/* The end of a grant of a block that is not granted: earlier acts on it count no more. */
static int apply_end(struct growth *g, const struct grant_act *act, struct grant *here)
{
	const struct grant like = { .out_addr = act->out_addr,
				    .port_lo = act->port_lo,
				    .ports = act->ports,
				    .idle = act->idle,
				    .stamp = act->stamp };

	if (!here) {
		if (growth_remembers(g, &like) && !in_its_way(g, act))
			grants_remember(g->grants, &like);
		return 0;
	}
	here->stamp = act->stamp;
	here->idle = act->idle;
	return grants_touch(g->grants, here) ? -EAGAIN : 0;
}

int growth_apply(struct growth *g, unsigned peer, const struct grant_act *act)
{
	struct grant *here = grants_find(g->grants, act->out_addr, act->port_lo);

	if (here && here->recorded)
		return -EAGAIN;
	if (here && (here->stamp > act->stamp || (here->stamp == act->stamp && !here->yields)))
		return 0;
	if (!here || here->state == GRANT_RESTS || here->state == GRANT_FREE)
		return act->in_addr ? apply_begin(g, peer, act, here) : apply_end(g, act, here);
	if (!act->in_addr && act->idle)
		return yield_if_idle(g, here, act->stamp);
	if (!act->in_addr) {
		yield(g, here, act->stamp);
		return 0;
	}
	if (here->in_addr == act->in_addr && here->ports == act->ports)
		return take_again(g, here, peer, act->stamp);
	yield(g, here, act->stamp - 1);
	return -EAGAIN;
}
