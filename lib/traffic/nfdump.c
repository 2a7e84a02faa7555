// SPDX-License-Identifier: BSD-2-Clause
/*
 * What nfdump prints: flows as CSV, whose columns are found by the names in the header, of 1.6 and 1.7; and NAT events,
 * `-o nel` and `-o nsel`, or a CSV with a column of events.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "traffic/reader.h"
#include "traffic/scan.h"

#define MAX_COLUMNS 128U

static const struct {
	const char *name;
	enum csv_column column;
} names[] = {
	{ "ts", CSV_FIRST },
	{ "firstSeen", CSV_FIRST },
	{ "tsr", CSV_FIRST },
	{ "te", CSV_LAST },
	{ "lastSeen", CSV_LAST },
	{ "td", CSV_DURATION },
	{ "duration", CSV_DURATION },
	{ "sa", CSV_SRC },
	{ "srcAddr", CSV_SRC },
	{ "da", CSV_DST },
	{ "dstAddr", CSV_DST },
	{ "sp", CSV_SPORT },
	{ "srcPort", CSV_SPORT },
	{ "dp", CSV_DPORT },
	{ "dstPort", CSV_DPORT },
	{ "pr", CSV_PROTO },
	{ "proto", CSV_PROTO },
	{ "flg", CSV_FLAGS },
	{ "flags", CSV_FLAGS },
	{ "tcpFlags", CSV_FLAGS },
	{ "sampling", CSV_SAMPLING },
	{ "smplng", CSV_SAMPLING },
	{ "samplingInterval", CSV_SAMPLING },
	{ "nevt", CSV_EVENT },
	{ "evt", CSV_EVENT },
	{ "event", CSV_EVENT },
	{ "natEvent", CSV_EVENT },
	{ "nsa", CSV_OUT_ADDR },
	{ "xsa", CSV_OUT_ADDR },
	{ "srcXlateAddr", CSV_OUT_ADDR },
	{ "xlateSrcAddr", CSV_OUT_ADDR },
	{ "nsp", CSV_OUT_PORT },
	{ "xsp", CSV_OUT_PORT },
	{ "srcXlatePort", CSV_OUT_PORT },
	{ "xlateSrcPort", CSV_OUT_PORT },
};

static struct span_text trimmed(struct span_text s)
{
	while (s.size && (*s.at == ' ' || *s.at == '"')) {
		s.at++;
		s.size--;
	}
	while (s.size && (s.at[s.size - 1] == ' ' || s.at[s.size - 1] == '"' || s.at[s.size - 1] == '\r'))
		s.size--;
	return s;
}

/* Splits a line at its commas; returns how many fields it has. */
static unsigned split(const char *line, struct span_text field[static MAX_COLUMNS])
{
	unsigned n = 0;

	while (n < MAX_COLUMNS) {
		const char *comma = strchr(line, ',');

		field[n++] = trimmed((struct span_text){ line, comma ? (size_t)(comma - line) : strlen(line) });
		if (!comma)
			break;
		line = comma + 1;
	}
	return n;
}

static bool csv_header(const char *line, unsigned ret[static N_CSV])
{
	struct span_text field[MAX_COLUMNS];
	unsigned n, found[N_CSV] = { 0 };

	if (!strchr(line, ','))
		return false;
	n = split(line, field);
	for (unsigned i = 0; i < n; i++)
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
			if (span_is(field[i], names[k].name) && !found[names[k].column])
				found[names[k].column] = i + 1;
	if (!found[CSV_FIRST] || !found[CSV_SRC] || !found[CSV_DST] || !found[CSV_SPORT] || !found[CSV_DPORT] ||
	    !found[CSV_PROTO])
		return false;
	memcpy(ret, found, sizeof(found));
	return true;
}

/* Whether a line beside the flows says that they are sampled. */
static bool says_sampled(const char *line)
{
	const char *at = strcasestr(line, "sampl"), *number;
	unsigned long last = 0;

	if (!at || strcasestr(line, "unsampled"))
		return false;
	if (!strncasecmp(at, "sampled", 7))
		return true;
	for (number = at; *number; number++)
		if (isdigit((unsigned char)*number))
			last = strtoul(number, (char **)&number, 10), number--;
	return last > 1;
}

static bool csv_fits(const char *line)
{
	unsigned columns[N_CSV];

	return csv_header(line, columns);
}

