// SPDX-License-Identifier: BSD-2-Clause
/*
 * Grants of blocks (growth/): each gateway tells the others of its acts, and all apply the same rule to them: of two
 * acts on a block the one with the higher stamp counts. An act that is not so here yet waits until it is, however long
 * that takes: the block has to be recorded, its sessions have to end first, or this gateway is configured otherwise.
 */
#include <errno.h>
#include <string.h>

#include "base/act_stamp.h"
#include "base/clock.h"
#include "base/log.h"
#include "copies/copying_private.h"
#include "growth/block_growth.h"

#define LOOK_INTERVAL 256U
WHOLE_FITS(LOOK_INTERVAL, struct wire_grant);
/* Acts that wait, and how many are looked at in one call. */
#define WAITING_ACTS_MAX 65536U
#define LOOK_MAX	 4096U
/* One is tried again after a quarter of a second, then after twice as long each time, up to this shift. */
#define TRY_US	  250000U
#define TRIES_MAX 4U
/* After so many tries it is lacking: recording it takes less time. */
#define LACKING_AT 4U

struct waiting_act {
	struct hash_entry entry;
	struct grant_act act;
	uint8_t peer;
	uint8_t tries;
	uint32_t round; /* of the peer, in which it was announced last */
	uint64_t due_us;
};

static uint64_t hash_act(const void *entry)
{
	const struct waiting_act *w = entry;

	return HASH_OF((uint64_t)w->act.out_addr << 16 | w->act.port_lo, w->peer);
}

static bool same_block(const void *a, const void *b)
{
	const struct waiting_act *x = a, *y = b;

	return x->act.out_addr == y->act.out_addr && x->act.port_lo == y->act.port_lo && x->peer == y->peer;
}

static const struct hash_type waiting_acts = { sizeof(struct waiting_act), WAITING_ACTS_MAX, hash_act, same_block };

/* The mapping whose block it is; -1: none that is exchanged. */
static int mapping_of(const struct copying *c, uint32_t out_addr)
{
	int number = mappings_find_outside(c->m, out_addr);

	return number >= 0 && c->mapping[number].used ? number : -1;
}

static void on_act(void *arg, const struct grant_act *act)
{
	struct copying *c = arg;
	struct told_grants *t = &c->grants;

	if (t->n_news == t->room_news) {
		uint32_t room = t->room_news ? 2 * t->room_news : 64;
		struct grant_act *more = reallocarray(t->news, room, sizeof(*more));

		if (!more) {
			log_error("replication: no memory to announce a granted block; the next whole copy does");
			return;
		}
		t->news = more;
		t->room_news = room;
	}
	t->news[t->n_news++] = *act;
}

static void write_act(const struct copying *c, struct draft *o, const struct grant_act *act)
{
	int number = mapping_of(c, act->out_addr);
	struct wire_grant *w;

	if (number < 0 || !copied_mapping_owned(c, &c->mapping[number]))
		return;
	w = draft_take(o, sizeof(*w));
	*w = (struct wire_grant){ .in_addr = htobe32(act->in_addr),
				  .out_addr = htobe32(act->out_addr),
				  .port_lo = htobe16(act->port_lo),
				  .ports = htobe16(act->ports),
				  .flags = htobe32(act->idle ? WIRE_GRANT_IDLE : 0),
				  .stamp = htobe64(act->stamp) };
}

/* Hands over what is written, if it is of grants. 0, or the error of `emit`: it is kept. */
static int flush(struct copying *c, copying_emit emit, void *arg)
{
	return c->out.length && c->out.type == WIRE_GRANTS ? draft_flush(&c->out, emit, arg) : 0;
}

int copied_grants_tell(struct copying *c, copying_emit emit, void *arg)
{
	struct told_grants *t = &c->grants;
	uint32_t n = 0;
	int r = flush(c, emit, arg);

	/* Grants that exist at a start go with whole copies. */
	if (!c->primed)
		n = t->n_news;
	else if (!r && t->n_news)
		r = draft_flush(&c->out, emit, arg);
	for (; !r && n < t->n_news; n++) {
		if (draft_room(&c->out) < sizeof(struct wire_grant))
			r = flush(c, emit, arg);
		if (r)
			break;
		c->out.type = WIRE_GRANTS;
		write_act(c, &c->out, &t->news[n]);
	}
	if (n)
		memmove(t->news, t->news + n, (t->n_news - n) * sizeof(*t->news));
	t->n_news -= n;
	return r ? r : flush(c, emit, arg);
}

static void write_place(struct copying *c, struct draft *o, uint32_t place)
{
	const struct grant *grant = grants_get(c->grants.table, place);
	struct grant_act act;

	/* One that yields has the stamp of its end, and the one that announced it tells that. */
	if (!grant || grant->state == GRANT_ASKED || grant->yields || !grant->stamp)
		return;
	act = growth_act_of(grant);
	write_act(c, o, &act);
}

