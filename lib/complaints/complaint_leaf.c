// SPDX-License-Identifier: BSD-2-Clause
/* Parts of mails without parts: which of them are text, in which character set, and which of two that say the same. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "base/array_grow.h"
#include "base/base.h"
#include "complaints/complaint_mime.h"

/* Octets at the begin of a part that tell whether it is text. */
#define PROBED 4096

void mime_add_part(struct mime *m, bool header)
{
	struct reading *x = m->x;

	if (array_grow(&x->parts, x->n_parts, &x->room_parts, sizeof(*x->parts)))
		x->error = -ENOMEM;
	else
		x->parts[x->n_parts++] = (struct part){ (uint32_t)m->out.size, header };
}

/* A character set that was found before, or a new one; NULL: there are too many. */
const struct charset *mime_charset(struct mime *m, const char *name)
{
	for (unsigned i = 0; i < m->n_sets; i++)
		if (!strcasecmp(m->sets[i].name, name))
			return &m->sets[i];
	if (m->n_sets == MAX_CHARSETS)
		return NULL;
	charset_find(name, &m->sets[m->n_sets]);
	return &m->sets[m->n_sets++];
}

/* Whether a text is UTF-8 with signs beyond ASCII, as an editor or a browser leaves a mail of any character set. */
static bool is_utf8(const struct span *s)
{
	size_t n = 0;

	for (const char *at = s->text; at < s->end;) {
		uint8_t c = (uint8_t)*at++;
		unsigned more = c < 0x80		? 0
				: c >= 0xc2 && c < 0xe0 ? 1
				: c >= 0xe0 && c < 0xf0 ? 2
				: c >= 0xf0 && c < 0xf5 ? 3
							: 9;

		if (more == 9 || s->end - at < (ptrdiff_t)more)
			return false;
		for (; more; more--, n++)
			if (((uint8_t)*at++ & 0xc0) != 0x80)
				return false;
	}
	return n > 0;
}

/* Whether it is ASCII in a character set that agrees with it, as are all but those that escape. */
static bool is_ascii(const struct span *s, const char *name)
{
	if (!strncasecmp(name, "utf-7", 5) || !strncasecmp(name, "utf-32", 6))
		return false;
	for (const char *at = s->text; at < s->end; at++)
		if ((uint8_t)*at >= 0x80 || *at == '\033' || *at == '\016' ||
		    (*at == '~' && at + 1 < s->end && at[1] == '{'))
			return false;
	return true;
}

/* Whether octets are those of a file that is no text. */
static bool is_binary(const struct span *s)
{
	static const char *const begins[] = { "PK\003\004", "%PDF-", "\211PNG", "\377\330\377", "GIF8",
					      "\037\213",   "Rar!",  "7z\274",	"\177ELF",	"\320\317\021\340" };
	size_t size = (size_t)(s->end - s->text), controls = 0;

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		if (size >= strlen(begins[i]) && !memcmp(s->text, begins[i], strlen(begins[i])))
			return true;
	if (charset_wide(s))
		return false;
	size = size < PROBED ? size : PROBED;
	for (size_t i = 0; i < size; i++)
		controls += (uint8_t)s->text[i] < ' ' && !strchr("\t\n\r\f\v\033", s->text[i]);
	return controls > size / 10;
}

static bool ends(const char *text, const char *end)
{
	size_t n = strlen(text), size = strlen(end);

	return n >= size && !strcasecmp(text + n - size, end);
}

/* Whether a type is that of text; of what programs give to any file, its octets tell. */
static bool readable(const struct content *c, const struct span *body)
{
	static const char *const no_text[] = { "text/rtf",     "text/richtext", "text/calendar",  "text/vcard",
					       "text/x-vcard", "text/css",	"text/javascript" };
	static const char *const no_files[] = { "image/",
						"audio/",
						"video/",
						"font/",
						"model/",
						"application/pdf",
						"application/zip",
						"application/ms",
						"application/vnd.",
						"application/rtf",
						"application/pgp-enc",
						"application/pkcs7",
						"application/x-pkcs7",
						"application/x-zip",
						"application/javascript" };

	for (size_t i = 0; i < ARRAY_SIZE(no_text); i++)
		if (is_type(c, no_text[i]))
			return false;
	if (!*c->type || is_type(c, "text/") || is_type(c, "message/") || is_type(c, "multipart/") ||
	    ends(c->type, "json") || ends(c->type, "xml") || ends(c->type, "csv") || ends(c->name, ".csv") ||
	    ends(c->name, ".txt") || ends(c->name, ".log"))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(no_files); i++)
		if (is_type(c, no_files[i]))
			return false;
	return !is_binary(body);
}

/* Numbers with dots between, four at a time. */
static uint32_t count_addresses(const char *at, const char *end)
{
	unsigned dots = 0, digits = 0;
	uint32_t n = 0;

	for (; at < end; at++) {
		if (isdigit((unsigned char)*at)) {
			n += !digits && dots == 3;
			digits++;
		} else if (*at == '.' && digits) {
			dots++;
			digits = 0;
		} else {
			dots = digits = 0;
		}
	}
	return n;
}

/* Keeps the text of a part, or the one that says the same and came before: who has more addresses; of two, plain text.
 */
