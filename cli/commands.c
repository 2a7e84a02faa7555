// SPDX-License-Identifier: BSD-2-Clause
/* Finds commands, and prints help on them. */
#include <string.h>

#include "command.h"

static const struct command commands[] = {
#define VERB(id, ...) { &verb_specs[VERB_##id], &view_##id },
#include "proto/verbs.def"
};

const struct command *command_at(unsigned n)
{
	return n < ARRAY_SIZE(commands) ? &commands[n] : NULL;
}

/* Returns whether the name is the word, or begins with it and a space. */
static bool in_group(const char *name, const char *word)
{
	size_t n = strlen(word);

	return n && !strncmp(name, word, n) && (!name[n] || name[n] == ' ');
}

#define NAME_MAX_LENGTH 40

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edit distance: letters added, left out, changed, or swapped with their neighbour. */
static unsigned distance(const char *a, const char *b)
{
	unsigned d[NAME_MAX_LENGTH + 1][NAME_MAX_LENGTH + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > NAME_MAX_LENGTH || m > NAME_MAX_LENGTH)
		return NAME_MAX_LENGTH;
	for (unsigned i = 0; i <= n; i++)
		d[i][0] = i;
	for (unsigned j = 0; j <= m; j++)
		d[0][j] = j;
	for (unsigned i = 1; i <= n; i++) {
		for (unsigned j = 1; j <= m; j++) {
			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[n][m];
}

/* Returns whether each typed word is the beginning of the name's word in the same place: "map li". */
static bool abbreviates(const char *typed, const char *name)
{
	for (; *typed; typed++) {
		if (*typed == ' ')
			name = strchr(name, ' ');
		if (!name || *name++ != *typed)
			return false;
	}
	return true;
}

/* Returns the command most similar to the words, or NULL if none is similar enough. */
static const struct command *nearest(const char *words, const char *first)
{
	const struct command *c, *best = NULL;
	unsigned best_distance = 4;

	for (unsigned i = 0; *words && (c = command_at(i)); i++)
		if (abbreviates(words, command_name(c)))
			return c;

	for (unsigned i = 0; (c = command_at(i)); i++) {
		unsigned d = distance(words, command_name(c));

		if (!strchr(command_name(c), ' ') && distance(first, command_name(c)) < d)
			d = distance(first, command_name(c));
		if (d < best_distance && d < strlen(command_name(c))) {
			best = c;
			best_distance = d;
		}
	}
	return best;
}

static void explain_unknown(char *const *words, unsigned n_words, struct error *err)
{
	unsigned n_group = 0, n_named = 0;
	const struct command *c;
	char typed[2 * NAME_MAX_LENGTH + 2];
	size_t n;

	if (words[0][0] == '-') {
		error_set(err, 0, "unknown option %.64s", words[0]);
		return;
	}
	snprintf(typed, sizeof(typed), "%.40s%s%.40s", words[0], n_words > 1 ? " " : "", n_words > 1 ? words[1] : "");
	c = nearest(typed, words[0]);
	if (c && n_words > 1) {
		error_set(err, 0, "there is no command \"%s\"; did you mean \"%s\"?", typed, command_name(c));
		return;
	}
	error_set(err, 0, "\"%s\" is not a command", typed);
	for (unsigned i = 0; (c = command_at(i)); i++)
		n_group += in_group(command_name(c), words[0]);
	for (unsigned i = 0; (c = command_at(i)); i++) {
		if (!in_group(command_name(c), words[0]))
			continue;
		n = strlen(err->text);
		snprintf(err->text + n, sizeof(err->text) - n, "%s%s",
			 n_named++	? ", "
			 : n_group == 1 ? ": there is "
					: ": there are ",
			 command_name(c));
	}
	n = strlen(err->text);
	if (n_named)
		return;
	c = nearest(typed, words[0]);
	if (c)
		snprintf(err->text + n, sizeof(err->text) - n, "; did you mean \"%s\"?", command_name(c));
	else
		snprintf(err->text + n, sizeof(err->text) - n, "; detnatctl --help lists them all");
}

const struct command *command_find(char *const *words, unsigned n_words, unsigned *ret_words, struct error *err)
{
	char two[2 * NAME_MAX_LENGTH + 2] = "";
	const struct command *c;

	if (n_words > 1)
		snprintf(two, sizeof(two), "%.40s %.40s", words[0], words[1]);
	for (unsigned i = 0; (c = command_at(i)); i++) {
		if (!strcmp(command_name(c), two) || !strcmp(command_name(c), words[0])) {
			*ret_words = strchr(command_name(c), ' ') ? 2 : 1;
			return c;
		}
	}
	explain_unknown(words, n_words, err);
	return NULL;
}

static void help_line(FILE *out, const struct command *c)
{
	fprintf(out, "  %-16s %s\n", command_name(c), c->verb->purpose);
}

void command_help_all(FILE *out)
{
	const struct command *c;

	fputs("Usage: detnatctl [-s SOCKET] [-j] COMMAND ...\n\n"
	      "Shows and changes what the running detnat-agent does.\n\n"
	      "Commands:\n",
	      out);
	for (unsigned i = 0; (c = command_at(i)); i++)
		help_line(out, c);
	fputs("\nOptions:\n"
	      "  -s, --socket SOCKET  the agent's control socket (" DEFAULT_SOCKET ")\n"
	      "  -j, --json           print one JSON document\n"
	      "  -h, --help           this text, or after a command the help on it\n"
	      "  -V, --version        print the version\n\n"
	      "Exit status: 0 done; 1 refused, or nothing found; 2 wrong usage; 3 the agent cannot be reached.\n",
	      out);
}

bool command_help_group(FILE *out, const char *group)
{
	const struct command *c;
	bool found = false;

	for (unsigned i = 0; (c = command_at(i)); i++) {
		if (!in_group(command_name(c), group))
			continue;
		if (!found)
			fprintf(out, "Usage: detnatctl [-s SOCKET] [-j] %s COMMAND ...\n\nCommands:\n", group);
		help_line(out, c);
		found = true;
	}
	return found;
}

void command_help(FILE *out, const struct command *c)
{
	const struct verb_spec *verb = c->verb;
	char usage[USAGE_TEXT];

	command_usage(c, usage);
	fprintf(out, "detnatctl %s: %s\n\n", verb->name, verb->purpose);
	fprintf(out, "Usage: detnatctl [-s SOCKET] [-j] %s%s%s\n\n", verb->name, *usage ? " " : "", usage);
	if (verb->details)
		fprintf(out, "%s\n\n", verb->details);
	fprintf(out, "Example:\n  detnatctl %s\n", verb->example);
}
