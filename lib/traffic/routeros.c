// SPDX-License-Identifier: BSD-2-Clause
/*
 * RouterOS' connection list, `/ip firewall connection print` with `terse` or `detail`, of versions 6 and 7. `detail`
 * breaks an entry into lines; each entry begins with its number.
 */
#include <ctype.h>
#include <string.h>

#include "traffic/reader.h"
#include "traffic/scan.h"

static bool begins_entry(const char *line)
{
	while (*line == ' ' || *line == '\t')
		line++;
	if (!isdigit((unsigned char)*line))
		return false;
	while (isdigit((unsigned char)*line))
		line++;
	return *line == ' ' || *line == '\t';
}

static bool fits(const char *line)
{
	return begins_entry(line) && strstr(line, "src-address=") &&
	       (strstr(line, "protocol=") || strstr(line, "dst-address="));
}

/* 1d2h3m4s, 23h49m47s, 00:04:59 or 1w2d: seconds. */
static bool scan_length(struct span_text s, int64_t *ret_s)
{
	static const char units[] = "wdhms";
	static const int64_t seconds[] = { 604800, 86400, 3600, 60, 1 };
	int64_t total = 0, part = 0;
	bool colons = false, digits = false;

	if (!s.size || s.size > 24)
		return false;
	for (size_t i = 0; i < s.size; i++) {
		const char *unit = strchr(units, s.at[i]);

		if (isdigit((unsigned char)s.at[i])) {
			part = part * 10 + (s.at[i] - '0');
			digits = true;
			if (part > INT32_MAX)
				return false;
		} else if (s.at[i] == ':' && digits) {
			total = (total + part) * 60;
			part = 0;
			colons = true;
		} else if (s.at[i] == 'm' && i + 1 < s.size && s.at[i + 1] == 's' && digits) {
			/* Milliseconds. */
			part = 0;
			i++;
		} else if (unit && *unit && digits && !colons) {
			total += part * seconds[unit - units];
			part = 0;
		} else {
			return false;
		}
		if (total > INT32_MAX)
			return false;
	}
	*ret_s = total + part;
	return digits;
}

/* An address, with the port or with one of its own key. */
static bool take_place(struct span_text value, uint32_t *addr, uint16_t *port, bool *with_port)
{
	bool both = memchr(value.at, ':', value.size);

	*with_port |= both;
	return both ? scan_endpoint(value, addr, port) : scan_addr(value, addr);
}

struct list_entry {
	struct traffic_flow flow;
	struct span_text state;
	int proto;
	int64_t left_s;
	bool src, dst, sport, dport, left, assured, out_port, bad, other;
};

static void take_port(struct list_entry *e, struct span_text value, uint16_t *port, bool *given)
{
	uint64_t n;

	*given = scan_number(value, 65535, &n);
	e->bad |= !*given;
	*port = (uint16_t)(*given ? n : 0);
}

static void take_word(struct list_entry *e, struct span_text word)
{
	struct traffic_flow *f = &e->flow;
	struct span_text v;

	if (scan_value(word, "protocol", &v)) {
		e->proto = scan_proto(v);
		e->other |= !e->proto;
	} else if (scan_value(word, "src-address", &v)) {
		e->src = take_place(v, &f->src, &f->sport, &e->sport);
		e->bad |= !e->src;
	} else if (scan_value(word, "dst-address", &v)) {
		e->dst = take_place(v, &f->dst, &f->dport, &e->dport);
		e->bad |= !e->dst;
	} else if (scan_value(word, "reply-dst-address", &v)) {
		e->bad |= !take_place(v, &f->out_addr, &f->out_port, &e->out_port);
	} else if (scan_value(word, "src-port", &v)) {
		take_port(e, v, &f->sport, &e->sport);
	} else if (scan_value(word, "dst-port", &v)) {
		take_port(e, v, &f->dport, &e->dport);
	} else if (scan_value(word, "reply-dst-port", &v)) {
		take_port(e, v, &f->out_port, &e->out_port);
	} else if (scan_value(word, "icmp-id", &v)) {
		take_port(e, v, &f->sport, &e->sport);
	} else if (scan_value(word, "tcp-state", &v)) {
		e->state = v;
	} else if (scan_value(word, "timeout", &v)) {
		e->left = scan_length(v, &e->left_s);
		e->bad |= !e->left;
	} else if (scan_value(word, "assured", &v)) {
		e->assured = span_is(v, "yes");
	}
}

