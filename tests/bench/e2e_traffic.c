// SPDX-License-Identifier: BSD-2-Clause
#include "e2e_traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/base.h"
#include "e2e.skel.h"
#include "e2e_clock.h"
#include "e2e_netns.h"
#include "e2e_samples.h"
#include "random.h"

/* What is still under way this long after the last arrival is lost. */
#define PATIENCE_NS 50000000ULL
#define SAMPLE_MASK 4095U

/* Octets in memory: without the FCS. */
static const uint32_t imix[E2E_MAX_PATTERN] = { 60, 590, 60, 60, 590, 60, 1514, 60, 590, 60, 590, 60 };

static struct e2e_flow *flows;
static struct e2e_endpoint *endpoints;
static uint32_t *order;
static uint8_t template[E2E_MAX_FRAME];
static uint64_t seed = RANDOM_SEED;

static void *map_of(const struct bpf_map *map, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (p == MAP_FAILED)
		e2e_die(errno, "mmap of a map");
	return p;
}

void traffic_open(struct world *w)
{
	w->skeleton = e2e__open_and_load();
	if (!w->skeleton)
		e2e_die(errno, "loading the programs");
	flows = map_of(w->skeleton->maps.flows, E2E_MAX_FLOWS * sizeof(*flows));
	endpoints = map_of(w->skeleton->maps.endpoints, E2E_MAX_FLOWS * sizeof(*endpoints));
	order = malloc(E2E_MAX_FLOWS * sizeof(*order));
	if (!order)
		e2e_die(ENOMEM, "flows");
	for (size_t i = 0; i < sizeof(template); i++)
		template[i] = (uint8_t)(i * 7 + 1);
	memcpy(w->skeleton->bss->orders.dst_mac, "\2\0\0\0\0\2", 6);
	memcpy(w->skeleton->bss->orders.src_mac, "\2\0\0\0\0\1", 6);
	w->skeleton->bss->orders.sample_mask = SAMPLE_MASK;
	w->netns = netns_new();
	netns_enter(w->netns);
}

void traffic_close(struct world *w)
{
	close(w->netns);
	free(order);
	e2e__destroy(w->skeleton);
}

/* Sum of 16-bit words as they stand in memory. */
static uint64_t words(const uint8_t *p, size_t n)
{
	uint64_t sum = 0;
	uint16_t word;

	for (; n > 1; p += 2, n -= 2) {
		memcpy(&word, p, 2);
		sum += word;
	}
	return sum;
}

/* Sums of what is the same in all frames of a size; the generator adds what the flow makes different. */
static struct e2e_shape shape_of(uint32_t length, uint8_t proto)
{
	uint16_t ip = (uint16_t)(length - 14), l4 = (uint16_t)(ip - 20);
	struct e2e_shape s = {
		.length = length,
		.ip_sum = htons(0x4500) + htons(ip) + htons(0x4000) + htons(E2E_TTL << 8 | proto),
	};

	/* The payload, but for the number. Frame lengths are even. */
	if (proto == IPPROTO_UDP)
		s.l4_sum = htons(proto) + 2ULL * htons(l4) + words(template + 46, length - 46);
	return s;
}

static uint32_t order_sizes(struct e2e_orders *o, enum frame_size size)
{
	uint32_t longest = 0;

	o->pattern = size == FRAME_64 ? 1 : E2E_MAX_PATTERN;
	for (uint32_t i = 0; i < o->pattern; i++) {
		o->shape[i] = shape_of(imix[i], IPPROTO_UDP);
		if (imix[i] > longest)
			longest = imix[i];
	}
	return longest;
}

static void shuffle(uint32_t *p, uint32_t n)
{
	for (uint32_t i = n; i > 1; i--) {
		uint32_t other = (uint32_t)(random_next(&seed) % i), t = p[i - 1];

		p[i - 1] = p[other];
		p[other] = t;
	}
}

struct e2e_flow traffic_flow(const struct gateway *g, enum direction d, uint32_t number, uint16_t ext_port)
{
	struct e2e_flow f = {
		.src = htonl(flow_host(number)),
		.dst = htonl(gateway_destination(g, number)),
		.sport = htons(flow_port(number)),
		.dport = htons(ext_port),
		.number = number,
	};

	if (d == INSIDE_TO_OUTSIDE)
		return f;

	bool translated = g && gateway_translates(g->kind);

	return (struct e2e_flow){
		.src = f.dst,
		.dst = translated ? g->endpoints[number].addr : f.src,
		.sport = f.dport,
		.dport = translated ? g->endpoints[number].port : f.sport,
		.number = number,
	};
}

