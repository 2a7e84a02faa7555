// SPDX-License-Identifier: BSD-2-Clause
/*
 * Headers of tables: in one line, in one that goes on in the next, in two one above the other; and the one that flow
 * logs of AWS do not have.
 */
#include "complaints/complaint_columns.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "complaints/complaint_line.h"

#define HEADER_TEXT 16384U

struct cell cell_trimmed(const char *at, const char *end)
{
	while (at < end && (!*at || octet_is_of(*at, " \t\r\n\"|#'")))
		at++;
	while (at < end && (!end[-1] || octet_is_of(end[-1], " \t\r\"|'")))
		end--;
	return (struct cell){ at, end };
}

/* The end of a cell. */
static const char *cell_end(const char *at, const char *end, char separator)
{
	int octet = separator == TWO_BLANKS || separator == BLANKS ? ' ' : separator;
	const char *next = memchr(at, octet, (size_t)(end - at));
	bool quoted = false;

	if (!next)
		return end;
	if (separator != TWO_BLANKS && !memchr(at, '"', (size_t)(next - at)))
		return next;
	for (; at < end; at++) {
		quoted ^= *at == '"';
		if (separator == TWO_BLANKS ? *at == ' ' && at + 1 < end && at[1] == ' '
		    : separator == BLANKS   ? *at == ' '
					    : *at == separator && !quoted)
			return at;
	}
	return end;
}

unsigned cells_split(struct cell *cells, const char *at, const char *end, char separator)
{
	unsigned n = 0;

	if (separator == '|' || separator == TWO_BLANKS || separator == BLANKS)
		while (at < end && (*at == ' ' || (*at == '|' && separator == '|')))
			at++;
	while (at <= end && n < COLUMNS) {
		const char *stop = cell_end(at, end, separator);

		cells[n++] = cell_trimmed(at, stop);
		if (stop >= end)
			break;
		at = stop + 1;
		if (separator == TWO_BLANKS || separator == BLANKS)
			while (at < end && *at == ' ')
				at++;
	}
	if (n && separator == '|' && cells[n - 1].begin == cells[n - 1].end)
		n--;
	return n;
}

static bool has_digits(const struct cell *c)
{
	for (const char *p = c->begin; p < c->end; p++)
		if (isdigit((unsigned char)*p) &&
		    (p == c->begin || (!isalpha((unsigned char)p[-1]) && !strchr("+-:", p[-1]))) && p + 1 < c->end &&
		    isdigit((unsigned char)p[1]))
			return true;
	return false;
}

/* Whether names between blanks end as a sentence does. */
static bool is_sentence(const struct table *t)
{
	const struct cell *last = &t->names[t->n - 1];

	return last->end > last->begin && octet_is_of(last->end[-1], ".!?,");
}

/* "c-" and "s-" are of the client and the server in the extended log format of W3C. */
static bool begins_with(const struct cell *c, const char *text)
{
	return (size_t)(c->end - c->begin) > strlen(text) && !memcmp(c->begin, text, strlen(text));
}

/* Whether a column has what has passed since a moment: "offset", "elapsed". */
static bool is_relative(const struct cell *c)
{
	char folded[WORD_TEXT];

	word_fold(c->begin, c->end, folded);
	return word_in_list("offset delta elapsed relative rel since versatz ecoule* desfase trascors* verstreken",
			    folded);
}

/*
 * Whether the names are those of a table of questions. words: blanks are between, so that they may be a sentence: "Our
 * clock is fine".
 */
static bool names_questions(struct table *t, bool words)
{
	unsigned addrs = 0, ports = 0, times = 0, before = 0;
	bool extended = false;

	t->relative = false;
	if (words && is_sentence(t))
		return false;
	for (unsigned i = 0; i < t->n; i++)
		extended |= begins_with(&t->names[i], "c-");
	for (unsigned i = 0; i < t->n; i++) {
		struct label l = label_read(t->names[i].begin, t->names[i].end);

		t->role[i] = 0;
		t->addr[i] = t->port[i] = false;
		t->server[i] = extended && begins_with(&t->names[i], "s-");
		if (has_digits(&t->names[i]) || l.words > 6 || (words && i && l.any == WORD_LINK))
			return false;
		if (l.any & WORD_PORT && !(l.any & WORD_TIME)) {
			ports++;
			t->port[i] = true;
			t->role[i] = (uint8_t)(l.role ? l.role : before);
		} else if (l.any & WORD_TIME ||
			   (l.any & (WORD_EVENT | WORD_END | WORD_OTHER) && !(l.any & (WORD_ADDR | WORD_SOURCE)))) {
			times += (l.any & WORD_TIME) != 0;
		} else if (l.any & WORD_ADDR || (l.any & (WORD_SOURCE | WORD_TARGET) && l.words <= 3) ||
			   (l.words == 1 && l.any & (WORD_FROM | WORD_TO))) {
			addrs++;
			t->addr[i] = true;
			before = l.role ? l.role : l.any & WORD_TO ? WORD_TARGET : WORD_SOURCE;
			continue;
		}
		if (!(l.any & WORD_PORT))
			before = 0;
	}
	t->has_time = times > 0;
	for (unsigned i = 0; i < t->n && addrs; i++)
		t->relative |= is_relative(&t->names[i]);
	return addrs && (ports || times || t->relative) && t->n >= 3;
}

