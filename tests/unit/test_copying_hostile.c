/* SPDX-License-Identifier: BSD-2-Clause */
/* Payloads that no honest peer sends, though it has the key. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "copying_fixture.h"

TestSuite(copying_hostile, .init = pair_connect, .fini = pair_free, .timeout = 300);

#define HOST 7U

struct message {
	struct wire_sessions group;
	struct wire_session record[3];
} __attribute__((packed));

static struct message message(void)
{
	struct message msg = {
		.group = { .mapping = htobe16((uint16_t)a.number), .count = htobe16(1), .subscriber = htobe32(HOST) },
	};
	uint64_t key = slot_key(0xc6336407, 443, 5000);

	msg.record[0] = (struct wire_session){
		.key = htobe64(key),
		.out_port = htobe16(first_port(&b, HOST, 5000)),
		.proto = IPPROTO_TCP,
		.state = SESSION_ESTABLISHED,
		.slot = htobe16((uint16_t)first_slot(&b, key, IPPROTO_TCP)),
	};
	return msg;
}

static int tell(unsigned type, const void *payload, size_t length)
{
	return copying_apply(b.c, 1, type, payload, length, &b.counts);
}

static const size_t ONE = sizeof(struct wire_sessions) + sizeof(struct wire_session);

Test(copying_hostile, payloads_cut_at_every_octet_are_malformed_but_at_the_ends_of_groups)
{
	struct message msg = message();

	for (size_t n = 1; n < ONE; n++)
		cr_assert_eq(tell(WIRE_CHANGES, &msg, n), -EPROTO, "%zu octets", n);
	cr_assert_eq(tell(WIRE_CHANGES, &msg, 0), 0);
	cr_assert_eq(tell(WIRE_CHANGES, &msg, ONE + 1), -EPROTO);
	cr_assert_eq(tell(WIRE_WHOLE, &msg, 0), -EPROTO);
	cr_assert_eq(tell(WIRE_WHOLE_END, &msg, 1), -EPROTO);
	cr_assert_eq(tell(WIRE_MAPPINGS, &msg, 0), -EPROTO);
	cr_assert_eq(tell(0, &msg, 0), -EPROTO);
	cr_assert_eq(tell(255, &msg, 0), -EPROTO);
	pair_sound();
}

Test(copying_hostile, numbers_out_of_range_are_malformed)
{
	struct message msg = message();

	msg.group.mapping = htobe16(MAX_MAPPINGS);
	cr_assert_eq(tell(WIRE_CHANGES, &msg, ONE), -EPROTO);
	msg = message();
	msg.group.subscriber = htobe32(256);
	cr_assert_eq(tell(WIRE_CHANGES, &msg, ONE), -EPROTO);
	msg = message();
	msg.record[0].slot = htobe16(32);
	cr_assert_eq(tell(WIRE_CHANGES, &msg, ONE), -EPROTO);
	msg = message();
	msg.group.count = htobe16(65535);
	cr_assert_eq(tell(WIRE_CHANGES, &msg, ONE), -EPROTO);
	cr_assert_eq(sessions_in(&b, HOST), 0);
	/* A mapping that the peer has not shown. */
	msg = message();
	msg.group.mapping = htobe16((uint16_t)(a.number + 1));
	cr_assert_eq(tell(WIRE_CHANGES, &msg, ONE), 0);
	cr_assert_eq(b.counts.skipped, 1);
	pair_sound();
}

Test(copying_hostile, sessions_that_cannot_be_are_refused_and_counted)
{
	for (unsigned proto = 0; proto < 256; proto++)
		for (unsigned state = 1; state < 256; state++) {
			struct message msg = message();

			msg.record[0].proto = (uint8_t)proto;
			msg.record[0].state = (uint8_t)state;
			if (copy_state_fits(be64toh(msg.record[0].key), (uint8_t)proto,
					    (uint8_t)(state & ~WIRE_ON_BEHALF)))
				continue;
			cr_assert_eq(tell(WIRE_CHANGES, &msg, ONE), 0);
		}
	cr_assert_eq(sessions_in(&b, HOST), 0);
	cr_assert_eq(b.counts.placed, 0);
	cr_assert_gt(b.counts.refused, 60000);
	cr_assert_eq(copying_held(b.c, 1), 0);
	pair_sound();
}

