// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sessions of IPv6 subscribers beyond their slots, <detnat/extents.h>: a subscriber has eight slots, a block of 1008
 * ports and four hosts, and a session there is its host's alone, as in a slot.
 */
#include <criterion/criterion.h>

#include "extents_fixture.h"
#include "prefix_fixture.h"
#include "tables/mapping_drains.h"
#include "tables/mapping_tables.h"

#define N     0x12
#define PORT  5000
#define FIRST 0x11 /* the lower half of the first host's address */

static void set_up_extents_6(void)
{
	settings.extent_buckets = 4096;
	settings.drains = 1;
	set_up_six_slots(BUCKET_SLOTS);
}

TestSuite(six_extents, .init = set_up_extents_6, .fini = tear_down, .timeout = 240);

static int number(void)
{
	return mappings_find_any(mappings, VIRTUAL + N);
}

static struct subscriber *record(void)
{
	return mappings_subscriber(mappings, number(), N);
}

static uint32_t beyond(void)
{
	uint32_t slots, n = 0;
	const struct slot *s = slots_beyond(number(), VIRTUAL + N, &slots);

	for (uint32_t i = 0; i < slots; i++)
		n += word_is_live(s[i].truth) != 0;
	return n;
}

/* A flow of the subscriber: of host i, on an inside port to a server's. */
struct flow6 {
	struct frame6 out;
	int port; /* outside; -1: it was refused */
};

static struct address6 host(unsigned i)
{
	return HOST_OF(N, i, FIRST + i);
}

static struct flow6 open_one(unsigned i, uint8_t proto, uint16_t in_port, uint16_t server)
{
	const uint8_t flags = proto == TCP ? 2 : 0;
	struct flow6 f = { .out = six_out(host(i), proto, in_port, server, flags), .port = -1 };
	uint64_t busy;

	do {
		busy = counted(REASON_drop_busy);
		f.port = open_6(host(i), proto, in_port, server, flags);
		if (counted(REASON_drop_busy) != busy)
			next_tick();
	} while (f.port < 0 && counted(REASON_drop_busy) != busy);
	if (proto == TCP)
		f.out.flags = 0x10;
	return f;
}

static void expect_both_ways(const char *name, const struct flow6 *f)
{
	struct frame translated = six_out_translated(&f->out, (uint16_t)f->port), answer = six_answer(&translated);
	struct frame6 in = six_answer_translated(&answer, &f->out);

	expect_4(name, &f->out, &translated);
	expect_6(name, &answer, &in);
}

/* Flows of all hosts in turn, to servers of their own. */
#define FLOWS 200

static struct flow6 nth(unsigned i)
{
	return open_one(i % HOSTS6, i % 3 ? UDP : TCP, (uint16_t)(PORT + i / HOSTS6), (uint16_t)(1000 + i));
}

static void open_many(struct flow6 flow[static FLOWS])
{
	for (unsigned i = 0; i < FLOWS; i++) {
		flow[i] = nth(i);
		cr_assert_geq(flow[i].port, 0, "flow %u", i);
	}
}

/* Each of n flows passes both ways by the session that it has. */
static void expect_all(const char *name, const struct flow6 *flow, unsigned n)
{
	uint64_t opened = counted(REASON_sessions_opened);

	for (unsigned i = 0; i < n; i++)
		expect_both_ways(name, &flow[i]);
	cr_expect_eq(counted(REASON_sessions_opened), opened, "%s: others were opened", name);
}

Test(six_extents, sessions_beyond_the_slots_are_opened_and_found_both_ways)
{
	struct flow6 flow[FLOWS];

	open_many(flow);
	cr_expect_eq(sessions_6(N), FLOWS);
	cr_expect_geq(beyond(), FLOWS - BUCKET_SLOTS);
	cr_expect_gt(datapath.pool->grown, 1);
	cr_expect_eq(counted(REASON_sessions_overflowed), beyond());
	expect_all("beyond", flow, FLOWS);
	extents_tables_right();
}

/* Flows of all hosts on one inside port to one server have one key, and are told apart by the host alone. */
Test(six_extents, hosts_share_a_port_there_too)
{
	struct flow6 flow[HOSTS6];

	for (unsigned i = 0; i < BUCKET_SLOTS; i++)
		cr_assert_geq(open_one(0, UDP, (uint16_t)(PORT + i), 53).port, 0);
	for (unsigned i = 0; i < HOSTS6; i++)
		flow[i] = open_one(i, UDP, 7000, 443);
	cr_expect_eq(beyond(), HOSTS6);
	for (unsigned i = 0; i < HOSTS6; i++)
		expect_both_ways("one key", &flow[i]);
	cr_expect_eq(sessions_6(N), BUCKET_SLOTS + HOSTS6);
	extents_tables_right();
}

