// SPDX-License-Identifier: BSD-2-Clause
#include "planner/planner.h"

#include <detnat/binding.h>
#include <detnat/prefix6.h>

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/cleanup.h"
#include "proto/defaults.h"
#include "planner/scaled.h"

/* Minutes, or longer parts, in which the sessions beyond the slots are counted. */
#define MAX_PARTS (1UL << 20)

struct planner_row planner_row_of(const struct planner_settings *s, uint32_t ratio)
{
	uint32_t ports = (uint32_t)(MAPPING_PORTS * (1 - s->reserve) / ratio);

	ports = ports ? ports : 1;

	const struct geometry g = {
		.first_port = MAPPING_FIRST_PORT, .pitch = ports, .ratio = ratio, .ports_per_host = ports
	};
	uint32_t blocks = s->growth.block ? growth_blocks(&g, s->growth.block) : 0;
	uint32_t most = blocks < s->growth.max_blocks ? blocks : s->growth.max_blocks;

	return (struct planner_row){ .ratio = ratio,
				     .ports = ports,
				     .slots = slots_for_ports(ports),
				     .blocks = blocks,
				     .reach = ports + most * s->growth.block };
}

uint64_t planner_memory(const struct planner_settings *s, const struct planner_row *row, uint64_t subscribers)
{
	uint32_t shift = (uint32_t)__builtin_ctz(row->slots) - BUCKET_SLOTS_SHIFT;
	uint64_t memory = subscribers * (sizeof(struct subscriber) + row->slots * sizeof(struct slot));

	if (row->hosts)
		memory += (subscribers << mapping_log2(row->hosts)) * sizeof(struct host6);
	if (s->bindings)
		memory += binding_buckets(subscribers, s->bindings, row->ports, shift) * sizeof(struct bucket);
	return memory;
}

void planner_demand_free(struct planner_demand *d)
{
	for (unsigned i = 0; i < 3; i++)
		free(d->most[i]);
	*d = (struct planner_demand){ 0 };
}

struct demand_reading {
	struct collection *c;
	struct planner_demand *d;
	struct demand_work work;
	struct scaled scaled;
};

