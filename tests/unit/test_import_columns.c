// SPDX-License-Identifier: BSD-2-Clause
/* Tables as systems and offices write them: further columns, headers of several languages, ports in words. */
#include <criterion/criterion.h>
#include <string.h>

#include "import/import.h"
#include "import/import_build.h"
#include "import/import_columns.h"

static int read_text(const char *text, struct import **ret, struct error *err)
{
	const struct import_options options = { .junos_pool_boundaries = -1 };

	return import_read(IMPORT_AUTO, text, strlen(text), "FILE", &options, ret, err);
}

/* 100.64.0.0 has 192.0.2.1:1024-2047, and the next one the ports behind. */
static void expect_two(const char *text)
{
	_cleanup_import_ struct import *m = NULL;
	struct error err;

	cr_assert_eq(read_text(text, &m, &err), 0, "%s\n%s", text, err.text);
	cr_expect_eq(m->format, IMPORT_TABLE, "%s", text);
	cr_assert_eq(m->n_rows, 2, "%s", text);
	for (size_t i = 0; i < m->n_rows; i++) {
		cr_expect_eq(m->row[i].in, 0x64400000 + i, "%s", text);
		cr_expect_eq(m->row[i].out, 0xc0000201, "%s", text);
		cr_expect_eq(m->row[i].lo, 1024 + 1024 * i, "%s", text);
		cr_expect_eq(m->row[i].hi, 2047 + 1024 * i, "%s", text);
	}
	cr_expect_eq(m->n_lost, 0, "%s: %s", text, m->n_notes ? m->note[0].text : "");
}

Test(import_columns, headers_name_the_columns_that_are_read)
{
	static const char *const texts[] = {
		"IP Publico;Portas;IP Privado\n192.0.2.1;1024 a 2047;100.64.0.0\n192.0.2.1;2048 a 3071;100.64.0.1\n",
		"ID;Usu\u00e1rio;IP Privado;IP P\u00fablico;Porta inicial;Porta final\n"
		"1;joao;100.64.0.0;192.0.2.1;1024;2047\n2;maria;100.64.0.1;192.0.2.1;2048;3071\n",
		"Endere\u00e7o Interno;Endere\u00e7o Externo;Faixa\n100.64.0.0;192.0.2.1;1024 at\u00e9 2047\n"
		"100.64.0.1;192.0.2.1;2048 at\xe9 3071\n",
		"N\u00ba,IP p\u00fablica,Rango de puertos,IP privada,Cliente\n"
		"1,192.0.2.1,1024 a 2047,100.64.0.0,\"P\u00e9rez, Ana\"\n"
		"2,192.0.2.1,2048 a 3071,100.64.0.1,\"Gil, Juan\"\n",
		"\u00d6ffentliche Adresse   Private Adresse   Portbereich\n"
		"192.0.2.1             100.64.0.0        1024 bis 2047\n"
		"192.0.2.1             100.64.0.1        von 2048 bis 3071\n",
		"Teilnehmer;Interne Adresse;Externe Adresse;Erster Port;Letzter Port\n"
		"Huber;100.64.0.0;192.0.2.1;1024;2047\nMaier;100.64.0.1;192.0.2.1;2048;3071\n",
		"Adresse publique\tPlage de ports\tAdresse priv\u00e9e\tD\u00e9"
		"bit\n"
		"192.0.2.1\tde 1024 \u00e0 2047\t100.64.0.0\t100\n192.0.2.1\tde 2048 \u00e0 3071\t100.64.0.1\t200\n",
		"Abonn\u00e9;Adresse IP;IP WAN;Port d\u00e9"
		"but;Port fin\nx;100.64.0.0;192.0.2.1;1024;2047\n"
		"y;100.64.0.1;192.0.2.1;2048;3071\n",
		"Client;Adresse;Adresse externe;Bloc\n100;100.64.0.0;192.0.2.1;1024-2047\n"
		"101;100.64.0.1;192.0.2.1;2048-3071\n",
		"Indirizzo pubblico;Porta iniziale;Porta finale;Indirizzo interno;Protocollo\n"
		"192.0.2.1;1024;2047;100.64.0.0;TCP\n192.0.2.1;1024;2047;100.64.0.0;UDP\n"
		"192.0.2.1;2048;3071;100.64.0.1;TCP/UDP\n",
		"seq  in_addr      out_addr   port_start port_end\n1    100.64.0.0   192.0.2.1  1024       2047\n"
		"2    100.64.0.1   192.0.2.1  2048       3071\n",
		"+----+------------+-----------+-------+------+\n| Id | Inside     | Outside   | Start | End  |\n"
		"+----+------------+-----------+-------+------+\n|  1 | 100.64.0.0 | 192.0.2.1 |  1024 | 2047 |\n"
		"|  2 | 100.64.0.1 | 192.0.2.1 |  2048 | 3071 |\n+----+------------+-----------+-------+------+\n",
		"<router> display nat port-block static\nSlot 0:\n"
		"Local VPN     Local IP         Global IP        Port block   Connections\n"
		"---           100.64.0.0       192.0.2.1        1024-2047    0\nSlot 1:\n"
		"Local VPN     Local IP         Global IP        Port block   Connections\n"
		"---           100.64.0.1       192.0.2.1        2048-3071    3\nTotal mappings found: 2\n<router>\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		expect_two(texts[i]);
}

Test(import_columns, ports_are_ranges_in_many_ways)
{
	static const char *const ways[] = { "1024-2047",	"1024\u20132047",  "1024 \u2013 2047",
					    "1024..2047",	"1024:2047",	   "[1024-2047]",
					    "1024 a 2047",	"1024 al 2047",	   "1024 bis 2047",
					    "1024 \u00e0 2047", "1024 hasta 2047", "1024\u00a0-\u00a02047",
					    "1024 2047",	"1024~2047",	   "from 1024 to 2047",
					    "1024 thru 2047" };

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		char text[160];

		snprintf(text, sizeof(text), "100.64.0.0 192.0.2.1 %s\n100.64.0.1 192.0.2.1 2048-3071\n", ways[i]);
		expect_two(text);
	}
}

