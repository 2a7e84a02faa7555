/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a client has the list of the history already, which may have very many lines. Thread-safe. */
#ifndef DETNAT_DESK_HISTORY_MARK_H
#define DETNAT_DESK_HISTORY_MARK_H

#include "call.h"

/* The file of the history, as it is; all 0 where it cannot be seen. */
struct history_seen {
	uint64_t dev, ino, size, changed_ns;
};

void history_look(const char *dir, struct history_seen *ret);

/* The mark of the list that was made when the file was as it is now, into call->mark. False: that is not known. */
bool history_mark_recall(const struct history_seen *now, struct call *call);

/* The mark of the file itself, as it was looked at, into call->mark; none where it cannot be seen. */
void history_mark_file(const struct history_seen *seen, struct call *call);

/* The mark of the list that call->answer has, into call->mark; it is recalled until the file changes. */
void history_mark_make(const struct history_seen *then, struct call *call);

#endif
