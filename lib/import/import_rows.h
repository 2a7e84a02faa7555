/* SPDX-License-Identifier: BSD-2-Clause */
/* The expanded table: put in order, protocols brought together, contradictions refused. */
#ifndef DETNAT_IMPORT_ROWS_H
#define DETNAT_IMPORT_ROWS_H

#include "import/import.h"

/*
 * Sorts the rows by inside address and makes one of those of a subscriber's protocols. Subscribers whose TCP and UDP
 * blocks differ are noted and taken out. 0; -EINVAL with err if an inside address has two blocks of one protocol, or
 * two inside addresses share ports; -ENOMEM.
 */
int import_rows_order(struct import *m, struct error *err);

/*
 * The numbers of the rows in the order of outside address and port; *ret is the caller's. NULL in *ret: they are in
 * that order. 0 or -ENOMEM.
 */
int import_rows_outside(const struct import *m, uint32_t **ret);

#endif
