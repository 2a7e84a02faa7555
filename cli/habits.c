// SPDX-License-Identifier: BSD-2-Clause
/* Words that users of other tools type out of habit, and the corresponding command here: it is proposed, never run. */
#include <string.h>

#include "command.h"
#include "habits.h"

struct synonym {
	const char *typed, *ours;
};

static const struct synonym verbs[] = {
	{ "list", "list" },   { "show", "list" },   { "ls", "list" },	 { "get", "list" },    { "display", "list" },
	{ "print", "list" },  { "add", "add" },	    { "create", "add" }, { "new", "add" },     { "insert", "add" },
	{ "del", "del" },     { "delete", "del" },  { "rm", "del" },	 { "remove", "del" },  { "set", "set" },
	{ "change", "set" },  { "modify", "set" },  { "edit", "set" },	 { "update", "set" },  { "flush", "flush" },
	{ "clear", "flush" }, { "kill", "del" },    { "save", "save" },	 { "write", "save" },  { "replace", "replace" },
	{ "count", "count" }, { "diff", "diff" },   { "check", "test" }, { "test", "test" },   { "load", "load" },
	{ "apply", "load" },  { "reload", "load" }, { "move", "move" },	 { "drain", "drain" }, { "restore", "restore" },
	{ "start", "start" }, { "stop", "stop" },
};

static const struct synonym nouns[] = {
	{ "running-config", "config" }, { "configuration", "config" }, { "ruleset", "config" },
	{ "memory", "config" },		{ "link", "interface" },       { "iface", "interface" },
	{ "conntrack", "session" },	{ "flow", "session" },	       { "connection", "session" },
	{ "translation", "session" },	{ "state", "session" },	       { "subscriber", "user" },
	{ "nat", "mapping" },		{ "dnat", "portmap" },	       { "counter", "stats" },
	{ "log", "monitor" },		{ "event", "monitor" },
};

/* Phrases without a command of the same shape: a noun and a verb as above, or a single word. */
static const struct synonym phrases[] = {
	{ "mapping replace", "mapping add IN OUT --replace" },
	{ "mapping flush", "session flush PREFIX --yes" },
	{ "session del", "session flush ADDR" },
	{ "session count", "session list --count" },
	{ "user list", "top" },
	{ "config test", "reload --dry-run" },
	{ "config load", "reload" },
	{ "write", "config save" },
	{ "save", "config save" },
	{ "load", "reload" },
	{ "apply", "reload" },
	{ "commit", "reload" },
	{ "capture", "trace start" },
	{ "tcpdump", "trace start" },
	{ "counters", "stats" },
	{ "events", "monitor" },
	{ "link", "interface list" },
	{ "conntrack", "session list" },
	{ "configuration", "config show" },
};

/* Whether the word is the name, perhaps in the plural. */
static bool is_word(const char *typed, const char *name, size_t size)
{
	size_t n = strlen(typed);

	if (n == size + 1 && typed[size] == 's')
		n--;
	return n == size && !memcmp(typed, name, size);
}

static const char *translate(const struct synonym *list, size_t n, const char *typed)
{
	for (size_t i = 0; typed && i < n; i++)
		if (is_word(typed, list[i].typed, strlen(list[i].typed)))
			return list[i].ours;
	return NULL;
}

static const char *phrase(const char *noun, const char *verb)
{
	for (size_t i = 0; i < ARRAY_SIZE(phrases); i++) {
		const char *typed = phrases[i].typed, *blank = strchr(typed, ' ');

		if (!verb ? !strcmp(typed, noun)
			  : blank && is_word(noun, typed, (size_t)(blank - typed)) && !strcmp(blank + 1, verb))
			return phrases[i].ours;
	}
	return NULL;
}

/* The command of a noun and one of the verbs above, or NULL. */
static const char *command_of(const char *noun, const char *verb)
{
	const struct command *c;

	for (unsigned i = 0; (c = command_at(i)); i++) {
		const char *name = command_name(c), *own = strchr(name, ' ');

		if (!is_word(noun, name, own ? (size_t)(own - name) : strlen(name)))
			continue;
		if (own ? !strcmp(own + 1, verb) || (!strcmp(verb, "list") && !strcmp(own + 1, "show"))
			: !strcmp(verb, "list"))
			return name;
	}
	return NULL;
}

static const char *meant(const char *noun, const char *verb)
{
	const char *ours = translate(nouns, ARRAY_SIZE(nouns), noun), *found;

	noun = ours ? ours : noun;
	verb = translate(verbs, ARRAY_SIZE(verbs), verb);
	if (!verb)
		return NULL;
	found = phrase(noun, verb);
	return found ? found : command_of(noun, verb);
}

const char *habit_meant(const char *first, const char *second)
{
	const char *found;

	if (!second)
		return phrase(first, NULL);
	found = meant(first, second);
	return found ? found : meant(second, first);
}

const char *habit_verb(const char *word)
{
	return translate(verbs, ARRAY_SIZE(verbs), word);
}
