// SPDX-License-Identifier: BSD-2-Clause
/* Parts of mails, their encodings and character sets, what of them is not read, and places in the text. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/timestamp.h"
#include "complaints/complaint.h"

/* "2026-01-31T13:05:00Z 203.0.113.36:5100;" for each question, "no-zone;" for those that are none. */
static int note(void *arg, const struct complaint *c)
{
	char addr[ADDR_TEXT], when[TIME_TEXT];

	if (c->good)
		fprintf(arg, "%s %s:%u;", time_format(c->t, when), addr_format(c->out.addr, addr), c->out.port);
	else
		fprintf(arg, "%s;", complaint_fault_word(c->fault));
	return 0;
}

/* "[attachment 5 a.zip]" */
static void tell(void *arg, const struct complaint_notice *n)
{
	cr_expect(*n->text);
	fprintf(arg, "[%s %llu%s%s]", complaint_notice_word(n->code), (unsigned long long)n->line, *n->name ? " " : "",
		n->name);
}

static int note_places(void *arg, const struct complaint *c)
{
	const struct complaint_place *p[] = { &c->addr, &c->port, &c->time };

	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		fprintf(arg, "%u:%u+%u ", p[i]->line, p[i]->column, p[i]->length);
	return 0;
}

static char *read_all(const void *octets, size_t size, int (*take)(void *, const struct complaint *))
{
	struct zone zone = { 0 };
	char *found = NULL;
	size_t found_size;
	FILE *out = open_memstream(&found, &found_size);
	const struct complaint_reader reader = { .zone = &zone, .take = take, .tell = tell, .arg = out };

	cr_expect_eq(complaint_read(octets, size, &reader), 0);
	fclose(out);
	return found;
}

#define ONE   "2026-01-31T13:05:00Z 203.0.113.36:5100;"
#define EVENT "2026-01-31T13:05:00Z 203.0.113.36:5100\n"
#define HEAD  "From: a@example.net\nTo: b@example.net\nSubject: c\n"
#define MIXED HEAD "Content-Type: multipart/mixed; boundary=\"x\"\n\n"
/* EVENT in base64. */
#define EVENT_64 "MjAyNi0wMS0zMVQxMzowNTowMFogMjAzLjAuMTEzLjM2OjUxMDAK"

