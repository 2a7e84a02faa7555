/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The copy of the kernel's routes against the kernel's own answers: random changes of routes, neighbours, nexthop
 * objects and interfaces, each followed by a look at many addresses.
 */
#include <stdlib.h>
#include <string.h>

#include "fib/route_copy_private.h"
#include "fib_lab.h"

#define ROUNDS 60

TestSuite(fib_copy, .init = lab_set_up, .fini = lab_tear_down, .timeout = 300);

static const char *random_prefix(char text[static 32])
{
	static const uint8_t lengths[] = { 8, 16, 17, 24, 25, 30, 31, 32, 32, 13 };
	unsigned plen = lengths[lab_random(ARRAY_SIZE(lengths))];
	uint32_t addr = (0x0a000000 | (lab_random_address() & 0xffffff)) & fib_mask(plen);

	snprintf(text, 32, "%u.%u.%u.%u/%u", addr >> 24, addr >> 16 & 255, addr >> 8 & 255, addr & 255, plen);
	return text;
}

static const char *random_way(enum demand demand, char text[static 128])
{
	unsigned last = 2 + lab_random(6); /* not all are resolved */

	switch (lab_random(demand == NOTHING_MISSING ? 5 : 9)) {
	case 0:
		return "dev in0";
	case 1:
		return "dev out0";
	case 2:
	case 3:
		snprintf(text, 128, "via 203.0.113.%u dev out0", last);
		return text;
	case 4:
		snprintf(text, 128, "via 198.51.100.%u dev in0", last);
		return text;
	case 5:
		snprintf(text, 128, "via 203.0.113.%u mtu %s%u", last, lab_random(4) ? "" : "lock ",
			 1000 + lab_random(2));
		return text;
	case 6:
		snprintf(text, 128, "nexthop via 203.0.113.2 nexthop via 198.51.100.%u", last);
		return text;
	default:
		snprintf(text, 128, "nhid %u", 1 + lab_random(4));
		return text;
	}
}

static void random_object(FILE *f)
{
	unsigned id = 1 + lab_random(3);

	if (lab_random(4))
		fprintf(f, "nexthop replace id %u via 203.0.113.%u dev out0\n", id, 2 + lab_random(4));
	else if (lab_random(2))
		fprintf(f, "nexthop del id %u\n", id);
	else
		fprintf(f, "nexthop replace id 4 blackhole\n");
}

/* Simple routes have metrics of their own, as the kernel's order of others of one metric is not followed. */
static void random_change(FILE *f, enum demand demand)
{
	static const char *const verbs[] = { "add", "replace", "change", "del", "del", "add", "append", "prepend" };
	static const char *const types[] = { "blackhole", "unreachable", "prohibit", "throw" };
	bool simple = demand == NOTHING_MISSING;
	const char *verb = verbs[lab_random(simple ? 5 : 8)];
	char prefix[32], way[128];
	unsigned metric = lab_random(3);

	if (!lab_random(40) && !simple)
		random_object(f);
	if (!lab_random(40))
		fprintf(f, "addr %s 10.0.%u.%u/32 dev lo\n", lab_random(2) ? "add" : "del", lab_random(2),
			lab_random(10));
	if (!lab_random(10))
		fprintf(f, "route %s %s %s metric %u\n", verb, types[lab_random(simple ? 3 : 4)], random_prefix(prefix),
			metric);
	else if (!lab_random(20))
		fprintf(f, "route %s default %s metric %u\n", verb, random_way(demand, way), metric);
	else
		fprintf(f, "route %s %s %s metric %u\n", verb, random_prefix(prefix), random_way(demand, way), metric);
}

/* What is refused (a route that is there already, or is not) is refused. */
static void change_at_random(unsigned n, enum demand demand)
{
	FILE *f = popen("ip -force -batch - >/dev/null 2>&1", "w");

	while (n--)
		random_change(f, demand);
	pclose(f);
}

