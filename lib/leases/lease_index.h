/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * leases.index-YYYY-MM-DD: where each address and each session is in the file of a day. It fits a file of that inode
 * and time of change, or one that has the same octets up to where it ends; one that does not fit, or of another version
 * or byte order, is made anew. Where none can be written, each program reads the file for itself.
 */
#ifndef DETNAT_LEASE_INDEX_H
#define DETNAT_LEASE_INDEX_H

#include "leases/lease_day.h"

/*
 * Makes a day ready. If there is no index that fits, the file is read if it has at most `most` octets, and an index is
 * written if it can be. 0; -EFBIG: it is larger; or -errno with err.
 */
int lease_index_ready(int dir, struct lease_day *day, uint64_t most, struct error *err);

/*
 * Gives the rows with a key, in order of place. 0, -ESTALE: the index does not fit after all, -errno, or what take
 * returned.
 */
int lease_index_rows(int dir, const struct lease_day *day, uint64_t key, lease_take_row take, void *arg);

/* So many there are at most. */
size_t lease_index_most(const struct lease_day *day, uint64_t key);

/* Gives all rows, in order of key and place, of a day that was made ready just now. As before. */
int lease_index_each(int dir, const struct lease_day *day, lease_take_row take, void *arg);

#endif
