// SPDX-License-Identifier: BSD-2-Clause
#include "portmap_fixture.h"

#include <criterion/criterion.h>

#include "base/clock.h"

struct portmaps *portmaps;

void portmap_set_up(void)
{
	struct error err;

	settings.portmaps = 1;
	set_up();
	cr_assert_eq(portmaps_open(mappings, &portmaps, &err), 0, "%s", err.text);
}

void portmap_tear_down(void)
{
	portmaps_close(portmaps);
	tear_down();
}

void map_port(uint8_t proto, uint32_t in_addr, uint16_t in_port, uint16_t out_port)
{
	struct portmap m = { .in = { in_addr, in_port }, .out = { POOL, out_port }, .proto = proto };

	cr_assert_eq(portmaps_put(portmaps, &m), 0);
}

void lease_port(uint8_t proto, uint32_t in_addr, uint16_t in_port, uint16_t out_port, int64_t left_s)
{
	struct portmap m = { .in = { in_addr, in_port },
			     .out = { POOL, out_port },
			     .proto = proto,
			     .origin = PORTMAP_PCP,
			     .expires_s = boottime_s() + (uint64_t)left_s };

	cr_assert_eq(portmaps_put(portmaps, &m), 0);
}

void filter_port(uint8_t proto, uint16_t out_port, uint32_t addr, uint8_t plen, uint16_t port)
{
	const struct portmap *known = portmaps_by_out(portmaps, proto, (struct endpoint){ POOL, out_port });
	struct portmap m;

	cr_assert_not_null(known);
	m = *known;
	cr_assert(portmap_filters_add(&m.filters, addr, plen, port));
	cr_assert_eq(portmaps_put(portmaps, &m), 0);
}
