// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two cores open, refresh and answer sessions of one subscriber through the real programs, while sessions expire and
 * the agent's sweep goes on. Nothing may ever leave on another flow's port, and the counts must be exact at the end.
 *
 * DETNAT_RACE_SECONDS sets how long; the default keeps `make test` short.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <criterion/criterion.h>

#include <detnat/slots.h>

#include "race.h"
#include "staged.h"
#include "../unit/rounds.h"

void race_set_up(void)
{
	staged_leave_answers = true;
	set_up();
}

TestSuite(race, .init = race_set_up, .fini = tear_down, .timeout = 300);

#define FLOWS 64 /* inside ports; two and two share a first choice */

static volatile int stop;
/* Odd: the cores are to stand still, and say so by repeating it. */
static unsigned phase;
static unsigned standing_in[2];

struct core {
	int number;
	uint64_t hits, wrong, dropped;
	uint64_t left; /* answers that went to the kernel, whose routes or neighbours are not as they should be */
};

static uint16_t inside_port(unsigned flow)
{
	return (uint16_t)(5000 + flow % (FLOWS / 2) + flow / (FLOWS / 2) * PORTS);
}

/* Ports of the flows that are never closed, once they have one. */
static uint16_t stable_port[FLOWS / 2][ENDPOINTS];

/* A packet out, and the answer to it. The first half of the flows keeps its ports, whatever happens to the other half.
 */
static void play_udp(struct core *c, unsigned flow, unsigned endpoint)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	uint16_t port = inside_port(flow), ext_port = (uint16_t)(53 + endpoint);
	/* Long enough for the fast path, or not: both open sessions, of the same flows at once. */
	struct frame f = { .from = HOST,
			   .to = GATEWAY_IN,
			   .src = SUBSCRIBER,
			   .dst = EXTERNAL,
			   UDP,
			   port,
			   ext_port,
			   .payload = c->hits & 1 ? 12 : 0 };
	size_t size = frame_build(&f, in), out_size;

	if (run_frame(XDP_INSIDE, in, size, out, &out_size) != REDIRECT_XDP) {
		c->dropped++;
		return;
	}
	c->hits++;

	uint16_t out_port = (uint16_t)(out[34] << 8 | out[35]);
	struct frame answer = { .from = ROUTER,
				.to = GATEWAY_OUT,
				.src = EXTERNAL,
				.dst = POOL,
				UDP,
				ext_port,
				out_port,
				.payload = c->hits & 2 ? 12 : 0 };

	c->wrong += out_port < PORT_LO || out_port >= PORT_LO + PORTS;
	size = frame_build(&answer, in);
	if (flow >= FLOWS / 2) {
		run_frame(XDP_OUTSIDE, in, size, out, &out_size);
		return;
	}

	uint16_t known = __sync_val_compare_and_swap(&stable_port[flow][endpoint], 0, out_port);

	c->wrong += known && known != out_port;
	int verdict = run_frame(XDP_OUTSIDE, in, size, out, &out_size);

	c->left += verdict == XDP_PASS;
	c->wrong += (verdict != REDIRECT_XDP && verdict != XDP_PASS) || (uint16_t)(out[36] << 8 | out[37]) != port;
}

/* Sessions that expire at each tick of the clock, in the same buckets. */
static void play_echo(struct core *c, unsigned flow)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame f = {
		.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL, ICMP, inside_port(flow)
	};
	size_t size = frame_build(&f, in), out_size;

	if (run_frame(XDP_INSIDE, in, size, out, &out_size) == REDIRECT_XDP)
		c->hits++;
	else
		c->dropped++;
}

