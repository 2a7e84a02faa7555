// SPDX-License-Identifier: BSD-2-Clause
/* The steps of bpf/slow/open.h and open_search.h, without the races between cores. */
#include "planner/replay_private.h"

#include <detnat/tcp_state.h>

#include <stdlib.h>
#include <string.h>

#define SWEEP_TICKS (5000 / REPLAY_TICK_MS)

struct replay *replay_new(const struct replay_plan *plan)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->plan = *plan;
	/* Of the geometry, only the size of a block decides where sessions are. */
	if (mapping_make(&(struct mapping_parameters){ .ratio = 1,
						       .first_port = MAPPING_FIRST_PORT,
						       .pitch = plan->ports,
						       .ports_per_host = plan->ports },
			 &r->geo)) {
		free(r);
		return NULL;
	}
	r->shift = (uint32_t)__builtin_ctz(plan->slots) - BUCKET_SLOTS_SHIFT;
	r->groups = binding_groups(plan->ports);
	for (unsigned i = 0; i < N_TIMEOUTS; i++)
		r->timeout_ticks[i] = (plan->timeout_s[i] * 1000 + REPLAY_TICK_MS - 1) / REPLAY_TICK_MS;
	r->bucket = calloc(1U << r->shift, sizeof(*r->bucket));
	r->line = plan->bindings ? calloc(3UL * r->groups, sizeof(*r->line)) : NULL;
	if (r->bucket && (r->line || !plan->bindings) && !grown_new(r))
		return r;
	replay_free(r);
	return NULL;
}

void replay_free(struct replay *r)
{
	if (!r)
		return;
	hash_free(&r->beyond);
	hash_index_free(&r->beyond_ports);
	free(r->bucket);
	free(r->line);
	grown_free(r);
	free(r);
}

static void replay_clear(struct replay *r)
{
	memset(r->bucket, 0, sizeof(*r->bucket) << r->shift);
	for (unsigned i = 0; i < 3; i++)
		if (r->line_used[i])
			memset(r->line + (size_t)i * r->groups, 0, r->groups * sizeof(*r->line));
	memset(r->line_used, 0, sizeof(r->line_used));
	r->sessions = 0;
	r->swept = 0;
	beyond_clear(r);
}

/* A flow on its way through the steps. */
struct step {
	struct replay *r;
	const struct plan_flow *flow;
	uint64_t key;
	uint32_t now;  /* ticks */
	uint32_t seen; /* of the last packet */
	uint32_t offset;
	struct bucket_choice buckets;
	struct opening o;
};

static struct bucket_choice buckets_of(const struct step *s, uint32_t offset)
{
	const struct plan_flow *f = s->flow;
	struct bucket_pair pair = session_buckets(f->ext_addr, f->ext_port, f->proto, offset, s->r->shift);

	return (struct bucket_choice){ &s->r->bucket[pair.first], &s->r->bucket[pair.second], home_bit(pair.first) };
}

static void scan(struct step *s, uint32_t offset)
{
	struct opening *o = &s->o;

	s->buckets = buckets_of(s, offset);
	o->key = s->key;
	o->port_offset = offset;
	o->port_lo = 0;
	o->proto = s->flow->proto;
	opening_begin(o);
	for (uint32_t at = 0; at < BUCKET_SLOTS; at++)
		opening_scan_slot(o, &s->buckets.first->slot[at], at, s->now, s->r->timeout_ticks);
	for (uint32_t at = 0; at < BUCKET_SLOTS && s->buckets.second != s->buckets.first; at++)
		opening_scan_slot(o, &s->buckets.second->slot[at], at + BUCKET_SLOTS, s->now, s->r->timeout_ticks);
	s->r->sessions -= o->freed;
}

/* The state in which a flow's session is until the flow ends. */
static uint8_t running_state(const struct plan_flow *f)
{
	if (f->proto != 6)
		return f->proto == 17 ? SESSION_UDP : SESSION_ICMP;
	/* In a table, the end has come already. */
	if (f->timer)
		return f->state;
	return f->state == SESSION_TIME_WAIT || f->state & SESSION_RESET ? SESSION_ESTABLISHED : f->state;
}

