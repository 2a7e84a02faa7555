/* SPDX-License-Identifier: BSD-2-Clause */
/* The sessions on a granted block that are in its subscriber's extent, <detnat/growth.h>. */
#include <detnat/extents.h>

#include "sessions/granted_ports.h"
#include "sessions/sessions.h"
#include "sessions/sessions_private.h"
#include "tables/mapping_tables.h"

static uint32_t look(struct mappings *m, const struct mapping *r, const struct granted_block *b, struct slot *slots,
		     uint32_t n)
{
	uint32_t now = datapath_ticks(mappings_datapath(m)), count = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t key, word;

		if (!slot_read(&slots[i], &key, &word) || (uint32_t)word_out_port(word) - b->port_lo >= b->ports)
			continue;
		if (b->ends)
			sessions_close_in(m, r->tenant, (struct endpoint){ b->in_addr, key_in_port(key) },
					  (struct endpoint){ key_ext_addr(key), key_ext_port(key) }, word_proto(word));
		else
			count += !word_expired(word, now, r->timeout_ticks);
	}
	return count;
}

uint32_t granted_sessions(struct mappings *m, const struct granted_block *b)
{
	struct datapath *d = mappings_datapath(m);
	int number = d->pool && d->pool->used ? mappings_find_outside(m, b->out_addr) : -1;
	const struct mapping *r = number < 0 ? NULL : mappings_get(m, number);
	const struct subscriber *s;
	uint32_t extent = 0, seen, count = 0, n;
	struct slot *slots;

	if (!r || !mapping_has_slots(r) || !mapping_has_inside(&r->geo, b->in_addr))
		return 0;
	s = mappings_subscriber(m, number, mapping_subscriber(&r->geo, b->in_addr));
	/* Once more if its sessions have moved to another one meanwhile. */
	do {
		seen = extent;
		extent = subscriber_extent(s);
		slots = extent ? datapath_extent(d, extent, &n) : NULL;
		count = slots ? look(m, r, b, slots, n) : 0;
	} while (extent != seen);
	return count;
}
