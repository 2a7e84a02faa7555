/* SPDX-License-Identifier: BSD-2-Clause */
/* Figures of usage, from sessions put into real maps by hand; and the warnings that follow from them. */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>

#include <detnat/binding.h>
#include <detnat/extents.h>

#include "metrics/usage_monitor.h"
#include "tables/mapping_changes.h"
#include "tables_fixture.h"

#define NOW 100000U

static struct datapath datapath, *const d = &datapath;
static struct active_config active;
static struct event_base *base;
static struct mappings *m;

static void setup(void)
{
	struct error err = { 0 };

	tables_make(d);
	cr_assert_eq(mappings_open(d, &m, &err), 0, "%s", err.text);
}

TestSuite(usage, .init = setup, .timeout = 300);

/* 16 addresses behind one: 4032 ports each; or 256 behind one: 252. */
static int add(const char *in, const char *out, uint32_t quota)
{
	struct mapping_spec spec = tables_spec(in, out);

	spec.sessions_per_user = quota;
	return tables_add(m, &spec);
}

static uint16_t port_lo(const char *addr)
{
	uint32_t in = tables_addr(addr);
	const struct geometry *g = &mappings_get(m, mappings_find_any(m, in))->geo;

	return (uint16_t)mapping_port_lo(g, in - g->in_base);
}

static void put(const char *addr, uint32_t slot, uint16_t offset, uint32_t ext_addr, uint8_t state, uint32_t seen)
{
	uint8_t proto = state == SESSION_UDP ? IPPROTO_UDP : state == SESSION_ICMP ? IPPROTO_ICMP : IPPROTO_TCP;
	const struct session s = {
		.ext_addr = ext_addr,
		.in_port = (uint16_t)(5000 + slot),
		.out_port = (uint16_t)(port_lo(addr) + offset),
		.ext_port = proto == IPPROTO_ICMP ? 0 : 443,
		.proto = proto,
		.state = state,
	};

	tables_put(m, tables_addr(addr), slot, &s, seen);
}

static struct session_usage *pass(unsigned budget_us)
{
	struct session_usage *u;
	int r;

	cr_assert_eq(session_usage_new(m, NULL, &u), 0);
	while ((r = session_usage_step(u, budget_us)) > 0)
		;
	cr_assert_eq(r, 0);
	return u;
}

static struct mapping_usage usage_of(int number)
{
	struct session_usage *u = pass(1000);
	struct mapping_usage usage = session_usage_of(u, number);

	session_usage_free(u);
	return usage;
}

