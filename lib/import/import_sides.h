/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of the two addresses of a table's lines is the inside one. A header says so in words of several languages, or
 * the addresses do: those of one side are all private and those of the other none, or those of one have several blocks,
 * which only an outside address can have. A header that is not understood, and addresses that do not decide it, are
 * refused: with the sides exchanged, every answer about a subscriber would be wrong.
 */
#ifndef DETNAT_IMPORT_SIDES_H
#define DETNAT_IMPORT_SIDES_H

#include "import/import.h"

#define IMPORT_HEADER_SHOWN 88

/* A line above rows. */
struct import_header {
	char shown[IMPORT_HEADER_SHOWN];
	uint32_t line;
	bool both;	    /* names both sides */
	bool outside_first; /* with `both` */
	bool columns;	    /* names one of the sides, and ports */
};

/* The rows since the last header, from `first` on. Zero-initialised but for `told`. */
struct import_sides {
	enum import_first told; /* by the caller */
	enum import_first own;	/* by a table that import printed */
	struct import_header header;
	bool headed; /* has a header */
	size_t first;
};

struct import_header import_header_read(const char *line, uint32_t number);

/* A header begins: those of the rows before it are put in order. 0, or -EINVAL with err. */
int import_sides_header(struct import_sides *s, struct import *m, const struct import_header *header,
			struct error *err);

/* The header of import's own tables, which is a remark. */
void import_sides_own(struct import_sides *s);

/* The row that comes next has its outside address from elsewhere. */
void import_sides_skip(struct import_sides *s, struct import *m);

/* The rows are at their end: as import_sides_header(). */
int import_sides_end(struct import_sides *s, struct import *m, struct error *err);

#endif
