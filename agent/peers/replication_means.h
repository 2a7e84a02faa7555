/* SPDX-License-Identifier: BSD-2-Clause */
/* The means that replication needs before a configuration can take effect: its key, and a listening socket. */
#ifndef DETNAT_REPLICATION_MEANS_H
#define DETNAT_REPLICATION_MEANS_H

#include <stdint.h>

#include "base/base.h"
#include "config/config.h"
#include "peers/key_file.h"

/* Prepared before a change of the configuration, and kept while it is in force. */
struct replication_means {
	struct config_replication rules; /* enabled: false while it is off */
	int fd;				 /* a listening socket; -1: none, or the gate's by now */
	uint8_t key[REPLICATION_KEY];
	bool waits; /* for an address or a key that is not available yet */
};

/* Where the rules come from, for messages. */
struct replication_source {
	const struct config *config; /* knows the line of a key; NULL: none */
	const char *name;	     /* of the file; NULL: none */
};

/*
 * The means of a configuration; without a socket if the address to listen on is that of `running` (may be NULL). 0, or
 * -errno with err naming the key and its place.
 */
int replication_prepare(const struct config_replication *rules, const struct config_replication *running,
			struct replication_means *ret, const struct replication_source *from, struct error *err);

/* Closes and forgets them. */
void replication_means_drop(struct replication_means *m);

/* NULL: frames have no HMAC. */
const uint8_t *replication_key(const struct replication_means *m);

/* Whether connections can stay as they are. */
bool replication_same_means(const struct replication_means *a, const struct replication_means *b);

/* Whether frames without an HMAC may go to a peer. */

/*
 * 0 if the route to an address uses the loopback interface, or one that encrypts (wireguard, xfrm, vti). -EPERM with
 * err if it uses another, -ENETUNREACH if there is none, or another -errno.
 */
int private_way_check(uint32_t addr, struct error *err);

#endif
