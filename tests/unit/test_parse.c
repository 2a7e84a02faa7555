/* SPDX-License-Identifier: BSD-2-Clause */
/* Text to addresses, prefixes, endpoints and names. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "config/config.h"

Test(parse, addresses_are_four_plain_decimal_octets)
{
	static const struct {
		const char *text;
		uint32_t addr;
	} good[] = {
		{ "0.0.0.0", 0 },
		{ "10.0.0.2", 0x0a000002 },
		{ "255.255.255.255", 0xffffffff },
		{ "1.20.200.9", 0x0114c809 },
	};
	static const char *const bad[] = {
		"",	     "1",	  "1.2.3",	    "1.2.3.4.5", "1.2.3.256",	     "1.2.3.-4",
		"+1.2.3.4",  " 1.2.3.4",  "1.2.3.4 ",	    "1.2.3.4\n", "01.2.3.4",	     "1.2.3.04",
		"1.2.3.00",  "0x1.2.3.4", "1..3.4",	    ".1.2.3.4",	 "1.2.3.4.",	     "1.2.3.4/32",
		"1.2.3.4:5", "::1",	  "::ffff:1.2.3.4", "localhost", "4294967296.1.1.1", "1.2.3.4294967297",
		"1,2,3,4",   "1.2.3.1e0",
	};
	uint32_t addr;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		addr = ~good[i].addr;
		cr_expect_eq(addr_parse(good[i].text, &addr), 0, "%s", good[i].text);
		cr_expect_eq(addr, good[i].addr, "%s gave %08x", good[i].text, addr);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		addr = 0xdeadbeef;
		cr_expect_eq(addr_parse(bad[i], &addr), -EINVAL, "\"%s\" was taken", bad[i]);
		cr_expect_eq(addr, 0xdeadbeef, "\"%s\" was refused, but written", bad[i]);
	}
}

Test(parse, an_address_that_is_formatted_is_read_back)
{
	uint32_t x = 1;

	for (int i = 0; i < 100000; i++) {
		char text[ADDR_TEXT];
		struct prefix p;
		uint32_t addr;

		x = x * 1664525 + 1013904223;
		cr_assert_eq(addr_parse(addr_format(x, text), &addr), 0, "%s", text);
		cr_assert_eq(addr, x);
		cr_assert_eq(prefix_parse(prefix_format(x, x % 33, text), &p), 0, "%s", text);
		cr_assert_eq(p.plen, x % 33);
		cr_assert_eq(p.base, x & prefix_mask(x % 33), "%s is masked", text);
	}
}

Test(parse, prefixes_have_a_length_and_are_masked_to_it)
{
	static const struct {
		const char *text;
		uint32_t base;
		uint8_t plen;
	} good[] = {
		{ "1.1.1.1/30", 0x01010100, 30 },  { "10.0.0.0/18", 0x0a000000, 18 },
		{ "255.255.255.255/0", 0, 0 },	   { "255.255.255.255/1", 0x80000000, 1 },
		{ "10.1.2.3/32", 0x0a010203, 32 }, { "0.0.0.0/0", 0, 0 },
	};
	static const char *const bad[] = {
		"",
		"10.0.0.0",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/08",
		"10.0.0.0/+8",
		"10.0.0.0/ 8",
		"10.0.0.0 /8",
		"10.0.0.0/8 ",
		"10.0.0.0/8/8",
		"10.0.0.0/255.0.0.0",
		"10/8",
		"10.0.0/8",
		"10.0.0.0/8.0",
		"10.0.0.0/256",
		"/8",
		"2001:db8::/32",
		"10.0.0.0\\8",
		"10.0.0.0/4294967304",
	};
	struct prefix p;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		cr_expect_eq(prefix_parse(good[i].text, &p), 0, "%s", good[i].text);
		cr_expect_eq(p.base, good[i].base, "%s", good[i].text);
		cr_expect_eq(p.plen, good[i].plen, "%s", good[i].text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect_eq(prefix_parse(bad[i], &p), -EINVAL, "\"%s\" was taken", bad[i]);
}

Test(parse, endpoints_are_an_address_and_a_port)
{
	static const char *const bad[] = {
		"",
		"1.2.3.4",
		"1.2.3.4:",
		"1.2.3.4:65536",
		"1.2.3.4:-1",
		"1.2.3.4:080",
		"1.2.3.4: 80",
		"1.2.3.4:80 ",
		"1.2.3.4:80:80",
		"1.2.3.4:http",
		":80",
		"[1.2.3.4]:80",
		"1.2.3:80",
		"1.2.3.4/80",
		"1.2.3.4:4294967376",
	};
	struct endpoint e;

	cr_expect_eq(endpoint_parse("1.1.1.1:1276", &e), 0);
	cr_expect_eq(e.addr, 0x01010101);
	cr_expect_eq(e.port, 1276);
	cr_expect_eq(endpoint_parse("198.51.100.7:0", &e), 0, "port 0 is what an ICMP session has");
	cr_expect_eq(e.port, 0);
	cr_expect_eq(endpoint_parse("0.0.0.0:65535", &e), 0);
	cr_expect_eq(e.port, 65535);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect_eq(endpoint_parse(bad[i], &e), -EINVAL, "\"%s\" was taken", bad[i]);
}

Test(parse, interface_names_are_those_the_kernel_allows)
{
	static const char *const good[] = { "e",   "eth0", "eth0.100", "br-lan", "123456789012345",
					    "v@x", "a%d",  "\xc3\xa9" };
	static const char *const bad[] = {
		"", ".", "..", "1234567890123456", "a/b", "a:1", "a b", "a\tb", "a\n", "\x7f"
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		cr_expect(interface_name_valid(good[i]), "\"%s\" was refused", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect_not(interface_name_valid(bad[i]), "\"%s\" was taken", bad[i]);
}

Test(parse, collectors)
{
	static const struct {
		const char *text;
		int r;
		uint32_t n;
	} rows[] = {
		{ "192.0.2.1:4739", 0, 1 },
		{ "udp:192.0.2.1:4739", 0, 1 },
		{ "tcp:192.0.2.1:4739", 0, 1 },
		{ "tcp:192.0.2.1:4739,192.0.2.1:4739", 0, 2 },
		{ "1.1.1.1:1,1.1.1.1:2,1.1.1.1:3,1.1.1.1:4,1.1.1.1:5,1.1.1.1:6,1.1.1.1:7,255.255.255.255:65535", 0, 8 },
		{ "1.1.1.1:1,1.1.1.1:2,1.1.1.1:3,1.1.1.1:4,1.1.1.1:5,1.1.1.1:6,1.1.1.1:7,1.1.1.1:8,1.1.1.1:9", -E2BIG },
		{ "udp:192.0.2.1:4739,192.0.2.1:4739", -EEXIST },
		{ "", -EINVAL },
		{ ",", -EINVAL },
		{ "192.0.2.1:4739,", -EINVAL },
		{ ",192.0.2.1:4739", -EINVAL },
		{ "192.0.2.1:0", -EINVAL },
		{ "tcp:192.0.2.1:0", -EINVAL },
		{ "tcp:", -EINVAL },
		{ "tcp:udp:192.0.2.1:1", -EINVAL },
		{ "sctp:192.0.2.1:1", -EINVAL },
		{ "TCP:192.0.2.1:1", -EINVAL },
		{ "tcp: 192.0.2.1:1", -EINVAL },
		{ "tcp:000000000000000000000000000000000000000000192.0.2.1:1", -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct collector_endpoint c[MAX_COLLECTORS];
		char text[COLLECTOR_TEXT];
		uint32_t n = 0;

		cr_expect_eq(collectors_parse(rows[i].text, c, &n), rows[i].r, "%s", rows[i].text);
		cr_expect_eq(n, rows[i].n, "%s", rows[i].text);
		for (uint32_t k = 0; k < n; k++) {
			struct collector_endpoint again;

			cr_expect_eq(collector_parse(collector_format(c[k], text), &again), 0);
			cr_expect(collector_same(c[k], again));
		}
	}
}
