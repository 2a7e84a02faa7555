/* SPDX-License-Identifier: BSD-2-Clause */
/* What the guard's table guards of IPv6 subscribers: each inside prefix once, with the NAT64 prefix of its mapping. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/virtual6.h"
#include "guard/guarded.h"

TestSuite(guarded, .init = virtual6_forget, .fini = virtual6_forget);

#define WELL_KNOWN ((struct address6){ 0x0064ff9b00000000ULL, 0 })
#define OWN	   ((struct address6){ 0x20010db800640000ULL, 0 })
#define SHIFTED	   ((struct address6){ 0x0064ff9b00000000ULL, 1ULL << 32 })

/* Adds a mapping with subscribers of /56 in a prefix. */
static void add_six(struct config *c, uint64_t hi, unsigned plen, struct address6 nat64, unsigned nat64_plen)
{
	const struct prefixes6 p = prefixes6_of(hi, plen, 56);
	struct prefix in;

	cr_assert_eq(virtual6_place(&p, &in), 0);
	cr_assert_eq(config_add_mapping(c, "", in, (struct prefix){ 0x01010000 + (uint32_t)c->n_mappings, 32, 0 }), 0);
	for (size_t i = 0; i < c->n_mappings; i++)
		if (prefix_equal(c->mappings[i].in, in))
			c->mappings[i].six =
				(struct config_six){ .subscriber_plen = 56, .nat64 = nat64, .nat64_plen = nat64_plen };
}

static void expect(const char *name, const struct guard_rules *r, size_t at, uint64_t hi, unsigned plen,
		   struct address6 nat64, unsigned nat64_plen)
{
	const struct guard_six *s = &r->six[at];

	cr_assert_lt(at, r->n_six, "%s: %zu", name, r->n_six);
	cr_expect(s->in.hi == hi && !s->in.lo && s->in_plen == plen, "%s: %lx/%u", name, s->in.hi, s->in_plen);
	cr_expect(address6_equal(&s->nat64, &nat64) && s->nat64_plen == nat64_plen, "%s: %lx %lx/%u", name, s->nat64.hi,
		  s->nat64.lo, s->nat64_plen);
}

#define OUTER 0x20010db840000000ULL
#define INNER 0x20010db840000000ULL /* begins as the one around it */
#define LATER 0x20010db84000f000ULL

/* The prefixes of one configuration, and those of another that are not in these already. */
static struct guard_rules rules_of(const struct config *running, const struct config *wanted)
{
	struct guard_rules r = { 0 };

	cr_assert_eq(guarded_prefixes(&r, running, wanted), 0);
	return r;
}

static void free_rules(struct guard_rules *r)
{
	free(r->inside);
	free(r->bypass);
	free(r->six);
}

Test(guarded, a_prefix_of_both_configurations_is_once)
{
	_cleanup_config_ struct config *running = config_new(), *wanted = config_new();
	struct guard_rules r;

	add_six(running, OUTER, 48, WELL_KNOWN, 96);
	add_six(wanted, OUTER, 48, WELL_KNOWN, 96);
	add_six(wanted, LATER, 52, WELL_KNOWN, 96);
	r = rules_of(running, wanted);
	cr_expect_eq(r.n_six, 1, "%zu", r.n_six);
	cr_expect_eq(r.n_inside, 0);
	expect("one", &r, 0, OUTER, 48, WELL_KNOWN, 96);
	free_rules(&r);
	r = rules_of(NULL, wanted);
	cr_expect_eq(r.n_six, 1);
	free_rules(&r);
}

Test(guarded, a_prefix_around_another_is_guarded_whole)
{
	_cleanup_config_ struct config *running = config_new(), *wanted = config_new();
	struct guard_rules r;

	add_six(running, INNER, 56, WELL_KNOWN, 96);
	add_six(wanted, OUTER, 48, WELL_KNOWN, 96);
	r = rules_of(running, wanted);
	cr_expect_eq(r.n_six, 2);
	expect("the inner", &r, 0, INNER, 56, WELL_KNOWN, 96);
	expect("the one around it", &r, 1, OUTER, 48, WELL_KNOWN, 96);
	free_rules(&r);
}

/* Of each NAT64 prefix, what comes from it is forged. */
Test(guarded, with_another_nat64_prefix_it_is_there_again)
{
	_cleanup_config_ struct config *running = config_new();
	struct config *wanted[3] = { config_new(), config_new(), config_new() };
	const struct address6 nat64[3] = { OWN, SHIFTED, WELL_KNOWN };
	const unsigned plen[3] = { 96, 96, 64 };

	add_six(running, OUTER, 48, WELL_KNOWN, 96);
	for (unsigned i = 0; i < 3; i++) {
		struct guard_rules r;

		add_six(wanted[i], OUTER, 48, nat64[i], plen[i]);
		r = rules_of(running, wanted[i]);
		cr_expect_eq(r.n_six, 2, "prefix %u", i);
		expect("the running one's", &r, 0, OUTER, 48, WELL_KNOWN, 96);
		expect("the other's", &r, 1, OUTER, 48, nat64[i], plen[i]);
		free_rules(&r);
		config_free(wanted[i]);
	}
}
