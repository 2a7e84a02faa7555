// SPDX-License-Identifier: BSD-2-Clause
/* The tables against the model's sessions. */
#include <criterion/criterion.h>

#include "property.h"

struct comparing {
	struct property *t;
	unsigned n, all;
};

static int compare_session(const struct session *s, void *arg)
{
	struct comparing *c = arg;
	const struct model_session *m;
	double left;

	c->all++;
	cr_assert(property_is_told(s), "%08x:%u to %08x:%u by port %u was never told of", s->in_addr, s->in_port,
		  s->ext_addr, s->ext_port, s->out_port);
	if (!s->counts)
		return 0;
	c->n++;
	m = model_find_in(&c->t->model, s->in_addr, s->in_port, s->ext_addr, s->ext_port, s->proto);
	cr_assert(m && !m->tcp.closed, "a session of %08x:%u to %08x:%u that the model knows nothing of", s->in_addr,
		  s->in_port, s->ext_addr, s->ext_port);
	left = m->deadline - c->t->model.now;
	cr_assert(m->out_port == s->out_port && m->out_addr == s->out_addr);
	cr_assert(m->proto != TCP || (m->tcp.established && !m->tcp.fin_in && !m->tcp.fin_out && !m->tcp.reset) ==
					     (s->state == SESSION_ESTABLISHED),
		  "state %s, which the model takes for another", session_state_name(s->state));
	cr_assert_eq(m->proto == TCP && m->tcp.reset, !!(s->state & SESSION_RESET));
	cr_assert(s->expires <= left + 2 && s->expires + 3 >= left, "%u seconds left, not %.0f", s->expires, left);
	return 0;
}

void property_compare_tables(struct property *t)
{
	property_skip(t, 1);
	property_events_apply();
	for (size_t i = 0; i < property_scene->n_subscribers; i++) {
		uint32_t in_addr = property_scene->subscriber[i];
		struct comparing c = { .t = t };
		struct session_walk *w;

		cr_assert_eq(session_walk_new_subscriber(mappings, in_addr, &w), 0);
		while (session_walk_step(w, 1000000, compare_session, &c) > 0)
			;
		session_walk_free(w);
		cr_assert_eq(c.n, model_count(&t->model, in_addr), "%08x has %u sessions, by the model %u", in_addr,
			     c.n, model_count(&t->model, in_addr));
		cr_assert_eq(sessions_of(in_addr), c.n);
		cr_assert_eq(property_told(in_addr), c.all, "%u sessions, and %u told of", c.all,
			     property_told(in_addr));
	}
}
