/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_IMPORT_CLAIM_H
#define DETNAT_IMPORT_CLAIM_H

#include "history/history_claims.h"
#include "import/import.h"

/*
 * Writes the plan of another system, with its own blocks, to the claims of a state directory, and says so on standard
 * error. m has been read, and not been fitted yet. 0, or -errno with err and nothing written.
 */
int import_claim(struct import *m, const char *dir, const struct claim_origin *origin, struct error *err);

#endif
