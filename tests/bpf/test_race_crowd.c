// SPDX-License-Identifier: BSD-2-Clause
/* Cores that race on subscribers with few ports, while the agent works; of the suite of test_race.c. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "race.h"
#include "sessions/check.h"
#include "staged.h"
#include "told_routes.h"
#include "update_fixture.h"
#include "../unit/rounds.h"

static volatile int stop;
static bool limit_was_kept;

#define CROWD	    4 /* subscribers */
#define CROWD_FLOWS 24
#define CORES_MAX   8

struct worker {
	unsigned number;
	unsigned seed;
	uint64_t out, in, dropped, wrong;
};

static struct worker workers[CORES_MAX];
static uint32_t crowd_base;
static unsigned n_workers;

/* Inside ports of one worker are its own, so that it knows whose an answer is. */
static uint16_t crowd_port(const struct worker *w, unsigned flow)
{
	return (uint16_t)(5000 + flow * CORES_MAX + w->number);
}

static bool crowd_out(struct worker *w, uint32_t src, uint8_t proto, uint16_t port, uint16_t ext, uint8_t flags,
		      struct endpoint *ret)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame f = { .from = HOST,
			   .to = GATEWAY_IN,
			   .src = src,
			   .dst = EXTERNAL,
			   proto,
			   port,
			   proto == ICMP ? 0 : ext,
			   .flags = flags,
			   .payload = rand_r(&w->seed) & 1 ? 12 : 0 };
	size_t size = frame_build(&f, in), out_size;

	/* What is not sent on was refused, or handed up: never translated into another's. */
	if (run_frame(XDP_INSIDE, in, size, out, &out_size) != REDIRECT_XDP || out[26] == 10) {
		w->dropped++;
		return false;
	}
	w->out++;
	ret->addr = ADDR(out[26], out[27], out[28], out[29]);
	ret->port = proto == ICMP ? (uint16_t)(out[38] << 8 | out[39]) : (uint16_t)(out[34] << 8 | out[35]);
	return true;
}

static void crowd_in(struct worker *w, uint32_t src, uint8_t proto, uint16_t port, uint16_t ext, uint8_t flags,
		     struct endpoint to)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	struct frame f = { .from = ROUTER,
			   .to = GATEWAY_OUT,
			   .src = EXTERNAL,
			   .dst = to.addr,
			   proto,
			   proto == ICMP ? 0 : ext,
			   to.port,
			   .flags = flags,
			   .icmp_type = ECHO_REPLY_TYPE };
	size_t size = frame_build(&f, in), out_size;

	struct endpoint again;

	/*
	 * It may be closed by now, or swept, and its endpoint another's. But where the sender has that endpoint still,
	 * no other flow may get what comes to it.
	 */
	if (run_frame(XDP_OUTSIDE, in, size, out, &out_size) != REDIRECT_XDP)
		return;
	w->in++;
	if (ADDR(out[30], out[31], out[32], out[33]) != src ||
	    (uint16_t)(proto == ICMP ? out[38] << 8 | out[39] : out[36] << 8 | out[37]) != port)
		w->wrong += crowd_out(w, src, proto, port, ext, proto == TCP ? 0x10 : 0, &again) &&
			    again.addr == to.addr && again.port == to.port;
}

static void *worker_main(void *arg)
{
	static const uint8_t life[][2] = { { 2, 0x12 },	   { 0x10, 0x18 }, { 0x18, 0x10 },
					   { 0x11, 0x11 }, { 0x10, 0 },	   { 0x14, 0 } };
	struct worker *w = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		uint32_t src = crowd_base + (unsigned)rand_r(&w->seed) % CROWD;
		uint16_t port = crowd_port(w, (unsigned)rand_r(&w->seed) % CROWD_FLOWS);
		uint16_t ext = (uint16_t)(80 + rand_r(&w->seed) % ENDPOINTS);
		unsigned what = (unsigned)rand_r(&w->seed) % 8;
		uint8_t proto = what < 4 ? UDP : what < 5 ? ICMP : TCP;
		unsigned until = proto == TCP ? 1 + (unsigned)rand_r(&w->seed) % ARRAY_SIZE(life) : 1;
		struct endpoint to;

		for (unsigned i = 0; i < until; i++) {
			if (!crowd_out(w, src, proto, port, ext, proto == TCP ? life[i][0] : 0, &to))
				break;
			if (proto != TCP || life[i][1])
				crowd_in(w, src, proto, port, ext, proto == TCP ? life[i][1] : 0, to);
		}
	}
	return NULL;
}

