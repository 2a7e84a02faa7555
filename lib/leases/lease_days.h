/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The leases of a directory, a file a day, as statements about one address at a time. A question reads the lines that
 * it needs alone; docs/evidence/LEASES.md says which. detnat-leases may be appending to the last day.
 */
#ifndef DETNAT_LEASE_DAYS_H
#define DETNAT_LEASE_DAYS_H

#include "leases/lease_day.h"

struct lease_days;

/*
 * Lists the days of a directory, or of a file of evidence (leases/lease_evidence.h), which may be in it instead. 0, or
 * -errno with err: -ENOENT where it has none.
 */
int lease_days_open(const char *dir, struct lease_days **ret, struct error *err);
void lease_days_free(struct lease_days *d);

/*
 * The statements that tell who had an address in seconds from..to, by those of a tenant and those that name none;
 * tenant NULL: by those of any. The caller frees *ret. 0, or -errno with err.
 */
int lease_days_about(struct lease_days *d, const struct lease_addr *addr, const char *tenant, int64_t from, int64_t to,
		     struct statements **ret, struct error *err);

/* Writes the indexes that are missing, where it may. *ret: days that have one then. 0, or -errno with err. */
int lease_days_index(struct lease_days *d, size_t *ret, struct error *err);

/* Lines that cannot be read, in the days that have been read so far. */
uint64_t lease_days_wrong(const struct lease_days *d);

/* Days that were not searched for what contradicts an answer: they have no index, and much to read. */
size_t lease_days_unsearched(const struct lease_days *d);

/* The time of the last line of all; TIME_NONE: there is none. 0, or -errno with err. */
int lease_days_until(struct lease_days *d, int64_t *ret, struct error *err);

#endif
