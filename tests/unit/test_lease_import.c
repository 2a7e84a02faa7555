/* SPDX-License-Identifier: BSD-2-Clause */
/* What other servers write down, and the lines of leases that it becomes. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "leases/lease_import.h"

#define AT 1795690800LL /* 2026-11-26T11:00:00Z */

static int note(void *arg, const struct lease_line *l)
{
	lease_line_write(arg, l);
	fputc('\n', arg);
	return 0;
}

/* The lines; *ret_skipped is the number of records that were none. */
static char *imported(enum lease_format format, const char *text, const char *zone, bool live, uint64_t *ret_skipped,
		      int *ret)
{
	char *found = NULL, *copy = strdup(text);
	size_t size;
	FILE *out = open_memstream(&found, &size), *in = fmemopen(copy, strlen(copy), "r");
	struct lease_import x = { .take = note, .arg = out, .at = AT, .live = live };

	if (zone)
		cr_assert_eq(zone_parse(zone, &x.zone, NULL), 0);
	*ret = lease_import(&x, format, in);
	*ret_skipped = x.skipped;
	fclose(in);
	fclose(out);
	free(copy);
	return found;
}

#define START(t)	"\"time\":\"2026-11-26T" t "Z\",\"event\":\"start\",\"in_addr\":\"100.64.16.16\""
#define STOP(t)		"\"time\":\"2026-11-26T" t "Z\",\"event\":\"stop\",\"in_addr\":\"100.64.16.16\""
#define INTERIM(t)	"\"time\":\"2026-11-26T" t "Z\",\"event\":\"interim\",\"in_addr\":\"100.64.16.16\""
#define ENDED(t)	"\"time\":\"2026-11-26T" t "Z\",\"event\":\"stop\",\"format\":2"
#define HEARD		"\"time\":\"2026-11-26T11:00:00Z\",\"event\":\"interim\",\"in_addr\":\"100.64.16.16\""
#define FROM(t)		",\"from\":\"2026-11-26T" t "Z\""
#define TO(t)		",\"to\":\"2026-11-26T" t "Z\"\n"
#define EARLY(t, early) ",\"to\":\"2026-11-26T" t "Z\",\"early\":\"2026-11-26T" early "Z\"\n"
#define KEA_HEADER                                                                                                     \
	"address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_" \
	"id\n"
#define OPEN ",\"to\":null\n"

