/* SPDX-License-Identifier: BSD-2-Clause */
/* The mapping history against the tables of the datapath. */
#ifndef DETNAT_FROM_TABLES_H
#define DETNAT_FROM_TABLES_H

#include "history/history.h"
#include "tables/mappings.h"

/* The mappings in the tables, by their numbers; NULL where memory is short. The caller frees them. */
struct history_mapping *history_tables(const struct mappings *m, size_t *ret_n);

/* The history of a state directory for a datapath, as history_new() and history_begin(). */
int history_new_tables(const char *dir, const struct datapath *d, const struct mappings *m, struct history **ret,
		       struct error *err);

#endif
