/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings whose subscribers are IPv6 prefixes: what is accepted, what is refused, what is written back. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "config/six.h"
#include "config_refused.h"

TestSuite(config_six, .init = virtual6_forget, .fini = virtual6_forget);

#define NAT64 "\"nat64_prefix\":\"64:ff9b::/96\""
/* A mapping of 2^20 subscribers, with further keys, on lines of their own. */
#define SIX(keys)                                               \
	"{\"in\":\"2001:db8:4000::/36\",\"out\":\"203.0.112.0/" \
	"22\",\"ports_per_host\":60,\n\"subscriber_plen\":56,\n" NAT64 "\n" keys "}"
/* The same, of 256 subscribers. */
#define SMALL(in, out, plen, keys) "{\"in\":" in ",\"out\":\"" out "\",\n\"subscriber_plen\":" plen ",\n" keys "}"
#define ONE			   SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "56", NAT64)

Test(config_six, defaults_are_filled_in)
{
	_cleanup_config_ struct config *c = config_of(MAPPINGS(ONE));
	struct record6 six;

	cr_assert_eq(c->n_mappings, 1);
	config_record6(&c->mappings[0], &six);
	cr_expect_eq(six.in_hi, 0x20010db840000000);
	cr_expect(six.subscriber_plen == 56 && six.hosts == 16 && six.lowest_mtu == 1280 && six.nat64_plen == 96);
	cr_expect(six.flags & RECORD6_WELL_KNOWN);
	cr_expect(prefix_is_virtual(c->mappings[0].in) && prefix_count(c->mappings[0].in) == 256);
	cr_expect(config_has_ipv6(c));
}

Test(config_six, keys_are_taken_and_written_back)
{
	_cleanup_config_ struct config *c = config_of(MAPPINGS(
		SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "60",
		      "\"nat64_prefix\":\"2001:db8:64::/56\",\"hosts_per_subscriber\":64,\"lowest_ipv6_mtu\":1500")));
	_cleanup_config_ struct config *back = config_read_back(c);
	_cleanup_free_ char *json = config_to_json(c);
	struct record6 six, again;

	config_record6(&c->mappings[0], &six);
	config_record6(&back->mappings[0], &again);
	cr_expect(!memcmp(&six, &again, sizeof(six)));
	cr_expect(six.hosts == 64 && six.lowest_mtu == 1500 && six.nat64_plen == 56 && six.subscriber_plen == 60);
	cr_expect_eq(config_same(c, back), 1);
	cr_expect(strstr(json, "\"in\":\"2001:db8:4000::/48\""), "%s", json);
	cr_expect(strstr(json, "\"nat64_prefix\":\"2001:db8:64::/56\""), "%s", json);
	cr_expect_not(strstr(json, "224."), "%s", json);
}

Test(config_six, lists_are_counted_in_their_order)
{
	_cleanup_config_ struct config *c = config_of(
		MAPPINGS(SMALL("[\"2001:db8:4001::/48\",\"2001:db8:4000::/48\"]", "203.0.113.0/27", "56", NAT64)));
	struct prefixes6 p;
	struct geometry g;

	/* Adjoining prefixes stay apart, as the second comes before the first. */
	cr_assert_eq(c->n_mappings, 2);
	cr_assert(virtual6_prefixes(c->mappings[0].in, &p));
	cr_expect_eq(p.hi, 0x20010db840010000);
	cr_assert_eq(config_mapping_geometry(&c->mappings[0], &g), 0);
	cr_expect_eq(g.out_base, 0xcb007100);
	cr_assert(virtual6_prefixes(c->mappings[1].in, &p));
	cr_expect_eq(p.hi, 0x20010db840000000);
	cr_assert_eq(config_mapping_geometry(&c->mappings[1], &g), 0);
	cr_expect_eq(g.out_base, 0xcb007110);
}

Test(config_six, a_nested_prefix_has_virtual_addresses_of_the_one_around_it_whatever_the_order)
{
	_cleanup_config_ struct config *c =
		config_of(MAPPINGS(SMALL("\"2001:db8:4000:1000::/52\"", "198.51.100.0/28", "56", NAT64) ",\n" ONE));

	cr_expect_eq(c->mappings[0].in.base, c->mappings[1].in.base + 16);
	cr_expect(prefix_inside(c->mappings[0].in, c->mappings[1].in));
	cr_expect_eq(config_find_around(c, "", c->mappings[0].in), &c->mappings[1]);
}

