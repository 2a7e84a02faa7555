// SPDX-License-Identifier: BSD-2-Clause
/* The part of the agent in blocks that grow: it grants them, closes them for openings, and takes them back. */
#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "property.h"
#include "sessions/granted_ports.h"

/* Blocks of an address that are granted: few, so that they are soon another subscriber's. */
#define SHARED_BLOCKS 5

static struct grant_key key_of(const struct model_grant *g, enum grant_direction direction)
{
	bool outside = direction == GRANT_OF_OUTSIDE;

	return (struct grant_key){ .addr = outside ? g->out_addr : g->in_addr,
				   .at = outside ? g->port_lo : (uint16_t)g->number,
				   .direction = (uint8_t)direction };
}

static void write_entry(const struct model_grant *g, enum grant_direction direction)
{
	const struct grant_key key = key_of(g, direction);
	const struct grant_value v = { .addr = direction == GRANT_OF_OUTSIDE ? g->in_addr : g->out_addr,
				       .port_lo = g->port_lo,
				       .ports = g->ports };

	cr_assert_eq(bpf_map_update_elem(datapath.grants, &key, &v, BPF_NOEXIST), 0);
}

static void erase_entry(const struct model_grant *g, enum grant_direction direction)
{
	const struct grant_key key = key_of(g, direction);

	cr_assert_eq(bpf_map_delete_elem(datapath.grants, &key), 0);
	datapath.table->limits.grants_epoch += direction == GRANT_OF_OUTSIDE;
}

static unsigned free_number(const struct model *m, uint32_t in_addr)
{
	unsigned number = 0;

	for (size_t i = 0; i < m->n_grants; i++)
		if (m->grant[i].in_addr == in_addr && !m->grant[i].closed && m->grant[i].number == number) {
			number++;
			i = (size_t)-1;
		}
	return number;
}

static void grant_block(struct property *t, uint32_t in_addr)
{
	struct model *m = &t->model;
	const struct model_mapping *map = model_inside(m, in_addr);
	unsigned first = 65536 - map->grow_block * SHARED_BLOCKS;
	struct model_grant g = { .in_addr = in_addr,
				 .out_addr = model_outside_of(m, in_addr),
				 .ports = (uint16_t)map->grow_block,
				 .number = free_number(m, in_addr) };
	struct geometry geo;
	int32_t block;

	cr_assert(mappings_find_any(mappings, in_addr) >= 0);
	geo = mappings_get(mappings, mappings_find_any(mappings, in_addr))->geo;
	block = growth_block_of(&geo, map->grow_block, first + random_below(&t->r, 65536 - first - map->grow_block));
	cr_assert_geq(block, 0);
	g.port_lo = (uint16_t)growth_port_lo(&geo, map->grow_block, (uint32_t)block);
	if (m->n_grants == MODEL_GRANTS || g.number >= map->grow_max || model_grant_at(m, g.out_addr, g.port_lo))
		return;
	write_entry(&g, GRANT_OF_OUTSIDE);
	write_entry(&g, GRANT_OF_INSIDE);
	m->grant[m->n_grants++] = g;
}

/* Sessions of the subscriber on the block's ports, in the tables. */
struct found_on {
	const struct model_grant *g;
	struct session session[256];
	unsigned n;
};

static int find_on(const struct session *s, void *arg)
{
	struct found_on *f = arg;

	if (s->out_addr == f->g->out_addr && (uint16_t)(s->out_port - f->g->port_lo) < f->g->ports) {
		cr_assert_lt(f->n, sizeof(f->session) / sizeof(*f->session));
		f->session[f->n++] = *s;
	}
	return 0;
}

static void end_sessions(struct property *t, const struct model_grant *g)
{
	static struct found_on f;
	struct session_walk *w;

	f.g = g;
	f.n = 0;
	cr_assert_eq(session_walk_new_subscriber(mappings, g->in_addr, &w), 0);
	while (session_walk_step(w, 1000000, find_on, &f) > 0)
		;
	session_walk_free(w);
	t->revoked += f.n > 0;
	for (unsigned i = 0; i < f.n; i++) {
		const struct session *s = &f.session[i];

		sessions_close_in(mappings, 0, (struct endpoint){ s->in_addr, s->in_port },
				  (struct endpoint){ s->ext_addr, s->ext_port }, s->proto);
	}
	for (size_t i = t->model.n; i-- > 0;) {
		struct model_session *s = &t->model.session[i];

		if (s->in_addr == g->in_addr && s->out_addr == g->out_addr &&
		    (uint16_t)(s->out_port - g->port_lo) < g->ports)
			model_remove(&t->model, s);
	}
}

/* In two steps: what is under way may still open on it after the first one. */
static void end_grant(struct property *t, struct model_grant *g)
{
	if (!g->closed) {
		erase_entry(g, GRANT_OF_INSIDE);
		g->closed = true;
		if (random_once(&t->r, 2))
			return;
	}
	property_events_apply();
	property_time_resume(t);
	end_sessions(t, g);
	property_time_stop(t);
	erase_entry(g, GRANT_OF_OUTSIDE);
	granted_ports_forget(mappings, g->out_addr, g->port_lo, g->ports);
	model_forget_bindings(&t->model, g);
	*g = t->model.grant[--t->model.n_grants];
}

void property_change_grants(struct property *t)
{
	struct model *m = &t->model;
	uint32_t in_addr = property_scene->subscriber[random_below(&t->r, (uint32_t)property_scene->n_subscribers)];

	if (m->n_grants && random_once(&t->r, 8))
		end_grant(t, &m->grant[random_below(&t->r, (uint32_t)m->n_grants)]);
	else if (model_inside(m, in_addr)->grow_block)
		grant_block(t, in_addr);
}
