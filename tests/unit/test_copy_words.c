// SPDX-License-Identifier: BSD-2-Clause
/* Which sessions a peer may tell of, <detnat/copies.h>, and the marks that copies had in the hash of 1.0.0. */
#include <stdint.h>

#include <criterion/criterion.h>

#include <detnat/copies.h>

#include "datapath/former_hash.h"

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
	uint16_t mark = former_mark(5, word);

	cr_expect_eq(mark, 0xa345, "peer 3 | last seen 13");
	cr_expect_eq(former_mark_peer(mark, word), 5);
	cr_expect_eq(former_mark_peer(mark, word ^ 0x2000), 5, "of last seen, as many bits as there is room for");
	for (unsigned bit = 0; bit < FORMER_MARK_BITS; bit++)
		cr_expect_eq(former_mark_peer(mark, word ^ 1ULL << bit), 0, "bit %u", bit);
	cr_expect_eq(former_mark_peer(0, state_word(1024, UDP, SESSION_UDP, 0x2000)), 0, "no mark: no copy");
}
