// SPDX-License-Identifier: BSD-2-Clause
/* The shared range of an outside address, <detnat/growth.h>, against a list of its ports. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <criterion/criterion.h>

#include <detnat/growth.h>

static struct geometry make(uint32_t ratio, uint32_t first, uint32_t pitch, uint32_t ports)
{
	const struct mapping_parameters p = { .last_subscriber = ratio - 1,
					      .out_base = 1,
					      .ratio = ratio,
					      .first_port = first,
					      .pitch = pitch,
					      .ports_per_host = ports };
	struct geometry g;

	cr_assert_eq(mapping_make(&p, &g), 0, "%u subscribers, %u ports from %u", ratio, ports, first);
	return g;
}

Test(growth, what_a_plan_leaves_is_the_shared_range)
{
	struct geometry g = make(128, 1024, 448, 448);

	cr_expect_eq(growth_ports(&g), 7168);
	cr_expect_eq(growth_blocks(&g, 128), 56);
	cr_expect_eq(growth_port_lo(&g, 128, 0), 58368);
	cr_expect_eq(growth_block_of(&g, 128, 65535), 55);
	g = make(64, 1024, 1008, 1008);
	cr_expect_eq(growth_ports(&g), 0);
	cr_expect_eq(growth_blocks(&g, 8), 0);
}

/* For every port: it is in the block that the walk from block to block has it in, and in none that a subscriber has. */
static void every_port(const struct geometry *g, uint32_t block)
{
	static int32_t of[65536];
	uint32_t shared = 0;

	memset(of, 0xff, sizeof(of));
	for (uint32_t n = 0; n < growth_blocks(g, block); n++)
		for (uint32_t i = 0; i < block; i++) {
			uint32_t port = growth_port_lo(g, block, n) + i;

			cr_assert(port >= GROWTH_FIRST_PORT && port < 65536, "block %u", n);
			cr_assert_eq(of[port], -1, "port %u is in two blocks", port);
			of[port] = (int32_t)n;
		}
	for (uint32_t port = 0; port < 65536; port++) {
		enum mapping_port kind = mapping_port_kind(g, g->out_base, port);
		bool outer = port >= GROWTH_FIRST_PORT && (kind == MAPPING_PORT_BELOW || kind == MAPPING_PORT_ABOVE);

		shared += outer;
		cr_assert_eq(growth_block_of(g, block, port), of[port], "port %u", port);
		cr_assert_eq(growth_block_start(g, block, port),
			     of[port] < 0 ? 0 : growth_port_lo(g, block, (uint32_t)of[port]), "port %u", port);
		cr_assert(of[port] < 0 || outer, "port %u is of a block, a gap, or reserved", port);
	}
	cr_assert_eq(growth_ports(g), shared);
	cr_assert_leq(growth_blocks(g, block) * block, shared);
}

Test(growth, no_port_of_a_block_or_a_gap_is_ever_shared_whatever_the_geometry)
{
	static const uint32_t blocks[] = { 8, 13, 128, 1000, 4096 }, firsts[] = { 0, 1, 500, 1024, 1026, 5000, 40000 };
	static const uint32_t ratios[] = { 1, 3, 33, 64, 127, 1000 }, gaps[] = { 0, 1, 7, 100 };

	for (unsigned r = 0; r < 6; r++)
		for (unsigned f = 0; f < 7; f++)
			for (unsigned s = 0; s < 4; s++) {
				uint32_t room = (65536 - firsts[f]) / ratios[r], ports = room / 2 + 1;
				struct geometry g;

				if (ports + gaps[s] > room || ports < 2)
					continue;
				g = make(ratios[r], firsts[f], ports + gaps[s], ports);
				for (unsigned b = 0; b < 5; b++)
					every_port(&g, blocks[b]);
			}
}
