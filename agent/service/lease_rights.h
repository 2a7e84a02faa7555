/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether detnat-leases may read what the configuration names, and the groups by which it may after an upgrade. */
#ifndef DETNAT_LEASE_RIGHTS_H
#define DETNAT_LEASE_RIGHTS_H

#include "config/config.h"

/* Logs each file of a source that the user of detnat-leases.service cannot read. Nothing unless root asks. */
void lease_rights_warn(const struct config *c);

/*
 * For the packages, as root. Before there was detnat-leases the agent read the files of sources: groups that
 * detnat.service or its user has, and without which detnat-leases could not read one, go into a drop-in of
 * detnat-leases.service. Nothing if that has drop-ins already. 0, or -errno with err.
 */
int lease_rights_carry(const struct config *c, struct error *err);

#endif