/* Removes what has expired, if the last time is long enough ago, as the agent does. */
static void sweep(struct replay *r, uint32_t now)
{
	if (r->swept && now - r->swept < SWEEP_TICKS && r->sessions < r->plan.quota)
		return;
	r->swept = now ? now : 1;
	for (uint32_t i = 0; i < 1U << r->shift; i++) {
		for (uint32_t k = 0; k < BUCKET_SLOTS; k++) {
			uint64_t word = r->bucket[i].slot[k].truth;

			if (!word_is_live(word) || !word_expired(word, now, r->timeout_ticks))
				continue;
			r->sessions -= word_state(word) != SESSION_TIME_WAIT;
			r->bucket[i].slot[k].truth = 0;
		}
	}
	beyond_sweep(r, now);
}

/* At the quota: ends the session that gives way. False: none does. */
static bool give_way(struct replay *r, uint32_t now)
{
	struct slot *lowest = NULL;
	struct beyond *beyond;
	uint32_t rank = 0;

	for (uint32_t i = 0; i < 1U << r->shift; i++) {
		for (uint32_t k = 0; k < BUCKET_SLOTS; k++) {
			struct slot *slot = &r->bucket[i].slot[k];
			uint64_t word = slot->truth;
			uint32_t of;

			if (!word_is_live(word) || !(word_state(word) & SESSION_RESET))
				continue;
			of = giving_way_rank(word, now, r->timeout_ticks);
			if (of > rank) {
				rank = of;
				lowest = slot;
			}
		}
	}
	if (lowest) {
		lowest->truth = 0;
		r->sessions--;
		return true;
	}
	beyond = beyond_reset(r);
	if (!beyond)
		return false;
	beyond_del(r, beyond);
	return true;
}

/* Whether a session more may be opened. */
static bool quota_room(struct replay *r, uint32_t now)
{
	if (r->sessions < r->plan.quota)
		return true;
	sweep(r, now);
	return r->sessions < r->plan.quota || give_way(r, now);
}

/* The first candidate of the scanned group that nothing holds, or -1. */
static int32_t port_of_group(struct step *s, bool take_reset)
{
	uint32_t size = group_size(s->o.port_offset, s->r->plan.ports);

	for (uint32_t k = 0; k < size; k++) {
		uint32_t offset = group_candidate(s->o.port_offset, size, k);

		if (!(s->o.ports_used & 1U << (offset & (PORT_GROUP - 1))) &&
		    !beyond_port_held(s->r, s->key, s->flow->proto, offset, s->now, take_reset))
			return (int32_t)offset;
	}
	return -1;
}

static uint64_t word_of(const struct step *s, uint32_t offset)
{
	return state_word((uint16_t)offset, s->flow->proto, running_state(s->flow), s->seen);
}

/* Counts a session that is in its place, unless its flow has ended by the time of a table. */
static void count(struct step *s, uint64_t word)
{
	s->r->sessions += word_state(word) != SESSION_TIME_WAIT;
}

/* Opens the session in the slot of a bit. */
static void claim(struct step *s, uint32_t bit, uint32_t offset)
{
	struct slot *slot = opening_slot(&s->buckets, bit);
	uint64_t from = slot->truth, word = word_of(s, offset);

	if (word_is_live(from) && word_state(from) != SESSION_TIME_WAIT)
		s->r->sessions--;
	slot_claim(slot, from, s->key, word);
	count(s, word);
}

/* Opens the session in its two buckets, on the port bound or any of the group. False: there is no room. */
static bool open_in_slot(struct step *s, int32_t bound, uint32_t *ret_offset)
{
	uint32_t first = s->offset, room;
	int32_t offset;

	scan(s, first);
	if (bound >= (int32_t)s->r->plan.ports)
		return false;
	if (bound >= 0 && (uint32_t)bound >> PORT_GROUP_SHIFT != first >> PORT_GROUP_SHIFT)
		return false;
	if (bound >= 0)
		offset = s->o.ports_used & 1U << (bound & (int32_t)(PORT_GROUP - 1)) ||
					 beyond_port_held(s->r, s->key, s->flow->proto, (uint32_t)bound, s->now, false)
				 ? -1
				 : bound;
	else
		offset = port_of_group(s, false);
	if (slots_crowded(s->r->sessions, s->r->shift)) {
		sweep(s->r, s->now);
		scan(s, first);
	}
	room = opening_room(s->o.room, first, slots_crowded(s->r->sessions, s->r->shift));
	if (offset < 0 && bound < 0 && s->o.time_wait_port) {
		room = s->o.time_wait_port;
		offset = word_out_port(opening_slot(&s->buckets, room)->truth);
	} else if (!room) {
		room = s->o.time_wait;
	}
	if (offset < 0 || !room)
		return false;
	claim(s, room, (uint32_t)offset);
	*ret_offset = (uint32_t)offset;
	return true;
}

