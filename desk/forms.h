/* SPDX-License-Identifier: BSD-2-Clause */
/* What the page sends, checked before detnatctl gets it as words: nothing here can become an option. Pure. */
#ifndef DETNAT_DESK_FORMS_H
#define DETNAT_DESK_FORMS_H

#include <stdbool.h>
#include <stddef.h>

#define FORM_LINES_MAX 100000U

/* A zone such as +01:00 or Europe/Berlin: 1 to 63 letters, digits and +-:/_ */
bool form_zone_valid(const char *zone);

/* Whether a text names a record of the history: its line, a dot, its hash. */
bool form_record_valid(const char *text);

/* A time of RFC 3339 with its zone. */
bool form_time_valid(const char *text);

/* A case: 1 to 64 letters, digits, dots, underscores and hyphens, a letter or digit first. */
bool form_case_valid(const char *text);

/* Lines that have more than blanks. The text may have any octets. */
size_t form_lines(const char *text, size_t size);

/* A question whose evidence is wanted. */
struct form_evidence {
	char name[65];	   /* of the case: letters, digits, dots, underscores and hyphens, a letter or digit first */
	char at[40];	   /* a time of RFC 3339 with its zone */
	char endpoint[32]; /* ADDR:PORT */
};

/* Reads "CASE TIME ADDR:PORT", one line. False: it is none. */
bool form_evidence_read(const char *text, size_t size, struct form_evidence *ret);

#endif
