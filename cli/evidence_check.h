/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a directory of evidence is as it was made, and its answer follows from its lines. */
#ifndef DETNATCTL_EVIDENCE_CHECK_H
#define DETNATCTL_EVIDENCE_CHECK_H

#include <cjson/cJSON.h>

#include "command.h"
#include "evidence_check_leases.h"
#include "history/history_read.h"

enum evidence_kind {
	EVIDENCE_NONE,	/* a state directory */
	EVIDENCE_WHOLE, /* that of 1.0.0: the history, and all lines about the address */
	EVIDENCE_LINES, /* the lines that decide */
	EVIDENCE_LATER, /* of a later version */
};

struct evidence_check {
	enum evidence_kind kind;
	cJSON *faults; /* objects of file, line and text */
	struct evidence_leases leases;
	bool signature;
	char *answer; /* as text, from its lines; NULL: it has no question */
};

/* f: its history. The caller frees *ret. 0 or -errno with err. */
int evidence_check(const char *dir, const struct history_files *f, struct evidence_check *ret, struct error *err);
void evidence_check_free(struct evidence_check *c);
/* state: it says so of a state directory, too. */
void evidence_check_text(struct writer *w, const struct evidence_check *c, bool state);
void evidence_check_json(cJSON *json, const struct evidence_check *c);

#endif
