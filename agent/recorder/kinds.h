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

struct history_kind {
	/* Lists what the tables have, without times; NULL: out of memory. The caller frees the list. */
	void *(*list)(const struct history_tables *t, size_t *ret_n);
	const char *text;			   /* what the fact is, for a message; <key> stands for a member */
	struct history_by (*by)(const void *fact); /* who began or ended it; NULL: who made the change */
	bool dated;				   /* who asked for a change is told since when it is */
};

extern const struct history_kind history_kinds[FACT_KINDS];

#endif
