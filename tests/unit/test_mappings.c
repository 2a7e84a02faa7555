/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings on real maps, without programs: what the datapath would find. */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "tables/mapping_changes.h"
#include "tables/mapping_tables.h"

#include "mappings_fixture.h"

TestSuite(mappings, .init = mappings_set_up, .timeout = 300);

static int next_inside(uint32_t addr)
{
	uint64_t first, last;

	return mappings_next_inside(m, addr, &first, &last);
}

Test(mappings, are_found_by_every_address_of_theirs)
{
	int a = add("10.0.0.0/18", "1.1.1.0/30"), b = add("10.9.0.1/32", "1.1.2.1/32"),
	    c = add("9.0.0.0/24", "9.9.9.9/32");
	struct mapping_spec other = tables_spec("10.0.0.0/18", "1.1.1.4/30");

	cr_assert(a >= 0 && b >= 0 && c >= 0 && a != b && b != c && a != c);
	cr_assert_eq(mappings_find_any(m, tables_addr("10.0.63.255")), a);
	cr_assert_eq(mappings_find_any(m, tables_addr("10.0.64.0")), -ENOENT);
	cr_assert_eq(mappings_find_any(m, tables_addr("10.9.0.1")), b);
	cr_assert_eq(mappings_find_outside(m, tables_addr("1.1.1.3")), a);
	cr_assert_eq(mappings_find_outside(m, tables_addr("1.1.1.4")), -ENOENT);
	cr_assert_eq(mappings_find(m, other.in, other.out), -ENOENT);
	cr_assert_eq(next_inside(0), c);
	cr_assert_eq(next_inside(tables_addr("9.0.0.255")), c);
	cr_assert_eq(next_inside(tables_addr("9.0.1.0")), a);
	cr_assert_eq(next_inside(tables_addr("10.0.64.0")), b);
	cr_assert_eq(next_inside(tables_addr("10.9.0.2")), -1);
	cr_assert(tables_clean(m, a, false) && tables_clean(m, b, false) && tables_clean(m, c, false));

	const struct mapping *map = &d.mapping[a];

	cr_assert_eq(map->geo.ports_per_host, 15);
	cr_assert_eq(map->bucket_shift, 2);
	cr_assert_eq(map->first_bucket % 4, 0);
	cr_assert_eq(map->timeout_ticks[TIMEOUT_ICMP], 60);
	cr_assert_gt(d.global->epoch, 0);
}

/* Whether the hints name this mapping, or none where it is -1, for all of its addresses and no other. */
static bool hinted(int number, const char *in_first, const char *in_last, const char *out_first, const char *out_last)
{
	uint16_t leaf = number < 0 ? 0 : (uint16_t)(INDEX_LEAF | (unsigned)number);
	uint32_t in[] = { tables_addr(in_first), tables_addr(in_last) };
	uint32_t out[] = { tables_addr(out_first), tables_addr(out_last) };

	if ((uint16_t)d.fib->inside != leaf || (uint16_t)d.fib->outside != leaf)
		return false;
	return fib_hint_is(d.fib->inside, in[0]) && fib_hint_is(d.fib->inside, in[1]) &&
	       !fib_hint_is(d.fib->inside, in[0] - 1) && !fib_hint_is(d.fib->inside, in[1] + 1) &&
	       fib_hint_is(d.fib->outside, out[0]) && fib_hint_is(d.fib->outside, out[1]) &&
	       !fib_hint_is(d.fib->outside, out[0] - 1) && !fib_hint_is(d.fib->outside, out[1] + 1);
}

