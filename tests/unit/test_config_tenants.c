/* SPDX-License-Identifier: BSD-2-Clause */
/* Tenants: what is refused, their numbers, and what is written back. */
#include <criterion/criterion.h>
#include <string.h>

#include "config_refused.h"

#define LISTS(inside, outside) "\"interfaces\":{\"inside\":[" inside "],\"outside\":[" outside "]}"
#define A		       "{\"name\":\"a\"," LISTS("\"in1\"", "\"out\"") "}"
#define B		       "{\"name\":\"b\"," LISTS("\"in2\"", "\"out\"") "}"
#define TENANTS(list, more)    "{\"tenants\":[\n" list "]" more "}"
#define OF_A		       "{\"tenant\":\"a\",\"in\":\"10.0.0.0/16\",\"out\":\"1.1.1.0/24\"}"
#define OF_B		       "{\"tenant\":\"b\",\"in\":\"10.1.0.0/16\",\"out\":\"2.2.2.0/24\"}"
#define OF_B_IN(in, out)       "{\"tenant\":\"b\",\"in\":\"" in "\",\"out\":\"" out "\"}"
#define BOTH		       A ",\n" B
#define B_IN_VRF	       "{\"name\":\"b\",\"vrf\":\"vb\"," LISTS("\"in2\"", "\"out\"") "}"
#define APART		       A ",\n" B_IN_VRF
#define SHARED		       OF_A ",\n" OF_B_IN("10.0.0.0/16", "2.2.2.0/24")

