// SPDX-License-Identifier: BSD-2-Clause
/* What subscribers leave to others of the extents that the default of `overflow_sessions` gives. */
#include <criterion/criterion.h>

#include "datapath/datapath.h"
#include "extents_fixture.h"
#include "told_routes.h"

#define QUOTA 1000

static void set_up_default(void)
{
	const struct config c = { .overflow_sessions = 65536, .extent_buckets = EXTENTS_BY_SIZE };

	settings.extent_buckets = extents_room(&c);
	set_up();
	extents_mapping(QUOTA);
}

TestSuite(extents_shares, .init = set_up_default, .fini = tear_down, .timeout = 300);

static unsigned open_all(uint32_t host)
{
	unsigned opened = 0;

	for (unsigned i = 0; i < QUOTA; i++) {
		if (i % 16 == 0)
			refresh_followed_routes();
		opened += open_flow_in_time(IN + host, UDP, extents_port(i), extents_ext(i), 0) >= 0;
	}
	return opened;
}

/* Without an agent, so that no extent that was replaced is used again. */
Test(extents_shares, thirty_five_at_their_quota_leave_the_next_one_all_of_its_own)
{
	for (uint32_t host = 0; host < 36; host++)
		cr_expect_eq(open_all(host), QUOTA, "host %u", host);
	cr_expect_eq(datapath.pool->refused, 0);
}

/* The n-th port of a peer towards which flows of one inside port have the same first bucket in an extent of any size.
 */
static uint16_t colliding(unsigned nth)
{
	uint32_t offset = (uint32_t)(extents_out_port(0) - 1024) % PORTS, wanted = 0;
	unsigned found = 0;

	for (uint32_t port = 1; port < 65536; port++) {
		uint32_t first =
			extent_buckets_at(slot_key(EXTERNAL, (uint16_t)port, 0), UDP, offset, EXTENT_MAX_SHIFT).first;

		if (!found)
			wanted = first;
		if (first == wanted && found++ == nth)
			return (uint16_t)port;
	}
	return 0;
}

Test(extents_shares, one_that_chooses_its_ports_and_peers_fills_no_line_of_anothers)
{
	unsigned tried = 0;

	for (uint16_t port; (port = colliding(tried)); tried++) {
		refresh_followed_routes();
		open_flow_in_time(IN, UDP, extents_port(0), port, 0);
	}
	cr_assert_gt(tried, 4 * BUCKET_SLOTS);
	for (uint32_t host = 1; host < 4; host++)
		cr_expect_eq(open_all(host), QUOTA, "host %u", host);
	extents_tables_right();
}
