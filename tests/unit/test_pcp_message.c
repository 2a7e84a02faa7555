/* SPDX-License-Identifier: BSD-2-Clause */
/* PCP messages octet by octet, against the figures of RFC 6887. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/base.h"
#include "pcp/pcp_message.h"

#define SUBSCRIBER 0x64400002U /* 100.64.0.2 */

/* 100.64.0.2 and 203.0.113.7, IPv4-mapped. */
#define ADDR_IN	  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 100, 64, 0, 2
#define ADDR_OUT  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 7
#define ADDR_NONE 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0
#define NONCE	  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12

/* A header with an opcode and a requested lifetime of 7200 s. */
#define HEADER(opcode) 2, opcode, 0, 0, 0, 0, 0x1c, 0x20, ADDR_IN
/* TCP, inside port 443, suggested 203.0.113.7:5000. */
#define MAP_BODY NONCE, 6, 0, 0, 0, 0x01, 0xbb, 0x13, 0x88, ADDR_OUT
/* The same towards 198.51.100.9:53. */
#define PEER_BODY      MAP_BODY, 0, 53, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, 100, 9
#define PREFER_FAILURE 2, 0, 0, 0
#define THIRD_PARTY    1, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 100, 64, 0, 3
/* 198.51.100.9 or its prefix, by all ports or one; a prefix length of 0 removes all. */
#define FILTER_OF(plen, port) \
	3, 0, 0, 20, 0xee, plen, 0, port, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, 100, 9
#define FILTER FILTER_OF(128, 0)
/* One of 12 octets, and one of 2001:db8::9. */
#define FILTER_CUT  3, 0, 0, 12, 0, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
#define FILTER_IPV6 3, 0, 0, 20, 0, 128, 0, 0, 0x20, 1, 13, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9

struct octets {
	const uint8_t *data;
	size_t size;
};

#define OCTETS(...)                                                                        \
	{                                                                                  \
		(const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) \
	}

static int parse(struct octets o, struct pcp_request *ret)
{
	return pcp_parse(o.data, o.size, SUBSCRIBER, false, ret);
}

Test(pcp_message, a_map_request_is_read_whole)
{
	const struct octets o = OCTETS(HEADER(1), MAP_BODY, PREFER_FAILURE);
	static const uint8_t nonce[] = { NONCE };
	struct pcp_request r;

	cr_assert_eq(parse(o, &r), PCP_SUCCESS);
	cr_expect_eq(r.opcode, PCP_MAP);
	cr_expect_eq(r.lifetime, 7200);
	cr_expect_arr_eq(r.nonce, nonce, sizeof(nonce));
	cr_expect_eq(r.proto, 6);
	cr_expect_eq(r.in_port, 443);
	cr_expect_eq(r.suggested_port, 5000);
	cr_expect_eq(r.suggested_addr, 0xcb007107);
	cr_expect_not(r.suggests_ipv6);
	cr_expect(r.prefer_failure);
	cr_expect_not(r.has_third_party);
}

Test(pcp_message, a_peer_request_is_read_whole)
{
	const struct octets o = OCTETS(HEADER(2), PEER_BODY);
	struct pcp_request r;

	cr_assert_eq(parse(o, &r), PCP_SUCCESS);
	cr_expect_eq(r.opcode, PCP_PEER);
	cr_expect_eq(r.in_port, 443);
	cr_expect_eq(r.suggested_port, 5000);
	cr_expect_eq(r.peer_port, 53);
	cr_expect_eq(r.peer_addr, 0xc6336409);
}

