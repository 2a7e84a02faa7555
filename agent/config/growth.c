// SPDX-License-Identifier: BSD-2-Clause
/* Blocks that grow: the figures of a mapping, and whether its geometry has room for them. */
#include <errno.h>

#include "config/config.h"
#include "proto/defaults.h"

static uint32_t or_default(uint32_t figure, uint32_t otherwise)
{
	return figure ? figure : otherwise;
}

struct config_growth config_mapping_growth(const struct config_mapping *m)
{
	const struct config_growth *g = &m->growth;

	if (!g->given)
		return (struct config_growth){ 0 };
	return (struct config_growth){
		.given = true,
		.block = or_default(g->block, DEFAULT_GROWTH_BLOCK),
		.max_blocks = or_default(g->max_blocks, DEFAULT_GROWTH_MAX_BLOCKS),
		.idle = or_default(g->idle, DEFAULT_GROWTH_IDLE_S),
		.rest = or_default(g->rest, DEFAULT_GROWTH_REST_S),
	};
}

/* Smaller blocks of about 8/9 of the ports, a multiple of 64 where they are that large; 0: they leave no room either.
 */
static uint32_t ports_that_leave_room(const struct config_mapping *m, uint32_t block, uint32_t *ret_left)
{
	struct config_mapping other = *m;
	struct geometry g;
	uint32_t ports;

	if (config_mapping_geometry(m, &g))
		return 0;
	ports = g.ports_per_host - g.ports_per_host / 9U;
	if (ports > 128)
		ports -= ports % 64;
	for (; ports; ports = ports * 8U / 9U) {
		other.ports.ports_per_host = other.figures.ports_per_host = ports;
		other.ports.subscribers_per_address = g.ratio;
		other.ports.block_pitch = other.figures.block_pitch = 0;
		if (!config_mapping_geometry(&other, &g) && growth_blocks(&g, block))
			break;
	}
	*ret_left = ports ? growth_ports(&g) : 0;
	return ports;
}

int config_growth_check(const struct config_mapping *m, struct error *err)
{
	uint32_t block = config_mapping_growth(m).block, ports, left = 0;
	struct geometry g;

	/* The geometry has an error of its own. */
	if (config_mapping_geometry(m, &g) || growth_blocks(&g, block))
		return 0;
	ports = ports_that_leave_room(m, block, &left);
	if (!ports)
		return error_set(err, -EINVAL,
				 "the blocks leave %u ports of an address, less than a granted block of %u: lower "
				 "growth.block, or share an address among fewer subscribers",
				 growth_ports(&g), block);
	return error_set(err, -EINVAL,
			 "ports_per_host %u leaves %u ports of an address, less than a granted block of %u; "
			 "ports_per_host %u leaves %u",
			 g.ports_per_host, growth_ports(&g), block, ports, left);
}
