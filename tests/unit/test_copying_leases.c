/* SPDX-License-Identifier: BSD-2-Clause */
/* Leases of PCP that gateways tell each other. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "copying_fixture.h"
#include "copies/lease_set.h"
#include "tables/portmap_table.h"

static struct portmaps *of_a, *of_b;
static int stamps_a, stamps_b; /* as pinned: they outlive an agent */

static void start(struct gateway *g, struct portmaps **ret, int stamps)
{
	struct error err = { 0 };

	cr_assert_eq(portmaps_open(g->m, ret, &err), 0, "%s", err.text);
	copying_set_portmaps(g->c, *ret, dup(stamps));
}

static void set_up(void)
{
	pair_make();
	stamps_a = lease_stamps_make();
	stamps_b = lease_stamps_make();
	cr_assert(stamps_a >= 0 && stamps_b >= 0);
	start(&a, &of_a, stamps_a);
	start(&b, &of_b, stamps_b);
	connect_gateways(&a, &b);
}

TestSuite(copying_leases, .init = set_up, .fini = pair_free, .timeout = 300);

static uint64_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec;
}

/* Of 10.0.0.7, on a port of its block. */
static struct portmap lease(unsigned left_s)
{
	struct portmap m = {
		.in = { 0x0a000007, 8080 },
		.out = { mapping_out_addr(&mappings_get(a.m, a.number)->geo, 7), first_port(&a, 7, 8080) },
		.proto = IPPROTO_TCP,
		.origin = PORTMAP_PCP,
		.expires_s = now_s() + left_s,
	};

	memcpy(m.nonce, "nonce of it.", sizeof(m.nonce));
	return m;
}

static const struct portmap *at_b(void)
{
	const struct portmap m = lease(0);

	return portmaps_by_out(of_b, m.proto, m.out);
}

static void tell(struct gateway *from, struct gateway *to)
{
	struct told t = { 0 };

	pass(from, &t);
	hear(to, 1, &t);
}

static unsigned told_by(struct gateway *g)
{
	struct told t = { 0 };
	unsigned n = 0;

	pass(g, &t);
	for (unsigned i = 0; i < t.n; i++)
		n += t.payload[i].type == WIRE_LEASES;
	told_free(&t);
	return n;
}

Test(copying_leases, a_lease_is_told_renewed_and_ended)
{
	struct portmap m = lease(600);

	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	cr_assert_not_null(at_b());
	cr_assert_eq(at_b()->in.port, 8080);
	cr_assert_eq(at_b()->origin, PORTMAP_PCP);
	cr_assert_eq(memcmp(at_b()->nonce, m.nonce, sizeof(m.nonce)), 0);
	cr_assert_leq(at_b()->expires_s - m.expires_s + 2, 4);
	cr_assert_eq(told_by(&b), 0, "it is not told back");
	cr_assert_eq(told_by(&a), 0, "it is told once");
	m.expires_s += 600;
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	cr_assert_leq(at_b()->expires_s - m.expires_s + 2, 4);
	cr_assert_eq(portmaps_end(of_a, m.proto, m.out), 0);
	tell(&a, &b);
	cr_assert_null(at_b());
}

Test(copying_leases, filters_are_told_as_they_change)
{
	struct portmap m = lease(600);

	for (uint32_t i = 0; i < MAX_PORTMAP_FILTERS; i++)
		cr_assert(
			portmap_filters_add(&m.filters, 0xc6336400 + 256 * i, (uint8_t)(25 + i), (uint16_t)(i * 443)));
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	cr_assert_not_null(at_b());
	cr_expect(portmap_filters_equal(&at_b()->filters, &m.filters));
	cr_assert_eq(told_by(&b), 0, "it is not told back");
	cr_assert_eq(told_by(&a), 0, "it is told once");
	m.filters = (struct portmap_filters){ 0 };
	cr_assert(portmap_filters_add(&m.filters, 0xc6336400, 0, 53));
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	cr_expect(portmap_filters_equal(&at_b()->filters, &m.filters));
	m.filters = (struct portmap_filters){ 0 };
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	connect_gateways(&a, &b);
	tell(&a, &b);
	cr_expect_eq(at_b()->filters.n, 0);
	/* Set here, they make it this gateway's own. */
	m = *at_b();
	m.peer = 0;
	cr_assert(portmap_filters_add(&m.filters, 0xc6336400, 32, 0));
	cr_assert_eq(portmaps_put(of_b, &m), 0);
	cr_expect_eq(told_by(&b), 1);
}

