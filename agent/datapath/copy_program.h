/* SPDX-License-Identifier: BSD-2-Clause */
/* The program `session_copies`, <detnat/copies.h>: loaded around the datapath's maps, only where there are peers. */
#ifndef DETNAT_COPY_PROGRAM_H
#define DETNAT_COPY_PROGRAM_H

#include <detnat/copies.h>

#include "datapath/datapath.h"

struct copy_program {
	struct detnat_agent *skeleton; /* NULL: not loaded */
	struct session_copies *requests;
	uint32_t portmaps;
	uint32_t grants;
	uint32_t grant_bindings;
	uint32_t extents;	/* settings.extent_buckets, as it was loaded */
	uint8_t session_events; /* likewise */
	bool refused;		/* by the kernel, which has been logged */
};

/*
 * Loads it; loads it again if one of these maps has been replaced, or settings that it shares have changed. 0 or
 * -errno; the reason for a refusal by the kernel is logged the first time.
 */
int copy_program_load(struct copy_program *p, const struct datapath *d);
void copy_program_unload(struct copy_program *p);

/* Runs requests->n requests, and repeats those that end with COPY_BUSY for some time. 0 or -errno. */
int copy_program_run(struct copy_program *p);

#endif
