// SPDX-License-Identifier: BSD-2-Clause
/*
 * End to end: live frames over veth through a gateway, made and received on one core that also does the gateway's work.
 * detnat against nftables SNAT and against the kernel's forwarding without NAT, all of them on the same topology, from
 * the same generator, alternately in one run; ratios are of the same round.
 *
 *	e2e [--full] [-o FILE]
 *	e2e --large HOSTS		the rows of 262144 or 1048576 hosts alone
 *	e2e --flowtable			nft with its flowtable, where the kernel has one, nft without, and detnat
 *	e2e --profile GATEWAY [HOSTS]	one gateway alone, by its name in the table, for `perf record -a -e cpu-clock`
 *
 * STAGES=1 or STAGES=2 in the environment sets the stages of detnat, which are chosen by it otherwise.
 *
 * Everything stands in namespaces of its own. Exit status: 0 measured, whether or not the goals are met; 1 something
 * was not as it has to be: lost sessions, wrong packets, or no topology.
 */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "base/base.h"
#include "e2e_clock.h"
#include "e2e_conntrack.h"
#include "e2e_gateway.h"
#include "e2e_netns.h"
#include "e2e_rows.h"
#include "e2e_traffic.h"

struct change_plan {
	uint32_t hosts;
	unsigned rounds;
	unsigned connection_rounds; /* 0: no TCP rows */
	struct redirect_goal goal;
};

static const struct change_plan quick[] = { { 1024, 5, 3, { 1.30, 0 } }, { 16384, 3, 0, { 1.75, 120 } } };
static const struct change_plan full[] = { { 1024, 11, 9, { 1.30, 0 } },
					   { 4096, 9, 0, { 0 } },
					   { 16384, 9, 3, { 1.75, 120 } } };

/* Tables that no cache holds. */
static const struct change_plan large[] = { { 262144, 7, 0, { 1.9, 120 } }, { 1048576, 5, 0, { 2.2, 0 } } };

static const char *const size_names[N_FRAME_SIZES] = { "64b", "imix" };
static const char *const direction_names[N_DIRECTIONS] = { "in2out", "out2in" };

static int by_endpoint(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct e2e_endpoint));
}

/* How many flows have an outside endpoint that is no other's. */
static uint64_t distinct_endpoints(const struct gateway *g)
{
	uint64_t n = g->hosts * (uint64_t)PORTS_PER_HOST, distinct = 0;
	_cleanup_free_ struct e2e_endpoint *e = malloc(n * sizeof(*e));

	if (!e)
		e2e_die(ENOMEM, "endpoints");
	memcpy(e, g->endpoints, n * sizeof(*e));
	qsort(e, n, sizeof(*e), by_endpoint);
	for (uint64_t i = 0; i < n; i++)
		distinct += e[i].known && (!i || by_endpoint(&e[i - 1], &e[i]));
	return distinct;
}

/* Opens every session once, and checks that each is in the table and that its outside endpoint is its own. */
static void ramp_up(struct bench *b, struct gateway *g, struct row *row)
{
	uint64_t sessions = g->hosts * (uint64_t)PORTS_PER_HOST, distinct, start = monotonic_us();
	struct result r = traffic_open_sessions(&b->w, g);

	report_round(row, &r, seconds_since(start));
	row->sessions = sessions;
	row->entries = gateway_sessions(&b->w, g);
	distinct = distinct_endpoints(g);
	if (row->entries != sessions)
		complain(b, "sessions in the table after the ramp-up", gateway_name(g->kind), row->entries, sessions);
	if (distinct != sessions)
		complain(b, "outside endpoints", gateway_name(g->kind), distinct, sessions);
}

