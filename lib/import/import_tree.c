// SPDX-License-Identifier: BSD-2-Clause
#include "import/import_tree.h"

#include <string.h>

#include "import/import_build.h"

#define MAX_DEPTH 64U
#define MAX_WORDS 256U

/* The words from the root to the place that is read. */
struct place {
	const struct import *m;
	struct import_tree *t;
	char *word[MAX_WORDS];
	unsigned n;
	unsigned begin[MAX_DEPTH]; /* words outside each open brace */
	uint32_t open_line[MAX_DEPTH];
	size_t statements[MAX_DEPTH]; /* before each */
	bool off[MAX_DEPTH];	      /* inactive: */
	unsigned depth;
	bool inactive;
};

static int add_statement(struct place *p, uint32_t line, unsigned n, char *const *word, bool inactive)
{
	struct import_tree *t = p->t;
	size_t size = 0;

	for (unsigned i = 0; i < n; i++)
		size += strlen(word[i]) + 1;
	if (t->size + size > t->room) {
		size_t room = 2 * (t->size + size) + 4096;
		char *words = realloc(t->words, room);

		if (!words)
			return -ENOMEM;
		t->words = words;
		t->room = room;
	}
	if (t->n == t->statements_room) {
		size_t room = t->statements_room ? 2 * t->statements_room : 256;
		struct import_statement *s = realloc(t->statement, room * sizeof(*s));

		if (!s)
			return -ENOMEM;
		t->statement = s;
		t->statements_room = room;
	}
	t->statement[t->n++] = (struct import_statement){ line, n, t->size, inactive };
	for (unsigned i = 0; i < n; i++) {
		size_t room = strlen(word[i]) + 1;

		memcpy(t->words + t->size, word[i], room);
		t->size += room;
	}
	return 0;
}

static const char *next_word(const char *word)
{
	return word + strlen(word) + 1;
}

/* deactivate A B: everything below A B. */
static void deactivate(struct import_tree *t, char *const *word, unsigned n)
{
	for (size_t i = 0; i < t->n; i++) {
		struct import_statement *s = &t->statement[i];
		const char *at = t->words + s->at;
		unsigned k = 0;

		while (k < n && k < s->n && !strcmp(at, word[k])) {
			at = next_word(at);
			k++;
		}
		s->inactive |= n && k == n;
	}
}

static void pop_words(struct place *p, unsigned to)
{
	while (p->n > to)
		free(p->word[--p->n]);
}

/* Ends a leaf: the words since the last brace. A list [ a b ] is a statement for each. */
static int end_leaf(struct place *p, uint32_t line)
{
	unsigned base = p->depth ? p->begin[p->depth - 1] : 0;
	unsigned open = p->n, close = p->n;
	bool off = p->inactive;
	int r = 0;

	for (unsigned i = 0; i < p->depth; i++)
		off |= p->off[i];
	for (unsigned i = base; i < p->n; i++) {
		open = !strcmp(p->word[i], "[") && open == p->n ? i : open;
		close = !strcmp(p->word[i], "]") ? i : close;
	}
	if (p->n > base && open < close && close < p->n) {
		for (unsigned i = open + 1; i < close && !r; i++) {
			char *list[MAX_WORDS];

			memcpy(list, p->word, open * sizeof(*list));
			list[open] = p->word[i];
			r = add_statement(p, line, open + 1, list, off);
		}
	} else if (p->n > base) {
		r = add_statement(p, line, p->n, p->word, off);
	}
	pop_words(p, base);
	p->inactive = false;
	return r;
}

static int take_word(struct place *p, struct import_lines *l, char *word, struct error *err)
{
	if (!strcmp(word, "{")) {
		if (p->depth == MAX_DEPTH)
			return import_fault(p->m, l->line, err, "braces are more than %u deep", MAX_DEPTH);
		p->off[p->depth] = p->inactive;
		p->open_line[p->depth] = l->line;
		p->statements[p->depth] = p->t->n;
		p->begin[p->depth++] = p->n;
		p->inactive = false;
		return 0;
	}
	if (!strcmp(word, "}")) {
		unsigned before;

		if (end_leaf(p, l->line))
			return error_set(err, -ENOMEM, "out of memory");
		/* A node without leaves is a leaf itself: range A-B { } of VyOS. */
		if (p->depth && p->t->n == p->statements[p->depth - 1] &&
		    add_statement(p, p->open_line[p->depth - 1], p->n, p->word, p->off[p->depth - 1]))
			return error_set(err, -ENOMEM, "out of memory");
		if (!p->depth)
			return import_fault(p->m, l->line, err, "closes a brace that is not open");
		p->depth--;
		before = p->depth ? p->begin[p->depth - 1] : 0;
		pop_words(p, before);
		return 0;
	}
	if (!strcmp(word, ";"))
		return end_leaf(p, l->line) ? error_set(err, -ENOMEM, "out of memory") : 0;
	if (!strcmp(word, "inactive:")) {
		p->inactive = true;
		return 0;
	}
	if (p->n == MAX_WORDS)
		return import_fault(p->m, l->line, err, "has more than %u words", MAX_WORDS);
	p->word[p->n] = strdup(word);
	return p->word[p->n++] ? 0 : error_set(err, -ENOMEM, "out of memory");
}

