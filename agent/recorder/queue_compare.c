/* SPDX-License-Identifier: BSD-2-Clause */
/* Compares the history with the tables where no write is under way. */
#include "base/trouble.h"
#include "recorder/queue_private.h"

bool history_queue_holds(const struct history_queue *q, struct error *why)
{
	bool known = !q->first && !q->waits && !trouble_get(TROUBLE_HISTORY);
	size_t n = 0;
	_cleanup_free_ struct history_mapping *list = known ? history_tables(q->mappings, &n) : NULL;
	size_t n_portmaps = 0;
	_cleanup_free_ struct history_portmap *portmaps =
		known ? history_portmap_tables(q->mappings, q->portmaps, &n_portmaps) : NULL;

	size_t n_drains = 0;
	_cleanup_free_ struct history_drain *drains = known ? history_drain_tables(q->mappings, &n_drains) : NULL;

	size_t n_grants = 0;
	_cleanup_free_ struct history_grant *grants = known ? history_grant_tables(q->grants, &n_grants) : NULL;

	return !list || !portmaps || !drains || !grants ||
	       (history_holds(q->history, list, n, why) &&
		history_holds_portmaps(q->history, portmaps, n_portmaps, why) &&
		history_holds_drains(q->history, drains, n_drains, why) &&
		history_holds_grants(q->history, grants, n_grants, why));
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
		const struct portmap *there = portmaps_by_out(q->portmaps, list[i].proto, list[i].out);
		bool present = there && there->origin == PORTMAP_STATIC;
		struct history_portmap of = { 0 };

		if (list[i].origin != PORTMAP_STATIC)
			continue;
		if (present)
			of = history_portmap_of(q->mappings, there);
		holds = history_holds_portmap(q->history, list[i].proto, list[i].out, present ? &of : NULL, why);
	}
	return holds;
}

bool history_queue_holds_change(const struct history_queue *q, const struct history_mapping *made, size_t n_made,
				const struct history_mapping *ended, size_t n_ended, struct error *why)
{
	size_t n = 0;
	_cleanup_free_ struct history_grant *grants = can_compare(q) ? history_grant_tables(q->grants, &n) : NULL;

	return !grants || (history_holds_change(q->history, made, n_made, ended, n_ended, why) &&
			   history_holds_grants(q->history, grants, n, why));
}
