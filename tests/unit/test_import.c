// SPDX-License-Identifier: BSD-2-Clause
/* Plans of other systems: who gets which ports there, and whether a configuration keeps them. */
#include <criterion/criterion.h>
#include <string.h>

#include "import/import.h"
#include "import/import_build.h"
#include "import/import_prove.h"
#include "import/import_set.h"
#include "plan/plan.h"

struct expected {
	const char *in;
	const char *out;
	unsigned lo, hi;
};

struct vector {
	const char *name;
	enum import_format format;
	const char *text;
	size_t subscribers;
	struct expected e[5];
};

#define JUNOS_POOL(pool, size, from)                                                  \
	"set services nat pool P address " pool "\n"                                  \
	"set services nat pool P port deterministic-port-block-allocation " size "\n" \
	"set services nat rule R match-direction input\n"                             \
	"set services nat rule R term 4 from source-address " from "\n"               \
	"set services nat rule R term 4 then translated source-pool P\n"              \
	"set services nat rule R term 4 then translated translation-type deterministic-napt44\n"
#define VYOS(ports, limit, outside, inside)                                       \
	"set nat cgnat pool external E external-port-range '" ports "'\n"         \
	"set nat cgnat pool external E per-user-limit port '" limit "'\n" outside \
	"set nat cgnat pool internal I range '" inside "'\n"                      \
	"set nat cgnat rule 10 source pool 'I'\nset nat cgnat rule 10 translation pool 'E'\n"
#define OUTSIDE(range) "set nat cgnat pool external E range " range "\n"