static const struct {
	const char *what;
	enum lease_format format;
	const char *text, *zone;
	bool live;
	uint64_t skipped;
	const char *lines;
} rows[] = {
	{ "a start of FreeRADIUS", FORMAT_FREERADIUS_DETAIL,
	  "Thu Nov 26 10:00:00 2026\n\tAcct-Status-Type = Start\n\tUser-Name = \"al\\\"ice\"\n\tNAS-IP-Address = "
	  "192.0.2.9\n"
	  "\tNAS-Port-Id = \"port\"\n\tFramed-IP-Address = 100.64.16.16\n\tAcct-Session-Id = \"1\"\n"
	  "\tCalling-Station-Id = \"02-00-00-00-00-01\"\n\tTimestamp = 1795687200\n\n",
	  NULL, false, 0,
	  START("10:00:00") ",\"id\":\"al\\\"ice\",\"mac\":\"02:00:00:00:00:01\",\"circuit\":\"port\","
			    "\"session\":\"192.0.2.9/1\"" FROM("10:00:00") OPEN },
	{ "a delayed stop, with the circuit of the access node", FORMAT_FREERADIUS_DETAIL,
	  "Thu Nov 26 11:00:02 2026\n\tAcct-Status-Type = Stop\n\tUser-Name = \"a\"\n\tNAS-Identifier = \"b/1\"\n"
	  "\tNAS-Port-Id = \"port\"\n\tADSL-Agent-Circuit-Id = \"slot\"\n\tFramed-IP-Address = 100.64.16.16\n"
	  "\tAcct-Session-Id = \"1\"\n\tAcct-Session-Time = 3600\n\tAcct-Delay-Time = 2\n\tTimestamp = 1795690802\n",
	  NULL, false, 0,
	  STOP("11:00:00") ",\"id\":\"a\",\"circuit\":\"slot\",\"session\":\"b_1/1\"" FROM("10:00:00")
		  EARLY("11:00:00", "10:59:59") },
	{ "an Accounting-Off", FORMAT_FREERADIUS_DETAIL,
	  "Thu Nov 26 11:00:00 2026\n\tAcct-Status-Type = Accounting-Off\n\tNAS-IP-Address = 192.0.2.9\n"
	  "\tTimestamp = 1795690800\n\n",
	  NULL, false, 0,
	  "\"time\":\"2026-11-26T11:00:00Z\",\"event\":\"off\",\"session\":\"192.0.2.9/\",\"from\":null" OPEN },
	{ "a header's time with a zone", FORMAT_FREERADIUS_DETAIL,
	  "Thu Nov 26 11:00:00 2026\n\tAcct-Status-Type = Start\n\tFramed-IP-Address = 100.64.16.16\n\n",
	  "Europe/Berlin", false, 0, START("10:00:00") ",\"session\":\"/\"" FROM("10:00:00") OPEN },
	{ "a header's time without one", FORMAT_FREERADIUS_DETAIL,
	  "Thu Nov 26 11:00:00 2026\n\tAcct-Status-Type = Start\n\tFramed-IP-Address = 100.64.16.16\n\n", NULL, false,
	  1, "" },
	{ "radacct", FORMAT_RADACCT_CSV,
	  "acctsessionid,username,nasipaddress,acctstarttime,acctupdatetime,acctstoptime,framedipaddress\n"
	  "1,\"b,\"\"c\",192.0.2.9,2026-11-26 10:00:00+00,,2026-11-26 11:00:00+00,100.64.16.16\n"
	  "2,d,192.0.2.9,2026-11-26 10:00:00+00,NULL,NULL,nowhere\n",
	  NULL, false, 1,
	  START("10:00:00") ",\"id\":\"b,\\\"c\",\"session\":\"192.0.2.9/1\"" FROM("10:00:00") OPEN //
		  STOP("11:00:00") ",\"id\":\"b,\\\"c\",\"session\":\"192.0.2.9/1\",\"from\":null" TO("11:00:00") },
	{ "radacct: a restart of the access server ended a session whose Stop was lost, and a Stop", FORMAT_RADACCT_CSV,
	  "acctsessionid,nasipaddress,acctstarttime,acctupdatetime,acctstoptime,framedipaddress,acctterminatecause\n"
	  "1,192.0.2.9,1795687200,1795688100,1795690800,100.64.16.16,NAS-Reboot\n"
	  "2,192.0.2.9,1795687200,,1795690800,100.64.16.16,tidied\n"
	  "3,192.0.2.9,1795687200,1795688100,1795690800,100.64.16.16,User-Request\n",
	  NULL, false, 0,
	  START("10:00:00") ",\"session\":\"192.0.2.9/1\"" FROM("10:00:00") OPEN			//
		  INTERIM("10:15:00") ",\"session\":\"192.0.2.9/1\",\"from\":null" OPEN			//
			  ENDED("11:00:00") ",\"session\":\"192.0.2.9/1\",\"from\":null" TO("11:00:00") //
	  START("10:00:00") ",\"session\":\"192.0.2.9/2\"" FROM("10:00:00") OPEN			//
		  ENDED("11:00:00") ",\"session\":\"192.0.2.9/2\",\"from\":null" TO("11:00:00")		//
	  START("10:00:00") ",\"session\":\"192.0.2.9/3\"" FROM("10:00:00") OPEN			//
		  STOP("11:00:00") ",\"session\":\"192.0.2.9/3\",\"from\":null" TO("11:00:00") },
	{ "radacct: times that came twice are between both", FORMAT_RADACCT_CSV,
	  "acctsessionid,nasipaddress,acctstarttime,acctstoptime,framedipaddress\n"
	  "1,192.0.2.9,2026-10-25 01:30:00,2026-10-25 02:30:00,100.64.16.16\n",
	  "Europe/Berlin", false, 0,
	  "\"time\":\"2026-10-24T23:30:00Z\",\"event\":\"start\",\"in_addr\":\"100.64.16.16\",\"session\":\"192.0.2.9/"
	  "1\","
	  "\"from\":\"2026-10-24T23:30:00Z\"" OPEN "\"time\":\"2026-10-25T01:30:00Z\",\"event\":\"stop\",\"in_addr\":"
	  "\"100.64.16.16\",\"session\":\"192.0.2.9/1\","
	  "\"from\":null,\"to\":\"2026-10-25T01:30:00Z\",\"early\":\"2026-10-25T00:30:00Z\"\n" },
	{ "a header's time that came twice", FORMAT_FREERADIUS_DETAIL,
	  "Sun Oct 25 02:30:00 2026\n\tAcct-Status-Type = Start\n\tFramed-IP-Address = 100.64.16.16\n\n",
	  "Europe/Berlin", false, 0,
	  "\"time\":\"2026-10-25T01:30:00Z\",\"event\":\"start\",\"in_addr\":\"100.64.16.16\",\"session\":\"/\","
	  "\"from\":\"2026-10-25T01:30:00Z\",\"to\":null,\"early\":\"2026-10-25T00:30:00Z\"\n" },
	{ "Kea", FORMAT_KEA, KEA_HEADER "100.64.16.16,02:00:00:00:00:03,,3600,1795690800,1,0,0,h,0,,0\n", NULL, false,
	  0,
	  START("10:00:00") ",\"id\":\"02:00:00:00:00:03\",\"mac\":\"02:00:00:00:00:03\"" FROM("10:00:00")
		  TO("11:00:00") },
	{ "a lease that Kea took back", FORMAT_KEA, KEA_HEADER "100.64.16.16,,01:02,3600,1795690800,1,0,0,h,2,,0\n",
	  NULL, false, 0, STOP("11:00:00") ",\"id\":\"01:02\",\"from\":null" TO("11:00:00") },
	{ "a lease that Kea deleted, which nobody saw: nothing is promised any more", FORMAT_KEA,
	  KEA_HEADER "100.64.16.16,,01:02,0,1795690800,1,0,0,h,0,,0\n", NULL, false, 0,
	  HEARD ",\"id\":\"01:02\",\"from\":null" TO("11:00:00") },
	{ "a lease that Kea was seen to delete", FORMAT_KEA,
	  KEA_HEADER "100.64.16.16,,01:02,0,1795680000,1,0,0,h,0,,0\n", NULL, true, 0,
	  STOP("11:00:00") ",\"id\":\"01:02\",\"from\":null" TO("11:00:00") },
	{ "an address that a client of Kea's declined, and the end of that", FORMAT_KEA,
	  KEA_HEADER "100.64.16.16,,,86400,1795777200,1,0,0,,1,,0\n100.64.16.16,,,0,1795777200,1,0,0,,1,,0\n", NULL,
	  false, 0, STOP("11:00:00") ",\"from\":null" TO("11:00:00") },
	{ "a lease of Kea's of nobody", FORMAT_KEA, KEA_HEADER "100.64.16.16,,,3600,1795690800,1,0,0,,2,,0\n", NULL,
	  false, 1, "" },
	{ "dnsmasq", FORMAT_DNSMASQ, "1795694400 02:00:00:00:00:04 100.64.16.16 host 01:02\nduid 00:01\nnonsense\n",
	  NULL, false, 1, HEARD ",\"id\":\"01:02\",\"mac\":\"02:00:00:00:00:04\",\"from\":null" TO("12:00:00") },
	{ "ISC dhcpd", FORMAT_ISC_DHCPD,
	  "lease 100.64.16.16 {\n  starts 4 2026/11/26 10:00:00;\n  ends 4 2026/11/26 11:00:00;\n  binding state "
	  "active;\n"
	  "  hardware ethernet 02:00:00:00:00:05;\n  option agent.circuit-id \"port5\";\n}\n"
	  "lease 100.64.16.16 {\n  starts epoch 1795687200;\n  ends epoch 1795690800;\n  binding state free;\n"
	  "  hardware ethernet 02:00:00:00:00:05;\n}\n",
	  NULL, false, 0,
	  START("10:00:00") ",\"id\":\"02:00:00:00:00:05\",\"mac\":\"02:00:00:00:00:05\",\"circuit\":\"port5\"" //
	  FROM("10:00:00") TO("11:00:00")
		  STOP("11:00:00") ",\"id\":\"02:00:00:00:00:05\",\"mac\":\"02:00:00:00:00:05\"" //
	  FROM("10:00:00") TO("11:00:00") },
	{ "an address that ISC dhcpd abandoned: by its end, or by the time of the file", FORMAT_ISC_DHCPD,
	  "lease 100.64.16.16 {\n  starts epoch 1795687200;\n  ends epoch 1795689000;\n  binding state abandoned;\n}\n"
	  "lease 100.64.16.16 {\n  starts epoch 1795687200;\n  ends epoch 1795773600;\n  binding state abandoned;\n}\n",
	  NULL, false, 0,
	  STOP("10:30:00") ",\"from\":null" EARLY("10:30:00", "10:00:00") //
	  STOP("11:00:00") ",\"from\":null" EARLY("11:00:00", "10:00:00") },
	{ "the same of a lease of days", FORMAT_ISC_DHCPD,
	  "lease 100.64.16.16 {\n  starts epoch 1795000000;\n  ends epoch 1795690800;\n  binding state abandoned;\n}\n",
	  NULL, false, 0,
	  STOP("11:00:00") ",\"from\":null,\"to\":\"2026-11-26T11:00:00Z\",\"early\":\"2026-11-25T11:00:00Z\"\n" },
	{ "RouterOS' PPP sessions", FORMAT_MIKROTIK,
	  "Flags: R - radius\n 0 R name=\"carol\" service=pppoe caller-id=\"02:00:00:00:00:06\"\n     "
	  "address=100.64.16.16 "
	  "uptime=1h encoding=\"\" session-id=0x81\n\n",
	  NULL, false, 0,
	  HEARD ",\"id\":\"carol\",\"mac\":\"02:00:00:00:00:06\",\"session\":\"mikrotik/0x81\"" FROM("10:00:00") OPEN },
	{ "RouterOS' leases", FORMAT_MIKROTIK,
	  " 0 D address=100.64.16.16 mac-address=02:00:00:00:00:06 status=bound expires-after=1h last-seen=0s\n 1 "
	  "address=1.1.1.1 "
	  "status=waiting\n",
	  NULL, false, 0,
	  HEARD ",\"id\":\"02:00:00:00:00:06\",\"mac\":\"02:00:00:00:00:06\",\"from\":null" TO("12:00:00") },
	{ "accel-ppp", FORMAT_ACCEL_PPP,
	  " ifname | username | calling-sid       | ip           | state  | uptime\n--------+------\n"
	  " ppp0   | dave     | 02:00:00:00:00:07 | 100.64.16.16 | active | 01:00:00\n"
	  " ppp1   | none     | 02:00:00:00:00:08 |              | start  | 00:00:00\n",
	  NULL, false, 0,
	  HEARD ",\"id\":\"dave\",\"mac\":\"02:00:00:00:00:07\",\"circuit\":\"ppp0\"" FROM("10:00:00") OPEN },
	/* Names that customers choose. */
	{ "quotes and escapes in a name of Kea's", FORMAT_KEA,
	  KEA_HEADER "100.64.16.16,,01:02,3600,1795690800,1,0,0,\"a&#x2cb,0,,0\n"
		     "100.64.16.16,,01:03,3600,1795690800,1,0,0,b\",0,,0\n",
	  NULL, false, 0,
	  START("10:00:00") ",\"id\":\"01:02\"" FROM("10:00:00") TO("11:00:00") //
	  START("10:00:00") ",\"id\":\"01:03\"" FROM("10:00:00") TO("11:00:00") },
	{ "a row in a name of Kea's", FORMAT_KEA,
	  KEA_HEADER "100.64.16.17,,01:02,3600,1795690800,1,0,0,x\n100.64.16.16,,0a:0a,3600,1795690800,1,0,0,h,0,,0\n"
		     ",0,,0\n100.64.16.16,,01:03,3600,1795690800,1,0,0,b,0,,0\n",
	  NULL, false, 2, START("10:00:00") ",\"id\":\"01:03\"" FROM("10:00:00") TO("11:00:00") },
	{ "a newline in a name of Kea's", FORMAT_KEA,
	  KEA_HEADER "100.64.16.16,,01:02,3600,1795690800,1,0,0,x\ny,0,,0\n", NULL, false, 0,
	  START("10:00:00") ",\"id\":\"01:02\"" FROM("10:00:00") TO("11:00:00") },
	{ "a row in a user's name", FORMAT_RADACCT_CSV,
	  "acctsessionid,username,nasipaddress,acctstarttime,framedipaddress\n"
	  "1,\"x\"\"\n9,victim,192.0.2.9,2026-11-26 10:00:00+00,100.64.16.17\n\",192.0.2.9,2026-11-26 10:00:00+00,"
	  "100.64.16.16\n"
	  "2,\"a\\\",\\\"b\",192.0.2.9,2026-11-26 10:00:00+00,100.64.16.16\n",
	  NULL, false, 1,
	  START("10:00:00") ",\"id\":\"x\\\"\\\\x0a9,victim,192.0.2.9,2026-11-26 "
			    "10:00:00+00,100.64.16.17\",\"session\":\"192.0.2.9/1\"" FROM("10:00:00") OPEN },
	{ "escapes of FreeRADIUS", FORMAT_FREERADIUS_DETAIL,
	  "Thu Nov 26 10:00:00 2026\n\tAcct-Status-Type = Start\n\tUser-Name = "
	  "\"a\\nb\\\\\\101\\000\\\"\\n\\tFramed-IP-Address = 100.64.16.17\"\n\tFramed-IP-Address = "
	  "100.64.16.16\n\tTimestamp = 1795687200\n\n",
	  NULL, false, 0,
	  START("10:00:00") ",\"id\":\"a\\\\x0ab\\\\A\\\\x00\\\"\\\\x0a\\\\x09Framed-IP-Address = 100.64.16.17\","
			    "\"session\":\"/\"" FROM("10:00:00") OPEN },
	{ "a client of dnsmasq on a host without a clock", FORMAT_DNSMASQ,
	  "43200 02:00:00:00:00:04 100.64.16.16 * *\n4294967295 02:00:00:00:00:05 100.64.16.16 * *\n"
	  "43200 06-02:00:00:00:00:04 100.64.16.16 * *\n",
	  NULL, false, 1,
	  HEARD ",\"id\":\"02:00:00:00:00:04\",\"mac\":\"02:00:00:00:00:04\",\"from\":null" OPEN //
		  HEARD ",\"id\":\"02:00:00:00:00:05\",\"mac\":\"02:00:00:00:00:05\",\"from\":null" OPEN },
	{ "octal escapes, and what ISC dhcpd is to do", FORMAT_ISC_DHCPD,
	  "lease 100.64.16.16 {\n  starts epoch 1795687200; # x\n  ends never;\n  uid \"\\001\\002\\000\\377\\\"a\";\n"
	  "  client-hostname \"\\012}\\012lease 100.64.16.17 {\";\n  option agent.circuit-id \"a\\\\b\\\"\";\n"
	  "  on expiry {\n    set x = \"1\";\n  }\n  binding state active;\n}\n"
	  "lease 100.64.16.17 {\n  starts epoch x;\n  uid \"a\";\n}\n",
	  NULL, false, 1,
	  START("10:00:00") ",\"id\":\"01:02:00:ff:22:61\",\"circuit\":\"a\\\\b\\\"\"" FROM("10:00:00") OPEN },
	{ "fields in a name of RouterOS", FORMAT_MIKROTIK,
	  " 0 D ;;; address=100.64.16.17 \"second floor\n   address=100.64.16.16 mac-address=02:00:00:00:00:06 "
	  "host-name=\"x\\\" agent-circuit-id=\\22slot uptime=1h\n   9\" status=bound expires-after=1h last-seen=0s\n",
	  NULL, false, 0,
	  HEARD ",\"id\":\"02:00:00:00:00:06\",\"mac\":\"02:00:00:00:00:06\",\"from\":null" TO("12:00:00") },
	{ "a row in a name of accel-ppp", FORMAT_ACCEL_PPP,
	  " ifname | username | ip           | uptime\n"
	  " ppp0   | x | 100.64.16.17 | 01:00:00\n"
	  " ppp1   | y\n ppp9 | victim | 100.64.16.16 | 01:00:00\n | 100.64.16.18 | 01:00:00\n"
	  " ppp2   | z | 100.64.16.19 | 1:00 | 100.64.16.20 | 01:00:00\n"
	  " ppp3   | dave | 100.64.16.16 | 01:00:00\n",
	  NULL, false, 3,
	  "\"time\":\"2026-11-26T11:00:00Z\",\"event\":\"interim\",\"in_addr\":\"100.64.16.17\",\"id\":\"x\","
	  "\"circuit\":\"ppp0\"" FROM("10:00:00") OPEN HEARD ",\"id\":\"dave\",\"circuit\":\"ppp3\"" FROM("10:00:00")
		  OPEN },
};

Test(lease_import, each_format_becomes_lines)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t skipped;
		int r;
		char *lines = imported(rows[i].format, rows[i].text, rows[i].zone, rows[i].live, &skipped, &r);

		cr_expect_eq(r, 0, "%s", rows[i].what);
		cr_expect_str_eq(lines, rows[i].lines, "%s: %s", rows[i].what, lines);
		cr_expect_eq(skipped, rows[i].skipped, "%s: %u skipped", rows[i].what, (unsigned)skipped);
		free(lines);
	}
}

Test(lease_import, a_file_with_another_header_is_refused)
{
	static const enum lease_format formats[] = { FORMAT_RADACCT_CSV, FORMAT_KEA, FORMAT_ACCEL_PPP };

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		uint64_t skipped;
		int r;
		char *lines = imported(formats[i], "a,b,c\n1,2,3\n", NULL, false, &skipped, &r);

		cr_expect_eq(r, -EBADMSG);
		cr_expect_str_eq(lines, "");
		free(lines);
	}
}
