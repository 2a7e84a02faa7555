// SPDX-License-Identifier: BSD-2-Clause
/* Looks at persons: which verbs are such, and which of them leave lines in an hour. */
#include <criterion/criterion.h>
#include <string.h>

#include "control/look_counts.h"
#include "proto/verbs.h"

/* All others look at a person, or act on one: a new verb does, or is added here. */
static const char *const about_nobody[] = {
	"mapping add",	  "mapping del",   "mapping set",  "mapping list",   "pool list",     "pool drain",
	"pool restore",	  "config save",   "plan",	   "plan check",     "plan diff",     "history verify",
	"verify",	  "leases import", "leases index", "leases expire",  "interface add", "interface del",
	"interface list", "timeouts show", "timeouts set", "timeouts reset", "ipfix show",    "ipfix set",
	"ipfix disable",  "ipfix flush",   "trace stop",   "peer list",	     "peer resync",   "check",
	"stats",	  "status",	   "reload",	   "confirm",	     "doctor",	      "import",
	"help",		  "version",
};

static bool is_about_nobody(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(about_nobody); i++)
		if (!strcmp(about_nobody[i], name))
			return true;
	return false;
}

Test(looks, each_verb_is_about_nobody_or_leaves_lines)
{
	size_t free = 0;

	for (unsigned v = 0; v < N_VERBS; v++) {
		bool nobody = is_about_nobody(verb_specs[v].name);

		free += nobody;
		cr_expect_neq(verb_specs[v].looks, nobody,
			      "%s: one that shows a person or acts on one has .looks in verbs.def", verb_specs[v].name);
	}
	cr_expect_eq(free, ARRAY_SIZE(about_nobody), "each name is one of a verb");
}

static struct look_counts counts;
static uint64_t told, lines;

static void tell(void *arg, const struct looked *q)
{
	told += q->more;
	lines++;
}

static struct look look(uint64_t asker, uint64_t question, bool refreshes)
{
	return (struct look){ .asker = asker, .question = question, .refreshes = refreshes, .kind = "user show" };
}

/* How many of n looks leave lines. */
static unsigned leave(struct look l, unsigned n)
{
	unsigned left = 0;

	for (unsigned i = 0; i < n; i++)
		if (look_due(&counts, &l) == LOOK_LINE) {
			look_noted(&counts, &l);
			left++;
		}
	return left;
}

Test(looks, what_is_asked_again_and_again_leaves_some_lines_and_a_number)
{
	look_counts_turn(&counts, 3600, tell, NULL);
	cr_expect_eq(leave(look(1, 1, false), 1000), LOOK_LINES);
	cr_expect_eq(leave(look(1, 2, false), 1), 1);
	cr_expect_eq(leave(look(2, 3, true), 1000), 1, "a page that refreshes itself");
	look_counts_turn(&counts, 7199, tell, NULL);
	cr_expect_eq(leave(look(1, 1, false), 1), 0);
	cr_expect_eq(lines, 0);
	look_counts_turn(&counts, 7200, tell, NULL);
	cr_expect(lines == 1 && told == 1001 - LOOK_LINES, "%lu", told);
	cr_expect_eq(leave(look(1, 1, false), 1), 1);
}

Test(looks, a_line_that_could_not_be_written_is_due_again)
{
	struct look l = look(1, 1, true);

	cr_expect_eq(look_due(&counts, &l), LOOK_LINE);
	cr_expect_eq(look_due(&counts, &l), LOOK_LINE);
	look_noted(&counts, &l);
	cr_expect_eq(look_due(&counts, &l), LOOK_COUNTED);
}

Test(looks, an_asker_with_very_many_is_refused_and_others_are_not)
{
	unsigned left = 0;
	struct look l;

	for (unsigned i = 0; i < 3 * LOOK_LINES_OF_ASKER; i++)
		left += leave(look(1, 10 + i, false), 1);
	cr_expect_eq(left, LOOK_LINES_OF_ASKER);
	l = look(1, 5, false);
	cr_expect_eq(look_due(&counts, &l), LOOK_REFUSED);
	cr_expect_eq(leave(look(2, 6, false), 1), 1);
	/* Askers that are made up share one place. */
	for (unsigned i = left = 0; i < 2 * LOOK_LINES_OF_ASKER; i++)
		left += leave(look(100 + i, 1000000 + i, true), 1);
	cr_expect_leq(left, LOOK_LINES_OF_ASKER + LOOK_ASKERS);
	look_counts_turn(&counts, 3600, tell, NULL);
	cr_expect_eq(leave(look(1, 5, false), 1), 1);
}
