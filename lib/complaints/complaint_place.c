// SPDX-License-Identifier: BSD-2-Clause
/* Lines and columns of what was handed over, of which a landmark now and then is kept: no text is counted twice. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/base.h"
#include "complaints/complaint_private.h"

/* Octets from one landmark to the next. */
#define STRIDE	    64U
#define LINE_MARKED 80U

/* Octets that do not begin a character. */
static bool continues(char c)
{
	return ((uint8_t)c & 0xc0) == 0x80;
}

static void step(struct landmark *m, char c, char next)
{
	if (c == '\n') {
		m->line++;
		m->column = 1;
	} else {
		m->column += !continues(next);
	}
}

int complaint_survey(struct reading *x)
{
	struct landmark m = { 1, 1 };

	x->landmarks = reallocarray(NULL, x->whole.size / STRIDE + 1, sizeof(*x->landmarks));
	if (!x->landmarks)
		return -ENOMEM;
	for (size_t i = 0; i <= x->whole.size; i++) {
		if (i % STRIDE == 0)
			x->landmarks[i / STRIDE] = m;
		if (i < x->whole.size)
			step(&m, x->whole.text[i], x->whole.text[i + 1]);
	}
	return 0;
}

/* From the landmark of one place to that of another behind it. */
static struct landmark walk(const struct reading *x, struct landmark m, uint32_t from, uint32_t to)
{
	for (; from < to; from++)
		step(&m, x->whole.text[from], x->whole.text[from + 1]);
	return m;
}

static struct landmark landmark_of(const struct reading *x, uint32_t at)
{
	return walk(x, x->landmarks[at / STRIDE], at - at % STRIDE, at);
}

/* The end of what a line of base64 has, or of what goes on in another line: that of the line. */
static uint32_t line_end(const struct reading *x, uint32_t at)
{
	const char *text = x->whole.text;
	uint32_t end = at;

	while (end - at < LINE_MARKED && text[end + 1] && text[end + 1] != '\n')
		end++;
	return end;
}

struct complaint_place complaint_place(struct reading *x, uint32_t at, uint32_t size)
{
	uint32_t begin = origin_of(&x->from, at), end = size > 1 ? origin_of(&x->from, at + size - 1) : begin;
	struct landmark first = landmark_of(x, begin), last = first;

	/* What was encoded by base64 has one place. */
	if (end < begin || end - begin > STRIDE || (size > 1 && end == begin))
		end = line_end(x, begin);
	last = walk(x, first, begin, end);
	if (last.line != first.line)
		last = walk(x, first, begin, line_end(x, begin));
	return (struct complaint_place){ first.line, first.column, last.column - first.column + 1 };
}

/* Whether something of the place was told: a text with quoted mails may be read twice, without and with them. */
static bool is_told(const struct reading *x, uint32_t at)
{
	for (unsigned i = 0; i < x->told && i < MAX_NOTICES; i++)
		if (x->told_at[i] == at)
			return true;
	return false;
}

static void tell(struct reading *x, uint32_t at, const char *name, enum complaint_notice_code code, const char *format,
		 va_list ap)
{
	struct complaint_notice n = { .code = code, .line = landmark_of(x, at).line, .name = name };
	char text[300];

	if (!x->reader->tell || x->told > MAX_NOTICES)
		return;
	if (x->told < MAX_NOTICES)
		x->told_at[x->told] = at;
	vsnprintf(text, sizeof(text), format, ap);
	n.text = x->told++ < MAX_NOTICES ? text : "more was not read from here on, which is not listed";
	x->reader->tell(x->reader->arg, &n);
}

void complaint_tell_part(struct reading *x, uint32_t at, const char *name, enum complaint_notice_code code,
			 const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	tell(x, at, name, code, format, ap);
	va_end(ap);
}

void complaint_tell(struct reading *x, const char *at, enum complaint_notice_code code, const char *format, ...)
{
	uint32_t from = origin_of(&x->from, (uint32_t)(at - x->text));
	va_list ap;

	if (x->told > MAX_NOTICES || is_told(x, from))
		return;
	va_start(ap, format);
	tell(x, from, "", code, format, ap);
	va_end(ap);
}
