/* SPDX-License-Identifier: BSD-2-Clause */
/* What the indexes of mappings find is what a look at all of them finds. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "config/near.h"

#define ROUNDS 200U
#define MOST   60U

static struct prefix any_prefix(void)
{
	uint8_t plen = (uint8_t)(24 + random() % 9);
	uint32_t base = 0x0a000000 + (uint32_t)random() % 1024, first = base & ~(uint32_t)((1ULL << (32 - plen)) - 1);

	return random() % 4 ? (struct prefix){ .base = first, .plen = plen }
			    : prefix_of(base, base + (uint32_t)random() % 100);
}

static void add_any(struct config *c)
{
	struct prefix in = any_prefix(), out = random() % 5 ? any_prefix() : PREFIX_NONE;

	if (config_add_mapping(c, random() % 2 ? "one" : "two", in, out))
		return;
	if (random() % 2)
		snprintf(c->mappings[c->n_mappings - 1].name, LABEL_TEXT, "m%ld", random() % 20);
	config_mappings_changed(c);
}

/* Compares the mappings found with those that a look at all finds. */
static void compare_near(const struct config *c, enum near_side side, struct prefix p)
{
	uint8_t found[MOST] = { 0 };
	const struct config_mapping *m;

	for (struct near n = near_begin(c, side, p); (m = near_next(&n));)
		found[m - c->mappings]++;
	for (size_t i = 0; i < c->n_mappings; i++)
		cr_assert_eq(found[i], prefixes_overlap(side == NEAR_IN ? c->mappings[i].in : c->mappings[i].out, p));
}

static void compare_named(const struct config *c, const char *name)
{
	const struct config_mapping *first = NULL;

	for (size_t i = c->n_mappings; i > 0; i--)
		if (!strcmp(c->mappings[i - 1].name, name))
			first = &c->mappings[i - 1];
	cr_assert_eq(config_find_named(c, name), first);
}

static void compare_all(const struct config *c)
{
	char name[LABEL_TEXT];

	for (unsigned i = 0; i < 20; i++) {
		compare_near(c, NEAR_IN, any_prefix());
		compare_near(c, NEAR_OUT, any_prefix());
		snprintf(name, sizeof(name), "m%u", i);
		compare_named(c, name);
	}
}

Test(config_near, finds_what_a_look_at_all_finds_while_mappings_come_and_go)
{
	_cleanup_config_ struct config *c = config_new();

	srandom(4);
	for (unsigned i = 0; i < ROUNDS; i++) {
		const struct config_mapping *m;

		while (c->n_mappings < MOST && random() % 8)
			add_any(c);
		compare_all(c);
		while (c->n_mappings && random() % 4) {
			m = &c->mappings[(size_t)random() % c->n_mappings];
			config_del_mapping_of(c, m->tenant, m->in, m->out);
			compare_all(c);
		}
	}
}

Test(config_near, a_copy_that_is_cut_short_finds_its_own)
{
	_cleanup_config_ struct config *c = config_new();
	struct config cut;

	for (uint32_t i = 0; i < 9; i++)
		cr_assert_eq(config_add_mapping(c, "", (struct prefix){ 0x0a000000 + i, 32 }, PREFIX_NONE), 0);
	cr_assert_not_null(config_find_inside(c, (struct prefix){ 0x0a000008, 32 }));
	cut = *c;
	cut.n_mappings = 1;
	cr_assert_null(config_find_inside(&cut, (struct prefix){ 0x0a000008, 32 }));
	cr_assert_not_null(config_find_inside(c, (struct prefix){ 0x0a000008, 32 }));
}

/* A copy has the indexes of its original until one of them is changed. */
Test(config_near, a_copy_and_its_original_find_their_own_whichever_changes)
{
	_cleanup_config_ struct config *c = config_new();

	srandom(5);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct config *copy, *changed;

		while (c->n_mappings < MOST && random() % 8)
			add_any(c);
		if (random() % 4)
			compare_all(c);
		copy = config_clone(c);
		changed = random() % 2 ? copy : c;
		if (random() % 2)
			compare_all(copy);
		while (changed->n_mappings && random() % 4) {
			const struct config_mapping *m = &changed->mappings[(size_t)random() % changed->n_mappings];

			config_del_mapping_of(changed, m->tenant, m->in, m->out);
		}
		while (changed->n_mappings < MOST && random() % 8)
			add_any(changed);
		compare_all(c);
		compare_all(copy);
		config_free(c);
		c = copy;
		compare_all(c);
	}
}
