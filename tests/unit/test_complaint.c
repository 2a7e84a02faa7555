/* SPDX-License-Identifier: BSD-2-Clause */
/* Complaints as they arrive, and the questions in them. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/timestamp.h"
#include "complaints/complaint.h"

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

/* In octets, as a program of mail may store a text. */
static char *questions_of_ours(const void *octets, size_t size, const char *zone_text, bool (*ours)(void *, uint32_t))
{
	struct zone zone = { 0 };
	char *found = NULL;
	size_t found_size;
	FILE *out = open_memstream(&found, &found_size);
	const struct complaint_reader reader = { .zone = &zone, .ours = ours, .take = note, .arg = out };

	if (zone_text)
		cr_assert_eq(zone_parse(zone_text, &zone, NULL), 0);
	cr_expect_eq(complaint_read(octets, size, &reader), 0);
	fclose(out);
	return found;
}

static char *questions_of(const void *octets, size_t size, const char *zone_text)
{
	return questions_of_ours(octets, size, zone_text, NULL);
}

static char *questions(const char *text, const char *zone_text)
{
	return questions_of(text, strlen(text), zone_text);
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
	{ "a time of what was done about it is not that of the port",
	  "We blocked 203.0.113.36 on 2026-01-31 at 13:05:00 UTC. Its last connection came from source port 5100.\n",
	  NULL, "refused;" },
	{ "nor is that of another deed",
	  "Wir haben 203.0.113.36 am 31.01.2026 um 13:05:00 UTC gesperrt; eine weitere Verbindung kam vom Quellport "
	  "5100.\n",
	  NULL, "refused;" },
	{ "nor that of nothing that happened",
	  "Le mot de passe a \303\251t\303\251 chang\303\251 le 31/01/2026 \303\240 13:05:00 UTC. 203.0.113.36 s'est "
	  "connect\303\251 avec le port source 5100.\n",
	  NULL, "refused;" },
	{ "a record without a time does not take that of a measure",
	  "We banned it at 2026-01-31 13:05:00 UTC. The log says:\n203.0.113.36:5100 -> 192.0.2.1:22\n", NULL,
	  "refused;" },
	{ "a sentence about the same event has the port",
	  "On 2026-01-31 at 13:05:00 UTC our server was attacked from 203.0.113.36. The source port was 5100.\n", NULL,
	  ONE },
	{ "one of a number, too", "203.0.113.36 attacked us on 2026-01-31 at 13:05:00 UTC from port No. 5100.\n", NULL,
	  ONE },
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
	{ "an offset after GMT or UTC counts",
	  "2026-01-31 08:05:00 GMT-0500 203.0.113.36:5100\n2026-01-31 14:05:00 UTC+1 203.0.113.36:5100\n"
	  "2026-01-31 08:05:00 (GMT-5) 203.0.113.36:5100\nSat Jan 31 2026 14:05:00 GMT+0100 (CET) 203.0.113.36:5100\n"
	  "2026-01-31 14:05:00 GMT +0100 203.0.113.36:5100\n",
	  NULL, ONE },
	{ "an offset that cannot be is refused",
	  "2026-01-31 08:05:00 UTC+25 203.0.113.36:5100\n2026-01-31 08:05:00 GMT-5.5 203.0.113.36:5100\n", "UTC",
	  "refused;refused;" },
	{ "a zone of the database counts, and one that is not there is refused",
	  "2026-01-31 14:05:00 Europe/Berlin 203.0.113.36:5100\n2026-01-31 14:05:00 Mars/Phobos 203.0.113.36:5100\n",
	  "UTC", ONE "refused;" },
	{ "a zone before the time counts", "Time (UTC): 2026-01-31 13:05:00 203.0.113.36:5100\n", "Europe/Berlin",
	  ONE },
	{ "a day with dots, and a zone after the word Uhr",
	  "Am 31.01.2026 um 14:05:00 Uhr MEZ: 203.0.113.36 Port 5100\n", "UTC", ONE },
	{ "hours of half a day",
	  "2026-01-31 1:05:00 PM UTC 203.0.113.36:5100\n01/31/2026 8:05 AM EST 203.0.113.36:5100\n"
	  "2026-01-31 13:05:00 PM UTC 203.0.113.36:5100\n",
	  NULL, ONE },
	{ "a date whose month cannot be told is refused", "02/01/2026 13:05:00 UTC 203.0.113.36:5100\n", NULL,
	  "refused;" },
	{ "the edges of daylight saving with their zones",
	  "2026-10-25 02:30:00 CEST 203.0.113.36:1\n2026-10-25 02:30:00 CET 203.0.113.36:1\n", "Europe/Berlin",
	  "2026-10-25T00:30:00Z 203.0.113.36:1;2026-10-25T01:30:00Z 203.0.113.36:1;" },
	{ "CSV with semicolons and the mark of a spreadsheet",
	  "\xef\xbb\xbf"
	  "ip;port;time\r\n203.0.113.36;5100;2026-01-31 13:05:00,5 UTC\r\n",
	  NULL, ONE },
	{ "CSV that names its separator, with tabs, or with returns alone",
	  "sep=;\rIP Address;Source Port;Time\r203.0.113.36;5100;2026-01-31 13:05:00 UTC\r", NULL, ONE },
	{ "a table with tabs", "src-ip\tsrc-port\tts\n203.0.113.36\t5100\t1769864700123\n", NULL, ONE },
	{ "a header that names the zone", "IP;Port;Timestamp (UTC)\n203.0.113.36;5100;2026-01-31 13:05:00\n",
	  "Europe/Berlin", ONE },
	{ "a table after a greeting and before a farewell",
	  "Dear sirs,\n\nip,port,time\n203.0.113.36,5100,2026-01-31 13:05:00 UTC\n\nRegards, Bob\n", NULL, ONE },
	{ "addresses of IPv4 within IPv6",
	  "2026-01-31T13:05:00Z ::ffff:203.0.113.36 port 5100\n2026-01-31T13:05:00Z [::ffff:203.0.113.36]:5100\n", NULL,
	  ONE },
	{ "addresses of IPv4 within IPv6 in a table", "ip,port,time\n::ffff:203.0.113.36,5100,2026-01-31T13:05:00Z\n",
	  NULL, ONE },
	{ "ports out of range are refused",
	  "ip,port,time\n203.0.113.36,0,2026-01-31T13:05:00Z\n203.0.113.36,65536,2026-01-31T13:05:00Z\n"
	  "203.0.113.36,-1,2026-01-31T13:05:00Z\n203.0.113.36,,2026-01-31T13:05:00Z\n",
	  NULL, "refused;refused;refused;refused;" },
	{ "port 0 is refused", "2026-01-31T13:05:00Z 203.0.113.36:0\n", NULL, "refused;" },
	{ "dots in brackets", "2026-01-31T13:05:00Z 203[.]0[.]113[.]36:5100\n", NULL, ONE },
	{ "X-ARF of version 4, of which the destination is no question",
	  "{\n\"xarf_version\": \"4.0.0\",\n\"timestamp\": \"2026-01-31T13:05:00Z\",\n\"source_identifier\": "
	  "\"203.0.113.36\",\n\"source_port\": 5100,\n\"destination_ip\": \"198.51.100.7\",\n\"destination_port\": "
	  "22,\n\"first_seen\": \"2026-01-31T12:00:00Z\"\n}\n",
	  NULL, ONE },
	{ "several reports of X-ARF in a mail",
	  "Subject: x\n\n[{\"xarf_version\":\"4\",\"timestamp\":\"2026-01-31T13:05:00Z\",\"source_identifier\":"
	  "\"203.0.113.36\",\"source_port\":5100},\n{\"Report\":{\"Date\":\"2026-01-31T13:05:00Z\",\"SourceIp\":"
	  "\"203.0.113.36\"}}]\n",
	  NULL, ONE "refused;" },
	{ "X-ARF of version 0.2 as a part of a mail, whose other parts are no questions",
	  "From: abuse@example.net\nDate: Sun, 01 Feb 2026 00:00:00 +0000\nX-XARF: PLAIN\nContent-Type: "
	  "multipart/mixed;\n"
	  " boundary=\"b1\"\n\n--b1\nContent-Type: text/plain\n\nSee the report.\n--b1\nContent-Type: text/plain; "
	  "name=\"report.txt\"\nContent-Transfer-Encoding: quoted-printable\n\n---\nReported-From: abuse@example.net\n"
	  "Date: Sat, 31 Jan 2026 13:05:00 =2B0000\nSource: 203.0.113.36\nSource-Port: 5100\nPort: 22\n--b1\n"
	  "Content-Type: text/plain\n\nJan 31 13:05:00 sshd[1]: from 203.0.113.36 port 5100\n--b1--\n",
	  NULL, ONE },
	{ "a table in an attachment within parts",
	  "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/alternative; "
	  "boundary=\"i\"\n\n--i\n\nplain\n--i\nContent-Type: text/html\n\n<b>html</b>\n--i--\n--o\nContent-Type: "
	  "text/csv\nContent-Transfer-Encoding:\n base64\n\n"
	  "aXAscG9ydCx0aW1lCjIwMy4wLjExMy4zNiw1MTAwLDIwMjYtMDEtMzFUMTM6MDU6MDBaCg==\n--o--\n",
	  NULL, ONE },
	{ "what plain text says, its HTML does not say again",
	  "Content-Type: multipart/alternative; boundary=i\n\n--i\n\n2026-01-31T13:05:00Z 203.0.113.36:5100\n--i\n"
	  "Content-Type: text/html\n\n<p>2026-01-31T13:05:00Z 203.0.113.36:5100</p>\n--i--\n",
	  NULL, ONE },
	{ "a picture is not read",
	  "Content-Type: multipart/mixed; boundary=i\n\n--i\nContent-Type: image/png\n\n2026-01-31T13:05:00Z "
	  "203.0.113.36:5100\n--i--\n",
	  NULL, "" },
	{ "a mail that was copied without its header",
	  "This is a message of several parts.\n--xyz\nContent-Type: text/plain\nContent-Transfer-Encoding: "
	  "base64\n\nMjAyNi0wMS0zMVQxMzowNTowMFog\nMjAzLjAuMTEzLjM2OjUxMDAK\n--xyz--\n",
	  NULL, ONE },
	{ "base64 that was cut gives no port that was cut",
	  "Content-Transfer-Encoding: base64\n\nMjAyNi0wMS0zMVQxMzowNTowMFog\nMjAzLjAuMTEzLjM2OjUxM\n", NULL, "" },
	{ "a table of HTML, its blanks and its signs",
	  "<table>\n<tr><th>Time</th>\n<th>IP</th><th>Port</th></tr>\n<tr><td>2026-01-31&nbsp;13:05:00\n&#43;0000</"
	  "td>\n"
	  "<td>203.0.113.36</td>\n<td>5100</td></tr></table>\n",
	  NULL, ONE },
	{ "what a browser does not show is no question",
	  "<html><script>2026-01-31T13:05:00Z 1.2.3.4:1</script><!-- 2026-01-31T13:05:00Z 1.2.3.4:2 -->"
	  "<style>1.2.3.4:3</style><p>2026-01-31T13:05:00Z 203.0.113.36:5100</p><script>1.2.3.4:4</html>",
	  NULL, ONE },
	{ "nothing", "Hello\n", NULL, "" },
	{ "no time at all", "203.0.113.36:5100\n", "UTC", "refused;" },
};

