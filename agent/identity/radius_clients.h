/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may send to a RADIUS server, and with which secret (RFC 2865 section 3): prefixes, of which the longest counts.
 * A filter in the kernel discards the packets of all others before they take room in the socket's buffer.
 */
#ifndef DETNAT_RADIUS_CLIENTS_H
#define DETNAT_RADIUS_CLIENTS_H

#include "config/config.h"
#include "identity/secret_file.h"

/* The clients of a source, and those of its own secret, which are all others. */
#define RADIUS_CLIENTS (CONFIG_MAX_RADIUS_CLIENTS + 1)

struct radius_clients {
	uint32_t n; /* 0: they could not be read yet */
	struct {
		struct prefix from;
		struct radius_secret secret;
	} client[RADIUS_CLIENTS];     /* the longest prefixes first */
	struct radius_secret forward; /* shared with the further server */
};

/* Reads the secrets of a source. 0, or -errno with err, and *ret_key: all or nothing. */
int radius_clients_read(const struct config_lease_source *s, struct radius_clients *ret, const char **ret_key,
			struct error *err);

void radius_clients_forget(struct radius_clients *c);

/* The number of the client that has an address; -1: there is none. */
int radius_clients_find(const struct radius_clients *c, uint32_t addr);

/* Lets a UDP socket take packets of the clients alone. 0 or -errno. */
int radius_clients_filter(const struct radius_clients *c, int fd);

#endif
