// SPDX-License-Identifier: BSD-2-Clause
/*
 * Complaints in words: mail, logs, lines of text. A line with an address and a port is a question; its time is in the
 * line, or in the lines around it: the nearest before it, or else the first after it. Headers of mail have times and
 * addresses of others, and are passed over. Quoted-printable, base64 and HTML are read through.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "leases/complaint_private.h"

/* A question whose time has not been found yet waits. */
#define MAX_WAITING 1000U

struct mail {
	int64_t t; /* of the last time seen */
	int r;	   /* of zone_time_find(); -ENOENT: none yet */
	struct error why;
	uint32_t addr; /* of a line "IP: ...", until its port comes */
	bool has_addr;
	struct {
		uint64_t line;
		struct endpoint out;
	} * waiting;
	size_t n_waiting;
};

static bool word_before(const char *text, const char *at, const char *word)
{
	size_t n = strlen(word);

	while (at > text && strchr(" \t:=(\"'#*", at[-1]))
		at--;
	return (size_t)(at - text) >= n && !strncasecmp(at - n, word, n);
}

/* An address at a place of a line, and where it ends; false: there is none. */
static bool address_at(const char *at, uint32_t *ret, const char **ret_end)
{
	char text[16];
	size_t n = strspn(at, "0123456789.");

	while (n && at[n - 1] == '.')
		n--;
	if (n < 7 || n > 15)
		return false;
	memcpy(text, at, n);
	text[n] = '\0';
	*ret_end = at + n;
	return !addr_parse(text, ret);
}

static bool port_at(const char *at, uint16_t *ret, const char **ret_end)
{
	size_t n = strspn(at, "0123456789");
	unsigned long port = strtoul(at, NULL, 10);

	if (!n || n > 5 || port > UINT16_MAX || isalpha((unsigned char)at[n]))
		return false;
	*ret = (uint16_t)port;
	*ret_end = at + n;
	return true;
}

/* "source port 5100", "port: 5100", "src-port=5100" anywhere in a line, but no destination's. */
static bool named_port(const char *text, uint16_t *ret)
{
	const char *end;

	for (const char *at = text; (at = strcasestr(at, "port")); at += 4) {
		const char *value = at + 4 + strspn(at + 4, " \t:=\"'#*");

		if ((at > text && isalpha((unsigned char)at[-1])) || word_before(text, at, "destination") ||
		    word_before(text, at, "dest") || word_before(text, at, "dst") || word_before(text, at, "remote"))
			continue;
		if (value > at + 4 && port_at(value, ret, &end))
			return true;
	}
	return false;
}

static bool is_destination(const char *text, const char *at)
{
	return word_before(text, at, "destination") || word_before(text, at, "dest") || word_before(text, at, "dst") ||
	       word_before(text, at, "destination ip") || word_before(text, at, "destination address") ||
	       word_before(text, at, "to") || word_before(text, at, "->") || word_before(text, at, " >");
}

/* The endpoint of a line: ADDR:PORT, or an address and "port N". 2: both, 1: the address alone, 0: none. */
static int find_endpoint(const char *text, struct endpoint *ret)
{
	for (const char *at = text; *at; at++) {
		const char *end, *past;

		if (!isdigit((unsigned char)*at) ||
		    (at > text && (isalnum((unsigned char)at[-1]) || at[-1] == '.' || at[-1] == '/')) ||
		    !address_at(at, &ret->addr, &end) || is_destination(text, at))
			continue;
		if (*end == ':' && port_at(end + 1, &ret->port, &past))
			return 2;
		if (*end == ':' && isdigit((unsigned char)end[1]))
			continue;
		return named_port(text, &ret->port) ? 2 : 1;
	}
	return 0;
}

static int give_or_wait(const struct complaints *c, struct mail *m, uint64_t line, struct endpoint out)
{
	if (m->r != -ENOENT)
		return complaint_give_time(c, line, out, m->r, m->t, &m->why);
	if (m->n_waiting == MAX_WAITING) {
		error_set(&m->why, 0, "there is no time before or in the line");
		return complaint_give_time(c, line, out, -EINVAL, 0, &m->why);
	}
	if (!m->waiting)
		m->waiting = calloc(MAX_WAITING, sizeof(*m->waiting));
	if (!m->waiting)
		return -ENOMEM;
	m->waiting[m->n_waiting].line = line;
	m->waiting[m->n_waiting++].out = out;
	return 0;
}

static int give_waiting(const struct complaints *c, struct mail *m)
{
	int r = 0;

	for (size_t i = 0; i < m->n_waiting && !r; i++)
		r = complaint_give_time(c, m->waiting[i].line, m->waiting[i].out, m->r, m->t, &m->why);
	m->n_waiting = 0;
	return r;
}

/* A header of mail, whose times are those of its transport. */
static bool is_header(const char *text)
{
	static const char *const names[] = {
		"Date:",    "Received:", "Delivery-Date:", "From:",	  "To:",
		"Subject:", "Reply-To:", "Message-ID:",	   "X-",	  "Return-Path:",
		"DKIM-",    "ARC-",	 "Authentication", "References:", "MIME-Version:"
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncasecmp(text, names[i], strlen(names[i])))
			return true;
	return false;
}

