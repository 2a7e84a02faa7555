/* SPDX-License-Identifier: BSD-2-Clause */
/* The paths of the page: those of files, and those that ask detnatctl. A path that is not here is 404. */
#ifndef DETNAT_DESK_PAGES_H
#define DETNAT_DESK_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "call.h"

/* A file of desk/www, in the program. */
struct asset {
	const char *path; /* under which it is served */
	const char *type;
	const char *data, *end;
};

extern const struct asset assets[];
extern const unsigned n_assets;

/*
 * Makes the page: its style is in it, so that nothing is waited for before it is seen. *ret_hash permits the style in
 * Content-Security-Policy, "sha256-...". 0 or -ENOMEM.
 */
#define PAGE_POLICY_HASH 64
int page_make(struct buffer *ret, char ret_hash[static PAGE_POLICY_HASH]);

/* What follows the path of a route. */
/* REST_SUBSCRIBER: an address, and perhaps a slash and the tenant. */
enum route_rest { REST_NONE, REST_SUBSCRIBER, REST_PREFIX };

/* Exactly one of page, words and answer is set, as to how it is answered. */
struct route {
	const char *path;
	enum route_rest rest;
	unsigned right;			       /* all of these bits, or 0: any */
	bool page;			       /* the page's HTML, whose script asks the rest */
	const char *words[3];		       /* detnatctl's; what follows the path is added */
	unsigned (*answer)(struct call *call); /* here; with a body if `post` */
	bool post;
};

/* Finds the route; *ret_rest is what follows its path, "" for nothing. NULL: there is none, or the rest is malformed.
 */
const struct route *route_find(const char *path, const char **ret_rest);
const struct asset *asset_find(const char *path);

/* Answers a route that is no page: the status of HTTP, with the answer in call->out or a text in call->err. */
unsigned route_answer(const struct route *r, const char *rest, struct call *call);

#endif