Test(config_six, a_subscriber_may_have_a_mapping_of_his_own_and_sessions_may_drain)
{
	_cleanup_config_ struct config *c = config_of(MAPPINGS(
		ONE ",\n" SMALL("\"2001:db8:4000:300::/56\"", "198.51.100.7/32", "56", NAT64 ",\"drain\":60")));
	struct config_six six = c->mappings[0].six;

	cr_expect(c->mappings[1].in.plen == 32 && prefix_inside(c->mappings[1].in, c->mappings[0].in));
	cr_expect_eq(c->mappings[1].drain, 60);
	/* Sessions of a mapping that goes are reached by the same prefixes alone. */
	cr_expect(config_six_goes_on(c, c->mappings[0].in, &six));
	six.nat64.hi++;
	cr_expect_not(config_six_goes_on(c, c->mappings[1].in, &six));
}

/* What runs keeps its virtual addresses, or the change is refused. */
Test(config_six, a_prefix_around_what_runs_is_refused_where_that_would_move_it)
{
	static const char around[] =
		MAPPINGS(SMALL("\"2001:db8:4000::/47\"", "198.51.100.0/27", "56", NAT64) ",\n" ONE);

	for (unsigned crowded = 0; crowded < 2; crowded++) {
		const struct prefixes6 own = prefixes6_of(0x20010db840000000, 48, 56);
		const struct prefixes6 other = prefixes6_of(0x20010db850000000, 48, 56);
		_cleanup_config_ struct config *running = NULL, *wanted = NULL;
		struct error err = { 0 };

		virtual6_forget();
		cr_assert_eq(virtual6_claim(&own, VIRTUAL_BASE), 0);
		cr_assert(!crowded || !virtual6_claim(&other, VIRTUAL_BASE + 256));
		running = config_of(MAPPINGS(ONE));
		wanted = config_of(around);
		cr_assert_eq(config_check_virtual(running, running, NULL, &err), 0);
		cr_expect_eq(config_check_virtual(wanted, running, "f", &err), crowded ? -EINVAL : 0);
		cr_expect(!crowded || strstr(err.text, "f:3: mappings[0].in: 2001:db8:4000::/47 cannot be with "
						       "2001:db8:4000::/48 while that has sessions"),
			  "%s", err.text);
	}
}

