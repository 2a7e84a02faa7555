/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets of RADIUS accounting, octet for octet. Those of the first tests were made by Python's hashlib, not by detnat.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "radius.h"

static const struct radius_secret secret = { "testing123", 10 };
static const struct radius_secret other = { "testing124", 10 };

/* Start of alice with 100.64.16.16 at 192.0.2.9, session "s1", delay 3, two Proxy-States; identifier 42. */
#define ATTRIBUTES                                                                                                    \
	40, 6, 0, 0, 0, 1, 4, 6, 192, 0, 2, 9, 1, 7, 'a', 'l', 'i', 'c', 'e', 44, 4, 's', '1', 8, 6, 100, 64, 16, 16, \
		33, 3, 'x', 41, 6, 0, 0, 0, 3, 33, 4, 'y', 'z'
static const uint8_t start[] = { 4,    42,   0,	   62,	 0xd1, 0x8c, 0x4c, 0x46, 0xfe, 0x85,	  0xcb,
				 0x11, 0xfd, 0x55, 0x69, 0x68, 0x36, 0x79, 0xe1, 0x96, ATTRIBUTES };

/* Its response has the Proxy-States, in their order. */
static const uint8_t answer[] = { 5,	42,   0,    27,	  0x80, 0xe0, 0x8a, 0x51, 0x31, 0xff, 0x8d, 0x9a, 0x11, 0xc7,
				  0x94, 0x84, 0xc9, 0x97, 0x41, 0xbb, 33,   3,	  'x',	33,   4,    'y',  'z' };

/* The same request with identifier 7, held for 5 seconds. */
static const uint8_t passed[] = { 4,	7,    0,    62,	  0x35, 0xb2, 0x1e, 0x0f, 0xd8, 0x5b, 0xee, 0xf9, 0xeb,
				  0x62, 0x63, 0x34, 0x9e, 0x46, 0xd2, 0x31, 40,	  6,	0,    0,    0,	  1,
				  4,	6,    192,  0,	  2,	9,    1,    7,	  'a',	'l',  'i',  'c',  'e',
				  44,	4,    's',  '1',  8,	6,    100,  64,	  16,	16,   33,   3,	  'x',
				  41,	6,    0,    0,	  0,	8,    33,   4,	  'y',	'z' };

/* A Status-Server with a Message-Authenticator. */
static const uint8_t status[] = { 12,	9,    0,    38,	  0,	1,    2,    3,	  4,	5,    6,    7,	  8,
				  9,	10,   11,   12,	  13,	14,   15,   80,	  18,	0x01, 0x79, 0x18, 0x7e,
				  0x37, 0x12, 0x7f, 0x30, 0x46, 0xf5, 0x85, 0xb1, 0x49, 0xe1, 0xc5, 0x3b };

Test(radius, a_request_is_genuine_with_the_secret_of_its_sender_alone)
{
	uint8_t changed[sizeof(start)];
	size_t size;

	cr_assert(radius_sound(start, sizeof(start), &size));
	cr_expect_eq(size, sizeof(start));
	cr_expect(radius_request_genuine(start, size, &secret));
	cr_expect_not(radius_request_genuine(start, size, &other));
	for (size_t i = 0; i < sizeof(start); i++) {
		memcpy(changed, start, sizeof(start));
		changed[i] ^= 1;
		cr_expect_not(radius_request_genuine(changed, sizeof(changed), &secret), "octet %zu", i);
	}
}

Test(radius, a_status_server_is_genuine_by_its_message_authenticator)
{
	uint8_t changed[sizeof(status)];

	cr_expect(radius_request_genuine(status, sizeof(status), &secret));
	cr_expect_not(radius_request_genuine(status, sizeof(status), &other));
	cr_expect_not(radius_request_genuine(status, RADIUS_HEADER, &secret));
	for (size_t i = 0; i < sizeof(status); i++) {
		memcpy(changed, status, sizeof(status));
		changed[i] ^= 1;
		cr_expect_not(radius_request_genuine(changed, sizeof(changed), &secret), "octet %zu", i);
	}
}

