// SPDX-License-Identifier: BSD-2-Clause
#include "control/handlers.h"

#include <errno.h>
#include <string.h>

#include "control/audit_log.h"
#include "base/log.h"

/* Changes that may wait at a time, those of clients that have gone included. */
#define MAX_CHANGES 256U

static unsigned changes_waiting;

/* NULL: not the agent's. */
static const verb_handler handlers[N_VERBS] = {
	[VERB_MAPPING_ADD] = verb_mapping_add,
	[VERB_MAPPING_DEL] = verb_mapping_del,
	[VERB_MAPPING_LIST] = verb_mapping_list,
	[VERB_FORWARD] = verb_forward,
	[VERB_REVERSE] = verb_reverse,
	[VERB_INTERFACE_ADD] = verb_interface_add,
	[VERB_INTERFACE_DEL] = verb_interface_del,
	[VERB_INTERFACE_LIST] = verb_interface_list,
	[VERB_TIMEOUTS_SHOW] = verb_timeouts_show,
	[VERB_TIMEOUTS_SET] = verb_timeouts_set,
	[VERB_TIMEOUTS_RESET] = verb_timeouts_reset,
	[VERB_SESSION_LIST] = verb_session_list,
	[VERB_SESSION_CLOSE] = verb_session_close,
	[VERB_USER_SHOW] = verb_user_show,
	[VERB_STATS] = verb_stats,
	[VERB_STATUS] = verb_status,
	[VERB_IPFIX_SHOW] = verb_ipfix_show,
	[VERB_IPFIX_SET] = verb_ipfix_set,
	[VERB_IPFIX_DISABLE] = verb_ipfix_disable,
	[VERB_IPFIX_FLUSH] = verb_ipfix_flush,
	[VERB_RELOAD] = verb_reload,
	[VERB_TOP] = verb_top,
	[VERB_EXPLAIN] = verb_explain,
	[VERB_TRACE_START] = verb_trace_start,
	[VERB_TRACE_SHOW] = verb_trace_show,
	[VERB_TRACE_STOP] = verb_trace_stop,
	[VERB_CHECK] = verb_check,
};

