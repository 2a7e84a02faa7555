/* SPDX-License-Identifier: BSD-2-Clause */
/* A customer's lines go the lawful way: their hashes stay, and lines without a name say that they went. */
#ifndef DETNAT_LEASE_ERASE_H
#define DETNAT_LEASE_ERASE_H

#include "base/ledger_files.h"
#include "leases/lease_line.h"

/*
 * By what a line names a customer exactly: "id", "circuit" or "mac", which may be in any notation. NULL: it names
 * another. mac: the customer as mac_text() writes it, "" if it is none.
 */
const char *lease_named_by(const struct lease_line *l, const char *customer, const char *mac);

struct lease_erased {
	char file[LEDGER_NAME];
	uint64_t lines;
};

/*
 * Erases the lines of a directory that have this id, circuit or MAC (in any notation), and those of their sessions that
 * name nobody. Before, a line of today says how many lines of each day go, and of which case (NULL: none is named).
 * dry: only counts. The caller frees *ret, one for each file. 0, or -errno with err: -ENOENT if there is no such line.
 */
int lease_erase(const char *dir, const char *customer, const char *of_case, bool dry, int64_t now,
		struct lease_erased **ret, size_t *ret_n, struct error *err);

#endif
