// SPDX-License-Identifier: BSD-2-Clause
#include "pages.h"

#include <inttypes.h>
#include <string.h>

#include "base/address.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "questions.h"
#include "samples.h"

static unsigned memory(struct call *call)
{
	error_set(&call->err, 0, "out of memory; try again in some seconds");
	return 503;
}

/* Rights, so that the script offers only what is permitted. The name has no letter that JSON escapes. */
static unsigned answer_me(struct call *call)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "{\"user\":\"%s\",\"look_up\":%s,\"state\":%s}", call->user,
			 call->right >= RIGHT_LOOKUP ? "true" : "false", call->right >= RIGHT_STATE ? "true" : "false");

	return buffer_add(&call->out, text, (size_t)n, sizeof(text)) ? memory(call) : 200;
}

static unsigned answer_samples(struct call *call)
{
	return samples_write(&call->out) ? memory(call) : 200;
}

static void write_questions(FILE *out, const struct questions *q)
{
	char when[TIME_TEXT], addr[ADDR_TEXT];

	fputs("{\"questions\":[", out);
	for (size_t i = 0; i < q->n; i++)
		fprintf(out, "%s{\"line\":%" PRIu64 ",\"time\":\"%s\",\"out_addr\":\"%s\",\"out_port\":%u}",
			i ? "," : "", q->of[i].line, time_format(q->of[i].time, when),
			addr_format(q->of[i].out.addr, addr), q->of[i].out.port);
	fputs("],\"problems\":[", out);
	for (size_t i = 0; i < q->n_problems; i++)
		fprintf(out, "%s{\"line\":%" PRIu64 ",\"text\":\"%s\"}", i ? "," : "", q->problems[i].line,
			question_problem_text(q->problems[i].why));
	fprintf(out, "],\"left_out\":%" PRIu64 "}", q->left_out);
}

/* As detnatctl who - takes them. */
static void write_lines(FILE *out, const struct questions *q)
{
	char when[TIME_TEXT], addr[ADDR_TEXT];

	for (size_t i = 0; i < q->n; i++)
		fprintf(out, "%s %s:%u\n", time_format(q->of[i].time, when), addr_format(q->of[i].out.addr, addr),
			q->of[i].out.port);
}

/* The text that a function writes about the questions of the body. 0 or -ENOMEM. */
static int write_about(const struct questions *q, void (*write)(FILE *, const struct questions *), struct buffer *ret)
{
	FILE *out = open_memstream(&ret->data, &ret->size);

	if (!out)
		return -ENOMEM;
	write(out, q);
	return fclose(out) ? -ENOMEM : 0;
}

static unsigned answer_questions(struct call *call)
{
	_cleanup_questions_ struct questions q = {};

	if (questions_find(call->body.data, call->body.size, &q) || write_about(&q, write_questions, &call->out))
		return memory(call);
	return 200;
}

/* The customer behind an address and the evidence are the answers of `who`, too: they need no more than its words. */
static unsigned answer_who(struct call *call)
{
	const char *words[] = { "who", "-", call->at->state_dir ? "--state-dir" : NULL, call->at->state_dir, NULL };
	_cleanup_buffer_ struct buffer lines = {};
	_cleanup_questions_ struct questions q = {};

	if (questions_find(call->body.data, call->body.size, &q) || write_about(&q, write_lines, &lines))
		return memory(call);
	if (!q.n || q.left_out || q.n_problems) {
		error_set(&call->err, 0, "a body of up to %u lines is needed, each TIME ADDR:PORT with a time zone",
			  QUESTIONS_MAX);
		return 400;
	}
	log_audit("%s asks who it was: %zu questions", *call->user ? call->user : "a user of this machine", q.n);
	return ask_ctl(call->at, words, &lines, &call->out, &call->err);
}

static unsigned answer_history(struct call *call)
{
	const char *words[] = { "history", "list", call->at->state_dir ? "--state-dir" : NULL, call->at->state_dir,
				NULL };

	return ask_ctl(call->at, words, NULL, &call->out, &call->err);
}

/* The words of detnatctl are here, and nowhere else: each of them reads. */
static const struct route routes[] = {
	{ "/", .right = RIGHT_LOOKUP, .page = true },
	{ "/lookup", .right = RIGHT_LOOKUP, .page = true },
	{ "/history", .right = RIGHT_LOOKUP, .page = true },
	{ "/state", .right = RIGHT_STATE, .page = true },
	{ "/subscriber/", REST_ADDR, RIGHT_STATE, .page = true },
	{ "/api/me", .right = RIGHT_LOOKUP, .answer = answer_me },
	{ "/api/questions", .right = RIGHT_LOOKUP, .answer = answer_questions, .post = true },
	{ "/api/who", .right = RIGHT_LOOKUP, .answer = answer_who, .post = true },
	{ "/api/history", .right = RIGHT_LOOKUP, .answer = answer_history },
	{ "/api/samples", .right = RIGHT_STATE, .answer = answer_samples },
	{ "/api/status", .right = RIGHT_STATE, .words = { "status" } },
	{ "/api/stats", .right = RIGHT_STATE, .words = { "stats" } },
	{ "/api/mappings", .right = RIGHT_STATE, .words = { "mapping", "list" } },
	{ "/api/pools", .right = RIGHT_STATE, .words = { "pool", "list" } },
	{ "/api/pools/", REST_PREFIX, RIGHT_STATE, .words = { "pool", "list" } },
	{ "/api/interfaces", .right = RIGHT_STATE, .words = { "interface", "list" } },
	{ "/api/peers", .right = RIGHT_STATE, .words = { "peer", "list" } },
	{ "/api/subscriber/", REST_ADDR, RIGHT_STATE, .words = { "user", "show" } },
	{ "/api/explain/", REST_ADDR, RIGHT_STATE, .words = { "explain" } },
};

static bool rest_valid(enum route_rest kind, const char *rest)
{
	struct prefix prefix;
	uint32_t addr;

	switch (kind) {
	case REST_ADDR:
		return !addr_parse(rest, &addr);
	case REST_PREFIX:
		return !prefix_parse(rest, &prefix) || !addr_parse(rest, &addr);
	default:
		return !*rest;
	}
}

const struct route *route_find(const char *path, const char **ret_rest)
{
	for (unsigned i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
		size_t n = strlen(routes[i].path);

		if (strncmp(path, routes[i].path, n) != 0 || !rest_valid(routes[i].rest, path + n))
			continue;
		*ret_rest = path + n;
		return &routes[i];
	}
	return NULL;
}

const struct asset *asset_find(const char *path)
{
	for (unsigned i = 0; i < n_assets; i++)
		if (!strcmp(path, assets[i].path))
			return &assets[i];
	return NULL;
}

unsigned route_answer(const struct route *r, const char *rest, struct call *call)
{
	const char *words[5] = {};
	unsigned n = 0;

	if (r->answer)
		return r->answer(call);
	while (r->words[n]) {
		words[n] = r->words[n];
		n++;
	}
	if (*rest)
		words[n] = rest;
	return ask_ctl(call->at, words, NULL, &call->out, &call->err);
}