Test(pcp_message, an_ipv6_suggestion_is_told_from_none)
{
	const struct octets none =
		OCTETS(HEADER(1), NONCE, 6, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	const struct octets mapped = OCTETS(HEADER(1), NONCE, 6, 0, 0, 0, 1, 1, 0, 0, ADDR_NONE);
	const struct octets ipv6 =
		OCTETS(HEADER(1), NONCE, 6, 0, 0, 0, 1, 1, 0, 0, 0x20, 1, 13, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
	struct pcp_request r;

	cr_assert_eq(parse(none, &r), PCP_SUCCESS);
	cr_expect_not(r.suggests_ipv6);
	cr_assert_eq(parse(mapped, &r), PCP_SUCCESS);
	cr_expect_not(r.suggests_ipv6);
	cr_expect_eq(r.suggested_addr, 0);
	cr_assert_eq(parse(ipv6, &r), PCP_SUCCESS);
	cr_expect(r.suggests_ipv6);
	cr_expect_eq(r.suggested_addr, 0);
}

Test(pcp_message, each_request_gets_the_result_of_the_rfc)
{
	const struct {
		const char *name;
		int result;
		struct octets o;
	} rows[] = {
		{ "nothing", PCP_SILENCE, { (const uint8_t *)"", 0 } },
		{ "one octet", PCP_SILENCE, OCTETS(2) },
		{ "a response", PCP_SILENCE, OCTETS(HEADER(0x80)) },
		{ "a response of another version", PCP_SILENCE, OCTETS(0, 0x80, 0, 0) },
		{ "NAT-PMP asks for the address", PCP_UNSUPP_VERSION, OCTETS(0, 0) },
		{ "NAT-PMP maps", PCP_UNSUPP_VERSION, OCTETS(0, 2, 0, 0, 1, 0xbb, 0, 0, 0, 0, 0x1c, 0x20) },
		{ "version 1", PCP_UNSUPP_VERSION, OCTETS(1, 1, 0, 0, 0, 0, 0, 0, ADDR_IN) },
		{ "version 3", PCP_UNSUPP_VERSION, OCTETS(3, 0, 0, 0, 0, 0, 0, 0, ADDR_IN) },
		{ "opcode 3, authentication", PCP_UNSUPP_OPCODE, OCTETS(HEADER(3)) },
		{ "opcode 127", PCP_UNSUPP_OPCODE, OCTETS(HEADER(127)) },
		{ "an announcement", PCP_SUCCESS, OCTETS(HEADER(0)) },
		{ "two octets", PCP_SILENCE, OCTETS(2, 0) },
		{ "a header cut short", PCP_SILENCE, OCTETS(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) },
		{ "a header that lacks one octet", PCP_SILENCE,
		  OCTETS(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 100, 64, 0) },
		{ "a header of an unknown opcode that lacks one octet", PCP_SILENCE,
		  OCTETS(2, 127, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 100, 64, 0) },
		{ "a header of an unknown opcode and one octet", PCP_UNSUPP_OPCODE, OCTETS(HEADER(127), 0) },
		{ "one octet of NAT-PMP", PCP_SILENCE, OCTETS(0) },
		{ "MAP without its data", PCP_MALFORMED_REQUEST, OCTETS(HEADER(1)) },
		{ "PEER with the data of MAP", PCP_MALFORMED_REQUEST, OCTETS(HEADER(2), MAP_BODY) },
		{ "a length that is no multiple of 4", PCP_MALFORMED_REQUEST, OCTETS(HEADER(0), 0, 0) },
		{ "another client's address", PCP_ADDRESS_MISMATCH,
		  OCTETS(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 1, 2) },
		{ "an IPv6 client's address", PCP_ADDRESS_MISMATCH,
		  OCTETS(2, 0, 0, 0, 0, 0, 0, 0, 0x20, 1, 13, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 100, 64, 0, 2) },
		{ "protocol 0 and a port", PCP_MALFORMED_REQUEST,
		  OCTETS(HEADER(1), NONCE, 0, 0, 0, 0, 1, 0xbb, 0, 0, ADDR_NONE) },
		{ "protocol 0 and no port", PCP_SUCCESS, OCTETS(HEADER(1), NONCE, 0, 0, 0, 0, 0, 0, 0, 0, ADDR_NONE) },
		{ "PEER of protocol 0", PCP_MALFORMED_REQUEST,
		  OCTETS(HEADER(2), NONCE, 0, 0, 0, 0, 1, 1, 0, 0, ADDR_NONE, 0, 53, 0, 0, ADDR_OUT) },
		{ "PEER without an inside port", PCP_MALFORMED_REQUEST,
		  OCTETS(HEADER(2), NONCE, 6, 0, 0, 0, 0, 0, 0, 0, ADDR_NONE, 0, 53, 0, 0, ADDR_OUT) },
		{ "PEER without a remote port", PCP_MALFORMED_REQUEST,
		  OCTETS(HEADER(2), NONCE, 6, 0, 0, 0, 1, 1, 0, 0, ADDR_NONE, 0, 0, 0, 0, ADDR_OUT) },
		{ "PREFER_FAILURE twice", PCP_MALFORMED_OPTION,
		  OCTETS(HEADER(1), MAP_BODY, PREFER_FAILURE, PREFER_FAILURE) },
		{ "PREFER_FAILURE with data", PCP_MALFORMED_OPTION,
		  OCTETS(HEADER(1), MAP_BODY, 2, 0, 0, 4, 0, 0, 0, 0) },
		{ "PREFER_FAILURE in PEER", PCP_UNSUPP_OPTION, OCTETS(HEADER(2), PEER_BODY, PREFER_FAILURE) },
		{ "PREFER_FAILURE in ANNOUNCE", PCP_UNSUPP_OPTION, OCTETS(HEADER(0), PREFER_FAILURE) },
		{ "THIRD_PARTY, not allowed", PCP_UNSUPP_OPTION, OCTETS(HEADER(1), MAP_BODY, THIRD_PARTY) },
		{ "FILTER", PCP_SUCCESS, OCTETS(HEADER(1), MAP_BODY, FILTER) },
		{ "FILTER of any address", PCP_SUCCESS, OCTETS(HEADER(1), MAP_BODY, FILTER_OF(96, 53)) },
		{ "FILTER that removes all", PCP_SUCCESS, OCTETS(HEADER(1), MAP_BODY, FILTER_OF(0, 0)) },
		{ "FILTER twice", PCP_SUCCESS, OCTETS(HEADER(1), MAP_BODY, FILTER, FILTER) },
		{ "FILTER of a prefix that is too short", PCP_MALFORMED_OPTION,
		  OCTETS(HEADER(1), MAP_BODY, FILTER_OF(95, 0)) },
		{ "FILTER of a prefix that is too long", PCP_MALFORMED_OPTION,
		  OCTETS(HEADER(1), MAP_BODY, FILTER_OF(129, 0)) },
		{ "FILTER of an IPv6 address", PCP_MALFORMED_OPTION, OCTETS(HEADER(1), MAP_BODY, FILTER_IPV6) },
		{ "FILTER cut short", PCP_MALFORMED_OPTION, OCTETS(HEADER(1), MAP_BODY, FILTER_CUT) },
		{ "FILTER behind a good one", PCP_MALFORMED_OPTION,
		  OCTETS(HEADER(1), MAP_BODY, FILTER, FILTER_OF(1, 0)) },
		{ "FILTER in a deletion", PCP_MALFORMED_OPTION,
		  OCTETS(2, 1, 0, 0, 0, 0, 0, 0, ADDR_IN, MAP_BODY, FILTER) },
		{ "FILTER that removes all in a deletion", PCP_MALFORMED_OPTION,
		  OCTETS(2, 1, 0, 0, 0, 0, 0, 0, ADDR_IN, MAP_BODY, FILTER_OF(0, 0)) },
		{ "FILTER in PEER", PCP_UNSUPP_OPTION, OCTETS(HEADER(2), PEER_BODY, FILTER) },
		{ "FILTER in ANNOUNCE", PCP_UNSUPP_OPTION, OCTETS(HEADER(0), FILTER) },
		{ "option 0", PCP_UNSUPP_OPTION, OCTETS(HEADER(1), MAP_BODY, 0, 0, 0, 0) },
		{ "an unknown mandatory option", PCP_UNSUPP_OPTION,
		  OCTETS(HEADER(1), MAP_BODY, 127, 0, 0, 1, 9, 0, 0, 0) },
		{ "an unknown optional option", PCP_SUCCESS, OCTETS(HEADER(1), MAP_BODY, 128, 0, 0, 1, 9, 0, 0, 0) },
		{ "an option behind the end", PCP_MALFORMED_OPTION,
		  OCTETS(HEADER(1), MAP_BODY, 128, 0, 0, 5, 9, 0, 0, 0) },
		{ "an option that wraps around", PCP_MALFORMED_OPTION,
		  OCTETS(HEADER(1), MAP_BODY, 128, 0, 0xff, 0xff, 9, 0, 0, 0) },
		{ "an unknown option before one behind the end", PCP_MALFORMED_OPTION,
		  OCTETS(HEADER(1), MAP_BODY, 127, 0, 0, 0, 128, 0, 0, 8, 0, 0, 0, 0) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pcp_request r;
		int result = parse(rows[i].o, &r);

		cr_expect_eq(result, rows[i].result, "%s: %d instead of %d", rows[i].name, result, rows[i].result);
	}
}

Test(pcp_message, a_third_party_is_read_where_it_is_allowed)
{
	const struct octets o = OCTETS(HEADER(1), MAP_BODY, THIRD_PARTY);
	const struct octets twice = OCTETS(HEADER(1), MAP_BODY, THIRD_PARTY, THIRD_PARTY);
	const struct octets itself = OCTETS(HEADER(1), MAP_BODY, 1, 0, 0, 16, ADDR_IN);
	const struct octets cut = OCTETS(HEADER(1), MAP_BODY, 1, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	const struct octets announce = OCTETS(HEADER(0), THIRD_PARTY);
	struct pcp_request r;

	cr_assert_eq(pcp_parse(o.data, o.size, SUBSCRIBER, true, &r), PCP_SUCCESS);
	cr_expect(r.has_third_party);
	cr_expect_eq(r.third_party, SUBSCRIBER + 1);
	cr_expect_eq(pcp_parse(twice.data, twice.size, SUBSCRIBER, true, &r), PCP_MALFORMED_OPTION);
	cr_expect_eq(pcp_parse(itself.data, itself.size, SUBSCRIBER, true, &r), PCP_MALFORMED_REQUEST);
	cr_expect_eq(pcp_parse(cut.data, cut.size, SUBSCRIBER, true, &r), PCP_MALFORMED_OPTION);
	cr_expect_eq(pcp_parse(announce.data, announce.size, SUBSCRIBER, true, &r), PCP_UNSUPP_OPTION);
}

Test(pcp_message, filters_are_read_in_order)
{
	const struct octets two =
		OCTETS(HEADER(1), MAP_BODY, FILTER, PREFER_FAILURE, FILTER_OF(120, 53), FILTER_OF(128, 0));
	const struct octets anew = OCTETS(HEADER(1), MAP_BODY, FILTER, FILTER_OF(0, 0), FILTER_OF(97, 0));
	const struct octets none = OCTETS(HEADER(1), MAP_BODY, FILTER, FILTER_OF(0, 7));
	const struct portmap_filters of_two = { 2, { { 0xc6336409, 0, 32, 0 }, { 0xc6336400, 53, 24, 0 } } };
	const struct portmap_filters of_anew = { 1, { { 0x80000000, 0, 1, 0 } } };
	struct pcp_request r;

	cr_assert_eq(parse(two, &r), PCP_SUCCESS);
	cr_expect(!r.clears_filters && !r.too_many_filters && r.prefer_failure);
	cr_expect_eq(memcmp(&r.filters, &of_two, sizeof(of_two)), 0);
	cr_assert_eq(parse(anew, &r), PCP_SUCCESS);
	cr_expect(r.clears_filters && !r.too_many_filters);
	cr_expect_eq(memcmp(&r.filters, &of_anew, sizeof(of_anew)), 0);
	cr_assert_eq(parse(none, &r), PCP_SUCCESS);
	cr_expect(r.clears_filters);
	cr_expect_eq(r.filters.n, 0);
}

Test(pcp_message, a_message_full_of_filters_is_read)
{
	const uint8_t filter[] = { FILTER };
	uint8_t data[PCP_MAX_MESSAGE] = { HEADER(1), MAP_BODY };
	struct pcp_request r;
	size_t size = 60;

	for (uint8_t i = 0; size + sizeof(filter) <= sizeof(data); i++) {
		memcpy(data + size, filter, sizeof(filter));
		data[size + 23] = i;
		size += sizeof(filter);
		cr_assert_eq(pcp_parse(data, size, SUBSCRIBER, false, &r), PCP_SUCCESS);
		cr_expect_eq(r.filters.n, i < 8 ? i + 1U : 8U);
		cr_expect_eq(r.too_many_filters, i >= 8);
	}
	/* The last one removes the others. */
	data[size - 19] = 0;
	cr_assert_eq(pcp_parse(data, size, SUBSCRIBER, false, &r), PCP_SUCCESS);
	cr_expect(r.clears_filters && !r.too_many_filters && !r.filters.n);
}

Test(pcp_message, a_message_is_at_most_1100_octets)
{
	uint8_t data[1104] = { HEADER(1), MAP_BODY };
	struct pcp_request r;

	/* One optional option that takes the rest. */
	data[60] = 128;
	data[62] = (1100 - 64) >> 8;
	data[63] = (1100 - 64) & 255;
	cr_expect_eq(pcp_parse(data, 1100, SUBSCRIBER, false, &r), PCP_SUCCESS);
	data[63] += 4;
	cr_expect_eq(pcp_parse(data, 1104, SUBSCRIBER, false, &r), PCP_MALFORMED_REQUEST);
}

static void expect_octets(const uint8_t *got, size_t size, struct octets wanted)
{
	cr_assert_eq(size, wanted.size, "%zu octets instead of %zu", size, wanted.size);
	for (size_t i = 0; i < size; i++)
		cr_assert_eq(got[i], wanted.data[i], "octet %zu is %u instead of %u", i, got[i], wanted.data[i]);
}

#define EPOCH	    0x01020304U
#define EPOCH_WIRE  1, 2, 3, 4
#define RESERVED_12 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0

Test(pcp_message, a_success_repeats_the_options_that_were_processed)
{
	const struct octets request = OCTETS(HEADER(1), NONCE, 6, 9, 9, 9, 0x01, 0xbb, 0, 0, ADDR_NONE, 129, 0, 0, 3, 1,
					     2, 3, 0, PREFER_FAILURE, FILTER_OF(0, 0), FILTER_OF(120, 53));
	const struct octets wanted =
		OCTETS(2, 0x81, 0, 0, 0, 0, 0x0e, 0x10, EPOCH_WIRE, RESERVED_12, NONCE, 6, 0, 0, 0, 0x01, 0xbb, 0x15,
		       0xb3, ADDR_OUT, PREFER_FAILURE, FILTER_OF(0, 0), FILTER_OF(120, 53));
	const struct pcp_assigned a = { .lifetime = 3600, .addr = 0xcb007107, .port = 5555 };
	uint8_t out[PCP_MAX_MESSAGE];
	struct pcp_request r;

	memset(out, 0xaa, sizeof(out));
	cr_assert_eq(parse(request, &r), PCP_SUCCESS);
	expect_octets(out, pcp_success(request.data, request.size, &r, &a, EPOCH, out), wanted);
}

Test(pcp_message, the_answer_to_a_deletion_repeats_the_suggestion)
{
	const struct octets request = OCTETS(2, 1, 0, 0, 0, 0, 0, 0, ADDR_IN, MAP_BODY);
	const struct octets wanted = OCTETS(2, 0x81, 0, 0, 0, 0, 0, 0, EPOCH_WIRE, RESERVED_12, MAP_BODY);
	const struct pcp_assigned a = { .as_requested = true };
	uint8_t out[PCP_MAX_MESSAGE];
	struct pcp_request r;

	cr_assert_eq(parse(request, &r), PCP_SUCCESS);
	expect_octets(out, pcp_success(request.data, request.size, &r, &a, EPOCH, out), wanted);
}

Test(pcp_message, the_answer_to_peer_repeats_the_remote_endpoint)
{
	const struct octets request = OCTETS(HEADER(2), PEER_BODY);
	const struct octets wanted =
		OCTETS(2, 0x82, 0, 0, 0, 0, 1, 0x2c, EPOCH_WIRE, RESERVED_12, NONCE, 6, 0, 0, 0, 0x01, 0xbb, 0x15, 0xb3,
		       ADDR_OUT, 0, 53, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, 100, 9);
	const struct pcp_assigned a = { .lifetime = 300, .addr = 0xcb007107, .port = 5555 };
	uint8_t out[PCP_MAX_MESSAGE];
	struct pcp_request r;

	cr_assert_eq(parse(request, &r), PCP_SUCCESS);
	expect_octets(out, pcp_success(request.data, request.size, &r, &a, EPOCH, out), wanted);
}

Test(pcp_message, announcements_are_a_header)
{
	const struct octets request = OCTETS(HEADER(0));
	const struct octets wanted = OCTETS(2, 0x80, 0, 0, 0, 0, 0, 0, EPOCH_WIRE, RESERVED_12);
	const struct pcp_assigned a = { 0 };
	uint8_t out[PCP_MAX_MESSAGE];
	struct pcp_request r;

	cr_assert_eq(parse(request, &r), PCP_SUCCESS);
	expect_octets(out, pcp_success(request.data, request.size, &r, &a, EPOCH, out), wanted);
	memset(out, 0xaa, sizeof(out));
	expect_octets(out, pcp_announcement(EPOCH, out), wanted);
}

Test(pcp_message, errors_copy_the_request)
{
	const struct octets request = OCTETS(HEADER(1), MAP_BODY, 127, 0, 0, 1, 9, 0, 0, 0);
	const struct octets unparsed = OCTETS(2, 0x81, 0, 5, 0, 0, 7, 8, EPOCH_WIRE, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 100,
					      64, 0, 2, MAP_BODY, 127, 0, 0, 1, 9, 0, 0, 0);
	const struct octets parsed =
		OCTETS(2, 0x81, 0, 10, 0, 0, 0, 30, EPOCH_WIRE, RESERVED_12, MAP_BODY, 127, 0, 0, 1, 9, 0, 0, 0);
	uint8_t out[PCP_MAX_MESSAGE];

	expect_octets(out, pcp_error(request.data, request.size, PCP_UNSUPP_OPTION, false, 1800, EPOCH, out), unparsed);
	expect_octets(out, pcp_error(request.data, request.size, PCP_USER_EX_QUOTA, true, 30, EPOCH, out), parsed);
}

Test(pcp_message, nat_pmp_gets_a_no_that_it_understands)
{
	/* RFC 6886 section 3.5 reads octets 2 and 3 as its result code, 1: unsupported version. */
	const struct octets wanted = OCTETS(2, 0x80, 0, 1, 0, 0, 7, 8, EPOCH_WIRE, RESERVED_12);
	uint8_t out[PCP_MAX_MESSAGE];

	memset(out, 0xaa, sizeof(out));
	expect_octets(out, pcp_error((const uint8_t[]){ 0, 0 }, 2, PCP_UNSUPP_VERSION, false, 1800, EPOCH, out),
		      wanted);
}

Test(pcp_message, errors_are_cut_and_padded)
{
	uint8_t data[2000], out[PCP_MAX_MESSAGE];

	memset(data, 7, sizeof(data));
	cr_expect_eq(pcp_error(data, sizeof(data), PCP_MALFORMED_REQUEST, false, 1800, EPOCH, out), PCP_MAX_MESSAGE);
	cr_expect_eq(out[PCP_MAX_MESSAGE - 1], 7);
	memset(out, 0xaa, sizeof(out));
	cr_expect_eq(pcp_error(data, 25, PCP_MALFORMED_REQUEST, false, 1800, EPOCH, out), 28);
	cr_expect_arr_eq(out + 24, "\7\0\0\0", 4);
}

Test(pcp_message, long_and_short_errors)
{
	for (unsigned i = 1; i < N_PCP_RESULTS; i++) {
		bool is_short = i == PCP_NETWORK_FAILURE || i == PCP_NO_RESOURCES || i == PCP_USER_EX_QUOTA ||
				i == PCP_CANNOT_PROVIDE_EXTERNAL;

		cr_expect_eq(pcp_error_lifetime(i), is_short ? 30 : 1800, "%s", pcp_result_name(i));
	}
}
