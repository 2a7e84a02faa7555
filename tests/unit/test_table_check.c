/* SPDX-License-Identifier: BSD-2-Clause */
/* Each kind of fault is planted in real maps, found, and repaired; and what is right is not complained of. */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include <detnat/binding.h>
#include <detnat/slots.h>

#include "table_check_fixture.h"

TestSuite(table_check, .init = sessions_set_up);

/* Faults. */

static void count_high(void)
{
	record(HOST)->sessions += 3;
}

static void count_low(void)
{
	record(HOST)->sessions = 0;
}

static void count_below_zero(void)
{
	record(HOST)->sessions = ~0U;
}

static void count_without_sessions(void)
{
	record("10.0.0.8")->sessions = 1;
}

static void wrong_bucket(void)
{
	uint32_t right_slot = right_place(5100, 443, false), other = right_place(5100, 443, true), wrong = 0;

	while (wrong / BUCKET_SLOTS == right_slot / BUCKET_SLOTS || wrong / BUCKET_SLOTS == other / BUCKET_SLOTS)
		wrong += BUCKET_SLOTS;
	open_at(wrong, 5100, right_port(5100), SESSION_UDP);
}

static void same_port(void)
{
	/* Another flow, of the same first choice, on the very port. */
	uint16_t in_port = (uint16_t)(5000 + mappings_get(m, big)->geo.ports_per_host);

	open_at(right_place(in_port, 443, true), in_port, right_port(5000), SESSION_UDP);
}

static void same_flow(void)
{
	open_at(right_place(5000, 443, true), 5000, (uint16_t)(right_port(5000) ^ 1), SESSION_UDP);
}

static void port_of_another(void)
{
	open_at(right_place(5100, 443, false), 5100, (uint16_t)(port_lo() - 1), SESSION_UDP);
}

static void port_of_another_group(void)
{
	open_at(right_place(5100, 443, false), 5100, (uint16_t)(right_port(5100) ^ 8), SESSION_UDP);
}

static void strange_state(void)
{
	open_at(right_place(5100, 443, false), 5100, right_port(5100), 0x3f);
}

static void state_of_another_protocol(void)
{
	open_at(right_place(5100, 443, false), 5100, right_port(5100), SESSION_ESTABLISHED);
}

static void not_displaced(void)
{
	record(HOST)->displaced = 0;
}

/* Another flow of an inside port that has the same first choice. */
static void same_port_beyond(void)
{
	flow_beyond((uint16_t)(5000 + mappings_get(m, big)->geo.ports_per_host));
}

static void not_displaced_beyond(void)
{
	record(HOST)->displaced &= ~home_bit(right_place(5002, 443, false) / BUCKET_SLOTS);
}

static void record_written_over(void)
{
	d.mapping[big].first_bucket ^= 4;
}

static void quota_written_over(void)
{
	d.mapping[big].sessions_per_user++;
}

static void hole_in_the_index(void)
{
	d.in_nodes[10].entry[0] = 0;
}

static void index_to_nowhere(void)
{
	d.out_nodes[77].entry[5] = INDEX_LEAF | 900;
}

static void index_beyond(void)
{
	d.in_nodes[77].entry[5] = (uint16_t)(INDEX_LEAF | big);
}

/* Gives the mapping endpoint-independent mapping. */
static void turn_bindings_on(void)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "1.1.1.0/28");
	struct error err = { 0 };
	int r;

	spec.bindings = (struct binding_layout){ .mapping = BINDING_UDP | BINDING_TCP, .inbound = 25 };
	cr_assert_eq(mappings_update_begin(m, &spec, &err), 0, "%s", err.text);
	while ((r = mappings_update_step(m, &spec, &err)) > 0)
		;
	cr_assert_eq(r, 0, "%s", err.text);
	cr_assert_eq(mappings_update(m, &spec), 0);
}

