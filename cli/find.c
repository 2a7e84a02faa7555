// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds the command that the first words name. Verbs that only read can be abbreviated, as in iproute2: a noun alone
 * lists, `show`, `list` and `ls` are the same, and the beginning of a word will do while no other command begins so.
 * Verbs that change anything are typed in full.
 */
#include <string.h>

#include "command.h"

static const char *const listings[] = { "list", "show", "ls" };

/* How well typed words fit a command's name, from worst to best. */
enum fit { FIT_NOT, FIT_BEGINNING, FIT_NOUN, FIT_NAME };

static bool begins(const char *name, size_t size, const char *typed)
{
	size_t n = strlen(typed);

	return n && n <= size && !memcmp(name, typed, n);
}

static bool equals(const char *name, size_t size, const char *typed)
{
	return strlen(typed) == size && !memcmp(name, typed, size);
}

/* Returns whether the word is another word for list or show, or begins so (whole: is one). */
static bool means_listing(const char *typed, bool whole)
{
	for (unsigned i = 0; i < ARRAY_SIZE(listings); i++) {
		size_t size = strlen(listings[i]);

		if (whole ? equals(listings[i], size, typed) : begins(listings[i], size, typed))
			return true;
	}
	return false;
}

/* Returns whether the command's second word is list or show: what its noun alone does. */
static bool is_listing(const struct command *c)
{
	const char *verb = strchr(command_name(c), ' ');

	return verb && !c->verb->changes && means_listing(verb + 1, true);
}

/* Returns whether a command of one word accepts a word after it. */
static bool takes_words(const struct command *c)
{
	return c->verb->args[0].kind && c->verb->args[0].style <= ARG_MAYBE_WORD;
}

/* A command of one word; `stats show` is `stats`. */
static enum fit fit_single(const struct command *c, const char *first, const char *second, unsigned *ret_words)
{
	const char *name = command_name(c);
	bool listing = second && means_listing(second, true) && !c->verb->changes && !takes_words(c);

	*ret_words = listing ? 2 : 1;
	if (equals(name, strlen(name), first))
		return FIT_NAME;
	return begins(name, strlen(name), first) ? FIT_BEGINNING : FIT_NOT;
}

static enum fit fit_of(const struct command *c, const char *first, const char *second, unsigned *ret_words)
{
	const char *name = command_name(c), *verb = strchr(name, ' ');
	size_t noun = verb ? (size_t)(verb - name) : 0;
	enum fit fit;

	if (!verb)
		return fit_single(c, first, second, ret_words);
	verb++;
	*ret_words = second ? 2 : 1;
	if (!begins(name, noun, first))
		return FIT_NOT;
	fit = equals(name, noun, first) ? FIT_NOUN : FIT_BEGINNING;
	if (!second)
		return !is_listing(c) ? FIT_NOT : fit == FIT_NOUN ? FIT_NAME : fit;
	if (equals(verb, strlen(verb), second) || (is_listing(c) && means_listing(second, true)))
		return fit == FIT_NOUN ? FIT_NAME : fit;
	return begins(verb, strlen(verb), second) || (is_listing(c) && means_listing(second, false)) ? fit : FIT_NOT;
}

bool command_typed_in_full(const struct command *c, char *const *words, unsigned n_words)
{
	const char *verb = strchr(command_name(c), ' ');

	if (!n_words || (verb && n_words < 2))
		return false;
	return command_in_group(c, words[0]) && (!verb || !strcmp(verb + 1, words[1]));
}

struct typed {
	const char *first, *second;
	enum fit fit;
};

static bool fits_as_well(const struct command *c, const void *arg)
{
	const struct typed *typed = arg;
	unsigned words;

	return fit_of(c, typed->first, typed->second, &words) == typed->fit;
}

static void refuse_ambiguous(const char *first, const char *second, enum fit fit, struct error *err)
{
	const struct typed typed = { first, second, fit };

	error_set(err, 0, "\"%.40s%s%.40s\" is ambiguous: ", first, second ? " " : "", second ? second : "");
	command_name_all(err, fits_as_well, &typed, "or");
}

const struct command *command_find(char *const *words, unsigned n_words, unsigned *ret_words, struct error *err)
{
	const char *second = n_words > 1 && words[1][0] != '-' ? words[1] : NULL;
	const struct command *c, *best = NULL;
	enum fit best_fit = FIT_NOT;
	unsigned n_best = 0;

	for (unsigned i = 0; (c = command_at(i)); i++) {
		unsigned n;
		enum fit fit = fit_of(c, words[0], second, &n);

		/* Of `plan` and `plan check`, what was typed is the longer. */
		bool longer = fit == FIT_NAME && fit == best_fit && n > *ret_words;

		n_best = fit > best_fit || longer ? 1 : n_best + (fit == best_fit);
		if (fit > best_fit || longer) {
			best = c;
			best_fit = fit;
			*ret_words = n;
		}
	}
	if (!best) {
		command_explain_unknown(words, n_words, err);
		return NULL;
	}
	if (n_best > 1) {
		refuse_ambiguous(words[0], second, best_fit, err);
		return NULL;
	}
	if (best->verb->changes && !command_typed_in_full(best, words, n_words)) {
		error_set(err, 0, "did you mean \"%s\"? Commands that change anything are typed in full",
			  command_name(best));
		return NULL;
	}
	return best;
}
