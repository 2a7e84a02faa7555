// SPDX-License-Identifier: BSD-2-Clause
/*
 * Granted blocks of two tenants with the same inside addresses, 10.1.0.0/25: each mapping has one outside address, and
 * the blocks above 58368. The one interface inside is of the one tenant or of the other.
 */
#include <string.h>

#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "grant_fixture.h"
#include "icmp_frame.h"

#define FEW	448
#define BLOCK	128
#define LO	(1024 + 128 * FEW + 5 * BLOCK)
#define OUT_B	ADDR(203, 0, 116, 200)
#define INSIDE	ADDR(10, 1, 0, 0)
#define FILLERS 2000 /* first inside port of those that fill a block */

enum { NOBODYS, FIRST, SECOND };

static const uint32_t out_of[] = { 0, OUT, OUT_B };

static void be(uint8_t tenant)
{
	datapath.device[inside_ifindex].tenant = tenant;
}

/* The second one's mapping, with the first one's inside addresses; the index leads to both. */
static void add_second(int first)
{
	const struct mapping *of = mappings_get(mappings, first);
	const struct mapping_parameters p = { .in_base = ADDR(10, 2, 0, 0),
					      .last_subscriber = 127,
					      .out_base = OUT_B,
					      .ratio = 128,
					      .first_port = 1024,
					      .pitch = FEW,
					      .ports_per_host = FEW };
	struct mapping_spec spec = { .in = { ADDR(10, 2, 0, 0), 25 },
				     .out = { OUT_B, 32 },
				     .sessions_per_user = 4000,
				     .session_slots = 512,
				     .bindings = bindings,
				     .growth = { BLOCK, 2 },
				     .tenant = SECOND };
	struct index_node *set = &datapath.in_nodes[INDEX_NODES - 1];
	uint16_t *entry = datapath.in_nodes[datapath.in_nodes[datapath.in_nodes[10].entry[1]].entry[0]].entry;
	int number;

	cr_assert_eq(mapping_make(&p, &spec.geo), 0);
	memcpy(spec.timeout_ticks, of->timeout_ticks, sizeof(spec.timeout_ticks));
	make_mapping(&spec, NULL);
	number = mappings_find_any(mappings, ADDR(10, 2, 0, 0));
	cr_assert_geq(number, 0);
	datapath.mapping[number].geo.in_base = INSIDE;
	set->entry[FIRST] = entry[0];
	set->entry[SECOND] = (uint16_t)(INDEX_LEAF | (unsigned)number);
	for (unsigned i = 0; i < 128; i++)
		entry[i] = INDEX_LEAF | INDEX_SHARED | (INDEX_NODES - 1);
}

static void set_up_shared_growth(void)
{
	int first;

	settings.tenants = 1;
	settings.tc = TC_ALONE;
	set_up_plan(&(struct grant_plan){ FEW, BLOCK, 2, 4000, 512, bindings });
	first = mappings_find_any(mappings, IN);
	cr_assert_geq(first, 0);
	mappings_set_tenant(mappings, first, FIRST);
	add_second(first);
	datapath_raise_epoch(&datapath);
	be(FIRST);
}

static void set_up_bound(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_UDP };
	set_up_shared_growth();
}

TestSuite(tenants_grants, .fini = tear_down);

static void put(uint8_t tenant, uint32_t addr, uint16_t at, uint8_t direction, uint32_t to)
{
	const struct grant_key key = { .addr = addr, .at = at, .direction = direction, .tenant = tenant };
	const struct grant_value v = { .addr = to, .port_lo = LO, .ports = BLOCK };

	cr_assert_eq(bpf_map_update_elem(datapath.grants, &key, &v, BPF_ANY), 0);
}

/* Both have a block with the same ports, of the outside address of its tenant. */
static void grant_to(uint8_t tenant)
{
	put(0, out_of[tenant], LO, GRANT_OF_OUTSIDE, IN);
	put(tenant, IN, 0, GRANT_OF_INSIDE, out_of[tenant]);
}

static int run_from(uint16_t in_port, uint8_t *out)
{
	const struct frame f = {
		.from = HOST, .to = GATEWAY_IN, .src = IN, .dst = EXTERNAL, .proto = UDP, .sport = in_port, .dport = 53
	};
	uint8_t frame[FRAME_MAX];
	size_t size = frame_build(&f, frame), left;

	return run_frame(XDP_INSIDE, frame, size, out, &left);
}

/* The outside port of a flow of IN from the tenant's interface, -1: refused; it leaves from the tenant's own address.
 */