bool columns_named_anew(const struct table *t, bool words)
{
	unsigned ports = 0, addrs = 0, times = 0;

	for (unsigned i = 0; i < t->n_cells; i++) {
		struct label l = label_read(t->cells[i].begin, t->cells[i].end);

		if (has_digits(&t->cells[i]) || l.words > 6)
			return false;
		ports += (l.any & WORD_PORT) != 0;
		times += (l.any & WORD_TIME) != 0;
		addrs += (l.any & (WORD_ADDR | WORD_SOURCE)) != 0 && !(l.any & WORD_PORT);
	}
	return t->n_cells >= 3 && addrs && (ports || times) && (!words || ports + times > 1);
}

/* Whether a name of a column is one of a few in which words are apart by blanks, or by "_", or by nothing. */
static bool is_named(const struct cell *c, const char *first, const char *second)
{
	char one[WORD_TEXT], two[WORD_TEXT];
	const char *p = word_fold(c->begin, c->end, one);

	while (p < c->end && !word_octet(*p))
		p++;
	return word_fold(p, c->end, two) == c->end && !strcmp(one, first) && !strcmp(two, second);
}

/*
 * Firewalls of Palo Alto say when a line was generated, and when a collector received it, which is no time of the
 * event. Beside each other the first is one, and neither is of a report.
 */
static void name_generated(struct table *t)
{
	static const char time[] = "Time";
	bool received = false;

	for (unsigned i = 0; i < t->n; i++)
		received |= is_named(&t->names[i], "receive", "time");
	for (unsigned i = 0; i < t->n && received; i++)
		if (is_named(&t->names[i], "generate", "time") || is_named(&t->names[i], "generated", "time") ||
		    is_named(&t->names[i], "time", "generated"))
			t->names[i] = (struct cell){ time, time + 4 };
}

/* A header at a line. */
static bool read_header(struct table *t, const char *at, const char *end, char *ret)
{
	static const char separators[] = { '\t', ';', ',', '|', TWO_BLANKS, BLANKS };
	const char *begin = scan_signs(at, end, " \t");
	bool fields = end - begin > 7 && *begin == '#' && !strncasecmp(begin, "#fields", 7);
	char folded[WORD_TEXT];

	if (end - begin < 8)
		return false;
	if (fields)
		begin += 7 + (begin[7] == ':');
	else if (word_fold(begin, end, folded) < end && !strcmp(folded, "format"))
		begin += strcspn(begin, ":\n") + 1;
	if (end - begin < 8 || end - begin > (ptrdiff_t)HEADER_TEXT || begin > end)
		return false;
	/* No name of a column has such digits; more columns than octets there are not. */
	if (has_digits(&(struct cell){ begin, end - begin < (ptrdiff_t)COLUMNS ? end : begin + COLUMNS - 1 }))
		return false;
	for (size_t i = 0; i < sizeof(separators); i++) {
		char octet = separators[i];

		if (octet == TWO_BLANKS || octet == BLANKS)
			octet = ' ';
		if (!memchr(begin, octet, (size_t)(end - begin)))
			continue;
		if (separators[i] == TWO_BLANKS && !memmem(begin, (size_t)(end - begin), "  ", 2))
			continue;
		if (!fields && separators[i] == BLANKS && memchr(begin, ':', (size_t)(end - begin)))
			continue;
		t->n = cells_split(t->names, begin + (fields && separators[i] == '\t' && *begin == '\t'), end,
				   separators[i]);
		if (t->n < 3 + (separators[i] == BLANKS) || !names_questions(t, separators[i] == BLANKS))
			continue;
		*ret = separators[i];
		t->line = at;
		t->rows = end;
		for (unsigned k = 0; k < t->n; k++)
			t->at[k] = t->names[k].begin;
		name_generated(t);
		return true;
	}
	return false;
}

