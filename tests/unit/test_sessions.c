/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions on real maps, put there by hand. */
#include "sessions_fixture.h"

#include "tables/mapping_changes.h"

TestSuite(sessions, .init = sessions_set_up, .timeout = 300);

Test(sessions, are_walked_in_order_of_inside_address)
{
	static const struct {
		const char *addr;
		uint16_t port;
		const char *state;
		uint32_t expires;
		bool counts;
	} rows[] = {
		{ "9.255.0.0", 22, "udp-active", 10, true },	{ "9.255.0.3", 14, "udp-active", 0, false },
		{ "9.255.0.3", 13, "udp-active", 6, true },	{ "10.0.0.7", 8, "udp-active", 0, false },
		{ "10.0.0.7", 9, "tcp-time-wait", 240, false }, { "10.0.0.7", 10, "tcp-established", 7440, true },
		{ "10.0.0.7", 11, "tcp-reset", 140, true },	{ "10.0.0.7", 7, "udp-active", 0, true },
		{ "10.0.0.7", 20, "udp-active", 299, true },	{ "10.0.0.7", 21, "udp-active", 0, false },
		{ "10.0.0.9", 15, "tcp-time-wait", 0, false },	{ "10.0.0.254", 23, "udp-active", 300, true },
		{ "10.0.0.255", 12, "icmp-active", 1, true },
	};

	fill();
	for (unsigned budget_us = 0; budget_us <= 1000; budget_us += 1000) {
		struct list l = walk_all(budget_us);

		cr_assert_eq(l.n, ARRAY_SIZE(rows), "%u", l.n);
		/* Two sessions in the extent of one subscriber come in any order. */
		if (l.s[9].in_port == 20) {
			struct session s = l.s[9];

			l.s[9] = l.s[8];
			l.s[8] = s;
		}
		for (unsigned i = 0; i < l.n; i++) {
			cr_assert_eq(l.s[i].in_addr, tables_addr(rows[i].addr), "row %u", i);
			cr_assert_eq(l.s[i].in_port, rows[i].port, "row %u", i);
			cr_assert_str_eq(session_state_name(l.s[i].state), rows[i].state, "row %u", i);
			cr_assert_eq(l.s[i].expires, rows[i].expires, "row %u: %u", i, l.s[i].expires);
			cr_assert_eq(l.s[i].counts, rows[i].counts, "row %u", i);
			cr_assert_eq(l.s[i].ext_port, l.s[i].proto == IPPROTO_ICMP ? 0 : 443);
			cr_assert_eq(l.s[i].out_port, 1024 + rows[i].port);
			cr_assert_eq(l.s[i].ext_addr, 0xc6336407);
		}
		cr_assert_eq(l.s[12].out_addr, tables_addr("1.1.1.15"));
		cr_assert_eq(l.s[0].out_addr, tables_addr("1.1.2.0"));
	}
}

Test(sessions, sessions_of_one_subscriber_are_walked_alone)
{
	struct session_walk *w;
	unsigned counted = 0;
	struct list l;

	fill();
	cr_assert_eq(session_walk_new_subscriber(m, tables_addr("10.0.0.7"), &w), 0);
	l = walk(w, 0);
	cr_assert_eq(l.n, 7);
	cr_assert_eq(session_walk_new_subscriber(m, tables_addr("10.0.0.8"), &w), 0);
	cr_assert_eq(walk(w, 1000).n, 0);
	cr_assert_eq(session_walk_new_subscriber(m, tables_addr("10.0.1.0"), &w), -ENOENT);
	cr_assert_eq(session_walk_new(m, &w), 0);
	l = walk(w, 0);
	for (unsigned i = 0; i < l.n; i++)
		counted += l.s[i].counts;
	cr_assert_eq(counted, 8);
}

Test(sessions, walk_ends_where_the_visitor_says_so)
{
	for (int stop_at = 1; stop_at <= 13; stop_at++) {
		struct session_walk *w;
		struct list l = { .stop_at = stop_at };
		int r;

		if (stop_at == 1)
			fill();
		cr_assert_eq(session_walk_new(m, &w), 0);
		while ((r = session_walk_step(w, 100, collect, &l)) > 0)
			;
		cr_assert_eq(r, -EINTR);
		cr_assert_eq(l.n, (unsigned)stop_at);
		session_walk_free(w);
	}
}

