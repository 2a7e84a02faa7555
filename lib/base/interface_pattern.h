/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of interfaces with `*`, which stand for all interfaces that match. */
#ifndef DETNAT_INTERFACE_PATTERN_H
#define DETNAT_INTERFACE_PATTERN_H

#include <stdbool.h>

/* Stands for wherever a packet comes from. */
#define INTERFACE_ANY "*"

bool interface_is_any(const char *name);

/* Whether a name stands for all interfaces that match; "*" alone does not. */
bool interface_is_pattern(const char *name);

/* `*` in a pattern matches any number of characters, none included. */
bool interface_matches(const char *pattern, const char *name);

#endif
