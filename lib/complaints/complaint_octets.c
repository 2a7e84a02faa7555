// SPDX-License-Identifier: BSD-2-Clause
/* Texts that grow, and the encodings of MIME for their transfer. */
#include "complaints/complaint_octets.h"

#include <stdlib.h>
#include <string.h>

#include "base/array_grow.h"
#include "base/base.h"
#include "base/search.h"

#define FIRST_ROOM 4096U

void octets_free(struct octets *o)
{
	free(o->text);
	free(o->from.runs);
	*o = (struct octets){ 0 };
}

void octets_grow(struct octets *o, size_t more)
{
	size_t room = o->room ? o->room * 2 : FIRST_ROOM;
	char *text;

	while (room <= o->size + more)
		room *= 2;
	text = o->failed ? NULL : realloc(o->text, room);
	o->failed = !text;
	o->text = text ? text : o->text;
	o->room = text ? room : o->room;
}

void octets_jump(struct octets *o, uint32_t from, bool several)
{
	struct origins *f = &o->from;
	struct origin *last = f->n ? &f->runs[f->n - 1] : NULL;

	o->expected = from + 1;
	if (!several && last && o->size - last->at == 1 && last->from == from) {
		last->one_place = true;
		return;
	}
	if (o->failed || array_grow(&f->runs, f->n, &f->room, sizeof(*f->runs)))
		o->failed = true;
	else
		f->runs[f->n++] = (struct origin){ .at = (uint32_t)o->size, .from = from & INT32_MAX };
}

void octets_put(struct octets *o, const char *at, size_t size, uint32_t from)
{
	if (o->size + size >= o->room)
		octets_grow(o, size);
	if (size && (o->expected != from + 1 || o->from.runs[o->from.n - 1].one_place))
		octets_jump(o, from, true);
	if (o->failed || !size)
		return;
	memcpy(o->text + o->size, at, size);
	o->size += size;
	o->expected = from + (uint32_t)size + 1;
}

void octets_cut(struct octets *o, size_t size)
{
	struct origins *f = &o->from;

	while (f->n && f->runs[f->n - 1].at >= size)
		f->n--;
	f->last = 0;
	o->size = size;
	o->expected = 0;
}

uint32_t origin_find(struct origins *o, uint32_t at)
{
	size_t next = o->last + 1;

	if (next < o->n && o->runs[next].at <= at && (next + 1 == o->n || at < o->runs[next + 1].at))
		o->last = next;
	else
		o->last = count_while(i, o->n, o->runs[i].at <= at) - 1;
	return origin_of(o, at);
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
	size_t size = out->size;

	while (size > begin && out->text[size - 1] != '\n')
		size--;
	octets_cut(out, size);
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

void octets_flowed(const struct span *s, bool unspaced, struct octets *out)
{
	const char *line = s->text;

	for (const char *at = line; at < s->end; at++) {
		/* A quoted line and the line before a signature are not joined. */
		bool joins = *at == '\n' && at > line && at[-1] == ' ' && *line != '>' && at - line != 3 &&
			     at + 1 < s->end && at[1] != '>' && at[1] != '\n';

		if (*at == '\n')
			line = at + 1;
		if (joins && unspaced)
			octets_cut(out, out->size - 1);
		if (!joins)
			octet_put(out, *at, span_from(s, at));
	}
}