static const struct vector vectors[] = {
	{ "D1",
	  IMPORT_VPP,
	  "det44 add in 10.0.0.0/18 out 1.1.1.0/30\n",
	  16384,
	  { { "10.0.0.2", "1.1.1.0", 1054, 1068 },
	    { "10.0.16.16", "1.1.1.1", 1264, 1278 },
	    { "10.0.63.255", "1.1.1.3", 62449, 62463 } } },
	{ "D2",
	  IMPORT_VPP,
	  "snat deterministic add in 172.16.255.0/24 out 172.17.255.50/32\n",
	  256,
	  { { "172.16.255.20", "172.17.255.50", 6064, 6315 } } },
	{ "D3",
	  IMPORT_VPP,
	  "nat44 deterministic add in 100.64.0.0/16 out 203.0.113.0/24\n",
	  65536,
	  { { "100.64.1.5", "203.0.113.1", 2284, 2535 } } },
	{ "D3 of VyOS on VPP",
	  IMPORT_VPP,
	  "set vpp nat cgnat rule 1 inside-prefix 100.64.0.0/16\nset vpp nat cgnat rule 1 outside-prefix "
	  "203.0.113.0/24\n",
	  65536,
	  { { "100.64.1.5", "203.0.113.1", 2284, 2535 } } },
	{ "exclude of VyOS on VPP",
	  IMPORT_VPP,
	  "set vpp nat cgnat rule 1 inside-prefix 100.64.0.0/24\nset vpp nat cgnat rule 1 outside-prefix "
	  "203.0.113.7/32\n"
	  "set vpp nat cgnat exclude rule 10 local-address 100.64.0.10\n",
	  255,
	  { { "100.64.0.9", "203.0.113.7", 3292, 3543 }, { "100.64.0.11", "203.0.113.7", 3796, 4047 } } },
	{ "D4",
	  IMPORT_VPP,
	  "nat deterministic mapping inside 198.18.0.0/15 outside 203.0.113.128/25\n",
	  131072,
	  { { "198.18.4.1", "203.0.113.129", 1087, 1149 } } },
	{ "V1",
	  IMPORT_VYOS,
	  VYOS("40000-60000", "5000", OUTSIDE("192.0.2.1-192.0.2.2"), "100.64.0.0/29"),
	  8,
	  { { "100.64.0.0", "192.0.2.1", 40000, 44999 },
	    { "100.64.0.3", "192.0.2.1", 55000, 59999 },
	    { "100.64.0.4", "192.0.2.2", 40000, 44999 },
	    { "100.64.0.7", "192.0.2.2", 55000, 59999 } } },
	{ "V2",
	  IMPORT_VYOS,
	  VYOS("1024-65535", "10000",
	       OUTSIDE("192.0.2.121/32") OUTSIDE("198.51.100.23/32 seq '3'") OUTSIDE("203.0.113.102/32 seq '10'"),
	       "100.64.0.0/28"),
	  16,
	  { { "100.64.0.0", "198.51.100.23", 1024, 11023 },
	    { "100.64.0.5", "198.51.100.23", 51024, 61023 },
	    { "100.64.0.6", "203.0.113.102", 1024, 11023 },
	    { "100.64.0.12", "192.0.2.121", 1024, 11023 },
	    { "100.64.0.15", "192.0.2.121", 31024, 41023 } } },
	{ "V3",
	  IMPORT_VYOS,
	  VYOS("1024-65535", "16000", OUTSIDE("203.0.113.1/32 seq '10'") OUTSIDE("192.0.2.1/32 seq '20'"),
	       "100.64.0.0/29"),
	  8,
	  { { "100.64.0.3", "203.0.113.1", 49024, 65023 }, { "100.64.0.4", "192.0.2.1", 1024, 17023 } } },
	{ "V4",
	  IMPORT_VYOS,
	  VYOS("1024-65535", "8000", OUTSIDE("192.0.2.1-192.0.2.2") OUTSIDE("203.0.113.253-203.0.113.254"),
	       "100.64.0.1-100.64.0.32"),
	  32,
	  { { "100.64.0.1", "192.0.2.1", 1024, 9023 },
	    { "100.64.0.8", "192.0.2.1", 57024, 65023 },
	    { "100.64.0.9", "192.0.2.2", 1024, 9023 },
	    { "100.64.0.17", "203.0.113.253", 1024, 9023 } } },
	{ "J1",
	  IMPORT_JUNOS,
	  JUNOS_POOL("44.44.44.0/24", "block-size 249", "10.1.0.0/16"),
	  65534,
	  { { "10.1.1.250", "44.44.44.2", 62278, 62526 } } },
	{ "J2",
	  IMPORT_JUNOS,
	  JUNOS_POOL("143.208.72.192/26", "block-size 1954", "100.64.56.0/21"),
	  2046,
	  { { "100.64.56.1", "143.208.72.193", 1024, 2977 },
	    { "100.64.56.33", "143.208.72.193", 63552, 65505 },
	    { "100.64.56.34", "143.208.72.194", 1024, 2977 },
	    { "100.64.63.254", "143.208.72.254", 63552, 65505 } } },
	{ "J3",
	  IMPORT_JUNOS,
	  JUNOS_POOL("143.208.72.192/26", "block-size 0", "100.64.56.0/21"),
	  2046,
	  { { "100.64.56.33", "143.208.72.193", 63552, 65505 } } },
	{ "F1",
	  IMPORT_FORTIOS,
	  "config firewall ippool\n    edit \"p\"\n        set type fixed-port-range\n        set startip 70.70.70.71\n"
	  "        set endip 70.70.70.80\n        set source-startip 10.0.1.1\n        set source-endip 10.0.1.253\n"
	  "    next\nend\n",
	  253,
	  { { "10.0.1.1", "70.70.70.71", 5117, 7439 },
	    { "10.0.1.26", "70.70.70.71", 63192, 65514 },
	    { "10.0.1.27", "70.70.70.72", 5117, 7439 },
	    { "10.0.1.253", "70.70.70.80", 46931, 49253 } } },
	{ "H1",
	  IMPORT_H3C,
	  "nat444 static local 10.1.1.0 10.1.1.63 global 202.38.1.100 202.38.1.107 port-range 10001 15000 "
	  "block-size 500\n",
	  64,
	  { { "10.1.1.9", "202.38.1.100", 14501, 15000 }, { "10.1.1.10", "202.38.1.101", 10001, 10500 } } },
	{ "K1",
	  IMPORT_NOKIA,
	  "/configure service vprn \"9999\" nat outside pool \"d\" large-scale subscriber-limit 8\n"
	  "/configure service vprn \"9999\" nat outside pool \"d\" large-scale deterministic port-reservation 64\n"
	  "/configure service vprn \"9999\" nat outside pool \"d\" address-range 99.99.99.99 end 99.99.99.99\n"
	  "/configure service vprn \"9998\" nat inside large-scale nat44 deterministic prefix-map 100.80.0.0/29 "
	  "nat-policy \"n\" map 100.80.0.0 to 100.80.0.7 first-outside-address 99.99.99.99\n",
	  8,
	  { { "100.80.0.0", "99.99.99.99", 1024, 1087 }, { "100.80.0.7", "99.99.99.99", 1472, 1535 } } },
	{ "M2",
	  IMPORT_ROUTEROS,
	  "/ip firewall nat\n"
	  "add action=netmap chain=srcnat protocol=tcp src-address=100.48.15.0/29 to-addresses=217.177.0.96/29 "
	  "to-ports=1000-2499\n"
	  "add action=netmap chain=srcnat protocol=udp src-address=100.48.15.0/29 \\\n    "
	  "to-addresses=217.177.0.96/29 to-ports=1000-2499\n"
	  "add action=netmap chain=srcnat protocol=tcp src-address=100.48.15.8/29 to-addresses=217.177.0.96/29 "
	  "to-ports=2500-3999\n"
	  "add action=netmap chain=srcnat protocol=udp src-address=100.48.15.8/29 to-addresses=217.177.0.96/29 "
	  "to-ports=2500-3999\n",
	  16,
	  { { "100.48.15.0", "217.177.0.96", 1000, 2499 },
	    { "100.48.15.7", "217.177.0.103", 1000, 2499 },
	    { "100.48.15.8", "217.177.0.96", 2500, 3999 } } },
	{ "M5",
	  IMPORT_ROUTEROS,
	  " 0 chain=srcnat action=jump jump-target=c src-address=100.64.0.51-100.64.0.54\n"
	  " 1 chain=c action=src-nat to-addresses=192.0.2.1 to-ports=5000-5199 protocol=tcp src-address=100.64.0.51\n"
	  " 2 chain=c action=src-nat to-addresses=192.0.2.1 to-ports=5200-5399 protocol=tcp src-address=100.64.0.52\n"
	  " 3 chain=c action=src-nat to-addresses=192.0.2.1 to-ports=5400-5599 protocol=tcp src-address=100.64.0.53\n"
	  " 4 chain=c action=src-nat to-addresses=192.0.2.1 to-ports=5600-5799 protocol=tcp src-address=100.64.0.54\n",
	  4,
	  { { "100.64.0.52", "192.0.2.1", 5200, 5399 } } },
};

