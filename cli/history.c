// SPDX-License-Identifier: BSD-2-Clause
/* The mapping history: where it is; verify.c checks it, history_list.c lists it, and the command `who` is in who.c. */
#include <inttypes.h>
#include <string.h>

#include "base/json_scan.h"
#include "history_files.h"
#include "json_get.h"
#include "message.h"

/* Limits the warnings about damage in commands other than verify. */
#define MAX_WARNINGS 5U

/* The configuration of the agent at a socket; NULL with EXIT_UNREACHABLE: there is none. */
static cJSON *ask_config(const char *socket, int *ret_status, struct error *err)
{
	_cleanup_json_ cJSON *all = cJSON_CreateObject();

	cJSON_AddTrueToObject(all, "all");
	return command_ask("config show", socket, all, ret_status, err);
}

static void warn_of_usual_place(const struct error *why)
{
	struct error said;

	error_set(&said, 0, "warning: the history in " DEFAULT_STATE_DIR " is read: %.400s", why->text);
	message_show(said.text);
}

int history_dir_named(const char *socket, const cJSON *args, char **ret_dir, struct error *err)
{
	const char *dir = json_text(args, "state_dir", NULL);
	_cleanup_json_ cJSON *config = NULL;
	int status = EXIT_DONE;

	if (!dir)
		config = ask_config(socket, &status, err);
	/* An agent in the usual place that fails to answer does not prevent an answer. */
	if (status == EXIT_UNREACHABLE || (status && !socket))
		warn_of_usual_place(err);
	else if (status)
		return status;
	if (!dir)
		dir = json_text(config, "state_dir", DEFAULT_STATE_DIR);
	*ret_dir = strdup(dir);
	return *ret_dir ? EXIT_DONE : error_set(err, EXIT_REFUSED, "out of memory");
}

int history_read_named(const char *socket, const cJSON *args, bool cached, struct history_files *ret, char **ret_dir,
		       struct error *err)
{
	_cleanup_free_ char *dir = NULL;
	int status = history_dir_named(socket, args, &dir, err);

	if (status)
		return status;
	if (cached ? history_files_read_cached(dir, ret, err) : history_files_read(dir, ret, err))
		return EXIT_REFUSED;
	*ret_dir = take_pointer(dir);
	return EXIT_DONE;
}

bool history_end_text(const struct history_files *f, char *text, size_t size)
{
	uint64_t last = f->index.number;

	if (f->end == END_MISSING && f->head.line > last + 1)
		snprintf(text, size, "lines %" PRIu64 " to %" PRIu64 " are missing at the end", last + 1, f->head.line);
	else if (f->end == END_MISSING)
		snprintf(text, size, "line %" PRIu64 " is missing at the end", f->head.line);
	else if (f->end == END_OTHER)
		snprintf(text, size, "it lacks the line whose checksum is in " HISTORY_HEAD_FILE);
	else if (f->end == END_BAD_HEAD)
		snprintf(text, size, HISTORY_HEAD_FILE " is damaged");
	else
		return false;
	return true;
}

void history_warn(const struct history_files *f)
{
	const struct history_index *x = &f->index;
	char text[128];

	for (size_t i = 0; i < x->n_damages && i < MAX_WARNINGS; i++)
		message_warn("the history is damaged: line %" PRIu64 " %s", x->damages[i].line, x->damages[i].text);
	if (x->n_damages > MAX_WARNINGS)
		message_warn("and %zu more; detnatctl history verify lists them all", x->n_damages - MAX_WARNINGS);
	if (history_end_text(f, text, sizeof(text)))
		message_warn("the history is damaged: %s", text);
}