static uint64_t compare_tables(bool repair)
{
	struct findings found = { 0 };
	struct table_check *c;
	int r;

	cr_assert_eq(table_check_new(mappings, repair, &found, &c), 0);
	while ((r = table_check_step(c, 1000)) > 0)
		if (r == TABLE_CHECK_WAITS)
			usleep(500);
	cr_assert_eq(r, 0, "%s", strerror(-r));
	for (size_t i = 0; i < found.n; i++)
		cr_log_error("%s: %s", found.finding[i].where, found.finding[i].text);
	table_check_free(c);

	uint64_t total = found.total;

	findings_free(&found);
	return total;
}

static int number_of_crowd(void)
{
	return mappings_find_any(mappings, crowd_base);
}

/* A mapping whose subscribers have few ports and slots, with timeouts of some ticks. */
static void add_crowd(uint8_t in_plen, uint32_t slots, uint32_t quota)
{
	struct mapping_spec spec = { .in = { ADDR(10, 2, 0, 0), in_plen },
				     .out = { ADDR(192, 0, 2, 1), 32 },
				     .sessions_per_user = quota,
				     .session_slots = slots,
				     .timeout_ticks = { 2, 8, 3, 1 } };

	cr_assert_eq(system("ip route add 10.2.0.0/16 dev tin"), 0);
	crowd_base = ADDR(10, 2, 0, 4);
	for (uint32_t i = 0; i < CROWD; i++) {
		char command[128];

		snprintf(command, sizeof(command), "ip neigh add 10.2.0.%u lladdr 02:00:00:00:00:03 dev tin", 4 + i);
		cr_assert_eq(system(command), 0);
	}
	spec.bindings = bindings;
	spec.limit = user_limits;
	make_mapping(&spec, NULL);
}

/* At any time, the sessions of a protocol are at most as many as its limit. */
static void expect_below_limits(void)
{
	for (uint32_t i = 0; i < CROWD; i++) {
		struct limit_line *line = mappings_limit_line(mappings, number_of_crowd(), 4 + i);

		for (unsigned p = 0; line && p < N_LIMITS; p++) {
			uint32_t sessions = __atomic_load_n(&line->sessions[p], __ATOMIC_ACQUIRE);

			if (limit_was_kept && user_limits.sessions[p])
				cr_expect_leq(sessions, user_limits.sessions[p], "%u of protocol %u", sessions, p);
		}
	}
}

/* Whether there were rounds of the agent, answers, and sessions beyond the slots. */
static bool has_raced(unsigned rounds)
{
	uint64_t in = 0;

	for (unsigned i = 0; i < n_workers; i++)
		in += __atomic_load_n(&workers[i].in, __ATOMIC_RELAXED);
	return rounds > 1 && in > 100 && counted(REASON_sessions_overflowed) > 0;
}

/* What the agent does meanwhile: sweeps, closes, compares, changes quota and timeouts, and now and then the programs.
 */
static unsigned be_agent(time_t end, uint32_t quota)
{
	const struct limit_layout none = { 0 };
	unsigned rounds = 0;

	for (; race_seconds() < end || (!has_raced(rounds) && race_seconds() < end + PATIENCE_S); rounds++) {
		const struct mapping *map = mappings_get(mappings, number_of_crowd());
		struct mapping_spec spec = { .in = { map->geo.in_base, map->geo.in_plen },
					     .out = { map->geo.out_base, map->geo.out_plen },
					     .sessions_per_user = rounds & 1 ? quota : quota / 2,
					     .timeout_ticks = { 1 + rounds % 4, 8, 3, 1 },
					     .bindings = bindings,
					     .limit = limit_was_kept || rounds % 5 < 3 ? user_limits : none };

		sweep_once();
		for (unsigned i = 0; i < 50; i++) {
			struct endpoint in = { crowd_base + (unsigned)rand() % CROWD,
					       crowd_port(&workers[(unsigned)rand() % n_workers],
							  (unsigned)rand() % CROWD_FLOWS) };

			sessions_close_in(mappings, 0, in,
					  (struct endpoint){ EXTERNAL, (uint16_t)(80 + rand() % ENDPOINTS) }, 0);
		}
		begin_update(&spec);
		cr_assert_eq(mappings_update(mappings, &spec), 0);
		count_limits();
		cr_expect_eq(compare_tables(rounds & 1), 0, "round %u", rounds);
		expect_below_limits();
		if (rounds % 64 == 32) {
			settings.answer_arp ^= 1;
			reload_settings();
		}
	}
	return rounds;
}

