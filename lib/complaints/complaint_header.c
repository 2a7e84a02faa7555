// SPDX-License-Identifier: BSD-2-Clause
#include "complaints/complaint_header.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "complaints/complaint_line.h"
#include "complaints/complaint_words.h"

/* A field that is longer is cut. */
#define FIELD_TEXT 2048U
/* More that say something of a part contradict each other, and are not read. */
#define MOST_FIELDS 16U

bool header_begins(const char *at, const char *end)
{
	const char *p;

	if (end - at > 5 && !memcmp(at, "From ", 5))
		at = line_next(at, end);
	if (at >= end || !isalpha((unsigned char)*at))
		return false;
	for (p = at; p < end && (isalnum((unsigned char)*p) || *p == '-' || *p == '_');)
		p++;
	return p > at && p < end && *p == ':';
}

/* Copies a field, unfolded. Returns where the next one begins. */
static const char *unfold(const char *at, const char *end, char ret[static FIELD_TEXT])
{
	size_t n = 0;

	do {
		const char *stop = line_end(at, end);
		size_t size = (size_t)(stop - at), room = FIELD_TEXT - 1 - n;

		memcpy(ret + n, at, size < room ? size : room);
		n += size < room ? size : room;
		at = stop + (stop < end);
	} while (at < end && octet_is_of(*at, " \t"));
	for (char *p = ret; (p = memchr(p, '\0', (size_t)(ret + n - p)));)
		*p = ' ';
	ret[n] = '\0';
	return at;
}

static const char *value_of(const char *field, const char *name)
{
	size_t n = strlen(name);

	return strncasecmp(field, name, n) != 0 ? NULL : field + n + strspn(field + n, " \t");
}

/* Copies a value, between quotes or up to a blank or a semicolon. Returns its end. */
static const char *copy_value(const char *at, char *ret, size_t size)
{
	bool is_quoted = *at == '"';
	size_t n = 0;

	for (at += is_quoted; *at && (is_quoted ? *at != '"' : !strchr("; \t", *at)); at++) {
		if (is_quoted && *at == '\\' && at[1])
			at++;
		if (n + 1 < size)
			ret[n++] = *at;
	}
	ret[n] = '\0';
	return at + (is_quoted && *at);
}

/* "utf-8''a%20file": the octets of an extended value stay as they are, behind its character set. */
static void drop_charset(char *text)
{
	char *first = strchr(text, '\''), *second = first ? strchr(first + 1, '\'') : NULL;

	if (second)
		memmove(text, second + 1, strlen(second + 1) + 1);
}

/* A parameter of a field; its first piece, if it is in several. Leaves what is there if there is none. */
static void parameter(const char *field, const char *name, char *ret, size_t size)
{
	size_t n = strlen(name);
	const char *at = field + strcspn(field, ";");

	while (*at == ';') {
		char value[FIELD_TEXT];
		const char *own, *star;

		at += 1 + strspn(at + 1, " \t");
		own = at;
		at += strcspn(at, "=;");
		if (*at != '=')
			continue;
		star = memchr(own, '*', (size_t)(at - own));
		at = copy_value(at + 1 + strspn(at + 1, " \t"), value, sizeof(value));
		at += strcspn(at, ";");
		if (strncasecmp(own, name, n) != 0 || !strchr("*= \t", own[n]) ||
		    (star && isdigit((unsigned char)star[1]) && star[1] != '0'))
			continue;
		if (star)
			drop_charset(value);
		snprintf(ret, size, "%.*s", (int)size - 1, value);
		return;
	}
}

static void lower(char *text)
{
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

/* Whether a field is one of mails, and not of a text that begins with fields of its own. */
static bool is_mail_field(const char *field)
{
	static const char *const names[] = { "From:",	      "To:",	      "Subject:",      "Date:",
					     "Received:",     "Return-Path:", "Delivered-To:", "Message-ID:",
					     "MIME-Version:", "Reply-To:",    "Sender:",       "X-",
					     "DKIM-",	      "ARC-",	      "Envelope-To:" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if ((*names[i] | 32) == (*field | 32) && !strncasecmp(field, names[i], strlen(names[i])))
			return true;
	return false;
}

static void take_field(struct content *c, const char *field)
{
	const char *value;
	char word[16] = "";

	bool content = (*field | 32) == 'c' && !strncasecmp(field, "Content-", 8);

	c->fields += content;
	c->any = c->fields > 0;
	c->mail = c->mail || c->any || is_mail_field(field);
	if (!content || c->fields > MOST_FIELDS)
		return;
	if ((value = value_of(field, "Content-Transfer-Encoding:"))) {
		copy_value(value, c->encoding, sizeof(c->encoding));
		lower(c->encoding);
	} else if ((value = value_of(field, "Content-Disposition:"))) {
		c->attachment = !strncasecmp(value, "attachment", 10);
		parameter(value, "filename", c->name, sizeof(c->name));
	} else if ((value = value_of(field, "Content-Type:"))) {
		copy_value(value, c->type, sizeof(c->type));
		lower(c->type);
		parameter(value, "charset", c->charset, sizeof(c->charset));
		parameter(value, "boundary", c->boundary, sizeof(c->boundary));
		if (!*c->name)
			parameter(value, "name", c->name, sizeof(c->name));
		parameter(value, "format", word, sizeof(word));
		c->flowed = !strcasecmp(word, "flowed");
		parameter(value, "delsp", word, sizeof(word));
		c->unspaced = !strcasecmp(word, "yes");
	}
}

const char *header_read(const char *at, const char *end, struct content *ret)
{
	char field[FIELD_TEXT];

	*ret = (struct content){ 0 };
	while (at < end && *at != '\n') {
		at = unfold(at, end, field);
		take_field(ret, field);
	}
	return at + (at < end);
}
