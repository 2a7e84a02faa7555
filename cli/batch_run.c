// SPDX-License-Identifier: BSD-2-Clause
#include "batch_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "batch_file.h"
#include "command.h"

/* A line with a command. */
struct line {
	unsigned number;
	char *help; /* the command it wants help on; NULL: it is run */
	const struct command *command;
	cJSON *args;
};

struct batch {
	const char *path, *socket;
	struct writer *writer;
	struct line *lines;
	size_t n;
	size_t n_edits;
	cJSON *answers; /* to the edits, once they are made */
};

static bool is_edit(const struct line *l)
{
	return l->command && l->command->verb->edits;
}

static void batch_free(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free(b->lines[i].help);
		cJSON_Delete(b->lines[i].args);
	}
	free(b->lines);
	cJSON_Delete(b->answers);
}

static int no_memory(struct error *err)
{
	return error_set(err, EXIT_REFUSED, "out of memory");
}

static int take_line(void *arg, unsigned number, char **words, unsigned n_words, struct error *err)
{
	struct batch *b = arg;
	struct line *lines = reallocarray(b->lines, b->n + 1, sizeof(*lines)), *l;

	if (!lines)
		return no_memory(err);
	b->lines = lines;
	l = &b->lines[b->n];
	*l = (struct line){ .number = number };
	if (n_words == 2 && !strcmp(words[1], "help")) {
		l->help = strdup(words[0]);
		if (!l->help)
			return no_memory(err);
	} else if (command_parse(words, n_words, &l->command, &l->args, err)) {
		return EXIT_USAGE;
	}
	b->n++;
	b->n_edits += is_edit(l);
	return EXIT_DONE;
}

static cJSON *requests_of(const struct batch *b)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; list && i < b->n; i++) {
		const struct line *l = &b->lines[i];
		cJSON *request;

		if (!is_edit(l))
			continue;
		request = cJSON_CreateObject();
		if (!cJSON_AddItemToArray(list, request) ||
		    !cJSON_AddStringToObject(request, "verb", command_name(l->command)) ||
		    !cJSON_AddItemReferenceToObject(request, "args", l->args)) {
			cJSON_Delete(list);
			return NULL;
		}
	}
	return list;
}

/* The line of the edit with that number, from 1; 0 for none. */
static unsigned line_of_edit(const struct batch *b, unsigned number)
{
	for (size_t i = 0; number && i < b->n; i++)
		if (is_edit(&b->lines[i]) && !--number)
			return b->lines[i].number;
	return 0;
}

/* Makes all edits. Shows errors here, as they may belong to a later line. */
static int make_edits(struct batch *b)
{
	_cleanup_json_ cJSON *requests = requests_of(b);
	struct error err = {};
	unsigned refused = 0;
	int status;

	if (requests)
		b->answers = command_ask_batch(b->socket, requests, &status, &refused, &err);
	else
		status = no_memory(&err);
	if (b->answers)
		return EXIT_DONE;
	batch_show_error(b->path, line_of_edit(b, refused), &err);
	return status;
}

static int show_edit(struct batch *b, const struct line *l, struct error *err)
{
	_cleanup_json_ cJSON *answer = cJSON_DetachItemFromArray(b->answers, 0);

	/* A later line has deleted its object. */
	if (!answer || cJSON_IsNull(answer))
		return EXIT_DONE;
	return command_show_answer(l->command, l->args, answer, b->writer, err);
}

static int run_line(struct batch *b, struct line *l)
{
	struct error err = {};
	int status, r;

	/* A single edit is a change in any case, and may do more than edit: end drains, or leases. */
	if (is_edit(l) && b->n_edits > 1) {
		status = b->answers ? EXIT_DONE : make_edits(b);
		if (!status)
			status = show_edit(b, l, &err);
	} else if (l->help) {
		status = command_help_on(b->writer->out, &l->help, 1, &err);
	} else {
		status = command_run(l->command, b->socket, l->args, b->writer, &err);
	}
	/* The output of the command precedes its error, and the output of the next one. */
	r = writer_flush(b->writer);
	if (status)
		batch_show_error(b->path, l->number, &err);
	return r && !status ? EXIT_REFUSED : status;
}

int batch_run(const char *path, const char *socket, struct writer *w, struct error *err)
{
	struct batch b = { .path = path, .socket = socket, .writer = w };
	int status = batch_read(path, false, take_line, &b, err);

	for (size_t i = 0; !status && i < b.n; i++)
		status = run_line(&b, &b.lines[i]);
	batch_free(&b);
	return status;
}
