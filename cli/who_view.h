/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers of `who`, as JSON and as text; the customer is in customer.h. */
#ifndef DETNATCTL_WHO_VIEW_H
#define DETNATCTL_WHO_VIEW_H

#include "customer.h"
#include "history/history_who.h"

/* The history that was read, and the leases. */
struct who_source {
	struct who *who;
	const char *dir;
	int64_t until; /* known until then; TIME_NONE: empty */
	struct customers customers;
};

/* "in_addr":…,"mapping":…, portmaps and other holders */
void who_print_answer(FILE *out, const struct who_answer *a);

/* "also":{...},"holders":[...], preceded by a comma, if there is more than the answer. */
void who_print_others(FILE *out, const struct who_answer *a);

/* ,"state_dir":…,"read_until":… */
void who_print_source(FILE *out, const struct who_source *s);

/* The word for an answer without a holder. */
const char *who_reason(enum who_result result);

/* Shows an answer. known_until: TIME_NONE if it need not be shown. */
void who_show_json(struct writer *w, enum who_result result, const struct who_answer *a, int64_t known_until,
		   const struct who_source *source, const struct customer *c);
void who_show_text(struct writer *w, const struct who_answer *a, int64_t known_until, const struct who_source *source,
		   const struct customer *c);
void who_show_others(struct writer *w, const struct who_answer *a, bool found);

/* If no subscriber held it at the end of that second, adds one that may have held it in the second. */
void who_add_other(const struct who_answer *a, struct error *why);

#endif
