// SPDX-License-Identifier: BSD-2-Clause
/* Which portmaps of the datapath a change of few addresses looks at, beside many others. */
#include <arpa/inet.h>
#include <criterion/criterion.h>

#include "config/port_pairs.h"
#include "plan_apart.h"
#include "tables/portmap_table.h"

#define OTHERS 4U

static const struct endpoint out_of_a = { 0x01010100, 443 };

/* A configuration with portmaps of another subscriber of the mapping, too. */
static struct config *config_among_others(const char *letters)
{
	struct config *c = config_with(letters);

	for (uint16_t i = 0; i < OTHERS; i++) {
		const struct config_portmap other = {
			.protos = PORTMAP_OF_UDP, .in = { 0x0a000004, (uint16_t)(8000 + i), (uint16_t)(8000 + i) }
		};

		cr_assert_eq(config_add_portmap(c, &other), 0);
	}
	return c;
}

static void change_to(const char *letters)
{
	_cleanup_config_ struct config *c = config_among_others(letters);
	struct error err = { 0 };
	struct change_plan *p;

	cr_assert_eq(plan_new(&context, c, 1, false, NULL, &p, &err), 0, "%s", err.text);
	cr_assert_eq(prepare(p, 0, &err), PLAN_READY, "%s", err.text);
	cr_assert_eq(plan_commit(p, &err), 0, "%s", err.text);
	change_plan_free(p);
}

static struct portmap lease_of(uint32_t in_addr)
{
	return (struct portmap){ .in = { in_addr, 80 },
				 .out = { 0x01010100, 1500 },
				 .proto = IPPROTO_TCP,
				 .origin = PORTMAP_PCP,
				 .expires_s = 1000 };
}

Test(plan_portmaps, the_one_that_changes_goes_and_comes_and_the_others_stay, .init = plan_set_up)
{
	run_with("a");
	change_to("a@");
	cr_expect_not_null(portmaps_by_out(context.portmaps, IPPROTO_TCP, out_of_a));
	cr_expect_eq(portmaps_count(context.portmaps, PORTMAP_STATIC), OTHERS + 1);
	change_to("a");
	cr_expect_null(portmaps_by_out(context.portmaps, IPPROTO_TCP, out_of_a));
	cr_expect_eq(portmaps_count(context.portmaps, PORTMAP_STATIC), OTHERS);
	change_to("a@");
	cr_expect_not_null(portmaps_by_out(context.portmaps, IPPROTO_TCP, out_of_a));
}

/* Its outside port is no longer its subscriber's: port 1500 belongs to 10.0.0.1. */
Test(plan_portmaps, a_lease_of_the_address_is_looked_at_too, .init = plan_set_up)
{
	const struct portmap here = lease_of(0x0a000003), elsewhere = lease_of(0x0a000005);

	run_with("a");
	change_to("a");
	cr_assert_eq(portmaps_put(context.portmaps, &elsewhere), 0);
	change_to("a@");
	cr_expect_eq(portmaps_count(context.portmaps, PORTMAP_PCP), 1, "that of another address is not looked at");
	cr_assert_eq(portmaps_del(context.portmaps, IPPROTO_TCP, elsewhere.out), 0);
	cr_assert_eq(portmaps_put(context.portmaps, &here), 0);
	change_to("a");
	cr_expect_eq(portmaps_count(context.portmaps, PORTMAP_PCP), 0);
}
