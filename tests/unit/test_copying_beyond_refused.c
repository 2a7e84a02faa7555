/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions beyond the slots that a peer tells and that cannot be had here, or cannot be at all. */
#include <errno.h>
#include <netinet/in.h>

#include "beyond_fixture.h"

TestSuite(copying_beyond_refused, .init = pair_make, .fini = pair_free, .timeout = 300);

Test(copying_beyond_refused, a_port_that_is_anothers_here_is_refused)
{
	const struct session other = beyond_session(&b, 6000, 77);
	struct told t = { 0 };

	connect_gateways(&a, &b);
	/* Beyond the slots, and in one. */
	beyond_open(&b, 6000, 77);
	cr_assert_eq(open_own(&b, HOST, slot_key(other.ext_addr, 443, 5008), first_port(&b, HOST, 5008), IPPROTO_TCP,
			      SESSION_ESTABLISHED,
			      (uint16_t)first_slot(&b, slot_key(other.ext_addr, 443, 5008), IPPROTO_TCP)),
		     COPY_PLACED);
	beyond_open(&a, 5000, 77);
	beyond_open(&a, 5001,
		    (uint16_t)(first_port(&b, HOST, 5008) - mapping_port_lo(&mappings_get(b.m, b.number)->geo, HOST)));
	passes(&a, &t);
	hear(&b, 1, &t);
	cr_assert_eq(b.counts.refused, 2);
	cr_assert_eq(b.counts.placed, 0);
	cr_assert_eq(copying_held(b.c, 1), 0);
	pair_sound();
}

Test(copying_beyond_refused, a_session_that_is_in_a_slot_here_stays_there)
{
	const uint64_t key = slot_key(0xc6336407, 443, 5000);
	struct told t = { 0 };

	connect_gateways(&a, &b);
	cr_assert_eq(open_own(&b, HOST, key, first_port(&b, HOST, 5000), IPPROTO_TCP, SESSION_ESTABLISHED,
			      (uint16_t)first_slot(&b, key, IPPROTO_TCP)),
		     COPY_PLACED);
	beyond_open(&a, 5000, 77);
	passes(&a, &t);
	hear(&b, 1, &t);
	cr_assert_eq(b.counts.existing, 1);
	cr_assert_eq(beyond_count(&b), 0);
	pair_sound();
}

Test(copying_beyond_refused, the_quota_and_the_room_of_extents_are_kept_to_the_session)
{
	struct told t = { 0 };

	connect_gateways(&a, &b);
	for (uint16_t i = 0; i < 20; i++)
		beyond_open(&a, (uint16_t)(5000 + i), first_offset(&a, (uint16_t)(5000 + i)));
	beyond_room(&b, 1);
	passes(&a, &t);
	hear(&b, 1, &t);
	cr_assert_eq(b.counts.placed, 8);
	cr_assert_eq(b.counts.refused, 12);
	cr_assert_eq(beyond_count(&b), 8);
	beyond_room(&b, 64);
	b.d.mapping[b.number].sessions_per_user = 10;
	whole(&a, &t);
	hear(&b, 1, &t);
	cr_assert_eq(b.counts.placed, 10);
	cr_assert_eq(mappings_subscriber(b.m, b.number, HOST)->sessions, 10);
	b.d.mapping[b.number].sessions_per_user = 1000;
	pair_sound();
}

Test(copying_beyond_refused, an_expired_session_here_gives_way)
{
	struct told t = { 0 };

	connect_gateways(&a, &b);
	beyond_open(&b, 5000, 78);
	beyond_touch(&b, 5000, datapath_ticks(&b.d) - 5000);
	beyond_open(&b, 6000, 77);
	beyond_touch(&b, 6000, datapath_ticks(&b.d) - 5000);
	beyond_open(&a, 5000, 77);
	passes(&a, &t);
	hear(&b, 1, &t);
	cr_assert_eq(b.counts.placed, 1);
	cr_assert_not_null(beyond_slot(&b, 5000));
	cr_assert_null(beyond_slot(&b, 6000));
	cr_assert_eq(mappings_subscriber(b.m, b.number, HOST)->sessions, 1);
	pair_sound();
}

