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
#include "complaints/complaint_line.h"
#include "complaints/complaint_mime.h"

#define MAX_DEPTH 16U
/* Octets that may be looked at behind the end. */
#define AHEAD 8U

/* memmem(), of which the sanitizers look at the whole text each time that a loop calls it. */
static const char *find(const char *at, const char *end, const char *what, size_t n)
{
	for (; (size_t)(end - at) >= n && (at = memchr(at, *what, (size_t)(end - at) - n + 1)); at++)
		if (!memcmp(at, what, n))
			return at;
	return NULL;
}

static void take_entity(struct mime *m, const struct span *s, const char *default_type);

/* The next line with a boundary. Returns its begin, or the end of the text; *ret_after: behind it; *ret_last: it ends
 * all. */
static const char *find_boundary(const char *at, const struct span *s, const char *boundary, const char **ret_after,
				 bool *ret_last)
{
	char line[BOUNDARY_TEXT + 3];
	size_t n = (size_t)snprintf(line, sizeof(line), "\n--%s", boundary) - 1;
	/* The first has no line before it, and begins at once. */
	bool first = (size_t)(s->end - at) >= n && !memcmp(at, line + 1, n);

	for (at -= first; at < s->end && (first || (at = find(at, s->end, line, n + 1))); at++, first = false) {
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
		mime_not_read(m, &unknown, NOTICE_DAMAGED, "its parts were not found: it was read as one text");
	mime_take_leaf(m, end == body->end ? &unknown : &text, &part, false);
	while (after < body->end && !last) {
		at = after;
		end = find_boundary(at, body, c->boundary, &after, &last);
		part = span_of(body, at, end > at ? end - (end < body->end) : at);
		m->at = part.text < part.end ? span_from(&part, part.text) : m->at;
		if (end == body->end && !last)
			mime_not_read(m, &unknown, NOTICE_DAMAGED,
				      "the mail has no end: what it may have had behind its last line was not read");
		take_entity(m, &part, is_type(c, "multipart/digest") ? "message/rfc822" : "");
		if (m->x->error || m->out.failed)
			return;
	}
	part = span_of(body, after, body->end);
	mime_take_leaf(m, &text, &part, false);
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
	mime_add_part(m, true);
	octets_text(&header, mime_charset(m, ""), &m->out);
	take_entity(m, s, NULL);
	/* A text without parts is of one part with its header. */
	if (!*c.boundary && m->x->n_parts == first + 2)
		m->x->n_parts--;
	m->alternatives = outer;
}

/* Whether a text is quoted-printable that was passed on without its header: soft ends of lines, and signs in hex. */
static bool looks_quoted(const struct content *c, const struct span *body)
{
	size_t size = (size_t)(body->end - body->text);

	return (!*c->type || is_type(c, "text/")) && memmem(body->text, size, "=\n", 2) &&
	       (memmem(body->text, size, "=3D", 3) || memmem(body->text, size, "=20", 3) ||
		memmem(body->text, size, "=C3=", 4) || memmem(body->text, size, "=E2=80", 6));
}

/* The body of a header, without the encoding for its transfer. */
static void take_body(struct mime *m, const struct content *c, const struct span *body)
{
	_cleanup_octets_ struct octets decoded = { 0 };
	bool base64 = !strcmp(c->encoding, "base64"), is_quoted = !strcmp(c->encoding, "quoted-printable");
	struct span own = *body;

	if (strstr(c->encoding, "uu") || strstr(c->encoding, "yenc") || strstr(c->encoding, "binhex")) {
		mime_not_read(m, c, NOTICE_ENCODING, "what is encoded by %s was not read", c->encoding);
		return;
	}
	is_quoted = is_quoted || (!base64 && !*c->boundary && !is_mail(c) && looks_quoted(c, body));
	if (base64 && !octets_base64(body, &decoded))
		mime_not_read(m, c, NOTICE_DAMAGED, "the last line was not read: its base64 is cut off");
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
		mime_take_leaf(m, c, &own, base64 || is_quoted);
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
		mime_not_read(m, &c, NOTICE_NESTED, "it was not read: it is within more than %u others", MAX_DEPTH);
	} else if (reported(m, &c)) {
		mime_not_read(m, &c, NOTICE_ATTACHMENT,
			      "the mail that is reported was not read: the report tells of it");
	} else {
		m->depth++;
		take_body(m, &c, &body);
		m->depth--;
	}
}

/* The boundary of parts whose mail's header was not copied: a line with two hyphens, and a field of a part's header. */
static bool guess_boundary(const struct span *s, char ret[static BOUNDARY_TEXT])
{
	for (const char *at = s->text; at < s->end && (at = find(at, s->end, "--", 2)); at++) {
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
	for (; at < end && (at = find(at, end, "\n\nFrom ", 7)); at++)
		if (line_end(at + 2, end) < end && header_begins(at + 2, end))
			return at + 2;
	return end;
}

static bool begins_mail(const char *at, const char *end)
{
	struct content c = { 0 };

	if (header_begins(at, end))
		header_read(at, end, &c);
	return c.mail;
}

static void take_whole(struct mime *m, const struct span *s)
{
	struct content c = { .type = "multipart/alternative" };
	const char *at = s->text, *next;

	if (!begins_mail(at, s->end)) {
		if (guess_boundary(s, c.boundary))
			take_multipart(m, &c, s);
		else
			mime_take_leaf(m, &(struct content){ 0 }, s, false);
		return;
	}
	for (bool mailbox = s->end - at > 5 && !memcmp(at, "From ", 5); at < s->end; at = next) {
		struct span mail;

		next = mailbox ? next_mail(at, s->end) : s->end;
		mail = span_of(s, at, next);
		take_mail(m, &mail);
	}
}

/* Whether a text begins with the mark of UTF-32, which nobody sends. */
static bool is_utf32(const char *text, size_t size)
{
	return size >= 4 && (!memcmp(text, "\xff\xfe\0\0", 4) || !memcmp(text, "\0\0\xfe\xff", 4));
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
		octets_grow(&x->whole, 1);
	if (!x->whole.text || x->whole.failed)
		return -ENOMEM;
	x->whole.text[x->whole.size] = '\0';
	free(x->whole.from.runs);
	x->whole.from = (struct origins){ 0 };
	return complaint_survey(x);
}

int complaint_decode(struct reading *x, const char *text, size_t size)
{
	struct mime m = { .x = x };
	struct span s;
	bool utf32 = is_utf32(text, size);
	int r = take_over(x, text, utf32 ? 0 : size);

	if (r)
		return r;
	s = (struct span){ x->whole.text, x->whole.text + x->whole.size, NULL, 0 };
	mime_charset(&m, "");
	mime_charset(&m, "utf-16");
	if (utf32)
		mime_not_read(&m, &(struct content){ 0 }, NOTICE_CHARSET, "UTF-32 was not read; save it in UTF-8");
	take_whole(&m, &s);
	/* Room for those who look some octets ahead. */
	x->size = m.out.size;
	for (unsigned i = 0; i < AHEAD; i++)
		octet_put(&m.out, '\0', 0);
	x->text = m.out.text;
	x->from = m.out.from;
	return x->error || m.out.failed ? -ENOMEM : 0;
}
