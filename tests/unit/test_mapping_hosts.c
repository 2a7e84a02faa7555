/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of subscribers that are IPv6 prefixes: second records, lines of hosts, the index and the set of prefixes.
 */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include <detnat/drains.h>

#include "base/virtual6.h"
#include "tables/mapping_drains.h"
#include "tables/mapping_hosts.h"

#include "mappings_fixture.h"

TestSuite(mapping_hosts, .init = mappings_set_up, .timeout = 120);

#define WELL_KNOWN 0x0064ff9b00000000ULL
#define INSIDE	   0x20010db840000000ULL /* 2001:db8:4000::, whose virtual addresses begin at 224.0.0.0 */

/* Subscribers of /56 in a prefix that begins so many of them behind INSIDE. */
static struct mapping_spec spec_at(uint32_t first, uint8_t plen, const char *out, unsigned hosts)
{
	const struct address6 prefix = { .hi = WELL_KNOWN };
	struct mapping_spec spec = tables_spec("224.0.0.0/4", out);

	spec.in = (struct prefix){ VIRTUAL_BASE + first, plen };
	spec.six = (struct record6){ .in_hi = INSIDE + ((uint64_t)first << 8),
				     .subscriber_plen = 56,
				     .hosts = (uint8_t)hosts,
				     .lowest_mtu = LOWEST_IPV6_MTU };
	record6_set_prefix(&spec.six, &prefix, 96);
	return spec;
}

static int add6(uint32_t first, uint8_t plen, const char *out)
{
	struct mapping_spec spec = spec_at(first, plen, out, 16);

	return tables_add(m, &spec);
}

static int del6(uint32_t first, uint8_t plen, const char *out)
{
	struct mapping_spec spec = spec_at(first, plen, out, 16);

	return mappings_del_of(m, 0, spec.in, spec.out);
}

static const struct index6 *index_now(void)
{
	return &d.index6->index[d.index6->current];
}

/* The number of the mapping that the datapath finds for a subscriber of /56, or -1; its virtual address is checked. */
static int found(uint32_t subscriber)
{
	const uint64_t hi = INSIDE + ((uint64_t)subscriber << 8);
	int number = -1;

	for (unsigned i = 0; i < 2; i++) {
		uint64_t at = i ? hi | 0xff : hi;
		const struct range6 *r = index6_search(index_now(), at);
		int now = r->leaf && range6_has(r, at) ? (int)(r->leaf & ~INDEX_LEAF) : -1;

		cr_assert(!i || now == number, "both ends of subscriber %u", subscriber);
		cr_assert(now < 0 || range6_virtual(r, at) == VIRTUAL_BASE + subscriber);
		number = now;
	}
	return number;
}

static struct host6 *line(int number, uint32_t subscriber, uint32_t host)
{
	const struct mapping *map = mappings_get(m, number);

	return chunks_at(&m->hosts, host6_number(&d.record6[map->record6], map->host_shift, subscriber, host));
}

static bool has_prefix(uint8_t plen, uint64_t hi)
{
	struct prefix6_key key = { .plen = plen };
	uint32_t value;

	hi = be64_number(hi);
	memcpy(key.addr, &hi, sizeof(hi));
	return !bpf_map_lookup_elem(d.prefixes6, &key, &value);
}

Test(mapping_hosts, nothing_is_there_without_ipv6)
{
	add("10.0.0.0/18", "1.1.1.0/30");
	open_again();
	cr_assert(!datapath_six_has(&d));
	cr_assert_null(d.index6);
	cr_assert_null(m->hosts.base);
}

static void not_here(uint32_t base, unsigned plen, int tenant, unsigned number, void *arg)
{
	cr_assert_fail("%08x is in the index of IPv4", base);
}

