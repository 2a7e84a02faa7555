/* SPDX-License-Identifier: BSD-2-Clause */
/* What sources of leases need before they can be recorded: sockets and secrets, opened or only tried. */
#ifndef DETNAT_LEASE_MEANS_H
#define DETNAT_LEASE_MEANS_H

#include "config/config.h"
#include "identity/radius_clients.h"

struct lease_means {
	struct config_leases rules;
	char *dir;			  /* state_dir */
	int fd[CONFIG_MAX_LEASE_SOURCES]; /* sockets of new addresses; -1: none, or a running one is kept */
	struct radius_clients clients[CONFIG_MAX_LEASE_SOURCES];
};

/* The source and the key that an error is about. */
struct lease_place {
	uint32_t source;
	char key[24];
};

/*
 * Prepares all sources. running: those whose sockets are open, or NULL. at_start: what is missing is left out, and
 * tried again later. 0, or -errno with err and *ret_place.
 */
int lease_means_new(const struct config_leases *rules, const char *dir, const struct config_leases *running,
		    bool at_start, struct lease_means **ret, struct lease_place *ret_place, struct error *err);

/* Closes what is still open, and frees; NULL is allowed. */
void lease_means_free(struct lease_means *m);

/*
 * Opens the socket and reads the secret of a source; a socket that runs or is open is left alone. 0, or -errno with
 * err, and *ret_key names the key concerned.
 */
int lease_means_source(struct lease_means *m, uint32_t n, const struct config_leases *running, const char **ret_key,
		       struct error *err);

#endif
