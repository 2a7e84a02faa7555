/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether the files of leases and queries in a directory are what was written, by their hashes and the ledger. */
#ifndef DETNAT_LEDGER_VERIFY_H
#define DETNAT_LEDGER_VERIFY_H

#include "base/chain.h"
#include "base/error.h"

/* Something that is wrong, or that a line was erased; `line` 0: with the file as a whole. */
typedef void (*ledger_found)(void *arg, const char *file, uint64_t line, bool erased, const char *text);

struct ledger_state {
	uint64_t files;	      /* that are there */
	uint64_t lines;	      /* of them, without the ledger's */
	uint64_t ledger;      /* lines of the ledger */
	char hash[HASH_TEXT]; /* of its last line */
	uint64_t wrong;
	uint64_t erased; /* lines that were, as the ledger says */
};

/*
 * Checks the files of a directory, which may be a copy, as they are at one moment, and calls `found` for each fault and
 * each erased line. Returns 0, with ret->ledger 0 if there is no ledger and no such file; or -errno with err.
 */
int ledger_verify(const char *dir, ledger_found found, void *arg, struct ledger_state *ret, struct error *err);

#endif