/*
 * A group has eight ports towards a server: of four hosts with three inside ports of one first choice each, the last
 * four flows stray. All of these have one key, their signposts one pair of buckets, and they one group of ports.
 */
#define STRAYS HOSTS6

static void open_strays(struct flow6 flow[static STRAYS])
{
	for (unsigned i = 0; i < PORT_GROUP; i++)
		cr_assert_geq(open_one(i % HOSTS6, UDP, (uint16_t)(9 + PORTS * (i / HOSTS6)), 443).port, 0);
	for (unsigned i = 0; i < STRAYS; i++) {
		flow[i] = open_one(i, UDP, 9 + 2 * PORTS, 443);
		cr_assert_geq(flow[i].port, 0, "host %u", i);
		cr_expect_neq((flow[i].port - OUT_PORT6(0, N)) / (int)PORT_GROUP, 9 / PORT_GROUP, "host %u", i);
	}
}

static unsigned signposts(void)
{
	uint32_t slots, n = 0;
	const struct slot *s = slots_beyond(number(), VIRTUAL + N, &slots);

	for (uint32_t i = 0; i < slots; i++)
		n += word_is_signpost(s[i].truth) != 0;
	return n;
}

Test(six_extents, each_host_has_its_signpost)
{
	struct flow6 flow[STRAYS];

	open_strays(flow);
	cr_expect_eq(signposts(), STRAYS);
	expect_all("strayed", flow, STRAYS);
	extents_tables_right();
}

/* Puts all that stands in the extent so many ticks further into the past. */
static void age_extent(uint32_t ticks)
{
	uint32_t slots;
	struct slot *s = slots_beyond(number(), VIRTUAL + N, &slots);

	for (uint32_t i = 0; i < slots; i++)
		if (!word_is_free(s[i].truth))
			s[i].truth = word_refreshed_of(s[i].truth, (uint32_t)s[i].truth - ticks, HOST_BITS);
}

static unsigned ended[HOSTS6];

static int note_ended(const struct session *s, void *arg)
{
	(void)arg;
	cr_assert_lt(s->host_number, HOSTS6);
	ended[s->host_number]++;
	cr_expect_eq(s->host.lo, FIRST + s->host_number);
	cr_expect_eq(s->host.hi, host(s->host_number).hi);
	return 0;
}

static void sweep(void)
{
	struct session_sweep *s;

	mappings_sweep_due(mappings, number())[N] = 0;
	cr_assert_eq(session_sweep_new(mappings, &s), 0);
	while (session_sweep_step(s, 1000000, note_ended, NULL) > 0)
		;
	session_sweep_free(s);
}

Test(six_extents, the_sweep_leaves_signposts_that_lead_to_their_hosts_sessions)
{
	struct flow6 flow[STRAYS];

	open_strays(flow);
	age_extent(SIGNPOST_TICKS);
	sweep();
	cr_expect_eq(signposts(), STRAYS);
	expect_all("after a sweep", flow, STRAYS);
	extents_tables_right();
}

/* The session of one of them ends, and its signpost alone is taken down. */
Test(six_extents, the_sweep_takes_down_the_signpost_of_a_host_whose_session_has_ended)
{
	const struct endpoint in = { VIRTUAL + N, 9 + 2 * PORTS }, ext = { EXTERNAL, 443 };
	struct address6 of = host(1);
	struct flow6 flow[STRAYS];

	open_strays(flow);
	of.lo = FIRST + 1;
	cr_assert_eq(sessions_close_host(mappings, &of, in, ext, UDP), 1);
	age_extent(SIGNPOST_TICKS);
	sweep();
	cr_expect_eq(signposts(), STRAYS - 1);
	cr_expect_eq(sessions_6(N), PORT_GROUP + STRAYS - 1);
	flow[1] = flow[0];
	expect_all("the others", flow, STRAYS);
	extents_tables_right();
}

