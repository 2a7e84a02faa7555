/* SPDX-License-Identifier: BSD-2-Clause */
/* What gateways must have alike: shown, compared and named. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "copying_fixture.h"
#include "peers/replication.h"
#include "tables/mapping_changes.h"
#include "tables/portmap_table.h"

static struct portmaps *of_a, *of_b;

static void set_up(void)
{
	struct error err = { 0 };

	pair_make();
	cr_assert_eq(portmaps_open(a.m, &of_a, &err), 0, "%s", err.text);
	cr_assert_eq(portmaps_open(b.m, &of_b, &err), 0, "%s", err.text);
	copying_set_portmaps(a.c, of_a, -1);
	copying_set_portmaps(b.c, of_b, -1);
}

TestSuite(copying_rules, .init = set_up, .fini = pair_free, .timeout = 60);

static void changed(struct gateway *g)
{
	copying_mappings_changed(g->c);
}

static void add(struct gateway *g, const struct mapping_spec *spec)
{
	tables_add(g->m, spec);
	changed(g);
}

static void map_port(struct gateway *g, struct portmaps *p, uint16_t in_port)
{
	struct portmap m = {
		.in = { 0x0a000007, in_port },
		.out = { mapping_out_addr(&mappings_get(g->m, g->number)->geo, 7), 2000 },
		.proto = IPPROTO_TCP,
		.origin = PORTMAP_STATIC,
	};

	portmaps_del(p, m.proto, m.out);
	if (in_port)
		cr_assert_eq(portmaps_put(p, &m), 0);
	changed(g);
}

static void show(void)
{
	struct told of_one = { 0 }, of_other = { 0 };

	pass(&a, &of_one);
	pass(&b, &of_other);
	hear(&b, 1, &of_one);
	hear(&a, 1, &of_other);
}

/* Both name one thing, each from its side. */
static void assert_one(enum copying_difference at_a, enum copying_difference at_b, const char *text)
{
	const struct copying_differences *x = copying_differences(a.c, 1), *y = copying_differences(b.c, 1);

	cr_assert_eq(x->n_matter, 1);
	cr_assert_eq(y->n_matter, 1);
	cr_assert_eq(x->item[0].why, at_a);
	cr_assert_eq(y->item[0].why, at_b);
	cr_assert_str_eq(x->item[0].text, text);
	cr_assert_neq(copying_digest(a.c), copying_digest(b.c));
}

static void assert_none(void)
{
	cr_assert_eq(copying_differences(a.c, 1)->n_matter, 0);
	cr_assert_eq(copying_differences(b.c, 1)->n_matter, 0);
	cr_assert_eq(copying_digest(a.c), copying_digest(b.c));
}

Test(copying_rules, equal_gateways_differ_in_nothing)
{
	assert_none();
	connect_gateways(&a, &b);
	assert_none();
	cr_assert_eq(copying_differences(a.c, 1)->n_noted, 0);
}

Test(copying_rules, a_mapping_that_one_has_is_named_by_both_until_the_other_has_it)
{
	struct mapping_spec spec = tables_spec("10.1.0.0/24", "203.0.114.0/28");

	connect_gateways(&a, &b);
	add(&a, &spec);
	show();
	assert_one(COPYING_LACKING_THERE, COPYING_LACKING_HERE, "");
	cr_assert_eq(copying_differences(a.c, 1)->item[0].in.base, 0x0a010000);
	add(&b, &spec);
	show();
	assert_none();
}

Test(copying_rules, an_exception_without_sessions_is_compared)
{
	struct mapping_spec open = tables_spec("10.1.0.7/32", "203.0.114.7/32"), none = open;

	open.open = true;
	none.out = PREFIX_NONE;
	add(&a, &open);
	connect_gateways(&a, &b);
	assert_one(COPYING_LACKING_THERE, COPYING_LACKING_HERE, "");
	add(&b, &none);
	show();
	cr_assert_eq(copying_differences(a.c, 1)->n_matter, 2, "the one is not the other");
}

Test(copying_rules, a_rule_that_differs_is_told_with_both_values)
{
	struct mapping_spec at_a = tables_spec("10.1.0.0/24", "203.0.114.0/28"), at_b = at_a;

	at_b.session_slots = 2 * at_a.session_slots;
	add(&a, &at_a);
	add(&b, &at_b);
	connect_gateways(&a, &b);
	assert_one(COPYING_DIFFERS, COPYING_DIFFERS, "session_slots 32 here, 64 there");
}

