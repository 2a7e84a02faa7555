// SPDX-License-Identifier: BSD-2-Clause
/*
 * Bulk TCP from a host to a server, real kernels both, by each gateway; with frames of the MTU, and with veth's default
 * offloads, where a frame is up to 64 KB long. All cores of the machine work on it.
 */
#include "e2e_rows.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

#include "base/base.h"
#include "e2e_agent.h"
#include "e2e_conntrack.h"
#include "e2e_netns.h"
#include "e2e_stream.h"

#define HOSTS	1024U
#define WARM_MS 300
#define RUN_MS	1000

static const bool compared[N_GATEWAYS] = {
	[GATEWAY_FORWARD] = true,	[GATEWAY_NFT] = true,	    [GATEWAY_DETNAT] = true,
	[GATEWAY_DETNAT_KERNEL] = true, [GATEWAY_DETNAT_TC] = true, [GATEWAY_DETNAT_SENDS] = true,
};

/* A gateway, which has one lane, between a host and a server. */
struct path {
	struct gateway g;
	int host, server;
};

enum frames { FRAMES_MTU, FRAMES_GSO, N_FRAMES };

static const char *const frames_names[N_FRAMES] = { "mtu", "gso" };
static const unsigned streams[] = { 1, 8 };

static void connect_ends(struct path *p)
{
	int gateway = p->g.lane[0].netns;

	netns_command(gateway,
		      "ip link add in0 type veth peer name eth0 netns /proc/%d/fd/%d;"
		      "ip link add out0 type veth peer name eth0 netns /proc/%d/fd/%d;"
		      "ip link set in0 up; ip link set out0 up;"
		      "ip addr add 10.9.0.1/24 dev in0; ip addr add 198.51.100.1/24 dev out0;"
		      "ip route add 172.16.0.0/12 via 10.9.0.2",
		      getpid(), p->host, getpid(), p->server);
	netns_command(p->host, "ip link set eth0 up; ip addr add 10.9.0.2/24 dev eth0;"
			       "ip addr add 172.16.0.1/32 dev lo; ip route add default via 10.9.0.1");
	netns_command(p->server,
		      "ip link set eth0 up; ip addr add 198.51.100.7/24 dev eth0;"
		      "ip route add 203.0.113.0/24 via 198.51.100.1; ip route add 172.16.0.0/12 via 198.51.100.1");
}

static void set_frames(const struct path *p, enum frames frames)
{
	static const char *const offloads[N_FRAMES] = { "tx off tso off gso off gro on",
							"tx on tso on gso on gro off" };

	netns_command(p->g.lane[0].netns, "for i in in0 out0; do ethtool -K $i %s; done", offloads[frames]);
	netns_command(p->host, "ethtool -K eth0 %s", offloads[frames]);
	netns_command(p->server, "ethtool -K eth0 %s", offloads[frames]);
}

static void path_new(const struct bench *b, enum gateway_kind kind, enum frames frames, struct path *ret)
{
	struct path p = {
		.g = { .kind = kind, .hosts = HOSTS, .lanes = 1 },
		.host = netns_new(),
		.server = netns_new(),
	};

	p.g.lane[0].netns = netns_new();
	connect_ends(&p);
	set_frames(&p, frames);
	if (kind == GATEWAY_NFT)
		conntrack_set_up(p.g.lane[0].netns, HOSTS);
	if (kind == GATEWAY_DETNAT || kind == GATEWAY_DETNAT_KERNEL || kind == GATEWAY_DETNAT_TC ||
	    kind == GATEWAY_DETNAT_SENDS)
		e2e_agent_start(&b->w, &p.g);
	*ret = p;
}

static void path_free(struct path *p)
{
	if (p->g.agent)
		e2e_agent_stop(&p->g);
	close(p->g.lane[0].netns);
	close(p->host);
	close(p->server);
}

static struct stream_result run(const struct path *p, unsigned n)
{
	return stream_run(&(struct stream_plan){ .from = p->host,
						 .to = p->server,
						 .source = INSIDE_BASE + 1,
						 .target = EXTERNAL,
						 .streams = n,
						 .warm_ms = WARM_MS,
						 .run_ms = RUN_MS });
}

static void take(struct bulk *row, struct stream_result got)
{
	double gbits = got.bits_per_s / 1e9;

	row->gbits[row->rounds] = gbits;
	row->cpu_s[row->rounds++] = gbits > 0 ? got.cores / gbits : 0;
}

static void run_rounds(struct bench *b, const struct path p[N_GATEWAYS], enum frames frames, unsigned n,
		       unsigned rounds)
{
	struct bulk *rows[N_GATEWAYS] = { 0 };

	for (unsigned k = 0; k < N_GATEWAYS; k++)
		if (compared[k])
			rows[k] = report_bulk(&b->report, gateway_name(k), frames_names[frames], n);
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned i = 0; i < N_GATEWAYS; i++) {
			unsigned k = (i + round) % N_GATEWAYS;

			if (compared[k])
				take(rows[k], run(&p[k], n));
		}
	for (unsigned k = 0; k < N_GATEWAYS; k++)
		for (unsigned round = 0; rows[k] && round < rounds; round++)
			if (rows[GATEWAY_NFT]->gbits[round] > 0)
				rows[k]->of_nft[round] = rows[k]->gbits[round] / rows[GATEWAY_NFT]->gbits[round];
	for (unsigned k = 0; k < N_GATEWAYS; k++)
		for (unsigned round = 0; rows[k] && round < rounds; round++)
			if (!(rows[k]->gbits[round] > 0))
				complain(b, "bulk TCP, rounds that moved data", rows[k]->gateway, round, rounds);
	report_goal(&b->report, GOAL_AT_LEAST, frames == FRAMES_MTU ? 1 : 0.9,
		    median(rows[GATEWAY_DETNAT]->of_nft, rounds),
		    "bulk TCP, detnat redirect against nft SNAT, %s frames, streams: %u", frames_names[frames], n);
	report_goal(&b->report, GOAL_AT_LEAST, 1, median(rows[GATEWAY_DETNAT_SENDS]->of_nft, rounds),
		    "bulk TCP, tc that sends, against nft SNAT, %s frames, streams: %u", frames_names[frames], n);
	if (frames == FRAMES_GSO)
		report_goal(&b->report, GOAL_AT_LEAST, 0.9, median(rows[GATEWAY_DETNAT_TC]->of_nft, rounds),
			    "bulk TCP, tc alone, GSO, against nft SNAT, streams: %u", n);
}

void bulk_measure(struct bench *b, unsigned rounds)
{
	struct path p[N_GATEWAYS];

	for (unsigned f = 0; f < N_FRAMES; f++) {
		for (unsigned k = 0; k < N_GATEWAYS; k++)
			if (compared[k])
				path_new(b, k, f, &p[k]);
		for (size_t i = 0; i < ARRAY_SIZE(streams); i++)
			run_rounds(b, p, f, streams[i], rounds);
		for (unsigned k = 0; k < N_GATEWAYS; k++)
			if (compared[k])
				path_free(&p[k]);
	}
	netns_enter(b->w.netns);
	report_print_bulk(&b->report);
}
