// SPDX-License-Identifier: BSD-2-Clause
/* The records of the mapping history as a table, or as they are. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "history/history_grant_days.h"
#include "base/virtual6.h"
#include "history_files.h"
#include "json_get.h"
#include "looks.h"
#include "message.h"
#include "proto/words.h"

static void describe_confirmation(const struct history_record *r, char *text, size_t size)
{
	char time[TIME_TEXT];

	if (r->first == r->last)
		snprintf(text, size, "line %" PRIu64 " was in force by %s", r->first, time_format(r->until, time));
	else
		snprintf(text, size, "lines %" PRIu64 " to %" PRIu64 " were in force by %s", r->first, r->last,
			 time_format(r->until, time));
}

static void describe(const struct history_record *r, char *text, size_t size)
{
	char time[TIME_TEXT], after[TIME_TEXT], addr[INSIDE_TEXT];
	int n;

	text[0] = '\0';
	switch (r->event) {
	case EVENT_START:
		if (r->since == TIME_NONE)
			snprintf(text, size, "on %s, %zu mapping%s", QUOTED(r->host), r->n_mappings,
				 r->n_mappings == 1 ? "" : "s");
		else
			snprintf(text, size, "on %s, %zu mapping%s; no record since %s", QUOTED(r->host), r->n_mappings,
				 r->n_mappings == 1 ? "" : "s", time_format(r->since, time));
		break;
	case EVENT_DAILY:
		n = snprintf(text, size, "%zu mapping%s", r->n_mappings, r->n_mappings == 1 ? "" : "s");
		if (r->n_listed)
			snprintf(text + n, size - (size_t)n, ", %" PRIu64 " grant%s", r->n_listed,
				 r->n_listed == 1 ? "" : "s");
		break;
	case EVENT_PORTMAP:
		if (r->ends)
			snprintf(text, size, "%s, since %s", word_text(proto_words, r->portmap.proto),
				 time_format(r->portmap.from, time));
		else
			snprintf(text, size, "%s", word_text(proto_words, r->portmap.proto));
		break;
	case EVENT_GRANT:
		if (r->ends)
			n = snprintf(text, size, "since %s", time_format(r->grant.from, time));
		else
			n = 0;
		if (history_grant_unknown(&r->grant))
			snprintf(text + n, size - (size_t)n, "%s%s", n ? ", " : "", "no longer known whose");
		break;
	case EVENT_GRANTS:
		snprintf(text, size, "part %" PRIu64 " of a list, %zu grant%s", r->part, r->n_grants,
			 r->n_grants == 1 ? "" : "s");
		break;
	case EVENT_RETIRE:
	case EVENT_DRAINED:
		if (!history_drain_whole(&r->drain))
			snprintf(text, size, "of %s", prefix_text(r->drain.in, addr));
		break;
	case EVENT_ADD:
		snprintf(text, size, "%s", r->mapping.name);
		break;
	case EVENT_DEL:
		snprintf(text, size, "%s%ssince %s", r->mapping.name, *r->mapping.name ? ", " : "",
			 time_format(r->mapping.from, time));
		break;
	case EVENT_UNDO:
		if (r->first == r->last)
			snprintf(text, size, "line %" PRIu64 " did not take place", r->first);
		else
			snprintf(text, size, "lines %" PRIu64 " to %" PRIu64 " did not take place", r->first, r->last);
		break;
	case EVENT_CONFIRM:
		describe_confirmation(r, text, size);
		break;
	case EVENT_CLOCK:
		snprintf(text, size, "set from %s to %s", time_format(r->since, time), time_format(r->after, after));
		break;
	default:
		break;
	}
}

/* Of grants, so many are looked at for the change before them. */
#define LOOKED_BACK 1000U

/* Room for a number of a line. */
#define PLACE_TEXT 24

/* The widths of columns, at least those of their titles. */
struct widths {
	int event, in, out;
};

/* A list being printed. */
struct listing {
	struct writer *w;
	struct widths width;
	bool grants; /* their records, too */
	struct grant_days *days;
	uint64_t changed; /* number of the last record of a change that is none of grants */
};

/* Whether the list has a record; those of grants are confirmed and taken back in groups of their own. */
static bool is_listed(struct listing *l, const struct history_record *r)
{
	bool change = r->event == EVENT_ADD || r->event == EVENT_DEL || r->event == EVENT_PORTMAP ||
		      r->event == EVENT_RETIRE || r->event == EVENT_DRAINED;

	l->changed = change ? r->line : l->changed;
	if (l->grants)
		return true;
	if (r->event == EVENT_CONFIRM || r->event == EVENT_UNDO)
		return r->first <= l->changed;
	return r->event != EVENT_GRANT && r->event != EVENT_GRANTS;
}

