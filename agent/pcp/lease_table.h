/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The data that the PCP server reads and changes: subscribers, leases and sessions, behind functions, so that its
 * decisions can be tested without a datapath. Addresses and ports are in host byte order, times in seconds of
 * CLOCK_BOOTTIME.
 */
#ifndef DETNAT_PCP_LEASE_TABLE_H
#define DETNAT_PCP_LEASE_TABLE_H

#include <detnat/mapping.h>

#include "base/address.h"
#include "pcp/pcp_message.h"
#include "sessions/bound_ports.h"

struct pcp_lease {
	uint8_t proto; /* IPPROTO_TCP or IPPROTO_UDP */
	bool fixed;    /* an operator's portmap: without nonce and end, and not for the client to change */
	struct endpoint in;
	struct endpoint out;
	uint8_t nonce[PCP_NONCE];
	uint64_t expires_s;
	struct portmap_filters filters; /* n 0: anyone may send */
};

struct pcp_table {
	/* The outside address and port block of a subscriber of a served mapping. -ENOENT: there is none. */
	int (*subscriber)(void *arg, uint32_t in_addr, struct port_block *ret_block);
	/* Whether the mapping of such a subscriber is open: every port leads to it unchanged. */
	bool (*open)(void *arg, uint32_t in_addr);
	/* The lease, or fixed portmap, of an inside endpoint; -ENOENT. */
	int (*find)(void *arg, uint8_t proto, struct endpoint in, struct pcp_lease *ret);
	/* Whether a lease or a fixed portmap has an outside endpoint. */
	bool (*taken)(void *arg, uint8_t proto, struct endpoint out);
	/* Ports that other inside ports of the subscriber have without a lease, and the port of this endpoint. */
	void (*held)(void *arg, uint8_t proto, struct endpoint in, struct held_ports *ret);
	/* Number of leases of a subscriber. */
	unsigned (*count)(void *arg, uint32_t in_addr);
	/* Whether there is room for one more lease of a subscriber with that many. */
	bool (*has_room)(void *arg, unsigned count);
	/* Writes a lease, new or renewed; on return it is in force and survives the agent. 0 or -errno. */
	int (*put)(void *arg, const struct pcp_lease *l);
	int (*del)(void *arg, const struct pcp_lease *l);
	/*
	 * Deletes the leases of a subscriber of that protocol (0: of any) and nonce. Returns their number, or -EPERM if
	 * there are leases, but none with this nonce.
	 */
	int (*del_all)(void *arg, uint32_t in_addr, uint8_t proto, const uint8_t nonce[static PCP_NONCE]);
	/*
	 * The session of an inside endpoint with an external one, refreshed: its outside endpoint and the remaining
	 * seconds. -ENOENT: there is none.
	 */
	int (*session)(void *arg, uint8_t proto, struct endpoint in, struct endpoint ext, struct endpoint *ret_out,
		       uint32_t *ret_left_s);
};

#endif
