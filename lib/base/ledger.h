/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A directory of chained files, and its ledger, chain.jsonl, which is one, too. Each growth of a file adds a line to
 * the ledger, which has that file's lines, octets and last hash; so does each removal, and each erasure of lines. A
 * line that was changed, taken out or added, a file that is gone, and an end that was cut off thus show. chain.head has
 * the ledger's own end. Agent and command line append under a lock.
 *
 * `erase` has the number of all lines that are erased in the file then.
 *
 * The ledger vouches for what its writers wrote, and for nothing else. While a file is written, chain.head says from
 * which of its lines on: what a crash left of that, the next writer takes back. Other lines that the ledger does not
 * have are entered as `found`.
 */
#ifndef DETNAT_LEDGER_H
#define DETNAT_LEDGER_H

#include "base/chain.h"
#include "base/error.h"
#include "base/ledger_files.h"

#define LEDGER_FILE	 "chain.jsonl"
#define LEDGER_HEAD_FILE "chain.head"

/* The desk notes its queries in a directory of its own, which detnat-desk.service makes beside the state directory. */
#define DESK_DIR "desk"

/* The lines `grow` and `remove` are of format 1, and do not say so; `found` and `erase` are of format 2. */
#define LEDGER_FORMAT 2U

/*
 * Appends lines to a file of a directory, makes it if need be, and brings it and the ledger to the disk. bodies: the
 * members of each line without its number and hash, each ending with a newline. As a whole or not at all: what a full
 * disk or a crash took is taken back. Returns 0, or -errno with err: -EBADMSG if the file's last line is none of these.
 */
int ledger_append(const char *dir, const char *file, const char *bodies, size_t size, int64_t now, struct error *err);

/* Removes a file with its index, and says so in the ledger before. 0 or -errno with err. */
int ledger_remove(const char *dir, const char *file, int64_t now, struct error *err);

/* Files that are to go. */
struct ledger_expiry {
	const char *dir;
	enum ledger_kind kind;
	int64_t before;				    /* the file of this time stays, and so do later ones */
	bool dry;				    /* none is removed */
	bool (*stays)(void *arg, const char *name); /* nevertheless; NULL: none does */
	void (*gone)(void *arg, const char *name);  /* is told of each; may be NULL */
	void *arg;
};

/* Removes files with their indexes; the ledger says so of each before. *ret: their number. 0, or -errno with err. */
int ledger_expire(const struct ledger_expiry *x, int64_t now, unsigned *ret, struct error *err);

/* Whether a line is to be erased. */
typedef bool (*ledger_pick)(void *arg, const char *line, size_t size);

/*
 * Erases lines of a file: puts another in its place that has a line of their hashes for each, removes the index, and
 * says so in the ledger before. *ret: their number; of none, nothing is written. 0 or -errno with err.
 */
int ledger_erase(const char *dir, const char *file, ledger_pick pick, void *arg, int64_t now, uint64_t *ret,
		 struct error *err);

/* The end of the ledger of a directory; line 0 if there is none. 0 or -errno. */
int ledger_tip(const char *dir, struct chain_tip *ret);

#endif
