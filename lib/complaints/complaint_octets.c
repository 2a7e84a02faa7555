// SPDX-License-Identifier: BSD-2-Clause
/* Texts that grow, and the encodings of MIME for their transfer. */
#include "complaints/complaint_octets.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define FIRST_ROOM 4096U

void octets_free(struct octets *o)
{
	free(o->text);
	free(o->from);
	*o = (struct octets){ 0 };
}

void octets_grow(struct octets *o)
{
	size_t room = o->room ? o->room * 2 : FIRST_ROOM;
	char *text = o->failed ? NULL : realloc(o->text, room);
	uint32_t *from = text ? reallocarray(o->from, room, sizeof(*from)) : NULL;

	o->text = text ? text : o->text;
	o->from = from ? from : o->from;
	o->failed = !from;
	o->room = from ? room : o->room;
}

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

/* Behind a line's end that is none, at '='; NULL: it is none. Blanks at the end of a line were added on the way. */
static const char *soft_break(const char *at, const char *end)
{
	for (at++; at < end && (*at == ' ' || *at == '\t' || *at == '\r');)
		at++;
	return at < end && *at == '\n' ? at + 1 : NULL;
}

void octets_quoted(const struct span *s, struct octets *out)
{
	const char *at = s->text, *after;

	while (at < s->end) {
		int high = *at == '=' && s->end - at > 2 ? hex(at[1]) : -1, low = high >= 0 ? hex(at[2]) : -1;

		if (low >= 0) {
			octet_put(out, (char)(high << 4 | low), span_from(s, at));
			at += 3;
		} else if (*at == '=' && (after = soft_break(at, s->end))) {
			at = after;
		} else {
			octet_put(out, *at, span_from(s, at));
			at++;
		}
	}
}

static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Of a text that was cut off, the last line is none: its numbers may be shorter than they were. */
static void drop_line(struct octets *out, size_t begin)
{
	while (out->size > begin && out->text[out->size - 1] != '\n')
		out->size--;
}

bool octets_base64(const struct span *s, struct octets *out)
{
	const char *at = s->text, *line = at;
	size_t begin = out->size;
	uint32_t bits = 0;
	unsigned have = 0, sextets = 0;

	for (; at < s->end && *at != '='; at++) {
		if (*at == '\n')
			line = at + 1;
		if (sextet(*at) < 0)
			continue;
		bits = bits << 6 | (uint32_t)sextet(*at);
		sextets++;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		octet_put(out, (char)(bits >> have & 255), span_from(s, line));
	}
	if (at < s->end || sextets % 4 == 0)
		return true;
	drop_line(out, begin);
	return false;
}

void octets_flowed(const struct span *s, struct octets *out)
{
	const char *line = s->text;

	for (const char *at = line; at < s->end; at++) {
		/* A quoted line and the line before a signature are not joined. */
		bool joins = *at == '\n' && at > line && at[-1] == ' ' && *line != '>' && at - line != 3 &&
			     at + 1 < s->end && at[1] != '>' && at[1] != '\n';

		if (*at == '\n')
			line = at + 1;
		if (!joins)
			octet_put(out, *at, span_from(s, at));
	}
}
