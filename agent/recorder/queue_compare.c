/* SPDX-License-Identifier: BSD-2-Clause */
/* Compares the history with the tables where no write is under way. */
#include <string.h>

#include "base/trouble.h"
#include "recorder/queue_private.h"

static bool holds_all(const struct history_queue *q, enum fact_kind kind, struct error *why)
{
	size_t n = 0;
	_cleanup_free_ void *list = history_list_tables(kind, &q->tables, &n);

	return !list || history_holds(q->history, kind, list, n, why);
}

bool history_queue_holds(const struct history_queue *q, struct error *why)
{
	bool holds = true, known = !q->first && !q->waits && !trouble_get(TROUBLE_HISTORY);

	for (enum fact_kind k = 0; k < FACT_KINDS && known && holds; k++)
		holds = holds_all(q, k, why);
	return holds;
}

bool history_queue_compare_next(struct history_queue *q, struct error *why)
{
	if (!q->compare_s--)
		history_queue_compare(q);
	if (q->compares == FACT_KINDS || q->first || q->waits || trouble_get(TROUBLE_HISTORY))
		return true;
	if (!holds_all(q, q->compares, why))
		return false;
	if (++q->compares == FACT_KINDS)
		trouble_clear(TROUBLE_RECORDS);
	return true;
}

/* A change has just taken effect, and its confirmation is not being written. */
static bool can_compare(const struct history_queue *q)
{
	return (!q->first || !q->first->started) && !trouble_get(TROUBLE_HISTORY);
}

bool history_queue_holds_portmaps(const struct history_queue *q, const struct portmap *list, size_t n,
				  struct error *why)
{
	bool holds = true;

	for (size_t i = 0; i < n && holds && can_compare(q); i++) {
		const struct portmap *there = portmaps_by_out(q->tables.portmaps, list[i].proto, list[i].out);
		bool present = there && there->origin == PORTMAP_STATIC;
		struct history_portmap of = history_portmap_of(q->tables.mappings, present ? there : &list[i]);
		const struct history_change c = { .add[FACT_PORTMAP] = { &of, present },
						  .del[FACT_PORTMAP] = { &of, !present } };

		holds = list[i].origin != PORTMAP_STATIC || history_holds_change(q->history, &c, why);
	}
	return holds;
}

bool history_queue_holds_change(const struct history_queue *q, const struct history_change *c, struct error *why)
{
	return !can_compare(q) || (history_holds_change(q->history, c, why) && holds_all(q, FACT_GRANT, why));
}
