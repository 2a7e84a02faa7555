/* SPDX-License-Identifier: BSD-2-Clause */
/* Live frames through a gateway, and what became of them. */
#ifndef DETNAT_BENCH_E2E_TRAFFIC_H
#define DETNAT_BENCH_E2E_TRAFFIC_H

#include "e2e_gateway.h"

enum frame_size { FRAME_64, FRAME_IMIX, N_FRAME_SIZES };
enum direction { INSIDE_TO_OUTSIDE, OUTSIDE_TO_INSIDE, N_DIRECTIONS };

/* Lane of a batch where both directions take turns: even batches are from inside. */
static inline uint32_t traffic_lane(const struct gateway *g, uint32_t batch)
{
	return batch / N_DIRECTIONS % g->lanes;
}

struct result {
	double ns; /* a packet, or a connection */
	uint64_t sent;
	uint64_t arrived; /* or completed */
	uint64_t samples;
	uint64_t bad; /* samples that were not what they had to be; packets of nobody */
};

/* Loads the programs and makes the world around them. */
void traffic_open(struct world *w);
void traffic_close(struct world *w);

/* Opens the sessions of all flows, each by a packet, in random order, and learns what their sources became. */
struct result traffic_open_sessions(const struct world *w, struct gateway *g);

/*
 * Sends so many packets, at most E2E_MAX_FLOWS, of flows in random order, each flow as often as any other. Outside to
 * inside, a gateway that translates must have its sessions open and learnt.
 */
struct result traffic_run(const struct world *w, const struct gateway *g, enum direction d, enum frame_size size,
			  uint32_t packets);

/* Packets that are given one by one. */
struct given {
	struct e2e_flow (*next)(void *arg, uint32_t place);
	void *arg;
	uint32_t packets; /* at most E2E_MAX_FLOWS */
	enum frame_size size;
	bool from_outside;
	bool both;  /* batches from inside and outside in turn, see traffic_lane(); else all are from inside or from
		       outside */
	bool learn; /* what the sources became */
	bool alone; /* the generator's frames are dropped at once */
};

struct result traffic_given(const struct world *w, const struct gateway *g, const struct given *given);

/* A packet of a flow, of its number. Outside to inside its endpoint must be learnt. */
struct e2e_flow traffic_flow(const struct gateway *g, enum direction d, uint32_t number, uint16_t ext_port);

/* The generator alone, its frames dropped at once. */
struct result traffic_alone(const struct world *w, uint32_t hosts, enum frame_size size, uint32_t packets);

/*
 * Whole TCP connections, six segments each, from SYN to last ACK, as many as there are flows. To the external port
 * given: one that was not used before makes every tuple new.
 */
struct result traffic_connections(const struct world *w, const struct gateway *g, uint16_t ext_port);

#endif