/* What is told one way, and then the other. */
static void tell_both_ways(void)
{
	tell(&a, &b);
	tell(&b, &a);
}

static const struct portmap *at_a(void)
{
	const struct portmap m = lease(0);

	return portmaps_by_out(of_a, m.proto, m.out);
}

/* Seconds that a lease has left, more than another. */
static int64_t longer(const struct portmap *m, const struct portmap *other)
{
	return (int64_t)(m->expires_s - other->expires_s);
}

Test(copying_leases, one_that_its_client_renews_or_shortens_at_the_other_gateway_is_so_at_both)
{
	struct portmap m = lease(600);

	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	m.expires_s += 1000;
	cr_assert_eq(portmaps_put(of_b, &m), 0);
	tell(&b, &a);
	cr_assert_leq(longer(at_a(), &m) + 1, 2);
	cr_assert_eq(told_by(&a), 0, "it is not told back");
	connect_gateways(&a, &b);
	cr_assert_eq(longer(at_b(), &m), 0, "a whole copy does not undo it");
	m.expires_s -= 1500;
	cr_assert_eq(portmaps_put(of_b, &m), 0);
	tell(&b, &a);
	connect_gateways(&a, &b);
	cr_assert_leq(longer(at_a(), &m) + 1, 2);
	cr_assert_eq(longer(at_b(), &m), 0);
	/* Back again. */
	m = lease(3000);
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell_both_ways();
	cr_assert_leq(longer(at_b(), &m) + 1, 2);
}

Test(copying_leases, one_that_its_client_ends_at_the_other_gateway_stays_ended_at_both)
{
	struct portmap m = lease(600);

	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	cr_assert_eq(portmaps_end(of_b, m.proto, m.out), 0);
	connect_gateways(&a, &b);
	cr_assert_null(at_b(), "the whole copy of the other, who did not know of the end yet");
	tell(&b, &a);
	cr_assert_null(at_a());
	connect_gateways(&a, &b);
	cr_assert_null(at_a());
	cr_assert_null(at_b());
	/* Another lease of the port is one. */
	memcpy(m.nonce, "another one.", sizeof(m.nonce));
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	cr_assert_eq(memcmp(at_b()->nonce, m.nonce, sizeof(m.nonce)), 0);
}

Test(copying_leases, a_gateway_that_returns_with_its_tables_brings_nothing_back)
{
	struct portmap renewed = lease(600), ended = lease(600);
	struct told lost = { 0 };

	ended.in.port = 8081;
	ended.out.port++;
	cr_assert_eq(portmaps_put(of_a, &renewed), 0);
	cr_assert_eq(portmaps_put(of_a, &ended), 0);
	tell(&a, &b);
	/* While a is away. */
	renewed.expires_s += 1000;
	cr_assert_eq(portmaps_put(of_b, &renewed), 0);
	cr_assert_eq(portmaps_end(of_b, ended.proto, ended.out), 0);
	pass(&b, &lost);
	told_free(&lost);
	connect_gateways(&a, &b);
	cr_assert_eq(longer(at_b(), &renewed), 0);
	cr_assert_leq(longer(at_a(), &renewed) + 1, 2);
	cr_assert_null(portmaps_by_out(of_a, ended.proto, ended.out));
	cr_assert_null(portmaps_by_out(of_b, ended.proto, ended.out));
}

