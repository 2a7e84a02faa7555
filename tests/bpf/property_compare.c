// SPDX-License-Identifier: BSD-2-Clause
/* The tables against the model's sessions. */
#include <criterion/criterion.h>

#include "property.h"

/* A subscriber's sessions in the tables. */
struct found {
	struct session session[MODEL_SESSIONS];
	unsigned n, counting;
};

static int gather(const struct session *s, void *arg)
{
	struct found *f = arg;

	cr_assert_lt(f->n, MODEL_SESSIONS);
	f->session[f->n++] = *s;
	f->counting += s->counts;
	return 0;
}

/* Again, if the machine has let it wait meanwhile. Returns the agent's count. */
static unsigned find_sessions(struct property *t, uint32_t in_addr, struct found *ret)
{
	struct session_walk *w;
	unsigned counted;

	do {
		property_time_resume(t);
		ret->n = ret->counting = 0;
		cr_assert_eq(session_walk_new_subscriber(mappings, in_addr, &w), 0);
		while (session_walk_step(w, 1000000, gather, ret) > 0)
			;
		session_walk_free(w);
		counted = sessions_of(in_addr);
	} while (property_time_is_late(t));
	return counted;
}

static void compare_session(struct property *t, const struct session *s)
{
	const struct model_session *m;
	double left;

	cr_assert(property_is_told(s), "%08x:%u to %08x:%u by port %u was never told of", s->in_addr, s->in_port,
		  s->ext_addr, s->ext_port, s->out_port);
	if (!s->counts)
		return;
	m = model_find_in(&t->model, s->in_addr, s->in_port, s->ext_addr, s->ext_port, s->proto);
	cr_assert(m && !m->tcp.closed, "a session of %08x:%u to %08x:%u that the model knows nothing of", s->in_addr,
		  s->in_port, s->ext_addr, s->ext_port);
	left = m->deadline - t->model.now;
	cr_assert(m->out_port == s->out_port && m->out_addr == s->out_addr);
	cr_assert(m->proto != TCP || (m->tcp.established && !m->tcp.fin_in && !m->tcp.fin_out && !m->tcp.reset) ==
					     (s->state == SESSION_ESTABLISHED),
		  "state %s, which the model takes for another", session_state_name(s->state));
	cr_assert_eq(m->proto == TCP && m->tcp.reset, !!(s->state & SESSION_RESET));
	cr_assert(s->expires <= left + 2 && s->expires + 3 >= left, "%u seconds left, not %.0f", s->expires, left);
}

void property_compare_tables(struct property *t)
{
	static struct found f;

	property_skip(t, 1);
	property_events_apply();
	for (size_t i = 0; i < property_scene->n_subscribers; i++) {
		uint32_t in_addr = property_scene->subscriber[i];
		unsigned counted = find_sessions(t, in_addr, &f);

		for (unsigned k = 0; k < f.n; k++)
			compare_session(t, &f.session[k]);
		cr_assert_eq(f.counting, model_count(&t->model, in_addr), "%08x has %u sessions, by the model %u",
			     in_addr, f.counting, model_count(&t->model, in_addr));
		cr_assert_eq(counted, f.counting);
		cr_assert_eq(property_told(in_addr), f.n, "%08x: %u sessions, and %u told of", in_addr, f.n,
			     property_told(in_addr));
		property_compare_limits(in_addr);
	}
}
