/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/route_copy_private.h"

/* Milliseconds for which changes of next hops are gathered; nodes are not urgent. */
#define HOPS_WAIT_MS  50
#define NODES_WAIT_MS 1000
/* Milliseconds between two checks whether programs have ended. */
#define POLL_MS 4

static void store_until(const struct route_copy *c, uint32_t until)
{
	__atomic_store_n(&c->datapath->global->fib_until, until, __ATOMIC_SEQ_CST);
}

bool lease_stands(const struct route_copy *c)
{
	return !c->held;
}

static bool has_run_out(const struct route_copy *c)
{
	uint32_t until = c->datapath->global->fib_until;

	return (int32_t)(datapath_ticks(c->datapath) - until) > 0;
}

/* An expired lease begins again only after the notifications waiting in the socket are processed. */
static void catch_up(struct route_copy *c)
{
	if (!c->catch_up || c->catching_up || c->held || !has_run_out(c))
		return;
	c->catching_up = true;
	c->catch_up(c->catch_up_arg);
	c->catching_up = false;
}

void lease_renew(struct route_copy *c)
{
	uint32_t ticks = c->datapath->hz >> TICK_SHIFT, now;

	/* The programs of an earlier agent know another copy. */
	if (c->datapath->build)
		c->held &= ~(1U << ROUTE_COPY_PROGRAMS);
	else
		c->held |= 1U << ROUTE_COPY_PROGRAMS;
	catch_up(c);
	now = datapath_ticks(c->datapath);
	store_until(c, c->held ? now - 1 : now + (ticks ? ticks : 1));
}

void lease_hold(struct route_copy *c, enum route_copy_hold why, bool held)
{
	unsigned before = c->held;

	c->held = held ? before | 1U << why : before & ~(1U << why);
	if (c->held != before)
		lease_renew(c);
}

static void add_ms(struct event *e, unsigned ms)
{
	const struct timeval delay = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000L };

	event_add(e, &delay);
}

void lease_settle_soon(struct route_copy *c)
{
	bool urgent = c->hops.n_waiting > 0;

	if (c->settling || (!urgent && !c->trie.n_left) || event_pending(c->settle, EV_TIMEOUT, NULL))
		return;
	add_ms(c->settle, urgent ? HOPS_WAIT_MS : NODES_WAIT_MS);
}

static void wait_for_programs(void *arg)
{
	datapath_grace_period(arg);
}

void lease_settle_begin(struct route_copy *c)
{
	if (c->settling)
		return;
	c->settling = true;
	c->emptying = c->step == FIB_STEP_EMPTY;
	fib_trie_settle_begin(&c->trie);
	fib_hops_settle_begin(&c->hops);
	background_start(&c->grace, wait_for_programs, c->datapath);
	add_ms(c->settled, POLL_MS);
}

bool lease_settle_end(struct route_copy *c)
{
	if (background_busy(&c->grace)) {
		add_ms(c->settled, POLL_MS);
		return false;
	}
	c->settling = false;
	fib_trie_settle_end(&c->trie);
	fib_hops_settle_end(&c->hops);
	return true;
}
