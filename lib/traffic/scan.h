/* SPDX-License-Identifier: BSD-2-Clause */
/* Words of a line: numbers, addresses and times, for the readers of traffic. */
#ifndef DETNAT_TRAFFIC_SCAN_H
#define DETNAT_TRAFFIC_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A part of a line; the characters are the line's. */
struct span_text {
	const char *at;
	size_t size;
};

static inline bool span_is(struct span_text s, const char *word)
{
	return strlen(word) == s.size && !memcmp(s.at, word, s.size);
}

/* Moves past blanks and takes the next word; false: none is left. */
bool scan_word(const char **at, struct span_text *ret);

/* Takes the value of KEY=VALUE if the word has that key. */
bool scan_value(struct span_text word, const char *key, struct span_text *ret);

/* The same, the whole span being the value: decimal digits up to max, a dotted address, an address with :PORT. */
bool scan_number(struct span_text s, uint64_t max, uint64_t *ret);
bool scan_addr(struct span_text s, uint32_t *ret);
bool scan_endpoint(struct span_text s, uint32_t *ret_addr, uint16_t *ret_port);

/*
 * A time: seconds since 1970 with a fraction or without, or YYYY-MM-DD, a T or blank, HH:MM:SS, a fraction, and Z or
 * +HH:MM or nothing (*ret_naive is set then). Milliseconds since 1970.
 */
bool scan_time(struct span_text s, int64_t *ret_ms, bool *ret_naive);

/* 17, udp: the protocol, 1, 6 or 17; 0 for another one by name or number, -1 if it is neither. */
int scan_proto(struct span_text s);

#endif