Test(copying_leases, the_later_of_two_acts_in_a_split_counts_at_both_gateways)
{
	struct portmap m = lease(600), at_first = lease(300);
	struct told of_a_ = { 0 }, of_b_ = { 0 };

	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	cr_assert_eq(portmaps_put(of_a, &at_first), 0);
	usleep(3000);
	m.expires_s += 1000;
	cr_assert_eq(portmaps_put(of_b, &m), 0);
	/* They cross. */
	pass(&a, &of_a_);
	pass(&b, &of_b_);
	hear(&b, 1, &of_a_);
	hear(&a, 1, &of_b_);
	cr_assert_eq(longer(at_b(), &m), 0);
	cr_assert_leq(longer(at_a(), &m) + 1, 2);
}

Test(copying_leases, the_later_of_two_leases_of_an_inside_port_in_a_split_stays_at_both_gateways)
{
	struct portmap m = lease(600), other = lease(600);
	struct told of_a_ = { 0 }, of_b_ = { 0 };

	other.out.port++;
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	usleep(3000);
	cr_assert_eq(portmaps_put(of_b, &other), 0);
	pass(&a, &of_a_);
	pass(&b, &of_b_);
	hear(&b, 1, &of_a_);
	hear(&a, 1, &of_b_);
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_null(at_a());
		cr_assert_null(at_b());
		cr_assert_not_null(portmaps_by_out(of_a, other.proto, other.out));
		cr_assert_not_null(portmaps_by_out(of_b, other.proto, other.out));
		connect_gateways(&a, &b);
	}
	/* The same port for two inside ports. */
	m = other;
	m.in.port++;
	cr_assert_eq(portmaps_end(of_a, other.proto, other.out), 0);
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	cr_assert_eq(portmaps_by_out(of_b, m.proto, m.out)->in.port, m.in.port);
}

Test(copying_leases, an_act_counts_as_later_though_the_clock_of_its_gateway_is_behind)
{
	const uint64_t ahead = (wall_clock_ms() + 3600000) << 16;
	struct portmap m = lease(600);
	struct told t = { 0 };

	cr_assert_eq(portmaps_put(of_a, &m), 0);
	pass(&a, &t);
	for (unsigned i = 0; i < t.n; i++)
		if (t.payload[i].type == WIRE_LEASES)
			((struct wire_lease *)t.payload[i].data)->stamp = htobe64(ahead);
	hear(&b, 1, &t);
	cr_assert_not_null(at_b());
	cr_assert_eq(portmaps_end(of_b, m.proto, m.out), 0);
	tell(&b, &a);
	cr_assert_null(at_a());
	cr_assert_gt(lease_set_find(&a.c->leases, m.proto, m.out)->stamp, ahead);
}

Test(copying_leases, a_change_of_the_configuration_here_ends_no_lease_there)
{
	struct portmap m = lease(600);

	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	cr_assert_eq(portmaps_del(of_b, m.proto, m.out), 0);
	tell(&b, &a);
	cr_assert_not_null(at_a());
	connect_gateways(&b, &a);
	cr_assert_not_null(at_a());
	cr_assert_not_null(at_b(), "a whole copy has it");
}

static bool owns_nothing(const void *arg, struct prefix in, struct prefix out)
{
	return false;
}

Test(copying_leases, acts_at_a_gateway_that_does_not_tell_of_the_mapping_count_there_alone)
{
	const struct copying_limits limits = { .min_age_s = 2, .interval_ms = 1000, .owned = owns_nothing };
	struct portmap m = lease(600);
	struct told t = { 0 };

	copying_set_limits(b.c, &limits);
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	m.expires_s += 1000;
	cr_assert_eq(portmaps_put(of_b, &m), 0);
	cr_assert_eq(told_by(&b), 0);
	whole(&b, &t);
	hear(&a, 1, &t);
	cr_assert_leq(longer(at_a(), &m), -999);
	connect_gateways(&a, &b);
	cr_assert_eq(longer(at_b(), &m), 0, "a whole copy does not undo it");
	/* The client is back. */
	usleep(3000);
	m.expires_s -= 500;
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	cr_assert_leq(longer(at_b(), &m) + 1, 2);
}

