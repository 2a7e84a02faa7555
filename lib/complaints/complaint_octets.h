/* SPDX-License-Identifier: BSD-2-Clause */
/* Text that is decoded step by step, where each octet knows from where it came. */
#ifndef DETNAT_COMPLAINT_OCTETS_H
#define DETNAT_COMPLAINT_OCTETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Octets from `at` on, up to the next run, were handed over one after the other from `from` on, or all of them there.
 */
struct origin {
	uint32_t at;
	uint32_t from : 31, one_place : 1;
};

/* Where each octet of a text was in what was handed over. */
struct origins {
	struct origin *runs;
	size_t n, room;
	size_t last; /* the run that was asked for before: most are asked for in their order */
};

/* A text that grows. */
struct octets {
	char *text;
	struct origins from;
	uint32_t expected; /* 1 + where the next octet was if it is of the last run; 0: it is of none */
	size_t size, room;
	bool failed; /* out of memory: nothing is added any more */
	bool turned; /* it is shown from right to left */
};

#define _cleanup_octets_ __attribute__((cleanup(octets_free)))

void octets_free(struct octets *o);

/* Makes room for more octets and a NUL; sets failed. */
void octets_grow(struct octets *o, size_t more);

/* Notes that the next octet, or several, come from a place that does not follow; sets failed. */
void octets_jump(struct octets *o, uint32_t from, bool several);

static inline void octet_put(struct octets *o, char c, uint32_t from)
{
	if (o->size + 1 >= o->room)
		octets_grow(o, 1);
	if (o->expected != from + 1)
		octets_jump(o, from, false);
	if (o->failed)
		return;
	o->text[o->size++] = c;
	o->expected += !o->from.runs[o->from.n - 1].one_place;
}

/* Adds octets that follow each other. */
void octets_put(struct octets *o, const char *at, size_t size, uint32_t from);

/* Takes off what is behind a place. */
void octets_cut(struct octets *o, size_t size);

/* Where an octet of a text was. */
uint32_t origin_find(struct origins *o, uint32_t at);

static inline uint32_t origin_of(struct origins *o, uint32_t at)
{
	const struct origin *run = &o->runs[o->last];

	if (at < run->at || (o->last + 1 < o->n && at >= run[1].at))
		return origin_find(o, at);
	return run->one_place ? run->from : run->from + (at - run->at);
}

/* A part of a text. */
struct span {
	const char *text, *end;
	struct origins *from; /* of its whole; NULL: its octets were handed over as they are */
	uint32_t first;	      /* octet of the whole */
};

static inline uint32_t span_from(const struct span *s, const char *at)
{
	uint32_t i = s->first + (uint32_t)(at - s->text);

	return s->from ? origin_of(s->from, i) : i;
}

/* The part of a span from one place to another. */
static inline struct span span_of(const struct span *s, const char *at, const char *end)
{
	return (struct span){ at, end, s->from, s->first + (uint32_t)(at - s->text) };
}

static inline struct span octets_span(struct octets *o)
{
	static const char nothing[] = "";

	return (struct span){ o->size ? o->text : nothing, o->size ? o->text + o->size : nothing, &o->from, 0 };
}

/* Quoted-printable and base64 (RFC 2045 sections 6.7, 6.8). What was cut off within a line goes, with the whole line.
 */
void octets_quoted(const struct span *s, struct octets *out);
/* Returns false if the text was cut off. */
bool octets_base64(const struct span *s, struct octets *out);

/* Lines of format=flowed that go on (RFC 3676) become one; unspaced: the blanks between are none (DelSp=yes). */
void octets_flowed(const struct span *s, bool unspaced, struct octets *out);

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

/* Whether a character is not seen: it may stand within an address. */
bool octets_invisible(uint32_t code);

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