/* The line of a text of lines before the one that begins at a place, which is not its first. */
static const char *line_before(const char *text, const char *at)
{
	const char *newline = at - 1 > text ? memrchr(text, '\n', (size_t)(at - 1 - text)) : NULL;

	return newline ? newline + 1 : text;
}

/* Behind a line that is known: the last change up to it, or any if that is far. */
static uint64_t changed_before(const struct history_files *f, const char *at)
{
	struct listing l = { .changed = 0 };

	for (unsigned i = 0; i < LOOKED_BACK && at > f->text && !l.changed; i++) {
		const char *line = line_before(f->text, at);
		struct history_record r = { 0 };
		struct error ignored;

		if (!history_record_read(line, (size_t)(at - 1 - line), &r, &ignored))
			is_listed(&l, &r);
		history_record_free(&r);
		at = line;
	}
	return l.changed || at == f->text ? l.changed : UINT64_MAX;
}

/* Where the records begin behind the one that --after names, and its line; the begin of all if it is not there. */
static const char *find_after(const struct history_files *f, const char *after, uint64_t *ret_line)
{
	const char *dot = after ? strchr(after, '.') : NULL, *at = f->text, *newline;
	_cleanup_free_ char *end = NULL;
	uint64_t line = 0;
	size_t n;

	*ret_line = 0;
	if (!dot || asprintf(&end, "\"hash\":\"%s\"}", dot + 1) < 0)
		return f->text;
	n = strlen(end);
	for (; line < strtoull(after, NULL, 10); at = newline + 1, line++) {
		newline = memchr(at, '\n', f->size - (size_t)(at - f->text));
		if (!newline)
			return f->text;
	}
	if (!line || (size_t)(at - f->text) <= n || memcmp(at - 1 - n, end, n) != 0)
		return f->text;
	*ret_line = line;
	return at;
}

/* Beginning and end of a portmap or grant are one event. */
static const char *event_text(const struct history_record *r)
{
	if (r->event == EVENT_GRANT && r->ends)
		return "grant-end";
	return r->event == EVENT_PORTMAP && r->ends ? "portmap-end" : history_event_word(r->event);
}

static void ranges_text(const struct history_record *r, char in[static INSIDE_TEXT], char out[static SPAN_TEXT])
{
	snprintf(in, SPAN_TEXT, "-");
	snprintf(out, SPAN_TEXT, "-");
	if (r->event == EVENT_ADD || r->event == EVENT_DEL) {
		inside_prefix_text(r->mapping.in, in);
		prefix_text(r->mapping.out, out);
	}
	if (r->event == EVENT_RETIRE || r->event == EVENT_DRAINED) {
		prefix_text(r->drain.of, in);
		prefix_text(r->drain.out, out);
	}
	if (r->event == EVENT_GRANT && !history_grant_unknown(&r->grant)) {
		addr_format(r->grant.in, in);
		span_format((struct port_span){ r->grant.out, r->grant.port_lo,
						(uint16_t)(r->grant.port_lo + r->grant.ports - 1) },
			    out);
	}
	if (r->event == EVENT_PORTMAP) {
		span_format(r->portmap.in, in);
		span_format(r->portmap.out, out);
	}
}

static void widen(int *width, const char *text)
{
	int n = (int)strlen(text);

	*width = n > *width ? n : *width;
}

/* The widths needed for the records. */
static struct widths widths_of(const struct history_files *f, const struct listing *l, const char *at)
{
	struct listing like = *l;
	struct widths widths = { 6, 18, 18 };
	const char *newline;

	while ((newline = memchr(at, '\n', f->size - (size_t)(at - f->text)))) {
		struct history_record r = { 0 };
		char in[INSIDE_TEXT], out[SPAN_TEXT];
		struct error ignored;
		uint32_t missed;

		if (!history_record_read(at, (size_t)(newline - at), &r, &ignored) && is_listed(&like, &r)) {
			grant_days_resolve(like.days, &r, &missed, &ignored);
			ranges_text(&r, in, out);
			widen(&widths.event, event_text(&r));
			widen(&widths.in, in);
			widen(&widths.out, out);
		}
		history_record_free(&r);
		at = newline + 1;
	}
	return widths;
}

/* text: what is not in the other columns. */
static void print_row(struct writer *w, const struct widths *width, const char *line, const char *time,
		      const char *event, const char *in, const char *out, const char *text)
{
	const struct cell cells[] = { { line, 6, true },
				      { time, 20, false },
				      { event, width->event, false },
				      { in, width->in, false },
				      { out, width->out, false } };

	writer_row(w, cells, ARRAY_SIZE(cells), "%s", text);
}

