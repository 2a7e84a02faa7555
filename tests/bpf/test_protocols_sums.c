// SPDX-License-Identifier: BSD-2-Clause
/* Protocols whose checksum covers addresses, and short packets; of the suite of test_protocols.c. */
#include <string.h>

#include <criterion/criterion.h>

#include "icmp_frame.h"
#include "protocols.h"
#include "told_routes.h"

/* A packet of UDP-Lite or DCCP, whose checksum at octet 6 covers a pseudo header. */
static size_t build_summed(const struct frame *f, uint16_t add, uint8_t *buffer)
{
	size_t size = frame_build(f, buffer), length = 8U + f->payload;
	uint8_t *l4 = buffer + 34, pseudo[12] = { 0 };
	uint16_t sum;

	memcpy(pseudo, buffer + 26, 8);
	pseudo[9] = f->proto;
	pseudo[11] = (uint8_t)length;
	l4[4] = 0;
	l4[5] = 8;
	l4[6] = l4[7] = 0;
	sum = sum_finish(sum_octets(l4, length, sum_octets(pseudo, sizeof(pseudo), 0)));
	if (f->proto == UDP_LITE && !sum)
		sum = 0xffff;
	sum = (uint16_t)(sum + add);
	l4[6] = (uint8_t)(sum >> 8);
	l4[7] = (uint8_t)sum;
	return size;
}

/* A source port with which the checksum of UDP-Lite is 0xffff, as its sum is 0. */
static uint16_t port_for_zero(struct frame f)
{
	uint8_t octets[FRAME_MAX];

	for (unsigned port = 1; port < 65536; port++) {
		f.sport = (uint16_t)port;
		build_summed(&f, 0, octets);
		if (octets[40] == 0xff && octets[41] == 0xff)
			return (uint16_t)port;
	}
	cr_assert_fail("no port has that checksum");
	return 0;
}

/* An error from outside about UDP-Lite, whose checksum is as right in the quote afterwards. */
Test(protocols, icmp_errors_keep_quoted_checksums)
{
	static const uint8_t protos[] = { UDP_LITE, DCCP, UDP_LITE };

	for (int i = 0; i < 3; i++) {
		struct frame sent = { .src = OWN_OUT, .dst = EXTERNAL, protos[i], 1, 2, .payload = 40 };
		struct frame seen = { .src = OWN, .dst = EXTERNAL, protos[i], 1, 2, .payload = 40 };

		if (i == 2)
			sent.sport = seen.sport = port_for_zero(seen);

		struct icmp_error e = { FROM_FAR, .dst = OWN_OUT, 3, 4, .quote = sent };
		uint8_t in[FRAME_MAX], out[FRAME_MAX], quote[FRAME_MAX], *icmp = in + 34;
		size_t size = icmp_error_build(&e, in), out_size;
		uint16_t sum;

		build_summed(&sent, 0, quote);
		memcpy(icmp + 8, quote + 14, ip_length(quote));
		icmp[2] = icmp[3] = 0;
		sum = sum_finish(sum_octets(icmp, 8 + ip_length(quote), 0));
		icmp[2] = (uint8_t)(sum >> 8);
		icmp[3] = (uint8_t)sum;
		run_frame_counted("quoted", XDP_OUTSIDE, in, size, out, &out_size, REDIRECT_XDP,
				  REASON_icmp_error_translated);
		build_summed(&seen, 0, quote);
		cr_expect_arr_eq(out + 42, quote + 14, ip_length(quote), "protocol %u", protos[i]);
		cr_expect_eq(sum_finish(sum_octets(out + 34, 8 + ip_length(quote), 0)), 0);
	}
}

