/* SPDX-License-Identifier: BSD-2-Clause */
/* Outside addresses that have drained are not for other subscribers yet (RFC 6888 REQ-8). */
#include <criterion/criterion.h>

#include "config/config.h"

static struct prefix prefix(const char *text)
{
	struct prefix p;

	cr_assert_eq(prefix_parse(text, &p), 0);
	return p;
}

static const struct {
	const char *in, *out;
	int left_s;
	bool rests;
} cases[] = {
	{ "10.9.0.0/24", "1.1.1.0/30", 60, true },  { "10.9.0.0/24", "1.1.1.2/32", 60, true },
	{ "10.9.0.0/24", "1.1.0.0/16", 60, true },  { "10.0.0.0/24", "1.1.1.0/30", 60, false },
	{ "10.0.0.0/25", "1.1.1.0/30", 60, true },  { "10.0.0.0/24", "1.1.1.0/29", 60, true },
	{ "10.9.0.0/24", "1.1.2.0/30", 60, false }, { "10.9.0.0/24", "1.1.1.0/30", -1, false },
};

Test(config_rests, addresses_that_have_drained_go_to_others_later)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct config_rest rest = { .in = prefix("10.0.0.0/24"),
					    .out = prefix("1.1.1.0/30"),
					    .until_us =
						    monotonic_us() + (uint64_t)((int64_t)cases[i].left_s * 1000000) };
		struct config c = { .rests = &rest, .n_rests = 1 };
		const struct geometry plain = { 0 };
		const struct config_rest *found =
			config_find_rest(&c, "", prefix(cases[i].in), prefix(cases[i].out), &plain);

		cr_expect_eq(found != NULL, cases[i].rests, "%s to %s", cases[i].in, cases[i].out);
		cr_expect_leq(config_rest_left(&rest), 60);
	}
}

/* The same addresses of another tenant are those of other subscribers. */
Test(config_rests, a_mapping_of_another_tenant_is_another_one)
{
	struct config_rest rest = { .in = prefix("10.0.0.0/24"),
				    .out = prefix("1.1.1.0/30"),
				    .tenant = "ispA",
				    .until_us = monotonic_us() + 60 * 1000000ULL };
	struct config c = { .rests = &rest, .n_rests = 1 };
	const struct geometry plain = { 0 };

	cr_expect_null(config_find_rest(&c, "ispA", rest.in, rest.out, &plain));
	cr_expect_eq(config_find_rest(&c, "ispB", rest.in, rest.out, &plain), &rest);
	/* Of a time without tenants, it may be the same. */
	cr_expect_null(config_find_rest(&c, "", rest.in, rest.out, &plain));
}
