// SPDX-License-Identifier: BSD-2-Clause
#include "pages.h"

#include <string.h>

#include "base/address.h"
#include "base/log.h"
#include "forms.h"
#include "proto/label.h"
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

static unsigned malformed(struct call *call, const char *text)
{
	error_set(&call->err, 0, "%s", text);
	return 400;
}

/* Where the answers are looked for. */
static void add_places(struct ask *a, const struct ask_at *at)
{
	ask_add_option(a, "--state-dir", at->state_dir);
	ask_add_option(a, "--leases", at->leases);
}

static unsigned answer_questions(struct call *call)
{
	struct ask ask = { { "request", "-", "--questions" }, 3, &call->body };

	if (call->zone && !form_zone_valid(call->zone))
		return malformed(call, "a zone is an offset such as +01:00, or a name such as Europe/Berlin");
	ask_add_option(&ask, "--zone", call->zone);
	/* So that it knows which addresses are of this gateway. */
	ask_add_option(&ask, "--state-dir", call->at->state_dir);
	return ask_ctl(call->at, &ask, &call->out, &call->err);
}

static const char *asker(const struct call *call)
{
	return *call->user ? call->user : "a user of this machine";
}

static unsigned answer_who(struct call *call)
{
	struct ask ask = { { "who", "-" }, 2, &call->body };
	size_t n = form_lines(call->body.data, call->body.size);

	if (!n || n > FORM_LINES_MAX)
		return malformed(call, "a body of 1 to 100000 lines is needed, each TIME ADDR:PORT with a time zone");
	add_places(&ask, call->at);
	log_audit("%s asks who it was: %zu questions", asker(call), n);
	return ask_ctl(call->at, &ask, &call->out, &call->err);
}

/* That evidence cannot be made is no fault of the question. */
static unsigned answer_evidence(struct call *call)
{
	struct ask ask = { { "evidence" }, 1 };
	struct form_evidence form;
	unsigned status;

	if (!form_evidence_read(call->body.data, call->body.size, &form))
		return malformed(call,
				 "a body of one line is needed, CASE TIME ADDR:PORT; a case has up to 64 letters, "
				 "digits, dots, underscores and hyphens");
	ask_add(&ask, form.name);
	ask_add(&ask, form.endpoint);
	ask_add_option(&ask, "--at", form.at);
	ask_add(&ask, "--tar");
	ask_add_option(&ask, "--for", *call->user ? call->user : NULL);
	ask_add_option(&ask, "--queries", call->at->queries);
	ask_add_option(&ask, "--key", call->at->key);
	add_places(&ask, call->at);
	status = ask_archive(call->at, &ask, &call->archive, &call->archive_size, &call->err);
	log_audit("%s takes evidence about %s at %s, case %s: %s", asker(call), form.endpoint, form.at, form.name,
		  status == 200 ? "done" : call->err.text);
	if (status == 200)
		snprintf(call->file, sizeof(call->file), "%s.tar", form.name);
	return status == 404 ? 502 : status;
}

static unsigned answer_history(struct call *call)
{
	struct ask ask = { { "history", "list", "--no-grants" }, 3 };

	ask_add_option(&ask, "--state-dir", call->at->state_dir);
	return ask_ctl(call->at, &ask, &call->out, &call->err);
}

/* The words of detnatctl are here, and nowhere else: each of them reads, and evidence notes its use. */
static const struct route routes[] = {
	{ "/", .right = RIGHT_LOOKUP, .page = true },
	{ "/lookup", .right = RIGHT_LOOKUP, .page = true },
	{ "/history", .right = RIGHT_LOOKUP, .page = true },
	{ "/state", .right = RIGHT_STATE, .page = true },
	{ "/subscriber/", REST_SUBSCRIBER, RIGHT_STATE, .page = true },
	{ "/api/me", .right = RIGHT_LOOKUP, .answer = answer_me },
	{ "/api/questions", .right = RIGHT_LOOKUP, .answer = answer_questions, .post = true },
	{ "/api/who", .right = RIGHT_LOOKUP, .answer = answer_who, .post = true },
	{ "/api/evidence", .right = RIGHT_LOOKUP, .answer = answer_evidence, .post = true },
	{ "/api/history", .right = RIGHT_LOOKUP, .answer = answer_history },
	{ "/api/samples", .right = RIGHT_STATE, .answer = answer_samples },
	{ "/api/status", .right = RIGHT_STATE, .words = { "status" } },
	{ "/api/stats", .right = RIGHT_STATE, .words = { "stats" } },
	{ "/api/mappings", .right = RIGHT_STATE, .words = { "mapping", "list" } },
	{ "/api/pools", .right = RIGHT_STATE, .words = { "pool", "list" } },
	{ "/api/pools/", REST_PREFIX, RIGHT_STATE, .words = { "pool", "list" } },
	{ "/api/interfaces", .right = RIGHT_STATE, .words = { "interface", "list" } },
	{ "/api/peers", .right = RIGHT_STATE, .words = { "peer", "list" } },
	{ "/api/subscriber/", REST_SUBSCRIBER, RIGHT_STATE, .words = { "user", "show" } },
	{ "/api/explain/", REST_SUBSCRIBER, RIGHT_STATE, .words = { "explain" } },
};

/* A subscriber in a path. */
struct subscriber {
	char addr[ADDR_TEXT];
	const char *tenant; /* NULL: none is named */
};

static bool subscriber_read(const char *rest, struct subscriber *ret)
{
	const char *slash = strchr(rest, '/');
	size_t size = slash ? (size_t)(slash - rest) : strlen(rest);
	uint32_t addr;

	if (size >= sizeof(ret->addr))
		return false;
	memcpy(ret->addr, rest, size);
	ret->addr[size] = '\0';
	ret->tenant = slash ? slash + 1 : NULL;
	return !addr_parse(ret->addr, &addr) && (!slash || label_valid(slash + 1));
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
	} else if (*rest) {
		ask_add(&ask, rest);
	}
	return ask_ctl(call->at, &ask, &call->out, &call->err);
}
