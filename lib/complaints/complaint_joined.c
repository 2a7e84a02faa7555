// SPDX-License-Identifier: BSD-2-Clause
/* Ports that are joined to an address. */
#include <ctype.h>
#include <string.h>

#include "complaints/complaint_scan.h"

const char *scan_port(const char *at, const char *end, unsigned *ret)
{
	unsigned n = 0;

	*ret = 0;
	for (; at + n < end && digit_octet(at[n]); n++)
		if (n == 5)
			return NULL;
		else
			*ret = *ret * 10 + (unsigned)(at[n] - '0');
	return n && *ret <= UINT16_MAX ? at + n : NULL;
}

/* "[truncated]", "(cut)", "<snip>" */
static bool is_cut_mark(const char *at, const char *end)
{
	char folded[WORD_TEXT];

	if (!octet_is_of(*at, "[(<"))
		return false;
	at = scan_signs(at + 1, end, ".\342\200\246 ");
	word_fold(at, end, folded);
	if (word_in_list("trunc* snip* cut* gekurzt* abgeschn* tronqu* coupe* cortad* tronc* redact* masked*", folded))
		return true;
	return at < end && octet_is_of(*at, "])>") && octet_is_of(at[-1], ".\246");
}

bool scan_lacks_digits(struct scan *c, const char *at, const char *end)
{
	const char *stop = c->s->end, *line;

	if (end >= stop || octet_is_of(*end, " \n,;:)"))
		return false;
	if (stop - end >= 2 && (!memcmp(end, "..", 2) || !memcmp(end, "??", 2)))
		return true;
	/* A soft end of a line that nobody decoded. */
	if (*end == '=' && (end + 1 == stop || end[1] == '\n'))
		return true;
	if ((stop - end >= 3 && !memcmp(end, "\342\200\246", 3)) || *end == '#' || is_cut_mark(end, stop))
		return true;
	/* What makes a text bold stands before it, too. */
	line = scan_line(c, at);
	return octet_is_of(*end, "*_") && !memchr(line, *end, (size_t)(at - line));
}

/* Whether "a.b.c.d.port" is meant, as tcpdump has it, and no version of something. */
static bool dotted_port(struct scan *c, const char *at, const char *after)
{
	const char *begin = scan_line(c, at);
	const char *line =
		memchr(after, '\n', (size_t)(c->s->end - after < LABEL_TEXT ? c->s->end - after : LABEL_TEXT));

	line = line && line - after < LABEL_TEXT
		       ? line
		       : after + (c->s->end - after < LABEL_TEXT ? c->s->end - after : LABEL_TEXT);
	return (after == line || strchr(" :,)\t", *after)) &&
	       scan_arrow(at - (at - begin < LABEL_TEXT ? at - begin : LABEL_TEXT), line);
}

/*
 * The port of an address of "source,target,source port,target port", as packet filters write them. Its begin, or NULL.
 * That of the source ends where its address does, so that the target is read next.
 */
const char *scan_in_four(const struct scan *c, const char *at, const char *end, unsigned *ret, const char **ret_end)
{
	const struct item *before = c->addr != NONE && c->addr == c->last ? &c->x->items[c->addr] : NULL;
	const char *stop = c->s->end, *port, *behind;
	unsigned other;
	uint32_t any;

	if (before && before->port_item != NONE && c->x->text + before->at + before->size + 1 == at) {
		const struct item *first = &c->x->items[before->port_item];

		port = c->x->text + first->at + first->size + 1;
		*ret_end = scan_port(port, stop, ret);
		return c->x->text + first->at == end + 1 ? port : NULL;
	}
	port = addr_at(end + 1, stop, &any);
	behind = port && port < stop && *port == ',' ? scan_port(port + 1, stop, ret) : NULL;
	if (!behind || behind >= stop || *behind != ',' || !scan_port(behind + 1, stop, &other))
		return NULL;
	*ret_end = end;
	return port + 1;
}

/* The end of an arrow to the right between blanks, or NULL. */
static const char *arrow_end(const char *at, const char *end)
{
	const char *p = scan_signs(at, end, " ");

	if (end - p > 4 && !memcmp(p, "\342\206\222 ", 4))
		p += 4;
	else if (end - p > 3 && !memcmp(p, "-> ", 3))
		p += 3;
	else
		return NULL;
	return scan_signs(p, end, " ");
}

/* "TCP 74 51022 > 22", with what tshark notes in brackets before the ports: where each is. False: it is none. */
static bool info_ports(const char *at, const char *end, const char *ret[static 2])
{
	const char *p = scan_signs(at, end, " "), *stop;
	unsigned any;

	if (p == at || end - p < 12 || (memcmp(p, "TCP ", 4) != 0 && memcmp(p, "UDP ", 4) != 0))
		return false;
	p = scan_signs(p + 4, end, " ");
	stop = scan_signs(p, end, "0123456789");
	if (stop == p || stop >= end || *stop != ' ')
		return false;
	p = scan_signs(stop, end, " ");
	if (p < end && *p == '[')
		p = memchr(p, ']', end - p < LABEL_TEXT ? (size_t)(end - p) : LABEL_TEXT);
	p = p && p < end && *p == ']' ? scan_signs(p + 1, end, " ") : p;
	stop = p ? scan_port(p, end, &any) : NULL;
	ret[0] = p;
	ret[1] = stop ? arrow_end(stop, end) : NULL;
	return ret[1] && scan_port(ret[1], end, &any);
}

