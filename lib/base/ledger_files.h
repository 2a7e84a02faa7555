/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The chained files of a directory that begin anew each day or each month (UTC): leases-2026-01-31.jsonl,
 * queries-2026-01.jsonl. What is found out about one of them may be beside it in an index, leases.index-2026-01-31,
 * which goes with it.
 */
#ifndef DETNAT_LEDGER_FILES_H
#define DETNAT_LEDGER_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* X(constant, word, characters of the time in a name) */
#define LEDGER_KINDS(X)                \
	X(LEDGER_LEASES, "leases", 10) \
	X(LEDGER_GRANTS, "grants", 10) \
	X(LEDGER_QUERIES, "queries", 7)

enum ledger_kind {
#define X(constant, word, size) constant,
	LEDGER_KINDS(X)
#undef X
};

#define LEDGER_NAME 32

/* Writes the name of the file of a time. */
const char *ledger_file_name(enum ledger_kind kind, int64_t time, char ret[static LEDGER_NAME]);

/* Writes the name of a file's index. */
const char *ledger_index_name(const char *file, char ret[static LEDGER_NAME]);

/* Reads the first second of a file. 0, or -EINVAL: the name is none of the kind. */
int ledger_file_begin(enum ledger_kind kind, const char *name, int64_t *ret);

/* Whether a name is that of a file of any kind, or of its index. */
bool ledger_file_named(const char *name);
bool ledger_index_named(const char *name);

/* Names of files in order of time. Zero-initialised. */
struct ledger_names {
	char (*name)[LEDGER_NAME];
	size_t n;
};

/* Lists the files of a kind. 0, or -errno with err (may be NULL). The caller frees ret->name. */
int ledger_files_list(const char *dir, enum ledger_kind kind, struct ledger_names *ret, struct error *err);

#endif
