/* SPDX-License-Identifier: BSD-2-Clause */
/* Forms in which systems print one and the same plan: what comes of each, what is named, what is lost. */
#ifndef DETNAT_TEST_IMPORT_FORMS_H
#define DETNAT_TEST_IMPORT_FORMS_H

#include "import/import.h"

#define KIND(k) (1U << (k))

struct form {
	const char *name;
	enum import_format format;
	const char *text;
	size_t subscribers;
	uint32_t lost;	/* kinds of notes of what is lost, and no others */
	uint32_t named; /* kinds of other notes, at least */
	struct {
		const char *in, *out;
		unsigned lo, hi;
	} e[3];
	const char *written; /* in the configuration */
};

/* Every accepted plan is kept whole, by the importer's own proof. */
void expect_forms(const struct form *forms, size_t n);

#endif