Test(copying_leases, a_third_gateway_learns_of_an_act_from_either)
{
	struct portmap m = lease(600), ended = lease(600);
	struct gateway third;
	struct portmaps *of_third;
	struct told t = { 0 };

	ended.in.port = 8081;
	ended.out.port++;
	gateway_make(&third, NULL);
	start(&third, &of_third, -1);
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	cr_assert_eq(portmaps_put(of_a, &ended), 0);
	pass(&a, &t);
	whole(&a, &t);
	hear(&third, 2, &t);
	tell(&a, &b);
	connect_gateways(&a, &b);
	cr_assert_eq(portmaps_end(of_a, ended.proto, ended.out), 0);
	tell(&a, &b);
	/* Its connection to a is lost. */
	pass(&b, &t);
	whole(&b, &t);
	hear(&third, 1, &t);
	cr_assert_null(portmaps_by_out(of_third, ended.proto, ended.out));
	cr_assert_not_null(portmaps_by_out(of_third, m.proto, m.out));
	gateway_free(&third);
	portmaps_close(of_third);
}

Test(copying_leases, a_whole_copy_has_all_though_the_queue_is_full_again_and_again)
{
	const unsigned n = 2000;
	struct portmap m = lease(600);
	struct copying_whole *w;
	struct told t = { 0 };
	int r;

	for (unsigned i = 0; i < n; i++) {
		m.in.port = (uint16_t)(10000 + i);
		m.out.port = (uint16_t)(lease(0).out.port + i);
		cr_assert_eq(portmaps_put(of_a, &m), 0);
	}
	pass(&a, &t);
	told_free(&t);
	cr_assert_eq(copying_whole_new(a.c, 1, &w), 0);
	do {
		t.refuse = 1;
		r = copying_whole_step(w, 100, keep, &t);
		t.refuse = 0;
		r = r ? copying_whole_step(w, 1, keep, &t) : 0;
	} while (r);
	copying_whole_free(w);
	hear(&b, 1, &t);
	cr_assert_eq(portmaps_count(of_b, PORTMAP_PCP), n);
}

Test(copying_leases, ended_ones_are_known_up_to_a_limit_and_until_their_time_is_over)
{
	static struct lease_set s;
	struct portmap m = { .proto = IPPROTO_TCP };

	for (uint32_t i = 0; i < LEASES_ENDED_MAX; i++) {
		m.out = (struct endpoint){ 0xcb007100 + i / 1000, (uint16_t)(i % 1000) };
		cr_assert_null(lease_set_excess(&s));
		lease_set_ended(&s, lease_set_add(&s, m.proto, m.out), i);
	}
	cr_assert_not_null(lease_set_excess(&s));
	lease_set_del(&s, lease_set_excess(&s));
	cr_assert_null(lease_set_excess(&s));
	lease_set_free(&s);

	m = lease(2);
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	cr_assert_eq(portmaps_end(of_a, m.proto, m.out), 0);
	tell(&a, &b);
	cr_assert_eq(b.c->leases.n_ended, 1);
	while (b.c->leases.table.n && now_s() <= m.expires_s + 2) {
		copying_vouch(b.c, 0, 50);
		usleep(20000);
	}
	cr_assert_eq(b.c->leases.n_ended, 0);
	cr_assert_eq(b.c->leases.table.n, 0);
}

Test(copying_leases, one_whose_peer_has_gone_ends_with_its_time)
{
	struct portmap m = lease(1);

	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	cr_assert_not_null(at_b());
	while (now_s() <= m.expires_s + 1 && at_b()) {
		copying_vouch(b.c, 0, 50);
		usleep(20000);
	}
	cr_assert_null(at_b());
}

/* The agent of a gateway ends and another one starts, over the maps as they are. */
static void restart(struct gateway *g, struct portmaps **of, int stamps)
{
	const struct copying_limits limits = { .min_age_s = 2, .interval_ms = 1000 };

	copying_free(g->c);
	portmaps_close(*of);
	cr_assert_eq(copying_new(g->m, &limits, NULL, &g->c), 0);
	start(g, of, stamps);
}