/*
 * Lays out packets of all flows in random order, anew for each pass over them. A batch is of one lane's hosts, which
 * are consecutive; batches take the lanes in turn.
 */
static void fill_flows(const struct gateway *g, uint32_t hosts, enum direction d, uint32_t packets, uint16_t ext_port)
{
	uint32_t lanes = g ? g->lanes : 1, sessions = hosts * PORTS_PER_HOST, share = sessions / lanes;

	for (uint32_t i = 0; i < sessions; i++)
		order[i] = i;
	for (uint32_t done = 0; done < packets; done += sessions) {
		for (uint32_t l = 0; l < lanes; l++)
			shuffle(order + l * share, share);
		for (uint32_t i = 0; i < sessions && done + i < packets; i++) {
			uint32_t batch = i >> E2E_BATCH_SHIFT;
			uint32_t at = batch % lanes * share + batch / lanes * E2E_BATCH + i % E2E_BATCH;

			flows[done + i] = traffic_flow(g, d, order[at], ext_port);
		}
	}
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Where frames or connections end that a generator sends, bits of 1 << enum e2e_side and: */
#define ENDS_COMPLETED 4U
#define ENDS_SENT      8U

static uint64_t ended(const volatile struct e2e_tally *t, unsigned ends)
{
	uint64_t n = ends & ENDS_SENT ? t->sent : ends & ENDS_COMPLETED ? t->completed : 0;

	for (unsigned side = 0; side < N_SIDES; side++)
		if (ends & 1U << side)
			n += t->arrived[side];
	return n;
}

/*
 * Runs a generator, whose frames' fate is counted where `ends` says, and waits for the last of them. Nanoseconds of the
 * core from the first packet to the last: what passed, less what others had of it.
 */
static uint64_t generate(const struct world *w, const struct bpf_program *program, uint32_t length, uint32_t packets,
			 unsigned ends)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = template, .data_size_in = length, .repeat = (int)packets,
		    .batch_size = E2E_BATCH, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	const volatile struct e2e_tally *t = &w->skeleton->bss->tally;
	uint64_t lent = core_softirqd_ns(), waited, since, last;
	int r;

	w->skeleton->bss->orders.expected = packets;
	r = bpf_prog_test_run_opts(bpf_program__fd(program), &opts);
	if (r)
		e2e_die(r, "live frames");
	last = ended(t, ends);
	since = now_ns();
	while (last < packets && now_ns() - since < PATIENCE_NS) {
		struct timespec moment = { .tv_nsec = 20000 };

		nanosleep(&moment, NULL);
		if (ended(t, ends) != last)
			since = now_ns();
		last = ended(t, ends);
	}
	if (t->sent != packets)
		e2e_die(0, "only %llu of %u frames were made", t->sent, packets);
	lent = core_softirqd_ns() - lent;
	waited = t->last.waited - t->first.waited;
	return t->last.at - t->first.at - (waited > lent ? waited - lent : 0);
}

static enum e2e_side sending_side(enum direction d)
{
	return d == INSIDE_TO_OUTSIDE ? SIDE_HOSTS : SIDE_INTERNET;
}

static enum e2e_side receiving_side(enum direction d)
{
	return d == INSIDE_TO_OUTSIDE ? SIDE_INTERNET : SIDE_HOSTS;
}

static void aim(const struct world *w, const struct gateway *g, enum direction d)
{
	struct e2e_orders *o = &w->skeleton->bss->orders;

	memset(&w->skeleton->bss->tally, 0, sizeof(w->skeleton->bss->tally));
	o->ways = g->lanes;
	for (uint32_t i = 0; i < g->lanes; i++)
		o->ifindex[i] = g->lane[i].ifindex[sending_side(d)];
}

static void aim_both(const struct world *w, const struct gateway *g)
{
	struct e2e_orders *o = &w->skeleton->bss->orders;

	memset(&w->skeleton->bss->tally, 0, sizeof(w->skeleton->bss->tally));
	o->ways = g->lanes * N_DIRECTIONS;
	for (uint32_t i = 0; i < o->ways; i++)
		o->ifindex[i] = g->lane[traffic_lane(g, i)].ifindex[sending_side(i % N_DIRECTIONS)];
}

