/* SPDX-License-Identifier: BSD-2-Clause */
/* /api/v1: the questions of other programs. Each has a token (token_guard.h) and leaves a line (notes.h). */
#ifndef DETNAT_DESK_API_H
#define DETNAT_DESK_API_H

#include "call.h"
#include "params.h"
#include "token_guard.h"

#define API_PREFIX   "/api/v1"
#define API_DOCUMENT API_PREFIX "/openapi.json"

struct lookup;

#define WHOM_TEXT 120U

struct api_route {
	const char *path;
	enum token_kind kind;
	unsigned takes, needs; /* parameters, see P() */
	unsigned lists;	       /* those that go with a list of questions; 0: there are no lists */
	bool get, post;	       /* the methods */
	bool text;	       /* a body is the question, never a form */
	unsigned (*ask)(const struct lookup *l, struct call *call);
};

/* All of them, as docs/reference/openapi.json has them. */
extern const struct api_route api_routes[];
extern const unsigned n_api_routes;

/* A request under way. */
struct api_request {
	const struct api_route *route;
	struct token_pass pass;
	char whom[WHOM_TEXT]; /* as lines name it */
	struct params params;
	struct error malformed; /* of its parameters; "": nothing is */
	bool list;		/* its body is the question */
};

/* Whether a path is one of programs. */
bool api_owns(const char *path);

/* Returns NULL if there is none. */
const struct api_route *api_find(const char *path);

/* For Allow. */
const char *api_methods(const struct api_route *r);

/* Whether a method goes with a path that is for GET and HEAD, for POST, or for all. */
bool method_fits(const char *method, bool get, bool post);

/* Whether parameters may be in the body, too. */
static inline bool api_takes_form(const struct api_route *r)
{
	return r->post && !r->text;
}

/*
 * Finds who asks, and what he may see. client: the address that asks the proxy, "" if it is not known. 0, or the status
 * to answer with and a text in q->pass.why.
 */
unsigned api_identify(struct api_request *q, const char *authorization, const char *client, struct call *call);

/* Adds a parameter of the query or the form; the first fault is kept. */
void api_param(struct api_request *q, const char *key, const char *value, size_t size);

/* Answers: a status of HTTP, with the answer in call->answer or a text in call->err; and notes it. */
unsigned api_answer(struct api_request *q, struct call *call);

/* Notes a request that was refused before it was read. */
void api_note_refusal(const struct api_request *q, unsigned status, struct call *call);

#endif