/* The state after a flow's last packet, by the flags of all of them, as "...AP.SF" or a number. */
static uint8_t state_of(int proto, struct span_text flags)
{
	uint64_t n = 0;
	bool fin, syn, rst, ack;

	if (proto != 6)
		return proto == 17 ? SESSION_UDP : SESSION_ICMP;
	if (!flags.size)
		return SESSION_ESTABLISHED;
	if (scan_number(flags, 255, &n)) {
		fin = n & 1;
		syn = n & 2;
		rst = n & 4;
		ack = n & 16;
	} else {
		fin = memchr(flags.at, 'F', flags.size);
		syn = memchr(flags.at, 'S', flags.size);
		rst = memchr(flags.at, 'R', flags.size);
		ack = memchr(flags.at, 'A', flags.size);
	}
	if (rst)
		return SESSION_TRANSITORY | SESSION_RESET;
	if (fin)
		return SESSION_TIME_WAIT;
	return syn && !ack ? SESSION_SYN_SENT : SESSION_ESTABLISHED;
}

enum event_is { EVENT_IS_NONE, EVENT_IS_BEGIN, EVENT_IS_END, EVENT_IS_OTHER };

static enum event_is event_of(struct span_text s)
{
	if (span_is(s, "ADD") || span_is(s, "CREATE") || span_is(s, "CREATED") || span_is(s, "4"))
		return EVENT_IS_BEGIN;
	if (span_is(s, "DELETE") || span_is(s, "DELETED") || span_is(s, "5"))
		return EVENT_IS_END;
	return span_is(s, "INVALID") || !s.size || span_is(s, "0") ? EVENT_IS_NONE : EVENT_IS_OTHER;
}

static enum line_is take_event(struct reading *r, enum event_is event, const struct traffic_flow *flow)
{
	return event == EVENT_IS_BEGIN ? event_begins(r, flow)
	       : event == EVENT_IS_END ? event_ends(r, flow)
				       : LINE_OTHER;
}

static struct span_text column(const struct reading *r, const struct span_text *field, unsigned n, enum csv_column c)
{
	return r->csv[c] && r->csv[c] <= n ? field[r->csv[c] - 1] : (struct span_text){ "", 0 };
}

/* The time of the last packet, from its column or the duration in seconds, or H:MM:SS. */
static bool last_of(const struct reading *r, const struct span_text *field, unsigned n, struct traffic_flow *flow)
{
	struct span_text last = column(r, field, n, CSV_LAST), duration = column(r, field, n, CSV_DURATION);
	char text[32], *end;
	double seconds = 0, part;
	bool naive;

	if (last.size)
		return scan_time(last, &flow->last_ms, &naive) && flow->last_ms >= flow->first_ms;
	flow->last_ms = flow->first_ms;
	if (!duration.size)
		return true;
	if (duration.size >= sizeof(text))
		return false;
	memcpy(text, duration.at, duration.size);
	text[duration.size] = '\0';
	end = text;
	do {
		char *from = end + (*end == ':');

		part = strtod(from, &end);
		if (end == from)
			return false;
		seconds = seconds * 60 + part;
	} while (*end == ':');
	if (*end || !(seconds >= 0) || seconds > 1e9)
		return false;
	flow->last_ms += (int64_t)(seconds * 1000);
	return true;
}

static enum line_is csv_flow(struct reading *r, const struct span_text *field, unsigned n)
{
	struct traffic_flow flow = { 0 };
	int proto = scan_proto(column(r, field, n, CSV_PROTO));
	struct span_text src = column(r, field, n, CSV_SRC), dst = column(r, field, n, CSV_DST);
	uint64_t number;
	enum event_is event;
	bool naive;

	if (scan_number(column(r, field, n, CSV_SAMPLING), UINT32_MAX, &number) && number > 1)
		return LINE_SAMPLED;
	if (proto < 0 || !scan_time(column(r, field, n, CSV_FIRST), &flow.first_ms, &naive))
		return LINE_GARBAGE;
	if (!proto || (src.size && memchr(src.at, ':', src.size)))
		return LINE_OTHER;
	if (!scan_addr(src, &flow.src) || !scan_addr(dst, &flow.dst))
		return LINE_GARBAGE;
	flow.proto = (uint8_t)proto;
	/* The ports of ICMP are its type and code; there is no identifier. */
	if (proto != 1) {
		if (!scan_number(column(r, field, n, CSV_SPORT), 65535, &number))
			return LINE_GARBAGE;
		flow.sport = (uint16_t)number;
		if (!scan_number(column(r, field, n, CSV_DPORT), 65535, &number))
			return LINE_GARBAGE;
		flow.dport = (uint16_t)number;
	}
	if (scan_addr(column(r, field, n, CSV_OUT_ADDR), &flow.out_addr) &&
	    scan_number(column(r, field, n, CSV_OUT_PORT), 65535, &number))
		flow.out_port = (uint16_t)number;
	if (!last_of(r, field, n, &flow))
		return LINE_GARBAGE;
	r->notes->naive |= naive;
	flow.state = state_of(proto, column(r, field, n, CSV_FLAGS));
	event = r->csv[CSV_EVENT] ? event_of(column(r, field, n, CSV_EVENT)) : EVENT_IS_NONE;
	return event == EVENT_IS_NONE ? reading_take(r, &flow) : take_event(r, event, &flow);
}

