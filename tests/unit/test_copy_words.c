// SPDX-License-Identifier: BSD-2-Clause
/* Which sessions a peer may tell of, and the marks of those in the overflow: <detnat/copies.h>. */
#include <stdint.h>

#include <criterion/criterion.h>

#include <detnat/copies.h>

enum { ICMP = 1, TCP = 6, UDP = 17, SCTP = 132 };

static bool fits(uint8_t proto, uint8_t state, uint16_t ext_port)
{
	return copy_state_fits(slot_key(0xc6336407, ext_port, 5000), proto, state);
}

Test(copy_words, a_session_is_told_in_a_state_of_its_protocol)
{
	for (unsigned state = 0; state < 256; state++) {
		uint8_t s = (uint8_t)state, tcp = s & ~0x40;

		cr_expect_eq(fits(UDP, s, 443), state == 2, "state %u", state);
		cr_expect_eq(fits(ICMP, s, 0), state == 3, "state %u", state);
		cr_expect_not(fits(ICMP, s, 443), "an echo has no external port: state %u", state);
		cr_expect_eq(fits(TCP, s, 443), tcp >= 4 && tcp <= 17 && tcp != 13, "state %u", state);
		cr_expect_not(fits(SCTP, s, 443), "state %u", state);
	}
}

Test(copy_words, a_mark_holds_until_the_session_is_refreshed)
{
	uint64_t word = state_word(1024, UDP, SESSION_UDP, 0x12345);
	uint16_t mark = overflow_mark(5, word);

	cr_expect_eq(mark, 0xa345, "peer 3 | last seen 13");
	cr_expect_eq(overflow_mark_peer(mark), 5);
	cr_expect(overflow_mark_holds(mark, word));
	cr_expect(overflow_mark_holds(mark, word ^ 0x2000), "of last seen, as many bits as there is room for");
	for (unsigned bit = 0; bit < 13; bit++)
		cr_expect_not(overflow_mark_holds(mark, word ^ 1ULL << bit), "bit %u", bit);
	cr_expect_not(overflow_mark_holds(0, state_word(1024, UDP, SESSION_UDP, 0x2000)), "no mark: no copy");
}
