/* SPDX-License-Identifier: BSD-2-Clause */
/* Leases of PCP that gateways tell each other. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "copying_fixture.h"
#include "tables/portmap_table.h"

static struct portmaps *of_a, *of_b;

static void set_up(void)
{
	struct error err = { 0 };

	pair_make();
	cr_assert_eq(portmaps_open(a.m, &of_a, &err), 0, "%s", err.text);
	cr_assert_eq(portmaps_open(b.m, &of_b, &err), 0, "%s", err.text);
	copying_set_portmaps(a.c, of_a);
	copying_set_portmaps(b.c, of_b);
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
	cr_assert_eq(portmaps_del(of_a, m.proto, m.out), 0);
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
	cr_assert(portmap_filters_add(&m.filters, 0xc6336400, 32, 0));
	cr_assert_eq(portmaps_put(of_b, &m), 0);
	cr_expect_eq(told_by(&b), 1);
}

Test(copying_leases, one_that_is_renewed_here_is_this_gateways_own)
{
	struct portmap m = lease(600);

	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	m.expires_s += 1000;
	cr_assert_eq(portmaps_put(of_b, &m), 0);
	cr_assert_eq(told_by(&b), 1);
	cr_assert_eq(portmaps_del(of_a, m.proto, m.out), 0);
	tell(&a, &b);
	cr_assert_not_null(at_b());
}

Test(copying_leases, a_whole_copy_has_them_and_ends_others)
{
	struct portmap m = lease(600), other = lease(600);
	struct told lost = { 0 };

	other.in.port = 8081;
	other.out.port++;
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	cr_assert_eq(portmaps_del(of_a, m.proto, m.out), 0);
	cr_assert_eq(portmaps_put(of_a, &other), 0);
	pass(&a, &lost);
	told_free(&lost);
	connect_gateways(&a, &b);
	cr_assert_null(at_b());
	cr_assert_not_null(portmaps_by_out(of_b, other.proto, other.out));
	connect_gateways(&a, &b);
	cr_assert_not_null(portmaps_by_out(of_b, other.proto, other.out));
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

Test(copying_leases, those_of_a_peer_that_comes_back_without_them_stay_and_are_told_to_it)
{
	const struct copying_limits limits = { .min_age_s = 2, .interval_ms = 1000 };
	struct portmap m = lease(600);

	copying_peer_tables(b.c, 1, 1);
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	cr_assert_eq(portmaps_del(of_a, m.proto, m.out), 0);
	/* Another boot: what it has told is not known there, and its first whole copy is empty. */
	copying_free(a.c);
	cr_assert_eq(copying_new(a.m, &limits, NULL, &a.c), 0);
	copying_set_portmaps(a.c, of_a);
	copying_peer_tables(b.c, 1, 2);
	connect_gateways(&a, &b);
	cr_assert_not_null(at_b());
	tell(&b, &a);
	cr_assert_not_null(portmaps_by_out(of_a, m.proto, m.out));
	cr_assert_eq(told_by(&a), 0, "it is not told back");
}

/* Agent b ends and another one starts, over the map as it is. */
static void restart_b(void)
{
	const struct copying_limits limits = { .min_age_s = 2, .interval_ms = 1000 };
	struct error err = { 0 };

	copying_free(b.c);
	portmaps_close(of_b);
	cr_assert_eq(portmaps_open(b.m, &of_b, &err), 0, "%s", err.text);
	cr_assert_eq(copying_new(b.m, &limits, NULL, &b.c), 0);
	copying_set_portmaps(b.c, of_b);
}

Test(copying_leases, the_next_agent_knows_which_a_peer_has_told)
{
	struct portmap m = lease(600), ended = lease(600);

	ended.in.port = 8081;
	ended.out.port++;
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	cr_assert_eq(portmaps_put(of_a, &ended), 0);
	tell(&a, &b);
	restart_b();
	cr_assert_eq(portmaps_del(of_a, ended.proto, ended.out), 0);
	connect_gateways(&a, &b);
	cr_assert_null(portmaps_by_out(of_b, ended.proto, ended.out), "it has ended meanwhile");
	cr_assert_not_null(at_b());
	cr_assert_eq(told_by(&b), 0, "it is not told back");
	restart_b();
	cr_assert_eq(portmaps_del(of_a, m.proto, m.out), 0);
	tell(&a, &b);
	connect_gateways(&a, &b);
	cr_assert_null(at_b());
	cr_assert_eq(portmaps_count(of_a, PORTMAP_PCP), 0, "it does not come back");
}

Test(copying_leases, the_next_agent_knows_which_were_renewed_here_or_adopted)
{
	struct portmap m = lease(600), adopted = lease(600);

	adopted.in.port = 8081;
	adopted.out.port++;
	cr_assert_eq(portmaps_put(of_a, &adopted), 0);
	copying_peer_tables(b.c, 1, 1);
	tell(&a, &b);
	copying_peer_tables(b.c, 1, 2);
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	m.expires_s += 1000;
	cr_assert_eq(portmaps_put(of_b, &m), 0);
	restart_b();
	cr_assert_eq(portmaps_del(of_a, m.proto, m.out), 0);
	cr_assert_eq(portmaps_del(of_a, adopted.proto, adopted.out), 0);
	connect_gateways(&a, &b);
	cr_assert_not_null(at_b());
	cr_assert_not_null(portmaps_by_out(of_b, adopted.proto, adopted.out));
}

Test(copying_leases, one_that_was_adopted_ends_with_its_time)
{
	struct portmap m = lease(1);

	copying_peer_tables(b.c, 1, 1);
	cr_assert_eq(portmaps_put(of_a, &m), 0);
	tell(&a, &b);
	copying_peer_tables(b.c, 1, 2);
	cr_assert_not_null(at_b());
	while (now_s() <= m.expires_s + 1 && at_b()) {
		copying_vouch(b.c, 0, 50);
		usleep(20000);
	}
	cr_assert_null(at_b());
}

Test(copying_leases, what_the_operator_or_another_client_has_stays)
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
	cr_assert_eq(portmaps_del(of_a, m.proto, m.out), 0);
	tell(&a, &b);
	cr_assert_eq(at_b()->in.port, 9);
}

Test(copying_leases, what_no_subscriber_can_have_is_refused)
{
	const struct portmap m = lease(600);
	const struct wire_lease right = { .in_addr = htobe32(m.in.addr),
					  .out_addr = htobe32(m.out.addr),
					  .in_port = htobe16(m.in.port),
					  .out_port = htobe16(m.out.port),
					  .proto = IPPROTO_TCP,
					  .left_s = htobe32(600) };
	struct wire_lease w[10];

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
