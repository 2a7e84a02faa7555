/* SPDX-License-Identifier: BSD-2-Clause */
/* Outside addresses that cannot be delivered to a gateway. */
#include <criterion/criterion.h>

#include "config_fixture.h"

#define MAPPINGS(list)	 "{\"interfaces\":{\"inside\":[\"eth1\"],\"outside\":[\"eth0\"]},\n\"mappings\":[\n" list "]}"
#define MAPPING(in, out) "{\"in\":\"" in "\",\n\"out\":\"" out "\"}"
#define SPARED		 "{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/30\",\n\"spare\":"
#define ADVICE		 ", which no router delivers: take addresses that are routed to the gateway"

Test(config_refused, outside_addresses_that_no_router_delivers)
{
	static const struct refused_row rows[] = {
		{ MAPPINGS(MAPPING("10.0.0.0/24", "224.0.0.0/30")),
		  ":4: mappings[0].out: 224.0.0.0/30 overlaps 224.0.0.0/4, multicast addresses" ADVICE },
		{ MAPPINGS(MAPPING("10.0.0.0/24", "239.255.255.255/32")),
		  ":4: mappings[0].out: 239.255.255.255/32 overlaps 224.0.0.0/4, multicast addresses" ADVICE },
		{ MAPPINGS(MAPPING("10.0.0.0/24", "0.1.2.0/30")),
		  ":4: mappings[0].out: 0.1.2.0/30 overlaps 0.0.0.0/8, no host's addresses" ADVICE },
		{ MAPPINGS(MAPPING("10.0.0.0/24", "255.255.255.252/30")),
		  ":4: mappings[0].out: 255.255.255.252/30 overlaps 255.255.255.255/32, the broadcast address" ADVICE },
		{ MAPPINGS(MAPPING("64.0.0.0/2", "0.0.0.0/3")),
		  ":4: mappings[0].out: 0.0.0.0/3 overlaps 0.0.0.0/8, no host's addresses" ADVICE },
		{ MAPPINGS(SPARED "[\"1.1.2.0/30\",\"224.1.0.0/30\"]}"),
		  ":4: mappings[0].spare[1]: 224.1.0.0/30 overlaps 224.0.0.0/4, multicast addresses" ADVICE },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}