Test(sessions, walk_goes_on_when_mappings_come_and_go)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "1.1.1.0/28"),
			    later = tables_spec("11.0.0.0/24", "1.1.3.0/28"),
			    last = tables_spec("12.0.0.0/24", "1.1.4.0/28");
	struct list l = { .n = 0 };
	struct session_walk *w;

	fill();
	tables_add(m, &last);
	put_beyond("12.0.0.1", 98, NOW);
	cr_assert_eq(session_walk_new(m, &w), 0);
	while (l.n < 6)
		cr_assert_eq(session_walk_step(w, 0, collect, &l), 1);
	mappings_del_of(m, 0, spec.in, spec.out);
	tables_reclaim(m);
	tables_add(m, &later);
	put("11.0.0.9", 1, 99, SESSION_UDP, NOW);

	unsigned before = l.n;

	while (session_walk_step(w, 0, collect, &l))
		;
	session_walk_free(w);
	cr_assert_eq(l.n, before + 2);
	cr_assert_eq(l.s[before].in_addr, tables_addr("11.0.0.9"));
	cr_assert_eq(l.s[before + 1].in_addr, tables_addr("12.0.0.1"));
}

static void sweep(session_visit closed, void *arg)
{
	struct session_sweep *s;

	cr_assert_eq(session_sweep_new(m, &s), 0);
	while (session_sweep_step(s, 1000, closed, arg))
		;
	session_sweep_free(s);
}

static int count_subscriber(uint32_t in_addr, struct subscriber_figures *ret)
{
	return subscriber_figures_read(m, in_addr, ret);
}

Test(sessions, expired_are_swept_and_counted_off)
{
	struct list closed = { .n = 0 };

	fill();
	put("10.0.0.7", 4, 16, SESSION_TIME_WAIT, NOW - 241);
	sweep(collect, &closed);
	cr_assert_eq(record("10.0.0.7")->sessions, 4);
	cr_assert_eq(record("9.255.0.3")->sessions, 1);
	cr_assert_eq(record("10.0.0.255")->sessions, 1);
	cr_assert_eq(tables_beyond(&d), 3);
	cr_assert_geq(closed.n, 4); /* those of 10.0.0.9, which has no session that counts, may come later */
	for (unsigned i = 0; i < 64; i++)
		sweep(collect, &closed);
	cr_assert_eq(closed.n, 5);
	cr_assert_eq(record("10.0.0.9")->sessions, 0);
	cr_assert_eq(walk_all(1000).n, 9);
	for (unsigned i = 0; i < closed.n; i++)
		cr_assert_eq(closed.s[i].counts, false);
	tables_set_ticks(&d, NOW + 8000);
	sweep(NULL, NULL);
	cr_assert_eq(walk_all(1000).n, 0);
	cr_assert_eq(tables_beyond(&d), 0);
	cr_assert_eq(record("10.0.0.7")->sessions, 0);
}

/* New sessions and changes of state come between the sweeps, which need not look at a subscriber each time. */
Test(sessions, are_swept_in_time_though_not_each_sweep_looks)
{
	static const uint8_t states[] = { SESSION_UDP, SESSION_ESTABLISHED, SESSION_FIN_WAIT, SESSION_ICMP,
					  SESSION_TIME_WAIT };
	struct slot *slots = (struct slot *)mappings_buckets(m, big, 7);
	uint32_t late = 0, late_for[32] = { 0 };

	srandom(3);
	for (uint32_t now = NOW; now < NOW + 2000; now++) {
		struct slot *slot = &slots[random() % 32];
		uint32_t live = 0;

		tables_set_ticks(&d, now);
		if (!slot->truth && random() % 4 == 0)
			put("10.0.0.7", (uint32_t)(slot - slots), 7, states[random() % 4], now);
		else if (word_state(slot->truth) == SESSION_ESTABLISHED && random() % 4 == 0)
			slot->truth = word_with(slot->truth, SESSION_FIN_WAIT, word_seen(slot->truth));
		sweep(NULL, NULL);
		for (unsigned i = 0; i < 32; i++) {
			uint64_t truth = slots[i].truth;

			live += word_is_live(truth);
			if (!word_is_live(truth) || !word_expired(truth, now, d.mapping[big].timeout_ticks)) {
				late_for[i] = 0;
				continue;
			}
			/* Only one whose timeout became shorter is ever late. */
			cr_assert_eq(word_state(truth), SESSION_FIN_WAIT);
			cr_assert_leq(++late_for[i], 30, "half the shortest timeout");
			late++;
		}
		cr_assert_eq(record("10.0.0.7")->sessions, live);
	}
	cr_assert_gt(late, 0, "all is looked at in each sweep");

	/* Shorter timeouts act at the next sweep. */
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "1.1.1.0/28");

	put("10.0.0.8", 0, 1, SESSION_UDP, NOW + 1990);
	sweep(NULL, NULL);
	for (unsigned i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = 1;
	mappings_update(m, &spec);
	sweep(NULL, NULL);
	cr_assert_eq(record("10.0.0.8")->sessions, 0);
}

