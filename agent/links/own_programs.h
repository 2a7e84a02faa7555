/* SPDX-License-Identifier: BSD-2-Clause */
/* Which XDP programs belong to detnat: only those are ever replaced or taken off. */
#ifndef DETNAT_OWN_PROGRAMS_H
#define DETNAT_OWN_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datapath/datapath.h"

struct own_program {
	uint32_t id;
	int fd;
};

/* XDP programs that belong to the datapaths under one pin path, of every layout. */
struct own_programs {
	struct own_program *program;
	size_t count;
};

/* d may be NULL: only what is pinned under pin_path counts then. */
int own_programs_read(const char *pin_path, const struct datapath *d, struct own_programs *ret);
void own_programs_free(struct own_programs *own);

/*
 * Whether a program is one of them, or was of a datapath of ours whose pins are gone; the latter shows to an agent with
 * CAP_SYS_ADMIN alone.
 */
bool own_programs_has(const struct own_programs *own, uint32_t id);

/* A new descriptor of such a program, or -errno. */
int own_programs_open(const struct own_programs *own, uint32_t id);

/* Whether a program that stands on interfaces is called so. */
bool is_entry_program(const char *name);

#endif
