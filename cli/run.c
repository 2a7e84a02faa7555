// SPDX-License-Identifier: BSD-2-Clause
/* Runs one request, and turns its answer into output and an exit status. */
#include <errno.h>
#include <string.h>

#include "base/json_scan.h"
#include "client.h"
#include "command.h"
#include "json_get.h"
#include "message.h"

/* Returns the exit status for a request that the agent refused or did not answer. */
static int failure_status(int r, const struct answer *a, const struct view *v)
{
	if (r != -EREMOTEIO)
		return EXIT_UNREACHABLE;
	if (v && v->refused)
		return v->refused;
	return a->status == EXIT_USAGE ? EXIT_USAGE : EXIT_REFUSED;
}

/* Flushes the elements shown so far while the agent prepares more. */
static int flush_output(const struct client *client, void *arg)
{
	return writer_flush(arg) ? -ECANCELED : 0;
}

static int show_stream(struct client *client, const struct view *v, const cJSON *args, struct writer *w,
		       struct error *err)
{
	const struct column *columns = v->columns_of ? v->columns_of(args) : v->columns;
	struct answer a;
	int r;

	client->before_wait = flush_output;
	client->before_wait_arg = w;
	if (!v->lines)
		writer_stream_begin(w, columns);
	while ((r = client_element(client, !w->json, &a, err)) > 0) {
		if (v->lines && w->json)
			writer_json(w, a.text, a.size);
		else if (v->show_element && !w->json)
			writer_stream_element(w, v->show_element, a.json);
		else
			writer_stream_row(w, columns, a.text, a.json);
		cJSON_Delete(a.json);
		if (w->failed)
			break;
	}
	/* If the reader has gone, the rest is not needed; finish() in main.c reports other write errors. */
	if (w->failed)
		return EXIT_DONE;
	if (r)
		return failure_status(r, &a, v);
	if (!v->lines)
		writer_stream_end(w, v->empty);
	return EXIT_DONE;
}

/* Shows the agent's reservations about something that it has done nevertheless. */
static void show_warnings(const cJSON *result)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, json_get(result, "warnings"))
		if (cJSON_IsString(item))
			message_warn("%s", item->valuestring);
}

static int show_result(const struct answer *a, const struct view *v, const cJSON *args, struct writer *w,
		       struct error *err)
{
	if (w->json)
		writer_json(w, a->text, a->size);
	else if (v->columns && cJSON_IsObject(a->json))
		writer_line(w, "%.0f", json_number(a->json, "count"));
	else if (v->columns)
		writer_table(w, v->columns, v->empty, a->json);
	else
		v->show(w, a->json, args);
	if (!w->json)
		show_warnings(a->json);
	if (v->warn && !w->json)
		v->warn(args);
	return v->status ? v->status(a->json, err) : EXIT_DONE;
}

static bool can_show(const struct view *v, bool stream)
{
	return v->columns || (stream ? v->show_element != NULL : v->show != NULL);
}

static int ask(const struct command *c, const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	_cleanup_client_ struct client client = { .fd = -1 };
	const struct view *v = c->view;
	const char *path = v->save ? cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(args, "pcap")) : NULL;
	_cleanup_json_ cJSON *own = v->request ? v->request(args, err) : NULL;
	struct answer a = {};
	int r, status;

	if (path && w->json)
		return error_set(err, EXIT_USAGE, "a capture is not JSON: omit --json");
	if (v->request && !own)
		return v->refused ? v->refused : EXIT_REFUSED;
	r = client_connect(socket, &client, err);
	if (!r)
		r = client_request(&client, command_name(c), own ? own : args, err);
	if (!r)
		r = client_answer(&client, &a, err);
	if (!r && !can_show(v, a.stream))
		r = client_not_agent(err);
	if (r)
		return failure_status(r, &a, v);
	if (a.stream && path)
		return v->save(&client, path, w, err);
	if (a.stream)
		return show_stream(&client, v, args, w, err);
	status = show_result(&a, v, args, w, err);
	cJSON_Delete(a.json);
	return status;
}

cJSON *command_ask_batch(const char *socket, const cJSON *requests, int *ret_status, unsigned *ret_request,
			 struct error *err)
{
	_cleanup_client_ struct client client = { .fd = -1 };
	struct answer a = {};
	int r = client_connect(socket ? socket : DEFAULT_SOCKET, &client, err);

	if (!r)
		r = client_batch(&client, requests, err);
	if (!r)
		r = client_answer(&client, &a, err);
	if (!r && !cJSON_IsArray(a.json)) {
		cJSON_Delete(a.json);
		r = client_not_agent(err);
	}
	*ret_status = r == -E2BIG ? EXIT_REFUSED : r ? failure_status(r, &a, NULL) : EXIT_DONE;
	*ret_request = a.request;
	return r ? NULL : a.json;
}

int command_show_answer(const struct command *c, const cJSON *args, cJSON *result, struct writer *w, struct error *err)
{
	_cleanup_free_ char *text = cJSON_PrintUnformatted(result);
	struct answer a = { .json = result, .text = text, .size = text ? strlen(text) : 0 };

	return text ? show_result(&a, c->view, args, w, err) : error_set(err, EXIT_REFUSED, "out of memory");
}

cJSON *command_ask(const char *verb, const char *socket, const cJSON *args, int *ret_status, struct error *err)
{
	_cleanup_client_ struct client client = { .fd = -1 };
	struct answer a = {};
	int r = client_connect(socket ? socket : DEFAULT_SOCKET, &client, err);

	if (!r)
		r = client_request(&client, verb, args, err);
	if (!r)
		r = client_answer(&client, &a, err);
	if (!r && a.stream)
		r = client_not_agent(err);
	*ret_status = r ? failure_status(r, &a, NULL) : EXIT_DONE;
	return r ? NULL : a.json;
}

int command_run(const struct command *c, const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	int status;

	if (c->view->run)
		return c->view->run(socket, args, w, err);
	socket = socket ? socket : DEFAULT_SOCKET;
	if (c->view->converse)
		return c->view->converse(socket, args, w, err);
	if (c->view->live && c->view->live(socket, args, w, &status, err))
		return status;
	return ask(c, socket, args, w, err);
}
