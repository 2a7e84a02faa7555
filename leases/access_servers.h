/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names and clocks of access servers in a file beside the leases, by source: they would else be learned anew after a
 * restart, with customers uncertain meanwhile.
 */
#ifndef DETNAT_ACCESS_SERVERS_H
#define DETNAT_ACCESS_SERVERS_H

#include "radius_server.h"

/* Takes those of a source from the file. */
void access_servers_recall(const char *dir, const struct config_lease_source *s, struct accounting_servers *senders);

/* Writes the file if a server, one of each source or NULL, has news. What the disk does not take is tried again. */
void access_servers_save(const char *dir, const struct config_leases *rules, struct radius_server *const *server);

#endif
