// SPDX-License-Identifier: BSD-2-Clause
/*
 * Complaints as programs of mail hand them over, decoded in place before they are read: UTF-16, line ends, the parts of
 * MIME (RFC 2045, RFC 2046) with their base64 and quoted-printable. Decoded text is never longer than it was.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array_grow.h"
#include "base/base.h"
#include "complaints/complaint_private.h"

/* Boundaries of parts within parts; what is nested deeper is read as it is. */
#define MAX_BOUNDARIES 16U
#define BOUNDARY_TEXT  72U /* RFC 2046 section 5.1.1: 70 */
#define FIELD_TEXT     512U

/* Text that is decoded in place. */
struct octets {
	char *text;
	size_t size;
};

/* UTF-16 becomes ASCII; what is not ASCII has no meaning here. */
static void narrow(struct octets *c, bool big)
{
	size_t n = 0;

	for (size_t i = 2; i + 1 < c->size; i += 2) {
		uint8_t high = (uint8_t)c->text[i + !big], low = (uint8_t)c->text[i + big];

		c->text[n++] = (char)(!high && low && low < 0x80 ? low : !high && low == 0xa0 ? ' ' : '?');
	}
	c->size = n;
}

/* The octets of a text, without the mark of its order; NULs and blanks that do not break become blanks. */
static void to_octets(struct octets *c)
{
	static const char mark[] = "\xef\xbb\xbf";
	size_t n = 0, i;

	if (c->size >= 2 && (!memcmp(c->text, "\xff\xfe", 2) || !memcmp(c->text, "\xfe\xff", 2)))
		narrow(c, c->text[0] == '\xfe');
	i = c->size >= 3 && !memcmp(c->text, mark, 3) ? 3 : 0;
	for (; i < c->size; i++) {
		char octet = (char)(c->text[i] ? c->text[i] : ' ');

		if (octet == '\xc2' && i + 1 < c->size && c->text[i + 1] == '\xa0') {
			octet = ' ';
			i++;
		}
		c->text[n++] = octet;
	}
	c->size = n;
}

/* Lines that end with a carriage return alone. */
static void unify_lines(struct octets *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->size; i++) {
		if (c->text[i] == '\r' && i + 1 < c->size && c->text[i + 1] == '\n')
			continue;
		c->text[n++] = (char)(c->text[i] == '\r' ? '\n' : c->text[i]);
	}
	c->size = n;
	c->text[n] = '\0';
}

/* An address that must not be clicked: 203[.]0[.]113[.]36. */
static void arm(struct octets *c)
{
	static const char *const dots[] = { "[.]", "(.)", "[dot]", "(dot)" };
	size_t n = 0;

	for (size_t i = 0; i < c->size; i++) {
		size_t skip = 0;

		for (size_t k = 0; k < ARRAY_SIZE(dots) && (c->text[i] == '[' || c->text[i] == '('); k++)
			if (!strncasecmp(c->text + i, dots[k], strlen(dots[k])))
				skip = strlen(dots[k]) - 1;
		c->text[n++] = (char)(skip ? '.' : c->text[i]);
		i += skip;
	}
	c->size = n;
	c->text[n] = '\0';
}

struct mime {
	char boundary[MAX_BOUNDARIES][BOUNDARY_TEXT];
	bool alternative[MAX_BOUNDARIES]; /* the parts say the same */
	bool answered[MAX_BOUNDARIES];	  /* one of them had addresses */
	unsigned n;
	unsigned current; /* of the part */
	bool base64, quoted, skipped, html;
	struct octets *c;
	struct reading *x;
	bool message; /* the part is a mail within the mail */
	bool report;  /* parts of a report: the mail within is what it is about, and no complaint */
	size_t out; /* octets of the decoded text */
};

/* Copies a header field, unfolded. Returns where the next one begins. */
static const char *field(const char *at, const char *end, char ret[static FIELD_TEXT])
{
	size_t n = 0;

	for (; at < end; at++) {
		if (*at == '\n' && (at + 1 == end || (at[1] != ' ' && at[1] != '\t')))
			return ret[n] = '\0', at + 1;
		if (*at != '\r' && *at != '\n' && n + 1 < FIELD_TEXT)
			ret[n++] = *at;
	}
	ret[n] = '\0';
	return end;
}

static const char *value_of(const char *text, const char *name)
{
	size_t n = strlen(name);

	return strncasecmp(text, name, n) != 0 ? NULL : text + n + strspn(text + n, " \t");
}

