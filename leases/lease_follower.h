/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Follows the file of a DHCP or access server. It is looked at every second, so that it may appear later, be replaced,
 * truncated, or rewritten while it is read.
 *
 * Files that grow by events (Kea's, ISC dhcpd's) are read from where the last reading ended. Files that show the
 * present (dnsmasq's, accel-ppp's) are read as a whole when they have changed; a lease has ended once two looks in a
 * row lack it.
 */
#ifndef DETNAT_LEASE_FOLLOWER_H
#define DETNAT_LEASE_FOLLOWER_H

#include "config/config.h"
#include "identity/identity.h"
#include "lease_writer.h"

struct lease_follower;

int lease_follower_new(const struct config_lease_source *rules, struct lease_follower **ret); /* -ENOMEM */
void lease_follower_free(struct lease_follower *f);					      /* NULL is allowed */

const struct config_lease_source *lease_follower_rules(const struct lease_follower *f);

/* Once a second, unless the writer has failed. Returns whether there is more to read now. */
bool lease_follower_look(struct lease_follower *f, struct lease_writer *w, int64_t now,
			 struct identity_figures *figures);

/* Why the file cannot be followed; "": it can. */
const char *lease_follower_trouble(const struct lease_follower *f);

#endif
