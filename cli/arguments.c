// SPDX-License-Identifier: BSD-2-Clause
/*
 * Turns the words after a command into the arguments of a request, by the verb's specification, and prints the usage.
 */
#include <errno.h>
#include <string.h>

#include "command.h"

struct arguments {
	const struct arg_spec *specs;
	const char *name; /* command name */
	char usage[USAGE_TEXT];
	cJSON *json;
	unsigned next_word; /* specification of the next positional argument */
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

static int add(struct arguments *a, const struct arg_spec *spec, const char *text, struct error *err)
{
	struct arg_value value;
	int r;

	if (cJSON_HasObjectItem(a->json, spec->name))
		return error_set(err, -EINVAL, "%s: %s is given twice", a->name, spec->name);
	if (spec->kind == ARG_FLAG) {
		cJSON_AddTrueToObject(a->json, spec->name);
		return 0;
	}
	r = arg_parse(spec, text, &value, err);
	if (r)
		return r;
	if (spec->kind == ARG_NUMBER || spec->kind == ARG_SLOTS)
		cJSON_AddNumberToObject(a->json, spec->name, value.number);
	else
		cJSON_AddStringToObject(a->json, spec->name, text);
	return 0;
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
		return error_set(err, -EINVAL, "%s has no option %.*s", a->name, (int)(size < 64 ? size : 64), word);
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
	if (!spec->kind)
		return error_set(err, -EINVAL, "%s: unexpected argument \"%.64s\"; usage: detnatctl %s%s%s", a->name,
				 word, a->name, *a->usage ? " " : "", a->usage);
	a->next_word++;
	return add(a, spec, word, err);
}

static int check_complete(const struct arguments *a, struct error *err)
{
	bool assignments = false;

	for (const struct arg_spec *spec = a->specs; spec->kind; spec++) {
		assignments |= spec->style == ARG_ASSIGNMENT;
		if (spec->style == ARG_WORD && !cJSON_HasObjectItem(a->json, spec->name))
			return error_set(err, -EINVAL, "usage: detnatctl %s %s", a->name, a->usage);
	}
	if (assignments && !a->json->child)
		return error_set(err, -EINVAL, "usage: detnatctl %s %s", a->name, a->usage);
	return 0;
}

/* Placeholders in the usage, for kinds that are not one of a list of words. */
static const char *const placeholders[] = {
	[ARG_ADDR] = "ADDR",
	[ARG_PREFIX] = "PREFIX",
	[ARG_ENDPOINT] = "ADDR:PORT",
	[ARG_COLLECTORS] = "[tcp:]ADDR:PORT[,...]",
	[ARG_NAME] = "NAME",
	[ARG_NUMBER] = "N",
	[ARG_SLOTS] = "N",
	[ARG_QUESTION] = "ADDR:PORT|-",
	[ARG_TIME] = "TIME",
	[ARG_PATH] = "DIR",
	[ARG_PLACE] = "ADDR[:PORT]",
};

static const char *value_usage(const struct arg_spec *spec, char text[static USAGE_TEXT])
{
	const struct word *words = arg_words(spec->kind);

	if (words)
		words_join(words, "|", "|", text, USAGE_TEXT);
	else
		snprintf(text, USAGE_TEXT, "%s", spec->shown ? spec->shown : placeholders[spec->kind]);
	return text;
}

/* "--state-dir", "-n" */
static const char *option_usage(const struct arg_spec *spec, char text[static USAGE_TEXT])
{
	snprintf(text, USAGE_TEXT, "%s%s", spec->name[1] ? "--" : "-", spec->name);
	for (char *c = text; *c; c++)
		if (*c == '_')
			*c = '-';
	return text;
}

static void argument_usage(const struct arg_spec *spec, char *text, size_t size)
{
	char option[USAGE_TEXT], value[USAGE_TEXT];

	switch (spec->style) {
	case ARG_WORD:
		snprintf(text, size, "%s", value_usage(spec, value));
		break;
	case ARG_MAYBE_WORD:
		snprintf(text, size, "[%s]", value_usage(spec, value));
		break;
	case ARG_OPTION:
		if (spec->kind == ARG_FLAG)
			snprintf(text, size, "[%s]", option_usage(spec, option));
		else
			snprintf(text, size, "[%s %s]", option_usage(spec, option), value_usage(spec, value));
		break;
	case ARG_ASSIGNMENT:
		snprintf(text, size, "[%s=%s]", spec->name, value_usage(spec, value));
		break;
	}
}

const char *command_usage(const struct command *c, char text[static USAGE_TEXT])
{
	size_t n = 0;

	text[0] = '\0';
	for (const struct arg_spec *spec = c->verb->args; spec->kind; spec++) {
		if (n)
			text[n++] = ' ';
		argument_usage(spec, text + n, USAGE_TEXT - n);
		n += strlen(text + n);
	}
	return text;
}

cJSON *command_arguments(const struct command *c, char *const *words, unsigned n_words, struct error *err)
{
	struct arguments a = {
		.specs = c->verb->args,
		.name = command_name(c),
		.json = cJSON_CreateObject(),
	};
	bool options = true;
	int r = a.json ? 0 : error_set(err, -ENOMEM, "out of memory");

	command_usage(c, a.usage);
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