Test(sessions, age_is_signed_over_the_end_of_the_clock)
{
	tables_set_ticks(&d, 5);
	put("10.0.0.1", 0, 1, SESSION_UDP, UINT32_MAX - 200); /* 206 ticks old */
	put("10.0.0.1", 1, 2, SESSION_UDP, UINT32_MAX - 300); /* 306 */
	put("10.0.0.1", 2, 3, SESSION_UDP, 6);
	sweep(NULL, NULL);
	cr_assert_eq(record("10.0.0.1")->sessions, 2);
}

Test(sessions, are_counted)
{
	struct session_counter *c;
	struct session_count count;
	struct subscriber_figures f;

	fill();
	record("10.0.0.7")->refused = 3;
	cr_assert_eq(session_counter_new(m, &c), 0);
	while (session_counter_step(c, 0, &count))
		;
	session_counter_free(c);
	cr_assert_eq(count.total, 8);
	cr_assert_eq(count.by_mapping[small], 2);
	cr_assert_eq(count.by_mapping[big], 6);
	cr_assert_eq(count_subscriber(tables_addr("10.0.0.7"), &f), 0);
	cr_assert_eq(f.sessions, 4);
	cr_assert_eq(f.quota, 1000);
	cr_assert_eq(f.quota_exceeded, 3);
	cr_assert_eq(count_subscriber(tables_addr("10.0.1.0"), &f), -ENOENT);
}

static uint64_t count_all(void)
{
	struct session_counter *c;
	struct session_count count;

	cr_assert_eq(session_counter_new(m, &c), 0);
	while (session_counter_step(c, 0, &count))
		;
	session_counter_free(c);
	return count.total;
}

/* So many slots that not all of them are looked at. */
Test(sessions, sessions_of_large_tables_are_counted_by_their_records)
{
	struct mapping_spec spec = tables_spec("11.0.0.0/22", "1.1.4.0/24");

	spec.session_slots = 2048;
	tables_add(m, &spec);
	for (unsigned i = 0; i < 1024; i++) {
		struct session s = session_with((uint16_t)i, IPPROTO_UDP, SESSION_UDP);

		tables_put(m, tables_addr("11.0.0.0") + i, i, &s, NOW);
	}
	put_beyond("11.0.3.255", 9, NOW);
	cr_assert_eq(count_all(), 1025);
	/* Looked at now, and believed from now on. */
	record("11.0.3.254")->sessions = 100;
	cr_assert_eq(count_all(), 1124);
	record("11.0.3.254")->sessions = 1;
	/* Shorter timeouts hold at once. */
	spec.timeout_ticks[TIMEOUT_UDP] = 20;
	cr_assert_eq(mappings_update(m, &spec), 0);
	tables_set_ticks(&d, NOW + 21);
	cr_assert_eq(count_all(), 0);
}

/* Whatever the records say, and though no sweep is due. */
Test(sessions, small_tables_are_counted_slot_by_slot)
{
	struct session_count count;
	struct session_counter *c;
	struct session_sweep *s;

	put("10.0.0.7", 31, 7, SESSION_UDP, NOW);
	cr_assert_eq(session_sweep_new(m, &s), 0);
	while (session_sweep_step(s, 1000000, NULL, NULL))
		;
	session_sweep_free(s);
	record("10.0.0.7")->sessions = 9;
	cr_assert_eq(session_counter_new(m, &c), 0);
	while (session_counter_step(c, 1000000, &count))
		;
	session_counter_free(c);
	cr_expect_eq(count.total, 1);
	cr_expect_eq(count.by_mapping[big], 1);
}
