/* SPDX-License-Identifier: BSD-2-Clause */
/* IPFIX messages against octets computed by hand. */
#include "ipfix_fixture.h"

/* A message as text: hexadecimal without blanks. */
struct hex {
	char text[2 * IPFIX_MAX_MESSAGE + 1];
};

static const char *hex_of(const uint8_t *octets, size_t n)
{
	static struct hex hex;

	for (size_t i = 0; i < n; i++)
		sprintf(hex.text + 2 * i, "%02x", octets[i]);
	hex.text[2 * n] = 0;
	return hex.text;
}

static const char *squeeze(const char *spaced)
{
	static struct hex hex;
	size_t n = 0;

	for (; *spaced; spaced++) {
		if (*spaced != ' ')
			hex.text[n++] = *spaced;
	}
	hex.text[n] = 0;
	return hex.text;
}

static struct ipfix_message message;

static const struct nat_event bound_event = {
	.type = EVENT_ADDRESS_BOUND, .in_addr = 0x0a000002, .out_addr = 0x01010100, .out_port = 1276, .ext_port = 1401
};
static const struct nat_event unbound_event = {
	.type = EVENT_ADDRESS_UNBOUND, .in_addr = 0x0a000002, .out_addr = 0x01010100, .out_port = 1276, .ext_port = 1401
};

static const struct nat_event portmap_event = { .type = EVENT_PORTMAP_MADE,
						.proto = IPPROTO_TCP,
						.in_addr = 0x0a000002,
						.out_addr = 0x01010100,
						.in_port = 8443,
						.out_port = 443 };
static const struct nat_event portmap_end_event = { .type = EVENT_PORTMAP_ENDED,
						    .proto = IPPROTO_UDP,
						    .in_addr = 0x0a000002,
						    .out_addr = 0x01010100,
						    .in_port = 3074,
						    .out_port = 1054 };

static const struct nat_event granted_event = {
	.type = EVENT_BLOCK_GRANTED, .in_addr = 0x0a000002, .out_addr = 0x01010100, .out_port = 58368, .ext_port = 58495
};
static const struct nat_event grant_end_event = {
	.type = EVENT_BLOCK_ENDED, .in_addr = 0x0a000002, .out_addr = 0x01010100, .out_port = 58368, .ext_port = 58495
};

static void finish(uint32_t sequence, uint32_t domain_id)
{
	ipfix_finish(&message, domain_id);
	ipfix_stamp(message.octets, 1700000000, sequence);
	cr_assert_eq(ipfix_domain_of(message.octets), domain_id);
}

Test(ipfix_encode, templates_are_as_documented)
{
	ipfix_begin_templates(&message);
	for (int layout = 0; layout < IPFIX_LAYOUT_TENANT_QUOTA; layout++)
		ipfix_add_template(&message, layout);
	finish(5, 7);
	cr_assert_str_eq(hex_of(message.octets, message.length),
			 squeeze("000a 00dc 6553f100 00000005 00000007  0002 00cc"
				 "0100 0005  0143 0008  00e6 0001  01d2 0004  01d9 0004  0008 0004"
				 "0101 0005  0143 0008  00e6 0001  00e1 0004  0004 0001  0008 0004"
				 "0102 0009  0143 0008  00e6 0001  0008 0004  00e1 0004  0007 0002  00e3 0002"
				 "0004 0001  000c 0004  000b 0002"
				 "0103 0005  0143 0008  00e6 0001  01d2 0004  01db 0004  0008 0004"
				 "0104 0006  0143 0008  00e6 0001  0008 0004  00e1 0004  0169 0002  016a 0002"
				 "0105 0007  0143 0008  00e6 0001  0008 0004  00e1 0004  0004 0001  0007 0002"
				 "00e3 0002"
				 "0106 0006  0143 0008  00e6 0001  0008 0004  00e1 0004  0169 0002  016a 0002"));
	cr_assert_eq(message.records, 0);
}

