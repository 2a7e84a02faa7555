/* SPDX-License-Identifier: BSD-2-Clause */
/* A request of a person or a program, from its headers to its answer. */
#ifndef DETNAT_DESK_CALL_H
#define DETNAT_DESK_CALL_H

#include <limits.h>

#include "ask.h"
#include "users.h"

/* A request under way. */
struct call {
	const struct ask_at *at;
	const char *user;  /* "": none, on loopback */
	const char *whom;  /* who asks, for the lines about it */
	bool named;	   /* that is a user or a token which is known */
	const char *zone;  /* of the query; NULL: none */
	bool verdict;	   /* the query asks for one over all answers */
	const char *after; /* of the query: the last record of the history that the client has; NULL: none */
	const char *known; /* the mark of the answer that the client has, of If-None-Match; NULL: none */
	struct user_rights rights;
	struct asker who;
	int client;	    /* the socket */
	struct buffer body; /* of a POST */
	struct ask_answer answer;
	char file[80]; /* under which an archive is kept: letters, digits, dots, underscores and hyphens; "": it is JSON
			*/
	char mark[80]; /* of the answer, for ETag; "": it has none */
	char dir[PATH_MAX]; /* of the history, while it is asked about */
	struct error err;
};

/* Adds where the answers are looked for, for whom, and where that is noted, to the words of a question. */
void call_add_places(struct call *call, struct ask *ask);

/* Asks detnatctl, for who calls. As ask_ctl(). */
unsigned call_ask(struct call *call, struct ask *ask);

#endif
