/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of interfaces with `*`. */
#include <criterion/criterion.h>
#include <net/if_arp.h>
#include <string.h>

#include "base/interface_pattern.h"
#include "links/interfaces_patterns.h"

Test(patterns, a_star_matches_any_number_of_characters)
{
	static const struct {
		const char *pattern, *name;
		bool matches;
	} rows[] = {
		{ "ppp*", "ppp0", true },	  { "ppp*", "ppp", true },	 { "ppp*", "pp0", false },
		{ "ppp*", "xppp0", false },	  { "*.100", "eth0.100", true }, { "*.100", "eth0.1001", false },
		{ "eth*.100", "eth1.100", true }, { "a*b*c", "aXbYc", true },	 { "a*b*c", "abbbc", true },
		{ "a*b*c", "acb", false },	  { "*a", "aaaa", true },	 { "a**", "a", true },
		{ "eth0", "eth0", true },	  { "eth0", "eth01", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_eq(interface_matches(rows[i].pattern, rows[i].name), rows[i].matches, "%s and %s",
			     rows[i].pattern, rows[i].name);
}

Test(patterns, a_star_alone_is_no_pattern)
{
	cr_expect(interface_is_any("*"));
	cr_expect_not(interface_is_pattern("*"));
	cr_expect(interface_is_pattern("ppp*"));
	cr_expect_not(interface_is_pattern("ppp0"));
}

static const struct config_interface wanted[] = {
	{ .name = "*", .roles = DEVICE_INSIDE },
	{ .name = "p*", .roles = DEVICE_INSIDE },
	{ .name = "ppp*", .roles = DEVICE_OUTSIDE },
	{ .name = "eth0", .roles = DEVICE_OUTSIDE },
};

static const char *stands_for(struct link l)
{
	const struct config_interface *pattern = pattern_for(wanted, ARRAY_SIZE(wanted), &l);

	return pattern ? pattern->name : "none";
}

Test(patterns, the_longest_that_matches_stands_for_a_link)
{
	cr_expect_str_eq(stands_for((struct link){ .ifindex = 5, .name = "ppp0" }), "ppp*");
	cr_expect_str_eq(stands_for((struct link){ .ifindex = 5, .name = "pon" }), "p*");
	cr_expect_str_eq(stands_for((struct link){ .ifindex = 5, .name = "eth0" }), "none");
}

Test(patterns, a_link_in_a_vrf_is_an_interface_of_its_own)
{
	cr_expect_str_eq(stands_for((struct link){ .ifindex = 5, .name = "ppp0", .port_kind = "vrf", .master = 4 }),
			 "ppp*");
}

Test(patterns, a_link_that_is_no_interface_of_its_own_matches_nothing)
{
	cr_expect_str_eq(stands_for((struct link){ .ifindex = 1, .name = "plo", .type = ARPHRD_LOOPBACK }), "none");
	cr_expect_str_eq(stands_for((struct link){ .ifindex = 5, .name = "ppp0", .port_kind = "bridge" }), "none");
	cr_expect_str_eq(stands_for((struct link){ .ifindex = MAX_IFINDEX, .name = "ppp0" }), "none");
}

static const char *names_of(const struct config *c, char text[static 128])
{
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < c->n_interfaces; i++)
		n += (size_t)snprintf(text + n, 128 - n, " %s", c->interfaces[i].name);
	return text;
}

Test(patterns, a_configuration_is_expanded_to_what_is_there)
{
	static const struct link links[] = {
		{ .ifindex = 1, .name = "lo", .type = ARPHRD_LOOPBACK },
		{ .ifindex = 2, .name = "eth0" },
		{ .ifindex = 3, .name = "ppp0" },
		{ .ifindex = 4, .name = "ppp1" },
		{ .ifindex = 5, .name = "other" },
	};
	const struct link_list all = { links, ARRAY_SIZE(links) };
	struct config *c = config_new(), *expanded;
	char text[128];

	cr_assert_eq(config_add_interface(c, "*", DEVICE_INSIDE), 0);
	cr_assert_eq(config_add_interface(c, "p*", DEVICE_INSIDE), 0);
	cr_assert_eq(config_add_interface(c, "ppp1", DEVICE_OUTSIDE), 0);
	expanded = patterns_expand(c, &all);
	cr_expect_str_eq(names_of(expanded, text), " ppp1 ppp0");
	cr_expect_eq(config_find_interface(expanded, "ppp0")->roles, DEVICE_INSIDE);
	cr_expect_eq(config_inside_from(c), INSIDE_ANY);
	cr_expect_eq(config_inside_from(expanded), INSIDE_NAMED);
	config_free(expanded);
	config_del_interface(c, "*", DEVICE_INSIDE);
	cr_expect_eq(config_inside_from(c), INSIDE_BEYOND);
	config_free(c);
}
