/* SPDX-License-Identifier: BSD-2-Clause */
#include "sessions/held_ports.h"

#include <string.h>

#include <detnat/binding.h>

#include "sessions/sessions_private.h"

static void hold(struct held_ports *h, uint16_t port)
{
	h->others[port / 8] |= (uint8_t)(1 << port % 8);
}

static void add_sessions(const struct subscriber_iterator *it, uint16_t in_port, uint8_t proto, struct held_ports *h)
{
	for (uint32_t i = 0; i < it->n_slots; i++) {
		uint64_t key, word;

		if (slot_read(&it->slots[i], &key, &word) && word_proto(word) == proto && key_in_port(key) != in_port &&
		    counts_now(&it->limits, word, it->now))
			hold(h, word_out_port(word));
	}
}

static void add_bindings(const struct subscriber_iterator *it, uint16_t in_port, uint8_t proto, struct held_ports *h)
{
	const struct geometry *g = &it->map->geo;
	uint32_t subscriber = mapping_subscriber(g, it->in_addr), life = it->map->timeout_ticks[binding_timeout(proto)];
	uint16_t port_lo = mapping_port_lo(g, subscriber);

	for (uint32_t offset = 0; offset < g->ports_per_host; offset++) {
		const uint64_t *at = mappings_binding(it->m, it->number, subscriber, proto, offset);
		uint64_t entry = at ? LOAD(*at) : 0;

		if (!binding_holds(entry, it->now, life))
			continue;
		if (binding_in_port(entry) == in_port)
			h->own = (uint16_t)(port_lo + offset);
		else
			hold(h, (uint16_t)(port_lo + offset));
	}
}

void held_ports_find(struct mappings *m, struct endpoint in, uint8_t proto, struct held_ports *ret)
{
	struct subscriber_iterator it;

	memset(ret, 0, sizeof(*ret));
	if (subscriber_find(&it, m, in.addr))
		return;
	add_sessions(&it, in.port, proto, ret);
	if (it.map->bindings.mapping & binding_protocol(proto))
		add_bindings(&it, in.port, proto, ret);
}
