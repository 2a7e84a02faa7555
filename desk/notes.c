// SPDX-License-Identifier: BSD-2-Clause
#include "notes.h"

#include <stddef.h>

#include "base/log.h"

void note_look(const struct note *n)
{
	log_audit("%s asks %s%s%s, case %s, reason %s: %u%s%s", n->asker ? n->asker : "a program without a valid token",
		  n->kind, n->question ? " " : "", n->question ? n->question : "", n->case_id ? n->case_id : "none",
		  n->reason ? n->reason : "none", n->status, n->refused ? ", " : "", n->refused ? n->refused : "");
}