static void throughput(struct bench *b, struct gateway *g, const struct change_plan *p)
{
	struct row *rows[N_FRAME_SIZES][N_DIRECTIONS][N_GATEWAYS];
	double generator[N_FRAME_SIZES][MAX_ROUNDS];

	for (unsigned s = 0; s < N_FRAME_SIZES; s++)
		for (unsigned d = 0; d < N_DIRECTIONS; d++)
			for (unsigned k = 0; k < N_GATEWAYS; k++) {
				rows[s][d][k] = new_row(b, k, s, "udp", p->hosts, "mrr", direction_names[d]);
				rows[s][d][k]->sessions = gateway_translates(k) ? p->hosts * PORTS_PER_HOST : 0;
			}
	for (unsigned round = 0; round < p->rounds; round++)
		for (unsigned s = 0; s < N_FRAME_SIZES; s++) {
			struct result alone = traffic_alone(&b->w, p->hosts, s, PACKETS);

			generator[s][round] = alone.ns;
			for (unsigned d = 0; d < N_DIRECTIONS; d++) {
				for (unsigned i = 0; i < N_GATEWAYS; i++) {
					unsigned k = (i + round) % N_GATEWAYS;
					uint64_t start;
					struct result r;

					gateway_prepare(&b->w, &g[k]);
					start = monotonic_us();
					r = traffic_run(&b->w, &g[k], d, s, PACKETS);

					report_round(rows[s][d][k], &r, seconds_since(start));
				}
				compare(rows[s][d], round, alone.ns);
			}
		}
	report_note(&b->report,
		    "%u sessions: the generator alone takes %.1f ns a packet (imix %.1f); NET is without it\n",
		    p->hosts * PORTS_PER_HOST, median(generator[FRAME_64], p->rounds),
		    median(generator[FRAME_IMIX], p->rounds));
	for (unsigned k = 0; k < N_GATEWAYS; k++) {
		uint64_t entries = gateway_sessions(&b->w, &g[k]);

		for (unsigned s = 0; s < N_FRAME_SIZES; s++)
			for (unsigned d = 0; d < N_DIRECTIONS; d++) {
				rows[s][d][k]->entries = entries;
				if (entries != rows[s][d][k]->sessions)
					complain(b, "sessions in the table after the runs", gateway_name(k), entries,
						 rows[s][d][k]->sessions);
			}
	}
	for (unsigned s = 0; s < N_FRAME_SIZES; s++)
		for (unsigned d = 0; d < N_DIRECTIONS; d++) {
			for (unsigned k = 0; k < N_GATEWAYS; k++)
				check_losses(b, rows[s][d][k]);

			const struct row *det = rows[s][d][GATEWAY_DETNAT];
			double ratio = median(det->of_nft, det->rounds);
			bool first = p->hosts == 1024;
			char what[64];

			if (first)
				b->ratio_at_64512[s][d] = ratio;
			report_goal(&b->report, first ? GOAL_AT_LEAST : GOAL_MORE, first ? 5 : b->ratio_at_64512[s][d],
				    ratio, "detnat redirect against nft SNAT, %u sessions, %s, %s",
				    p->hosts * PORTS_PER_HOST, size_names[s], direction_names[d]);
			report_goal(&b->report, GOAL_AT_LEAST, 2.8,
				    median(rows[s][d][GATEWAY_DETNAT_SENDS]->of_nft,
					   rows[s][d][GATEWAY_DETNAT_SENDS]->rounds),
				    "detnat tc that sends against nft SNAT, %u sessions, %s, %s",
				    p->hosts * PORTS_PER_HOST, size_names[s], direction_names[d]);
			snprintf(what, sizeof(what), "%u sessions, %s, %s", p->hosts * PORTS_PER_HOST, size_names[s],
				 direction_names[d]);
			goals_beside_redirect(b, det, &p->goal, what);
			report_goal(&b->report, GOAL_MORE, 1, median(det->of_forward, det->rounds),
				    "detnat redirect against forwarding without NAT, %u sessions, %s, %s",
				    p->hosts * PORTS_PER_HOST, size_names[s], direction_names[d]);
		}
}