Test(mapping_hosts, a_mapping_has_a_second_record_lines_and_a_range)
{
	int number = add6(0, 20, "1.1.0.0/24");
	const struct mapping *map = mappings_get(m, number);
	const struct record6 *six = &d.record6[map->record6];

	cr_assert_eq(map->kind, MAPPING_NAT64);
	cr_assert(map->geo.flags & MAPPING_IPV6);
	cr_assert_eq(map->host_shift, 4);
	cr_assert_eq(map->record6, (uint32_t)number);
	cr_assert_eq(six->in_hi, INSIDE);
	cr_assert(six->flags & RECORD6_WELL_KNOWN);
	cr_assert_eq(found(0), number);
	cr_assert_eq(found(4095), number);
	cr_assert_eq(found(4096), -1);
	cr_assert_eq(index_now()->hint.leaf, INDEX_LEAF | number);
	cr_assert(has_prefix(96, WELL_KNOWN));
	line(number, 4095, 15)->lo = 1;
	/* The programs of IPv4 find none of its addresses. */
	prefix_index_walk(&m->in, not_here, NULL);
	cr_assert_eq(d.fib->inside, FIB_NO_HINT);
	cr_assert_eq(mappings_find_any(m, VIRTUAL_BASE + 77), number);
	cr_assert_eq(mappings_find_outside(m, tables_addr("1.1.0.255")), number);
}

Test(mapping_hosts, lines_are_as_many_as_hosts_rounded_up)
{
	static const struct {
		unsigned hosts, shift;
	} rows[] = { { 1, 0 }, { 2, 1 }, { 3, 2 }, { 33, 6 }, { 64, 6 } };

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mapping_spec spec = spec_at(256 * i, 24, "1.1.0.0/28", rows[i].hosts);
		int number;

		spec.out.base += 16 * i;
		number = tables_add(m, &spec);
		cr_assert_eq(mappings_get(m, number)->host_shift, rows[i].shift, "%u", rows[i].hosts);
		cr_assert_eq(m->table[number]->hosts.count, 256ULL << rows[i].shift);
	}
}

Test(mapping_hosts, nested_prefixes_are_cut_into_disjoint_ranges)
{
	int outer = add6(0, 20, "1.1.0.0/24"), half = add6(2048, 21, "1.1.1.0/25"), one = add6(100, 32, "1.1.2.0/32"),
	    last = add6(4095, 32, "1.1.2.1/32");

	cr_assert_eq(index_now()->n, 5);
	for (uint32_t i = 1; i < index_now()->n; i++)
		cr_assert_lt(index_now()->range[i - 1].last, index_now()->range[i].first);
	for (uint32_t i = 0; i < 4096; i++)
		if (found(i) != (i == 100 ? one : i == 4095 ? last : i >= 2048 ? half : outer))
			cr_assert_fail("subscriber %u", i);
	del6(2048, 21, "1.1.1.0/25");
	for (uint32_t i = 0; i < 4096; i++)
		if (found(i) != (i == 100 ? one : i == 4095 ? last : outer))
			cr_assert_fail("subscriber %u, once the half is gone", i);
}

Test(mapping_hosts, a_nested_mapping_without_translation_has_no_range)
{
	struct mapping_spec spec = spec_at(7, 32, "1.1.1.0/32", 16);
	int outer = add6(0, 24, "1.1.0.0/28");

	spec.out = PREFIX_NONE;
	tables_add(m, &spec);
	cr_assert_eq(found(6), outer);
	cr_assert_eq(found(7), -1);
	cr_assert_eq(found(8), outer);
}

Test(mapping_hosts, a_restart_loses_nothing)
{
	int outer = add6(0, 20, "1.1.0.0/24"), inner = add6(2048, 24, "1.1.1.0/28");
	struct indices6 before;

	line(outer, 5, 3)->lo = 77;
	line(inner, 255, 15)->lo = 78;
	mappings_buckets(m, inner, 9)[3].slot[7].key = 9;
	before = *d.index6;
	open_again();
	cr_assert_arr_eq(&before, d.index6, sizeof(before), "the index is as it was");
	cr_assert_eq(mappings_find_any(m, VIRTUAL_BASE + 5), outer);
	cr_assert_eq(mappings_find_any(m, VIRTUAL_BASE + 2048), inner);
	cr_assert_eq(line(outer, 5, 3)->lo, 77);
	cr_assert_eq(line(inner, 255, 15)->lo, 78);
	cr_assert_eq(mappings_buckets(m, inner, 9)[3].slot[7].key, 9);
	/* Further lines are others'. */
	struct mapping_spec spec = spec_at(8192, 24, "1.1.2.0/28", 16);
	int third = tables_add(m, &spec);

	for (uint32_t i = 0; i < 256; i++)
		cr_assert(tables_zero(line(third, i, 0), 16 * sizeof(struct host6)));
}