#define OURS_ONE "2026-05-04T19:10:11Z 198.51.100.23:51222;"

/* What a text ties together, and what it does not; 198.51.100.0/24 are the pools. */
static const struct {
	const char *what, *text, *questions;
} tied[] = {
	{ "two ports that the text names together are refused",
	  "On 2026-05-04 at 19:10:11 UTC 198.51.100.23 came from source ports 51222 and 51333.\n", "refused;" },
	{ "a range of ports is refused", "2026-05-04T19:10:11Z 198.51.100.23 source ports 51222-51230\n", "refused;" },
	{ "a port with its service behind it is the service's",
	  "IP: 198.51.100.23\nPort: 443 (https)\nTimestamp: 2026-05-04 19:10:11 UTC\n", "refused;" },
	{ "an object that names a service has its port",
	  "{\"timestamp\":\"2026-05-04T19:10:11Z\",\"ip\":\"198.51.100.23\",\"port\":443,\"service\":\"https\"}\n",
	  "refused;" },
	{ "lines of a log without a zone, of what is asked about, are no other events",
	  "Reported-From: a@example.net\nDate: 2026-05-04T19:10:11Z\nSource: 198.51.100.23\nSource-Port: 51222\n\n"
	  "May  4 21:10:11 a sshd[1]: from 198.51.100.23 port 51222\nMay  4 21:10:15 a sshd[1]: from 198.51.100.23 "
	  "port 51222\n",
	  OURS_ONE },
	{ "columns that one blank separates in a row are those of the header",
	  "All times are UTC.\n\nDATE        TIME     PROTO  SOURCE               TARGET\n"
	  "2026-05-04  19:10:11 TCP    198.51.100.23:51222  192.0.2.4:443\n",
	  OURS_ONE },
	{ "a row that lacks a cell is read by none of its columns",
	  "All times are UTC.\n\nDATE        TIME      IP             PORT   HITS\n2026-05-04  19:10:11  198.51.100.23 "
	  "        443\n",
	  "refused;" },
	{ "an answer in a log is of the same side",
	  "2026-05-04T19:10:11Z IP 192.0.2.4.443 > 198.51.100.23.51222: Flags [S.]\n", OURS_ONE },
	{ "two of the pools in a line of which nothing is said are refused",
	  "2026-05-04T19:10:11Z flow between 198.51.100.23:51222 and 198.51.100.24:51223\n", "refused;" },
	{ "addresses of no pool are those of others", "2026-05-04T19:10:11Z 203.0.113.5:5100\n", "refused;" },
	{ "what conntrack says of the answers is no other flow",
	  "2026-05-04T19:10:11Z src=198.51.100.23 dst=192.0.2.4 sport=51222 dport=443 src=10.1.0.5 dst=198.51.100.23 "
	  "sport=8443 "
	  "dport=51222\n",
	  OURS_ONE },
	{ "a port at which JSON breaks off is refused",
	  "{\"time\":\"2026-05-04T19:10:11Z\",\"src_ip\":\"198.51.100.23\",\"src_port\":512", "refused;" },
	{ "the time of a discovery gives way to that of what happened",
	  "The attack began on 2026-05-04 at 19:10:11 UTC.\n\nIP: 198.51.100.23\nSource port: 51222\nDetected: "
	  "2026-05-05 "
	  "08:00:00 UTC\n",
	  OURS_ONE },
	{ "a time of a discovery that stands alone is meant",
	  "IP: 198.51.100.23\nSource port: 51222\nDetected: 2026-05-04 19:10:11 UTC\n", OURS_ONE },
	{ "a zone of one record is not that of another",
	  "IP: 198.51.100.23\nPort: 51222\nTime: 2026-05-04 19:10:11\nZone: UTC\n\nIP: 198.51.100.24\nPort: "
	  "51223\nTime: "
	  "2026-05-04 21:10:11\n",
	  OURS_ONE "refused;" },
	{ "a zone that is said not to be meant is none",
	  "The times are not UTC.\n\n2026-05-04 19:10:11 198.51.100.23:51222\n", "refused;" },
	{ "\"p. m.\" is the afternoon", "El 4 de mayo de 2026 a las 7:10:11 p. m. (UTC), 198.51.100.23:51222\n",
	  OURS_ONE },
	{ "a port behind two addresses is of neither",
	  "On 2026-05-04 at 19:10:11 UTC 198.51.100.23 and 198.51.100.24, source port 51222, attacked us.\n",
	  "refused;refused;" },
	{ "the time of a ban is not that of the port",
	  "IP: 198.51.100.23\nSource port: 51222\nBlocked at: 2026-05-04 19:10:11 UTC\n", "refused;" },
	{ "nor is that of its end",
	  "IP: 198.51.100.23\nPort: 51222\nDetected: 2026-05-04 19:10:11 UTC\nUnblocked: 2026-05-04 20:10:11 UTC\n",
	  OURS_ONE },
	{ "nor is that of an answer, of a clock, or of a start",
	  "198.51.100.23:51222\nYour reply is due by: 2026-05-04 19:10:11 UTC\n\nServer time now: 2026-05-04 19:10:11 "
	  "UTC\n\nUptime since 2026-05-04 19:10:11 UTC\n",
	  "refused;" },
	{ "IPv4 at the end of IPv6 is asked about where it stands for it",
	  "2026-05-04T19:10:11Z src=64:ff9b::198.51.100.23 sport=51222\n2026-05-04T19:10:11Z "
	  "[2001:db8:64::198.51.100.24]:51222\n",
	  OURS_ONE },
	{ "a source that is named is meant, and no other endpoint of its line",
	  "2026-05-04T19:10:11Z 198.51.100.24:8080 scanned by 198.51.100.23:51222\n", OURS_ONE },
	{ "a port of a protocol is the service's",
	  "IP: 198.51.100.23\nPort: 51222\nProtocol: ssh\nTime: 2026-05-04 19:10:11 UTC\n", "refused;" },
	{ "so is one that no subscriber has, if nothing says it",
	  "IP: 198.51.100.23\nPort: 222\nTime: 2026-05-04 19:10:11 UTC\n", "refused;" },
	{ "a port behind an arrow is the target's", "198.51.100.23 -> port 51222, 2026-05-04 19:10:11 UTC\n",
	  "refused;" },
	{ "a range of ports behind an address is refused",
	  "2026-05-04 19:10:11 UTC 198.51.100.23:51222-51230\n2026-05-04 19:10:12 UTC 198.51.100.24:51222,51230\n",
	  "refused;refused;" },
	{ "an address whose number may be octal is none", "2026-05-04 19:10:11 UTC 198.51.100.023:51222\n", "" },
	{ "a text with a time of its own may tell of another event than the mail that it quotes",
	  "It happened again at 2026-05-06 10:41:00 UTC!\n\n> Source: 198.51.100.23:51222\n> Time: 2026-05-04 19:10:11 "
	  "UTC\n",
	  "refused;" },
	{ "the time at which a quoted mail was written is none",
	  "On Mon, 4 May 2026 at 21:00:00 UTC, Ann wrote:\n> Source: 198.51.100.23:51222\n> Time: 2026-05-04 19:10:11 "
	  "UTC\n",
	  OURS_ONE },
	{ "the newest of several attacks is not the first",
	  "Since 2026-05-04 19:10:11 UTC we see attacks; the newest from 198.51.100.23:51222.\n", "refused;" },
};