/* Binds a port of HOST, by its offset in the block. */
static void bind_port(uint8_t proto, uint32_t offset, uint16_t in_port, uint32_t flags)
{
	uint64_t *entry = mappings_binding(m, big, 7, proto, offset);

	cr_assert_not_null(entry);
	*entry = binding_entry(in_port, flags | (binding_flags(*entry) & BINDING_AWAY), NOW);
}

/* By the rules: one on its first choice, one beside it, one strayed, the same inside port in another protocol. */
static void right_bindings(void)
{
	turn_bindings_on();
	bind_port(IPPROTO_UDP, 968, 5000, BINDING_BOUND); /* 5000 modulo 4032 */
	bind_port(IPPROTO_UDP, 969, 968, BINDING_BOUND);
	bind_port(IPPROTO_UDP, 0, 976, BINDING_BOUND | BINDING_STRAYED);
	*mappings_binding(m, big, 7, IPPROTO_UDP, 976) |= (uint64_t)BINDING_AWAY << 32;
	bind_port(IPPROTO_TCP, 970, 5000, BINDING_BOUND);
}

static void bound_elsewhere(void)
{
	right_bindings();
	bind_port(IPPROTO_UDP, 16, 5001, BINDING_BOUND);
}

static void strayed_at_home(void)
{
	right_bindings();
	bind_port(IPPROTO_TCP, 971, 5001, BINDING_BOUND | BINDING_STRAYED);
}

static void bound_twice(void)
{
	right_bindings();
	bind_port(IPPROTO_UDP, 971, 5000, BINDING_BOUND);
}

static void bound_at_home_and_away(void)
{
	right_bindings();
	bind_port(IPPROTO_UDP, 978, 976, BINDING_BOUND);
}

static void stray_not_noted(void)
{
	right_bindings();
	*mappings_binding(m, big, 7, IPPROTO_UDP, 976) = 0;
}

static const struct fault {
	const char *name;
	void (*plant)(void);
	enum finding_kind kind;
	const char *where;
	unsigned n; /* findings of that kind; 0: one */
	bool stays; /* cannot be repaired */
} faults[] = {
	{ "the count is too high", count_high, FINDING_COUNT, HOST },
	{ "the count is too low", count_low, FINDING_COUNT, HOST },
	{ "the count is below zero", count_below_zero, FINDING_COUNT, HOST },
	{ "a count without sessions", count_without_sessions, FINDING_COUNT, "10.0.0.8" },
	{ "a session in a third bucket", wrong_bucket, FINDING_PLACE, HOST },
	{ "an outside endpoint given twice", same_port, FINDING_PORT, HOST },
	{ "a flow with two sessions", same_flow, FINDING_FLOW, HOST },
	{ "a port of another's block", port_of_another, FINDING_PORT, HOST },
	{ "a port of another group", port_of_another_group, FINDING_PORT, HOST },
	{ "a state that there is not", strange_state, FINDING_STATE, HOST },
	{ "a state of another protocol", state_of_another_protocol, FINDING_STATE, HOST },
	{ "a displaced session that no bit tells of", not_displaced, FINDING_DISPLACED, HOST },
	{ "an outside endpoint given twice, once in an extent", same_port_beyond, FINDING_PORT, HOST },
	{ "a session in an extent that no bit tells of", not_displaced_beyond, FINDING_DISPLACED, HOST },
	{ "a mapping's record is written over", record_written_over, FINDING_MAPPING, "10.0.0.0/24" },
	{ "a mapping's quota is written over", quota_written_over, FINDING_MAPPING, "10.0.0.0/24" },
	{ "the index lacks a mapping", hole_in_the_index, FINDING_INDEX, "10.0.0.0/24", .stays = true },
	{ "the index leads to no mapping", index_to_nowhere, FINDING_INDEX, "77.5.0.0/16", .stays = true },
	{ "a port is bound where it is not looked for", bound_elsewhere, FINDING_BINDING, HOST },
	{ "a binding is marked as strayed in its own group", strayed_at_home, FINDING_BINDING, HOST },
	{ "an inside port has two ports", bound_twice, FINDING_BINDING, HOST },
	{ "an inside port has a port beside the one that has strayed", bound_at_home_and_away, FINDING_BINDING, HOST },
	{ "a binding has strayed and its group does not say so", stray_not_noted, FINDING_BINDING, HOST },
	{ "the index leads from elsewhere", index_beyond, FINDING_INDEX, "10.0.0.0/24", .stays = true },
};