int copied_grants_whole(struct copying *c, uint32_t *at, struct draft *o, uint64_t deadline_us, copying_emit emit,
			void *arg)
{
	const struct draft_table grants = { WIRE_GRANTS, c->grants.table ? grants_end(c->grants.table) : 0,
					    LOOK_INTERVAL, write_place };

	return draft_tell(o, c, &grants, at, deadline_us, emit, arg);
}

/* Reads a record. False: it is invalid. */
static bool read_act(const struct wire_grant *w, struct grant_act *ret)
{
	*ret = (struct grant_act){ .in_addr = be32toh(w->in_addr),
				   .out_addr = be32toh(w->out_addr),
				   .port_lo = be16toh(w->port_lo),
				   .ports = be16toh(w->ports),
				   .idle = be32toh(w->flags) & WIRE_GRANT_IDLE,
				   .stamp = be64toh(w->stamp) };
	return ret->stamp && ret->stamp <= ACT_STAMP_MAX && ret->port_lo >= GROWTH_FIRST_PORT &&
	       ret->ports >= GROWTH_MIN_BLOCK && ret->ports <= GROWTH_MAX_BLOCK && ret->ports <= 65536U - ret->port_lo;
}

/* Whoever waits no more for its block may lack the sessions on it, too. */
static void wait_no_more(struct copying *c, struct waiting_act *w)
{
	bool lacking = w->tries >= LACKING_AT;

	c->peer[w->peer].lacks.grants -= lacking;
	c->peer[w->peer].missed |= lacking;
	hash_del(&waiting_acts, &c->grants.waiting, w);
}

static void wait_for(struct copying *c, unsigned peer, const struct grant_act *act)
{
	struct waiting_act like = { .act = *act, .peer = (uint8_t)peer, .round = c->peer[peer].round }, *w;

	w = hash_find(&waiting_acts, &c->grants.waiting, &like);
	/* A later act on the same block replaces it. */
	if (w) {
		w->act = *act;
		w->round = like.round;
		return;
	}
	like.due_us = monotonic_us() + TRY_US;
	if (!hash_add(&waiting_acts, &c->grants.waiting, &like))
		c->peer[peer].missed = true;
}

/* 0, or -errno as growth_apply(). */
static int apply(const struct copying *c, unsigned peer, const struct grant_act *act)
{
	int number = mapping_of(c, act->out_addr);

	return number < 0 || !c->peer[peer].exchanged[number] ? -EINVAL : growth_apply(c->grants.growth, peer, act);
}

int copied_grants_apply(struct copying *c, unsigned peer, const void *payload, size_t length,
			struct copying_counts *add)
{
	const struct wire_grant *w = payload;

	if (length % sizeof(*w))
		return -EPROTO;
	for (size_t i = 0; c->grants.growth && i < length / sizeof(*w); i++) {
		struct waiting_act like = { .peer = (uint8_t)peer }, *waits;
		int r;

		if (!read_act(&w[i], &like.act)) {
			add->refused++;
			continue;
		}
		r = apply(c, peer, &like.act);
		add->refused += r == -EINVAL;
		waits = r ? NULL : hash_find(&waiting_acts, &c->grants.waiting, &like);
		if (r)
			wait_for(c, peer, &like.act);
		else if (waits)
			wait_no_more(c, waits);
	}
	return 0;
}

static void try_again(struct copying *c, struct waiting_act *w, uint64_t now)
{
	if (!apply(c, w->peer, &w->act)) {
		wait_no_more(c, w);
		return;
	}
	w->due_us = now + ((uint64_t)TRY_US << w->tries);
	if (w->tries < TRIES_MAX && ++w->tries == LACKING_AT)
		c->peer[w->peer].lacks.grants++;
}

void copied_grants_retry(struct copying *c, uint64_t now)
{
	struct told_grants *t = &c->grants;

	for (uint32_t i = 0; t->waiting.n && i < LOOK_MAX && i < t->waiting.end; i++) {
		struct waiting_act *w = hash_get(&waiting_acts, &t->waiting, t->retry_at++ % t->waiting.end);

		if (w && now >= w->due_us)
			try_again(c, w, now);
	}
}

void copied_grants_whole_ended(struct copying *c, unsigned peer)
{
	uint32_t at = 0;

	for (struct waiting_act *w; (w = hash_walk(&waiting_acts, &c->grants.waiting, &at));)
		if (w->peer == peer && w->round != c->peer[peer].round)
			wait_no_more(c, w);
}

static void on_layout(void *arg)
{
	struct copying *c = arg;

	c->rules_stale = true;
}

void copying_set_growth(struct copying *c, struct growth *growth, const struct grants *grants)
{
	c->grants.growth = growth;
	c->grants.table = grants;
	growth_on_act(growth, on_act, c);
	growth_on_layout(growth, on_layout, c);
}

void copied_grants_end(struct copying *c)
{
	if (c->grants.growth) {
		growth_on_act(c->grants.growth, NULL, NULL);
		growth_on_layout(c->grants.growth, NULL, NULL);
	}
	free(c->grants.news);
	hash_free(&c->grants.waiting);
}

uint64_t copied_grants_memory(const struct copying *c)
{
	return c->grants.room_news * sizeof(*c->grants.news) + hash_memory(&waiting_acts, &c->grants.waiting);
}
