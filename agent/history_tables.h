/* SPDX-License-Identifier: BSD-2-Clause */
/* The mapping history against the tables of the datapath. */
#ifndef DETNAT_HISTORY_TABLES_H
#define DETNAT_HISTORY_TABLES_H

#include "history.h"
#include "mappings.h"

/* Opens the history of a state directory for a datapath, as history_open() and history_begin(). */
int history_open_tables(const char *dir, const struct datapath *d, const struct mappings *m, struct history **ret,
			struct error *err);

/* history_reconcile() with what is in the tables. */
void history_reconcile_tables(struct history *h, const struct mappings *m);

#endif