Test(copying_leases, a_gateway_that_comes_back_without_its_tables_gets_them_back)
{
	struct portmap m = lease(600), ended = lease(600);

	ended.in.port = 8081;
	ended.out.port++;
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	cr_assert_eq(portmaps_put(of_a, &ended), 0);
	tell(&a, &b);
	cr_assert_eq(portmaps_end(of_b, ended.proto, ended.out), 0);
	/* Another boot: its first whole copy is empty. */
	cr_assert_eq(portmaps_del(of_a, m.proto, m.out), 0);
	cr_assert_eq(portmaps_del(of_a, ended.proto, ended.out), 0);
	close(stamps_a);
	stamps_a = lease_stamps_make();
	restart(&a, &of_a, stamps_a);
	connect_gateways(&a, &b);
	cr_assert_not_null(at_b());
	cr_assert_not_null(at_a());
	cr_assert_null(portmaps_by_out(of_a, ended.proto, ended.out));
	cr_assert_eq(told_by(&a), 0, "it is not told back");
}

Test(copying_leases, the_next_agent_knows_what_the_one_before_it_knew)
{
	struct portmap m = lease(600), ended = lease(600), told = lease(600);

	ended.in.port = 8081;
	ended.out.port++;
	told.in.port = 8082;
	told.out.port += 2;
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	cr_assert_eq(portmaps_put(of_a, &ended), 0);
	cr_assert_eq(portmaps_put(of_a, &told), 0);
	tell(&a, &b);
	/* Acts in the last moments of the agent, told to nobody. */
	m.expires_s += 1000;
	cr_assert_eq(portmaps_put(of_b, &m), 0);
	cr_assert_eq(portmaps_end(of_b, ended.proto, ended.out), 0);
	restart(&b, &of_b, stamps_b);
	told.expires_s += 500;
	cr_assert_eq(portmaps_put(of_a, &told), 0);
	connect_gateways(&a, &b);
	cr_assert_eq(longer(at_b(), &m), 0);
	cr_assert_leq(longer(at_a(), &m) + 1, 2);
	cr_assert_null(portmaps_by_out(of_a, ended.proto, ended.out));
	cr_assert_null(portmaps_by_out(of_b, ended.proto, ended.out));
	cr_assert_leq(longer(portmaps_by_out(of_b, told.proto, told.out), &told) + 1, 2);
}

Test(copying_leases, an_agent_that_was_killed_between_two_writes_is_put_right)
{
	struct portmap renewed = lease(600), ended = lease(600);
	struct known_lease *k;

	ended.in.port = 8081;
	ended.out.port++;
	cr_assert_eq(portmaps_put(of_a, &renewed), 0);
	cr_assert_eq(portmaps_put(of_a, &ended), 0);
	tell(&a, &b);
	/* The portmap is written, the act not; and the other way round. */
	portmaps_on_act(of_b, NULL, NULL);
	renewed.expires_s += 1000;
	cr_assert_eq(portmaps_put(of_b, &renewed), 0);
	k = lease_set_find(&b.c->leases, ended.proto, ended.out);
	lease_set_ended(&b.c->leases, k, act_stamp_next(k->stamp));
	cr_assert_eq(lease_stamps_put(stamps_b, k), 0);
	restart(&b, &of_b, stamps_b);
	cr_assert_null(portmaps_by_out(of_b, ended.proto, ended.out));
	connect_gateways(&a, &b);
	cr_assert_leq(longer(at_a(), &renewed) + 1, 2);
	cr_assert_eq(longer(at_b(), &renewed), 0);
	cr_assert_null(portmaps_by_out(of_a, ended.proto, ended.out));
}

Test(copying_leases, without_stamps_those_of_the_gateway_at_which_the_client_was_count)
{
	struct portmap m = lease(600);

	/* As an agent before stamps has left them. */
	portmaps_on_act(of_a, NULL, NULL);
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	restart(&a, &of_a, stamps_a);
	m.peer = 1;
	m.expires_s -= 100;
	cr_assert_eq(portmaps_put(of_b, &m), 0);
	restart(&b, &of_b, stamps_b);
	connect_gateways(&b, &a);
	connect_gateways(&a, &b);
	cr_assert_leq(longer(at_b(), at_a()) + 1, 2);
	cr_assert_geq(longer(at_b(), &m), 99);
}