struct mail_state {
	struct mail m;
	bool in_headers;
	bool folded; /* the line goes on with the header before it */
};

static bool pass_over(struct mail_state *s, uint64_t line, const char *text)
{
	bool folded = s->folded && (*text == ' ' || *text == '\t');

	if (line == 1)
		s->in_headers = is_header(text);
	if (!s->in_headers)
		return false;
	if (!*text) {
		s->in_headers = false;
		return true;
	}
	s->folded = folded || strchr(text, ':') != NULL;
	return true;
}

static int mail_line(const struct complaints *c, void *state, uint64_t line, char *text)
{
	struct mail_state *s = state;
	struct mail *m = &s->m;
	struct endpoint out = { 0 };
	struct error why = { 0 };
	int64_t t = 0;
	int found, r, ret = 0;

	if (pass_over(s, line, text))
		return 0;
	r = zone_time_find(text, strlen(text), c->zone, &t, NULL, &why);
	if (r != -ENOENT) {
		m->r = r;
		m->t = t;
		m->why = why;
		ret = give_waiting(c, m);
	}
	found = find_endpoint(text, &out);
	if (!ret && found == 2)
		return give_or_wait(c, m, line, out);
	if (found == 1) {
		m->addr = out.addr;
		m->has_addr = true;
	} else if (!ret && m->has_addr && named_port(text, &out.port)) {
		out.addr = m->addr;
		m->has_addr = false;
		return give_or_wait(c, m, line, out);
	}
	return ret;
}

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

/* Quoted-printable, in place; lines that went on are joined. */
static void unquote_printable(struct complaints *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->size; i++) {
		bool pair = c->text[i] == '=' && i + 2 < c->size;

		if (pair && c->text[i + 1] == '\r' && c->text[i + 2] == '\n')
			i += 2;
		else if (c->text[i] == '=' && i + 1 < c->size && c->text[i + 1] == '\n')
			i++;
		else if (pair && hex(c->text[i + 1]) >= 0 && hex(c->text[i + 2]) >= 0 &&
			 hex(c->text[i + 1]) * 16 + hex(c->text[i + 2]) != 0) {
			c->text[n++] = (char)(hex(c->text[i + 1]) * 16 + hex(c->text[i + 2]));
			i += 2;
		} else
			c->text[n++] = c->text[i];
	}
	c->size = n;
	c->text[n] = '\0';
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

/* The body of a mail in base64, in place. It is never longer than its encoding. */
static void unbase64(struct complaints *c, char *body)
{
	uint32_t bits = 0;
	unsigned have = 0;
	char *out = body;

	for (const char *in = body; *in && *in != '=' && strncmp(in, "\n--", 3) != 0; in++) {
		if (sextet(*in) < 0)
			continue;
		bits = bits << 6 | (uint32_t)sextet(*in);
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		*out = (char)(bits >> have & 255);
		*out = (char)(*out ? *out : ' ');
		out++;
	}
	*out = '\0';
	c->size = (size_t)(out - c->text);
}

static char *end_of_headers(char *at)
{
	char *unix_end = strstr(at, "\n\n"), *dos_end = strstr(at, "\r\n\r\n");

	if (dos_end && (!unix_end || dos_end < unix_end))
		return dos_end + 4;
	return unix_end ? unix_end + 2 : NULL;
}

static void decode(struct complaints *c)
{
	char *encoding = strcasestr(c->text, "Content-Transfer-Encoding:");
	char *value = encoding ? encoding + strcspn(encoding, ":") + 1 : NULL, *body;

	if (!value)
		return;
	value += strspn(value, " \t");
	body = end_of_headers(value);
	if (!strncasecmp(value, "quoted-printable", 16))
		unquote_printable(c);
	else if (!strncasecmp(value, "base64", 6) && body)
		unbase64(c, body);
}

/* Tags become blanks, and those that end a line a new line. */
static void untag(const struct complaints *c)
{
	bool html = strcasestr(c->text, "<html") || strcasestr(c->text, "<br") || strcasestr(c->text, "<td");
	char *end;

	for (char *at = html ? strchr(c->text, '<') : NULL; at; at = strchr(end, '<')) {
		bool line = !strncasecmp(at, "<br", 3) || !strncasecmp(at, "<p", 2) || !strncasecmp(at, "</p", 3) ||
			    !strncasecmp(at, "</tr", 4) || !strncasecmp(at, "</div", 5);

		end = strchr(at, '>');
		if (!end)
			return;
		memset(at, ' ', (size_t)(end - at) + 1);
		if (line)
			*at = '\n';
	}
}

bool complaint_mail(const struct complaints *c, int *ret)
{
	struct mail_state s = { .m.r = -ENOENT };
	struct complaints own = *c;

	decode(&own);
	untag(&own);
	*ret = complaint_lines(&own, mail_line, &s);
	if (!*ret && s.m.n_waiting) {
		s.m.r = -EINVAL;
		error_set(&s.m.why, 0, "there is no time in the text");
		*ret = give_waiting(&own, &s.m);
	}
	free(s.m.waiting);
	return true;
}
