// SPDX-License-Identifier: BSD-2-Clause
/*
 * A plan is renumbered under live sessions with traffic: each packet of a session from before has its old outside
 * endpoint, in both directions, and a new session has one of the new plan from the moment of the change. The endpoints
 * are computed here, by arithmetic of the test's own. DETNAT_SUBSCRIBERS, a power of two, and DETNAT_SESSIONS: how many
 * (make test: 4096 and 3125; the figures of RELIABILITY: 262144 and 200000).
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/log.h"
#include "fixture.h"
#include "sessions/check.h"
#include "tables/mapping_changes.h"
#include "told_routes.h"

#define INSIDE	 ADDR(100, 64, 0, 0)
#define OLD_POOL ADDR(198, 18, 0, 0)
#define NEW_POOL ADDR(198, 20, 0, 0)
/* Inside addresses to an outside one, as powers of two. */
#define OLD_SHARE 6U
#define NEW_SHARE 4U
#define SLOTS	  16U
#define SECONDS	  600U

static void renumber_set_up(void)
{
	settings.drains = 1;
	set_up();
}

TestSuite(renumber, .init = renumber_set_up, .fini = tear_down, .timeout = 900);

struct change_plan {
	uint32_t pool;
	unsigned share;
};
static const struct change_plan old_plan = { OLD_POOL, OLD_SHARE }, new_plan = { NEW_POOL, NEW_SHARE };

/* A flow: the n-th subscriber's, from this inside port. */
struct flow {
	uint32_t n;
	uint16_t in_port;
};

struct outside {
	uint32_t addr;
	uint16_t port;
};

static unsigned bits;	 /* of the number of subscribers */
static uint32_t n_flows; /* from before */
/* What the traffic sees, counted by its thread. */
static atomic_bool end;
static atomic_uint turns;
static uint64_t passed, lost, wrong;

static uint32_t wanted(const char *name, uint32_t otherwise)
{
	const char *text = getenv(name);

	return text ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

/* Spread over all subscribers; flows of one differ in their port. */
static struct flow flow_of(uint32_t i)
{
	uint32_t n = 1U << bits;

	return (struct flow){ (i * 2654435761U) & (n - 1), (uint16_t)(5000 + i / n) };
}

static struct outside endpoint_of(const struct change_plan *p, struct flow f)
{
	uint32_t ports = 64512U >> p->share;

	return (struct outside){ p->pool + (f.n >> p->share),
				 (uint16_t)(1024 + ports * (f.n & ((1U << p->share) - 1)) + f.in_port % ports) };
}

/* Sends a frame and compares what comes out. */
static void expect(enum hook hook, const struct frame *sent, const struct frame *want)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX], whole[FRAME_MAX];
	size_t size = frame_build(sent, in), out_size, want_size = frame_build(want, whole);
	int verdict = run_frame(hook, in, size, out, &out_size);

	if (verdict != REDIRECT_XDP)
		lost++;
	else if (out_size != want_size || memcmp(out, whole, want_size) != 0)
		wrong++;
	else
		passed++;
}

static void goes_out(struct flow f, uint16_t ext_port, struct outside o)
{
	expect(XDP_INSIDE,
	       &(struct frame){ .from = HOST,
				.to = GATEWAY_IN,
				.src = INSIDE + f.n,
				.dst = EXTERNAL,
				.proto = UDP,
				.sport = f.in_port,
				.dport = ext_port,
				.payload = 20 },
	       &(struct frame){ .ttl = 63,
				.from = GATEWAY_OUT,
				.to = ROUTER,
				.src = o.addr,
				.dst = EXTERNAL,
				.proto = UDP,
				.sport = o.port,
				.dport = ext_port,
				.payload = 20 });
}

static void comes_in(struct flow f, uint16_t ext_port, struct outside o)
{
	expect(XDP_OUTSIDE,
	       &(struct frame){ .from = ROUTER,
				.to = GATEWAY_OUT,
				.src = EXTERNAL,
				.dst = o.addr,
				.proto = UDP,
				.sport = ext_port,
				.dport = o.port,
				.payload = 20 },
	       &(struct frame){ .ttl = 63,
				.from = GATEWAY_IN,
				.to = HOST,
				.src = EXTERNAL,
				.dst = INSIDE + f.n,
				.proto = UDP,
				.sport = ext_port,
				.dport = f.in_port,
				.payload = 20 });
}