/* Numbers beside a range count something: said once, and nothing is lost. */
Test(import_columns, numbers_beside_a_range_are_no_ports)
{
	expect_two("1 100.64.0.0 192.0.2.1 1024-2047 77\n2 100.64.0.1 192.0.2.1 2048-3071 78\n");
}

Test(import_columns, what_is_not_certain_is_refused_or_named)
{
	static const struct {
		const char *text, *why;
	} texts[] = {
		{ "Inside IP;Inside Port;Outside IP;Outside Port\n100.64.0.0;1024;192.0.2.1;2047\n",
		  "FILE:1: the header names a port of each side" },
		{ "user id;inside;outside;ports\n12;100.64.0.1;192.0.2.1;1024-2047\n13;100.64.0.2;192.0.2.1\n",
		  "FILE:3: needs an inside address" },
		{ "1 100.64.0.0 192.0.2.1 1024 2047\n", "FILE:1: needs an inside address" },
		{ "1 100.64.0.0 192.0.2.1 1024-2047 3000-4000\n", "FILE:1: needs an inside address" },
	};
	_cleanup_import_ struct import *m = NULL, *sum = NULL;
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct import *none = NULL;

		cr_assert_eq(read_text(texts[i].text, &none, &err), -EINVAL, "%zu", i);
		cr_expect_not_null(strstr(err.text, texts[i].why), "%zu: %s", i, err.text);
	}
	cr_assert_eq(read_text("Local VPN  Local IP   Global IP  Port block\nv1  100.64.0.1  192.0.2.1  1024-2047\n"
			       "v2  100.64.0.2  192.0.2.1  2048-3071\nv3  100.64.0.3  192.0.2.1  3072-4095\n",
			       &m, &err),
		     0);
	cr_expect_eq(m->n_lost, 1);
	cr_expect_eq(m->note[m->n_notes - 1].kind, IMPORT_VRF);
	cr_assert_eq(read_text("100.64.0.1  192.0.2.1  1024-2047\nTotal mappings found: 2\n", &sum, &err), 0, "%s",
		     err.text);
	cr_expect_eq(sum->n_lost, 1, "a table that says how many rows it has is not whole");
}

Test(import_columns, cells_are_cut_as_the_header_is)
{
	static const struct {
		enum import_apart apart;
		const char *line, *cell[4];
		unsigned n;
	} lines[] = {
		{ APART_COMMA, "a,\"b, c\",,d", { "a", "b, c", "", "d" }, 4 },
		{ APART_SEMICOLON, "a; b ;", { "a", "b", "" }, 3 },
		{ APART_BAR, "| a | b c |", { "a", "b c" }, 2 },
		{ APART_BLANKS, "  a b   c  d ", { "a b", "c", "d" }, 3 },
		{ APART_BLANK, "a b   c", { "a", "b", "c" }, 3 },
		{ APART_TAB, "a\tb c\t", { "a", "b c", "" }, 3 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char text[64], *cell[IMPORT_COLUMNS];
		unsigned n;

		snprintf(text, sizeof(text), "%s", lines[i].line);
		n = import_columns_cut(lines[i].apart, text, cell);
		cr_assert_eq(n, lines[i].n, "%zu: %u", i, n);
		for (unsigned k = 0; k < n; k++)
			cr_expect_str_eq(cell[k], lines[i].cell[k], "%zu: %u", i, k);
	}
}