Test(mappings, the_largest_is_hinted_at)
{
	int small, large;

	cr_expect_eq(d.fib->inside, FIB_NO_HINT);
	small = add("10.9.0.1/32", "1.1.2.1/32");
	cr_expect(hinted(small, "10.9.0.1", "10.9.0.1", "1.1.2.1", "1.1.2.1"));
	large = add("10.0.0.0/18", "1.1.1.0/30");
	cr_expect(hinted(large, "10.0.0.0", "10.0.63.255", "1.1.1.0", "1.1.1.3"));
	add("9.0.0.0/24", "9.9.9.9/32");
	cr_expect(hinted(large, "10.0.0.0", "10.0.63.255", "1.1.1.0", "1.1.1.3"));
	/* A later agent, whose copy is empty at first. */
	memset(d.fib, 0, sizeof(*d.fib));
	open_again();
	cr_expect(hinted(large, "10.0.0.0", "10.0.63.255", "1.1.1.0", "1.1.1.3"));
	cr_assert_eq(del("9.0.0.0/24", "9.9.9.9/32"), 0);
	cr_assert_eq(del("10.0.0.0/18", "1.1.1.0/30"), 0);
	cr_expect(hinted(small, "10.9.0.1", "10.9.0.1", "1.1.2.1", "1.1.2.1"));
	cr_assert_eq(del("10.9.0.1/32", "1.1.2.1/32"), 0);
	cr_expect_eq(d.fib->inside, FIB_NO_HINT);
	cr_expect_eq(d.fib->outside, FIB_NO_HINT);
}

Test(mappings, the_range_of_pools_contains_all_of_them)
{
	cr_expect_gt(d.global->pool_first, d.global->pool_last, "there are none");
	add("10.0.0.0/24", "9.0.0.0/30");
	cr_expect(d.global->pool_first == tables_addr("9.0.0.0") && d.global->pool_last == tables_addr("9.0.0.3"));
	add("10.0.1.0/24", "1.1.1.0/32");
	add("10.0.2.0/24", "192.0.2.8/29");
	cr_expect(d.global->pool_first == tables_addr("1.1.1.0") && d.global->pool_last == tables_addr("192.0.2.15"));
	cr_assert_eq(del("10.0.2.0/24", "192.0.2.8/29"), 0);
	cr_expect_geq(d.global->pool_last, tables_addr("9.0.0.3"));
	open_again();
	cr_expect(d.global->pool_first == tables_addr("1.1.1.0") && d.global->pool_last == tables_addr("9.0.0.3"));
}

Test(mappings, cost_what_they_take_and_share_chunks)
{
	struct prefix all = { 0, 0 }, host = { 0x0a000000, 32 };

	cr_assert_eq(mappings_memory(host, 128), 64 + 128 * 16);
	cr_assert_eq(mappings_memory(all, 2048), (64 + 2048 * 16) * (1ULL << 32));
	add("10.0.0.0/24", "1.1.1.0/32");
	add("10.0.1.0/24", "1.1.1.1/32");
	cr_assert_eq(bucket_chunks(), 1);
	cr_assert_eq(subscriber_chunks(), 1);
	cr_assert_geq(mappings_table_memory(m), 12 << 20);
}

Test(mappings, that_no_machine_could_hold_are_refused)
{
	struct mapping_spec spec = tables_spec("0.0.0.0/0", "0.0.0.0/0");
	struct mapping_job *job = NULL;
	struct error err = { 0 };

	cr_assert_eq(mappings_add_begin(m, &spec, &job, &err), -ENOMEM);
	cr_assert(strstr(err.text, "0.0.0.0/0") && strstr(err.text, "MiB"), "%s", err.text);
	spec = tables_spec("8.0.0.0/6", "8.0.0.0/8");
	spec.session_slots = 2048;
	cr_assert_eq(mappings_add_begin(m, &spec, &job, &err), -ENOMEM);
	/* Fits the numbers, not the memory: 128 GB. */
	spec = tables_spec("8.0.0.0/9", "8.0.0.0/9");
	spec.session_slots = 1024;
	cr_assert_eq(mappings_add_begin(m, &spec, &job, &err), -ENOMEM);
	spec.session_slots = 33;
	cr_assert_eq(mappings_add_begin(m, &spec, &job, &err), -EINVAL);
	cr_assert_null(job);
	cr_assert_eq(mappings_reclaim_step(m), 0);
	add("10.0.0.0/24", "1.1.1.0/32");
	cr_assert_eq(d.mapping[0].first_bucket, 0);
}

