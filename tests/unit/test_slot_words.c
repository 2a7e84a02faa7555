// SPDX-License-Identifier: BSD-2-Clause
/* Keys, state words and buckets, by their numbers: they are part of the pinned layout. */
#include <string.h>

#include <criterion/criterion.h>

#include "copies/session_id.h"
#include "slots_fixture.h"

static const __u32 timeouts[N_TIMEOUTS] = { 300, 7440, 240, 60 };

#define KEY  0xc633640701bb1388ULL /* 198.51.100.7, 443, 5000 */
#define WORD 0x04001108000003e8ULL /* 1024, UDP, established, 1000 */

Test(slot_words, fields_have_their_places)
{
	cr_expect_eq(slot_key(0xc6336407, 443, 5000), KEY);
	cr_expect_eq(key_ext_addr(KEY), 0xc6336407);
	cr_expect_eq(key_ext_port(KEY), 443);
	cr_expect_eq(key_in_port(KEY), 5000);
	cr_expect_eq(state_word(1024, 17, SESSION_ESTABLISHED, 1000), WORD);
	cr_expect_eq(word_out_port(WORD), 1024);
	cr_expect_eq(word_proto(WORD), 17);
	cr_expect_eq(word_state(WORD), SESSION_ESTABLISHED);
	cr_expect_eq(word_seen(WORD), 1000);
	cr_expect_eq(word_with(~0ULL, 0, 0), 0xffffffa000000000ULL);
	cr_expect_eq(word_with(WORD, SESSION_FIN_WAIT, 1001), 0x04001109000003e9ULL);
}

static const __u8 protocols[] = { 1, 6, 17 };

/* Owner, turn and who opened it, of every protocol and state: none of them changes what the others say. */
Test(slot_words, owner_and_turn_are_beside_protocol_and_state)
{
	for (unsigned i = 0; i < 3 * 8 * 8 * 2; i++) {
		__u8 proto = protocols[i % 3], state = i & 1 ? SESSION_ESTABLISHED | SESSION_RESET : SESSION_UDP;
		__u32 owner = i / 3 % 8, turn = i / 24 % 8;
		__u64 plain = state_word(1024, proto, state, 1000);
		__u64 word = word_owned(plain, owner, turn) | (i / 192 ? WORD_INBOUND : 0), closing;

		cr_expect_eq(word_proto(word), proto, "%u", i);
		cr_expect_eq(word_state(word), state, "%u", i);
		cr_expect_eq(word_out_port(word), 1024, "%u", i);
		cr_expect_eq(word_seen(word), 1000, "%u", i);
		cr_expect_eq(word_owner(word), owner, "%u", i);
		cr_expect_eq(word_turn(word), turn, "%u", i);
		cr_expect_eq(word_is_inbound(word), (int)(i / 192), "%u", i);
		for (unsigned other = 0; other < 3; other++)
			cr_expect_eq(word_is_of(word, protocols[other]), protocols[other] == proto, "%u", i);
		closing = word_with(word, SESSION_TIME_WAIT, 1001);
		cr_expect_eq(word_state(closing), SESSION_TIME_WAIT, "%u", i);
		cr_expect_eq(closing ^ word, word_with(plain, SESSION_TIME_WAIT, 1001) ^ plain, "%u", i);
		cr_expect_eq(word_owned(word, 0, 0) & ~WORD_INBOUND, plain, "%u: the words of before", i);
	}
}

/* No packet's protocol is that of a signpost, whose protocol octet has bit 0x01 inverted. */
Test(slot_words, a_signpost_is_of_no_protocol)
{
	for (unsigned i = 0; i < 3; i++) {
		__u64 word = word_owned(state_word(1024, protocols[i], SESSION_UDP, 1000), 7, 7) ^ 1ULL << 40;

		for (unsigned other = 0; other < 3; other++) {
			cr_expect_not(word_is_of(word, protocols[other]));
			cr_expect_neq(word_proto(word), protocols[other]);
		}
	}
}