static void choose(struct mime *m, size_t begin, bool html, uint32_t n)
{
	struct alternatives *a = m->alternatives;

	if (a->end && a->html != html) {
		const char *text = m->out.text, *one = text + a->begin, *two = text + begin;
		bool same = n && n == a->addresses;

		if (same && html)
			rival_note(m->x, text, a->begin, a->end, two, text + m->out.size);
		else if (same)
			rival_note(m->x, text, begin, m->out.size, one, text + a->end);
		if (html ? n <= a->addresses : n < a->addresses) {
			octets_cut(&m->out, begin);
			m->x->n_parts--;
			return;
		}
		memset(m->out.text + a->begin, ' ', a->end - a->begin);
	}
	*a = (struct alternatives){ html, n, begin, m->out.size };
}

/* The begin of a line behind a place, or the end. */
static const char *line_behind(const char *at, const char *end)
{
	const char *newline = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;

	return newline ? newline + 1 : end;
}

/* Files within a text, as programs wrote them before MIME: "begin 644 NAME", lines, "end". They become blank. */
static void drop_uuencoded(struct mime *m, const struct content *c, size_t begin)
{
	char *at = m->out.text + begin, *end = m->out.text + m->out.size;

	for (char *next; at < end; at = next) {
		char *stop;

		next = (char *)line_behind(at, end);
		if (next - at < 12 || memcmp(at, "begin ", 6) != 0 || strspn(at + 6, "01234567") != 3 || at[9] != ' ' ||
		    next == end || *next < ' ' || *next > 'M')
			continue;
		mime_not_read(m, c, NOTICE_ENCODING, "%.*s was not read: it is encoded by uuencode",
			      (int)(next - at - 11 < 80 ? next - at - 11 : 80), at + 10);
		for (stop = next; stop < end && (end - stop < 4 || memcmp(stop, "end\n", 4) != 0);)
			stop = (char *)line_behind(stop, end);
		for (; at < stop; at++)
			*at = (char)(*at == '\n' ? '\n' : ' ');
		next = stop;
	}
}

/* A text that is decoded but for its character set. */
static void take_text(struct mime *m, const struct content *c, const struct span *s, const struct charset *set)
{
	_cleanup_octets_ struct octets flowed = { 0 }, text = { 0 };
	bool plain = is_type(c, "text/plain"), html = is_type(c, "text/html") || is_type(c, "text/x-amp-html");
	size_t begin = m->out.size;
	struct span own = *s;
	uint32_t n;

	if (c->flowed && plain) {
		octets_flowed(&own, c->unspaced, &flowed);
		own = octets_span(&flowed);
		m->out.failed |= flowed.failed;
	}
	/* A program that does not say what it has may have HTML. */
	html |= !plain && octets_tagged(&own) && !memmem(own.text, (size_t)(own.end - own.text), "Infringement", 12) &&
		!memmem(own.text, (size_t)(own.end - own.text), "<Event", 6) && !ends(c->type, "xml");
	if (html) {
		octets_text(&own, set, &text);
		m->out.failed |= text.failed;
		own = octets_span(&text);
		octets_untag(&own, &m->out);
	} else {
		octets_text(&own, set, &m->out);
	}
	if (m->out.size > begin && m->out.text[m->out.size - 1] != '\n')
		octet_put(&m->out, '\n', origin_of(&m->out.from, (uint32_t)m->out.size - 1));
	if (m->out.size == begin)
		return;
	drop_uuencoded(m, c, begin);
	n = count_addresses(m->out.text + begin, m->out.text + m->out.size);
	m->addressed |= n > 0;
	if (m->alternatives && (html || plain) && !c->attachment && !*c->name)
		choose(m, begin, html, n);
}

void mime_not_read(struct mime *m, const struct content *c, enum complaint_notice_code code, const char *format, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	complaint_tell_part(m->x, m->at, c->name, code, "%s", text);
}

/* A part without parts: its text, its mail, or the line that says what it was. */
void mime_take_leaf(struct mime *m, const struct content *c, const struct span *body, bool encoded)
{
	const struct charset *set = mime_charset(m, c->charset);

	if (body->text >= body->end)
		return;
	if (is_type(c, "application/pgp-signature") || ends(c->type, "pkcs7-signature"))
		return; /* A signature says nothing. */
	if (!readable(c, body)) {
		mime_not_read(m, c, NOTICE_ATTACHMENT, "%s was not read: it is no text", *c->type ? c->type : "a part");
		return;
	}
	if (is_binary(body)) {
		mime_not_read(m, c, NOTICE_BINARY, "%s was not read: its octets are no text",
			      *c->type ? c->type : "it");
		return;
	}
	if (charset_wide(body) && encoded)
		set = mime_charset(m, "utf-16");
	else if (!set || set->kind != CHARSET_UTF8)
		set = (!encoded && is_utf8(body)) || is_ascii(body, c->charset) ? mime_charset(m, "") : set;
	if (!set || set->kind == CHARSET_UNKNOWN) {
		mime_not_read(m, c, NOTICE_CHARSET, "the text in the character set %s was not read; save it in UTF-8",
			      c->charset);
		return;
	}
	mime_add_part(m, false);
	take_text(m, c, body, set);
}