Test(usage, shares_fall_into_the_bucket_of_the_lowest_bound_that_holds_them)
{
	static const struct {
		uint32_t n;
		uint32_t limit;
		unsigned bucket;
	} rows[] = {
		{ 0, 10, 0 },	     { 1, 10, 0 },
		{ 2, 10, 1 },	     { 25, 100, 1 },
		{ 26, 100, 2 },	     { 9, 10, 4 },
		{ 95, 100, 5 },	     { 96, 100, 6 },
		{ 10, 10, 6 },	     { 11, 10, 7 },
		{ 65535, 1, 7 },     { 64512, 64512, 6 },
		{ 64511, 64512, 6 }, { UINT32_MAX, UINT32_MAX, 6 },
		{ 0, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct usage_histogram h = { 0 };

		usage_observe(&h, rows[i].n, rows[i].limit);
		cr_expect_eq(h.bucket[rows[i].bucket], 1, "row %zu", i);
		cr_expect_eq(usage_above(&h, 4), rows[i].bucket > 4, "row %zu", i);
	}
}

Test(usage, counts_sessions_by_protocol_and_leaves_out_those_that_do_not_count)
{
	int number = add("10.0.0.0/24", "1.1.1.0/28", 1000);

	put("10.0.0.7", 0, 0, 1, SESSION_UDP, NOW);
	put("10.0.0.7", 1, 1, 1, SESSION_UDP, NOW - 301);
	put("10.0.0.7", 2, 2, 1, SESSION_TIME_WAIT, NOW);
	put("10.0.0.7", 3, 3, 1, SESSION_ESTABLISHED, NOW);
	put("10.0.0.7", 4, 4, 1, SESSION_SYN_SENT | SESSION_RESET, NOW);
	put("10.0.0.8", 0, 0, 1, SESSION_ICMP, NOW);
	put("10.0.0.9", 0, 0, 1, SESSION_UDP, NOW - 301);
	for (unsigned budget_us = 0; budget_us <= 1000; budget_us += 1000) {
		struct session_usage *u = pass(budget_us);
		struct mapping_usage usage = session_usage_of(u, number);

		cr_expect_eq(usage.sessions[USAGE_UDP], 1);
		cr_expect_eq(usage.sessions[USAGE_TCP], 2);
		cr_expect_eq(usage.sessions[USAGE_ICMP], 1);
		cr_expect_eq(usage.subscribers, 2, "10.0.0.9 has an expired one alone");
		session_usage_free(u);
	}
}

Test(usage, bound_ports_count_by_protocol_and_a_block_of_them_is_exhausted)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/22", "1.1.1.0/32"); /* 63 ports each */
	struct mapping_usage usage;
	int number;

	spec.bindings = (struct binding_layout){ .mapping = BINDING_UDP | BINDING_ICMP, .inbound = 25 };
	number = tables_add(m, &spec);
	for (uint16_t i = 0; i < 62; i++)
		*mappings_binding(m, number, 7, IPPROTO_UDP, i) = binding_entry(i, BINDING_BOUND, NOW);
	*mappings_binding(m, number, 7, IPPROTO_UDP, 62) = binding_entry(62, BINDING_BOUND, NOW - 301);
	*mappings_binding(m, number, 7, IPPROTO_ICMP, 5) = binding_entry(5, BINDING_BOUND, NOW);
	put("10.0.0.7", 0, 0, 1, SESSION_UDP, NOW);
	usage = usage_of(number);
	cr_expect_eq(usage.bindings[USAGE_UDP], 62, "an expired one does not count");
	cr_expect_eq(usage.bindings[USAGE_TCP], 0);
	cr_expect_eq(usage.bindings[USAGE_ICMP], 1);
	cr_expect_eq(usage.exhausted, 0);
	*mappings_binding(m, number, 7, IPPROTO_UDP, 62) = binding_entry(62, BINDING_BOUND, NOW);
	cr_expect_eq(usage_of(number).exhausted, 1, "no inside port gets another");
}

Test(usage, a_port_counts_once_for_all_destinations_and_for_each_protocol_apart)
{
	int number = add("10.0.0.0/22", "1.1.1.0/32", 1000); /* 63 ports each */

	/* TCP: 3 sessions on 2 ports; UDP: 2 on 2 of the same. */
	put("10.0.0.7", 0, 5, 1, SESSION_ESTABLISHED, NOW);
	put("10.0.0.7", 1, 5, 2, SESSION_ESTABLISHED, NOW);
	put("10.0.0.7", 2, 62, 3, SESSION_ESTABLISHED, NOW);
	put("10.0.0.7", 3, 5, 1, SESSION_UDP, NOW);
	put("10.0.0.7", 4, 6, 2, SESSION_UDP, NOW);

	struct mapping_usage usage = usage_of(number);

	cr_expect_float_eq(usage.block.sum, 2.0 / 63, 1e-9, "%f", usage.block.sum * 63);
	cr_expect_float_eq(usage.destination.sum, 1.0 / 63, 1e-9, "%f", usage.destination.sum * 63);
	cr_expect_float_eq(usage.quota.sum, 5.0 / 1000, 1e-9);
	cr_expect_eq(usage.exhausted, 0);
}

Test(usage, the_busiest_destination_is_one_address_port_and_protocol)
{
	int number = add("10.0.0.0/26", "1.1.1.0/32", 8); /* 1008 ports each */

	for (uint32_t i = 0; i < 5; i++)
		put("10.0.0.7", i, (uint16_t)i, 7, SESSION_ESTABLISHED, NOW);
	put("10.0.0.7", 5, 9, 7, SESSION_UDP, NOW);
	put("10.0.0.7", 6, 10, 8, SESSION_ESTABLISHED, NOW);
	put("10.0.0.8", 0, 11, 7, SESSION_ESTABLISHED, NOW);

	struct mapping_usage usage = usage_of(number);

	cr_expect_float_eq(usage.destination.sum, 6.0 / 1008, 1e-9, "%f", usage.destination.sum * 1008);
	cr_expect_eq(usage.at_quota, 0);
	put("10.0.0.7", 7, 12, 8, SESSION_ESTABLISHED, NOW);
	cr_expect_eq(usage_of(number).at_quota, 1);
}

