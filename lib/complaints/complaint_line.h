/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of a text that has no NUL: it goes from a place up to an end. */
#ifndef DETNAT_COMPLAINT_LINE_H
#define DETNAT_COMPLAINT_LINE_H

#include <stdbool.h>

/* The newline that ends the line of a place, or the text's end. */
const char *line_end(const char *at, const char *end);

/* The begin of the line below, or the text's end. */
const char *line_next(const char *at, const char *end);

/* Whether a line has neither letters nor digits: what separates blocks. */
bool line_is_rule(const char *at, const char *end);

/* The end of a key before ':', '=', '|', dots, tabs or blanks, or NULL if the line has none. Its value begins at *ret.
 */
const char *line_key_end(const char *at, const char *end, const char **ret);

/* The end of the line below that of a place, if it goes on with a sentence, or NULL. */
const char *line_beyond(const char *at, const char *end);

/* "----- Forwarded message -----", behind which the header of a mail begins. */
bool line_is_divider(const char *at, const char *end);

/* Whether a line is a day alone, between signs or before a colon: the heading of what is below, "== 2026-03-14 ==". */
bool line_is_day(const char *at, const char *end);

/* Where a line begins behind the signs of a list or of a quote. */
const char *line_inner(const char *at, const char *end);

/*
 * Whether a line has the format of a log in which a source's port is behind its address: "%h %{remote-port}", "%a
 * %{remote}p", "$remote_addr $remote_port".
 */
bool line_has_pair(const char *at, const char *end);

#endif
