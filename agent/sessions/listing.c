/* SPDX-License-Identifier: BSD-2-Clause */
#include "sessions/listing.h"

#include <string.h>

#include "proto/words.h"

static char *put_text(char *at, const char *text)
{
	return stpcpy(at, text);
}

static char *put_number(char *at, uint32_t n)
{
	char digits[10];
	unsigned i = sizeof(digits);

	do
		digits[--i] = (char)('0' + n % 10);
	while (n /= 10);
	memcpy(at, &digits[i], sizeof(digits) - i);
	return at + sizeof(digits) - i;
}

static char *put_addr(char *at, uint32_t addr)
{
	for (int shift = 24; shift >= 0; shift -= 8) {
		at = put_number(at, addr >> shift & 255);
		*at++ = '.';
	}
	return at - 1;
}

size_t session_text(const struct session *s, char text[static SESSION_TEXT])
{
	const char *proto = word_text(proto_words, s->proto);
	char *at = put_text(text, "{\"proto\":\"");

	at = put_text(at, proto ? proto : "other");
	at = put_text(at, "\",\"in_addr\":\"");
	at = put_addr(at, s->in_addr);
	at = put_text(at, "\",\"in_port\":");
	at = put_number(at, s->in_port);
	at = put_text(at, ",\"out_addr\":\"");
	at = put_addr(at, s->out_addr);
	at = put_text(at, "\",\"out_port\":");
	at = put_number(at, s->out_port);
	at = put_text(at, ",\"ext_addr\":\"");
	at = put_addr(at, s->ext_addr);
	at = put_text(at, "\",\"ext_port\":");
	at = put_number(at, s->ext_port);
	at = put_text(at, ",\"state\":\"");
	at = put_text(at, session_state_name(s->state));
	at = put_text(at, "\",\"expires\":");
	at = put_number(at, s->expires);
	at = put_text(at, "}\n");
	return (size_t)(at - text);
}
