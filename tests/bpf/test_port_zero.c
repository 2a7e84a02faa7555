// SPDX-License-Identifier: BSD-2-Clause
/* Blocks that begin at port 0 (first_port 0): the first of them is a port shorter, as nobody has port 0. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "binding_fixture.h"
#include "datapath/copy_program.h"
#include "sessions/check.h"

#define IN    ADDR(10, 1, 0, 0)
#define OUT   ADDR(203, 0, 113, 200)
#define BLOCK 15

enum { SYN = 2, RST = 4, ACK = 16 };

static void set_up_from_zero(struct binding_layout wanted, uint32_t netmap)
{
	const struct mapping_parameters p = { .in_base = IN,
					      .last_subscriber = 63,
					      .out_base = OUT,
					      .last_out = 1,
					      .ratio = 32,
					      .first_port = 0,
					      .pitch = 17,
					      .ports_per_host = BLOCK,
					      .netmap = netmap };
	struct mapping_spec spec = {
		.in = { IN, 26 }, .out = { OUT, 31 }, .sessions_per_user = 1000, .session_slots = 64, .bindings = wanted
	};

	bindings = wanted;
	settings.port_zero = 1;
	set_up();
	cr_assert_eq(system("ip route add 10.1.0.0/26 dev tin"), 0);
	cr_assert_eq(mapping_make(&p, &spec.geo), 0);
	memcpy(spec.timeout_ticks, mappings_get(mappings, 0)->timeout_ticks, sizeof(spec.timeout_ticks));
	make_mapping(&spec, NULL);
	datapath_raise_epoch(&datapath);
}

static void set_up_sessions(void)
{
	set_up_from_zero((struct binding_layout){ 0 }, 0);
}

static void set_up_netmap(void)
{
	set_up_from_zero((struct binding_layout){ 0 }, 1);
}

static void set_up_bound(void)
{
	set_up_from_zero((struct binding_layout){ .mapping = BINDING_UDP | BINDING_TCP | BINDING_ICMP }, 0);
}

TestSuite(port_zero, .init = set_up_sessions, .fini = tear_down);

/* All flows have the same first choice. */
static void expect_all_but_zero(uint32_t in_addr, uint8_t proto)
{
	unsigned used = 1;

	for (unsigned i = 1; i < BLOCK; i++) {
		int port = open_flow_in_time(in_addr, proto, (uint16_t)((i - 1) * BLOCK), 53, SYN);

		cr_assert(port > 0 && port < BLOCK, "protocol %u, flow %u: %d", proto, i, port);
		cr_expect_not(used >> port & 1, "protocol %u: port %d twice", proto, port);
		used |= 1U << port;
	}
	cr_expect_eq(open_flow_in_time(in_addr, proto, BLOCK * BLOCK, 53, SYN), -1, "protocol %u", proto);
}

static void expect_all_protocols(uint32_t in_addr)
{
	expect_all_but_zero(in_addr, UDP);
	expect_all_but_zero(in_addr, TCP);
	expect_all_but_zero(in_addr, ICMP);
}

Test(port_zero, is_no_sessions)
{
	expect_all_protocols(IN);
	expect_all_protocols(IN + 32);
	cr_expect_eq(open_flow_in_time(IN + 1, UDP, 0, 53, 0), 17, "the next block has all its ports");
}

Test(port_zero, is_no_sessions_in_netmap_order, .init = set_up_netmap)
{
	expect_all_protocols(IN);
	expect_all_protocols(IN + 1);
	cr_expect_eq(open_flow_in_time(IN + 2, UDP, 0, 53, 0), 17, "the next block has all its ports");
}

Test(port_zero, is_bound_to_no_inside_port, .init = set_up_bound)
{
	expect_all_protocols(IN);
	expect_all_protocols(IN + 32);
}

static const struct mapping *map_of(int *ret_number)
{
	*ret_number = mappings_find_any(mappings, IN);
	return mappings_get(mappings, *ret_number);
}

/* A session of a release of before: on port 0 in its preferred slot. */
static struct slot *make_old(uint8_t proto, uint8_t state, uint16_t in_port, uint16_t ext_port)
{
	int number;
	const struct mapping *m = map_of(&number);
	struct bucket *b = mappings_buckets(mappings, number, 0);
	struct bucket_pair pair = session_buckets(EXTERNAL, ext_port, proto, 0, m->bucket_shift);
	struct slot *s = &b[pair.first].slot[0];

	s->key = slot_key(EXTERNAL, ext_port, in_port);
	s->truth = state_word(0, proto, state, datapath_ticks(&datapath));
	mappings_subscriber(mappings, number, 0)->sessions++;
	return s;
}

static uint32_t found_by_check(bool repair)
{
	struct findings f = { 0 };
	struct table_check *c;
	uint32_t total;

	cr_assert_eq(table_check_new(mappings, repair, &f, &c), 0);
	while (table_check_step(c, 1000000) > 0)
		;
	total = f.total;
	table_check_free(c);
	findings_free(&f);
	return total;
}

Test(port_zero, of_a_session_is_found_by_check)
{
	make_old(UDP, SESSION_UDP, 0, 53);
	cr_expect_eq(found_by_check(false), 1);
	cr_expect_eq(found_by_check(true), 1);
	cr_expect_eq(found_by_check(false), 0);
}

Test(port_zero, of_a_session_ends_with_the_first_sweep)
{
	make_old(UDP, SESSION_UDP, 0, 53);
	make_old(TCP, SESSION_ESTABLISHED, 0, 80);
	cr_expect_eq(open_flow_in_time(IN, UDP, 15, 53, 0), 1, "a session beside it");
	sweep_sessions();
	cr_expect_eq(sessions_of(IN), 1);
	cr_expect_gt(open_flow_in_time(IN, UDP, 0, 53, 0), 0, "its flow has another port");
	cr_expect_eq(found_by_check(false), 0);
}

Test(port_zero, of_a_session_in_time_wait_is_not_taken_again)
{
	struct slot *s = make_old(TCP, SESSION_ESTABLISHED, 0, 80);

	s->truth = state_word(0, TCP, SESSION_TIME_WAIT, datapath_ticks(&datapath));
	mappings_subscriber(mappings, mappings_find_any(mappings, IN), 0)->sessions--;
	cr_expect_eq(open_flow_in_time(IN, TCP, 0, 80, SYN), 1);
	cr_expect_eq(found_by_check(false), 0);
}

Test(port_zero, is_not_taken_from_a_peer)
{
	static struct copy_program program;
	int number;
	const struct mapping *m = map_of(&number);
	struct bucket_pair pair = session_buckets(EXTERNAL, 53, UDP, 0, m->bucket_shift);
	struct session_copy told = {
		.key = slot_key(EXTERNAL, 53, 0),
		.word = state_word(0, UDP, SESSION_UDP, datapath_ticks(&datapath)),
		.mapping = (uint16_t)number,
		.slot = (uint16_t)(pair.first * BUCKET_SLOTS),
	};

	cr_assert_eq(copy_program_load(&program, &datapath), 0);
	for (unsigned beyond = 0; beyond < 2; beyond++) {
		program.requests->n = 1;
		program.requests->copy[0] = told;
		cr_assert_eq(copy_program_run(&program), 0);
		cr_expect_eq(program.requests->copy[0].result, COPY_IMPOSSIBLE, "%u: %u", beyond,
			     program.requests->copy[0].result);
		told.slot = COPY_NOT_IN_A_SLOT;
		told.request = COPY_TO_EXTENT;
	}
	copy_program_unload(&program);
	cr_expect_eq(sessions_of(IN), 0);
}
