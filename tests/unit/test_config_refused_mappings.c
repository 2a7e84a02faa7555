/* SPDX-License-Identifier: BSD-2-Clause */
/* The same of mappings. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "config_refused.h"

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
		  ":4: mappings[0].in: this key is here twice" },
		{ MAPPINGS("{\"in\":\"10.0.0.0\",\"out\":\"1.1.1.0/30\"}"),
		  ":3: mappings[0].in: must be an IPv4 prefix such as \"10.0.0.0/18\", a range such as "
		  "\"10.0.0.1-10.0.0.254\", or a list of these, not \"10.0.0.0\"" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/33\"}"),
		  ":3: mappings[0].out: must be an IPv4 prefix such as \"10.0.0.0/18\", a range such as "
		  "\"10.0.0.1-10.0.0.254\", or a list of these, or null, not \"1.1.1.0/33\"" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1/30\"}"),
		  ":3: mappings[0].out: must be an IPv4 prefix such as \"10.0.0.0/18\", a range such as "
		  "\"10.0.0.1-10.0.0.254\", or a list of these, or null, not \"1.1.1/30\"" },
		{ MAPPINGS("{\"in\":\"2001:db8::/32\",\"out\":\"1.1.1.0/30\"}"),
		  ":3: mappings[0].subscriber_plen: is missing: the length of a subscriber's prefix, 48 to 64, as 56" },
		{ MAPPINGS("{\"in\":10,\"out\":\"1.1.1.0/30\"}"),
		  ":3: mappings[0].in: must be an IPv4 prefix such as \"10.0.0.0/18\", a range such as "
		  "\"10.0.0.1-10.0.0.254\", or a list of these, not 10" },
		{ MAPPINGS("{\"in\":null,\"out\":\"1.1.1.0/30\"}"),
		  ":3: mappings[0].in: must be an IPv4 prefix such as \"10.0.0.0/18\", a range such as "
		  "\"10.0.0.1-10.0.0.254\", or a list of these, not null" },
		{ MAPPINGS("{\"in\":{},\"out\":\"1.1.1.0/30\"}"),
		  ":3: mappings[0].in: must be an IPv4 prefix such as \"10.0.0.0/18\", a range such as "
		  "\"10.0.0.1-10.0.0.254\", or a list of these, not an object" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\\u001b[2J\",\"out\":\"1.1.1.0/30\"}"),
		  ":3: mappings[0].in: must be an IPv4 prefix such as \"10.0.0.0/18\", a range such as "
		  "\"10.0.0.1-10.0.0.254\", or a list of these, not \"10.0.0.0/18\\x1b[2J\"" },
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
		  "\"a\\x0ab\"" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\"name\":\"a\"},\n"
			   "{\"in\":\"10.1.0.0/18\",\"out\":\"1.1.2.0/30\",\"name\":\"a\"}"),
		  ":4: mappings[1].name: a is already the name of the mapping of 10.0.0.0/18" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\"drain\":604801}"),
		  ":3: mappings[0].drain: must be a whole number from 0 to 604800, not 604801" },
		{ WITH("\"comment\":[]"),
		  ":2: comment: must be a text of at most 256 octets without control characters, not a list" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\"session_slots\":0}"),
		  ":3: mappings[0].session_slots: must be \"auto\" or a power of two from 8 to 2048, not 0" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\n"
			   "\"endpoint_independent\":{\"mapping\":[\"udp\"],\"filtering\":[\"udp\",\"tcp\"]}}"),
		  ":4: mappings[0].endpoint_independent.filtering: tcp must be in `mapping`, too: "
		  "endpoint-independent filtering requires endpoint-independent mapping" },
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
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/25\",\n\"growth\":{\"block\":128}}"),
		  ":4: mappings[0].growth: ports_per_host 504 leaves 0 ports of an address, less than a granted block "
		  "of 128; ports_per_host 448 leaves 7168" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/24\",\"growth\":{}}"),
		  ":3: mappings[0].growth: ports_per_host 64512 leaves 0 ports of an address, less than a granted "
		  "block of 128; ports_per_host 57344 leaves 7168" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/"
			   "25\",\"ports_per_host\":448,\"growth\":{\"block\":7}}"),
		  ":3: mappings[0].growth.block: must be a whole number from 8 to 4096, not 7" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/25\",\"growth\":{\"max_blocks\":33}}"),
		  ":3: mappings[0].growth.max_blocks: must be a whole number from 1 to 32, not 33" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/25\",\"growth\":{\"rest\":0}}"),
		  ":3: mappings[0].growth.rest: must be a whole number from 1 to 86400, not 0" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/25\",\"growth\":128}"),
		  ":3: mappings[0].growth: must be an object" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":null,\n\"limits\":{}}"),
		  ":4: mappings[0].limits: a mapping that is not translated has no sessions: leave limits out" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/"
			   "24\",\"inbound\":\"open\",\n\"limits\":{\"udp\":1}}"),
		  ":4: mappings[0].limits: a mapping whose inbound is \"open\" has no sessions: leave limits out" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/24\",\n\"limits\":{\"new_burst\":5}}"),
		  ":4: mappings[0].limits: new_burst without new_per_second: set the rate, too, or leave it out" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/24\",\"limits\":{\"tcp\":65536}}"),
		  ":3: mappings[0].limits.tcp: must be a whole number from 0 to 65535, not 65536" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/24\",\"limits\":{\"udp\":-1}}"),
		  ":3: mappings[0].limits.udp: must be a whole number from 0 to 65535, not -1" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/24\",\"limits\":{\"new_per_second\":1000001}}"),
		  ":3: mappings[0].limits.new_per_second: must be a whole number from 0 to 1000000, not 1000001" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/24\",\"limits\":700}"),
		  ":3: mappings[0].limits: must be an object" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":null,\n\"growth\":{}}"),
		  ":4: mappings[0].growth: a mapping that is not translated has no ports: leave growth out" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/24\",\"inbound\":\"open\",\n\"growth\":{}}"),
		  ":4: mappings[0].growth: \"open\" gives a subscriber all ports of his address: leave growth out" },
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
		  ":5: mappings[1].in: 10.0.0.0/18 is mappings[0].in already, in line 3" },
		{ MAPPINGS(MAPPING("10.0.0.0/18", "1.1.1.0/30") ",\n" MAPPING("10.0.5.7/18", "1.1.2.0/30")),
		  ":5: mappings[1].in: 10.0.0.0/18 is mappings[0].in already, in line 3" },
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
		  ":5: mappings[2].in: 10.0.0.0/24 is mappings[0].in already, in line 3" },
		{ MAPPINGS(MAPPING("10.0.0.0/24", "1.1.1.0/30") "," MAPPING("10.0.0.0/25", "1.1.0.0/16") "," MAPPING(
			  "10.0.0.0/20", "1.1.2.0/30")),
		  ":5: mappings[1].out: 1.1.0.0/16 is larger than the inside range 10.0.0.0/25" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/25\",\"inbound\":\"open\"}"),
		  ":3: mappings[0].inbound: \"open\" needs an outside address for each inside address" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":null,\"inbound\":\"open\"}"),
		  ":3: mappings[0].inbound: all of it is reachable already, as it is not translated" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":null},{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.1/32\"}"),
		  ":3: mappings[1].in: 10.0.0.0/24 is mappings[0].in already, in line 3" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":null,\"name\":\"north\"},\n{\"in\":\"10.0.0.0/"
			   "24\",\"out\":null}"),
		  ":4: mappings[1].in: 10.0.0.0/24 is mappings[0].in already, north, in line 3" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"none\"}"),
		  ":3: mappings[0].out: must be an IPv4 prefix such as \"10.0.0.0/18\", a range such as "
		  "\"10.0.0.1-10.0.0.254\", or a list of these, or null, not \"none\"" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/24\",\"inbound\":\"closed\"}"),
		  ":3: mappings[0].inbound: must be one of \"sessions\", \"open\", not \"closed\"" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

#define SHARED(keys) MAPPINGS("{\"in\":\"10.0.0.0/22\",\"out\":\"1.1.1.0/27\"," keys "}")

Test(config_refused, ports_of_mappings)
{
	static const struct refused_row rows[] = {
		{ SHARED("\"subscribers_per_address\":0"),
		  ":3: mappings[0].subscribers_per_address: must be a whole number from 1 to 64512, not 0" },
		{ SHARED("\"subscribers_per_address\":64513"),
		  ":3: mappings[0].subscribers_per_address: must be a whole number from 1 to 64512, not 64513" },
		{ SHARED("\"ports_per_host\":65536"),
		  ":3: mappings[0].ports_per_host: must be a whole number from 1 to 65535, not 65536" },
		{ SHARED("\"first_port\":65536"),
		  ":3: mappings[0].first_port: must be a whole number from 0 to 65535, not 65536" },
		{ SHARED("\"block_pitch\":0"),
		  ":3: mappings[0].block_pitch: must be a whole number from 1 to 65535, not 0" },
		{ SHARED("\"order\":\"staggered\""),
		  ":3: mappings[0].order: must be one of \"sequential\", \"netmap\", not \"staggered\"" },
		{ SHARED("\"subscribers_per_address\":33,\"ports_per_host\":1955"),
		  ":3: mappings[0]: block 32 of 33 would end at port 65538: subscribers_per_address 32, or "
		  "ports_per_host 1954" },
		{ SHARED("\"subscribers_per_address\":31"),
		  ":3: mappings[0]: holds 992 of 1024 subscribers: subscribers_per_address 32, or 2 addresses more" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"11.0.0.0/8\",\"subscribers_per_address\":1000}"),
		  ":3: mappings[0]: 16777216 outside addresses have blocks for more than 4294967296 subscribers: make "
		  "out smaller" },
		{ SHARED("\"ports_per_host\":4000"),
		  ":3: mappings[0]: holds 512 of 1024 subscribers: ports_per_host 2016, or 32 addresses more" },
		{ SHARED("\"ports_per_host\":2000,\"block_pitch\":1999"),
		  ":3: mappings[0]: block_pitch 1999 is below ports_per_host 2000, so blocks would overlap: "
		  "block_pitch 2000, or ports_per_host 1999" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":null,\n\"first_port\":1025}"),
		  ":3: mappings[0]: is not translated, so it has no ports: leave subscribers_per_address, "
		  "ports_per_host, first_port, block_pitch and order out" },
		{ MAPPINGS(
			  "{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/24\",\"inbound\":\"open\",\n\"first_port\":1025}"),
		  ":3: mappings[0]: \"open\" gives a subscriber all ports of his address: leave "
		  "subscribers_per_address, ports_per_host, first_port, block_pitch and order out" },
		{ SHARED("\"subscribers_per_address\":32,\"first_port\":1026,\"block_pitch\":2016,"
			 "\"ports_per_host\":2014}],\n\"portmaps\":[{\"proto\":\"tcp\",\"in\":\"10.0.0.0:80\","
			 "\"out\":\"1.1.1.0:3040\""),
		  ":4: portmaps[0].out: port 3040 of 1.1.1.0 is between two blocks, which block_pitch keeps apart: "
		  "take "
		  "one of 1026 to 3039, or below 1026" },
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
		  ":4: portmaps[0].in: 10.0.0.2 is a subscriber only until 2026-12-01T00:00:00Z; omit the "
		  "portmap, or `until` of its mapping" },
		{ MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/"
			   "30\",\"inbound\":\"sessions\",\"until\":\"2026-12-01\"},"
			   "{\"in\":\"10.0.0.0/23\",\"out\":null}],\n\"portmaps\":[{"
			   "\"proto\":\"tcp\",\"in\":\"10.0.0.2:80\"}"),
		  ":4: portmaps[0].in: 10.0.0.2 is a subscriber only until 2026-12-01T00:00:00Z; omit the "
		  "portmap, or `until` of its mapping" },
		{ MAPPINGS("{\"name\":\"a\",\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/30\",\"until\":\"2026-12-01\"}],"
			   "\"pcp\":{\"listen\":[\"10.9.0.1\"],\"mappings\":[\"a\"]},\"bypass\":[\"10.1.0.0/16\""),
		  ":3: pcp.mappings[0]: a exists only until 2026-12-01T00:00:00Z; name mappings that stay" },
		{ WITH("\"reload_guard\":-1"),
		  ":2: reload_guard: must be a whole number from 0 to 4294967295, not -1" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}
