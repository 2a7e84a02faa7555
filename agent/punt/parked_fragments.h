/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fragments that came before their first one (RFC 4787 REQ-14): kept, within limits, until the datapath has seen that
 * one, then sent through the datapath again. The datapath hands them over by the ring buffer `early_fragments`; see
 * <detnat/fragments.h>.
 *
 * Each is counted once in the end: by the datapath when it passes, or as dropped when it is given up.
 */
#ifndef DETNAT_PARKED_FRAGMENTS_H
#define DETNAT_PARKED_FRAGMENTS_H

#include <event2/event.h>

#include <detnat/fragments.h>

#include "datapath/datapath.h"
#include "punt/event_ring.h"

struct fragments;

/*
 * Begins to take them, until fragments_free(). The base, d and v must outlive the result. A subscriber that reaches its
 * limit is reported to v as EVENT_FRAGMENTS, once a second at most.
 */
int fragments_new(struct event_base *base, struct datapath *d, struct events *v, const struct config_fragments *limits,
		  struct fragments **ret, struct error *err);

/* Other limits; what waits is held to its timeout, and stays where it is now too much. f may be NULL. */
void fragments_configure(struct fragments *f, const struct config_fragments *limits);

/* What still waits is given up. */
void fragments_free(struct fragments *f);

/* ---- sending a frame through the datapath (punt/parked_fragments_inject.c)
 * -------------------------------------------------- */

/* What frames of interfaces with generic XDP go through; they meet the datapath behind it. -errno. */
int fragments_inject_open(int *ret_program);

/*
 * Has the frame come in again by the interface that it came in by; one taken at egress is first made what it was then.
 * program: of fragments_inject_open(). 0 or -errno.
 */
int fragments_inject(const struct datapath *d, int program, struct early_fragment *e);

#endif
