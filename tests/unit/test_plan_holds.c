/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of several mappings that overlap, with a look at what the datapath finds after each step. */
#include <criterion/criterion.h>

#include <bpf/bpf.h>
#include <detnat/drains.h>
#include <linux/bpf.h>
#include <stdlib.h>

#include "plan_apart.h"
#include "tables/mapping_drains.h"
#include "rounds.h"

static void set_up(void)
{
	plan_set_up();
	datapath.drains = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "drains", sizeof(struct drain_key),
					 sizeof(struct drain_entry), MAX_DRAINS,
					 &(struct bpf_map_create_opts){ .sz = sizeof(struct bpf_map_create_opts),
									.map_flags = BPF_F_NO_PREALLOC });
	cr_assert_geq(datapath.drains, 0);
}

TestSuite(overlapping_changes, .init = set_up);

/* Nested within each other, each with two outside prefixes. */
static const struct {
	const char *in;
	const char *out[2];
} choices[] = {
	{ "10.0.0.0/24", { "1.1.0.0/28", "1.1.1.0/28" } },   { "10.0.0.0/26", { "1.1.2.0/30", "1.1.3.0/30" } },
	{ "10.0.0.64/26", { "1.1.4.0/30", "1.1.5.0/30" } },  { "10.0.0.0/28", { "1.1.6.0/32", "1.1.7.0/32" } },
	{ "10.0.0.16/28", { "1.1.8.0/32", "1.1.9.0/32" } },  { "10.0.0.4/30", { "1.1.10.0/32", "1.1.11.0/32" } },
	{ "10.0.0.5/32", { "1.1.12.0/32", "1.1.13.0/32" } }, { "10.0.0.17/32", { "1.1.14.0/32", "1.1.15.0/32" } },
};

#define ADDRESSES 256U
#define NONE	  0U

static uint32_t before[ADDRESSES], after[ADDRESSES]; /* the outside prefix by which an address leaves */
static unsigned steps, absent;

static struct config *config_of(const int *chosen)
{
	struct config *c = config_new();

	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		if (chosen[i] < 0)
			continue;

		struct mapping_spec spec = tables_spec(choices[i].in, choices[i].out[chosen[i]]);

		cr_assert_eq(config_add_mapping(c, "", spec.in, spec.out), 0);
	}
	return c;
}

/* What a configuration says of each address: the longest prefix has it. */
static void expect(const struct config *c, uint32_t *by)
{
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		int longest = -1;

		by[i] = NONE;
		for (size_t k = 0; k < c->n_mappings; k++) {
			const struct config_mapping *m = &c->mappings[k];

			if (m->in.plen > longest &&
			    prefix_contains(m->in.base, m->in.plen, tables_addr("10.0.0.0") + i)) {
				longest = m->in.plen;
				by[i] = m->out.base;
			}
		}
	}
}

/* What the datapath finds for an address. */
static uint32_t found(uint32_t addr)
{
	const struct index_node *nodes = datapath.in_nodes;
	uint16_t entry = nodes[addr >> 24].entry[addr >> 16 & 255];

	for (unsigned shift = 8; entry && !(entry & INDEX_LEAF); shift -= 8)
		entry = nodes[entry].entry[addr >> shift & 255];
	return entry ? datapath.mapping[entry & (MAX_MAPPINGS - 1)].geo.out_base : NONE;
}

static void look(void)
{
	steps++;
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		uint32_t now = found(tables_addr("10.0.0.0") + i);

		absent += now == NONE && before[i] != NONE && after[i] != NONE;
		cr_assert(now == before[i] || now == after[i] || now == NONE,
			  "10.0.0.%u is translated to %08x; before it was %08x, afterwards it is %08x", i, now,
			  before[i], after[i]);
	}
}

/* Whether the change was carried out; others are refused, for what drains. */
static bool change_by(const int *from, const int *to, const struct change_options *options)
{
	_cleanup_config_ struct config *was = config_of(from), *wanted = config_of(to);
	struct error err = { 0 };
	struct change_plan *p;

	if (plan_new_with(&context, config_clone(wanted), 1, false, NULL, options, &p, &err))
		return false;
	expect(was, before);
	expect(wanted, after);
	cr_assert_eq(prepare(p, 0, &err), 0, "%s", err.text);
	after_step = look;
	cr_assert_eq(plan_commit(p, &err), 0, "%s", err.text);
	after_step = NULL;
	for (uint32_t i = 0; i < ADDRESSES; i++)
		cr_assert_eq(found(tables_addr("10.0.0.0") + i), after[i], "10.0.0.%u", i);
	change_plan_free(p);
	calls[0] = '\0';
	tables_reclaim(context.mappings);
	return true;
}

static bool change(const int *from, const int *to, uint32_t drain)
{
	const struct change_options options = { .drain_given = true, .drain = drain };

	return change_by(from, to, &options);
}

static const uint32_t drains[] = { 0, 100 };

