/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions of IPv6 subscribers as the agent has them: their ages have 26 bits, and the rest of the word is their host.
 */
#include <criterion/criterion.h>

#include <netinet/in.h>
#include <string.h>

#include "sessions/check.h"
#include "sessions/sessions.h"
#include "tables/mapping_changes.h"
#include "tables/mapping_hosts.h"

#include "mappings_fixture.h"

TestSuite(session_hosts, .init = mappings_set_up, .timeout = 120);

#define NOW 0x03fffff0U /* a tick at which last seen is about to begin anew */

static int number;

static void make(void)
{
	const struct address6 prefix = { .hi = 0x0064ff9b00000000ULL };
	struct mapping_spec spec = tables_spec("224.0.0.0/24", "1.1.0.0/28");

	spec.six = (struct record6){
		.in_hi = 0x20010db840000000ULL, .subscriber_plen = 56, .hosts = 16, .lowest_mtu = LOWEST_IPV6_MTU
	};
	record6_set_prefix(&spec.six, &prefix, 96);
	number = tables_add(m, &spec);
	tables_set_ticks(&d, NOW);
}

static struct address6 host_of(uint32_t host)
{
	return (struct address6){ .hi = 0x20010db840000700ULL | host, .lo = 0x1000 + host };
}

/* A UDP session of a host of subscriber 7, last seen so many ticks ago. */
static struct slot *put(uint32_t host, uint32_t slot, uint16_t in_port, uint32_t age)
{
	const struct session s = { .ext_addr = 0xc6336407,
				   .in_port = in_port,
				   .out_port = (uint16_t)(2000 + slot),
				   .ext_port = 53,
				   .proto = IPPROTO_UDP,
				   .state = SESSION_UDP };
	const struct mapping *map = mappings_get(m, number);
	struct host6 *line = chunks_at(&m->hosts, host6_number(&d.record6[map->record6], map->host_shift, 7, host));

	line->lo = be64_number(host_of(host).lo);
	line->hi = (uint16_t)(host_of(host).hi & 0xff);
	return tables_put(m, VIRTUAL_BASE + 7, slot, &s, ((NOW - age) & 0x03ffffff) | host << WORD_HOST_SHIFT);
}

struct seen {
	struct session at[8];
	unsigned n;
};

static int note(const struct session *s, void *arg)
{
	struct seen *seen = arg;

	seen->at[seen->n++] = *s;
	return 0;
}

static struct seen walk(void)
{
	struct session_walk *w;
	struct seen seen = { .n = 0 };

	cr_assert_eq(session_walk_new(m, &w), 0);
	while (session_walk_step(w, 1000, note, &seen) > 0)
		;
	session_walk_free(w);
	return seen;
}

Test(session_hosts, are_listed_with_their_address_and_age)
{
	struct seen seen;

	make();
	put(3, 0, 5000, 100);
	put(15, 1, 5000, 0);
	seen = walk();
	cr_assert_eq(seen.n, 2);
	for (unsigned i = 0; i < 2; i++) {
		const struct address6 wanted = host_of(i ? 15 : 3);

		cr_assert(address6_equal(&seen.at[i].host, &wanted), "%u", i);
		cr_assert_eq(seen.at[i].expires, i ? 300 : 200);
		cr_assert(seen.at[i].counts);
	}
}

Test(session_hosts, a_sweep_ends_the_expired_alone)
{
	struct session_sweep *sweep;
	struct seen ended = { .n = 0 };
	const struct address6 wanted = host_of(9);

	make();
	put(1, 0, 5000, 300);
	put(9, 1, 5000, 301);
	put(15, 2, 5000, 0);
	/* Ahead of this core's clock. */
	put(2, 3, 5001, (uint32_t)-1);
	cr_assert_eq(session_sweep_new(m, &sweep), 0);
	while (session_sweep_step(sweep, 1000, note, &ended) > 0)
		;
	session_sweep_free(sweep);
	cr_assert_eq(ended.n, 1);
	cr_assert(address6_equal(&ended.at[0].host, &wanted));
	cr_assert_eq(walk().n, 3);
}

Test(session_hosts, one_hosts_session_is_closed_by_its_address)
{
	const struct endpoint in = { .addr = VIRTUAL_BASE + 7, .port = 5000 }, ext = { .addr = 0xc6336407, .port = 53 };
	const struct address6 one = host_of(3), none = host_of(4), left = host_of(15);
	struct seen seen;

	make();
	put(3, 0, 5000, 0);
	put(15, 1, 5000, 0);
	cr_assert_eq(sessions_close_host(m, &none, in, ext, IPPROTO_UDP), 0);
	cr_assert_eq(sessions_close_host(m, &one, in, ext, IPPROTO_UDP), 1);
	seen = walk();
	cr_assert_eq(seen.n, 1);
	cr_assert(address6_equal(&seen.at[0].host, &left));
}

/* Sessions that end with their mapping are told with their hosts, whatever has its number and its record by then. */
Test(session_hosts, end_with_their_mapping_as_their_hosts)
{
	const struct address6 wanted = host_of(3), prefix = { .hi = 0x0064ff9b00000000ULL };
	struct mapping_spec next = tables_spec("224.0.1.0/24", "1.1.1.0/28");
	struct seen ended = { .n = 0 };

	next.six = (struct record6){
		.in_hi = 0x20010db840010000ULL, .subscriber_plen = 56, .hosts = 16, .lowest_mtu = LOWEST_IPV6_MTU
	};
	record6_set_prefix(&next.six, &prefix, 96);
	make();
	put(3, 0, 5000, 0);
	sessions_on_close(m, note, &ended);
	cr_assert_eq(mappings_del_of(m, 0, (struct prefix){ VIRTUAL_BASE, 24, 0 },
				     (struct prefix){ tables_addr("1.1.0.0"), 28, 0 }),
		     0);
	tables_add(m, &next);
	d.record6[number].in_hi = next.six.in_hi;
	tables_reclaim(m);
	sessions_on_close(m, NULL, NULL);
	cr_assert_eq(ended.n, 1);
	cr_assert(address6_equal(&ended.at[0].host, &wanted));
}

/* The second record is compared with what the agent wrote. */
Test(session_hosts, a_record_that_was_changed_is_found_and_repaired)
{
	struct findings found;

	make();
	for (unsigned round = 0; round < 3; round++) {
		struct table_check *c;

		found = (struct findings){ 0 };
		if (!round)
			d.record6[mappings_get(m, number)->record6].lowest_mtu++;
		cr_assert_eq(table_check_new(m, round == 1, &found, &c), 0);
		while (table_check_step(c, 1000) > 0)
			;
		table_check_free(c);
		cr_assert_eq(found.total, round < 2, "round %u", round);
		cr_assert(!found.n || found.finding[0].repaired == (round == 1));
		findings_free(&found);
	}
	cr_assert_eq(d.record6[mappings_get(m, number)->record6].lowest_mtu, LOWEST_IPV6_MTU);
}

Test(session_hosts, figures_go_by_the_age)
{
	struct subscriber_figures figures;

	make();
	put(1, 0, 5000, 301);
	put(15, 1, 5000, 10);
	cr_assert_eq(subscriber_figures_read(m, VIRTUAL_BASE + 7, &figures), 0);
	cr_assert_eq(figures.sessions, 1);
}
