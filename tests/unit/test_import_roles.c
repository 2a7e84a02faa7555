// SPDX-License-Identifier: BSD-2-Clause
/* Imports: which interfaces are inside and outside, and which address of a table is. */
#include <criterion/criterion.h>
#include <string.h>

#include "import/import.h"

static int reads(enum import_format format, const char *text, enum import_first first, struct import **ret,
		 char why[256])
{
	const struct import_options options = { .junos_pool_boundaries = -1, .first_side = first };
	struct error err = {};
	int r = import_read(format, text, strlen(text), "FILE", &options, ret, &err);

	snprintf(why, 256, "%.255s", err.text);
	return r;
}

static const char *joined(const struct import_names *names, char text[256])
{
	*text = '\0';
	for (size_t i = 0; i < names->n; i++)
		snprintf(text + strlen(text), 256 - strlen(text), "%s%s", i ? " " : "", names->name[i]);
	return text;
}

/* Rules of a plan for two subscribers, and others around them. */
#define NFT(before, conditions, after)                                                            \
	"table ip nat {\n\tchain post {\n\t\ttype nat hook postrouting priority srcnat;\n" before \
	"\t\tip saddr 100.64.0.0/31 " conditions " jump plan\n" after "\t}\n\tchain plan {\n"     \
	"\t\tmeta l4proto { tcp, udp } ip saddr 100.64.0.0 snat to 192.0.2.1:1024-2047\n"         \
	"\t\tmeta l4proto { tcp, udp } ip saddr 100.64.0.1 snat to 192.0.2.1:2048-3071\n\t}\n}\n"
#define IPTABLES(before, conditions)                                            \
	"*nat\n" before "-A POSTROUTING -s 100.64.0.0/31 " conditions " -j P\n" \
	"-A P -s 100.64.0.0 -p tcp -j SNAT --to-source 192.0.2.1:1024-2047\n"   \
	"-A P -s 100.64.0.0 -p udp -j SNAT --to-source 192.0.2.1:1024-2047\nCOMMIT\n"
#define ROUTEROS(before, keys)                                                                                        \
	"/ip firewall nat\n" before "add chain=srcnat action=jump jump-target=p src-address=100.64.0.0/31 " keys "\n" \
	"add chain=p action=src-nat protocol=tcp src-address=100.64.0.0 to-addresses=192.0.2.1 to-ports=1024-2047\n"  \
	"add chain=p action=src-nat protocol=udp src-address=100.64.0.0 to-addresses=192.0.2.1 to-ports=1024-2047\n"