static void expect(const struct fault *f, bool repair)
{
	struct findings found = check(repair, NULL);
	uint64_t wanted = f->n ? f->n : 1;

	/* One entry of a session may go with the other. */
	if (repair && f->n && found.total)
		wanted = found.total;
	cr_assert_eq(found.total, wanted, "%s: %lu findings, the first: %s: %s: %s", f->name, found.total,
		     found.n ? found.finding[0].where : "-", found.n ? finding_kind_name(found.finding[0].kind) : "-",
		     found.n ? found.finding[0].text : "-");
	for (size_t i = 0; i < found.n; i++) {
		cr_expect_eq(found.finding[i].kind, f->kind, "%s: %s", f->name, found.finding[i].text);
		cr_expect_eq(found.finding[i].repaired, repair && !f->stays, "%s", f->name);
		if (f->where)
			cr_expect_str_eq(found.finding[i].where, f->where, "%s", f->name);
	}
	cr_expect_eq(found.repaired, repair && !f->stays ? found.total : 0, "%s", f->name);
	findings_free(&found);
}

ParameterizedTestParameters(table_check, each_fault_is_found_and_repaired)
{
	static unsigned numbers[ARRAY_SIZE(faults)];

	for (unsigned i = 0; i < ARRAY_SIZE(faults); i++)
		numbers[i] = i;
	return cr_make_param_array(unsigned, numbers, ARRAY_SIZE(numbers));
}

ParameterizedTest(const unsigned *number, table_check, each_fault_is_found_and_repaired, .init = sessions_set_up)
{
	const struct fault *f = &faults[*number];
	struct findings found;

	right();
	f->plant();
	expect(f, false);
	expect(f, false); /* nothing was changed */
	expect(f, true);
	found = check(false, NULL);
	cr_expect_eq(found.total, f->stays ? 1 : 0, "%s: is still there: %s", f->name,
		     found.n ? found.finding[0].text : "");
	findings_free(&found);
}

/* Sessions of TCP in each state that session.h knows, each with and without an RST seen. */
Test(table_check, each_state_of_tcp_is_right)
{
	static const uint8_t states[] = {
#define X(constant, value, name, timeout) constant,
		SESSION_STATES(X)
#undef X
	};
	const uint16_t in_port = 6000;
	const struct mapping *map = mappings_get(m, big);
	uint32_t first = mapping_first_choice(&map->geo, in_port);
	struct bucket_pair p = session_buckets(PEER, 443, IPPROTO_TCP, first, map->bucket_shift);
	struct session s = { .ext_addr = PEER,
			     .in_port = in_port,
			     .out_port = right_port(in_port),
			     .ext_port = 443,
			     .proto = IPPROTO_TCP };

	for (unsigned i = 0; i < 2 * ARRAY_SIZE(states); i++) {
		struct findings found;
		struct slot *at;

		if (states[i / 2] < SESSION_SYN_SENT)
			continue;
		s.state = states[i / 2] | (i % 2 ? SESSION_RESET : 0);
		at = tables_put(m, tables_addr(HOST), p.first * BUCKET_SLOTS + (first & (BUCKET_SLOTS - 1)), &s, NOW);
		found = check(false, NULL);
		cr_expect_eq(found.total, 0, "state %#x: %s", s.state, found.n ? found.finding[0].text : "-");
		findings_free(&found);
		at->truth = 0;
		record(HOST)->sessions = 0;
	}
}

