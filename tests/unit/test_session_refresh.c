/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions that are found by their endpoints and refreshed, as by a packet. */
#include "sessions_fixture.h"

TestSuite(session_refresh, .init = sessions_set_up, .timeout = 300);

static const struct endpoint ext = { 0xc6336407, 443 };

static struct endpoint inside(uint16_t port)
{
	return (struct endpoint){ tables_addr("10.0.0.7"), port };
}

static uint32_t seen(int number, uint32_t slot)
{
	return word_seen(mappings_buckets(m, number, 7)[0].slot[slot].truth);
}

Test(session_refresh, is_of_one_session_that_is_not_closing)
{
	struct session s;

	put("10.0.0.7", 0, 7, SESSION_UDP, NOW - 100);
	put("10.0.0.7", 1, 8, SESSION_UDP, NOW - 100);
	put("10.0.0.7", 2, 9, SESSION_ESTABLISHED | SESSION_RESET, NOW - 100);
	cr_assert_eq(sessions_refresh(m, 0, inside(7), ext, IPPROTO_UDP, &s), 0);
	cr_assert_eq(s.out_addr, tables_addr("1.1.1.0"));
	cr_assert_eq(s.out_port, 1024 + 7);
	cr_assert_eq(s.expires, 300);
	cr_assert_eq(seen(big, 0), NOW);
	cr_assert_eq(seen(big, 1), NOW - 100);
	cr_assert_eq(sessions_refresh(m, 0, inside(9), ext, IPPROTO_TCP, &s), 0);
	cr_assert_eq(seen(big, 2), NOW - 100);
	cr_assert_eq(sessions_refresh(m, 0, inside(7), ext, IPPROTO_TCP, &s), -ENOENT);
	cr_assert_eq(sessions_refresh(m, 0, inside(10), ext, IPPROTO_UDP, &s), -ENOENT);
	cr_assert_eq(sessions_refresh(m, 0, (struct endpoint){ 1, 1 }, ext, IPPROTO_UDP, &s), -ENOENT);
}

Test(session_refresh, finds_what_drains_with_its_outside_endpoint)
{
	const struct mapping_spec former = tables_spec("10.0.0.0/24", "1.1.1.0/28"),
				  next = tables_spec("10.0.0.0/24", "1.1.9.0/28");
	int number;
	struct session s;

	put("10.0.0.7", 0, 7, SESSION_UDP, NOW - 100);
	put_beyond("10.0.0.7", 20, NOW - 100);
	cr_assert_eq(mappings_retire(m, former.in, former.out, 600), 0);
	/* Its subscribers have no other mapping. */
	cr_assert_eq(sessions_refresh(m, 0, inside(7), ext, IPPROTO_UDP, &s), 0);
	cr_assert_eq(s.out_addr, tables_addr("1.1.1.0"));
	number = tables_add(m, &next);
	put("10.0.0.7", 0, 8, SESSION_UDP, NOW - 100);
	cr_assert_eq(sessions_refresh(m, 0, inside(7), ext, IPPROTO_UDP, &s), 0);
	cr_assert_eq(s.out_addr, tables_addr("1.1.1.0"));
	cr_assert_eq(s.out_port, 1024 + 7);
	cr_assert_eq(seen(big, 0), NOW);
	cr_assert_eq(seen(number, 0), NOW - 100);
	cr_assert_eq(sessions_refresh(m, 0, inside(20), ext, IPPROTO_UDP, &s), 0);
	cr_assert_eq(s.out_addr, tables_addr("1.1.1.0"));
	cr_assert_eq(sessions_refresh(m, 0, inside(8), ext, IPPROTO_UDP, &s), 0);
	cr_assert_eq(s.out_addr, tables_addr("1.1.9.0"));
	cr_assert_eq(seen(number, 0), NOW);
}
