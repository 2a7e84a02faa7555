// SPDX-License-Identifier: BSD-2-Clause
/*
 * Linux' connection table: `conntrack -L`, with `-o extended`, and /proc/net/nf_conntrack. The first tuple is the
 * packet's that opened the connection, the second the answer's, so its destination is the outside endpoint.
 */
#include <string.h>

#include "traffic/reader.h"
#include "traffic/scan.h"

struct tuple {
	uint32_t src, dst;
	uint64_t sport, dport, id;
	bool has_src, has_dst, has_sport, has_dport, has_id;
};

static bool starts(const char *line, const char *word)
{
	size_t n = strlen(word);

	return !strncmp(line, word, n) && (line[n] == ' ' || line[n] == '\t');
}

static bool fits(const char *line)
{
	return (starts(line, "ipv4") || starts(line, "ipv6") || starts(line, "tcp") || starts(line, "udp") ||
		starts(line, "icmp") || starts(line, "unknown") || starts(line, "gre")) &&
	       strstr(line, "src=") && strstr(line, "dst=");
}

/* Takes a part of a tuple. 1: it is one, 0: it is not, -1: it is not understood. */
static int take_part(struct tuple *t, struct span_text word)
{
	struct span_text value;

	if (scan_value(word, "src", &value))
		return (t->has_src = scan_addr(value, &t->src)) ? 1 : -1;
	if (scan_value(word, "dst", &value))
		return (t->has_dst = scan_addr(value, &t->dst)) ? 1 : -1;
	if (scan_value(word, "sport", &value))
		return (t->has_sport = scan_number(value, 65535, &t->sport)) ? 1 : -1;
	if (scan_value(word, "dport", &value))
		return (t->has_dport = scan_number(value, 65535, &t->dport)) ? 1 : -1;
	if (scan_value(word, "id", &value))
		return (t->has_id = scan_number(value, 65535, &t->id)) ? 1 : -1;
	return 0;
}

struct entry {
	struct tuple tuple[2];
	unsigned tuples;
	struct span_text state;
	bool assured;
	bool seen_type;
};

/* Takes the words after the seconds. False: one is not understood. */
static bool take_words(struct entry *e, const char *at)
{
	struct span_text word, value;

	while (scan_word(&at, &word)) {
		if (scan_value(word, "src", &value) && e->tuples < 2)
			e->tuples++;
		if (!e->tuples && !memchr(word.at, '=', word.size))
			e->state = word;
		else if (span_is(word, "[ASSURED]"))
			e->assured = true;
		/* ICMP has the identifier in each tuple; `id=` after the tuples is the entry's. */
		else if (scan_value(word, "type", &value))
			e->seen_type = true;
		else if (e->tuples &&
			 (!scan_value(word, "id", &value) || (e->seen_type && !e->tuple[e->tuples - 1].has_id)) &&
			 take_part(&e->tuple[e->tuples - 1], word) < 0)
			return false;
	}
	return e->tuples && e->tuple[0].has_src && e->tuple[0].has_dst;
}

static enum traffic_timer timer_of(const struct entry *e, int proto)
{
	if (proto == 1)
		return TIMER_ICMP;
	if (proto == 17)
		return e->assured ? TIMER_UDP_STREAM : TIMER_UDP;
	return e->state.size ? timer_of_tcp(e->state.at, e->state.size) : TIMER_ESTABLISHED;
}

static enum line_is take_entry(struct reading *r, const struct entry *e, int proto, uint64_t left)
{
	const struct tuple *from = &e->tuple[0], *answer = &e->tuple[1];
	struct traffic_flow flow = { .proto = (uint8_t)proto, .src = from->src, .dst = from->dst };
	enum traffic_timer timer = timer_of(e, proto);

	if (timer == TIMER_NONE || (proto == 1 ? !from->has_id : !from->has_sport || !from->has_dport))
		return LINE_GARBAGE;
	flow.sport = (uint16_t)(proto == 1 ? from->id : from->sport);
	flow.dport = (uint16_t)(proto == 1 ? 0 : from->dport);
	if (e->tuples > 1 && answer->has_dst) {
		flow.out_addr = answer->dst;
		flow.out_port = (uint16_t)(proto == 1 ? answer->id : answer->dport);
	}
	reading_timer(r, &flow, timer, (int64_t)left * 1000);
	return reading_take(r, &flow);
}

static enum line_is read_line(struct reading *r, char *line)
{
	const char *at = line;
	struct span_text word;
	struct entry e = { 0 };
	uint64_t number, left;
	int proto;

	if (!scan_word(&at, &word))
		return LINE_SILENT;
	if (span_is(word, "ipv6"))
		return LINE_OTHER;
	if (span_is(word, "ipv4") &&
	    (!scan_word(&at, &word) || !scan_number(word, 255, &number) || !scan_word(&at, &word)))
		return LINE_GARBAGE;
	/* conntrack's last line, where both outputs are in one file. */
	if (span_is(word, "conntrack"))
		return LINE_SILENT;
	proto = scan_proto(word);
	if (proto < 0 || !scan_word(&at, &word) || !scan_number(word, 255, &number))
		return LINE_GARBAGE;
	if (!proto)
		return LINE_OTHER;
	if (!scan_word(&at, &word) || !scan_number(word, UINT32_MAX, &left))
		return LINE_GARBAGE;
	/* The short form does not say ipv6. */
	if (!take_words(&e, at))
		return strchr(at, ':') ? LINE_OTHER : LINE_GARBAGE;
	return take_entry(r, &e, proto, left);
}

const struct reader reader_conntrack = { .name = "a connection table of Linux", .fits = fits, .line = read_line };