Test(config_six, lengths_and_numbers_out_of_range_are_refused)
{
	EXPECT_REFUSED({
		{ MAPPINGS(SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "47", NAT64)),
		  ":4: mappings[0].subscriber_plen: must be a whole number from 48 to 64, not 47" },
		{ MAPPINGS(SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "65", NAT64)),
		  ":4: mappings[0].subscriber_plen: must be a whole number from 48 to 64, not 65" },
		{ MAPPINGS(SMALL("\"2001:db8:4000::/57\"", "203.0.113.0/28", "56", NAT64)),
		  ":3: mappings[0].in: 2001:db8:4000::/57 is longer than the /56 of a subscriber" },
		{ MAPPINGS(SMALL("\"2001:db8::/31\"", "203.0.113.0/28", "56", NAT64)),
		  ":3: mappings[0].in: 2001:db8::/31 has 2^25 subscribers of /56: at most 2^24, so a prefix of 32 bits "
		  "or more" },
		{ MAPPINGS(SMALL("\"2001:db8::1/48\"", "203.0.113.0/28", "56", NAT64)),
		  ":3: mappings[0].in: 2001:db8::1/48 has bits behind its length" },
		{ MAPPINGS(SMALL("\"2001:db8::\"", "203.0.113.0/28", "56", NAT64)),
		  ":3: mappings[0].in: must be an IPv6 prefix such as \"2001:db8:4000::/36\"" },
		{ MAPPINGS(SMALL("[\"2001:db8::/48\",\"10.0.0.0/24\"]", "203.0.113.0/28", "56", NAT64)),
		  ":3: mappings[0].in[1]: must be an IPv6 prefix, as the first of the list is" },
		{ MAPPINGS(SMALL("[\"2001:db8:4000::/48\",\"2001:db8:4001::/57\"]", "203.0.113.0/28", "56", NAT64)),
		  ":3: mappings[0].in[1]: 2001:db8:4001::/57 is longer than the /56 of a subscriber" },
		{ MAPPINGS("{\"in\":\"2001:db8:4000::/48\",\"out\":\"203.0.113.0/28\"," NAT64 "}"),
		  ":3: mappings[0].subscriber_plen: is missing: the length of a subscriber's prefix, 48 to 64, as 56" },
		{ MAPPINGS("{\"in\":\"2001:db8:4000::/48\",\"out\":\"203.0.113.0/28\",\"subscriber_plen\":56}"),
		  ":3: mappings[0].nat64_prefix: is missing: the prefix of IPv4 addresses for its subscribers, as "
		  "\"64:ff9b::/96\"" },
		{ MAPPINGS(SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "56",
				 NAT64 ",\n\"hosts_per_subscriber\":65")),
		  ":6: mappings[0].hosts_per_subscriber: must be a whole number from 1 to 64, not 65" },
		{ MAPPINGS(
			  SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "56", NAT64 ",\n\"lowest_ipv6_mtu\":1279")),
		  ":6: mappings[0].lowest_ipv6_mtu: must be a whole number from 1280 to 9000, not 1279" },
		{ MAPPINGS(SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/24", "49", NAT64)),
		  ":3: mappings[0].out: 203.0.113.0/24 is larger than the inside range 2001:db8:4000::/48" },
		{ MAPPINGS(SMALL("\"2001:db8:4000::/40\"", "203.0.113.1/32", "56", NAT64)),
		  ":3: mappings[0].out: 203.0.113.1/32 is too small for 2001:db8:4000::/40: less than one port a "
		  "host" },
	});
}

#define REFUSED_PREFIX                                                                                                 \
	"must be an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits, bits 64 to 71 of which are 0, as \"64:ff9b::/96\", " \
	"not "

Test(config_six, nat64_prefixes_are_those_of_rfc_6052)
{
	EXPECT_REFUSED({
		{ MAPPINGS(
			  SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "56", "\"nat64_prefix\":\"64:ff9b::/95\"")),
		  ":5: mappings[0].nat64_prefix: " REFUSED_PREFIX "\"64:ff9b::/95\"" },
		{ MAPPINGS(SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "56",
				 "\"nat64_prefix\":\"64:ff9b:0:0:100::/96\"")),
		  ":5: mappings[0].nat64_prefix: " REFUSED_PREFIX "\"64:ff9b:0:0:100::/96\"" },
		{ MAPPINGS(SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "56",
				 "\"nat64_prefix\":\"64:ff9b::1.0.0.0/96\"")),
		  ":5: mappings[0].nat64_prefix: " REFUSED_PREFIX "\"64:ff9b::1.0.0.0/96\"" },
		{ MAPPINGS(SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "56",
				 "\"nat64_prefix\":\"2001:db8:4000::/40\"")),
		  ":5: mappings[0].nat64_prefix: 2001:db8:4000::/40 overlaps the inside prefix 2001:db8:4000::/48" },
		{ MAPPINGS(SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "56", NAT64) ",\n" SMALL(
			  "\"2001:db8:4001::/48\"", "198.51.100.0/28", "56", "\"nat64_prefix\":\"64:ff9b::/64\"")),
		  ":5: mappings[0].nat64_prefix: 64:ff9b::/96 overlaps 64:ff9b::/64, of another mapping: it must be "
		  "the "
		  "same, or another" },
	});
	/* Several mappings may have one; each may have its own. */
	config_free(config_of(
		MAPPINGS(ONE ",\n" SMALL("\"2001:db8:4001::/48\"", "198.51.100.0/28", "56", NAT64) ",\n" SMALL(
			"\"2001:db8:4002::/48\"", "198.51.100.16/28", "56", "\"nat64_prefix\":\"2001:db8:64::/48\""))));
	config_free(config_of(MAPPINGS(
		SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "56", "\"nat64_prefix\":\"2001:db9:64::/96\""))));
}

