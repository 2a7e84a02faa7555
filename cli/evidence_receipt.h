/* SPDX-License-Identifier: BSD-2-Clause */
/* A receipt: what whoever complained may be told of an answer. It has nobody's data. */
#ifndef DETNATCTL_EVIDENCE_RECEIPT_H
#define DETNATCTL_EVIDENCE_RECEIPT_H

#include <stdint.h>

#include "evidence_files.h"
#include "writer.h"

enum receipt_result {
	RECEIPT_IDENTIFIED,
	RECEIPT_NOT_KNOWN,
	RECEIPT_NO_PORT,
};

struct receipt {
	const char *name, *endpoint; /* the case, and what was asked about */
	int64_t t, now;		     /* of when, and when it was asked */
	enum receipt_result result;
	char sums[SHA256_TEXT]; /* the SHA-256 of SHA256SUMS; "": there is no evidence */
};

/* By an answer in JSON to a question with a port. */
enum receipt_result receipt_result_of(const char *answer);

/* On one line. The caller frees it with cJSON_free(). NULL: no memory. */
char *receipt_json(const struct receipt *r);
void receipt_print(struct writer *w, const struct receipt *r);

#endif
