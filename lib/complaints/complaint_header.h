/* SPDX-License-Identifier: BSD-2-Clause */
/* The header of a mail or of its part (RFC 5322, RFC 2045, RFC 2183, RFC 2231). */
#ifndef DETNAT_COMPLAINT_HEADER_H
#define DETNAT_COMPLAINT_HEADER_H

#include "complaints/complaint_octets.h"

#define BOUNDARY_TEXT 128U /* RFC 2046 section 5.1.1: 70, which not everyone keeps */

/* What a header says about the body; what it does not say is "". */
struct content {
	char type[80]; /* in small letters: "text/plain" */
	char charset[40];
	char boundary[BOUNDARY_TEXT];
	char name[100]; /* of a file */
	char encoding[24];
	unsigned fields; /* that say something of it */
	bool any;	 /* there is one */
	bool mail;	 /* it is that of a mail */
	bool attachment, flowed, unspaced;
};

/* Whether a text begins with a field of a header, or with the line of a mailbox before it. */
bool header_begins(const char *at, const char *end);

/* Reads a header. Returns where its body begins, behind the empty line. */
const char *header_read(const char *at, const char *end, struct content *ret);

#endif
