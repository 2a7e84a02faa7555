/* SPDX-License-Identifier: BSD-2-Clause */
/* A directory of evidence answers its own question, and no other. */
#ifndef DETNATCTL_EVIDENCE_GUARD_H
#define DETNATCTL_EVIDENCE_GUARD_H

#include <cjson/cJSON.h>

#include "history/history_read.h"

/* In question.json: the form of the directory. 1.0.0 says none, and has whole files. */
#define EVIDENCE_FORM 2U

/* No file of it has more octets. */
#define EVIDENCE_FILE_MAX (UINT64_C(1) << 32)

/* A file of a directory of evidence, of at most so many octets, with a NUL behind it. The caller frees it. NULL with
 * errno. */
char *evidence_read_text(const char *dir, const char *name, uint64_t most, size_t *ret_size);

/* Its question.json. The caller deletes it. NULL: there is none, or it is damaged. */
cJSON *evidence_read_question(const char *dir);

/*
 * Whether lines are withheld that another question may need, from the history in a directory. EXIT_DONE, or
 * EXIT_REFUSED with err. endpoint NULL: it is about more than one.
 */
int evidence_answers(const char *dir, const struct history_files *f, const char *endpoint, int64_t t, const cJSON *args,
		     struct error *err);

#endif