Test(table_check, counts_are_right_after_a_repair)
{
	right();
	count_high();
	not_displaced();

	struct findings found = check(true, NULL);

	cr_expect_eq(record(HOST)->sessions, 5);
	findings_free(&found);
	/* Bits of displaced sessions are those that are needed. */
	record(HOST)->displaced = ~0U;
	found = check(true, NULL);
	cr_expect_eq(found.total, 0);
	cr_expect_neq(record(HOST)->displaced, ~0U);
	cr_expect_neq(record(HOST)->displaced, 0);
	found = check(false, NULL);
	cr_expect_eq(found.total, 0);
}

Test(table_check, the_idle_one_of_sessions_that_exclude_each_other_goes)
{
	struct slot *idle = right_flow(5000), *busy;

	same_port();
	busy = (struct slot *)mappings_buckets(m, big, 7) + right_place(5000, 443, true);
	record(HOST)->displaced = ~0U;
	word_refresh(&idle->truth, NOW - 50);

	struct findings found = check(true, NULL);

	cr_expect_eq(found.total, 1);
	cr_expect(word_is_free(idle->truth));
	cr_expect(word_is_live(busy->truth));
	cr_expect_eq(record(HOST)->sessions, 1);
	findings_free(&found);
}

Test(table_check, bits_of_displaced_sessions_are_wanted_where_they_are_needed)
{
	static const struct {
		const char *name;
		bool second;   /* in the second bucket */
		unsigned slot; /* from the preferred one */
		unsigned port; /* from the first choice */
		uint64_t found;
	} rows[] = {
		{ "in its preferred slot, on its first choice", false, 0, 0, 0 },
		{ "in another slot", false, 1, 0, 1 },
		{ "on another port", false, 0, 1, 1 },
		{ "in the second bucket", true, 0, 0, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct slot *s = open_at(right_place(5024, 443, rows[i].second) ^ rows[i].slot, 5024,
					 (uint16_t)(right_port(5024) ^ rows[i].port), SESSION_UDP);
		struct findings found = check(false, NULL);

		cr_expect_eq(found.total, rows[i].found, "%s", rows[i].name);
		findings_free(&found);
		*s = (struct slot){ 0 };
		record(HOST)->sessions = 0;
	}
}

Test(table_check, figures)
{
	struct check_figures f;
	struct findings found;

	right();
	open_at(right_place(5200, 443, false), 5200, right_port(5200), SESSION_UDP);
	found = check(false, &f);
	cr_expect_eq(found.total, 0);
	cr_expect_eq(f.mappings, 2);
	cr_expect_eq(f.subscribers, 256 + 4);
	cr_expect_eq(f.slots, 256 * 32 + 4 * 8 + 64 * BUCKET_SLOTS);
	cr_expect_eq(f.sessions, 5);
	cr_expect_eq(f.beyond, 1);
	cr_expect_eq(f.unsettled, 0);
}

Test(table_check, bindings_by_the_rules_are_counted)
{
	struct check_figures f;
	struct findings found;

	right_bindings();
	found = check(false, &f);
	cr_expect_eq(found.total, 0, "%s", found.n ? found.finding[0].text : "");
	cr_expect_eq(f.bindings, 4);
}

Test(table_check, more_faults_than_are_kept_are_counted)
{
	struct findings found;

	for (unsigned i = 0; i < 256; i++)
		mappings_subscriber(m, big, i)->sessions = 9;
	for (unsigned i = 0; i < 4; i++)
		mappings_subscriber(m, small, i)->sessions = 9;
	found = check(true, NULL);
	cr_expect_eq(found.total, 260);
	cr_expect_eq(found.n, 260);
	cr_expect_eq(found.repaired, 260);
	findings_free(&found);
	for (unsigned i = 0; i < FINDINGS_MAX + 5; i++)
		findings_add(&found, FINDING_COUNT, false, "here", "%u", i);
	cr_expect_eq(found.n, FINDINGS_MAX);
	cr_expect_eq(found.total, FINDINGS_MAX + 5);
	findings_free(&found);
}
