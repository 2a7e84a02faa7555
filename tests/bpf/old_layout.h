/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables as they were before layout 8: prefix indexes of 4096 nodes, and an overflow whose keys did not have the port
 * block. Those of layouts 5 to 7, of 20 octets, had both addresses and ratio_shift of the mapping; those of layout 4,
 * of 16 octets, had only one address, so that they did not say whose a session is.
 */
#ifndef DETNAT_TEST_OLD_LAYOUT_H
#define DETNAT_TEST_OLD_LAYOUT_H

#include <stdint.h>

#include <detnat/tables.h>

enum old_layout { LAYOUT_4, LAYOUT_7 };

/* Makes maps of that layout, with the mappings and the sessions in the overflow that the datapath has. */
void old_layout_copy(enum old_layout of);

/* Pins them in a directory that has the pins of another datapath, in place of that one's, and their types. */
void old_layout_pin(const char *dir);

/* Stores an entry there, or deletes it, as the programs of that layout do. in_port: of an OUT2IN entry. */
void old_layout_put(const struct overflow_key *key, const struct overflow_session *s, uint16_t in_port);
void old_layout_del(const struct overflow_key *key);

/* The same with another ratio_shift than that of the mapping: an entry of a former one. Layout 7 only. */
void old_layout_put_former(const struct overflow_key *key, const struct overflow_session *s, uint16_t in_port);

#endif
