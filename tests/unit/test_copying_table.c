/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of mappings that gateways show each other, as long as it may be. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "copying_fixture.h"

#define HOST	7U
#define AT_ONCE WIRE_AT_ONCE(sizeof(struct wire_part), sizeof(struct wire_mapping))

static void fill(struct gateway *g, unsigned n)
{
	struct mapping_spec spec = copying_default_spec();

	for (unsigned i = 1; i < n; i++) {
		spec.in = (struct prefix){ .base = 0x0b000000 + i, .plen = 32 };
		spec.out = (struct prefix){ .base = 0xc6120000 + i, .plen = 32 };
		tables_add(g->m, &spec);
	}
	copying_mappings_changed(g->c);
}

static void set_up(void)
{
	gateway_make(&a, NULL);
	gateway_make(&b, NULL);
}

TestSuite(copying_table, .init = set_up, .fini = pair_free, .timeout = 300);

Test(copying_table, as_many_mappings_as_there_may_be_are_exchanged)
{
	struct told t = { 0 };
	struct copying_table_report report;
	struct prefix in, out;
	enum copying_difference why;

	fill(&a, MAX_MAPPINGS);
	fill(&b, MAX_MAPPINGS);
	connect_gateways(&a, &b);
	copying_report(b.c, 1, &report);
	cr_assert_eq(report.common, MAX_MAPPINGS);
	cr_assert_eq(report.lacking, 0);
	cr_assert_not(copying_difference(b.c, 1, 0, &in, &out, &why));
	open_flow(&a, HOST, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	passes(&a, &t);
	hear(&b, 1, &t);
	cr_assert_eq(copying_held(b.c, 1), 1);
}

Test(copying_table, a_table_that_fits_has_no_parts)
{
	struct told t = { 0 };

	fill(&a, AT_ONCE);
	pass(&a, &t);
	cr_assert_eq(t.payload[0].type, WIRE_MAPPINGS);
	cr_assert_eq(t.payload[0].length, AT_ONCE * sizeof(struct wire_mapping));
	told_free(&t);
}

Test(copying_table, a_whole_copy_goes_on_with_the_part_that_was_not_taken)
{
	struct told t = { 0 };
	struct copying_whole *w;

	fill(&a, AT_ONCE + 1);
	pass(&a, &t);
	told_free(&t);
	cr_assert_eq(copying_whole_new(a.c, 1, &w), 0);
	t.refuse = 1;
	cr_assert_eq(copying_whole_step(w, 1000, keep, &t), -ENOBUFS);
	t.room = 1;
	cr_assert_eq(copying_whole_step(w, 1000, keep, &t), -ENOBUFS);
	t.room = 0;
	while (copying_whole_step(w, 1000, keep, &t))
		;
	copying_whole_free(w);
	cr_assert_eq(t.payload[0].type, WIRE_MAPPINGS_PART);
	cr_assert_eq(t.payload[1].type, WIRE_MAPPINGS_PART);
	cr_assert_eq(((struct wire_part *)t.payload[0].data)->first, 0);
	cr_assert_eq(be32toh(((struct wire_part *)t.payload[1].data)->first), AT_ONCE);
	cr_assert_neq(t.payload[2].type, WIRE_MAPPINGS_PART);
	told_free(&t);
}

/* A part of a table with one mapping each, numbered and addressed by its place. */
struct part {
	struct wire_part part;
	struct wire_mapping w;
} __attribute__((packed));

static struct part part_of(uint32_t first, uint32_t total)
{
	return (struct part){
		.part = { htobe32(first), htobe32(total) },
		.w = { .number = htobe16((uint16_t)first), .in_plen = 32, .out_plen = 32, .in_base = htobe32(first) },
	};
}

static int take(uint32_t first, uint32_t total, struct copying_table_report *ret)
{
	struct part p = part_of(first, total);

	return copying_mappings_part(b.c, 1, &p, sizeof(p), ret);
}

Test(copying_table, parts_replace_the_table_once_all_have_come)
{
	struct copying_table_report report;

	connect_gateways(&a, &b);
	cr_assert_eq(take(0, 3, &report), 1);
	cr_assert_eq(take(1, 3, &report), 1);
	cr_assert_eq(take(1, 3, &report), 1, "it continues nothing");
	cr_assert_eq(take(2, 4, &report), 1, "nor does a part of another table");
	copying_report(b.c, 1, &report);
	cr_assert_eq(report.common, 1);
	cr_assert_eq(take(2, 3, &report), 0);
	cr_assert_eq(report.lacking, 4);
	cr_assert_eq(take(2, 3, &report), 1, "nothing is begun");
	cr_assert_eq(take(0, 2, &report), 1);
	cr_assert_eq(take(0, 2, &report), 1, "it begins again");
	cr_assert_eq(take(1, 2, &report), 0);
	cr_assert_eq(report.lacking, 3);
}

Test(copying_table, parts_that_no_honest_peer_sends_are_malformed)
{
	struct copying_table_report report;
	struct part p = part_of(0, 2);

	connect_gateways(&a, &b);
	cr_assert_eq(copying_mappings_part(b.c, 1, &p, 0, &report), -EPROTO);
	cr_assert_eq(copying_mappings_part(b.c, 1, &p, sizeof(p.part), &report), -EPROTO, "an empty part");
	cr_assert_eq(copying_mappings_part(b.c, 1, &p, sizeof(p) - 1, &report), -EPROTO);
	cr_assert_eq(take(0, MAX_MAPPINGS + 1, &report), -EPROTO);
	cr_assert_eq(take(1, 1, &report), -EPROTO);
	cr_assert_eq(take(UINT32_MAX, UINT32_MAX, &report), -EPROTO);
	cr_assert_eq(take(0, 2, &report), 1);
	p = part_of(1, 2);
	p.w.number = 0;
	cr_assert_eq(copying_mappings_part(b.c, 1, &p, sizeof(p), &report), -EPROTO, "a number twice");
	copying_report(b.c, 1, &report);
	cr_assert_eq(report.common, 1, "the table before is still valid");
}