static void connections(struct bench *b, struct gateway *g, const struct change_plan *p)
{
	static uint16_t ext_port = 20000; /* another for each run: every tuple is new */
	struct row *rows[N_GATEWAYS];

	for (unsigned k = 0; k < N_GATEWAYS; k++)
		rows[k] = new_row(b, k, FRAME_64, "tcp", p->hosts, "cps", "connection");
	for (unsigned round = 0; round < p->connection_rounds; round++) {
		for (unsigned i = 0; i < N_GATEWAYS; i++) {
			unsigned k = (i + round) % N_GATEWAYS;
			struct result r;
			uint64_t start;

			gateway_flush(&g[k]);
			gateway_prepare(&b->w, &g[k]);
			start = monotonic_us();
			r = traffic_connections(&b->w, &g[k], ext_port++);
			report_round(rows[k], &r, seconds_since(start));
		}
		compare(rows, round, 0);
	}
	for (unsigned k = 0; k < N_GATEWAYS; k++)
		check_losses(b, rows[k]);
	report_goal(&b->report, GOAL_AT_LEAST, 4, median(rows[GATEWAY_DETNAT]->of_nft, p->connection_rounds),
		    "whole TCP connections a second, detnat redirect against nft SNAT");
	report_goal(&b->report, GOAL_AT_LEAST, 2, median(rows[GATEWAY_DETNAT_SENDS]->of_nft, p->connection_rounds),
		    "whole TCP connections a second, detnat tc that sends against nft SNAT");
}

static void measure(struct bench *b, const struct change_plan *p)
{
	struct gateway g[N_GATEWAYS];
	struct row *opening[N_GATEWAYS] = { 0 };
	size_t first = b->report.rows;

	for (unsigned k = 0; k < N_GATEWAYS; k++)
		if (k == GATEWAY_NFT_TUNED)
			gateway_share(&g[GATEWAY_NFT], k, &g[k]);
		else
			gateway_new(&b->w, k, p->hosts, NULL, &g[k]);
	for (unsigned k = 0; k < N_GATEWAYS; k++) {
		if (!gateway_translates(k) || k == GATEWAY_NFT_TUNED)
			continue;
		opening[k] = new_row(b, k, FRAME_64, "udp", p->hosts, "open", "new");
		ramp_up(b, &g[k], opening[k]);
	}
	for (unsigned k = 0; k < N_GATEWAYS; k++)
		if (opening[k] && k != GATEWAY_NFT)
			opening[k]->of_nft[0] = opening[GATEWAY_NFT]->ns[0] / opening[k]->ns[0];
	throughput(b, g, p);
	if (p->connection_rounds)
		connections(b, g, p);
	if (g[GATEWAY_NFT].lanes > 1)
		report_note(
			&b->report,
			"%u sessions: nft is spread over %u gateways, as a namespace holds %lu entries at most here\n",
			p->hosts * PORTS_PER_HOST, g[GATEWAY_NFT].lanes, conntrack_max());
	report_print_rows(&b->report, first);
	for (unsigned k = 0; k < N_GATEWAYS; k++)
		gateway_free(&g[k]);
}

/* Runs of one gateway in each direction, one after the other. */
static void profile(struct bench *b, const char *name, uint32_t hosts)
{
	struct gateway g;
	unsigned kind = 0;

	while (kind < N_GATEWAYS && strcmp(gateway_name(kind), name))
		kind++;
	if (kind == N_GATEWAYS)
		e2e_die(0, "no gateway of that name: %s", name);
	if (hosts < 1024 || hosts > 16384 || hosts & (hosts - 1))
		e2e_die(0, "1024, 2048, 4096, 8192 or 16384 hosts");
	gateway_new(&b->w, kind == GATEWAY_NFT_TUNED ? GATEWAY_NFT : kind, hosts, NULL, &g);
	g.kind = kind;
	gateway_prepare(&b->w, &g);
	traffic_open_sessions(&b->w, &g);
	for (unsigned d = 0; d < N_DIRECTIONS; d++) {
		struct row row = { .gateway = name };

		for (unsigned i = 0; i < MAX_ROUNDS; i++) {
			struct result r = traffic_run(&b->w, &g, d, FRAME_64, PACKETS);

			report_round(&row, &r, 0);
		}
		check_losses(b, &row);
		printf("%s, %u hosts, 64b, %s: %.1f ns a packet; %lu lost, %lu of %lu looked at wrong\n", name, hosts,
		       direction_names[d], median(row.ns, MAX_ROUNDS), row.sent - row.arrived, row.bad, row.samples);
	}
	gateway_free(&g);
}

