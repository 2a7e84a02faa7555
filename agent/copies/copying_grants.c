// SPDX-License-Identifier: BSD-2-Clause
/*
 * Grants of blocks (growth/): each gateway tells the others of its acts, and all apply the same rule to them: of two
 * acts on a block the one with the higher stamp counts. An act that cannot be applied yet, as the block is being
 * recorded or its sessions have to end first, waits.
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
/* Acts that wait, and tries of one a quarter of a second apart: then the next whole copy brings it again. */
#define WAITING_ACTS_MAX 65536U
#define TRIES_MAX	 240U
#define TRY_US		 250000U

struct waiting_act {
	struct grant_act act;
	uint8_t peer;
	uint8_t tries;
};

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

	if (!grant || grant->state == GRANT_ASKED || !grant->stamp)
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
				   .stamp = be64toh(w->stamp) };
	return ret->stamp && ret->stamp <= ACT_STAMP_MAX && ret->port_lo >= GROWTH_FIRST_PORT &&
	       ret->ports >= GROWTH_MIN_BLOCK && ret->ports <= GROWTH_MAX_BLOCK && ret->ports <= 65536U - ret->port_lo;
}

static void wait_for(struct copying *c, unsigned peer, const struct grant_act *act)
{
	struct told_grants *t = &c->grants;

	/* A later act on the same block replaces it. */
	for (uint32_t i = 0; i < t->n_waiting; i++)
		if (t->waiting[i].act.out_addr == act->out_addr && t->waiting[i].act.port_lo == act->port_lo &&
		    t->waiting[i].peer == peer) {
			t->waiting[i] = (struct waiting_act){ .act = *act, .peer = (uint8_t)peer };
			return;
		}
	if (t->n_waiting == t->room_waiting) {
		uint32_t room = t->room_waiting ? 2 * t->room_waiting : 64;
		struct waiting_act *more =
			room > WAITING_ACTS_MAX ? NULL : reallocarray(t->waiting, room, sizeof(*more));

		if (!more)
			return;
		t->waiting = more;
		t->room_waiting = room;
	}
	t->waiting[t->n_waiting++] = (struct waiting_act){ .act = *act, .peer = (uint8_t)peer };
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
		struct grant_act act;
		int r = read_act(&w[i], &act) ? apply(c, peer, &act) : -EINVAL;

		if (r == -EAGAIN)
			wait_for(c, peer, &act);
		else if (r)
			add->refused++;
	}
	return 0;
}

void copied_grants_retry(struct copying *c)
{
	struct told_grants *t = &c->grants;
	uint64_t now = monotonic_us();
	uint32_t kept = 0;

	if (!t->n_waiting || now < t->retry_us)
		return;
	t->retry_us = now + TRY_US;
	for (uint32_t i = 0; i < t->n_waiting; i++) {
		struct waiting_act w = t->waiting[i];

		if (w.tries++ < TRIES_MAX && apply(c, w.peer, &w.act) == -EAGAIN)
			t->waiting[kept++] = w;
	}
	t->n_waiting = kept;
}

void copying_set_growth(struct copying *c, struct growth *growth, const struct grants *grants)
{
	c->grants.growth = growth;
	c->grants.table = grants;
	growth_on_act(growth, on_act, c);
}

void copied_grants_end(struct copying *c)
{
	if (c->grants.growth)
		growth_on_act(c->grants.growth, NULL, NULL);
	free(c->grants.news);
	free(c->grants.waiting);
}

uint64_t copied_grants_memory(const struct copying *c)
{
	return c->grants.room_news * sizeof(*c->grants.news) + c->grants.room_waiting * sizeof(*c->grants.waiting);
}
