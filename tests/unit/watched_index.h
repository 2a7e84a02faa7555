/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The prefix index, compiled into a test with each of its stores followed by after_store(). WATCHED() gives its
 * functions the names that they have in the test.
 */
#ifndef WATCHED_INDEX_H
#define WATCHED_INDEX_H

#include <stdint.h>
#include <string.h>

static void (*after_store)(void);

#define prefix_index_open	   WATCHED(open)
#define prefix_index_walk	   WATCHED(walk)
#define prefix_index_check	   WATCHED(check)
#define prefix_index_insert	   WATCHED(insert)
#define prefix_index_remove	   WATCHED(remove)
#define prefix_index_replace	   WATCHED(replace)
#define prefix_index_remove_number WATCHED(remove_number)
#define prefix_index_settle	   WATCHED(settle)
#define prefix_index_find	   WATCHED(find)
#define prefix_index_own	   WATCHED(own)
#define prefix_index_repaint	   WATCHED(repaint)
#define prefix_index_insert_hidden WATCHED(insert_hidden)
#define prefix_index_around	   WATCHED(around)
#define prefix_index_hold	   WATCHED(hold)
#define prefix_index_release	   WATCHED(release)
#define prefix_index_find_inside   WATCHED(find_inside)
#define prefix_index_set_tenant	   WATCHED(set_tenant)
#define prefix_index_show_shared   WATCHED(show_shared)
#define prefix_index_unsettled	   WATCHED(unsettled)
#define index_find_free		   WATCHED(index_find_free)
#define index_fold		   WATCHED(index_fold)
#define index_paint_prefix	   WATCHED(index_paint_prefix)
#define index_check_room	   WATCHED(index_check_room)
#define index_find_around	   WATCHED(index_find_around)
#define index_entry_with	   WATCHED(index_entry_with)
#define index_leaves		   WATCHED(index_leaves)
#define index_entry_adding	   WATCHED(index_entry_adding)
#define index_entry_replacing	   WATCHED(index_entry_replacing)
#define index_same_leaves	   WATCHED(index_same_leaves)
#define index_open_set		   WATCHED(index_open_set)
#define index_publish_shared	   WATCHED(index_publish_shared)

static void watched_store(uint16_t *p, uint16_t value)
{
	*(volatile uint16_t *)p = value;
	if (after_store)
		after_store();
}

#define __atomic_store_n(p, value, order) watched_store(p, value)
#include "tables/prefix_index.c"      /* NOLINT(bugprone-suspicious-include) */
#include "tables/prefix_index_open.c" /* NOLINT(bugprone-suspicious-include) */
#include "tables/prefix_sets.c"	      /* NOLINT(bugprone-suspicious-include) */
#undef __atomic_store_n

/* Takes over nodes, whatever the index held before. */
static unsigned open_anew(struct prefix_index *x, struct index_node *nodes, bool nests)
{
	memset(x, 0, sizeof(*x));
	return prefix_index_open(x, nodes, nests);
}

#endif
