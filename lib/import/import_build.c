// SPDX-License-Identifier: BSD-2-Clause
#include "import/import_build.h"

#include <string.h>
#include <sys/mman.h>

#include <detnat/mapping.h>

#define LARGE_PAGE ((uintptr_t)2 << 20)

static const struct {
	const char *word;
	bool lost;
} kinds[N_IMPORT_NOTES] = {
#define X(constant, word, lost) [constant] = { word, lost },
	IMPORT_NOTES(X)
#undef X
};

const char *import_note_word(enum import_note_kind kind)
{
	return kinds[kind].word;
}

bool import_note_lost(enum import_note_kind kind)
{
	return kinds[kind].lost;
}

void import_fail(struct import *m, const char *text)
{
	if (!m->failed)
		error_set(&m->why, 0, "%s", text);
	m->failed = true;
}

/* Many rows are written once, page by page: in large pages that is faster by half. A hint, which may fail. */
static void hint_large_pages(const struct import_row *row, size_t room)
{
	uintptr_t first = ((uintptr_t)row + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
	uintptr_t end = (uintptr_t)(row + room) & ~(LARGE_PAGE - 1);

	if (end > first)
		(void)madvise((void *)first, end - first, MADV_HUGEPAGE);
}

static bool make_room(struct import *m, size_t room)
{
	struct import_row *row = realloc(m->row, room * sizeof(*row));

	if (!row) {
		import_fail(m, "out of memory");
		return false;
	}
	hint_large_pages(row, room);
	m->row = row;
	m->room = room;
	return true;
}

void import_reserve(struct import *m, uint64_t more)
{
	uint64_t room = m->n_rows + more;

	if (!m->failed && more <= IMPORT_MAX_ROWS && room > m->room)
		make_room(m, room > 2 * m->room ? room : 2 * m->room);
}

void import_add(struct import *m, uint32_t in, uint32_t out, uint32_t lo, uint32_t hi, uint32_t protos, uint32_t line)
{
	/* Each protocol may have a row of its own until they are brought together. */
	if (m->failed || m->n_rows >= 3UL * IMPORT_MAX_ROWS) {
		import_fail(m, "more than 33,554,432 subscribers");
		return;
	}
	if (m->n_rows == m->room && !make_room(m, m->room ? 2 * m->room : 1024))
		return;
	/* All ports of an address: no block has as many as 65536, and port 0 is given to no subscriber. */
	lo += !lo && hi == UINT16_MAX;
	m->row[m->n_rows++] = (struct import_row){ .in = in,
						   .out = out,
						   .lo = (uint16_t)lo,
						   .hi = (uint16_t)hi,
						   .line = line & IMPORT_MAX_LINE,
						   .protos = protos & 15 };
}

void import_note(struct import *m, enum import_note_kind kind, uint32_t line, const char *format, ...)
{
	/* Room grows at powers of two. */
	bool full = !(m->n_notes & (m->n_notes - 1));
	struct import_note *note = full ? realloc(m->note, (m->n_notes ? 2 * m->n_notes : 1) * sizeof(*note)) : m->note;
	char *text = NULL;
	va_list ap;
	int n;

	if (!note) {
		import_fail(m, "out of memory");
		return;
	}
	m->note = note;
	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0) {
		import_fail(m, "out of memory");
		return;
	}
	m->note[m->n_notes++] = (struct import_note){ kind, line, text };
	m->n_lost += import_note_lost(kind);
	m->n_disabled += kind == IMPORT_DISABLED;
}

void import_notes_cut(struct import *m, size_t n)
{
	while (m->n_notes > n) {
		m->n_notes--;
		m->n_lost -= import_note_lost(m->note[m->n_notes].kind);
		m->n_disabled -= m->note[m->n_notes].kind == IMPORT_DISABLED;
		free(m->note[m->n_notes].text);
	}
}

int import_fault(const struct import *m, uint32_t line, struct error *err, const char *format, ...)
{
	char text[440];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (line)
		return error_set(err, -EINVAL, "%.60s:%u: %s", m->name, line, text);
	return error_set(err, -EINVAL, "%.60s: %s", m->name, text);
}

void import_ranges_add(struct import *m, struct import_ranges *list, struct import_range r)
{
	if (list->n == list->room) {
		size_t room = list->room ? 2 * list->room : 4;
		struct import_range *range = realloc(list->range, room * sizeof(*range));

		if (!range) {
			import_fail(m, "out of memory");
			return;
		}
		list->range = range;
		list->room = room;
	}
	list->range[list->n++] = r;
}