Test(radius, a_response_has_the_proxy_states_and_an_authenticator_of_the_request)
{
	uint8_t made[RADIUS_MAX];

	cr_assert_eq(radius_answer(start, sizeof(start), &secret, made), sizeof(answer));
	cr_expect_arr_eq(made, answer, sizeof(answer));
	cr_expect(radius_response_genuine(made, sizeof(answer), 42, start + 4, &secret));
	cr_expect_not(radius_response_genuine(made, sizeof(answer), 41, start + 4, &secret));
	cr_expect_not(radius_response_genuine(made, sizeof(answer), 42, start + 3, &secret));
	cr_expect_not(radius_response_genuine(made, sizeof(answer), 42, start + 4, &other));
}

Test(radius, a_request_is_passed_on_with_our_identifier_and_its_delay_reckoned_on)
{
	uint8_t made[RADIUS_MAX];

	cr_assert_eq(radius_pass_on(start, sizeof(start), 7, 5, &secret, made), sizeof(passed));
	cr_expect_arr_eq(made, passed, sizeof(passed));
	cr_assert_eq(radius_pass_on(start, sizeof(start), 42, 0, &secret, made), sizeof(start));
	cr_expect_arr_eq(made, start, sizeof(start));
	/* Without a delay, one is added; a Message-Authenticator would be wrong. */
	cr_assert_eq(radius_pass_on(status, sizeof(status), 1, 9, &secret, made), RADIUS_HEADER + 6);
	cr_expect_arr_eq(made + RADIUS_HEADER, ((const uint8_t[]){ 41, 6, 0, 0, 0, 9 }), 6);
}