Test(copying_hostile, one_slot_told_three_times_leaves_one_session)
{
	struct message msg = message();

	msg.group.count = htobe16(3);
	msg.record[1] = msg.record[2] = msg.record[0];
	msg.record[1].key = htobe64(slot_key(0xc6336408, 443, 5000));
	cr_assert_eq(tell(WIRE_CHANGES, &msg, sizeof(msg)), 0);
	cr_assert_leq(sessions_in(&b, HOST), 2);
	cr_assert_eq(copying_held(b.c, 1), sessions_in(&b, HOST));
	/* And ended in the same payload. */
	msg.record[2].state = 0;
	cr_assert_eq(tell(WIRE_CHANGES, &msg, sizeof(msg)), 0);
	cr_assert_eq(copying_held(b.c, 1), sessions_in(&b, HOST));
	pair_sound();
}

static size_t range(uint8_t *to, uint32_t first, uint32_t count, const void *groups, size_t length)
{
	const struct wire_range w = { .mapping = htobe16((uint16_t)a.number),
				      .first = htobe32(first),
				      .count = htobe32(count) };

	memcpy(to, &w, sizeof(w));
	memcpy(to + sizeof(w), groups, length);
	return sizeof(w) + length;
}

Test(copying_hostile, ranges_that_do_not_hold_what_follows_are_malformed)
{
	struct message msg = message();
	uint8_t out[256];

	cr_assert_eq(tell(WIRE_WHOLE, out, range(out, HOST, 1, &msg, ONE)), 0);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	cr_assert_eq(tell(WIRE_WHOLE, out, range(out, 0, HOST, &msg, ONE)), -EPROTO);
	cr_assert_eq(tell(WIRE_WHOLE, out, range(out, HOST + 1, 1, &msg, ONE)), -EPROTO);
	cr_assert_eq(tell(WIRE_WHOLE, out, range(out, 0, 257, &msg, ONE)), -EPROTO);
	cr_assert_eq(tell(WIRE_WHOLE, out, range(out, 257, 0, &msg, 0)), -EPROTO);
	cr_assert_eq(tell(WIRE_WHOLE, out, range(out, ~0U, ~0U, &msg, 0)), -EPROTO);
	cr_assert_eq(tell(WIRE_WHOLE, out, range(out, 1, ~0U, &msg, 0)), -EPROTO);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	pair_sound();
}

Test(copying_hostile, tables_that_contradict_themselves_are_malformed)
{
	struct wire_mapping w[2] = {
		{ .number = htobe16(1), .in_plen = 24, .out_plen = 28, .in_base = htobe32(0x0a000000) },
		{ .number = htobe16(1), .in_plen = 24, .out_plen = 28, .in_base = htobe32(0x0a010000) },
	};
	struct copying_table_report report;

	cr_assert_eq(copying_mappings(b.c, 1, w, sizeof(w), &report), -EPROTO);
	w[1].number = htobe16(MAX_MAPPINGS);
	cr_assert_eq(copying_mappings(b.c, 1, w, sizeof(w), &report), -EPROTO);
	w[1] = w[0];
	w[1].number = htobe16(2);
	cr_assert_eq(copying_mappings(b.c, 1, w, sizeof(w), &report), -EPROTO);
	cr_assert_eq(copying_mappings(b.c, 1, w, sizeof(w) - 1, &report), -EPROTO);
	copying_report(b.c, 1, &report);
	cr_assert_eq(report.common, 1, "the table before is still valid");
	w[1].in_base = htobe32(0x0a020000);
	cr_assert_eq(copying_mappings(b.c, 1, w, sizeof(w), &report), 0);
	cr_assert_eq(report.common, 0);
	cr_assert_eq(report.differs, 0);
	cr_assert_eq(report.lacking, 3);
	pair_sound();
}

Test(copying_hostile, a_mapping_of_another_shape_is_not_exchanged)
{
	struct told t = { 0 };
	struct copying_table_report report;
	struct prefix in, out;
	enum copying_difference why;

	pass(&a, &t);
	whole(&a, &t);
	cr_assert_eq(t.payload[0].type, WIRE_MAPPINGS);
	((struct wire_mapping *)t.payload[0].data)->digest ^= 1;
	cr_assert_eq(copying_mappings(b.c, 1, t.payload[0].data, t.payload[0].length, &report), 0);
	cr_assert_eq(report.differs, 1);
	cr_assert_eq(report.common, 0);
	cr_assert(copying_difference(b.c, 1, 0, &in, &out, &why));
	cr_assert_eq(why, COPYING_DIFFERS);
	cr_assert_eq(in.base, 0x0a000000);
	told_free(&t);
	pair_sound();
}