static void *core_main(void *arg)
{
	struct core *c = arg;
	unsigned seed = (unsigned)c->number + 1;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(c->number, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	while (!stop) {
		unsigned now = __atomic_load_n(&phase, __ATOMIC_ACQUIRE);

		if (now & 1) {
			__atomic_store_n(&standing_in[c->number], now, __ATOMIC_RELEASE);
			sched_yield();
			continue;
		}

		unsigned flow = (unsigned)rand_r(&seed) % FLOWS, endpoint = (unsigned)rand_r(&seed) % ENDPOINTS;

		if (rand_r(&seed) % 4)
			play_udp(c, flow, endpoint);
		else
			play_echo(c, flow);
	}
	return NULL;
}

struct check {
	uint32_t live;
	uint32_t counts;
	uint16_t port[4096];
	uint16_t ext_port[4096];
	uint16_t in_port[4096];
};

static int check_session(const struct session *s, void *arg)
{
	struct check *c = arg;

	c->live++;
	if (!s->counts)
		return 0;
	for (uint32_t i = 0; i < c->counts; i++) {
		cr_assert(!(c->port[i] == s->out_port && c->ext_port[i] == s->ext_port),
			  "outside endpoint %u given twice", s->out_port);
		cr_assert(!(c->in_port[i] == s->in_port && c->ext_port[i] == s->ext_port), "flow %u open twice",
			  s->in_port);
	}
	c->port[c->counts] = s->out_port;
	c->ext_port[c->counts] = s->ext_port;
	c->in_port[c->counts++] = s->in_port;
	return 0;
}

/* Everything stands still: every session once, every count right. */
static void check_at_rest(void)
{
	static struct check c;
	struct session_walk *w;

	memset(&c, 0, sizeof(c));
	cr_assert_eq(session_walk_new_subscriber(mappings, SUBSCRIBER, &w), 0);
	while (session_walk_step(w, 1000000, check_session, &c) > 0)
		;
	session_walk_free(w);
	cr_assert_eq(c.live, mappings_subscriber(mappings, 0, 2)->sessions, "%u live, %u counted", c.live,
		     mappings_subscriber(mappings, 0, 2)->sessions);
	cr_assert_eq(mappings_subscriber(mappings, 0, 2)->lock & 1, 0);
}

void sweep_once(void)
{
	struct session_sweep *s;

	cr_assert_eq(session_sweep_new(mappings, &s), 0);
	while (session_sweep_step(s, 1000, NULL, NULL) > 0)
		sched_yield();
	session_sweep_free(s);
}

static void close_some(unsigned choice)
{
	struct endpoint in = { SUBSCRIBER, inside_port(FLOWS / 2 + choice % (FLOWS / 2)) };
	struct endpoint ext = { EXTERNAL, (uint16_t)(53 + choice / FLOWS % ENDPOINTS) };

	cr_assert_geq(sessions_close_in(mappings, 0, in, ext, UDP), 0);
}

static bool has_raced(const struct core *cores, unsigned checks)
{
	return checks > 2 && LOAD(cores[0].hits) > 1000 && LOAD(cores[1].hits) > 1000 &&
	       counted(REASON_sessions_opened) > 1000;
}

Test(race, two_cores_and_a_sweep_on_one_subscriber)
{
	const char *seconds = getenv("DETNAT_RACE_SECONDS");
	struct core cores[2] = { { .number = 0 }, { .number = 1 } };
	time_t end = race_seconds() + (seconds ? (unsigned)atoi(seconds) : rounds_of(8));
	pthread_t threads[2];
	unsigned checks = 0;

	/* These expire as soon as the clock ticks, even where they are in use. */
	datapath.mapping[0].timeout_ticks[TIMEOUT_ICMP] = 0;
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, core_main, &cores[i]);
	while (race_seconds() < end || (!has_raced(cores, checks) && race_seconds() < end + PATIENCE_S)) {
		for (int i = 0; i < 500; i++)
			close_some((unsigned)rand());
		sweep_once();
		unsigned now = __atomic_add_fetch(&phase, 1, __ATOMIC_ACQ_REL);

		for (int i = 0; i < 2; i++)
			while (__atomic_load_n(&standing_in[i], __ATOMIC_ACQUIRE) != now)
				sched_yield();
		check_at_rest();
		checks++;
		__atomic_add_fetch(&phase, 1, __ATOMIC_ACQ_REL);
		/* Some rounds of work before the next look. */
		for (uint64_t goal = LOAD(cores[0].hits) + LOAD(cores[1].hits) + 2000;
		     LOAD(cores[0].hits) + LOAD(cores[1].hits) < goal && race_seconds() < end + PATIENCE_S;)
			sched_yield();
	}
	stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	check_at_rest();
	cr_expect_gt(checks, 2);
	cr_expect_eq(cores[0].wrong + cores[1].wrong, 0, "packets on another flow's port");
	cr_expect_eq(cores[0].left + cores[1].left, 0, "%lu answers were left to the kernel",
		     cores[0].left + cores[1].left);
	cr_expect_gt(cores[0].hits, 1000);
	cr_expect_gt(cores[1].hits, 1000);
	cr_expect_gt(counted(REASON_sessions_opened), 1000, "sessions were opened all the time");
	cr_expect_leq(cores[0].dropped + cores[1].dropped, (cores[0].hits + cores[1].hits) / 100,
		      "dropped as busy: %lu", cores[0].dropped + cores[1].dropped);
}