Test(mapping_hosts, without_its_range_in_the_index_a_mapping_was_half_added)
{
	int number = add6(0, 20, "1.1.0.0/24"), other = add6(8192, 24, "1.1.1.0/28");

	d.index6->index[d.index6->current].range[0] = d.index6->index[d.index6->current].range[1];
	d.index6->index[d.index6->current].range[1].leaf = 0;
	line(number, 1, 1)->lo = 5;
	open_again();
	cr_assert_eq(mappings_find_any(m, VIRTUAL_BASE), -ENOENT);
	cr_assert_eq(mappings_find_outside(m, tables_addr("1.1.0.1")), -ENOENT);
	cr_assert_eq(found(0), -1);
	cr_assert_eq(found(8192), other);
	number = add6(0, 20, "1.1.0.0/24");
	cr_assert_eq(line(number, 1, 1)->lo, 0);
}

Test(mapping_hosts, records_that_make_no_sense_are_removed_at_a_restart)
{
	for (unsigned i = 0; i < 7; i++) {
		int number = add6(0, 24, "1.1.0.0/28");
		struct record6 *r = &d.record6[number];

		switch (i) {
		case 0:
			r->nat64_plen = 95;
			break;
		case 1:
			r->subscriber_plen = 65;
			break;
		case 2:
			r->hosts = 0;
			break;
		case 3:
			r->hosts = 33;
			break;
		case 4:
			r->first_host = 1U << 29;
			break;
		case 5:
			r->in_hi++;
			break;
		case 6:
			d.mapping[number].record6 = MAX_RECORDS6;
			break;
		}
		open_again();
		cr_assert_eq(mappings_find_any(m, VIRTUAL_BASE), -ENOENT, "case %u", i);
		cr_assert_eq(mappings_find_outside(m, tables_addr("1.1.0.1")), -ENOENT, "case %u", i);
	}
}

Test(mapping_hosts, a_deleted_mapping_gives_its_lines_back_clean)
{
	int number = add6(0, 20, "1.1.0.0/24");

	add6(8192, 24, "1.1.1.0/28");
	memset(line(number, 9, 0), 0xff, 16 * sizeof(struct host6));
	del6(0, 20, "1.1.0.0/24");
	cr_assert_eq(found(9), -1);
	tables_reclaim(m);
	number = add6(0, 20, "1.1.0.0/24");
	cr_assert(tables_zero(line(number, 9, 0), 16 * sizeof(struct host6)));
}

Test(mapping_hosts, a_nat64_prefix_stays_as_long_as_a_mapping_has_it)
{
	struct mapping_spec own = spec_at(8192, 24, "1.1.2.0/28", 16);
	const struct address6 prefix = { .hi = 0x20010db800640000ULL };

	record6_set_prefix(&own.six, &prefix, 48);
	add6(0, 24, "1.1.0.0/28");
	add6(256, 24, "1.1.1.0/28");
	tables_add(m, &own);
	cr_assert(has_prefix(96, WELL_KNOWN));
	cr_assert(has_prefix(48, prefix.hi));
	del6(0, 24, "1.1.0.0/28");
	cr_assert(has_prefix(96, WELL_KNOWN));
	del6(256, 24, "1.1.1.0/28");
	cr_assert(!has_prefix(96, WELL_KNOWN));
	/* What a killed agent has left is removed, and what it has not entered is entered. */
	struct prefix6_key key = { .plen = 40 }, first;

	cr_assert_eq(bpf_map_get_next_key(d.prefixes6, NULL, &first), 0);
	bpf_map_delete_elem(d.prefixes6, &first);
	bpf_map_update_elem(d.prefixes6, &key, &(uint32_t){ 1 }, BPF_ANY);
	tables_reclaim(m);
	open_again();
	cr_assert(has_prefix(48, prefix.hi));
	cr_assert(!has_prefix(40, 0));
}

