// SPDX-License-Identifier: BSD-2-Clause
/* request: the questions of a complaint, each answered by a line, or shown alone. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/text.h"
#include "evidence_guard.h"
#include "history_files.h"
#include "json_get.h"
#include "outside_ranges.h"
#include "request_fields.h"
#include "who_rows.h"

struct request {
	struct who_source *source; /* NULL: questions are shown, and not asked */
	struct writer *w;
	struct verdict verdict;
	uint64_t questions, refused, unanswered;
	struct error first; /* why the first that is refused is no question */
	const struct outside_ranges *ours;
	FILE *memory; /* prints to `fields`; NULL: nothing was printed */
	char *fields;
	size_t fields_size;
	bool failed; /* out of memory */
};

static void answer_good(struct request *r, const struct who_question *q)
{
	if (r->source)
		r->unanswered += who_row(r->source, q, r->w, &r->verdict) != EXIT_DONE;
	else
		who_row_question(q, r->w);
}

/* Into `fields`, over those of the question before. 0 or -ENOMEM. */
static int print_fields(struct request *r, const struct complaint *c)
{
	if (!r->memory)
		r->memory = open_memstream(&r->fields, &r->fields_size);
	if (!r->memory)
		return -ENOMEM;
	rewind(r->memory);
	request_fields(r->memory, c);
	fputc('\0', r->memory);
	return fflush(r->memory) ? -ENOMEM : 0;
}

static int answer_complaint(void *arg, const struct complaint *c)
{
	struct request *r = arg;
	struct who_question q = { .line = c->line, .t = c->t, .out = c->out };

	if (r->w->json && print_fields(r, c))
		return -ENOMEM;
	q.fields = r->w->json ? r->fields : NULL;
	r->questions += c->unlisted ? c->unlisted : 1;
	if (c->good) {
		answer_good(r, &q);
		return 0;
	}
	who_row_malformed(r->w, &q, complaint_fault_word(c->fault), c->why.text);
	if (!r->refused)
		error_set(&r->first, 0, "line %" PRIu64 ": %.400s", c->line, c->why.text);
	r->refused += c->unlisted ? c->unlisted : 1;
	return 0;
}

/* Names are strangers' words. */
static void message(const struct complaint_notice *n)
{
	_cleanup_free_ char *name = text_word(n->name);

	fprintf(stderr, "line %" PRIu64 ": %s%s%s\n", n->line, *n->name && name ? name : "", *n->name ? ": " : "",
		n->text);
}

/* What was not read is a row of JSON, or a message. */
static void tell(void *arg, const struct complaint_notice *n)
{
	struct request *r = arg;
	_cleanup_free_ char *row = r->w->json ? request_notice(n) : NULL;

	if (row)
		writer_stream_row(r->w, NULL, row, NULL);
	else if (r->w->json)
		r->failed = true;
	else
		message(n);
}

static bool is_ours(void *arg, uint32_t addr)
{
	const struct request *r = arg;

	return outside_ranges_hold(r->ours, addr);
}

/* Reads all of a file, which ends with a NUL then. 0 or -errno; the caller frees *ret. */
static int read_all(FILE *in, char **ret, size_t *ret_size)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, room = 0;

	while (!feof(in)) {
		if (size == room) {
			char *larger = realloc(text, (room ? room * 2 : 1U << 16) + 1);

			if (!larger)
				return -ENOMEM;
			text = larger;
			room = room ? room * 2 : 1U << 16;
		}
		size += fread(text + size, 1, room - size, in);
		if (ferror(in))
			return -EIO;
		if (size > COMPLAINT_MAX)
			return -EFBIG;
	}
	text[size] = '\0';
	*ret = take_pointer(text);
	*ret_size = size;
	return 0;
}

static int read_text(const char *path, char **ret, size_t *ret_size, struct error *err)
{
	FILE *in = strcmp(path, "-") != 0 ? fopen(path, "re") : stdin;
	int r = in ? read_all(in, ret, ret_size) : -errno;

	if (in && in != stdin)
		fclose(in);
	return r ? error_set(err, EXIT_REFUSED, "%.200s: %s", path, strerror(-r)) : EXIT_DONE;
}

static int answer_rows(struct request *r, char *text, size_t size, const struct zone *zone)
{
	const struct complaint_reader reader = {
		.zone = zone, .ours = r->ours->known ? is_ours : NULL, .take = answer_complaint, .tell = tell, .arg = r
	};

	who_rows_begin(r->w);
	if (complaint_read(text, size, &reader) || r->failed)
		return -ENOMEM;
	who_rows_end(r->w);
	return 0;
}

