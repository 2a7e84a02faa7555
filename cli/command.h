/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands of detnatctl: each is a verb (its name, arguments and help are in proto/verbs.def) and a view that
 * renders the result as text. The views are grouped in files by subject: mapping.c, session.c and so on.
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
	/* The result as text: a table of an array or stream, or whatever show writes. */
	const struct column *columns;
	const char *empty; /* printed instead of a table without rows */
	void (*show)(struct writer *w, const cJSON *result, const cJSON *args);
	/* Prints one element of a stream that is not a table. */
	void (*show_element)(struct writer *w, const cJSON *element);
	/* Returns the exit status for a result, with err set unless it is 0. NULL: always EXIT_DONE. */
	int (*status)(const cJSON *result, struct error *err);
	/* Prints warnings on stderr about a request that was granted; not called with --json. NULL: no warnings. */
	void (*warn)(const cJSON *args);
	/*
	 * On a terminal, a self-refreshing view replaces the members above: returns whether it took over and, if so,
	 * sets *ret_status, with err set unless that is 0. NULL: there is no such view.
	 */
	bool (*live)(const char *socket, const cJSON *args, struct writer *w, int *ret_status, struct error *err);
	/* For verbs that detnatctl handles itself: returns the exit status, with err set unless it is 0. */
	int (*run)(const cJSON *args, struct writer *w, struct error *err);
};

#define VERB(id, ...) extern const struct view view_##id;
#include "proto/verbs.def"

/* Columns of `session list`, and of the sessions that `explain` shows. */
extern const struct column session_columns[];

struct command {
	const struct verb_spec *verb;
	const struct view *view;
};

static inline const char *command_name(const struct command *c)
{
	return c->verb->name;
}

/* Returns the n-th command in help order, or NULL past the last. */
const struct command *command_at(unsigned n);

/*
 * Finds the command named by the first words; *ret_words is the number of words (1 or 2) in its name. If there is none,
 * returns NULL with err, which lists the commands that begin with the first word or suggests a similar one.
 */
const struct command *command_find(char *const *words, unsigned n_words, unsigned *ret_words, struct error *err);

/* Print the help for all commands, for those whose first word is group (false if there are none), or for one. */
void command_help_all(FILE *out);
bool command_help_group(FILE *out, const char *group);
void command_help(FILE *out, const struct command *c);

/* Builds the arguments of a request from the words after the command; returns NULL with err if they are wrong. */
cJSON *command_arguments(const struct command *c, char *const *words, unsigned n_words, struct error *err);

/* Writes how a command's arguments are typed, "in|out ADDR:PORT EXT:PORT [--proto tcp|udp|icmp]", and returns it. */
#define USAGE_TEXT 256
const char *command_usage(const struct command *c, char text[static USAGE_TEXT]);

/* Sends the request and shows the answer. Returns an exit status, with err set unless it is 0. */
int command_run(const struct command *c, const char *socket, const cJSON *args, struct writer *w, struct error *err);

#endif