Test(usage, blocks_of_few_ports_are_exhausted_by_one_destination_wherever_the_session_is)
{
	int number = add("10.0.0.0/17", "1.1.1.0/32", 1000); /* 1 port each */
	struct session s = { .ext_addr = 9, .in_port = 1, .ext_port = 1, .proto = IPPROTO_UDP, .state = SESSION_UDP };

	put("10.0.0.7", 0, 0, 7, SESSION_ESTABLISHED, NOW);
	s.out_port = port_lo("10.0.0.8");
	tables_put_beyond(m, tables_addr("10.0.0.8"), &s, NOW);

	struct mapping_usage usage = usage_of(number);

	cr_expect_eq(usage.subscribers, 2);
	cr_expect_eq(usage.exhausted, 2);
	cr_expect_eq(usage.sessions[USAGE_TCP], 1);
	cr_expect_eq(usage.sessions[USAGE_UDP], 1);
	cr_expect_eq(usage.beyond, 1);
	cr_expect_eq(usage.block.bucket[6], 2);
}

Test(usage, subscribers_over_a_lowered_quota_are_above_every_bound)
{
	int number = add("10.0.0.0/24", "1.1.1.0/28", 1);

	put("10.0.0.7", 0, 0, 1, SESSION_UDP, NOW);
	put("10.0.0.7", 1, 1, 1, SESSION_UDP, NOW);

	struct mapping_usage usage = usage_of(number);

	cr_expect_eq(usage.quota.bucket[N_USAGE_BOUNDS], 1);
	cr_expect_eq(usage.at_quota, 1);
}

Test(usage, a_number_that_another_mapping_has_by_now_has_no_figures)
{
	int number = add("10.0.0.0/24", "1.1.1.0/28", 1000);
	struct session_usage *u;

	put("10.0.0.7", 0, 0, 1, SESSION_UDP, NOW);
	u = pass(1000);
	cr_expect_eq(session_usage_of(u, number).subscribers, 1);

	struct mapping_spec spec = tables_spec("10.0.0.0/24", "1.1.1.0/28");

	cr_assert_eq(mappings_del_of(m, 0, spec.in, spec.out), 0);
	tables_reclaim(m);
	cr_assert_eq(add("10.0.1.0/24", "1.1.2.0/28", 1000), number, "the number is given again");
	cr_expect_eq(session_usage_of(u, number).subscribers, 0);
	session_usage_free(u);
}

/* Warnings. */

static void on_end(void *arg)
{
	++*(unsigned *)arg;
}

/* Lets n passes come to their end; what they have logged. */
static const char *log_of_passes(struct usage *u, unsigned n)
{
	static char text[4096];
	FILE *log = tmpfile();
	int console = dup(STDERR_FILENO);
	unsigned ended = 0;
	size_t length;

	usage_on_end(u, on_end, &ended);
	dup2(fileno(log), STDERR_FILENO);
	for (unsigned i = 0; i < n; i++) {
		usage_hurry(u);
		while (ended <= i)
			event_base_loop(base, EVLOOP_ONCE);
	}
	fflush(stderr);
	dup2(console, STDERR_FILENO);
	close(console);
	rewind(log);
	length = fread(text, 1, sizeof(text) - 1, log);
	text[length] = '\0';
	fclose(log);
	return text;
}

static struct usage *make_usage(void)
{
	struct error err = { 0 };
	struct usage *u;

	base = event_base_new();
	active.config = config_new();
	cr_assert_eq(usage_new(base, &active, m, NULL, &u, &err), 0);
	cr_assert_null(usage_last(u));
	return u;
}

/* As many sessions of one port each, to one destination. */
static void put_many(unsigned subscribers, uint32_t seen)
{
	for (unsigned i = 0; i < subscribers; i++) {
		char addr[ADDR_TEXT];

		put(addr_format(tables_addr("10.0.0.0") + i, addr), 0, 0, 1, SESSION_UDP, seen);
	}
}

