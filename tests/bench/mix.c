// SPDX-License-Identifier: BSD-2-Clause
/* Rows of sessions from random ports to many destinations, as people's are: some find no slot, or no port. */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sessions/sessions.h"

#define DESTINATIONS  0x14000000U /* 20.0.0.0, as CSIT has it */
#define DESTINED_PORT 443
/* Ephemeral ports as Linux has them. */
#define EPHEMERAL_LO 32768U
#define EPHEMERAL_N  28232U

static struct popularity popularity_of(const struct row *row)
{
	struct popularity p;

	if (popularity_new(row->destinations, row->mix == MIX_ZIPF ? row->zipf : 0, &p))
		die("a mix", ENOMEM);
	return p;
}

void mix_destinations(struct bench *b, const struct row *row, uint32_t *ret, uint32_t n)
{
	struct popularity p = popularity_of(row);

	for (uint32_t i = 0; i < n; i++)
		ret[i] = popularity_draw(&p, &b->seed);
	popularity_free(&p);
}

/* Whether one of the host's flows before is the same. */
static bool drawn_before(const struct flow_tuple *flows, uint32_t n, const struct flow_tuple *f)
{
	for (uint32_t i = 0; i < n; i++)
		if (flows[i].dst == f->dst && flows[i].sport == f->sport)
			return true;
	return false;
}

/*
 * A host's session of a number, to a destination of a number. To the internet, each session gets its first choice of a
 * port, and as its slot depends on the external port, too, any number of destinations fills the tables alike: only
 * routes and next hops make a difference.
 */
static struct flow_tuple draw_flow(struct bench *b, const struct space *s, uint32_t host, uint32_t i,
				   uint32_t destination)
{
	uint64_t random = random_next(&b->seed);

	if (s->row->internet)
		return (struct flow_tuple){
			.src = s->geo[0].in_base + host,
			.dst = world_destination(b, destination),
			.sport = (uint16_t)(FIRST_PORT + i),
			.dport = (uint16_t)(1 + random % 65535),
		};
	return (struct flow_tuple){
		.src = s->geo[0].in_base + host,
		.dst = DESTINATIONS + destination,
		.sport = (uint16_t)(EPHEMERAL_LO + random % EPHEMERAL_N),
		.dport = DESTINED_PORT,
	};
}

void mix_draw(struct bench *b, struct space *s)
{
	const struct row *row = s->row;
	struct popularity p;

	s->n_sessions = row_sessions(row);
	if (!s->in) {
		s->in = calloc(s->n_sessions, sizeof(*s->in));
		s->out = calloc(s->n_sessions, sizeof(*s->out));
	}
	if (!s->in || !s->out)
		die("a mix", ENOMEM);
	if (row->mix == MIX_LISTED) {
		for (uint64_t i = 0; i < s->n_sessions; i++)
			s->in[i] = flow_plain(s, i, FROM_INSIDE);
		return;
	}
	p = popularity_of(row);
	for (uint32_t h = 0; h < row->hosts; h++) {
		struct flow_tuple *flows = &s->in[(uint64_t)h * row->sessions];

		for (uint32_t i = 0; i < row->sessions;) {
			flows[i] = draw_flow(b, s, h, i, popularity_draw(&p, &b->seed));
			i += !drawn_before(flows, i, &flows[i]);
		}
	}
	popularity_free(&p);
}

struct answers {
	struct space *s;
	uint64_t n;
};

static int add_answer(const struct session *session, void *arg)
{
	struct answers *a = arg;

	if (a->n == row_sessions(a->s->row))
		return -E2BIG;
	a->s->in[a->n] =
		(struct flow_tuple){ session->in_addr, session->ext_addr, session->in_port, session->ext_port, 0 };
	a->s->out[a->n++] =
		(struct flow_tuple){ session->ext_addr, session->out_addr, session->ext_port, session->out_port, 0 };
	return 0;
}

void mix_answers(struct bench *b, struct space *s)
{
	struct answers a = { .s = s };
	struct session_walk *w;
	int r = session_walk_new(b->m, &w);

	while (!r && (r = session_walk_step(w, 100000, add_answer, &a)) > 0)
		r = 0;
	if (r)
		die("listing sessions", r);
	session_walk_free(w);
	s->n_sessions = a.n;
}
