/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateways that are compared, each between the same two ends of the world:
 *
 *	hosts 172.16.0.0/12 --- in0 10.9.0.1 [ gateway ] out0 198.51.100.1 --- 198.51.100.7
 *
 * Both ends are interfaces of one namespace, the world. Neighbours are static. A gateway may be several side by side
 * (lanes), each with its share of the hosts, where one namespace may not hold all entries.
 */
#ifndef DETNAT_BENCH_E2E_GATEWAY_H
#define DETNAT_BENCH_E2E_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <detnat/mapping.h>

#include "e2e_flow.h"
#include "internet.h"

/* Host byte order. */
#define INSIDE_BASE    0xac100000U /* 172.16.0.0 */
#define OUTSIDE_BASE   0xcb007100U /* 203.0.113.0 */
#define EXTERNAL       0xc6336407U /* 198.51.100.7 */
#define EXTERNAL_PORT  1024U
#define PORTS_PER_HOST 63U
/* Hosts that share an outside address: 1024 blocks of 63 ports. */
#define SHARING_SHIFT 10U

enum gateway_kind {
	GATEWAY_FORWARD,       /* the kernel routes, no NAT */
	GATEWAY_NFT,	       /* the kernel routes, nftables SNAT; everything but the table's size as it comes */
	GATEWAY_NFT_TUNED,     /* that same gateway without GRO and verifying of checksums, which here only cost */
	GATEWAY_REDIRECT,      /* an XDP program redirects, no NAT: the floor */
	GATEWAY_DETNAT,	       /* forwarding: redirect, in native XDP */
	GATEWAY_DETNAT_KERNEL, /* forwarding: kernel */
	GATEWAY_DETNAT_TC,     /* xdp_mode: none */
	GATEWAY_DETNAT_SENDS,  /* xdp_mode: tc */
	N_GATEWAYS,
	GATEWAY_NFT_FLOWTABLE = N_GATEWAYS /* nft with a flowtable, which few kernels have: e2e_flowtable.c alone */
};

struct e2e;

struct lane {
	int netns;
	uint32_t ifindex[N_SIDES]; /* of the world's ends */
};

struct gateway {
	enum gateway_kind kind;
	uint32_t hosts;
	uint32_t lanes;
	struct lane lane[E2E_MAX_LANES];
	pid_t agent;
	bool shared; /* lanes and endpoints are another's */
	char directory[32];
	struct e2e_endpoint *endpoints; /* by flow number, once learnt */
	const uint32_t *destinations;	/* addresses by flow number, another's; NULL: EXTERNAL for all */
};

/* The world: the programs of its ends, and where they are. */
struct world {
	struct e2e *skeleton;
	int netns;
	char build[256]; /* directory of detnat-agent and detnatctl */
};

const char *gateway_name(enum gateway_kind kind);

/* Whether it keeps sessions, so that traffic into it needs them opened first. */
bool gateway_translates(enum gateway_kind kind);

/*
 * Makes a gateway for so many hosts, a power of two of 1024 and more, and connects it. t: it has all its routes, beside
 * a default route; or NULL. Ends the program on errors.
 */
void gateway_new(const struct world *w, enum gateway_kind kind, uint32_t hosts, const struct internet *t,
		 struct gateway *ret);
void gateway_free(struct gateway *g);

/*
 * Another kind of the same gateway, with its sessions: nft tuned, of nft. Two with tables of their own would lengthen
 * each other's hash chains, as the hash is the machine's. Lives as long as the first.
 */
void gateway_share(const struct gateway *first, enum gateway_kind kind, struct gateway *ret);

/* Makes a shared gateway be the one that it is called; nothing for others. To be called before each run. */
void gateway_prepare(const struct world *w, const struct gateway *g);

/* Whether its sessions are conntrack entries. */
bool gateway_is_nft(enum gateway_kind kind);

/* Sessions, or conntrack entries, that it has now. */
uint64_t gateway_sessions(const struct world *w, const struct gateway *g);

/* Has nft's conntrack forget all entries; nothing where there is none. */
void gateway_flush(const struct gateway *g);

/* The mapping of its hosts to outside addresses. */
struct geometry gateway_geometry(const struct gateway *g);

/* External address of a flow, host byte order. */
static inline uint32_t gateway_destination(const struct gateway *g, uint32_t number)
{
	return g && g->destinations ? g->destinations[number] : EXTERNAL;
}

/* Address of a host of a flow, host byte order. */
static inline uint32_t flow_host(uint32_t number)
{
	return INSIDE_BASE + number / PORTS_PER_HOST;
}

/*
 * Source port of a flow. The hosts that share an outside address use different ports, all of 1024..65535 once, so that
 * nft need never look for a free one; and the ports of a host are consecutive, so that none of detnat's choices clash.
 */
static inline uint16_t flow_port(uint32_t number)
{
	uint32_t host = number / PORTS_PER_HOST & ((1U << SHARING_SHIFT) - 1);

	return (uint16_t)(1024 + host * PORTS_PER_HOST + number % PORTS_PER_HOST);
}

#endif