Test(slot_words, a_host_has_the_bits_above_a_shorter_last_seen)
{
	__u64 word = state_word(1024, 17, SESSION_UDP, 63U << WORD_HOST_SHIFT | 0x3ffffff);

	cr_expect_eq(word_host(word), 63);
	cr_expect_eq(word_host_age(word, 0x3ffffff), 0);
	cr_expect_eq(word_host_age(word, 0x4000000), 1, "the clock has more bits");
	cr_expect_eq(word_host_age(word, 0x3fffffe), -1, "a tick ahead");
	cr_expect_eq(word_host_age(word, 0x3ffffff + 9450000), 9450000, "a week at 1000 Hz");
	cr_expect_eq(word_proto(word), 17);
}

#define ALL_BITS(word) (word_owned(word, 7, 7) | WORD_INBOUND)

Test(slot_words, a_slot_with_all_bits_is_opened_found_refreshed_and_freed)
{
	for (unsigned i = 0; i < 3; i++) {
		struct bucket first = { 0 }, second = { 0 };
		const struct bucket_choice b = { &first, &second, 1 };
		__u8 proto = protocols[i];
		__u8 state = proto == 6 ? SESSION_ESTABLISHED : proto == 1 ? SESSION_ICMP : SESSION_UDP;
		__u64 word = ALL_BITS(state_word(1024, proto, state, 1000)), key;
		struct opening o = { .key = KEY, .port_lo = 1024, .proto = proto };
		struct slot *s = &first.slot[0];

		cr_assert(slot_claim(s, 0, KEY, word));
		cr_expect_eq(s->truth, word);
		cr_expect(word_is_live(word) && !word_is_free(word) && !word_is_live(word_opening(word)));
		cr_expect_eq(slot_match_in(s, KEY, proto, 1000, timeouts), word);
		cr_expect_eq(slot_match_out(s, KEY, 1024, proto, 1000, timeouts, &key), word);
		cr_expect_eq(slot_match_in(s, KEY, protocols[(i + 1) % 3], 1000, timeouts), 0);
		word_refresh(&s->truth, 0xffffffff);
		cr_expect_eq(s->truth, (word & ~0xffffffffULL) | 0xffffffff);
		scan(&o, &b, 0, timeouts);
		cr_expect_eq(o.existing, 1);
		cr_expect_eq(o.ports_used, 1);
		scan(&o, &b, 8000, timeouts);
		cr_expect_eq(o.existing, 0);
		cr_expect_eq(o.freed, 1);
		cr_expect_eq(s->truth, 0);
		cr_expect_eq(session_id(KEY, word), session_id(KEY, state_word(1024, proto, state, 0)));
	}
}

Test(slot_words, a_refresh_changes_the_last_seen_alone)
{
	__u64 word = WORD;

	word_refresh(&word, 0xfffffffe);
	cr_expect_eq(word, 0x04001108fffffffeULL);
	for (unsigned bit = 0; bit < 64; bit++)
		cr_expect_eq(word_same(WORD, WORD ^ 1ULL << bit), bit < 32, "bit %u", bit);
}

Test(slot_words, a_session_lives_until_its_timeout_is_over)
{
	static const struct {
		__u8 state;
		__u32 timeout;
	} rows[] = {
		{ SESSION_UDP, 300 },	       { SESSION_ICMP, 60 },	   { SESSION_SYN_SENT, 240 },
		{ SESSION_ESTABLISHED, 7440 }, { SESSION_TIME_WAIT, 240 }, { SESSION_ESTABLISHED | SESSION_RESET, 240 },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		__u64 word = state_word(1024, 6, rows[i].state, 0xffffff00);

		cr_expect_not(word_expired(word, 0xffffff00 + rows[i].timeout, timeouts), "row %u", i);
		cr_expect(word_expired(word, 0xffffff00 + rows[i].timeout + 1, timeouts), "row %u", i);
		cr_expect_not(word_expired(word, 0xffffff00 - 1, timeouts), "row %u: a tick ahead", i);
	}
}

Test(slot_words, these_states_are_live_and_these_count)
{
	for (unsigned state = 0; state < N_SESSION_STATES; state++) {
		__u64 word = state_word(1024, 6, (__u8)state, 1000);

		cr_expect_eq(word_is_free(word), state == 0);
		cr_expect_eq(word_is_live(word), state >= 2);
		cr_expect_eq(word_counts(word, 1000, timeouts), state >= 2 && state != SESSION_TIME_WAIT);
		cr_expect_eq(word_counts(word, 9000, timeouts), 0);
	}
}

