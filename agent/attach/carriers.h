/* SPDX-License-Identifier: BSD-2-Clause */
/* Which interfaces carry the programs of a datapath, found without a running agent. */
#ifndef DETNAT_CARRIERS_H
#define DETNAT_CARRIERS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Indexes of this namespace's interfaces that have a role in the datapath pinned under a pin path and carry what the
 * role needs: XDP, on the interface or on its carrier, or tc at its ingress, and tc at the egress of an outside
 * interface. The caller frees *ret. 0 or -errno.
 */
int carriers_find(const char *pin_path, uint32_t **ret, size_t *ret_n);

#endif