Test(config_six, nesting_of_different_lengths_and_the_same_prefix_twice_are_refused)
{
	EXPECT_REFUSED({
		{ MAPPINGS(ONE ",\n" SMALL("\"2001:db8:4000:1000::/52\"", "198.51.100.0/28", "60", NAT64)),
		  ":7: mappings[1].subscriber_plen: 2001:db8:4000:1000::/52 with subscribers of /60 lies in "
		  "2001:db8:4000::/48 with those of /56: they must be alike" },
		{ MAPPINGS(ONE ",\n" SMALL("\"2001:db8:4000::/48\"", "198.51.100.0/28", "60", NAT64)),
		  ":7: mappings[1].subscriber_plen: 2001:db8:4000::/48 with subscribers of /60 lies in "
		  "2001:db8:4000::/48 "
		  "with those of /56: they must be alike" },
		{ MAPPINGS(ONE ",\n" SMALL("\"2001:db8:5000::/48\"", "198.51.100.0/28", "56", NAT64) ",\n" SMALL(
			  "\"2001:db8:5000:1000::/52\"", "198.51.100.16/28", "60", NAT64)),
		  ":10: mappings[2].subscriber_plen: 2001:db8:5000:1000::/52 with subscribers of /60 lies in "
		  "2001:db8:5000::/48 with those of /56: they must be alike" },
		{ MAPPINGS(ONE ",\n" SMALL("\"2001:db8:4000::/52\"", "198.51.100.0/28", "56", NAT64) ",\n" SMALL(
			  "\"2001:db8:4000:8000::/52\"", "198.51.100.16/28", "60", NAT64)),
		  ":10: mappings[2].subscriber_plen: 2001:db8:4000:8000::/52 with subscribers of /60 lies in "
		  "2001:db8:4000::/48 with those of /56: they must be alike" },
		{ MAPPINGS(ONE ",\n" SMALL("\"2001:db8:4000::/48\"", "198.51.100.0/28", "56", NAT64)),
		  ":6: mappings[1].in: 2001:db8:4000::/48 is mappings[0].in already, in line 3" },
		{ MAPPINGS(ONE ",\n" SMALL("\"2001:db8:4001::/48\"", "203.0.113.0/28", "56", NAT64)),
		  ":6: mappings[1].out: 203.0.113.0/28 overlaps 203.0.113.0/28, mappings[0].out" },
	});
}

Test(config_six, keys_of_the_other_kind_are_refused)
{
#define FOUR(keys) MAPPINGS("{\"in\":\"10.0.0.0/24\",\"out\":\"203.0.113.0/28\",\n" keys "}")
#define WRONG	   "is for IPv6 subscribers, and `in` is of IPv4: leave it out"
	EXPECT_REFUSED({
		{ FOUR("\"subscriber_plen\":56"), ":4: mappings[0].subscriber_plen: " WRONG },
		{ FOUR(NAT64), ":4: mappings[0].nat64_prefix: " WRONG },
		{ FOUR("\"hosts_per_subscriber\":16"), ":4: mappings[0].hosts_per_subscriber: " WRONG },
		{ FOUR("\"lowest_ipv6_mtu\":1280"), ":4: mappings[0].lowest_ipv6_mtu: " WRONG },
		{ FOUR("\"softwire\":\"ds-lite\""), ":4: mappings[0].softwire: unknown key" },
		{ MAPPINGS("{\"in\":\"2001:db8::/48\",\"out\":\"203.0.113.0/28\",\n\"softwire\":\"ds-lite\"}"),
		  ":4: mappings[0].softwire: unknown key" },
		{ MAPPINGS("{\"in\":\"2001:db8::/48\",\"out\":\"203.0.113.0/28\",\n\"aftr\":\"2001:db8::1\"}"),
		  ":4: mappings[0].aftr: unknown key" },
	});
}

#define WITH_SIX(keys) WITH(keys ",\n\"mappings\":[" ONE "]")
#define NOT	       "is not possible with IPv6 subscribers"

