/* SPDX-License-Identifier: BSD-2-Clause */
/* Words that users of other tools type out of habit. */
#ifndef DETNAT_HABITS_H
#define DETNAT_HABITS_H

/* The command to propose for words that name none, with its first argument if that explains it; NULL: unknown. */
const char *habit_meant(const char *first, const char *second);

/* The verb of this tool for a word from this or another tool: "list", "del"; NULL: it is not a verb. */
const char *habit_verb(const char *word);

#endif
