/* SPDX-License-Identifier: BSD-2-Clause */
/* What each kind of fact in the history is in the tables of the datapath. */
#ifndef DETNAT_KINDS_H
#define DETNAT_KINDS_H

#include "history/history_record.h"
#include "tables/grant_table.h"
#include "tables/mappings.h"
#include "tables/portmap_table.h"

/* Where facts are. */
struct history_tables {
	const struct mappings *mappings;
	const struct portmaps *portmaps;
	const struct grants *grants; /* may be NULL */
};

/* A place in one of them. Zero-initialised. */
struct history_place {
	uint32_t number;
	const struct portmap *portmap;
};

struct history_kind {
	/* What the tables have next, without its time; false: no more. */
	bool (*next)(const struct history_tables *t, struct history_place *at, void *ret);
	const char *text;			   /* what the fact is, for a message; <key> stands for a member */
	struct history_by (*by)(const void *fact); /* who began or ended it; NULL: who made the change */
	bool dated;				   /* who asked for a change is told since when it is */
};

extern const struct history_kind history_kinds[FACT_KINDS];

/* Lists what the tables have, without times; NULL: out of memory. The caller frees the list. */
void *history_list_tables(enum fact_kind kind, const struct history_tables *t, size_t *ret_n);

#endif
