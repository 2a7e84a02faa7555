// SPDX-License-Identifier: BSD-2-Clause
#include "lookups.h"

#include <stdio.h>

#include "state_dir.h"

static void add(struct ask *ask, const char *option, const struct lookup *l, enum param which)
{
	ask_add_option(ask, option, l->value[which]);
}

/* Where it is looked for, and what its line in the ledger says. */
static void add_look(struct ask *ask, const struct lookup *l, struct call *call)
{
	call_add_places(call, ask);
	add(ask, "--case", l, PARAM_CASE);
	add(ask, "--reason", l, PARAM_REASON);
}

static bool is_permitted(const struct call *call)
{
	size_t size;
	const char *text = ask_answer_map(&call->answer, &size);
	bool permitted = text && tenants_permit(&call->rights.seen, text, size);

	ask_answer_unmap(&call->answer, text, size);
	return permitted;
}

/* Asks, and gives no answer about others than whom the caller may see. */
static unsigned ask_permitted(struct call *call, struct ask *ask)
{
	unsigned status = call_ask(call, ask);

	if (!call->rights.seen.n)
		return status;
	/* Why there is no answer may name others. */
	if (status == 404)
		error_set(&call->err, 0, "nothing is known about that of a subscriber of this tenant");
	if (status != 200 || is_permitted(call))
		return status;
	ask_answer_free(&call->answer);
	error_set(&call->err, 0, "this is about a subscriber of another tenant");
	return 403;
}

unsigned lookup_who(const struct lookup *l, struct call *call)
{
	struct ask ask = { .words = { "who", l->list ? "-" : l->value[PARAM_ENDPOINT] }, .n = 2 };

	ask.input = l->list ? &call->body : NULL;
	if (l->verdict)
		ask_add(&ask, "--verdict");
	add(&ask, "--at", l, PARAM_AT);
	add(&ask, "--margin", l, PARAM_MARGIN);
	add(&ask, "--limit", l, PARAM_LIMIT);
	add(&ask, "--offset", l, PARAM_OFFSET);
	add_look(&ask, l, call);
	return ask_permitted(call, &ask);
}

/* They name nobody. */
unsigned lookup_questions(const struct lookup *l, struct call *call)
{
	struct ask ask = { .words = { "request", "-", "--questions" }, .n = 3, .input = &call->body };

	add(&ask, "--zone", l, PARAM_ZONE);
	/* So that it knows which addresses are of this gateway. */
	ask_add_option(&ask, "--state-dir", state_dir_known(call->at, call->dir));
	return call_ask(call, &ask);
}

static unsigned make_evidence(const struct lookup *l, struct call *call)
{
	const char *name = l->value[PARAM_CASE];
	struct ask ask = { .words = { "evidence", name, l->value[PARAM_ENDPOINT], "--tar" }, .n = 4, .archive = true };
	unsigned status;

	add(&ask, "--at", l, PARAM_AT);
	add(&ask, "--margin", l, PARAM_MARGIN);
	ask_add_option(&ask, "--key", call->at->key);
	add_look(&ask, l, call);
	status = call_ask(call, &ask);
	if (status == 200)
		snprintf(call->file, sizeof(call->file), "%s.tar", name);
	/* That evidence cannot be made is no fault of the question. */
	return status == 404 ? 502 : status;
}

/* Whoever may not see everybody asks the question first: the archive has its answer. */
unsigned lookup_evidence(const struct lookup *l, struct call *call)
{
	unsigned status = call->rights.seen.n ? lookup_who(l, call) : 200;

	if (status != 200)
		return status;
	ask_answer_free(&call->answer);
	return make_evidence(l, call);
}

unsigned lookup_customer(const struct lookup *l, struct call *call)
{
	struct ask ask = { .words = { "customer" }, .n = 1 };

	add(&ask, "--from", l, PARAM_FROM);
	add(&ask, "--to", l, PARAM_TO);
	ask_add_option(&ask, "--tenant", call->rights.seen.n == 1 ? call->rights.seen.name[0] : NULL);
	add_look(&ask, l, call);
	/* Whatever it begins with, it is no option. */
	ask_add(&ask, "--");
	ask_add(&ask, l->value[PARAM_CUSTOMER]);
	return ask_permitted(call, &ask);
}
