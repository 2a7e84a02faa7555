/* SPDX-License-Identifier: BSD-2-Clause */
/* Bindings as the sweep keeps them: those of live sessions are kept alive, those long expired are removed. */
#ifndef DETNAT_SESSIONS_BINDINGS_H
#define DETNAT_SESSIONS_BINDINGS_H

#include "sessions/sessions_private.h"

/* Sweeps a subscriber's bindings, after its slots. */
void bindings_sweep(struct subscriber_iterator *it);

/* Keeps the binding of a live session of a mapping's subscriber. */
void binding_keep(const struct mappings *m, int number, uint32_t in_addr, uint64_t key, uint64_t word, uint32_t now);

/* Calls visit for each binding of a subscriber that has not expired, by protocol and port. Non-zero ends it. */
struct binding {
	uint32_t in_addr;
	uint32_t out_addr;
	uint16_t in_port;
	uint16_t out_port;
	uint8_t proto;
	uint32_t expires; /* seconds, at least, unless its sessions keep it */
};
typedef int (*binding_visit)(const struct binding *b, void *arg);
int bindings_visit(const struct subscriber_iterator *it, binding_visit visit, void *arg);

#endif
