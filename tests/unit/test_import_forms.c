// SPDX-License-Identifier: BSD-2-Clause
/* Forms in which systems print one and the same plan, what of it is not in force, and what is named as lost. */
#include <criterion/criterion.h>
#include <string.h>

#include "import/import.h"
#include "import/import_build.h"
#include "import/import_prove.h"
#include "plan/plan.h"

#define KIND(k) (1U << (k))

struct form {
	const char *name;
	enum import_format format;
	const char *text;
	size_t subscribers;
	uint32_t lost;	/* kinds of notes of what is lost, and no others */
	uint32_t named; /* kinds of other notes, at least */
	struct {
		const char *in, *out;
		unsigned lo, hi;
	} e[3];
};

static const struct form forms[] = {
	{ "Nokia, a map on a line of its own first",
	  IMPORT_NOKIA,
	  "/configure service vprn \"77\" nat outside pool \"north\"\n"
	  "/configure service vprn \"77\" nat outside pool \"north\" large-scale\n"
	  "/configure service vprn \"77\" nat outside pool \"north\" large-scale subscriber-limit 8\n"
	  "/configure service vprn \"77\" nat outside pool \"north\" large-scale deterministic\n"
	  "/configure service vprn \"77\" nat outside pool \"north\" large-scale deterministic port-reservation 64\n"
	  "/configure service vprn \"77\" nat outside pool \"north\" address-range 198.51.100.7 end 198.51.100.7\n"
	  "/configure service vprn \"78\" nat inside large-scale nat44 deterministic prefix-map 100.72.3.0/29 "
	  "nat-policy \"pol\"\n"
	  "/configure service vprn \"78\" nat inside large-scale nat44 deterministic prefix-map 100.72.3.0/29 "
	  "nat-policy \"pol\" admin-state enable\n"
	  "/configure service vprn \"78\" nat inside large-scale nat44 deterministic prefix-map 100.72.3.0/29 "
	  "nat-policy \"pol\" map 100.72.3.0 to 100.72.3.7\n"
	  "/configure service vprn \"78\" nat inside large-scale nat44 deterministic prefix-map 100.72.3.0/29 "
	  "nat-policy \"pol\" map 100.72.3.0 to 100.72.3.7 first-outside-address 198.51.100.7\n",
	  8,
	  0,
	  0,
	  { { "100.72.3.0", "198.51.100.7", 1024, 1087 }, { "100.72.3.7", "198.51.100.7", 1472, 1535 } } },
	{ "Nokia, classic, a pool and a prefix are shut down",
	  IMPORT_NOKIA,
	  "    router Base\n"
	  "        nat\n"
	  "            outside\n"
	  "                pool \"off\" nat-group 1 type large-scale create\n"
	  "                    port-reservation ports 100\n"
	  "                    subscriber-limit 8\n"
	  "                    deterministic\n"
	  "                        port-reservation 300\n"
	  "                    exit\n"
	  "                    address-range 192.0.2.1 192.0.2.4 create\n"
	  "                    exit\n"
	  "                    redundancy\n"
	  "                        no shutdown\n"
	  "                    exit\n"
	  "                    shutdown\n"
	  "                exit\n"
	  "                pool \"on\" nat-group 1 type large-scale create\n"
	  "                    subscriber-limit 8\n"
	  "                    deterministic\n"
	  "                        port-reservation 300\n"
	  "                    exit\n"
	  "                    address-range 192.0.2.9 192.0.2.12 create\n"
	  "                    exit\n"
	  "                    no shutdown\n"
	  "                exit\n"
	  "            exit\n"
	  "        exit\n"
	  "    exit\n"
	  "    service\n"
	  "        vprn 101 customer 1 create\n"
	  "            nat\n"
	  "                inside\n"
	  "                    deterministic\n"
	  "                        classic-lsn-sub-limit 8\n"
	  "                        prefix 100.64.0.0/28 subscriber-type classic-lsn-sub nat-policy \"n\" create\n"
	  "                            map start 100.64.0.0 end 100.64.0.15 to 192.0.2.9\n"
	  "                            no shutdown\n"
	  "                        exit\n"
	  "                        prefix 100.65.0.0/28 subscriber-type classic-lsn-sub nat-policy \"n\" create\n"
	  "                            map start 100.65.0.0 end 100.65.0.15 to 192.0.2.11\n"
	  "                            shutdown\n"
	  "                        exit\n"
	  "                        prefix 100.66.0.0/28 subscriber-type classic-lsn-sub nat-policy \"m\" create\n"
	  "                            map start 100.66.0.0 end 100.66.0.15 to 192.0.2.1\n"
	  "                            no shutdown\n"
	  "                        exit\n"
	  "                    exit\n"
	  "                exit\n"
	  "            exit\n"
	  "            shutdown\n"
	  "        exit\n"
	  "    exit\n",
	  16,
	  0,
	  KIND(IMPORT_DISABLED),
	  { { "100.64.0.0", "192.0.2.9", 1024, 1323 }, { "100.64.0.8", "192.0.2.10", 1024, 1323 } } },
	{ "Nokia, braces, a prefix is turned off, a pool of DHCP has the name of one of NAT",
	  IMPORT_NOKIA,
	  "configure {\n"
	  "    service {\n"
	  "        vprn \"9999\" {\n"
	  "            nat {\n"
	  "                outside {\n"
	  "                    pool \"d\" {\n"
	  "                        admin-state enable\n"
	  "                        type large-scale\n"
	  "                        nat-group 1\n"
	  "                        large-scale {\n"
	  "                            subscriber-limit 8\n"
	  "                            redundancy {\n"
	  "                                admin-state disable\n"
	  "                            }\n"
	  "                            deterministic {\n"
	  "                                port-reservation 64\n"
	  "                            }\n"
	  "                        }\n"
	  "                        port-reservation {\n"
	  "                            ports 64\n"
	  "                        }\n"
	  "                        address-range 192.0.2.1 end 192.0.2.2 {\n"
	  "                        }\n"
	  "                    }\n"
	  "                }\n"
	  "            }\n"
	  "        }\n"
	  "        vprn \"9998\" {\n"
	  "            nat {\n"
	  "                inside {\n"
	  "                    large-scale {\n"
	  "                        nat44 {\n"
	  "                            deterministic {\n"
	  "                                prefix-map 100.64.0.0/29 nat-policy \"n\" {\n"
	  "                                    admin-state enable\n"
	  "                                    map 100.64.0.0 to 100.64.0.7 {\n"
	  "                                        first-outside-address 192.0.2.1\n"
	  "                                    }\n"
	  "                                }\n"
	  "                                prefix-map 100.64.0.8/29 nat-policy \"n\" {\n"
	  "                                    admin-state disable\n"
	  "                                    map 100.64.0.8 to 100.64.0.15 {\n"
	  "                                        first-outside-address 192.0.2.2\n"
	  "                                    }\n"
	  "                                }\n"
	  "                            }\n"
	  "                        }\n"
	  "                    }\n"
	  "                }\n"
	  "            }\n"
	  "            dhcp-server {\n"
	  "                dhcpv4 \"s\" {\n"
	  "                    pool \"d\" {\n"
	  "                        subnet 100.64.0.0/29 {\n"
	  "                            address-range 100.64.0.2 end 100.64.0.7 { }\n"
	  "                        }\n"
	  "                    }\n"
	  "                }\n"
	  "            }\n"
	  "        }\n"
	  "    }\n"
	  "}\n",
	  8,
	  KIND(IMPORT_EXTENSION),
	  KIND(IMPORT_DISABLED),
	  { { "100.64.0.0", "192.0.2.1", 1024, 1087 }, { "100.64.0.7", "192.0.2.1", 1472, 1535 } } },
};

