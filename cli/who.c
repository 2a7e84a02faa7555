// SPDX-License-Identifier: BSD-2-Clause
/* who: which subscriber held an outside address and port at a time. One question, or a list on standard input. */
#include <inttypes.h>
#include <string.h>

#include "base/json_scan.h"
#include "history_files.h"
#include "json_get.h"
#include "who_candidates.h"
#include "who_rows.h"

/* Rows written between two checks whether the output is still read. */
#define ROWS_A_LOOK 1024U

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
	char addr[ADDR_TEXT], why[CUSTOMER_MISSING];

	if (w->json)
		who_show_json(w, r, known_until, source);
	else if (claimed)
		who_show_claimed(w, r, source);
	else
		who_show_text(w, r, known_until, source);
	if (source->customers.days && customer_missing(&r->customer, why))
		return error_set(err, EXIT_REFUSED, "no customer of %s: %s",
				 addr_format(claimed ? r->claim.answer.in_addr : best->in_addr, addr),
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

static int ask_many(struct who_source *source, struct writer *w, struct error *err)
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

/* A question is about an endpoint, or about an address whose port is not known. */
static int ask_typed(struct who_source *source, const char *text, int64_t t, const cJSON *args, struct writer *w,
		     struct error *err)
{
	uint32_t addr;

	if (addr_parse(text, &addr))
		return ask_one(source, text, t, w, err);
	return who_candidates(source, addr, t, args, w, err);
}

int who_answer(const struct history_files *f, const char *dir, const char *endpoint, int64_t t, const cJSON *args,
	       struct writer *w, struct error *err)
{
	_cleanup_claims_ struct history_claims claims = { 0 };
	struct who_source source;
	int status = who_source_open(f, dir, &claims, &source, err);

	if (!status)
		status = customers_open(args, dir, &source.customers, err);
	if (!status)
		status = endpoint ? ask_typed(&source, endpoint, t, args, w, err) : ask_many(&source, w, err);
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
	struct history_files f;
	int64_t t = time(NULL);
	int status;

	if (many && at)
		return error_set(err, EXIT_USAGE, "who -: each line has a time of its own, so --at is not taken");
	if (!addresses && (cJSON_HasObjectItem(args, "limit") || cJSON_HasObjectItem(args, "offset")))
		return error_set(err, EXIT_USAGE, "who: --limit and --offset belong to an address without a port");
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