static struct mapping_spec of_range(uint32_t last)
{
	const struct mapping_parameters p = { .in_base = 0x0a010001,
					      .last_subscriber = last - 0x0a010001,
					      .out_base = 0xcb007201,
					      .last_out = 13,
					      .ratio = 33,
					      .first_port = 1024,
					      .pitch = 1954,
					      .ports_per_host = 1954 };
	struct mapping_spec spec = tables_spec("10.1.0.0/24", "203.0.114.0/28");

	cr_assert_eq(mapping_make(&p, &spec.geo), 0);
	spec.in = geometry_in(&spec.geo);
	spec.out = geometry_out(&spec.geo);
	return spec;
}

/* A record says where a range begins. */
Test(copying_rules, a_range_that_differs_is_named_as_it_is_here)
{
	struct mapping_spec at_a = of_range(0x0a0100fe), at_b = of_range(0x0a0100fd);
	char text[COPYING_DIFFERENCE_LINE];

	add(&a, &at_a);
	connect_gateways(&a, &b);
	cr_assert_str_eq(replication_difference_text(&copying_differences(a.c, 1)->item[0], text),
			 "mapping 10.1.0.1-10.1.0.254 to 203.0.114.1-203.0.114.14 is missing there", "%s", text);
	add(&b, &at_b);
	show();
	assert_one(COPYING_DIFFERS, COPYING_DIFFERS,
		   "subscribers_per_address, first_port, block_pitch, order, or the end of a range");
	cr_assert(prefix_equal(copying_differences(a.c, 1)->item[0].in, at_a.in));
	cr_assert(prefix_equal(copying_differences(b.c, 1)->item[0].in, at_b.in));
	cr_assert(prefix_equal(copying_differences(b.c, 1)->item[0].out, at_b.out));
}

Test(copying_rules, quotas_and_timeouts_may_differ_and_are_noted)
{
	struct mapping_spec at_a = tables_spec("10.1.0.0/24", "203.0.114.0/28"), at_b = at_a;

	at_b.sessions_per_user++;
	at_b.timeout_ticks[0] += 4000;
	add(&a, &at_a);
	add(&b, &at_b);
	connect_gateways(&a, &b);
	assert_none();
	cr_assert_eq(copying_differences(a.c, 1)->n_noted, 1);
	cr_assert(strstr(copying_differences(a.c, 1)->item[0].text, "sessions_per_user "));
	cr_assert(strstr(copying_differences(a.c, 1)->item[0].text, "; timeouts"));
}

Test(copying_rules, a_portmap_is_compared_with_where_it_leads)
{
	char text[64];

	connect_gateways(&a, &b);
	map_port(&a, of_a, 80);
	show();
	assert_one(COPYING_LACKING_THERE, COPYING_LACKING_HERE, "");
	cr_assert(copying_differences(a.c, 1)->item[0].portmap);
	map_port(&b, of_b, 81);
	show();
	snprintf(text, sizeof(text), "it leads to 10.0.0.7:81 there");
	assert_one(COPYING_DIFFERS, COPYING_DIFFERS, text);
	map_port(&b, of_b, 80);
	show();
	assert_none();
}

Test(copying_rules, a_mapping_that_drains_on_one_of_them_is_noted)
{
	struct mapping_spec spec = tables_spec("10.1.0.0/24", "203.0.114.0/28");

	add(&a, &spec);
	add(&b, &spec);
	cr_assert_eq(mappings_retire(a.m, spec.in, spec.out, 600), 0);
	changed(&a);
	connect_gateways(&a, &b);
	cr_assert_eq(copying_differences(a.c, 1)->n_matter, 0);
	cr_assert_eq(copying_differences(a.c, 1)->n_noted, 1);
}

static unsigned room; /* payloads */

static int keep_few(unsigned type, const void *payload, size_t length, void *arg)
{
	return room-- ? keep(type, payload, length, arg) : -ENOBUFS;
}

/* A step of a whole copy with room for one payload. */
static int one_step(struct copying_whole *w, struct told *t)
{
	room = 1;
	return copying_whole_step(w, 1, keep_few, t);
}

