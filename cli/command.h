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

struct client;

struct view {
	/* The result as text: a table of an array or stream, or whatever show writes. */
	const struct column *columns;
	const struct column *(*columns_of)(const cJSON *args); /* instead of columns, for a stream; NULL: none */
	const char *empty;				       /* printed instead of a table without rows */
	void (*show)(struct writer *w, const cJSON *result, const cJSON *args);
	/* Prints one element of a stream that is not a table. */
	void (*show_element)(struct writer *w, const cJSON *element);
	/* The arguments that the agent gets instead, or NULL with err. NULL: it gets them unchanged. */
	cJSON *(*request)(const cJSON *args, struct error *err);
	bool lines; /* the stream has no end: in JSON each element is a document on a line of its own */
	/*
	 * Writes the elements of a stream to the file named by the argument `pcap`, if given. Returns the exit status,
	 * with err set unless it is 0.
	 */
	int (*save)(struct client *client, const char *path, struct writer *w, struct error *err);
	/*
	 * Returns the exit status for a result, with err set unless it is 0 or the output says all. NULL: always
	 * EXIT_DONE.
	 */
	int (*status)(const cJSON *result, struct error *err);
	int refused; /* the exit status of a refusal, where EXIT_REFUSED is that of a difference found; 0: EXIT_REFUSED
		      */
	/* Prints warnings on stderr about a request that was granted; not called with --json. NULL: no warnings. */
	void (*warn)(const cJSON *args);
	/*
	 * On a terminal, a self-refreshing view replaces the members above: returns whether it took over and, if so,
	 * sets *ret_status, with err set unless that is 0. NULL: there is no such view.
	 */
	bool (*live)(const char *socket, const cJSON *args, struct writer *w, int *ret_status, struct error *err);
	/* For verbs that take more than one request: returns the exit status, with err set unless it is 0. */
	int (*converse)(const char *socket, const cJSON *args, struct writer *w, struct error *err);
	/*
	 * For verbs that detnatctl handles itself: returns the exit status, with err set unless it is 0. socket: NULL
	 * if the user named none.
	 */
	int (*run)(const char *socket, const cJSON *args, struct writer *w, struct error *err);
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
 * Finds the command that the first words name or, if it only reads, abbreviate (cli/find.c); *ret_words is the number
 * of words (1 or 2) that name it. If there is none, returns NULL with err, which names the commands that it could be.
 */
const struct command *command_find(char *const *words, unsigned n_words, unsigned *ret_words, struct error *err);

/* Returns whether the words are the command's name, without abbreviation. */
bool command_typed_in_full(const struct command *c, char *const *words, unsigned n_words);

/* Returns whether the word is the command's name, or its noun. */
bool command_in_group(const struct command *c, const char *word);

/*
 * Appends the names of the commands for which fits() is true to a message, as in "reverse, reload or stats" for last
 * "or". Returns how many there are.
 */
typedef bool (*command_fits)(const struct command *c, const void *arg);
unsigned command_name_all(struct error *err, command_fits fits, const void *arg, const char *last);

/* Sets err to the likely meaning of words that name no command. */
void command_explain_unknown(char *const *words, unsigned n_words, struct error *err);

/* The option of detnatctl itself, such as --json, that a word is like, or NULL. */
const char *command_own_option(const char *word);

/* Prints the help on a command. */
void command_help(FILE *out, const struct command *c);

/*
 * Prints the help on the command that the words name, on those of a noun, or on all. Returns an exit status, with err
 * set unless it is 0.
 */
int command_help_on(FILE *out, char *const *words, unsigned n_words, struct error *err);

/*
 * Finds the command that the words name and builds the arguments of its request. Returns 0, or EXIT_USAGE with err; the
 * caller deletes the arguments.
 */
int command_parse(char *const *words, unsigned n_words, const struct command **ret, cJSON **ret_args,
		  struct error *err);

/* Builds the arguments of a request from the words after the command; returns NULL with err if they are wrong. */
cJSON *command_arguments(const struct command *c, char *const *words, unsigned n_words, struct error *err);

/* Sends a request and returns its result, which the caller deletes, or NULL with err and *ret_status. */
cJSON *command_ask(const char *verb, const char *socket, const cJSON *args, int *ret_status, struct error *err);

/*
 * Sends requests, which edit the configuration, as one change. Returns the array of their results, which the caller
 * deletes, or NULL with err, *ret_status and the number, from 1, of the request that was refused; 0: all of them.
 */
cJSON *command_ask_batch(const char *socket, const cJSON *requests, int *ret_status, unsigned *ret_request,
			 struct error *err);

/* Shows a result that the agent has given. Returns an exit status, with err set unless it is 0. */
int command_show_answer(const struct command *c, const cJSON *args, cJSON *result, struct writer *w, struct error *err);

/*
 * Sends the request to the agent at a socket, NULL being the usual one, and shows the answer. Returns an exit status,
 * with err set unless it is 0.
 */
int command_run(const struct command *c, const char *socket, const cJSON *args, struct writer *w, struct error *err);

#endif