static struct result result_of(const struct world *w, const struct gateway *g, uint64_t ns, uint64_t arrived,
			       uint16_t ext_port)
{
	const struct e2e_tally *t = &w->skeleton->bss->tally;
	struct sample_check check = { .g = g, .ext_port = ext_port };

	samples_take(w, &check);
	return (struct result){
		.ns = (double)ns / (double)(arrived ? arrived : 1),
		.sent = t->sent,
		.arrived = arrived,
		.samples = check.samples,
		.bad = check.bad + t->strange,
	};
}

static struct result run(const struct world *w, const struct gateway *g, enum direction d, enum frame_size size,
			 uint32_t packets)
{
	const struct e2e_tally *t = &w->skeleton->bss->tally;
	enum e2e_side side = receiving_side(d);
	uint32_t length = order_sizes(&w->skeleton->bss->orders, size);
	uint64_t ns;

	fill_flows(g, g->hosts, d, packets, EXTERNAL_PORT);
	aim(w, g, d);
	ns = generate(w, w->skeleton->progs.generate_udp, length, packets, 1U << side);
	return result_of(w, g, ns, t->arrived[side], EXTERNAL_PORT);
}

struct result traffic_run(const struct world *w, const struct gateway *g, enum direction d, enum frame_size size,
			  uint32_t packets)
{
	return run(w, g, d, size, packets);
}

struct result traffic_open_sessions(const struct world *w, struct gateway *g)
{
	uint32_t sessions = g->hosts * PORTS_PER_HOST;
	struct result r;

	memset(endpoints, 0, sessions * sizeof(*endpoints));
	w->skeleton->bss->orders.learn = 1;
	r = run(w, g, INSIDE_TO_OUTSIDE, FRAME_64, sessions);
	w->skeleton->bss->orders.learn = 0;
	memcpy(g->endpoints, endpoints, sessions * sizeof(*endpoints));
	return r;
}

struct result traffic_given(const struct world *w, const struct gateway *g, const struct given *given)
{
	const struct e2e_tally *t = &w->skeleton->bss->tally;
	struct e2e_orders *o = &w->skeleton->bss->orders;
	uint32_t length = order_sizes(o, given->size), sessions = g->hosts * PORTS_PER_HOST;
	enum direction d = given->from_outside ? OUTSIDE_TO_INSIDE : INSIDE_TO_OUTSIDE;
	unsigned ends = given->both ? 1U << SIDE_INTERNET | 1U << SIDE_HOSTS : 1U << receiving_side(d);
	uint64_t ns;

	for (uint32_t i = 0; i < given->packets; i++)
		flows[i] = given->next(given->arg, i);
	if (given->both)
		aim_both(w, g);
	else
		aim(w, g, d);
	if (given->learn)
		memset(endpoints, 0, sessions * sizeof(*endpoints));
	o->learn = given->learn;
	ns = generate(w, given->alone ? w->skeleton->progs.generate_nothing : w->skeleton->progs.generate_udp, length,
		      given->packets, given->alone ? ENDS_SENT : ends);
	o->learn = 0;
	if (given->learn)
		memcpy(g->endpoints, endpoints, sessions * sizeof(*endpoints));
	return result_of(w, g, ns, ended(t, given->alone ? ENDS_SENT : ends), EXTERNAL_PORT);
}

struct result traffic_alone(const struct world *w, uint32_t hosts, enum frame_size size, uint32_t packets)
{
	const struct e2e_tally *t = &w->skeleton->bss->tally;
	uint32_t length = order_sizes(&w->skeleton->bss->orders, size);
	uint64_t ns;

	fill_flows(NULL, hosts, INSIDE_TO_OUTSIDE, packets, EXTERNAL_PORT);
	memset(&w->skeleton->bss->tally, 0, sizeof(w->skeleton->bss->tally));
	ns = generate(w, w->skeleton->progs.generate_nothing, length, packets, ENDS_SENT);
	return (struct result){ .ns = (double)ns / packets, .sent = t->sent, .arrived = t->sent };
}

struct result traffic_connections(const struct world *w, const struct gateway *g, uint16_t ext_port)
{
	const struct e2e_tally *t = &w->skeleton->bss->tally;
	uint32_t sessions = g->hosts * PORTS_PER_HOST;
	uint64_t ns;

	w->skeleton->bss->orders.shape[0] = shape_of(54, IPPROTO_TCP);
	fill_flows(g, g->hosts, INSIDE_TO_OUTSIDE, sessions, ext_port);
	aim(w, g, INSIDE_TO_OUTSIDE);
	ns = generate(w, w->skeleton->progs.generate_syn, 54, sessions, ENDS_COMPLETED);
	return result_of(w, g, ns, t->completed, ext_port);
}
