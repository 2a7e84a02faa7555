/* SPDX-License-Identifier: BSD-2-Clause */
/* Before the gateways `a` and `b`, whose names it uses otherwise. */
#include <detnat/extents.h>

#include "beyond_fixture.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

struct session beyond_session(const struct gateway *g, uint16_t in_port, uint16_t offset)
{
	return (struct session){
		.ext_addr = 0xc6336407,
		.in_port = in_port,
		.out_port = (uint16_t)(mapping_port_lo(&mappings_get(g->m, g->number)->geo, HOST) + offset),
		.ext_port = 443,
		.proto = IPPROTO_TCP,
		.state = SESSION_ESTABLISHED,
	};
}

uint16_t first_offset(const struct gateway *g, uint16_t in_port)
{
	return (uint16_t)mapping_first_choice(&mappings_get(g->m, g->number)->geo, in_port);
}

void beyond_put(struct gateway *g, const struct session *s)
{
	struct session_copies *all = g->opener.requests;

	all->n = 1;
	all->copy[0] = (struct session_copy){
		.key = slot_key(s->ext_addr, s->ext_port, s->in_port),
		.word = state_word(s->out_port, s->proto, s->state, datapath_ticks(&g->d) - 40),
		.subscriber = HOST,
		.mapping = (uint16_t)g->number,
		.request = COPY_TO_EXTENT,
		.last = datapath_ticks(&g->d),
	};
	cr_assert_eq(copy_program_run(&g->opener), 0, "%s", strerror(errno));
	cr_assert_eq(all->copy[0].result, COPY_PLACED, "%d", all->copy[0].result);
}

struct slot *beyond_open(struct gateway *g, uint16_t in_port, uint16_t offset)
{
	const struct session s = beyond_session(g, in_port, offset);

	beyond_put(g, &s);
	return beyond_slot(g, in_port);
}

/* Those of the host's extent. */
static struct slot *all_slots(struct gateway *g, uint32_t *ret_n)
{
	return datapath_extent(&g->d, subscriber_extent(mappings_subscriber(g->m, g->number, HOST)), ret_n);
}

struct slot *beyond_slot(struct gateway *g, uint16_t in_port)
{
	uint32_t n;
	struct slot *slots = all_slots(g, &n);

	for (uint32_t i = 0; slots && i < n; i++)
		if (word_is_live(slots[i].truth) && slots[i].key == slot_key(0xc6336407, 443, in_port) &&
		    word_proto(slots[i].truth) == IPPROTO_TCP)
			return &slots[i];
	return NULL;
}

unsigned beyond_count(struct gateway *g)
{
	uint32_t n, live = 0;
	const struct slot *slots = all_slots(g, &n);

	for (uint32_t i = 0; slots && i < n; i++)
		live += word_is_live(slots[i].truth);
	return live;
}

void beyond_touch(struct gateway *g, uint16_t in_port, uint32_t tick)
{
	struct slot *s = beyond_slot(g, in_port);

	cr_assert(s);
	s->truth = word_with(word_owner(s->truth) ? word_taken(s->truth) : s->truth, word_state(s->truth), tick);
}

void beyond_end(struct gateway *g, uint16_t in_port)
{
	struct slot *s = beyond_slot(g, in_port);

	cr_assert(s);
	s->truth = 0;
	mappings_subscriber(g->m, g->number, HOST)->sessions--;
}

void beyond_room(struct gateway *g, uint32_t buckets)
{
	g->d.pool->next = datapath_extent_buckets(&g->d) - buckets;
}