Test(mappings, deleted_are_cleared_before_reuse)
{
	int a = add("10.0.0.0/24", "1.1.1.0/32"), b = add("10.0.1.0/24", "1.1.1.1/32");

	tables_clean(m, a, true);
	tables_clean(m, b, true);
	cr_assert_eq(del("10.0.0.0/24", "1.1.1.0/32"), 0);
	cr_assert_eq(del("10.0.0.0/24", "1.1.1.0/32"), -ENOENT);
	cr_assert_eq(mappings_find_any(m, tables_addr("10.0.0.1")), -ENOENT);
	cr_assert_eq(mappings_find_outside(m, tables_addr("1.1.1.0")), -ENOENT);
	cr_assert_null(mappings_get(m, a));
	tables_reclaim(m);
	a = add("10.0.2.0/24", "1.1.1.2/32");
	cr_assert_eq(d.mapping[a].first_bucket, 0);
	cr_assert(tables_clean(m, a, false));
	cr_assert(!tables_clean(m, b, false), "the neighbour keeps its sessions");
	del("10.0.2.0/24", "1.1.1.2/32");
	del("10.0.1.0/24", "1.1.1.1/32");
	tables_reclaim(m);
	cr_assert_eq(bucket_chunks() + subscriber_chunks(), 0);
}

Test(mappings, may_span_chunks)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/16", "1.1.0.0/20");
	struct mapping_spec small = tables_spec("11.0.0.0/30", "1.2.0.0/32");

	small.session_slots = 2048;
	tables_add(m, &small);

	int a = tables_add(m, &spec);

	cr_assert_eq(bucket_chunks(), 5);
	cr_assert_eq(subscriber_chunks(), 2);
	for (uint32_t i = 0; i < 65536;) {
		uint32_t run = mappings_run(m, a, i);
		struct subscriber *s = mappings_subscriber(m, a, i);
		struct bucket *b = mappings_buckets(m, a, i);

		cr_assert(run > 0 && i + run <= 65536);
		cr_assert_eq(mappings_subscriber(m, a, i + run - 1), s + run - 1);
		cr_assert_eq(mappings_buckets(m, a, i + run - 1), b + 4 * (run - 1));
		i += run;
	}
	cr_assert(tables_clean(m, a, true));
	mappings_del_of(m, 0, spec.in, spec.out);
	tables_reclaim(m);
	cr_assert_eq(bucket_chunks(), 1);
	cr_assert_eq(subscriber_chunks(), 1);
	a = tables_add(m, &spec);
	cr_assert(tables_clean(m, a, false));
}

Test(mappings, mappings_of_many_chunks_come_and_go_in_batches)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/15", "1.1.0.0/19");

	spec.session_slots = 128;
	tables_add(m, &spec);
	cr_assert_eq(bucket_chunks(), 32);
	cr_assert_eq(subscriber_chunks(), 2);
	mappings_del_of(m, 0, spec.in, spec.out);
	tables_reclaim(m);
	cr_assert_eq(bucket_chunks() + subscriber_chunks(), 0);
	tables_add(m, &spec);
	mappings_del_of(m, 0, spec.in, spec.out);
	open_again();
	cr_assert_eq(bucket_chunks() + subscriber_chunks(), 0);
}

Test(mappings, aborted_additions_leave_nothing)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/16", "1.1.0.0/20");
	struct error err = { 0 };

	for (int steps = 0; steps < 8; steps++) {
		struct mapping_job *job;

		cr_assert_eq(mappings_add_begin(m, &spec, &job, &err), 0);
		for (int i = 0; i < steps; i++)
			cr_assert_geq(mappings_add_step(job, &err), 0);
		mappings_add_abort(job);
		tables_reclaim(m);
		cr_assert_eq(bucket_chunks() + subscriber_chunks(), 0, "after %d steps", steps);
	}
}

