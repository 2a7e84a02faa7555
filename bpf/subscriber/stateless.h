/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Traffic without sessions: mappings with inbound "open", where TCP, UDP and ICMP pass like other protocols
 * (protocol.h), and addresses that are never translated. While no mapping is open, the verifier removes the code for
 * them.
 */
#ifndef DETNAT_STATELESS_H
#define DETNAT_STATELESS_H

#include <bpf/bpf_endian.h>

#include "subscriber/lookup.h"
#include "packet/parse.h"

/* Set in the outside port that session lookups return for a flow of an open mapping, as a port may be 0. */
#define OPEN_PORT 0x10000

static __always_inline int mapping_is_open(const struct mapping *m)
{
	return settings.open_mappings && LOAD(m->geo.flags) & MAPPING_OPEN;
}

/* Returns 1 for a packet of TCP, UDP or ICMP that is not malformed. ICMP errors are translated with their quotes. */
static __always_inline int kind_passes_open(enum packet_kind kind)
{
	return kind == PACKET_SESSION || kind == PACKET_FRAGMENT || kind == PACKET_ICMP_OTHER;
}

/* Returns 1 if the configuration excludes a tenant's address (host byte order) from translation ("out": null). */
static __always_inline int is_untranslated(__u32 tenant, __u32 addr)
{
	struct tenant_prefix_key key = { TENANT_BITS + 32, bpf_htonl(tenant), bpf_htonl(addr) };

	return !!bpf_map_lookup_elem(&untranslated, &key);
}

#endif