static const struct {
	const char *what, *text, *found;
} rows[] = {
	{ "a mailbox begins with a line of its own", "From a@example.net Sat Jan 31 14:00:00 2026\n" HEAD "\n" EVENT,
	  ONE },
	{ "a header may begin with any field",
	  "Delivered-To: b@example.net\nX-Own: 192.0.2.1:80 2026-01-31T13:05:00Z\n" HEAD "\n" EVENT, ONE },
	{ "each mail of a mailbox is read",
	  "From a Sat Jan 31 14:00:00 2026\n" HEAD "\n" EVENT "\nFrom b Sat Jan 31 15:00:00 2026\n" HEAD
	  "Content-Transfer-Encoding: base64\n\n" EVENT_64 "\n",
	  ONE },
	{ "quoted-printable",
	  HEAD "Content-Transfer-Encoding: Quoted-Printable\n\n2026-01-31T13=3A05:00Z 203.0.=  \n113.36:5=\n100\n",
	  ONE },
	{ "base64", HEAD "Content-Transfer-Encoding: BASE64\n\n" EVENT_64 "\n", ONE },
	{ "of base64 that is cut off, the last line is not read",
	  HEAD "Content-Transfer-Encoding: base64\n\n" EVENT_64 "MjAyNi0wMS0zMVQxMzowNTowMFogMjAzLjAuMTEzLjM2OjUx\nMD",
	  "[damaged 1]" ONE },
	{ "a part in parts, with the boundaries of the outer and the inner ones alike at their begin",
	  MIXED "--x\nContent-Type: multipart/related; boundary=xy\n\n--xy\nContent-Type: text/plain\n\n" EVENT
		"--xy\nContent-Type: image/png; name=logo.png\n\nabc\n--xy--\n--x--\n",
	  "[attachment 14 logo.png]" ONE },
	{ "a mail within a mail",
	  MIXED "--x\nContent-Type: message/rfc822\n\n" HEAD "Date: Sun, 1 Feb 2026 00:00:00 +0000\n"
		"Content-Transfer-Encoding: base64\n\n" EVENT_64 "\n--x--\n",
	  ONE },
	{ "a digest is of mails",
	  HEAD "Content-Type: multipart/digest; boundary=x\n\n--x\n\n" HEAD "\n" EVENT "--x--\n", ONE },
	{ "an end that is missing is told", MIXED "--x\nContent-Type: text/plain\n\n" EVENT, "[damaged 7]" ONE },
	{ "parts that are not found are read as one text",
	  HEAD "Content-Type: multipart/mixed; boundary=y\n\n--x\nContent-Type: text/plain\n\n" EVENT "--x--\n",
	  "[damaged 1]" ONE },
	{ "a part without a header whose text has fields",
	  MIXED "--x\nSource: 203.0.113.36\nSource-Port: 5100\nTime: 2026-01-31 13:05:00 UTC\n--x--\n", ONE },
	{ "of two forms of a text, one is read",
	  HEAD
	  "Content-Type: multipart/alternative; boundary=x\n\n--x\nContent-Type: text/html\n\n<p>2026-01-31T13:05:00 "
	  "203.0.113.36:5100</p>\n--x\nContent-Type: text/plain\n\n" EVENT "--x--\n",
	  ONE },
	{ "and it is HTML where plain text says less",
	  HEAD
	  "Content-Type: multipart/alternative; boundary=x\n\n--x\nContent-Type: text/plain\n\nSee the page.\n--x\n"
	  "Content-Type: "
	  "text/html\n\n<table><tr><td>2026-01-31T13:05:00Z</td><td>203.0.113.36:5100</td></tr></table>\n--x--\n",
	  ONE },
	{ "attachments that are no text are told, and signatures are not",
	  MIXED
	  "--x\n\n" EVENT "--x\nContent-Type: application/zip; name=\"a b.zip\"\n\nUEsDBA\n--x\nContent-Type: "
	  "application/pgp-signature\n\nabc\n--x\nContent-Type: application/pdf\nContent-Disposition: attachment;\n "
	  "filename*=utf-8''c.pdf\n\n%PDF\n--x--\n",
	  "[attachment 10 a b.zip][attachment 18 c.pdf]" ONE },
	{ "a file whose type says nothing is read if it is text",
	  MIXED "--x\nContent-Type: application/octet-stream; name=a\nContent-Transfer-Encoding: base64\n\n" EVENT_64
		"\n--x\nContent-Type: text/plain; name=b\nContent-Transfer-Encoding: base64\n\nUEsDBAECAwQ=\n--x--\n",
	  "[binary 12 b]" ONE },
	{ "a character set that is not read is told",
	  MIXED "--x\n\n" EVENT
		"--x\nContent-Type: text/plain; charset=iso-2022-jp\n\n\033$B8=\033(B 192.0.2.1:80\n--x--\n",
	  "[charset 10]" ONE },
	{ "unless it has ASCII alone", HEAD "Content-Type: text/plain; charset=gb2312\n\n" EVENT, ONE },
	{ "or was turned into UTF-8 on the way",
	  HEAD "Content-Type: text/plain; charset=gb2312\n\n\xe4\xb8\xad\n" EVENT, ONE },
	{ "blanks of ISO 8859-1",
	  HEAD "Content-Type: text/plain; charset=ISO-8859-1\n\n2026-01-31T13:05:00Z\xa0"
	       "203.0.113.36:5100\n",
	  ONE },
	{ "Cyrillic words of KOI8-R",
	  HEAD "Content-Type: text/plain; charset=koi8-r\n\n\xe1\xc4\xd2\xc5\xd3: 203.0.113.36\n\xf0\xcf\xd2\xd4 "
	       "\xc9\xd3\xd4\xcf\xde\xce\xc9\xcb\xc1: 5100\n\xf7\xd2\xc5\xcd\xd1: 2026-01-31T13:05:00Z\n",
	  ONE },
	{ "what programs encoded before MIME is told",
	  EVENT "begin 644 a.zip\nM2026-01-31T13:05:00Z 192.0.2.1:80\n`\nend\n", "[encoding 1]" ONE },
	{ "and other encodings are",
	  MIXED "--x\n\n" EVENT "--x\nContent-Transfer-Encoding: x-uuencode\n\nbegin\n--x--\n", "[encoding 10]" ONE },
	{ "what is damaged is told once, though the text is read without and with its quotes", "{\"a\": 1\n> hello\n",
	  "[damaged 1]" },
	{ "lines that flow are joined",
	  HEAD "Content-Type: text/plain; format=flowed\n\n2026-01-31T13:05:00Z \n203.0.113.36:5100\n", ONE },
	{ "dots that must not be clicked, in full width, and with what is invisible within",
	  "2026-01-31T13:05:00Z 203[.]0(.)113[dot]3\xe2\x80\x8b"
	  "6\xef\xbc\x9a"
	  "5100\n",
	  ONE },
	{ "of a report, the mail that it is about is not read",
	  HEAD "Content-Type: multipart/report; boundary=x\n\n--x\n\n" EVENT
	       "--x\nContent-Type: message/rfc822\n\n" HEAD "\n2026-01-31T13:05:00Z 192.0.2.1:80\n--x--\n",
	  "[attachment 10]" ONE },
};

Test(complaint_parts, what_is_text_is_read_and_the_rest_is_told)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *found = read_all(rows[i].text, strlen(rows[i].text), note);

		cr_expect_str_eq(found, rows[i].found, "%s: %s", rows[i].what, found);
		free(found);
	}
}

Test(complaint_parts, what_is_nested_too_deep_is_told)
{
	char text[4096], *at = text, *found;

	for (int i = 0; i < 40; i++)
		at += sprintf(at, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i);
	strcpy(at, EVENT);
	found = read_all(text, strlen(text), note);
	cr_expect(strstr(found, "[nested "), "%s", found);
	free(found);
}