/* One JSON value and nothing after it; NULL else. */
static cJSON *parse_line(const char *line, size_t size)
{
	const char *end;
	cJSON *document;

	/* A NUL would end a text early, and what follows it would go unseen. */
	if (memchr(line, 0, size) || memmem(line, size, "\\u0000", 6))
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

/* Whether it has a verb, perhaps arguments, and nothing else, once each. */
static bool is_request(const cJSON *document)
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

int request_new(const struct control_context *context, const struct peer *peer, const char *line, size_t size,
		struct request **ret)
{
	cJSON *document = parse_line(line, size);

	if (!is_request(document)) {
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

static int parse_arg(const struct arg_spec *spec, const cJSON *json, struct arg_value *ret, struct error *err)
{
	if (ret->given)
		return error_set(err, -EINVAL, "%s is given twice", spec->name);
	if (spec->kind == ARG_FLAG) {
		if (!cJSON_IsBool(json))
			return error_set(err, -EINVAL, "%s must be true or false", spec->name);
		*ret = (struct arg_value){ .given = true, .number = cJSON_IsTrue(json) };
		return 0;
	}
	if (spec->kind == ARG_NUMBER || spec->kind == ARG_SLOTS) {
		if (!cJSON_IsNumber(json))
			return error_set(err, -EINVAL, "%s must be a number", spec->name);
		return arg_check_number(spec, json->valuedouble, ret, err);
	}
	if (!cJSON_IsString(json))
		return error_set(err, -EINVAL, "%s must be a string", spec->name);
	return arg_parse(spec, json->valuestring, ret, err);
}

static int parse_args(struct request *r, const cJSON *args, struct error *err)
{
	const struct arg_spec *specs = r->spec->args;
	bool assignments = false, assigned = false;
	const cJSON *json;

	cJSON_ArrayForEach (json, args) {
		unsigned i = 0;

		while (specs[i].kind && strcmp(specs[i].name, json->string))
			i++;
		if (!specs[i].kind)
			return error_set(err, -EINVAL, "%s has no argument \"%.64s\"", r->spec->name, json->string);

		int ret = parse_arg(&specs[i], json, &r->args[i], err);

		if (ret)
			return ret;
	}
	for (unsigned i = 0; specs[i].kind; i++) {
		if (specs[i].style == ARG_WORD && !r->args[i].given)
			return error_set(err, -EINVAL, "%s needs %s", r->spec->name, specs[i].name);
		if (specs[i].style == ARG_ASSIGNMENT) {
			assignments = true;
			assigned |= r->args[i].given;
		}
	}
	if (assignments && !assigned)
		return error_set(err, -EINVAL, "%s needs at least one value", r->spec->name);
	return 0;
}

bool request_changes(const struct request *r)
{
	return r->spec->changes || (r->spec->changes_with && request_arg(r, r->spec->changes_with)->number);
}

static int check_rights(struct request *r, struct error *err)
{
	if (!request_changes(r) || r->peer.may_change)
		return 0;
	log_warning("%s: refused to uid %u (pid %d), who is not in group " GROUP_ADMINS, r->spec->name, r->peer.uid,
		    r->peer.pid);
	return error_set(err, -EPERM, "%s: changes need root or membership of group " GROUP_ADMINS, r->spec->name);
}

int request_start(struct request *r, cJSON **ret_result, int *ret_status, struct error *err)
{
	const char *name = cJSON_GetObjectItemCaseSensitive(r->document, "verb")->valuestring;
	int verb = verb_find(name);
	int ret;

	*ret_status = 2;
	if (verb < 0)
		return error_set(err, -EINVAL, "unknown verb \"%.64s\"", name);
	r->spec = &verb_specs[verb];
	ret = parse_args(r, cJSON_GetObjectItemCaseSensitive(r->document, "args"), err);
	if (ret)
		return ret;
	if (!handlers[verb])
		return error_set(err, -EINVAL, "%s is answered by detnatctl, without the agent", name);
	*ret_status = 1;
	ret = check_rights(r, err);
	if (ret)
		return ret;
	ret = handlers[verb](r, ret_result, err);
	if (ret || *ret_result)
		audit_change(r, ret, err);
	return ret;
}

int request_go_on(struct request *r, cJSON **ret_result, struct error *err)
{
	int ret = r->step(r, ret_result, err);

	if (ret <= 0)
		audit_change(r, ret, err);
	return ret;
}

void request_free(struct request *r)
{
	if (!r)
		return;
	if (r->changing) {
		r->client = NULL;
		return;
	}
	if (r->step)
		audit_change(r, -ECANCELED, &(struct error){ "its client went before it had ended" });
	if (r->state_free)
		r->state_free(r->state);
	cJSON_Delete(r->document);
	free(r);
}

const struct arg_value *request_arg(const struct request *r, const char *name)
{
	unsigned i = 0;

	while (strcmp(r->spec->args[i].name, name))
		i++;
	return &r->args[i];
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

/* submit_r: of the queue of changes. */
static int wait_for_change(struct request *r, int submit_r, request_answer answer, struct error *err)
{
	if (submit_r)
		return error_set(err, submit_r, "%s", strerror(-submit_r));
	r->answer = answer;
	r->changing = true;
	changes_waiting++;
	return 0;
}

int request_change(struct request *r, change_edit edit, request_answer answer, struct error *err)
{
	int ret = check_room(err);

	return ret ? ret : wait_for_change(r, change_submit(r->context->changes, edit, change_ended, r), answer, err);
}

int request_reload(struct request *r, request_answer answer, struct error *err)
{
	int ret = check_room(err);

	return ret ? ret : wait_for_change(r, change_submit_reload(r->context->changes, change_ended, r), answer, err);
}

int request_programs(struct request *r, change_prepare prepare, request_answer answer, struct error *err)
{
	int ret = check_room(err);

	return ret ? ret
		   : wait_for_change(r, change_submit_programs(r->context->changes, prepare, change_ended, r), answer,
				     err);
}

cJSON *answer_empty(struct request *r)
{
	return cJSON_CreateObject();
}

bool json_add_addr(cJSON *object, const char *name, uint32_t addr)
{
	char text[ADDR_TEXT];

	return cJSON_AddStringToObject(object, name, addr_format(addr, text));
}

bool json_add_prefix(cJSON *object, const char *name, struct prefix p)
{
	char text[ADDR_TEXT];

	return cJSON_AddStringToObject(object, name, prefix_format(p.base, p.plen, text));
}

bool json_add_endpoint(cJSON *object, const char *name, struct endpoint e)
{
	char text[ADDR_TEXT + 8], addr[ADDR_TEXT];

	snprintf(text, sizeof(text), "%s:%u", addr_format(e.addr, addr), e.port);
	return cJSON_AddStringToObject(object, name, text);
}

bool json_add_u64(cJSON *object, const char *name, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	return cJSON_AddRawToObject(object, name, text);
}
