/* SPDX-License-Identifier: BSD-2-Clause */
/* The columns of a table, by the header that names them. */
#ifndef DETNAT_COMPLAINT_COLUMNS_H
#define DETNAT_COMPLAINT_COLUMNS_H

#include "complaints/complaint_scan.h"

/* More columns are not read. */
#define COLUMNS 512U

/* Names of columns that stand in two lines are no longer together. */
#define JOINED_TEXT 2048U

/* Separators of columns; two blanks, and any blanks. */
#define TWO_BLANKS '2'
#define BLANKS	   '1'

struct cell {
	const char *begin, *end;
};

struct table {
	struct cell names[COLUMNS], cells[COLUMNS];
	unsigned n, n_cells;
	const char *line;	    /* of the names */
	const char *rows;	    /* where the first row begins */
	const char *at[COLUMNS];    /* where a column's name stands in the line */
	char joined[JOINED_TEXT];   /* names that go on in the line below */
	uint8_t role[COLUMNS];	    /* of a column of ports without one: that of the addresses before it */
	bool addr[COLUMNS];	    /* a column of addresses */
	struct cell above[COLUMNS]; /* of a column of addresses: the last in a row, or NULL */
	bool port[COLUMNS];
	bool server[COLUMNS]; /* one of the server's: "s-port", beside "c-ip" */
	bool has_time;
	bool relative; /* a column has the time since something, so that no time around is that of a row */
	bool unclosed; /* a quote has no end */
	bool none;     /* the line is no header by itself */
};

/* What is between blanks and quotes. */
struct cell cell_trimmed(const char *at, const char *end);

/* Splits a line into cells. Returns how many there are. */
unsigned cells_split(struct cell *cells, const char *at, const char *end, char separator);

/* Whether the cells of a row are names of columns, as at the begin of a page. words: blanks are between. */
bool columns_named_anew(const struct table *t, bool words);

/* Ways in which a header may stand at a line; none is without one that comes after it. */
#define HEADER_WAYS 4U

/* Reads the header at a line in one of them, and what separates the columns. end: of the text. */
bool columns_read(struct table *t, unsigned way, const char *at, const char *line, const char *end, char *ret);

#endif
