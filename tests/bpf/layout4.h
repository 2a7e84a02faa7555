/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The overflow as it was in layout 4: its keys, of 16 octets, had only one address of a session, so that they did not
 * say whose it is.
 */
#ifndef DETNAT_TEST_LAYOUT4_H
#define DETNAT_TEST_LAYOUT4_H

#include <stdint.h>

#include <detnat/tables.h>

/* Makes a map of that layout, with the sessions that the datapath has in the overflow. */
void layout4_copy_overflow(void);

/* Pins it in a directory that has the pins of another datapath, in place of that one's, and its types. */
void layout4_pin(const char *dir);

/* Stores an entry there, or deletes it, as the programs of that layout do. in_port: of an OUT2IN entry. */
void layout4_put(const struct overflow_key *key, const struct overflow_session *s, uint16_t in_port);
void layout4_del(const struct overflow_key *key);

#endif