/* Ends the session of a bit for its port. */
static int32_t take_port(struct step *s, uint32_t bit)
{
	struct slot *slot = opening_slot(&s->buckets, bit);
	uint64_t word = slot->truth;

	slot->truth = 0;
	s->r->sessions -= word_state(word) != SESSION_TIME_WAIT;
	return word_out_port(word);
}

/* A port of any group: a free one, then that of a session in time-wait, then of a reset one; -1: none. */
static int32_t port_search(struct step *s)
{
	uint32_t groups = s->r->groups, home = s->offset >> PORT_GROUP_SHIFT;
	bool time_wait = false, reset = false;
	int32_t port;

	for (unsigned pass = 0; pass < 3; pass++) {
		if ((pass == 1 && !time_wait) || (pass == 2 && !reset))
			continue;
		for (uint32_t i = 0; i < groups; i++) {
			uint32_t group = (home + i) % groups;

			scan(s, i ? group << PORT_GROUP_SHIFT : s->offset);
			if (pass == 1 && s->o.time_wait_port)
				return take_port(s, s->o.time_wait_port);
			if (pass == 2 && s->o.reset_port)
				return take_port(s, s->o.reset_port);
			port = pass == 1 ? -1 : port_of_group(s, pass == 2);
			if (port >= 0)
				return port;
			time_wait |= s->o.time_wait_port != 0;
			reset |= s->o.reset_port != 0 || s->r->beyond.n;
		}
	}
	return -1;
}

/* Opens the session beyond the slots. Returns 1; 0: no port is free; or -ENOMEM. */
static int open_beyond(struct step *s, int32_t bound, uint32_t *ret_offset)
{
	int32_t port = bound;
	uint64_t word;
	int e;

	if (bound >= (int32_t)s->r->plan.ports) {
		if (beyond_port_held(s->r, s->key, s->flow->proto, (uint32_t)bound, s->now, false))
			return 0;
	} else if (bound >= 0) {
		scan(s, (uint32_t)bound);
		if (s->o.ports_used & 1U << (bound & (int32_t)(PORT_GROUP - 1)) ||
		    beyond_port_held(s->r, s->key, s->flow->proto, (uint32_t)bound, s->now, false))
			return 0;
	} else {
		port = port_search(s);
		if (port < 0)
			port = grown_port(s->r, s->key, s->flow->proto, s->flow->in_port, s->now);
	}
	if (port < 0)
		return 0;
	word = word_of(s, (uint32_t)port);
	/* In time-wait it would be removed at once. */
	if (word_state(word) == SESSION_TIME_WAIT)
		return 1;
	e = beyond_add(s->r, s->key, s->flow->proto, word);
	if (e)
		return e;
	count(s, word);
	*ret_offset = (uint32_t)port;
	return 1;
}

/* The state word of the flow's session, or NULL. */
static __u64 *find(struct step *s, struct beyond **ret_beyond)
{
	struct bucket_choice b = buckets_of(s, s->offset);
	struct bucket *both[] = { b.first, b.second };
	struct beyond *beyond;

	*ret_beyond = NULL;
	for (unsigned i = 0; i < 2; i++) {
		int at = bucket_find_in(both[i], s->key, s->flow->proto);

		if (at >= 0 && slot_match_in(&both[i]->slot[at], s->key, s->flow->proto, s->now, s->r->timeout_ticks))
			return &both[i]->slot[at].truth;
	}
	beyond = s->r->beyond.n ? beyond_find(s->r, s->key, s->flow->proto) : NULL;
	if (!beyond)
		return NULL;
	if (word_expired(beyond->word, s->now, s->r->timeout_ticks)) {
		beyond_del(s->r, beyond);
		return NULL;
	}
	*ret_beyond = beyond;
	return &beyond->word;
}

/* Joins a flow to the session that it has. False: it has none, or may not reopen it. */
static enum replay_fate join(struct step *s, __u64 *word)
{
	uint64_t before = *word;
	uint32_t seen = word_seen(before);

	if (word_state(before) == SESSION_TIME_WAIT) {
		if (!quota_room(s->r, s->now))
			return FATE_QUOTA;
		s->r->sessions++;
		seen = s->now;
	}
	if ((int32_t)(s->seen - seen) > 0)
		seen = s->seen;
	*word = word_with(before, running_state(s->flow), seen);
	return FATE_JOINED;
}