Test(ipfix_encode, templates_with_the_tenant_are_the_same_and_its_number)
{
	ipfix_begin_templates(&message);
	for (int layout = IPFIX_LAYOUT_TENANT_QUOTA; layout < N_IPFIX_LAYOUTS; layout++)
		ipfix_add_template(&message, layout);
	finish(5, 7);
	cr_assert_str_eq(
		hex_of(message.octets, message.length),
		squeeze("000a 00f8 6553f100 00000005 00000007  0002 00e8"
			"0107 0006  0143 0008  00e6 0001  01d2 0004  01d9 0004  0008 0004  00ea 0004"
			"0108 0006  0143 0008  00e6 0001  00e1 0004  0004 0001  0008 0004  00ea 0004"
			"0109 000a  0143 0008  00e6 0001  0008 0004  00e1 0004  0007 0002  00e3 0002"
			"0004 0001  000c 0004  000b 0002  00ea 0004"
			"010a 0006  0143 0008  00e6 0001  01d2 0004  01db 0004  0008 0004  00ea 0004"
			"010b 0007  0143 0008  00e6 0001  0008 0004  00e1 0004  0169 0002  016a 0002  00ea 0004"
			"010c 0008  0143 0008  00e6 0001  0008 0004  00e1 0004  0004 0001  0007 0002"
			"00e3 0002  00ea 0004"
			"010d 0007  0143 0008  00e6 0001  0008 0004  00e1 0004  0169 0002  016a 0002"
			"00ea 0004"));
}

Test(ipfix_encode, records_of_a_tenant_have_its_number)
{
	struct nat_event e = opened_event;

	e.tenant = 200;
	ipfix_begin_data(&message, ipfix_layout_of(&e));
	ipfix_add_record(&message, &e, NOW_MS + 1);
	finish(0, 1);
	cr_assert_str_eq(hex_of(message.octets, message.length),
			 squeeze("000a 0034 6553f100 00000000 00000001  0109 0024"
				 "0000018bcfe56801 04 0a000003 01010100 189f 042e 06 c6336407 01bb 000000c8"));
}

Test(ipfix_encode, template_fits_to_the_last_octet)
{
	ipfix_begin_templates(&message);
	cr_assert(ipfix_template_fits(&message, IPFIX_LAYOUT_SESSION, 60));
	cr_assert_not(ipfix_template_fits(&message, IPFIX_LAYOUT_SESSION, 59));
}