const char *scan_in_info(const struct scan *c, const char *at, const char *end, unsigned *ret, const char **ret_end)
{
	const struct item *before = c->addr != NONE && c->addr == c->last ? &c->x->items[c->addr] : NULL;
	const char *stop = c->s->end, *target = arrow_end(end, stop), *ports[2];
	bool second = before && before->port_item != NONE && c->x->text + before->at < at;
	uint32_t any;

	*ret_end = end;
	if (target && (target = addr_at(target, stop, &any)) && info_ports(target, stop, ports))
		return scan_port(ports[0], stop, ret), ports[0];
	if (!second || !info_ports(end, stop, ports) || c->x->text + c->x->items[before->port_item].at != ports[0])
		return NULL;
	return scan_port(ports[1], stop, ret), ports[1];
}

/* Whether a port is the first of several: "5100-5200", "5100,5200". */
static bool goes_on(const char *at, const char *end)
{
	const char *behind = at < end ? scan_signs(at + 1, end, "0123456789") : end;

	if (at >= end || !octet_is_of(*at, "-,") || behind == at + 1 || behind > at + 6)
		return false;
	return *at == '-' || behind == end || octet_is_of(*behind, " \n");
}

/* Whether another address and its port are behind "a p": ModSecurity, Zeek and others write "a p b q" between blanks.
 */
static bool is_endpoint(const char *at, const char *end)
{
	const char *p = scan_signs(at, end, " \t"), *stop = p > at ? addr_at(p, end, &(uint32_t){ 0 }) : NULL;
	unsigned any;

	if (!stop || stop >= end || !octet_is_of(*stop, " \t"))
		return false;
	p = scan_signs(stop, end, " \t");
	stop = scan_port(p, end, &any);
	return stop && (stop == end || octet_is_of(*stop, " \t\n"));
}

/*
 * The port behind an address and a blank, or a sign between blanks, where it is said that one follows: "IP / port: a /
 * p", or by the format of the log above the line, "%h %{remote-port}". Its begin, or NULL.
 */
static const char *port_behind(struct scan *c, const char *at, const char *end, unsigned *ret, const char **ret_end)
{
	const char *stop = c->s->end, *p = scan_signs(end, stop, " \t"), *after;
	struct label l = scan_label(c, at);
	bool key = c->s->keyed && l.last & WORD_PORT && l.any & (WORD_ADDR | WORD_SOURCE) && l.role != WORD_TARGET;

	if (!key && !c->x->paired)
		return NULL;
	if (key && p < stop && octet_is_of(*p, "/:|,"))
		p = scan_signs(p + 1, stop, " \t");
	after = p > end ? scan_port(p, stop, ret) : NULL;
	if (!after || (after < stop && !octet_is_of(*after, " \t\n.,;)")) || *ret < FIRST_FREE_PORT)
		return NULL;
	return *ret_end = after, p;
}

/* The port that is joined to an address: "a:p", "a/p", "a#p", "a(p)", "[a]:p", "a.p", "a p ->". Its begin, or NULL. */
const char *scan_joined(struct scan *c, const char *at, const char *end, unsigned *ret, const char **ret_end)
{
	const char *p = end + (end < c->s->end && *end == ']'), *after;
	const char *stop = c->s->end;

	if (p + 1 >= stop)
		return NULL;
	after = *p == ' ' ? port_behind(c, at, end, ret, ret_end) : NULL;
	if (after)
		return after;
	if (strchr(":/#(", *p) && digit_octet(p[1])) {
		after = scan_port(p + 1, stop, ret);
		if (!after || (after < stop && isalpha((unsigned char)*after)) ||
		    (after + 1 < stop && *after == ':' && digit_octet(after[1])) ||
		    (after + 1 < stop && *after == '.' && digit_octet(after[1])))
			return NULL;
		if (goes_on(after, stop))
			return NULL;
		/* "203.0.113.5#2" is a note; a count stands in parentheses, too. */
		if (octet_is_of(*p, "#(") && *ret < FIRST_FREE_PORT)
			return NULL;
		if ((*p == '(' && (after >= stop || *after != ')')) || (*p == '/' && *ret <= 32))
			return NULL;
		*ret_end = after + (*p == '(');
		return p + 1;
	}
	if (*p == '.' && digit_octet(p[1])) {
		after = scan_port(p + 1, stop, ret);
		*ret_end = after;
		return after && dotted_port(c, at, after) ? p + 1 : NULL;
	}
	if (!octet_is_of(*p, " \t"))
		return NULL;
	p = scan_signs(p, stop, " \t");
	after = scan_port(p, stop, ret);
	if (!after)
		return NULL;
	*ret_end = after;
	if (*ret >= FIRST_FREE_PORT && is_endpoint(after, stop))
		return p;
	if (c->last != NONE && c->addr == c->last && c->x->items[c->last].port_item != NONE &&
	    (after == stop || strchr(" \n,;)", *after)) && c->x->items[c->addr].role == WORD_SOURCE)
		return p;
	return scan_signs(after, stop, " ") < stop &&
			       scan_arrow(scan_signs(after, stop, " "), scan_signs(after, stop, " ") + 4 < stop
										? scan_signs(after, stop, " ") + 4
										: stop)
		       ? p
		       : NULL;
}