static uint32_t address(const char *text)
{
	uint32_t a;

	cr_assert_eq(addr_parse(text, &a), 0, "%s", text);
	return a;
}

/* Every accepted plan is kept whole: the proof is the importer's own. */
static void expect_kept(const struct form *f, struct import *m)
{
	_cleanup_plan_ struct plan plan = { 0 };
	struct import_proof proof;
	struct error err;

	cr_assert_eq(import_fit(m, false), 0);
	cr_assert_eq(import_plan(m, &plan, &err), 0, "%s: %s", f->name, err.text);
	cr_assert_eq(import_prove(m, &plan, &proof), 0);
	cr_expect_eq(proof.kept, f->subscribers, "%s keeps %llu", f->name, (unsigned long long)proof.kept);
	cr_expect_eq(proof.foreign, 0, "%s", f->name);
}

static void expect_notes(const struct form *f, const struct import *m)
{
	uint32_t lost = 0, named = 0;

	for (size_t i = 0; i < m->n_notes; i++)
		*(import_note_lost(m->note[i].kind) ? &lost : &named) |= KIND(m->note[i].kind);
	for (size_t i = 0; i < m->n_notes && lost != f->lost; i++)
		cr_log_warn("%s: %s", f->name, m->note[i].text);
	cr_expect_eq(lost, f->lost, "%s loses %x", f->name, lost);
	cr_expect_eq(named & f->named, f->named, "%s names %x", f->name, named);
}