Test(mapping_hosts, the_last_one_takes_the_maps_along_at_the_next_start)
{
	add("10.0.0.0/18", "1.1.1.0/30");
	add6(0, 24, "1.1.0.0/28");
	del6(0, 24, "1.1.0.0/28");
	tables_reclaim(m);
	open_again();
	cr_assert(!datapath_six_has(&d));
	cr_assert_neq(add6(0, 24, "1.1.0.0/28"), -ENOENT);
	cr_assert(datapath_six_has(&d));
}

Test(mapping_hosts, a_change_of_several_steps_is_seen_as_a_whole)
{
	int outer = add6(0, 20, "1.1.0.0/24");
	struct mapping_spec inner = spec_at(0, 24, "1.1.1.0/28", 16);
	uint32_t before = d.index6->current;

	mappings_begin(m);
	add6(8192, 24, "1.1.2.0/28");
	add6(16384, 24, "1.1.3.0/28");
	tables_add(m, &inner);
	cr_assert_eq(d.index6->current, before);
	cr_assert_eq(found(8192), -1);
	mappings_release(m);
	cr_assert_neq(d.index6->current, before, "exchanged once");
	cr_assert_neq(found(8192), -1);
	cr_assert_neq(found(16384), -1);
	cr_assert_neq(found(0), outer);
	cr_assert_eq(found(256), outer);
}

Test(mapping_hosts, what_a_change_holds_is_left_out)
{
	int outer = add6(0, 20, "1.1.0.0/24"), inner = add6(256, 24, "1.1.1.0/28");

	mappings_hold(m, 0, (struct prefix){ VIRTUAL_BASE + 256, 24 });
	mappings_hold(m, 0, (struct prefix){ VIRTUAL_BASE + 512, 24 });
	/* A part of a mapping, from its first subscriber on. */
	cr_assert_gt(add6(1024, 24, "1.1.2.0/28"), inner);
	mappings_hold(m, 0, (struct prefix){ VIRTUAL_BASE + 1024, 25 });
	cr_assert_eq(found(1024), -1);
	cr_assert_eq(found(1024 + 128), inner + 1);
	cr_assert_eq(found(255), outer);
	cr_assert_eq(found(256), -1);
	cr_assert_eq(found(512), -1);
	cr_assert_eq(found(768), outer);
	mappings_release(m);
	cr_assert_eq(found(256), inner);
	cr_assert_eq(found(512), outer);
}

/* The ranges of the index are 256. */
Test(mapping_hosts, more_pieces_than_the_index_has_are_refused)
{
	struct mapping_spec spec = spec_at(0, 20, "1.1.0.0/24", 1);
	struct error err = { 0 };
	struct mapping_job *job;
	int last = tables_add(m, &spec);

	/* One in the middle of the outer prefix makes two pieces more, those at its ends one. */
	for (uint32_t i = 0; i < 127; i++) {
		spec = spec_at(1 + 2 * i, 32, "2.0.0.0/32", 1);
		spec.out.base += i;
		last = tables_add(m, &spec);
	}
	cr_assert_eq(index_now()->n, 255);
	spec = spec_at(1000, 32, "3.0.0.0/32", 1);
	cr_assert_eq(mappings_add_begin(m, &spec, &job, &err), 0);
	while (mappings_add_step(job, &err) > 0)
		;
	cr_assert_eq(mappings_add_commit_with(job, &(struct mapping_handover){ 0 }), -ENOSPC);
	mappings_add_abort(job);
	cr_assert_eq(index_now()->n, 255);
	cr_assert_eq(found(1 + 2 * 126), last);
	spec = spec_at(4095, 32, "3.0.0.0/32", 1);
	cr_assert_eq(found(4095), 0);
	last = tables_add(m, &spec);
	cr_assert_eq(index_now()->n, 256);
	cr_assert_eq(found(4095), last);
	cr_assert_eq(found(4094), 0);
}

