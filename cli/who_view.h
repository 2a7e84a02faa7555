/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers of `who`, as JSON and as text; the customer is in customer.h. */
#ifndef DETNATCTL_WHO_VIEW_H
#define DETNATCTL_WHO_VIEW_H

#include "who_reply.h"

/* "100.64.0.2 of ispA", or the address alone where there are no tenants. */
#define WHO_SUBSCRIBER_TEXT (ADDR_TEXT + 4 + LABEL_TEXT)
const char *who_subscriber(const struct who_holder *h, char text[static WHO_SUBSCRIBER_TEXT]);

/* "in_addr":…,"tenant":… if there is one,"mapping":…,"from":…,"to":…, and "grant":… of a granted block */
void who_print_holder(FILE *out, const struct who_holder *h);

/* ,"KEY":{"proto":…,"in":…,"from":…,"to":…} */
void who_print_portmap(FILE *out, const char *key, const struct portmap_interval *v);

/* "in_addr":…,"mapping":…, portmaps and other holders */
void who_print_answer(FILE *out, const struct who_answer *a);

/* "also":{...},"holders":[...], preceded by a comma, if there is more than the answer. */
void who_print_others(FILE *out, const struct who_answer *a);

/* ,"state_dir":…,"read_until":… */
void who_print_source(FILE *out, const struct who_source *s);

/* The word for an answer without a holder. */
const char *who_reason(enum who_result result);

/* An answer by the history, by a claim, or by none of them, as members of an object. */
void who_print_reply(FILE *out, const struct who_reply *r);

/* Shows a reply. known_until: TIME_NONE if it need not be shown. */
void who_show_json(struct writer *w, const struct who_reply *r, int64_t known_until, const struct who_source *source);
void who_show_claimed(struct writer *w, const struct who_reply *r, const struct who_source *source);
void who_show_text(struct writer *w, const struct who_reply *r, int64_t known_until, const struct who_source *source);
void who_show_others(struct writer *w, const struct who_answer *a, bool found);

/* If no subscriber held it at the end of that second, adds one that may have held it in the second. */
void who_add_other(const struct who_answer *a, struct error *why);

#endif
