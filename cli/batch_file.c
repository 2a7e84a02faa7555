// SPDX-License-Identifier: BSD-2-Clause
#include "batch_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "message.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/*
 * Takes the quotes and backslashes out of the word at *at, which ends up at *to, and moves *at behind it. Returns
 * false if a quote is not closed.
 */
static bool take_word(char **at, char **to)
{
	char *from = *at, *end = *to, quote = 0;

	for (; *from && (quote || !is_blank(*from)); from++) {
		if (quote && *from == quote) {
			quote = 0;
		} else if (!quote && (*from == '"' || *from == '\'')) {
			quote = *from;
		} else {
			if (*from == '\\' && quote != '\'' && from[1])
				from++;
			*end++ = *from;
		}
	}
	/* The word is never longer than its source, so its end does not reach the text behind it. */
	*at = *from ? from + 1 : from;
	*end = '\0';
	*to = end + 1;
	return !quote;
}

int batch_split(char *line, char *words[static BATCH_MAX_WORDS + 1], struct error *err)
{
	char *at = line, *to = line;
	unsigned n = 0;

	for (;;) {
		while (is_blank(*at))
			at++;
		words[n] = NULL;
		if (!*at || *at == '#')
			return (int)n;
		if (n == BATCH_MAX_WORDS)
			return error_set(err, -EINVAL, "more than %u words", BATCH_MAX_WORDS);
		words[n++] = to;
		if (!take_word(&at, &to))
			return error_set(err, -EINVAL, "a quote is not closed");
	}
}

void batch_show_error(const char *path, unsigned line, const struct error *err)
{
	struct error located = {};
	char number[16] = "";

	if (!*err->text)
		return;
	if (line)
		snprintf(number, sizeof(number), ":%u", line);
	error_set(&located, 0, "%.200s%s: %s", strcmp(path, "-") ? path : "standard input", number, err->text);
	message_show(located.text);
}

/* Returns the exit status of a line, whose error is shown. */
static int run_line(const char *path, unsigned number, char *line, batch_command command, void *arg)
{
	char *words[BATCH_MAX_WORDS + 1];
	struct error err = {};
	int n = batch_split(line, words, &err), status;

	if (!n)
		return EXIT_DONE;
	status = n < 0 ? EXIT_USAGE : command(arg, number, words, (unsigned)n, &err);
	if (status)
		batch_show_error(path, number, &err);
	return status;
}

int batch_read(const char *path, bool force, batch_command command, void *arg, struct error *err)
{
	FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
	int first = EXIT_DONE;
	char *line = NULL;
	size_t size = 0;
	ssize_t n = 0;

	if (!file)
		return error_set(err, EXIT_USAGE, "%s: %s", path, strerror(errno));
	for (unsigned number = 1; !(first && !force) && (n = getline(&line, &size, file)) >= 0; number++) {
		/* A NUL would hide the rest of its line; no command has control characters. */
		for (size_t nul = strlen(line); nul < (size_t)n; nul += strlen(line + nul))
			line[nul] = '?';
		int status = run_line(path, number, line, command, arg);

		first = first ? first : status;
	}
	if (n < 0 && ferror(file) && !first)
		first = error_set(err, EXIT_REFUSED, "%s: %s", path, strerror(errno));
	free(line);
	if (file != stdin)
		fclose(file);
	return first;
}