static uint32_t address(const char *text)
{
	uint32_t a;

	cr_assert_eq(addr_parse(text, &a), 0, "%s", text);
	return a;
}

static struct import *read_text(enum import_format format, const char *text)
{
	const struct import_options options = { .junos_pool_boundaries = -1 };
	struct import *m = NULL;
	struct error err;

	cr_assert_eq(import_read(format, text, strlen(text), "FILE", &options, &m, &err), 0, "%s", err.text);
	return m;
}

static struct import_proof prove(struct import *m, bool shrink)
{
	_cleanup_plan_ struct plan plan = { 0 };
	struct import_proof proof;
	struct error err;

	cr_assert_eq(import_fit(m, shrink), 0);
	cr_assert_eq(import_plan(m, &plan, &err), 0, "%s", err.text);
	cr_assert_eq(import_prove(m, &plan, &proof), 0);
	return proof;
}

static void expect_rows(const char *name, const struct import *m, const struct expected *e, size_t n)
{
	for (size_t i = 0; i < n && e[i].in; i++) {
		const struct import_row *r = import_find(m, address(e[i].in));

		cr_assert_not_null(r, "%s: %s has no block", name, e[i].in);
		cr_expect_eq(r->out, address(e[i].out), "%s: %s", name, e[i].in);
		cr_expect_eq(r->lo, e[i].lo, "%s: %s from %u", name, e[i].in, r->lo);
		cr_expect_eq(r->hi, e[i].hi, "%s: %s to %u", name, e[i].in, r->hi);
	}
}

Test(import, vectors_of_documents_and_of_programs)
{
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		const struct vector *v = &vectors[i];
		_cleanup_import_ struct import *m = read_text(v->format, v->text);
		struct import_proof p;

		cr_expect_eq(m->n_rows, v->subscribers, "%s: %zu", v->name, m->n_rows);
		expect_rows(v->name, m, v->e, ARRAY_SIZE(v->e));
		p = prove(m, false);
		cr_expect_eq(p.subscribers, v->subscribers, "%s", v->name);
		cr_expect_eq(p.kept, v->subscribers, "%s keeps %llu", v->name, (unsigned long long)p.kept);
		cr_expect_eq(p.foreign, 0, "%s", v->name);
		cr_expect_eq(m->n_unfit, 0, "%s", v->name);
	}
}

