/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of filters of portmaps, <detnat/portmaps.h>. Pure functions. Addresses are in host byte order. */
#ifndef DETNAT_PORTMAP_FILTERS_H
#define DETNAT_PORTMAP_FILTERS_H

#include <stdbool.h>
#include <stdint.h>

#include <detnat/portmaps.h>

/*
 * Adds a filter unless it is there; host bits of the address do not matter. port: 0 for all. False: there are
 * MAX_PORTMAP_FILTERS others.
 */
bool portmap_filters_add(struct portmap_filters *f, uint32_t addr, uint8_t plen, uint16_t port);

bool portmap_filters_equal(const struct portmap_filters *a, const struct portmap_filters *b);

/* Whether a list is one that portmap_filters_add() could have made, other than the empty one. */
bool portmap_filters_valid(const struct portmap_filters *f);

/* Writes "192.0.2.1", "192.0.2.1:443", "192.0.2.0/24" or "192.0.2.0/24:443" and returns text. */
#define PORTMAP_FILTER_TEXT 32
const char *portmap_filter_format(const struct portmap_filter *f, char text[static PORTMAP_FILTER_TEXT]);

#endif