static int answer_all(struct who_source *source, const struct outside_ranges *ours, char *text, size_t size,
		      const struct zone *zone, struct writer *w, bool verdict, struct error *err)
{
	_cleanup_free_ char *rows = NULL;
	size_t room;
	FILE *memory = open_memstream(&rows, &room);
	struct writer later = *w;
	struct request r = { .source = source, .w = &later, .ours = ours };
	int failed = memory ? 0 : -ENOMEM;

	later.out = memory;
	if (!failed)
		failed = answer_rows(&r, text, size, zone);
	if (memory && fclose(memory))
		failed = -ENOMEM;
	if (!failed && source && looks_write(source->looks, err)) {
		verdict_free(&r.verdict);
		return EXIT_REFUSED;
	}
	failed = failed ? failed : verdict_show(&r.verdict, verdict, rows, room, w);
	verdict_free(&r.verdict);
	if (r.memory)
		fclose(r.memory);
	free(r.fields);
	if (failed)
		return error_set(err, EXIT_REFUSED, "out of memory");
	if (!r.questions)
		return error_set(err, EXIT_USAGE, "no question was found: no address with a port");
	if (r.refused)
		return error_set(err, EXIT_USAGE,
				 "%" PRIu64 " of %" PRIu64 " questions were refused; the first, %.400s", r.refused,
				 r.questions, r.first.text);
	if (r.unanswered)
		return error_set(err, EXIT_REFUSED, "questions without an answer: %" PRIu64, r.unanswered);
	return EXIT_DONE;
}

/* The addresses of a gateway whose history or agent is named; none are known if it cannot be read. */
static int read_ours(const char *socket, const cJSON *args, struct outside_ranges *ret)
{
	_cleanup_claims_ struct history_claims claims = { 0 };
	_cleanup_free_ char *dir = NULL;
	struct history_files f;
	struct error unused;
	int r;

	if ((!socket && !json_text(args, "state_dir", NULL)) ||
	    history_read_named(socket, args, true, &f, &dir, &unused))
		return 0;
	r = history_claims_read(dir, &claims, &unused) == -ENOMEM ? -ENOMEM
								  : outside_ranges_read(&f.index, &claims, ret);
	history_files_free(&f);
	return r;
}

/* What keeps a text from being asked as a whole is status 1. */
static int show_questions(const char *socket, const cJSON *args, char *text, size_t size, const struct zone *zone,
			  struct writer *w, struct error *err)
{
	_cleanup_outside_ struct outside_ranges ours = { 0 };

	if (read_ours(socket, args, &ours))
		return error_set(err, EXIT_REFUSED, "out of memory");
	return answer_all(NULL, &ours, text, size, zone, w, false, err) == EXIT_DONE ? EXIT_DONE : EXIT_REFUSED;
}

static int answer_from(const struct history_files *f, const char *dir, const cJSON *args, char *text, size_t size,
		       const struct zone *zone, struct writer *w, struct error *err)
{
	_cleanup_claims_ struct history_claims claims = { 0 };
	_cleanup_outside_ struct outside_ranges ours = { 0 };
	_cleanup_looks_ struct looks looks = { 0 };
	struct who_source source;
	int status = who_source_open(f, dir, &claims, &source, err);

	looks_begin(&looks, "request", args, f, dir);
	source.looks = &looks;
	if (!status && outside_ranges_read(&f->index, &claims, &ours))
		status = error_set(err, EXIT_REFUSED, "out of memory");
	if (!status)
		status = customers_open(args, dir, &source.customers, err);
	if (!status)
		status = answer_all(&source, &ours, text, size, zone, w, cJSON_IsTrue(json_get(args, "verdict")), err);
	who_source_close(&source);
	return status;
}

static int request_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	const char *name = json_text(args, "zone", NULL);
	_cleanup_free_ char *dir = NULL, *text = NULL;
	struct zone zone = { 0 };
	struct history_files f;
	size_t size = 0;
	int status;

	if (name && zone_parse(name, &zone, err))
		return EXIT_USAGE;
	status = read_text(json_text(args, "file", ""), &text, &size, err);
	if (!status && cJSON_IsTrue(json_get(args, "questions")) && cJSON_IsTrue(json_get(args, "verdict")))
		return error_set(err, EXIT_USAGE, "request: --questions asks nothing, so there is no --verdict");
	if (!status && cJSON_IsTrue(json_get(args, "questions")))
		return show_questions(socket, args, text, size, &zone, w, err);
	status = status ? status : history_read_named(socket, args, true, &f, &dir, err);
	if (status)
		return status;
	history_warn(&f);
	status = evidence_answers(dir, &f, NULL, 0, args, err);
	status = status ? status : answer_from(&f, dir, args, text, size, &zone, w, err);
	history_files_free(&f);
	return status;
}

const struct view view_request = { .run = request_run };