Test(mapping_hosts, specifications_out_of_range_are_refused)
{
	for (unsigned i = 0; i < 11; i++) {
		struct mapping_spec spec = spec_at(0, 24, "1.1.0.0/28", 16);
		struct mapping_job *job;
		struct error err = { 0 };

		switch (i) {
		case 0:
			spec.six.hosts = 0;
			break;
		case 1:
			spec.six.hosts = 65;
			break;
		case 2:
			spec.six.subscriber_plen = 47;
			break;
		case 3:
			spec.six.nat64_plen = 33;
			break;
		case 4:
			spec.six.nat64[1] = be64_number(1);
			break;
		case 5:
			spec.six.lowest_mtu = 1279;
			break;
		case 6:
			spec.in.base = 10U << 24;
			break;
		case 7:
			spec.six.in_hi |= 1 << 8;
			break;
		case 8:
			spec.six.lowest_mtu = LOWEST_IPV6_MTU_MAX + 1;
			break;
		case 9:
			spec.six.subscriber_plen = 65;
			break;
		case 10:
			spec.in.plen = 7;
			spec.out = (struct prefix){ tables_addr("16.0.0.0"), 12 };
			break;
		}
		cr_assert_eq(mappings_add_begin(m, &spec, &job, &err), -EINVAL, "case %u", i);
		cr_assert(!datapath_six_has(&d));
	}
}

Test(mapping_hosts, hosts_and_the_lowest_mtu_change_in_place)
{
	int number = add6(0, 24, "1.1.0.0/28");
	struct mapping_spec spec = spec_at(0, 24, "1.1.0.0/28", 12);

	spec.six.lowest_mtu = 1400;
	cr_assert_eq(mappings_update(m, &spec), 0);
	cr_assert_eq(d.record6[number].hosts, 12);
	cr_assert_eq(d.record6[number].lowest_mtu, 1400);
	open_again();
	cr_assert_eq(mappings_find_any(m, VIRTUAL_BASE), number);
}

/* A host's line says its address; a number that the mapping has no line for is nobody's. */
Test(mapping_hosts, the_address_of_a_host_is_in_its_line)
{
	int number = add6(0, 24, "1.1.0.0/28");
	const struct mapping *map = mappings_get(m, number);
	struct address6 a;

	*line(number, 7, 3) = (struct host6){ .lo = be64_number(0x1234), .hi = 0x12 };
	*line(number, 8, 0) = (struct host6){ .lo = be64_number(0x99), .hi = 0x34 };
	a = mappings_host(m, map, VIRTUAL_BASE + 7, 3);
	cr_assert(a.hi == (INSIDE | 0x712) && a.lo == 0x1234);
	/* Behind its own lines those of the next subscriber begin. */
	a = mappings_host(m, map, VIRTUAL_BASE + 7, 16);
	cr_assert(a.hi == (INSIDE | 0x700) && !a.lo);
	cr_assert_eq(mappings_hosts(m, map), 16);
}

/* An address outside is known by the prefix of any mapping, and by no other. */
Test(mapping_hosts, addresses_in_a_nat64_prefix_are_known)
{
	const struct address6 in = { .hi = WELL_KNOWN, .lo = 0xc6336407 },
			      other = { .hi = WELL_KNOWN + 1, .lo = 0xc6336407 };
	int number = add6(0, 24, "1.1.0.0/28");
	struct address6 ext;
	uint32_t addr = 0;

	cr_assert(mappings_ext6_is(m, &in, &addr));
	cr_assert_eq(addr, 0xc6336407);
	cr_assert_not(mappings_ext6_is(m, &other, &addr));
	ext = mappings_ext6(m, mappings_get(m, number), 0xc6336407);
	cr_assert(address6_equal(&ext, &in));
}

/* A mapping that drains still has sessions, whose packets come by its prefix, also after a restart. */
Test(mapping_hosts, a_mapping_that_drains_keeps_its_prefix_and_its_subscribers)
{
	int number;

	d.drains = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "drains", sizeof(struct drain_key), sizeof(struct drain_entry),
				  64,
				  &(struct bpf_map_create_opts){ .sz = sizeof(struct bpf_map_create_opts),
								 .map_flags = BPF_F_NO_PREALLOC });
	cr_assert_geq(d.drains, 0);
	number = add6(0, 24, "1.1.0.0/28");
	cr_assert_eq(mappings_retire(m, (struct prefix){ VIRTUAL_BASE, 24 },
				     (struct prefix){ tables_addr("1.1.0.0"), 28 }, 600),
		     0);
	cr_assert_eq(found(3), number);
	cr_assert(has_prefix(96, WELL_KNOWN));
	/* Another with the same prefix goes: it stays for the one that drains. */
	add6(256, 24, "1.1.1.0/28");
	cr_assert_eq(found(3), number, "the ranges are in their order");
	del6(256, 24, "1.1.1.0/28");
	cr_assert(has_prefix(96, WELL_KNOWN));
}

