// SPDX-License-Identifier: BSD-2-Clause
/* The formats of detnat: `detnatctl --json session list`, and the neutral line TIME PROTO IN:PORT EXT:PORT [OUT:PORT]
 * [END]. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "traffic/reader.h"
#include "traffic/scan.h"

/* The value of a key of an object without further objects, without quotation marks. */
static bool json_value(const char *object, const char *key, struct span_text *ret)
{
	char quoted[24];
	const char *at;

	if (strlen(key) + 3 > sizeof(quoted))
		return false;
	quoted[0] = '"';
	strcpy(quoted + 1, key);
	strcat(quoted, "\"");
	at = strstr(object, quoted);
	if (!at)
		return false;
	at += strlen(quoted);
	at += strspn(at, " \t");
	if (*at++ != ':')
		return false;
	at += strspn(at, " \t");
	if (*at == '"')
		*ret = (struct span_text){ at + 1, strcspn(at + 1, "\"") };
	else
		*ret = (struct span_text){ at, strcspn(at, ", \t}]") };
	return true;
}

static bool json_place(const char *object, const char *addr_key, const char *port_key, uint32_t *addr, uint16_t *port)
{
	struct span_text value;
	uint64_t n;

	if (!json_value(object, addr_key, &value) || !scan_addr(value, addr) || !json_value(object, port_key, &value) ||
	    !scan_number(value, 65535, &n))
		return false;
	*port = (uint16_t)n;
	return true;
}

/* The state of that name, and the timer of a table of detnat's. */
static bool state_named(struct span_text name, uint8_t *ret_state, enum traffic_timer *ret_timer)
{
	static const struct {
		uint8_t state;
		const char *name;
	} states[] = {
#define X(constant, value, word, timeout) { constant, word },
		SESSION_STATES(X)
#undef X
			{ SESSION_TRANSITORY | SESSION_RESET, SESSION_RESET_NAME },
	};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (!span_is(name, states[i].name))
			continue;
		*ret_state = states[i].state;
		*ret_timer = states[i].state == SESSION_UDP	      ? TIMER_UDP
			     : states[i].state == SESSION_ICMP	      ? TIMER_ICMP
			     : states[i].state == SESSION_ESTABLISHED ? TIMER_ESTABLISHED
								      : TIMER_FIN_WAIT;
		return true;
	}
	return false;
}

static enum line_is take_object(struct reading *r, const char *object)
{
	struct traffic_flow flow = { 0 };
	struct span_text value;
	enum traffic_timer timer;
	uint64_t left;
	uint8_t state;
	int proto;

	if (!json_value(object, "proto", &value))
		return LINE_GARBAGE;
	proto = scan_proto(value);
	if (proto < 0 || !json_place(object, "in_addr", "in_port", &flow.src, &flow.sport) ||
	    !json_place(object, "ext_addr", "ext_port", &flow.dst, &flow.dport) ||
	    !json_value(object, "state", &value) || !state_named(value, &state, &timer) ||
	    !json_value(object, "expires", &value) || !scan_number(value, UINT32_MAX, &left))
		return LINE_GARBAGE;
	if (!proto)
		return LINE_OTHER;
	json_place(object, "out_addr", "out_port", &flow.out_addr, &flow.out_port);
	flow.proto = (uint8_t)proto;
	reading_timer(r, &flow, timer, (int64_t)left * 1000);
	flow.state = state;
	return reading_take(r, &flow);
}

static bool sessions_fit(const char *line)
{
	line += strspn(line, " \t[{");
	return *line == '"' &&
	       (strstr(line, "\"in_addr\"") || strstr(line, "\"proto\"") || strstr(line, "\"out_addr\""));
}

static enum line_is sessions_line(struct reading *r, char *line)
{
	enum line_is is = LINE_SILENT, one;

	for (const char *at = line; *at; at++) {
		if (*at == '{') {
			r->in_record = true;
			r->record_size = 0;
		}
		if (!r->in_record) {
			if (!strchr(" \t,[]", *at))
				is = LINE_GARBAGE;
			continue;
		}
		if (r->record_size + 2 < sizeof(r->record))
			r->record[r->record_size++] = *at;
		if (*at != '}')
			continue;
		r->record[r->record_size] = '\0';
		r->in_record = false;
		one = take_object(r, r->record);
		is = one == LINE_TAKEN && is != LINE_GARBAGE ? LINE_TAKEN : one;
		if (one == LINE_FAILED)
			return one;
	}
	return is;
}

static enum line_is sessions_end(struct reading *r)
{
	r->notes->cut |= r->in_record;
	return LINE_SILENT;
}

const struct reader reader_sessions = { .name = "sessions of detnat (JSON)",
					.fits = sessions_fit,
					.line = sessions_line,
					.end = sessions_end,
					.in_pieces = true };

static enum line_is neutral_line(struct reading *r, char *line)
{
	struct traffic_flow flow = { 0 };
	struct span_text word;
	const char *at = line;
	bool naive, end_naive = false;
	int proto;

	if (!scan_word(&at, &word) || *word.at == '#')
		return LINE_SILENT;
	if (!scan_time(word, &flow.first_ms, &naive) || !scan_word(&at, &word))
		return LINE_GARBAGE;
	proto = scan_proto(word);
	if (proto < 0 || !scan_word(&at, &word) || !scan_endpoint(word, &flow.src, &flow.sport) ||
	    !scan_word(&at, &word) || !scan_endpoint(word, &flow.dst, &flow.dport))
		return LINE_GARBAGE;
	flow.last_ms = flow.first_ms;
	if (scan_word(&at, &word)) {
		bool more = true;

		if (scan_endpoint(word, &flow.out_addr, &flow.out_port))
			more = scan_word(&at, &word);
		if (more) {
			if (!scan_time(word, &flow.last_ms, &end_naive) || flow.last_ms < flow.first_ms ||
			    scan_word(&at, &word))
				return LINE_GARBAGE;
			flow.exact = true;
		}
	}
	if (!proto)
		return LINE_OTHER;
	r->notes->naive |= naive || end_naive;
	flow.proto = (uint8_t)proto;
	if (proto == 1)
		flow.dport = 0;
	flow.state = proto == 6 ? SESSION_ESTABLISHED : proto == 17 ? SESSION_UDP : SESSION_ICMP;
	return reading_take(r, &flow);
}

static bool neutral_fits(const char *line)
{
	struct span_text word;
	int64_t ms;
	bool naive;
	uint32_t addr;
	uint16_t port;

	return scan_word(&line, &word) && scan_time(word, &ms, &naive) && scan_word(&line, &word) &&
	       scan_proto(word) >= 0 && scan_word(&line, &word) && scan_endpoint(word, &addr, &port);
}

const struct reader reader_neutral = { .name = "lines of TIME PROTO IN:PORT EXT:PORT [OUT:PORT] [END]",
				       .fits = neutral_fits,
				       .line = neutral_line };