/* Sessions there expire as others do, and a subscriber whose sessions have ended gives up his extent. */
Test(six_extents, they_expire)
{
	struct flow6 flow[FLOWS];

	open_many(flow);
	age_6(N, 8000);
	next_tick();
	sweep();
	cr_expect_eq(sessions_6(N), 0);
	cr_expect_eq(beyond(), 0);
	for (unsigned i = 0; i < HOSTS6; i++)
		cr_expect_eq(ended[i], FLOWS / HOSTS6, "host %u", i);
	age_extent(SIGNPOST_TICKS);
	sweep();
	cr_expect_eq(record()->hairpins, 0);
	extents_tables_right();
}

/* Ticks since the last refresh of a session there. */
static int age_of(const struct flow6 *f)
{
	const struct frame6 *p = &f->out;
	const struct slot *s = slot_beyond(VIRTUAL + N, slot_key(EXTERNAL, p->dport, p->sport), p->proto);

	cr_assert_not_null(s, "port %u", p->sport);
	return word_host_age(s->truth, datapath_ticks(&datapath));
}

/* A packet of a host refreshes its session and no other. */
Test(six_extents, a_refresh_keeps_the_host)
{
	struct flow6 flow[FLOWS];

	open_many(flow);
	age_6(N, 100);
	expect_both_ways("refreshed", &flow[FLOWS - 1]);
	cr_expect_lt(age_of(&flow[FLOWS - 1]), 3);
	for (unsigned i = FLOWS - 20; i < FLOWS - 1; i++)
		cr_expect_geq(age_of(&flow[i]), (int)ticks_of_seconds(100, datapath.hz), "flow %u", i);
	expect_all("all", flow, FLOWS);
}

/* A host with sessions in the extent alone has its line. */
static void fill_hosts(void)
{
	for (unsigned i = 0; i < BUCKET_SLOTS; i++)
		cr_assert_geq(open_one(0, UDP, (uint16_t)(PORT + i), 53).port, 0);
	for (unsigned i = 1; i < HOSTS6; i++)
		cr_assert_geq(open_one(i, UDP, (uint16_t)(7000 + i), 443).port, 0);
	cr_assert_eq(beyond(), HOSTS6 - 1);
}

Test(six_extents, a_host_with_sessions_there_alone_is_in_use)
{
	struct frame6 late = six_out(HOST_OF(N, 0, 0x99), UDP, 4000, 53, 0);

	fill_hosts();
	expect_dropped_6("no line", XDP_INSIDE, &late, REASON_drop_hosts);
	for (unsigned i = 0; i < HOSTS6; i++)
		cr_expect_eq(be64_number(host_line(N, i).lo), FIRST + i);
	cr_expect_eq(beyond(), HOSTS6 - 1);
}

/* The host silent for longest gives way with its sessions in slots and there. */
Test(six_extents, the_host_silent_longest_gives_way_with_its_sessions_there)
{
	struct flow6 second, late;
	uint32_t sessions;

	fill_hosts();
	second = open_one(1, UDP, 7100, 444);
	cr_assert_geq(second.port, 0);
	sessions = sessions_6(N);
	next_tick();
	age_6(N, 61);
	/* All but the second have gone on. */
	cr_assert_geq(open_one(0, UDP, PORT, 53).port, 0);
	for (unsigned i = 2; i < HOSTS6; i++)
		cr_assert_geq(open_one(i, UDP, (uint16_t)(7000 + i), 443).port, 0);
	next_tick();
	late = (struct flow6){ .out = six_out(HOST_OF(N, 0, 0x99), UDP, 4000, 53, 0) };
	late.port = open_6(late.out.src, UDP, 4000, 53, 0);
	cr_assert_geq(late.port, 0);
	cr_expect_eq(be64_number(host_line(N, 1).lo), 0x99);
	cr_expect_eq(sessions_6(N), sessions - 2 + 1);
	expect_both_ways("the late one", &late);
	expect_dropped_6("the former one", XDP_INSIDE, &second.out, REASON_drop_hosts);
	extents_tables_right();
}

/* Sessions there drain, too, and those of the mapping of now have other numbers of hosts, and an extent of their own.
 */
Test(six_extents, they_drain)
{
	const struct prefix former = { POOL6, 30 }, next = { ADDR(203, 0, 113, 72), 30 };
	struct mapping_spec spec = six_spec(next);
	struct flow6 flow[FLOWS], strayed[STRAYS];

	spec.session_slots = BUCKET_SLOTS;
	open_many(flow);
	open_strays(strayed);
	make_mapping(&spec, &(struct mapping_handover){ true, former, 600 });
	for (unsigned i = HOSTS6; i-- > 0;)
		for (unsigned k = 0; k < 2 * BUCKET_SLOTS; k++)
			cr_assert_geq(open_one(i, UDP, (uint16_t)(30000 + k), 80).port, 0);
	cr_expect_eq(host_line(N, 0).hi, HOSTS6 - 1, "the last one came first");
	expect_all("as it drains", flow, FLOWS);
	expect_all("as it drains", strayed, STRAYS);
	extents_tables_right();
}