static bool is_tied_pool(void *arg, uint32_t addr)
{
	(void)arg;
	return addr >> 8 == 0xc63364;
}

Test(complaint, what_a_text_does_not_tie_is_refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(tied); i++) {
		char *found = questions_of_ours(tied[i].text, strlen(tied[i].text), NULL, is_tied_pool);

		cr_expect_str_eq(found, tied[i].questions, "%s: %s", tied[i].what, found);
		free(found);
	}
}

Test(complaint, each_form_gives_its_questions)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *found = questions(rows[i].text, rows[i].zone);

		cr_expect_str_eq(found, rows[i].questions, "%s: %s", rows[i].what, found);
		free(found);
	}
}

Test(complaint, texts_of_sixteen_bits_are_read_in_both_orders)
{
	static const char text[] = "2026-01-31T13:05:00Z 203.0.113.36:5100\n";

	for (size_t big = 0; big < 2; big++) {
		char wide[2 * sizeof(text)] = { 0 }, *found;

		memcpy(wide, big ? "\xfe\xff" : "\xff\xfe", 2);
		for (size_t i = 0; i < sizeof(text) - 1; i++)
			wide[2 + 2 * i + big] = text[i];
		found = questions_of(wide, sizeof(wide), NULL);
		cr_expect_str_eq(found, ONE);
		free(found);
	}
}

