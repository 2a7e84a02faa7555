/* SPDX-License-Identifier: BSD-2-Clause */
#include "overflow_fixture.h"

#include <bpf/bpf.h>
#include <netinet/in.h>

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

void beyond_open(struct gateway *g, uint16_t in_port, uint16_t offset)
{
	const struct session s = beyond_session(g, in_port, offset);

	tables_put_overflow(g->m, 0x0a000000 + HOST, &s, datapath_ticks(&g->d) - 40);
}

struct overflow_key beyond_key(const struct gateway *g, uint16_t in_port)
{
	return overflow_key_in(&mappings_get(g->m, g->number)->geo, 0x0a000000 + HOST, in_port, 0xc6336407, 443,
			       IPPROTO_TCP);
}

bool beyond_entry(struct gateway *g, uint16_t in_port, struct overflow_session *ret)
{
	const struct overflow_key key = beyond_key(g, in_port);

	return !bpf_map_lookup_elem(g->d.overflow, &key, ret);
}

void beyond_store(struct gateway *g, uint16_t in_port, const struct overflow_session *s)
{
	const struct overflow_key key = beyond_key(g, in_port);

	cr_assert_eq(bpf_map_update_elem(g->d.overflow, &key, s, BPF_EXIST), 0);
}

void beyond_touch(struct gateway *g, uint16_t in_port, uint32_t tick)
{
	struct overflow_session s;

	cr_assert(beyond_entry(g, in_port, &s));
	s.truth = word_with(s.truth, word_state(s.truth), tick);
	beyond_store(g, in_port, &s);
}

void beyond_end(struct gateway *g, uint16_t in_port)
{
	struct overflow_key key = beyond_key(g, in_port);
	struct overflow_session s;

	cr_assert(beyond_entry(g, in_port, &s));
	cr_assert(overflow_delete(&g->d, &key, s.truth, mappings_subscriber(g->m, g->number, HOST), NULL));
}