Test(config_six, what_ipv6_subscribers_cannot_have_is_refused_by_name)
{
	static const char portmap[] = WITH_SIX(
		"\"portmaps\":[{\"proto\":\"tcp\",\n\"in\":\"[2001:db8:4000::1]:443\",\"out\":\"203.0.113.0:443\"}]");

	EXPECT_REFUSED({
		{ portmap, ":3: portmaps[0].in: is an address of IPv6, whose subscribers cannot have portmaps" },
		{ MAPPINGS(SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "56",
				 NAT64 ",\n\"endpoint_independent\":{\"mapping\":[\"udp\"]}")),
		  ":6: mappings[0].endpoint_independent: " NOT ": give the mapping one with an empty `mapping`" },
		{ WITH_SIX("\"endpoint_independent\":{\"mapping\":[\"udp\"]}"),
		  ":3: mappings[0].endpoint_independent: " NOT ": give the mapping one with an empty `mapping`" },
		{ MAPPINGS(SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "56",
				 NAT64 ",\"ports_per_host\":2000,\n\"growth\":{\"block\":128}")),
		  ":6: mappings[0].growth: " NOT },
		{ MAPPINGS(SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "56", NAT64 ",\n\"limits\":{\"tcp\":9}")),
		  ":6: mappings[0].limits: " NOT },
		{ MAPPINGS(SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "56",
				 NAT64 ",\n\"spare\":[\"192.0.2.0/28\"]")),
		  ":6: mappings[0].spare: " NOT },
		{ MAPPINGS(SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/24", "56", NAT64 ",\n\"inbound\":\"open\"")),
		  ":3: mappings[0].inbound: \"open\" " NOT },
		{ MAPPINGS("{\"in\":\"2001:db8::/48\",\n\"out\":null,\"subscriber_plen\":56," NAT64 "}"),
		  ":4: mappings[0].out: " NOT ": they need outside addresses, and it is null" },
	});
}

Test(config_six, what_cannot_be_beside_ipv6_subscribers_is_refused_by_name)
{
	EXPECT_REFUSED({
		{ WITH_SIX("\"ipfix\":{" COLLECTOR "}"), ": ipfix: " NOT },
		{ WITH_SIX("\"syslog\":{\"to\":\"/dev/log\"}"), ": syslog: " NOT },
		{ WITH_SIX("\"replication\":{\"listen\":\"192.0.2.1:9470\",\"peers\":[\"192.0.2.2:9470\"],"
			   "\"key_file\":\"/etc/detnat/replication.key\"}"),
		  ":2: replication: " NOT },
		{ "{\"tenants\":[{\"name\":\"a\",\"interfaces\":{\"inside\":[\"eth1\"],\"outside\":[\"eth0\"]}}],\n"
		  "\"mappings\":[" SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "56",
					 NAT64 ",\n\"tenant\":\"a\"") "]}",
		  ":2: mappings[0].tenant: " NOT },
		{ "{\"interfaces\":{\"inside\":[\"*\"],\"outside\":[\"eth0\"]},\n\"mappings\":[" ONE "]}",
		  ":1: interfaces: *: an interface whose packets the kernel forwards " NOT },
		{ WITH_SIX("\"stages\":2"), ": stages: 2 " NOT ": set it to 1, or leave it out" },
		{ WITH_SIX("\"forwarding\":\"kernel\""), ": forwarding: \"kernel\" " NOT },
		{ WITH_SIX("\"xdp_mode\":\"none\""),
		  ": xdp_mode: \"none\" " NOT ": set it to \"tc\", or leave it out" },
		{ "{\"interfaces\":{\"inside\":[{\"name\":\"eth1\",\"xdp_mode\":\"none\"}],\"outside\":[\"eth0\"]},"
		  "\n\"mappings\":[" ONE "]}",
		  ":1: interfaces: eth1: an interface whose packets the kernel forwards " NOT },
		{ WITH_SIX("\"pcp\":{\"listen\":[\"10.0.0.1\"]}"),
		  ":3: mappings[0].in: IPv6 subscribers have no PCP: name the mappings that it serves in "
		  "`pcp.mappings`" },
	});
}

/* The largest prefix has 2^24 subscribers. */
Test(config_six, the_longest_number_of_a_subscriber_has_24_bits)
{
	_cleanup_config_ struct config *c =
		config_of(MAPPINGS("{\"in\":\"2001:db8::/32\",\"out\":\"203.0.112.0/"
				   "14\",\"ports_per_host\":64,\"subscriber_plen\":56," NAT64 "}"));
	struct record6 six;

	cr_expect_eq(prefix_count(c->mappings[0].in), 1U << 24);
	config_record6(&c->mappings[0], &six);
	cr_expect_eq(six.in_hi, 0x20010db800000000);
}

