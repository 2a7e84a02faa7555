/* SPDX-License-Identifier: BSD-2-Clause */
/* The sessions that are open at midnight: a file of leases begins with them, so that it tells by itself who is there.
 */
#ifndef DETNAT_LEASE_MIDNIGHT_H
#define DETNAT_LEASE_MIDNIGHT_H

#include "leases/accounting.h"

/* What was heard of last so long ago is not repeated any more. */
#define LEASE_OPEN_DAYS 366

/*
 * Gives the `open` lines with which the file of a day begins, by the last file before it; of its index, too, that it
 * has then. Of an address, it repeats the last statement, unless that is an end, the server was restarted since, the
 * session moved away, or a term is over. 0, -errno, or what take returned.
 */
int lease_midnight(const char *dir, const char *file, lease_take take, void *arg);

#endif
