/* SPDX-License-Identifier: BSD-2-Clause */
/* Responses: with the headers that all have, in the form of who asks. */
#ifndef DETNAT_DESK_RESPOND_H
#define DETNAT_DESK_RESPOND_H

#include <microhttpd.h>

#include "pages.h"

/* Makes the page, once. 0 or -ENOMEM. */
int respond_begin(void);

enum MHD_Result respond_page(struct MHD_Connection *c);
enum MHD_Result respond_asset(struct MHD_Connection *c, const struct asset *a);

/* What an error has besides its status. */
struct refusal {
	const char *text;
	const char *methods; /* of 405; NULL: those of the page */
	unsigned retry_s;    /* 0: as usual */
	bool problem;	     /* for a program: application/problem+json (RFC 9457) */
};

/* Requests for /api get JSON, others plain text, in which no browser sees HTML. */
enum MHD_Result respond_error(struct MHD_Connection *c, const char *path, unsigned status, const struct refusal *r);

/* The answer of a call, JSON or an archive; it is taken out of the call. 304 without it if the client has it. */
enum MHD_Result respond_answer(struct MHD_Connection *c, unsigned status, struct call *call);

#endif
