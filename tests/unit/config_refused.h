/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts that are refused, and the check that they are. */
#ifndef DETNAT_TEST_CONFIG_REFUSED_H
#define DETNAT_TEST_CONFIG_REFUSED_H

#include "config_fixture.h"

#define INTERFACES     "\"interfaces\":{\"inside\":[\"eth1\"],\"outside\":[\"eth0\"]}"
#define WITH(keys)     "{" INTERFACES ",\n" keys "}"
#define MAPPINGS(list) WITH("\"mappings\":[\n" list "]")
#define IPFIX(keys)    WITH("\"ipfix\":{" keys "}")
#define COLLECTOR      "\"collector\":\"192.0.2.10:4739\""

#define EXPECT_REFUSED(...) \
	expect_refused((const struct refused_row[])__VA_ARGS__, ARRAY_SIZE(((const struct refused_row[])__VA_ARGS__)))

#endif
