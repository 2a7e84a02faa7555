/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of interfaces with `*`, which match several interfaces. */
#ifndef DETNAT_INTERFACE_PATTERN_H
#define DETNAT_INTERFACE_PATTERN_H

#include <stdbool.h>

/* Matches any interface that a packet comes from. */
#define INTERFACE_ANY "*"

bool interface_is_any(const char *name);

/* Whether a name matches several interfaces; "*" alone does not count. */
bool interface_is_pattern(const char *name);

/* `*` in a pattern matches any number of characters, none included. */
bool interface_matches(const char *pattern, const char *name);

#endif
