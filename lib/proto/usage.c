// SPDX-License-Identifier: BSD-2-Clause
/* The form in which the arguments of a verb are typed, as the usage, the help and messages show it. */
#include <string.h>

#include "proto/verbs.h"

/* Room for one name, or one placeholder. */
#define PIECE_TEXT 96

/* Kinds whose values are one of a list of words. */
static const struct word *const words_of[] = {
	[ARG_ROLE] = role_words,
	[ARG_SIDE] = side_words,
	[ARG_PROTO] = proto_words,
	[ARG_PORTMAP_PROTO] = portmap_words,
	[ARG_ORIGIN] = origin_words,
	[ARG_ORDER] = order_words,
	[ARG_INBOUND] = inbound_words,
	[ARG_PORTMAPS_FATE] = fate_words,
	[ARG_BLOCK_ORDER] = block_order_words,
	[ARG_LEASES] = lease_words,
	[ARG_FORMAT] = import_format_words,
	[ARG_WHETHER] = whether_words,
};

const struct word *arg_words(enum arg_kind kind)
{
	return kind < ARRAY_SIZE(words_of) ? words_of[kind] : NULL;
}

bool arg_is_list(enum arg_kind kind)
{
	return kind == ARG_NOTICES;
}

bool arg_is_number(enum arg_kind kind)
{
	return kind == ARG_NUMBER || kind == ARG_SLOTS || kind == ARG_SECONDS;
}

/* Placeholders in the usage, for kinds that are not one of a list of words. */
static const char *const placeholders[] = {
	[ARG_ADDR] = "ADDR",
	[ARG_PREFIX] = "PREFIX",
	[ARG_ENDPOINT] = "ADDR:PORT",
	[ARG_SPAN] = "ADDR:PORT[-PORT]",
	[ARG_COLLECTORS] = "[tcp:]ADDR:PORT[,...]",
	[ARG_NAME] = "NAME",
	[ARG_NUMBER] = "N",
	[ARG_SLOTS] = "N",
	[ARG_SECONDS] = "SECONDS",
	[ARG_QUESTION] = "ADDR[:PORT]|-",
	[ARG_TIME] = "TIME",
	[ARG_PATH] = "DIR",
	[ARG_PLACE] = "ADDR[:PORT]",
	[ARG_NAT64] = "PREFIX",
	[ARG_TEXT] = "TEXT",
	[ARG_LABEL] = "NAME",
	[ARG_FILE] = "FILE",
	[ARG_FILES] = "FILE",
	[ARG_REMOTE] = "PREFIX[:PORT]",
	[ARG_NOTICES] = "KIND",
	[ARG_STATE] = "STATE",
	[ARG_PORTS] = "PORT[,...]",
	[ARG_COMMENT] = "TEXT",
	[ARG_PROTOCOLS] = "PROTO[,...]",
	[ARG_MAPPING] = "NAME|IN",
	[ARG_PORTMAP] = "NAME|tcp|udp|both",
	[ARG_OUT] = "PREFIX",
};

static const char *value_usage(const struct arg_spec *spec, char text[static PIECE_TEXT])
{
	const struct word *words = arg_words(spec->kind);

	if (words)
		words_join(words, "|", "|", text, PIECE_TEXT);
	else
		snprintf(text, PIECE_TEXT, "%s", spec->shown ? spec->shown : placeholders[spec->kind]);
	return text;
}

/* "--state-dir", "-n" */
static const char *option_usage(const struct arg_spec *spec, char text[static PIECE_TEXT])
{
	snprintf(text, PIECE_TEXT, "%s%s", spec->name[1] ? "--" : "-", spec->name);
	for (char *c = text; *c; c++)
		if (*c == '_')
			*c = '-';
	return text;
}

static void argument_usage(const struct arg_spec *spec, char *text, size_t size)
{
	char option[PIECE_TEXT], value[PIECE_TEXT];

	switch (spec->style) {
	case ARG_WORD:
		snprintf(text, size, "%s", value_usage(spec, value));
		break;
	case ARG_MAYBE_WORD:
		if (arg_is_list(spec->kind))
			words_join(notice_words, "|", "|", value, sizeof(value));
		else
			value_usage(spec, value);
		snprintf(text, size, "[%s]%s", value, arg_is_list(spec->kind) ? "..." : "");
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

const char *verb_usage(const struct verb_spec *verb, char text[static USAGE_TEXT])
{
	size_t n = 0;

	text[0] = '\0';
	for (const struct arg_spec *spec = verb->args; spec->kind && n + 1 < USAGE_TEXT; spec++) {
		if (spec->refused)
			continue;
		if (n)
			text[n++] = ' ';
		argument_usage(spec, text + n, USAGE_TEXT - n);
		n += strlen(text + n);
	}
	return text;
}

const char *arg_title(const struct arg_spec *spec, char text[static USAGE_TEXT])
{
	char value[PIECE_TEXT], option[PIECE_TEXT];
	bool placeholder = spec->kind != ARG_FLAG && !arg_words(spec->kind);

	if (placeholder)
		value_usage(spec, value);
	if (spec->style == ARG_OPTION)
		snprintf(text, USAGE_TEXT, "%.64s%s%.64s", option_usage(spec, option), placeholder ? " " : "",
			 placeholder ? value : "");
	else if (spec->style == ARG_ASSIGNMENT)
		snprintf(text, USAGE_TEXT, "%.64s%s%.64s", spec->name, placeholder ? "=" : "",
			 placeholder ? value : "");
	else
		snprintf(text, USAGE_TEXT, "%.64s", placeholder ? value : spec->name);
	return text;
}