Test(complaint, hostile_mail_takes_its_length)
{
	static const struct {
		const char *begin, *piece;
	} mails[] = {
		{ "", "<<< 1.2.3.4:5 port=9 =3D=\n\"SourceIp\n" },
		{ "<td", "<a" },
		{ "<td>", "<!--" },
		{ "Content-Type: multipart/mixed; boundary=a\n\n", "\n--a\nContent-Type: multipart/x; boundary=b\n\n" },
		{ "", "\n--a\nContent-" },
		{ "Content-Transfer-Encoding: base64\n\n", "MS4yLjMuNDo1" },
		{ "[", "{\"\\u0053ourceIp\":1,\"SourceIp\":1}," },
		{ "<Infringement>", "<Source><Port>" },
		{ "", "2026-01-31 13:05:00 " },
		{ "ip,port,time\n", "1.2.3.4,5,\n" },
		{ "", "port destination" },
		{ "", "1.2.3.4 " },
		{ "", "ip,port,time\n" },
		{ "", "Time (UTC): CEST " },
		{ "", "CET UTC EST PST MSK JST " },
		{ "", "Europe/Berlin Asia/Tokyo " },
		{ "", "please send all (of them) in UTC) CET) " },
		{ "", "All times are CET\n" },
		{ "", "x\n" },
		{ "<html>", "<q>&" },
		{ "", "a:\n" },
		{ "", "UTC\nGMT\nCET\nCEST\nEST\n" },
		{ "", "All times are in UTC.\nTimes CET.\n\n" },
		{ "", "port: 5100\n" },
		{ "", "13:05:00\n" },
		{ "", "2026-01-31 13:05:00 UTC\n2026-01-31 13:05:00 1.2.3.4:5\n2026-01-31 13:05:00 CET\n" },
		{ "", "Jan 31 13:05:00 fw kernel: DROP IN=eth0 SRC=1.2.3.4 DST=192.0.2.1 PROTO=TCP SPT=5100 SYN\n" },
		{ "From: a\n\n-- forwarded --\n", "Received: from [1.2.3.4] (helo=x) by y; Sat, 31 Jan 2026 13:05\n" },
		{ "", "Received: from x\n" },
		{ "Content-Type: text/plain; ", "a=b; " },
		{ "", "Content-Type: message/rfc822\n\n" },
		{ "<html><table><tr>", "<td colspan=1000>x</td>" },
		{ "", "{\"a\":{\"b\":[{\"c\":\"" },
		{ "ip,port,time,", "c," },
		{ "", "a\314\201\314\201\314\201 " },
	};
	size_t size = 1U << 20;

	for (size_t i = 0; i < ARRAY_SIZE(mails); i++) {
		size_t n = strlen(mails[i].begin), piece = strlen(mails[i].piece);
		char *text = malloc(size), *found;
		clock_t began = clock();

		memcpy(text, mails[i].begin, n);
		for (size_t k = n; k < size; k++)
			text[k] = mails[i].piece[(k - n) % piece];
		found = questions_of(text, size, NULL);
		cr_expect_not(strstr(found, "Z "), "%s", mails[i].piece);
		/* Ten times as long as it takes, with sanitizers. */
		cr_expect_lt(clock() - began, 2 * CLOCKS_PER_SEC, "%s", mails[i].piece);
		free(found);
		free(text);
	}
}

