/* SPDX-License-Identifier: BSD-2-Clause */
/* The word that may be meant, among those offered, and what is said of an option that there is not. */
#include <criterion/criterion.h>

#include "base/base.h"
#include "base/option.h"

static const struct {
	const char *typed, *meant;
} words[] = {
	{ "hairpin", "hairpin" },
	{ "hairpni", "hairpin" },  /* swapped */
	{ "hairpin_", "hairpin" }, /* added */
	{ "hapin", "hairpin" },	   /* omitted */
	{ "udq", "udp" },	   /* changed */
	{ "uqp", "udp" },
	{ "stauts", "status" }, /* as near to stats, but of its length */
	{ "xx", NULL },		/* of two letters each other word is like it */
	{ "hpn", NULL },
	{ "", NULL },
	{ "in a word of more than forty octets and no other", NULL },
};

Test(spelling, meant)
{
	static const char *const offered[] = { "in", "stats", "status", "udp", "hairpin" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct spelling s = {};

		for (size_t k = 0; k < ARRAY_SIZE(offered); k++)
			spelling_offer(&s, words[i].typed, offered[k]);
		cr_assert_eq(!s.meant, !words[i].meant, "%s: %s", words[i].typed, s.meant ? s.meant : "none");
		cr_assert(!s.meant || !strcmp(s.meant, words[i].meant), "%s: %s", words[i].typed, s.meant);
	}
}

static const struct {
	char *typed;
	const char *said;
} refused[] = {
	{ "--confgi", "\"--confgi\" is no option, but --config is" },
	{ "--confgi=x", "\"--confgi=x\" is no option, but --config is" },
	{ "--frob", "\"--frob\" is no option or lacks its value" },
	{ "--config", "\"--config\" is no option or lacks its value" },
	{ "-x", "\"-x\" is no option or lacks its value" },
};

Test(spelling, options)
{
	static const struct option known[] = { { "config", required_argument, NULL, 'c' }, {} };

	opterr = 0;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		char *argv[] = { "program", refused[i].typed, NULL }, text[OPTION_ROOM];

		optind = 0;
		cr_assert_eq(getopt_long(2, argv, "c:", known, NULL), '?');
		cr_assert_str_eq(option_refused(argv, known, text), refused[i].said);
	}
}
