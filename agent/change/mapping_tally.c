/* SPDX-License-Identifier: BSD-2-Clause */
#include "change/mapping_tally.h"

#include "tables/mappings.h"

static bool is_limited(const struct config_mapping *m)
{
	struct limit_layout l = config_mapping_limits(m);

	return limit_layout_any(&l) && m->inbound != INBOUND_OPEN && !prefix_is_none(m->out);
}

static struct mapping_tally tally_of(const struct config *c, const struct config_mapping *m)
{
	struct config_independence independence = config_mapping_independence(c, m);

	return (struct mapping_tally){
		.slots = mappings_slot_memory(m->in, config_mapping_slots(c, m)),
		.bindings = independence.mapping != 0,
		.filtering = independence.filtering != 0,
		.open = m->inbound == INBOUND_OPEN,
		.growth = m->growth.given,
		.port_zero = m->ports.first_port == PORTS_FROM_0,
		.limits = is_limited(m),
		.six = config_is_ipv6(m),
	};
}

/* Counts the mappings from..end-1 of a list in; by -1, out of a tally that has them. */
static void count(struct mapping_tally *t, const struct config *c, size_t from, size_t end, int by)
{
	for (size_t i = from; i < end; i++) {
		const struct mapping_tally own = tally_of(c, &c->mappings[i]);

		t->slots += (uint64_t)by * own.slots;
		t->bindings += (uint32_t)by * own.bindings;
		t->filtering += (uint32_t)by * own.filtering;
		t->open += (uint32_t)by * own.open;
		t->growth += (uint32_t)by * own.growth;
		t->port_zero += (uint32_t)by * own.port_zero;
		t->limits += (uint32_t)by * own.limits;
		t->six += (uint32_t)by * own.six;
	}
}

struct mapping_tally mapping_tally_of(const struct active_config *active, const struct config *after,
				      const struct config_part *part)
{
	const struct config_window *w = &part->mappings;
	struct mapping_tally t = { 0 };

	if (!part->config) {
		count(&t, after, 0, after->n_mappings, 1);
		return t;
	}
	t = active->tally;
	count(&t, active->config, w->from, w->before_end, -1);
	count(&t, after, w->from, w->after_end, 1);
	return t;
}
