/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All output to stdout goes through the writer: as text for people, aligned and with units, or as the agent's JSON.
 * Commands describe their output with columns or fields; they never print. Whatever is printed shows itself: all else
 * is escaped (base/text.h), also in JSON.
 */
#ifndef DETNATCTL_WRITER_H
#define DETNATCTL_WRITER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "row.h"

struct writer {
	FILE *out;
	bool json;
	bool pretty;	/* JSON is indented */
	bool points;	/* names that are not ASCII have their code points beside them */
	bool lines;	/* unless it is, each document stands on a line of its own */
	int columns;	/* of the terminal that `out` is; 0: it is none, and lines are as long as they are */
	size_t rows;	/* rows of the current stream */
	uint32_t shown; /* bits of its columns that are shown */
	int failed;	/* errno of the first write that failed */
};

#define CELL_TEXT 288

/* Width of "255.255.255.255:65535". */
#define ENDPOINT_WIDTH 21

/* Formats the value of a row's key; an absent key is "-". */
typedef void (*cell_format)(const cJSON *row, const char *key, char text[static CELL_TEXT]);

/* A text: between quotes if it could be taken for something else (text_plain()). */
void cell_text(const cJSON *row, const char *key, char text[static CELL_TEXT]);
void cell_quoted(const cJSON *row, const char *key, char text[static CELL_TEXT]); /* somebody's words, between quotes */
void cell_number(const cJSON *row, const char *key, char text[static CELL_TEXT]);
void cell_flag(const cJSON *row, const char *key, char text[static CELL_TEXT]);	    /* yes, no */
void cell_bytes(const cJSON *row, const char *key, char text[static CELL_TEXT]);    /* 1.5 MiB */
void cell_seconds(const cJSON *row, const char *key, char text[static CELL_TEXT]);  /* 7440 s */
void cell_duration(const cJSON *row, const char *key, char text[static CELL_TEXT]); /* 3 d 04:05:06 */
void cell_list(const cJSON *row, const char *key, char text[static CELL_TEXT]);	    /* strings: a, b */
/* The value, and in brackets that of KEY_reason, if there is one. */
void cell_reasoned(const cJSON *row, const char *key, char text[static CELL_TEXT]);
void cell_endpoint(const cJSON *row, const char *key, char text[static CELL_TEXT]); /* KEY_addr:KEY_port */

/* The width of a column that a table shows only if a row has its key. */
#define WIDTH_IF_ANY (-1)

/* The same for a stream, of a width: only if the first row has its key. It is not the last column. */
#define WIDTH_IF_FIRST(width) (-1 - (width))

/* A column of a table, or a line of an object. Lists end with an entry without a header. */
struct column {
	const char *header;
	const char *key;
	cell_format format;
	bool right; /* aligned right */
	int width;  /* width in a stream, whose rows are printed before all are known */
};

/* Prints an array as a table, as wide as needed, or the line `empty` if it has no elements. */
void writer_table(struct writer *w, const struct column *columns, const char *empty, const cJSON *array);

/* Prints a row of a table whose columns have no keys: at most 8 cells, and a last one of a text. */
void writer_row(struct writer *w, const struct cell *cells, unsigned n, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Prints an object, one line for each field that it has. */
void writer_fields(struct writer *w, const struct column *fields, const cJSON *object);

/* Prints a line of text. */
void writer_line(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints the result of a request as JSON, as the agent sent it. */
void writer_json(struct writer *w, const char *text, size_t size);

/*
 * A list whose rows arrive one at a time. A row is printed from text in JSON, and from the object in text; with JSON
 * the object may be NULL. An interrupted list is not closed, so that half a listing is not mistaken for a whole one.
 */
void writer_stream_begin(struct writer *w, const struct column *columns);
void writer_stream_row(struct writer *w, const struct column *columns, const char *text, const cJSON *row);

/* Prints an element with show, which may write several lines, if a table row has too little room for it. */
void writer_stream_element(struct writer *w, void (*show)(struct writer *w, const cJSON *element),
			   const cJSON *element);
void writer_stream_end(struct writer *w, const char *empty);

/* Returns 0, or -errno of the first write that failed. */
int writer_flush(struct writer *w);

#endif
