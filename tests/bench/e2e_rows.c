// SPDX-License-Identifier: BSD-2-Clause
#include "e2e_rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "e2e_netns.h"
#include "random.h"

/* Destinations of mixed traffic, and the exponent of their Zipf distribution. */
#define DESTINATIONS 100000U
#define ZIPF	     1

static const char *const size_names[N_FRAME_SIZES] = { "64b", "imix" };
static const char *const csit_names[N_GATEWAYS + 1] = { "ip4base",  "nat44nft", "nat44nft", "ip4xdp",  "nat44det",
							"nat44det", "nat44det", "nat44det", "nat44nft" };

double seconds_since(uint64_t start_us)
{
	return (double)(monotonic_us() - start_us) / 1e6;
}

void complain(struct bench *b, const char *text, const char *gateway, uint64_t is, uint64_t has_to_be)
{
	if (!is && has_to_be)
		e2e_die(0, "%s: %s: none of %lu; a row that moves nothing has no figures", gateway, text, has_to_be);
	fprintf(stderr, "bench-e2e: %s: %s: %lu of %lu\n", gateway, text, is, has_to_be);
	b->wrong = true;
}

void check_losses(struct bench *b, const struct row *row)
{
	if (row->sent - row->arrived > row->sent / 1000)
		complain(b, "arrived", row->gateway, row->arrived, row->sent);
}

struct row *new_row(struct bench *b, enum gateway_kind kind, enum frame_size size, const char *proto, uint32_t hosts,
		    const char *method, const char *path)
{
	char name[80];

	snprintf(name, sizeof(name), "%s-1c-ethip4%s-%s-h%u-p%u-s%u-%s", size_names[size], proto, csit_names[kind],
		 hosts, PORTS_PER_HOST, hosts * PORTS_PER_HOST, method);
	return report_row(&b->report, name, gateway_name(kind), path);
}

static void compare_to_redirect(struct row *row, const struct row *redirect, unsigned round)
{
	row->of_xdp[round] = row->ns[round] / redirect->ns[round];
	row->above_xdp[round] = row->ns[round] - redirect->ns[round];
}

void compare(struct row *const rows[N_GATEWAYS], unsigned round, double alone)
{
	for (unsigned k = 0; k < N_GATEWAYS; k++) {
		double ns = rows[k] ? rows[k]->ns[round] : 0,
		       nft = rows[GATEWAY_NFT] ? rows[GATEWAY_NFT]->ns[round] : 0;

		if (!rows[k])
			continue;
		if (k != GATEWAY_NFT && nft > 0) {
			rows[k]->of_nft[round] = nft / ns;
			rows[k]->net_of_nft[round] = alone > 0 && ns > alone ? (nft - alone) / (ns - alone) : 0;
		}
		if (k != GATEWAY_FORWARD && rows[GATEWAY_FORWARD])
			rows[k]->of_forward[round] = rows[GATEWAY_FORWARD]->ns[round] / ns;
		if (k != GATEWAY_REDIRECT && rows[GATEWAY_REDIRECT])
			compare_to_redirect(rows[k], rows[GATEWAY_REDIRECT], round);
	}
}

void goals_beside_redirect(struct bench *b, const struct row *row, const struct redirect_goal *goal, const char *what)
{
	if (goal->of_xdp > 0)
		report_goal(&b->report, GOAL_AT_MOST, goal->of_xdp, median(row->of_xdp, row->rounds),
			    "detnat redirect against the bare redirect, %s", what);
	if (goal->above_ns > 0)
		report_goal(&b->report, GOAL_NS_AT_MOST, goal->above_ns, median(row->above_xdp, row->rounds),
			    "detnat redirect above the bare redirect, %s", what);
}

uint32_t *draw_destinations(const struct internet *t, uint32_t n)
{
	uint32_t *addr = calloc(n, sizeof(*addr));
	uint64_t seed = RANDOM_SEED;
	struct popularity p;

	if (!addr || popularity_new(DESTINATIONS, ZIPF, &p))
		e2e_die(ENOMEM, "destinations");
	for (uint32_t i = 0; i < n; i++)
		addr[i] = internet_destination(t, popularity_draw(&p, &seed));
	popularity_free(&p);
	return addr;
}