Test(import, vectors_are_recognised)
{
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		_cleanup_import_ struct import *m = read_text(IMPORT_AUTO, vectors[i].text);

		cr_expect_eq(m->format, vectors[i].format, "%s", vectors[i].name);
	}
}

/* Lines of a table: inside address number i of `in`, a = number(i) of `out`, and its block. */
static char *table(const char *in, const char *out, unsigned n, void (*place)(unsigned i, unsigned ret[3]))
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (unsigned i = 0; i < n; i++) {
		char a[ADDR_TEXT], b[ADDR_TEXT];
		unsigned at[3];

		place(i, at);
		fprintf(f, "%s %s %u %u\n", addr_format(address(in) + i, a), addr_format(address(out) + at[0], b),
			at[1], at[2]);
	}
	fclose(f);
	return text;
}

static void place_a1(unsigned i, unsigned at[3])
{
	at[0] = i / 64;
	at[1] = 1024 + 1008 * (i % 64);
	at[2] = at[1] + 1007;
}

static void place_m1(unsigned i, unsigned at[3])
{
	at[0] = i % 32;
	at[1] = 1536 + 2000 * (i / 32);
	at[2] = at[1] + 1999;
}

/* php-cgnat: the first has a port more, the last ends at 65535. */
static void place_m3(unsigned i, unsigned at[3])
{
	unsigned k = i % 32;

	at[0] = i / 32;
	at[1] = k ? 1026 + 2016 * k : 1025;
	at[2] = k == 31 ? 65535 : 1026 + 2016 * (k + 1) - 1;
}

static void place_m4(unsigned i, unsigned at[3])
{
	at[0] = 250 - i / 32;
	at[1] = 1024 + 2000 * (i % 32);
	at[2] = at[1] + 1999;
}

static void place_r1(unsigned i, unsigned at[3])
{
	at[0] = 0;
	at[1] = 1024 + 4032 * i;
	at[2] = at[1] + 4031;
}