static void expect_summed(enum hook hook, const struct frame *f, const struct frame *g, uint16_t add)
{
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	size_t size = build_summed(f, add, in), want_size = build_summed(g, add, want), out_size;

	refresh_followed_routes();
	cr_expect_eq(run_frame(hook, in, size, out, &out_size), hook == TC_OUTSIDE ? PASS_TC : REDIRECT_XDP);
	cr_expect(frame_equal(hook == TC_OUTSIDE ? "tc" : "XDP", out, out_size, want, want_size),
		  "protocol %u, hook %d", f->proto, hook);
}

Test(protocols, checksums_that_cover_addresses_are_updated)
{
	static const uint8_t protos[] = { UDP_LITE, DCCP };
	uint8_t in[FRAME_MAX], out[FRAME_MAX];
	unsigned ffff = 0;
	size_t size;

	for (int i = 0; i < 2; i++)
		for (uint16_t wrong = 0; wrong < 2; wrong++) {
			struct frame sent = { OWN_SENDS, protos[i], 1, 2, .payload = 40 };
			struct frame left = { OWN_LEAVES, protos[i], 1, 2, .payload = 40 };
			struct frame routed = { .from = HOST,
						.to = GATEWAY_IN,
						.src = OWN_OUT,
						.dst = EXTERNAL,
						protos[i],
						1,
						2,
						.payload = 40 };
			struct frame answer = { TO_OWN, protos[i], 2, 1, .payload = 41 };
			struct frame came = { OWN_GETS, protos[i], 2, 1, .payload = 41 };

			expect_summed(XDP_INSIDE, &sent, &left, wrong);
			expect_summed(TC_OUTSIDE, &sent, &routed, wrong);
			expect_summed(XDP_OUTSIDE, &answer, &came, wrong);
		}
	/* Every checksum there is: none of UDP-Lite becomes 0. */
	for (uint32_t port = 0; port < 65536; port++) {
		struct frame sent = { OWN_SENDS, UDP_LITE, (uint16_t)port, 2 };
		struct frame left = { OWN_LEAVES, UDP_LITE, (uint16_t)port, 2 };
		uint8_t want[FRAME_MAX];
		size_t want_size = build_summed(&left, 0, want);

		size = build_summed(&sent, 0, in);
		run_frame(XDP_INSIDE, in, size, out, &size);
		cr_assert(frame_equal("UDP-Lite", out, size, want, want_size), "port %u", port);
		ffff += out[40] == 0xff && out[41] == 0xff;
	}
	cr_expect_geq(ffff, 1, "the case was among them");

	/* One that is 0, which UDP-Lite forbids, stays so; one that is not there is no packet. */
	struct frame none = { OWN_SENDS, UDP_LITE, 1, 2, .payload = 4 };

	size = build_summed(&none, 0, in);
	in[40] = in[41] = 0;
	for (enum hook hook = XDP_INSIDE; hook <= TC_OUTSIDE; hook += TC_OUTSIDE) {
		run_frame(hook, in, size, out, &size);
		cr_expect_eq(out[40] | out[41], 0);
		cr_expect_eq(out[29], OWN_OUT & 255);
	}

	uint64_t malformed = counted(REASON_drop_malformed);

	in[17] = 20 + 7; /* total length: one octet too few for the checksum */
	in[24] = in[25] = 0;

	uint16_t sum = sum_finish(sum_octets(in + 14, 20, 0));

	in[24] = (uint8_t)(sum >> 8);
	in[25] = (uint8_t)sum;
	cr_expect_eq(run_frame(XDP_INSIDE, in, 14 + 27, out, &size), DROP_XDP);
	cr_expect_eq(run_frame(TC_OUTSIDE, in, 14 + 27, out, &size), DROP_TC);
	cr_expect_eq(counted(REASON_drop_malformed), malformed + 2);
}

/*
 * An error whose quoted packet has `payload` octets behind its IP header and is quoted up to `cut` of them. Its length
 * is returned.
 */
