// SPDX-License-Identifier: BSD-2-Clause
/* What complaints themselves are not sure of, say not to be meant, or show struck out. */
#include <criterion/criterion.h>

#include <netinet/in.h>
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
#define HTML "Content-Type: text/html\nSubject: x\nFrom: a@example.net\n\n"
#define WHAT "203.0.113.5, source port 5100"
#define AT   "2026-02-04 10:00:01 UTC"
/* A mail's text, and the same in HTML. */
#define BOTH(text, html)                                                                                   \
	"From: a@example.net\nSubject: x\nContent-Type: multipart/alternative; boundary=q\n\n--q\n\n" text \
	"\n--q\nContent-Type: text/html\n\n" html "\n--q--\n"

static const struct {
	const char *name, *text, *found;
} rows[] = {
	{ "a time is approximate", WHAT ", about " AT "\n", "unsure;" },
	{ "a time is approximate by the words behind it", WHAT ", " AT ", roughly\n", "unsure;" },
	{ "what something else is about is said behind it", AT ": about to ban " WHAT "\n", ONE },
	{ "gegen before an hour, and before a server",
	  "Am 04.02.2026 gegen 10:00 Uhr UTC: " WHAT "\n\nAm 04.02.2026 um 10:00:01 UTC ein Angriff gegen uns: " WHAT
	  "\n",
	  "no-time;" ONE },
	{ "a margin of minutes", WHAT ", " AT " +/- 5 min\n", "unsure;" },
	{ "a margin of seconds", WHAT ", " AT " +/- 2 s\n", ONE },
	{ "a span", "Between 10:00 and 10:05 UTC on 2026-02-04 there was " WHAT "\n", "unsure;" },
	{ "a span by a dash", "On 2026-02-04, 10:00-10:05 UTC: " WHAT "\n", "no-time;" },
	{ "opening hours are no zone", "Source: 203.0.113.5\nSource port: 5100\nTime: " AT "\n\nOpen 8:30-12:00.\n",
	  ONE },
	{ "a time of day that opening hours do not end",
	  "Day: 2026-02-04\nSource: 203.0.113.5:5100\n\nOpen at 8:30-12:00.\n", "no-time;" },
	{ "a zone in doubt", WHAT ", 2026-02-04 10:00:01 (UTC, I think)\n", "unsure;" },
	{ "a zone with a question mark", WHAT ", 2026-02-04 10:00:01 (UTC?)\n", "unsure;" },
	{ "a question mark at the end of a question", "Who had 203.0.113.5:5100 at " AT "?\n", ONE },
	{ "a zone of a sentence in doubt", "The times are probably in UTC.\n\n2026-02-04 10:00:01 203.0.113.5:5100\n",
	  "time;" },
	{ "a port in doubt", "Source: 203.0.113.5\nSource port: 5100 (I think)\nTime: " AT "\n", "unsure;" },
	{ "a source with a question in parentheses",
	  "Source port: 5100 (spoofed?)\nSource: 203.0.113.5\nTime: " AT "\n", "unsure;" },
	{ "another day of the week", WHAT ", Tuesday, February 4, 2026 10:00:01 UTC\n", "unsure;" },
	{ "the day of the week", WHAT ", Wednesday, February 4, 2026 10:00:01 UTC\n", ONE },
	{ "a midnight in a log of one day",
	  "Log (UTC) of 2026-02-04:\n23:59:58 203.0.113.5:5100\n00:00:03 203.0.113.5:5200\n", "unsure;unsure;" },
	{ "a zone that is asked for", WHAT ", 2026-02-04 10:00:01\n\nPlease send logs in UTC.\n", "no-zone;" },
	{ "a zone that is stated where something is asked for",
	  "Please send us the name (times in UTC).\n\n" WHAT ", 2026-02-04 10:00:01\n", ONE },
	{ "the time at which a quoted mail was written",
	  "Again from " WHAT ".\n\nOn " AT ", a@isp.example wrote:\n> Thanks.\n", "no-time;" },
	{ "what a program of SIP says of itself",
	  AT " Contact: <sip:100@203.0.113.6:5060>, received from 203.0.113.5:5100\n", ONE },
	{ "the first of two addresses has the first of two times",
	  "First login IP: 203.0.113.5:5100\nFirst login: " AT
	  "\nLast login IP: 203.0.113.6:5200\nLast login: 2026-02-06 07:00:00 UTC\n",
	  ONE "several-times;" },
	{ "the last of two addresses has the last of two times, which stands first",
	  "Last seen: 2026-02-06 07:00:00 UTC\nLast IP: 203.0.113.6:5200\nSign-up: " AT "\nIP: 203.0.113.5:5100\n",
	  "several-times;" ONE },
	{ "an address of another provider has the first of two times",
	  "Sign-up IP: 192.0.2.9\nSign-up: " AT "\nActive IP: 203.0.113.5:5100\nLast active: 2026-02-06 07:00:00 UTC\n",
	  "several-times;" },
	{ "a time and an end of both of two addresses",
	  "Began: " AT "\nIP: 203.0.113.5:5100\nIP 2: 203.0.113.6:5200\nEnded: 2026-02-06 07:00:00 UTC\n",
	  ONE "203.0.113.6;" },
	{ "a target, and the time and the end of its source",
	  "Destination: 203.0.113.6\nStart: " AT "\nSource: 203.0.113.5:5100\nEnd: 2026-02-06 07:00:00 UTC\n", ONE },
	{ "another system, and the time and the end of the source",
	  "System 192.0.2.9\nStart: " AT "\nSource: 203.0.113.5:5100\nEnd: 2026-02-06 07:00:00 UTC\n", ONE },
	{ "an address twice, with its time and its end",
	  "IP: 203.0.113.5\nStart: " AT "\nSocket: 203.0.113.5:5100\nEnd: 2026-02-06 07:00:00 UTC\n", ONE },
	{ "two sources in one sentence", "Attacked by 203.0.113.6:5200 and 203.0.113.5:5100 at " AT "\n",
	  "203.0.113.6;" ONE },
	{ "two sources, and a server", "From 203.0.113.5:5100 and our 203.0.113.6:5200 at " AT "\n", ONE },
	{ "a line that is to be ignored",
	  "203.0.113.5:5100 " AT "\n203.0.113.5:5200 " AT "\nPlease ignore the line above.\n", ONE "unsure;" },
	{ "lines that are to be ignored",
	  "203.0.113.5:5100 " AT "\n203.0.113.5:5200 " AT "\nPlease ignore these lines.\n", "unsure;unsure;" },
	{ "a record above that is to be ignored",
	  "Quelle: 203.0.113.5:5100\nZeit: " AT "\n\nBitte den obigen Eintrag ignorieren.\n", "unsure;" },
	{ "a record below that is to be ignored",
	  "203.0.113.5:5100 " AT "\n\nVeuillez ignorer la ligne ci-dessous.\n\n203.0.113.5:5200 " AT
	  "\n\n203.0.113.6:5300 " AT "\n",
	  ONE "unsure;203.0.113.6;" },
	{ "a complaint that is taken back", "Please disregard this report.\n\n203.0.113.5:5100 " AT "\n", "unsure;" },
	{ "an earlier mail is taken back", "Please ignore our previous mail.\n\n203.0.113.5:5100 " AT "\n", ONE },
	{ "a mail is to be ignored under a condition",
	  "203.0.113.5:5100 " AT "\n\nIf you know of it, please ignore this message.\n", ONE },
	{ "nothing is to be ignored", "Please do not ignore this report.\n\n203.0.113.5:5100 " AT "\n", ONE },
	{ "somebody ignores something", "Bots ignore robots.txt: 203.0.113.5:5100 at " AT "\n", ONE },
	{ "an event is not to be acted on",
	  "Do not act on this one: 203.0.113.5:5200 at " AT ".\nOpen: 203.0.113.5:5100 at " AT "\n", "unsure;" ONE },
	{ "an example of a form",
	  "Example of a useful report: 203.0.113.5:5200 at " AT ".\n\n203.0.113.5:5100 " AT "\n", "unsure;" ONE },
	{ "an example of a form below",
	  "Beispiel einer guten Meldung:\n\nQuelle: 203.0.113.5:5200\nZeit: " AT "\n\n203.0.113.5:5100 " AT "\n",
	  "unsure;" ONE },
	{ "an example of events", "We report, for example, 203.0.113.5:5100 at " AT "\n", ONE },
	{ "an example of a log", "An example of the log of this report:\n\n203.0.113.5:5100 " AT "\n", ONE },
	{ "an example in a name", "Mail to abuse@host.example report: 203.0.113.5:5100 at " AT "\n", ONE },
	{ "a correction says another day", "Correction: it was on 5 February 2026.\n\n203.0.113.5:5100 " AT "\n",
	  "unsure;" },
	{ "a correction says the day",
	  "Correction: it was on 4 February 2026, not on 5 February 2026.\n\n203.0.113.5:5100 " AT "\n", ONE },
	{ "a correction says the day of a mail",
	  "The port was wrong in our mail of 2026-02-05. It was 5100.\n\n"
	  "203.0.113.5:5100 " AT "\n",
	  ONE },
	{ "an excuse names another day",
	  "Sorry, we were not here in the days before 10 February 2026.\n\n203.0.113.5:5100 " AT "\n", ONE },
	{ "an excuse says another day", "Sorry, it was on 5 February 2026.\n\n203.0.113.5:5100 " AT "\n", "unsure;" },
	{ "a correction says a day of which we know no month",
	  "The date was wrong, it must be the 5th.\n\n203.0.113.5:5100 " AT "\n", "unsure;" },
	{ "a time is wrong, and none is said", "The time was wrong.\n\n203.0.113.5:5100 " AT "\n", "unsure;" },
	{ "a time may be wrong", "If the time is wrong, tell us.\n\n203.0.113.5:5100 " AT "\n", ONE },
	{ "something else is wrong",
	  "We detected packets with wrong checksums to port 22.\n\n203.0.113.5:5100 " AT "\n", ONE },
	{ "a clock is not wrong",
	  "Our clock isn't wrong.\n\n" AT " 203.0.113.5:5100"
	  "\n",
	  ONE },
	{ "who did it is in doubt", WHAT ", " AT ", maybe a bot\n", ONE },
	{ "a clock is wrong", "The clock of this server is 3 minutes fast.\n\n" AT " 203.0.113.5:5100\n", "unsure;" },
	{ "a clock is wrong by a second", "The clock may be off by a second.\n\n" AT " 203.0.113.5:5100\n", ONE },
	{ "a clock is right", "Our clock is not off.\n\n" AT " 203.0.113.5:5100\n", ONE },
	{ "an hour is no clock", "Am 04.02.2026 um 10:00:01 Uhr (UTC) nach dem Neustart: " WHAT "\n", ONE },
	{ "a correction says another port", "Sorry, it was port 5200.\n\n" AT " 203.0.113.5:5100\n", "unsure;" },
	{ "a correction says the same", "Sorry, it was port 5100, not 5200.\n\n" AT " 203.0.113.5:5100\n", ONE },
	{ "a correction in the sentence behind", "The time was wrong. It was 11:00:01.\n\n" AT " 203.0.113.5:5100\n",
	  "unsure;" },
	{ "a wrong password is no correction", AT " wrong password from 203.0.113.5 port 5100\n", ONE },
	{ "a correction of what is quoted", "Typo in the port, it was 5200.\n\n> " AT " 203.0.113.5:5100\n",
	  "several-ports;" },
	{ "what a port should be", "The port should read 5200.\n\n" AT " 203.0.113.5:5100\n", "unsure;" },
	{ "what should be closed", "They should have port 5200 closed.\n\n" AT " 203.0.113.5:5100\n", ONE },
	{ "a date that is off", "So the date is off.\n\n" AT " 203.0.113.5:5100\n", "unsure;" },
	{ "a clock that nothing sets", "The clock is not synchronised.\n\n" AT " 203.0.113.5:5100\n", "unsure;" },
	{ "a time that is late", "Sorry, the time I gave is an hour late.\n\n> " AT " 203.0.113.5:5100\n", "unsure;" },
	{ "a port of a service that is attacked", AT " 203.0.113.5, port 3389\n", "no-port;" },
	{ "an attacked port beside the source's",
	  "At " AT " we were attacked by 203.0.113.5, port 9000. It came from port 5100.\n", "several-ports;" },
	{ "a port behind two addresses",
	  "203.0.113.6 attacked us at " AT ". We knew 203.0.113.5 before. The source port was 5100.\n",
	  "no-port;no-port;" },
	{ "last week is no end", "Last week, on 2026-02-04 at 10:00:01 UTC, came " WHAT "\n", ONE },
	{ "the size of a file is no time", "Infringing FileSize: 1104558121\n" AT " 203.0.113.5:5100\n", ONE },
	{ "what is opened may be a ticket",
	  "Source: 203.0.113.5:5100\nOccurred at: " AT "\nOpened at: 2026-02-04 12:00:00 UTC\n", ONE },
	{ "an hour with dots", "Source: 203.0.113.5:5100\nData: 2026-02-04\nOra: 10.00.01 (UTC)\n", ONE },
	{ "endpoints between blanks", AT " x 203.0.113.5 5100 192.0.2.1 443\n", ONE },
	{ "a date of an alert",
	  "02/04/2026-10:00:01.000001  [**] [1:1:1] x [**] {TCP} 203.0.113.5:5100 -> 192.0.2.1:22\n\nUTC\n", ONE },
	{ "packets of tcpdump in two lines each",
	  "2026-02-04 10:00:01 UTC IP (tos 0x0, ttl 5)\n    203.0.113.5.5100 > 192.0.2.1.22: x\n"
	  "2026-02-04 11:00:01 UTC IP (tos 0x0, ttl 5)\n    192.0.2.9.5100 > 192.0.2.1.22: x\n",
	  ONE },
	{ "a hop of a mail", "Received: from x ([203.0.113.5]:5100) by y; 4 Feb 2026 10:00:01 +0000\n", ONE },
	{ "columns From and To",
	  "From,From port,To,To port,Time (UTC)\n203.0.113.5,5100,192.0.2.1,22,2026-02-04 10:00:01\n", ONE },
	{ "a text of its own is not asked about by what it quotes",
	  "Source: 203.0.113.5\nSource port: 5100\nTime: " AT
	  "\n\n> Source: 203.0.113.5\n> Source port: 5200\n> Time: " AT "\n",
	  ONE },
	{ "seven in the evening", WHAT ", 2026-02-04 7:00:01 in the evening (UTC)\n", "unsure;" },
	{ "an hour of the afternoon in Japanese",
	  "\346\227\245\346\231\202: 2026\345\271\2642\346\234\2104\346\227\245 "
	  "\345\215\210\345\276\2149\346\231\20205\345\210\20611\347\247\222 (JST) " WHAT "\n",
	  "unsure;" },
	{ "not this port but that", AT ": 203.0.113.5, not from source port 5200 but from source port 5100\n", ONE },
	{ "nicht, sondern", AT ": 203.0.113.5, nicht vom Quellport 5200, sondern vom Quellport 5100\n", ONE },
	{ "not this address", AT ", not from 203.0.113.6:5200 but from 203.0.113.5:5100\n", ONE },
	{ "not the target's port, in parentheses",
	  "Source: 203.0.113.5\nSource port (not the destination port): 5100\nTime: " AT "\n", ONE },
	{ "thousands of a port", AT ": 203.0.113.5 with source port 51,000\n", "no-port;" },
	{ "thousands of a port, with a blank", "Source: 203.0.113.5\nSource port: 51 000\nTime: " AT "\n", "no-port;" },
	{ "an offset behind a blank", WHAT ", 2026-02-04 15:30:01 (UTC +5:30)\n", ONE },
	{ "an offset between blanks", WHAT ", 2026-02-04 05:00:01 (UTC - 5)\n", ONE },
	{ "a dash behind UTC", AT " - 5 attempts: " WHAT "\n", ONE },
	{ "an offset to UTC as a key", "Source: 203.0.113.5:5100\nTime: 2026-02-04 12:00:01\nUTC offset: +02:00\n",
	  ONE },
	{ "a note at an address", AT ": 203.0.113.5#2\n", "no-port;" },
	{ "seconds since 1970 that begin a line", "1770199201.250 203.0.113.5:5100 DENIED\n", ONE },
	{ "seconds since 1970 that begin a value of JSON",
	  "{\"time\":\"2026-02-04T10:30:00Z\",\"tuples\":[\"1770199201,203.0.113.5,10.0.0.4,5100,3389,T,I,D\"]}\n",
	  ONE },
	{ "a source at the end of the line above", AT ": 203.0.113.5 with the source\nport 5100 came\n", ONE },
	{ "a target at the end of the line above", AT ": 203.0.113.5 came to the target\nport 5100\n", "no-port;" },
	{ "what HTML does not show",
	  HTML "<div style=\"display: none\"><div>203.0.113.5:5200 " AT "</div></div>203.0.113.5:5100 " AT "\n", ONE },
	{ "what HTML strikes out", HTML "<p>203.0.113.5 source port <s>5200</s> 5100 " AT "</p>\n", ONE },
	{ "what HTML strikes out by a style",
	  HTML "<p>203.0.113.5 source port <span style='text-decoration:line-through'>5200</span> 5100 " AT "</p>\n",
	  ONE },
	{ "an element that hides nothing", HTML "<img style=\"display:none\">203.0.113.5:5100 " AT "\n", ONE },
	{ "an element that ends where the next begins",
	  HTML "<p hidden>203.0.113.5:5200 " AT "<p>203.0.113.5:5100 " AT "\n", ONE },
	{ "a cell of CSV of two lines",
	  "ip,port,time,remark\n203.0.113.5,5100," AT ",\"a\nb, 1\"\n203.0.113.6,5200," AT ",\n", ONE "203.0.113.6;" },
	{ "a margin of many seconds", WHAT ", " AT " +/- 30 s\n", "unsure;" },
	{ "a margin of seconds of a time without seconds", WHAT ", 2026-02-04 10:00 UTC +/- 2 s\n", "unsure;" },
	{ "a port that is cut short", AT " SRC=203.0.113.5 DST=192.0.2.1 DPT=22 SPT=5100...\n", "cut-off;" },
	{ "a port with an ellipsis", "Source: 203.0.113.5:5100\342\200\246\nTime: " AT "\n", "cut-off;" },
	{ "a port that is truncated, as a word says", AT " SRC=203.0.113.5 SPT=5100[truncated]\n", "cut-off;" },
	{ "a port with dots in brackets", AT " SRC=203.0.113.5 SPT=5100[...]\n", "cut-off;" },
	{ "a port that is masked", "203.0.113.5:5100** at " AT "\n", "cut-off;" },
	{ "a port of a bold text", "**203.0.113.5:5100** at " AT "\n", ONE },
	{ "a note behind a port", "Source: 203.0.113.5\nSource port: 5100 [tcp]\nTime: " AT "\n", ONE },
	{ "a zone that is denied behind the time", WHAT ", 2026-02-04 10:00:01 (local time, not UTC)\n", "no-zone;" },
	{ "a zone that is denied elsewhere",
	  AT " 203.0.113.5:5100\n\nThe time above is local time, not UTC as written.\n", "unsure;" },
	{ "a zone that is denied in German", AT " 203.0.113.5:5100\n\nDie Zeit ist in MESZ, nicht in UTC.\n",
	  "unsure;" },
	{ "a zone that is denied in Spanish", AT " 203.0.113.5:5100\n\nLa hora es local, no UTC.\n", "unsure;" },
	{ "another zone is denied", AT " 203.0.113.5:5100\n\nTimes are in UTC, not CET.\n", ONE },
	{ "a port above a quote", "Again today, port 5200!\n\n> 203.0.113.5:5100 " AT "\n", "several-ports;" },
	{ "a source port above a quote", "Now from source port 5200.\n\n> 203.0.113.5:5100 " AT "\n",
	  "several-ports;" },
	{ "the same port above a quote", "Still port 5100!\n\n> 203.0.113.5:5100 " AT "\n", ONE },
	{ "a port of the target above a quote", "Again on our port 5200.\n\n> 203.0.113.5:5100 " AT "\n", ONE },
	{ "a false alarm", AT " 203.0.113.5:5100\n\nSorry, it was a false alarm.\n", "unsure;" },
	{ "ein Fehlalarm, in another clause",
	  "Bitte sehen Sie die Meldung als erledigt an, es war ein Fehlalarm.\n\n" AT " 203.0.113.5:5100\n",
	  "unsure;" },
	{ "a false positive of few words", "False positive, sorry!\n\n" AT " 203.0.113.5:5100\n", "unsure;" },
	{ "one of a condition", "If it was a false positive, tell us.\n\n" AT " 203.0.113.5:5100\n", ONE },
	{ "one of a question", "Was it a false alarm?\n\n" AT " 203.0.113.5:5100\n", ONE },
	{ "no false alarm", "It was not a false alarm.\n\n" AT " 203.0.113.5:5100\n", ONE },
	{ "an own test", "It was our own penetration test.\n\n> " AT " 203.0.113.5:5100\n", "unsure;" },
	{ "own monitoring noticed it", "It was noticed by our own monitoring.\n\n" AT " 203.0.113.5:5100\n", ONE },
	{ "an own server", "It was our own server that was scanned.\n\n" AT " 203.0.113.5:5100\n", ONE },
	{ "a test of reporting", "This is a test of our forms.\n\n" AT " 203.0.113.5:5100\n", "unsure;" },
	{ "an example that was made up",
	  "We see this daily, for example 203.0.113.5:5100 at " AT
	  ".\n\nI made this example up, the real logs follow.\n",
	  "unsure;" },
	{ "one in the sentence of the event", "For example 203.0.113.5:5100 at " AT " (I made this example up).\n",
	  "unsure;" },
	{ "an invented one", "203.0.113.5:5100 " AT "\n\nDas Beispiel ist frei erfunden.\n", "unsure;" },
	{ "one that was not invented", "203.0.113.5:5100 " AT "\n\nThis entry was not invented.\n", ONE },
	{ "what attackers made up", "They made up names of users.\n\n203.0.113.5:5100 " AT "\n", ONE },
	{ "a complaint that is withdrawn", "We withdraw our complaint.\n\n" AT " 203.0.113.5:5100\n", "unsure;" },
	{ "a withdrawal of money", "They tried to withdraw money.\n\n" AT " 203.0.113.5:5100\n", ONE },
	{ "a complaint with a mail's header is taken back",
	  "Received: from mx (mx [192.0.2.7])\nFrom: a@example.net\nSubject: x\n\nPlease disregard this report.\n\n" AT
	  " 203.0.113.5:5100\n",
	  "unsure;" },
	{ "what was meant", AT " 203.0.113.5:5100\n\nOf course I meant port 5200.\n", "unsure;" },
	{ "a clock in French", "L'horloge du serveur retardait de 3 minutes.\n\n" AT " 203.0.113.5:5100\n", "unsure;" },
	{ "a clock in Dutch", "Onze klok loopt achter.\n\n" AT " 203.0.113.5:5100\n", "unsure;" },
	{ "the time of an order", "Keep the log of 203.0.113.5:5100. The order is valid from " AT ".\n", "no-time;" },
	{ "a version", "Source: 203.0.113.5:5100\nTime: " AT "\nFirmware: 203.0.113.9\n", ONE },
	{ "an endpoint of a version", WHAT ", version 203.0.113.9:5200, " AT "\n", ONE },
	{ "a range of addresses", "inetnum: 203.0.113.0 - 203.0.113.255\n\n" AT " 203.0.113.5:5100\n", ONE },
	{ "a sentence is no header of a table", "Our clock is fine.\n\n203.0.113.5:5100 " AT "\n", ONE },
	{ "nor is one without a full stop", "Our clock is fine\n\n203.0.113.5:5100 " AT "\n", ONE },
	{ "our report", "Our report: 203.0.113.5:5100, " AT "\n", ONE },
	{ "columns of one width",
	  "Start (UTC)          Proto  Src             SPort\n2026-02-04 10:00:01  TCP    203.0.113.5     5100\n"
	  "2026-02-04 10:00:02  GRE    203.0.113.6     -\n",
	  ONE "no-port;" },
	{ "columns of one width of which one has blanks",
	  "Start               Proto Src              SPort\n2026-02-04 10:00:01 TCP   203.0.113.5      5100\n\nTimes "
	  "are UTC.\n",
	  ONE },
	{ "headings of days",
	  "== 2026-02-04 ==\n10:00:01 UTC 203.0.113.5:5100\n== 2026-02-05 ==\n10:00:01 UTC 203.0.113.6:5200\n",
	  ONE "203.0.113.6;" },
	{ "the header of a mail behind a line of signs",
	  "See below.\n\n----- Forwarded message -----\nFrom: a@example.net\nDate: Thu, 5 Feb 2026 at 08:01\nTo: "
	  "b@example.net\n"
	  "\nThis came:\n\n> " AT " 203.0.113.5:5100\n",
	  ONE },
	{ "an hour of letters between blanks", WHAT ", le 4 f\303\251vrier 2026 \303\240 10 h 00 min 01 s (UTC)\n",
	  ONE },
	{ "an hour of words", WHAT ", le 4 f\303\251vrier 2026 \303\240 10 heures 00 minutes et 1 seconde (UTC)\n",
	  ONE },
	{ "a port in German", "Am 04.02.2026 um 10:00:01 UTC war die IP-Adresse 203.0.113.5 mit dem Port 5100 aktiv.\n",
	  ONE },
	{ "a port in Polish", "Adres IP 203.0.113.5 i portu 5100, " AT "\n", ONE },
	{ "a port that a line break parts from its word", AT ": 203.0.113.5 port\n5100.\n", ONE },
	{ "one of the source, whatever it is", AT ": 203.0.113.5, source port\n222.\n", "2026-02-04T10:00:01Z 222;" },
	{ "one of a service", AT ": 203.0.113.5 RDP port\n5100.\n", "no-port;" },
	{ "one that no subscriber has", AT ": 203.0.113.5, port\n222.\n", "no-port;" },
	{ "a port and a port", AT ": 203.0.113.5 port 5100 and port 5200\n", "several-ports;" },
	{ "a port of the source and one of a service", AT ": 203.0.113.5 port 5100 and port 443\n", ONE },
	{ "a time in parentheses for each endpoint",
	  "Who had 203.0.113.5:5100 (" AT ") and 203.0.113.6:5200 (2026-02-04 10:02:00 UTC)?\n", ONE "203.0.113.6;" },
	{ "in parentheses the time of the report of one",
	  "From 203.0.113.6:5200 (reported 2026-02-04 09:00:00 UTC) and 203.0.113.5:5100 (" AT ")\n", "no-time;" ONE },
	{ "one time for two endpoints", "Who had 203.0.113.5:5100 and 203.0.113.6:5200 (" AT ")?\n",
	  "several-addresses;" },
	{ "an address with a time above a quote, whatever is said of the time",
	  "Since your answer: 2026-02-05 09:00:00 UTC, 203.0.113.5.\n\n> 203.0.113.5:5100 " AT "\n", "several-times;" },
	{ "a year of a log", "The log is of the year 2026.\n\nFeb  4 10:00:01 UTC x: from " WHAT "\n", ONE },
	{ "a year of a log in German", "Jahr der Logzeilen: 2026\n\nFeb  4 10:00:01 UTC x: from " WHAT "\n", ONE },
	{ "a year of a film", "The film is of the year 2026.\n\nFeb  4 10:00:01 UTC x: from " WHAT "\n", "no-year;" },
	{ "a year in doubt", "The log may be of the year 2026.\n\nFeb  4 10:00:01 UTC x: from " WHAT "\n", "no-year;" },
	{ "a year that is denied", "The log is not of the year 2026.\n\nFeb  4 10:00:01 UTC x: from " WHAT "\n",
	  "no-year;" },
	{ "two years of a log",
	  "The log is of the years 2025 and 2026. Year of the log: 2025. Log of the year 2026.\n\n"
	  "Feb  4 10:00:01 UTC x: from " WHAT "\n",
	  "no-year;" },
	{ "a year that another date contradicts",
	  "Year of the log: 2025. It was sent on 4 February 2026.\n\nFeb  4 10:00:01 UTC x: from " WHAT "\n",
	  "no-year;" },
	{ "a year in which the day had not come when the mail was sent",
	  "From: a@example.net\nSubject: x\nDate: Sun, 1 Feb 2026 08:00:00 +0000\n\nYear of the log: 2026.\n\n"
	  "Feb  4 10:00:01 UTC x: from " WHAT "\n",
	  "no-year;" },
	{ "a day of NX-OS and of OSSEC", "2026 Feb 04 10:00:01 UTC 203.0.113.5:5100\n", ONE },
	{ "a number before a day of syslog is no year", "203.0.113.5:5100 count 2025 Feb  4 10:00:01 UTC\n",
	  "no-year;" },
	{ "a day of Sophos", "2026:02:04-10:00:01 (UTC) srcip=\"203.0.113.5\" srcport=\"5100\"\n", ONE },
	{ "Snort with a year of two digits", "02/04/26-10:00:01.12  [**] x [**] UTC 203.0.113.5:5100 -> 192.0.2.1:22\n",
	  ONE },
	{ "two digits are no year elsewhere", "02/04/26-10:00:01.12 UTC 203.0.113.5:5100 -> 192.0.2.1:22\n",
	  "no-time;" },
	{ "when HAProxy accepted a connection",
	  "Times are UTC.\n\n2026-02-04 10:00:09 x: 203.0.113.5:5100 [04/Feb/2026:10:00:01.655] http-in\n", ONE },
	{ "another time in brackets", AT " x: 203.0.113.5:5100 [2026-02-04 11:00:00 UTC]\n", "several-times;" },
	{ "a line of a log in an object is of its second",
	  "{\"timestamp\":\"2026-02-04T10:00:01Z\",\"srcip\":\"203.0.113.5\",\"srcport\":5100,\"full_log\":\"Feb  4 "
	  "11:00:01 "
	  "x sshd: from 203.0.113.5 port 5100 ssh2\"}\n",
	  ONE },
	{ "one of another second is another event",
	  "{\"timestamp\":\"2026-02-04T10:00:01Z\",\"srcip\":\"203.0.113.5\",\"srcport\":5100,\"full_log\":\"Feb  4 "
	  "11:00:02 "
	  "x sshd: from 203.0.113.5 port 5100 ssh2\"}\n",
	  ONE "no-zone;" },
	{ "a port in the parentheses of another address",
	  "At " AT " our proxy (192.0.2.5, source\nport 5100) connected to 203.0.113.5.\n", "no-port;" },
	{ "a port in parentheses with both addresses",
	  "Attack (src 203.0.113.5, dst 192.0.2.5, source port 5100) at " AT "\n", ONE },
	{ "a port below another source", "Source: 192.0.2.5\nSource port: 5100\nAddress: 203.0.113.5\nTime: " AT "\n",
	  "no-port;" },
	{ "a port of another source in an object",
	  "{\"client_ip\":\"192.0.2.5\",\"client_port\":5100,\"xff\":\"203.0.113.5\",\"time\":\"2026-02-04T10:00:01Z\"}"
	  "\n",
	  "no-port;" },
	{ "an address in the query of a URL", AT " GET /?ip=203.0.113.5:5100 from 192.0.2.5:4444\n", "not-ours;" },
	{ "a format that is asked for", "If you answer, quote logs in this format:\n" AT " 203.0.113.5:5100\n",
	  "unsure;" },
	{ "a format that is asked for in a line", "Please use this format: " AT " 203.0.113.5:5100\n", "unsure;" },
	{ "a format of what is there", "The log has this format: time address.\n\n" AT " 203.0.113.5:5100\n", ONE },
	{ "what is to be ignored, as it was no attack",
	  AT " 203.0.113.5:5100\n\nIt was not an attack, please ignore it.\n", "unsure;" },
	{ "a complaint that is to be ignored, with an address above",
	  "Received: from mx (mx [192.0.2.7])\nFrom: a@example.net\nSubject: x\n\nPlease ignore our "
	  "complaint:\n\n" AT " 203.0.113.5:5100\n",
	  "unsure;" },
	{ "what is not to be ignored", AT " 203.0.113.5:5100\n\nPlease do not ignore it.\n", ONE },
	{ "shortly after a time", WHAT ", shortly after " AT "\n", "unsure;" },
	{ "before a time, in French", WHAT ", peu avant le " AT "\n", "unsure;" },
	{ "by a time", WHAT ", by " AT "\n", "unsure;" },
	{ "what came after it", "After the login: " WHAT ", " AT "\n", ONE },
	{ "a time that is rounded", WHAT ", 2026-02-04 10:00 UTC (rounded to 5 min)\n", "unsure;" },
	{ "a time that is approximate in Russian",
	  WHAT ", "
	       "\320\277\321\200\320\270\320\261\320\273\320\270\320\267\320\270\321\202\320\265\320\273\321\214\320"
	       "\275\320\276 " AT "\n",
	  "unsure;" },
	{ "a clock that drifts", WHAT ", " AT " (server clock, drift about 2 minutes)\n", "unsure;" },
	{ "a time of an import", "Imported at,ip,port\n2026-02-04T10:00:01Z,203.0.113.5,5100\n", "no-time;" },
	{ "a port of another address that it went by", AT " 203.0.113.5 via proxy 192.0.2.77 source port 5100\n",
	  "no-port;" },
	{ "a whole report that is late", AT " 203.0.113.5:5100\n\nAll times in this report are one hour ahead.\n",
	  "unsure;" },
	{ "HTML with another time", BOTH(WHAT " at " AT, "<p>" WHAT " at 2026-02-04 10:00:09 UTC</p>"), "unsure;" },
	{ "HTML with another day, which stands alone",
	  BOTH(WHAT "\nDate: 2026-02-04\nTime: 10:00:01 UTC",
	       "<p>" WHAT "</p><p>Date: 2026-02-05</p><p>Time: 10:00:01 UTC</p>"),
	  "unsure;" },
	{ "HTML with another zone",
	  BOTH("Log in UTC\n" WHAT " 2026-02-04 10:00:01", "<p>Log in CET</p><p>" WHAT " 2026-02-04 10:00:01</p>"),
	  "unsure;" },
	{ "HTML with another address", BOTH(WHAT " " AT, "<p>203.0.113.6, source port 5100 " AT "</p>"), "unsure;" },
	{ "HTML with the same moment", BOTH(WHAT " " AT, "<p>" WHAT " 2026-02-04 11:00:01 +0100</p>"), ONE },
	{ "HTML with more times", BOTH(WHAT " " AT, "<p>" WHAT " " AT "</p><p>(c) 2026-01-01</p>"), ONE },
	{ "a day of RouterOS", "feb/04/2026 10:00:01 UTC 203.0.113.5:5100->192.0.2.1:22\n", ONE },
};

Test(complaint_doubt, is_no_question)
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
