/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to the PCP server, and a table of leases in memory. */
#ifndef DETNAT_TEST_PCP_FIXTURE_H
#define DETNAT_TEST_PCP_FIXTURE_H

#include <criterion/criterion.h>
#include <netinet/in.h>

#include "pcp/decide.h"
#include "pcp/leases.h"

#define SUBSCRIBER 0x64400002U /* 100.64.0.2 */
#define NEIGHBOUR  0x64400003U
#define OPEN	   0x64400009U /* has an address of its own, reachable from outside */
#define OPEN_POOL  0xc0000209U /* 192.0.2.9 */
#define STRANGER   0x0a000001U
#define PORTAL	   0xc0a80001U /* may act for others */
#define POOL	   0xcb007107U /* 203.0.113.7 */
#define PORT_LO	   2000U
#define PORTS	   100U
#define NOW	   1000000U
#define EPOCH	   77U

extern struct pcp_lease leases[2 * PORTS];
extern size_t n_leases;
extern int put_r, del_r;       /* what changes of the table return, if not 0 */
extern struct held_ports held; /* of every inside port */
extern struct pcp_shares shares;
extern enum pcp_source source_is; /* who asks for leases */

/* Forgets all of it. */
void pcp_begin(void);

/* Leases of a subscriber. */
unsigned fake_count(void *arg, uint32_t in_addr);

/* A request, and what came back. */
struct asked {
	uint32_t source; /* 0: SUBSCRIBER */
	uint8_t opcode;
	uint8_t nonce; /* each octet of it */
	uint8_t proto;
	uint16_t in_port;
	uint16_t out_port;
	uint32_t out_addr;
	uint32_t lifetime;
	bool prefer_failure;
	uint32_t third_party;
	uint32_t peer_addr;
	uint16_t peer_port;
	bool clears; /* FILTER with the prefix length 0, before the others */
	unsigned n_filters;
	struct portmap_filter filter[10];
};

struct got {
	size_t length;
	enum pcp_result result;
	uint32_t lifetime;
	uint16_t port;
	uint32_t addr;
};

struct got ask(struct asked a);

/* Expects a port of the subscriber's pool address for so many seconds. */
void expect(struct got g, uint16_t port, uint32_t lifetime);

/* Rows name what differs from the usual request. */
#pragma GCC diagnostic ignored "-Woverride-init"

#define MAP(...) \
	ask((struct asked){ .opcode = PCP_MAP, .nonce = 1, .proto = IPPROTO_TCP, .lifetime = 3600, __VA_ARGS__ })
#define PEER(...) \
	ask((struct asked){ .opcode = PCP_PEER, .nonce = 1, .proto = IPPROTO_UDP, .lifetime = 3600, __VA_ARGS__ })

#define EXPECT_REFUSED(g, why, seconds)                                                    \
	do {                                                                               \
		struct got _g = (g);                                                       \
		cr_expect_eq(_g.result, why, "%s", pcp_result_name(_g.result));            \
		cr_expect_eq(_g.lifetime, (uint32_t)(seconds), "%u seconds", _g.lifetime); \
	} while (0)

#endif
