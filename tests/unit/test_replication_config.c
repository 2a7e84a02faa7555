/* SPDX-License-Identifier: BSD-2-Clause */
/* The key `replication`: what it takes, what it refuses, and that what is written is read back. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "config_fixture.h"

#define WITH(keys)                                                                        \
	"{\"interfaces\":{\"inside\":[\"eth1\"],\"outside\":[\"eth0\"]},\"mappings\":["   \
	"{\"name\":\"residential\",\"in\":\"100.64.0.0/18\",\"out\":\"203.0.113.0/24\"}," \
	"{\"name\":\"routed\",\"in\":\"100.66.0.0/24\",\"out\":null},"                    \
	"{\"name\":\"business\",\"in\":\"100.65.0.0/24\",\"out\":\"198.51.100.0/28\"}],\n" keys "}"
#define REPLICATION(keys) WITH("\"replication\":{" keys "}")
#define LISTEN		  "\"listen\":\"192.0.2.1:9470\""
#define PEERS		  "\"peers\":[\"192.0.2.2:9470\"]"
#define KEY		  "\"key_file\":\"/etc/detnat/replication.key\""
#define NEEDED		  LISTEN "," PEERS "," KEY

Test(replication_config, replication_is_off_without_the_key)
{
	_cleanup_config_ struct config *c = config_of(WITH("\"hairpin\":true"));

	cr_expect_not(c->replication.enabled);
}

Test(replication_config, the_required_keys_bring_every_default)
{
	_cleanup_config_ struct config *c = config_of(REPLICATION(NEEDED));

	cr_expect(c->replication.enabled);
	cr_expect_eq(c->replication.listen.addr, 0xc0000201);
	cr_expect_eq(c->replication.listen.port, 9470);
	cr_expect_eq(c->replication.n_peers, 1);
	cr_expect_eq(c->replication.peers[0].addr, 0xc0000202);
	cr_expect_str_eq(c->replication.key_file, "/etc/detnat/replication.key");
	cr_expect_eq(c->replication.min_age, 2);
	cr_expect_eq(c->replication.interval, 1);
	cr_expect_eq(c->replication.n_mappings, 0);
}

#define ALL                                                                                         \
	"\"listen\":\"127.0.0.1:1\",\"peers\":[\"127.0.0.1:2\",\"127.0.0.1:3\"],\"key_file\":null," \
	"\"min_age\":0,\"interval\":60,\"mappings\":[\"business\",\"residential\"]"

Test(replication_config, a_configuration_is_read_written_and_read_back)
{
	_cleanup_config_ struct config *c = config_of(REPLICATION(ALL)), *again = config_read_back(c);

	cr_expect_eq(c->replication.n_peers, 2);
	cr_expect_eq(c->replication.peers[1].port, 3);
	cr_expect_str_eq(c->replication.key_file, "");
	cr_expect_eq(c->replication.min_age, 0);
	cr_expect_eq(c->replication.interval, 60);
	cr_expect_eq(c->replication.n_mappings, 2);
	cr_expect_str_eq(c->replication.mappings[0], "business");
	cr_expect_eq(memcmp(&c->replication, &again->replication, sizeof(c->replication)), 0);
}

Test(replication_config, the_document_leaves_defaults_out)
{
	expect_document(REPLICATION(NEEDED ",\"min_age\":2,\"mappings\":\"all\""), "replication", "{" NEEDED "}");
}

Test(replication_config, a_value_that_cannot_be_is_refused_with_its_place)
{
	static const struct refused_row rows[] = {
		{ WITH("\"replication\":true"), ":2: replication: must be an object" },
		{ REPLICATION(PEERS "," KEY), ":2: replication.listen: this key is missing" },
		{ REPLICATION(LISTEN "," KEY), ":2: replication.peers: this key is missing" },
		{ REPLICATION(LISTEN "," PEERS), ":2: replication.key_file: this key is missing" },
		{ REPLICATION(PEERS "," KEY ",\"listen\":\"0.0.0.0:9470\""),
		  ":2: replication.listen: 0.0.0.0 is not an address of a single gateway" },
		{ REPLICATION(PEERS "," KEY ",\"listen\":\"203.0.113.9:9470\""),
		  ":2: replication.listen: 203.0.113.9 is a pool address; write one of the gateway's own addresses" },
		{ REPLICATION(LISTEN "," KEY ",\"peers\":\"192.0.2.2:9470\""),
		  ":2: replication.peers: must be a list of gateways" },
		{ REPLICATION(LISTEN "," KEY ",\"peers\":[]"), ":2: replication.peers: must be a list of gateways" },
		{ REPLICATION(LISTEN "," KEY ",\"peers\":[\"192.0.2.2\"]"),
		  ":2: replication.peers[0]: must be the address and port of a gateway such as \"192.0.2.2:9470\"" },
		{ REPLICATION(LISTEN "," KEY ",\"peers\":[\"192.0.2.2:0\"]"),
		  ":2: replication.peers[0]: must be the address and port of a gateway such as \"192.0.2.2:9470\"" },
		{ REPLICATION(LISTEN "," KEY ",\"peers\":[\"192.0.2.2:9470\",\n\"192.0.2.2:9470\"]"),
		  ":3: replication.peers[1]: is in this list already" },
		{ REPLICATION(LISTEN "," KEY ",\"peers\":[\"1.1.1.1:1\",\"1.1.1.1:2\",\"1.1.1.1:3\",\"1.1.1.1:4\","
				     "\"1.1.1.1:5\",\"1.1.1.1:6\",\"1.1.1.1:7\",\n\"1.1.1.1:8\"]"),
		  ":3: replication.peers[7]: more than 7 gateways" },
		{ REPLICATION(LISTEN "," KEY ",\"peers\":[\"192.0.2.1:9470\"]"),
		  ":2: replication.peers[0]: is this gateway itself, as in replication.listen" },
		{ REPLICATION(LISTEN "," KEY ",\"peers\":[\"198.51.100.3:9470\"]"),
		  ":2: replication.peers[0]: 198.51.100.3 is a pool address; write one of the gateway's own "
		  "addresses" },
		{ REPLICATION(LISTEN "," PEERS ",\"key_file\":\"replication.key\""),
		  ":2: replication.key_file: must be an absolute path of at most 255 octets, or null, not "
		  "\"replication.key\"" },
		{ REPLICATION(LISTEN "," PEERS ",\"key_file\":\"\""),
		  ":2: replication.key_file: must be an absolute path of at most 255 octets, or null, not \"\"" },
		{ REPLICATION(NEEDED ",\"min_age\":61"),
		  ":2: replication.min_age: must be a whole number from 0 to 60, not 61" },
		{ REPLICATION(NEEDED ",\"interval\":0"),
		  ":2: replication.interval: must be a whole number from 1 to 60, not 0" },
		{ REPLICATION(NEEDED ",\"mappings\":\"some\""),
		  ":2: replication.mappings: must be a list of names of mappings, or \"all\"" },
		{ REPLICATION(NEEDED ",\"mappings\":[]"),
		  ":2: replication.mappings: must be a list of names of mappings, or \"all\"" },
		{ REPLICATION(NEEDED ",\"mappings\":[\"business\",\"business\"]"),
		  ":2: replication.mappings[1]: is in this list already" },
		{ REPLICATION(NEEDED ",\"mappings\":[\"bisness\"]"),
		  ":2: replication.mappings[0]: no mapping has the name bisness" },
		{ REPLICATION(NEEDED ",\"mappings\":[\"routed\"]"),
		  ":2: replication.mappings[0]: routed has no sessions to copy; leave it out" },
		{ REPLICATION(NEEDED ",\"port\":9470"), ":2: replication.port: unknown key" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

Test(replication_config, a_mapping_that_is_named_cannot_be_deleted)
{
	_cleanup_config_ struct config *c = config_of(REPLICATION(NEEDED ",\"mappings\":[\"business\"]"));
	struct error err = { "" };

	cr_assert_eq(config_del_mapping_of(c, "", c->mappings[2].in, c->mappings[2].out), 0);
	cr_expect_eq(config_validate(c, NULL, &err), -EINVAL);
	cr_expect_str_eq(err.text, "replication.mappings[0]: no mapping has the name business");
}
