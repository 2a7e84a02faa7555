/* SPDX-License-Identifier: BSD-2-Clause */
/* What an agent finds in the tables that starts later; of the suite of test_mappings.c. */
#include <criterion/criterion.h>

#include <string.h>

#include "tables/mapping_changes.h"
#include "tables/mapping_tables.h"

#include "mappings_fixture.h"

Test(mappings, survive_a_restart_with_their_sessions)
{
	int a = add("10.0.0.0/18", "1.1.1.0/30"), b = add("10.1.0.0/20", "1.1.2.0/25");

	mappings_subscriber(m, a, 5)->refused = 7;
	mappings_buckets(m, b, 4095)[3].slot[7].key = 9;
	open_again();
	cr_assert_eq(mappings_find_any(m, tables_addr("10.0.1.1")), a);
	cr_assert_eq(mappings_find_outside(m, tables_addr("1.1.2.127")), b);
	cr_assert_eq(mappings_next(m, 0), a);
	cr_assert_eq(mappings_next(m, a + 1), b);
	cr_assert_eq(mappings_next(m, b + 1), -1);
	cr_assert_eq(mappings_subscriber(m, a, 5)->refused, 7);
	cr_assert_eq(mappings_buckets(m, b, 4095)[3].slot[7].key, 9);

	int c = add("10.2.0.0/20", "1.1.3.0/25");

	cr_assert(c != a && c != b);
	cr_assert(tables_clean(m, c, true));
	cr_assert_eq(mappings_buckets(m, b, 4095)[3].slot[7].key, 9);
	del("10.2.0.0/20", "1.1.3.0/25");
	open_again(); /* in the middle of the deletion */
	cr_assert_eq(add("10.2.0.0/20", "1.1.3.0/25"), c);
	cr_assert(tables_clean(m, c, false));
}

/* Nodes that a restart has unlinked are free at once, as no packet is in them any more. */
static void expect_settled(const struct prefix_index *x, const char *name)
{
	struct prefix_index *as_found = calloc(1, sizeof(*as_found));

	cr_assert_not_null(as_found);
	cr_assert_eq(prefix_index_open(as_found, x->nodes, false), 0, "%s", name);
	cr_expect_arr_eq(x->usage, as_found->usage, sizeof(as_found->usage), "%s", name);
	free(as_found);
}

/* What an agent leaves that is killed between two stores of an addition or deletion. */
Test(mappings, half_added_or_half_deleted_are_gone_after_a_restart)
{
	static const struct {
		const char *name;
		int index; /* 0: in, 1: out */
		uint32_t node, entry, n;
	} rows[] = {
		{ "no inside prefix", 0, 10, 0, 4 },
		{ "a part of the inside prefix", 0, 10, 3, 1 },
		{ "no outside prefix", 1, 1, 1, 1 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		int a = add("10.0.0.0/14", "1.1.0.0/24"), b = add("12.0.0.0/24", "2.0.0.0/24");
		struct index_node *nodes = rows[i].index ? d.out_nodes : d.in_nodes;

		mappings_subscriber(m, a, 77)->sessions = 1;
		mappings_subscriber(m, b, 77)->sessions = 2;
		memset(&nodes[rows[i].node].entry[rows[i].entry], 0, 2 * rows[i].n);
		open_again();
		cr_assert_eq(mappings_find_any(m, tables_addr("10.0.0.1")), -ENOENT, "%s", rows[i].name);
		cr_assert_eq(mappings_find_outside(m, tables_addr("1.1.0.1")), -ENOENT, "%s", rows[i].name);
		cr_assert_eq(mappings_subscriber(m, b, 77)->sessions, 2, "%s", rows[i].name);
		cr_assert_eq(bucket_chunks(), 1, "%s", rows[i].name);
		expect_settled(&m->in, rows[i].name);
		expect_settled(&m->out, rows[i].name);
		a = add("10.0.0.0/14", "1.1.0.0/24");
		cr_assert_eq(mappings_subscriber(m, a, 77)->sessions, 0, "%s", rows[i].name);
		del("10.0.0.0/14", "1.1.0.0/24");
		del("12.0.0.0/24", "2.0.0.0/24");
		tables_reclaim(m);
	}
}

Test(mappings, whose_records_make_no_sense_are_removed_at_a_restart)
{
	int a = add("10.0.0.0/24", "1.1.0.0/28"), b = add("12.0.0.0/24", "2.0.0.0/28");

	for (unsigned i = 0; i < 6; i++) {
		switch (i) {
		case 0:
			d.mapping[a].first_bucket = d.mapping[b].first_bucket;
			break;
		case 1:
			d.mapping[a].first_subscriber = 1U << 27;
			break;
		case 2:
			d.mapping[a].first_bucket = UINT32_MAX - 3;
			break;
		case 3:
			d.mapping[a].bucket_shift = 200;
			break;
		case 4:
			d.mapping[a].geo.in_plen = 33;
			break;
		case 5:
			d.mapping[a].geo.ports_inverse++;
			break;
		}
		open_again();
		/* Of two that claim the same tables, the one looked at first has them. */
		cr_assert_eq(mappings_find_any(m, tables_addr(i ? "10.0.0.1" : "12.0.0.1")), -ENOENT, "case %u", i);
		mappings_del_of(m, 0, tables_spec("10.0.0.0/24", "1.1.0.0/28").in,
				tables_spec("10.0.0.0/24", "1.1.0.0/28").out);
		mappings_del_of(m, 0, tables_spec("12.0.0.0/24", "2.0.0.0/28").in,
				tables_spec("12.0.0.0/24", "2.0.0.0/28").out);
		tables_reclaim(m);
		a = add("10.0.0.0/24", "1.1.0.0/28");
		b = add("12.0.0.0/24", "2.0.0.0/28");
	}
}
