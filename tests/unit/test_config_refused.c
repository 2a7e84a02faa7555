/* SPDX-License-Identifier: BSD-2-Clause */
/* Every refusal: the row's text gives the row's message, to the letter, with file, line and key path. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "config_fixture.h"

#define INTERFACES     "\"interfaces\":{\"inside\":[\"eth1\"],\"outside\":[\"eth0\"]}"
#define WITH(keys)     "{" INTERFACES ",\n" keys "}"
#define MAPPINGS(list) WITH("\"mappings\":[\n" list "]")
#define IPFIX(keys)    WITH("\"ipfix\":{" keys "}")
#define COLLECTOR      "\"collector\":\"192.0.2.10:4739\""

#define EXPECT_REFUSED(...) \
	expect_refused((const struct refused_row[])__VA_ARGS__, ARRAY_SIZE(((const struct refused_row[])__VA_ARGS__)))

Test(config_refused, keys)
{
	static const struct refused_row rows[] = {
		{ "{}", ":1: interfaces: this key is missing" },
		{ "\n\n{}", ":3: interfaces: this key is missing" },
		{ "[]", ":1: must be an object" },
		{ "null", ":1: must be an object" },
		{ "7", ":1: must be an object" },
		{ WITH("\"colour\":1"), ":2: colour: unknown key" },
		{ WITH("\"Hairpin\":true"), ":2: Hairpin: unknown key" },
		{ WITH("\"\":true"), ":2: \"\": unknown key" },
		{ WITH("\"hairpin \":true"), ":2: hairpin?: unknown key" },
		{ WITH("\"hairpin\":true,\n\"answer_arp\":true,\n\"hairpin\":true"),
		  ":4: hairpin: this key stands here twice" },
		{ WITH("\"hairpin\":true,\n\"hair\\u0070in\":true"), ":3: hairpin: this key stands here twice" },
		{ WITH(INTERFACES), ":2: interfaces: this key stands here twice" },
		{ WITH("\"mappings\":[],\"mappings\":[]"), ":2: mappings: this key stands here twice" },
		{ WITH("\"timeouts\":{\"udp\":1,\n\"udp\":2}"), ":3: timeouts.udp: this key stands here twice" },
		{ WITH("\"timeouts\":{\n\"UDP\":1}"), ":3: timeouts.UDP: unknown key" },
		{ WITH("\"metrics\":{\"port\":1}"), ":2: metrics.port: unknown key" },
		{ WITH("\"bypass\":[],\"bypass\":[]"), ":2: bypass: this key stands here twice" },
		{ WITH("\"x\":{\"y\":[{}]}"), ":2: x: unknown key" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

#define SPARED "{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/30\",\n\"spare\":"

Test(config_refused, spare_addresses_and_ends)
{
	static const struct refused_row rows[] = {
		{ MAPPINGS(SPARED "\"1.1.2.0/30\"}"), ":4: mappings[0].spare: must be a list of prefixes" },
		{ MAPPINGS(SPARED "[\"1.1.2.0\"]}"),
		  ":4: mappings[0].spare[0]: must be an IPv4 prefix such as \"10.0.0.0/18\", not \"1.1.2.0\"" },
		{ MAPPINGS(SPARED "[\"1.1.1.2/31\"]}"),
		  ":4: mappings[0].spare[0]: 1.1.1.2/31 overlaps 1.1.1.0/30, the outside range of 10.0.0.0/24" },
		{ MAPPINGS(SPARED "[\"10.0.0.7/32\"]}"),
		  ":4: mappings[0].spare[0]: 10.0.0.7/32 overlaps 10.0.0.0/24, the inside range of 10.0.0.0/24" },
		{ MAPPINGS(SPARED "[\"1.1.2.0/30\",\"1.1.2.3/32\"]}"),
		  ":4: mappings[0].spare[1]: 1.1.2.3/32 overlaps 1.1.2.0/30, spare addresses of 10.0.0.0/24" },
		{ MAPPINGS(SPARED "[\"1.1.2.0/30\"]},\n{\"in\":\"10.0.1.0/24\",\"out\":\"1.1.2.0/30\"}"),
		  ":4: mappings[0].spare[0]: 1.1.2.0/30 overlaps 1.1.2.0/30, the outside range of 10.0.1.0/24" },
		{ MAPPINGS(SPARED "[\"1.1.2.0/30\"]},\n{\"in\":\"10.0.0.0/26\",\"out\":\"1.1.2.0/29\"}"),
		  ":4: mappings[0].spare[0]: 1.1.2.0/30 overlaps 1.1.2.0/29, the outside range of 10.0.0.0/26" },
		{ MAPPINGS(SPARED "[\"1.1.2.0/30\"]},\n{\"in\":\"10.0.1.0/24\",\"out\":\"1.1.3.0/30\",\n\"spare\":"
				  "[\"1.1.2.0/29\"]}"),
		  ":6: mappings[1].spare[0]: 1.1.2.0/29 overlaps 1.1.2.0/30, spare addresses of 10.0.0.0/24" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":null,\n\"spare\":[\"1.1.2.0/30\"]}"),
		  ":4: mappings[0].spare: is of no use where nothing is translated" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/30\",\n\"until\":\"tomorrow\"}"),
		  ":4: mappings[0].until: must be a time of RFC 3339, such as \"2026-01-31T10:00:00Z\", not "
		  "\"tomorrow\"" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/30\",\n\"until\":1796079600}"),
		  ":4: mappings[0].until: must be a time of RFC 3339, such as \"2026-01-31T10:00:00Z\", not "
		  "1796079600" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/30\",\"until\":\"2026-12-01\"}],\n\"portmaps\":[{"
			   "\"proto\":\"tcp\",\"in\":\"10.0.0.2:80\",\n\"out\":\"1.1.1.0:80\"}"),
		  ":5: portmaps[0].out: 10.0.0.2 has 1.1.1.0 only until 2026-12-01T00:00:00Z; a portmap without `out` "
		  "would go with it" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/30\",\"until\":\"2026-12-01\"}],\n\"portmaps\":[{"
			   "\"proto\":\"tcp\",\"in\":\"10.0.0.2:80\"}"),
		  ":4: portmaps[0].in: 10.0.0.2 is a subscriber only until 2026-12-01T00:00:00Z; leave out the "
		  "portmap, or "
		  "`until` of its mapping" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/"
			   "30\",\"inbound\":\"sessions\",\"until\":\"2026-12-01\"},"
			   "{\"in\":\"10.0.0.0/23\",\"out\":null}],\n\"portmaps\":[{"
			   "\"proto\":\"tcp\",\"in\":\"10.0.0.2:80\"}"),
		  ":4: portmaps[0].in: 10.0.0.2 is a subscriber only until 2026-12-01T00:00:00Z; leave out the "
		  "portmap, or "
		  "`until` of its mapping" },
		{ MAPPINGS("{\"name\":\"a\",\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/30\",\"until\":\"2026-12-01\"}],"
			   "\"pcp\":{\"listen\":[\"10.9.0.1\"],\"mappings\":[\"a\"]},\"bypass\":[\"10.1.0.0/16\""),
		  ": pcp.mappings[0]: a is there only until 2026-12-01T00:00:00Z; name mappings that stay" },
		{ WITH("\"reload_guard\":-1"),
		  ":2: reload_guard: must be a whole number from 0 to 4294967295, not -1" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

#define TO_POOL	   "\"mappings\":[{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/30\"}],\n"
#define PORTMAP(x) WITH(TO_POOL "\"portmaps\":[{" x "}]")

Test(config_refused, portmaps)
{
	static const struct refused_row rows[] = {
		{ PORTMAP("\"proto\":\"tcp\""), ":3: portmaps[0].in: this key is missing" },
		{ PORTMAP("\"proto\":\"icmp\",\"in\":\"10.0.0.2:1\""),
		  ":3: portmaps[0].proto: must be one of \"tcp\", \"udp\", \"both\", not \"icmp\"" },
		{ PORTMAP("\"proto\":\"tcp\",\"in\":\"10.9.0.2:1\""),
		  ":3: portmaps[0].in: 10.9.0.2 is an inside address of no mapping: portmap 10.9.0.2:1 has to name a "
		  "subscriber, or be deleted first" },
		{ PORTMAP("\"proto\":\"tcp\",\"in\":\"10.0.0.2:1\",\n\"out\":\"1.1.1.1:1\""),
		  ":4: portmaps[0].out: 10.0.0.2 leaves by 1.1.1.0, not by 1.1.1.1: portmap 10.0.0.2:1 has to have "
		  "1.1.1.0 "
		  "outside, or be deleted first" },
		{ PORTMAP("\"proto\":\"tcp\",\"in\":\"10.0.0.2:1\",\n\"out\":\"1.1.1.0:1024\""),
		  ":4: portmaps[0].out: port 1024 of 1.1.1.0 is in the block of 10.0.0.0: take one of 3040 to 4047, "
		  "or below 1024" },
		{ PORTMAP("\"proto\":\"tcp\",\"in\":\"10.0.0.2:1-2\",\n\"out\":\"1.1.1.0:1\""),
		  ":4: portmaps[0].out: has 1 ports, but `in` has 2" },
		{ PORTMAP("\"proto\":\"tcp\",\"in\":\"10.0.0.2:1\"},\n{\"proto\":\"both\",\"in\":\"10.0.0.2:1\""),
		  ":4: portmaps[1].out: tcp 1.1.1.0:3041 is taken by another portmap, 10.0.0.2:1" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

Test(config_refused, interfaces)
{
	static const struct refused_row rows[] = {
		{ "{\"interfaces\":[]}", ":1: interfaces: must be an object" },
		{ "{\"interfaces\":{}}", ":1: interfaces.inside: this key is missing" },
		{ "{\"interfaces\":{\"inside\":[]}}", ":1: interfaces.outside: this key is missing" },
		{ "{\"interfaces\":{\"outside\":[]}}", ":1: interfaces.inside: this key is missing" },
		{ "{\"interfaces\":{\"inside\":\"eth1\",\"outside\":[]}}",
		  ":1: interfaces.inside: must be a list of names of interfaces" },
		{ "{\"interfaces\":{\"inside\":[],\"outside\":[],\n\"both\":[]}}", ":2: interfaces.both: unknown key" },
		{ "{\"interfaces\":{\"inside\":[\"a\",\n\"b\",\n\"a\"],\"outside\":[]}}",
		  ":3: interfaces.inside[2]: a stands in this list already" },
		{ "{\"interfaces\":{\"inside\":[\"a\"],\"outside\":[\"a\",\n\"a\"]}}",
		  ":2: interfaces.outside[1]: a stands in this list already" },
		{ "{\"interfaces\":{\"inside\":[\"\"],\"outside\":[]}}",
		  ":1: interfaces.inside[0]: must be the name of an interface, 1 to 15 characters" },
		{ "{\"interfaces\":{\"inside\":[],\n\"outside\":[\"*\"]}}",
		  ":2: interfaces: \"*\" cannot be outside: name the outside interfaces, or write a name with '*' such "
		  "as "
		  "\"wan*\"" },
		{ "{\"interfaces\":{\"inside\":[\"**\"],\"outside\":[]}}",
		  ":1: interfaces: write \"*\" for any interface, or a name with '*' such as \"ppp*\"" },
		{ "{\"interfaces\":{\"inside\":[{\"name\":\"*\",\"xdp_mode\":\"auto\"}],\"outside\":[]}}",
		  ":1: interfaces: \"*\" runs no XDP: leave its 'xdp_mode' out" },
		{ "{\"interfaces\":{\"inside\":[\"1234567890123456\"],\"outside\":[]}}",
		  ":1: interfaces.inside[0]: must be the name of an interface, 1 to 15 characters" },
		{ "{\"interfaces\":{\"inside\":[],\"outside\":[\"a\",\"b/c\"]}}",
		  ":1: interfaces.outside[1]: must be the name of an interface, 1 to 15 characters" },
		{ "{\"interfaces\":{\"inside\":[1],\"outside\":[]}}",
		  ":1: interfaces.inside[0]: must be the name of an interface, 1 to 15 characters" },
		{ "{\"interfaces\":{\"inside\":[null],\"outside\":[]}}",
		  ":1: interfaces.inside[0]: must be the name of an interface, 1 to 15 characters" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

Test(config_refused, shape_of_mappings)
{
	static const struct refused_row rows[] = {
		{ WITH("\"mappings\":{}"), ":2: mappings: must be a list of mappings" },
		{ MAPPINGS("\"10.0.0.0/8\""), ":3: mappings[0]: must be an object" },
		{ MAPPINGS("{}"), ":3: mappings[0].in: this key is missing" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\"}"), ":3: mappings[0].out: this key is missing" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\n\"out\":\"1.1.1.0/30\"},\n{\"out\":\"2.2.2.0/30\"}"),
		  ":5: mappings[1].in: this key is missing" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\"sessions\":1}"),
		  ":3: mappings[0].sessions: unknown key" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\n\"in\":\"11.0.0.0/18\"}"),
		  ":4: mappings[0].in: this key stands here twice" },
		{ MAPPINGS("{\"in\":\"10.0.0.0\",\"out\":\"1.1.1.0/30\"}"),
		  ":3: mappings[0].in: must be an IPv4 prefix such as \"10.0.0.0/18\", not \"10.0.0.0\"" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/33\"}"),
		  ":3: mappings[0].out: must be an IPv4 prefix such as \"10.0.0.0/18\", or null, not \"1.1.1.0/33\"" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1/30\"}"),
		  ":3: mappings[0].out: must be an IPv4 prefix such as \"10.0.0.0/18\", or null, not \"1.1.1/30\"" },
		{ MAPPINGS("{\"in\":\"2001:db8::/32\",\"out\":\"1.1.1.0/30\"}"),
		  ":3: mappings[0].in: must be an IPv4 prefix such as \"10.0.0.0/18\", not \"2001:db8::/32\"" },
		{ MAPPINGS("{\"in\":10,\"out\":\"1.1.1.0/30\"}"),
		  ":3: mappings[0].in: must be an IPv4 prefix such as \"10.0.0.0/18\", not 10" },
		{ MAPPINGS("{\"in\":null,\"out\":\"1.1.1.0/30\"}"),
		  ":3: mappings[0].in: must be an IPv4 prefix such as \"10.0.0.0/18\", not null" },
		{ MAPPINGS("{\"in\":[\"10.0.0.0/18\"],\"out\":\"1.1.1.0/30\"}"),
		  ":3: mappings[0].in: must be an IPv4 prefix such as \"10.0.0.0/18\", not a list" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\\u001b[2J\",\"out\":\"1.1.1.0/30\"}"),
		  ":3: mappings[0].in: must be an IPv4 prefix such as \"10.0.0.0/18\", not \"10.0.0.0/18?[2J\"" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\"sessions_per_user\":0}"),
		  ":3: mappings[0].sessions_per_user: must be a whole number from 1 to 65535, not 0" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\"sessions_per_user\":65536}"),
		  ":3: mappings[0].sessions_per_user: must be a whole number from 1 to 65535, not 65536" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\"name\":\"a b\"}"),
		  ":3: mappings[0].name: must be a name of 1 to 63 of A-Z, a-z, 0-9, \".\", \"_\" and, not first, "
		  "\"-\", not \"a "
		  "b\"" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\"name\":\"10.0.0\"}"),
		  ":3: mappings[0].name: must be a name of 1 to 63 of A-Z, a-z, 0-9, \".\", \"_\" and, not first, "
		  "\"-\", not "
		  "\"10.0.0\"" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\"name\":\"--drain\"}"),
		  ":3: mappings[0].name: must be a name of 1 to 63 of A-Z, a-z, 0-9, \".\", \"_\" and, not first, "
		  "\"-\", not "
		  "\"--drain\"" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\"name\":5}"),
		  ":3: mappings[0].name: must be a name of 1 to 63 of A-Z, a-z, 0-9, \".\", \"_\" and, not first, "
		  "\"-\", not 5" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\"comment\":\"a\\nb\"}"),
		  ":3: mappings[0].comment: must be a text of at most 256 octets without control characters, not "
		  "\"a?b\"" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\"name\":\"a\"},\n"
			   "{\"in\":\"10.1.0.0/18\",\"out\":\"1.1.2.0/30\",\"name\":\"a\"}"),
		  ":4: mappings[1].name: a is the name of the mapping of 10.0.0.0/18 already" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\"drain\":604801}"),
		  ":3: mappings[0].drain: must be a whole number from 0 to 604800, not 604801" },
		{ WITH("\"comment\":[]"),
		  ":2: comment: must be a text of at most 256 octets without control characters, not a list" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\"session_slots\":0}"),
		  ":3: mappings[0].session_slots: must be \"auto\" or a power of two from 8 to 2048, not 0" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\n"
			   "\"endpoint_independent\":{\"mapping\":[\"udp\"],\"filtering\":[\"udp\",\"tcp\"]}}"),
		  ":4: mappings[0].endpoint_independent.filtering: tcp must be in `mapping`, too: only a port that is "
		  "one "
		  "inside port's for everybody can be open to everybody" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/"
			   "30\",\"endpoint_independent\":{\"mapping\":\"udp\"}}"),
		  ":3: mappings[0].endpoint_independent.mapping: must be a list of protocols" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":null,\n\"endpoint_independent\":{\"mapping\":[\"udp\"]}}"),
		  ":4: mappings[0].endpoint_independent: a mapping that is not translated has no ports, so it has no "
		  "effect: leave endpoint_independent out" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/24\",\"inbound\":\"open\","
			   "\"endpoint_independent\":{}}"),
		  ":3: mappings[0].endpoint_independent: a mapping whose inbound is \"open\" has no sessions, so it "
		  "has no "
		  "effect: leave endpoint_independent out" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\"session_slots\":100}"),
		  ":3: mappings[0].session_slots: must be \"auto\" or a power of two from 8 to 2048, not 100" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

#define MAPPING(in, out) "{\"in\":\"" in "\",\n\"out\":\"" out "\"}"

Test(config_refused, geometry_and_overlaps_of_mappings)
{
	static const struct refused_row rows[] = {
		{ MAPPINGS(MAPPING("10.0.0.0/24", "1.1.0.0/23")),
		  ":4: mappings[0].out: 1.1.0.0/23 is larger than the inside range 10.0.0.0/24" },
		{ MAPPINGS(MAPPING("10.0.0.0/14", "1.1.1.0/30")),
		  ":4: mappings[0].out: 1.1.1.0/30 is too small for 10.0.0.0/14: less than one port a host" },
		{ MAPPINGS(MAPPING("0.0.0.0/1", "128.0.0.0/32")),
		  ":4: mappings[0].out: 128.0.0.0/32 is too small for 0.0.0.0/1: less than one port a host" },
		{ MAPPINGS(MAPPING("0.0.0.0/0", "128.0.0.0/32")),
		  ":4: mappings[0].out: 128.0.0.0/32 is too small for 0.0.0.0/0: less than one port a host" },
		{ MAPPINGS(MAPPING("0.0.0.0/0", "0.0.0.0/0")),
		  ":4: mappings[0].out: 0.0.0.0/0 overlaps 0.0.0.0/0, mappings[0].in" },
		{ MAPPINGS(MAPPING("10.0.0.0/18", "1.1.1.0/30") ",\n" MAPPING("10.0.0.0/18", "1.1.1.0/30")),
		  ":5: mappings[1].in: 10.0.0.0/18 is mappings[0].in already" },
		{ MAPPINGS(MAPPING("10.0.0.0/18", "1.1.1.0/30") ",\n" MAPPING("10.0.5.7/18", "1.1.2.0/30")),
		  ":5: mappings[1].in: 10.0.0.0/18 is mappings[0].in already" },
		{ MAPPINGS(MAPPING("10.0.0.0/18", "1.1.1.0/30") ",\n" MAPPING("10.1.0.0/18", "1.1.1.2/31")),
		  ":6: mappings[1].out: 1.1.1.2/31 overlaps 1.1.1.0/30, mappings[0].out" },
		{ MAPPINGS(MAPPING("10.0.0.0/18", "1.1.1.1/30") ",\n" MAPPING("10.1.0.0/18", "1.1.1.2/30")),
		  ":6: mappings[1].out: 1.1.1.0/30 overlaps 1.1.1.0/30, mappings[0].out" },
		{ MAPPINGS(MAPPING("10.0.0.0/18", "10.0.1.0/30")),
		  ":4: mappings[0].out: 10.0.1.0/30 overlaps 10.0.0.0/18, mappings[0].in" },
		{ MAPPINGS(MAPPING("10.0.0.0/18", "1.1.1.0/30") ",\n" MAPPING("10.1.0.0/18", "10.0.1.0/30")),
		  ":6: mappings[1].out: 10.0.1.0/30 overlaps 10.0.0.0/18, mappings[0].in" },
		{ MAPPINGS(MAPPING("10.0.0.0/18", "1.1.1.0/30") ",\n" MAPPING("1.1.1.0/24", "2.2.2.0/30")),
		  ":5: mappings[1].in: 1.1.1.0/24 overlaps 1.1.1.0/30, mappings[0].out" },
		{ MAPPINGS(MAPPING("10.0.0.0/24", "1.1.1.0/30") "," MAPPING("10.0.1.0/24", "1.1.2.0/30") "," MAPPING(
			  "10.0.0.0/24", "1.1.3.0/30")),
		  ":5: mappings[2].in: 10.0.0.0/24 is mappings[0].in already" },
		{ MAPPINGS(MAPPING("10.0.0.0/24", "1.1.1.0/30") "," MAPPING("10.0.0.0/25", "1.1.0.0/16") "," MAPPING(
			  "10.0.0.0/20", "1.1.2.0/30")),
		  ":5: mappings[1].out: 1.1.0.0/16 is larger than the inside range 10.0.0.0/25" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/25\",\"inbound\":\"open\"}"),
		  ":3: mappings[0].inbound: \"open\" needs an outside address for each inside address" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":null,\"inbound\":\"open\"}"),
		  ":3: mappings[0].inbound: all of it is reachable already, as it is not translated" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":null},{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.1/32\"}"),
		  ":3: mappings[1].in: 10.0.0.0/24 is mappings[0].in already" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"none\"}"),
		  ":3: mappings[0].out: must be an IPv4 prefix such as \"10.0.0.0/18\", or null, not \"none\"" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/24\",\"inbound\":\"closed\"}"),
		  ":3: mappings[0].inbound: must be one of \"sessions\", \"open\", not \"closed\"" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

Test(config_refused, numbers)
{
	static const struct refused_row rows[] = {
		{ WITH("\"sessions_per_user\":0"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not 0" },
		{ WITH("\"sessions_per_user\":65536"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not 65536" },
		{ WITH("\"sessions_per_user\":-1"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not -1" },
		{ WITH("\"sessions_per_user\":1.5"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not 1.5" },
		{ WITH("\"sessions_per_user\":\"1000\""),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not \"1000\"" },
		{ WITH("\"sessions_per_user\":true"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not true" },
		{ WITH("\"sessions_per_user\":null"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not null" },
		{ WITH("\"sessions_per_user\":{}"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not an object" },
		{ WITH("\"sessions_per_user\":1e999"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not inf" },
		{ WITH("\"sessions_per_user\":-1e999"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not -inf" },
		{ WITH("\"sessions_per_user\":4294967297"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not 4294967297" },
		{ WITH("\"sessions_per_user\":18446744073709551617"),
		  ":2: sessions_per_user: must be a whole number from 1 to 65535, not 1.84467440737096e+19" },
		{ WITH("\"endpoint_independent\":{\"filtering\":[\"udp\"]}"),
		  ": endpoint_independent.filtering: udp must be in `mapping`, too: only a port that is one inside "
		  "port's for everybody can be open to everybody" },
		{ WITH("\"endpoint_independent\":{\"mapping\":[\"sctp\"]}"),
		  ":2: endpoint_independent.mapping[0]: must be one of \"udp\", \"tcp\", \"icmp\", not \"sctp\"" },
		{ WITH("\"endpoint_independent\":{\"filtering\":[\"icmp\"]}"),
		  ":2: endpoint_independent.filtering[0]: must be one of \"udp\", \"tcp\", not \"icmp\"" },
		{ WITH("\"endpoint_independent\":{\"inbound_sessions\":0}"),
		  ":2: endpoint_independent.inbound_sessions: must be a whole number from 1 to 100, not 0" },
		{ WITH("\"endpoint_independent\":{\"inbound_sessions\":101}"),
		  ":2: endpoint_independent.inbound_sessions: must be a whole number from 1 to 100, not 101" },
		{ WITH("\"session_slots\":4"),
		  ":2: session_slots: must be \"auto\" or a power of two from 8 to 2048, not 4" },
		{ WITH("\"session_slots\":4096"),
		  ":2: session_slots: must be \"auto\" or a power of two from 8 to 2048, not 4096" },
		{ WITH("\"session_slots\":129"),
		  ":2: session_slots: must be \"auto\" or a power of two from 8 to 2048, not 129" },
		{ WITH("\"session_slots\":\"Auto\""),
		  ":2: session_slots: must be \"auto\" or a power of two from 8 to 2048, not \"Auto\"" },
		{ WITH("\"session_slots\":4294967295"),
		  ":2: session_slots: must be \"auto\" or a power of two from 8 to 2048, not 4294967295" },
		{ WITH("\"overflow_sessions\":-1"),
		  ":2: overflow_sessions: must be a whole number from 0 to 16777216, not -1" },
		{ WITH("\"overflow_sessions\":16777217"),
		  ":2: overflow_sessions: must be a whole number from 0 to 16777216, not 16777217" },
		{ WITH("\"timeouts\":[]"), ":2: timeouts: must be an object" },
		{ WITH("\"timeouts\":{\"udp\":0}"),
		  ":2: timeouts.udp: must be a whole number from 1 to 604800, not 0" },
		{ WITH("\"timeouts\":{\"tcp_established\":604801}"),
		  ":2: timeouts.tcp_established: must be a whole number from 1 to 604800, not 604801" },
		{ WITH("\"timeouts\":{\"udp\":1,\n\"tcp_transitory\":\"x\"}"),
		  ":3: timeouts.tcp_transitory: must be a whole number from 1 to 604800, not \"x\"" },
		{ WITH("\"timeouts\":{\"icmp\":0.5}"),
		  ":2: timeouts.icmp: must be a whole number from 1 to 604800, not 0.5" },
		{ WITH("\"quota_icmp_code\":16"), ":2: quota_icmp_code: must be a whole number from 0 to 15, not 16" },
		{ WITH("\"quota_icmp_code\":256"),
		  ":2: quota_icmp_code: must be a whole number from 0 to 15, not 256" },
		{ WITH("\"sweep_interval\":0"), ":2: sweep_interval: must be a whole number from 1 to 86400, not 0" },
		{ WITH("\"sweep_interval\":86401"),
		  ":2: sweep_interval: must be a whole number from 1 to 86400, not 86401" },
		{ WITH("\"tcp_mss_clamp\":535"),
		  ":2: tcp_mss_clamp: must be 0, \"mtu\", or a whole number from 536 to 65495, not 535" },
		{ WITH("\"tcp_mss_clamp\":65496"),
		  ":2: tcp_mss_clamp: must be 0, \"mtu\", or a whole number from 536 to 65495, not 65496" },
		{ WITH("\"tcp_mss_clamp\":4294967295"),
		  ":2: tcp_mss_clamp: must be 0, \"mtu\", or a whole number from 536 to 65495, not 4294967295" },
		{ WITH("\"tcp_mss_clamp\":\"MTU\""),
		  ":2: tcp_mss_clamp: must be 0, \"mtu\", or a whole number from 536 to 65495, not \"MTU\"" },
		{ WITH("\"tcp_mss_clamp\":false"),
		  ":2: tcp_mss_clamp: must be 0, \"mtu\", or a whole number from 536 to 65495, not false" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

Test(config_refused, fragments)
{
	static const struct refused_row rows[] = {
		{ WITH("\"fragments\":7"), ":2: fragments: must be an object" },
		{ WITH("\"fragments\":{\"parked\":1}"), ":2: fragments.parked: unknown key" },
		{ WITH("\"fragments\":{\"timeout\":1,\n\"timeout\":1}"),
		  ":3: fragments.timeout: this key stands here twice" },
		{ WITH("\"fragments\":{\"max_parked\":65537}"),
		  ":2: fragments.max_parked: must be a whole number from 0 to 65536, not 65537" },
		{ WITH("\"fragments\":{\"max_parked\":-1}"),
		  ":2: fragments.max_parked: must be a whole number from 0 to 65536, not -1" },
		{ WITH("\"fragments\":{\"max_bytes\":4095}"),
		  ":2: fragments.max_bytes: must be a whole number from 4096 to 1073741824, not 4095" },
		{ WITH("\"fragments\":{\"max_bytes\":1073741825}"),
		  ":2: fragments.max_bytes: must be a whole number from 4096 to 1073741824, not 1073741825" },
		{ WITH("\"fragments\":{\"timeout\":0}"),
		  ":2: fragments.timeout: must be a whole number from 1 to 60, not 0" },
		{ WITH("\"fragments\":{\"timeout\":61}"),
		  ":2: fragments.timeout: must be a whole number from 1 to 60, not 61" },
		{ WITH("\"fragments\":{\"per_subscriber\":0}"),
		  ":2: fragments.per_subscriber: must be a whole number from 1 to 65536, not 0" },
		{ WITH("\"fragments\":{\"per_subscriber\":65537}"),
		  ":2: fragments.per_subscriber: must be a whole number from 1 to 65536, not 65537" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

Test(config_refused, words_and_paths)
{
	static const struct refused_row rows[] = {
		{ WITH("\"forwarding\":\"xdp\""),
		  ":2: forwarding: must be one of \"redirect\", \"kernel\", not \"xdp\"" },
		{ WITH("\"forwarding\":0"), ":2: forwarding: must be one of \"redirect\", \"kernel\", not 0" },
		{ WITH("\"stages\":0"), ":2: stages: must be \"auto\" or a whole number from 1 to 2, not 0" },
		{ WITH("\"stages\":3"), ":2: stages: must be \"auto\" or a whole number from 1 to 2, not 3" },
		{ WITH("\"stages\":\"two\""),
		  ":2: stages: must be \"auto\" or a whole number from 1 to 2, not \"two\"" },
		{ WITH("\"xdp_mode\":\"generic\""),
		  ":2: xdp_mode: must be one of \"auto\", \"native\", \"skb\", \"none\", not \"generic\"" },
		{ WITH("\"unmatched\":\"accept\""),
		  ":2: unmatched: must be one of \"drop-private\", \"route\", \"drop\", \"strict\", not \"accept\"" },
		{ WITH("\"unsolicited_tcp\":\"reset\""),
		  ":2: unsolicited_tcp: must be one of \"drop\", \"answer\", not \"reset\"" },
		{ WITH("\"unsolicited_tcp\":true"),
		  ":2: unsolicited_tcp: must be one of \"drop\", \"answer\", not true" },
		{ WITH("\"on_exit\":true"), ":2: on_exit: must be one of \"keep\", \"detach\", not true" },
		{ WITH("\"answer_arp\":1"), ":2: answer_arp: must be true or false, not 1" },
		{ WITH("\"guard\":\"on\""), ":2: guard: must be true or false, not \"on\"" },
		{ WITH("\"hairpin\":\"true\""), ":2: hairpin: must be true or false, not \"true\"" },
		{ WITH("\"udp_inbound_refresh\":1"), ":2: udp_inbound_refresh: must be true or false, not 1" },
		{ WITH("\"control_socket\":\"\""),
		  ":2: control_socket: must be an absolute path of at most 107 octets, not \"\"" },
		{ WITH("\"control_socket\":\"agent.sock\""),
		  ":2: control_socket: must be an absolute path of at most 107 octets, not \"agent.sock\"" },
		{ WITH("\"control_socket\":\"/34567890/234567890/234567890/234567890/234567890/234567890/234567890/"
		       "234567890"
		       "/234567890/234567890/23456789\""),
		  ":2: control_socket: must be an absolute path of at most 107 octets, not "
		  "\"/34567890/234567890/234567890/234567890/...\"" },
		{ WITH("\"pin_path\":7"), ":2: pin_path: must be an absolute path of at most 1023 octets, not 7" },
		{ WITH("\"state_dir\":null"),
		  ":2: state_dir: must be an absolute path of at most 1023 octets, not null" },
		{ WITH("\"metrics\":true"), ":2: metrics: must be an object" },
		{ WITH("\"metrics\":{\"listen\":\"localhost:9469\"}"),
		  ":2: metrics.listen: must be an IPv4 address and a port from 1 to 65535, such as "
		  "\"192.0.2.10:4739\", not "
		  "\"localhost:9469\"" },
		{ WITH("\"metrics\":{\"listen\":\"127.0.0.1:0\"}"),
		  ":2: metrics.listen: must be an IPv4 address and a port from 1 to 65535, such as "
		  "\"192.0.2.10:4739\", not "
		  "\"127.0.0.1:0\"" },
		{ WITH("\"bypass\":\"10.0.0.0/8\""), ":2: bypass: must be a list of prefixes" },
		{ WITH("\"bypass\":[\"10.0.0.0/8\",\n\"x\"]"),
		  ":3: bypass[1]: must be an IPv4 prefix such as \"10.0.0.0/18\", not \"x\"" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

Test(config_refused, ipfix)
{
	static const struct refused_row rows[] = {
		{ WITH("\"ipfix\":null"), ":2: ipfix: must be an object" },
		{ IPFIX(""), ":2: ipfix.collector: this key is missing" },
		{ IPFIX("\"domain_id\":1"), ":2: ipfix.collector: this key is missing" },
		{ IPFIX("\"collector\":\"192.0.2.10\""), ":2: ipfix.collector: must be an IPv4 address and a port from "
							 "1 to 65535, such as \"192.0.2.10:4739\", not "
							 "\"192.0.2.10\"" },
		{ IPFIX("\"collector\":\"192.0.2.10:0\""), ":2: ipfix.collector: must be an IPv4 address and a port "
							   "from 1 to 65535, such as \"192.0.2.10:4739\", not "
							   "\"192.0.2.10:0\"" },
		{ IPFIX("\"collector\":\"192.0.2.10:65536\""), ":2: ipfix.collector: must be an IPv4 address and a "
							       "port from 1 to 65535, such as \"192.0.2.10:4739\", not "
							       "\"192.0.2.10:65536\"" },
		{ IPFIX("\"collector\":[]"), ":2: ipfix.collector: must name a collector" },
		{ IPFIX("\"collector\":[\"1.2.3.4:1\",\n\"1.2.3.4\"]"),
		  ":3: ipfix.collector[1]: must be an IPv4 address and a "
		  "port from 1 to 65535, such as "
		  "\"192.0.2.10:4739\", not \"1.2.3.4\"" },
		{ IPFIX("\"collector\":[\"1.2.3.4:1\",\"tcp:1.2.3.4:1\",\n\"udp:1.2.3.4:1\"]"),
		  ":3: ipfix.collector[2]: stands in this list already" },
		{ IPFIX("\"collector\":[\"1.2.3.4:1\",\"1.2.3.4:2\",\"1.2.3.4:3\",\"1.2.3.4:4\",\"1.2.3.4:5\","
			"\"1.2.3.4:6\",\"1.2.3.4:7\",\"1.2.3.4:8\",\n\"1.2.3.4:9\"]"),
		  ":3: ipfix.collector[8]: more than 8 collectors" },
		{ IPFIX(COLLECTOR ",\"source\":\"x\""), ":2: ipfix.source: must be an IPv4 address and a port from 0 "
							"to 65535, such as \"192.0.2.10:4739\", not \"x\"" },
		{ IPFIX(COLLECTOR ",\"domain_id\":-1"),
		  ":2: ipfix.domain_id: must be a whole number from 0 to 4294967295, not -1" },
		{ IPFIX(COLLECTOR ",\"domain_id\":4294967296"),
		  ":2: ipfix.domain_id: must be a whole number from 0 to 4294967295, not 4294967296" },
		{ IPFIX(COLLECTOR ",\"path_mtu\":127"),
		  ":2: ipfix.path_mtu: must be a whole number from 128 to 65535, not 127" },
		{ IPFIX(COLLECTOR ",\"path_mtu\":65536"),
		  ":2: ipfix.path_mtu: must be a whole number from 128 to 65535, not 65536" },
		{ IPFIX(COLLECTOR ",\"template_interval\":0"),
		  ":2: ipfix.template_interval: must be a whole number from 1 to 86400, not 0" },
		{ IPFIX(COLLECTOR ",\"template_interval\":86401"),
		  ":2: ipfix.template_interval: must be a whole number from 1 to 86400, not 86401" },
		{ IPFIX(COLLECTOR ",\"events\":\"quota\""), ":2: ipfix.events: must be a list of events" },
		{ IPFIX(COLLECTOR ",\"events\":[\"quota\",\n\"all\"]"),
		  ":3: ipfix.events[1]: must be one of \"quota\", \"ports\", \"sessions\", \"fragments\", "
		  "\"addresses\", \"portmaps\", not \"all\"" },
		{ IPFIX(COLLECTOR ",\"events\":[1]"), ":2: ipfix.events[0]: must be one of \"quota\", \"ports\", "
						      "\"sessions\", \"fragments\", \"addresses\", "
						      "\"portmaps\", not 1" },
		{ IPFIX(COLLECTOR ",\"transport\":\"tcp\""), ":2: ipfix.transport: unknown key" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}
