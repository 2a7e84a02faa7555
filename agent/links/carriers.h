/* SPDX-License-Identifier: BSD-2-Clause */
/* Which interfaces carry the programs of a datapath, told without an agent. */
#ifndef DETNAT_CARRIERS_H
#define DETNAT_CARRIERS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Indexes of the interfaces of this namespace that have a role in what is pinned under a pin path, and carry what the
 * role wants: XDP, or a carrier that has it, and at the egress of an outside interface tc. The caller frees *ret. 0 or
 * -errno.
 */
int carriers_find(const char *pin_path, uint32_t **ret, size_t *ret_n);

#endif
