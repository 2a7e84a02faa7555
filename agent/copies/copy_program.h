/* SPDX-License-Identifier: BSD-2-Clause */
/* The program `session_copies`, <detnat/copies.h>: loaded around the datapath's maps, only where there are peers. */
#ifndef DETNAT_COPY_PROGRAM_H
#define DETNAT_COPY_PROGRAM_H

#include <detnat/copies.h>

#include "datapath/datapath.h"

struct copy_program {
	struct detnat_copies *skeleton; /* NULL: not loaded */
	struct session_copies *requests;
	uint32_t overflow;	/* id of the map that it knows */
	uint8_t session_events; /* as it was loaded */
	bool refused;		/* by the kernel, which has been logged */
};

/*
 * Loads it, or loads it again if the map `overflow` is another one by now, or sessions are reported since or no more. 0
 * or -errno; why the kernel refuses it is logged the first time.
 */
int copy_program_load(struct copy_program *p, const struct datapath *d);
void copy_program_unload(struct copy_program *p);

/* Runs requests->n requests; those that end with COPY_BUSY are tried again for some time. 0 or -errno. */
int copy_program_run(struct copy_program *p);

#endif
