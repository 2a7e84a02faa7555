/* SPDX-License-Identifier: BSD-2-Clause */
/* The key `pcp`: what it takes, what it refuses, and that what is written is read back. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "config_fixture.h"

#define WITH(keys)                                                                        \
	"{\"interfaces\":{\"inside\":[\"eth1\"],\"outside\":[\"eth0\"]},\"mappings\":["   \
	"{\"name\":\"residential\",\"in\":\"100.64.0.0/18\",\"out\":\"203.0.113.0/24\"}," \
	"{\"name\":\"business\",\"in\":\"100.65.0.0/24\",\"out\":\"198.51.100.0/28\"},"   \
	"{\"name\":\"acme\",\"in\":\"100.66.0.9/32\",\"out\":\"192.0.2.9/32\","           \
	"\"inbound\":\"open\"},"                                                          \
	"{\"name\":\"routed\",\"in\":\"100.67.0.0/24\",\"out\":null}],\n" keys "}"
#define PCP(keys) WITH("\"pcp\":{" keys "}")
#define LISTEN	  "\"listen\":[\"100.64.0.1\"]"

Test(pcp_config, pcp_is_off_without_the_key)
{
	_cleanup_config_ struct config *c = config_of(WITH("\"hairpin\":true"));

	cr_expect_not(c->pcp.enabled);
}

Test(pcp_config, an_address_alone_brings_every_default)
{
	_cleanup_config_ struct config *c = config_of(PCP(LISTEN));

	cr_expect(c->pcp.enabled);
	cr_expect_eq(c->pcp.n_listen, 1);
	cr_expect_eq(c->pcp.listen[0], 0x64400001);
	cr_expect_eq(c->pcp.n_mappings, 0);
	cr_expect_eq(c->pcp.max_per_subscriber, 32);
	cr_expect_eq(c->pcp.max_leases, 0);
	cr_expect_eq(c->pcp.lifetime_min, 120);
	cr_expect_eq(c->pcp.lifetime_max, 86400);
	cr_expect_eq(c->pcp.n_third_party, 0);
	cr_expect(c->pcp.announce);
	cr_expect(c->pcp.confirm_neighbours);
}

#define ALL                                                                                     \
	"\"listen\":[\"100.64.0.1\",\"10.0.0.1\"],\"mappings\":[\"business\",\"residential\"]," \
	"\"max_per_subscriber\":7,\"max_leases\":1000,\"lifetime\":{\"min\":1,\"max\":604800}," \
	"\"third_party\":[\"192.0.2.7/32\",\"192.0.2.128/25\"],\"announce\":false,\"confirm_neighbours\":false"

Test(pcp_config, a_configuration_is_read_written_and_read_back)
{
	_cleanup_config_ struct config *c = config_of(PCP(ALL)), *again = config_read_back(c);

	cr_expect_eq(c->pcp.n_listen, 2);
	cr_expect_eq(c->pcp.listen[1], 0x0a000001);
	cr_expect_eq(c->pcp.n_mappings, 2);
	cr_expect_str_eq(c->pcp.mappings[0], "business");
	cr_expect_eq(c->pcp.max_per_subscriber, 7);
	cr_expect_eq(c->pcp.max_leases, 1000);
	cr_expect_eq(c->pcp.lifetime_min, 1);
	cr_expect_eq(c->pcp.lifetime_max, 604800);
	cr_expect_eq(c->pcp.n_third_party, 2);
	cr_expect_eq(c->pcp.third_party[1].base, 0xc0000280);
	cr_expect_eq(c->pcp.third_party[1].plen, 25);
	cr_expect_not(c->pcp.announce);
	cr_expect_not(c->pcp.confirm_neighbours);
	cr_expect_eq(memcmp(&c->pcp, &again->pcp, sizeof(c->pcp)), 0);
}

Test(pcp_config, the_document_leaves_defaults_out)
{
	expect_document(PCP(LISTEN ",\"third_party\":false,\"lifetime\":{\"max\":86400}"), "pcp",
			"{\"listen\":[\"100.64.0.1\"]}");
}

Test(pcp_config, a_value_that_cannot_be_is_refused_with_its_place)
{
	static const struct refused_row rows[] = {
		{ WITH("\"pcp\":true"), ":2: pcp: must be an object" },
		{ PCP(""), ":2: pcp.listen: this key is missing" },
		{ PCP("\"listen\":\"100.64.0.1\""), ":2: pcp.listen: must be a list of addresses" },
		{ PCP("\"listen\":[]"), ":2: pcp.listen: must be a list of addresses" },
		{ PCP("\"listen\":[7]"), ":2: pcp.listen[0]: must be an IPv4 address such as \"100.64.0.1\"" },
		{ PCP("\"listen\":[\"100.64.0.1:5351\"]"),
		  ":2: pcp.listen[0]: must be an IPv4 address such as \"100.64.0.1\"" },
		{ PCP("\"listen\":[\"100.64.0.1\",\n\"100.64.0.1\"]"), ":3: pcp.listen[1]: is in this list already" },
		{ PCP("\"listen\":[\"0.0.0.0\"]"),
		  ":2: pcp.listen[0]: 0.0.0.0 is not an address of an inside interface" },
		{ PCP("\"listen\":[\"127.0.0.1\"]"),
		  ":2: pcp.listen[0]: 127.0.0.1 is not an address of an inside interface" },
		{ PCP("\"listen\":[\"224.0.0.1\"]"),
		  ":2: pcp.listen[0]: 224.0.0.1 is not an address of an inside interface" },
		{ PCP("\"listen\":[\"203.0.113.9\"]"),
		  ":2: pcp.listen[0]: 203.0.113.9 is a pool address; write the gateway's own "
		  "address on an inside interface" },
		{ PCP(LISTEN ",\"mappings\":[]"), ":2: pcp.mappings: must be a list of names of mappings" },
		{ PCP(LISTEN ",\"mappings\":[\"a b\"]"), ":2: pcp.mappings[0]: must be the name of a mapping" },
		{ PCP(LISTEN ",\"mappings\":[\"business\",\"business\"]"),
		  ":2: pcp.mappings[1]: is in this list already" },
		{ PCP(LISTEN ",\"mappings\":[\"bisness\"]"), ":2: pcp.mappings[0]: no mapping has the name bisness" },
		{ PCP(LISTEN ",\"mappings\":[\"acme\",\"routed\"]"),
		  ":2: pcp.mappings[1]: routed is not translated: its subscribers have no ports to open" },
		{ PCP(LISTEN ",\"max_per_subscriber\":0"),
		  ":2: pcp.max_per_subscriber: must be a whole number from 1 to 1024, not 0" },
		{ PCP(LISTEN ",\"lifetime\":3600"), ":2: pcp.lifetime: must be an object" },
		{ PCP(LISTEN ",\"lifetime\":{\"min\":0}"),
		  ":2: pcp.lifetime.min: must be a whole number from 1 to 604800, not 0" },
		{ PCP(LISTEN ",\"lifetime\":{\"max\":100}"), ":2: pcp.lifetime: min, 120, is above max, 100" },
		{ PCP(LISTEN ",\"third_party\":true"), ":2: pcp.third_party: must be false, or the list of prefixes of "
						       "hosts that may open ports for others; true "
						       "would let every subscriber do that" },
		{ PCP(LISTEN ",\"third_party\":[]"), ":2: pcp.third_party: must be a list of prefixes, or false" },
		{ PCP(LISTEN ",\"third_party\":[\"10.0.0.1\"]"),
		  ":2: pcp.third_party[0]: must be an IPv4 prefix such as \"10.0.0.0/18\", not \"10.0.0.1\"" },
		{ PCP(LISTEN ",\"third_party\":[\"10.0.0.1/24\",\"10.0.0.2/24\"]"),
		  ":2: pcp.third_party[1]: is in this list already" },
		{ PCP(LISTEN ",\"announce\":1"), ":2: pcp.announce: must be true or false, not 1" },
		{ PCP(LISTEN ",\"port\":5351"), ":2: pcp.port: unknown key" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

Test(pcp_config, a_mapping_that_is_served_cannot_be_deleted)
{
	_cleanup_config_ struct config *c = config_of(PCP(LISTEN ",\"mappings\":[\"business\"]"));
	struct error err = { "" };

	cr_assert_eq(config_del_mapping_of(c, "", c->mappings[1].in, c->mappings[1].out), 0);
	cr_expect_eq(config_validate(c, NULL, &err), -EINVAL);
	cr_expect_str_eq(err.text, "pcp.mappings[0]: no mapping has the name business");
}

Test(pcp_config, there_are_as_many_leases_as_its_subscribers_may_have)
{
	static const struct {
		const char *name;
		const char *json;
		uint64_t subscribers;
		uint32_t leases;
	} rows[] = {
		{ "without PCP", WITH("\"hairpin\":true"), 0, MIN_LEASES },
		{ "all that are translated", PCP(LISTEN), 16384 + 256 + 1, 262144 },
		{ "some mappings", PCP(LISTEN ",\"mappings\":[\"residential\"]"), 16384, 262144 },
		{ "few subscribers", PCP(LISTEN ",\"mappings\":[\"business\"]"), 256, MIN_LEASES },
		{ "fewer of each", PCP(LISTEN ",\"max_per_subscriber\":8"), 16641, 16641 * 8 },
		{ "as many as there can be", PCP(LISTEN ",\"max_leases\":1048576"), 16641, MAX_LEASES },
		{ "as it is said", PCP(LISTEN ",\"max_leases\":7"), 16641, 7 },
		{ "auto, as it is said", PCP(LISTEN ",\"max_leases\":\"auto\""), 16641, 262144 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_config_ struct config *c = config_of(rows[i].json);

		cr_expect_eq(config_pcp_subscribers(c), rows[i].subscribers, "%s", rows[i].name);
		cr_expect_eq(config_pcp_leases(c), rows[i].leases, "%s: %u", rows[i].name, config_pcp_leases(c));
	}
}

/* A /24 and a /32 within, of which one is served by name and all are by the mapping around them. */
Test(pcp_config, subscribers_of_a_mapping_within_another_count_once)
{
#define NESTED(pcp)                                                                     \
	"{\"interfaces\":{\"inside\":[\"eth1\"],\"outside\":[\"eth0\"]},\"mappings\":[" \
	"{\"name\":\"around\",\"in\":\"100.64.0.0/18\",\"out\":\"203.0.113.0/24\"},"    \
	"{\"name\":\"within\",\"in\":\"100.64.5.0/24\",\"out\":\"198.51.100.0/28\"},"   \
	"{\"name\":\"one\",\"in\":\"100.64.5.9/32\",\"out\":\"192.0.2.9/32\"}],"        \
	"\"pcp\":{" LISTEN pcp "}}"
	_cleanup_config_ struct config *all = config_of(NESTED("")),
				       *inner = config_of(NESTED(",\"mappings\":[\"within\",\"one\"]"));

	cr_expect_eq(config_pcp_subscribers(all), 16384);
	cr_expect_eq(config_pcp_subscribers(inner), 256);
}
