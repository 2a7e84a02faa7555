// SPDX-License-Identifier: BSD-2-Clause
/* The running configuration: shown, compared with a file, written to one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "command.h"
#include "config/config.h"
#include "json_get.h"
#include "pretty.h"
#include "save.h"

/* Indented, but for what would then be longer than a file may be. */
static void write_document(FILE *out, const char *text)
{
	_cleanup_free_ char *indented = NULL;
	size_t size = 0;
	FILE *memory = open_memstream(&indented, &size);

	if (memory) {
		pretty_json(memory, text, strlen(text), 0);
		fclose(memory);
	}
	fputs(indented && size < CONFIG_MAX_SIZE ? indented : text, out);
}

static void show_config(struct writer *w, const cJSON *result, const cJSON *args)
{
	char *text = cJSON_PrintUnformatted(result);

	if (!text)
		return;
	pretty_json(w->out, text, strlen(text), 0);
	fputc('\n', w->out);
	free(text);
}

/* A JSON pointer as messages name keys: /mappings/0/in is mappings[0].in. */
static void key_path(const char *pointer, char *path, size_t size)
{
	size_t n = 0;

	while (*pointer == '/' && n + 1 < size) {
		const char *name = ++pointer;
		int length = (int)strcspn(name, "/");
		bool index = *name == '-' || (*name >= '0' && *name <= '9');

		n += (size_t)snprintf(path + n, size - n, index ? "[%.*s]" : n ? ".%.*s" : "%.*s", length, name);
		pointer = name + length;
	}
}

static void show_side(struct writer *w, char sign, const char *path, const cJSON *value)
{
	char *text = value ? cJSON_PrintUnformatted(value) : NULL;

	if (text)
		writer_line(w, "%c%s: %s", sign, path, text);
	free(text);
}

static void show_diff(struct writer *w, const cJSON *result, const cJSON *args)
{
	const cJSON *operation;

	if (!cJSON_GetArraySize(result))
		return;
	writer_line(w, "--- %s", json_text(args, "file", "file"));
	writer_line(w, "+++ running");
	cJSON_ArrayForEach (operation, result) {
		char path[256] = "";

		key_path(json_text(operation, "path", ""), path, sizeof(path));
		show_side(w, '-', path, json_get(operation, "was"));
		show_side(w, '+', path, json_get(operation, "value"));
	}
}

/* The agent has another working directory, so it needs the whole path. */
static cJSON *diff_request(const cJSON *args, struct error *err)
{
	const char *file = json_text(args, "file", "/");
	_cleanup_free_ char *directory = NULL, *path = NULL;
	_cleanup_json_ cJSON *request = cJSON_Duplicate(args, true);

	if (*file == '/')
		return take_pointer(request);
	directory = getcwd(NULL, 0);
	if (!directory)
		error_set(err, -errno, "the working directory: %s", strerror(errno));
	else if (asprintf(&path, "%s/%s", directory, file) < 0)
		path = NULL;
	if (!path || !cJSON_ReplaceItemInObjectCaseSensitive(request, "file", cJSON_CreateString(path)))
		return NULL;
	return take_pointer(request);
}

static int diff_status(const cJSON *result, struct error *err)
{
	return cJSON_GetArraySize(result) ? EXIT_REFUSED : EXIT_DONE;
}

/* The agent reads the file beside its own, as it would at a start, and compares it with what runs. */
static int check_beside(const char *beside, void *arg, struct error *err)
{
	_cleanup_json_ cJSON *args = cJSON_CreateObject(), *found = NULL, *request = NULL;
	const char *socket = arg;
	int status = EXIT_REFUSED;

	cJSON_AddStringToObject(args, "file", beside);
	request = diff_request(args, err);
	if (request)
		found = command_ask("config diff", socket, request, &status, err);
	if (!found)
		return -EINVAL;
	if (cJSON_GetArraySize(found))
		return error_set(err, -EAGAIN, "the running configuration has changed meanwhile; save again");
	return 0;
}

/* Writes the running configuration to path. Returns an exit status. own: it is the agent's file. */
static int write_running(const char *socket, const char *path, bool own, struct error *err)
{
	int status;
	cJSON *config = command_ask("config show", socket, NULL, &status, err);
	char *text = config ? cJSON_PrintUnformatted(config) : NULL, *indented = NULL;
	size_t size = 0;
	FILE *memory = text ? open_memstream(&indented, &size) : NULL;

	cJSON_Delete(config);
	if (memory) {
		write_document(memory, text);
		fputc('\n', memory);
	}
	if (memory && !fclose(memory)) {
		const struct save s = { .path = path,
					.text = indented,
					.size = size,
					.check = own ? check_beside : NULL,
					.arg = (void *)socket };

		status = save_file(&s, err) ? EXIT_REFUSED : EXIT_DONE;
	} else if (!status)
		status = error_set(err, EXIT_REFUSED, "out of memory");
	free(indented);
	free(text);
	return status;
}

/* Informs the agent that its file was written, so that its next start takes over the running configuration. */
static int tell_agent(const char *socket, const char *path, struct error *err)
{
	cJSON *args = cJSON_CreateObject();
	int status;

	cJSON_AddStringToObject(args, "file", path);
	cJSON_Delete(command_ask("config save", socket, args, &status, err));
	cJSON_Delete(args);
	return status;
}

/* Whether both paths lead to the same file, which need not exist if they are equal. */
static bool same_file(const char *a, const char *b)
{
	_cleanup_free_ char *of_a = realpath(a, NULL), *of_b = realpath(b, NULL);

	return !strcmp(a, b) || (of_a && of_b && !strcmp(of_a, of_b));
}

static int save(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	int status;
	cJSON *answer = command_ask("config save", socket, NULL, &status, err);
	const char *file = json_text(answer, "file", ""), *path = json_text(args, "file", file);
	bool own = answer && same_file(path, file);

	if (own && cJSON_IsTrue(json_get(answer, "edited")) && !cJSON_IsTrue(json_get(args, "force")))
		status = error_set(err, EXIT_REFUSED,
				   "%s has changed since it was last applied: `detnatctl reload` takes the changes, "
				   "--force overwrites them",
				   file);
	if (!status)
		status = write_running(socket, path, own, err);
	if (!status && own)
		status = tell_agent(socket, file, err);
	if (!status && w->json)
		fputs("{}\n", w->out);
	else if (!status)
		writer_line(w, "saved to %s", path);
	cJSON_Delete(answer);
	return status;
}

const struct view view_config_show = { .show = show_config };
const struct view view_config_diff = {
	.show = show_diff, .status = diff_status, .refused = EXIT_USAGE, .request = diff_request
};
const struct view view_config_save = { .converse = save };
