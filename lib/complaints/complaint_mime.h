/* SPDX-License-Identifier: BSD-2-Clause */
/* Mails under way: what their parts share. */
#ifndef DETNAT_COMPLAINT_MIME_H
#define DETNAT_COMPLAINT_MIME_H

#include <string.h>

#include "complaints/complaint_header.h"
#include "complaints/complaint_private.h"

#define MAX_CHARSETS 8U

/* Parts that say the same, of which one is read. */
struct alternatives {
	bool html;	    /* the one that is read */
	uint32_t addresses; /* in it */
	size_t begin, end;  /* in the decoded text */
};

struct mime {
	struct reading *x;
	struct octets out;
	struct charset sets[MAX_CHARSETS];
	unsigned n_sets;
	struct alternatives *alternatives; /* NULL: the part is none */
	bool report;			   /* of several parts: the mail within is what it is about, and no complaint */
	bool addressed;			   /* an address was read */
	uint32_t at;			   /* where the part begins in what was handed over */
	unsigned depth;
};

static inline bool is_type(const struct content *c, const char *begin)
{
	return !strncmp(c->type, begin, strlen(begin));
}

/* Begins a part of the reading. */
void mime_add_part(struct mime *m, bool header);

/* A character set that was found before, or a new one; NULL: there are too many. "" is always there. */
const struct charset *mime_charset(struct mime *m, const char *name);

/* Tells what was not read of the part. */
void __attribute__((format(printf, 4, 5)))
mime_not_read(struct mime *m, const struct content *c, enum complaint_notice_code code, const char *format, ...);

/* Takes a part without parts: its text, or the line that says what it was. encoded: its octets were, for the transfer.
 */
void mime_take_leaf(struct mime *m, const struct content *c, const struct span *body, bool encoded);

#endif
