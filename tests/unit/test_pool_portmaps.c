/* SPDX-License-Identifier: BSD-2-Clause */
/* Portmaps of addresses that are drained, and portmaps deleted by name. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "config/pools.h"
#include "config/port_pairs.h"

static struct prefix prefix(const char *text)
{
	struct prefix p;

	cr_assert_eq(prefix_parse(text, &p), 0, "%s", text);
	return p;
}

/* 64 inside addresses behind each of 16 outside ones, and four spare ones. */
static struct config *residential(void)
{
	struct config *c = config_new();

	config_add_interface(c, "eth1", DEVICE_INSIDE);
	config_add_interface(c, "eth0", DEVICE_OUTSIDE);
	config_add_mapping(c, "", prefix("100.64.0.0/22"), prefix("203.0.113.0/28"));
	c->mappings[0].spare[c->mappings[0].n_spare++] = prefix("198.51.100.0/30");
	return c;
}

static void expect_valid(const struct config *c)
{
	struct error err = { "" };

	cr_expect_eq(config_validate(c, NULL, &err), 0, "%s", err.text);
}

/* Drains 203.0.113.3, behind which are 100.64.0.192/26, to 198.51.100.0. */
static void drain(struct config *c)
{
	struct error err = { "" };
	struct pool_edit edit;

	cr_assert_eq(pool_drain(c, prefix("203.0.113.3/32"), NULL, 60, NULL, &edit, &err), 0, "%s", err.text);
}

/* Adds a portmap of tcp; out: NULL: the port of the plan. */
static void add_portmap(struct config *c, const char *name, const char *in, const char *out)
{
	struct config_portmap m = { .protos = PORTMAP_OF_TCP };

	cr_assert_eq(span_parse(in, &m.in), 0);
	if (out)
		cr_assert_eq(span_parse(out, &m.out), 0);
	strcpy(m.name, name);
	cr_assert_eq(config_add_portmap(c, &m), 0);
}

/* With portmaps at the address that is drained, at one that stays, and of the plan. */
static struct config *with_portmaps(void)
{
	struct config *c = residential();

	add_portmap(c, "web", "100.64.0.193:80", "203.0.113.3:80");
	add_portmap(c, "", "100.64.0.194:8000-8009", "203.0.113.3:800-809");
	add_portmap(c, "stays", "100.64.0.1:80", "203.0.113.0:80");
	add_portmap(c, "plan", "100.64.0.195:3074", NULL);
	expect_valid(c);
	drain(c);
	return c;
}

Test(pool_portmaps, portmaps_of_a_drained_address_are_in_the_way_and_named_all)
{
	_cleanup_config_ struct config *c = with_portmaps();
	struct error err = { "" };
	uint32_t n = 7;

	cr_expect_eq(pool_portmaps(c, PORTMAPS_IN_THE_WAY, "do this", &n, &err), -EEXIST);
	cr_expect_str_eq(err.text,
			 "portmaps name addresses that their subscribers lose: web (tcp 203.0.113.3:80), "
			 "tcp 203.0.113.3:800-809; do this",
			 "%s", err.text);
	cr_expect_eq(n, 7);
}

Test(pool_portmaps, so_many_that_a_message_does_not_hold_them_are_counted)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };
	uint32_t n;

	for (unsigned i = 1; i <= 50; i++) {
		char in[32], out[32];

		snprintf(in, sizeof(in), "100.64.0.193:%u", i);
		snprintf(out, sizeof(out), "203.0.113.3:%u", i);
		add_portmap(c, "", in, out);
	}
	drain(c);
	cr_expect_eq(pool_portmaps(c, PORTMAPS_IN_THE_WAY, "do this", &n, &err), -EEXIST);
	cr_expect(strstr(err.text, " more; do this"), "%s", err.text);
}

Test(pool_portmaps, portmaps_move_to_the_same_ports_of_the_new_address_and_back)
{
	_cleanup_config_ struct config *c = with_portmaps();
	struct error err = { "" };
	struct pool_edit edit;
	uint32_t n = 0;

	cr_assert_eq(pool_portmaps(c, PORTMAPS_MOVE, "", &n, &err), 0);
	cr_expect_eq(n, 2);
	cr_expect_eq(c->n_portmaps, 4);
	cr_expect_eq(c->portmaps[0].out.addr, prefix("198.51.100.0/32").base);
	cr_expect_eq(c->portmaps[0].out.first, 80);
	cr_expect_eq(c->portmaps[1].out.addr, prefix("198.51.100.0/32").base);
	cr_expect_eq(c->portmaps[1].out.last, 809);
	cr_expect_eq(c->portmaps[2].out.addr, prefix("203.0.113.0/32").base);
	expect_valid(c);
	cr_assert_eq(pool_restore(c, prefix("203.0.113.3/32"), &edit, &err), 0, "%s", err.text);
	cr_assert_eq(pool_portmaps(c, PORTMAPS_MOVE, "", &n, &err), 0);
	cr_expect_eq(n, 2);
	cr_expect_eq(c->portmaps[0].out.addr, prefix("203.0.113.3/32").base);
	expect_valid(c);
}

Test(pool_portmaps, portmaps_can_be_deleted_with_a_drain)
{
	_cleanup_config_ struct config *c = with_portmaps();
	struct error err = { "" };
	uint32_t n = 0;

	cr_assert_eq(pool_portmaps(c, PORTMAPS_DELETE, "", &n, &err), 0);
	cr_expect_eq(n, 2);
	cr_assert_eq(c->n_portmaps, 2);
	cr_expect_str_eq(c->portmaps[0].name, "stays");
	cr_expect_str_eq(c->portmaps[1].name, "plan");
	expect_valid(c);
}

Test(pool_portmaps, a_portmap_is_deleted_by_a_name_that_it_alone_has)
{
	_cleanup_config_ struct config *c = with_portmaps();
	struct error err = { "" };

	cr_expect_eq(config_del_portmap_named(c, "nobody", &err), -ENOENT);
	cr_expect_str_eq(err.text, "there is no portmap named nobody; `detnatctl portmap list` shows them");
	cr_expect_eq(config_del_portmap_named(c, "web", &err), 0);
	cr_assert_eq(c->n_portmaps, 3);
	cr_expect_str_eq(c->portmaps[1].name, "stays");
	add_portmap(c, "stays", "100.64.0.2:81-82", "203.0.113.0:81-82");
	cr_expect_eq(config_del_portmap_named(c, "stays", &err), -EEXIST);
	cr_expect_str_eq(err.text,
			 "2 portmaps are named stays; name one by its protocol and outside port: "
			 "tcp 203.0.113.0:80, tcp 203.0.113.0:81-82",
			 "%s", err.text);
	cr_expect_eq(c->n_portmaps, 4);
}
