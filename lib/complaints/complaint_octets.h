/* SPDX-License-Identifier: BSD-2-Clause */
/* Text that is decoded step by step, where each octet knows from where it came. */
#ifndef DETNAT_COMPLAINT_OCTETS_H
#define DETNAT_COMPLAINT_OCTETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A text that grows. */
struct octets {
	char *text;
	uint32_t *from; /* of each octet, its place in what was handed over */
	size_t size, room;
	bool failed; /* out of memory: nothing is added any more */
};

#define _cleanup_octets_ __attribute__((cleanup(octets_free)))

void octets_free(struct octets *o);

/* Makes room for one more octet and a NUL; sets failed. */
void octets_grow(struct octets *o);

static inline void octet_put(struct octets *o, char c, uint32_t from)
{
	if (o->size + 1 >= o->room)
		octets_grow(o);
	if (o->failed)
		return;
	o->from[o->size] = from;
	o->text[o->size++] = c;
}

/* A part of a text. */
struct span {
	const char *text, *end;
	const uint32_t *from; /* of each octet; NULL: they are one after the other from `first` on */
	uint32_t first;
};

static inline uint32_t span_from(const struct span *s, const char *at)
{
	return s->from ? s->from[at - s->text] : s->first + (uint32_t)(at - s->text);
}

/* The part of a span from one place to another. */
static inline struct span span_of(const struct span *s, const char *at, const char *end)
{
	return (struct span){ at, end, s->from ? s->from + (at - s->text) : NULL,
			      s->from ? 0 : s->first + (uint32_t)(at - s->text) };
}

static inline struct span octets_span(const struct octets *o)
{
	static const char nothing[] = "";

	return (struct span){ o->size ? o->text : nothing, o->size ? o->text + o->size : nothing, o->from, 0 };
}

/* Quoted-printable and base64 (RFC 2045 sections 6.7, 6.8). What was cut off within a line goes, with the whole line.
 */
void octets_quoted(const struct span *s, struct octets *out);
/* Returns false if the text was cut off. */
bool octets_base64(const struct span *s, struct octets *out);

/* Lines of format=flowed that go on (RFC 3676) become one. */
void octets_flowed(const struct span *s, struct octets *out);

/* How the octets of a text are to be read. */
enum charset_kind {
	CHARSET_UTF8,	/* what is none in it is of windows-1252 */
	CHARSET_SINGLE, /* of one octet each; by a table */
	CHARSET_UTF16,	/* in either order, by its mark, or by where its NULs are */
	CHARSET_UNKNOWN,
};

struct charset {
	enum charset_kind kind;
	char name[40];
	uint16_t high[128]; /* the characters from 0x80 on, of CHARSET_SINGLE */
};

/* By its name in a mail. */
void charset_find(const char *name, struct charset *ret);

/* Whether a text is of 16 bits, by its first octets. */
bool charset_wide(const struct span *s);

/*
 * To UTF-8, with signs of other scripts as those of ASCII, where they mean the same, without what is invisible, and
 * with dots as they were in addresses that must not be clicked: 203[.]0[.]113[.]36. Line ends become line feeds.
 */
void octets_text(const struct span *s, const struct charset *set, struct octets *out);

/* The text of HTML. What a browser would not show, such as scripts and comments, is no part of it. */
void octets_untag(const struct span *s, struct octets *out);

/* Whether a text has tags of HTML. */
bool octets_tagged(const struct span *s);

#endif
