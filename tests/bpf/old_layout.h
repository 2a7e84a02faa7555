/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables as versions before had them: before layout 8 prefix indexes of 4096 nodes, and up to there a hash of sessions
 * beyond the slots, with an entry for each direction. Before layout 8 its keys did not have the port block, but
 * ratio_shift of the mapping.
 */
#ifndef DETNAT_TEST_OLD_LAYOUT_H
#define DETNAT_TEST_OLD_LAYOUT_H

#include <stdint.h>

#include <detnat/tables.h>

/*
 * The sessions that the subscriber has in its extent are in a hash from now on, as those before layout 8 had it, or as
 * layout 8 had it, and there are no extents. The records count them there.
 */
void old_layout_copy(void);
void old_layout_copy_of_now(void);

/* The functions below are about the hash that layout 8 had. */
void old_layout_of_now(void);

/* Pins the tables before layout 8 in a directory that has the pins of another datapath, in place of these, and types.
 */
void old_layout_pin(const char *dir);

/* Stores a session of the subscriber towards EXTERNAL in the hash, both entries, or deletes it; the counts stay. */
void old_layout_put(uint16_t in_port, uint16_t ext_port, uint64_t word);
void old_layout_del(uint16_t in_port, uint16_t ext_port, uint64_t word);

/* One of UDP on that port, as opened in this tick. Returns its word. */
uint64_t old_layout_open(uint16_t in_port, uint16_t ext_port, uint16_t out_port);

/* The same with another ratio_shift than that of the mapping: an entry of a former one. */
void old_layout_put_former(uint16_t in_port, uint16_t ext_port, uint64_t word);

/* Entries in the hash. */
unsigned old_layout_entries(void);

#endif
