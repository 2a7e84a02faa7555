/* SPDX-License-Identifier: BSD-2-Clause */
/* Options that getopt_long() refuses. Its own message has them as they were typed, so opterr is 0. */
#ifndef DETNAT_OPTION_H
#define DETNAT_OPTION_H

#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"

/* The option that was refused just now, quoted. */
static inline const char *option_refused(char *const *argv, char ret[static QUOTED_ROOM])
{
	char letter[] = { '-', (char)optopt, '\0' };

	bool one_letter = optopt > 0 && optopt <= UCHAR_MAX && strncmp(argv[optind - 1], "--", 2) != 0;

	return text_quoted(one_letter ? letter : argv[optind - 1], ret);
}

#endif
