/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of a mail and its HTML that say other numbers of the same addresses. */
#ifndef DETNAT_COMPLAINT_RIVAL_H
#define DETNAT_COMPLAINT_RIVAL_H

#include "complaints/complaint_private.h"

/* Notes that a text was read and another was not, though both have the same addresses. Places are of the decoded text.
 */
void rival_note(struct reading *x, const char *text, size_t begin, size_t end, const char *other,
		const char *other_end);

/* Whether the other text has another port in the place of that of an address. */
bool rival_contradicts(const struct reading *x, const struct item *addr);

#endif
