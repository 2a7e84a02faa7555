// SPDX-License-Identifier: BSD-2-Clause
#include "ask.h"

#include <errno.h>
#include <string.h>

static void delete_json(cJSON **json)
{
	cJSON_Delete(*json);
}
#define _cleanup_json_ __attribute__((cleanup(delete_json)))

static int send_request(struct client *c, const char *verb, const cJSON *args, struct error *err)
{
	_cleanup_json_ cJSON *request = cJSON_CreateObject();
	_cleanup_free_ char *text = NULL;

	cJSON_AddStringToObject(request, "verb", verb);
	if (args)
		cJSON_AddItemReferenceToObject(request, "args", (cJSON *)args);
	text = cJSON_PrintUnformatted(request);
	return text ? client_send(c, text, err) : error_set(err, -ENOMEM, "out of memory");
}

static int next_line(struct client *c, ask_wait wait, void *arg, cJSON **ret, struct error *err)
{
	const char *line;
	size_t size;
	int r = !client_has_line(c) && wait ? wait(c, arg) : 0;

	if (!r)
		r = client_line(c, &line, &size, err);
	if (r)
		return r;
	*ret = cJSON_ParseWithLength(line, size);
	return *ret ? 0 : error_set(err, -EPROTO, "what answers there is no detnat-agent, or one of another version");
}

static int refused(const cJSON *answer, struct error *err)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "error"));

	return error_set(err, -EREMOTEIO, "%s", text ? text : "the agent refused");
}

static int read_stream(struct client *c, ask_wait wait, void *arg, cJSON **ret, struct error *err)
{
	_cleanup_json_ cJSON *list = cJSON_CreateArray();

	for (;;) {
		_cleanup_json_ cJSON *row = NULL;
		const cJSON *end;
		int r = next_line(c, wait, arg, &row, err);

		if (r)
			return r;
		end = cJSON_GetObjectItemCaseSensitive(row, "end");
		if (end && !cJSON_IsTrue(end))
			return refused(row, err);
		if (end)
			break;
		if (!cJSON_AddItemToArray(list, row))
			return error_set(err, -ENOMEM, "out of memory");
		row = NULL;
	}
	*ret = take_pointer(list);
	return 0;
}

int client_ask(struct client *c, const char *verb, const cJSON *args, ask_wait wait, void *arg, cJSON **ret,
	       struct error *err)
{
	_cleanup_json_ cJSON *answer = NULL;
	int r = send_request(c, verb, args, err);

	if (!r)
		r = next_line(c, wait, arg, &answer, err);
	if (r)
		return r;
	if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok")))
		return refused(answer, err);
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "stream")))
		return read_stream(c, wait, arg, ret, err);
	*ret = cJSON_DetachItemFromObjectCaseSensitive(answer, "result");
	return *ret ? 0 : error_set(err, -EPROTO, "the agent's answer has no result");
}