static const char *place_text(uint64_t place, char text[static PLACE_TEXT])
{
	snprintf(text, PLACE_TEXT, "%" PRIu64, place);
	return text;
}

static void list_record(struct writer *w, const struct widths *width, const struct history_record *r)
{
	char time[TIME_TEXT], in[INSIDE_TEXT], out[SPAN_TEXT], text[320], by[BY_TEXT], place[PLACE_TEXT], all[640];

	ranges_text(r, in, out);
	describe(r, text, sizeof(text));
	history_by_text(&r->by, by);
	snprintf(all, sizeof(all), "%s%s%s%s", text, *text && *by ? ", " : "", *by ? "by " : "", by);
	print_row(w, width, place_text(r->line, place), time_format(r->time, time), event_text(r), in, out, all);
}

/* Prints one line of the file; `place` is its line number there. */
static void list_line(struct listing *l, const char *line, size_t size, uint64_t place)
{
	const struct widths *width = &l->width;
	struct writer *w = l->w;
	struct history_record r = { 0 };
	struct error err = { 0 };
	_cleanup_free_ char *text = NULL;
	int read = history_record_read(line, size, &r, &err);
	char number[PLACE_TEXT];
	uint32_t missed;

	if (!read && !is_listed(l, &r)) {
		history_record_free(&r);
		return;
	}
	if (w->json && read)
		text = asprintf(&text, "{\"line\":%" PRIu64 ",\"event\":null}", place) < 0 ? NULL : text;
	else if (w->json)
		text = strndup(line, size);
	if (text)
		writer_stream_row(w, NULL, text, NULL);
	else if (read)
		print_row(w, width, place_text(place, number), "-", "-", "-", "-", err.text);
	else if (!grant_days_resolve(l->days, &r, &missed, &err) || *err.text)
		list_record(w, width, &r);
	history_record_free(&r);
}

/* Whether records name subscribers, as grants do, unlike mappings. */
static bool has_grants(const struct history_files *f, const char *at)
{
	static const char grant[] = "\"event\":\"grant";

	return memmem(at, f->size - (size_t)(at - f->text), grant, sizeof(grant) - 1);
}

/*
 * Reads the history, and finds where the list begins, with the line before. What is behind a record that is known is
 * read alone, if nothing is wrong with it.
 */
static int read_list(const char *socket, const cJSON *args, struct history_files *ret, char **ret_dir,
		     const char **ret_at, uint64_t *ret_line, struct error *err)
{
	const char *after = json_text(args, "after", NULL), *dot = after ? strchr(after, '.') : NULL;
	_cleanup_free_ char *dir = NULL;
	int status = history_dir_named(socket, args, &dir, err);

	if (status)
		return status;
	*ret_line = dot ? strtoull(after, NULL, 10) : 0;
	if (!dot || history_tail_read(dir, *ret_line, dot + 1, LOOKED_BACK + 1, ret, ret_at)) {
		if (history_files_read(dir, ret, err))
			return EXIT_REFUSED;
		*ret_at = find_after(ret, after, ret_line);
	}
	*ret_dir = take_pointer(dir);
	return EXIT_DONE;
}

static int list_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	_cleanup_free_ char *dir = NULL;
	_cleanup_looks_ struct looks looks = { 0 };
	struct history_files f;
	const char *at, *newline;
	uint64_t place;
	int status = read_list(socket, args, &f, &dir, &at, &place, err);
	struct listing l = { .w = w, .grants = !cJSON_IsTrue(json_get(args, "no_grants")) };

	if (status)
		return status;
	l.days = f.days;
	looks_begin(&looks, "history list", args, &f, dir);
	if (l.grants && has_grants(&f, at))
		looks_add_text(&looks, "all grants");
	if (looks_write(&looks, err)) {
		history_files_free(&f);
		return EXIT_REFUSED;
	}
	l.changed = changed_before(&f, at);
	if (!w->json)
		l.width = widths_of(&f, &l, at);
	if (w->json)
		writer_stream_begin(w, NULL);
	else
		print_row(w, &l.width, "LINE", "TIME", "EVENT", "INSIDE", "OUTSIDE", "");
	for (; !w->failed && (newline = memchr(at, '\n', f.size - (size_t)(at - f.text))); at = newline + 1)
		list_line(&l, at, (size_t)(newline - at), ++place);
	if (w->json)
		writer_stream_end(w, "");
	history_warn(&f);
	history_files_free(&f);
	return EXIT_DONE;
}

const struct view view_history_list = { .run = list_run };
