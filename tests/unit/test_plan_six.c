/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A change of a mapping of IPv6 subscribers: which keep its sessions, which change it in place, and which end them, as
 * its subscribers get other addresses or their hosts other lines.
 */
#include <criterion/criterion.h>

#include "base/virtual6.h"
#include "plan_apart.h"

#define INSIDE	   0x20010db840000000ULL
#define WELL_KNOWN 0x0064ff9b00000000ULL

static struct prefix in;
static uint32_t udp_timeout; /* of the configurations; a change looks at all mappings for it */

static void set_up(void)
{
	const struct prefixes6 p = prefixes6_of(INSIDE, 48, 56);

	plan_set_up();
	cr_assert_eq(virtual6_place(&p, &in), 0);
}

TestSuite(plan_six, .init = set_up);

static const struct config_six as_it_is = {
	.subscriber_plen = 56, .nat64_plen = 96, .nat64 = { WELL_KNOWN, 0 }, .hosts = 12, .lowest_mtu = 1280
};

static struct config *config_of(const struct config_six *six)
{
	struct config *c = config_new();

	cr_assert_eq(config_add_mapping(c, "", in, tables_spec("10.0.0.0/24", "1.1.1.0/28").out), 0);
	c->mappings[0].six = *six;
	if (udp_timeout)
		c->timeouts[TIMEOUT_UDP] = udp_timeout;
	return c;
}

static struct change_plan *plan_of(const struct config_six *six)
{
	const struct change_options none = { 0 };
	struct change_plan *p;
	struct error err = { 0 };

	cr_assert_eq(plan_new_with(&context, config_of(six), 1, false, NULL, &none, &p, &err), 0, "%s", err.text);
	return p;
}

/* Carries it out. */
static void run(const struct config_six *six)
{
	struct change_plan *p = plan_of(six);
	struct error err = { 0 };

	cr_assert_eq(prepare(p, 0, &err), 0, "%s", err.text);
	cr_assert_eq(plan_commit(p, &err), 0, "%s", err.text);
	datapath.settings = p->settings;
	change_plan_free(p);
	datapath.reused = true;
	forget_calls();
}

enum becomes { STAYS, CHANGES, ANOTHER };

static void expect(const char *name, const struct config_six *six, enum becomes what)
{
	struct change_plan *p = plan_of(six);

	cr_expect_eq(p->n_del, what == ANOTHER, "%s: %zu deleted", name, p->n_del);
	cr_expect_eq(p->n_add, what == ANOTHER, "%s: %zu added", name, p->n_add);
	cr_expect_eq(p->n_update, what == CHANGES, "%s: %zu changed", name, p->n_update);
	change_plan_free(p);
}

Test(plan_six, keys_that_change_in_place_and_keys_that_do_not)
{
	struct config_six six[10];

	for (unsigned i = 0; i < 10; i++)
		six[i] = as_it_is;
	run(&as_it_is);
	expect("nothing", &six[0], STAYS);
	six[1].hosts = 16;
	expect("hosts, within their lines", &six[1], CHANGES);
	six[2].hosts = 17;
	expect("hosts, of more lines", &six[2], ANOTHER);
	six[3].hosts = 8;
	expect("hosts, of fewer lines", &six[3], ANOTHER);
	six[4].lowest_mtu = 1400;
	expect("the lowest MTU", &six[4], CHANGES);
	six[5].nat64 = (struct address6){ 0x20010db800640000ULL, 0 };
	expect("another prefix", &six[5], ANOTHER);
	six[6].nat64.lo = 1ULL << 32;
	expect("another prefix by its last bits", &six[6], ANOTHER);
	six[7].nat64_plen = 64;
	expect("a shorter prefix with the same bits", &six[7], ANOTHER);
	six[8] = (struct config_six){ 0 };
	expect("of IPv4", &six[8], ANOTHER);
}

/* Where the same virtual addresses have come to mean others. */
Test(plan_six, other_inside_prefixes_are_another_mapping)
{
	const struct prefixes6 other = prefixes6_of(0x20010db850000000ULL, 48, 56);
	const struct prefixes6 shorter = prefixes6_of(INSIDE, 52, 60);

	run(&as_it_is);
	udp_timeout = 1000;
	expect("another timeout", &as_it_is, CHANGES);
	virtual6_forget();
	cr_assert_eq(virtual6_claim(&other, in.base), 0);
	expect("another prefix", &as_it_is, ANOTHER);
	virtual6_forget();
	cr_assert_eq(virtual6_claim(&shorter, in.base), 0);
	expect("subscribers of another length", &as_it_is, ANOTHER);
}
