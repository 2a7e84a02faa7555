/* SPDX-License-Identifier: BSD-2-Clause */
/* Extents of mappings that go; of the suite of test_mappings.c. */
#include <criterion/criterion.h>

#include <detnat/extents.h>

#include "mappings_fixture.h"

static void put_many(void)
{
	struct session s = { .ext_addr = 0xc6336407, .ext_port = 53, .proto = 17, .state = SESSION_UDP };

	for (unsigned i = 0; i < 1000; i++) {
		s.in_port = s.out_port = (uint16_t)(2000 + i);
		tables_put_beyond(m, tables_addr("10.0.0.0") + i % 512, &s, 100000);
	}
}

Test(mappings, deleted_give_back_the_extents_of_their_subscribers)
{
	uint64_t used;

	add("10.0.0.0/24", "1.1.1.0/32");
	add("10.0.1.0/24", "1.1.1.1/32");
	put_many();
	used = d.pool->used;
	cr_assert_eq(tables_beyond(&d), 1000);
	del("10.0.0.0/24", "1.1.1.0/32");
	tables_reclaim(m);
	cr_expect_eq(tables_beyond(&d), 488);
	cr_expect_eq(d.pool->used, used / 2);
	cr_expect_eq(mappings_subscriber(m, mappings_find_any(m, tables_addr("10.0.1.0")), 0)->sessions, 2);
	del("10.0.1.0/24", "1.1.1.1/32");
	open_again(); /* killed before it got to them */
	cr_expect_eq(d.pool->used, 0);
}

Test(mappings, that_replace_others_start_without_their_extents)
{
	static const char *const replacing[][2] = {
		{ "10.0.0.0/24", "1.1.1.7/32" },
		{ "10.0.7.0/24", "1.1.1.0/32" },
		{ "10.0.0.128/25", "1.1.2.0/32" },
	};
	const struct session udp = { .ext_addr = 0xc6336407,
				     .in_port = 5000,
				     .out_port = 1030,
				     .ext_port = 53,
				     .proto = 17,
				     .state = SESSION_UDP };

	for (unsigned i = 0; i < ARRAY_SIZE(replacing); i++) {
		struct mapping_spec spec = tables_spec(replacing[i][0], replacing[i][1]);
		struct error err = { 0 };
		struct mapping_job *job;
		int number;

		add("10.0.0.0/24", "1.1.1.0/32");
		tables_put_beyond(m, tables_addr("10.0.0.200"), &udp, 100000);
		cr_assert_eq(mappings_add_begin(m, &spec, &job, &err), 0);
		while (mappings_add_step(job, &err))
			;
		del("10.0.0.0/24", "1.1.1.0/32");
		cr_assert_eq(mappings_add_commit_with(job, &(struct mapping_handover){ 0 }), 0);
		number = mappings_find(m, spec.in, spec.out);
		cr_assert_geq(number, 0, "row %u", i);
		for (uint32_t n = 0; n < prefix_size(spec.in.plen); n++)
			cr_expect(tables_zero(mappings_subscriber(m, number, n), sizeof(struct subscriber)), "row %u",
				  i);
		mappings_del_of(m, 0, spec.in, spec.out);
		tables_reclaim(m);
		cr_expect_eq(d.pool->used, 0);
	}
}
