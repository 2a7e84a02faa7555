/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The texts of a directory of evidence: its question, and what people read. All of them follow from the other files, so
 * that verify makes them again and compares. Other words need another EVIDENCE_FORM.
 */
#ifndef DETNATCTL_EVIDENCE_TEXT_H
#define DETNATCTL_EVIDENCE_TEXT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "history/history_read.h"

#define EVIDENCE_ANSWER	 "answer.json"
#define EVIDENCE_VERSION "version.txt"
#define EVIDENCE_README	 "README.txt"
#define EVIDENCE_PAGE	 "README.html"
#define EVIDENCE_SUMS	 "SHA256SUMS"

/* What question.json says. Texts that are NULL are left out. */
struct evidence_case {
	const char *name, *endpoint;
	const char *user, *sudo_user, *for_whom, *reason;
	const char *gateway; /* its UUID */
	int64_t asked, t;
	double margin; /* seconds */
};

/* The text of question.json. The caller frees it. NULL: no memory. */
char *evidence_question_text(const struct evidence_case *c);

/* Reads it; the texts are those of the object. False: it lacks something. */
bool evidence_case_read(const cJSON *question, struct evidence_case *ret);

/*
 * The text of history.head: what the answer rests on, and nothing of the machine. The caller frees it. NULL: no memory.
 */
char *evidence_head_text(const struct history_head *h);

/* Whether evidence may have a file of this name. */
bool evidence_has_file(const char *name);

/*
 * The text of README.txt. answer: as text; sums: lines of SHA256SUMS of all files but those of this text. The caller
 * frees it. NULL: no memory.
 */
char *evidence_readme(const struct evidence_case *c, const char *version, const char *answer, const char *sums);

/* The same as 1.0.0 wrote it: what stands before the answer, and what ends the text. The caller frees both. 0 or
 * -ENOMEM. */
int evidence_readme_around(const struct evidence_case *c, const char *version, char **ret_head, char **ret_end);

/* The text of README.html. The caller frees it. NULL: no memory. */
char *evidence_page(const char *name, const char *readme);

#endif
