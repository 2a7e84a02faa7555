// SPDX-License-Identifier: BSD-2-Clause
#include "complaints/complaint_fields.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "complaints/complaint_line.h"
#include "complaints/complaint_words.h"

/* More lines are no header of a mail that somebody quotes. */
#define HEADER_LINES 40U

/* Names of fields of a mail's header, as programs show them in a mail that is quoted; folded. */
static bool header_name(const char *at, const char *end)
{
	static const char *const names[] = { "from",	"to",	   "subject",  "date",	  "sent",      "cc",
					     "reply",	"message", "received", "return",  "delivered", "von",
					     "an",	"betreff", "gesendet", "datum",	  "absender",  "de",
					     "para",	"asunto",  "assunto",  "objet",	  "fecha",     "data",
					     "enviado", "envoye",  "oggetto",  "inviato", "от",	       "кому",
					     "тема",	"дата",	   "od",       "do",	  "temat",     "recebido" };
	char folded[WORD_TEXT];

	word_fold(at, end, folded);
	if (!strcmp(folded, "a") && (end - at) < 3)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (*names[i] == *folded && !strcmp(names[i], folded))
			return true;
	return false;
}

static bool is_field(const char *at, const char *end)
{
	const char *p = at;

	while (p < end && (isalnum((unsigned char)*p) || *p == '-' || *p == '_'))
		p++;
	return p > at && p < end && *p == ':';
}

const char *fields_of_mail(const char *at, const char *end)
{
	static const char *const marks[] = { "from:",	     "to:",	      "subject:",    "received:",
					     "return-path:", "delivered-to:", "message-id:", "dkim-signature:" };
	const char *p = at;
	unsigned fields = 0, known = 0;

	if (end - p > 5 && !memcmp(p, "From ", 5))
		p = line_next(p, end);
	for (const char *stop; p < end && (stop = line_end(p, end)) > p; p = stop + (stop < end)) {
		if (fields && (*p == ' ' || *p == '\t'))
			continue;
		if (!is_field(p, stop))
			break;
		fields++;
		for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
			known += *marks[i] == (*p | 32) && !strncasecmp(p, marks[i], strlen(marks[i]));
	}
	return known && (known > 1 || fields > 1) && (p >= end || *p == '\n') ? p : NULL;
}

const char *fields_quoted(const char *at, const char *end)
{
	const char *p = at, *value;
	unsigned known = 0, fields = 0;

	for (; p < end && !line_is_rule(p, line_end(p, end)); p = line_next(p, end)) {
		const char *key = line_inner(p, line_end(p, end)), *stop = line_key_end(key, line_end(p, end), &value);
		bool folded = *p == ' ' || *p == '\t';

		if (!stop && !folded)
			break;
		if (stop && (value[-1] == ':' || value[-1] == ' ') && memchr(key, ':', (size_t)(value - key)) &&
		    header_name(key, stop))
			known++;
		/* A mail's own fields are few, and those that all have come first. */
		if (++fields > HEADER_LINES || (fields > 4 && !known))
			return at;
	}
	return known >= 2 && known * 2 > fields ? p : at;
}