Test(overlapping_changes, no_address_is_ever_in_a_mapping_that_it_has_neither_before_nor_after)
{
	int from[ARRAY_SIZE(choices)], to[ARRAY_SIZE(choices)];
	unsigned done = 0;

	memset(from, -1, sizeof(from));
	run_with("");
	srand(7);
	for (unsigned n = 0; n < rounds_of(400); n++) {
		for (size_t i = 0; i < ARRAY_SIZE(choices); i++)
			to[i] = rand() % 3 ? from[i] : rand() % 3 - 1;
		if (!change(from, to, drains[rand() % 8 == 0]))
			continue;
		memcpy(from, to, sizeof(from));
		done++;
	}
	cr_expect_gt(done, rounds_of(100));
	cr_expect_gt(steps, 2 * done);
}

/* An exception that is replaced, by the same prefix, a shorter one, a longer one. */
static const struct {
	int from[ARRAY_SIZE(choices)], to[ARRAY_SIZE(choices)];
} replacements[] = {
	{ { 0, -1, -1, 0, -1, -1, -1, -1 }, { 0, -1, -1, 1, -1, -1, -1, -1 } },
	{ { 0, -1, -1, 0, -1, -1, -1, -1 }, { 0, 0, -1, -1, -1, -1, -1, -1 } },
	{ { 0, -1, -1, 0, -1, -1, -1, -1 }, { 0, -1, -1, -1, -1, 0, -1, -1 } },
	{ { 0, -1, -1, -1, -1, -1, -1, -1 }, { 0, 0, -1, 0, -1, -1, -1, -1 } },
	{ { 0, 0, -1, 0, -1, -1, -1, -1 }, { 0, -1, -1, -1, -1, -1, -1, -1 } },
};

Test(overlapping_changes, an_exception_that_is_replaced_is_never_that_of_the_mapping_around)
{
	const int none[ARRAY_SIZE(choices)] = { -1, -1, -1, -1, -1, -1, -1, -1 };

	for (size_t i = 0; i < ARRAY_SIZE(replacements); i++) {
		run_with("");
		cr_assert(change(none, replacements[i].from, 0));
		absent = 0;
		cr_assert(change(replacements[i].from, replacements[i].to, 0));
		cr_expect_gt(absent, 0, "row %zu: it is held", i);
		cr_assert(change(replacements[i].to, none, 0));
	}
}

Test(overlapping_changes, a_mapping_that_changes_alone_is_not_held)
{
	const int homes[ARRAY_SIZE(choices)] = { 0, -1, -1, -1, -1, -1, -1, -1 };
	const int two[ARRAY_SIZE(choices)] = { 0, -1, 0, 0, -1, -1, -1, -1 };

	run_with("");
	cr_assert(change((const int[]){ -1, -1, -1, -1, -1, -1, -1, -1 }, homes, 0));
	cr_assert(change(homes, two, 0));
	cr_assert(change(two, homes, 0));
	cr_assert(change(homes, two, 100));
	cr_expect_eq(absent, 0);
}

Test(overlapping_changes, a_drain_that_is_ended_is_none_of_those_that_the_configuration_lists)
{
	const int none[ARRAY_SIZE(choices)] = { -1, -1, -1, -1, -1, -1, -1, -1 };
	const int homes[ARRAY_SIZE(choices)] = { 0, -1, -1, -1, -1, -1, -1, -1 };
	struct mapping_spec spec = tables_spec(choices[0].in, choices[0].out[0]);
	struct change_options options = {
		.drain_given = true, .drain = 50, .timed = true, .timed_in = spec.in, .timed_out = spec.out
	};

	run_with("");
	cr_assert(change(none, homes, 0));
	cr_assert(change(homes, none, 100));
	cr_assert(change_by(none, none, &options));
	cr_expect_eq(active.config->n_draining, 1);
	options.drain = 0;
	cr_assert(change_by(none, none, &options));
	cr_expect_eq(active.config->n_draining, 0);
}

Test(overlapping_changes, at_a_start_what_drains_gives_way_to_the_configuration)
{
	const int none[ARRAY_SIZE(choices)] = { -1, -1, -1, -1, -1, -1, -1, -1 };
	const int homes[ARRAY_SIZE(choices)] = { 0, -1, -1, -1, -1, -1, -1, -1 };
	struct mapping_spec spec = tables_spec("10.9.0.0/24", choices[0].out[0]);
	const struct change_options options = { 0 };
	_cleanup_config_ struct config *wanted = config_new();
	struct error err = { 0 };
	struct change_plan *p;

	run_with("");
	cr_assert(change(none, homes, 0));
	cr_assert(change(homes, none, 100));
	cr_assert_eq(mappings_next_retired(context.mappings, 0), 0, "the first of them all");
	cr_assert_eq(config_add_mapping(wanted, "", spec.in, spec.out), 0);
	cr_expect_neq(plan_new_with(&context, config_clone(wanted), 1, false, NULL, &options, &p, &err), 0);
	config_free(active.config);
	running_text_free(&active.text);
	active.config = NULL;
	cr_assert_eq(plan_new_with(&context, config_clone(wanted), 1, false, NULL, &options, &p, &err), 0, "%s",
		     err.text);
	change_plan_free(p);
}