/* The letters after an entry's number, as in "12 SAC Fs". */
static bool has_flag(const char *at, char flag)
{
	struct span_text word;

	while (scan_word(&at, &word) && !memchr(word.at, '=', word.size))
		if (memchr(word.at, flag, word.size) && !isdigit((unsigned char)*word.at))
			return true;
	return false;
}

static enum line_is take_entry(struct reading *r, const char *text)
{
	struct list_entry e = { .proto = -1 };
	struct span_text word;
	const char *at = text;
	enum traffic_timer timer;

	e.assured = has_flag(text, 'A');
	while (scan_word(&at, &word)) {
		if (word.size > 1 && word.at[word.size - 1] == '"')
			word.size--;
		take_word(&e, word);
	}
	if (e.other)
		return LINE_OTHER;
	if (e.bad || e.proto < 0 || !e.src || !e.dst || !e.left)
		return strstr(text, "::") ? LINE_OTHER : LINE_GARBAGE;
	if (e.proto != 1 && (!e.sport || !e.dport))
		return LINE_GARBAGE;
	e.flow.proto = (uint8_t)e.proto;
	if (e.proto == 1)
		e.flow.dport = 0;
	timer = e.proto == 1	? TIMER_ICMP
		: e.proto == 17 ? (e.assured ? TIMER_UDP_STREAM : TIMER_UDP)
		: e.state.size	? timer_of_tcp(e.state.at, e.state.size)
				: TIMER_ESTABLISHED;
	if (timer == TIMER_NONE)
		return LINE_GARBAGE;
	reading_timer(r, &e.flow, timer, e.left_s * 1000);
	return reading_take(r, &e.flow);
}

/* The entry is over. Where it is not understood, that is said of its own line, not of the one that follows. */
static enum line_is finish(struct reading *r)
{
	enum line_is is;

	if (!r->in_record)
		return LINE_SILENT;
	is = take_entry(r, r->record);
	if (is == LINE_GARBAGE) {
		bool blank = r->record_size;

		reading_garbage(r->notes, r->record_line, r->record + blank, r->record_size - blank);
		is = LINE_SILENT;
	}
	r->in_record = false;
	r->record_size = 0;
	return is;
}

static void append(struct reading *r, const char *line)
{
	size_t n = strlen(line);

	if (r->record_size + n + 2 > sizeof(r->record))
		return; /* the entry lacks its end, and is not understood */
	r->record[r->record_size++] = ' ';
	memcpy(r->record + r->record_size, line, n + 1);
	r->record_size += n;
}

static enum line_is read_line(struct reading *r, char *line)
{
	enum line_is is = LINE_SILENT;

	while (*line == ' ' && line[1] == ' ')
		line++;
	if (begins_entry(line)) {
		is = finish(r);
		r->in_record = true;
		r->record_line = r->notes->lines;
		append(r, line);
		return is;
	}
	if (!*line)
		return finish(r);
	if (r->in_record && strchr(line, '=')) {
		append(r, line);
		return LINE_SILENT;
	}
	/* "Flags: E - expected …" and its further lines, comments. */
	if (!strncmp(line, "Flags:", 6) || *line == '#' || *line == ';' || strstr(line, " - "))
		return LINE_SILENT;
	return LINE_GARBAGE;
}

const struct reader reader_routeros = {
	.name = "a connection list of RouterOS", .fits = fits, .line = read_line, .end = finish
};
