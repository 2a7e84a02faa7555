/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The columns of a table, by its header: which of them hold what a row needs, so that numbers, names and counters
 * beside them are not taken for it.
 */
#ifndef DETNAT_IMPORT_COLUMNS_H
#define DETNAT_IMPORT_COLUMNS_H

#include "import/import_sides.h"

enum import_column {
	COLUMN_OTHER,
	COLUMN_INSIDE,
	COLUMN_SUBSCRIBER, /* a person, or his address */
	COLUMN_OUTSIDE,
	COLUMN_PORTS,
	COLUMN_FIRST,
	COLUMN_LAST,
	COLUMN_PROTOCOL,
	COLUMN_NETWORK, /* a VPN or a VRF */
};

#define IMPORT_COLUMNS 64U

/* What the cells of a line are separated by. */
enum import_apart { APART_BLANK, APART_BLANKS, APART_TAB, APART_SEMICOLON, APART_BAR, APART_COMMA };

enum import_columns_state { COLUMNS_NONE, COLUMNS_NAMED, COLUMNS_FOUND, COLUMNS_UNFIT };

/* Places of cells; IMPORT_COLUMNS: there is none. */
struct import_columns {
	enum import_columns_state state;
	enum import_apart apart;
	uint8_t is[IMPORT_COLUMNS]; /* enum import_column */
	unsigned n;
	uint32_t line;
	char header[1024];
	unsigned address[2]; /* in the order of the line */
	unsigned ports, first, last, protocol, network;
	bool sessions;	    /* has a port of each side: lines of sessions, not of blocks */
	bool told;	    /* which of the addresses is the inside one is known */
	bool outside_first; /* with `told` */
};

/* What a column of this title holds. */
enum import_column import_header_column(const char *cell);

/* Whether a title has words of a side. */
bool import_header_names(const char *cell, bool outside);

/* Letters of Latin-1, of one octet or in UTF-8, become those of ASCII, dashes "-", in place. */
void import_plain(char *line);

/* Names the columns by a header. */
void import_columns_read(struct import_columns *c, const char *header, uint32_t line);

/* Cuts a line into its cells, in place, without blanks and quotes around them. Returns their number. */
unsigned import_columns_cut(enum import_apart apart, char *line, char *cell[IMPORT_COLUMNS]);

/* Finds the places by the first row: a column that is named as an address need not hold one. */
void import_columns_find(struct import_columns *c, const char *row);

/* The titles of the columns that are not read: "" if there are none. */
void import_columns_unread(const struct import_columns *c, char *text, size_t size);

#endif
