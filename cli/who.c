// SPDX-License-Identifier: BSD-2-Clause
/* who: which subscriber held an outside address and port at a time. One question, or a list on standard input. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_scan.h"
#include "base/virtual6.h"
#include "evidence_guard.h"
#include "history_files.h"
#include "json_get.h"
#include "who_candidates.h"
#include "who_rows.h"

/* Read at a time from standard input. */
#define CHUNK_SIZE (64U << 10)

static int refuse(const char *endpoint, int64_t t, struct who_reply *r, struct error *err)
{
	char when[TIME_TEXT];

	who_add_other(&r->answer, &r->why);
	return error_set(err, EXIT_REFUSED, "%s %s at %s: %.400s",
			 r->result == WHO_NOBODY ? "no subscriber held" : "no record of", endpoint,
			 time_format(t, when), r->why.text);
}

static int show(const struct who_source *source, const struct who_reply *r, int64_t t, struct writer *w,
		struct error *err)
{
	const struct who_holder *best = &r->answer.best;
	bool claimed = who_reply_claimed(r);
	int64_t known_until = who_reply_known_until(r, source, t);
	char addr[INSIDE_TEXT], why[CUSTOMER_MISSING];

	if (w->json)
		who_show_json(w, r, known_until, source);
	else if (claimed)
		who_show_claimed(w, r, source);
	else
		who_show_text(w, r, known_until, source);
	if (source->customers.days && customer_missing(&r->customer, why))
		return error_set(err, EXIT_REFUSED, "no customer of %s: %s",
				 inside_text(claimed ? r->claim.answer.in_addr : best->in_addr, addr),
				 customer_missing(&r->customer, why));
	return EXIT_DONE;
}

static int ask_one(struct who_source *source, const char *endpoint_text, int64_t t, struct writer *w, struct error *err)
{
	struct endpoint out = { 0 };
	struct who_reply r;

	endpoint_parse(endpoint_text, &out);
	who_reply_ask(source, out, t, &r);
	who_reply_customer(source, out, t, &r);
	if (who_reply_named(&r))
		return show(source, &r, t, w, err);
	if (!w->json)
		who_show_others(w, &r.answer, false);
	else if (r.claimed || r.answer.other)
		who_show_json(w, &r, TIME_NONE, source);
	return refuse(endpoint_text, t, &r, err);
}

/* Questions on standard input. */
struct many {
	struct who_source *source;
	struct verdict *verdict; /* NULL: none is asked for */
	uint64_t line, malformed, unanswered;
	struct error *err;
};

static void answer_line(struct many *m, char *text, size_t size, struct writer *w)
{
	int status;

	m->line++;
	if (text[strspn(text, " \t\r\n")] == '\0' && strlen(text) == size)
		return;
	status = who_row_of_line(m->source, text, size, m->line, w, m->verdict);
	m->malformed += status == EXIT_USAGE;
	m->unanswered += status == EXIT_REFUSED;
}

/* Answers lines that have come together. The ledger gets theirs before an answer is seen. */
static int answer_lines(struct many *m, char *text, size_t size, struct writer *w)
{
	_cleanup_free_ char *rows = NULL;
	size_t n = 0;
	FILE *out = w->out, *memory = open_memstream(&rows, &n);
	char *end = text + size, *next;
	int status;

	if (!memory)
		return error_set(m->err, EXIT_REFUSED, "out of memory");
	w->out = memory;
	for (; text < end; text = next) {
		char *stop = memchr(text, '\n', (size_t)(end - text));

		stop = stop ? stop : end;
		next = stop + 1;
		*stop = '\0';
		answer_line(m, text, (size_t)(stop - text), w);
	}
	w->out = out;
	if (fclose(memory))
		return error_set(m->err, EXIT_REFUSED, "out of memory");
	status = looks_write(m->source->looks, m->err);
	if (!status && n)
		fwrite(rows, 1, n, out);
	return status;
}

/* Standard input. */
struct lines {
	char *text;
	size_t size, room;
	size_t given; /* of the text, by the last read_lines() */
};

static int make_room(struct lines *in)
{
	char *larger;

	if (in->room - in->size > CHUNK_SIZE)
		return 0;
	larger = realloc(in->text, in->size * 2 + CHUNK_SIZE + 1);
	if (!larger)
		return -ENOMEM;
	in->text = larger;
	in->room = in->size * 2 + CHUNK_SIZE + 1;
	return 0;
}

/* Reads the lines that have come, as in->given octets with room for another; 0 at the end. 0 or -errno. */
static int read_lines(struct lines *in)
{
	if (in->given)
		memmove(in->text, in->text + in->given, in->size - in->given);
	in->size -= in->given;
	for (in->given = 0; !in->given;) {
		int r = make_room(in);
		ssize_t n = r ? r : read(STDIN_FILENO, in->text + in->size, CHUNK_SIZE);
		const char *newline = n > 0 ? memrchr(in->text + in->size, '\n', (size_t)n) : NULL;

		if (n < 0 && errno == EINTR)
			continue;
		if (r || n < 0)
			return r ? r : -errno;
		in->size += (size_t)n;
		in->given = newline ? (size_t)(newline + 1 - in->text) : 0;
		if (!n) {
			in->given = in->size;
			break;
		}
	}
	return 0;
}

