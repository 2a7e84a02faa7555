// SPDX-License-Identifier: BSD-2-Clause
/* detnatctl: options, dispatch, exit status. */
#include <detnat/version.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/log.h"
#include "batch_run.h"
#include "batch_file.h"
#include "command.h"
#include "message.h"
#include "terminal.h"

struct options {
	const char *socket; /* NULL: none was named */
	const char *batch;  /* file of commands; NULL: none */
	bool json, pretty, help, version, force;
	char **words; /* the remaining words, in order */
	unsigned n_words;
};

/*
 * Keeps the socket from taking the place of a closed descriptor 0, 1 or 2. Writing to the stand-ins fails, as it does
 * on closed descriptors.
 */
static void guard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) < 0)
			_exit(EXIT_USAGE);
}

/* Of an option that takes one value; what: it, as the message calls it. */
static int set_once(const char **to, const char *value, const char *what, struct error *err)
{
	if (*to)
		return error_set(err, -EINVAL, "%s is given twice: %s and %s", what, QUOTED(*to), QUOTED(value));
	*to = value;
	return 0;
}

/* Parses the options that may precede or follow any command, and closes the gaps they leave among the words. */
static int parse_options(int argc, char **argv, struct options *o, struct error *err)
{
	bool options = true;
	int r = 0;

	for (int i = 1; i < argc && !r; i++) {
		char *word = argv[i];

		if (!options || word[0] != '-' || !word[1]) {
			o->words[o->n_words++] = word;
		} else if (!strcmp(word, "-j") || !strcmp(word, "--json") || !strcmp(word, "-json")) {
			o->json = true;
		} else if (!strcmp(word, "-p") || !strcmp(word, "--pretty") || !strcmp(word, "-pretty")) {
			o->json = o->pretty = true;
		} else if (!strcmp(word, "-h") || !strcmp(word, "--help")) {
			o->help = true;
		} else if (!strcmp(word, "-V") || !strcmp(word, "--version")) {
			o->version = true;
		} else if (!o->n_words && !strcmp(word, "--force")) {
			o->force = true;
		} else if (!strcmp(word, "-b") || !strcmp(word, "--batch") || !strcmp(word, "-batch")) {
			if (++i >= argc)
				return error_set(err, -EINVAL, "%s needs the name of a file, or -", word);
			r = set_once(&o->batch, argv[i], "--batch", err);
		} else if (!strncmp(word, "--batch=", 8)) {
			r = set_once(&o->batch, word + 8, "--batch", err);
		} else if (!strcmp(word, "-s") || !strcmp(word, "--socket")) {
			if (++i >= argc)
				return error_set(err, -EINVAL, "%s needs the path of a socket", word);
			r = set_once(&o->socket, argv[i], "--socket", err);
		} else if (!strncmp(word, "--socket=", 9)) {
			r = set_once(&o->socket, word + 9, "--socket", err);
		} else if (!strncmp(word, "-s", 2)) {
			r = set_once(&o->socket, word + 2, "--socket", err);
		} else {
			options = strcmp(word, "--") != 0;
			o->words[o->n_words++] = word;
		}
	}
	return r;
}

/* A reader that closed the pipe early is not an error; any other failed write is. */
static int finish(struct writer *w, int status)
{
	int r = writer_flush(w);

	if (!r || r == -EPIPE)
		return status;
	message_line("detnatctl: cannot write: %s", strerror(-r));
	return status ? status : EXIT_REFUSED;
}

static int run(const struct options *o, struct writer *w, struct error *err)
{
	_cleanup_json_ cJSON *args = NULL;
	const struct command *c;
	int status;

	if (o->help)
		return command_help_on(w->out, o->words, o->n_words, err);
	if (o->n_words == 2 && !strcmp(o->words[1], "help"))
		return command_help_on(w->out, o->words, 1, err);
	if (!o->n_words && o->socket && !strchr(o->socket, '/'))
		return error_set(err, EXIT_USAGE,
				 "-s takes the path of the agent's socket, here %s, and no command is left; "
				 "detnatctl stats shows counters",
				 QUOTED(o->socket));
	if (!o->n_words)
		return error_set(err, EXIT_USAGE, "a command is needed; detnatctl help lists them all");
	status = command_parse(o->words, o->n_words, &c, &args, err);
	return status ? status : command_run(c, o->socket, args, w, err);
}

struct batch {
	const struct options *options;
	struct writer *writer;
};

/* A line contains only a command: options of detnatctl itself precede -b. */
static int run_batch_line(void *arg, unsigned number, char **words, unsigned n_words, struct error *err)
{
	const struct batch *b = arg;
	struct options line = *b->options;
	int status, r;

	line.words = words;
	line.n_words = n_words;
	status = run(&line, b->writer, err);
	/* The output of the command precedes its error, and the output of the next one. */
	r = writer_flush(b->writer);
	return r && !status ? EXIT_REFUSED : status;
}

static int run_batch(const struct options *o, struct writer *w, struct error *err)
{
	struct batch b = { o, w };

	if (o->n_words)
		return error_set(err, EXIT_USAGE,
				 "--batch takes commands from %s, so the command line may have none: %s", o->batch,
				 o->words[0]);
	w->lines = true;
	return o->force ? batch_read(o->batch, true, run_batch_line, &b, err) : batch_run(o->batch, o->socket, w, err);
}

static int run_options(const struct options *o, struct writer *w, struct error *err)
{
	if (o->batch && !o->help)
		return run_batch(o, w, err);
	if (o->force)
		return error_set(err, EXIT_USAGE, "--force goes with --batch only");
	return run(o, w, err);
}

int main(int argc, char **argv)
{
	struct options o = { .words = calloc((size_t)argc + 1, sizeof(char *)) };
	struct writer w = { .out = stdout, .columns = terminal_columns() };
	struct error err = {};
	int status = EXIT_USAGE;

	log_set_program("detnatctl");
	guard_descriptors();
	signal(SIGPIPE, SIG_IGN);
	if (!o.words)
		error_set(&err, 0, "out of memory");
	else if (!parse_options(argc, argv, &o, &err) && o.version)
		status = fprintf(w.out, "detnatctl " DETNAT_VERSION "\n") < 0;
	else if (!*err.text) {
		w.json = o.json;
		w.pretty = o.pretty;
		status = run_options(&o, &w, &err);
	}
	/* Output that precedes an error is flushed first. */
	status = finish(&w, status);
	if (*err.text && status)
		message_show(err.text);
	free(o.words);
	return status;
}