/* The boundary of the parts that follow. */
static void take_boundary(struct mime *m, const char *type)
{
	const char *at = strcasestr(type, "boundary=");
	size_t n;

	if (!at || m->n == MAX_BOUNDARIES)
		return;
	at += strlen("boundary=");
	at += *at == '"';
	n = strcspn(at, "\"; \t");
	if (!n || n >= BOUNDARY_TEXT)
		return;
	memcpy(m->boundary[m->n], at, n);
	m->boundary[m->n][n] = '\0';
	m->answered[m->n] = false;
	m->alternative[m->n++] = !strncasecmp(type, "multipart/alternative", 21);
}

static void take_field(struct mime *m, const char *text)
{
	const char *encoding = value_of(text, "Content-Transfer-Encoding:"), *type = value_of(text, "Content-Type:");

	if (encoding) {
		m->base64 = !strncasecmp(encoding, "base64", 6);
		m->quoted = !strncasecmp(encoding, "quoted-printable", 16);
	}
	if (!type)
		return;
	m->html = !strncasecmp(type, "text/html", 9);
	m->skipped = !strncasecmp(type, "image/", 6) || !strncasecmp(type, "audio/", 6) ||
		     !strncasecmp(type, "video/", 6) || !strncasecmp(type, "application/pdf", 15) ||
		     !strncasecmp(type, "application/pgp-signature", 25) ||
		     (m->html && m->n && m->alternative[m->current] && m->answered[m->current]);
	take_boundary(m, type);
}

/* Reads header fields up to an empty line. */
static const char *take_fields(struct mime *m, const char *at, const char *end)
{
	char text[FIELD_TEXT];

	m->base64 = m->quoted = m->skipped = m->html = false;
	while (at < end && *at != '\n' && strncmp(at, "\r\n", 2) != 0) {
		at = field(at, end, text);
		take_field(m, text);
	}
	return at;
}

/* The part's boundary at the beginning of a line: its number, or -1. */
static int boundary_at(const struct mime *m, const char *at, const char *end)
{
	if (end - at < 3 || memcmp(at, "--", 2) != 0)
		return -1;
	for (unsigned i = m->n; i-- > 0;)
		if (!strncmp(at + 2, m->boundary[i], strlen(m->boundary[i])))
			return (int)i;
	return -1;
}

/* The line with the boundary that ends a part. */
static const char *end_of_part(const struct mime *m, const char *at, const char *end)
{
	while (at < end && boundary_at(m, at, end) < 0) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		at = newline ? newline + 1 : end;
	}
	return at;
}

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

/* Both write at `out`, which is not beyond `at`, and return where they ended. Lines that went on are joined. */
static char *decode_quoted(char *out, const char *at, const char *end)
{
	for (; at < end; at++) {
		int high = *at == '=' && end - at > 2 ? hex(at[1]) : -1, low = high >= 0 ? hex(at[2]) : -1;

		if (*at == '=' && end - at > 2 && at[1] == '\r' && at[2] == '\n')
			at += 2;
		else if (*at == '=' && end - at > 1 && at[1] == '\n')
			at++;
		else if (low >= 0 && high * 16 + low) {
			*out++ = (char)(high * 16 + low);
			at += 2;
		} else
			*out++ = *at;
	}
	return out;
}

static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Of a text that was cut, the last line is none: its numbers may be shorter than they were. */
static char *without_cut_line(char *begin, char *out)
{
	char *newline = out > begin ? memrchr(begin, '\n', (size_t)(out - begin)) : NULL;

	return newline ? newline + 1 : begin;
}

static char *decode_base64(char *out, const char *at, const char *end)
{
	char *begin = out;
	uint32_t bits = 0;
	unsigned have = 0, sextets = 0;

	for (; at < end && *at != '='; at++) {
		if (sextet(*at) < 0)
			continue;
		bits = bits << 6 | (uint32_t)sextet(*at);
		sextets++;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		*out++ = (char)(bits >> have & 255);
	}
	return sextets % 4 && at == end ? without_cut_line(begin, out) : out;
}

/* Whether a text has something like an address, so that its other forms need not be read. */
static bool has_address(const char *at, const char *end)
{
	unsigned dots = 0, digits = 0;

	for (; at < end && dots < 3; at++)
		if (isdigit((unsigned char)*at))
			digits++;
		else if (*at == '.' && digits)
			dots++, digits = 0;
		else
			dots = digits = 0;
	return dots == 3;
}

static void take_part(struct mime *m, const char *at, const char *end)
{
	struct octets part = { .text = m->c->text + m->out };
	char *out = part.text;

	if (m->skipped)
		return;
	if (m->base64)
		out = decode_base64(out, at, end);
	else if (m->quoted)
		out = decode_quoted(out, at, end);
	else
		out = (char *)memmove(out, at, (size_t)(end - at)) + (end - at);
	part.size = (size_t)(out - part.text);
	to_octets(&part);
	if (m->n && has_address(part.text, part.text + part.size))
		m->answered[m->current] = true;
	m->out += part.size;
	if (part.size && part.text[part.size - 1] != '\n' && m->c->text + m->out < end)
		m->c->text[m->out++] = '\n';
}