Test(copying_rules, a_list_of_many_parts_is_told_though_the_queue_is_full_and_a_pass_tells_another)
{
	const unsigned n = 9000;
	struct copying_whole *w;
	struct told t = { 0 };
	int r;

	for (unsigned i = 0; i < n; i++) {
		struct portmap m = {
			.in = { 0x0a000007 + i / 3000, (uint16_t)(1024 + i % 3000) },
			.proto = IPPROTO_UDP,
			.origin = PORTMAP_STATIC,
		};

		m.out.addr = mapping_out_addr(&mappings_get(a.m, a.number)->geo, 7 + i / 3000);
		m.out.port = (uint16_t)(mapping_port_lo(&mappings_get(a.m, a.number)->geo, 7 + i / 3000) + i % 3000);
		cr_assert_eq(portmaps_put(of_a, &m), 0);
	}
	changed(&a);
	pass(&a, &t);
	told_free(&t);
	cr_assert_eq(copying_whole_new(a.c, 1, &w), 0);
	for (unsigned step = 0; (r = one_step(w, &t)); step++) {
		cr_assert(r == 1 || r == -ENOBUFS, "%d", r);
		if (step != 3)
			continue;
		/* A newer list comes between the second part of the portmaps and the third. */
		map_port(&a, of_a, 9);
		pass(&a, &t);
	}
	copying_whole_free(w);
	pass(&b, &(struct told){ 0 });
	hear(&b, 1, &t);
	cr_assert_eq(copying_differences(b.c, 1)->n_matter, n + 1);
	cr_assert_eq(copying_differences(b.c, 1)->n, COPYING_DIFFERENCES);
}

Test(copying_rules, parts_that_cannot_be_are_refused)
{
	struct {
		struct wire_part part;
		struct wire_portmap portmap[2];
	} __attribute__((packed)) p = { 0 };
	static const struct {
		uint32_t first, total, n;
		int r;
	} rows[] = {
		{ 0, 1, 2, -EPROTO },
		{ 0, MAX_PORTMAPS + 1, 2, -EPROTO },
		{ 2, 1, 0, -EPROTO },
		{ 1, 3, 0, -EPROTO },
		{ UINT32_MAX, 2, 2, -EPROTO },
		{ 0, 3, 0, -EPROTO },
		{ 5, 9, 2, 0 /* no list */ },
		{ 0, 3, 2, 0 },
		{ 1, 3, 2, 0 /* not the next */ },
		{ 2, 4, 2, 0 /* another */ },
		{ 2, 3, 1, 0 /* complete */ },
		{ 0, 0, 0, 0 },
	};
	struct wire_part rules = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		p.part = (struct wire_part){ htobe32(rows[i].first), htobe32(rows[i].total) };
		cr_expect_eq(copying_apply(b.c, 1, WIRE_PORTMAPS, &p, sizeof(p.part) + rows[i].n * sizeof(p.portmap[0]),
					   &b.counts),
			     rows[i].r, "%zu", i);
	}
	for (size_t n = 0; n < sizeof(rules); n++)
		cr_expect_eq(copying_apply(b.c, 1, WIRE_RULES, &rules, n, &b.counts), -EPROTO);
	cr_expect_eq(copying_differences(b.c, 1)->n, 0, "the mappings are not shown yet");
	cr_expect_eq(copying_apply(b.c, 1, WIRE_RULES, &rules, sizeof(rules), &b.counts), 0);
	cr_expect_eq(copying_differences(b.c, 1)->n_matter, 1, "the mapping here");
}

/* As in a ring: the second of three has what the first has, and what the third has, too. */
Test(copying_rules, where_mappings_are_spread_over_gateways_one_that_another_has_may_be_missing)
{
	const struct copying_limits limits = { .min_age_s = 2, .interval_ms = 1000, .spread = true };
	static const uint64_t order[COPYING_PEERS + 1] = { 1, 2, 3 };
	struct mapping_spec own = tables_spec("10.1.0.0/24", "203.0.113.16/28"),
			    theirs = tables_spec("10.2.0.0/24", "203.0.113.32/28");
	struct gateway third;
	struct told t = { 0 };

	gateway_make(&third, NULL);
	cr_assert_eq(mappings_del_of(third.m, 0, copying_spec.in, copying_spec.out), 0);
	add(&third, &own);
	add(&third, &theirs);
	connect_gateways(&a, &b);
	add(&a, &own);
	copying_set_order(a.c, order);
	show();
	cr_expect_eq(copying_differences(a.c, 1)->n_matter, 1, "each has all, unless it is said");
	copying_set_limits(a.c, &limits);
	cr_expect_eq(copying_differences(a.c, 1)->n_matter, 1, "nobody has it but a");
	pass(&third, &t);
	whole(&third, &t);
	hear(&a, 2, &t);
	cr_expect_eq(copying_differences(a.c, 1)->n_matter, 0, "the third has it");
	cr_expect_eq(copying_differences(a.c, 1)->n_spread, 1);
	cr_expect_eq(copying_differences(a.c, 2)->n_matter, 0,
		     "what it lacks b has; what is missing here a need not have");
	cr_expect_eq(copying_differences(a.c, 2)->n_spread, 2);
	gateway_free(&third);
}
