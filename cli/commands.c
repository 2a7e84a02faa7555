// SPDX-License-Identifier: BSD-2-Clause
/* The commands, in the order of the help. */
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

bool command_in_group(const struct command *c, const char *word)
{
	const char *name = command_name(c);
	size_t n = strlen(word);

	return n && !strncmp(name, word, n) && (!name[n] || name[n] == ' ');
}
