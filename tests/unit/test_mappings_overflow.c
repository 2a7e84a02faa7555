/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions beyond the slots, of mappings that go; of the suite of test_mappings.c. */
#include <criterion/criterion.h>

#include <bpf/bpf.h>

#include "mappings_fixture.h"

static const struct session udp = {
	.ext_addr = 0xc6336407, .in_port = 5000, .out_port = 1030, .ext_port = 53, .proto = 17, .state = SESSION_UDP
};

Test(mappings, deleted_take_their_overflow_sessions_along)
{
	add("10.0.0.0/24", "1.1.1.0/32");
	add("10.0.1.0/24", "1.1.1.1/32");
	for (unsigned i = 0; i < 1000; i++) {
		struct session s = udp;

		s.in_port = s.out_port = (uint16_t)(2000 + i);
		tables_put_overflow(m, tables_addr("10.0.0.0") + i % 512, &s, 100000);
	}
	cr_assert_eq(d.global->overflow, 1000);
	cr_assert_eq(tables_overflow_entries(&d), 2000);
	del("10.0.0.0/24", "1.1.1.0/32");
	tables_reclaim(m);
	cr_assert_eq(d.global->overflow, 488);
	cr_assert_eq(tables_overflow_entries(&d), 976);
	cr_assert_eq(mappings_subscriber(m, mappings_find_any(m, tables_addr("10.0.1.0")), 0)->overflow, 2);
	del("10.0.1.0/24", "1.1.1.1/32");
	open_again(); /* killed before it got to them */
	cr_assert_eq(d.global->overflow, 0);
	cr_assert_eq(tables_overflow_entries(&d), 0);
}

/* Entries of the way in alone, as an agent leaves that is killed between two deletions. */
static void put_orphan(uint16_t port)
{
	const struct geometry *g = &mappings_get(m, mappings_find_any(m, tables_addr("10.0.0.1")))->geo;
	const struct overflow_key key = overflow_key_out(g, tables_addr("10.0.0.1"), port, 1, 0, 17);
	const struct overflow_session value = { .in_port = port };

	cr_assert_eq(bpf_map_update_elem(d.overflow, &key, &value, BPF_NOEXIST), 0);
}

Test(mappings, deleted_take_half_overflow_sessions_along)
{
	add("10.0.0.0/24", "1.1.1.0/32");
	tables_put_overflow(m, tables_addr("10.0.0.1"), &udp, 100000);
	for (uint16_t port = 2000; port < 5000; port++)
		put_orphan(port);
	del("10.0.0.0/24", "1.1.1.0/32");
	tables_reclaim(m);
	cr_assert_eq(tables_overflow_entries(&d), 0);
}

Test(mappings, that_replace_others_start_without_their_overflow_sessions)
{
	static const char *const replacing[][2] = {
		{ "10.0.0.0/24", "1.1.1.7/32" },
		{ "10.0.7.0/24", "1.1.1.0/32" },
		{ "10.0.0.128/25", "1.1.2.0/32" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(replacing); i++) {
		struct mapping_spec spec = tables_spec(replacing[i][0], replacing[i][1]);
		struct error err = { 0 };
		struct mapping_job *job;

		add("10.0.0.0/24", "1.1.1.0/32");
		tables_put_overflow(m, tables_addr("10.0.0.200"), &udp, 100000);
		cr_assert_eq(mappings_add_begin(m, &spec, &job, &err), 0);
		while (mappings_add_step(job, &err))
			;
		del("10.0.0.0/24", "1.1.1.0/32");
		cr_assert_eq(mappings_add_commit(job), 0);
		cr_assert_eq(tables_overflow_entries(&d), 0, "row %u", i);
		mappings_del(m, spec.in, spec.out);
		tables_reclaim(m);
		cr_assert_eq(d.global->overflow, 0);
	}
}
