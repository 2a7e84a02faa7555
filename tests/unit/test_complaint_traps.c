// SPDX-License-Identifier: BSD-2-Clause
/* Complaints that tempt to a wrong question: times of something else, errors of clocks, ports that were rewritten. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/timestamp.h"
#include "complaints/complaint.h"

/* Addresses of 203.0.113.0/24 are of the pool. */
static bool is_ours(void *arg, uint32_t addr)
{
	(void)arg;
	return addr >> 8 == 0xcb0071;
}

/* "2026-02-04T10:00:01Z 5100;" for each question of 203.0.113.5, "unsure;" for those that are none. */
static int note(void *arg, const struct complaint *c)
{
	char addr[ADDR_TEXT], when[TIME_TEXT];

	if (!c->good)
		fprintf(arg, "%s;", complaint_fault_word(c->fault));
	else if (c->out.addr == 0xcb007105)
		fprintf(arg, "%s %u;", time_format(c->t, when), c->out.port);
	else
		fprintf(arg, "%s;", addr_format(c->out.addr, addr));
	return 0;
}

#define ONE  "2026-02-04T10:00:01Z 5100;"
#define WHAT "203.0.113.5, source port 5100"
#define AT   "2026-02-04 10:00:01 UTC"
#define KEYS "Source: 203.0.113.5\nSource port: 5100\n"
#define MAIL "From: a@example.net\nSubject: x\nDate: Wed, 04 Feb 2026 12:00:00 +0000\n\n"
#define JSON "{\"ip\":\"203.0.113.5\",\"src_port\":5100,"

