// SPDX-License-Identifier: BSD-2-Clause
#include "pages.h"

#include <string.h>

#include "base/address.h"
#include "base/log.h"
#include "base/virtual6.h"
#include "forms.h"
#include "history_mark.h"
#include "lookups.h"
#include "proto/label.h"
#include "samples.h"
#include "state_dir.h"

/* Of so many, the journal has each. */
#define QUESTIONS_NOTED 10U

static unsigned memory(struct call *call)
{
	error_set(&call->err, 0, "out of memory; try again in some seconds");
	return 503;
}

static const char *truth(unsigned is)
{
	return is ? "true" : "false";
}

/* Rights, so that the script offers only what is permitted. The name has no letter that JSON escapes. */
static unsigned answer_me(struct call *call)
{
	unsigned may = call->rights.may;
	char text[256];
	int n = snprintf(text, sizeof(text),
			 "{\"user\":\"%s\",\"look_up\":%s,\"history\":%s,\"state\":%s,\"subscribers\":%s}", call->user,
			 truth(may & RIGHT_LOOKUP), truth(may & RIGHT_HISTORY), truth(may & RIGHT_STATE),
			 truth(may & RIGHT_PERSONS));

	return buffer_add(&call->answer.text, text, (size_t)n, sizeof(text)) ? memory(call) : 200;
}

static unsigned answer_samples(struct call *call)
{
	return samples_write(&call->answer.text) ? memory(call) : 200;
}

static unsigned malformed(struct call *call, const char *text)
{
	error_set(&call->err, 0, "%s", text);
	return 400;
}

static unsigned answer_questions(struct call *call)
{
	if (call->zone && !form_zone_valid(call->zone))
		return malformed(call, "a zone is an offset such as +01:00, or a name such as Europe/Berlin");
	return lookup_questions(&(struct lookup){ .value = { [PARAM_ZONE] = call->zone }, .list = true }, call);
}

static unsigned answer_who(struct call *call)
{
	size_t n = form_lines(call->body.data, call->body.size);

	if (!n || n > FORM_LINES_MAX)
		return malformed(call, "a body of 1 to 100000 lines is needed, each TIME ADDR:PORT with a time zone");
	log_audit("%s asks who it was: %zu questions%s%.*s", call->whom, n, n > QUESTIONS_NOTED ? "" : ": ",
		  n > QUESTIONS_NOTED ? 0 : (int)call->body.size, call->body.data);
	return lookup_who(&(struct lookup){ .list = true, .verdict = call->verdict }, call);
}

static unsigned answer_customer(struct call *call)
{
	struct params p = {};
	struct lookup l = {};

	if (params_add(&p, P(CUSTOMER), "customer", call->body.data, call->body.size, NULL))
		return malformed(call, "a body is needed: a name, a circuit or a MAC of up to 255 octets");
	l.value[PARAM_CUSTOMER] = param(&p, PARAM_CUSTOMER);
	log_audit("%s asks what customer %s had", call->whom, l.value[PARAM_CUSTOMER]);
	return lookup_customer(&l, call);
}

static unsigned answer_evidence(struct call *call)
{
	struct form_evidence form;
	struct lookup l = {
		.value = { [PARAM_CASE] = form.name, [PARAM_ENDPOINT] = form.endpoint, [PARAM_AT] = form.at },
	};
	unsigned status;

	if (!form_evidence_read(call->body.data, call->body.size, &form))
		return malformed(call,
				 "a body of one line is needed, CASE TIME ADDR:PORT; a case has up to 64 letters, "
				 "digits, dots, underscores and hyphens");
	status = lookup_evidence(&l, call);
	log_audit("%s takes evidence about %s at %s, case %s: %s", call->whom, form.endpoint, form.at, form.name,
		  status == 200 ? "done" : call->err.text);
	return status;
}