/* A text with zones, the same two again and again, in the line above an event. */
static char *with_zones(unsigned n)
{
	char text[4096] = "", *at = text;

	for (unsigned i = 0; i < n; i++)
		at += sprintf(at, "%s ", i % 2 ? "CET" : "Europe/Berlin");
	sprintf(at, "\n2026-01-31 13:05:00 203.0.113.36:5100\n");
	return questions(text, NULL);
}

Test(complaint, a_line_that_names_many_zones_settles_none)
{
	for (unsigned n = 62; n <= 66; n++) {
		char *found = with_zones(n);

		cr_expect_str_eq(found, n < 64 ? "2026-01-31T12:05:00Z 203.0.113.36:5100;" : "refused;", "%u: %s", n,
				 found);
		free(found);
	}
}

static int keep_why(void *arg, const struct complaint *c)
{
	struct error *why = arg;

	*why = c->why;
	return 0;
}

/* A gateway's own address that was attacked is not said to be none of its. */
Test(complaint, of_a_target_that_is_ours_that_is_said)
{
	static const struct {
		const char *text, *why;
	} mails[] = {
		{ "{\"src_ip\":\"192.0.2.7\",\"src_port\":4000,\n\"dst_ip\":\"198.51.100.23\",\"dst_port\":80,"
		  "\"time\":\"2026-05-04T19:10:11Z\"}\n",
		  "198.51.100.23 (line 2) is named as the target, and no other address is, or was, of this gateway" },
		{ "{\"src_ip\":\"192.0.2.7\",\"src_port\":4000,\"time\":\"2026-05-04T19:10:11Z\"}\n",
		  "no address in it is, or was, of this gateway" },
	};
	struct zone zone = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(mails); i++) {
		struct error why = { 0 };
		const struct complaint_reader reader = {
			.zone = &zone, .ours = is_tied_pool, .take = keep_why, .arg = &why
		};

		cr_expect_eq(complaint_read(mails[i].text, strlen(mails[i].text), &reader), 0);
		cr_expect_str_eq(why.text, mails[i].why);
	}
}

/* What is handed over of events that are refused. */
struct refusals {
	unsigned n;
	uint64_t line, unlisted;
};

static int count_refusal(void *arg, const struct complaint *c)
{
	struct refusals *r = arg;

	r->n++;
	r->line = c->line;
	r->unlisted = c->unlisted;
	cr_expect(!c->good && (c->unlisted > 0) == (c->fault == FAULT_UNLISTED));
	return 0;
}

Test(complaint, events_that_are_refused_are_listed_up_to_a_number)
{
	struct zone zone = { 0 };

	for (unsigned more = 0; more < 7; more += 3) {
		struct refusals r = { 0 };
		const struct complaint_reader reader = { .zone = &zone, .take = count_refusal, .arg = &r };
		char *text = NULL;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		for (unsigned i = 0; i < 10000 + more; i++)
			fprintf(out, "203.0.113.36:%u\n", i + 1024);
		fclose(out);
		cr_expect_eq(complaint_read(text, size, &reader), 0);
		cr_expect_eq(r.n, 10000U + (more > 0));
		cr_expect_eq(r.unlisted, more);
		cr_expect_eq(r.line, more ? 10001U : 10000U);
		free(text);
	}
}
