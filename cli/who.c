// SPDX-License-Identifier: BSD-2-Clause
/* who: which subscriber held an outside address and port at a time. One question, or a list on standard input. */
#include <inttypes.h>
#include <string.h>

#include "base/json_scan.h"
#include "history_files.h"
#include "json_get.h"
#include "who_rows.h"

/* Rows written between two checks whether the output is still read. */
#define ROWS_A_LOOK 1024U

/* A running agent confirms the history's continuation at shorter intervals. */
#define CURRENT_S 120

/* The leases are read once it is known of which address. */
static int open_for(struct who_source *source, const struct who_answer *a, enum who_result result, int64_t t,
		    const cJSON *args, struct error *err)
{
	struct lease_addr addr = lease_addr_of(a->best.in_addr);
	struct customers *c = &source->customers;

	c->margin = customers_margin(args);
	if (result != WHO_FOUND)
		return EXIT_DONE;
	return customers_open(args, source->dir, customers_one_address(c, a, t) ? &addr : NULL, c, err);
}

static int refuse(const char *endpoint, int64_t t, enum who_result result, const struct who_answer *a,
		  struct error *why, struct error *err)
{
	char when[TIME_TEXT];

	who_add_other(a, why);
	return error_set(err, EXIT_REFUSED, "%s %s at %s: %.400s",
			 result == WHO_NOBODY ? "no subscriber held" : "no record of", endpoint, time_format(t, when),
			 why->text);
}

static int show(const struct who_source *source, const struct who_answer *a, int64_t t, const struct customer *c,
		struct writer *w, struct error *err)
{
	int64_t known_until = a->best.to != TIME_OPEN || t - CURRENT_S <= source->until ? TIME_NONE : source->until;
	char addr[ADDR_TEXT];

	if (w->json)
		who_show_json(w, WHO_FOUND, a, known_until, source, c);
	else
		who_show_text(w, a, known_until, source, c);
	if (source->customers.index && customer_missing(c))
		return error_set(err, EXIT_REFUSED, "no customer of %s: %s", addr_format(a->best.in_addr, addr),
				 customer_missing(c));
	return EXIT_DONE;
}

static int ask_one(struct who_source *source, const char *endpoint_text, int64_t t, const cJSON *args, struct writer *w,
		   struct error *err)
{
	struct endpoint out = { 0 };
	struct who_answer a;
	struct customer c = { 0 };
	struct error why = { 0 };
	enum who_result result;
	int status;

	endpoint_parse(endpoint_text, &out);
	result = who_ask(source->who, out, t, &a, &why);
	status = open_for(source, &a, result, t, args, err);
	if (status)
		return status;
	if (source->customers.index) {
		customer_find(&source->customers, source->who, out, t, result, &a, &c);
		who_ask(source->who, out, t, &a, &why);
	}
	if (result == WHO_FOUND)
		return show(source, &a, t, &c, w, err);
	if (!w->json)
		who_show_others(w, &a, false);
	else if (a.other)
		who_show_json(w, result, &a, TIME_NONE, source, &c);
	return refuse(endpoint_text, t, result, &a, &why, err);
}

static int ask_many(const struct who_source *source, struct writer *w, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	uint64_t line = 0, malformed = 0, unanswered = 0;
	size_t room = 0;
	ssize_t size;

	who_rows_begin(w);
	while ((size = getline(&text, &room, stdin)) >= 0) {
		int status;

		line++;
		if (text[strspn(text, " \t\r\n")] == '\0' && strlen(text) == (size_t)size)
			continue;
		status = who_row_of_line(source, text, (size_t)size, line, w);
		malformed += status == EXIT_USAGE;
		unanswered += status == EXIT_REFUSED;
		if (line % ROWS_A_LOOK == 0 && (w->failed || ferror(w->out)))
			break;
	}
	who_rows_end(w);
	if (malformed)
		return error_set(err, EXIT_USAGE, "malformed lines: %" PRIu64 "; each must be TIME ADDR:PORT",
				 malformed);
	if (unanswered)
		return error_set(err, EXIT_REFUSED, "questions without an answer: %" PRIu64, unanswered);
	return EXIT_DONE;
}

int who_answer(const struct history_files *f, const char *dir, const char *endpoint, int64_t t, const cJSON *args,
	       struct writer *w, struct error *err)
{
	struct who_source source = { .dir = dir, .until = history_files_known_until(f) };
	int status;

	if (who_new(&f->index, &source.who))
		return error_set(err, EXIT_REFUSED, "out of memory");
	status = endpoint ? EXIT_DONE : customers_open(args, dir, NULL, &source.customers, err);
	if (!status)
		status = endpoint ? ask_one(&source, endpoint, t, args, w, err) : ask_many(&source, w, err);
	customers_close(&source.customers);
	who_free(source.who);
	return status;
}

static int who_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	const char *endpoint = json_text(args, "endpoint", NULL);
	const char *at = json_text(args, "at", NULL);
	bool many = !strcmp(endpoint, "-");
	_cleanup_free_ char *dir = NULL;
	struct history_files f;
	int64_t t = time(NULL);
	int status;

	if (many && at)
		return error_set(err, EXIT_USAGE, "who -: each line has a time of its own, so --at is not taken");
	if (at)
		time_parse(at, &t);
	status = history_read_named(socket, args, true, &f, &dir, err);
	if (status)
		return status;
	history_warn(&f);
	status = who_answer(&f, dir, many ? NULL : endpoint, t, args, w, err);
	history_files_free(&f);
	return status;
}

const struct view view_who = { .run = who_run };
