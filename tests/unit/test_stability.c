/* SPDX-License-Identifier: BSD-2-Clause */
/* docs/reference/STABILITY.md: what an earlier release of this major version has sent to a peer is read as it was
 * meant. */
#include <criterion/criterion.h>
#include <string.h>

#include "../samples/1.0/replication.h"
#include "peers/frame.h"

static const uint8_t key[REPLICATION_KEY] = "0123456789abcdef0123456789abcde";

#define ADDR(a, b, c, d) htobe32((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
/* slot_key() of 198.51.100.7:53, with an inside port. */
#define KEY(in_port) htobe64(0xc633640700350000 | (in_port))

static struct frame next(struct frame_channel *c, size_t *at)
{
	ssize_t size = frame_peek(c, replication_1_0_dialler + *at, sizeof(replication_1_0_dialler) - *at);
	struct frame f;

	cr_assert_gt(size, 0);
	cr_assert_eq(frame_read(c, replication_1_0_dialler + *at, (size_t)size, &f), 0);
	*at += (size_t)size;
	return f;
}

/* The hello, which every version reads at least as far as the version. */
static struct frame hello(struct frame_channel *ret, size_t *at, struct hello *ret_h)
{
	struct frame_channel c;
	struct frame f;

	frame_channel_hello(&c, key);
	f = next(&c, at);
	cr_assert_eq(f.type, WIRE_HELLO);
	cr_expect_eq(hello_read(f.payload, f.length, ret_h),
		     WIRE_VERSION == REPLICATION_1_0_VERSION ? 0 : -EPROTONOSUPPORT);
	frame_channel_derive(ret, key, FRAME_FROM_DIALLER, f.payload, f.length, replication_1_0_acceptor,
			     sizeof(replication_1_0_acceptor));
	return f;
}

Test(stability, a_hello_of_release_1_0_says_its_version)
{
	struct frame_channel c;
	struct hello h;
	size_t at = 0;

	hello(&c, &at, &h);
	cr_expect_eq(h.version, REPLICATION_1_0_VERSION);
	cr_expect_eq(h.listen.addr, 0xc0000201);
	cr_expect_eq(h.listen.port, 9470);
	cr_expect_eq(h.interval_ms, 1000);
	cr_expect_eq(h.tables, 0x1122334455667788);
	cr_expect_eq(memcmp(h.nonce, "dialler's nonce.", 16), 0);
}

static void expect(struct frame_channel *c, size_t *at, uint8_t type, const void *first, size_t n_first,
		   const void *second, size_t n_second, const void *third, size_t n_third)
{
	struct frame f = next(c, at);

	cr_assert_eq(f.type, type, "type %u in place of %u", f.type, type);
	cr_assert_eq(f.length, n_first + n_second + n_third, "length of type %u", type);
	cr_expect_eq(memcmp(f.payload, first, n_first), 0, "type %u", type);
	cr_expect_eq(memcmp(f.payload + n_first, second, n_second), 0, "type %u", type);
	cr_expect_eq(memcmp(f.payload + n_first + n_second, third, n_third), 0, "type %u", type);
}

#define PART(x) &(x), sizeof(x)
#define NONE	"", 0

Test(stability, records_of_release_1_0_have_their_members_in_the_same_places)
{
	const struct wire_session session = {
		.key = KEY(5000),
		.out_port = htobe16(1059),
		.proto = 17,
		.state = 2,
		.slot = htobe16(7),
		.flags = htobe16(5 << WIRE_AGE_SHIFT | 3 << WIRE_TURN_SHIFT | WIRE_SESSION_INBOUND),
	};
	const struct wire_sessions of_one = { htobe16(3), htobe16(1), htobe32(2) };
	const struct wire_mapping mapping = { htobe16(3),      18, 30, ADDR(10, 0, 0, 0), ADDR(1, 1, 1, 0), htobe32(9),
					      htobe64(0xd1e57) };
	const struct wire_range range = { .mapping = htobe16(3), .count = htobe32(4096) };
	const struct wire_beyond beyond = {
		.key = KEY(5001),
		.subscriber = htobe32(2),
		.mapping = htobe16(3),
		.out_port = htobe16(1060),
		.proto = 6,
		.state = 1,
		.flags = htobe16(WIRE_BEYOND_WHOLE),
	};
	const struct wire_lease lease = {
		.in_addr = ADDR(10, 0, 0, 2),
		.out_addr = ADDR(1, 1, 1, 0),
		.in_port = htobe16(443),
		.out_port = htobe16(1061),
		.proto = 6,
		.filters = 1,
		.flags = htobe16(WIRE_LEASE_ENDED),
		.left_s = htobe32(3600),
		.nonce = { 'l', 'e', 'a', 's', 'e', ' ', 'n', 'o', 'n', 'c', 'e', '.' },
		.stamp = htobe64(77),
		.filter = { { ADDR(198, 51, 100, 0), htobe16(53), 24, 0 } },
	};
	const struct wire_ended ended = {
		.key = KEY(5002),
		.subscriber = htobe32(2),
		.mapping = htobe16(3),
		.out_port = htobe16(1062),
		.slot = htobe16(8),
		.id = htobe16(0x4321),
		.age_s = htobe16(12),
		.proto = 6,
		.turn = 4,
	};
	const struct wire_part part = { 0, htobe32(1) };
	struct wire_rule rule = {
		.in_base = ADDR(10, 0, 0, 0), .out_base = ADDR(1, 1, 1, 0), .in_plen = 18, .out_plen = 30
	};
	const struct wire_portmap portmap = {
		.out_addr = ADDR(1, 1, 1, 0),
		.out_port = htobe16(443),
		.proto = 6,
		.in_addr = ADDR(10, 0, 0, 2),
		.in_port = htobe16(8443),
	};
	const struct wire_alive alive = { .sent_ms = htobe64(5000), .pass_ms = htobe64(4000) };
	const struct wire_ack ack = { htobe64(11), htobe64(5000), htobe64(4000), htobe64(40), htobe64(2) };
	struct frame_channel c;
	struct hello h;
	size_t at = 0;

	/* Another version refuses the connection at the hello. */
	if (WIRE_VERSION != REPLICATION_1_0_VERSION)
		return;
	hello(&c, &at, &h);
	for (unsigned i = 0; i < N_RULE_FIELDS; i++)
		rule.field[i] = htobe32(i + 1);
	expect(&c, &at, WIRE_MAPPINGS, PART(mapping), NONE, NONE);
	expect(&c, &at, WIRE_CHANGES, PART(of_one), PART(session), NONE);
	expect(&c, &at, WIRE_WHOLE, PART(range), PART(of_one), PART(session));
	expect(&c, &at, WIRE_WHOLE_END, NONE, NONE, NONE);
	expect(&c, &at, WIRE_BEYOND, PART(beyond), NONE, NONE);
	expect(&c, &at, WIRE_LEASES, PART(lease), NONE, NONE);
	expect(&c, &at, WIRE_ENDED, PART(ended), NONE, NONE);
	expect(&c, &at, WIRE_RULES, PART(part), PART(rule), NONE);
	expect(&c, &at, WIRE_PORTMAPS, PART(part), PART(portmap), NONE);
	expect(&c, &at, WIRE_ALIVE, PART(alive), NONE, NONE);
	expect(&c, &at, WIRE_ACK, PART(ack), NONE, NONE);
	cr_expect_eq(at, sizeof(replication_1_0_dialler));
}
