// SPDX-License-Identifier: BSD-2-Clause
/* The words before and behind a value, and the arrows between two. */
#include <string.h>

#include "base/base.h"
#include "complaints/complaint_scan.h"

/* Skips blanks and signs that do not separate. */
const char *scan_signs(const char *at, const char *end, const char *any)
{
	while (at < end && octet_is_of(*at, any))
		at++;
	return at;
}

/* The begin of the line of a place. Places are asked for in their order. */
const char *scan_line(struct scan *c, const char *at)
{
	for (const char *p; at > c->looked && (p = memchr(c->looked, '\n', (size_t)(at - c->looked)));
	     c->looked = p + 1)
		c->line = p + 1;
	c->looked = at;
	return c->line;
}

/* Where words begin behind the name of what wrote a line of a log: "[Server thread/INFO]: "; or `begin`. */
static const char *behind_tag(const char *begin, const char *at)
{
	const char *tag = NULL, *p;

	for (p = begin; (p = memchr(p, ']', (size_t)(at - p))); p++)
		if (at - p > 2 && p[1] == ':' && p[2] == ' ')
			tag = p + 3;
	for (p = tag; p && p < at; p++)
		if (word_octet(*p))
			return tag;
	return begin;
}

/* The text before a place that is its label: from the item before, in this line, or in the one before at its begin. */
const char *scan_label_begin(const struct scan *c, const char *at)
{
	const char *begin = c->after, *p = at;
	bool letters = false;

	if (at - begin > LABEL_TEXT)
		begin = at - LABEL_TEXT;
	while (p > begin && (p[-1] != '\n' || !letters)) {
		letters |= word_octet(p[-1]);
		p--;
		if (p > begin + 1 && p[-1] == '\n' && p[-2] == '\n')
			break;
	}
	return behind_tag(p, at);
}

struct label scan_label(struct scan *c, const char *at)
{
	if (c->labelled == at && c->labelled_after == c->after)
		return c->label;
	c->label = label_read(scan_label_begin(c, at), at);
	if (c->s->key && !c->label.words)
		c->label = label_read(c->s->key, c->s->key_end);
	c->labelled = at;
	c->labelled_after = c->after;
	return c->label;
}

/* "443 (https)" */
bool scan_is_service(const char *at, const char *end)
{
	static const char *const names[] = { "http", "https",  "ssh",  "ftp", "smtp",  "submission",
					     "imap", "imaps",  "pop3", "sip", "rdp",   "dns",
					     "ntp",  "telnet", "vnc",  "smb", "mysql", "ldap" };
	char folded[WORD_TEXT];

	word_fold(at, end, folded);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (*names[i] == *folded && !strcmp(names[i], folded))
			return true;
	return false;
}

/* "(client)", "(ours)" behind a value. */
unsigned scan_role_behind(const struct scan *c, const char *at)
{
	const char *open = scan_signs(at, c->s->end, " \t*_"), *close;

	if (open >= c->s->end || *open != '(')
		return 0;
	close = memchr(open, ')', c->s->end - open < 40 ? (size_t)(c->s->end - open) : 40);
	return !close ? 0 : scan_is_service(open + 1, close) ? WORD_TARGET : label_read(open, close).role;
}

/* What is between an item and the next one if nothing but an arrow: 1 to the right, -1 to the left. */
int scan_arrow(const char *at, const char *end)
{
	static const struct {
		const char *text;
		int way;
	} arrows[] = { { "-->", 1 }, { "->", 1 },   { "=>", 1 },  { "\342\206\222", 1 }, { "\342\207\222", 1 },
		       { ">", 1 },   { "<--", -1 }, { "<-", -1 }, { "<=", -1 },		 { "\342\206\220", -1 },
		       { "<", -1 } };

	for (const char *p = at; p < end; p++) {
		if (*p == '\n')
			return 0;
		if (!octet_is_of(*p, "-=<>\342"))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(arrows); i++) {
			size_t n = strlen(arrows[i].text);

			if ((size_t)(end - p) < n || memcmp(p, arrows[i].text, n) != 0)
				continue;
			/* A sign alone stands between blanks, or it is a tag. */
			if (n == 1 && ((p > at && p[-1] != ' ') || p + 1 >= end || p[1] != ' '))
				continue;
			return arrows[i].way;
		}
	}
	return 0;
}

void scan_after(struct scan *c, const char *after)
{
	c->after = after;
	c->number = false;
}
