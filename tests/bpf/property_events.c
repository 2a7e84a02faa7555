// SPDX-License-Identifier: BSD-2-Clause
/* Each session is reported once when it opens and once when it ends, by the datapath or by the agent. */
#include <string.h>

#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include <detnat/events.h>

#include "property.h"

static struct ring_buffer *ring;
static struct session told[MODEL_SESSIONS]; /* opened, and not closed yet */
static size_t n_told;
static struct nat_event event[64]; /* of the last packet */
static size_t n_events;

static int take(void *arg, void *data, size_t size)
{
	const struct nat_event *e = data;

	if (e->type == EVENT_SESSION_OPENED || e->type == EVENT_SESSION_CLOSED) {
		cr_assert_lt(n_events, sizeof(event) / sizeof(*event));
		event[n_events++] = *e;
	}
	return 0;
}

void property_events_begin(void)
{
	ring = ring_buffer__new(datapath.events, take, NULL, NULL);
	cr_assert_not_null(ring);
}

void property_events_collect(void)
{
	n_events = 0;
	ring_buffer__consume(ring);
}

static size_t find(const struct session *s)
{
	size_t i;

	for (i = 0; i < n_told; i++) {
		const struct session *o = &told[i];

		if (o->in_addr == s->in_addr && o->in_port == s->in_port && o->ext_addr == s->ext_addr &&
		    o->ext_port == s->ext_port && o->proto == s->proto && o->out_port == s->out_port &&
		    o->out_addr == s->out_addr)
			break;
	}
	return i;
}

int property_closed(const struct session *s, void *arg)
{
	size_t i = find(s);

	if (s->in_addr == LOOSE)
		return 0;
	cr_assert_lt(i, n_told, "told of the end of %08x:%u to %08x:%u by port %u, which was not opened", s->in_addr,
		     s->in_port, s->ext_addr, s->ext_port, s->out_port);
	told[i] = told[--n_told];
	return 0;
}

void property_events_apply(void)
{
	for (size_t i = 0; i < n_events; i++) {
		const struct nat_event *e = &event[i];
		const struct session s = { .in_addr = e->in_addr,
					   .out_addr = e->out_addr,
					   .ext_addr = e->ext_addr,
					   .in_port = e->in_port,
					   .out_port = e->out_port,
					   .ext_port = e->ext_port,
					   .proto = e->proto };

		if (e->in_addr == LOOSE)
			continue;
		if (e->type == EVENT_SESSION_CLOSED) {
			property_closed(&s, NULL);
			continue;
		}
		cr_assert_eq(find(&s), n_told, "%08x:%u to %08x:%u by port %u was opened twice", s.in_addr, s.in_port,
			     s.ext_addr, s.ext_port, s.out_port);
		cr_assert_lt(n_told, MODEL_SESSIONS);
		told[n_told++] = s;
	}
	n_events = 0;
}

unsigned property_told(uint32_t in_addr)
{
	unsigned n = 0;

	for (size_t i = 0; i < n_told; i++)
		n += told[i].in_addr == in_addr;
	return n;
}

bool property_is_told(const struct session *s)
{
	return find(s) < n_told;
}