Test(complaint_parts, a_file_that_is_no_text_is_told)
{
	static const char octets[] = "\177ELF\002\001\001\000\000\000203.0.113.36:5100 2026-01-31T13:05:00Z";
	char *found = read_all(octets, sizeof(octets), note);

	cr_expect_str_eq(found, "[binary 1]");
	free(found);
}

Test(complaint_parts, texts_of_thirty_two_bits_are_told)
{
	static const char octets[] = "\xff\xfe\0\0001\0\0\0";
	char *found = read_all(octets, sizeof(octets) - 1, note);

	cr_expect_str_eq(found, "[charset 1]");
	free(found);
}

Test(complaint_parts, texts_of_sixteen_bits_need_no_mark)
{
	static const char text[] = "2026-01-31T13:05:00Z 203.0.113.36:5100\r\n";

	for (size_t big = 0; big < 2; big++) {
		char wide[2 * sizeof(text)] = { 0 }, *found;

		for (size_t i = 0; i < sizeof(text) - 1; i++)
			wide[2 * i + big] = text[i];
		found = read_all(wide, 2 * (sizeof(text) - 1), note);
		cr_expect_str_eq(found, ONE);
		free(found);
	}
}

static const struct {
	const char *what, *text, *places;
} places[] = {
	{ "of a line", "Hello,\n\n2026-01-31T13:05:00Z 203.0.113.36:5100\n", "3:22+12 3:35+4 3:1+20 " },
	{ "in characters", "\xc3\xa4\xe2\x82\xac 2026-01-31T13:05:00Z 203.0.113.36:5100\n", "1:25+12 1:38+4 1:4+20 " },
	{ "of lines with carriage returns", "a\r\nb\r\r2026-01-31T13:05:00Z 203.0.113.36:5100\r\n",
	  "4:22+12 4:35+4 4:1+20 " },
	{ "with what is left out on the way", "2026-01-31T13:05:00Z 203[.]0[.]113[.]36:5100\n",
	  "1:22+18 1:41+4 1:1+20 " },
	{ "of HTML", "<html><p>2026-01-31T13:05:00Z\n<p><b>203.0.113.36</b>:5100\n", "2:7+12 2:24+4 1:10+20 " },
	{ "of quoted-printable",
	  HEAD "Content-Transfer-Encoding: quoted-printable\n\n2026-01-31T13:05:00Z =\n203.0.113.36=3A5100\n",
	  "7:1+12 7:16+4 6:1+20 " },
	{ "of base64: its lines", HEAD "Content-Transfer-Encoding: base64\n\n" EVENT_64 "\n", "6:1+52 6:1+52 6:1+52 " },
	{ "of a part behind another", MIXED "--x\nContent-Type: image/png\n\nabc\n--x\n\n" EVENT "--x--\n",
	  "[attachment 7]12:22+12 12:35+4 12:1+20 " },
	{ "of the lines of a block", "Source: 203.0.113.36\nSource-Port: 5100\nTime: 2026-01-31T13:05:00Z\n",
	  "1:9+12 2:14+4 3:7+20 " },
};

Test(complaint_parts, places_are_those_in_what_was_handed_over)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		char *found = read_all(places[i].text, strlen(places[i].text), note_places);

		cr_expect_str_eq(found, places[i].places, "%s: %s", places[i].what, found);
		free(found);
	}
}

static int note_candidates(void *arg, const struct complaint *c)
{
	char when[TIME_TEXT];

	fprintf(arg, "%s", complaint_fault_word(c->fault));
	for (unsigned i = 0; i < c->n_candidates; i++)
		fprintf(arg, " %u@%s(%u:%u)", c->candidates[i].out.port,
			c->candidates[i].timed ? time_format(c->candidates[i].t, when) : "-",
			c->candidates[i].time.line, c->candidates[i].time.column);
	return 0;
}

Test(complaint_parts, what_is_ambiguous_has_its_candidates)
{
	static const struct {
		const char *text, *candidates;
	} texts[] = {
		{ "Your customer 203.0.113.36:5100 attacked us.\nThe firewall says 2026-01-31T13:05:00Z and the sensor "
		  "says "
		  "2026-01-31T14:05:00Z.\n",
		  "several-times 5100@2026-01-31T13:05:00Z(2:19) 5100@2026-01-31T14:05:00Z(2:60)" },
		{ "203.0.113.36:5100 02/03/2026 10:00:00 UTC\n",
		  "ambiguous-date 5100@2026-03-02T10:00:00Z(1:19) 5100@2026-02-03T10:00:00Z(1:19)" },
		{ "203.0.113.36:5100 2026-03-02 10:00:00\n", "no-zone" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char *found = read_all(texts[i].text, strlen(texts[i].text), note_candidates);

		cr_expect_str_eq(found, texts[i].candidates, "%s", found);
		free(found);
	}
}
