// SPDX-License-Identifier: BSD-2-Clause
/* Complaints that say of all their times or ports that they are wrong; tables whose rows lack what a header names. */
#include "complaint_rows.h"

#define KEYS	   "Source: 203.0.113.5\nSource port: 5100\n"
#define SAYS(text) WHAT " " AT "\n" text "\n"
#define JSON	   "{\"ip\":\"203.0.113.5\",\"src_port\":5100,"
#define HTML	   "Content-Type: text/html\n\n<table><tr><th>IP<th>Port<th>Time (UTC)</tr>"
#define OTHER	   "2026-02-04T10:00:09Z 5200;"

static const struct complaint_row rows[] = {
	{ "a date of a thing", KEYS "Signature date: " AT "\n", "no-time;" },
	{ "the date of a log", KEYS "Log date: " AT "\n", ONE },
	{ "a date that is behind a bullet", KEYS "\342\200\242 Date: " AT "\n", ONE },
	{ "the begin of a thing", KEYS "Contract start: " AT "\n", "no-time;" },
	{ "the begin of an attack", KEYS "Attack start: " AT "\n", ONE },
	{ "the begin of a report", KEYS "Export started: " AT "\n", "no-time;" },
	{ "a ticket", KEYS "Ticket opened: " AT "\n", "no-time;" },
	{ "what is planned", KEYS "Re-scan planned: " AT "\n", "no-time;" },
	{ "from a time on", WHAT ", starting " AT ".\n", "unsure;" },
	{ "up to a time", WHAT ", bis " AT ".\n", "unsure;" },
	{ "a span in words", WHAT " " AT " until 10:05:00 UTC\n", "unsure;" },
	{ "a span with dots", WHAT " " AT " .. 10:05:00 UTC\n", "unsure;" },
	{ "one of two times", WHAT " " AT " or 10:05:00 UTC\n", "unsure;" },
	{ "a zone and hours in words", WHAT " 2026-02-04 10:00:01 UTC plus two hours\n", "time;" },
	{ "the same in French", WHAT " 2026-02-04 10:00:01 GMT moins 3\n", "time;" },
	{ "a zone and what is no hour", WHAT " " AT " plus many others\n", ONE },
	{ "a zone that lacks its hours", WHAT " 2026-02-04 10:00:01 (UTC + x)\n", "time;" },
	{ "a member with another offset", JSON "\"time\":\"2026-02-04T10:00:01Z\",\"utc_offset\":\"+0200\"}", "time;" },
	{ "an error that nobody knows", SAYS("Clock error: unknown"), "unsure;" },
	{ "an error of something else", SAYS("Error: unknown user, 90 s"), ONE },
	{ "an error in German", SAYS("Zeitabweichung: 3 Minuten"), "unsure;" },
	{ "an error in Spanish", SAYS("Desv\303\255o del reloj: 2 min"), "unsure;" },
	{ "an error in prose", SAYS("All timestamps carry an error of up to two minutes."), "unsure;" },
	{ "times that are rounded", SAYS("Timestamps are rounded to five minutes."), "unsure;" },
	{ "times that are not", SAYS("Timestamps are not rounded to minutes."), ONE },
	{ "times of hours", SAYS("Timestamp precision: hour"), "unsure;" },
	{ "times of minutes", SAYS("Our logs have minute resolution."), "unsure;" },
	{ "seconds that are none", SAYS("Die Sekunden wurden auf 00 gesetzt."), "unsure;" },
	{ "seconds of something else", SAYS("It took 2 seconds to 10 minutes."), ONE },
	{ "a clock in the future", SAYS("The clock of this box is 4 minutes in the future."), "unsure;" },
	{ "a clock of another zone", SAYS("Timestamps are of CET, an hour from UTC."), ONE },
	{ "a log that is early", SAYS("Attention, l'heure de nos journaux avance de 3 minutes."), "unsure;" },
	{ "a clock that was set", SAYS("NTP corrected it by -312 s on Tuesday."), "unsure;" },
	{ "a clock that was hardly set", SAYS("NTP corrected it by 2 s on Tuesday."), ONE },
	{ "a host that nothing sets", SAYS("This host had not been synchronised since April."), "unsure;" },
	{ "hours of a form", SAYS("All times are shown in 24-hour format."), ONE },
	{ "times that were moved", SAYS("Timestamps were shifted by a random amount."), "unsure;" },
	{ "ports that a device gives", SAYS("The load balancer assigns new source ports."), "unsure;" },
	{ "ports that the provider's device gives", SAYS("Your NAT assigns new source ports."), ONE },
	{ "ports that are not kept", SAYS("Source ports are not preserved by our firewall."), "unsure;" },
	{ "ports that are", SAYS("Source ports are preserved by our firewall."), ONE },
	{ "ports in Italian", SAYS("Il nostro NAT ha cambiato le porte sorgente."), "unsure;" },
	{ "source NAT", SAYS("It was seen behind a gateway that does source NAT of ports."), "unsure;" },
	{ "ports of a device in French", SAYS("Les ports sont ceux de notre r\303\251partiteur de charge."),
	  "unsure;" },
	{ "ports that come from a device", SAYS("Die Ports stammen von unserem Reverse-Proxy."), "unsure;" },
	{ "ports that are made", SAYS("The source port is synthetic."), "unsure;" },
	{ "a port that is a device's own", SAYS("Our proxy connects anew, so the port is its own."), "unsure;" },
	{ "an address that was forwarded for",
	  SAYS("The address is that of X-Forwarded-For, the port that of the connection."), "unsure;" },
	{ "a row without an address",
	  "ip,src_port,time\n203.0.113.5,5100,2026-02-04T10:00:01Z\n,5200,2026-02-04T10:00:09Z\n", ONE "unsure;" },
	{ "a row of the same address",
	  "ip | src_port | time (UTC)\n203.0.113.5 | 5100 | 2026-02-04 10:00:01\nidem | 5200 | "
	  "2026-02-04 10:00:09\n",
	  ONE "unsure;" },
	{ "a row of no address",
	  "ip,src_port,time\n203.0.113.5,5100,2026-02-04T10:00:01Z\n-,5200,2026-02-04T10:00:09Z\n", ONE },
	{ "a cell of two rows",
	  HTML "<tr><td rowspan=2>203.0.113.5</td><td>5100</td><td>2026-02-04 10:00:01</td></tr>"
	       "<tr><td>5200</td><td>2026-02-04 10:00:09</td></tr></table>",
	  ONE OTHER },
	{ "names of columns in another order",
	  "ip,src_port,dst_port,time\n203.0.113.5,5100,22,2026-02-04T10:00:01Z\n"
	  "ip,dst_port,src_port,time\n203.0.113.5,22,5200,2026-02-04T10:00:09Z\n",
	  ONE OTHER },
	{ "what has passed since the begin",
	  "Capture of 2026-02-04 10:00:01 UTC\n\noffset  src               dst\n73.2    203.0.113.5:5100  "
	  "192.0.2.1:22\n",
	  "no-time;" },
	{ "an address at a soft end of a line", "203.0.113.=\n5 source port 5100 " AT "\n", "" },
	{ "what was decoded by nobody",
	  "From: a@example.net\nSubject: x\n\nAt 203.0.113.5:51=\n00, " AT ", port=3D22\n", ONE },
	{ "a port at such an end of a line", "203.0.113.5:51=\n00 " AT "\n", "cut-off;" },
};

Test(complaint_amiss, are_no_question)
{
	expect_rows(rows, ARRAY_SIZE(rows));
}
