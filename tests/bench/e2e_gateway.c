// SPDX-License-Identifier: BSD-2-Clause
#include "e2e_gateway.h"

#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <bpf/libbpf.h>

#include "base/base.h"
#include "e2e.skel.h"
#include "e2e_agent.h"
#include "e2e_conntrack.h"
#include "e2e_netns.h"

static const char *const names[N_GATEWAYS + 1] = {
	[GATEWAY_FORWARD] = "kernel, no NAT",		[GATEWAY_NFT] = "nft SNAT",
	[GATEWAY_NFT_TUNED] = "nft SNAT tuned",		[GATEWAY_REDIRECT] = "XDP, no NAT",
	[GATEWAY_DETNAT] = "detnat redirect",		[GATEWAY_DETNAT_KERNEL] = "detnat kernel",
	[GATEWAY_DETNAT_TC] = "detnat tc alone",	[GATEWAY_DETNAT_SENDS] = "detnat tc sends",
	[GATEWAY_NFT_FLOWTABLE] = "nft SNAT flowtable",
};

/* Stations: what the generator and the neighbours have, see e2e_traffic.c. */
#define MAC_WORLD   "02:00:00:00:00:01"
#define MAC_GATEWAY "02:00:00:00:00:02"

const char *gateway_name(enum gateway_kind kind)
{
	return names[kind];
}

bool gateway_translates(enum gateway_kind kind)
{
	return kind != GATEWAY_FORWARD && kind != GATEWAY_REDIRECT;
}

bool gateway_is_nft(enum gateway_kind kind)
{
	return kind == GATEWAY_NFT || kind == GATEWAY_NFT_TUNED || kind == GATEWAY_NFT_FLOWTABLE;
}

static void attach(int netns, const char *interface, const struct bpf_program *program)
{
	uint32_t ifindex;
	int r;

	netns_enter(netns);
	ifindex = if_nametoindex(interface);
	r = bpf_xdp_attach((int)ifindex, bpf_program__fd(program), XDP_FLAGS_DRV_MODE, NULL);
	if (r)
		e2e_die(r, "attaching XDP to %s", interface);
}

/* Both wires of a lane, and the addresses and neighbours of the gateway. */
static void connect_lane(const struct world *w, struct gateway *g, uint32_t number)
{
	static const char *const inner[N_SIDES] = { "in0", "out0" };
	const struct bpf_program *ends[N_SIDES] = { w->skeleton->progs.hosts, w->skeleton->progs.internet };
	struct lane *l = &g->lane[number];
	char name[IFNAMSIZ];

	l->netns = netns_new();
	for (int side = 0; side < N_SIDES; side++) {
		snprintf(name, sizeof(name), "%c%d.%u", side == SIDE_HOSTS ? 'h' : 'n', g->kind, number);
		netns_command(w->netns,
			      "ip link add %s address " MAC_WORLD " type veth peer name %s address " MAC_GATEWAY
			      " netns /proc/%d/fd/%d; ethtool -K %s tx off; ip link set %s up",
			      name, inner[side], getpid(), l->netns, name, name);
		attach(w->netns, name, ends[side]);
		l->ifindex[side] = if_nametoindex(name);
	}
	netns_command(l->netns, "for i in in0 out0; do ethtool -K $i tx off; ip link set $i up; done;"
				"ip addr add 10.9.0.1/24 dev in0; ip addr add 198.51.100.1/24 dev out0;"
				"ip neigh add 10.9.0.2 lladdr " MAC_WORLD " dev in0 nud permanent;"
				"ip neigh add 198.51.100.7 lladdr " MAC_WORLD " dev out0 nud permanent;"
				"ip route add 172.16.0.0/12 via 10.9.0.2");
}

/* Where the redirecting gateway sends to; the interfaces have the same numbers in both directions of one namespace. */
static void set_redirects(const struct world *w, const struct lane *l)
{
	uint32_t in, out;

	netns_enter(l->netns);
	in = if_nametoindex("in0");
	out = if_nametoindex("out0");
	if (in >= ARRAY_SIZE(w->skeleton->bss->redirects) || out >= ARRAY_SIZE(w->skeleton->bss->redirects))
		e2e_die(ERANGE, "interface numbers");
	w->skeleton->bss->redirects[in].ifindex = out;
	w->skeleton->bss->redirects[out].ifindex = in;
	memcpy(w->skeleton->bss->redirects[in].mac, "\2\0\0\0\0\1", 6);
	memcpy(w->skeleton->bss->redirects[out].mac, "\2\0\0\0\0\1", 6);
}

static void attach_gateway(const struct world *w, const struct lane *l, const struct bpf_program *program)
{
	attach(l->netns, "in0", program);
	attach(l->netns, "out0", program);
}

/* On as every network card has it; a veth takes redirected frames only with GRO or a program. */
static void set_gro(const struct lane *l, const char *on_or_off)
{
	netns_command(l->netns, "for i in in0 out0; do ethtool -K $i gro %s; done", on_or_off);
}

