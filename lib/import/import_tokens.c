// SPDX-License-Identifier: BSD-2-Clause
#include "import/import_tokens.h"

#include <string.h>

void import_tokens_begin(struct import_tokens *t, const struct import_text *text)
{
	*t = (struct import_tokens){ .at = text->text, .end = text->text + text->size };
}

/* Blanks, comments, and lines that a \ joins. */
static void skip_blanks(struct import_tokens *t)
{
	while (t->at < t->end) {
		if (*t->at == '#') {
			while (t->at < t->end && *t->at != '\n')
				t->at++;
		} else if (*t->at == '\\' && t->at + 1 < t->end && (t->at[1] == '\n' || t->at[1] == '\r')) {
			while (t->at < t->end && *t->at != '\n')
				t->at++;
			t->at += t->at < t->end;
			t->next_line++;
		} else if (*t->at == ' ' || *t->at == '\t' || *t->at == '\r') {
			t->at++;
		} else {
			return;
		}
	}
}

static void put(struct import_tokens *t, size_t *n, char c)
{
	if (*n < sizeof(t->word) - 1)
		t->word[(*n)++] = c;
	else
		t->cut = true;
}

static bool ends_word(char c)
{
	return strchr(" \t\r\n{},;=\"#", c);
}

bool import_tokens_next(struct import_tokens *t)
{
	size_t n = 0;

	skip_blanks(t);
	t->quoted = t->cut = false;
	t->line = t->next_line + 1;
	t->over = t->at >= t->end;
	if (t->over) {
		t->word[0] = '\0';
		return false;
	}
	if (*t->at == '\n' || strchr("{},;=:", *t->at)) {
		t->next_line += *t->at == '\n';
		put(t, &n, (char)(*t->at == '\n' ? ';' : *t->at));
		t->at++;
	} else if (*t->at == '"') {
		t->quoted = true;
		for (t->at++; t->at < t->end && *t->at != '"' && *t->at != '\n'; t->at++)
			put(t, &n, *t->at);
		t->at += t->at < t->end && *t->at == '"';
	} else {
		for (; t->at < t->end && !ends_word(*t->at); t->at++)
			put(t, &n, *t->at);
	}
	t->word[n] = '\0';
	return true;
}

bool import_token_is(const struct import_tokens *t, const char *word)
{
	return !t->over && !t->quoted && !strcmp(t->word, word);
}