void import_ranges_free(struct import_ranges *list)
{
	free(list->range);
	*list = (struct import_ranges){};
}

uint64_t import_ranges_size(const struct import_ranges *list)
{
	uint64_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		n += import_range_size(list->range[i]);
	return n;
}

uint32_t import_ranges_at(const struct import_ranges *list, uint64_t i)
{
	size_t at = 0;

	while (i >= import_range_size(list->range[at]))
		i -= import_range_size(list->range[at++]);
	return list->range[at].first + (uint32_t)i;
}

size_t import_names_find(const struct import_names *list, const char *name)
{
	size_t i = 0;

	while (i < list->n && strcmp(list->name[i], name) != 0)
		i++;
	return i;
}

void import_names_add(struct import *m, struct import_names *list, const char *name)
{
	char(*names)[64];
	size_t size = strlen(name);

	if (!size || size >= sizeof(*names) || strspn(name, " \t") || strchr(name, '"') || strchr(name, '\\') ||
	    !strcmp(name, "lo"))
		return;
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
			return;
	if (import_names_find(list, name) < list->n || list->n >= 256)
		return;
	names = realloc(list->name, (list->n + 1) * sizeof(*names));
	if (!names) {
		import_fail(m, "out of memory");
		return;
	}
	list->name = names;
	snprintf(names[list->n++], sizeof(*names), "%s", name);
}

int import_range_parse(const char *text, struct import_range *ret)
{
	const char *dash = strchr(text, '-');
	char first[ADDR_TEXT];
	struct prefix p;
	uint32_t a, b;

	if (!addr_parse(text, &a)) {
		*ret = (struct import_range){ a, a };
		return 0;
	}
	if (!prefix_parse(text, &p)) {
		*ret = (struct import_range){ p.base, p.base | ~prefix_mask(p.plen) };
		return 0;
	}
	if (!dash || (size_t)(dash - text) >= sizeof(first))
		return -EINVAL;
	snprintf(first, sizeof(first), "%.*s", (int)(dash - text), text);
	if (addr_parse(first, &a) || addr_parse(dash + 1, &b) || b < a)
		return -EINVAL;
	*ret = (struct import_range){ a, b };
	return 0;
}

const char *import_range_format(struct import_range r, char text[static IMPORT_RANGE_TEXT])
{
	if (r.first != r.last)
		return plan_range_format(r.first, r.last, text);
	addr_format(r.first, text);
	return text;
}

int import_number(const char *text, uint32_t max, uint32_t *ret)
{
	uint64_t n = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		n = n * 10 + (uint64_t)(*text - '0');
		if (n > max)
			return -EINVAL;
	}
	*ret = (uint32_t)n;
	return 0;
}

int import_ports_parse(const char *text, uint32_t *ret_lo, uint32_t *ret_hi)
{
	size_t n = strcspn(text, "-~");
	char first[8];
	uint32_t lo, hi;

	if (n >= sizeof(first))
		return -EINVAL;
	snprintf(first, sizeof(first), "%.*s", (int)n, text);
	if (import_number(first, UINT16_MAX, &lo))
		return -EINVAL;
	hi = lo;
	if (text[n] && import_number(text + n + 1 + strspn(text + n + 1, " "), UINT16_MAX, &hi))
		return -EINVAL;
	if (hi < lo)
		return -EINVAL;
	*ret_lo = lo;
	*ret_hi = hi;
	return 0;
}

void import_by_address(struct import *m, const struct import_formula *f)
{
	size_t part = 0;
	uint64_t n_outs = import_ranges_size(f->out);
	uint64_t at = 0; /* number of the outside address */
	uint32_t k = 0;	 /* of the block */
	uint32_t out = n_outs ? f->out->range[0].first : 0;

	import_reserve(m, import_ranges_size(f->in));
	for (size_t i = 0; i < f->in->n; i++) {
		for (uint64_t in = f->in->range[i].first; in <= f->in->range[i].last && at < n_outs && !m->failed;
		     in++) {
			uint32_t lo = f->first_port + f->pitch * k;

			import_add(m, (uint32_t)in, out, lo, lo + f->ports - 1, f->protos, f->line);
			if (++k < f->ratio)
				continue;
			k = 0;
			if (++at >= n_outs)
				break;
			if (out == f->out->range[part].last)
				out = f->out->range[++part].first;
			else
				out++;
		}
	}
}