Test(import_forms, each_form_has_the_plan_that_the_others_have)
{
	const struct import_options options = { .junos_pool_boundaries = -1 };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		const struct form *f = &forms[i];
		_cleanup_import_ struct import *m = NULL;
		struct error err;

		cr_assert_eq(import_read(IMPORT_AUTO, f->text, strlen(f->text), "FILE", &options, &m, &err), 0,
			     "%s: %s", f->name, err.text);
		cr_expect_eq(m->format, f->format, "%s", f->name);
		cr_expect_eq(m->n_rows, f->subscribers, "%s: %zu", f->name, m->n_rows);
		for (size_t k = 0; k < ARRAY_SIZE(f->e) && f->e[k].in; k++) {
			const struct import_row *r = import_find(m, address(f->e[k].in));

			cr_assert_not_null(r, "%s: %s has no block", f->name, f->e[k].in);
			cr_expect_eq(r->out, address(f->e[k].out), "%s: %s", f->name, f->e[k].in);
			cr_expect_eq(r->lo, f->e[k].lo, "%s: %s from %u", f->name, f->e[k].in, r->lo);
			cr_expect_eq(r->hi, f->e[k].hi, "%s: %s to %u", f->name, f->e[k].in, r->hi);
		}
		expect_notes(f, m);
		expect_kept(f, m);
	}
}

Test(import_forms, what_decides_is_the_reason_of_a_refusal)
{
	static const struct {
		const char *text, *why;
	} texts[] = {
		{ "/configure service vprn \"9999\" nat outside pool \"d\" admin-state disable\n"
		  "/configure service vprn \"9999\" nat outside pool \"d\" large-scale subscriber-limit 8\n"
		  "/configure service vprn \"9999\" nat outside pool \"d\" large-scale deterministic port-reservation "
		  "64\n"
		  "/configure service vprn \"9999\" nat outside pool \"d\" address-range 192.0.2.1 end 192.0.2.1\n"
		  "/configure service vprn \"9998\" nat inside large-scale nat44 deterministic prefix-map "
		  "100.64.0.0/29 nat-policy \"n\" map 100.64.0.0 to 100.64.0.7 first-outside-address 192.0.2.1\n"
		  "/configure service vprn \"9998\" dhcp-server dhcpv4 \"s\" pool \"d\" subnet 100.64.0.0/29 "
		  "address-range 100.64.0.2 end 100.64.0.7\n"
		  "/configure service nat nat-policy \"n\" alg sip true\n",
		  "FILE:1: pool \"d\" is turned off" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct import_options options = { .junos_pool_boundaries = -1 };
		struct import *m = NULL;
		struct error err;

		cr_assert_eq(import_read(IMPORT_AUTO, texts[i].text, strlen(texts[i].text), "FILE", &options, &m, &err),
			     -EINVAL, "%zu", i);
		cr_expect_not_null(strstr(err.text, texts[i].why), "%zu: %s", i, err.text);
	}
}