/* Sessions in pinned tables are found where another version has put them. */
Test(slot_words, sessions_have_the_buckets_that_they_always_had)
{
	static const struct {
		__u32 ext_addr;
		__u16 ext_port;
		__u8 proto;
		__u32 offset, shift;
		struct bucket_pair pair;
	} rows[] = {
		{ 0xc6336407, 443, 6, 0, 0, { 0, 0 } },
		{ 0xc6336407, 443, 6, 0, 2, { 0, 1 } },
		{ 0xc6336407, 443, 6, 8, 2, { 1, 2 } },
		{ 0xc6336407, 53, 17, 968, 7, { 73, 112 } },
		{ 0xc6336408, 53, 17, 968, 7, { 94, 15 } },
		{ 0x08080808, 53, 17, 1007, 7, { 98, 53 } },
		{ 0xffffffff, 65535, 17, 64511, 13, { 5509, 1402 } },
		{ 0xc6336407, 0, 1, 15, 4, { 13, 2 } },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct bucket_pair pair = session_buckets(rows[i].ext_addr, rows[i].ext_port, rows[i].proto,
							  rows[i].offset, rows[i].shift);

		cr_expect_eq(pair.first, rows[i].pair.first, "row %u", i);
		cr_expect_eq(pair.second, rows[i].pair.second, "row %u", i);
	}
}

Test(slot_words, bits_are_counted_and_buckets_have_theirs)
{
	struct bucket first, second;
	const struct bucket_choice b = { &first, &second, 1 };

	for (unsigned byte = 0; byte < 256; byte++)
		cr_expect_eq(count_bits8(byte), (__u32)__builtin_popcount(byte), "%#x", byte);
	for (unsigned bucket = 0; bucket < 100; bucket++)
		cr_expect_eq(home_bit(bucket), 1U << bucket % 32, "bucket %u", bucket);
	for (unsigned offset = 0; offset < 16; offset++)
		cr_expect_eq(preferred_slot(&b, offset), &first.slot[offset % 8], "offset %u", offset);
}

Test(slot_words, slots_are_crowded_from_half_on)
{
	cr_expect_not(slots_crowded(3, 0));
	cr_expect(slots_crowded(4, 0));
	cr_expect_not(slots_crowded(15, 2));
	cr_expect(slots_crowded(16, 2));
	cr_expect_not(slots_crowded(511, 7));
	cr_expect(slots_crowded(512, 7));
}

