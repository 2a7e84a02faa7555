/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one way that anything gets to stdout: as text for people, aligned and with units, or as the agent's JSON.
 * Commands describe what they show by columns or fields; they never print.
 */
#ifndef DETNATCTL_WRITER_H
#define DETNATCTL_WRITER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

struct writer {
	FILE *out;
	bool json;
	size_t rows; /* of the stream under way */
	int failed;  /* errno of the first write that failed */
};

#define CELL_TEXT 288

/* Characters of "255.255.255.255:65535". */
#define ENDPOINT_WIDTH 21

/* Writes the value of a key of a row as text; an absent key is "-". */
typedef void (*cell_format)(const cJSON *row, const char *key, char text[static CELL_TEXT]);

void cell_text(const cJSON *row, const char *key, char text[static CELL_TEXT]);
void cell_number(const cJSON *row, const char *key, char text[static CELL_TEXT]);
void cell_flag(const cJSON *row, const char *key, char text[static CELL_TEXT]);	    /* yes, no */
void cell_bytes(const cJSON *row, const char *key, char text[static CELL_TEXT]);    /* 1.5 MiB */
void cell_seconds(const cJSON *row, const char *key, char text[static CELL_TEXT]);  /* 7440 s */
void cell_duration(const cJSON *row, const char *key, char text[static CELL_TEXT]); /* 3 d 04:05:06 */
void cell_list(const cJSON *row, const char *key, char text[static CELL_TEXT]);	    /* of strings: a, b */
void cell_endpoint(const cJSON *row, const char *key, char text[static CELL_TEXT]); /* KEY_addr:KEY_port */

/* A column of a table, or a line of an object. Lists of them end with one without a header. */
struct column {
	const char *header;
	const char *key;
	cell_format format;
	bool right; /* aligned right */
	int width;  /* of a stream, whose rows are printed before all are known */
};

/* A table of an array, as wide as it needs to be; the line `empty` where there is no row. */
void writer_table(struct writer *w, const struct column *columns, const char *empty, const cJSON *array);

/* An object, a line for each of its fields that is there. */
void writer_fields(struct writer *w, const struct column *fields, const cJSON *object);

/* A line of text. */
void writer_line(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The result of a request as JSON, as the agent wrote it. */
void writer_json(struct writer *w, const char *text, size_t size);

/*
 * A list whose rows come one at a time. In JSON a row is the text, in text it is the object, which may be NULL for
 * JSON. A list that broke off is not closed: half a listing must not read as a whole one.
 */
void writer_stream_begin(struct writer *w, const struct column *columns);
void writer_stream_row(struct writer *w, const struct column *columns, const char *text, const cJSON *row);

/* An element as text, as show makes it, which may write several lines; where a row is too narrow. */
void writer_stream_element(struct writer *w, void (*show)(struct writer *w, const cJSON *element),
			   const cJSON *element);
void writer_stream_end(struct writer *w, const char *empty);

/* 0, or -errno of the first write that failed. */
int writer_flush(struct writer *w);

#endif
