/* SPDX-License-Identifier: BSD-2-Clause */
/* Pinless tables like those of bpf/base/maps.h, with a clock that the test sets, and sessions put there by hand. */
#ifndef DETNAT_TABLES_FIXTURE_H
#define DETNAT_TABLES_FIXTURE_H

#include "sessions/sessions.h"
#include "tables/mapping_changes.h"
#include "tables/mappings.h"

/* Skips the test where maps cannot be made for want of rights. */
void tables_make(struct datapath *d);
void tables_set_ticks(struct datapath *d, uint32_t ticks);

/* HZ such that a tick is a second. */
#define TABLES_HZ 64U

struct mapping_spec tables_spec(const char *in, const char *out);

/* Adds a mapping whole; its number. */
int tables_add(struct mappings *m, const struct mapping_spec *spec);
void tables_reclaim(struct mappings *m);

/* Puts a session into a slot, counted, as the datapath does. Returns the slot. */
struct slot *tables_put(struct mappings *m, uint32_t in_addr, uint32_t slot, const struct session *s, uint32_t seen);

/*
 * Puts a session into the subscriber's extent, counted, where the datapath would look for it: the subscriber gets one
 * if it has none. Returns the slot.
 */
struct slot *tables_put_beyond(struct mappings *m, uint32_t in_addr, const struct session *s, uint32_t seen);

/* The sessions in all extents. */
unsigned tables_beyond(const struct datapath *d);

bool tables_zero(const void *p, size_t size);

/* Whether all tables of a mapping are clean; dirty, where true, leaves them full of ones. */
bool tables_clean(struct mappings *m, int number, bool dirty);

uint32_t tables_addr(const char *text);

#endif
