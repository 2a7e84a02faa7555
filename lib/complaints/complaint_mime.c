// SPDX-License-Identifier: BSD-2-Clause
/*
 * Complaints as programs of mail hand them over: mails with their parts, and parts within parts. Each part with text
 * becomes a part of the reading. What is not read is told, with its place and name.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array_grow.h"
#include "base/base.h"
#include "complaints/complaint_header.h"
#include "complaints/complaint_private.h"

#define MAX_DEPTH    16U
#define MAX_CHARSETS 8U
#define AHEAD	     8U
/* Octets at the begin of a part that tell whether it is text. */
#define PROBED 4096

/* Parts that say the same, of which one is read. */
struct alternatives {
	bool html;	    /* the one that is read */
	uint32_t addresses; /* in it */
	size_t begin, end;  /* in the decoded text */
};

struct mime {
	struct reading *x;
	struct octets out;
	struct charset sets[MAX_CHARSETS];
	unsigned n_sets;
	struct alternatives *alternatives; /* NULL: the part is none */
	bool report;			   /* of several parts: the mail within is what it is about, and no complaint */
	bool addressed;			   /* an address was read */
	uint32_t at;			   /* where the part begins in what was handed over */
	unsigned depth;
};

static void take_entity(struct mime *m, const struct span *s, const char *default_type);

static void add_part(struct mime *m, bool header)
{
	struct reading *x = m->x;

	if (array_grow(&x->parts, x->n_parts, &x->room_parts, sizeof(*x->parts)))
		x->error = -ENOMEM;
	else
		x->parts[x->n_parts++] = (struct part){ (uint32_t)m->out.size, header };
}

static const char *line_end(const char *at, const char *end)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));

	return newline ? newline : end;
}

/* A character set that was found before, or a new one; NULL: there are too many. */
static const struct charset *charset(struct mime *m, const char *name)
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

static bool is_type(const struct content *c, const char *begin)
{
	return !strncmp(c->type, begin, strlen(begin));
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
		if (html ? n <= a->addresses : n < a->addresses) {
			m->out.size = begin;
			m->x->n_parts--;
			return;
		}
		memset(m->out.text + a->begin, ' ', a->end - a->begin);
	}
	*a = (struct alternatives){ html, n, begin, m->out.size };
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
		octets_flowed(&own, &flowed);
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
		octet_put(&m->out, '\n', m->out.from[m->out.size - 1]);
	if (m->out.size == begin)
		return;
	n = count_addresses(m->out.text + begin, m->out.text + m->out.size);
	m->addressed |= n > 0;
	if (m->alternatives && (html || plain) && !c->attachment && !*c->name)
		choose(m, begin, html, n);
}

static void __attribute__((format(printf, 4, 5)))
not_read(struct mime *m, const struct content *c, enum complaint_notice_code code, const char *format, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	complaint_tell_part(m->x, m->at, c->name, code, "%s", text);
}

/* A part without parts: its text, its mail, or the line that says what it was. */
static void take_leaf(struct mime *m, const struct content *c, const struct span *body, bool encoded)
{
	const struct charset *set = charset(m, c->charset);

	if (body->text >= body->end)
		return;
	if (is_type(c, "application/pgp-signature") || ends(c->type, "pkcs7-signature"))
		return; /* A signature says nothing. */
	if (!readable(c, body)) {
		not_read(m, c, NOTICE_ATTACHMENT, "%s was not read: it is no text", *c->type ? c->type : "a part");
		return;
	}
	if (is_binary(body)) {
		not_read(m, c, NOTICE_BINARY, "%s was not read: its octets are no text", *c->type ? c->type : "it");
		return;
	}
	if (charset_wide(body) && encoded)
		set = charset(m, "utf-16");
	else if (!set || set->kind != CHARSET_UTF8)
		set = (!encoded && is_utf8(body)) || is_ascii(body, c->charset) ? charset(m, "") : set;
	if (!set || set->kind == CHARSET_UNKNOWN) {
		not_read(m, c, NOTICE_CHARSET, "the text in the character set %s was not read; save it in UTF-8",
			 c->charset);
		return;
	}
	add_part(m, false);
	take_text(m, c, body, set);
}

/* The next line with a boundary. Returns its begin, or the end of the text; *ret_after: behind it; *ret_last: it ends
 * all. */