static void detach_gateway(const struct lane *l)
{
	netns_enter(l->netns);
	bpf_xdp_detach((int)if_nametoindex("in0"), XDP_FLAGS_DRV_MODE, NULL);
	bpf_xdp_detach((int)if_nametoindex("out0"), XDP_FLAGS_DRV_MODE, NULL);
}

/* All by way of the world's end; the neighbours are many, their station is one. */
static void add_routes(const struct lane *l, const struct internet *t)
{
	int r;

	netns_command(l->netns,
		      "ip route add default via 198.51.100.7; for i in $(seq 65 %u); do"
		      " ip neigh add 198.51.100.$i lladdr " MAC_WORLD " dev out0 nud permanent; done",
		      64 + INTERNET_NEXT_HOPS);
	netns_enter(l->netns);
	r = internet_tell_kernel(t, if_nametoindex("out0"), 0, INTERNET_ROUTES);
	if (r)
		e2e_die(r, "routes");
}

void gateway_new(const struct world *w, enum gateway_kind kind, uint32_t hosts, const struct internet *t,
		 struct gateway *ret)
{
	uint64_t sessions = (uint64_t)hosts * PORTS_PER_HOST;

	*ret = (struct gateway){
		.kind = kind,
		.hosts = hosts,
		.lanes = gateway_is_nft(kind) ? conntrack_lanes(sessions) : 1,
		.endpoints = calloc(sessions, sizeof(struct e2e_endpoint)),
	};
	if (!ret->endpoints)
		e2e_die(ENOMEM, "endpoints");
	for (uint32_t i = 0; i < ret->lanes; i++)
		connect_lane(w, ret, i);
	for (uint32_t i = 0; t && kind != GATEWAY_REDIRECT && i < ret->lanes; i++)
		add_routes(&ret->lane[i], t);
	for (uint32_t i = 0; i < ret->lanes; i++) {
		const struct lane *l = &ret->lane[i];

		switch (kind) {
		case GATEWAY_NFT_FLOWTABLE:
		case GATEWAY_NFT:
			conntrack_set_up(l->netns, hosts);
			if (kind == GATEWAY_NFT_FLOWTABLE)
				conntrack_add_flowtable(l->netns);
			/* fallthrough */
		case GATEWAY_FORWARD:
			set_gro(l, "on");
			break;
		case GATEWAY_REDIRECT:
			set_redirects(w, l);
			attach_gateway(w, l, w->skeleton->progs.gateway_redirect);
			break;
		default:
			set_gro(l, "on");
			e2e_agent_start(w, ret);
		}
	}
	if (ret->agent && t)
		e2e_agent_settle(ret);
	netns_enter(w->netns);
}

struct geometry gateway_geometry(const struct gateway *g)
{
	struct geometry geo;
	unsigned plen = 32;

	while (prefix_size(plen) < g->hosts)
		plen--;
	if (mapping_geometry(INSIDE_BASE, plen, OUTSIDE_BASE & ~(uint32_t)(prefix_size(plen + SHARING_SHIFT) - 1),
			     plen + SHARING_SHIFT, &geo))
		e2e_die(EINVAL, "the mapping of %u hosts", g->hosts);
	return geo;
}

void gateway_share(const struct gateway *first, enum gateway_kind kind, struct gateway *ret)
{
	*ret = *first;
	ret->kind = kind;
	ret->shared = true;
}

void gateway_prepare(const struct world *w, const struct gateway *g)
{
	bool tuned = g->kind == GATEWAY_NFT_TUNED;

	if (!gateway_is_nft(g->kind))
		return;
	for (uint32_t i = 0; i < g->lanes; i++) {
		const struct lane *l = &g->lane[i];

		/* At no time neither GRO nor a program, else the veth stops and starts its polling. */
		if (tuned)
			attach_gateway(w, l, w->skeleton->progs.gateway_kernel);
		set_gro(l, tuned ? "off" : "on");
		if (!tuned)
			detach_gateway(l);
		conntrack_verify_checksums(l->netns, !tuned);
	}
	netns_enter(w->netns);
}

void gateway_free(struct gateway *g)
{
	if (g->shared)
		return;
	if (g->agent)
		e2e_agent_stop(g);
	for (uint32_t i = 0; i < g->lanes; i++)
		close(g->lane[i].netns);
	free(g->endpoints);
	*g = (struct gateway){ 0 };
}

uint64_t gateway_sessions(const struct world *w, const struct gateway *g)
{
	uint64_t sum = 0;

	if (gateway_is_nft(g->kind))
		for (uint32_t i = 0; i < g->lanes; i++)
			sum += conntrack_count(g->lane[i].netns);
	return g->agent ? e2e_agent_sessions(w, g) : sum;
}

void gateway_flush(const struct gateway *g)
{
	if (gateway_is_nft(g->kind))
		for (uint32_t i = 0; i < g->lanes; i++)
			conntrack_flush(g->lane[i].netns);
}
