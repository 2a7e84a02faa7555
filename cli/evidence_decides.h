/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lines of history and leases that decide an answer: with others withheld, the answer is the same, and without any
 * of these it is another one. What concerns the question is found by what the lines say; then each is left out in turn,
 * and stays out if the answer is the same without it.
 */
#ifndef DETNATCTL_EVIDENCE_DECIDES_H
#define DETNATCTL_EVIDENCE_DECIDES_H

#include <cjson/cJSON.h>

#include "history/history_read.h"
#include "leases/lease_evidence.h"

struct evidence_question {
	const struct history_files *files;
	const char *dir, *endpoint;
	int64_t t;
	const cJSON *args;  /* of the command */
	const char *leases; /* the directory of leases, NULL: none were asked */
	const char *answer; /* as JSON, from all that there is */
};

/* The answer as detnatctl prints it, or why there is none. The caller frees *ret. 0 or -ENOMEM. */
int evidence_answer(const struct evidence_question *q, bool json, char **ret);

/* How many seconds around that one an answer in JSON is about, each way. */
int64_t evidence_margin(const cJSON *answer);

/* Whether the answer is the same with another history, or with the leases in a file of evidence. */
bool evidence_same_history(const struct evidence_question *q, const char *text, size_t size);
bool evidence_same_leases(const struct evidence_question *q, int fd);

/* Whether the answer follows from claims, too. */
bool evidence_needs_claims(const struct evidence_question *q);

/*
 * Leaves out what may be left out. order: numbers of what is there, what should go first; keep: of each number, whether
 * it stays. same: whether what `keep` has is enough.
 */
void evidence_reduce(const size_t *order, size_t n, bool *keep, bool (*same)(void *arg), void *arg);

/* The text of history.jsonl: of the whole one, if nothing less gives the answer. 0 or -ENOMEM; the caller frees *ret.
 */
int evidence_history(const struct evidence_question *q, char **ret, size_t *ret_size);

/*
 * The text of grants.jsonl: of a text of history.jsonl, what its lines name in the files of days. 0 or -errno; the
 * caller frees *ret.
 */
int evidence_grants(const struct evidence_question *q, const char *text, size_t size, char **ret, size_t *ret_size);

/* The text of leases.jsonl. 0, or -errno with err; the caller frees *ret. */
int evidence_leases(const struct evidence_question *q, char **ret, size_t *ret_size, struct error *err);

#endif