Test(import_roles, only_rules_that_translate_and_jumps_to_them_say_which_interface_is_where)
{
	static const struct {
		const char *name;
		enum import_format format;
		const char *text;
		const char *inside, *outside;
	} files[] = {
		{ "rules that decide nothing", IMPORT_NFT,
		  NFT("\t\tiifname \"lo\" counter\n\t\tiifname \"mgmt0\" ip daddr 10.9.0.0/16 accept\n",
		      "oifname \"wan0\"", "\t\tiifname \"wan0\" counter\n"),
		  "", "wan0" },
		{ "the jump has both", IMPORT_NFT, NFT("", "iifname \"lan0\" oifname \"wan0\"", ""), "lan0", "wan0" },
		{ "several at once", IMPORT_NFT, NFT("", "iifname { \"lan0\", \"lo\", \"lan1\" } oifname \"wan0\"", ""),
		  "lan0 lan1", "wan0" },
		{ "filters of another table, of the same name", IMPORT_NFT,
		  "table inet filter {\n\tchain post {\n\t\ttype filter hook postrouting priority 0;\n"
		  "\t\tiifname \"mgmt0\" accept\n\t}\n\tchain input {\n\t\ttype filter hook input priority 0;\n"
		  "\t\tiifname \"lo\" accept\n\t\tiifname \"wan0\" drop\n\t}\n}\n" NFT("", "oifname \"wan0\"", ""),
		  "", "wan0" },
		{ "dnat comes in from outside", IMPORT_NFT,
		  "table ip nat {\n\tchain pre {\n\t\ttype nat hook prerouting priority dstnat;\n"
		  "\t\tiifname \"wan1\" tcp dport 80 dnat to 100.64.0.0\n\t}\n}\n" NFT("", "iifname \"lan0\"", ""),
		  "lan0", "wan1" },
		{ "dnat for subscribers as well", IMPORT_NFT,
		  "table ip nat {\n\tchain pre {\n\t\ttype nat hook prerouting priority dstnat;\n"
		  "\t\tiifname \"lan0\" tcp dport 80 dnat to 100.64.0.0\n\t}\n}\n" NFT("", "iifname \"lan0\"", ""),
		  "lan0", "" },
		{ "a hairpin", IMPORT_NFT,
		  NFT("\t\tiifname \"lan0\" oifname \"lan0\" ip saddr 10.5.0.0/16 masquerade\n",
		      "iifname \"lan0\" oifname \"wan0\"", ""),
		  "lan0", "wan0" },
		{ "in both, by two rules", IMPORT_NFT,
		  NFT("\t\tiifname \"wan0\" ip saddr 10.5.0.0/16 masquerade\n", "iifname \"lan0\" oifname \"wan0\"",
		      ""),
		  "lan0", "" },
		{ "what no packet reaches", IMPORT_NFT,
		  NFT("", "oifname \"wan0\"",
		      "") "table ip old {\n\tchain unused {\n\t\tiifname \"mgmt0\" masquerade\n\t}\n}\n",
		  "", "wan0" },
		{ "not by that one", IMPORT_NFT, NFT("\t\toifname != \"tun0\" masquerade\n", "oifname \"wan0\"", ""),
		  "", "wan0" },
		{ "iptables", IMPORT_IPTABLES,
		  IPTABLES("-A PREROUTING -i wan1 -p tcp --dport 80 -j DNAT --to-destination 100.64.0.0\n"
			   "-A POSTROUTING -o lo -j ACCEPT\n-A POSTROUTING -o tun0 -j LOG\n",
			   "-o ppp+"),
		  "", "wan1 ppp*" },
		{ "RouterOS", IMPORT_ROUTEROS,
		  ROUTEROS("add chain=dstnat action=dst-nat in-interface=ether1 dst-port=80 protocol=tcp "
			   "to-addresses=100.64.0.0\n"
			   "add chain=srcnat action=log out-interface=mgmt\n",
			   "out-interface=ether2"),
		  "", "ether1 ether2" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_import_ struct import *m = NULL;
		char in[256], out[256], why[256];

		cr_assert_eq(reads(files[i].format, files[i].text, 0, &m, why), 0, "%s: %s", files[i].name, why);
		cr_expect_str_eq(joined(&m->inside, in), files[i].inside, "%s: inside %s", files[i].name, in);
		cr_expect_str_eq(joined(&m->outside, out), files[i].outside, "%s: outside %s", files[i].name, out);
		cr_expect_eq(m->row[0].in, 0x64400000);
	}
}

Test(import_roles, an_interface_that_two_rules_have_on_both_sides_is_named)
{
	_cleanup_import_ struct import *m = NULL;
	char why[256];
	bool named = false;

	cr_assert_eq(reads(IMPORT_NFT,
			   NFT("\t\tiifname \"wan0\" ip saddr 10.5.0.0/16 masquerade\n",
			       "iifname \"lan0\" oifname \"wan0\"", ""),
			   0, &m, why),
		     0);
	for (size_t i = 0; i < m->n_notes; i++)
		named |= m->note[i].kind == IMPORT_INTERFACE && strstr(m->note[i].text, "wan0") && m->note[i].line == 5;
	cr_expect(named);
}

Test(import_sides, the_inside_address_is_the_one_that_the_header_or_the_addresses_say)
{
	static const struct {
		const char *text;
		bool outside_first; /* how the first row is to be read */
	} tables[] = {
		{ "IP Publico;Portas;IP Privado\n203.0.113.1;1024-2047;198.51.100.1\n", true },
		{ "IP P\xc3\xba"
		  "blica,Puertos,IP Privada\n203.0.113.1,1024-2047,198.51.100.1\n",
		  true },
		{ "IP P\xda"
		  "BLICA,Puertos,IP PRIVADA\n203.0.113.1,1024-2047,198.51.100.1\n",
		  true },
		{ "Direcci\xc3\xb3n externa|Puerto|Direcci\xc3\xb3n interna\n203.0.113.1|1024-2047|198.51.100.1\n",
		  true },
		{ "Adresse publique;ports;adresse priv\xc3\xa9"
		  "e\n203.0.113.1;1024-2047;198.51.100.1\n",
		  true },
		{ "\xc3\x96"
		  "ffentliche IP;Ports;Private IP\n203.0.113.1;1024-2047;198.51.100.1\n",
		  true },
		{ "Au\xc3\x9f"
		  "en;Ports;Innen\n203.0.113.1;1024-2047;198.51.100.1\n",
		  true },
		{ "Indirizzo pubblico;porte;indirizzo privato\n203.0.113.1;1024-2047;198.51.100.1\n", true },
		{ "IP internet;portas;IP interno\n203.0.113.1;1024-2047;198.51.100.1\n", true },
		{ "Inside global;Inside local;Ports\n203.0.113.1;198.51.100.1;1024-2047\n", true },
		{ "NAT IP privado;NAT IP publico;Portas\n198.51.100.1;203.0.113.1;1024-2047\n", false },
		{ "Usuario;NAT IP;Portas\n198.51.100.1;203.0.113.1;1024-2047\n", false },
		{ "Privada;Publica;Desde;Hasta\n198.51.100.1;203.0.113.1;1024;2047\n", false },
		/* Private addresses on one side, with a header or without. */
		{ "Kolumna A;Kolumna B;Porty\n203.0.113.1;100.64.0.1;1024-2047\n", true },
		{ "203.0.113.1 10.0.0.1 1024 2047\n", true },
		{ "192.168.3.4 203.0.113.1 1024 2047\n", false },
		/* Several blocks on one side. */
		{ "A;B;C\n203.0.113.1;198.51.100.1;1024-2047\n203.0.113.1;198.51.100.2;2048-3071\n", true },
		{ "A;B;C\n198.51.100.1;203.0.113.1;1024-2047\n198.51.100.2;203.0.113.1;2048-3071\n", false },
		{ "203.0.113.1 198.51.100.1 1024 2047\n203.0.113.1 198.51.100.2 2048 3071\n", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		_cleanup_import_ struct import *m = NULL;
		char why[256];

		cr_assert_eq(reads(IMPORT_TABLE, tables[i].text, 0, &m, why), 0, "%zu: %s", i, why);
		cr_expect_eq(m->row[0].out, 0xcb007101, "%zu: %s", i, tables[i].text);
		cr_expect_eq(m->n_lost, 0, "%zu", i);
		for (size_t k = 0; k < m->n_notes; k++)
			cr_expect_eq(m->note[k].kind, IMPORT_TAKEN, "%zu: %s", i, m->note[k].text);
	}
}

Test(import_sides, what_neither_says_is_refused_with_the_header_and_the_way_out)
{
	static const struct {
		const char *text;
		const char *why;
	} tables[] = {
		{ "Adres A;Adres B;Porty\n203.0.113.1;198.51.100.1;1024-2047\n203.0.113.2;198.51.100.2;1024-2047\n",
		  "FILE:1: the header \"Adres A;Adres B;Porty\" is not understood" },
		{ "Cliente;IP;Portas\n203.0.113.1;198.51.100.1;1024-2047\n",
		  "FILE:1: the header \"Cliente;IP;Portas\"" },
		{ "Inside;Outside;Ports\n203.0.113.1;100.64.0.1;1024-2047\n",
		  "FILE:1: the header \"Inside;Outside;Ports\" has the sides the other way round" },
		{ "Inside,Outside,Ports\n198.51.100.1,203.0.113.1,1024-2047\nPublic,private,ports\n"
		  "100.64.0.1,203.0.113.9,2048-3071\n",
		  "FILE:3: the header" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		_cleanup_import_ struct import *m = NULL, *told = NULL;
		char why[256];

		cr_assert_eq(reads(IMPORT_TABLE, tables[i].text, 0, &m, why), -EINVAL, "%zu", i);
		cr_expect_not_null(strstr(why, tables[i].why), "%zu: %s", i, why);
		cr_expect_not_null(strstr(why, "--outside-first"), "%zu: %s", i, why);
		cr_assert_eq(reads(IMPORT_TABLE, tables[i].text, IMPORT_OUTSIDE_FIRST, &told, why), 0, "%zu: %s", i,
			     why);
	}
}

Test(import_sides, without_a_header_the_documented_order_is_named_where_nothing_else_decides)
{
	_cleanup_import_ struct import *m = NULL, *own = NULL;
	char why[256];

	cr_assert_eq(reads(IMPORT_TABLE, "198.51.100.1 203.0.113.1 1024 2047\n", 0, &m, why), 0, "%s", why);
	cr_expect_eq(m->row[0].out, 0xcb007101);
	cr_assert_eq(m->n_notes, 1);
	cr_expect_eq(m->note[0].kind, IMPORT_ASSUMED);
	cr_assert_eq(reads(IMPORT_TABLE,
			   "# INSIDE        OUTSIDE         FIRST  LAST\n198.51.100.1 203.0.113.1 1024 2047\n", 0, &own,
			   why),
		     0);
	cr_expect_eq(own->n_notes, 0);
}
