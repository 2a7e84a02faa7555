/* SPDX-License-Identifier: BSD-2-Clause */
/* Options that getopt_long() refuses. Its own message has them as they were typed, so opterr is 0. */
#ifndef DETNAT_OPTION_H
#define DETNAT_OPTION_H

#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/spelling.h"
#include "base/text.h"

/* Room for what is said of an option. */
#define OPTION_ROOM (QUOTED_ROOM + 64)

/* What is wrong with the option that was refused just now, and the one of `known`, which ends in {}, that is like it.
 */
static inline const char *option_refused(char *const *argv, const struct option *known, char ret[static OPTION_ROOM])
{
	char letter[] = { '-', (char)optopt, '\0' }, typed[SPELLING_MOST + 1];
	const char *word = argv[optind - 1];
	bool one_letter = optopt > 0 && optopt <= UCHAR_MAX && strncmp(word, "--", 2) != 0;
	size_t size = strcspn(word, "=");
	struct spelling s = {};

	snprintf(typed, sizeof(typed), "%.*s", size < sizeof(typed) ? (int)size : 0, word);
	for (; !strncmp(typed, "--", 2) && known->name; known++)
		spelling_offer(&s, typed + 2, known->name);
	/* A known one lacks its value, or has one that it does not take. */
	if (s.meant && s.distance)
		snprintf(ret, OPTION_ROOM, "%s is no option, but --%.32s is", QUOTED(word), s.meant);
	else
		snprintf(ret, OPTION_ROOM, "%s is no option or lacks its value", QUOTED(one_letter ? letter : word));
	return ret;
}

#endif
