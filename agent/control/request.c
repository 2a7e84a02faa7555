// SPDX-License-Identifier: BSD-2-Clause
#include "control/request.h"

#include <errno.h>
#include <string.h>

#include "control/audit_log.h"

/* Changes that may wait at a time, including those of clients that have gone. */
#define MAX_CHANGES 256U

static unsigned changes_waiting;

/* Whether a text contains an escaped NUL; two backslashes are one that escapes nothing. */
static bool escapes_nul(const char *line, size_t size)
{
	const char *at = line, *end = line + size;

	while ((at = memchr(at, '\\', (size_t)(end - at))) && end - at >= 2) {
		if (end - at >= 6 && !memcmp(at, "\\u0000", 6))
			return true;
		at += 2;
	}
	return false;
}

/* Parses one JSON value with nothing after it; else NULL. */
static cJSON *parse_line(const char *line, size_t size)
{
	const char *end;
	cJSON *document;

	/* A NUL would end a text early and hide the rest. */
	if (memchr(line, 0, size) || escapes_nul(line, size))
		return NULL;
	document = cJSON_ParseWithLengthOpts(line, size, &end, false);
	while (document && end < line + size) {
		if (!strchr(" \t\r", *end++)) {
			cJSON_Delete(document);
			return NULL;
		}
	}
	return document;
}

bool request_is_well_formed(const cJSON *document)
{
	const cJSON *json;
	bool verb = false, args = false;

	if (!cJSON_IsObject(document))
		return false;
	cJSON_ArrayForEach (json, document) {
		if (!strcmp(json->string, "verb") && cJSON_IsString(json) && !verb)
			verb = true;
		else if (!strcmp(json->string, "args") && cJSON_IsObject(json) && !args)
			args = true;
		else
			return false;
	}
	return verb;
}

static bool is_batch(const cJSON *document)
{
	return cJSON_IsObject(document) && cJSON_GetArraySize(document) == 1 &&
	       !strcmp(document->child->string, "batch") && cJSON_IsArray(document->child);
}

int request_new(const struct parts *context, const struct peer *peer, const char *line, size_t size,
		struct request **ret)
{
	cJSON *document = parse_line(line, size);

	if (!request_is_well_formed(document) && !is_batch(document)) {
		cJSON_Delete(document);
		return -EBADMSG;
	}

	struct request *r = calloc(1, sizeof(*r));

	if (!r) {
		cJSON_Delete(document);
		return -ENOMEM;
	}
	r->context = context;
	r->peer = *peer;
	r->document = document;
	*ret = r;
	return 0;
}

void request_run(struct request *r, request_step step, void *state, void (*state_free)(void *state))
{
	r->step = step;
	r->state = state;
	r->state_free = state_free;
}

struct evbuffer *request_stream(struct request *r)
{
	r->stream = r->output;
	evbuffer_add_printf(r->stream, "{\"ok\":true,\"stream\":true}\n");
	return r->stream;
}

int request_go_on(struct request *r, cJSON **ret_result, struct error *err)
{
	int ret = r->step(r, ret_result, err);

	if (ret <= 0 && !r->changing)
		audit_change(r, ret, err);
	return ret;
}

static void free_one(struct request *r)
{
	if (r->state_free)
		r->state_free(r->state);
	cJSON_Delete(r->document);
	free(r);
}

void request_free(struct request *r)
{
	if (!r)
		return;
	if (r->changing) {
		r->client = NULL;
		return;
	}
	if (r->step && !r->audited)
		audit_change(r, -ECANCELED, &(struct error){ "its client went before it had ended" });
	for (unsigned i = 0; r->batch && i < r->batch->n; i++)
		free_one(r->batch->request[i]);
	free(r->batch);
	free_one(r);
}

static void change_ended(void *arg, int result_r, const struct error *err)
{
	struct request *r = arg;

	changes_waiting--;
	r->changing = false;
	audit_change(r, result_r, err);
	if (r->ended)
		r->ended(r, result_r);
	if (r->client)
		r->changed(r, result_r, result_r ? NULL : r->answer(r), err);
	else
		request_free(r);
}

static int check_room(struct error *err)
{
	if (changes_waiting < MAX_CHANGES)
		return 0;
	return error_set(err, -EBUSY, "%u changes are waiting already, try again later", changes_waiting);
}

/* submit_r: the result from the queue of changes. */
static int wait_for_change(struct request *r, int submit_r, request_answer answer, struct error *err)
{
	if (submit_r)
		return error_set(err, submit_r, "%s", strerror(-submit_r));
	r->answer = answer;
	r->changing = true;
	changes_waiting++;
	return 0;
}

/* A batch is the command of its first request, and says that there are more. */
static struct history_by author_of(const struct request *r)
{
	const struct verb_spec *spec = r->batch ? r->batch->request[0]->spec : r->spec;
	char what[BY_WHAT];

	snprintf(what, sizeof(what), "%s%s", r->batch ? "batch: " : "", spec ? spec->name : "");
	return history_by_user(what, r->peer.uid);
}

int request_change(struct request *r, change_edit edit, request_answer answer, struct error *err)
{
	int ret;

	if (r->in_batch) {
		r->edit = edit;
		r->answer = answer;
		/* A separate change ends drains. */
		r->options.timed = false;
		return 0;
	}
	r->options.by = author_of(r);
	ret = check_room(err);
	return ret ? ret
		   : wait_for_change(r, change_submit_with(r->context->changes, edit, change_ended, r, &r->options),
				     answer, err);
}

int request_reload(struct request *r, request_answer answer, struct error *err)
{
	const struct reload_options options = {
		.force = request_arg(r, "force")->number,
		.confirm = (uint32_t)request_arg(r, "confirm")->number,
		.by = author_of(r),
	};
	int ret = check_room(err);

	return ret ? ret
		   : wait_for_change(r, change_submit_reload(r->context->changes, &options, change_ended, r), answer,
				     err);
}

int request_back(struct request *r, request_answer answer, struct error *err)
{
	const struct history_by by = author_of(r);
	int ret = check_room(err);

	return ret ? ret
		   : wait_for_change(r, change_submit_back(r->context->changes, &by, change_ended, r), answer, err);
}

int request_programs(struct request *r, change_prepare prepare, request_answer answer, struct error *err)
{
	int ret = check_room(err);

	return ret ? ret
		   : wait_for_change(r, change_submit_programs(r->context->changes, prepare, change_ended, r), answer,
				     err);
}