Test(copying_leases, one_that_has_ended_by_its_time_at_one_gateway_does_not_come_back_from_the_other)
{
	struct portmap m = lease(3);

	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	cr_assert_eq(portmaps_del(of_a, m.proto, m.out), 0);
	connect_gateways(&b, &a);
	cr_assert_null(at_a());
}

Test(copying_leases, a_port_of_the_operator_or_another_client_stays)
{
	struct portmap m = lease(600), here = lease(0);

	here.origin = PORTMAP_STATIC;
	here.expires_s = 0;
	here.in.addr = 0x0a000008;
	here.in.addr = 0x0a000007;
	here.in.port = 9;
	cr_assert_eq(portmaps_put(of_b, &here), 0);
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	cr_assert_eq(at_b()->in.port, 9);
	cr_assert_eq(b.counts.existing, 1);
	cr_assert_eq(portmaps_end(of_a, m.proto, m.out), 0);
	tell(&a, &b);
	cr_assert_eq(at_b()->in.port, 9);
}

Test(copying_leases, a_lease_that_no_subscriber_can_have_is_refused)
{
	const struct portmap m = lease(600);
	const struct wire_lease right = { .in_addr = htobe32(m.in.addr),
					  .out_addr = htobe32(m.out.addr),
					  .in_port = htobe16(m.in.port),
					  .out_port = htobe16(m.out.port),
					  .proto = IPPROTO_TCP,
					  .left_s = htobe32(600),
					  .stamp = htobe64(1) };
	struct wire_lease w[11];

	for (size_t i = 0; i < ARRAY_SIZE(w); i++)
		w[i] = right;
	w[0].in_addr = htobe32(0x0a000008);
	w[1].out_addr = htobe32(m.out.addr + 1);
	w[2].out_port = htobe16((uint16_t)(m.out.port + 4032));
	w[3].proto = IPPROTO_ICMP;
	w[4].in_addr = htobe32(0x0b000001);
	w[5].in_port = 0;
	w[6].filters = WIRE_FILTERS + 1;
	w[7].filters = 1;
	w[7].filter[0].plen = 33;
	w[8].filters = 1;
	w[8].filter[0] = (struct wire_filter){ .addr = htobe32(0xc6336409), .plen = 24 };
	w[9].filters = 2; /* twice the same */
	w[10].stamp = htobe64(ACT_STAMP_MAX + 1);
	cr_assert_eq(copying_apply(b.c, 1, WIRE_LEASES, w, sizeof(w), &b.counts), 0);
	cr_assert_eq(b.counts.refused, ARRAY_SIZE(w));
	cr_assert_eq(portmaps_count(of_b, PORTMAP_PCP), 0);
	for (size_t n = 1; n < sizeof(right); n++)
		cr_assert_eq(copying_apply(b.c, 1, WIRE_LEASES, &right, n, &b.counts), -EPROTO);
	cr_assert_eq(copying_apply(b.c, 1, WIRE_LEASES, &right, sizeof(right), &b.counts), 0);
	cr_assert_eq(portmaps_count(of_b, PORTMAP_PCP), 1);
}

Test(copying_leases, no_copy_of_a_session_gets_the_port_of_one)
{
	struct portmap m = lease(600);
	const uint16_t in_port = 8080 + 4032; /* the first choice is the lease's port */

	cr_assert_eq(portmaps_put(of_b, &m), 0);
	cr_assert_eq(first_port(&a, 7, in_port), m.out.port);
	open_flow(&a, 7, in_port, 9, IPPROTO_TCP, SESSION_ESTABLISHED);
	open_flow(&a, 7, in_port, 9, IPPROTO_UDP, SESSION_UDP);
	exchange(&a, &b);
	cr_expect_eq(sessions_in(&b, 7), 1, "that of the other protocol");
	cr_expect_eq(copying_held(b.c, 1), 1);
}
