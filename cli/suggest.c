// SPDX-License-Identifier: BSD-2-Clause
/* Messages about words that name no command. */
#include <string.h>

#include "base/spelling.h"
#include "base/text.h"
#include "command.h"
#include "habits.h"

static unsigned group_size(const char *noun)
{
	const struct command *c;
	unsigned n = 0;

	for (unsigned i = 0; (c = command_at(i)); i++)
		n += command_in_group(c, noun);
	return n;
}

/* Returns the name of the command most similar to the words, or NULL. A noun typed right is meant. */
static const char *nearest(const char *words, const char *first)
{
	bool noun_right = group_size(first);
	struct spelling s = {};
	const struct command *c;

	for (unsigned i = 0; (c = command_at(i)); i++) {
		if (noun_right && !command_in_group(c, first))
			continue;
		spelling_offer(&s, words, command_name(c));
		if (!strchr(command_name(c), ' '))
			spelling_offer(&s, first, command_name(c));
	}
	return s.meant;
}

static void append(struct error *err, const char *text)
{
	size_t n = strlen(err->text);

	snprintf(err->text + n, sizeof(err->text) - n, "%s", text);
}

unsigned command_name_all(struct error *err, command_fits fits, const void *arg, const char *last)
{
	const struct command *c;
	unsigned n = 0, named = 0;

	for (unsigned i = 0; (c = command_at(i)); i++)
		n += fits(c, arg);
	for (unsigned i = 0; (c = command_at(i)); i++) {
		if (!fits(c, arg))
			continue;
		if (named++ && named < n)
			append(err, ", ");
		else if (named > 1) {
			append(err, " ");
			append(err, last);
			append(err, " ");
		}
		append(err, command_name(c));
	}
	return n;
}

static bool is_of_noun(const struct command *c, const void *noun)
{
	return command_in_group(c, noun);
}

/* Whether a command of two words ends in a verb; a command that lists is also called show. */
static bool ends_in_verb(const struct command *c, const void *verb)
{
	const char *own = strchr(command_name(c), ' ');

	return own && (!strcmp(own + 1, verb) || (!strcmp(verb, "list") && !strcmp(own + 1, "show")));
}

/* Whether the word is a noun in the plural. */
static bool is_plural(const char *word, char noun[static SPELLING_MOST + 1])
{
	size_t n = strlen(word);

	if (n < 2 || n > SPELLING_MOST || word[n - 1] != 's')
		return false;
	snprintf(noun, SPELLING_MOST + 1, "%.*s", (int)n - 1, word);
	return group_size(noun);
}

/* A verb in front, perhaps from another tool: names the commands that end in it. */
static void explain_verb(const char *typed, const char *verb, struct error *err)
{
	error_set(err, 0, "%s is not a command, as the noun comes first: ", QUOTED(typed));
	if (!command_name_all(err, ends_in_verb, verb, "or"))
		append(err, "mapping list, for example; detnatctl help lists them all");
	else if (!strcmp(verb, "list"))
		append(err, "; stats, status and top have no noun");
}

const char *command_own_option(const char *word)
{
	static const char *const options[] = { "--socket", "--json", "--pretty", "--batch",
					       "--force",  "--help", "--version" };
	struct spelling s = {};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		spelling_offer(&s, word, options[i]);
	return s.meant;
}

void command_explain_unknown(char *const *words, unsigned n_words, struct error *err)
{
	char typed[2 * SPELLING_MOST + 2], noun[SPELLING_MOST + 1];
	const char *meant, *verb;

	if (words[0][0] == '-') {
		meant = command_own_option(words[0]);
		error_set(err, 0,
			  meant ? "unknown option %.64s; did you mean %s?"
				: "unknown option %.64s: there are -s SOCKET, -j, -p, -b FILE, --force, -h and -V; "
				  "detnatctl help lists the commands",
			  words[0], meant);
		return;
	}
	snprintf(typed, sizeof(typed), "%.40s%s%.40s", words[0], n_words > 1 ? " " : "", n_words > 1 ? words[1] : "");
	meant = habit_meant(words[0], n_words > 1 ? words[1] : NULL);
	if (meant) {
		error_set(err, 0, "there is no command %s; did you mean %s?", QUOTED(typed), QUOTED(meant));
		return;
	}
	if (is_plural(words[0], noun)) {
		error_set(err, 0, "%s is not a command; did you mean ", QUOTED(words[0]));
		command_name_all(err, is_of_noun, noun, "or");
		append(err, "?");
		return;
	}
	verb = habit_verb(words[0]);
	meant = verb ? NULL : nearest(typed, words[0]);
	if (meant && n_words > 1) {
		error_set(err, 0, "there is no command %s; did you mean %s?", QUOTED(typed), QUOTED(meant));
		return;
	}
	if (verb) {
		explain_verb(typed, verb, err);
		return;
	}
	error_set(err, 0, "%s is not a command", QUOTED(typed));
	if (group_size(words[0])) {
		append(err, group_size(words[0]) > 1 ? ": there are " : ": there is ");
		command_name_all(err, is_of_noun, words[0], "and");
	} else if (meant) {
		append(err, "; did you mean \"");
		append(err, meant);
		append(err, "\"?");
	} else {
		append(err, "; detnatctl help lists them all");
	}
}
