/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server's epoch (RFC 6887 section 8.5): seconds since leases were last lost. When it began stands in a pinned map,
 * so it goes on over restarts of the agent, as the leases do, and begins anew with them.
 */
#ifndef DETNAT_PCP_EPOCH_H
#define DETNAT_PCP_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

/* Reads when the epoch began, in seconds of CLOCK_BOOTTIME; a first call begins it: *ret_new. 0 or -errno. */
int pcp_epoch_open(const char *pin_dir, uint64_t now_s, uint64_t *ret_began_s, bool *ret_new);

/* Begins it anew, as leases were lost. 0 or -errno. */
int pcp_epoch_restart(const char *pin_dir, uint64_t now_s);

#endif
