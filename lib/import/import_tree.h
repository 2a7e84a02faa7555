/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configurations that are trees: in lines of `set`, or in braces, with ; at the end of a leaf or without. Both become
 * the same statements, the words from the root to a leaf.
 */
#ifndef DETNAT_IMPORT_TREE_H
#define DETNAT_IMPORT_TREE_H

#include "import/import.h"
#include "import/import_text.h"

struct import_statement {
	uint32_t line;
	uint32_t n;    /* words */
	size_t at;     /* of the first one in `words` */
	bool inactive; /* deactivated */
};

/* Zero-initialised; released by import_tree_free(). */
struct import_tree {
	char *words; /* each with its NUL */
	size_t size;
	size_t room;
	struct import_statement *statement;
	size_t n;
	size_t statements_room;
};

/* 0, -EINVAL with err for a brace that is not closed, or -ENOMEM with err. */
int import_tree_read(const struct import *m, const struct import_text *text, struct import_tree *ret,
		     struct error *err);
void import_tree_free(struct import_tree *t);

/*
 * Whether a statement has these words: "nat pool * address *", where * is any word, which goes to ret_words. A pattern
 * that ends in " ..." takes further words. The words before the pattern's first one do not count.
 */
#define IMPORT_TREE_WORDS 8U
bool import_tree_is(const struct import_tree *t, const struct import_statement *s, const char *pattern,
		    const char *ret_words[IMPORT_TREE_WORDS]);

#endif