static void race_of_many(unsigned cores, uint8_t in_plen, uint32_t slots, uint32_t quota)
{
	const char *seconds = getenv("DETNAT_RACE_SECONDS");
	pthread_t threads[CORES_MAX];
	struct worker sum = { 0 };
	unsigned rounds;

	n_workers = cores;
	add_crowd(in_plen, slots, quota);
	if (staged_wanted())
		tell_routes();
	for (unsigned i = 0; i < cores; i++) {
		workers[i] = (struct worker){ .number = i, .seed = i + 1 };
		cr_assert_eq(pthread_create(&threads[i], NULL, worker_main, &workers[i]), 0);
	}
	rounds = be_agent(race_seconds() + (seconds ? (unsigned)atoi(seconds) : rounds_of(3)), quota);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < cores; i++) {
		pthread_join(threads[i], NULL);
		sum.out += workers[i].out;
		sum.in += workers[i].in;
		sum.dropped += workers[i].dropped;
		sum.wrong += workers[i].wrong;
	}
	cr_log_info(
		"%u cores: %lu packets out, %lu answers, %lu refused, %lu sessions opened, %lu beyond the slots; %u "
		"rounds of the agent",
		cores, sum.out, sum.in, sum.dropped, counted(REASON_sessions_opened),
		counted(REASON_sessions_overflowed), rounds);
	cr_expect_eq(sum.wrong, 0, "answers that reached another");
	cr_expect_gt(sum.in, 100);
	cr_expect_gt(rounds, 1);
	cr_expect_gt(counted(REASON_sessions_overflowed), 0);
	/* At rest, and when most have expired and were swept: nothing to find, no lock held. */
	cr_expect_eq(compare_tables(false), 0);
	usleep(700000);
	sweep_once();
	for (uint32_t i = 0; i < CROWD; i++) {
		const struct subscriber *s = mappings_subscriber(mappings, number_of_crowd(), 4 + i);

		cr_expect_eq(s->lock & 1, 0);
	}
	cr_expect_eq(compare_tables(false), 0);
}

Test(race, two_cores_with_few_ports_and_an_agent, .init = race_set_up)
{
	race_of_many(2, 22, 16, 200);
}

Test(race, eight_cores_with_few_ports_and_an_agent, .init = race_set_up)
{
	race_of_many(8, 20, 8, 60);
}

/* The limits are set all the time, or now and then. */
static void set_up_limits(void)
{
	user_limits = (struct limit_layout){ .sessions = { 9, 7, 5 }, .interval_ns = 20000000, .burst = 20 };
	limit_was_kept = true;
	race_set_up();
}

static void set_up_changing_limits(void)
{
	set_up_limits();
	limit_was_kept = false;
}

Test(race, eight_cores_and_limits, .init = set_up_limits)
{
	race_of_many(8, 20, 8, 60);
	cr_expect_gt(counted(REASON_drop_quota_protocol), 0);
	cr_expect_gt(counted(REASON_drop_rate), 0);
}

Test(race, eight_cores_and_limits_that_come_and_go, .init = set_up_changing_limits)
{
	race_of_many(8, 20, 8, 60);
	cr_expect_gt(counted(REASON_drop_quota_protocol), 0);
}

static void set_up_bindings(void)
{
	bindings = (struct binding_layout){ .mapping = BINDING_PROTOCOLS,
					    .filtering = BINDING_UDP | BINDING_TCP,
					    .inbound = 25 };
	race_set_up();
}

Test(race, two_cores_with_bindings_and_an_agent, .init = set_up_bindings)
{
	race_of_many(2, 22, 16, 200);
}
