/* SPDX-License-Identifier: BSD-2-Clause */
/* The sessions on a granted block that are in its subscriber's extent, <detnat/growth.h>. */
#include <detnat/extents.h>

#include "growth/growth_private.h"
#include "sessions/sessions_private.h"
#include "tables/mapping_tables.h"

/* Counts those that have not expired, or with `ends` closes all of them. */
static uint32_t look(const struct growth *g, const struct mapping *m, const struct grant *grant, struct slot *slots,
		     uint32_t n, bool ends)
{
	uint32_t now = datapath_ticks(mappings_datapath(g->m)), count = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t key, word;

		if (!slot_read(&slots[i], &key, &word) || (uint32_t)word_out_port(word) - grant->port_lo >= grant->ports)
			continue;
		if (ends)
			sessions_close_in(g->m, m->tenant, (struct endpoint){ grant->in_addr, key_in_port(key) },
					  (struct endpoint){ key_ext_addr(key), key_ext_port(key) }, word_proto(word));
		else
			count += !word_expired(word, now, m->timeout_ticks);
	}
	return count;
}

uint32_t grant_extent_look(const struct growth *g, const struct grant *grant, bool ends)
{
	int number = mappings_find_outside(g->m, grant->out_addr);
	const struct mapping *m = number < 0 ? NULL : mappings_get(g->m, number);
	const struct subscriber *s;
	uint32_t extent = 0, seen, count = 0, n;
	struct slot *slots;

	if ((grant->state != GRANT_OPEN && grant->state != GRANT_CLOSED) || !mappings_datapath(g->m)->pool ||
	    !mappings_datapath(g->m)->pool->used)
		return 0;
	if (!m || !mapping_has_slots(m) || !mapping_has_inside(&m->geo, grant->in_addr))
		return 0;
	s = mappings_subscriber(g->m, number, mapping_subscriber(&m->geo, grant->in_addr));
	/* Once more if its sessions have moved to another one meanwhile. */
	do {
		seen = extent;
		extent = subscriber_extent(s);
		slots = extent ? datapath_extent(mappings_datapath(g->m), extent, &n) : NULL;
		count = slots ? look(g, m, grant, slots, n, ends) : 0;
	} while (extent != seen);
	return count;
}