Test(import, vectors_of_tables)
{
	static const struct {
		const char *name, *in, *out;
		unsigned n;
		void (*place)(unsigned i, unsigned ret[3]);
		uint64_t kept;
		struct expected e[3];
	} tables[] = {
		{ "A1",
		  "100.97.0.0",
		  "168.232.197.32",
		  128,
		  place_a1,
		  128,
		  { { "100.97.0.63", "168.232.197.32", 64528, 65535 },
		    { "100.97.0.64", "168.232.197.33", 1024, 2031 } } },
		{ "M1",
		  "100.65.12.0",
		  "177.66.58.160",
		  1024,
		  place_m1,
		  1024,
		  { { "100.65.15.42", "177.66.58.170", 51536, 53535 } } },
		{ "M3",
		  "100.65.0.0",
		  "198.0.2.1",
		  64,
		  place_m3,
		  0,
		  { { "100.65.0.0", "198.0.2.1", 1025, 3041 },
		    { "100.65.0.31", "198.0.2.1", 63522, 65535 },
		    { "100.65.0.32", "198.0.2.2", 1025, 3041 } } },
		{ "M4",
		  "100.75.0.0",
		  "192.141.177.0",
		  512,
		  place_m4,
		  512,
		  { { "100.75.0.0", "192.141.177.250", 1024, 3023 },
		    { "100.75.0.31", "192.141.177.250", 63024, 65023 },
		    { "100.75.1.0", "192.141.177.242", 1024, 3023 } } },
		{ "R1",
		  "198.51.100.1",
		  "192.0.2.1",
		  14,
		  place_r1,
		  14,
		  { { "198.51.100.1", "192.0.2.1", 1024, 5055 }, { "198.51.100.14", "192.0.2.1", 53440, 57471 } } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		_cleanup_free_ char *text = table(tables[i].in, tables[i].out, tables[i].n, tables[i].place);
		_cleanup_import_ struct import *m = read_text(IMPORT_TABLE, text);
		struct import_proof p;

		cr_expect_eq(m->n_rows, tables[i].n, "%s", tables[i].name);
		expect_rows(tables[i].name, m, tables[i].e, ARRAY_SIZE(tables[i].e));
		p = prove(m, false);
		cr_expect_eq(p.kept, tables[i].kept, "%s keeps %llu", tables[i].name, (unsigned long long)p.kept);
		cr_expect_eq(p.foreign, 0, "%s", tables[i].name);
	}
}

Test(import, irregular_blocks_shrink_within_the_old_ones)
{
	_cleanup_free_ char *text = table("100.65.0.0", "198.0.2.0", 64, place_m3);
	_cleanup_import_ struct import *m = read_text(IMPORT_TABLE, text);
	struct import_proof p = prove(m, true);

	/* The last block of each address has 2014 ports as it is. */
	cr_expect_eq(p.kept, 2);
	cr_expect_eq(p.shrunk, 62);
	cr_expect_eq(p.foreign, 0);
	cr_assert_eq(m->n_parts, 1);
	cr_expect_eq(m->part[0].first_port, 1026);
	cr_expect_eq(m->part[0].pitch, 2016);
	cr_expect_eq(m->part[0].ports, 2014);
}

/* One subscriber a line, through rules. */
Test(import, rules_of_nftables_and_iptables)
{
	static const struct {
		enum import_format format;
		const char *text;
		size_t subscribers;
	} texts[] = {
		{ IMPORT_NFT,
		  "table ip cgnat {\n\tmap tcp_map {\n\t\ttype ipv4_addr : interval ipv4_addr . inet_service\n"
		  "\t\telements = { 100.64.0.0 : 192.0.2.0 . 1024-9023,\n\t\t\t100.64.0.1 : 192.0.2.0 . 9024-17023 "
		  "}\n\t}\n"
		  "\tchain POSTROUTING {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n"
		  "\t\tip protocol { tcp, udp } counter packets 1 bytes 2 snat ip to ip saddr map @tcp_map\n\t}\n}\n",
		  2 },
		{ IMPORT_NFT,
		  "define WAN = 192.0.2.0\nadd table ip nat\nadd chain ip nat P { type nat hook postrouting priority "
		  "100 ; }\n"
		  "add rule ip nat P ip saddr 100.64.0.0/31 jump OUT\n"
		  "add rule ip nat OUT ip protocol tcp ip saddr 100.64.0.0 counter snat to $WAN:1024-9023\n"
		  "add rule ip nat OUT ip protocol udp ip saddr 100.64.0.0 counter snat to $WAN:1024-9023\n"
		  "add rule ip nat OUT meta l4proto { tcp, udp } ip saddr 100.64.0.1 snat to 192.0.2.0:9024-17023\n",
		  2 },
		{ IMPORT_IPTABLES,
		  "*filter\n-A FORWARD -s 100.64.0.0/10 -j ACCEPT\nCOMMIT\n*nat\n:POSTROUTING ACCEPT [0:0]\n:OUT - "
		  "[0:0]\n"
		  "-A POSTROUTING -s 100.64.0.0/31 -o wan0 -j OUT\n"
		  "-A OUT -s 100.64.0.0/32 -p tcp -j SNAT --to-source 192.0.2.0:1024-9023\n"
		  "-A OUT -s 100.64.0.0/32 -p udp -j SNAT --to-source 192.0.2.0:1024-9023\n"
		  "-A OUT -s 100.64.0.1/32 -p tcp -j SNAT --to-source 192.0.2.0:9024-17023\n"
		  "-A OUT -s 100.64.0.1/32 -p udp -j SNAT --to-source 192.0.2.0:9024-17023\nCOMMIT\n",
		  2 },
	};
	static const struct expected e[] = { { "100.64.0.0", "192.0.2.0", 1024, 9023 },
					     { "100.64.0.1", "192.0.2.0", 9024, 17023 } };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_import_ struct import *m = read_text(IMPORT_AUTO, texts[i].text);

		cr_expect_eq(m->format, texts[i].format, "%zu", i);
		cr_expect_eq(m->n_rows, texts[i].subscribers, "%zu", i);
		cr_expect_eq(m->n_lost, 0, "%zu: %s", i, m->n_notes ? m->note[0].text : "");
		expect_rows("rules", m, e, ARRAY_SIZE(e));
		cr_expect_eq(prove(m, false).kept, 2, "%zu", i);
	}
}