Test(slot_words, room_is_chosen_near_the_preferred_slot)
{
	static const struct {
		__u32 room, offset;
		int crowded;
		__u32 chosen;
	} rows[] = {
		{ 0, 3, 0, 0 },		  { 0x00ff, 3, 0, 0x0008 }, { 0xffff, 11, 1, 0x0008 }, { 0x00f0, 3, 0, 0x00f0 },
		{ 0xff08, 3, 1, 0x0800 }, { 0xff08, 3, 0, 0x0008 }, { 0xf000, 3, 0, 0xf000 },  { 0x0810, 3, 1, 0x0810 },
		{ 0x0300, 1, 0, 0x0200 }, { 0x0181, 7, 1, 0x0080 }, { 0x8100, 7, 1, 0x8000 },  { 0x0180, 3, 0, 0x0180 },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(opening_room(rows[i].room, rows[i].offset, rows[i].crowded), rows[i].chosen, "row %u: %#x",
			     i, opening_room(rows[i].room, rows[i].offset, rows[i].crowded));
}

Test(slot_words, a_slot_matches_by_all_that_tells_a_session)
{
	struct slot s = { KEY, WORD };
	__u64 key = 0;

	cr_expect_eq(slot_match_in(&s, KEY, 17, 1000, timeouts), WORD);
	cr_expect_eq(slot_match_in(&s, KEY ^ 1, 17, 1000, timeouts), 0);
	cr_expect_eq(slot_match_in(&s, KEY, 6, 1000, timeouts), 0);
	cr_expect_eq(slot_match_in(&s, KEY, 17, 8441, timeouts), 0, "expired");
	cr_expect_eq(slot_match_out(&s, KEY ^ 0xffff, 1024, 17, 1000, timeouts, &key), WORD, "any inside port");
	cr_expect_eq(key, KEY);
	cr_expect_eq(slot_match_out(&s, KEY ^ 0x10000, 1024, 17, 1000, timeouts, &key), 0);
	cr_expect_eq(slot_match_out(&s, KEY, 1025, 17, 1000, timeouts, &key), 0);
	cr_expect_eq(slot_match_out(&s, KEY, 1024, 6, 1000, timeouts, &key), 0);
	cr_expect_eq(slot_match_out(&s, KEY, 1024, 17, 8441, timeouts, &key), 0, "expired");
	s.truth = word_with(WORD, SESSION_OPENING, 1000);
	cr_expect_eq(slot_match_in(&s, KEY, 17, 1000, timeouts), 0);
	cr_expect_eq(slot_match_out(&s, KEY, 1024, 17, 1000, timeouts, &key), 0);
}

Test(slot_words, a_slot_is_claimed_if_it_is_as_it_was)
{
	struct slot s = { 7, 9 };

	cr_expect_eq(slot_claim(&s, 8, KEY, WORD), 0);
	cr_expect_eq(s.key, 7);
	cr_expect_eq(s.truth, 9);
	cr_expect_eq(slot_claim(&s, 9, KEY, WORD), 1);
	cr_expect_eq(s.key, KEY);
	cr_expect_eq(s.truth, WORD);
	cr_expect_eq(slot_change(&s, 9, 0), 0);
	cr_expect_eq(slot_change(&s, WORD, 0), 1);
	cr_expect_eq(s.truth, 0);
}

Test(slot_words, a_session_is_found_in_each_slot_of_a_bucket)
{
	for (int i = 0; i < (int)BUCKET_SLOTS; i++) {
		struct bucket b = { 0 };

		b.slot[i] = (struct slot){ KEY, WORD };
		cr_expect_eq(bucket_find_in(&b, KEY, 17), i);
		cr_expect_eq(bucket_find_out(&b, KEY, 1024, 17), i);
	}
}

Test(slot_words, a_scan_tells_connections_apart)
{
	struct bucket first = { 0 }, second = { 0 };
	struct bucket_choice b = { &first, &second, 1 };
	struct opening o;
	static const __u8 states[] = { SESSION_ESTABLISHED, SESSION_TIME_WAIT, SESSION_ESTABLISHED | SESSION_RESET };

	/* Findings of a scan before are in it. */
	memset(&o, 0xff, sizeof(o));
	o.key = KEY;
	o.port_offset = 1;
	o.port_lo = 1024;
	o.proto = 6;
	first.slot[3].truth = state_word(1024, 6, SESSION_OPENING, 1000);
	for (unsigned i = 0; i < 3; i++)
		second.slot[i] =
			(struct slot){ (KEY + 1 + i) ^ 0x8000, state_word((__u16)(1024 + i), 6, states[i], 1000) };
	second.slot[5] = (struct slot){ KEY, state_word(1028, 6, SESSION_SYN_SENT, 1000) };
	/* To another port of the same host, and another group. */
	second.slot[6] = (struct slot){ KEY ^ 0x10000, state_word(1029, 6, SESSION_ESTABLISHED, 1000) };
	second.slot[7] = (struct slot){ KEY + 9, state_word(1032, 6, SESSION_TIME_WAIT, 1000) };
	scan(&o, &b, 1000, timeouts);
	cr_expect_eq(o.room, 0x18f7, "%#x", o.room);
	cr_expect_eq(o.existing, 0x2000);
	cr_expect_eq(o.ports_used, 0x17);
	cr_expect_eq(o.time_wait, 0x8200);
	cr_expect_eq(o.time_wait_port, 0x0200);
	cr_expect_eq(o.reset_port, 0x0400);
	cr_expect_eq(o.gone, 0);
	cr_expect_eq(o.freed, 0);
	/* An expired one in the way is told of in any case, but time-wait did not count. */
	scan(&o, &b, 1241, timeouts);
	cr_expect_eq(o.room, 0xbef7, "%#x", o.room);
	cr_expect_eq(o.gone, 0xa600, "%#x", o.gone);
	cr_expect_eq(o.freed, 2);
	cr_expect_eq(o.ports_used, 0x01);
	cr_expect_eq(o.reset_port, 0);
}
