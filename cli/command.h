/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands of detnatctl: each is a verb (proto/verbs.def has its name, arguments and help) and a view, which turns
 * the result into text. The views stand in files by subject: mapping.c, session.c and so on.
 */
#ifndef DETNATCTL_COMMAND_H
#define DETNATCTL_COMMAND_H

#include "proto/defaults.h"
#include "proto/verbs.h"
#include "writer.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1, /* the agent refused or found nothing */
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3,
};

struct view {
	/* The result as text: a table of an array or a stream, or what show writes. */
	const struct column *columns;
	const char *empty; /* what is written instead of a table without rows */
	void (*show)(struct writer *w, const cJSON *result, const cJSON *args);
	/* An element of a stream that is no table. */
	void (*show_element)(struct writer *w, const cJSON *element);
	/* Exit status of a result; err is set unless it is 0. NULL: always EXIT_DONE. */
	int (*status)(const cJSON *result, struct error *err);
	/* Warns on stderr about a request that was granted; not with --json. NULL: nothing to warn about. */
	void (*warn)(const cJSON *args);
	/*
	 * On a terminal, a view that refreshes itself takes the place of the above: returns whether it took over, and
	 * then *ret_status, with err set unless that is 0. NULL: there is none.
	 */
	bool (*live)(const char *socket, const cJSON *args, struct writer *w, int *ret_status, struct error *err);
	/* A verb that the agent does not answer: returns the exit status, with err set unless it is 0. */
	int (*run)(const cJSON *args, struct writer *w, struct error *err);
};

#define VERB(id, ...) extern const struct view view_##id;
#include "proto/verbs.def"

/* Of `session list`, and of the sessions that `explain` shows. */
extern const struct column session_columns[];

struct command {
	const struct verb_spec *verb;
	const struct view *view;
};

static inline const char *command_name(const struct command *c)
{
	return c->verb->name;
}

/* The n-th command in the order of the help, or NULL behind the last. */
const struct command *command_at(unsigned n);

/*
 * Finds the command named by the first words, and in *ret_words how many of them (1 or 2) its name is. NULL with err
 * where there is none: it lists the commands that begin with the first word, or suggests a similar one.
 */
const struct command *command_find(char *const *words, unsigned n_words, unsigned *ret_words, struct error *err);

/* Help: on all commands, on those whose first word is group (false: there is none), on one. */
void command_help_all(FILE *out);
bool command_help_group(FILE *out, const char *group);
void command_help(FILE *out, const struct command *c);

/* The arguments of a request from the words after the command; NULL with err where they are wrong. */
cJSON *command_arguments(const struct command *c, char *const *words, unsigned n_words, struct error *err);

/* Writes how the arguments of a command are typed, "in|out ADDR:PORT EXT:PORT [--proto tcp|udp|icmp]", and returns it.
 */
#define USAGE_TEXT 256
const char *command_usage(const struct command *c, char text[static USAGE_TEXT]);

/* Asks the agent and shows its answer: an exit status, other than 0 with err. */
int command_run(const struct command *c, const char *socket, const cJSON *args, struct writer *w, struct error *err);

#endif
