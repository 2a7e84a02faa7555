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
#define BOTH		       A ",\n" B

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
		{ TENANTS(A, ",\n" INTERFACES),
		  ":2: tenants: each tenant has its own interfaces: leave `interfaces` at the top out" },
		{ WITH("\"mappings\":[\n" OF_A "]"),
		  ":3: mappings[0].tenant: there is no tenant a: `tenants` lists them, and there is none" },
		{ TENANTS(A, ",\"mappings\":[\n{\"in\":\"10.0.0.0/16\",\"out\":\"1.1.1.0/24\"}]"),
		  ":3: mappings[0].tenant: is missing: where there are tenants, every mapping belongs to one" },
		{ TENANTS(A, ",\"mappings\":[\n" OF_A ",\n" OF_B "]"), ":4: mappings[1].tenant: there is no tenant b" },
		{ TENANTS(BOTH, ",\"mappings\":[\n" OF_A ",\n"
				"{\"tenant\":\"b\",\"in\":\"10.0.0.0/16\",\"out\":\"2.2.2.0/24\"}]"),
		  ":5: mappings[1].in: 10.0.0.0/16 overlaps 10.0.0.0/16, of the tenant a: inside addresses of two "
		  "tenants must differ" },
		{ TENANTS(BOTH, ",\"mappings\":[\n" OF_A ",\n"
				"{\"tenant\":\"b\",\"in\":\"10.0.1.0/24\",\"out\":\"2.2.2.0/24\"}]"),
		  ":5: mappings[1].in: 10.0.1.0/24 overlaps 10.0.0.0/16, of the tenant a: inside addresses of two "
		  "tenants must differ" },
		{ TENANTS(BOTH, ",\"mappings\":[\n" OF_A ",\n"
				"{\"tenant\":\"b\",\"in\":\"10.1.0.0/16\",\"out\":\"1.1.1.0/24\"}]"),
		  ":5: mappings[1].out: 1.1.1.0/24 overlaps 1.1.1.0/24, mappings[0].out" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
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
