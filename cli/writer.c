// SPDX-License-Identifier: BSD-2-Clause
#include "writer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/text.h"
#include "json_get.h"
#include "pretty.h"

static const cJSON *value_of(const cJSON *row, const char *key)
{
	const cJSON *value = json_get(row, key);

	/* An IPv6 subscriber without a host has his prefix in the place of an address. */
	return value || strcmp(key, "in_addr") != 0 ? value : json_get(row, "in_prefix");
}

/* Returns false, with "-" written, if the key is absent or not a number. */
static bool number_of(const cJSON *row, const char *key, double *ret, char text[static CELL_TEXT])
{
	const cJSON *value = value_of(row, key);

	if (!cJSON_IsNumber(value)) {
		strcpy(text, "-");
		return false;
	}
	*ret = value->valuedouble;
	return true;
}

void cell_text(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	const char *value = cJSON_GetStringValue(value_of(row, key));

	if (value && *value && !text_plain(value))
		text_quote(text, CELL_TEXT, value, strlen(value));
	else
		text_escape(text, CELL_TEXT, value ? value : "-", value ? strlen(value) : 1);
}

void cell_quoted(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	const char *value = cJSON_GetStringValue(value_of(row, key));

	if (value)
		text_quote(text, CELL_TEXT, value, strlen(value));
	else
		strcpy(text, "-");
}

void cell_number(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	double number;

	if (number_of(row, key, &number, text))
		snprintf(text, CELL_TEXT, "%.0f", number);
}

void cell_flag(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	const cJSON *value = value_of(row, key);

	strcpy(text, !cJSON_IsBool(value) ? "-" : cJSON_IsTrue(value) ? "yes" : "no");
}

void cell_bytes(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	unsigned unit = 0;
	double number;

	if (!number_of(row, key, &number, text))
		return;
	while (number >= 1024 && unit < sizeof(units) / sizeof(*units) - 1) {
		number /= 1024;
		unit++;
	}
	snprintf(text, CELL_TEXT, unit ? "%.1f %s" : "%.0f %s", number, units[unit]);
}

void cell_seconds(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	double number;

	if (number_of(row, key, &number, text))
		snprintf(text, CELL_TEXT, "%.0f s", number);
}

