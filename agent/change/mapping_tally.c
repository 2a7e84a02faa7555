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

void mapping_tally_add(struct mapping_tally *t, const struct config *c, size_t from, size_t end)
{
	for (size_t i = from; i < end; i++) {
		struct mapping_tally own = tally_of(c, &c->mappings[i]);

		t->slots += own.slots;
		t->bindings += own.bindings;
		t->filtering += own.filtering;
		t->open += own.open;
		t->growth += own.growth;
		t->port_zero += own.port_zero;
		t->limits += own.limits;
		t->six += own.six;
	}
}

void mapping_tally_take(struct mapping_tally *t, const struct config *c, size_t from, size_t end)
{
	struct mapping_tally less = { 0 };

	mapping_tally_add(&less, c, from, end);
	t->slots -= less.slots;
	t->bindings -= less.bindings;
	t->filtering -= less.filtering;
	t->open -= less.open;
	t->growth -= less.growth;
	t->port_zero -= less.port_zero;
	t->limits -= less.limits;
	t->six -= less.six;
}

struct mapping_tally mapping_tally_of(const struct active_config *active, const struct config *after,
				      const struct config_part *part)
{
	const struct config_window *w = &part->mappings;
	struct mapping_tally t = { 0 };

	if (!part->config) {
		mapping_tally_add(&t, after, 0, after->n_mappings);
		return t;
	}
	t = active->tally;
	mapping_tally_take(&t, active->config, w->from, w->before_end);
	mapping_tally_add(&t, after, w->from, w->after_end);
	return t;
}