Test(config_tenants, refusals)
{
	static const struct refused_row rows[] = {
		{ "{\"tenants\":[]}", ":1: interfaces: this key is missing" },
		{ "{\"tenants\":{}}", ":1: tenants: must be a list of tenants" },
		{ TENANTS("{}", ""), ":2: tenants[0].name: this key is missing" },
		{ TENANTS("{\"name\":\"a\"}", ""), ":2: tenants[0].interfaces: this key is missing" },
		{ TENANTS("{\"name\":\"a\",\"interfaces\":{\"inside\":[]}}", ""),
		  ":2: tenants[0].interfaces.outside: this key is missing" },
		{ TENANTS("{\"name\":\"a b\"," LISTS("", "") "}", ""),
		  ":2: tenants[0].name: must be a name of 1 to 63 of A-Z, a-z, 0-9, \".\", \"_\" and, not first, "
		  "\"-\", not \"a b\"" },
		{ TENANTS("{\"name\":\"a\",\"id\":0," LISTS("", "") "}", ""),
		  ":2: tenants[0].id: must be a whole number from 1 to 255, not 0" },
		{ TENANTS("{\"name\":\"a\",\"id\":256," LISTS("", "") "}", ""),
		  ":2: tenants[0].id: must be a whole number from 1 to 255, not 256" },
		{ TENANTS("{\"name\":\"a\",\"vrf\":\"v*\"," LISTS("", "") "}", ""),
		  ":2: tenants[0].vrf: must be the name of a VRF, 1 to 15 characters, not \"v*\"" },
		{ TENANTS(A ",\n" A, ""),
		  ":3: tenants[1].interfaces.inside[0]: in1 is an inside interface of the tenant a already: only "
		  "outside interfaces may be shared" },
		{ TENANTS(A ",\n{\"name\":\"a\"," LISTS("\"in2\"", "") "}", ""),
		  ":3: tenants[1]: a is the name of tenants[0] already" },
		{ TENANTS("{\"name\":\"a\",\"id\":7," LISTS("", "") "},\n{\"name\":\"b\",\"id\":7," LISTS("", "") "}",
			  ""),
		  ":3: tenants[1]: 7 is the id of the tenant a already" },
		{ TENANTS("{\"name\":\"a\",\"vrf\":\"v\"," LISTS("", "") "},\n{\"name\":\"b\",\"vrf\":\"v\"," LISTS(
				  "", "") "}",
			  ""),
		  ":3: tenants[1]: v is the VRF of the tenant a already: a tenant may have many interfaces, and a VRF "
		  "has one tenant" },
		{ TENANTS("{\"name\":\"a\"," LISTS("\"x\",\"x\"", "") "}", ""),
		  ":2: tenants[0].interfaces.inside[1]: x is in this list already" },
		{ TENANTS("{\"name\":\"a\"," LISTS("", "\"x\",\"x\"") "}", ""),
		  ":2: tenants[0].interfaces.outside[1]: x is in this list already" },
		{ TENANTS("{\"name\":\"a\"," LISTS("\"*\"", "\"x\"") "}", ""),
		  ":2: tenants[0]: \"*\" is of no tenant: name its inside interfaces, or write a pattern that no other "
		  "tenant's interfaces match" },
		{ TENANTS(A ",\n{\"name\":\"b\"," LISTS("\"in2\"", "\"in1\"") "}", ""),
		  ":3: tenants[1]: in1 is an inside interface of the tenant a, so it cannot be an outside one of "
		  "another" },
		{ TENANTS(A, ",\n" INTERFACES),
		  ":2: tenants: each tenant has its own interfaces: leave `interfaces` at the top out" },
		{ WITH("\"mappings\":[\n" OF_A "]"),
		  ":3: mappings[0].tenant: there is no tenant a: `tenants` lists them, and there is none" },
		{ TENANTS(A, ",\"mappings\":[\n{\"in\":\"10.0.0.0/16\",\"out\":\"1.1.1.0/24\"}]"),
		  ":3: mappings[0].tenant: is missing: where there are tenants, every mapping belongs to one" },
		{ TENANTS(A, ",\"mappings\":[\n" OF_A ",\n" OF_B "]"),
		  ":4: mappings[1].tenant: there is no tenant b: `tenants` lists them" },
		{ TENANTS(BOTH, ",\"mappings\":[\n" OF_A ",\n" OF_B_IN("10.0.0.0/16", "2.2.2.0/24") "]"),
		  ":5: mappings[1].in: 10.0.0.0/16 overlaps 10.0.0.0/16, of the tenant a, and both are routed by the "
		  "main "
		  "table: give a or b a `vrf`, or one of them other addresses" },
		{ TENANTS(BOTH, ",\"mappings\":[\n" OF_A ",\n" OF_B_IN("10.0.1.0/24", "2.2.2.0/24") "]"),
		  ":5: mappings[1].in: 10.0.1.0/24 overlaps 10.0.0.0/16, of the tenant a, and both are routed by the "
		  "main "
		  "table: give a or b a `vrf`, or one of them other addresses" },
		{ TENANTS(APART, ",\"mappings\":[\n" OF_A ",\n" OF_B_IN("10.0.0.0/16", "1.1.1.0/24") "]"),
		  ":5: mappings[1].out: 1.1.1.0/24 overlaps 1.1.1.0/24, mappings[0].out" },
		/* An inside prefix of one tenant, and a pool of another. */
		{ TENANTS(APART, ",\"mappings\":[\n" OF_A ",\n" OF_B_IN("1.1.1.0/28", "2.2.2.0/30") "]"),
		  ":5: mappings[1].in: 1.1.1.0/28 overlaps 1.1.1.0/24, mappings[0].out" },
		{ TENANTS(APART, ",\"mappings\":[\n" OF_A ",\n" OF_B_IN("10.9.0.0/24", "10.0.7.0/30") "]"),
		  ":5: mappings[1].out: 10.0.7.0/30 overlaps 10.0.0.0/16, mappings[0].in" },
		/* Of one tenant, the same as without tenants. */
		{ TENANTS(APART, ",\"mappings\":[\n" OF_B ",\n" OF_B_IN("10.1.0.0/16", "3.3.3.0/24") "]"),
		  ":5: mappings[1].in: 10.1.0.0/16 is mappings[0].in already, in line 4" },
		{ TENANTS(APART, ",\"mappings\":[\n" SHARED "],\"portmaps\":[\n"
				 "{\"proto\":\"tcp\",\"in\":\"10.0.0.2:80\"}]"),
		  ":6: portmaps[0].in: 10.0.0.2 is an address of a and of b: `tenant` says which" },
		{ TENANTS(APART, ",\"mappings\":[\n" SHARED "],\"portmaps\":[\n"
				 "{\"proto\":\"tcp\",\"in\":\"10.0.0.2:80\",\"tenant\":\"c\"}]"),
		  ":6: portmaps[0].tenant: there is no tenant c: `tenants` lists them" },
		{ TENANTS(APART, ",\"mappings\":[\n" OF_A ",\n" OF_B "],\"portmaps\":[\n"
				 "{\"proto\":\"tcp\",\"in\":\"10.0.0.2:80\",\"tenant\":\"b\"}]"),
		  ":6: portmaps[0].in: 10.0.0.2 is not an inside address of any mapping of b: portmap 10.0.0.2:80 must "
		  "name a subscriber, or be deleted first" },
		{ TENANTS(APART, ",\"mappings\":[\n" SHARED "],\"portmaps\":[\n"
				 "{\"proto\":\"tcp\",\"in\":\"10.0.0.2:80\",\"tenant\":\"b\",\"out\":\"1.1.1.0:80\"}]"),
		  ":6: portmaps[0].out: 10.0.0.2 of b leaves through 2.2.2.0, not 1.1.1.0: portmap 10.0.0.2:80 must "
		  "have "
		  "2.2.2.0 outside, or be deleted first" },
		{ TENANTS(APART, ",\"mappings\":[\n" SHARED "],\"portmaps\":[\n"
				 "{\"proto\":\"tcp\",\"in\":\"10.0.0.2:80\",\"tenant\":\"b\"},\n"
				 "{\"proto\":\"tcp\",\"in\":\"10.0.0.2:80\",\"out\":\"2.2.2.0:99\"}]"),
		  ":7: portmaps[1].in: tcp 10.0.0.2:80 is taken by another portmap, 10.0.0.2:80" },
		{ TENANTS(BOTH, ",\"mappings\":[\n" OF_A ",\n"
				"{\"tenant\":\"b\",\"in\":\"10.1.0.0/16\",\"out\":\"1.1.1.0/24\"}]"),
		  ":5: mappings[1].out: 1.1.1.0/24 overlaps 1.1.1.0/24, mappings[0].out" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}

/* With one of them in a VRF, the same prefix, one within the other, and prefixes that overlap in part. */
Test(config_tenants, in_vrfs_have_any_inside_prefixes)
{
	static const char *const rows[] = { "10.0.0.0/16", "10.0.1.0/24", "10.0.0.0/8", "10.0.255.0-10.1.0.255" };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[1024];

		snprintf(text, sizeof(text),
			 TENANTS(APART, ",\"mappings\":[" OF_A ",{\"tenant\":\"b\",\"in\":\"%s\",\"out\":null}]"),
			 rows[i]);
		config_free(config_of(text));
	}
}

/* Nesting is that of one tenant, whatever lies in between of another. */
Test(config_tenants, have_exceptions_of_their_own)
{
	struct config *c =
		config_of(TENANTS(APART, ",\"mappings\":[" SHARED "," OF_B_IN("10.0.1.0/24", "2.2.3.0/30") "]"));
	struct prefix inner = c->mappings[2].in, host = { inner.base + 5, 32 };

	cr_expect_eq(config_find_around(c, "b", inner), &c->mappings[1]);
	cr_expect_eq(config_find_around(c, "a", inner), &c->mappings[0]);
	cr_expect_eq(config_mapping_of_tenant(c, "a", host.base), &c->mappings[0]);
	cr_expect_eq(config_mapping_of_tenant(c, "b", host.base), &c->mappings[2]);
	config_free(c);
}

Test(config_tenants, addresses_of_several_are_told_apart_by_the_outside_one)
{
	struct config *c = config_of(TENANTS(APART, ",\"mappings\":[" SHARED "]"));
	const struct config_mapping *two[2] = { NULL, NULL };
	const uint32_t in = 0x0a000005;

	cr_expect_null(config_mapping_of_pair(c, in, 0, two));
	cr_expect_eq(two[0], &c->mappings[0]);
	cr_expect_eq(two[1], &c->mappings[1]);
	cr_expect_eq(config_mapping_of_pair(c, in, 0x01010103, NULL), &c->mappings[0]);
	cr_expect_eq(config_mapping_of_pair(c, in, 0x02020203, NULL), &c->mappings[1]);
	config_free(c);
}

/* One in the other's place is another mapping: neither a reload nor a patch takes them for the same. */
Test(config_tenants, swapped_prefixes_are_a_change)
{
	struct config
		*c = config_of(TENANTS(APART, ",\"mappings\":[" SHARED "]")),
		*same = config_of(TENANTS(APART, ",\"mappings\":[" OF_B_IN("10.0.0.0/16", "2.2.2.0/24") "," OF_A "]")),
		*other = config_of(TENANTS(
			APART,
			",\"mappings\":[{\"tenant\":\"a\",\"in\":\"10.0.0.0/16\",\"out\":\"2.2.2.0/24\"}," OF_B_IN(
				"10.0.0.0/16", "1.1.1.0/24") "]"));

	cr_expect_eq(config_same(c, same), 1);
	cr_expect_eq(config_same(c, other), 0);
	config_free(c);
	config_free(same);
	config_free(other);
}

/* "tenants" with that many of them. */
static char *many(unsigned n)
{
	char *text = malloc(64 + n * 80U);
	size_t at = (size_t)sprintf(text, "{\"tenants\":[");

	for (unsigned i = 0; i < n; i++)
		at += (size_t)sprintf(text + at, "%s{\"name\":\"t%u\"," LISTS("\"i%u\"", "\"out\"") "}", i ? "," : "",
				      i, i);
	sprintf(text + at, "]}");
	return text;
}

Test(config_tenants, at_most_255)
{
	char *text = many(256);
	struct config *c;
	struct error err;

	cr_assert_eq(config_parse(text, strlen(text), "FILE", &c, &err), -EINVAL);
	cr_expect_str_eq(err.text, "FILE:1: tenants[255]: more than 255 tenants");
	free(text);

	text = many(255);
	c = config_of(text);
	config_number_tenants(c, NULL);
	cr_expect_eq(c->tenants[254].id, 255);
	cr_expect_str_eq(tenant_name(c, 255), "t254");
	config_free(c);
	free(text);
}

static struct config *two(void)
{
	return config_of(TENANTS("{\"name\":\"a\",\"vrf\":\"va\"," LISTS(
					 "\"in1\",{\"name\":\"p*\",\"xdp_mode\":\"skb\"}",
					 "\"out\",\"own\"") "},"
							    "{\"name\":\"b\"," LISTS("\"in2\"", "\"out\"") "}",
				 ",\"mappings\":[" OF_A "," OF_B "]"));
}

static void expect_written(const struct config *c, const char *expected)
{
	char *json = config_to_json(c);
	struct config *again = NULL;
	struct error err;

	cr_expect(json && strstr(json, expected), "%s", json);
	cr_assert(json && !config_parse(json, strlen(json), "FILE", &again, &err), "%s", err.text);
	cr_expect_eq(config_same(c, again), 1);
	free(json);
	config_free(again);
}

Test(config_tenants, are_written_as_they_were_read)
{
	struct config *c = two();

	expect_written(c, "\"tenants\":[{\"name\":\"a\",\"vrf\":\"va\",\"interfaces\":{\"inside\":[\"in1\","
			  "{\"name\":\"p*\",\"xdp_mode\":\"skb\"}],\"outside\":[\"out\",\"own\"]}},"
			  "{\"name\":\"b\",\"interfaces\":{\"inside\":[\"in2\"],\"outside\":[\"out\"]}}],"
			  "\"mappings\":[{\"tenant\":\"a\",");
	config_number_tenants(c, NULL);
	expect_written(c, "{\"name\":\"a\",\"id\":1,\"vrf\":\"va\",");
	config_free(c);
}

Test(config_tenants, belong_to_interfaces_and_mappings)
{
	struct config *c = two();
	const struct config_interface *in = config_find_interface(c, "in2"), *out = config_find_interface(c, "out"),
				      *own = config_find_interface(c, "own");

	config_number_tenants(c, NULL);
	cr_expect_eq(config_interface_tenant(c, in), &c->tenants[1]);
	cr_expect_eq(in->tenant, 2);
	cr_expect_eq(config_find_interface(c, "in1")->tenant, 1);
	cr_expect_str_eq(config_find_interface(c, "p*")->vrf, "va");
	cr_expect_null(config_interface_tenant(c, out));
	cr_expect(config_interface_is_outside_of(c, out, &c->tenants[0]));
	cr_expect(config_interface_is_outside_of(c, out, &c->tenants[1]));
	cr_expect_not(config_interface_is_outside_of(c, own, &c->tenants[1]));
	cr_expect_eq(config_mapping_tenant(c, &c->mappings[1]), 2);
	cr_expect_str_eq(tenant_name(c, 2), "b");
	cr_expect_str_eq(tenant_name(c, 3), "");
	cr_expect_str_eq(tenant_name(c, 0), "");
	config_free(c);
}

/* A number stays with its name, and a new tenant does not get that of a former one. */
Test(config_tenants, keep_their_numbers)
{
	struct config *c = two(), *next = config_of(TENANTS("{\"name\":\"c\"," LISTS("", "") "}," B, ""));

	config_number_tenants(c, NULL);
	config_number_tenants(next, c);
	cr_expect_eq(next->tenants[0].id, 3);
	cr_expect_eq(next->tenants[1].id, 2);
	config_free(c);
	config_free(next);
}

Test(config_tenants, take_numbers_that_the_file_gives)
{
	struct config *before = two(),
		      *c = config_of(TENANTS("{\"name\":\"c\",\"id\":2," LISTS("", "") "}," B "," A, ""));

	config_number_tenants(before, NULL);
	config_number_tenants(c, before);
	cr_expect_eq(c->tenants[0].id, 2);
	cr_expect_eq(c->tenants[1].id, 3);
	cr_expect_eq(c->tenants[2].id, 1);
	config_free(before);
	config_free(c);
}

Test(config_tenants, get_and_lose_interfaces)
{
	struct config *c = two();

	cr_expect_eq(config_add_tenant_interface(c, &c->tenants[1], "in1", DEVICE_INSIDE), -EBUSY);
	cr_expect_eq(config_add_tenant_interface(c, &c->tenants[0], "in1", DEVICE_INSIDE), -EEXIST);
	cr_expect_eq(config_add_tenant_interface(c, &c->tenants[1], "own", DEVICE_OUTSIDE), 0);
	cr_expect_eq(config_add_tenant_interface(c, &c->tenants[1], "own", DEVICE_OUTSIDE), -EEXIST);
	cr_expect_eq(config_del_tenant_interface(c, &c->tenants[0], "own", DEVICE_OUTSIDE), 0);
	cr_expect_eq(config_del_tenant_interface(c, &c->tenants[0], "own", DEVICE_OUTSIDE), -ENOENT);
	cr_expect_eq(config_find_interface(c, "own")->roles, DEVICE_OUTSIDE);
	cr_expect_eq(config_del_tenant_interface(c, &c->tenants[1], "own", DEVICE_OUTSIDE), 0);
	cr_expect_null(config_find_interface(c, "own"));
	cr_expect_eq(config_del_tenant_interface(c, &c->tenants[1], "in1", DEVICE_INSIDE), -ENOENT);
	cr_expect_eq(config_del_tenant_interface(c, &c->tenants[0], "in1", DEVICE_INSIDE), 0);
	expect_written(c, "\"vrf\":\"va\",\"interfaces\":{\"inside\":[{\"name\":\"p*\",\"xdp_mode\":\"skb\"}],"
			  "\"outside\":[\"out\"]}}");
	config_free(c);
}
