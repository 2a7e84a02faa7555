/* SPDX-License-Identifier: BSD-2-Clause */
/* Leases as portmaps of the tables: the room that they have, and their end. */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>

#include "config_fixture.h"
#include "pcp/leases.h"
#include "tables/mapping_changes.h"
#include "tables_fixture.h"

#define SUBSCRIBERS 16384U
#define INSIDE	    0x0a400000U /* 10.64.0.0 */
#define NOW	    1000U

static struct datapath d;
static struct mappings *m;
static struct pcp_leases l;
static struct config *c;

static void set_up(void)
{
	const struct mapping_spec spec = tables_spec("10.64.0.0/18", "198.18.40.0/24");
	struct error err = { 0 };

	c = config_of("{\"interfaces\":{\"inside\":[\"eth1\"],\"outside\":[\"eth0\"]},"
		      "\"mappings\":[{\"in\":\"10.64.0.0/18\",\"out\":\"198.18.40.0/24\"}],"
		      "\"pcp\":{\"listen\":[\"10.64.0.1\"]}}");
	tables_make(&d);
	cr_assert_eq(mappings_open(&d, &m, &err), 0, "%s", err.text);
	tables_add(m, &spec);
	cr_assert_eq(portmaps_open(m, &l.portmaps, &err), 0, "%s", err.text);
	l.mappings = m;
	cr_assert_eq(pcp_leases_configure(&l, c), 0);
}

static void tear_down(void)
{
	pcp_leases_free(&l);
	portmaps_close(l.portmaps);
	config_free(c);
}

TestSuite(pcp_leases, .init = set_up, .fini = tear_down, .timeout = 60);

/* The n-th lease of a subscriber. */
static struct portmap portmap_of(uint32_t subscriber, uint32_t n, uint8_t origin)
{
	struct port_block block;

	cr_assert_eq(pcp_lease_table.subscriber(&l, INSIDE + subscriber, &block), 0);
	return (struct portmap){ .in = { INSIDE + subscriber, (uint16_t)(8000 + n) },
				 .out = { block.out_addr, (uint16_t)(block.port_lo + n) },
				 .proto = IPPROTO_TCP,
				 .origin = origin,
				 .expires_s = origin == PORTMAP_PCP ? NOW + 100 : 0 };
}

static int put(uint32_t subscriber, uint32_t n, uint64_t expires_s)
{
	const struct portmap p = portmap_of(subscriber, n, PORTMAP_PCP);

	return pcp_lease_table.put(
		&l, &(struct pcp_lease){ .proto = p.proto, .in = p.in, .out = p.out, .expires_s = expires_s });
}

Test(pcp_leases, portmaps_of_the_configuration_have_room_that_leases_cannot_take)
{
	const uint32_t room = (uint32_t)portmaps_lease_room(l.portmaps);
	struct portmap p;

	cr_assert_eq(room, MIN_LEASES);
	cr_expect_eq(l.shares.limit, room, "the table is smaller than the configuration allows");
	for (uint32_t i = 0; i < room; i++)
		cr_assert_eq(put(i % SUBSCRIBERS, i / SUBSCRIBERS, NOW + 100), 0);
	cr_expect_eq(put(0, 9, NOW + 100), -ENOSPC);
	cr_expect_not(pcp_lease_table.has_room(&l, 0));
	cr_expect_eq(l.refused, 1);
	for (uint32_t i = 0; i < 1000; i++) {
		p = portmap_of(i, 20, PORTMAP_STATIC);
		cr_assert_eq(portmaps_put(l.portmaps, &p), 0);
	}
	/* One in place of a lease leaves room for another. */
	p = portmap_of(0, 0, PORTMAP_STATIC);
	cr_expect_eq(portmaps_put(l.portmaps, &p), 0);
	cr_expect_eq(put(1, 9, NOW + 100), 0);
	cr_expect_eq(portmaps_count(l.portmaps, PORTMAP_PCP), room);
}

Test(pcp_leases, each_subscriber_is_assured_some_by_the_room_that_there_is)
{
	cr_expect_eq(l.shares.assured, 2);
	cr_expect_eq(l.shares.common, MIN_LEASES / 2);
	cr_expect(pcp_lease_table.has_room(&l, 31));
}

Test(pcp_leases, those_that_have_ended_are_deleted_in_slices_and_the_others_stay)
{
	unsigned slices = 1;

	for (uint32_t i = 0; i < 3000; i++)
		cr_assert_eq(put(i, 0, NOW + (i % 3 == 0 ? 0 : i % 3 == 1 ? 50 : 60)), 0);
	while (pcp_leases_expire(&l, NOW)) {
		cr_assert_geq(portmaps_count(l.portmaps, PORTMAP_PCP), 3000 - 128 * slices);
		slices++;
		/* Between slices clients go on. */
		cr_assert_eq(put(3000 + slices, 0, NOW + 40), 0);
	}
	cr_expect_geq(slices, 8);
	cr_expect_eq(portmaps_count(l.portmaps, PORTMAP_PCP), 2000 + slices - 1);
	cr_expect_not(pcp_leases_expire(&l, NOW + 39));
	cr_expect_eq(portmaps_count(l.portmaps, PORTMAP_PCP), 2000 + slices - 1);
	while (pcp_leases_expire(&l, NOW + 50))
		;
	cr_expect_eq(portmaps_count(l.portmaps, PORTMAP_PCP), 1000);
	while (pcp_leases_expire(&l, NOW + 60))
		;
	cr_expect_eq(portmaps_count(l.portmaps, PORTMAP_PCP), 0);
}
