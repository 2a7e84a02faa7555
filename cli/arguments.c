// SPDX-License-Identifier: BSD-2-Clause
/*
 * Turns the words after a command into the arguments of a request, by the verb's specification.
 */
#include <errno.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/spelling.h"
#include "base/timestamp.h"
#include "base/text.h"
#include "command.h"

struct arguments {
	const struct arg_spec *specs;
	const char *name; /* command name */
	bool needs_option;
	char usage[USAGE_TEXT];
	cJSON *json;
	unsigned next_word;	     /* specification of the next positional argument */
	const struct arg_spec *list; /* the one that takes all further words; NULL: none */
};

/* Finds the specification of the option or assignment with that name; options are typed with - for _. */
static const struct arg_spec *find_spec(const struct arguments *a, enum arg_style style, const char *name, size_t size)
{
	for (const struct arg_spec *spec = a->specs; spec->kind; spec++) {
		size_t i = 0;

		if (spec->style != style || strlen(spec->name) != size)
			continue;
		while (i < size && (spec->name[i] == '_' && style == ARG_OPTION ? '-' : spec->name[i]) == name[i])
			i++;
		if (i == size)
			return spec;
	}
	return NULL;
}

/* Of an option that may be given several times. */
static int add_to_array(struct arguments *a, const struct arg_spec *spec, const char *text, struct error *err)
{
	cJSON *array = cJSON_GetObjectItemCaseSensitive(a->json, spec->name);
	struct arg_value value;
	int r = arg_parse(spec, text, &value, err);

	if (r)
		return r;
	if (!array)
		array = cJSON_AddArrayToObject(a->json, spec->name);
	return cJSON_AddItemToArray(array, cJSON_CreateString(text)) ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static int add(struct arguments *a, const struct arg_spec *spec, const char *text, struct error *err)
{
	char title[USAGE_TEXT], when[TIME_TEXT];
	struct arg_value value;
	int r;

	if (spec->kind == ARG_FILES)
		return add_to_array(a, spec, text, err);
	if (cJSON_HasObjectItem(a->json, spec->name))
		return error_set(err, -EINVAL, "%s: %s is given twice", a->name, arg_title(spec, title));
	if (spec->kind == ARG_FLAG && spec->refused)
		return error_set(err, -EINVAL, "%s: --%s: %s", a->name, spec->name, spec->refused);
	if (spec->kind == ARG_FLAG) {
		cJSON_AddTrueToObject(a->json, spec->name);
		return 0;
	}
	r = arg_parse(spec, text, &value, err);
	if (r)
		return r;
	if (arg_is_number(spec->kind))
		cJSON_AddNumberToObject(a->json, spec->name, value.number);
	else if (spec->kind == ARG_TIME && strchr("-+n", text[0]))
		/* Seconds from now would be over by the time they arrive. */
		cJSON_AddStringToObject(a->json, spec->name, time_format(value.time, when));
	else
		cJSON_AddStringToObject(a->json, spec->name, text);
	return 0;
}

static bool is_shown_option(const struct arg_spec *spec)
{
	return spec->style == ARG_OPTION && !spec->refused;
}

/* The option or assignment that a word is most like, as it is typed; NULL: none. */
static const char *nearest_spec(const struct arguments *a, enum arg_style style, const char *word, size_t size,
				char ret[static SPELLING_MOST + 1])
{
	char typed[SPELLING_MOST + 1];
	struct spelling s = {};

	snprintf(typed, sizeof(typed), "%.*s", size < sizeof(typed) ? (int)size : 0, word);
	for (char *c = typed; style == ARG_OPTION && *c; c++)
		if (*c == '-')
			*c = '_';
	for (const struct arg_spec *spec = a->specs; spec->kind; spec++)
		if (spec->style == style && !spec->refused)
			spelling_offer(&s, typed, spec->name);
	if (!s.meant)
		return NULL;
	snprintf(ret, SPELLING_MOST + 1, "%s", s.meant);
	for (char *c = ret; style == ARG_OPTION && *c; c++)
		if (*c == '_')
			*c = '-';
	return ret;
}

/* Names the option that may be meant, or lists those that there are. */
static int refuse_option(const struct arguments *a, const char *word, int size, struct error *err)
{
	char meant[SPELLING_MOST + 1];
	const char *own = strncmp(word, "--", 2) ? NULL : command_own_option(word);
	unsigned left = 0;
	bool first = true;

	if (own)
		return error_set(err, -EINVAL, "%s has no option %.*s; did you mean %s?", a->name, size, word, own);
	if (!strncmp(word, "--", 2) && nearest_spec(a, ARG_OPTION, word + 2, (size_t)size - 2, meant))
		return error_set(err, -EINVAL, "%s has no option %.*s; did you mean --%s?", a->name, size, word, meant);
	for (const struct arg_spec *spec = a->specs; spec->kind; spec++)
		left += is_shown_option(spec);
	error_set(err, -EINVAL, "%s has no option %.*s", a->name, size, word);
	for (const struct arg_spec *spec = a->specs; spec->kind; spec++) {
		size_t n = strlen(err->text);
		char title[USAGE_TEXT];

		if (!is_shown_option(spec))
			continue;
		left--;
		snprintf(err->text + n, sizeof(err->text) - n, "%s%s",
			 first	? "; it has "
			 : left ? ", "
				: " and ",
			 arg_title(spec, title));
		first = false;
	}
	return -EINVAL;
}

/* Whether the form of a word identifies its kind. */
static bool is_telling(enum arg_kind kind)
{
	return arg_words(kind) || arg_is_number(kind) || kind == ARG_ADDR || kind == ARG_PLACE || kind == ARG_REMOTE ||
	       kind == ARG_TIME;
}

/* An unexpected word, and the assignment that it is like, or the option for which it may be the value. */
static int refuse_word(const struct arguments *a, const char *word, struct error *err)
{
	size_t size = strcspn(word, "=");
	char meant[SPELLING_MOST + 1];

	if (word[size] && nearest_spec(a, ARG_ASSIGNMENT, word, size, meant))
		return error_set(err, -EINVAL, "%s: unexpected argument %s; did you mean %s=%.64s?", a->name,
				 QUOTED(word), meant, word + size + 1);
	for (const struct arg_spec *spec = a->specs; spec->kind; spec++) {
		char title[USAGE_TEXT];
		struct arg_value value;

		if (!is_shown_option(spec) || !is_telling(spec->kind) || cJSON_HasObjectItem(a->json, spec->name) ||
		    arg_parse(spec, word, &value, NULL))
			continue;
		arg_title(spec, title);
		return error_set(err, -EINVAL, "%s: unexpected argument %s; did you mean %.*s %.64s?", a->name,
				 QUOTED(word), (int)strcspn(title, " "), title, word);
	}
	return error_set(err, -EINVAL, "%s: unexpected argument %s; usage: detnatctl %s%s%s", a->name, QUOTED(word),
			 a->name, *a->usage ? " " : "", a->usage);
}

/*
 * Takes an option and its value, which is part of the word (--name=VALUE, -nVALUE) or the next word. Returns the number
 * of words used, or -errno.
 */
static int add_option(struct arguments *a, const char *word, const char *next, struct error *err)
{
	size_t size = strcspn(word, "=");
	const struct arg_spec *spec = NULL;
	const char *value = word[size] ? word + size + 1 : NULL;
	int words = 1, r;

	if (!strncmp(word, "--", 2)) {
		spec = find_spec(a, ARG_OPTION, word + 2, size - 2);
	} else {
		spec = find_spec(a, ARG_OPTION, word + 1, 1);
		value = word[2] ? word + 2 : NULL;
		size = 2;
	}
	if (!spec)
		return refuse_option(a, word, size < 64 ? (int)size : 64, err);
	if (spec->kind == ARG_FLAG && value)
		return error_set(err, -EINVAL, "%.*s takes no value", (int)size, word);
	if (spec->kind != ARG_FLAG && !value) {
		if (!next)
			return error_set(err, -EINVAL, "%s needs a value", word);
		value = next;
		words = 2;
	}
	r = add(a, spec, value, err);
	return r ? r : words;
}

/* Adds a word to those that the argument has, with a comma. */
static int add_to_list(struct arguments *a, const char *word, struct error *err)
{
	const char *before = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(a->json, a->list->name));
	_cleanup_free_ char *all = NULL;
	struct arg_value value;
	int r = arg_parse(a->list, word, &value, err);

	if (r)
		return r;
	if (asprintf(&all, "%s,%s", before, word) < 0) {
		all = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	cJSON_DeleteItemFromObjectCaseSensitive(a->json, a->list->name);
	return cJSON_AddStringToObject(a->json, a->list->name, all) ? 0 : error_set(err, -ENOMEM, "out of memory");
}

/* Takes an assignment or a positional argument. */
static int add_word(struct arguments *a, const char *word, struct error *err)
{
	size_t size = strcspn(word, "=");
	const struct arg_spec *spec = word[size] ? find_spec(a, ARG_ASSIGNMENT, word, size) : NULL;

	if (spec)
		return add(a, spec, word + size + 1, err);
	while (a->specs[a->next_word].kind && a->specs[a->next_word].style > ARG_MAYBE_WORD)
		a->next_word++;
	spec = &a->specs[a->next_word];
	if (!spec->kind && a->list)
		return add_to_list(a, word, err);
	if (!spec->kind)
		return refuse_word(a, word, err);
	a->next_word++;
	a->list = arg_is_list(spec->kind) ? spec : NULL;
	return add(a, spec, word, err);
}

static int check_complete(const struct arguments *a, struct error *err)
{
	bool assignments = false, options = false;

	for (const struct arg_spec *spec = a->specs; spec->kind; spec++) {
		const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(a->json, spec->name));
		struct arg_value value;

		assignments |= spec->style == ARG_ASSIGNMENT;
		options |= spec->style == ARG_OPTION && cJSON_HasObjectItem(a->json, spec->name);
		if (spec->style == ARG_WORD && !cJSON_HasObjectItem(a->json, spec->name))
			return error_set(err, -EINVAL, "usage: detnatctl %s %s", a->name, a->usage);
		if (text && spec[1].kind && !arg_parse(spec, text, &value, err) &&
		    arg_check_next(spec, &value, cJSON_HasObjectItem(a->json, spec[1].name), err))
			return -EINVAL;
	}
	if ((assignments && !a->json->child) || (a->needs_option && !options))
		return error_set(err, -EINVAL, "usage: detnatctl %s %s", a->name, a->usage);
	return 0;
}