Test(radius, packets_whose_attributes_do_not_fill_them_are_not_sound)
{
	static const struct {
		uint8_t length, attribute, size;
		bool sound;
	} rows[] = {
		{ 20, 0, 20, true },  { 20, 0, 24, true },  { 19, 0, 20, false }, { 21, 0, 21, false },
		{ 22, 2, 22, true },  { 22, 1, 22, false }, { 22, 3, 22, false }, { 24, 4, 24, true },
		{ 24, 4, 23, false }, { 24, 2, 24, false }, { 24, 3, 24, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t packet[64] = { 4, 1, 0, rows[i].length };
		size_t size;

		packet[20] = 1;
		packet[21] = rows[i].attribute;
		cr_expect_eq(radius_sound(packet, rows[i].size, &size), rows[i].sound, "row %zu", i);
	}
}

/* What a request with these attributes is read as, until the next one is. */
static const struct accounting *read_attributes(const uint8_t *octets, size_t size)
{
	uint8_t packet[RADIUS_MAX] = { 4, 1 };
	static struct accounting a;

	memcpy(packet + RADIUS_HEADER, octets, size);
	packet[2] = (uint8_t)((RADIUS_HEADER + size) >> 8);
	packet[3] = (uint8_t)(RADIUS_HEADER + size);
	radius_read(packet, RADIUS_HEADER + size, "198.51.100.9", &a);
	return &a;
}

#define READ(...) (*read_attributes((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })))

Test(radius, the_attributes_say_who_had_which_address)
{
	struct accounting a = READ(ATTRIBUTES);
	struct lease_addr addr = lease_addr_of(0x64401010);

	cr_expect_eq(a.status, ACCOUNTING_START);
	cr_expect_str_eq(a.user, "alice");
	cr_expect_str_eq(a.session, "s1");
	cr_expect_str_eq(a.name[NAME_IPV4], "192.0.2.9");
	cr_expect_eq(a.delay, 3);
	cr_expect_eq(a.n_addresses, 1);
	cr_expect_arr_eq(a.address, &addr, sizeof(addr));
	a = READ(26, 15, 0, 0, 13, 233, 1, 9, 'g', 'e', '-', '0', '/', '0', '1', 87, 4, 'p', '1', 31, 3, 'm', 46, 6, 0,
		 0, 1, 0, 85, 6, 0, 0, 2, 88);
	cr_expect_str_eq(a.circuit, "ge-0/01");
	cr_expect_str_eq(a.port, "p1");
	cr_expect_str_eq(a.calling, "m");
	cr_expect_eq(a.session_time, 256);
	cr_expect_eq(a.interval, 600);
	cr_expect_str_eq(a.from, "198.51.100.9");
	cr_expect_eq(READ(55, 6, 0x6b, 8, 4, 0x70).event, 0x6b080470);
}

Test(radius, prefixes_of_any_length_are_read_and_wrong_ones_are_none)
{
	char text[LEASE_ADDR_TEXT];
	struct accounting a =
		READ(123, 11, 0, 56, 0x20, 1, 0xd, 0xb8, 0, 7, 0xff, 97, 12, 0, 64, 0x20, 1, 0xd, 0xb8, 0, 9, 0, 1);

	cr_expect_str_eq(lease_addr_format(&a.address[0], text), "2001:db8:7:ff00::/56");
	cr_expect_str_eq(lease_addr_format(&a.address[1], text), "2001:db8:9:1::/64");
	cr_expect_eq(READ(123, 4, 0, 56).n_addresses, 0);
	cr_expect_eq(READ(123, 4, 0, 0).n_addresses, 0);
	cr_expect_eq(READ(123, 4, 0, 129).n_addresses, 0);
	cr_expect_eq(READ(123, 2).n_addresses, 0);
	a = READ(123, 7, 0, 20, 0x20, 1, 0xff, 97, 7, 0, 20, 0x20, 1, 0xff);
	cr_expect_eq(a.n_addresses, 1);
	cr_expect_str_eq(lease_addr_format(&a.address[0], text), "2001:f000::/20");
}

Test(radius, values_that_are_no_addresses_numbers_or_texts_do_no_harm)
{
	cr_expect_eq(READ(8, 6, 255, 255, 255, 254).n_addresses, 0);
	cr_expect_eq(READ(8, 6, 255, 255, 255, 255).n_addresses, 0);
	cr_expect_eq(READ(8, 5, 1, 2, 3).n_addresses, 0);
	cr_expect_eq(READ(40, 3, 1).status, 0);
	cr_expect_str_eq(READ(1, 6, 'a', 10, 0, 255).user, "a\\x0a\\x00\\xff");
	cr_expect_str_eq(READ(26, 4, 0, 0).circuit, "");
	cr_expect_str_eq(READ(26, 8, 0, 0, 13, 233, 1, 9).circuit, "");
	cr_expect_str_eq(READ(26, 8, 0, 0, 13, 233, 1, 0).circuit, "");
	cr_expect_str_eq(READ(26, 9, 0, 0, 13, 234, 1, 3, 'x').circuit, "");
}

Test(radius, attributes_have_the_lengths_that_their_types_can_have)
{
#define FITS(expected, ...)                                                   \
	{                                                                     \
		{ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }), expected \
	}
	static const struct {
		uint8_t octet[24];
		size_t size;
		bool fits;
	} rows[] = {
		FITS(true, 40, 6, 0, 0, 0, 1),
		FITS(false, 40, 5, 0, 0, 1),
		FITS(false, 40, 7, 0, 0, 0, 1, 0),
		FITS(true, 8, 6, 100, 64, 0, 1),
		FITS(false, 8, 3, 100),
		FITS(false, 8, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
		FITS(false, 4, 2),
		FITS(false, 41, 4, 0, 3),
		FITS(false, 46, 2),
		FITS(false, 85, 8, 0, 0, 0, 0, 2, 88),
		FITS(false, 55, 5, 1, 2, 3),
		FITS(true, 1, 3, 'a'),
		FITS(false, 1, 2),
		FITS(false, 44, 2),
		FITS(false, 26, 6, 0, 0, 13, 233),
		FITS(true, 26, 7, 0, 0, 13, 233, 1),
		FITS(true, 97, 12, 0, 64, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1),
		FITS(false, 97, 11, 0, 64, 0x20, 1, 0xd, 0xb8, 0, 0, 0),
		FITS(false, 123, 4, 0, 129),
		FITS(false, 123, 3, 0),
		FITS(false, 95, 6, 1, 2, 3, 4),
		FITS(true, 200, 2),
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t packet[64] = { 4, 1 };

		memcpy(packet + RADIUS_HEADER, rows[i].octet, rows[i].size);
		cr_expect_eq(radius_lengths_fit(packet, RADIUS_HEADER + rows[i].size), rows[i].fits, "row %zu", i);
	}
}
