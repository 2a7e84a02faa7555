/* SPDX-License-Identifier: BSD-2-Clause */
/* What users of other tools type out of habit. */
#ifndef DETNAT_HABITS_H
#define DETNAT_HABITS_H

/* What to type instead of a command that is none, with its first argument if that explains it; NULL: not known. */
const char *habit_meant(const char *first, const char *second);

/* The verb of this tool that a word stands for, of this one or another: "list", "del"; NULL: it is no verb. */
const char *habit_verb(const char *word);

#endif
