// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include <criterion/criterion.h>

#include "binding_fixture.h"
#include "told_routes.h"
#include "update_fixture.h"

uint64_t *entry_of(uint8_t proto, int out_port)
{
	return mappings_binding(mappings, 0, 2, proto, (uint32_t)(out_port - PORT_LO));
}

void age_binding(uint8_t proto, int out_port, uint32_t seconds)
{
	*entry_of(proto, out_port) -= ticks_of_seconds(seconds, datapath.hz);
}

void fill_group(uint8_t proto, uint32_t group, unsigned but, uint32_t seconds_ago)
{
	uint32_t seen = datapath_ticks(&datapath) - ticks_of_seconds(seconds_ago, datapath.hz);

	for (unsigned k = 0; k < 8; k++)
		if (!(but >> k & 1))
			*entry_of(proto, PORT_LO + (int)(group * 8 + k)) =
				binding_entry((uint16_t)(60000 + group * 8 + k), BINDING_BOUND, seen);
}

void set_quota(uint32_t sessions)
{
	struct mapping_spec spec = { .in = { ADDR(10, 0, 0, 0), 24 },
				     .out = { POOL, 30 },
				     .sessions_per_user = sessions,
				     .bindings = bindings };
	memcpy(spec.timeout_ticks, mappings_get(mappings, 0)->timeout_ticks, sizeof(spec.timeout_ticks));
	cr_assert_eq(mappings_update(mappings, &spec), 0);
}

void set_protocols(uint8_t mapping, uint8_t filtering)
{
	struct mapping_spec spec = { .in = { ADDR(10, 0, 0, 0), 24 },
				     .out = { POOL, 30 },
				     .sessions_per_user = 1000,
				     .bindings = { .mapping = mapping, .filtering = filtering, .inbound = 25 } };

	memcpy(spec.timeout_ticks, mappings_get(mappings, 0)->timeout_ticks, sizeof(spec.timeout_ticks));
	begin_update(&spec);
	cr_assert_eq(mappings_update(mappings, &spec), 0);
}

void sweep_sessions(void)
{
	struct session_sweep *s;

	cr_assert_eq(session_sweep_new(mappings, &s), 0);
	while (session_sweep_step(s, 1000000, NULL, NULL) > 0)
		;
	session_sweep_free(s);
}

int stranger_to(uint32_t dst, uint32_t src, uint16_t sport, uint16_t dport)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame f = {
		.from = ROUTER, .to = GATEWAY_OUT, .src = src, .dst = dst, .proto = UDP, .sport = sport, .dport = dport
	};
	size_t size = frame_build(&f, in), out_size;

	if (sport % 16 == 0)
		refresh_followed_routes();
	return run_frame(XDP_OUTSIDE, in, size, out, &out_size);
}

int stranger(uint32_t src, uint16_t sport, uint16_t dport)
{
	return stranger_to(POOL, src, sport, dport);
}
