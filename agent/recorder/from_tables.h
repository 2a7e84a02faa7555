/* SPDX-License-Identifier: BSD-2-Clause */
/* Connects the mapping history with the tables of the datapath. */
#ifndef DETNAT_FROM_TABLES_H
#define DETNAT_FROM_TABLES_H

#include "recorder/history.h"
#include "tables/mappings.h"
#include "tables/portmap_table.h"

/* The mappings in the tables in the order of their numbers, or NULL if out of memory. The caller frees the list. */
struct history_mapping *history_tables(const struct mappings *m, size_t *ret_n);

/* A portmap as a record of one port, without a time. */
struct history_portmap history_portmap_of(const struct portmap *m);

/* The portmaps of the configuration that the datapath has, as spans. The same. */
struct history_portmap *history_portmap_tables(const struct portmaps *p, size_t *ret_n);

/* What drains, in order of its beginning. The same. */
struct history_drain *history_drain_tables(const struct mappings *m, size_t *ret_n);

/* history_new() and history_begin() of a state directory for a datapath. */
int history_new_tables(const char *dir, const struct datapath *d, const struct mappings *m, const struct portmaps *p,
		       struct history **ret, struct error *err);

#endif
