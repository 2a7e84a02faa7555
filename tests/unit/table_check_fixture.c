/* SPDX-License-Identifier: BSD-2-Clause */
#include "table_check_fixture.h"

#include <string.h>

#include <detnat/slots.h>

uint32_t right_place(uint16_t in_port, uint16_t ext_port, bool other)
{
	const struct mapping *map = mappings_get(m, big);
	uint32_t first = mapping_first_choice(&map->geo, in_port);
	struct bucket_pair p = session_buckets(PEER, ext_port, IPPROTO_UDP, first, map->bucket_shift);

	return (other ? p.second : p.first) * BUCKET_SLOTS + (first & (BUCKET_SLOTS - 1));
}

uint32_t port_lo(void)
{
	const struct geometry *g = &mappings_get(m, big)->geo;

	return mapping_port_lo(g, 7);
}

uint16_t right_port(uint16_t in_port)
{
	return (uint16_t)(port_lo() + mapping_first_choice(&mappings_get(m, big)->geo, in_port));
}

struct slot *open_at(uint32_t slot, uint16_t in_port, uint16_t out_port, uint8_t state)
{
	struct session s = { .ext_addr = PEER,
			     .in_port = in_port,
			     .out_port = out_port,
			     .ext_port = 443,
			     .proto = IPPROTO_UDP,
			     .state = state };

	return tables_put(m, tables_addr(HOST), slot, &s, NOW);
}

struct slot *right_flow(uint16_t in_port)
{
	return open_at(right_place(in_port, 443, false), in_port, right_port(in_port), SESSION_UDP);
}

struct slot *flow_beyond(uint16_t in_port)
{
	struct session s = { .ext_addr = PEER,
			     .in_port = in_port,
			     .out_port = right_port(in_port),
			     .ext_port = 443,
			     .proto = IPPROTO_UDP,
			     .state = SESSION_UDP };

	return tables_put_beyond(m, tables_addr(HOST), &s, NOW);
}

struct findings check(bool repair, struct check_figures *ret_figures)
{
	struct findings f = { 0 };
	struct table_check *c;
	int r;

	cr_assert_eq(table_check_new(m, repair, &f, &c), 0);
	while ((r = table_check_step(c, 100)) > 0)
		if (r == TABLE_CHECK_WAITS)
			usleep(200);
	cr_assert_eq(r, TABLE_CHECK_DONE);
	if (ret_figures)
		*ret_figures = *table_check_figures(c);
	table_check_free(c);
	return f;
}

void right(void)
{
	right_flow(5000);
	right_flow(5001);
	flow_beyond(5002);
	/* Displaced: in the second bucket, or on another port of its group; with their bits. */
	open_at(right_place(5016, 443, true), 5016, right_port(5016), SESSION_UDP);
	open_at(right_place(5024, 443, false) ^ 1, 5024, (uint16_t)(right_port(5024) ^ 1), SESSION_UDP);
	record(HOST)->displaced = ~0U;
}