static void follow_random_changes(enum demand demand)
{
	lab_wait_until_in_force();
	for (int i = 0; i < ROUNDS; i++) {
		char what[32];

		snprintf(what, sizeof(what), "round %d", i);
		change_at_random(1 + lab_random(60), demand);
		lab_wait_until_right(what, demand);
	}
}

Test(fib_copy, follows_random_changes_of_simple_routes)
{
	follow_random_changes(NOTHING_MISSING);
}

Test(fib_copy, follows_random_changes_of_all_kinds)
{
	lab_run("ip nexthop add id 1 via 203.0.113.2 dev out0 && ip nexthop add id 2 via 198.51.100.3 dev in0");
	follow_random_changes(NOTHING_WRONG);
}

Test(fib_copy, reads_what_was_there_before)
{
	struct route_copy_summary s;

	lab_wait_until_in_force();
	route_copy_free(lab_copy);
	lab_copy = NULL;
	change_at_random(400, NOTHING_MISSING);
	memset(lab_datapath.fib, 0, sizeof(*lab_datapath.fib));
	cr_assert_eq(route_copy_new(lab_base, &lab_datapath, &lab_copy), 0);
	route_copy_hold(lab_copy, ROUTE_COPY_SYNC, false);
	lab_wait_until_right("start", NOTHING_MISSING);
	route_copy_lost(lab_copy);
	route_copy_summary(lab_copy, &s);
	cr_expect_not(s.in_force);
	cr_expect_not(lab_vouched());
	change_at_random(200, NOTHING_MISSING);
	lab_wait_until_right("lost notifications", NOTHING_MISSING);
}

/* What the trie says of the addresses around those of lab_random_address(). */
#define AREAS	  4U
#define ADDRESSES 1024U

static void note_entries(uint32_t ret[AREAS][ADDRESSES])
{
	static const uint32_t bases[AREAS] = { 0x0a000000, 0x0a010000, 0x0a008000, 0x0a018000 };

	for (uint32_t i = 0; i < AREAS; i++)
		for (uint32_t k = 0; k < ADDRESSES; k++)
			ret[i][k] = fib_trie_entry(&lab_copy->trie, bases[i] + k);
}

static bool has_uncovered(void)
{
	return !lab_copy->n_uncovered && lab_copy->n_met == 0;
}

/* Few and small prefixes: all is in force while they come and go. */
static void set_random_special(struct prefix *list, size_t most)
{
	size_t n = lab_random((uint32_t)most + 1);

	for (size_t i = 0; i < n; i++) {
		uint8_t plen = (uint8_t)(24 + lab_random(9));

		list[i] = (struct prefix){ (0x0a000000 | (lab_random_address() & 0xffffff)) & fib_mask(plen), plen };
	}
	cr_assert_eq(route_copy_set_special(lab_copy, list, n), 0);
	cr_expect(lab_in_force());
	for (size_t i = 0; i < n; i++)
		cr_expect_not(lab_look_up(list[i].base)->flags & FIB_ROUTED);
	lab_wait_for(has_uncovered, "what is special no more");
}

Test(fib_copy, special_prefixes_that_come_and_go_leave_what_painting_anew_does)
{
	static uint32_t one_by_one[AREAS][ADDRESSES], anew[AREAS][ADDRESSES];
	struct prefix special[8];

	lab_wait_until_in_force();
	for (int i = 0; i < ROUNDS; i++) {
		change_at_random(20, NOTHING_MISSING);
		lab_pass();
		lab_wait_until_in_force();
		set_random_special(special, ARRAY_SIZE(special));
		set_random_special(special, ARRAY_SIZE(special));
		note_entries(one_by_one);
		reading_repaint(lab_copy);
		lab_wait_until_in_force();
		lab_wait_for(has_uncovered, "the neighbours");
		note_entries(anew);
		cr_assert_arr_eq(one_by_one, anew, sizeof(anew), "round %d", i);
	}
}
