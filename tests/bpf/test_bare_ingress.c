// SPDX-License-Identifier: BSD-2-Clause
/*
 * tc at the ingress of interfaces without an Ethernet header. BPF_PROG_TEST_RUN takes Ethernet frames alone, so the
 * packet here is its own header: one whose first 20 octets are those at which the kernel knows the IPv4 header.
 */
#include <string.h>

#include <criterion/criterion.h>

#include "fixture.h"

static void set_up_bare(void)
{
	settings.tc = TC_ALONE;
	set_up();
	datapath.device[inside_ifindex].flags |= DEVICE_BARE;
	datapath.device[outside_ifindex].flags |= DEVICE_BARE;
	datapath_raise_epoch(&datapath);
}

TestSuite(bare_ingress, .init = set_up_bare, .fini = tear_down);

/* What the agent sends in again, as fragments that came too early, has one. */
Test(bare_ingress, a_frame_that_has_a_header_gets_no_other)
{
	uint16_t port = (uint16_t)open_flow(UDP, 1234, 53, 0);
	const struct row rows[] = {
		{ "an answer",
		  INGRESS_OUTSIDE,
		  { .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL, UDP, 53, port, .payload = 40 },
		  PASS_TC,
		  { .from = ROUTER,
		    .to = GATEWAY_OUT,
		    .src = EXTERNAL,
		    .dst = SUBSCRIBER,
		    UDP,
		    53,
		    1234,
		    .payload = 40 },
		  REASON_out2in_translated },
	};

	RUN_ROWS(rows);
}

#define PACKET_SIZE 64
#define FRAME_SIZE  (PACKET_SIZE + 14)

/*
 * Octets 14..33 are octets 0..19, so that an IPv4 packet begins at either place. type: of the frame, and the first two
 * octets of the source.
 */
static size_t bare_packet(uint16_t type, uint8_t *ret)
{
	const uint8_t header[14] = { 0x45,	   0, 0, PACKET_SIZE, 0, 9, 0, 0, 64, UDP, 0, 0, (uint8_t)(type >> 8),
				     (uint8_t)type };

	memset(ret, 0, FRAME_SIZE);
	memcpy(ret, header, sizeof(header));
	memcpy(ret + 14, header, sizeof(header));
	memcpy(ret + 28, header, 6);
	return FRAME_SIZE;
}

static void expect_passed(const char *name, uint16_t type, bool gets_header)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	size_t size = bare_packet(type, in), out_size, want_size = size + (gets_header ? 14 : 0);

	memset(want, 0, 14);
	want[12] = 8;
	memcpy(want + want_size - size, in, size);
	run_frame_counted(name, INGRESS_OUTSIDE, in, size, out, &out_size, PASS_TC, REASON_passed_untranslated);
	cr_expect(frame_equal(name, out, out_size, want, want_size), "%s: another packet", name);
}

Test(bare_ingress, a_packet_without_a_header_gets_one)
{
	expect_passed("IPv4", 0x800, true);
}

Test(bare_ingress, a_packet_that_is_not_ipv4_gets_no_header)
{
	expect_passed("another protocol", 0x88b5, false);
}

Test(bare_ingress, nor_does_a_packet_of_an_interface_that_has_them)
{
	datapath.device[outside_ifindex].flags &= (uint8_t)~DEVICE_BARE;
	datapath_raise_epoch(&datapath);
	expect_passed("IPv4", 0x800, false);
}