Test(ipfix_encode, records_are_as_documented)
{
	static const struct {
		const char *name;
		const struct nat_event *event;
		const char *message;
	} rows[] = {
		{ "quota", &quota_event,
		  "000a 0029 6553f100 ffffffff fffffffe  0100 0019"
		  "0000018bcfe56801 0d 00000003 000003e8 0a000002" },
		{ "ports", &ports_event,
		  "000a 0026 6553f100 ffffffff fffffffe  0101 0016"
		  "0000018bcfe56801 0c 01010100 11 0a000002" },
		{ "address bound", &bound_event,
		  "000a 0029 6553f100 ffffffff fffffffe  0104 0019"
		  "0000018bcfe56801 0e 0a000002 01010100 04fc 0579" },
		{ "address unbound", &unbound_event,
		  "000a 0029 6553f100 ffffffff fffffffe  0104 0019"
		  "0000018bcfe56801 0f 0a000002 01010100 04fc 0579" },
		{ "portmap made", &portmap_event,
		  "000a 002a 6553f100 ffffffff fffffffe  0105 001a"
		  "0000018bcfe56801 08 0a000002 01010100 06 20fb 01bb" },
		{ "portmap ended", &portmap_end_event,
		  "000a 002a 6553f100 ffffffff fffffffe  0105 001a"
		  "0000018bcfe56801 09 0a000002 01010100 11 0c02 041e" },
		{ "block granted", &granted_event,
		  "000a 0029 6553f100 ffffffff fffffffe  0106 0019"
		  "0000018bcfe56801 10 0a000002 01010100 e400 e47f" },
		{ "block taken back", &grant_end_event,
		  "000a 0029 6553f100 ffffffff fffffffe  0106 0019"
		  "0000018bcfe56801 11 0a000002 01010100 e400 e47f" },
		{ "fragments pending", &fragments_event,
		  "000a 0029 6553f100 ffffffff fffffffe  0103 0019"
		  "0000018bcfe56801 0d 00000005 00000040 0a000002" },
		{ "session created", &opened_event,
		  "000a 0030 6553f100 ffffffff fffffffe  0102 0020"
		  "0000018bcfe56801 04 0a000003 01010100 189f 042e 06 c6336407 01bb" },
		{ "session of ICMP deleted", &closed_event,
		  "000a 0030 6553f100 ffffffff fffffffe  0102 0020"
		  "0000018bcfe56801 05 0a000003 01010100 1234 0406 01 c6336407 0000" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ipfix_begin_data(&message, ipfix_layout_of(rows[i].event));
		ipfix_add_record(&message, rows[i].event, NOW_MS + 1);
		finish(UINT32_MAX, UINT32_MAX - 1);
		cr_assert_str_eq(hex_of(message.octets, message.length), squeeze(rows[i].message), "%s", rows[i].name);
	}
}

Test(ipfix_encode, records_follow_each_other_in_one_set)
{
	ipfix_begin_data(&message, IPFIX_LAYOUT_SESSION);
	ipfix_add_record(&message, &opened_event, NOW_MS);
	ipfix_add_record(&message, &closed_event, NOW_MS + 1);
	finish(0, 1);
	cr_assert_str_eq(hex_of(message.octets, message.length),
			 squeeze("000a 004c 6553f100 00000000 00000001  0102 003c"
				 "0000018bcfe56800 04 0a000003 01010100 189f 042e 06 c6336407 01bb"
				 "0000018bcfe56801 05 0a000003 01010100 1234 0406 01 c6336407 0000"));
	cr_assert_eq(message.records, 2);
}

Test(ipfix_encode, events_that_are_nobodys_record_have_no_layout)
{
	for (unsigned type = 0; type < 256; type++) {
		const struct nat_event e = { .type = (uint8_t)type };
		bool has = type == EVENT_QUOTA || type == EVENT_QUOTA_PROTOCOL || type == EVENT_RATE ||
			   type == EVENT_PORTS_EXHAUSTED || type == EVENT_SESSION_OPENED ||
			   type == EVENT_SESSION_CLOSED || type == EVENT_FRAGMENTS || type == EVENT_ADDRESS_BOUND ||
			   type == EVENT_ADDRESS_UNBOUND || type == EVENT_PORTMAP_MADE || type == EVENT_PORTMAP_ENDED ||
			   type == EVENT_BLOCK_GRANTED || type == EVENT_BLOCK_ENDED;

		cr_assert_eq(ipfix_layout_of(&e) >= 0, has, "type %u", type);
	}
}

Test(ipfix_encode, report_of_losses_is_that_of_the_rfc)
{
	const struct ipfix_losses losses = { .scope = 0x1234, .lost = 5, .first_ms = NOW_MS, .last_ms = NOW_MS + 1 };

	/* RFC 7011 section 4.3: exportingProcessId, notSent{Flow,Packet,Octet}TotalCount, first and last time. */
	ipfix_make_report(&message, IPFIX_REPORT_EXPORTING, &losses);
	finish(7, 1);
	cr_assert_str_eq(hex_of(message.octets, message.length),
			 squeeze("000a 0064 6553f100 00000007 00000001  0003 0024"
				 "0200 0006 0001  0090 0004  00a6 0008  00a7 0008  00a8 0008  0143 0008  0143 0008 0000"
				 "0200 0030 00001234 0000000000000005 0000000000000005 0000000000000000"
				 "0000018bcfe56800 0000018bcfe56801"));
	cr_assert_eq(message.records, 1);
	cr_assert_eq(message.events, 0);
	cr_assert_leq(message.length, IPFIX_MIN_PATH_MTU - IPFIX_PACKET_HEADERS);

	/* Section 4.2: observationDomainId, ignored{Packet,Octet}TotalCount, first and last time. */
	ipfix_make_report(&message, IPFIX_REPORT_METERING, &losses);
	finish(8, 1);
	cr_assert_str_eq(hex_of(message.octets, message.length),
			 squeeze("000a 0058 6553f100 00000008 00000001  0003 0020"
				 "0201 0005 0001  0095 0004  00a4 0008  00a5 0008  0143 0008  0143 0008 0000"
				 "0201 0028 00001234 0000000000000005 0000000000000000"
				 "0000018bcfe56800 0000018bcfe56801"));
}
