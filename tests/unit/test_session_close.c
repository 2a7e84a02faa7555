/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions on real maps that end before their time: closed by hand, or with their mapping. */
#include "sessions_fixture.h"

TestSuite(session_close, .init = sessions_set_up, .timeout = 300);

static const struct endpoint ext = { 0xc6336407, 443 }, ext_icmp = { 0xc6336407, 0 };

Test(session_close, are_closed_by_inside_or_outside_endpoint)
{
	struct list closed = { .n = 0 };
	struct endpoint in = { tables_addr("10.0.0.7"), 7 }, out;

	sessions_on_close(m, collect, &closed);
	put("10.0.0.7", 0, 7, SESSION_UDP, NOW);
	put("10.0.0.7", 1, 7, SESSION_ESTABLISHED, NOW);
	put("10.0.0.7", 2, 7, SESSION_ICMP, NOW);
	put("10.0.0.7", 3, 8, SESSION_UDP, NOW);
	cr_assert_eq(sessions_close_in(m, 0, in, ext, IPPROTO_UDP), 1);
	cr_assert_eq(sessions_close_in(m, 0, in, ext, IPPROTO_UDP), 0);
	cr_assert_eq(sessions_close_in(m, 0, in, (struct endpoint){ 0xc6336407, 444 }, 0), 0);
	cr_assert_eq(sessions_close_in(m, 0, in, (struct endpoint){ 0xc6336408, 443 }, 0), 0);
	cr_assert_eq(sessions_close_in(m, 0, in, ext_icmp, 0), 1);
	cr_assert_eq(record("10.0.0.7")->sessions, 2);

	/* 16 subscribers an address, 4032 ports each. */
	out = (struct endpoint){ tables_addr("1.1.1.0"), (uint16_t)(1024 + 7 * 4032 + 7) };
	cr_assert_eq(sessions_close_out(m, out, ext, 0), 0, "that port has another session");
	put("10.0.0.7", 4, 7, SESSION_UDP, NOW);
	mappings_buckets(m, big, 7)[0].slot[4].truth = state_word(out.port, IPPROTO_TCP, SESSION_FIN_WAIT, NOW);
	mappings_buckets(m, big, 7)[0].slot[5] = mappings_buckets(m, big, 7)[0].slot[4];
	mappings_buckets(m, big, 7)[0].slot[5].truth = state_word(out.port, IPPROTO_UDP, SESSION_UDP, NOW);
	record("10.0.0.7")->sessions++;
	cr_assert_eq(sessions_close_out(m, out, ext, 0), 2);
	cr_assert_eq(record("10.0.0.7")->sessions, 2);
	cr_assert_eq(sessions_close_out(m, (struct endpoint){ tables_addr("1.1.1.0"), 1023 }, ext, 0), -ENOENT);
	cr_assert_eq(sessions_close_out(m, (struct endpoint){ tables_addr("1.1.3.0"), 2000 }, ext, 0), -ENOENT);
	cr_assert_eq(sessions_close_in(m, 0, (struct endpoint){ 1, 1 }, ext, 0), -ENOENT);
	cr_assert_eq(closed.n, 4);
}

Test(session_close, that_end_with_their_mapping_are_told_of)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "1.1.1.0/28");
	struct list ended = { .n = 0 };
	unsigned beyond = 0;

	uint64_t before, after;

	fill();
	sessions_on_close(m, collect, &ended);
	before = clock_ns(CLOCK_REALTIME);
	mappings_del_of(m, 0, spec.in, spec.out);
	after = clock_ns(CLOCK_REALTIME);
	tables_reclaim(m);
	cr_assert_eq(ended.n, 10);
	for (unsigned i = 0; i < ended.n; i++) {
		/* Not when they are told of: by then the history may say that another mapping has the address. */
		cr_assert(ended.s[i].ended_ns >= before && ended.s[i].ended_ns <= after);
		cr_assert_eq(ended.s[i].in_addr >> 8, tables_addr("10.0.0.0") >> 8);
		cr_assert_eq(ended.s[i].out_addr, tables_addr("1.1.1.0") + (ended.s[i].in_addr & 0xff) / 16);
		cr_assert_eq(ended.s[i].out_port, 1024 + ended.s[i].in_port);
		beyond += ended.s[i].in_port >= 20;
	}
	cr_assert_eq(beyond, 3);
}

Test(session_close, in_time_wait_alone_are_told_of_when_their_mapping_ends)
{
	struct mapping_spec spec = tables_spec("10.0.0.0/24", "1.1.1.0/28");
	struct list ended = { .n = 0 };

	put("10.0.0.7", 0, 7, SESSION_TIME_WAIT, NOW);
	cr_assert_eq(record("10.0.0.7")->sessions, 0);
	sessions_on_close(m, collect, &ended);
	mappings_del_of(m, 0, spec.in, spec.out);
	tables_reclaim(m);
	cr_assert_eq(ended.n, 1);
	cr_assert_eq(ended.s[0].in_addr, tables_addr("10.0.0.7"));
	cr_assert_eq(ended.s[0].in_port, 7);
	cr_assert_eq(ended.s[0].state, SESSION_TIME_WAIT);
}

Test(session_close, in_extents_are_closed_too)
{
	struct endpoint in = { tables_addr("10.0.0.0"), 7 }, out = { tables_addr("1.1.1.0"), 1024 + 8 };

	put_beyond("10.0.0.0", 7, NOW);
	put_beyond("10.0.0.0", 8, NOW);
	put_beyond("10.0.0.0", 9, NOW);
	cr_assert_eq(sessions_close_in(m, 0, in, ext, IPPROTO_TCP), 0);
	cr_assert_eq(sessions_close_in(m, 0, in, ext, 0), 1);
	cr_assert_eq(sessions_close_out(m, out, ext, 0), 1);
	cr_assert_eq(sessions_close_out(m, out, ext, 0), 0);
	cr_assert_eq(record("10.0.0.0")->sessions, 1);
	cr_assert_eq(tables_beyond(&d), 1);
}

Test(session_close, that_count_in_no_figure_are_freed_but_not_counted_as_closed)
{
	put("10.0.0.7", 0, 7, SESSION_TIME_WAIT, NOW);
	put("10.0.0.7", 1, 7, SESSION_UDP, NOW - 301);
	cr_assert_eq(sessions_close_in(m, 0, (struct endpoint){ tables_addr("10.0.0.7"), 7 }, ext, 0), 0);
	cr_assert_eq(walk_all(1000).n, 0);
	cr_assert_eq(record("10.0.0.7")->sessions, 0);
}
