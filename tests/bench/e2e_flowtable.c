// SPDX-License-Identifier: BSD-2-Clause
/*
 * nftables SNAT with its flowtable, where the kernel has one: packets of flows that it has seen pass the rules, the
 * routing and most of conntrack by. One gateway after the other, as a guest whose clock counts instructions
 * (tests/vm/flowtable.sh) has no noise that alternation would even out.
 */
#include "e2e_rows.h"

#include "base/base.h"
#include "e2e_traffic.h"

static const enum gateway_kind compared[] = { GATEWAY_NFT, GATEWAY_NFT_FLOWTABLE, GATEWAY_FORWARD, GATEWAY_DETNAT,
					      GATEWAY_DETNAT_SENDS };
static const char *const direction_names[N_DIRECTIONS] = { "in2out", "out2in" };

/* Each session's packet out and in: then the flowtable has it, and conntrack knows it as answered. */
static void warm_up(const struct world *w, const struct gateway *g)
{
	for (unsigned d = 0; d < N_DIRECTIONS; d++)
		traffic_run(w, g, d, FRAME_64, g->hosts * PORTS_PER_HOST);
}

static void measure_one(struct bench *b, enum gateway_kind kind, uint32_t hosts, double nft[N_DIRECTIONS])
{
	struct gateway g;

	gateway_new(&b->w, kind, hosts, NULL, &g);
	gateway_prepare(&b->w, &g);
	if (gateway_translates(kind))
		traffic_open_sessions(&b->w, &g);
	warm_up(&b->w, &g);
	for (unsigned d = 0; d < N_DIRECTIONS; d++) {
		struct row *row = new_row(b, kind, FRAME_64, "udp", hosts, "mrr", direction_names[d]);
		struct result r = traffic_run(&b->w, &g, d, FRAME_64, g.hosts * PORTS_PER_HOST);

		report_round(row, &r, 0);
		if (kind == GATEWAY_NFT)
			nft[d] = r.ns;
		else
			row->of_nft[0] = nft[d] / r.ns;
		row->sessions = gateway_translates(kind) ? hosts * PORTS_PER_HOST : 0;
		row->entries = gateway_sessions(&b->w, &g);
		if (row->entries != row->sessions)
			complain(b, "sessions in the table", gateway_name(kind), row->entries, row->sessions);
		check_losses(b, row);
	}
	gateway_free(&g);
}

void flowtable_measure(struct bench *b, uint32_t hosts)
{
	size_t first = b->report.rows;
	double nft[N_DIRECTIONS];

	for (size_t i = 0; i < ARRAY_SIZE(compared); i++)
		measure_one(b, compared[i], hosts, nft);
	report_print_rows(&b->report, first);
}
