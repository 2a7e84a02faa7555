/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_gaps.h"

#include "history/history_record.h"

int history_gaps_begin(struct history_gaps *g, int64_t from, uint32_t moment, bool damage)
{
	if (moment == MOMENT_NONE || history_grow(&g->at, g->n, sizeof(*g->at)))
		return -ENOMEM;
	g->at[g->n++] = (struct history_gap){ from, TIME_OPEN, moment, MOMENT_NONE, damage };
	return 0;
}

int history_gaps_end(struct history_gaps *g, int64_t to, uint32_t moment)
{
	struct history_gap *gap = &g->at[g->n - 1];

	gap->to = to;
	gap->end = moment;
	return moment == MOMENT_NONE ? -ENOMEM : 0;
}

const struct history_gap *history_gaps_find(const struct history_gaps *g, const struct history_times *t, uint32_t epoch,
					    int64_t s)
{
	for (size_t i = 0; i < g->n; i++)
		if (history_times_hold(t, g->at[i].begin, g->at[i].end, epoch, s))
			return &g->at[i];
	return NULL;
}

const struct history_gap *history_gaps_find_any(const struct history_gaps *g, int64_t s)
{
	for (size_t i = 0; i < g->n; i++)
		if (s >= g->at[i].from && s < g->at[i].to)
			return &g->at[i];
	return NULL;
}

void history_gap_explain(const struct history_gap *gap, struct error *ret)
{
	bool beginning = gap->from == TIME_NONE;
	char from[TIME_TEXT], to[TIME_TEXT];

	time_format(gap->from, from);
	time_format(gap->to, to);
	if (beginning && !gap->damage)
		error_set(ret, 0, "the history begins at %s", to);
	else if (gap->to == TIME_OPEN && !gap->damage)
		error_set(ret, 0, "what is mapped since %s could not be recorded", from);
	else
		error_set(ret, 0, "from %s to %s %s", beginning ? "the beginning" : from,
			  gap->to == TIME_OPEN ? "the end" : to,
			  gap->damage ? "the history is damaged"
				      : "the datapath was lost, by a reboot for example, and it is not known when");
}
