// SPDX-License-Identifier: BSD-2-Clause
#include "api.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "forms.h"
#include "lookups.h"
#include "notes.h"
#include "refusals.h"

#define QUESTION_ROOM (2 * PARAM_ROOM + 8)

#define EACH (P(CASE) | P(REASON))

const struct api_route api_routes[] = {
	{ API_PREFIX "/who", TOKEN_WHO, EACH | P(ENDPOINT) | P(AT) | P(MARGIN) | P(LIMIT) | P(OFFSET),
	  P(REASON) | P(ENDPOINT), .lists = EACH | P(MARGIN) | P(VERDICT), .get = true, .post = true,
	  .ask = lookup_who },
	{ API_PREFIX "/questions", TOKEN_QUESTIONS, EACH | P(ZONE), P(REASON), .post = true, .text = true,
	  .ask = lookup_questions },
	{ API_PREFIX "/evidence", TOKEN_EVIDENCE, EACH | P(ENDPOINT) | P(AT) | P(MARGIN),
	  P(REASON) | P(CASE) | P(ENDPOINT) | P(AT), .post = true, .ask = lookup_evidence },
	{ API_PREFIX "/customer", TOKEN_CUSTOMER, EACH | P(CUSTOMER) | P(FROM) | P(TO), P(REASON) | P(CUSTOMER),
	  .get = true, .post = true, .ask = lookup_customer },
	{ API_DOCUMENT, .get = true },
};

const unsigned n_api_routes = sizeof(api_routes) / sizeof(*api_routes);

bool api_owns(const char *path)
{
	size_t n = strlen(API_PREFIX);

	return !strncmp(path, API_PREFIX, n) && (!path[n] || path[n] == '/');
}

const struct api_route *api_find(const char *path)
{
	for (unsigned i = 0; i < n_api_routes; i++)
		if (!strcmp(path, api_routes[i].path))
			return &api_routes[i];
	return NULL;
}

const char *api_methods(const struct api_route *r)
{
	return !r->get ? "POST" : r->post ? "GET, HEAD, POST" : "GET, HEAD";
}

bool method_fits(const char *method, bool get, bool post)
{
	return (get && (!strcmp(method, "GET") || !strcmp(method, "HEAD"))) || (post && !strcmp(method, "POST"));
}

unsigned api_identify(struct api_request *q, const char *authorization, const char *client, struct call *call)
{
	unsigned status = token_guard_identify(authorization, q->route->kind, client, &q->pass);
	const struct token *t = &q->pass.token;

	if (!status)
		call->who.asking = ASKING_PROGRAM;
	snprintf(call->who.name, sizeof(call->who.name), status ? "no program" : "program %s", t->name);
	call->named = *t->name;
	if (call->named)
		snprintf(q->whom, sizeof(q->whom), "token %s", t->name);
	else
		snprintf(q->whom, sizeof(q->whom), WHOM_UNKNOWN "%s%s", *client ? " at " : "", client);
	call->whom = q->whom;
	if (*t->tenant) {
		strcpy(call->rights.seen.name[0], t->tenant);
		call->rights.seen.n = 1;
	}
	return status;
}

void api_param(struct api_request *q, const char *key, const char *value, size_t size)
{
	params_add(&q->params, q->route->takes | q->route->lists, key, value, size,
		   *q->malformed.text ? NULL : &q->malformed);
}

/* ---- Answers */

