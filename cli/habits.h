/* SPDX-License-Identifier: BSD-2-Clause */
/* What users of other tools type out of habit. */
#ifndef DETNAT_HABITS_H
#define DETNAT_HABITS_H

#include <stdbool.h>

/* What to type instead of a command that is none, with its first argument if that explains it; NULL: not known. */
const char *habit_meant(const char *first, const char *second);

/* Whether the word is a verb, of this tool or another, which has no place in front. */
bool habit_is_verb(const char *word);

#endif
