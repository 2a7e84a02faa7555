// SPDX-License-Identifier: BSD-2-Clause
#include "history/history_clocks.h"

#include "history/history_gaps.h"
#include "history/history_record.h"

/* States that differ less are one, the worse: the error of a good clock swings. */
#define SWING 2U
/* The kernel adds 500 ppm to the error of a clock until the next correction: a millisecond in so many seconds. */
#define S_PER_MS 2

static bool is_alike(struct clock_state a, struct clock_state b)
{
	return a.is == b.is && a.error_ms <= (uint64_t)b.error_ms * SWING && b.error_ms <= (uint64_t)a.error_ms * SWING;
}

static int add(struct history_clocks *c, int64_t from, int64_t to, struct clock_state state)
{
	struct history_clock *last = c->n ? &c->at[c->n - 1] : NULL;

	if (last && last->to == from && to >= from && is_alike(last->state, state)) {
		last->to = to;
		last->state = clock_state_worse(last->state, state);
		return 0;
	}
	if (history_grow(&c->at, c->n, sizeof(*c->at)))
		return -ENOMEM;
	c->at[c->n++] = (struct history_clock){ from, to, state };
	return 0;
}

int history_clocks_extend(struct history_clocks *c, int64_t time, struct clock_state state)
{
	int64_t from = c->runs && c->since <= time ? c->since : time;

	if (state.is == CLOCK_NOT_READ)
		return 0;
	c->runs = true;
	c->since = time;
	c->last = state;
	return add(c, from, time, state);
}

int history_clocks_take(struct history_clocks *c, const struct history_record *r)
{
	int ret;

	if (r->event == EVENT_START)
		c->runs = false;
	if (r->event == EVENT_CLOCK) {
		c->since = r->after;
		c->last = (struct clock_state){ 0 };
	}
	ret = history_clocks_extend(c, r->time, r->clock);
	if (r->event == EVENT_STOP || r->event == EVENT_DETACH)
		c->runs = false;
	return ret;
}

void history_clocks_lose(struct history_clocks *c)
{
	c->runs = false;
}

int history_clocks_state(struct history_clocks *c, struct clock_state state)
{
	c->runs = false;
	c->n = c->n && c->at[0].from == TIME_NONE ? c->n : 0;
	return state.is == CLOCK_NOT_READ ? 0 : add(c, TIME_NONE, TIME_OPEN, state);
}

/* The state after the last note; CLOCK_NOT_READ where that is too old. */
static struct clock_state since_noted(const struct history_clocks *c, int64_t s)
{
	struct clock_state ret = c->last;

	if (!c->runs || s <= c->since || s > c->since + HISTORY_CURRENT_S)
		return (struct clock_state){ 0 };
	if (ret.is == CLOCK_SYNCHRONISED)
		ret.error_ms += (uint32_t)((s - c->since + S_PER_MS - 1) / S_PER_MS);
	return ret;
}

struct clock_state history_clocks_at(const struct history_clocks *c, int64_t s)
{
	struct clock_state worst = since_noted(c, s);

	for (size_t i = 0; i < c->n; i++)
		if (c->at[i].from <= s && s <= c->at[i].to)
			worst = clock_state_worse(worst, c->at[i].state);
	return worst;
}