/* A statement of a word too many, in the second line. */
static const char *long_statement(void)
{
	static char text[1024] = "services {\n";

	for (unsigned i = strlen(text), n = 0; n < 257; n++)
		i += (unsigned)snprintf(text + i, sizeof(text) - i, "a ");
	return strcat(text, ";\n}\n");
}

Test(import, faults_are_named_with_their_line)
{
	static const struct {
		enum import_format format;
		const char *text;
		const char *why;
	} faults[] = {
		{ IMPORT_TABLE, "100.64.0.0 192.0.2.1 1024 2047\n100.64.0.0 192.0.2.1 2048 3071\n", "FILE:2: " },
		{ IMPORT_TABLE, "100.64.0.0 192.0.2.1 1024 2047\r\n100.64.0.1 192.0.2.1 2047 3071\r\n", "FILE:2: " },
		{ IMPORT_NFT, "table ip nat {\n\tchain P {\n\t\ttype nat hook postrouting priority 0;\n", "FILE:1: " },
		{ IMPORT_NOKIA, "map 10.0.0.0 to 10.0.0.7\n", "FILE:1: the map has no first outside address" },
		{ IMPORT_NOKIA, "map start 10.0.0.0 end 10.0.0.7 to 192.0.2.1\n", "FILE:1: no pool has" },
		{ IMPORT_H3C, "nat444 static local 10.0.0.9 10.0.0.1 global 192.0.2.1\n", "FILE:1: the range ends" },
		{ IMPORT_H3C, "nat port-block-group 1\n block-size 0\n", "FILE:2: block-size" },
		{ IMPORT_VYOS, VYOS("40000-60000", "8000", OUTSIDE("192.0.2.1-192.0.2.2"), "100.64.0.0/29"), "FILE:" },
		{ IMPORT_JUNOS, NULL, "FILE:2: has more than 256 words" },
		{ IMPORT_AUTO, "good morning\n", "no format is recognised" },
		{ IMPORT_AUTO, "\x1f\x8b\x08", "zcat" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		const struct import_options options = { .junos_pool_boundaries = -1 };
		const char *text = faults[i].text ? faults[i].text : long_statement();
		struct import *m = NULL;
		struct error err;

		cr_assert_eq(import_read(faults[i].format, text, strlen(text), "FILE", &options, &m, &err), -EINVAL,
			     "%zu", i);
		cr_expect_not_null(strstr(err.text, faults[i].why), "%zu: %s", i, err.text);
	}
}

Test(import, files_that_are_no_text_are_named_by_their_encoding)
{
#define NONE	     "FILE: no plan found: nothing in it, read as table, says which subscriber has which ports"
#define OCTETS(text) text, sizeof(text) - 1
	static const struct {
		const char *text;
		size_t size;
		const char *why;
	} files[] = {
		{ OCTETS("\0\0\xfe\xff\0\0\0a"), "FILE: is UTF-32; iconv -f UTF-32 -t UTF-8 makes it readable" },
		{ OCTETS("\xff\xfe\0\0a\0\0\0"), "FILE: is UTF-32; iconv -f UTF-32 -t UTF-8 makes it readable" },
		{ OCTETS("\xff\xfe"), "FILE: is UTF-16; iconv -f UTF-16 -t UTF-8 makes it readable" },
		{ OCTETS("\xfe\xff\0a"), "FILE: is UTF-16; iconv -f UTF-16 -t UTF-8 makes it readable" },
		{ OCTETS("a\0b\0"), "FILE: is UTF-16; iconv -f UTF-16 -t UTF-8 makes it readable" },
		{ OCTETS("\0a\0b"), "FILE: is UTF-16; iconv -f UTF-16 -t UTF-8 makes it readable" },
		{ OCTETS("\x1f\x8b"), "FILE: is compressed; zcat FILE | detnatctl import FORMAT - reads it" },
		{ OCTETS("a\n\0b"), "FILE:2: is no text: it has an octet of 0" },
		{ OCTETS("a\nbc\0b"), "FILE:2: is no text: it has an octet of 0" },
		{ OCTETS("\0"), "FILE:1: is no text: it has an octet of 0" },
		{ OCTETS("\x1f"), NONE }, /* a header */
		{ OCTETS("a\x8b"), NONE },
		{ OCTETS("\xef\xbb\xbf"), NONE },
		{ OCTETS(""), NONE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		const struct import_options options = { .junos_pool_boundaries = -1 };
		struct import *m = NULL;
		struct error err = {};

		if (!import_read(IMPORT_TABLE, files[i].text, files[i].size, "FILE", &options, &m, &err))
			import_free(m);
		cr_expect_str_eq(err.text, files[i].why, "%zu: %s", i, err.text);
	}
}

Test(import, a_plan_keeps_a_row_gives_other_ports_or_gives_none)
{
	_cleanup_import_ struct import *m = read_text(IMPORT_TABLE, "100.64.0.0 192.0.2.1 1024 2047\n"
								    "100.64.0.1 192.0.2.1 2048 3071\n"
								    "100.64.0.3 192.0.2.1 4096 5119\n");
	static const struct import_row other = { .in = 0x64400002, .out = 0xc0000201, .lo = 3072, .hi = 4095 };
	static const struct import_row outside = { .in = 0x64500000, .out = 0xc0000201, .lo = 1024, .hi = 2047 };
	_cleanup_plan_ struct plan plan = { 0 };
	struct error err;

	cr_assert_eq(import_fit(m, false), 0);
	cr_assert_eq(import_plan(m, &plan, &err), 0, "%s", err.text);
	for (size_t i = 0; i < m->n_rows; i++) {
		struct import_row r = m->row[i];

		cr_expect_eq(import_row_kept(&plan, &r), 1);
		r.hi--;
		cr_expect_eq(import_row_kept(&plan, &r), -EADDRINUSE);
		r = m->row[i];
		r.lo++;
		cr_expect_eq(import_row_kept(&plan, &r), -EADDRINUSE);
		r = m->row[i];
		r.out++;
		cr_expect_eq(import_row_kept(&plan, &r), -EADDRINUSE);
	}
	/* A hole, which is not translated, and an address of no mapping. */
	cr_expect_eq(import_row_kept(&plan, &other), 0);
	cr_expect_eq(import_row_kept(&plan, &outside), 0);
}

#define ADDRESSES 48U

/* The ranges of a set are those of the addresses, sorted, and none goes on where another ends. */
static void expect_set(const struct import_set *s, const bool *has, uint32_t base)
{
	size_t n = 0;

	for (uint32_t i = 0; i < ADDRESSES; i++) {
		uint32_t last = i;

		if (!has[i])
			continue;
		while (last + 1 < ADDRESSES && has[last + 1])
			last++;
		cr_assert_lt(n, s->list.n);
		cr_expect_eq(s->list.range[n].first, base + i);
		cr_expect_eq(s->list.range[n].last, base + last);
		n++;
		i = last;
	}
	cr_assert_eq(n, s->list.n);
}

/* At both ends of the addresses, and between. */
Test(import, sets_of_addresses_are_what_was_added_and_not_removed)
{
	static const uint32_t bases[] = { 0, 0x64400000, UINT32_MAX - ADDRESSES + 1 };

	srand(7);
	for (unsigned round = 0; round < 300; round++) {
		uint32_t base = bases[round % 3];
		bool has[ADDRESSES] = { false }, some[ADDRESSES] = { false };
		struct import_set s = {}, common = {};

		for (unsigned step = 0; step < 24; step++) {
			uint32_t a = (uint32_t)rand() % ADDRESSES, b = a + (uint32_t)rand() % 7;
			bool add = rand() % 2;

			b = b < ADDRESSES ? b : ADDRESSES - 1;
			for (uint32_t i = a; i <= b; i++)
				has[i] = add;
			if (add)
				import_set_add(&s, (struct import_range){ base + a, base + b });
			else
				import_set_remove(&s, (struct import_range){ base + a, base + b });
			expect_set(&s, has, base);
		}
		for (unsigned part = 0; part < 2; part++) {
			uint32_t a = (uint32_t)rand() % ADDRESSES, b = a + (uint32_t)rand() % (ADDRESSES - a);

			import_set_common(&s, (struct import_range){ base + a, base + b }, &common);
			for (uint32_t i = a; i <= b; i++)
				some[i] |= has[i];
		}
		expect_set(&common, some, base);
		import_ranges_free(&s.list);
		import_ranges_free(&common.list);
	}
}