static int ask_all(struct many *m, struct lines *in, struct writer *w)
{
	int status = EXIT_DONE, r;

	do {
		r = read_lines(in);
		if (!r && in->given)
			status = answer_lines(m, in->text, in->given, w);
	} while (!r && !status && in->given && !w->failed && !ferror(w->out));
	return r ? error_set(m->err, EXIT_REFUSED, "standard input cannot be read: %s", strerror(-r)) : status;
}

static int ask_rows(struct many *m, struct writer *w)
{
	struct lines in = { 0 };
	int status;

	who_rows_begin(w);
	status = ask_all(m, &in, w);
	free(in.text);
	if (!status)
		who_rows_end(w);
	return status;
}

/* The rows come behind what they say together. */
static int ask_verdict(struct many *m, struct writer *w)
{
	_cleanup_free_ char *rows = NULL;
	struct writer later = *w;
	size_t size;
	int status;

	later.out = open_memstream(&rows, &size);
	if (!later.out)
		return error_set(m->err, EXIT_REFUSED, "out of memory");
	status = ask_rows(m, &later);
	if ((fclose(later.out) || (!status && verdict_show(m->verdict, true, rows, size, w))) && !status)
		status = error_set(m->err, EXIT_REFUSED, "out of memory");
	return status;
}

static int ask_many(struct who_source *source, bool verdict, struct writer *w, struct error *err)
{
	struct verdict v = { 0 };
	struct many m = { .source = source, .verdict = verdict ? &v : NULL, .err = err };
	int status = verdict ? ask_verdict(&m, w) : ask_rows(&m, w);

	verdict_free(&v);
	if (status)
		return status;
	if (m.malformed)
		return error_set(err, EXIT_USAGE, "malformed lines: %" PRIu64 "; each must be TIME ADDR:PORT",
				 m.malformed);
	if (m.unanswered)
		return error_set(err, EXIT_REFUSED, "questions without an answer: %" PRIu64, m.unanswered);
	return EXIT_DONE;
}

/* A question is about an endpoint, or about an address whose port is not known. */
static int ask_typed(struct who_source *source, const char *text, int64_t t, const cJSON *args, struct writer *w,
		     struct error *err)
{
	uint32_t addr;

	if (addr_parse(text, &addr))
		return ask_one(source, text, t, w, err);
	return who_candidates(source, addr, t, args, w, err);
}

int who_answer(const struct history_files *f, const char *dir, const char *shown, const char *endpoint, int64_t t,
	       const cJSON *args, struct looks *looks, struct writer *w, struct error *err)
{
	_cleanup_claims_ struct history_claims claims = { 0 };
	struct who_source source;
	int status = who_source_open(f, dir, &claims, &source, err);

	if (!status)
		status = customers_open(args, dir, &source.customers, err);
	source.looks = looks;
	source.dir = shown;
	if (!status)
		status = endpoint ? ask_typed(&source, endpoint, t, args, w, err)
				  : ask_many(&source, cJSON_HasObjectItem(args, "verdict"), w, err);
	who_source_close(&source);
	return status;
}

static int who_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	const char *endpoint = json_text(args, "endpoint", NULL);
	const char *at = json_text(args, "at", NULL);
	uint32_t addr;
	bool many = !strcmp(endpoint, "-"), addresses = !addr_parse(endpoint, &addr);
	_cleanup_free_ char *dir = NULL;
	_cleanup_looks_ struct looks looks = { 0 };
	struct history_files f;
	int64_t t = time(NULL);
	int status;

	if (many && at)
		return error_set(err, EXIT_USAGE, "who -: each line has a time of its own, so --at is not taken");
	if (!addresses && (cJSON_HasObjectItem(args, "limit") || cJSON_HasObjectItem(args, "offset")))
		return error_set(err, EXIT_USAGE, "who: --limit and --offset belong to an address without a port");
	if (!many && cJSON_HasObjectItem(args, "verdict"))
		return error_set(err, EXIT_USAGE, "who: --verdict belongs to -, the lines of several questions");
	if (at)
		time_parse(at, &t);
	status = history_read_named(socket, args, true, &f, &dir, err);
	if (status)
		return status;
	history_warn(&f);
	looks_begin(&looks, "who", args, &f, dir);
	status = evidence_answers(dir, &f, many ? NULL : endpoint, t, args, err);
	if (!status && !many)
		status = looks_note(&looks, endpoint, t, err);
	status = status ? status : who_answer(&f, dir, dir, many ? NULL : endpoint, t, args, &looks, w, err);
	history_files_free(&f);
	return status;
}

const struct view view_who = { .run = who_run };
