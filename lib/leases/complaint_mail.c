// SPDX-License-Identifier: BSD-2-Clause
/*
 * Complaints in words: mail, logs, lines of text. A line with an address and a port is a question; its time is in the
 * line, or in the lines around it: the nearest before it, or else the first after it. Headers of mail have times and
 * addresses of others, and are passed over.
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
		const char *value = at + 4 + (strncasecmp(at + 4, "(s)", 3) ? 0 : 3);

		value += strspn(value, " \t:=\"'#*");

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
		/* "[::ffff:203.0.113.36]:5100" */
		end += *end == ']' && end[1] == ':';
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
		return complaint_give_time(c, line, out, -ENOENT, 0, &m->why);
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

bool complaint_mail(const struct complaints *c, int *ret)
{
	struct mail_state s = { .m.r = -ENOENT };

	*ret = complaint_lines(c, mail_line, &s);
	if (!*ret && s.m.n_waiting) {
		s.m.r = -ENOENT;
		error_set(&s.m.why, 0, "there is no time in the text");
		*ret = give_waiting(c, &s.m);
	}
	free(s.m.waiting);
	return true;
}