/* Programs see a change of the index by the epoch, and nothing else of the agent's changes it. */
Test(mapping_hosts, the_index_is_right_as_long_as_nobody_changes_it)
{
	uint32_t epoch;

	add6(0, 24, "1.1.0.0/28");
	cr_assert(mappings_index6_right(m));
	d.index6->index[d.index6->current].range[0].virt++;
	cr_assert_not(mappings_index6_right(m));
	epoch = d.table->globals.epoch;
	mappings_index6_changed(m);
	cr_assert(mappings_index6_right(m));
	cr_assert_neq(d.table->globals.epoch, epoch);
	epoch = d.table->globals.epoch;
	mappings_index6_changed(m);
	cr_assert_eq(d.table->globals.epoch, epoch, "it is as it was");
	cr_assert_eq(found(0), 0);
}

/* They are searched by their prefixes, whose virtual addresses may be in another order. */
Test(mapping_hosts, ranges_are_in_the_order_of_their_prefixes)
{
	struct mapping_spec spec = spec_at(0, 24, "1.1.2.0/28", 16);
	const struct prefixes6 before = prefixes6_of(0x20010db800000000ULL, 48, 56);

	add6(0, 24, "1.1.0.0/28");
	cr_assert_eq(virtual6_claim(&before, VIRTUAL_BASE + 4096), 0);
	spec.in.base = VIRTUAL_BASE + 4096;
	spec.six.in_hi = before.hi;
	cr_assert_geq(tables_add(m, &spec), 0);
	cr_assert_eq(index_now()->n, 2);
	cr_assert_eq(index_now()->range[0].first, before.hi);
	cr_assert_eq(index_now()->range[1].first, INSIDE);
}

/* The prefix of most subscribers is looked at first. */
Test(mapping_hosts, the_hint_is_the_largest_range)
{
	int large;

	add6(0, 24, "1.1.0.0/28");
	large = add6(4096, 20, "1.1.1.0/24");
	add6(16384, 24, "1.1.2.0/28");
	cr_assert_eq(index_now()->hint.leaf, INDEX_LEAF | large);
	cr_assert_eq(index_now()->range[3].first, ~0ULL, "unused ones are never found");
	cr_assert_eq(index_now()->range[MAX_RANGES6 - 1].first, ~0ULL);
}

/* Where the process has begun with another history, what the tables say of the virtual addresses cannot be. */
Test(mapping_hosts, a_mapping_whose_virtual_addresses_mean_others_ends_at_a_restart)
{
	const struct prefixes6 other = prefixes6_of(0x20010db990000000ULL, 48, 56);

	add6(0, 24, "1.1.0.0/28");
	virtual6_forget();
	cr_assert_eq(virtual6_claim(&other, VIRTUAL_BASE), 0);
	open_again();
	cr_assert_eq(mappings_find_any(m, VIRTUAL_BASE), -ENOENT);
	cr_assert_eq(mappings_find_outside(m, tables_addr("1.1.0.1")), -ENOENT);
}

/* Pieces of a mapping around another are in the index all, or it was half added. */
Test(mapping_hosts, without_its_last_piece_in_the_index_a_mapping_was_half_added)
{
	int outer = add6(0, 20, "1.1.0.0/24"), inner = add6(100, 32, "1.1.1.0/32");

	cr_assert_eq(index_now()->n, 3);
	cr_assert_eq(found(101), outer);
	d.index6->index[d.index6->current].range[2].leaf = 0;
	open_again();
	cr_assert_eq(found(99), -1);
	cr_assert_eq(found(100), inner);
	cr_assert_eq(mappings_find_outside(m, tables_addr("1.1.0.1")), -ENOENT);
}
