/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether the files of leases and queries in a directory are what was written, by their hashes and the ledger. */
#ifndef DETNAT_CHAIN_VERIFY_H
#define DETNAT_CHAIN_VERIFY_H

#include "base/error.h"
#include "history/history_record.h"

/* Something that is wrong; `line` 0: with the file as a whole. */
typedef void (*chain_found)(void *arg, const char *file, uint64_t line, const char *text);

struct chain_state {
	uint64_t files;	      /* that are there */
	uint64_t lines;	      /* of them, without the ledger's */
	uint64_t ledger;      /* lines of the ledger */
	char hash[HASH_TEXT]; /* of its last line */
	uint64_t wrong;
};

/*
 * Checks the files of a directory, which may be a copy, and calls `found` for each fault. Returns 0, with ret->ledger 0
 * if there is no ledger and no such file; or -errno with err.
 */
int chain_verify(const char *dir, chain_found found, void *arg, struct chain_state *ret, struct error *err);

#endif
