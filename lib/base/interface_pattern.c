/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/interface_pattern.h"

#include <string.h>

bool interface_is_any(const char *name)
{
	return !strcmp(name, INTERFACE_ANY);
}

bool interface_is_pattern(const char *name)
{
	return strchr(name, '*') && !interface_is_any(name);
}

bool interface_matches(const char *pattern, const char *name)
{
	const char *star = NULL, *resume = NULL;

	while (*name) {
		if (*pattern == '*') {
			star = ++pattern;
			resume = name;
		} else if (*pattern == *name) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star;
			name = ++resume;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}