static enum line_is csv_line(struct reading *r, char *line)
{
	struct span_text field[MAX_COLUMNS];

	if (!*line)
		return LINE_SILENT;
	if (isalpha((unsigned char)*line) && csv_header(line, r->csv)) {
		r->in_record = true;
		return LINE_SILENT;
	}
	/* The summary: its lines until the next header are no flows. */
	if (!strncmp(line, "Summary", 7))
		r->in_record = false;
	if (*line == '#' || !strncmp(line, "No matching flows", 17) || !r->in_record)
		return says_sampled(line) ? LINE_SAMPLED : LINE_SILENT;
	return csv_flow(r, field, split(line, field));
}

const struct reader reader_nfdump_csv = {
	.name = "flows as nfdump prints them (CSV)", .fits = csv_fits, .line = csv_line, .end = events_finish
};

static bool events_fit(const char *line)
{
	return strstr(line, "X-Src IP Addr:Port") && strstr(line, "Event");
}

/* "ADDR:PORT -> ADDR:PORT". False: it is not understood. */
static bool take_pair(const char **at, uint32_t *a, uint16_t *a_port, uint32_t *b, uint16_t *b_port, bool *ret_other)
{
	struct span_text first, arrow, second;

	if (!scan_word(at, &first) || !scan_word(at, &arrow) || !span_is(arrow, "->") || !scan_word(at, &second))
		return false;
	/* IPv6 is printed with a dot before the port, ICMP with one in the second. */
	*ret_other |= !scan_endpoint(first, a, a_port);
	if (!scan_endpoint(second, b, b_port)) {
		const char *colon = memchr(second.at, ':', second.size);

		*b_port = 0;
		*ret_other |= !colon || !scan_addr((struct span_text){ second.at, (size_t)(colon - second.at) }, b);
	}
	return true;
}

static enum line_is events_line(struct reading *r, char *line)
{
	struct traffic_flow flow = { 0 };
	struct span_text date, clock, event, proto;
	const char *at = line;
	uint32_t x_dst;
	uint16_t x_dport;
	bool naive, other = false;
	int number;

	if (!*line || events_fit(line)) {
		r->csv[CSV_EVENT] |= *line && strstr(line, "XEvent");
		return LINE_SILENT;
	}
	if (says_sampled(line))
		return LINE_SAMPLED;
	if (!isdigit((unsigned char)*line))
		return strchr(line, ':') ? LINE_SILENT : LINE_GARBAGE;
	if (!scan_word(&at, &date) || !scan_word(&at, &clock) || !scan_word(&at, &event) ||
	    (r->csv[CSV_EVENT] && !scan_word(&at, &proto)) || !scan_word(&at, &proto))
		return LINE_GARBAGE;
	date.size = (size_t)(clock.at + clock.size - date.at);
	number = scan_proto(proto);
	if (number < 0 || !scan_time(date, &flow.first_ms, &naive) ||
	    !take_pair(&at, &flow.src, &flow.sport, &flow.dst, &flow.dport, &other) ||
	    !take_pair(&at, &flow.out_addr, &flow.out_port, &x_dst, &x_dport, &other))
		return LINE_GARBAGE;
	if (!number || other)
		return LINE_OTHER;
	r->notes->naive |= naive;
	flow.proto = (uint8_t)number;
	if (number == 1)
		flow.dport = 0;
	flow.last_ms = flow.first_ms;
	flow.state = state_of(number, (struct span_text){ "", 0 });
	return take_event(r, event_of(event), &flow);
}

const struct reader reader_nat_events = {
	.name = "NAT events as nfdump prints them", .fits = events_fit, .line = events_line, .end = events_finish
};
