/* SPDX-License-Identifier: BSD-2-Clause */
/* Headers of mails within a text. */
#ifndef DETNAT_COMPLAINT_FIELDS_H
#define DETNAT_COMPLAINT_FIELDS_H

/* Whether a mail's header begins here: fields, some of which a mail has; its end or NULL. RFC 5322 section 2.2. */
const char *fields_of_mail(const char *at, const char *end);

/* The header of a mail within a text, as it is forwarded: its end, or at. */
const char *fields_quoted(const char *at, const char *end);

#endif