cJSON *command_arguments(const struct command *c, char *const *words, unsigned n_words, struct error *err)
{
	struct arguments a = {
		.specs = c->verb->args,
		.name = command_name(c),
		.needs_option = c->verb->needs_option,
		.json = cJSON_CreateObject(),
	};
	bool options = true;
	int r = a.json ? 0 : error_set(err, -ENOMEM, "out of memory");

	verb_usage(c->verb, a.usage);
	for (unsigned i = 0; i < n_words && r >= 0;) {
		const char *word = words[i];

		if (options && !strcmp(word, "--")) {
			options = false;
			i++;
		} else if (options && word[0] == '-' && word[1]) {
			r = add_option(&a, word, i + 1 < n_words ? words[i + 1] : NULL, err);
			i += r > 0 ? (unsigned)r : 0;
		} else {
			r = add_word(&a, word, err);
			i++;
		}
	}
	if (r < 0 || check_complete(&a, err)) {
		cJSON_Delete(a.json);
		return NULL;
	}
	return a.json;
}

static int check_abbreviation(const struct command *c, char *const *words, unsigned n_words, const cJSON *args,
			      struct error *err)
{
	const char *flag = c->verb->changes_with;

	if (!flag || !cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(args, flag)) ||
	    command_typed_in_full(c, words, n_words))
		return 0;
	return error_set(err, EXIT_USAGE, "%s --%s changes the running state, and is typed in full", command_name(c),
			 flag);
}

int command_parse(char *const *words, unsigned n_words, const struct command **ret, cJSON **ret_args, struct error *err)
{
	_cleanup_json_ cJSON *args = NULL;
	const struct command *c;
	unsigned taken;

	c = command_find(words, n_words, &taken, err);
	args = c ? command_arguments(c, words + taken, n_words - taken, err) : NULL;
	if (!args || check_abbreviation(c, words, n_words, args, err))
		return EXIT_USAGE;
	*ret = c;
	*ret_args = take_pointer(args);
	return 0;
}