/* The kernel refuses to take the chunks. */
Test(mappings, whose_tables_cannot_be_made_are_refused_and_leave_nothing)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/15", "1.1.0.0/19");
	int outer = dup(d.buckets), other = open("/dev/null", O_RDWR | O_CLOEXEC), r;
	struct error err = { "" };
	struct mapping_job *job;

	add("12.0.0.0/24", "2.0.0.0/28");
	spec.session_slots = 128;
	cr_assert_eq(dup2(other, d.buckets), d.buckets);
	cr_assert_eq(mappings_add_begin(m, &spec, &job, &err), 0);
	while ((r = mappings_add_step(job, &err)) > 0)
		;
	cr_assert_lt(r, 0);
	cr_assert(strstr(err.text, "cannot make session tables"), "%s", err.text);
	mappings_add_abort(job);
	tables_reclaim(m);
	cr_assert_eq(dup2(outer, d.buckets), d.buckets);
	cr_assert_eq(bucket_chunks(), 1);
	cr_assert_eq(subscriber_chunks(), 1);

	uint64_t before = mappings_table_memory(m);
	int number = tables_add(m, &spec);

	cr_assert_geq(number, 0);
	cr_assert_eq(bucket_chunks(), 33);
	cr_assert_eq(mappings_table_memory(m) - before, (32ULL << 23) + (2ULL << 22));
	cr_assert(tables_clean(m, number, false));
}

Test(mappings, prepared_side_by_side_share_what_one_has_made)
{
	struct mapping_spec specs[2] = { tables_spec("10.0.0.0/24", "1.1.0.0/28"),
					 tables_spec("10.0.1.0/24", "1.1.1.0/28") };
	struct mapping_job *job[2];
	struct error err = { 0 };

	cr_assert_eq(mappings_add_begin(m, &specs[0], &job[0], &err), 0);
	cr_assert_eq(mappings_add_begin(m, &specs[1], &job[1], &err), 0);
	cr_assert_eq(mappings_add_step(job[0], &err), 1);
	while (mappings_add_step(job[1], &err))
		;
	mappings_add_abort(job[0]);
	tables_reclaim(m);
	cr_assert_eq(mappings_add_commit_with(job[1], &(struct mapping_handover){ 0 }), 0);
	cr_assert_eq(bucket_chunks(), 1);
	cr_assert_eq(subscriber_chunks(), 1);
	cr_assert(tables_clean(m, mappings_find_any(m, tables_addr("10.0.1.0")), false));
}

Test(mappings, are_replaced_in_any_number)
{
	struct error err = { 0 };
	static struct mapping_job *job[MAX_MAPPINGS];

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < MAX_MAPPINGS; i++) {
			struct mapping_spec spec = tables_spec("10.0.0.1/32", "1.0.0.1/32");

			spec.in.base += i << 8;
			spec.out.base += (i << 8) + round;
			cr_assert_eq(mappings_add_begin(m, &spec, &job[i], &err), 0);
			while (mappings_add_step(job[i], &err))
				;
		}
		for (unsigned i = 0; round && i < MAX_MAPPINGS; i++) {
			struct mapping_spec old = tables_spec("10.0.0.1/32", "1.0.0.1/32");

			old.in.base += i << 8;
			old.out.base += (i << 8) + round - 1;
			cr_assert_eq(mappings_add_commit_with(job[i], &(struct mapping_handover){ 0 }), -EEXIST);
			cr_assert_eq(mappings_del_of(m, 0, old.in, old.out), 0);
		}
		for (unsigned i = 0; i < MAX_MAPPINGS; i++)
			cr_assert_eq(mappings_add_commit_with(job[i], &(struct mapping_handover){ 0 }), 0,
				     "round %u, mapping %u", round, i);
		for (unsigned i = 0; i < MAX_MAPPINGS; i++)
			cr_assert_geq(mappings_find_outside(m, tables_addr("1.0.0.1") + (i << 8) + round), 0);
	}
	tables_reclaim(m);
	open_again();
	cr_assert_geq(mappings_find_any(m, tables_addr("10.3.255.1")), 0);
}

Test(mappings, are_updated_in_place)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "1.1.1.0/32");
	int a = tables_add(m, &spec);
	uint32_t epoch = d.global->epoch;

	spec.sessions_per_user = 5;
	spec.timeout_ticks[TIMEOUT_UDP] = 1;
	cr_assert_eq(mappings_update(m, &spec), 0);
	cr_assert_eq(d.mapping[a].sessions_per_user, 5);
	cr_assert_eq(mappings_get(m, a)->timeout_ticks[TIMEOUT_UDP], 1);
	cr_assert_neq(d.global->epoch, epoch);
	spec.in.plen = 25;
	cr_assert_eq(mappings_update(m, &spec), -ENOENT);
}