/* Opens or joins the session of a flow. Returns its fate, or -ENOMEM. */
static int replay_flow(struct step *s, uint32_t *ret_offset)
{
	struct replay *r = s->r;
	struct beyond *beyond;
	__u64 *word = find(s, &beyond);
	int32_t bound = -1;
	int opened;

	if (word) {
		*ret_offset = word_out_port(*word);
		return (int)join(s, word);
	}
	if (!quota_room(r, s->now))
		return FATE_QUOTA;
	if (r->plan.bindings & binding_protocol(s->flow->proto)) {
		bound = replay_bind(r, s->flow->proto, s->flow->in_port, s->now, s->seen);
		if (bound < 0)
			return FATE_NO_PORT;
	}
	if (open_in_slot(s, bound, ret_offset))
		return FATE_SLOT;
	opened = open_beyond(s, bound, ret_offset);
	return opened < 0 ? opened : opened ? FATE_BEYOND : FATE_NO_PORT;
}

static uint32_t ticks_of(int64_t ms, int64_t base_ms)
{
	return (uint32_t)((ms - base_ms) / REPLAY_TICK_MS);
}

/* The tick by which the session of a flow has ended. */
static uint32_t end_tick(const struct replay *r, const struct plan_flow *f, uint32_t seen)
{
	return replay_ends(f) ? seen : seen + r->timeout_ticks[session_timeout(f->state)];
}

static struct step step_of(struct replay *r, const struct plan_flow *f, int64_t base_ms)
{
	return (struct step){
		.r = r,
		.flow = f,
		.key = slot_key(f->ext_addr, f->ext_port, f->in_port),
		.now = ticks_of(f->first_ms, base_ms),
		.seen = ticks_of(f->last_ms, base_ms),
		.offset = mapping_first_choice(&r->geo, f->in_port),
	};
}

/* Ends the session of a flow, unless a later one goes on with it. */
static void end_flow(struct replay *r, const struct plan_flow *f, int64_t base_ms)
{
	struct step s = step_of(r, f, base_ms);
	struct beyond *beyond;
	__u64 *word;

	s.now = s.seen;
	word = find(&s, &beyond);
	if (!word || (int32_t)(word_seen(*word) - s.now) > 0 || word_state(*word) == SESSION_TIME_WAIT)
		return;
	if (f->state & SESSION_RESET && !f->exact) {
		*word = word_with(*word, SESSION_TRANSITORY | SESSION_RESET, s.now);
	} else if (beyond) {
		beyond_del(r, beyond);
	} else {
		r->sessions--;
		*word = f->exact ? 0 : word_with(*word, SESSION_TIME_WAIT, s.now);
	}
}

static int64_t end_ms(const struct replay *r, const struct plan_flow *f)
{
	return f->last_ms + (replay_ends(f) ? 0 : (int64_t)r->plan.timeout_s[session_timeout(f->state)] * 1000);
}

static void tally(struct replay_result *result, enum replay_fate fate)
{
	result->sessions += fate != FATE_JOINED;
	result->beyond += fate == FATE_BEYOND;
	result->refused_ports += fate == FATE_NO_PORT;
	result->refused_quota += fate == FATE_QUOTA;
}

int replay_subscriber(struct replay *r, const struct plan_flow *flow, size_t n, const uint32_t *ends, size_t n_ends,
		      struct replay_result *result, const struct replay_ears *ears)
{
	const struct replay_ears none = { 0 };
	int64_t base_ms = replay_base_ms(flow, n);
	size_t end = 0;

	ears = ears ? ears : &none;

	replay_clear(r);
	for (size_t i = 0; i < n; i++) {
		struct step s = step_of(r, &flow[i], base_ms);
		uint32_t offset = 0;
		int fate;

		for (; end < n_ends && flow[ends[end]].last_ms < flow[i].first_ms; end++)
			end_flow(r, &flow[ends[end]], base_ms);
		grown_sweep(r, s.now, ears->grant, ears->arg);
		fate = replay_flow(&s, &offset);
		if (fate < 0)
			return fate;
		if (fate != FATE_NO_PORT && fate != FATE_QUOTA)
			grown_used(r, offset, end_tick(r, &flow[i], s.seen));
		tally(result, (enum replay_fate)fate);
		if (ears->told)
			ears->told(ears->arg, &flow[i], (enum replay_fate)fate, offset);
		if (ears->beyond && fate == FATE_BEYOND)
			ears->beyond(ears->arg, flow[i].first_ms, end_ms(r, &flow[i]));
	}
	grown_end(r, ears->grant, ears->arg);
	return 0;
}