static const struct {
	const char *name, *text, *found;
} rows[] = {
	{ "a key that names something else", KEYS "Password changed: " AT "\n", "no-time;" },
	{ "a key of what is to come", KEYS "Next scan: " AT "\n", "no-time;" },
	{ "a key with dots", KEYS "Server booted ... " AT "\n", "no-time;" },
	{ "a key at which something was done", KEYS "Installed at: " AT "\n", "no-time;" },
	{ "a key that names a time", KEYS "Device time: " AT "\n", ONE },
	{ "a key that joins a word to \"time\"", KEYS "devicetime: " AT "\n", ONE },
	{ "a key that names an event", KEYS "Login: " AT "\n", ONE },
	{ "a key of something else beside that of the time", KEYS "Time: " AT "\nKept to: 2026-02-05 10:00:00 UTC\n",
	  ONE },
	{ "a key before a line of a log", "kernel: " AT " SRC=203.0.113.5 SPT=5100\n", ONE },
	{ "a key of something else, of the last of two addresses",
	  "First IP: 203.0.113.5:5100\nLogin: " AT "\nIP: 203.0.113.6:5200\nUnlocked: 2026-02-05 10:00:00 UTC\n",
	  ONE "several-times;" },
	{ "a member that names something else", JSON "\"next_run\":\"2026-02-04T10:00:01Z\"}", "no-time;" },
	{ "a member of an object that names something else", JSON "\"sensor\":{\"unpacked\":\"2026-02-04T10:00:01Z\"}}",
	  "no-time;" },
	{ "a member of an event", JSON "\"event\":{\"value\":\"2026-02-04T10:00:01Z\"}}", ONE },
	{ "a column that names something else", "ip,src_port,reset_link\n203.0.113.5,5100,2026-02-04T10:00:01Z\n",
	  "no-time;" },
	{ "a time that had not come", MAIL WHAT " until 2026-02-09 10:00:00 UTC\n", "no-time;" },
	{ "a deadline", MAIL WHAT " up to 2026-02-09 10:00:00 UTC\n", "time;" },
	{ "from a time on, in German", WHAT ", ab " AT "\n", "unsure;" },
	{ "from a time on, in Spanish", WHAT ", desde el " AT "\n", "unsure;" },
	{ "from a time on, in Italian", WHAT ", a partire dalle ore 10:00:01 UTC del 4 febbraio 2026\n", "unsure;" },
	{ "from a time on, in English", WHAT ", from " AT " onwards\n", "unsure;" },
	{ "from a time on, in Polish, as a key's value", KEYS "Czas: od " AT "\n", "unsure;" },
	{ "when it began, as a key", KEYS "From: " AT "\n", ONE },
	{ "an error of the clock in its own line", KEYS "Time: " AT "\nClock accuracy: +/- 90 s\n", "unsure;" },
	{ "an error of the clock of few seconds", KEYS "Time: " AT "\nClock accuracy: +/- 2 s\n", ONE },
	{ "an error of the clock in German", KEYS "Zeit: " AT "\nGanggenauigkeit: \302\261 2 Minuten\n", "unsure;" },
	{ "an error of the clock with a sign alone", KEYS "Time: " AT "\nAll times \302\261 90 s\n", "unsure;" },
	{ "an error that is the clock's, by what measures it", "NTP offset: +37 s\n" WHAT " " AT "\n", "unsure;" },
	{ "an error of a part of a second", "NTP offset: 0.037 s\n" WHAT " " AT "\n", ONE },
	{ "an offset of the zone", "UTC offset: 2 hours\n" WHAT " " AT "\n", ONE },
	{ "an error in JSON", JSON "\"time\":\"2026-02-04T10:00:01Z\",\"time_uncertainty_s\":300}", "unsure;" },
	{ "a margin of one of two times", WHAT ", " AT " +/- 5 min\n\n203.0.113.6, source port 5200, " AT "\n",
	  "unsure;203.0.113.6;" },
	{ "a clock that was not set to summer", WHAT " " AT "\nOur clock was not changed to summer time.\n",
	  "unsure;" },
	{ "a time that is estimated", KEYS "Estimated time: " AT "\n", "unsure;" },
	{ "ports that a NAT changed", WHAT " " AT "\nOur NAT changed source ports.\n", "unsure;" },
	{ "ports that a firewall rewrote, in German",
	  WHAT " " AT "\nDie Quellports wurden von der Firewall umgeschrieben.\n", "unsure;" },
	{ "ports of a balancer", WHAT " " AT "\nSource ports are those of our load balancer.\n", "unsure;" },
	{ "a port that is another", WHAT " " AT "\nThe port in it is not the one your customer used.\n", "unsure;" },
	{ "addresses that are none", WHAT " " AT "\nAddresses are anonymised.\n", "unsure;" },
	{ "addresses of the target that are none", WHAT " " AT "\nTarget addresses are anonymised.\n", ONE },
	{ "what the provider's NAT does", WHAT " " AT "\nYour NAT translates source ports, so here it is.\n", ONE },
	{ "what the service's port became", WHAT " " AT "\nWe changed the port of our SSH then.\n", ONE },
	{ "ports that were not changed", WHAT " " AT "\nSource ports were not rewritten.\n", ONE },
	{ "a port that a member names for something else",
	  "{\"ip\":\"203.0.113.5\",\"EdgePort\":5100,\"time\":\"2026-02-04T10:00:01Z\"}", "no-port;" },
	{ "a zone of a member that contradicts the time",
	  JSON "\"time\":\"2026-02-04T10:00:01Z\",\"timezone\":\"Europe/Berlin\"}", "time;" },
	{ "a zone of a member that fits the time",
	  JSON "\"time\":\"2026-02-04T11:00:01+01:00\",\"timezone\":\"Europe/Berlin\"}", ONE },
	{ "an offset of a member that contradicts the time", JSON "\"time\":\"2026-02-04T10:00:01Z\",\"tz\":\"+0100\"}",
	  "time;" },
	{ "the zone of a place", JSON "\"time\":\"2026-02-04T10:00:01Z\",\"geo\":{\"timezone\":\"Europe/Berlin\"}}",
	  ONE },
	{ "a zone of a key that contradicts the time", KEYS "Time: " AT "\nTimezone: Europe/Berlin\n", "time;" },
	{ "a zone of a column that contradicts the time",
	  "ip,src_port,time,zone\n203.0.113.5,5100,2026-02-04 10:00:01+00:00,CET\n", "time;" },
	{ "a name of a zone that the offset does not fit", WHAT " 2026-02-04 12:00:01 +0200 (Europe/Berlin)\n",
	  "time;" },
	{ "a name of a zone that the offset fits", WHAT " 2026-02-04 11:00:01 +0100 (Europe/Berlin)\n", ONE },
	{ "an hour that came twice, of which the offset says which",
	  WHAT " 2026-10-25 02:30:00 +0200 (Europe/Berlin)\n", "2026-10-25T00:30:00Z 5100;" },
	{ "an hour that came twice, with an offset of neither", WHAT " 2026-10-25 02:30:00 +0300 (Europe/Berlin)\n",
	  "time;" },
	{ "a time that is local, where others are of UTC",
	  "All times are UTC if not local.\n\n" KEYS "Time (local): 2026-02-04 10:00:01\n", "no-zone;" },
	{ "a quoted mail below what happened again", "It happened again this morning.\n\n> " AT " 203.0.113.5:5100\n",
	  "unsure;" },
	{ "a key of the time of something that is not known", KEYS "Date de la demande : " AT "\n", "no-time;" },
	{ "a key of the time of something that is known", KEYS "Date de l'incident : " AT "\n", ONE },
	{ "a key of a time with its form", KEYS "Datum (TT.MM.JJJJ): " AT "\n", ONE },
	{ "hours that are to be added", "Please add two hours to the times.\n\n" AT " 203.0.113.5:5100\n", "unsure;" },
	{ "hours that are added to something else", "We add some hours of work.\n\n" AT " 203.0.113.5:5100\n", ONE },
	{ "within minutes of a time", WHAT ", within ten minutes of " AT "\n", "unsure;" },
	{ "a source that is spoofed", AT ": spoofed source 203.0.113.5:5100\n", "unsure;" },
	{ "what is not to be acted on, in German", "Bitte nicht weiter bearbeiten.\n\n" AT " 203.0.113.5:5100\n",
	  "unsure;" },
	{ "what is not resolved", "It is not resolved, please act.\n\n" AT " 203.0.113.5:5100\n", ONE },
	{ "a port of an address of IPv6", "From 2001:db8::5 port 5100 at " AT ", also seen as 203.0.113.5\n",
	  "no-port;" },
	{ "a port that is joined to one of IPv6", AT " [2001:db8::5]:5100 login\n\nAlso: 203.0.113.5\n", "no-port;" },
	{ "a port below a key of IPv6", "Source: 2001:db8::5\nSource port: 5100\nIPv4: 203.0.113.5\nTime: " AT "\n",
	  "no-port;" },
	{ "an address of IPv6 that stands for one of IPv4", AT " [::ffff:203.0.113.5]:5100 login\n", ONE },
	{ "an address and a port by one key", "IP / port: 203.0.113.5 / 5100\nTime: " AT "\n", ONE },
	{ "an address and a port of the target by one key", "Target IP / port: 203.0.113.5 / 5100\nTime: " AT "\n",
	  "" },
	{ "a log whose format is said",
	  "CustomLog \"%h %{remote}p %t\":\n203.0.113.5 5100 [04/Feb/2026:10:00:01 +0000]\n", ONE },
	{ "a log whose format is not said", "CustomLog:\n203.0.113.5 5100 [04/Feb/2026:10:00:01 +0000]\n", "no-port;" },
	{ "the day of a log, with its zone",
	  "Bots on 4 February 2026 (times in UTC):\n\n[10:00:01] 203.0.113.5:5100 joined\n[10:00:02] it left\n", ONE },
	{ "the day of something else",
	  "Our server was set up on 4 February 2026:\n\n[10:00:01] 203.0.113.5:5100 joined\n", "no-time;" },
	{ "what a server received, in a mail that is forwarded",
	  "Spam:\n\nReceived: from [203.0.113.5] (port=5100 helo=x)\n\tby mx.example.net (Exim);\n"
	  "\tWed, 04 Feb 2026 10:00:01 +0000\nReceived: from a ([203.0.113.6]:5200) by b; Wed, 04 Feb 2026 09:00:00 "
	  "+0000\nFrom: x@example.net\nTo: y@example.net\nDate: Wed, 04 Feb 2026 10:00:01 +0000\n\nBuy!\n",
	  ONE },
	{ "what the provider's server received",
	  "Received: from [203.0.113.5] (port=5100) by mx; Wed, 04 Feb 2026 10:00:01 "
	  "+0000\nFrom: a@example.net\nTo: b@example.net\nSubject: x\n\nHello.\n",
	  "" },
	{ "a quoted mail below what is asked again", "We ask you again.\n\n> " AT " 203.0.113.5:5100\n", ONE },
};

Test(complaint_traps, are_no_question)
{
	struct zone zone = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *found = NULL;
		size_t size;
		FILE *out = open_memstream(&found, &size);
		const struct complaint_reader reader = { .zone = &zone, .ours = is_ours, .take = note, .arg = out };

		cr_expect_eq(complaint_read(rows[i].text, strlen(rows[i].text), &reader), 0);
		fclose(out);
		cr_expect_str_eq(found, rows[i].found, "%s: %s", rows[i].name, found);
		free(found);
	}
}