/* Whether a line may have names of columns: letters, and no number. */
static bool has_names(const char *at, const char *end)
{
	const char *p = at;

	while (p < end && !isalpha((unsigned char)*p))
		p++;
	return p < end && !has_digits(&(struct cell){ at, end });
}

/* A header of a line that ends with what separates columns, and goes on in the line below. */
static bool read_wrapped(struct table *t, const char *at, const char *end, const char *all, char *ret)
{
	const char *last = end, *stop, *below;

	while (last > at && octet_is_of(last[-1], " \t"))
		last--;
	if (last == at || !octet_is_of(last[-1], "|,;"))
		return false;
	stop = end < all ? line_end(end + 1, all) : end;
	below = scan_signs(end + 1 < all ? end + 1 : all, all, " \t");
	if (stop == end || below >= stop || *below == last[-1] || !has_names(below, stop))
		return false;
	return read_header(t, at, stop, ret) && *ret == last[-1];
}

/* Adds what stands below the name of a column to it. False: there is no room. */
static bool join_name(struct table *t, unsigned column, const char *at, const char *end, size_t *used)
{
	struct cell *name = &t->names[column];
	size_t first = (size_t)(name->end - name->begin), second = (size_t)(end - at);
	char *to = t->joined + *used;

	if (first + second + 1 > JOINED_TEXT - *used)
		return false;
	memcpy(to, name->begin, first);
	to[first] = ' ';
	memcpy(to + first + 1, at, second);
	*name = (struct cell){ to, to + first + 1 + second };
	*used += first + second + 1;
	return true;
}

/*
 * A header of columns of one width each of whose names may go on in the line below: "Source" above "port". What is
 * below belongs to the column in which it begins.
 */
static bool read_two_lines(struct table *t, const char *at, const char *end, const char *all, char *ret)
{
	const char *p = end < all ? end + 1 : all, *line = p, *stop;
	unsigned column = 0, named = 0;
	size_t used = 0;

	t->none = !read_header(t, at, end, ret);
	if (t->none || (*ret != '|' && *ret != TWO_BLANKS))
		return false;
	stop = line_end(p, all);
	if (p >= stop || stop - p > (ptrdiff_t)JOINED_TEXT || !has_names(p, stop))
		return false;
	while (p < stop) {
		const char *begin = p = scan_signs(p, stop, " \t|"), *last = p;

		while (p < stop && *p != '|' && !(*p == ' ' && p + 1 < stop && p[1] == ' '))
			last = *p++ != ' ' ? p : last;
		if (begin == last)
			continue;
		while (column + 1 < t->n && t->at[column + 1] - at <= begin - line)
			column++;
		named |= label_read(begin, last).any & (WORD_PORT | WORD_ADDR | WORD_TIME);
		if (!join_name(t, column, begin, last, &used))
			return false;
	}
	t->rows = stop;
	return named && names_questions(t, false);
}

/* The fields of a flow log of AWS's VPC in its default format, which stands nowhere in it. */
static bool read_flow_log(struct table *t, const char *at, const char *end, char *ret)
{
	static const char names[] = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets "
				    "bytes start end action log-status";
	static const char digits[] = "0123456789";

	if (end - at < 60 || memcmp(at, "2 ", 2) != 0 || strspn(at + 2, digits) != 12 ||
	    memcmp(at + 14, " eni-", 5) != 0)
		return false;
	if (cells_split(t->cells, at, end, BLANKS) != 14 || strspn(t->cells[10].begin, digits) != 10 ||
	    strspn(t->cells[11].begin, digits) != 10)
		return false;
	t->n = cells_split(t->names, names, names + sizeof(names) - 1, BLANKS);
	for (unsigned i = 0; i < t->n; i++)
		t->at[i] = t->cells[i].begin;
	*ret = BLANKS;
	t->line = at;
	t->rows = NULL;
	return names_questions(t, false);
}

bool columns_read(struct table *t, unsigned way, const char *at, const char *line, const char *end, char *ret)
{
	switch (way) {
	case 0:
		return read_flow_log(t, at, line, ret);
	case 1:
		return read_wrapped(t, at, line, end, ret);
	case 2:
		return read_two_lines(t, at, line, end, ret);
	default:
		return !t->none && read_header(t, at, line, ret);
	}
}