static size_t short_error(const struct icmp_error *e, uint8_t payload, uint8_t cut, uint8_t *ret)
{
	struct icmp_error cut_short = *e;
	uint8_t *icmp = ret + 34, *quote = icmp + 8;
	uint16_t sum;
	size_t size;

	cut_short.quote_length = (uint16_t)(20 + cut);
	size = icmp_error_build(&cut_short, ret);
	quote[2] = 0;
	quote[3] = (uint8_t)(20 + payload);
	memset(quote + 10, 0, 2);
	sum = sum_finish(sum_octets(quote, 20, 0));
	memcpy(quote + 10, (uint8_t[]){ (uint8_t)(sum >> 8), (uint8_t)sum }, 2);
	memset(icmp + 2, 0, 2);
	sum = sum_finish(sum_octets(icmp, 28U + cut, 0));
	memcpy(icmp + 2, (uint8_t[]){ (uint8_t)(sum >> 8), (uint8_t)sum }, 2);
	return size;
}

/* RFC 792 asks for 8 octets behind the quoted header; the packet may have had fewer. */
Test(protocols, icmp_errors_that_quote_all_of_a_short_packet_are_translated)
{
	static const struct {
		const char *name;
		enum hook hook;
		struct icmp_error in, out;
	} cases[] = {
		{ "from outside",
		  XDP_OUTSIDE,
		  { FROM_FAR, .dst = OWN_OUT, 3, 2,
		    .quote = { .src = OWN_OUT, .dst = EXTERNAL, GRE, .ttl = 9, .payload = 40 } },
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = FAR,
		    .dst = OWN,
		    3,
		    2,
		    .ttl = 63,
		    .quote = { .src = OWN, .dst = EXTERNAL, GRE, .ttl = 9, .payload = 40 } } },
		{ "from inside",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = OWN,
		    .dst = EXTERNAL,
		    3,
		    2,
		    .quote = { .src = EXTERNAL, .dst = OWN, GRE, .ttl = 9, .payload = 40 } },
		  { .from = GATEWAY_OUT,
		    .to = ROUTER,
		    .src = OWN_OUT,
		    .dst = EXTERNAL,
		    3,
		    2,
		    .ttl = 63,
		    .quote = { .src = EXTERNAL, .dst = OWN_OUT, GRE, .ttl = 9, .payload = 40 } } },
		{ "about a hairpin",
		  XDP_INSIDE,
		  { .from = HOST,
		    .to = GATEWAY_IN,
		    .src = SECOND,
		    .dst = OWN_OUT,
		    3,
		    2,
		    .quote = { .src = OWN_OUT, .dst = SECOND, GRE, .ttl = 9, .payload = 40 } },
		  { .from = GATEWAY_IN,
		    .to = HOST,
		    .src = SECOND_OUT,
		    .dst = OWN,
		    3,
		    2,
		    .ttl = 63,
		    .quote = { .src = OWN, .dst = SECOND_OUT, GRE, .ttl = 9, .payload = 40 } } },
	};
	uint8_t in[FRAME_MAX], out[FRAME_MAX], want[FRAME_MAX];
	struct icmp_error summed = cases[0].in;
	size_t size, out_size;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (uint8_t octets = 0; octets < 9; octets++) {
			size = short_error(&cases[i].in, octets, octets < 8 ? octets : 8, in);
			run_frame_counted(cases[i].name, cases[i].hook, in, size, out, &out_size, REDIRECT_XDP,
					  REASON_icmp_error_translated);
			cr_expect(frame_equal(cases[i].name, out, out_size, want,
					      short_error(&cases[i].out, octets, octets < 8 ? octets : 8, want)));
		}
		size = short_error(&cases[i].in, 7, 6, in);
		run_frame_counted("cut", cases[i].hook, in, size, out, &out_size, DROP_XDP, REASON_drop_malformed);
	}
	summed.quote.proto = UDP_LITE;
	size = short_error(&summed, 7, 7, in);
	run_frame_counted("without room for its checksum", XDP_OUTSIDE, in, size, out, &out_size, DROP_XDP,
			  REASON_drop_malformed);
}