/* Octets at random, and changes of what is right; the tables are compared in tear_down(). */
Test(copying_hostile, whatever_is_told_the_tables_stay_sound)
{
	struct told t = { 0 };

	srandom(4711);
	for (unsigned round = 0; round < 300; round++) {
		for (unsigned i = 0; i < 30; i++) {
			uint16_t in_port = (uint16_t)random();
			uint64_t key = slot_key(0xc6336400U + (uint32_t)random() % 8, 443, in_port);

			open_own(&a, (uint32_t)random() % 8, key, first_port(&a, (uint32_t)random() % 8, in_port),
				 IPPROTO_UDP, SESSION_UDP, (uint16_t)first_slot(&a, key, IPPROTO_UDP));
		}
		passes(&a, &t);
		whole(&a, &t);
		for (unsigned i = 0; i < t.n; i++) {
			struct copying_table_report report;

			for (size_t k = 0; k < 1 + t.payload[i].length / 200 && t.payload[i].length; k++)
				t.payload[i].data[(size_t)random() % t.payload[i].length] ^=
					(uint8_t)(1 << random() % 8);
			if (t.payload[i].type == WIRE_MAPPINGS)
				copying_mappings(b.c, 1, t.payload[i].data, t.payload[i].length, &report);
			else
				copying_apply(b.c, 1, t.payload[i].type, t.payload[i].data, t.payload[i].length,
					      &b.counts);
		}
		told_free(&t);
		if (round % 16 == 0) {
			whole(&a, &t);
			hear(&b, 1, &t);
			told_free(&t);
		}
	}
	cr_assert_gt(b.counts.placed, 100);
	cr_assert_gt(b.counts.refused, 10);
	/* An honest whole copy puts all right. */
	whole(&a, &t);
	hear(&b, 1, &t);
	for (uint32_t i = 0; i < 256; i++)
		cr_assert_eq(sessions_in(&a, i), sessions_in(&b, i), "subscriber %u", i);
	pair_sound();
}

TestSuite(copying_hostile_large, .timeout = 60);

/* An empty whole of all subscribers of the mapping. */
static int apply_nothing_of_all(void)
{
	const struct wire_range range = {
		.mapping = htobe16((uint16_t)a.number),
		.count = htobe32((uint32_t)prefix_size(copying_spec.in.plen)),
	};

	return copying_apply(b.c, 1, WIRE_WHOLE, &range, sizeof(range), &b.counts);
}

Test(copying_hostile_large, an_empty_range_ends_the_copies_of_all_its_subscribers_in_slices)
{
	const uint32_t n = 1U << 14;
	unsigned calls = 1;
	uint64_t before;
	int r;

	copying_spec = tables_spec("10.0.0.0/18", "203.0.112.0/22");
	for (unsigned i = 0; i < N_TIMEOUTS; i++)
		copying_spec.timeout_ticks[i] = 4000;
	pair_connect();
	for (uint32_t i = 0; i < n; i++)
		open_flow(&a, i, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	exchange(&a, &b);
	cr_assert_eq(copying_held(b.c, 1), n);
	while ((r = apply_nothing_of_all()) == 1 && calls < n) {
		cr_assert_lt(copying_held(b.c, 1), n);
		calls++;
	}
	cr_assert_eq(r, 0);
	cr_expect_gt(calls, 1);
	cr_assert_eq(copying_held(b.c, 1), 0);
	cr_assert_eq(b.counts.ended, n);
	/* Those of a table are begun anew, whatever was unfinished. */
	connect_gateways(&a, &b);
	cr_assert_eq(copying_held(b.c, 1), n);
	cr_assert_eq(apply_nothing_of_all(), 1);
	before = copying_held(b.c, 1);
	connect_gateways(&a, &b);
	cr_assert_eq(copying_held(b.c, 1), n, "%llu before", (unsigned long long)before);
	pair_sound();
	pair_free();
}