static int take_demand(void *arg, uint32_t in_addr, struct plan_flow *flow, size_t n)
{
	struct demand_reading *r = arg;
	struct planner_demand *d = r->d;
	struct demand demand;
	int e = scaled_take(&r->scaled, &flow, &n);

	if (!e)
		e = demand_of(&r->work, r->c, flow, n, &demand);
	if (e)
		return e;
	if (d->subscribers == d->room) {
		d->room = d->room ? 2 * d->room : 1024;
		for (unsigned i = 0; i < 3; i++) {
			uint32_t *more = reallocarray(d->most[i], d->room, sizeof(*more));

			if (!more)
				return -ENOMEM;
			d->most[i] = more;
		}
	}
	d->most[MOST_SESSIONS][d->subscribers] = demand.sessions;
	d->most[MOST_BUSIEST][d->subscribers] = demand.busiest;
	d->most[MOST_ENDPOINTS][d->subscribers] = demand.endpoints;
	d->subscribers++;
	d->sessions += demand.opened;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

int planner_demand_read(struct collection *c, const struct planner_settings *s, struct planner_demand *ret,
			struct error *err)
{
	struct planner_demand d = { 0 };
	struct demand_reading r = { .c = c, .d = &d, .scaled.factor = s->scale };
	int e;

	memcpy(c->timeout_s, s->timeout_s, sizeof(c->timeout_s));
	e = collection_walk(c, take_demand, &r, err);
	demand_work_free(&r.work);
	scaled_free(&r.scaled);
	if (e) {
		planner_demand_free(&d);
		return e;
	}
	for (unsigned i = 0; i < 3; i++)
		qsort(d.most[i], d.subscribers, sizeof(uint32_t), by_number);
	*ret = d;
	return 0;
}

uint32_t planner_demand_of(const struct planner_demand *d, unsigned most, double share)
{
	uint64_t at = (uint64_t)(share * (double)d->subscribers);

	if (!d->subscribers)
		return 0;
	return d->most[most][at < d->subscribers ? at : d->subscribers - 1];
}

/* Subscribers above a number: the sorted figures after it. */
static uint64_t above(const struct planner_demand *d, uint32_t number)
{
	uint64_t from = 0, to = d->subscribers;

	while (from < to) {
		uint64_t middle = (from + to) / 2;

		if (d->most[MOST_SESSIONS][middle] > number)
			to = middle;
		else
			from = middle + 1;
	}
	return d->subscribers - from;
}

struct row_work {
	struct replay *replay;
	const struct planner_row *row;
	uint32_t block; /* ports of a granted one */
	struct supply supply;
	int64_t base_ms; /* of the subscriber */
	int32_t *change; /* in sessions beyond the slots, by part of the time */
	int64_t from_ms, part_ms;
	size_t parts;
};

static void note_beyond(void *arg, int64_t from_ms, int64_t to_ms)
{
	struct row_work *w = arg;
	size_t from = (size_t)((from_ms - w->from_ms) / w->part_ms), to = (size_t)((to_ms - w->from_ms) / w->part_ms);

	from = from < w->parts ? from : w->parts - 1;
	to = to < w->parts ? to : w->parts - 1;
	w->change[from]++;
	w->change[to + 1]--;
}

static void note_opened(void *arg, const struct plan_flow *flow, enum replay_fate fate, uint32_t out_offset)
{
	struct row_work *w = arg;

	if (fate == FATE_BEYOND && out_offset >= w->row->ports)
		supply_opened(&w->supply, (out_offset - w->row->ports) / w->block, flow->first_ms);
}

static void note_grant(void *arg, uint32_t number, uint32_t from, uint32_t to)
{
	struct row_work *w = arg;

	supply_granted(&w->supply, number, w->base_ms + (int64_t)from * REPLAY_TICK_MS,
		       w->base_ms + (int64_t)to * REPLAY_TICK_MS);
}

struct rows_reading {
	struct planner_row *row;
	struct row_work work[PLANNER_MAX_ROWS];
	size_t n;
	struct scaled scaled;
	uint32_t *ends;
	size_t room;
};

static int by_last(const void *a, const void *b, void *arg)
{
	const struct plan_flow *flow = arg;
	int64_t x = flow[*(const uint32_t *)a].last_ms, y = flow[*(const uint32_t *)b].last_ms;

	return x < y ? -1 : x > y;
}

/* The flows that end before their timeout does, sorted by their end. */
static int ends_of(struct rows_reading *r, struct plan_flow *flow, size_t n, size_t *ret_n)
{
	size_t ends = 0;

	if (n > r->room) {
		uint32_t *more = reallocarray(r->ends, n, sizeof(*more));

		if (!more)
			return -ENOMEM;
		r->ends = more;
		r->room = n;
	}
	for (size_t i = 0; i < n; i++)
		if (replay_ends(&flow[i]))
			r->ends[ends++] = (uint32_t)i;
	qsort_r(r->ends, ends, sizeof(*r->ends), by_last, flow);
	*ret_n = ends;
	return 0;
}

static int take_rows(void *arg, uint32_t in_addr, struct plan_flow *flow, size_t n)
{
	struct rows_reading *r = arg;
	size_t ends;
	int e = scaled_take(&r->scaled, &flow, &n);

	if (!e)
		e = ends_of(r, flow, n, &ends);
	for (size_t i = 0; !e && i < r->n; i++) {
		struct replay_result before = r->row[i].result, *now = &r->row[i].result;
		struct row_work *w = &r->work[i];
		const bool grows = r->row[i].blocks;
		const struct replay_ears ears = { grows ? note_opened : NULL, note_beyond, grows ? note_grant : NULL,
						  w };
		bool refused;

		w->base_ms = replay_base_ms(flow, n);
		e = replay_subscriber(w->replay, flow, n, r->ends, ends, now, &ears);
		refused = now->refused_ports + now->refused_quota > before.refused_ports + before.refused_quota;
		r->row[i].subscribers_refused += refused;
		supply_next(&w->supply, refused);
	}
	return e;
}

static int work_begin(struct row_work *w, const struct collection *c, const struct planner_settings *s,
		      const struct planner_row *row)
{
	struct replay_plan plan = { .ports = row->ports,
				    .slots = row->slots,
				    .quota = s->quota,
				    .bindings = s->bindings,
				    .grow_block = s->growth.block,
				    .grow_blocks = row->blocks ? (row->reach - row->ports) / s->growth.block : 0,
				    .grow_idle_ticks = DEFAULT_GROWTH_IDLE_S * 1000 / REPLAY_TICK_MS };
	int64_t length = c->to_ms - c->from_ms + 1;

	memcpy(plan.timeout_s, s->timeout_s, sizeof(plan.timeout_s));
	w->row = row;
	w->block = s->growth.block;
	w->from_ms = c->from_ms;
	w->part_ms = 60000;
	while (length / w->part_ms >= (int64_t)MAX_PARTS)
		w->part_ms *= 2;
	w->parts = (size_t)(length / w->part_ms) + 1;
	w->replay = replay_new(&plan);
	w->change = calloc(w->parts + 1, sizeof(*w->change));
	return w->replay && w->change ? 0 : -ENOMEM;
}

static void work_end(struct row_work *w, struct planner_row *row)
{
	int64_t at_once = 0;

	for (size_t i = 0; w->change && i < w->parts; i++) {
		at_once += w->change[i];
		row->beyond_peak = at_once > (int64_t)row->beyond_peak ? (uint64_t)at_once : row->beyond_peak;
	}
	replay_free(w->replay);
	free(w->change);
	supply_free(&w->supply);
}

/* What the addresses of a row had for its subscribers. 0 or -ENOMEM. */
static int judge(struct row_work *w, struct planner_row *row)
{
	int e = row->blocks ? supply_judge(&w->supply, row->ratio, row->blocks, DEFAULT_GROWTH_REST_S * 1000LL,
					   &row->supply)
			    : 0;

	row->result.refused_ports += row->supply.sessions_refused;
	row->subscribers_refused += row->supply.subscribers_refused;
	return e;
}

int planner_rows_fill(struct collection *c, const struct planner_settings *s, const struct planner_demand *d,
		      struct planner_row *row, size_t n, struct error *err)
{
	struct rows_reading r = { .row = row, .n = n, .scaled.factor = s->scale };
	int e = n > PLANNER_MAX_ROWS ? -E2BIG : 0;

	memcpy(c->timeout_s, s->timeout_s, sizeof(c->timeout_s));
	for (size_t i = 0; !e && i < n; i++) {
		row[i].exceed = above(d, row[i].reach);
		e = work_begin(&r.work[i], c, s, &row[i]);
	}
	e = e ? error_set(err, e, "%s", strerror(-e)) : collection_walk(c, take_rows, &r, err);
	for (size_t i = 0; !e && i < n; i++)
		e = judge(&r.work[i], &row[i]) ? error_set(err, -ENOMEM, "out of memory") : 0;
	for (size_t i = 0; i < n; i++)
		work_end(&r.work[i], &row[i]);
	scaled_free(&r.scaled);
	free(r.ends);
	return e;
}