static void find_build(char *ret, size_t size)
{
	char self[256];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		e2e_die(errno, "/proc/self/exe");
	self[n] = 0;
	snprintf(ret, size, "%s", dirname(dirname(dirname(self))));
}

int main(int argc, char *argv[])
{
	static struct bench b;
	const struct change_plan *plan = quick;
	size_t plans = ARRAY_SIZE(quick);
	const char *out = NULL, *only = NULL;
	uint32_t hosts = 1024, only_large = 0;
	bool only_bulk = false, only_flowtable = false;
	uint64_t start = monotonic_us();
	uint64_t samples = 0, bad = 0, sent = 0, arrived = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--full")) {
			plan = full;
			plans = ARRAY_SIZE(full);
		} else if (!strcmp(argv[i], "-o") && i + 1 < argc) {
			out = argv[++i];
		} else if (!strcmp(argv[i], "--bulk")) {
			only_bulk = true;
			plans = 0;
		} else if (!strcmp(argv[i], "--flowtable")) {
			only_flowtable = true;
			plans = 0;
		} else if (!strcmp(argv[i], "--large") && i + 1 < argc) {
			only_large = (uint32_t)atoi(argv[++i]);
			plans = 0;
		} else if (!strcmp(argv[i], "--profile") && i + 1 < argc) {
			only = argv[++i];
			if (i + 1 < argc)
				hosts = (uint32_t)atoi(argv[++i]);
		} else {
			fprintf(stderr,
				"usage: %s [--full | --bulk | --flowtable | --large HOSTS] [-o FILE] | --profile "
				"GATEWAY [HOSTS]\n",
				argv[0]);
			return 2;
		}
	}
	if (geteuid() != 0)
		e2e_die(0, "needs root, for namespaces and BPF programs");
	libbpf_set_print(NULL);
	if (only_large && only_large != large[0].hosts && only_large != large[1].hosts)
		e2e_die(0, "%u or %u hosts", large[0].hosts, large[1].hosts);
	find_build(b.w.build, sizeof(b.w.build));
	netns_isolate();
	traffic_open(&b.w);
	printf("end to end over veth, generator, gateway and sink on core %d\n", core_pin());
	if (only) {
		profile(&b, only, hosts);
		return b.wrong;
	}
	report_print_head();
	for (size_t i = 0; i < plans; i++)
		measure(&b, &plan[i]);
	for (size_t i = 0; i < ARRAY_SIZE(large); i++)
		if (plan == full || only_large == large[i].hosts)
			large_measure(&b, large[i].hosts, large[i].rounds, large[i].goal);
	if (only_flowtable)
		flowtable_measure(&b, 1024);
	else if (!only_large) {
		if (!only_bulk)
			real_measure(&b, plan == full ? 9 : 3, (struct redirect_goal){ 1.75, 120 });
		bulk_measure(&b, plan == full ? 5 : 2);
	}
	for (size_t i = 0; i < b.report.rows; i++) {
		samples += b.report.row[i].samples;
		bad += b.report.row[i].bad;
		sent += b.report.row[i].sent;
		arrived += b.report.row[i].arrived;
	}
	if (bad)
		complain(&b, "wrong packets", "all", bad, samples);
	report_note(&b.report, "conntrack: %lu hash buckets for the whole machine, its own setting\n",
		    conntrack_buckets());
	report_note(&b.report,
		    "%lu packets and connections sent, %lu arrived; %lu verified whole, %lu of them wrong; %.0f s\n",
		    sent, arrived, samples, bad, seconds_since(start));
	report_print_goals(&b.report);
	traffic_close(&b.w);
	if (out) {
		int r = report_write(&b.report, out, seconds_since(start));

		if (r)
			e2e_die(r, "%s", out);
	}
	return b.wrong;
}
