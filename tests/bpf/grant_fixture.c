// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>

#include <detnat/events.h>

#include "grant_fixture.h"
#include "staged.h"
#include "told_routes.h"

static uint16_t block;

void set_up_plan(const struct grant_plan *plan)
{
	const struct mapping_parameters p = { .in_base = ADDR(10, 1, 0, 0),
					      .last_subscriber = 127,
					      .out_base = OUT,
					      .ratio = 128,
					      .first_port = 1024,
					      .pitch = plan->ports,
					      .ports_per_host = plan->ports };
	struct mapping_spec spec = { .in = { ADDR(10, 1, 0, 0), 25 },
				     .out = { OUT, 32 },
				     .sessions_per_user = plan->quota,
				     .session_slots = plan->slots,
				     .bindings = plan->bindings,
				     .growth = { plan->block, plan->max_blocks },
				     .limit = user_limits };

	block = plan->block;
	settings.growth = 1;
	bindings = plan->bindings;
	set_up();
	cr_assert_eq(system("ip route add 10.1.0.0/25 dev tin;"
			    "ip neigh add 10.1.0.2 lladdr 02:00:00:00:00:03 dev tin;"
			    "ip neigh add 10.1.0.3 lladdr 02:00:00:00:00:03 dev tin"),
		     0);
	cr_assert_eq(mapping_make(&p, &spec.geo), 0);
	memcpy(spec.timeout_ticks, mappings_get(mappings, 0)->timeout_ticks, sizeof(spec.timeout_ticks));
	make_mapping(&spec, NULL);
	datapath_raise_epoch(&datapath);
	/* Packets to a pool address are not for the route that leads out. */
	if (staged_wanted())
		tell_routes_and((const struct prefix[]){ { POOL, 30 }, { OUT, 32 } }, 2);
	serve_growth(true);
}

void serve_growth(bool served)
{
	datapath.table->limits.growth_until = datapath_ticks(&datapath) + (served ? 100000U : -1U);
}

void grant_entry(uint32_t addr, uint16_t at, uint8_t direction, uint32_t to, uint16_t port_lo)
{
	const struct grant_key key = { .addr = addr, .at = at, .direction = direction };
	const struct grant_value v = { .addr = to, .port_lo = port_lo, .ports = block };

	cr_assert_eq(bpf_map_update_elem(datapath.grants, &key, &v, BPF_ANY), 0);
}

void grant(uint32_t in_addr, uint16_t number, uint16_t port_lo)
{
	grant_entry(OUT, port_lo, GRANT_OF_OUTSIDE, in_addr, port_lo);
	grant_entry(in_addr, number, GRANT_OF_INSIDE, OUT, port_lo);
}

void grant_close(uint32_t in_addr, uint16_t number)
{
	const struct grant_key key = { .addr = in_addr, .at = number, .direction = GRANT_OF_INSIDE };

	cr_assert_eq(bpf_map_delete_elem(datapath.grants, &key), 0);
}

void grant_take_back(uint16_t port_lo)
{
	const struct grant_key key = { .addr = OUT, .at = port_lo, .direction = GRANT_OF_OUTSIDE };

	cr_assert_eq(bpf_map_delete_elem(datapath.grants, &key), 0);
	datapath.table->limits.grants_epoch++;
}

int open_of(uint8_t proto, uint16_t in_port, uint16_t ext_port, uint8_t flags)
{
	return open_flow_in_time(IN, proto, in_port, ext_port, flags);
}

static unsigned asks;

static int see(void *arg, void *data, size_t size)
{
	const struct nat_event *e = data;

	(void)arg;
	(void)size;
	asks += e->type == EVENT_GROWTH && e->in_addr == IN && e->out_addr == OUT;
	return 0;
}

unsigned asked(void)
{
	struct ring_buffer *ring = ring_buffer__new(datapath.events, see, NULL, NULL);

	cr_assert(ring);
	asks = 0;
	ring_buffer__consume(ring);
	ring_buffer__free(ring);
	return asks;
}

/* A quarter of a second and what that is rounded up by. */
void wait_for_next_request(void)
{
	uint32_t until = datapath_ticks(&datapath) + datapath.hz / 4 / (1U << TICK_SHIFT) + 2;

	while ((int32_t)(datapath_ticks(&datapath) - until) < 0)
		next_tick();
}