static const char *find_boundary(const char *at, const struct span *s, const char *boundary, const char **ret_after,
				 bool *ret_last)
{
	char line[BOUNDARY_TEXT + 3];
	size_t n = (size_t)snprintf(line, sizeof(line), "\n--%s", boundary) - 1;
	/* The first has no line before it, and begins at once. */
	bool first = (size_t)(s->end - at) >= n && !memcmp(at, line + 1, n);

	for (at -= first; at < s->end && (first || (at = memmem(at, (size_t)(s->end - at), line, n + 1)));
	     at++, first = false) {
		const char *p = at + 1 + n;

		*ret_last = s->end - p >= 2 && !memcmp(p, "--", 2);
		p += *ret_last ? 2 : 0;
		while (p < s->end && (*p == ' ' || *p == '\t'))
			p++;
		if (p < s->end && *p != '\n')
			continue;
		*ret_after = p + (p < s->end);
		return at + 1;
	}
	*ret_after = s->end;
	return s->end;
}

/* The parts between boundaries. What stands before and behind them is read, too: it may be the text of a broken mail.
 */
static void take_parts(struct mime *m, const struct content *c, const struct span *body)
{
	static const struct content text = { .type = "text/plain", .attachment = true }, unknown = { 0 };
	bool last = false;
	const char *at = body->text, *after, *end = find_boundary(at, body, c->boundary, &after, &last);
	struct span part = span_of(body, at, end);

	if (end == body->end)
		not_read(m, &unknown, NOTICE_DAMAGED, "its parts were not found: it was read as one text");
	take_leaf(m, end == body->end ? &unknown : &text, &part, false);
	while (after < body->end && !last) {
		at = after;
		end = find_boundary(at, body, c->boundary, &after, &last);
		part = span_of(body, at, end > at ? end - (end < body->end) : at);
		m->at = part.text < part.end ? span_from(&part, part.text) : m->at;
		if (end == body->end && !last)
			not_read(m, &unknown, NOTICE_DAMAGED,
				 "the mail has no end: what it may have had behind its last line was not read");
		take_entity(m, &part, is_type(c, "multipart/digest") ? "message/rfc822" : "");
		if (m->x->error || m->out.failed)
			return;
	}
	part = span_of(body, after, body->end);
	take_leaf(m, &text, &part, false);
}

static void take_multipart(struct mime *m, const struct content *c, const struct span *body)
{
	struct alternatives own = { 0 }, *outer = m->alternatives;
	bool report = m->report;

	if (is_type(c, "multipart/alternative"))
		m->alternatives = &own;
	m->report = is_type(c, "multipart/report");
	take_parts(m, c, body);
	m->report = report;
	m->alternatives = outer;
}

static bool is_mail(const struct content *c)
{
	return is_type(c, "message/rfc822") || is_type(c, "message/global") || is_type(c, "message/news");
}

/* A mail within a mail, or the whole: its header becomes a part, with its text if it has no parts. */
static void take_mail(struct mime *m, const struct span *s)
{
	struct content c = { 0 };
	const char *body = header_begins(s->text, s->end) ? header_read(s->text, s->end, &c) : s->text;
	struct span header = span_of(s, s->text, body);
	struct alternatives *outer = m->alternatives;
	size_t first = m->x->n_parts;

	m->alternatives = NULL;
	add_part(m, true);
	octets_text(&header, charset(m, ""), &m->out);
	take_entity(m, s, NULL);
	/* A text without parts is of one part with its header. */
	if (!*c.boundary && m->x->n_parts == first + 2)
		m->x->n_parts--;
	m->alternatives = outer;
}

/* The body of a header, without the encoding for its transfer. */
static void take_body(struct mime *m, const struct content *c, const struct span *body)
{
	_cleanup_octets_ struct octets decoded = { 0 };
	bool base64 = !strcmp(c->encoding, "base64"), is_quoted = !strcmp(c->encoding, "quoted-printable");
	struct span own = *body;

	if (base64 && !octets_base64(body, &decoded))
		not_read(m, c, NOTICE_DAMAGED, "the last line was not read: its base64 is cut off");
	if (is_quoted)
		octets_quoted(body, &decoded);
	if (base64 || is_quoted)
		own = octets_span(&decoded);
	m->out.failed |= decoded.failed;
	if (is_mail(c))
		take_mail(m, &own);
	else if (*c->boundary && is_type(c, "multipart/"))
		take_multipart(m, c, &own);
	else
		take_leaf(m, c, &own, base64 || is_quoted);
}

/* Whether the mail that a report is about needs no look: the report has the addresses itself. */
static bool reported(const struct mime *m, const struct content *c)
{
	return m->report && m->addressed && (is_mail(c) || is_type(c, "text/rfc822-headers"));
}