void cell_duration(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	unsigned long long s;
	double number;

	if (!number_of(row, key, &number, text))
		return;
	s = number >= 0 && number < 1e18 ? (unsigned long long)number : 0;
	if (s >= 86400)
		snprintf(text, CELL_TEXT, "%llu d %02llu:%02llu:%02llu", s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
	else
		snprintf(text, CELL_TEXT, "%02llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
}

/* Adds an element to a list of n octets, between quotes if it could be taken for several. Returns the list's octets. */
static size_t add_item(char text[static CELL_TEXT], size_t n, const char *item)
{
	char quoted[CELL_TEXT];
	bool plain = text_plain(item) && !strchr(item, ',');
	int more;

	if (!plain)
		text_quote(quoted, sizeof(quoted), item, strlen(item));
	more = snprintf(text + n, CELL_TEXT - n, "%s%s", n ? ", " : "", plain ? item : quoted);
	return n + (size_t)more < CELL_TEXT ? n + (size_t)more : CELL_TEXT - 1;
}

void cell_list(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	const cJSON *item;
	size_t n = 0;

	strcpy(text, "-");
	cJSON_ArrayForEach (item, value_of(row, key)) {
		if (cJSON_IsString(item))
			n = add_item(text, n, item->valuestring);
	}
}

void cell_endpoint(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	char name[32], addr[CELL_TEXT], port[CELL_TEXT];

	snprintf(name, sizeof(name), "%s_addr", key);
	cell_text(row, name, addr);
	snprintf(name, sizeof(name), "%s_port", key);
	cell_number(row, name, port);
	snprintf(text, CELL_TEXT, strchr(addr, ':') ? "[%.64s]:%.32s" : "%.64s:%.32s", addr, port);
}

void cell_reasoned(const cJSON *row, const char *key, char text[static CELL_TEXT])
{
	char name[32], value[CELL_TEXT], reason[CELL_TEXT];

	snprintf(name, sizeof(name), "%s_reason", key);
	cell_text(row, key, value);
	cell_text(row, name, reason);
	if (strcmp(reason, "-"))
		snprintf(text, CELL_TEXT, "%.64s (%.128s)", value, reason);
	else
		snprintf(text, CELL_TEXT, "%.64s", value);
}

/* Must be called right after writing, while errno is still that of the write. */
static void note_failure(struct writer *w)
{
	if (!w->failed && ferror(w->out))
		w->failed = errno ? errno : EIO;
}

/* The most columns of a table, and one more. */
#define MAX_COLUMNS 24

static bool any_has(const cJSON *array, const char *key)
{
	const cJSON *row;

	cJSON_ArrayForEach (row, array)
		if (value_of(row, key))
			return true;
	return false;
}

/* Prints a row, or the headers if it is NULL. */
static void print_row(struct writer *w, const struct column *columns, const int *widths, const cJSON *row)
{
	char text[MAX_COLUMNS][CELL_TEXT];
	struct cell cells[MAX_COLUMNS];
	unsigned n = 0;

	for (; columns[n].header; n++) {
		if (row)
			columns[n].format(row, columns[n].key, text[n]);
		cells[n] = (struct cell){ row ? text[n] : columns[n].header, widths[n], columns[n].right };
	}
	row_print(w->out, w->columns, cells, n);
}

/* What a format makes of its arguments, which the caller frees; NULL: out of memory, which the writer notes. */
static char *format_text(struct writer *w, const char *format, va_list ap)
{
	char *text;

	if (vasprintf(&text, format, ap) >= 0)
		return text;
	w->failed = ENOMEM;
	return NULL;
}

void writer_row(struct writer *w, const struct cell *cells, unsigned n, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	struct cell all[9];
	va_list ap;

	va_start(ap, format);
	text = format_text(w, format, ap);
	va_end(ap);
	n = n < ARRAY_SIZE(all) ? n : ARRAY_SIZE(all) - 1;
	memcpy(all, cells, n * sizeof(*cells));
	all[n++] = (struct cell){ text ? text : "", 0, false };
	row_print(w->out, w->columns, all, n);
}

void writer_table(struct writer *w, const struct column *all, const char *empty, const cJSON *array)
{
	struct column columns[MAX_COLUMNS] = {};
	char text[CELL_TEXT];
	int widths[MAX_COLUMNS] = {};
	unsigned n = 0;
	const cJSON *row;

	if (!cJSON_GetArraySize(array)) {
		fprintf(w->out, "%s\n", empty);
		return;
	}
	for (; all->header; all++)
		if (all->width >= 0 || any_has(array, all->key))
			columns[n++] = *all;
	for (unsigned i = 0; columns[i].header; i++)
		widths[i] = row_text_width(columns[i].header);
	cJSON_ArrayForEach (row, array) {
		for (unsigned i = 0; columns[i].header; i++) {
			columns[i].format(row, columns[i].key, text);
			if (row_text_width(text) > widths[i])
				widths[i] = row_text_width(text);
		}
	}
	print_row(w, columns, widths, NULL);
	cJSON_ArrayForEach (row, array) {
		print_row(w, columns, widths, row);
	}
}

void writer_fields(struct writer *w, const struct column *fields, const cJSON *object)
{
	char text[CELL_TEXT], line[CELL_TEXT + 64];
	int width = 0;

	for (const struct column *f = fields; f->header; f++)
		if (row_text_width(f->header) > width)
			width = row_text_width(f->header);
	for (const struct column *f = fields; f->header; f++) {
		f->format(object, f->key, text);
		if (!strcmp(text, "-"))
			continue;
		snprintf(line, sizeof(line), "%s:%*s%s", f->header, width - row_text_width(f->header) + 1, "", text);
		row_print_line(w->out, w->columns, line, width + 2);
	}
}

void writer_line(struct writer *w, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, format);
	text = format_text(w, format, ap);
	va_end(ap);
	row_print_line(w->out, w->columns, text ? text : "", 4 + (text ? (int)strspn(text, " ") : 0));
}

/* Unchanged from the agent: a number of 64 bits would not survive parsing. */
static void write_json(struct writer *w, const char *text, size_t size, unsigned depth)
{
	if (w->pretty)
		pretty_json(w->out, text, size, depth);
	else
		text_print_json(w->out, text, size);
}

void writer_json(struct writer *w, const char *text, size_t size)
{
	write_json(w, text, size, 0);
	fputc('\n', w->out);
}

/* The end of a row in a stream. */
static const char *row_end(const struct writer *w)
{
	return w->lines && !w->pretty ? "" : "\n";
}

void writer_stream_begin(struct writer *w, const struct column *columns)
{
	w->rows = 0;
	if (w->json)
		fputc('[', w->out);
}

static int stream_width(const struct column *c)
{
	return c->width < 0 ? WIDTH_IF_FIRST(c->width) : c->width;
}

/* Bits of the columns of a stream that begins with this row. */
static uint32_t columns_shown(const struct column *columns, const cJSON *row)
{
	uint32_t shown = 0;

	for (unsigned i = 0; columns[i].header; i++)
		shown |= (uint32_t)(columns[i].width >= 0 || value_of(row, columns[i].key)) << i;
	return shown;
}

void writer_stream_row(struct writer *w, const struct column *columns, const char *text, const cJSON *row)
{
	struct column some[MAX_COLUMNS] = {};
	int widths[MAX_COLUMNS];
	unsigned n = 0;

	if (w->json) {
		fputs(w->rows++ ? "," : "", w->out);
		fputs(row_end(w), w->out);
		write_json(w, text, strlen(text), 1);
		note_failure(w);
		return;
	}
	if (!w->rows)
		w->shown = columns_shown(columns, row);
	for (unsigned i = 0; columns[i].header; i++) {
		if (!(w->shown >> i & 1))
			continue;
		widths[n] = stream_width(&columns[i]);
		some[n++] = columns[i];
	}
	if (!w->rows++)
		print_row(w, some, widths, NULL);
	print_row(w, some, widths, row);
	note_failure(w);
}

void writer_stream_element(struct writer *w, void (*show)(struct writer *w, const cJSON *element), const cJSON *element)
{
	w->rows++;
	show(w, element);
	note_failure(w);
}

void writer_stream_end(struct writer *w, const char *empty)
{
	if (w->json)
		fprintf(w->out, "%s]\n", w->rows ? row_end(w) : "");
	else if (!w->rows)
		fprintf(w->out, "%s\n", empty);
}

int writer_flush(struct writer *w)
{
	errno = 0;
	fflush(w->out);
	note_failure(w);
	return -w->failed;
}
