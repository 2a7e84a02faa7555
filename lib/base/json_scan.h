/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON with the line of each value.
 *
 * cJSON parses the values, but it forgets their position and is more lenient than RFC 8259 (control characters, broken
 * UTF-8, numbers such as 01, text after the end). A strict scan therefore goes first; it also finds the lines and
 * limits the depth and the number of values.
 */
#ifndef DETNAT_JSON_SCAN_H
#define DETNAT_JSON_SCAN_H

#include <stddef.h>

#include <cjson/cJSON.h>

#define JSON_MAX_DEPTH	32U
#define JSON_MAX_VALUES (1U << 20) /* more than all lists of a configuration together, see config/load.c */
#define JSON_MAX_NUMBER 40U	   /* characters */

/* A position in a document: "mappings[1].in". Truncated if too long; keys that are no words are quoted. */
struct json_path {
	size_t length;
	char text[160];
};

/* Each returns the previous length, for json_path_cut(). */
size_t json_path_add_key(struct json_path *p, const char *key, size_t size);
size_t json_path_add_index(struct json_path *p, size_t index);
void json_path_cut(struct json_path *p, size_t length);

/* The fault of a text, and its place. */
struct json_fault {
	unsigned line;
	struct json_path path;
	char text[96];
};

/*
 * Reads a text; the caller deletes *ret. 0, -EINVAL with *ret_fault filled in, or -ENOMEM. Values keep their line, see
 * json_line(), in valueint, so numbers are in valuedouble only.
 */
int json_read(const char *text, size_t size, cJSON **ret, struct json_fault *ret_fault);

/* Line of a value made by json_read(), from 1; of its key if it has one. */
static inline unsigned json_line(const cJSON *value)
{
	return (unsigned)value->valueint;
}

static inline void json_delete_pointer(cJSON **json)
{
	cJSON_Delete(*json);
}

#define _cleanup_json_ __attribute__((cleanup(json_delete_pointer)))

#endif
