// SPDX-License-Identifier: BSD-2-Clause
/* ARP requests for pool addresses (RFC 826), octet by octet. What is not answered goes to the kernel as it came. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "fixture.h"
#include "told_routes.h"

TestSuite(arp, .init = set_up, .fini = tear_down);

#define ARP_SIZE 42

/* Places in the frame. */
enum { TO = 0, HARDWARE = 14, PROTOCOL = 16, LENGTHS = 18, OPERATION = 20, SENDER = 22, TARGET = 32 };

#define REQUEST                                                                                                     \
	{                                                                                                           \
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 4, 8, 6, /* from ROUTER, to all */               \
			0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 4, 198, 51, 100, 7, 0, 0, 0, 0, 0, 0, 203, 0, 113, 0 \
	}

/* One request, an octet or two of which are others. */
struct request {
	const char *name;
	unsigned at;
	uint8_t octets[6];
	unsigned n;
	bool answered;
};

static enum hook asked = XDP_OUTSIDE;

static void run_request(const struct request *r, uint8_t *out)
{
	static const uint8_t request[ARP_SIZE] = REQUEST;
	uint64_t answered = counted(REASON_arp_answered), passed = counted(REASON_passed_untranslated);
	uint8_t in[FRAME_MAX] = { 0 };
	size_t size;
	int verdict;

	memcpy(in, request, ARP_SIZE);
	memcpy(in + r->at, r->octets, r->n);
	refresh_followed_routes();
	verdict = run_frame(asked, in, ARP_SIZE, out, &size);
	cr_expect_eq(verdict, r->answered ? REDIRECT_XDP : PASS_XDP, "%s: verdict %d", r->name, verdict);
	cr_expect_eq(counted(REASON_arp_answered) - answered, r->answered, "%s", r->name);
	cr_expect_eq(counted(REASON_passed_untranslated) - passed, !r->answered, "%s", r->name);
	cr_expect_eq(size, ARP_SIZE);
	if (!r->answered)
		cr_expect_arr_eq(out, in, ARP_SIZE, "%s: it is left as it was", r->name);
}

Test(arp, a_pool_address_is_at_the_interface_that_was_asked)
{
	static const uint8_t want[ARP_SIZE] = {
		2, 0, 0, 0, 0, 4, 2, 0,	  0, 0,	  0, 2, 8, 6, 0, 1, 8, 0,   6,	4,   0,
		2, 2, 0, 0, 0, 0, 2, 203, 0, 113, 0, 2, 0, 0, 0, 0, 4, 198, 51, 100, 7
	};
	static const struct request requests[] = {
		{ "to all", 0, { 0xff }, 1, true },
		{ "to the interface", TO, { 2, 0, 0, 0, 0, 2 }, 6, true },
		{ "to a group", TO, { 1, 0, 0x5e, 0, 0, 1 }, 6, true },
	};
	uint8_t out[FRAME_MAX];

	for (unsigned i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		run_request(&requests[i], out);
		cr_expect_arr_eq(out, want, ARP_SIZE, "%s", requests[i].name);
	}
}

Test(arp, a_frame_that_requests_no_pool_address_is_left_alone)
{
	static const struct request requests[] = {
		{ "to another station", TO, { 2, 0, 0, 0, 0, 9 }, 6, false },
		{ "other hardware", HARDWARE, { 0, 6 }, 2, false },
		{ "another protocol", PROTOCOL, { 0x86, 0xdd }, 2, false },
		{ "longer hardware addresses", LENGTHS, { 8 }, 1, false },
		{ "longer addresses", LENGTHS + 1, { 16 }, 1, false },
		{ "a reply", OPERATION, { 0, 2 }, 2, false },
		{ "RARP", OPERATION, { 0, 3 }, 2, false },
		{ "for an address of nobody", TARGET + 6, { 198, 51, 100, 9 }, 4, false },
		{ "for the address behind the pool", TARGET + 6, { 203, 0, 113, 4 }, 4, false },
		{ "for an address of the gateway", TARGET + 6, { 203, 0, 113, 1 }, 4, false },
		{ "gratuitous", SENDER + 6, { 203, 0, 113, 0 }, 4, false },
	};
	uint8_t out[FRAME_MAX];

	cr_assert_eq(system("ip addr add 203.0.113.1/32 dev lo"), 0);
	datapath_raise_epoch(&datapath);
	for (unsigned i = 0; i < sizeof(requests) / sizeof(*requests); i++)
		run_request(&requests[i], out);
}

Test(arp, nor_is_one_on_an_interface_without_a_role_or_where_it_is_off)
{
	static const struct request ignored = { "ignored", 0, { 0xff }, 1, false };
	uint8_t out[FRAME_MAX];

	datapath.device[outside_ifindex].roles = 0;
	run_request(&ignored, out);
	datapath.device[outside_ifindex].roles = DEVICE_OUTSIDE;
	settings.answer_arp = 0;
	reload_settings();
	run_request(&ignored, out);
}

Test(arp, on_a_stick_too)
{
	static const struct request request = { "to all", 0, { 0xff }, 1, true };
	static const uint8_t mac[] = { 2, 0, 0, 0, 0, GATEWAY_IN };
	uint8_t out[FRAME_MAX];

	datapath.device[inside_ifindex].roles = DEVICE_INSIDE | DEVICE_OUTSIDE;
	datapath_raise_epoch(&datapath);
	asked = XDP_BOTH;
	run_request(&request, out);
	cr_expect_arr_eq(out + 6, mac, sizeof(mac), "from the interface that was asked");
}
