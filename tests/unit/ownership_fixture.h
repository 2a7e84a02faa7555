/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of docs/internals/OWNERSHIP.md do to the two gateways, and expect of them. */
#ifndef DETNAT_TEST_OWNERSHIP_FIXTURE_H
#define DETNAT_TEST_OWNERSHIP_FIXTURE_H

#include <netinet/in.h>

#include "beyond_fixture.h"

#define NOW(g) datapath_ticks(&(g)->d)

static inline uint32_t open_tcp(struct gateway *g, uint16_t in_port)
{
	return open_flow(g, HOST, in_port, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
}

/* A connection of a's, and b's copy: their slot. */
static inline uint32_t copied(void)
{
	uint32_t slot = open_tcp(&a, 5000);

	exchange(&a, &b);
	cr_assert_eq(copying_held(b.c, 1), 1);
	return slot;
}

/* A packet from inside, at no tick of vouching. */
static inline void packet(struct gateway *g, uint32_t slot)
{
	touch(g, HOST, slot, NOW(g) - 1000);
}

/* The last packet came so many seconds ago. */
static inline void silent_for(struct gateway *g, uint32_t slot, uint32_t seconds)
{
	touch(g, HOST, slot, NOW(g) - ticks_of_seconds(seconds, g->d.hz));
}

static inline void time_wait(struct gateway *g, uint32_t slot)
{
	struct slot *s = slot_at(g, HOST, slot);

	s->truth = word_with(s->truth, SESSION_TIME_WAIT, word_seen(s->truth));
	mappings_subscriber(g->m, g->number, HOST)->sessions--;
}

/* What one tells, and nobody hears. */
static inline void tell_nobody(struct gateway *g)
{
	struct told t = { 0 };

	passes(g, &t);
	told_free(&t);
}

static inline void exchange_twice(void)
{
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned k = 0; k < 4; k++)
			exchange(&a, &b);
		acknowledge(&a, &b);
	}
}

/* That one of the two has it, and the other a copy; or that neither has it. */
static inline void expect_at(struct gateway *owner, struct gateway *other)
{
	cr_expect_eq(sessions_in(owner, HOST), 1);
	cr_expect_eq(sessions_in(other, HOST), 1);
	cr_expect_eq(copying_held(owner->c, 1), 0);
	cr_expect_eq(copying_held(other->c, 1), 1);
	pair_sound();
}

static inline void expect_ended(void)
{
	cr_expect_eq(sessions_in(&a, HOST), 0);
	cr_expect_eq(sessions_in(&b, HOST), 0);
	cr_expect_eq(copying_held(a.c, 1) + copying_held(b.c, 1), 0);
	cr_expect_eq(copying_told(a.c) + copying_told(b.c), 0);
	pair_sound();
}

static inline unsigned records_of(const struct told *t, unsigned type)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n; i++)
		n += t->payload[i].type == type;
	return n;
}

/* The peer that was away hears of it first, whoever speaks first. */
static inline void come_back(bool first)
{
	struct told of_a = { 0 }, of_b = { 0 };

	pass(&a, &of_a);
	pass(&b, &of_b);
	whole(&a, &of_a);
	whole(&b, &of_b);
	if (first)
		hear(&b, 1, &of_a);
	hear(&a, 1, &of_b);
	if (!first)
		hear(&b, 1, &of_a);
	exchange_twice();
}

/* So many seconds later. */
static inline void retry_after(struct gateway *g, uint32_t seconds)
{
	uint32_t at = 0;

	for (struct waiting_copy *e; (e = hash_walk(&waiting_copies, &g->c->waiting, &at));)
		e->tick -= ticks_of_seconds(seconds, g->d.hz);
	for (uint32_t i = 0; i < WAITING_MAX / 4096; i++)
		cr_assert_eq(copying_retry(g->c, 1, &g->counts), 0);
}

static inline void whole_for(struct gateway *g, unsigned peer, struct told *ret)
{
	struct copying_whole *w;
	int r;

	cr_assert_eq(copying_whole_new(g->c, peer, &w), 0);
	while ((r = copying_whole_step(w, 1000000, keep, ret)) > 0)
		;
	cr_assert_eq(r, 0);
	copying_whole_free(w);
}

/* All that one has, to a peer that begins to hear it. */
static inline void connect_to(struct gateway *from, unsigned number, struct gateway *to, unsigned peer)
{
	struct told t = { 0 };

	pass(from, &t);
	whole_for(from, number, &t);
	hear(to, peer, &t);
}

#endif
