/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A row of a table: cells with two blanks between them. On a terminal no line is wider than that: what does not fit
 * goes on in further lines, which are indented, and a long text is broken at blanks. Nothing is cut off.
 */
#ifndef DETNATCTL_ROW_H
#define DETNATCTL_ROW_H

#include <stdbool.h>
#include <stdio.h>

struct cell {
	const char *text;
	int width;  /* at least, in columns of the terminal */
	bool right; /* aligned right */
};

/* Columns of a terminal that a text takes that shows itself. */
int row_text_width(const char *text);

/*
 * Prints n cells and a newline, with what does not show itself escaped. columns: width of the terminal; 0: it is none.
 * Rows whose cells have the same widths break alike, so the header stays above its columns.
 */
void row_print(FILE *out, int columns, const struct cell *cells, unsigned n);

/* Prints a text and a newline. What does not fit into the terminal goes on in further lines, `hang` columns in. */
void row_print_line(FILE *out, int columns, const char *line, int hang);

#endif