static void all_flows(uint16_t ext_port, const struct change_plan *p, bool answers)
{
	for (uint32_t i = 0; i < n_flows; i++) {
		struct flow f = flow_of(i);
		struct outside o = endpoint_of(p, f);

		goes_out(f, ext_port, o);
		if (answers)
			comes_in(f, ext_port, o);
	}
}

/* Sessions from before, in turn, while the plan changes. */
static void *traffic(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; !end; i = (i + 1) % n_flows) {
		struct flow f = flow_of(i);

		goes_out(f, 53, endpoint_of(&old_plan, f));
		comes_in(f, 53, endpoint_of(&old_plan, f));
		turns++;
	}
	return NULL;
}

/* Waits for so many sessions to have sent and received. */
static void wait_for_traffic(unsigned n)
{
	unsigned until = turns + n;

	while ((int)(until - turns) > 0)
		usleep(100);
}

static struct mapping_spec spec_of(const struct change_plan *p)
{
	struct mapping_spec spec = { .in = { INSIDE, (uint8_t)(32 - bits) },
				     .out = { p->pool, (uint8_t)(32 - bits + p->share) },
				     .sessions_per_user = 1000,
				     .session_slots = SLOTS };

	for (int i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = ticks_of_seconds(86400, datapath.hz);
	return spec;
}

static void add(const struct change_plan *p, const struct mapping_handover *how)
{
	struct mapping_spec spec = spec_of(p);

	make_mapping(&spec, how);
}

/* Nothing of the tables contradicts anything else; how many sessions they have. */
static uint64_t check_tables(void)
{
	struct findings findings = { 0 };
	struct table_check *check;
	uint64_t sessions;
	int r;

	cr_assert_eq(table_check_new(mappings, false, &findings, &check), 0);
	while ((r = table_check_step(check, 1000000)) > 0)
		;
	cr_assert_eq(r, 0);
	cr_expect_eq(findings.n, 0, "%zu findings", findings.n);
	sessions = table_check_figures(check)->sessions + table_check_figures(check)->beyond;
	table_check_free(check);
	findings_free(&findings);
	return sessions;
}

static double now_s(void)
{
	return (double)monotonic_us() / 1e6;
}

static void expect_all(const char *when, uint64_t packets)
{
	cr_expect(!lost && !wrong && passed >= packets, "%s: %lu as wanted, %lu not forwarded, %lu other packets", when,
		  passed, lost, wrong);
	passed = lost = wrong = 0;
}

Test(renumber, a_renumbered_plan_loses_no_live_session_and_gives_none_a_wrong_source)
{
	struct mapping_spec old = spec_of(&old_plan);
	pthread_t thread;
	uint64_t under_way;
	double began, change_s;

	bits = (unsigned)__builtin_ctz(wanted("DETNAT_SUBSCRIBERS", 4096));
	n_flows = wanted("DETNAT_SESSIONS", 3125);
	old = spec_of(&old_plan);
	cr_assert_eq(system("ip route add 100.64.0.0/10 via 10.0.0.2"), 0);
	refresh_followed_routes();
	add(&old_plan, &(struct mapping_handover){ 0 });
	all_flows(53, &old_plan, true);
	expect_all("before", 2ULL * n_flows);
	cr_expect_eq(check_tables(), n_flows);

	cr_assert_eq(pthread_create(&thread, NULL, traffic, NULL), 0);
	wait_for_traffic(100);
	began = now_s();
	add(&new_plan, &(struct mapping_handover){ true, old.out, SECONDS });
	change_s = now_s() - began;
	wait_for_traffic(100);
	end = true;
	pthread_join(thread, NULL);
	under_way = passed;
	expect_all("while the plan changed", 400);

	/* Old sessions, and as many new ones of the same subscribers, both ways. */
	all_flows(53, &old_plan, true);
	expect_all("sessions from before", 2ULL * n_flows);
	all_flows(54, &new_plan, true);
	expect_all("new sessions", 2ULL * n_flows);
	all_flows(53, &old_plan, true);
	expect_all("sessions from before, beside the new ones", 2ULL * n_flows);
	cr_expect_eq(check_tables(), 2ULL * n_flows);
	log_info("%u subscribers, %u sessions: renumbered in %.2f s, with %lu packets meanwhile", 1U << bits, n_flows,
		 change_s, under_way);

	/* The drain's end takes no session of the new plan along. */
	cr_assert_eq(mappings_del_of(mappings, 0, old.in, old.out), 0);
	while (mappings_reclaim_step(mappings) != RECLAIM_DONE)
		;
	all_flows(54, &new_plan, true);
	expect_all("after the drain", 2ULL * n_flows);
	cr_expect_eq(check_tables(), n_flows);
}
