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

struct overflow_key beyond_key(uint16_t in_port)
{
	return (struct overflow_key){ .addr = 0x0a000000 + HOST,
				      .ext_addr = 0xc6336407,
				      .port = in_port,
				      .ext_port = 443,
				      .proto = IPPROTO_TCP,
				      .direction = OVERFLOW_IN2OUT };
}

bool beyond_entry(struct gateway *g, uint16_t in_port, struct overflow_session *ret)
{
	const struct overflow_key key = beyond_key(in_port);

	return !bpf_map_lookup_elem(g->d.overflow, &key, ret);
}

void beyond_store(struct gateway *g, uint16_t in_port, const struct overflow_session *s)
{
	const struct overflow_key key = beyond_key(in_port);

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
	const struct mapping *m = mappings_get(g->m, g->number);
	struct overflow_key key = beyond_key(in_port);
	struct overflow_session s;

	cr_assert(beyond_entry(g, in_port, &s));
	cr_assert(overflow_delete(&g->d, &key, s.truth, mapping_out_addr(&m->geo, HOST),
				  mappings_subscriber(g->m, g->number, HOST)));
}
