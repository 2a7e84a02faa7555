// SPDX-License-Identifier: BSD-2-Clause
/* The help on the commands, and the version. */
#include <detnat/version.h>
#include <string.h>

#include "command.h"
#include "json_get.h"
#include "proto/words.h"

#define USAGE_OPTIONS "[-s SOCKET] [-j | -p]"

static void help_line(FILE *out, const struct command *c)
{
	fprintf(out, "  %-16s %s\n", command_name(c), c->verb->purpose);
}

static void help_all(FILE *out)
{
	const struct command *c;

	fputs("Usage: detnatctl " USAGE_OPTIONS " COMMAND ...\n"
	      "       detnatctl " USAGE_OPTIONS " [--force] -b FILE\n"
	      "       detnatctl [COMMAND] -h\n\n"
	      "Shows and changes what the running detnat-agent does.\n\n"
	      "Commands:\n",
	      out);
	for (unsigned i = 0; (c = command_at(i)); i++)
		help_line(out, c);
	fputs("\nThose that only read may be abbreviated: \"mapping\", \"map ls\" and \"mapping list\" are the same.\n"
	      "\nOptions:\n"
	      "  -s, --socket SOCKET  the agent's control socket (" DEFAULT_SOCKET ")\n"
	      "  -j, --json           print one JSON document; with --batch, one a command, each on a line\n"
	      "  -p, --pretty         the same, indented\n"
	      "  -b, --batch FILE     run the commands of FILE, a line each, edits as one change; - is standard input\n"
	      "      --force          with --batch: one change for each command, and on after one that fails\n"
	      "  -h, --help           this text, or after a command the help on it\n"
	      "  -V, --version        print the version\n\n"
	      "Exit status: 0 done; 1 refused, or nothing found; 2 wrong usage; 3 the agent cannot be reached.\n",
	      out);
}

/* Shows the commands with that noun; false: there are none. */
static bool help_group(FILE *out, const char *noun)
{
	const struct command *c;
	bool found = false;

	for (unsigned i = 0; (c = command_at(i)); i++) {
		if (!command_in_group(c, noun) || !strchr(command_name(c), ' '))
			continue;
		if (!found)
			fprintf(out, "Usage: detnatctl " USAGE_OPTIONS " %s COMMAND ...\n\nCommands:\n", noun);
		help_line(out, c);
		found = true;
	}
	return found;
}

static bool takes(const struct verb_spec *verb, enum arg_kind kind)
{
	for (const struct arg_spec *spec = verb->args; spec->kind; spec++)
		if (spec->kind == kind)
			return true;
	return false;
}

/* The formats of times and numbers of seconds. */
static void help_times(FILE *out, const struct verb_spec *verb)
{
	if (takes(verb, ARG_TIME))
		fputs("TIME is of RFC 3339, YYYY-MM-DD[ HH:MM[:SS]] in UTC, or relative to now: -60, -5m, +2h.\n\n",
		      out);
	if (takes(verb, ARG_SECONDS))
		fputs("Seconds may have units: 90s, 10m, 1h30m, 7d, 2w.\n\n", out);
}

static void help_states(FILE *out)
{
	int column = fprintf(out, "STATE is");

	for (const struct word *word = state_words; word->text; word++) {
		const char *end = !word[1].text ? "." : !word[2].text ? " or" : ",";
		bool breaks = column + (int)(strlen(word->text) + strlen(end)) > 99;

		column = (breaks ? 0 : column + 1) + (int)(strlen(word->text) + strlen(end));
		fprintf(out, "%c%s%s", breaks ? '\n' : ' ', word->text, end);
	}
	fputs("\n\n", out);
}

void command_help(FILE *out, const struct command *c)
{
	const struct verb_spec *verb = c->verb;
	char usage[USAGE_TEXT];

	verb_usage(verb, usage);
	fprintf(out, "detnatctl %s: %s\n\n", verb->name, verb->purpose);
	fprintf(out, "Usage: detnatctl " USAGE_OPTIONS " %s%s%s\n\n", verb->name, *usage ? " " : "", usage);
	if (verb->details)
		fprintf(out, "%s\n\n", verb->details);
	if (takes(verb, ARG_STATE))
		help_states(out);
	help_times(out, verb);
	fprintf(out, "Example:\n  detnatctl %s\n", verb->example);
}

int command_help_on(FILE *out, char *const *words, unsigned n_words, struct error *err)
{
	const struct command *c;
	unsigned n;

	if (!n_words) {
		help_all(out);
		return EXIT_DONE;
	}
	/* A noun that is a command, too, has the help on itself. */
	if (n_words == 1 && verb_find(words[0]) < 0 && help_group(out, words[0]))
		return EXIT_DONE;
	c = command_find(words, n_words, &n, err);
	if (!c)
		return EXIT_USAGE;
	command_help(out, c);
	return EXIT_DONE;
}

static void add_command(cJSON *list, const struct verb_spec *verb)
{
	cJSON *json = cJSON_CreateObject();
	char usage[USAGE_TEXT];

	cJSON_AddStringToObject(json, "name", verb->name);
	cJSON_AddStringToObject(json, "usage", verb_usage(verb, usage));
	cJSON_AddStringToObject(json, "purpose", verb->purpose);
	cJSON_AddBoolToObject(json, "changes", verb->changes);
	cJSON_AddItemToArray(list, json);
}

/* Prints all commands, whatever the words: programs look up theirs. */
static int help_json(struct writer *w, struct error *err)
{
	cJSON *list = cJSON_CreateArray();
	const struct command *c;
	char *text;

	for (unsigned i = 0; (c = command_at(i)); i++)
		add_command(list, c->verb);
	text = cJSON_PrintUnformatted(list);
	cJSON_Delete(list);
	if (!text)
		return error_set(err, EXIT_REFUSED, "out of memory");
	writer_json(w, text, strlen(text));
	free(text);
	return EXIT_DONE;
}

static int run_help(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	char *words[] = { (char *)json_text(args, "command", NULL), (char *)json_text(args, "word", NULL) };

	if (w->json)
		return help_json(w, err);
	return command_help_on(w->out, words, !!words[0] + !!words[1], err);
}

static int run_version(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	static const char json[] = "{\"version\":\"" DETNAT_VERSION "\"}";

	if (w->json)
		writer_json(w, json, strlen(json));
	else
		writer_line(w, "detnatctl " DETNAT_VERSION);
	return EXIT_DONE;
}

const struct view view_help = { .run = run_help };
const struct view view_version = { .run = run_version };
