// SPDX-License-Identifier: BSD-2-Clause
/* Orders of sessions, and their packets. No list of all sessions is kept: there may be 66 million. */
#include "bench.h"

/* Scrambles a half of the number, by the key and the round. */
static uint32_t scramble(uint32_t half, uint64_t key, unsigned round)
{
	uint64_t x = (half + key + round) * 0x9e3779b97f4a7c15ULL;

	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	return (uint32_t)(x >> 32);
}

/* A permutation of all numbers of so many bits (even): a Feistel network. */
static uint64_t permute(uint64_t n, unsigned bits, uint64_t key)
{
	unsigned half = bits / 2;
	uint32_t mask = (1U << half) - 1, left = (uint32_t)(n >> half), right = (uint32_t)n & mask;

	for (unsigned round = 0; round < 4; round++) {
		uint32_t next = left ^ (scramble(right, key, round) & mask);

		left = right;
		right = next;
	}
	return (uint64_t)left << half | right;
}

struct sequence sequence_new(struct bench *b, const struct space *s, enum order order)
{
	return sequence_of(b, s, order, s->n_sessions);
}

struct sequence sequence_of(struct bench *b, const struct space *s, enum order order, uint64_t n)
{
	struct sequence q = { .s = s, .order = order, .n = n, .key = random_next(&b->seed), .bits = 2 };

	while (1ULL << q.bits < n)
		q.bits += 2;
	return q;
}

uint64_t sequence_at(const struct sequence *q, uint64_t place)
{
	const struct row *row = q->s->row;

	switch (q->order) {
	case ORDER_HOSTS:
		return place % row->hosts * row->sessions + place / row->hosts;
	case ORDER_BURSTS:
		return place;
	default:
		/* What falls outside is permuted again, until it does not: still a permutation. */
		do
			place = permute(place, q->bits, q->key);
		while (place >= q->n);
		return place;
	}
}

struct flow_tuple flow_of(const struct space *s, uint64_t session, enum direction direction)
{
	if (s->in)
		return direction == FROM_INSIDE ? s->in[session] : s->out[session];
	return flow_plain(s, session, direction);
}

struct flow_tuple flow_plain(const struct space *s, uint64_t session, enum direction direction)
{
	uint32_t host = (uint32_t)(session / s->row->sessions), p = (uint32_t)(session % s->row->sessions);
	const struct geometry *g = &s->geo[host / s->hosts_each];
	uint32_t in_addr = g->in_base + host % s->hosts_each;
	uint16_t port = (uint16_t)(FIRST_PORT + p);

	if (direction == BEYOND_QUOTA)
		port = (uint16_t)(port + s->row->sessions);
	if (direction != FROM_OUTSIDE)
		return (struct flow_tuple){ in_addr, EXTERNAL, port, EXTERNAL_PORT, 0 };
	if (s->row->feature == FEATURE_OPEN)
		return (struct flow_tuple){ EXTERNAL, g->out_base + (in_addr - g->in_base), EXTERNAL_PORT, port, 0 };

	/* All go to one destination, from as many consecutive ports as there are at most: each gets its first choice.
	 */
	struct port_block block = mapping_forward(g, in_addr);

	return (struct flow_tuple){ EXTERNAL, block.out_addr, EXTERNAL_PORT,
				    (uint16_t)(block.port_lo + mapping_first_choice(g, port)), 0 };
}

void flows_list(struct core *c, const struct sequence *q, uint64_t from, uint32_t n, enum direction direction)
{
	for (uint32_t i = 0; i < n; i++)
		c->flows[i] = flow_of(q->s, sequence_at(q, from + i), direction);
}