Test(copying_beyond_refused, a_session_that_no_subscriber_can_have_is_refused_or_malformed)
{
	const uint16_t port = beyond_session(&b, 5000, 77).out_port;
	const struct wire_beyond right = {
		.key = htobe64(slot_key(0xc6336407, 443, 5000)),
		.subscriber = htobe32(HOST),
		.mapping = htobe16((uint16_t)a.number),
		.out_port = htobe16(port),
		.proto = IPPROTO_TCP,
		.state = SESSION_ESTABLISHED,
	};
	struct wire_beyond w = right;
	unsigned refused = 0;

	connect_gateways(&a, &b);
#define TELL() copying_apply(b.c, 1, WIRE_BEYOND, &w, sizeof(w), &b.counts)
	for (size_t n = 1; n < sizeof(w); n++)
		cr_assert_eq(copying_apply(b.c, 1, WIRE_BEYOND, &w, n, &b.counts), -EPROTO, "%zu octets", n);
	w.mapping = htobe16(MAX_MAPPINGS);
	cr_assert_eq(TELL(), -EPROTO);
	w = right;
	w.subscriber = htobe32(256);
	cr_assert_eq(TELL(), -EPROTO);
	w = right;
	w.mapping = htobe16((uint16_t)(a.number + 1));
	cr_assert_eq(TELL(), 0);
	cr_assert_eq(b.counts.skipped, 1);
	/* Ports of other subscribers, and no ports of subscribers. */
	for (uint32_t out_port = 0; out_port < 65536; out_port += 63) {
		uint16_t lo = mapping_port_lo(&mappings_get(b.m, b.number)->geo, HOST);

		if (out_port >= lo && out_port < lo + 4032U)
			continue;
		w = right;
		w.out_port = htobe16((uint16_t)out_port);
		cr_assert_eq(TELL(), 0);
		refused++;
	}
	cr_assert_eq(b.counts.refused, refused);
	for (unsigned proto = 0; proto < 256; proto++)
		for (unsigned state = 1; state < 256; state++) {
			if (copy_state_fits(slot_key(0xc6336407, 443, 5000), (uint8_t)proto,
					    (uint8_t)(state & ~WIRE_ON_BEHALF)))
				continue;
			w = right;
			w.proto = (uint8_t)proto;
			w.state = (uint8_t)state;
			cr_assert_eq(TELL(), 0);
			refused++;
		}
	cr_assert_eq(b.counts.refused, refused);
	/* Ends of what is not there. */
	for (unsigned proto = 0; proto < 256; proto++) {
		w = right;
		w.proto = (uint8_t)proto;
		w.state = 0;
		cr_assert_eq(TELL(), 0);
	}
	cr_assert_eq(beyond_count(&b), 0);
	cr_assert_eq(b.counts.placed, 0);
	pair_sound();
}

/* Records at random of a few flows and ports. */
Test(copying_beyond_refused, whatever_is_told_the_tables_stay_sound)
{
	uint16_t lo = mapping_port_lo(&mappings_get(b.m, b.number)->geo, HOST);

	connect_gateways(&a, &b);
	srandom(4711);
	for (unsigned round = 0; round < 2000; round++) {
		struct wire_beyond w[8];
		struct told t = { 0 };

		for (unsigned i = 0; i < 8; i++)
			w[i] = (struct wire_beyond){
				.key = htobe64(slot_key(0xc6336407, 443, (uint16_t)(5000 + random() % 16))),
				.subscriber = htobe32(HOST),
				.mapping = htobe16((uint16_t)a.number),
				.out_port = htobe16((uint16_t)(lo + random() % 16)),
				.proto = random() % 4 ? IPPROTO_TCP : IPPROTO_UDP,
				.state = random() % 2	? SESSION_ESTABLISHED
					 : random() % 3 ? 0
							: SESSION_UDP,
				.flags = (uint16_t)random(),
			};
		cr_assert_eq(copying_apply(b.c, 1 + round % 3, WIRE_BEYOND, w, sizeof(w), &b.counts), 0);
		if (round % 50)
			continue;
		if (round % 100)
			copying_apply(b.c, 1 + round % 3, WIRE_WHOLE_END, w, 0, &b.counts);
		vouch(&b, (uint8_t)random());
		passes(&b, &t);
		told_free(&t);
		pair_sound();
	}
	cr_assert_gt(b.counts.placed, 100);
	cr_assert_gt(b.counts.ended, 20);
	cr_assert_gt(b.counts.refused, 100);
}