Test(usage, mapping_near_exhaustion_is_said_once_and_again_after_it_was_well)
{
	struct usage *u = make_usage();
	const char *log;

	add("10.0.0.0/17", "1.1.1.0/32", 1000); /* 1 port each */
	put_many(9, NOW);
	log = log_of_passes(u, 1);
	cr_expect_str_empty(log, "nine are few: %s", log);
	put_many(40, NOW);
	log = log_of_passes(u, 1);
	cr_expect(strstr(log,
			 "warning: mapping 10.0.0.0/17 is near exhaustion: of 40 subscribers with sessions, 40 use "
			 "more than 90 % of their 1 ports towards one destination, and 40 all"),
		  "%s", log);
	log = log_of_passes(u, 3);
	cr_expect_str_empty(log, "%s", log);
	tables_set_ticks(d, NOW + 301);
	log = log_of_passes(u, 2);
	cr_expect(strstr(log, "mapping 10.0.0.0/17 is no longer near exhaustion: of 0 subscribers"), "%s", log);
	cr_expect_null(strstr(log, "warning"), "%s", log);
	put_many(40, NOW + 301);
	cr_expect(strstr(log_of_passes(u, 1), "is near exhaustion"));
	cr_expect_eq(usage_figures(u).passes, 8);
	cr_expect_gt(usage_figures(u).ended, 1e9);
	usage_free(u);
}

/* Sessions of TCP of one subscriber in that state. */
static void put_tcp(unsigned first, unsigned n, uint8_t state, uint32_t seen)
{
	for (unsigned i = first; i < first + n; i++)
		put("10.0.0.5", i, (uint16_t)i, 1, state, seen);
}

Test(usage, mapping_whose_sessions_are_never_answered_is_said_once_and_again_after_it_was_well)
{
	struct usage *u = make_usage();
	const char *log;

	add("10.0.0.0/28", "1.1.1.0/32", 1000);
	put_tcp(0, 9, SESSION_SYN_SENT, NOW - d->hz);
	put_tcp(9, 5, SESSION_SYN_SENT, NOW);
	put_tcp(14, 1, SESSION_SYN_SENT | SESSION_RESET, NOW - d->hz);
	cr_expect_eq(usage_of(0).unanswered, 9, "neither those of this second nor those that were reset");
	log = log_of_passes(u, 1);
	cr_expect_str_empty(log, "nine are few: %s", log);
	put_tcp(9, 1, SESSION_SYN_SENT, NOW - d->hz);
	put_tcp(10, 5, SESSION_FREE, 0);
	log = log_of_passes(u, 1);
	cr_expect(strstr(log,
			 "warning: mapping 10.0.0.0/28: 10 of 10 TCP sessions were never answered; does the upstream "
			 "route 1.1.1.0/32 here?"),
		  "%s", log);
	log = log_of_passes(u, 2);
	cr_expect_str_empty(log, "%s", log);
	put_tcp(0, 6, SESSION_ESTABLISHED, NOW);
	log = log_of_passes(u, 1);
	cr_expect(strstr(log, "TCP sessions are answered again, 4 of 10 are not"), "%s", log);
	put_tcp(0, 10, SESSION_SYN_ANSWERED, NOW - d->hz);
	cr_expect_eq(usage_of(0).unanswered, 0);
	usage_free(u);
}

Test(usage, room_for_extents_near_its_end_is_said_once_and_again_after_it_was_well)
{
	static const struct {
		uint64_t used;
		const char *said;
	} rows[] = {
		{ 0, NULL },
		{ 89, NULL },
		{ 90,
		  "warning: the room beyond the slots is near its end: 90 of 100 buckets are in use, with 0 sessions" },
		{ 100, NULL },
		{ 76, NULL },
		{ 74, "the room beyond the slots is no longer near its end: 74 of 100 buckets are in use" },
		{ 89, NULL },
		{ 95, "warning: the room beyond the slots is near its end: 95 of 100 buckets" },
	};
	struct usage *u = make_usage();

	struct extent_pool pool = { 0 };

	d->settings.extent_buckets = 100;
	d->pool = &pool;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *log;

		pool.used = rows[i].used;
		log = log_of_passes(u, 1);
		cr_expect(rows[i].said ? strstr(log, rows[i].said) != NULL : !*log, "row %zu: %s", i, log);
	}
	usage_free(u);
}
