/* SPDX-License-Identifier: BSD-2-Clause */
/* Once a day: files of leases that are older than they may be are removed, and the end of the ledger is told. */
#ifndef DETNAT_RETENTION_H
#define DETNAT_RETENTION_H

#include "base/error.h"
#include "base/ledger.h"
#include "base/expiry_day.h"

/*
 * Call it every second, with the time of day and that since the boot. days: for how long leases are kept, 0: for ever.
 * Returns 1 if a day was looked after: *ret_tip is the end of the ledger, and *ret_removed the number of files; 0; or
 * -errno with err, after which it is tried again.
 */
int retention_tick(struct expiry_day *r, const char *dir, uint32_t days, int64_t now, int64_t boot_s,
		   struct chain_tip *ret_tip, unsigned *ret_removed, struct error *err);

#endif
