/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of commands. One entry says all that there is to say of a command: --help and dispatch both come from it.
 * What its arguments must look like is in lib/proto/verbs.h, shared with the agent.
 */
#ifndef DETNATCTL_COMMAND_H
#define DETNATCTL_COMMAND_H

#include "proto/verbs.h"
#include "writer.h"

#define DEFAULT_SOCKET	  "/run/detnat/agent.sock"
#define DEFAULT_STATE_DIR "/var/lib/detnat"

/* What detnatctl exits with. */
enum exit_status {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1, /* the agent refused or found nothing */
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3,
};

struct command {
	enum verb verb;
	const char *usage;   /* its arguments */
	const char *purpose; /* what it does, for the list */
	const char *details; /* more lines for its own help; NULL: none */
	const char *example; /* as typed, without the program's name */
	/* How its result becomes text: a table of an array or a stream, or what show makes of it. */
	const struct column *columns;
	const char *empty; /* the table without a row */
	void (*show)(struct writer *w, const cJSON *result, const cJSON *args);
	/* Instead of the agent: an exit status, other than 0 with err. NULL: the agent answers. */
	int (*run)(const cJSON *args, struct writer *w, struct error *err);
	/* What to exit with, from the result; other than 0 with err. NULL: EXIT_DONE. */
	int (*status)(const cJSON *result, struct error *err);
	/*
	 * Instead of all that, where the output is a terminal: whether it took over, and then *ret_status, other than 0
	 * with err. NULL: never.
	 */
	bool (*live)(const char *socket, const cJSON *args, struct writer *w, int *ret_status, struct error *err);
	/* One element of a stream that is no table. */
	void (*show_element)(struct writer *w, const cJSON *element);
	/* What the operator should know of a request that was granted, on stderr; not with --json. NULL: nothing. */
	void (*warn)(const cJSON *args);
};

/* The groups, each in a file of its own; an entry without a purpose ends one. */
extern const struct command mapping_commands[];
extern const struct command interface_commands[];
extern const struct command timeouts_commands[];
extern const struct command session_commands[];
extern const struct command ipfix_commands[];
extern const struct command agent_commands[];
extern const struct command history_commands[];
extern const struct command top_commands[];
extern const struct command explain_commands[];
extern const struct command trace_commands[];
extern const struct command check_commands[];

static inline const char *command_name(const struct command *c)
{
	return verb_specs[c->verb].name;
}

/* The n-th command in the order of the help, or NULL behind the last. */
const struct command *command_at(unsigned n);

/*
 * The command that the first words name, and in *ret_words how many of them (1 or 2). NULL with err where there is
 * none: it tells which commands there are under that word, or which one is meant perhaps.
 */
const struct command *command_find(char *const *words, unsigned n_words, unsigned *ret_words, struct error *err);

/* Help: on all commands, on those whose first word is group (false: there is none), on one. */
void command_help_all(FILE *out);
bool command_help_group(FILE *out, const char *group);
void command_help(FILE *out, const struct command *c);

/* The arguments of a request from the words after the command; NULL with err where they are wrong. */
cJSON *command_arguments(const struct command *c, char *const *words, unsigned n_words, struct error *err);

/* Asks the agent and shows its answer: an exit status, other than 0 with err. */
int command_run(const struct command *c, const char *socket, const cJSON *args, struct writer *w, struct error *err);

#endif