/* An agent that was killed finds them where they are. */
Test(six_extents, they_survive_the_agent)
{
	struct flow6 flow[FLOWS];
	struct error err;

	open_many(flow);
	mappings_close(mappings);
	datapath.reused = true;
	cr_assert_eq(mappings_open(&datapath, &mappings, &err), 0, "%s", err.text);
	expect_all("after it", flow, FLOWS);
	cr_expect_eq(sessions_6(N), FLOWS);
	extents_tables_right();
}

static int count_host(const struct session *s, void *arg)
{
	unsigned *hosts = arg;

	cr_assert_lt(s->host_number, HOSTS6);
	hosts[s->host_number]++;
	return 0;
}

Test(six_extents, they_are_listed_and_counted_by_host)
{
	unsigned listed[HOSTS6] = { 0 };
	struct flow6 flow[FLOWS];
	struct subscriber_hosts hosts;
	struct session_walk *walk;

	open_many(flow);
	cr_assert_eq(session_walk_new_subscriber(mappings, inside_place(0, VIRTUAL + N), &walk), 0);
	while (session_walk_step(walk, 100000, count_host, listed) > 0)
		;
	session_walk_free(walk);
	cr_assert_eq(subscriber_hosts_read(mappings, VIRTUAL + N, &hosts), 0);
	cr_expect_eq(hosts.n, HOSTS6);
	for (unsigned i = 0; i < HOSTS6; i++) {
		cr_expect_eq(listed[i], FLOWS / HOSTS6, "host %u", i);
		cr_expect_eq(hosts.sessions[i], FLOWS / HOSTS6, "host %u", i);
	}
}

/* Where no larger extent is to be had, the sender is refused and no session ends. */
Test(six_extents, an_empty_stock_refuses)
{
	struct frame6 f;
	unsigned n = 0;

	datapath.pool->used = settings.extent_buckets - 8;
	for (struct flow6 one = nth(0); one.port >= 0 && n < FLOWS; one = nth(++n))
		;
	cr_expect_lt(n, FLOWS);
	cr_expect_eq(sessions_6(N), n);
	f = nth(n).out;
	cr_expect_gt(counted(REASON_drop_overflow_full), 0);
	cr_expect_eq(f.proto, n % 3 ? UDP : TCP);
	extents_tables_right();
}

/* A packet out has no session, as far as the fast path knows. */
/* What the slow path has behind the look-up is not asked for them; another host's packets are not theirs. */
Test(six_extents, the_fast_path_finds_them)
{
	struct flow6 flow[FLOWS], strayed[STRAYS], other;

	open_many(flow);
	open_strays(strayed);
	fast_path_and_beyond();
	for (unsigned i = 0; i < 2; i++) {
		expect_all("beyond", flow, FLOWS);
		expect_all("strayed", strayed, STRAYS);
		age_6(N, 100);
	}
	other = flow[FLOWS - 1];
	other.out.src.lo = 0x99;
	expect_left_beyond_6("no host", &other.out);
	other.out.src = host((FLOWS - 2) % HOSTS6);
	expect_left_beyond_6("another host", &other.out);
	cr_expect_eq(sessions_6(N), FLOWS + PORT_GROUP + STRAYS);
}

/* What it refreshes it must know the source of; what has expired is none. */
Test(six_extents, the_fast_path_leaves_what_the_agent_does_not_vouch_for)
{
	struct flow6 flow[FLOWS];

	open_many(flow);
	fast_path_and_beyond();
	datapath.global->sources_until = datapath_ticks(&datapath) - 1;
	age_6(N, 100);
	expect_left_beyond_6("not vouched for", &flow[FLOWS - 1].out);
	cr_expect_geq(age_of(&flow[FLOWS - 1]), (int)ticks_of_seconds(100, datapath.hz));
	datapath.global->sources_until = datapath_ticks(&datapath) + 0x10000000;
	expect_both_ways("vouched for", &flow[FLOWS - 1]);
	age_6(N, 8000);
	expect_left_beyond_6("expired", &flow[FLOWS - 1].out);
}
