/* SPDX-License-Identifier: BSD-2-Clause */
/* Complaints as they arrive, and the questions in them. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/timestamp.h"
#include "leases/complaint.h"

/* "2026-01-31T13:05:00Z 203.0.113.36:5100;" for each question, "refused;" for those that are none. */
static int note(void *arg, const struct complaint *c)
{
	char addr[ADDR_TEXT], when[TIME_TEXT];

	if (c->good)
		fprintf(arg, "%s %s:%u;", time_format(c->t, when), addr_format(c->out.addr, addr), c->out.port);
	else
		fprintf(arg, "refused;");
	return 0;
}

static char *questions(const char *text, const char *zone_text)
{
	struct zone zone = { 0 };
	char *found = NULL, *copy = strdup(text);
	size_t size;
	FILE *out = open_memstream(&found, &size);

	if (zone_text)
		cr_assert_eq(zone_parse(zone_text, &zone, NULL), 0);
	cr_expect_eq(complaint_read(copy, strlen(copy), &zone, note, out), 0);
	fclose(out);
	free(copy);
	return found;
}

#define ONE "2026-01-31T13:05:00Z 203.0.113.36:5100;"

static const struct {
	const char *what, *text, *zone, *questions;
} rows[] = {
	{ "ACNS names time, address and port of each source",
	  "<?xml version=\"1.0\"?>\n<Infringement xmlns=\"http://www.acns.net/ACNS\"><Source>\n"
	  "<TimeStamp>2026-01-31T13:05:00Z</TimeStamp><IP_Address>203.0.113.36</IP_Address><Port>5100</Port>\n"
	  "<Type>BitTorrent</Type></Source></Infringement>",
	  NULL, ONE },
	{ "ACNS without a port is refused",
	  "<Infringement><Source><TimeStamp>2026-01-31T13:05:00Z</TimeStamp><IP_Address>203.0.113.36</IP_Address>"
	  "</Source></Infringement>",
	  NULL, "refused;" },
	{ "X-ARF of version 0.1",
	  "From: abuse@example.net\nDate: Sun, 01 Feb 2026 00:00:00 +0000\nX-XARF: PLAIN\n\n---\n"
	  "Reported-From: abuse@example.net\nCategory: abuse\nDate: Sat, 31 Jan 2026 14:05:00 +0100\n"
	  "Source: 203.0.113.36\nSource-Port: 5100\nPort: 22\nSchema-URL: http://example.net/schema.json\n",
	  NULL, ONE },
	{ "X-ARF of version 0.2",
	  "{\"Version\":\"2\",\n\"Date\": \"2026-01-31T13:05:00Z\",\n\"SourceIp\": \"203.0.113.36\",\n\"SourcePort\": "
	  "5100\n}",
	  NULL, ONE },
	{ "CSV by the names of its columns",
	  "src_ip,src_port,timestamp\n203.0.113.36,5100,2026-01-31 13:05:00 UTC\n\"203.0.113.36\",x,2026-01-31 "
	  "13:05:00 UTC\n",
	  NULL, ONE "refused;" },
	{ "CSV with the zone that the operator names", "ip,port,date,time\n203.0.113.36,5100,2026-01-31,14:05:00\n",
	  "Europe/Berlin", ONE },
	{ "a time without a zone is refused", "ip,port,time\n203.0.113.36,5100,2026-01-31 14:05:00\n", NULL,
	  "refused;" },
	{ "a day that never was does not take the time of another line",
	  "2026-01-31T13:05:00Z 203.0.113.36:5100\n2026-02-31T13:05:00Z 203.0.113.36:5101\n", NULL, ONE "refused;" },
	{ "an address with no such port is passed over", "2026-01-31T13:05:00Z 1.1.1.1:99999 203.0.113.36:5100", NULL,
	  ONE },
	{ "an address after a tag is no destination", "<b>2026-01-31T13:05:00Z</b> 203.0.113.36:5100", NULL, ONE },
	{ "an address after an arrow is a destination",
	  "2026-01-31T13:05:00Z 203.0.113.36:5100 > 198.51.100.7:1\n2026-01-31T13:05:00Z > 198.51.100.7:1", NULL, ONE },
	{ "tcpdump with dates",
	  "2026-01-31 14:05:00.123456 IP 203.0.113.36.5100 > 198.51.100.7.443: Flags [S], seq 1\n"
	  "2026-01-31 14:05:01.123456 IP 198.51.100.7.443 > 203.0.113.36.5100: Flags [S.], seq 1\n",
	  "+01:00", ONE "2026-01-31T13:05:01Z 198.51.100.7:443;" },
	{ "tcpdump without dates is refused", "14:05:00.123456 IP 203.0.113.36.5100 > 198.51.100.7.443: Flags [S]\n",
	  "UTC", "refused;" },
	{ "mail whose header has other times and addresses",
	  "Received: from mx (198.51.100.1:25) by 198.51.100.2; Sun, 1 Feb 2026 00:00:00 +0000\n"
	  "Date: Sun, 1 Feb 2026 00:00:00 +0000\nSubject: abuse\n\n"
	  "Dear sirs,\non Sat, 31 Jan 2026 14:05:00 +0100 the host 203.0.113.36 (source port 5100) attacked us.\n",
	  NULL, ONE },
	{ "a time in a line before, the port in one after",
	  "Time: 2026-01-31 13:05:00 UTC\nIP: 203.0.113.36\nDestination port: 443\nPort: 5100\n", NULL, ONE },
	{ "a time that comes after", "203.0.113.36:5100\nat 31/Jan/2026:14:05:00 +0100\n", NULL, ONE },
	{ "the destination is not asked about", "2026-01-31T13:05:00Z 203.0.113.36:5100 -> 198.51.100.7:443\n", NULL,
	  ONE },
	{ "quoted-printable",
	  "Subject: x\nContent-Transfer-Encoding: quoted-printable\n\n2026-01-31=2013:05:00 U=\nTC "
	  "203.0.113.36:51=\n00\n",
	  NULL, ONE },
	{ "base64",
	  "Subject: x\nContent-Transfer-Encoding: base64\n\nMjAyNi0wMS0zMVQxMzowNTowMFog\nMjAzLjAuMTEzLjM2OjUxMDAK\n",
	  NULL, ONE },
	{ "HTML", "<html><table><tr><td>2026-01-31T13:05:00Z</td><td>203.0.113.36:5100</td></tr></table></html>", NULL,
	  ONE },
	{ "a zone with several meanings is refused", "2026-01-31 13:05:00 CST 203.0.113.36:5100\n", "UTC", "refused;" },
	{ "an hour that came twice is refused", "2026-10-25 02:30:00 203.0.113.36:5100\n", "Europe/Berlin",
	  "refused;" },
	{ "an hour that never was is refused", "2026-03-29 02:30:00 203.0.113.36:5100\n", "Europe/Berlin", "refused;" },
	{ "nothing", "Hello\n", NULL, "" },
	{ "no time at all", "203.0.113.36:5100\n", "UTC", "refused;" },
};

Test(complaint, each_form_gives_its_questions)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *found = questions(rows[i].text, rows[i].zone);

		cr_expect_str_eq(found, rows[i].questions, "%s: %s", rows[i].what, found);
		free(found);
	}
}

Test(complaint, ten_megabytes_of_hostile_mail_end)
{
	size_t size = 10U << 20;
	char *text = malloc(size + 1);
	struct zone zone = { 0 };
	static const char piece[] = "<<< 1.2.3.4:5 port=9 =3D=\n\"SourceIp\n";
	char *found = NULL;
	size_t found_size;
	FILE *out = open_memstream(&found, &found_size);

	for (size_t i = 0; i < size; i++)
		text[i] = piece[i % (sizeof(piece) - 1)];
	text[size] = '\0';
	cr_expect_eq(complaint_read(text, size, &zone, note, out), 0);
	fclose(out);
	cr_expect(strstr(found, "refused;") && !strstr(found, "Z "));
	free(found);
	free(text);
}