/* How many questions it has: 1, or the lines of a list. 0 with err: it is malformed. */
static unsigned count_questions(struct api_request *q, const struct call *call, struct error *err)
{
	bool list = q->list && q->route->lists;
	unsigned takes = list ? q->route->lists : q->route->takes;
	unsigned needs = q->list ? q->route->needs & ~P(ENDPOINT) : q->route->needs;
	size_t n = q->list ? form_lines(call->body.data, call->body.size) : 1;

	for (unsigned i = 0; i < N_PARAMS; i++)
		if (q->params.given & ~takes & 1U << i)
			error_set(&q->malformed, 0,
				  list ? "%s is for one question, not for a list"
				       : "%s is for a list, not for one question",
				  param_name((enum param)i));
	if (*q->malformed.text) {
		*err = q->malformed;
		return 0;
	}
	if (params_complete(&q->params, needs, err))
		return 0;
	if (q->list && !q->route->lists && q->route->kind != TOKEN_QUESTIONS) {
		error_set(err, 0, "a body here is a form, application/x-www-form-urlencoded");
		return 0;
	}
	if (!n || (q->list && q->route->kind == TOKEN_WHO && n > FORM_LINES_MAX)) {
		error_set(err, 0,
			  q->route->kind == TOKEN_WHO
				  ? "a body of 1 to 100000 lines is needed, each TIME ADDR:PORT with a time zone"
				  : "a body is needed: the complaint");
		return 0;
	}
	return q->route->kind == TOKEN_WHO ? (unsigned)n : 1;
}

static unsigned ask(const struct api_request *q, struct call *call)
{
	struct lookup l = { .list = q->list };

	for (unsigned i = 0; i < N_PARAMS; i++)
		l.value[i] = param(&q->params, (enum param)i);
	l.verdict = l.value[PARAM_VERDICT] && !strcmp(l.value[PARAM_VERDICT], "true");
	return q->route->ask(&l, call);
}

/* What was asked, in a few words. */
static const char *question(const struct api_request *q, const struct call *call, char text[static QUESTION_ROOM])
{
	const char *about = param(&q->params, PARAM_ENDPOINT), *at = param(&q->params, PARAM_AT);

	about = about ? about : param(&q->params, PARAM_CUSTOMER);
	if (q->list)
		snprintf(text, QUESTION_ROOM, "%zu lines", form_lines(call->body.data, call->body.size));
	else
		snprintf(text, QUESTION_ROOM, "%s%s%s", about ? about : "", at ? " at " : "", at ? at : "");
	return text;
}

static struct note note_of(const struct api_request *q, const char *asked, unsigned status, const char *refused)
{
	return (struct note){ .kind = q->route->path + strlen(API_PREFIX "/"),
			      .question = asked,
			      .case_id = param(&q->params, PARAM_CASE),
			      .reason = param(&q->params, PARAM_REASON),
			      .status = status,
			      .refused = refused };
}

/* The line of what detnatctl does not note: a complaint that is read. Without it there is no answer. */
static unsigned note_before(const struct api_request *q, const char *asked, struct call *call)
{
	struct note n = note_of(q, asked, 200, NULL);

	return q->route->kind != TOKEN_QUESTIONS || !note_in_ledger(call, &n, &call->err) ? 0 : 503;
}

static unsigned answer(struct api_request *q, const char *asked, struct call *call)
{
	unsigned n = count_questions(q, call, &call->err), status;

	if (!n)
		return 400;
	if (n > q->pass.token.rate.n) {
		error_set(&call->err, 0, "the list has more questions than this token's rate; send parts of at most %u",
			  q->pass.token.rate.n);
		return 413;
	}
	q->pass.retry_s = token_guard_spend(&q->pass.token, n);
	if (q->pass.retry_s) {
		error_set(&call->err, 0, "this token has no questions left at this time");
		return 429;
	}
	status = note_before(q, asked, call);
	return status ? status : ask(q, call);
}

static void note_refusal(const struct api_request *q, const char *asked, unsigned status, const char *why,
			 struct call *call)
{
	struct note n = note_of(q, asked, status, why);
	char what[REFUSAL_TEXT];

	/* The texts of 401 are few; others repeat what the program sent. */
	snprintf(what, sizeof(what), "%u %s", status, status == 401 ? why : "");
	note_refused(call, &n, what, true);
}

unsigned api_answer(struct api_request *q, struct call *call)
{
	char asked[QUESTION_ROOM];
	struct note n;
	unsigned status;

	question(q, call, asked);
	status = answer(q, asked, call);
	n = note_of(q, asked, status, NULL);
	if (status == 200)
		note_in_journal(call, &n);
	else
		note_refusal(q, asked, status, call->err.text, call);
	return status;
}

void api_note_refusal(const struct api_request *q, unsigned status, struct call *call)
{
	note_refusal(q, NULL, status, q->pass.why, call);
}
