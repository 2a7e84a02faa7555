// SPDX-License-Identifier: BSD-2-Clause
/* The text of evidence as a page to be read and printed. */
#include <stdbool.h>
#include <string.h>

#include "evidence_files.h"

/* Nothing follows the text in the body, and nothing the end: the text of the body is README.txt, octet by octet. */
static const char head[] =
	"<!DOCTYPE html>\n"
	"<html lang=\"en\" dir=\"ltr\">\n"
	"<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
	"<meta name=\"viewport\" content=\"width=device-width\">\n";
static const char style[] =
	"<style>\n"
	"@page { size: A4; margin: 18mm 16mm }\n"
	"body { margin: 1em; color: #000; background: #fff }\n"
	"pre { margin: 0; max-width: 118ch; font: 9pt/1.45 monospace; white-space: pre-wrap; overflow-wrap: anywhere "
	"}\n"
	"bdi { font-weight: bold; background: #eee; -webkit-print-color-adjust: exact; print-color-adjust: exact }\n"
	"@media print { body { margin: 0 } pre { max-width: none } }\n"
	"</style>\n"
	"</head>\n"
	"<body><pre>";
static const char end[] = "</pre></body></html>";

static void put(FILE *out, char c)
{
	switch (c) {
	case '&':
		fputs("&amp;", out);
		break;
	case '<':
		fputs("&lt;", out);
		break;
	case '>':
		fputs("&gt;", out);
		break;
	case '"':
		fputs("&quot;", out);
		break;
	case '\'':
		fputs("&#39;", out);
		break;
	default:
		fputc(c, out);
	}
}

/* Words of strangers are between quotes, with quotes and backslashes in them escaped, and end before their line does.
 */
static void put_text(FILE *out, const char *text)
{
	bool quoted = false;

	for (; *text; text++) {
		bool edge = *text == '"' || (quoted && *text == '\n');

		if (edge && quoted)
			fputs("</bdi>", out);
		put(out, *text);
		if (quoted && *text == '\\' && text[1] && text[1] != '\n')
			put(out, *++text);
		else if (edge)
			fputs((quoted = !quoted) ? "<bdi>" : "", out);
	}
	fputs(quoted ? "</bdi>" : "", out);
}

void evidence_html(FILE *out, const char *title, const char *text)
{
	fputs(head, out);
	fputs("<title>", out);
	for (; *title; title++)
		put(out, *title);
	fputs("</title>\n", out);
	fputs(style, out);
	put_text(out, text);
	fputs(end, out);
}
