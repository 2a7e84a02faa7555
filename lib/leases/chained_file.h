/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of JSON lines that only grow, chained by hashes as the history is: {"line":N,...,"hash":"..."}, each from 64
 * zeros.
 *
 * The ledger, chain.jsonl, is such a file too. Each growth of another file of its directory adds a line to it, which
 * has that file's lines, octets and last hash; so does each removal. A line that was changed, taken out or added, a
 * file that is gone, and an end that was cut off thus show. chain.head has the ledger's own end. Agent and command line
 * append under a lock.
 */
#ifndef DETNAT_CHAINED_FILE_H
#define DETNAT_CHAINED_FILE_H

#include "base/error.h"
#include "history/history_record.h"

#define CHAIN_FILE	"chain.jsonl"
#define CHAIN_HEAD_FILE "chain.head"

/* The desk notes its queries in a directory of its own, which detnat-desk.service makes beside the state directory. */
#define DESK_DIR "desk"

/* The end of a file. */
struct chain_tip {
	uint64_t line; /* number of the last line, 0: there is none */
	uint64_t size; /* octets */
	char hash[HASH_TEXT];
};

/*
 * Appends lines to a file of a directory, makes it if need be, and brings it and the ledger to the disk. bodies: the
 * members of each line without its number and hash, each ending with a newline. As a whole or not at all: what a full
 * disk took is taken back. An incomplete line that a crash left at the end is removed first. Returns 0, or -errno with
 * err: -EBADMSG if the file's last line is none of these.
 */
int chain_append(const char *dir, const char *file, const char *bodies, size_t size, int64_t now, struct error *err);

/* Removes a file, and says so in the ledger before. 0 or -errno with err. */
int chain_remove(const char *dir, const char *file, int64_t now, struct error *err);

/* The end of the ledger of a directory; line 0 if there is none. 0 or -errno. */
int chain_ledger_tip(const char *dir, struct chain_tip *ret);

/* The members of a line between its number and its hash; false: it has no such form. The text is that of the line. */
bool chain_body(const char *line, size_t size, const char **ret, size_t *ret_size);

#endif
