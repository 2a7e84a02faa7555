// SPDX-License-Identifier: BSD-2-Clause
/* What is said of words that name no command. */
#include <string.h>

#include "command.h"
#include "habits.h"

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

static unsigned group_size(const char *noun)
{
	const struct command *c;
	unsigned n = 0;

	for (unsigned i = 0; (c = command_at(i)); i++)
		n += command_in_group(c, noun);
	return n;
}

/* Returns the command most similar to the words, or NULL if none is similar enough. A noun typed right is meant. */
static const struct command *nearest(const char *words, const char *first)
{
	bool noun_right = group_size(first);
	const struct command *c, *best = NULL;
	unsigned best_distance = 4;

	for (unsigned i = 0; (c = command_at(i)); i++) {
		unsigned d = distance(words, command_name(c));

		if (noun_right && !command_in_group(c, first))
			continue;
		if (!strchr(command_name(c), ' ') && distance(first, command_name(c)) < d)
			d = distance(first, command_name(c));
		if (d < best_distance && d < strlen(command_name(c))) {
			best = c;
			best_distance = d;
		}
	}
	return best;
}

/* Appends the commands of the noun, if there are any. */
static bool name_group(const char *noun, struct error *err)
{
	unsigned n_group = group_size(noun), n_named = 0;
	const struct command *c;

	for (unsigned i = 0; (c = command_at(i)); i++) {
		size_t n = strlen(err->text);

		if (!command_in_group(c, noun))
			continue;
		snprintf(err->text + n, sizeof(err->text) - n, "%s%s",
			 n_named++	? ", "
			 : n_group == 1 ? ": there is "
					: ": there are ",
			 command_name(c));
	}
	return n_named;
}

/* Whether the word is a noun in the plural. */
static bool is_plural(const char *word, char noun[static NAME_MAX_LENGTH + 1])
{
	size_t n = strlen(word);

	if (n < 2 || n > NAME_MAX_LENGTH || word[n - 1] != 's')
		return false;
	snprintf(noun, NAME_MAX_LENGTH + 1, "%.*s", (int)n - 1, word);
	return group_size(noun);
}

void command_explain_unknown(char *const *words, unsigned n_words, struct error *err)
{
	char typed[2 * NAME_MAX_LENGTH + 2], noun[NAME_MAX_LENGTH + 1];
	const struct command *c;
	const char *meant;
	size_t n;

	if (words[0][0] == '-') {
		error_set(err, 0,
			  "unknown option %.64s: there are -s SOCKET, -j, -p, -b FILE, --force, -h and -V; "
			  "detnatctl help lists the commands",
			  words[0]);
		return;
	}
	snprintf(typed, sizeof(typed), "%.40s%s%.40s", words[0], n_words > 1 ? " " : "", n_words > 1 ? words[1] : "");
	meant = habit_meant(words[0], n_words > 1 ? words[1] : NULL);
	if (meant) {
		error_set(err, 0, "there is no command \"%s\"; did you mean \"%s\"?", typed, meant);
		return;
	}
	if (is_plural(words[0], noun)) {
		error_set(err, 0, "\"%.40s\" is not a command; did you mean \"%s\"", words[0], noun);
		if (group_size(noun) > 1)
			name_group(noun, err);
		n = strlen(err->text);
		snprintf(err->text + n, sizeof(err->text) - n, "?");
		return;
	}
	c = habit_is_verb(words[0]) ? NULL : nearest(typed, words[0]);
	if (c && n_words > 1) {
		error_set(err, 0, "there is no command \"%s\"; did you mean \"%s\"?", typed, command_name(c));
		return;
	}
	error_set(err, 0, "\"%s\" is not a command", typed);
	if (name_group(words[0], err))
		return;
	n = strlen(err->text);
	if (c)
		snprintf(err->text + n, sizeof(err->text) - n, "; did you mean \"%s\"?", command_name(c));
	else if (habit_is_verb(words[0]))
		snprintf(err->text + n, sizeof(err->text) - n,
			 ": the noun stands first, as in \"mapping list\"; detnatctl help lists them all");
	else
		snprintf(err->text + n, sizeof(err->text) - n, "; detnatctl help lists them all");
}