/* Puts blanks around braces, semicolons and brackets outside quotes, and removes comments. */
static void space_out(struct import_lines *l, char *to, bool *comment)
{
	char quote = 0;

	for (const char *c = l->buffer; *c; c++) {
		if (*comment) {
			if (c[0] == '*' && c[1] == '/') {
				*comment = false;
				c++;
			}
			continue;
		}
		if (!quote && c[0] == '/' && c[1] == '*') {
			*comment = true;
			c++;
			continue;
		}
		if (!quote && *c == '#')
			break;
		if (*c == '"' || *c == '\'')
			quote = (char)(quote == *c ? 0 : quote ? quote : *c);
		if (!quote && strchr("{};[]", *c)) {
			*to++ = ' ';
			*to++ = *c;
			*to++ = ' ';
		} else {
			*to++ = *c;
		}
	}
	*to = '\0';
}

static int take_line(struct place *p, struct import_lines *l, struct error *err)
{
	bool ends = false;
	int r = 0;

	if (!p->depth && !p->n && !strcmp(l->word[0], "set"))
		return add_statement(p, l->line, l->n_words - 1, l->word + 1, false)
			       ? error_set(err, -ENOMEM, "out of memory")
			       : 0;
	if (!p->depth && !p->n && !strcmp(l->word[0], "deactivate")) {
		deactivate(p->t, l->word + 1, l->n_words - 1);
		return 0;
	}
	for (unsigned i = 0; i < l->n_words && !r; i++)
		r = take_word(p, l, l->word[i], err);
	/* VyOS ends a leaf with its line; Junos with a semicolon, on the same line but for lists. */
	for (unsigned i = 0; i < l->n_words; i++)
		ends |= !strcmp(l->word[i], "[");
	if (!r && !ends && l->n_words && strcmp(l->word[l->n_words - 1], "{") != 0 && end_leaf(p, l->line))
		r = error_set(err, -ENOMEM, "out of memory");
	return r;
}

int import_tree_read(const struct import *m, const struct import_text *text, struct import_tree *ret, struct error *err)
{
	_cleanup_free_ struct import_lines *l = malloc(sizeof(*l));
	_cleanup_free_ struct place *p = calloc(1, sizeof(*p));
	_cleanup_free_ char *spaced = malloc(3UL * IMPORT_LINE + 1);
	bool comment = false;
	int r = 0;

	if (!l || !p || !spaced || import_lines_begin(l, text, false))
		return error_set(err, -ENOMEM, "out of memory");
	p->m = m;
	p->t = ret;
	while (!r && import_lines_next(l)) {
		char *line = l->buffer;

		space_out(l, spaced, &comment);
		l->buffer = spaced;
		import_lines_words(l, "", 0);
		if (l->n_words)
			r = take_line(p, l, err);
		l->buffer = line;
	}
	if (!r && p->depth)
		r = import_fault(m, p->open_line[p->depth - 1], err, "this brace is not closed; is the file whole?");
	pop_words(p, 0);
	import_lines_end(l);
	return r;
}

void import_tree_free(struct import_tree *t)
{
	free(t->words);
	free(t->statement);
}

/* Whether the words from one on fit the pattern. */
static bool fits(const char *at, uint32_t n, const char *pattern, const char *ret_words[IMPORT_TREE_WORDS])
{
	unsigned found = 0;

	for (;;) {
		size_t size = strcspn(pattern, " ");

		if (!strcmp(pattern, "..."))
			return true;
		if (!n)
			return false;
		if (size == 1 && *pattern == '*') {
			if (found < IMPORT_TREE_WORDS)
				ret_words[found++] = at;
		} else if (strlen(at) != size || strncmp(at, pattern, size) != 0) {
			return false;
		}
		at = next_word(at);
		n--;
		if (!pattern[size])
			return !n;
		pattern += size + 1;
	}
}

bool import_tree_is(const struct import_tree *t, const struct import_statement *s, const char *pattern,
		    const char *ret_words[IMPORT_TREE_WORDS])
{
	const char *at = t->words + s->at;

	for (uint32_t left = s->n; left; left--, at = next_word(at))
		if (fits(at, left, pattern, ret_words))
			return true;
	return false;
}