/* A header and its body. default_type: of a body whose header names none; NULL: of a whole mail. */
static void take_entity(struct mime *m, const struct span *s, const char *default_type)
{
	struct content c = { 0 };
	const char *at = s->text;
	struct span body;

	if (at >= s->end)
		return;
	m->at = span_from(s, at);
	if (*at == '\n' || header_begins(at, s->end))
		at = header_read(at, s->end, &c);
	/* A part that begins with fields of its own has no header. */
	if (default_type && !c.any && *s->text != '\n') {
		at = s->text;
		c = (struct content){ 0 };
	}
	if (default_type && !*c.type)
		snprintf(c.type, sizeof(c.type), "%s", *default_type ? default_type : "text/plain");
	body = span_of(s, at, s->end);
	if (m->depth == MAX_DEPTH) {
		not_read(m, &c, NOTICE_NESTED, "it was not read: it is within more than %u others", MAX_DEPTH);
	} else if (reported(m, &c)) {
		not_read(m, &c, NOTICE_ATTACHMENT, "the mail that is reported was not read: the report tells of it");
	} else {
		m->depth++;
		take_body(m, &c, &body);
		m->depth--;
	}
}

/* The boundary of parts whose mail's header was not copied: a line with two hyphens, and a field of a part's header. */
static bool guess_boundary(const struct span *s, char ret[static BOUNDARY_TEXT])
{
	for (const char *at = s->text; at < s->end && (at = memmem(at, (size_t)(s->end - at), "--", 2)); at++) {
		const char *stop = at + BOUNDARY_TEXT < s->end ? at + BOUNDARY_TEXT : s->end, *end = line_end(at, stop);

		if ((at > s->text && at[-1] != '\n') || end == stop || end - at < 3 || s->end - end < 10 ||
		    strncasecmp(end + 1, "Content-", 8) != 0)
			continue;
		snprintf(ret, BOUNDARY_TEXT, "%.*s", (int)(end - at - 2), at + 2);
		return true;
	}
	return false;
}

/* Where the next mail of a mailbox begins. */
static const char *next_mail(const char *at, const char *end)
{
	for (; at < end && (at = memmem(at, (size_t)(end - at), "\n\nFrom ", 7)); at++)
		if (line_end(at + 2, end) < end && header_begins(at + 2, end))
			return at + 2;
	return end;
}

static void take_whole(struct mime *m, const struct span *s)
{
	struct content c = { .type = "multipart/alternative" };
	const char *at = s->text, *next;

	if (!header_begins(at, s->end)) {
		if (guess_boundary(s, c.boundary))
			take_multipart(m, &c, s);
		else
			take_entity(m, s, NULL);
		return;
	}
	for (bool mailbox = s->end - at > 5 && !memcmp(at, "From ", 5); at < s->end; at = next) {
		struct span mail;

		next = mailbox ? next_mail(at, s->end) : s->end;
		mail = span_of(s, at, next);
		take_mail(m, &mail);
	}
}

/* What was handed over, with line feeds, and in UTF-8 if it was of 16 bits. 0 or -ENOMEM. */
static int take_over(struct reading *x, const char *text, size_t size)
{
	struct span s = { text, text + size, NULL, 0 };
	size_t n = 0;

	if (charset_wide(&s)) {
		octets_text(&s, &(struct charset){ .kind = CHARSET_UTF16 }, &x->whole);
	} else {
		x->whole.text = malloc(size + 1);
		for (size_t i = size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0; i < size && x->whole.text; i++)
			if (text[i] != '\r' || i + 1 == size || text[i + 1] != '\n')
				x->whole.text[n++] = (char)(text[i] == '\r' ? '\n' : text[i]);
		x->whole.size = n;
	}
	if (!x->whole.text)
		octets_grow(&x->whole);
	if (!x->whole.text || x->whole.failed)
		return -ENOMEM;
	x->whole.text[x->whole.size] = '\0';
	free(x->whole.from);
	x->whole.from = NULL;
	return complaint_survey(x);
}

int complaint_decode(struct reading *x, const char *text, size_t size)
{
	struct mime m = { .x = x };
	struct span s;
	int r = take_over(x, text, size);

	if (r)
		return r;
	s = (struct span){ x->whole.text, x->whole.text + x->whole.size, NULL, 0 };
	charset(&m, "");
	charset(&m, "utf-16");
	take_whole(&m, &s);
	/* Room for those who look some octets ahead. */
	x->size = m.out.size;
	for (unsigned i = 0; i < AHEAD; i++)
		octet_put(&m.out, '\0', 0);
	x->text = m.out.text;
	x->from = m.out.from;
	return x->error || m.out.failed ? -ENOMEM : 0;
}
