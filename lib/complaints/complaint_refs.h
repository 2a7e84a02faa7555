/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects of JSON that refer to each other by name, as those of STIX: "src_ref": "ipv4-addr--1" stands for the object
 * whose "id" is that, or whose name is in "objects".
 */
#ifndef DETNAT_COMPLAINT_REFS_H
#define DETNAT_COMPLAINT_REFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first octet from `at` on that is no blank, or `end`. */
const char *json_skip(const char *at, const char *end);

/* The end of a string at its quote, behind the quote that closes it; NULL: it has no end. */
const char *json_string_end(const char *at, const char *end);

struct named {
	const char *at;	  /* of the object, at its brace */
	const char *name; /* without quotes */
	size_t size;
	bool referred; /* it is read where it is referred to, */
	bool valued;   /* as a value, and not as one of a list */
	bool read;
};

struct refs {
	struct named *named; /* in the order of their places */
	size_t n, room;
	unsigned left; /* of readings */
	bool failed;
};

/* Finds what is named and referred to in a text of JSON. Frees nothing. */
void refs_survey(struct refs *r, const char *at, const char *end);

void refs_free(struct refs *r);

/* Whether a key names something else: 1 with "_ref", 2 with "_refs", which has a list; 0: it does not. */
unsigned refs_key(const char *key, const char *end);

/* The object of a name, if it is one that is referred to, and may be read once more; or NULL. */
struct named *refs_find(struct refs *r, const char *name, size_t size);

/* What is named and referred to at a place, or NULL. */
struct named *refs_at(const struct refs *r, const char *at);

#endif
