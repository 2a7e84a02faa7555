/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables as they were before layout 8: prefix indexes of 4096 nodes, and an overflow whose keys did not have the port
 * block, but ratio_shift of the mapping.
 */
#ifndef DETNAT_TEST_OLD_LAYOUT_H
#define DETNAT_TEST_OLD_LAYOUT_H

#include <stdint.h>

#include <detnat/tables.h>

/* Makes maps of then, with the mappings and the sessions in the overflow that the datapath has. */
void old_layout_copy(void);

/* Pins them in a directory that has the pins of another datapath, in place of that one's, and their types. */
void old_layout_pin(const char *dir);

/* Stores an entry there, or deletes it, as the programs of then do. in_port: of an OUT2IN entry. */
void old_layout_put(const struct overflow_key *key, const struct overflow_session *s, uint16_t in_port);
void old_layout_del(const struct overflow_key *key);

/* The same with another ratio_shift than that of the mapping: an entry of a former one. */
void old_layout_put_former(const struct overflow_key *key, const struct overflow_session *s, uint16_t in_port);

#endif