static void take_parts(struct mime *m, const char *at)
{
	const char *end = m->c->text + m->c->size, *next;

	while (at < end) {
		next = end_of_part(m, at, end);
		take_part(m, at, next);
		if (next == end)
			return;
		m->current = (unsigned)boundary_at(m, next, end);
		/* The last boundary of its kind ends with two hyphens; an epilogue, or the parts around, follow. */
		at = memchr(next, '\n', (size_t)(end - next));
		at = at ? at + 1 : end;
		if (!strncmp(next + 2 + strlen(m->boundary[m->current]), "--", 2))
			m->base64 = m->quoted = m->skipped = false;
		else
			at = take_fields(m, at, end);
	}
}

/* Whether a text begins with a field of a header, or with the line of a mailbox before it. */
static bool begins_with_header(const char *text)
{
	size_t n;

	if (!strncmp(text, "From ", 5))
		text += strcspn(text, "\n") + (strchr(text, '\n') != NULL);
	n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-");
	return n && text[n] == ':';
}

/* The first boundary of a mail whose header was not copied: a line with two hyphens, and a field of a part's header. */
static const char *find_boundary(struct mime *m, const char *text)
{
	for (const char *at = text; (at = strstr(at, "\n--")); at++) {
		size_t n = strcspn(at + 3, "\r\n");
		const char *next = at + 3 + n;

		next += strspn(next, "\r") + (next[strspn(next, "\r")] == '\n');
		if (!n || n >= BOUNDARY_TEXT || strncasecmp(next, "Content-", 8) != 0)
			continue;
		memcpy(m->boundary[0], at + 3, n);
		m->boundary[0][n] = '\0';
		m->n = 1;
		return text;
	}
	return NULL;
}

static void decode_mail(struct octets *c)
{
	struct mime m = { .c = c };
	const char *body =
		begins_with_header(c->text) ? take_fields(&m, c->text, c->text + c->size) : find_boundary(&m, c->text);

	if (!body)
		return;
	/* The header stays, for those who know its fields, with the empty line after it. */
	body += *body == '\r';
	body += *body == '\n';
	m.out = (size_t)(body - c->text);
	if (!m.n && !m.base64 && !m.quoted)
		return;
	m.skipped = false;
	take_parts(&m, body);
	c->size = m.out;
	c->text[c->size] = '\0';
}

/* What is invisible, and the signs of other scripts that stand for those of ASCII. */
static void plain_signs(struct octets *c)
{
	static const struct {
		const char *text;
		char is; /* NUL: nothing */
	} signs[] = { { "\342\200\213", 0 },   { "\342\200\214", 0 },	  { "\342\200\215", 0 },   { "\342\201\240", 0 },
		      { "\357\273\277", 0 },   { "\302\255", 0 },	  { "\302\240", ' ' },	     { "\342\200\257", ' ' },
		      { "\342\210\222", '-' }, { "\342\200\221", '-' }, { "\357\274\232", ':' }, { "\343\200\200", ' ' } };
	size_t n = 0;

	for (size_t i = 0; i < c->size; i++) {
		const char *at = c->text + i;
		size_t k = 0, size = 0;

		for (; (unsigned char)*at >= 0xc2 && k < ARRAY_SIZE(signs); k++)
			if (!strncmp(at, signs[k].text, strlen(signs[k].text))) {
				size = strlen(signs[k].text);
				break;
			}
		if (!size)
			c->text[n++] = *at;
		else if (signs[k].is)
			c->text[n++] = signs[k].is;
		i += size ? size - 1 : 0;
	}
	c->size = n;
	c->text[n] = '\0';
}

static int add_part(struct reading *x, size_t at, bool header)
{
	if (array_grow(&x->parts, x->n_parts, &x->room_parts, sizeof(*x->parts)))
		return x->error = -ENOMEM;
	x->parts[x->n_parts++] = (struct part){ (uint32_t)at, header };
	return 0;
}

int complaint_decode(struct reading *x, const char *text, size_t size)
{
	struct octets c = { malloc(size + 1), size };

	if (!c.text)
		return -ENOMEM;
	memcpy(c.text, text, size);
	x->text = c.text;
	to_octets(&c);
	c.text[c.size] = '\0';
	unify_lines(&c);
	decode_mail(&c);
	unify_lines(&c);
	arm(&c);
	plain_signs(&c);
	if (!strcasestr(c.text, "Infringement") && !strcasestr(c.text, "<Event"))
		c.size = complaint_untag(c.text, c.size);
	x->size = c.size;
	return add_part(x, 0, true);
}