/* A mapping that goes on has the same prefixes; whatever lies elsewhere is no matter. */
Test(config_six, sessions_go_on_where_the_same_prefixes_reach_them)
{
	_cleanup_config_ struct config *c = config_of(MAPPINGS(ONE ",\n" SMALL(
		"\"2001:db8:9000::/48\"", "198.51.100.0/28", "60", "\"nat64_prefix\":\"2001:db8:64::/48\"")));
	_cleanup_config_ struct config *wanted = NULL;
	struct config_six six = c->mappings[0].six;

	cr_expect(config_six_goes_on(c, c->mappings[0].in, &six), "the other mapping lies behind it");
	cr_expect_not(config_six_goes_on(c, c->mappings[1].in, &six), "another prefix");
	six.nat64_plen = 64;
	cr_expect_not(config_six_goes_on(c, c->mappings[0].in, &six), "a longer one");
	cr_expect_not(config_six_goes_on(c, (struct prefix){ 0x0a000000, 24, 0 }, &six), "of IPv4");
	wanted = config_of(MAPPINGS(SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "60", NAT64)));
	six = c->mappings[0].six;
	cr_expect_not(config_six_goes_on(wanted, c->mappings[0].in, &six), "subscribers of another length");
}

/* A record says what a mapping that drains is reached by. */
Test(config_six, a_record_is_read_as_the_keys_that_made_it)
{
	_cleanup_config_ struct config *c = config_of(MAPPINGS(
		SMALL("\"2001:db8:4000::/48\"", "203.0.113.0/28", "60", "\"nat64_prefix\":\"2001:db8:64::/56\"")));
	struct config_six six;
	struct record6 r;

	config_record6(&c->mappings[0], &r);
	six = config_six_of(&r);
	cr_expect(six.subscriber_plen == 60 && six.nat64_plen == 56);
	cr_expect(address6_equal(&six.nat64, &c->mappings[0].six.nat64));
}

/* Where a history has the prefix around it elsewhere, the mapping gets the virtual addresses that it has there. */
Test(config_six, is_placed_again_where_its_virtual_addresses_are_others)
{
	_cleanup_config_ struct config *c = config_of(MAPPINGS(ONE));
	const struct prefixes6 around = prefixes6_of(0x20010db840000000, 40, 56);
	const uint32_t elsewhere = VIRTUAL_BASE + 0xf000000;

	cr_assert_neq(c->mappings[0].in.base, elsewhere);
	cr_assert_eq(virtual6_claim(&around, elsewhere), 0);
	cr_assert_eq(config_place_again(c), 0);
	cr_expect_eq(c->mappings[0].in.base, elsewhere);
	cr_expect_eq(prefix_count(c->mappings[0].in), 256);
}

/* A configuration of so many prefixes that lie apart. */
static char *pieces(unsigned n, size_t *ret_size)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_size);

	fputs("{" INTERFACES ",\"mappings\":[", out);
	for (unsigned i = 0; i < n; i++)
		fprintf(out,
			"%s{\"in\":\"2001:db8:%x::/52\",\"out\":\"203.%u.%u.0/32\",\"subscriber_plen\":56," NAT64 "}",
			i ? "," : "", i, i / 256, i % 256);
	fputs("]}", out);
	fclose(out);
	return text;
}

Test(config_six, more_pieces_than_the_index_has_are_refused)
{
	_cleanup_free_ char *text = NULL, *fits = NULL;
	struct config *c = NULL;
	struct error err;
	size_t size;

	fits = pieces(256, &size);
	cr_assert_eq(config_parse(fits, size, "FILE", &c, &err), 0, "%s", err.text);
	config_free(c);
	text = pieces(257, &size);
	cr_assert_eq(config_parse(text, size, "FILE", &c, &err), -EINVAL);
	cr_expect_str_eq(
		err.text,
		"FILE:1: mappings[256].in: the inside prefixes of IPv6 come to 257 pieces, with those that lie "
		"within others: at most 256");
}
