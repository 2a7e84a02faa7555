/* SPDX-License-Identifier: BSD-2-Clause */
/* Which number of stages the facts lead to, and what is said of it. */
#include <criterion/criterion.h>

#include "change/stages_choice.h"

#define MIB ((uint64_t)1 << 20)

static const struct {
	const char *name;
	struct stages_facts facts;
	uint8_t stages;
	bool wanting;
	const char *reason;
} rows[] = {
	{ "large", { .slots = 4096 * MIB, .redirect = true, .obstacle = "" }, 2, false, "slots take 4096 MiB" },
	{ "just large enough", { .slots = 16 * MIB, .redirect = true, .obstacle = "" }, 2, false, "slots take 16 MiB" },
	{ "an octet less",
	  { .slots = 16 * MIB - 1, .redirect = true, .obstacle = "" },
	  1,
	  false,
	  "slots take 15 MiB, two stages pay from 16 MiB on" },
	{ "no mapping",
	  { .redirect = true, .obstacle = "" },
	  1,
	  false,
	  "slots take 0 MiB, two stages pay from 16 MiB on" },
	{ "an obstacle, whatever the size",
	  { .slots = 16 * MIB, .redirect = true, .obstacle = "x is in the way" },
	  1,
	  false,
	  "x is in the way" },
	{ "the kernel forwards, and asks for no interface",
	  { .slots = 16 * MIB, .obstacle = "x is in the way" },
	  1,
	  false,
	  "the kernel forwards" },
	{ "set to 1", { .wanted = 1, .slots = 16 * MIB, .redirect = true, .obstacle = "x" }, 1, false, "set to 1" },
	{ "set to 2, however small", { .wanted = 2, .redirect = true, .obstacle = "" }, 2, false, "set to 2" },
	{ "set to 2, which cannot be had",
	  { .wanted = 2, .redirect = true, .obstacle = "x is in the way" },
	  1,
	  true,
	  "x is in the way" },
	{ "set to 2 where the kernel forwards", { .wanted = 2, .obstacle = "" }, 1, true, "the kernel forwards" },
	{ "one direction",
	  { .wanted = 2, .redirect = true, .obstacle = "", .outside_one = "the other has one" },
	  2,
	  false,
	  "set to 2; the other has one" },
};

Test(stages_choice, follows_from_the_facts)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct stages_choice c;

		stages_choose(&rows[i].facts, &c);
		cr_expect_eq(c.stages, rows[i].stages, "%s", rows[i].name);
		cr_expect_eq(c.wanting, rows[i].wanting, "%s", rows[i].name);
		cr_expect_str_eq(c.reason, rows[i].reason, "%s", rows[i].name);
	}
}
