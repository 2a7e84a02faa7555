// SPDX-License-Identifier: BSD-2-Clause
/* One request and its answer. */
#include <string.h>

#include "client.h"
#include "command.h"

/* How the agent begins an answer; the keys come in this order and without spaces. */
#define RESULT_BEGIN "{\"ok\":true,\"result\":"
#define END_BEGIN    "{\"end\":"

static void delete_json(cJSON **json)
{
	cJSON_Delete(*json);
}
#define _cleanup_json_ __attribute__((cleanup(delete_json)))

static int not_an_agent(struct error *err)
{
	return error_set(err, EXIT_UNREACHABLE, "what answers there is no detnat-agent, or one of another version");
}

static int send_request(struct client *client, const struct command *c, const cJSON *args, struct error *err)
{
	_cleanup_json_ cJSON *request = cJSON_CreateObject();
	_cleanup_free_ char *text = NULL;

	cJSON_AddStringToObject(request, "verb", command_name(c));
	cJSON_AddItemReferenceToObject(request, "args", (cJSON *)args);
	text = cJSON_PrintUnformatted(request);
	return text ? client_send(client, text, err) : error_set(err, -1, "out of memory");
}

/* The line that ends a stream. */
static int stream_ended(const char *line, const struct command *c, struct writer *w, struct error *err)
{
	_cleanup_json_ cJSON *end = cJSON_Parse(line);
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(end, "error"));

	if (!end)
		return not_an_agent(err);
	if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(end, "end")))
		return error_set(err, EXIT_REFUSED, "%s", text ? text : "the listing broke off");
	writer_stream_end(w, c->empty);
	return EXIT_DONE;
}

static int show_stream(struct client *client, const struct command *c, struct writer *w, struct error *err)
{
	const char *line;
	size_t size;

	writer_stream_begin(w, c->columns);
	for (;;) {
		_cleanup_json_ cJSON *row = NULL;

		/* What came so far is shown while the agent looks for more. A reader that has gone wants no more. */
		if (w->failed || (!client_has_line(client) && writer_flush(w)))
			return EXIT_DONE;
		if (client_line(client, &line, &size, err))
			return EXIT_UNREACHABLE;
		if (!strncmp(line, END_BEGIN, strlen(END_BEGIN)))
			return stream_ended(line, c, w, err);
		if (!w->json)
			row = cJSON_ParseWithLength(line, size);
		if (line[0] != '{' || line[size - 1] != '}' || (!w->json && !row))
			return not_an_agent(err);
		if (c->show_element && !w->json)
			writer_stream_element(w, c->show_element, row);
		else
			writer_stream_row(w, c->columns, line, row);
	}
}

static int show_refusal(const cJSON *answer, struct error *err)
{
	const cJSON *status = cJSON_GetObjectItemCaseSensitive(answer, "status");
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "error"));

	if (!cJSON_IsNumber(status) || !text)
		return not_an_agent(err);
	return error_set(err, status->valueint == EXIT_USAGE ? EXIT_USAGE : EXIT_REFUSED, "%s", text);
}

static int show_result(const char *line, size_t size, const cJSON *result, const struct command *c, const cJSON *args,
		       struct writer *w, struct error *err)
{
	size_t begin = strlen(RESULT_BEGIN);

	if (!result || strncmp(line, RESULT_BEGIN, begin) || line[size - 1] != '}')
		return not_an_agent(err);
	if (w->json)
		writer_json(w, line + begin, size - begin - 1);
	else if (c->columns)
		writer_table(w, c->columns, c->empty, result);
	else
		c->show(w, result, args);
	if (c->warn && !w->json)
		c->warn(args);
	return c->status ? c->status(result, err) : EXIT_DONE;
}

int command_run(const struct command *c, const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	_cleanup_client_ struct client client = { .fd = -1 };
	_cleanup_json_ cJSON *answer = NULL;
	const cJSON *ok;
	const char *line;
	size_t size;
	int status;

	if (c->run)
		return c->run(args, w, err);
	if (c->live && c->live(socket, args, w, &status, err))
		return status;
	if (client_connect(socket, &client, err) || send_request(&client, c, args, err) ||
	    client_line(&client, &line, &size, err))
		return EXIT_UNREACHABLE;
	answer = cJSON_ParseWithLength(line, size);
	ok = cJSON_GetObjectItemCaseSensitive(answer, "ok");
	if (!cJSON_IsBool(ok))
		return not_an_agent(err);
	if (!cJSON_IsTrue(ok))
		return show_refusal(answer, err);
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "stream")) && (c->columns || c->show_element))
		return show_stream(&client, c, w, err);
	return show_result(line, size, cJSON_GetObjectItemCaseSensitive(answer, "result"), c, args, w, err);
}