/* Who has the list already is told so without asking for it again; who has a part gets what came behind. */
static unsigned answer_history(struct call *call)
{
	struct ask ask = { .words = { "history", "list", "--no-grants" }, .n = 3 };
	const char *dir = state_dir_known(call->at, call->dir);
	struct history_seen seen;
	unsigned status;
	bool same;

	if (call->after && !form_record_valid(call->after))
		return malformed(call, "after is the line of a record, a dot, and its hash");
	history_look(dir, &seen);
	if (call->after)
		history_mark_file(&seen, call);
	same = call->known && (call->after ? *call->mark : history_mark_recall(&seen, call)) &&
	       !strcmp(call->known, call->mark);
	if (same)
		return 200;
	ask_add_option(&ask, "--state-dir", dir);
	ask_add_option(&ask, "--after", call->after);
	status = call_ask(call, &ask);
	if (status != 200)
		*call->mark = '\0';
	else if (!call->after)
		history_mark_make(&seen, call);
	return status;
}

/* The words of detnatctl are here, and nowhere else: each of them reads, and evidence notes its use. */
static const struct route routes[] = {
	{ "/", .page = true },
	{ "/lookup", .right = RIGHT_LOOKUP, .page = true },
	{ "/customer", .right = RIGHT_LOOKUP, .page = true },
	{ "/history", .right = RIGHT_HISTORY, .page = true },
	{ "/state", .right = RIGHT_STATE, .page = true },
	{ "/subscriber/", REST_SUBSCRIBER, RIGHT_PERSONS, .page = true },
	{ "/api/me", .answer = answer_me },
	{ "/api/questions", .right = RIGHT_LOOKUP, .answer = answer_questions, .post = true },
	{ "/api/who", .right = RIGHT_LOOKUP, .answer = answer_who, .post = true },
	{ "/api/customer", .right = RIGHT_LOOKUP, .answer = answer_customer, .post = true },
	{ "/api/evidence", .right = RIGHT_LOOKUP, .answer = answer_evidence, .post = true },
	{ "/api/history", .right = RIGHT_HISTORY, .answer = answer_history },
	{ "/api/samples", .right = RIGHT_STATE, .answer = answer_samples },
	{ "/api/status", .right = RIGHT_STATE, .words = { "status" } },
	{ "/api/stats", .right = RIGHT_STATE, .words = { "stats" } },
	{ "/api/mappings", .right = RIGHT_STATE, .words = { "mapping", "list" } },
	{ "/api/pools", .right = RIGHT_STATE, .words = { "pool", "list" } },
	{ "/api/pools/", REST_PREFIX, RIGHT_STATE, .words = { "pool", "list" } },
	{ "/api/interfaces", .right = RIGHT_STATE, .words = { "interface", "list" } },
	{ "/api/peers", .right = RIGHT_STATE, .words = { "peer", "list" } },
	{ "/api/subscriber/", REST_SUBSCRIBER, RIGHT_PERSONS, .words = { "user", "show" } },
	{ "/api/explain/", REST_SUBSCRIBER, RIGHT_PERSONS, .words = { "explain" } },
};

/* A subscriber in a path: an IPv4 address, or an IPv6 one in his prefix. */
struct subscriber {
	char addr[INSIDE_TEXT];
	const char *tenant; /* NULL: none is named */
};

static bool subscriber_read(const char *rest, struct subscriber *ret)
{
	const char *slash = strchr(rest, '/');
	size_t size = slash ? (size_t)(slash - rest) : strlen(rest);
	struct address6 six;
	uint32_t addr;

	if (size >= sizeof(ret->addr))
		return false;
	memcpy(ret->addr, rest, size);
	ret->addr[size] = '\0';
	ret->tenant = slash ? slash + 1 : NULL;
	return (!addr_parse(ret->addr, &addr) || !address6_parse(ret->addr, &six)) &&
	       (!slash || label_valid(slash + 1));
}

static bool rest_valid(enum route_rest kind, const char *rest)
{
	struct subscriber subscriber;
	struct prefix prefix;
	uint32_t addr;

	switch (kind) {
	case REST_SUBSCRIBER:
		return subscriber_read(rest, &subscriber);
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
	struct subscriber subscriber;
	struct ask ask = {};

	if (r->answer)
		return r->answer(call);
	for (unsigned i = 0; r->words[i]; i++)
		ask_add(&ask, r->words[i]);
	if (r->rest == REST_SUBSCRIBER && subscriber_read(rest, &subscriber)) {
		ask_add(&ask, subscriber.addr);
		ask_add_option(&ask, "--tenant", subscriber.tenant);
		ask_add_option(&ask, "--for", call->whom);
	} else if (*rest) {
		ask_add(&ask, rest);
	}
	return call_ask(call, &ask);
}