static int open_as(uint8_t tenant, uint16_t in_port)
{
	uint8_t out[FRAME_MAX];
	uint64_t busy;
	int verdict;

	be(tenant);
	do {
		busy = counted(REASON_drop_busy);
		verdict = run_from(in_port, out);
		if (counted(REASON_drop_busy) != busy)
			next_tick();
	} while (counted(REASON_drop_busy) != busy);
	if (verdict != REDIRECT_XDP)
		return -1;
	cr_expect_eq((uint32_t)out[26] << 24 | (uint32_t)out[27] << 16 | (uint32_t)out[28] << 8 | out[29],
		     out_of[tenant]);
	return out[34] << 8 | out[35];
}

static void fill_block(uint8_t tenant)
{
	for (unsigned i = 0; i < FEW; i++)
		cr_assert_geq(open_as(tenant, (uint16_t)(FILLERS + i)), 0, "flow %u", i);
}

static bool is_granted(int port)
{
	return port >= LO && port < LO + BLOCK;
}

/* A packet to a granted port: reaches in_port of IN; 0: nobody. The interface is of the tenant `at`. */
static void expect_inwards(const char *name, uint8_t at, uint8_t tenant, int port, uint16_t in_port)
{
	const struct frame f = { .from = ROUTER,
				 .to = GATEWAY_OUT,
				 .src = EXTERNAL,
				 .dst = out_of[tenant],
				 .proto = UDP,
				 .sport = 53,
				 .dport = (uint16_t)port };
	uint8_t frame[FRAME_MAX], out[FRAME_MAX];
	size_t size = frame_build(&f, frame), left;
	int verdict;

	be(at);
	verdict = run_frame(XDP_OUTSIDE, frame, size, out, &left);
	cr_expect_eq(verdict, in_port ? REDIRECT_XDP : DROP_XDP, "%s", name);
	if (verdict == REDIRECT_XDP)
		cr_expect_eq(out[36] << 8 | out[37], in_port, "%s", name);
}

static void each_has_its_own(void)
{
	int one, other;

	fill_block(FIRST);
	grant_to(FIRST);
	one = open_as(FIRST, 9000);
	cr_expect(is_granted(one), "%d", one);
	/* The second one has neither that block nor, without a port of its own, any. */
	fill_block(SECOND);
	cr_expect_eq(open_as(SECOND, 9000), -1);
	cr_expect_eq(open_as(SECOND, 9001), -1);
	expect_inwards("not granted", SECOND, SECOND, one, 0);
	grant_to(SECOND);
	other = open_as(SECOND, 9128);
	cr_expect(is_granted(other), "%d", other);
	cr_expect_eq(other, one, "the ports of one have no part in the other's");
	cr_expect_eq(open_as(FIRST, 9000), one, "goes on");
	expect_inwards("the first one's", FIRST, FIRST, one, 9000);
	expect_inwards("the second one's", SECOND, SECOND, other, 9128);
	expect_inwards("by no other tenant's interface", SECOND, FIRST, one, 0);
	expect_inwards("nor this one", FIRST, SECOND, other, 0);
	cr_expect_eq(counted(REASON_drop_tenant), 2);
}

Test(tenants_grants, each_tenant_has_its_own_blocks, .init = set_up_shared_growth)
{
	each_has_its_own();
}

Test(tenants_grants, and_bound_ports_in_them, .init = set_up_bound)
{
	each_has_its_own();
}

/* Closed and taken back for one, it stays the other's. */
Test(tenants_grants, a_block_ends_for_one, .init = set_up_shared_growth)
{
	const struct grant_key closed = { .addr = IN, .direction = GRANT_OF_INSIDE, .tenant = FIRST };
	int one, other;

	for (uint8_t tenant = FIRST; tenant <= SECOND; tenant++) {
		fill_block(tenant);
		grant_to(tenant);
	}
	one = open_as(FIRST, 9000);
	other = open_as(SECOND, 9000);
	cr_assert(is_granted(one) && is_granted(other));
	cr_assert_eq(bpf_map_delete_elem(datapath.grants, &closed), 0);
	cr_expect_eq(open_as(FIRST, 9001), -1);
	cr_expect(is_granted(open_as(SECOND, 9001)));
	cr_expect_eq(open_as(FIRST, 9000), one, "a session of before goes on");
	grant_take_back(LO);
	expect_inwards("taken back", FIRST, FIRST, one, 0);
	expect_inwards("the second one's", SECOND, SECOND, other, 9000);
}
