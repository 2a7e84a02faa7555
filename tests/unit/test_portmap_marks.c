/* SPDX-License-Identifier: BSD-2-Clause */
/* Marks of subscribers that have portmaps, in the records of a mapping that was added. */
#include <criterion/criterion.h>

#include <netinet/in.h>

#include "tables/portmap_table.h"
#include "tables_fixture.h"

static struct datapath datapath;
static struct mappings *mappings;
static struct portmaps *portmaps;
static int number;

static void set_up(void)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "203.0.113.0/28");
	struct error err = { "" };

	tables_make(&datapath);
	cr_assert_eq(mappings_open(&datapath, &mappings, &err), 0, "%s", err.text);
	cr_assert_eq(portmaps_open(mappings, &portmaps, &err), 0, "%s", err.text);
	number = tables_add(mappings, &spec);
}

static void tear_down(void)
{
	portmaps_close(portmaps);
	mappings_close(mappings);
}

TestSuite(portmap_marks, .init = set_up, .fini = tear_down, .timeout = 60);

static void map_port(uint32_t subscriber, uint16_t port)
{
	const struct geometry *g = &mappings_get(mappings, number)->geo;
	struct portmap m = { .in = { g->in_base + subscriber, port }, .proto = IPPROTO_TCP };

	m.out = (struct endpoint){ mapping_out_addr(g, subscriber), (uint16_t)(mapping_port_lo(g, subscriber) + port) };
	cr_assert_eq(portmaps_put(portmaps, &m), 0);
}

/* Takes the marks of a subscriber away, as a new mapping has none; whether they are back after portmaps_mark(). */
static bool is_marked(uint32_t subscriber, const char *in)
{
	struct subscriber *s = mappings_subscriber(mappings, number, subscriber);
	struct prefix prefix;

	s->portmap_in = s->portmap_out = 0;
	s->beyond = 0;
	cr_assert_eq(prefix_parse(in, &prefix), 0);
	portmaps_mark(portmaps, prefix);
	return s->portmap_in && s->portmap_out && s->beyond & SUBSCRIBER_PORTMAPS;
}

Test(portmap_marks, subscribers_of_a_prefix_get_theirs_whether_it_has_fewer_addresses_than_there_are_portmaps_or_more)
{
	for (uint16_t port = 0; port < 5; port++)
		map_port(3, port);
	map_port(200, 7);
	cr_expect(is_marked(3, "10.0.0.0/24"));
	cr_expect(is_marked(3, "10.0.0.0/30"));
	cr_expect(is_marked(3, "10.0.0.3/32"));
	cr_expect(is_marked(200, "10.0.0.200/32"));
	cr_expect_not(is_marked(3, "10.0.0.0/31"));
	cr_expect_not(is_marked(3, "10.0.0.128/25"));
	cr_expect_not(is_marked(2, "10.0.0.0/30"));
}
